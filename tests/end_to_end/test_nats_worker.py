"""--listen nats:, --nats-group, --nats-name and --no-micro: a banterd that answers what comes over NATS.

The other side is a client that is nothing but bytes, and a real nats-server between.
"""
import json
import re
import signal

import pytest

import metrics
from harness import BANTERD, assert_replies, text_of, wait_until
from workers import WORKER

GONE = "_INBOX.gone.upper"  # where fronts say that they do not wait any more
CODE, TEXT = "Nats-Service-Error-Code", "Nats-Service-Error"


@pytest.fixture
def worker(server):
    """worker(nats, *options) starts a banterd that serves `upper`, and returns it when it does."""
    def start(nats, *options, where="upper", served="upper", count=1, **how):
        banterd = server("--listen", f"nats:{nats.address}/{where}", *options, listen=how.pop("listen", None), **how)
        if served:
            nats.wait_served(served, count)
        return banterd
    return start


def program(*words):
    return ["--", WORKER, *words]


def assert_error(message, status, text):
    """A reply that is an error says so in its headers, for every client of NATS, and in its body."""
    assert message.data.decode() == "-ERR " + text
    assert message.headers == {CODE: str(status), TEXT: text}


def assert_served(banterd, nats):
    assert nats.connect().request("upper", b"x").data == b"Hello X"
    assert banterd.running


# ---- requests and replies

def test_a_request_is_a_message_without_framing(nats_server, worker):
    nats = nats_server()
    banterd = worker(nats)
    client = nats.connect()
    reply = client.request("upper", b"Zack")
    assert (reply.data, reply.headers, reply.status) == (b"Hello ZACK", {}, None)
    assert client.request("upper", b"").data == b"Hello "
    assert client.request("upper", b"a\0b").data == b"Hello A\0B"
    banterd.stop()
    assert banterd.log.find(r"^\[1\] Processing the input received from client: Zack$")
    assert banterd.log.find(r"^\[1\] Processed result: Hello ZACK$")
    assert banterd.log.find(r"^Socket now listening on nats:upper$")
    assert not banterd.log.find("^Socket created$")
    assert banterd.log.find("^Server stopped after 0 clients, 3 requests$")


def test_many_out_at_once_are_each_answered(nats_server, worker):
    nats = nats_server()
    worker(nats, "-q")
    client = nats.connect()
    inbox = client.subscribe("mine.*")
    for number in range(2000):
        client.publish("upper", b"n%d" % number, f"mine.{number}")
    replies = {message.subject: message.data for message in (client.message_to(inbox) for _ in range(2000))}
    assert replies == {f"mine.{number}": b"Hello N%d" % number for number in range(2000)}


def test_it_stands_beside_other_listeners(nats_server, worker):
    nats, other = nats_server(), nats_server(name="n2")
    banterd = worker(nats, "--listen", "127.0.0.1:0", "--listen", f"nats:{other.address}/lower.v2")
    other.wait_served("lower.v2")
    banterd.log.wait_for("^Socket now listening on ", 3)
    address = next(address for address in banterd.addresses if address.startswith("127."))
    client = banterd.connect(address)
    assert client.ask("Zack") == b"Hello ZACK"
    assert other.connect().request("lower.v2", b"x").data == b"Hello X"
    assert_served(banterd, nats)
    banterd.log.wait_for(r"^\[3\] Processed")
    numbers = [match[1] for match in banterd.log.find(r"^\[(\d+)\] (?:Connected with|Processing)")]
    assert sorted(set(numbers)) == ["1", "2", "3"]


def test_a_plugin_or_a_handler_that_takes_long_runs_elsewhere(nats_server, worker):
    """The subject is served meanwhile: its thread is in no handler."""
    nats = nats_server()
    worker(nats, "-H", "test")
    client = nats.connect()
    slow, quick = client.ask("upper", b"sleep 1000 slow"), client.ask("upper", b"quick")
    assert client.message_to(quick).data == b"quick"
    assert client.message_to(slow).data == b"slow"
    assert client.request("upper", b"later 50 x").data == b"x"
    assert_error(client.request("upper", b"forget"), 500, "handler-failed the handler has not answered")


def test_what_a_program_is_told_of_its_askers(nats_server, worker, folder):
    nats = nats_server()
    worker(nats, "--tell-peer", "--", "cat")
    assert nats.connect().request("upper", b"x").data == b"nats:upper\t-\tx"


def test_the_environment_of_a_copy_for_one_request(nats_server, worker):
    nats = nats_server()
    worker(nats, "--worker-per-request", "--", "sh", "-c", 'echo "$BANTER_SESSION|$BANTER_ADDRESS|$BANTER_IDENTITY"')
    client = nats.connect()
    assert [client.request("upper", b"x").data for _ in range(2)] == [b"1|nats:upper|", b"2|nats:upper|"]


# ---- errors

def test_errors_are_in_headers_too(nats_server, worker):
    nats = nats_server()
    banterd = worker(nats, "--max-message", "10")
    client = nats.connect()
    assert_error(client.request("upper", b"\xff"), 400, "not-utf8 the byte at offset 0 does not begin a character of UTF-8")
    assert_error(client.request("upper", 11 * b"x"), 413, "too-long a request may have 10 bytes")
    assert_error(client.request("upper", b"a\nb"), 400,
                 "bad-request a request is one line here: --framing netstring takes any bytes")
    assert client.request("upper", 10 * b"x").data == b"Hello XXXXXXXXXX"
    banterd.log.wait_for(r"The input size is greater than expected 11$")


def test_any_bytes_where_requests_are_no_lines(nats_server, worker):
    nats = nats_server()
    worker(nats, "-H", "echo", "--framing", "netstring")
    data = bytes(range(256))
    assert nats.connect().request("upper", data).data == data


def test_a_request_whose_time_is_over(nats_server, worker, folder):
    nats = nats_server()
    worker(nats, "-w", "1", "--handler-timeout", "300ms", *program())
    assert_error(nats.connect().request("upper", b"gate never"), 504,
                 "handler-timeout the handler has not answered in time")


def test_a_reply_that_nats_does_not_carry(nats_server, worker):
    nats = nats_server(more="max_payload: 2048")
    worker(nats, "-w", "1", *program())
    client = nats.connect()
    assert client.request("upper", b"size 2048").data == 2048 * b"x"
    assert_error(client.request("upper", b"size 2049"), 413, "too-long the NATS server takes 2048 bytes")


def test_a_message_without_a_reply_subject_is_not_run(nats_server, worker, folder):
    nats = nats_server()
    banterd = worker(nats, "-w", "1", *program(f"log={folder}/ran"))
    client = nats.connect()
    client.publish("upper", b"nobody waits")
    assert client.request("upper", b"somebody does").data == b"somebody does"
    assert (folder / "ran").read_text() == "somebody does\n"
    banterd.log.wait_for("^A message to upper has no reply subject, and is not run$")


@pytest.mark.parametrize("options, why", [
    (["--listen", "nats:n1"], "the subject is missing"),
    (["--listen", "nats:n1/a*"], "wildcard"),
    (["--listen", "nats:n1/a", "--worker-per-client", "--", "cat"], "without a client that stays"),
])
def test_options_that_do_not_fit(bench, options, why):
    status, _, stderr = bench.run([BANTERD, *options])
    assert status == 64 and why in text_of(stderr)


# ---- how many are taken

def test_it_is_busy_at_once_when_all_places_are_taken(nats_server, worker, folder):
    """One that runs and one that waits for each copy; the next is for another worker machine."""
    nats = nats_server()
    worker(nats, "-w", "2", *program())
    client = nats.connect()
    taken = [client.ask("upper", f"gate {folder}/open {number}".encode()) for number in range(4)]
    for _ in range(3):
        assert_error(client.request("upper", b"x"), 429, "busy all places are taken")
    (folder / "open").touch()
    assert_replies([client.message_to(sid).data for sid in taken], [str(number) for number in range(4)])
    assert client.request("upper", b"x").data == b"x"


def test_a_request_that_nobody_waits_for_is_not_begun(nats_server, worker, folder):
    nats = nats_server()
    worker(nats, "-w", "1", *program(f"log={folder}/ran"))
    client = nats.connect()
    client.subscribe("mine.*")
    client.publish("upper", f"gate {folder}/open".encode(), "mine.running")
    wait_until(lambda: (folder / "ran").exists() and (folder / "ran").read_text(), "the copy has it")
    client.publish("upper", b"waits", "mine.waiting")
    client.publish(GONE, b"mine.waiting")
    client.publish(GONE, b"mine.running")  # too late: it gets its answer
    client.publish(GONE, b"mine.unknown")
    assert b"io.nats.micro.v1.ping_response" in client.request("$SRV.PING.upper", b"").data  # it has come to the end
    (folder / "open").touch()
    assert client.message().subject == "mine.running"
    assert client.request("upper", b"last").data == b"last"
    assert (folder / "ran").read_text() == f"gate {folder}/open\nlast\n"


def test_a_group_shares_and_others_have_their_own(nats_server, worker):
    nats = nats_server()
    for _ in range(2):
        worker(nats, served=None)
    worker(nats, "--nats-group", "other", count=3)
    client = nats.connect()
    inbox = client.subscribe("mine")
    for _ in range(20):
        client.publish("upper", b"x", "mine")
    assert [client.message_to(inbox).data for _ in range(40)] == 40 * [b"Hello X"]
    client.flush()
    assert not client.has_message()


def test_a_shard_is_joined(nats_server, worker):
    nats = nats_server()
    banterd = worker(nats, where="upper#3", served=None)
    subject = banterd.log.wait_for(r"^Socket now listening on nats:(upper\.[0-2])$")[1]
    nats.wait_served(subject)
    assert nats.connect().request(subject, b"x").data == b"Hello X"


# ---- the stop

def test_what_was_taken_is_finished_and_nothing_is_run_twice(nats_server, worker, folder):
    """Two worker machines, one of which leaves with hundreds of requests on their way: each is answered, by one of
    them, or told that nobody has begun with it; and what they have run they have answered."""
    nats = nats_server()
    leaving = worker(nats, "-q", "-w", "4", "--drain-timeout", "1m", *program(f"log={folder}/ran"), served=None)
    worker(nats, "-q", "-w", "4", *program(f"log={folder}/ran"), count=2)
    client = nats.connect()
    client.subscribe("mine.*")
    answered, busy, sent = [], 0, 0

    def take_reply():
        reply = client.message()
        if CODE not in reply.headers:
            assert reply.status is None
            answered.append(reply.data.decode())
        assert reply.headers.get(CODE, "429") == "429", reply
        return CODE in reply.headers

    while len(answered) < 600:
        while sent - len(answered) - busy < 100:
            client.publish("upper", b"n%d" % sent, f"mine.{sent}")
            sent += 1
        busy += take_reply()
        if len(answered) == 200 and not leaving.signalled:  # a second signal would end it at once
            leaving.send_signal(signal.SIGTERM)
    while len(answered) + busy < sent:
        busy += take_reply()
    leaving.wait()
    ran = [line for line in (folder / "ran").read_text().splitlines() if line not in ("eof", "term")]
    assert sorted(ran) == sorted(answered)


def test_a_stop_finishes_what_runs_and_what_waits(nats_server, worker, folder):
    nats = nats_server()
    banterd = worker(nats, "-w", "1", "--drain-timeout", "1m", *program())
    client = nats.connect()
    taken = [client.ask("upper", f"gate {folder}/open {number}".encode()) for number in range(2)]
    client.flush()
    wait_until(lambda: len(banterd.log.find("Processing the input")) == 2, "both are taken")
    banterd.send_signal(signal.SIGTERM)
    wait_until(lambda: not nats.subscriptions("upper"), "it has unsubscribed")
    assert client.request("upper", b"x").status == 503
    (folder / "open").touch()
    assert [client.message_to(sid).data for sid in taken] == [b"0", b"1"]
    banterd.wait()


def test_a_stop_does_not_wait_for_ever(nats_server, worker, folder):
    nats = nats_server()
    banterd = worker(nats, "-w", "1", "--drain-timeout", "300ms", *program(f"log={folder}/ran"))
    client = nats.connect()
    runs, waits = client.ask("upper", b"gate never"), client.ask("upper", b"waits")
    wait_until(lambda: len(banterd.log.find("Processing the input")) == 2, "both are taken")
    wait_until(lambda: (folder / "ran").exists(), "the copy has one")
    banterd.send_signal(signal.SIGTERM)
    assert_error(client.message_to(waits), 429, "busy the server is stopping")
    assert_error(client.message_to(runs), 504, "handler-timeout the server is stopping")
    banterd.wait()


def test_a_second_signal_ends_it(nats_server, worker):
    nats = nats_server()
    banterd = worker(nats, "-w", "1", "--drain-timeout", "1m", *program())
    client = nats.connect()
    client.ask("upper", b"gate never")
    banterd.log.wait_for("Processing the input")
    banterd.send_signal(signal.SIGTERM)
    wait_until(lambda: not nats.subscriptions("upper"), "it has unsubscribed")
    banterd.send_signal(signal.SIGTERM)
    banterd.wait()
    banterd.expect_status = -signal.SIGTERM


# ---- NATS is away, or frozen

def test_it_starts_without_nats(nats_server, worker):
    nats = nats_server(start=False)
    banterd = worker(nats, served=None)
    nats.start()
    nats.wait_served("upper")
    assert_served(banterd, nats)
    nats.kill()
    banterd.log.wait_for("^Lost NATS ")
    nats.start()
    nats.wait_served("upper")
    assert_served(banterd, nats)


def test_a_login_is_right_or_ends_the_start(nats_server, worker, bench, folder):
    nats = nats_server(more='authorization { user: "u", password: "p" }')
    login = folder / "login"
    login.touch(0o600)
    login.write_text("u:wrong\n")
    status, stdout, stderr = bench.run([BANTERD, "--listen", f"nats:{nats.address}/upper", "--nats-login", login])
    assert (status, b"listening" in stdout) == (1, False) and re.match(r"banterd: .*Authorization", text_of(stderr))
    login.write_text("u:p\n")
    worker(nats, "--nats-login", login)
    assert nats.connect(**{"user": "u", "pass": "p"}).request("upper", b"x").data == b"Hello X"


def test_a_pause_is_no_time_out(nats_server, worker, server):
    """How long it is, another server says; not so long that the server of NATS gives up the test's own client."""
    nats, clock = nats_server(), server("-H", "test", "-q")
    banterd = worker(nats, "-H", "test", "--handler-timeout", "1500ms")
    client = nats.connect()
    taken = client.ask("upper", b"later 200 answer")
    banterd.log.wait_for("Processing the input")
    banterd.suspend()
    clock.fence(1700)
    banterd.resume()
    assert client.message_to(taken).data == b"answer"


def test_nats_that_is_frozen_delays_nobody_else(nats_server, worker):
    nats = nats_server()
    banterd = worker(nats, "-H", "echo", listen="127.0.0.1:0")
    address = next(address for address in banterd.addresses if address.startswith("127."))
    client = banterd.connect(address)
    nats.suspend()
    try:
        for number in range(200):
            assert client.ask(f"{number}") == str(number).encode()
        banterd.log.wait_for("^Lost NATS ")
        assert client.ask("still") == b"still"
        banterd.stop()
    finally:
        nats.resume()


def test_an_answer_waits_for_the_next_server(nats_cluster, server, folder):
    """The server that the request came by has gone; the answer goes by another one."""
    cluster = nats_cluster(size=2)
    first, second = cluster.nodes
    banterd = server("--listen", f"nats:{cluster.addresses}/upper", "-w", "1", *program(), listen=None)
    cluster.wait_served("upper")
    near = next(node for node in cluster.nodes if node.subscriptions("upper"))
    far = second if near is first else first
    client = far.connect()
    sid = client.ask("upper", f"gate {folder}/open answer".encode())
    banterd.log.wait_for("Processing the input")
    near.kill()
    banterd.log.wait_for("^Lost NATS ")
    (folder / "open").touch()
    assert client.message_to(sid).data == b"answer"


# ---- what it says of itself

def ask_micro(client, verb, *names):
    return json.loads(client.request(".".join(["$SRV", verb, *names])).data)


def test_micro(nats_server, worker):
    nats = nats_server()
    worker(nats, where="upper.v2", served="upper.v2")
    nats.wait_served("$SRV.PING")
    client = nats.connect()
    ping = ask_micro(client, "PING")
    assert ping["type"] == "io.nats.micro.v1.ping_response" and ping["name"] == "upper_v2"
    assert re.fullmatch(r"\d+\.\d+\.\d+", ping["version"])
    for request, errors in [(b"x", 0), (b"\xff", 1), (b"y", 1)]:
        client.request("upper.v2", request)
    for names in [(), ("upper_v2",), ("upper_v2", ping["id"])]:
        assert ask_micro(client, "PING", *names) == ping
        info, stats = (ask_micro(client, verb, *names) for verb in ("INFO", "STATS"))
        assert info["type"] == "io.nats.micro.v1.info_response" and info["description"] == "banterd: hello"
        assert info["endpoints"] == [{"name": "upper_v2", "subject": "upper.v2", "queue_group": "q", "metadata": {}}]
        assert stats["type"] == "io.nats.micro.v1.stats_response" and stats["id"] == ping["id"]
        (endpoint,) = stats["endpoints"]
        assert (endpoint["num_requests"], endpoint["num_errors"]) == (3, 1)
        assert endpoint["last_error"] == "-ERR not-utf8 the byte at offset 0 does not begin a character of UTF-8"
        assert endpoint["processing_time"] // 3 == endpoint["average_processing_time"] > 0
    assert client.request("$SRV.PING.other").status == 503


def test_micro_has_the_name_and_group_of_the_options_or_none(nats_server, worker):
    nats = nats_server()
    worker(nats, "--nats-name", "shout", "--nats-group", "loud")
    nats.wait_served("$SRV.PING.shout")
    client = nats.connect()
    assert ask_micro(client, "INFO", "shout")["endpoints"][0]["queue_group"] == "loud"
    worker(nats, "--no-micro", where="quiet", served="quiet")
    assert len(nats.subscriptions("$SRV.PING")) == 1


def test_figures(nats_server, worker, bench, folder):
    nats = nats_server()
    banterd = worker(nats, "-w", "1", *metrics.OPTIONS, "--control", f"unix:{folder}/control", *program())
    client = nats.connect()
    taken = [client.ask("upper", f"gate {folder}/open x".encode()) for _ in range(2)]
    assert client.request("upper", b"x").headers[CODE] == "429"
    status = json.loads(bench.connect(f"unix:{folder}/control").ask("status"))
    assert "nats:upper" in status["listeners"]
    (service,) = status["services"]
    assert service["subject"] == "upper" and service["server"] == nats.address
    assert {key: service[key] for key in ("requests", "busy", "running", "limit")} == \
        {"requests": 2, "busy": 1, "running": 2, "limit": 2}
    (folder / "open").touch()
    for sid in taken:
        client.message_to(sid)
    client.publish("upper", b"no reply")
    client.request("upper", b"refuse no thanks")
    body = metrics.ask(banterd).body
    for line in ['banterd_service_connected{subject="upper"} 1', 'banterd_service_connects_total{subject="upper"} 1',
                 'banterd_service_requests_total{subject="upper"} 3', 'banterd_service_busy_total{subject="upper"} 1',
                 'banterd_service_dropped_total{subject="upper"} 1', "banterd_requests_total 3",
                 'banterd_errors_total{code="other"} 1']:
        assert line in body.splitlines(), body
