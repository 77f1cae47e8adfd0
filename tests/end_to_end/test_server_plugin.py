"""-H plugin:FILE[:ARGUMENT]: functions of a shared object as the handler. What most tests load is
plugins/tester.c, whose messages say what it shall do."""
import fnmatch
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

import harness
import shared_object
from harness import BANTERD, TOP, assert_stopped, is_error, wait_until

MINIMAL = """
#include <banter/handler.h>
static void handle(void *state, const char *message, size_t size, struct banter_reply *reply)
{
    (void) state;
    banter_reply_append(reply, message, size);
}
const struct banter_handler banter_handler = {
    .abi = BANTER_HANDLER_ABI, .name = "minimal", .handle = handle,
};
"""


class PluginServer:
    """A server with the test plugin, and the plugin's diary."""

    def __init__(self, server, plugin, diary, *options):
        self.diary = diary
        self.server = server("-H", f"plugin:{plugin}:{diary}", *options)

    def entries(self):
        return self.diary.read_text().splitlines()

    def wait_entry(self, entry):
        wait_until(lambda: entry in self.entries(), f"{entry!r} in the diary")


@pytest.fixture(scope="session")
def tester_so():
    """The test plugin, built once."""
    with tempfile.TemporaryDirectory(prefix="banter-") as folder:
        yield shared_object.build(Path(folder), "tester")


@pytest.fixture
def tester(server, tester_so, folder):
    """tester(*options) starts the server with the test plugin."""
    return lambda *options: PluginServer(server, tester_so, folder / "diary", *options)


# ---- what refuses the start

def refusal(bench, spec, status=1):
    """What banterd says instead of starting."""
    run = bench.run([BANTERD, "--listen", "127.0.0.1:0", "-H", spec])
    assert (run.status, run.stdout) == (status, b""), run
    text = run.stderr.decode()
    assert text.startswith("banterd: ") and text.count("\n") == 1 and text.endswith("\n")
    return text[len("banterd: "):-1]


@pytest.mark.parametrize("spec", ["plugin", "plugin:", "plugin::argument"])
def test_a_file_must_be_named(bench, spec):
    assert refusal(bench, spec, status=64) == (
        '-H: the handler "plugin" needs a shared object, such as plugin:./FILE.so or plugin:./FILE.so:ARGUMENT; '
        "see banterd --help")


def test_the_command_line_is_read_without_loading(bench):
    assert "unexpected operand" in bench.run([BANTERD, "-H", "plugin:missing.so", "operand"]).stderr.decode()
    assert bench.run([BANTERD, "-H", "plugin:missing.so", "--version"]).status == 0


def test_a_missing_file(bench, folder):
    assert refusal(bench, "plugin:missing.so") == (
        "unable to load the plugin ./missing.so: cannot open shared object file: No such file or directory")
    assert f"the plugin {folder}/missing.so: " in refusal(bench, f"plugin:{folder}/missing.so:argument")


def test_a_file_that_is_no_shared_object(bench, folder):
    (folder / "text.so").write_text("text " * 100)
    assert re.fullmatch(r"unable to load the plugin \./text\.so: .+", refusal(bench, "plugin:text.so"))


def test_a_bare_name_is_never_searched_for_in_the_systems_folders(bench):
    assert refusal(bench, "plugin:libc.so.6").startswith("unable to load the plugin ./libc.so.6: cannot open")


def test_a_missing_symbol(bench, folder):
    shared_object.build(folder, "other", "extern int other; int other = 1;")
    assert refusal(bench, "plugin:other.so") == (
        './other.so is no plugin: expected the symbol "banter_handler", and found none; see banter-handler(3)')


def test_another_abi_is_refused_before_anything_else_is_looked_at(bench, folder):
    """The object holds nothing but the number."""
    shared_object.build(folder, "future", "extern const unsigned banter_handler; const unsigned banter_handler = 7;")
    assert refusal(bench, "plugin:future.so") == (
        "the plugin ./future.so was built for another version of the server: expected ABI 1, found 7")


def test_a_function_that_the_server_does_not_have(bench, folder):
    source = MINIMAL.replace("static", "void banter_reply_sing(struct banter_reply *);\nstatic", 1)
    shared_object.build(folder, "singer", source.replace("banter_reply_append(reply, message, size);",
                                                         "(void) message, (void) size, banter_reply_sing(reply);"))
    assert re.fullmatch(r"unable to load the plugin \./singer\.so: undefined symbol: banter_reply_sing",
                        refusal(bench, "plugin:singer.so"))


@pytest.mark.parametrize("member, missing", [(".name = \"minimal\", ", "name"), (".handle = handle,", "handle")])
def test_an_incomplete_plugin(bench, folder, member, missing):
    source = MINIMAL.replace(member, "").replace("static void handle", "static __attribute__((unused)) void handle")
    shared_object.build(folder, "part", source)
    assert refusal(bench, "plugin:part.so") == (
        f"the plugin ./part.so is incomplete: expected name and handle, found no {missing}")


@pytest.mark.parametrize("argument", ["x", ""])
def test_an_argument_for_a_plugin_that_takes_none(bench, folder, argument):
    shared_object.build(folder, "minimal", MINIMAL)
    assert refusal(bench, f"plugin:minimal.so:{argument}") == (
        f'the plugin ./minimal.so (minimal) takes no argument, but was given "{argument}"')


OPEN = """
#include <stdio.h>
#include <string.h>
static int try(const char *argument, void **state, char *error, size_t error_size)
{
    (void) argument, (void) state, (void) error, (void) error_size;
    %s
    return -3;
}
"""


@pytest.mark.parametrize("body, why", [
    ('snprintf(error, error_size, "no %s today", argument);', "no bread:and butter today"),
    ("", r"its open\(\) returned -3 and did not say why"),
    ("memset(error, 'x', error_size);", "x{100,}"),
])
def test_a_plugin_that_does_not_open(bench, folder, body, why):
    """close() does not follow: it would crash here."""
    source = MINIMAL.replace("static", OPEN % body + "static void never(void *state) { *(volatile int *) state = 1; }"
                             "\nstatic", 1).replace(".handle", ".open = try, .close = never, .handle")
    shared_object.build(folder, "shy", source)
    assert re.fullmatch(r"the plugin \./shy\.so \(minimal\) can't be opened: " + why,
                        refusal(bench, "plugin:shy.so:bread:and butter"))


# ---- what is asked and answered

def test_messages_and_replies(tester):
    client = tester().server.connect()
    messages = ["Zack", "", "nothing", "same as before", "room-twice", "ä" * 1000]
    client.send_message(*messages)
    assert client.lines(len(messages)) == [b"Zack", b"", b"", b"same as before", b"kept", "ä".encode() * 1000]


def test_any_byte(tester):
    client = tester("-f", "netstring").server.connect()
    assert client.ask(b"") == b""
    assert client.ask(b"\0\n\xff\r\n") == b"\0\n\xff\r\n"
    assert client.ask("bytes") == b"a\0\xff\r\nb"


@pytest.mark.parametrize("message, framing, why", [
    ("lf", "line", "the handler's reply can't be sent: "),
    ("cr", "line", "the handler's reply can't be sent: "),
    ("nothing", "raw", "the handler's reply can't be sent: "),
    ("busy", "line", "the handler's reply can't be sent: its code is the server's alone"),
    ("refuse stopping", "line", "the handler's reply can't be sent: its code is the server's alone"),
    ("refuse two words", "line", "the handler has refused with a code that is no word"),
    ("refuse", "line", "the handler has refused with a code that is no word"),
    ("refuse ä", "line", "the handler has refused with a code that is no word"),
    ("overrun", "line", "the handler has added more than it asked room for"),
    ("too-much", "line", "the handler's reply is too long"),
])
def test_a_reply_that_is_none(tester, message, framing, why):
    client = tester("-f", framing).server.connect()
    assert client.ask(message).startswith(f"-ERR handler-failed {why}".encode())
    assert client.ask("still here") == b"still here"


def test_after_a_failure_there_is_nothing_more(tester):
    plugin = tester()
    assert is_error(plugin.server.connect().ask("too-much"), "handler-failed")
    assert "16 pieces, then none" in plugin.entries()


@pytest.mark.parametrize("code", ["bad-request", "unavailable", "own", "handler-failed"])
def test_a_refusal_replaces_the_reply(tester, code):
    plugin = tester()
    client = plugin.server.connect()
    client.send_message(f"refuse {code}", "next")
    assert client.lines(2) == [f"-ERR {code} for 3 reasons".encode(), b"next"]
    plugin.wait_entry("refused")


def test_a_long_refusal_is_cut(tester):
    reply = tester().server.connect().ask("refuse-long")
    assert re.fullmatch(rb"-ERR long 0{1000}", reply)


def test_a_large_reply_in_pieces(tester):
    client = tester("-q").server.connect()
    size = 1 << 20
    reply = client.ask(f"pieces {size}")
    assert reply == b"".join(bytes([97 + way % 26]) * 1000 for way in range(size // 1000 + 1))[:size]


def test_replies_keep_their_order(tester):
    client = tester("-q").server.connect()
    count = harness.scaled(5000, 500)
    client.send_in_background("".join(f"{number}\n" for number in range(count)), client.half_close)
    assert client.replies() == [b"%d" % number for number in range(count)]


# ---- begin and end

def test_opened_and_closed_once(tester):
    plugin = tester()
    assert plugin.entries() == ["open"]
    for _ in range(3):
        plugin.server.connect().ask("x")
    plugin.server.close_clients()
    assert plugin.server.stop() == 0
    assert plugin.entries() == ["open", "close"]


def test_closed_when_the_server_does_not_start(bench, folder, server, tester_so):
    taken = server().address
    run = bench.run([BANTERD, "--listen", taken, "-H", f"plugin:{tester_so}:diary"])
    assert run.status == 1 and run.stderr.startswith(b"Bind failed. Error : ")
    assert (folder / "diary").read_text().splitlines() == ["open", "close"]


def test_neither_open_nor_close(server, folder):
    shared_object.build(folder, "minimal", MINIMAL)
    banterd = server("-H", "plugin:minimal.so")
    assert banterd.connect().ask("Zack") == b"Zack"
    banterd.close_clients()
    assert banterd.stop() == 0


def test_a_plugin_that_hides_its_symbols(server, folder):
    """The header makes the one that counts visible."""
    shared_object.build(folder, "minimal", MINIMAL, "-fvisibility=hidden")
    assert server("-H", "plugin:minimal.so").connect().ask("Zack") == b"Zack"


def test_no_close_while_a_call_is_left_behind(tester):
    plugin = tester("--drain-timeout", "100ms")
    plugin.server.expect_status = 2
    client = plugin.server.connect()
    client.send_message("pause")
    plugin.server.log.wait_line("[1] Processing the input received from client: pause")
    plugin.server.send_signal(signal.SIGTERM)
    assert_stopped(client, ["-ERR handler-timeout"])
    assert plugin.server.wait() == 2
    assert plugin.entries() == ["open"]


# ---- many threads, and long calls

def test_others_are_served_while_it_computes(tester):
    """One loop; the computing ends only when another client has been served."""
    server = tester("-t", "1").server
    slow, light = server.connect(), server.connect()
    slow.send_message("compute", "behind")
    server.log.wait_line("[1] Processing the input received from client: compute")
    for number in range(50):
        assert light.ask(str(number)) == b"%d" % number
    assert not slow.readable()
    assert light.ask("release") == b"released"
    assert slow.lines(2) == [b"computed", b"behind"]


@pytest.mark.parametrize("threads", ["1", "2"])
def test_many_calls_at_once(tester, threads):
    """None of them comes back before all are inside."""
    server = tester("-t", threads).server
    count = harness.scaled(100, 20)
    clients = [server.connect() for _ in range(count)]
    for client in clients:
        client.send_message(f"meet {count}")
    assert [client.readline() for client in clients] == [b"%d have met" % count] * count


def test_the_handler_is_told_that_the_client_has_left(tester):
    plugin = tester()
    client = plugin.server.connect()
    client.send_message("until-unwanted")
    plugin.wait_entry("wanted")
    client.reset()
    plugin.wait_entry("unwanted")


def test_the_handler_is_told_that_its_time_is_over(tester):
    plugin = tester("--handler-timeout", "200ms")
    client = plugin.server.connect()
    client.send_message("until-unwanted", "next")
    assert is_error(client.readline(), "handler-timeout")
    assert client.readline() == b"next"
    plugin.wait_entry("unwanted")
    plugin.server.log.wait_for(r"^\[1\] An answer was dropped: ")


# ---- who asks

def everybody(plugin, folder):
    """The first clients, one of each family, and what the plugin is to say of each."""
    server = plugin.server
    server.wait_ready(3)
    clients = []
    for number, address in enumerate([*server.addresses[:2], f"unix:{folder}/socket"], 1):
        client = server.connect(address)
        assert client.ask("x") == b"x"  # before the next one connects
        name = f"{address},uid={os.geteuid()}" if number == 3 else f"{client.name},"
        clients.append((client, f"{name},{number}"))
    return clients


@pytest.fixture
def known(tester, folder):
    """The test plugin's server, which listens on addresses of each family."""
    return lambda *options: tester("--listen", "[::1]:0", "--listen", f"unix:{folder}/socket", *options)


def test_a_handler_can_ask_who_asks(known, folder):
    plugin = known("-t", "1")
    for client, who in everybody(plugin, folder):
        for _ in range(3):
            assert client.ask("who") == who.encode()


def test_it_can_ask_after_its_loop_was_taken(known, folder):
    """And in a thread of the executor: what took long before does so again."""
    plugin = known("-t", "1")
    clients = everybody(plugin, folder)
    for client, _ in clients:
        client.send_message("who-later", "who-later")
    assert plugin.server.connect().ask("release") == b"released"  # no loop would be there to say it
    for client, who in clients:
        assert client.lines(2) == [who.encode()] * 2


def test_it_can_ask_after_the_client_has_left(known, folder):
    """The session is gone, and others have come in its place."""
    plugin = known("-t", "1")
    clients = everybody(plugin, folder)
    expected = [who for _, who in clients]
    for client, _ in clients:
        client.send_message("who-has-left")
    wait_until(lambda: plugin.entries().count("wanted") == 3, "all are in")
    for client, _ in clients:
        client.reset()
    wait_until(lambda: plugin.entries().count("unwanted") == 3, "all have left")
    for _ in range(3):
        everybody(plugin, folder)
    assert plugin.server.connect().ask("release") == b"released"
    wait_until(lambda: sorted(plugin.entries()[-3:]) == sorted(expected), "all are known")


def test_it_is_told_of_the_client_behind_a_proxy(tester):
    """In the call, later from another thread, and when the client has left."""
    plugin = tester("-t", "1", "--proxy-from", "127.0.0.1")
    client = plugin.server.connect()
    client.send(b"PROXY TCP6 2001:db8::1 ::1 7 8\r\n")
    assert client.ask("who") == b"[2001:db8::1]:7,,1"
    client.send_message("who-has-left")
    plugin.wait_entry("wanted")
    client.reset()
    plugin.wait_entry("unwanted")
    other = plugin.server.connect()
    other.send(b"PROXY TCP4 10.1.2.3 127.0.0.1 1 2\r\n")
    assert other.ask("release") == b"released"
    plugin.wait_entry("[2001:db8::1]:7,,1")
    other.send_message("who")
    assert other.readline() == b"10.1.2.3:1,,2"


# ---- the header

def test_the_header_in_older_c(folder):
    shared_object.build(folder, "old", MINIMAL, "-pedantic", standard="c99")


CPP = """
#include <banter/handler.h>
#include <string>
namespace {
int open(const char *argument, void **state, char *, size_t)
{
    *state = new std::string(argument ? argument : "nothing");
    return 0;
}
void handle(void *state, const char *message, size_t size, banter_reply *reply)
{
    std::string text = *static_cast<std::string *>(state) + " and " + std::string(message, size);
    banter_reply_append(reply, text.data(), text.size());
    const std::string who = banter_reply_address(reply) + std::string(banter_reply_identity(reply));
    banter_reply_printf(reply, " of %s in %d", who.c_str(), static_cast<int>(banter_reply_session(reply)));
}
void close(void *state) { delete static_cast<std::string *>(state); }
}
extern "C" const struct banter_handler banter_handler = {BANTER_HANDLER_ABI, "plus", open, handle, close};
"""


@pytest.mark.skipif(not shutil.which("c++"), reason="there is no C++ compiler")
def test_a_plugin_in_cpp(server, folder):
    (folder / "plus.cc").write_text(CPP)
    shared_object.compile_with("-std=c++11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                               f"-I{shared_object.HEADERS}", "-o", folder / "plus.so", folder / "plus.cc",
                               compiler=["c++"])
    client = server("-H", "plugin:plus.so:bread:x").connect()
    assert client.ask("butter") == f"bread:x and butter of {client.name} in 1".encode()


@pytest.mark.parametrize("name", ["hello", "echo"])
def test_what_is_built_in_is_written_as_a_plugin(server, folder, name):
    """The same source, with another name for its symbol, is one."""
    source = (TOP / "server/handlers" / f"{name}.c").read_text()
    shared_object.build(folder, name, source, f"-Dhandler_{name}_functions=banter_handler", f"-I{TOP}", "-lunistring")
    messages = ["Zack", "straße \t", "", "x" * 5000, b"\xff", "--QUIT--"]
    replies = []
    for handler in (name, f"plugin:{name}.so"):
        client = server("-H", handler, "-q").connect()
        client.send_message(*messages)
        replies.append(client.replies())
    assert len(replies[0]) == 5 and replies[0] == replies[1]


def test_the_server_shows_plugins_nothing_but_the_interface():
    """And what its own module for NATS uses, if it has one."""
    exports = re.findall(r"(\w+\*?);", (TOP / "server/nats/exports").read_text())
    shown = subprocess.run(["nm", "--dynamic", "--defined-only", "--format=posix", BANTERD], capture_output=True, text=True,
                           timeout=harness.LIMIT).stdout
    declared = set(re.findall(r"\b(banter_reply_\w+)\(", (shared_object.HEADERS / "banter/handler.h").read_text()))
    offered = {line.split()[0] for line in shown.splitlines() if line.split()[1] == "T"}
    assert len(declared) == 9 and declared <= offered
    if not shared_object.SANITIZE and not harness.SLOW:
        assert {name for name in offered if not name.startswith("_")} - declared == {
            name for name in offered if any(fnmatch.fnmatch(name, pattern) for pattern in exports)}
