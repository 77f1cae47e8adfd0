"""What the benchmarks of `banterd -- PROGRAM` share: small programs, the copies that run, many clients."""
import os
import selectors
import socket
import threading
from pathlib import Path

from programs import Trouble

PYTHON = "/usr/bin/python3"
SMALL = Path(__file__).resolve().parents[1] / "end_to_end" / "programs"
# One line in, the same line out: at once, after 10 ms.
FILTER = [PYTHON, "-I", "-S", "-u", "-c", "import sys\nfor line in sys.stdin: sys.stdout.write(line)"]
SLEEPER = [PYTHON, "-I", "-S", "-u", "-c",
           "import sys, time\nfor line in sys.stdin: time.sleep(0.01); sys.stdout.write(line)"]


def children(server):
    """The processes that a server has started and not yet collected: {pid: state}."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                state, parent = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(parent) == server.process.pid:
                found[int(entry)] = state
    return found


def threads(server):
    return len(os.listdir(f"/proc/{server.process.pid}/task"))


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), 60)


def pipeline(server, count, limit=600):
    """Sends the numbers from 0 to count, all ahead, and holds each reply against its place."""
    with connect(server) as connection:
        connection.settimeout(limit)

        def send():
            for first in range(0, count, 1000):
                connection.sendall(b"".join(b"%d\n" % number for number in range(first, min(first + 1000, count))))
            connection.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        expected = 0
        with connection.makefile("rb") as replies:
            for reply in replies:
                if reply != b"%d\n" % expected:
                    raise Trouble(f"reply {expected} is {reply!r}")
                expected += 1
        if expected != count:
            raise Trouble(f"{count} requests were sent, {expected} replies came")
        sender.join()


class Asker:
    """One of many clients in one thread: keeps `ahead` requests unanswered. `judge(number, reply)` is told each reply
    with the number of its request."""

    def __init__(self, server, requests, ahead, judge):
        self.socket = connect(server)
        self.socket.setblocking(False)
        self._requests = iter(requests)
        self._ahead = ahead
        self._judge = judge
        self._owed = []
        self._out = self._in = b""
        self._dry = False
        self.unasked = 0

    def work(self):
        """Sends and reads what can be. True when all is answered, or the server has closed."""
        closed = False
        try:
            data = self.socket.recv(65536)
            closed = not data
            *lines, self._in = (self._in + data).split(b"\n")
            if len(lines) > len(self._owed):
                self.unasked += len(lines) - len(self._owed)
                del lines[len(self._owed):]
            for number, line in zip(self._owed, lines):
                self._judge(number, line)
            del self._owed[:len(lines)]
        except BlockingIOError:
            pass
        while len(self._owed) < self._ahead and not self._dry:
            request = next(self._requests, None)
            if request is None:
                self._dry = True
            else:
                number, text = request
                self._owed.append(number)
                self._out += text
        if self._out:
            try:
                self._out = self._out[self.socket.send(self._out):]
            except BlockingIOError:
                pass
        return closed or (self._dry and not self._owed)

    @property
    def missing(self):
        return len(self._owed)


def ask_all(askers, tick=lambda: None):
    """Lets them work until all are done. Returns (requests without a reply, replies without a request)."""
    with selectors.DefaultSelector() as selector:
        for asker in askers:
            selector.register(asker.socket, selectors.EVENT_READ, asker)
            asker.work()
        while selector.get_map():
            for key, _ in selector.select(0.02):
                if key.data.work():
                    selector.unregister(key.fileobj)
            tick()
    for asker in askers:  # what comes behind the last reply was not asked for
        asker.socket.setblocking(True)
        asker.socket.shutdown(socket.SHUT_WR)
        asker.socket.settimeout(10)
        while data := asker.socket.recv(65536):
            asker.unasked += data.count(b"\n")
        asker.socket.close()
    return sum(asker.missing for asker in askers), sum(asker.unasked for asker in askers)
