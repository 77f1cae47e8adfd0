"""workers: what tests of `banterd -- PROGRAM` look at from outside: the running copies, as /proc tells of them."""
import contextlib
import fcntl
import os
import struct
import termios
from pathlib import Path
from typing import NamedTuple

import pytest

from harness import scaled, wait_until

PROGRAMS = Path(__file__).resolve().parent / "programs"
WORKER = PROGRAMS / "worker.sh"
JITTER = PROGRAMS / "jitter.py"
HOSTILE = PROGRAMS / "hostile.py"


class Process(NamedTuple):
    pid: int
    name: str
    state: str
    parent: int
    group: int


def process(pid):
    """What /proc says of a process, or None where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name = text[text.index("(") + 1:text.rindex(")")]
    state, parent, group = text[text.rindex(")") + 1:].split()[:3]
    return Process(pid, name, state, int(parent), int(group))


def processes():
    return [found for entry in os.listdir("/proc") if entry.isdigit() and (found := process(int(entry)))]


def children(server):
    """All children of a server, or of another program, zombies too."""
    return [one for one in processes() if one.parent == server.pid]


def is_on_its_way(one, server):
    """Whether a child is still the server's own image: it has not become the program yet. Or is gone."""
    try:
        return os.path.samefile(f"/proc/{one.pid}/exe", f"/proc/{server.pid}/exe")
    except (FileNotFoundError, ProcessLookupError):
        return True


def copies(server, count=None):
    """The numbers of the processes that run a program for the server; waits until there are `count`, and no zombie."""
    def right():
        found = children(server)
        settled = len(found) == count and not any(one.state == "Z" or is_on_its_way(one, server) for one in found)
        return settled and (found or True)
    if count is not None:
        wait_until(right, f"{count} copies of the program run, and no zombie is left")
    return sorted(one.pid for one in children(server))


def gone(pid):
    """Waits until a process has ended. A zombie whose parent is not the server is another's to collect."""
    wait_until(lambda: not (found := process(pid)) or found.state == "Z", f"process {pid} has ended")


def group_gone(group):
    """Waits until no process of a group runs any more."""
    wait_until(lambda: not [one for one in processes() if one.group == group and one.state != "Z"],
               f"process group {group} has ended")


def sessions_leave_nothing(banterd, leave, look=lambda clients: None):
    """Clients that have a worker each come and go, three times: neither copies nor descriptors stay. leave(number, client)
    ends one of them, look(clients) sees them before."""
    client = banterd.connect()
    assert client.ask("x") == b"x"
    client.close()
    copies(banterd, 0)
    descriptors = banterd.descriptors()
    for _ in range(3):
        clients = [banterd.connect() for _ in range(scaled(20, 8))]
        for number, client in enumerate(clients):
            client.send_message(f"mine {number}")
        assert [client.readline() for client in clients] == [b"mine %d" % number for number in range(len(clients))]
        look(clients)
        for number, client in enumerate(clients):
            leave(number, client)
        copies(banterd, 0)
    for client in clients:
        client.close()
    wait_until(lambda: banterd.descriptors() == descriptors, f"{descriptors} descriptors again")


def be_idle(server):
    """Returns when --idle-timeout has passed."""
    client = server.connect()
    assert client.at_eof()
    client.close()


def unread(pid):
    """How many bytes of its standard input, a pipe, a process has not read."""
    with open(f"/proc/{pid}/fd/0", "rb", buffering=0) as pipe:
        return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


def read_instead_of(pid):
    """Reads what a process has not read of its standard input, a pipe."""
    with open(f"/proc/{pid}/fd/0", "rb", buffering=0) as pipe:
        pipe.read(65536)


@contextlib.contextmanager
def frozen(pid):
    """A process in a control group that is frozen. The test is skipped where there can't be one."""
    group = next((Path(mount, f"banter-{pid}") for mount in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
                  if Path(mount, "cgroup.procs").exists() and os.access(mount, os.W_OK)), None)
    if not group:
        pytest.skip("no control group can be made")
    before = group.parent / proc(pid, "cgroup").decode().rsplit("0::/", 1)[1].strip() / "cgroup.procs"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(pid))
        (group / "cgroup.freeze").write_text("1")
        wait_until(lambda: "frozen 1" in (group / "cgroup.events").read_text(), "the group is frozen")
        yield
    finally:
        (group / "cgroup.freeze").write_text("0")
        with contextlib.suppress(ProcessLookupError):  # it has been ended
            before.write_text(str(pid))
        wait_until(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
        group.rmdir()


def proc(pid, name):
    return Path(f"/proc/{pid}/{name}").read_bytes()


def status(pid):
    """/proc/PID/status as a dictionary."""
    return dict(line.split(":\t", 1) for line in proc(pid, "status").decode().splitlines() if ":\t" in line)
