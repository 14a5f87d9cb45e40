"""A plugin of pytest that runs each test several times and looks whether anything is left behind.

    python -m pytest shared_tests/conformance --backend cython_core -p reliability.repeated

Values and hidden nodes are counted exactly. So are all references in a debug build of Python; in another
one Python's blocks of memory have to do, which caches take, too.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from typing import Any

import pytest

COUNTS = ("Values", "references" if hasattr(sys, "gettotalrefcount") else "blocks of memory")

# inspect leaves blocks behind where it reads the signature of anything compiled, len for instance.
# What safetensors' own compiled module counts, a debug build of Python does not see.
NOT_OURS = (
    "test_signature",
    "test_save_and_load",
    "test_a_save_that_cannot_be",
    "test_an_interrupted_save_leaves_the_old_file_whole",
    "test_a_damaged_file",
    "test_a_file_of_another_model",
)


def counts() -> tuple[int, int]:
    import cython_core
    import cython_core.engine as engine

    gc.collect()
    if not hasattr(sys, "gettotalrefcount"):
        return engine._cells_in_use(), sys.getallocatedblocks()
    # A generator that Cython 3.3 has compiled keeps a reference to its type, which is there for ever.
    generator = type(cython_core.Neuron(1).named_parameters())
    return engine._cells_in_use(), sys.gettotalrefcount() - sys.getrefcount(generator)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: Any) -> Iterator[None]:
    result = yield
    grown = growth(item, 3) and growth(item, 20)
    if grown and item.originalname not in NOT_OURS:
        raise AssertionError(grown)
    return result


def growth(item: Any, times: int) -> str:
    """What every one of several batches of runs has left behind, as text."""
    gc.collect()
    gc.freeze()  # what there is stays, and the collector need not look at it again
    looks = [counts()]
    for _ in range(2 if times < 10 else 4):
        for _ in range(times):
            item.runtest()
        looks.append(counts())
    least = [
        min(after[i] - before[i] for before, after in zip(looks, looks[1:], strict=False))
        for i in range(len(COUNTS))
    ]
    return ", ".join(
        f"{more / times:.1f} {what} more with each run"
        for more, what in zip(least, COUNTS, strict=True)
        if more >= (1 if what == "Values" else times)
    )
