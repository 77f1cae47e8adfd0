"""How many iterations of a server's own kind of work take so many ms here, when nothing else runs.

Heavy requests are counted in iterations, so that how many get done tells what a server's rules cost. Once for
each language in a run; what comes out is in its record.
"""
import socket
import time

from peers import HEAVY_PEERS, Redis

FIRST = {"c": 20_000_000, "python": 200_000, "redis": 500_000}
BY = {"c": "thread_line", "python": "python threads", "redis": "redis"}
TRIES = 5
known = {}  # iterations a ms


def _request(peer, iterations):
    options = peer.heavy("compute", iterations)
    if isinstance(peer, Redis):
        return options[1].replace(r"\r\n", "\r\n").encode()
    return options[1].encode() + b"\n"


def _rate(unit):
    """The best of several: whatever disturbs makes it slower."""
    peer = HEAVY_PEERS[BY[unit]]
    request = _request(peer, FIRST[unit])
    with peer.start() as server, socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        times = []
        for _ in range(TRIES):
            start = time.monotonic()
            connection.sendall(request)
            reply = b""
            while not reply.endswith(b"\n"):
                reply += connection.recv(1000)
            times.append(time.monotonic() - start)
    return FIRST[unit] / min(times) / 1000


def iterations(peer, ms):
    if peer.unit not in known:
        known[peer.unit] = _rate(peer.unit)
    return max(1, round(known[peer.unit] * ms))
