// A server of Node with its readline:  node node_readline.js PORT
//
// A reply takes 50 ms, as if it came from a database. When the client has ended its half, Node ends the other.
const net = require('net');
const readline = require('readline');

net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    const lines = readline.createInterface({ input: socket });
    lines.on('line', (line) => setTimeout(() => socket.writable && socket.write(`Hello ${line}\n`), 50));
}).listen(Number(process.argv[2]), '127.0.0.1');
