"""--request-timeout, --handler-timeout, --idle-timeout and --write-timeout.

If a time-out must not strike, a fence takes longer than it: a reply that the server gives late.
"""
import pytest

import harness
from harness import assert_replies, is_error


def dribble(client, data, pace=0.02):
    """Sends one byte at a time until something comes back."""
    for byte in data:
        client.send(bytes([byte]))
        if client.readable(pace):
            return
    raise AssertionError("nothing came back")


# ---- --request-timeout

def test_a_request_that_never_ends(server):
    banterd = server("--request-timeout", "200ms")
    client = banterd.connect()
    client.send("Zack\nhalf")
    assert_replies(client.replies(), ["Hello ZACK", "-ERR incomplete"])
    client.close()
    banterd.log.wait_for(r"^\[1\] Connection .* closed$")


def test_each_byte_does_not_give_new_time(server):
    banterd = server("--request-timeout", "200ms")
    client = banterd.connect()
    dribble(client, b"x" * 5000)
    assert_replies(client.replies(), ["-ERR incomplete"])


def test_a_netstring_that_never_ends(server):
    banterd = server("--request-timeout", "200ms", "--framing", "netstring")
    client = banterd.connect()
    client.send("4:Zack,100:half")
    assert_replies(client.replies(), ["Hello ZACK", "-ERR incomplete"])


def test_a_too_long_request_that_never_ends_has_its_one_answer(server):
    banterd = server("--request-timeout", "200ms", "--max-message", "10")
    client = banterd.connect()
    client.send("Zack\n" + "x" * 100)
    assert_replies(client.replies(), ["Hello ZACK", "-ERR too-long"])


def test_the_request_timeout_is_not_about_what_lies_between(server):
    """Neither a pause between requests nor the time of the handler counts."""
    banterd = server("-H", "test", "--request-timeout", "200ms")
    client = banterd.connect()
    assert client.ask("later 500 slow answer") == b"slow answer"
    banterd.fence(500)
    assert client.ask("go on") == b"go on"


@pytest.mark.slow
def test_each_request_has_its_own_time(server):
    banterd = server("-H", "test", "--request-timeout", "5s")
    client = banterd.connect()
    client.send("a")
    banterd.fence(2600)
    client.send("\nb")
    assert client.readline() == b"a"
    banterd.fence(2600)
    client.send("\n")
    assert client.readline() == b"b"


@pytest.mark.slow
def test_the_request_timeout_stands_still_while_the_server_does_not_read(server):
    banterd = server("-H", "test", "-qq", "--request-timeout", "3s")
    client = banterd.connect(receive_buffer=4096)
    messages = [f"{number} ".encode() + b"x" * 5000 for number in range(4000)]
    client.send_in_background(b"".join(map(client.frame, messages)), client.half_close)
    assert client.readable(harness.LIMIT)
    banterd.fence(4000)
    assert client.replies() == messages


def test_no_request_timeout(server):
    banterd = server("-H", "test", "--request-timeout", "0")
    client = banterd.connect()
    client.send("ha")
    banterd.fence(300)
    client.send("lf\n")
    assert client.readline() == b"half"


# ---- --handler-timeout

@pytest.mark.slow
def test_handler_timeout_in_its_place_and_the_late_answer_is_dropped(server):
    banterd = server("-H", "test", "--handler-timeout", "3s")
    client = banterd.connect()
    client.send_message("first", "later 4000 late", "later 0 second", "third")
    assert_replies(client.lines(4), ["first", "-ERR handler-timeout", "second", "third"])
    # Beyond the late answer's time, in steps that have time enough themselves.
    for number in range(4):
        assert client.ask(f"later 300 fence {number}") == f"fence {number}".encode()
    client.half_close()
    assert client.replies() == []


def test_handler_timeout_for_each_of_many(server):
    banterd = server("-H", "test", "-q", "--handler-timeout", "500ms")
    client = banterd.connect()
    client.send_message(*["hold", "ask"] * 80)  # more than may be under way
    client.half_close()
    assert_replies(client.replies(), ["-ERR handler-timeout", "ask"] * 80)


@pytest.mark.slow
@pytest.mark.parametrize("request_text", ["sleep 60000 late", "compute 60000 late"])
def test_handler_timeout_of_a_stalled_handler(server, request_text):
    banterd = server("-H", "test", "-t", "1", "--handler-timeout", "500ms", "--drain-timeout", "0", expect_status=2,
                     expect_stderr=".*")
    client = banterd.connect()
    client.send_message("first", request_text, "second")
    client.half_close()
    assert_replies(client.replies(), ["first", "-ERR handler-timeout", "second"])


def test_what_a_stalled_handler_answers_late_is_dropped(server):
    banterd = server("-H", "test", "-t", "1", "--handler-timeout", "500ms")
    client = banterd.connect()
    client.send_message("first", "meet 2 late", "second")
    assert_replies(client.lines(3), ["first", "-ERR handler-timeout", "second"])
    assert banterd.connect().ask("meet 2 other") == b"other"  # the first one returns, too
    banterd.log.wait_for(r"^\[1\] An answer was dropped: ")
    client.half_close()
    assert client.replies() == []


@pytest.mark.parametrize("times", [1, 4])
def test_a_call_that_has_refused_and_runs_on_does_not_keep_its_session(server, times):
    """The first one loses its loop, the others are called beside it."""
    banterd = server("-H", "test", "-t", "1", "--handler-timeout", "300ms", "--drain-timeout", "300ms",
                     expect_status=2, expect_stderr=".*")
    client = banterd.connect()
    client.send_message(*["error-and-sleep 100000 word because"] * times, "after", "--QUIT--")
    *refusals, after = client.replies()
    assert refusals == [b"-ERR word because"] * times
    assert after == b"after"
    assert banterd.stop() == 2


def test_no_handler_timeout(server):
    banterd = server("-H", "test", "--handler-timeout", "0")
    client = banterd.connect()
    assert client.ask("later 300 done") == b"done"


# ---- --idle-timeout

@pytest.mark.parametrize("codec", ["line", "crlf", "block", "netstring", "raw"])
def test_idle_sessions_are_closed_without_a_word(server, codec):
    banterd = server("--idle-timeout", "200ms", "--framing", codec)
    banterd.suspend()
    silent, talked = banterd.connect(), banterd.connect()
    talked.send_message("Zack")
    banterd.resume()
    assert talked.reply() == b"Hello ZACK"
    for client in (silent, talked):
        assert client.at_eof()
        client.close()
    banterd.log.wait_for(r"^\[\d\] Connection .* closed$", 2)


def test_nothing_is_idle_while_something_is_owed(server):
    banterd = server("-H", "test", "--idle-timeout", "200ms")
    banterd.suspend()
    client = banterd.connect()
    client.send_message("later 700 late", "sleep 300 stalled", "hello")
    banterd.resume()
    assert_replies(client.replies(), ["late", "stalled", "hello"])


@pytest.mark.slow
def test_a_session_is_not_idle_behind_a_handler_that_is_late(server):
    banterd = server("-H", "test", "--handler-timeout", "4s", "--idle-timeout", "3s")
    client = banterd.connect()
    assert is_error(client.ask("later 60000 late"), "handler-timeout")
    assert client.ask("still here") == b"still here"


def test_nothing_is_idle_while_something_is_half_received(server):
    banterd = server("-H", "test", "--idle-timeout", "300ms", "--request-timeout", "0")
    banterd.suspend()
    client = banterd.connect()
    client.send("ha")
    banterd.resume()
    banterd.fence(800)
    client.send("lf\n")
    assert_replies(client.replies(), ["half"])


def test_nothing_is_idle_while_something_is_unsent(server):
    banterd = server("-H", "test", "-qq", "--idle-timeout", "200ms")
    banterd.suspend()
    client = banterd.connect(receive_buffer=4096)
    client.send_message("size 16000000")
    banterd.resume()
    assert client.readable(harness.LIMIT)
    banterd.fence(600)
    big, = client.replies()
    assert len(big) == 16000000


@pytest.mark.slow
def test_requests_keep_a_session_from_being_idle(server):
    banterd = server("-H", "test", "--idle-timeout", "4s")
    client = banterd.connect()
    for number in range(4):
        banterd.fence(1100)
        assert client.ask(f"still here {number}") == f"still here {number}".encode()


def test_no_idle_timeout(server):
    banterd = server("-H", "test", "--idle-timeout", "0")
    client = banterd.connect()
    banterd.fence(300)
    assert client.ask("still here") == b"still here"


# ---- --write-timeout

def never_reads(banterd, **how):
    """A client that has asked for much more than the kernel takes, and has not read on."""
    client = banterd.connect(**how)
    client.send_message(*["size 4000000"] * 8)
    assert client.readable(harness.LIMIT)
    return client


def test_a_client_that_never_reads_is_closed(server):
    banterd = server("-H", "test", "-q", "--write-timeout", "300ms")
    client = never_reads(banterd, receive_buffer=4096)
    banterd.log.wait_for(r"^\[1\] Connection .* closed$")
    try:
        size = len(client.read_to_eof())
    except ConnectionResetError:
        size = 0
    assert size < 8 * 4000000


def test_no_write_timeout(server):
    banterd = server("-H", "test", "-q", "--write-timeout", "0")
    client = never_reads(banterd, receive_buffer=4096)
    banterd.fence(500)
    client.half_close()
    assert [len(reply) for reply in client.replies()] == [4000000] * 8


@pytest.mark.slow
@pytest.mark.parametrize("step", [3000000, 200000])
def test_a_slow_reader_is_not_one_that_never_reads(server, step):
    """Its output takes longer than the time-out in all, but the kernel takes some of it again and again,
    if only a little: less than what makes epoll report that there is room."""
    banterd = server("-H", "test", "-q", "--write-timeout", "4s")
    client = never_reads(banterd)
    client.half_close()
    size = 0
    for _ in range(7):
        banterd.fence(700)
        size += len(client.read(step))
    assert size + len(client.read_to_eof()) == 8 * 4000001
