"""What every module needs: strict JSON, and a trace of what was raised."""

import functools
import json
import traceback

from componentize_py_types import Err
from wit_world.imports import log


def exported(work):
    """An export: an Err is an answer; anything else is a trap, and its words go to the event's trace."""

    @functools.wraps(work)
    def logged(*args):
        try:
            return work(*args)
        except Err:
            raise
        except Exception as error:
            # Not format_exc, which looks for the source's lines: there are no files.
            places = [f"{frame.f_code.co_qualname}:{line}" for frame, line in traceback.walk_tb(error.__traceback__)]
            log.write(log.Level.ERROR, f"uncaught {type(error).__name__}: {error}, at {' > '.join(places)}")
            raise

    return logged


def parse_json(text: str | bytes) -> object:
    """JSON, in UTF-8; raises a ValueError if it is none. Integers are exact."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return json.loads(text, parse_constant=refuse)


def refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def write_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
