"""The entry of `python -m BACKEND`: checks that the libraries are there before importing any."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence

LIBRARIES = ("numpy", "click", "rich", "sklearn", "matplotlib", "safetensors")


def main(backend: str, args: Sequence[str] | None = None) -> int:
    """Run the command line for the engine in the module named `backend`; the exit code.

    args: what stands after the program's name, by default `sys.argv[1:]`.
    """
    return with_libraries("trigrad-" + backend.replace("_", "-"), lambda: _run(backend, args))


def with_libraries(distribution: str, program: Callable[[], int]) -> int:
    """The exit code of `program`, or 2 and a line that says how to install what it needs."""
    if any(importlib.util.find_spec(library) is None for library in LIBRARIES):
        message = (
            f'training needs more libraries: python -m pip install "{distribution}[training]", '
            'or in a checkout "./pure_python[training]"'
        )
        print(f"error: {message}", file=sys.stderr)
        return 2
    try:
        return program()
    except KeyboardInterrupt:  # before the program could see to it: libraries take a second to load
        print("error: stopped by Ctrl-C; nothing was written", file=sys.stderr)
        return 130


def _run(backend: str, args: Sequence[str] | None) -> int:
    from .commands import run

    return run(backend, args)
