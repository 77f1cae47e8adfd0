"""banterd's command line: --help, --version, and what is refused."""
import re

import pytest

from harness import BANTERD, BANTERD_TEST

# What is wrong, and what the message must name.
WRONG = [
    (["--nonsense"], "nonsense"),
    (["-Z"], "Z"),
    (["operand"], "operand"),
    (["--listen"], "listen"),
    (["--listen", ""], "listen"),
    (["--listen", "127.0.0.1"], "listen"),
    (["--listen", "127.0.0.1:"], "listen"),
    (["--listen", "127.0.0.1:65536"], "listen"),
    (["--listen", "127.0.0.1:-1"], "listen"),
    (["--listen", "127.0.0.1:80x"], "listen"),
    (["--listen", "[::1:80"], "listen"),
    (["--listen", "unix:"], "listen"),
    (["--listen", "unix:/" + "x" * 200], "listen"),
    (["--handler", "nobody"], "handler"),
    (["--handler", ""], "handler"),
    (["--handler", "hello:argument"], "handler"),
    (["--framing", "lines"], "framing"),
    (["--framing", ""], "framing"),
    (["--max-message", "0"], "max-message"),
    (["--max-message", "-1"], "max-message"),
    (["--max-message", "5x"], "max-message"),
    (["--max-message", ""], "max-message"),
    (["--max-message", "99999999999999999999"], "max-message"),
    (["-m", "k"], "-m"),
    (["--threads", "0"], "threads"),
    (["--threads", "two"], "threads"),
    (["--max-clients", "0"], "max-clients"),
    (["--max-clients", "1.5"], "max-clients"),
    *[([f"--{name}", value], name)
      for name in ("request-timeout", "handler-timeout", "idle-timeout", "write-timeout", "drain-timeout", "run-for")
      for value in ("", "-1", "1x", "s", "99999999999h", "1 s")],
    (["--quiet=yes"], "quiet"),
    (["--log", "xml"], "text, timed or json"),
    (["--log", ""], "log"),
]


def name(value):
    return " ".join(value)[:40] if isinstance(value, list) else ""


@pytest.mark.parametrize("options, named", WRONG, ids=name)
def test_wrong_options(bench, options, named):
    result = bench.run([BANTERD, *options])
    assert result.status == 64
    assert result.stdout == b""
    text = result.stderr.decode()
    assert text.startswith("banterd: ") and text.endswith("\n")
    assert named in text
    assert "banterd --help" in text


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(bench, option):
    result = bench.run([BANTERD, option])
    assert (result.status, result.stderr) == (0, b"")
    text = result.stdout.decode()
    for name in ("--listen", "--handler", "--framing", "--max-message", "--threads", "--max-clients", "--max-requests",
                 "--telnet", "--request-timeout", "--handler-timeout", "--idle-timeout", "--write-timeout", "--drain-timeout", "--run-for", "--quiet",
                 "--help", "--version", "-l", "-H", "-f", "-m", "-t", "-q", "-h", "-V"):
        assert name in text, name
    for default in ("127.0.0.1:8000", "hello", "line", "5120", "10000", "30s", "5s"):
        assert default in text, default
    assert max(map(len, text.splitlines())) <= 80


HANDLERS = ["hello", "echo", "plugin:FILE.so[:ARG]", "nats:SERVERS/SUBJECT"]


@pytest.mark.parametrize("program, handlers", [(BANTERD, HANDLERS), (BANTERD_TEST, [*HANDLERS, "test"])],
                         ids=["banterd", "with-one-more"])
def test_help_and_errors_list_the_handlers_of_the_table(bench, program, handlers):
    text = bench.run([program, "--help"]).stdout.decode()
    listed = re.search(r"^Handlers:\n(.*?)\n\n", text, re.M | re.S)[1]
    assert [line.split()[0] for line in listed.splitlines()] == handlers
    assert all(len(line.split()) > 1 for line in listed.splitlines())
    for name in ("nobody", "program"):  # a program is given behind --
        refused = bench.run([program, "--handler", name]).stderr.decode()
        assert refused == (f'banterd: --handler: there is no handler "{name}"; there are: '
                           + ", ".join(usage.split(":")[0] for usage in handlers) + "; see banterd --help\n")


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(bench, option):
    result = bench.run([BANTERD, option])
    assert (result.status, result.stderr) == (0, b"")
    assert result.stdout.startswith(b"banterd ") and result.stdout.count(b"\n") == 1


def test_help_on_a_full_disk_is_an_error(bench):
    with open("/dev/full", "w") as full:
        program = bench.start([BANTERD, "--help"], stdout=full, expect_stderr=r"banterd: .+", expect_status=1)
        assert program.wait() == 1


@pytest.mark.parametrize("options", [
    ("--max-message=64k",), ("-m1m",), ("--threads=1", "-qq"), ("-q", "-t1"), ("--request-timeout", "0.5s"),
    ("--request-timeout=500ms", "--idle-timeout", "2m", "--write-timeout=1h", "--drain-timeout", "90", "--run-for=1h"),
    ("--handler", "hello"), ("--handler=echo",), ("--framing=line",), ("--max-cl", "5"),
])
def test_right_options(server, options):
    banterd = server(*options)
    assert banterd.connect().ask("ZACK").endswith(b"ZACK")
