"""The estimate of memory, made before anything is allocated."""

import os
import sys

import pytest

from pure_python.training import limits
from pure_python.training.errors import InputError

if sys.platform != "win32":
    import resource


def test_what_is_free_is_plausible():
    free = limits.free_memory()
    assert free is None or 2**20 < free < 2**50


@pytest.mark.parametrize("arrays", [False, True])
def test_networks_that_fit_and_that_do_not(arrays, monkeypatch):
    monkeypatch.setattr(limits, "free_memory", lambda: 2**30)
    limits.check_network([64, 32, 10], batch=32, arrays=arrays)
    for sizes in ([64, 10**6, 10], [2, *[10**4] * 4, 1], [2, 10**400, 1]):
        with pytest.raises(InputError, match="of memory, and about 966 MB can be had"):
            limits.check_network(sizes, batch=32, arrays=arrays)
    with pytest.raises(InputError, match="a network of 2-64-64-64-…-64-1 units"):
        limits.check_network([2, *[64] * 10**6, 1], batch=32, arrays=arrays)


def test_nothing_is_refused_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.setattr(limits, "free_memory", lambda: None)
    limits.check_network([2, 10**9, 1], batch=32, arrays=True)


def test_the_estimate_is_not_below_what_training_takes(backend):
    """Measured with tracemalloc, which sees what Python allocates: all of pure_python."""
    if backend.name != "pure_python":
        return
    import tracemalloc

    tracemalloc.start()
    try:
        model = backend.MLP(50, [200, 10], seed=1)
        optimizer = backend.Adam(model.parameters())
        rows = [[0.5] * 50] * 20
        loss = backend.cross_entropy(model(rows), [0] * 20)
        loss.backward()
        optimizer.step()
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    weights = model.nparams()
    estimate = weights * (limits.BYTES_PER_NODE + limits.BYTES_PER_MOMENTS)
    estimate += 210 * 20 * limits.BYTES_PER_NODE
    assert taken < estimate


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """machine(path=content, …): a system that says this in these files, and nothing in others."""

    def machine(files: dict[str, str], limit: int | None = None):
        limit = resource.RLIM_INFINITY if limit is None else limit
        for path, content in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(content)
        monkeypatch.setattr(limits, "Path", lambda path: tmp_path / str(path).lstrip("/"))
        monkeypatch.setattr(resource, "getrlimit", lambda what: (limit, limit))
        monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 3000, "SC_PAGE_SIZE": 4096}.get)

    return machine


LINUX = {"proc/meminfo": "MemTotal: 900 kB\nMemAvailable: 500 kB\n"}
CONTAINER = {"sys/fs/cgroup/memory.max": "300000\n", "sys/fs/cgroup/memory.current": "180000\n"}
PAGES = {"proc/self/statm": "20 10 5 1 0 9 0\n"}


@pytest.mark.skipif(sys.platform == "win32", reason="limits as POSIX has them")
@pytest.mark.parametrize(
    "files, limit, free",
    [
        (LINUX, None, 500 * 1024),
        (LINUX | CONTAINER, None, 120_000),
        (LINUX | CONTAINER | {"sys/fs/cgroup/memory.max": "max\n"}, None, 500 * 1024),
        (LINUX | PAGES, 200_000, 200_000 - 20 * 4096),
        (LINUX | PAGES, 1000, 0),
        (LINUX, 200_000, 500 * 1024),
        ({}, None, 3000 * 4096),
        ({"proc/meminfo": "MemTotal: 900 kB\n"}, None, 3000 * 4096),
    ],
    ids=[
        "a machine", "a container", "a container without a limit", "a limit", "a limit reached",
        "a limit of what is unknown", "a Mac", "an old Linux",
    ],
)  # fmt: skip
def test_the_least_of_what_is_free_counts(files, limit, free, machine, monkeypatch):
    monkeypatch.setattr(resource, "getpagesize", lambda: 4096)
    machine(files, limit)
    assert limits.free_memory() == free


@pytest.mark.skipif(sys.platform == "win32", reason="limits as POSIX has them")
def test_a_system_that_does_not_tell(machine, monkeypatch):
    machine({})
    monkeypatch.delattr(os, "sysconf")
    assert limits.free_memory() is None
