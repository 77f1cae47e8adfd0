"""A handler may be as slow as it likes: no other client notices. Nothing here measures time: the
tests look at what comes before what. With one thread (-t 1) all sessions share one loop."""
import random
import signal

import pytest

import harness
from harness import Talkers, assert_replies, assert_stopped, is_error

HEAVY = pytest.mark.parametrize("heavy", ["sleep 2000 heavy", "compute 1500 heavy"])


def processing(banterd, message, count=1):
    banterd.log.wait_for(r"Processing the input received from client: " + message + "$", count)


@pytest.mark.slow
@HEAVY
def test_a_light_client_does_not_wait_for_a_heavy_one(server, heavy):
    banterd = server("-H", "test", "-t", "1")
    slow, light = banterd.connect(), banterd.connect()
    assert light.ask("before") == b"before"
    slow.send_message(heavy, "mine", "later 10 own", "again")
    processing(banterd, heavy)
    for number in range(harness.scaled(50, 10)):
        assert light.ask(f"light {number}") == f"light {number}".encode()
    newcomer = banterd.connect()
    assert newcomer.ask("new") == b"new"
    assert not slow.readable(), "the light requests were answered behind the heavy one"
    slow.half_close()
    assert slow.replies() == [b"heavy", b"mine", b"own", b"again"]


def test_without_slow_handlers_nothing_is_different(server):
    banterd = server("-t", "1")
    clients = [banterd.connect() for _ in range(20)]
    for number in range(50):
        for client in clients:
            client.send_message(str(number))
        assert [client.readline() for client in clients] == [b"Hello %d" % number] * len(clients)


def test_what_was_answered_before_the_stall_does_not_wait_for_it(server):
    banterd = server("-H", "test", "-t", "1")
    client = banterd.connect()
    client.send_message("first", "meet 2 second", "third")
    assert client.readline() == b"first"
    assert "[1] Processed result: second" not in banterd.log.lines
    assert banterd.connect().ask("meet 2 other") == b"other"
    assert client.lines(2) == [b"second", b"third"]


@pytest.mark.parametrize("times", [1, 3])
def test_a_slow_call_that_leaves_its_answer_for_later_lets_the_next_request_in(server, times):
    """The first one loses its loop, and what its session sends after it is called beside the loop."""
    banterd = server("-H", "test", "-t", "1", "--handler-timeout", "0", "--drain-timeout", "300ms")
    client = banterd.connect()
    client.send_message(*["slow-hold 30"] * times, "next")
    processing(banterd, "next")
    assert banterd.stop() == 0
    assert_replies(client.replies(), ["-ERR handler-timeout"] * times + ["next", "-ERR stopping"])


def test_slow_calls_that_return_as_their_time_is_over(server):
    """The loop hears of the return, of the end of the time and of the client's leaving in any order."""
    banterd = server("-H", "test", "-q", "-t", "1", "--handler-timeout", "30ms")
    for number in range(harness.scaled(10, 5)):
        clients = [banterd.connect() for _ in range(20)]
        for place, client in enumerate(clients):
            client.send_message(f"slow-hold {20 + place}", "--QUIT--")
        for client in clients:
            assert_replies(client.replies(), ["-ERR handler-timeout"])
            client.close()
    last = banterd.connect().ask("well")
    assert last == b"well" or is_error(last, "handler-timeout")  # 30 ms may pass on a busy machine


@pytest.mark.parametrize("threads, count", [(1, harness.scaled(100, 15)), (2, harness.scaled(250, 20))])
def test_many_handlers_stall_at_the_same_time(server, threads, count):
    """Each of them comes out when all are in."""
    banterd = server("-H", "test", "-t", str(threads), "--handler-timeout", "0")
    clients = [banterd.connect() for _ in range(count)]
    for number, client in enumerate(clients):
        client.send_message(f"meet {count} {number}")
    for number, client in enumerate(clients):
        assert client.readline() == b"%d" % number
    banterd.log.wait_for("Processed result", count)
    kinds = ["in" if "Processing" in line else "out" for line in banterd.log.lines if "Process" in line]
    assert kinds == ["in"] * count + ["out"] * count


def test_requests_around_a_stall_keep_their_order(server):
    """Input that was read but not used moves to the session when the loop is taken."""
    banterd = server("-H", "test", "-q", "-t", "1")
    client = banterd.connect()
    messages, expected = [], []
    for part in range(harness.scaled(20, 5)):
        messages += [f"{part}.{number}" for number in range(700)] + [f"sleep 30 stalled {part}"]
        expected += [f"{part}.{number}".encode() for number in range(700)] + [f"stalled {part}".encode()]
    client.send_in_background("".join(message + "\n" for message in messages) + "half")
    assert client.lines(len(expected)) == expected
    client.half_close()
    assert_replies(client.replies(), ["-ERR incomplete"])


def test_large_replies_around_a_stall(server):
    banterd = server("-H", "test", "-q", "-t", "1")
    client = banterd.connect()
    client.send_message("size 300000", "sleep 100 a", "size 1000000", "compute 100 b", "size 5", "sleep 50",
                        "--QUIT--")
    replies = client.replies()
    assert [len(reply) for reply in replies] == [300000, 1, 1000000, 1, 5, len("sleep 50")]


@pytest.mark.parametrize("behind, expected", [
    ("--QUIT--\nnot this\n", []),
    ("half", ["-ERR incomplete"]),
    ("x" * 6000 + "\nok\n", ["-ERR too-long", "ok"]),
    ("x" * 6000, ["-ERR too-long"]),
    ("forget\nsleep 50 again\n", ["-ERR handler-failed", "again"]),
])
def test_what_comes_behind_a_stall(server, behind, expected):
    banterd = server("-H", "test", "-t", "1")
    client = banterd.connect()
    client.send("sleep 200 stalled\n")
    processing(banterd, "sleep 200 stalled")
    client.send(behind)
    client.half_close()
    assert_replies(client.replies(), ["stalled", *expected])


@pytest.mark.slow
@pytest.mark.parametrize("heavy", ["sleep 500 heavy", "compute 400 heavy"])
@pytest.mark.parametrize("way", ["close", "reset", "half_close"])
def test_a_client_that_leaves_during_a_stall(server, heavy, way):
    banterd = server("-H", "test", "-t", "1")
    slow, other = banterd.connect(), banterd.connect()
    slow.send_message(heavy, "behind")
    processing(banterd, heavy)
    if way == "half_close":
        slow.half_close()
        assert slow.replies() == [b"heavy", b"behind"]
    else:
        getattr(slow, way)()
    assert other.ask("still here") == b"still here"
    banterd.log.wait_for(r"^\[1\] Connection .* closed$")
    assert other.ask(heavy) == b"heavy"
    other.close()
    assert banterd.stop() == 0


@pytest.mark.slow
def test_sessions_end_for_all_reasons_during_stalls(server):
    """Time-outs, resets and quits while handlers of the same loop come and go."""
    banterd = server("-H", "test", "-q", "-t", "1", "--handler-timeout", "0", "--idle-timeout", "2s",
                     "--request-timeout", "300ms")
    heavy = [banterd.connect() for _ in range(harness.scaled(10, 4))]
    for number, client in enumerate(heavy):
        client.send_message(*(f"sleep {20 + 5 * number} {i}" for i in range(20)), "later 10 end")
    for number in range(harness.scaled(60, 20)):
        client = banterd.connect()
        client.send("sleep 2\nlater 3\ncompute 3\nx\nhalf" + "\n--QUIT--\n" * (number % 2))
        if number % 3 == 0:
            client.reset()
        elif number % 3 == 1:
            client.close()
        else:
            replies = [b"sleep 2", b"later 3", b"compute 3", b"x"]
            assert_replies(client.replies(), [*replies, "half" if number % 2 else "-ERR incomplete"])
    for client in heavy:
        assert client.lines(21) == [*(b"%d" % i for i in range(20)), b"end"]
        assert client.at_eof()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_mixture_keeps_every_sessions_order(server, threads):
    banterd = server("-H", "test", "-q", "-t", str(threads))

    def talk(seed):
        choose = random.Random(seed)
        client = banterd.connect()
        messages, expected = [], []
        for number in range(harness.scaled(150, 40)):
            text = f"{seed}.{number}"
            message = choose.choice([
                text, text, f"twice {text}", f"sleep {choose.randrange(15)} {text}",
                f"later {choose.randrange(15)} {text}", f"compute {choose.randrange(4)} {text}",
            ])
            messages.append(message)
            expected.append(text.encode())
        data = "".join(message + "\n" for message in messages)
        cut = choose.randrange(len(data))
        client.send(data[:cut])
        client.send_in_background(data[cut:], client.half_close)
        assert client.replies() == expected

    Talkers(talk, range(8)).join()


def test_spares_are_few_when_nothing_stalls(server):
    banterd = server("-qq", "-t", "2")
    client = banterd.connect()
    client.send_in_background("x\n" * 20000, client.half_close)
    assert client.replies() == [b"Hello X"] * 20000
    assert banterd.threads() < 16


def test_a_stalled_server_stops(server):
    banterd = server("-H", "test", "-t", "1", "--drain-timeout", "1m")
    client = banterd.connect()
    client.send_message("compute 500 done", "sleep 100 too")
    processing(banterd, "compute 500 done")
    banterd.send_signal(signal.SIGTERM)
    assert_stopped(client, ["done", "too"])
    client.close()
    assert banterd.wait() == 0
