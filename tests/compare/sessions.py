"""The server's side of the comparison: one behaviour, spoken in the protocol that each client knows.

A behaviour is called with a session for each connection, as in end_to_end/peers/scripted.py; it asks for requests
and replies to them as text. When it returns, the connection is closed in an orderly way.

    line    what banter, nc, ncat, socat and telnet send: a line is a request, a line is a reply
    redis   RESP, for redis-cli: a command's words are the request, a bulk string is the reply
    postgres  the simple query protocol, for psql: the query's text is the request, a row of one column the reply
"""
import socket
import struct

from harness import text_of
from peers.scripted import Peer


def bytes_of(text):
    return text.encode("utf-8", "surrogateescape")


class Line:
    def __init__(self, connection, server):
        self.connection = connection
        self.server = server
        self.send = connection.send
        server.sessions.append(self)

    def ask(self):
        """The next request; None when the client is done."""
        text = self._take()
        if text is not None:
            self.server.asked.append(text)
        return text

    def asks(self):
        return iter(self.ask, None)

    def one(self):
        """The next request, where the behaviour is pointless without one."""
        text = self.ask()
        if text is None:
            raise ConnectionError("the client is gone")
        return text

    def wait(self, seconds):
        """For slow servers; comes back at once when all is over."""
        self.server.over.wait(seconds)

    def _take(self):
        line = self.connection.line()
        return None if line is None else text_of(line.rstrip(b"\r"))

    def reply(self, text):
        self.send(bytes_of(text) + b"\n")

    def error(self, text):
        self.reply("-ERR test " + text)

    def tell(self, text):
        """Something that nobody asked for."""
        self.reply(text)

    def cut(self):
        """Ends the connection, as the kernel does it for a server that dies."""
        self.connection.socket.shutdown(socket.SHUT_RDWR)


class Redis(Line):
    def _take(self):
        while True:
            words = self._words()
            # At a terminal it asks what commands there are, for its hints.
            if not words or words[0] != "COMMAND":
                return " ".join(words) if words else None
            self.send(b"*0\r\n")

    def _words(self):
        count = self.connection.line()
        words = []
        for _ in range(int(count[1:]) if count else 0):
            if self.connection.line() is None:
                return None
            word = self.connection.line()
            if word is None:
                return None
            words.append(text_of(word.rstrip(b"\r")))
        return words

    def reply(self, text):
        self.send(b"$%d\r\n%s\r\n" % (len(bytes_of(text)), bytes_of(text)))

    def error(self, text):
        self.send(b"-ERR test " + bytes_of(text) + b"\r\n")

    def tell(self, text):
        self.send(b">2\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n" % (len(bytes_of(text)), bytes_of(text)))


SSL, GSS, CANCEL = 80877103, 80877104, 80877102


class Postgres(Line):
    def __init__(self, connection, server):
        super().__init__(connection, server)
        while (code := self._startup()) in (SSL, GSS):
            self.send(b"N")
        if code == CANCEL:
            raise ConnectionError("a request to cancel, which nobody is told")
        self._message(b"R", struct.pack(">i", 0))
        for name, value in ((b"server_version", b"15.0"), (b"client_encoding", b"UTF8"), (b"is_superuser", b"off"),
                            (b"standard_conforming_strings", b"on"), (b"DateStyle", b"ISO")):
            self._message(b"S", name + b"\0" + value + b"\0")
        self._message(b"Z", b"I")

    def _read(self, size):
        connection = self.connection
        while len(connection.received) < connection.taken + size:
            if not connection.fill():
                return None
        connection.taken += size
        return connection.received[connection.taken - size:connection.taken]

    def _startup(self):
        head = self._read(4)
        body = head and self._read(struct.unpack(">i", head)[0] - 4)
        if not body:
            raise ConnectionError("no startup message")
        return struct.unpack(">i", body[:4])[0]

    def _take(self):
        while True:
            head = self._read(5)
            body = head and self._read(struct.unpack(">i", head[1:])[0] - 4)
            if not head or head[:1] == b"X":
                return None
            if head[:1] == b"Q":
                return text_of(body.rstrip(b"\0")).strip().removesuffix(";")

    def _message(self, kind, body):
        self.send(kind + struct.pack(">i", len(body) + 4) + body)

    def _fields(self, kind, severity, text):
        fields = ((b"S", severity), (b"V", severity), (b"C", b"XX000"), (b"M", bytes_of(text)))
        self._message(kind, b"".join(code + value + b"\0" for code, value in fields) + b"\0")

    def reply(self, text):
        data = bytes_of(text)
        self._message(b"T", struct.pack(">h6sihihih", 1, b"reply\0", 0, 0, 25, -1, -1, 0))
        self._message(b"D", struct.pack(">hi", 1, len(data)) + data)
        self._message(b"C", b"SELECT 1\0")
        self._message(b"Z", b"I")

    def error(self, text):
        self._fields(b"E", b"ERROR", text)
        self._message(b"Z", b"I")

    def tell(self, text):
        self._fields(b"N", b"NOTICE", text)


PROTOCOLS = {"line": Line, "redis": Redis, "postgres": Postgres}


class Server(Peer):
    """Listens on 127.0.0.1:`port`. `asked` has every request of every session, in the order of their arrival."""

    def __init__(self, protocol, behaviour):
        self.asked = []
        self.sessions = []
        super().__init__(lambda connection: behaviour(PROTOCOLS[protocol](connection, self)))
        self.port = self.address.rsplit(":", 1)[1]

    @property
    def over(self):
        return self.released


# ---- behaviours that several rows use

def hello(session):
    for text in session.asks():
        session.reply("Hello " + text)


def slow(seconds):
    def behaviour(session):
        for text in session.asks():
            session.wait(seconds)
            session.reply("Hello " + text)
    return behaviour
