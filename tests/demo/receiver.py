"""A receiver of webhooks, as somebody who consumes them would write it: verify with the published library, then answer.

    SECRETS='{"/acme/slack": "whsec_..."}' FAIL_FIRST='{"/acme/ci": 2}' python receiver.py

One line of JSON on stdout tells where it listens; then one line for each request says what came and what was answered.
FAIL_FIRST makes a path answer 503 to that many first attempts of every delivery, so that retries can be watched.
"""

import hashlib
import json
import os
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

BODY_BYTES_MAX = 4 * 1024 * 1024
BODY_CHARS_SHOWN = 60
IDLE_CONNECTION_TIMEOUT_S = 60

VERIFIERS = {path: Webhook(secret) for path, secret in json.loads(os.environ["SECRETS"]).items()}
FAIL_FIRST = json.loads(os.environ.get("FAIL_FIRST", "{}"))

seen = Counter()  # (path, webhook-id) -> requests so far
lock = threading.Lock()  # for `seen`, and so that the lines on stdout stay whole


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_CONNECTION_TIMEOUT_S
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body of the answer leave together

    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if length > BODY_BYTES_MAX:
            self.close_connection = True
            return self.answer(413, f"the body is larger than BODY_BYTES_MAX, {BODY_BYTES_MAX}")
        body = self.rfile.read(length)
        webhook_id = self.headers.get("webhook-id", "")
        error = self.verify(body)
        with lock:
            seen[self.path, webhook_id] += 1
            ordinal = seen[self.path, webhook_id]
        if error:
            status, text = 401, error
        elif ordinal <= FAIL_FIRST.get(self.path, 0):
            status, text = 503, "busy, come again"
        else:
            status, text = 200, "thank you"
        report(
            path=self.path,
            id=webhook_id,
            ordinal=ordinal,
            verified=not error,
            error=error,
            status=status,
            sha256=hashlib.sha256(body).hexdigest(),
            body=body[:BODY_CHARS_SHOWN].decode(errors="replace"),
        )
        self.answer(status, text)

    def verify(self, body):
        """Why the request is not to be trusted; None if it is."""
        if self.path not in VERIFIERS:
            return f"there is no endpoint at {self.path}"
        try:
            VERIFIERS[self.path].verify(body, dict(self.headers), json_parse=False)
        except (WebhookVerificationError, ValueError) as error:
            return f"{type(error).__name__}: {error}"

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass  # `report` says it better


def report(**facts):
    with lock:
        print(json.dumps(facts), flush=True)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # a client that hangs up is no news
            super().handle_error(request, client_address)


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Receiver)
    report(ready=f"http://127.0.0.1:{server.server_port}")
    server.serve_forever()
