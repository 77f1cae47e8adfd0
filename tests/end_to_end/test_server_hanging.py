"""Calls that hang, more of them than there may be threads, and sessions that are quick and slow in turn: they cost
those that make them, and nobody else. A call that hangs here never returns, so whatever comes is not behind it."""
import os

import pytest

import harness
from harness import Talkers, is_error, wait_until
from secure import connect

pytestmark = pytest.mark.slow

MORE_THAN_THREADS = 720
HANG = "meet 100000"
MAY_HANG = ["-H", "test", "-q", "--handler-timeout", "6s", "--drain-timeout", "300ms"]


@pytest.fixture
def frozen(server):
    """A server whose calls may hang; the stop leaves them behind."""
    return server(*MAY_HANG, expect_status=2, expect_stderr=".*")


@pytest.fixture
def frozen_tls(secure):
    """The same, for TLS and, behind its second address, in the clear."""
    banterd = secure(*MAY_HANG, "-l", "127.0.0.1:0", ready=False, expect_status=2, expect_stderr=".*")
    banterd.wait_ready(2)
    return banterd


def hang_all(banterd, clients):
    """Until no thread is left: on a busy machine some may time out before they have one, and ask again."""
    for _ in range(10):
        for client in clients:
            client.send_message(HANG)
        try:
            banterd.log.wait_for("No thread to go on while handlers run long", limit=8)
            return
        except AssertionError:
            pass
    raise AssertionError("there is always a thread")


def assert_timed_out(clients):
    assert [reply for client in clients if not is_error(reply := client.readline(), "handler-timeout")] == []


def test_newcomers_that_hang_leave_the_loops_to_the_others(frozen):
    quick = frozen.connect()
    assert quick.ask("before") == b"before"
    clients = [frozen.connect() for _ in range(MORE_THAN_THREADS)]
    hang_all(frozen, clients)
    for number in range(50):
        assert quick.ask(f"quick {number}") == f"quick {number}".encode()
    newcomer = frozen.connect()
    assert is_error(newcomer.ask("new"), "handler-timeout"), "it was called where nobody could go on"
    assert_timed_out(clients)
    assert quick.ask("after") == b"after"
    assert frozen.stop() == 2


def test_those_that_were_quick_until_the_backend_froze_get_their_time_outs(frozen):
    clients = [frozen.connect() for _ in range(MORE_THAN_THREADS)]
    for client in clients:
        assert client.ask("before") == b"before"
    hang_all(frozen, clients)
    frozen.connect()
    frozen.log.wait_for(rf"^\[{MORE_THAN_THREADS + 1}\] Connected with ")
    assert_timed_out(clients)
    assert frozen.stop() == 2


@pytest.mark.parametrize("were_quick", [False, True])
def test_handshakes_when_every_other_thread_hangs(frozen_tls, context, were_quick):
    """Those that were quick take even the loops' reserve."""
    clients = [frozen_tls.connect(frozen_tls.addresses[1]) for _ in range(MORE_THAN_THREADS)]
    quick = connect(frozen_tls, context)
    for client in [quick, *clients] if were_quick else [quick]:
        assert client.ask("before") == b"before"
    hang_all(frozen_tls, clients)
    for _ in range(5):
        newcomer = connect(frozen_tls, context)
        assert were_quick or quick.ask("quick") == b"quick"
        newcomer.send_message("--QUIT--")
        assert newcomer.at_eof()
    assert_timed_out(clients)
    assert frozen_tls.stop() == 2


def test_handshakes_while_those_that_sleep_hang(frozen_tls, context):
    """In all threads that they may have: newcomers have the others."""
    clients = [frozen_tls.connect(frozen_tls.addresses[1]) for _ in range(MORE_THAN_THREADS)]
    for client in clients:
        client.send_message("sleep 20")
    for client in clients:
        client.readline()
    wait_until(lambda: frozen_tls.threads() < 40, "the threads end that nobody needs", limit=60)
    for client in clients:
        client.send_message(HANG)
    wait_until(lambda: frozen_tls.threads() > 500, "the sleepers have their threads")
    for number in range(5):
        assert connect(frozen_tls, context).ask(f"new {number}") == f"new {number}".encode()
    assert_timed_out(clients)
    assert frozen_tls.stop() == 2


def test_the_threads_come_back_when_the_backend_does(server):
    """Those that sleep can't have all threads, so a newcomer is served beside them."""
    banterd = server("-H", "test", "-q", "--handler-timeout", "0")
    clients = [banterd.connect() for _ in range(MORE_THAN_THREADS)]
    for _ in range(2):
        for client in clients:
            client.send_message("sleep 300 done")
        assert banterd.connect().ask("new") == b"new"
        assert [client.readline() for client in clients] == [b"done"] * len(clients)
    wait_until(lambda: banterd.threads() < 40, "the threads end that nobody needs")


@pytest.mark.parametrize("quick", [1, 3, 9])
@pytest.mark.parametrize("slow", ["compute 6 slow", "sleep 6 slow"])
def test_a_session_that_is_quick_and_slow_in_turn_costs_few_threads(server, quick, slow):
    banterd = server("-H", "test", "-q", "-t", "1")
    mixed, light = banterd.connect(), banterd.connect()
    usual = str(os.getpriority(os.PRIO_PROCESS, 0)).encode()
    assert light.ask("priority") == usual
    most = 0
    for _ in range(harness.scaled(100, 20)):
        mixed.send_message(*["quick"] * quick, slow)
        assert mixed.lines(quick + 1) == [b"quick"] * quick + [b"slow"]
        assert light.ask("priority") == usual
        most = max(most, banterd.threads())
    assert most < 30


def test_many_sessions_whose_first_call_computes_leave_few_threads(server):
    banterd = server("-H", "test", "-q", "-t", "1")
    light = banterd.connect()
    assert light.ask("light") == b"light"

    def come_and_go(_):
        for _ in range(harness.scaled(15, 4)):
            client = banterd.connect()
            assert client.ask("quick") == b"quick"
            assert client.ask("compute 6 slow") == b"slow"
            client.close()

    Talkers(come_and_go, range(8)).join()
    assert light.ask("priority") == str(os.getpriority(os.PRIO_PROCESS, 0)).encode()
    wait_until(lambda: banterd.threads() < 40, "the threads end that nobody needs", limit=5)


def test_one_that_was_known_to_sleep_gives_way_when_it_computes(server):
    banterd = server("-H", "test", "-q")
    client = banterd.connect()

    def computes_behind_the_others():
        client.ask("sleep 20")
        return client.ask("priority 200") == b"19"

    wait_until(computes_behind_the_others, "its call runs at the lowest priority")
