"""A program's failure costs the one request that it had, and leaves nothing behind. --handler-
timeout."""
import os
import signal

import pytest

import harness
from harness import is_error, wait_until
from workers import WORKER, be_idle, children, copies, gone, group_gone, process, unread


def program(server, *command, workers=1, options=(), **how):
    return server("--workers", str(workers), *options, "--", *map(str, command), **how)


def start(server, *arguments, **how):
    """A server with one copy, and that copy's process."""
    banterd = program(server, WORKER, *arguments, **how)
    return banterd, copies(banterd, 1)[0]


@pytest.mark.slow
@pytest.mark.parametrize("message, code", [
    ("exit 0", "handler-failed"),
    ("exit 3", "handler-failed"),
    ("signal KILL", "handler-failed"),
    ("signal SEGV", "handler-failed"),
    ("signal PIPE", "handler-failed"),
    ("half an answer", "handler-failed"),
    ("close", "handler-failed"),
    ("child-exit 1", "handler-failed"),  # its output is still open in the process that it has left behind
    ("signal STOP", "handler-timeout"),
    ("hang for ever", "handler-timeout"),
    ("gate nothing late", "handler-timeout"),
])
def test_one_request_pays(server, message, code):
    options = ["--handler-timeout", "2s"] if code == "handler-timeout" else []
    banterd, old = start(server, options=options)
    client, other = banterd.connect(), banterd.connect()
    assert client.ask("before") == other.ask("before") == b"before"
    descriptors = banterd.descriptors()
    client.send_message(message)
    assert is_error(client.readline(), code)
    assert client.ask("after") == b"after"
    assert other.ask("another") == b"another"
    group_gone(old)
    new = copies(banterd, 1)[0]
    assert new != old
    wait_until(lambda: banterd.descriptors() == descriptors, "as many descriptors as before")
    banterd.log.wait_for(r"^Worker 1 is replaced: the program .")


def test_a_child_that_writes_on_for_ever(server):
    """The copy has ended, and its output has not."""
    banterd = program(server, "sh", "-c", 'read x; echo "$x"; echo .; yes & exit', options=["--reply-end", "line:."])
    client = banterd.connect()
    assert [client.ask(text) for text in ("one", "two", "three")] == [b"one", b"two", b"three"]


def test_how_a_copy_ended_is_known_even_if_sigchld_was_ignored(bench):
    """Whoever starts the server may ignore it, and the kernel then keeps nobody's status."""
    banterd = bench.start(["env", "--ignore-signal=CHLD", harness.BANTERD, "--listen", "127.0.0.1:0", "-w", "1", "--",
                           str(WORKER)], kind=harness.Server)
    assert is_error(banterd.connect().ask("exit 3"), "handler-failed")
    banterd.log.wait_for("replaced.*: the program ended with status 3")


def test_what_waits_behind_a_failure_is_answered(server):
    banterd = program(server, WORKER, workers=2)
    client = banterd.connect()
    client.send_message("1", "exit 1", "2", "half x", "3", "signal KILL", "4", "twice a b", "5")
    harness.assert_replies(client.lines(9), ["1", "-ERR handler-failed", "2", "-ERR handler-failed", "3",
                                             "-ERR handler-failed", "4", "-ERR handler-failed", "5"])


@pytest.mark.parametrize("write", ["echo unasked", "printf y"])
def test_what_nobody_asked_for_ends_the_copy(server, folder, write):
    """Its turn is over, but for something that it has left in the background."""
    banterd = program(server, "sh", "-c", 'while read -r x; do echo "$x"; [ "$x" != first ] || '
                                          f'(until [ -e gate ]; do sleep 0.01; done; {write}) & done')
    old, = copies(banterd, 1)
    client = banterd.connect()
    assert client.ask("first") == b"first"
    assert client.ask("second") == b"second"
    (folder / "gate").touch()
    group_gone(old)
    banterd.log.wait_for("replaced.*nobody had asked")
    assert [client.ask(str(number)) for number in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("signals", [[signal.SIGTERM, signal.SIGCONT], [signal.SIGKILL]], ids=["status 0", "killed"])
@pytest.mark.parametrize("mode, ready", [
    ([], "greets"), (["--reply-end", "waits"], "greets"), (["--worker-per-client"], "greets"),
    (["--worker-per-client", "--reply-end", "waits"], "greets"), (["--worker-per-request"], "started"),
], ids=lambda value: "-".join(value) if isinstance(value, list) else value)
def test_what_a_copy_has_not_read_goes_to_another_one(server, mode, ready, signals):
    """One that is shared, or was started ahead."""
    greeting = ["say=hello"] if ready == "greets" else []
    banterd = program(server, WORKER, *greeting, options=mode)
    old, = copies(banterd, 1)
    banterd.log.wait_for(f"^Worker 1 {ready}")
    os.kill(old, signal.SIGSTOP)
    wait_until(lambda: process(old).state == "T", "the copy is stopped")
    client = banterd.connect()
    client.send_message("read by another one")
    wait_until(lambda: unread(old) > 0, "the copy has been given the request")
    for number in signals:
        os.kill(old, number)
    assert client.readline() == b"read by another one"
    gone(old)


def test_the_whole_group_is_ended(server):
    """What the program has started ends with it, and what it started is not awaited."""
    banterd, old = start(server)
    client = banterd.connect()
    children_of_it = [int(client.ask("child")) for _ in range(3)]
    assert all(process(pid).group == old for pid in children_of_it)
    assert is_error(client.ask("exit 1"), "handler-failed")
    assert client.ask("next") == b"next"
    for pid in children_of_it:
        gone(pid)
    group_gone(old)


@pytest.mark.slow
def test_a_group_that_ignores_sigterm_is_killed(server, folder):
    banterd, old = start(server, "hard", options=["--handler-timeout", "3s"])
    client = banterd.connect()
    child = int(client.ask("child"))
    client.send_message("gate nothing")
    assert is_error(client.readline(), "handler-timeout")
    group_gone(old)
    gone(child)
    assert client.ask("next") == b"next"


def test_a_late_copy_is_told_with_sigterm_first(server, folder):
    banterd, old = start(server, "log=log", options=["--handler-timeout", "1s"])
    client = banterd.connect()
    client.send_message("gate nothing")
    assert is_error(client.readline(), "handler-timeout")
    group_gone(old)
    assert (folder / "log").read_text().splitlines()[:2] == ["gate nothing", "term"]


@pytest.mark.slow
def test_a_late_answer_reaches_nobody(server, folder):
    """The answer is written after the request's time, while the next requests wait."""
    banterd = program(server, WORKER, "hard", options=["--handler-timeout", "3s"])
    client = banterd.connect()
    client.send_message("gate gate LATE")
    assert is_error(client.readline(), "handler-timeout")
    client.send_message(*(f"next {number}" for number in range(20)))
    (folder / "gate").touch()
    assert client.lines(20) == [f"next {number}".encode() for number in range(20)]


@pytest.mark.slow
def test_the_wait_in_the_queue_counts(server, folder):
    """With one copy, which is busy for ever: whoever waits for it gives up as well, and not later."""
    banterd = program(server, WORKER, options=["--handler-timeout", "3s"])
    first, second = banterd.connect(), banterd.connect()
    first.send_message("gate nothing")
    banterd.log.wait_for("Processing .*gate nothing")
    second.send_message("waits", "waits too")
    assert is_error(first.readline(), "handler-timeout")
    # The copy is free again only when the first has been given up; these two may still have been in time.
    for reply, text in zip(second.lines(2), (b"waits", b"waits too")):
        assert reply == text or is_error(reply, "handler-timeout")
    assert second.ask("again") == b"again"


@pytest.mark.slow
def test_a_request_that_reaches_a_copy_late_does_not_end_it(server, folder):
    """It has its error in time; the copy has the time of a whole turn, and its answer reaches nobody."""
    banterd = program(server, WORKER, options=["--handler-timeout", "6s", "--idle-timeout", "500ms"])
    old, = copies(banterd, 1)
    first, second = banterd.connect(), banterd.connect()
    first.send_message("gate one first")
    banterd.log.wait_for("Processing .*gate one first")
    second.send_message("gate two second")
    for _ in range(6):  # half of the first one's time, which is the second one's behind its error
        be_idle(banterd)
    (folder / "one").touch()
    assert first.readline() == b"first"
    assert is_error(second.readline(), "handler-timeout")
    be_idle(banterd)
    (folder / "two").touch()
    assert banterd.connect().ask("pid") == b"%d" % old


@pytest.mark.slow
def test_a_request_that_waited_too_long_never_reaches_the_program(server, folder):
    """Two copies; both are busy until after the waiting request's time is over."""
    banterd = program(server, WORKER, "hard", "log=log", options=["--handler-timeout", "3s"])
    first, second = banterd.connect(), banterd.connect()
    first.send_message("gate nothing")
    banterd.log.wait_for("Processing .*gate nothing")
    second.send_message("waits")
    replies = first.readline(), second.readline()
    assert is_error(replies[0], "handler-timeout")
    if is_error(replies[1], "handler-timeout"):  # else its time began so much later that a new copy was there
        assert second.ask("last") == b"last"
        assert "waits" not in (folder / "log").read_text().splitlines()


def test_a_client_that_has_left_does_not_free_a_busy_copy_too_early(server, folder):
    """Its answer still belongs to its request, and must not become the next one's."""
    banterd, _ = start(server)
    first, second = banterd.connect(), banterd.connect()
    first.send_message("gate gate of the one who left")
    banterd.log.wait_for("Processing .*gate gate")
    first.reset()
    banterd.log.wait_for("Connection .* closed")
    second.send_message("mine")
    (folder / "gate").touch()
    assert second.readline() == b"mine"


def test_requests_of_a_client_that_has_left_are_not_run(server, folder):
    banterd, _ = start(server, "log=log")
    first, second = banterd.connect(), banterd.connect()
    second.send_message("gate gate first")
    # Two loops: what was logged first need not be what the copy gets first.
    wait_until(lambda: (folder / "log").exists() and (folder / "log").read_text() == "gate gate first\n",
               "the copy has the first request")
    first.send_message("never")
    banterd.log.wait_for("Processing .*never")
    first.reset()
    banterd.log.wait_for("Connection .* closed")
    (folder / "gate").touch()
    assert second.readline() == b"first"
    assert second.ask("last") == b"last"
    assert (folder / "log").read_text() == "gate gate first\nlast\n"


def test_an_idle_copy_that_dies_is_replaced_and_costs_nobody(server):
    banterd = program(server, WORKER, workers=3)
    client = banterd.connect()
    old = copies(banterd, 3)
    for number in range(3):
        assert client.ask(f"warm {number}") == b"warm %d" % number
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not set(copies(banterd, 3)) & set(old), "three new copies")
    for number in range(20):
        assert client.ask(f"request {number}") == b"request %d" % number


def test_nothing_is_left_of_many_deaths(server):
    """Descriptors, processes and zombies are as many as before."""
    banterd = program(server, WORKER, workers=4)
    client = banterd.connect()
    client.send_message(*["warm"] * 20)
    assert client.lines(20) == [b"warm"] * 20
    copies(banterd, 4)
    descriptors, threads = banterd.descriptors(), banterd.threads()
    for number in range(30):
        # An answer each time, so that no copy fails fast.
        client.send_message("child", "fine", "exit 1", "fine", "half x", "fine", "signal KILL", "fine")
        replies = client.lines(8)
        assert [reply for reply in replies[1::2]] == [b"fine"] * 4
        assert [is_error(reply, "handler-failed") for reply in replies[2::2]] == [True] * 3
    copies(banterd, 4)
    wait_until(lambda: banterd.descriptors() == descriptors, f"{descriptors} descriptors again")
    wait_until(lambda: banterd.threads() <= threads + 1, f"{threads} threads again")
    groups = {one.group for one in children(banterd)}
    assert len(groups) == 4


# Back-off

@pytest.mark.slow
def test_fast_failures_make_it_unavailable_and_it_comes_back(server, folder):
    (folder / "good").touch()
    banterd = program(server, WORKER, f"need={folder}/good", "log=log", workers=2)
    client = banterd.connect()
    client.send_message("number gate", "number gate")
    wait_until(lambda: (folder / "log").exists() and (folder / "log").read_text() == "number gate\n" * 2,
               "both copies have started")
    (folder / "gate").touch()
    assert sorted(client.lines(2)) == [b"1", b"2"]
    (folder / "good").unlink()
    for pid in copies(banterd, 2):
        os.kill(pid, signal.SIGKILL)
    # One that meets a copy just before its end fails with it; others wait while there is hope.
    wait_until(lambda: is_error(client.ask("hopes"), "unavailable"), "no copy lives")
    for _ in range(5):
        assert is_error(client.ask("at once"), "unavailable")
    (folder / "good").touch()
    wait_until(lambda: client.ask("again") == b"again", "it works again", limit=3 * harness.LIMIT)
    copies(banterd, 2)


def test_a_program_that_never_lives_is_not_started_without_end(server, folder):
    """Five times at first, each time later, then each 5 seconds: not thousands of times."""
    banterd = program(server, "sh", "-c", "echo x >>started; [ -e used ] && exit 1; touch used; read -r x; exit 1",
                      workers=1)
    client = banterd.connect()
    assert is_error(client.ask("x"), "handler-failed")
    wait_until(lambda: is_error(client.ask("x"), "unavailable"), "no copy lives")
    for _ in range(100):
        assert is_error(client.ask("x"), "unavailable")
    assert 5 <= len((folder / "started").read_text().splitlines()) <= 6


def test_what_waits_when_the_last_hope_goes_is_refused(server):
    """At once, though its time is not over."""
    banterd = program(server, "sh", "-c", "[ -e used ] && exit 1; touch used; read -r x; exit 1")
    client = banterd.connect()
    client.send_message(*["x"] * 60)
    replies = client.lines(60)
    assert is_error(replies[0], "handler-failed")
    assert all(is_error(reply, "unavailable") for reply in replies[1:])


def test_one_answer_makes_all_well_again(server, folder):
    """An answer, four fast failures, an answer, and so on: never five in a row."""
    (folder / "left").write_text("0\n")
    banterd = program(server, "sh", "-c", 'read -r n <left; if [ "$n" -gt 0 ]; then echo $((n - 1)) >left; exit 1; fi; '
                                          'read -r x; echo 4 >left; echo "$x"')
    client = banterd.connect()
    for number in range(5):
        reply = client.ask(f"answer {number}")  # it may be given to the copy that is about to end
        assert reply == b"answer %d" % number or is_error(reply, "handler-failed"), reply


def test_one_copy_that_fails_does_not_make_the_others_unavailable(server):
    banterd = program(server, "sh", "-c", '[ "$BANTER_WORKER" = 1 ] && exit 1; exec cat', workers=2)
    client = banterd.connect()
    replies = [client.ask(f"request {number}") for number in range(200)]
    # The few that meet that copy between its start and its end fail with it.
    failed = [reply for reply in replies if is_error(reply, "handler-failed")]
    assert len(failed) <= 8
    assert all(reply == b"request %d" % number or reply in failed for number, reply in enumerate(replies))


def test_crashes_that_requests_cause_are_no_fast_failures_of_others(server):
    """A request that kills each copy it meets: others are answered in between, and nothing becomes unavailable."""
    banterd = program(server, WORKER, workers=2)
    client = banterd.connect()
    for number in range(12):
        assert client.ask(f"fine {number}") == b"fine %d" % number
        assert is_error(client.ask("exit 1"), "handler-failed")
