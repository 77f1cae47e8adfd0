// A server of Node with its readline, which ends a connection as soon as the client has ended its half.
const net = require('net');
const readline = require('readline');

net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    const lines = readline.createInterface({ input: socket });
    lines.on('line', (line) => setImmediate(() => socket.writable && socket.write(`Hello ${line}\n`)));
}).listen(Number(process.argv[2]), '127.0.0.1');
