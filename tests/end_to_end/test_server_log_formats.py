"""The log for programs, --log timed and --log json; and for the journal. Its lines are whole whatever comes."""
import base64
import datetime
import json
import os
import re
import subprocess

import pytest

import harness
import pages
from harness import Output, wait_until

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
NUMBERS = {"session", "bytes", "max_bytes", "clients", "requests", "count", "max_clients", "wanted", "max_threads",
           "worker", "pid", "retry_s", "timeout_ms", "sessions", "sessions_total", "requests_total", "loops_in_use",
           "threads", "memory_bytes", "max_message"}


# ---- the schema is that of the man page

@pytest.fixture(scope="module")
def schema():
    """{event: (level, keys, those of them that may be missing)}"""
    text = pages.section(pages.rendered("banterd.8"), "Keys and events")
    rows = re.findall(r"^ {5}([a-z-]+)\s+(error|info|debug)(?:: (.*(?:\n {20,}\S.*)*))?$", text, re.M)
    return {event: (level, re.sub(r"[\[\]]", "", keys).split(), re.findall(r"\[(\w+)\]", keys))
            for event, level, keys in rows}


def test_the_page_has_every_event_of_the_table(schema):
    table = (harness.TOP / "server/log/events.h").read_text().replace("\\\n", "\n")
    found = re.findall(r'^    (?:EVENT|LINE)\((.*?)"([a-z-]+)",\s*"[a-z_]+"\)', table, re.M | re.S)
    assert len(found) > 30
    assert {event: re.findall(r'(?:TEXT|NUMBER|OPTIONAL)\("(\w+)"', fields) for fields, event in found} == \
        {event: keys for event, (_, keys, _) in schema.items()}


def no_twice(pairs):
    assert len(dict(pairs)) == len(pairs), f"a key is there twice: {pairs}"
    return dict(pairs)


def read(line, schema):
    """The object of a line, which has what the page says that it has, in this order."""
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", line)
    event = json.loads(line, object_pairs_hook=no_twice)
    assert re.fullmatch(STAMP, event["time"])
    level, keys, optional = schema[event["event"]]
    assert event["level"] == level
    names = [name.removesuffix("_base64") for name in event]
    wanted = ["time", "level", "event", *(["session"] if "session" in event else []),
              *(key for key in keys if key in names or key not in optional),
              *(["bytes"] if "message" in keys and "bytes" in event else [])]
    assert names == wanted
    for name, value in event.items():
        assert isinstance(value, int if name in NUMBERS else str), name
    return event


def events(text, schema):
    return [read(line, schema) for line in text.splitlines()]


def message(event):
    return base64.b64decode(event["message_base64"]) if "message_base64" in event else event["message"].encode()


def logged(server, folder, *options, log="json", env=(), **how):
    """A server that listens on a Unix socket, and whose log goes into a file."""
    with open(folder / "log", "wb") as output:
        banterd = server("--log", log, *options, listen=f"unix:{folder}/socket", stdout=output,
                         env={**os.environ, **dict(env)}, **how)
    wait_until(lambda: "listening" in text_of(folder), "it listens")
    banterd.address = f"unix:{folder}/socket"
    return banterd


def text_of(folder):
    return (folder / "log").read_bytes().decode()


def names(found):
    return [event["event"] for event in found]


# ---- json

def test_a_session(server, folder, schema):
    banterd = logged(server, folder)
    client = banterd.connect()
    assert client.ask("Zack") == b"Hello ZACK"
    client.quit()
    client.close()
    assert banterd.stop() == 0
    found = events(text_of(folder), schema)
    assert names(found) == ["socket-created", "listening", "connected", "request", "reply", "quit", "closed", "stopped"]
    listening, connected, request, reply, _, closed, stopped = found[1:]
    assert listening["address"] == connected["address"] == closed["address"] == f"unix:{folder}/socket"
    assert connected["identity"] == f"uid={os.getuid()}" and connected["session"] == 1
    assert (request["message"], reply["message"]) == ("Zack", "Hello ZACK")
    assert (stopped["clients"], stopped["requests"]) == (1, 1)


def test_every_byte(server, folder, schema):
    banterd = logged(server, folder, "-H", "echo", "-f", "netstring", framing="netstring")
    client = banterd.connect()
    sent = [bytes([byte]) for byte in range(256)]
    sent += ["日".encode()[:size] + tail for size in (1, 2, 3) for tail in (b"", b"x", b"\xff")]
    sent += [bytes(range(256)), bytes(range(128)), "".join(map(chr, range(2000))).encode(), "\U0010ffff😀".encode()]
    sent += [b'{"event":"stopped"}\n', b'\\u0000', b"\\", b'"', b""]
    for text in sent:
        assert client.ask(text) == text
    client.close()
    assert banterd.stop() == 0
    found = events(text_of(folder), schema)
    for kind in ("request", "reply"):
        assert [message(event) for event in found if event["event"] == kind] == sent
    run = subprocess.run(["jq", "-e", "has(\"event\")"], input=text_of(folder).encode(), capture_output=True,
                         timeout=harness.LIMIT)
    assert run.returncode == 0 and set(run.stdout.split()) == {b"true"}


def test_a_long_text_is_cut_between_characters(server, folder, schema):
    banterd = logged(server, folder, "-H", "echo", "-m", "1m", "-f", "netstring", framing="netstring")
    client = banterd.connect()
    sent = ["x" * 65536, "x" * 65537, "日" * 30000, "\0" * 200_000]
    for text in sent:
        assert client.ask(text) == text.encode()
    client.close()
    assert banterd.stop() == 0
    found = [event for event in events(text_of(folder), schema) if event["event"] == "reply"]
    assert [event["message"] for event in found] == ["x" * 65536, "x" * 65536, "日" * 21845, "\0" * 65536]
    assert [event.get("bytes") for event in found] == [None, 65537, 90000, 200_000]


def test_errors_of_clients(server, folder, schema):
    banterd = logged(server, folder, "-m", "5")
    client = banterd.connect()
    client.send_message("too long")
    client.send(b"half")
    client.half_close()
    assert len(client.replies()) == 2
    client.close()
    client = banterd.connect()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    client.replies()
    client.close()
    assert banterd.stop() == 0
    found = {event["event"]: event for event in events(text_of(folder), schema)}
    assert found["too-long"]["bytes"] == 8 and found["too-long"]["level"] == "error"
    assert found["incomplete"]["why"] and found["http"]["session"] == 2


def test_a_client_that_is_idle(server, folder, schema):
    banterd = logged(server, folder, "--idle-timeout", "50ms")
    client = banterd.connect()
    wait_until(lambda: '"idle"' in text_of(folder), "it is idle for too long")
    client.close()
    assert banterd.stop() == 0
    found = {event["event"]: event for event in events(text_of(folder), schema)}
    assert found["idle"]["timeout_ms"] == 50 and found["idle"]["session"] == 1


def test_what_a_program_does(server, folder, schema):
    script = 'printf "greeting\\n"; printf "a\\377b\\n" >&2; echo plain >&2; while read -r x; do ' \
        'case $x in die) exit 3;; esac; echo "$x"; done'
    banterd = logged(server, folder, "-w", "1", "--", "sh", "-c", script)
    client = banterd.connect()
    assert client.ask("Zack") == b"Zack"
    assert harness.is_error(client.ask("die"), "handler-failed")
    wait_until(lambda: text_of(folder).count('"worker-started"') == 2, "another copy")
    client.close()
    assert banterd.stop() == 0
    found = events(text_of(folder), schema)
    lines = [event for event in found if event["event"] == "worker"]
    assert [message(event) for event in lines[:2]] == [b"a\xffb", b"plain"] and lines[0]["worker"] == 1
    lost = [event for event in found if event["event"] == "worker-lost"]
    assert lost[0]["worker"] == 1 and lost[0]["outcome"].startswith("is replaced") and "3" in lost[0]["why"]
    greeting = [event for event in found if event["event"] == "worker-greeting"]
    assert (greeting[0]["worker"], greeting[0]["message"]) == (1, "greeting")


@pytest.mark.parametrize("quiet, left", [("-q", ["connected", "closed"]), ("-qq", [])])
def test_levels(server, folder, schema, quiet, left):
    banterd = logged(server, folder, quiet)
    client = banterd.connect()
    assert client.ask("Zack") == b"Hello ZACK"
    client.close()
    assert banterd.stop() == 0
    assert names(events(text_of(folder), schema)) == ["socket-created", "listening", *left, "stopped"]


def test_errors_of_a_kind_are_counted(server, folder, schema):
    banterd = logged(server, folder, "-m", "5")
    client = banterd.connect()
    client.send_message(*["too long"] * 1000)
    client.half_close()
    assert len(client.replies()) == 1000
    client.close()
    wait_until(lambda: '"repeated"' in text_of(folder), "their second is over")
    assert banterd.stop() == 0
    found = events(text_of(folder), schema)
    more = [event for event in found if event["event"] == "repeated"]
    assert {event["of"] for event in more} == {"too-long"}
    assert names(found).count("too-long") + sum(event["count"] for event in more) == 1000


def test_a_reader_that_never_reads(server, folder, schema):
    reading, writing = os.pipe()
    banterd = server("--log", "json", listen=f"unix:{folder}/socket", stdout=writing)
    os.close(writing)
    wait_until(lambda: harness.is_listening(folder / "socket"), "it listens")
    client = banterd.connect(f"unix:{folder}/socket")
    count = 30000
    client.send_in_background("message\n" * count)
    assert client.lines(count) == [b"Hello MESSAGE"] * count
    with os.fdopen(reading, "rb") as end:
        log = Output(end)
        client.close()
        assert banterd.stop() == 0
        log.wait_end()
        found = [read(line, schema) for line in log.lines]
    dropped = [event["count"] for event in found if event["event"] == "dropped"]
    assert dropped and len(found) - len(dropped) + sum(dropped) == 2 + 2 + 2 * count + 1
    assert found[-1]["event"] == "stopped"


def test_a_full_disk(bench, folder, schema):
    command = ["prlimit", "--fsize=20000:", harness.BANTERD, "--log", "json", "--listen", f"unix:{folder}/socket"]
    with open(folder / "log", "w") as output:
        banterd = bench.start(command, kind=harness.Server, ready=False, stdout=output)
    wait_until(lambda: "listening" in text_of(folder), "it listens")
    client = banterd.connect(f"unix:{folder}/socket")
    for number in range(500):
        assert client.ask(f"message {number}") == b"Hello MESSAGE %d" % number
    wait_until(lambda: (folder / "log").stat().st_size == 20000, "the log is full")
    subprocess.run(["prlimit", f"--pid={banterd.pid}", "--fsize=unlimited:"], check=True, timeout=harness.LIMIT)
    for number in range(500):
        assert client.ask(f"message {number}") == b"Hello MESSAGE %d" % number
    client.close()
    assert banterd.stop() == 0
    found = events(text_of(folder), schema)
    dropped = [event["count"] for event in found if event["event"] == "dropped"]
    assert dropped and len(found) - len(dropped) + sum(dropped) == 2 + 2 + 2 * 1000 + 1


# ---- times

def moment(stamp):
    return datetime.datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%f%z")


def now():
    return datetime.datetime.now(datetime.timezone.utc)


@pytest.mark.parametrize("log", ["timed", "json"])
def test_times_are_those_of_the_events(server, folder, log):
    """They don't go back, and are not those of the writing: the log's reader comes late."""
    reading, writing = os.pipe()
    before = now()
    banterd = server("-t", "2", "--log", log, listen=f"unix:{folder}/socket", stdout=writing)
    os.close(writing)
    wait_until(lambda: harness.is_listening(folder / "socket"), "it listens")
    clients = [banterd.connect(f"unix:{folder}/socket") for _ in range(4)]
    for number in range(100):
        for client in clients:
            assert client.ask(str(number)) == b"Hello %d" % number
    after = now()
    with os.fdopen(reading, "rb") as end:
        output = Output(end)
        assert banterd.stop() == 0
        output.wait_end()
        lines = output.lines
    times = [moment(re.search(STAMP, line)[0]) for line in lines]
    assert len(times) == 2 + 4 * 2 + 4 * 200 + 1
    # Two loops may come and go at the same moment; but each request was asked behind the reply to the last one.
    asked = [time for line, time in zip(lines[:-1], times) if re.search("Process(ing|ed)|request|reply", line)]
    assert len(asked) == 4 * 200 and asked == sorted(asked)
    # The stop and the ends of its clients' sessions came later.
    assert before <= times[0] and times[-6] <= after


def test_timed_lines_are_text_behind_a_time(server, folder):
    banterd = logged(server, folder, log="timed")
    client = banterd.connect()
    assert client.ask("Zack") == b"Hello ZACK"
    client.close()
    assert banterd.stop() == 0
    assert re.sub(rf"^{STAMP} ", "", text_of(folder), flags=re.M) == TRANSCRIPT.format(folder=folder, uid=os.getuid())


TRANSCRIPT = """\
Socket created
Socket now listening on unix:{folder}/socket
[1] Connected with unix:{folder}/socket as uid={uid}
[1] Processing the input received from client: Zack
[1] Processed result: Hello ZACK
[1] Connection unix:{folder}/socket closed
Server stopped after 1 clients, 1 requests
"""


# ---- the journal

@pytest.mark.parametrize("log, begin", [("text", ""), ("timed", STAMP + " "), ("json", r"\{")])
def test_the_journal_gets_priorities(server, folder, log, begin):
    (folder / "log").touch()
    status = (folder / "log").stat()
    banterd = logged(server, folder, log=log, env={"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    client = banterd.connect()
    assert client.ask("Zack") == b"Hello ZACK"
    assert client.ask("x" * 6000).startswith(b"-ERR too-long")
    client.close()
    assert banterd.stop() == 0
    found = [re.match(rf"<(\d)>{begin}", line)[1] for line in text_of(folder).splitlines()]
    assert sorted(found) == sorted("66" "6" "77" "7" "3" "6" "6")


@pytest.mark.parametrize("stream", ["", "1:1", "x", "8:", "{dev}:{ino} ", "{dev}", "{ino}:{dev}"])
def test_what_is_not_the_journal_gets_none(server, folder, stream):
    (folder / "log").touch()
    status = (folder / "log").stat()
    banterd = logged(server, folder, log="text",
                     env={"JOURNAL_STREAM": stream.format(dev=status.st_dev, ino=status.st_ino)})
    assert banterd.stop() == 0
    assert "<" not in text_of(folder)


@pytest.mark.parametrize("options, status", [(["--nonsense"], 64), (["-l", "unix:/none/such"], 1)])
def test_errors_at_the_start_have_one_too(folder, options, status):
    with open(folder / "errors", "ab") as errors:
        stat = os.fstat(errors.fileno())
        for stream, begin in ((f"{stat.st_dev}:{stat.st_ino}", "<3>"), ("1:1", "")):
            errors.truncate(0)
            run = subprocess.run([harness.BANTERD, *options], stderr=errors, stdout=subprocess.DEVNULL,
                                 env={**os.environ, "JOURNAL_STREAM": stream}, timeout=harness.LIMIT)
            assert run.returncode == status
            text = (folder / "errors").read_text()
            assert re.match(begin + "(banterd: |Bind failed)", text), text
