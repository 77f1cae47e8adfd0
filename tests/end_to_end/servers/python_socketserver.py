"""A server as people begin them with socketserver:  python_socketserver.py PORT

One read is one request; the reply has no newline, and behind it the connection is closed.
"""
import socketserver
import sys


class Upper(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(self.request.recv(1024).strip().upper())


socketserver.TCPServer.allow_reuse_address = True
with socketserver.TCPServer(("127.0.0.1", int(sys.argv[1])), Upper) as server:
    server.serve_forever()
