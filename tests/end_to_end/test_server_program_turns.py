"""Whose turn it is: a program's answers of no line, one or several, its greeting, its late lines.

--reply-end, --request-end, --start-timeout."""
import os
import re
import shutil
import signal

import pytest

import harness
from harness import is_error, wait_until
from workers import WORKER, copies, frozen, group_gone, process, read_instead_of, unread

SILENT = b"-ERR handler-failed the program has answered nothing; if it keeps its output in a buffer, see --pty"
MORE = b"-ERR handler-failed the program has answered more than one line"
NOT_ENDED = b"-ERR handler-failed the program has not ended its line"


def program(server, *command, workers=1, options=(), **how):
    return server("--workers", str(workers), *options, "--", *map(str, command), **how)


def needs(name):
    return pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed")


# Answers of one line, of none and of several; the copy stays

@pytest.mark.parametrize("mode", [["-w", "1"], ["--worker-per-client"]], ids=["shared", "per-client"])
def test_what_is_not_one_line_is_an_error_and_the_copy_stays(server, mode):
    banterd = server(*mode, "--", WORKER)
    client = banterd.connect()
    pid = client.ask("pid")
    client.send_message("twice one two", "1", "silent", "2", "twice a b", "silent", "silent", "3", "pid")
    assert client.lines(9) == [MORE, b"1", SILENT, b"2", MORE, SILENT, SILENT, b"3", pid]


def test_a_line_that_is_not_ended(server):
    banterd = program(server, "sh", "-c", 'while read -r x; do printf "%b" "$x"; done')
    client = banterd.connect()
    client.send_message(r"a\n", "b", r"c\n", r"\n", r"d\ne", r"f\n")
    assert client.lines(6) == [b"a", NOT_ENDED, b"c", b"", MORE, b"f"]


@pytest.mark.parametrize("pause", ["0", "0.0001", "0.001", "0.05"])
def test_lines_of_another_turn_are_nobody_s(server, pause):
    """A program that answers with two lines, some time apart: each request gets its first line or an error."""
    script = ("import sys, time\nfor line in sys.stdin:\n    print(line.strip(), flush=True)\n"
              f"    time.sleep({pause})\n    print('more of', line.strip(), flush=True)\n")
    banterd = program(server, "python3", "-c", script, workers=2)
    clients = [banterd.connect() for _ in range(4)]
    for number, client in enumerate(clients):
        client.send_message(*(f"{number}.{i}" for i in range(12)))
    for number, client in enumerate(clients):
        for i, reply in enumerate(client.lines(12)):
            assert reply in (b"%d.%d" % (number, i), MORE)


def test_what_comes_behind_a_reply_that_has_left_is_dropped_and_logged(server, folder):
    banterd = program(server, WORKER)
    old, = copies(banterd, 1)
    client = banterd.connect()
    assert client.ask("more gate answer late") == b"answer"
    client.send_message("next")
    assert not client.readable()
    (folder / "gate").touch()
    assert client.readline() == b"next"
    banterd.log.wait_for("^Worker 1 has written behind its reply, which is dropped: late$")
    assert copies(banterd, 1) == [old]


def test_a_turn_that_does_not_end_in_time_ends_the_copy(server):
    banterd = program(server, WORKER, options=["--handler-timeout", "500ms"])
    old, = copies(banterd, 1)
    client = banterd.connect()
    assert client.ask("more nothing answer late") == b"answer"
    group_gone(old)
    assert client.ask("next") == b"next"


@needs("bc")
def test_long_numbers_of_bc(server):
    """bc breaks a number at 70 columns: no piece of it is another request's answer."""
    banterd = program(server, "bc", "-lq")
    first, second = banterd.connect(), banterd.connect()
    first.send_message(*["2^1000"] * 100)
    second.send_message(*["1+1"] * 200)
    # The first line is the reply if the second one is kept back for 10 ms.
    assert set(first.lines(100)) <= {MORE, b"%.68s\\" % str(2 ** 1000).encode()}
    assert second.lines(200) == [b"2"] * 200


@needs("bc")
def test_a_request_that_is_answered_with_nothing_costs_itself(server):
    banterd = program(server, "bc", "-lq")
    client = banterd.connect()
    client.send_message("a=5", *(f"{number}+1" for number in range(8)))
    assert client.lines(9) == [SILENT] + [b"%d" % (number + 1) for number in range(8)]
    pid, = copies(banterd, 1)
    client.send_message("a=5", "a*2")
    assert client.lines(2) == [SILENT, b"10"]
    assert copies(banterd, 1) == [pid]


@needs("bc")
def test_a_session_s_copy_that_is_silent_first_keeps_its_state(server):
    client = server("--worker-per-client", "--", "bc", "-lq").connect()
    client.send_message("a=5", "b=7", "a*b")
    assert client.lines(3) == [SILENT, SILENT, b"35"]


@pytest.mark.parametrize("size, count", [(10, 500), (1500, 20), (5000, 3)])
def test_a_session_s_copy_that_keeps_its_output_in_a_buffer(server, size, count):
    """No reply is wrong, though lines that were kept come out in other lines' turns."""
    banterd = server("-q", "--worker-per-client", "--", "tr", "a-z", "A-Z")
    client = banterd.connect()
    client.send_in_background(b"".join(b"%0*d%s\n" % (10, i, b"x" * (size - 10)) for i in range(count)),
                              client.half_close)
    replies = client.replies()
    assert all(is_error(reply, "handler-failed") for reply in replies) and replies


@needs("bc")
def test_an_empty_line_to_each_copy_does_not_stop_the_service(server):
    banterd = program(server, "bc", "-lq", workers=3)
    client = banterd.connect()
    client.send_message("", "", "", "", "6*7")
    assert client.lines(5) == [SILENT] * 4 + [b"42"]


def test_a_program_that_keeps_its_output_in_a_buffer(server):
    """Before anything was ever answered, what is silent is replaced: its output may come yet. That is no failure."""
    banterd = program(server, "tr", "a-z", "A-Z")
    client = banterd.connect()
    client.send_message(*["x"] * 12)
    assert client.lines(12) == [SILENT] * 12
    assert not banterd.log.find("replaced in")
    banterd.log.wait_for("^Worker 1 is replaced: the program has answered nothing", 10)


def test_a_copy_that_is_silent_to_several_sessions_is_replaced(server):
    banterd = program(server, WORKER)
    old, = copies(banterd, 1)
    clients = [banterd.connect() for _ in range(2)]
    assert clients[0].ask("x") == b"x"
    for _ in range(9):
        assert clients[0].ask("silent") == SILENT
    assert clients[0].ask("x") == b"x"
    assert copies(banterd, 1) == [old]
    for number in range(8):
        assert clients[number % 2].ask("silent") == SILENT
    group_gone(old)
    assert clients[0].ask("x") == b"x"


# --reply-end, --request-end

def test_all_that_it_writes_until_it_waits(server):
    banterd = program(server, "sh", "-c", 'while read -r x; do printf "%b" "$x"; done',
                      options=["--reply-end", "waits", "--framing", "netstring"])
    client = banterd.connect()
    for sent, reply in ((r"a\n", b"a"), (r"a\nb\n", b"a\nb"), ("", b""), ("half", b"half"), (r"a\n\n", b"a\n"),
                        (r"\n", b"")):
        assert client.ask(sent) == reply


def test_more_lines_than_the_codec_carries(server):
    banterd = program(server, WORKER, options=["--reply-end", "waits"])
    client = banterd.connect()
    client.send_message("twice one two", "one", "silent")
    assert client.lines(3) == [b"-ERR handler-failed the answer has 2 lines: --framing block or netstring carries them",
                               b"one", b""]


@needs("bc")
def test_a_long_number_is_a_block(server):
    client = program(server, "bc", "-lq", options=["--reply-end", "waits", "-f", "block"]).connect()
    client.send("2^300\na=5\na*2\n")
    number = str(2 ** 300)
    assert client.lines(6) == [b"%s\\" % number[:68].encode(), number[68:].encode(), b".", b".", b"10", b"."]


@needs("bc")
def test_a_long_number_is_one_reply_of_several_lines(server):
    client = program(server, "bc", "-lq", options=["--reply-end", "waits", "-f", "netstring"]).connect()
    assert client.ask("2^1000").replace(b"\\\n", b"") == b"%d" % 2 ** 1000
    assert client.ask("a=5") == b""
    assert client.ask("a*2") == b"10"


def test_whole_buffers_after_empty_turns_end_the_copy(server):
    banterd = program(server, "tr", "a-z", "A-Z", options=["--reply-end", "waits", "-f", "netstring"])
    client = banterd.connect()
    replies = [client.ask("x" * 1500) for _ in range(3)]
    assert replies[:2] == [b"", b""] and is_error(replies[2], "handler-failed") and b"--pty" in replies[2]
    banterd.log.wait_for("replaced: the program keeps its output in a buffer")


PIPELINE = ["sh", "-c", "sed -u s/x/y/ | cat"]


def test_waits_is_refused_where_that_can_not_be_seen(bench):
    run = bench.run([harness.BANTERD, "--listen", "127.0.0.1:0", "-w", "1", "--reply-end", "waits", "--", *PIPELINE])
    assert run.status == 1 and b"listening" not in run.stdout
    assert re.fullmatch(r"banterd: Worker 1 can't be seen to wait: the program .+\n", run.stderr.decode())


def test_waits_is_an_error_where_that_can_not_be_seen_of_a_session_s_copy(server):
    client = server("--worker-per-client", "--reply-end", "waits", "--", *PIPELINE).connect()
    assert re.fullmatch(rb"-ERR handler-failed Worker 1 can't be seen to wait: the program .+", client.ask("x"))


def test_waits_with_threads_that_come_later(server):
    script = ("import sys, threading\nfor line in sys.stdin:\n    print(line.strip(), flush=True)\n"
              "    if line == 'thread\\n': threading.Thread(target=threading.Event().wait, daemon=True).start()\n")
    banterd = program(server, "python3", "-c", script, options=["--reply-end", "waits"])
    client = banterd.connect()
    assert client.ask("a") == b"a"
    assert re.fullmatch(rb"-ERR handler-failed Worker 1 can't be seen to wait: the program .+", client.ask("thread"))


@pytest.mark.parametrize("command", [
    PIPELINE,
    ["timeout", "600", "sed", "-u", "s/x/y/"],
    ["sh", "-c", "cd /; sed -u s/x/y/; :"],
    ["python3", "-uc", "import sys, threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
                       "for line in sys.stdin: print(line.strip().replace('x', 'y'))"],
    ["python3", "-uc", "import os, select\nwhile select.select([0], [], []): "
                       "os.write(1, os.read(0, 99).replace(b'x', b'y'))"],
], ids=["pipeline", "wrapper", "shell", "threads", "select"])
def test_what_rests_is_answered_and_never_silent(server, command):
    banterd = program(server, *command)
    client = banterd.connect()
    client.send_message(*(f"x{number}" for number in range(50)))
    assert client.lines(50) == [b"y%d" % number for number in range(50)]


def test_one_that_rests_may_take_its_time(server, folder):
    script = "read -r x; until [ -e gate ]; do sleep 0.01; done; echo $x; cat"
    banterd = program(server, "sh", "-c", f"({script}) | cat")
    client = banterd.connect()
    client.send_message("late")
    banterd.log.wait_for("Processing .*late")
    assert not client.readable(0.1)
    (folder / "gate").touch()
    assert client.readline() == b"late"


def test_input_by_another_descriptor(server):
    script = ("import os\nfd = os.open('/dev/stdin', os.O_RDONLY)\n"
              "while True:\n    line = os.read(fd, 99)\n    line == b'\\n' or os.write(1, line)\n")
    client = program(server, "python3", "-c", script).connect()
    client.send_message("a", "", "b")
    assert client.lines(3) == [b"a", SILENT, b"b"]


def test_an_answer_from_the_background(server):
    """The copy waits for its next line, but for a child that has still to answer."""
    script = 'while read -r x; do case $x in late) (sleep 0.3; echo "$x") & ;; *) echo "$x" ;; esac; done'
    banterd = program(server, "sh", "-c", script)
    client = banterd.connect()
    for text in ("first", "late", "second"):
        assert client.ask(text) == text.encode()


def test_a_program_that_the_system_does_not_show(bench, folder):
    """It may be executed and not read, so that it is hidden from those without privileges."""
    program = folder / "program"
    shutil.copy("/bin/cat", program)
    program.chmod(0o111)
    folder.chmod(0o755)
    mine = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    if mine and not all(os.stat(parent).st_mode & 1 for parent in (folder, *folder.parents, *harness.BANTERD.parents)):
        pytest.skip("nobody else can come here")
    for mode in (["-w", "1"], ["--worker-per-client"]):
        banterd = bench.start([*mine, harness.BANTERD, "--listen", "127.0.0.1:0", *mode, "--", program],
                              kind=harness.Server)
        client = banterd.connect()
        client.send_message(*map(str, range(20)))
        assert client.lines(20) == [b"%d" % number for number in range(20)]


def test_the_lines_before_a_mark(server):
    banterd = program(server, "sh", "-c", 'while read -r x; do printf "%b" "$x"; done',
                      options=["--reply-end", "line:END", "--framing", "netstring"])
    client = banterd.connect()
    for sent, reply in ((r"a\nEND\n", b"a"), (r"a\nb\nEND\n", b"a\nb"), (r"END\n", b""), (r"\nEND\n", b"")):
        assert client.ask(sent) == reply
    assert client.ask(r"a\n") == b'-ERR handler-failed the program has not ended its answer with the line "END"'
    assert client.ask("") == SILENT
    assert client.ask(r"a\nEND\nmore\n") == b"a"
    assert client.ask(r"b\nEND\n") == b"b"


def test_a_line_behind_each_request_makes_it_write_the_mark(server):
    """What it says before the first mark is its greeting."""
    script = 'echo hello; while read -r x; do [ "$x" != end ] && printf "%b" "$x" || echo END; done'
    banterd = program(server, "sh", "-c", script,
                      options=["--reply-end", "line:END", "--request-end", "end", "--framing", "netstring"])
    client = banterd.connect()
    for sent, reply in ((r"a\n", b"a"), (r"a\nb\n", b"a\nb"), ("", b"")):
        assert client.ask(sent) == reply
    banterd.log.wait_for("^Worker 1 greets: hello$")


@needs("sqlite3")
def test_sqlite3(server):
    banterd = program(server, "sqlite3", options=["--reply-end", "line:END", "--request-end", ".print END",
                                                  "--framing", "netstring"])
    client = banterd.connect()
    assert client.ask("create table t (a, b);") == b""
    assert client.ask("insert into t values (1, 2), (3, 4);") == b""
    assert client.ask("select * from t;") == b"1|2\n3|4"


@pytest.mark.parametrize("arguments, word", [
    (["--reply-end", "never", "--", "cat"], "--reply-end"),
    (["--reply-end", "line:a\nb", "--", "cat"], "--reply-end"),
    (["--request-end", "x", "--", "cat"], "--request-end"),
    (["--request-end", "x", "--reply-end", "waits", "--", "cat"], "--request-end"),
    (["--reply-end", "waits"], "--reply-end"),
    (["--start-timeout", "1s"], "--start-timeout"),
    (["--pty"], "--pty"),
    (["--stderr", "reply"], "--stderr"),
    (["--stderr", "nowhere", "--", "cat"], "--stderr"),
    (["--start-timeout", "soon", "--", "cat"], "--start-timeout"),
])
def test_usage(bench, arguments, word):
    run = bench.run([harness.BANTERD, "--listen", "127.0.0.1:0", *arguments])
    assert (run.status, run.stdout) == (64, b""), run
    assert run.stderr.startswith(b"banterd: ") and word in run.stderr.decode()


# --pty, --stderr

def test_a_terminal_lets_it_write_at_once(server):
    banterd = program(server, "tr", "a-z", "A-Z", options=["--pty"])
    client = banterd.connect()
    client.send_message("x", "", b"a\x03\x04\r b", "y")
    assert client.lines(4) == [b"X", b"", b"A\x03\x04\r B", b"Y"]


def test_what_nobody_asked_for_on_a_terminal(server, folder):
    script = ('while read -r x; do echo "$x"; [ "$x" != first ] || '
              '(until [ -e gate ]; do sleep 0.01; done; echo unasked) & done')
    banterd = program(server, "sh", "-c", script, options=["--pty"])
    old, = copies(banterd, 1)
    client = banterd.connect()
    assert client.ask("first") == b"first"
    assert client.ask("second") == b"second"
    (folder / "gate").touch()
    group_gone(old)
    assert [client.ask(str(number)) for number in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


def test_the_terminal_is_of_no_use_for_more(server):
    script = 'while read -r x; do [ -t 1 ] && [ ! -t 0 ] && echo "$TERM $NO_COLOR"; done'
    assert program(server, "sh", "-c", script, options=["--pty"]).connect().ask("x") == b"dumb 1"


def test_standard_error_in_the_reply(server):
    script = 'while read -r x; do [ "$x" != bad ] || { echo "it hurts" >&2; exit 3; }; echo "no $x" >&2; done'
    banterd = program(server, "sh", "-c", script, options=["--stderr", "reply"])
    client = banterd.connect()
    assert client.ask("one") == b"no one"
    banterd = program(server, "sh", "-c", script, options=["--stderr", "reply", "--reply-end", "waits"])
    client = banterd.connect()
    assert client.ask("one") == b"no one"
    assert client.ask("bad") == (b"-ERR handler-failed the program ended with status 3 in the middle of its answer: "
                                 b"it hurts")
    assert client.ask("two") == b"no two"


# Starting

def test_a_greeting_is_no_answer(server):
    banterd = program(server, "sh", "-c", "echo hello; echo world; printf '> '; exec cat")
    assert banterd.connect().ask("first") == b"first"
    assert banterd.log.find("^Worker 1 greets: hello$")
    banterd = server("--worker-per-client", "--", WORKER, "say=surprise")
    assert banterd.connect().ask("first") == b"first"
    banterd.log.wait_for("^Worker 1 greets: surprise$")


def test_it_listens_when_the_first_copy_is_ready(server, folder):
    """The second one never is, and disturbs nobody."""
    script = 'if [ "$BANTER_WORKER" = 1 ]; then echo x >ready; exec cat; fi; sleep 1000'
    banterd = program(server, "sh", "-c", script, workers=2)
    assert (folder / "ready").exists()
    client = banterd.connect()
    for number in range(20):
        assert client.ask(str(number)) == b"%d" % number


def test_copies_that_need_longer_than_a_handler_may_take(server):
    """No request fails, whenever it comes, and no copy is ended."""
    banterd = program(server, "sh", "-c", "sleep 1.5; exec cat", workers=2,
                      options=["--handler-timeout", "500ms", "--start-timeout", "30s"])
    pids = copies(banterd, 2)
    client = banterd.connect()
    assert client.ask("one") == b"one"
    wait_until(lambda: not banterd.log.find("replaced"), "none was ended")
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        group_gone(pid)
    client.send_message("two", "three")
    assert client.lines(2) == [b"two", b"three"]
    assert len(banterd.log.find("is replaced")) == 2


def test_a_session_s_copy_that_needs_longer_than_a_handler_may_take(server):
    banterd = server("--worker-per-client", "--handler-timeout", "300ms", "--", "sh", "-c", "sleep 1; exec cat")
    client = banterd.connect()
    client.send_message("one", "two")
    assert client.lines(2) == [b"one", b"two"]


def test_a_start_that_takes_too_long_is_refused(bench):
    run = bench.run([harness.BANTERD, "--listen", "127.0.0.1:0", "-w", "2", "--start-timeout", "300ms", "--", "sh", "-c",
                     "echo still busy >&2; sleep 1000"])
    assert run.status == 1 and b"listening" not in run.stdout
    assert run.stderr == (b"banterd: unable to run sh: the program was not ready for a request within 300 ms: "
                          b"still busy\n")


def test_copies_that_all_fail_at_once_refuse_the_start(bench):
    run = bench.run([harness.BANTERD, "--listen", "127.0.0.1:0", "-w", "2", "--", "sh", "-c",
                     "echo no license >&2; exit 3"])
    assert run.status == 1 and b"listening" not in run.stdout
    assert run.stderr == b"banterd: unable to run sh: the program ended with status 3: no license\n"


def test_a_start_that_fails_with_standard_error_in_the_reply(bench):
    run = bench.run([harness.BANTERD, "--listen", "127.0.0.1:0", "-w", "2", "--stderr", "reply", "--", "sh", "-c",
                     "echo no license >&2; exit 3"])
    assert run.status == 1 and run.stderr == b"banterd: unable to run sh: the program ended with status 3: no license\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_it_starts(bench, number):
    """The copies are ended, and it has not failed."""
    banterd = bench.start([harness.BANTERD, "--listen", "127.0.0.1:0", "-w", "2", "--", "sh", "-c", "sleep 1000"])
    banterd.stdout.wait_for("Worker 2 started")
    assert banterd.stop(number) == 0


def test_a_session_s_copy_that_never_is_ready(server):
    banterd = server("--worker-per-client", "--start-timeout", "200ms", "--", "sh", "-c", "sleep 1000")
    client = banterd.connect()
    client.send_message("one")
    assert is_error(client.readline(), "unavailable")


# Failures that cost nobody

def test_a_copy_that_ends_by_itself_after_an_answer_costs_no_request(server):
    banterd = program(server, "sh", "-c", 'read -r x; echo "$x"', workers=2)
    client = banterd.connect()
    client.send_message(*map(str, range(60)))
    assert client.lines(60) == [b"%d" % number for number in range(60)]
    assert not banterd.log.find("replaced in")


def test_what_a_copy_has_not_read_goes_to_another_one(server):
    """It is stopped while it waits, given a request, and killed."""
    banterd = program(server, "cat")
    pid, = copies(banterd, 1)
    client = banterd.connect()
    assert client.ask("before") == b"before"
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: process(pid).state == "T", "it is stopped")
    client.send_message("after")
    banterd.log.wait_for("Processing .*after")
    os.kill(pid, signal.SIGKILL)
    assert client.readline() == b"after"


@pytest.mark.parametrize("mode", [["-w", "1"], ["--worker-per-client"]], ids=["shared", "per-client"])
def test_the_end_of_the_output_ends_the_turn(server, mode):
    banterd = server(*mode, "--", "sh", "-c", 'read -r x; echo "$x"; exec >&-; read -r y')
    client = banterd.connect()
    client.send_message("one", "two", "three")
    assert client.lines(3) == [b"one", b"two", b"three"]


def test_the_end_of_the_program_ends_its_reply(server):
    """With status 0 what it has written is all."""
    banterd = program(server, "sh", "-c", 'read -r x; printf "%b" "$x"; [ "$x" != bad ]',
                      options=["--reply-end", "waits", "-f", "netstring"])
    client = banterd.connect()
    assert client.ask(r"a\nb\n") == b"a\nb"
    assert is_error(client.ask("bad"), "handler-failed")
    assert client.ask("half") == b"half"


def test_a_copy_that_has_answered_is_preferred(server):
    """Three of four never answer."""
    script = 'while read -r x; do [ "$BANTER_WORKER" != 3 ] || echo "$x"; done'
    banterd = program(server, "sh", "-c", script, workers=4)
    client = banterd.connect()
    wait_until(lambda: client.ask("x") == b"x", "the third one is found")
    for number in range(100):
        assert client.ask(str(number)) == b"%d" % number


@pytest.mark.parametrize("options", [[], ["--tagged"], ["--reply-end", "waits"]], ids="-".join)
def test_a_copy_that_is_frozen_is_not_silent(server, options):
    """It was caught as it returned from its read: it seems to wait. Here another process has read its input."""
    banterd = server("-w", "1", "--handler-timeout", "1s", *options, "--", "cat")
    client = banterd.connect()
    assert client.ask("x") == b"x"
    copy, = copies(banterd, 1)
    with frozen(copy):
        client.send_message("y")
        wait_until(lambda: unread(copy) > 0, "the copy has been given the request")
        read_instead_of(copy)
        # From the session's clock or the copy's, whichever is looked at first.
        assert re.fullmatch(b"-ERR handler-(timeout the handler|failed the program) has not answered in time",
                            client.readline())
    assert client.ask("z") == b"z"


def test_a_copy_that_leaves_its_process_group_is_ended_all_the_same(server):
    script = ("import os, signal, sys\nos.setpgid(0, os.getpgid(os.getppid()))\n"
              "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
              "for line in sys.stdin:\n    if line == 'stay\\n':\n        while True: signal.pause()\n"
              "    print(os.getpid(), flush=True)\n")
    banterd = program(server, "python3", "-c", script, options=["--handler-timeout", "1s"])
    pid, = copies(banterd, 1)
    client = banterd.connect()
    assert int(client.ask("x")) == pid
    assert is_error(client.ask("stay"), "handler-timeout")
    wait_until(lambda: pid not in copies(banterd), "it has ended")
    assert int(client.ask("x")) != pid
