"""What a service manager is told, by NOTIFY_SOCKET: the start, a reload, the stop; and its watchdog."""
import os
import signal
import time

import pytest

from harness import assert_stopped, wait_until
from manager import Manager
from standstill import loop_that_accepts, standstill

STATUS = r"STATUS=Clients: (\d+), requests so far: (\d+)"
LIKELY_US = 4_000_000  # the watchdog's time where it must be kept, even on a busy machine


@pytest.fixture
def manager(folder):
    manager = Manager(folder / "manager")
    yield manager
    manager.socket.close()


@pytest.fixture
def managed(server, manager, folder):
    """managed(*options, **variables): a server that has this manager."""
    def start(*options, variables=None, **how):
        env = {"NOTIFY_SOCKET": manager.address, **(variables or {})}
        return server(*options, listen=f"unix:{folder}/socket", env=env, **how)
    return start


# ---- the course of things

@pytest.mark.parametrize("abstract", [False, True])
def test_the_course_of_things(server, folder, abstract):
    manager = Manager(None if abstract else folder / "manager")
    banterd = server(listen=f"unix:{folder}/socket", env={"NOTIFY_SOCKET": manager.address}, ready=False)
    manager.wait_for("READY=1")
    assert manager.seen[0] == "EXTEND_TIMEOUT_USEC=15000000"
    assert manager.seen[-1] == "STATUS=Clients: 0, requests so far: 0"
    client = banterd.connect(f"unix:{folder}/socket")  # at once
    assert client.ask("a") == b"Hello A"
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    banterd.process.send_signal(signal.SIGHUP)
    assert int(manager.wait_for(r"MONOTONIC_USEC=(\d+)")[1]) >= before
    manager.wait_for("READY=1")
    assert manager.seen[-1] == "STATUS=Clients: 1, requests so far: 1"
    banterd.send_signal(signal.SIGTERM)
    assert_stopped(client)
    assert banterd.wait() == 0
    manager.wait_for("STOPPING=1")
    manager.wait_for("EXTEND_TIMEOUT_USEC=15000000")
    assert manager.course() == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    manager.socket.close()


@pytest.mark.slow
def test_it_is_ready_when_a_program_is(managed, manager, folder):
    os.mkfifo(folder / "go")
    banterd = managed("-w", "1", "--", "sh", "-c", f"read -r go <{folder}/go; exec cat", ready=False)
    for _ in range(2):
        manager.wait_for("EXTEND_TIMEOUT_USEC=.*")
    assert "STATUS=Starting" in manager.seen and not manager.course()
    (folder / "go").write_text("\n")
    manager.wait_for("READY=1")
    assert banterd.connect(f"unix:{folder}/socket").ask("a") == b"a"


def test_a_start_that_fails(managed, manager):
    banterd = managed("-w", "1", "--", "false", ready=False, expect_status=1, expect_stderr=".*")
    assert banterd.wait() == 1
    manager.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.wait_for("READY=1")


@pytest.mark.slow
def test_a_stop_that_takes_its_time(managed, manager, folder):
    os.mkfifo(folder / "go")
    banterd = managed("-w", "1", "--handler-timeout", "0", "--drain-timeout", "1h", "--", "sh", "-c",
                      f"read -r line; read -r go <{folder}/go; echo at last")
    client = banterd.connect()
    client.send_message("a")
    banterd.log.wait_for("Processing the input")
    banterd.send_signal(signal.SIGTERM)
    manager.wait_for("STATUS=Stopping, clients left: 1")
    for _ in range(2):  # at once, and five seconds later
        manager.wait_for("EXTEND_TIMEOUT_USEC=.*")
    (folder / "go").write_text("\n")
    assert_stopped(client, ["at last"])


@pytest.mark.slow
def test_the_line_about_it_follows(managed, manager):
    banterd = managed()
    clients = [banterd.connect() for _ in range(3)]
    for client in clients:
        assert client.ask("a") == b"Hello A"
    while manager.wait_for(STATUS).groups() != ("3", "3"):
        pass
    clients[0].close()
    while manager.wait_for(STATUS).groups() != ("2", "3"):
        pass
    assert manager.course() == ["READY=1"]


# ---- managers that are none, or don't read

@pytest.mark.parametrize("name", ["", "relative", "/", "@", "/nobody/there", "@nobody there", "/" + 200 * "x", "vsock:2:1"])
def test_names_that_lead_nowhere(server, name):
    banterd = server(env={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "100000"})
    assert banterd.connect().ask("a") == b"Hello A"


def test_one_that_does_not_read_holds_up_nobody(managed, manager):
    manager.fill()
    banterd = managed(variables={"WATCHDOG_USEC": "100000"})
    client = banterd.connect()
    assert client.ask("a") == b"Hello A"
    manager.wait_for("READY=1")  # a reload before that is not said
    manager.fill()
    for count in (1, 2):
        banterd.process.send_signal(signal.SIGHUP)
        banterd.log.wait_line("Reloaded: nothing", count)
    assert client.ask("b") == b"Hello B"
    for _ in range(2):  # what matters is said when there is room
        manager.wait_for("READY=1")
    manager.wait_for("WATCHDOG=1")
    assert manager.course() == ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1"]
    manager.fill()
    assert banterd.stop() == 0


def test_one_that_starts_again(managed, manager, folder):
    """Its socket is another one then."""
    banterd = managed()
    manager.wait_for("READY=1")
    manager.socket.close()
    (folder / "manager").unlink()
    banterd.process.send_signal(signal.SIGHUP)
    banterd.log.wait_line("Reloaded: nothing")
    successor = Manager(folder / "manager")
    banterd.process.send_signal(signal.SIGHUP)
    successor.wait_for("RELOADING=1")
    successor.wait_for("READY=1")
    assert banterd.stop() == 0
    successor.wait_for("STOPPING=1")
    successor.socket.close()


def test_programs_do_not_see_it(managed):
    banterd = managed("--", "sh", "-c", 'while read -r line; do env | grep -Ec "^(NOTIFY|WATCHDOG)_"; done',
                      variables={"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"})
    assert banterd.connect().ask("a") == b"0"


# ---- the watchdog

def test_the_watchdog_is_fed(managed, manager):
    managed(variables={"WATCHDOG_USEC": "200000"})
    for _ in range(10):
        manager.wait_for("WATCHDOG=1")


@pytest.mark.parametrize("variables", [
    {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"},
    {"WATCHDOG_USEC": "0"},
    {"WATCHDOG_USEC": "x"},
    {"WATCHDOG_USEC": "-5"},
])
def test_there_is_none(managed, manager, variables):
    banterd = managed("-H", "test", variables=variables)
    manager.wait_for("READY=1")
    banterd.fence(300)
    banterd.process.send_signal(signal.SIGHUP)
    manager.wait_for("READY=1")
    assert "WATCHDOG=1" not in manager.seen


@pytest.mark.slow
def test_it_is_fed_while_600_handlers_hang(managed, manager):
    banterd = managed("-H", "test", "-qq", "--handler-timeout", "0", "--drain-timeout", "0", expect_status=2,
                      variables={"WATCHDOG_USEC": str(LIKELY_US)})
    for _ in range(600):
        banterd.connect().send_message("sleep 100000000 x")
    wait_until(lambda: banterd.threads() > 600, "all of them hang")
    for _ in range(6):
        manager.wait_for("WATCHDOG=1")
    assert banterd.connect().ask("later 0 x") == b"x"


@pytest.mark.no_sanitizer
def test_it_is_not_fed_while_a_loop_stands_still(managed, manager):
    banterd = managed("-t", "2", variables={"WATCHDOG_USEC": "1000000"})
    manager.wait_for("WATCHDOG=1")
    with standstill(loop_that_accepts(banterd)):
        manager.wait_for_silence("WATCHDOG=1", 1)
        banterd.process.send_signal(signal.SIGUSR1)
        banterd.log.wait_for("^Status: ")
    manager.wait_for("WATCHDOG=1")
    assert banterd.connect().ask("a") == b"Hello A"
