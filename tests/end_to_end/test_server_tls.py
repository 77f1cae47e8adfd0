"""-l tls:ADDRESS, --cert: clients that speak TLS, from the handshake to the end of the session."""
import os
import re
import socket
import ssl
import subprocess

import pytest

import harness
from certificates import openssl
from harness import BANTER, LIMIT, LineClient, Run, Talkers, is_error, scaled, wait_until
from reloads import Exchanged
from secure import Secured, client_context, connect, raw_connection, s_client
from test_server_access import connect_from

TAKES_A_LOOP = pytest.mark.parametrize("heavy", ["sleep 300 heavy", "compute 200 heavy"])


# ---- sessions

def test_our_client(secure, certificates):
    banterd = secure()
    assert banterd.address.startswith("tls:127.0.0.1:")
    run = subprocess.run([BANTER, "-c", banterd.address.replace("127.0.0.1", "localhost"), "--ca",
                          certificates.path("ca.crt"), "Zack", "Jane"], capture_output=True, timeout=LIMIT)
    assert Run(run.returncode, run.stdout, run.stderr) == Run(0, b"Hello ZACK\nHello JANE\n", b"")


@pytest.mark.parametrize("framing", ["line", "crlf", "block", "netstring", "raw"])
def test_framings(secure, context, framing):
    banterd = secure("--framing", framing)
    client = connect(banterd, context, framing=framing)
    assert client.ask("Zack") == b"Hello ZACK"
    assert client.ask("Jane") == b"Hello JANE"


def test_in_the_clear_beside_it(secure, context):
    banterd = secure("-l", "127.0.0.1:0", ready=False)
    banterd.wait_ready(2)
    assert banterd.connect(banterd.addresses[1]).ask("Zack") == b"Hello ZACK"
    assert connect(banterd, context).ask("Zack") == b"Hello ZACK"


def test_on_a_unix_socket(secure, context, folder):
    banterd = secure(listen=f"tls:unix:{folder}/s", ready=False)
    banterd.log.wait_line(f"Socket now listening on tls:unix:{folder}/s")
    client = connect(banterd, context, f"unix:{folder}/s")
    assert client.ask("Zack") == b"Hello ZACK"
    banterd.log.wait_line(f"[1] Connected with unix:{folder}/s as uid={os.geteuid()}")


def test_many_requests_at_once(secure, context):
    lines = [f"line {number}" for number in range(scaled(50_000, 5_000))]
    banterd = secure("-qq", "-H", "echo")
    client = connect(banterd, context)
    sender = client.send_in_background("".join(line + "\n" for line in lines), client.half_close)
    assert client.lines(len(lines)) == [line.encode() for line in lines]
    sender.join()


@pytest.mark.parametrize("size", [1, 16383, 16384, 16385, 100_000, 1 << 20])
def test_messages_of_all_sizes(secure, context, size):
    banterd = secure("-qq", "-H", "echo", "--max-message", "1M")
    client = connect(banterd, context)
    assert client.ask("x" * size) == b"x" * size


def test_a_request_with_the_end_of_the_handshake(secure, context):
    banterd = secure()
    client = connect(banterd, context, early=b"Zack\nJane\n")
    assert client.lines(2) == [b"Hello ZACK", b"Hello JANE"]


def test_small_reads_of_what_is_decrypted(secure, context):
    """raw reads no more than a message may have, and the rest of a record is known to nobody but OpenSSL."""
    banterd = secure("--framing", "raw", "-H", "echo", "--max-message", "10", framing="raw")
    client = connect(banterd, context, framing="raw")
    client.send("--QUIT--")
    assert client.at_eof()


def test_a_reader_that_is_slow(secure, context):
    banterd = secure("-qq", "-H", "echo", "--max-message", "1M")
    client = connect(banterd, context)
    sender = client.send_in_background(("x" * 1_000_000 + "\n") * 20, client.half_close)
    for _ in range(20):
        assert client.readline() == b"x" * 1_000_000
    assert client.at_eof()
    sender.join()


def test_each_byte_in_a_record_and_a_packet_of_its_own(secure, context):
    client = connect(secure(), context)
    client.send_each(b"Zack\n")
    assert client.readline() == b"Hello ZACK"


def test_records_in_pieces(secure, context):
    client = connect(secure(), context)
    for byte in client.socket.records(b"Zack\n"):
        client.socket.raw.sendall(bytes([byte]))
    assert client.readline() == b"Hello ZACK"


def test_key_updates(secure, bench):
    """Ours, and those that ask for the server's."""
    banterd = secure()
    client = bench.start(["openssl", "s_client", "-connect", f"127.0.0.1:{banterd.port}"], stdin=subprocess.PIPE,
                         expect_stderr="(?s).*")
    for turn, word in enumerate(["k", "K", "K", "k"]):
        client.type(f"{word}\n")
        client.stderr.wait_line("KEYUPDATE", turn + 1)
        client.type(f"Zack{turn}\n")
        client.stdout.wait_line(f"Hello ZACK{turn}")
    client.end_input()
    assert client.wait() == 0


@TAKES_A_LOOP
def test_a_loop_is_taken_in_the_middle_of_a_stream(secure, context, heavy):
    banterd = secure("-H", "test", "-t", "1", "-qq")
    slow, light = connect(banterd, context), connect(banterd, context)
    for turn in range(3):
        slow.send_message(heavy, *map(str, range(50)), "later 10 own", "again")
        assert light.ask(f"light {turn}") == f"light {turn}".encode()
        assert slow.lines(53) == [b"heavy", *(b"%d" % number for number in range(50)), b"own", b"again"]


@TAKES_A_LOOP
def test_a_loop_is_taken_between_new_keys(secure, bench, heavy):
    """The thread that goes on with the session goes on with its keys, of which there are others by now."""
    banterd = secure("-H", "test", "-t", "1")
    client = bench.start(["openssl", "s_client", "-connect", f"127.0.0.1:{banterd.port}"], stdin=subprocess.PIPE,
                         expect_stderr="(?s).*")
    expected = []
    for turn, word in enumerate(["K", "k", "K"]):
        client.type(f"before {turn}\n{heavy} {turn}\nbehind {turn}\n")
        banterd.log.wait_line(f"[1] Processing the input received from client: {heavy} {turn}")
        client.type(f"{word}\n")
        client.stderr.wait_line("KEYUPDATE", turn + 1)
        client.type(f"later 5 own {turn}\nlast {turn}\n")
        expected += [f"before {turn}", f"heavy {turn}", f"behind {turn}", f"own {turn}", f"last {turn}"]
    client.stdout.wait_line(expected[-1])
    client.end_input()
    assert client.wait() == 0
    assert [line for line in client.stdout.lines if line in expected] == expected


def test_sessions_move_between_loops(secure, context):
    def talk(number):
        client = LineClient(Secured(raw_connection(banterd.address), context))
        for turn in range(scaled(300, 50)):
            assert client.ask(f"{number} {turn}") == f"{number} {turn}".encode()
        client.socket.close()
    banterd = secure("-qq", "-H", "echo")
    Talkers(talk, range(8)).join()


# ---- programs

def test_a_program(secure, context):
    client = connect(secure("--", "sed", "-u", "s/^/Hi /"), context)
    assert client.ask("Zack") == b"Hi Zack"


def test_a_program_of_its_own_that_talks(secure, context):
    banterd = secure("--worker-per-client", "--reply-end", "none", "--", "sh", "-c", "echo hello; exec cat")
    client = connect(banterd, context, early=b"at once\n")
    assert client.lines(2) == [b"hello", b"at once"]
    client.send("Zack\n")
    assert client.readline() == b"Zack"
    client.half_close()
    assert client.at_eof()


# ---- the end of a session

def test_close_notify_both_ways(secure, context):
    banterd = secure()
    client = connect(banterd, context)
    client.send("Zack\n")
    client.half_close()
    assert client.readline() == b"Hello ZACK"
    assert client.at_eof()  # an end without a close_notify would be an error here
    banterd.log.wait_for(r"^Connection|\[1\] Connection .* closed$")
    assert not banterd.log.find("cut")


def test_quit_and_the_stop_end_with_close_notify(secure, context):
    banterd = secure()
    client, other = connect(banterd, context), connect(banterd, context)
    client.send("--QUIT--\n")
    assert client.at_eof()
    assert other.ask("Zack") == b"Hello ZACK"
    banterd.send_signal(15)
    assert is_error(other.reply(), "stopping")
    assert other.at_eof()
    other.close()
    assert banterd.wait() == 0


def test_a_cut_at_every_byte(secure, context):
    """Complete requests are answered, half a one gets nothing, and the log knows."""
    banterd = secure()
    with_end = Secured(raw_connection(banterd.address), context)
    size = len(with_end.records(b"Zack\nJane\nhalf") + with_end.goodbye())
    with_end.close()
    for count in range(size + 1):
        client = Secured(raw_connection(banterd.address), context)
        records = client.records(b"Zack\n") + client.records(b"Jane\nhalf")
        cut = len(records)
        records += client.goodbye()
        client.raw.sendall(records[:count])
        client.raw.shutdown(socket.SHUT_WR)
        expected = b"" if count < 27 else b"Hello ZACK\n" if count < cut else b"Hello ZACK\nHello JANE\n"
        got = b""
        while piece := client.recv(65536):
            got += piece
        if count < len(records):
            assert got == expected, count
            banterd.log.wait_for(r"The stream was cut$", count + 1)
        else:
            assert got.startswith(expected + b"-ERR incomplete ")
        client.close()


def test_what_is_no_record(secure, context):
    banterd = secure()
    client = connect(banterd, context)
    assert client.ask("Zack") == b"Hello ZACK"
    client.socket.raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    with pytest.raises(ssl.SSLError, match="(?i)bad.record.mac"):
        client.at_eof()
    banterd.log.wait_line("[1] The session was given up: what it sent is no TLS, an alert, or new keys without "
                          "end")
    assert connect(banterd, context).ask("Jane") == b"Hello JANE"


# ---- handshakes that fail

def test_no_older_version(secure):
    banterd = secure()
    assert b"alert number 70" in s_client(banterd, "-tls1_2").stderr
    banterd.log.wait_for(r"^TLS handshake with 127\.0\.0\.1:\d+ failed: unsupported protocol$")


@pytest.mark.parametrize("offered, is_taken", [("banter", True), ("h2,banter", True), ("h2", False), ("http/1.1", False)])
def test_protocols(secure, offered, is_taken):
    shown = s_client(secure(), "-ign_eof", "-alpn", offered, input=b"Zack\n--QUIT--\n")
    assert (b"Hello ZACK" in shown.stdout) == is_taken
    assert (b"alert number 120" in shown.stderr) != is_taken


def test_no_session_is_resumed(secure, folder):
    banterd = secure()
    s_client(banterd, "-ign_eof", "-sess_out", folder / "session", input=b"Zack\n--QUIT--\n")
    assert not (folder / "session").exists()


@pytest.mark.parametrize("said", [b"GET / HTTP/1.0\r\n\r\n", b"Zack\n", b"\x80\x2e\1\3\1", b"\n"])
def test_what_is_no_tls(secure, said):
    banterd = secure("--framing", "netstring")
    client = banterd.connect(banterd.address.removeprefix("tls:"), framing="line")
    name = client.name
    client.send(said)
    assert client.reply() == b"-ERR tls-required this address speaks TLS"
    assert client.at_eof()
    client.close()
    banterd.log.wait_line(f"TLS handshake with {name} failed: it does not speak TLS")


def test_a_handshake_that_is_cut_or_broken_at_every_byte(secure, context):
    received, hello = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(received, hello, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    said = hello.read()
    banterd = secure("-qq")
    for count in range(0, len(said), scaled(1, 7)):
        for end in (b"", b"\xff" * 600):
            raw = raw_connection(banterd.address)
            raw.sendall(said[:count] + end)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass
            raw.close()
    assert connect(banterd, context).ask("Zack") == b"Hello ZACK"
    wait_until(lambda: "Too many" not in banterd.log.text, "nobody is too many")


def test_handshake_timeout(secure, context):
    banterd = secure("--handshake-timeout", "100ms")
    raw = raw_connection(banterd.address)
    assert raw.recv(1) == b""
    banterd.log.wait_for(r"^TLS handshake with .* failed: it did not come in time$")
    raw.close()


def test_those_who_say_nothing_make_room(secure, context):
    banterd = secure("--handshake-timeout", "0")
    silent = [raw_connection(banterd.address) for _ in range(300)]
    assert connect(banterd, context).ask("Zack") == b"Hello ZACK"
    banterd.log.wait_for(r"^TLS handshake with .* failed: it did not come, and others wait$")
    for raw in silent:
        raw.close()
    wait_until(lambda: banterd.descriptors() < 100, "they are gone")


def test_one_that_waits_stays_beside_a_flood_of_another_address(secure, context):
    banterd = secure("--handshake-timeout", "0")
    other = connect_from(banterd, "127.0.0.2")
    flood = [raw_connection(banterd.address) for _ in range(300)]
    banterd.log.wait_for(r"^TLS handshake with 127\.0\.0\.1:\d+ failed: it did not come, and others wait$")
    client = LineClient(Secured(other.socket, context))
    assert client.ask("Zack") == b"Hello ZACK"
    for raw in (client.socket, *flood):
        raw.close()


def test_many_at_once(secure, context):
    def talk(number):
        client = LineClient(Secured(raw_connection(banterd.address), context))
        assert client.ask(f"n{number}") == f"Hello N{number}".encode()
        client.socket.close()
    banterd = secure("-qq")
    talkers = Talkers(talk, range(scaled(100, 20)))
    talkers.join()


def test_a_handshake_is_under_way_at_the_stop(secure, context):
    banterd = secure()
    raw = raw_connection(banterd.address)
    assert connect(banterd, context).ask("Zack") == b"Hello ZACK"
    banterd.close_clients()
    assert banterd.stop() == 0
    assert raw.recv(1) == b""
    raw.close()


# ---- who may connect

def test_a_denied_address_gets_an_alert(secure, context):
    banterd = secure("--deny", "127.0.0.1")
    with pytest.raises(ssl.SSLError, match="(?i)alert access denied"):
        connect(banterd, context)
    banterd.log.wait_for(r"^Denied 127\.0\.0\.1:\d+: --deny 127\.0\.0\.1$")


def test_too_many_of_one_address(secure, context):
    banterd = secure("--max-per-address", "1")
    first = connect(banterd, context)
    assert first.ask("Zack") == b"Hello ZACK"
    second = connect(banterd, context)
    assert is_error(second.reply(), "busy")
    assert second.at_eof()


def test_those_who_shake_hands_are_among_those_of_their_address(secure, context):
    """From accept to close, whatever comes of it."""
    banterd = secure("--max-per-address", "1", "--handshake-timeout", "0")
    for _ in range(3):
        silent = raw_connection(banterd.address)
        second = connect(banterd, context)
        assert is_error(second.reply(), "busy")
        assert second.at_eof()
        silent.close()
        wait_until(lambda: is_taken(banterd, context), "there is room again")
    banterd.log.wait_for(r"^Too many clients of one address, refused 127\.0\.0\.1:\d+$", 3)


def is_taken(banterd, context):
    try:
        client = connect(banterd, context)
    except (ssl.SSLError, ConnectionError):  # nobody heard it
        return False
    client.send("Zack\n--QUIT--\n")
    took = client.readline() == b"Hello ZACK"
    client.socket.close()
    return took


def test_one_address_keeps_no_other_from_connecting(secure, context):
    """Not even where fewer clients may be than may shake hands."""
    banterd = secure("-q", "--max-clients", "30", "--max-per-address", "2", "--handshake-timeout", "0")
    silent = [raw_connection(banterd.address) for _ in range(100)]
    banterd.log.wait_for(r"^Too many clients of one address, refused 127\.0\.0\.1:\d+$", 10)
    other = connect_from(banterd, "127.0.0.2")
    client = LineClient(Secured(other.socket, context))
    assert client.ask("Zack") == b"Hello ZACK"
    client.socket.close()
    for raw in silent:
        raw.close()
    wait_until(lambda: is_taken(banterd, context), "there is room again")


def test_the_user_of_a_unix_socket_shakes_hands(secure, context, folder):
    banterd = secure("--max-per-address", "1", "--handshake-timeout", "0", listen=f"tls:unix:{folder}/s", ready=False)
    banterd.log.wait_line(f"Socket now listening on tls:unix:{folder}/s")
    silent = raw_connection(f"unix:{folder}/s")
    second = connect(banterd, context, f"unix:{folder}/s")
    assert is_error(second.reply(), "busy")
    silent.close()


def test_clients_of_a_proxy_are_counted_as_they_are_told(secure, context):
    banterd = secure("--proxy-from", "127.0.0.1", "--max-per-address", "1", "--handshake-timeout", "0")
    silent, second, other = (raw_connection(banterd.address) for _ in range(3))
    silent.sendall(b"PROXY TCP4 10.1.2.3 127.0.0.1 54012 8000\r\n")
    second.sendall(b"PROXY TCP4 10.1.2.3 127.0.0.1 54013 8000\r\n")
    other.sendall(b"PROXY TCP4 10.1.2.4 127.0.0.1 54014 8000\r\n")
    assert LineClient(Secured(other, context)).ask("Zack") == b"Hello ZACK"
    assert is_error(LineClient(Secured(second, context)).reply(), "busy")
    for raw in (silent, second, other):
        raw.close()


@pytest.fixture
def clients(certificates):
    """Those that alice and others have."""
    certificates.sign("alice", "/O=Banter/CN=alice", "subjectAltName=DNS:Alice.Example,URI:spiffe://banter/alice")
    certificates.sign("mallory", "/O=Other/CN=alice", by="other")
    certificates.sign("old", "/O=Banter/CN=old", begin=-9, end=-1)
    certificates.sign_self("self", "/O=Banter/CN=alice")
    return certificates


@pytest.mark.parametrize("identity, why", [
    (None, "peer did not return a certificate"),
    ("mallory", "its certificate can't be trusted: unable to get local issuer certificate"),
    ("old", "its certificate can't be trusted: certificate has expired"),
    ("self", "its certificate can't be trusted: self-signed certificate")])
def test_wrong_certificates_of_clients(secure, clients, identity, why):
    banterd = secure("--client-ca", clients.path("ca.crt"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        client = connect(banterd, client_context(clients, identity))
        client.ask("Zack")
    banterd.log.wait_for(rf"^TLS handshake with .* failed: {re.escape(why)}$")
    assert not banterd.log.find("Processing")


@pytest.mark.parametrize("rules, is_allowed", [
    ((), True), (("--allow", "CN=alice"), True), (("--allow", "CN=bob"), False), (("--deny", "CN=alice"), False),
    (("--allow", "DNS:alice.example"), True), (("--allow", "DNS:*.example"), True),
    (("--allow", "URI:spiffe://banter/*"), True), (("--deny", "URI:spiffe://banter/alice"), False)])
def test_names_of_clients(secure, clients, rules, is_allowed):
    banterd = secure("--client-ca", clients.path("ca.crt"), *rules)
    client = connect(banterd, client_context(clients, "alice"))
    if is_allowed:
        assert client.ask("Zack") == b"Hello ZACK"
        banterd.log.wait_for(r"^\[1\] Connected with 127\.0\.0\.1:\d+ as CN=alice,O=Banter$")
    else:
        assert is_error(client.reply(), "denied")
        assert client.at_eof()
        banterd.log.wait_for(r"^Denied 127\.0\.0\.1:\d+ as CN=alice,O=Banter: ")


def test_a_client_without_a_certificate_fails_an_allow_of_names(secure, context):
    client = connect(secure("--allow", "CN=alice"), context)
    assert is_error(client.reply(), "denied")


def test_revoked(secure, clients, folder):
    clients.sign("bob", "/O=Banter/CN=bob")
    authority = ["ca", "-config", clients.configuration, "-cert", clients.path("ca.crt"), "-keyfile",
                 clients.path("ca.key")]
    openssl(*authority, "-revoke", clients.path("bob.crt"))
    openssl(*authority, "-gencrl", "-crldays", "9", "-out", folder / "crl")
    banterd = secure("--client-ca", clients.path("ca.crt"), "--crl", folder / "crl")
    assert connect(banterd, client_context(clients, "alice")).ask("Zack") == b"Hello ZACK"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(banterd, client_context(clients, "bob")).ask("Zack")
    banterd.log.wait_for("failed: its certificate can't be trusted: certificate revoked$")


def test_behind_a_proxy(secure, context):
    banterd = secure("--proxy-from", "127.0.0.1")
    raw = raw_connection(banterd.address)
    raw.sendall(b"PROXY TCP4 10.1.2.3 127.0.0.1 54012 8000\r\n")
    client = LineClient(Secured(raw, context))
    assert client.ask("Zack") == b"Hello ZACK"
    banterd.log.wait_line("[1] Connected with 10.1.2.3:54012")
    client.socket.close()


def test_a_denied_client_behind_a_proxy(secure, context):
    banterd = secure("--proxy-from", "127.0.0.1", "--deny", "10.1.2.3")
    raw = raw_connection(banterd.address)
    raw.sendall(b"PROXY TCP4 10.1.2.3 127.0.0.1 54012 8000\r\n")
    with pytest.raises(ssl.SSLError, match="(?i)alert access denied"):
        Secured(raw, context)
    banterd.log.wait_line("Denied 10.1.2.3:54012: --deny 10.1.2.3")
    raw.close()


# ---- files

def replaced(certificates, folder, name):
    """A copy of a certificate with its key, to be replaced."""
    file = folder / "own.pem"
    file.write_text(certificates.path(f"{name}.pem").read_text())
    file.chmod(0o600)
    return file


def serial(banterd, context):
    client = Secured(raw_connection(banterd.address), context)
    number = client.tls.getpeercert()["serialNumber"]
    client.close()
    return number


def test_reload(server, certificates, folder, context):
    certificates.sign("next")
    file = replaced(certificates, folder, "server")
    banterd = server("--cert", file, listen="tls:127.0.0.1:0")
    client = connect(banterd, context)
    before = serial(banterd, context)
    replaced(certificates, folder, "next")
    banterd.send_signal(1)
    banterd.log.wait_line(f"Reloaded: {file}")
    assert serial(banterd, context) != before
    after = serial(banterd, context)
    file.write_text("nothing\n")
    banterd.send_signal(1)
    banterd.log.wait_for(r"^Reload failed, nothing has changed: .*there is no certificate in PEM in ")
    assert serial(banterd, context) == after
    assert client.ask("Zack") == b"Hello ZACK"
    banterd.close_clients()
    assert banterd.stop() == 0


def test_certificates_are_exchanged_under_load(bench, certificates):
    """A small share of `make restarts`."""
    exchanged = Exchanged(bench, certificates)
    assert exchanged.exchange(12) == 1


def test_a_server_in_the_clear_has_no_openssl(server):
    with open(f"/proc/{server().process.pid}/maps") as maps:
        assert "libssl" not in maps.read()


def fails(bench, status, text, *options):
    banterd = bench.server(*options, listen=None, ready=False, expect_status=status,
                           expect_stderr=f"banterd: {text}\n")
    assert banterd.wait() == status


def test_files_that_cannot_be_used(bench, certificates, folder):
    certificates.sign("over", begin=-9, end=-1)
    certificates.sign("another")
    readable = replaced(certificates, folder, "server")
    readable.chmod(0o644)
    listen = ("-l", "tls:127.0.0.1:0")
    path = certificates.path
    fails(bench, 1, "unable to read none: No such file or directory", *listen, "--cert", "none")
    fails(bench, 1, r"the certificate in .*over\.pem is over since .*", *listen, "--cert", path("over.pem"))
    fails(bench, 1, r"everybody may read the key in .*: chmod o= protects it", *listen, "--cert", readable)
    fails(bench, 1, r"the key in .* is not that of the certificate in .*", *listen, "--cert", path("server.crt"),
          "--key", path("another.key"))
    fails(bench, 1, r"there is no list of revoked certificates in PEM in .*", *listen, "--cert", path("server.pem"),
          "--client-ca", path("ca.crt"), "--crl", path("ca.crt"))
    fails(bench, 1, r"--cert is for clients that speak TLS, and nothing listens for them: .*", "--cert",
          path("server.pem"))


def test_a_certificate_that_no_handshake_can_be_made_with(bench, folder):
    """TLS 1.3 has no signatures with keys on this curve; who starts the server is told, and not each client."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes", "-keyout",
            folder / "key", "-out", folder / "certificate", "-subj", "/CN=localhost", "-days", 9)
    (folder / "key").chmod(0o600)
    fails(bench, 1, "no handshake can be made with the certificate in certificate: unsupported protocol",
          "-l", "tls:127.0.0.1:0", "--cert", "certificate", "--key", "key")


@pytest.mark.parametrize("options, text", [
    (("-l", "tls:8443"), "--listen tls:8443 needs --cert FILE; see banterd --help"),
    (("--key", "k"), "--key needs --cert FILE; see banterd --help"),
    (("--client-ca", "k"), "--client-ca needs --cert FILE; see banterd --help"),
    (("-l", "tls:8443", "--cert", "c", "--crl", "k"), "--crl needs --client-ca FILE; see banterd --help")])
def test_options_that_do_not_fit(bench, options, text):
    fails(bench, 64, re.escape(text), *options)
