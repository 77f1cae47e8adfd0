"""The nats-servers and the client of the other tests, by themselves."""
import pytest

from harness import wait_until

pytestmark = pytest.mark.no_sanitizer


def test_request_and_reply(nats_server):
    nats = nats_server()
    worker, asker = nats.connect(name="worker"), nats.connect()
    assert asker.request("upper", b"x").status == 503
    with worker.serving("upper", lambda message: message.data.upper()):
        nats.wait_served("upper")
        assert [asker.request("upper", data).data for data in (b"hello", b"", b"\r\n\0")] == [b"HELLO", b"", b"\r\n\0"]
    assert "worker" in nats.connections()


def test_headers(nats_server):
    nats = nats_server()
    worker, asker = nats.connect(), nats.connect()
    worker.subscribe("error", "q")
    worker.flush()
    replies = asker.ask("error", b"x", {"Attempt": "1"})
    request = worker.message()
    assert (request.headers, request.data) == ({"Attempt": "1"}, b"x")
    for number in range(2):
        worker.publish(request.reply, b"no", headers={"Nats-Service-Error-Code": f"40{number}"})
    assert [asker.message_to(replies).headers["Nats-Service-Error-Code"] for _ in range(2)] == ["400", "401"]
    worker.flush()
    asker.flush()
    assert not asker.has_message()


def test_a_cluster_in_all_its_faults(nats_cluster):
    """The request goes through the others, and each node comes back on the ports that it had."""
    cluster = nats_cluster()
    first, second, third = cluster.nodes
    with third.connect().serving("upper", lambda message: message.data.upper()):
        cluster.wait_served("upper")
        for fault in (second.kill, second.stop, lambda: (second.suspend(), second.resume(), second.kill())):
            fault()
            assert first.connect().request("upper", b"x").data == b"X"
            second.start()
            cluster.wait_ready()
            wait_until(lambda: second.knows("upper"), "the node knows who serves")
            assert second.connect().request("upper", b"x").data == b"X"


def test_lame_duck(nats_cluster):
    cluster = nats_cluster(size=2)
    duck = cluster.nodes[0]
    client = duck.connect()
    duck.become_lame_duck()
    client.wait_lame_duck()
    duck.process.wait()
