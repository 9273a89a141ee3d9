"""{{name}}: a transform. It makes a Slack message of a pull request's event, and none of any other:

{"channel": "#pulls"}
"""

import wit_world
from componentize_py_types import Err
from hookswitch import exported, parse_json, write_json
from wit_world.imports.types import Event, Failure, Message, Output

settings: dict = {}


class WitWorld(wit_world.WitWorld):
    @exported
    def configure(self, text: str) -> None:
        # A variable of the module: the host makes a fresh one for each event, and Python a fresh object for each call.
        global settings
        settings = parse_json(text)
        is_known = isinstance(settings, dict) and settings.keys() <= {"channel"}
        if not is_known or not isinstance(settings.get("channel", ""), str):
            raise Err(Failure("settings-invalid", 'settings are {"channel": "#pulls"}'))

    @exported
    def apply(self, event: Event, message: Message) -> list[Output]:
        if message.event_type != "pull_request":
            return []
        try:
            body = parse_json(message.body)
        except ValueError:
            raise input_invalid("the body is not JSON")
        return [
            Output(
                event_type=None,
                content_type="application/json",
                headers=None,
                body=write_json(slack_message(body) | settings),
                ordering_key=None,
                delay_ms=None,
            )
        ]


def slack_message(body: object) -> dict:
    action = string(body, "/action")
    login = escape(string(body, "/sender/login"))
    id = integer(body, "/pull_request/id")
    number = integer(body, "/pull_request/number")
    title = escape(string(body, "/pull_request/title"))
    url = escape(string(body, "/pull_request/html_url"))
    repository = escape(string(body, "/repository/full_name"))
    repository_id = integer(body, "/repository/id")
    merged = action == "closed" and find(body, "/pull_request/merged") is True
    verb = "merged" if merged else escape(action.replace("_", " "))
    return {
        "text": f"{login} {verb} #{number} {title}",
        "blocks": [
            {"type": "section", "text": mrkdwn(f"{login} {verb} <{url}|#{number} {title}>")},
            {"type": "context", "elements": [mrkdwn(repository)]},
        ],
        "metadata": {
            "event_type": "github_pull_request",
            "event_payload": {"id": id, "number": number, "repository_id": repository_id},
        },
    }


def mrkdwn(text: str) -> dict:
    return {"type": "mrkdwn", "verbatim": True, "text": text}


def escape(text: str) -> str:
    """Nothing in a payload can mention anybody in Slack, or look like another link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def find(body: object, pointer: str) -> object:
    """The value at the place that such a pointer names: "/pull_request/id"."""
    for key in pointer.split("/")[1:]:
        body = body.get(key) if isinstance(body, dict) else None
    return body


def string(body: object, pointer: str) -> str:
    value = find(body, pointer)
    if isinstance(value, str):
        return value
    raise input_invalid(f"{pointer} is not a string")


def integer(body: object, pointer: str) -> int:
    value = find(body, pointer)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise input_invalid(f"{pointer} is not an integer")


def input_invalid(message: str) -> Err:
    return Err(Failure("input-invalid", message))
