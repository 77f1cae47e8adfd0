"""--max-requests 1, --telnet and programs that speak other people's protocols, with the clients that others wrote: the
real ones, if they are installed, and what they send."""
import pytest

from other_clients import AGENT, CLIENTS, ONCE, SOCKETMAP, TCP_TABLE, TELNET


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_client(bench, client):
    reason = client.why_not()
    if reason:
        pytest.skip(reason)
    printed = client.run(bench)
    assert client.is_right(printed), printed


# ---- what they send

@pytest.mark.parametrize("options, sent, received", [
    pytest.param((), b"zack\r\n", b"Hello ZACK\r\n", id="finger"),
    pytest.param((), b"/W zack\r\n", b"Hello /W ZACK\r\n", id="finger -l"),
    pytest.param((), b"\r\n", b"Hello \r\n", id="finger of all"),
    pytest.param((), b"example.org\r\n", b"Hello EXAMPLE.ORG\r\n", id="whois"),
    pytest.param((), b"/about\r\n", b"Hello /ABOUT\r\n", id="gopher"),
    pytest.param(("--framing", "block"), b"LIST\r\n", b"Hello LIST\r\n.\r\n", id="gopher's menus and POP's lists"),
    pytest.param(AGENT[len(ONCE):], b"state\n", b"up 50%\n", id="haproxy agent-check"),
])
def test_one_question(server, options, sent, received):
    """The reply, then the end of the stream, without the client ending anything."""
    client = server(*ONCE, *options).connect()
    client.send(sent)
    assert client.read_to_eof() == received


@pytest.mark.parametrize("options, exchanges", [
    pytest.param(TCP_TABLE, [(b"get zack\n", b"200 Hello%20ZACK\n"), (b"get za%20ck%25%C3%A9%0A\n", b"500 unknown\n"),
                             (b"get zack\n", b"200 Hello%20ZACK\n")], id="postmap tcp"),
    pytest.param(SOCKETMAP, [(b"10:greet zack,", b"13:OK Hello ZACK,"), (b"10:greet mary,", b"9:NOTFOUND ,"),
                             (b"10:greet zack,", b"13:OK Hello ZACK,")], id="postmap socketmap"),
    pytest.param((), [(b"Zack\n", b"Hello ZACK\n")], id="check_tcp"),
    pytest.param((), [(b"Zack\r\n", b"Hello ZACK\r\n"), (b"Python\r\n", b"Hello PYTHON\r\n")],
                 id="Twisted's LineReceiver"),
    # Its window's size, its speeds, its terminal and its environment it offers; of echo and of no go-ahead it asks for
    # both sides. All is refused.
    pytest.param(TELNET, [(b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfb\x27\xff\xfd\x01\xff\xfb\x03\xff\xfd\x03",
                           b"\xff\xfe\x1f\xff\xfe\x20\xff\xfe\x18\xff\xfe\x27\xff\xfc\x01\xff\xfe\x03\xff\xfc\x03"),
                          (b"Zack\n", b"Hello ZACK\n"), (b"Python\n\xff\xec", b"Hello PYTHON\n")], id="plink"),
])
def test_one_question_after_the_other(server, options, exchanges):
    client = server(*options).connect()
    for sent, received in exchanges:
        client.send(sent)
        assert client.read(len(received)) == received
    client.half_close()
    assert client.at_eof()


def test_a_receiver_of_lines_with_cr_lf(server):
    """Such a receiver takes as a line what stands before CR LF, and nothing else: no reply, late or an error, may end
    otherwise."""
    client = server("-H", "test").connect()
    client.send(b"a\r\nlater 10 b\r\nreply c\\nd\r\n")
    client.half_close()
    received = client.read_to_eof()
    assert received.count(b"\n") == received.count(b"\r\n")
    assert received.split(b"\r\n")[:2] == [b"a", b"b"]
    assert received.split(b"\r\n")[2].startswith(b"-ERR handler-failed ")
