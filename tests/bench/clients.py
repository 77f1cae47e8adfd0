"""The client beside others: ten million lines from a file to a file, one message as a whole process, memory at each."""
import filecmp
import json
import re
import subprocess
from dataclasses import dataclass, replace

from cells import Cell
from peers import PEERS, first_line
from programs import BUILD, TOP, Trouble, path_of
from secure_peers import SECURE_PEERS, certificate

SERVERS = PEERS | SECURE_PEERS
DATA = BUILD / "bench" / "data"
LIMIT = 600  # seconds for all lines


@dataclass(frozen=True)
class Client:
    """`lines` and `once` are shell commands; {client}, {input}, {output}, {port}, {ca} are filled in."""
    name: str
    program: str
    lines: str
    once: str
    server: str = "banterd -t 1"
    version_options: tuple = ("--version",)

    def version(self):
        return first_line(path_of(self.program), *self.version_options)

    def of_build(self, build):
        """The same of another build; see builds.py."""
        return replace(self, name=f"{self.name} @{build}", program=f"{self.program} @{build}")


CLIENTS = {client.name: client for client in [
    Client("banter", "banter", "exec {client} -c 127.0.0.1:{port} <{input} >{output}",
           "{client} -c 127.0.0.1:{port} Zack"),
    Client("banter, TLS", "banter", "exec {client} --ca {ca} -c tls:127.0.0.1:{port} <{input} >{output}",
           "{client} --ca {ca} -c tls:127.0.0.1:{port} Zack", server="banterd -t 1, TLS"),
    Client("nc -N", "nc", "exec nc -N 127.0.0.1 {port} <{input} >{output}",
           r"printf 'Zack\n' | nc -N 127.0.0.1 {port}", version_options=("-h",)),
    Client("socat", "socat", "exec socat -t60 STDIO TCP4:127.0.0.1:{port} <{input} >{output}",
           r"printf 'Zack\n' | socat -t60 STDIO TCP4:127.0.0.1:{port}", version_options=("-V",)),
    Client("redis-cli --pipe", "redis-cli", "exec redis-cli -p {port} --pipe <{input} >{output}",
           "redis-cli -p {port} PING", server="redis"),
]}


def _data(client, lines):
    """The input and, where replies are written, what they must be; made once."""
    DATA.mkdir(parents=True, exist_ok=True)
    kind = "ping" if client.server == "redis" else "seq"
    files = DATA / f"{kind}-{lines}.in", DATA / f"{kind}-{lines}.expected"
    if not all(file.exists() for file in files):
        for file, form in zip(files, ("%d\n", "Hello %d\n") if kind == "seq" else ("PING\r\n", "")):
            part = file.with_suffix(".part")
            with open(part, "w", newline="") as output:
                for first in range(0, lines, 100000):
                    numbers = range(first, min(first + 100000, lines))
                    output.write("".join(form % number for number in numbers) if "%" in form else form * len(numbers))
            part.rename(file)
    return files


def _timed(client, text, runs, **words):
    command = text.format(client=path_of(client.program), **words)
    run = subprocess.run([path_of("timed"), str(runs), "sh", "-c", command], capture_output=True, timeout=LIMIT,
                         check=False, cwd=TOP)
    if run.returncode != 0:
        raise Trouble(f"{command} went wrong: {run.stderr.decode().strip()}")
    return json.loads(run.stdout)


def _measure_lines(name, sizes):
    client = CLIENTS[name]
    source, expected = _data(client, sizes.lines)
    output = DATA / "output"
    with SERVERS[client.server].start() as server:
        timed = _timed(client, client.lines, 1, port=server.port, ca=certificate(), input=source, output=output)
    if client.server == "redis":
        good = re.search(rf"errors: 0, replies: {sizes.lines}\b", output.read_text())
    else:
        good = filecmp.cmp(output, expected, shallow=False)
    output.unlink()
    if not good:
        raise Trouble(f"{name} did not get the right replies to {sizes.lines} lines")
    return {"lines_per_second": sizes.lines / timed["p50_ms"] * 1000, "peak_kb": timed["peak_kb"]}


def _measure_once(name, sizes):
    client = CLIENTS[name]
    with SERVERS[client.server].start() as server:
        words = {"port": server.port, "ca": certificate()}
        command = client.once.format(client=path_of(client.program), **words)
        reply = subprocess.run(["sh", "-c", command], cwd=TOP, capture_output=True, timeout=60, check=False).stdout
        if reply not in (b"Hello ZACK\n", b"PONG\n"):
            raise Trouble(f"{name} brought {reply!r}")
        timed = _timed(client, client.once, sizes.once, **words)
    return {"ms": timed["p50_ms"], "mean_ms": timed["mean_ms"], "peak_kb": timed["peak_kb"]}


def cells():
    return [Cell("client/lines", list(CLIENTS), _measure_lines, kind="client"),
            Cell("client/once", list(CLIENTS), _measure_once, kind="client-once")]


def check(name):
    """Missing, where it can't be started here."""
    path_of(CLIENTS[name].program)
    SERVERS[CLIENTS[name].server].check()
