"""The log, --quiet: one event a line whatever the bytes in it, and a reader that holds up nobody.
"""
import os
import re
import resource
import subprocess

import pytest

import harness
from harness import Output, wait_until

PROCESSING = "[1] Processing the input received from client: "


@pytest.mark.parametrize("sent", [
    b"\x1b[31mred\x07", b"\t\x01\x7f", b"a\rb", b"nul\0", b"\xc2\x9b31m", "ünï 日本".encode(),
])
def test_control_bytes_are_escaped(server, sent):
    banterd = server("-H", "echo")
    client = banterd.connect()
    assert client.ask(sent) == sent
    client.close()
    assert banterd.stop() == 0
    text = banterd.log.text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    lines = [line for line in banterd.log.lines if "Process" in line]
    assert len(lines) == 2
    for letter in re.sub(r"[\x00-\x1f\x7f-\x9f]", "", sent.decode()):
        assert letter in lines[0] and letter in lines[1]


@pytest.mark.parametrize("character", "\u202e\u202c\u2066\u2069\u200e\u200f\u061c\u2028\u2029")
def test_what_makes_a_line_look_like_another_is_escaped(server, character):
    banterd = server("-H", "echo")
    client = banterd.connect()
    sent = f"admin {character}nimda{character} end".encode()
    assert client.ask(sent) == sent
    client.close()
    assert banterd.stop() == 0
    escaped = "".join(f"\\x{byte:02x}" for byte in character.encode())
    text = banterd.log.text
    assert character not in text
    assert text.count(f": admin {escaped}nimda{escaped} end\n") == 2


def test_a_message_can_not_forge_a_line(server):
    banterd = server("-H", "echo", "--framing", "netstring")
    client = banterd.connect()
    sent = b"x\n[9] Connected with 10.0.0.1:1\nServer stopped after 9 clients, 9 requests"
    assert client.ask(sent) == sent
    client.close()
    assert banterd.stop() == 0
    assert len(banterd.log.lines) == 7  # two for the socket, four for the session, one for the end
    assert not banterd.log.find(r"^\[9\]")


def test_each_line_is_whole_with_many_at_once(server):
    banterd = server("-t", "2", "-H", "echo")
    clients = [banterd.connect() for _ in range(8)]
    count = 50
    for number, client in enumerate(clients):
        client.send_message(*(f"{number} {i} " + "x" * 100 for i in range(count)))
        client.half_close()
    for client in clients:
        assert len(client.replies()) == count
        client.close()
    assert banterd.stop() == 0
    pattern = r"Socket .*|Server stopped .*|\[\d\] (Connect.*|Process.*: \d \d+ x{100})"
    assert [line for line in banterd.log.lines if not re.fullmatch(pattern, line)] == []
    dropped = len(banterd.log.find("dropped"))
    assert dropped or len(banterd.log.lines) == 3 + 8 * 2 + 8 * count * 2


def test_a_session_s_lines_are_in_order(server):
    banterd = server("-t", "2")
    client = banterd.connect()
    for number in range(100):
        assert client.ask(str(number)) == b"Hello %d" % number
    client.close()
    assert banterd.stop() == 0
    assert [line for line in banterd.log.lines if "Process" in line] == [
        line for number in range(100) for line in (f"{PROCESSING}{number}", f"[1] Processed result: Hello {number}")]


@pytest.fixture
def pipe():
    """A pipe's two ends, closed at the end of the test."""
    ends = [os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"))]
    yield ends
    for end in ends:
        end.close()


def connect_unseen(banterd, address):
    """Connects to a server whose readiness line can't be seen."""
    def connected():
        try:
            return banterd.connect(address)
        except (ConnectionError, FileNotFoundError):
            return None
    return wait_until(connected, "it listens")


def server_with_log(server, folder, output, **how):
    """A server whose log goes into an open file, which is closed here, and a client of it."""
    address = f"unix:{folder}/socket"
    banterd = server(listen=address, stdout=output, **how)
    output.close()
    return banterd, connect_unseen(banterd, address)


def test_a_reader_that_never_reads_holds_nobody_up(server, folder, pipe):
    """What it could not take is counted: lines and told drops are all the lines there would have been."""
    reading, writing = pipe
    banterd, client = server_with_log(server, folder, writing)
    count = 30000
    client.send_in_background("message\n" * count)
    assert client.lines(count) == [b"Hello MESSAGE"] * count
    log = Output(reading)
    client.quit()
    client.close()
    assert banterd.stop() == 0
    log.wait_end()
    lines = log.lines
    dropped = [int(re.search(r"\d+", line)[0]) for line in lines if re.search(r"dropped", line)]
    assert dropped
    assert len(lines) - len(dropped) + sum(dropped) == 2 + 3 + 2 * count + 1
    assert lines[0] == "Socket created"
    assert lines[-1] == f"Server stopped after 1 clients, {count} requests"


@pytest.mark.slow
def test_a_reader_that_never_reads_does_not_hold_up_the_stop(server, folder, pipe):
    reading, writing = pipe
    banterd, client = server_with_log(server, folder, writing)
    client.send_in_background("message\n" * 5000)
    assert client.lines(5000) == [b"Hello MESSAGE"] * 5000
    client.close()
    assert banterd.stop() == 0


def test_a_reader_that_has_gone(server, folder, pipe):
    reading, writing = pipe
    reading.close()
    banterd, client = server_with_log(server, folder, writing, expect_stderr=r".*")
    for _ in range(100):
        assert client.ask("Zack") == b"Hello ZACK"
    client.close()
    assert banterd.stop() == 0


def test_a_full_disk(server, folder):
    banterd, client = server_with_log(server, folder, open("/dev/full", "w"), expect_stderr=r".*")
    for _ in range(100):
        assert client.ask("Zack") == b"Hello ZACK"
    client.close()
    assert banterd.stop() == 0


WHOLE = re.compile(r"Socket .*|Server stopped .*|\[1\] Connect.*|\[1\] Process.*: (message|Hello MESSAGE) \d+ x+|"
                   r"(\d+) lines of this log were dropped|", re.I)


def limited(bench, folder, mode):
    """A server whose log can't grow beyond 20,000 bytes until that limit is raised, and a client."""
    command = ["prlimit", "--fsize=20000:", harness.BANTERD, "--listen", f"unix:{folder}/socket"]
    output = open(folder / "log", mode)
    banterd = bench.start(command, kind=harness.Server, ready=False, stdout=output)
    output.close()
    return banterd, connect_unseen(banterd, f"unix:{folder}/socket")


def talk(client, numbers):
    for number in numbers:
        assert client.ask(f"message {number} xxxxx") == b"Hello MESSAGE %d XXXXX" % number


def raise_limit(banterd):
    resource.prlimit(banterd.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_a_log_that_can_not_grow_is_whole_when_it_can_again(bench, folder):
    banterd, client = limited(bench, folder, "w")
    talk(client, range(500))
    wait_until(lambda: (folder / "log").stat().st_size == 20000, "the log is full")
    talk(client, range(500, 1000))
    raise_limit(banterd)
    talk(client, range(1000, 1500))
    client.close()
    assert banterd.stop() == 0
    lines = (folder / "log").read_text().splitlines()
    matches = [WHOLE.fullmatch(line) for line in lines]
    assert all(matches), [line for line, match in zip(lines, matches) if not match]
    dropped = sum(int(match[2] or 0) for match in matches)
    reports = sum(match[2] is not None for match in matches)
    assert dropped > 0
    assert dropped + len(lines) - reports == 2 + 1 + 2 * 1500 + 1 + 1


def test_a_log_that_was_cut_off_begins_with_a_whole_line(bench, folder):
    """As by a rotation that copies and truncates."""
    banterd, client = limited(bench, folder, "a")
    talk(client, range(500))
    wait_until(lambda: (folder / "log").stat().st_size == 20000, "the log is full")
    os.truncate(folder / "log", 0)
    raise_limit(banterd)
    talk(client, range(500, 600))
    client.close()
    assert banterd.stop() == 0
    lines = (folder / "log").read_text().splitlines()
    assert [line for line in lines if not WHOLE.fullmatch(line)] == []
    assert lines[-1] == "Server stopped after 1 clients, 600 requests"


def test_errors_of_a_kind_are_told_ten_a_second_and_counted(server):
    banterd = server("--max-message", "5")
    client = banterd.connect()
    count = 1000
    client.send_message(*["too long"] * count)
    client.half_close()
    assert len(client.replies()) == count
    client.close()
    # Its second ends, without another event.
    banterd.log.wait_for("^\\d+ more within a second: The input size is greater than expected$")
    assert banterd.stop() == 0
    told = len(banterd.log.find(r"^\[1\] The input size is greater than expected 8$"))
    more = [int(match[1]) for match in banterd.log.find(r"^(\d+) more within a second: The input")]
    assert 10 <= told <= 10 * len(more) + 10
    assert told + sum(more) == count


def test_all_that_a_program_says_is_told(server):
    banterd = server("-w", "1", "--", "sh", "-c", "seq 100 >&2; exec cat", expect_stderr=".*")
    banterd.log.wait_for("Worker 1.* 100$")
    assert banterd.stop() == 0
    assert len(banterd.log.find(r"Worker 1.* \d+$")) >= 100


def test_closed_standard_output(bench, folder):
    """The log must not go into whatever gets descriptor 1 then, such as a client's socket."""
    banterd = bench.start(["sh", "-c", 'exec "$0" "$@" <&- >&-', harness.BANTERD, "--listen", f"unix:{folder}/socket"],
                          kind=harness.Server, ready=False, stdout=subprocess.DEVNULL, expect_stderr=r".*")
    client = connect_unseen(banterd, f"unix:{folder}/socket")
    for descriptor in (0, 1):
        assert not os.readlink(f"/proc/{banterd.pid}/fd/{descriptor}").startswith(("socket:", "anon_inode:"))
    others = [banterd.connect(f"unix:{folder}/socket") for _ in range(5)]
    for _ in range(100):
        assert client.ask("Zack") == b"Hello ZACK"
    for other in others:
        other.send_message("x", "--QUIT--")
        assert other.replies() == [b"Hello X"]
        other.close()
    client.close()
    assert banterd.stop() == 0
