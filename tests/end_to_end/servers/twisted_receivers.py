"""Servers with Twisted's receivers:  twisted_receivers.py PORT lf|crlf|netstring

They end a connection as soon as the client has ended its half.
"""
import sys

from twisted.internet import protocol, reactor
from twisted.protocols import basic


class Lines(basic.LineReceiver):
    """Its lines end in CR LF, as Twisted has it."""

    def lineReceived(self, line):
        reactor.callLater(0, self.sendLine, b"Hello " + line)


class UnixLines(Lines):
    delimiter = b"\n"


class Netstrings(basic.NetstringReceiver):
    def stringReceived(self, string):
        reactor.callLater(0, self.sendString, b"Hello " + string)


receivers = {"lf": UnixLines, "crlf": Lines, "netstring": Netstrings}
reactor.listenTCP(int(sys.argv[1]), protocol.ServerFactory.forProtocol(receivers[sys.argv[2]]), interface="127.0.0.1")
reactor.run()
