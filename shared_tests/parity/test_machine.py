"""All backends through random use, beside a naive reference: `nox -s machine` in short."""

import pytest

from pure_python import Tape, Value, engine
from reliability.machine import BACKENDS, engines, run


@pytest.fixture
def modules(backends):
    found = {backend.name: backend.module for backend in backends}
    return [found[name] for name in BACKENDS]


@pytest.mark.parametrize("count", [3, 2], ids=["all three", "the scalar backends"])
def test_all_agree(modules, count):
    """Rules 1.10 to 1.18 and 5.3, in any order."""
    machine = engines(*modules[:count])
    run(machine, examples=60, steps=50)
    assert machine.done["steps"] > 1000
    assert len(machine.done) > 45


def never(*arguments):
    pass


def without_zeros(self, grad=1.0):
    engine.run_backward(self._nodes, [self._root], [grad])


def with_history(self):
    return self * 1.0


def overwrite(self, node):
    (x,) = node._left
    x._grad = self.slope(x._data, node._data) * node._grad


FAULTS = {
    "zero_grad does nothing": (Value, "zero_grad", never),
    "detach keeps the history": (Value, "detach", with_history),
    "a tape does not start from zero": (Tape, "backward", without_zeros),
    "gradients do not accumulate": (engine.Unary, "backward", overwrite),
    "no_grad records": (engine.no_grad, "__enter__", lambda self: self),
    "a copy forgets its gradient": (Value, "__copy__", lambda self: Value(self._data)),
    "a slope is that of another": (engine.SIGMOID, "slope", lambda x, y: 1.0 - y * y),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(modules, monkeypatch, fault):
    """In one backend of three."""
    owner, name, wrong = FAULTS[fault]
    monkeypatch.setattr(owner, name, wrong)
    if name == "__enter__":
        monkeypatch.setattr(owner, "__exit__", never)
    with pytest.raises(AssertionError):
        run(engines(*modules), examples=400, steps=40, shrink=False)
