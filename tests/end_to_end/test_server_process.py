"""What a process inherits, and what it is given: SIGCHLD ignored, and orphans. A subreaper stands for process 1, which
needs privileges."""
import sys
from pathlib import Path

import pytest

from harness import BANTERD, Server, is_error, wait_until

BECOME_SUBREAPER = "import ctypes; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)"
IGNORE_SIGCHLD = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)"


@pytest.fixture
def started_as(bench):
    """started_as(statement, options...): a server in whose process this Python has run before."""

    def start(statement, *options):
        become = f"import os, sys; {statement}; os.execv(sys.argv[1], sys.argv[1:])"
        return bench.start([sys.executable, "-c", become, BANTERD, "--listen", "127.0.0.1:0", *options], kind=Server)

    return start


def states_of_children(pid):
    """One letter for each child, by the thread that it belongs to."""
    states = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            try:
                states.append(Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2][0])
            except (FileNotFoundError, ProcessLookupError):
                pass
    return states


def test_orphans_do_not_stay_as_zombies(started_as):
    banterd = started_as(BECOME_SUBREAPER, "-q", "-w", "1", "--", "sh", "-c",
                         "while read -r line; do (sleep 0 & sleep 0 &); echo $line; done")
    client = banterd.connect()
    for number in range(30):
        assert client.ask(f"{number}") == b"%d" % number
    wait_until(lambda: states_of_children(banterd.pid) == ["S"], "only the copy is left")


def test_copies_that_end_are_still_seen_to_end(started_as):
    """Whoever waits for orphans does not take the exit status of a copy."""
    banterd = started_as(BECOME_SUBREAPER, "-q", "--worker-per-request", "--", "sh", "-c",
                         'read -r status; sleep 0 & echo "$status"; exit "$status"')
    client = banterd.connect()
    for _ in range(20):
        assert client.ask("0") == b"0"
        assert is_error(client.ask("3"), "handler-failed")


def test_sigchld_that_was_ignored(started_as):
    banterd = started_as(IGNORE_SIGCHLD, "-q", "--worker-per-request", "--", "sh", "-c",
                         'read -r status; echo "$status"; exit "$status"')
    client = banterd.connect()
    for _ in range(5):
        assert client.ask("0") == b"0"
        assert is_error(client.ask("3"), "handler-failed")
