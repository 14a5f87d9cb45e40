"""x·Φ(x) with all its digits, where Φ is the distribution function of the normal distribution.

It is 0.5·x·erfc(-x/√2), and from -1 on computed so. Further left erfc makes more and more of the
rounding of x/√2: at -37 three digits would be lost. There x·Φ(x) is -φ(x)·(1 - 1/x² + 3/x⁴ - 15/x⁶ + …)
(Abramowitz and Stegun, 26.2.12), φ(x) = exp(-x²/2)/√(2π). The sum diverges, so what it takes from 1
is a quotient of two polynomials here, fitted to values of 70 digits between -39 and -1. Times 1/√(2π)
it is off by 5e-18 of the whole at most. Left of -39 the result is 0 to a float.
"""

import math

SQRT_HALF = 0.7071067811865476  # 1 / sqrt(2)
INV_SQRT_2PI = 0.3989422804014327  # 1 / sqrt(2 pi)
SHORTENER = 1.5 * 2.0**32  # added and taken away again it leaves multiples of 2**-20

# The coefficients of both polynomials in -x, from the tenth power down to the constant term.
COEFFICIENTS = (
    (0.0, 1.0),
    (0.0, 21.478804063350193),
    (0.3989422804014327, 240.91105868648006),
    (8.568803073018332, 1767.7504752656764),
    (94.9127803381292, 9210.032705647911),
    (679.5239925016692, 35131.852841220694),
    (3391.9269493490183, 98473.06994073991),
    (12028.41653759298, 198927.9321699676),
    (29662.141285755668, 275743.3636518382),
    (46990.57052411841, 235843.81584438644),
    (37578.368296143904, 94195.00080564062),
)


def gelu(x: float) -> float:
    return left_tail(x) if -39.0 < x < -1.0 else 0.5 * x * math.erfc(-x * SQRT_HALF)


def left_tail(x: float) -> float:
    numerator = denominator = 0.0
    for above, below in COEFFICIENTS:
        numerator = above - numerator * x
        denominator = below - denominator * x
    return times_bell(numerator / denominator - INV_SQRT_2PI, x)


def times_bell(factor: float, x: float) -> float:
    """factor·exp(-x²/2), from a short x, whose square is exact, and the small rest of the exponent."""
    short = (x + SHORTENER) - SHORTENER
    rest = (short - x) * (0.5 * (short + x))
    product = factor + factor * math.expm1(rest)
    if x > -37.0:
        return product * math.exp(-0.5 * short * short)
    root = math.exp(-0.25 * short * short)  # its square is too small for all its digits
    return product * root * root


def gelu_slope(x: float, y: float) -> float:
    if -39.0 < x < -1.0:
        return y / x + times_bell(x * INV_SQRT_2PI, x)
    return 0.5 * math.erfc(-x * SQRT_HALF) + x * math.exp(-0.5 * x * x) * INV_SQRT_2PI
