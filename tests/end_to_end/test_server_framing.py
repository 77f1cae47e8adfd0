"""--framing and --max-message: what is a request, what is too long, what ends a session."""
import pytest

import harness
from harness import assert_replies, is_error

LONG = "-ERR too-long"
PART = "-ERR incomplete"
BAD = "-ERR bad-frame"
FAILED = "-ERR handler-failed"  # here: echo gives back what a line can't carry


def run_case(server, codec, limit, sent, expected):
    """The same bytes at once and one at a time give the same replies, and then the end of the stream."""
    banterd = server("-H", "echo", "--framing", codec, "--max-message", str(limit))
    for send_all in (True, False):
        client = banterd.connect()
        if send_all:
            client.send(sent)
        else:
            client.send_each(sent)
        client.half_close()
        assert_replies(client.replies(), expected)
        client.close()
    return banterd


# (limit, bytes, replies): after the bytes the client ends its half.
LINE = [
    (5120, b"", []),
    (5120, b"a\nb\n", ["a", "b"]),
    (5120, b"a\r\nb\r\n", ["a\r", "b\r"]),
    (5120, b"a\nb\r\nc\n", ["a", "b\r", "c"]),
    (5120, b"\n", [""]),
    (5120, b"\r\n", ["\r"]),
    (5120, b"\n\n\r\n\n", ["", "", "\r", ""]),
    (5120, b" \t \n", [" \t "]),
    (5120, b"a\rb\n", ["a\rb"]),
    (5120, b"\ra\n", ["\ra"]),
    (5120, b"a\r\r\n", [FAILED + "\r"]),
    (5120, b"a\0b\n\0\n", ["a\0b", "\0"]),
    (5120, b"\xff\xfe\n", [b"\xff\xfe"]),
    (5120, b"--QUIT--\n", []),
    (5120, b"--QUIT--\r\n", []),
    (5120, b"--QUIT-- \t \r\n", []),
    (5120, b"a\nb\n--QUIT--\nc\nd\n", ["a", "b"]),
    (5120, b"a\n--QUIT--\nhalf", ["a"]),
    (5120, b" --QUIT--\n", [" --QUIT--"]),
    (5120, b"--QUIT--x\n--quit--\nquit\n--QUIT-\n", ["--QUIT--x", "--quit--", "quit", "--QUIT-"]),
    (5120, b"say --QUIT-- please\n", ["say --QUIT-- please"]),
    (5120, b"a\nb", ["a", PART]),
    (5120, b"a\n\r", ["a", PART]),
    (5120, b"a\r\nb", ["a\r", PART + "\r"]),
    (5120, b"a\r\nb\nc", ["a\r", "b", PART]),
    (5120, b"a", [PART]),
    (5120, b"--QUIT--", [PART]),
    (1, b"a\nb\r\n\n\r\n", ["a", "b\r", "", "\r"]),
    (1, b"ab\na\n", [LONG, "a"]),
    (1, b"a\n\rb\nc\n", ["a", LONG, "c"]),
    (1, b"a\n--QUIT--\n", ["a"]),
    (1, b"--QUIT--" + b" " * 300 + b"\r\n", []),
    (1, b"--QUIT--x\na\n", [LONG, "a"]),
    (1, b"--QUIT\na\n", [LONG, "a"]),
    (1, b"ab", [LONG]),
    (5, b"12345\n123456\n12345\n", ["12345", LONG, "12345"]),
    (5, b"12345\r\n123456\r\n12345\r\n", ["12345\r", LONG + "\r", "12345\r"]),
    (5, b"1\r\n12345\r\r\n1234\r\r\n1234\n", ["1\r", LONG + "\r", FAILED + "\r", "1234"]),
    (5, b"1\n" + b"x" * 400 + b"\n2\n" + b"y" * 6 + b"\n" + b"z" * 40 + b"\n3\n", ["1", LONG, "2", LONG, LONG, "3"]),
    (5, b"1\n" + b"x" * 400, ["1", LONG]),
    (5, b"1\n--QUIT-- x\n2\n--QUIT-- \t\n3\n", ["1", LONG, "2"]),
    (5, b"1\n--QUIT-- x", ["1", LONG]),
    (5120, b"x" * 5120 + b"\n" + b"y" * 5121 + b"\nz\n", ["x" * 5120, LONG, "z"]),
    (5120, b"x" * 5120 + b"\r\n" + b"y" * 5121 + b"\r\nz\r\n",
     ["x" * 5120 + "\r", LONG + "\r", "z\r"]),
]

# What the server sends, as it is on the wire.
CRLF = [
    (5120, b"", b""),
    (5120, b"a\nb\r\n\n", b"a\r\nb\r\n\r\n"),
    (5120, b"a\n--QUIT--\nb\n", b"a\r\n"),
    (5, b"a\n123456\nb\n", b"a\r\n-ERR too-long a request may have 5 bytes\r\nb\r\n"),
    (5120, b"a\nb", b"a\r\n-ERR incomplete the stream ended before it did\r\n"),
]

BLOCK = [
    (5120, b"", b""),
    (5120, b"a\nb\n\n", b"a\n.\nb\n.\n.\n"),
    (5120, b"a\r\nb\n\r\n", b"a\r\n.\r\nb\n.\n.\r\n"),
    (5120, b".\n..\n.a\r\na.\n", b"..\n.\n...\n.\n..a\r\n.\r\na.\n.\n"),
    (5120, b"a\r\n--QUIT--\r\nb\n", b"a\r\n.\r\n"),
    (5, b"a\n123456\nb\n", b"a\n.\n-ERR too-long a request may have 5 bytes\n.\nb\n.\n"),
    (5120, b"a\r\nb", b"a\r\n.\r\n-ERR incomplete the stream ended before it did\r\n.\r\n"),
]

NETSTRING = [
    (5120, b"", []),
    (5120, b"5:Hello,", ["Hello"]),
    (5120, b"0:,1:a,0:,", ["", "a", ""]),
    (5120, b"12:a\nb\r\n\0c,d:5,,1:x,", [b"a\nb\r\n\0c,d:5,", "x"]),
    (5120, b"2:a\r,", ["a\r"]),
    (5120, b"3:abc,8:--QUIT--,3:def,", ["abc"]),
    (5120, b"11:--QUIT-- \t\n,1:a,", []),
    (5120, b"9:--QUIT--x,", ["--QUIT--x"]),
    (5120, b"3:abc,2:a", ["abc", PART]),
    (5120, b"3:abc,2:ab", ["abc", PART]),
    (5120, b"3:abc,2:", ["abc", PART]),
    (5120, b"3:abc,2", ["abc", PART]),
    (5120, b"3:abc,05:Hello,", ["abc", BAD]),
    (5120, b"3:abc,00:,", ["abc", BAD]),
    (5120, b"1:a,-1:a,", ["a", BAD]),
    (5120, b"1:a,+1:a,", ["a", BAD]),
    (5120, b"1:a, 1:a,", ["a", BAD]),
    (5120, b"1:a,1 :a,", ["a", BAD]),
    (5120, b"1:a,:a,", ["a", BAD]),
    (5120, b"1:a,1;a,", ["a", BAD]),
    (5120, b"1:a,1:ab,1:c,", ["a", BAD]),
    (5120, b"1:a,\n1:a,", ["a", BAD]),
    (5120, b"1:a,Hello\n", ["a", BAD]),
    (5120, b"\xff", [BAD]),
    (5, b"5:Hello,1:a,6:Hello!,1:b,", ["Hello", "a", LONG]),
    (5, b"1:a,10:0123456789,", ["a", LONG]),
    (5, b"1:a,99999999999999999999999999999999:", ["a", LONG]),
    (5, b"1:a,8:--QUIT--,1:b,", ["a"]),
    (5, b"1:a,8:--QUIT-x,1:b,", ["a", LONG]),
    (1, b"1:a,2:ab,", ["a", LONG]),
    (5120, b"5120:" + b"x" * 5120 + b",5121:" + b"y" * 5121 + b",", ["x" * 5120, LONG]),
]


def case_name(value):
    return repr(value if len(value) < 40 else value[:40]) if isinstance(value, bytes) else None


@pytest.mark.parametrize("limit, sent, expected", LINE, ids=case_name)
def test_line(server, limit, sent, expected):
    run_case(server, "line", limit, sent, expected)


@pytest.mark.parametrize("codec, limit, sent, expected",
                         [("crlf", *case) for case in CRLF] + [("block", *case) for case in BLOCK], ids=case_name)
def test_crlf_and_block(server, codec, limit, sent, expected):
    banterd = server("-H", "echo", "--framing", codec, "--max-message", str(limit))
    for send in (harness.LineClient.send, harness.LineClient.send_each):
        client = banterd.connect()
        send(client, sent)
        client.half_close()
        assert client.read_to_eof() == expected
        client.close()


def test_a_request_that_is_too_long_and_complete_ends_its_reply(server):
    client = server("-H", "echo", "--framing", "block", "--max-message", "5").connect()
    client.send(b"a\n123456\r\nb\n")
    client.half_close()
    assert client.read_to_eof() == b"a\n.\n-ERR too-long a request may have 5 bytes\r\n.\r\nb\n.\n"


@pytest.mark.parametrize("limit, sent, expected", NETSTRING, ids=case_name)
def test_netstring(server, limit, sent, expected):
    run_case(server, "netstring", limit, sent, expected)


@pytest.mark.parametrize("codec, sent", [
    ("netstring", b"1:a,x"), ("netstring", b"1:a,6:"), ("line", b"a\n--QUIT--\n"),
])
def test_the_server_closes_by_itself(server, codec, sent):
    """Without the client's half-close, and however much the client goes on sending: no reply is lost."""
    banterd = server("-H", "echo", "--framing", codec, "--max-message", "5")
    client = banterd.connect()
    client.send(sent + b"behind " * 20000)
    replies = client.replies()
    assert replies[0] == b"a"
    assert len(replies) == (2 if codec == "netstring" else 1)
    if codec == "netstring":
        assert is_error(replies[1], "too-long" if b"6:" in sent else "bad-frame")


def test_replies_arrive_though_the_client_sends_on_after_quit(server):
    """A close with unread input would be a reset, which destroys what is under way."""
    banterd = server("-q")
    count = harness.scaled(200, 20)
    for _ in range(10):
        client = banterd.connect()
        client.send(b"name\n" * count + b"--QUIT--\n" + b"not a request\n" * 2000)
        assert client.replies() == [b"Hello NAME"] * count
        client.close()
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == f"Server stopped after 10 clients, {10 * count} requests"


@pytest.mark.parametrize("floods", [False, True])
def test_the_end_does_not_wait_for_the_client(server, floods):
    """One that neither closes nor reads on, or sends on and on, is given a second."""
    banterd = server("--framing", "line")
    client = banterd.connect()
    client.send("Zack\n--QUIT--\n")
    if floods:
        client.send_in_background(b"x" * (200 << 20))
    assert client.readline() == b"Hello ZACK"
    banterd.log.wait_for(r"^\[1\] Connection .* closed$")


def test_too_long_is_told_when_the_limit_is_passed(server):
    """The reply does not wait for the end of the request; the log's line does, with the full size."""
    banterd = server("--max-message", "10")
    client = banterd.connect()
    client.send("x" * 11)
    assert is_error(client.readline(), "too-long")
    client.send("x" * 989 + "\nZack\n")
    assert client.readline() == b"Hello ZACK"
    banterd.log.wait_line("[1] Processed result: Hello ZACK")
    lines = banterd.log.lines
    told = [line for line in lines if "greater than expected" in line]
    assert told == ["[1] The input size is greater than expected 1000"]
    assert lines.index(told[0]) < lines.index("[1] Processing the input received from client: Zack")


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_the_logged_size_has_no_line_end(server, ending):
    banterd = server()
    client = banterd.connect()
    assert is_error(client.ask(b"x" * 6000 + ending[:-1]), "too-long")
    banterd.log.wait_line("[1] The input size is greater than expected 6000")


def test_too_long_at_the_end_of_the_stream_is_logged_with_its_size(server):
    banterd = server("--max-message", "10")
    client = banterd.connect()
    client.send("x" * 5000)
    client.half_close()
    assert_replies(client.replies(), [LONG])
    banterd.log.wait_line("[1] The input size is greater than expected 5000")


def test_a_very_long_request_costs_no_memory(server):
    banterd = server("-q")
    client = banterd.connect()
    before = banterd.memory()
    size = harness.scaled(64, 8) << 20
    client.send_in_background(b"x" * size + b"\nZack\n")
    assert is_error(client.readline(), "too-long")
    assert client.readline() == b"Hello ZACK"
    banterd.log.wait_line(f"[1] The input size is greater than expected {size}")
    assert banterd.memory() - before < harness.scaled(4, 64) << 20


def test_a_pipeline_of_small_requests_is_not_too_long(server):
    banterd = server("-q", "--max-message", "4")
    client = banterd.connect()
    client.send_in_background(b"Zack\n" * 5000, client.half_close)
    assert client.replies() == [b"Hello ZACK"] * 5000


def test_a_limit_as_a_size(server):
    banterd = server("-q", "-H", "echo", "-m", "64k")
    client = banterd.connect()
    assert client.ask("x" * 65536) == b"x" * 65536
    assert is_error(client.ask("x" * 65537), "too-long")


@pytest.mark.parametrize("codec", ["line", "crlf", "block", "netstring"])
def test_many_sizes_come_back_whole(server, codec):
    """Around powers of two and the engine's buffer sizes, ahead of each other."""
    banterd = server("-q", "-H", "echo", "--framing", codec, "--max-message", "1m")
    sizes = [size + delta for size in (1, 256, 4096, 16384, 65536, 131072, 262144, 1048575) for delta in (-1, 0, 1)]
    messages = [bytes([97 + number % 26]) * size for number, size in enumerate(sizes)]
    client = banterd.connect()
    client.send_in_background(b"".join(map(client.frame, messages)), client.half_close)
    assert client.replies() == messages


# ---- line ends


LATE = b"later 20 a\r\nlater 5 b\nc\r\nreply d\\ne\r\nf\nforget\r\nsleep 20 g\nh\r\n"


@pytest.mark.parametrize("count", [1, 20])
def test_each_reply_ends_as_its_own_request(server, count):
    """Also those that come late, wait behind others, run elsewhere, or are errors."""
    client = server("-H", "test").connect()
    client.send(LATE * count)
    client.half_close()
    assert_replies(client.replies(), ["a\r", "b", "c\r", FAILED + "\r", "f", FAILED + "\r", "g", "h\r"] * count)


def test_a_late_error_ends_as_its_request(server):
    client = server("-H", "test", "--handler-timeout", "50ms").connect()
    client.send(b"hold\r\nhold\nhold\r\nnow go on\n")
    late = "-ERR handler-timeout"
    assert_replies(client.lines(3), [late + "\r", late, late + "\r"])


def test_replies_at_the_stop_end_as_their_requests(server):
    banterd = server("-H", "test", "--drain-timeout", "50ms")
    client = banterd.connect()
    client.send(b"a\r\nhold\r\nhold\n")
    assert client.readline() == b"a\r"
    banterd.log.wait_for("client: hold$", 2)
    banterd.send_signal(15)
    assert_replies(client.replies(), ["-ERR handler-timeout\r", "-ERR handler-timeout", "-ERR stopping"])


@pytest.mark.parametrize("sent, end", [(b"", b"\n"), (b"a\n", b"\n"), (b"a\r\n", b"\r\n"), (b"a\r\nb\n", b"\n")])
@pytest.mark.parametrize("codec", ["line", "crlf", "block"])
def test_a_frame_that_answers_nothing_ends_as_the_last_request(server, codec, sent, end):
    banterd = server("-H", "echo", "--framing", codec)
    client = banterd.connect()
    client.send(sent)
    end = b"\r\n" if codec == "crlf" else end
    mark = b"." + end if codec == "block" else b""
    banterd.log.wait_for("Processed result|Connected with", 1 + sent.count(b"\n"))
    banterd.send_signal(15)
    text = client.read_to_eof()
    assert text.endswith(b"-ERR stopping the server is stopping" + end + mark)
    assert text.count(b"\n") == (sent.count(b"\n") + 1) * (2 if mark else 1)


def test_a_stop_is_told_in_a_netstring(server):
    banterd = server("-H", "echo", "--framing", "netstring")
    client = banterd.connect()
    client.send(b"1:a,5:half")
    assert client.read(4) == b"1:a,"
    banterd.send_signal(15)
    assert client.read_to_eof() == b"36:-ERR stopping the server is stopping,"


def test_a_stop_is_not_told_in_raw(server):
    """It would run together with a reply."""
    banterd = server("-H", "echo", "--framing", "raw")
    client = banterd.connect()
    client.send(b"a")
    assert client.receive() == b"a"
    banterd.send_signal(15)
    assert client.at_eof()


@pytest.mark.parametrize("first", [b"", b"a\n", b"a\r\n"])
def test_too_long_ends_as_its_request_if_that_is_all_there(server, first):
    """Otherwise its end is unknown: as the one before."""
    banterd = server("-H", "echo", "-m", "5")
    for end in (b"\n", b"\r\n"):
        client = banterd.connect()
        client.send(first + b"123456" + end)
        assert b"".join(client.lines(1 + (first != b""))).endswith(b"bytes" + end[:-1])
    client = banterd.connect()
    client.send(first + b"123456")
    assert b"".join(client.lines(1 + (first != b""))).endswith(b"bytes" + first[1:-1])


def test_the_last_line_end_is_kept_when_the_session_moves(server):
    banterd = server("-H", "test", "-t", "4", "--max-message", "12")
    clients = [banterd.connect() for _ in range(8)]
    for client in clients:
        assert client.ask(b"loop\r") in (b"0\r", b"1\r", b"2\r", b"3\r")
    for client in clients:
        assert client.ask(b"loops 1 a\r") == b"a\r"
        client.send(b"much too long for it")
        assert client.readline().endswith(b"bytes\r")


# ---- block


def test_a_reply_of_several_lines(server):
    client = server("-H", "test", "--framing", "block").connect()
    for text, reply in (("a\\nb", b"a\nb"), (".\\n..\\n.c", b".\n..\n.c"), ("\\n", b"\n"), ("a\\n", b"a\n")):
        assert client.ask("reply " + text) == reply
        assert client.ask("reply " + text + "\r") == reply
    client.send("reply a\\n.b\\n\r\n")
    assert client.read(13) == b"a\r\n..b\r\n\r\n.\r\n"


@pytest.mark.parametrize("text", ["a\\r", "a\\r\\nb", "\\r"])
def test_a_line_that_ends_in_cr_is_no_line_of_a_block(server, text):
    client = server("-H", "test", "--framing", "block").connect()
    assert client.ask("reply " + text) == (b"-ERR handler-failed the handler's reply can't be sent: it has a line that "
                                           b"ends in a carriage return")
    assert client.ask("b") == b"b"


def test_the_longest_block(server):
    """16 MiB, without the dots that stuff it."""
    banterd = server("-q", "-H", "echo", "--framing", "block", "-m", "17m")
    client = banterd.connect()
    most = 16 << 20
    client.send_in_background(b"." * most + b"\n" + b"." * (most + 1) + b"\n")
    assert client.reply() == b"." * most
    assert harness.is_error(client.reply(), "handler-failed")


# ---- raw


def test_raw_limit(server):
    banterd = server("-H", "echo", "--framing", "raw", "--max-message", "5")
    client = banterd.connect()
    assert client.ask("12345") == b"12345"
    assert is_error(client.ask("123456"), "too-long")
    assert client.ask("54321") == b"54321"
    client.send("--QUIT--")
    assert client.at_eof()
    banterd.log.wait_line("[1] The input size is greater than expected 6")
    client.close()
    assert banterd.stop() == 0


def test_raw_takes_line_ends_as_data(server):
    banterd = server("-H", "echo", "--framing", "raw")
    client = banterd.connect()
    assert client.ask(b"a\r\n\0b\n") == b"a\r\n\0b\n"
    client.half_close()
    assert client.at_eof()


def test_raw_cannot_carry_an_empty_reply(server):
    banterd = server("-H", "test", "--framing", "raw")
    client = banterd.connect()
    assert client.ask("size 0") == b"-ERR handler-failed the handler's reply can't be sent: it is empty"
    assert client.ask("go on") == b"go on"
