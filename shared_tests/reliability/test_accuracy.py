"""What the accuracy is measured against is right: the derivatives of cases.exact, three times over."""

import math

import pytest
from mpmath import mp, mpc, mpf

from cases.exact import FUNCTIONS, OPERATIONS, derivatives, points
from cases.numbers import close
from cases.operations import BINARY, UNARY

ANALYTIC = (
    "exp expm1 log sqrt sin cos tan asin acos atan sinh cosh tanh erf sigmoid silu / **".split()
)
RULES = {f.name: f for f in (*UNARY, *BINARY)}


def smooth(function, x):
    """Whether it has no corner and no pole within a small distance."""
    inside = all(0.01 < abs(n) < 25.0 for n in x) and (len(x) == 1 or abs(x[0] - x[1]) > 1e-6)
    return inside and all(function.domain(*(n * s for n in x)) for s in (0.999, 1.001))


def ordinary_points(function):
    return [x for x in points(function, 400) if smooth(function, x)][:40]


@pytest.mark.parametrize("function", (*FUNCTIONS, *OPERATIONS), ids=str)
def test_against_differences(function):
    """To 15 digits, which central differences of sixty digits give."""
    assert ordinary_points(function)
    for x in ordinary_points(function):
        for i, slope in enumerate(function.slopes):
            if function.name == "**" and (x[0] < 0 or x[1] > 20):
                continue
            exact = slope(*map(mpf, x))
            h = mpf(10) ** -30

            def moved(by, x=x, i=i):
                return function.value(*(mpf(n) + by * (j == i) for j, n in enumerate(x)))

            difference = (moved(h) - moved(-h)) / (2 * h)
            assert abs(difference - exact) <= 1e-15 * max(abs(exact), 1e-6 * abs(moved(0))), (
                f"at {x}"
            )


@pytest.mark.parametrize("function", (*FUNCTIONS, *OPERATIONS), ids=str)
def test_against_complex_steps(function):
    """To 40 digits, where the function takes complex numbers."""
    if function.name not in ANALYTIC:
        return
    for x in ordinary_points(function):
        if x[0] < 0 and function.name == "**":
            continue
        steps = derivatives(lambda z: function.value(*z), x)
        for step, slope in zip(steps, function.slopes, strict=True):
            exact = slope(*map(mpf, x))
            # erf's at -23 is e^-564, far below the digits that mpmath gives its real part.
            assert abs(step - exact) <= mpf(10) ** -38 * max(abs(exact), 1e-30), f"at {x}"


@pytest.mark.parametrize("function", (*FUNCTIONS, *OPERATIONS), ids=str)
def test_against_the_table_of_the_interface(function):
    """Rule 1.16, as cases.operations writes it."""
    rule = RULES[function.name]
    for x in ordinary_points(function):
        try:
            y = rule.value(*x)
        except (ValueError, OverflowError):
            continue
        given = rule.slope(*x, y) if len(x) == 1 else rule.slopes(*x, y)
        for got, slope in zip([given] if len(x) == 1 else given, function.slopes, strict=True):
            exact = slope(*map(mpf, x))
            if not mp.isnan(exact):
                scale = abs(float(function.value(*map(mpf, x))))
                assert close(got, float(exact), 1e-9, 1e-15 * max(scale, 1.0)), f"at {x}"


def test_a_wrong_derivative_is_found():
    """The test of these tests."""
    sine = next(f for f in FUNCTIONS if f.name == "sin")
    (step,) = derivatives(lambda z: mp.sin(z[0]) * (1 + mpc(1e-12)), [0.5])
    assert abs(step - sine.slopes[0](mpf(0.5))) > mpf(10) ** -38
    assert not close(float(step), math.cos(0.5), 1e-15)
