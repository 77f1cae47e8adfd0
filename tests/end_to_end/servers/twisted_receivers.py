"""Servers with Twisted's receivers:  twisted_receivers.py PORT lf|crlf|netstring

A reply takes 50 ms, as if it came from a database. When the client has ended its half, Twisted ends the connection.
"""
import sys

from twisted.internet import protocol, reactor
from twisted.protocols import basic


class Lines(basic.LineReceiver):
    """Its lines end in CR LF, as Twisted has it."""

    def lineReceived(self, line):
        reactor.callLater(0.05, self.sendLine, b"Hello " + line)


class UnixLines(Lines):
    delimiter = b"\n"


class Netstrings(basic.NetstringReceiver):
    def stringReceived(self, string):
        reactor.callLater(0.05, self.sendString, b"Hello " + string)


receivers = {"lf": UnixLines, "crlf": Lines, "netstring": Netstrings}
reactor.listenTCP(int(sys.argv[1]), protocol.ServerFactory.forProtocol(receivers[sys.argv[2]]), interface="127.0.0.1")
reactor.run()
