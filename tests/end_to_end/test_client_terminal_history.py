"""The client's history, --history: a shared file that outlives it, and the source of completions.
"""
import fcntl
import os
import re
import stat

import pytest

import harness
from harness import BANNER

pytestmark = pytest.mark.no_threads

WHERE = "state/banter/history"  # harness.Bench.environment() sets XDG_STATE_HOME


def leave(screen):
    screen.enter("quit")
    assert screen.wait_end() == 0


def say(screen, *lines):
    for line in lines:
        screen.enter(line)
        screen.wait_last(f"Hello {line}".rstrip(), "->")


@pytest.fixture
def remembers(at_terminal, peer):
    """remembers(*options) runs a client to which two lines are said, and ends it."""
    def run(*options, **env):
        screen = at_terminal(peer, *options, **env)
        say(screen, "first", "second")
        leave(screen)
        return screen
    return run


# ---- the file

def test_lines_outlive_the_run(remembers, at_terminal, peer, folder):
    remembers()
    assert (folder / WHERE).read_bytes() == b"first\nsecond\n"
    screen = at_terminal(peer)
    screen.type("\033[A")
    screen.wait_last("-> second")
    screen.type("\033[A")
    screen.wait_last("-> first")
    screen.type("\003")
    screen.wait_last("->")
    screen.type("\022sec")
    screen.wait_last("(reverse-i-search)`sec': second")


def test_nobody_else_can_read_it(remembers, folder):
    before = os.umask(0)
    try:
        remembers()
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in ("state", "state/banter", WHERE)}
    assert modes == {"state": 0o700, "state/banter": 0o700, WHERE: 0o600}


def test_what_is_remembered(at_terminal, peer, folder):
    """No empty line, none twice in a row, none that begins with a space, and no way to leave."""
    screen = at_terminal(peer)
    say(screen, "one", "one", " secret", "one", "", "two", "\\quit".lstrip("\\") + "ter", "one")
    screen.paste("p1\np2\n")
    screen.type("\r")
    screen.wait_last("Hello p2", "->")
    leave(screen)
    assert (folder / WHERE).read_text() == "one\ntwo\nquitter\none\np1\np2\n"


def test_an_escaped_line_is_remembered_as_it_was_typed(at_terminal, peer, folder):
    screen = at_terminal(peer)
    screen.enter("\\quit")
    screen.wait_last("Hello quit", "->")
    leave(screen)
    assert (folder / WHERE).read_text() == "\\quit\n"


@pytest.mark.parametrize("env, where", [
    ({"XDG_STATE_HOME": ""}, ".local/state/banter/history"),
    ({"XDG_STATE_HOME": "relative"}, ".local/state/banter/history"),
])
def test_where_it_is_without_xdg(remembers, folder, env, where):
    remembers(**env)
    assert (folder / where).read_bytes() == b"first\nsecond\n"


def test_there_is_none_without_a_home(remembers, folder):
    screen = remembers(XDG_STATE_HOME="", HOME="")
    assert screen.lines[:2] == [BANNER, "-> first"]  # not worth a warning
    assert list(folder.iterdir()) == []


def test_a_file_of_ones_own(remembers, folder):
    remembers("--history", folder / "mine")
    assert (folder / "mine").read_bytes() == b"first\nsecond\n"
    assert stat.S_IMODE((folder / "mine").stat().st_mode) == 0o600
    assert not (folder / "state").exists()


def test_no_history(remembers, at_terminal, peer, folder):
    remembers()
    screen = at_terminal(peer, "--no-history")
    screen.type("\033[A")
    say(screen, "third")  # there was nothing above
    screen.type("\033[A")
    screen.wait_last("-> third")
    screen.type("\003")
    screen.wait_last("-> third^C", "->")
    leave(screen)
    assert (folder / WHERE).read_bytes() == b"first\nsecond\n"


def test_the_last_of_both_options_counts(remembers, folder):
    remembers("--no-history", "--history", folder / "mine")
    remembers("--history", folder / "other", "--no-history")
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_a_file_that_is_there_keeps_its_mode_and_its_lines(remembers, folder):
    mine = folder / "mine"
    mine.write_bytes(b"old\ncut")  # whoever wrote the last line did not get to its end
    mine.chmod(0o640)
    remembers("--history", mine)
    assert mine.read_bytes() == b"old\ncut\nfirst\nsecond\n"
    assert stat.S_IMODE(mine.stat().st_mode) == 0o640


def test_a_link_stays_one(remembers, folder):
    (folder / "mine").symlink_to("target")
    remembers("--history", folder / "mine")
    assert (folder / "mine").is_symlink() and (folder / "target").read_bytes() == b"first\nsecond\n"


def test_bytes_that_are_no_text(at_terminal, peer, folder):
    (folder / "mine").write_bytes("früher\n".encode() + b"\xff\xfe\n")
    screen = at_terminal(peer, "--history", folder / "mine")
    screen.type("\033[A\r")
    harness.wait_until(lambda: peer.connection().received == b"\xff\xfe\n", "the bytes")
    screen.wait(lambda: screen.lines[-1] == "->", "the prompt")
    screen.type("\033[A\033[A")
    screen.wait_last("-> früher")


@pytest.mark.parametrize("path, why", [
    ("folder", "Is a directory"),
    ("none/history", "No such file or directory"),
    ("file/history", "Not a directory"),
])
def test_a_file_that_cannot_be_had_is_one_warning(remembers, folder, path, why):
    (folder / "folder").mkdir()
    (folder / "file").write_bytes(b"")
    screen = remembers("--history", folder / path)
    warnings = [line for line in "".join(line.ljust(80) if line.startswith(("->", "Hello", "Please", "Conn")) else line
                                         for line in screen.lines).split("banter: ") if "the history" in line]
    assert len(warnings) == 1 and re.match(r"unable to (read|write) the history ", warnings[0])
    assert why in warnings[0]


def test_a_full_disk_is_one_warning(remembers):
    screen = remembers("--history", "/dev/full")
    warning = "banter: unable to write the history /dev/full: No space left on device"
    assert screen.lines.count(warning) == 1


def test_a_device_remembers_nothing(remembers):
    assert not [line for line in remembers("--history", "/dev/null").lines if "banter:" in line]


# ---- shared

def test_clients_that_run_at_the_same_time_lose_nothing(at_terminal, peer, folder):
    screens = [at_terminal(peer) for _ in range(4)]
    for number in range(5):
        for index, screen in enumerate(screens):
            say(screen, f"client {index} line {number}")
    for screen in screens:
        leave(screen)
    assert (folder / WHERE).read_text() == "".join(
        f"client {index} line {number}\n" for number in range(5) for index in range(4))


def test_clients_that_write_at_the_same_time_lose_nothing(at_terminal, peer, folder):
    """Pastes of many lines at once; each client's own lines stay in order."""
    count = harness.scaled(200, 50)
    screens = [at_terminal(peer) for _ in range(4)]
    for index, screen in enumerate(screens):
        screen.paste("\n".join(f"{index} line {number}" for number in range(count)))
    for screen in screens:
        screen.type("\r")
    for index, screen in enumerate(screens):
        screen.wait_last(f"Hello {index} line {count - 1}", "->")
        leave(screen)
    lines = (folder / WHERE).read_text().splitlines()
    assert len(lines) == 4 * count
    for index in range(4):
        assert [line for line in lines if line.startswith(f"{index} ")] == \
            [f"{index} line {number}" for number in range(count)]


def test_a_long_file_is_cut_once_while_others_write(at_terminal, open_screen, peer, folder):
    """Clients that start together find the same long file, while one is writing into it."""
    mine = folder / "mine"
    early = at_terminal(peer, "--history", mine)
    mine.write_text("".join(f"old {number:05}\n" for number in range(30_000)))
    early.paste("\n".join(f"new {number}" for number in range(200)))
    early.type("\r")
    late = [open_screen([harness.BANTER, "-c", peer.address, "--history", mine]) for _ in range(5)]
    early.wait_last("Hello new 199", "->")
    for screen in late:
        screen.wait_last("->")
        leave(screen)
    lines = mine.read_text().splitlines()
    assert [line for line in lines if line.startswith("new")] == [f"new {number}" for number in range(200)]
    assert [line for line in lines if line.startswith("old")][-5000:] == \
        [f"old {number:05}" for number in range(25_000, 30_000)]
    assert len(lines) <= 30_200 and all(len(line) in (5, 6, 7, 9) for line in lines)


@pytest.mark.parametrize("size, held, left", [(10, 20, 10), (10, 19, 19), (12_000, 15_000, 15_000)])
def test_the_users_history_size_is_the_files_too(at_terminal, peer, folder, size, held, left):
    (folder / "inputrc").write_text(f"set history-size {size}\n")
    lines = [f"line {number:06}" for number in range(held)]
    (folder / "mine").write_text("".join(line + "\n" for line in lines))
    screen = at_terminal(peer, "--history", folder / "mine", INPUTRC=folder / "inputrc")
    assert (folder / "mine").read_text().splitlines() == lines[-left:]
    screen.type("\033<")  # the first of those that are remembered
    screen.wait_last("-> " + lines[-min(size, held)])


def test_a_long_file_is_cut_while_others_write(at_terminal, peer, folder):
    """What is remembered stays, and so do the lines of a client that was there before, and of one that comes."""
    mine = folder / "mine"
    lines = [f"line {number}" for number in range(25_000)]
    mine.write_text("".join(line + "\n" for line in lines[:19_000]))
    early = at_terminal(peer, "--history", mine)
    with mine.open("a") as more:
        more.write("".join(line + "\n" for line in lines[19_000:]))
    late = at_terminal(peer, "--history", mine)
    assert mine.read_text().splitlines() == lines[15_000:]
    say(early, "early")
    say(late, "late")
    assert mine.read_text().splitlines() == lines[15_000:] + ["early", "late"]
    late.type("\033[A\033[A")
    late.wait_last("-> line 24999")


def test_a_file_that_somebody_has_locked_stops_nobody(at_terminal, peer, folder):
    mine = folder / "mine"
    mine.write_text("old\n")
    with mine.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        screen = at_terminal(peer, "--history", mine)
        say(screen, "new")
        leave(screen)
    assert mine.read_text() == "old\nnew\n"


def test_a_fifo_stops_nobody(remembers, folder):
    os.mkfifo(folder / "fifo")
    taken = []
    descriptor = os.open(folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        remembers("--history", folder / "fifo")
        taken.append(os.read(descriptor, 100))
    finally:
        os.close(descriptor)
    assert taken == [b"first\nsecond\n"]


# ---- Tab

@pytest.fixture
def with_words(at_terminal, peer, folder):
    """At a prompt whose history has some words."""
    (folder / "words").write_text("alpha beta\nalphabet soup\ngamma/delta x=y\nÄpfel\n")
    return at_terminal(peer, "--history", folder / "words")


@pytest.mark.parametrize("typed, completed", [
    ("gam\t", "gamma/delta"),
    ("say gam\t", "say gamma/delta"),
    ("so\t!", "soup!"),
    ("Ä\t", "Äpfel"),
    ("x\t", "x=y"),
    ("al\t", "alpha"),  # as far as all that begin so agree
    ("none\t", "none"),
    ("\t", ""),
    ("a \t", "a"),
    ("/et\t", "/et"),  # no file's name
    ("G\t", "G"),
])
def test_tab_completes_words(with_words, typed, completed):
    with_words.type(typed + "\005")
    with_words.wait_last(f"-> {completed}".rstrip())


def test_tab_lists_what_there_is(with_words):
    with_words.type("al\t\t\t")
    with_words.wait_lines(BANNER, "-> alpha", "alpha     alphabet", "-> alpha")


def test_tab_never_asks(at_terminal, peer, folder):
    """A question would keep the client from the server. So many words are not listed; the latest are."""
    (folder / "words").write_text("".join(f"w{number:04}\n" for number in range(3000)))
    screen = at_terminal(peer, "--history", folder / "words", rows=200)
    screen.type("w\t\t\t")
    screen.wait(lambda: any("w2999" in line for line in screen.lines) and screen.lines[-1] == "-> w2", "the list")
    assert not any("w2499" in line for line in screen.lines)
    peer.connection().send(b"-ERR stopped\n")
    screen.wait(lambda: any("stopped" in line for line in screen.lines), "what the server says")


def test_words_of_this_run_and_of_the_user_s_case(at_terminal, peer, folder):
    (folder / "inputrc").write_text("set completion-ignore-case on\n")
    screen = at_terminal(peer, INPUTRC=folder / "inputrc")
    say(screen, "Hamburg")
    screen.type("ham\t")
    screen.wait_last("-> Hamburg")


# ---- readline's own settings

def test_the_users_history_size(at_terminal, peer, folder):
    (folder / "inputrc").write_text("$if banter\nset history-size 1\n$endif\n")
    (folder / "mine").write_text("one\ntwo\n")
    screen = at_terminal(peer, "--history", folder / "mine", INPUTRC=folder / "inputrc")
    screen.type("\033[A\033[A\033[A!\r")
    screen.wait_last("Hello two!", "->")


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("typed", ["Grüße".encode(), b"\xff\xfe", b"a\xc3", "Grüße".encode("latin-1"), b"\xe4\xbd"])
def test_bytes_are_sent_as_typed(at_terminal, peer, locale, typed):
    """Also such as are no characters of the locale."""
    screen = at_terminal(peer, LANG=locale)
    screen.child.send(typed + b"\r")
    harness.wait_until(lambda: screen.pump(0.05) and peer.connection().received, "the request")
    assert peer.connection().received == typed + b"\n"
