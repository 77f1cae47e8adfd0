"""--socket-mode, --socket-group: who may connect to the Unix sockets."""
import grp
import os
import socket
import stat
import subprocess
import threading

import pytest

from harness import BANTERD

USAGE = 64
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has groups to give away, and other users")


def state(path):
    status = path.stat()
    return stat.S_IMODE(status.st_mode), status.st_gid


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
@pytest.mark.parametrize("mode", ["0", "600", "0660", "777"])
def test_the_mode_is_as_asked_whatever_the_umask(server, folder, umask, mask, mode):
    umask(mask)
    server("--socket-mode", mode, listen=f"unix:{folder}/socket")
    assert state(folder / "socket")[0] == int(mode, 8)


@needs_root
def test_the_group_leaves_the_mode_to_the_umask(server, folder, umask):
    umask(0o027)
    group = next(entry for entry in grp.getgrall() if entry.gr_gid != os.getegid())
    for form in (group.gr_name, str(group.gr_gid)):
        banterd = server("--socket-group", form, listen=f"unix:{folder}/socket")
        assert state(folder / "socket") == (0o750, group.gr_gid)
        assert banterd.stop() == 0


def test_all_unix_listeners_and_nothing_else(server, folder):
    banterd = server("--socket-mode", "640", "-l", f"unix:{folder}/other", "-l", "127.0.0.1:0",
                     listen=f"unix:{folder}/socket", ready=False)
    banterd.wait_ready(listeners=3)
    assert [state(folder / name)[0] for name in ("socket", "other")] == [0o640, 0o640]
    for address in banterd.addresses:
        assert banterd.connect(address).ask("x") == b"Hello X"


class Watch:
    """Looks at a path again and again, in a thread of its own, and keeps each state that it has seen."""

    def __init__(self, path):
        self.seen = set()
        self._path = path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self):
        while not self._over.is_set():
            try:
                self.seen.add(state(self._path))
            except FileNotFoundError:
                pass

    def end(self):
        self._over.set()
        self._thread.join()
        return self.seen


@needs_root
def test_never_wider_than_asked(server, folder, umask):
    umask(0)
    path = folder / "socket"
    group = grp.getgrnam("nogroup").gr_gid
    watch = Watch(path)
    for _ in range(10):
        banterd = server("--socket-mode", "660", "--socket-group", "nogroup", listen=f"unix:{path}")
        assert state(path) == (0o660, group)
        assert banterd.stop() == 0
    # It is made without any permission, given to the group, and opened to it.
    assert watch.end() <= {(0, os.getegid()), (0, group), (0o660, group)}


@needs_root
def test_another_user_never_gets_in(bench, server, folder, umask):
    """A user without any right connects in a loop while the server starts again and again."""
    umask(0)
    folder.chmod(0o755)
    path = folder / "socket"
    script = ("import os, select, socket, sys\n"
              "os.setgroups([]); os.setgid(12345); os.setuid(12345)\n"
              "print('trying', flush=True)\n"
              "while not select.select([0], [], [], 0)[0]:\n"
              "    with socket.socket(socket.AF_UNIX) as client:\n"
              "        if client.connect_ex(sys.argv[1]) == 0: print('connected', flush=True)\n")
    intruder = bench.start(["/usr/bin/python3", "-c", script, path], stdin=subprocess.PIPE)
    intruder.stdout.wait_line("trying")
    for _ in range(10):
        banterd = server("--socket-mode", "660", "--socket-group", "daemon", listen=f"unix:{path}")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        assert banterd.stop() == 0
    intruder.end_input()
    assert intruder.wait() == 0
    assert intruder.stdout.lines == ["trying"]


@pytest.mark.parametrize("mode", ["", "8", "1000", "07777", "00660", "rw", "-1", "0x1f", "660 "])
def test_a_mode_that_is_none(bench, mode):
    status, output, errors = bench.run([BANTERD, "--socket-mode", mode])
    assert (status, output) == (USAGE, b"")
    assert errors == (f'banterd: --socket-mode: "{mode}" is no mode; it can be 0 to 777 in octal, such as 660; '
                      f"see banterd --help\n").encode()


@pytest.mark.parametrize("group", ["", "no-such-group", "-1", "4294967295"])
def test_a_group_that_is_unknown(bench, group):
    status, output, errors = bench.run([BANTERD, "--socket-group", group])
    assert (status, output) == (USAGE, b"")
    assert errors == f'banterd: --socket-group: there is no group "{group}"; see banterd --help\n'.encode()


@needs_root
def test_a_group_that_may_not_be_given(bench, folder):
    folder.chmod(0o777)
    run = bench.run(["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", BANTERD,
                     "-l", f"unix:{folder}/socket", "--socket-group", "daemon"])
    assert run.status == 1
    assert run.stderr == f"Bind failed. Error : unix:{folder}/socket: Operation not permitted\n".encode()
    assert not (folder / "socket").exists()
