"""SIGHUP and SIGUSR1: reading files anew, the terminal that has gone, a line of status; also as process 1."""
import os
import pty
import signal
import socket
import struct
import sys

import pytest

import harness
from harness import BANTERD, BANTERD_TEST, Server, assert_stopped, wait_until
from namespaces import child_of, in_a_pid_namespace

STATUS = r"^Status: (\d+) clients now, (\d+) so far, (\d+) requests, \d+ loops in use, \d+ threads, \d+ bytes held$"

# Its terminal becomes the one of the process, which leads a session already.
TAKE_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """A terminal for programs to begin at, until it goes."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()

    def start(self, bench, command, **how):
        """A program whose terminal this is; what it writes is read as ever."""
        program = bench.start([sys.executable, "-c", TAKE_TERMINAL, *command], stdin=self.theirs, **how)
        os.close(self.theirs)
        self.theirs = -1
        return program

    def enter(self, line):
        os.write(self.ours, line.encode() + b"\n")

    def go(self):
        for fd in (self.ours, self.theirs):
            if fd >= 0:
                os.close(fd)
        self.ours = self.theirs = -1


@pytest.fixture
def terminal():
    terminal = Terminal()
    yield terminal
    terminal.go()


# ---- reading anew

def test_a_hang_up_without_a_terminal_reloads(server):
    banterd = server()
    for count in (1, 2):
        banterd.process.send_signal(signal.SIGHUP)
        banterd.log.wait_line("Reloaded: nothing", count)
    assert banterd.connect().ask("a") == b"Hello A"
    assert banterd.stop() == 0


def test_a_hang_up_while_the_terminal_is_there_reloads(bench, terminal):
    banterd = terminal.start(bench, [BANTERD, "-l", "127.0.0.1:0"], kind=Server)
    for count in (1, 2):
        banterd.process.send_signal(signal.SIGHUP)
        banterd.log.wait_line("Reloaded: nothing", count)
    assert banterd.connect().ask("a") == b"Hello A"
    assert banterd.stop() == 0


def test_one_that_comes_before_it_listens_waits(server):
    banterd = server("-w", "1", "--", "sh", "-c", "kill -HUP $PPID; cat")
    banterd.log.wait_line("Reloaded: nothing")
    assert banterd.connect().ask("a") == b"a"


def test_neither_counts_as_a_second_signal(server):
    banterd = server("-H", "test", "--drain-timeout", "1h")
    client = banterd.connect()
    client.send_message("later 500 at last")
    banterd.log.wait_for("Processing the input")
    banterd.send_signal(signal.SIGTERM)
    banterd.send_signal(signal.SIGHUP)
    banterd.send_signal(signal.SIGUSR1)
    banterd.log.wait_for(STATUS)
    assert_stopped(client, ["at last"])
    assert banterd.wait() == 0


# ---- the terminal goes

def test_its_terminal_goes(bench, folder, terminal):
    command = [BANTERD_TEST, "-H", "test", "-l", f"unix:{folder}/socket", "--drain-timeout", "1h"]
    banterd = terminal.start(bench, command, kind=Server)
    client = banterd.connect()
    client.send_message("later 300 x")
    banterd.log.wait_for("Processing the input")
    terminal.go()
    assert_stopped(client, ["x"])
    banterd.close_clients()
    assert banterd.wait() == 0
    assert not (folder / "socket").exists()


@pytest.fixture
def from_bash(bench, folder, terminal):
    """from_bash(command) types into a bash a command that starts a banterd, at {banterd}, and returns (bash, a client,
    the number of the process). Its log is in the folder."""
    pids = []

    def start(command):
        bash = terminal.start(bench, ["/bin/bash", "--norc", "--noediting", "-i"], expect_stderr=".*",
                              expect_status=-signal.SIGHUP)
        options = f"-H test -l unix:{folder}/socket --drain-timeout 1h"
        terminal.enter(command.format(banterd=f"{BANTERD_TEST} {options} >{folder}/log 2>&1"))
        wait_until(lambda: harness.is_listening(folder / "socket"), "it listens")
        client = bench.connect(f"unix:{folder}/socket")
        credentials = client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pids.append(struct.unpack("iii", credentials)[0])
        return bash, client, pids[-1]

    yield start
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


@pytest.mark.parametrize("command", ["{banterd}", "{banterd} &"])
def test_the_terminal_of_its_shell_goes(from_bash, terminal, folder, command):
    """The shell sends the signal on to its jobs, and at its own end the kernel sends it to the one in front, again."""
    _, client, _ = from_bash(command)
    client.send_message("later 300 x")
    wait_until(lambda: "later 300 x" in (folder / "log").read_text(), "it is asked")
    terminal.go()
    assert_stopped(client, ["x"])
    wait_until(lambda: "Server stopped" in (folder / "log").read_text(), "it stops in order")
    assert not (folder / "socket").exists()


def test_under_nohup_it_goes_on(from_bash, terminal, folder):
    bash, client, pid = from_bash("nohup {banterd} &")
    os.kill(pid, signal.SIGHUP)
    terminal.go()
    assert bash.wait() == -signal.SIGHUP
    os.kill(pid, signal.SIGHUP)
    assert client.ask("later 0 still there") == b"still there"
    os.kill(pid, signal.SIGTERM)
    assert_stopped(client)
    wait_until(lambda: "Server stopped" in (folder / "log").read_text(), "it stops in order")
    assert "Reloaded" not in (folder / "log").read_text()


# ---- the status

def test_the_status(server):
    banterd = server("-H", "test")
    clients = [banterd.connect() for _ in range(3)]
    for client in clients:
        assert client.ask("a b") is not None
    clients.pop().close()
    banterd.log.wait_for(r"^\[\d\] Connection .* closed")
    banterd.process.send_signal(signal.SIGUSR1)
    assert banterd.log.wait_for(STATUS).groups() == ("2", "3", "3")


def test_the_status_is_told_always_and_while_handlers_hang(server):
    banterd = server("-H", "test", "-qq", "--handler-timeout", "0", "--drain-timeout", "0",
                     expect_status=2)
    client = banterd.connect()
    for _ in range(20):
        banterd.connect().send_message("forget")
    banterd.connect().send_message("sleep 100000000 x")
    client.ask("later 0 x")
    banterd.process.send_signal(signal.SIGUSR1)
    banterd.log.wait_for(STATUS)


# ---- as process 1

def test_all_of_it_as_process_1(bench):
    command = [BANTERD_TEST, "-H", "test", "-l", "127.0.0.1:0", "--drain-timeout", "1h"]
    banterd = bench.start(in_a_pid_namespace(command), kind=Server, expect_stderr=".*")
    inside = child_of(banterd.pid)
    client = banterd.connect()
    os.kill(inside, signal.SIGHUP)
    banterd.log.wait_line("Reloaded: nothing")
    os.kill(inside, signal.SIGUSR1)
    banterd.log.wait_for(STATUS)
    client.send_message("later 300 x")
    banterd.log.wait_for("Processing the input")
    os.kill(inside, signal.SIGTERM)
    banterd.signalled = True
    os.kill(inside, signal.SIGHUP)
    assert_stopped(client, ["x"])
    assert banterd.wait() == 0
