"""Reading files anew, by SIGHUP: --allow @FILE, --deny @FILE. All of them, or none."""
import re
import signal

import pytest

from harness import Talkers, is_error, scaled
from manager import Manager

STRANGER, US = "192.0.2.1\n", "127.0.0.1\n"


@pytest.fixture
def files(folder):
    """files(deny=..., allow=...) writes these files."""
    def write(**texts):
        for name, text in texts.items():
            (folder / name).write_text(text)
    write(allow=US, deny=STRANGER)
    return write


@pytest.fixture
def listed(server, folder, files):
    """listed(*options, ...): a server with these two files."""
    return lambda *options, **how: server("--allow", f"@{folder}/allow", "--deny", f"@{folder}/deny", *options, **how)


def reload(banterd, pattern):
    """Asks for it, and waits for the line that says what came of it; each is written, however many there are."""
    count = len(banterd.log.find("^Reload"))
    banterd.process.send_signal(signal.SIGHUP)
    line = banterd.log.wait_for("^Reload", count + 1)
    assert re.fullmatch(pattern, line.string), line.string


def is_served(banterd):
    client = banterd.connect()
    client.send("a\n")
    reply = client.readline()
    assert reply == b"Hello A" or is_error(reply, "denied"), reply
    client.close()
    return reply == b"Hello A"


def test_files_are_read_anew(listed, files, folder):
    banterd = listed()
    stays = banterd.connect()
    assert stays.ask("a") == b"Hello A"
    done = f"Reloaded: {folder}/allow {folder}/deny"
    for deny, served in ((US, False), (STRANGER, True), (US, False)):
        files(deny=deny)
        reload(banterd, done)
        assert is_served(banterd) == served
    files(allow=STRANGER, deny=STRANGER)
    reload(banterd, done)
    assert not is_served(banterd)
    assert stays.ask("b") == b"Hello B"


@pytest.mark.parametrize("broken", ["allow", "deny"])
@pytest.mark.parametrize("text, why", [("10.0.0.1/8\n", ".+"), (None, "No such file or directory")])
def test_if_one_cannot_be_used_none_changes(listed, files, folder, broken, text, why):
    banterd = listed()
    files(allow=STRANGER, deny=US)  # either of them would keep us out
    (folder / broken).unlink() if text is None else (folder / broken).write_text(text)
    reload(banterd, f"Reload failed, nothing has changed: {folder}/{broken}: {why}")
    assert is_served(banterd)
    files(allow=US, deny=US)
    reload(banterd, "Reloaded: .*")
    assert not is_served(banterd)


def test_names_with_control_characters_stay_on_one_line(server, folder):
    name = folder / "a\nb"
    name.write_text(STRANGER)
    banterd = server("--deny", f"@{name}")
    reload(banterd, rf"Reloaded: {folder}/a\\nb")
    name.unlink()
    reload(banterd, rf"Reload failed, nothing has changed: {folder}/a\\nb: .*")


def test_the_manager_is_told_of_both(listed, files, folder):
    manager = Manager(folder / "manager")
    banterd = listed(env={"NOTIFY_SOCKET": manager.address})
    manager.wait_for("READY=1")  # a start that is not over is what matters to a manager
    files(deny="x y\n")
    reload(banterd, "Reload failed, .*")
    manager.wait_for("RELOADING=1")
    assert re.fullmatch(r"STATUS=Clients: 0, requests so far: 0; reload failed: .*/deny: .*",
                        manager.wait_for("STATUS=.*failed.*")[0])
    assert manager.seen[-2] == "READY=1"
    files(deny=STRANGER)
    reload(banterd, "Reloaded: .*")
    manager.wait_for("RELOADING=1")
    manager.wait_for("STATUS=Clients: 0, requests so far: 0")
    assert manager.course() == ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1"]
    manager.socket.close()


def test_many_reloads_under_load(listed, files):
    banterd = listed("-qq")
    over = []

    def come(_):
        while not over:
            assert is_served(banterd)

    def stay(_):
        client = banterd.connect()
        while not over:
            assert client.ask("x") == b"Hello X"

    talkers = [Talkers(come, range(2)), Talkers(stay, range(2))]
    try:
        for number in range(scaled(60, 15)):
            files(deny=STRANGER if number % 5 else "x y\n")
            reload(banterd, "Reloaded: .*" if number % 5 else "Reload failed, .*")
    finally:
        over.append(True)
    for each in talkers:
        each.join()
