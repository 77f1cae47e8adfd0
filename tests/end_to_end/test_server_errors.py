"""Replies that report an error: -ERR and its code, in the place of the answer. --max-message.
(Time-outs are in test_server_timeouts.py.)"""
import re

import pytest

import harness
from harness import assert_replies, is_error


@pytest.mark.parametrize("sent, offset", [
    (b"\xff", 0),
    (b"abc\xff", 3),
    ("ünï".encode() + b"\xc3", 5),
    (b"\xed\xa0\x80", 0),          # a surrogate
    (b"ab\xc0\xafcd", 2),          # an overlong form
    (b"a\xf4\x90\x80\x80", 1),     # past U+10FFFF
])
def test_not_utf8_names_the_byte(server, sent, offset):
    banterd = server()
    client = banterd.connect()
    reply = client.ask(sent)
    assert is_error(reply, "not-utf8")
    assert str(offset) in re.findall(r"\d+", reply.decode())
    assert client.ask("Zack") == b"Hello ZACK"


@pytest.mark.parametrize("text, reply", [
    ("", "Hello "),
    ("Zack \t\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2003\u3000", "Hello ZACK"),
    ("straße", "Hello STRASSE"),
    ("ŉ ǰ ﬃ ΐ", "Hello " + "ŉ ǰ ﬃ ΐ".upper()),
    (" inner  spaces stay ", "Hello  INNER  SPACES STAY"),
    ("a\0b", "Hello A\0B"),
    ("日本語 🎉", "Hello 日本語 🎉"),
    ("àéîõü", "Hello ÀÉÎÕÜ"),
])
def test_hello_agrees_with_python(server, text, reply):
    banterd = server()
    client = banterd.connect()
    assert client.ask(text).decode() == reply == "Hello " + text.rstrip().upper()


@pytest.mark.parametrize("request_text", [
    "forget",
    r"reply two\nlines",
    r"reply ends in\r",
    r"reply \n",
    "error busy too many",
    "error denied to you",
    "error tls-required here",
    "error stopping soon",
    "reply -ERR busy",
    "reply -ERR busy and more",
    "reply -ERR stopping",
])
def test_handler_failed(server, request_text):
    """No answer, one that a line can't carry, or one with a code that is the server's alone."""
    banterd = server("-H", "test")
    client = banterd.connect()
    client.send_message("before", request_text, "behind")
    client.half_close()
    assert_replies(client.replies(), ["before", "-ERR handler-failed", "behind"])


@pytest.mark.parametrize("request_text, expected", [
    ("error bad-request not a number", b"-ERR bad-request not a number"),
    ("error unavailable nobody home", b"-ERR unavailable nobody home"),
    ("reply -ERR of-my-own text", b"-ERR of-my-own text"),
    ("reply -ERR", b"-ERR"),
    ("reply -ERRbusy", b"-ERRbusy"),
    ("reply -ERR busybody", b"-ERR busybody"),
    ("reply -ERR idle hands", b"-ERR idle hands"),
    (r"reply a\rb", b"a\rb"),
    (r"reply a\0b", b"a\0b"),
    (r"reply back\\slash", b"back\\slash"),
])
def test_what_handlers_may_say(server, request_text, expected):
    banterd = server("-H", "test")
    assert banterd.connect().ask(request_text) == expected


def test_netstring_carries_what_a_line_can_not(server):
    banterd = server("-H", "test", "--framing", "netstring")
    client = banterd.connect()
    assert client.ask(r"reply two\nlines\r") == b"two\nlines\r"
    assert is_error(client.ask("forget"), "handler-failed")
    assert is_error(client.ask("reply -ERR busy"), "handler-failed")


def test_the_largest_reply(server):
    """16 MiB whatever --max-message is; a byte more is no reply."""
    banterd = server("-H", "test", "-qq", "--max-message", "100")
    client = banterd.connect()
    client.send_message(f"size {16 << 20}", f"size {(16 << 20) + 1}", "behind")
    client.half_close()
    data = client.read_to_eof()
    big, failed, behind, rest = data.split(b"\n")
    assert len(big) == 16 << 20 and set(big) == {ord("x")}
    assert is_error(failed, "handler-failed")
    assert (behind, rest) == (b"behind", b"")


def test_a_second_answer_is_ignored_and_logged(server):
    banterd = server("-H", "test")
    client = banterd.connect()
    client.send_message("one", "twice of this", "two")
    client.half_close()
    assert client.replies() == [b"one", b"of this", b"two"]
    assert banterd.stop() == 0
    told = [line for line in banterd.log.lines
            if line.startswith("[1] ") and "Process" not in line and "Connect" not in line]
    assert len(told) == 1, banterd.log.text


def test_a_closed_session_does_not_mind_its_late_answers(server):
    banterd = server("-H", "test", "-q")
    count = harness.scaled(50, 10)
    for number in range(count):
        client = banterd.connect()
        client.send_message(*["later 100 x"] * 10, "hold")
        if number % 2:
            client.reset()
        else:
            client.close()
    client = banterd.connect()
    assert client.ask("later 300 fence") == b"fence"
    assert banterd.log.find(r"^Connection") == []
