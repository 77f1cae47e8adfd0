"""manager: plays the service manager of a banterd: passes sockets to it."""
import socket
import sys

from harness import BANTERD, BANTERD_TEST, Server

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
