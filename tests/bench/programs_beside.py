"""Side by side: banterd -- PROGRAM and the programs that run one for each connection, requests a second, in turns."""
import json
import statistics
import subprocess
import time

import programs
import report
from peers import Exec
from programs import Server
from programs_common import FILTER, PYTHON

FILTERS = {"cat": ["/bin/cat"], "a Python filter": FILTER}
PEERS = ("banterd", "socat", "ncat", "tcpserver")


def add_arguments(parser):
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--workers", type=int, help="banterd's copies, where not one a core (the others have one each "
                        "connection)")
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 16], metavar="DEPTH")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration", type=int, default=2, help="seconds that each measurement takes")


def _start(name, command, options):
    if name == "banterd":
        return Server("banterd", *(["--workers", options.workers] if options.workers else []), "--", *command)
    # Not all of them take a program's words as they are: a script that becomes the program.
    script = "/bin/cat"
    if command == FILTER:
        script = programs.BUILD / "bench" / "filter-python"
        script.write_text(f"#!{PYTHON} -ISu\nimport sys\nfor line in sys.stdin: sys.stdout.write(line)\n")
        script.chmod(0o755)
    return Exec(name).start(str(script))


def _ask(server, options, *way):
    """Requests a second, and how many went wrong: some of these servers lose a few."""
    run = subprocess.run([programs.path_of("load"), "--json", "--connect", server.address, "--duration",
                          f"{options.duration}s", "--connections", str(options.connections), *way, "--message", "Zack",
                          "--expect", "Zack"], capture_output=True, timeout=options.duration + 60, check=False)
    result = json.loads(run.stdout)
    return result["per_second"], sum(result[name] for name in ("wrong", "refused", "lost", "unasked"))


def run(options):
    report.heading("Side by side", {**vars(options), "request": "Zack"}, ["banterd"])
    ways = {f"persistent, {depth} ahead": ["--depth", str(depth)] for depth in options.depths}
    ways["one request a connection"] = ["--connect-each"]
    cells = {(program, way): {name: [] for name in PEERS} for program in FILTERS for way in ways}
    failures = {}
    for _ in range(options.rounds):
        for (program, way), results in cells.items():
            for name in PEERS:
                with _start(name, FILTERS[program], options) as server:
                    rate, failed = _ask(server, options, *ways[way])
                results[name].append(rate)
                if failed:
                    failures[program, way, name] = failures.get((program, way, name), 0) + int(failed)
                time.sleep(0.1)  # its programs end now, and would be in the next one's time
    rows = []
    for (program, way), results in cells.items():
        row = [f"{program}, {way}"]
        for name in PEERS:
            ratios = [ours / its for ours, its in zip(results["banterd"], results[name]) if its]
            mark = "" if name == "banterd" or not ratios else f"; x {statistics.median(ratios):.1f}"
            failed = failures.get((program, way, name))
            row.append(report.median(results[name]) + mark + (f" [{failed} failed]" if failed else ""))
        rows.append(row)
    print(f"Requests a second through {options.connections} connections; x: how many times as many banterd answers\n")
    report.table(["program, connections", *PEERS], rows)
