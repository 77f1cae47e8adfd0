"""--cert of both programs: a process that has a key leaves no core dump, and no other process of its user may look into
its memory."""
import os
import resource
import shutil
import signal
import subprocess

import pytest

import harness
from harness import BANTER, BANTERD

NOBODY = 65534

pytestmark = pytest.mark.no_sanitizer


def allow_cores():
    """In the child: as far as the machine lets it."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


@pytest.fixture
def dies(folder):
    """dies(command, is_ready) starts one with pipes, waits for a line of its output, and kills it by SIGSEGV. Returns
    whether there was a core dump."""
    def run(command):
        with subprocess.Popen([*harness.DIES_WITH_US, *map(str, command)], cwd=folder, preexec_fn=allow_cores,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            process.stdin.write(b"Zack\n")
            process.stdin.flush()
            while b"Hello" not in (line := process.stdout.readline()) and b"listening" not in line:
                assert line
            process.send_signal(signal.SIGSEGV)
            ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert ended.si_status == signal.SIGSEGV
        return ended.si_code == os.CLD_DUMPED
    return run


def needs_dumps(is_dumped):
    if not is_dumped:
        pytest.skip("this machine dumps no core at all")


def test_the_server(dies, certificates):
    needs_dumps(dies([BANTERD, "-l", "127.0.0.1:0"]))
    assert not dies([BANTERD, "-l", "tls:127.0.0.1:0", "--cert", certificates.path("server.pem")])


def test_the_client(dies, certificates, server):
    certificates.sign("alice", "/O=Banter/CN=alice")
    banterd = server("--cert", certificates.path("server.pem"), "--client-ca", certificates.path("ca.crt"), "-l",
                     "127.0.0.1:0", listen="tls:127.0.0.1:0", ready=False)
    banterd.wait_ready(2)
    secure, plain = banterd.addresses
    needs_dumps(dies([BANTER, "-c", plain]))
    assert not dies([BANTER, "-c", secure.replace("127.0.0.1", "localhost"), "--ca", certificates.path("ca.crt"),
                     "--cert", certificates.path("alice.pem")])


@pytest.mark.skipif(not shutil.which("setpriv"), reason="setpriv is not installed")
@pytest.mark.parametrize("has_key", [False, True])
def test_others_of_the_same_user(bench, certificates, has_key):
    """As an ordinary user: root may look into everything."""
    become = [] if os.geteuid() else ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    if subprocess.run([*become, BANTERD, "--version"], capture_output=True).returncode != 0:
        pytest.skip("nobody may run what was built")
    options = ["-l", "127.0.0.1:0"]
    if has_key:
        bench.folder.chmod(0o711)
        file = bench.folder / "own.pem"
        shutil.copy(certificates.path("server.pem"), file)
        if become:
            os.chown(file, NOBODY, NOBODY)
        options = ["-l", "tls:127.0.0.1:0", "--cert", file]
    banterd = bench.start([*become, BANTERD, *options], kind=harness.Server)
    read = subprocess.run([*become, "cat", f"/proc/{banterd.pid}/environ"], capture_output=True, timeout=harness.LIMIT)
    assert (read.returncode == 0) == (not has_key)
