"""The services of one line on the README's first screen, with the real programs: whatever a client
sends, each line has one answer, and it is the right one."""
import re
import shlex

import pytest

import harness
import pages

README = (harness.TOP / "README.md").read_text()
SHOWN = [line for block in pages.blocks(README) for line in block.commands if " -- " in line]

LINES = [b"Zack", b"", b" ", b"20", b"20", b"-3", b'{"a": [1, 2]}', b"[1] 2", b"]", b"1 2 3", b'"\xc3\xa4"', b"quit",
         b"a\rb", b"\xc2\x85\xe2\x80\xa8", b"\0", b"\xff", b"'; exit #", b"$(exit)", b"\\n", b"x" * 4096, b"9" * 5000,
         b"2^1000"]


@pytest.fixture
def service(server, folder):
    """service(word) starts the one that runs a program with this word."""
    (folder / "reverse.py").write_text(pages.listing(README, "import sys"))

    def start(word):
        command, = (line for line in SHOWN if word in line.split(" -- ")[1])
        return server(*shlex.split(command)[1:])
    return start


def test_the_first_screen_shows_them():
    screen = README.splitlines()[:40]
    assert len(SHOWN) == 3
    assert all(any(command in line for line in screen) for command in SHOWN)


@pytest.mark.parametrize("word", ["jq", "python3"])
def test_every_line_has_one_answer(service, word):
    """Sent ahead by two clients: what answers twice, or not at all, gives some reply to another request."""
    banterd = service(word)
    first, second = banterd.connect(), banterd.connect()
    for _ in range(harness.scaled(20, 3)):
        first.send_message(*LINES)
        second.send_message(*LINES)
        for client in first, second:
            replies = client.lines(len(LINES))
            assert [reply for reply in replies if b"-ERR" in reply] == []
            if word == "python3":
                assert replies[0] == b"kcaZ" and replies[-1] == b"0001^2" and len(replies[-2]) == 5000
            elif word == "jq":
                assert replies[3:5] == [b"20", b"20"] and replies[6] == b'{"a":[1,2]}'
    assert [line for line in banterd.log.lines if re.search("is replaced|An answer was dropped", line)] == []


def test_jq(service, run_banter):
    banterd = service("jq")
    run = run_banter("-c", banterd.address, input='{"a": [1, 2]}\n[ true,\tnull ]\n"ü"\n' * 100)
    assert run == (0, '{"a":[1,2]}\n[true,null]\n"ü"\n'.encode() * 100, b"")
    assert banterd.connect().ask("]").startswith(b'"')


def test_bc(service):
    """Each client has variables of its own, and an answer may have many lines, or none."""
    banterd = service("bc")
    first, second = banterd.connect(), banterd.connect()
    power = re.sub(rb"(.{68})(?=.)", rb"\1\\\n", str(2 ** 1000).encode())
    first.send_message(b"a=5", b"2^1000", b"a*2", b"", b"1+1")
    second.send_message(b"a", b"2^1000", b"5 /*", b"1+1 */")
    assert [first.reply() for _ in range(5)] == [b"", power, b"10", b"", b"2"]
    assert [second.reply() for _ in range(4)] == [b"0", power, b"", b"5"]
