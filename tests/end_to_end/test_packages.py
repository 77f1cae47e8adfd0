"""debian/: the units, and what must agree with the rest. The packages themselves are tried by `make check-deb`."""
import re
import subprocess

import pytest

import harness
import pages
from harness import BUILD, TOP

pytestmark = pytest.mark.no_sanitizer

DEBIAN = TOP / "debian"
UNITS = {"banterd@x.service": "banterd@.service", "banterd@x.socket": "banterd@.socket",
         "banterd-control@x.socket": "banterd-control@.socket", "banterd-metrics@x.socket": "banterd-metrics@.socket"}


@pytest.fixture
def units(folder):
    """The units in a folder, with the programs that were built in the place of those that are installed."""
    for instance, template in UNITS.items():
        text = re.sub(r"/usr/s?bin/", f"{BUILD}/", (DEBIAN / template).read_text())
        (folder / template).write_text(text)
        (folder / instance).symlink_to(template)
    return folder


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=harness.LIMIT)


def test_units_are_right(units):
    run = analyze("verify", "--man=no", *(units / name for name in UNITS))
    assert (run.returncode, run.stdout + run.stderr) == (0, "")


def test_service_is_confined(units):
    run = analyze("security", "--offline=yes", "--threshold=5", "--no-pager", units / "banterd@x.service")
    assert run.returncode == 0, run.stdout + run.stderr  # the threshold is in tenths
    # Which would end programs that make code at run time.
    assert not re.search(r"^MemoryDenyWriteExecute=", (DEBIAN / "banterd@.service").read_text(), re.M)


def test_version_is_that_of_the_programs(bench):
    version = re.match(r"banter \(([\d.]+)\) ", (DEBIAN / "changelog").read_text())[1]
    for program in (harness.BANTER, harness.BANTERD):
        assert bench.run([program, "--version"]).stdout.decode().split()[1] == version


def test_example_of_options_is_right(server):
    assert server(f"@{DEBIAN / 'examples/hello'}").connect().ask("Zack") == b"Hello ZACK"


def test_example_with_its_program_is_right(server, folder):
    text = (DEBIAN / "examples/hello").read_text()
    (folder / "options").write_text(re.sub(r"^#(?! )", "", text, flags=re.M))
    assert server("@options").connect().ask('{"a": [1, 2]}') == b'{"a":[1,2]}'


def operation():
    """The commands of banterd(8)'s first day, for root, and what they print."""
    commands, printed, more, text = [], [], False, False
    for line in pages.section(pages.rendered("banterd.8"), "OPERATION").splitlines():
        line = line.strip()
        if line.startswith("# ") or more or text:
            commands.append(line.removeprefix("# "))
            text = line.endswith("<<'END'") or text and line != "END"
            more = line.endswith("\\")
        elif re.match(r"[{a-z_]+\S* \d+$|\{", line):
            printed.append(line)
    return commands, printed


def test_a_first_day(bench, folder):
    """As far as it needs no root: what would install or manage services does nothing here, and the server has sockets
    of its own. `make check-deb` runs the same commands as they are."""
    commands, printed = operation()
    assert len(printed) == 3 and len(commands) > 15
    for name in ("bin", "etc", "run", "build", "build/deb"):
        (folder / name).mkdir()
    for name in ("apt-get", "systemctl", "journalctl"):
        (folder / "bin" / name).write_text("#!/bin/sh\necho Status: none\n")
        (folder / "bin" / name).chmod(0o755)
    script = "set -eu\n" + "\n".join(commands).replace("/etc/banterd", f"{folder}/etc").replace("/run/banterd",
                                                                                               f"{folder}/run")
    begin = script.index("systemctl enable")
    path = {"PATH": f"{folder}/bin:{BUILD}:/usr/bin:/bin"}
    assert bench.run(["sh", "-c", script[:begin]], env=path).status == 0
    bench.server("@etc/jq", "--control", "unix:run/jq.control", "--metrics", "unix:run/jq.metrics", listen="unix:run/jq")
    run = bench.run(["sh", "-c", script[begin:]], env=path)
    assert (run.status, run.stderr) == (0, b"")
    assert set(printed) <= set(run.stdout.decode().splitlines())


def test_page_says_what_to_do_about_each_error():
    table = (TOP / "server/log/events.h").read_text()
    wordings = [words for words in re.findall(r"\bEVENT\(\w+, +ERRORS, +false,[\s\\]+\"([^\"]*)\"", table)]
    said = pages.section(pages.rendered("banterd.8"), "When the log says")
    entries = [part for entry in pages.entries(said) for part in entry.split(", ")]
    assert len(wordings) > 20
    for wording in wordings:
        assert any(wording.startswith(entry) for entry in entries), wording
