"""The stop, --drain-timeout and --run-for: what was received is answered, nothing is cut,
everything ends."""
import os
import pty
import signal
import socket
import struct
import subprocess
import threading
import tty
from pathlib import Path

import pytest

import harness
import shared_object
from harness import Talkers, assert_replies, assert_stopped, is_error, wait_until
from namespaces import child_of, in_a_pid_namespace

EACH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


def received(banterd, message, count=1):
    """Waits until the log says that this request has come."""
    banterd.log.wait_for(r"Processing the input received from client: " + message + "$", count)


def no_longer_listens(banterd):
    def refused():
        try:
            harness.LineClient.to(banterd.address).close()
        except (ConnectionError, FileNotFoundError):
            return True
        return False
    wait_until(refused, "connects are refused")


def acknowledged(client):
    """How many of its bytes have been received by the other side's kernel; on a busy machine that may take a moment,
    also without a network between them."""
    bytes_acked = 120  # in struct tcp_info; the SYN counts as one
    info = client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, bytes_acked + 8)
    return struct.unpack_from("Q", info, bytes_acked)[0] - 1


@EACH
def test_requests_under_way_are_answered(server, number):
    banterd = server("-H", "test", "-t", "2", "--drain-timeout", "1m")
    late, stalled, both = (banterd.connect() for _ in range(3))
    late.send_message(*(f"later {300 + 20 * i} late {i}" for i in range(10)))
    late.send("half a req")
    stalled.send_message("sleep 400 stalled", "and", "what", "is", "behind")
    both.send_message("later 500 x", "compute 300 y", "z", "--QUIT--", "not this")
    received(banterd, "later 480 late 9")
    received(banterd, "sleep 400 stalled")
    received(banterd, "later 500 x")
    banterd.send_signal(number)
    assert_stopped(late, [f"late {i}" for i in range(10)])
    assert_stopped(stalled, ["stalled", "and", "what", "is", "behind"])
    assert both.replies() == [b"x", b"y", b"z"]
    banterd.close_clients()
    assert banterd.wait() == 0
    assert len(banterd.log.find(r"^\[\d\] Connection .* closed$")) == 3
    assert banterd.log.lines[-1] == "Server stopped after 3 clients, 18 requests"


@EACH
def test_sessions_without_requests_are_closed(server, number):
    banterd = server()
    clients = [banterd.connect() for _ in range(10)]
    clients[0].send("half")
    banterd.log.wait_for(r"^\[10\] Connected")
    banterd.send_signal(number)
    for client in clients:
        assert_stopped(client)
    banterd.close_clients()
    assert banterd.wait() == 0
    assert len(banterd.log.find(r"^\[\d+\] Connection .* closed$")) == 10
    assert banterd.log.lines[-1] == "Server stopped after 10 clients, 0 requests"


def test_what_is_in_the_receive_buffer_is_answered(server):
    """More than one read's worth, behind a handler that is still busy."""
    banterd = server("-H", "test")
    client = banterd.connect()
    messages = [f"message {number}" for number in range(5000)]
    client.send_message("sleep 300 first", *messages, "later 50 last")
    client.send("half")
    received(banterd, "sleep 300 first")
    banterd.send_signal(signal.SIGTERM)
    assert_stopped(client, ["first", *messages, "last"])
    client.close()
    assert banterd.wait() == 0


def test_whoever_has_connected_is_answered(server):
    """The accept queue is emptied before the listener is closed: while the server is suspended more clients
    come than are accepted at once."""
    banterd = server("-qq")
    longest_queue = int(Path("/proc/sys/net/core/somaxconn").read_text())
    count = min(harness.scaled(1000, 600), longest_queue) - 1
    banterd.suspend()
    clients = []
    for number in range(count):
        client = banterd.connect()
        client.send_message(f"client {number}")
        clients.append(client)
    silent = banterd.connect()
    banterd.send_signal(signal.SIGTERM)
    banterd.resume()
    for number, client in enumerate(clients):
        assert_stopped(client, [f"Hello CLIENT {number}"])
        client.close()
    assert_stopped(silent)
    silent.close()
    assert banterd.wait() == 0
    assert banterd.log.lines[-1] == f"Server stopped after {count + 1} clients, {count} requests"


def test_a_session_that_has_ended_by_itself_is_not_told(server):
    """Nor is one that is refused: each unasked frame comes once, and nothing behind it."""
    banterd = server("-H", "test", "--max-clients", "3", "--max-requests", "2")
    quits, counts, stays = (banterd.connect() for _ in range(3))
    quits.send_message("later 300 a", "--QUIT--", "b")
    counts.send_message("later 300 a", "b", "c")
    stays.send_message("later 300 a")
    received(banterd, "later 300 a", 3)
    received(banterd, "b")
    busy = banterd.connect()
    banterd.log.wait_for("Too many clients")
    banterd.send_signal(signal.SIGTERM)
    assert quits.replies() == [b"a"]
    assert counts.replies() == [b"a", b"b"]
    assert_stopped(stays, ["a"])
    assert_replies(busy.replies(), ["-ERR busy"])
    banterd.close_clients()
    assert banterd.wait() == 0


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_successor_starts_while_it_drains(server, folder, kind):
    """On the same port or path, which stays when the first one has gone."""
    listen = f"unix:{folder}/socket" if kind == "unix" else "127.0.0.1:0"
    first = server("-H", "test", listen=listen)
    client = first.connect(first.address)
    client.send_message("hold", "now", "half")
    received(first, "half")
    first.send_signal(signal.SIGTERM)
    no_longer_listens(first)
    second = server(listen=first.address)
    other = second.connect(second.address)
    assert other.ask("b") == b"Hello B"
    assert first.running
    last = second.connect(second.address)
    client.close()
    assert first.wait() == 0
    assert last.ask("c") == b"Hello C"
    third = second.connect(second.address)
    assert third.ask("d") == b"Hello D"


def test_a_restart_loses_no_client(server, folder):
    """Whoever has connected, at whatever moment, is served or told; others are refused."""
    path = f"{folder}/socket"
    over = threading.Event()
    told = []

    def come_and_go(_):
        while not over.is_set():
            try:
                client = harness.LineClient.to(f"unix:{path}")
            except (ConnectionRefusedError, FileNotFoundError):
                continue
            try:
                client.send_message("x")
            except ConnectionError:
                pass  # it was told before
            reply = client.readline()
            assert reply == b"Hello X" or is_error(reply, "stopping"), reply
            told.append(reply)
            client.close()

    banterd = server("-qq", listen=f"unix:{path}")
    talkers = Talkers(come_and_go, range(4))
    for _ in range(harness.scaled(10, 3)):
        seen = len(told)
        wait_until(lambda seen=seen: len(told) > seen + 20, "clients come and go")
        banterd.send_signal(signal.SIGTERM)
        no_longer_listens(banterd)
        successor = server("-qq", listen=f"unix:{path}")
        assert banterd.wait() == 0
        banterd = successor
    over.set()
    talkers.join()


def test_a_client_that_goes_on_asking_does_not_hold_up_the_stop(server):
    banterd = server("-qq")
    client = banterd.connect()
    over = threading.Event()

    def ask(client):
        try:
            while not over.is_set():
                client.send("again\n" * 100)
        except OSError:
            pass  # the server has had enough

    sender = Talkers(ask, [client])
    client.lines(1000)
    banterd.send_signal(signal.SIGTERM)
    try:
        replies = client.replies()
    except ConnectionResetError:
        replies = []  # it goes on sending after the second that the server gives it
    assert not replies or is_error(replies.pop(), "stopping")
    assert set(replies) <= {b"Hello AGAIN"}
    assert banterd.wait() == 0
    over.set()
    sender.join()


@pytest.mark.slow
def test_stops_under_load_lose_nothing(server):
    """What was sent before the signal is answered, and no line is cut. Several servers at a time: a stop takes
    the second that the server gives to clients that go on sending."""
    def stop(banterd):
        clients = [banterd.connect() for _ in range(4)]
        sent = [1] * len(clients)
        got = [0] * len(clients)

        def talk(index, client):
            client.send("0\n")
            try:
                while not is_error(line := client.readline(), "stopping"):
                    assert line == b"Hello %d" % got[index]
                    got[index] += 1
                    if sent[index] - got[index] < 100:
                        client.send(b"".join(b"%d\n" % (sent[index] + i) for i in range(50)))
                        sent[index] += 50
            except ConnectionError:
                pass

        talkers = Talkers(talk, range(len(clients)), clients)
        wait_until(lambda: min(got) > 1000, "the clients talk")
        before = list(sent)
        for client, count in zip(clients, before):
            size = sum(len(b"%d\n" % number) for number in range(count))
            wait_until(lambda client=client, size=size: acknowledged(client) >= size, "what was sent was received")
        banterd.send_signal(signal.SIGTERM)
        talkers.join()
        assert banterd.wait() == 0
        assert all(have >= wanted for have, wanted in zip(got, before)), (got, before)

    Talkers(stop, [server("-qq", "-t", "2") for _ in range(harness.scaled(6, 2))]).join(2 * harness.LIMIT)


@EACH
def test_what_cannot_be_answered_in_time_is_told(server, number):
    banterd = server("-H", "test", "--drain-timeout", "300ms")
    client = banterd.connect()
    client.send_message("a", "hold", "b", "later 0 c", "hold", "d", "hold")
    received(banterd, "hold", 3)
    assert client.readline() == b"a"
    banterd.send_signal(number)
    assert_stopped(client, ["-ERR handler-timeout", "b", "c", "-ERR handler-timeout", "d", "-ERR handler-timeout"])
    client.close()
    assert banterd.wait() == 0


def test_what_waits_behind_what_cannot_be_answered(server):
    """More requests than may be under way: the others were not begun."""
    banterd = server("-H", "test", "--drain-timeout", "300ms")
    client = banterd.connect()
    client.send_message(*["hold"] * 200)
    received(banterd, "hold", 64)
    banterd.send_signal(signal.SIGTERM)
    assert_stopped(client, ["-ERR handler-timeout"] * 64)
    client.close()
    assert banterd.wait() == 0


@pytest.mark.parametrize("message", ["sleep 60000 x", "compute 60000 x"])
def test_a_handler_that_does_not_come_back_is_left_behind(server, message):
    banterd = server("-H", "test", "--drain-timeout", "300ms", expect_status=2, expect_stderr=r".*")
    stuck, other = banterd.connect(), banterd.connect()
    stuck.send_message("a", message, "b")
    assert stuck.readline() == b"a"
    assert other.ask("other") == b"other"
    received(banterd, message)
    banterd.send_signal(signal.SIGTERM)
    assert_stopped(stuck, ["-ERR handler-timeout"])
    assert_stopped(other)
    banterd.close_clients()
    assert banterd.wait() == 2
    assert "left behind" in banterd.log.text + banterd.stderr.text


@EACH
def test_a_second_signal_ends_it_at_once(server, number):
    banterd = server("-H", "test", "--drain-timeout", "1h", expect_status=-number)
    client = banterd.connect()
    client.send_message("hold")
    received(banterd, "hold")
    banterd.send_signal(number)
    no_longer_listens(banterd)
    assert banterd.running
    assert banterd.stop(number) == -number


@pytest.mark.parametrize("number, name", [(signal.SIGHUP, "HUP"), (signal.SIGINT, "INT"), (signal.SIGTERM, "TERM"),
                                          (signal.SIGUSR1, "USR1")])
def test_a_signal_that_was_ignored_at_the_start_stays_ignored(bench, folder, number, name):
    """As by nohup, or by a shell that starts something in the background."""
    other = signal.SIGINT if number == signal.SIGTERM else signal.SIGTERM
    banterd = bench.start(["sh", "-c", f'trap "" {name}; exec "$0" "$@"', harness.BANTERD, "--listen", "127.0.0.1:0"],
                          kind=harness.Server)
    client = banterd.connect()
    assert client.ask("a") == b"Hello A"
    banterd.send_signal(number)
    assert client.ask("b") == b"Hello B"
    banterd.send_signal(number)  # no second signal either
    assert client.ask("c") == b"Hello C"
    banterd.connect().ask("d")
    banterd.send_signal(other)
    assert_stopped(client)
    banterd.close_clients()
    assert banterd.wait() == 0


HANGS = """
#include <banter/handler.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static void say(const char *word)
{
    (void) !write(2, word, strlen(word));
}
static int open_it(const char *argument, void **state, char *error, size_t size)
{
    (void) error, (void) size;
    *state = (void *) argument;
    if (strcmp(argument, "open") == 0) {
        say("opening\\n");
        pause();
    }
    return 0;
}
static void close_it(void *state)
{
    int go = open("go", O_RDONLY);
    char byte;
    say("closing\\n");
    if (strcmp(state, "stand-still") == 0 && fork() == 0) {
        usleep(100000);
        kill(getppid(), SIGSTOP);
        _exit(0);
    }
    while (strcmp(state, "close") == 0)
        pause();
    (void) !read(go, &byte, 1);
}
static void handle(void *state, const char *message, size_t size, struct banter_reply *reply)
{
    (void) state;
    banter_reply_append(reply, message, size);
}
const struct banter_handler banter_handler = {
    .abi = BANTER_HANDLER_ABI, .name = "hangs", .open = open_it, .handle = handle, .close = close_it,
};
"""


@pytest.fixture
def hanging(server, folder):
    """hanging("open" or "close", ...) starts a server with a plugin that hangs in that function. With "close-until-go" it
    goes on when there is something to read in the file "go"; with "stand-still" none hangs, but soon after the close the
    process is suspended."""
    plugin = shared_object.build(folder, "hangs", HANGS)

    def start(what, *options, **how):
        return server("-H", f"plugin:{plugin}:{what}", *options, ready=what != "open", expect_stderr=".*", **how)
    return start


@EACH
def test_a_second_signal_ends_a_start_that_hangs(hanging, number):
    banterd = hanging("open", "--drain-timeout", "1h", expect_status=-number)
    banterd.stderr.wait_line("opening")
    banterd.send_signal(number)
    wait_until(lambda: banterd.pending() == 0, "the first signal was read")
    assert banterd.running
    assert banterd.stop(number) == -number


def test_a_start_that_hangs_is_left_behind(hanging):
    banterd = hanging("open", "--drain-timeout", "10ms", expect_status=2)
    banterd.stderr.wait_line("opening")
    assert banterd.stop() == 2
    assert "left behind" in banterd.stderr.text
    assert "now listening" not in banterd.log.text


@pytest.mark.slow
def test_the_time_of_a_close_stands_still(server, hanging, folder):
    """As long as the process does."""
    clock = server("-H", "test", "-q")
    os.mkfifo(folder / "go")
    go = os.open(folder / "go", os.O_RDWR)
    banterd = hanging("close-until-go", "--drain-timeout", "0")
    banterd.send_signal(signal.SIGTERM)
    banterd.stderr.wait_line("closing")
    banterd.suspend()
    clock.fence(5000)
    os.write(go, b"x")
    banterd.resume()
    assert banterd.wait() == 0
    os.close(go)


@pytest.mark.slow
def test_the_time_for_the_last_of_the_log_stands_still(server, bench, hanging, folder):
    """Its reader takes all that there is meanwhile."""
    clock = server("-H", "test", "-q")
    read_end, write_end = os.pipe()
    banterd = hanging("stand-still", listen=f"unix:{folder}/socket", stdout=write_end)
    os.close(write_end)
    wait_until(lambda: harness.is_listening(folder / "socket"), "it listens")
    client = bench.connect(f"unix:{folder}/socket")
    for _ in range(20):  # more than a pipe takes, and less than is dropped
        client.send_message(*["x" * 4000] * 2)
        assert client.lines(2) == [b"x" * 4000] * 2
    client.close()
    banterd.send_signal(signal.SIGTERM)
    banterd.wait_suspended()
    log = harness.Output(os.fdopen(read_end, "rb"))
    clock.fence(7000)
    banterd.resume()
    assert log.wait_end().splitlines()[-1] == "Server stopped after 1 clients, 40 requests"
    assert banterd.wait() == 0


def test_a_close_that_hangs_is_left_behind(hanging):
    banterd = hanging("close", "--drain-timeout", "10ms", expect_status=2)
    assert banterd.connect().ask("x") == b"x"
    assert banterd.stop() == 2
    assert "left behind" in banterd.stderr.text
    assert banterd.log.lines[-1] == "Server stopped after 1 clients, 1 requests"


def test_a_second_signal_ends_a_close_that_hangs(hanging):
    banterd = hanging("close", "--drain-timeout", "1h", expect_status=-signal.SIGTERM)
    banterd.send_signal(signal.SIGTERM)
    banterd.stderr.wait_line("closing")
    assert banterd.stop() == -signal.SIGTERM


def read_to(descriptor, pattern):
    data = b""
    while pattern not in data:
        data += os.read(descriptor, 4096)


def test_a_terminal_that_nobody_reads_does_not_hold_up_the_stop(server, folder):
    reading, writing = pty.openpty()
    tty.setraw(writing)
    banterd = server(listen=f"unix:{folder}/socket", stdout=writing)
    try:
        os.close(writing)
        read_to(reading, b"now listening")
        client = banterd.connect(f"unix:{folder}/socket")
        client.send_in_background((b"x" * 1000 + b"\n") * 200)
        assert len(client.lines(200)) == 200
        client.close()
        assert banterd.stop() == 0
    finally:
        os.close(reading)


@pytest.mark.parametrize("size", [1, 8])
def test_a_dead_reader_of_much_log_costs_a_stop_seconds(server, folder, size):
    """However many bytes wait for it."""
    reading, writing = os.pipe()
    banterd = server("-t", size, listen=f"unix:{folder}/socket", stdout=writing)
    os.close(writing)
    try:
        read_to(reading, b"now listening")
        for client in [banterd.connect(f"unix:{folder}/socket") for _ in range(size)]:
            client.send_in_background((b"\x01" * 5000 + b"\n") * 250)
            assert len(client.lines(250)) == 250
            client.close()
        assert banterd.stop() == 0
    finally:
        os.close(reading)


def test_a_reader_that_takes_a_little_at_a_time_does_not_hold_up_the_stop(server, folder):
    reading, writing = os.pipe()
    banterd = server(listen=f"unix:{folder}/socket", stdout=writing)
    os.close(writing)
    try:
        read_to(reading, b"now listening")
        client = banterd.connect(f"unix:{folder}/socket")
        client.send_in_background((b"\x01" * 5000 + b"\n") * 500)
        assert len(client.lines(500)) == 500
        client.close()
        banterd.send_signal(signal.SIGTERM)
        reads = 0
        while banterd.running:
            try:
                banterd.process.wait(0.5)
            except subprocess.TimeoutExpired:
                os.read(reading, 4096)
                reads += 1
        assert banterd.wait() == 0
        assert reads < 100
    finally:
        os.close(reading)


@EACH
def test_a_second_signal_ends_process_1(bench, number):
    command = [harness.BANTERD_TEST, "-H", "test", "--listen", "127.0.0.1:0", "--drain-timeout", "1h"]
    banterd = bench.start(in_a_pid_namespace(command), kind=harness.Server, expect_status=128 + number,
                          expect_stderr=r".*")
    inside = child_of(banterd.pid)
    client = banterd.connect()
    client.send_message("hold")
    received(banterd, "hold")
    os.kill(inside, number)
    no_longer_listens(banterd)
    os.kill(inside, number)
    assert banterd.wait() == 128 + number


def test_the_stop_waits_for_handlers(server):
    banterd = server("-H", "test", "--drain-timeout", "1h")
    client = banterd.connect()
    client.send_message("later 700 at last")
    received(banterd, "later 700 at last")
    banterd.send_signal(signal.SIGTERM)
    assert_stopped(client, ["at last"])


def test_nobody_gets_in_while_it_stops(server):
    banterd = server("-H", "test")
    client = banterd.connect()
    client.send_message("later 1000 x")
    received(banterd, "later 1000 x")
    banterd.send_signal(signal.SIGTERM)
    no_longer_listens(banterd)
    assert_stopped(client, ["x"])


def test_output_that_waits_for_a_slow_reader_is_delivered(server):
    banterd = server("-H", "test", "-q")
    client = banterd.connect(receive_buffer=4096)
    client.send_message(*["size 2000000"] * 6)
    assert client.readable(harness.LIMIT)
    banterd.send_signal(signal.SIGTERM)
    no_longer_listens(banterd)
    *replies, last = client.replies()
    assert [len(reply) for reply in replies] == [2000000] * 6
    assert is_error(last, "stopping")
    client.close()
    assert banterd.wait() == 0


def test_a_client_that_never_reads_does_not_hold_up_the_stop(server):
    banterd = server("-H", "test", "-q", "--drain-timeout", "300ms")
    client = banterd.connect(receive_buffer=4096)
    client.send_message(*["size 4000000"] * 6)
    assert client.readable(harness.LIMIT)
    assert banterd.stop() == 0


@pytest.mark.slow
def test_run_for_answers_what_is_under_way(server):
    banterd = server("-H", "test", "--run-for", "3s")
    client = banterd.connect()
    client.send_message("later 4000 late", "sleep 4000 stalled", "end")
    client.send("half")
    assert_stopped(client, ["late", "stalled", "end"])
    client.close()
    assert banterd.wait() == 0


def test_stop_with_many_stalled_handlers(server):
    banterd = server("-H", "test", "-t", "1")
    count = harness.scaled(20, 8)
    clients = [banterd.connect() for _ in range(count)]
    for number, client in enumerate(clients):
        client.send_message(f"sleep 1000 {number}", f"behind {number}")
    received(banterd, r"sleep 1000 \d+", count)
    banterd.send_signal(signal.SIGTERM)
    for number, client in enumerate(clients):
        assert_stopped(client, [f"{number}", f"behind {number}"])
    banterd.close_clients()
    assert banterd.wait() == 0


def test_many_idle_sessions_are_closed(server):
    banterd = server("-qq")
    count = harness.scaled(1000, 200)
    clients = [banterd.connect() for _ in range(count)]
    assert clients[-1].ask("x") == b"Hello X"
    banterd.send_signal(signal.SIGTERM)
    for client in clients:
        assert_stopped(client)
    banterd.close_clients()
    assert banterd.wait() == 0
    assert banterd.log.lines[-1] == f"Server stopped after {count} clients, 1 requests"
