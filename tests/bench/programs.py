"""The programs of a benchmark: servers that are started and looked at, and the load generator.

The programs come from the folder BANTER_BUILD (build/ at the top of the tree unless set); `make
bench-programs tests` builds them all. Everything listens on a free port of 127.0.0.1, is bounded in time, and
is ended by its process.
"""
import json
import os
import re
import subprocess
import threading
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BANTER_BUILD") or TOP / "build").resolve()
READY_LIMIT = 10  # seconds until a server listens
STOP_LIMIT = 20   # seconds until it has ended after SIGTERM
GRACE = 60        # seconds that a load may last beyond its duration

PROGRAMS = {
    "banterd": BUILD / "banterd",
    "banterd-test": BUILD / "tests" / "banterd-test",
    "uv_line": BUILD / "bench" / "uv_line",
    "floor": BUILD / "bench" / "floor",
    "load": BUILD / "bench" / "load",
}


class Trouble(Exception):
    """What a person who runs the benchmark has to know, as a sentence."""


def path_of(name):
    path = PROGRAMS[name]
    if not path.exists():
        raise Trouble(f"{path} is not there; build it with: make bench-programs tests")
    return path


class Server:
    """A server that listens, for a `with` statement, which ends it.

    `name` is one of PROGRAMS; a banterd is given --listen and is as quiet as it can be. `load` holds what
    the generator must be told about it.
    """

    def __init__(self, name, *options):
        self.name = name
        self.options = list(map(str, options))
        if name.startswith("banterd"):
            self.command = [path_of(name), "--listen", "127.0.0.1:0", "--quiet", "--quiet", *self.options]
        else:
            self.command = [path_of(name), "0", *self.options]
        # The floor and the test handler give back what they are asked.
        self.load = ["--expect", "Zack"] if name == "floor" else []
        self.process = None
        self.port = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        too_late = threading.Timer(READY_LIMIT, self.process.kill)
        too_late.start()
        try:
            for line in self.process.stdout:
                ready = re.search(rb"listening on (?:127\.0\.0\.1:)?(\d+)$", line.rstrip())
                if ready:
                    self.port = int(ready[1])
                    return self
        finally:
            too_late.cancel()
        self.stop()
        raise Trouble(f"{' '.join(map(str, self.command))} does not listen")

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def _proc(self, name):
        return Path(f"/proc/{self.process.pid}/{name}")

    def cpu_seconds(self):
        """Processor time so far, user and system, of all its threads."""
        fields = self._proc("stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Bytes resident in all, and of those the ones that are its own and no file's."""
        sizes = dict(re.findall(r"^(Rss|Anonymous):\s+(\d+) kB$", self._proc("smaps_rollup").read_text(), re.M))
        return int(sizes["Rss"]) * 1024, int(sizes["Anonymous"]) * 1024

    def descriptors(self):
        return len(os.listdir(self._proc("fd")))


class Load:
    """A load generator at work. Its result is a dictionary: see report_json() in load.c."""

    def __init__(self, server, duration, *options):
        self.limit = duration + GRACE
        self.command = [path_of("load"), "--json", "--connect", server.address, "--duration", str(duration),
                        *server.load, *map(str, options)]
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def result(self):
        """Waits for its end. Any request that was not answered rightly makes the measurement worthless."""
        try:
            output, _ = self.process.communicate(timeout=self.limit)
        finally:
            self.stop()
        if self.process.returncode != 0:
            raise Trouble(f"{' '.join(map(str, self.command))} ended with {self.process.returncode}: "
                          f"{output.decode().strip()}")
        return json.loads(output)

    def stop(self):
        """Ends it at once; nothing where it has ended already."""
        self.process.kill()
        self.process.wait()
