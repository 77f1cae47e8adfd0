"""--metrics: HTTP, where it is listened on, and clients that are hostile or gone."""
import json
import os
import socket

import pytest

import harness
import manager
import metrics
from harness import BANTERD, scaled, wait_until
from standstill import busiest, standstill

TYPE = "text/plain; version=0.0.4; charset=utf-8"
PLACES = 8  # connections at a time


def talk(server, data, address=None):
    """Sends bytes, and returns all that comes until the end; b"" where the server has reset the connection."""
    with metrics.connect(server, address) as connection:
        try:
            connection.sendall(data)
            return connection.makefile("rb").read()
        except (ConnectionResetError, BrokenPipeError):
            return b""


@pytest.fixture
def banterd(server):
    return server("-qq", *metrics.OPTIONS)


# ---- requests

@pytest.mark.parametrize("method, path, status, body", [
    ("GET", "/health", 200, "ok\n"),
    ("HEAD", "/health", 200, ""),
    ("GET", "/health?verbose", 200, "ok\n"),
    ("GET", "/", 404, "there are /metrics and /health\n"),
    ("GET", "/metrics/", 404, "there are /metrics and /health\n"),
    ("HEAD", "/nothing", 404, ""),
    ("POST", "/metrics", 405, "only GET and HEAD\n"),
    ("DELETE", "/nothing", 405, "only GET and HEAD\n"),
    ("get", "/metrics", 405, "only GET and HEAD\n"),
])
def test_what_is_answered(banterd, method, path, status, body):
    response = metrics.ask(banterd, path, method)
    assert (response.status, response.body) == (status, body)
    assert response.fields["connection"] == "close"
    assert response.fields["content-type"] == "text/plain; charset=utf-8"
    assert ("allow" in response.fields) == (status == 405)
    if method != "HEAD":
        assert int(response.fields["content-length"]) == len(body)


def test_the_type_and_size_of_the_figures(banterd):
    response = metrics.ask(banterd)
    assert (response.status, response.fields["content-type"]) == (200, TYPE)
    assert int(response.fields["content-length"]) == len(response.body)
    head = metrics.ask(banterd, method="HEAD")
    assert (head.status, head.fields["content-type"], head.body) == (200, TYPE, "")
    assert int(head.fields["content-length"]) > 4000


@pytest.mark.parametrize("data", [b"Zack\n", b"\0\xff\n", b"GET /metrics\r\n\r\n", b"GET /metrics HTTP/2.0\r\n\r\n",
                                  b"\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_what_is_no_request(banterd, data):
    assert metrics.parse(talk(banterd, data)).status == 400


def test_a_request_byte_by_byte(banterd):
    with metrics.connect(banterd) as connection:
        for byte in b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n":
            connection.sendall(bytes([byte]))
        assert metrics.read(connection).body == "ok\n"


def test_one_request_a_connection(banterd):
    data = talk(banterd, b"GET /health HTTP/1.1\r\n\r\n" * 3)
    assert data.count(b"HTTP/1.1 200 OK") == 1


def test_a_body_is_thrown_away(banterd):
    """It must not destroy the response."""
    data = talk(banterd, b"POST /metrics HTTP/1.1\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20_000)
    assert metrics.parse(data).status == 405


@pytest.mark.parametrize("size, is_answered", [(4096, True), (4097, False)])
def test_the_size_of_a_request(banterd, size, is_answered):
    begin, end = b"GET /health HTTP/1.1\r\nX: ", b"\r\n\r\n"
    data = talk(banterd, begin + b"x" * (size - len(begin + end)) + end)
    assert data.endswith(b"ok\n") if is_answered else data == b""


@pytest.mark.no_sanitizer
def test_a_loop_that_stands_still(server):
    banterd = server("-qq", "-t", "1", *metrics.OPTIONS)
    client = banterd.connect()
    for _ in range(10):
        client.send(b"x\n" * 10_000)
        assert client.lines(10_000) == [b"Hello X"] * 10_000

    def health():
        return metrics.ask(banterd, "/health")[::2]

    assert health() == (200, "ok\n")
    with standstill(busiest(banterd)):
        wait_until(lambda: health() == (503, "stuck\n"), "it is seen")
        assert metrics.figures(banterd)["banterd_loops"] == 1
    wait_until(lambda: health() == (200, "ok\n"), "it goes on")


# ---- where it listens, and what the log says of it

def test_quiet_or_not_it_is_said(server):
    banterd = server("-qq", "--metrics", "127.0.0.1:0")
    assert banterd.log.lines[0] == f"Metrics on http://{metrics.address_of(banterd)}/metrics"
    assert len(banterd.log.lines) == 3


def test_in_json(server):
    banterd = server("--log", "json", "--metrics", "127.0.0.1:0", ready=False)
    line = banterd.log.wait_for("^(.*\"metrics\".*)$")[1]
    banterd.log.wait_for('"listening"')
    event = json.loads(line)
    assert list(event) == ["time", "level", "event", "url"]
    assert event["level"] == "info"
    address = event["url"].removeprefix("http://").removesuffix("/metrics")
    assert metrics.ask(banterd, "/health", address=address).body == "ok\n"


def test_every_address_of_a_port(server):
    banterd = server("--metrics", ":0")
    found = [match[1] for match in banterd.log.find(r"^Metrics on http://(.*)/metrics$")]
    ports = {address.rsplit(":", 1)[1] for address in found}
    assert len(ports) == 1 and 1 <= len(found) <= 2
    assert metrics.ask(banterd, "/health", address=f"127.0.0.1:{ports.pop()}").body == "ok\n"


def test_a_unix_path(server, folder):
    banterd = server("--metrics", f"unix:{folder}/metrics")
    assert banterd.log.lines[0] == f"Metrics on unix:{folder}/metrics"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(folder / "metrics"))
        connection.sendall(b"GET /health HTTP/1.0\n\n")
        assert metrics.read(connection).body == "ok\n"
    assert banterd.stop() == 0
    assert not (folder / "metrics").exists()


def test_a_socket_that_was_passed(bench):
    with manager.listening_socket() as clients, manager.listening_socket() as figures:
        banterd = manager.start_with_sockets(bench, [clients, figures], "-q", names="clients:metrics")
        assert metrics.address_of(banterd) == manager.address_of(figures)
        assert banterd.connect(manager.address_of(clients)).ask("x") == b"Hello X"
        metrics.wait_for(banterd, {"banterd_requests_total": 1})


def test_an_address_in_use(bench, server):
    first = server(*metrics.OPTIONS)
    run = bench.run([BANTERD, "-l", "127.0.0.1:0", "--metrics", metrics.address_of(first)])
    assert run.status == 1
    text = run.stderr.decode()
    assert text.startswith("banterd: --metrics: ") and "in use" in text
    assert b"listening" not in run.stdout


@pytest.mark.parametrize("address", ["", "127.0.0.1", "127.0.0.1:65536", "unix:"])
def test_a_wrong_address(bench, address):
    run = bench.run([BANTERD, "--metrics", address])
    assert (run.status, run.stdout) == (64, b"")
    assert b"--metrics" in run.stderr and b"banterd --help" in run.stderr


# ---- hostile clients: the server's own never notice them

def descriptors_after(banterd, act):
    """Does something, and waits until nothing is left of it."""
    client = banterd.connect()
    assert client.ask("before") == b"Hello BEFORE"
    before = banterd.descriptors()
    act(client)
    assert client.ask("after") == b"Hello AFTER"
    wait_until(lambda: banterd.descriptors() <= before, "all of its connections are closed")
    assert metrics.ask(banterd, "/health").body == "ok\n"


def test_clients_that_never_ask_keep_nobody_out(banterd):
    silent = [metrics.connect(banterd) for _ in range(3 * PLACES)]
    assert metrics.ask(banterd, "/health").body == "ok\n"
    for connection in silent[:PLACES]:
        assert connection.recv(1) == b"", "one of the oldest makes room"
    for connection in silent:
        connection.close()


def test_a_client_that_never_asks_is_closed(banterd):
    def act(client):
        with metrics.connect(banterd) as connection:
            connection.sendall(b"GET /metr")
            assert connection.recv(1) == b""
    descriptors_after(banterd, act)


def test_slow_loris(banterd):
    """A byte of a request now and then, on all places, while others ask."""
    def act(client):
        connections = [metrics.connect(banterd) for _ in range(PLACES)]
        for number in range(50):
            for place, connection in enumerate(connections):
                try:
                    connection.sendall(b"GET /metrics HTTP/1.1\r\n" if number == 0 else b"x")
                except (ConnectionResetError, BrokenPipeError):
                    connection.close()
                    connections[place] = metrics.connect(banterd)
            assert metrics.ask(banterd, "/health").body == "ok\n"
            assert client.ask("x") == b"Hello X"
        for connection in connections:
            connection.close()
    descriptors_after(banterd, act)


def test_many_connects(banterd):
    def act(client):
        for number in range(scaled(10_000, 500)):
            metrics.connect(banterd).close()
            if number % 100 == 0:
                assert client.ask("x") == b"Hello X"
    descriptors_after(banterd, act)


def test_clients_that_never_read(banterd):
    """The response of each waits in the kernel, and its place is free again a second later."""
    def act(client):
        connections = []
        for _ in range(4 * PLACES):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            host, port = metrics.address_of(banterd).rsplit(":", 1)
            connection.connect((host, int(port)))
            connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            connections.append(connection)
            assert client.ask("x") == b"Hello X"
        wait_until(lambda: banterd.descriptors() <= before, "their places are free")
        for connection in connections:
            connection.close()
    before = banterd.descriptors() + 1
    descriptors_after(banterd, act)


def test_clients_that_reset(banterd):
    def act(client):
        for number in range(scaled(500, 50)):
            connection = metrics.connect(banterd)
            if number % 3:
                connection.sendall(b"GET /metrics HTTP/1.1\r\n" + b"\r\n" * (number % 2))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
    descriptors_after(banterd, act)


def test_garbage_without_end(banterd):
    def act(client):
        for data in (b"\0" * 100_000, b"\n" * 100_000, os.urandom(100_000), b"GET / HTTP/1.1\r\n" + b"x:\r\n" * 50_000):
            talk(banterd, data)
            assert client.ask("x") == b"Hello X"
    descriptors_after(banterd, act)


def test_a_pause_costs_nobody_a_request(banterd):
    """A request that comes while the process stands still is answered, however long that takes."""
    with metrics.connect(banterd) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        banterd.suspend()
        connection.sendall(b"\r\n")
        banterd.resume()
        assert metrics.read(connection).body == "ok\n"


def test_they_are_no_clients(banterd):
    with metrics.connect(banterd):
        figures = metrics.figures(banterd)
    assert figures["banterd_sessions_total"] == figures["banterd_received_bytes_total"] == 0
    assert len(banterd.log.lines) == 3


def test_the_stop_waits_for_nobody(banterd):
    silent = [metrics.connect(banterd) for _ in range(PLACES)]
    assert banterd.stop() == 0
    for connection in silent:
        connection.close()
