"""What a light client notices of heavy ones: with the hand-over, and in a build without it."""
import time
from pathlib import Path

import report
from programs import PROGRAMS, Load, Server

LEAD = 0.5  # seconds that the heavy clients are ahead of, and outlast, the light one


def add_arguments(parser):
    parser.add_argument("--heavy", type=int, default=8, help="clients with one computation after the other")
    parser.add_argument("--work", type=int, default=50, help="ms of processor time that each of them takes")
    parser.add_argument("--rate", type=int, default=200, help="requests a second of the light client")
    parser.add_argument("--threads", type=int, help="the server's loops (its own choice unless given)")
    parser.add_argument("--without", type=Path, metavar="BINARY",
                        help="a banterd-test built with CPPFLAGS=-DSERVER_STALL_MS=0, to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration", type=float, default=10, help="seconds that each measurement takes")


def _measure(name, options):
    threads = ["--threads", options.threads] if options.threads else []
    with Server(name, "--handler", "test", *threads) as server:
        work = f"compute {options.work}"
        heavy = Load(server, options.duration + 2 * LEAD, "--connections", options.heavy,
                     "--message", work, "--expect", work)
        try:
            time.sleep(LEAD)
            # Each request is sent when it is due, whatever is still owed.
            light = Load(server, options.duration, "--rate", options.rate, "--depth", 1000,
                         "--expect", "Zack").result()
            return {"light": light, "heavy": heavy.result()}
        finally:
            heavy.stop()


def _row(variant, results):
    def latency(key):
        return report.median([result["light"]["latency_us"][key] / 1000 for result in results], "{:.2f}")
    return [variant, *map(latency, ("p50", "p99", "p99.9", "max")),
            report.median([result["heavy"]["per_second"] for result in results], "{:.1f}")]


def run(options):
    report.heading("Isolation", vars(options), ["banterd-test"])
    variants = {"hand-over": "banterd-test"}
    if options.without:
        PROGRAMS["banterd-test without"] = options.without
        variants["without it"] = "banterd-test without"
    results = {variant: [] for variant in variants}
    for _ in range(options.rounds):
        for variant, measured in results.items():
            measured.append(_measure(variants[variant], options))
    print(f"{options.heavy} clients with {options.work} ms of computation at a time; one light client at "
          f"{options.rate} requests/s, its latency in ms from when each was due:\n")
    report.table(["server", "p50", "p99", "p99.9", "max", "heavy requests/s"],
                 [_row(variant, measured) for variant, measured in results.items()])
