"""nats_client: a client of NATS that is nothing but bytes on a socket: the judge of what banterd sends, and the worker
machine that misbehaves.

    client = nats.connect()                                  # nats: a NatsServer
    reply = client.request("upper", b"hello")                # Message(data=b"HELLO", ...)
    client.subscribe("upper", queue="q")
    message = client.message()                               # a request: message.reply is its reply subject
    client.publish(message.reply, b"x", headers={"Nats-Service-Error-Code": "500"})
    with client.serving("upper", lambda message: message.data.upper()): ...

Only one thread may read at a time; any may write.
"""
import contextlib
import itertools
import json
import os
import re
import select
import socket
import threading
import time
from typing import NamedTuple

from harness import LIMIT, LineClient, is_ready

_inboxes = itertools.count()


class Message(NamedTuple):
    """What the server delivers. `status` is that of a reply of the server's own: 503 for no responders; else None."""
    subject: str
    sid: int
    reply: str | None
    headers: dict
    status: int | None
    data: bytes


def headers_of(block):
    """The status and the headers of the bytes between HMSG's line and the data."""
    first, *lines = block.decode().split("\r\n")
    match = re.fullmatch(r"NATS/1\.0(?: (\d{3}).*)?", first)
    assert match and lines[-2:] == ["", ""], block
    pairs = [line.split(":", 1) for line in lines[:-2]]
    return match[1] and int(match[1]), {name: value.strip() for name, value in pairs}


def headers_block(headers):
    return b"NATS/1.0\r\n" + b"".join(b"%s: %s\r\n" % (name.encode(), value.encode())
                                      for name, value in headers.items()) + b"\r\n"


class NatsClient:
    """A connection to a nats-server, which has been answered when it is there. `connect` is added to what CONNECT says
    (user, pass, name); `tls` is an ssl.SSLContext."""

    def __init__(self, address, tls=None, verbose=False, **connect):
        self._link = LineClient.to(address)
        self._lock = threading.Lock()  # a thread writes all of what it has to say
        self._sids = itertools.count(1)
        self._inbox = f"_INBOX.{os.getpid()}-{next(_inboxes)}"
        self._inbox_sid = None
        self._held = []  # messages that came while something else was awaited
        self.info = json.loads(self._line().removeprefix(b"INFO "))
        if tls:
            self._link.socket = tls.wrap_socket(self._link.socket, server_hostname=address.rsplit(":", 1)[0])
        options = {"verbose": verbose, "pedantic": False, "headers": True, "no_responders": True, "lang": "test",
                   "version": "1", "protocol": 1, "echo": True, **connect}
        self.send(b"CONNECT %s\r\n" % json.dumps(options).encode())
        self.flush()

    # To write

    def send(self, data):
        """Bytes as they are."""
        with self._lock:
            self._link.send(data)

    def publish(self, subject, data=b"", reply=None, headers=None):
        words = [subject, *([reply] if reply else [])]
        block = headers_block(headers) if headers is not None else b""
        sizes = [*([len(block)] if block else []), len(block) + len(data)]
        line = " ".join(map(str, ["HPUB" if block else "PUB", *words, *sizes]))
        self.send(b"%s\r\n%s%s\r\n" % (line.encode(), block, data))

    def subscribe(self, subject, queue=None):
        """Returns the number of the subscription. The server may not know of it yet: flush()."""
        sid = next(self._sids)
        self.send(f"SUB {subject} {queue + ' ' if queue else ''}{sid}\r\n".encode())
        return sid

    def unsubscribe(self, sid):
        self.send(b"UNSUB %d\r\n" % sid)

    def flush(self):
        """Comes back when the server has handled all that was sent."""
        self.send(b"PING\r\n")
        while (came := self._next()) != "PONG":
            self._held.append(came)

    # To read

    def message(self):
        """The next message."""
        return self._held.pop(0) if self._held else self._expect_message()

    def message_to(self, sid):
        """The next message of this subscription; others are kept."""
        for index, held in enumerate(self._held):
            if held.sid == sid:
                return self._held.pop(index)
        while (came := self._expect_message()).sid != sid:
            self._held.append(came)
        return came

    def has_message(self, within=0):
        """Whether there is one now, or within some seconds. For what must not come, flush() the sender and then self
        first: then nothing can be on its way."""
        while not self._held and self._link.readable(within):
            came = self._next()
            if came != "PONG":
                self._held.append(came)
        return bool(self._held)

    def wait_lame_duck(self):
        """Waits until the server says that it will go."""
        while not self.info.get("ldm"):
            came = self._next(and_info=True)
            if isinstance(came, Message):
                self._held.append(came)

    def request(self, subject, data=b"", headers=None):
        """The reply, which may be the server's own that nobody serves the subject: status 503."""
        return self.message_to(self.ask(subject, data, headers))

    def ask(self, subject, data=b"", headers=None):
        """Sends a request. Returns the number of a subscription that gets all replies to it, and nothing else."""
        inbox = f"{self._inbox}.{next(_inboxes)}"
        sid = self.subscribe(inbox)
        self.publish(subject, data, inbox, headers)
        return sid

    def _expect_message(self):
        came = self._next()
        assert isinstance(came, Message), came
        return came

    def _next(self, and_info=False):
        """A Message, "PONG", or, where that is asked for, "INFO"."""
        deadline = time.monotonic() + LIMIT
        while True:
            line = self._line()
            verb, *words = line.decode().split()
            if verb == "PING":
                assert time.monotonic() < deadline, f"nothing but pings within {LIMIT} s"
                self.send(b"PONG\r\n")
            elif verb == "INFO":
                self.info = json.loads(line.removeprefix(b"INFO "))
                if and_info:
                    return verb
            elif verb in ("MSG", "HMSG"):
                return self._read_message(verb == "HMSG", words)
            elif verb == "PONG":
                return verb
            else:
                assert verb == "+OK", line

    def _read_message(self, has_headers, words):
        *names, size = words
        skip = int(names.pop()) if has_headers else 0
        subject, sid, *reply = names
        body = self._link.read(int(size) + 2)
        assert len(body) == int(size) + 2 and body.endswith(b"\r\n"), "the connection has ended"
        status, headers = headers_of(body[:skip]) if skip else (None, {})
        return Message(subject, int(sid), reply[0] if reply else None, headers, status, body[skip:-2])

    def _line(self):
        line = self._link.readline()
        assert line and line.endswith(b"\r"), f"the connection has ended: {line}"
        return line[:-1]

    # To serve

    @contextlib.contextmanager
    def serving(self, subject, answer, queue="q"):
        """A thread that serves a subject meanwhile. answer(message) gives bytes, which are the reply; for anything else
        it publishes by itself, and gives None. Nobody else may read from this client."""
        self.subscribe(subject, queue)
        self.flush()
        ends, wakes = socket.socketpair()
        thread = threading.Thread(target=self._serve, args=(answer, wakes), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            ends.close()
            thread.join(LIMIT)
            wakes.close()

    def _serve(self, answer, wakes):
        poll = select.poll()
        poll.register(wakes, select.POLLIN)
        poll.register(self._link.socket, select.POLLIN)
        with contextlib.suppress(OSError, AssertionError):  # the connection has ended
            while True:
                while self.has_message():
                    request = self.message()
                    reply = answer(request)
                    if reply is not None and request.reply:
                        self.publish(request.reply, reply)
                poll.poll()
                if is_ready(wakes, select.POLLIN):
                    return

    def abandon(self):
        self._link.abandon()
