"""What was measured: a file of JSON lines that each run is appended to, so that a long one can be done in pieces.

A line is either {"run": ...}, where and how, or {"cell", "server", "round", "figures"}, one measurement, or
{"cell", "server", "skipped": why}. Those up to the next {"run"} belong to it.
"""
import hashlib
import json
import os
import platform
import re
import statistics
import time
from pathlib import Path

import programs
from clients import CLIENTS
from peers import CAT_PEERS, PEERS
from secure_peers import SECURE_PEERS

FILE = programs.BUILD / "bench" / "results" / "rounds.jsonl"


def _processor():
    match = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return match[1] if match else platform.machine()


def _system():
    match = re.search(r'^PRETTY_NAME="(.*)"$', Path("/etc/os-release").read_text(), re.M)
    return match[1] if match else platform.system()


def _autogroup():
    try:
        return Path("/proc/sys/kernel/sched_autogroup_enabled").read_text().strip() == "1"
    except OSError:
        return False


def _build(name):
    """Tells two builds of a program apart."""
    return hashlib.sha256(programs.path_of(name).read_bytes()).hexdigest()[:12]


def _versions(wanted):
    versions = {}
    for thing in [*PEERS.values(), *CAT_PEERS.values(), *SECURE_PEERS.values(), *CLIENTS.values()]:
        if thing.name in wanted:
            try:
                versions[thing.name] = thing.version()
            except programs.Missing:
                pass
    return versions


class Results:
    """`runs` is a list of records, `rounds` of measurements, each with the number of its run."""

    def __init__(self, file=FILE):
        self.file = file
        self.runs, self.rounds, self.skipped = [], [], {}
        if file.exists():
            for line in file.read_text().splitlines():
                self._take(json.loads(line))

    def _take(self, entry):
        if "run" in entry:
            self.runs.append(entry["run"])
        elif "skipped" in entry:
            self.skipped[entry["cell"], entry["server"]] = entry["skipped"]
        else:
            self.rounds.append({**entry, "run": len(self.runs)})

    def add(self, entry):
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.file, "a") as output:
            output.write(json.dumps(entry) + "\n")
        self._take(entry)

    def begin(self, sizes, names):
        self.add({"run": {
            "time": time.strftime("%Y-%m-%d %H:%M:%S"), "cores": programs.CORES, "processor": _processor(),
            "kernel": platform.release(), "system": _system(), "libc": " ".join(platform.libc_ver()),
            "autogroup": _autogroup(), "load_average": os.getloadavg()[0], "descriptors": programs.DESCRIPTORS,
            "sizes": vars(sizes), "versions": _versions(names),
            "builds": {name: _build(name) for name in ("banterd", "banterd-test", "banter")}}})

    def values(self, cell, server, figure):
        """By run and round."""
        return {(entry["run"], entry["round"]): entry["figures"][figure] for entry in self.rounds
                if entry["cell"] == cell and entry["server"] == server and figure in entry["figures"]}

    def has(self, cell):
        return any(entry["cell"] == cell for entry in self.rounds)

    def servers(self, cell):
        return list(dict.fromkeys(entry["server"] for entry in self.rounds if entry["cell"] == cell))

    def median(self, cell, server, figure):
        """None where there is nothing."""
        values = list(self.values(cell, server, figure).values())
        return statistics.median(values) if values else None

    def ratios(self, cell, server, other, figure, other_cell=None):
        """The one divided by the other, within each round: the machine's mood is the same for both."""
        ours, theirs = self.values(cell, server, figure), self.values(other_cell or cell, other, figure)
        return [ours[when] / theirs[when] for when in ours if theirs.get(when)]
