"""--framing crlf and block, as the client speaks and shows them."""
import pytest

import harness
from harness import BANNER, Run
from peers.scripted import Peer


def answering(*replies):
    """A server that sends these bytes, one for each line that it gets, and then ends."""
    def behave(connection):
        for reply in replies:
            connection.line()
            connection.send(reply)
        connection.wait_end()
    return behave


# ---- crlf


@pytest.mark.parametrize("script", [b"a\nb\n\n", b"a\r\nb\r\n\r\n", b"a\r\nb\n\r\n"])
def test_crlf_sends_cr_lf_and_takes_both(run_banter, script):
    with Peer(answering(b"1\n", b"2\r\n", b"\r\n")) as peer:
        assert run_banter("-c", peer.address, "-f", "crlf", input=script) == Run(0, b"1\n2\n\n", b"")
        assert peer.connection().received == b"a\r\nb\r\n\r\n--QUIT--\r\n"


def test_crlf_sends_a_long_line_in_pieces(run_banter):
    with Peer(answering(b"1\r\n", b"2\r\n")) as peer:
        run = run_banter("-c", peer.address, "-f", "crlf", input=b"x" * 1000000 + b"\r\nb")
        assert run == Run(0, b"1\n2\n", b"")
        assert peer.connection().received == b"x" * 1000000 + b"\r\nb\r\n--QUIT--\r\n"


@pytest.mark.parametrize("codec", ["crlf", "line"])
def test_both_sides_may_differ_in_their_line_ends(run_banter, server, codec):
    banterd = server("--framing", codec)
    for ours in ("line", "crlf"):
        assert run_banter("-c", banterd.address, "-f", ours, input="Zack\nPython\n") == \
            Run(0, b"Hello ZACK\nHello PYTHON\n", b"")


# ---- block

BLOCKS = b"a\nb\n.\n.\n..\n...c\n.\n\n.\n-ERR no such\n.\n"


@pytest.mark.parametrize("options", [(), ("--time",)])
def test_a_script_s_output_has_the_blocks_as_they_come(run_banter, options):
    with Peer(answering(b"a\nb\n.\n", b".\n", b"..\n...c\n.\n", b"\n.\n", b"-ERR no such\n.\n")) as peer:
        run = run_banter("-c", peer.address, "-f", "block", *options, input="1\n2\n3\n4\n5\n")
        assert (run.status, run.stdout) == (1, BLOCKS)
        assert run.stderr.endswith(b"1 error reply, to input line 5: -ERR no such\n")
        assert peer.connection().received == b"1\n2\n3\n4\n5\n--QUIT--\n"


def test_a_script_s_blocks_keep_their_line_ends(run_banter):
    with Peer(answering(b"a\r\n.\r\n", b"b\n.\n")) as peer:
        assert run_banter("-c", peer.address, "-f", "block", input="1\n2\n") == Run(0, b"a\r\n.\r\nb\n.\n", b"")


def test_messages_show_the_lines(run_banter):
    """No line, and one empty line, are the same message."""
    with Peer(answering(b"a\nb\n.\n", b".\n", b"..\r\n...c\r\n.\r\n", b"\n.\n", b"-ERR no such\n.\n", b"\n\n.\n")) as peer:
        run = run_banter("-c", peer.address, "-f", "block", "1", "2", "3", "4", "5", "6")
        assert run == Run(1, b"a\nb\n.\n..c\n-ERR no such\n\n\n", b"")


def test_a_terminal_shows_the_lines(at_terminal, server):
    pair = server("-H", "test", "--framing", "block")
    screen = at_terminal(pair, "--framing", "block")
    screen.enter("reply one\\n.\\n.three\\x1b[2J".replace("\\x1b", "\\\\e"))
    screen.wait_lines(BANNER, "-> reply one\\n.\\n.three\\\\e[2J", "one", ".", ".three\\e[2J", "->")
    screen.enter("reply ")
    screen.enter("quit")
    assert screen.wait_end() == 0
    assert screen.lines[5:8] == ["-> reply", "-> quit", f"Connection to {pair.address} closed"]


@pytest.mark.parametrize("how", ["script", "messages"])
def test_against_the_server(run_banter, server, how):
    banterd = server("-H", "test", "--framing", "block")
    asked = ["reply a\\n.\\nb", "later 10 c", "reply ", "reply \\n", ".", "error no such"]
    if how == "script":
        run = run_banter("-c", banterd.address, "-f", "block", input="\n".join(asked))
        assert (run.status, run.stdout) == (1, b"a\n..\nb\n.\nc\n.\n.\n\n\n.\n..\n.\n-ERR no such\n.\n")
    else:
        run = run_banter("-c", banterd.address, "-f", "block", "--", *asked)
        assert (run.status, run.stdout) == (1, b"a\n.\nb\nc\n\n\n.\n-ERR no such\n")


def test_many_blocks(run_banter, server):
    count = harness.scaled(50000, 2000)
    banterd = server("-qq", "-H", "echo", "--framing", "block")
    run = run_banter("-c", banterd.address, "-f", "block", input=b"".join(b".%d\n" % number for number in range(count)))
    assert run == Run(0, b"".join(b"..%d\n.\n" % number for number in range(count)), b"")


def test_an_unasked_block(run_banter):
    def refuse(connection):
        connection.send(b"-ERR busy too many clients, try again later\n.\n")
    with Peer(refuse) as peer:
        run = run_banter("-c", peer.address, "-f", "block", "a")
        assert (run.status, run.stdout) == (69, b"")
        assert b"-ERR busy too many clients, try again later" in run.stderr


@pytest.mark.parametrize("part", [b"a\n", b"a\n.", b"a", b"."])
def test_half_a_block_is_no_reply(run_banter, part):
    def cut(connection):
        connection.line()
        connection.send(b"whole\n.\n" + part)
        connection.end()
    with Peer(cut) as peer:
        run = run_banter("-c", peer.address, "-f", "block", "a", "b")
        assert (run.status, run.stdout) == (76, b"whole\n")
        assert b"no whole reply: " + part.replace(b"\n", b"\\n") + b"\n" in run.stderr
        assert b"the server closed it in the middle of a reply" in run.stderr
