"""--control: what the server says of itself, and does, while all else hangs; and who may not ask it."""
import contextlib
import datetime
import json
import os
import random
import re
import resource
import select
import shutil
import signal
import stat
import subprocess

import pytest

from harness import BANTER, BANTERD, LIMIT, assert_stopped, is_error, is_listening, is_ready, scaled, wait_until

USAGE = 64
CONNECTIONS = 16
COMMANDS = ["status", "sessions [N]", "close N", "workers", "restart-workers", "reload", "log messages|connections|errors", "stop"]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture
def control(folder):
    return f"unix:{folder}/control"


@pytest.fixture
def operated(server, control):
    """operated(*options) starts a server with a control socket."""
    def start(*options, **how):
        return server("--control", control, *options, **how)
    return start


@pytest.fixture
def ask(bench, control):
    """ask(command) asks the control socket on a connection of its own."""
    def ask(command):
        client = bench.connect(control)
        reply = client.ask(command)
        client.close()
        return reply
    return ask


@pytest.fixture
def status(ask):
    return lambda: json.loads(ask("status"))


@pytest.fixture
def sessions(ask):
    return lambda number="": json.loads(ask(f"sessions {number}"))


# ---- the socket


def test_only_its_owner_may_open_it(operated, folder):
    before = os.umask(0)
    try:
        operated()
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "control").stat().st_mode) == 0o600


def test_a_dead_one_is_taken_over_and_none_is_left(operated, folder, status):
    operated(expect_status=-signal.SIGKILL).kill()
    assert not is_listening(folder / "control")
    banterd = operated()
    assert status()["pid"] == banterd.pid
    assert banterd.stop() == 0
    assert not (folder / "control").exists()


def test_one_that_is_in_use_is_left_alone(bench, operated, control, status):
    first = operated()
    result = bench.run([BANTERD, "-l", "127.0.0.1:0", "--control", control])
    assert (result.status, result.stderr) == (1, f"banterd: --control: {control}: Address already in use\n".encode())
    assert status()["pid"] == first.pid


@pytest.mark.parametrize("address", ["8000", "127.0.0.1:0", "/run/control", "", "unix:"])
def test_no_other_address(bench, address):
    status, output, errors = bench.run([BANTERD, "--control", address])
    assert (status, output) == (USAGE, b"")
    assert re.match(rb"banterd: --control: .*unix:", errors)


@needs_root
def test_another_user_is_denied(bench, operated, folder, control, sessions):
    operated()
    folder.chmod(0o755)
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    copy = shutil.copy(BANTER, folder)  # where another user can run it
    assert bench.run([*other, copy, "-c", control, "stop"]).status != 0
    (folder / "control").chmod(0o666)
    result = bench.run([*other, copy, "-c", control, "stop"])
    assert result.status != 0
    assert result.stdout + result.stderr != b"" and b"stopping" not in result.stdout
    script = ("import socket, sys\n"
              "client = socket.socket(socket.AF_UNIX)\n"
              "client.connect(sys.argv[1])\n"
              "print(client.makefile().read(), end='')\n")
    result = bench.run([*other, "/usr/bin/python3", "-c", script, folder / "control"])
    assert result.stdout == b"-ERR denied only root and the server's user may\n"
    assert sessions() == []


@needs_root
def test_the_servers_user_and_root_may(bench, folder, ask):
    folder.chmod(0o777)
    copy = shutil.copy(BANTERD, folder)
    banterd = bench.start(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy,
                           "-l", "127.0.0.1:0", "--control", f"unix:{folder}/control"])
    banterd.stdout.wait_text("now listening")
    assert (folder / "control").stat().st_uid == 65534
    assert ask("sessions") == b"[]"
    assert ask("stop") == b"stopping"
    assert banterd.wait() == 0


# ---- commands


def test_banter_asks_it(operated, run_banter, control):
    banterd = operated()
    client = banterd.connect()
    assert client.ask("a") == b"Hello A"
    for more in ([], ["--again", "never"]):
        result = run_banter("-c", control, *more, "status")
        assert (result.status, result.stderr) == (0, b"")
        assert json.loads(result.stdout)["sessions"] == 1
    assert run_banter("-c", control, "close 1").stdout == b"closed 1\n"
    assert_stopped(client)
    result = run_banter("-c", control, "close 1")
    assert (result.status != 0, result.stdout) == (True, b"-ERR bad-request there is no session 1\n")


def test_status(operated, status, bench, control):
    banterd = operated("-t", "2", "--max-clients", "50", "-m", "10")
    clients = [banterd.connect() for _ in range(3)]
    for client in clients:
        assert client.ask("abc") == b"Hello ABC"
        assert is_error(client.ask("abcdefghijk"), "too-long")
    assert is_error(clients[0].ask("\udcff".encode("utf-8", "surrogateescape")), "not-utf8")
    told = status()
    assert list(told) == ["version", "pid", "started", "uptime_s", "listeners", "handler", "framing", "sessions",
                          "max_clients", "sessions_total", "requests_total", "errors", "refused", "received_bytes",
                          "sent_bytes", "request_us", "loops", "late", "threads", "workers", "log", "tls",
                          "memory_bytes", "reload"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", told["started"])
    assert told["version"] and told["uptime_s"] > 0 and told["threads"] > 0
    assert {key: told[key] for key in ("pid", "listeners", "handler", "framing", "sessions", "max_clients",
                                       "sessions_total", "requests_total", "received_bytes", "workers", "refused",
                                       "late")} == {
        "pid": banterd.pid, "listeners": [banterd.address], "handler": "hello", "framing": "line", "sessions": 3,
        "max_clients": 50, "sessions_total": 3, "requests_total": 7, "received_bytes": 3 * (4 + 12) + 2, "workers": [],
        "refused": {"busy": 0, "address": 0, "denied": 0}, "late": {"running": 0, "waiting": 0}}
    assert told["sent_bytes"] > 0
    assert {code: count for code, count in told["errors"].items() if count} == {"too-long": 3, "not-utf8": 1}
    assert sum(loop["sessions"] for loop in told["loops"]) == 3
    assert sum(loop["requests"] for loop in told["loops"]) == 7
    assert [loop["in_use"] for loop in told["loops"]] == [True, True]
    quantiles = [told["request_us"][key] for key in ("p50", "p99", "p999", "max")]
    assert quantiles == sorted(quantiles) and quantiles[0] > 0
    assert told["log"]["lines"] > 0 and told["log"]["dropped"] == 0
    assert told["tls"] is told["reload"] is None


def test_clients_that_are_refused(operated, status):
    banterd = operated("--max-per-address", "1")
    first = banterd.connect()
    assert first.ask("a") == b"Hello A"
    for _ in range(3):
        assert is_error(banterd.connect().readline(), "busy")
    assert status()["refused"] == {"busy": 0, "address": 3, "denied": 0}
    assert (status()["sessions"], status()["sessions_total"]) == (1, 1)


def test_its_connections_are_in_no_count(operated, bench, control):
    banterd = operated()
    clients = [bench.connect(control) for _ in range(5)]
    for client in clients:
        told = json.loads(client.ask("status"))
        assert (told["sessions"], told["sessions_total"], told["requests_total"]) == (0, 0, 0)
        assert json.loads(client.ask("sessions")) == []
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == "Server stopped after 0 clients, 0 requests"


def test_sessions(operated, sessions, folder):
    banterd = operated("-H", "test", "-l", f"unix:{folder}/local", ready=False)
    banterd.wait_ready(listeners=2)
    first = banterd.connect()
    assert first.ask("later 0 x") == b"x"
    second = banterd.connect(f"unix:{folder}/local")
    second.send_message("later 100000 x", "later 100000 y")
    wait_until(lambda: [one["requests_pending"] for one in sessions(2)] == [2], "both were taken")
    told = sorted(sessions(), key=lambda one: one["session"])
    assert [(one["session"], one["address"], one.get("identity"), one["requests_pending"], one["unsent_bytes"])
            for one in told] == [(1, first.name, None, 0, 0),
                                 (2, f"unix:{folder}/local", f"uid={os.getuid()}", 2, 0)]
    assert all(one["idle_s"] >= 0 for one in told)
    for one in told:
        connected = datetime.datetime.strptime(one["since"], "%Y-%m-%dT%H:%M:%SZ")
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        assert -2 < (now - connected).total_seconds() < LIMIT
    assert sessions(1)[0]["address"] == first.name
    assert sessions(3) == []
    second.abandon()


def test_sessions_that_do_not_read(operated, sessions):
    banterd = operated("-H", "test", "-q")
    client = banterd.connect(receive_buffer=4096)
    client.send_in_background((b"x" * 5000 + b"\n") * 2000)
    wait_until(lambda: any(session["unsent_bytes"] > 0 for session in sessions(1)), "the reply is there")
    client.abandon()


@pytest.mark.parametrize("line, reply", [
    ("close", "this command is: close N"),
    ("status now", "this command is: status"),
    ("close 1 2", "a command has one argument at most"),
    ("close x", '"x" is not a whole number from 1 to 9223372036854775807'),
    ("close 0", '"0" is not a whole number from 1 to 9223372036854775807'),
    ("sessions -1", '"-1" is not a whole number from 1 to 9223372036854775807'),
    ("close 9223372036854775807", "there is no session 9223372036854775807"),
    ("log", "this command is: log messages|connections|errors"),
    ("log loud", "what is logged can be messages, connections or errors"),
    ("", f'there is no command ""; there are: {", ".join(COMMANDS)}'),
    ("Status", f'there is no command "Status"; there are: {", ".join(COMMANDS)}'),
    ("\x1b[2J", f'there is no command "\\x1b[2J"; there are: {", ".join(COMMANDS)}'),
    ("stop\0", "a command has no NUL in it"),
])
def test_what_is_no_command(operated, ask, line, reply):
    operated()
    assert ask(line) == f"-ERR bad-request {reply}".encode()


def test_words_may_have_spaces_around_them(operated, ask):
    operated()
    assert ask("  sessions \t 1 ") == b"[]"


def test_the_level_of_the_log(operated, ask):
    banterd = operated()
    client = banterd.connect()
    for level, shown in (("messages", True), ("errors", False), ("connections", False), ("messages", True)):
        assert ask(f"log {level}") == f"log {level}".encode()
        before = len(banterd.log.find("Processed result"))
        assert client.ask("a") == b"Hello A"
        banterd.connect().close()  # what it does to the log is seen below
        if shown:
            banterd.log.wait_for("Processed result", before + 1)
    assert banterd.stop() == 0
    assert len(banterd.log.find("Processed result")) == 2


# ---- closing


def test_one_that_is_closed_is_answered_first(operated, ask, sessions):
    banterd = operated("-H", "test")
    client, other = banterd.connect(), banterd.connect()
    assert other.ask("later 0 x") == b"x"
    client.send_message("later 1000 late", "quick")
    wait_until(lambda: [one["requests_pending"] for one in sessions(1)] == [2], "both were taken")
    assert ask("close 1") == b"closed 1"
    assert ask("close 1") == b"closed 1"  # it is there until it has its answers
    assert client.lines(3) == [b"late", b"quick", b"-ERR stopping the server closes this connection"]
    assert client.at_eof()
    assert ask("close 1") == b"-ERR bad-request there is no session 1"
    assert other.ask("later 0 x") == b"x"


def test_one_that_is_closed_and_one_more_that_asks_at_the_stop(operated, ask, sessions):
    """A close under way is no less orderly for a stop that comes meanwhile."""
    banterd = operated("-H", "test")
    client = banterd.connect()
    client.send_message("later 1000 late")
    wait_until(lambda: [one["requests_pending"] for one in sessions(1)] == [1], "it was taken")
    assert ask("close 1") == b"closed 1"
    assert ask("stop") == b"stopping"
    assert client.readline() == b"late"
    assert_stopped(client)
    assert banterd.wait() == 0


@pytest.mark.parametrize("options", [["--framing", "netstring"], ["--framing", "crlf"], ["--framing", "raw"]])
def test_one_of_another_framing_is_closed(operated, ask, options):
    banterd = operated(*options)
    client = banterd.connect()
    assert client.ask("a") == b"Hello A"
    assert ask("close 1") == b"closed 1"
    banterd.log.wait_for(r"^\[1\] Connection .* closed")
    assert ask("sessions") == b"[]"


def test_one_that_talks_to_a_program_is_closed(operated, ask):
    banterd = operated("--worker-per-client", "--reply-end", "none", "--", "cat")
    client = banterd.connect()
    assert client.ask("a") == b"a"
    assert ask("close 1") == b"closed 1"
    assert client.at_eof()


def test_a_script_goes_on_when_its_session_is_closed(operated, bench, ask):
    """What was not answered was not begun, so the client asks it again."""
    banterd = operated()
    client = bench.start([BANTER, "-c", banterd.address], stdin=subprocess.PIPE, expect_stderr="(?s).*")
    client.type(b"first\n")
    client.stdout.wait_line("Hello FIRST")
    assert ask("close 1") == b"closed 1"
    client.type(b"second\n")
    client.stdout.wait_line("Hello SECOND")
    client.end_input()
    assert client.wait() == 0


# ---- reload


def test_nothing_to_reload(operated, ask, status):
    banterd = operated()
    assert status()["reload"] is None
    assert ask("reload") == b"reloaded nothing"
    told = status()["reload"]
    assert told["ok"] is True and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["at"])
    banterd.log.wait_for("^Reloaded")


# ---- workers


def test_workers(operated, ask, status):
    banterd = operated("-w", "2", "--", "sed", "-u", "s/^/did /")
    client = banterd.connect()
    for _ in range(5):
        assert client.ask("x") == b"did x"
    told = wait_until(lambda: sum(one["requests"] for one in status()["workers"]) == 5 and json.loads(ask("workers")),
                      "both are counted")
    assert [sorted(one) for one in told] == [["pid", "requests", "restarts", "state", "worker"]] * 2
    assert [one["restarts"] for one in told] == [0, 0]
    assert all(os.path.exists(f"/proc/{one['pid']}") for one in told)
    assert status()["handler"] == "program"


def test_workers_are_restarted(operated, ask, sessions):
    banterd = operated("-w", "2", "--", "sed", "-u", "s/^/did /")
    client = banterd.connect()
    assert client.ask("x") == b"did x"
    before = {one["pid"] for one in json.loads(ask("workers"))}
    assert ask("restart-workers") == b"restarted 2"
    after = {one["pid"] for one in json.loads(ask("workers"))}
    assert len(after) == 2 and not before & after
    assert client.ask("x") == b"did x"


def test_a_restart_of_workers_that_nobody_waits_for(operated, bench, control, ask):
    banterd = operated("-w", "2", "--", "sed", "-u", "s/^/did /")
    for _ in range(5):
        client = bench.connect(control)
        client.send_message("restart-workers")
        client.abandon()
    wait_until(lambda: ask("restart-workers") == b"restarted 2", "the one before has ended")
    assert banterd.connect().ask("x") == b"did x"


def test_a_restart_under_way_at_the_stop(operated, bench, control, folder):
    start = folder / "start"
    start.write_text("#!/bin/sh\n[ -e slow ] && exec sleep 1000\nexec sed -u p\n")
    start.chmod(0o755)
    banterd = operated("-w", "1", "--", start)
    (folder / "slow").touch()
    client = bench.connect(control)
    client.send_message("restart-workers")
    other = bench.connect(control)
    wait_until(lambda: is_error(other.ask("restart-workers"), "bad-request"), "it goes on")
    assert banterd.stop() == 0
    assert client.replies() == [b"-ERR stopping the server is stopping"]


def test_there_are_no_workers(operated, ask):
    operated()
    assert ask("workers") == b"[]"
    assert is_error(ask("restart-workers"), "bad-request")


# ---- while all else hangs


def test_it_answers_while_handlers_hang_and_clients_are_idle(bench, server, control, ask, status, sessions):
    hanging, idle = scaled(512, 64), scaled(10_000, 500)
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    idle = min(idle, room - hanging - 300)
    banterd = server("--control", control, "-H", "test", "-q", "-q", "--drain-timeout", "300ms", "--max-clients",
                     str(hanging + idle), expect_status=2, expect_stderr=".*")
    silent = [banterd.connect() for _ in range(idle)]
    clients = [banterd.connect() for _ in range(hanging)]
    for client in clients:
        client.send_message("meet 100000")  # for ever
    wait_until(lambda: sum(status()["late"].values()) == hanging, "all hang")
    told = sessions()
    assert sorted(one["session"] for one in told) == list(range(1, hanging + idle + 1))
    assert sum(one["requests_pending"] for one in told) == hanging
    assert sum(loop["sessions"] for loop in status()["loops"]) == hanging + idle
    assert ask("close 7") == b"closed 7"
    assert_stopped(silent[6])
    assert ask("stop") == b"stopping"
    assert banterd.wait() == 2


def test_it_answers_while_the_server_drains(operated, ask, status, sessions):
    banterd = operated("-H", "test", "--drain-timeout", "1h", expect_status=-signal.SIGKILL)
    client = banterd.connect()
    client.send_message("meet 2 x")  # until another one comes
    wait_until(lambda: sum(status()["late"].values()) == 1, "it hangs")
    other = banterd.connect()
    other.send_message("later 4000 x")
    wait_until(lambda: [one["requests_pending"] for one in sessions(2)] == [1], "it was taken")
    banterd.send_signal(signal.SIGTERM)
    assert other.readline() == b"x"
    assert status()["sessions"] >= 1
    assert [one["session"] for one in sessions() if one["session"] == 1] == [1]
    banterd.kill()


# ---- its clients


def test_commands_are_answered_in_their_order(operated, bench, control):
    operated()
    client = bench.connect(control)
    client.send(b"sessions\r\nclose 1\nlog errors\nsessions\n--QUIT--\nstop\n")
    assert client.lines(4) == [b"[]\r", b"-ERR bad-request there is no session 1", b"log errors", b"[]"]
    assert client.at_eof()


@pytest.mark.parametrize("tail, replies", [
    (b"", []),
    (b"sess", [b"-ERR incomplete the stream ended before it did"]),
    (b"x" * 300, [b"-ERR too-long a command may have 256 bytes"]),
])
def test_the_end_of_input(operated, bench, control, tail, replies):
    operated()
    client = bench.connect(control)
    client.send(b"sessions\n" + tail)
    client.half_close()
    assert client.lines(1 + len(replies)) == [b"[]", *replies]
    assert client.at_eof()


def test_a_line_that_is_too_long_costs_itself_only(operated, bench, control):
    operated()
    client = bench.connect(control)
    client.send_in_background(b"x" * 1_000_000 + b"\n" + b"y" * 256 + b"\nsessions\n")
    assert client.readline() == b"-ERR too-long a command may have 256 bytes"
    assert is_error(client.readline(), "bad-request")
    assert client.readline() == b"[]"


def test_one_that_writes_slowly_holds_up_nobody(operated, bench, control, ask):
    operated()
    client = bench.connect(control)
    for byte in b"sessions\n":
        client.send(bytes([byte]))
        assert ask("sessions") == b"[]"
    assert client.readline() == b"[]"


def test_a_flood_that_nobody_reads_is_not_read_either(operated, bench, control, ask, status):
    banterd = operated()
    before = banterd.memory()
    floods = [bench.connect(control) for _ in range(8)]
    for flood in floods:
        flood.socket.setblocking(False)
        sent = 0
        while sent < 8_000_000:
            try:
                sent += flood.socket.send(b"status\n" * 1000)
            except BlockingIOError:
                if not is_ready(flood.socket, select.POLLOUT, 0.2):
                    break
        assert sent < 8_000_000
    assert ask("sessions") == b"[]"
    assert banterd.memory() - before < 8 * (1 << 20) * scaled(1, 10)
    floods[0].socket.settimeout(LIMIT)
    assert json.loads(floods[0].readline())["pid"] == banterd.pid
    for flood in floods:
        flood.abandon()
    assert status()["sessions"] == 0
    assert banterd.stop() == 0


def test_random_bytes(operated, bench, control, ask):
    operated()
    garbage = random.Random(1)
    for _ in range(20):
        client = bench.connect(control)
        try:
            client.send(garbage.randbytes(garbage.randrange(1, 5000)))
            client.half_close()
            assert all(reply.startswith(b"-ERR ") for reply in client.read_to_eof().splitlines())
        except ConnectionError:
            pass
        client.abandon()
    assert ask("sessions") == b"[]"


def test_one_too_many_takes_the_place_of_the_one_that_was_silent_for_longest(operated, bench, control):
    operated()
    clients = [bench.connect(control) for _ in range(CONNECTIONS)]
    for client in clients:
        assert client.ask("sessions") == b"[]"
    clients[0].ask("sessions")
    newcomer = bench.connect(control)
    assert newcomer.ask("sessions") == b"[]"
    assert clients[1].replies() == [b"-ERR busy another one needs the connection"]
    assert [client.ask("sessions") for client in [clients[0], *clients[2:]]] == [b"[]"] * (CONNECTIONS - 1)


def test_many_that_come_and_go(operated, bench, control, ask):
    banterd = operated()
    assert ask("sessions") == b"[]"
    before = banterd.descriptors()
    for _ in range(scaled(500, 100)):
        bench.connect(control).abandon()
        client = bench.connect(control)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may be one too many at that moment
            client.send(b"sessions\nstatus\n")
        client.abandon()
    wait_until(lambda: banterd.descriptors() <= before, "all are closed")
    assert ask("sessions") == b"[]"


def test_a_stop_while_some_are_connected(operated, bench, control):
    banterd = operated()
    silent, partial = bench.connect(control), bench.connect(control)
    partial.send(b"sta")
    assert silent.ask("stop") == b"stopping"
    assert banterd.wait() == 0
    for client in (silent, partial):
        assert client.replies() == [b"-ERR stopping the server is stopping"]


def test_a_pause_of_the_server(operated, bench, control, ask):
    banterd = operated()
    client = bench.connect(control)
    assert client.ask("sessions") == b"[]"
    banterd.suspend()
    client.send(b"sessions\n")
    later = bench.connect(control)
    later.send(b"sessions\n")
    banterd.resume()
    assert client.readline() == b"[]"
    assert later.readline() == b"[]"
    assert ask("stop") == b"stopping"
    assert banterd.wait() == 0

