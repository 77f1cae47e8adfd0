"""reloads: a server whose certificate is exchanged again and again, under clients that notice nothing."""
import os
import signal
import threading

from harness import Talkers, wait_until
from secure import client_context, connect

SESSIONS, NEWCOMERS = 4, 2
BROKEN = 10  # each such file is no pair


class Exchanged:
    def __init__(self, bench, certificates):
        self.file = bench.folder / "own.pem"
        self._texts = {name: certificates.sign(name).read_text() for name in ("first", "second")}
        parts = [certificates.path(part).read_text() for part in ("first.crt", "second.key")]
        self._texts["broken"] = "".join(parts)
        self._put("first")
        self.context = client_context(certificates)
        self.server = bench.server("-q", "-H", "echo", "--cert", self.file, listen="tls:127.0.0.1:0")
        self._serials = {}
        self._stops = threading.Event()
        self.requests = self.handshakes = 0

    def _put(self, name):
        """At once, as whoever renews certificates does."""
        new = self.file.with_suffix(".new")
        new.write_text(self._texts[name])
        new.chmod(0o600)
        os.rename(new, self.file)

    def _serial(self):
        client = connect(self.server, self.context)
        number = client.socket.tls.getpeercert()["serialNumber"]
        client.close()
        return number

    def _stay(self, _):
        client = connect(self.server, self.context)
        number = 0
        while not self._stops.is_set():
            assert client.ask(f"{number}") == b"%d" % number
            number += 1
        self.requests += number

    def _come(self, _):
        while not self._stops.is_set():
            client = connect(self.server, self.context)
            assert client.ask("new") == b"new"
            client.close()
            self.handshakes += 1

    def exchange(self, rounds):
        """Returns how many were broken. Whoever shakes hands behind the log's line sees the new one."""
        self._serials["first"] = self._serial()
        talkers = [Talkers(self._stay, range(SESSIONS)), Talkers(self._come, range(NEWCOMERS))]
        now = "first"
        for count in range(1, rounds + 1):
            is_broken = count % BROKEN == 0
            name = "broken" if is_broken else "second" if now == "first" else "first"
            self._put(name)
            self.server.process.send_signal(signal.SIGHUP)
            line = self.server.log.wait_for("^Reload", count).string
            assert line.startswith("Reload failed, nothing has changed: " if is_broken else "Reloaded: "), line
            now = now if is_broken else name
            assert self._serial() == self._serials.setdefault(now, self._serial()), count
        assert len(set(self._serials.values())) == len(self._serials) == min(rounds + 1, 2)
        wait_until(lambda: self.handshakes > rounds // BROKEN, "others have come, too")
        self._stops.set()
        for some in talkers:
            some.join()
        assert not self.server.log.find("^TLS handshake")
        return rounds // BROKEN
