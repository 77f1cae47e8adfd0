"""The report: where it ran, a table for each kind of cell, who wins, and the goals."""
import shutil

import goals
import plots
import report
from goals import RATE, TIE, best_peer, ratio
from secure import BESIDE_CELLS as SECURE_BESIDE
from secure import RATE_CELLS as SECURE_RATES
from throughput import GROWTH, MAIN

SECURE = ", TLS"  # at the end of a server's name
PERCENTILES = ("p50", "p99", "p99.9", "max")


def _median(results, cell, server, figure, form, scale=1):
    values = [value * scale for value in results.values(cell, server, figure).values()]
    return report.median(values, form) if values else "-"


def _plain(results, cell, server, figure, form, scale=1):
    """Without the spread."""
    value = results.median(cell, server, figure)
    return "-" if value is None else form.format(value * scale)


def _ratio(value):
    return "-" if value is None else f"{value:.2f}"


def _verdict(value):
    if value is None:
        return "-"
    return "ahead" if value > 1 / TIE else "tie" if value >= TIE else "behind"


# ---- where and how

def _machine(results):
    last = results.runs[-1]
    rounds = {}
    for entry in results.rounds:
        rounds.setdefault(entry["cell"], set()).add((entry["run"], entry["round"]))
    counts = sorted(map(len, rounds.values()))
    lines = [f"- machine: {last['cores']} cores ({last['processor']}), {last['system']}, Linux {last['kernel']}, "
             f"{last['libc']}, at most {last['descriptors']} descriptors a process",
             f"- measured: {results.runs[0]['time']} to {results.runs[-1]['time']}, in {len(results.runs)} "
             f"{'run' if len(results.runs) == 1 else 'runs'}; load average at the start of each "
             f"{', '.join(format(run['load_average'], '.1f') for run in results.runs)}",
             f"- rounds of each cell: {counts[0]}" + (f" to {counts[-1]}" if counts[-1] > counts[0] else ""),
             "- options: " + ", ".join(f"{name} {value}" for name, value in last["sizes"].items()
                                       if name not in ("most", "lead")),
             f"- the scheduler's autogroup is {'on' if last['autogroup'] else 'off'}: each server has a session of its "
             "own, except where it says *one session*",
             "- versions: " + ", ".join(f"{name} ({version})" for name, version in sorted(
                 {name: version for run in results.runs for name, version in run["versions"].items()}.items()))]
    builds = {tuple(sorted(run["builds"].items())) for run in results.runs}
    if len(builds) > 1:
        lines.append(f"- **{len(builds)} different builds of banterd and banter are mixed in these figures**")
    return "\n".join(lines) + "\n"


# ---- requests a second

def _overview(results):
    rows = []
    for cell in goals.rate_cells(results):
        best = best_peer(results, cell)
        values = [best and ratio(results, cell, "banterd", best), ratio(results, cell, "banterd", "floor"),
                  best and ratio(results, cell, "banterd -t 1", best), ratio(results, cell, "banterd -t 1", "floor")]
        verdict = _verdict(max((value for value in (values[0], values[2]) if value), default=None))
        rows.append([cell, _plain(results, cell, "banterd", RATE, "{:,.0f}"),
                     _plain(results, cell, "banterd -t 1", RATE, "{:,.0f}"),
                     f"{_plain(results, cell, best, RATE, '{:,.0f}')} ({best})" if best else "-",
                     *map(_ratio, values), _verdict(values[0]), verdict])
    return report.table_text(
        ["cell", "banterd", "one loop", "best peer", "banterd / best", "banterd / floor", "one loop / best",
         "one loop / floor", "banterd is", "the better of its two is"], rows)


def _rates(results, cell):
    rows = []
    for server in sorted(results.servers(cell), key=lambda name: -results.median(cell, name, RATE)):
        rows.append([server, _median(results, cell, server, RATE, "{:.1f}", 1e-3),
                     "" if server == "banterd" else _ratio(ratio(results, cell, "banterd", server)),
                     _plain(results, cell, server, "cpu_us", "{:.2f}"),
                     _plain(results, cell, server, "p50_us", "{:.0f}"),
                     _plain(results, cell, server, "p99_us", "{:.0f}")])
    return f"**{cell}**\n\n" + report.table_text(
        ["server", "thousand requests/s", "banterd / it", "CPU us a request", "p50 us", "p99 us"], rows)


def _throughput(results):
    cells = goals.rate_cells(results)
    if not cells:
        return ""
    text = ("### Requests a second\n\nThe name of a cell is connections x depth / payload. Who is ahead is said where "
            "the difference is more than 5 %.\n\n" + _overview(results))
    return text + "\n" + "\n".join(_rates(results, cell) for cell in cells)


def _loops(results):
    cells = [cell for cell in [*goals.rate_cells(results), "work/200us"] if results.has(cell)]
    rows = [[cell, *(_median(results, cell, server, RATE, "{:,.0f}") for server in ("banterd", "banterd -t 1")),
             _ratio(ratio(results, cell, "banterd", "banterd -t 1"))] for cell in cells]
    return "### As many loops as cores, and one\n\nRequests a second.\n\n" + report.table_text(
        ["cell", "banterd", "one loop", "ratio"], rows) if rows else ""


def _transcript(results):
    cells = [cell for connections, depth in MAIN if results.has(cell := f"throughput/{connections}x{depth}/4")]
    rows = [[cell, *(_median(results, cell, server, RATE, "{:,.0f}") for server in ("banterd", "banterd transcript")),
             _ratio(ratio(results, cell, "banterd transcript", "banterd")),
             _plain(results, cell, "banterd transcript", "dropped_share", "{:.1f} %", 100),
             _plain(results, cell, "banterd transcript", "writes", "{:.4f}")] for cell in cells]
    return "### The transcript in a file\n\nRequests a second.\n\n" + report.table_text(
        ["cell", "--quiet", "transcript", "ratio", "of its lines dropped", "write(2) a request"], rows) if rows else ""


def _growth(results):
    cells = [(connections, f"throughput/{connections}x{depth}/4") for connections, depth in GROWTH]
    cells = [(connections, cell) for connections, cell in cells if results.has(cell)]
    servers = list(dict.fromkeys(name for _, cell in cells for name in results.servers(cell)))
    if not cells:
        return ""

    def cost(cell, server):
        return (f"{_plain(results, cell, server, RATE, '{:.1f}', 1e-3)} "
                f"({_plain(results, cell, server, 'cpu_us', '{:.1f}')})")
    rows = [[server, *(cost(cell, server) for _, cell in cells)] for server in servers]
    return ("### Growth\n\nThousand requests a second, depth 1; in brackets the server's processor time for each, in us."
            "\n\n" + report.table_text(["connections", *(f"{connections:,}" for connections, _ in cells)], rows))


# ---- TLS

def _secure_rates(results):
    rows = []
    for cell in (cell for cell in SECURE_RATES if results.has(cell)):
        for server in (name for name in results.servers(cell) if name.endswith(SECURE)):
            rows.append([cell, server, _median(results, cell, server, RATE, "{:.1f}", 1e-3),
                         _ratio(ratio(results, cell, server, server.removesuffix(SECURE))),
                         "" if server == "banterd, TLS" else _ratio(ratio(results, cell, "banterd, TLS", server)),
                         *(_plain(results, cell, server, figure, form) for figure, form in (
                             ("cpu_us", "{:.2f}"), ("p50_us", "{:.0f}"), ("p99_us", "{:.0f}")))])
    return report.table_text(["cell", "server", "thousand requests/s", "/ itself in the clear", "banterd / it",
                              "CPU us a request", "p50 us", "p99 us"], rows) if rows else ""


def _secure_handshakes(results):
    cell = "tls/handshakes"
    rows = [[server, _median(results, cell, server, RATE, "{:,.0f}"),
             "" if server == "banterd, TLS" else _ratio(ratio(results, cell, "banterd, TLS", server)),
             _plain(results, cell, server, "cpu_us", "{:.0f}")] for server in results.servers(cell)]
    return "Handshakes, each with one request, of 4 clients at a time.\n\n" + report.table_text(
        ["server", "a second", "banterd / it", "CPU us for each"], rows) if rows else ""


def _secure_beside(results):
    rows = [[cell, server, *(_median(results, cell, server, f"latency_{name}_ms", "{:.2f}") for name in ("p50", "p99", "max")),
             _median(results, cell, server, "handshakes_per_second", "{:,.0f}")]
            for cell in SECURE_BESIDE for server in results.servers(cell)]
    return ("A light client, 400 requests a second, beside 8 that shake hands without pause: its latency in ms from when "
            "each was due.\n\n" + report.table_text(["cell", "server", "p50", "p99", "max", "handshakes/s"], rows)) if rows else ""


def _secure_idle(results):
    rows = [[server, _median(results, "tls/idle", server, "spoken_bytes", "{:,.0f}")] for server in results.servers("tls/idle")]
    return "Bytes for each idle session, answered once.\n\n" + report.table_text(["server", "bytes"], rows) if rows else ""


def _secure(results):
    parts = [part(results) for part in (_secure_rates, _secure_handshakes, _secure_beside, _secure_idle)]
    return "### TLS\n\n" + "\n".join(filter(None, parts)) if any(parts) else ""


# ---- large messages

LARGE_BESIDE = {"large": "uv_line", "large-cat": "tcpserver"}
LARGE_HEAD = ["requests/s", "CPU us a request", "p50 us", "p99 us", "page faults a request", "kept for it, kB"]


def _large_rows(results, cell, beside):
    return [[cell, server, _median(results, cell, server, RATE, "{:,.0f}"),
             *(_plain(results, cell, server, figure, form, scale) for figure, form, scale in (
                 ("cpu_us", "{:.2f}", 1), ("p50_us", "{:.0f}", 1), ("p99_us", "{:.0f}", 1), ("faults", "{:.2f}", 1),
                 ("kept_bytes", "{:,.0f}", 1 / 1024))),
             "" if server == beside else _ratio(ratio(results, cell, server, beside))]
            for server in results.servers(cell)]


def _large(results):
    text = ""
    for kind, beside in LARGE_BESIDE.items():
        cells = [cell for cell in dict.fromkeys(entry["cell"] for entry in results.rounds) if cell.startswith(f"{kind}/")]
        rows = [row for cell in cells for row in _large_rows(results, cell, beside)]
        if rows:
            text += "\n" + report.table_text(["cell", "server", *LARGE_HEAD, f"it / {beside}"], rows)
    return ("### Messages given back\n\nConnections x depth / bytes of a message. *Kept for it* is what the server's "
            "resident memory has grown by, divided by the connections, since each had only sent little: "
            f"{results.runs[-1]['sizes']['rest']:g} seconds after all are answered, still open.\n{text}") if text else ""


# ---- the others

def _isolation(results):
    text = ""
    for cell in dict.fromkeys(entry["cell"] for entry in results.rounds if entry["cell"].startswith("isolation/")):
        rows = []
        for server in results.servers(cell):
            rows.append([server, *(_plain(results, cell, server, f"{half}_{name}_ms", "{:.3f}")
                                   for half in ("server", "client", "latency") for name in PERCENTILES),
                         _median(results, cell, server, "heavy_per_second", "{:.1f}"),
                         _ratio(ratio(results, cell, server, "thread_line", "heavy_per_second"))])
        text += f"\n**{cell}**\n\n" + report.table_text(
            ["server", *(f"{half} {name}" for half in ("server's half", "client's", "whole") for name in PERCENTILES),
             "heavy/s", "/ thread_line's"], rows)
    return ("### Isolation\n\nLatency in ms of a light client, 200 requests a second, beside 8 or 64 heavy ones, from when "
            "each was due. A heavy request takes a core 50 ms, where it has one to itself, or sleeps so long. *Cold*: all "
            "64 begin at once, on a server that has seen none of them; the median of the trials.\n" + text) if text else ""


def _idle(results):
    text = ""
    if results.has("idle/memory"):
        rows = [[server, *(_median(results, "idle/memory", server, figure, "{:.0f}") for figure in (
            "silent_bytes", "spoken_bytes", "silent_resident_bytes", "spoken_resident_bytes", "kernel_bytes"))]
            for server in results.servers("idle/memory")]
        text += "Bytes for each idle connection.\n\n" + report.table_text(
            ["server", "not a word said", "each answered once", "the same, resident", "answered, resident",
             "in the kernel, both ends"], rows) + "\n"
    if results.has("idle/busy"):
        rows = [[server, *(_median(results, "idle/busy", server, figure, form) for figure, form in (
            ("alone_per_second", "{:,.0f}"), ("per_second", "{:,.0f}"), ("share", "{:.2f}")))]
            for server in results.servers("idle/busy")]
        text += "Requests a second of 50 connections, alone and among the idle ones.\n\n" + report.table_text(
            ["server", "alone", "among idle ones", "ratio"], rows) + "\n"
    if results.has("start"):
        rows = [[server, _median(results, "start", server, "listens_ms", "{:.2f}")] for server in results.servers("start")]
        text += "Starting, in ms; the median of the starts of each round.\n\n" + report.table_text(
            ["server", "until it listens"], rows) + "\n"
    if results.has("stop/10000"):
        rows = [[server, *(_median(results, "stop/10000", server, figure, "{:.0f}")
                           for figure in ("start_ms", "connect_ms", "stop_ms"))]
                for server in results.servers("stop/10000")]
        text += ("Starting, taking 10,000 connections, ending with them, in ms. banterd answers what has come and closes each "
                 "in order; the small servers just die.\n\n" + report.table_text(
                     ["server", "until it listens", "10,000 connected", "until it has ended"], rows))
    return "### Idle connections, start and stop\n\n" + text if text else ""


def _clients(results):
    text = ""
    if results.has("client/lines"):
        rows = [[name, _median(results, "client/lines", name, "lines_per_second", "{:.2f}", 1e-6),
                 _ratio(ratio(results, "client/lines", "banter", name, "lines_per_second")) if name != "banter" else "",
                 _plain(results, "client/lines", name, "peak_kb", "{:,.0f}")] for name in results.servers("client/lines")]
        text += f"{results.runs[-1]['sizes']['lines']:,} short lines from a file to a file.\n\n" + report.table_text(
            ["client", "million lines/s", "banter / it", "peak memory, kB"], rows) + "\n"
    if results.has("client/once"):
        rows = [[name, _median(results, "client/once", name, "ms", "{:.2f}"),
                 _ratio(ratio(results, "client/once", "banter", name, "ms")) if name != "banter" else "",
                 _plain(results, "client/once", name, "peak_kb", "{:,.0f}")] for name in results.servers("client/once")]
        text += "One message, the whole command line from `sh -c` to its end.\n\n" + report.table_text(
            ["client", "ms", "banter's time / its", "peak memory, kB"], rows)
    return "### Clients\n\n" + text if text else ""


def _plots(folder):
    found = sorted(folder.glob("*.svg"))
    return "### Plots\n\n" + "\n\n".join(f"![{file.stem}](plots/{file.name})" for file in found) + "\n" if found else ""


def goals_text(results):
    words = {True: "reached", False: "**not reached**", None: "-"}
    rows = [[goal.text, goal.found, words[goal.reached]] for goal in goals.all_goals(results)]
    return "### Goals\n\n" + report.table_text(["goal", "measured", ""], rows)


def _skipped(results):
    reasons = {}
    for (cell, server), why in results.skipped.items():
        reasons.setdefault((server, why), []).append(cell)
    if not reasons:
        return ""
    return "### Not measured\n\n" + "".join(f"- {server}: {why} ({', '.join(cells)})\n"
                                            for (server, why), cells in sorted(reasons.items()))


def write(results, folder, readme=False):
    """report.md and plots/ in the folder; and in place of what README.md has had between its two marks."""
    folder.mkdir(parents=True, exist_ok=True)
    without = plots.draw(results, folder / "plots")
    parts = [_machine(results), _throughput(results), _secure(results), _large(results), _loops(results), _transcript(results), _growth(results),
             _isolation(results), _idle(results), _clients(results),
             f"### Plots\n\nNone: {without}.\n" if without else _plots(folder / "plots"), _skipped(results), goals_text(results)]
    text = "\n".join(filter(None, parts))
    (folder / "report.md").write_text(text)
    if readme:
        report.write_readme("figures", text)
        if not without:
            shutil.rmtree(report.README.parent / "plots", ignore_errors=True)
            shutil.copytree(folder / "plots", report.README.parent / "plots")
