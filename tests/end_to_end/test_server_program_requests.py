"""--worker-per-request: the request is a copy's whole input, and what it has written when it has ended is the reply.
--workers with it and with --worker-per-client: copies that are started ahead. --max-workers, the environment."""
import hashlib
import os
import shutil

import pytest

import harness
from harness import is_error, scaled, wait_until
from workers import WORKER, children, copies, gone, group_gone, processes

FAILED = b"-ERR handler-failed the program ended with status %d"
UNAVAILABLE = b"-ERR unavailable all copies of the program are taken"


def per_request(server, *command, options=(), **how):
    return server("--worker-per-request", *options, "--", *map(str, command), **how)


def needs(name):
    return pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed")


# Programs that read to the end of their input

@pytest.mark.parametrize("ahead", [[], ["-w", "2"]], ids=["on demand", "ahead"])
@pytest.mark.parametrize("command, request_, reply", [
    (["wc", "-c"], "hello", b"6"),
    (["wc", "-w"], "", b"0"),
    (["md5sum"], "hello", hashlib.md5(b"hello\n").hexdigest().encode() + b"  -"),
    (["sort"], "hello", b"hello"),
    (["cat"], "", b""),
    (["tr", "a-z", "A-Z"], "Zack", b"ZACK"),
    (["rev"], "abc", b"cba"),
    (["tac"], "abc", b"abc"),
    (["head", "-c", "3"], "abcdef", b"abc"),
    (["true"], "is not read", b""),
    (["echo", "the same"], "is not read", b"the same"),
    pytest.param(["pandoc", "-f", "markdown", "-t", "html"], "*x*", b"<p><em>x</em></p>", marks=needs("pandoc")),
    pytest.param(["python3", "-c", "import sys; print(len(sys.stdin.read()))"], "abc", b"4", marks=needs("python3")),
])
def test_programs(server, ahead, command, request_, reply):
    banterd = per_request(server, *command, options=ahead)
    client = banterd.connect()
    assert [client.ask(request_) for _ in range(3)] == [reply] * 3
    client.send_message(*[request_] * 5)
    assert client.lines(5) == [reply] * 5


@pytest.mark.parametrize("command, request_, reply", [
    (["wc", "-c"], "ab\ncd", b"5"),
    (["sort"], "b\na\nc\n", b"a\nb\nc"),
    (["sort", "-r"], "a\nb", b"b\na"),
    (["cat"], "x\0\r\n\n", b"x\0\r\n"),
    (["cat"], "x\r\n", b"x"),
    (["cat"], "", b""),
])
def test_netstrings_are_given_as_they_are(server, command, request_, reply):
    banterd = per_request(server, *command, options=["--framing", "netstring"], framing="netstring")
    assert banterd.connect().ask(request_) == reply


def test_raw_is_given_as_it_is(server):
    banterd = per_request(server, "wc", "-c", options=["--framing", "raw"], framing="raw")
    assert banterd.connect().ask("hello") == b"5"


@pytest.mark.parametrize("framing, request_, reply", [
    ("block", b"3\n", b"1\n2\n3\n.\n"),
    ("block", b"0\n", b".\n"),
    ("block", b"2\r\n", b"1\r\n2\r\n.\r\n"),
    ("crlf", b"1\r\n", b"1\r\n"),
])
def test_other_lines(server, framing, request_, reply):
    banterd = per_request(server, "sh", "-c", "read -r n; seq $n", options=["--framing", framing])
    client = banterd.connect()
    client.send(request_ * 3)
    client.half_close()
    assert client.read_to_eof() == reply * 3


def test_more_lines_than_the_codec_carries(server):
    banterd = per_request(server, "sh", "-c", "read -r n; seq $n")
    client = banterd.connect()
    client.send_message("3", "1", "0", "2")
    assert client.lines(4) == [
        b"-ERR handler-failed the answer has 3 lines: --framing block or netstring carries them", b"1", b"",
        b"-ERR handler-failed the answer has 2 lines: --framing block or netstring carries them"]


def test_a_request_that_is_longer_than_a_pipe(server):
    banterd = per_request(server, "sh", "-c", "cat; cat", options=["-m", "2m"])
    request = os.urandom(700_000).hex()
    client = banterd.connect()
    client.send_in_background(client.frame(request))
    assert client.readline() == request.encode()


def test_one_that_does_not_read_all_of_its_request(server):
    banterd = per_request(server, "sh", "-c", "head -c 4; echo; exec >&-; exec sleep 0", options=["-m", "2m"])
    client = banterd.connect()
    client.send_in_background(client.frame("x" * 1_000_000))
    assert client.readline() == b"xxxx"


def test_an_answer_is_bounded(server):
    banterd = per_request(server, "sh", "-c", 'read -r n; head -c "$n" /dev/zero | tr "\\0" x', options=["-q"])
    client = banterd.connect()
    most = 16 << 20
    client.send_message(str(most), str(most + 1), str(3 * most), "1")
    assert client.readline() == b"x" * most
    assert client.lines(3) == [b"-ERR handler-failed the program's answer is longer than 16 MiB"] * 2 + [b"x"]
    copies(banterd, 0)


# Failures

def test_a_status_is_an_error(server):
    banterd = per_request(server, WORKER)
    client = banterd.connect()
    client.send_message("exit 3", "x", "signal KILL", "half y")
    assert client.lines(4) == [FAILED % 3, b"x", b"-ERR handler-failed the program was killed by signal 9", b"y"]
    banterd.log.wait_for(r"^Worker \d+ has failed: the program ended with status 3$")


def test_what_it_says_about_its_failure(server):
    script = "echo first; echo the reason >&2; exit 2"
    assert per_request(server, "sh", "-c", script).connect().ask("x") == FAILED % 2
    banterd = per_request(server, "sh", "-c", script, options=["--stderr", "reply"])
    assert banterd.connect().ask("x") == FAILED % 2 + b": the reason"


@pytest.mark.parametrize("ahead", [[], ["-w", "2"]], ids=["on demand", "ahead"])
def test_one_that_is_late(server, ahead):
    banterd = per_request(server, WORKER, options=["--handler-timeout", "1s", *ahead])
    client = banterd.connect()
    client.send_message("child", "gate nothing", "signal STOP", "hang x")
    child = int(client.readline())
    gone(child)
    assert all(is_error(reply, "handler-timeout") for reply in client.lines(3))
    copies(banterd, 2 if ahead else 0)


def test_a_client_that_leaves_ends_its_copies(server):
    banterd = per_request(server, WORKER, options=["--max-workers", "2"])
    client, other = banterd.connect(), banterd.connect()
    client.send_message(*["gate nothing"] * 5)
    pids = copies(banterd, 2)
    client.reset()
    for pid in pids:
        group_gone(pid)
    assert other.ask("x") == b"x"
    copies(banterd, 0)


def test_the_reply_is_there_when_the_process_has_ended(server):
    """Its child holds its output open, and writes to it."""
    banterd = per_request(server, "sh", "-c", "(exec yes) & echo")
    client = banterd.connect()
    for _ in range(3):
        assert client.ask("x") is not None
    copies(banterd, 0)


def test_a_quiet_child_that_holds_the_output(server):
    banterd = per_request(server, WORKER)
    client = banterd.connect()
    child = int(client.ask("child"))
    gone(child)
    copies(banterd, 0)


def test_a_program_that_can_t_be_started_any_more(server, folder):
    program = folder / "program"
    program.write_text("#!/bin/sh\nexec cat\n")
    program.chmod(0o755)
    banterd = per_request(server, program)
    client = banterd.connect()
    assert client.ask("x") == b"x"
    program.unlink()
    assert client.ask("x") == b"-ERR unavailable unable to start the program: No such file or directory"


def test_nothing_is_left(server):
    banterd = per_request(server, WORKER, options=["-q"])
    assert banterd.connect().ask("x") == b"x"
    copies(banterd, 0)
    descriptors = banterd.descriptors()
    clients = [banterd.connect() for _ in range(5)]
    count = scaled(40, 10)
    for number, client in enumerate(clients):
        client.send_message(*(f"{number}.{i}" for i in range(count)))
    for number, client in enumerate(clients):
        assert client.lines(count) == [b"%d.%d" % (number, i) for i in range(count)]
        client.close()
    copies(banterd, 0)
    wait_until(lambda: banterd.descriptors() <= descriptors, f"{descriptors} descriptors again")


# How many

def test_requests_wait_their_turn(server, folder):
    banterd = per_request(server, WORKER, options=["--max-workers", "2"])
    client, other = banterd.connect(), banterd.connect()
    client.send_message("gate gate a", "gate gate b", "gate gate c", "d")
    copies(banterd, 2)
    other.send_message("e")
    banterd.log.wait_for("Processing .*: e$")
    assert len(children(banterd)) == 2
    (folder / "gate").touch()
    assert client.lines(4) == [b"a", b"b", b"c", b"d"]
    assert other.readline() == b"e"
    copies(banterd, 0)


def test_a_client_that_has_sent_much_delays_another_by_its_share(server):
    banterd = per_request(server, WORKER, options=["--max-workers", "1"])
    greedy, modest = banterd.connect(), banterd.connect()
    greedy.send_message(*map(str, range(60)))
    banterd.log.wait_for("Processing .*: 59$")
    assert modest.ask("modest") == b"modest"
    assert len(banterd.log.find("Processed result: [0-9]")) < 59
    assert greedy.lines(60) == [b"%d" % number for number in range(60)]


def test_sessions_beyond_the_limit_are_refused(server):
    banterd = server("--worker-per-client", "--max-workers", "2", "--", WORKER)
    clients = [banterd.connect() for _ in range(3)]
    assert [client.ask("x") for client in clients[:2]] == [b"x"] * 2
    assert [clients[2].ask("x") for _ in range(2)] == [UNAVAILABLE] * 2
    clients[0].close()
    copies(banterd, 1)
    assert clients[2].ask("count") == b"1"
    assert clients[1].ask("count") == b"2"


def test_a_burst_of_sessions(server):
    """More than start at a time."""
    count = scaled(40, 10)
    banterd = server("--worker-per-client", "--", WORKER)
    clients = [banterd.connect() for _ in range(count)]
    for number, client in enumerate(clients):
        client.send_message(f"mine {number}", "count")
    for number, client in enumerate(clients):
        assert client.lines(2) == [b"mine %d" % number, b"2"]
    copies(banterd, count)
    for client in clients:
        client.close()
    copies(banterd, 0)


def test_sessions_that_leave_while_they_wait_for_their_copies(server):
    banterd = server("--worker-per-client", "--", "sh", "-c", "sleep 0.05; exec cat")
    clients = [banterd.connect() for _ in range(10)]
    for client in clients:
        client.send_message("x")
    for client in clients[::2]:
        client.reset()
    assert [client.readline() for client in clients[1::2]] == [b"x"] * 5
    copies(banterd, 5)


def below(pid):
    """A process and all below it."""
    return [pid] + [one for child in processes() if child.parent == pid for one in below(child.pid)]


@pytest.mark.parametrize("mode", ["--worker-per-client", "--worker-per-request"])
def test_one_that_has_started_goes_behind_nobody(server, mode):
    """Nor does what it has started meanwhile."""
    banterd = server(mode, "-w", "1", "--", "sh", "-c", "cat | sed -u s/x/y/")
    pid, = copies(banterd, 1)
    wait_until(lambda: len(below(pid)) == 3 and {os.sched_getscheduler(one) for one in below(pid)} == {os.SCHED_OTHER},
               "all three are as others are")
    assert banterd.connect().ask("x") == b"y"


def test_a_copy_that_takes_long_to_start_delays_no_other(server, folder):
    """More of them than start at a time."""
    script = 'until [ -e "gate$BANTER_SESSION" ] || [ -e gates ]; do sleep 0.01; done; exec cat'
    banterd = server("--worker-per-client", "--", "sh", "-c", script)
    slow = [banterd.connect() for _ in range(2 * os.cpu_count())]
    for client in slow:
        client.send_message("slow")
    last = banterd.connect()
    (folder / f"gate{banterd.session(last)}").touch()
    assert last.ask("x") == b"x"
    (folder / "gates").touch()
    assert [client.readline() for client in slow] == [b"slow"] * len(slow)


# Copies that are started ahead

@pytest.mark.parametrize("mode", ["--worker-per-client", "--worker-per-request"])
def test_as_many_wait_as_are_wanted(server, mode):
    banterd = server(mode, "-w", "3", "--", WORKER)
    ahead = copies(banterd, 3)
    client = banterd.connect()
    assert int(client.ask("pid")) in ahead
    copies(banterd, 4 if mode == "--worker-per-client" else 3)
    client.close()
    copies(banterd, 3)
    clients = [banterd.connect() for _ in range(6)]
    assert [client.ask("x") for client in clients] == [b"x"] * 6
    for client in clients:
        client.close()
    copies(banterd, 3)


@pytest.mark.parametrize("mode", ["--worker-per-client", "--worker-per-request"])
def test_one_that_waits_and_ends_is_replaced(server, mode):
    banterd = server(mode, "-w", "2", "--", WORKER)
    old = copies(banterd, 2)
    for pid in old:
        os.kill(pid, 9)
        gone(pid)
    wait_until(lambda: not set(old) & {one.pid for one in children(banterd)}, "they are replaced")
    new = copies(banterd, 2)
    assert int(banterd.connect().ask("pid")) in new


def test_a_session_of_a_copy_that_was_started_ahead(server):
    banterd = server("--worker-per-client", "-w", "2", "--", WORKER)
    first, second = banterd.connect(), banterd.connect()
    assert [first.ask("count"), second.ask("count"), first.ask("count")] == [b"1", b"1", b"2"]
    assert is_error(first.ask("exit 1"), "handler-failed")
    assert second.ask("count") == b"2"


def test_as_many_as_there_may_be(server):
    banterd = server("--worker-per-client", "-w", "2", "--max-workers", "2", "--", WORKER)
    clients = [banterd.connect() for _ in range(3)]
    copies(banterd, 2)
    assert [client.ask("count") for client in clients] == [b"1", b"1", UNAVAILABLE]
    assert clients[0].ask("count") == b"2"
    clients[0].close()
    copies(banterd, 2)
    assert clients[2].ask("count") == b"1"


def test_a_program_that_reads_nothing_is_not_started_without_end(server):
    banterd = per_request(server, "sh", "-c", "echo $$ >>started; echo x", options=["-w", "2"])
    client = banterd.connect()
    assert [client.ask("") for _ in range(20)] == [b"x"] * 20


# The environment

SHOW = "echo $BANTER_SESSION,$BANTER_ADDRESS,${BANTER_IDENTITY-unset},$BANTER_WORKER"


@pytest.mark.parametrize("mode, script", [("--worker-per-request", SHOW),
                                          ("--worker-per-client", f"while read -r x; do {SHOW}; done")])
def test_what_a_copy_knows_about_its_client(server, folder, mode, script):
    banterd = server(mode, "--listen", f"unix:{folder}/socket", "--", "sh", "-c", script,
                     env={**os.environ, "BANTER_ADDRESS": "inherited", "BANTER_SESSION": "inherited",
                          "BANTER_IDENTITY": "inherited"})
    clients = [banterd.connect(address) for address in [banterd.address] * 2 + banterd.addresses[1:]]
    for number, client in reversed(list(enumerate(clients, 1))):
        peer = f"{client.name}," if number < 3 else f"unix:{folder}/socket,uid={os.geteuid()}"
        assert client.ask("x").rpartition(b",")[0] == f"{number},{peer}".encode()


@pytest.mark.parametrize("mode", [["--worker-per-request", "-w", "1"], ["-w", "1"]])
def test_what_a_copy_does_not_know(server, mode):
    banterd = server(*mode, "--", "sh", "-c", f"while read -r x; do {SHOW}; done",
                     env={**os.environ, "BANTER_IDENTITY": "inherited"})
    copies(banterd, 1)
    assert banterd.connect().ask("x") == b",,unset,1"


# The stop

def test_the_stop_waits_for_what_runs(server, folder):
    banterd = per_request(server, WORKER, options=["-w", "1"])
    client = banterd.connect()
    client.send_message("gate gate x")
    banterd.log.wait_for("Processing")
    banterd.send_signal(15)
    (folder / "gate").touch()
    assert client.readline() == b"x"
    assert banterd.wait() == 0


def test_the_stop_ends_what_is_late(server):
    banterd = per_request(server, WORKER, "hard", options=["--drain-timeout", "0.5s"])
    client = banterd.connect()
    client.send_message("gate nothing")
    pid, = copies(banterd, 1)
    assert banterd.stop() == 0
    group_gone(pid)


# Usage

@pytest.mark.parametrize("arguments, word", [
    (["--worker-per-request"], "--worker-per-request"),
    (["--worker-per-request", "--worker-per-client", "--", "cat"], "--worker-per-client"),
    (["--worker-per-request", "--reply-end", "waits", "--", "cat"], "--reply-end"),
    (["--worker-per-request", "--reply-end", "line:END", "--request-end", "x", "--", "cat"], "--re"),
    (["--worker-per-request", "--request-end", "x", "--", "cat"], "--request-end"),
    (["--max-workers", "5"], "--max-workers"),
    (["--max-workers", "5", "--", "cat"], "--max-workers"),
    (["--max-workers", "0", "--worker-per-client", "--", "cat"], "--max-workers"),
    (["--max-workers", "5", "-w", "6", "--worker-per-client", "--", "cat"], "--max-workers"),
])
def test_usage(bench, arguments, word):
    run = bench.run([harness.BANTERD, "--listen", "127.0.0.1:0", *arguments])
    assert run.status == 64 and not run.stdout and word.encode() in run.stderr
