"""What resources.toml promises for each payload, said a second time: a host that routes nothing must not balance."""

import collections
import functools
import json
import pathlib

PUBLISHED = pathlib.Path(__file__).parent / "node_modules/@octokit/webhooks-examples/api.github.com/index.json"

SECURITY = ("code_scanning_alert", "dependabot_alert", "repository_vulnerability_alert", "security_advisory")


def expected_deliveries(tenant, name, example):
    """How many deliveries the payload makes for each endpoint of the tenant."""
    payload, to = payloads()[name][example], collections.Counter()
    action = payload.get("action")
    if tenant == "acme":
        to["audit"] = 1
        to["security"] = int(name in SECURITY)
        to["slack"] = int(name == "push" and payload["ref"] == "refs/heads/master")
        to["ci"] = int(name == "pull_request" and action in ("opened", "reopened", "synchronize", "closed"))
    if tenant == "globex":
        to["board"] = int(name == "issues")
        to["metrics"] = len(payload["workflow_job"]["steps"]) if (name, action) == ("workflow_job", "completed") else 0
    return +to


@functools.cache
def payloads():
    """{kind of event: its examples}, the file that send.mjs sends."""
    return {kind["name"]: kind["examples"] for kind in json.loads(PUBLISHED.read_text(encoding="utf-8"))}
