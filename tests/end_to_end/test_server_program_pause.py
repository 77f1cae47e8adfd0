"""--handler-timeout, --start-timeout and --drain-timeout of programs, after a pause of the whole server that is longer
than they are: it costs nobody a request, whether the copies have worked on meanwhile or not. How long the pause is,
another server says."""
import contextlib
import os

import pytest

pytestmark = pytest.mark.slow

TIMEOUT = "3s"
PAUSE_MS = 4000  # longer
LATER_MS = 300  # shorter than what is left
# Says what it has taken, and answers when the gate is open.
LINES = 'while read -r line; do echo "taken $line" >&2; : < "$0"; echo "$line"; done'
REQUEST = 'read -r line; echo "taken $line" >&2; : < "$0"; echo "$line"'
START = 'echo "taken" >&2; : < "$0"; exec cat'

KINDS = pytest.mark.parametrize("options, script", [
    pytest.param(["-w", "2"], LINES, id="shared"),
    pytest.param(["-w", "2", "--reply-end", "waits"], LINES, id="waits"),
    pytest.param(["-w", "2", "--ahead", "4"], LINES, id="ahead"),
    # One each, also if the other copy is not ready yet.
    pytest.param(["-w", "2", "--tagged", "--ahead", "1"], LINES, id="tagged"),
    pytest.param(["--worker-per-client"], LINES, id="per-client"),
    pytest.param(["--worker-per-request"], REQUEST, id="per-request"),
    pytest.param(["--worker-per-request", "-w", "2"], REQUEST, id="per-request-ahead"),
])
WHEN = pytest.mark.parametrize("when", ["meanwhile", "later"])


class Gate:
    """A FIFO: who opens it to read waits until it is open."""

    def __init__(self, folder):
        self.path = str(folder / "gate")
        os.mkfifo(self.path)
        self._fd = None

    def open(self):
        self._fd = os.open(self.path, os.O_RDWR)

    def close(self):
        if self._fd is not None:
            os.close(self._fd)


@pytest.fixture
def gate(folder):
    with contextlib.closing(Gate(folder)) as one:
        yield one


@pytest.fixture
def pause(server):
    """pause(banterd, meanwhile, later): the server stands still for longer than the time-out; and what is done while it
    does, and when it has gone on for a while."""
    clock = server("-H", "test", "-q")

    def stand_still(banterd, meanwhile=lambda: None, later=lambda: None):
        banterd.suspend()
        meanwhile()
        clock.fence(PAUSE_MS)
        banterd.resume()
        clock.fence(LATER_MS)
        later()

    return stand_still


def run(server, gate, script, *options, **how):
    return server("-t", "1", *options, "--", "sh", "-c", script, gate.path, **how)


def ask(banterd):
    """Two clients, whose requests are in copies."""
    clients = [banterd.connect() for _ in range(2)]
    for number, client in enumerate(clients):
        client.send_message(f"request {number}")
    banterd.log.wait_for("taken", len(clients))
    return clients


def assert_answered(clients):
    assert [client.readline() for client in clients] == [b"request 0", b"request 1"]
    for client in clients:
        client.close()


@KINDS
def test_what_was_answered_meanwhile_is_sent(server, pause, gate, options, script):
    banterd = run(server, gate, script, "--handler-timeout", TIMEOUT, *options)
    clients = ask(banterd)
    pause(banterd, gate.open)
    assert_answered(clients)


@KINDS
def test_the_time_of_a_request_stands_still(server, pause, gate, options, script):
    banterd = run(server, gate, script, "--handler-timeout", TIMEOUT, *options)
    clients = ask(banterd)
    pause(banterd, later=gate.open)
    assert_answered(clients)


@WHEN
def test_the_time_of_a_start_stands_still(server, pause, gate, when):
    banterd = run(server, gate, START, "-w", "1", "--start-timeout", TIMEOUT, ready=False)
    banterd.log.wait_for("taken")
    pause(banterd, **{when: gate.open})
    banterd.wait_ready()
    assert banterd.connect().ask("x") == b"x"


@WHEN
def test_the_time_of_a_sessions_own_start_stands_still(server, pause, gate, when):
    banterd = run(server, gate, START, "--worker-per-client", "--start-timeout", TIMEOUT)
    client = banterd.connect()
    client.send_message("x")
    banterd.log.wait_for("taken")
    pause(banterd, **{when: gate.open})
    assert client.readline() == b"x"


# ---- --reply-end none

TALKS = ["--worker-per-client", "--reply-end", "none"]


@WHEN
def test_what_a_program_still_writes_when_its_client_has_ended_is_sent(server, pause, gate, when):
    script = 'read -r line; read -r none; echo "taken" >&2; : < "$0"; echo "$line"'
    banterd = run(server, gate, script, "--drain-timeout", TIMEOUT, *TALKS)
    client = banterd.connect()
    client.send("x\n")
    client.half_close()
    banterd.log.wait_for("taken")
    pause(banterd, **{when: gate.open})
    assert client.replies() == [b"x"]
