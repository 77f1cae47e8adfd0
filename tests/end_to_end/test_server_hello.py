"""-H hello agrees with Python's str.rstrip() and str.upper(). Each code point alone, all of Unicode, is
put to the handler by tests/unit/test_hello.c; here is what a client can notice."""
import random
import sys

import harness


def points(step=1):
    """Each code point that UTF-8 can carry, or one in so many and those that Python changes."""
    for number in range(sys.maxunicode + 1):
        point = chr(number)
        if not 0xD800 <= number <= 0xDFFF and (
                number % step == 0 or point.upper() != point or point.isspace()):
            yield point


def hello(text):
    return b"Hello " + text.rstrip().upper().encode()


def ask_all(server, texts):
    """Netstrings, so that LF and CR can be anywhere."""
    client = server("-qq", "--framing", "netstring").connect(framing="netstring")
    client.send_in_background(b"".join(map(client.frame, texts)), client.half_close)
    for text, reply in zip(texts, client.replies(), strict=True):
        assert reply == hello(text), f"{text!r}: {reply!r}, not {hello(text)!r}"


def test_special_code_points(server):
    """In the middle they are upper-cased, at the end white space is stripped."""
    some = list(points(step=97))
    ask_all(server, [f"a{point}z" for point in some] + [f"a{point}" for point in some])


def test_every_code_point_among_others(server):
    """None has an effect on its neighbours."""
    everything = "".join(points())
    ask_all(server, [everything[begin:begin + 1000] for begin in range(0, len(everything), 1000)])


def test_random_strings(server):
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    choose = random.Random(seed)
    everything = list(points())
    # Letters that Unicode treats specially, and white space, come more often than by chance.
    special = ("ßŉǰΐΰևẖẗẘẙẚﬀﬁﬂﬃﬄﬅﬆσςıiİéⅷⓐ𐐨" " \t\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u202f\u3000"
               "abcXYZ0-")
    texts = ["".join(choose.choice(special if choose.random() < 0.7 else everything)
                     for _ in range(choose.randrange(40)))
             for _ in range(harness.scaled(50000, 5000))]
    ask_all(server, [text for text in texts if not text.rstrip().startswith("--QUIT--")])
