"""common/completion.bash, .zsh and .fish in their shells: all options of --help, and what their arguments can be.

What only bash does is in test_completion_bash.py.
"""
import re

import pytest

import harness
from screen import Screen
from shells import Bash, Fish, Zsh
from test_man_pages import options_of_help

pytestmark = pytest.mark.no_sanitizer

SHELLS = {
    "bash": lambda bench, **env: Bash(bench, with_package=False, **env),
    "bash-completion": lambda bench, **env: Bash(bench, with_package=True, **env),
    "zsh": Zsh,
    "fish": Fish,
}


@pytest.fixture
def start_shell(bench, request):
    shells = []

    def start(name, **env):
        shells.append(SHELLS[name](bench, **env))
        return shells[-1]
    yield start
    for shell in shells:
        if isinstance(shell, Screen):
            shell.close()


@pytest.fixture(params=SHELLS)
def shell(start_shell, request):
    return start_shell(request.param)


def help_of(bench, program):
    return bench.run([harness.BUILD / program, "--help"]).stdout.decode()


@pytest.mark.parametrize("program", ["banter", "banterd"])
def test_offers_the_options_of_help(bench, shell, program):
    options = {"--" + name for name in options_of_help(help_of(bench, program))}
    assert len(options) > 5
    # fish also offers "--wait=", since its argument may be left out.
    assert {word.removesuffix("=") for word in shell.offers(f"{program} --")} - {"--"} == options


# What an argument's name stands for; "" is for those that are numbers and durations.
KINDS = {"ADDRESS": "127.0.0.1:8000", "CASE": "lost", "CODEC": "line", "WHEN": "auto", "NAME": "hello",
         "FILE": "file.txt", "END": "waits", "WHERE": "reply", "FORM": "json", "WHO": "user:", "MODE": "660",
         "GROUP": "root", "POLICY": "lost", "WORD": "", "T": "", "N": "", "BYTES": "", "TEXT": "", "HOST": "", "PIN": ""}


@pytest.mark.slow
@pytest.mark.timeout(3 * harness.TEST_LIMIT)
@pytest.mark.parametrize("program", ["banter", "banterd"])
def test_knows_each_kind_of_argument(bench, shell, program):
    (bench.folder / "file.txt").touch()
    taken = re.findall(r"^ +(?:-\w, )? *--([a-z-]+)(?: |\[=)([A-Z]+)\b", help_of(bench, program), re.M)
    assert len(taken) > 3
    for option, kind in taken:
        assert kind in KINDS, f"--{option}: neither the completions nor this test know what {kind} stands for"
        example = KINDS[kind]
        offered = shell.offers(f"{program} --{option}=")
        assert (f"--{option}={example}" in offered or example in offered) if example else offered <= {f"--{option}="}


@pytest.mark.parametrize("program, option", [("banter", "--framing"), ("banter", "--color"), ("banter", "--again"),
                                             ("banterd", "--reply-end"), ("banterd", "--stderr"), ("banterd", "--log")])
def test_offers_the_values_that_are_taken(bench, shell, program, option):
    """What the program itself says that it takes; TEXT is for the user to write."""
    refused = bench.run([harness.BUILD / program, option, "none-such"])
    taken = re.search(r"it can be (.*);", refused.stderr.decode())[1].replace("TEXT", "")
    assert shell.offers(f"{program} {option} ") == set(re.split(r", | or ", taken))


OFFERED = {
    "banter --fram": {"--framing"},
    "banter -q --lit": {"--literal"},
    "banter --framing net": {"netstring"},
    "banter --framing=net": {"--framing=netstring"},
    "banter -f net": {"netstring"},
    "banter -fnet": {"-fnetstring"},
    "banter -qf r": {"raw"},
    "banter --timeout 5 --lit": {"--literal"},
    "banter --wait --lit": {"--literal"},
    "banter -c other:8000 --color al": {"always"},
    "banter -c 127.0.0.1:8": {"127.0.0.1:8000"},
    "banter -c un": {"unix:"},
    "banter --connect=un": {"--connect=unix:"},
    "banter -c unix:so": {"unix:socket"},
    "banter -cunix:so": {"-cunix:socket"},
    "banter --connect=unix:fold": {"--connect=unix:folder"},
    "banter -c tl": {"tls:"},
    "banter -c tls:127": {"tls:127.0.0.1:8000"},
    "banter -ctls:un": {"-ctls:unix:"},
    "banter --connect=tls:unix:so": {"--connect=tls:unix:socket"},
    "banter -c tls:tl": set(),
    "banter --ca so": {"socket"},
    "banter --cert=fold": {"--cert=folder"},
    "banter --key so": {"socket"},
    "banter --history so": {"socket"},
    "banter --history=so": {"--history=socket"},
    "banter message --fram": set(),
    "banter -- --fram": set(),
    "banterd --handler pl": {"plugin:"},
    "banterd --handler plugin:so": {"plugin:socket"},
    "banterd -H e": {"echo"},
    "banterd -H na": {"nats:"},
    "banterd --run-again l": {"lost"},
    "banterd --nats-login so": {"socket"},
    "banterd --nats-group e": set(),
    "banterd --reply-end l": {"line:"},
    "banterd -l tls:unix:fold": {"tls:unix:folder"},
    "banterd --cert so": {"socket"},
    "banterd --key=so": {"--key=socket"},
    "banterd --client-ca fold": {"folder"},
    "banterd --crl so": {"socket"},
    "banterd --allow us": {"user:"},
    "banterd --deny @so": {"@socket"},
    "banterd -m 5k -w 3 --worker-per-c": {"--worker-per-client"},
    "banterd -- program-of": {"program-of-mine"},
    "banterd -f raw -- program-of-mine so": {"socket"},
    "banterd program-of": set(),
    "banterd @so": {"@socket"},
    "banterd -q @so": {"@socket"},
    "banterd @socket -m 5k @fold": {"@folder"},
    "banterd @socket --worker-per-c": {"--worker-per-client"},
    "banterd @socket -- program-of": {"program-of-mine"},
    "banter @so": set(),
}


@pytest.mark.slow
@pytest.mark.timeout(3 * harness.TEST_LIMIT)
@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_offers(start_shell, folder, name):
    program = folder / "program-of-mine"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (folder / "socket").touch()
    (folder / "folder").mkdir()
    shell = start_shell(name)
    assert {typed: shell.offers(typed) for typed in OFFERED} == OFFERED


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_offers_the_address_of_the_environment(start_shell, name):
    assert start_shell(name, BANTER_ADDRESS="elsewhere:99").offers("banter -c else") == {"elsewhere:99"}


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_offers_an_address_with_tls_once(start_shell, name):
    assert start_shell(name, BANTER_ADDRESS="tls:elsewhere:99").offers("banter -c tls:else") == {"tls:elsewhere:99"}


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_is_quiet_where_the_program_cannot_be_asked(start_shell, name):
    assert start_shell(name, PATH="/usr/bin:/bin").offers("banter --f") == set()


def test_zsh_asks_the_program_that_is_called(start_shell, folder):
    (folder / "banter").write_text("#!/bin/sh\necho '      --fresh-option CODEC  is new here'\n")
    (folder / "banter").chmod(0o755)
    zsh = start_shell("zsh")
    assert zsh.offers("banter --f") == {"--framing"}
    assert zsh.offers("./banter --f") == {"--fresh-option"}
    assert zsh.offers("./banter --fresh-option l") == {"line"}


def test_zsh_completes_what_is_typed(start_shell):
    zsh = start_shell("zsh")
    assert zsh.tab("banter --lit") == "banter --literal"
    assert zsh.tab("banter --framing n") == "banter --framing netstring"
    assert zsh.tab("banter --conn") == "banter --connect"


def test_fish_completes_what_is_typed(start_shell, bench):
    """At a terminal, where the completions are read when they are needed first."""
    start_shell("fish")
    (bench.folder / ".config/fish/config.fish").write_text(
        "set fish_greeting\nfunction fish_prompt; echo '$ '; end\nset fish_autosuggestion_enabled 0\n")
    screen = Screen(["fish"], bench.environment(PATH=f"{harness.BUILD}:/usr/bin:/bin", TERM="xterm"), bench.folder)
    try:
        screen.wait_lines("$")
        screen.type("banter --lit\t--framing n\t|")
        screen.wait_lines("$ banter --literal --framing netstring |")
    finally:
        screen.close()
