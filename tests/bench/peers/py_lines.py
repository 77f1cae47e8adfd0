#!/usr/bin/python3
"""A line server as one writes it with Python's library: py_lines.py threads|asyncio PORT.

The answers are those of answers.h. Port 0 is any free one; the port is printed.
"""
import asyncio
import resource
import socketserver
import sys
import time

BACKLOG = 4096


def answer(line):
    words = line.split()
    if words == [b"now"]:
        return b"%d\n" % time.monotonic_ns()
    if len(words) == 2 and words[0] == b"work":
        state = 1
        for _ in range(int(words[1])):
            state = state * 1103515245 + 12345 & 0xffffffff
        return line
    if len(words) == 2 and words[0] == b"sleep":
        return None  # each has its own way
    return b"Hello " + line.upper()


class Lines(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        try:
            for line in self.rfile:
                reply = answer(line)
                if reply is None:
                    time.sleep(int(line.split()[1]) / 1000)
                    reply = line
                self.wfile.write(reply)
        except ConnectionError:
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = BACKLOG


async def converse(reader, writer):
    try:
        while line := await reader.readline():
            reply = answer(line)
            if reply is None:
                await asyncio.sleep(int(line.split()[1]) / 1000)
                reply = line
            writer.write(reply)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def serve(port):
    server = await asyncio.start_server(converse, "127.0.0.1", port, backlog=BACKLOG)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("threads", "asyncio"):
        sys.exit("usage: py_lines.py threads|asyncio PORT")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if sys.argv[1] == "asyncio":
        asyncio.run(serve(int(sys.argv[2])))
    with Server(("127.0.0.1", int(sys.argv[2])), Lines) as server:
        print(f"listening on {server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
