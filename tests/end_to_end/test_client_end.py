"""How a conversation begins and ends with servers that others wrote. --quit-word, --half-close, --greeting."""
import select
import threading

import pytest

from harness import BANNER, LIMIT, Run, is_ready
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


# ---- frames that nobody asked for


def saying(before, after=b""):
    """A server that says this at once, that behind the first line, and then ends."""
    def behave(connection):
        connection.send(before)
        connection.fill()
        connection.send(after)
    return behave


REFUSALS = [("busy too many", 69), ("denied you may not", 77), ("tls-required no", 69)]


@pytest.mark.parametrize("refusal, status", REFUSALS)
@pytest.mark.parametrize("framing, form", [("line", "%s\n"), ("block", "%s\n.\n"), ("raw", "%s"),
                                           ("crlf", "%s\r\n")])
def test_refused(run_banter, refusal, status, framing, form):
    """In place of the first reply, whether that is asked for or not."""
    text = form % f"-ERR {refusal}"
    for said in ((text.encode(), b""), (b"", text.encode())):
        with Peer(saying(*said)) as peer:
            run = run_banter("-c", peer.address, "-f", framing, "a")
            why = f"speaks TLS: ask tls:{peer.address}" if "tls" in refusal else f"-ERR {refusal}"
            assert run == Run(status, b"", f"banter: Connection Error: {peer.address}: {why}\n".encode())


@pytest.mark.parametrize("framing", ["netstring", "block"])
def test_tls_required_is_a_line_in_every_framing(run_banter, framing):
    with Peer(saying(b"", b"-ERR tls-required this address speaks TLS\n")) as peer:
        run = run_banter("-c", peer.address, "-f", framing, "a")
        assert run == Run(69, b"", f"banter: Connection Error: {peer.address}: speaks TLS: ask tls:"
                                   f"{peer.address}\n".encode())


@pytest.mark.parametrize("refusal", [*(refusal for refusal, _ in REFUSALS), "stopping"])
@pytest.mark.parametrize("framing, form", [("line", "%s\n"), ("block", "%s\n.\n"), ("netstring", "%d:%s,")])
def test_other_servers_say_so_in_replies(run_banter, refusal, framing, form):
    """More follows: the next reply; or nothing at all."""
    text = f"-ERR {refusal}"

    def frame(text):
        return (form % ((len(text), text) if framing == "netstring" else text)).encode()

    def another(connection):
        connection.fill()
        connection.send(frame(text))
        if len(asked) > 1:
            connection.send(frame("+OK"))
        connection.wait_end()
    for asked in (["a"], ["a", "b"]):
        with Peer(another) as peer:
            run = run_banter("-c", peer.address, "-f", framing, *asked)
            assert run == Run(1, f"{text}\n".encode() + b"+OK\n" * (len(asked) - 1), b"")


def test_a_later_refusal_is_a_reply(run_banter):
    def late(connection):
        connection.fill()
        connection.send(b"one\n-ERR busy\n")
    with Peer(late) as peer:
        assert run_banter("-c", peer.address, "a", "b") == Run(1, b"one\n-ERR busy\n", b"")


def test_stopping_without_a_request_left_is_no_loss(run_banter):
    """Everything was answered."""
    with Peer(saying(b"", b"one\n-ERR stopping\n")) as peer:
        assert run_banter("-c", peer.address, "a") == Run(0, b"one\n", b"")


def test_what_is_there_before_the_first_request_is_no_reply(start_banter):
    """Also if it is only half there."""
    said = threading.Event()

    def greet(connection):
        connection.send(b"220 rea")
        said.set()
        connection.fill()
        connection.send(b"dy\none\n")
        connection.wait_end()

    with Peer(greet) as peer:
        program = start_banter("-c", peer.address, expect_status=1,
                               expect_stderr=f"banter: {peer.address}: unasked: 220 ready\n"
                                             "banter: 1 input line sent, 1 reply received\n")
        peer.connection()
        program.suspend()  # what is there is read before anything is sent
        assert said.wait(LIMIT)
        program.type("a\n")
        program.end_input()
        program.resume()
        assert program.wait() == 1
        assert program.stdout.lines == ["one"]


# ---- --greeting


@pytest.mark.parametrize("greeting, shown", [(b"220 a\n", ["220 a"]), (b"1\n2\r\n", ["1", "2"])])
@pytest.mark.parametrize("how", [("a", "b"), ()])
def test_a_greeting(run_banter, greeting, shown, how):
    def greet(connection):
        connection.send(greeting)
        answering_all(connection)
    for quiet in ((), ("-q",)):
        with Peer(greet) as peer:
            run = run_banter("-c", peer.address, "--greeting", str(len(shown)), "--quit-word", "", *quiet, *how,
                             input=None if how else "a\nb\n")
            told = "".join(f"banter: {peer.address}: greeting: {line}\n" for line in shown)
            assert run == Run(0, b"+a\n+b\n", b"" if quiet else told.encode())


def test_requests_wait_for_the_greeting(start_banter):
    def greet(connection):
        assert not is_ready(connection.socket, select.POLLIN, 0.3)
        connection.send(b"220\n")
        answering_all(connection)
    with Peer(greet) as peer:
        program = start_banter("-c", peer.address, "-q", "--greeting", "1", "--quit-word", "")
        program.type("a\n")
        program.stdout.wait_line("+a")
        program.end_input()
        assert program.wait() == 0


def test_a_greeting_that_does_not_come_69(run_banter):
    with Peer(lambda connection: peer.hold()) as peer:
        run = run_banter("-c", peer.address, "--greeting", "1", "--connect-timeout", "200ms", "a")
        assert run == Run(69, b"", f"banter: Connection Error: {peer.address}: "
                                   "its greeting has not come in time\n".encode())


def test_an_end_before_the_greeting_69(run_banter):
    with Peer(lambda connection: connection.send(b"1\n")) as peer:
        run = run_banter("-c", peer.address, "-q", "--greeting", "2", "a")
        assert run == Run(69, b"", f"banter: Connection Error: {peer.address}: "
                                   "the server closed it before its greeting\n".encode())


def test_busy_in_place_of_the_greeting_69(run_banter):
    with Peer(lambda connection: connection.send(b"-ERR busy\n")) as peer:
        run = run_banter("-c", peer.address, "--greeting", "1", "a")
        assert run == Run(69, b"", f"banter: Connection Error: {peer.address}: -ERR busy\n".encode())


# ---- half a reply, and another framing


def test_half_a_reply_is_shown(run_banter):
    """As of the example in Python's documentation, which has no newline at the end."""
    def example(connection):
        connection.send(connection.line().upper() + b"\033")
    with Peer(example) as peer:
        run = run_banter("-c", peer.address, "hello", "world")
        assert (run.status, run.stdout) == (76, b"")
        assert run.stderr.startswith(f"banter: {peer.address}: no whole reply: HELLO\\x1b\n".encode())


@pytest.mark.parametrize("its, ours, shown", [("netstring", "line", r"-ERR bad-frame"),
                                              ("line", "netstring", r"-ERR incomplete")])
def test_a_server_with_another_framing(run_banter, server, its, ours, shown):
    address = server("-f", its).address
    run = run_banter("-c", address, "-f", ours, "--half-close", "Zack")
    assert (run.status, run.stdout) == (76, b"")
    assert f"banter: {address}: no whole reply: " in run.stderr.decode() and shown in run.stderr.decode()
    assert b"1 message sent, 0 replies received, 1 missing" in run.stderr
