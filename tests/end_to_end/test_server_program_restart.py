"""--control: `restart-workers`, under clients that must notice nothing; and what becomes of it when something fails."""
import json
import os
import signal
import threading

import pytest

from harness import Talkers, assert_stopped, scaled, wait_until
from workers import copies, gone

RESTARTS = scaled(10, 3)
DEPTH = 32
ECHO = "while read -r line; do echo \"$line\"; done"
SLOW_TO_START = "while [ -e flag ]; do sleep 0.01; done; " + ECHO
FAILING = "[ ! -e flag ] || exit 3; " + ECHO


class Operator:
    def __init__(self, bench, folder, server):
        self._bench = bench
        self.address = f"unix:{folder}/control"
        self._server = server

    def start(self, *options, **how):
        return self._server("--control", self.address, *options, **how)

    def connect(self):
        return self._bench.connect(self.address)

    def ask(self, command):
        client = self.connect()
        reply = client.ask(command).decode()
        client.close()
        return reply

    def workers(self):
        return json.loads(self.ask("workers"))

    def settled(self, count):
        """The processes of `count` workers, once all of them wait, and there are no others."""
        def right():
            workers = self.workers()
            return len(workers) == count and all(one["state"] in ("waits", "rests") for one in workers) and workers
        return {one["pid"] for one in wait_until(right, f"{count} workers wait")}


@pytest.fixture
def operator(bench, folder, server):
    return Operator(bench, folder, server)


# ---- under load

def talk(client, name, is_over, received_by):
    """Keeps so many requests under way, and holds each reply against its own."""
    sent = received = 0
    while not is_over.is_set() or received < sent:
        if not is_over.is_set() and sent < received + DEPTH:
            count = received + DEPTH - sent
            client.send_message(*(f"{name} {number}" for number in range(sent, sent + count)))
            sent += count
        assert client.readline() == b"%d %d" % (name, received)
        received_by[name] = received = received + 1


@pytest.mark.parametrize("options, kept", [
    (["-w", "1"], None),
    (["-w", "3"], None),
    (["-w", "2", "--ahead", "16"], None),
    (["-w", "2", "--tagged"], None),
    (["-w", "2", "--reply-end", "waits"], None),
    (["-w", "2", "--pty"], None),
    (["-w", "2", "--worker-per-client"], ", 4 belong to clients and stay"),
    (["-w", "2", "--worker-per-request"], ""),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
@pytest.mark.slow
def test_no_request_fails_and_no_reply_is_lost(operator, options, kept):
    banterd = operator.start("-q", "-q", *options, "--", "cat")
    count = int(options[1])
    is_over, received = threading.Event(), [0] * 4
    clients = [banterd.connect() for _ in range(4)]
    talkers = Talkers(lambda client, name: talk(client, name, is_over, received), clients, range(4))
    wait_until(lambda: all(received), "each client has a reply")
    seen = set()
    for _ in range(RESTARTS):
        before = {one["pid"] for one in operator.workers()}
        text = operator.ask("restart-workers")
        assert text == f"restarted {count}" if kept is None else text.endswith(kept or text), text
        if kept is None:
            after = {one["pid"] for one in operator.workers()}
            assert len(after) == count and not before & after and not seen & after
            seen |= before
    is_over.set()
    talkers.join()
    assert banterd.stop() == 0


def test_what_is_seen_of_it(operator):
    banterd = operator.start("-w", "2", "--", "cat")
    before = operator.settled(2)
    assert operator.ask("restart-workers") == "restarted 2"
    banterd.log.wait_line("Workers restarted: 2 of 2")
    assert not operator.settled(2) & before
    assert [(one["requests"], one["restarts"]) for one in operator.workers()] == [(0, 1)] * 2
    for pid in before:
        gone(pid)
    copies(banterd, 2)


@pytest.mark.parametrize("options", [["--worker-per-client"], ["--worker-per-request"],
                                     ["--worker-per-client", "--reply-end", "none"]], ids=" ".join)
def test_those_that_were_started_ahead(operator, options):
    banterd = operator.start("-w", "3", *options, "--", "cat")
    before = operator.settled(3)
    for _ in range(3):
        assert operator.ask("restart-workers") == "restarted 3"
        after = operator.settled(3)
        assert not after & before
        before = after
    assert set(copies(banterd, 3)) == before
    assert banterd.connect().ask("x") == b"x"


def test_a_clients_own_copy_stays(operator):
    banterd = operator.start("-w", "1", "--worker-per-client", "--", "sh", "-c", "while read -r x; do echo $$; done")
    client = banterd.connect()
    own = client.ask("x")
    operator.settled(2)
    assert operator.ask("restart-workers") == "restarted 1, 1 belong to clients and stay"
    assert client.ask("x") == own


# ---- what goes wrong

def test_a_program_that_fails_now(operator, folder):
    banterd = operator.start("-w", "2", "--", "sh", "-c", FAILING)
    before = operator.settled(2)
    (folder / "flag").touch()
    reply = operator.ask("restart-workers")
    assert reply.startswith("-ERR handler-failed restarted 0 of 2: worker ")
    assert reply.endswith(" stays, its successor has failed: the program ended with status 3")
    banterd.log.wait_for(r"^Worker \d stays, its successor has failed: the program ended with status 3$")
    banterd.log.wait_line("Workers restarted: 0 of 2")
    assert operator.settled(2) == before
    assert banterd.connect().ask("x") == b"x"
    (folder / "flag").unlink()
    assert operator.ask("restart-workers") == "restarted 2"


def test_one_at_a_time(operator, folder):
    operator.start("-w", "1", "--", "sh", "-c", SLOW_TO_START)
    operator.settled(1)
    (folder / "flag").touch()
    first = operator.connect()
    first.send_message("restart-workers")
    wait_until(lambda: len(operator.workers()) == 2, "the successor starts")
    assert operator.ask("restart-workers").startswith("-ERR ")
    first.close()
    (folder / "flag").unlink()
    operator.settled(1)
    wait_until(lambda: operator.ask("restart-workers") == "restarted 1", "the next one is accepted, and ends")


def test_a_successor_that_is_never_ready(operator, folder):
    banterd = operator.start("-w", "1", "--start-timeout", "0.3", "--", "sh", "-c", SLOW_TO_START)
    before = operator.settled(1)
    (folder / "flag").touch()
    assert operator.ask("restart-workers") == (
        "-ERR handler-failed restarted 0 of 1: worker 1 stays, its successor has failed: "
        "the program was not ready for a request within 300 ms")
    assert set(copies(banterd, 1)) == before


def test_a_stop_in_the_middle(operator, folder):
    banterd = operator.start("-w", "2", "--", "sh", "-c", SLOW_TO_START)
    operator.settled(2)
    (folder / "flag").touch()
    operator.connect().send_message("restart-workers")
    wait_until(lambda: len(operator.workers()) == 3, "a successor starts")
    client = banterd.connect()
    assert client.ask("x") == b"x"
    pids = copies(banterd, 3)
    banterd.send_signal(signal.SIGTERM)
    assert_stopped(client)
    assert banterd.wait() == 0
    for pid in pids:
        gone(pid)


def test_a_pause_in_the_middle(operator, folder):
    banterd = operator.start("-w", "2", "--start-timeout", "1", "--handler-timeout", "1", "--", "sh", "-c",
                             SLOW_TO_START)
    before = operator.settled(2)
    client = operator.connect()
    (folder / "flag").touch()
    client.send_message("restart-workers")
    wait_until(lambda: len(operator.workers()) == 3, "a successor starts")
    banterd.suspend()
    (folder / "flag").unlink()
    banterd.resume()
    assert client.readline() == b"restarted 2"
    assert not operator.settled(2) & before


def test_a_copy_that_stands_still(operator):
    banterd = operator.start("-w", "2", "--", "cat")
    before = operator.settled(2)
    pid = min(before)
    os.kill(pid, signal.SIGSTOP)
    assert operator.ask("restart-workers") == "restarted 2"
    assert not set(copies(banterd, 2)) & before


def test_a_copy_that_was_lost_is_tried_at_once(operator, folder):
    """Its next try would come in seconds."""
    banterd = operator.start("-w", "1", "--", "sh", "-c", FAILING)
    pid, = operator.settled(1)
    (folder / "flag").touch()
    os.kill(pid, signal.SIGKILL)
    banterd.log.wait_for("^All workers have failed again and again")
    (folder / "flag").unlink()
    assert operator.ask("restart-workers") == "restarted 1"
    assert banterd.connect().ask("x") == b"x"


def test_handlers_without_workers(operator):
    operator.start("-H", "echo")
    assert operator.ask("restart-workers") == '-ERR bad-request the handler "echo" has no workers'
    assert operator.workers() == []
