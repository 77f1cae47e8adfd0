"""Many requests, many clients, many ends: no reply is missing, nothing is left behind."""
import random

import pytest

import harness
from harness import Talkers, wait_until

MANY = harness.scaled(100000, 10000)


@pytest.mark.parametrize("codec", ["line", "netstring"])
@pytest.mark.parametrize("handler", ["hello", "echo", "test"])
def test_a_burst_is_answered_in_order(server, handler, codec):
    banterd = server("-H", handler, "-qq", "--framing", codec)
    client = banterd.connect()
    data = b"".join(client.frame(b"%d" % number) for number in range(MANY))
    client.send_in_background(data, client.half_close)
    head = b"Hello " if handler == "hello" else b""
    if codec == "line":
        assert client.read_to_eof() == b"".join(b"%s%d\n" % (head, number) for number in range(MANY))
    else:
        expected = b"".join(client.frame(b"%s%d" % (head, number)) for number in range(MANY))
        assert client.read_to_eof() == expected


@pytest.mark.parametrize("threads", [1, 2])
def test_a_burst_with_late_answers_is_answered_in_order(server, threads):
    banterd = server("-H", "test", "-qq", "-t", str(threads))
    choose = random.Random(threads)
    messages, expected = [], []
    for number in range(MANY // 5):
        late = choose.random() < 0.1
        messages.append(f"later {choose.randrange(3)} {number}" if late else str(number))
        expected.append(str(number))
    for place in range(0, len(messages), 2000):
        messages[place] = f"{choose.choice(['sleep', 'compute'])} 20 {place}"
    client = banterd.connect()
    client.send_in_background("\n".join(messages) + "\n", client.half_close)
    assert client.read_to_eof().decode() == "\n".join(expected) + "\n"


def test_all_late_answers_at_once(server):
    """A session has up to 64 under way; those that are ready first wait for those before them."""
    banterd = server("-H", "test", "-q")
    client = banterd.connect()
    client.send_message(*(f"later {(200 - number) % 64} {number}" for number in range(200)))
    client.half_close()
    assert client.replies() == [b"%d" % number for number in range(200)]


def test_many_clients_at_once(server):
    banterd = server("-qq", "-t", "2")
    count, rounds = harness.scaled(300, 50), harness.scaled(30, 5)
    clients = [banterd.connect() for _ in range(count)]
    for turn in range(rounds):
        for number, client in enumerate(clients):
            client.send_message(f"{number}.{turn}")
        for number, client in enumerate(clients):
            assert client.readline() == b"Hello %d.%d" % (number, turn)
    banterd.close_clients()
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == f"Server stopped after {count} clients, {count * rounds} requests"


def test_no_connection_of_many_is_short(server):
    """N requests, then the client ends its half: exactly N replies, then the end."""
    banterd = server("-qq", "-t", "2")

    def come_and_go(_):
        for number in range(harness.scaled(400, 50)):
            client = harness.LineClient.to(banterd.address)
            client.send("x\n" * (number % 20))
            client.half_close()
            assert client.replies() == [b"Hello X"] * (number % 20)
            client.close()

    Talkers(come_and_go, range(4)).join()


def test_resets_at_random_points_leave_nothing(server):
    banterd = server("-H", "test", "-q", "-t", "2")
    choose = random.Random(1)
    first = banterd.connect()
    assert first.ask("x") == b"x"
    baseline = banterd.descriptors()
    data = b"x\nsleep 5\nlater 20 a\nsize 100000\ncompute 3\n" + b"y" * 6000 + b"\nlater 1\nhalf"
    for _ in range(harness.scaled(200, 60)):
        client = banterd.connect()
        client.send(data[:choose.randrange(len(data))])
        if choose.random() < 0.3:
            client.readable(0.002)
        client.reset()
    wait_until(lambda: banterd.descriptors() <= baseline, "every descriptor is given back")
    assert first.ask("still here") == b"still here"


def test_connections_that_come_and_go_leave_nothing(server):
    banterd = server("-qq")
    first = banterd.connect()
    assert first.ask("x") == b"Hello X"
    baseline = banterd.descriptors()
    memory = 0
    for turn in range(2):
        for _ in range(harness.scaled(1500, 200)):
            client = banterd.connect()
            client.send_message("x")
            assert client.readline() == b"Hello X"
            client.close()
        wait_until(lambda: banterd.descriptors() <= baseline, "every descriptor is given back")
        if turn == 0:
            memory = banterd.memory()
    assert banterd.memory() - memory < harness.scaled(1, 16) << 20
    assert first.ask("y") == b"Hello Y"
