"""A server with asyncio's streams:  asyncio_streams.py PORT"""
import asyncio
import sys


async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(b"Hello " + line)
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
