"""A client with Twisted's LineReceiver, whose lines end in CR LF unless told otherwise:  twisted_lines.py PORT NAME...

Sends each name when the reply to the one before has come, and prints the replies.
"""
import sys

from twisted.internet import protocol, reactor
from twisted.protocols import basic


class Greeted(basic.LineReceiver):
    def connectionMade(self):
        self.names = iter(sys.argv[2:])
        self.next_name()

    def next_name(self):
        name = next(self.names, None)
        if name is None:
            self.transport.loseConnection()
        else:
            self.sendLine(name.encode())

    def lineReceived(self, line):
        print(line.decode())
        self.next_name()

    def connectionLost(self, reason):
        reactor.stop()


factory = protocol.ClientFactory.forProtocol(Greeted)
factory.clientConnectionFailed = lambda connector, reason: reactor.stop()
reactor.connectTCP("127.0.0.1", int(sys.argv[1]), factory)
reactor.run()
