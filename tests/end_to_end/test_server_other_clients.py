"""Programs that others wrote, as clients of services that speak CR LF, answer once, or are spoken to in telnet. The real
ones, if they are installed, and what they send."""
import shutil
import subprocess

import pytest

from harness import text_of

TELNET = ("--telnet", "--max-requests", "2")
ONCE = ("--max-requests", "1")


@pytest.fixture
def installed(bench):
    """installed(name) is the program's path; the test is left out if there is none."""
    def find(name):
        return shutil.which(name) or pytest.skip(f"{name} is not installed")
    return find


# ---- at a prompt


def talk(client):
    client.type(b"Zack\nPython\n")
    client.stdout.wait_text("Hello PYTHON")
    client.end_input()
    client.wait()
    assert [line.rstrip("\r") for line in client.stdout.lines if line.startswith("Hello")] == ["Hello ZACK", "Hello PYTHON"]


def test_plink(server, bench, installed):
    """PuTTY's: it begins with a list of options."""
    banterd = server(*TELNET)
    talk(bench.start([installed("plink"), "-batch", "-telnet", "-P", str(banterd.port), "127.0.0.1"],
                     stdin=subprocess.PIPE))


def test_telnet(server, bench, installed):
    banterd = server(*TELNET)
    talk(bench.start([installed("telnet"), "127.0.0.1", str(banterd.port)], stdin=subprocess.PIPE,
                     expect_stderr="Connection closed by foreign host.\n"))


def test_curl_telnet(server, bench, installed):
    banterd = server(*TELNET)
    talk(bench.start([installed("curl"), "-s", "-N", f"telnet://127.0.0.1:{banterd.port}"], stdin=subprocess.PIPE))


def test_nc_with_cr_lf(server, bench, installed):
    banterd = server(*ONCE)
    run = bench.run([installed("nc"), "-C", "127.0.0.1", banterd.port], input="Zack\n")
    assert (run.status, run.stdout) == (0, b"Hello ZACK\r\n")


# ---- one question each


def test_whois(server, bench, installed):
    """It ends its question in CR LF, and reads to the end of the stream."""
    banterd = server(*ONCE)
    run = bench.run([installed("whois"), "-h", "127.0.0.1", "-p", banterd.port, "example.org"])
    assert (run.status, text_of(run.stdout).splitlines()) == (0, ["Hello EXAMPLE.ORG"])


def test_gopher(server, bench, installed):
    banterd = server(*ONCE)
    run = bench.run([installed("curl"), "-s", f"gopher://127.0.0.1:{banterd.port}/1/about"])
    assert (run.status, run.stdout) == (0, b"Hello /ABOUT\r\n")


@pytest.mark.parametrize("options, sent, received", [
    pytest.param((), b"zack\r\n", b"Hello ZACK\r\n", id="finger"),
    pytest.param((), b"/W zack\r\n", b"Hello /W ZACK\r\n", id="finger -l"),
    pytest.param((), b"\r\n", b"Hello \r\n", id="finger of all"),
    pytest.param(("--framing", "block"), b"LIST\r\n", b"Hello LIST\r\n.\r\n", id="gopher's menus and POP's lists"),
    pytest.param(("-H", "echo"), b"up 50%\n", b"up 50%\n", id="an agent check"),
])
def test_one_question(server, options, sent, received):
    """The reply, then the end of the stream, without the client ending anything."""
    client = server(*ONCE, *options).connect()
    client.send(sent)
    assert client.read_to_eof() == received


def test_a_receiver_of_lines_with_cr_lf(server):
    """As the usual line receivers of event libraries: a line is what stands before CR LF, and nothing else is one."""
    client = server("-H", "test").connect()
    client.send(b"a\r\nlater 10 b\r\nreply c\\nd\r\n")
    client.half_close()
    received = client.read_to_eof()
    assert received.count(b"\n") == received.count(b"\r\n")
    assert received.split(b"\r\n")[:2] == [b"a", b"b"]
    assert received.split(b"\r\n")[2].startswith(b"-ERR handler-failed ")
