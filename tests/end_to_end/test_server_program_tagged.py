"""--tagged: requests of any sessions are in a copy at once, each with an ID, and are answered in any order."""
import contextlib
import os
import random
import signal

import pytest

from harness import BANTERD, is_error, wait_until
from workers import PROGRAMS, be_idle, copies

TAGS = ["python3", "-IS", str(PROGRAMS / "tags.py")]
ENDED = b"-ERR handler-failed the program ended with status 3"
LATE = b"-ERR handler-timeout the handler has not answered in time"
HANGS = b"-ERR handler-failed the program has not answered in time"
SILENT = b"-ERR handler-failed the program has answered nothing; if it keeps its output in a buffer, see --pty"


def tagged(server, *options, workers=1, command=TAGS):
    return server("--tagged", "-w", str(workers), *options, "--", *command)


def in_the_copy(banterd, client, request):
    """Sends a request, and waits until the one copy has it: it has read all that others send behind it, too."""
    client.send_message(request)
    other = banterd.connect()
    wait_until(lambda: other.ask("x") == b"x" and _is_read(banterd, client), "the request is in the copy")
    other.close()


def _is_read(banterd, client):
    """Whether the server has read what the client has sent, and has given it on: it logs each request."""
    session = banterd.session(client)
    return banterd.log.find(rf"^\[{session}\] Processing the input received from client: ")


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("ahead", [[], ["--ahead", "1"], ["--ahead", "7"], ["--ahead", "1024"]],
                         ids=lambda options: "-".join(options))
def test_many_clients_and_requests_in_order(server, workers, ahead):
    banterd = tagged(server, "-q", *ahead, workers=workers, command=["cat"])
    clients = [banterd.connect() for _ in range(8)]
    for number, client in enumerate(clients):
        client.send_in_background(b"".join(b"%d  .%d \n" % (number, i) for i in range(1000)))
    for number, client in enumerate(clients):
        assert client.lines(1000) == [b"%d  .%d " % (number, i) for i in range(1000)]


def test_answers_come_in_any_order(server, folder):
    banterd = tagged(server)
    first, second = banterd.connect(), banterd.connect()
    first.send_message(f"gate {folder / 'gate'}", "after")
    for number in range(100):
        assert second.ask(f"{number}") == b"%d" % number
    assert second.ask("") == b""
    assert not first.readable()
    (folder / "gate").touch()
    assert first.lines(2) == [b"open", b"after"]


def test_not_more_than_ahead_are_in_a_copy(server, folder):
    banterd = tagged(server, "--ahead", "2")
    first, second, third = (banterd.connect() for _ in range(3))
    in_the_copy(banterd, first, f"gate {folder / 'first'}")
    second.send_message(f"gate {folder / 'second'}")
    third.send_message("x")
    assert not third.readable()
    (folder / "second").touch()
    assert (second.readline(), third.readline()) == (b"open", b"x")
    (folder / "first").touch()
    assert first.readline() == b"open"


def test_a_request_goes_to_the_copy_that_has_the_fewest(server, folder):
    banterd = tagged(server, workers=2)
    first, second = banterd.connect(), banterd.connect()
    in_the_copy(banterd, first, f"gate {folder / 'gate'}")
    pids = [second.ask("pid") for _ in range(20)]
    # The same one, from when both are ready.
    assert sum(pid != before for before, pid in zip(pids, pids[1:])) <= 1
    (folder / "gate").touch()
    assert first.readline() == b"open"


@pytest.mark.parametrize("request_, shown", [
    ("twice x", r"\d+ x"), ("bare hello", "hello"), ("bare 999999 x", "999999 x"), ("bare 0 x", "0 x"),
    ("bare 064 x", "064 x"), ("bare -1 x", "-1 x"), ("bare 99999999999999999999999 x", "99999999999999999999999 x"),
    ("bare ", ""), ("bare 64", "64"),
])
def test_a_wrong_id_ends_the_copy_and_fails_what_is_in_it(server, folder, request_, shown):
    banterd = tagged(server)
    old, = copies(banterd, 1)
    first, second = banterd.connect(), banterd.connect()
    in_the_copy(banterd, first, f"gate {folder / 'gate'}")
    second.send_message(request_)
    reply = first.readline()
    assert is_error(reply, "handler-failed") and b"begins with the ID of no request" in reply
    assert second.readline() in (b"x", reply)
    assert second.ask("y") == b"y"
    assert copies(banterd, 1) != [old]
    banterd.log.wait_for(f'^Worker 1 is replaced: the program has answered "{shown}", which begins')


def test_when_the_copy_ends_all_that_it_has_read_fails(server, folder):
    banterd = tagged(server)
    first, second = banterd.connect(), banterd.connect()
    in_the_copy(banterd, first, f"gate {folder / 'gate'}")
    assert second.ask("die") == ENDED
    assert first.readline() == ENDED
    assert second.ask("y") == b"y"


def test_what_the_copy_has_not_read_goes_to_another_one(server):
    banterd = tagged(server)
    old, = copies(banterd, 1)
    first, second = banterd.connect(), banterd.connect()
    first.send_message("stop")
    wait_until(lambda: open(f"/proc/{old}/stat").read().rsplit(")", 1)[1].split()[0] == "T", "the copy has stopped")
    second.send_message("a", "b")
    wait_until(lambda: _is_read(banterd, second), "the requests are read")
    os.kill(old, signal.SIGKILL)
    assert is_error(first.readline(), "handler-failed")
    assert second.lines(2) == [b"a", b"b"]


@pytest.mark.slow
def test_a_late_request_costs_itself_and_its_late_answer_is_dropped(server, folder):
    banterd = tagged(server, "--handler-timeout", "3s")
    old, = copies(banterd, 1)
    first, second = banterd.connect(), banterd.connect()
    first.send_message(f"gate {folder / 'gate'}")
    while not first.readable():
        assert second.ask("x") == b"x"
    assert first.readline() == LATE
    for number in range(20):
        assert second.ask(f"{number}") == b"%d" % number
    (folder / "gate").touch()
    assert first.ask(f"gate {folder / 'gate'}") == b"open"  # behind the late answer
    assert copies(banterd, 1) == [old]


@pytest.mark.slow
def test_a_request_that_reaches_a_copy_late_does_not_end_it(server, folder):
    banterd = tagged(server, "--ahead", "1", "--handler-timeout", "6s", "--idle-timeout", "500ms")
    old, = copies(banterd, 1)
    first, second = banterd.connect(), banterd.connect()
    first.send_message(f"gate {folder / 'one'}")
    banterd.log.wait_for("Processing .*gate .*/one")
    second.send_message(f"gate {folder / 'two'}")
    for _ in range(6):  # half of the first one's time, which is the second one's behind its error
        be_idle(banterd)
    (folder / "one").touch()
    assert first.readline() == b"open"
    assert second.readline() == LATE
    be_idle(banterd)
    (folder / "two").touch()
    assert banterd.connect().ask("pid") == b"%d" % old


@pytest.mark.slow
def test_a_late_request_that_is_alone_is_given_up(server):
    """As long as others are answered the copy goes on; when it has nothing else to do, it hangs."""
    banterd = tagged(server, "--handler-timeout", "3s")
    old, = copies(banterd, 1)
    first, second = banterd.connect(), banterd.connect()
    first.send_message("silent")
    while not first.readable():
        assert second.ask("x") == b"x"
    assert first.readline() == LATE
    assert second.ask("pid") == b"%d" % old
    banterd.log.wait_for("^Worker 1 is replaced: the program has not answered in time")
    assert second.ask("x") == b"x"


def test_the_time_of_one_whose_client_has_left(server, folder):
    banterd = tagged(server, "--handler-timeout", "500ms")
    first, second = banterd.connect(), banterd.connect()
    in_the_copy(banterd, first, f"gate {folder / 'gate'}")
    session = banterd.session(first)
    first.reset()
    banterd.log.wait_for(rf"^\[{session}\] .*closed")
    assert second.ask("silent") in (LATE, HANGS)  # which time is over first: its own, or that of the copy
    assert second.ask("x") == b"x"


def test_a_copy_that_hangs_is_replaced(server):
    banterd = tagged(server, "--handler-timeout", "500ms")
    old, = copies(banterd, 1)
    first, second = banterd.connect(), banterd.connect()
    assert first.ask("hang") == LATE
    assert second.ask("x") == b"x"
    assert copies(banterd, 1) != [old]


@pytest.mark.slow
def test_a_copy_that_leaves_all_that_it_has_unanswered_is_replaced(server):
    # The copy answers nothing as long as the machine has no time for it, or for who asks it.
    banterd = tagged(server, "--handler-timeout", "3s", "--ahead", "3")
    old, = copies(banterd, 1)
    first, second = banterd.connect(), banterd.connect()
    for _ in range(2):
        first.send_message("silent")
        while not first.readable(0.01):
            assert second.ask("x") == b"x"
        assert first.readline() == LATE
    assert copies(banterd, 1) == [old]
    assert first.ask("silent") in (LATE, HANGS)  # it hangs from when it has answered last
    assert second.ask("x") == b"x"
    assert copies(banterd, 1) != [old]


def test_a_copy_that_waits_for_more_has_nothing_to_say(server):
    banterd = tagged(server, command=[*TAGS[:1], "-ISu", *TAGS[2:], "line"])
    client = banterd.connect()
    assert client.ask("x") == b"x"
    old = copies(banterd, 1)
    client.send_message("a", "silent", "b")
    assert client.lines(3) == [b"a", SILENT, b"b"]
    assert copies(banterd, 1) == old


def test_a_program_that_keeps_its_output_in_a_buffer(server):
    banterd = tagged(server, command=["tr", "a-z", "A-Z"])
    client = banterd.connect()
    assert client.ask("x") == SILENT
    assert tagged(server, "--pty", command=["tr", "a-z", "A-Z"]).connect().ask("x") == b"X"


def test_a_client_that_leaves_costs_the_others_nothing(server, folder):
    banterd = tagged(server)
    old = copies(banterd, 1)
    client = banterd.connect()
    for _ in range(20):
        other = banterd.connect()
        other.send_message(f"gate {folder / 'gate'}", *["x"] * 20)
        other.close()
        assert client.ask("y") == b"y"
    (folder / "gate").touch()
    for number in range(20):
        assert client.ask(f"{number}") == b"%d" % number
    assert copies(banterd, 1) == old


def test_long_requests_and_answers(server):
    banterd = tagged(server, "-q", "-m", "1m", command=["cat"])
    client = banterd.connect()
    messages = [b"%d" % number + b"x" * size for number, size in enumerate([10, 60000, 65536, 500000, 0, 200000])]
    client.send_in_background(b"\n".join(messages) + b"\n")
    assert client.lines(len(messages)) == messages


@pytest.mark.parametrize("options", [["--tagged"], ["--ahead", "64"]], ids=["tagged", "ahead"])
def test_kills_under_load(server, options):
    """Every reply is the right one or an error."""
    banterd = server("-qq", "-w", "3", *options, "--", "cat")
    clients = [banterd.connect() for _ in range(6)]
    chance = random.Random(1)
    right = 0
    for turn in range(30):
        requests = [[f"{turn}.{number}.{i}" for i in range(60)] for number in range(len(clients))]
        for client, messages in zip(clients, requests):
            client.send_message(*messages)
        for pid in copies(banterd)[:chance.choice([0, 1, 1, 2])]:
            with contextlib.suppress(ProcessLookupError):  # it is being replaced
                os.kill(pid, signal.SIGKILL)
        for client, messages in zip(clients, requests):
            for message, reply in zip(messages, client.lines(len(messages))):
                assert reply == message.encode() or is_error(reply, "handler-failed") or is_error(reply, "unavailable")
                right += reply == message.encode()
    assert right > 1000


@pytest.mark.parametrize("options, named", [
    (["--tagged"], "--tagged"),
    (["--tagged", "--worker-per-client", "--", "cat"], "--worker-per-client"),
    (["--tagged", "--worker-per-request", "--", "cat"], "--worker-per-request"),
    (["--tagged", "--reply-end", "waits", "--", "cat"], "--reply-end"),
    (["--tagged", "--reply-end", "line:END", "--", "cat"], "--reply-end"),
    (["--tagged", "--reply-end", "line:END", "--request-end", "end", "--", "cat"], "--request-end"),
])
def test_options_that_do_not_fit(bench, options, named):
    result = bench.run([BANTERD, *options])
    text = result.stderr.decode()
    assert result.status == 64 and "--tagged" in text and named in text
