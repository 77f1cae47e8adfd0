"""tls: --ca, the client through TLS, with a server that is trusted: requests, replies, and how it ends."""
import re
import shutil
import subprocess

import pytest

import harness
from haproxy import HAPROXY
from harness import BANNER, BANTER, Run, Talkers, scaled, wait_until
from peers.scripted import hello
from peers.secure import Cutter, SecurePeer


@pytest.fixture
def ca(certificates):
    return certificates.path("ca.crt")


@pytest.fixture
def secure_peer(certificates):
    """A server that says Hello, through TLS."""
    with SecurePeer(hello, certificates.path("server.pem")) as peer:
        yield peer


# ---- requests and replies

def test_messages(run_banter, secure_peer, ca):
    assert run_banter("-c", secure_peer.address, "--ca", ca, "Zack", "Jane") == Run(0, b"Hello Zack\nHello Jane\n", b"")
    connection = secure_peer.connection()
    assert connection.finished.wait(harness.LIMIT)
    assert (connection.received, connection.was_ended) == (b"Zack\nJane\n--QUIT--\n", True)
    assert connection.socket.version() is None  # both have said that they send no more


def test_offers_its_protocol(run_banter, ca, certificates):
    def tell(connection):
        told.append(connection.socket.selected_alpn_protocol())
        told.append(connection.socket.version())
        hello(connection)
    told = []
    with SecurePeer(tell, certificates.path("server.pem"), protocols=("h2", "banter")) as peer:
        assert run_banter("-c", peer.address, "--ca", ca, "a").status == 0
    assert told == ["banter", "TLSv1.3"]


def test_a_server_without_alpn(run_banter, ca, certificates):
    with SecurePeer(hello, certificates.path("server.pem"), protocols=None) as peer:
        assert run_banter("-c", peer.address, "--ca", ca, "a") == Run(0, b"Hello a\n", b"")


def test_script(run_banter, secure_peer, ca):
    lines = [f"line {number}" for number in range(scaled(300_000, 20_000))]
    run = run_banter("-q", "-c", secure_peer.address, "--ca", ca, input="".join(line + "\n" for line in lines).encode())
    assert (run.status, run.stderr) == (0, b"")
    assert run.stdout.decode().splitlines() == [f"Hello {line}" for line in lines]


def test_long_lines(run_banter, ca, certificates):
    """Longer than a record, both ways."""
    long = b"x" * 1_000_000
    with SecurePeer(hello, certificates.path("server.pem")) as peer:
        run = run_banter("-q", "-c", peer.address, "--ca", ca, input=long + b"\nshort\n")
    assert run == Run(0, b"Hello " + long + b"\nHello short\n", b"")


@pytest.mark.parametrize("framing, sent, said", [
    ("crlf", b"a\r\n", b"b\r\n"), ("netstring", b"1:a,", b"1:b,"), ("block", b"a\n", b"b\n.\n"), ("raw", b"a", b"b")])
def test_framings(run_banter, ca, certificates, framing, sent, said):
    def behave(connection):
        while not connection.received.endswith(sent):
            connection.fill()
        connection.send(said)
        connection.wait_end()
    with SecurePeer(behave, certificates.path("server.pem")) as peer:
        assert run_banter("-c", peer.address, "--ca", ca, "-f", framing, "a") == Run(0, b"b\n", b"")


@pytest.mark.parametrize("form", ["tls:localhost:{port}", "tls:{port}", "tls::{port}", "tls:127.0.0.1:{port}"])
def test_forms_of_addresses(run_banter, secure_peer, ca, form):
    address = form.format(port=secure_peer.address.rsplit(":", 1)[1])
    assert run_banter("-c", address, "--ca", ca, "a") == Run(0, b"Hello a\n", b"")


def test_unix_socket(run_banter, ca, certificates, folder):
    with SecurePeer(hello, certificates.path("server.pem"), path=f"{folder}/socket") as peer:
        run = run_banter("-c", peer.address, "--ca", ca, "--tls-name", "localhost", "a")
        assert run == Run(0, b"Hello a\n", b"")


def test_greeting(run_banter, ca, certificates):
    """It comes with the handshake's last bytes, before the client has sent anything."""
    def greet(connection):
        connection.send(b"220 ready\n")
        hello(connection)
    with SecurePeer(greet, certificates.path("server.pem")) as peer:
        run = run_banter("-c", peer.address, "--ca", ca, "--greeting", "1", "a")
        assert run == Run(0, b"Hello a\n", f"banter: {peer.address}: greeting: 220 ready\n".encode())


def test_address_of_the_environment(run_banter, secure_peer, ca):
    env = {"BANTER_ADDRESS": secure_peer.address, "BANTER_CA": str(ca)}
    assert run_banter("a", env=env) == Run(0, b"Hello a\n", b"")


# ---- at a terminal

def test_terminal(at_terminal, secure_peer, ca):
    connected = f"Connected to {secure_peer.address}, CN=localhost,O=Banter"
    screen = at_terminal(secure_peer, "--ca", ca, columns=100)
    screen.enter("Zack")
    screen.wait_lines(connected, BANNER, "-> Zack", "Hello Zack", "->")
    screen.enter("quit")
    assert screen.wait_end() == 0
    assert screen.lines[-1] == f"Connection to {secure_peer.address} closed"


def test_terminal_quiet(at_terminal, secure_peer, ca):
    screen = at_terminal(secure_peer, "-q", "--ca", ca)
    screen.enter("Zack")
    screen.wait_lines("-> Zack", "Hello Zack", "->")


@pytest.mark.parametrize("subject, shown", [
    ("/O=A, B/CN=a\\+b", r"CN=a\+b,O=A\, B"), ("/O=Käse\x1b[31m/CN=\u202ex", r"CN=\xe2\x80\xaex,O=Käse\1B[31m"),
    ("/", "")])
def test_who_has_answered(at_terminal, ca, certificates, subject, shown):
    """As RFC 4514 writes it, and never raw; without a subject there is nothing to say."""
    name = f"subject-{len(shown)}"
    with SecurePeer(hello, certificates.sign(name, subject, utf8=True)) as peer:
        screen = at_terminal(peer, "--ca", ca, columns=100)
        assert screen.lines[0] == f"Connected to {peer.address}" + (f", {shown}" if shown else "")


def test_terminal_connects_again(at_terminal, ca, certificates):
    """A cut is a loss; the next line goes over another handshake."""
    def once(connection):
        connection.send(b"Hello " + connection.line() + b"\n")
        peer.hold()
        connection.cut()
    with SecurePeer(once, certificates.path("server.pem")) as peer:
        screen = at_terminal(peer, "--ca", ca, columns=100)
        screen.enter("a")
        screen.wait_last("Hello a", "->")
        peer.release()
        lost = f"Connection to {peer.address} lost: the stream was cut: it ended without a close_notify"
        screen.wait_last("Hello a", lost, "->")
        screen.enter("b")
        screen.wait_last("-> b", f"Connected to {peer.address} again", "Hello b", lost, "->")


# ---- half closes

def test_half_close(run_banter, ca, certificates):
    """Our end comes with the requests, before the tickets of the server were read; replies come behind it."""
    def at_end(connection):
        connection.wait_end()
        connection.send(b"".join(b"Hello " + line + b"\n" for line in connection.received.splitlines()))
    with SecurePeer(at_end, certificates.path("server.pem"), tickets=10) as peer:
        run = run_banter("-c", peer.address, "--ca", ca, "--half-close", input=b"a\nb\n")
        assert run == Run(0, b"Hello a\nHello b\n", b"")
        assert peer.connection().received == b"a\nb\n"


def test_a_server_that_ends_with_its_last_reply(run_banter, ca, certificates):
    def one(connection):
        connection.send(b"Hello " + connection.line() + b"\n")
        connection.say_end()
    with SecurePeer(one, certificates.path("server.pem")) as peer:
        assert run_banter("-c", peer.address, "--ca", ca, "a") == Run(0, b"Hello a\n", b"")


# ---- cuts

REPLIES = [b"%d" % number for number in range(20)]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_cut_anywhere(bench, ca, certificates, part):
    """Of twenty replies and the server's word for the end: with a byte less than all it is a loss, with all none."""
    def answer(connection):
        while connection.received.count(b"\n") < len(REPLIES):
            connection.fill()
        cutter.hold()
        for reply in REPLIES:
            connection.send(reply + b"\n")
        connection.say_end()

    def run(size):
        held = []
        middle = Talkers(lambda size: held.append(cutter.serve_cut(size)), [size])
        run = bench.run([BANTER, "-q", "-c", cutter.address, "--ca", ca, *map(bytes.decode, REPLIES)])
        middle.join()
        return held[0], run.status, run.stdout

    with SecurePeer(answer, certificates.path("server.pem"), tickets=0) as peer:
        cutter = Cutter(peer)
        whole = b"".join(reply + b"\n" for reply in REPLIES)
        held, status, said = run(None)
        assert (status, said) == (0, whole)
        assert held == len(REPLIES) * 22 + len(whole) + 24  # what records add
        for size in range(part, held, scaled(4, 40)):
            _, status, said = run(size)
            assert status == 76 and whole.startswith(said) and said.count(b"\n") == len(said.split()), size
        cutter.close()


def test_a_cut_behind_the_last_reply(run_banter, ca, certificates):
    def one(connection):
        connection.send(b"Hello " + connection.line() + b"\n")
        connection.cut()
    with SecurePeer(one, certificates.path("server.pem")) as peer:
        run = run_banter("-c", peer.address, "--ca", ca, "a")
        assert run == Run(76, b"Hello a\n", f"banter: {peer.address}: connection lost: the stream was cut: it ended "
                                            "without a close_notify\nbanter: 1 message sent, 1 reply received\n".encode())


def test_a_reset_is_a_cut(run_banter, ca, certificates):
    def one(connection):
        connection.send(b"Hello " + connection.line() + b"\n")
        connection.reset()
        connection.refused = "it was reset"
    with SecurePeer(one, certificates.path("server.pem")) as peer:
        run = run_banter("-c", peer.address, "--ca", ca, "a")
        assert run.status == 76 and b"connection lost: Connection reset by peer\n" in run.stderr


@pytest.mark.parametrize("word, cut, status", [("stopping", True, 76), ("stopping", False, 0), ("busy", True, 76),
                                               ("busy", False, 69)])
def test_a_last_word_that_a_cut_follows_is_a_reply(run_banter, ca, certificates, word, cut, status):
    """Or else who cuts could turn a reply into the promise that nothing was run."""
    def refuse(connection):
        connection.line()
        connection.send(b"-ERR %s\n" % word.encode())
        connection.cut() if cut else connection.say_end()
        peer.stop_listening()
    with SecurePeer(refuse, certificates.path("server.pem")) as peer:
        run = run_banter("-c", peer.address, "--ca", ca, "--again", "never", "a")
    said = b"-ERR %s\n" % word.encode() if cut else b""
    assert (run.status, run.stdout) == ((76 if word == "stopping" else status) if not cut else 76, said)


@pytest.mark.parametrize("last, options", [(b"-ERR stopping\n", []), (None, ["--again", "lost"])], ids=["stop", "cut"])
def test_again(run_banter, ca, certificates, last, options):
    """After a server that says that it stops, and after one that is cut off."""
    def leave_first(connection):
        if connection is not peer.connections[0]:
            hello(connection)
            return
        connection.send(b"Hello " + connection.line() + b"\n" + (last or b""))
        connection.say_end() if last else connection.cut()
    with SecurePeer(leave_first, certificates.path("server.pem")) as peer:
        run = run_banter("-q", "-c", peer.address, "--ca", ca, *options, "a", "b", "c")
        assert run == Run(0, b"Hello a\nHello b\nHello c\n", b"")


def test_again_meets_another_server(run_banter, ca, certificates):
    """It is not tried again, and nothing is sent to it."""
    def stop(connection):
        connection.line()
        peer.context.load_cert_chain(certificates.sign("impostor", by="other"))
        connection.send(b"-ERR stopping\n")
        connection.say_end()
    with SecurePeer(stop, certificates.path("server.pem")) as peer:
        run = run_banter("-q", "-c", peer.address, "--ca", ca, "--wait", "a")
        assert run.status == 77 and run.stdout == b"" and len(peer.connections) == 2
        assert run.stderr.startswith(b"banter: unable to connect again: " + peer.address.encode() +
                                     b": its certificate is not signed by anybody in ")


def test_reply_timeout(run_banter, ca, certificates):
    with SecurePeer(lambda connection: connection.wait_end(), certificates.path("server.pem")) as peer:
        run = run_banter("-c", peer.address, "--ca", ca, "--timeout", "100ms", "a")
        assert run.status == 75


# ---- what others have made

PROXY = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen front
    bind unix@{folder}/front ssl crt {certificate}
    server one {server.address}
"""


def proxy_to(bench, server, certificate):
    """An HAProxy that speaks TLS in front of a server in the clear. Returns its address."""
    file = bench.folder / "haproxy.cfg"
    file.write_text(PROXY.format(folder=bench.folder, certificate=certificate, server=server))
    bench.start([HAPROXY, "-db", "-f", file], expect_stderr="(?s).*")
    wait_until((bench.folder / "front").exists, "the proxy listens")  # only then it has this name
    return f"tls:unix:{bench.folder}/front"


def test_behind_haproxy(bench, server, run_banter, ca, certificates):
    address = proxy_to(bench, server("-q", "-q"), certificates.path("server.pem"))
    lines = [b"line %d" % number for number in range(scaled(500_000, 20_000))]
    run = run_banter("-c", address, "--ca", ca, "--tls-name", "localhost", input=b"\n".join(lines))
    assert run.status == 0
    assert run.stdout.splitlines() == [b"Hello " + line.upper() for line in lines]


def test_s_server_changes_its_keys(bench, start_banter, ca, certificates):
    """With the wish that we change ours, before each of some replies."""
    server = bench.start(["openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", 1, "-msg", "-cert",
                          certificates.path("server.pem")], stdin=subprocess.PIPE, expect_stderr="(?s).*")
    port = server.stdout.wait_for(r"^ACCEPT .*:(\d+)$")[1]
    banter = start_banter("-c", f"tls:localhost:{port}", "--ca", ca)
    for number in range(3):
        banter.type(f"ask {number}\n")
        server.stdout.wait_line(f"ask {number}")
        server.type("K\n")
        server.stdout.wait_for("^>>> TLS 1.3, .*, KeyUpdate$", number + 1)
        server.type(f"reply {number}\n")
        banter.stdout.wait_line(f"reply {number}")
    banter.end_input()
    assert (banter.wait(), server.wait()) == (0, 0)


# ---- the module

def libraries(bench, *words):
    run = bench.run([BANTER, *words], env={"LD_DEBUG": "files"})
    return {name for name in ("libssl", "libcrypto", "banter-tls") if name.encode() in run.stderr}


def test_only_tls_opens_the_library(bench, secure_peer, ca, peer):
    assert libraries(bench, "-c", peer.address, "a") == set()
    assert libraries(bench, "-c", secure_peer.address, "--ca", ca, "a") == {"libssl", "libcrypto", "banter-tls"}


@pytest.mark.no_sanitizer
def test_without_the_module(bench, folder, secure_peer, peer, ca):
    """Nothing is sent, and plain addresses go on."""
    program = folder / "bin/banter"
    program.parent.mkdir()
    shutil.copy(BANTER, program)
    assert bench.run([program, "-c", peer.address, "a"]) == Run(0, b"Hello a\n", b"")
    command = [program, "-c", secure_peer.address, "--ca", ca, "--wait", "a"]
    run = bench.run(command)
    assert run.status == 69 and re.fullmatch(rb"banter: Connection Error: tls:\S+: TLS needs banter-tls\.so, which is "
                                             rb"not in \S+/banter\n", run.stderr)
    (folder / "bin/banter-tls.so").write_bytes(b"no library\n")
    run = bench.run(command)
    assert run.status == 69 and b": unable to open the module for TLS: " in run.stderr
    assert secure_peer.connections == []


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("place", ["bin", "lib/banter"])
def test_where_the_module_is(bench, folder, secure_peer, ca, place):
    program = folder / "bin/banter"
    for each in (folder / "bin", folder / place):
        each.mkdir(parents=True, exist_ok=True)
    shutil.copy(BANTER, program)
    shutil.copy(harness.BUILD / "banter-tls.so", folder / place)
    assert bench.run([program, "-c", secure_peer.address, "--ca", ca, "a"]) == Run(0, b"Hello a\n", b"")
