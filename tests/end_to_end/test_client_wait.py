"""--wait: the server is not up yet."""
import signal
import socket
import subprocess
import time

import pytest

from harness import BANTER, Run
from peers.scripted import Peer, hello
from screen import Screen
from test_client_exit_status import mute_port, refused_port

pytestmark = pytest.mark.no_threads

WAITING = "banter: waiting for the server: "


def test_until_there_is_a_socket(bench, start_banter, folder):
    address = f"unix:{folder}/socket"
    program = start_banter("-c", address, "--wait", expect_stderr=f"{WAITING}{address}: No such file or directory\n")
    program.type("Zack\n")
    program.end_input()
    program.stderr.wait_for("^" + WAITING)
    with Peer(hello, path=f"{folder}/socket"):
        assert program.wait() == 0
    assert program.stdout.lines == ["Hello Zack"]


def test_until_somebody_listens(start_banter):
    """It was tried more than once, and told once."""
    holder, port = refused_port()
    with holder:
        program = start_banter("-c", str(port), "--wait=1h", "5s",
                               expect_stderr=f"{WAITING}127.0.0.1:{port}: Connection refused\n")
        program.stderr.wait_for("^" + WAITING)
        with pytest.raises(subprocess.TimeoutExpired):
            program.process.wait(0.5)
        holder.listen()
        connection, _ = holder.accept()
        with connection:
            assert connection.recv(100).startswith(b"5s\n")
            connection.sendall(b"ok\n")
            connection.shutdown(socket.SHUT_WR)
            assert program.wait() == 0
    assert program.stdout.lines == ["ok"]


def test_no_word_where_there_is_nothing_to_wait_for(run_banter):
    """And the time is attached: what stands behind a blank is a message."""
    with Peer(hello) as peer:
        assert run_banter("-c", peer.address, "--wait", "5s") == Run(0, b"Hello 5s\n", b"")


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_for_so_long(run_banter, quiet):
    holder, port = refused_port()
    with holder:
        begin = time.monotonic()
        run = run_banter("-c", str(port), "--wait=300ms", *quiet, input="x\n")
        assert time.monotonic() - begin >= 0.3
    why = f"127.0.0.1:{port}: Connection refused\n"
    told = "" if quiet else WAITING + why
    assert run == Run(69, b"", f"{told}banter: Connection Error: {why}".encode())


def test_the_time_bounds_an_attempt(run_banter):
    with mute_port() as port:
        run = run_banter("-c", str(port), "--wait=300ms", "--connect-timeout", "1h", "-q", "x")
    assert run == Run(69, b"", f"banter: Connection Error: 127.0.0.1:{port}: Connection timed out\n".encode())


def test_an_unknown_host(run_banter):
    """Misspelt, it would be waited for in vain: for ever it is not, for a while it is."""
    assert run_banter("-c", "no-such-host.invalid:1", "--wait", "-q", "x").status == 68
    begin = time.monotonic()
    run = run_banter("-c", "no-such-host.invalid:1", "--wait=300ms", "x")
    assert time.monotonic() - begin >= 0.3
    assert run.status == 68
    assert run.stderr.decode().startswith(WAITING) and run.stderr.count(b"\n") == 2


def test_an_interrupt_ends_it(start_banter, folder):
    program = start_banter("-c", f"unix:{folder}/socket", "--wait", expect_status=-signal.SIGINT,
                           expect_stderr=WAITING + ".*")
    program.stderr.wait_for("^" + WAITING)
    assert program.stop(signal.SIGINT) == -signal.SIGINT


def test_at_a_terminal(bench, folder):
    address = f"unix:{folder}/s"
    screen = Screen([BANTER, "-c", address, "--wait"], bench.environment(TERM="xterm-256color"), folder, columns=120)
    try:
        screen.wait_lines(f"{WAITING}{address}: No such file or directory")
        with Peer(hello, path=f"{folder}/s"):
            screen.wait_last("->")
            screen.enter("Zack")
            screen.wait_last("-> Zack", "Hello Zack", "->")
            screen.enter("quit")
            assert screen.wait_end() == 0
    finally:
        screen.close()
