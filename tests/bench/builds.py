"""Other builds of banterd and banter beside ours, in the same rounds: what a change costs or gains."""
import dataclasses
import statistics
from pathlib import Path

import report
from clients import CLIENTS
from peers import CAT_PEERS, HEAVY_PEERS, PEERS
from programs import PROGRAMS
from secure_peers import SECURE_PEERS

OURS = ("banterd", "banterd -t 1", "banterd, TLS", "banterd -t 1, TLS", "banterd -- cat", "banterd -- cat, a copy each",
        "banter")
CELLS = ("throughput/50x1/4", "throughput/50x16/4", "isolation/compute-8", "isolation/compute-64", "idle/memory")
FIGURES = {  # those that a table has; whether more is better
    "per_second": ("requests a second", "{:,.0f}", True),
    "cpu_us": ("CPU us a request", "{:.2f}", False),
    "latency_p50_ms": ("latency of the light client, ms: p50", "{:.3f}", False),
    "latency_p99_ms": ("the same, p99", "{:.3f}", False),
    "heavy_per_second": ("heavy requests a second", "{:.1f}", True),
    "handshakes_per_second": ("handshakes a second beside it", "{:,.0f}", True),
    "silent_bytes": ("bytes of a connection that was never asked", "{:.1f}", False),
    "spoken_bytes": ("of one that was answered once", "{:.1f}", False),
    "faults": ("page faults a request", "{:.3f}", False),
    "kept_bytes": ("bytes that a connection keeps for it", "{:,.0f}", False),
    "listens_ms": ("ms until it listens", "{:.2f}", False),
    "stop_ms": ("ms until it has ended", "{:.0f}", False),
    "lines_per_second": ("lines a second", "{:,.0f}", True),
    "ms": ("ms for one message", "{:.2f}", False),
}


def named(text):
    """(name, path) of NAME=PATH, where PATH is a banterd or a folder that `make tests` has built."""
    name, _, path = text.partition("=")
    if not name.isidentifier() or not Path(path).exists() or not path:
        raise ValueError(text)
    return name, Path(path).resolve()


def add(builds):
    """Each of our servers gets a twin of each build, with @NAME behind its name. Returns the suffixes."""
    for build, path in builds:
        folder = path if path.is_dir() else path.parent
        PROGRAMS[f"banterd @{build}"] = folder / "banterd" if path.is_dir() else path
        PROGRAMS[f"banter @{build}"] = folder / "banter"
        PROGRAMS[f"banterd-test @{build}"] = folder / "tests" / "banterd-test"
        for peers in (PEERS, HEAVY_PEERS, CAT_PEERS, SECURE_PEERS, CLIENTS):
            for name in (name for name in OURS if name in peers):
                peers[f"{name} @{build}"] = peers[name].of_build(build)
    return [f" @{build}" for build, _ in builds]


def alone(cell, suffixes):
    """The cell with our servers and their twins, and no others."""
    return dataclasses.replace(cell, servers=[name + suffix for name in cell.servers if name in OURS
                                              for suffix in ("", *suffixes)])


def table(results, suffixes):
    rows = []
    for cell in dict.fromkeys(entry["cell"] for entry in results.rounds):
        for server in (name for name in results.servers(cell) if name in OURS):
            for figure, (text, form, more) in FIGURES.items():
                values = [list(results.values(cell, server + suffix, figure).values()) for suffix in ("", *suffixes)]
                if all(values):
                    ratios = [results.ratios(cell, server, server + suffix, figure) for suffix in suffixes]
                    rows.append([f"{cell}, {server}: {text}", "more" if more else "less",
                                 *(report.median(one, form) for one in values),
                                 *(f"{statistics.median(one):.3f}" if one else "-" for one in ratios)])
    report.table(["", "is better", "ours", *(suffix.strip() for suffix in suffixes),
                  *(f"ours / {suffix.strip()}" for suffix in suffixes)], rows)
