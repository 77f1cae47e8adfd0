"""banter MESSAGE...: operands are sent as given and answered in order; standard input is not read.
"""
import os
import socket
import subprocess
import time

import pytest

from harness import BANTER, Run
from peers.scripted import Peer, hello

pytestmark = pytest.mark.no_threads


def ask(run_banter, peer, *args, **how):
    return run_banter("--connect", peer.address, *args, **how)


def test_one_message(run_banter, peer):
    assert ask(run_banter, peer, "Zack") == Run(0, b"Hello Zack\n", b"")


def test_several_in_order(run_banter, peer):
    words = [f"word {number}" for number in range(200)]
    run = ask(run_banter, peer, *words)
    assert run == Run(0, "".join(f"Hello {word}\n" for word in words).encode(), b"")
    assert peer.connection().received.endswith(b"word 199\n--QUIT--\n")


def test_against_the_server(run_banter, server):
    for framing in ("line", "crlf", "block", "netstring", "raw"):
        run = run_banter("-c", server("-f", framing).address, "-f", framing, "Zack", "Python")
        assert run == Run(0, b"Hello ZACK\nHello PYTHON\n", b""), framing


@pytest.mark.parametrize("word", ["quit", "", " quit", "\\quit", "QUIT", "-", "\r x", "--quit--"])
def test_no_word_is_special(run_banter, peer, word):
    run = ask(run_banter, peer, "--", word)
    assert run == Run(0, f"Hello {word}\n".encode(), b"")


@pytest.mark.parametrize("word", ["-5", "-", "", "-.5"])
def test_no_option_has_this_form(run_banter, peer, word):
    assert ask(run_banter, peer, word, "x", word) == Run(0, f"Hello {word}\nHello x\nHello {word}\n".encode(), b"")


@pytest.mark.parametrize("words", [["-c", "other:8000"], ["--connect=other:8000"], ["-q"], ["--help"], ["--", "-x"],
                                   ["--nonsense"]])
def test_an_option_behind_a_message_is_refused(run_banter, peer, words):
    run = ask(run_banter, peer, "hello", *words)
    assert run == Run(64, b"", f"banter: {words[0]}: options stand in front of the messages; if it is one of them, "
                               "put -- in front of the first; see banter --help\n".encode())
    run = ask(run_banter, peer, "--", "hello", *words)
    assert run == Run(0, "".join(f"Hello {word}\n" for word in ["hello", *words]).encode(), b"")
    assert peer.connection().received == "".join(f"{word}\n" for word in ["hello", *words, "--QUIT--"]).encode()


def test_bytes_that_are_no_text(run_banter, peer):
    assert ask(run_banter, peer, os.fsdecode(b"\xff\x01\xc3")) == Run(0, b"Hello \xff\x01\xc3\n", b"")


def test_standard_input_is_not_touched(bench, peer):
    ours, its = socket.socketpair()
    with ours, its:
        ours.sendall(b"for the next program\n")
        program = bench.start([BANTER, "-c", peer.address, "Zack"], stdin=its)
        assert program.wait() == 0
        assert its.recv(100) == b"for the next program\n"


def test_standard_input_may_be_closed(bench, peer):
    run = bench.run(["sh", "-c", f'"{BANTER}" -c {peer.address} Zack <&-'])
    assert run == Run(0, b"Hello Zack\n", b"")


@pytest.mark.parametrize("framing, message, why", [
    ("line", "two\nlines", "it holds a line feed"),
    ("line", "cr\r", "it ends in a carriage return"),
    ("line", "--QUIT--", "--QUIT-- would end the session"),
    ("line", "--QUIT-- ", "--QUIT-- would end the session"),
    ("crlf", "two\nlines", "it holds a line feed"),
    ("crlf", "cr\r", "it ends in a carriage return"),
    ("block", "two\nlines", "it holds a line feed"),
    ("block", "cr\r", "it ends in a carriage return"),
    ("block", "--QUIT--", "--QUIT-- would end the session"),
    ("netstring", "--QUIT--", "--QUIT-- would end the session"),
    ("raw", "", "it is empty"),
    ("raw", "a--QUIT--b", "it holds --QUIT--, which would end the session"),
])
def test_what_the_framing_cannot_carry(run_banter, server, framing, message, why):
    address = server("-f", framing).address
    run = run_banter("-c", address, "-f", framing, "--", "before", message, "behind")
    assert run == Run(65, b"Hello BEFORE\n", f"banter: message 2 can't be sent: {why}\n".encode())


def test_address_from_the_environment(run_banter, peer):
    run = run_banter("Zack", env={"BANTER_ADDRESS": peer.address})
    assert run == Run(0, b"Hello Zack\n", b"")
    run = run_banter("-c", peer.address, "Zack", env={"BANTER_ADDRESS": "127.0.0.1:1"})
    assert run == Run(0, b"Hello Zack\n", b"")


def test_unix_socket(run_banter, folder):
    with Peer(hello, path=str(folder / "socket")) as peer:
        assert ask(run_banter, peer, "Zack") == Run(0, b"Hello Zack\n", b"")


def test_a_server_that_stays_open_after_quit_is_left_after_a_second(run_banter):
    def stay(connection):
        hello(connection)
        peer.hold()
    with Peer(stay) as peer:
        begin = time.monotonic()
        assert ask(run_banter, peer, "Zack") == Run(0, b"Hello Zack\n", b"")
        assert time.monotonic() - begin >= 0.9  # what would come in this second is not cut off


@pytest.mark.parametrize("said", [b"and again\n", b"without an end "])
def test_a_server_that_never_stops_sending_is_left_after_a_second(run_banter, said):
    """In all: what it sends does not buy it more time."""
    def chatter(connection):
        connection.line()
        connection.send(b"reply\n")
        while connection.line() is not None:
            pass
        while not peer.released.wait(0.01):
            connection.send(said)
    with Peer(chatter) as peer:
        begin = time.monotonic()
        run = ask(run_banter, peer, "Zack", limit=10)
        took = time.monotonic() - begin
    assert run.stdout == b"reply\n"
    assert took >= 0.9


def test_a_server_that_never_reads_the_word_is_left_after_a_second(run_banter):
    def deaf(connection):
        connection.line()
        connection.send(b"reply\n")
        peer.hold()
    with Peer(deaf) as peer:
        assert ask(run_banter, peer, "Zack") == Run(0, b"reply\n", b"")


def test_a_server_that_answers_once(run_banter):
    """A reply and the end of the stream in one."""
    def once(connection):
        connection.line()
        connection.send(b"once\r\n")
    with Peer(once) as peer:
        assert ask(run_banter, peer, "Zack") == Run(0, b"once\n", b"")


@pytest.mark.parametrize("color, expected", [
    ("auto", b"-ERR bad-request no\n"),
    ("never", b"-ERR bad-request no\n"),
    ("always", b"\033[31m-ERR bad-request no\033[0m\n"),
])
def test_color_in_a_pipe(run_banter, color, expected):
    def refuse(connection):
        for _ in connection.lines():
            connection.send(b"-ERR bad-request no\n")
    with Peer(refuse) as peer:
        assert ask(run_banter, peer, "--color", color, "x") == Run(1, expected, b"")


def test_replies_at_a_pipe_are_bytes(run_banter):
    def escape(connection):
        for _ in connection.lines():
            connection.send(b"\033[2J\0\xff\n")
    with Peer(escape) as peer:
        assert ask(run_banter, peer, "x").stdout == b"\033[2J\0\xff\n"


@pytest.mark.parametrize("number", [2, 15])
def test_signals_end_it_while_it_waits(bench, number):
    with Peer(lambda connection: peer.hold()) as peer:
        program = bench.start([BANTER, "-c", peer.address, "x"], stdin=subprocess.DEVNULL,
                              expect_status=-number)
        peer.connection()
        assert program.stop(number) == -number
