"""standstill: one thread of a server stands still, and the others go on. SIGSTOP would stop them all, so the thread is
traced, as a debugger does."""
import ctypes
import os
import re
from contextlib import contextmanager
from pathlib import Path

from harness import wait_until

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WAIT_ALL = 0x40000000  # for a thread that is no child of ours, too

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, thread):
    if _libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextmanager
def standstill(thread):
    """For as long as the block lasts."""
    _ptrace(PTRACE_SEIZE, thread)
    try:
        _ptrace(PTRACE_INTERRUPT, thread)
        os.waitpid(thread, WAIT_ALL)
        yield
    finally:
        _ptrace(PTRACE_DETACH, thread)


def busiest(server):
    """The thread that has run for longest, but for the first one: the owner of a loop, if there was something to do."""
    def ran(thread):
        return int((thread / "schedstat").read_text().split()[0])
    threads = Path(f"/proc/{server.pid}/task").iterdir()
    return int(max((thread for thread in threads if int(thread.name) != server.pid), key=ran).name)


def _listens(server, fd):
    """Whether a descriptor of it is a Unix socket that listens."""
    inode = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{server.pid}/fd/{fd}"))
    rows = [row.split() for row in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return bool(inode) and any(row[6] == inode[1] and int(row[3], 16) & 1 << 16 for row in rows)


def _watched(server, thread):
    """The descriptors in the epoll set that a thread waits for, if it does."""
    call = (thread / "syscall").read_text().split()
    info = Path(f"/proc/{server.pid}/fdinfo") / str(int(call[1], 16) if len(call) > 1 else -1)
    return re.findall(r"^tfd:\s+(\d+)", info.read_text(), re.M) if info.exists() else []


def loop_that_accepts(server):
    """The thread that waits for clients of a server with a Unix socket."""
    def find():
        for thread in Path(f"/proc/{server.pid}/task").iterdir():
            if any(_listens(server, fd) for fd in _watched(server, thread)):
                return int(thread.name)
        return None
    return wait_until(find, "a loop waits")
