"""--workers: all clients share a set of workers. Which request gets which worker, the order of
replies, fair turns, bounds, and hostile company."""
import os
import random
import shutil
import signal
import threading

import pytest

import harness
from harness import Talkers, is_error, scaled, wait_until
from workers import HOSTILE, JITTER, WORKER, children, copies


def program(server, *command, workers=1, options=(), **how):
    return server("--workers", str(workers), *options, "--", *map(str, command), **how)


def processing(banterd, pattern, count=1):
    banterd.log.wait_for(r"Processing the input received from client: " + pattern, count)


def test_every_copy_is_used(server, folder):
    """As many requests as copies, none of them answered before all are under way."""
    banterd = program(server, WORKER, "log=log", workers=8)
    clients = [banterd.connect() for _ in range(8)]
    for client in clients:
        client.send_message("number gate")
    wait_until(lambda: (folder / "log").exists() and (folder / "log").read_text().count("\n") == 8,
               "eight copies have a request each")
    (folder / "gate").touch()
    assert sorted(client.readline() for client in clients) == [b"%d" % number for number in range(1, 9)]


def test_one_client_has_all_copies(server, folder):
    banterd = program(server, WORKER, "log=log", workers=8)
    client = banterd.connect()
    client.send_message(*["number gate"] * 8)
    wait_until(lambda: (folder / "log").exists() and (folder / "log").read_text().count("\n") == 8,
               "eight copies have a request each")
    (folder / "gate").touch()
    assert sorted(client.lines(8)) == [b"%d" % number for number in range(1, 9)]


def test_the_first_free_copy_gets_the_next_request(server, folder):
    """Of four, three are busy: everything else goes through the fourth, and nothing waits for the others."""
    banterd = program(server, WORKER, workers=4)
    busy = [banterd.connect() for _ in range(3)]
    for client in busy:
        client.send_message("number gate")
    processing(banterd, "number gate", 3)
    client = banterd.connect()
    numbers = {client.ask("worker") for _ in range(50)}
    assert len(numbers) == 1
    (folder / "gate").touch()
    assert len({client.readline() for client in busy} | numbers) == 4


def test_a_copy_has_one_request_at_a_time(server, folder):
    """What is sent ahead waits in the server: a program that reads on behind a request would find nothing."""
    banterd = program(server, WORKER, "log=log")
    client = banterd.connect()
    client.send_message("gate gate first", *(f"request {number}" for number in range(30)))
    processing(banterd, "request 29")
    wait_until(lambda: (folder / "log").exists() and (folder / "log").read_text(), "the copy has read a line")
    assert (folder / "log").read_text() == "gate gate first\n"
    (folder / "gate").touch()
    assert client.lines(31) == [b"first"] + [b"request %d" % number for number in range(30)]


def test_copies_live_on(server):
    """Each keeps its process and its state over many clients."""
    banterd = program(server, WORKER)
    pid, = copies(banterd, 1)
    for number in range(20):
        client = banterd.connect()
        assert client.ask("pid") == b"%d" % pid
        assert client.ask("count") == b"%d" % (2 * number + 2)
        client.close()


# Order

def test_replies_come_in_order_whatever_the_copies_take(server):
    banterd = program(server, JITTER, "2", workers=8, options=["-q"])
    count = scaled(10000, 2000)
    client = banterd.connect()
    client.send_in_background(b"".join(b"%d\n" % number for number in range(count)), client.half_close)
    assert client.replies() == [b"%d" % number for number in range(count)]


def test_order_of_many_clients(server):
    banterd = program(server, JITTER, "2", workers=8, options=["-q"])
    clients = [banterd.connect() for _ in range(20)]
    count = scaled(300, 50)
    for number, client in enumerate(clients):
        client.send_in_background(b"".join(b"%d.%d\n" % (number, i) for i in range(count)), client.half_close)
    for number, client in enumerate(clients):
        assert client.replies() == [b"%d.%d" % (number, i) for i in range(count)]


def test_a_late_first_reply_holds_the_others_back(server, folder):
    banterd = program(server, WORKER, "log=log", workers=4)
    client = banterd.connect()
    client.send_message("gate gate first", "second", "third")
    wait_until(lambda: (folder / "log").exists() and (folder / "log").read_text().count("\n") == 3, "all are run")
    other = banterd.connect()
    assert other.ask("fence") == b"fence"
    assert not client.readable()
    (folder / "gate").touch()
    assert client.lines(3) == [b"first", b"second", b"third"]


# Turns

def test_sessions_are_served_in_turn(server, folder):
    """One copy, busy; a client with hundreds of requests ahead, then three with one each: all three are served
    before the heavy one's fifth."""
    banterd = program(server, WORKER, "log=log")
    heavy = banterd.connect()
    heavy.send_message("gate gate open", *(f"heavy {number}" for number in range(300)))
    processing(banterd, "heavy 40$")
    light = [banterd.connect() for _ in range(3)]
    for number, client in enumerate(light):
        client.send_message(f"light {number}")
        processing(banterd, f"light {number}$")
    (folder / "gate").touch()
    assert [client.readline() for client in light] == [b"light 0", b"light 1", b"light 2"]
    assert heavy.lines(301)[-1] == b"heavy 299"
    order = (folder / "log").read_text().splitlines()
    assert order.index("heavy 4") > max(order.index(f"light {number}") for number in range(3)), order[:12]


def test_two_heavy_clients_share_alike(server, folder):
    banterd = program(server, WORKER, "log=log")
    first, second = banterd.connect(), banterd.connect()
    first.send_message("gate gate open", *(f"first {number}" for number in range(50)))
    processing(banterd, "first 49$")
    second.send_message(*(f"second {number}" for number in range(50)))
    processing(banterd, "second 49$")
    (folder / "gate").touch()
    assert len(first.lines(51) + second.lines(50)) == 101
    order = [line.split()[0] for line in (folder / "log").read_text().splitlines()[1:]]
    for upto in range(2, 101):
        assert abs(order[:upto].count("first") - order[:upto].count("second")) <= 2, order[:upto]


# Bounds

class Same:
    """Whether something has been the same at so many looks in a row."""

    def __init__(self, look, times):
        self._look, self._times, self._seen = look, times, []

    def __call__(self):
        self._seen.append(self._look())
        return len(self._seen) >= self._times and len(set(self._seen[-self._times:])) == 1


def test_clients_are_not_read_when_the_queue_is_full(server, folder):
    """Much more than the queue may hold, into a program that is busy: little of it is taken, all of it is answered."""
    script = "read -r line; echo x >>taken; until [ -e gate ]; do sleep 0.01; done; echo open; exec cat"
    banterd = program(server, "sh", "-c", script, workers=2, options=["-m", "64k", "-qq", "--handler-timeout", "0"])
    blocker = [banterd.connect() for _ in range(2)]
    for client in blocker:
        client.send_message("wait")
    wait_until(lambda: (folder / "taken").exists() and (folder / "taken").read_text() == "x\nx\n", "both are busy")
    before = banterd.memory()
    clients = [banterd.connect() for _ in range(40)]
    line, count = b"x" * 60000, scaled(40, 6)  # 96 MB in all
    for client in clients:
        client.send_in_background((line + b"\n") * count)
    wait_until(lambda: banterd.memory() > before + (1 << 20), "it takes some")
    wait_until(Same(banterd.memory, 20), "it takes no more")
    (folder / "gate").touch()
    assert [client.readline() for client in blocker] == [b"open"] * 2

    def read(client):
        for _ in range(count):
            assert client.readline() == line

    Talkers(read, clients).join(2 * harness.LIMIT)
    assert banterd.memory("VmHWM") - before < scaled(48, 300) << 20


def test_a_client_that_waits_for_nothing_is_read_though_the_queue_is_full(server, folder):
    script = "read -r line; until [ -e gate ]; do sleep 0.01; done; echo open; exec cat"
    banterd = program(server, "sh", "-c", script, options=["-m", "1m", "--handler-timeout", "0"])
    clients = [banterd.connect() for _ in range(40)]
    clients[0].send_message("wait")
    processing(banterd, "wait")
    heavy = b"heavy" + b"x" * 400000 + b"\n"  # 40 MB in all, five times what the queue may hold
    for client in clients[1:]:
        client.send_in_background(heavy * 3)
    processing(banterd, "heavy.*", 15)
    wait_until(Same(lambda: len(banterd.log.find("Processing")), 20), "no more is read of them")
    assert len(banterd.log.find("Processing")) < 39 * 3
    light = banterd.connect()
    light.send_message("light")
    processing(banterd, "light$")
    (folder / "gate").touch()
    assert light.readline() == b"light"
    assert clients[0].readline() == b"open"
    for client in clients[1:]:
        assert client.lines(3) == [heavy[:-1]] * 3


def test_small_requests_beyond_the_queue(server, folder):
    banterd = program(server, "cat", workers=2, options=["-qq"])
    clients = [banterd.connect() for _ in range(10)]
    count = scaled(3000, 300)
    for number, client in enumerate(clients):
        client.send_in_background(b"".join(b"%d.%d\n" % (number, i) for i in range(count)))
    for number, client in enumerate(clients):
        assert client.lines(count) == [b"%d.%d" % (number, i) for i in range(count)]


def test_a_client_that_does_not_read_holds_no_copy(server):
    banterd = program(server, WORKER, workers=1, options=["-q"])
    deaf = banterd.connect(receive_buffer=4096)
    deaf.send_in_background(b"size 1000000\n" * 50)
    assert deaf.readable(harness.LIMIT)
    client = banterd.connect()
    for number in range(20):
        assert client.ask(f"light {number}") == b"light %d" % number


# Hostile company

WRONG = ["late", "silent", "chatty", "half", "hang", "stop", "cut", "die", "close"]


def is_failure(reply):
    return any(is_error(reply, code) for code in ("handler-failed", "handler-timeout", "unavailable"))


def right(reply, number):
    """The request's own answer, or an error that fits."""
    return reply == b"done %d" % number or is_failure(reply)


class Killer(threading.Thread):
    """Kills or stops a copy each 50 ms until it is stopped."""

    def __init__(self, banterd):
        super().__init__(daemon=True)
        self._banterd, self._over = banterd, threading.Event()
        self.count = 0
        self.start()

    def run(self):
        chance = random.Random(2)
        while not self._over.wait(0.05):
            living = [one.pid for one in children(self._banterd) if one.state != "Z"]
            try:
                os.kill(chance.choice(living), chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP]))
                self.count += 1
            except (IndexError, ProcessLookupError):
                pass  # none lives, or it has just ended

    def stop(self):
        self._over.set()
        self.join()


@pytest.mark.slow
def test_never_another_s_reply(server):
    """Programs that go wrong in every way, and are killed and stopped all the time: each request gets its own
    answer or an error, none is missing, none comes twice."""
    banterd = program(server, HOSTILE, scaled("0.6", "1.2"), workers=8,
                      options=["-qq", "--handler-timeout", scaled("500ms", "1s")])
    count = scaled(48, 12)
    answers = []

    def ask(first):
        """Sends a few requests ahead, reads their replies, and so on."""
        client, chance = banterd.connect(), random.Random(first)
        for few in range(first, first + count, 3):
            words = [chance.choice(WRONG) if chance.random() < 0.1 else "plain" for _ in range(3)]
            client.send_message(*(f"{word} {few + i}" for i, word in enumerate(words)))
            replies = client.lines(3)
            assert [(few + i, reply) for i, reply in enumerate(replies) if not right(reply, few + i)] == []
            answers.extend(reply for reply in replies if reply.startswith(b"done"))
        client.half_close()
        assert client.replies() == []

    killer = Killer(banterd)
    Talkers(ask, range(0, 20 * count, count)).join(harness.TEST_LIMIT)
    killer.stop()
    assert killer.count > 0
    assert answers
    last = banterd.connect()
    wait_until(lambda: last.ask("plain 1") == b"done 1", "all is well again")


PAUSES = ["0", "0.1", "1", "50"]  # in ms; a reply of one line is held for 10 ms


def several(chance, number):
    """A request to hostile.py, and all that it answers."""
    pause = chance.choice(PAUSES)
    if chance.random() < 0.3:
        return f"halves {number} {pause}", b"done %d" % number
    lines = chance.randint(1, 3)
    return (f"several {number} {lines} {pause}",
            b"\n".join([b"done %d" % number] + [b"more %d" % number] * (lines - 1)))


def ask_several(banterd, clients, count, fits):
    """Many clients, each with a few requests ahead at a time; fits(expected, reply) judges."""
    strangers = []

    def ask(first):
        client, chance = banterd.connect(), random.Random(first)
        for few in range(first, first + count, 4):
            asked = [several(chance, few + i) for i in range(4)]
            client.send_message(*(request for request, _ in asked))
            strangers.extend((request, reply) for request, expected in asked
                             if not fits(expected, reply := client.reply()))
        client.half_close()
        assert client.replies() == []

    Talkers(ask, range(0, clients * count, count)).join(harness.TEST_LIMIT)
    assert strangers == []


def is_first_line(expected, reply):
    """With more lines behind it: an error, or the first one, if the others came late."""
    first, *others = expected.split(b"\n")
    return reply == first or (others and reply == b"-ERR handler-failed the program has answered more than one line")


def is_all(expected, reply):
    return reply == expected


END = {"newline": (["--reply-end", "newline"], is_first_line),
       "waits": (["--reply-end", "waits", "--framing", "netstring"], is_all)}
GREETING = [[], ["welcome", "to all"]]


@pytest.mark.parametrize("greeting", GREETING, ids=["plain", "greeting"])
@pytest.mark.parametrize("mode", ["-w4", "--worker-per-client"], ids=["shared", "per-client"])
@pytest.mark.parametrize("end", END)
def test_never_another_s_byte(server, end, mode, greeting):
    """Answers of one to three lines, and of half lines, with and without pauses, longer and shorter than a reply is
    held: each request gets what belongs to it."""
    options, fits = END[end]
    banterd = server(mode, "-qq", *options, "--", HOSTILE, "1", *greeting)
    ask_several(banterd, 8, scaled(40, 12), fits)


@pytest.mark.slow
@pytest.mark.parametrize("end", END)
def test_never_another_s_byte_while_copies_are_killed(server, end):
    options, fits = END[end]
    banterd = program(server, HOSTILE, "1", "welcome", workers=6,
                      options=["-qq", "--handler-timeout", scaled("1s", "2s"), *options])
    killer = Killer(banterd)
    ask_several(banterd, 8, scaled(80, 12), lambda expected, reply: fits(expected, reply) or is_failure(reply))
    killer.stop()
    assert killer.count > 0


MORE = b"-ERR handler-failed the program has answered more than one line"
SILENT = b"-ERR handler-failed the program has answered nothing; if it keeps its output in a buffer, see --pty"


@pytest.mark.skipif(not shutil.which("bc"), reason="bc is not installed")
@pytest.mark.parametrize("mode", ["-w1", "-w4", "--worker-per-client"])
def test_ten_thousand_sums_of_bc(server, mode):
    """From two clients, all ahead: numbers that bc breaks into several lines, and sums that it answers with nothing.
    Where it is kept from writing the second line for 10 ms, the first one is the reply."""
    asked = [[(b"2^1000", [MORE, b"%.68s\\" % str(2 ** 1000).encode()]), (b"1+1", [b"2"]), (b"7*6", [b"42"]),
              (b"a=5", [SILENT])],
             [(b"1+2", [b"3"]), (b"3^1000", [MORE, b"%.68s\\" % str(3 ** 1000).encode()]), (b"1/0", [SILENT]),
              (b"10/2", [b"5.00000000000000000000"])]]
    banterd = server(mode, "-qq", "--", "bc", "-lq")
    rounds = scaled(1250, 100)

    def ask(exchanges):
        client = banterd.connect()
        client.send_in_background(b"".join(request + b"\n" for request, _ in exchanges) * rounds, client.half_close)
        expected = [replies for _, replies in exchanges] * rounds
        got = client.replies()
        assert len(got) == len(expected)
        assert [(reply, right) for reply, right in zip(got, expected) if reply not in right] == []

    Talkers(ask, asked).join(harness.TEST_LIMIT)


BIG_REPLIES = """
import os, sys
given = 0
for line in sys.stdin:
    word, file = line.split()
    if word == "gate":
        os.open(file, os.O_RDONLY)  # a fifo: until somebody writes
    given += word == "big"
    print("x" * (1 << 20) if word == "big" else given, flush=True)
"""


@pytest.mark.slow
def test_large_replies_that_wait_for_one_before_them(server, folder):
    """They may hold 16 MiB and one for each copy; over that none of the client's requests is begun."""
    requests = 30
    (folder / "big.py").write_text(BIG_REPLIES)
    os.mkfifo(folder / "gate")
    banterd = program(server, "python3", "big.py", workers=2)
    client, other = banterd.connect(), banterd.connect()
    client.send(f"gate {folder}/gate\n" + "big -\n" * requests)
    wait_until(lambda: int(other.ask("count -")) >= 12, "as many replies as may wait")
    # They take turns: if the first client's next request could be begun, it would be, before each of these.
    counts = [int(other.ask("count -")) for _ in range(50)]
    assert counts[-1] == counts[0] <= 16 + 2
    (folder / "gate").write_text("open")
    assert client.readline() == b"0"
    for _ in range(requests):
        assert client.readline() == b"x" * (1 << 20)
