"""Turns: how long a light client waits beside one that has sent thousands of requests ahead."""
import socket
import statistics
import threading
import time

import report
from programs import Server
from programs_common import FILTER, SLEEPER, connect


def add_arguments(parser):
    parser.add_argument("--ahead", type=int, default=10000, help="requests that the heavy client has sent ahead")
    parser.add_argument("--asked", type=int, default=200, help="requests of the light one, one after the other")
    parser.add_argument("--copies", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)


class _Heavy:
    """Sends for as long as it lives, never less than `ahead` before what it has read."""

    def __init__(self, server, ahead):
        self._socket = connect(server)
        self._over = False
        self._room = threading.Semaphore(ahead)
        self.answered = 0
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self):
        try:
            while not self._over:
                count = 1
                self._room.acquire()
                while count < 100 and self._room.acquire(blocking=False):
                    count += 1
                self._socket.sendall(b"heavy\n" * count)
        except OSError:
            pass

    def _receive(self):
        try:
            while data := self._socket.recv(65536):
                count = data.count(b"\n")
                self.answered += count
                self._room.release(count)
        except OSError:
            pass

    def stop(self):
        self._over = True
        self._room.release()
        self._socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()


def _latencies(server, count):
    """In ms, of requests one after the other."""
    found = []
    with connect(server) as connection, connection.makefile("rb") as replies:
        for number in range(count):
            begin = time.monotonic()
            connection.sendall(b"light %d\n" % number)
            assert replies.readline() == b"light %d\n" % number
            found.append((time.monotonic() - begin) * 1000)
    return sorted(found)


def _row(name, samples, rates):
    ordered = sorted(value for sample in samples for value in sample)
    return [name, report.median([statistics.median(sample) for sample in samples], "{:.2f}"),
            f"{ordered[int(len(ordered) * 0.99)]:.2f}", f"{ordered[-1]:.2f}",
            f"{statistics.median(rates):.0f}" if rates else ""]


def run(options):
    report.heading("Turns", vars(options), ["banterd"])
    for title, command in (("a program that sleeps 10 ms", SLEEPER), ("a Python program that answers at once", FILTER)):
        alone, beside, rates = [], [], []
        for _ in range(options.rounds):
            with Server("banterd", "--workers", options.copies, "--handler-timeout", "0", "--", *command) as server:
                alone.append(_latencies(server, options.asked))
                heavy = _Heavy(server, options.ahead)
                time.sleep(0.5)  # until all is sent, or the server reads no more
                begin, before = time.monotonic(), heavy.answered
                beside.append(_latencies(server, options.asked))
                rates.append((heavy.answered - before) / (time.monotonic() - begin))
                heavy.stop()
        print(f"{options.copies} copies of {title}; {options.asked} requests of the light client a round:\n")
        report.table(["the light client", "median ms", "p99 ms", "max ms", "the heavy one's requests/s"],
                     [_row("alone", alone, []), _row(f"beside one with {options.ahead} ahead", beside, rates)])
