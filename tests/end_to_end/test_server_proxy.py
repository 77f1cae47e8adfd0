"""--proxy-from, --handshake-timeout: clients behind proxies, which say who they are in a PROXY header."""
import os
import socket
import struct

import pytest

from harness import BANTERD, LIMIT, LineClient, assert_stopped, is_error, scaled, wait_until
from test_server_access import connect_from, is_refused, works
from test_server_addresses import needs_ipv6

PROXY = ("--proxy-from", "127.0.0.1")
LINE = b"PROXY TCP4 10.1.2.3 127.0.0.1 54012 8000\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT = "10.1.2.3:54012"
LOCAL = V2 + b"\x20\0\0\0"


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def v2(*tlvs, family=0x11, addresses=socket.inet_aton("10.1.2.3") + socket.inet_aton("127.0.0.1") +
       struct.pack(">HH", 54012, 8000)):
    rest = addresses + b"".join(tlvs)
    return V2 + struct.pack(">BBH", 0x21, family, len(rest)) + rest


def crc32c(data):
    value = 0xffffffff
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
    return value ^ 0xffffffff


def with_sum(header, off=0):
    """A header whose last field is a checksum."""
    size = struct.unpack(">H", header[14:16])[0] + 7
    header = header[:14] + struct.pack(">H", size) + header[16:] + tlv(3, b"\0\0\0\0")
    return header[:-4] + struct.pack(">I", crc32c(header) + off)


def ssl(name, flags=7, verify=0):
    return tlv(0x20, struct.pack(">BI", flags, verify) + tlv(0x21, b"TLSv1.3") + tlv(0x22, name))


def is_closed(client):
    """Without a byte; unread bytes of ours make that a reset."""
    try:
        return client.at_eof()
    except ConnectionError:
        return True


HEADERS = {
    "v1": (LINE, CLIENT, ""),
    "v1-v6": (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "[2001:db8::1]:1", ""),
    "v2": (v2(), CLIENT, ""),
    "v2-sum": (with_sum(v2(tlv(5, b""))), CLIENT, ""),
    "v2-unix": (v2(family=0x31, addresses=b"/run/x".ljust(216, b"\0")), "unix:/run/x", ""),
    "v2-name": (v2(ssl(b"alice")), CLIENT, " as CN=alice"),
    "v2-bad-name": (v2(ssl(b"alice", verify=1)), CLIENT, ""),
    "v2-4096": (v2(tlv(4, bytes(4096 - 28 - 3))), CLIENT, ""),
}


@pytest.mark.parametrize("name", HEADERS)
def test_the_client_is_whom_the_header_names(server, name):
    header, address, identity = HEADERS[name]
    banterd = server(*PROXY)
    client = banterd.connect()
    client.send(header + b"Zack\n")
    assert client.readline() == b"Hello ZACK"
    banterd.log.wait_line(f"[1] Connected with {address}{identity}")
    client.send("--QUIT--\n")
    assert client.at_eof()
    banterd.log.wait_line(f"[1] Connection {address} closed")


@pytest.mark.parametrize("header", [LINE, with_sum(v2(ssl(b"alice")))], ids=["v1", "v2"])
def test_a_header_that_comes_in_pieces(server, header):
    banterd = server(*PROXY)
    client = banterd.connect()
    client.send_each(header + b"Zack\n")
    assert client.readline() == b"Hello ZACK"
    for cut in range(1, len(header), scaled(1, 9)):
        client = banterd.connect()
        client.send(header[:cut])
        client.send(header[cut:] + b"Zack\n")
        assert client.readline() == b"Hello ZACK"
        client.close()


@pytest.mark.parametrize("header", [LINE, v2()], ids=["v1", "v2"])
def test_a_header_that_is_cut_off(server, header):
    banterd = server(*PROXY)
    for cut in range(len(header)):
        client = banterd.connect()
        name = client.name
        client.send(header[:cut])
        client.half_close()
        assert is_closed(client)
        client.close()
        if cut < 5:  # of a kind ten a second are logged
            banterd.log.wait_line(f"PROXY header from {name} is wrong: {'it is cut off' if cut else 'there is none'}")
    client = banterd.connect()
    client.send(header + b"Zack\n")
    assert client.readline() == b"Hello ZACK"
    banterd.close_clients()
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == "Server stopped after 1 clients, 1 requests"


WRONG = {
    "none": (b"Zack\n", "there is none"),
    "line-107": (b"PROXY UNKNOWN " + b"x" * 95, "it is longer than 107 bytes"),
    "size-4097": (v2(tlv(4, bytes(4096 - 28 - 2)))[:16], "it is longer than 4096 bytes"),
    "sum": (with_sum(v2(), off=1), "its checksum is wrong"),
    "udp": (v2(family=0x12), "it is of no family of stream sockets"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_header(server, name):
    data, why = WRONG[name]
    banterd = server(*PROXY)
    client = banterd.connect()
    address = client.name
    client.send(data)
    assert is_closed(client)
    banterd.log.wait_line(f"PROXY header from {address} is wrong: {why}")
    banterd.close_clients()
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == "Server stopped after 0 clients, 0 requests"


def test_a_header_that_does_not_come(server):
    banterd = server(*PROXY, "--handshake-timeout", "100ms")
    clients = [banterd.connect(), banterd.connect()]
    clients[1].send(LINE[:-1])
    for client in clients:
        name = client.name
        assert is_closed(client)
        banterd.log.wait_line(f"PROXY header from {name} is wrong: it did not come in time")


def test_a_pause_is_no_time_for_the_header(server):
    banterd = server(*PROXY, "--handshake-timeout", "30s", "-l", "127.0.0.1:0", ready=False)
    banterd.wait_ready(listeners=2)
    client = banterd.connect()
    client.send(LINE[:10])
    banterd.suspend()
    client.send(LINE[10:] + b"Zack\n")
    banterd.resume()
    assert client.readline() == b"Hello ZACK"


def test_from_all_others_it_is_data(server):
    banterd = server(*PROXY)
    client = connect_from(banterd, "127.0.0.2")
    client.send(LINE)
    assert client.readline() == b"Hello PROXY TCP4 10.1.2.3 127.0.0.1 54012 8000\r"
    banterd.log.wait_line(f"[1] Connected with {client.name}")
    client.close()
    client = works(server().connect())
    client.send(LINE)
    assert client.readline() == b"Hello PROXY TCP4 10.1.2.3 127.0.0.1 54012 8000\r"


# ---- connections of the proxy's own

OWN = {"local": LOCAL, "unknown": b"PROXY UNKNOWN\r\n", "unspec": v2(family=0, addresses=b"")}


@pytest.mark.parametrize("name", OWN)
def test_a_health_check_leaves_no_trace(server, name):
    banterd = server(*PROXY)
    for _ in range(3):
        check = banterd.connect()
        check.send(OWN[name])
        check.half_close()
        assert check.at_eof()
        check.close()
    client = banterd.connect()
    client.send(OWN[name] + b"Zack\n")
    assert client.readline() == b"Hello ZACK"
    address = client.name
    client.close()
    banterd.log.wait_line(f"[1] Connection {address} closed")
    assert banterd.stop() == 0
    assert banterd.log.lines[2:] == [
        f"[1] Connected with {address}", "[1] Processing the input received from client: Zack",
        "[1] Processed result: Hello ZACK", f"[1] Connection {address} closed",
        "Server stopped after 1 clients, 1 requests"]


def test_one_that_is_silent_is_a_client_in_the_end(server):
    """A proxy has clients of its own Unix sockets, of which it tells nothing."""
    banterd = server(*PROXY, "--handshake-timeout", "50ms")
    banterd.suspend()
    client = banterd.connect()
    client.send(LOCAL)
    banterd.resume()
    banterd.log.wait_line(f"[1] Connected with {client.name}")
    assert client.ask("Zack") == b"Hello ZACK"


def test_a_proxy_on_a_unix_socket(server, folder):
    address = f"unix:{folder}/socket"
    banterd = server("--proxy-from", "unix", "-l", "127.0.0.1:0", listen=address, ready=False)
    banterd.wait_ready(listeners=2)
    client = banterd.connect(address)
    client.send(LINE + b"Zack\n")
    assert client.readline() == b"Hello ZACK"
    banterd.log.wait_line(f"[1] Connected with {CLIENT}")
    client = banterd.connect(address)
    client.send(LOCAL + b"Zack\n")
    assert client.readline() == b"Hello ZACK"
    banterd.log.wait_line(f"[2] Connected with {address} as uid={os.geteuid()}")
    client = banterd.connect(address)
    client.send(b"Zack\n")
    assert is_closed(client)
    banterd.log.wait_line(f"PROXY header from {address} is wrong: there is none")
    works(banterd.connect(banterd.addresses[1]))


@needs_ipv6
def test_proxies_are_found_by_any_notation(server):
    banterd = server("--proxy-from", "::1,10.0.0.0/8", listen="[::1]:0")
    client = banterd.connect()
    client.send(LINE + b"Zack\n")
    assert client.readline() == b"Hello ZACK"


# ---- rules and bounds are about whom the header names

def test_rules_are_asked_of_the_client(server):
    banterd = server(*PROXY, "--allow", "10.0.0.0/8", "--deny", "10.1.2.3,CN=mallory")
    client = banterd.connect()
    client.send(LINE + b"Zack\n")
    assert is_refused(client, "denied")
    banterd.log.wait_line(f"Denied {CLIENT}: --deny 10.1.2.3")
    client = banterd.connect()
    client.send(LINE.replace(b"10.1.2.3", b"10.9.9.9") + b"Zack\n")
    assert client.readline() == b"Hello ZACK"
    client = banterd.connect()
    client.send(v2(ssl(b"mallory"), addresses=socket.inet_aton("10.9.9.9") + bytes(8)))
    assert is_refused(client, "denied")
    banterd.log.wait_line("Denied 10.9.9.9:0 as CN=mallory: --deny CN=mallory")


def test_names_of_verified_certificates_are_allowed(server):
    banterd = server(*PROXY, "--allow", "CN=alice")
    client = banterd.connect()
    client.send(v2(ssl(b"alice")) + b"Zack\n")
    assert client.readline() == b"Hello ZACK"
    for header in (v2(ssl(b"alice", verify=1)), v2(ssl(b"alice", flags=1)), v2(ssl(b"bob")), LINE):
        client = banterd.connect()
        client.send(header)
        assert is_refused(client, "denied")


def test_the_bound_is_that_of_the_client(server):
    banterd = server(*PROXY, "--max-per-address", "2")

    def behind(address):
        client = banterd.connect()
        client.send(b"PROXY TCP4 %s 127.0.0.1 1 2\r\n" % address)
        return client

    clients = [works(behind(address)) for address in (b"10.0.0.1", b"10.0.0.2") for _ in range(2)]
    for address in (b"10.0.0.1", b"10.0.0.2"):
        assert is_refused(behind(address), "busy")
    banterd.log.wait_line("Too many clients of one address, refused 10.0.0.1:1")
    clients[0].close()
    wait_until(lambda: behind(b"10.0.0.1").ask("Zack") == b"Hello ZACK", "there is room again")


def test_who_waits_counts_as_a_client(server):
    banterd = server(*PROXY, "--max-clients", "2")
    waiting = [banterd.connect(), banterd.connect()]
    refused = banterd.connect()
    assert is_refused(refused, "busy")
    for client in waiting:
        client.send(LINE)
        works(client)
    banterd.close_clients()
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == "Server stopped after 2 clients, 2 requests"


def test_who_fails_is_counted_no_more(server):
    banterd = server(*PROXY, "--max-clients", "1")
    for _ in range(20):
        client = banterd.connect()
        client.send("x\n")
        assert is_closed(client)
        client.close()
    client = banterd.connect()
    client.send(LINE)
    works(client)


# ---- bounds of the lobby

def test_more_wait_than_there_is_room_for(server):
    """The oldest of the address that has most make room, and none of another."""
    banterd = server("--proxy-from", "127.0.0.0/8", "-t", "2")
    quiet = [connect_from(banterd, "127.0.0.2") for _ in range(3)]
    for client in quiet:
        client.send(LINE[:5])
    many = [connect_from(banterd, "127.0.0.3") for _ in range(256)]
    assert is_closed(many[0])
    assert is_closed(many[2])
    banterd.log.wait_for(r"^PROXY header from 127\.0\.0\.3:\d+ is wrong: it did not come, and others wait$")
    for client in [*quiet, many[-1]]:
        client.send(LINE[5:] if client in quiet else LINE)
        works(client)
    for client in many + quiet:
        client.close()


def test_a_burst_of_right_headers_loses_nobody(server):
    banterd = server(*PROXY, "-qq", "-t", "2")
    banterd.suspend()
    clients = [banterd.connect() for _ in range(scaled(800, 300))]
    for client in clients:
        client.send(LINE + b"Zack\n")
    banterd.resume()
    for client in clients:
        assert client.readline() == b"Hello ZACK"
        client.close()


def test_resets_and_half_headers_leave_nothing_behind(server):
    banterd = server(*PROXY, "-q", "--max-clients", "50")
    before = banterd.descriptors()
    for count in range(scaled(1000, 200)):
        client = banterd.connect()
        client.send((LINE + b"Zack\n")[:count % 48])
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    def is_served():
        with banterd.connect().socket as connection:
            connection.sendall(LINE + b"Zack\n")
            return connection.recv(100) == b"Hello ZACK\n"

    wait_until(is_served, "the places are free again")
    wait_until(lambda: banterd.descriptors() <= before, "all are closed")


# ---- the stop

def test_the_stop_serves_those_whose_header_is_there(server):
    banterd = server(*PROXY, "-H", "test")
    late, silent, local = banterd.connect(), banterd.connect(), banterd.connect()
    late.send(LINE[:-2])
    local.send(LOCAL)
    first = banterd.connect()
    first.send(LINE + b"sleep 1 x\n")
    assert first.readline() == b"x"
    banterd.suspend()
    late.send(LINE[-2:] + b"reply x\n")
    last = banterd.connect()
    last.send(LINE + b"reply y\n")
    banterd.send_signal(15)
    banterd.resume()
    assert_stopped(late, ["x"])
    assert_stopped(last, ["y"])
    assert_stopped(first)
    assert is_closed(silent)
    assert_stopped(local)
    assert banterd.wait() == 0


# ---- who it is, for handlers and programs

def test_programs_know_the_client(server):
    header = v2(ssl(b"alice, bob")) + b"x\n"
    for options, answer in (
            (("--worker-per-client", "--", "sh", "-c", 'read -r line; echo "$BANTER_ADDRESS $BANTER_IDENTITY"'),
             CLIENT.encode() + b" CN=alice\\, bob"),
            (("--worker-per-request", "--", "sh", "-c", 'echo "$BANTER_ADDRESS $BANTER_IDENTITY"'),
             CLIENT.encode() + b" CN=alice\\, bob"),
            (("--tell-peer", "--", "sed", "-u", "s/\\t/|/g"), CLIENT.encode() + b"|CN=alice\\, bob|x")):
        banterd = server(*PROXY, *options)
        client = banterd.connect()
        client.send(header)
        assert client.readline() == answer


def test_json_has_the_identity(server):
    banterd = server(*PROXY, "--log", "json", ready=False)
    port = banterd.log.wait_for(r'"event":"listening","address":"127.0.0.1:(\d+)"')[1]
    client = LineClient(socket.create_connection(("127.0.0.1", int(port)), LIMIT))
    client.send(v2(ssl(b"alice")))
    banterd.log.wait_for(rf'"event":"connected","session":1,"address":"{CLIENT}","identity":"CN=alice"}}$')
    client.close()


@pytest.mark.parametrize("value", ["user:root", "CN=alice", "unix:/path"])
def test_proxies_are_addresses(bench, value):
    run = bench.run([BANTERD, "--proxy-from", value])
    assert run.status == 64
    assert run.stderr == (f'banterd: --proxy-from: "{value}" is none of: an address, a network such as 10.0.0.0/8, '
                          "unix, @FILE; see banterd --help\n").encode()
