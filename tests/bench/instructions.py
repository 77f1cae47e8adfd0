"""Instructions that the server executes for a request, in user mode, counted by valgrind. No time is measured: a busy
machine gives the same figures, and a change of one percent can be seen.

Each count is the difference of two runs with a fixed number of requests: the start, the connects and the end are not in
it. The server has one loop, since several would share the work as the clock wills. Its monitor still goes by the clock,
and valgrind makes a request take fifty times as long, so a call can seem to stall and lose its loop. That is rare and
costs little; the figure is the median of some repetitions, and the spread beside it shows when it was more.
"""
import fnmatch
import re
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

import builds
import report
from programs import PROGRAMS, Load, Missing, Server, Trouble, path_of

CONNECTIONS = 50
DEPTHS = (1, 16)
HANDLERS = {"hello": "Hello ZACK", "echo": "Zack"}  # and the reply to Zack
CELLS = {f"{handler}/{CONNECTIONS}x{depth}": (handler, depth) for handler in HANDLERS for depth in DEPTHS}
FEW = 5000  # requests of the shorter run


def _total(program, handler, depth, requests):
    """Of all that the server does from its start to its end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        counts = Path(folder) / "counts"
        command = [path_of("valgrind"), "--tool=callgrind", f"--callgrind-out-file={counts}", program, "--listen",
                   "127.0.0.1:0", "--threads", 1, "--quiet", "--quiet", "--handler", handler]
        with Server("banterd", command=command) as server:
            Load(server, 0, "--connections", CONNECTIONS, "--depth", depth, "--requests", requests,
                 "--expect", HANDLERS[handler]).go().result()
        found = re.search(r"^summary: (\d+)$", counts.read_text(), re.M) if counts.exists() else None
    if not found:
        raise Trouble(f"valgrind has counted nothing of {program}")
    return int(found[1])


def _count(program, handler, depth, requests):
    few, many = (_total(program, handler, depth, number) for number in (FEW, FEW + requests))
    return (many - few) / requests


def _without_debug_information(program, folder):
    """valgrind does not understand that of each compiler, and the counts need none."""
    copy = Path(folder) / f"{len(list(Path(folder).iterdir()))}-banterd"
    subprocess.run([path_of("strip"), "--strip-debug", "-o", copy, program], check=True)
    return copy


def run(options):
    if not shutil.which("valgrind"):
        raise Missing("valgrind is not installed; tests/tools/deps instructions installs it")
    cells = [name for name in CELLS
             if not options.cells or any(fnmatch.fnmatch(name, pattern) for pattern in options.cells)]
    if not cells:
        raise Trouble(f"nothing is called {' or '.join(options.cells)}; there are {', '.join(CELLS)}")
    if options.server:
        PROGRAMS["banterd"] = options.server
    servers = ["banterd", *("banterd" + suffix for suffix in builds.add(options.beside))]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        programs = {name: _without_debug_information(path_of(name), folder) for name in servers}
        counts = {(cell, name): [] for cell in cells for name in servers}
        for _ in range(options.repeats):
            for cell, name in counts:
                counts[cell, name].append(_count(programs[name], *CELLS[cell], options.requests))
    report.heading("Instructions a request", {"requests": options.requests, "repeats": options.repeats},
                   ["banterd", "valgrind"])
    rows = [[cell, *(report.median(counts[cell, name], "{:.0f}") for name in servers),
             *(f"{statistics.median(counts[cell, 'banterd']) / statistics.median(counts[cell, name]):.3f}"
               for name in servers[1:])] for cell in cells]
    report.table(["", *servers, *(f"ratio to {name.split()[-1]}" for name in servers[1:])], rows)
