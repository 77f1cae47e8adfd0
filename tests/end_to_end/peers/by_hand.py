"""by_hand: a server whose replies the test sends itself, when it wants to."""
from harness import wait_until
from peers.scripted import Peer


class Script:
    """A peer whose replies the test sends by hand. A request "reset" is the end of a connection. After the word
    for quit it is the test that ends it, or the client's patience."""

    def __init__(self):
        self.asked = []
        self.peer = Peer(self._serve)
        self.address = self.peer.address

    def _serve(self, connection):
        for line in connection.lines():
            self.asked.append(line)
            if line == b"reset":
                connection.reset()
                return
        self.peer.hold()

    def wait_quit(self):
        wait_until(lambda: self.peer.connections[-1].received.endswith(b"--QUIT--\n"), "the word for quit")

    def wait_asked(self, *lines):
        wait_until(lambda: self.asked == list(lines), f"requests {lines!r}; there are {self.asked!r}")

    def receive(self, screen, line):
        """Enters a line at the client's prompt and waits until the request is here, and the line drawn:
        a Ctrl-C would throw away what the terminal still has of it."""
        before, drawn = list(self.asked), len(screen.written)
        screen.enter(line)
        screen.wait(lambda: b"\n" in screen.written[drawn:], f"the end of the line {line!r}")
        self.wait_asked(*before, line.encode())

    def owe(self, screen, line):
        """The same; then Ctrl-C gives the prompt back, and the reply to the line is owed."""
        self.receive(screen, line)
        before = screen.written.count(b"^C")
        screen.type("\003")
        screen.wait(lambda: screen.written.count(b"^C") > before, "^C")
        screen.wait_last("^C", "->")

    def send(self, data):
        self.peer.connections[-1].send(data)

    def end(self):
        self.peer.connections[-1].end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.close()
