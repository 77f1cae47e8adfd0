"""plain: the client with plain pipes, for what must be written and read at a test's own pace; and its memory."""
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

from harness import BANTER, SLOW

# An instrumented program is a big one before it has done anything.
MEMORY_BOUND = 8 << 20 if not SLOW else 1 << 30


@contextmanager
def plain(bench, *args, **how):
    """The client with plain pipes, read by nobody but the test; it does not outlive it."""
    how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": bench.environment(), **how}
    with subprocess.Popen([BANTER, *args], **how) as program:
        try:
            yield program
        except BaseException:
            program.kill()
            raise


def peak_memory(pid):
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024
