"""--again, and --wait behind a busy server: a script goes on over another connection."""
import re
import signal
import threading

import pytest

from fleet import Fleet, restart_under_load
from harness import LIMIT, Run, scaled, wait_until
from peers.scripted import Peer

pytestmark = pytest.mark.no_threads

STOPPING = b"-ERR stopping the server is stopping\n"
LINES = "".join(f"{number}\n" for number in range(1, 11))
ANSWERS = b"".join(b"Hello %d\n" % number for number in range(1, 11))
SUMMARY = "banter: 10 input lines sent, {} repl(y|ies) received, {} missing; the first unanswered input line is {}\n"


def answers(count, then):
    """A behaviour: answers so many lines of each connection, then does something to it."""
    def serve(connection):
        for index, line in enumerate(connection.lines()):
            if index == count:
                then(connection)
                return
            connection.send(b"Hello " + line + b"\n")
    return serve


def stop(connection):
    connection.send(STOPPING)


def close(connection):
    pass


def reset(connection):
    connection.reset()


def half(connection):
    connection.send(b"Hel")


def lines_of(peer):
    """What each connection was sent."""
    return [connection.received.replace(b"--QUIT--\n", b"").decode().split() for connection in peer.connections]


def test_stopping(run_banter):
    with Peer(answers(4, stop)) as peer:
        run = run_banter("-c", peer.address, input=LINES)
        told = f"banter: {peer.address}: the server is stopping; connecting again\n"
    assert run == Run(0, ANSWERS, told.encode() * 2)
    assert [lines[0] for lines in lines_of(peer)] == ["1", "5", "9"]


def test_messages(run_banter):
    with Peer(answers(1, stop)) as peer:
        assert run_banter("-q", "-c", peer.address, "a", "b", "c") == Run(0, b"Hello a\nHello b\nHello c\n", b"")


@pytest.mark.parametrize("codec, frame", [
    ("line", b"%s\n"), ("crlf", b"%s\r\n"), ("block", b"%s\n"), ("netstring", None),
])
def test_each_framing(run_banter, codec, frame):
    """Each request comes once, framed as it was, and the first one again where nothing was answered."""
    def framed(message):
        return frame % message if frame else b"%d:%s," % (len(message), message)

    def serve(connection):
        wait_until(lambda: connection.received.endswith(framed(b"two")) or connection.fill() is None, "both requests")
        wanted = [framed(b"one"), framed(b"two")] if len(peer.connections) < 3 else [framed(b"two")]
        assert connection.received == b"".join(wanted)
        end = b".\n" if codec == "block" else b""
        if len(peer.connections) == 2 or len(peer.connections) == 3:
            reply = b"ok\n" + end
            connection.send(reply if frame else b"2:ok,")
        if len(peer.connections) < 3:
            stopping = STOPPING.strip()
            connection.send(framed(stopping) + end if codec != "netstring" else framed(stopping))

    with Peer(serve) as peer:
        run = run_banter("-q", "-f", codec, "-c", peer.address, "one", "two")
    assert run == Run(0, b"ok\nok\n", b"")


@pytest.mark.parametrize("then", [close, reset, half])
def test_lost(run_banter, then):
    with Peer(answers(4, then)) as peer:
        run = run_banter("--again", "lost", "-c", peer.address, input=LINES)
    assert (run.status, run.stdout) == (0, ANSWERS)
    assert [lines[0] for lines in lines_of(peer)] == ["1", "5", "9"]
    assert len(re.findall(r"^banter: [\d.:]+: connection lost: .*; connecting again$", run.stderr.decode(), re.M)) == 2


@pytest.mark.parametrize("again, then", [("never", stop), ("never", close), ("stopping", close), ("stopping", reset)])
def test_not_again(run_banter, again, then):
    """76, and the line to go on from."""
    with Peer(answers(4, then)) as peer:
        run = run_banter("--again", again, "-c", peer.address, input=LINES)
    assert (run.status, run.stdout) == (76, ANSWERS[:4 * len("Hello 1\n")])
    assert run.stderr.decode().endswith(SUMMARY.format(4, 6, 5).replace("(y|ies)", "ies"))
    assert len(peer.connections) == 1


def test_stopping_again_and_again(run_banter):
    """Without a reply in between there is an end to it."""
    with Peer(answers(0, stop)) as peer:
        run = run_banter("--wait=1s", "-c", peer.address, input=LINES)
        assert len(peer.connections) > 1
    assert (run.status, run.stdout) == (76, b"")
    assert re.fullmatch(r"banter: \S+: the server is stopping; connecting again\n"
                        r"banter: \S+: connection lost: the server is stopping\n" + SUMMARY.format(0, 10, 1),
                        run.stderr.decode())


def test_nobody_there_any_more(run_banter):
    def serve(connection):
        peer.stop_listening()
        connection.line()
        connection.send(b"one\n" + STOPPING)

    with Peer(serve) as peer:
        run = run_banter("--wait=300ms", "-c", peer.address, input="1\n2\n")
    assert (run.status, run.stdout) == (76, b"one\n")
    address = re.escape(peer.address)
    assert re.fullmatch(rf"banter: {address}: the server is stopping; connecting again\n"
                        rf"banter: unable to connect again: {address}: Connection refused\n"
                        rf"banter: {address}: connection lost: the server is stopping\n"
                        r"banter: 2 input lines sent, 1 reply received, 1 missing; .* line is 2\n", run.stderr.decode())


def test_nothing_to_ask(start_banter):
    """While the input is silent nobody is asked; at its end there is nothing to go on with."""
    def serve(connection):
        connection.send(b"Hello " + connection.line() + b"\n" + STOPPING)

    for more in (True, False):
        with Peer(serve) as peer:
            program = start_banter("-q", "-c", peer.address)
            program.type("one\n")
            program.stdout.wait_line("Hello one")
            assert peer.connection().finished.wait(20)
            assert len(peer.connections) == 1
            if more:
                program.type("two\n")
                program.stdout.wait_line("Hello two")
            program.end_input()
            assert program.wait() == 0
            assert len(peer.connections) == 1 + more


def test_a_line_that_comes_with_the_stop(start_banter):
    """It is not left waiting for the next one."""
    def serve(connection):
        connection.send(b"Hello " + connection.line() + b"\n")
        if connection is peer.connections[0]:
            peer.hold()
            connection.send(STOPPING)
            connection.end()
            has_ended.set()

    has_ended = threading.Event()
    with Peer(serve) as peer:
        program = start_banter("-q", "-c", peer.address)
        program.type("one\n")
        program.stdout.wait_line("Hello one")
        program.suspend()
        peer.release()
        program.type("two\n")
        assert has_ended.wait(LIMIT)
        program.resume()
        program.stdout.wait_line("Hello two")
        program.end_input()
        assert program.wait() == 0


def test_a_signal_ends_it(start_banter):
    def serve(connection):
        peer.stop_listening()
        connection.line()
        connection.send(STOPPING)

    with Peer(serve) as peer:
        program = start_banter("--wait=1h", "-c", peer.address, expect_status=-signal.SIGTERM, expect_stderr=
                               r"banter: \S+: the server is stopping; connecting again\n"
                               r"banter: 1 input line sent, 0 replies received, 1 missing; .* line is 1\n")
        program.type("one\n")
        program.stderr.wait_for("connecting again")
        assert program.stop() == -signal.SIGTERM


def test_output_is_written_meanwhile(start_banter):
    """The replies that have come do not wait for the next connection."""
    def serve(connection):
        peer.stop_listening()
        connection.line()
        connection.send(b"one\n" + STOPPING)

    with Peer(serve) as peer:
        program = start_banter("--wait=1h", "-q", "-c", peer.address, expect_status=-signal.SIGTERM, expect_stderr=".*")
        program.type("1\n2\n")
        program.stdout.wait_line("one")
        assert program.stop() == -signal.SIGTERM


def test_wait_is_for_a_busy_server_too(run_banter):
    def serve(connection):
        if len(peer.connections) < 3:
            connection.send(b"-ERR busy too many clients\n")
        else:
            answers(9, close)(connection)

    with Peer(serve) as peer:
        run = run_banter("--wait", "-c", peer.address, "one", "two")
    assert (run.status, run.stdout) == (0, b"Hello one\nHello two\n")
    assert re.fullmatch(rb"banter: waiting for the server: \S+: .*busy.*\n", run.stderr)


def test_busy_for_too_long(run_banter):
    with Peer(lambda connection: connection.send(b"-ERR busy too many clients\n")) as peer:
        run = run_banter("-q", "--wait=200ms", "-c", peer.address, "one")
    assert (run.status, run.stdout) == (69, b"")
    assert re.fullmatch(rb"banter: Connection Error: \S+: .*busy.*\n", run.stderr)


# ---- a real server

@pytest.mark.parametrize("number, again", [(signal.SIGTERM, "stopping"), (signal.SIGKILL, "lost")])
def test_restarts(server, start_banter, folder, number, again):
    """A script goes on over five restarts, in order, nothing twice."""
    def start(will_be_stopped):
        status = -signal.SIGKILL if will_be_stopped and number == signal.SIGKILL else 0
        return server("-q", "-q", listen=f"unix:{folder}/socket", expect_status=status)

    parts, size = 6, scaled(35000, slow=3000)
    current = start(True)
    with open(folder / "replies", "w") as replies:
        # A server that is killed may be in the middle of a reply.
        program = start_banter("--again", again, "-q", "-c", f"unix:{folder}/socket", stdout=replies,
                               expect_stderr="(banter: .*: no whole reply: .*\n)*" if again == "lost" else "")
        for part in range(parts):
            program.type("".join(f"{line}\n" for line in range(part * size, (part + 1) * size)))
            if part == 0:
                wait_until(lambda: (folder / "replies").stat().st_size > 0, "it is connected")
            if part < parts - 1:  # while the rest of the part is on its way
                current.stop(number)
                current = start(part < parts - 2)
        program.end_input()
        assert program.wait() == 0
    assert (folder / "replies").read_text() == "".join(f"Hello {line}\n" for line in range(parts * size))


def test_a_fleet_that_is_restarted_one_by_one(bench):
    """Behind HAProxy; at full size it is `make restarts`."""
    assert restart_under_load(Fleet(bench), sessions=6, rounds=1) > 0
