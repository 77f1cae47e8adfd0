"""--tell-peer: a shared copy gets the address and the identity of the client in front of each request."""
import os
import signal

import pytest

from harness import BANTERD
from workers import copies

UID = f"uid={os.geteuid()}"
# Answers with what it was given, and shows each TAB as a bar.
ECHO = ["sed", "-u", r"s/\t/|/g"]


def told(client, message):
    return f"{client.name}|-|{message}".encode()


def test_address_and_identity(server, folder):
    path = folder / "socket"
    banterd = server("--tell-peer", "-w", "2", "--listen", f"unix:{path}", "--", *ECHO)
    clients = [banterd.connect() for _ in range(3)]
    local = banterd.connect(f"unix:{path}")
    for message in ["one", "", "two\tparts"]:
        for client in clients:
            assert client.ask(message) == told(client, message.replace("\t", "|"))
        assert local.ask(message) == f"unix:{path}|{UID}|{message}".replace("\t", "|").encode()


def test_ipv6(server):
    client = server("--tell-peer", "--listen", "[::1]:0", "--", *ECHO)
    client = client.connect(client.addresses[1])
    assert client.ask("x") == told(client, "x")


@pytest.mark.parametrize("tagged", [[], ["--tagged"]], ids=["turns", "tagged"])
def test_a_path_can_break_no_line(server, folder, tagged):
    path = folder / "a\tb\nc\x1b"
    banterd = server("--tell-peer", *tagged, "-w", "1", "--listen", f"unix:{path}", "--", "sed", "-u", "s/\t/|/g")
    assert banterd.connect(f"unix:{path}").ask("x") == f"unix:{folder}/a\\tb\\nc\\x1b|{UID}|x".encode()


def test_it_is_not_counted_in_the_limit(server):
    client = server("--tell-peer", "-m", "10", "--", *ECHO).connect()
    client.send_message("x" * 10, "x" * 11, "y")
    first, second, third = client.lines(3)
    assert first == told(client, "x" * 10) and second.startswith(b"-ERR too-long") and third == told(client, "y")


MESSAGES = [f"{number}" for number in range(200)]


@pytest.mark.parametrize("options, command", [
    (["--ahead", "16"], ECHO),
    (["--tagged"], ["awk", r'{ gsub(/\t/, "|"); print; fflush() }']),
    (["--ahead", "16", "--reply-end", "line:END", "--request-end", "END"], ECHO),
    (["--reply-end", "line:END", "--request-end", "END"], ECHO),
    (["--reply-end", "waits"], ECHO),
    (["-f", "block", "--reply-end", "waits"], ECHO),
    (["--pty"], ECHO),
], ids=lambda value: "".join(value[:3]) if value[0].startswith("-") else None)
def test_with_other_options(server, folder, options, command):
    banterd = server("-q", "--tell-peer", "-w", "2", *options, "--listen", f"unix:{folder}/socket", "--", *command)
    clients = [banterd.connect() for _ in range(4)] + [banterd.connect(f"unix:{folder}/socket") for _ in range(2)]
    for client in clients:
        client.send_in_background("".join(f"{message}\n" for message in MESSAGES))
    for client in clients[:4]:
        expected = [told(client, message) for message in MESSAGES]
        if "block" in options:
            expected = [line for one in expected for line in (one, b".")]
        assert client.lines(len(expected)) == expected
    expected = [f"unix:{folder}/socket|{UID}|{message}".encode() for message in MESSAGES]
    if "block" in options:
        expected = [line for one in expected for line in (one, b".")]
    for client in clients[4:]:
        assert client.lines(len(expected)) == expected


def test_netstring(server):
    banterd = server("--tell-peer", "-f", "netstring", "--", *ECHO)
    client = banterd.connect()
    assert client.ask(b"\0\xff\rx") == told(client, "") + b"\0\xff\rx"


@pytest.mark.parametrize("options", [["--ahead", "64"], ["--tagged"]], ids=["ahead", "tagged"])
def test_kills_under_load(server, options):
    """A request that goes to another copy has the same in front there; nobody gets what is another's."""
    banterd = server("-qq", "--tell-peer", "-w", "3", *options, "--", "cat")
    clients = [banterd.connect() for _ in range(6)]
    right = 0
    for turn in range(20):
        messages = [f"{turn}.{number}" for number in range(50)]
        for client in clients:
            client.send_message(*messages)
        for pid in copies(banterd)[:turn % 3]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # it is being replaced
                pass
        for client in clients:
            for message, reply in zip(messages, client.lines(len(messages))):
                good = reply == f"{client.name}\t-\t{message}".encode()
                assert good or reply.startswith((b"-ERR handler-failed", b"-ERR unavailable"))
                right += good
    assert right > 500


def test_the_client_is_told_though_it_has_left(server, folder):
    """Its request waits in a copy that is stopped, and is written in parts."""
    banterd = server("--tell-peer", "-w", "1", "-m", "1m", "--", "sh", "-c",
                     f"while read -r line; do echo \"$line\" >>{folder}/seen; echo; done")
    pid, = copies(banterd, 1)
    os.kill(pid, signal.SIGSTOP)
    client = banterd.connect()
    name = client.name
    client.send_message("x" * 200000, "y")
    banterd.log.wait_for("received from client: y")
    client.reset()
    banterd.log.wait_line(f"[1] Connection {name} closed")
    os.kill(pid, signal.SIGCONT)
    other = banterd.connect()
    assert other.ask("z") == b""
    lines = (folder / "seen").read_text().splitlines()
    assert [line.split("\t") for line in lines if len(line) < 100] == [[other.name, "-", "z"]]
    assert all(line.startswith(f"{name}\t-\tx") for line in lines if len(line) > 100)


@pytest.mark.parametrize("options, named", [
    (["--tell-peer"], "-- PROGRAM"),
    (["--tell-peer", "--worker-per-client", "--", "cat"], "--worker-per-client"),
    (["--tell-peer", "--worker-per-client", "-w", "2", "--", "cat"], "--worker-per-client"),
    (["--tell-peer", "--worker-per-request", "--", "cat"], "--worker-per-request"),
])
def test_options_that_do_not_fit(bench, options, named):
    result = bench.run([BANTERD, *options])
    text = result.stderr.decode()
    assert result.status == 64 and "--tell-peer" in text and named in text
