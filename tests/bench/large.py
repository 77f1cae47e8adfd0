"""Messages of up to 1 MB, given back as they are: by the server itself, and by cat behind it."""
import time

from cells import Cell
from peers import CAT_PEERS, PEERS
from programs import Load

CELLS = [(50, 16, 512), (50, 1, 4096), (20, 1, 64 << 10), (8, 1, 1 << 20)]  # connections, depth, bytes of a message
CAT_CELLS = CELLS[2:]
SERVERS = ["banterd", "uv_line", "floor", "banterd -t 1"]
LITTLE = 100  # requests of a connection that sends little
ROUNDS = 3


def _measure(peers, connections, depth, payload):
    def measure(server_name, sizes):
        peer = peers[server_name]
        count = min(connections, sizes.most)
        options = ["--hold", "--echo", "--connections", count]
        with peer.start_echo(payload) as server:
            little = Load(server, 0, *options, "--requests", LITTLE * count).go().answered()
            before = server.resident()
            little.result()
            load = Load(server, sizes.duration, *options, "--depth", depth, "--warm-up", sizes.warm_up,
                        "--payload", payload).go()
            time.sleep(sizes.warm_up)
            faults, cpu = server.faults(), server.cpu_seconds()
            load.answered()
            faults, cpu = server.faults() - faults, server.cpu_seconds() - cpu
            time.sleep(sizes.rest)
            kept = server.resident() - before
            result = load.result()
        requests = max(result["per_second"] * result["seconds"], 1)
        return {"per_second": result["per_second"], "cpu_us": cpu * 1e6 / requests,
                "p50_us": result["latency_us"]["p50"], "p99_us": result["latency_us"]["p99"],
                "faults": faults / requests, "kept_bytes": kept / count}
    return measure


def _most(server):
    return (CAT_PEERS.get(server) or PEERS[server]).most


def name(kind, connections, depth, payload):
    return f"{kind}/{connections}x{depth}/{payload}"


def cells():
    return [Cell(name(kind, *size), servers, _measure(peers, *size), ROUNDS, kind, size[0], _most)
            for kind, peers, servers, sizes in (("large", PEERS, SERVERS, CELLS),
                                                ("large-cat", CAT_PEERS, list(CAT_PEERS), CAT_CELLS))
            for size in sizes]
