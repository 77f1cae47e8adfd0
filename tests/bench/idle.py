"""What a connection costs the server that has nothing to do."""
import resource
import socket
import time

import report
from programs import Server, Trouble

LIMIT = 60    # seconds for anything that is awaited
SPARE = 64    # descriptors of this process besides the connections
QUESTION = b"Zack\n"


def add_arguments(parser):
    parser.add_argument("--connections", type=int, default=15000)
    parser.add_argument("--threads", type=int, help="the server's loops (its own choice unless given)")
    parser.add_argument("--servers", nargs="+", default=["banterd", "uv_line"],
                        choices=["banterd", "uv_line", "floor"])


def _raise_descriptors(connections):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if connections + SPARE > hard:
        raise Trouble(f"{connections} connections need {connections + SPARE} descriptors; {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (connections + SPARE, hard))


def _wait_accepted(server, descriptors):
    """The kernel completes a connect before the server accepts it; its descriptors tell."""
    deadline = time.monotonic() + LIMIT
    while server.descriptors() < descriptors:
        if time.monotonic() > deadline:
            raise Trouble(f"{server.name} has {server.descriptors()} of {descriptors} descriptors after {LIMIT} s")
        time.sleep(0.01)


def _ask(connections):
    """One request on each, and then its reply awaited."""
    for connection in connections:
        connection.sendall(QUESTION)
    for connection in connections:
        if not connection.recv(100).endswith(b"\n"):
            raise Trouble("an idle connection did not get its reply")


def _growth(server, before, connections):
    """Bytes for each connection: resident, and anonymous."""
    return ["{:.0f}".format((now - then) / connections) for now, then in zip(server.memory(), before)]


def _measure(name, options):
    count = options.connections
    server_options = []
    if name == "banterd":
        server_options = ["--max-clients", count + SPARE]
        if options.threads:
            server_options += ["--threads", options.threads]
    with Server(name, *server_options) as server:
        with socket.create_connection(("127.0.0.1", server.port), LIMIT) as first:
            _ask([first])  # what the server allocates once is there before
            descriptors, before = server.descriptors(), server.memory()
            connections = []
            try:
                for _ in range(count):
                    connections.append(socket.create_connection(("127.0.0.1", server.port), LIMIT))
                _wait_accepted(server, descriptors + count)
                _ask(connections[-SPARE:])  # those before them have left the loops' inboxes then
                silent = _growth(server, before, count)
                _ask(connections)
                spoken = _growth(server, before, count)
            finally:
                for connection in connections:
                    connection.close()
    return [[f"{name}, not a word said", *silent], [f"{name}, each was answered once", *spoken]]


def run(options):
    _raise_descriptors(options.connections)
    report.heading("Idle connections", vars(options), options.servers)
    rows = [row for name in options.servers for row in _measure(name, options)]
    report.table(["server", "resident bytes a connection", "anonymous bytes a connection"], rows)
