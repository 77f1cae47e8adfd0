"""--proxy-from behind real proxies: HAProxy and nginx, each header that they send."""
import socket
import ssl
import subprocess

import pytest

from haproxy import HAPROXY, STATS, STREAMS, row_of
from harness import LIMIT, LineClient, wait_until
from peers.scripted import Peer
from test_server_access import works

NGINX = "/usr/sbin/nginx"

# Listens on any free port, says which, and becomes a program that has inherited the socket.
STARTER = """\
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
os.dup2(listener.fileno(), 9)
print(listener.getsockname()[1], flush=True)
os.execv(sys.argv[1], sys.argv[1:])
"""

HAPROXY_CFG = STATS + STREAMS + """\
listen front
    bind fd@9 {bind}
    bind unix@{folder}/front
    server banterd {server} {options}
"""

CHECKED_CFG = STATS + STREAMS + """\
listen front
    bind unix@{folder}/front
    balance leastconn
    option tcp-check
    tcp-check send ping\\n
    tcp-check expect string ping
    default-server check inter 20ms send-proxy-v2
    server banterd {server}
    server stranger {stranger}
"""

NGINX_CONF = """\
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid {folder}/pid;
error_log stderr error;
events {{}}
stream {{
    server {{
        listen 127.0.0.1:{port};
        proxy_pass {server};
        proxy_protocol on;
    }}
}}
"""


class Front:
    """A proxy in front of a banterd."""

    def __init__(self, bench, banterd, options, bind=""):
        self.folder = bench.folder
        configuration = bench.folder / "haproxy.cfg"
        configuration.write_text(HAPROXY_CFG.format(folder=bench.folder, bind=bind, options=options,
                                                    server=banterd.address.replace("unix:", "unix@")))
        self.program = bench.start(["/usr/bin/python3", "-c", STARTER, HAPROXY, "-db", "-f", configuration],
                                   expect_stderr="(?s).*")
        self.address = "127.0.0.1:" + self.program.stdout.wait_for(r"^(\d+)$")[1]

    def status(self):
        """What HAProxy knows of the server's health."""
        return row_of(self.folder, "banterd").get("check_status")


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2 "
                                     "proxy-v2-options crc32c,unique-id,authority"])
def test_haproxy(bench, server, options):
    banterd = server("--proxy-from", "127.0.0.1")
    front = Front(bench, banterd, options)
    client = works(banterd.connect(front.address))
    banterd.log.wait_line(f"[1] Connected with {client.name}")


def test_haproxy_in_front_of_a_unix_socket(bench, server, folder):
    banterd = server("--proxy-from", "unix", listen=f"unix:{folder}/back")
    front = Front(bench, banterd, "send-proxy-v2")
    client = works(banterd.connect(front.address))
    banterd.log.wait_line(f"[1] Connected with {client.name}")


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2"])
def test_of_its_unix_clients_haproxy_says_nothing(bench, server, folder, options):
    banterd = server("--proxy-from", "127.0.0.1")
    front = Front(bench, banterd, options)
    works(banterd.connect(front.address))
    works(banterd.connect(f"unix:{folder}/front"))
    banterd.log.wait_for(r"^\[2\] Connected with 127\.0\.0\.1:\d+$")


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2"])
def test_health_checks_leave_no_line(bench, server, options):
    banterd = server("--proxy-from", "127.0.0.1")
    front = Front(bench, banterd, f"{options} check inter 20ms")
    wait_until(lambda: front.status() == "L4OK", "a check has passed")
    client = works(banterd.connect(front.address))
    banterd.log.wait_line(f"[1] Connected with {client.name}")
    client.close()
    banterd.log.wait_line(f"[1] Connection {client_name(banterd)} closed")
    front.program.expect_status = -15
    front.program.stop()
    assert banterd.stop() == 0
    assert len(banterd.log.lines) == 7 and banterd.log.lines[-1] == "Server stopped after 1 clients, 1 requests"


def test_a_line_check_keeps_strangers_out(bench, server, folder):
    """What listens on a server's port in its place, and answers anything, gets no client."""
    with Peer(lambda connection: connection.send(b"ERROR\n") if connection.line() is not None else None) as stranger:
        banterd = server("--proxy-from", "127.0.0.1", "--", "cat")
        (folder / "haproxy.cfg").write_text(CHECKED_CFG.format(folder=folder, server=banterd.address,
                                                               stranger=stranger.address))
        bench.start([HAPROXY, "-db", "-f", folder / "haproxy.cfg"], expect_stderr="(?s).*")
        wait_until(lambda: row_of(folder, "stranger").get("status") == "DOWN", "the stranger is found out")
        # A "* " before it says that the next check is under way.
        assert row_of(folder, "stranger")["check_status"].endswith("L7RSP")
        wait_until(lambda: row_of(folder, "banterd")["check_status"].endswith("L7OK"), "the server is found well")
        clients = [banterd.connect(f"unix:{folder}/front") for _ in range(8)]
        assert [client.ask("x") for client in clients] == [b"x"] * len(clients)


def client_name(banterd):
    return banterd.log.find(r"^\[1\] Connected with (\S+)$")[0][1]


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=LIMIT)


@pytest.fixture
def certificates(folder):
    """A CA, a server's certificate and that of alice."""
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
            "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "2")
    for name in ("localhost", "alice"):
        openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                f"{name}.key", "-out", f"{name}.csr", "-subj", f"/O=Banter/CN={name}")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.crt", "-days", "2")
        (folder / f"{name}.pem").write_text((folder / f"{name}.crt").read_text() + (folder / f"{name}.key").read_text())
    return folder


def test_the_name_in_a_certificate_that_haproxy_has_verified(bench, server, certificates):
    banterd = server("--proxy-from", "127.0.0.1", "--allow", "CN=alice", "--worker-per-client", "--",
                     "sh", "-c", 'read -r line; echo "$BANTER_ADDRESS $BANTER_IDENTITY"')
    front = Front(bench, banterd, "send-proxy-v2-ssl-cn proxy-v2-options crc32c",
                  f"ssl crt {certificates}/localhost.pem ca-file {certificates}/ca.pem verify optional")

    def connect(certificate):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(certificates / "ca.pem")
        if certificate:
            context.load_cert_chain(certificates / "alice.pem")
        host, port = front.address.split(":")
        return LineClient(context.wrap_socket(socket.create_connection((host, int(port)), LIMIT)), "line")

    alice = connect(certificate=True)
    assert alice.ask("x") == f"{alice.name} CN=alice".encode()
    banterd.log.wait_line(f"[1] Connected with {alice.name} as CN=alice")
    nobody = connect(certificate=False)
    assert nobody.readline() == b"-ERR denied this client is not served"
    banterd.log.wait_line(f"Denied {nobody.name}: no --allow names its certificate")
    for client in (alice, nobody):
        client.close()


def test_nginx(bench, server, folder):
    banterd = server("--proxy-from", "127.0.0.1")
    configuration = folder / "nginx.conf"
    starter = STARTER.replace("os.execv", "os.environ['NGINX'] = '9;'\n"
                              "path = sys.argv[-1]\n"
                              "text = open(path).read().replace('{port}', str(listener.getsockname()[1]))\n"
                              "open(path, 'w').write(text)\nos.execv")
    configuration.write_text(NGINX_CONF.format(folder=folder, server=banterd.address, port="{port}"))
    nginx = bench.start(["/usr/bin/python3", "-c", starter, NGINX, "-e", "stderr", "-p", folder, "-c", configuration],
                        expect_stderr="(?s).*")
    port = nginx.stdout.wait_for(r"^(\d+)$")[1]
    client = works(banterd.connect(f"127.0.0.1:{port}"))
    banterd.log.wait_line(f"[1] Connected with {client.name}")
