"""Endure: everything that hurts at once, for as long as is wished, and what it costs as time goes by.

Four servers: one with a handler whose log nobody reads, one whose log is on a full disk, one that runs copies of a
program, which are killed, and one that is started and stopped. Printed at the end: memory, descriptors and threads of
the first three, with the slope of each behind the first third of the time, and what the loads have counted.
"""
import collections
import os
import resource
import tempfile
import threading
import time
from pathlib import Path

import endure_loads as loads
from programs import DESCRIPTORS, Load, Server, Trouble, path_of
from programs_common import FILTER, threads

SAMPLE_S = 1
TIMEOUTS = ("--request-timeout", "20s", "--write-timeout", "20s", "--max-clients", "15000")


def add_arguments(parser):
    parser.add_argument("--duration", type=float, default=60, metavar="SECONDS", help="%(default)g unless given")
    parser.add_argument("--scale", type=float, default=1, help="of all counts of clients; %(default)g unless given")


class Deaf(Server):
    """Nobody reads its log, so what it says is no sign that it listens."""

    def __init__(self, name, log, *options):
        super().__init__(name, command=[path_of(name), "--listen", "PORT", *options], log=log)

    def _listens_by_log(self):
        return self._connects()


class Watch:
    """Samples of a server: seconds, MiB, descriptors, threads."""

    FIGURES = ("MiB", "descriptors", "threads")

    def __init__(self, name, server):
        self.name, self.server, self.samples = name, server, []

    def sample(self, second):
        self.samples.append((second, self.server.memory()[0] / (1 << 20), self.server.descriptors(),
                             threads(self.server)))

    def _slope(self, samples, figure):
        """An hour, by least squares."""
        times, values = [one[0] for one in samples], [one[figure] for one in samples]
        middle, mean = sum(times) / len(times), sum(values) / len(values)
        spread = sum((at - middle) ** 2 for at in times)
        return 3600 * sum((at - middle) * (value - mean) for at, value in zip(times, values)) / spread

    def report(self):
        later = self.samples[len(self.samples) // 3:]
        if len(later) < 3:
            raise Trouble(f"too few samples for a slope: --duration must be at least {5 * SAMPLE_S} s")
        for number, figure in enumerate(self.FIGURES, 1):
            values = [one[number] for one in self.samples]
            print(f"| {self.name} | {figure} | {later[0][number]:.1f} | {max(values):.1f} | {values[-1]:.1f} | "
                  f"{self._slope(later, number):+.1f} |")


def _start(loads_with_arguments, failures):
    def guard(load, arguments):
        try:
            load(*arguments)
        except Exception as failure:  # is told when all have ended
            failures.append(f"{load.__name__}: {failure!r}")

    started = [threading.Thread(target=guard, args=(load, arguments), daemon=True)
               for load, *arguments in loads_with_arguments]
    for thread in started:
        thread.start()
    return started


def _report(watches, tally, latency):
    print("| server | figure | after a third | most | at the end | slope an hour |\n|---|---|---|---|---|---|")
    for watch in watches:
        watch.report()
    print("\nlight client: " + ", ".join(f"{name} {latency[name] / 1000:.2f} ms" for name in ("p50", "p99", "max")))
    for name in sorted(tally):
        print(f"{tally[name]:9} {name}")


def run(options):
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    tally, failures = collections.Counter(), []

    def scaled(count):
        return max(1, int(count * options.scale))

    with tempfile.TemporaryDirectory(prefix="endure-") as folder:
        pipe = Path(folder) / "log"
        os.mkfifo(pipe)
        unread = os.open(pipe, os.O_RDWR)  # read by nobody
        with (Deaf("banterd-test", pipe, "-H", "test", *TIMEOUTS) as main,
              Deaf("banterd-test", Path("/dev/full"), "-H", "test", *TIMEOUTS) as full,
              Server("banterd", "-w", "8", "--", *FILTER, forks=True) as copies):
            watches = [Watch("log unread", main), Watch("log on a full disk", full), Watch("copies killed", copies)]
            # One who asks for little, and whom all the others must not hurt; a program of its own, which has time.
            light = Load(main, options.duration, "--connections", 1, "--rate", 200, "--message", "light",
                         "--expect", "light").go()
            begun = time.monotonic()
            until = begun + options.duration
            started = _start([
                (loads.slowloris, main, until, tally, scaled(5000)),
                (loads.never_read, main, until, tally, scaled(1000)),
                (loads.half_closes, main, until, tally, 100),
                (loads.resets, main, until, tally, 100),
                (loads.hang, main, until, tally, scaled(100)),
                (loads.starve, full, until, tally),
                (loads.kill_copies, copies, until, tally),
                *[(loads.ask_copies, copies, until, tally)] * 4,
                (loads.stop_again_and_again, until, tally),
            ], failures)
            while time.monotonic() < until:
                for watch in watches:
                    watch.sample(time.monotonic() - begun)
                time.sleep(SAMPLE_S)
            for thread in started:
                thread.join(2 * loads.LIMIT)
            _report(watches, tally, light.result()["latency_us"])
        os.close(unread)
    wrong = sorted(name for name in tally if name.startswith("wrong"))
    if failures or wrong:
        raise Trouble("; ".join(failures + wrong))
