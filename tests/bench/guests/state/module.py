"""Uses all that state can do, and says what it found."""

import wit_world
from componentize_py_types import Err
from hookswitch import exported
from wit_world.imports import state
from wit_world.imports.types import Decision, Decision_Reject, Event, Message


class WitWorld(wit_world.WitWorld):
    @exported
    def configure(self, text: str) -> None:
        pass

    @exported
    def decide(self, event: Event, message: Message) -> Decision:
        state.increment("number", 5_000_000_000, 60)
        same = "same" if state.increment("number", -1, 60) == 4_999_999_999 else "other"
        number = state.get("number").decode()
        state.set("key", b"v", 0)
        kept = state.get("key").decode()
        state.remove("key")
        gone = "gone" if state.get("key") is None else "kept"
        state.set("odd", b"x", 0)
        return Decision_Reject(f"{number} {same} {kept} {gone} {refused()}")


def refused() -> str:
    try:
        state.increment("odd", 1, 0)
    except Err as error:
        return error.value.code
    return ""
