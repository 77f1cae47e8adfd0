"""Kills: SIGKILL to copies under load, for as long as is wished; what is left behind afterwards."""
import collections
import itertools
import os
import random
import signal
import time

import report
from programs import Server, Trouble
from programs_common import Asker, ask_all, children, threads


def add_arguments(parser):
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--kill-ms", type=float, default=20)
    parser.add_argument("--ahead", type=int, default=16, help="requests that a client sends ahead")
    parser.add_argument("--options", default="", help="of banterd, such as '--ahead 64' or --tagged")


def _state(server, copies):
    """Descriptors, MiB, threads, processes, zombies, once all copies are there again."""
    deadline = time.monotonic() + 15
    while True:
        found = children(server)
        settled = len(found) == copies and "Z" not in found.values()
        if settled or time.monotonic() > deadline:
            return {"descriptors": server.descriptors(), "MiB": server.memory()[0] / (1 << 20),
                    "threads": threads(server), "processes": len(found),
                    "zombies": list(found.values()).count("Z")}
        time.sleep(0.05)


def _load(server, options, seconds, replies, kill):
    end = time.monotonic() + seconds
    chance = random.Random(1)
    due = [time.monotonic()]
    kills = 0

    def requests():
        for number in itertools.takewhile(lambda _: time.monotonic() < end, itertools.count()):
            yield number, b"%d\n" % number

    def judge(number, reply):
        if reply == b"%d" % number:
            replies["right"] += 1
        elif reply.startswith((b"-ERR handler-failed", b"-ERR unavailable")):
            replies[" ".join(reply.decode().split()[:2])] += 1
        else:
            raise Trouble(f"request {number} got {reply!r}")

    def tick():
        nonlocal kills
        if kill and time.monotonic() >= due[0]:
            due[0] = time.monotonic() + options.kill_ms / 1000
            living = [pid for pid, state in children(server).items() if state != "Z"]
            if living:
                try:
                    os.kill(chance.choice(living), signal.SIGKILL)
                    kills += 1
                except ProcessLookupError:
                    pass

    missing, unasked = ask_all([Asker(server, requests(), options.ahead, judge) for _ in range(options.clients)], tick)
    if missing or unasked:
        raise Trouble(f"{missing} requests without a reply, {unasked} replies without a request")
    return kills


def run(options):
    report.heading("Kills", vars(options), ["banterd"])
    replies = collections.Counter()
    with Server("banterd", "--workers", options.copies, *options.options.split(), "--", "cat") as server:
        _load(server, options, 3, collections.Counter(), True)
        rows = [("after 3 s", _state(server, options.copies))]
        kills = _load(server, options, options.seconds, replies, True)
        rows.append((f"after {options.seconds:g} s more", _state(server, options.copies)))
        time.sleep(12)  # threads that nobody needs end after 10
        rows.append(("12 s later", _state(server, options.copies)))
    print(f"{kills} kills; replies: {', '.join(f'{count} {name}' for name, count in replies.most_common())}\n")
    report.table(["", *rows[0][1]], [[name, *(f"{value:.1f}" if isinstance(value, float) else str(value)
                                              for value in state.values())] for name, state in rows])
