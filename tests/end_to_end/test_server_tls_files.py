"""--cert, --key, --client-ca, --crl: what the files may be, at the start and when they are read anew."""
import re
import shutil
import signal
import ssl
import subprocess

import pytest

from certificates import openssl
from harness import wait_until
from secure import client_context, connect


@pytest.fixture
def fails(bench):
    """fails(text, *options): it does not start, and says why."""
    def start(text, *options):
        banterd = bench.server("-l", "tls:127.0.0.1:0", *options, listen=None, ready=False, expect_status=1,
                               expect_stderr=f"banterd: {text}\n")
        assert banterd.wait() == 1
    return start


def is_served(banterd, context):
    try:
        return connect(banterd, context).ask("x") == b"Hello X"
    except (ssl.SSLError, ConnectionError):
        return False


# ---- the server's own

def test_the_key_in_a_file_of_its_own(secure, context, certificates):
    assert is_served(secure("--key", certificates.path("server.key"), name="server.crt"), context)


def test_those_that_lead_to_the_authority(secure, context, certificates):
    """The client knows nothing of the one between."""
    certificates.sign("between", "/O=Banter/CN=between", "basicConstraints=critical,CA:TRUE")
    certificates.sign("below", by="between")
    assert is_served(secure(name="below.pem"), context)


@pytest.mark.parametrize("key", ["ed25519", "rsa:2048", "rsa-pss", "ec -pkeyopt ec_paramgen_curve:P-384"])
def test_kinds_of_keys(server, context, certificates, folder, key):
    openssl("req", "-x509", "-newkey", *key.split(), "-nodes", "-config", certificates.configuration, "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "k", "-out", folder / "c")
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(folder / "c")
    assert is_served(server("--cert", folder / "c", "--key", folder / "k", listen="tls:127.0.0.1:0"), trusting)


def test_those_that_do_not_let_it_start(fails, certificates, folder):
    certificates.sign("future", begin=1, end=9)
    encrypted = folder / "encrypted.key"
    openssl("pkey", "-in", certificates.path("server.key"), "-aes256", "-passout", "pass:x", "-out", encrypted)
    encrypted.chmod(0o600)
    empty = folder / "empty"
    empty.touch()
    certificate = ("--cert", certificates.path("server.crt"))
    fails(r"the certificate in .*future\.pem is not good before .*Z", "--cert", certificates.path("future.pem"))
    fails(r"the key in .*encrypted\.key is encrypted, and nobody is asked for a passphrase: openssl pkey writes it "
          r"without one", *certificate, "--key", encrypted)
    fails(r"there is no private key in PEM in .*empty", *certificate, "--key", empty)
    fails(r"there is no private key in PEM in .*server\.crt", *certificate)
    fails(r"there is no certificate in PEM in .*empty that can be used: .*", "--cert", empty)
    fails(r"there is no certificate in PEM in .*empty that can be used: .*", "--cert", certificates.path("server.pem"),
          "--client-ca", empty)
    fails(r"no certificate in .* has its hash for a name: openssl rehash gives them such names", "--cert",
          certificates.path("server.pem"), "--client-ca", folder)


# ---- clients'

def test_a_folder_of_authorities(secure, certificates, folder):
    certificates.sign("alice", "/CN=alice")
    certificates.sign("mallory", "/CN=alice", by="other")
    authorities = folder / "authorities"
    authorities.mkdir()
    shutil.copy(certificates.path("ca.crt"), authorities / "ca.pem")
    subprocess.run(["openssl", "rehash", authorities], check=True, capture_output=True)
    banterd = secure("--client-ca", authorities)
    assert is_served(banterd, client_context(certificates, "alice"))
    assert not is_served(banterd, client_context(certificates, "mallory"))


class Revocation:
    """The list of an authority, in a file."""

    def __init__(self, certificates, file):
        self.certificates, self.file = certificates, file
        self.command = ["ca", "-config", certificates.configuration, "-cert", certificates.path("ca.crt"), "-keyfile",
                        certificates.path("ca.key")]

    def write(self, *times):
        openssl(*self.command, "-gencrl", *(times or ("-crldays", "9")), "-out", self.file)

    def revoke(self, name):
        openssl(*self.command, "-revoke", self.certificates.path(f"{name}.crt"))
        self.write()


def test_a_list_that_is_read_anew(secure, certificates, folder):
    """Who is in it by then has no more sessions, but keeps the one that there is."""
    certificates.sign("bob", "/CN=bob")
    revocation = Revocation(certificates, folder / "crl")
    revocation.write()
    banterd = secure("--client-ca", certificates.path("ca.crt"), "--crl", folder / "crl")
    bob = client_context(certificates, "bob")
    client = connect(banterd, bob)
    assert client.ask("x") == b"Hello X"
    revocation.revoke("bob")
    banterd.process.send_signal(signal.SIGHUP)
    banterd.log.wait_for(rf"^Reloaded: .*{re.escape(str(folder / 'crl'))}$")
    assert not is_served(banterd, bob)
    banterd.log.wait_for("failed: its certificate can't be trusted: certificate revoked$")
    assert client.ask("y") == b"Hello Y"


def test_a_list_that_is_over_lets_nobody_in(secure, certificates, folder):
    certificates.sign("carol", "/CN=carol")
    Revocation(certificates, folder / "crl").write("-crl_lastupdate", "20200101000000Z", "-crl_nextupdate",
                                                   "20200201000000Z")
    banterd = secure("--client-ca", certificates.path("ca.crt"), "--crl", folder / "crl")
    assert not is_served(banterd, client_context(certificates, "carol"))
    banterd.log.wait_for("failed: its certificate can't be trusted: CRL has expired$")


def test_other_authorities_that_are_read_anew(secure, certificates, folder):
    certificates.sign("dave", "/CN=dave")
    certificates.sign("erin", "/CN=erin", by="other")
    file = folder / "authorities"
    shutil.copy(certificates.path("ca.crt"), file)
    banterd = secure("--client-ca", file)
    dave, erin = client_context(certificates, "dave"), client_context(certificates, "erin")
    assert is_served(banterd, dave) and not is_served(banterd, erin)
    shutil.copy(certificates.path("other.crt"), file)
    banterd.process.send_signal(signal.SIGHUP)
    wait_until(lambda: is_served(banterd, erin), "the other one is trusted")
    assert not is_served(banterd, dave)


def test_all_of_them_or_none(server, certificates, folder):
    """A list that can't be read keeps the next certificate out, and the next rules."""
    certificates.sign("frank", "/CN=frank")
    certificates.sign("next")
    own, rules = folder / "own.pem", folder / "rules"
    shutil.copy(certificates.path("server.pem"), own)
    Revocation(certificates, folder / "crl").write()
    rules.write_text("127.0.0.1\n")
    banterd = server("--cert", own, "--client-ca", certificates.path("ca.crt"), "--crl", folder / "crl", "--allow",
                     f"@{rules}", listen="tls:127.0.0.1:0")
    frank = client_context(certificates, "frank")

    def serial():
        client = connect(banterd, frank)
        assert client.ask("x") == b"Hello X"
        return client.socket.tls.getpeercert()["serialNumber"]
    before = serial()
    list_of_now = (folder / "crl").read_bytes()
    shutil.copy(certificates.path("next.pem"), own)
    rules.write_text("127.0.0.2\n")
    (folder / "crl").write_text("nothing\n")
    banterd.process.send_signal(signal.SIGHUP)
    banterd.log.wait_for(r"^Reload failed, nothing has changed: .*there is no list of revoked certificates in PEM in ")
    assert serial() == before
    (folder / "crl").write_bytes(list_of_now)
    banterd.process.send_signal(signal.SIGHUP)
    banterd.log.wait_for("^Reloaded: ")
    assert not is_served(banterd, frank)
    rules.write_text("127.0.0.1\n")
    banterd.process.send_signal(signal.SIGHUP)
    banterd.log.wait_for("^Reloaded: ", 2)
    assert serial() != before


# ---- addresses

@pytest.mark.parametrize("listen, ask", [
    ("tls:0", "127.0.0.1:{port}"), ("tls::0", "127.0.0.1:{port}"), ("tls:localhost:0", "127.0.0.1:{port}"),
    ("tls:[::1]:0", "[::1]:{port}"), ("tls:unix:socket", "unix:{folder}/socket"),
    ("tls:unix:@banter-{unique}", "unix:\0banter-{unique}")])
def test_forms_of_addresses(bench, certificates, context, folder, listen, ask):
    banterd = bench.server("--cert", certificates.path("server.pem"), "-l", listen.format(unique=folder.name),
                           listen=None, ready=False)
    shown = banterd.log.wait_for(r"^Socket now listening on (tls:.*)$")[1]
    port = shown.rsplit(":", 1)[1]
    address = ask.format(port=port, folder=folder, unique=folder.name)
    assert connect(banterd, context, address).ask("x") == b"Hello X"
