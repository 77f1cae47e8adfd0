"""Instructions that the server executes for a request, in user mode, counted by valgrind. No time is measured: a busy
machine gives the same figures, and a change of one percent can be seen.

Each count is the difference of two runs with a fixed number of requests: the start, the connects and the end are not in
it. The server has one loop, since several would share the work as the clock wills. Its monitor still goes by the clock,
and valgrind makes a request take fifty times as long, so a call can seem to stall and lose its loop. That is rare and
only ever adds: the figure is the difference of the smallest count of either run, of some repetitions, and the range
beside it shows by how much they differed.
"""
import dataclasses
import fnmatch
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import builds
import kept
import report
from programs import PROGRAMS, Load, Missing, Server, Trouble, path_of

FILE = Path(__file__).with_suffix(".txt")  # see kept.py
FEW = 5000  # requests of the shorter run
LEAST = 0.01  # a function that has less of each cell's instructions is one of "all others"
README_CELLS = ("hello/50x1", "hello/50x16")


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


def _by_function(program, cell, requests):
    """{function: instructions}, each its own, of all that the server does from its start to its end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        counts = Path(folder) / "counts"
        command = [path_of("valgrind"), "--tool=callgrind", f"--callgrind-out-file={counts}", program, "--listen",
                   "127.0.0.1:0", "--threads", 1, "--quiet", "--quiet", *cell.server_options()]
        with Server("banterd", command=command) as server:
            Load(server, 0, "--requests", requests, *cell.load_options()).go().result()
        found = subprocess.run([path_of("callgrind_annotate"), "--threshold=100", counts], capture_output=True,
                               text=True, check=True).stdout
    functions = {}
    for number, name in re.findall(r"^ *([\d,]+) \([\d. ]+%\)  \S*?:(\S+)(?: \[.*\])?$", found, re.M):
        name = re.sub(r"(\.(lto_priv|constprop|isra|part|cold)\b|@@).*", "", name)  # a compiler's, a linker's
        functions[name] = functions.get(name, 0) + int(number.replace(",", ""))
    if not functions:
        raise Trouble(f"valgrind has counted nothing of {program}")
    return functions


class Count:
    """The two runs of a cell, some times over."""

    def __init__(self, program, cell, requests):
        self.program, self.cell = program, cell
        self.few, self.more = FEW // cell.divisor, requests // cell.divisor
        self.short, self.long = [], []

    def repeat(self):
        self.short.append(_by_function(self.program, self.cell, self.few))
        self.long.append(_by_function(self.program, self.cell, self.few + self.more))

    def figure(self):
        return (min(map(_sum, self.long)) - min(map(_sum, self.short))) / self.more

    def functions(self):
        """{function: instructions a request}"""
        short, long = min(self.short, key=_sum), min(self.long, key=_sum)
        return {name: (number - short.get(name, 0)) / self.more for name, number in long.items()}

    def text(self):
        each = [(_sum(long) - _sum(short)) / self.more for short, long in zip(self.short, self.long)]
        return f"{self.figure():.0f}" + (f" ({min(each):.0f} to {max(each):.0f})" if len(each) > 1 else "")


def _sum(functions):
    return sum(functions.values())


def _table_by_function(counts):
    """`counts` is {cell: Count}."""
    columns = [count.functions() for count in counts.values()]
    wholes = [_sum(column) for column in columns]
    names = sorted({name for column in columns for name in column},
                   key=lambda name: -max(column.get(name, 0) for column in columns))
    shown = [name for name in names
             if any(column.get(name, 0) >= LEAST * whole for column, whole in zip(columns, wholes))]
    rows = [[f"`{name}`", *(f"{max(column.get(name, 0), 0):.0f}" for column in columns)] for name in shown]
    others = [whole - sum(column.get(name, 0) for name in shown) for column, whole in zip(columns, wholes)]
    rows += [["all others", *(f"{value:.0f}" for value in others)], ["together", *(f"{value:.0f}" for value in wholes)]]
    return report.table_text(["function, and what is inlined in it", *counts], rows)


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
        counts = {(cell, name): Count(programs[name], CELLS[cell], options.requests)
                  for cell in cells for name in servers}
        for _ in range(options.repeats):
            for count in counts.values():
                count.repeat()
    report.heading("Instructions a request", {"requests": options.requests, "repeats": options.repeats},
                   ["banterd", "valgrind"])
    rows = [[cell, *(counts[cell, name].text() for name in servers),
             *(f"{counts[cell, 'banterd'].figure() / counts[cell, name].figure():.3f}" for name in servers[1:])]
            for cell in cells]
    report.table(["", *servers, *(f"ratio to {name.split()[-1]}" for name in servers[1:])], rows)
    if options.functions:
        print(_table_by_function({cell: counts[cell, "banterd"] for cell in cells}))
    figures = {cell: round(counts[cell, "banterd"].figure()) for cell in cells}
    if options.keep:
        FILE.write_text(kept.text_of(_versions(), figures))
        report.write_readme("functions", _table_by_function({cell: counts[cell, "banterd"] for cell in README_CELLS}))
    if options.check:
        good, sentence = kept.compare(FILE.read_text(), _versions(), figures)
        if not good:
            raise Trouble(sentence)
        print(sentence)
