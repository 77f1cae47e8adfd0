"""Sockets that a service manager passes: LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES, systemd-socket-activate."""
import os
import shutil
import signal
import socket

import pytest

from harness import BANTERD, LineClient, Server, assert_stopped, wait_until
from manager import address_of, listening_socket, start_with_sockets


@pytest.fixture
def listeners(folder):
    """listeners(*paths) makes sockets that listen, on these paths or (None) on ports."""
    opened = []

    def make(*paths):
        opened.extend(listening_socket(path and folder / path) for path in paths)
        return opened[-len(paths):]
    yield make
    for listener in opened:
        listener.close()


def fails_with(bench, sockets, text, *options, **how):
    banterd = start_with_sockets(bench, sockets, *options, ready=False, expect_status=1,
                                 expect_stderr=f"banterd: {text}\n", **how)
    assert banterd.wait() == 1
    assert banterd.log.lines == []


# ---- what is served

def test_passed_sockets_are_served_and_nothing_else(bench, listeners):
    passed = listeners(None, "s")
    banterd = start_with_sockets(bench, passed, names="lines:local", ready=False)
    banterd.wait_ready(2)
    assert banterd.addresses == [address_of(each) for each in passed]
    for address in banterd.addresses:
        assert banterd.connect(address).ask("Zack") == b"Hello ZACK"


def test_an_address_is_listened_on_too_if_it_is_given(bench, listeners):
    passed = listeners("s")
    banterd = start_with_sockets(bench, passed, "-l", "127.0.0.1:0", ready=False)
    banterd.wait_ready(2)
    assert banterd.addresses[1:] == [address_of(passed[0])]
    for address in banterd.addresses:
        assert banterd.connect(address).ask("Zack") == b"Hello ZACK"


def test_sockets_that_block_and_have_a_small_backlog(bench, folder):
    """What was asked for in the socket unit stays, but for what the server can't work without."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(3)
    banterd = start_with_sockets(bench, [listener])
    banterd.connect().ask("Zack")
    assert not os.get_blocking(listener.fileno())
    assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    assert int.from_bytes(info[28:32], "little") == 3  # tcpi_sacked: of a socket that listens, the backlog
    listener.close()


@pytest.mark.parametrize("variables", [
    {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
    {"LISTEN_PID": "x", "LISTEN_FDS": "1"},
    {"LISTEN_FDS": "1"},
    {"LISTEN_PID": "1"},
])
def test_what_was_passed_to_another_process(server, variables):
    """A shell between the two, say: its variables are not for us, nor for the programs."""
    banterd = server("--", "sh", "-c", "while read -r line; do env | grep -c LISTEN_; done", env=variables)
    assert banterd.connect().ask("x") == b"0"


def test_programs_see_neither_variables_nor_sockets(bench, listeners):
    banterd = start_with_sockets(bench, listeners("s"), "-w", "1", "--", "sh", "-c",
                                 'while read -r line; do echo "$(env | grep -c LISTEN_)" '
                                 '"$(ls -l /proc/$$/fd | grep -c socket:)"; done', names="lines")
    assert banterd.connect().ask("x") == b"0 0"


# ---- the stop

def holds(banterd, listener):
    """Whether it has a descriptor of this socket."""
    wanted = os.fstat(listener.fileno()).st_ino
    found = []
    for fd in os.listdir(f"/proc/{banterd.pid}/fd"):
        try:
            found.append(os.stat(f"/proc/{banterd.pid}/fd/{fd}").st_ino)
        except FileNotFoundError:
            pass
    return wanted in found


def test_what_waits_at_the_stop_is_the_successors(bench, listeners):
    passed = listeners(None, "s")
    banterd = start_with_sockets(bench, passed, "-H", "test", ready=False)
    banterd.wait_ready(2)
    first = banterd.connect(banterd.addresses[0])
    first.send("later 300 a\n")
    banterd.session(first)
    banterd.send_signal(signal.SIGTERM)
    wait_until(lambda: not any(holds(banterd, each) for each in passed), "it listens no more")
    waiting = [bench.connect(address) for address in banterd.addresses]
    for client in waiting:
        client.send("Zack\n")
    assert_stopped(first, ["a"])
    assert banterd.wait() == 0
    assert os.path.exists(passed[1].getsockname())
    newcomers = [bench.connect(address) for address in banterd.addresses]
    successor = start_with_sockets(bench, passed, ready=False)
    successor.wait_ready(2)
    assert [client.reply() for client in waiting] == [b"Hello ZACK"] * 2
    assert [client.ask("Ann") for client in newcomers] == [b"Hello ANN"] * 2


# ---- what can't be served

def test_connections(bench):
    one, other = socket.socketpair()
    with one, other:
        fails_with(bench, [one], r'passed socket 3 \("connection"\) is a connection, and not a socket that listens: '
                   r'its socket unit needs Accept=no \(systemd-socket-activate: no --accept\)', names="connection")


def test_datagrams(bench):
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        fails_with(bench, [datagrams],
                   r'passed socket 3 is no stream socket: its socket unit needs ListenStream=')


def test_files(bench, folder):
    with open(folder / "file", "w") as file:
        fails_with(bench, [file], r'passed socket 3 \("a"\) is no stream socket: .*', names="a:b")


@pytest.mark.parametrize("name", ["tls", "tls-outside"])
def test_tls_without_a_certificate(bench, listeners, name):
    fails_with(bench, listeners("s", "t"), "a passed socket is for TLS by its name, which needs --cert FILE: .*",
               names="lines:" + name)


def test_none_for_clients(bench, listeners):
    fails_with(bench, listeners("s", "t"), "none of the sockets that were passed is for clients: name one neither "
               "control nor metrics, or use --listen", names="control:metrics")


@pytest.mark.parametrize("count", ["-1", "65", "x", ""])
def test_counts_that_are_none(bench, count):
    program = bench.start(["sh", "-c", f"LISTEN_PID=$$ LISTEN_FDS='{count}' exec {BANTERD}"], kind=Server, ready=False,
                          expect_status=1, expect_stderr="banterd: LISTEN_FDS: .* 0 to 64\n")
    assert program.wait() == 1


def test_descriptors_that_are_not_there(bench):
    program = bench.start(["sh", "-c", f"LISTEN_PID=$$ LISTEN_FDS=1 exec {BANTERD}"], kind=Server, ready=False,
                          expect_status=1, expect_stderr=r'banterd: passed socket 3: Bad file descriptor\n')
    assert program.wait() == 1


# ---- systemd-socket-activate

@pytest.fixture
def activate(bench, folder):
    """activate(paths, *options, command=...): systemd-socket-activate with Unix sockets."""
    if not shutil.which("systemd-socket-activate"):
        pytest.skip("there is no systemd-socket-activate")

    def start(paths, *options, command=(BANTERD,), **how):
        listen = [f"--listen={folder / path}" for path in paths]
        activator = bench.start(["systemd-socket-activate", *listen, *options, *command], kind=Server, ready=False,
                                **how)
        activator.stderr.wait_for("Listening on", len(paths))
        return activator
    return start


def test_systemd_socket_activate(activate, folder):
    """It starts the program, in its own process, when the first connection comes."""
    banterd = activate(["s", "t"], "--fdname=lines:local", expect_stderr=".*Listening on .*")
    first = LineClient.to(f"unix:{folder}/s")
    assert first.ask("Zack") == b"Hello ZACK"
    first.close()
    banterd.wait_ready(2)
    assert banterd.addresses == [f"unix:{folder}/s", f"unix:{folder}/t"]
    assert banterd.connect(banterd.addresses[1]).ask("Ann") == b"Hello ANN"
    assert banterd.stop() == 0
    assert sorted(path.name for path in folder.iterdir()) == ["s", "t"]


def test_systemd_socket_activate_with_connections(activate, folder):
    activator = activate(["s"], "--accept", expect_stderr=".*", expect_status=-15)
    client = LineClient.to(f"unix:{folder}/s")
    assert client.at_eof()
    client.close()
    activator.stderr.wait_for("^banterd: passed socket 3 is a connection, and not a socket that listens")
    activator.stop()
