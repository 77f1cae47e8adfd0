"""--ca, --tls-name, --pin, --cert, --key: whom the client trusts, what it says of others, and who it is itself."""
import re
import ssl

import pytest

import certificates as making
from harness import BANTER, Run, wait_until
from peers.scripted import hello
from peers.secure import SecurePeer


@pytest.fixture
def ca(certificates):
    return certificates.path("ca.crt")


def refusal(peer, why):
    return Run(77, b"", f"banter: Connection Error: {peer.address}: {why}\n".encode())


# ---- the server's certificate

def unsigned(made, name):
    return (f"its certificate is not signed by anybody in {made.path('ca.crt')}; its key is {made.pin(name)} "
            "(--pin trusts that alone)")


BAD = {
    "self-signed": (lambda made: made.sign_self("self"), lambda made: unsigned(made, "self")),
    "of another authority": (lambda made: made.sign("stranger", by="other"), lambda made: unsigned(made, "stranger")),
    "for another name": (lambda made: made.sign("name", "/CN=localhost", "subjectAltName=DNS:a.example,DNS:b.example"),
                         lambda made: "its certificate is for a.example, b.example, not for localhost"),
    "for many names": (lambda made: made.sign("names", "/CN=x", "subjectAltName=" + ",".join(
        f"DNS:{each}.example" for each in "abcde")),
        lambda made: "its certificate is for a.example, b.example, c.example and 2 more, not for localhost"),
    "for an address": (lambda made: made.sign("number", "/CN=x", "subjectAltName=IP:192.0.2.1,IP:2001:db8::1"),
                       lambda made: "its certificate is for 192.0.2.1, 2001:db8::1, not for localhost"),
    "for a CN": (lambda made: made.sign("cn", "/O=Banter/CN=elsewhere.example", "basicConstraints=CA:FALSE"),
                 lambda made: "its certificate is for elsewhere.example, not for localhost"),
    "for nobody": (lambda made: made.sign("nobody", "/O=Banter", "basicConstraints=CA:FALSE"),
                   lambda made: "its certificate is for nobody, not for localhost"),
    "over": (lambda made: made.sign("over", begin=-20, end=-10),
             lambda made: f"its certificate is over since {making.day(-10):%Y-%m-%dT%H:%M:%SZ}"),
    "not begun": (lambda made: made.sign("early", begin=10, end=20),
                  lambda made: f"its certificate is not good before {making.day(10):%Y-%m-%dT%H:%M:%SZ}"),
    "a client's": (lambda made: made.sign("client-only", "/CN=localhost", making.NAMES, "extendedKeyUsage=clientAuth"),
                   lambda made: "its certificate can't be trusted: unsuitable certificate purpose; its key is "
                                f"{made.pin('client-only')} (--pin trusts that alone)"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_certificate(run_banter, certificates, ca, kind):
    """Nothing was sent, and nothing is tried again."""
    make, why = BAD[kind]
    with SecurePeer(hello, make(certificates)) as peer:
        assert run_banter("-c", peer.address, "--ca", ca, "--wait", "Zack") == refusal(peer, why(certificates))
        assert peer.refusal() and len(peer.connections) == 1


def test_a_link_of_the_chain_that_is_over(run_banter, certificates, ca):
    certificates.sign("old-link", "/CN=old link", "basicConstraints=critical,CA:TRUE", begin=-20, end=-10)
    with SecurePeer(hello, certificates.sign("chained", by="old-link")) as peer:
        assert run_banter("-c", peer.address, "--ca", ca, "Zack") == refusal(
            peer, f"the certificate of CN=old link, which signed its, is over since {making.day(-10):%Y-%m-%dT%H:%M:%SZ}")


def test_names_of_a_hostile_server(run_banter, certificates, ca):
    """They are shown, but can't drive a terminal."""
    with SecurePeer(hello, certificates.sign("hostile", "/CN=a\x1b[2Jb", "basicConstraints=CA:FALSE")) as peer:
        assert run_banter("-c", peer.address, "--ca", ca, "Zack") == refusal(
            peer, r"its certificate is for a\x1b[2Jb, not for localhost")


@pytest.mark.parametrize("host, names", [
    ("127.0.0.1", "IP:127.0.0.1"), ("a.example", "DNS:a.example"), ("a.b.example", "DNS:*.b.example"),
    ("a.example.", "DNS:a.example"), ("2001:db8::1", "IP:2001:db8::1")])
def test_tls_name(run_banter, certificates, ca, host, names):
    name = re.sub(r"\W", "_", host + names)
    with SecurePeer(hello, certificates.sign(name, "/CN=x", f"subjectAltName={names}")) as peer:
        assert run_banter("-c", peer.address, "--ca", ca, "--tls-name", host, "a") == Run(0, b"Hello a\n", b"")


@pytest.mark.parametrize("host, names", [
    ("a.b.c.example", "*.c.example"), ("a.b.example", "a*.b.example"), ("c.example", "*.c.example"), ("a.example", "*.example"),
    ("a.example", "b.example")])
def test_names_that_do_not_match(run_banter, certificates, ca, host, names):
    name = re.sub(r"\W", "_", host + names)
    with SecurePeer(hello, certificates.sign(name, "/CN=a.example", f"subjectAltName=DNS:{names}")) as peer:
        assert run_banter("-c", peer.address, "--ca", ca, "--tls-name", host, "a") == refusal(
            peer, f"its certificate is for {names}, not for {host}")


def test_the_name_is_told_to_the_server(run_banter, certificates, ca):
    def note(_socket, name, _context):
        told.append(name)
    told = []
    with SecurePeer(hello, certificates.path("server.pem")) as peer:
        peer.context.sni_callback = note
        for words in ([], ["--tls-name", "a.example"], ["--tls-name", "127.0.0.1"]):
            run_banter("-c", peer.address, "--ca", ca, *words, "a")
    assert told == ["localhost", "a.example", None]


# ---- pins

def test_pin(run_banter, certificates):
    """The key alone counts: not the name, not the time, not who has signed."""
    certificates.sign("pinned", "/CN=elsewhere", "subjectAltName=DNS:elsewhere", by="other", begin=-20, end=-10)
    with SecurePeer(hello, certificates.path("pinned.pem")) as peer:
        run = run_banter("-c", peer.address, "--pin", certificates.pin("pinned"), "a", env={"BANTER_CA": "/nowhere"})
        assert run == Run(0, b"Hello a\n", b"")


def test_another_pin(run_banter, certificates):
    """Also if the certificate is good."""
    with SecurePeer(hello, certificates.path("server.pem")) as peer:
        assert run_banter("-c", peer.address, "--pin", certificates.pin("ca"), "--wait", "a") == refusal(
            peer, f"its key is {certificates.pin('server')}, not the one that is pinned")


def test_the_pin_that_a_refusal_names(run_banter, certificates, ca):
    with SecurePeer(hello, certificates.sign_self("self-2")) as peer:
        pin = re.search(rb"sha256:\S+", run_banter("-c", peer.address, "--ca", ca, "a").stderr)[0].decode()
        assert run_banter("-c", peer.address, "--pin", pin, "a") == Run(0, b"Hello a\n", b"")


# ---- authorities

def test_the_certificate_itself(run_banter, certificates):
    """One that has signed itself; and a server's own, without who has signed it."""
    certificates.sign_self("self-3")
    for name in ("self-3", "server"):
        with SecurePeer(hello, certificates.path(f"{name}.pem")) as peer:
            assert run_banter("-c", peer.address, "--ca", certificates.path(f"{name}.crt"), "a").status == 0


def test_a_folder_of_authorities(run_banter, certificates, folder):
    (folder / "ca").mkdir()
    (folder / "ca/mine.pem").write_text(certificates.path("ca.crt").read_text())
    with SecurePeer(hello, certificates.path("server.pem")) as peer:
        run = run_banter("-c", peer.address, "--ca", "ca", "a")
        assert run == Run(64, b"", b"banter: no certificate in ca has its hash for a name: openssl rehash gives them such "
                                   b"names\n")
        making.openssl("rehash", folder / "ca")
        assert run_banter("-c", peer.address, "--ca", "ca", "a") == Run(0, b"Hello a\n", b"")


def test_the_systems_authorities(run_banter, certificates):
    with SecurePeer(hello, certificates.path("server.pem")) as peer:
        why = unsigned(certificates, "server").replace(str(certificates.path("ca.crt")), "/etc/ssl/certs")
        assert run_banter("-c", peer.address, "a") == refusal(peer, why)


# ---- the client's own certificate

def client_certificate(made, name):
    return made.sign(name, "/O=Banter/CN=alice", "extendedKeyUsage=clientAuth")


def wanting(made):
    return SecurePeer(hello, made.path("server.pem"), client_ca=made.path("ca.crt"))


def test_a_good_client(run_banter, certificates, ca):
    client = client_certificate(certificates, "alice")
    with wanting(certificates) as peer:
        for words in (["--cert", client], ["--cert", certificates.path("alice.crt"), "--key", certificates.path("alice.key")]):
            assert run_banter("-c", peer.address, "--ca", ca, *words, "a") == Run(0, b"Hello a\n", b"")


def test_a_client_behind_another_authority(run_banter, certificates, ca):
    """Its file has the certificate that leads there."""
    certificates.sign("link", "/CN=link", "basicConstraints=critical,CA:TRUE")
    client = certificates.sign("bob", "/CN=bob", "extendedKeyUsage=clientAuth", by="link")
    with wanting(certificates) as peer:
        assert run_banter("-c", peer.address, "--ca", ca, "--cert", client, "a").status == 0


BAD_CLIENTS = {
    "none": (None, "the server wants a certificate (--cert)"),
    "self-signed": (lambda made: made.sign_self("mallory", "/CN=mallory"),
                    "the server refuses our certificate: unknown CA"),
    "over": (lambda made: made.sign("late", "/CN=late", begin=-20, end=-10),
             "the server refuses our certificate: certificate expired"),
    "a server's": (lambda made: made.sign("server-only", "/CN=x", "extendedKeyUsage=serverAuth"),
                   "the server refuses our certificate: unsupported certificate"),
}


@pytest.mark.parametrize("kind", BAD_CLIENTS)
def test_a_bad_client(run_banter, certificates, ca, kind):
    """The server judges when the client may have sent something, which it has not read."""
    make, why = BAD_CLIENTS[kind]
    with wanting(certificates) as peer:
        words = ["--cert", make(certificates)] if make else []
        run = run_banter("-c", peer.address, "--ca", ca, *words, "--wait", "--again", "lost", "a")
        assert run == refusal(peer, why)
        assert peer.refusal() and peer.connection().received == b"" and len(peer.connections) == 1


def test_a_bad_client_with_a_script(run_banter, certificates, ca):
    """More than fits the way to the server. What was read of it is summed up."""
    with wanting(certificates) as peer:
        run = run_banter("-c", peer.address, "--ca", ca, input=b"line\n" * 300_000)
        assert (run.status, run.stdout) == (77, b"")
        why = refusal(peer, "the server wants a certificate (--cert)").stderr
        assert re.fullmatch(re.escape(why) + rb"(.*; the first unanswered input line is 1\n)?", run.stderr)


def test_a_bad_client_at_a_terminal(open_screen, certificates, ca):
    with wanting(certificates) as peer:
        screen = open_screen([BANTER, "-c", peer.address, "--ca", ca], columns=100)
        assert screen.wait_end() == 77
        assert f"banter: Connection Error: {peer.address}: the server wants a certificate (--cert)" in screen.lines


def test_no_certificate_is_shown_unasked(run_banter, certificates, ca):
    with SecurePeer(hello, certificates.path("server.pem")) as peer:
        peer.context.verify_mode = ssl.CERT_NONE
        client = client_certificate(certificates, "shy")
        assert run_banter("-c", peer.address, "--ca", ca, "--cert", client, "a").status == 0
        wait_until(lambda: peer.connection().finished.is_set(), "the end")


# ---- files that can't be used: before anything is connected

def test_files(run_banter, certificates, folder):
    client = client_certificate(certificates, "carol")
    key = certificates.path("carol.key")
    (folder / "empty").touch()
    (folder / "noise").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (folder / "open.key").write_text(key.read_text())
    (folder / "open.key").chmod(0o644)
    making.openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", folder / "locked.key")
    (folder / "locked.key").chmod(0o600)
    other = certificates.path("server.key")
    for words, why in [
            (["--ca", "missing"], "unable to read missing: No such file or directory"),
            (["--ca", "empty"], "there is no certificate in PEM in empty that can be used: "),
            (["--ca", "noise"], "there is no certificate in PEM in noise that can be used: "),
            (["--cert", "missing"], "unable to read missing: No such file or directory"),
            (["--cert", "empty"], "there is no certificate in PEM in empty that can be used: "),
            (["--cert", client, "--key", "missing"], "unable to read missing: No such file or directory"),
            (["--cert", client, "--key", "empty"], "there is no private key in PEM in empty"),
            (["--cert", certificates.path("carol.crt")], "there is no private key in PEM in "),
            (["--cert", client, "--key", "open.key"], "everybody may read the key in open.key: chmod o= protects it"),
            (["--cert", client, "--key", "locked.key"],
             "the key in locked.key is encrypted, and nobody is asked for a passphrase: openssl pkey writes it without one"),
            (["--cert", client, "--key", other], f"the key in {other} is not that of the certificate in {client}"),
    ]:
        (folder / "empty").chmod(0o600)
        run = run_banter("-c", "tls:localhost:1", *words, "a")
        assert (run.status, run.stdout) == (64, b"") and run.stderr.startswith(f"banter: {why}".encode()), (words, run)
        assert run.stderr.count(b"\n") == 1


def test_a_file_in_the_environment(run_banter):
    assert run_banter("-c", "tls:localhost:1", "a", env={"BANTER_CA": "missing"}) == Run(
        64, b"", b"banter: unable to read missing: No such file or directory\n")


# ---- the command line

PIN = "sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
NEEDS_TLS = ("--ca, --tls-name, --pin, --cert and --key need an address that begins with tls:, such as "
             "tls:localhost:8443")


@pytest.mark.parametrize("words, why", [
    (["--ca", "x"], NEEDS_TLS), (["--pin", PIN], NEEDS_TLS), (["--key", "x"], NEEDS_TLS),
    (["-c", "localhost:1", "--tls-name", "x"], NEEDS_TLS), (["-c", "unix:tls:", "--cert", "x"], NEEDS_TLS),
    (["-c", "tls:1", "--pin", PIN, "--ca", "x"], "--pin trusts one key alone, so it can't be given with --ca"),
    (["-c", "tls:1", "--key", "x"], "--key needs the certificate of the key, --cert"),
    (["-c", "tls:unix:/x"], "a Unix socket has no name that a certificate could be for: give --tls-name or --pin"),
    (["-c", "tls:1", "--tls-name", ""], "--tls-name: a name has from 1 to 253 bytes; see banter --help"),
    (["-c", "tls:1", "--ca", ""], "--ca: a file or a folder has a name; see banter --help"),
    *((["-c", "tls:1", "--pin", pin], f'--pin: "{pin}" is no pin, which is sha256: and 44 characters of base64, as the '
                                      "refusal of a certificate gives them; see banter --help")
      for pin in ("", "sha256:", PIN[:-1], PIN + "=", PIN[:-2] + "B=", PIN.replace("sha256", "sha1"), PIN.upper())),
])
def test_usage(run_banter, words, why):
    assert run_banter(*words, "a") == Run(64, b"", f"banter: {why}\n".encode())
