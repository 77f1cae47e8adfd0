"""One client tried on one row: its server, its home folder, its processes, and an end to all of them.

What a client does is a result, also that it hangs: nothing here raises because of it.
"""
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, Optional

import harness
from screen import BEGIN_PASTE, END_PASTE, Screen
from sessions import Server


class Seen(NamedTuple):
    """What came of it. `good`: None where the row makes no sense for the client. `words`: few, for the table, where it
    was not good. `detail`: more, for below the table."""
    good: Optional[bool]
    words: str = ""
    detail: str = ""


class Ended(NamedTuple):
    """`status` is None where it had to be killed, because it did not end in time."""
    status: Optional[int]
    stdout: str
    stderr: str

    @property
    def how(self):
        if self.status is None:
            return "hangs"
        return f"status {self.status}" if self.status >= 0 else signal.Signals(-self.status).name

    @property
    def said(self):
        """Its first line about it."""
        lines = [line for line in self.stderr.splitlines() if line.strip()]
        return lines[0].strip() if lines else ""


class Unusable(Exception):
    """The client did not even come as far as the row begins; says how."""


class Trial:
    def __init__(self, client, limit):
        self.client = client
        self.limit = limit  # seconds until what does not end hangs, and what does not come is missing
        self.folder = Path(tempfile.mkdtemp(prefix="banter-"))
        self.server = None
        self._processes = []
        self._screens = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._processes:
            self._kill(process)
        for screen in self._screens:
            screen.close()
        if self.server:
            self.server.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self):
        env = {name: os.environ[name] for name in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")
               if name in os.environ}
        return dict(env, HOME=str(self.folder), LANG="C.UTF-8", TERM="xterm-256color", INPUTRC="/dev/null",
                    PGSSLMODE="disable", PGGSSENCMODE="disable")

    def serve(self, behaviour):
        self.server = Server(self.client.protocol, behaviour)
        return self.server

    def port(self):
        """The server's, or one on which nobody listens."""
        if self.server:
            return self.server.port
        with Server("line", None) as server:
            return server.port

    # In a pipe

    def start(self, *features, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE):
        process = subprocess.Popen(harness.DIES_WITH_US + self.client.piped(self.port(), *features), stdin=stdin,
                                   stdout=stdout, stderr=stderr, cwd=self.folder, env=self.environment(),
                                   start_new_session=True)
        self._processes.append(process)
        return process

    def run(self, data, *features, **how):
        """With these bytes in a pipe as all of its input."""
        process = self.start(*features, **how)
        return self.finish(process, data.encode() if isinstance(data, str) else data)

    def finish(self, process, data=None):
        """Waits for its end, its input ended; kills it when that takes too long."""
        try:
            stdout, stderr = process.communicate(data, self.limit)
            status = process.returncode
        except subprocess.TimeoutExpired:
            self._kill(process)
            stdout, stderr = process.communicate()
            status = None
        return Ended(status, harness.text_of(stdout or b""), harness.text_of(stderr or b""))

    def wait_end(self, process):
        """Whether it ends by itself, its input left open."""
        try:
            process.wait(self.limit)
            return True
        except subprocess.TimeoutExpired:
            return False

    def read_until(self, descriptor, condition):
        """Reads until the condition holds for all that came, or it ends, or takes too long; returns what came."""
        data = b""
        deadline = time.monotonic() + self.limit
        while not condition(data) and (left := deadline - time.monotonic()) > 0:
            if select.select([descriptor], [], [], left)[0]:
                try:
                    more = os.read(descriptor, 65536)
                except OSError:  # a terminal that nobody has open any more
                    break
                if not more:
                    break
                data += more
        return data

    @staticmethod
    def _kill(process):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

    # At a terminal

    def open(self, *features):
        """A terminal with the client in it, connected and ready for typing."""
        had = len(self.server.sessions)
        terminal = Terminal(self, self.client.command(self.port(), *features))
        self._screens.append(terminal)
        terminal.see(lambda: terminal.ended or len(self.server.sessions) > had)
        if len(self.server.sessions) == had:
            raise Unusable("does not connect")
        if self.client.prompt:
            terminal.see(lambda: terminal.last.startswith(self.client.prompt))
        terminal.settle()
        return terminal


class Terminal(Screen):
    def __init__(self, trial, command):
        super().__init__(command, trial.environment(), trial.folder)
        self.trial = trial
        self.ended = False

    def pump(self, seconds):
        more = not self.ended and super().pump(seconds)
        self.ended = not more
        if self.ended:
            time.sleep(0.01)  # for those who still wait for something else
        return more

    def see(self, condition, seconds=None):
        """Whether it becomes true in time."""
        deadline = time.monotonic() + (seconds or self.trial.limit)
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.pump(0.05)
        return True

    def shows(self, text, seconds=None):
        return self.see(lambda: any(text in line for line in self.lines), seconds)

    def settle(self, seconds=0.3):
        """Until nothing was written for so long; or, if it draws all the time, for two seconds."""
        quiet_since = began = time.monotonic()
        while time.monotonic() < min(quiet_since + seconds, began + 2):
            size = len(self.written)
            self.pump(0.05)
            if len(self.written) > size:
                quiet_since = time.monotonic()

    @property
    def last(self):
        return self.lines[-1] if self.lines else ""

    def write(self, text):
        """Types it as fast as it is taken, and draws meanwhile, so that neither side waits for the other."""
        data = text.encode()
        deadline = time.monotonic() + self.trial.limit
        descriptor = self.child.child_fd
        os.set_blocking(descriptor, False)
        try:
            while data and not self.ended and time.monotonic() < deadline:
                if select.select([], [descriptor], [], 0.05)[1]:
                    try:
                        data = data[os.write(descriptor, data[:1024]):]
                    except BlockingIOError:
                        pass
                    except OSError:
                        break
                self.pump(0)
        finally:
            os.set_blocking(descriptor, True)

    def enter(self, request):
        self.write(self.trial.client.text(request).replace("\n", "\r"))

    def half(self, text):
        """Types without Enter, and waits for the echo."""
        self.write(text)
        return self.see(lambda: self.last.endswith(text))

    def paste(self, text):
        """As terminals do it: in brackets where the client has asked for them, and then Enter."""
        text = text.replace("\n", "\r")
        bracketed = self.written.rfind(b"\033[?2004h") > self.written.rfind(b"\033[?2004l")
        self.write(BEGIN_PASTE + text + END_PASTE + "\r" if bracketed else text)

    def end(self):
        """Leaves as one leaves this client; whether it ends."""
        self.write(self.trial.client.leave)
        return self.see(lambda: self.ended)

    @property
    def outcome(self):
        """How it ended, in words."""
        self.child.wait()
        if self.child.exitstatus is not None:
            return f"ends, status {self.child.exitstatus}"
        return f"ends by {signal.Signals(self.child.signalstatus).name}"
