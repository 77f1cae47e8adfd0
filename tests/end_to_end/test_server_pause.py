"""--request-timeout, --idle-timeout, --write-timeout, --handler-timeout and --drain-timeout after a pause of the whole
process that is longer than they are: it costs nobody a request. How long the pause is, another server says."""
import signal

import pytest

import harness
from harness import LineClient, wait_until

pytestmark = pytest.mark.slow

CLIENTS = harness.scaled(700, 300)  # more than a loop looks at in one go


@pytest.fixture
def pause(server):
    """pause(banterd, milliseconds, meanwhile): the server stands still for at least so long."""
    clock = server("-H", "test", "-q")

    def stand_still(banterd, milliseconds, meanwhile=lambda: None):
        banterd.suspend()
        meanwhile()
        clock.fence(milliseconds)
        banterd.resume()

    return stand_still


def send_all(clients, data):
    for client in clients:
        client.send(data)


def test_requests_that_were_completed_meanwhile_are_answered(server, pause):
    banterd = server("-H", "test", "-q", "--request-timeout", "3s")
    clients = [banterd.connect() for _ in range(CLIENTS)]
    send_all(clients, "ha")
    banterd.fence()
    pause(banterd, 4000, lambda: send_all(clients, "lf\n"))
    assert [client.readline() for client in clients] == [b"half"] * len(clients)


def test_those_that_have_asked_meanwhile_were_not_idle(server, pause):
    banterd = server("-H", "test", "-q", "--idle-timeout", "3s")
    clients = [banterd.connect() for _ in range(CLIENTS)]
    send_all(clients, "before\n")
    assert [client.readline() for client in clients] == [b"before"] * len(clients)
    pause(banterd, 4000, lambda: send_all(clients, "meanwhile\n"))
    assert [client.readline() for client in clients] == [b"meanwhile"] * len(clients)


def test_a_client_that_has_read_meanwhile_goes_on(server, pause):
    banterd = server("-H", "test", "-q", "--write-timeout", "3s")
    client = banterd.connect()
    client.send_message(*["size 4000000"] * 8)
    assert client.readable(harness.LIMIT)
    pause(banterd, 4000, lambda: client.read(100000))
    client.half_close()
    assert [len(reply) for reply in client.replies()] == [4000000 - 100000, *[4000000] * 7]


def test_a_pause_while_a_client_is_sent_to_leaves_it_its_time(server, pause):
    banterd = server("-H", "test", "-q", "--write-timeout", "1s")
    client = banterd.connect()
    client.send_message("stand-still", "now", *["size 4000000"] * 8)
    banterd.wait_suspended()
    pause(banterd, 1500)
    assert client.readline() == b"stand-still"
    begun_ns = int(client.readline())
    banterd.log.wait_for("The client has read nothing")
    assert int(banterd.connect().ask("now")) - begun_ns >= 1_000_000_000


@pytest.mark.parametrize("request_text", ["sleep 300 done", "later 300 done"])
def test_the_time_of_a_handler_stands_still(server, pause, request_text):
    banterd = server("-H", "test", "-t", "1", "--handler-timeout", "3s")
    clients = [banterd.connect() for _ in range(4)]
    for client in clients:
        client.send_message(request_text)
    banterd.log.wait_for("Processing the input", len(clients))
    pause(banterd, 4000)
    assert [client.readline() for client in clients] == [b"done"] * len(clients)


def test_the_time_of_the_drain_stands_still(server, pause):
    banterd = server("-H", "test", "-t", "1", "--drain-timeout", "2s")
    client = banterd.connect()
    client.send_message("sleep 1000 done")
    banterd.log.wait_for("Processing the input")
    banterd.send_signal(signal.SIGTERM)

    def refused():
        try:
            LineClient.to(banterd.address).close()
        except ConnectionError:
            return True
        return False

    wait_until(refused, "the stop has begun")
    pause(banterd, 5000)
    assert client.readline() == b"done"
    client.close()
    assert banterd.wait() == 0
