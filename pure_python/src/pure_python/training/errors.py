"""What a person asked for and cannot have, and how it is said."""

from __future__ import annotations

import json
import sys

INTERRUPTED = 130


class InputError(ValueError):
    """Bad input from outside: one line for the person, exit code 2, nothing written."""


class Stopped(Exception):
    """A run that Ctrl-C has ended, and what is left of it; without a message, before it began."""


def failed(message: str, code: int, as_json: bool = False) -> int:
    """Say on standard error why it failed, in one line; the exit code."""
    message = " ".join(message.split())
    line = json.dumps({"error": message, "code": code}) if as_json else f"error: {message}"
    print(line, file=sys.stderr)
    return code


def interrupted(as_json: bool = False) -> int:
    """Say that Ctrl-C came before there was anything to keep; the exit code."""
    if sys.stderr.isatty():
        print(file=sys.stderr)  # the end of the line in which the terminal shows ^C
    return failed("stopped by Ctrl-C; nothing was written", INTERRUPTED, as_json)
