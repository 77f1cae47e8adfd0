// What the npm package `nats` makes of banterd, a line of JSON for each thing that is seen:
//
//     judge.js serve SERVER          a service `js` whose requests say what it does
//     judge.js ask SERVER SUBJECT    asks each line of the standard input
//     judge.js micro SERVER NAME     asks all services of that name who they are
"use strict";
const readline = require("readline");
const { connect, StringCodec } = require("nats");

const text = StringCodec();
const show = (seen) => console.log(JSON.stringify(seen));
const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// By the first word of a request.
const ANSWERS = {
    reply: (message) => message.respond(message.data),
    error: (message) => message.respondError(400, "bad request"),
    slow: async (message) => {
        await later(1000);
        message.respond(message.data);
    },
    twice: (message) => {
        message.respond(message.data);
        message.respond(text.encode("twice"));
    },
    elsewhere: (message, connection) => {
        const inbox = message.reply.slice(0, message.reply.lastIndexOf("."));
        for (const token of ["0-0-0", "999999-1-1", "x", "4294967296-1-1"])
            connection.publish(`${inbox}.${token}`, text.encode("wrong"));
        message.respond(message.data);
    },
    none: () => {},
};

async function serve(connection) {
    const service = await connection.services.add({ name: "judge", version: "1.0.0" });
    service.addEndpoint("js", {
        subject: "js",
        handler: (why, message) => {
            if (why)
                throw why;
            ANSWERS[text.decode(message.data).split(" ")[0]](message, connection);
        },
    });
    await connection.flush();
    show({ ready: true });
    await connection.closed();
}

async function ask(connection, subject) {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        try {
            const reply = await connection.request(subject, text.encode(line), { timeout: 10000 });
            show({
                data: text.decode(reply.data),
                code: reply.headers?.get("Nats-Service-Error-Code") ?? null,
                error: reply.headers?.get("Nats-Service-Error") ?? null,
            });
        } catch (why) {
            show({ failed: why.code });
        }
    }
}

async function micro(connection, name) {
    const client = connection.services.client();
    for (const what of ["ping", "info", "stats"])
        for await (const found of await client[what](name))
            show(found);
}

async function main([what, server, name]) {
    const connection = await connect({ servers: server });
    await { serve, ask, micro }[what](connection, name);
    await connection.close();
}

main(process.argv.slice(2)).catch((why) => {
    console.error(why);
    process.exit(1);
});
