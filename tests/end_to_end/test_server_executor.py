"""Requests that are known to take long run beside the loops: as many at a time as there are cores
if they compute, all at once if they sleep. Nothing here measures time: the handler sees what runs
at the same time, and replies come in an order."""
import json
import os

import pytest

import harness
from harness import assert_stopped, is_error, wait_until

pytestmark = pytest.mark.slow

CORES = os.sysconf("SC_NPROCESSORS_ONLN")


def learned(banterd, count, request):
    """Connections whose sessions have shown what they are like, one after the other."""
    clients = [banterd.connect() for _ in range(count)]
    what, ms = request.split()
    for client in clients:
        if what == "compute":
            compute_until_known(client, ms)
        else:
            client.ask(request)
    return clients


def compute_until_known(client, ms):
    """On a busy machine a call may be over before the watcher has had the time to look twice."""
    wait_until(lambda: client.ask(f"priority {ms}") == b"19", "its session is known to compute")


def ask_all(clients, request):
    for client in clients:
        client.send_message(request)


def test_no_more_compute_at_a_time_than_there_are_cores(server, bench, folder):
    control = f"unix:{folder}/control"
    banterd = server("-H", "test", "--control", control)
    clients = learned(banterd, 4 * CORES, "compute 20")
    # What a call has cost is known when it has returned, which on a busy machine may be long after its answer.
    operator = bench.connect(control)
    wait_until(lambda: json.loads(operator.ask("status"))["late"]["running"] == 0, "all calls have returned")
    banterd.fence()
    for _ in range(harness.scaled(5, 2)):
        ask_all(clients, "crowd 20")
        most = max(int(client.readline()) for client in clients)
        assert most <= CORES


@pytest.mark.parametrize("past", ["sleep 20", "compute 20"])
def test_those_that_sleep_are_all_under_way_at_once(server, past):
    """Whatever they did before: a call that sleeps gives its place to the next one."""
    banterd = server("-H", "test", "--handler-timeout", "0")
    clients = learned(banterd, harness.scaled(60, 15), past)
    for _ in range(2):
        ask_all(clients, f"meet {len(clients)} met")
        assert [client.readline() for client in clients] == [b"met"] * len(clients)


def test_newcomers_in_a_storm_of_them_are_all_under_way_at_once(server):
    banterd = server("-H", "test", "--handler-timeout", "0")
    clients = [banterd.connect() for _ in range(harness.scaled(100, 20))]
    ask_all(clients, f"meet {len(clients)} met")
    assert [client.readline() for client in clients] == [b"met"] * len(clients)


def test_what_computes_gives_way_and_nothing_else_does(server):
    """A thread keeps its low priority for good: none of them may own a loop, or wait in a handler, after that."""
    banterd = server("-H", "test", "-t", "2")
    usual = str(os.getpriority(os.PRIO_PROCESS, 0)).encode()
    for number in range(harness.scaled(10, 3)):
        # Newcomers take the loops from their owners, and the next owners are other threads.
        sleeper, *heavy = [banterd.connect() for _ in range(1 + 2 * CORES)]
        sleeper.ask("sleep 20")
        ask_all(heavy, "compute 20 done")
        assert [client.readline() for client in heavy] == [b"done"] * len(heavy)
        for client in heavy:
            compute_until_known(client, 20)
        assert sleeper.ask("priority") == usual
        assert [client.ask("priority") for client in heavy] == [b"19"] * len(heavy)
        light = [banterd.connect() for _ in range(4)]
        assert {client.ask(f"light {number}") for client in light} == {f"light {number}".encode()}
        assert {client.ask("priority") for client in light} == {usual}


def test_one_that_computes_for_very_long_does_not_keep_its_place(server):
    banterd = server("-H", "test", "--handler-timeout", "0")
    *endless, other = learned(banterd, CORES + 1, "compute 20")
    ask_all(endless, "compute 1000 long")
    assert other.ask("compute 20 short") == b"short"
    assert not any(client.readable() for client in endless), "the short one came behind a long one"
    assert [client.readline() for client in endless] == [b"long"] * len(endless)


def test_a_light_client_and_a_newcomer_do_not_wait_for_the_queue(server):
    banterd = server("-H", "test", "-t", "1", "--handler-timeout", "0")
    light = banterd.connect()
    assert light.ask("light") == b"light"
    heavy = learned(banterd, 8 * CORES, "compute 20")
    ask_all(heavy, "compute 100 heavy")
    assert light.ask("still light") == b"still light"
    assert banterd.connect().ask("new") == b"new"
    assert any(not client.readable() for client in heavy)
    assert [client.readline() for client in heavy] == [b"heavy"] * len(heavy)


def test_a_session_that_was_heavy_goes_on_in_order_and_is_forgiven(server):
    banterd = server("-H", "test", "-t", "1")
    client, = learned(banterd, 1, "compute 20")
    messages = ["compute 20 a", "b", "later 5 c", "compute 5 d", "sleep 5 e", "sleep 5 f", "g", "reply h\\ni",
                "error word i", "forget", "size 100000", "k"]
    client.send_message(*messages)
    replies = client.lines(len(messages))
    assert replies[:7] == [b"a", b"b", b"c", b"d", b"e", b"f", b"g"]
    assert is_error(replies[7], "handler-failed") and replies[8] == b"-ERR word i"
    assert is_error(replies[9], "handler-failed") and replies[10] == b"x" * 100000
    assert replies[11] == b"k"


def test_what_waits_in_the_queue_can_time_out(server):
    """They need more of the cores than there is until then. What nobody waits for any more is not run."""
    banterd = server("-H", "test", "--handler-timeout", "400ms")
    clients = learned(banterd, 24 * CORES, "compute 20")
    ask_all(clients, "compute 90 done")
    replies = [client.readline() for client in clients]
    late = [reply for reply in replies if is_error(reply, "handler-timeout")]
    assert late and len(late) + replies.count(b"done") == len(clients)
    for client in clients:
        wait_until(lambda: client.ask("again") == b"again", "what is quick again is answered in time again")


def test_clients_that_leave_while_they_wait_leave_nothing(server):
    banterd = server("-H", "test", "--handler-timeout", "0")
    for _ in range(harness.scaled(10, 3)):
        clients = learned(banterd, 3 * CORES, "compute 5")
        ask_all(clients, "compute 20 lost")
        for client in clients:
            client.close()
    banterd.log.wait_for(r"Connection .* closed", 3 * CORES * harness.scaled(10, 3))
    assert banterd.connect().ask("well") == b"well"


def test_the_stop_answers_what_waits(server):
    banterd = server("-H", "test")
    clients = learned(banterd, 4 * CORES, "compute 20")
    ask_all(clients, "compute 20 done")
    banterd.log.wait_for("Processing the input received from client: compute 20 done", len(clients))
    assert banterd.stop() == 0
    assert [client.readline() for client in clients] == [b"done"] * len(clients)


def test_a_stop_that_can_not_wait_refuses_what_waits(server):
    banterd = server("-H", "test", "--drain-timeout", "300ms", "--handler-timeout", "0", expect_status=2,
                     expect_stderr=r".*")
    clients = learned(banterd, 4, "sleep 20")
    ask_all(clients, "meet 1000")
    banterd.log.wait_for("Processing the input received from client: meet 1000", len(clients))
    assert banterd.stop() == 2
    for client in clients:
        assert_stopped(client, ["-ERR handler-timeout"])
