"""-H nats, -l nats: fronts and worker machines with a cluster of three between them, and what befalls the machines.
At full size it is tests/cluster/run."""
import signal

import pytest

from cluster import Cluster, Faults, Load, judge
from harness import is_error, scaled

# A try that is shorter than a request takes on a busy machine makes a storm.
RUN_AGAIN = ("--run-again", "lost", "--try", "2s", "--handler-timeout", "2m")
WINDOW = 1024  # requests that are under way at most
REQUESTS = scaled(50_000, 5_000)
FAULTS = scaled(10, 6)
ONCE = ("--handler-timeout", "3s")  # and what was under way to a machine that has gone is given up


def load_through_faults(cluster, faults, requests, kinds=Faults.KINDS):
    """Faults, each for as long as the sessions need for so many lines, and on to so many in all."""
    load = Load(cluster.front, sessions=scaled(200, 40), depth=5)
    share = requests // (2 * faults)
    Faults(cluster, lambda: load.wait_more(share)).befall(faults, lambda: load.wait_more(share), kinds)
    load.wait_asked(requests)
    return judge(cluster, load)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_lost(bench):
    """Nodes and worker machines are killed, frozen, stopped and retired; each request is answered, once, in order."""
    verdict = load_through_faults(Cluster(bench, front=RUN_AGAIN), FAULTS, REQUESTS)
    assert (verdict.errors, verdict.lost) == ({}, 0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_begun_twice(bench):
    """Unless it is asked for: what was under way on a machine that has gone is told as an error."""
    verdict = load_through_faults(Cluster(bench, front=ONCE), FAULTS, REQUESTS)
    assert (verdict.most, verdict.lost) == (1, 0)
    assert all(is_error(text.encode(), "handler-timeout") for text in verdict.errors), verdict
    assert sum(verdict.errors.values()) <= FAULTS * WINDOW


def test_worker_machines_are_stopped_one_by_one(bench):
    """No error, and nothing begun twice: they finish what they have, and take no more."""
    verdict = load_through_faults(Cluster(bench), 9, scaled(20_000, 4_000), [Faults.stop_worker])
    assert (verdict.errors, verdict.most, verdict.lost) == ({}, 1, 0)


def test_a_node_retires(bench):
    """Lame duck: fronts and worker machines go to another node, and lose nothing."""
    verdict = load_through_faults(Cluster(bench), 2, scaled(10_000, 2_000), [Faults.retire_node])
    assert (verdict.errors, verdict.most, verdict.lost) == ({}, 1, 0)


def test_a_frozen_cluster_delays_nobody_else(bench):
    """A worker machine answers its TCP clients, and both sides stop, while NATS stands still."""
    cluster = Cluster(bench, workers=1, worker=("--workers", "2", "-l", "127.0.0.1:0"))
    worker = cluster.workers[0].program
    worker.wait_ready()
    client = worker.connect()
    for node in cluster.nats.nodes:
        node.suspend()
    assert [client.ask(line) for line in ("a", "b")] == [b"a", b"b"]
    for program in (worker, cluster.front):
        assert program.stop(signal.SIGTERM) == 0
    for node in cluster.nats.nodes:
        node.resume()
