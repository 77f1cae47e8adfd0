"""--ahead: several requests of a session are given to a copy in one write, and what becomes of each."""
import re

import pytest

from harness import BANTERD, wait_until
from workers import PROGRAMS, copies

BLOCKS = PROGRAMS / "blocks.py"
MORE = rb"-ERR handler-failed the program was given \d+ requests at once, and has answered (more|\d+)"
ENDED = b"-ERR handler-failed the program ended with status 3"
LATE = b"-ERR handler-timeout the handler has not answered in time"


class Blocks:
    """A server whose copies log what they have got at once."""

    def __init__(self, server, folder, *options, mode=("-w", "1")):
        self._log = folder / "blocks"
        self.banterd = server("--ahead", "16", *mode, *options, "--", "python3", "-IS", str(BLOCKS), str(self._log))
        self.client = self.banterd.connect()

    def ask_until(self, messages, check, pattern, end=False):
        """Asks until a copy was given some of these messages at once, as the pattern says. How many it is given depends
        on how long it takes, and on when they come; check() gets the replies, and each time they must be right. With
        `end` the session ends then."""
        def asked():
            for _ in range(8):  # so that it is known to be quick
                assert self.client.ask("quick") == b"quick"
            self._log.write_text("")
            self.client.send_message(*messages)
            replies = self.client.replies() if end else self.client.lines(len(messages))
            if end:
                self.client = self.banterd.connect()
            blocks = self._log.read_text().splitlines()
            check(replies, [block.split(",") for block in blocks])
            return any(re.search(pattern, block) for block in blocks)
        wait_until(asked, f"{pattern} is given at once")


SHARED = pytest.mark.parametrize("mode", [["-w", "1"], ["-w", "3"]], ids=["one", "three"])


@pytest.mark.parametrize("mode", [["-w", "1"], ["-w", "3"], ["--worker-per-client"]], ids=["one", "three", "per-client"])
def test_each_request_gets_its_reply(server, folder, mode):
    messages = [f"{number}" for number in range(64)]

    def check(replies, blocks):
        assert replies == [message.encode() for message in messages]
        assert max(map(len, blocks), default=1) <= 16
    Blocks(server, folder, mode=mode).ask_until(messages, check, "^([^,]*,){7}")


@SHARED
def test_when_the_copy_ends_the_next_request_fails_and_the_others_go_on(server, folder, mode):
    def check(replies, _):
        assert replies == [b"a", b"b", ENDED, b"c", b"d"]
    Blocks(server, folder, mode=mode).ask_until(["a", "b", "die", "c", "d"], check, "b,die,c")


@SHARED
def test_when_the_copy_is_late_the_next_request_fails_and_the_others_go_on(server, folder, mode):
    def check(replies, blocks):
        assert replies[:3] == [b"a", b"b", LATE]
        # Those behind it that were not given with it may have waited for as long.
        given = next((block for block in blocks if "hang" in block), [])
        for message, reply in zip("cd", replies[3:]):
            assert reply == message.encode() or (reply == LATE and message not in given)
    blocks = Blocks(server, folder, "--handler-timeout", "1s", mode=mode)
    blocks.ask_until(["a", "b", "hang", "c", "d"], check, "b,hang,c")


@pytest.mark.parametrize("word, error", [("die", ENDED), ("hang", LATE)], ids=["ends", "hangs"])
def test_when_the_copy_of_a_session_is_lost_the_session_ends(server, folder, word, error):
    def check(replies, blocks):
        if word == "die" or any("hang" in block for block in blocks):
            assert replies == [b"a", b"b", error]
    blocks = Blocks(server, folder, "--handler-timeout", "1s", mode=["--worker-per-client"])
    blocks.ask_until(["a", "b", word, "c", "--QUIT--"], check, f"b,{word},c", end=True)


def test_each_request_has_its_time_from_when_it_was_next(server, folder):
    def check(replies, _):
        assert replies == [b"slow"] * 6
    Blocks(server, folder, "--handler-timeout", "1s").ask_until(["slow"] * 6, check, "slow,slow,slow,slow")


@pytest.mark.parametrize("message", ["twice", "short"])
def test_too_many_or_too_few_lines_fail_all_that_were_given_at_once(server, folder, message):
    messages = ["a", "b", message, "c", "d"]

    def check(replies, blocks):
        failed = next((block for block in blocks if message in block), [])
        for asked, reply in zip(messages, replies):
            assert re.fullmatch(MORE, reply) if asked in failed else reply == asked.encode()
    blocks = Blocks(server, folder)
    old = copies(blocks.banterd, 1)
    blocks.ask_until(messages, check, f"b,{message},c")
    assert copies(blocks.banterd, 1) == old


def test_replies_of_several_lines(server):
    script = ("import sys\nfor line in sys.stdin: print(line.strip(), 'more of it', 'END', sep='\\n', flush=True)")
    banterd = server("--ahead", "8", "--reply-end", "line:END", "--framing", "netstring", "-w", "2", "--", "python3",
                     "-ISc", script)
    client = banterd.connect()
    client.send_in_background(b"".join(client.frame(f"{number}") for number in range(500)))
    assert [client.reply() for _ in range(500)] == [b"%d\nmore of it" % number for number in range(500)]


def test_many_clients_and_requests_in_order(server):
    banterd = server("--ahead", "16", "-w", "2", "--", "cat")
    clients = [banterd.connect() for _ in range(8)]
    for number, client in enumerate(clients):
        client.send_in_background(b"".join(b"%d.%d\n" % (number, i) for i in range(2000)))
    for number, client in enumerate(clients):
        assert client.lines(2000) == [b"%d.%d" % (number, i) for i in range(2000)]


def test_long_requests_that_do_not_fit_the_pipe(server):
    banterd = server("--ahead", "16", "-w", "1", "-m", "100k", "--", "cat")
    client = banterd.connect()
    messages = [b"%d" % number + b"x" * 60000 for number in range(64)]
    client.send_in_background(b"\n".join(messages) + b"\n")
    assert client.lines(64) == messages


def test_a_client_that_leaves_costs_the_others_nothing(server, folder):
    blocks = Blocks(server, folder)
    for _ in range(20):
        other = blocks.banterd.connect()
        other.send_message(*["x"] * 64)
        other.close()
        blocks.client.send_message("a", "b", "c")
        assert blocks.client.lines(3) == [b"a", b"b", b"c"]


@pytest.mark.parametrize("options, named", [
    (["--ahead", "0", "--", "cat"], "--ahead"),
    (["--ahead", "x", "--", "cat"], "--ahead"),
    (["--ahead", "1025", "--", "cat"], "--ahead"),
    (["--ahead", "2"], "--ahead"),
    (["--ahead", "2", "--worker-per-request", "--", "cat"], "--worker-per-request"),
    (["--ahead", "2", "--reply-end", "waits", "--", "cat"], "--ahead"),
])
def test_options_that_do_not_fit(bench, options, named):
    result = bench.run([BANTERD, *options])
    assert result.status == 64 and named in result.stderr.decode()
