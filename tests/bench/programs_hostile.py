"""Never another's reply: many clients, and programs that go wrong in every way and are killed all the time."""
import collections
import os
import random
import signal
import time

import report
from programs import Server, Trouble
from programs_common import PYTHON, SMALL, Asker, ask_all, children

PAUSES = ["0", "0.1", "1", "50"]  # in ms, between the lines of an answer
# Of these only the first can be seen to wait; the others rest.
PROGRAMS = {"python": [PYTHON, "-I", "-S", str(SMALL / "hostile.py")],
            "pipeline": ["sh", "-c", f"{PYTHON} -I -S {SMALL}/hostile.py \"$@\" | cat", "sh"],
            "node": ["node", str(SMALL / "hostile.js")]}
WRONG = ["late", "silent", "chatty", "half", "hang", "stop", "cut", "die", "close"]
FITTING = ("handler-failed", "handler-timeout", "unavailable")


def add_arguments(parser):
    parser.add_argument("--requests", type=int, default=1000000)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--ahead", type=int, default=8, help="requests that a client sends ahead")
    parser.add_argument("--copies", type=int, default=16)
    parser.add_argument("--wrong", type=float, default=0.004, help="the share of requests that make a program go wrong")
    parser.add_argument("--several", type=float, default=0.05,
                        help="the share that is answered with one to three lines, or halves of one, with pauses")
    parser.add_argument("--greeting", nargs="*", default=[], help="what the program says at its start")
    parser.add_argument("--program", choices=PROGRAMS, default="python")
    parser.add_argument("--kill-ms", type=float, default=50, help="a copy is killed, or stopped, so often")
    parser.add_argument("--seed", type=int, default=1)


def _request(chance, number, options):
    kind = chance.random()
    if kind < options.wrong:
        return f"{chance.choice(WRONG)} {number}\n"
    if kind > options.wrong + options.several:
        return f"plain {number}\n"
    lines, pause = chance.randint(0, 3), chance.choice(PAUSES)
    return f"several {number} {lines} {pause}\n" if lines else f"halves {number} {pause}\n"


def _requests(first, count, options):
    chance = random.Random(options.seed * 1000003 + first)
    for number in range(first, first + count):
        yield number, _request(chance, number, options).encode()


class _Killer:
    def __init__(self, server, options):
        self._server, self._period, self._next = server, options.kill_ms / 1000, time.monotonic()
        self._chance = random.Random(options.seed)
        self.counts = collections.Counter()

    def tick(self):
        if time.monotonic() < self._next:
            return
        self._next = max(self._next + self._period, time.monotonic() - 1)
        living = [pid for pid, state in children(self._server).items() if state != "Z"]
        number = self._chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP])
        if living:
            try:
                os.kill(self._chance.choice(living), number)
                self.counts[number.name] += 1
            except ProcessLookupError:
                pass


def run(options):
    report.heading("Hostile programs", vars(options), ["banterd"])
    replies = collections.Counter()
    seen = bytearray(options.requests)
    strangers = []

    def judge(number, reply):
        seen[number] += 1
        words = reply.split(b" ")
        if reply == b"done %d" % number:
            replies["right"] += 1
        elif words[0] == b"-ERR" and words[1].decode() in FITTING:
            replies["-ERR " + words[1].decode()] += 1
        else:
            strangers.append((number, reply))

    share = options.requests // options.clients
    with Server("banterd", "--workers", options.copies, "--handler-timeout", "1s", "--",
                *PROGRAMS[options.program], "1.2", *options.greeting) as server:
        killer = _Killer(server, options)
        begin = time.monotonic()
        missing, unasked = ask_all([Asker(server, _requests(client * share, share, options), options.ahead, judge)
                                    for client in range(options.clients)], killer.tick)
        seconds = time.monotonic() - begin
    asked = share * options.clients
    print(f"{asked} requests in {seconds:.0f} s; from outside: "
          f"{', '.join(f'{count} times {name}' for name, count in sorted(killer.counts.items()))}\n")
    report.table(["reply", "times"], [[name, str(count)] for name, count in replies.most_common()]
                 + [["another's, or no error that fits", str(len(strangers))], ["missing", str(missing)],
                    ["more than one for a request", str(unasked + sum(count > 1 for count in seen))]])
    if strangers or missing or unasked or any(count != 1 for count in seen[:asked]):
        raise Trouble(f"some replies were not right: {strangers[:5]}")
