"""Whether a network fits the memory, estimated before anything is allocated."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from .errors import InputError

# A scalar node with its slots, its numbers and its place in a list; measured to be a little less.
BYTES_PER_NODE = 280
# An array element: data, gradient and a temporary.
BYTES_PER_ELEMENT = 24
# The optimiser's two moments, and their text in the file that is saved.
BYTES_PER_MOMENTS = 130
# A number that is read from a file: its bytes, as an array and as a float in a list.
BYTES_PER_NUMBER = 8 + 8 + 32
# The share of what is free that a run may plan with; the rest is for the libraries.
SHARE = 0.9


def check_network(sizes: list[int], batch: int, arrays: bool) -> None:
    """InputError if training layers of `sizes` is estimated to need more memory than is free.

    sizes: inputs, hidden units, outputs; batch: samples in one graph, or evaluated at once; arrays:
    whether the engine stores arrays rather than a node a scalar.
    """
    weights = sum((n_in + 1) * n_out for n_in, n_out in zip(sizes, sizes[1:], strict=False))
    each = BYTES_PER_ELEMENT if arrays else BYTES_PER_NODE
    needed = weights * (each + BYTES_PER_MOMENTS) + sum(sizes[1:]) * batch * each
    _check(needed, f"a network of {_layers(sizes)} units")


def check_samples(samples: int, features: int) -> None:
    """InputError if generating so many samples is estimated to need more memory than is free."""
    _check(samples * (features + 1) * 8 * 6, f"a data set of {_count(samples)} samples")


def check_weights(numbers: int) -> None:
    """InputError if reading so many numbers from a weights file would need more memory than is free."""
    _check(numbers * BYTES_PER_NUMBER, f"a weights file of {_count(numbers)} numbers")


def check_table(path: str, needed: int) -> None:
    """InputError if the table in a file is estimated to need more memory than is free."""
    _check(needed, f"{path}: a table as large as this")


def _check(needed: int, what: str) -> None:
    free = free_memory()
    if free is not None and needed > SHARE * free:
        usable = _size(int(SHARE * free))
        raise InputError(f"{what} needs {_size(needed)} of memory, and {usable} can be had")


def free_memory() -> int | None:
    """Bytes that this process may still take: of the machine, its container and its own limit.

    None where the system does not say.
    """
    bounds = [_machine(), _container("memory.max", "memory.current"), _own_limit()]
    known = [bound for bound in bounds if bound is not None]
    return max(0, min(known)) if known else None


def _machine() -> int | None:
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:  # elsewhere the whole memory is the best there is
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _container(limit: str, used: str) -> int | None:
    folder = Path("/sys/fs/cgroup")
    try:
        return int((folder / limit).read_text()) - int((folder / used).read_text())
    except (OSError, ValueError):  # no container, or its limit is "max"
        return None


def _own_limit() -> int | None:
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return None
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return limit - pages * resource.getpagesize()
    except (ImportError, OSError, ValueError):
        return None


def _layers(sizes: list[int]) -> str:
    shown = [_count(size) for size in sizes]
    return "-".join(shown if len(shown) <= 8 else [*shown[:4], "…", *shown[-2:]])


def _count(n: int) -> str:
    return str(n) if n < 10**9 else f"{n:.2g}" if n < 10**300 else "over 1e300"


def _size(n: int) -> str:
    if n >= 10**18:
        return "a million TB and more"
    for bound, unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if n >= bound:
            return (
                f"about {n // bound} {unit}" if n >= 10 * bound else f"about {n / bound:.1f} {unit}"
            )
    return f"{n} bytes"
