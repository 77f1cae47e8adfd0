"""fleet: servers that are restarted one by one behind HAProxy, or one whose socket stays open while it is restarted,
under sessions that notice nothing.

Each server runs a program that keeps a list of the lines it was given, so that a line that is lost or run twice shows.
"""
import re
import subprocess
import threading
from pathlib import Path

import pages
from haproxy import HAPROXY, STATS, row_of
from harness import BANTER, DIES_WITH_US, LIMIT, Talkers, wait_until
from manager import address_of, listening_socket, start_with_sockets

BATCH = 40  # lines that a session has under way
SERVERS = 3
CHECK = "ping"  # the line that HAProxy asks a server, to see whether it is one


class Fleet:
    """Three servers behind HAProxy."""

    def __init__(self, bench):
        self.bench = bench
        self.address = f"unix:{bench.folder}/front"
        self._lists = [bench.folder / f"ran-{index}" for index in range(SERVERS)]
        self._addresses = [f"127.0.0.1:{bench.hold_port()}" for _ in self._lists]
        self._servers = [self._start(index) for index in range(SERVERS)]
        self._start_proxy()

    def _start(self, index):
        return self.bench.server("-q", "-q", "--workers", "2", "--proxy-from", "127.0.0.1", "--", "tee", "-a",
                                 self._lists[index], listen=self._addresses[index])

    def _start_proxy(self):
        """As banter-nats(7) has it, with checks that come more often."""
        text = pages.listing(pages.rendered("banter-nats.7"), "defaults")
        text = text.replace("bind :8000", f"bind unix@{self.bench.folder}/front").replace("inter 1s", "inter 50ms")
        for index, address in enumerate(self._addresses):
            text = re.sub(rf"(server s{index + 1}) .*", rf"\1 {address}", text)
        file = self.bench.folder / "haproxy.cfg"
        file.write_text(STATS.format(folder=self.bench.folder) + text)
        self.bench.start([HAPROXY, "-db", "-f", file], expect_stderr="(?s).*")
        for index in range(len(self._servers)):
            self._wait_up(index)

    def _wait_up(self, index):
        wait_until(lambda: self._is_up(row_of(self.bench.folder, f"s{index + 1}")),
                   f"the proxy has found s{index + 1} well")

    @staticmethod
    def _is_up(row):
        return row.get("status") == "UP" and row["check_status"] == "L7OK"

    def restart_each(self):
        """Restarts one server after the other, each on its own port; the next when the last is well again."""
        for index, server in enumerate(self._servers):
            assert server.stop() == 0
            self._servers[index] = self._start(index)
            self._wait_up(index)

    def ran(self):
        """All lines that were run, as often as they were, but for those of the proxy."""
        return [line for ran in self._lists for line in ran.read_text().splitlines() if line != CHECK]


class Passed:
    """A server whose sockets a service manager holds: what comes while it is restarted waits there."""

    def __init__(self, bench):
        self.bench = bench
        self._ran = bench.folder / "ran"
        self._listener = listening_socket(bench.folder / "front")
        self.address = address_of(self._listener)
        self._server = self._start()

    def _start(self):
        return start_with_sockets(self.bench, [self._listener], "-q", "-q", "--workers", "2", "--", "tee", "-a",
                                  self._ran)

    def restart_each(self):
        assert self._server.stop() == 0
        self._server = self._start()

    def ran(self):
        return self._ran.read_text().splitlines()


class Session:
    """A banter that is given lines, and answered, a batch at a time."""

    def __init__(self, fleet, name):
        self.name = name
        self.lines = []
        self.complaints = fleet.bench.folder / f"stderr-{name}"
        with open(self.complaints, "wb") as complaints:
            self._banter = subprocess.Popen([*DIES_WITH_US, BANTER, "-q", "-c", fleet.address],
                                            env=fleet.bench.environment(), stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=complaints)

    def ask(self):
        batch = [f"{self.name}-{len(self.lines) + index}" for index in range(BATCH)]
        self.lines += batch
        self._banter.stdin.write("".join(line + "\n" for line in batch).encode())
        self._banter.stdin.flush()
        replies = [self._banter.stdout.readline().decode().rstrip("\n") for _ in batch]
        assert replies == batch, self.complaints.read_text()

    def end(self):
        self._banter.stdin.close()
        assert self._banter.wait(LIMIT) == 0, self.complaints.read_text()
        assert self._banter.stdout.read() == b""

    def kill(self):
        self._banter.kill()
        self._banter.wait()


def restart_under_load(fleet, sessions, rounds):
    """Returns how many lines were asked. Raises an AssertionError if one was lost or run twice."""
    is_over = threading.Event()
    talks = [Session(fleet, name) for name in range(sessions)]

    def talk(session):
        while not is_over.is_set():
            session.ask()
        session.end()

    def all_go_on():
        talkers.check()
        return all(len(session.lines) > before for session, before in zip(talks, asked))

    try:
        talkers = Talkers(talk, talks)
        for _ in range(rounds):
            asked = [len(session.lines) for session in talks]
            fleet.restart_each()
            wait_until(all_go_on, "each session goes on")
        is_over.set()
        talkers.join()
    finally:
        for session in talks:
            session.kill()
    lines = [line for session in talks for line in session.lines]
    assert sorted(fleet.ran()) == sorted(lines)
    return len(lines)
