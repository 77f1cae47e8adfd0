"""The services that one line makes, as the README's first screen and banterd(8) show them, with the real programs."""
import re
import shlex

import harness

README = (harness.TOP / "README.md").read_text()
SHOWN = re.findall(r"^ {4}\$ (banterd .*-- .*)$", README, re.M)


def shown(word):
    """The one command of the README that runs this program, as a list of options."""
    found = [line for line in SHOWN if word in line.split(" -- ")[1]]
    assert len(found) == 1, f"{word}: {found} of {SHOWN}"
    command = re.split(r" +#| &$", found[0])[0]
    return shlex.split(command)[1:]


def test_the_first_screen_shows_them():
    lines = README.splitlines()
    assert len(SHOWN) == 3
    assert all(any(line in screen for screen in lines[:40]) for line in SHOWN)


def test_jq(server, run_banter):
    banterd = server(*shown("jq"))
    run = run_banter("-c", banterd.address, input='{"a": [1, 2]}\n[ true,\tnull ]\n"ü"\n' * 100)
    assert run == (0, '{"a":[1,2]}\n[true,null]\n"ü"\n'.encode() * 100, b"")


def test_jq_and_what_is_no_json(server):
    """Costs the one request; jq says why in the log."""
    banterd = server(*shown("jq"))
    client = banterd.connect()
    reply = client.ask("]")
    assert harness.is_error(reply, "handler-failed"), reply
    assert client.ask("[1, 2]") == b"[1,2]"
    banterd.log.wait_for("parse error")


def test_bc(server):
    banterd = server(*shown("bc"))
    first, second = banterd.connect(), banterd.connect()
    assert first.ask("a = 20; a") == b"20"
    assert second.ask("a + 1") == b"1"
    assert first.ask("a * 2 + 2") == b"42"
    assert first.ask("e(1)")[:7] == b"2.71828"


def test_python(server, folder):
    options = shown("python3")
    name = next(word for word in options if word.endswith(".py"))
    source = re.search(rf"^ {{4}}\$ cat {re.escape(name)}\n(.*?)\n {{4}}\$ ", README, re.M | re.S)[1]
    (folder / name).write_text("".join(line[4:] + "\n" for line in source.splitlines()))
    banterd = server(*options)
    client = banterd.connect()
    shown_behind_it = README[README.index(f"cat {name}"):]
    request, reply = re.search(r"^ {4}\$ banter '(.*)'\n {4}(.*)$", shown_behind_it, re.M).groups()
    assert client.ask(request) == reply.encode()
