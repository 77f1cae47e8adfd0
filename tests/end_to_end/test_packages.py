"""debian/: the units, and what must agree with the rest. The packages themselves are tried by `make check-deb`."""
import re
import subprocess

import pytest

import harness
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
