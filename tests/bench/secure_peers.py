"""The servers that speak TLS, and those that speak it for a banterd that does not. All have the same certificate."""
import os
import subprocess
from pathlib import Path

from peers import Banterd, Memcached, Peer, Redis, first_line
from programs import BUILD, MOST_CONNECTIONS, Missing, Server, Trouble, memory_of, path_of

P256 = "p-256"
RSA = ("rsa-2048", "rsa-4096")
KEYS = {P256: ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], **{key: key.replace("-", ":").split() for key in RSA}}

HAPROXY = """\
global
    maxconn 4000
defaults
    mode tcp
    timeout connect 60s
    timeout client 600s
    timeout server 600s
listen front
    bind 127.0.0.1:PORT ssl crt {certificate}
    server back 127.0.0.1:BACK
"""
NGINX_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
NGINX = """\
load_module {module};
{user}
daemon off;
worker_processes auto;
pid nginx.pid;
events {{ worker_connections 8000; }}
stream {{
    server {{
        listen 127.0.0.1:PORT ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        ssl_protocols TLSv1.2 TLSv1.3;
        proxy_pass 127.0.0.1:BACK;
        proxy_timeout 600s;
    }}
}}
"""
STUNNEL = """\
foreground = yes
debug = 3
pid =
[front]
accept = 127.0.0.1:PORT
connect = 127.0.0.1:BACK
cert = {certificate}
"""


def certificate(key=P256):
    """A file with the certificate of 127.0.0.1 and its key, signed by itself; made once."""
    file = BUILD / "bench" / "certificates" / f"{key}.pem"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        made = subprocess.run([path_of("openssl"), "req", "-x509", "-newkey", *KEYS[key], "-nodes", "-keyout", part, "-out",
                               "-", "-subj", "/CN=127.0.0.1", "-days", "3650", "-addext", "subjectAltName=IP:127.0.0.1"],
                              capture_output=True, check=False)
        if made.returncode:
            raise Trouble(f"openssl made no certificate: {made.stderr.decode().strip()}")
        part.write_bytes(made.stdout + part.read_bytes())
        part.chmod(0o600)
        part.rename(file)
    return file


class Front(Server):
    """A server in front of a banterd in the clear, which begins and ends with it. In its file BACK stands for banterd's
    port."""

    def __init__(self, name, command, file):
        super().__init__(name, command=command, ready=None, forks=True, file=file, tls=True)
        self.back = Server("banterd", "--max-clients", MOST_CONNECTIONS)

    def __enter__(self):
        self.back.__enter__()
        name, text = self.file
        self.file = name, text.replace("BACK", str(self.back.port))
        try:
            return super().__enter__()
        except BaseException:
            self.back.stop()
            raise

    def __exit__(self, *_):
        self.stop()
        self.back.stop()

    def cpu_seconds(self):
        return super().cpu_seconds() + self.back.cpu_seconds()

    def memory(self):
        """With that of its processes, which do the work."""
        own = [memory_of(process) for process in self._stats()]
        return tuple(map(sum, zip(*own, self.back.memory())))


class SecureBanterd(Banterd):
    def start(self, key=P256):
        return super().start(options=["--cert", certificate(key)], tls=True)


class SecureRedis(Redis):
    def start(self, key=P256):
        file = certificate(key)
        return super().start(["--port", "0", "--tls-port", "PORT", "--tls-cert-file", file, "--tls-key-file", file,
                              "--tls-ca-cert-file", file, "--tls-auth-clients", "no"], tls=True)


class SecureMemcached(Memcached):
    def start(self, key=P256):
        file = certificate(key)
        return super().start(["-Z", "-o", f"ssl_chain_cert={file},ssl_key={file}"], tls=True)


class Terminator(Peer):
    """`command` reads server.conf, which `text` is."""
    stamps = False

    def __init__(self, name, command, text, version_option):
        super().__init__(name)
        self.command, self.text, self.version_option = command, text, version_option

    def check(self):
        path_of(self.command[0])

    def version(self):
        return first_line(path_of(self.command[0]), self.version_option)

    def start(self, key=P256):
        text = self.text.format(certificate=certificate(key), module=NGINX_MODULE,
                                user="user root;" if os.geteuid() == 0 else "")
        return Front(self.name, [path_of(self.command[0]), *self.command[1:]], ("server.conf", text))


class Nginx(Terminator):
    def check(self):
        super().check()
        if not Path(NGINX_MODULE).exists():
            raise Missing(f"{NGINX_MODULE} is not there; tests/tools/deps beside installs it")


SECURE_PEERS = {peer.name: peer for peer in [
    SecureBanterd("banterd, TLS"),
    SecureBanterd("banterd -t 1, TLS", "--threads", 1),
    SecureRedis("redis, TLS"),
    SecureMemcached("memcached, TLS"),
    Terminator("HAProxy, TLS", ["haproxy", "-db", "-f", "server.conf"], HAPROXY, "-v"),
    Nginx("nginx, TLS", ["nginx", "-p", ".", "-e", "stderr", "-c", "server.conf"], NGINX, "-v"),
    Terminator("stunnel, TLS", ["stunnel", "server.conf"], STUNNEL, "-version"),
]}
