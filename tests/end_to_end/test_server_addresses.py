"""--listen: the addresses that the server listens on, and its errors if it can't."""
import os
import re
import socket

import pytest

BIND_FAILED = r"(?:banterd: )?Bind failed\. Error : [^\n]+\n"


def have_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not have_ipv6(), reason="no IPv6 on this machine")


def works(banterd, address):
    client = banterd.connect(address)
    assert client.ask("Zack") == b"Hello ZACK"
    return client


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0"])
def test_ipv4(server, listen):
    banterd = server(listen=listen)
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", banterd.address)
    works(banterd, banterd.address)


@needs_ipv6
def test_ipv6(server):
    banterd = server(listen="[::1]:0")
    assert re.fullmatch(r"\[::1\]:[1-9]\d*", banterd.address)
    client = works(banterd, banterd.address)
    assert client.name.startswith("[::1]:")
    banterd.log.wait_line(f"[1] Connected with {client.name}")


@needs_ipv6
def test_every_address_has_the_same_port(server):
    banterd = server(listen=":0", ready=False)
    banterd.wait_ready(listeners=2)
    ports = {address.rsplit(":", 1)[1] for address in banterd.addresses}
    assert len(ports) == 1 and ports != {"0"}
    four = works(banterd, f"127.0.0.1:{banterd.port}")
    six = works(banterd, f"[::1]:{banterd.port}")
    banterd.log.wait_for(rf"^\[\d\] Connected with {re.escape(four.name)}$")
    banterd.log.wait_for(rf"^\[\d\] Connected with {re.escape(six.name)}$")


def test_a_host_name(server):
    banterd = server(listen="localhost:0")
    works(banterd, banterd.address)


def test_several_listeners(server, folder):
    banterd = server("--listen", "127.0.0.1:0", "-l", f"unix:{folder}/socket", ready=False)
    banterd.wait_ready(listeners=3)
    assert len(set(banterd.addresses)) == 3
    for address in banterd.addresses:
        works(banterd, address)
    banterd.close_clients()
    assert banterd.stop() == 0
    assert banterd.log.text.count("Socket now listening on") == 3
    assert banterd.log.lines[-1] == "Server stopped after 3 clients, 3 requests"


def test_unix_path(server, folder):
    path = folder / "socket"
    banterd = server(listen=f"unix:{path}")
    assert banterd.address == f"unix:{path}"
    client = works(banterd, banterd.address)
    banterd.log.wait_line(f"[1] Connected with unix:{path} as uid={os.geteuid()}")
    client.close()
    banterd.log.wait_line(f"[1] Connection unix:{path} closed")
    assert path.is_socket()
    assert banterd.stop() == 0
    assert not path.exists()


def test_unix_path_that_is_relative(server, folder):
    banterd = server(listen="unix:socket")
    assert banterd.address == "unix:socket"
    works(banterd, f"unix:{folder}/socket")


def test_an_abstract_name_makes_no_file(server, folder, run_banter):
    address = f"unix:@{folder.name}"
    banterd = server(listen=address)
    assert banterd.address == address
    assert run_banter("-c", address, "x") == (0, b"Hello X\n", b"")
    banterd.log.wait_line(f"[1] Connected with {address} as uid={os.getuid()}")
    assert list(folder.glob("@*")) == []


def test_unix_path_on_which_nobody_answers_is_taken_over(server, folder):
    path = folder / "socket"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        left.listen()
    assert path.is_socket()
    works(server(listen=f"unix:{path}"), f"unix:{path}")


def test_unix_path_in_use_is_refused(server, folder):
    path = folder / "socket"
    first = server(listen=f"unix:{path}")
    second = server(listen=f"unix:{path}", ready=False, expect_status=1, expect_stderr=BIND_FAILED)
    assert second.wait() == 1
    assert path.is_socket()
    works(first, first.address)


def test_a_file_that_is_no_socket_is_left_alone(server, folder):
    path = folder / "file"
    path.write_text("precious")
    banterd = server(listen=f"unix:{path}", ready=False, expect_status=1, expect_stderr=BIND_FAILED)
    assert banterd.wait() == 1
    assert path.read_text() == "precious"


def test_a_port_in_use(server):
    first = server()
    second = server(listen=first.address, ready=False, expect_status=1, expect_stderr=BIND_FAILED)
    assert second.wait() == 1
    assert "Socket now listening" not in second.log.text
    works(first, first.address)


def test_one_of_several_that_fails_refuses_the_start(server, folder):
    first = server()
    second = server("-l", first.address, listen=f"unix:{folder}/socket", ready=False, expect_status=1,
                    expect_stderr=BIND_FAILED)
    assert second.wait() == 1
    assert not (folder / "socket").exists()


def test_an_address_of_somebody_else(server):
    banterd = server(listen="192.0.2.1:0", ready=False, expect_status=1, expect_stderr=BIND_FAILED)
    assert banterd.wait() == 1


def test_started_again_on_the_port_it_had(server):
    """Connections that the server has closed linger in the kernel; SO_REUSEADDR."""
    first = server()
    client = works(first, first.address)
    client.quit()
    client.close()
    assert first.stop() == 0
    second = server(listen=first.address)
    assert second.address == first.address
    works(second, second.address)


def test_peers_that_have_died_are_noticed(server):
    """SO_KEEPALIVE: the kernel's table shows a running timer of that kind (2) for the server's end."""
    banterd = server()
    client = works(banterd, banterd.address)
    ends = (banterd.port, client.socket.getsockname()[1])
    for line in open("/proc/net/tcp").read().splitlines()[1:]:
        fields = line.split()
        if tuple(int(fields[at].split(":")[1], 16) for at in (1, 2)) == ends:
            assert fields[5].split(":")[0] == "02"
            return
    raise AssertionError("the connection is not in the kernel's table")


@pytest.mark.parametrize("codec", ["line", "raw", "netstring"])
def test_unix_sessions_end_in_order(server, folder, codec):
    banterd = server("--framing", codec, listen=f"unix:{folder}/socket")
    client = banterd.connect()
    assert client.ask("Zack") == b"Hello ZACK"
    client.quit()


def test_many_requests_over_a_unix_socket(server, folder):
    banterd = server("-q", "-H", "echo", listen=f"unix:{folder}/socket")
    messages = [str(number).encode() for number in range(20000)]
    client = banterd.connect()
    client.send_in_background(b"".join(map(client.frame, messages)), client.half_close)
    assert client.replies() == messages
