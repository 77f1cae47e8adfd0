"""A program's queue of requests is bounded for each session, and in all: no session fills it for the others."""
from harness import LIMIT, wait_until

# A copy answers nothing before the gate is there. A shell would read its lines byte by byte.
HELD = """
import os, sys, time
for line in sys.stdin.buffer:
    with open("taken", "a") as taken:
        taken.write("x")
    while not os.path.exists("gate"):
        time.sleep(0.01)
    print("open", flush=True)
"""
HEAVY = b"heavy" + b"x" * 400000 + b"\n"


def start(server, workers):
    return server("-t", "1", "-w", str(workers), "-m", "1m", "--handler-timeout", "0", "--", "python3", "-IS", "-c", HELD)


def processing(banterd, pattern, count=1):
    banterd.log.wait_for(r"Processing the input received from client: " + pattern, count)


def stays(look, times=20):
    """Whether the same was seen so many times in a row."""
    seen = []

    def look_again():
        seen.append(look())
        return len(seen) >= times and len(set(seen[-times:])) == 1
    wait_until(look_again, "nothing changes any more")


def test_one_client_does_not_fill_the_queue(server, folder):
    """It sends more than the queue may hold; another one may still send ahead."""
    banterd = start(server, 1)
    greedy = banterd.connect()
    greedy.send_message("wait")
    processing(banterd, "wait")
    greedy.send_in_background(HEAVY * 40)
    processing(banterd, "heavy")
    stays(lambda: len(banterd.log.find("Processing")))
    assert len(banterd.log.find("heavy")) < 10
    modest = banterd.connect()
    for number in range(5):
        modest.send_message(f"modest {number}")
        processing(banterd, f"modest {number}$")
    (folder / "gate").touch()
    assert modest.lines(5) == [b"open"] * 5
    assert greedy.lines(41) == [b"open"] * 41


def test_a_client_with_nothing_in_the_queue_is_read(server, folder):
    """All the others have filled it, and its own request is in the copy."""
    banterd = start(server, 1)
    modest = banterd.connect()
    modest.send_message("first")
    wait_until((folder / "taken").exists, "the copy has it")
    clients = [banterd.connect() for _ in range(40)]
    for client in clients:
        client.send_in_background(HEAVY)
    stays(lambda: (banterd.memory(), len(banterd.log.find(""))))
    clients[0].send_message("more")
    modest.send_message("second")
    processing(banterd, "second$")
    assert not banterd.log.find("client: more$")
    (folder / "gate").touch()
    assert modest.lines(2) == [b"open"] * 2
    assert clients[0].lines(2) == [b"open"] * 2
    for client in clients[1:]:
        assert client.readline() == b"open"


def test_requests_that_are_larger_than_a_share_have_all_copies(server, folder):
    """None of them is answered before all are under way."""
    banterd = start(server, 4)
    client = banterd.connect()
    client.send_in_background(HEAVY * 4)
    taken = folder / "taken"
    wait_until(lambda: taken.exists() and taken.read_text().count("x") == 4, "each copy has one", LIMIT)
    (folder / "gate").touch()
    assert client.lines(4) == [b"open"] * 4
