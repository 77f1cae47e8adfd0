"""delay: a proxy that holds what passes through it for a time, each way, as a network that is far away does. It takes
what comes at once, so that only the two ends' own windows bound what is on its way.

    with DelayProxy("127.0.0.1:8000", seconds=0.05) as proxy:
        run("banter", "-c", proxy.address)
"""
import collections
import socket
import threading
import time

PIECE = 256 << 10


class DelayProxy:
    def __init__(self, address, seconds):
        self._target = address.rsplit(":", 1)
        self._seconds = seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((self._target[0], int(self._target[1])))
            for source, sink in ((client, server), (server, client)):
                sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _Way(source, sink, self._seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()


class _Way:
    """One direction: a thread that reads, one that writes what is old enough."""

    def __init__(self, source, sink, seconds):
        self._pieces = collections.deque()  # (when to send it, the bytes; none: the end)
        self._added = threading.Semaphore(0)
        threading.Thread(target=self._read, args=(source, seconds), daemon=True).start()
        threading.Thread(target=self._write, args=(sink,), daemon=True).start()

    def _read(self, source, seconds):
        data = True
        while data:
            try:
                data = source.recv(PIECE)
            except OSError:
                data = b""
            self._pieces.append((time.monotonic() + seconds, data))
            self._added.release()

    def _write(self, sink):
        while True:
            self._added.acquire()
            when, data = self._pieces.popleft()
            time.sleep(max(0, when - time.monotonic()))
            try:
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
            except OSError:
                return
