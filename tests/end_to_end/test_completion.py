"""common/completion.bash in a real bash at a terminal: what is typed up to a TAB, and what it
becomes.

Each test runs without the package bash-completion, and with it and the completion where an
installation puts it. readline's insert-completions (Alt-*) shows all that is offered: it puts all
of it into the line.
"""
import re
import shutil

import pytest

import harness
from screen import Screen
from test_man_pages import options_of_help

pytestmark = pytest.mark.no_sanitizer

PACKAGE = "/usr/share/bash-completion/bash_completion"
COLUMNS, ROWS = 800, 4  # a line with all options must not wrap; nothing else is on the screen


class Shell(Screen):
    """A bash with the programs in PATH. `settings` is what the user has in .bashrc."""

    def __init__(self, bench, *, with_package, settings="", **env):
        path = f"{harness.BUILD}:/usr/bin:/bin:{bench.folder}"
        environment = bench.environment(PATH=path, TERM="xterm", HISTFILE="", HOSTFILE=bench.folder / "hosts", **env)
        (bench.folder / "hosts").write_text("127.0.0.1 tower\n")
        completion = harness.TOP / "common/completion.bash"
        start = bench.folder / "bashrc"
        if with_package:  # it looks here for files named as the programs
            installed = bench.folder / "data/bash-completion/completions"
            installed.mkdir(parents=True)
            for program in ("banter", "banterd"):
                shutil.copy(completion, installed / program)
            environment["XDG_DATA_HOME"] = str(bench.folder / "data")
            completion = PACKAGE
        start.write_text(f"PS1='$ '\nbind 'set enable-bracketed-paste off'\nsource {completion}\n{settings}\n")
        super().__init__(["bash", "--noprofile", "--rcfile", start, "-i"], environment, bench.folder, COLUMNS,
                         ROWS)
        self.wait_lines("$")

    def after(self, typed, keys, back=0):
        """The line when the keys have been pressed behind what was typed, the cursor so many columns back from its
        end. A bar marks where the cursor is then. Whatever is said besides is a failure."""
        self.type(typed + "\002" * back + keys + "|")
        self.wait(lambda: "|" in self.line, f"the line with {typed!r}")
        line = self.line
        assert len(self.lines) == 1
        self.type("\025\013\f")  # away with the line, from its beginning to its end, and the screen
        self.wait_lines("$")
        return line

    @property
    def line(self):
        return self.lines[-1][2:] if self.lines else ""

    def tab(self, typed, back=0):
        return self.after(typed, "\t", back)

    def offers(self, typed):
        """The set of all that is offered for the last word."""
        line = self.after(typed, "\033*").removesuffix("|")
        assert line.startswith(typed[:typed.rindex(" ")]), line
        return set(line[typed.rindex(" "):].split())


@pytest.fixture(params=["alone", "package"])
def shell(bench, request):
    shells = []

    def start(**how):
        shells.append(Shell(bench, with_package=request.param == "package", **how))
        return shells[-1]
    yield start
    for one in shells:
        one.close()


@pytest.fixture
def bash(shell):
    return shell()


def help_of(bench, program):
    return bench.run([harness.BUILD / program, "--help"]).stdout.decode()


@pytest.mark.parametrize("program", ["banter", "banterd"])
def test_offers_the_options_of_help(bench, bash, program):
    options = {"--" + name for name in options_of_help(help_of(bench, program))}
    assert len(options) > 5
    separator = {"--"} if program == "banterd" else set()
    assert bash.offers(f"{program} --") == options | separator
    assert bash.offers(f"{program} ") == options | separator
    for option in options:
        assert bash.tab(f"{program} {option}").startswith(f"{program} {option}")


# What an argument's name stands for; "" is for those that are numbers and durations.
KINDS = {"ADDRESS": "127.0.0.1:8000", "CODEC": "line", "WHEN": "auto", "NAME": "hello", "FILE": "file.txt",
         "END": "waits", "WHERE": "reply", "T": "", "N": "", "BYTES": "", "TEXT": ""}


@pytest.mark.parametrize("program", ["banter", "banterd"])
def test_knows_each_kind_of_argument(bench, bash, program):
    (bench.folder / "file.txt").touch()
    taken = re.findall(r"^ +(?:-\w, )? *--([a-z-]+)(?: |\[=)([A-Z]+)\b", help_of(bench, program), re.M)
    assert len(taken) > 3
    for option, kind in taken:
        example = KINDS[kind]
        offered = bash.offers(f"{program} --{option}=")
        assert (f"--{option}={example}" in offered or example in offered) if example else offered == {f"--{option}="}


@pytest.mark.parametrize("program, option", [("banter", "--framing"), ("banter", "--color"),
                                             ("banterd", "--reply-end"), ("banterd", "--stderr")])
def test_offers_the_values_that_are_taken(bench, bash, program, option):
    """What the program itself says that it takes; TEXT is for the user to write."""
    refused = bench.run([harness.BUILD / program, option, "none-such"])
    taken = re.search(r"it can be (.*);", refused.stderr.decode())[1].replace("TEXT", "")
    assert bash.offers(f"{program} {option} ") == set(re.split(r", | or ", taken))


COMPLETED = {
    "banter --fram": "banter --framing |",
    "banter --framing net": "banter --framing netstring |",
    "banter --framing=net": "banter --framing=netstring |",
    "banter -f net": "banter -f netstring |",
    "banter -fnet": "banter -fnetstring |",
    "banter -qf r": "banter -qf raw |",
    "banter -qfr": "banter -qfraw |",
    "banter --fr r": "banter --fr raw |",
    "banter -q": "banter -q |",
    "banter --none-such r": "banter --none-such r|",
    "banter --timeout 5 --lit": "banter --timeout 5 --literal |",
    "banter -c other:8000 --color al": "banter -c other:8000 --color always |",
    "banter -c 127": "banter -c 127.0.0.1:8000 |",
    "banter -c 127.0.0.1:8": "banter -c 127.0.0.1:8000 |",
    "banter -c to": "banter -c tower:8000 |",
    "banter -cto": "banter -ctower:8000 |",
    "banter --connect=un": "banter --connect=unix:|",
    "banter -c unix:so": "banter -c unix:socket |",
    "banter -cunix:so": "banter -cunix:socket |",
    "banter --connect=unix:fold": "banter --connect=unix:folder/|",
    "banter -c unix:a\\ s": "banter -c unix:a\\ space |",
    "banter -c 'unix:a s": "banter -c 'unix:a space' |",
    "banter message --fram": "banter message --fram|",
    "banter -- --fram": "banter -- --fram|",
    "banter -- prog": "banter -- prog|",
    "banter $PRIVATE_VARI": "banter $PRIVATE_VARIABLE |",
    "banter 'ü ö' --fram": "banter 'ü ö' --fram|",
    "X='ü ö' banter --fram": "X='ü ö' banter --framing |",
    "true; banter --fram": "true; banter --framing |",
    "banterd --handler pl": "banterd --handler plugin:|",
    "banterd --handler plugin:so": "banterd --handler plugin:socket |",
    "banterd -H e": "banterd -H echo |",
    "banterd --listen :80": "banterd --listen :80|",
    "banterd -m 5k -w 3 --worker-per-c": "banterd -m 5k -w 3 --worker-per-client |",
    "banterd -- progr": "banterd -- program-of-mine |",
    "banterd -- ./progr": "banterd -- ./program-of-mine |",
    "banterd -f raw -- program-of-mine so": "banterd -f raw -- program-of-mine socket |",
    "banterd -- program-of-mine --framing=r": "banterd -- program-of-mine --framing=r|",
    "banterd progr": "banterd progr|",
}


@pytest.mark.slow
def test_completes(shell, folder):
    program = folder / "program-of-mine"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (folder / "socket").touch()
    (folder / "a space").touch()
    (folder / "folder").mkdir()
    bash = shell(PRIVATE_VARIABLE="set")
    assert {typed: bash.tab(typed) for typed in COMPLETED} == COMPLETED


def test_completes_in_the_middle_of_a_line(bash):
    assert bash.tab("banter --fram raw --literal", back=14) == "banter --framing| raw --literal"
    assert bash.tab("banter --framing raw", back=7) == "banter --framing|ing raw"


def test_offers_the_address_of_the_environment(shell):
    assert shell(BANTER_ADDRESS="elsewhere:99").offers("banter -c ") == {
        "elsewhere:99", "127.0.0.1:8000", "unix:", "tower:8000"}


def test_completes_where_colons_do_not_part_words(shell, folder):
    """As some people have it, for other programs' sake."""
    (folder / "socket").touch()
    (folder / "folder").mkdir()
    bash = shell(settings="COMP_WORDBREAKS=' '")
    for typed, completed in (("-c unix:so", "-c unix:socket |"), ("--connect=unix:so", "--connect=unix:socket |"),
                             ("--framing=r", "--framing=raw |"), ("--connect=unix:fo", "--connect=unix:folder/|"),
                             ("-c 127.0.0.1:8", "-c 127.0.0.1:8000 |")):
        assert bash.tab("banter " + typed) == "banter " + completed


def test_asks_the_program_that_is_called(bash, folder):
    """Which may be another version than the one in PATH."""
    program = folder / "bin" / "banter"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho '      --fresh-option CODEC  is new here'\n"
                       "echo '  -x, --extra[=FILE]   too'\n")
    program.chmod(0o755)
    (folder / "a file").touch()
    assert bash.tab("banter --f") == "banter --framing |"
    assert bash.tab("~/bin/banter --f") == "~/bin/banter --fresh-option |"
    assert bash.tab("bin/banter --fresh-option=l") == "bin/banter --fresh-option=line |"
    assert bash.tab("bin/banter --extra --fre") == "bin/banter --extra --fresh-option |"
    assert bash.tab("bin/banter --extra=a") == "bin/banter --extra=a\\ file |"
    assert bash.tab("bin/banter -x~/bi") == "bin/banter -x~/bin/|"
    assert bash.tab("bin/banter -x ~/bi") == "bin/banter -x ~/bi|"


def test_offers_the_handlers_of_the_table(bash, folder):
    """All that the program knows: the server under test has one more."""
    (folder / "bin").mkdir()
    (folder / "bin/banterd").symlink_to(harness.BANTERD_TEST)
    (folder / "object.so").touch()
    assert bash.offers("banterd --handler ") == {"hello", "echo", "plugin:"}
    assert bash.offers("bin/banterd --handler ") == {"hello", "echo", "plugin:", "test"}
    assert bash.tab("bin/banterd -Ht") == "bin/banterd -Htest |"
    assert bash.tab("bin/banterd --handler=plugin:o") == "bin/banterd --handler=plugin:object.so |"
    assert bash.tab("bin/banterd --handler echo:o") == "bin/banterd --handler echo:o|"


def test_is_quiet_where_the_program_cannot_be_asked(shell):
    bash = shell(settings="PATH=/nowhere")
    assert bash.tab("banter --f") == "banter --f|"
    assert bash.tab("/nowhere/banter -x --f") == "/nowhere/banter -x --f|"


def test_a_program_behind_the_dashes_has_its_own_completion(shell, request):
    """For which the package is needed."""
    bash = shell(settings="complete -W 'apple pear' program-of-mine")
    pear = "pear |" if request.node.callspec.params["shell"] == "package" else "pe|"
    assert bash.tab("banterd -w 2 -- program-of-mine x pe") == "banterd -w 2 -- program-of-mine x " + pear
