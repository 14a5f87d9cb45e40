"""The entry of `python -m BACKEND` and of `trigrad-BACKEND`: checks that the libraries are there before importing any."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .errors import failed, interrupted

# What the options are described with; each extra has it too.
HELP = ("numpy", "click")
LIBRARIES = {
    "training": ("numpy", "click", "rich", "sklearn", "matplotlib", "safetensors"),
    "playground": ("numpy", "click", "starlette", "uvicorn", "websockets", "safetensors"),
}


def main(backend: str, args: Sequence[str] | None = None) -> int:
    """Run the command line for the engine in the module named `backend`; the exit code.

    args: what stands after the program's name, by default `sys.argv[1:]`.
    """
    program = f"python -m {backend}"
    if args is None:
        args = sys.argv[1:]
        # pip installs a script of this name, for which shells can complete what is typed.
        if Path(sys.argv[0]).stem == distribution(backend):
            program = distribution(backend)
    if args[:1] == ["--version"]:  # which needs no library
        print(version_line(backend))
        return 0
    # The playground has fewer needs than the other commands, so it has an extra of its own.
    extra = "playground" if args[:1] == ["playground"] else "training"
    only_tells = not args or not {"-h", "--help", "--version"}.isdisjoint(args)
    return with_libraries(
        distribution(backend),
        lambda: _run(backend, args, program),
        extra,
        HELP if only_tells else LIBRARIES[extra],
        "--json" in args,
    )


def distribution(backend: str) -> str:
    """What pip knows a backend by, and the name of its program."""
    return "trigrad-" + backend.replace("_", "-")


def version_line(backend: str) -> str:
    """What --version prints."""
    return f"{distribution(backend)} {importlib.import_module(backend).__version__}"


def with_libraries(
    distribution: str,
    program: Callable[[], int],
    extra: str = "training",
    libraries: Sequence[str] = LIBRARIES["training"],
    as_json: bool = False,
) -> int:
    """The exit code of `program`, or 2 and a line that says how to install what it needs.

    libraries: what it needs, which the extra installs.
    """
    if any(importlib.util.find_spec(library) is None for library in libraries):
        message = (
            f'this needs more libraries: python -m pip install "{distribution}[{extra}]", '
            f'or in a checkout "./pure_python[{extra}]"'
        )
        return failed(message, 2, as_json)
    # Else it tells on standard error that it lists the fonts, or finds no folder for its settings.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        return program()
    except KeyboardInterrupt:  # before the program could see to it: libraries take a second to load
        return interrupted(as_json)


def _run(backend: str, args: Sequence[str], program: str) -> int:
    from .commands import run

    return run(backend, args, program)
