"""The client at a terminal, as a person sees it: the tests look at the screen, not at the bytes.
--quiet, --literal, --color, --timeout."""
import os
import re
import signal
import subprocess
import termios
import threading

import pytest

from harness import BANNER, BANTER, LIMIT, wait_until
from peers.scripted import Peer, hello
from screen import BEGIN_PASTE, END_PASTE, Screen
from workers import children


def modes(screen):
    """The local modes of the terminal, without what the kernel keeps there for itself."""
    return termios.tcgetattr(screen.child.child_fd)[:4]


# ---- a plain conversation

def test_the_tutorials_conversation(at_terminal, server):
    pair = server()
    screen = at_terminal(pair)
    closed = f"Connection to {pair.address} closed"
    screen.enter("Zack")
    screen.wait_lines(BANNER, "-> Zack", "Hello ZACK", "->")
    screen.enter("Python")
    screen.wait_lines(BANNER, "-> Zack", "Hello ZACK", "-> Python", "Hello PYTHON", "->")
    screen.enter("quit")
    screen.wait_last("-> quit", closed)
    assert screen.wait_end() == 0
    pair.log.wait_line("[1] Client is requesting to quit")


@pytest.mark.parametrize("how", ["quit\r", "\004", "--QUIT--\r"])
def test_ways_to_leave(at_terminal, peer, how):
    screen = at_terminal(peer)
    screen.enter("Zack")
    screen.wait_last("Hello Zack", "->")
    screen.type(how)
    assert screen.wait_end() == 0
    assert screen.lines[-1] == f"Connection to {peer.address} closed"
    wait_until(lambda: peer.connection().received == b"Zack\n--QUIT--\n", "the word for quit")


def test_quiet(at_terminal, peer):
    screen = at_terminal(peer, "--quiet")
    screen.enter("Zack")
    screen.wait_lines("-> Zack", "Hello Zack", "->")
    screen.enter("quit")
    assert screen.wait_end() == 0
    assert screen.lines == ["-> Zack", "Hello Zack", "-> quit"]


def test_backslash(at_terminal, peer):
    screen = at_terminal(peer)
    for typed, sent in (("\\quit", "quit"), ("\\\\x", "\\x"), ("\\", ""), ("a\\b", "a\\b")):
        screen.enter(typed)
        screen.wait_last("-> " + typed, ("Hello " + sent).rstrip(), "->")
    screen.enter("\\--QUIT--")
    screen.wait_last("'--QUIT--' was not sent: --QUIT-- would end the session", "->")
    screen.enter("quit")
    assert screen.wait_end() == 65


def test_literal(at_terminal, peer):
    screen = at_terminal(peer, "--literal")
    screen.enter("quit")
    screen.wait_lines("Please press Ctrl-D to exit", "-> quit", "Hello quit", "->")
    screen.type("\004")
    assert screen.wait_end() == 0


def test_editing_and_history(at_terminal, peer):
    screen = at_terminal(peer)
    screen.type("ack\001Z\005!\r")
    screen.wait_last("Hello Zack!", "->")
    screen.type("\033[A")
    screen.wait_last("-> Zack!")
    screen.type("!\r")
    screen.wait_last("Hello Zack!!", "->")
    screen.enter(" secret")
    screen.wait_last("Hello  secret", "->")
    screen.type("\033[A")
    screen.wait_last("-> Zack!!")


def test_tab_completes_no_file_names(at_terminal, peer, folder):
    (folder / "a_file_name").touch()
    screen = at_terminal(peer)
    screen.type("a_f\tb\r")
    wait_until(lambda: peer.connection().received == b"a_fb\n", "the request")


@pytest.mark.parametrize("env", [{}, {"LC_ALL": "C"}, {"LANG": ""}, {"LC_CTYPE": "POSIX"},
                                 {"LC_ALL": "not_INSTALLED.UTF-8"}, {"LC_CTYPE": "UTF-8"}])
def test_wide_characters(at_terminal, peer, env):
    """Also where nobody has chosen a locale, or one that is not there."""
    screen = at_terminal(peer, columns=40, **env)
    screen.type("\u4f60\u597d e\u0301 \u20ac")
    screen.wait(lambda: screen.cursor == (3 + 4 + 1 + 1 + 1 + 1, 1), "the cursor")
    screen.type("\001\033[C\177")  # the first character goes, with both its columns
    screen.wait(lambda: screen.cursor == (3, 1), "the cursor")
    screen.type("\r")
    screen.wait(lambda: "Hello \u597d e\u0301 \u20ac\r\n".encode() in screen.written, "the reply")
    assert peer.connection().received == "\u597d e\u0301 \u20ac\n".encode()


def test_another_charset_is_taken_as_chosen(at_terminal, script, folder):
    """It has one byte for each character, and no UTF-8 is shown."""
    made = subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", folder / "latin1"], capture_output=True)
    if made.returncode:
        pytest.skip("no locales can be made here")
    screen = at_terminal(script, LOCPATH=folder, LC_ALL="latin1")
    script.receive(screen, "x")
    script.send("é\n".encode() + b"\xe9\xff\n")
    screen.wait(lambda: rb"\xc3" not in screen.written and b"\xc3\xa9\r\n" in screen.written, "as ISO 8859-1")


def test_bytes_that_are_no_text_are_sent_as_typed(at_terminal, peer):
    screen = at_terminal(peer)
    screen.type(b"\xff\xfe\r")
    wait_until(lambda: peer.connection().received == b"\xff\xfe\n", "the request")


def test_inputrc(at_terminal, peer, folder):
    (folder / "inputrc").write_text('$if banter\n"\\C-g": "from inputrc"\n$endif\n')
    screen = at_terminal(peer, INPUTRC=folder / "inputrc")
    screen.type("\007\r")
    screen.wait_last("Hello from inputrc", "->")


def test_no_prompt_before_the_reply(at_terminal, script):
    screen = at_terminal(script)
    script.receive(screen, "slow")
    screen.wait_lines(BANNER, "-> slow")
    assert screen.written.count(b"-> ") == 1
    script.send(b"done\n")
    screen.wait_lines(BANNER, "-> slow", "done", "->")


def test_typed_ahead(at_terminal, script):
    """What is typed before the reply waits for the prompt, and is seen once."""
    screen = at_terminal(script)
    script.receive(screen, "one")
    screen.type("two\rthr")
    script.send(b"1\n")
    script.wait_asked(b"one", b"two")
    script.send(b"2\n")
    screen.wait_lines(BANNER, "-> one", "1", "-> two", "2", "-> thr")


def test_paste(at_terminal, script):
    """Lines of a paste are requests, in order; its last newline is not one more."""
    screen = at_terminal(script)
    screen.paste("one\ntwo\n\nfour\n")
    screen.wait_lines(BANNER, "Enter sends 4 requests", "-> one", "two", "", "four")
    assert script.asked == []
    screen.type("\r")
    script.wait_asked(b"one", b"two", b"", b"four")
    script.send(b"1\n2\n")
    screen.wait_last("1", "2")
    script.send(b"3\n4\n")
    screen.wait_last("1", "2", "3", "4", "->")
    screen.type("\033[A")
    screen.wait_last("-> four")
    screen.type("\033[A")
    screen.wait_last("-> two")


@pytest.mark.parametrize("ends", ["\r\n", "\n", "\r"])
def test_paste_with_any_line_ends(at_terminal, peer, ends):
    screen = at_terminal(peer)
    screen.type(BEGIN_PASTE + ends.join(["one", "two", "", "four"]) + ends + END_PASTE)
    screen.wait_last("Enter sends 4 requests", "-> one", "two", "", "four")
    screen.type("\r")
    screen.wait_last("Hello one", "Hello two", "Hello", "Hello four", "->")
    assert peer.connection().received == b"one\ntwo\n\nfour\n"


def test_paste_in_many_pieces(at_terminal, peer):
    """Each with its own read; what looks like the end of the paste and is not stays text."""
    screen = at_terminal(peer)
    for piece in ("\033[20", "0~one \033[20", "2~ \033", "[201", "x\rtwo", "\033[2", "01~"):
        screen.type(piece)
        wait_until(lambda: screen.pump(0.01) and True, "a look")
    screen.wait(lambda: "Enter sends 2 requests" in screen.lines, "the paste")
    screen.type("\r")
    wait_until(lambda: screen.pump(0.01) and peer.connection().received.count(b"\n") == 2, "both lines")
    assert peer.connection().received == b"one \033[202~ \033[201x\ntwo\n"


def test_a_long_paste_and_its_enter_in_one(at_terminal, peer):
    screen = at_terminal(peer, rows=100)
    lines = [f"line {number} " + "x" * 80 for number in range(200)]
    screen.type(BEGIN_PASTE + "\r".join(lines) + END_PASTE + "\rtyped behind\r")
    screen.wait_last("Hello typed behind", "->")
    assert peer.connection().received == "".join(line + "\n" for line in [*lines, "typed behind"]).encode()


@pytest.mark.parametrize("size", [3, 3000, 20_000])
@pytest.mark.parametrize("end", [END_PASTE, ""])
def test_ctrl_c_ends_a_paste(at_terminal, peer, size, end):
    """It throws away what the terminal holds, perhaps with the end of the paste in it. (Of a line that is higher than the
    screen readline may leave something behind the ^C.)"""
    screen = at_terminal(peer)
    screen.type(BEGIN_PASTE + "abcdefg\r" * (size // 8 + 1) + end)
    screen.type("\003")
    screen.wait(lambda: any("^C" in line for line in screen.lines) and screen.lines[-1].startswith("->"), "^C")
    screen.type("\003")  # of what came behind the first
    screen.wait(lambda: screen.lines[-1] == "->", "an empty line")
    screen.child.kill(signal.SIGTERM)
    wait_until(lambda: not screen.child.isalive(), "its end")
    assert peer.connection().received == b""


def test_ctrl_c_with_half_a_character_in_a_search(at_terminal, peer):
    screen = at_terminal(peer)
    screen.child.send(b"\022o\xe4")
    screen.wait(lambda: "(failed reverse-i-search)`o': " in "".join(screen.lines) + " ", "the search")
    screen.type("\003")
    screen.wait(lambda: screen.lines[-1] == "->", "an empty line")
    screen.enter("Zack")
    screen.wait_last("Hello Zack", "->")


def test_paste_with_quit(at_terminal, peer):
    screen = at_terminal(peer)
    screen.paste("one\nquit\ntwo")
    screen.wait_lines(BANNER, "Enter sends 1 request and leaves", "-> one", "quit", "two")
    screen.type("\r")
    assert screen.wait_end() == 0
    assert peer.connection().received == b"one\n--QUIT--\n"


def test_raw_and_the_null_operation(at_terminal):
    def tutorial(connection):
        while (data := connection.socket.recv(5120)) and b"--QUIT--" not in data:
            connection.received += data + b"|"
            connection.send(b"-" if data != b"speak" else b"spoken")
    with Peer(tutorial) as peer:
        screen = at_terminal(peer, "-f", "raw")
        screen.enter("Zack")
        screen.wait_lines(BANNER, "-> Zack", "->")
        screen.enter("speak")
        screen.wait_last("-> speak", "spoken", "->")
        screen.enter("")
        screen.wait_last("'' was not sent: it is empty", "->")
        screen.paste("a\nb")
        screen.type("\r")
        wait_until(lambda: peer.connection().received == b"Zack|speak|a|b|", "one at a time")
        screen.wait_last("->")
        screen.enter("quit")
        assert screen.wait_end() == 65


def test_what_cannot_be_sent_gives_back_what_is_behind_it(at_terminal, peer):
    screen = at_terminal(peer, "--literal")
    screen.paste("one\n--QUIT--\ntwo\nthree")
    screen.type("\r")
    screen.wait_last("Hello one", "Enter sends 2 requests", "-> two", "three")
    assert "'--QUIT--' was not sent: --QUIT-- would end the session" in screen.lines
    assert peer.connection().received == b"one\n"
    screen.type("\r")
    screen.wait_last("Hello two", "Hello three", "->")
    screen.type("\004")
    assert screen.wait_end() == 65


# ---- what the server may not do

def test_control_bytes_are_shown_and_never_obeyed(at_terminal, script):
    screen = at_terminal(script)
    script.receive(screen, "x")
    script.send("\033[2J\a\b\x7f é € \u4f60 \u009b \u202e".encode() + b" \xff\xc3 \r.\0\n")
    screen.wait_last(r"\x1b[2J\x07\x08\x7f é € 你 \xc2\x9b \xe2\x80\xae \xff\xc3 \x0d.\x00", "->")
    assert b"\033[2J" not in screen.written


def test_unasked_frames_are_shown_escaped(at_terminal, script):
    screen = at_terminal(script)
    script.peer.connection()
    script.send(b"boo\033[2J\n")
    screen.wait_lines(BANNER, f"banter: {script.address}: unasked: boo\\x1b[2J", "->")
    screen.enter("quit")
    script.end()
    assert screen.wait_end() == 1


def test_what_is_unasked_obeys_no_control_character_either(at_terminal, script):
    screen = at_terminal(script)
    script.peer.connection()
    script.send("-ERR stopped \u009b31m \u202eX é".encode() + b" \x9b\n")
    script.end()
    screen.wait(lambda: any("unasked" in line for line in screen.lines), "the frame")
    assert rf"banter: {script.address}: unasked: -ERR stopped \xc2\x9b31m \xe2\x80\xaeX é \x9b" in screen.lines


@pytest.mark.parametrize("env, reply, color", [({}, "-ERR bad-request no", "red"),
                                               ({"NO_COLOR": "1"}, "! -ERR bad-request no", "default"),
                                               ({"TERM": "vt100"}, "! -ERR bad-request no", "default")])
def test_error_replies_at_the_prompt(at_terminal, script, env, reply, color):
    screen = at_terminal(script, **env)
    script.receive(screen, "x")
    script.send(b"-ERR bad-request no\n")
    screen.wait_last("-> x", reply, "->")
    assert screen.color_of(reply) == color
    screen.enter("quit")
    script.end()
    assert screen.wait_end() == 1


@pytest.mark.parametrize("options, env, color", [
    ([], {}, "red"),
    ([], {"NO_COLOR": ""}, "red"),
    ([], {"NO_COLOR": "1"}, None),
    ([], {"TERM": "linux"}, "red"),
    ([], {"TERM": "dumb"}, None),
    ([], {"TERM": "vt100"}, None),
    ([], {"TERM": "no-such-terminal"}, None),
    ([], {"TERM": ""}, None),
    (["--color", "always"], {"TERM": "vt100"}, "red"),
    (["--color", "never"], {}, None),
    (["--color", "always"], {"NO_COLOR": "1"}, "red"),
])
def test_error_replies_are_red_or_marked(bench, options, env, color):
    def refuse(connection):
        for _ in connection.lines():
            connection.send(b"-ERR bad-request no\n")
    with Peer(refuse) as peer:
        environment = bench.environment(**{"TERM": "xterm-256color", **env})
        screen = Screen([BANTER, "-c", peer.address, *options, "x"], environment, bench.folder)
        try:
            assert screen.wait_end() == 1
            reply = "-ERR bad-request no" if color else "! -ERR bad-request no"
            assert screen.lines == [reply]
            assert screen.color_of(reply) == (color or "default")
        finally:
            screen.close()


# ---- above the prompt

def test_late_reply_stands_above_what_is_being_typed(at_terminal, script):
    """At the end of a line that takes two rows, and with the cursor in its middle."""
    screen = at_terminal(script, columns=40)
    script.receive(screen, "slow")
    screen.type("\003")
    screen.wait_last("-> slow", "^C", "->")
    screen.type("x" * 50 + "\001\006\006")
    screen.wait(lambda: screen.cursor == (5, 3), "the cursor")
    script.send(b"late\n")
    screen.wait(lambda: "late" in screen.lines and screen.cursor == (5, 5), "the cursor")
    assert screen.lines == [BANNER, "-> slow", "^C", screen.lines[3], "late", "-> " + "x" * 37, "x" * 13]
    assert re.fullmatch(r"The reply to 'slow', after \d+\.\d s:", screen.lines[3])
    screen.type("Y\r")
    script.wait_asked(b"slow", b"xxY" + b"x" * 48)
    script.send(b"now\n")
    screen.wait_last("xxxxxxxxxxxxxx", "now", "->")


def test_the_next_line_is_waited_for_again(at_terminal, script):
    screen = at_terminal(script)
    script.owe(screen, "one")
    script.receive(screen, "two")
    script.send(b"1\n")
    screen.wait(lambda: screen.steady[-1] == "1", "the reply to what was asked first")
    assert screen.steady[-3] == "-> two" and screen.steady[-2].startswith("The reply to 'one', after ")
    assert screen.written.count(b"-> ") == 2
    script.send(b"2\n")
    screen.wait_last("1", "2", "->")


def test_late_reply_in_a_history_search(at_terminal, script):
    screen = at_terminal(script)
    script.owe(screen, "find me")
    screen.type("\022fi")
    screen.wait_last("(reverse-i-search)`fi': find me")
    script.send(b"late\n")
    screen.wait_last("late", "(reverse-i-search)`fi': find me")
    screen.type("\r")
    script.wait_asked(b"find me", b"find me")


def test_resize(at_terminal, script):
    screen = at_terminal(script, columns=80)
    screen.type("y" * 40)
    screen.wait_last("-> " + "y" * 40)
    screen.resize(30)
    screen.wait_last("-> " + "y" * 27, "y" * 13)
    screen.type("z\r")
    script.wait_asked(b"y" * 40 + b"z")


# ---- the connection ends

def test_server_closes_while_typing(at_terminal):
    """Told at once, above the line; the line survives, and entering it connects again. Nothing is sent twice."""
    def once(connection):
        for line in connection.lines():
            connection.send(b"Hello " + line + b"\n")
            if line == b"first":
                first_done.wait()
                return
    first_done = threading.Event()
    with Peer(once) as peer:
        screen = at_terminal(peer)
        screen.enter("first")
        screen.wait_last("Hello first", "->")
        screen.type("half ty")
        screen.wait_last("-> half ty")
        first_done.set()
        closed = f"Connection to {peer.address} closed"
        screen.wait_last("-> first", "Hello first", closed, "-> half ty")
        screen.enter("ped")
        screen.wait_last(closed, "-> half typed", f"Connected to {peer.address} again", "Hello half typed", "->")
        assert peer.connection(1).received == b"half typed\n"
        screen.enter("quit")
        assert screen.wait_end() == 0


def test_server_lost_with_a_reply_owed(at_terminal, script):
    screen = at_terminal(script)
    screen.enter("reset")
    screen.wait_last("-> reset", f"Connection to {script.address} lost: Connection reset by peer",
                     "1 request was not answered: 'reset'", "->")
    script.receive(screen, "next")
    script.send(b"ok\n")
    screen.wait_last(f"Connected to {script.address} again", "ok", "->")
    screen.enter("quit")
    assert screen.wait_end() == 76


def test_nobody_to_connect_to_again(at_terminal, script):
    screen = at_terminal(script)
    script.peer.connection()
    script.peer.stop_listening()
    script.end()
    closed = f"Connection to {script.address} closed"
    screen.wait_lines(BANNER, closed, "->")
    screen.enter("kept")
    refused = f"banter: Connection Error: {script.address}: Connection refused"
    screen.wait_lines(BANNER, closed, "-> kept", refused, "-> kept")
    screen.type("\003")
    screen.wait_last("-> kept^C", "->")
    screen.enter("quit")
    assert screen.wait_end() == 69


def test_what_was_pasted_and_not_sent_comes_back(at_terminal):
    def read_one(connection):
        connection.received = connection.socket.recv(100)
    with Peer(read_one) as peer:
        lost = f"Connection to {peer.address} lost: the server closed it"
        screen = at_terminal(peer, "-f", "raw")
        screen.paste("one\ntwo")
        screen.type("\r")
        screen.wait_last("-> one", "two", lost, "1 request was not answered: 'one'", "-> two")
        screen.type("\r")
        screen.wait_last("-> two", f"Connected to {peer.address} again", lost, "1 request was not answered: 'two'",
                         "->")
        assert [connection.received for connection in peer.connections] == [b"one", b"two"]


# ---- a server that stops

def test_what_was_not_run_comes_back(at_terminal, script):
    """And the next Enter sends it, over another connection."""
    screen = at_terminal(script)
    screen.paste("one\n\\quit\ntwo")
    screen.type("\r")
    script.wait_asked(b"one", b"quit", b"two")
    script.send(b"ok\n-ERR stopping the server is stopping\n")
    script.end()
    screen.wait_last("ok", f"Connection to {script.address} lost: the server is stopping", "Enter sends 2 requests",
                     "-> \\quit", "two")
    screen.type("\r")
    script.wait_asked(b"one", b"quit", b"two", b"quit", b"two")
    script.send(b"2\n3\n")
    screen.wait_last(f"Connected to {script.address} again", "2", "3", "->")
    screen.enter("quit")
    assert screen.wait_end() == 0


def test_it_comes_back_in_front_of_what_is_typed(at_terminal, script):
    screen = at_terminal(script)
    script.receive(screen, "one")
    screen.type("\003")
    screen.wait_last("^C", "->")
    screen.type("half")
    screen.wait_last("-> half")
    script.send(b"-ERR stopping the server is stopping\n")
    script.end()
    screen.wait_last(f"Connection to {script.address} lost: the server is stopping", "Enter sends 2 requests",
                     "-> one", "half")
    screen.enter(" typed")
    script.wait_asked(b"one", b"one", b"half typed")
    screen.type("\003\004")


def test_it_comes_back_to_an_empty_prompt(at_terminal, script):
    screen = at_terminal(script)
    script.receive(screen, "one")
    screen.type("\003")
    screen.wait_last("^C", "->")
    script.send(b"-ERR stopping the server is stopping\n")
    script.end()
    screen.wait_last(f"Connection to {script.address} lost: the server is stopping", "-> one")
    screen.type("\003\004")
    assert screen.wait_end() == 0


@pytest.mark.parametrize("again, comes_back", [("never", False), ("lost", True)])
def test_again_at_a_terminal(at_terminal, script, again, comes_back):
    """never: not even if the server says that it stops; lost: also if the connection is lost."""
    screen = at_terminal(script, "--again", again)
    if again == "lost":
        screen.enter("reset")
        why, request = "Connection reset by peer", "reset"
    else:
        script.receive(screen, "one")
        script.send(b"-ERR stopping the server is stopping\n")
        script.end()
        why, request = "the server is stopping", "one"
    lost = f"Connection to {script.address} lost: {why}"
    if comes_back:
        screen.wait_last(lost, f"-> {request}")
        screen.type("\003")
    else:
        screen.wait_last(lost, f"1 request was not answered: '{request}'", "->")
    screen.type("\004")
    assert screen.wait_end() == (0 if comes_back else 76)


def test_half_a_reply_and_death(at_terminal, script):
    screen = at_terminal(script, columns=120)
    script.receive(screen, "x")
    script.send(b"Hel")
    script.end()
    screen.wait_last("-> x", f"banter: {script.address}: no whole reply: Hel",
                     f"Connection to {script.address} lost: the server closed it in the middle of a reply",
                     "1 request was not answered: 'x'", "->")
    screen.type("\004")
    assert screen.wait_end() == 76


def test_busy_at_a_later_connection(at_terminal, folder):
    """Not the end: the server may have room again, and what was not answered is named."""
    def serve(connection):
        number = peer.connections.index(connection)
        if number == 1:
            connection.send(b"-ERR busy too many clients\n")
        elif number > 1:
            hello(connection)
    with Peer(serve) as peer:
        screen = at_terminal(peer, "-q")
        closed = f"Connection to {peer.address} closed"
        screen.wait_last(closed, "->")
        screen.enter("Zack")
        screen.wait_last(f"banter: Connection Error: {peer.address}: -ERR busy too many clients",
                         "1 request was not answered: 'Zack'", "->")
        screen.enter("Zack")
        screen.wait_last(f"Connected to {peer.address} again", "Hello Zack", "->")
        screen.enter("quit")
        assert screen.wait_end() == 0


def test_errors_are_on_the_screen_wherever_standard_error_is(shell_screen, script, folder):
    screen = shell_screen(f"clear; {BANTER} -q -c {script.address} 2> errors")
    screen.wait_lines("->")
    script.peer.connection()
    script.peer.stop_listening()
    script.send(b"boo\n")
    script.end()
    closed = f"Connection to {script.address} closed"
    screen.wait_lines(f"banter: {script.address}: unasked: boo", closed, "->")
    screen.enter("x")
    screen.wait_last(f"banter: Connection Error: {script.address}: Connection refused", "-> x")
    assert (folder / "errors").read_bytes() == b""


def test_busy(open_screen):
    with Peer(lambda connection: connection.send(b"-ERR busy too many clients\n")) as peer:
        screen = open_screen([BANTER, "-c", peer.address])
        assert screen.wait_end() == 69
        assert f"banter: Connection Error: {peer.address}: -ERR busy too many clients" in screen.lines


def test_denied(open_screen):
    with Peer(lambda connection: connection.send(b"-ERR denied 127.0.0.1 may not connect\n")) as peer:
        screen = open_screen([BANTER, "-c", peer.address])
        assert screen.wait_end() == 77
        assert f"banter: Connection Error: {peer.address}: -ERR denied 127.0.0.1 may not connect" in screen.lines


def test_an_error_with_a_server_s_code_is_a_reply_all_the_same(at_terminal, script):
    """The server waits for the next request, and the prompt comes."""
    screen = at_terminal(script)
    script.receive(screen, "PASS x")
    script.send(b"-ERR denied wrong password\n")
    screen.wait_last("-> PASS x", "-ERR denied wrong password", "->")
    screen.enter("quit")
    script.wait_quit()
    script.end()
    assert screen.wait_end() == 1


def test_a_greeting(at_terminal, script):
    """A line that is entered before waits for it, and the screen says so."""
    screen = at_terminal(script, "--greeting", "1")
    screen.enter("HELP")
    screen.wait(lambda: "-> HELP" in screen.lines, "the line that was entered")
    script.peer.connection()
    screen.wait(lambda: screen.lines[-1].startswith("Waiting"), "the wait")
    script.send(b"220 ready\n")
    script.wait_asked(b"HELP")
    script.send(b"214 no help\n")
    screen.wait_last("-> HELP", f"banter: {script.address}: greeting: 220 ready", "214 no help", "->")


def test_timeout(at_terminal, script):
    screen = at_terminal(script, "--timeout", "100ms")
    screen.enter("x")
    screen.wait_last(f"Connection to {script.address} lost: nothing received for --timeout",
                     "1 request was not answered: 'x'", "->")
    screen.type("\004")
    assert screen.wait_end() == 75


def test_the_server_stops(at_terminal, server):
    pair = server()
    screen = at_terminal(pair)
    screen.enter("Zack")
    screen.wait_last("Hello ZACK", "->")
    assert pair.stop() == 0
    screen.wait_last(f"Connection to {pair.address} lost: the server is stopping", "->")
    screen.enter("quit")
    assert screen.wait_end() == 0


# ---- signals and modes

def test_ctrl_c_clears_the_line(at_terminal, peer):
    screen = at_terminal(peer)
    screen.type("not this")
    screen.wait_last("-> not this")
    screen.type("\003")
    screen.wait_lines(BANNER, "-> not this^C", "->")
    screen.enter("this")
    screen.wait_last("-> this", "Hello this", "->")
    assert peer.connection().received == b"this\n"


WRAPPED = [("x" * 100, 40), ("你好" * 25, 20)]


@pytest.mark.parametrize("typed, columns", WRAPPED)
def test_ctrl_c_in_the_middle_of_wrapped_rows(at_terminal, peer, typed, columns):
    """What stood below the cursor's row is not left below the new prompt."""
    screen = at_terminal(peer, "--quiet", columns=columns)
    screen.type(typed + "\001")
    screen.wait(lambda: screen.cursor == (3, 0) and "".join(screen.lines) == "-> " + typed, "the line")
    screen.type("\003")
    screen.wait(lambda: screen.lines[-1] == "->", "the prompt")
    assert "".join(screen.lines[:-1]) == "-> " + typed + "^C"
    screen.enter("new")
    screen.wait_last("-> new", "Hello new", "->")


@pytest.mark.parametrize("typed, columns", WRAPPED)
def test_ctrl_z_in_the_middle_of_wrapped_rows(shell_screen, script, typed, columns):
    screen = shell_screen(f"clear; {BANTER} -q -c {script.address}", columns=columns)
    screen.wait_lines("->")
    screen.type(typed + "\001")
    screen.wait(lambda: screen.cursor == (3, 0) and "".join(screen.lines) == "-> " + typed, "the line")
    screen.type("\032")
    screen.wait(lambda: "Stopped" in "".join(screen.lines) and screen.lines[-1] == "$", "the shell")
    assert "".join(screen.lines).startswith("-> " + typed)
    screen.enter("clear; fg >/dev/null")
    screen.wait(lambda: "".join(screen.lines) == "-> " + typed and screen.cursor == (3, 0), "the line again")
    screen.type("!\r")
    script.wait_asked(("!" + typed).encode())


def test_ctrl_z_in_a_search(shell_screen, peer):
    screen = shell_screen(f"clear; {BANTER} -q -c {peer.address}")
    screen.wait_lines("->")
    screen.enter("find me")
    screen.wait_last("Hello find me", "->")
    screen.type("\022fi")
    screen.wait_last("(reverse-i-search)`fi': find me")
    screen.type("\032")
    screen.wait(lambda: "Stopped" in "".join(screen.lines) and screen.lines[-1] == "$", "the shell")
    screen.enter("clear; fg >/dev/null")
    screen.wait_lines("(reverse-i-search)`fi': find me")
    screen.type("\r")
    screen.wait_last("Hello find me", "->")


def test_what_was_ignored_stays_ignored(open_screen, peer):
    """As under nohup; Ctrl-C belongs to the prompt all the same."""
    command = f'trap "" HUP TERM INT; exec "{BANTER}" -c {peer.address}'
    screen = open_screen(["bash", "-c", command])
    screen.wait_last("->")
    screen.child.kill(signal.SIGHUP)
    screen.child.kill(signal.SIGTERM)
    screen.enter("Zack")
    screen.wait_last("Hello Zack", "->")
    screen.type("given up")
    screen.wait_last("-> given up")
    screen.type("\003")
    screen.wait_last("-> given up^C", "->")
    screen.enter("quit")
    assert screen.wait_end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_end_in_the_middle_of_wrapped_rows(shell_screen, peer, number):
    screen = shell_screen(f"clear; {BANTER} -q -c {peer.address}; echo over", columns=40)
    screen.wait_lines("->")
    screen.type("x" * 100 + "\001")
    screen.wait(lambda: screen.cursor == (3, 0) and "".join(screen.lines) == "-> " + "x" * 100, "the line")
    os.kill(children(screen.child)[0].pid, number)
    screen.wait(lambda: screen.lines[-2:] == ["over", "$"], "the shell")
    assert "".join(screen.lines).startswith("-> " + "x" * 100)


def test_ctrl_c_while_leaving_ends_it(at_terminal, script):
    screen = at_terminal(script)
    script.owe(screen, "slow")
    screen.enter("quit")
    screen.wait(lambda: any("Ctrl-C ends it" in line for line in screen.lines), "the wait for the reply")
    screen.type("\003")
    assert screen.wait_end() == -signal.SIGINT


def test_quit_leaves_a_server_that_never_stops_sending(at_terminal):
    def chatter(connection):
        while connection.line() is not None:
            pass
        while not peer.released.wait(0.01):
            connection.send(b"more and more")
    with Peer(chatter) as peer:
        screen = at_terminal(peer)
        screen.enter("quit")
        assert screen.wait_end() == 0


def test_quit_awaits_what_is_owed(at_terminal, script):
    screen = at_terminal(script)
    script.owe(screen, "slow")
    screen.enter("quit")
    screen.wait(lambda: any("Ctrl-C ends it" in line for line in screen.lines), "the wait for the reply")
    assert script.peer.connection().received == b"slow\n"
    script.send(b"late\n")
    screen.wait(lambda: screen.steady[-1] == "late" and screen.steady[-3] == "-> quit", "the late reply")
    script.wait_quit()
    script.end()
    assert screen.wait_end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("state", ["prompt", "waiting"])
def test_signals_leave_the_terminal_as_it_was(at_terminal, script, number, state):
    screen = at_terminal(script)
    found = (termios.ICANON, termios.ECHO)
    if state == "waiting":
        script.receive(screen, "x")
    screen.child.kill(number)
    # The last one who holds the terminal sees its modes after the end.
    wait_until(lambda: not screen.child.isalive(), "its end")
    assert screen.child.signalstatus == number
    local = modes(screen)[3]
    assert all(local & bit for bit in found)


def test_quit_leaves_the_terminal_as_it_was(shell_screen, peer):
    screen = shell_screen(f"clear; stty -a > before; {BANTER} -c {peer.address}; "
                          "stty -a | cmp - before && echo same")
    screen.wait_last(BANNER, "->")
    screen.enter("quit")
    screen.wait_last("same", "$")


def test_ctrl_z_and_fg(shell_screen, script):
    screen = shell_screen(f"clear; stty -a > before; {BANTER} -c {script.address}")
    screen.wait_lines(BANNER, "->")
    screen.type("typed")
    screen.wait_last("-> typed")
    screen.type("\032")
    screen.wait(lambda: any("Stopped" in line for line in screen.lines) and screen.lines[-1] == "$", "the shell")
    screen.enter("clear; stty -a > after; cmp before after && echo same")
    screen.wait_lines("same", "$")
    screen.enter("clear; fg >/dev/null")
    screen.wait_lines("-> typed")
    screen.enter("!")
    script.wait_asked(b"typed!")
    screen.type("\032")  # while it waits
    screen.wait(lambda: screen.lines[-1] == "$", "the shell")
    screen.enter("clear; fg >/dev/null")
    script.send(b"answered\n")
    screen.wait_lines("answered", "->")
    screen.enter("quit")
    script.end()
    screen.wait_last("$")


def test_stopped_by_force_and_continued(at_terminal, script):
    screen = at_terminal(script)
    screen.type("typed")
    screen.wait_last("-> typed")
    screen.child.kill(signal.SIGSTOP)
    screen.child.kill(signal.SIGCONT)
    screen.wait_lines(BANNER, "-> typed", "-> typed")
    screen.enter("")
    script.wait_asked(b"typed")


# ---- redirections

def test_standard_output_gets_the_replies_alone(shell_screen, script, folder):
    screen = shell_screen(f"clear; {BANTER} -c {script.address} > replies")
    screen.wait_lines(BANNER, "->")
    script.receive(screen, "Zack")
    script.send(b"Hello \033Zack\n")
    screen.wait_lines(BANNER, "-> Zack", "->")
    screen.enter("quit")
    script.end()
    screen.wait_last("$")
    assert (folder / "replies").read_bytes() == b"Hello \033Zack\n"


def test_standard_output_is_a_pipe_that_nobody_reads(shell_screen, peer):
    screen = shell_screen(f"clear; stty -a > before; {BANTER} -c {peer.address} | true; "
                          "echo ${PIPESTATUS[0]}; stty -a | cmp - before && echo same")
    screen.wait_last("141", "same", "$")


def test_a_full_disk(shell_screen, peer):
    screen = shell_screen(f"clear; {BANTER} -c {peer.address} > /dev/full; echo $?")
    screen.wait_lines(BANNER, "->")
    screen.enter("Zack")
    screen.wait_last("banter: unable to write standard output: No space left on device", "74", "$")


def test_a_slow_pipe_does_not_stop_the_keyboard(shell_screen, folder):
    """Nobody reads standard output; the line editor and Ctrl-C still work."""
    def flood(connection):
        for line in connection.lines():
            connection.send(b"y" * 1_000_000 + b"\n")
    os.mkfifo(folder / "pipe")
    with Peer(flood) as peer:
        screen = shell_screen(f"clear; exec 9<>pipe; {BANTER} -c {peer.address} > pipe")
        screen.wait_lines(BANNER, "->")
        screen.enter("much")
        screen.wait_last("-> much", "->")
        screen.type("still here")
        screen.wait_last("-> still here")
        screen.type("\003")
        screen.wait_last("-> still here^C", "->")


def test_the_terminal_goes_away(bench, peer):
    """Without a signal, as where the terminal does not control it: it leaves in an orderly way."""
    ours, its = os.openpty()
    program = subprocess.Popen([BANTER, "-c", peer.address], stdin=its, stdout=its, stderr=its,
                               env=bench.environment(), start_new_session=True)
    try:
        os.close(its)
        written = b""
        while b"-> " not in written:
            written += os.read(ours, 1000)
        os.close(ours)
        assert program.wait(LIMIT) == 0
    finally:
        program.kill()
        program.wait()
    assert peer.connection().received == b"--QUIT--\n"
