"""tls: --connect-timeout, --wait, the client through TLS, with servers that do not speak it, or not well."""
import random
import socket
import ssl
import struct

import pytest

from harness import Run
from peers.scripted import Peer, hello
from peers.secure import Between, SecurePeer


@pytest.fixture
def ca(certificates):
    return certificates.path("ca.crt")


def address_of(peer):
    """The name under which a server in the clear is asked through TLS."""
    return f"tls:localhost:{peer.address.rsplit(':', 1)[1]}"


def saying(data, *, ends=True):
    """A server that says this behind the first bytes that come."""
    def behave(connection):
        connection.fill()
        connection.send(data)
        if not ends:
            connection.wait_end()
    return behave


def refusal(status, address, why):
    return Run(status, b"", f"banter: Connection Error: {address}: {why}\n".encode())


def alert(number):
    return struct.pack("!BHHBB", 21, 0x0303, 2, 2, number)


# ---- servers in the clear

@pytest.mark.parametrize("data", [
    b"-ERR bad-request\n", b"220 mail.example ESMTP\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\n", b"-", b"\x00" * 50,
    b"-ERR busybody\n", b"\x16", b"\x16\x04\x01\x00\x05hello", bytes(range(200, 256)), b"-" * 5000],
    ids=lambda data: repr(data[:8]))
@pytest.mark.parametrize("ends", [True, False])
def test_no_tls(run_banter, ca, data, ends):
    """As far as the first bytes tell."""
    with Peer(saying(data, ends=ends)) as peer:
        is_mute = data in (b"\n", b"-", b"\x16") and not ends
        times = ["--connect-timeout", "500ms", "--wait=1s"] if is_mute or data == b"\x16" else ["--wait"]
        run = run_banter("-c", address_of(peer), "--ca", ca, *times, "a")
        if is_mute:
            assert run.status == 69 and b": no handshake within 0.5 s\n" in run.stderr
        elif data == b"\x16":
            assert run.status == 69 and b": the server has closed it in the handshake\n" in run.stderr
        else:
            assert run == refusal(69, address_of(peer), "does not speak TLS")


def test_banterd_in_the_clear(run_banter, ca, server):
    """It may take the first bytes for a line, or wait for the end of one."""
    plain = server("-q", "-q", "--request-timeout", "200ms")
    address = f"tls:localhost:{plain.port}"
    assert run_banter("-c", address, "--ca", ca, "a") == refusal(69, address, "does not speak TLS")


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("pieces", [[b"-ERR denied you may not\n"], [b"-ERR den", b"ied\r\n"], [b"-ERR denied"]])
def test_denied_in_the_clear(run_banter, ca, pieces, ends):
    def deny(connection):
        connection.fill()
        for piece in pieces:
            connection.send(piece)
        if not ends and pieces[-1].endswith(b"\n"):
            connection.wait_end()
    with Peer(deny) as peer:
        run = run_banter("-c", address_of(peer), "--ca", ca, "--wait", "a")
        assert run == refusal(77, address_of(peer), "denied") and len(peer.connections) == 1


def test_busy_in_the_clear(run_banter, ca):
    with Peer(saying(b"-ERR busy try later\n")) as peer:
        assert run_banter("-c", address_of(peer), "--ca", ca, "a") == refusal(69, address_of(peer), "-ERR busy try later")


def test_tls_required(run_banter):
    """The other way round; the name is the one that a certificate would be for."""
    with Peer(saying(b"-ERR tls-required this address speaks TLS\n")) as peer:
        address = address_of(peer).removeprefix("tls:")
        assert run_banter("-c", address, "a").stderr == (
            f"banter: Connection Error: {peer.address}: speaks TLS: ask tls:{address}\n".encode())


# ---- servers with another TLS

def test_tls_1_2(run_banter, ca, certificates):
    with SecurePeer(hello, certificates.path("server.pem"), version=ssl.TLSVersion.TLSv1_2) as peer:
        assert run_banter("-c", peer.address, "--ca", ca, "--wait", "a") == refusal(69, peer.address,
                                                                                   "speaks TLS 1.2 at most")


def test_an_answer_of_tls_1_2(run_banter, ca):
    """Of a server that does not even know how to refuse."""
    answer = b"\x02\x00\x00\x26\x03\x03" + b"r" * 32 + b"\x00\xc0\x2f\x00"
    with Peer(saying(b"\x16\x03\x03" + struct.pack("!H", len(answer)) + answer, ends=False)) as peer:
        assert run_banter("-c", address_of(peer), "--ca", ca, "a") == refusal(69, address_of(peer),
                                                                             "speaks TLS 1.2 at most")


def test_another_application(run_banter, ca, certificates):
    """Python's server takes any; one that is strict says so by an alert."""
    with Peer(saying(alert(120))) as peer:
        assert run_banter("-c", address_of(peer), "--ca", ca, "a") == refusal(
            69, address_of(peer), "the server is for another protocol, which it asks for by ALPN")


TRUST = {**dict.fromkeys(range(42, 49), "the server refuses us: "), 49: "denied",
         112: "the server has no certificate for localhost", 116: "the server wants a certificate (--cert)"}


@pytest.mark.parametrize("number", [0, 10, 20, 22, 40, *range(42, 52), 70, 71, 80, 86, 90, 109, 110, 112, 115, 116, 120, 255])
def test_alerts_in_the_handshake(run_banter, ca, number):
    with Peer(saying(alert(number))) as peer:
        run = run_banter("-c", address_of(peer), "--ca", ca, "a")
        assert run.status == (77 if number in TRUST else 69)
        assert TRUST.get(number, "").encode() in run.stderr
        if number == 70:
            assert run == refusal(69, address_of(peer), "speaks TLS 1.2 at most")


# ---- no handshake

def test_silence(run_banter, ca):
    with Peer(lambda connection: connection.wait_end()) as peer:
        run = run_banter("-c", address_of(peer), "--ca", ca, "--connect-timeout", "0.2", "a")
        assert run == refusal(69, address_of(peer), "no handshake within 0.2 s")


def test_a_handshake_without_end(run_banter, ca):
    """Bytes keep coming, of a record that is never whole."""
    def drip(connection):
        connection.send(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
        while not peer.released.wait(0.01):
            connection.send(b"\0")
    with Peer(drip) as peer:
        run = run_banter("-c", address_of(peer), "--ca", ca, "--connect-timeout", "0.3", "a")
        assert run == refusal(69, address_of(peer), "no handshake within 0.3 s")


def test_a_flood_instead_of_a_handshake(run_banter, ca):
    """Records that a handshake may have here and there, and nothing else."""
    def flood(connection):
        while True:
            connection.send(b"\x14\x03\x03\x00\x01\x01" * 1000)
    with Peer(flood) as peer:
        run = run_banter("-c", address_of(peer), "--ca", ca, "a")
        assert run == refusal(69, address_of(peer), "the handshake has failed: unexpected message")


def test_a_handshake_byte_by_byte(run_banter, ca, certificates):
    def drip(server, client):
        while data := server.recv(1):
            client.sendall(data)
    with SecurePeer(hello, certificates.path("server.pem")) as peer, Between(peer, drip) as middle:
        assert run_banter("-c", middle.address, "--ca", ca, "a", "b") == Run(0, b"Hello a\nHello b\n", b"")


@pytest.mark.parametrize("size", [1, 4, 5, 6, 60, 130, 300])
def test_a_handshake_that_is_cut(run_banter, ca, certificates, size):
    """It may come about later, so that --wait goes on; here it is not there."""
    def cut(server, client):
        left = size
        while left > 0 and (data := server.recv(left)):
            client.sendall(data)
            left -= len(data)
    with SecurePeer(hello, certificates.path("server.pem")) as peer, Between(peer, cut) as middle:
        run = run_banter("-c", middle.address, "--ca", ca, "a")
        assert run == refusal(69, middle.address, "the server has closed it in the handshake")


@pytest.mark.parametrize("early", [b"", b"-ERR busy\n"])
def test_wait(run_banter, certificates, ca, early):
    """A server that is closed, or busy, and then there."""
    def later(connection):
        if connection is peer.connections[0]:
            connection.refused = "it was too early"
            connection.fill()
            connection.send(early)
        else:
            connection.shake_hands(peer.context)
            hello(connection)
    with SecurePeer(later, certificates.path("server.pem")) as peer:
        peer.begin = lambda connection: None
        run = run_banter("-q", "-c", peer.address, "--ca", ca, "--wait", "a")
        assert run == Run(0, b"Hello a\n", b"") and len(peer.connections) == 2


# ---- wrong bytes behind the handshake

def flip_at(position):
    """Passes on all that the server says, with one bit behind so many bytes turned round."""
    def flip(server, client):
        seen = 0
        while data := bytearray(server.recv(65536)):
            if seen <= position < seen + len(data):
                data[position - seen] ^= 1 << random.Random(position).randrange(8)
            seen += len(data)
            client.sendall(data)
    return flip


@pytest.mark.parametrize("position", [*range(0, 12), *range(12, 1500, 97)])
def test_a_wrong_bit(run_banter, ca, certificates, position):
    """In the handshake or behind it: never a byte of a reply that is not the server's."""
    with SecurePeer(hello, certificates.path("server.pem")) as peer, Between(peer, flip_at(position)) as middle:
        run = run_banter("-c", middle.address, "--ca", ca, "--connect-timeout", "1s", "--timeout", "1s",
                         *"abcdefghijklmnopqrst" * 2)
        replies = b"".join(b"Hello %c\n" % each for each in b"abcdefghijklmnopqrst" * 2)
        assert replies.startswith(run.stdout)
        assert run.status in (69, 75, 76, 77) or run == Run(0, replies, b"")  # not each bit of a record's head counts


def test_clear_text_behind_the_handshake(run_banter, ca, certificates):
    """An attacker's reply, and his alert."""
    for said in (b"Hello a\n", alert(0), alert(116), b"\x17\x03\x03\x00\x08Hello a\n"):
        def speak(connection, said=said):
            connection.line()
            raw = socket.socket(fileno=connection.socket.detach())
            raw.sendall(said)
            connection.socket = raw
            connection.refused = "it was taken over"
        with SecurePeer(speak, certificates.path("server.pem"), tickets=0) as peer:
            run = run_banter("-c", peer.address, "--ca", ca, "a")
            assert run.status == 76 and run.stdout == b"", (said, run)
            assert b"connection lost: what the server sent is no TLS: " in run.stderr
