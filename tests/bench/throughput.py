"""Requests a second: connections x depth, payloads, framings, a connection for each request, work in the handler."""
import re

import calibrate
from cells import Cell
from peers import HEAVY_PEERS, PEERS
from programs import Load

MAIN = [(1, 1), (50, 1), (50, 16), (1000, 1), (10000, 1)]
GROWTH = [(1, 1), (10, 1), (100, 1), (1000, 1), (10000, 1)]
PAYLOADS = [512, 4096]
PAYLOAD_CELLS = [(50, 1), (50, 16)]
LINE_SERVERS = ["banterd", "banterd -t 1", "banterd transcript", "uv_line", "event_line", "redis", "memcached",
                "python asyncio", "python threads", "thread_line", "socat", "ncat", "floor"]
PAYLOAD_SERVERS = [name for name in LINE_SERVERS
                   if name not in ("banterd transcript", "python threads", "socat", "ncat")]
NETSTRING_SERVERS = ["banterd", "banterd -t 1", "floor"]
GROWTH_SERVERS = ["banterd", "banterd -t 1", "uv_line", "event_line", "redis", "memcached", "python asyncio",
                  "thread_line", "floor"]
CONNECT_SERVERS = [name for name in LINE_SERVERS if name != "banterd transcript"]
CONNECT_CLIENTS = 20
ROUNDS = 5
WORK_US = 200


def rates(server, load):
    """Lets it run. The server's processor time begins when all are connected."""
    before = server.cpu_seconds()
    result = load.go().result()
    return {"per_second": result["per_second"],
            "cpu_us": (server.cpu_seconds() - before) * 1e6 / max(result["answered"], 1),
            "p50_us": result["latency_us"]["p50"], "p99_us": result["latency_us"]["p99"],
            "answered": result["answered"]}


def _dropped(peer):
    """Lines that the log of a server that has ended says it dropped, and those that it has written."""
    dropped = lines = 0
    with open(peer.log(), "rb") as log:
        for line in log:
            lines += 1
            match = re.match(rb"(\d+) lines of this log were dropped", line)
            dropped += int(match[1]) if match else 0
    peer.log().unlink()
    return dropped, lines


def _measure(connections, depth, payload, framing="line"):
    def measure(name, sizes):
        peer = PEERS[name]
        start = {"framing": framing} if framing != "line" and name != "floor" else {}
        with peer.start(**start) as server:
            peer.prepare(server, payload)
            load = Load(server, sizes.duration, "--connections", min(connections, sizes.most), "--depth", depth,
                        "--warm-up", sizes.warm_up, *peer.question(payload, framing))
            writes = server.writes()
            figures = rates(server, load)
            figures["writes"] = (server.writes() - writes) / max(figures["answered"], 1)
        if name == "banterd transcript":
            dropped, lines = _dropped(peer)
            figures["dropped_share"] = dropped / (dropped + lines)
        return figures
    return measure


def _measure_connects(name, sizes):
    peer = PEERS[name]
    with peer.start() as server:
        return rates(server, Load(server, sizes.duration, "--connect-each", "--connections", CONNECT_CLIENTS,
                                     "--warm-up", sizes.warm_up, *peer.question(4)))


def _measure_work(name, sizes):
    peer = HEAVY_PEERS[name]
    iterations = calibrate.iterations(peer, WORK_US / 1000)
    with peer.start() as server:
        return rates(server, Load(server, sizes.duration, "--connections", 50, "--warm-up", sizes.warm_up,
                                     *peer.heavy("compute", iterations)))


def _most(name):
    return PEERS[name].most


def _cell(connections, depth, payload, servers, kind):
    return Cell(f"throughput/{connections}x{depth}/{payload}", servers, _measure(connections, depth, payload), ROUNDS, kind,
                connections, _most)


def cells():
    found = [_cell(*cell, 4, LINE_SERVERS, "throughput") for cell in MAIN]
    found += [_cell(*cell, 4, GROWTH_SERVERS, "growth") for cell in GROWTH if cell not in MAIN]
    found += [_cell(*cell, payload, PAYLOAD_SERVERS, "payload") for payload in PAYLOADS for cell in PAYLOAD_CELLS]
    found += [Cell(f"netstring/{connections}x{depth}", NETSTRING_SERVERS,
                   _measure(connections, depth, 4, "netstring"), ROUNDS, "netstring", connections, _most)
              for connections, depth in PAYLOAD_CELLS]
    found.append(Cell("connects", CONNECT_SERVERS, _measure_connects, ROUNDS, "connects", CONNECT_CLIENTS, _most))
    found.append(Cell(f"work/{WORK_US}us", ["banterd", "banterd -t 1"], _measure_work, ROUNDS, "work", 50))
    return found


