"""A server that ignores every polite signal, with a child that serves on the same socket: it would go on serving
yesterday's code."""

import os
import signal
from http.server import BaseHTTPRequestHandler, HTTPServer

VERSION = 1


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"version {VERSION} pid {os.getpid()}".encode())

    def log_message(self, *_):
        pass


for deaf in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(deaf, signal.SIG_IGN)
server = HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer)
os.fork()
server.serve_forever()
