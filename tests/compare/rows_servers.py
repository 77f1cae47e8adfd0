"""The rows about servers that others wrote, the real ones, and about a banterd that is restarted."""
import re

import harness
from other_servers import SERVERS
from rows import GROUPS, row
from rows_pipe import all_three
from trial import Seen


def servers(title):
    return row(GROUPS[2], title)


class Other:
    """One of those that end_to_end/other_servers.py knows, running."""

    def __init__(self, server):
        self.bench = harness.Bench()
        try:
            _, self.port = server.serve(self.bench)
        except BaseException:
            self.close()
            raise

    def close(self):
        self.bench.finish(failed=True)


def other(name):
    """For a judge that is given a trial with this server; where it makes no sense, that is said instead."""
    server = next(server for server in SERVERS if server.name == name)

    def decorate(judge):
        def judged(trial):
            if trial.client.protocol != "line":
                return Seen(None, detail="it speaks another protocol")
            if server.why_not():
                return Seen(None, detail=server.why_not())
            trial.server = Other(server)
            return judge(trial)
        return judged
    return decorate


def verdict(good, words, ended):
    said = f"; it said: {ended.said}" if ended.said else ""
    return Seen(good, "" if good else words, f"{ended.stdout!r}, {ended.how}{said}")


@servers("every reply of a Node server with readline arrives")
@other("Node's readline")
def node(trial):
    return all_three(trial, "plain")


@servers("the greeting of an SMTP server is told apart from its replies")
@other("aiosmtpd")
def greeting(trial):
    ended = trial.run(trial.client.text("NOOP", "NOOP"), "mail")
    output = ended.stdout.replace("\r", "")
    count = output.count("250 OK\n")
    words = "among the replies" if count == 2 else f"{count} of 2, {ended.how}"
    return verdict(output == "250 OK\n" * 2 and "220 " in ended.stderr and ended.status == 0, words, ended)


@servers("a reply without a newline, then the end, is shown, and is a failure")
@other("Python's socketserver")
def half_reply(trial):
    ended = trial.run(trial.client.text("one"), "plain")
    shown = "ONE" in ended.stdout + ended.stderr
    return verdict(shown and bool(ended.status), ended.how if shown else f"not shown, {ended.how}", ended)


class Restarted:
    """A banterd on the port that it has got, and can be stopped and started again on."""

    def __init__(self):
        self.bench = harness.Bench()
        self.port = 0
        self.start()

    def start(self):
        self.banterd = self.bench.server(listen=f"127.0.0.1:{self.port}")
        self.port = self.banterd.port

    def restart(self):
        self.banterd.stop()
        self.start()

    def close(self):
        self.bench.finish(failed=True)


@servers("a server restarted in the middle of a script: nothing lost, nothing twice")
def restart(trial):
    if trial.client.protocol != "line":
        return Seen(None, detail="it speaks another protocol")
    trial.server = Restarted()
    process = trial.start()
    process.stdin.write(trial.client.text("one").encode())
    process.stdin.flush()
    came = trial.read_until(process.stdout.fileno(), lambda data: b"Hello ONE" in data)
    trial.server.restart()
    ended = trial.finish(process, trial.client.text("two", "three").encode())
    replies = re.findall("Hello [A-Z]+", came.decode() + ended.stdout)
    good = replies == ["Hello ONE", "Hello TWO", "Hello THREE"] and ended.status == 0
    return verdict(good, f"{len(replies)} of 3, {ended.how}", ended)
