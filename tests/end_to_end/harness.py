"""harness: real programs in real processes, for tests that never sleep and never hang.

What a test needs comes from the fixtures of conftest.py; this module holds what is behind them:

    Program     a process in a group of its own, its output read by threads, waits with a deadline
    Server      a banterd: port, log, connections to it
    LineClient  a socket with a time limit that speaks lines, bytes or netstrings
    Talkers     threads of the test's own, for clients that talk at the same time
    Run         what a program that ran to its end left behind

Everything that waits has a limit and says what it was waiting for. The programs come from the folder
BANTER_BUILD (build/ at the top of the tree unless set); BANTER_SLOW=1 says that they are instrumented:
limits grow, counts shrink.
"""
import os
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BANTER_BUILD") or TOP / "build").resolve()
BANTERD = BUILD / "banterd"
BANTER = BUILD / "banter"
BANTERD_TEST = BUILD / "tests" / "banterd-test"
BANNER = "Please enter 'quit' to exit"  # what the client says first at a terminal

SLOW = os.environ.get("BANTER_SLOW", "") not in ("", "0")
TEST_LIMIT = 300 if SLOW else 60  # seconds for a whole test
LIMIT = 90 if SLOW else 20        # seconds for anything that is awaited inside one


# A shell starts what it runs in the background with the first two ignored, nohup with the third, and what a program
# inherits that way it keeps.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Tests open more than a thousand connections.
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


# Where pytest itself is killed, no fixture ends the programs.
DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL", "--"]


def scaled(count, slow):
    """`count` of something, or the smaller number where the programs are instrumented."""
    return slow if SLOW else count


def text_of(data):
    return data.decode("utf-8", "surrogateescape")


def is_error(reply, code):
    """Whether a reply (bytes) is an error with this code."""
    return reply is not None and re.match(rb"-ERR %s( |$)" % code.encode(), reply) is not None


def assert_replies(replies, expected):
    """Holds replies against what was expected; for "-ERR CODE" the text behind the code is free, but for a CR at its
    end."""
    expected = [item.encode() if isinstance(item, str) else item for item in expected]
    got = [wanted if (code := re.fullmatch(rb"-ERR ([^ \r]+)(\r?)", wanted)) and is_error(reply, code[1].decode()) and
           reply.endswith(b"\r") == bool(code[2]) else reply
           for reply, wanted in zip(replies, expected)]
    assert got + replies[len(got):] == expected


def assert_stopped(client, expected=()):
    """The server stops in order: it gives these replies, says so, and ends the stream."""
    assert_replies(client.replies(), [*expected, "-ERR stopping"])


def wait_until(condition, what, limit=LIMIT):
    """Polls until condition() is true and returns what it gave: for states that nothing announces."""
    deadline = time.monotonic() + limit
    pause = 0.002
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit} s: {what}")
        time.sleep(pause)
        pause = min(1.2 * pause, 0.02)


def is_ready(descriptor, events, within=0):
    """Whether these events of poll(2) are there now or within some seconds. Descriptors above 1023 are fine."""
    poll = select.poll()
    poll.register(descriptor, events)
    return bool(poll.poll(within * 1000))


def is_listening(path):
    """Whether somebody listens on the Unix socket there: a file is there from the bind on. For servers whose log
    isn't read; nothing connects to them."""
    accepts = 1 << 16  # a socket's flags
    with open("/proc/net/unix") as table:
        rows = [row.split(maxsplit=7) for row in table.read().splitlines()[1:]]
    return any(row[7:] == [str(path)] and int(row[3], 16) & accepts for row in rows)


class Output:
    """What a process writes into a pipe, as it comes, read by a thread of its own."""

    def __init__(self, pipe):
        self._pipe = pipe
        self._changed = threading.Condition()
        self._lines = []
        self._rest = b""
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        with self._pipe:
            while data := os.read(self._pipe.fileno(), 65536):
                with self._changed:
                    *lines, self._rest = (self._rest + data).split(b"\n")
                    self._lines += map(text_of, lines)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def lines(self):
        """The complete lines so far, without their newlines."""
        with self._changed:
            return list(self._lines)

    @property
    def text(self):
        with self._changed:
            return "".join(line + "\n" for line in self._lines) + text_of(self._rest)

    def find(self, pattern):
        """The matches, one a line, of a regular expression that is searched in each line so far."""
        return [match for line in self.lines if (match := re.search(pattern, line))]

    def wait_for(self, pattern, count=1, limit=LIMIT):
        """Waits until `count` lines match the regular expression; returns the match of the last of them."""
        expression = re.compile(pattern)
        found = []
        seen = 0
        deadline = time.monotonic() + limit
        with self._changed:
            while True:
                fresh = self._lines[seen:]
                found += [match for line in fresh if (match := expression.search(line))]
                seen += len(fresh)
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "the output ended" if self._ended else f"not within {limit} s"
                    raise AssertionError(f"{why}: {count} line(s) with {pattern!r}, {len(found)} came")
                self._changed.wait(left)

    def wait_line(self, line, count=1, limit=LIMIT):
        """Waits for a line that is exactly this text."""
        self.wait_for("^" + re.escape(line) + "$", count, limit)

    def wait_text(self, text, limit=LIMIT):
        """Waits for a text anywhere in the output, also in a line without an end."""
        deadline = time.monotonic() + limit
        with self._changed:
            while text not in self.text:
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "the output ended" if self._ended else f"not within {limit} s"
                    raise AssertionError(f"{why}: {text!r}")
                self._changed.wait(left)

    def wait_end(self, limit=LIMIT):
        """Waits until the writing side is closed; returns the whole text."""
        self._thread.join(limit)
        if self._thread.is_alive():
            raise AssertionError(f"the output did not end within {limit} s")
        return self.text


class Program:
    """A process in a group of its own. `stdout` and `stderr` are Outputs unless given as descriptors.

    `expect_stderr` is a regular expression that all of the standard error must match at the end; unless
    it is given nothing may be written there, so that a sanitizer's report fails the test.
    """

    def __init__(self, command, *, cwd, env=None, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                 expect_stderr="", expect_status=0, nofile=None, pass_fds=()):
        self.command = [str(word) for word in command]
        started = DIES_WITH_US + self.command
        if nofile is not None:
            limits = f"--nofile={nofile}" if isinstance(nofile, int) else "--nofile=%d:%d" % nofile
            started = ["prlimit", limits, "--", *started]
        self.expect_stderr = expect_stderr
        self.expect_status = expect_status
        self.signalled = False
        self.process = subprocess.Popen(started, cwd=cwd, env=env, stdin=stdin, stdout=stdout,
                                        stderr=subprocess.PIPE, start_new_session=True, pass_fds=pass_fds)
        self.pid = self.process.pid
        self.stdout = Output(self.process.stdout) if self.process.stdout else None
        self.stderr = Output(self.process.stderr)

    def type(self, data):
        """Writes to its standard input, which must be a pipe."""
        data = data.encode() if isinstance(data, str) else data
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end_input(self):
        self.process.stdin.close()

    @property
    def running(self):
        return self.process.poll() is None

    def send_signal(self, number):
        self.signalled = True
        self.process.send_signal(number)

    def suspend(self):
        """Stops it in its tracks until resume(): what is sent meanwhile waits in the kernel, all of it."""
        self.process.send_signal(signal.SIGSTOP)
        self.wait_suspended()

    def wait_suspended(self):
        wait_until(lambda: self._state() == "T", "it is suspended")

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def _state(self):
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2][0]

    def pending(self):
        """How many signals wait to be read or handled by it."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^ShdPnd:\s+(\w+)$", status, re.M)[1], 16).bit_count()

    def wait(self, limit=LIMIT):
        """Waits for its end; returns the exit status, or minus the number of the signal that killed it."""
        try:
            status = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.command[0]} did not end within {limit} s") from None
        for output in (self.stdout, self.stderr):
            if output:
                output.wait_end()
        return status

    def stop(self, number=signal.SIGTERM, limit=LIMIT):
        """Sends a signal and waits for the end; returns the exit status as wait() does."""
        self.send_signal(number)
        return self.wait(limit)

    def kill(self):
        """Ends the whole process group, at once. May be called again, and after the process has ended."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(LIMIT)
        if self.process.stdin:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass

    def check(self):
        """Holds what it wrote to standard error, and its exit status, against what was expected."""
        text = self.stderr.wait_end()
        assert re.fullmatch(self.expect_stderr, text, re.S), f"standard error of {self.command[0]}:\n{text}"
        status = self.process.returncode
        assert status == self.expect_status, f"{self.command[0]} ended with {status}"

    def report(self):
        """For the report of a failed test: the command, how it ended, and both outputs, the middle cut out."""
        text = " ".join(self.command) + f"\nstatus: {self.process.poll()}\n"
        for name, output in (("stdout", self.stdout), ("stderr", self.stderr)):
            if output and output.text:
                whole = output.text
                if len(whole) > 8000:
                    whole = f"{whole[:4000]}\n... ({len(whole) - 8000} characters) ...\n{whole[-4000:]}"
                text += f"--- {name}\n{whole}"
        return text


class LineClient:
    """A connected socket with a time limit. `framing` is how ask(), send_message() and reply() speak."""

    def __init__(self, connection, framing="line"):
        self.socket = connection
        self.socket.settimeout(LIMIT)
        self.framing = framing
        self._held = bytearray()  # received, and not yet taken

    @classmethod
    def to(cls, address, framing="line", receive_buffer=None):
        """Connects to HOST:PORT, [V6]:PORT or unix:PATH. A receive buffer size, given before the connect,
        bounds what the kernel takes for a client that does not read."""
        if address.startswith("unix:"):
            family, target = socket.AF_UNIX, address[len("unix:"):]
        else:
            host, port = address.rsplit(":", 1)
            family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
            target = (host.strip("[]") or "127.0.0.1", int(port))
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(LIMIT)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            connection.connect(target)
        except BaseException:
            connection.close()
            raise
        return cls(connection, framing)

    @property
    def name(self):
        """Our end as the server's log names it."""
        if self.socket.family == socket.AF_UNIX:
            return "unix:" + self.socket.getsockname()
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    # Bytes

    def send(self, data):
        """Sends bytes, or text as UTF-8, as they are."""
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def send_each(self, data):
        """Sends one byte at a time."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            self.socket.sendall(bytes([byte]))

    def send_in_background(self, data, then=lambda: None):
        """Sends without waiting for the server to take it, then calls `then`; returns the thread."""
        def work():
            try:
                self.send(data)
                then()
            except OSError:
                pass  # the connection's end is for the reading side to judge
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def _fill(self):
        data = self.socket.recv(65536)
        self._held += data
        return bool(data)

    def _take(self, size):
        data = bytes(self._held[:size])
        del self._held[:size]
        return data

    def _take_until(self, byte):
        """Everything up to a byte, and that too; at the end of the stream, where it never comes, None."""
        searched = 0
        while (end := self._held.find(byte, searched)) < 0:
            searched = len(self._held)
            if not self._fill():
                return None
        return self._take(end + 1)

    def read(self, size):
        """Exactly `size` bytes; fewer only at the end of the stream."""
        while len(self._held) < size and self._fill():
            pass
        return self._take(size)

    def read_to_eof(self):
        """All bytes up to the end of the stream. A reset is an error."""
        chunks = [self._take(len(self._held))]
        while data := self.socket.recv(65536):
            chunks.append(data)
        return b"".join(chunks)

    def receive(self, size=5120):
        """What one recv() gives: for the raw codec."""
        if self._held:
            return self.read(min(size, len(self._held)))
        return self.socket.recv(size)

    # Messages

    def frame(self, message):
        message = message.encode() if isinstance(message, str) else message
        if self.framing == "netstring":
            return b"%d:%s," % (len(message), message)
        return message + {"raw": b"", "crlf": b"\r\n"}.get(self.framing, b"\n")

    def send_message(self, *messages):
        self.send(b"".join(map(self.frame, messages)))

    def readline(self):
        """A line without its newline, as bytes; the last one may have none. None at the end of the stream."""
        line = self._take_until(b"\n")
        return line[:-1] if line else self._take(len(self._held)) or None

    def lines(self, count):
        return [self.readline() for _ in range(count)]

    def reply(self):
        """The next reply in this client's framing, as bytes; None at the end of the stream."""
        if self.framing == "line":
            return self.readline()
        if self.framing == "raw":
            return self.receive() or None
        if self.framing == "crlf":
            line = self._take_until(b"\n")
            assert line is None or line.endswith(b"\r\n"), line
            return line and line[:-2]
        if self.framing == "block":
            return self._block()
        head = self._take_until(b":")
        if not head:
            assert not self._held, self._held
            return None
        size = int(head[:-1]) + 1
        message = self.read(size)
        assert len(message) == size and message.endswith(b","), message
        return message[:-1]

    def _block(self):
        """The message of a block. All of its lines have the same end."""
        lines = []
        while (line := self._take_until(b"\n")) not in (b".\n", b".\r\n", None):
            lines.append(line)
        if line is None:
            assert not lines and not self._held, (lines, self._held)
            return None
        end = line[1:]
        assert all(each.endswith(b"\r\n") == (end == b"\r\n") for each in lines), (lines, line)
        return b"\n".join(each[:-len(end)].removeprefix(b".") for each in lines)

    def replies(self):
        """All replies up to the end of the stream, which must come behind a whole one."""
        if self.framing == "line":
            data = self.read_to_eof()
            assert not data or data.endswith(b"\n"), f"a cut line at the end: {data[-200:]!r}"
            return data.split(b"\n")[:-1]
        return list(iter(self.reply, None))

    def ask(self, message):
        """Sends one message and returns its reply."""
        self.send_message(message)
        return self.reply()

    def readable(self, within=0):
        """Whether there is something to read, or the end of the stream, now or within some seconds."""
        return bool(self._held or is_ready(self.socket, select.POLLIN, within))

    def at_eof(self):
        """Waits for the end of the stream: true when nothing came before it."""
        return not self._held and self.socket.recv(1) == b""

    # Ways to end

    def quit(self):
        """Asks for the end, before which nothing more comes."""
        self.send_message("--QUIT--")
        assert self.at_eof()

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Closes with a reset instead of an orderly end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def abandon(self):
        """Closes for good, also where a thread waits in send_in_background()."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


class Talkers:
    """Threads that call talk(...) at the same time: one for each call that map() would make."""

    def __init__(self, talk, *arguments):
        self._failures = []
        self._threads = [threading.Thread(target=self._run, args=(talk, some), daemon=True)
                         for some in zip(*arguments)]
        for thread in self._threads:
            thread.start()

    def _run(self, talk, arguments):
        try:
            talk(*arguments)
        except BaseException as failure:
            self._failures.append(failure)

    def check(self):
        """What one of them has raised so far is raised again."""
        if self._failures:
            raise self._failures[0]

    def join(self, limit=LIMIT):
        """Waits for all of them. What one of them has raised is raised again."""
        deadline = time.monotonic() + limit
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        self.check()
        hanging = sum(thread.is_alive() for thread in self._threads)
        assert not hanging, f"not within {limit} s: {hanging} of {len(self._threads)} talkers end"


class Server(Program):
    """A banterd. `log` is its standard output; `address` and `port` are those of the first listener."""

    def __init__(self, command, *, framing="line", ready=True, **how):
        super().__init__(command, **how)
        self.framing = framing
        self.log = self.stdout
        self.address = self.port = None
        self._clients = []
        if ready and self.log:
            self.wait_ready()

    def wait_ready(self, listeners=1):
        self.log.wait_for(r"^Socket now listening on ", listeners)
        self.address = self.addresses[0]
        if not self.address.startswith(("unix:", "nats:")):
            self.port = int(self.address.rsplit(":", 1)[1])

    @property
    def addresses(self):
        """Every address that it says it listens on."""
        return [match[1] for match in self.log.find(r"^Socket now listening on (.*)$")]

    def connect(self, address=None, **how):
        """A LineClient, closed at the latest when the test ends."""
        client = LineClient.to(address or self.address, how.pop("framing", self.framing), **how)
        self._clients.append(client)
        return client

    def session(self, client):
        """The number of a client's session, once the log tells it."""
        return int(self.log.wait_for(rf"^\[(\d+)\] Connected with {re.escape(client.name)}$")[1])

    def fence(self, milliseconds=0):
        """Comes back when the server has answered a late request of its own on a connection of its own: an
        event that is later than what is to be shown not to happen. For servers with `-H test`."""
        client = self.connect()
        assert client.ask(f"later {milliseconds} fence") == b"fence"
        client.close()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def memory(self, kind="VmRSS"):
        """Resident bytes; kind="VmHWM" for the most there have ever been."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(kind + r":\s+(\d+) kB", status)[1]) * 1024

    def close_clients(self):
        for client in self._clients:
            client.abandon()


class Run(NamedTuple):
    """A program that ran to its end: `status` is minus a signal's number where that killed it."""
    status: int
    stdout: bytes
    stderr: bytes


class Bench:
    """All that one test starts, in a folder of its own, so that it can be ended and looked at afterwards."""

    def __init__(self):
        # Under /tmp itself and short: the path of a Unix socket has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="banter-"))
        self.programs = []
        self._connections = []
        self._held_ports = []

    def environment(self, **more):
        """What programs are started with: nothing of the user's own settings and history."""
        env = {name: value for name, value in os.environ.items()
               if not name.startswith(("BANTER", "XDG_", "LC_", "INPUTRC"))}
        env.update(HOME=str(self.folder), XDG_STATE_HOME=str(self.folder / "state"), LANG="C.UTF-8",
                   INPUTRC="/dev/null", TERM="dumb")
        env.update({name: str(value) for name, value in more.items()})
        return env

    def start(self, command, *, kind=Program, env=None, **how):
        """Starts any program; env holds what is added to environment(). See Program for the rest."""
        how.setdefault("cwd", self.folder)
        program = kind(command, env=self.environment(**(env or {})), **how)
        self.programs.append(program)
        return program

    def server(self, *options, program=None, listen="127.0.0.1:0", **how):
        """A banterd with these options, listening; `-H test` takes the binary that has that handler.
        listen=None leaves the option away; ready=False does not wait until it listens."""
        if program is None:
            program = BANTERD_TEST if "test" in options else BANTERD
        where = ["--listen", listen] if listen else []
        for word, codec in zip(options, options[1:]):
            if word in ("--framing", "-f"):
                how.setdefault("framing", codec)
        ready = how.pop("ready", True)
        server = self.start([program, *where, *options], kind=Server, ready=False, **how)
        if ready and server.log:
            server.wait_ready()
        return server

    def run(self, command, *, input=None, env=None, limit=LIMIT, cwd=None):
        """Runs any program to its end. Standard input is `input` (bytes or text) in a pipe, or /dev/null."""
        data = input.encode() if isinstance(input, str) else input
        program = subprocess.Popen([*DIES_WITH_US, *map(str, command)], cwd=cwd or self.folder,
                                   env=self.environment(**(env or {})), start_new_session=True,
                                   stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            stdout, stderr = program.communicate(data, limit)
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)
            stdout, stderr = program.communicate()
            raise AssertionError(f"{command} did not end within {limit} s\n--- stdout\n{text_of(stdout)}\n"
                                 f"--- stderr\n{text_of(stderr)}") from None
        return Run(program.returncode, stdout, stderr)

    def connect(self, address, **how):
        """A LineClient to an address, closed at the latest when the test ends."""
        return self.keep(LineClient.to(address, **how))

    def keep(self, connection):
        """Anything with abandon(), which is called when the test ends."""
        self._connections.append(connection)
        return connection

    def hold_port(self):
        """A port of 127.0.0.1 for a server that is started again. It stays the test's own while nobody listens on it: a
        socket that is bound to it, and does not listen, keeps the kernel from giving it to anybody else, and a server
        that sets SO_REUSEADDR, as all of them do, may still have it. So servers may know each other's ports before
        they are started."""
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        self._held_ports.append(holder)
        return holder.getsockname()[1]

    def finish(self, failed):
        """Ends everything. Unless the test has failed already, servers are stopped as users stop them, and
        each program's exit status and standard error are checked."""
        servers = [program for program in self.programs if isinstance(program, Server)]
        try:
            for connection in self._connections:
                connection.abandon()
            for server in servers:
                server.close_clients()
            if not failed:
                for server in servers:
                    if server.running and not server.signalled:  # a second signal would kill it
                        server.send_signal(signal.SIGTERM)
                for server in servers:
                    server.wait()
                for program in servers:
                    program.check()
                for program in self.programs:
                    if program not in servers and not program.running:
                        program.check()
        finally:
            for program in self.programs:
                program.kill()
            for holder in self._held_ports:
                holder.close()
            shutil.rmtree(self.folder, ignore_errors=True)
