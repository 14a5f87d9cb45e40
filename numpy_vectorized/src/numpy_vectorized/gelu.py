"""x·Φ(x) with all its digits, where Φ is the distribution function of the normal distribution.

Floats are computed by pure_python, and arrays by its formulas, which are explained there.
"""

from typing import Any

import numpy as np

from numpy_vectorized.erf import erfc
from pure_python import gelu as scalar
from pure_python.gelu import COEFFICIENTS, INV_SQRT_2PI, SHORTENER, SQRT_HALF

Array = np.ndarray[Any, Any]
BOTH_POLYNOMIALS = np.array(COEFFICIENTS)[:, :, np.newaxis]


def gelu(x: Any) -> Any:
    if type(x) is float:
        return scalar.gelu(x)
    x = np.asarray(x)
    y = np.asarray(0.5 * x * erfc(-x * SQRT_HALF))
    tail = (x > -39.0) & (x < -1.0)
    if tail.any():
        y[tail] = left_tail(x[tail].astype(np.float64, copy=False))
    return y


def left_tail(x: Array) -> Array:
    size, polynomials = -x, np.zeros((2, x.size))
    for coefficients in BOTH_POLYNOMIALS:
        polynomials *= size
        polynomials += coefficients
    return times_bell(polynomials[0] / polynomials[1] - INV_SQRT_2PI, x)


def times_bell(factor: Array, x: Array) -> Array:
    """factor·exp(-x²/2), from a short x, whose square is exact, and the small rest of the exponent."""
    short = (x + SHORTENER) - SHORTENER
    rest = (short - x) * (0.5 * (short + x))
    product: Array = factor + factor * np.expm1(rest)
    # Left of -37 the square of a root, which is too small for all its digits.
    root = np.exp(np.where(x > -37.0, -0.5, -0.25) * short * short)
    product *= root
    product *= np.where(x > -37.0, 1.0, root)
    return product


def gelu_slope(x: Any, y: Any) -> Any:
    if type(x) is float:
        return scalar.gelu_slope(x, y)
    x = np.asarray(x)
    slope = np.asarray(0.5 * erfc(-x * SQRT_HALF) + x * np.exp(-0.5 * x * x) * INV_SQRT_2PI)
    tail = (x > -39.0) & (x < -1.0)
    if tail.any():
        t = x[tail].astype(np.float64, copy=False)
        slope[tail] = np.asarray(y)[tail] / t + times_bell(t * INV_SQRT_2PI, t)
    return slope
