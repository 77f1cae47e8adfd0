"""The two tutorials: what the server prints for them, and netcat as the client."""
import re
import signal

import pytest

import harness


def session_lines(server, number):
    return [line for line in server.log.lines if line.startswith(f"[{number}] ")]


def test_transcript_to_the_letter(server):
    banterd = server()
    client = banterd.connect()
    assert client.ask("Zack") == b"Hello ZACK"
    assert client.ask("second line ") == b"Hello SECOND LINE"
    client.quit()
    name = client.name
    client.close()
    banterd.log.wait_line(f"[1] Connection {name} closed")
    assert banterd.stop() == 0
    assert banterd.log.text == (
        "Socket created\n"
        f"Socket now listening on 127.0.0.1:{banterd.port}\n"
        f"[1] Connected with {name}\n"
        "[1] Processing the input received from client: Zack\n"
        "[1] Processed result: Hello ZACK\n"
        "[1] Processing the input received from client: second line \n"
        "[1] Processed result: Hello SECOND LINE\n"
        "[1] Client is requesting to quit\n"
        f"[1] Connection {name} closed\n"
        "Server stopped after 1 clients, 2 requests\n")


def test_several_clients_have_their_own_numbers(server):
    banterd = server()
    clients = []
    for number in range(1, 6):
        client = banterd.connect()
        assert banterd.session(client) == number
        clients.append(client)
    for number, client in reversed(list(enumerate(clients, 1))):
        assert client.ask(f"client {number}") == f"Hello CLIENT {number}".encode()
    clients[2].quit()
    name = clients[2].name
    clients[2].close()
    banterd.log.wait_line(f"[3] Connection {name} closed")
    for number, client in enumerate(clients, 1):
        if number != 3:
            assert client.ask("still here") == b"Hello STILL HERE"
            client.close()
    assert banterd.stop() == 0
    for number in range(1, 6):
        lines = session_lines(banterd, number)
        name = re.search("Connected with (.*)", lines[0])[1]
        more = [] if number == 3 else [f"[{number}] Processing the input received from client: still here",
                                       f"[{number}] Processed result: Hello STILL HERE"]
        quit_line = [f"[{number}] Client is requesting to quit"] if number == 3 else []
        assert lines == [f"[{number}] Connected with {name}",
                         f"[{number}] Processing the input received from client: client {number}",
                         f"[{number}] Processed result: Hello CLIENT {number}",
                         *more, *quit_line,
                         f"[{number}] Connection {name} closed"]
    assert banterd.log.lines[-1] == "Server stopped after 5 clients, 9 requests"


def test_numbers_are_never_given_twice(server):
    banterd = server("-q")
    for number in range(1, 11):
        client = banterd.connect()
        client.send_message("a", "--QUIT--")
        assert client.read_to_eof() == b"Hello A\n"
        assert banterd.session(client) == number
        client.close()
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == "Server stopped after 10 clients, 10 requests"


def test_quiet_leaves_the_messages_out(server):
    banterd = server("-q")
    client = banterd.connect()
    assert client.ask("Zack") == b"Hello ZACK"
    client.quit()
    name = client.name
    client.close()
    banterd.log.wait_line(f"[1] Connection {name} closed")
    assert banterd.stop() == 0
    text = banterd.log.text
    assert f"[1] Connected with {name}\n" in text
    assert "Zack" not in text and "ZACK" not in text
    assert banterd.log.lines[-1] == "Server stopped after 1 clients, 1 requests"


@pytest.mark.parametrize("options", [("-qq",), ("-q", "-q"), ("--quiet", "--quiet")])
def test_quiet_twice_leaves_the_connections_out(server, options):
    banterd = server(*options)
    client = banterd.connect()
    assert client.ask("Zack") == b"Hello ZACK"
    client.quit()
    client.close()
    assert banterd.stop() == 0
    assert banterd.log.lines == ["Socket created",
                                 f"Socket now listening on 127.0.0.1:{banterd.port}",
                                 "Server stopped after 1 clients, 1 requests"]


def test_quiet_still_logs_errors(server):
    banterd = server("-q", "--max-message", "10")
    client = banterd.connect()
    assert client.ask("x" * 11).startswith(b"-ERR too-long")
    banterd.log.wait_line("[1] The input size is greater than expected 11")


def test_the_end_without_clients(server):
    banterd = server()
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == "Server stopped after 0 clients, 0 requests"


def test_three_netcats_each_with_its_number(server, netcat):
    banterd = server()
    netcats = []
    for number in (1, 2, 3):
        netcats.append(netcat(banterd))
        banterd.log.wait_for(rf"^\[{number}\] Connected with ")
    for number, program in reversed(list(enumerate(netcats, 1))):
        program.type(f"netcat {number}\n")
        program.stdout.wait_line(f"Hello NETCAT {number}")
        banterd.log.wait_line(f"[{number}] Processing the input received from client: netcat {number}")
    netcats[1].stop(signal.SIGKILL)
    netcats[1].expect_status = -signal.SIGKILL
    banterd.log.wait_for(r"^\[2\] Connection .* closed$")
    for number in (1, 3):
        netcats[number - 1].type("again\n")
        netcats[number - 1].stdout.wait_line("Hello AGAIN")
    assert len(banterd.log.find(r"closed$")) == 1
    assert banterd.stop() == 0
    assert len(banterd.log.find(r"^\[\d\] Connection .* closed$")) == 3
    assert banterd.log.lines[-1] == "Server stopped after 3 clients, 5 requests"
    stopping = "-ERR stopping the server is stopping"
    for number in (1, 3):
        netcats[number - 1].stdout.wait_line(stopping)
        assert netcats[number - 1].stdout.lines == [f"Hello NETCAT {number}", "Hello AGAIN", stopping]


@pytest.mark.slow
def test_run_for_ends_everything_and_the_netcats_return(server, netcat):
    banterd = server("--run-for", "4s")
    # Without an input of its own (-d) netcat returns as soon as the other side closes.
    netcats = [netcat(banterd, "-d") for _ in range(3)]
    for number in (1, 2, 3):
        banterd.log.wait_for(rf"^\[{number}\] Connected with ")
    assert banterd.wait() == 0
    assert [program.wait() for program in netcats] == [0, 0, 0]
    assert len(banterd.log.find(r"^\[\d\] Connection .* closed$")) == 3
    assert banterd.log.lines[-1] == "Server stopped after 3 clients, 0 requests"


def test_netcat_that_ends_its_input_gets_every_reply(server, bench):
    banterd = server()
    names = [f"name {number}" for number in range(1000)]
    result = bench.run(["nc", "-N", "127.0.0.1", banterd.port], input="\n".join(names) + "\n")
    assert result == harness.Run(0, "".join(f"Hello {name.upper()}\n" for name in names).encode(), b"")


# The first tutorial's programs do not frame: they send without a newline and read what one recv() gives.

def test_tutorial_client_in_raw(server):
    banterd = server("--framing", "raw")
    client = banterd.connect()
    for message in ("Zack", "a longer message, with words", "ünï ß"):
        client.send(message)
        assert client.receive().decode() == "Hello " + message.upper()
    client.send("--QUIT--")
    assert client.at_eof()
    client.close()
    banterd.log.wait_for(r"^\[1\] Connection .* closed$")
    assert [line for line in banterd.log.lines if "quit" in line] == ["[1] Client is requesting to quit"]
    assert banterd.stop() == 0
    assert banterd.log.lines[-1] == "Server stopped after 1 clients, 3 requests"


@pytest.mark.parametrize("glued, reply", [
    (b"Zack--QUIT--", b"Hello ZACK"),
    (b"--QUIT--behind", b""),
    (b"Zack--QUIT--behind--QUIT--", b"Hello ZACK"),
    (b"--QUIT--\n", b""),
])
def test_quit_glued_to_a_message_in_raw(server, glued, reply):
    banterd = server("--framing", "raw")
    client = banterd.connect()
    client.send(glued)
    assert client.read_to_eof() == reply
    client.close()
    assert banterd.stop() == 0
    assert "[1] Client is requesting to quit" in banterd.log.lines
    assert banterd.log.lines[-1] == f"Server stopped after 1 clients, {1 if reply else 0} requests"
