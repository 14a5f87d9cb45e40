"""The operations of rules 1.5 and 1.7: what they give, their derivatives, and their special places.

The values and derivatives are written here a second time, from the tables of the contract (1.15 and
1.16) and with Python's `math`, so that they can be compared with an engine and with PyTorch.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

inf, nan = math.inf, math.nan
HUGE, TINY = 1e300, 5e-324
SQRT_PI = math.sqrt(math.pi)

ZERO = ZeroDivisionError, "division by zero"
DOMAIN = ValueError, "outside the function's domain"
LARGE = OverflowError, "the result is too large for a float"


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def softplus(x: float) -> float:
    return x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x))


def normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def normal_pdf(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class Unary:
    """One function of one Value.

    special: what happens at the edges: (x, value, derivative), or (x, error). A derivative of None is
    not fixed by the contract.
    """

    name: str
    value: Callable[[float], float]
    slope: Callable[[float, float], float]  # of x and y
    points: tuple[float, ...]
    special: tuple[tuple, ...]
    apply: Callable[[Any], Any]
    op: str
    torch: str = ""  # PyTorch's name for it, where that is exact everywhere in `points`

    def __str__(self) -> str:
        return self.name


def unary(name, value, slope, points, special, apply=None, op=None, torch=None) -> Unary:
    return Unary(
        name,
        value,
        slope,
        points,
        special,
        apply or (lambda v: getattr(v, name)()),
        op or name,
        name if torch is None else torch,
    )


ANY = (0.5, -0.5, 1.3, -1.3, 3.0, -3.0, 0.01, -0.01, 7.5, -7.5)
POSITIVE = (0.5, 1.0, 1.3, 3.0, 0.01, 7.5, 1e-10, 1e10, 1e-300, HUGE)
INSIDE = (0.5, -0.5, 0.9, -0.9, 0.01, -0.01, 0.999999)

UNARY = (
    unary(
        "neg", lambda x: -x, lambda x, y: -1.0, ANY,
        ((0.0, -0.0, -1), (-0.0, 0.0, -1), (inf, -inf, -1), (nan, nan, -1), (HUGE, -HUGE, -1)),
        lambda v: -v,
    ),
    unary(
        "abs", abs, lambda x, y: math.copysign(1.0, x) if x else 0.0, ANY,
        ((0.0, 0.0, 0), (-0.0, 0.0, 0), (inf, inf, 1), (-inf, inf, -1), (nan, nan, nan), (-TINY, TINY, -1)),
        abs,
    ),
    unary(
        "exp", math.exp, lambda x, y: y, (*ANY, 700.0, -700.0),
        ((0.0, 1, 1), (-0.0, 1, 1), (-inf, 0.0, 0), (inf, inf, inf), (nan, nan, nan), (TINY, 1, 1),
         (-1000.0, 0.0, 0), (1000.0, LARGE), (HUGE, LARGE)),
    ),
    unary(
        "expm1", math.expm1, lambda x, y: y + 1, (*ANY, 1e-10, 700.0),
        ((0.0, 0.0, 1), (-0.0, -0.0, 1), (-inf, -1, 0), (inf, inf, inf), (nan, nan, nan),
         (1e-300, 1e-300, 1), (1000.0, LARGE)),
    ),
    unary(
        "log", math.log, lambda x, y: 1 / x, POSITIVE,
        ((1.0, 0.0, 1), (inf, inf, 0), (nan, nan, nan), (TINY, math.log(TINY), inf),
         (0.0, DOMAIN), (-0.0, DOMAIN), (-1.0, DOMAIN), (-inf, DOMAIN)),
    ),
    unary(
        "log1p", math.log1p, lambda x, y: 1 / (1 + x), (0.5, -0.5, 3.0, -0.99, 1e-10, -1e-10, HUGE),
        ((0.0, 0.0, 1), (-0.0, -0.0, 1), (inf, inf, 0), (nan, nan, nan), (1e-300, 1e-300, 1),
         (-1.0, DOMAIN), (-2.0, DOMAIN), (-inf, DOMAIN)),
    ),
    unary(
        "sqrt", math.sqrt, lambda x, y: 0.5 / y, POSITIVE,
        ((0.0, 0.0, inf), (-0.0, -0.0, -inf), (inf, inf, 0), (nan, nan, nan), (-1.0, DOMAIN), (-inf, DOMAIN)),
    ),
    unary(
        "sin", math.sin, lambda x, y: math.cos(x), (*ANY, 1000.0),
        ((0.0, 0.0, 1), (-0.0, -0.0, 1), (nan, nan, nan), (1e-300, 1e-300, 1), (inf, DOMAIN), (-inf, DOMAIN)),
    ),
    unary(
        "cos", math.cos, lambda x, y: -math.sin(x), (*ANY, 1000.0),
        ((0.0, 1, 0), (nan, nan, nan), (inf, DOMAIN), (-inf, DOMAIN)),
    ),
    unary(
        "tan", math.tan, lambda x, y: 1 + y * y, ANY,
        ((0.0, 0.0, 1), (-0.0, -0.0, 1), (nan, nan, nan), (inf, DOMAIN), (-inf, DOMAIN)),
    ),
    unary(
        "asin", math.asin, lambda x, y: 1 / math.sqrt((1 - x) * (1 + x)), INSIDE,
        ((0.0, 0.0, 1), (-0.0, -0.0, 1), (1.0, math.pi / 2, inf), (-1.0, -math.pi / 2, inf), (nan, nan, nan),
         (2.0, DOMAIN), (-2.0, DOMAIN), (inf, DOMAIN)),
    ),
    unary(
        "acos", math.acos, lambda x, y: -1 / math.sqrt((1 - x) * (1 + x)), INSIDE,
        ((0.0, math.pi / 2, -1), (1.0, 0.0, -inf), (-1.0, math.pi, -inf), (nan, nan, nan),
         (2.0, DOMAIN), (-inf, DOMAIN)),
    ),
    unary(
        "atan", math.atan, lambda x, y: 1 / (1 + x * x), ANY,
        ((0.0, 0.0, 1), (-0.0, -0.0, 1), (inf, math.pi / 2, 0), (-inf, -math.pi / 2, 0), (nan, nan, nan),
         (HUGE, math.pi / 2, 0)),
    ),
    unary(
        "sinh", math.sinh, lambda x, y: math.cosh(x), ANY,
        ((0.0, 0.0, 1), (-0.0, -0.0, 1), (inf, inf, inf), (-inf, -inf, inf), (nan, nan, nan),
         (1e-300, 1e-300, 1), (1000.0, LARGE), (-1000.0, LARGE)),
    ),
    unary(
        "cosh", math.cosh, lambda x, y: math.sinh(x), ANY,
        ((0.0, 1, 0), (inf, inf, inf), (-inf, inf, -inf), (nan, nan, nan), (1000.0, LARGE), (-1000.0, LARGE)),
    ),
    unary(
        "tanh", math.tanh, lambda x, y: 1 - y * y, ANY,
        ((0.0, 0.0, 1), (-0.0, -0.0, 1), (inf, 1, 0), (-inf, -1, 0), (1000.0, 1, 0), (-1000.0, -1, 0),
         (HUGE, 1, 0), (-HUGE, -1, 0), (nan, nan, nan), (1e-300, 1e-300, 1)),
    ),
    unary(
        "asinh", math.asinh, lambda x, y: 1 / math.sqrt(x * x + 1), ANY,
        ((0.0, 0.0, 1), (-0.0, -0.0, 1), (inf, inf, 0), (-inf, -inf, 0), (nan, nan, nan),
         (HUGE, math.asinh(HUGE), 0), (1e-300, 1e-300, 1)),
    ),
    unary(
        "acosh", math.acosh, lambda x, y: 1 / math.sqrt((x - 1) * (x + 1)), (1.3, 3.0, 7.5, 1.000001),
        ((1.0, 0.0, inf), (inf, inf, 0), (nan, nan, nan), (HUGE, math.acosh(HUGE), 0),
         (0.5, DOMAIN), (-1.0, DOMAIN), (-inf, DOMAIN)),
    ),
    unary(
        "atanh", math.atanh, lambda x, y: 1 / ((1 - x) * (1 + x)), INSIDE,
        ((0.0, 0.0, 1), (-0.0, -0.0, 1), (nan, nan, nan), (1e-300, 1e-300, 1),
         (1.0, DOMAIN), (-1.0, DOMAIN), (2.0, DOMAIN), (inf, DOMAIN)),
    ),
    unary(
        "erf", math.erf, lambda x, y: 2 / SQRT_PI * math.exp(-x * x), ANY,
        ((0.0, 0.0, 2 / SQRT_PI), (-0.0, -0.0, 2 / SQRT_PI), (inf, 1, 0), (-inf, -1, 0), (nan, nan, nan),
         (HUGE, 1, 0)),
    ),
    unary(
        "sigmoid", sigmoid, lambda x, y: y * (1 - y), (*ANY, -30.0, -700.0),
        ((0.0, 0.5, 0.25), (-0.0, 0.5, 0.25), (inf, 1, 0), (-inf, 0.0, 0), (1000.0, 1, 0), (-1000.0, 0.0, 0),
         (-710.0, 4.47628622567513e-309, 4.47628622567513e-309), (nan, nan, nan)),
    ),
    unary(
        "relu", lambda x: 0.0 if x <= 0.0 else x, lambda x, y: float(x > 0), ANY,
        ((0.0, 0, 0), (-0.0, 0, 0), (inf, inf, 1), (-inf, 0.0, 0), (TINY, TINY, 1), (-TINY, 0, 0),
         (nan, nan, 1)),
    ),
    unary(
        "leaky_relu", lambda x: x if x > 0 else 0.01 * x, lambda x, y: 1.0 if x > 0 else 0.01, ANY,
        ((0.0, 0, 0.01), (-0.0, 0, 0.01), (inf, inf, 1), (-inf, -inf, 0.01), (nan, nan, 0.01)),
        op="leaky_relu(0.01)",
    ),
    unary(
        "leaky_relu(0.3)", lambda x: x if x > 0 else 0.3 * x, lambda x, y: 1.0 if x > 0 else 0.3, ANY,
        ((0.0, 0, 0.3), (-HUGE, -0.3 * HUGE, 0.3)),
        lambda v: v.leaky_relu(negative_slope=0.3), torch="",
    ),
    unary(
        "softplus", softplus, lambda x, y: sigmoid(x), (*ANY, 30.0, -30.0, -700.0),
        ((0.0, math.log(2), 0.5), (inf, inf, 1), (-inf, 0.0, 0), (800.0, 800, 1), (-800.0, 0.0, 0),
         (HUGE, HUGE, 1), (nan, nan, nan)),
        torch="",  # PyTorch's is the identity from 20 on
    ),
    unary(
        "gelu", lambda x: x * normal_cdf(x), lambda x, y: normal_cdf(x) + x * normal_pdf(x), (*ANY, -20.0, 20.0),
        ((0.0, 0, 0.5), (-0.0, 0, 0.5), (inf, inf, nan), (-inf, nan, nan), (nan, nan, nan), (100.0, 100, 1),
         (-100.0, 0, 0), (HUGE, HUGE, 1), (-HUGE, 0, 0)),
        torch="",  # PyTorch's loses digits left of -3
    ),
    unary(
        "silu", lambda x: x * sigmoid(x), lambda x, y: sigmoid(x) * (1 + x * (1 - sigmoid(x))), (*ANY, -30.0),
        ((0.0, 0, 0.5), (-0.0, 0, 0.5), (inf, inf, nan), (-inf, nan, nan), (nan, nan, nan), (800.0, 800, 1),
         (-800.0, 0, 0)),
    ),
)


def c_power(a: float, b: float) -> float:
    """C's pow: inf or nan where Python raises."""
    try:
        y = a**b
    except ZeroDivisionError:
        return math.copysign(inf, a) if b % 2 == 1 else inf
    except OverflowError:
        return -inf if a < 0 and b % 2 == 1 else inf
    return nan if isinstance(y, complex) else y


def c_divide(a: float, b: float) -> float:
    if b == 0:
        return nan if a == 0 or a != a else math.copysign(inf, a) * math.copysign(1, b)
    return a / b


def power_slopes(a: float, b: float, y: float) -> tuple[float, float]:
    by_base = 0.0 if b == 0 else b * c_power(a, b - 1)
    if a == 0:
        by_exponent = 0.0 if b >= 0 else y * -inf
    else:
        by_exponent = nan if a < 0 or a != a else y * math.log(a)
    return by_base, by_exponent


def extreme(a: float, b: float, choose: Callable) -> float:
    return nan if a != a or b != b else choose(a, b)


def extreme_slopes(choose: Callable) -> Callable:
    def slopes(a: float, b: float, y: float) -> tuple[float, float]:
        if a != a or b != b:
            return 1.0, 1.0
        if a == b:
            return 0.5, 0.5
        return float(choose(a, b) == a), float(choose(a, b) == b)

    return slopes


@dataclass(frozen=True)
class Binary:
    """One operation of two Values, or of a Value and a number on either side."""

    name: str
    apply: Callable[[Any, Any], Any]
    value: Callable[[float, float], float]  # raises what Python's arithmetic raises
    slopes: Callable[[float, float, float], tuple[float, float]]  # of a, b and y
    operator: bool = True
    commutes: bool = False
    pairs: tuple[tuple[float, float], ...] = field(default=())

    def __str__(self) -> str:
        return self.name

    def expression(self, a: float, b: float) -> str:
        """How an error message writes it."""
        return f"{a!r} {self.name} {b!r}"

    def op_with_number(self, number: float, left: bool) -> str:
        return f"{number!r} {self.name}" if left and not self.commutes else f"{self.name} {number!r}"


def power(a: float, b: float) -> float:
    # To Python's ** such a power is complex, and may be too large as that.
    if -inf < a < 0.0 and math.isfinite(b) and b != math.floor(b):
        raise ValueError
    return a**b


ORDINARY = tuple((a, b) for a in (2.0, -3.5, 0.7, 1e-3) for b in (3.0, -1.5, 0.7))
EDGES = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -0.5, inf, -inf, nan, HUGE, -HUGE, 1e-300, TINY)
EDGE_PAIRS = tuple((a, b) for a in EDGES for b in EDGES)

BINARY = (
    Binary("+", lambda a, b: a + b, lambda a, b: a + b, lambda a, b, y: (1.0, 1.0), commutes=True),
    Binary("-", lambda a, b: a - b, lambda a, b: a - b, lambda a, b, y: (1.0, -1.0)),
    Binary("*", lambda a, b: a * b, lambda a, b: a * b, lambda a, b, y: (b, a), commutes=True),
    Binary(
        "/", lambda a, b: a / b, lambda a, b: a / b,
        lambda a, b, y: (c_divide(1.0, b), -c_divide(y, b)),
    ),
    Binary("**", lambda a, b: a**b, power, power_slopes),
    Binary(
        "maximum", lambda a, b: a.maximum(b), lambda a, b: extreme(a, b, max), extreme_slopes(max),
        operator=False, commutes=True,
    ),
    Binary(
        "minimum", lambda a, b: a.minimum(b), lambda a, b: extreme(a, b, min), extreme_slopes(min),
        operator=False, commutes=True,
    ),
)


def expected_binary(operation: Binary, a: float, b: float):
    """The value, or (error type, the reason in its message)."""
    try:
        return operation.value(a, b)
    except ZeroDivisionError:
        return ZERO
    except OverflowError:
        return LARGE
    except ValueError:
        return DOMAIN
