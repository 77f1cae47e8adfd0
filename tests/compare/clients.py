"""The clients that are compared: how each is called, in a pipe and at a terminal, and what it speaks.

Each is called as its manual shows it; options that it has for what a row is about are added for that row.
"""
import re
import shutil
import subprocess

import harness


class Client:
    def __init__(self, name, program, *target, version, protocol="line", pipe=(), line="{}", prompt=None,
                 errors=True, leave="\004", timing="", **options):
        self.name = name
        self.program = program
        self.target = target      # the arguments that come last; "{port}" in them is the server's
        self.version_command = version
        self.protocol = protocol
        self.pipe = pipe          # options in a pipe
        self.line = line          # how a request is typed
        self.prompt = prompt      # what the last line of the screen begins with when it is ready, where it has one
        self.errors = errors      # whether it can tell an error from another reply
        self.leave = leave        # what is typed to end it
        self.timing = timing      # what is typed so that it tells times
        self.options = options    # for a row: {"limit": ["--timeout", "1"]}

    def command(self, port, *features):
        added = [option for name in features for option in self.options.get(name, ())]
        return [*self.program, *added, *(word.replace("{port}", str(port)) for word in self.target)]

    def piped(self, port, *features):
        command = self.command(port, *features)
        return [*command[:1], *self.pipe, *command[1:]]

    def text(self, *requests):
        """Requests as they are typed or piped."""
        return "".join(self.line.format(request) + "\n" for request in requests)

    @property
    def is_there(self):
        return shutil.which(self.program[0]) is not None

    def version(self):
        """What it says about itself, shortened to name and number."""
        run = subprocess.run(self.version_command, capture_output=True, text=True, timeout=10, check=False)
        for line in (run.stdout + run.stderr).splitlines():
            found = re.search(r"\d+\.\d[\w.-]*", line)
            if found:
                return found[0]
        return "of unknown version"


def all_clients(banter=None):
    banter = str(banter or harness.BANTER)
    nc = "nc.openbsd" if shutil.which("nc.openbsd") else "nc"
    return [
        Client("banter", [banter], "-c", "127.0.0.1:{port}", version=[banter, "--version"], prompt="->", leave="quit\r",
               limit=["--timeout", "1"], time=["--time"], plain=["--quit-word", ""],
               mail=["--greeting", "1", "--framing", "crlf", "--quit-word", "QUIT"]),
        Client("redis-cli", ["redis-cli"], "-h", "127.0.0.1", "-p", "{port}", version=["redis-cli", "--version"],
               protocol="redis", prompt="127.0.0.1:", leave="quit\r", failures=["-e"]),
        Client("psql", ["psql"], "-h", "127.0.0.1", "-p", "{port}", "-U", "user", "-d", "base",
               version=["psql", "--version"], protocol="postgres", pipe=["-X", "-A", "-t"], line="{};", prompt="base=>",
               leave="\\q\r", timing="\\timing on\r", failures=["-v", "ON_ERROR_STOP=1"]),
        Client("socat", ["socat"], "STDIO", "TCP:127.0.0.1:{port}", version=["socat", "-V"], errors=False,
               limit=["-T", "1"], patience=["-t", "20"]),
        Client("ncat", ["ncat"], "127.0.0.1", "{port}", version=["ncat", "--version"], errors=False,
               limit=["--idle-timeout", "1s"], mail=["-C"], patience=["--no-shutdown"]),
        Client("nc", [nc, "-N"], "127.0.0.1", "{port}", version=[nc, "-h"], errors=False, limit=["-w", "1"],
               mail=["-C"]),
        Client("telnet", ["telnet"], "127.0.0.1", "{port}", version=["telnet", "--version"], errors=False,
               prompt="Escape character", leave="\035quit\r"),
        Client("rlwrap nc", ["rlwrap", nc, "-N"], "127.0.0.1", "{port}", version=["rlwrap", "--version"], errors=False,
               limit=["-w", "1"], mail=["-C"]),
    ]
