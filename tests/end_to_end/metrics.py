"""metrics: asks a server that runs with --metrics, and reads what it answers."""
import re
import socket
from typing import NamedTuple

import harness

OPTIONS = ["--metrics", "127.0.0.1:0"]


class Response(NamedTuple):
    status: int
    fields: dict  # of the head, names in lower case
    body: str


def address_of(server):
    return server.log.wait_for(r"^Metrics on http://(.*)/metrics$")[1]


def connect(server, address=None):
    """A socket that is connected to --metrics."""
    host, port = (address or address_of(server)).rsplit(":", 1)
    return socket.create_connection((host.strip("[]"), int(port)), harness.LIMIT)


def parse(data):
    head, _, body = data.decode().partition("\r\n\r\n")
    first, *fields = head.split("\r\n")
    fields = dict(re.fullmatch(r"(\S+): (.*)", field).groups() for field in fields)
    return Response(int(re.fullmatch(r"HTTP/1\.1 (\d+) [A-Z][A-Za-z ]+", first)[1]),
                    {name.lower(): value for name, value in fields.items()}, body)


def read(connection):
    """All that comes until the server closes."""
    return parse(connection.makefile("rb").read())


def ask(server, path="/metrics", method="GET", address=None):
    """One request, and what comes of it."""
    with connect(server, address) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        return read(connection)


def figures_of(text):
    """{name with its labels: value}"""
    return {name: float(value) for name, value in re.findall(r"^([a-z][^ ]*) (\S+)$", text, re.M)}


def figures(server, address=None):
    response = ask(server, address=address)
    assert response.status == 200
    return figures_of(response.body)


def wait_for(server, wanted, address=None):
    """Waits until these figures have these values; returns all. The last thing counted may be a little late."""
    last = {}

    def have():
        last.update(figures(server, address))
        return all(last[name] == value for name, value in wanted.items())

    try:
        harness.wait_until(have, "figures")
    except AssertionError:
        raise AssertionError({name: (last[name], "for", value) for name, value in wanted.items()
                              if last[name] != value}) from None
    return last
