"""Input lines longer than any buffer: the client passes them on in pieces, in bounded memory."""
import subprocess

import pytest

from harness import BANTER, LIMIT, Run, scaled
from plain import MEMORY_BOUND, peak_memory, plain
from peers.scripted import Peer

pytestmark = pytest.mark.no_threads

MIB = 1 << 20

def count_bytes(connection):
    """Answers each line with its size, without ever holding one."""
    size = 0
    while data := connection.socket.recv(1 << 20):
        *ends, rest = data.split(b"\n")
        for part in ends:
            if not size and part == b"--QUIT--":
                return
            connection.send(b"%d\n" % (size + len(part)))
            size = 0
        size += len(rest)
    if size:
        connection.send(b"-ERR incomplete %d\n" % size)


def run_and_watch(bench, command, script):
    """Feeds pieces to the client; returns what it wrote and the most memory it ever had, in bytes."""
    with plain(bench, *command, stderr=subprocess.PIPE) as program:
        for piece in script:
            program.stdin.write(piece)
        program.stdin.flush()
        peak = peak_memory(program.pid)
        stdout, stderr = program.communicate(timeout=LIMIT)
    assert (program.returncode, stderr) == (0, b"")
    return stdout, peak


@pytest.mark.parametrize("before, ending", [(b"", b"\n"), (b"a\n", b"\r\nb\n"), (b"", b"")])
def test_a_line_longer_than_any_buffer(bench, before, ending):
    """A hundred megabytes flow through."""
    count = scaled(100, 10)
    pieces = [before, *[b"x" * MIB] * count, ending]
    with Peer(count_bytes) as peer:
        stdout, peak = run_and_watch(bench, ["-c", peer.address], pieces)
    around = [b"1\n"] if before else []
    assert stdout == b"".join([*around, b"%d\n" % (count * MIB), *around])
    assert peak < MEMORY_BOUND


def test_a_long_line_that_the_server_refuses(bench, server):
    """It says so before the end of the line, and the next one is answered."""
    count = scaled(100, 10)
    with plain(bench, "-c", server("-qq").address, stderr=subprocess.PIPE) as program:
        for _ in range(count):
            program.stdin.write(b"x" * MIB)
        program.stdin.flush()
        assert program.stdout.readline().startswith(b"-ERR too-long")
        peak = peak_memory(program.pid)
        stdout, stderr = program.communicate(b"\nZack\n", timeout=LIMIT)
    assert (program.returncode, stdout) == (1, b"Hello ZACK\n")
    assert stderr.startswith(b"banter: 2 input lines sent, 2 replies received; 1 error reply, to input line 1: ")
    assert peak < MEMORY_BOUND


@pytest.mark.parametrize("framing", ["line", "netstring"])
def test_long_lines_through_the_server(bench, server, framing):
    """Of sizes around those of the buffers, and more than they hold."""
    sizes = [65535, 65536, 65537, 131072, 262144, 300_000, 1, 3 * MIB]
    script = b"".join(b"%d" % n * (size // 6) + b"\n" for n, size in enumerate(sizes, 100000))
    address = server("-qq", "-H", "echo", "-m", "16m", "-f", framing).address
    run = bench.run([BANTER, "-c", address, "-f", framing], input=script)
    assert run == Run(0, script, b"")


@pytest.mark.parametrize("script, stdout", [
    # A CR before the LF belongs to the line end, wherever the reads are cut.
    (b"x" * 65535 + b"\r\nb\n", b"65535\n1\n"),
    (b"x" * 131071 + b"\r\n", b"131071\n"),
    (b"x" * 65536 + b"quit\n", b"65540\n"),
    (b"x" * 65536 + b"\nquit\nb\n", b"65536\n"),
    (b"x" * 65536 + b"--QUIT--\nb\n", b"65544\n1\n"),
    (b"--QUIT--" + b" " * 200_000 + b"\nb\n", b""),
    (b"--QUIT--" + b" " * 200_000 + b"x\nb\n", b"200009\n1\n"),
    (b"\r" * 200_000 + b"x\n", b"200001\n"),
], ids=lambda value: "%s...%s" % (value[:8], value[-8:]))
def test_where_long_lines_are_cut(run_banter, script, stdout):
    with Peer(count_bytes) as peer:
        run = run_banter("-c", peer.address, input=script)
        # Behind a word that ends the input there is a line that is not sent.
        assert (run.status, run.stdout) == (65 if b"not sent" in run.stderr else 0, stdout)


def test_a_long_line_that_ends_in_a_carriage_return(run_banter):
    """When that is known the beginning has been sent; it is never taken for a whole line."""
    with Peer(count_bytes) as peer:
        run = run_banter("-c", peer.address, input=b"a\n" + b"x" * 200_000 + b"\r\r\nb\n")
    assert run.status == 65
    assert run.stdout.startswith(b"1\n-ERR incomplete ")
    assert run.stderr.startswith(b"banter: input line 2 can't be sent: it ends in a carriage return\n"
                                 b"banter: 2 input lines sent, 2 replies received; ")


@pytest.mark.slow
def test_a_pause_within_a_long_line_is_not_the_servers(bench):
    with Peer(count_bytes) as peer:
        with plain(bench, "-c", peer.address, "--timeout", "3s") as program:
            program.stdin.write(b"x" * 200_000)
            program.stdin.flush()
            with pytest.raises(subprocess.TimeoutExpired):
                program.wait(3.5)
            stdout, _ = program.communicate(b"y\n", timeout=LIMIT)
        assert (program.returncode, stdout) == (0, b"200001\n")


def test_the_server_leaves_within_a_long_line(bench, folder):
    """It has answered what it was asked: the rest of that line, which is there, is no line that is left."""
    def one(connection):
        connection.fill()
        connection.send(b"enough\n")
    script = b"x" * (4 * MIB)
    for rest, status in ((b"", 0), (b"\n", 0), (b"\nb\n", 76)):
        (folder / "input").write_bytes(script + rest)
        with Peer(one) as peer:
            run = bench.run(["sh", "-c", f"'{BANTER}' -c {peer.address} <input"])
        assert (run.status, run.stdout) == (status, b"enough\n"), (rest, run.stderr)
