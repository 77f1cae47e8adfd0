"""A restart of a server whose sockets a service manager holds: those who come meanwhile wait, and nothing is lost."""
import collections

import pytest

from fleet import Passed, restart_under_load
from harness import scaled, wait_until
from manager import address_of, listening_socket, start_with_sockets
from visits import ANSWERED, STOPPING, Visits

RESTARTS = scaled(10, 3)


@pytest.mark.slow
@pytest.mark.parametrize("path", [None, "socket"], ids=["tcp", "unix"])
def test_nobody_is_refused_or_reset(bench, path):
    listener = listening_socket(path and bench.folder / path)
    server = start_with_sockets(bench, [listener], "-q")
    visits = Visits(address_of(listener), rate=scaled(200, 40))
    for _ in range(RESTARTS):
        answered = len(visits.seen)
        wait_until(lambda: len(visits.seen) > answered + 50, "clients come")
        assert server.stop() == 0
        server = start_with_sockets(bench, [listener], "-q")
    seen = visits.stop()
    outcomes = collections.Counter(visit.outcome for visit in seen)
    assert not set(outcomes) - {ANSWERED, STOPPING}, outcomes
    assert outcomes[ANSWERED] > 0
    listener.close()


@pytest.mark.slow
def test_scripts_lose_nothing(bench):
    assert restart_under_load(Passed(bench), sessions=6, rounds=RESTARTS) > 0
