"""--worker-per-client: each session has a worker to itself, which remembers."""
import os

import pytest

from harness import is_error, scaled
from workers import WORKER, children, copies, gone, group_gone, process, sessions_leave_nothing


def per_client(server, *command, options=(), **how):
    return server("--worker-per-client", *options, "--", *map(str, command), **how)


def test_state_is_the_session_s(server):
    banterd = per_client(server, "bc", "-lq")
    first, second = banterd.connect(), banterd.connect()
    # An assignment answers nothing, so each line ends with an expression.
    assert first.ask("x = 6; x") == b"6"
    assert second.ask("x") == b"0"
    assert second.ask("x = 7; x") == b"7"
    assert first.ask("x * 7") == b"42"
    assert second.ask("scale = 3; x / 2") == b"3.500"
    assert first.ask("scale") == b"20"


def test_a_copy_starts_with_the_first_request_and_ends_with_the_session(server):
    banterd = per_client(server, WORKER)
    clients = [banterd.connect() for _ in range(3)]
    banterd.log.wait_for("Connected with", 3)
    assert children(banterd) == []
    pids = [int(client.ask("pid")) for client in clients]
    assert sorted(pids) == copies(banterd, 3)
    assert [int(client.ask("pid")) for client in clients] == pids
    clients[1].close()
    group_gone(pids[1])
    assert copies(banterd, 2) == sorted([pids[0], pids[2]])
    clients[0].quit()
    group_gone(pids[0])
    assert copies(banterd, 1) == [pids[2]]


def test_a_session_s_end_is_the_end_of_the_program_s_input(server, folder):
    banterd = per_client(server, WORKER, "log=log")
    client = banterd.connect()
    assert client.ask("hello") == b"hello"
    pid, = copies(banterd, 1)
    client.close()
    group_gone(pid)
    assert (folder / "log").read_text() == "hello\neof\n"


@pytest.mark.parametrize("arguments", [["stay"], ["stay", "hard"]])
def test_one_that_stays_is_made_to_end(server, arguments):
    banterd = per_client(server, WORKER, *arguments)
    client = banterd.connect()
    child = int(client.ask("child"))
    pid, = copies(banterd, 1)
    client.close()
    group_gone(pid)
    gone(child)
    copies(banterd, 0)


def test_a_session_that_ends_in_the_middle_of_a_request(server):
    banterd = per_client(server, WORKER)
    client = banterd.connect()
    client.send_message("gate nothing", "behind")
    banterd.log.wait_for("Processing .*behind")
    pid, = copies(banterd, 1)
    client.reset()
    group_gone(pid)
    copies(banterd, 0)


def test_requests_sent_ahead_go_to_one_copy_in_order(server):
    banterd = per_client(server, WORKER, options=["-q"])
    clients = [banterd.connect() for _ in range(5)]
    count = scaled(500, 100)
    for client in clients:
        client.send_in_background(b"count\n" * count, client.half_close)
    for client in clients:
        assert client.replies() == [b"%d" % number for number in range(1, count + 1)]


def test_one_session_s_slow_copy_delays_no_other(server, folder):
    banterd = per_client(server, WORKER)
    slow, quick = banterd.connect(), banterd.connect()
    slow.send_message("gate gate slow")
    for number in range(50):
        assert quick.ask(f"quick {number}") == b"quick %d" % number
    assert not slow.readable()
    (folder / "gate").touch()
    assert slow.readline() == b"slow"


@pytest.mark.slow
@pytest.mark.parametrize("message, code", [("exit 1", "handler-failed"), ("signal KILL", "handler-failed"),
                                           ("half x", "handler-failed"),
                                           ("signal STOP", "handler-timeout")])
def test_a_failure_ends_the_session_behind_its_error(server, message, code):
    """What the copy knew of it is lost, and so what was asked behind is not run."""
    banterd = per_client(server, WORKER, options=["--handler-timeout", "2s"] if "time" in code else [])
    client, other = banterd.connect(), banterd.connect()
    old = int(client.ask("pid"))
    assert other.ask("count") == b"1"
    client.send_message("1", message, "2", "3")
    first, error = client.replies()
    assert first == b"1" and is_error(error, code)
    client.close()
    group_gone(old)
    assert other.ask("count") == b"2"
    copies(banterd, 1)


def test_many_sessions_leave_nothing(server):
    def each_has_a_group(clients):
        assert len({process(pid).group for pid in copies(banterd, len(clients))}) == len(clients)

    banterd = per_client(server, WORKER, options=["-q"])
    sessions_leave_nothing(banterd, lambda number, client: client.close() if number % 2 else client.reset(),
                           each_has_a_group)


def test_its_number_is_the_session_s(server):
    banterd = per_client(server, WORKER)
    clients = [banterd.connect() for _ in range(3)]
    numbers = [int(client.ask("worker")) for client in clients]
    assert numbers == [banterd.session(client) for client in clients]
    assert clients[1].ask("log it is me") == b"logged"
    banterd.log.wait_for(rf"\b{numbers[1]}\b.*: it is me$")


def test_descriptors_of_other_sessions_are_closed(server):
    """Else a program would never see the end of its input while another one lives."""
    banterd = per_client(server, "cat")
    clients = [banterd.connect() for _ in range(5)]
    assert [client.ask("x") for client in clients] == [b"x"] * 5
    pids = copies(banterd, 5)
    for pid in pids:
        assert set(os.listdir(f"/proc/{pid}/fd")) == {"0", "1", "2"}
    for left, client in zip(range(4, -1, -1), clients):
        client.close()
        copies(banterd, left)


def test_many_copies_that_need_longer_than_a_handler_may_take(server):
    """No request fails, whether it waits for the start or comes in it, and no copy is ended. Only as many start at a
    time as there are cores."""
    banterd = per_client(server, "sh", "-c", "sleep 1.5; exec cat", options=["--handler-timeout", "1s"])
    clients = [banterd.connect() for _ in range(4)]
    for client in clients:
        client.send_message("one", "two")
    banterd.log.wait_for(r"^Worker \d+ started")
    for client in clients:
        client.send_message("three")
    assert [client.lines(3) for client in clients] == [[b"one", b"two", b"three"]] * 4
    assert len(copies(banterd)) == 4
    assert not banterd.log.find("replaced")
