"""The entry of `python -m BACKEND`: checks that the libraries are there before importing any."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

LIBRARIES = ("numpy", "click", "rich", "sklearn", "matplotlib", "safetensors")


def main(backend: str, args: Sequence[str] | None = None) -> int:
    """Run the command line for the engine in the module named `backend`; the exit code.

    args: what stands after the program's name, by default `sys.argv[1:]`.
    """
    if any(importlib.util.find_spec(library) is None for library in LIBRARIES):
        distribution = "trigrad-" + backend.replace("_", "-")
        message = f'training needs more libraries: pip install "{distribution}[training]"'
        print(message, file=sys.stderr)
        return 2
    try:
        from .commands import run
    except KeyboardInterrupt:  # the libraries take a second to load
        print("error: stopped by Ctrl-C; nothing was written", file=sys.stderr)
        return 130
    return run(backend, args)
