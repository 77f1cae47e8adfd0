"""--wait: the server is not up yet; at a terminal also: it has no room."""
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import BANTER, LIMIT, Run, is_ready, wait_until
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


# ---- at a terminal: a server without room

BUSY = b"-ERR busy too many clients\n"


def full(peer):
    return f"{WAITING}{peer.address}: -ERR busy too many clients"


@pytest.fixture
def full_for(folder):
    """full_for(condition) starts a server that says Hello, but `busy` to the connections for which it holds."""
    peers = []

    def start(is_busy):
        def serve(connection):
            if is_busy(peer.connections.index(connection)):
                connection.send(BUSY)
            else:
                hello(connection)
        peer = Peer(serve)
        peers.append(peer)
        return peer
    yield start
    for peer in peers:
        peer.close()


def test_a_place_at_a_full_server(open_screen, server, netcat):
    pair = server("--max-clients", "1", "-q")
    other = netcat(pair, "-N")
    pair.log.wait_for("Connected with")
    screen = open_screen([BANTER, "-c", pair.address, "--wait"], columns=120)
    screen.wait(lambda: any(line.startswith(f"{WAITING}{pair.address}: -ERR busy ") for line in screen.lines), "a word")
    screen.wait_last("->")
    screen.enter("Zack")
    screen.wait(lambda: re.search("^Waiting [0-9.]+ s; Ctrl-C gives the prompt back", screen.lines[-1]), "the wait")
    other.end_input()
    screen.wait_last("-> Zack", "Hello ZACK", "->")
    screen.enter("quit")
    assert screen.wait_end() == 0
    assert sum("busy" in line for line in screen.lines) == 1


def test_a_place_before_anything_is_asked(at_terminal, full_for):
    """What is typed meanwhile stays."""
    opened = threading.Event()
    peer = full_for(lambda number: not opened.is_set())
    screen = at_terminal(peer, "--wait")
    screen.wait_last(full(peer), "->")
    screen.type("Za")
    screen.wait_last("-> Za")
    wait_until(lambda: len(peer.connections) > 3, "attempts")
    opened.set()
    screen.enter("ck")
    screen.wait_last(full(peer), "-> Zack", "Hello Zack", "->")
    screen.type("\004")
    assert screen.wait_end() == 0


def test_all_lines_of_a_paste_wait(at_terminal, full_for):
    opened = threading.Event()
    peer = full_for(lambda number: number > 0 and not opened.is_set())
    screen = at_terminal(peer, "--wait", "-q")
    peer.connection().end()
    screen.wait_last(f"Connection to {peer.address} closed", "->")
    screen.paste("one\n\\quit\ntwo")
    screen.type("\r")
    wait_until(lambda: len(peer.connections) > 3, "attempts")
    opened.set()
    screen.wait_last("Hello one", "Hello quit", "Hello two", "->")
    screen.enter("quit")
    assert screen.wait_end() == 0


def after(screen, line):
    """The lines below the first one that is this."""
    return screen.lines[screen.lines.index(line) + 1:] if line in screen.lines else []


def test_control_c_gives_up_a_full_server(at_terminal, full_for):
    """The line is back at the prompt; the server is asked no more."""
    opened = threading.Event()
    peer = full_for(lambda number: not opened.is_set())
    screen = at_terminal(peer, "--wait")
    screen.enter("Zack")
    screen.wait(lambda: "Waiting" in screen.lines[-1], "the wait")
    screen.type("\003")
    screen.wait(lambda: after(screen, "^C")[-1:] == ["-> Zack"], "the line")
    opened.set()
    screen.type("\r")
    screen.wait_last("Hello Zack", "->")
    screen.enter("quit")
    assert screen.wait_end() == 0


@pytest.mark.parametrize("refusals", [0, 1])
def test_a_server_that_is_full_behind_control_c(at_terminal, full_for, refusals):
    """It had been sent the line, which comes back."""
    given_up = threading.Event()

    def is_busy(number):
        if number == refusals:
            assert given_up.wait(LIMIT)
        return number <= refusals
    peer = full_for(is_busy)
    screen = at_terminal(peer, "--wait", columns=120)
    screen.enter("Zack")
    assert is_ready(peer.connection(refusals).socket, select.POLLIN, LIMIT)
    screen.wait(lambda: "Waiting" in screen.lines[-1], "the wait")
    screen.type("\003")
    screen.wait_last("^C", "->")
    given_up.set()
    screen.wait_last("^C", f"banter: Connection Error: {peer.address}: -ERR busy too many clients", "-> Zack")
    screen.type("\r")
    screen.wait_last("Hello Zack", "->")
    screen.enter("quit")
    assert screen.wait_end() == 0


def test_typed_ahead_is_no_part_of_a_line_that_comes_back(at_terminal, full_for):
    """They are lines of their own, of which the first was entered before."""
    opened = threading.Event()
    peer = full_for(lambda number: not opened.is_set())
    screen = at_terminal(peer, "--wait")
    screen.enter("one")
    screen.wait(lambda: "Waiting" in screen.lines[-1], "the wait")
    screen.type("two")
    screen.wait(lambda: "with what was typed" in screen.lines[-1], "the word that it is kept")
    screen.type("\003")
    screen.wait(lambda: any(line.startswith("-> one") for line in after(screen, "^C")), "the line")
    opened.set()
    screen.type("\r")
    screen.wait_last("Hello one", "Hello two", "->")
    screen.enter("quit")
    assert screen.wait_end() == 0


def test_leaving_a_full_server_69(at_terminal, full_for):
    peer = full_for(lambda number: True)
    screen = at_terminal(peer, "--wait")
    screen.wait_last(full(peer), "->")
    screen.enter("quit")
    assert screen.wait_end() == 69


def test_a_server_that_is_full_for_too_long_69(open_screen, full_for):
    peer = full_for(lambda number: True)
    screen = open_screen([BANTER, "-c", peer.address, "--wait=3s"])
    assert screen.wait_end() == 69
    assert screen.lines[1] == full(peer)
    assert f"banter: Connection Error: {peer.address}: -ERR busy too many clients" in screen.lines


def test_full_for_too_long_at_a_later_connection(at_terminal, full_for):
    """The prompt is back, with the line."""
    peer = full_for(lambda number: number > 0)
    screen = at_terminal(peer, "--wait=300ms", "-q")
    peer.connection().end()
    screen.wait_last(f"Connection to {peer.address} closed", "->")
    screen.enter("Zack")
    screen.wait_last(f"banter: Connection Error: {peer.address}: -ERR busy too many clients", "-> Zack")
    screen.type("\003\004")
    assert screen.wait_end() == 69


def test_a_later_connection_waits_for_the_server_too(at_terminal, folder):
    path = f"{folder}/s"
    with Peer(hello, path=path) as peer:
        screen = at_terminal(peer, "--wait", columns=120)
        address = peer.address
        peer.connection().end()
        peer.stop_listening()
        screen.wait_last(f"Connection to {address} closed", "->")
    os.unlink(path)
    screen.enter("Zack")
    screen.wait(lambda: any(line.startswith(f"{WAITING}{address}: ") for line in screen.lines), "a word")
    with Peer(hello, path=path):
        screen.wait_last("Hello Zack", "->")
        screen.enter("quit")
        assert screen.wait_end() == 0
