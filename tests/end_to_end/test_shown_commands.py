"""Each command that a man page or the README shows, run as it is read; and where it is shown what that prints, that it
is printed.

The commands run in a folder that has what they name. Port 8000 is replaced by a free one, and time limits by longer
ones. How a handler is built is shown too, which is for test_examples.py.
"""
import re
import shlex
import shutil
import subprocess

import pytest

import harness
import pages
from nats_servers import skip_without_nats

TEXTS = {page: pages.rendered(page) for page in pages.PAGES}
TEXTS["README.md"] = (harness.TOP / "README.md").read_text()
SHOWN = [pytest.param(block, id=f"{name}-{number}") for name, text in TEXTS.items()
         for number, block in enumerate(pages.blocks(text), 1) if not block.commands[0].startswith("cc ")]

# What a server is asked, and its reply, by what is in its command line.
ASKED = [("bc", "2^300", re.sub(r"(.{68})(?=.)", r"\1\\\n", str(2 ** 300))), ("sqlite3", "select 6 * 7;", "42"),
         ("-- sort", "b\na", "a\nb"), ("jq", '{"a": [1, 2]}', '{"a":[1,2]}'), ("perl", "20.5", "20.5"),
         ("tr a-z", "Zack", "ZACK"), ("/200 root/", "get zack", "200 root"), ("sed -u", "route 66", "route ##"),
         ("server.py", '{"id": 1, "method": "ping"}', '{"jsonrpc": "2.0", "id": 1, "result": "ping"}'),
         ("reverse.py", "Was it a car", "rac a ti saW"), ("echo", "x" * 100_000, "x" * 100_000),
         ("awk", "12", "144"), ("", "Zack", "Hello ZACK")]

NAMES = ["Zack", "Mary", "Jane Doe", "straße"]


def is_server(block):
    """Whether it is one command that goes on until it is stopped."""
    return block.commands[0].startswith("banterd") and " & " not in block.commands[0] and not is_story(block)


def is_story(block):
    """Whether a server is prepared, started and asked, and stays there meanwhile."""
    return any(line.startswith("banterd") and not re.search("&( |$)", line) for line in block.commands[1:])


def is_cluster(block):
    """Whether it needs the job control of a shell, and NATS."""
    return any(command.startswith("nats-server") for command in block.commands)


def is_conversation(block):
    return any(line.startswith("-> ") for line in block.output)


def patient(command):
    return re.sub(r"\b\d+s\b", f"{harness.LIMIT}s", command)


def shown(condition):
    return pytest.mark.parametrize("block", [block for block in SHOWN if condition(block.values[0])])


def test_there_are_all_kinds():
    blocks = [block.values[0] for block in SHOWN]
    kinds = (is_server, is_story, is_conversation, is_cluster)
    assert len(blocks) > 20 and all(any(map(kind, blocks)) for kind in kinds)


@pytest.fixture
def secure(server, folder, certificates):
    """secure() starts a server that speaks TLS, and puts the certificates that the pages name into the folder."""
    def start():
        for name, source in (("server.pem", "server.pem"), ("ca.pem", "ca.crt")):
            shutil.copy(certificates.path(source), folder / name)
        return server("--cert", folder / "server.pem", listen="tls:127.0.0.1:0")
    return start


@pytest.fixture
def here(folder):
    """Makes the folder in which the commands run. Returns the environment in which they find the programs; banterd
    listens on a free port, or at $LISTEN, unless it is said where."""
    (folder / "names").write_text("".join(name + "\n" for name in NAMES))
    (folder / "reverse.py").write_text(pages.listing(TEXTS["banter-program.7"], "import sys"))
    (folder / "server.py").write_text((harness.TOP / "tests" / "programs" / "json_rpc.py").read_text())
    programs = folder / "bin"
    programs.mkdir()
    (programs / "banter").symlink_to(harness.BANTER)
    wrapper = programs / "banterd"
    wrapper.write_text(f"""#!/bin/sh
case " $* " in
*' -l '* | *' --listen '*) exec {shlex.quote(str(harness.BANTERD))} "$@" ;;
esac
exec {shlex.quote(str(harness.BANTERD))} --listen "${{LISTEN:-127.0.0.1:0}}" "$@"
""")
    wrapper.chmod(0o755)
    return {"PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin"}


@shown(is_server)
def test_server(bench, folder, here, block):
    """Each line is a server of its own."""
    for shown in block.commands:
        command = patient(shown).replace("8000", "0").replace("/tmp/", f"{folder}/")
        server = bench.start(["sh", "-c", "exec " + command], kind=harness.Server, env=here,
                             framing=next((word for word in ("raw", "netstring", "block") if word in command), "line"))
        request, reply = next((request, reply) for word, request, reply in ASKED if word in shown)
        assert harness.text_of(server.connect().ask(request)) == reply, command
        assert server.stop() == 0, command


@shown(is_story)
def test_story(bench, here, block):
    port, output = None, b""
    for command in block.commands:
        if command.startswith("banterd"):
            server = bench.start(["sh", "-c", "exec " + command.replace(":8443", ":0")], kind=harness.Server, env=here)
            port = str(server.port)
        else:
            run = bench.run(["sh", "-c", command.replace("8443", port or "8443")], env=here)
            assert run.status == 0, run
            output += run.stdout
    assert harness.text_of(output).splitlines() == block.output
    assert server.stop() == 0


@shown(is_cluster)
def test_cluster(bench, here, block):
    """As it is typed into an interactive shell, with other ports. Who types is slower than programs that start, or that
    find another server: before each question to it the service is there."""
    skip_without_nats()
    ports = {port: bench.hold_port() for port in (4221, 4222, 4223, 6221, 6222, 6223)}
    address = f"127.0.0.1:{bench.hold_port()}"

    def is_there():
        try:
            return bench.connect(address).ask("x") == b"X"
        except ConnectionRefusedError:
            return False

    shell = bench.start(["bash", "-m"], env={**here, "PATH": here["PATH"] + ":/usr/sbin", "BANTER_ADDRESS": address},
                        stdin=subprocess.PIPE, expect_stderr=".*")
    shell.type("trap 'kill $(jobs -p); wait' EXIT\n")
    try:
        for command in block.commands:
            if command.startswith("banter "):
                harness.wait_until(is_there, "the service is there")
            command = re.sub(r"\b[46]22[123]\b", lambda port: str(ports[int(port[0])]), command)
            shell.type(command.replace(":8000", address) + "\n")
            if command.startswith("kill"):
                shell.type("echo killed\n")
                shell.stdout.wait_line("killed")
    finally:
        shell.end_input()
        shell.wait()
    assert [line for line in shell.stdout.lines if line in block.output] == block.output


@shown(lambda block: not any(kind(block) for kind in (is_server, is_story, is_conversation, is_cluster)))
def test_commands(bench, folder, here, open_screen, secure, block):
    script = patient("\n".join(block.commands))
    if "tls:" in script or "server.pem" in script:
        script = script.replace("server.example:8443", f"localhost:{secure().port}")
    elif "banterd.control" in script:
        banterd = bench.server("--control", f"unix:{folder}/banterd.control")
        assert [banterd.connect().ask("x") for _ in range(7)] == [b"Hello X"] * 7  # whom one can ask about
        script = script.replace("/run/", f"{folder}/")
    elif "banterd" in script:
        here.update(BANTER_ADDRESS=f"unix:{folder}/socket", LISTEN=f"unix:{folder}/socket")
        script += "\nstatus=$?; kill $!; wait $! && exit $status"
    else:
        codec = re.search(r"banter (?:--framing|-f) (\w+)", script)
        banterd = bench.server(*(["--framing", codec[1]] if codec else []))
        here["BANTER_ADDRESS"] = banterd.address
        script = script.replace("server.example", banterd.address).replace("8000", str(banterd.port))
    if "ERR" in script:
        (folder / "names").write_bytes(b"Zack\n\xff\nMary\n")
    if script.startswith("tail -f"):
        screen = open_screen(["sh", "-c", script], **here)
        screen.wait(lambda: "Hello MARY" in screen.lines, "a reply")
        return
    run = bench.run(["sh", "-c", script], env=here)
    if block.output:
        assert harness.text_of(run.stdout).splitlines() == block.output
    else:
        assert run.status == 0, run


@shown(is_conversation)
def test_conversation(server, open_screen, secure, here, block):
    command, = block.commands
    banterd = secure() if "tls:" in command else server()
    command = command.replace("8443", str(banterd.port))
    screen = open_screen(command.split(), BANTER_ADDRESS=banterd.address, **here)
    expected = [line.replace("127.0.0.1:8000", banterd.address).replace("8443", str(banterd.port))
                for line in block.output]
    for line in expected:
        if line.startswith("-> "):
            screen.wait_last("->")
            screen.enter(line[3:])
        else:
            screen.wait(lambda: line in screen.lines, line)
    assert screen.wait_end() == 0
    assert screen.lines == expected


def test_client_in_python(bench, server):
    """The one in banter-protocol(7)."""
    source = pages.listing(TEXTS["banter-protocol.7"], "import socket").replace("8000", str(server().port))
    assert bench.run(["/usr/bin/python3", "-c", source]) == harness.Run(0, b"Hello ZACK\n", b"")


def test_the_readme_shows_the_same_program():
    readme = TEXTS["README.md"]
    assert pages.listing(readme, "import sys") == pages.listing(TEXTS["banter-program.7"], "import sys")
