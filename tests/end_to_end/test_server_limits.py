"""--max-clients, bounded memory for clients that do not read (back-pressure), and too few
descriptors."""
import resource
import select
import time

import pytest

import harness
from harness import is_error, wait_until

FEW_CLIENTS = ("--max-clients", "2")


@pytest.mark.parametrize("codec", ["line", "block", "netstring", "raw"])
def test_one_client_too_many(server, codec):
    banterd = server(*FEW_CLIENTS, "--framing", codec)
    first, second = banterd.connect(), banterd.connect()
    assert first.ask("a") == b"Hello A"
    assert second.ask("b") == b"Hello B"
    third = banterd.connect()
    third.send_message("c")
    assert is_error(third.reply(), "busy")
    assert third.at_eof()
    assert first.ask("a again") == b"Hello A AGAIN"
    for client in (first, second, third):
        client.close()
    assert banterd.stop() == 0
    assert not any(line.startswith("[3]") for line in banterd.log.lines)
    assert banterd.log.lines[-1] == "Server stopped after 2 clients, 3 requests"


def test_the_next_one_after_somebody_has_left(server):
    banterd = server(*FEW_CLIENTS)
    first, second = banterd.connect(), banterd.connect()
    assert (banterd.session(first), banterd.session(second)) == (1, 2)
    for _ in range(20):
        third = banterd.connect()
        assert is_error(third.readline(), "busy")
        assert third.at_eof()
        third.close()
    first.quit()
    first.close()

    def served():
        client = banterd.connect()
        return client if client.ask("Zack") == b"Hello ZACK" else client.close()

    client = wait_until(served, "the place is free again")
    assert banterd.session(client) == 3
    assert second.ask("b") == b"Hello B"
    for client in (second, client):
        client.close()
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == "Server stopped after 3 clients, 2 requests"


def test_clients_that_vanish_give_their_place_back(server):
    banterd = server("-q", "--max-clients", "1")
    for number in range(20):
        def served():
            client = banterd.connect()
            try:
                client.send("x\nhalf")
                return client if client.readline() == b"Hello X" else client.close()
            except ConnectionError:
                return client.close()
        wait_until(served, "the place is free again").reset()


def push(client, data):
    """Sends until the server has taken nothing for half a second; returns how much it took."""
    client.socket.setblocking(False)
    view = memoryview(data)
    sent = 0
    while sent < len(data) and harness.is_ready(client.socket, select.POLLOUT, 0.5):
        sent += client.socket.send(view[sent:sent + 65536])
    client.socket.settimeout(harness.LIMIT)
    return sent


def test_memory_is_bounded_for_a_client_that_does_not_read(server):
    banterd = server("-H", "echo", "-qq")
    messages = [b"%07d" % number + b"x" * 1000 for number in range(16000)]
    client = banterd.connect(receive_buffer=4096)
    data = b"".join(message + b"\n" for message in messages)
    before = banterd.memory("VmHWM")
    sent = push(client, data)
    assert sent < len(data), "the server reads on though nobody reads its replies"
    client.send_in_background(data[sent:], client.half_close)
    assert client.replies() == messages
    assert banterd.memory("VmHWM") - before < harness.scaled(4, 64) << 20


def test_memory_is_bounded_for_replies_much_larger_than_requests(server):
    banterd = server("-H", "test", "-qq")
    count = harness.scaled(8000, 2000)
    client = banterd.connect(receive_buffer=4096)
    before = banterd.memory("VmHWM")
    push(client, b"size 5000\n" * count)
    client.half_close()
    assert client.replies() == [b"x" * 5000] * count
    assert banterd.memory("VmHWM") - before < harness.scaled(4, 64) << 20


def test_memory_is_bounded_for_many_late_answers(server):
    """A session has at most 64 requests under way."""
    banterd = server("-H", "test", "-qq", "--handler-timeout", "0", "--drain-timeout", "100ms")
    client = banterd.connect()
    before = banterd.memory("VmHWM")
    assert push(client, b"hold\n" * 2000000) < 10000000
    assert banterd.memory("VmHWM") - before < harness.scaled(4, 64) << 20
    client.close()


def test_a_client_that_does_not_read_does_not_hold_up_others(server):
    banterd = server("-H", "echo", "-qq", "-t", "1")
    mute = [banterd.connect(receive_buffer=4096) for _ in range(5)]
    for client in mute:
        client.send_in_background(b"x" * 5000 + b"\n" + (b"y" * 5000 + b"\n") * 3000)
        assert client.readable(harness.LIMIT)
    other = banterd.connect()
    for number in range(100):
        assert other.ask(str(number)) == str(number).encode()


def soft_limit(server):
    return resource.prlimit(server.pid, resource.RLIMIT_NOFILE)[0]


def test_the_limit_of_descriptors_is_raised(server):
    banterd = server("--max-clients", "300", nofile=(64, 400))
    assert 300 < soft_limit(banterd) <= 400
    clients = [banterd.connect() for _ in range(300)]
    for client in clients:
        client.send_message("x")
    assert [client.readline() for client in clients] == [b"Hello X"] * 300
    assert is_error(banterd.connect().readline(), "busy")


def test_max_clients_that_cannot_fit_refuses_the_start(bench):
    banterd = bench.server("--max-clients", "300", nofile=(200, 200), ready=False,
                           expect_status=1, expect_stderr=r"banterd: [^\n]*300[^\n]*\n")
    assert banterd.wait() == 1
    assert "Socket now listening" not in banterd.log.text


def test_the_default_of_max_clients_is_lowered_to_what_fits(server):
    banterd = server(nofile=(200, 200), expect_stderr=r".*")
    clients = [banterd.connect() for _ in range(200)]
    for client in clients:
        client.send_message("x")
    replies = [client.readline() for client in clients]
    served = replies.count(b"Hello X")
    assert 100 < served < 200
    assert all(is_error(reply, "busy") for reply in replies if reply != b"Hello X")
    banterd.close_clients()
    assert banterd.stop() == 0
    assert str(served) in banterd.log.text.split("[1]")[0] + banterd.stderr.text


@pytest.mark.parametrize("threads", [1, 4])
def test_those_that_have_quit_and_stay_take_no_descriptors_from_newcomers(server, threads):
    banterd = server("-q", "-t", str(threads), nofile=(300, 300), expect_stderr=r".*")
    there = banterd.connect()
    assert there.ask("there") == b"Hello THERE"
    for _ in range(20):
        stayed = [banterd.connect() for _ in range(100)]
        for client in stayed:
            client.send_message("--QUIT--")
        assert banterd.connect().ask("new") == b"Hello NEW"
    assert there.ask("there") == b"Hello THERE"
    assert banterd.log.find("Accept failed") == []


def test_out_of_descriptors(server):
    """The limit falls while the server runs: who is there is served, who comes waits, it is told once a
    second, and when somebody leaves those who wait are served."""
    banterd = server("-H", "test")
    there = [banterd.connect() for _ in range(10)]
    for client in there:
        assert client.ask("there") == b"there"
    hard = resource.prlimit(banterd.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(banterd.pid, resource.RLIMIT_NOFILE, (banterd.descriptors() + 2, hard))
    began = time.monotonic()
    waiting = [banterd.connect() for _ in range(20)]
    for client in waiting:
        client.send_message("waiting")
    told = r"(?i)descriptor|too many open files"
    banterd.log.wait_for(told)
    assert there[0].ask("later 1000 fence") == b"fence"
    for client in there:
        assert client.ask("served") == b"served"
    for client in there:
        client.close()
    wait_until(lambda: sum(client.readable() for client in waiting) >= 10, "those who wait are served")
    resource.prlimit(banterd.pid, resource.RLIMIT_NOFILE, (hard, hard))
    for client in waiting:
        assert client.readline() == b"waiting"
    assert len(banterd.log.find(told)) <= time.monotonic() - began + 2
