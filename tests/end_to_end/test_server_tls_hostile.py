"""-l tls:ADDRESS, --handshake-timeout, --max-per-address, --write-timeout: clients that shake hands late, or never,
and what becomes of the others meanwhile."""
import random
import socket
import ssl
import struct
import subprocess

import pytest

from harness import LIMIT, LineClient, is_error, scaled, wait_until
from secure import Secured, connect, raw_connection, s_client


def hello_of(context):
    """What a client says first."""
    hello = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
    return hello.read()


def rest_of(raw):
    """All that comes, to the end of the stream; a reset is an end, too."""
    said = b""
    try:
        while data := raw.recv(65536):
            said += data
    except ConnectionError:
        pass
    return said


def is_served(banterd, context):
    """Whether somebody else can shake hands now, and is answered."""
    with raw_connection(banterd.address) as raw:
        try:
            return LineClient(Secured(raw, context)).ask("Zack") == b"Hello ZACK"
        except (OSError, ssl.SSLError):
            return False


# ---- handshakes that never end

def test_handshakes_without_end_make_room(secure, context):
    """More than there is room for, each behind the first answer."""
    banterd = secure("--handshake-timeout", "0")
    early = connect(banterd, context)
    hello, silent = hello_of(context), []
    for _ in range(300):
        silent.append(raw_connection(banterd.address))
        silent[-1].sendall(hello)
    assert connect(banterd, context).ask("Zack") == b"Hello ZACK"
    assert early.ask("Jane") == b"Hello JANE"
    banterd.log.wait_for(r"^TLS handshake with .* failed: it did not come, and others wait$")
    for raw in silent:
        raw.close()
    wait_until(lambda: banterd.descriptors() < 100, "they are gone")


@pytest.mark.parametrize("part", ["the hello", "what comes behind the answer"])
def test_a_handshake_byte_by_byte(secure, context, part):
    """Bytes that come all the time are no reason to wait."""
    banterd = secure("--handshake-timeout", "300ms")
    raw = raw_connection(banterd.address)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    hello = hello_of(context)
    if part != "the hello":
        raw.sendall(hello)
        raw.recv(65536)
        hello = b"\x17\x03\x03\x40\x00" + bytes(16384)
    raw.settimeout(0.05)
    with pytest.raises(ConnectionError):
        for byte in hello * 10:
            raw.sendall(bytes([byte]))
            try:
                assert raw.recv(1) == b""
                raise ConnectionError
            except TimeoutError:
                pass
    banterd.log.wait_for(r"^TLS handshake with .* failed: it did not come in time$")
    raw.close()
    assert connect(banterd, context).ask("Zack") == b"Hello ZACK"


def has_received(port):
    """Whether bytes wait to be read on a connection to this port."""
    with open("/proc/net/tcp") as table:
        rows = [row.split() for row in table.read().splitlines()[1:]]
    return any(row[1] == f"0100007F:{port:04X}" and row[2] != "00000000:0000" and not row[4].endswith(":00000000")
               for row in rows)


def test_a_client_that_stands_still(secure, context, certificates, start_banter):
    """While the server waits for what it says next."""
    banterd = secure("--handshake-timeout", "200ms")
    banterd.suspend()
    banter = start_banter("-c", banterd.address.replace("127.0.0.1", "localhost"), "--ca", certificates.path("ca.crt"),
                          "Zack", expect_status=76, expect_stderr=".*: connection lost: .*")
    wait_until(lambda: has_received(banterd.port), "it has said its hello")
    banter.suspend()
    banterd.resume()
    banterd.log.wait_for(r"^TLS handshake with .* failed: it did not come in time$")
    banter.resume()
    assert banter.wait() == 76
    assert connect(banterd, context).ask("Zack") == b"Hello ZACK"


def test_resets_in_the_handshake(secure, context):
    """They leave no descriptor behind, and no place among the clients."""
    banterd = secure("-qq", "--max-clients", "20", "--max-per-address", "20")
    hello, before = hello_of(context), banterd.descriptors()
    for count in range(scaled(600, 100)):
        raw = raw_connection(banterd.address)
        raw.sendall(hello[:random.Random(count).randrange(len(hello) + 1)] or hello)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
    wait_until(lambda: is_served(banterd, context), "there is a place")
    wait_until(lambda: banterd.descriptors() <= before, "all are closed")


def test_a_flood_behind_a_refusal(secure, context):
    """It is told what is wrong, and then not read for long: others shake hands meanwhile."""
    banterd = secure()
    flood = banterd.connect(banterd.address.removeprefix("tls:"), framing="line")
    sent = []

    def send():
        try:
            while True:
                sent.append(flood.socket.send(b"x" * 1_000_000))
        except OSError:
            pass
    thread = flood.send_in_background(b"x", send)
    assert connect(banterd, context).ask("Zack") == b"Hello ZACK"
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert sum(sent) < 200_000_000  # the kernel's buffers, some times over; a second of all that is read is a gigabyte
    assert connect(banterd, context).ask("Jane") == b"Hello JANE"


# ---- one address

def test_failed_handshakes_leave_the_address_its_places(secure, context):
    banterd = secure("--max-per-address", "2", "--deny", "127.0.0.2")
    first = connect(banterd, context)
    assert first.ask("Zack") == b"Hello ZACK"
    for said in (b"GET / HTTP/1.0\r\n\r\n", hello_of(context)[:-9], hello_of(client_context_of("h2", context)), b""):
        for _ in range(5):
            raw = raw_connection(banterd.address)
            raw.sendall(said)
            raw.shutdown(socket.SHUT_WR)
            rest_of(raw)
            raw.close()
    assert connect(banterd, context).ask("Jane") == b"Hello JANE"
    third = connect(banterd, context)
    assert is_error(third.reply(), "busy")
    assert third.at_eof()
    first.close()
    wait_until(lambda: is_served(banterd, context), "there is a place again")


def client_context_of(protocol, context):
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    other.set_alpn_protocols([protocol])
    return other


# ---- sessions

def test_a_client_that_never_reads(secure, context):
    """It is given up, and not read meanwhile."""
    banterd = secure("-qq", "-H", "echo", "--max-message", "1M", "--write-timeout", "500ms")
    deaf = connect(banterd, context)
    before = banterd.memory()
    thread = deaf.send_in_background((b"x" * 999_999 + b"\n") * 60)
    assert connect(banterd, context).ask("Zack") == b"Zack"
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert banterd.memory("VmHWM") - before < scaled(30, 200) << 20
    assert connect(banterd, context).ask("Jane") == b"Jane"


def test_an_end_of_one_half_that_is_no_end_of_the_other(secure, context):
    """A close_notify without a FIN, and a FIN without a close_notify, each with a reply on its way."""
    banterd = secure("-H", "test")
    polite, rude = connect(banterd, context), connect(banterd, context)
    for client in (polite, rude):
        client.send("later 100 x\n")
    polite.socket.raw.sendall(polite.socket.goodbye())
    rude.socket.raw.shutdown(socket.SHUT_WR)
    for client in (polite, rude):
        assert client.readline() == b"x"
        assert client.at_eof()
    banterd.log.wait_line("[2] The stream was cut")
    assert not banterd.log.find(r"^\[1\] The stream was cut")


# ---- what others say first

def extension(number, data):
    return struct.pack("!HH", number, len(data)) + data


def listed(data, size="!H"):
    return struct.pack(size, len(data)) + data


def test_the_hello_of_a_browser(secure, folder):
    """With made-up values among the real ones, a share of a hybrid key that makes it two packets long, an old session's
    name, and the protocols of the web."""
    made_up = b"\x7a\x7a"
    x25519 = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    hybrid = bytes(range(256)) * 4 + bytes(192)
    shares = made_up + listed(b"\0") + b"\x11\xec" + listed(hybrid) + b"\0\x1d" + listed(x25519)
    extensions = b"".join([
        extension(0x7a7a, b""), extension(0, listed(b"\0" + listed(b"localhost"))), extension(23, b""),
        extension(0xff01, b"\0"), extension(11, b"\1\0"),
        extension(10, listed(made_up + b"\x11\xec\0\x1d\0\x17\0\x18")), extension(35, b""),
        extension(16, listed(b"\2h2" + b"\x08http/1.1")), extension(5, b"\1\0\0\0\0"),
        extension(13, listed(bytes.fromhex("0403080404010503080505010806 0601"))), extension(18, b""),
        extension(51, listed(shares)), extension(45, b"\1\1"), extension(43, listed(made_up + b"\3\4\3\3", "!B")),
        extension(27, b"\2\0\2"), extension(17513, listed(b"\2h2")), extension(0x8a8a, b"\0"),
        extension(21, bytes(60))])
    hello = (b"\3\3" + bytes(range(32)) + listed(bytes(range(32)), "!B") +
             listed(made_up + bytes.fromhex("130113021303c02bc02fc02cc030cca9cca8c013c014009c009d002f0035")) + b"\1\0" +
             listed(extensions))
    said = b"\1" + struct.pack("!I", len(hello))[1:] + hello
    banterd = secure()
    raw = raw_connection(banterd.address)
    raw.sendall(b"\x16\3\1" + listed(said))
    answer = rest_of(raw)
    assert answer == b"\x15\3\3\0\2\2\x78"  # no_application_protocol
    banterd.log.wait_for(r"^TLS handshake with .* failed: no application protocol$")
    raw.close()


def test_early_data_is_not_taken(secure, bench, certificates, folder):
    """A client that has a ticket of another server which would take it. What comes behind the handshake is answered."""
    other = bench.start(["openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-max_early_data", "9",
                         "-cert", certificates.path("server.pem")], stdin=subprocess.PIPE, expect_stderr="(?s).*",
                        expect_status=None)
    port = other.stdout.wait_for(r"^ACCEPT .*:(\d+)$")[1]
    session = bench.start(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-sess_out", folder / "session"],
                          stdin=subprocess.PIPE, expect_stderr="(?s).*", expect_status=None)
    ticket = folder / "session"
    wait_until(lambda: ticket.exists() and "END SSL SESSION" in ticket.read_text(), "there is a ticket")
    for program in (session, other):
        program.kill()
        program.expect_status = program.process.returncode
    (folder / "early").write_text("Early\n")
    banterd = secure()
    run = s_client(banterd, "-ign_eof", "-sess_in", folder / "session", "-early_data", folder / "early",
                   input=b"Zack\n--QUIT--\n")
    assert b"Early data was rejected" in run.stdout
    assert b"Hello ZACK" in run.stdout and b"Hello EARLY" not in run.stdout
    assert not banterd.log.find("Early")
