"""The loads of `endure`. Each works in a thread of its own until its time is over, and counts in `tally` what it has seen;
what must not happen is counted under a name that begins with "wrong"."""
import os
import random
import resource
import signal
import socket
import struct
import time

from programs import Server
from programs_common import children

LIMIT = 60  # seconds for anything that is awaited
RESET = struct.pack("ii", 1, 0)


def connect(server, receive_buffer=None):
    connection = socket.socket()
    connection.settimeout(LIMIT)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect(("127.0.0.1", server.port))
    return connection


def _still_open(connection):
    """Without reading what has come."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _keep(server, until, tally, count, begin, go_on, name):
    """Keeps `count` connections, each looked at about every two seconds; those that have ended are made anew."""
    kept = []
    while time.monotonic() < until:
        started = time.monotonic()
        for place in range(count):
            if time.monotonic() >= until:
                break
            if place < len(kept) and go_on(kept[place]):
                continue
            try:
                connection = begin(server)
            except OSError:
                tally[name + " not connected"] += 1
                continue
            tally[name] += 1
            if place < len(kept):
                kept[place].close()
                kept[place] = connection
            else:
                kept.append(connection)
        time.sleep(max(0, min(2 - (time.monotonic() - started), until - time.monotonic())))
    for connection in kept:
        connection.close()


def slowloris(server, until, tally, count):
    """A byte of a request that never ends, every two seconds."""
    def drip(connection):
        try:
            return connection.send(b"x", socket.MSG_DONTWAIT) == 1
        except OSError:
            return False
    _keep(server, until, tally, count, connect, drip, "slow requests")


def never_read(server, until, tally, count):
    def ask_for_much(server):
        connection = connect(server, receive_buffer=4096)
        connection.sendall(b"size 20000\n" * 64)
        return connection
    _keep(server, until, tally, count, ask_for_much, _still_open, "clients that never read")


def half_closes(server, until, tally, a_second):
    """N requests, the end of the sending half, N replies."""
    pace = 1 / a_second
    chance = random.Random(2)
    while time.monotonic() < until:
        requests = b"".join(b"%d\n" % number for number in range(chance.randrange(200)))
        with connect(server) as connection:
            connection.sendall(requests)
            connection.shutdown(socket.SHUT_WR)
            replies = connection.makefile("rb").read()
        tally["half-closes" if replies == requests else "wrong replies to half-closes"] += 1
        time.sleep(pace)


def resets(server, until, tally, a_second):
    pace = 1 / a_second
    requests = (b"half a request", b"quick\n", b"sleep 5 x\nquick\n", b"size 200000\n", b"later 3 x\n", b"compute 5 x\n")
    chance = random.Random(3)
    while time.monotonic() < until:
        with connect(server) as connection:
            connection.sendall(chance.choice(requests))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        tally["resets"] += 1
        time.sleep(pace)


def hang(server, until, tally, count):
    """Calls that sleep, so many at a time."""
    with_sleep = [connect(server) for _ in range(count)]
    while time.monotonic() < until:
        for connection in with_sleep:
            connection.sendall(b"sleep 200 x\n")
        for connection in with_sleep:
            tally["calls that sleep" if connection.recv(100) == b"x\n" else "wrong replies of calls that sleep"] += 1


def ask_copies(server, until, tally):
    """Of a program whose copies are killed meanwhile: an error is an answer, too."""
    connection = connect(server).makefile("rwb")
    number = 0
    while time.monotonic() < until:
        number += 1
        connection.write(b"%d\n" % number)
        connection.flush()
        reply = connection.readline()
        if reply == b"%d\n" % number:
            tally["answers of copies"] += 1
        elif reply.startswith((b"-ERR handler-failed", b"-ERR unavailable")):
            tally["errors for killed copies"] += 1
        else:
            tally["wrong answers of copies"] += 1


def kill_copies(server, until, tally):
    chance = random.Random(4)
    while time.monotonic() < until:
        living = [pid for pid, state in children(server).items() if state != "Z"]
        if living:
            try:
                os.kill(chance.choice(living), signal.SIGKILL)
                tally["copies killed"] += 1
            except ProcessLookupError:
                pass
        time.sleep(0.05)


def starve(server, until, tally):
    """More connections than the server has descriptors for, again and again."""
    hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[1]
    while time.monotonic() < until:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (server.descriptors() + 20, hard))
        crowd = [connect(server) for _ in range(100)]
        for connection in crowd:
            connection.sendall(b"quick\n")
        time.sleep(0.2)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        for connection in crowd:
            tally["clients that waited for descriptors"
                  if connection.recv(100) == b"quick\n" else "wrong replies without descriptors"] += 1
            connection.close()


def stop_again_and_again(until, tally):
    """Each stop under load: right replies, perhaps `-ERR stopping`, and exit status 0."""
    while time.monotonic() < until:
        with Server("banterd") as server:
            crowd = [connect(server) for _ in range(20)]
            for connection in crowd:
                connection.sendall(b"x\n" * 300)
            crowd[0].recv(1, socket.MSG_PEEK)
            server.process.send_signal(signal.SIGTERM)
            for connection in crowd:
                lines = connection.makefile("rb").read().split(b"\n")[:-1]
                if lines and lines[-1].startswith(b"-ERR stopping"):
                    lines.pop()
                if lines != [b"Hello X"] * 300:
                    tally["wrong replies at a stop"] += 1
                connection.close()
            tally["stops" if server.process.wait(LIMIT) == 0 else "wrong stops"] += 1
