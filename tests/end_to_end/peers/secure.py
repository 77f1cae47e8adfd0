"""secure: servers through TLS: scripted ones, and a man in the middle who cuts.

    with SecurePeer(hello, certificate) as peer:
        run("--connect", peer.address)          # tls:localhost:PORT
"""
import socket
import ssl
import threading

from harness import LIMIT
from peers.scripted import Connection, Peer


class SecureConnection(Connection):
    """`refused`: why no hands were shaken. `was_ended`: the client has said that it sends no more."""

    refused = None
    was_ended = False

    def shake_hands(self, context):
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False,
                                          suppress_ragged_eofs=False)
        self.socket.do_handshake()

    def fill(self):
        """The client's end is its word for it; any other end is a loss."""
        try:
            data = super().fill()
        except ssl.SSLError as why:
            raise ConnectionError(why) from why
        self.was_ended |= not data
        return data

    def close(self):
        """The end on both sides, unless it was cut."""
        if isinstance(self.socket, ssl.SSLSocket) and self.refused is None:
            try:
                self.socket = self.socket.unwrap()
                self.was_ended = True
            except (OSError, ValueError):
                pass
        received = self.received
        super().close()
        if self.refused is not None:
            self.received = received  # the rest was for nobody

    def say_end(self):
        """Ends our half with a word, and waits for none of the client's."""
        self.socket.settimeout(0)
        try:
            self.socket.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.cut()

    def cut(self):
        """Ends the connection without a word, if the client is still there."""
        self.refused = "it was cut"
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def context_of(certificate, *, client_ca=None, version=ssl.TLSVersion.TLSv1_3, tickets=2, protocols=("banter",)):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = version
    context.num_tickets = tickets
    if protocols:
        context.set_alpn_protocols(protocols)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


class SecurePeer(Peer):
    connection_type = SecureConnection

    def __init__(self, behaviour, certificate, *, path=None, **how):
        super().__init__(behaviour, path=path)
        self.context = context_of(certificate, **how)
        self.where = self.address
        port = self.address.rsplit(":", 1)[1]
        self.address = f"tls:{self.address}" if path else f"tls:localhost:{port}"

    def begin(self, connection):
        try:
            connection.shake_hands(self.context)
        except (OSError, ssl.SSLError) as why:
            connection.refused = str(why)
            raise ConnectionError(why) from why

    def refusal(self):
        """Why the first connection had no handshake; None if it had."""
        connection = self.connection()
        assert connection.finished.wait(LIMIT)
        return connection.refused


class Middle:
    """A man in the middle of one connection at a time."""

    def __init__(self, peer):
        host, port = peer.where.rsplit(":", 1)
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "tls:localhost:%d" % self._listener.getsockname()[1]

    def serve(self):
        client, _ = self._listener.accept()
        server = socket.create_connection(self._server)
        for each in (client, server):
            each.settimeout(LIMIT)
        up = threading.Thread(target=self._pass_on, args=(client, server), daemon=True)
        up.start()
        try:
            self.pass_back(server, client)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        up.join(LIMIT)
        client.close()
        server.close()

    def pass_back(self, server, client):
        """What the server says, up to the end that the client is to see."""
        raise NotImplementedError

    @staticmethod
    def _pass_on(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self._listener.close()


class Cutter(Middle):
    """From hold() on he keeps what the server sends; serve_cut(n) passes on its first n bytes, when the server has sent
    all, and then the end of the stream."""

    def __init__(self, peer):
        super().__init__(peer)
        self._holds = threading.Event()

    def hold(self):
        self._holds.set()

    def serve_cut(self, size=None):
        """One connection, of whose held bytes the first `size` come through, or all. Returns how many were held."""
        self._holds.clear()
        self._size, self._held = size, b""
        self.serve()
        return len(self._held)

    def pass_back(self, server, client):
        while data := server.recv(65536):
            if self._holds.is_set():
                self._held += data
            else:
                client.sendall(data)
        client.sendall(self._held[:self._size])


class Between(Middle):
    """Passes on what the server says by a function of two sockets, for one connection in a thread of his own."""

    def __init__(self, peer, pass_back):
        super().__init__(peer)
        self.pass_back = pass_back

    def __enter__(self):
        self._thread = threading.Thread(target=self.serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join(LIMIT)
        self.close()
