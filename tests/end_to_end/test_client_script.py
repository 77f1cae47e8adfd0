"""banter with a pipe or a file as standard input: one request a line, one reply a line, nothing
lost, nothing hanging. --literal, --framing, --timeout."""
import os
import random
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness import BANTER, LIMIT, Run, is_ready, scaled
from plain import MEMORY_BOUND, peak_memory, plain
from peers.scripted import Peer, hello

pytestmark = pytest.mark.no_threads

PEERS = Path(__file__).parent / "peers"
MANY = scaled(1_000_000, 50_000)


def replies_to(lines):
    return b"".join(b"Hello %s\n" % line for line in lines)


@pytest.mark.parametrize("script, lines", [
    (b"Zack\n", [b"Zack"]),
    (b"a\nb\nc\n", [b"a", b"b", b"c"]),
    (b"a\r\nb\n", [b"a", b"b"]),
    (b"no newline at the end", [b"no newline at the end"]),
    (b"a\nb", [b"a", b"b"]),
    (b"\n\na\n\n", [b"", b"", b"a", b""]),
    (b"\r\n", [b""]),
    (b"", []),
    (b"a\0b\n\0\n", [b"a\0b", b"\0"]),
    (b"\xff\xfe\n", [b"\xff\xfe"]),
    (b" quit\nquit \nQUIT\n\\quit\n", [b" quit", b"quit ", b"QUIT", b"\\quit"]),
    (b"a\rb\n", [b"a\rb"]),
    (b"a\nquit\nb\n", [b"a"]),
    (b"a\nquit", [b"a"]),
    (b"quit\r\nb\n", []),
    (b"a\n--QUIT--\nb\n", [b"a"]),
    (b"--QUIT-- \t\r\nb\n", []),
    (b"x" * 3_000_000 + b"\nafter\n", [b"x" * 3_000_000, b"after"]),
    (b"y" * 200_000, [b"y" * 200_000]),
], ids=lambda value: repr(value)[:40])
def test_lines(run_banter, peer, script, lines):
    run = run_banter("-c", peer.address, input=script)
    assert (run.status, run.stdout) == (65 if script.endswith(b"\nb\n") and len(lines) < 2 else 0, replies_to(lines))
    assert peer.connection().received == b"".join(line + b"\n" for line in lines) + b"--QUIT--\n"


def test_against_the_server(run_banter, server):
    script = "Zack\nPython\nworld!\nquit\n"
    for framing in ("line", "netstring", "raw"):
        run = run_banter("-c", server("-f", framing).address, "-f", framing, input=script)
        assert run == Run(0, b"Hello ZACK\nHello PYTHON\nHello WORLD!\n", b""), framing


def test_many_lines_against_the_server(run_banter, server):
    count = MANY // 5
    run = run_banter("-c", server("-qq").address, input="".join(f"{n}\n" for n in range(count)))
    assert (run.status, run.stderr) == (0, b"")
    assert run.stdout == replies_to(b"%d" % n for n in range(count))


def test_special_lines_among_ordinary_ones(run_banter, server):
    """Many lines are taken at once where none needs a look: those that do are seen, wherever they stand."""
    draw = random.Random(1)
    count = MANY // 10
    kinds = {b"ordinary": 500, b"": 20, b"-": 5, b"quit ": 5, b"q": 5, b"a\rb": 5, b"crlf\r": 50, b"\0nul": 5,
             b"--QUIT-": 5, b"x" * 3000: 1, b"-ERR no": 1}
    lines = draw.choices(list(kinds), kinds.values(), k=count)
    run = run_banter("-c", server("-qq", "-H", "echo").address, input=b"".join(line + b"\n" for line in lines))
    assert run.stdout == b"".join(line.removesuffix(b"\r") + b"\n" for line in lines)
    errors = [number for number, line in enumerate(lines, 1) if line == b"-ERR no"]
    assert run.status == 1
    assert run.stderr.decode() == (f"banter: {count} input lines sent, {count} replies received; {len(errors)} error "
                                   f"replies, the first to input line {errors[0]}: -ERR no\n")


@pytest.mark.parametrize("script, replies, line", [
    ("a\nquit\nb\n", "Hello a\n", 3), ("quit\n\n", "", 2), ("a\nb\n--QUIT--  \nrest", "Hello a\nHello b\n", 4),
    ("quit\r\n" + "x\n" * 100_000, "", 2)], ids=lambda value: repr(value)[:20])
def test_input_behind_quit_65(run_banter, peer, script, replies, line):
    run = run_banter("-c", peer.address, input=script)
    sent = line - 2
    told = f"banter: input line {line} was not sent: the line before it ends the input; --literal sends it as text\n"
    if sent:
        told += (f"banter: {sent} input line{'s' if sent > 1 else ''} sent, {sent} repl{'ies' if sent > 1 else 'y'} "
                 "received\n")
    assert run == Run(65, replies.encode(), told.encode())


def test_no_input_behind_quit_is_waited_for(start_banter, peer):
    program = start_banter("-c", peer.address)
    program.type("a\nquit\n")
    assert program.wait() == 0


def failing(connection):
    for line in connection.lines():
        connection.send(b"-ERR no\n" if line == b"bad" else b"ok\n")


@pytest.mark.parametrize("script, line, rest", [("a\nbad\nb\nc\n", 2, 3), ("bad\n", 1, 0), ("a\nb\nbad", 3, 0),
                                                ("a\nbad\nquit\nb\n", 2, 0)])
def test_stop_on_error(run_banter, script, line, rest):
    with Peer(failing) as peer:
        run = run_banter("-c", peer.address, "--stop-on-error", input=script)
        assert (run.status, run.stdout) == (1, b"ok\n" * (line - 1) + b"-ERR no\n")
        first = f"; the first unanswered input line is {rest}" if rest else ""
        assert f"received{first}; 1 error reply, to input line {line}: -ERR no\n" in run.stderr.decode()
        assert peer.connection().received == "".join(script.splitlines(True)[:line]).encode().rstrip() + \
            b"\n--QUIT--\n"


def test_stop_on_error_with_messages(run_banter):
    with Peer(failing) as peer:
        run = run_banter("-c", peer.address, "--stop-on-error", "a", "bad", "b")
        assert run == Run(1, b"ok\n-ERR no\n", b"banter: 2 messages sent, 2 replies received; the first unanswered "
                          b"message is 3; 1 error reply, to message 2: -ERR no\n")


def test_stop_on_error_without_one(run_banter, peer):
    run = run_banter("-c", peer.address, "--stop-on-error", input="a\nb\n" + "x" * 200_000)
    assert run == Run(0, replies_to([b"a", b"b", b"x" * 200_000]), b"")


def test_literal(run_banter, peer):
    run = run_banter("-c", peer.address, "--literal", input="a\nquit\nb\n--QUIT--\nc\n")
    assert run == Run(65, b"Hello a\nHello quit\nHello b\n",
                      b"banter: input line 4 can't be sent: --QUIT-- would end the session\n"
                      b"banter: 3 input lines sent, 3 replies received; the first unanswered input line is 4\n")


@pytest.mark.parametrize("kind", ["null", "file", "socket"])
def test_kinds_of_input(bench, peer, folder, kind):
    script = b"" if kind == "null" else b"a\nb\n"
    if kind == "file":
        (folder / "script").write_bytes(script)
        stdin = open(folder / "script", "rb")
    elif kind == "socket":
        ours, stdin = socket.socketpair()
        ours.sendall(script)
        ours.close()
    else:
        stdin = open(os.devnull, "rb")
    with stdin:
        program = bench.start([BANTER, "-c", peer.address], stdin=stdin)
        assert program.wait() == 0
    assert program.stdout.lines == ["Hello " + line for line in script.decode().split()]


def test_replies_flow_while_the_input_is_open(start_banter, peer):
    program = start_banter("-c", peer.address)
    for word in ("one", "two", "three"):
        program.type(word + "\n")
        program.stdout.wait_line("Hello " + word)
    program.end_input()
    assert program.wait() == 0


def test_requests_are_sent_ahead(run_banter):
    def answer_at_the_end(connection):
        lines = [connection.line() for _ in range(3)]
        connection.send(b"".join(line + b"\n" for line in lines))
    with Peer(answer_at_the_end) as peer:
        run = run_banter("-c", peer.address, input="a\nb\nc\n")
    assert run == Run(0, b"a\nb\nc\n", b"")


def test_our_half_ends_behind_the_last_reply(run_banter):
    """Many servers take its end for the client's death, and drop what they still owe."""
    def mortal(connection):
        lines = [connection.line() for _ in range(2)]
        connection.send(b"1\n")
        assert not is_ready(connection.socket, select.POLLIN, 0.3)
        connection.send(b"2\n")
        connection.wait_end()
        assert lines == [b"a", b"b"]
    with Peer(mortal) as peer:
        assert run_banter("-c", peer.address, input="a\nb\n") == Run(0, b"1\n2\n", b"")
        assert peer.connection().received == b"a\nb\n--QUIT--\n"


def test_replies_in_pieces(run_banter):
    def dribble(connection):
        for line in connection.lines():
            for byte in b"<" + line + b">\r\n":
                connection.send(bytes([byte]))
    with Peer(dribble) as peer:
        assert run_banter("-c", peer.address, input="a\nb\n") == Run(0, b"<a>\n<b>\n", b"")


def test_a_million_lines_in_bounded_memory(bench, peer):
    """Every line is answered, in order, and the client does not grow with them."""
    with plain(bench, "-c", peer.address) as program:
        def write():
            for begin in range(0, MANY, 1000):
                program.stdin.write(b"".join(b"%d\n" % n for n in range(begin, begin + 1000)))
            program.stdin.flush()
            written.wait(LIMIT)
            program.stdin.close()
        written = threading.Event()
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        for number in range(MANY):
            line = program.stdout.readline()
            assert line == b"Hello %d\n" % number
        peak = peak_memory(program.pid)
        written.set()
        writer.join()
        assert program.stdout.read() == b""
        assert program.wait(LIMIT) == 0
    assert peak < MEMORY_BOUND


def fill_pipe(descriptor, block):
    """Writes until the pipe stays full for a while; returns how many bytes went in."""
    os.set_blocking(descriptor, False)
    total = 0
    idle = 0
    while idle < 20:
        try:
            total += os.write(descriptor, block)
            idle = 0
        except BlockingIOError:
            idle += 1
            threading.Event().wait(0.01)
    return total


def test_a_server_that_never_reads_holds_the_input_back(start_banter):
    def hold(connection):
        peer.hold()
        hello(connection)
    with Peer(hold, receive_buffer=4096) as peer:
        program = start_banter("-c", peer.address)
        total = fill_pipe(program.process.stdin.fileno(), b"x" * 63 + b"\n")
        assert peak_memory(program.pid) < MEMORY_BOUND
        # Nothing is lost: now it reads, and answers everything.
        peer.release()
        os.set_blocking(program.process.stdin.fileno(), True)
        program.end_input()
        assert program.wait() == 0
        whole, rest = divmod(total, 64)
        assert len(program.stdout.lines) == whole + (rest > 0)


def test_a_full_standard_output_holds_the_client_back(bench):
    """It takes no more replies than it can write: its memory does not grow, and no byte is lost."""
    sent = []

    def flood(connection):
        for line in connection.lines():
            connection.send(b"y" * 4000 + line + b"\n")
            sent.append(line)
    with Peer(flood) as peer:
        count = 20_000
        with plain(bench, "-c", peer.address) as program:
            script = b"".join(b"%d\n" % n for n in range(count))
            writer = threading.Thread(target=lambda: (program.stdin.write(script), program.stdin.close()),
                                      daemon=True)
            writer.start()
            last = -1
            while len(sent) != last:  # until the server is held back
                last = len(sent)
                threading.Event().wait(0.2)
            assert peak_memory(program.pid) < MEMORY_BOUND
            replies = program.stdout.read().split(b"\n")[:-1]
            assert replies == [b"y" * 4000 + b"%d" % n for n in range(count)]
            assert program.wait(LIMIT) == 0


def test_a_failed_send_loses_nothing_that_was_received(bench, folder):
    """The server is gone and sending fails, while many of its replies are still in the kernel: standard output
    was full. All of them are printed."""
    reply = b"y" * 999 + b"\n"
    sent = []

    def flood_and_go(connection):
        for _ in range(10_000):
            connection.line()
        sent.append(fill_pipe(connection.socket.fileno(), reply))
        connection.socket.close()
    with Peer(flood_and_go, path=str(folder / "socket")) as peer:
        with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes, \
                plain(bench, "-c", peer.address, stdin=yes.stdout, stderr=subprocess.PIPE) as program:
            yes.stdout.close()  # the client has it, and with the client it ends
            assert peer.connection().finished.wait(LIMIT)
            with pytest.raises(subprocess.TimeoutExpired):
                program.wait(1.5)  # longer than it waits for the end of the stream
            stdout, stderr = program.communicate(timeout=LIMIT)
    whole = sent[0] // len(reply)
    assert whole > 100
    assert stdout == reply * whole
    assert program.returncode == 76
    assert b"the first unanswered input line is %d\n" % (whole + 1) in stderr


@pytest.mark.slow
def test_the_timeout_stands_still_while_the_reader_does(bench):
    """A server that is held back because standard output is full is not silent."""
    def flood(connection):
        for line in connection.lines():
            connection.send(b"y" * 50_000 + line + b"\n")
    script = b"".join(b"%d\n" % n for n in range(1000))
    with Peer(flood) as peer:
        with plain(bench, "-c", peer.address, "--timeout", "3s") as program:
            program.stdin.write(script)
            program.stdin.close()
            with pytest.raises(subprocess.TimeoutExpired):
                program.wait(3.5)
            assert program.stdout.read() == b"".join(b"y" * 50_000 + line for line in script.splitlines(True))
            assert program.wait(LIMIT) == 0


@pytest.mark.parametrize("number", [2, 15])
def test_signals_end_it_while_standard_output_is_full(bench, number):
    def flood(connection):
        connection.line()
        while True:
            connection.send(b"y" * 100 + b"\n")
    with Peer(flood) as peer:
        with plain(bench, "-c", peer.address, stderr=subprocess.DEVNULL) as program:
            program.stdin.write(b"x\n" * 100_000)
            program.stdin.flush()
            assert program.stdout.readline() == b"y" * 100 + b"\n"
            program.send_signal(number)
            assert program.wait(LIMIT) == -number


def test_nobody_reads_any_more(bench, peer):
    """It ends of SIGPIPE as soon as that is so, not when the next reply has to be written; also where whoever
    started it ignores the signal, as Python does."""
    with plain(bench, "-c", peer.address, restore_signals=False) as program:
        program.stdin.write(b"Zack\n")
        program.stdin.flush()
        assert program.stdout.readline() == b"Hello Zack\n"
        program.stdout.close()
        assert program.wait(LIMIT) == -13


def test_head_ends_it(bench, peer):
    run = bench.run(["bash", "-c", f'yes | "{BANTER}" -c {peer.address} | head -1; echo "${{PIPESTATUS[@]}}"'])
    assert run == Run(0, b"Hello y\n141 141 0\n", b"")


def test_leaves_when_the_server_does_and_the_input_is_open(start_banter):
    def close_after_one(connection):
        connection.send(b"Hello " + connection.line() + b"\n")
    with Peer(close_after_one) as peer:
        program = start_banter("-c", peer.address, expect_status=76,
                               expect_stderr="banter: .*: connection lost: the server closed it\n"
                                             "banter: 1 input line sent, 1 reply received; "
                                             "the first unanswered input line is 2\n")
        program.type("Zack\n")
        assert program.wait() == 76
        assert program.stdout.lines == ["Hello Zack"]


# ---- unasked frames

def test_idle_from_the_server(start_banter, server):
    program = start_banter("-c", server("--idle-timeout", "100ms").address, expect_status=76,
                           expect_stderr="(?s)banter: .*: connection lost: the server closed it\n.*")
    assert program.wait() == 76


def test_what_is_owed_stays_owed(run_banter):
    def welcoming(connection):
        connection.send(b"welcome\n")
        connection.send(b"Hello " + connection.line() + b"\n")
    with Peer(welcoming) as peer:
        run = run_banter("-c", peer.address, "--greeting", "1", input="Zack\n")
    assert run == Run(0, b"Hello Zack\n", f"banter: {peer.address}: greeting: welcome\n".encode())


def test_replies_to_nothing_are_unasked(run_banter):
    def talkative(connection):
        connection.send(b"welcome\n")
        for line in connection.lines():
            connection.send(b"Hello " + line + b"\n")
        connection.send(b"one more\033\n")
    with Peer(talkative) as peer:
        run = run_banter("-c", peer.address, input="")
    assert run.status == 1
    assert run.stdout == b""
    prefix = f"banter: {peer.address}: unasked: "
    assert run.stderr.decode() == f"{prefix}welcome\n{prefix}one more\\x1b\n"


# ---- the other framings

def test_netstring(run_banter):
    def shout(connection):
        while b"3:c\0d," not in connection.received:
            assert connection.fill()
        connection.send(b"0:,7:two\nrow,5:\0:,\xff-,")
        connection.wait_end()
    with Peer(shout) as peer:
        run = run_banter("-c", peer.address, "-f", "netstring", input=b"\nab\r\r\nc\0d")
        assert peer.connection().received == b"0:,3:ab\r,3:c\0d,8:--QUIT--,"
    assert run == Run(0, b"\ntwo\nrow\n\0:,\xff-\n", b"")


def test_raw_is_one_at_a_time(run_banter):
    """A peer without framing: what one read returns is a request, and a reply."""
    requests = []

    def read_as_it_comes(connection):
        while data := connection.socket.recv(5120):
            requests.append(data)
            if b"--QUIT--" in data:
                return
            connection.send(b"<" + data + b">")
    with Peer(read_as_it_comes) as peer:
        run = run_banter("-c", peer.address, "-f", "raw", input="a\nb b\r\nc\nquit\n")
    assert run == Run(0, b"<a>\n<b b>\n<c>\n", b"")
    assert requests == [b"a", b"b b", b"c", b"--QUIT--"]


def test_raw_cannot_carry_an_empty_line(run_banter, server):
    run = run_banter("-c", server("-f", "raw").address, "-f", "raw", input="a\n\nb\n")
    assert run == Run(65, b"Hello A\n", b"banter: input line 2 can't be sent: it is empty\n"
                      b"banter: 1 input line sent, 1 reply received; the first unanswered input line is 2\n")


def test_the_tutorials_server(bench, run_banter):
    """It answers "-" to everything, for which nothing is printed, and closes on --QUIT--."""
    tutorial = bench.start([sys.executable, PEERS / "tutorial_server.py"],)
    port = tutorial.stdout.wait_for(r"^Socket now listening on (\d+)$")[1]
    run = run_banter("-c", port, "-f", "raw", input="Zack\nPython\nquit\n")
    assert run == Run(0, b"", b"")
    tutorial.stdout.wait_for("^Connection .* closed$")
    assert "Processed result: Hello ZACK\n" in tutorial.stdout.text
    assert "Processed result: Hello PYTHON\n" in tutorial.stdout.text
    assert "Client is requesting to quit\n" in tutorial.stdout.text
