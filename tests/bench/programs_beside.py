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
# Ours, with the options of each; the others have nothing like them.
OURS = {"banterd": [], "--ahead 16": ["--ahead", "16"], "--tagged": ["--tagged"],
        "--reply-end none": ["--worker-per-client", "--reply-end", "none"]}
PEERS = ("socat", "ncat", "tcpserver")


def add_arguments(parser):
    parser.add_argument("--connections", type=int, nargs="+", default=[20, 200], metavar="COUNT")
    parser.add_argument("--programs", nargs="+", choices=FILTERS, default=list(FILTERS), metavar="PROGRAM")
    parser.add_argument("--workers", type=int, help="banterd's copies, where not one a core (the others have one each "
                        "connection)")
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 16], metavar="DEPTH")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration", type=int, default=2, help="seconds that each measurement takes")


def _start(name, command, options):
    if name in OURS:
        workers = ["--workers", options.workers] if options.workers and "--worker-per-client" not in OURS[name] else []
        return Server("banterd", *OURS[name], *workers, "--", *command)
    # Not all of them take a program's words as they are: a script that becomes the program.
    script = "/bin/cat"
    if command == FILTER:
        script = programs.BUILD / "bench" / "filter-python"
        script.write_text(f"#!{PYTHON} -ISu\nimport sys\nfor line in sys.stdin: sys.stdout.write(line)\n")
        script.chmod(0o755)
    return Exec(name).start(str(script))


def _ask(server, options, connections, way):
    """Requests a second, and how many went wrong: some of these servers lose a few, and then the load waits for ever."""
    command = [programs.path_of("load"), "--json", "--connect", server.address, "--duration", f"{options.duration}s",
               "--connections", str(connections), *way, "--message", "Zack", "--expect", "Zack"]
    try:
        run = subprocess.run(command, capture_output=True, timeout=options.duration + 20, check=False)
    except subprocess.TimeoutExpired:
        return 0, 1
    result = json.loads(run.stdout)
    return result["per_second"], sum(result[name] for name in ("wrong", "refused", "lost", "unasked"))


def _servers(way):
    """Those that are asked so: several requests of a connection can only be given at once if it sends them ahead."""
    without = {"--connect-each": {"--ahead 16", "--tagged"}, "--depth": {"--ahead 16"} if way[-1] == "1" else set()}
    return [name for name in (*OURS, *PEERS) if name not in without[way[0]]]


def _ratio(results, name, beside):
    """The median of how many times as many this one answers, round by round."""
    ratios = [ours / its for ours, its in zip(results.get(name, []), results[beside]) if its]
    return f"{statistics.median(ratios):.2f}" if ratios else "-"


def run(options):
    report.heading("Side by side", {**vars(options), "request": "Zack"}, ["banterd"])
    ways = {f"persistent, {depth} ahead": ["--depth", str(depth)] for depth in options.depths}
    ways["one request a connection"] = ["--connect-each"]
    cells = {(program, connections, way): {name: [] for name in _servers(ways[way])} for program in options.programs
             for connections in options.connections for way in ways}
    failures = {}
    for _ in range(options.rounds):
        for (program, connections, way), results in cells.items():
            for name in results:
                with _start(name, FILTERS[program], options) as server:
                    rate, failed = _ask(server, options, connections, ways[way])
                results[name].append(rate)
                if failed:
                    cell = program, connections, way, name
                    failures[cell] = failures.get(cell, 0) + int(failed)
                time.sleep(0.1)  # its programs end now, and would be in the next one's time
    rates, ratios = [], []
    for (program, connections, way), results in cells.items():
        title = f"{program}, {connections} connections, {way}"
        marks = {name: failures.get((program, connections, way, name)) for name in results}
        rates.append([title, *(report.median(results[name]) + (f" [{marks[name]} failed]" if marks[name] else "")
                               if name in results else "-" for name in (*OURS, *PEERS))])
        for name in OURS:
            if name in results:
                ratios.append([f"{title}: {name}", *(_ratio(results, name, beside) for beside in ("banterd", *PEERS))])
    print("Requests a second\n")
    report.table(["program, connections", *OURS, *PEERS], rates)
    print("\nHow many times as many requests it answers as\n")
    report.table(["program, connections: banterd with", "banterd", *PEERS], ratios)
