"""The Makefile: help, install and uninstall, `make run` with and without a terminal, how tests are counted; the check of
the includes.

The programs are there already, and other tests run them now: `-o all` keeps make from building them again.
"""
import os
import re
import signal
import stat
import subprocess
import sys

import pexpect
import pytest

import harness
from harness import BUILD, TOP

pytestmark = pytest.mark.no_sanitizer

PAGES = ["man1/banter.1", "man3/banter-handler.3", "man7/banter-nats.7", "man7/banter-program.7",
         "man7/banter-protocol.7", "man8/banterd.8"]
COMPLETIONS = ["banter", "banterd"]
FISH_COMPLETIONS = ["banter.fish", "banterd.fish"]
EXAMPLES = ["examples/reverse.c", "examples/store.c"]
DOCUMENTS = [".made", "LICENSE", "README.md", *EXAMPLES]


def environment():
    """Of a make that nobody's make has called."""
    return {name: value for name, value in os.environ.items()
            if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "BUILD", "SANITIZE", "CC")}


def make(*arguments, input=None, build=BUILD, status=0):
    run = subprocess.run(["make", "-C", TOP, "--no-print-directory", "-o", "all", f"BUILD={build}", *arguments],
                         env=environment(), input=input, stdin=None if input else subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=harness.LIMIT)
    assert run.returncode == status, run.stdout + run.stderr
    return run


@pytest.fixture
def programs(folder):
    """A build folder of the test's own, with the programs in it."""
    build = folder / "build"
    build.mkdir()
    for name in ("banter", "banterd", "banter-tls.so", "banterd-nats.so", "banterd-tls.so"):
        (build / name).symlink_to(BUILD / name)
    return build


def wait_for_log(build, line):
    log = build / "run.log"
    harness.wait_until(lambda: re.search(f"^{line}", log.read_text(), re.M), f"{line!r} in {log}")


def test_help_lists_the_targets():
    text = make("help").stdout
    for target in ("all", "deps", "run", "check", "check-unit", "check-end-to-end", "bench", "lint", "install", "uninstall",
                   "clean", "help"):
        assert re.search(rf"^ +{target} +\w", text, re.M), target


def files_under(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir())


def test_install_and_uninstall(folder):
    where = [f"DESTDIR={folder}", "PREFIX=/opt/banter"]
    make("install", *where)
    assert files_under(folder / "opt/banter") == [
        "bin/banter", "bin/banterd", "include/banter/handler.h", "lib/banter/banter-tls.so",
        "lib/banter/banterd-nats.so", "lib/banter/banterd-tls.so", "lib/pkgconfig/banter.pc",
        *("share/bash-completion/completions/" + name for name in COMPLETIONS),
        *("share/doc/banter/" + document for document in DOCUMENTS),
        *("share/fish/vendor_completions.d/" + name for name in FISH_COMPLETIONS),
        *("share/man/" + page for page in PAGES), "share/zsh/site-functions/_banter"]
    for file in (folder / "opt/banter").rglob("*"):
        if file.is_file():
            assert stat.S_IMODE(file.stat().st_mode) == (0o755 if file.parent.name == "bin" else 0o644), file
    for name in ("banter", "banterd"):
        run = subprocess.run([folder / "opt/banter/bin" / name, "--version"], capture_output=True, text=True,
                             timeout=harness.LIMIT)
        assert re.fullmatch(rf"{name} \d+\.\d+\.\d+\n.*", run.stdout, re.S), run
    (folder / "opt/banter/bin/other").touch()
    make("uninstall", *where)
    assert files_under(folder) == ["opt/banter/bin/other"]
    assert list((folder / "opt/banter").iterdir()) == [folder / "opt/banter/bin"]
    make("uninstall", *where)


def test_uninstall_removes_the_folders_that_install_has_made(folder):
    """And no others, however often it was installed."""
    (folder / "a b/usr/share/man/man8").mkdir(parents=True)
    (folder / "a b/usr/bin").mkdir()
    before = sorted(folder.rglob("*"))
    where = [f"DESTDIR={folder}/a b", "PREFIX=/usr"]
    make("install", *where)
    make("install", *where)
    make("uninstall", *where)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("goal", ["install", "uninstall"])
@pytest.mark.parametrize("place, why", [
    ("PREFIX=usr", "it must begin with /"),
    ("PREFIX=", "it must begin with /"),
    ("PREFIX=~/.local", "it must begin with /; write $HOME in the place of ~"),
    ("MANDIR=man", "it must begin with /"),
])
def test_relative_folders_are_refused(folder, goal, place, why):
    assert f"{place}: {why}." in make(goal, f"DESTDIR={folder}/x", place, status=2).stderr
    assert not (folder / "x").exists()


def test_install_keeps_the_flags_of_the_build(folder):
    """Which root's make is not given again."""
    flags = folder / "one/flags"
    make("DEPS=no", str(flags), "CFLAGS=-O1 -DX='$$x #y'", "LTO=no", "WERROR=1", build=f"{folder}/one")
    kept = flags.read_text()
    assert "-DX='$x #y'" in kept
    make("-o", "install", str(flags), "install", build=f"{folder}/one")
    assert flags.read_text() == kept
    given = make("-n", "V=1", "DEPS=no", f"{folder}/one/banter", "install", "CFLAGS=-O3", build=f"{folder}/one").stdout
    assert "-O3" in given and "-O1" not in given and "-flto" not in given


@pytest.mark.parametrize("build", ["a b", "", "a:b", "it's", "%"])
def test_build_folders_that_make_can_not_have(build):
    assert f"BUILD={build}: make can't work with this name of a folder" in make("help", build=build, status=2).stderr


def test_install_into_folders_of_ones_choice(folder):
    make("install", f"DESTDIR={folder}/a b", "BINDIR=/b", "SBINDIR=/s", "LIBDIR=/l", "MANDIR=/m", "INCLUDEDIR=/i", "PKGCONFIGDIR=/p",
         "DOCDIR=/d", "BASHCOMPLETIONDIR=/c", "FISHCOMPLETIONDIR=/f", "ZSHCOMPLETIONDIR=/z")
    assert files_under(folder / "a b") == ["b/banter", *("c/" + name for name in COMPLETIONS),
                                           *("d/" + document for document in DOCUMENTS),
                                           *("f/" + name for name in FISH_COMPLETIONS), "i/banter/handler.h",
                                           "l/banter/banter-tls.so", "l/banter/banterd-nats.so", "l/banter/banterd-tls.so", *("m/" + page for page in PAGES), "p/banter.pc", "s/banterd", "z/_banter"]
    assert "includedir=/i\n" in (folder / "a b/p/banter.pc").read_text()


def test_run_without_input(programs):
    run = make("run", build=programs)
    assert (run.stdout, run.stderr) == ("", "")
    wait_for_log(programs, "Server stopped after 1 clients, 0 requests")


def test_run_with_a_script(programs):
    run = make("-s", "run", build=programs, input="Zack\n")
    assert (run.stdout, run.stderr) == ("Hello ZACK\n", "")
    wait_for_log(programs, "Server stopped after 1 clients, 1 requests")


def terminal(programs):
    child = pexpect.spawn("make", ["-s", "-C", str(TOP), "-o", "all", f"BUILD={programs}", "run"], env=environment(),
                          encoding="utf-8", timeout=harness.LIMIT)
    child.expect("-> ")
    child.send("Zack\r")
    child.expect("Hello ZACK")
    child.expect("-> ")
    return child


def test_run_at_a_terminal(programs):
    child = terminal(programs)
    child.send("quit\r")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0
    wait_for_log(programs, "Server stopped after 1 clients, 1 requests")


def test_run_ends_the_server_when_the_terminal_goes_away(programs):
    child = terminal(programs)
    child.close(force=True)
    wait_for_log(programs, "Server stopped after 1 clients, 1 requests")


def test_run_ends_the_server_when_the_client_is_killed(programs, folder, bench):
    client = folder / "client"
    client.write_text("#!/bin/sh\nkill -KILL $$\n")
    client.chmod(0o755)
    (programs / "banter").unlink()
    (programs / "banter").symlink_to(client)
    run = bench.run([TOP / "tests/tools/run-pair", programs])
    assert run.status == -signal.SIGKILL
    wait_for_log(programs, "Server stopped after 0 clients, 0 requests")


def test_run_tells_why_the_server_did_not_start(programs, folder):
    server = folder / "server"
    server.write_text("#!/bin/sh\necho 'Bind failed. Error : No' >&2\nexit 1\n")
    server.chmod(0o755)
    (programs / "banterd").unlink()
    (programs / "banterd").symlink_to(server)
    run = make("run", build=programs, status=2)
    assert "The server did not start:\nBind failed. Error : No\n" in run.stderr


def test_deps_are_there_and_nothing_is_said():
    run = make("deps", "DEPS=no", f"PYTHON={sys.executable}")
    assert (run.stdout, run.stderr) == ("", "")


def test_deps_tells_what_to_type():
    run = make("deps", "DEPS=no", "PYTHON=/nowhere/python3", status=2)
    assert re.search(r"with:  apt-get install .*\bpython3-pexpect\b", run.stderr)
    assert "gcc" not in run.stderr


def test_other_flags_make_other_objects(folder):
    """And the same flags none."""
    one = f"{folder}/one/obj/common/error.o"

    def compiled(*arguments):
        return "error.o" in make("DEPS=no", one, *arguments, build=f"{folder}/one").stdout

    assert [compiled(), compiled(), compiled("CFLAGS=-O1 -DX='a b'"), compiled("CFLAGS=-O1 -DX='a b'"),
            compiled("LDFLAGS=-L/nowhere")] == [True, False, True, False, True]


@pytest.mark.parametrize("arguments, program, optimised", [
    ([], "banterd", True),
    ([], "banter", True),
    ([], "tests/banterd-test", True),
    ([], "tests/test_server", False),
    ([], "bench/load", False),
    (["LTO=no"], "banterd", False),
    (["SANITIZE=address"], "banterd", False),
])
def test_link_time_optimisation_is_for_the_programs(folder, arguments, program, optimised):
    """All of a program's objects have it, and its link; or none has. Modules never have it."""
    commands = make("-n", "V=1", "DEPS=no", f"{folder}/one/{program}", *arguments, build=f"{folder}/one").stdout
    compilers = [line for line in commands.splitlines() if " -o " in line and "/pic/" not in line and ".so" not in line]
    assert len(compilers) > 3
    assert {"-flto=auto" in line for line in compilers} == {optimised}


@pytest.mark.parametrize("program", ["banterd", "banter"])
def test_programs_are_hardened(program):
    """As far as the linker shows it: at any address, nothing of the tables writable; and both kinds of checks."""
    def readelf(*options):
        return subprocess.run(["readelf", "-W", *options, BUILD / program], capture_output=True, text=True, check=True,
                              timeout=harness.LIMIT).stdout

    assert re.search(r"Type: +DYN", readelf("-h"))
    assert "GNU_RELRO" in readelf("-l")
    assert re.search(r"FLAGS_1.*\bNOW\b.*\bPIE\b", readelf("-d"))
    symbols = readelf("-s")
    assert "__stack_chk_fail@" in symbols
    assert re.search(r"__\w+_chk@", symbols)


@pytest.mark.parametrize("arguments, is_checked", [
    ([], True),
    (["CFLAGS=-O1"], True),
    (["CFLAGS=-O0"], False),
    (["CFLAGS=-g"], False),
    (["SANITIZE=address"], False),
    (["CPPFLAGS=-Wdate-time -D_FORTIFY_SOURCE=1"], False),
])
def test_library_checks_are_for_compilers_that_optimise(folder, arguments, is_checked):
    """And a level that was given is left alone."""
    command = make("-n", "V=1", "DEPS=no", f"{folder}/one/obj/common/error.o", *arguments, build=f"{folder}/one").stdout
    assert ("-D_FORTIFY_SOURCE=2" in command) == is_checked
    assert "-fstack-protector-strong" in command


def test_sanitizer_builds_have_folders_of_their_own():
    for arguments, folder in ((("SANITIZE=thread",), "build/thread"), ((), "build"),
                              (("SANITIZE=thread", "BUILD=x"), "x")):
        run = subprocess.run(["make", "-C", TOP, *arguments, "help"], env=environment(), capture_output=True,
                             text=True, timeout=harness.LIMIT)
        assert f" BUILD={folder} " in run.stdout
    assert "address, thread or fuzz" in make("SANITIZE=magic", "help", status=2).stderr


def check_unit(folder, **programs):
    """tests/tools/check with unit tests that are scripts: what it prints last, and its exit status."""
    tests = folder / "tests"
    tests.mkdir(exist_ok=True)
    for name, script in programs.items():
        (tests / f"test_{name}").write_text("#!/bin/sh\n" + script)
        (tests / f"test_{name}").chmod(0o755)
    unit = " ".join(str(tests / f"test_{name}") for name in programs)
    run = subprocess.run([TOP / "tests/tools/check", "unit"],
                         env=dict(environment(), BUILD=str(folder), JOBS="2", UNIT=unit),
                         capture_output=True, text=True, timeout=harness.LIMIT)
    return run.stdout, run.stdout.splitlines()[-1], run.returncode


GOOD = "echo 1..2; echo ok 1 - a; echo ok 2 - b"


def test_count_of_passing_tests(folder):
    assert check_unit(folder, one=GOOD, two=GOOD)[1:] == ("4 passed, 0 failed", 0)


def test_count_of_a_failing_test_shows_its_output(folder):
    text, *result = check_unit(folder, one=GOOD, two="echo 1..2; echo ok 1 - a; echo not ok 2 - b; echo why; exit 1")
    assert result == ["3 passed, 1 failed", 1] and "\n    why\n" in text


def test_count_of_skipped_tests(folder):
    assert check_unit(folder, one="echo 1..2; echo ok 1 - a; echo 'not ok 2 # SKIP b'")[1:] == \
        ("1 passed, 0 failed, 1 skipped", 0)


@pytest.mark.parametrize("script", [
    "echo 1..2; echo ok 1 - a; kill -SEGV $$",
    "echo 1..2; echo ok 1 - a",
    "echo 1..1; echo ok 1 - a; exit 3",
])
def test_a_broken_test_program_is_a_failure(folder, script):
    assert check_unit(folder, one=script)[1:] == ("1 passed, 1 failed", 1)


def test_a_test_program_without_tests_is_a_failure(folder):
    assert check_unit(folder, one="exit 0")[1:] == ("0 passed, 1 failed", 1)


def test_a_program_that_is_no_test_any_more_is_not_run(folder):
    (folder / "tests").mkdir()
    (folder / "tests/test_old").write_text("#!/bin/sh\necho 1..1; echo not ok 1")
    (folder / "tests/test_old").chmod(0o755)
    assert check_unit(folder, one=GOOD)[1:] == ("2 passed, 0 failed", 0)


def test_no_test_at_all_is_a_failure(folder):
    assert check_unit(folder)[1:] == ("0 passed, 0 failed", 1)


ROOMS = TOP / "tests/tools/rooms"
TREE = {
    "server/README.md": """# the server

```rooms
main           .. the process
engine/loop engine/job
log/*
config  include/banter/handler
```
""",
    "server/main.c": '#include "server/engine/loop.h"\n#include "server/config.h"\n',
    "server/engine/loop.c": '#include "server/engine/loop.h"\n\n#include "server/log/log.h"\n#include <stdio.h>\n',
    "server/engine/loop.h": "#include <banter/handler.h>\n",
    "server/engine/job.h": '#include "common/error.h"\n',
    "server/log/log.c": '#include "log.h"\n',
    "server/log/log.h": "",
    "server/config.h": "",
    "server/include/banter/handler.h": "",
    "client/README.md": "```rooms\nterminal/ | batch/\nterminal/prompt\nbatch/batch\nmain\n```\n",
    "client/terminal/prompt.c": '#include "client/main.h"\n',
    "client/batch/batch.c": "",
    "client/main.h": "",
    "common/error.c": '#include "common/error.h"\n',
    "common/error.h": "",
    "tests/all.c": '#include "server/main.c"\n#include "client/main.h"\n',
}


def rooms(folder, **changes):
    """What tests/tools/rooms finds in that tree, with some files changed, or left out."""
    for name, text in {**TREE, **changes}.items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    run = subprocess.run([sys.executable, ROOMS, folder], capture_output=True, text=True, timeout=harness.LIMIT)
    assert run.returncode == (1 if run.stderr else 0), run
    return run.stderr.splitlines()


def test_rooms_that_are_kept(folder):
    assert rooms(folder) == []


@pytest.mark.parametrize("changes, found", [
    ({"server/log/log.h": '/* */\n# include "server/engine/loop.h"\n'},
     "server/log/log.h:2: log/log includes engine/loop, which is above it"),
    ({"server/engine/loop.h": '#include "job.h"\n'},
     "server/engine/loop.h:1: engine/loop includes engine/job, which is beside it"),
    ({"server/log/text.h": '#include "server/log/log.h"\n'},
     "server/log/text.h:1: log/text includes log/log, which is beside it"),
    ({"server/include/banter/handler.h": '#include "server/config.h"\n'},
     "server/include/banter/handler.h:1: include/banter/handler includes config, which is beside it"),
    ({"server/engine/new.c": ""}, "server/engine/new.c: it is in no room of server/README.md"),
    ({"server/engine/job.h": None}, "server/README.md:5: engine/job: there is no such file"),
    ({"client/README.md": "```rooms\nterminal/prompt batch/batch main\nmain\n```"},
     "client/README.md:3: main: it is in line 2, too"),
    ({"client/terminal/prompt.c": '#include "client/batch/batch.c"\n'},
     "client/terminal/prompt.c:1: terminal/prompt includes batch/batch: terminal/ and batch/ never include each other"),
    ({"client/README.md": "```\nmain\n```\n"}, "client/README.md: it has no block of rooms"),
    ({"server/README.md": None}, "server/README.md: it has no block of rooms"),
    ({"client/main.h": '#include "server/config.h"\n'}, "client/main.h:1: client/ includes nothing of server/"),
    ({"server/config.h": '#include "client/main.h"\n'}, "server/config.h:1: server/ includes nothing of client/"),
    ({"server/config.h": '#include "tests/all.c"\n'}, "server/config.h:1: server/ includes nothing of tests/"),
    ({"common/error.h": '#include "server/config.h"\n'}, "common/error.h:1: common/ includes nothing of server/"),
])
def test_rooms_that_are_not_kept(folder, changes, found):
    assert rooms(folder, **changes) == [found]
