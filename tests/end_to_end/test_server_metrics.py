"""--metrics: each figure against what the test did."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

import harness
import metrics
import pages
from harness import assert_replies, assert_stopped, wait_until
from test_server_access import connect_from
from test_server_proxy import is_closed

CODES = ["too-long", "incomplete", "bad-frame", "bad-request", "not-utf8", "handler-failed", "handler-timeout",
         "unavailable", "busy", "denied", "tls-required", "stopping", "other"]


def errors(**counts):
    counts = {code.replace("_", "-"): count for code, count in counts.items()}
    return {f'banterd_errors_total{{code="{code}"}}': counts.get(code, 0) for code in CODES}


def answered(figures):
    """How many requests are in the two histograms."""
    return sum(figures[f'banterd_request_seconds_count{{answered="{how}"}}'] for how in ("at-once", "late"))


def test_sessions_requests_and_bytes(server):
    banterd = server("-q", *metrics.OPTIONS)
    clients = [banterd.connect() for _ in range(12)]
    for client in clients:
        client.send("Zack\n" * 750)
    for client in clients:
        assert client.lines(750) == [b"Hello ZACK"] * 750
    figures = metrics.wait_for(banterd, {
        "banterd_sessions": 12, "banterd_sessions_total": 12, "banterd_requests_total": 9000,
        "banterd_received_bytes_total": 9000 * len("Zack\n"), "banterd_sent_bytes_total": 9000 * len("Hello ZACK\n"),
        'banterd_request_seconds_count{answered="at-once"}': 9000,
        'banterd_request_seconds_bucket{answered="at-once",le="+Inf"}': 9000,
        'banterd_request_seconds_count{answered="late"}': 0, **errors()})
    assert figures["banterd_batches_total"] >= 2
    assert figures['banterd_request_seconds_sum{answered="at-once"}'] > 0
    for client in clients[:5]:
        client.close()
    figures = metrics.wait_for(banterd, {"banterd_sessions": 7, "banterd_sessions_total": 12})
    assert answered(figures) == 9000


def test_each_error_once(server):
    banterd = server("-H", "test", "-q", "-m", "1000", "--max-clients", "4", "--handler-timeout", "300ms",
                     *metrics.OPTIONS)
    client = banterd.connect()
    for request in ("error mine x", "error not-utf8 x", "error unavailable x", "forget", "x" * 1001, "later 9999 x"):
        assert client.ask(request).startswith(b"-ERR ")
    half = banterd.connect()
    half.send("no end")
    half.half_close()
    assert_replies(half.replies(), ["-ERR incomplete"])
    web = banterd.connect()
    web.send("GET / HTTP/1.1\n")
    assert_replies(web.replies(), ["-ERR bad-request"])
    metrics.wait_for(banterd, {"banterd_sessions": 1})
    others = [banterd.connect() for _ in range(3)]
    for other in others:
        assert other.ask("x") == b"x"
    refused = banterd.connect()
    assert_replies(refused.replies(), ["-ERR busy"])
    counts = {"too_long": 1, "incomplete": 1, "bad_request": 1, "not_utf8": 1, "handler_failed": 1,
              "handler_timeout": 1, "unavailable": 1, "busy": 1, "other": 1}
    figures = metrics.wait_for(banterd, {
        **errors(**counts), 'banterd_refused_total{reason="busy"}': 1, "banterd_sessions": 4,
        "banterd_sessions_max": 4, "banterd_sessions_total": 6, "banterd_requests_total": 10})
    wait_until(lambda: answered(metrics.figures(banterd)) == 10, "each has a time")
    assert figures['banterd_request_seconds_count{answered="late"}'] >= 1
    banterd.send_signal(signal.SIGTERM)
    for each in (client, *others):
        assert_stopped(each)


def test_those_that_are_refused(server):
    banterd = server("-q", "--max-clients", "2", "--max-per-address", "1", "--deny", "127.0.0.9", *metrics.OPTIONS)
    clients = [connect_from(banterd, source) for source in ("127.0.0.1", "127.0.0.2")]
    assert [client.ask("x") for client in clients] == [b"Hello X"] * 2
    for source, code in (("127.0.0.9", "denied"), ("127.0.0.1", "busy"), ("127.0.0.3", "busy")):
        assert_replies(connect_from(banterd, source).replies(), [f"-ERR {code}"])
    metrics.wait_for(banterd, {**errors(busy=2, denied=1), **{
        f'banterd_refused_total{{reason="{reason}"}}': 1 for reason in ("busy", "address", "denied")}})


def test_wrong_proxy_headers(server):
    banterd = server("-q", "--proxy-from", "127.0.0.1", *metrics.OPTIONS)
    for text in ("Zack\n", "PROXY nonsense\r\n"):
        client = banterd.connect()
        client.send(text)
        assert is_closed(client)
    client = banterd.connect()
    client.send("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nx\n")
    assert client.readline() == b"Hello X"
    metrics.wait_for(banterd, {"banterd_proxy_failed_total": 2, "banterd_sessions_total": 1,
                               "banterd_requests_total": 1, **errors()})


def test_a_bad_frame(server):
    banterd = server("-f", "netstring", *metrics.OPTIONS)
    client = banterd.connect()
    client.send("x")
    assert_replies(client.replies(), ["-ERR bad-frame"])
    metrics.wait_for(banterd, {**errors(bad_frame=1), "banterd_requests_total": 0, "banterd_sessions": 0})


def test_those_that_are_told_of_the_stop(server):
    banterd = server("-H", "test", "--drain-timeout", "60s", *metrics.OPTIONS)
    address = metrics.address_of(banterd)
    idle = [banterd.connect() for _ in range(3)]
    for client in idle:
        assert client.ask("x") == b"x"
    held = banterd.connect()
    held.send_message("later 1500 held")
    metrics.wait_for(banterd, {"banterd_requests_total": 4})
    banterd.send_signal(signal.SIGTERM)
    for client in idle:
        assert_stopped(client)
    figures = metrics.wait_for(banterd, errors(stopping=3), address)
    assert metrics.ask(banterd, "/health", address=address)[::2] == (503, "stopping\n")
    assert figures["banterd_requests_total"] == 4
    assert_stopped(held, ["held"])
    assert banterd.wait() == 0


def test_late_answers_are_timed_one_by_one(server):
    banterd = server("-H", "test", *metrics.OPTIONS)
    client = banterd.connect()
    client.send_message("later 300 x", "quick behind it")
    assert client.lines(2) == [b"x", b"quick behind it"]
    figures = metrics.wait_for(banterd, {'banterd_request_seconds_count{answered="late"}': 2,
                                         'banterd_request_seconds_count{answered="at-once"}': 0,
                                         'banterd_request_seconds_bucket{answered="late",le="0.25"}': 0})
    assert figures['banterd_request_seconds_sum{answered="late"}'] > 0.5


def test_handovers_and_what_is_offloaded(server):
    """Each call that sleeps is one or the other; on a busy machine which one is open, and whether it is seen."""
    banterd = server("-H", "test", "-t", "1", *metrics.OPTIONS)
    asked = 0

    def both():
        nonlocal asked
        asked += 2
        client = banterd.connect()
        assert [client.ask("sleep 50 x") for _ in range(2)] == [b"x"] * 2
        figures = metrics.figures(banterd)
        taken, offloaded = figures["banterd_handovers_total"], figures["banterd_offloaded_total"]
        assert taken + offloaded <= asked
        return taken >= 1 and offloaded >= 1

    wait_until(both, "one loses its loop, another is called elsewhere")
    figures = metrics.wait_for(banterd, {"banterd_loops": 1, "banterd_loops_in_use": 1, "banterd_offload_waiting": 0})
    assert figures["banterd_threads"] >= 3
    wait_until(lambda: answered(metrics.figures(banterd)) == asked, "each has a time")


def test_requests_that_wait_for_a_thread(server):
    """They are of clients that compute, of which as many run at a time as there are cores."""
    banterd = server("-H", "test", "--handler-timeout", "0", *metrics.OPTIONS)
    clients = [banterd.connect() for _ in range(10)]
    for client in clients:
        client.send_message("compute 20 x")
        assert client.readline() == b"x"
    for client in clients:
        client.send_message("compute 20 x")
    figures = metrics.wait_for(banterd, {"banterd_requests_total": 20})
    assert figures["banterd_offload_waiting"] <= 10
    for client in clients:
        assert client.readline() == b"x"
    metrics.wait_for(banterd, {"banterd_offload_waiting": 0})


# ---- programs, the log, the process

def states(**counts):
    return {f'banterd_workers{{state="{state}"}}': counts.get(state, 0)
            for state in ("starting", "waits", "rests", "works", "down")}


def test_workers(server):
    banterd = server("-w", "3", "--drain-timeout", "0", *metrics.OPTIONS, "--", "sed", "-u", "s/^slow/sleep 1000/;T;e")
    metrics.wait_for(banterd, {**states(waits=3), "banterd_worker_replacements_total": 0})
    slow = banterd.connect()
    slow.send_message("slow")
    metrics.wait_for(banterd, states(waits=2, works=1))
    lost = int(banterd.log.wait_for(r"^Worker 1 started, process (\d+)$")[1])
    os.killpg(lost, signal.SIGKILL)
    wait_until(lambda: metrics.figures(banterd)["banterd_worker_replacements_total"] >= 1, "it is replaced")


def reloads(ok=0, failed=0):
    return {'banterd_reloads_total{result="ok"}': ok, 'banterd_reloads_total{result="failed"}': failed}


def test_files_that_are_read_anew(server):
    banterd = server(*metrics.OPTIONS)
    metrics.wait_for(banterd, {**reloads(), "banterd_reload_timestamp_seconds": 0})
    before = int(time.time())
    for count in (1, 2):
        banterd.process.send_signal(signal.SIGHUP)
        figures = metrics.wait_for(banterd, reloads(ok=count))
        assert before <= figures["banterd_reload_timestamp_seconds"] <= time.time()


def test_a_server_without_workers_has_none(server):
    banterd = server(*metrics.OPTIONS)
    metrics.wait_for(banterd, {**states(), "banterd_worker_replacements_total": 0})


def test_lines_of_the_log(server):
    banterd = server(*metrics.OPTIONS)
    client = banterd.connect()
    for _ in range(10):
        assert client.ask("x") == b"Hello X"
    banterd.log.wait_for("Processed result", 10)
    metrics.wait_for(banterd, {"banterd_log_lines_total": 3 + 1 + 20, "banterd_log_dropped_total": 0})
    assert len(banterd.log.lines) == 24


def test_lines_that_nobody_reads(server, folder):
    """The log is a pipe that is full."""
    reading, writing = os.pipe()
    banterd = server("-H", "echo", "-m", "64k", *metrics.OPTIONS[:1], f"unix:{folder}/metrics", stdout=writing,
                     listen=f"unix:{folder}/socket", ready=False)
    os.close(writing)
    wait_until(lambda: harness.is_listening(folder / "socket"), "it listens")
    client = banterd.connect(f"unix:{folder}/socket")

    def dropped():
        assert client.ask("x" * 60000) == b"x" * 60000
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(folder / "metrics"))
            connection.sendall(b"GET /metrics HTTP/1.0\n\n")
            text = metrics.read(connection).body
        return metrics.figures_of(text)["banterd_log_dropped_total"]

    wait_until(dropped, "lines are dropped")
    os.close(reading)


def test_the_process(server):
    before = time.time()
    banterd = server(*metrics.OPTIONS)
    figures = metrics.figures(banterd)
    assert before - 2 < figures["process_start_time_seconds"] < time.time() + 2
    assert 0 < figures["process_cpu_seconds_total"] < 100
    assert 0.3 < figures["process_resident_memory_bytes"] / banterd.memory() < 3
    assert abs(figures["process_open_fds"] - banterd.descriptors()) <= 1
    limit = re.search(r"Max open files +(\d+)", open(f"/proc/{banterd.pid}/limits").read())[1]
    assert figures["process_max_fds"] == int(limit)
    time_at_start = figures["process_start_time_seconds"]
    assert metrics.figures(banterd)["process_start_time_seconds"] == time_at_start


@pytest.mark.parametrize("options, labels", [
    ([], 'handler="hello",framing="line"'),
    (["-H", "echo", "-f", "netstring"], 'handler="echo",framing="netstring"'),
    (["--", "cat"], 'handler="program",framing="line"'),
])
def test_what_runs(server, bench, options, labels):
    version = bench.run([harness.BANTERD, "--version"]).stdout.decode().split()[1]
    banterd = server(*metrics.OPTIONS, *options)
    assert metrics.figures(banterd)[f'banterd_build_info{{version="{version}",{labels}}}'] == 1


# ---- the format, and its description

def described(text):
    """{name: its labels}"""
    found = {name: [] for name in re.findall(r"^# TYPE (\S+) \S+$", text, re.M)}
    for name, labels in re.findall(r"^([a-z_]+?)(?:_bucket|_sum|_count)?(?:{(.*)})? ", text, re.M):
        found[name] = [label for label in re.findall(r'(?:^|,)([a-z_]+)="', labels) if label != "le"]
    return found


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_has_nothing_to_say(server):
    banterd = server(*metrics.OPTIONS)
    assert banterd.connect().ask("x") == b"Hello X"
    run = subprocess.run(["promtool", "check", "metrics"], input=metrics.ask(banterd).body.encode(),
                         capture_output=True, timeout=harness.LIMIT)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_the_page_has_every_metric(server, certificates):
    nowhere = "nats:127.0.0.1:1/x"
    banterd = server(*metrics.OPTIONS, "--cert", certificates.path("server.pem"), "--handler", nowhere, "--listen", nowhere,
                     listen="tls:127.0.0.1:0")
    text = pages.section(pages.rendered("banterd.8"), "METRICS")
    listed = re.findall(r"^ {5}((?:banterd|process)_[a-z_]+)(?:{([a-z,]*)})?$", text, re.M)
    assert len({name for name, _ in listed}) == len(listed)
    assert {name: labels.split(",") if labels else [] for name, labels in listed} == \
        described(metrics.ask(banterd).body)


# ---- under load

def test_a_thousand_scrapes(server):
    """What is counted never goes down, and nothing is left of them."""
    banterd = server("-qq", *metrics.OPTIONS)
    client = banterd.connect()
    assert client.ask("x") == b"Hello X"
    before = banterd.descriptors()
    last = metrics.figures(banterd)
    for number in range(harness.scaled(1000, 200)):
        client.send("x\n" * 20)
        now = metrics.figures(banterd)
        assert not [name for name in now if "_total" in name or "_count" in name if now[name] < last[name]]
        assert client.lines(20) == [b"Hello X"] * 20
        last = now
    assert last["banterd_sessions_total"] == 1
    wait_until(lambda: banterd.descriptors() <= before, "their connections are closed")


@pytest.mark.slow
def test_while_all_handlers_hang_and_many_are_idle(server):
    """There are more calls that hang than there may be threads."""
    hang, idle = 720, harness.scaled(5000, 200)
    banterd = server("-H", "test", "-q", "--handler-timeout", "0", "--drain-timeout", "300ms", *metrics.OPTIONS,
                     expect_status=2, expect_stderr=".*")
    clients = [banterd.connect() for _ in range(idle)]
    hanging = [banterd.connect() for _ in range(hang)]
    for client in hanging:
        client.send_message("meet 100000")
    banterd.log.wait_for("No thread to go on while handlers run long")
    figures = metrics.wait_for(banterd, {"banterd_sessions": idle + hang})
    assert figures["banterd_requests_total"] <= hang
    assert metrics.ask(banterd, "/health")[::2] == (200, "ok\n")
    assert len(clients) == idle
    assert banterd.stop() == 2
