"""A host of the demo's own: started on an empty directory, configured by `hookswitch apply`, read by the admin API."""

import http.client
import json
import os
import re
import time
import urllib.parse

from process import Failed, Process

READY_TIMEOUT_S = 60
APPLY_TIMEOUT_S = 120  # `apply` answers when the host has compiled the modules
SETTLE_TIMEOUT_S = 120
ADMIN_TIMEOUT_S = 15
POLL_INTERVAL_S = 0.2
PAGE_ITEMS = 100


def start(binary, config, data, log):
    """Starts `hookswitch serve`. Answers the process, the ingest URL and the admin client, once it is ready."""
    # The driver's environment, without keys that would be used instead of the ones the host makes for itself.
    env = {name: value for name, value in os.environ.items() if not name.startswith("HOOKSWITCH_")}
    process = Process("hookswitch serve", [binary, "serve", "--config", config, "--data", data], env, log)
    try:
        line = process.first_line(READY_TIMEOUT_S, "READY_TIMEOUT_S")
        ready = re.fullmatch(r"ready ingest=(\S+) admin=(\S+)", line)
        if not ready:
            raise Failed(f"hookswitch serve said `{line}` where its `ready ingest=… admin=…` was due")
        key_file = os.path.join(data, "operator.key")
        with open(key_file, encoding="ascii") as key:
            return process, ready[1], Admin(ready[2], key_file, key.read().strip())
    except BaseException:
        process.stop()
        raise


def apply(binary, resources, admin, env, log):
    """Applies a file of resources, as a person would. Answers what the command said."""
    command = [binary, "apply", "-f", resources, "--admin", admin.url, "--key-file", admin.key_file]
    process = Process("hookswitch apply", command, {**os.environ, **env}, log)
    try:
        return process.all_lines(APPLY_TIMEOUT_S, "APPLY_TIMEOUT_S")
    finally:
        process.stop()


class Admin:
    """The admin API, over one connection."""

    def __init__(self, url, key_file, key):
        self.url, self.key_file = url, key_file
        self.headers = {"authorization": f"Bearer {key}"}
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=ADMIN_TIMEOUT_S)

    def get(self, path, **query):
        """The JSON at `/v1/{path}`."""
        return self.send("GET", path + (f"?{urllib.parse.urlencode(query)}" if query else ""))

    def send(self, method, path, document=None):
        """What `/v1/{path}` answers to this method, with this JSON as the body."""
        path, body = f"/v1/{path}", None if document is None else json.dumps(document)
        try:
            self.connection.request(method, path, body, self.headers)
            response = self.connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise Failed(
                f"{method} {path} on the admin API failed: {error}. ADMIN_TIMEOUT_S is {ADMIN_TIMEOUT_S} s"
            ) from error
        if response.status not in (200, 201):
            raise Failed(f"{method} {path} on the admin API: {response.status} {body.decode(errors='replace')}")
        return json.loads(body)

    def list(self, path, **query):
        """All items of a list, page after page."""
        cursor = {}
        while True:
            page = self.get(path, limit=PAGE_ITEMS, **query, **cursor)
            yield from page["items"]
            if page.get("next") is None:
                return
            cursor = {"cursor": page["next"]}


def settled(admin, tenants, progress):
    """Waits until no run and no delivery is pending. Answers {event id: event with runs} and {delivery id: delivery}.

    Runs come first: a pending run may still make deliveries.
    """
    deadline, events = time.monotonic() + SETTLE_TIMEOUT_S, {}
    for tenant in tenants:
        unsettled = [event["id"] for event in admin.list(f"tenants/{tenant}/events")]
        while unsettled:
            for event_id in unsettled:
                events[event_id] = {**admin.get(f"tenants/{tenant}/events/{event_id}"), "tenant": tenant}
            unsettled = [id for id in unsettled if any(run["status"] == "pending" for run in events[id]["runs"])]
            if unsettled:
                progress(f"{len(unsettled)} events not routed yet")
                wait(deadline, f"{len(unsettled)} events of tenant {tenant} have pending runs, such as {unsettled[0]}")
    while waiting := deliveries_of(admin, tenants, status="pending"):
        progress(f"{len(waiting)} deliveries on their way")
        wait(deadline, f"{len(waiting)} deliveries are still pending, such as {next(iter(waiting))}")
    return events, deliveries_of(admin, tenants)


def deliveries_of(admin, tenants, **query):
    return {d["id"]: {**d, "tenant": t} for t in tenants for d in admin.list(f"tenants/{t}/deliveries", **query)}


def wait(deadline, state):
    if time.monotonic() > deadline:
        raise Failed(f"not settled within SETTLE_TIMEOUT_S, {SETTLE_TIMEOUT_S} s: {state}")
    time.sleep(POLL_INTERVAL_S)
