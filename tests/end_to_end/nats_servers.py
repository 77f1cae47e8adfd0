"""nats_servers: real nats-servers, one or a cluster, that are killed, suspended and started again on their ports.
"""
import json
import signal
import urllib.request

import pytest

from harness import BUILD, LIMIT, Program, wait_until
from machines import Here
from nats_client import NatsClient

NATS_SERVER = "/usr/sbin/nats-server"

# Lame duck of less than 30 s is refused, but with few clients it takes no longer than a second for each.
CONFIGURATION = """\
server_name: {name}
listen: "{server.address}"
http: "{server.monitor_address}"
ping_interval: "1s"
ping_max: {pings}
write_deadline: "2s"
lame_duck_duration: "30s"
lame_duck_grace_period: "3s"
{more}
"""

ROUTES = """\
cluster {{
    name: "test"
    listen: "{own}"
    routes: [{routes}]
}}
"""


def skip_without_nats():
    if not (BUILD / "banterd-nats.so").exists():
        pytest.skip("banterd was built without NATS")


class Node(Program):
    """A process of nats-server. It logs to standard error; how it ends is its own business."""

    def check(self):
        pass


class NatsServer:
    """A nats-server that has its ports, name and configuration for good, and one process after the other.

    `address` is HOST:PORT for clients; `more` is added to the configuration (a login, TLS, max_payload). With
    start=False it is not there yet. It gives up who does not answer so many `pings`, one a second: a test's own clients
    answer only while the test reads from them.
    """

    def __init__(self, bench, name="n1", more="", machine=None, start=True, pings=20):
        skip_without_nats()
        self.machine = machine or Here(bench)
        self.address = f"{self.machine.host}:{self.machine.port(4222)}"
        self.port = int(self.address.rsplit(":", 1)[1])
        self.monitor_address = f"{self.machine.host}:{self.machine.port(8222)}"
        self.name = name
        self.process = None
        self._bench = bench
        self._file = bench.folder / f"{name}.conf"
        self._pings = pings
        self.configure(more)
        if start:
            self.start()

    def configure(self, more):
        """For its next process, or reload()."""
        self._file.write_text(CONFIGURATION.format(name=self.name, server=self, more=more, pings=self._pings))

    def start(self, ready=True):
        self.process = self._bench.start([*self.machine.within, NATS_SERVER, "-c", self._file], kind=Node)
        if ready:
            self.wait_ready()

    def wait_ready(self):
        self.process.stderr.wait_for(r"Server is ready$")

    @property
    def log(self):
        """What the present process has logged: an Output."""
        return self.process.stderr

    def connect(self, **how):
        """A NatsClient, closed at the latest when the test ends."""
        return self._bench.keep(NatsClient(self.address, **how))

    # What may happen to it

    def kill(self):
        self.process.kill()

    def stop(self):
        self.process.stop(signal.SIGTERM)

    def suspend(self):
        self.process.suspend()

    def resume(self):
        self.process.resume()

    def reload(self):
        """It reads its configuration again, and goes on with it; clients that it would not let in now have to go."""
        self.process.send_signal(signal.SIGHUP)
        self.log.wait_for(r"Reloaded server configuration$")

    def become_lame_duck(self):
        """Clients are told to go, and sent away one after the other; then it ends: see process.wait()."""
        self.process.send_signal(signal.SIGUSR2)

    # What it knows

    def monitor(self, path):
        """What its monitoring says there, such as "/varz" or "/connz?subs=1"; see NATS' documentation."""
        with urllib.request.urlopen(f"http://{self.monitor_address}{path}", timeout=LIMIT) as answer:
            return json.load(answer)

    def subscriptions(self, subject):
        """Its own clients' subscriptions to exactly this subject."""
        listed = self.monitor("/subsz?subs=1&limit=100000").get("subscriptions_list") or []
        return [each for each in listed if each["subject"] == subject]

    def wait_served(self, subject, count=1):
        """Waits until `count` of its own clients have subscribed to this subject."""
        wait_until(lambda: len(self.subscriptions(subject)) == count, f"{count} subscription(s) to {subject}")

    def knows(self, subject):
        """Whether a request to this subject that comes to it has somebody to go to, at whichever node."""
        routes = self.monitor("/routez?subs=1")["routes"] or []
        return bool(self.subscriptions(subject) or
                    any(subject in route.get("subscriptions_list", ()) for route in routes))

    def connections(self):
        """The names that clients have given themselves when they connected."""
        return [each.get("name", "") for each in self.monitor("/connz")["connections"]]


class NatsCluster:
    """`nodes` are NatsServers that are connected with each other; `addresses` has all of them, with commas between.
    Frozen peers are found within three seconds, as is usual where that matters."""

    def __init__(self, bench, size=3, more="", machines=None):
        machines = machines or [Here(bench) for _ in range(size)]
        routes = [f"{machine.host}:{machine.port(6222)}" for machine in machines]
        others = ", ".join(f'"nats-route://{route}"' for route in routes)
        self.nodes = [NatsServer(bench, f"n{number}", more + ROUTES.format(own=own, routes=others), machine,
                                 start=False, pings=2)
                      for number, (own, machine) in enumerate(zip(routes, machines), 1)]
        for node in self.nodes:
            node.start(ready=False)
        self.wait_ready()

    @property
    def addresses(self):
        return ",".join(node.address for node in self.nodes)

    def wait_ready(self):
        """Waits until each node has a route to all others. All of them must run."""
        for node in self.nodes:
            node.wait_ready()
        for node in self.nodes:
            wait_until(lambda: self._known_to(node) == len(self.nodes) - 1, f"{node.name} knows the others")

    @staticmethod
    def _known_to(node):
        return len({route["remote_id"] for route in node.monitor("/routez")["routes"] or []})

    def wait_served(self, subject):
        """Waits until a request to this subject is taken by somebody, whichever node it comes to."""
        for node in self.nodes:
            wait_until(lambda: node.knows(subject), f"{node.name} knows who serves {subject}")
