"""A receiver that takes everything and keeps it."""

import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from process import Failed

TAKE_TIMEOUT_S = 30


def start():
    """Starts it on loopback. Answers the server, and a queue of (path, headers, body)."""
    received = queue.Queue()

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            received.put((self.path, dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, received


def take(received):
    """The next request that came, or comes soon."""
    try:
        return received.get(timeout=TAKE_TIMEOUT_S)
    except queue.Empty:
        raise Failed(f"no delivery came within TAKE_TIMEOUT_S, {TAKE_TIMEOUT_S} s") from None
