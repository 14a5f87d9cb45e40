"""Random programs by all backends, PyTorch and a naive reference: `nox -s programs` in short."""

import pytest

from cases.naive import FUNCTIONS, MANY, OPERATIONS
from pure_python import engine, functional
from reliability.programs import BACKENDS, compare


@pytest.fixture
def modules(backends):
    found = {backend.name: backend.module for backend in backends}
    return [found[name] for name in BACKENDS]


@pytest.mark.pytorch
def test_all_agree(modules):
    """Rule 1.18, over every operation: bits, errors, 1e-12."""
    tally = compare(modules, 800)
    assert not tally.wrong, tally.wrong[0]
    assert tally.compared > 500
    assert set(tally.operations) == {*FUNCTIONS, *OPERATIONS, *MANY}


FAULTS = {
    "another derivative": (engine.TANH, "slope", lambda x, y: 1.0 - y),
    "a sign": (engine.SUBTRACT, "slope_b", lambda a, b, y: 1.0),
    "one place": (engine.MAXIMUM, "slope_a", lambda a, b, y: 1.0 if a == b else float(a > b)),
    "a value": (engine.SINH, "value", lambda x: x),
    "the last digit": (engine.ATAN, "slope", lambda x, y: (1.0 + 2.0**-52) / (1.0 + x * x)),
    "a sum": (functional.LOGSUMEXP, "slopes", lambda xs, y: [1.0 / len(xs) for x in xs]),
}


@pytest.mark.pytorch
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(modules, monkeypatch, fault):
    """In one backend of three."""
    row, what, wrong = FAULTS[fault]
    monkeypatch.setattr(row, what, wrong)
    assert compare(modules, 400).wrong
