"""The man pages against the programs: what is offered is described, and what is described is offered."""
import re
import subprocess

import pytest

import harness

MAN = harness.TOP / "man"
PAGES = sorted(page.name for page in MAN.glob("*.[1-8]"))
PROGRAMS = {"banter": "banter.1", "banterd": "banterd.8"}


@pytest.fixture(params=PROGRAMS)
def program(request):
    return request.param


def page_of(program):
    return (MAN / PROGRAMS[program]).read_text()


@pytest.fixture
def shown(bench, program):
    """What --help prints."""
    run = bench.run([harness.BUILD / program, "--help"])
    assert (run.status, run.stderr) == (0, b"")
    return run.stdout.decode()


def rendered(page):
    """As it is read at a terminal."""
    run = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=80", MAN / page], capture_output=True,
                         timeout=harness.LIMIT)
    assert run.returncode == 0
    return re.sub(".\b", "", run.stdout.decode())


def section(page, name):
    """The lines of one section of a page's source."""
    found = re.search(rf'^\.S[hs] "?{name}"?\n(.*?)(?=^\.S[hs] |\Z)', page, re.M | re.S)
    assert found, f"there is no section {name}"
    return found[1]


def options_of_help(text):
    """{long name: (letter or None, whether it takes an argument)}"""
    options = re.findall(r"^ +(?:-(\w), )? *--([a-z-]+)(\[?[= ][\[A-Z]\S*)?(?=\s|$)", text, re.M)
    return {name: (letter or None, bool(argument)) for letter, name, argument in options}


def options_of_page(page):
    options = {}
    for item in re.findall(r"^\.It (Fl .*)", page, re.M):
        letter = re.match(r"Fl (\w)\b", item)
        name = re.search(r"Fl -([a-z-]+)", item)
        assert name, f"an option without a long form: {item}"
        options[name[1]] = (letter and letter[1], " Ar " in item)
    return options


def test_help_and_page_name_the_same_options(program, shown):
    offered = options_of_help(shown)
    assert {"help", "version", "quiet"} <= set(offered)
    assert options_of_page(page_of(program)) == offered


def test_synopsis_names_every_option(program, shown):
    synopsis = section(page_of(program), "SYNOPSIS")
    flags = "".join(re.findall(r"^\.Op Fl (\w+)$", synopsis, re.M))
    named = set(flags) | set(re.findall(r"^\.Op Fl (\w|-[a-z-]+)\b", synopsis, re.M))
    for name, (letter, _) in options_of_help(shown).items():
        assert {letter, "-" + name} & named, f"--{name} is missing"


# How a page says what --help shows as the default.
IN_WORDS = {"0": "never", "none": "never", "5s": "5 seconds", "10s": "10 seconds", "30s": "30 seconds",
            "one a core": "processor cores", "for ever": "for ever"}


def test_defaults_are_the_same(program, shown):
    """Each default that --help tells stands in the page's text about the option."""
    page = page_of(program)
    checked = 0
    for option in re.split(r"\n +(?:-\w, )? *--", shown.split("\n\n")[1])[1:]:
        name = re.match(r"[a-z-]+", option)[0]
        default = re.search(r"\(default:\s+([^)]+)\)", option)
        item = re.search(rf"^\.It [^\n]*Fl -{name}\b(.*?)(?=^\.It Fl |^\.S[hs] )", page, re.M | re.S)
        for value in re.split(r",\s+else\s+", default[1]) if default else ():
            value = " ".join(value.split()).lstrip("$")
            text = item[1][item[1].index("default"):]
            assert IN_WORDS.get(value, value) in " ".join(text.split()), f"--{name} has the default {value}"
            checked += 1
    assert checked >= 5


def statuses_of_page(page):
    return {int(number) for number in re.findall(r"^\.It (\d+)$", section(page, "EXIT STATUS"), re.M)}


def test_page_names_each_exit_status():
    table = (harness.TOP / "client/exit_status.h").read_text()
    numbers = {int(number) for number in re.findall(r"^ *X\(\w+, (\d+),", table, re.M)}
    assert len(numbers) > 5 and statuses_of_page(page_of("banter")) == numbers
    assert statuses_of_page(page_of("banterd")) == {0, 1, 2, 64}


def test_help_of_the_client_names_each_exit_status(run_banter):
    text = run_banter("--help").stdout.decode()
    for number in statuses_of_page(page_of("banter")):
        assert re.search(rf"^ +{number}\b", text, re.M), number


def test_page_names_every_line_of_the_log():
    """As the page is read, so that mdoc's own spelling does not matter."""
    wordings = re.findall(r"\[LOG_\w+\]\s*=\s*\{LOG_\w+,\s*\w+,\s*\"([^\"]+)\"",
                          (harness.TOP / "server/log/log_text.c").read_text())
    assert len(wordings) > 20
    log = rendered("banterd.8").split("\n   LOG\n")[1].split("\nUNDER LOAD\n")[0]
    entries = [line.strip() for line in log.splitlines()]
    for wording in wordings:
        assert any(entry.startswith(wording.strip()) for entry in entries), wording


def test_protocol_page_names_every_code_in_a_list_and_in_an_example():
    header = (harness.TOP / "common/protocol.h").read_text()
    codes = re.findall(r'^#define PROTOCOL_\w+[\s\\]+"([a-z][a-z0-9-]+)"', header, re.M)
    page = (MAN / "banter-protocol.7").read_text()
    assert len(codes) > 10
    listed = section(page, "Error replies") + section(page, "Unasked frames")
    for code in codes:
        assert f".It Cm {code}\n" in listed, code
        assert f"-ERR {code}" in section(page, "EXAMPLES"), code


@pytest.mark.parametrize("page", PAGES)
def test_page_has_no_lint(page):
    run = subprocess.run(["mandoc", "-T", "lint", "-W", "style", MAN / page], capture_output=True, text=True,
                         timeout=harness.LIMIT)
    # The system's own index of pages is no matter of this page.
    found = [line for line in (run.stdout + run.stderr).splitlines()
             if "referenced manual not found" not in line and "mandoc.db" not in line]
    assert not found


@pytest.mark.parametrize("page", PAGES)
def test_page_fits_a_terminal(page):
    text = rendered(page)
    assert text.count("\n") > 50
    assert [line for line in text.splitlines() if len(line) > 80] == []
