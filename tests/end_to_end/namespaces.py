"""namespaces: programs as process 1, as in a container."""
import os
import subprocess
from pathlib import Path

import pytest

from harness import LIMIT, wait_until


def in_a_pid_namespace(command):
    """A command as process 1 of a namespace of its own; skips where that is not allowed."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    if subprocess.run([*unshare, "true"], capture_output=True, timeout=LIMIT).returncode != 0:
        pytest.skip("no namespaces here")
    return [*unshare, *command]


def child_of(pid):
    return int(wait_until(Path(f"/proc/{pid}/task/{pid}/children").read_text, "it has a child").split()[0])
