"""manager: plays the service manager of a banterd: passes sockets to it, and is told how it is."""
import os
import re
import select
import socket
import sys
import time

from harness import BANTERD, BANTERD_TEST, LIMIT, Server, is_ready

# Runs in the process that becomes banterd, whose number LISTEN_PID has. Its arguments are the descriptors, with
# commas between, and the command.
PASS_SOCKETS = """
import fcntl, os, sys
fds = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1].split(",")]
for number, fd in enumerate(fds, 3):
    os.dup2(fd, number)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))
os.closerange(3 + len(fds), 100)
os.execv(sys.argv[2], sys.argv[2:])
"""


def listening_socket(path=None):
    """A socket that listens, on a Unix path or on a free port of 127.0.0.1."""
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(str(path) if path else ("127.0.0.1", 0))
    listener.listen(1000)
    return listener


def address_of(listener):
    name = listener.getsockname()
    return f"unix:{name}" if listener.family == socket.AF_UNIX else "%s:%d" % name


def start_with_sockets(bench, sockets, *options, names=None, env=None, **how):
    """A banterd that these sockets are passed to; `names` are theirs, with colons between."""
    program = BANTERD_TEST if "test" in options else BANTERD
    fds = [each.fileno() for each in sockets]
    command = [sys.executable, "-c", PASS_SOCKETS, ",".join(map(str, fds)), program, *options]
    env = {**(env or {}), **({"LISTEN_FDNAMES": names} if names is not None else {})}
    return bench.start(command, kind=Server, env=env, pass_fds=fds, **how)


class Manager:
    """Takes what a server tells its service manager: `address` is for NOTIFY_SOCKET. Messages are lists of lines."""

    def __init__(self, path=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path) if path else "\0banter-test-%d-%d" % (os.getpid(), id(self)))
        self.socket.settimeout(LIMIT)
        name = self.socket.getsockname()
        self.address = name if path else "@" + name[1:].decode()
        self.seen = []  # all lines so far

    def next(self):
        message = self.socket.recv(4096).decode().split("\n")
        self.seen += message
        return message

    def wait_for(self, pattern):
        """Waits for a message with a line that is this regular expression; returns the match."""
        while True:
            for line in self.next():
                if match := re.fullmatch(pattern, line):
                    return match

    def wait_for_silence(self, line, seconds):
        """Waits until this line has not come for so long."""
        deadline = time.monotonic() + LIMIT
        last = time.monotonic()
        while (left := last + seconds - time.monotonic()) > 0:
            assert time.monotonic() < deadline, f"{line} comes on and on"
            if is_ready(self.socket, select.POLLIN, left) and line in self.next():
                last = time.monotonic()

    def fill(self):
        """Leaves no room for any message, until some are read."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            try:
                while True:
                    other.sendto(b"X=", self.socket.getsockname())
            except BlockingIOError:
                pass

    def course(self):
        """What it was told of starting, reading anew and stopping, in order."""
        return [line for line in self.seen if line in ("READY=1", "RELOADING=1", "STOPPING=1")]
