"""Side by side: banterd -- PROGRAM and the programs that run one for each connection, requests a second, in turns."""
import json
import re
import shutil
import socket
import statistics
import subprocess
import threading
import time

import programs
import report
from programs import READY_LIMIT, STOP_LIMIT, Server, Trouble
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


class Peer:
    """A program that starts another for each connection, on a free port; ended with all that it has started."""

    def __init__(self, name, command):
        self.name, self.filter = name, command
        self.load = []
        self.process = self.port = None

    def _command(self, script):
        if self.name == "socat":
            return ["socat", "-d", "-d", "TCP4-LISTEN:0,bind=127.0.0.1,reuseaddr,backlog=512,fork", f"EXEC:{script}"]
        if self.name == "ncat":
            return ["ncat", "-4", "-lkvn", "-m", "500", "--exec", str(script), "127.0.0.1", str(_free_port())]
        return ["tcpserver", "-1", "-RHl0", "-c", "500", "-b", "512", "127.0.0.1", "0", str(script)]

    def __enter__(self):
        if not shutil.which(self.name):
            raise Trouble(f"{self.name} is not there; install it with: tests/tools/deps beside")
        # Not all of them take a program's words as they are: a script that becomes the program.
        if self.filter == FILTERS["cat"]:
            script = "/bin/cat"
        else:
            script = programs.BUILD / "bench" / "filter-python"
            script.write_text(f"#!{PYTHON} -ISu\nimport sys\nfor line in sys.stdin: sys.stdout.write(line)\n")
            script.chmod(0o755)
        self.process = subprocess.Popen(self._command(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        too_late = threading.Timer(READY_LIMIT, self.process.kill)
        too_late.start()
        try:
            for line in self.process.stdout:
                ready = re.search(rb"[Ll]istening on \S*?[: ](?:127\.0\.0\.1[: ])?(\d+)$|^(\d+)$", line.rstrip())
                if ready:
                    self.port = int(ready[1] or ready[2])
                    # They tell each connection: it must be read.
                    threading.Thread(target=self._read, daemon=True).start()
                    return self
        finally:
            too_late.cancel()
        self.__exit__()
        raise Trouble(f"{self.name} does not listen")

    def _read(self):
        try:
            while self.process.stdout.read(65536):
                pass
        except ValueError:  # closed
            pass

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


def _free_port():
    """ncat does not tell which port it has got."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start(name, command, options):
    if name != "banterd":
        return Peer(name, command)
    return Server("banterd", *(["--workers", options.workers] if options.workers else []), "--", *command)


def _persistent(server, depth, options):
    run = subprocess.run([programs.path_of("load"), "--json", "--connect", server.address, "--duration",
                          str(options.duration), "--connections", str(options.connections), "--depth", str(depth),
                          "--message", "Zack", "--expect", "Zack"], capture_output=True, timeout=options.duration + 60)
    return json.loads(run.stdout)["per_second"], run.returncode != 0


def _one_request(server, options):
    run = subprocess.run([programs.BUILD / "bench" / "connects", str(server.port), str(options.connections),
                          str(options.duration)], capture_output=True, timeout=options.duration + 60)
    result = json.loads(run.stdout)
    return result["per_second"], result["failed"]


def run(options):
    report.heading("Side by side", {**vars(options), "request": "Zack"}, ["banterd"])
    ways = {f"persistent, {depth} ahead": lambda server, depth=depth: _persistent(server, depth, options)
            for depth in options.depths}
    ways["one request a connection"] = lambda server: _one_request(server, options)
    cells = {(program, way): {name: [] for name in PEERS} for program in FILTERS for way in ways}
    failures = {}
    for _ in range(options.rounds):
        for (program, way), results in cells.items():
            for name in PEERS:
                with _start(name, FILTERS[program], options) as server:
                    rate, failed = ways[way](server)
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
