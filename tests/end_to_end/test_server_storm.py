"""Hand-overs by the hundred, late answers, second answers, time-outs, resets, quits and a stop, in
every order. Each client must get the right replies; ThreadSanitizer says whether two threads met.
--handler-timeout."""
import random

import pytest

import harness
from harness import Talkers, is_error, wait_until


def commands(choose, number):
    """A request and what may answer it: the text, or the code of an error. On a machine that is busy each may
    get "handler-timeout" instead."""
    text = f"{number}"
    ms = choose.randrange(60)
    return choose.choice([
        (text, [text]),
        (f"sleep {ms} {text}", [text]),
        (f"compute {ms // 10} {text}", [text]),
        (f"later {ms} {text}", [text]),
        (f"race {text}", [text]),
        (f"twice {text}", [text]),
        ("hold", ["handler-timeout"]),
        ("forget", ["handler-failed"]),
        ("let-go", ["handler-failed"]),
        (f"size {choose.randrange(200000)}", None),
    ])


def is_one_of(reply, allowed):
    if is_error(reply, "handler-timeout"):
        return True
    if allowed is None:
        return set(reply) <= {ord("x")}
    return any(reply == word.encode() or is_error(reply, word) for word in allowed)


def converse(banterd, seed, stopping=False):
    """One connection's life; while the server stops, whatever it may get."""
    choose = random.Random(seed)
    client = banterd.connect()
    asked = [commands(choose, number) for number in range(choose.randrange(1, 30))]
    end = choose.choice(["quit", "half-close", "reset", "close", "partial"])
    data = "".join(f"{request}\n" for request, _ in asked)
    data += {"quit": "--QUIT--\n", "partial": "half a requ"}.get(end, "")
    client.send(data)
    if end in ("reset", "close"):
        for _ in range(choose.randrange(len(asked))):
            client.readline()
        client.reset() if end == "reset" else client.close()
        return
    client.half_close()
    replies = client.replies()
    client.close()
    if stopping:
        return
    if end == "partial":
        assert replies and is_error(replies.pop(), "incomplete"), f"{seed}: the half request was not refused"
    assert len(replies) == len(asked), f"{seed}: {len(asked)} requests, {len(replies)} replies"
    for (request, allowed), reply in zip(asked, replies):
        assert is_one_of(reply, allowed), f"{seed}: {request!r} was answered {reply[:80]!r}"


@pytest.mark.parametrize("threads", ["1", "2"])
def test_everything_at_once(server, threads):
    banterd = server("-H", "test", "-qq", "-t", threads, "--handler-timeout", "40ms", "--drain-timeout", "1h")
    before = banterd.descriptors()

    def talk(first):
        for seed in range(first, first + harness.scaled(12, 6)):
            converse(banterd, seed)

    Talkers(talk, range(0, 1200, 100)).join()
    wait_until(lambda: banterd.descriptors() <= before, "all descriptors are closed")


def test_a_stop_in_the_middle_of_everything(server):
    banterd = server("-H", "test", "-qq", "--handler-timeout", "300ms", "--drain-timeout", "1h")

    def talk(seed):
        try:
            converse(banterd, seed, stopping=True)
        except OSError:
            pass  # whoever comes too late is not let in

    talkers = Talkers(talk, range(40))
    assert banterd.stop() == 0
    talkers.join()
