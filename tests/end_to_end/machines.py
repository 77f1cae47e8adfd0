"""machines: where programs run: all on this one, or each in a network namespace of its own, whose cable can be pulled.

The network is there for a process that has a namespace of its own (IN_A_NETWORK), which is all its switches at once.
Nothing of it stays when that process ends.
"""
import os
import subprocess

from harness import LIMIT, wait_until

# What a command is put behind that makes a Network.
IN_A_NETWORK = ["unshare", "--user", "--map-root-user", "--net", "--"]


class Here:
    """This machine: `within` is what a command is put behind that is to run there."""
    host = "127.0.0.1"
    within = ()

    def __init__(self, bench):
        self._bench = bench

    def port(self, usual):
        """A port for a server that is started again; `usual` is the one that it has on a machine of its own."""
        return self._bench.hold_port()


class Machine:
    """One in a namespace of its own. What is sent to it and by it while it is unplugged is lost, and nobody is told."""

    def __init__(self, bench, number):
        self.host = f"10.99.0.{number}"
        self._cable = f"cable{number}"
        place = bench.start(["unshare", "--net", "--", "sleep", "infinity"])
        wait_until(lambda: namespace_of(place.pid) != namespace_of("self"), "it has a network of its own")
        self.within = ("nsenter", "--net", "--target", str(place.pid), "--")
        ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", str(place.pid))
        ip("link", "set", self._cable, "up")
        ip("addr", "add", f"{self.host}/24", "dev", "eth0", within=self.within)
        ip("link", "set", "eth0", "up", within=self.within)
        ip("link", "set", "lo", "up", within=self.within)
        self.plug()

    def port(self, usual):
        return usual

    def plug(self):
        ip("link", "set", self._cable, "master", "switch")

    def unplug(self):
        ip("link", "set", self._cable, "nomaster")


class Network:
    """A switch, to which we have a cable, too. machine() adds one."""

    def __init__(self, bench):
        self._bench = bench
        self._count = 0
        ip("link", "set", "lo", "up")
        ip("link", "add", "switch", "type", "bridge")
        ip("link", "set", "switch", "up")
        ip("addr", "add", "10.99.0.254/24", "dev", "switch")

    def machine(self):
        self._count += 1
        return Machine(self._bench, self._count)


def namespace_of(pid):
    return os.readlink(f"/proc/{pid}/ns/net")


def ip(*words, within=()):
    subprocess.run([*within, "ip", *words], check=True, capture_output=True, timeout=LIMIT)
