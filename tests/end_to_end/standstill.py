"""standstill: one thread of a server stands still, and the others go on. SIGSTOP would stop them all, so the thread is
traced, as a debugger does."""
import ctypes
import os
from contextlib import contextmanager
from pathlib import Path

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
