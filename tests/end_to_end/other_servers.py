"""other_servers: the servers that others wrote, each with what banter needs to talk to it.

test_client_other_servers.py runs those that are installed, tests/tools/other-servers all of them. A script in servers/
is how people write a server in that language.
"""
import importlib.util
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from certificates import Folder
from harness import BANTER, LIMIT, wait_until

SCRIPTS = Path(__file__).parent / "servers"

# Not every user's PATH has the administrator's programs.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"

ATTEMPTS = 5  # to get a port that another program has not taken meanwhile

MPD = {"mpd.conf": """\
bind_to_address "127.0.0.1"
port "PORT"
playlist_directory "FOLDER"
log_file "/dev/stderr"
audio_output {
    type "null"
    name "none"
}
"""}
NGIRCD = {"ngircd.conf": """\
[Global]
Name = irc.example.org
Info = a test
Listen = 127.0.0.1
Ports = PORT
[Options]
DNS = yes
Ident = no
PAM = no
NoticeBeforeRegistration = yes
"""}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(program, port):
    """Whether the process itself, and no other program, listens on the port."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            words = line.split()
            if words[1].endswith(f":{port:04X}") and words[3] == "0A":
                inodes.add(f"socket:[{words[9]}]")
    folder = Path(f"/proc/{program.pid}/fd")
    try:
        return any(os.readlink(descriptor) in inodes for descriptor in folder.iterdir())
    except OSError:
        return False  # it has ended, or closed one while we looked


@dataclass
class Server:
    name: str
    command: tuple       # in which PORT stands for the port, FOLDER for the folder in which it runs
    options: tuple       # banter's
    prints: str          # a regular expression that all of banter's standard output must match
    typed: str = "Zack\nPython\n"
    complains: str = ""  # a regular expression that all of its standard error must match
    status: int = 0      # its exit status
    files: dict = field(default_factory=dict)  # names and texts of what the server needs, PORT and FOLDER as above
    module: str = ""     # of the Python that runs this

    def why_not(self):
        """Why it can't be run here, or None."""
        if self.module and not importlib.util.find_spec(self.module):
            return f"{self.module} is not installed"
        return None if self.path() else f"{self.command[0]} is not installed"

    def path(self):
        return shutil.which(self.command[0], path=PATH)

    def prepare(self, bench):
        """What has to be there before it is started, besides files."""

    def serve(self, bench):
        """Starts it on a free port; returns the process and the port when it listens."""
        self.prepare(bench)
        for _ in range(ATTEMPTS):
            port = free_port()

            def filled(text):
                return text.replace("PORT", str(port)).replace("FOLDER", str(bench.folder))
            for name, text in self.files.items():
                (bench.folder / name).write_text(filled(text))
            words = [str(SCRIPTS / word) if (SCRIPTS / word).is_file() else filled(word) for word in self.command[1:]]
            program = bench.start([self.path(), *words], expect_stderr=".*", expect_status=None)
            wait_until(lambda: listens(program, port) or not program.running, f"{self.name} listens on port {port}")
            if program.running:
                return program, port
        raise AssertionError(f"{self.name} does not start:\n{program.report()}")

    def run(self, bench):
        """Starts the server, and runs banter to its end; returns what that left behind, and the server's process."""
        program, port = self.serve(bench)
        run = bench.run([BANTER, *self.connect(bench, port), *self.options], input=self.typed)
        return run, program

    def connect(self, bench, port):
        """What banter is given to find it."""
        return "--connect", f"127.0.0.1:{port}"

    def what_is_wrong(self, run):
        """A sentence, or None."""
        if run.status != self.status:
            return f"status {run.status}, not {self.status}"
        for name, text, pattern in (("standard output", run.stdout, self.prints),
                                    ("standard error", run.stderr, self.complains)):
            if not re.fullmatch(pattern, text.decode("utf-8", "replace"), re.S):
                return f"{name} is not {pattern!r}"
        return None

    def __str__(self):
        return f"{self.name}, with {shlex.join(('banter', *self.options))}"


class Secure(Server):
    """Through TLS: with files server.pem, and ca.crt."""

    def prepare(self, bench):
        Folder(bench.folder).sign("server")

    def connect(self, bench, port):
        return "--connect", f"tls:localhost:{port}", "--ca", bench.folder / "ca.crt"


class Sshd(Server):
    def why_not(self):
        return super().why_not() or (None if os.geteuid() == 0 else "only root can run sshd")

    def prepare(self, bench):
        """A key, and the folder that its service makes when it starts it."""
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", bench.folder / "key"], check=True,
                       timeout=LIMIT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def lines(*replies):
    return "".join(re.escape(reply) + "\n" for reply in replies)


HELLO = lines("Hello Zack", "Hello Python")
ECHO = lines("Zack", "Python")
PYTHON = os.path.realpath(sys.executable)
NO_QUIT = ("--quit-word", "")
CRLF = ("--framing", "crlf")
GREETED = ("--greeting", "1")

REDIS = ("redis-server", "--port", "PORT", "--bind", "127.0.0.1", "--save", "")
STUNNEL = {"stunnel.conf": """\
foreground = yes
pid =
debug = err
[cat]
accept = 127.0.0.1:PORT
cert = FOLDER/server.pem
exec = /bin/cat
execArgs = cat
"""}
SOCAT = ("socat", "TCP-LISTEN:PORT,bind=127.0.0.1,reuseaddr,fork")

SERVERS = [
    # Through TLS.
    Secure("socat OPENSSL-LISTEN", ("socat", "OPENSSL-LISTEN:PORT,bind=127.0.0.1,reuseaddr,fork,verify=0,"
                                    "cert=server.pem", "EXEC:cat"), NO_QUIT, ECHO),
    Secure("ncat --ssl --exec", ("ncat", "--ssl", "--ssl-cert", "server.pem", "--ssl-key", "server.pem", "-lk",
                                 "--exec", "/bin/cat", "127.0.0.1", "PORT"), NO_QUIT, ECHO),
    Secure("stunnel exec", ("stunnel4", "stunnel.conf"), NO_QUIT, ECHO, files=STUNNEL),
    Secure("openssl s_server -rev", ("openssl", "s_server", "-rev", "-accept", "127.0.0.1:PORT", "-cert", "server.pem"),
           ("--quit-word", "CLOSE"), lines("kcaZ", "nohtyP")),
    Secure("redis, through TLS", ("redis-server", "--port", "0", "--tls-port", "PORT", "--tls-auth-clients", "no", "--save", "",
                     "--bind", "127.0.0.1", "--tls-cert-file", "server.pem", "--tls-key-file", "server.pem",
                     "--tls-ca-cert-file", "ca.crt"), (*CRLF, "--quit-word", "QUIT"), lines("+OK", "+PONG"),
           typed="SET name Zack\nPING\n"),
    # They end a connection with the client's sending half.
    Server("Node's readline", ("node", "node_readline.js", "PORT"), NO_QUIT, HELLO),
    Server("Twisted's LineReceiver, LF", (PYTHON, "twisted_receivers.py", "PORT", "lf"), NO_QUIT, HELLO,
           module="twisted"),
    Server("Twisted's LineReceiver", (PYTHON, "twisted_receivers.py", "PORT", "crlf"), (*CRLF, *NO_QUIT), HELLO,
           module="twisted"),
    Server("Twisted's NetstringReceiver", (PYTHON, "twisted_receivers.py", "PORT", "netstring"),
           ("--framing", "netstring", *NO_QUIT), HELLO, module="twisted"),
    Server("ncat --exec", ("ncat", "-lk", "--exec", "/bin/cat", "127.0.0.1", "PORT"), NO_QUIT, ECHO),
    Server("mpd", ("mpd", "--no-daemon", "mpd.conf"), (*GREETED, "--quit-word", "close"), lines("OK", "OK"),
           typed="ping\nping\n", complains=".*OK MPD .*", files=MPD),
    # To them --QUIT-- is a request.
    Server("redis", REDIS, NO_QUIT,
           lines("+OK", "+PONG"), typed="SET name Zack\nPING\n"),
    Server("redis, its own word", REDIS,
           ("--quit-word", "QUIT"), lines("+OK", "+PONG"), typed="SET name Zack\nPING\n"),
    Server("redis, an error", REDIS, NO_QUIT,
           "-ERR unknown command .*" + lines("+PONG"), typed="NONE\nPING\n", status=1, complains=".*-ERR unknown.*"),
    Server("socat EXEC:cat", (*SOCAT, "EXEC:cat"), NO_QUIT, ECHO),
    Server("tcpserver cat", ("tcpserver", "-HRl0", "127.0.0.1", "PORT", "cat"), NO_QUIT, ECHO),
    Server("erlang", ("escript", "lines.escript", "PORT"), NO_QUIT, HELLO),
    Server("asyncio", (PYTHON, "asyncio_streams.py", "PORT"), NO_QUIT, HELLO),
    Server("Java", ("java", "Lines.java", "PORT"), NO_QUIT, HELLO),
    Server("Ruby", ("ruby", "lines.rb", "PORT"), NO_QUIT, HELLO),
    # They answer at the end of their input.
    Server("socat EXEC:sort", (*SOCAT, "EXEC:sort"), ("--half-close", *NO_QUIT), lines("Python", "Zack")),
    Server("socat EXEC:sort, without the option", (*SOCAT, "EXEC:sort"), ("--timeout", "7s", *NO_QUIT), "", status=75,
           complains=".*--half-close.*"),
    # To them CR LF ends a line, and nothing else.
    Server("Tcl, crlf", ("tclsh", "crlf_lines.tcl", "PORT"), (*CRLF, *NO_QUIT), HELLO),
    Server("beanstalkd", ("beanstalkd", "-l", "127.0.0.1", "-p", "PORT"), (*CRLF, "--quit-word", "quit"),
           lines("USING names", "WATCHING 2"), typed="use names\nwatch names\n"),
    # They speak first.
    Server("aiosmtpd", ("aiosmtpd", "-n", "-l", "127.0.0.1:PORT"), (*GREETED, *CRLF, "--quit-word", "QUIT"),
           lines("250 OK", "250 OK"), typed="NOOP\nNOOP\n", complains=".*220 .*"),
    Server("aiosmtpd, asked in netstrings", ("aiosmtpd", "-n", "-l", "127.0.0.1:PORT"),
           ("--framing", "netstring", *NO_QUIT), "", status=76, complains=".*220 localhost Python SMTP.*"),
    Server("Twisted's POP3", ("twistd3", "--nodaemon", "--pidfile=", "mail", "--no-smtp", "--pop3",
                              "tcp:PORT:interface=127.0.0.1"), (*GREETED, *CRLF, "--quit-word", "QUIT"),
           r"(\+OK [^\n]*\n){2}", typed="USER zack\nUSER zack\n", complains=r".*\+OK .*"),
    Server("nats-server", ("nats-server", "-a", "127.0.0.1", "-p", "PORT"), (*GREETED, *CRLF, *NO_QUIT),
           lines("+OK", "PONG"), typed="CONNECT {}\nPING\n", complains=".*INFO .*"),
    Server("ngircd", ("ngircd", "-n", "-f", "FOLDER/ngircd.conf"), ("--greeting", "2", *CRLF, "--quit-word", "QUIT"),
           "(:irc[.]example[.]org 451 [^\n]*\n){2}", typed="PING one\nPING two\n", complains=".*NOTICE .*NOTICE .*",
           files=NGIRCD),
    Sshd("sshd", ("sshd", "-D", "-e", "-f", "/dev/null", "-p", "PORT", "-h", "FOLDER/key", "-o",
                  "ListenAddress=127.0.0.1", "-o", "PidFile=none"), (*GREETED, *NO_QUIT), "", typed="",
         complains=".*SSH-2[.]0-OpenSSH.*"),
    # It ends a reply by closing the connection.
    Server("Python's socketserver", (PYTHON, "python_socketserver.py", "PORT"), NO_QUIT, ".*", typed="Zack\n",
           status=76, complains=".*ZACK.*"),
]
