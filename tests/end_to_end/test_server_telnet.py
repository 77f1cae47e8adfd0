"""--telnet: commands (RFC 854) in what clients send."""
import socket

import pytest

import harness
from harness import BANTERD, assert_replies

IAC, SB, SE, WILL, WONT, DO, DONT = (bytes([code]) for code in (255, 250, 240, 251, 252, 253, 254))
NOP, DATA_MARK, BREAK, INTERRUPT, ARE_YOU_THERE, GO_AHEAD = (bytes([code]) for code in (241, 242, 243, 244, 246, 249))
ECHO, SUPPRESS_GO_AHEAD, TERMINAL_TYPE, WINDOW_SIZE, TIMING_MARK = (bytes([code]) for code in (1, 3, 24, 31, 6))

# What is sent, and all that comes back.
COMMANDS = [
    (b"a\r\n", b"a\r\n"),
    (b"a" + IAC + NOP + b"b" + IAC + GO_AHEAD + b"\n", b"ab\n"),
    (IAC + ARE_YOU_THERE + IAC + BREAK + IAC + INTERRUPT + IAC + DATA_MARK + b"a\n", b"a\n"),
    (b"a" + IAC + IAC + b"b\n", b"a\xffb\n"),
    (IAC + IAC + IAC + IAC + b"\n", b"\xff\xff\n"),
    (IAC + DO + TIMING_MARK, IAC + WILL + TIMING_MARK),
    (IAC + DO + ECHO + IAC + WILL + WINDOW_SIZE, IAC + WONT + ECHO + IAC + DONT + WINDOW_SIZE),
    (IAC + WILL + TIMING_MARK, IAC + DONT + TIMING_MARK),
    (IAC + DONT + ECHO + IAC + WONT + ECHO + b"a\n", b"a\n"),
    (IAC + DO + IAC + b"a\n", IAC + WONT + IAC + b"a\n"),
    (IAC + SB + TERMINAL_TYPE + b"\0xterm\r\n" + IAC + SE + b"a\n", b"a\n"),
    (IAC + SB + WINDOW_SIZE + b"\0" + IAC + IAC + b"\0\x18" + IAC + SE + b"a\n", b"a\n"),
    (b"a\r\0b\n", b"a\rb\n"),
    (b"\r\0\0\n", b"\r\0\n"),
    (b"a\r\nb\0\n", b"a\r\nb\0\n"),
    (b"--QU" + IAC + NOP + b"IT--\nnot run\n", b""),
    (b"a\n" + IAC, b"a\n"),
    (b"a\n" + IAC + SB + b"never ended\n", b"a\n"),
]


@pytest.mark.parametrize("sent, expected", COMMANDS, ids=lambda value: value.hex())
@pytest.mark.parametrize("at_once", [True, False])
def test_commands(server, sent, expected, at_once):
    client = server("-H", "echo", "--telnet").connect()
    if at_once:
        client.send(sent)
    else:
        client.send_each(sent)
    client.half_close()
    assert client.read_to_eof() == expected


@pytest.mark.parametrize("codec, expected", [
    ("line", b"a\r\n"), ("crlf", b"a\r\n"), ("block", b"a\r\n.\r\n")])
def test_codecs(server, codec, expected):
    client = server("-H", "echo", "--telnet", "--framing", codec).connect()
    client.send(IAC + NOP + b"a\r\n")
    client.half_close()
    assert client.read_to_eof() == expected


@pytest.mark.parametrize("codec", ["netstring", "raw"])
def test_other_codecs_have_no_lines(bench, codec):
    ended = bench.run([BANTERD, "--telnet", "--framing", codec])
    assert ended == (64, b"", b"banterd: --telnet needs lines: --framing line, crlf or block; see banterd --help\n")


def test_without_the_option_commands_are_data(server):
    client = server("-H", "echo").connect()
    assert client.ask(b"a" + IAC + DO + TIMING_MARK) == b"a" + IAC + DO + TIMING_MARK


def test_commands_cost_no_request(server):
    banterd = server("-H", "echo", "--telnet", "-m", "5")
    client = banterd.connect()
    client.send(b"123" + (IAC + NOP) * 1000 + b"45\n")
    assert client.readline() == b"12345"
    client.send(IAC + DO + TIMING_MARK)
    assert client.read(3) == IAC + WILL + TIMING_MARK
    client.close()
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == "Server stopped after 1 clients, 1 requests"


def test_half_a_command_is_not_forgotten(server):
    """The session is not idle, and what it needs is not given back."""
    banterd = server("-H", "echo", "--telnet", "-t", "2", "--idle-timeout", "300ms")
    banterd.suspend()
    client = banterd.connect()
    client.send(IAC)
    other = banterd.connect()
    banterd.resume()
    assert other.at_eof()
    client.send(DO)
    client.send(ECHO + b"a\n")
    assert client.read(3) == IAC + WONT + ECHO
    assert client.readline() == b"a"


def test_half_a_command_must_end_in_time(server):
    client = server("--telnet", "--request-timeout", "100ms").connect()
    client.send(b"a\n" + IAC + SB)
    assert client.readline() == b"Hello A"
    assert client.at_eof()


def test_an_urgent_byte_stays_in_its_place(server):
    """The interrupt key of a telnet client sends IAC and an urgent data mark, then a timing mark, and shows nothing
    before that is answered."""
    client = server("-H", "echo", "--telnet").connect()
    client.send(b"a\r\n" + IAC + INTERRUPT + IAC)
    client.socket.send(DATA_MARK, socket.MSG_OOB)
    client.send(IAC + DO + TIMING_MARK + b"b\r\n")
    assert client.read(9) in (b"a\r\n" + IAC + WILL + TIMING_MARK + b"b\r\n", IAC + WILL + TIMING_MARK + b"a\r\nb\r\n")


def test_answers_do_not_run_into_replies(server):
    """Ahead of each other, with replies that come late."""
    client = server("-H", "test", "--telnet").connect()
    client.send((b"later 5 abc\n" + IAC + DO + ECHO) * 200)
    client.half_close()
    received = client.read_to_eof()
    assert received.count(IAC + WONT + ECHO) == 200
    assert received.replace(IAC + WONT + ECHO, b"") == b"abc\n" * 200


def test_options_cost_no_memory(server):
    banterd = server("-q", "--telnet")
    client = banterd.connect()
    before = banterd.memory()
    client.send_in_background(IAC + SB + b"x" * (8 << 20) + IAC + SE + b"Zack\n")
    assert client.readline() == b"Hello ZACK"
    assert banterd.memory() - before < harness.scaled(4, 64) << 20
