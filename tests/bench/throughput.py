"""Requests a second: banterd beside a plain libuv line server and the floor, in turns."""
import statistics

import report
from programs import Load, Server

SERVERS = ("banterd", "uv_line", "floor")


def add_arguments(parser):
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 16], metavar="DEPTH")
    parser.add_argument("--threads", type=int, default=1, help="banterd's loops (the peers have one each)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration", type=float, default=2, help="seconds that each measurement takes")


def _measure(name, depth, options):
    """One server, one cell, once: from a fresh start."""
    server_options = ["--threads", options.threads] if name == "banterd" else []
    with Server(name, *server_options) as server:
        before = server.cpu_seconds()
        result = Load(server, options.duration, "--connections", options.connections,
                      "--depth", depth).result()
        result["cpu_us"] = (server.cpu_seconds() - before) * 1e6 / result["answered"]
    return result


def _row(name, results):
    """The ratio is taken within each round: the machine's mood is the same for both."""
    mine = results[name]
    ratios = [ours["per_second"] / its["per_second"] for ours, its in zip(results["banterd"], mine)]
    return [name,
            report.median([result["per_second"] / 1000 for result in mine], "{:.1f}"),
            "" if name == "banterd" else report.median(ratios, "{:.2f}"),
            "{:.2f}".format(statistics.median(result["cpu_us"] for result in mine)),
            "{:.0f}".format(statistics.median(result["latency_us"]["p50"] for result in mine)),
            "{:.0f}".format(statistics.median(result["latency_us"]["p99"] for result in mine))]


def run(options):
    report.heading("Throughput", {**vars(options), "request": "Zack"}, SERVERS)
    cells = {depth: {name: [] for name in SERVERS} for depth in options.depths}
    for _ in range(options.rounds):
        for depth, results in cells.items():
            for name in SERVERS:
                results[name].append(_measure(name, depth, options))
    for depth, results in cells.items():
        print(f"{options.connections} connections, depth {depth}:\n")
        report.table(["server", "thousand requests/s", "banterd / it", "CPU us a request", "p50 us", "p99 us"],
                     [_row(name, results) for name in SERVERS])
