"""haproxy: HAProxy as the tests start it, and what it says of itself."""
import csv
import socket

from harness import LIMIT

HAPROXY = "/usr/sbin/haproxy"

# In the configuration: the socket that row_of() asks.
STATS = """\
global
    stats socket {folder}/stats
"""

# And how it passes streams on.
STREAMS = """\
defaults
    mode tcp
    timeout connect 20s
    timeout client 60s
    timeout server 60s
"""


def row_of(folder, server):
    """What HAProxy's statistics have in the row of this server, such as ["status"] and ["check_status"]; an empty
    dictionary before it runs."""
    with socket.socket(socket.AF_UNIX) as stats:
        stats.settimeout(LIMIT)
        if stats.connect_ex(str(folder / "stats")):
            return {}
        stats.sendall(b"show stat\n")
        text = b"".join(iter(lambda: stats.recv(65536), b"")).decode()
    return next(row for row in csv.DictReader(text.splitlines()) if row["svname"] == server)
