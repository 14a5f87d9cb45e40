"""One submission, checked in this process, which report.py has started for it.

    python -I submission.py CHANNEL STEP SECONDS MEGABYTES

The engine is my_engine.py in the working folder. What comes of it goes to the file descriptor CHANNEL, as
a line of JSON with the word that came on standard input, which a submission does not know.
"""

import contextlib
import io
import json
import os
import re
import resource
import sys
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any

import pytest

SUITE = Path(__file__).parents[1]
WATCHED = {"_pytest", "builtins", "cases", "conftest", "course", "math", "pluggy", "pytest"}
FUNCTIONS = (FunctionType, BuiltinFunctionType, classmethod, property, staticmethod, type)


def limit(seconds: int, megabytes: int) -> None:
    """Hold this process, and all that it starts, to a time and a size."""
    for what, most in (
        (resource.RLIMIT_CPU, seconds + 1),  # the clock of whoever waits goes first
        (resource.RLIMIT_AS, megabytes * 2**20),
        (resource.RLIMIT_FSIZE, 16 * 2**20),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),  # no further processes; root is not held to it
    ):
        with contextlib.suppress(ValueError, OSError):  # a limit that is lower already
            resource.setrlimit(what, (most, most))


def functions() -> dict[str, tuple[int, int]]:
    """What decides whether a test passes: the functions and methods of pytest, of the tests, of Python."""
    found = {}
    for module in [m for name, m in sys.modules.items() if name.partition(".")[0] in WATCHED]:
        kinds = [thing for thing in vars(module).values() if isinstance(thing, type)]
        for owner in (module, *kinds):
            place = (
                owner.__name__ if owner is module else f"{owner.__module__}.{owner.__qualname__}"
            )
            for name, thing in vars(owner).items():
                if isinstance(thing, FUNCTIONS):
                    found[f"{place}.{name}"] = (id(thing), id(getattr(thing, "__code__", None)))
    return found


class Watch:
    """Notes whether a submission puts functions of its own in the place of others."""

    def __init__(self) -> None:
        self.before: dict[str, tuple[int, int]] = {}
        self.replaced: list[str] = []

    @pytest.hookimpl(tryfirst=True)  # before the engine is imported
    def pytest_configure(self) -> None:
        self.before = functions()

    def pytest_collection_finish(self) -> None:
        self.before = functions() | self.before

    def pytest_sessionfinish(self) -> None:
        now = functions()
        self.replaced = [name for name, there in self.before.items() if now.get(name) != there]


def checked(step: int) -> dict[str, Any]:
    sys.path.insert(0, str(SUITE))
    from course.check import check

    errors, watch = io.StringIO(), Watch()
    with contextlib.redirect_stderr(errors):
        # -s: what is printed goes where nobody keeps it.
        found = check({"my_engine": range(1, step + 1)}, "-s", plugins=[watch])
    if watch.replaced:
        return {"problem": f"replaces {watch.replaced[0]}: what its tests say means nothing"}
    if "my_engine" in found:
        return found["my_engine"]
    why = re.search(r"cannot be imported: (.+)\. (Install it|Python has)", errors.getvalue())
    if why is None:
        return {"problem": "its tests could not be run"}
    return {"problem": "cannot be imported: " + why[1].replace(f"{os.getcwd()}/", "")}


def main() -> None:
    channel, step, seconds, megabytes = map(int, sys.argv[1:])
    word, process = sys.stdin.readline().strip(), os.getpid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    limit(seconds, megabytes)
    try:
        result = checked(step)
    except BaseException as error:
        result = {"problem": f"ends the tests by {type(error).__name__}: {error}"}
    if os.getpid() == process:  # and no copy of it, which a submission has forked
        result = {
            key: said[:500] if isinstance(said, str) else said for key, said in result.items()
        }
        os.write(channel, json.dumps({"word": word, **result}).encode() + b"\n")
    os._exit(0)  # at once: nothing that a submission has left for the end is run


if __name__ == "__main__":
    main()
