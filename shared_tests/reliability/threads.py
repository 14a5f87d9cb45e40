"""Threads that take turns as often as Python can make them: no bit of a single thread may change.

    python -m reliability.threads [SECONDS]

Round after round with each backend, for so many seconds (20) in all: threads train networks of their
own while others walk one graph that they share, and while processes are forked. Prints, as JSON, how
many of each there were, and ends with 1 where a number differs or a child hangs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import time
from typing import Any

from cases.threads import at_once, chain, train

BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")
TRAINERS, WALKERS, PASSES = 3, 2, 200


def round_of(m: Any, seed: int) -> dict[str, int]:
    """Everything at once, against the same numbers from one thread."""
    seeds = range(seed, seed + TRAINERS)
    alone = [train(m, each, 100) for each in seeds]
    x = m.Value(1.5)
    shared = chain(m, x, 300)

    def walk() -> None:
        for _ in range(PASSES):
            shared.backward()

    def fork() -> list[int]:
        return [child_that_trains(m, seed, alone[0]) for _ in range(3)] if can_fork else []

    can_fork = hasattr(os, "fork")
    trainers = [lambda each=each: train(m, each, 100) for each in seeds]
    *trained, forked = at_once(*trainers, *[walk] * WALKERS, fork)
    if trained[:TRAINERS] != alone:
        raise SystemExit(f"{m.__name__}: threads from seed {seed} disturbed each other")
    if x.grad != WALKERS * PASSES:
        raise SystemExit(f"{m.__name__}: {WALKERS * PASSES} passes gave a gradient of {x.grad!r}")
    if any(forked):
        raise SystemExit(f"{m.__name__}: forked children ended with {forked}, seed {seed}")
    return {"trainings": TRAINERS, "shared passes": WALKERS * PASSES, "forks": len(forked)}


def child_that_trains(m: Any, seed: int, expected: list[float]) -> int:
    """0 where a forked child computes the same numbers; an alarm ends one that hangs."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if train(m, seed, 100) == expected else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def stress(backend: str, seconds: float) -> dict[str, int]:
    m = importlib.import_module(backend)
    counts: dict[str, int] = {"rounds": 0}
    start = time.monotonic()
    while not counts["rounds"] or time.monotonic() - start < seconds:
        for what, count in round_of(m, counts["rounds"]).items():
            counts[what] = counts.get(what, 0) + count
        counts["rounds"] += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m reliability.threads")
    parser.add_argument("seconds", nargs="?", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    print(json.dumps({name: stress(name, seconds / len(BACKENDS)) for name in BACKENDS}))


if __name__ == "__main__":
    main()
