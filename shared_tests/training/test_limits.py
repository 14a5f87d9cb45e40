"""The estimate of memory, made before anything is allocated."""

import pytest

from pure_python.training import limits
from pure_python.training.errors import InputError


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
