#!/usr/bin/env python3
"""A receiver to play with: prints every request that it gets, and answers 200.

    python3 tests/demo/print_requests.py 9000
"""

import http.server
import sys


class Printer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        print(f"{self.command} {self.path}\n{self.headers}{body.decode('utf-8', 'replace')}\n", flush=True)
        self.send_response(200)
        self.end_headers()

    do_PUT = do_PATCH = do_POST

    def log_message(self, *_):
        """The requests themselves are what is printed."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Printer).serve_forever()
