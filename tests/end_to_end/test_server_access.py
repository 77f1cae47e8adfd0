"""--allow, --deny, --max-per-address: who may connect, and how many of one address."""
import os
import signal
import socket
import struct
import threading

import pytest

from harness import BANTERD, LIMIT, LineClient, Talkers, is_error, scaled, wait_until
from test_server_addresses import needs_ipv6

USAGE = 64
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
NOBODY = 65534


def connect_from(banterd, source, framing="line"):
    """A LineClient whose own address is this one."""
    connection = socket.create_connection(("127.0.0.1", banterd.port), LIMIT, source_address=(source, 0))
    return LineClient(connection, framing)


def is_refused(client, code):
    assert is_error(client.reply(), code)
    assert client.at_eof()
    client.close()
    return True


def works(client):
    assert client.ask("Zack") == b"Hello ZACK"
    return client


# ---- rules

@pytest.mark.parametrize("codec", ["line", "crlf", "block", "netstring", "raw"])
def test_a_denied_client_is_told_in_order(server, codec):
    banterd = server("--deny", "127.0.0.2", "--framing", codec)
    client = connect_from(banterd, "127.0.0.2", codec)
    client.send_message("x" * 100)
    name = client.name
    assert is_refused(client, "denied")
    banterd.log.wait_line(f"Denied {name}: --deny 127.0.0.2")
    works(banterd.connect())
    banterd.close_clients()
    assert banterd.stop() == 0
    # It has no number, and is not among the clients.
    assert banterd.log.lines[-1] == "Server stopped after 1 clients, 1 requests"
    assert len(banterd.log.find(r"^\[2\]")) == 0


def test_only_those_that_are_allowed(server):
    banterd = server("--allow", "127.0.0.0/28,10.0.0.0/8", "--allow", "::1", "--deny", "127.0.0.3")
    works(connect_from(banterd, "127.0.0.1"))
    works(connect_from(banterd, "127.0.0.15"))
    assert is_refused(connect_from(banterd, "127.0.0.3"), "denied")
    assert is_refused(connect_from(banterd, "127.0.0.16"), "denied")
    banterd.log.wait_for(r"^Denied 127\.0\.0\.3:\d+: --deny 127\.0\.0\.3$")
    banterd.log.wait_for(r"^Denied 127\.0\.0\.16:\d+: no --allow names its address$")


@needs_ipv6
def test_rules_for_ipv6(server):
    banterd = server("--deny", "::1", listen="[::1]:0")
    client = banterd.connect()
    name = client.name
    assert is_refused(client, "denied")
    banterd.log.wait_line(f"Denied {name}: --deny ::1")


def test_rules_for_unix_users(server, folder):
    uid, address = os.geteuid(), f"unix:{folder}/socket"
    banterd = server("--deny", f"user:{uid}", "--deny", "10.0.0.0/8", listen=address)
    assert is_refused(banterd.connect(), "denied")
    banterd.log.wait_line(f"Denied {address} as uid={uid}: --deny user:{uid}")
    assert banterd.stop() == 0
    banterd = server("--allow", f"group:{os.getegid()}", "--allow", "10.0.0.0/8", listen=address)
    works(banterd.connect())


@needs_root
def test_two_unix_users(server, folder):
    folder.chmod(0o755)
    banterd = server("--allow", "user:nobody", "--socket-mode", "777", listen=f"unix:{folder}/socket")
    assert is_refused(banterd.connect(), "denied")
    os.seteuid(NOBODY)
    try:
        works(banterd.connect())
    finally:
        os.seteuid(0)


def test_who_has_no_certificate_has_no_name(server):
    banterd = server("--allow", "CN=alice")
    assert is_refused(banterd.connect(), "denied")
    banterd.log.wait_for(r"^Denied \S+: no --allow names its certificate$")
    works(server("--deny", "CN=alice").connect())


def test_rules_in_a_file(server, folder):
    (folder / "rules").write_text("# those who may not\n10.0.0.0/8\n127.0.0.2 # this one\n")
    banterd = server("--deny", "@rules")
    assert is_refused(connect_from(banterd, "127.0.0.2"), "denied")
    works(banterd.connect())


def test_a_million_ranges(server, folder):
    """The server starts within the harness's limit; the unit tests know of the answers."""
    count = scaled(1_000_000, 20_000)
    with open(folder / "rules", "w") as rules:
        rules.writelines(f"{128 + (n >> 14)}.{n >> 6 & 255}.{n << 2 & 255}.0/30\n" for n in range(count))
        rules.write("127.0.0.2\n")
    banterd = server("--deny", "@rules")
    assert is_refused(connect_from(banterd, "127.0.0.2"), "denied")
    works(banterd.connect())


def test_denied_is_json(server):
    banterd = server("--deny", "127.0.0.1", "--log", "json", ready=False)
    line = banterd.log.wait_for(r'"event":"listening","address":"127.0.0.1:(\d+)"')
    banterd.port = int(line[1])
    client = connect_from(banterd, "127.0.0.1")
    name = client.name
    assert is_refused(client, "denied")
    banterd.log.wait_for(rf'"level":"error","event":"denied","address":"{name}","why":"--deny 127.0.0.1"}}$')


def test_a_flood_of_the_denied_does_not_fill_the_log(server):
    banterd = server("--deny", "127.0.0.2")
    count = scaled(2000, 200)
    for _ in range(count):
        connect_from(banterd, "127.0.0.2").abandon()
    works(banterd.connect())
    banterd.close_clients()
    assert banterd.stop() == 0
    lines = banterd.log.find(r"^Denied ")
    left_out = sum(int(match[1]) for match in banterd.log.find(r"^(\d+) more within a second: Denied$"))
    assert len(lines) + left_out <= count
    assert left_out > 0


def test_more_than_can_be_refused_in_order(server):
    """Those that don't go away are told, too."""
    banterd = server("--deny", "127.0.0.2")
    clients = [connect_from(banterd, "127.0.0.2") for _ in range(40)]
    for client in clients:
        assert is_error(client.reply(), "denied")
    works(banterd.connect())
    for client in clients:
        client.abandon()


def test_a_denied_client_of_a_relay(server):
    banterd = server("--deny", "127.0.0.2", "--worker-per-client", "--reply-end", "none", "--", "cat")
    assert is_refused(connect_from(banterd, "127.0.0.2"), "denied")
    assert banterd.connect().ask("x") == b"x"


def test_a_pause_with_denied_clients(server):
    banterd = server("--deny", "127.0.0.2")
    banterd.suspend()
    clients = [connect_from(banterd, "127.0.0.2"), connect_from(banterd, "127.0.0.1")]
    banterd.resume()
    assert is_refused(clients[0], "denied")
    works(clients[1]).close()


# ---- rules that change

def test_rules_are_read_anew(server, folder):
    """Whoever is connected stays; a file that is wrong changes nothing."""
    rules, proxies = folder / "rules", folder / "proxies"
    rules.write_text("127.0.0.2\n")
    proxies.write_text("")
    banterd = server("--deny", "10.0.0.0/8,@rules", "--proxy-from", "@proxies")
    client = works(banterd.connect())
    assert is_refused(connect_from(banterd, "127.0.0.2"), "denied")

    rules.write_text("127.0.0.1\n")
    proxies.write_text("127.0.0.3\n")
    banterd.process.send_signal(signal.SIGHUP)
    banterd.log.wait_line("Reloaded: rules proxies")
    assert is_refused(connect_from(banterd, "127.0.0.1"), "denied")
    works(connect_from(banterd, "127.0.0.2"))
    works(client)
    behind = connect_from(banterd, "127.0.0.3")
    behind.send("PROXY TCP4 10.1.2.3 127.0.0.1 1 2\r\n")
    assert is_refused(behind, "denied")

    rules.write_text("")
    proxies.write_text("127.0.0.3\nnobody\n")
    banterd.process.send_signal(signal.SIGHUP)
    banterd.log.wait_for("^Reload failed, nothing has changed: proxies: line 2: \"nobody\" is none of: ")
    assert is_refused(connect_from(banterd, "127.0.0.1"), "denied")
    works(client)


def test_rules_change_under_load(server, folder):
    """Those that come meanwhile are judged by one set of rules or the other."""
    rules = folder / "rules"
    rules.write_text("10.0.0.0/8\n")
    banterd = server("-qq", "--deny", "@rules", "-t", "2")
    over = threading.Event()

    def come(source):
        while not over.is_set():
            works(connect_from(banterd, source)).close()

    talkers = Talkers(come, ["127.0.0.1", "127.0.0.2"])
    for count in range(scaled(100, 20)):
        rules.write_text("".join(f"10.{count}.{net}.0/24\n" for net in range(100)))
        banterd.process.send_signal(signal.SIGHUP)
    over.set()
    talkers.join()
    works(banterd.connect())


# ---- how many of one address

def fill(connect, most):
    """`most` clients are served, and the next is not."""
    clients = [works(connect()) for _ in range(most)]
    assert is_refused(connect(), "busy")
    return clients


@needs_ipv6
def test_each_address_has_its_own_bound(server, folder):
    banterd = server("--max-per-address", "3", "-l", "[::1]:0", "-l", f"unix:{folder}/socket", ready=False)
    banterd.wait_ready(listeners=3)
    clients = []
    for source in ("127.0.0.1", "127.0.0.2"):
        clients += fill(lambda source=source: connect_from(banterd, source), 3)
    for address in banterd.addresses[1:]:
        clients += fill(lambda address=address: banterd.connect(address), 3)
    banterd.log.wait_for(r"^Too many clients of one address, refused 127\.0\.0\.2:\d+$")
    banterd.log.wait_line(f"Too many clients of one address, refused unix:{folder}/socket as uid={os.geteuid()}")
    # Where one leaves, one more fits.
    for place in (0, 4):
        source = clients[place].socket.getsockname()[0]
        clients[place].quit()
        clients[place].close()
        clients.append(works(connect_from(banterd, source)))
        assert is_refused(connect_from(banterd, source), "busy")
    for client in clients:
        client.abandon()


@needs_root
def test_each_unix_user_has_its_own_bound(server, folder):
    folder.chmod(0o755)
    banterd = server("--max-per-address", "2", "--socket-mode", "777", listen=f"unix:{folder}/socket")
    fill(banterd.connect, 2)
    os.seteuid(NOBODY)
    try:
        fill(banterd.connect, 2)
    finally:
        os.seteuid(0)


def reset(client):
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


@pytest.mark.parametrize("options", [(), ("-t", "2"), ("-t", "2", "--max-clients", "4")])
def test_the_count_is_exact_after_resets(server, options):
    banterd = server("-qq", "--max-per-address", "3", *options)

    def come_and_go(_):
        # All of them have room in the backlog: where there is none, the kernel tries again after ever longer times.
        for _ in range(scaled(500, 100)):
            client = connect_from(banterd, "127.0.0.2")
            try:
                client.send_message("Zack")
            except ConnectionError:
                pass
            reset(client)

    Talkers(come_and_go, range(8)).join()

    def serves(client):
        try:
            return client.ask("Zack") == b"Hello ZACK"
        except ConnectionError:
            return False

    def all_fit():
        clients = [connect_from(banterd, "127.0.0.2") for _ in range(3)]
        if all(map(serves, clients)):
            return clients
        for client in clients:
            client.close()
        return None

    clients = wait_until(all_fit, "the places are free again")
    assert is_refused(connect_from(banterd, "127.0.0.2"), "busy")
    for client in clients:
        client.close()


def test_the_denied_are_not_counted(server):
    banterd = server("--max-per-address", "1", "--deny", "127.0.0.2")
    for _ in range(3):
        assert is_refused(connect_from(banterd, "127.0.0.2"), "denied")
    fill(banterd.connect, 1)


# ---- errors

@pytest.mark.parametrize("option, value, why", [
    ("--allow", "10.0.0.1/8", '"10.0.0.1/8" has bits behind its mask: the network is 10.0.0.0/8'),
    ("--deny", "user:no-such-user", '"user:no-such-user" is unknown: there is no such user'),
    ("--allow", "", "there is nothing in front of a comma, or behind it"),
    ("--allow", "@missing", "missing: No such file or directory"),
    ("--deny", "@rules", 'rules: line 2: "10.0.0.300" is none of: an address, a network such as 10.0.0.0/8, '
                         "user:NAME, group:NAME, CN=TEXT, DNS:TEXT, URI:TEXT, @FILE"),
    ("--max-per-address", "0", '"0" is not a whole number from 1 to 16777216'),
])
def test_errors(bench, folder, option, value, why):
    (folder / "rules").write_text("10.0.0.0/8\n10.0.0.300\n")
    status, output, errors = bench.run([BANTERD, option, value])
    assert (status, output) == (USAGE, b"")
    assert errors == f"banterd: {option}: {why}; see banterd --help\n".encode()
