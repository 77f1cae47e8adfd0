"""What is said of TLS to whoever operates the server: metrics, status, and the log about the certificate."""
import json
import re
import signal
import ssl

import pytest

import metrics
from harness import wait_until
from secure import client_context, connect, raw_connection

DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def handshakes(**counts):
    return {f'banterd_tls_handshakes_total{{result="{result}"}}': counts.get(result, 0)
            for result in ("ok", "failed", "timeout", "denied")}


def end_of(certificates, name):
    """Until when a certificate is good, in seconds since 1970."""
    return ssl.cert_time_to_seconds(ssl._ssl._test_decode_cert(str(certificates.path(name)))["notAfter"])


# ---- metrics

def test_each_result(secure, context, certificates):
    """Whoever speaks no TLS, breaks off, offers nothing that we speak, or says nothing."""
    banterd = secure("-q", *metrics.OPTIONS, "--handshake-timeout", "1h")
    clients = [connect(banterd, context) for _ in range(3)]
    assert [client.ask("x") for client in clients] == [b"Hello X"] * 3
    metrics.wait_for(banterd, {**handshakes(ok=3), "banterd_tls_handshake_seconds_count": 3, "banterd_tls_waiting": 0,
                               "banterd_certificate_end_timestamp_seconds": end_of(certificates, "server.crt")})
    plain = raw_connection(banterd.address)
    plain.sendall(b"Zack\n")
    half = raw_connection(banterd.address)
    half.sendall(b"\x16\3\1")
    half.close()
    old = client_context(certificates)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        connect(banterd, old)
    silent, begun = raw_connection(banterd.address), raw_connection(banterd.address)
    begun.sendall(b"\x16\3\1")
    figures = metrics.wait_for(banterd, {
        **handshakes(ok=3, failed=3), "banterd_tls_waiting": 2, "banterd_tls_handshake_seconds_count": 3,
        'banterd_errors_total{code="tls-required"}': 1, "banterd_sessions_total": 3})
    assert 0 < figures["banterd_tls_handshake_seconds_sum"] < 100
    for raw in (plain, silent, begun):
        raw.close()
    metrics.wait_for(banterd, {**handshakes(ok=3, failed=4), "banterd_tls_waiting": 0})  # silence is nothing


def test_those_that_take_too_long(secure):
    banterd = secure("-q", *metrics.OPTIONS, "--handshake-timeout", "50ms")
    silent = raw_connection(banterd.address)
    assert silent.recv(1) == b""
    metrics.wait_for(banterd, handshakes(timeout=1))
    silent.close()


def test_those_that_are_denied(secure, context):
    banterd = secure("-q", *metrics.OPTIONS, "--deny", "127.0.0.1")
    with pytest.raises(ssl.SSLError, match="(?i)alert access denied"):
        connect(banterd, context)
    metrics.wait_for(banterd, {**handshakes(denied=1), 'banterd_refused_total{reason="denied"}': 1,
                               "banterd_offloaded_total": 0})  # nothing was computed


def test_those_whose_certificate_may_not(secure, certificates):
    certificates.sign("alice", "/O=Banter/CN=alice")
    banterd = secure("-q", *metrics.OPTIONS, "--client-ca", certificates.path("ca.crt"), "--deny", "CN=alice")
    client = connect(banterd, client_context(certificates, "alice"))
    assert client.reply().startswith(b"-ERR denied")
    metrics.wait_for(banterd, {**handshakes(ok=1), 'banterd_refused_total{reason="denied"}': 1})


def test_a_server_in_the_clear(server):
    figures = metrics.wait_for(server(*metrics.OPTIONS), {**handshakes(), "banterd_tls_waiting": 0})
    assert "banterd_certificate_end_timestamp_seconds" not in figures


# ---- status

def test_status(secure, context, certificates, run_banter, folder):
    control = f"unix:{folder}/control"
    banterd = secure("--control", control, "--handshake-timeout", "1h")
    client = connect(banterd, context)
    assert client.ask("x") == b"Hello X"
    raw = raw_connection(banterd.address)
    raw.sendall(b"Zack\n")

    def told():
        return json.loads(run_banter("-c", control, "status").stdout)["tls"]
    wait_until(lambda: told()["failed"] == 1, "it is counted")
    raw.close()
    tls = told()
    assert list(tls) == ["handshakes", "failed", "waiting", "certificate_until"]
    assert (tls["handshakes"], tls["waiting"]) == (1, 0) and re.fullmatch(DATE, tls["certificate_until"])
    silent = raw_connection(banterd.address)
    wait_until(lambda: told()["waiting"] == 1, "one waits")
    silent.close()


# ---- the log

def copy(certificates, file, name):
    file.write_text(certificates.path(f"{name}.pem").read_text())
    file.chmod(0o600)


def test_until_when_it_is_good(server, certificates, folder, context):
    """At the start, and when another one was read; and a warning when it is over soon."""
    file = folder / "own.pem"
    copy(certificates, file, "server")
    certificates.sign("soon", begin=-20, end=1)
    certificates.sign("later", end=300)
    banterd = server("--cert", file, listen="tls:127.0.0.1:0")
    good = banterd.log.wait_for(rf"^Certificate {file} is good until ({DATE})$")[1]
    banterd.process.send_signal(signal.SIGHUP)
    banterd.log.wait_for("^Reloaded: ")
    copy(certificates, file, "soon")
    banterd.process.send_signal(signal.SIGHUP)
    soon = banterd.log.wait_for(rf"^Certificate {file} is over soon: it is good until ({DATE})$")[1]
    copy(certificates, file, "later")
    banterd.process.send_signal(signal.SIGHUP)
    later = banterd.log.wait_for(rf"^Certificate {file} is good until ({DATE})$", 3)[1]
    assert soon < good < later
    assert connect(banterd, context).ask("x") == b"Hello X"
    lines = [line.split(" is ")[1].split(" until")[0] for line in banterd.log.lines if line.startswith("Certificate")]
    assert lines == ["good", "good", "over soon: it", "good"]  # the same one again is no news


def test_one_that_is_over_soon_at_the_start(secure, certificates):
    """With -qq there is the warning alone."""
    certificates.sign("soon", begin=-20, end=1)
    banterd = secure("-qq", "--log", "json", name="soon.pem", ready=False)
    event = json.loads(banterd.log.wait_for("(.*certificate.*)")[1])
    assert (event["event"], event["level"]) == ("certificate-near", "error")
    assert event["file"] == str(certificates.path("soon.pem")) and re.fullmatch(DATE, event["until"])
