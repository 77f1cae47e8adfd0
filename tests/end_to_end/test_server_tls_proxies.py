"""-l tls:ADDRESS and --proxy-from, with the programs that people put in front of a server: HAProxy, nginx and stunnel,
which speak TLS to the clients, to the server, or to both."""
import shutil

import pytest

from haproxy import HAPROXY, STREAMS
from harness import Run, is_listening, scaled, wait_until
from test_server_behind_proxies import NGINX

STUNNEL = shutil.which("stunnel4")

HAPROXY_CFG = STREAMS + """\
listen front
    bind unix@{front} {bind}
    server banterd {server} {options}
"""

NGINX_CONF = """\
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid {folder}/pid;
error_log stderr error;
events {{}}
stream {{
    server {{
        listen unix:{front} {listen};
        {options}
        proxy_pass {server};
    }}
}}
"""

STUNNEL_CONF = """\
foreground = yes
pid =
debug = err
[front]
accept = {front}
connect = {server}
{options}
"""


class Front:
    """A proxy on a Unix socket; its clients trust `ca`."""

    def __init__(self, bench, certificates, server):
        self.bench, self.server = bench, server
        self.front = bench.folder / "front"
        self.ca, self.pem = certificates.path("ca.crt"), certificates.path("server.pem")

    def start(self, name, text, command, **how):
        file = self.bench.folder / name
        file.write_text(text.format(folder=self.bench.folder, front=self.front, **how))
        self.bench.start([*command, file], expect_stderr="(?s).*")
        wait_until(lambda: is_listening(self.front), "the proxy listens")

    def haproxy(self, bind, options):
        # It binds by another name first; only then it has this one.
        file = self.bench.folder / "haproxy.cfg"
        file.write_text(HAPROXY_CFG.format(front=self.front, server=self.server, bind=bind, options=options))
        self.bench.start([HAPROXY, "-db", "-f", file], expect_stderr="(?s).*")
        wait_until(self.front.exists, "the proxy listens")

    def nginx(self, listen, options):
        self.start("nginx.conf", NGINX_CONF, [NGINX, "-e", "stderr", "-p", self.bench.folder, "-c"], listen=listen,
                   options=options, server=self.server)

    def stunnel(self, options):
        self.start("stunnel.conf", STUNNEL_CONF, [STUNNEL], options=options, server=self.server)


def ends_tls(front, name):
    """Starts one that speaks TLS with clients, and in the clear with the server, whom it tells who they are."""
    if name == "haproxy":
        front.haproxy(f"ssl crt {front.pem}", "send-proxy-v2")
    elif name == "haproxy-v1":
        front.haproxy(f"ssl crt {front.pem}", "send-proxy")
    elif name == "nginx":
        front.nginx("ssl", f"ssl_certificate {front.pem}; ssl_certificate_key {front.pem}; ssl_protocols TLSv1.3; "
                           "proxy_protocol on;")
    elif name == "stunnel":
        front.stunnel(f"cert = {front.pem}")


def begins_tls(front, name, proxied):
    """Starts one that speaks TLS with the server, and in the clear with clients."""
    if name == "haproxy":
        front.haproxy("", f"ssl verify required ca-file {front.ca} verifyhost localhost" +
                      (" send-proxy-v2" if proxied else ""))
    elif name == "nginx":
        front.nginx("", f"proxy_ssl on; proxy_ssl_verify on; proxy_ssl_trusted_certificate {front.ca}; "
                        "proxy_ssl_protocols TLSv1.3; proxy_ssl_name localhost;" +
                    (" proxy_protocol on;" if proxied else ""))
    elif name == "stunnel":
        front.stunnel(f"client = yes\nCAfile = {front.ca}\nverifyChain = yes\ncheckHost = localhost")


def skip_without(name):
    if name == "stunnel" and not STUNNEL:
        pytest.skip("stunnel4 is not installed")


LINES = [b"line %d" % number for number in range(scaled(50_000, 5_000))]


@pytest.mark.parametrize("name", ["haproxy", "haproxy-v1", "nginx", "stunnel"])
def test_one_that_ends_tls(bench, server, certificates, run_banter, name):
    """All replies arrive, and the end is one: no program of these cuts."""
    skip_without(name)
    proxied = [] if name == "stunnel" else ["--proxy-from", "127.0.0.1"]
    banterd = server("-q", "-q", *proxied)
    front = Front(bench, certificates, banterd.address)
    ends_tls(front, name)
    run = run_banter("-q", "-c", f"tls:unix:{front.front}", "--ca", front.ca, "--tls-name", "localhost",
                     input=b"\n".join(LINES))
    assert run == Run(0, b"".join(b"Hello %s\n" % line.upper() for line in LINES), b"")


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize("name", ["haproxy", "nginx", "stunnel"])
def test_one_that_begins_tls(bench, secure, certificates, run_banter, name, proxied):
    """The PROXY header comes in front of the handshake, if there is one."""
    skip_without(name)
    if name == "stunnel" and proxied:
        pytest.skip("stunnel sends it behind the handshake")
    banterd = secure("-q", *(["--proxy-from", "127.0.0.1"] if proxied else []))
    front = Front(bench, certificates, banterd.address.removeprefix("tls:"))
    begins_tls(front, name, proxied)
    run = run_banter("-q", "-c", f"unix:{front.front}", input=b"\n".join(LINES))
    assert run == Run(0, b"".join(b"Hello %s\n" % line.upper() for line in LINES), b"")
    banterd.log.wait_for(r"^\[1\] Connection .* closed$")
    assert not banterd.log.find("cut|failed|wrong")
