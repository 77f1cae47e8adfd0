"""cluster: fronts and worker machines with a NATS cluster between them, sessions that ask without end, and what befalls
the machines meanwhile.

Each worker machine notes every line that it begins, so that a line that is lost, or run twice, shows.
"""
import collections
import random
import threading
import time
from typing import NamedTuple

from harness import BANTERD, LIMIT, Server, Talkers, wait_until
from machines import Here
from nats_servers import NatsCluster

SUBJECT = "echo"
PATIENCE = 3 * LIMIT  # with a request that has to be tried again and again


class WorkerMachine:
    """A banterd behind NATS, one process after the other. `ran` has each line that it began, as often as it did."""

    def __init__(self, bench, name, servers, program, options, machine):
        self.machine = machine
        self.ran = bench.folder / f"ran-{name}"
        self.ran.touch()
        self.program = None
        self._bench = bench
        command = [str(self.ran) if word == "RAN" else word for word in program]
        self._command = [*machine.within, BANTERD, "-q", "-l", f"nats:{servers}/{SUBJECT}", *options, "--",
                         *command]

    def start(self):
        self.program = self._bench.start(self._command, kind=Server, ready=False)
        self.program.log.wait_for("^Socket now listening on nats:")

    def kill(self):
        self.program.expect_status = -9
        self.program.kill()

    def stop(self):
        assert self.program.stop() == 0


class Cluster:
    """`front` is a banterd, `workers` are WorkerMachines, `nats` is the NatsCluster. RAN in `program` is the file
    for the lines that a worker machine begins; what it writes is what is replied. With a `network` each has a machine
    of its own there."""

    def __init__(self, bench, *, front=(), workers=3, worker=("--workers", "4"), program=("tee", "-a", "RAN"), nodes=3,
                 network=None):
        def machine():
            return network.machine() if network else Here(bench)

        self.nats = NatsCluster(bench, machines=[machine() for _ in range(nodes)])
        servers = self.nats.addresses
        self.workers = [WorkerMachine(bench, number, servers, program, worker, machine())
                        for number in range(workers)]
        for each in self.workers:
            each.start()
        self.nats.wait_served(SUBJECT)
        self.front = bench.start([*machine().within, BANTERD, "-q", "-q", "-l", f"unix:{bench.folder}/front", "-H",
                                  f"nats:{servers}/{SUBJECT}", *front], kind=Server)

    def wait_settled(self):
        """Waits until each machine has one connection: none is on its way from node to node. All of them must run."""
        wait_until(lambda: sum(node.monitor("/varz")["connections"] for node in self.nats.nodes) ==
                   1 + len(self.workers), "each machine has one connection")

    def ran(self):
        """{line: how often it was begun}, of those that the worker machines were given."""
        return collections.Counter(line for worker in self.workers
                                   for line in worker.ran.read_bytes().splitlines())


# ---- sessions

class Session:
    """Asks lines, some at a time, each of which is to come back. `errors` are the replies that are errors, in the
    place of a line."""

    def __init__(self, front, name, depth):
        self._client = front.connect()
        self._replies = self._client.socket.makefile("rb")
        self._client.socket.settimeout(PATIENCE)
        self._name = name
        self._depth = depth
        self.asked = 0
        self.seconds = []  # that each ask() took
        self.errors = {}  # of each line that had one

    def ask(self):
        lines = [b"%d-%d" % (self._name, self.asked + index) for index in range(self._depth)]
        begin = time.monotonic()
        self._client.send_message(*lines)
        self.asked += self._depth
        for line in lines:
            reply = self._replies.readline().rstrip(b"\n")
            if reply.startswith(b"-ERR "):
                self.errors[line] = reply.decode()
            else:
                assert reply == line, f"{line!r} was answered by {reply!r}"
        self.seconds.append(time.monotonic() - begin)

    def end(self):
        self._client.half_close()
        assert self._replies.read() == b"", "there was a reply too many"


class Load:
    """Sessions that ask until stop(), each `depth` lines at a time."""

    def __init__(self, front, sessions, depth):
        self._sessions = [Session(front, name, depth) for name in range(sessions)]
        self._is_over = threading.Event()
        self._talkers = Talkers(self._talk, self._sessions)

    def _talk(self, session):
        while not self._is_over.is_set():
            session.ask()
        session.end()

    @property
    def asked(self):
        return sum(session.asked for session in self._sessions)

    def wait_more(self, count, limit=PATIENCE):
        """Waits until so many more lines have been asked."""
        self.wait_asked(self.asked + count, limit)

    def wait_asked(self, count, limit=PATIENCE):
        """Waits until so many lines have been asked in all."""
        def is_so():
            self._talkers.check()
            return self.asked >= count
        wait_until(is_so, f"{count} lines are asked", limit)

    @property
    def seconds(self):
        """How long each of their askings took, in order of size."""
        return sorted(seconds for session in self._sessions for seconds in session.seconds)

    def stop(self):
        """Returns the errors: {line: reply}."""
        self._is_over.set()
        self._talkers.join(PATIENCE)
        return {line: reply for session in self._sessions for line, reply in session.errors.items()}


# ---- what befalls the machines

class Faults:
    """One thing after the other, chosen from a seed, each of which is over, and the machine back, before the next.
    `lasts` is called while a machine is away."""

    def __init__(self, cluster, lasts, seed=1):
        self._cluster = cluster
        self._lasts = lasts
        self._random = random.Random(seed)

    def kill_node(self):
        node = self._node()
        node.kill()
        self._lasts()
        self._start(node)

    def freeze_node(self):
        node = self._node()
        node.suspend()
        self._lasts()
        node.resume()
        self._cluster.nats.wait_ready()

    def retire_node(self):
        """Lame duck: it sends its clients away, and ends. One that is just coming could not hear of it."""
        self._cluster.wait_settled()
        node = self._node()
        node.become_lame_duck()
        node.process.wait(PATIENCE)
        self._start(node)

    def kill_worker(self):
        worker = self._worker()
        worker.kill()
        self._lasts()
        worker.start()

    def freeze_worker(self):
        worker = self._worker()
        worker.program.suspend()
        self._lasts()
        worker.program.resume()

    def stop_worker(self):
        worker = self._worker()
        worker.stop()
        self._lasts()
        worker.start()

    KINDS = (kill_node, kill_worker, freeze_node, stop_worker, freeze_worker, retire_node)

    def unplug_node(self):
        self._unplug(self._node())

    def unplug_worker(self):
        self._unplug(self._worker())

    def _unplug(self, one):
        one.machine.unplug()
        self._lasts()
        one.machine.plug()

    def befall(self, count, then=lambda: None, kinds=KINDS):
        """`count` of them, of each kind in turn. Returns the names."""
        names = []
        for number in range(count):
            kind = kinds[number % len(kinds)]
            kind(self)
            names.append(kind.__name__)
            then()
        return names

    def _start(self, node):
        node.start()
        self._cluster.nats.wait_ready()

    def _node(self):
        return self._random.choice(self._cluster.nats.nodes)

    def _worker(self):
        return self._random.choice(self._cluster.workers)


# ---- the verdict

class Verdict(NamedTuple):
    """Of a load, by what its sessions saw and what the worker machines noted."""
    asked: int
    errors: dict        # {text: how often}
    lost: int           # answered, and never begun
    twice: int          # lines that were begun more than once
    most: int           # how often one line was begun
    slowest: float      # seconds, of all but one in a thousand askings

    def __str__(self):
        errors = "; ".join(f"{count} x {text}" for text, count in sorted(self.errors.items())) or "none"
        return (f"{self.asked} asked, each answered once and in order; errors: {errors}; begun twice or more: "
                f"{self.twice} (at most {self.most} times); p99.9 {self.slowest:.1f} s")


def judge(cluster, load):
    """Stops the load. What was lost, wrong, twice or out of order has been raised by its sessions already."""
    errors = load.stop()
    ran = cluster.ran()
    answered = load.asked - len(errors)
    begun = sum(line not in errors for line in ran)
    return Verdict(load.asked, dict(collections.Counter(errors.values())), answered - begun,
                   sum(count > 1 for count in ran.values()), max(ran.values(), default=0),
                   load.seconds[len(load.seconds) * 999 // 1000])
