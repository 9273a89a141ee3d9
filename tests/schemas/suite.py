"""Whether a real host holds payloads against JSON Schemas as the official test suite of draft 2020-12 says.

    python3 tests/schemas/suite.py target/schemas/suite

Each schema of the suite becomes an event type that refuses what does not fit; what the suite holds against it is published. A schema that the host
does not support has to be refused at a keyword that it says it does not support, and not be passed over.
"""

import collections
import http.client
import json
import os
import pathlib
import sys
import tempfile
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "demo"))

import host  # noqa: E402

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target")).resolve()
REQUEST_TIMEOUT_S = 30
TESTS_MIN = 1000

# Where a schema may be refused: what docs/publishing.md says is not supported. `$ref`, `$schema` and `$id` are so where they lead out of the schema.
NOT_SUPPORTED = {"unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "dependencies", "$ref", "$schema", "$id"}


def main(directory):
    files = sorted([*directory.glob("*.json"), *directory.glob("optional/*.json")])
    groups = [(file.stem, group) for file in files for group in json.loads(file.read_text(encoding="utf-8"))]
    with tempfile.TemporaryDirectory(prefix="schemas-", dir=TARGET) as scratch:
        process, _, admin = host.start(
            TARGET / "release/hookswitch", HERE.parent / "demo/host.toml", f"{scratch}/data", f"{scratch}/host.log"
        )
        try:
            return run(Client(admin), groups)
        finally:
            process.stop()


def run(client, groups):
    client.send("PUT", "/v1/tenants/acme", {})
    tests, wrong, refused = 0, [], collections.Counter()
    for number, (file, group) in enumerate(groups):
        name = f"type-{number}"
        event_type = {"on_invalid": "refuse", "schema": group["schema"]}
        status, answer = client.send("PUT", f"/v1/tenants/acme/event-types/{name}", event_type)
        where = f"{file}: {group['description']}"
        if status == 422:
            keyword = answer.get("pointer", "").rsplit("/", 1)[-1]
            refused[keyword] += 1
            if keyword not in NOT_SUPPORTED:
                wrong.append(f"{where}: the schema was refused: {answer}")
        elif status != 201:
            wrong.append(f"{where}: {status} {answer}")
        else:
            tests += len(group["tests"])
            wrong += [f"{where}: {line}" for line in publish(client, name, group["tests"])]
    return conclude(len(groups), tests, wrong, refused)


def publish(client, name, tests):
    """Publishes what is held against one schema. Answers what went wrong."""
    events = [{"event_type": name, "payload": test["data"]} for test in tests]
    status, answer = client.send("POST", "/v1/tenants/acme/events/batch", {"events": events})
    if "results" not in answer:
        return [f"{status} {answer}"]
    said = ["id" in result or result.get("code") for result in answer["results"]]
    pairs = zip(tests, said, strict=True)
    return [f"{it['description']}: wanted valid={it['valid']}, but {one}" for it, one in pairs if one != (it["valid"] or "payload_invalid")]


def conclude(groups, tests, wrong, refused):
    for keyword, count in refused.most_common():
        print(f"  not supported: {keyword} in {count} schemas")
    for line in wrong:
        print(f"  WRONG {line}")
    print(f"schemas: schemas={groups} not_supported={refused.total()} tests={tests} wrong={len(wrong)}")
    return 1 if wrong or tests < TESTS_MIN else 0


class Client:
    """The admin interface, where refusals are answers too."""

    def __init__(self, admin):
        self.headers = {**admin.headers, "content-type": "application/json"}
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(admin.url).netloc, timeout=REQUEST_TIMEOUT_S)

    def send(self, method, path, document):
        self.connection.request(method, path, json.dumps(document), self.headers)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
