"""{{name}}: a filter. It accepts messages of some types, and with some value in their body:

{"events": ["push"], "pointer": "/ref", "equals": "refs/heads/main"}
"""

import re

import wit_world
from componentize_py_types import Err
from hookswitch import exported, parse_json
from wit_world.imports.types import Decision, Decision_Accept, Decision_Reject, Event, Failure, Message

USAGE = 'settings are {"events": ["push"], "pointer": "/a/b", "equals": "c"}; pointer and equals go together'
MISSING = object()

settings: dict = {}


class WitWorld(wit_world.WitWorld):
    @exported
    def configure(self, text: str) -> None:
        # A variable of the module: the host makes a fresh one for each event, and Python a fresh object for each call.
        global settings
        settings = parse_json(text)
        if not is_settings(settings):
            raise Err(Failure("settings-invalid", USAGE))

    @exported
    def decide(self, event: Event, message: Message) -> Decision:
        events, pointer = settings.get("events"), settings.get("pointer")
        if events is not None and message.event_type not in events:
            return Decision_Reject(f"the event type is {message.event_type}")
        if pointer is None:
            return Decision_Accept()
        value = find(json(message), pointer)
        if value is MISSING:
            return Decision_Reject(f"{pointer} is not there")
        if not equal(value, settings["equals"]):
            return Decision_Reject(f"{pointer} is something else")
        return Decision_Accept()


def json(message: Message) -> object:
    try:
        return parse_json(message.body)
    except ValueError:
        raise Err(Failure("input-invalid", "the body is not JSON"))


def find(value: object, pointer: str) -> object:
    """The value at a JSON pointer such as "/a/0/b", or MISSING."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and re.fullmatch("0|[1-9][0-9]*", key) and int(key) < len(value):
            value = value[int(key)]
        else:
            return MISSING
    return value


def equal(a: object, b: object) -> bool:
    """To Python, True equals 1; to JSON it does not."""
    return type(a) is type(b) and a == b


def is_settings(value: object) -> bool:
    if not isinstance(value, dict) or value.keys() - {"events", "pointer", "equals"}:
        return False
    events, pointer, equals = value.get("events", []), value.get("pointer", ""), value.get("equals")
    return (
        isinstance(events, list)
        and all(isinstance(item, str) for item in events)
        and isinstance(pointer, str)
        and pointer[:1] in ("", "/")
        and (equals is None or isinstance(equals, (str, bool, int)))
        and ("pointer" in value) == ("equals" in value)
    )
