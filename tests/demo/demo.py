#!/usr/bin/env python3
"""The demo of Hookswitch, and its end-to-end check.

Starts a real host on an empty directory and a real receiver, applies resources.toml, sends GitHub's published payloads
to two tenants, waits until all is delivered, draws one event's trace, and balances the books. Ends with status 0 only
if they balance.

    make demo     all of it, once
    make run      the same setup, left up to play with
"""

import argparse
import base64
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time

import host
import tour
import trace
from ledger import Ledger
from process import Failed, Process

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
BINARY = TARGET / "release/hookswitch"

# The tenants and endpoints of resources.toml. There, endpoint `slack` of `acme` has its address in ACME_SLACK_URL and its
# secret in ACME_SLACK_SECRET, the tenant's source `github` its secret in ACME_GITHUB_SECRET.
ENDPOINTS = {"acme": ["audit", "security", "slack", "ci"], "globex": ["board", "metrics"]}
FAIL_FIRST = {"/acme/ci": 2}  # this endpoint refuses the first two attempts of every delivery
SENT_AGAIN = 20  # events that GitHub "redelivers": the host must know them
SENT_FIRST = "push,pull_request.closed,issues.reopened,dependabot_alert.created"  # with `--stay`

RECEIVER_READY_TIMEOUT_S = 30
SEND_TIMEOUT_S = 180
FRIENDLY_PORTS = (8080, 8081)  # ingest and admin of `--stay`, where they are free
PROBLEMS_SHOWN_MAX = 20
TRACE_DELIVERIES_MAX = 4


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--stay", action="store_true", help="send a handful of events, then stay up until Ctrl-C")
    arguments.add_argument("--quiet", action="store_true", help="say only how the books stand")
    options = arguments.parse_args()
    sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 gets question marks for the lines of the trace
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(f"demo: stopped by signal {number}"))
    try:
        with Demo(options) as demo:
            return demo.stay() if options.stay else demo.run()
    except Failed as failure:
        print(f"\ndemo: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
        return 0 if options.stay else 130


class Demo:
    """Everything that is to be gone afterwards: processes, and one directory below the build's."""

    def __init__(self, options):
        self.options, self.env, self.processes, self.requests = options, {}, [], []

    def __enter__(self):
        TARGET.mkdir(parents=True, exist_ok=True)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="demo-", dir=TARGET))
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave anything running
        for process in reversed(self.processes):
            process.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self):
        """Receiver first, since its address goes into the resources; then the host."""
        self.receiver = self.start_receiver()
        config = self.dir / "host.toml"
        config.write_text(self.host_config(), encoding="utf-8")
        started = time.monotonic()
        self.host, self.ingest, self.admin = host.start(BINARY, config, self.dir / "data", self.dir / "host.log")
        self.processes.append(self.host)
        self.say(f"host       ready in {since(started)}: ingest {self.ingest}, admin {self.admin.url}")
        started = time.monotonic()
        host.apply(BINARY, self.resources(), self.admin, self.env, self.dir / "apply.log")
        self.say(f"resources  tests/demo/resources.toml applied in {since(started)}")

    def start_receiver(self):
        signing = {}
        for tenant, endpoints in ENDPOINTS.items():
            self.env[f"{tenant}_github_secret".upper()] = secrets.token_urlsafe(32)
            for endpoint in endpoints:
                secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
                signing[f"/{tenant}/{endpoint}"] = self.env[f"{tenant}_{endpoint}_secret".upper()] = secret
        env = {**os.environ, "SECRETS": json.dumps(signing), "FAIL_FIRST": json.dumps(FAIL_FIRST)}
        receiver = Process(
            "the receiver", [TARGET / "venv/bin/python", HERE / "receiver.py"], env, self.dir / "receiver.log"
        )
        self.processes.append(receiver)
        url = json.loads(receiver.first_line(RECEIVER_READY_TIMEOUT_S, "RECEIVER_READY_TIMEOUT_S"))["ready"]
        receiver.on_line = self.on_request
        for tenant, endpoints in ENDPOINTS.items():
            for endpoint in endpoints:
                self.env[f"{tenant}_{endpoint}_url".upper()] = f"{url}/{tenant}/{endpoint}"
        self.say(f"receiver   {url}, verifies with the standardwebhooks library")
        return receiver

    def on_request(self, line):
        self.requests.append(json.loads(line))
        if self.options.stay:
            tour.show_request(self.requests[-1])

    def host_config(self):
        """host.toml as it stands; for `--stay` with ports that are easy to type, where nobody has them."""
        config = (HERE / "host.toml").read_text(encoding="utf-8")
        if not self.options.stay:
            return config
        ports = iter(port if is_free(port) else 0 for port in FRIENDLY_PORTS)
        return re.sub(r"127\.0\.0\.1:0", lambda _: f"127.0.0.1:{next(ports)}", config)

    def resources(self):
        """resources.toml; a copy of it where CARGO_TARGET_DIR says that the modules are not where it says."""
        resources = HERE / "resources.toml"
        if TARGET == ROOT / "target":
            return resources
        copy = self.dir / "resources.toml"
        copy.write_text(resources.read_text(encoding="utf-8").replace("../../target/", f"{TARGET}/"), encoding="utf-8")
        return copy

    def send(self, *more):
        """Sends from outside, as GitHub would. Answers what the sender recorded."""
        command = ["node", HERE / "send.mjs", self.ingest, "--tenants", ",".join(ENDPOINTS), *more]
        sender = Process("the sender", command, {**os.environ, **self.env}, self.dir / "send.log")
        self.processes.append(sender)
        return [json.loads(line) for line in sender.all_lines(SEND_TIMEOUT_S, "SEND_TIMEOUT_S")]

    def run(self):
        """Sends everything, waits, stops, and balances. Answers the exit status."""
        started = time.monotonic()
        answers = self.send("--again", str(SENT_AGAIN))
        again = sum(answer["again"] for answer in answers)
        self.say(
            f"sent       {len(answers) - again} events as GitHub signs them, {again} of them twice, in {since(started)}"
        )
        events, deliveries = host.settled(self.admin, ENDPOINTS, self.progress)
        self.say(f"settled    {len(deliveries)} deliveries, {since(started)} after the first event\n")
        if not self.options.quiet:
            self.show_trace(events, deliveries)
        # Stopped in this order, all that was sent has been received, and all that was received has been read.
        stopped = self.host.stop()
        self.receiver.stop()
        ledger = Ledger(answers, events, deliveries, self.requests)
        ledger.check(
            stopped == 0, f"the host should stop with status 0, and stopped with {stopped}{self.host.last_words()}"
        )
        return self.conclude(ledger)

    def conclude(self, ledger):
        if not ledger.problems:
            counts = ledger.counts
            self.say(f"Every accepted event is on the host's books; {counts['filtered']} of them concerned nobody.")
            self.say(f"All {counts['deliveries']} deliveries went where resources.toml says, verified, and were taken")
            self.say(f"exactly once, {counts['retried']} of them after retries.")
        for problem in ledger.problems[:PROBLEMS_SHOWN_MAX]:
            print(f"does not balance: {problem}")
        if len(ledger.problems) > PROBLEMS_SHOWN_MAX:
            print(f"does not balance: {len(ledger.problems)} things in all, of which PROBLEMS_SHOWN_MAX are shown")
        print(ledger)
        return 1 if ledger.problems else 0

    def stay(self):
        """Sends a handful, says what to try, and shows what the receiver gets until Ctrl-C."""
        self.send("--kinds", SENT_FIRST)
        events, deliveries = host.settled(self.admin, ENDPOINTS, lambda _: None)
        print()
        event = self.show_trace(events, deliveries)
        print(tour.text(self.ingest, self.admin, event, TARGET / "guests/ten-lines.wasm"))
        while self.host.running():
            time.sleep(host.POLL_INTERVAL_S)
        raise Failed(f"the host has ended by itself{self.host.last_words()}")

    def show_trace(self, events, deliveries):
        """Draws the event with the most to tell that still fits a screen, and answers it."""

        def story(event):
            made = [id for run in event["runs"] for id in run["deliveries"]]
            steps = sum(len(run["trace"]) for run in event["runs"])
            return len(made) <= TRACE_DELIVERIES_MAX, sum(deliveries[id]["attempts"] for id in made) + steps

        event = max(events.values(), key=story)
        tenant = f"tenants/{event['tenant']}"
        made = {id: self.admin.get(f"{tenant}/deliveries/{id}") for run in event["runs"] for id in run["deliveries"]}
        print("\n".join(trace.draw(event, made)), end="\n\n")
        return event

    def progress(self, text):
        self.say(f"waiting    {text}", passing=True)

    def say(self, text, passing=False):
        """Tells the person; what is `passing` is overwritten by the next line, and shown on a terminal only."""
        terminal = sys.stdout.isatty()
        if not self.options.quiet and (terminal or not passing):
            print(("\r\033[K" if terminal else "") + text, end="" if passing else "\n", flush=True)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def since(started):
    return f"{(time.monotonic() - started) * 1000:,.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
