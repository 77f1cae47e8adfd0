"""The programs of a benchmark: servers that are started and looked at, and the load generator.

The programs come from the folder BANTER_BUILD (build/ at the top of the tree unless set); `make
bench-programs tests` builds them all. Everything listens on a free port of 127.0.0.1, is bounded in time, and
is ended by its process.
"""
import contextlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BANTER_BUILD") or TOP / "build").resolve()
READY_LIMIT = 10  # seconds until a server listens
STOP_LIMIT = 20   # seconds until it has ended after SIGTERM
GRACE = 60        # seconds that a load may last beyond its duration
CORES = len(os.sched_getaffinity(0))
DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
SPARE_DESCRIPTORS = 500  # of a server's, besides its connections
MOST_CONNECTIONS = min(DESCRIPTORS - SPARE_DESCRIPTORS, 100000)

PROGRAMS = {
    "banterd": BUILD / "banterd",
    "banter": BUILD / "banter",
    "banterd-test": BUILD / "tests" / "banterd-test",
    **{name: BUILD / "bench" / name
       for name in ("uv_line", "event_line", "thread_line", "floor", "line_filter", "load", "timed")},
}


class Trouble(Exception):
    """What a person who runs the benchmark has to know, as a sentence."""


class Missing(Trouble):
    """A program that is not there."""


def path_of(name):
    if name not in PROGRAMS:
        found = shutil.which(name)
        if not found:
            raise Missing(f"{name} is not installed; tests/tools/deps beside installs it")
        return Path(found)
    path = PROGRAMS[name]
    if not path.exists():
        raise Missing(f"{path} is not there; build it with: make bench-programs tests")
    return path


def free_port():
    """For servers that don't tell which one they have got."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def unprivileged():
    """What to put in front of a command, so that a server has no more rights than a user's."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return []
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]


def end(process):
    process.terminate()
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def killed_after(seconds, process):
    """Kills a process that is read from, where that takes longer."""
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True  # a signal may come between its start and the next line: nobody is to wait for it then
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def memory_of(process):
    """Bytes resident in all, and of those the ones that are its own and no file's."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    sizes = dict(re.findall(r"^(Rss|Anonymous):\s+(\d+) kB$", text, re.M))
    return int(sizes["Rss"]) * 1024, int(sizes["Anonymous"]) * 1024


class Server:
    """A server that listens, for a `with` statement, which ends it and what it has started.

    `command` is a list of words, in which PORT stands for a free port. `ready` is what it writes when it
    listens, the port in its group; None where it says nothing. `log`: a name for a file that takes its output;
    otherwise what it writes is thrown away. It is the leader of a session of its own, unless `session` is false.
    `file`: the name and the text of one that it finds in its folder, in which PORT stands for the same. `tls`: it speaks
    TLS. `forks`: it has processes of its own, which end with it. `kill`: it takes its time to end, and holds nothing that
    it would lose. Without a command it is a banterd, or one of our peers, from PROGRAMS.
    """

    TELLS = rb"[Ll]istening on \S*?[: ]?(?:127\.0\.0\.1[: ])?(\d+)$|^(\d+)$"

    def __init__(self, name, *options, command=None, ready=TELLS, log=None, session=True, forks=False,
                 kill=False, file=None, tls=False):
        self.name = name
        self.options = list(map(str, options))
        if command is None and name.startswith("banterd"):
            command = [path_of(name), "--listen", f"{'tls:' * tls}127.0.0.1:0", *([] if log else ["--quiet", "--quiet"])]
        elif command is None:
            command = [path_of(name), "0"]
        self.command = [str(word) for word in [*command, *self.options]]
        self.ready, self.session, self.forks, self.kill, self.tls = ready, session, forks, kill, tls
        self.file = file
        self.log = log and Path(log)
        self.process = self.port = self._folder = None

    def __enter__(self):
        for _ in range(3):  # a free port may be somebody else's the next moment
            if self._start():
                return self
            self.stop()
        raise Trouble(f"{' '.join(self.command)} does not listen")

    def _start(self):
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        port = free_port() if "PORT" in self.command or self.file else None
        if self.file:
            (Path(self._folder.name) / self.file[0]).write_text(self.file[1].replace("PORT", str(port)))
        command = [str(port) if word == "PORT" else word for word in self.command]
        output = open(self.log, "wb") if self.log else subprocess.PIPE
        try:
            self.process = subprocess.Popen(
                [*unprivileged(), *command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=self.session, cwd=self._folder.name)
        finally:
            if self.log:
                output.close()
        self.port = port
        if self.log:
            return self._await(self._listens_by_log)
        if self.ready is None:
            threading.Thread(target=self._swallow, daemon=True).start()
            return self._await(self._connects)
        return self._listens_by_output()

    def _await(self, condition):
        deadline = time.monotonic() + READY_LIMIT
        while self.process.poll() is None and time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.002)
        return False

    def _listens_by_log(self):
        for line in self.log.read_bytes().splitlines():
            if self._tells_port(line):
                return True
        return False

    def _connects(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), READY_LIMIT):
                return True
        except OSError:
            return False

    def _tells_port(self, line):
        match = re.search(self.ready, line.rstrip())
        if match:
            self.port = int(next(filter(None, match.groups())))
        return match

    def _listens_by_output(self):
        with killed_after(READY_LIMIT, self.process):
            for line in self.process.stdout:
                if self._tells_port(line):
                    threading.Thread(target=self._swallow, daemon=True).start()
                    return True
        return False

    def _swallow(self):
        """Some tell each connection: that must be read."""
        try:
            while self.process.stdout.read(65536):
                pass
        except ValueError:  # closed
            pass

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process is None:
            return
        if self.kill:
            self.process.kill()
        end(self.process)
        if self.forks and self.session:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._folder.cleanup()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def _proc(self, name):
        return Path(f"/proc/{self.process.pid}/{name}")

    def _stats(self):
        """{process: the fields of /proc/PID/stat behind the name}, of it and of the processes that it has started."""
        stats = {self.process.pid: self._proc("stat").read_text().rsplit(")", 1)[1].split()}
        for entry in os.listdir("/proc") if self.forks else []:
            if entry.isdigit():
                try:
                    fields = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                if int(fields[3]) == self.process.pid:
                    stats[int(entry)] = fields
        return stats

    def cpu_seconds(self):
        """Processor time so far, user and system, of all its threads and processes."""
        ticks = sum(int(field) for fields in self._stats().values() for field in fields[11:15 if self.forks else 13])
        return ticks / os.sysconf("SC_CLK_TCK")

    def faults(self):
        """Page faults so far, with and without reading from a disk, of all threads and processes that are there."""
        return sum(int(fields[7]) + int(fields[9]) for fields in self._stats().values())

    def writes(self):
        """Calls of write(2) so far; what goes to sockets by send(2) is not in it."""
        return int(re.search(r"^syscw: (\d+)$", self._proc("io").read_text(), re.M)[1])

    def memory(self):
        """Bytes resident in all, and of those the ones that are its own and no file's."""
        return memory_of(self.process.pid)

    def resident(self):
        """Bytes, summed over its processes: what they share counts for each."""
        return sum(int(fields[21]) for fields in self._stats().values()) * os.sysconf("SC_PAGESIZE")

    def descriptors(self):
        return len(os.listdir(self._proc("fd")))


class Load:
    """A load generator at work. Its result is a dictionary: see report_json() in load.c.

    All its connections are open when this has been made; it asks when go() says so.
    """

    def __init__(self, server, duration, *options):
        self.limit = duration + GRACE
        self.command = [str(path_of("load")), "--json", "--wait", "--connect", server.address, *["--tls"] * server.tls,
                        *(["--duration", f"{duration * 1000:.0f}ms"] if duration else []), *map(str, options)]
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with killed_after(GRACE, self.process):
            line = self.process.stdout.readline()
        if line != b"connected\n":
            self.stop()
            raise Trouble(f"{self} could not connect")

    def __str__(self):
        text = " ".join(self.command)
        return text if len(text) < 400 else text[:400] + "..."

    def go(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return self

    def answered(self):
        """Waits until nothing more is asked; for --hold, which keeps the connections until result() is called."""
        with killed_after(self.limit, self.process):
            line = self.process.stdout.readline()
        if line != b"answered\n":
            self.stop()
            raise Trouble(f"{self} did not come to rest")
        return self

    def result(self):
        """Waits for its end. Any request that was not answered rightly makes the measurement worthless."""
        try:
            output, _ = self.process.communicate(timeout=self.limit)
        except subprocess.TimeoutExpired:
            raise Trouble(f"{self} did not end within {self.limit:.0f} s") from None
        finally:
            self.stop()
        if self.process.returncode != 0:
            raise Trouble(f"{self} ended with {self.process.returncode}: {output.decode().strip()}")
        return json.loads(output)

    def stop(self):
        """Ends it at once; nothing where it has ended already."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
