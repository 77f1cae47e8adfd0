"""secure: clients that speak TLS with the server, and can be stopped at any byte."""
import contextlib
import socket
import ssl
import subprocess
import threading

from harness import LIMIT, LineClient


class Secured:
    """A connected socket, as far as a LineClient uses one, with TLS in it. One thread may send while another receives."""

    def __init__(self, raw, context, name="localhost", early=b""):
        self.raw, self.received, self.unsent = raw, ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.received, self.unsent, server_hostname=name)
        self.calling, self.sending = threading.Lock(), threading.Lock()
        raw.settimeout(LIMIT)
        while not self._try(self.tls.do_handshake)[0]:
            self.raw.sendall(self.unsent.read())
            self._fill()
        if early:
            self.tls.write(early)
        self.raw.sendall(self.unsent.read())

    def _try(self, call, *arguments):
        """Whether it is done, and what it gave."""
        with self.calling:
            try:
                return True, call(*arguments)
            except ssl.SSLWantReadError:
                return False, None
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self.raw.sendall(self.unsent.read())  # an alert
                raise

    def _fill(self):
        data = self.raw.recv(65536)
        with self.calling:
            if data:
                self.received.write(data)
            else:
                self.received.write_eof()

    def sendall(self, data):
        with self.sending:
            self.raw.sendall(self.records(data))

    def records(self, data):
        """The bytes of these records, which are not sent."""
        with self.calling:
            self.tls.write(data)
            return self.unsent.read()

    def recv(self, size):
        while True:
            try:
                done, data = self._try(self.tls.read, size)
            except ssl.SSLZeroReturnError:
                return b""
            if done:
                return data
            self._fill()

    def goodbye(self):
        """The bytes of a close_notify. unwrap() also looks for the other end's, and would lose what is before it."""
        with self.calling:
            waiting = self.received.read()
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.unwrap()
            self.received.write(waiting)
            return self.unsent.read()

    def shutdown(self, how):
        if how == socket.SHUT_WR:
            self.raw.sendall(self.goodbye())
        self.raw.shutdown(how)

    def __getattr__(self, name):
        return getattr(self.raw, name)


def client_context(certificates, identity=None, protocols=("banter",)):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificates.path("ca.crt"))
    if identity:
        context.load_cert_chain(certificates.path(f"{identity}.pem"))
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


def raw_connection(address):
    """A connected socket; `address` may begin with tls:."""
    return LineClient.to(address.removeprefix("tls:")).socket


def connect(banterd, context, address=None, framing="line", **how):
    """A LineClient that has shaken hands."""
    client = LineClient(Secured(raw_connection(address or banterd.address), context, **how), framing)
    banterd._clients.append(client)
    return client


def s_client(banterd, *options, input=b""):
    """Runs openssl's to its end."""
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{banterd.port}", *options], input=input,
                          capture_output=True, timeout=LIMIT)
