"""The example handlers as a user meets them: an installed copy, the commands of the man page as it is read, a folder
outside of the tree. And what the page, the header and the examples have in common."""
import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

import harness
import pages
import shared_object
from harness import BUILD, TOP

PAGE = pages.rendered("banter-handler.3")
HEADER = TOP / "server/include/banter/handler.h"
EXAMPLES = TOP / "server/handlers/examples"
PREFIX = "/opt/banter"


class Installed(NamedTuple):
    prefix: Path
    environment: dict


@pytest.fixture
def installed(folder):
    """What `make install` gives, moved elsewhere as a package would be before it is unpacked at /."""
    root = folder / "root"
    clean = {name: value for name, value in os.environ.items()
             if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "BUILD", "SANITIZE", "CC")}
    run = subprocess.run(["make", "-C", TOP, "-s", "-o", "all", f"BUILD={BUILD}", "install", f"DESTDIR={root}",
                          f"PREFIX={PREFIX}"], env=clean, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=harness.LIMIT)
    assert (run.returncode, run.stderr) == (0, ""), run.stdout + run.stderr
    prefix = root / PREFIX[1:]
    return Installed(prefix, {"PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig", "PKG_CONFIG_SYSROOT_DIR": root})


def commands(name):
    """The page's two commands for an example: how to build it, and the options to give to banterd."""
    (build, start), = (block.commands for block in pages.blocks(PAGE) if f"{name}.c" in block.commands[0])
    assert build.startswith("cc ") and start.startswith("banterd ")
    return build, start.split()[1:]


@pytest.fixture
def example(bench, installed, folder):
    """example(name) builds one from the installed copy, and starts the installed server with it."""
    def start(name, *options):
        folder_of_examples, = re.findall("pkg-config --variable=\\w+ banter", PAGE)
        where = bench.run(folder_of_examples.split(), env=installed.environment)
        # pkgconf puts the root before what is asked for by name, others don't.
        sources = Path(where.stdout.decode().strip())
        root = Path(installed.environment["PKG_CONFIG_SYSROOT_DIR"])
        if not sources.is_relative_to(root):
            sources = root / str(sources)[1:]
        (folder / f"{name}.c").write_text((sources / f"{name}.c").read_text())
        build, handler = commands(name)
        compiler = " ".join([*shared_object.CC, *shared_object.SANITIZE, "-Wall", "-Wextra", "-Werror"])
        run = bench.run(["sh", "-ec", re.sub("^cc ", compiler + " ", build)], env=installed.environment)
        assert (run.status, run.stdout, run.stderr) == (0, b"", b"")
        return bench.server(*handler, *options, program=installed.prefix / "bin/banterd")
    return start


def test_reverse(example):
    client = example("reverse").connect()
    messages = ["Zack", "", "straße", "a b", "€uro \U0001f600", "x" * 5000]
    client.send_message(*messages)
    assert [line.decode() for line in client.lines(len(messages))] == [text[::-1] for text in messages]


def test_reverse_takes_any_byte(example):
    client = example("reverse", "-f", "netstring").connect()
    for message, expected in ((b"\0a\n", b"\na\0"), (b"\x80\x80", b"\x80\x80"), (b"\xffab", b"ba\xff"), (b"", b"")):
        assert client.ask(message) == expected


def test_store(example):
    client = example("store").connect()
    bad = b"-ERR bad-request expected set KEY VALUE, get KEY, delete KEY or count"
    missing = b"-ERR not-found there is no such key"
    for message, reply in [
            ("count", b"0"), ("get a", missing), ("set a 1 and 2", b"ok"), ("get a", b"1 and 2"),
            ("set a \u00e4", b"ok"), ("get a", "\u00e4".encode()), ("set b ", b"ok"), ("get b", b""), ("count", b"2"),
            ("set aa  x", b"ok"), ("get aa", b" x"), ("delete a", b"ok"), ("delete a", missing), ("get a", missing),
            ("count", b"2"), ("", bad), ("set", bad), ("set ", bad), ("set c", bad), ("set  x", bad), ("get", bad),
            ("get b b", bad), ("count b", bad), ("delete", bad), ("Count", bad), ("sett a b", bad)]:
        assert client.ask(message) == reply, message


def test_store_has_an_end(example):
    client = example("store").connect()
    client.send_message(*(f"set {number} x" for number in range(5001)), "set 17 again", "delete 18", "set new y", "count")
    assert client.lines(5005) == [b"ok"] * 5000 + [b"-ERR full there are 5000 keys already"] + [b"ok"] * 3 + [b"5000"]


def test_store_is_shared_by_all_clients(example):
    server = example("store", "-q")
    count = harness.scaled(500, 100)

    def talk(name):
        client = server.connect()
        for number in range(count):
            client.send_message(f"set {name}.{number} {number}", f"set all {name}", "get all", f"get {name}.{number}",
                                f"delete {name}.{number}" if number % 2 else "count")
            first, second, shared, own, last = client.lines(5)
            assert first == second == b"ok" and shared in b"abcdefgh" and own == b"%d" % number
            assert last == b"ok" if number % 2 else last.isdigit()

    harness.Talkers(talk, "abcdefgh").join()
    assert server.connect().ask("count") == b"%d" % (8 * count // 2 + 1)


@pytest.mark.parametrize("argument", ["0", "-1", "x", "5x", "", " 5", "99999999999999999999"])
def test_store_refuses_an_argument(bench, folder, argument):
    shared_object.build(folder, "store", (EXAMPLES / "store.c").read_text())
    run = bench.run([harness.BANTERD, "--listen", "127.0.0.1:0", "-H", f"plugin:store.so:{argument}"])
    assert (run.status, run.stdout) == (1, b"")
    assert run.stderr.decode() == ("banterd: the plugin ./store.so (store) can't be opened: "
                                   f'the most keys must be a number from 1, not "{argument}"\n')


# ---- what is told twice is the same

def test_the_page_shows_the_example():
    source = (EXAMPLES / "reverse.c").read_text()
    shown = pages.listing(PAGE, source.splitlines()[0])
    assert shown[:shown.index("\n};\n") + 4] == source


def test_the_page_shows_the_struct():
    shown = pages.listing(PAGE, "struct banter_handler {")
    shown = shown[:shown.index("\n};\n") + 4]
    code = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    declared = re.search(r"^struct banter_handler \{.*?^\};$", code, re.M | re.S)[0]
    assert shown.split() == declared.split()


def test_the_page_names_every_function():
    declared = set(re.findall(r"\b(banter_reply_\w+)\(", HEADER.read_text()))
    for where in "SYNOPSIS", "The reply":
        assert set(re.findall(r"^ {5}(banter_reply_\w+)\(", pages.section(PAGE, where), re.M)) == declared, where


def test_the_headers_own_example_works(server, folder):
    head = re.search(r"^ \*     (#include.*?)^ \* It is built", HEADER.read_text(), re.M | re.S)[1]
    shared_object.build(folder, "same", re.sub(r"^ \*(     )?", "", head, flags=re.M))
    assert server("-H", "plugin:same.so").connect().ask("Zack") == b"Zack"
