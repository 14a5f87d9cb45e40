"""What runs in a contestant's process: it makes a workload, checks it and times it, as it is told.

Orders come as lines of JSON on the standard input, answers go back the same way.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from itertools import repeat
from time import perf_counter
from typing import Any

BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")


class Steps:
    """A workload that is one step, repeated and timed as a whole.

    check: the numbers that the step computes, as a flat list, to be compared with the others'.
    """

    def __init__(self, step: Callable[[], Any], check: Callable[[], list[float]]) -> None:
        self.step = step
        self.check = check

    def turn(self, loops: int) -> dict[str, float]:
        """Seconds a step."""
        step = self.step
        start = perf_counter()
        for _ in repeat(None, loops):
            step()
        return {"step": (perf_counter() - start) / loops}


def load(name: str) -> Any:
    """A module by its name. ImportError for the empty package that a mere folder makes."""
    module = importlib.import_module(name)
    if module.__file__ is None:
        raise ImportError(f"{name} is a folder, not an installed package")
    return module


class Player:
    """The one workload that this process holds at a time."""

    def __init__(self) -> None:
        self.workload: Any = None

    def make(self, function: str, arguments: dict[str, Any], collector: bool) -> str:
        self.workload = None  # before the next is made: two graphs of 10⁷ nodes are one too many
        gc.collect()
        (gc.enable if collector else gc.disable)()
        module, name = function.split(":")
        make = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        self.workload = make(**arguments)
        return "made"

    def check(self) -> list[float]:
        return [float(x) for x in self.workload.check()]

    def calibrate(self, seconds: float) -> int:
        """How often to repeat in a turn of so many seconds: doubled until it takes as long."""
        loops = 1
        while True:
            start = perf_counter()
            self.workload.turn(loops)
            took = perf_counter() - start
            self.collect()
            if took >= seconds:
                return loops
            loops = max(2 * loops, int(0.6 * loops * seconds / took))

    def turn(self, loops: int) -> dict[str, float]:
        times: dict[str, float] = self.workload.turn(loops)
        self.collect()
        return times

    def collect(self) -> None:
        """Where the collector is off, what it would have freed goes between turns, untimed."""
        if not gc.isenabled():
            gc.collect()

    def pools(self) -> list[dict[str, Any]]:
        """The BLAS and OpenMP libraries that this process has loaded, with their threads."""
        from threadpoolctl import threadpool_info

        keep = ("internal_api", "version", "architecture", "num_threads")
        return [{k: pool.get(k) for k in keep} for pool in threadpool_info()]


def main() -> None:
    # What a library prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.setrecursionlimit(1_000_000)  # for peers whose backward is a recursion
    player = Player()
    for line in sys.stdin:
        order, *arguments = json.loads(line)
        try:
            answer = {"answer": getattr(player, order)(*arguments)}
        except ImportError as error:
            answer = {"missing": str(error)}
        except Exception:
            answer = {"failed": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
