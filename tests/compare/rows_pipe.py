"""The rows about a pipe: requests on standard input, replies on standard output, and an exit status."""
import os
import pty
import re

from rows import GROUPS, row
from sessions import hello, slow
from trial import Seen

THREE = ("one", "two", "three")


def pipe(title):
    return row(GROUPS[0], title)


def replies(text, requests=THREE):
    return sum(f"Hello {request}" in text for request in requests)


def judged(good, ended, extra=""):
    """By how it ended; `extra` comes first in the words."""
    words = f"{extra}, {ended.how}" if extra else ended.how
    return Seen(good, "" if good else words, f"{words}; it said: {ended.said}" if ended.said else words)


def all_three(trial, *features):
    """Whether all replies come, and if not, whether the client's options for that help."""
    def attempt(*features):
        ended = trial.run(trial.client.text(*THREE), *features)
        return replies(ended.stdout), ended
    count, ended = attempt(*features)
    good = count == 3 and ended.status == 0
    seen = judged(good, ended, "" if good else f"{count} of 3")
    patience = trial.client.options.get("patience")
    if good or not patience:
        return seen
    count, ended = attempt(*features, "patience")
    return Seen(good, seen.words, f"{seen.detail}; with {' '.join(patience)}: {count} of 3, {ended.how}")


@pipe("every reply arrives, from a server that takes 0.6 s for each of 3")
def every_reply(trial):
    trial.serve(slow(0.6))
    return all_three(trial)


@pipe("sends ahead: 3 requests are on their way before the first reply")
def sends_ahead(trial):
    counts = []

    def behaviour(session):
        session.connection.socket.settimeout(trial.limit / 2)
        asked = []
        try:
            while len(asked) < 3:
                asked.append(session.one())
        except (TimeoutError, ConnectionError):
            pass
        counts.append(len(asked))
        session.connection.socket.settimeout(trial.limit)
        for text in asked:
            session.reply("Hello " + text)
        hello(session)
    trial.serve(behaviour)
    trial.run(trial.client.text(*THREE))
    ahead = counts[0] if counts else 0
    words = {0: "none arrives", 1: "one at a time", 3: ""}.get(ahead, f"{ahead} of 3")
    return Seen(ahead == 3, words, f"{ahead} of 3 requests came before the first reply")


@pipe("replies flow while standard input stays open")
def live(trial):
    trial.serve(hello)
    process = trial.start()
    process.stdin.write(trial.client.text("one").encode())
    process.stdin.flush()
    came = b"Hello one" in trial.read_until(process.stdout.fileno(), lambda data: b"Hello one" in data)
    return Seen(came, "" if came else "held back", "the reply came" if came else "the reply did not come")


@pipe("a line of 100,000 bytes")
def long_line(trial):
    def behaviour(session):
        for text in session.asks():
            session.reply(f"{len(text)} bytes")
    server = trial.serve(behaviour)
    ended = trial.run(trial.client.text("x" * 100_000))
    good = "100000 bytes" in ended.stdout
    arrived = ", ".join(str(len(text)) for text in server.asked) or "none"
    return Seen(good, "" if good else "not whole", f"the lines that arrived have bytes: {arrived}; {ended.how}")


@pipe("a last line without a newline is answered")
def no_newline(trial):
    trial.serve(hello)
    ended = trial.run(trial.client.text("one", "two")[:-1])
    good = replies(ended.stdout, ("one", "two")) == 2
    return Seen(good, "" if good else "not sent as a line", f"{replies(ended.stdout)} of 2 replies, {ended.how}")


@pipe("ends when the server closes and standard input stays open")
def server_closes(trial):
    def behaviour(session):
        session.reply("Hello " + session.one())
    trial.serve(behaviour)
    process = trial.start()
    process.stdin.write(trial.client.text("one").encode())
    process.stdin.flush()
    good = trial.wait_end(process)
    status = f"status {process.returncode}" if good else f"not within {trial.limit:.0f} s"
    return Seen(good, "" if good else "stays", status)


@pipe("connection refused: a failure, and it is said why")
def refused(trial):
    ended = trial.run(trial.client.text("one"))
    good = bool(ended.status and ended.said)
    return judged(good, ended, "" if good or ended.said else "silent")


@pipe("server that never answers: a time limit, and it is a failure")
def mute(trial):
    def behaviour(session):
        for _ in session.asks():
            pass
        session.server.over.wait()
    trial.serve(behaviour)
    ended = trial.run(trial.client.text(*THREE), "limit")
    options = " ".join(trial.client.options.get("limit", ["no option for it"]))
    seen = judged(bool(ended.status), ended)
    return Seen(seen.good, seen.words, f"{options}: {seen.detail}")


def two_owed(trial):
    """The server has answered the first of three when it closes; whoever connects again is served."""
    def behaviour(session):
        if session.connection is not session.server.connections[0]:
            hello(session)
            return
        session.reply("Hello " + session.one())
        session.ask()
    trial.serve(behaviour)
    return trial.run(trial.client.text(*THREE))


@pipe("connection lost with replies owed: a failure")
def lost(trial):
    ended = two_owed(trial)
    return judged(bool(ended.status) or replies(ended.stdout) == 3, ended)


@pipe("… and the first unanswered line of the input is named")
def first_unanswered(trial):
    ended = two_owed(trial)
    good = re.search(r"\b2\b", ended.stderr) is not None
    return Seen(good, "" if good else "no", f"it said: {ended.said or 'nothing'}")


@pipe("an error reply makes the exit status a failure")
def error_reply(trial):
    if not trial.client.errors:
        return Seen(None, detail="to it a reply is bytes")

    def behaviour(session):
        for text in session.asks():
            if text == "two":
                session.error("refused")
            else:
                session.reply("Hello " + text)
    trial.serve(behaviour)
    options = trial.client.options.get("failures", ())
    ended = trial.run(trial.client.text(*THREE), "failures")
    seen = judged(bool(ended.status), ended)
    with_options = f"with {' '.join(options)}: " if options else ""
    return Seen(seen.good, seen.words, f"{with_options}{seen.detail}; {replies(ended.stdout)} of 2 other replies")


@pipe("standard output on a full disk: a failure, and it is said")
def full_disk(trial):
    trial.serve(hello)
    with open("/dev/full", "wb") as full:
        ended = trial.run(trial.client.text(*THREE), stdout=full)
    good = bool(ended.status and ended.said)
    return judged(good, ended, "" if good or ended.said else "silent")


@pipe("says how far it is, on a terminal, when it takes seconds")
def progress(trial):
    """Standard error is a terminal, the others are files."""
    trial.serve(slow(0.7))
    requests = trial.folder / "requests"
    requests.write_text(trial.client.text(*THREE, "four", "five"))
    terminal, child = pty.openpty()
    try:
        with requests.open("rb") as stdin, (trial.folder / "replies").open("wb") as stdout:
            trial.start(stdin=stdin, stdout=stdout, stderr=child)
        os.close(child)
        said = trial.read_until(terminal, lambda data: re.search(rb"\d", data))
    finally:
        os.close(terminal)
    good = re.search(rb"\d", said) is not None
    text = said.decode(errors='replace').strip()
    return Seen(good, "" if good else "no", f"it said: {text or 'nothing'}")
