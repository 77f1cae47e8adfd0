"""The benchmark's own programs: the load generator counts rightly, the peers answer, the driver runs.

How fast anything is, is never judged here.
"""
import json
import re

import pytest

import harness

LOAD = harness.BUILD / "bench" / "load"
RUN = harness.TOP / "tests" / "bench" / "run"
COUNTS = ("answered", "wrong", "refused", "lost", "unasked", "closed")


@pytest.fixture
def load(bench):
    """load(server, *options) runs the generator; returns its exit status, its report, its standard error."""
    def run(server, *options):
        assert LOAD.exists(), f"{LOAD} is not there; build it with: make bench-programs"
        ended = bench.run([LOAD, "--json", "--connect", server.address, *options])
        lines = ended.stdout.splitlines()
        assert len(lines) == 1, ended
        return ended.status, json.loads(lines[0]), harness.text_of(ended.stderr)
    return run


@pytest.fixture
def peer(bench):
    """peer(name) starts one of the servers to compare with."""
    def start(name):
        program = bench.start([harness.BUILD / "bench" / name, "0"])
        program.address = "127.0.0.1:" + program.stdout.wait_for(r"^listening on (\d+)$")[1]
        return program
    return start


def counts(report):
    """What is not zero of the counts."""
    return {name: report[name] for name in COUNTS if report[name]}


def assert_possible(report):
    """No request can have taken longer than the whole run."""
    latency = [report["latency_us"][name] for name in ("p50", "p90", "p99", "p99.9", "max")]
    assert latency == sorted(latency) and latency[0] > 0
    assert latency[-1] <= report["seconds"] * 1e6 + 1


@pytest.mark.parametrize("options", [
    [],
    ["--connections", "7"],
    ["--connections", "7", "--depth", "16"],
    ["--depth", "1000"],
    ["--connections", "4", "--rate", "2000"],
    ["--connections", "4", "--rate", "2000", "--depth", "8"],
    ["--payload", "5120"],
    ["--payload", "5120", "--depth", "100"],
    ["--message", "", "--expect", "Hello "],
    ["--message", "groß", "--expect", "Hello GROSS"],
    ["--message", "groß", "--any-reply"],
])
def test_every_request_is_answered_and_counted(server, load, options):
    banterd = server("--quiet", "--quiet")
    status, report, stderr = load(banterd, "--requests", "2000", *options)
    assert (status, stderr) == (0, "")
    assert counts(report) == {"answered": 2000}
    assert_possible(report)
    clients = options[options.index("--connections") + 1] if "--connections" in options else 1
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == f"Server stopped after {clients} clients, 2000 requests"


def test_netstring(server, load):
    status, report, _ = load(server("--framing", "netstring", "--quiet"), "--framing", "netstring",
                             "--requests", "500", "--depth", "5")
    assert (status, counts(report)) == (0, {"answered": 500})


def test_for_a_time(server, load):
    banterd = server("--quiet", "--quiet")
    status, report, _ = load(banterd, "--duration", "200ms", "--connections", "3")
    assert status == 0
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == f"Server stopped after 3 clients, {report['answered']} requests"


def test_wrong_replies_are_told(server, load):
    status, report, stderr = load(server("--quiet"), "--requests", "10", "--expect", "Hello Zack")
    assert (status, counts(report)) == (1, {"answered": 10, "wrong": 10})
    assert stderr == "load: the first reply that was not right: Hello ZACK\n"


@pytest.mark.parametrize("more", [[], ["--any-reply"]])
def test_errors_are_told(server, load, more):
    status, report, stderr = load(server("--quiet", "--max-message", "3"), "--requests", "10", *more)
    assert (status, counts(report)) == (1, {"answered": 10, "refused": 10})
    assert "-ERR too-long" in stderr


def test_lost_requests_are_told(server, load):
    status, report, _ = load(server("--quiet"), "--requests", "9", "--connections", "3", "--depth", "3",
                             "--message", "--QUIT--")
    assert (status, counts(report)) == (1, {"lost": 9, "closed": 3})


def test_unasked_frames_are_no_replies(server, load):
    status, report, stderr = load(server("--quiet", "--max-clients", "1"), "--requests", "2",
                                  "--connections", "2")
    assert (status, counts(report)) == (1, {"answered": 1, "lost": 1, "unasked": 1, "closed": 1})
    assert "-ERR busy" in stderr


def test_latency_counts_from_the_due_time(server, load):
    """20 requests fall due within 310 ms at the latest and take at least a second, one after the other: the
    last has waited for 690 ms, though its own reply took 50."""
    banterd = server("-H", "test", "--quiet")
    status, report, _ = load(banterd, "--requests", "20", "--rate", "100", "--message", "sleep 50 x",
                             "--expect", "x")
    assert (status, counts(report)) == (0, {"answered": 20})
    assert report["latency_us"]["max"] >= 690_000


@pytest.mark.parametrize("name, options", [("uv_line", []), ("floor", ["--expect", "Zack"])])
@pytest.mark.parametrize("more", [["--depth", "1"], ["--depth", "32"]])
def test_peers_answer(peer, load, name, options, more):
    status, report, stderr = load(peer(name), "--requests", "3000", "--connections", "10", *more, *options)
    assert (status, counts(report), stderr) == (0, {"answered": 3000}, "")


def test_uv_line_puts_cut_lines_together(peer, bench):
    client = bench.connect(peer("uv_line").address)
    client.send("cut\nup")
    assert client.readline() == b"Hello CUT"
    client.send("\n\nlast\nrest")
    client.half_close()
    assert client.read_to_eof() == b"Hello UP\nHello \nHello LAST\n"


@pytest.mark.parametrize("arguments, rows", [
    (["throughput", "--rounds", "2", "--duration", "0.1", "--connections", "5"],
     ["banterd", "uv_line", "floor"] * 2),
    (["isolation", "--rounds", "1", "--duration", "0.3", "--heavy", "2", "--work", "5"], ["hand-over"]),
    (["isolation", "--rounds", "1", "--duration", "0.3", "--heavy", "2", "--work", "5",
      "--without", harness.BANTERD_TEST], ["hand-over", "without it"]),
    (["idle", "--connections", "100"],
     ["banterd, not a word said", "banterd, each was answered once",
      "uv_line, not a word said", "uv_line, each was answered once"]),
])
def test_driver(bench, arguments, rows):
    ended = bench.run(["/usr/bin/python3", RUN, *arguments], env={"BANTER_BUILD": harness.BUILD})
    text = harness.text_of(ended.stdout)
    assert (ended.status, ended.stderr) == (0, b""), ended
    assert re.search(r"^- machine: \d+ cores .* Linux ", text, re.M), text
    assert re.findall(r"^\| (.*?) \| +[\d.]+", text, re.M) == rows, text
