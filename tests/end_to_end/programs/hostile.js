// hostile.py once more, as far as that can be done, in the way of node: it never waits, it only rests.
const { kill, pid, stdin, stdout, exit, argv } = process;
const pause = ms => new Promise(done => setTimeout(done, ms));
const late = 1000 * (argv[2] ?? 1);

const ways = {
    async plain(number) { stdout.write(`done ${number}\n`); },
    async chatty(number) { stdout.write(`done ${number}\ndone too much\n`); },
    async late(number) { await pause(late); stdout.write(`done ${number}\n`); },
    async half(number) { stdout.write(`done ${number}`); exit(0); },
    async hang(number) { stdout.write(`done ${number}`); await pause(1e9); },
    async silent() {},
    async stop(number) { kill(pid, "SIGSTOP"); stdout.write(`done ${number}\n`); },
    async cut(number) { stdout.write(`done ${number.slice(1)}`); kill(pid, "SIGKILL"); },
    async die() { exit(1); },
    async close() { require("fs").closeSync(1); await pause(1e9); },
    async several(number, lines, ms) {
        stdout.write(`done ${number}\n`);
        for (let line = 1; line < lines; line++) {
            await pause(ms);
            stdout.write(`more ${number}\n`);
        }
    },
    async halves(number, ms) { stdout.write("don"); await pause(ms); stdout.write(`e ${number}\n`); },
};

async function main() {
    if (argv.length > 3) stdout.write(argv.slice(3).map(text => text + "\n").join(""));
    for await (const line of require("readline").createInterface({ input: stdin })) {
        const [way, ...rest] = line.split(" ");
        await ways[way](...rest);
    }
}
main();
