"""The man pages, as they are read, against the programs: what is offered is described, and what is described is
offered. That the commands work which they show is for test_shown_commands.py."""
import re
import subprocess

import pytest

import harness
import pages
import shared_object

pytestmark = pytest.mark.no_sanitizer

PROGRAMS = {"banter": "banter.1", "banterd": "banterd.8"}


@pytest.fixture(params=PROGRAMS)
def program(request):
    return request.param


def page_of(program):
    return pages.rendered(PROGRAMS[program])


@pytest.fixture
def shown(bench, program):
    """What --help prints."""
    run = bench.run([harness.BUILD / program, "--help"])
    assert (run.status, run.stderr) == (0, b"")
    return run.stdout.decode()


# ---- options

def options_of_page(text):
    """{long name: (letter or None, whether it takes an argument, what is said about it)}"""
    _, *parts = re.split(r"^ {5}(?:-(\w)[^,\n]*, )?--([a-z-]+)(\[?[ =]\S+)?(?=\s|$)", text, flags=re.M)
    options = {}
    for letter, name, argument, description in zip(*[iter(parts)] * 4):
        options.setdefault(name, (letter, bool(argument), " ".join(description.split())))
    return options


def options_of_help(text):
    """{long name: (letter or None, whether it takes an argument)}"""
    options = re.findall(r"^ +(?:-(\w), )? *--([a-z-]+)(\[?[= ][\[A-Z]\S*)?(?=\s|$)", text, re.M)
    return {name: (letter or None, bool(argument)) for letter, name, argument in options}


def test_help_and_page_name_the_same_options(program, shown):
    offered = options_of_help(shown)
    assert {"help", "version", "quiet"} <= set(offered)
    described = options_of_page(page_of(program))
    assert {name: (letter, argument) for name, (letter, argument, _) in described.items()} == offered


def test_synopsis_names_every_option(program, shown):
    synopsis = pages.section(page_of(program), "SYNOPSIS")
    named = set("".join(re.findall(r"\[-(\w+)", synopsis))) | set(re.findall(r"\[--([a-z-]+)", synopsis))
    for name, (letter, _) in options_of_help(shown).items():
        assert {letter, name} & named, f"--{name} is missing"


# How a page says what --help shows as the default.
IN_WORDS = {"0": "never", "none": "never", "5s": "5 seconds", "10s": "10 seconds", "30s": "30 seconds",
            "60s": "60 seconds",
            "one a core": "processor cores", "for ever": "for ever"}


def test_defaults_are_the_same(program, shown):
    """Each default that --help shows stands in the page's text about the option."""
    described = options_of_page(page_of(program))
    checked = 0
    for option in re.split(r"\n +(?:-\w, )? *--", shown.split("\n\n")[1])[1:]:
        name = re.match(r"[a-z-]+", option)[0]
        default = re.search(r"\(default:\s+([^)]+)\)", option)
        for value in re.split(r",\s+else\s+", default[1]) if default else ():
            value = " ".join(value.split()).lstrip("$")
            text = described[name][2]
            assert IN_WORDS.get(value, value) in text[text.index("default"):], f"--{name} has the default {value}"
            checked += 1
    assert checked >= 5


# ---- exit statuses

def statuses_of_page(program):
    return {int(number) for number in re.findall(r"^ {5}(\d+) ", pages.section(page_of(program), "EXIT STATUS"), re.M)}


def test_page_names_each_exit_status(run_banter):
    table = run_banter("--help").stdout.decode().split("\nExit status, ")[1]
    numbers = {int(number) for number in re.findall(r"^ +(\d+) ", table, re.M)}
    assert len(numbers) > 5 and statuses_of_page("banter") == numbers


def test_page_names_each_exit_status_of_the_server(bench):
    text = " ".join(bench.run([harness.BANTERD, "--help"]).stdout.decode().split())
    statuses = re.search(r"Exit status: (.*?)\. ", text)[1]
    numbers = {int(number) for number in re.findall(r"(?:^|, )(\d+) ", statuses)}
    assert len(numbers) == 4 and statuses_of_page("banterd") == numbers


# ---- what is logged, and what is replied

def wordings_of_log():
    """How each line of the log begins: in the server's table of events it stands behind the level, and whether it is
    logged always."""
    table = "".join(path.read_text() for where in ("log*.[ch]", "log/*.[ch]")
                    for path in (harness.TOP / "server").glob(where))
    found = re.findall(r"\b(?:LOG_)?(?:MESSAGES|CONNECTIONS|ERRORS),\s*(?:true|false),\s*\"([^\"]+)\"", table)
    assert len(found) > 20
    return found


def test_pages_name_every_line_of_the_log():
    entries = [entry for page in ("banterd.8", "banter-program.7")
               for entry in pages.entries(pages.section(pages.rendered(page), "DIAGNOSTICS"))]
    for wording in wordings_of_log():
        assert any(entry.startswith(wording.strip()) for entry in entries), wording


def test_protocol_page_names_every_code_in_a_list_and_in_an_example():
    header = (harness.TOP / "common/protocol.h").read_text()
    codes = re.findall(r'^#define PROTOCOL_\w+[\s\\]+"([a-z][a-z0-9-]+)"', header, re.M)
    page = pages.rendered("banter-protocol.7")
    assert len(codes) > 10
    listed = pages.section(page, "Error replies") + pages.section(page, "Unasked frames")
    for code in codes:
        assert re.search(rf"^ {{5}}{code} ", listed, re.M), code
        assert f"-ERR {code} " in pages.section(page, "EXAMPLES"), code


PLUGIN = "#include <banter/handler.h>\nconst struct banter_handler banter_handler = {%s};\n"
WHOLE = """#include <banter/handler.h>
static void handle(void *state, const char *message, size_t size, struct banter_reply *reply)
{
    (void) state, (void) message, (void) size, (void) reply;
}
const struct banter_handler banter_handler = {.abi = BANTER_HANDLER_ABI, .name = "x", .handle = handle};
"""


@pytest.mark.parametrize("source, argument, message", [
    pytest.param(None, "", r"unable to load the plugin \S+: ", id="no file"),
    pytest.param("extern int x; int x;", "",
                 r'\S+ is no plugin: expected the symbol "banter_handler", and found none', id="no symbol"),
    pytest.param(PLUGIN % ".abi = 99", "", r"the plugin \S+ was built for another version of the server: "
                                           r"expected ABI \w+, found \w+", id="abi"),
    pytest.param(PLUGIN % ".abi = BANTER_HANDLER_ABI", "",
                 r"the plugin \S+ is incomplete: expected name and handle, found no \w+", id="incomplete"),
    pytest.param(WHOLE, ":5", r'the plugin \S+ \(\w+\) takes no argument, but was given "\w+"', id="argument"),
])
def test_handler_page_has_what_keeps_the_server_from_starting(bench, folder, source, argument, message):
    if source:
        shared_object.build(folder, "x", source)
    run = bench.run([harness.BANTERD, "-l", "127.0.0.1:0", "-H", f"plugin:x.so{argument}"])
    assert run.status == 1 and re.match("banterd: " + message, run.stderr.decode()), run
    page = pages.section(pages.rendered("banter-handler.3"), "DIAGNOSTICS")
    assert re.search(message, " ".join(page.split())), f"the page does not have {message}"


# ---- the pages themselves

@pytest.mark.parametrize("page", pages.PAGES)
def test_page_has_no_lint(page):
    run = subprocess.run(["mandoc", "-T", "lint", "-W", "style", pages.MAN / page], capture_output=True, text=True,
                         timeout=harness.LIMIT)
    # The system's own index of pages is no matter of this page.
    found = [line for line in (run.stdout + run.stderr).splitlines()
             if "referenced manual not found" not in line and "mandoc.db" not in line]
    assert not found


@pytest.mark.parametrize("page", pages.PAGES)
def test_page_fits_a_terminal(page):
    text = pages.rendered(page)
    assert text.count("\n") > 50
    assert [line for line in text.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("page", pages.PAGES)
def test_page_leads_to_the_others(page):
    """Every page of this project is in the SEE ALSO of every other, as far as it is about the same program."""
    listed = re.findall(r"\b(banter[a-z-]*)\((\d)\)", pages.section(pages.rendered(page), "SEE ALSO"))
    names = {f"{name}.{number}" for name, number in listed}
    assert names <= set(pages.PAGES) - {page}
    assert {"banterd.8", "banter-protocol.7"} - {page} <= names


@pytest.mark.parametrize("page", pages.PAGES)
def test_page_names_no_section_that_is_not_there(page):
    """A heading that is a macro's name by accident becomes another one."""
    source = (pages.MAN / page).read_text()
    text = pages.rendered(page)
    for title in re.findall(r"^\.S[hs] (.*)$", source, re.M):
        pages.section(text, title)
    for title in re.findall(r"^\.Sx (.*?)(?: [.,;])?$", source, re.M):
        pages.section(text, title)


# ---- the READMEs

READMES = sorted(str(page.relative_to(harness.TOP)) for folder in (".", "server", "client", "tests/*")
                 for page in harness.TOP.glob(f"{folder}/README.md"))


@pytest.mark.parametrize("page", READMES)
def test_links_of_a_readme_lead_somewhere(page):
    text = (harness.TOP / page).read_text()
    for target in re.findall(r"\]\(([^):]+)\)", text):
        assert (harness.TOP / page).parent.joinpath(target).exists(), target
