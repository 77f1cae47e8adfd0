"""@FILE on banterd's command line: options and a program in a file. The notation is tested in unit/test_line_file.c."""
import os

import pytest

import harness

SEE = "; see banterd --help"


@pytest.fixture
def options(folder):
    """Writes a file of options; returns the word that names it."""
    def write(text, name="options"):
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return f"@{folder / name}"
    return write


def test_options_and_a_program(server, options):
    banterd = server(options("# a filter, quoted by nobody\r\n\r\n--workers\r\n    1\r\n-qq\r\n--\r\n"
                             "awk\r\n{ print \"it's  \" $1; fflush() }\r\n"))
    assert banterd.connect().ask("one two") == b"it's  one"
    assert "Connected" not in banterd.log.text


def test_words_of_a_program_are_as_they_are(server, options):
    banterd = server(options("--\nsh\n-c\nwhile read -r x; do printf '[%s]' \"$@\"; echo; done\nsh\n"
                             "  # no comment  \n\n@x\n--\n-q\n$HOME *"))
    assert banterd.connect().ask("") == b"[  # no comment  ][][@x][--][-q][$HOME *]"


def test_options_stand_before_and_behind_files(server, options):
    banterd = server("-H", "hello", options("--handler=echo\n--quiet", "one"), options("-q", "two"), "-f", "crlf",
                     framing="crlf")
    assert banterd.connect().ask("Zack") == b"Zack"
    assert "Connected" not in banterd.log.text


def test_options_behind_a_file_with_a_program_are_the_servers(server, options):
    banterd = server("-f", "netstring", options("--\nsed\n-u\ns/a/b/"), "-q", framing="netstring")
    assert banterd.connect().ask("a") == b"b"
    assert "Processing" not in banterd.log.text


def test_a_value_that_begins_with_an_at_names_no_file(bench, folder):
    """Nor does what stands behind the options."""
    (folder / "file").write_text("--version")
    wrong = bench.run([harness.BANTERD, "--listen", "@file"])
    assert wrong.status == 64 and '"@file" is no address' in wrong.stderr.decode()
    wrong = bench.run([harness.BANTERD, "operand", "@file"])
    assert wrong.status == 64 and 'unexpected operand "operand"' in wrong.stderr.decode()


def test_a_file_is_read_once(server, options, folder):
    banterd = server(options("-H\necho\n--max-clients=1"))
    (folder / "options").unlink()
    assert banterd.connect().ask("x") == b"x"


@pytest.mark.parametrize("text, where, why", [
    ("-q\n--listen 8000", ": line 2", "--listen: its argument is attached or in the next line: write --listen=8000, or two "
                                      "lines"),
    ("\n\n-m\n\n5x", ": line 5", '-m: "5x" is not a size from 1 to 1073741824 bytes, such as 5120, 64k or 1m'),
    ("@options", ": line 1", "@options: a file of options can't name another one"),
    ("--nonsense", ": line 1", "--nonsense: there is no such option"),
    ("cat", ": line 1", "cat: an option begins with a dash, and the line behind it is its argument only if it takes one"),
    ("# only\n--\n", ": line 2", "there is no program behind --"),
    ("--\n\ncat\n", ": line 1", "there is no program behind --"),
    (b"-q\n\0", "", "line 2: it has a NUL byte, so this is no text"),
    (b"#" * (1 << 20) + b"\n", "", "it has more than the 1048576 bytes that are read"),
], ids=["two-in-a-line", "value", "another-file", "unknown", "operand", "no-program", "empty-program", "nul", "large"])
def test_errors_name_the_file_and_the_line(bench, options, text, where, why):
    word = options(text)
    result = bench.run([harness.BANTERD, "-l", "127.0.0.1:0", word])
    assert (result.status, result.stdout) == (64, b"")
    assert result.stderr.decode() == f"banterd: {word[1:]}{where}: {why}{SEE}\n"


def test_only_one_program_can_answer(bench, options):
    one, two = options("-q\n--\ncat", "one"), options("--\ncat", "two")
    for words in ([one, two], [one, "--", "cat"], [two, one, "--", "cat"]):
        result = bench.run([harness.BANTERD, *words])
        assert result.status == 64
        assert "there is another program already, and only one can answer" + SEE in result.stderr.decode()
    result = bench.run([harness.BANTERD, one, "operand"])
    assert result.stderr.decode() == ('banterd: unexpected operand "operand": put -- in front of a program' + SEE + "\n")


def test_what_is_no_file(bench, folder):
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    for word, why in (("@", "@: the name of a file is missing"), ("@folder", "folder: it is a directory, not a file"),
                      ("@fifo", "fifo: it is not a regular file"),
                      ("@missing", "missing: unable to read it: No such file or directory")):
        result = bench.run([harness.BANTERD, word])
        assert (result.status, result.stderr.decode()) == (64, f"banterd: {why}{SEE}\n")


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/usr/bin/setpriv"), reason="it needs setpriv")
def test_a_file_that_may_not_be_read(bench, options, folder):
    word = options("-q")
    folder.chmod(0o755)
    (folder / "options").chmod(0)
    other = ["setpriv", "--reuid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
    result = bench.run([*other, harness.BANTERD, word])
    assert result.status == 64
    assert result.stderr.decode() == f"banterd: {word[1:]}: unable to read it: Permission denied{SEE}\n"


def test_help_and_version_are_options_too(bench, options):
    assert bench.run([harness.BANTERD, options("--version\n--\n")]).stdout.startswith(b"banterd ")
    assert b"@FILE" in bench.run([harness.BANTERD, options("-q\n-h")]).stdout
