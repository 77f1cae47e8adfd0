"""What a failed script says at its end, from which a second run can go on."""
import re
import signal
import subprocess

import pytest

from harness import BANTER, Run, scaled, wait_until
from peers.scripted import Peer, hello

pytestmark = pytest.mark.no_threads


def answer_all_with(*replies):
    def behaviour(connection):
        for reply, _ in zip(replies, connection.lines()):
            connection.send(reply + b"\n")
        connection.wait_end()
    return behaviour


@pytest.mark.parametrize("replies, told", [
    ([b"ok", b"-ERR bad-request no", b"ok"], "1 error reply, to input line 2: -ERR bad-request no"),
    ([b"-ERR a \033[2Jb", b"ok", b"-ERR c"], "2 error replies, the first to input line 1: -ERR a \\x1b[2Jb"),
    ([b"ok", b"ok", b"-ERR " + b"x" * 200], "1 error reply, to input line 3: -ERR " + "x" * 79 + "..."),
], ids=["one", "two", "long"])
def test_error_replies(run_banter, replies, told):
    with Peer(answer_all_with(*replies)) as peer:
        run = run_banter("-c", peer.address, "-q", input="a\nb\nc\n")
    assert run == Run(1, b"".join(reply + b"\n" for reply in replies),
                      f"banter: 3 input lines sent, 3 replies received; {told}\n".encode())


def test_all_of_it(run_banter):
    def two(connection):
        lines = [connection.line() for _ in range(4)]
        connection.send(b"ok\n-ERR no; %s\n" % lines[1])
    with Peer(two) as peer:
        run = run_banter("-c", peer.address, input="a\nb\nc\nd\n")
        assert run == Run(76, b"ok\n-ERR no; b\n",
                          f"banter: {peer.address}: connection lost: the server closed it\n"
                          "banter: 4 input lines sent, 2 replies received, 2 missing; the first unanswered "
                          "input line is 3; 1 error reply, to input line 2: -ERR no; b\n".encode())


def test_nothing_to_sum_up(run_banter, start_banter):
    with Peer(hello) as peer:
        assert run_banter("-c", peer.address, input="a\nb\n").stderr == b""
        assert run_banter("-c", peer.address, input="").stderr == b""
        # The end of a pipe that is watched, by Ctrl-C, is no failure either.
        program = start_banter("-c", peer.address, expect_status=-signal.SIGINT)
        program.type("a\n")
        program.stdout.wait_line("Hello a")
        assert program.stop(signal.SIGINT) == -signal.SIGINT


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(start_banter, number):
    def two(connection):
        lines = [connection.line() for _ in range(5)]
        connection.send(b"".join(line + b"\n" for line in lines[:2]))
        peer.hold()
    with Peer(two) as peer:
        program = start_banter("-c", peer.address, expect_status=-number,
                               expect_stderr="banter: 5 input lines sent, 2 replies received, 3 missing; "
                                             "the first unanswered input line is 3\n")
        program.type("a\nb\nc\nd\ne\n")
        program.stdout.wait_line("b")
        assert program.stop(number) == -number
        assert program.stdout.lines == ["a", "b"]


def test_what_was_ignored_stays_ignored(bench):
    """As under nohup, or in the background of a shell without job control."""
    with Peer(hello) as peer:
        command = f'trap "" HUP INT; exec "{BANTER}" -c {peer.address}'
        program = bench.start(["bash", "-c", command], stdin=subprocess.PIPE)
        program.type("a\n")
        program.stdout.wait_line("Hello a")
        program.send_signal(signal.SIGHUP)
        program.send_signal(signal.SIGINT)
        program.type("b\n")
        program.stdout.wait_line("Hello b")
        program.end_input()
        assert program.wait() == 0


def unanswered(stderr):
    return int(re.search(r"the first unanswered input line is (\d+)", stderr)[1])


def test_going_on_after_the_server_was_killed(bench, server, folder):
    """Each line is answered once in the two runs together."""
    count = scaled(300_000, 30_000)
    half = count // 2
    lines = "".join(f"line {number}\n" for number in range(count))
    script, replies, path = folder / "script", folder / "replies", f"unix:{folder}/socket"
    script.write_text(lines)
    first = server("-qq", "-H", "echo", listen=path, expect_status=-signal.SIGKILL)
    with replies.open("wb") as stdout:
        parts = f"head -n {half} script; read go; tail -n +{half + 1} script"
        program = bench.start(["bash", "-c", f'{{ {parts}; }} | "{BANTER}" -c {path}'],
                              stdin=subprocess.PIPE, stdout=stdout, expect_status=76,
                              expect_stderr=r".*: connection lost: .*; the first unanswered input line is \d+\n")
        wait_until(lambda: replies.stat().st_size > 0, "the first replies")
        first.stop(signal.SIGKILL)
        program.type("go\n")
        assert program.wait() == 76
    line = unanswered(program.stderr.text)
    assert 1 < line <= half + 1
    assert replies.read_text() == "".join(f"line {number}\n" for number in range(line - 1))

    server("-qq", "-H", "echo", listen=path)
    run = bench.run(["bash", "-c", f'tail -n +{line} script | "{BANTER}" -c {path} >>replies'])
    assert run == Run(0, b"", b"")
    assert replies.read_text() == lines


@pytest.mark.parametrize("limit", [1, 3])
def test_going_on_after_the_disk_was_full(bench, folder, limit):
    """The last line of the output is cut: what counts is what was written to its end."""
    with Peer(hello) as peer:
        script = "".join(f"{number}\n" for number in range(1000))
        (folder / "script").write_text(script)
        command = f'trap "" XFSZ; ulimit -f {limit}; exec "{BANTER}" -c {peer.address} <script >replies'
        run = bench.run(["bash", "-c", command])
        assert run.status == 74
        assert run.stderr.startswith(b"banter: unable to write standard output: File too large\n")
        replies = (folder / "replies").read_text()
        assert len(replies) == 1024 * limit
        written = replies.count("\n")
        assert f" {written} written; the first unanswered input line is {written + 1}\n".encode() in run.stderr
        run = bench.run(["bash", "-c", f'head -n {written} replies; '
                                       f'tail -n +{written + 1} script | "{BANTER}" -c {peer.address}'])
        assert run == Run(0, "".join(f"Hello {number}\n" for number in range(1000)).encode(), b"")


def test_empty_lines_count(bench, folder):
    def two(connection):
        connection.send(b"%s|%s\n" % (connection.line(), connection.line()) + b"ok\n")
        connection.end()
        connection.wait_end()
    with Peer(two) as peer:
        (folder / "script").write_bytes(b"\n\r\nthird\n")
        run = bench.run(["bash", "-c", f'"{BANTER}" -c {peer.address} <script'])
    assert (run.status, run.stdout) == (76, b"|\nok\n")
    assert unanswered(run.stderr.decode()) == 3
