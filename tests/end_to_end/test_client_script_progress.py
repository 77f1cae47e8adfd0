"""--progress: one line on a terminal's standard error, gone without a trace at the end."""
import re
import subprocess
import time

import pytest

from harness import BANTER
from peers.scripted import Peer, hello
from screen import Screen

pytestmark = pytest.mark.no_threads

LINE = r"5 sent, 2 answered, \d+(\.\d)?/s"
SCRIPT = "a\nb\nc\nd\ne\n"


@pytest.fixture
def run_at(bench, folder):
    """run_at(command) runs a line of bash at a terminal; $B is the client."""
    screens = []

    def start(command, columns=80, **env):
        (folder / "script").write_text(SCRIPT)
        env = bench.environment(B=BANTER, TERM="xterm-256color", **env)
        screens.append(Screen(["bash", "-c", command], env, folder, columns))
        return screens[-1]
    yield start
    for screen in screens:
        screen.close()


class Halfway(Peer):
    """Answers two requests, and all the others when it is released."""

    def __init__(self):
        super().__init__(self.answer)

    def answer(self, connection):
        lines = [connection.line() for _ in range(5)]
        connection.send(b"".join(line + b"\n" for line in lines[:2]))
        self.hold()
        connection.send(b"".join(line + b"\n" for line in lines[2:]))
        hello(connection)


@pytest.fixture
def peer():
    with Halfway() as peer:
        yield peer


def wait_progress(screen, pattern):
    """Waits until the screen holds the progress and nothing else."""
    screen.wait(lambda: len(screen.lines) == 1 and re.fullmatch(pattern, screen.lines[0]), pattern)


def test_a_file(run_at, peer, folder):
    screen = run_at(f'"$B" -c {peer.address} <script >replies')
    wait_progress(screen, LINE + r", 40 %, 0:\d\d left")
    peer.release()
    assert screen.wait_end() == 0
    assert screen.lines == [] and screen.cursor == (0, 0)
    assert (folder / "replies").read_text() == SCRIPT


def test_a_part_of_a_file(run_at, peer):
    """What stands before the position that it is given is none of its input."""
    screen = run_at(f'{{ printf "skipped\\n"; cat script; }} >more; '
                    f'{{ read -r line; "$B" -c {peer.address} >replies; }} <more')
    wait_progress(screen, LINE + r", 40 %, 0:\d\d left")
    peer.release()
    assert screen.wait_end() == 0


def test_a_pipe_has_no_percentage(run_at, peer):
    screen = run_at(f'cat script | "$B" -c {peer.address} >replies')
    wait_progress(screen, LINE)
    peer.release()
    assert screen.wait_end() == 0
    assert screen.lines == []


def test_it_never_wraps(run_at, peer):
    screen = run_at(f'"$B" -c {peer.address} <script >replies', columns=20)
    wait_progress(screen, "5 sent, 2 answered,")
    screen.resize(12)
    screen.wait(lambda: screen.written.endswith(b"\r5 sent, 2 a"), "the line in 12 columns")
    assert len(screen.lines) == 1
    peer.release()
    assert screen.wait_end() == 0
    assert screen.cursor == (0, 0)


def test_an_error_stands_alone(run_at, folder):
    def half(connection):
        for _ in range(5):
            connection.line()
        connection.send(b"a\nb\n")
        peer.hold()
    with Peer(half) as peer:
        screen = run_at(f'"$B" -c {peer.address} <script >replies', columns=120)
        wait_progress(screen, LINE + ".*")
        peer.release()
        assert screen.wait_end() == 76
        assert screen.lines == [
            f"banter: {peer.address}: connection lost: the server closed it",
            "banter: 5 input lines sent, 2 replies received, 3 missing; the first unanswered input line is 3"]


def test_an_interrupt_leaves_the_summary(run_at, peer):
    screen = run_at(f'"$B" -c {peer.address} <script >replies', columns=120)
    wait_progress(screen, LINE + ".*")
    screen.type("\x03")
    screen.wait_end()
    assert screen.lines == [
        "banter: 5 input lines sent, 2 replies received, 3 missing; the first unanswered input line is 3"]


def test_the_end_of_the_reader_leaves_nothing(run_at, peer):
    screen = run_at(f'stty -echo; "$B" -c {peer.address} <script | {{ read a; read b; read x </dev/tty; }}')
    wait_progress(screen, LINE + ".*")
    screen.type("\n")
    screen.wait_end()
    assert not re.search("sent|answered", "\n".join(screen.lines))


def test_replies_on_the_same_terminal(run_at, peer):
    """There it is only where it was asked for, and in nobody's way."""
    screen = run_at(f'"$B" -c {peer.address} --progress always <script')
    screen.wait(lambda: screen.lines[:2] == ["a", "b"] and re.match(LINE, screen.lines[-1]),
                "the line below the replies")
    peer.release()
    assert screen.wait_end() == 0
    assert screen.lines == ["a", "b", "c", "d", "e"]


def watch(screen, seconds):
    """Everything that is written within some seconds: for what is not to be seen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        screen.pump(0.05)
    return screen.written


@pytest.mark.parametrize("command", [
    '"$B" -c {0} <script',
    '"$B" -c {0} -q <script >replies',
    '"$B" -c {0} --progress never <script >replies',
    '"$B" -c {0} <script >replies 2>errors',
    # Whoever reads the pipe may write to the terminal: no line while nothing is under way.
    '{{ head -2 script; read x </dev/tty; }} | "$B" -c {1} | cat',
], ids=["same", "quiet", "never", "no-terminal", "idle"])
def test_where_there_is_none(run_at, peer, command):
    with Peer(hello) as idle:
        screen = run_at(command.format(peer.address, idle.address))
        assert b"answered" not in watch(screen, 1.5)
        peer.release()
        screen.type("\n")
        assert screen.wait_end() == 0


def test_lines_where_there_is_no_terminal(bench, peer):
    program = bench.start([BANTER, "-c", peer.address, "--progress", "always"], stdin=subprocess.PIPE,
                          expect_stderr=rf"(banter: {LINE}\n){{2,}}")
    program.type(SCRIPT)
    program.stderr.wait_for("^banter: " + LINE, 2)
    peer.release()
    program.end_input()
    assert program.wait() == 0


def test_nothing_in_the_first_second(run_at):
    with Peer(hello) as peer:
        screen = run_at(f'seq 100000 | "$B" -c {peer.address} >replies')
        begin = time.monotonic()
        assert screen.wait_end() == 0
        assert time.monotonic() - begin > 1 or screen.written == b""
