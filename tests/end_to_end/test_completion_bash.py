"""common/completion.bash in a real bash at a terminal: what is typed up to a TAB, and what it
becomes.

Each test runs without the package bash-completion, and with it and the completion where an
installation puts it. readline's insert-completions (Alt-*) shows all that is offered: it puts all
of it into the line. What holds for all shells is in test_completion.py.
"""
import pytest

import harness
from shells import Bash

pytestmark = pytest.mark.no_sanitizer


@pytest.fixture(params=["alone", "package"])
def shell(bench, request):
    shells = []

    def start(**how):
        shells.append(Bash(bench, with_package=request.param == "package", **how))
        return shells[-1]
    yield start
    for one in shells:
        one.close()


@pytest.fixture
def bash(shell):
    return shell()


@pytest.mark.parametrize("program", ["banter", "banterd"])
def test_knows_each_option_whole(bash, program):
    options = bash.offers(f"{program} ")
    assert options == bash.offers(f"{program} --") and ("--" in options) == (program == "banterd")
    for option in options - {"--"}:
        assert bash.tab(f"{program} {option}").startswith(f"{program} {option}")


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
    "banter -c tls:12": "banter -c tls:127.0.0.1:8000 |",
    "banter -c tl": "banter -c tls:|",
    "banter -c tls:unix:so": "banter -c tls:unix:socket |",
    "banter --connect=tls:unix:fold": "banter --connect=tls:unix:folder/|",
    "banterd --cert so": "banterd --cert socket |",
    "banterd --client-ca fold": "banterd --client-ca folder/|",
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
    "banterd @so": "banterd @socket |",
    "banterd -q @fold": "banterd -q @folder/|",
    "banterd @socket --worker-per-c": "banterd @socket --worker-per-client |",
    "banterd @socket -- progr": "banterd @socket -- program-of-mine |",
    "banter message @so": "banter message @so|",
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
        "elsewhere:99", "127.0.0.1:8000", "unix:", "tls:", "tower:8000"}


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
    assert bash.offers("banterd --handler ") == {"hello", "echo", "plugin:", "nats:"}
    assert bash.offers("bin/banterd --handler ") == {"hello", "echo", "plugin:", "nats:", "test"}
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
