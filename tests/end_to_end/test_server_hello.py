"""hello agrees with Python's str.rstrip() and str.upper(): every code point of Unicode, and random strings."""
import random
import sys

import pytest

import harness


def characters():
    """Every code point that UTF-8 can carry; netstrings, so that LF and CR are among them."""
    return [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point <= 0xDFFF]


def hello(text):
    return b"Hello " + text.rstrip().upper().encode()


def ask_all(client, texts, at_once=5000):
    for begin in range(0, len(texts), at_once):
        some = texts[begin:begin + at_once]
        client.send_in_background(b"".join(client.frame(text.encode()) for text in some))
        for text in some:
            reply = client.reply()
            assert reply == hello(text), f"{text!r}: {reply!r}, not {hello(text)!r}"


@pytest.mark.timeout(5 * harness.TEST_LIMIT)
def test_every_code_point(server):
    """In the middle, where it is upper-cased, and at the end, where white space is stripped."""
    client = server("-qq", "--framing", "netstring").connect(framing="netstring")
    points = characters()
    ask_all(client, [f"a{point}z" for point in points[::harness.scaled(1, 7)]])
    ask_all(client, [f"a{point}" for point in points[::harness.scaled(1, 7)]])


@pytest.mark.timeout(5 * harness.TEST_LIMIT)
def test_random_strings(server):
    client = server("-qq", "--framing", "netstring").connect(framing="netstring")
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    choose = random.Random(seed)
    points = characters()
    # Letters that Unicode treats specially, and white space, come more often than by pure chance.
    special = "ßŉǰΐΰևẖẗẘẙẚﬀﬁﬂﬃﬄﬅﬆσςıiİéⅷⓐ𐐨" + " \t\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u202f\u3000" + "abcXYZ0-"
    texts = ["".join(choose.choice(special) if choose.random() < 0.7 else choose.choice(points)
                     for _ in range(choose.randrange(40)))
             for _ in range(harness.scaled(50000, 5000))]
    ask_all(client, [text for text in texts if not text.rstrip().startswith("--QUIT--")])
