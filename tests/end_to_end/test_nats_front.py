"""--handler nats:, --run-again, --try, --window, --nats-login, --nats-ca, --nats-cert and --nats-key: a banterd that
asks over NATS.

The worker machines are clients that are nothing but bytes, and can misbehave; between is a real nats-server.
"""
import json
import re
import time

import pytest

import metrics
from harness import BANTERD, assert_stopped, text_of, wait_until
from nats_operator import Operator

CODE, TEXT = "Nats-Service-Error-Code", "Nats-Service-Error"
TIMEOUT = b"-ERR handler-timeout the handler has not answered in time"
NOBODY = b"-ERR unavailable nobody serves upper"


@pytest.fixture
def front(server):
    """front(nats, *options) starts a banterd that asks `upper`, and returns it when it listens."""
    def start(nats, *options, subject="upper", **how):
        return server("--handler", f"nats:{nats.address}/{subject}", *options, **how)
    return start


class Worker:
    """Whoever gets the requests. `take()` is the next one, of which nothing is said yet."""

    def __init__(self, nats, subject="upper", queue="q"):
        self.client = nats.connect()
        self._sid = self.client.subscribe(subject, queue)
        self._gone = self.client.subscribe("_INBOX.gone.>")
        self.client.flush()

    def take(self):
        return self.client.message_to(self._sid)

    def answer(self, request, data=b"", **how):
        self.client.publish(request.reply, data, **how)

    def busy(self, request):
        self.answer(request, b"-ERR busy all places are taken", headers={CODE: "429", TEXT: "busy all places are taken"})

    def gone(self):
        """The reply subject of a request that the front does not wait for any more."""
        return self.client.message_to(self._gone).data.decode()


@pytest.fixture
def worker():
    return Worker


@pytest.fixture
def behind(nats_server, front, worker):
    """A front, who gets its requests, and a client of it."""
    nats = nats_server()
    banterd, other = front(nats), worker(nats)
    return banterd, other, banterd.connect()


def token(request):
    """slot, generation, try."""
    match = re.fullmatch(r"_INBOX\.[0-9a-f]{32}\.(\d+)-(\d+)-(\d+)", request.reply)
    return tuple(map(int, match.groups()))


def with_token(request, slot, generation, number):
    return request._replace(reply=f"{request.reply.rsplit('.', 1)[0]}.{slot}-{generation}-{number}")


def is_served(client, other):
    """Whether a request gets an answer of the worker's; what is taken meanwhile is answered."""
    client.send("z\n")
    while not client.readable(0.01):
        if other.client.has_message():
            other.answer(other.take(), b"Z")
    return client.readline() == b"Z"


# ---- requests and replies

def test_a_request_is_a_message_without_framing_or_headers(nats_server, front, worker):
    nats = nats_server()
    banterd, other = front(nats), worker(nats)
    client = banterd.connect()
    client.send("Zack\r\n")
    request = other.take()
    assert (request.subject, request.data, request.headers, request.status) == ("upper", b"Zack", {}, None)
    assert token(request)[2] == 1
    other.answer(request, b"Hello ZACK")
    assert client.readline() == b"Hello ZACK\r"
    client.send("\n")
    request = other.take()
    assert request.data == b""
    other.answer(request)
    assert client.readline() == b""
    assert banterd.log.find(rf"^Connected to NATS {nats.address} \(\d+\.\d+\.\d+\)$")
    assert nats.connections().count("banterd front upper") == 1


def test_replies_leave_in_the_order_of_the_requests(nats_server, front, worker):
    nats = nats_server()
    banterd, other = front(nats), worker(nats)
    clients = [banterd.connect() for _ in range(3)]
    for client in clients:
        client.send("".join(f"{number}\n" for number in range(20)))
    requests = [other.take() for _ in range(60)]
    for request in reversed(requests):
        other.answer(request, b"<" + request.data + b">")
    for client in clients:
        assert client.lines(20) == [b"<%d>" % number for number in range(20)]


def test_binary_messages_both_ways(nats_server, front, worker):
    nats = nats_server()
    banterd = front(nats, "--framing", "netstring", "--max-message", "64k", framing="netstring")
    other = worker(nats)
    client = banterd.connect()
    message = bytes(range(256)) * 100
    client.send_message(message)
    request = other.take()
    assert request.data == message
    other.answer(request, message[::-1])
    assert client.reply() == message[::-1]


def test_a_reply_that_the_codec_can_not_carry(behind):
    _, other, client = behind
    client.send("x\n")
    other.answer(other.take(), b"two\nlines")
    assert client.readline().startswith(b"-ERR handler-failed ")


# ---- what comes late, twice, to a wrong number

def test_replies_that_answer_nothing_are_dropped(behind):
    banterd, other, client = behind
    client.send("one\n")
    first = other.take()
    slot, generation, number = token(first)
    wrong = [(slot + 1, generation, number), (slot, generation + 1, number), (slot, generation - 1, number),
             (slot, generation, number + 1), (slot, generation, 0), (10 ** 9, 1, 1), (slot, generation, 4294967296)]
    for each in wrong:
        other.answer(with_token(first, *each), b"wrong")
    for odd in ("x", "1-1", f"{slot}-{generation}-{number}-1", f"0{slot}-{generation}-{number}", "f1", "f"):
        other.client.publish(f"{first.reply.rsplit('.', 1)[0]}.{odd}", b"wrong")
    other.answer(first, b"right")
    other.answer(first, b"twice")
    assert client.readline() == b"right"
    other.answer(first, b"late")
    client.send("two\n")
    second = other.take()
    assert token(second) != token(first)
    other.answer(first, b"of before")
    other.answer(second, b"second")
    assert client.readline() == b"second"
    assert banterd.running


# ---- errors

def test_an_error_of_a_service_is_one_of_the_handler(behind):
    _, other, client = behind
    for headers, data, expected in [
            ({CODE: "400", TEXT: "bad request"}, b"", b"-ERR handler-failed bad request"),
            ({CODE: "400", TEXT: "bad request"}, b"a body", b"-ERR handler-failed bad request"),
            ({CODE: "503", TEXT: "no database"}, b"", b"-ERR handler-failed no database"),
            ({CODE: "500"}, b"", b"-ERR handler-failed the service has failed"),
            ({TEXT: "only a text"}, b"", b"-ERR handler-failed only a text"),
            ({CODE: "x", TEXT: "no number"}, b"", b"-ERR handler-failed no number"),
            ({CODE: "400", TEXT: "not-utf8 the byte at offset 0"}, b"-ERR not-utf8 the byte at offset 0",
             b"-ERR not-utf8 the byte at offset 0"),
            ({CODE: "500", TEXT: "mine x"}, b"-ERR mine x", b"-ERR mine x"),
            ({"Other": "header"}, b"a reply", b"a reply"),
            (None, b"-ERR mine without headers", b"-ERR mine without headers")]:
        client.send("x\n")
        other.answer(other.take(), data, headers=headers)
        assert client.readline() == expected


def test_codes_that_are_the_servers_alone(behind):
    _, other, client = behind
    client.send("x\n")
    other.answer(other.take(), b"-ERR stopping x")
    assert client.readline().startswith(b"-ERR handler-failed ")


# ---- nobody, busy

def test_nobody_serves_the_subject(nats_server, front, worker):
    """Again for half a second, then at once, until somebody is there."""
    nats = nats_server()
    banterd = front(nats)
    client = banterd.connect()
    begin = time.monotonic()
    assert client.ask("x") == NOBODY
    assert time.monotonic() - begin > 0.49
    assert banterd.log.wait_for("^Service upper is down$")
    assert client.ask("y") == NOBODY
    other = worker(nats)
    wait_until(lambda: is_served(client, other), "served")
    assert banterd.log.wait_for("^Service upper is up$")
    assert len(banterd.log.find("is down$")) == 1


def test_somebody_comes_in_time(nats_server, front, worker):
    nats = nats_server()
    banterd = front(nats)
    watcher = nats.connect()
    client = banterd.connect()
    sid = watcher.subscribe("upper")
    watcher.flush()
    watcher.unsubscribe(sid)
    watcher.flush()
    other = worker(nats)
    client.send("x\n")
    other.answer(other.take(), b"X")
    assert client.readline() == b"X"
    assert not banterd.log.find("^Service")


def test_busy_is_asked_again_until_somebody_is_not(behind):
    _, other, client = behind
    client.send("x\n")
    requests = [other.take()]
    for _ in range(9):
        other.busy(requests[-1])
        requests.append(other.take())
    slot, generation, _ = token(requests[0])
    assert [token(request) for request in requests] == [(slot, generation, number) for number in range(1, 11)]
    assert {request.data for request in requests} == {b"x"}
    other.answer(requests[0], b"the first has said that it is busy")
    other.answer(requests[-1], b"X")
    assert client.readline() == b"X"


def test_busy_for_ever(nats_server, front, worker):
    nats = nats_server()
    banterd, other = front(nats, "--handler-timeout", "300ms"), worker(nats)
    client = banterd.connect()
    client.send("x\n")
    while not client.readable(0.001):
        if other.client.has_message():
            other.busy(other.take())
    assert client.readline() == TIMEOUT


# ---- again

def test_never_is_a_request_sent_twice(nats_server, front, worker):
    nats = nats_server()
    banterd, other = front(nats, "--handler-timeout", "500ms"), worker(nats)
    client = banterd.connect()
    client.send("x\n")
    request = other.take()
    assert client.readline() == TIMEOUT
    assert other.gone() == request.reply
    assert not other.client.has_message()


def test_lost_is_sent_again_and_any_answer_counts(nats_server, front, worker):
    nats = nats_server()
    banterd, other = front(nats, "--run-again", "lost", "--try", "20ms"), worker(nats)
    client = banterd.connect()
    client.send("x\n")
    requests = [other.take() for _ in range(5)]
    slot, generation, _ = token(requests[0])
    assert [token(request) for request in requests] == [(slot, generation, number) for number in range(1, 6)]
    other.answer(requests[1], b"of the second")
    assert client.readline() == b"of the second"
    other.answer(requests[0], b"of the first")
    client.send("y\n")
    while (last := other.take()).data != b"y":  # a slow machine may have tried x again before it was answered
        assert last.data == b"x"
    tries = [other.take() for _ in range(4)]
    assert [each.data for each in tries] == 4 * [b"y"]  # and not since
    other.answer(last, b"Y")
    assert client.readline() == b"Y"


def test_each_further_try_waits_twice_as_long(nats_server, front, worker):
    nats = nats_server()
    banterd, other = front(nats, "--run-again", "lost", "--try", "50ms"), worker(nats)
    client = banterd.connect()
    begin = time.monotonic()
    client.send("x\n")
    for _ in range(5):
        other.take()
    # They may come late, and not early.
    assert time.monotonic() - begin > 0.05 * (1 + 2 + 4 + 8) - 0.02


# ---- those that nobody waits for

def test_a_client_that_has_gone(behind):
    banterd, other, client = behind
    client.send("x\ny\n")
    requests = [other.take(), other.take()]
    client.reset()
    assert {other.gone(), other.gone()} == {request.reply for request in requests}
    for request in requests:
        other.answer(request, b"too late")
    second = banterd.connect()
    second.send("z\n")
    other.answer(other.take(), b"Z")
    assert second.readline() == b"Z"


# ---- the window

def test_no_more_are_out_than_the_window_has(nats_server, front, worker):
    nats = nats_server()
    banterd, other = front(nats, "--window", "4"), worker(nats)
    client = banterd.connect()
    client.send("".join(f"{number}\n" for number in range(100)))
    out = [other.take() for _ in range(4)]
    assert {token(request)[0] for request in out} == {0, 1, 2, 3}
    for number in range(4, 100):
        other.client.flush()
        assert not other.client.has_message()
        other.answer(out.pop(0), b"x")
        out.append(other.take())
        assert out[-1].data == b"%d" % number
    for request in out:
        other.answer(request, b"x")
    assert client.lines(100) == 100 * [b"x"]


def test_over_the_window_sessions_are_not_read(nats_server, front, worker):
    """What a client sends stays in the kernel's buffers when it is owed a reply."""
    nats = nats_server()
    banterd, other = front(nats, "--window", "1", "--max-message", "1m"), worker(nats)
    client = banterd.connect()
    client.send("first\n")
    first = other.take()
    done = []
    line = 100000 * b"x" + b"\n"
    client.send_in_background(200 * line, lambda: done.append(True))
    second = banterd.connect()
    second.send("second\n")
    other.answer(first, b"1")
    assert client.readline() == b"1"
    seen = []
    while len(seen) < 201:
        request = other.take()
        assert not done or len(seen) > 10
        seen.append(request.data[:6])
        other.answer(request, b"%d" % len(request.data))
    assert sorted(set(seen)) == [b"second", b"xxxxxx"]
    assert client.lines(200) == 200 * [b"100000"]
    assert second.readline() == b"6"


# ---- shards

def test_shards_are_asked_at_random(nats_server, front, worker):
    nats = nats_server()
    banterd, other = front(nats, subject="upper#3"), worker(nats, "upper.*")
    client = banterd.connect()
    client.send(60 * "x\n")
    requests = [other.take() for _ in range(60)]
    assert {request.subject for request in requests} == {"upper.0", "upper.1", "upper.2"}
    for request in requests:
        other.answer(request, b"X")
    assert client.lines(60) == 60 * [b"X"]


def test_shards_that_nobody_serves_are_left_out(nats_server, front, worker):
    nats = nats_server()
    banterd, other = front(nats, subject="upper#40"), worker(nats, "upper.17")
    client = banterd.connect()
    client.send("x\n")
    other.answer(other.take(), b"X")
    assert client.readline() == b"X"
    assert not banterd.log.find("^Service")


# ---- sizes

def test_max_payload(nats_server, front, worker):
    nats = nats_server(more="max_payload: 1000")
    banterd, other = front(nats, "--max-message", "1001"), worker(nats)
    assert banterd.log.wait_for(
        rf"^NATS {nats.address} takes messages of 1000 bytes, less than --max-message 1001$")
    client = banterd.connect()
    client.send(1000 * "x" + "\n")
    other.answer(other.take(), b"X")
    assert client.readline() == b"X"
    assert client.ask(1001 * "x") == b"-ERR too-long the NATS server takes 1000 bytes"
    client.send("y\n")
    other.answer(other.take(), b"Y")
    assert client.readline() == b"Y"


# ---- servers that are away

def test_the_start_does_not_wait_for_nats(nats_server, front, worker):
    nats = nats_server(start=False)
    banterd = front(nats)
    assert banterd.log.wait_for(rf"^NATS can't be reached: {nats.address}: Connection refused$")
    client = banterd.connect()
    begin = time.monotonic()
    assert client.ask("x") == b"-ERR unavailable no NATS server"
    assert time.monotonic() - begin > 1.9
    client.send("y\n")
    nats.start()
    banterd.log.wait_for("^Connected to NATS")
    reply = client.readline()
    other = worker(nats)
    assert reply in (NOBODY, b"-ERR unavailable no NATS server")
    wait_until(lambda: is_served(client, other), "served")


def test_a_server_that_goes_and_comes_back(nats_server, front, worker):
    nats = nats_server()
    banterd, other = front(nats), worker(nats)
    client = banterd.connect()
    client.send("x\n")
    other.answer(other.take(), b"X")
    assert client.readline() == b"X"
    nats.kill()
    assert banterd.log.wait_for(rf"^Lost NATS {nats.address}: the server has closed the connection$")
    nats.start()
    banterd.log.wait_for("^Connected to NATS", 2)
    other = worker(nats)
    wait_until(lambda: is_served(client, other), "served")


def test_an_answer_may_come_when_the_server_is_back(nats_server, front, worker):
    """What is out waits: whoever has it may still be at work."""
    nats = nats_server()
    banterd, other = front(nats), worker(nats)
    client = banterd.connect()
    client.send("x\n")
    request = other.take()
    nats.kill()
    banterd.log.wait_for("^Lost NATS ")
    nats.start()
    banterd.log.wait_for("^Connected to NATS", 2)
    other = worker(nats)
    other.answer(request, b"X")
    assert client.readline() == b"X"
    assert not other.client.has_message()


def test_an_answer_that_came_while_there_was_no_server(nats_cluster, front, worker):
    """It is lost, and nothing tells it from one that still comes."""
    cluster = nats_cluster(size=2)
    ours, theirs = cluster.nodes
    banterd, other = front(ours, "--handler-timeout", "5s"), worker(theirs)
    cluster.wait_served("upper")
    client = banterd.connect()
    client.send("x\n")
    request = other.take()
    ours.kill()
    banterd.log.wait_for("^Lost NATS ")
    other.answer(request, b"X")
    other.client.flush()
    ours.start()
    banterd.log.wait_for("^Connected to NATS", 2)
    assert client.readline() == TIMEOUT


def test_a_frozen_server_delays_nobody_else(nats_server, front, worker, folder):
    """Neither the start of another session, nor the log, nor the stop."""
    nats = nats_server()
    banterd, other = front(nats), worker(nats)
    client = banterd.connect()
    client.send("x\n")
    other.answer(other.take(), b"X")
    assert client.readline() == b"X"
    nats.suspend()
    assert banterd.log.wait_for(rf"^Lost NATS {nats.address}: it does not answer$")
    assert client.ask("y") == b"-ERR unavailable no NATS server"
    begin = time.monotonic()
    banterd.stop()
    assert time.monotonic() - begin < 5
    nats.resume()


def test_the_next_server_is_taken(nats_server, server, worker):
    first, second = nats_server(), nats_server(name="n2", start=False)
    banterd = server("--handler", f"nats:{second.address},{first.address}/upper")
    banterd.log.wait_for(rf"^Connected to NATS {first.address}")
    second.start()
    first.kill()
    banterd.log.wait_for(rf"^Connected to NATS {second.address}")
    other = worker(second)
    client = banterd.connect()
    client.send("x\n")
    other.answer(other.take(), b"X")
    assert client.readline() == b"X"


# ---- the stop

def test_a_stop_answers_what_is_out(behind):
    banterd, other, client = behind
    client.send("x\n")
    request = other.take()
    banterd.send_signal(15)
    other.answer(request, b"X")
    assert_stopped(client, [b"X"])
    assert banterd.wait() == 0


def test_a_stop_that_waits_no_longer(nats_server, front, worker):
    """What was sent is told apart from what was not."""
    nats = nats_server()
    banterd, other = front(nats, "--window", "2", "--drain-timeout", "100ms"), worker(nats)
    client = banterd.connect()
    client.send("a\nb\nc\nd\n")
    other.take(), other.take()
    banterd.send_signal(15)
    assert_stopped(client, 2 * [b"-ERR handler-timeout the server is stopping"])
    banterd.wait()


# ---- logins and TLS

LOGIN = 'authorization { user: u, password: "p:w" }'


@pytest.fixture
def secret(folder):
    def write(text, mode=0o600):
        file = folder / "login"
        file.write_text(text)
        file.chmod(mode)
        return file
    return write


def start_status(bench, nats, *options, where=None):
    """The exit status and the standard error of a front that does not start."""
    run = bench.run([BANTERD, "-l", "0", "--run-for", "20s", "-H", f"nats:{where or nats.address}/upper", *options])
    return run.status, text_of(run.stderr)


def test_a_password(nats_server, front, secret):
    nats = nats_server(more=LOGIN)
    banterd = front(nats, "--nats-login", secret("u:p:w\n"))
    assert banterd.connect().ask("x") == NOBODY


@pytest.mark.parametrize("text", ["u:wrong\n", "v:p:w", None])
def test_a_wrong_password(nats_server, bench, secret, text):
    nats = nats_server(more=LOGIN)
    options = ["--nats-login", secret(text)] if text else []
    assert start_status(bench, nats, *options) == (
        1, f"banterd: NATS {nats.address}: Authorization Violation\n")


SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
PUBLIC = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def test_an_nkey(nats_server, front, secret):
    nats = nats_server(more=f"authorization {{ users: [{{ nkey: {PUBLIC} }}] }}")
    banterd = front(nats, "--nats-login", secret(f"# ours\n{SEED}\n"))
    assert banterd.connect().ask("x") == NOBODY


@pytest.mark.parametrize("way", ["reload", "restart"])
def test_a_login_that_is_refused_later(nats_server, front, server, bench, secret, folder, way):
    """Both sides say why, and go on as without a server, until they are let in again."""
    nats = nats_server(more=LOGIN)
    login = "--nats-login", secret("u:p:w\n")
    other = server("--listen", f"nats:{nats.address}/upper", *login, "--control", f"unix:{folder}/other", listen=None)
    banterd = front(nats, *login, "--control", f"unix:{folder}/control")
    control, others_control = (bench.connect(f"unix:{folder}/{name}") for name in ("control", "other"))
    nats.configure('authorization { user: u, password: "another" }')
    if way == "reload":
        nats.reload()
    else:
        nats.kill()
        for program in (banterd, other):
            program.log.wait_for("^NATS can't be reached: ")
        nats.start()
    for program in (banterd, other):
        program.log.wait_for(rf"^NATS does not let us in: {nats.address}: Authorization Violation$")
    client = banterd.connect()
    assert client.ask("x") == b"-ERR unavailable no NATS server"
    assert json.loads(control.ask("status"))["front"]["server"] is None
    assert json.loads(others_control.ask("status"))["services"][0]["server"] is None
    nats.configure(LOGIN)
    nats.reload()
    for program in (banterd, other):
        program.log.wait_for("^Connected to NATS", 2)
    nats.wait_served("upper")
    assert client.ask("x") == b"Hello X"


def test_a_login_that_is_refused_when_nats_comes(nats_server, front, secret):
    """The start does not wait for that, and does not fail."""
    nats = nats_server(more=LOGIN, start=False)
    banterd = front(nats, "--nats-login", secret("u:wrong\n"))
    banterd.log.wait_for("^NATS can't be reached: ")
    nats.start()
    banterd.log.wait_for(rf"^NATS does not let us in: {nats.address}: Authorization Violation$")
    assert banterd.connect().ask("x") == b"-ERR unavailable no NATS server"


# As the page says.
FRONT = {"publish": ["upper", "_INBOX.>"], "subscribe": ["_INBOX.>"]}
WORKER = {"publish": ["_INBOX.>"], "subscribe": ["upper", "_INBOX.>", "$SRV.>"]}


def user_with(permissions):
    return f'authorization {{ users: [{{ user: u, password: "p:w", permissions: {json.dumps(permissions)} }}] }}'


def test_permissions_that_are_enough(nats_server, front, server, secret):
    nats = nats_server(more=user_with({name: FRONT[name] + WORKER[name] for name in FRONT}))
    login = "--nats-login", secret("u:p:w\n")
    server("--listen", f"nats:{nats.address}/upper", *login, listen=None)
    nats.wait_served("upper")
    banterd = front(nats, *login)
    assert banterd.connect().ask("x") == b"Hello X"
    assert "Violation" not in nats.log.text


@pytest.mark.parametrize("permissions, why", [
    (FRONT | {"publish": ["_INBOX.>"]}, 'Permissions Violation for Publish to "upper"'),
    (FRONT | {"subscribe": ["none"]}, r'Permissions Violation for Subscription to "_INBOX\..*\.\*"'),
])
def test_a_front_without_permission(nats_server, front, secret, permissions, why):
    nats = nats_server(more=user_with(permissions))
    banterd = front(nats, "--nats-login", secret("u:p:w\n"), "--handler-timeout", "200ms")
    reply = banterd.connect().ask("x")
    banterd.log.wait_for(rf"^NATS {nats.address} does not permit it: {why}$")
    assert reply == TIMEOUT


def test_a_worker_machine_without_permission(nats_server, server, secret):
    nats = nats_server(more=user_with(WORKER | {"subscribe": ["_INBOX.>", "$SRV.>"]}))
    banterd = server("--listen", f"nats:{nats.address}/upper", "--nats-login", secret("u:p:w\n"), listen=None)
    banterd.log.wait_for(
        rf'^NATS {nats.address} does not permit it: Permissions Violation for Subscription to "upper" using queue "q"$')


@pytest.fixture
def operator(folder):
    return Operator(folder)


def test_credentials_of_both_sides(nats_server, front, server, secret, operator):
    nats = nats_server(more=operator.configuration)
    login = "--nats-login", secret(operator.credentials())
    server("--listen", f"nats:{nats.address}/upper", *login, listen=None)
    nats.wait_served("upper")
    assert front(nats, *login).connect().ask("x") == b"Hello X"


def test_credentials_are_read_at_each_connect(nats_server, front, secret, operator, folder):
    """NATS is back with another operator, and the file has what that one has given."""
    nats = nats_server(more=operator.configuration)
    banterd = front(nats, "--nats-login", secret(operator.credentials()))
    nats.kill()
    other = Operator(folder)
    secret(other.credentials())
    nats.configure(other.configuration)
    nats.start()
    banterd.log.wait_for("^Connected to NATS", 2)
    assert banterd.connect().ask("x") == NOBODY


@pytest.mark.parametrize("wrong", ["account", "seed", "time"])
@pytest.mark.parametrize("side", ["front", "worker machine"])
def test_wrong_credentials(nats_server, bench, secret, operator, wrong, side):
    """Signed by an account that the operator does not know; with somebody else's seed; over."""
    nats = nats_server(more=operator.configuration)
    how = {"account": lambda: {"account": operator.new_account("other")},
           "seed": lambda: {"seed": SEED},
           "time": lambda: {"exp": int(time.time()) - 60}}[wrong]()
    where = f"nats:{nats.address}/upper"
    run = bench.run([BANTERD, *(["-l", "0", "-H", where] if side == "front" else ["-l", where]), "--run-for", "20s",
                     "--nats-login", secret(operator.credentials(**how))])
    assert (run.status, text_of(run.stderr)) == (1, f"banterd: NATS {nats.address}: Authorization Violation\n")


@pytest.mark.parametrize("text, mode, why", [
    ("u:p", 0o604, "everybody may read it; chmod o= forbids that"),
    ("", 0o600, "it has neither user:password, nor the seed of a user's nkey (SU...), nor credentials"),
    ("nothing", 0o600, "it has neither user:password, nor the seed of a user's nkey (SU...), nor credentials"),
    (SEED[:-1], 0o600, "it has neither user:password, nor the seed of a user's nkey (SU...), nor credentials"),
    (SEED.replace("Y", "Z"), 0o600, "it has neither user:password, nor the seed of a user's nkey (SU...), nor credentials"),
    ("-----BEGIN NATS USER JWT-----", 0o600, "the credentials lack a seed"),
])
def test_files_of_logins_that_can_not_be_used(nats_server, bench, secret, text, mode, why):
    nats = nats_server(start=False)
    file = secret(text, mode)
    assert start_status(bench, nats, "--nats-login", file) == (1, f"banterd: --nats-login {file}: {why}\n")


def test_a_login_that_is_not_there(nats_server, bench):
    nats = nats_server(start=False)
    assert start_status(bench, nats, "--nats-login", "no/file") == (
        1, "banterd: --nats-login no/file: No such file or directory\n")


# ---- the command line

@pytest.mark.parametrize("options, why", [
    (["-H", "nats"], '"" is no service of NATS: the subject is missing'),
    (["-H", "nats:n1"], '"n1" is no service of NATS: the subject is missing'),
    (["-H", "nats:n1/a.*"], '"n1/a.*" is no service of NATS: the subject has an empty token, a wildcard or a blank'),
    (["-H", "nats:n1/x", "--run-again", "always"], "--run-again: \"always\" can't be; it can be never or lost"),
    (["-H", "nats:n1/x", "--run-again", "lost"],
     "--run-again lost needs --try T: how long it waits for an answer"),
    (["-H", "nats:n1/x", "--try", "1s"], "--try needs --run-again lost"),
    (["-H", "nats:n1/x", "--run-again", "never", "--try", "1s"], "--try needs --run-again lost"),
    (["-H", "nats:n1/x", "--run-again", "lost", "--try", "0"], "--try: it must be longer than that"),
    (["-H", "nats:n1/x", "--window", "0"], "--window"),
    (["-H", "nats:n1/x", "--window", "1048577"], "--window"),
    (["--window", "10"], "--window needs --handler nats:SERVERS/SUBJECT"),
    (["--run-again", "never"], "--run-again needs --handler nats:SERVERS/SUBJECT"),
    (["--run-again", "lost", "--try", "1s", "-H", "echo"], "--run-again needs --handler nats:SERVERS/SUBJECT"),
    (["-l", "nats:n1/x", "--window", "10"], "--window needs --handler nats:SERVERS/SUBJECT"),
    (["--nats-login", "f"], "--nats-login needs --handler or --listen nats:SERVERS/SUBJECT"),
    (["-H", "nats:n1/x", "--nats-group", "g"], "--nats-group needs --listen nats:SERVERS/SUBJECT"),
    (["-H", "nats:n1/x", "--nats-name", "g"], "--nats-name needs --listen nats:SERVERS/SUBJECT"),
    (["-H", "nats:n1/x", "--no-micro"], "--no-micro needs --listen nats:SERVERS/SUBJECT"),
    (["-l", "nats:n1/x", "--nats-group", "a b"], '--nats-group: "a b" is no name of a group'),
    (["-l", "nats:n1/x", "--nats-name", "a.b"], '--nats-name: "a.b" is no name of a service'),
    (["-H", "nats:n1/x", "--nats-ca", "f"], "--nats-ca needs a server of NATS for TLS, nats:tls://HOST/SUBJECT"),
    (["-H", "nats:n1/x", "--nats-cert", "f"], "--nats-cert needs a server of NATS for TLS"),
    (["-H", "nats:tls://n1/x", "--nats-key", "f"], "--nats-key needs --nats-cert FILE"),
    (["-H", "nats:n1/x", "--", "cat"], "--handler and a program can't both answer"),
])
def test_wrong_usage(bench, options, why):
    run = bench.run([BANTERD, *options])
    assert run.status == 64
    assert text_of(run.stderr).startswith("banterd: ") and why in text_of(run.stderr), run.stderr
    assert "see banterd --help" in text_of(run.stderr)


@pytest.fixture(scope="module")
def certificates(certificates):
    certificates.sign("elsewhere", "/O=Banter/CN=elsewhere", "subjectAltName=DNS:elsewhere")
    certificates.sign("alice", "/O=Banter/CN=alice")
    certificates.sign("rogue", "/O=Other/CN=alice", by="other")
    return certificates


def tls_of(certificates, name, more=""):
    files = f'cert_file: "{certificates.path(name + ".crt")}", key_file: "{certificates.path(name + ".key")}"'
    return f"tls {{ {files}, {more} }}"


@pytest.fixture
def tls_server(nats_server, certificates):
    """tls_server(name, more) starts one that shows this certificate; `more` is added to its TLS."""
    return lambda name="server", more="": nats_server(more=tls_of(certificates, name, more))


def test_tls(tls_server, server, certificates):
    nats = tls_server()
    banterd = server("-H", f"nats:tls://{nats.address}/upper", "--nats-ca", certificates.path("ca.crt"))
    assert banterd.connect().ask("x") == NOBODY
    for _ in range(20):
        assert banterd.connect().ask("x") == NOBODY


@pytest.mark.parametrize("certificate, ca, why", [
    ("server", "other", "SSL handshake error: "),
    ("server", None, "SSL handshake error: "),
    ("elsewhere", "ca", "SSL handshake error: 64:IP address mismatch:"),
])
def test_a_server_that_is_not_trusted(tls_server, bench, certificates, certificate, ca, why):
    nats = tls_server(certificate)
    options = ["--nats-ca", certificates.path(f"{ca}.crt")] if ca else []
    status, error = start_status(bench, nats, *options, where=f"tls://{nats.address}")
    assert status == 1 and error.startswith(f"banterd: NATS {nats.address}: {why}"), error


def test_a_certificate_that_is_not_trusted_later(tls_server, server, certificates):
    """The server's authority is another one when it is back."""
    nats = tls_server()
    banterd = server("-H", f"nats:tls://{nats.address}/upper", "--nats-ca", certificates.path("ca.crt"))
    nats.kill()
    nats.configure(tls_of(certificates, "rogue"))
    nats.start()
    why = banterd.log.wait_for(rf"^NATS does not let us in: {nats.address}: (.*)$")[1]
    assert "certificate" in why
    assert banterd.connect().ask("x") == b"-ERR unavailable no NATS server"
    nats.kill()
    nats.configure(tls_of(certificates, "server"))
    nats.start()
    banterd.log.wait_for("^Connected to NATS", 2)


def test_a_server_that_wants_tls(tls_server, bench):
    nats = tls_server()
    assert start_status(bench, nats) == (
        1, f"banterd: NATS {nats.address}: it wants TLS: tls:// in front of it says so\n")


def test_a_server_that_speaks_no_tls(nats_server, bench, certificates):
    nats = nats_server()
    status, error = start_status(bench, nats, "--nats-ca", certificates.path("ca.crt"), where=f"tls://{nats.address}")
    assert status == 1 and error.startswith(f"banterd: NATS {nats.address}: "), error


def test_a_certificate_of_our_own(tls_server, bench, server, certificates):
    nats = tls_server(more=f'ca_file: "{certificates.path("ca.crt")}", verify: true')
    where, ca = f"tls://{nats.address}", ["--nats-ca", certificates.path("ca.crt")]
    banterd = server("-H", f"nats:{where}/upper", *ca, "--nats-cert", certificates.path("alice.pem"))
    assert banterd.connect().ask("x") == NOBODY
    files = ["--nats-cert", certificates.path("alice.crt"), "--nats-key", certificates.path("alice.key")]
    banterd = server("-H", f"nats:{where}/upper", *ca, *files)
    assert banterd.connect().ask("x") == NOBODY
    why = f"banterd: NATS {nats.address}: it does not take our certificate, or wants one: see --nats-cert\n"
    assert start_status(bench, nats, *ca, where=where) == (1, why)
    assert start_status(bench, nats, *ca, "--nats-cert", certificates.path("rogue.pem"), where=where) == (1, why)


@pytest.mark.parametrize("options", [["--nats-ca", "no/file"], ["--nats-cert", "no/file"]])
def test_files_of_tls_that_can_not_be_used(nats_server, bench, options):
    nats = nats_server(start=False)
    status, error = start_status(bench, nats, *options, where=f"tls://{nats.address}")
    assert status == 1 and error.startswith(f"banterd: {options[0]} can't be used: "), error


def test_a_key_that_everybody_may_read(nats_server, bench, certificates, folder):
    nats = nats_server(start=False)
    file = folder / "open.pem"
    file.write_text(certificates.path("alice.pem").read_text())
    file.chmod(0o644)
    assert start_status(bench, nats, "--nats-cert", file, where=f"tls://{nats.address}") == (
        1, f"banterd: everybody may read the key in {file}: chmod o= protects it\n")


def test_a_server_of_tls_that_freezes(tls_server, server, certificates):
    nats = tls_server()
    banterd = server("-H", f"nats:tls://{nats.address}/upper", "--nats-ca", certificates.path("ca.crt"))
    client = banterd.connect()
    assert client.ask("x") == NOBODY
    nats.suspend()
    assert banterd.log.wait_for(rf"^Lost NATS {nats.address}: ")
    assert client.ask("y") == b"-ERR unavailable no NATS server"
    nats.resume()
    banterd.log.wait_for("^Connected to NATS", 2)
    assert client.ask("z") == NOBODY


def test_beside_clients_that_speak_tls(tls_server, server, certificates):
    """OpenSSL is in the process before libnats is, which takes it apart at the end."""
    nats = tls_server()
    banterd = server("-H", f"nats:tls://{nats.address}/upper", "--nats-ca", certificates.path("ca.crt"), "--cert",
                     certificates.path("server.pem"), "-l", "127.0.0.1:0", listen="tls:127.0.0.1:0", ready=False)
    banterd.wait_ready(2)
    plain = next(address for address in banterd.addresses if not address.startswith("tls:"))
    assert banterd.connect(plain).ask("x") == NOBODY
    banterd.stop()


# ---- figures

def test_status_and_metrics(nats_server, front, worker, bench, folder):
    nats = nats_server()
    banterd = front(nats, *metrics.OPTIONS, "--control", f"unix:{folder}/control", "--run-again", "lost", "--try", "100ms",
                    "--window", "1")
    control = bench.connect(f"unix:{folder}/control")
    client = banterd.connect()
    assert client.ask("x") == NOBODY
    down = json.loads(control.ask("status"))["front"]
    assert (down["down"], down["server"]) == (True, nats.address) and down["nobody"] >= 2
    other = worker(nats)
    wait_until(lambda: is_served(client, other), "served")
    client.send("x\n")
    first = other.take()
    other.busy(first)
    second, third = other.take(), other.take()
    second_client = banterd.connect()
    second_client.send("y\n")
    wait_until(lambda: json.loads(control.ask("status"))["front"]["waiting"] == 1, "one waits")
    other.answer(third, b"X")
    assert client.readline() == b"X"
    other.answer(second, b"late")
    while (request := other.take()).data != b"y":  # a slow machine may have tried x again
        pass
    wait_until(lambda: json.loads(control.ask("status"))["front"]["late"] >= 1, "it was dropped")
    status = json.loads(control.ask("status"))["front"]
    assert {key: status[key] for key in ("down", "out", "waiting", "busy", "losses", "connects", "given_up")} == {
        "down": False, "out": 1, "waiting": 0, "busy": 1, "losses": 0, "connects": 1, "given_up": 0}
    assert status["overdue"] >= 1 and status["tries"] >= 4
    figures = metrics.figures(banterd)
    for key, value in status.items():
        if key not in ("server", "down"):
            name = f"banterd_front_{key}" + ("" if key in ("out", "waiting") else "_total")
            assert figures[name] >= value, name
    assert (figures["banterd_front_connected"], figures["banterd_front_down"]) == (1, 0)
    second_client.reset()
    while other.gone() != request.reply:
        pass
    nats.kill()
    wait_until(lambda: json.loads(control.ask("status"))["front"]["server"] is None, "it is lost")
    figures = metrics.figures(banterd)
    assert figures["banterd_front_given_up_total"] == 1 and figures["banterd_front_connected"] == 0
