"""banterd -- PROGRAM, --workers: how workers are started, what they are given, and what they
answer."""
import os
import re

import pytest

import harness
from harness import is_error, wait_until
from workers import WORKER, children, copies, proc, process, status

# 32 and 33 are the C library's own: nobody can change what was inherited for them.
RESERVED_SIGNALS = 1 << 31 | 1 << 32


def program(server, *command, workers=1, options=(), **how):
    return server("--workers", str(workers), *options, "--", *map(str, command), **how)


# What a copy is started with

def test_a_line_in_and_a_line_out(server):
    banterd = program(server, "cat")
    client = banterd.connect()
    for text in ("Zack", "", " blanks  at both ends  ", "ünï 日本", "a\tb", "--QUIT--x"):
        assert client.ask(text) == text.encode()
    client.quit()
    client.close()
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == "Server stopped after 1 clients, 6 requests"


def test_arguments_as_given_and_no_shell(server):
    words = ["args", "$HOME", "*", "a b", "", "'q\"", ";exit", "`id`", "-x", "--listen", "--", "-w"]
    banterd = program(server, WORKER, *words)
    assert banterd.connect().ask("x") == "".join(f"<{word}>" for word in words).encode()
    assert [process(child).name for child in copies(banterd, 1)] == ["worker.sh"]


def test_options_of_the_program_are_its_own(server):
    banterd = program(server, "sed", "-u", "-e", "s/x/y/")
    assert banterd.connect().ask("xz") == b"yz"


def test_environment(server):
    banterd = program(server, "cat", workers=3, env={"FLAVOUR": "of $HOME", "BANTER_WORKER": "99"})
    mine = set(proc(banterd.pid, "environ").split(b"\0")) - {b"", b"BANTER_WORKER=99"}
    assert b"FLAVOUR=of $HOME" in mine and any(entry.startswith(b"PATH=") for entry in mine)
    numbers = []
    for child in copies(banterd, 3):
        theirs = [entry for entry in proc(child, "environ").split(b"\0") if entry]
        numbers += [entry for entry in theirs if entry.startswith(b"BANTER_WORKER=")]
        assert {entry for entry in theirs if not entry.startswith(b"BANTER_WORKER=")} == mine
    assert sorted(numbers) == [b"BANTER_WORKER=1", b"BANTER_WORKER=2", b"BANTER_WORKER=3"]


def test_a_new_copy_has_the_number_of_the_old_one(server):
    banterd = program(server, WORKER, workers=3)
    client = banterd.connect()
    for _ in range(10):
        client.send_message("exit 1")
    assert all(is_error(reply, "handler-failed") for reply in client.lines(10))
    wait_until(lambda: sorted(entry for child in copies(banterd, 3)
                              for entry in proc(child, "environ").split(b"\0") if entry.startswith(b"BANTER_WORKER="))
               == [b"BANTER_WORKER=%d" % number for number in (1, 2, 3)], "each number is one copy's")


def wait_descriptors(banterd):
    """Two copies have their three descriptors and no other; while one is starting, its libraries are open too."""
    for child in copies(banterd, 2):
        wait_until(lambda: set(os.listdir(f"/proc/{child}/fd")) == {"0", "1", "2"}, "three descriptors")


def test_descriptors_are_closed_but_three(server, folder):
    """Whatever the server itself was given or has opened since: clients, listeners, the other copies' pipes."""
    banterd = program(server, WORKER, workers=4, options=["-l", "unix:socket"])
    clients = [banterd.connect() for _ in range(5)]
    assert clients[0].ask("x") == b"x"
    first = set(copies(banterd, 4))
    assert is_error(clients[1].ask("signal KILL"), "handler-failed")
    wait_until(lambda: set(copies(banterd, 4)) - first, "a new copy, started with clients connected")
    for child in copies(banterd, 4):
        # The shell reads its script from one of its own.
        files = {int(name): os.readlink(f"/proc/{child}/fd/{name}") for name in os.listdir(f"/proc/{child}/fd")}
        others = {number: name for number, name in files.items() if number > 2 and not name.endswith("worker.sh")}
        assert set(files) >= {0, 1, 2} and not others, files


def test_descriptors_that_the_server_was_started_with(bench, folder):
    """Its caller's open files reach the server, and no program."""
    banterd = bench.start(["sh", "-c", 'exec "$0" "$@" 7</dev/null 8>held', harness.BANTERD, "-l", "127.0.0.1:0",
                           "-w", "2", "--", "cat"], kind=harness.Server)
    assert {"7", "8"} <= set(os.listdir(f"/proc/{banterd.pid}/fd"))
    wait_descriptors(banterd)


def test_closed_standard_descriptors_of_the_server(bench, folder):
    banterd = bench.start(["sh", "-c", 'exec "$0" "$@" <&- 2>&-', harness.BANTERD, "-l", "127.0.0.1:0", "-w", "2",
                           "--", "cat"], kind=harness.Server)
    assert banterd.connect().ask("Zack") == b"Zack"
    wait_descriptors(banterd)


def test_each_copy_is_the_head_of_a_process_group(server):
    banterd = program(server, "cat", workers=3)
    for child in copies(banterd, 3):
        assert process(child).group == child != process(banterd.pid).group


def test_signals_are_as_a_program_expects_them(bench):
    """Also where the server's own were changed by whoever started it."""
    banterd = bench.start(["env", "--ignore-signal=HUP,USR1,CHLD", "--block-signal=USR2,TERM", harness.BANTERD, "-l",
                           "127.0.0.1:0", "-w", "2", "--", "cat"], kind=harness.Server)
    for child in copies(banterd, 2):
        signals = status(child)
        masks = [int(signals[name], 16) & ~RESERVED_SIGNALS for name in ("SigBlk", "SigIgn", "SigCgt")]
        assert masks == [0, 0, 0]
    assert banterd.connect().ask("x") == b"x"


def test_it_runs_where_the_server_does(server, folder):
    banterd = program(server, "cat")
    assert [os.readlink(f"/proc/{child}/cwd") for child in copies(banterd, 1)] == [str(folder)]


def test_a_program_found_in_path_and_one_by_its_path(server, folder):
    (folder / "mine").write_text("#!/bin/sh\nexec cat\n")
    (folder / "mine").chmod(0o755)
    assert program(server, "./mine").connect().ask("x") == b"x"
    path = f"{folder}:{os.environ['PATH']}"
    assert program(server, "mine", env={"PATH": path}).connect().ask("x") == b"x"


def test_standard_error_goes_to_the_log_with_the_number(server):
    banterd = program(server, WORKER, workers=2)
    client = banterd.connect()
    for text in ("plain", "es\x1bcape", "three"):
        assert client.ask("log " + text) == b"logged"
    banterd.log.wait_for(r"\b[12]\b.*: plain$")
    banterd.log.wait_for(r"\b[12]\b.*: es\\x1bcape$")
    banterd.log.wait_for(r"\b[12]\b.*: three$")


def test_each_line_of_standard_error_has_its_own_copy_s_number(server, folder):
    banterd = program(server, "sh", "-c", 'echo "I am number $BANTER_WORKER" >&2; exec cat', workers=3)
    for number in (1, 2, 3):
        assert banterd.log.wait_for(rf"\b{number}\b.*I am number {number}$")


def test_standard_error_with_cr_lf(server):
    """As ssh ends its lines."""
    banterd = program(server, "sh", "-c", 'printf "one\\r\\n\\r\\ntwo\\r\\n" >&2; exec cat')
    banterd.log.wait_for(": two$")
    assert banterd.log.find(": one$") and not banterd.log.find(r"\\r")


def test_standard_error_without_a_newline_and_many_lines_at_once(server):
    banterd = program(server, "sh", "-c", 'seq 100 >&2; printf "the end" >&2; exec cat')
    for number in (1, 50, 100):
        banterd.log.wait_for(rf": {number}$")
    assert banterd.connect().ask("x") == b"x"
    assert banterd.stop() == 0
    assert len(banterd.log.find(r": \d+$")) >= 100
    assert banterd.log.find(r": the end$")


def test_standard_error_that_never_ends_a_line(server):
    """Holds up nobody and takes no memory."""
    banterd = program(server, "sh", "-c", 'head -c 20000000 /dev/zero | tr "\\0" x >&2; exec cat', options=["-qq"])
    assert banterd.connect().ask("x") == b"x"
    assert banterd.memory("VmHWM") < harness.scaled(30, 400) << 20


def test_standard_error_is_told_however_quiet(server):
    banterd = program(server, WORKER, options=["-qq"])
    assert banterd.connect().ask("log it hurts") == b"logged"
    banterd.log.wait_for(r"\b1\b.*: it hurts$")


# Starting

def test_copies_run_before_it_listens(server):
    banterd = program(server, "cat", workers=5)
    assert len([one for one in children(banterd) if one.name == "cat"]) == 5


def test_as_many_copies_as_cores(server):
    banterd = server("--", "cat")
    copies(banterd, len(os.sched_getaffinity(0)))


def test_a_short_option(server):
    copies(server("-w", "3", "--", "cat"), 3)


def no_permission(folder):
    (folder / "program").write_text("#!/bin/sh\ncat\n")
    return "./program"


def a_folder(folder):
    (folder / "program").mkdir()
    return "./program"


def no_interpreter(folder):
    (folder / "program").write_text("#!/nonexistent/sh\ncat\n")
    (folder / "program").chmod(0o755)
    return "./program"


def no_program_at_all(folder):
    """A shell would run it as a script."""
    (folder / "program").write_text("cat\n")
    (folder / "program").chmod(0o755)
    return "./program"


@pytest.mark.parametrize("make, why", [
    (lambda folder: "/nonexistent/program", "No such file"),
    (lambda folder: "no-such-program-anywhere", "No such file|not found"),
    (no_permission, "Permission denied"),
    (a_folder, "Permission denied|[Ii]s a directory"),
    (no_interpreter, "No such file"),
    (no_program_at_all, "Exec format"),
], ids=["missing", "not in PATH", "not executable", "folder", "no interpreter", "no program"])
def test_what_can_not_be_started_refuses_the_start(bench, folder, make, why):
    name = make(folder)
    run = bench.run([harness.BANTERD, "--listen", "127.0.0.1:0", "--", name, "x"])
    text = run.stderr.decode()
    assert run.status == 1, run
    assert text.count("\n") == 1 and text.startswith("banterd: ") and re.search(why, text) and name in text, text
    assert b"listening" not in run.stdout


@pytest.mark.parametrize("make, why", [
    (lambda folder: "/nonexistent/program", "No such file"),
    (lambda folder: "no-such-program-anywhere", "No such file|not found"),
    (no_permission, "Permission denied"),
    (a_folder, "Permission denied|[Ii]s a directory"),
], ids=["missing", "not in PATH", "not executable", "folder"])
def test_nor_is_it_put_off_until_the_first_client(bench, folder, make, why):
    name = make(folder)
    run = bench.run([harness.BANTERD, "--listen", "127.0.0.1:0", "--worker-per-client", "--", name, "x"])
    assert run.status == 1 and re.search(why, run.stderr.decode()), run
    assert b"listening" not in run.stdout


@pytest.mark.parametrize("make", [no_interpreter, no_program_at_all])
def test_what_turns_out_with_the_first_client(server, folder, make):
    banterd = server("--worker-per-client", "--", make(folder))
    client = banterd.connect()
    client.send_message("one", "two")
    assert all(is_error(reply, "handler-failed") or is_error(reply, "unavailable") for reply in client.lines(2))


def test_a_port_in_use_ends_the_copies(bench, server, folder):
    taken = server()
    run = bench.run([harness.BANTERD, "--listen", taken.address, "-w", "2", "--", str(WORKER), "stay", "log=log"])
    assert run.status == 1 and b"Bind failed. Error : " in run.stderr


@pytest.mark.parametrize("arguments, word", [
    (["-H", "echo", "--", "cat"], "handler"),
    (["--handler", "hello", "--", "cat"], "handler"),
    (["--workers", "2"], "workers"),
    (["--worker-per-client"], "worker-per-client"),
    (["-w", "2", "-H", "echo"], "workers"),
    (["cat"], "cat"),
    (["cat", "--", "cat"], "cat"),
    (["--"], "--"),
    (["-w", "2", "--"], "--"),
    (["--", ""], "--"),
    (["-w", "0", "--", "cat"], "-w"),
    (["-w", "-1", "--", "cat"], "-w"),
    (["--workers", "many", "--", "cat"], "--workers"),
    (["--workers", "1000000000", "--", "cat"], "--workers"),
])
def test_usage(bench, arguments, word):
    run = bench.run([harness.BANTERD, "--listen", "127.0.0.1:0", *arguments])
    text = run.stderr.decode()
    assert (run.status, run.stdout) == (64, b""), run
    assert text.startswith("banterd: ") and text.count("\n") == 1 and word in text, text


# What goes in and what comes out

def test_requests_that_hold_a_newline_are_refused(server):
    banterd = program(server, "cat", options=["--framing", "netstring"])
    client = banterd.connect()
    client.send_message("a\nb", "\n", "fine", "end\n")
    assert is_error(client.reply(), "bad-request")
    assert is_error(client.reply(), "bad-request")
    assert client.reply() == b"fine"
    assert is_error(client.reply(), "bad-request")


def test_requests_that_hold_a_newline_in_raw(server):
    banterd = program(server, "cat", options=["--framing", "raw"])
    client = banterd.connect()
    assert client.ask("a\nb").startswith(b"-ERR bad-request")
    assert client.ask("fine") == b"fine"


@pytest.mark.parametrize("framing", ["line", "netstring"])
def test_nul_bytes_pass(server, framing):
    client = program(server, "cat", options=["--framing", framing]).connect()
    for sent in (b"\0", b"a\0b", b"\0\0\0", bytes(set(range(256)) - {10, 13})):
        assert client.ask(sent) == sent


def test_a_carriage_return_within_a_line_passes(server):
    assert program(server, "cat").connect().ask(b"a\rb") == b"a\rb"


def test_an_answer_that_ends_with_crlf(server):
    client = program(server, WORKER).connect()
    assert client.ask("crlf text") in (b"text", b"text\r")  # in line framing that CR belongs to the line end
    assert client.ask("next") == b"next"


def test_an_error_as_an_answer(server):
    banterd = program(server, WORKER)
    client = banterd.connect()
    pid = client.ask("pid")
    assert client.ask("refuse not-found there is none") == b"-ERR not-found there is none"
    assert client.ask("pid") == pid
    client.send("refuse not-found x\nrefuse busy x\nnext\n")
    assert client.readline() == b"-ERR not-found x"
    assert is_error(client.readline(), "handler-failed"), "the code busy is the server's alone"
    assert client.readline() == b"next"


@pytest.mark.parametrize("size", [1, 4095, 4096, 65535, 65536, 65537, 1000000, 16 << 20])
def test_large_answers(server, size):
    client = program(server, WORKER).connect()
    client.send_message(f"size {size}", "next")
    assert client.readline() == b"x" * size
    assert client.readline() == b"next"


def test_an_answer_over_the_limit(server):
    banterd = program(server, WORKER)
    client = banterd.connect()
    client.send_message(f"size {(16 << 20) + 1}", "next")
    assert is_error(client.readline(), "handler-failed")
    assert client.readline() == b"next"


def test_an_answer_without_end_takes_no_memory(server):
    banterd = program(server, "sh", "-c", "read -r x; exec cat /dev/zero")
    assert is_error(banterd.connect().ask("x"), "handler-failed")
    assert banterd.memory("VmHWM") < harness.scaled(100, 600) << 20


@pytest.mark.parametrize("size", [4096, 65536, 1000000])
def test_large_requests(server, size):
    client = program(server, "cat", options=["-m", "1m"]).connect()
    message = b"0123456789" * (size // 10)
    client.send_in_background((message + b"\n") * 5)
    assert client.lines(5) == [message] * 5


def test_a_program_that_does_not_read_a_large_request(server):
    banterd = program(server, "python3", "-c", "import os, time; os.read(0, 1); time.sleep(600)", options=["-m", "1m", "--handler-timeout", "500ms"])
    client = banterd.connect()
    client.send_message("x" * 1000000)
    assert is_error(client.readline(), "handler-timeout")


def test_too_long_requests_do_not_reach_it(server, folder):
    banterd = program(server, WORKER, "log=log", options=["-m", "10"])
    client = banterd.connect()
    client.send_message("x" * 11, "x" * 10)
    assert is_error(client.readline(), "too-long")
    assert client.readline() == b"x" * 10
    assert (folder / "log").read_text() == "x" * 10 + "\n"


def test_netcat_that_closes_its_half(server, netcat):
    banterd = program(server, WORKER, workers=2)
    run = netcat(banterd, "-N")
    run.type("".join(f"line {number}\n" for number in range(200)))
    run.end_input()
    assert run.stdout.wait_end() == "".join(f"line {number}\n" for number in range(200))


def test_the_client_with_the_pair(server, run_banter):
    banterd = program(server, "sed", "-u", "s/^/> /", workers=4)
    run = run_banter("-c", banterd.address, input="".join(f"{number}\n" for number in range(5000)))
    assert run == (0, b"".join(b"> %d\n" % number for number in range(5000)), b"")
