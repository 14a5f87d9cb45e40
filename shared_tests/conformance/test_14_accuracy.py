"""Values and derivatives against mpmath, in units of the last place: `nox -s accuracy` in short."""

import pytest

from cases.exact import FUNCTIONS, MANY, OPERATIONS
from reliability.accuracy import (
    arrays,
    complaints,
    errors,
    errors_of_pytorch,
    reference,
    scalars,
)

# A function may be off as far as PyTorch's is.
pytestmark = pytest.mark.pytorch

of_few = pytest.mark.parametrize("function", (*OPERATIONS, *FUNCTIONS), ids=str)


@pytest.mark.pytorch
@of_few
def test_one_point_at_a_time(backend, function):
    """Rules 1.5, 1.7 and 1.16: near zeros and poles, denormal, huge, next to every switch."""
    where = reference(function, 200)
    check(function, where, scalars(backend, function, where))


@pytest.mark.pytorch
@of_few
def test_all_points_at_once(backend, function):
    """Rule 1.21, where a Vector is one array: NumPy's functions are others than those of a scalar."""
    where = reference(function, 200)
    if backend.arrays:
        check(function, where, arrays(backend, function, where))


@pytest.mark.pytorch
@pytest.mark.parametrize("function", MANY, ids=str)
def test_of_many_numbers(backend, function):
    """Sections 2 and 3: sums, softmax and its kin, losses, layers."""
    where = reference(function, 24)
    check(function, where, scalars(backend, function, where))


def check(function, where, results):
    theirs = errors_of_pytorch(function, len(where))
    found = complaints(function, where, errors(where, results), theirs)
    assert not found, "; ".join(found)


@pytest.mark.pytorch
@pytest.mark.parametrize("function", (OPERATIONS[3], FUNCTIONS[2], MANY[6]), ids=str)
def test_a_little_off_is_found(backend, function):
    """The test of this test: five units in the last place too much, or a slope that is."""
    where = reference(function, 64)
    right = scalars(backend, function, where)
    theirs = errors_of_pytorch(function, len(where))
    larger = 1.0 + (40 if function in MANY else 5) * 2.0**-52
    values = [r and (r[0] * larger, r[1]) for r in right]
    slopes = [r and (r[0], [slope * (1.0 + 1e-12) for slope in r[1]]) for r in right]
    assert not complaints(function, where, errors(where, right), theirs)
    assert complaints(function, where, errors(where, values), theirs)
    assert complaints(function, where, errors(where, slopes), theirs)
