"""The stop with programs: what is under way is answered, workers are asked to end, then terminated,
then killed; none outlives the server. --drain-timeout, --run-for."""
import signal

import pytest

import harness
from harness import assert_stopped, is_error, wait_until
from workers import WORKER, copies, gone, group_gone, process

MODES = pytest.mark.parametrize("mode", [["-w", "2"], ["--worker-per-client"]], ids=["shared", "per-client"])


def program(server, *command, workers=1, options=(), **how):
    return server("--workers", str(workers), *options, "--", *map(str, command), **how)


def processing(banterd, pattern, count=1):
    banterd.log.wait_for(r"Processing the input received from client: " + pattern, count)


def no_more_connects(banterd):
    def refused():
        try:
            harness.LineClient.to(banterd.address).close()
        except ConnectionError:
            return True
        return False
    wait_until(refused, "connects are refused")


@MODES
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_under_way_are_answered(server, folder, mode, number):
    banterd = server(*mode, "--drain-timeout", "1h", "--", WORKER)
    clients = [banterd.connect() for _ in range(3)]
    for client in clients:
        client.send_message("gate gate first", "second", "third")
        client.send("half a li")
    processing(banterd, "third$", 3)
    banterd.send_signal(number)
    no_more_connects(banterd)
    assert not any(client.readable() for client in clients)
    (folder / "gate").touch()
    for client in clients:
        assert_stopped(client, ["first", "second", "third"])
        client.close()
    assert banterd.wait() == 0
    assert banterd.log.lines[-1].endswith(" clients, 9 requests")  # and some that asked whether it still listens


@MODES
def test_the_end_of_the_input_is_a_program_s_sign_to_end(server, folder, mode):
    """It has time to tidy up, and is not signalled."""
    banterd = server(*mode, "--", WORKER, "log=log")
    client = banterd.connect()
    assert client.ask("hello") == b"hello"
    pids = copies(banterd)
    assert pids
    assert banterd.stop() == 0
    lines = (folder / "log").read_text().splitlines()
    assert lines == ["hello"] + ["eof"] * len(pids)
    assert not any(process(pid) for pid in pids)


@pytest.mark.slow
@MODES
def test_one_that_stays_is_terminated(server, folder, mode):
    banterd = server(*mode, "--drain-timeout", "3s", "--", WORKER, "log=log", "stay")
    assert banterd.connect().ask("hello") == b"hello"
    pids = copies(banterd)
    assert banterd.stop() == 0
    assert (folder / "log").read_text().splitlines() == ["hello"] + ["eof"] * len(pids) + ["term"] * len(pids)
    assert not any(process(pid) for pid in pids)


@pytest.mark.slow
@MODES
def test_one_that_ignores_everything_is_killed(server, folder, mode):
    banterd = server(*mode, "--drain-timeout", "3s", "--", WORKER, "log=log", "stay", "hard")
    client = banterd.connect()
    child = int(client.ask("child"))
    pids = copies(banterd)
    assert banterd.stop() == 0
    assert (folder / "log").read_text().splitlines() == ["child"] + ["eof"] * len(pids)
    for pid in pids:
        group_gone(pid)
    gone(child)


@pytest.mark.slow
@MODES
def test_a_stopped_copy_does_not_hold_up_the_stop(server, mode):
    banterd = server(*mode, "--drain-timeout", "1s", "--", WORKER)
    client = banterd.connect()
    client.send_message("signal STOP")
    processing(banterd, "signal STOP")
    pids = copies(banterd)
    banterd.send_signal(signal.SIGTERM)
    assert_stopped(client, ["-ERR handler-timeout"])
    client.close()
    assert banterd.wait() == 0
    for pid in pids:
        group_gone(pid)


def test_what_is_not_answered_in_time_is_refused(server):
    banterd = program(server, WORKER, options=["--drain-timeout", "500ms"])
    client = banterd.connect()
    client.send_message("now", "gate nothing", "behind", "it")
    assert client.readline() == b"now"
    processing(banterd, "it$")
    pid, = copies(banterd, 1)
    banterd.send_signal(signal.SIGTERM)
    assert_stopped(client, ["-ERR handler-timeout"])
    client.close()
    assert banterd.wait() == 0
    group_gone(pid)


def test_the_groups_end_with_what_they_have_started(server):
    banterd = program(server, WORKER, workers=3)
    client = banterd.connect()
    born = [int(client.ask("child")) for _ in range(6)]
    pids = copies(banterd, 3)
    client.close()
    assert banterd.stop() == 0
    for pid in pids:
        group_gone(pid)
    for pid in born:
        gone(pid)


@MODES
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_kills_the_groups(server, mode, number):
    banterd = server(*mode, "--drain-timeout", "1h", "--handler-timeout", "0", "--", WORKER, "stay", "hard",
                     expect_status=-number)
    client = banterd.connect()
    child = int(client.ask("child"))
    client.send_message("gate nothing")
    processing(banterd, "gate nothing")
    pids = copies(banterd)
    banterd.send_signal(number)
    no_more_connects(banterd)
    assert banterd.running
    assert banterd.stop(number) == -number
    for pid in pids:
        group_gone(pid)
    gone(child)


@MODES
def test_a_second_signal_while_programs_are_asked_to_end(server, mode):
    """No request is under way: it waits for programs alone."""
    banterd = server(*mode, "--drain-timeout", "1h", "--", WORKER, "stay", "hard", "log=log", expect_status=-15)
    assert banterd.connect().ask("hello") == b"hello"
    pids = copies(banterd)
    banterd.send_signal(signal.SIGTERM)
    no_more_connects(banterd)
    status = banterd.stop(signal.SIGTERM)
    assert status in (-15, 0)  # 0: it had ended by itself just before
    banterd.expect_status = status
    for pid in pids:
        group_gone(pid)


@MODES
def test_copies_do_not_outlive_a_server_that_is_killed(server, mode):
    banterd = server(*mode, "--", WORKER, "stay", "hard", expect_status=-signal.SIGKILL)
    client = banterd.connect()
    assert client.ask("hello") == b"hello"
    client.send_message("gate nothing")
    processing(banterd, "gate nothing")
    pids = copies(banterd)
    assert pids
    assert banterd.stop(signal.SIGKILL) == -signal.SIGKILL
    for pid in pids:
        gone(pid)


def test_copies_outlive_the_threads_that_come_and_go(server, folder):
    """Threads end; the copies that were started while they ran go on (a parent's death signal is a thread's)."""
    banterd = program(server, WORKER, workers=2, options=["-t", "2"])
    clients = [banterd.connect() for _ in range(10)]
    for client in clients:
        assert is_error(client.ask("exit 1"), "handler-failed")
        assert client.ask("fine") == b"fine"
    pids = copies(banterd, 2)
    for client in clients:
        client.close()
    client = banterd.connect()
    for number in range(200):
        assert client.ask(f"request {number}") == b"request %d" % number
    assert copies(banterd, 2) == pids


def test_the_stop_while_copies_are_being_replaced(server):
    """At any moment: it ends, with 0, and nothing is left."""
    for number in range(harness.scaled(10, 3)):
        banterd = program(server, WORKER, workers=4, options=["-q"])
        client = banterd.connect()
        client.send_message(*["exit 1"] * (3 * number))
        seen = set(copies(banterd))
        client.close()
        assert banterd.stop() == 0
        for pid in seen:
            group_gone(pid)


def test_run_for_ends_the_programs(server, folder):
    banterd = program(server, WORKER, "log=log", options=["--run-for", "300ms"])
    pid = int(banterd.log.wait_for(r"^Worker 1 started, process (\d+)$")[1])
    assert banterd.wait() == 0
    assert (folder / "log").read_text() == "eof\n"
    assert not process(pid)


def test_the_stop_while_it_is_unavailable(server):
    """A copy that waits out its back-off holds nothing up."""
    banterd = program(server, "sh", "-c", "[ -e used ] && exit 1; read -r x; touch used; exit 1", workers=2)
    client = banterd.connect()
    wait_until(lambda: is_error(client.ask("x"), "unavailable"), "no copy lives")
    assert banterd.stop() == 0


SLOW = 'while read -r id line; do echo "$line" >> begun; while [ "$line" = gate ] && [ ! -e gate ]; do sleep 0.01; done; echo "$id $line"; done'


@pytest.mark.parametrize("options, script", [
    (["-w", "1", "--tagged"], SLOW),
    (["-w", "1", "--ahead", "8"], SLOW.replace("id line", "line").replace("$id ", "")),
    (["--worker-per-client", "--ahead", "8"], SLOW.replace("id line", "line").replace("$id ", "")),
], ids=["tagged", "ahead", "per-client"])
def test_what_a_copy_was_given_and_has_not_read_was_not_begun(server, folder, options, script):
    """It is taken out of the copy's input, so that it will not be begun, either."""
    banterd = server(*options, "--drain-timeout", "300ms", "--", "sh", "-c", script)
    client = banterd.connect()
    client.send_message("a", "gate", *(f"behind {number}" for number in range(20)))
    wait_until(lambda: "gate" in (folder / "begun").read_text() if (folder / "begun").exists() else False, "it is begun")
    banterd.send_signal(signal.SIGTERM)
    replies = client.replies()
    (folder / "gate").touch()
    client.close()
    assert banterd.wait() == 0
    begun = (folder / "begun").read_text().splitlines()
    assert is_error(replies[-1], "stopping")
    assert len(replies) - 1 == len(begun)
    assert is_error(replies[-2], "handler-timeout")
    assert begun == ["a", "gate"]
