"""The client at a terminal that wraps lines anew when its width changes, which is tmux: nothing is left over of what
stood there, and nothing above it goes."""
import fcntl
import re
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from harness import BANNER, BANTER, wait_until

pytestmark = pytest.mark.no_threads

ABOVE = [f"above {number}" for number in range(6)]


def window(terminal):
    """The size in which programs know a terminal: rows, columns."""
    return struct.unpack("HHHH", fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8)))[:2]


def pending(pid):
    """The signals that wait to be read by a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(re.search(r"^ShdPnd:\s+(\w+)$", status, re.M)[1], 16)
    return {number for number in signal.valid_signals() if mask >> (number - 1) & 1}


class Tmux:
    """A terminal with the client in it, below some lines."""

    def __init__(self, bench, address):
        self.socket = bench.folder / "tmux"
        self.environment = bench.environment(TERM="xterm-256color")
        self.environment.pop("TMUX", None)
        command = f"printf '%s\\n' '{chr(10).join(ABOVE)}'; exec {BANTER} -c {address}"
        self.call("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", command)
        self.wait([*ABOVE, BANNER, "->"])

    def call(self, *arguments):
        run = subprocess.run(["tmux", "-S", self.socket, *arguments], env=self.environment, check=True,
                             stdout=subprocess.PIPE, text=True)
        return run.stdout

    def type(self, text):
        self.call("send-keys", "-l", text)

    def resize(self, columns):
        """Until the client has taken notice: tmux wraps at once, and lets programs know a little later."""
        self.call("resize-window", "-x", str(columns), "-y", "24")
        tty, pid = self.call("display-message", "-p", "#{pane_tty} #{pane_pid}").split()
        with open(tty, "rb", buffering=0) as terminal:
            wait_until(lambda: window(terminal) == (24, columns), "the new size")
        wait_until(lambda: signal.SIGWINCH not in pending(int(pid)), "the client has read the signal")

    def lines(self):
        """The last lines on the screen, and those that have left it."""
        return [line.rstrip() for line in self.call("capture-pane", "-p", "-S", "-").rstrip("\n").split("\n")]

    def wait_for(self, condition):
        """Until the lines on the screen are as the condition has it."""
        try:
            wait_until(lambda: condition(self.lines()), "the screen")
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- screen\n" + "\n".join(self.lines())) from None

    def wait(self, expected):
        self.wait_for(lambda lines: lines == expected)

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], env=self.environment, check=False,
                       stderr=subprocess.DEVNULL)


@pytest.fixture
def tmux(bench):
    terminals = []

    def start(peer):
        terminals.append(Tmux(bench, peer.address))
        return terminals[-1]
    yield start
    for terminal in terminals:
        terminal.close()


def wrapped(text, columns):
    return [text[at:at + columns] for at in range(0, len(text), columns)]


# At the end of the line, at its beginning, in its middle.
@pytest.mark.parametrize("keys", ["", "\001", "\002" * 50])
def test_a_wrapped_line(tmux, peer, keys):
    terminal = tmux(peer)
    line = "-> " + "".join(f"{number:03}," for number in range(30))
    terminal.type(line[3:])
    terminal.wait([*ABOVE, BANNER, *wrapped(line, 80)])
    terminal.type(keys)
    for columns in (40, 30, 100, 41, 50, 123, 70, 123, 41):  # it fills all rows of 41, and one of 123
        terminal.resize(columns)
        terminal.wait([*ABOVE, BANNER, *wrapped(line, columns)])
    terminal.resize(80)
    terminal.type("\r")
    terminal.wait([*ABOVE, BANNER, *wrapped(line, 80), *wrapped("Hello " + line[3:], 80), "->"])


def test_a_line_that_waits(tmux, script):
    terminal = tmux(script)
    terminal.type("slow\r")
    script.wait_asked(b"slow")
    terminal.type("typed")
    terminal.wait_for(lambda lines: lines[-1].endswith("what was typed"))
    for columns in (40, 30, 80):
        terminal.resize(columns)
        terminal.wait_for(lambda lines: lines[:-1] == [*ABOVE, BANNER, "-> slow"] and lines[-1].startswith("Waiting"))
    script.send(b"done\n")
    terminal.wait([*ABOVE, BANNER, "-> slow", "done", "-> typed"])
