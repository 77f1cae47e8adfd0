"""The benchmark's own programs: the load generator counts rightly, the peers answer, the driver runs.

How fast anything is, is never judged here.
"""
import importlib
import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

import harness

pytestmark = pytest.mark.no_sanitizer

LOAD = harness.BUILD / "bench" / "load"
PYTHON_LINES = harness.TOP / "tests" / "bench" / "peers" / "py_lines.py"
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
        command = ["/usr/bin/python3", PYTHON_LINES, *name.split()[1:]] if name.startswith("python") \
            else [harness.BUILD / "bench" / name]
        program = bench.start([*command, "0"])
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


@pytest.mark.parametrize("framing", ["line", "netstring"])
@pytest.mark.parametrize("more", [["--depth", "1"], ["--depth", "3", "--connections", "3"]])
def test_long_replies_come_in_pieces(server, load, framing, more):
    banterd = server("--quiet", "-H", "echo", "--max-message", "300k", "--framing", framing)
    status, report, stderr = load(banterd, "--payload", "300k", "--echo", "--requests", "50", "--framing", framing,
                                  *more)
    assert (status, counts(report), stderr) == (0, {"answered": 50}, "")


@pytest.mark.parametrize("at", [0, 50_000, 99_999])
def test_a_long_reply_that_goes_wrong(server, load, at):
    """Wherever it does: it is one reply, and the next one is looked at anew."""
    banterd = server("--quiet", "-H", "echo", "--max-message", "100000")
    expected = "x" * at + "y" + "x" * (99_999 - at)
    status, report, stderr = load(banterd, "--payload", "100000", "--expect", expected, "--requests", "9")
    assert (status, counts(report)) == (1, {"answered": 9, "wrong": 9})
    assert "x" * 100 in stderr


def test_connections_are_held_until_a_word_comes(server, bench):
    banterd = server("--quiet", "--quiet")
    program = bench.start([LOAD, "--connect", banterd.address, "--hold", "--connections", "2", "--requests", "6"],
                          stdin=subprocess.PIPE)
    program.stdout.wait_for("^answered$")
    descriptors = Path(f"/proc/{program.process.pid}/fd")
    held = sum("socket:" in os.readlink(file) for file in descriptors.iterdir())
    program.process.stdin.write(b"\n")
    program.process.stdin.close()
    assert program.wait() == 0
    assert held == 2
    program.stdout.wait_for("^6 requests answered")


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


def test_literal_requests(server, load):
    """As for a server with another line protocol: the bytes as they are, both ways, however they are cut."""
    status, report, stderr = load(server("--quiet"), "--send", r"Za\x63k\r\n", "--receive", r"Hello ZACK\r\n",
                                  "--requests", "3000", "--connections", "3", "--depth", "16")
    assert (status, stderr, counts(report)) == (0, "", {"answered": 3000})


def test_a_literal_reply_of_several_lines(server, load):
    status, report, _ = load(server("-H", "test", "--quiet", "--framing", "netstring"),
                             "--send", "10:reply a\\\\nb,", "--receive", r"3:a\nb,", "--requests", "50", "--depth", "7")
    assert (status, counts(report)) == (0, {"answered": 50})


@pytest.mark.parametrize("expected", ["Hello ZACk\\n", "Hello ZACK\\r\\n", "Hello ZACK\\nmore"])
def test_a_wrong_literal_reply_ends_the_connection(server, load, expected):
    """Nobody could tell where the next one begins. A reply that is too short is not waited for longer either, once it
    has gone another way."""
    status, report, stderr = load(server("--quiet"), "--send", r"Zack\n", "--receive", expected, "--requests", "1000",
                                  "--depth", "2")
    assert status == 1
    assert (report["wrong"], report["closed"]) == (1, 1)
    assert report["lost"] == 1 or expected.endswith("more")
    assert "Hello ZACK" in stderr


@pytest.mark.parametrize("options, words", [
    (["--send", "x"], "--receive"),
    (["--send", r"\q", "--receive", "x"], "no escape"),
    (["--send", "x", "--receive", ""], "empty"),
    (["--send", "x", "--receive", "x", "--framing", "netstring"], "leave out"),
    (["--send", "x", "--receive", "x", "--stamped"], "leave out"),
    (["--expect", "x", "--stamped"], "contradict"),
    (["--expect", "x", "--echo"], "contradict"),
    (["--send", "x", "--receive", "x", "--echo"], "leave out"),
    (["--connect-each", "--depth", "2"], "--depth"),
    (["--connect-each", "--rate", "2"], "--rate"),
])
def test_usage(bench, options, words):
    ended = bench.run([LOAD, *options])
    assert ended.status == 64
    assert words in harness.text_of(ended.stderr)


def test_stamps_split_the_latency(server, load):
    """The handler began before it slept: what it took is in the client's half."""
    banterd = server("-H", "test", "--quiet")
    status, report, _ = load(banterd, "--message", "now", "--stamped", "--requests", "200", "--rate", "1000")
    assert (status, counts(report)) == (0, {"answered": 200})
    for half in ("server_us", "client_us"):
        assert report[half]["count"] == 200
        assert 0 < report[half]["max"] <= report["latency_us"]["max"] + 1


def test_what_is_no_stamp_is_wrong(server, load):
    banterd = server("-H", "test", "--quiet")
    for message in ("12", "99999999999999999999", "x", "9" * 18):
        status, report, _ = load(banterd, "--message", message, "--stamped", "--requests", "5")
        assert (status, counts(report)) == (1, {"answered": 5, "wrong": 5}), message


def test_work_is_counted_in_iterations(server, load):
    banterd = server("-H", "test", "--quiet")
    status, report, _ = load(banterd, "--message", "work 1000000 x", "--expect", "x", "--requests", "20")
    assert (status, counts(report)) == (0, {"answered": 20})


def test_idle_connections_are_there_and_ask_nothing(server, load):
    banterd = server("--quiet", "--quiet")
    status, report, _ = load(banterd, "--connections", "3", "--idle", "40", "--requests", "100")
    assert (status, counts(report)) == (0, {"answered": 100})
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == "Server stopped after 43 clients, 100 requests"


def test_an_idle_connection_that_is_closed_is_told(server, load):
    status, report, _ = load(server("--quiet", "--max-clients", "2"), "--idle", "2", "--requests", "1")
    assert status == 1
    assert counts(report) == {"lost": 1, "unasked": 1, "closed": 1}
    status, report, _ = load(server("--quiet", "--idle-timeout", "500ms", "--max-clients", "3"), "--idle", "2",
                             "--rate", "100", "--duration", "3s")
    assert status == 1
    assert (report["closed"], report["unasked"], report["lost"]) == (2, 0, 0)


def test_a_connection_for_each_request(server, load):
    banterd = server("--quiet", "--quiet")
    status, report, _ = load(banterd, "--connect-each", "--connections", "5", "--requests", "300")
    assert (status, counts(report)) == (0, {"answered": 300})
    assert_possible(report)
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == "Server stopped after 300 clients, 300 requests"


def test_a_connection_for_each_request_over_a_unix_socket(server, load, folder):
    banterd = server("--quiet", listen=f"unix:{folder}/socket")
    status, report, _ = load(banterd, "--connect-each", "--requests", "20")
    assert (status, counts(report)) == (0, {"answered": 20})


@pytest.fixture
def secured(server, certificates):
    """A banterd that speaks TLS."""
    return server("--quiet", "--quiet", "--cert", certificates.path("server.pem"), "--max-message", "1m",
                  listen="tls:127.0.0.1:0")


@pytest.mark.parametrize("options, requests", [
    (["--connections", "7", "--depth", "16"], 2000),
    (["--connections", "7", "--rate", "2000"], 500),
    (["--connections", "3", "--connect-each"], 30),
    (["--connections", "2", "--idle", "5"], 100),
    (["--payload", "300k", "--depth", "3"], 30),  # more than a read of the generator gives
])
def test_the_same_through_tls(secured, load, options, requests):
    secured.address = secured.address.removeprefix("tls:")
    status, report, stderr = load(secured, "--tls", "--requests", requests, *options)
    assert (status, counts(report), stderr) == (0, {"answered": requests}, "")


def test_a_server_that_speaks_no_tls(server, load, bench):
    banterd = server("--quiet")
    ended = bench.run([LOAD, "--connect", banterd.address, "--tls", "--requests", "10"])
    assert ended.status == 69
    assert "unable to shake hands: " in harness.text_of(ended.stderr)
    status, report, _ = load(banterd, "--tls", "--connect-each", "--requests", "10")
    assert (status, counts(report)) == (1, {"lost": 10, "closed": 10})


def test_each_connection_that_fails_is_counted(bench):
    """Nobody listens there any more."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        ended = bench.run([LOAD, "--json", "--connect", port, "--connect-each", "--connections", "2",
                           "--requests", "10"])
    assert ended.status == 1
    assert counts(json.loads(ended.stdout)) == {"lost": 10, "closed": 10}


def test_the_warm_up_is_not_in_the_figures(server, load):
    """All requests fall due within 310 ms, and the warm-up lasts longer."""
    status, report, _ = load(server("--quiet"), "--rate", "100", "--requests", "20", "--warm-up", "1h")
    assert (status, counts(report)) == (0, {"answered": 20})
    assert (report["latency_us"]["count"], report["per_second"], report["seconds"]) == (0, 0, 0)
    status, report, _ = load(server("--quiet"), "--duration", "500ms", "--warm-up", "500ms")
    assert 0 < report["latency_us"]["count"] < report["answered"]


def test_wait(server, bench):
    """All are connected before a word is said."""
    banterd = server()
    program = bench.start([LOAD, "--connect", banterd.address, "--wait", "--connections", "2", "--requests", "2"],
                          stdin=subprocess.PIPE)
    program.stdout.wait_for("^connected$")
    banterd.log.wait_for(r"^\[2\] Connected with ")
    assert "Processing" not in banterd.log.text
    program.process.stdin.write(b"\n")
    program.process.stdin.close()
    assert program.wait() == 0
    program.stdout.wait_for("^2 requests answered")


PEERS = ["uv_line", "event_line", "thread_line", "python threads", "python asyncio"]


@pytest.mark.parametrize("name, options", [*((name, []) for name in PEERS), ("floor", ["--expect", "Zack"])])
@pytest.mark.parametrize("more", [["--depth", "1"], ["--depth", "32"]])
def test_peers_answer(peer, load, name, options, more):
    status, report, stderr = load(peer(name), "--requests", "3000", "--connections", "10", *more, *options)
    assert (status, counts(report), stderr) == (0, {"answered": 3000}, "")


@pytest.mark.parametrize("name", ["uv_line", "event_line", "thread_line"])
def test_peers_give_back(bench, load, name):
    program = bench.start([harness.BUILD / "bench" / name, "0", "echo"])
    program.address = "127.0.0.1:" + program.stdout.wait_for(r"^listening on (\d+)$")[1]
    for message in (["--message", "work 1"], ["--message", "now"], ["--payload", "200k"]):
        status, report, stderr = load(program, "--echo", "--requests", "30", "--connections", "3", *message)
        assert (status, counts(report), stderr) == (0, {"answered": 30}, "")


@pytest.mark.parametrize("name", PEERS)
def test_peers_put_cut_lines_together(peer, bench, name):
    client = bench.connect(peer(name).address)
    client.send("cut\nup")
    assert client.readline() == b"Hello CUT"
    client.send("\n\nlast\nwork 1")
    for expected in (b"Hello UP", b"Hello ", b"Hello LAST"):
        assert client.readline() == expected
    client.send("0\nsleep 1\nwork\nrest")
    client.half_close()
    assert client.read_to_eof().startswith(b"work 10\nsleep 1\nHello WORK\n")


@pytest.mark.parametrize("name", PEERS)
def test_peers_tell_the_time(peer, load, name):
    status, report, _ = load(peer(name), "--message", "now", "--stamped", "--requests", "50")
    assert (status, counts(report)) == (0, {"answered": 50})


def test_the_filter_answers(bench):
    ended = bench.run([harness.BUILD / "bench" / "line_filter"], input=b"Zack\nwork 10\n" + b"x" * 5000 + b"\nrest")
    assert (ended.status, ended.stdout) == (0, b"Hello ZACK\nwork 10\nHello " + b"X" * 5000 + b"\n")


def test_timed(bench):
    timed = harness.BUILD / "bench" / "timed"
    ended = bench.run([timed, "3", "sh", "-c", "exit 0"])
    report = json.loads(ended.stdout)
    assert (ended.status, report["runs"]) == (0, 3)
    assert 0 < report["p50_ms"] <= report["max_ms"]
    assert 100 < report["peak_kb"] < 100_000
    large = json.loads(bench.run([timed, "1", "/usr/bin/python3", "-c", "len('x' * 50_000_000)"]).stdout)
    assert large["peak_kb"] > 50_000_000 / 1024
    for command in (["sh", "-c", "exit 3"], ["no-such-program"]):
        ended = bench.run([timed, "2", *command])
        assert (ended.status, ended.stdout) == (1, b"")
    assert bench.run([timed]).status == 64


def driver(bench, *arguments, **environment):
    return bench.run(["/usr/bin/python3", RUN, *arguments], env={"BANTER_BUILD": harness.BUILD, **environment})


@pytest.mark.slow
def test_smoke(bench):
    """The whole benchmark, tiny: each kind of cell, with the peers that are installed, and the report of it."""
    ended = bench.run(["/usr/bin/python3", RUN, "smoke"], env={"BANTER_BUILD": harness.BUILD},
                      limit=harness.TEST_LIMIT - 5)
    assert ended.status == 0, ended
    assert re.search(r"^\d+ measurements of \d+ kinds, every reply was right$", harness.text_of(ended.stdout), re.M)


@pytest.mark.slow
def test_endure(bench):
    """For a moment, and little of everything: the loads are taken rightly, and each figure has a slope."""
    ended = driver(bench, "endure", "--duration", "8", "--scale", "0.01")
    assert ended.status == 0, ended
    text = harness.text_of(ended.stdout)
    assert len(re.findall(r"^\| .* \| (MiB|descriptors|threads) \|", text, re.M)) == 9
    assert "wrong" not in text
    assert re.search(r"^ +[1-9]\d* stops$", text, re.M)


@pytest.fixture
def build(folder):
    """A build folder of the test's own, with the programs in it: results are kept there."""
    build = folder / "build"
    (build / "bench").mkdir(parents=True)
    for program in [*(harness.BUILD / "bench").iterdir(), harness.BUILD / "banter", harness.BUILD / "banterd",
                    harness.BUILD / "tests"]:
        if program.name not in ("results", "report", "log", "data"):
            (build / program.relative_to(harness.BUILD)).symlink_to(program)
    return build


def test_a_run_in_pieces(bench, build, folder):
    """Results add up, and the report has them all."""
    cell = ["--duration", "0.05", "--rounds", "1", "--peers", "uv_line"]
    for arguments in (["measure", "throughput/1x1/4", *cell], ["measure", "throughput/1x1/4", *cell],
                      ["measure", "netstring/50x1", *cell],
                      # Only here is a floor, to which the plot's bars are held: uv_line has none.
                      ["measure", "throughput/50x1/4", *cell[:-1], "floor"]):
        ended = driver(bench, *arguments, BANTER_BUILD=build)
        assert ended.status == 0, ended
    ended = driver(bench, "report", "--folder", folder / "report", BANTER_BUILD=build)
    assert ended.status == 0, ended
    text = (folder / "report" / "report.md").read_text()
    assert re.search(r"^- machine: \d+ cores .* Linux ", text, re.M), text
    assert "in 4 runs" in text and "- rounds of each cell: 1 to 2" in text, text
    section = text[text.index("**throughput/1x1/4**"):text.index("**netstring/50x1**")]
    found = re.findall(r"^\| (\w+) \| [\d.]+ \([\d.]+ to [\d.]+\) \|", section, re.M)
    assert sorted(found) == ["banterd", "uv_line"], text
    assert "### Goals" in text


def test_messages_given_back(bench, build, folder):
    ended = driver(bench, "measure", "large/20x1/65536", "--duration", "0.05", "--rounds", "1", "--peers", "floor",
                   BANTER_BUILD=build)
    assert ended.status == 0, ended
    ended = driver(bench, "report", "--folder", folder / "report", BANTER_BUILD=build)
    assert ended.status == 0, ended
    text = (folder / "report" / "report.md").read_text()
    assert re.search(r"^\| large/20x1/65536 \| banterd \| [\d,]+ (\| [\d.]+ ){3}\| [\d.]+ \| -?[\d,]+ \| ", text, re.M), text


def test_tls_beside_the_clear(bench, build, folder):
    ended = driver(bench, "measure", "tls/50x1", "tls/handshakes", "tls/beside-p-256", "--duration", "0.05",
                   "--light-duration", "0.1", "--rounds", "1", "--peers", "banterd, TLS", BANTER_BUILD=build)
    assert ended.status == 0, ended
    ended = driver(bench, "report", "--folder", folder / "report", BANTER_BUILD=build)
    assert ended.status == 0, ended
    text = (folder / "report" / "report.md").read_text()
    for row in (r"tls/50x1 \| banterd, TLS \| [\d.]+ \| [\d.]+ \|", r"banterd, TLS \| [\d,]+ \|", "tls/beside-p-256 "):
        assert re.search(rf"^\| {row}", text, re.M), text


def test_another_build_of_the_client(bench, build):
    ended = driver(bench, "builds", "--beside", f"same={harness.BUILD}", "client/once", "start", "--rounds", "1",
                   BANTER_BUILD=build)
    assert ended.status == 0, ended
    text = harness.text_of(ended.stdout)
    for row in ("client/once, banter: ms for one message", "start, banterd: ms until it listens"):
        assert re.search(rf"^\| {row} \| less (\| [\d,.]+ ){{3}}\|$", text, re.M), text


def test_another_build_in_the_same_rounds(bench, build):
    ended = driver(bench, "builds", "--beside", f"same={harness.BUILD}", "throughput/1x1/4", "--rounds", "1",
                   "--duration", "0.05", BANTER_BUILD=build)
    assert ended.status == 0, ended
    text = harness.text_of(ended.stdout)
    for server in ("banterd", "banterd -t 1"):
        assert re.search(rf"^\| throughput/1x1/4, {server}: requests a second \| more (\| [\d,.]+ ){{3}}\|$", text, re.M), text
    assert not (build / "bench" / "results").exists()


@pytest.mark.skipif(not shutil.which("valgrind") or "BANTER_SLOW" in os.environ,
                    reason="needs valgrind, and a build that is not instrumented")
def test_instructions_are_counted(bench, build):
    ended = driver(bench, "instructions", "echo/50x16", "--functions", "--repeats", "1", "--requests", "2000",
                   "--beside", f"same={harness.BUILD}", BANTER_BUILD=build)
    assert ended.status == 0, ended
    counts = re.search(r"^\| echo/50x16 \| (\d+) \| (\d+) \| [\d.]+ \|$", harness.text_of(ended.stdout), re.M)
    assert counts and all(100 < int(count) < 100_000 for count in counts.groups()), ended
    assert re.search(r"^\| `put_reply` \| \d+ \|$", harness.text_of(ended.stdout), re.M), ended


def test_long_messages_may_come_in_more_pieces(monkeypatch):
    monkeypatch.syspath_prepend(str(RUN.parent))
    kept = importlib.import_module("kept")
    text = kept.text_of({}, {"echo/20x1/65536": 1000})
    assert [kept.compare(text, {}, {"echo/20x1/65536": figure})[0] for figure in (1250, 1251)] == [True, False]


@pytest.mark.parametrize("compiler, figure, good, words", [
    ("GCC: 12.2", 1030, True, "no figure is more than 3 % above what is kept"),
    ("GCC: 12.2", 1031, False, "hello/50x1 from 1000 to 1031;"),
    ("GCC: 12.2", 500, True, "no figure is more than 3 % above what is kept"),
    ("GCC: 13.1", 2000, True, "since this is GCC: 13.1 and not GCC: 12.2"),
])
def test_more_instructions_than_are_kept(monkeypatch, compiler, figure, good, words):
    monkeypatch.syspath_prepend(str(RUN.parent))
    kept = importlib.import_module("kept")
    text = kept.text_of({"compiler": "GCC: 12.2", "C library": "glibc 2.36"}, {"hello/50x1": 1000, "echo/50x1": 900})
    found = kept.compare(text, {"compiler": compiler, "C library": "glibc 2.36"}, {"hello/50x1": figure})
    assert found[0] == good and words in found[1]


@pytest.mark.parametrize("arguments, words", [
    (["measure", "no/such"], "no cell is called no/such"),
    (["builds", "--beside", "same=."], "banterd is not there"),
    (["instructions", "no/such"], "nothing is called no/such"),
    (["instructions", "hello/50x1", "--keep"], "--keep needs all cells"),
    (["measure", "--peers", "nobody"], "nothing is called nobody"),
    (["report"], "nothing has been measured yet"),
])
def test_driver_errors(bench, build, arguments, words):
    ended = driver(bench, *arguments, BANTER_BUILD=build)
    assert ended.status == 1
    assert words in harness.text_of(ended.stderr)


def test_a_driver_that_is_ended_ends_its_server(bench, build):
    """The server's log tells which port it had, and nobody is there any more."""
    program = bench.start(["/usr/bin/python3", RUN, "measure", "throughput/1x1/4", "--duration", "60",
                           "--peers", "floor"],
                          expect_stderr=".*", expect_status=143,
                          env={"BANTER_BUILD": build})
    log = build / "bench" / "log" / "banterd.log"
    harness.wait_until(lambda: log.exists() and re.search(r"now listening on .*:(\d+)\n(.*\n)*.*Connected", log.read_text()),
                       "a client of the measured server")
    port = int(re.search(r"now listening on .*:(\d+)", log.read_text())[1])
    assert program.stop() == 143
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), harness.LIMIT).close()


def test_a_wrong_reply_stops_the_benchmark(bench, build):
    """A server that can't take the message is no fast server."""
    (build / "banterd").unlink()
    (build / "banterd").write_text(f'#!/bin/sh\nexec "{harness.BUILD}/banterd" "$@" --max-message 3\n')
    (build / "banterd").chmod(0o755)
    ended = driver(bench, "measure", "throughput/1x1/4", "--duration", "0.05", "--rounds", "1", "--peers", "floor",
                   BANTER_BUILD=build)
    assert ended.status == 1
    assert "-ERR too-long" in harness.text_of(ended.stderr)
    assert '"per_second"' not in (build / "bench" / "results" / "rounds.jsonl").read_text()
