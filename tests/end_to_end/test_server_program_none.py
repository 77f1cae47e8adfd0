"""--reply-end none: lines go both ways as they come, and nothing is paired.
--worker-per-client, --max-workers, --drain-timeout, --idle-timeout, --write-timeout, -w."""
import os
import select
import signal
import sys

import pytest

import harness
from harness import assert_replies, is_error, scaled, wait_until
from workers import WORKER, children, copies, gone, group_gone, process, sessions_leave_nothing

MORE_THAN_BUFFERS = 64 << 20  # bytes: the kernel's for a socket and a pipe, and the server's, hold less
MEMORY = scaled(4, 32) << 20  # that a session which is stuck may cost


def talk(server, *command, options=(), **how):
    return server("--worker-per-client", "--reply-end", "none", *options, "--", *map(str, command), **how)


def shell(server, script, **how):
    return talk(server, "sh", "-c", script, **how)


def send_all_it_takes(client, data):
    """Sends the data over and over until nothing is taken for a while, or it is far too much. Returns how many bytes
    were taken."""
    sent = 0
    client.socket.setblocking(False)
    while sent < MORE_THAN_BUFFERS and harness.is_ready(client.socket, select.POLLOUT, 0.5):
        at = sent % len(data)
        sent += client.socket.send(data[at:])
    client.socket.settimeout(harness.LIMIT)
    return sent


# ---- both ways

def test_nothing_is_paired(server):
    client = talk(server, WORKER).connect()
    client.send_message("silent", "twice a b", "silent", "c")
    assert client.lines(3) == [b"a", b"b", b"c"]


def test_a_program_may_begin(server):
    banterd = talk(server, WORKER, "say=hello")
    client = banterd.connect()
    assert client.readline() == b"hello"
    assert client.ask("and more") == b"and more"


def test_a_word_that_nobody_asked_for(server, folder):
    client = talk(server, WORKER).connect()
    client.send_message("more gate a b")
    assert client.readline() == b"a"
    (folder / "gate").touch()
    assert client.readline() == b"b"


def test_one_session_s_lines_are_its_own(server):
    banterd = talk(server, WORKER)
    clients = [banterd.connect() for _ in range(4)]
    for number, client in enumerate(clients):
        client.send_message(*["silent"] * number, "count")
    assert [client.readline() for client in clients] == [b"%d" % (number + 1) for number in range(4)]


def test_a_copy_starts_with_its_session(server):
    banterd = talk(server, WORKER)
    client = banterd.connect()
    pid, = copies(banterd, 1)
    assert client.ask("pid") == b"%d" % pid
    assert set(os.listdir(f"/proc/{pid}/fd")) >= {"0", "1", "2"}


def test_its_environment_tells_of_the_client(server):
    banterd = shell(server, 'echo "$BANTER_WORKER $BANTER_SESSION $BANTER_ADDRESS"; exec cat')
    for _ in range(2):
        client = banterd.connect()
        number = banterd.session(client)
        assert client.readline().decode() == f"{number} {number} {client.name}"


def test_many_lines_both_ways(server):
    """Each direction has more than all buffers hold."""
    count = scaled(400000, 100000)
    banterd = talk(server, "cat", options=["-q"])
    client = banterd.connect()
    lines = b"".join(b"line %d\n" % number for number in range(count))
    client.send_in_background(lines, client.half_close)
    assert client.read_to_eof() == lines


@pytest.mark.parametrize("framing", ["line", "crlf", "netstring"])
def test_each_framing(server, framing):
    client = talk(server, WORKER, options=["--framing", framing]).connect()
    client.send_message("", "twice a b", "crlf c", "size 100000")
    assert [client.reply() for _ in range(5)] == [b"", b"a", b"b", b"c", b"x" * 100000]
    client.send_message("half d")
    assert client.replies() == [b"d"]


def test_a_netstring_with_a_newline(server):
    client = talk(server, WORKER, options=["--framing", "netstring"]).connect()
    assert is_error(client.ask("a\nb"), "bad-request")
    assert client.ask("c") == b"c"


def test_lines_end_as_the_last_request_did(server):
    client = talk(server, WORKER).connect()
    client.send("a\r\n")
    assert client.read(3) == b"a\r\n"
    client.send("b\n")
    assert client.read(2) == b"b\n"


def test_bad_lines_cost_themselves(server):
    banterd = talk(server, WORKER, options=["-m", "20"])
    client = banterd.connect()
    client.send_message("x" * 21)
    assert is_error(client.reply(), "too-long")
    client.send_message("refuse busy now")
    assert is_error(client.reply(), "handler-failed")  # that code is the server's
    assert client.ask("refuse other x") == b"-ERR other x"
    banterd.log.wait_line(f"[{banterd.session(client)}] Processed result: -ERR other x")


def test_a_line_that_is_too_long_to_send(server):
    client = shell(server, "head -c 17000000 /dev/zero | tr '\\0' x; echo; echo behind").connect()
    error, behind = client.replies()
    assert is_error(error, "handler-failed") and behind == b"behind"


def test_what_is_logged(server):
    banterd = talk(server, WORKER)
    client = banterd.connect()
    assert client.ask("hello") == b"hello"
    number = banterd.session(client)
    banterd.log.wait_line(f"[{number}] Processing the input received from client: hello")
    banterd.log.wait_line(f"[{number}] Processed result: hello")
    assert client.ask("log oh") == b"logged"
    banterd.log.wait_line(f"Worker {number}: oh")


@pytest.mark.parametrize("options, script, line", [
    (["--stderr", "reply"], "echo oh >&2; exec cat", b"oh"),
    (["--pty"], "[ -t 1 ] && echo terminal; exec cat", b"terminal"),
])
def test_other_outputs(server, options, script, line):
    client = shell(server, script, options=options).connect()
    assert client.readline() == line
    client.send_message("a")
    assert client.readline() == b"a"
    client.half_close()
    assert client.at_eof()


def test_a_json_rpc_server(server):
    rpc = harness.TOP / "tests" / "programs" / "json_rpc.py"
    client = talk(server, sys.executable, rpc).connect()
    client.send_message('{"jsonrpc": "2.0", "method": "notifications/initialized"}',
                        '{"jsonrpc": "2.0", "id": 1, "method": "ping"}')
    assert b'"id": 1' in client.readline()


def test_telnet(server):
    client = talk(server, "cat", options=["--telnet"]).connect()
    client.send(b"\xff\xfb\x01a\r\n")
    assert client.read(6) == b"\xff\xfe\x01a\r\n"


# ---- the client's end

@pytest.mark.parametrize("end", ["stream", "quit"])
def test_the_client_s_end_is_the_end_of_the_copy_s_input(server, end, folder):
    banterd = shell(server, "cat >log; echo bye")
    client = banterd.connect()
    client.send_message("a", "b")
    client.half_close() if end == "stream" else client.send_message("--QUIT--", "behind")
    assert client.replies() == [b"bye"]
    assert (folder / "log").read_text() == "a\nb\n"
    copies(banterd, 0)


def test_half_a_line_at_the_client_s_end(server):
    client = talk(server, "cat").connect()
    client.send("a\nhalf")
    client.half_close()
    assert_replies(sorted(client.replies()), ["-ERR incomplete", "a"])


@pytest.mark.parametrize("arguments", [["stay"], ["stay", "hard"]])
def test_a_copy_has_a_time_to_end(server, arguments):
    banterd = talk(server, WORKER, *arguments, options=["--drain-timeout", "100ms"])
    client = banterd.connect()
    child = int(client.ask("child"))
    pid, = copies(banterd, 1)
    client.quit()
    group_gone(pid)
    gone(child)
    copies(banterd, 0)


def test_lines_that_are_not_read_yet_are_given_behind_the_client_s_end(server, folder):
    """That takes longer than a copy has to say the rest."""
    script = "until [ -e gate ]; do sleep 0.01; done; wc -l"
    client = shell(server, script, options=["-q", "--drain-timeout", "0"]).connect()
    client.send_in_background(b"x\n" * 200000, client.half_close)
    (folder / "gate").touch()
    assert client.replies() == [b"200000"]


def test_a_client_that_is_gone(server):
    banterd = talk(server, WORKER, "log=log")
    client = banterd.connect()
    assert client.ask("a") == b"a"
    pid, = copies(banterd, 1)
    client.reset()
    group_gone(pid)
    copies(banterd, 0)
    assert not banterd.log.find("has failed")


# ---- the copy's end

def test_a_copy_s_end_is_the_session_s(server):
    banterd = talk(server, WORKER)
    client = banterd.connect()
    client.send_message("a", "half b", "never read")
    assert client.replies() == [b"a", b"b"]
    copies(banterd, 0)
    assert not banterd.log.find("has failed")


@pytest.mark.parametrize("message, why", [("exit 3", "the program ended with status 3"),
                                          ("signal KILL", "the program was killed by signal 9")])
def test_a_copy_that_fails(server, message, why):
    banterd = talk(server, WORKER)
    client, other = banterd.connect(), banterd.connect()
    number = banterd.session(client)
    client.send_message("a", message)
    assert client.replies() == [b"a"]
    banterd.log.wait_line(f"Worker {number} has failed: {why}")
    assert other.ask("b") == b"b"
    copies(banterd, 1)


def test_a_copy_that_closes_its_output(server):
    banterd = talk(server, WORKER)
    client = banterd.connect()
    number = banterd.session(client)
    client.send_message("a", "close")
    assert client.replies() == [b"a"]
    banterd.log.wait_line(f"Worker {number} has failed: the program has closed its output, but has not ended")
    copies(banterd, 0)


def test_a_copy_that_leaves_a_child_with_its_output(server):
    """The child has left the group, too, and goes on to write."""
    banterd = shell(server, 'read line; setsid sh -c "echo \\$\\$ >child; while sleep 0.01; do echo x || exit; done" &'
                    'until [ -s child ]; do sleep 0.01; done; echo "$line"', options=["-q"])
    client = banterd.connect()
    client.send_message("a")
    assert b"a" in client.replies()
    copies(banterd, 0)


def test_all_that_a_copy_wrote_before_its_end(server):
    client = talk(server, "seq", "200000", options=["-q"]).connect(receive_buffer=4096)
    assert client.replies() == [b"%d" % number for number in range(1, 200001)]


def test_a_copy_that_closes_its_input(server, folder):
    """Lines for it are thrown away; the client's end is seen all the same."""
    script = "exec <&-; echo ready; until [ -e gate ]; do sleep 0.01; done; echo done; exec sleep 1000"
    banterd = shell(server, script, options=["-q", "--drain-timeout", "100ms"])
    client = banterd.connect()
    assert client.readline() == b"ready"
    for _ in range(3):
        client.send(b"x" * 1000 + b"\n" * 100000)
    (folder / "gate").touch()
    assert client.readline() == b"done"
    client.quit()
    copies(banterd, 0)


# ---- starts

def test_a_start_that_fails(server, folder):
    program = folder / "program"
    program.write_text("#!/bin/sh\nexec cat\n")
    program.chmod(0o755)
    banterd = talk(server, program)
    assert banterd.connect().ask("a") == b"a"
    program.unlink()
    client = banterd.connect()
    number = banterd.session(client)
    error, = client.replies()
    why = "unable to start the program: No such file or directory"
    assert error.decode() == f"-ERR unavailable {why}"
    banterd.log.wait_line(f"Worker {number} has failed: {why}")


def test_a_program_that_is_not_there(bench):
    run = bench.run([harness.BANTERD, "-l", "127.0.0.1:0", "--worker-per-client", "--reply-end", "none", "--",
                     "/nowhere/program"])
    assert run.status == 1 and b"/nowhere/program" in run.stderr


def test_no_more_than_max_workers(server):
    banterd = talk(server, WORKER, options=["--max-workers", "2"])
    clients = [banterd.connect() for _ in range(2)]
    assert [client.ask("a") for client in clients] == [b"a", b"a"]
    late = banterd.connect()
    assert_replies(late.replies(), ["-ERR unavailable"])
    clients[0].quit()
    assert banterd.connect().ask("b") == b"b"
    copies(banterd, 2)


def test_lines_that_come_before_the_copy_has_started(server):
    """There are more starts than may be at a time."""
    banterd = shell(server, "sleep 0.1; exec cat")
    clients = [banterd.connect() for _ in range(10)]
    for client in clients:
        client.send_message("a", "b")
        client.half_close()
    assert [client.replies() for client in clients] == [[b"a", b"b"]] * 10


def test_clients_that_leave_before_the_copy_has_started(server):
    banterd = shell(server, "sleep 0.1; exec cat", options=["-q"])
    for _ in range(20):
        banterd.connect().reset()
    assert banterd.connect().ask("a") == b"a"
    copies(banterd, 1)


def test_copies_that_are_started_ahead(server):
    banterd = shell(server, 'echo "greeting $BANTER_SESSION"; exec cat', options=["-w", "2"])
    ahead = copies(banterd, 2)
    client = banterd.connect()
    assert client.readline() == b"greeting "
    assert client.ask("a") == b"a"
    assert set(ahead) < set(copies(banterd, 3))
    client.half_close()
    assert client.at_eof()
    copies(banterd, 2)


def test_one_that_was_started_ahead_and_ends_is_replaced(server, folder):
    banterd = shell(server, "[ -e gate ] || exit 1; exec cat", options=["-w", "1"])
    banterd.log.wait_for(r"^Worker \d+ started", 3)
    (folder / "gate").touch()
    copies(banterd, 1)
    assert banterd.connect().ask("a") == b"a"


# ---- back-pressure

def test_a_program_that_writes_for_ever_to_a_client_that_does_not_read(server):
    banterd = talk(server, "yes", options=["-q"])
    other = banterd.connect()
    client = banterd.connect(receive_buffer=4096)
    assert other.read(1000) == b"y\n" * 500
    before = banterd.memory()

    def written():
        return [int(line.split()[1]) for pid in copies(banterd)
                for line in open(f"/proc/{pid}/io").read().splitlines() if line.startswith("wchar")]
    sums = [written()]

    def rests():
        sums.append(written())
        return len(sums) > 20 and sums[-1] == sums[-20]
    wait_until(rests, "both have stopped")
    assert max(sums[-1]) < MORE_THAN_BUFFERS
    assert banterd.memory() - before < MEMORY
    assert client.read(1 << 20) == b"y\n" * (1 << 19)


def test_a_client_that_floods_a_program_that_does_not_read(server, folder):
    banterd = shell(server, "until [ -e gate ]; do sleep 0.01; done; exec wc -l", options=["-q"])
    client = banterd.connect()
    before = banterd.memory()
    sent = send_all_it_takes(client, b"0123456789abcde\n" * 1024)
    assert sent < MORE_THAN_BUFFERS
    assert banterd.memory() - before < MEMORY
    (folder / "gate").touch()
    client.send(b"0123456789abcde\n"[sent % 16:])
    client.half_close()
    assert client.replies() == [b"%d" % (sent // 16 + 1)]


def test_a_client_that_sends_and_never_reads(server):
    banterd = talk(server, "cat", options=["-q"])
    client = banterd.connect(receive_buffer=4096)
    before = banterd.memory()
    sent = send_all_it_takes(client, b"0123456789abcde\n" * 1024)
    assert sent < MORE_THAN_BUFFERS
    assert banterd.memory() - before < MEMORY
    rest = b"0123456789abcde\n"[sent % 16:]
    client.send_in_background(rest, client.half_close)
    assert client.read_to_eof() == b"0123456789abcde\n" * (sent // 16 + 1)


def test_a_client_that_does_not_read_is_read(server, folder):
    """What it sends goes to its program, although that has more to say than is taken."""
    script = "yes & while read line; do [ \"$line\" = end ] && touch seen; done"
    client = shell(server, script, options=["-q"]).connect(receive_buffer=4096)
    client.send_in_background(b"x\n" * 20000 + b"end\n")
    wait_until((folder / "seen").exists, "the program has read all")


def test_errors_alone_don_t_fill_the_memory(server):
    banterd = talk(server, "cat", options=["-q", "-m", "1"])
    client = banterd.connect(receive_buffer=4096)
    before = banterd.memory()
    assert send_all_it_takes(client, b"xy\n" * 5000) < MORE_THAN_BUFFERS
    assert banterd.memory() - before < MEMORY


# ---- time

def test_idle(server):
    banterd = talk(server, "cat", options=["--idle-timeout", "200ms"])
    client = banterd.connect()
    assert client.at_eof()
    copies(banterd, 0)


def test_idle_with_a_program_that_reads_nothing(server):
    banterd = talk(server, "sleep", "1000", options=["-q", "--idle-timeout", "500ms"])
    client = banterd.connect()
    client.send_in_background(b"x\n" * (MORE_THAN_BUFFERS // 2))
    assert client.at_eof()
    copies(banterd, 0)


def test_half_a_line_that_does_not_end(server):
    banterd = talk(server, WORKER, options=["--request-timeout", "200ms"])
    client = banterd.connect()
    client.send("half")
    assert_replies(client.replies(), ["-ERR incomplete"])
    copies(banterd, 0)


def test_write_timeout(server):
    banterd = talk(server, "yes", options=["-q", "--write-timeout", "300ms"])
    client = banterd.connect(receive_buffer=4096)
    banterd.log.wait_for("The client has read nothing for 300 ms")
    copies(banterd, 0)
    client.close()


def test_a_copy_may_take_its_time(server, folder):
    """--handler-timeout says nothing of it."""
    banterd = talk(server, WORKER, options=["--handler-timeout", "100ms"])
    client, other = banterd.connect(), banterd.connect()
    pid = int(client.ask("pid"))
    os.kill(pid, signal.SIGSTOP)
    client.send_message("a")
    other.send_message("more gate late b")
    assert other.readline() == b"late"
    assert not client.readable(0.3) and not other.readable()
    os.kill(pid, signal.SIGCONT)
    (folder / "gate").touch()
    assert [client.readline(), other.readline()] == [b"a", b"b"]


def test_a_pause_of_the_server(server):
    banterd = talk(server, WORKER)
    client = banterd.connect()
    assert client.ask("a") == b"a"
    banterd.suspend()
    client.send_message("b", "half c")
    client.half_close()
    banterd.resume()
    assert client.replies() == [b"b", b"c"]


# ---- the stop

def test_the_stop_ends_the_copies_input(server, folder):
    banterd = shell(server, 'echo ready; cat >"log$BANTER_SESSION"; echo bye')
    clients = [banterd.connect() for _ in range(3)]
    assert [client.readline() for client in clients] == [b"ready"] * 3
    banterd.suspend()
    for client in clients:
        client.send_message("received before")
    banterd.send_signal(signal.SIGTERM)
    banterd.resume()
    assert [client.replies() for client in clients] == [[b"bye"]] * 3
    for client in clients:
        client.close()
    assert banterd.wait() == 0
    assert [(folder / f"log{number}").read_text() for number in range(1, 4)] == ["received before\n"] * 3


def test_the_stop_does_not_wait_for_ever(server):
    banterd = talk(server, WORKER, "stay", "hard", "say=ready", options=["--drain-timeout", "200ms"])
    client = banterd.connect()
    assert client.readline() == b"ready"
    pid, = copies(banterd, 1)
    banterd.send_signal(signal.SIGTERM)
    assert client.replies() == []
    client.close()
    assert banterd.wait() == 0
    assert process(pid) is None


def test_the_stop_beside_a_client_that_does_not_read(server):
    banterd = talk(server, "yes", options=["-q", "--drain-timeout", "200ms"])
    client = banterd.connect(receive_buffer=4096)
    assert client.readline() == b"y"
    assert banterd.stop() == 0
    assert not children(banterd)


def test_the_stop_while_copies_start(server):
    banterd = shell(server, "sleep 0.2; exec cat", options=["--drain-timeout", "500ms"])
    clients = [banterd.connect() for _ in range(20)]
    banterd.log.wait_for("Connected with", 20)
    banterd.send_signal(signal.SIGTERM)
    for client in clients:
        assert client.replies() == []
        client.close()
    assert banterd.wait() == 0


# ---- nothing is left

def test_many_sessions_leave_nothing(server):
    def leave(number, client):
        client.reset() if number % 3 == 0 else client.send_message("exit 0") if number % 3 == 1 else client.close()

    sessions_leave_nothing(talk(server, WORKER, options=["-q"]), leave)


# ---- options

@pytest.mark.parametrize("options, named", [
    (["--", "cat"], "--worker-per-client"),
    (["--worker-per-request", "--", "cat"], "--worker-per-request"),
    (["--worker-per-client", "--ahead", "2", "--", "cat"], "--ahead"),
    (["--worker-per-client", "--request-end", "x", "--", "cat"], "--request-end"),
    (["--worker-per-client", "--max-requests", "2", "--", "cat"], "--max-requests"),
    (["--tagged", "--", "cat"], "--tagged"),
    (["--worker-per-client", "--framing", "raw", "--", "cat"], "raw"),
    (["--worker-per-client", "--framing", "block", "--", "cat"], "block"),
    ([], "--reply-end"),
])
def test_what_does_not_fit(bench, options, named):
    run = bench.run([harness.BANTERD, "-l", "127.0.0.1:0", "--reply-end", "none", *options])
    assert run.status == 64 and named in run.stderr.decode() and run.stderr.count(b"\n") == 1
