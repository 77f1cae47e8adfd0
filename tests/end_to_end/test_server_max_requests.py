"""--max-requests: what a session's last request is."""
import pytest

from harness import BANTERD, assert_replies

LONG = "-ERR too-long"

# --max-requests, what is sent, the replies.
ENDS = [
    (1, b"a\nb\nc\n", ["a"]),
    (2, b"a\nb\nc\n", ["a", "b"]),
    (3, b"a\nb\nc\n", ["a", "b", "c"]),
    (2, b"a\nb\nhalf", ["a", "b"]),
    (1, b"\nb\n", [""]),
    (2, b"123456\nb\nc\n", [LONG, "b"]),
    (2, b"a\n123456\nc\n", ["a", LONG]),
    (2, b"a\n123456", ["a", LONG]),
    (1, b"1234567890\r\nb\n", [LONG + "\r"]),
    (2, b"a\n--QUIT--\nb\n", ["a"]),
    (1, b"a\r\n--QUIT--\n", ["a\r"]),
]


@pytest.mark.parametrize("bound, sent, expected", ENDS, ids=lambda value: repr(value)[:30])
def test_nothing_is_taken_behind_the_last_one(server, bound, sent, expected):
    """The client needs not end its half."""
    banterd = server("-H", "echo", "-m", "5", "--max-requests", str(bound))
    client = banterd.connect()
    client.send(sent)
    assert_replies(client.replies(), expected)
    client.close()
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == f"Server stopped after 1 clients, {len(expected)} requests"


def test_one_by_one(server):
    """The count outlives the time in which the session is idle, and moves with it."""
    banterd = server("-H", "test", "-t", "4", "--max-requests", "5")
    clients = [banterd.connect() for _ in range(8)]
    for _ in range(2):
        for client in clients:
            assert client.ask("loop") in (b"0", b"1", b"2", b"3")
    for client in clients:
        assert client.ask("loops 1 a") == b"a"
        assert client.ask("b") == b"b"
        assert client.ask("c") == b"c"
        assert client.at_eof()


def test_late_replies_are_awaited(server):
    client = server("-H", "test", "--max-requests", "4").connect()
    client.send("later 30 a\nsleep 30 b\nlater 1 c\nforget\nnot run\n")
    assert_replies(client.replies(), ["a", "b", "c", "-ERR handler-failed"])


def test_a_call_that_loses_its_loop_may_be_the_last(server):
    banterd = server("-H", "test", "--max-requests", "1")
    client = banterd.connect()
    client.send("sleep 100 a\nnot run\n")
    assert client.replies() == [b"a"]
    assert not any("not run" in line for line in banterd.log.lines)


@pytest.mark.parametrize("codec, sent, expected", [
    ("netstring", b"1:a,1:b,1:c,", b"1:a,1:b,"), ("block", b"a\nb\nc\n", b"a\n.\nb\n.\n"),
    ("crlf", b"a\nb\nc\n", b"a\r\nb\r\n")])
def test_codecs(server, codec, sent, expected):
    client = server("-H", "echo", "--framing", codec, "--max-requests", "2").connect()
    client.send(sent)
    assert client.read_to_eof() == expected


def test_raw(server):
    client = server("-H", "echo", "--framing", "raw", "--max-requests", "2").connect()
    assert client.ask("a") == b"a"
    assert client.ask("b") == b"b"
    assert client.at_eof()


def test_the_size_of_a_last_request_that_is_too_long(server):
    """What has come of it."""
    banterd = server("--max-requests", "1", "-m", "5")
    for ending in (b"", b"\n", b"\r\n"):
        client = banterd.connect()
        client.send(b"1234567890" + ending)
        assert_replies([client.replies()[0].rstrip(b"\r")], [LONG])
    banterd.log.wait_for("The input size is greater than expected 10$", 3)


@pytest.mark.parametrize("bound, is_taken", [("0", False), ("32767", True), ("32768", False), ("x", False)])
def test_bounds(bench, bound, is_taken):
    ended = bench.run([BANTERD, "--max-requests", bound, "--help"])
    assert ended.status == (0 if is_taken else 64)
    assert is_taken or b"--max-requests" in ended.stderr


def test_as_many_as_can_be_counted(server):
    banterd = server("-qq", "-H", "echo", "--max-requests", "32767")
    client = banterd.connect()
    client.send_in_background(b"a\n" * 40000)
    assert client.replies() == [b"a"] * 32767


def test_many_short_sessions(server):
    banterd = server("-qq", "--max-requests", "1")
    for _ in range(200):
        client = banterd.connect()
        client.send(b"Zack\nPython\n" * 100)
        assert client.replies() == [b"Hello ZACK"]
        client.close()
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == "Server stopped after 200 clients, 200 requests"
