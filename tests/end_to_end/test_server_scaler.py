"""--threads: sessions move from loop to loop as the number of loops in use changes, and nobody
notices.

The server changes that number by how fast it is, which is the benchmark's concern; here the test's
handler changes it.
"""
import random
import threading

import pytest

import harness
from harness import Talkers, wait_until

LOOPS = 3


@pytest.fixture
def spread(server):
    """A server with three loops and six clients that have been answered."""
    banterd = server("-H", "test", "--threads", str(LOOPS))
    clients = [banterd.connect() for _ in range(2 * LOOPS)]
    for client in clients:
        assert client.ask("Zack") == b"Zack"
    return banterd, clients


def loops_of(clients):
    return [int(client.ask("loop")) for client in clients]


def use(clients, count):
    """From the next but one turn of each on."""
    assert clients[0].ask(f"loops {count} done") == b"done"
    for client in clients:
        assert client.ask("move") == b"move"


def test_sessions_are_dealt_to_the_loops_in_turn(spread):
    _, clients = spread
    assert loops_of(clients) == [1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("count, where", [(1, [0] * 6), (2, [1, 0, 1, 0, 1, 0])])
def test_sessions_move_to_the_loops_in_use_and_back(spread, count, where):
    banterd, clients = spread
    use(clients, count)
    assert loops_of(clients) == where
    late = banterd.connect()
    assert late.ask("loop") == b"%d" % (7 % count)
    use(clients, LOOPS)
    assert loops_of(clients) == [1, 2, 0, 1, 2, 0]


def test_who_says_nothing_stays(spread):
    _, clients = spread
    assert clients[0].ask("loops 1 done") == b"done"
    assert clients[1].ask("loop") == b"2"  # where it was when it was asked
    assert clients[1].ask("loop") == b"0"


def test_what_is_owed_keeps_a_session_where_it_is(spread):
    """A late answer comes from where it was asked; then the session goes."""
    _, clients = spread
    client = clients[1]
    client.send_message("later 200 slow", "loop")
    assert clients[0].ask("loops 1 done") == b"done"
    assert client.lines(2) == [b"slow", b"2"]
    wait_until(lambda: client.ask("loop") == b"0", "it has moved")


def test_the_transcript_stays_in_order(spread):
    """Each session's lines, whichever loop has logged them; and each connects and closes once."""
    banterd, clients = spread
    for count in [1, 2, 3] * 10:
        use(clients, count)
    for client in clients:
        client.send("--QUIT--\n")
        assert client.read_to_eof() == b""
    banterd.log.wait_for("closed", len(clients))
    for number, client in enumerate(clients, 1):
        lines = [line.split("] ", 1)[1] for line in banterd.log.lines if line.startswith(f"[{number}] ")]
        asked = [text for text in lines if text.startswith("Processing")]
        assert lines[0] == f"Connected with {client.name}" and lines[-1] == f"Connection {client.name} closed"
        assert lines[-2] == "Client is requesting to quit"
        expected = [f"{what}: move" for _ in range(30)
                    for what in ("Processing the input received from client", "Processed result")]
        assert [text for text in lines if text.endswith(": move")] == expected
        assert len(asked) >= 31


@pytest.mark.parametrize("address", ["[::1]:0", "unix:socket"])
def test_the_peers_name_moves_too(server, folder, address):
    address = address.replace("socket", f"{folder}/socket")
    banterd = server("-H", "test", "--threads", "2", "--quiet", listen=address)
    clients = [banterd.connect() for _ in range(2)]
    for count in (1, 2, 1):
        use(clients, count)
    assert loops_of(clients) == [0, 0]
    banterd.close_clients()
    banterd.log.wait_for(r"^\[1\] Connection .+ closed$")
    connected = banterd.log.find(r"^\[1\] Connected with (\S+)")[0][1]
    banterd.log.wait_line(f"[1] Connection {connected} closed")


@pytest.mark.slow
def test_time_outs_go_on_after_a_move(server):
    banterd = server("-H", "test", "--threads", "2", "--idle-timeout", "3s", "--request-timeout", "3s")
    idle, partial = banterd.connect(), banterd.connect()
    use([partial, idle], 1)
    partial.send("half a requ")
    assert harness.is_error(partial.readline(), "incomplete")
    assert (idle.readline(), partial.readline()) == (None, None)


def test_everybody_is_counted_once(server):
    """A client that has moved and left makes room for the next."""
    banterd = server("-H", "test", "--threads", "2", "--max-clients", "2")
    for _ in range(5):
        clients = [banterd.connect() for _ in range(2)]
        use(clients, 1)
        use(clients, 2)
        assert harness.is_error(banterd.connect().readline(), "busy")
        for client in clients:
            client.send("--QUIT--\n")
            assert client.read_to_eof() == b""


def test_moves_under_load_and_a_stop_in_the_middle(server):
    """Everything that was received is answered, in order, and nobody is forgotten on the way to another loop."""
    banterd = server("-H", "test", "--threads", str(LOOPS), "-qq")
    count = harness.scaled(24, 12)
    clients = [banterd.connect() for _ in range(count)]
    switch = banterd.connect()
    over = threading.Event()

    def talk(index, client):
        choose = random.Random(index)
        number = 0
        while not over.is_set():
            asked = [b"%d %d" % (index, number + step) for step in range(choose.choice([1, 1, 1, 5, 50]))]
            number += len(asked)
            try:
                client.send_message(*asked)
                replies = client.lines(len(asked))
            except OSError:
                return
            if over.is_set():
                replies = [reply for reply in replies if reply is not None and not harness.is_error(reply, "stopping")]
                asked = asked[:len(replies)]
            assert replies == asked

    talkers = Talkers(talk, range(count), clients)
    for turn in range(harness.scaled(300, 100)):
        assert switch.ask(f"loops {turn % LOOPS + 1} done") == b"done"
    over.set()
    assert banterd.stop() == 0
    talkers.join()
