"""scripted: a server that does to a client what a test wants.

    with Peer(hello) as peer:            each connection is served by hello(line), ...
        run("--connect", peer.address)
    peer.connection(0).received          ... and what came over it can be looked at

A behaviour is a function that is called with a Connection, in a thread of its own for each; when it returns
the connection is closed in an orderly way. An exception in it is raised again by Peer.close(), unless it is
about a connection that the client has ended.
"""
import socket
import struct
import threading

from harness import LIMIT

QUIT = b"--QUIT--"


class Connection:
    """The server's end. `received` is all that was read from it."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.settimeout(LIMIT)
        self.received = b""
        self.taken = 0
        self.finished = threading.Event()

    def fill(self):
        data = self.socket.recv(65536)
        self.received += data
        return data

    def line(self):
        """The next line without its newline; None at the end of the stream or the word for quit."""
        while True:
            end = self.received.find(b"\n", self.taken)
            if end >= 0:
                line = self.received[self.taken:end]
                self.taken = end + 1
                return None if line == QUIT else line
            if not self.fill():
                return None

    def lines(self):
        return iter(self.line, None)

    def send(self, data):
        self.socket.sendall(data)

    def wait_end(self):
        """Reads up to the end of the client's half."""
        while self.fill():
            pass

    def end(self):
        """Ends our half while another thread may be reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Ends it with a reset, which also tells the client that not everything was read."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        """Ends our half, waits for the other, so that nothing on its way is lost."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
            self.wait_end()
        except OSError:
            pass
        self.socket.close()


class Peer:
    connection_type = Connection

    def __init__(self, behaviour, *, path=None, receive_buffer=None):
        self.behaviour = behaviour
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.address = f"unix:{path}"
        else:
            self.listener = socket.socket()
            if receive_buffer:
                self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self.listener.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.listener.listen()
        self.changed = threading.Condition()
        self.connections = []
        self.failures = []
        self.released = threading.Event()
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def _accept(self):
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            connection = self.connection_type(accepted)
            with self.changed:
                self.connections.append(connection)
                self.changed.notify_all()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self.begin(connection)
            self.behaviour(connection)
        except (ConnectionError, socket.timeout):
            pass
        except Exception as failure:
            self.failures.append(failure)
        finally:
            connection.close()
            connection.finished.set()

    def begin(self, connection):
        """What comes before the behaviour."""

    def connection(self, index=0):
        """The connection with this number, once it is there."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.connections) > index, LIMIT)
            return self.connections[index]

    def hold(self):
        """For behaviours: goes on when the test says release()."""
        assert self.released.wait(LIMIT), "nobody called release()"

    def release(self):
        self.released.set()

    def stop_listening(self):
        """Later connects are refused; shutdown() wakes the thread that is in accept()."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def close(self):
        self.stop_listening()
        self.released.set()
        for connection in self.connections:
            try:
                connection.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.finished.wait(LIMIT)
        if self.failures:
            raise self.failures[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def hello(connection):
    """Answers each line with "Hello LINE", many at a time."""
    while True:
        end = connection.received.rfind(b"\n") + 1
        block = connection.received[connection.taken:end]
        connection.taken = end
        lines = block.split(b"\n")[:-1]
        has_quit = QUIT in lines
        if has_quit:
            lines = lines[:lines.index(QUIT)]
        connection.send(b"".join(b"Hello " + line + b"\n" for line in lines))
        if has_quit or not connection.fill():
            return
