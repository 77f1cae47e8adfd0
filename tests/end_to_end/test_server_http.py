"""A web page as a client: what a browser sends is refused, and nothing in it is run. --framing, --telnet."""
import pytest

import harness

REFUSED = b"-ERR bad-request this is no HTTP server"
TOO_LONG = b"-ERR too-long a request may have 5120 bytes"

GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"
# A form with enctype text/plain holds whatever its page wants.
POST = b"POST /form HTTP/1.1\r\nContent-Type: text/plain\r\n\r\nrm -rf /\r\n"
LONG = b"POST /" + b"a" * 6000 + b" HTTP/1.1\r\nContent-Type: text/plain\r\n\r\nrm -rf /\r\n"
VERY_LONG = b"POST /" + b"a" * 300_000 + b" HTTP/1.1\r\nContent-Type: text/plain\r\n\r\nrm -rf /\r\n"

CODECS = ["line", "crlf", "block", "raw"]


def end(codec):
    return {"raw": b"", "block": b"\r\n.\r\n"}.get(codec, b"\r\n")


def nothing_was_run(banterd):
    assert banterd.stop() == 0
    assert banterd.log.text.count("Processing the input") == 0
    assert banterd.log.text.count("[1] The client speaks HTTP, and is refused") == 1


@pytest.mark.parametrize("sent", [GET, POST, LONG, GET.replace(b"1.1", b"1.0")], ids=["get", "post", "long", "1.0"])
@pytest.mark.parametrize("codec", CODECS)
def test_a_browser(server, codec, sent):
    banterd = server("-H", "echo", "--framing", codec)
    client = banterd.connect()
    client.send(sent)
    assert client.read_to_eof() == REFUSED + end(codec)
    client.close()
    nothing_was_run(banterd)


@pytest.mark.parametrize("codec", ["line", "crlf", "block"])
def test_the_end_comes_later(server, codec):
    """A line that is over the limit has its error before its end is there to show what it is."""
    banterd = server("-H", "echo", "--framing", codec, "--max-message", "20")
    client = banterd.connect()
    client.send(LONG[:60])
    assert harness.is_error(client.reply(), "too-long")
    client.send_each(LONG[6000:])
    assert client.read_to_eof().startswith(REFUSED)
    client.close()
    nothing_was_run(banterd)


@pytest.mark.parametrize("codec", ["line", "crlf", "block"])
def test_a_line_longer_than_a_read(server, codec):
    banterd = server("-H", "echo", "--framing", codec)
    client = banterd.connect()
    client.send(VERY_LONG)
    got = client.read_to_eof()
    client.close()
    assert REFUSED in got
    nothing_was_run(banterd)


def test_telnet(server):
    banterd = server("-H", "echo", "--telnet")
    client = banterd.connect()
    client.send(POST.replace(b"POST", b"PO\xff\xf1ST"))
    assert client.read_to_eof() == REFUSED + b"\r\n"
    client.close()
    nothing_was_run(banterd)


def test_a_netstring_is_none_anyway(server):
    banterd = server("-H", "echo", "--framing", "netstring")
    client = banterd.connect()
    client.send(POST)
    assert client.read_to_eof().startswith(b"60:-ERR bad-frame ")
    client.close()
    assert banterd.stop() == 0
    assert banterd.log.text.count("Processing the input") == 0


def test_programs(server):
    """Whatever the handler is."""
    banterd = server("-w", "1", "--", "cat")
    client = banterd.connect()
    client.send(POST)
    assert client.read_to_eof() == REFUSED + b"\r\n"
    client.close()
    nothing_was_run(banterd)


def test_more_requests_under_way_than_one(server):
    """Behind requests that are still to be answered it is not the first line, and data."""
    client = server("-H", "test").connect()
    client.send(b"later 1 one\nGET / HTTP/1.1\ntwo\n")
    assert [client.readline() for _ in range(3)] == [b"one", b"GET / HTTP/1.1", b"two"]


@pytest.mark.parametrize("first", [b"hello", b"", b"x" * 6000, b"GET /", b"HTTP/1.1"], ids=lambda value: str(len(value)))
def test_the_first_line_alone(server, first):
    client = server("-H", "echo").connect()
    client.send(first + b"\nGET / HTTP/1.1\nmore\n")
    assert client.readline() == (TOO_LONG if len(first) > 5120 else first)
    assert [client.readline() for _ in range(2)] == [b"GET / HTTP/1.1", b"more"]


def test_a_session_that_moves(server):
    """What its first line was is known in another loop too."""
    banterd = server("-H", "test", "--threads", "2")
    clients = [banterd.connect() for _ in range(8)]
    for count in (1, 2, 1, 2):
        assert clients[0].ask(f"loops {count} x") == b"x"
        for client in clients:
            assert client.ask("x HTTP/1.0 y") == b"x HTTP/1.0 y"
            assert client.ask("x HTTP/1.0") == b"x HTTP/1.0"


def test_the_end_of_stream_before_the_lines(server):
    """Without its end it is no line."""
    client = server("-H", "echo").connect()
    client.send(b"GET / HTTP/1.1")
    client.half_close()
    assert harness.is_error(client.readline(), "incomplete")
    assert client.at_eof()
