"""screen: a program at a terminal, and what a person would see there.

The program gets a pseudo-terminal (pexpect); what it writes is drawn on a screen model (pyte), so that tests
can look at lines and the cursor instead of at escape sequences. All waits have a limit.
"""
import os
import re
import time

import pexpect
import pyte
from wcwidth import wcwidth

from harness import LIMIT

BEGIN_PASTE = "\033[200~"
END_PASTE = "\033[201~"


class Model(pyte.Screen):
    """With what terminals do, and pyte does not: a character of two columns does not begin in the last one."""

    def draw(self, data):
        for character in data:
            if wcwidth(character) == 2 and self.cursor.x == self.columns - 1:
                self.cursor.x = self.columns
            super().draw(character)


class Screen:
    def __init__(self, command, env, cwd, columns=80, rows=24):
        command = [str(word) for word in command]
        self.written = b""  # everything that the program wrote to the terminal
        self.screen = Model(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self._lines = None  # what is drawn, until more is
        self.child = pexpect.spawn(command[0], command[1:], env=env, cwd=str(cwd), dimensions=(rows, columns),
                                   timeout=LIMIT, echo=True)
        self.child.delaybeforesend = None

    def type(self, text):
        self.child.send(text)

    def enter(self, line):
        self.child.send(line + "\r")

    def paste(self, text):
        """As terminals do it for programs that ask for it: in brackets, lines ended by CR."""
        self.child.send(BEGIN_PASTE + text.replace("\n", "\r") + END_PASTE)

    def resize(self, columns, rows=24):
        self.screen.resize(rows, columns)
        self._lines = None
        self.child.setwinsize(rows, columns)

    def pump(self, seconds):
        """Draws what has come; waits up to so many seconds for it. False at the end of the output."""
        try:
            data = self.child.read_nonblocking(65536, seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.written += data
        self.stream.feed(data)
        self._lines = None
        return True

    @property
    def lines(self):
        """What is on the screen, without blanks at the end of lines and empty lines at the end."""
        if self._lines is None:
            self._lines = [line.rstrip() for line in self.screen.display]
            while self._lines and not self._lines[-1]:
                self._lines.pop()
        return list(self._lines)

    @property
    def steady(self):
        """The same without the client's word that it waits, which is there or not as the machine has the time."""
        lines = self.lines
        if lines and re.match(r"(Waiting|Connecting) \d", lines[-1]):
            lines.pop()
        return lines

    @property
    def cursor(self):
        """(column, line), from 0."""
        return self.screen.cursor.x, self.screen.cursor.y

    def wait(self, condition, what):
        deadline = time.monotonic() + LIMIT
        while not condition():
            more = self.pump(0.05)
            if condition():
                return
            if not more or time.monotonic() > deadline:
                why = f"not within {LIMIT} s" if more else "the program ended"
                raise AssertionError(f"{why}: {what}\n--- screen\n" + "\n".join(self.lines))

    def wait_lines(self, *lines):
        """Waits until exactly these lines are on the screen; whether it says that it waits is no matter."""
        self.wait(lambda: self.steady == list(lines), f"the screen {list(lines)!r}")

    def wait_last(self, *lines):
        """The same of the last lines only."""
        self.wait(lambda: self.steady[-len(lines):] == list(lines), f"the last lines {list(lines)!r}")

    def wait_end(self):
        """Waits for the program's end; returns its status, or minus the number of the signal."""
        deadline = time.monotonic() + LIMIT
        while self.pump(0.05):
            assert time.monotonic() < deadline, "the program did not end\n" + "\n".join(self.lines)
        self.child.wait()
        status = self.child.exitstatus
        return status if status is not None else -self.child.signalstatus

    def color_of(self, text):
        """The foreground colour of the first character of a line that begins with `text`."""
        for row, line in enumerate(self.screen.display):
            if line.startswith(text):
                return self.screen.buffer[row][0].fg
        raise AssertionError(f"no line begins with {text!r}")

    def close(self):
        if self.child.isalive():
            os.killpg(self.child.pid, 9)
        self.child.close(force=True)
