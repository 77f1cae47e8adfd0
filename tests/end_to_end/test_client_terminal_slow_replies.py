"""The client at a terminal while a reply or a connection takes long, and replies that come late.
--connect-timeout."""
import re
import signal
import socket
import time

import pytest
from wcwidth import wcswidth

import harness
from harness import BANNER, BANTER
from peers.scripted import Peer
from screen import Screen
from test_client_exit_status import mute_port

PROMPT_BACK = "Ctrl-C gives the prompt back"
TYPED_BACK = PROMPT_BACK + ", with what was typed"


def waits(screen, hint=PROMPT_BACK, verb="Waiting"):
    """Whether the last line on the screen says that it waits."""
    return screen.lines and re.fullmatch(rf"{verb} \d+\.\d s; {hint}", screen.lines[-1])


def wait_state(screen, *how):
    screen.wait(lambda: waits(screen, *how), "the word that it waits")
    return float(re.search(r"\d+\.\d", screen.lines[-1])[0])


def late(request):
    """What stands above a late reply; behind "after" its time."""
    return re.compile(rf"The reply to '{re.escape(request)}', after \d+\.\d s:")


def wait_last(screen, *patterns):
    """As Screen.wait_last(); a line may be given as a compiled regular expression."""
    def is_there():
        lines = screen.steady[-len(patterns):]
        return len(lines) == len(patterns) and all(
            pattern == line if isinstance(pattern, str) else pattern.fullmatch(line)
            for pattern, line in zip(patterns, lines))
    screen.wait(is_there, f"the last lines {patterns!r}")


# ---- the first connection is awaited

def test_a_slow_first_connection_can_be_left(open_screen):
    with mute_port() as port:
        screen = open_screen([BANTER, "-c", port])
        assert wait_state(screen, "Ctrl-C ends it", "Connecting") >= 1
        screen.type("\003")
        assert screen.wait_end() == -signal.SIGINT


def test_a_first_connection_that_fails_late(open_screen):
    """The error stands in the place of the word that it takes long."""
    with mute_port() as port:
        screen = open_screen([BANTER, "-c", port, "--connect-timeout", "3s"])
        wait_state(screen, "Ctrl-C ends it", "Connecting")
        assert screen.wait_end() == 69
        assert screen.lines == [f"banter: Connection Error: 127.0.0.1:{port}: Connection timed out"]


def test_a_script_says_nothing_of_a_slow_connection(shell_screen):
    with mute_port() as port:
        screen = shell_screen(f"{BANTER} -c {port} --connect-timeout 1300ms <<<x; {BANTER} -c {port} x")
        screen.wait(lambda: any("timed out" in line for line in screen.lines), "the end of the script")
        screen.type("\003")
        screen.wait(lambda: screen.lines[-1] == "$", "the end of the message")
        assert b"Connecting" not in screen.written


# ---- a reply is awaited

def test_says_that_it_waits_and_for_how_long(at_terminal, script):
    screen = at_terminal(script)
    script.receive(screen, "slow")
    first = wait_state(screen)
    screen.wait(lambda: waits(screen) and f" {first:.1f} s" not in screen.lines[-1], "the time goes on")
    assert screen.lines[:-1] == [BANNER, "-> slow"]
    script.send(b"done\n")
    screen.wait_lines(BANNER, "-> slow", "done", "->")
    assert not any("Waiting" in line for line in screen.lines)


@pytest.mark.parametrize("keys", ["quit\r", "\004"])
def test_quit_while_a_reply_is_awaited(at_terminal, script, keys):
    """It is not lost: the waiting line says how to get to it, and so does the next one."""
    screen = at_terminal(script)
    script.receive(screen, "slow")
    wait_state(screen)
    screen.type(keys)
    wait_state(screen, TYPED_BACK)
    screen.type("\003")
    wait_state(screen, "Ctrl-C ends it")
    script.send(b"late\n")
    script.wait_quit()
    script.end()
    assert screen.wait_end() == 0
    assert "late" in screen.lines


def test_ctrl_c_keeps_what_was_typed_ahead(at_terminal, script):
    screen = at_terminal(script)
    script.receive(screen, "slow")
    screen.type("ne\u00e4xt")
    wait_state(screen, TYPED_BACK)
    screen.type("\003")
    screen.wait_last("-> slow", "^C", "-> ne\u00e4xt")
    screen.type("\003")  # at the prompt it throws the line away
    screen.wait_last("-> ne\u00e4xt^C", "->")


def test_what_is_quick_is_not_waited_for(at_terminal, peer):
    """Not a word of it, and nothing is drawn and erased again, where the reply came within a fifth of a second."""
    screen = at_terminal(peer, "--quiet")
    quick = 0
    for number in range(20):
        before = len(screen.written)
        asked = time.monotonic()
        screen.enter(f"quick {number}")
        screen.wait_last(f"Hello quick {number}", "->")
        if time.monotonic() - asked < 0.2:
            quick += 1
            between = screen.written[before:].split(b"\n", 1)[1]  # what readline writes at a line's end aside
            assert between.replace(b"\033[?2004l", b"").replace(b"\r", b"").startswith(b"Hello quick")
    assert quick > 0, "the machine is too busy for this test to tell anything"


def test_each_reply_of_a_paste_is_waited_for_anew(at_terminal, script):
    screen = at_terminal(script)
    screen.paste("one\ntwo")
    screen.type("\r")
    script.wait_asked(b"one", b"two")
    wait_state(screen)
    script.send(b"1\n")
    screen.wait(lambda: "1" in screen.lines, "the first reply")
    wait_state(screen)
    script.send(b"2\n")
    screen.wait_last("-> one", "two", "1", "2", "->")


def test_fits_a_narrow_terminal(at_terminal, script):
    """It is cut, never wrapped: nothing of it is left behind."""
    screen = at_terminal(script, "--quiet", columns=20)
    script.receive(screen, "slow")
    screen.wait(lambda: len(screen.lines) == 2 and re.fullmatch(r"Waiting \d\.\d s; Ctrl", screen.lines[1]), "its head")
    script.send(b"done\n")
    screen.wait_lines("-> slow", "done", "->")


def test_the_state_is_away_where_replies_go_elsewhere(shell_screen, script, folder):
    screen = shell_screen(f"clear; {BANTER} -q -c {script.address} > replies")
    screen.wait_lines("->")
    script.receive(screen, "slow")
    wait_state(screen)
    script.send(b"done\n")
    screen.wait(lambda: screen.lines == ["-> slow", "->"], "the prompt in its place")
    screen.enter("quit")
    script.end()
    screen.wait_last("$")
    assert (folder / "replies").read_bytes() == b"done\n"


def test_ctrl_z_takes_the_state_away(shell_screen, script):
    screen = shell_screen(f"clear; {BANTER} -q -c {script.address}")
    screen.wait_lines("->")
    script.receive(screen, "slow")
    wait_state(screen)
    screen.type("\032")
    screen.wait(lambda: screen.lines[-1] == "$" and not any("Waiting" in line for line in screen.lines), "the shell")
    screen.enter("clear; fg >/dev/null")
    wait_state(screen)
    script.send(b"done\n")
    screen.wait_lines("done", "->")
    screen.enter("quit")
    script.end()
    screen.wait_last("$")


def test_leaving_says_that_it_waits_for_what_is_owed(at_terminal, script):
    screen = at_terminal(script)
    script.owe(screen, "slow")
    screen.enter("quit")
    wait_state(screen, "Ctrl-C ends it")
    screen.type("\003")
    assert screen.wait_end() == -signal.SIGINT
    assert not any("Waiting" in line for line in screen.lines)


# ---- a reply is late

def test_late_replies_are_marked_with_their_requests(at_terminal, script):
    screen = at_terminal(script)
    script.owe(screen, "one")
    script.owe(screen, "two")
    script.receive(screen, "three")
    script.send(b"1\n-ERR bad-request 2\n3\n")
    wait_last(screen, "-> three", late("one"), "1", late("two"), "-ERR bad-request 2", "3", "->")


def test_late_reply_where_replies_go_elsewhere(shell_screen, script, folder):
    """The screen tells what the line in the file answers."""
    screen = shell_screen(f"clear; {BANTER} -q -c {script.address} > replies")
    screen.wait_lines("->")
    script.owe(screen, "slow")
    script.send(b"done\n")
    wait_last(screen, "^C", late("slow"), "->")
    harness.wait_until(lambda: (folder / "replies").read_bytes() == b"done\n", "the reply is in the file")


def test_a_request_is_named_harmlessly_and_short(at_terminal, script):
    screen = at_terminal(script, columns=120)
    drawn = len(screen.written)
    screen.type("\026\033[2J" + "x" * 200 + "\r")
    screen.wait(lambda: script.asked and b"\n" in screen.written[drawn:], "the request, and its line drawn")
    screen.type("\003")
    screen.wait_last("^C", "->")
    script.send(b"done\n")
    wait_last(screen, re.compile(r"The reply to '\\x1b\[2Jx{60,80}\.\.\.', after \d+\.\d s:"), "done", "->")


# What is typed meanwhile: narrow and wide, in one row and in more, with characters that take two columns.
TYPED = [("short", 80), ("short", 20), ("x" * 100, 80), ("x" * 30, 20), ("你好" * 30, 80), ("你好" * 10, 20),
         ("é" * 25 + "漢字" * 6, 20)]


def rows_of(text, columns):
    """The rows that a line with its prompt takes: a wide character does not begin in the last column."""
    rows = [""]
    for character in text:
        if wcswidth(rows[-1] + character) > columns:
            rows.append("")
        rows[-1] += character
    return rows


def end_of(text, columns):
    """(column, row) of the cursor behind it, the row counted from its first."""
    rows = rows_of(text, columns)
    width = wcswidth(rows[-1])
    return (width, len(rows) - 1) if width < columns else (0, len(rows))


@pytest.mark.parametrize("typed, columns", TYPED)
@pytest.mark.parametrize("back", [0, 3])
def test_what_is_typed_survives(at_terminal, script, typed, columns, back):
    """The text, its rows and the cursor, while a late reply and then the server's farewell come in above it."""
    before, behind = typed[:len(typed) - back], typed[len(typed) - back:]
    rows = rows_of("-> " + typed, columns)
    column, row = end_of("-> " + before, columns)

    def wait_typed(above):
        """The typed line stands below what came, whole, with the cursor where it was."""
        def is_there():
            lines = screen.lines
            first = len(lines) - len(rows)
            return lines[first:] == rows and above in "".join(lines[:first]) and screen.cursor == (column, first + row)
        screen.wait(is_there, f"{rows!r} below {above!r}, the cursor at {column}, {row} of it")

    screen = at_terminal(script, "--quiet", columns=columns)
    script.owe(screen, "slow")
    screen.type(typed + "\002" * back)
    wait_typed("^C")
    script.send("späť 你好\n".encode())
    wait_typed("späť 你好")
    script.send(b"-ERR stopped\n")
    script.end()
    wait_typed("unasked: -ERR stopped")
    screen.type("!\r")
    whole = f"{before}!{behind}".encode()
    harness.wait_until(lambda: whole in script.asked, "the line, on a new connection")
    assert script.asked == [b"slow", whole]


def test_a_resize_while_something_is_typed_and_a_reply_is_late(at_terminal, script):
    screen = at_terminal(script, columns=80)
    script.owe(screen, "slow")
    screen.type("你" * 30)
    screen.wait_last("-> " + "你" * 30)
    screen.resize(20)
    screen.wait_last(*rows_of("-> " + "你" * 30, 20))
    script.send(b"late\n")
    screen.wait_last("late", *rows_of("-> " + "你" * 30, 20))
    screen.resize(80)
    screen.type("!\r")
    script.wait_asked(b"slow", ("你" * 30 + "!").encode())


@pytest.mark.parametrize("columns", [20, 30, 80])
def test_an_open_search_survives(at_terminal, script, columns):
    """A late reply, the farewell, and a resize to any width."""
    def searches():
        return "(reverse-i-search)`nd':find你好" in "".join(screen.lines).replace(" ", "")

    screen = at_terminal(script, "--quiet", columns=columns)
    script.owe(screen, "find 你好")
    screen.type("\022nd")
    screen.wait(searches, "the search")
    script.send(b"late\n")
    screen.wait(lambda: "late" in screen.lines and searches(), "the search below the reply")
    for other in (80, 20, columns):
        screen.resize(other)
        screen.wait(searches, f"the search at {other} columns")
    script.end()
    screen.wait(lambda: "closed" in "".join(screen.lines) and searches(), "the search below the farewell")
    screen.type("\005!\r")
    harness.wait_until(lambda: len(script.asked) == 2, "what was found, on a new connection")
    assert script.asked[1] == "find 你好!".encode()


# ---- requests without a reply

def test_unanswered_requests_are_named(at_terminal, script):
    screen = at_terminal(script)
    screen.paste("one\ntwo\nthree\nfour\nreset")
    screen.type("\r")
    screen.wait_last("5 requests were not answered: 'one', 'two', 'three' and 2 more", "->")


def test_only_what_is_unanswered_is_named(at_terminal, script):
    screen = at_terminal(script)
    screen.paste("one\ntwo")
    screen.type("\r")
    script.wait_asked(b"one", b"two")
    script.send(b"1\n")
    script.end()
    screen.wait_last("1", f"Connection to {script.address} lost: the server closed it",
                     "1 request was not answered: 'two'", "->")


# ---- a connection takes its time

@pytest.fixture
def lost_server(bench, folder):
    """The client at a prompt, its server gone, and where it would listen now a mute one."""
    screens = []

    def start(*options):
        path = folder / "socket"
        peer = Peer(lambda connection: None, path=str(path))
        screen = Screen([BANTER, "-c", f"unix:{path}", *options], bench.environment(TERM="xterm-256color"), folder)
        screens.append(screen)
        screen.wait_last(f"Connection to unix:{path} closed", "->")
        peer.close()
        path.unlink()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(0)
        full = socket.socket(socket.AF_UNIX)
        full.setblocking(False)
        full.connect_ex(str(path))
        screens.extend([listener, full])
        return screen
    yield start
    for thing in screens:
        thing.close()


def test_connecting_again_says_that_it_waits_and_can_be_given_up(lost_server):
    screen = lost_server("--connect-timeout", "0")
    screen.enter("kept")
    wait_state(screen, PROMPT_BACK, "Connecting")
    screen.type("\003")
    screen.wait_last("-> kept", "^C", "-> kept")
    screen.type("\003")
    screen.wait_last("-> kept^C", "->")
    screen.enter("quit")
    assert screen.wait_end() == 0


def test_connecting_again_ends_with_its_time(lost_server):
    screen = lost_server("--connect-timeout", "300ms")
    screen.enter("kept")
    screen.wait(lambda: screen.steady[-1] == "-> kept" and "Connection timed out" in "".join(screen.steady),
                "the line again, and why")
    screen.type("\003")
    screen.enter("quit")
    assert screen.wait_end() == 69
