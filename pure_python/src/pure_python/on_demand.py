"""What shows and checks graphs, loaded by a backend when it is first asked for.

An import takes little more than half as long without it, and most programs show no graph.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

MODULES = {
    "backward_steps": "pure_python.graph",
    "diagnose": "pure_python.graph",
    "draw": "pure_python.graph",
    "draw_dot": "pure_python.graph",
    "draw_model": "pure_python.graph",
    "explain": "pure_python.graph",
    "explore": "pure_python.explorer",
    "gradcheck": "pure_python.graph",
    "trace": "pure_python.graph",
    "tree": "pure_python.graph",
}


def on_demand(backend: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` for the module `backend` (PEP 562)."""
    names = vars(sys.modules[backend])

    def find(name: str) -> Any:
        if name not in MODULES:
            raise AttributeError(f"module {backend!r} has no attribute {name!r}")
        names[name] = getattr(import_module(MODULES[name]), name)  # the next time it is there
        return names[name]

    return find, lambda: sorted(names.keys() | MODULES.keys())
