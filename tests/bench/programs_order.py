"""Order and cores: lines sent ahead through copies that take random times, and eight copies beside one."""
import statistics
import time

import report
from programs import Server
from programs_common import PYTHON, SLEEPER, SMALL, pipeline


def add_arguments(parser):
    parser.add_argument("--lines", type=int, default=100000)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--most-ms", type=float, default=3, help="a copy takes up to so long for a line, at random")
    parser.add_argument("--slept", type=int, default=500, help="lines through the program that sleeps 10 ms")
    parser.add_argument("--rounds", type=int, default=3)


def _seconds(copies, command, count):
    with Server("banterd", "--workers", copies, "--handler-timeout", "0", "--", *command) as server:
        begin = time.monotonic()
        pipeline(server, count)
        return time.monotonic() - begin


def run(options):
    report.heading("Order", vars(options), ["banterd"])
    seconds = _seconds(options.copies, [PYTHON, "-I", "-S", SMALL / "jitter.py", options.most_ms], options.lines)
    print(f"{options.lines} lines sent ahead by one client through {options.copies} copies of a program that takes "
          f"0 to {options.most_ms:g} ms for each: {options.lines} replies, in order, in {seconds:.1f} s.\n", flush=True)
    one, many = [], []
    for _ in range(options.rounds):
        one.append(_seconds(1, SLEEPER, options.slept))
        many.append(_seconds(options.copies, SLEEPER, options.slept))
    print(f"{options.slept} lines through a program that sleeps 10 ms:\n")
    ratio = statistics.median(alone / together for alone, together in zip(one, many))
    report.table(["copies", "seconds", "times as fast"],
                 [["1", report.median(one, "{:.2f}"), ""],
                  [str(options.copies), report.median(many, "{:.2f}"), f"{ratio:.1f}"]])
