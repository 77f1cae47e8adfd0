"""What a light client notices of heavy ones: fixed work, jittered, from the due time, in two halves."""
import time

import calibrate
from cells import Cell
from peers import HEAVY_PEERS, base
from programs import CORES, Load

COMPUTING = ["banterd", "banterd, one session", "thread_line", "uv_line", "event_line", "redis", "python asyncio",
             "python threads", "socat", "ncat"]
SLEEPING = [name for name in COMPUTING if name != "banterd, one session"]
COLD = ["banterd", "thread_line"]
HEAVY = [8, 64]
RATE = 200
AHEAD = 1000  # each request is sent when it is due, whatever is still owed


def _amount(peer, kind, sizes):
    return round(sizes.heavy_ms) if kind == "sleep" else calibrate.iterations(peer, sizes.heavy_ms)


def _light(peer, server, duration, warm_up):
    return Load(server, duration, "--rate", RATE, "--depth", AHEAD, "--warm-up", warm_up, *peer.light())


def _figures(light):
    """In ms."""
    figures = {}
    for half in ("latency", "server", "client"):
        for name, value in light.get(f"{half}_us", {}).items():
            if name != "count":
                figures[f"{half}_{name}_ms"] = value / 1000
    return figures


def _measure(kind, heavy):
    def measure(name, sizes):
        peer = HEAVY_PEERS[name]
        # Until each heavy client has been answered once, and a server that learns has learnt.
        lead = sizes.lead + 1.5 * heavy * sizes.heavy_ms / 1000 / (CORES if kind == "compute" else heavy)
        duration = sizes.light_duration if base(name) in COLD else sizes.light_duration_peers
        with peer.start() as server:
            # No warm-up: at its end 64 requests that share the cores would each be half done, and counted whole.
            asking = Load(server, duration + lead + 0.1, "--connections", heavy,
                          *peer.heavy(kind, _amount(peer, kind, sizes)))
            try:
                light = _light(peer, server, duration, 0.1)
                asking.go()
                time.sleep(lead)
                figures = _figures(light.go().result())
                figures["heavy_per_second"] = asking.result()["per_second"]
            finally:
                asking.stop()
        return figures
    return measure


def _measure_cold(heavy):
    """Each trial on a server that knows nothing: the light client is there, then all the heavy ones ask at once, on
    new connections, each once."""
    def measure(name, sizes):
        peer = HEAVY_PEERS[name]
        work = peer.heavy("compute", calibrate.iterations(peer, sizes.heavy_ms))
        lasting = max(heavy * sizes.heavy_ms / 1000 / CORES, 0.1)
        trials = []
        for _ in range(sizes.cold_trials):
            with peer.start() as server:
                light = _light(peer, server, lasting, 0.3)
                asking = Load(server, 0, "--connections", heavy, "--requests", heavy, *work)
                try:
                    light.go()
                    time.sleep(0.3)
                    asking.go()
                    trials.append(_figures(light.result()))
                    asking.result()
                finally:
                    asking.stop()
        return {figure: sorted(trial[figure] for trial in trials)[len(trials) // 2] for figure in trials[0]} | {
            "server_worst_ms": max(trial["server_max_ms"] for trial in trials)}
    return measure


def _most(name):
    return HEAVY_PEERS[name].most


def cells():
    found = [Cell(f"isolation/compute-{heavy}", COMPUTING, _measure("compute", heavy), kind="isolation",
                  connections=heavy + 1, most=_most)
             for heavy in HEAVY]
    found += [Cell(f"isolation/sleep-{heavy}", SLEEPING, _measure("sleep", heavy), kind="isolation-sleep",
                   connections=heavy + 1, most=_most)
              for heavy in HEAVY]
    found.append(Cell("isolation/cold-64", COLD, _measure_cold(64), kind="isolation-cold", connections=65, most=_most))
    return found
