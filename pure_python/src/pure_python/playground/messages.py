"""What a page may say. Anything else is refused with one sentence, before it reaches anything."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable
from typing import Any

from .points import EXTENT
from .settings import (
    CHOICES,
    MOST_CLASSES,
    MOST_LAYERS,
    MOST_NEURONS,
    MOST_POINTS,
    RANGES,
)

MOST_CSV_BYTES = 1_000_000
# A CSV file in base64, and the words around it.
MOST_BYTES = MOST_CSV_BYTES * 4 // 3 + 10_000
LONGEST_NAME = 200
COUNTER = 2**53 - 1  # the largest int that JavaScript counts to

Check = Callable[[str, Any], Any]


class Refused(ValueError):
    """A message that is not one of those below; the sentence is for whoever sent it."""


def read(text: str | bytes) -> dict[str, Any]:
    """The message in `text`, its fields checked; `type` says which. Refused for anything else."""
    if not isinstance(text, str):
        raise Refused("a message is text; this one is binary")
    if len(text) > MOST_BYTES:
        raise Refused(f"a message has at most {MOST_BYTES} characters; this one has {len(text)}")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused("a message is a JSON object; this one cannot be read") from None
    if not isinstance(message, dict):
        raise Refused("a message is a JSON object; this one is none")
    kind = message.pop("type", None)
    if not isinstance(kind, str) or kind not in MESSAGES:
        raise Refused(f"the type of a message is one of {', '.join(MESSAGES)}")
    fields = MESSAGES[kind]
    if message.keys() != fields.keys():
        names = ", ".join(fields) or "no fields"
        raise Refused(f"a message of type {kind} has {names} besides its type")
    return {"type": kind} | {name: check(name, message[name]) for name, check in fields.items()}


def integer(low: int, high: int) -> Check:
    def check(name: str, number: Any) -> int:
        if type(number) is not int or not low <= number <= high:
            raise Refused(f"{name} is a whole number from {low} to {high}")
        return number

    return check


def real(low: float, high: float) -> Check:
    def check(name: str, number: Any) -> float:
        whole_or_not = type(number) is float or type(number) is int
        if not (whole_or_not and low <= number <= high and math.isfinite(number)):
            raise Refused(f"{name} is a number from {low} to {high}")
        return float(number)

    return check


def boolean(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise Refused(f"{name} is true or false")
    return value


def choice(options: tuple[Any, ...]) -> Check:
    def check(name: str, value: Any) -> Any:
        # The type too: to Python true is 1.
        if not any(type(value) is type(option) and value == option for option in options):
            raise Refused(f"{name} is one of {', '.join(map(str, options))}")
        return value

    return check


def short_text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
        raise Refused(f"{name} is a text of 1 to {LONGEST_NAME} printable characters")
    return value


def file_content(name: str, value: Any) -> bytes:
    try:
        content = base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise Refused(f"{name} is a file in base64") from None
    if len(content) > MOST_CSV_BYTES:
        raise Refused(f"a file has at most {MOST_CSV_BYTES} bytes; this one has {len(content)}")
    return content


def layers(name: str, sizes: Any) -> tuple[int, ...]:
    size = integer(1, MOST_NEURONS)
    if not isinstance(sizes, list) or len(sizes) > MOST_LAYERS:
        raise Refused(f"{name} is a list of at most {MOST_LAYERS} sizes")
    return tuple([size("the size of a hidden layer", n) for n in sizes])


SETTINGS: dict[str, Check] = {
    "hidden": layers,
    **{name: choice(options) for name, options in CHOICES.items()},
    **{
        name: integer(low, high)
        if isinstance(low, int) and isinstance(high, int)
        else real(low, high)
        for name, (low, high) in RANGES.items()
    },
}


def changes(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value or not value.keys() <= SETTINGS.keys():
        raise Refused(f"{name} is an object with some of {', '.join(SETTINGS)}")
    return {setting: SETTINGS[setting](setting, value[setting]) for setting in value}


place = real(-EXTENT, EXTENT)
index = integer(0, MOST_POINTS - 1)
count = integer(0, COUNTER)
some_class = integer(0, MOST_CLASSES - 1)

# The fields of each kind of message. `data` is the number of the points that the page shows: an
# edit of points that are there no more is refused.
MESSAGES: dict[str, dict[str, Check]] = {
    "settings": {"changes": changes},
    "run": {"running": boolean},
    "step": {},
    "reset": {},
    "compare": {"on": boolean},
    "add": {"data": count, "x": place, "y": place, "class": some_class},
    "move": {"data": count, "index": index, "x": place, "y": place},
    "recolour": {"data": count, "index": index, "class": some_class},
    "delete": {"data": count, "index": index},
    "csv": {"name": short_text, "content": file_content},
    "columns": {"x": short_text, "y": short_text, "target": short_text},
    "explore": {"data": count, "index": index},
    "shown": {"backend": choice(CHOICES["backend"]), "frame": count},
}
