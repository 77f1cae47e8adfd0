"""The plots, as SVG, by gnuplot."""
import shutil

import gnuplot
from goals import RATE
from throughput import GROWTH, MAIN, PAYLOAD_CELLS, PAYLOADS

COLOURS = {"banterd": "#c0392b", "banterd -t 1": "#e59866", "banterd transcript": "#f5b7b1", "uv_line": "#2471a3",
           "event_line": "#7fb3d5", "redis": "#196f3d", "memcached": "#82e0aa", "python asyncio": "#b7950b",
           "python threads": "#f7dc6f", "thread_line": "#6c3483", "socat": "#a569bd", "ncat": "#d2b4de",
           "floor": "#909497", "banterd, one session": "#f5b7b1"}


def _bars(file, title, groups, servers, value, unit, logarithmic=False):
    """For each group a bar for each server. `value(group, server)` is a number or None."""
    servers = [server for server in servers if any(value(group, server) for _, group in groups)]
    if not servers:
        return
    rows = [[label, *(value(group, server) for server in servers)] for label, group in groups]
    commands = gnuplot.data("bars", rows)
    commands += "set style data histogram\nset style histogram cluster gap 2\nset style fill solid\n"
    commands += f"set ylabel {gnuplot.quoted(unit)}\n"
    commands += "set logscale y\n" if logarithmic else "set yrange [0:*]\n"
    commands += "plot " + ", ".join(
        f"$bars using {column}{':xtic(1)' if column == 2 else ''} title {gnuplot.quoted(server)} "
        f"lc rgb '{COLOURS[server]}'"
        for column, server in enumerate(servers, 2)) + "\n"
    gnuplot.draw(file, title, commands)


def _throughput(results, folder):
    wanted = [*((cell, 4) for cell in MAIN), *((cell, payload) for payload in PAYLOADS for cell in PAYLOAD_CELLS)]
    groups = [(f"{connections}x{depth}" + (f", {payload} B" if payload != 4 else ""),
               f"throughput/{connections}x{depth}/{payload}") for (connections, depth), payload in wanted]
    groups = [(label, cell) for label, cell in groups if results.has(cell)]
    servers = list(dict.fromkeys(name for _, cell in groups for name in results.servers(cell)))
    if groups and "floor" in servers:
        # Part of the floor, for the cells differ by three orders of magnitude.
        def value(cell, server):
            rate, floor = results.median(cell, server, RATE), results.median(cell, "floor", RATE)
            return rate / floor if rate and floor else None
        _bars(folder / "throughput.svg", "Requests a second, the floor being 1 (connections x depth, payload)", groups,
              servers, value, "part of the floor's rate")


def _growth(results, folder):
    cells = [(connections, f"throughput/{connections}x{depth}/4") for connections, depth in GROWTH]
    cells = [(connections, cell) for connections, cell in cells if results.has(cell)]
    servers = list(dict.fromkeys(name for _, cell in cells for name in results.servers(cell)
                                 if name not in ("socat", "ncat", "banterd transcript")))
    if len(cells) < 2:
        return
    for file, title, figure in (("growth.svg", "Requests a second with more and more connections, depth 1", RATE),
                                ("growth-cost.svg", "Processor time of the server for a request, depth 1", "cpu_us")):
        rows = [[connections, *((results.median(cell, server, figure) or None) for server in servers)]
                for connections, cell in cells]
        commands = gnuplot.data("lines", rows) + "set logscale xy\nset grid\nset datafile missing 'NaN'\n"
        commands += "set xlabel 'connections'\n"
        commands += f"set ylabel {gnuplot.quoted('requests/s' if figure == RATE else 'us')}\n"
        commands += "plot " + ", ".join(
            f"$lines using 1:{column} title {gnuplot.quoted(server)} with linespoints lc rgb '{COLOURS[server]}' "
            "pt 7 ps 0.5 lw 2"
            for column, server in enumerate(servers, 2)) + "\n"
        gnuplot.draw(folder / file, title, commands)


def _isolation(results, folder):
    for kind, words in (("compute", "that compute"), ("sleep", "that sleep")):
        cells = [f"isolation/{kind}-{heavy}" for heavy in (8, 64) if results.has(f"isolation/{kind}-{heavy}")]
        if not cells:
            continue
        servers = list(dict.fromkeys(name for cell in cells for name in results.servers(cell)))
        groups = [(f"{cell.rsplit('-', 1)[1]} heavy, {name}", (cell, name)) for cell in cells
                  for name in ("p50", "p99", "p99.9", "max")]
        _bars(folder / f"isolation-{kind}.svg",
              f"Latency of a light client beside heavy ones {words}, whole round trip", groups, servers, lambda group, server: results.median(group[0], server, f"latency_{group[1]}_ms"),
              "ms", logarithmic=True)


def draw(results, folder):
    """Returns why there are none, or None."""
    if not shutil.which("gnuplot"):
        return "gnuplot is not installed; tests/tools/deps beside installs it"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for part in (_throughput, _growth, _isolation):
        part(results, folder)
    return None
