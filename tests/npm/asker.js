// Asks a service of NATS with so many requests out: asker.js SERVER SUBJECT OUT SECONDS. Reports as tests/bench/load does.
"use strict";
const { connect } = require("nats");

const TEXT = Buffer.from("sixteen bytes ok");
const WARM_UP_MS = 200;

async function main([server, subject, out, seconds]) {
    const connection = await connect({ servers: server });
    const begin = performance.now() + WARM_UP_MS;
    const end = begin + 1000 * Number(seconds);
    const times = [];

    async function ask() {
        for (let asked = performance.now(); asked < end;) {
            const reply = await connection.request(subject, TEXT, { timeout: 5000 });
            if (!TEXT.equals(reply.data))
                throw new Error("a wrong reply");
            const now = performance.now();
            if (now >= begin && now < end)
                times.push(now - asked);
            asked = now;
        }
    }

    await Promise.all(Array.from({ length: Number(out) }, ask));
    await connection.close();
    times.sort((one, other) => one - other);
    const { user, system } = process.cpuUsage();
    const at = (part) => 1000 * times[Math.floor(part * (times.length - 1))];
    console.log(JSON.stringify({
        per_second: times.length / Number(seconds),
        cpu_us: (user + system) / times.length,
        latency_us: { p50: at(0.5), p99: at(0.99) },
    }));
}

main(process.argv.slice(2)).catch((why) => {
    console.error(String(why));
    process.exit(1);
});
