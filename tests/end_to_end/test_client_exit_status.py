"""banter's exit statuses: each row of the table, and which of two takes precedence. --timeout,
--connect-timeout."""
import re
import socket
import subprocess
from contextlib import contextmanager

import pytest

from harness import BANTER, Run, scaled
from peers.scripted import Peer, hello

pytestmark = pytest.mark.no_threads

MIB = 1 << 20


def refused_port():
    """A port on which nobody listens: bound, so that nobody else gets it either."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    return holder, holder.getsockname()[1]


# ---- 64, 68, 69: it never began

@pytest.mark.parametrize("args, what", [
    (["--nope"], "--nope"),
    (["-f", "morse"], "morse"),
    (["-c", "localhost:"], "localhost:"),
    (["-c", "::1:8000"], "[::1]:8000"),
    (["-c", "127.0.0.1:0"], "127.0.0.1:0"),
    (["-c", "127.0.0.1:70000"], "70000"),
    (["--timeout", "soon"], "soon"),
    (["--connect-timeout", "-1"], "-1"),
    (["--color", "blue"], "blue"),
    (["--connect="], "connect"),
    (["--literal=yes"], "literal"),
    (["--wait=soon"], "--wait"),
    (["--wait="], "--wait"),
    (["--again", "always"], "always"),
    (["--progress", "often"], "often"),
    (["--history", ""], "--history"),
    (["--time=yes"], "--time"),
    (["--no-history=file"], "--no-history"),
])
def test_usage_64(run_banter, args, what):
    run = run_banter(*args, "x")
    assert (run.status, run.stdout) == (64, b"")
    message = run.stderr.decode()
    assert message.startswith("banter: ") and what in message and message.count("\n") == 1


def test_usage_64_environment(run_banter):
    run = run_banter("x", env={"BANTER_ADDRESS": "non sense"})
    assert run.status == 64
    assert b"BANTER_ADDRESS" in run.stderr and b"non sense" in run.stderr


@pytest.mark.parametrize("address", ["no-such-host.invalid:8000", "no-such-host.invalid"])
def test_unknown_host_68(run_banter, address):
    for how in ({"args": ["-c", address]}, {"args": [], "env": {"BANTER_ADDRESS": address}}):
        run = run_banter(*how.pop("args"), "x", **how)
        assert (run.status, run.stdout) == (68, b"")
        assert run.stderr.startswith(b"banter: ") and b"no-such-host.invalid" in run.stderr


def test_refused_69(run_banter):
    holder, port = refused_port()
    with holder:
        for how in ({"input": "x\n"}, {"input": ""}):
            run = run_banter("-c", f"127.0.0.1:{port}", **how)
            assert run == Run(69, b"", b"banter: Connection Error: 127.0.0.1:%d: Connection refused\n" % port)


@contextmanager
def mute_port():
    """A listener whose queue is full does not answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


def test_not_in_time_69(run_banter):
    with mute_port() as port:
        run = run_banter("-c", f"127.0.0.1:{port}", "--connect-timeout", "100ms", "x")
    assert run == Run(69, b"", b"banter: Connection Error: 127.0.0.1:%d: Connection timed out\n" % port)


def test_each_address_is_named_with_its_reason_69(run_banter):
    """IPv4 is mute, at IPv6 nobody is; the time is for both."""
    with mute_port() as port:
        run = run_banter("-c", f":{port}", "--connect-timeout", "200ms", "x")
    reasons = run.stderr.decode().removeprefix("banter: Connection Error: ").rstrip("\n").split("; ")
    assert (run.status, run.stdout, reasons[0]) == (69, b"", f"127.0.0.1:{port}: Connection timed out")
    for reason in reasons[1:]:  # where there is IPv6 at all
        assert re.fullmatch(rf"\[::1\]:{port}: .*(refused|Cannot assign).*", reason)


def test_a_mute_address_holds_up_the_next_for_a_moment_only(run_banter, server):
    """Without a limit to the time; the kernel would go on for two minutes."""
    with mute_port() as port:
        try:
            with socket.create_server(("::1", port), family=socket.AF_INET6):
                pass
        except OSError:
            pytest.skip("there is no IPv6, or the port is somebody's")
        server(listen=f"[::1]:{port}")
        run = run_banter("-c", f":{port}", "--connect-timeout", "0", "Zack")
    assert run == Run(0, b"Hello ZACK\n", b"")


def test_a_path_that_is_none_69(run_banter, folder):
    (folder / "file").touch()
    for name, why in (("nothing", "No such file or directory"), ("file", "Connection refused")):
        run = run_banter("-c", f"unix:{folder / name}", "x")
        assert run == Run(69, b"", f"banter: Connection Error: unix:{folder / name}: {why}\n".encode())


def busy(connection):
    connection.send(b"-ERR busy too many clients\n")


@pytest.mark.parametrize("how", [{"input": "a\nb\n"}, {"input": ""}, {"input": "a\n" * 50_000}])
def test_busy_69(run_banter, how):
    with Peer(busy) as peer:
        run = run_banter("-c", peer.address, **how)
    assert (run.status, run.stdout) == (69, b"")
    told, *rest = run.stderr.decode().splitlines()
    assert told == f"banter: Connection Error: {peer.address}: -ERR busy too many clients"
    # How many were sent before that was known is chance.
    assert all(line.endswith("the first unanswered input line is 1") for line in rest) and len(rest) <= 1


def test_busy_server_69(run_banter, server):
    full = server("--max-clients", "1")
    first = full.connect()
    first.ask("I am here")
    run = run_banter("-c", full.address, "x")
    assert (run.status, run.stdout) == (69, b"")
    assert run.stderr.startswith(b"banter: Connection Error: ") and b"-ERR busy" in run.stderr


# ---- 74: input and output here

@pytest.mark.parametrize("command, what", [
    ('"$B" -c $A x > /dev/full', b"unable to write standard output: No space left on device"),
    ('seq 100000 | "$B" -c $A > /dev/full', b"unable to write standard output: No space left on device"),
    ('"$B" -c $A x >&-', b"unable to write standard output: Bad file descriptor"),
    ('echo x | "$B" -c $A >&-', b"unable to write standard output: Bad file descriptor"),
    ('"$B" -c $A <&-', b"unable to read standard input: Bad file descriptor"),
    ('"$B" -c $A < /', b"unable to read standard input: Is a directory"),
    ('"$B" --version > /dev/full', b"unable to write standard output: No space left on device"),
    ('"$B" --help > /dev/full', b"unable to write standard output: No space left on device"),
])
def test_input_and_output_74(bench, command, what):
    with Peer(hello) as peer:
        run = bench.run(["bash", "-c", command], env={"B": BANTER, "A": peer.address})
    assert (run.status, run.stdout) == (74, b"")
    assert run.stderr.startswith(b"banter: %s\n" % what)


def test_without_standard_error(bench):
    """Nobody is told, but all the rest is as it should be; the socket must not take its place."""
    with Peer(lambda connection: connection.send(connection.line() + b"\n")) as peer:
        run = bench.run(["bash", "-c", 'seq 3 | "$B" -c $A 2>&-'], env={"B": BANTER, "A": peer.address})
        assert peer.connection().received.startswith(b"1\n")
    assert run == Run(76, b"1\n", b"")


def test_74_goes_before_76(bench):
    with Peer(lambda connection: connection.send(connection.line() + b"\n")) as peer:
        run = bench.run(["bash", "-c", 'seq 3 | "$B" -c $A > /dev/full'], env={"B": BANTER, "A": peer.address})
    assert run.status == 74


# ---- 76: the connection is lost

def summary(sent, received, rest=""):
    """The line that sums up a run that failed; `rest` is what stands behind the two counts."""
    return (f"banter: {sent} input line{'s' if sent != 1 else ''} sent, "
            f"{received} repl{'ies' if received != 1 else 'y'} received{rest}\n").encode()


def lost(peer, why, missing, line):
    """What is told when a connection is lost, the input line `line` being the first one without a reply."""
    rest = f", {missing} missing" if missing else ""
    return (f"banter: {peer.address}: connection lost: {why}\n".encode() +
            summary(line - 1 + missing, line - 1, f"{rest}; the first unanswered input line is {line}"))


def not_whole(peer, shown):
    return f"banter: {peer.address}: no whole reply: {shown}\n".encode()


def test_closed_in_the_middle_76(run_banter):
    def two(connection):
        lines = [connection.line() for _ in range(5)]
        connection.send(b"".join(line + b"\n" for line in lines[:2]))
    with Peer(two) as peer:
        run = run_banter("-c", peer.address, input="a\nb\nc\nd\ne\n")
        assert run == Run(76, b"a\nb\n", lost(peer, "the server closed it", 3, 3))


def test_half_a_reply_76(run_banter):
    def half(connection):
        connection.line()
        connection.send(b"whole\nhal")
    with Peer(half) as peer:
        run = run_banter("-c", peer.address, input="a\nb\n")
        assert run == Run(76, b"whole\n", not_whole(peer, "hal") +
                          lost(peer, "the server closed it in the middle of a reply", 1, 2))


@pytest.mark.parametrize("count", [1, 1000])
def test_reset_76(start_banter, count):
    """What was received before the reset is printed, and counted."""
    def reset(connection):
        for _ in range(count + 1):
            connection.line()
        connection.send(b"got it\n" * count)
        peer.hold()
        connection.reset()
    with Peer(reset) as peer:
        program = start_banter("-c", peer.address, expect_status=76,
                               expect_stderr=re.escape(lost(peer, "Connection reset by peer", 1, count + 1).decode()))
        program.type(b"a\n" * (count + 1))
        program.stdout.wait_line("got it", count)
        peer.release()
        assert program.wait() == 76
        assert program.stdout.lines == ["got it"] * count


def test_a_failed_send_is_not_the_end_76(run_banter):
    """The server answers some, reads nothing more, and is gone while the client is still sending."""
    count = scaled(200_000, 50_000)

    def early(connection):
        for _ in range(10):
            connection.line()
        connection.send(b"ok\n" * 10)
        connection.socket.close()  # with unread bytes: a reset follows
    with Peer(early) as peer:
        run = run_banter("-c", peer.address, input="some line\n" * count)
    assert run.status == 76
    assert run.stdout == b"ok\n" * 10
    assert b"the first unanswered input line is 11\n" in run.stderr


def test_input_left_76(run_banter):
    """In raw nothing is owed between two lines, but there are more."""
    def once(connection):
        connection.socket.recv(100)
        connection.send(b"one")
    with Peer(once) as peer:
        run = run_banter("-c", peer.address, "-f", "raw", input="a\nb\n")
    assert run.status == 76
    assert run.stdout == b"one\n"
    assert b"the first unanswered input line is 2\n" in run.stderr


def test_nothing_left_0(start_banter):
    """The server closes after the last line, a moment before the input ends."""
    def once(connection):
        connection.send(connection.line() + b"\n")
        connection.end()
        connection.finished.wait(0.1)
        program.end_input()
    with Peer(once) as peer:
        program = start_banter("-c", peer.address)
        program.type("a\n")
        assert program.wait() == 0
        assert program.stdout.lines == ["a"]


def test_no_netstring_76(run_banter):
    def wrong(connection):
        connection.fill()
        connection.send(b"2:ok,Hello\n")
        peer.hold()
    with Peer(wrong) as peer:
        run = run_banter("-c", peer.address, "-f", "netstring", input="a\nb\n")
        assert run == Run(76, b"ok\n", not_whole(peer, "Hello\\n") +
                          lost(peer, "what the server sent is no netstring", 1, 2))


@pytest.mark.parametrize("framing, head, tail", [
    ("line", b"", b"\n"), ("crlf", b"", b"\r\n"), ("block", b"", b"\n.\n"), ("netstring", b"%d:", b",")])
def test_long_replies(run_banter, framing, head, tail):
    def answer(size):
        def behaviour(connection):
            connection.fill()
            connection.send((head % size if head else b"") + b"x" * size + tail)
            connection.wait_end()
        return behaviour
    with Peer(answer(16 * MIB)) as peer:
        run = run_banter("-c", peer.address, "-f", framing, input="a\n")
        shown = 16 * MIB + (3 if framing == "block" else 1)
        assert (run.status, len(run.stdout), run.stderr) == (0, shown, b"")
    with Peer(answer(16 * MIB + 1)) as peer:
        run = run_banter("-c", peer.address, "-f", framing, input="a\n")
        shown = not_whole(peer, "16777217:" + 991 * "x" + "...") if framing == "netstring" else b""
        assert run == Run(76, b"", shown + lost(peer, "the server sent a reply of more than 16 MiB", 1, 1))


def test_76_for_messages(run_banter):
    with Peer(lambda connection: connection.send(connection.line() + b"\n")) as peer:
        run = run_banter("-c", peer.address, "a", "b", "c")
    assert (run.status, run.stdout) == (76, b"a\n")
    assert run.stderr.endswith(b"\nbanter: 3 messages sent, 1 reply received, 2 missing; "
                               b"the first unanswered message is 2\n")


# ---- 75: silence

def test_timeout_75(run_banter):
    def one_reply(connection):
        connection.send(connection.line() + b"\n")
        peer.hold()
    with Peer(one_reply) as peer:
        run = run_banter("-c", peer.address, "--timeout", "3s", input="a\nb\nc\n")
    assert run == Run(75, b"a\n", f"banter: {peer.address}: nothing received for --timeout\n".encode() +
                      summary(3, 1, ", 2 missing; the first unanswered input line is 2"))


def test_timeout_of_a_server_that_never_reads_75(bench):
    def never_read(connection):
        peer.hold()
    with Peer(never_read, receive_buffer=4096) as peer:
        run = bench.run(["bash", "-c", f'yes | "{BANTER}" -c {peer.address} --timeout 200ms'])
    assert (run.status, run.stdout) == (75, b"")


@pytest.mark.slow
def test_timeout_begins_when_the_request_has_left(run_banter, folder):
    """A long request over a slow line takes its time; nobody owes a reply before its end."""
    size, piece = 20 * MIB, MIB // 2

    def read_slowly(connection):
        taken = 0
        while taken < size:
            taken += len(connection.socket.recv(piece))
            if taken // piece > waited[-1]:
                waited.append(taken // piece)
                peer.released.wait(0.1)
        connection.send(b"done\n")
    waited = [0]
    with Peer(read_slowly, path=str(folder / "socket")) as peer:
        line = b"x" * (size - 1) + b"\n"
        assert run_banter("-c", peer.address, "--timeout", "3s", input=line) == Run(0, b"done\n", b"")


@pytest.mark.slow
def test_timeout_is_for_owed_replies_alone(start_banter):
    """An idle connection is none that is late."""
    with Peer(hello) as peer:
        program = start_banter("-c", peer.address, "--timeout", "3s")
        program.type("a\n")
        program.stdout.wait_line("Hello a")
        with pytest.raises(subprocess.TimeoutExpired):
            program.process.wait(3.5)
        program.type("b\n")
        program.stdout.wait_line("Hello b")
        program.end_input()
        assert program.wait() == 0


# ---- 65: what the framing can't carry

@pytest.mark.parametrize("ending", ["\n", ""])
def test_not_carried_65(run_banter, ending):
    with Peer(hello) as peer:
        run = run_banter("-c", peer.address, input="a\nb\nc\r\r\nd" + ending)
        assert run == Run(65, b"Hello a\nHello b\n",
                          b"banter: input line 3 can't be sent: it ends in a carriage return\n" +
                          summary(2, 2, "; the first unanswered input line is 3"))
        assert peer.connection().received == b"a\nb\n--QUIT--\n"


def test_76_goes_before_65(run_banter):
    with Peer(lambda connection: connection.send(connection.line() + b"\n")) as peer:
        run = run_banter("-c", peer.address, input="a\nb\nc\r\r\n")
    assert run.status == 76


def test_65_goes_before_1(run_banter):
    def refuse(connection):
        for _ in connection.lines():
            connection.send(b"-ERR bad-request no\n")
    with Peer(refuse) as peer:
        run = run_banter("-c", peer.address, input="a\nb\r\r\n")
    assert (run.status, run.stdout) == (65, b"-ERR bad-request no\n")


# ---- 1 and 0

@pytest.mark.parametrize("reply, status", [
    (b"-ERR too-long really", 1), (b"-ERR x", 1), (b"-ERR", 0), (b"-ERR ", 0), (b"-ERROR x", 0), (b" -ERR x", 0),
    (b"", 0), (b"-", 0)])
def test_error_reply_1(run_banter, reply, status):
    def answer(connection):
        for _ in connection.lines():
            connection.send(reply + b"\n")
    with Peer(answer) as peer:
        assert run_banter("-c", peer.address, "x") == Run(status, reply + b"\n", b"")


def test_error_reply_of_the_server_1(run_banter, server):
    run = run_banter("-c", server("-m", "10").address, input="short\nmuch too long\nshort\n")
    assert run.status == 1
    replies = run.stdout.decode().split("\n")
    assert replies[0] == replies[2] == "Hello SHORT" and replies[1].startswith("-ERR too-long")


def test_help_and_version_0(run_banter):
    version = run_banter("--version")
    assert version == Run(0, b"banter 0.1.0\n", b"")
    help_text = run_banter("--help")
    assert (help_text.status, help_text.stderr) == (0, b"")
    lines = help_text.stdout.decode().split("\n")
    assert max(map(len, lines)) <= 80
    for status in (64, 68, 77, 69, 74, 76, 75, 65, 1, 0):
        assert any(line.split()[:1] == [str(status)] for line in lines)
