"""--max-memory: what all clients together make the server hold; the memory of large messages. --max-message."""
import threading
from pathlib import Path

import pytest

import harness
from harness import BANTERD, Talkers, assert_stopped, is_error

MIB = 1 << 20
SHORT = r"^Memory is short, some clients wait until they are read: \d+ bytes of "


def part(size):
    """The beginning of a request that gets the reply x, and this long."""
    return b"size 1 ".ljust(size, b"y")


def long_requests(banterd, count, size, *, may_end=None):
    """Clients that each send a request in two halves, the second one when that event is set, and read the reply."""
    def talk(client):
        client.send(part(size // 2))
        assert not may_end or may_end.wait(harness.LIMIT)
        client.send(b"y" * (size - size // 2) + b"\n")
        assert client.readline() == b"x"

    return Talkers(talk, [banterd.connect() for _ in range(count)])


@pytest.mark.slow
def test_halves_of_requests(server):
    """One at a time is read to its end; and who asks little does not pay for it."""
    count, bound = harness.scaled(40, 20), 32 * MIB
    banterd = server("-H", "test", "-q", "--max-message", "4m", "--max-memory", "32m")
    quick = banterd.connect()
    held = threading.Event()
    talkers = long_requests(banterd, count, 4 * MIB - 1000, may_end=held)
    banterd.log.wait_for(SHORT + str(bound))
    held.set()
    assert [quick.ask(f"quick {i}") for i in range(100)] == [f"quick {i}".encode() for i in range(100)]
    talkers.join()
    if not harness.SLOW:
        assert banterd.memory("VmHWM") < bound + 64 * MIB  # all of them together: 160


@pytest.mark.slow
def test_halves_that_stay_halves(server):
    """They fill the memory, and are ended one after the other: the next request is answered in the end."""
    banterd = server("-H", "test", "-q", "--max-message", "1m", "--max-memory", "4m", "--request-timeout", "3s")
    halves = [banterd.connect() for _ in range(8)]
    for half in halves:
        half.send(part(MIB - 1000))
    banterd.log.wait_for(SHORT)
    client = banterd.connect()
    client.send(part(MIB - 1000) + b"\n")
    assert client.readline() == b"x"
    for half in halves:
        assert is_error(half.readline(), "incomplete")


@pytest.mark.slow
def test_replies_that_are_not_read(server):
    """When they hold all that clients may, nobody is read until one of them is."""
    size, count = 4 * MIB, 12
    banterd = server("-H", "test", "-q", "--max-memory", "16m", "--threads", "1")
    clients = [banterd.connect() for _ in range(count)]
    for client in clients:
        client.send(f"size {size}\n")
    banterd.log.wait_for(SHORT)
    quick = banterd.connect()
    quick.send("quick\n")
    for client in clients:
        assert client.readline() == b"x" * size
    assert quick.readline() == b"quick"


@pytest.mark.parametrize("holder", ["half", "reply"])
def test_a_client_that_leaves_gives_back_what_it_held(server, holder):
    banterd = server("-H", "test", "-q", "--max-message", "1m", "--max-memory", "2m", "--threads", "1")
    holders = [banterd.connect() for _ in range(4)]
    for client in holders:
        client.send(part(MIB - 1000) if holder == "half" else f"size {4 * MIB}\n")
    banterd.log.wait_for(SHORT)
    waiting = banterd.connect()
    waiting.send(part(MIB - 1000) + b"\n")
    for client in holders:
        client.close()
    assert waiting.readline() == b"x"


def test_the_stop_with_halves(server):
    """What has been received is answered; and the stop does not wait for what is not read."""
    banterd = server("-H", "test", "-q", "--max-message", "1m", "--max-memory", "2m")
    clients = [banterd.connect() for _ in range(6)]
    for client in clients:
        client.send(part(MIB - 1000))
    banterd.log.wait_for(SHORT)
    assert banterd.stop() == 0
    for client in clients:
        assert_stopped(client)


def test_pause(server):
    """A stopped server goes on where it was."""
    banterd = server("-H", "test", "-q", "--max-message", "1m", "--max-memory", "4m")
    talkers = long_requests(banterd, 10, MIB - 1000)
    for _ in range(3):
        banterd.suspend()
        banterd.resume()
    talkers.join()


# ---- the memory of large messages: kept for the next one, and given back ----


def page_faults(banterd):
    return int(Path(f"/proc/{banterd.pid}/stat").read_text().rsplit(")", 1)[1].split()[7])


def ask_large(clients, size, count):
    """Each client in turn, as often as that makes `count` requests; all have sent half of theirs before."""
    message = b"x" * size
    for _ in range(count // len(clients)):
        for client in clients:
            client.send(message[:size // 2])
        for client in clients:
            client.send(message[size // 2:] + b"\n")
            assert client.readline() == message


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("handler", [["-H", "echo"], ["--", "cat"]], ids=["echo", "cat"])
@pytest.mark.parametrize("size", [64 << 10, MIB])
def test_page_faults(server, handler, size):
    """In the steady state a large message needs no new page; without kept buffers one of a MiB needs hundreds."""
    count = 200
    banterd = server("-q", "-m", "2m", "-t", "1", *handler)
    clients = [banterd.connect() for _ in range(4)]
    ask_large(clients, size, 40)
    before = page_faults(banterd)
    ask_large(clients, size, count)
    assert page_faults(banterd) - before < 50 * count  # a kept buffer that waits for a second goes, and is made anew


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("handler", [["-H", "echo"], ["--", "cat"]], ids=["echo", "cat"])
def test_a_flood_leaves_nothing_behind(server, handler):
    banterd = server("-q", "-m", "2m", *handler)
    clients = [banterd.connect() for _ in range(16)]
    for client in clients:
        assert client.ask("x" * 5000) == b"x" * 5000
    before = banterd.memory()
    Talkers(lambda client: ask_large([client], MIB, 10), clients).join()
    harness.wait_until(lambda: banterd.memory() < before + 3 * MIB, "the memory of large messages is given back")
    assert [client.ask("quick") for client in clients] == [b"quick"] * len(clients)


@pytest.mark.no_sanitizer
def test_short_memory_keeps_nothing(server):
    """What was kept for large messages is no part of what clients may hold."""
    bound = 64 * MIB
    banterd = server("-H", "test", "-q", "-m", "4m", "--max-memory", str(bound), "-t", "1")
    quick = banterd.connect()
    assert quick.ask("quick") == b"quick"
    before = banterd.memory()
    long_requests(banterd, 8, 4 * MIB - 1000).join()
    halves = [banterd.connect() for _ in range(30)]
    for half in halves:
        half.send(part(3 * MIB))
    banterd.log.wait_for(SHORT)
    assert quick.ask("quick") == b"quick"
    assert banterd.memory() - before < bound + bound // 4


@pytest.mark.parametrize("options, error", [
    (["--max-memory", "1m", "--max-message", "1m"],
     b"--max-memory 1048576 has no room for 2 requests of --max-message 1048576: raise the one or lower the other; "
     b"see banterd --help"),
    (["--max-memory", "100k"],
     b"--max-memory: \"100k\" is not a size from 1048576 to 1125899906842624 bytes, such as 5120, 64k or 1m; "
     b"see banterd --help"),
    (["--max-memory", "0"],
     b"--max-memory: \"0\" is not a size from 1048576 to 1125899906842624 bytes, such as 5120, 64k or 1m; "
     b"see banterd --help"),
])
def test_usage(bench, options, error):
    assert bench.run([BANTERD, *options]) == (64, b"", b"banterd: " + error + b"\n")
