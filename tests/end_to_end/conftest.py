"""Fixtures of the end-to-end tests. See harness.py for what they give."""
import subprocess

import pytest

import harness
from certificates import Folder
from nats_servers import NatsCluster, NatsServer
from peers.by_hand import Script
from peers.scripted import Peer, hello
from screen import Screen
from secure import client_context

_failed = pytest.StashKey()
_bench = pytest.StashKey()


@pytest.hookimpl(trylast=True)  # when it is clear which tests are left
def pytest_collection_modifyitems(config, items):
    for item in items:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(harness.TEST_LIMIT))
    begin_with_the_slow(items, getattr(config, "workerinput", {}).get("workercount", 1))


def begin_with_the_slow(items, workers):
    """A slow test that began last would keep one worker busy while the others have nothing to do.
    xdist first gives each worker a quarter of its share, in the order of the list: each of these
    pieces gets as many slow tests as the others."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    first = len(items) // workers // 4 * workers
    items[:first] = [item for worker in range(workers) for item in items[worker:first:workers]]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test's report shows what its programs wrote."""
    report = (yield).get_result()
    if report.failed:
        item.stash[_failed] = True
        if _bench in item.stash:
            for program in item.stash[_bench].programs:
                report.sections.append(("program", program.report()))


@pytest.fixture
def bench(request):
    """Everything a test starts. The other fixtures are short names for its methods."""
    bench = harness.Bench()
    request.node.stash[_bench] = bench
    yield bench
    bench.finish(failed=request.node.stash.get(_failed, False))


@pytest.fixture
def folder(bench):
    """A folder of the test's own; programs run in it."""
    return bench.folder


@pytest.fixture
def server(bench):
    """server(*options) starts a banterd and returns it when it listens."""
    return bench.server


@pytest.fixture
def netcat(bench):
    """netcat(server, *options) starts one that is connected, with a pipe to type into."""
    def start(server, *options, **how):
        host, port = server.address.rsplit(":", 1)
        how.setdefault("stdin", subprocess.PIPE)
        return bench.start(["nc", *options, host.strip("[]"), port], **how)
    return start


@pytest.fixture
def nats_server(bench):
    """nats_server(...) starts one and returns it when it is ready."""
    return lambda **how: NatsServer(bench, **how)


@pytest.fixture
def nats_cluster(bench):
    """nats_cluster(...) starts three that are connected with each other."""
    return lambda **how: NatsCluster(bench, **how)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Authorities, and a certificate "server" for localhost that "ca" has signed."""
    made = Folder(tmp_path_factory.mktemp("certificates"))
    made.sign("server")
    return made


@pytest.fixture
def secure(server, certificates):
    """secure(*options) starts a banterd for clients that speak TLS."""
    def start(*options, name="server.pem", listen="tls:127.0.0.1:0", **how):
        return server("--cert", certificates.path(name), *options, listen=listen, **how)
    return start


@pytest.fixture
def context(certificates):
    """What a client has that trusts this server."""
    return client_context(certificates)


@pytest.fixture
def run_banter(bench):
    """run_banter(*args, input=...) runs the client to its end and returns (status, stdout, stderr)."""
    def run(*args, **how):
        return bench.run([harness.BANTER, *args], **how)
    return run


@pytest.fixture
def start_banter(bench):
    """start_banter(*args) starts the client with a pipe as its standard input."""
    def start(*args, **how):
        how.setdefault("stdin", subprocess.PIPE)
        return bench.start([harness.BANTER, *args], **how)
    return start


# ---- at a terminal

@pytest.fixture
def open_screen(bench):
    """open_screen(command, ...) starts a program at a terminal of its own."""
    screens = []

    def start(command, columns=80, rows=24, **env):
        env = bench.environment(**{"TERM": "xterm-256color", **env})
        screens.append(Screen(command, env, bench.folder, columns, rows))
        return screens[-1]
    yield start
    for screen in screens:
        screen.close()


@pytest.fixture
def at_terminal(open_screen):
    """at_terminal(peer, *options) starts the client and waits for its first prompt."""
    def start(peer, *options, **how):
        screen = open_screen([harness.BANTER, "-c", peer.address, *options], **how)
        screen.wait_last("->")
        return screen
    return start


@pytest.fixture
def peer():
    """A server that says Hello."""
    with Peer(hello) as peer:
        yield peer


@pytest.fixture
def shell_screen(open_screen):
    """shell_screen(command) types a command into a bash; for job control and redirections."""
    def start(command, **how):
        screen = open_screen(["bash", "--norc", "--noediting"], PS1="$ ", **how)
        screen.wait_lines("$")
        screen.enter(command)
        return screen
    return start


@pytest.fixture
def script():
    """A server whose replies the test sends by hand."""
    with Script() as script:
        yield script
