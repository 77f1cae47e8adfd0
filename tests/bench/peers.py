"""The servers that are measured: how each is started, what it is asked, and what it can't do.

A request of a given size is, where the server's protocol allows it, so many bytes that come back. What is asked of
each stands in its class and, for readers, in README.md.
"""
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

from programs import BUILD, MOST_CONNECTIONS, PROGRAMS, Missing, Server, Trouble, path_of

HERE = Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"
FEW = 200  # connections, where each costs a process or two
SOME = 2000  # where each costs a thread


def first_line(*command):
    """What a program says about its version: the first line with a number in it. Exit statuses differ."""
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=10, check=False,
                         stdin=subprocess.DEVNULL)
    lines = [line.strip() for line in (run.stdout + run.stderr).splitlines() if re.search(r"\d", line)]
    return lines[0] if lines else "unknown"


class Peer:
    """A server that greets each line as banterd does. `start()` makes it; the other methods give options of `load`."""
    most = MOST_CONNECTIONS
    unit = "c"          # what a heavy request's iterations are counted in; see calibrate.py
    stamps = True       # whether it can tell when it began to answer
    framings = ("line",)

    def __init__(self, name):
        self.name = name

    def check(self):
        """Missing, where it can't be started here."""
        path_of(self.name)

    def version(self):
        return first_line(path_of(self.name), "--version")

    def start(self, options=()):
        return Server(self.name, *options)

    def question(self, payload, framing="line"):
        return ["--framing", framing, *(["--payload", payload] if payload != 4 else [])]

    def prepare(self, server, payload):
        """What must be done before question() can be asked."""

    def start_echo(self, most):
        """The same server, but it gives back each line, of up to `most` bytes."""
        return self.start()

    def heavy(self, kind, amount):
        """A request that computes so many iterations, or sleeps so many ms."""
        text = f"{'work' if kind == 'compute' else 'sleep'} {amount}"
        return ["--message", text, "--expect", text]

    def light(self):
        return ["--message", "now", "--stamped"]


class Banterd(Peer):
    """`options` are banterd's. `output`: None as quiet as it can be, "quiet" or "transcript" into a file."""
    framings = ("line", "netstring")

    def __init__(self, name, *options, program="banterd", output="quiet", session=True):
        super().__init__(name)
        self.program, self.options, self.output, self.session = program, options, output, session

    def check(self):
        path_of(self.program)

    def version(self):
        return first_line(path_of(self.program), "--version")

    def of_build(self, build):
        """The same of another build; see builds.py."""
        return type(self)(f"{self.name} @{build}", *self.options, program=f"{self.program} @{build}",
                          output=self.output, session=self.session)

    def log(self):
        return BUILD / "bench" / "log" / f"{self.name.replace(' ', '_')}.log"

    def start(self, framing="line", options=(), log=True, tls=False):
        self.log().parent.mkdir(parents=True, exist_ok=True)
        quiet = ["--quiet"] if self.output == "quiet" else []
        return Server(self.program, "--max-clients", MOST_CONNECTIONS, "--framing", framing, *quiet, *self.options,
                      *options, log=self.log() if log and self.output else None, session=self.session, tls=tls)

    def start_echo(self, most):
        return self.start(options=["--handler", "echo", "--max-message", most])


class BanterdCat(Banterd):
    """cat behind it, which gives back each line, too."""

    def start_echo(self, most):
        return Server(self.program, "--max-message", most, *self.options, "--", "cat", forks=True)


class Floor(Peer):
    """It gives back what it gets, so that it speaks everything."""
    framings = ("line", "netstring")
    stamps = False

    def version(self):
        return "ours"

    def question(self, payload, framing="line"):
        return [*super().question(payload, framing), "--echo"]


class Ours(Peer):
    """A server on a library whose version it tells."""

    def start_echo(self, most):
        return self.start(options=["echo"])


class Threads(Ours):
    most = SOME

    def version(self):
        return "ours"


class PythonServer(Peer):
    unit = "python"

    def __init__(self, name, kind):
        super().__init__(name)
        self.kind = kind
        if kind == "threads":
            self.most = SOME

    def check(self):
        if not Path(PYTHON).exists():
            raise Missing(f"{PYTHON} is not there; tests/tools/deps test installs it")

    def version(self):
        return first_line(PYTHON, "--version")

    def start(self):
        return Server(self.name, command=[PYTHON, HERE / "peers" / "py_lines.py", self.kind, "0"])


class Redis(Peer):
    """`PING` inline, and with a text where there is a size to carry. Nothing is ever saved."""
    unit = "redis"
    stamps = False

    @staticmethod
    def program():
        """Debian's tools have the whole server under another name, and it goes by the name: so no service need be
        installed for it."""
        link = BUILD / "bench" / "redis-server"
        if not shutil.which("redis-server") and not link.exists():
            link.symlink_to(path_of("redis-check-rdb"))
        return shutil.which("redis-server") or link

    def check(self):
        path_of("redis-cli")
        self.program()

    def version(self):
        return " ".join(first_line(self.program(), "--version").split()[:3])

    def start(self, options=("--port", "PORT"), tls=False):
        return Server(self.name, ready=None, tls=tls, command=[
            self.program(), *options, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--maxclients", MOST_CONNECTIONS, "--tcp-backlog", "4096", "--enable-debug-command", "yes",
            "--protected-mode", "no", "--loglevel", "warning"])

    def question(self, payload, framing="line"):
        if payload == 4:
            return ["--send", r"PING\r\n", "--receive", r"+PONG\r\n"]
        text = "x" * payload
        return ["--send", rf"PING {text}\r\n", "--receive", rf"${payload}\r\n{text}\r\n"]

    def heavy(self, kind, amount):
        if kind == "sleep":
            return ["--send", rf"DEBUG SLEEP {amount / 1000}\r\n", "--receive", r"+OK\r\n"]
        script = f"local x=1 for i=1,{amount} do x=(x*1103515245+12345)%4294967296 end return 'done'"
        return ["--send", rf'EVAL "{script}" 0\r\n', "--receive", r"$4\r\ndone\r\n"]

    def light(self):
        return self.question(4)


class Memcached(Peer):
    """`mn`, its no-operation. It has no echo: for a size, a value of it is got, so that only the reply has it."""
    unit = None
    stamps = False

    def check(self):
        path_of("memcached")

    def start(self, options=(), tls=False):
        return Server(self.name, ready=None, kill=True, tls=tls, command=[
            path_of("memcached"), *options, "-p", "PORT", "-l", "127.0.0.1", "-U", "0", "-c", MOST_CONNECTIONS, "-b", "4096",
            *(["-u", "root"] if os.geteuid() == 0 else [])])

    def question(self, payload, framing="line"):
        if payload == 4:
            return ["--send", r"mn\r\n", "--receive", r"MN\r\n"]
        return ["--send", r"get k\r\n", "--receive", rf"VALUE k 0 {payload}\r\n{'x' * payload}\r\nEND\r\n"]

    def prepare(self, server, payload):
        if payload != 4:
            with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
                connection.sendall(b"set k 0 0 %d\r\n%s\r\n" % (payload, b"x" * payload))
                reply = connection.recv(100)
                if reply != b"STORED\r\n":
                    raise Trouble(f"memcached stored nothing: {reply!r}")


class Exec(Peer):
    """A program that starts another for each connection: `cat`, or the filter that has our answers."""
    most = FEW
    stamps = True

    def check(self):
        path_of(self.name)

    def version(self):
        return first_line(path_of(self.name), "-V" if self.name == "socat" else "--version")

    def start(self, program="/bin/cat"):
        commands = {
            "socat": ["socat", "-d", "-d", "TCP4-LISTEN:0,bind=127.0.0.1,reuseaddr,nodelay,backlog=512,fork",
                      f"EXEC:{program}"],
            "ncat": ["ncat", "-4", "-lkn", "-m", "500", "--exec", program, "127.0.0.1", "PORT"],
            "tcpserver": ["tcpserver", "-1", "-RHl0", "-c", "500", "-b", "512", "127.0.0.1", "0", program],
        }
        path_of(self.name)
        return Server(self.name, command=commands[self.name], ready=None if self.name == "ncat" else Server.TELLS,
                      forks=True)

    def question(self, payload, framing="line"):
        return [*super().question(payload, framing), "--echo"]


class ExecFilter(Exec):
    """The same with the filter that can compute."""

    def start(self):
        return super().start(PROGRAMS["line_filter"])


PEERS = {peer.name: peer for peer in [
    Banterd("banterd"),
    Banterd("banterd -t 1", "--threads", 1),
    Banterd("banterd transcript", output="transcript"),
    Ours("uv_line"),
    Ours("event_line"),
    Redis("redis"),
    Memcached("memcached"),
    PythonServer("python asyncio", "asyncio"),
    PythonServer("python threads", "threads"),
    Exec("socat"),
    Exec("ncat"),
    Threads("thread_line"),
    Floor("floor"),
]}

# A cat that gives back each line, behind a server that starts it.
CAT_PEERS = {peer.name: peer for peer in [
    BanterdCat("banterd -- cat"),
    BanterdCat("banterd -- cat, a copy each", "--worker-per-client", "--reply-end", "none"),
    Exec("tcpserver"),
    Exec("socat"),
]}

# What has a handler that can be told to compute, to sleep, and to tell the time.
HEAVY_PEERS = {peer.name: peer for peer in [
    Banterd("banterd", "--handler", "test", program="banterd-test", output=None),
    Banterd("banterd -t 1", "--handler", "test", "--threads", 1, program="banterd-test", output=None),
    Banterd("banterd, one session", "--handler", "test", program="banterd-test", output=None, session=False),
    *(PEERS[name] for name in ("thread_line", "uv_line", "event_line", "redis", "python asyncio", "python threads")),
    ExecFilter("socat"),
    ExecFilter("ncat"),
]}


def base(name):
    """What a server of another build is called in ours."""
    return name.split(" @")[0]
