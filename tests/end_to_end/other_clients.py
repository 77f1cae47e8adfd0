"""other_clients: the clients that others wrote, each with a service that suits it.

test_server_other_clients.py runs those that are installed, tests/tools/other-clients all of them.
"""
import csv
import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from certificates import Folder
from harness import BANTERD, LIMIT, LineClient, Server, wait_until

# Not every user's PATH has the administrator's programs, and nobody's has Nagios's.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/lib/nagios/plugins"

ONCE = ("--max-requests", "1")
TELNET = ("--telnet", "--max-requests", "2")

# Services in the protocols of tcp_table(5), socketmap_table(5) and HAProxy's agent-check, and what their clients read.
TCP_TABLE = ("--", "sed", "-u", "s/^get zack$/200 Hello%20ZACK/; t; s/.*/500 unknown/")
SOCKETMAP = ("--framing", "netstring", "--", "sed", "-u", "s/^greet zack$/OK Hello ZACK/; t; s/.*/NOTFOUND /")
POSTFIX = ("main.cf", "compatibility_level = 3.6\n")
AGENT = (*ONCE, "--", "sed", "-u", "s/.*/up 50%/")
HAPROXY = ("haproxy.cfg", """\
global
    stats socket unix@statistics
defaults
    timeout connect 5s
    timeout client 5s
    timeout server 5s
backend pool
    server one 127.0.0.1:PORT weight 100 agent-check agent-port PORT agent-inter 20s agent-send state\\n
""")


@dataclass
class Client:
    name: str
    options: tuple       # banterd's
    command: tuple       # in which PORT stands for banterd's
    prints: str          # a regular expression that all of its standard output must match
    typed: str = ""      # its standard input, which ends ...
    until: str = ""      # ... when it has printed this
    complains: str = ""  # a regular expression that all of its standard error must match
    status: int = 0      # its exit status
    file: tuple = ()     # name and text of what it needs in the folder in which it runs; PORT as in the command

    def why_not(self):
        """Why it can't be run here, or None."""
        return None if self.path() else f"{self.command[0]} is not installed"

    def path(self):
        return shutil.which(self.command[0], path=PATH)

    def serve(self, bench):
        return bench.server(*self.options)

    def run(self, bench):
        """Starts a banterd and runs the client to its end. Returns what it printed; bench.finish() checks the rest."""
        banterd = self.serve(bench)
        self.write_file(bench, banterd)
        client = bench.start(self.words(banterd), stdin=subprocess.PIPE, expect_stderr=self.complains,
                             expect_status=self.status)
        client.type(self.typed)
        client.stdout.wait_text(self.until)
        client.end_input()
        client.wait()
        return client.stdout.text

    def write_file(self, bench, banterd):
        if self.file:
            name, text = self.file
            (bench.folder / name).write_text(text.replace("PORT", str(banterd.port)))

    def words(self, banterd):
        return [self.path(), *(word.replace("PORT", str(banterd.port)) for word in self.command[1:])]

    def is_right(self, printed):
        return re.fullmatch(self.prints, printed, re.S) is not None

    def __str__(self):
        return f"{shlex.join(self.command)}, with {shlex.join(('banterd', *self.options))}"


class Finger(Client):
    """It knows one port only, 79, so both programs run in a network of their own."""
    NETWORK = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")

    def why_not(self):
        return super().why_not() or self.why_no_network()

    def why_no_network(self):
        trial = subprocess.run([*self.NETWORK, "true"], capture_output=True, timeout=LIMIT, check=False)
        return None if trial.returncode == 0 else "a network namespace is not permitted"

    def serve(self, bench):
        banterd = bench.start([*self.NETWORK, BANTERD, "--listen", "127.0.0.1:79", *self.options], kind=Server)
        assert banterd.port == 79
        return banterd

    def words(self, banterd):
        return ["nsenter", "--target", str(banterd.pid), "--user", "--net", "--preserve-credentials",
                *super().words(banterd)]


class Secure(Client):
    """It speaks TLS with a server whose certificate it checks, whose file AUTHORITY stands for."""

    def serve(self, bench):
        folder = bench.folder / "certificates"
        folder.mkdir()
        certificates = Folder(folder)
        self.authority = str(certificates.path("ca.crt"))
        return bench.server("--cert", certificates.sign("server"), *self.options, listen="tls:127.0.0.1:0")

    def words(self, banterd):
        return [word.replace("AUTHORITY", self.authority) for word in super().words(banterd)]


class Twisted(Client):
    """A program of ours in Twisted, which is a module of the Python that runs this."""

    def path(self):
        return sys.executable if importlib.util.find_spec("twisted") else None

    def why_not(self):
        return None if self.path() else "Twisted is not installed"

    def words(self, banterd):
        path, script, *rest = super().words(banterd)
        return [path, str(Path(__file__).parent / "peers" / script), *rest]


class Haproxy(Client):
    """A proxy without a frontend, which asks an agent what weight a server is to have."""

    def run(self, bench):
        """Returns what the proxy says of its agent and of the server's weight, as soon as it knows."""
        banterd = self.serve(bench)
        self.write_file(bench, banterd)
        haproxy = bench.start(self.words(banterd), expect_stderr=self.complains)
        seen = wait_until(lambda: self.seen(bench), "the proxy has a reply of its agent")
        haproxy.stop(signal.SIGUSR1)
        return seen

    def seen(self, bench):
        try:
            client = LineClient.to(f"unix:{bench.folder}/statistics")
        except OSError:
            return None  # it does not listen yet
        client.send("show stat\n")
        table = client.read_to_eof().decode().removeprefix("# ")
        client.close()
        row = next(row for row in csv.DictReader(table.splitlines()) if row["svname"] == "one")
        status = row["agent_status"].removeprefix("* ")  # a star while it asks again
        return f"agent {status}, weight {row['weight']}\n" if status not in ("", "INI") else None


def hello(*names, end="\n"):
    return "".join(re.escape(f"Hello {name.upper()}{end}") for name in names)


PYTHON = dict(typed="Zack\nPython\n", until="Hello PYTHON")
TWICE = ("--max-requests", "2")

CLIENTS = [
    Client("plink", TELNET, ("plink", "-batch", "-telnet", "-P", "PORT", "127.0.0.1"), hello("Zack", "Python"),
           **PYTHON),
    Client("telnet", TELNET, ("telnet", "127.0.0.1", "PORT"), "Trying .*" + hello("Zack", "Python"),
           complains="Connection closed by foreign host.\n", **PYTHON),
    Client("curl telnet", TELNET, ("curl", "-s", "-N", "telnet://127.0.0.1:PORT"), hello("Zack", "Python"), **PYTHON),
    Client("curl gopher", ONCE, ("curl", "-s", "gopher://127.0.0.1:PORT/1/about"), hello("/about", end="\r\n")),
    Client("nc with CR LF", ONCE, ("nc.openbsd", "-C", "127.0.0.1", "PORT"), hello("Zack", end="\r\n"),
           typed="Zack\n", until="Hello ZACK"),
    Client("whois", ONCE, ("whois", "-h", "127.0.0.1", "-p", "PORT", "example.org"), hello("example.org")),
    Finger("finger", ONCE, ("finger", "zack@127.0.0.1"), hello("Zack")),
    Finger("finger -l", ONCE, ("finger", "-l", "zack@127.0.0.1"), hello("/W zack")),
    Client("postmap tcp", TCP_TABLE, ("postmap", "-c", ".", "-q", "-", "tcp:127.0.0.1:PORT"),
           "zack\tHello ZACK\n" * 2, typed="zack\nmary\nzack\n", file=POSTFIX),
    Client("postmap tcp, an error", ("--max-message", "4"), ("postmap", "-c", ".", "-q", "zack", "tcp:127.0.0.1:PORT"),
           "", complains=".*-ERR too-long.*query error.*", status=1, file=POSTFIX),
    Client("postmap socketmap", SOCKETMAP, ("postmap", "-c", ".", "-q", "-", "socketmap:inet:127.0.0.1:PORT:greet"),
           "zack\tHello ZACK\n" * 2, typed="zack\nmary\nzack\n", file=POSTFIX),
    Haproxy("haproxy agent-check", AGENT, ("haproxy", "-db", "-f", "haproxy.cfg"), "agent L7OK, weight 50\n",
            complains=".*", file=HAPROXY),
    Client("check_tcp", (), ("check_tcp", "-H", "127.0.0.1", "-p", "PORT", "-E", "-s", r"Zack\n", "-e", "Hello ZACK"),
           r"TCP OK - .* \[Hello ZACK\].*\n"),
    Secure("socat", (), ("socat", "-", "OPENSSL:localhost:PORT,cafile=AUTHORITY"), hello("Zack", "Python"), **PYTHON),
    Secure("ncat --ssl", (), ("ncat", "--ssl", "--ssl-verify", "--ssl-trustfile", "AUTHORITY", "localhost", "PORT"),
           hello("Zack", "Python"), **PYTHON),
    Secure("openssl s_client", TWICE, ("openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", "AUTHORITY",
                                       "-connect", "localhost:PORT"),
           hello("Zack", "Python"), complains=".*verify return:1.*", **PYTHON),
    Secure("gnutls-cli", TWICE, ("gnutls-cli", "--x509cafile", "AUTHORITY", "--port", "PORT", "localhost"),
           ".*The certificate is trusted.*Handshake was completed.*" + hello("Zack", "Python") + ".*", **PYTHON),
    # It offers protocols, and not ours: the server is none of the web's.
    Secure("curl https", (), ("curl", "-sS", "--cacert", "AUTHORITY", "https://localhost:PORT/"), "",
           complains=".*no application protocol.*", status=35),
    Twisted("Twisted's LineReceiver", (), ("python3", "twisted_lines.py", "PORT", "Zack", "Python"),
            hello("Zack", "Python")),
]
