"""Whether other people's libraries believe what a real host sends: each request as it came, and none that was changed.

    target/venv/bin/python tests/demo/verifiers.py

Endpoints sign with secrets (v1), with private keys (v1a), with both, and with secrets that were rotated. PyPI's and npm's `standardwebhooks` and
PyPI's `svix` verify v1; v1a is verified by PyPI's `cryptography`, with the public key that the endpoint shows. Two of the endpoints want
CloudEvents, which PyPI's and npm's `cloudevents` read; and both send some to a source.
"""

import base64
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

import capture
import cloudevent
import host
import standardwebhooks
import svix.webhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from process import Failed

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target")).resolve()

BODIES = ["{}", '{"a": 1}', ' {"spaced" : [1.0, 1e3]}\n', '{"text": "gr\u00fcn \U0001f600 \\u0000"}', '"' + "x" * 100_000 + '"', "not JSON", ""]
REQUEST_TIMEOUT_S = 30
NODE_TIMEOUT_S = 60


def main():
    with tempfile.TemporaryDirectory(prefix="verifiers-", dir=TARGET) as directory:
        server, received = capture.start()
        process, ingest, admin = host.start(
            TARGET / "release/hookswitch", HERE / "host.toml", f"{directory}/data", f"{directory}/host.log"
        )
        try:
            endpoints = make_endpoints(admin, f"http://127.0.0.1:{server.server_port}")
            for body in BODIES:
                headers = {"x-event-type": cloudevent.TYPE, "content-type": cloudevent.content_type(body)}
                request = urllib.request.Request(f"{ingest}/in/acme/in", body.encode(), headers)
                urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S).close()
            requests = [capture.take(received) for _ in range(len(BODIES) * len(endpoints))]
            sent = senders(ingest, admin)
        finally:
            process.stop()
            server.shutdown()
    return conclude(endpoints, requests, sent)


def make_endpoints(admin, url):
    """Makes six endpoints. Answers {path: (secrets, public keys) that verify what comes there}."""
    admin.send("PUT", "tenants/acme", {})
    admin.send("PUT", "tenants/acme/sources/in", {"verify": {"scheme": "none"}})

    def make(name, **fields):
        return admin.send("PUT", f"tenants/acme/endpoints/{name}", {"url": f"{url}/{name}", **fields})

    def rotate(name, **fields):
        return admin.send("POST", f"tenants/acme/endpoints/{name}/rotate-secret", {"grace_s": 3600, **fields})

    v1 = make("v1")
    v1a = make("v1a", secret_scheme="v1a")
    older, beside = make("both"), rotate("both", scheme="v1a")
    first, second = make("rotated"), rotate("rotated")
    binary, structured = (make(mode, cloudevents={"mode": mode}) for mode in ["binary", "structured"])
    verifiers = {
        "/v1": ([v1["secrets"][0]], []),
        "/v1a": ([], v1a["public_keys"]),
        "/both": ([older["secrets"][0]], beside["public_keys"]),
        "/rotated": ([first["secrets"][0], second["secrets"][0]], []),
        "/binary": ([binary["secrets"][0]], []),
        "/structured": ([structured["secrets"][0]], []),
    }
    route = {"source": "in", "to": {"endpoints": [path[1:] for path in verifiers]}}
    admin.send("PUT", "tenants/acme/routes/all", route)
    return verifiers


def senders(ingest, admin):
    """Has the published SDKs send CloudEvents to the host. Answers ({library: how many came in as they were meant}, what did not, in words)."""
    admin.send("PUT", "tenants/acme/sources/cloudevents", {"verify": {"scheme": "none"}, "cloudevents": {}})
    asked = [{"make": mode, "fields": cloudevent.fields("npm", mode)} for mode in ["binary", "structured"]]
    made = {"cloudevents": cloudevent.made(), "npm_cloudevents": node("cloudevents.mjs", asked)}
    taken, wrong = collections.Counter(), []
    for library, all_made in made.items():
        for mode, (headers, body) in zip(["binary", "structured"], [(it["headers"], it["body"]) for it in all_made], strict=True):
            # Each comes twice, and is one event.
            answers = [send(f"{ingest}/in/acme/cloudevents", headers, body) for _ in range(2)]
            stored = admin.get(f"tenants/acme/events/{answers[0]['id']}")
            verdict = cloudevent.wrong_when_stored(stored, library.removesuffix("_cloudevents"), mode)
            if not answers[1].get("duplicate"):
                verdict = "it is no duplicate when it comes again"
            taken[library] += verdict is None
            wrong += [f"{library}: {mode} to the host: {verdict}"] if verdict else []
    return taken, wrong


def send(url, headers, body):
    request = urllib.request.Request(url, body.encode() if isinstance(body, str) else body, headers)
    with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as response:
        return json.load(response)


def conclude(endpoints, requests, sent):
    """Lets every verifier look at every request, and at the same with a changed body, id and time. Answers the exit status."""
    taken, wrong = sent
    verified, refused, for_node = collections.Counter(), 0, []
    for path, headers, body in requests:
        secrets, public_keys = endpoints[path]
        for case, (changed, its_headers, its_body) in enumerate(cases(headers, body)):
            verdicts = {}
            for secret in secrets:
                text = its_body.decode()
                verdicts["standardwebhooks", secret] = believes(standardwebhooks.Webhook(secret), text, its_headers)
                verdicts["svix", secret] = believes(svix.webhooks.Webhook(secret), text, its_headers)
                for_node.append((path, changed, {"secret": secret, "headers": its_headers, "body": text}))
            for key in public_keys:
                verdicts["cryptography", key] = believes_v1a(key, its_headers, its_body)
            for (library, _), verdict in verdicts.items():
                verified[library] += verdict and not changed
                refused += changed and not verdict
                if verdict == changed:
                    wrong.append(f"{library}: {path} case {case}, {its_body[:40]!r}")
    for (path, changed, asked), verdict in zip(for_node, node("verify.mjs", [asked for *_, asked in for_node]), strict=True):
        verified["npm"] += verdict and not changed
        refused += changed and not verdict
        if verdict == changed:
            wrong.append(f"npm standardwebhooks: {path}, {asked['body'][:40]!r}")
    events = [(path, lower(headers), body) for path, headers, body in requests if path in ["/binary", "/structured"]]
    # npm's SDK takes JSON that begins with a space for a string without its quotes.
    asked = [{"headers": headers, "body": body.decode().strip()} for _, headers, body in events]
    for (path, headers, body), read in zip(events, node("cloudevents.mjs", asked), strict=True):
        is_refused = cloudevent.is_refused(headers, body)
        refused += is_refused
        wrong += [] if is_refused else [f"cloudevents: {path}: it is read without a type"]
        verdicts = {"cloudevents": cloudevent.wrong(headers, body, BODIES), "npm_cloudevents": cloudevent.wrong_by_npm(read, headers, BODIES)}
        for library, verdict in verdicts.items():
            verified[library] += verdict is None
            wrong += [f"{library}: {path}: {verdict}"] if verdict else []
    for line in wrong:
        print(f"does not verify as it should: {line}")
    print(
        f"verifiers: requests={len(requests)} standardwebhooks={verified['standardwebhooks']} npm={verified['npm']} "
        f"svix={verified['svix']} v1a={verified['cryptography']} cloudevents={verified['cloudevents']} "
        f"npm_cloudevents={verified['npm_cloudevents']} sent={taken['cloudevents']} npm_sent={taken['npm_cloudevents']} changed_and_refused={refused} wrong={len(wrong)}"
    )
    return 1 if wrong or min([*verified.values(), *taken.values()]) == 0 else 0


def cases(headers, body):
    """The request as it came, and changed in one place each: (whether it is changed, headers, body)."""
    headers = lower(headers)
    yield False, headers, body
    yield True, headers, body + b" "
    yield True, {**headers, "webhook-id": headers["webhook-id"] + "0"}, body
    yield True, {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}, body


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


def believes(webhook, text, headers):
    arguments = {"json_parse": False} if isinstance(webhook, standardwebhooks.Webhook) else {}
    try:
        webhook.verify(text, headers, **arguments)
        return True
    except standardwebhooks.WebhookVerificationError:
        return False


def believes_v1a(public_key, headers, body):
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    message = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    for signature in headers["webhook-signature"].split(" "):
        version, encoded = signature.split(",")
        if version == "v1a":
            try:
                key.verify(base64.b64decode(encoded), message)
                return True
            except InvalidSignature:
                pass
    return False


def node(script, asked):
    lines = "".join(json.dumps(one) + "\n" for one in asked)
    command = ["node", HERE / script]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=NODE_TIMEOUT_S, encoding="utf-8")
    if done.returncode:
        raise Failed(f"{script} ended with status {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        print(f"verifiers: {failure}", file=sys.stderr)
        sys.exit(1)
