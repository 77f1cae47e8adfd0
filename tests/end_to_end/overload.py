"""overload: sessions that ask at a steady rate, whether they are answered or not."""
import collections
import re
import selectors
import threading
import time

from harness import LIMIT


class Offers:
    """`rate` requests a second from all sessions together, for so many seconds. `watched` are {name: Program}, whose
    memory is {name: (megabytes at half of the time, when queues are full, and at its end)} in `memory`. `errors` are
    {text: how often}.
    """

    def __init__(self, front, sessions, rate, seconds, watched=()):
        self.errors = collections.Counter()
        self.memory = {}
        self._seconds = seconds
        self._answered = 0
        self._offered = 0
        self._clients = [front.connect() for _ in range(sessions)]
        self._replies = {client: b"" for client in self._clients}
        reader = threading.Thread(target=self._read, daemon=True)
        self._end = time.monotonic() + seconds
        reader.start()
        self._offer(rate / sessions, dict(watched))
        reader.join(LIMIT)
        for client in self._clients:
            client.reset()

    def answered_a_second(self):
        return self._answered / self._seconds

    def _offer(self, rate, watched):
        """Ten times a second so many to each session as are due. Who has no room in its socket is passed over."""
        begin = time.monotonic()
        half = None
        sent = 0
        for client in self._clients:
            client.socket.setblocking(False)
        while (now := time.monotonic()) < self._end:
            due = int((now - begin) * rate) - sent
            for client in self._clients:
                try:
                    client.socket.send(b"".join(b"%d\n" % (sent + index) for index in range(due)))
                except BlockingIOError:
                    pass
            sent += due
            if not half and now - begin > self._seconds / 2:
                half = {name: megabytes(program) for name, program in watched.items()}
            time.sleep(0.1)
        self.memory = {name: (half[name], megabytes(program)) for name, program in watched.items()}

    def _read(self):
        with selectors.DefaultSelector() as selector:
            for client in self._clients:
                selector.register(client.socket, selectors.EVENT_READ, client)
            while (left := self._end - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    data = key.data.socket.recv(65536)
                    assert data, "the front has closed a session"
                    *lines, self._replies[key.data] = (self._replies[key.data] + data).split(b"\n")
                    for line in lines:
                        self._count(line)

    def _count(self, line):
        if line.startswith(b"-ERR "):
            self.errors[re.sub(r"\d+", "N", line.decode())] += 1
        else:
            self._answered += 1


def megabytes(program):
    return round(program.memory() / 1e6, 1)
