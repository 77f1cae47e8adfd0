"""--client-ca: who a client is by its certificate, for the log, the control socket, and what answers."""
import json

import pytest

import shared_object
from harness import LineClient
from secure import Secured, client_context, connect, raw_connection

ALICE = "CN=alice,O=Banter"
SHOW = 'read -r line; echo "$BANTER_IDENTITY"; exec cat'
PLUGIN = """#include <banter/handler.h>
#include <string.h>
static void handle(void *state, const char *message, size_t size, struct banter_reply *reply)
{
    const char *identity = banter_reply_identity(reply);
    (void) state, (void) message, (void) size;
    banter_reply_append(reply, identity, strlen(identity));
}
const struct banter_handler banter_handler = {.abi = BANTER_HANDLER_ABI, .name = "who", .handle = handle};
"""


@pytest.fixture
def secure(server, certificates):
    """secure(*options) starts a banterd that asks clients for certificates."""
    def start(*options, **how):
        return server("--cert", certificates.path("server.pem"), "--client-ca", certificates.path("ca.crt"), *options,
                      listen="tls:127.0.0.1:0", **how)
    return start


@pytest.fixture
def alice(certificates):
    certificates.sign("alice", "/O=Banter/CN=alice")
    return client_context(certificates, "alice")


@pytest.mark.parametrize("subject, identity", [
    ("/O=Banter/CN=alice", ALICE),
    ("/CN=alice", "CN=alice"),
    ("/O=Ban,ter/CN=al\\+ice", r"CN=al\+ice,O=Ban\,ter"),
    ('/O=Banter/CN=al"i\\\\ce', r'CN=al\"i\\ce,O=Banter'),
    ("/O=Banter/CN=Zo\u00eb", "CN=Zo\u00eb,O=Banter")])
def test_the_subject_as_rfc_4514_writes_it(secure, certificates, subject, identity):
    certificates.sign("any", subject, utf8=True)
    banterd = secure()
    assert connect(banterd, client_context(certificates, "any")).ask("x") == b"Hello X"
    assert banterd.log.wait_for(r"^\[1\] Connected with 127\.0\.0\.1:\d+ as (.*)$")[1] == identity


@pytest.mark.parametrize("options", [
    ("--worker-per-client", "--", "sh", "-c", SHOW),
    ("--worker-per-request", "--", "sh", "-c", SHOW),
    ("--tell-peer", "--", "sed", "-u", r"s/[^\t]*\t\([^\t]*\)\t.*/\1/")])
def test_a_program_is_told(secure, alice, options):
    assert connect(secure(*options), alice).ask("x") == ALICE.encode()


def test_a_plugin_is_told(secure, alice, folder):
    shared_object.build(folder, "who", PLUGIN)
    assert connect(secure("-H", "plugin:who.so"), alice).ask("x") == ALICE.encode()


def test_whoever_operates_the_server_is_told(secure, alice, folder, run_banter):
    control = f"unix:{folder}/control"
    banterd = secure("--control", control)
    assert connect(banterd, alice).ask("x") == b"Hello X"
    one, = json.loads(run_banter("-c", control, "sessions").stdout)
    assert one["identity"] == ALICE and one["address"].startswith("127.0.0.1:")


def test_a_certificate_counts_for_more_than_what_a_proxy_tells(secure, alice):
    banterd = secure("--proxy-from", "127.0.0.1")
    raw = raw_connection(banterd.address)
    raw.sendall(b"PROXY TCP4 10.1.2.3 127.0.0.1 54012 8000\r\n")
    assert LineClient(Secured(raw, alice)).ask("x") == b"Hello X"
    banterd.log.wait_line(f"[1] Connected with 10.1.2.3:54012 as {ALICE}")
    raw.close()


def test_a_unix_user_with_a_certificate(secure, alice, folder):
    """The certificate says more."""
    banterd = secure("-l", f"tls:unix:{folder}/s", ready=False)
    banterd.wait_ready(2)
    assert connect(banterd, alice, f"unix:{folder}/s").ask("x") == b"Hello X"
    banterd.log.wait_line(f"[1] Connected with unix:{folder}/s as {ALICE}")
