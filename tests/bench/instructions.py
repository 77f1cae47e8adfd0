"""Instructions that the server executes for a request, in user mode, counted by valgrind. No time is measured: a busy
machine gives the same figures, and a change of one percent can be seen.

Each count is the difference of two runs with a fixed number of requests: the start, the connects and the end are not in
it. The server has one loop, since several would share the work as the clock wills. Its monitor still goes by the clock,
and valgrind makes a request take fifty times as long, so a call can seem to stall and lose its loop. That is rare and
costs little; the figure is the median of some repetitions, and the spread beside it shows when it was more.
"""
import dataclasses
import fnmatch
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

import builds
import kept
import report
from programs import PROGRAMS, Load, Missing, Server, Trouble, path_of

FILE = Path(__file__).with_suffix(".txt")  # see kept.py
FEW = 5000  # requests of the shorter run


@dataclasses.dataclass
class Cell:
    handler: str
    connections: int
    depth: int
    size: int | None = None  # bytes of the message; that of all others is Zack
    divisor: int = 1         # of the number of requests: long messages take their time

    @property
    def name(self):
        size = f"/{self.size}" if self.size else ""
        return f"{self.handler}/{self.connections}x{self.depth}{size}"

    def server_options(self):
        return ["--handler", self.handler, *(["--max-message", self.size] if self.size else [])]

    def load_options(self):
        text = "x" * self.size if self.size else "Zack"
        reply = "Hello " + text.upper() if self.handler == "hello" else text
        return ["--connections", self.connections, "--depth", self.depth, "--message", text, "--expect", reply]


CELLS = {cell.name: cell for cell in (
    Cell("hello", 50, 1), Cell("hello", 50, 16), Cell("echo", 50, 1), Cell("echo", 50, 16),
    Cell("hello", 50, 16, size=512), Cell("echo", 20, 1, size=65536, divisor=20))}


def _total(program, cell, requests):
    """Of all that the server does from its start to its end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        counts = Path(folder) / "counts"
        command = [path_of("valgrind"), "--tool=callgrind", f"--callgrind-out-file={counts}", program, "--listen",
                   "127.0.0.1:0", "--threads", 1, "--quiet", "--quiet", *cell.server_options()]
        with Server("banterd", command=command) as server:
            Load(server, 0, "--requests", requests, *cell.load_options()).go().result()
        found = re.search(r"^summary: (\d+)$", counts.read_text(), re.M) if counts.exists() else None
    if not found:
        raise Trouble(f"valgrind has counted nothing of {program}")
    return int(found[1])


def _count(program, cell, requests):
    few, more = FEW // cell.divisor, requests // cell.divisor
    return (_total(program, cell, few + more) - _total(program, cell, few)) / more


def _without_debug_information(program, folder):
    """valgrind does not understand that of each compiler, and the counts need none."""
    copy = Path(folder) / f"{len(list(Path(folder).iterdir()))}-banterd"
    subprocess.run([path_of("strip"), "--strip-debug", "-o", copy, program], check=True)
    return copy


def _versions():
    """What the figures depend on besides the source."""
    comment = subprocess.run([path_of("readelf"), "--string-dump=.comment", path_of("banterd")],
                             capture_output=True, text=True, check=True).stdout
    valgrind = subprocess.run([path_of("valgrind"), "--version"], capture_output=True, text=True, check=True).stdout
    has_avx2 = re.search(r"^flags\b.*\bavx2\b", Path("/proc/cpuinfo").read_text(), re.M)
    return {"compiler": " + ".join(sorted(set(re.findall(r"^ *\[ *[0-9a-f]+\] +(.*)$", comment, re.M)))),
            "C library": " ".join(platform.libc_ver()),
            "valgrind": valgrind.strip(),
            "processor": platform.machine() + (" with AVX2" if has_avx2 else "")}


def run(options):
    if not shutil.which("valgrind"):
        raise Missing("valgrind is not installed; tests/tools/deps instructions installs it")
    cells = [name for name in CELLS
             if not options.cells or any(fnmatch.fnmatch(name, pattern) for pattern in options.cells)]
    if not cells:
        raise Trouble(f"nothing is called {' or '.join(options.cells)}; there are {', '.join(CELLS)}")
    if options.keep and options.cells:
        raise Trouble("--keep needs all cells")
    if options.server:
        PROGRAMS["banterd"] = options.server
    servers = ["banterd", *("banterd" + suffix for suffix in builds.add(options.beside))]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        programs = {name: _without_debug_information(path_of(name), folder) for name in servers}
        counts = {(cell, name): [] for cell in cells for name in servers}
        for _ in range(options.repeats):
            for cell, name in counts:
                counts[cell, name].append(_count(programs[name], CELLS[cell], options.requests))
    report.heading("Instructions a request", {"requests": options.requests, "repeats": options.repeats},
                   ["banterd", "valgrind"])
    rows = [[cell, *(report.median(counts[cell, name], "{:.0f}") for name in servers),
             *(f"{statistics.median(counts[cell, 'banterd']) / statistics.median(counts[cell, name]):.3f}"
               for name in servers[1:])] for cell in cells]
    report.table(["", *servers, *(f"ratio to {name.split()[-1]}" for name in servers[1:])], rows)
    figures = {cell: round(statistics.median(counts[cell, "banterd"])) for cell in cells}
    if options.keep:
        FILE.write_text(kept.text_of(_versions(), figures))
    if options.check:
        good, sentence = kept.compare(FILE.read_text(), _versions(), figures)
        if not good:
            raise Trouble(sentence)
        print(sentence)
