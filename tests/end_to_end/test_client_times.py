"""--time: how long each reply took, and all of them, at a terminal and in a pipe."""
import os
import re
import threading
import time

import pytest

import harness
from harness import BANTER
from peers.scripted import Peer

pytestmark = pytest.mark.no_threads

TIME = r"(\d+\.\d{3}) ms"


def summary(count):
    return rf"{count} repl(?:y|ies): min {TIME}, median {TIME}, p99 {TIME}, max {TIME}"


def last_lines(screen, *patterns):
    """Whether the last lines on the screen are these regular expressions."""
    lines = screen.lines[-len(patterns):]
    return len(lines) == len(patterns) and all(map(re.fullmatch, patterns, lines))


def in_order(match):
    times = [float(time) for time in match.groups()]
    assert times == sorted(times)
    return times


# ---- at a terminal

def test_after_each_reply_and_at_the_end(at_terminal, peer):
    screen = at_terminal(peer, "--time")
    for number in (1, 2, 3):
        screen.enter(f"line {number}")
        screen.wait(lambda: last_lines(screen, f"Hello line {number}", f"Time: {TIME}", "->"), "the reply")
    screen.enter("quit")
    assert screen.wait_end() == 0
    assert screen.lines[-2] == f"Connection to {peer.address} closed"
    in_order(re.fullmatch(summary(3), screen.lines[-1]))


def test_the_time_is_that_of_the_reply(at_terminal, script):
    """Not less than what passed between, by the clock of the one who asked."""
    screen = at_terminal(script, "--time")
    screen.enter("slow")
    script.wait_asked(b"slow")
    asked = time.monotonic()
    screen.wait(lambda: "Waiting" in screen.lines[-1], "the word that it waits")
    passed = time.monotonic() - asked
    script.send(b"done\n")
    screen.wait(lambda: screen.lines[-1] == "->", "the prompt")
    told = float(re.fullmatch(f"Time: {TIME}", screen.lines[-2])[1])
    assert told >= passed * 1000


def test_a_late_reply_has_its_time_too(at_terminal, script):
    screen = at_terminal(script, "--time")
    screen.enter("slow")
    script.wait_asked(b"slow")
    screen.type("\003")
    screen.wait_last("^C", "->")
    script.send(b"done\n")
    screen.wait(lambda: len(screen.lines) > 6, "the late reply")
    mark, reply, time, prompt = screen.lines[-4:]
    assert mark.startswith("The reply to 'slow'") and (reply, prompt) == ("done", "->")
    assert re.fullmatch(f"Time: {TIME}", time)


def test_nothing_was_timed(at_terminal, peer):
    screen = at_terminal(peer, "--time")
    screen.enter("quit")
    assert screen.wait_end() == 0
    assert screen.lines[-1] == f"Connection to {peer.address} closed"


def test_times_are_on_the_terminal_where_replies_are_not(shell_screen, peer, folder):
    screen = shell_screen(f"clear; {BANTER} -q --time -c {peer.address} > replies")
    screen.wait_lines("->")
    screen.enter("Zack")
    screen.wait(lambda: last_lines(screen, "-> Zack", f"Time: {TIME}", "->"), "the time")
    screen.enter("quit")
    screen.wait(lambda: last_lines(screen, summary(1), r"\$"), "all times")
    assert (folder / "replies").read_bytes() == b"Hello Zack\n"


# ---- elsewhere

def test_messages(run_banter, peer):
    ended = run_banter("-c", peer.address, "--time", "one", "two")
    assert (ended.status, ended.stdout) == (0, b"Hello one\nHello two\n")
    first, second, last = ended.stderr.decode().splitlines()
    assert re.fullmatch(f"banter: message 1: {TIME}", first) and re.fullmatch(f"banter: message 2: {TIME}", second)
    in_order(re.fullmatch("banter: " + summary(2), last))


@pytest.mark.parametrize("framing", ["line", "netstring", "raw"])
def test_script(run_banter, server, framing):
    pair = server("-f", framing)
    ended = run_banter("-c", pair.address, "-f", framing, "--time", input=b"one\ntwo\n\xff\n")
    assert ended.status == 1 and ended.stdout.startswith(b"Hello ONE\nHello TWO\n-ERR not-utf8")
    *each, all_of_them, failed = ended.stderr.decode().splitlines()
    assert [re.sub(TIME, "T", line) for line in each] == [f"banter: input line {number}: T" for number in (1, 2, 3)]
    times = sorted(float(re.search(TIME, line)[1]) for line in each)
    told = in_order(re.fullmatch("banter: " + summary(3), all_of_them))
    assert (told[0], told[-1]) == (times[0], times[-1])
    assert "3 input lines sent, 3 replies received; 1 error reply" in failed


def test_a_long_script(run_banter, server):
    """Every reply has its time, in order; the replies are what they are without."""
    count = harness.scaled(100_000, 10_000)
    ended = run_banter("-c", server("-qq").address, "--time", input=b"".join(b"%d\n" % n for n in range(count)))
    assert (ended.status, ended.stdout) == (0, b"".join(b"Hello %d\n" % n for n in range(count)))
    *each, last = ended.stderr.decode().splitlines()
    assert [int(re.fullmatch(f"banter: input line (\\d+): {TIME}", line)[1]) for line in each] == \
        list(range(1, count + 1))
    in_order(re.fullmatch("banter: " + summary(count), last))


def test_nobody_reads_the_replies_for_a_while(start_banter, server):
    """Times are told all the same, and not gathered without bound."""
    count = harness.scaled(200_000, 20_000)
    replies, its = os.pipe()
    banter = start_banter("-c", server("-qq").address, "--time", stdout=its, expect_stderr=".*")
    os.close(its)
    feeder = threading.Thread(target=lambda: (banter.type(b"x\n" * count), banter.end_input()), daemon=True)
    feeder.start()
    got = b""
    while not banter.stderr.find("^banter: input line "):  # before the output was ever empty
        got += os.read(replies, 100)
    while data := os.read(replies, 65536):
        got += data
    os.close(replies)
    assert banter.wait() == 0
    assert got == b"Hello X\n" * count
    assert len(banter.stderr.find(f"^banter: input line \\d+: {TIME}$")) == count


def test_a_line_that_goes_out_in_pieces_is_one_request(run_banter, server):
    pair = server("-qq", "-m", "1m", "-H", "echo")
    line = b"x" * 300_000
    ended = run_banter("-c", pair.address, "--time", input=line + b"\nshort\n")
    assert (ended.status, ended.stdout) == (0, line + b"\nshort\n")
    assert len(re.findall(rf"^banter: input line [12]: {TIME}$", ended.stderr.decode(), re.M)) == 2


def test_what_was_answered_is_timed_when_the_connection_is_lost(run_banter):
    def one_of_three(connection):
        connection.line()
        connection.send(b"1\n")
        connection.line()
        connection.line()
    with Peer(one_of_three) as peer:
        ended = run_banter("-c", peer.address, "--time", input=b"one\ntwo\nthree\n")
    assert (ended.status, ended.stdout) == (76, b"1\n")
    assert re.search(rf"^banter: input line 1: {TIME}$", ended.stderr.decode(), re.M)
    assert re.search("^banter: " + summary(1), ended.stderr.decode(), re.M)
    assert b"the first unanswered input line is 2" in ended.stderr
