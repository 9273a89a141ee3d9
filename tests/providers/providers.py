"""Whether a real host believes what the providers' own libraries sign, and their libraries what it sends: each as it is, and changed.

    target/providers/bin/python tests/providers/providers.py

Each preset is a source of a host. Its provider's library signs requests that have to come in, also with the second of two secrets, and also when
that comes twice (a duplicate); and requests that must not: with a changed body, with a changed or missing signature, by a secret that was taken
out, and, where a time is signed, from too long ago and with another time. GitLab, bearer, basic and API keys have nothing to sign with: what
is sent there is the secret itself.
"""

import base64
import collections
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "demo"))

import capture  # noqa: E402
import host  # noqa: E402
import nacl.signing  # noqa: E402
import requests.auth  # noqa: E402
import slack_sdk.signature  # noqa: E402
import standardwebhooks  # noqa: E402
import stripe  # noqa: E402
import svix.webhooks  # noqa: E402
import twilio.request_validator  # noqa: E402
from process import Failed  # noqa: E402

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target")).resolve()
REQUEST_TIMEOUT_S = 30
STALE_S = 600  # the host takes 300
TWILIO_URL = "https://hooks.example.com/in/acme/twilio"

NOT_SIGNING = ["gitlab", "basic", "bearer", "api-key"]

Case = collections.namedtuple("Case", "name headers query body wanted")


class Node:
    """The signers that are npm's, behind one process."""

    def __init__(self):
        command = ["node", HERE / "sign.mjs"]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")

    def ask(self, **asked):
        print(json.dumps(asked), file=self.child.stdin, flush=True)
        line = self.child.stdout.readline()
        if not line:
            raise Failed(f"sign.mjs ended; it was asked {asked}")
        return json.loads(line)

    def stop(self):
        self.child.stdin.close()
        self.child.wait()


class Preset:
    """A kind of source: how it is set up, and how its sender signs. `sign` answers (headers, query) for a secret, a body and a time."""

    def __init__(self, name, library, secrets, sign, verify=None, timed=True, content_type="application/json", id_header=None):
        self.name, self.library, self.secrets, self.sign = name, library, secrets, sign
        self.verify = verify or (lambda secrets: {"scheme": name, "secrets": secrets})
        self.timed, self.content_type, self.id_header = timed, content_type, id_header
        self.scheme = self.verify([])["scheme"]

    def body(self, number):
        """A body of which there is one."""
        if self.content_type != "application/json":
            return urllib.parse.urlencode({"MessageSid": f"SM{number}", "Body": "grün & blau", "From": "+14158675309"})
        return json.dumps({"id": f"evt_{number}", "event_id": f"Ev{number}", "type": "thing.made", "text": "grün \U0001f600"}, ensure_ascii=False)

    def cases(self, now_s):
        """Requests of which some have to come in, and some must not."""
        first, second = self.secrets
        ids = {self.id_header: f"{self.name}-1"} if self.id_header else {}
        body = self.body(1)
        headers, query = self.sign(first, body, now_s)
        yield Case("right", {**headers, **ids}, query, body, "new")
        yield Case("replayed", {**headers, **ids}, query, body, "duplicate")
        if self.scheme not in NOT_SIGNING:
            yield Case("changed body", headers, query, body.replace("1", "2", 1), "refused")
        for name, value in changed_signatures(headers, query):
            yield Case(name, *value, body, "refused")
        body = self.body(3)
        headers, query = self.sign(second, body, now_s)
        ids = {self.id_header: f"{self.name}-3"} if self.id_header else {}
        yield Case("second secret", {**headers, **ids}, query, body, "new")
        if self.timed:
            headers, query = self.sign(first, body, now_s - STALE_S)
            yield Case("stale", headers, query, body, "refused")
            headers, query = self.sign(first, body, now_s + STALE_S)
            yield Case("from the future", headers, query, body, "refused")

    def case_of_old_secret(self, now_s):
        body = self.body(4)
        return Case("secret taken out", *self.sign(self.secrets[0], body, now_s), body, "refused")


def changed_signatures(headers, query):
    """With another last character that counts, and without the proof."""
    name = next((name for name in headers if is_proof(name)), None)
    if name:
        value = headers[name]
        at = len(value.rstrip("=")) - 2
        other = value[:at] + ("0" if value[at] != "0" else "1") + value[at + 1 :]
        yield "changed signature", ({**headers, name: other}, query)
        yield "no signature", ({key: value for key, value in headers.items() if key != name}, query)
    else:
        yield "changed signature", (headers, query + "0")
        yield "no signature", (headers, "")


def is_proof(name):
    return any(word in name.lower() for word in ["signature", "hmac", "token", "authorization", "x-key"])


def presets(node):
    seeds = [nacl.signing.SigningKey(bytes([n] * 32)) for n in [7, 8]]
    whsec = ["whsec_" + base64.b64encode(bytes([n] * 24)).decode() for n in [1, 2]]

    def slack(secret, body, at_s):
        signature = slack_sdk.signature.SignatureVerifier(secret).generate_signature(timestamp=str(at_s), body=body)
        return {"X-Slack-Signature": signature, "X-Slack-Request-Timestamp": str(at_s)}, ""

    def with_stripe(secret, body, at_s):
        signature = stripe.WebhookSignature._compute_signature(f"{at_s}.{body}", secret)
        return {"Stripe-Signature": f"t={at_s},v1={signature}"}, ""

    def with_twilio(token, body, _):
        fields = dict(urllib.parse.parse_qsl(body))
        signature = twilio.request_validator.RequestValidator(token).compute_signature(f"{TWILIO_URL}?a=1&b=%20", fields)
        return {"X-Twilio-Signature": signature}, "a=1&b=%20"

    def with_twilio_json(token, body, _):
        validator = twilio.request_validator.RequestValidator(token)
        query = f"bodySHA256={validator.compute_hash(body)}"
        return {"X-Twilio-Signature": validator.compute_signature(f"{TWILIO_URL}?{query}", {})}, query

    def standard(library, prefix):
        def sign(secret, body, at_s):
            identifier = f"msg_{sha256(body)[:16]}"
            at = datetime.datetime.fromtimestamp(at_s, datetime.timezone.utc)
            signature = library(secret).sign(identifier, at, body)
            return {f"{prefix}-id": identifier, f"{prefix}-timestamp": str(at_s), f"{prefix}-signature": signature}, ""

        return sign

    def ed25519(seed, body, at_s):
        signature = seed.sign(f"{at_s}{body}".encode()).signature.hex()
        return {"X-Signature-Ed25519": signature, "X-Signature-Timestamp": str(at_s)}, ""

    def zoom_signs(secret, body, at_s):
        # What Zoom describes is what Slack does, in other headers; its documentation has no library.
        signature = slack_sdk.signature.SignatureVerifier(secret).generate_signature(timestamp=str(at_s), body=body)
        return {"X-Zm-Signature": signature, "X-Zm-Request-Timestamp": str(at_s)}, ""

    zoom = {"header": "x-zm-signature", "algorithm": "sha256", "encoding": "hex", "prefix": "v0=", "signed": "v0:{timestamp}:{body}",
            "timestamp_header": "x-zm-request-timestamp"}  # fmt: skip
    discord = {"header": "x-signature-ed25519", "encoding": "hex", "signed": "{timestamp}{body}", "timestamp_header": "x-signature-timestamp"}
    two = ["hush-1", "hush-2"]

    def public(keys):
        return [key.verify_key.encode().hex() for key in keys]

    form = "application/x-www-form-urlencoded"

    def with_url(secrets):
        return {"scheme": "twilio", "secrets": secrets, "url": TWILIO_URL}

    return [
        Preset("github", "npm @octokit/webhooks-methods", two, untimed(node, "github", "X-Hub-Signature-256"), timed=False,
               id_header="X-GitHub-Delivery"),
        Preset("shopify", "npm @shopify/shopify-api", two, untimed(node, "shopify", "X-Shopify-Hmac-Sha256"), timed=False,
               id_header="X-Shopify-Webhook-Id"),
        Preset("slack", "PyPI slack_sdk", two, slack),
        Preset("stripe", "PyPI stripe", ["whsec_1", "whsec_2"], with_stripe),
        Preset("twilio", "PyPI twilio (form)", two, with_twilio, with_url, timed=False, content_type=form,
               id_header="I-Twilio-Idempotency-Token"),
        Preset("twilio-json", "PyPI twilio (JSON)", two, with_twilio_json, with_url, timed=False, id_header="I-Twilio-Idempotency-Token"),
        Preset("standard-webhooks", "PyPI standardwebhooks", whsec, standard(standardwebhooks.Webhook, "webhook")),
        Preset("svix", "PyPI svix", whsec, standard(svix.webhooks.Webhook, "svix")),
        Preset("hmac", "PyPI slack_sdk (as Zoom)", two, zoom_signs, lambda secrets: {"scheme": "hmac", "secrets": secrets, **zoom},
               id_header="Idempotency-Key"),
        Preset("ed25519", "PyPI PyNaCl (as Discord)", seeds, ed25519,
               lambda keys: {"scheme": "ed25519", "public_keys": public(keys), **discord}, id_header="Idempotency-Key"),
        # Meta signs as GitHub does, and publishes no library; nor does Discord publish one that signs.
        Preset("meta", "npm @octokit/webhooks-methods", two, untimed(node, "github", "X-Hub-Signature-256"),
               lambda secrets: {"scheme": "meta", "secrets": secrets, "verify_token": "t"}, timed=False),
        Preset("discord", "PyPI PyNaCl", seeds, ed25519, lambda keys: {"scheme": "discord", "public_keys": public(keys)}),
        Preset("zoom", "PyPI slack_sdk", two, zoom_signs),
        Preset("gitlab", "none: a token", two, lambda secret, *_: ({"X-Gitlab-Token": secret}, ""), timed=False, id_header="Idempotency-Key"),
        Preset("basic", "PyPI requests", two,
               lambda secret, *_: ({"Authorization": requests.auth._basic_auth_str("user", secret)}, ""),
               lambda secrets: {"scheme": "basic", "username": "user", "secrets": secrets}, timed=False, id_header="Idempotency-Key"),
        Preset("bearer", "none: a token", two, lambda secret, *_: ({"Authorization": f"Bearer {secret}"}, ""), timed=False,
               id_header="Idempotency-Key"),
        Preset("api-key", "none: a key", two, lambda secret, *_: ({}, f"key={secret}"),
               lambda secrets: {"scheme": "api-key", "query": "key", "secrets": secrets}, timed=False, id_header="Idempotency-Key"),
    ]  # fmt: skip


def untimed(node, scheme, header):
    return lambda secret, body, _: ({header: node.ask(scheme=scheme, secret=secret, body=body)}, "")


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def main():
    node = Node()
    with tempfile.TemporaryDirectory(prefix="providers-", dir=TARGET) as directory:
        server, received = capture.start()
        process, ingest, admin = host.start(
            TARGET / "release/hookswitch", HERE.parent / "demo/host.toml", f"{directory}/data", f"{directory}/host.log"
        )
        try:
            admin.send("PUT", "tenants/acme", {})
            rows = [senders(preset, ingest, admin) for preset in presets(node)]
            rows += [challenge(ingest, admin), metas_question(ingest, admin), zooms_question(ingest, admin), discords_ping(ingest, admin)]
            rows += receivers(node, ingest, admin, f"http://127.0.0.1:{server.server_port}", received)
        finally:
            process.stop()
            server.shutdown()
            node.stop()
    return conclude(rows)


def senders(preset, ingest, admin):
    """Sends all cases of a preset. Answers its row: name, library, how many cases, what went wrong."""
    source = f"tenants/acme/sources/{preset.name}"
    admin.send("PUT", source, {"verify": preset.verify(preset.secrets)})
    now_s = int(time.time())
    cases = list(preset.cases(now_s))
    wrong = [line for case in cases for line in send(preset, ingest, case)]
    admin.send("PUT", source, {"verify": preset.verify(preset.secrets[1:])})
    wrong += send(preset, ingest, preset.case_of_old_secret(now_s))
    return preset.scheme, preset.library, "signs", len(cases) + 1, wrong


def send(preset, ingest, case):
    """Sends one case. Answers what is wrong with the answer."""
    url = f"{ingest}/in/acme/{preset.name}" + (f"?{case.query}" if case.query else "")
    status, answer = post(url, {"Content-Type": preset.content_type, **case.headers}, case.body.encode())
    if case.wanted == "refused":
        is_right = status == 401 and json.loads(answer)["code"]
    else:
        is_right = status == 202 and json.loads(answer).get("duplicate", False) == (case.wanted == "duplicate")
    return [] if is_right else [f"{preset.name}: {case.name}: wanted {case.wanted}, but {status} {answer}"]


def post(url, headers, body):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=REQUEST_TIMEOUT_S) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def challenge(ingest, admin):
    """Slack's question whether the URL is right, signed and not."""
    admin.send("PUT", "tenants/acme/sources/slack", {"verify": {"scheme": "slack", "secrets": ["hush"]}})
    body, at_s = json.dumps({"type": "url_verification", "challenge": "3eZbrw1a"}), str(int(time.time()))
    wrong = []
    for secret, wanted in [("hush", (200, "3eZbrw1a")), ("other", (401, None))]:
        signature = slack_sdk.signature.SignatureVerifier(secret).generate_signature(timestamp=at_s, body=body)
        headers = {"X-Slack-Signature": signature, "X-Slack-Request-Timestamp": at_s, "Content-Type": "application/json"}
        status, answer = post(f"{ingest}/in/acme/slack", headers, body.encode())
        if status != wanted[0] or (wanted[1] and answer != wanted[1]):
            wrong.append(f"slack: url_verification: wanted {wanted}, but {status} {answer}")
    events = admin.get("tenants/acme/events", source="slack", event_type="url_verification")["items"]
    wrong += ["slack: a url_verification became an event"] if events else []
    return "slack", "PyPI slack_sdk", "asks", 2, wrong


def metas_question(ingest, admin):
    """Meta's GET, with the right token and another."""
    verify = {"scheme": "meta", "secrets": ["hush"], "verify_token": "token & co"}
    admin.send("PUT", "tenants/acme/sources/meta", {"verify": verify})
    wrong = []
    for token, wanted in [("token & co", (200, "1158201444")), ("other", (403, None))]:
        asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": token}
        status, answer = post(f"{ingest}/in/acme/meta?{urllib.parse.urlencode(asked)}", {}, None)
        wrong += differs("meta: hub.challenge", (status, answer), wanted)
    return "meta", "none: a token", "asks", 2, wrong


def zooms_question(ingest, admin):
    """Zoom's `endpoint.url_validation`, signed and not."""
    admin.send("PUT", "tenants/acme/sources/zoom", {"verify": {"scheme": "zoom", "secrets": ["hush"]}})
    body, at_s = json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}), str(int(time.time()))
    encrypted = hmac.new(b"hush", b"qgg8vlvZRS6UYooatFL8Aw", hashlib.sha256).hexdigest()
    wrong = []
    for secret, wanted in [("hush", (200, {"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": encrypted})), ("other", (401, None))]:
        signature = slack_sdk.signature.SignatureVerifier(secret).generate_signature(timestamp=at_s, body=body)
        headers = {"X-Zm-Signature": signature, "X-Zm-Request-Timestamp": at_s, "Content-Type": "application/json"}
        status, answer = post(f"{ingest}/in/acme/zoom", headers, body.encode())
        wrong += differs("zoom: url_validation", (status, json.loads(answer)), wanted)
    return "zoom", "PyPI slack_sdk", "asks", 2, wrong


def discords_ping(ingest, admin):
    """Discord's PING, signed and not."""
    keys = [nacl.signing.SigningKey(bytes([n] * 32)) for n in [7, 8]]
    public_keys = [keys[0].verify_key.encode().hex()]
    admin.send("PUT", "tenants/acme/sources/discord", {"verify": {"scheme": "discord", "public_keys": public_keys}})
    body, at_s = json.dumps({"type": 1, "version": 1}), int(time.time())
    wrong = []
    for key, wanted in [(keys[0], (200, {"type": 1})), (keys[1], (401, None))]:
        headers = {"X-Signature-Ed25519": key.sign(f"{at_s}{body}".encode()).signature.hex(), "X-Signature-Timestamp": str(at_s)}
        status, answer = post(f"{ingest}/in/acme/discord", headers, body.encode())
        wrong += differs("discord: PING", (status, json.loads(answer)), wanted)
    return "discord", "PyPI PyNaCl", "asks", 2, wrong


def differs(case, found, wanted):
    """What is wrong with an answer; of a body that is none, nothing is wanted."""
    is_right = found[0] == wanted[0] and (wanted[1] is None or found[1] == wanted[1])
    return [] if is_right else [f"{case}: wanted {wanted}, but {found}"]


def receivers(node, ingest, admin, url, received):
    """Has the host sign a delivery in each way, and the libraries verify it: as it came, with another body, with another secret."""
    whsec = "whsec_" + base64.b64encode(bytes([3] * 24)).decode()
    shopify = {"scheme": "hmac", "header": "x-shopify-hmac-sha256", "algorithm": "sha256", "encoding": "base64", "secrets": ["hush"]}
    signatures = [{"scheme": "github", "secrets": ["hush"]}, shopify]
    admin.send("PUT", "tenants/acme/sources/out", {"verify": {"scheme": "none"}})
    admin.send("PUT", "tenants/acme/endpoints/out", {"url": url, "secrets": [whsec], "signatures": signatures})
    admin.send("PUT", "tenants/acme/routes/out", {"source": "out", "to": {"endpoints": ["out"]}})
    sent = '{"text": "grün \U0001f600"}'
    post(f"{ingest}/in/acme/out", {"Content-Type": "application/json"}, sent.encode())
    _, headers, body = capture.take(received)
    headers, body = {name.lower(): value for name, value in headers.items()}, body.decode()

    def by_node(scheme, header):
        return lambda secret, body: node.ask(scheme=scheme, secret=secret, body=body, signature=headers[header])

    def by(library, error):
        def believes(secret, body):
            try:
                library(secret).verify(body, headers)
                return True
            except error:
                return False

        return believes

    other = "whsec_" + base64.b64encode(bytes([4] * 24)).decode()
    verifiers = [
        ("github", "npm @octokit/webhooks-methods", by_node("github", "x-hub-signature-256"), "hush", "other"),
        ("shopify", "npm @shopify/shopify-api", by_node("shopify", "x-shopify-hmac-sha256"), "hush", "other"),
        ("standard-webhooks", "PyPI standardwebhooks", by(standardwebhooks.Webhook, standardwebhooks.WebhookVerificationError), whsec, other),
        ("svix", "PyPI svix", by(svix.webhooks.Webhook, svix.webhooks.WebhookVerificationError), whsec, other),
    ]
    rows = []
    for name, library, believes, secret, wrong_secret in verifiers:
        cases = [("as it came", secret, body, True), ("another body", secret, body + " ", False), ("another secret", wrong_secret, body, False)]
        wrong = [f"{name}: {case}: believed is {not wanted}" for case, key, text, wanted in cases if believes(key, text) != wanted]
        rows.append((name, library, "verifies", len(cases), wrong))
    return rows


def conclude(rows):
    for name, library, does, cases, wrong in rows:
        print(f"{name:18} {library:32} {does:9} {cases:3} cases  {'WRONG' if wrong else 'well'}")
    for line in [line for *_, wrong in rows for line in wrong]:
        print(f"providers: {line}")
    failed = sum(len(wrong) for *_, wrong in rows)
    names = {name for name, *_ in rows}
    print(f"providers: presets={len(names)} cases={sum(cases for _, _, _, cases, _ in rows)} failed={failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        print(f"providers: {failure}", file=sys.stderr)
        sys.exit(1)
