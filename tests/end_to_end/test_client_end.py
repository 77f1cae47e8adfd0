"""How a conversation ends with servers that others wrote. --quit-word, --half-close."""

import pytest

from harness import BANNER, Run
from peers.scripted import Peer

pytestmark = pytest.mark.no_threads


def answering_all(connection):
    """Knows no word for quit: each line has an answer."""
    while connection.fill():
        whole = connection.received[connection.taken:].split(b"\n")[:-1]
        connection.taken += sum(len(line) + 1 for line in whole)
        connection.send(b"".join(b"+" + line + b"\n" for line in whole))


def sorting(connection):
    """Answers at the end of its input."""
    connection.wait_end()
    connection.send(b"".join(sorted(connection.received.splitlines(True))))


# ---- --quit-word


@pytest.mark.parametrize("how", [("--", "a", "b"), ()])
@pytest.mark.parametrize("word, received", [("", b"a\nb\n"), ("QUIT", b"a\nb\nQUIT\n")])
def test_another_word_for_quit(run_banter, how, word, received):
    """Its answer counts for nothing."""
    with Peer(answering_all) as peer:
        run = run_banter("-c", peer.address, "--quit-word", word, *how, input=None if how else "a\nb\n")
        assert run == Run(0, b"+a\n+b\n", b"")
        assert peer.connection().received == received


def test_the_answer_to_the_usual_word_is_told(run_banter):
    with Peer(answering_all) as peer:
        run = run_banter("-c", peer.address, "a")
        assert run == Run(1, b"+a\n", f"banter: {peer.address}: unasked: +--QUIT--\n".encode())


@pytest.mark.parametrize("rest", [b"+OK", b"-ERR stopping\n", b"-ERR busy", b"+OK\n" * 100_000, b"\0"],
                         ids=lambda rest: repr(rest)[:20])
def test_anything_may_come_behind_another_word(run_banter, rest):
    def talkative(connection):
        connection.line()
        connection.send(b"one\n")
        connection.line()
        connection.send(rest)
    with Peer(talkative) as peer:
        assert run_banter("-c", peer.address, "--quit-word", "bye", "a") == Run(0, b"one\n", b"")


def test_without_end_behind_another_word(run_banter):
    def chatter(connection):
        connection.line()
        connection.send(b"one\n")
        connection.line()
        while not peer.released.wait(0.001):
            connection.send(b"more\nand ")
    with Peer(chatter) as peer:
        assert run_banter("-c", peer.address, "--quit-word", "bye", "a") == Run(0, b"one\n", b"")


@pytest.mark.parametrize("framing, sent", [("crlf", b"a\r\nBYE\r\n"), ("block", b"a\nBYE\n"),
                                           ("netstring", b"1:a,3:BYE,"), ("raw", b"aBYE")])
def test_the_word_is_framed(run_banter, framing, sent):
    replies = {"crlf": b"1\r\n", "block": b"1\n.\n", "netstring": b"1:1,", "raw": b"1"}

    def answer(connection):
        connection.fill()
        connection.send(replies[framing])
        connection.wait_end()
    with Peer(answer) as peer:
        assert run_banter("-c", peer.address, "-f", framing, "--quit-word", "BYE", "a") == Run(0, b"1\n", b"")
        assert peer.connection().received == sent


@pytest.mark.parametrize("framing, word, why", [("line", "a\nb", "it holds a line feed"),
                                                ("block", "a\r", "it ends in a carriage return")])
def test_a_word_that_cannot_be_sent_64(run_banter, framing, word, why):
    run = run_banter("-f", framing, "--quit-word", word, "a")
    assert run == Run(64, b"", f"banter: --quit-word can't be sent in this framing: {why}\n".encode())


def test_another_word_at_a_terminal(at_terminal):
    with Peer(answering_all) as peer:
        screen = at_terminal(peer, "--quit-word", "bye")
        screen.enter("Zack")
        screen.wait_lines(BANNER, "-> Zack", "+Zack", "->")
        screen.enter("quit")
        assert screen.wait_end() == 0
        assert screen.lines[-2:] == ["-> quit", f"Connection to {peer.address} closed"]
        assert peer.connection().received == b"Zack\nbye\n"


# ---- --half-close


@pytest.mark.parametrize("how", [("--", "b", "a"), ()])
@pytest.mark.parametrize("framing", ["line", "crlf"])
def test_half_close(run_banter, how, framing):
    with Peer(sorting) as peer:
        run = run_banter("-c", peer.address, "--half-close", "-f", framing, *how, input=None if how else "b\na\n")
        assert run == Run(0, b"a\nb\n", b"")


def test_half_close_with_a_word(run_banter):
    """It goes before the end."""
    with Peer(sorting) as peer:
        run = run_banter("-c", peer.address, "--half-close", "--quit-word", "z", input="b\na\n")
        assert run == Run(0, b"a\nb\n", b"")
        assert peer.connection().received == b"b\na\nz\n"


@pytest.mark.parametrize("framing", ["line", "netstring", "raw", "block"])
def test_half_close_against_the_server(run_banter, server, framing):
    run = run_banter("-c", server("-f", framing).address, "-f", framing, "--half-close", "Zack", "Python")
    assert run == Run(0, b"Hello ZACK\nHello PYTHON\n", b"")


# ---- a server that says nothing


@pytest.mark.slow
@pytest.mark.parametrize("options, hint", [
    ([], "no reply for 5 s; if the server answers at the end of its input, use --half-close; "
         "if it waits for CR LF, use --framing crlf"),
    (["-f", "netstring"], "no reply for 5 s; if the server answers at the end of its input, use --half-close"),
    (["--half-close"], "no reply for 5 s; if it waits for CR LF, use --framing crlf"),
    (["--half-close", "-f", "netstring"], None),
    (["-q"], None),
])
def test_a_hint(run_banter, options, hint):
    """Once."""
    def mute(connection):
        connection.fill()
        peer.released.wait(7)
        connection.send(b"1:1," if "netstring" in options else b"1\n")
        connection.wait_end()
    with Peer(mute) as peer:
        expected = f"banter: {peer.address}: {hint}\n".encode() if hint else b""
        assert run_banter("-c", peer.address, *options, "a") == Run(0, b"1\n", expected)


@pytest.mark.slow
def test_no_hint_for_a_server_that_has_answered(run_banter):
    def slow(connection):
        connection.fill()
        connection.send(b"1\n")
        peer.released.wait(6)
        connection.send(b"2\n")
        connection.wait_end()
    with Peer(slow) as peer:
        assert run_banter("-c", peer.address, "a", "b") == Run(0, b"1\n2\n", b"")


@pytest.mark.slow
def test_a_hint_at_a_terminal(at_terminal, script):
    screen = at_terminal(script, columns=120)
    script.receive(screen, "x")
    screen.wait(lambda: any("no reply for 5 s; if it waits for CR LF, use --framing crlf" in line
                            for line in screen.lines), "the hint")
    script.send(b"1\n")
    screen.wait_last("1", "->")
