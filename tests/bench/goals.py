"""What banterd and banter are to reach, and whether they have: each goal from the rounds of one set of results."""
import statistics
from dataclasses import dataclass

import large
import secure
from isolation import HEAVY
from throughput import MAIN, WORK_US

TIE = 0.95        # ratios from here to its inverse are a tie
OURS = ("banterd", "banterd -t 1", "banterd transcript", "banterd, one session", "banterd, TLS", "banterd -t 1, TLS")
RATE = "per_second"


@dataclass
class Goal:
    text: str
    found: str
    reached: bool  # None: it was not measured


def ratio(results, cell, server, other, figure=RATE, other_cell=None):
    """None where one of them was not measured."""
    ratios = results.ratios(cell, server, other, figure, other_cell)
    return statistics.median(ratios) if ratios else None


def rate_cells(results):
    """The cells of requests a second, in the order in which they are measured."""
    return [cell for cell in dict.fromkeys(entry["cell"] for entry in results.rounds)
            if cell.split("/")[0] in ("throughput", "netstring", "connects")]


def best_peer(results, cell):
    """The name of the fastest that is neither ours nor the floor; None where there is none."""
    peers = [name for name in results.servers(cell) if name not in (*OURS, "floor")]
    return max(peers, key=lambda name: results.median(cell, name, RATE), default=None)


def _worst(text, ratios, least, form="{:.2f}"):
    """A goal that must hold in each cell: `ratios` is {cell: ratio}."""
    ratios = {cell: value for cell, value in ratios.items() if value is not None}
    if not ratios:
        return Goal(text, "not measured", None)
    below = {cell: value for cell, value in ratios.items() if value < least}
    found = f"in {len(ratios) - len(below)} of {len(ratios)} cells"
    shown = below or dict([min(ratios.items(), key=lambda item: item[1])])
    found += "; " + ("below: " if below else "lowest: ") + ", ".join(
        f"{cell} {form.format(value)}" for cell, value in shown.items())
    return Goal(text, found, not below)


def _limit(text, value, limit, form, unit=""):
    if value is None:
        return Goal(text, "not measured", None)
    return Goal(text, form.format(value) + unit, value <= limit)


def _throughput(results):
    cells = rate_cells(results)
    best = {cell: best_peer(results, cell) for cell in cells}
    for server, words in (("banterd", ""), ("banterd -t 1", ", with one loop")):
        yield _worst(f"1. throughput at least the best peer's{words}",
                     {cell: ratio(results, cell, server, best[cell]) for cell in cells if best[cell]}, TIE)
        yield _worst(f"1. throughput at least 0.95 of the floor's{words}",
                     {cell: ratio(results, cell, server, "floor") for cell in cells}, TIE)
    mains = [f"throughput/{connections}x{depth}/4" for connections, depth in MAIN]
    yield _worst("1. with the transcript on, at least 0.7 of quiet",
                 {cell: ratio(results, cell, "banterd transcript", "banterd") for cell in mains}, 0.7)


def _large(results):
    names = [large.name("large", *cell) for cell in large.CELLS]
    yield _worst("1. messages given back: at least the libuv server's", {
        cell: ratio(results, cell, "banterd", "uv_line") for cell in names}, TIE)
    yield _worst("1. messages given back by cat: at least half of tcpserver's", {
        cell: ratio(results, cell, "banterd -- cat", "tcpserver")
        for cell in (large.name("large-cat", *one) for one in large.CAT_CELLS)}, 0.5)
    faults = [value for cell in names if (value := results.median(cell, "banterd", "faults")) is not None]
    yield _limit("1. messages given back: page faults a request, the most of all cells", max(faults, default=None), 0.01,
                 "{:.3f}")


def _secure(results):
    for server in ("banterd, TLS", "banterd -t 1, TLS"):
        yield _worst(f"7. {server}: at least 0.77 of itself in the clear", {
            cell: ratio(results, cell, server, server.removesuffix(", TLS")) for cell in secure.RATE_CELLS}, 0.77)
    peers = [name for name in secure.SECURE if name not in OURS]
    for cell in (*secure.RATE_CELLS, "tls/handshakes"):
        yield _worst(f"7. {cell}: not behind others with TLS", {
            name: ratio(results, cell, "banterd, TLS", name) for name in peers}, TIE)
    for cell, limit in zip(secure.BESIDE_CELLS, (5, 5, 15)):
        yield _limit(f"7. {cell}: the light client under {limit} ms, p99",
                     results.median(cell, "banterd, TLS", "latency_p99_ms"), limit, "{:.1f}", " ms")
    yield _limit("7. an idle session with TLS: at most 14 KB",
                 results.median("tls/idle", "banterd, TLS", "spoken_bytes"), 14 * 1024, "{:,.0f}", " bytes")
    yield _limit("7. one message through TLS, the whole command: at most 25 ms",
                 results.median("client/once", "banter, TLS", "ms"), 25, "{:.1f}", " ms")


def _loops(results):
    yield _worst("2. two loops no slower than one", {cell: ratio(results, cell, "banterd", "banterd -t 1")
                                                     for cell in rate_cells(results)}, TIE)
    work = f"work/{WORK_US}us"
    yield _worst(f"2. with {WORK_US} us of work in the handler two loops double it",
                 {work: ratio(results, work, "banterd", "banterd -t 1")}, 2 * TIE)


def _isolation(results):
    for heavy in HEAVY:
        cell = f"isolation/compute-{heavy}"
        for name, limit in (("p50", 0.15), ("p99", 0.5), ("p99.9", 1.0)):
            yield _limit(f"3. beside {heavy} heavy clients: the server's half under {limit} ms, {name}",
                         results.median(cell, "banterd", f"server_{name}_ms"), limit, "{:.3f}", " ms")
        yield _worst(f"3. beside {heavy}: heavy throughput within 3 % of a thread for each client", {
            cell: ratio(results, cell, "banterd", "thread_line", "heavy_per_second")}, 0.97)
    yield _limit("3. the cold phase, 64 begin at once: under 2 ms, p99",
                 results.median("isolation/cold-64", "banterd", "server_p99_ms"), 2, "{:.2f}", " ms")
    cells = [f"isolation/{kind}-{heavy}" for kind in ("compute", "sleep") for heavy in HEAVY]
    worst = [value for cell in cells for value in results.values(cell, "banterd", "server_max_ms").values()]
    heavy_ms = results.runs[-1]["sizes"]["heavy_ms"]
    yield _limit("3. a light session never waits behind the heavy queue: the slowest of all, less than a heavy request",
                 max(worst, default=None), heavy_ms, "{:.1f}", " ms")
    yield _worst("3. sleeping handlers are not throttled: 0.97 of what sleeping alone allows", {
        f"isolation/sleep-{heavy}": (rate := results.median(f"isolation/sleep-{heavy}", "banterd", "heavy_per_second"))
        and rate / (heavy * 1000 / heavy_ms) for heavy in HEAVY}, 0.97)


def _idle(results):
    for figure, words in (("silent_bytes", "that has said nothing"), ("spoken_bytes", "that was answered once")):
        yield _limit(f"4. an idle session {words}: at most 64 bytes",
                     results.median("idle/memory", "banterd", figure), 64, "{:.0f}", " bytes")


def _client(results):
    cell = "client/lines"
    rate = results.median(cell, "banter", "lines_per_second")
    yield Goal("5. script client: 1.5 million lines a second", "not measured", None) if rate is None else Goal(
        "5. script client: 1.5 million lines a second", f"{rate / 1e6:.2f} million", rate >= 1.5e6)
    yield _limit("5. its memory under 8 MB", results.median(cell, "banter", "peak_kb"), 8 * 1024, "{:.0f}", " kB")
    yield _worst("5. ahead of every client", {name: ratio(results, cell, "banter", name, "lines_per_second")
                                              for name in results.servers(cell) if name != "banter"}, TIE)
    yield _limit("5. one-shot no slower than printf into nc -N: its time, nc's being 1",
                 ratio(results, "client/once", "banter", "nc -N", "ms"), 1 / TIE, "{:.2f}")


def _log(results):
    mains = [f"throughput/{connections}x{depth}/4" for connections, depth in MAIN if connections > 1]
    writes = [value for cell in mains if (value := results.median(cell, "banterd transcript", "writes")) is not None]
    yield _limit("6. the log costs a request no system call: calls of write(2) a request, the highest of the cells "
                 "with many clients (that loops share no lock, no figure tells)", max(writes, default=None), 0.1, "{:.4f}")


def all_goals(results):
    return [goal for part in (_throughput, _large, _loops, _isolation, _idle, _client, _log, _secure) for goal in part(results)]
