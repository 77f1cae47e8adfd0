"""Copies that are started for a client or a request: how many a second, how soon their first reply comes, and what a
burst of them costs a client that has its copy already."""
import json
import socket
import statistics
import subprocess
import time

import programs
import report
from peers import Exec
from programs import Server
from programs_common import connect

CLIENT, REQUEST = "--worker-per-client", "--worker-per-request"


def add_arguments(parser):
    parser.add_argument("--connections", type=int, default=20, help="connections at a time")
    parser.add_argument("--ahead", type=int, default=8, help="copies that are started ahead")
    parser.add_argument("--burst", type=int, default=500, help="new sessions at once")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--duration", type=int, default=2, help="seconds that each measurement takes")


def _ways(options):
    return {"tcpserver": None, CLIENT: [CLIENT], f"{CLIENT} -w {options.ahead}": [CLIENT, "-w", options.ahead],
            REQUEST: [REQUEST], f"{REQUEST} -w {options.ahead}": [REQUEST, "-w", options.ahead]}


def _start(way):
    return Server("banterd", *way, "--", "/bin/cat") if way else Exec("tcpserver").start("/bin/cat")


def _rate(server, options):
    """Requests a second, each through a connection of its own, and how many went wrong."""
    run = subprocess.run([programs.path_of("load"), "--json", "--connect", server.address, "--duration",
                          f"{options.duration}s", "--connections", str(options.connections), "--connect-each",
                          "--message", "Zack", "--expect", "Zack"], capture_output=True,
                         timeout=options.duration + 60, check=False)
    result = json.loads(run.stdout)
    return result["per_second"], sum(result[name] for name in ("wrong", "refused", "lost", "unasked"))


def _first_replies(server, rate, duration):
    """The times in ms from connect() to the reply, of one connection after the other, `rate` a second."""
    times = []
    begin = time.monotonic()
    for number in range(int(rate * duration)):
        due = begin + number / rate
        time.sleep(max(0, due - time.monotonic()))
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
            connection.sendall(b"Zack\n")
            if connection.recv(100) != b"Zack\n":
                raise programs.Trouble("a reply is wrong")
            times.append((time.monotonic() - started) * 1000)
    return times


def _percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _burst(options):
    """The slowest reply, in ms, to a client that has its copy, while so many others get theirs; and how long that
    takes in s."""
    with Server("banterd", CLIENT, "--", "/bin/cat") as server, connect(server) as running:
        running.sendall(b"Zack\n")
        running.recv(100)
        others = [connect(server) for _ in range(options.burst)]
        begin = time.monotonic()
        for other in others:
            other.sendall(b"x\n")
            other.setblocking(False)
        slowest, left = 0, set(others)
        while left:
            started = time.monotonic()
            running.sendall(b"Zack\n")
            running.recv(100)
            slowest = max(slowest, time.monotonic() - started)
            for other in list(left):
                try:
                    if other.recv(100):
                        left.remove(other)
                except BlockingIOError:
                    pass
            time.sleep(0.001)
        took = time.monotonic() - begin
        for other in others:
            other.close()
    return slowest * 1000, took


def run(options):
    report.heading("Starts", {**vars(options), "program": "/bin/cat"}, ["banterd"])
    ways = _ways(options)
    rates = {name: [] for name in ways}
    failures = {name: 0 for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            with _start(way) as server:
                rate, failed = _rate(server, options)
            rates[name].append(rate)
            failures[name] += int(failed)
            time.sleep(0.1)  # its programs end now, and would be in the next one's time
    half = statistics.median(rates["tcpserver"]) / 2
    replies = {}
    for name, way in ways.items():
        with _start(way) as server:
            time.sleep(0.5)  # those that are started ahead
            replies[name] = _first_replies(server, half, options.duration)
    print(f"One request a connection, {options.connections} at a time; then one after the other, {half:.0f} a second\n")
    report.table(["copies", "requests a second", "first reply p50 ms", "p99 ms"],
                 [[name, report.median(rates[name]) + (f" [{failures[name]} failed]" if failures[name] else ""),
                   f"{_percentile(replies[name], 0.5):.2f}", f"{_percentile(replies[name], 0.99):.2f}"]
                  for name in ways])
    bursts = [_burst(options) for _ in range(options.rounds)]
    print(f"\nA burst of {options.burst} sessions with a copy each\n")
    report.table(["", "median (spread)"],
                 [["slowest reply to a client that has its copy, ms", report.median([one for one, _ in bursts], "{:.1f}")],
                  ["until all have theirs, s", report.median([one for _, one in bursts], "{:.2f}")]])
