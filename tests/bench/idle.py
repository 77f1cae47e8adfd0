"""What a connection costs that has nothing to do; 50 busy ones among many; starting, and stopping with many."""
import os
import re
import resource
import socket
import statistics
import time
from pathlib import Path

from cells import Cell
from peers import PEERS, Banterd
from programs import STOP_LIMIT, Load, Trouble

LIMIT = 60    # seconds for anything that is awaited
SPARE = 64    # descriptors of this process besides the connections; connections that are asked at the end
CLOSED_MEANWHILE = 2
SERVERS = ["banterd", "banterd -t 1", "uv_line", "event_line", "redis", "memcached", "python asyncio", "floor"]
# Without the one loop: it is the same program.
DEFAULT_SERVERS = [name for name in SERVERS if name != "banterd -t 1"]
# A question, and how its reply ends.
QUESTIONS = {"redis": (b"PING\r\n", b"+PONG\r\n"), "memcached": (b"mn\r\n", b"MN\r\n")}


def _raise_descriptors(connections):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if connections + SPARE > hard:
        raise Trouble(f"{connections} connections need {connections + SPARE} descriptors; {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (connections + SPARE, hard))


def _wait_accepted(server, descriptors):
    """The kernel completes a connect before the server accepts it; its descriptors tell, but for a few that it may have
    closed since they were counted."""
    deadline = time.monotonic() + LIMIT
    while server.descriptors() < descriptors - CLOSED_MEANWHILE:
        if time.monotonic() > deadline:
            raise Trouble(f"{server.name} has {server.descriptors()} of {descriptors} descriptors after {LIMIT} s")
        time.sleep(0.01)


def _ask(connections, name):
    """One request on each, and then its reply awaited."""
    question, reply = QUESTIONS.get(name, (b"Zack\n", b"\n"))
    for connection in connections:
        connection.sendall(question)
    for connection in connections:
        if not connection.recv(100).endswith(reply):
            raise Trouble(f"an idle connection of {name} did not get its reply")


def _kernel_bytes():
    """Memory of the kernel that grows with connections: slabs, stacks, page tables, and what sockets hold."""
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.M))
    pages = re.search(r"^TCP: .* mem (\d+)$", Path("/proc/net/sockstat").read_text(), re.M)
    return (sum(int(sizes.get(name, 0)) for name in ("Slab", "KernelStack", "PageTables")) * 1024
            + int(pages[1]) * os.sysconf("SC_PAGESIZE"))


def _growth(server, before, connections):
    """Bytes for each connection: anonymous, resident, and the kernel's."""
    now = (*server.memory()[::-1], _kernel_bytes())
    return [(value - then) / connections for value, then in zip(now, before)]


def _measure_memory(name, sizes):
    count = sizes.idle
    _raise_descriptors(count)
    with PEERS[name].start() as server, socket.create_connection(("127.0.0.1", server.port), LIMIT) as first:
        _ask([first], name)  # what the server allocates once is there before
        descriptors = server.descriptors()
        before = (*server.memory()[::-1], _kernel_bytes())
        connections = []
        try:
            for _ in range(count):
                connections.append(socket.create_connection(("127.0.0.1", server.port), LIMIT))
            _wait_accepted(server, descriptors + count)
            _ask(connections[-SPARE:], name)  # those before them have left the loops' inboxes then
            silent = _growth(server, before, count)
            _ask(connections, name)
            spoken = _growth(server, before, count)
        finally:
            for connection in connections:
                connection.close()
    return {"silent_bytes": silent[0], "spoken_bytes": spoken[0], "silent_resident_bytes": silent[1],
            "spoken_resident_bytes": spoken[1], "kernel_bytes": spoken[2]}


def _measure_busy(name, sizes):
    """The same 50 once alone and once among the idle ones, on servers of their own."""
    peer = PEERS[name]
    rates = []
    for idle in ([], ["--idle", sizes.idle]):
        with peer.start() as server:
            load = Load(server, sizes.duration, "--connections", 50, "--warm-up", sizes.warm_up, *idle,
                        *peer.question(4))
            rates.append(load.go().result()["per_second"])
    return {"alone_per_second": rates[0], "per_second": rates[1], "share": rates[1] / rates[0]}


def _measure_stop(name, sizes):
    peer = PEERS[name]
    begin = time.monotonic()
    with peer.start() as server:
        ready = time.monotonic()
        holder = Load(server, 0, "--idle", sizes.stop, "--connections", 1, "--requests", 1, *peer.question(4))
        try:
            _wait_accepted(server, sizes.stop)
            connected = time.monotonic()
            server.process.terminate()
            server.process.wait(STOP_LIMIT)
            ended = time.monotonic()
        finally:
            holder.stop()
    return {"start_ms": (ready - begin) * 1000, "connect_ms": (connected - ready) * 1000,
            "stop_ms": (ended - connected) * 1000}


def _measure_start(name, sizes):
    """From the fork to the line that says where it listens; of those that say nothing, to the first connect."""
    peer = PEERS[name]
    times = []
    for _ in range(sizes.starts):
        begin = time.monotonic()
        # Read from a pipe: a file would be looked at now and then.
        with peer.start(log=False) if isinstance(peer, Banterd) else peer.start():
            times.append((time.monotonic() - begin) * 1000)
    return {"listens_ms": statistics.median(times)}


def cells():
    return [Cell("idle/memory", SERVERS, _measure_memory, kind="memory", connections=15000),
            Cell("idle/busy", DEFAULT_SERVERS, _measure_busy, kind="busy", connections=15050),
            Cell("start", DEFAULT_SERVERS, _measure_start, kind="start"),
            Cell("stop/10000", DEFAULT_SERVERS, _measure_stop, kind="stop", connections=10000)]
