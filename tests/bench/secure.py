"""TLS: requests a second beside the same in the clear, handshakes, what they do to others, an idle session's memory."""
import time

from cells import Cell
from peers import PEERS
from programs import Load
from secure_peers import KEYS, SECURE_PEERS
from throughput import ROUNDS, rates

DEPTHS = (1, 16)
CONNECTIONS = 50
PAIRS = ["banterd", "banterd -t 1", "redis", "memcached"]  # in the clear, and with TLS
FRONTS = ["HAProxy, TLS", "nginx, TLS", "stunnel, TLS"]
SERVERS = [name for pair in PAIRS for name in (pair, f"{pair}, TLS")] + FRONTS
SECURE = [name for name in SERVERS if name.endswith(", TLS")]
RATE_CELLS = [f"tls/{CONNECTIONS}x{depth}" for depth in DEPTHS]
BESIDE_CELLS = [f"tls/beside-{key}" for key in KEYS]
HANDSHAKE_CLIENTS = 4
FLOOD_CLIENTS = 8
LIGHT_RATE = 400
AHEAD = 1000  # each request is sent when it is due, whatever is still owed
BESIDE = ["banterd, TLS", "redis, TLS", "memcached, TLS", "nginx, TLS", "HAProxy, TLS"]


def peer_of(name):
    return SECURE_PEERS.get(name) or PEERS[name]


def _measure_rate(depth):
    def measure(name, sizes):
        peer = peer_of(name)
        with peer.start() as server:
            return rates(server, Load(server, sizes.duration, "--connections", min(CONNECTIONS, sizes.most), "--depth",
                                        depth, "--warm-up", sizes.warm_up, *peer.question(4)))
    return measure


def _measure_handshakes(name, sizes):
    peer = peer_of(name)
    with peer.start() as server:
        return rates(server, Load(server, 2 * sizes.duration, "--connect-each", "--connections", HANDSHAKE_CLIENTS,
                                    "--warm-up", sizes.warm_up, *peer.question(4)))


def _measure_beside(key):
    def measure(name, sizes):
        peer = peer_of(name)
        with peer.start(key) as server:
            light = Load(server, sizes.light_duration_peers, "--rate", LIGHT_RATE, "--depth", AHEAD, "--warm-up",
                         sizes.warm_up, *peer.question(4))
            flood = Load(server, sizes.light_duration_peers + 2 * sizes.lead, "--connect-each", "--connections",
                         FLOOD_CLIENTS, *peer.question(4))
            try:
                flood.go()
                time.sleep(sizes.lead)
                latency = light.go().result()["latency_us"]
                handshakes = flood.result()["per_second"]
            finally:
                flood.stop()
        return {f"latency_{figure}_ms": latency[figure] / 1000 for figure in ("p50", "p99", "max")} | {
            "handshakes_per_second": handshakes}
    return measure


def _measure_memory(name, sizes):
    """Of sessions that have shaken hands and were answered once."""
    peer = peer_of(name)
    count = sizes.secure_idle
    with peer.start() as server:
        Load(server, 0, "--connections", 4, "--requests", 100, *peer.question(4)).go().result()
        before = server.memory()[1]
        load = Load(server, 0, "--hold", "--connections", count, "--requests", count, *peer.question(4))
        load.go().answered()
        time.sleep(sizes.rest / 4)
        after = server.memory()[1]
        load.result()
    return {"spoken_bytes": (after - before) / count}


def _most(name):
    return peer_of(name).most


def cells():
    found = [Cell(name, SERVERS, _measure_rate(depth), ROUNDS, "tls", CONNECTIONS, _most)
             for name, depth in zip(RATE_CELLS, DEPTHS)]
    found.append(Cell("tls/handshakes", SECURE, _measure_handshakes, ROUNDS, "tls-handshakes", HANDSHAKE_CLIENTS, _most))
    found += [Cell(name, BESIDE, _measure_beside(key), kind="tls-beside", connections=FLOOD_CLIENTS + 1, most=_most)
              for name, key in zip(BESIDE_CELLS, KEYS)]
    found.append(Cell("tls/idle", SECURE, _measure_memory, kind="tls-idle", connections=1500, most=_most))
    return found
