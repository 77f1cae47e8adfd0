"""visits: clients that come at a steady rate, ask once and go, while the server is restarted under them."""
import itertools
import threading
import time
from typing import NamedTuple

from harness import LIMIT, LineClient, Talkers

ANSWERED = "answered"
STOPPING = "sent away by -ERR stopping"
REFUSED = "refused"
RESET = "reset"


class Visit(NamedTuple):
    begin: float    # when the client came, by time.monotonic()
    seconds: float  # until it had its answer
    outcome: str


def visit(address):
    begin = time.monotonic()
    try:
        client = LineClient.to(address)
        try:
            reply = client.ask("Zack")
        finally:
            client.close()
    except ConnectionRefusedError:
        outcome = REFUSED
    except (ConnectionResetError, BrokenPipeError):
        outcome = RESET
    except OSError as why:
        outcome = repr(why)
    else:
        outcome = {b"Hello ZACK": ANSWERED, b"-ERR stopping the server is stopping": STOPPING}.get(reply, repr(reply))
    return Visit(begin, time.monotonic() - begin, outcome)


class Visits:
    """`rate` of them a second from now on, as long as fewer than `clients` wait for an answer."""

    def __init__(self, address, rate, clients=64):
        self.seen = []
        self._address = address
        self._turns = itertools.count()
        self._begin = time.monotonic()
        self._pause = 1 / rate
        self._is_over = threading.Event()
        self._talkers = Talkers(self._come, range(clients))

    def _come(self, _):
        while not self._is_over.wait(max(0, self._begin + next(self._turns) * self._pause - time.monotonic())):
            self.seen.append(visit(self._address))

    def stop(self):
        """Returns all of them."""
        self._is_over.set()
        self._talkers.join(2 * LIMIT)
        return self.seen
