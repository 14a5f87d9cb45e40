"""A scalar autograd engine: every number remembers how it was computed.

Read it from top to bottom: the table of operations with their derivatives, the Value that records
each operation as it happens, the backward pass that walks the record in reverse, then two
conveniences: Vector, many Values at once, and Tape, the same record run again.
"""

from __future__ import annotations

import math
import os
import reprlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ContextDecorator
from contextvars import ContextVar
from itertools import count
from numbers import Complex, Real
from operator import attrgetter
from typing import Any, NoReturn, SupportsFloat, TypeVar, cast

from pure_python.gelu import gelu, gelu_slope

__all__ = ["Tape", "Value", "Vector", "no_grad"]

# ---------------------------------------------------------------------------------------------
# Numbers
# ---------------------------------------------------------------------------------------------


def is_number(x: object) -> bool:
    """Whether x stands for one real number: it has __float__ or __index__ and is no array."""
    if isinstance(x, (float, int, Value)):
        return True
    kind = type(x)
    return (
        (hasattr(kind, "__float__") or hasattr(kind, "__index__"))
        and not (isinstance(x, Complex) and not isinstance(x, Real))
        and getattr(x, "ndim", 0) == 0
    )


def as_float(x: Any) -> float:
    """x as a float, whatever kind of real number it is, or a TypeError that names it."""
    if type(x) is float:
        return x
    if not is_number(x):
        raise TypeError(f"Value needs a real number, got {reprlib.repr(x)} ({type(x).__name__})")
    return float(x)


def power(base: float, exponent: float) -> float:
    """C's pow: where Python's ** raises, inf or nan. Local gradients never raise."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ValueError:  # 0 to a negative power, or a negative base to a fractional one
        if base != 0:
            return math.nan
        return math.copysign(math.inf, base) if exponent % 2 == 1 else math.inf


def divide(a: float, b: float) -> float:
    """C's division, likewise: by zero it gives inf or nan."""
    if b != 0.0:
        return a / b
    return math.nan if a == 0.0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)


# ---------------------------------------------------------------------------------------------
# Operations: what each computes, and its derivative
# ---------------------------------------------------------------------------------------------
#
# An operation knows three things about a node that it made: its name, how to compute the data again
# (for Tape), and how to hand the node's gradient down to its operands. The chain rule is the line
# `operand._grad += local * above`, here and in every operation that follows.


class Unary:
    """y = f(x). The row of the table: name, f, and dy/dx as a function of x and y."""

    __slots__ = ("name", "slope", "value")

    def __init__(
        self, name: str, value: Callable[[float], float], slope: Callable[[float, float], float]
    ) -> None:
        self.name = name
        self.value = value
        self.slope = slope

    def __call__(self, x: Value) -> Value:
        return record(self.compute(x._data), self, (x,))

    def compute(self, x: float) -> float:
        try:
            return self.value(x)
        except (ArithmeticError, ValueError) as error:
            fail(error, f"{self.name}({x!r})")

    def operation_name(self, node: Value) -> str:
        return self.name

    def recompute(self, node: Value) -> None:
        node._data = self.compute(node._left[0]._data)

    def backward(self, node: Value) -> None:
        (x,) = node._left
        x._grad += self.slope(x._data, node._data) * node._grad

    def local_gradients(self, node: Value) -> tuple[float, ...]:
        (x,) = node._left
        return (self.slope(x._data, node._data),)


class Binary:
    """y = f(a, b). The row: name, f, dy/da and dy/db as functions of a, b and y.

    A plain number on either side is a constant: no node, but part of the operation. `right` and
    `left` are the same row for a number on that side.
    """

    __slots__ = ("left", "name", "right", "slope_a", "slope_b", "value")

    def __init__(
        self,
        name: str,
        value: Callable[[float, float], float],
        slope_a: Callable[[float, float, float], float],
        slope_b: Callable[[float, float, float], float],
    ) -> None:
        self.name = name
        self.value = value
        self.slope_a = slope_a
        self.slope_b = slope_b
        self.right = WithNumberRight(self)
        self.left = WithNumberLeft(self)

    def __call__(self, a: Value, b: Any) -> Value:
        """a and b, where b may be a number; NotImplemented where it is neither."""
        if isinstance(b, Value):
            return record(self.compute(a._data, b._data), self, a, right=b)
        if type(b) is not float and not is_number(b):
            return cast("Value", NotImplemented)
        number = as_float(b)
        return record(self.compute(a._data, number), self.right, (a,), number)

    def reflected(self, b: Value, a: Any) -> Value:
        """The same where Python found the number on the left."""
        if type(a) is not float and not is_number(a):
            return cast("Value", NotImplemented)
        number = as_float(a)
        return record(self.compute(number, b._data), self.left, (b,), number)

    def compute(self, a: float, b: float) -> float:
        try:
            return self.value(a, b)
        except (ArithmeticError, ValueError) as error:
            fail(error, f"{a!r} {self.name} {b!r}")

    def operation_name(self, node: Value) -> str:
        return self.name

    def recompute(self, node: Value) -> None:
        node._data = self.compute(node._left._data, node._right._data)

    def backward(self, node: Value) -> None:
        a, b = node._left, node._right
        x, z, y, above = a._data, b._data, node._data, node._grad
        a._grad += self.slope_a(x, z, y) * above
        b._grad += self.slope_b(x, z, y) * above

    def local_gradients(self, node: Value) -> tuple[float, ...]:
        x, z, y = node._left._data, node._right._data, node._data
        return self.slope_a(x, z, y), self.slope_b(x, z, y)


class WithNumberRight:
    """A Binary row applied to a Value and a number: `x - 1.0`."""

    __slots__ = ("row",)

    def __init__(self, row: Binary) -> None:
        self.row = row

    def operation_name(self, node: Value) -> str:
        return f"{self.row.name} {node._context!r}"

    def recompute(self, node: Value) -> None:
        node._data = self.row.compute(node._left[0]._data, node._context)

    def backward(self, node: Value) -> None:
        (x,) = node._left
        x._grad += self.row.slope_a(x._data, node._context, node._data) * node._grad

    def local_gradients(self, node: Value) -> tuple[float, ...]:
        (x,) = node._left
        return (self.row.slope_a(x._data, node._context, node._data),)


class WithNumberLeft:
    """A Binary row applied to a number and a Value: `1.0 - x`."""

    __slots__ = ("row",)

    def __init__(self, row: Binary) -> None:
        self.row = row

    def operation_name(self, node: Value) -> str:
        return f"{node._context!r} {self.row.name}"

    def recompute(self, node: Value) -> None:
        node._data = self.row.compute(node._context, node._left[0]._data)

    def backward(self, node: Value) -> None:
        (x,) = node._left
        x._grad += self.row.slope_b(node._context, x._data, node._data) * node._grad

    def local_gradients(self, node: Value) -> tuple[float, ...]:
        (x,) = node._left
        return (self.row.slope_b(node._context, x._data, node._data),)


def fail(error: Exception, expression: str) -> NoReturn:
    """Raise the error that Python's arithmetic raised, with the expression in its message."""
    if isinstance(error, ZeroDivisionError):
        why = "division by zero"
    elif isinstance(error, OverflowError):
        why = "the result is too large for a float"
    else:
        why = "outside the function's domain"
    raise type(error)(f"cannot compute {expression}: {why}") from None


# The values ----------------------------------------------------------------------------------


# (Where a name ends in _of it is the function of math that gives inf or nan instead of an error.)


def raise_to(a: float, b: float) -> float:
    if a == 0.0 and -math.inf < b < 0.0:  # a domain error to math.pow; Python's ** says what it is
        raise ZeroDivisionError
    return math.pow(a, b)  # a ** b would turn complex for (-8) ** (1/3)


def sigmoid(x: float) -> float:
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)  # on this side e^-x would overflow
    return e / (1.0 + e)


def softplus(x: float) -> float:
    return x + math.log1p(math.exp(-x)) if x > 0.0 else math.log1p(math.exp(x))


def silu(x: float) -> float:
    if x < -708.0:  # here sigmoid(x) is too small for all its digits
        root = math.exp(0.5 * x)
        return x * root * root
    return x * sigmoid(x)


def silu_slope(x: float, y: float) -> float:
    s = sigmoid(x)
    return s * (1.0 + x * (1.0 - s))


def larger(a: float, b: float) -> float:
    return a if a >= b or a != a else b


def smaller(a: float, b: float) -> float:
    return a if a <= b or a != a else b


def sign(x: float) -> float:
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else x * 0.0


def inverse_root(x: float) -> float:
    return 1.0 / math.sqrt(x) if x > 0.0 else math.inf if x == 0.0 else math.nan


def power_slope_base(a: float, b: float, y: float) -> float:
    return 0.0 if b == 0.0 else b * power(a, b - 1.0)


def power_slope_exponent(a: float, b: float, y: float) -> float:
    if a > 0.0:
        return y * math.log(a)
    if a == 0.0:
        return 0.0 if b >= 0.0 else y * -math.inf
    return math.nan


def over_b(a: float, b: float, y: float) -> float:
    return divide(1.0, b)


def minus_y_over_b(a: float, b: float, y: float) -> float:
    return -divide(y, b)


def sin_of(x: float) -> float:
    return math.sin(x) if x - x == 0.0 else math.nan


def cos_of(x: float) -> float:
    return math.cos(x) if x - x == 0.0 else math.nan


def exp_of(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def cosh_of(x: float) -> float:
    try:
        return math.cosh(x)
    except OverflowError:
        return math.inf


def sinh_of(x: float) -> float:
    try:
        return math.sinh(x)
    except OverflowError:
        return math.copysign(math.inf, x)


TWO_OVER_SQRT_PI = 1.1283791670955126

# The table: name, value, derivative. Compare it with any table of derivatives ----------------

ADD = Binary("+", lambda a, b: a + b, lambda a, b, y: 1.0, lambda a, b, y: 1.0)
SUBTRACT = Binary("-", lambda a, b: a - b, lambda a, b, y: 1.0, lambda a, b, y: -1.0)
MULTIPLY = Binary("*", lambda a, b: a * b, lambda a, b, y: b, lambda a, b, y: a)
DIVIDE = Binary("/", lambda a, b: a / b, over_b, minus_y_over_b)
POWER = Binary("**", raise_to, power_slope_base, power_slope_exponent)

MAXIMUM = Binary(
    "maximum",
    larger,
    lambda a, b, y: 0.5 if a == b else 0.0 if a < b else 1.0,
    lambda a, b, y: 0.5 if a == b else 0.0 if b < a else 1.0,
)
MINIMUM = Binary(
    "minimum",
    smaller,
    lambda a, b, y: 0.5 if a == b else 0.0 if a > b else 1.0,
    lambda a, b, y: 0.5 if a == b else 0.0 if b > a else 1.0,
)

NEGATE = Unary("neg", lambda x: -x, lambda x, y: -1.0)
ABSOLUTE = Unary("abs", abs, lambda x, y: sign(x))

EXP = Unary("exp", math.exp, lambda x, y: y)
EXPM1 = Unary("expm1", math.expm1, lambda x, y: y + 1.0)
LOG = Unary("log", math.log, lambda x, y: divide(1.0, x))
LOG1P = Unary("log1p", math.log1p, lambda x, y: divide(1.0, 1.0 + x))
SQRT = Unary("sqrt", math.sqrt, lambda x, y: divide(0.5, y))

SIN = Unary("sin", math.sin, lambda x, y: cos_of(x))
COS = Unary("cos", math.cos, lambda x, y: -sin_of(x))
TAN = Unary("tan", math.tan, lambda x, y: 1.0 + y * y)
ASIN = Unary("asin", math.asin, lambda x, y: inverse_root((1.0 - x) * (1.0 + x)))
ACOS = Unary("acos", math.acos, lambda x, y: -inverse_root((1.0 - x) * (1.0 + x)))
ATAN = Unary("atan", math.atan, lambda x, y: 1.0 / (1.0 + x * x))

SINH = Unary("sinh", math.sinh, lambda x, y: cosh_of(x))
COSH = Unary("cosh", math.cosh, lambda x, y: sinh_of(x))
TANH = Unary("tanh", math.tanh, lambda x, y: 1.0 - y * y)
ASINH = Unary("asinh", math.asinh, lambda x, y: inverse_root(x * x + 1.0))
ACOSH = Unary("acosh", math.acosh, lambda x, y: inverse_root((x - 1.0) * (x + 1.0)))
ATANH = Unary("atanh", math.atanh, lambda x, y: divide(1.0, (1.0 - x) * (1.0 + x)))

ERF = Unary("erf", math.erf, lambda x, y: TWO_OVER_SQRT_PI * math.exp(-x * x))
SIGMOID = Unary("sigmoid", sigmoid, lambda x, y: y * (1.0 - y))
RELU = Unary("relu", lambda x: 0.0 if x <= 0.0 else x, lambda x, y: 0.0 if x <= 0.0 else 1.0)
SOFTPLUS = Unary("softplus", softplus, lambda x, y: sigmoid(x))
GELU = Unary("gelu", gelu, gelu_slope)
SILU = Unary("silu", silu, silu_slope)


def leaky_relu(negative_slope: float) -> Unary:
    """The row for one slope; the slope is part of the operation's name."""
    if negative_slope == 0.01:
        return LEAKY_RELU
    return Unary(
        f"leaky_relu({negative_slope!r})",
        lambda x: x if x > 0.0 else negative_slope * x,
        lambda x, y: 1.0 if x > 0.0 else negative_slope,
    )


LEAKY_RELU = Unary(
    "leaky_relu(0.01)",
    lambda x: x if x > 0.0 else 0.01 * x,
    lambda x, y: 1.0 if x > 0.0 else 0.01,
)


class Custom:
    """An operation of the user's own, whose local gradients are numbers known beforehand."""

    __slots__ = ()

    def operation_name(self, node: Value) -> str:
        name: str = node._context[0]
        return name

    def recompute(self, node: Value) -> NoReturn:
        raise ValueError(
            f"the custom operation {node.op!r} cannot be recomputed: it is known by its result and "
            "local gradients, not by its formula. Build its part of the graph anew instead"
        )

    def backward(self, node: Value) -> None:
        above = node._grad
        for operand, local in zip(node._left, node._context[1], strict=True):
            operand._grad += local * above

    def local_gradients(self, node: Value) -> tuple[float, ...]:
        slopes: tuple[float, ...] = node._context[1]
        return slopes


CUSTOM = Custom()

# ---------------------------------------------------------------------------------------------
# Value
# ---------------------------------------------------------------------------------------------


class Value:
    """A number that remembers which operation made it, from which operands.

    data: int, float, NumPy scalar or anything else with __float__ or __index__ (else TypeError).
    operands, op, local_grads: for a custom operation, the Values that it was computed from, its
        name, and the derivative with respect to each. They come together (else ValueError).
    label: a name to show in drawings.
    """

    # Slots instead of a __dict__: half the memory, and quicker to fill.
    __slots__ = (
        "_context",  # what the operation needs besides its operands: the number in `x * 2.0`
        "_data",
        "_grad",
        "_label",
        "_left",  # the left operand of a Binary, for which a tuple is saved; else the tuple of all
        "_operation",  # None on a leaf
        "_order",  # the how-manieth node this is: backward goes from high to low
        "_right",  # the right operand of a Binary, else None
        "_visit",  # the backward pass that last came by
    )

    # NumPy arrays on the left of an operator step back and let the reflected method answer.
    __array_ufunc__ = None

    def __init__(
        self,
        data: SupportsFloat,
        operands: Iterable[Value] = (),
        op: str = "",
        label: str = "",
        local_grads: Iterable[SupportsFloat] | None = None,
    ) -> None:
        self._data = as_float(data)
        self._grad = 0.0
        self.label = label
        self._left: Any = ()
        self._right: Any = None
        self._operation: Any = None
        self._context: Any = None
        self._order = next(numbering)
        self._visit = 0
        operands = all_of(operands, "operands")
        if operands or local_grads is not None or op:
            self._make_custom(operands, op, local_grads)

    def _make_custom(
        self, operands: tuple[Value, ...], op: str, local_grads: Iterable[SupportsFloat] | None
    ) -> None:
        given = () if local_grads is None else all_of(local_grads, "local_grads")
        locals_ = tuple(as_float(local) for local in given)
        for operand in operands:
            if not isinstance(operand, Value):
                raise TypeError(f"an operand must be a Value, got {reprlib.repr(operand)}")
        if not isinstance(op, str):
            raise TypeError(f"op must be a str, got {reprlib.repr(op)}")
        if not operands or len(operands) != len(locals_):
            raise ValueError(
                f"a custom operation needs one local gradient for each operand, "
                f"got {len(operands)} operands and {len(locals_)} local gradients"
            )
        if recording():
            self._left = operands
            self._operation = CUSTOM
            self._context = (op, locals_)

    # What a user sees ------------------------------------------------------------------------

    @property
    def data(self) -> float:
        """The number itself."""
        return self._data

    @data.setter
    def data(self, number: SupportsFloat) -> None:
        self._data = as_float(number)

    @property
    def grad(self) -> float:
        """The gradient: the derivative of what backward was called on with respect to this."""
        return self._grad

    @grad.setter
    def grad(self, number: SupportsFloat) -> None:
        set_gradient(self, as_float(number))

    @property
    def label(self) -> str:
        """A name to show in drawings. TypeError if set to anything but a str."""
        return self._label

    @label.setter
    def label(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"label must be a str, got {reprlib.repr(text)}")
        self._label = text

    @property
    def op(self) -> str:
        """The name of the operation that made this Value, "" on a leaf."""
        if self._operation is None:
            return ""
        name: str = self._operation.operation_name(self)
        return name

    @property
    def operands(self) -> tuple[Value, ...]:
        """The Values that this one was computed from, () on a leaf."""
        if self._operation is OUTPUT:
            block, index = self._left[0], self._context
            values: tuple[Value, ...] = block._operation.operands(block, index)
            return values
        if self._right is not None:
            return self._left, self._right
        operands: tuple[Value, ...] = self._left
        return operands

    _op = op  # the names that scripts written for micrograd read
    _prev = operands

    def __repr__(self) -> str:
        return f"Value({self._data!r}, grad={self._grad!r})"

    def __format__(self, spec: str) -> str:
        return format(self._data, spec) if spec else repr(self)

    def __float__(self) -> float:
        return self._data

    def __bool__(self) -> bool:
        return self._data != 0.0

    # Arithmetic ------------------------------------------------------------------------------
    #
    # Every operation has one shape: a row of the table, applied. Addition and multiplication of
    # two Values are what most graphs are made of, so these two write out what the table would do:
    # the result, and a node that remembers it (`record`, below).

    def __add__(self, other: Value | SupportsFloat) -> Value:
        if isinstance(other, Value) and not no_grad_blocks:
            node = new(Value)
            node._data = self._data + other._data
            node._grad = 0.0
            node._label = ""
            node._left = self
            node._right = other
            node._operation = ADD
            node._context = None
            node._order = next(numbering)
            node._visit = 0
            return node
        return ADD(self, other)

    def __radd__(self, other: SupportsFloat) -> Value:
        if type(other) is int and other == 0:  # the built-in sum begins with 0 + first
            return self
        return ADD(self, other)

    def __sub__(self, other: Value | SupportsFloat) -> Value:
        return SUBTRACT(self, other)

    def __rsub__(self, other: SupportsFloat) -> Value:
        return SUBTRACT.reflected(self, other)

    def __mul__(self, other: Value | SupportsFloat) -> Value:
        if isinstance(other, Value) and not no_grad_blocks:
            node = new(Value)
            node._data = self._data * other._data
            node._grad = 0.0
            node._label = ""
            node._left = self
            node._right = other
            node._operation = MULTIPLY
            node._context = None
            node._order = next(numbering)
            node._visit = 0
            return node
        return MULTIPLY(self, other)

    def __rmul__(self, other: SupportsFloat) -> Value:
        return MULTIPLY(self, other)

    def __truediv__(self, other: Value | SupportsFloat) -> Value:
        return DIVIDE(self, other)

    def __rtruediv__(self, other: SupportsFloat) -> Value:
        return DIVIDE.reflected(self, other)

    def __pow__(self, other: Value | SupportsFloat) -> Value:
        return POWER(self, other)

    def __rpow__(self, other: SupportsFloat) -> Value:
        return POWER.reflected(self, other)

    def __neg__(self) -> Value:
        return NEGATE(self)

    def __pos__(self) -> Value:
        return self

    def __abs__(self) -> Value:
        return ABSOLUTE(self)

    def maximum(self, other: Value | SupportsFloat) -> Value:
        """The larger of two; a tie shares the gradient. TypeError if other is no number."""
        return MAXIMUM(self, other if isinstance(other, Value) else as_float(other))

    def minimum(self, other: Value | SupportsFloat) -> Value:
        """The smaller of two; a tie shares the gradient. TypeError if other is no number."""
        return MINIMUM(self, other if isinstance(other, Value) else as_float(other))

    # Comparison: of data. == and hash stay those of object, which mean identity --------------

    def __lt__(self, other: Value | SupportsFloat) -> bool:
        return self._data < float(other) if is_number(other) else NotImplemented

    def __le__(self, other: Value | SupportsFloat) -> bool:
        return self._data <= float(other) if is_number(other) else NotImplemented

    def __gt__(self, other: Value | SupportsFloat) -> bool:
        return self._data > float(other) if is_number(other) else NotImplemented

    def __ge__(self, other: Value | SupportsFloat) -> bool:
        return self._data >= float(other) if is_number(other) else NotImplemented

    # Functions -------------------------------------------------------------------------------

    def exp(self) -> Value:
        """e to the power of self. OverflowError above 709.78."""
        return EXP(self)

    def expm1(self) -> Value:
        """exp(self) - 1, exact near 0. OverflowError above 709.78."""
        return EXPM1(self)

    def log(self) -> Value:
        """The natural logarithm. ValueError at 0 and below."""
        return LOG(self)

    def log1p(self) -> Value:
        """log(1 + self), exact near 0. ValueError at -1 and below."""
        return LOG1P(self)

    def sqrt(self) -> Value:
        """The square root. ValueError below 0."""
        return SQRT(self)

    def sin(self) -> Value:
        """The sine of an angle in radians. ValueError at infinity."""
        return SIN(self)

    def cos(self) -> Value:
        """The cosine of an angle in radians. ValueError at infinity."""
        return COS(self)

    def tan(self) -> Value:
        """The tangent of an angle in radians. ValueError at infinity."""
        return TAN(self)

    def asin(self) -> Value:
        """The angle in radians whose sine this is. ValueError outside [-1, 1]."""
        return ASIN(self)

    def acos(self) -> Value:
        """The angle in radians whose cosine this is. ValueError outside [-1, 1]."""
        return ACOS(self)

    def atan(self) -> Value:
        """The angle in radians whose tangent this is."""
        return ATAN(self)

    def sinh(self) -> Value:
        """The hyperbolic sine. OverflowError beyond ±710.47."""
        return SINH(self)

    def cosh(self) -> Value:
        """The hyperbolic cosine. OverflowError beyond ±710.47."""
        return COSH(self)

    def tanh(self) -> Value:
        """The hyperbolic tangent, between -1 and 1."""
        return TANH(self)

    def asinh(self) -> Value:
        """The inverse of sinh."""
        return ASINH(self)

    def acosh(self) -> Value:
        """The inverse of cosh. ValueError below 1."""
        return ACOSH(self)

    def atanh(self) -> Value:
        """The inverse of tanh. ValueError outside (-1, 1)."""
        return ATANH(self)

    def erf(self) -> Value:
        """The error function, 2/√π times the integral of exp(-t²) from 0 to self."""
        return ERF(self)

    def sigmoid(self) -> Value:
        """1 / (1 + exp(-self)), between 0 and 1."""
        return SIGMOID(self)

    def relu(self) -> Value:
        """self where positive, else 0."""
        return RELU(self)

    def leaky_relu(self, negative_slope: SupportsFloat = 0.01) -> Value:
        """self where positive, else negative_slope times self."""
        return leaky_relu(as_float(negative_slope))(self)

    def softplus(self) -> Value:
        """log(1 + exp(self)), a smooth relu."""
        return SOFTPLUS(self)

    def gelu(self) -> Value:
        """self times the normal distribution function (Hendrycks and Gimpel 2016, exact form)."""
        return GELU(self)

    def silu(self) -> Value:
        """self times sigmoid(self), also called swish."""
        return SILU(self)

    # Gradients -------------------------------------------------------------------------------

    def backward(self, grad: SupportsFloat = 1.0) -> None:
        """Add to the grad of every leaf below: grad times d self / d leaf.

        The gradients of leaves accumulate over calls; those of all other nodes start from zero.
        """
        backpropagate([self], [as_float(grad)])

    def zero_grad(self) -> None:
        """Set grad to 0.0 on this Value."""
        self._grad = 0.0

    def detach(self) -> Value:
        """A leaf with the same data and no history."""
        return Value(self._data)

    def __copy__(self) -> Value:
        return restore(type(self), self._data, self._grad, self._label)

    def __deepcopy__(self, memo: dict[int, Any]) -> Value:
        return restore(type(self), self._data, self._grad, self._label)

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (type(self), self._data, self._grad, self._label)

    def _composition(self) -> tuple[Any, ...] | None:
        """Of a fused dot product: weights, inputs, bias, activation, gradient at the sum."""
        compose = getattr(self._operation, "compose", None)
        parts: tuple[Any, ...] | None = compose(self) if compose else None
        return parts

    def _moment(self) -> tuple[int, ...]:
        """When the operation that made this was recorded, as what compares; () on a leaf."""
        if self._operation is None:
            return ()
        if self._operation is OUTPUT:
            return self._left[0]._order, self._context
        return self._order, 0

    def _local_gradients(self) -> tuple[float, ...]:
        """The derivative with respect to each of the operands, at the data that they hold now."""
        if self._operation is None:
            return ()
        slopes: tuple[float, ...] = self._operation.local_gradients(self)
        return slopes

    def _recomputed(self, memo: dict[Any, Any]) -> float:
        """What data would be, computed anew from what the operands hold now.

        memo: a dict for many calls, as the outputs of one block are computed together.
        """
        if self._operation is None or self._operation is CUSTOM:
            return self._data
        if self._operation is not OUTPUT:
            data: float = twin_computed_anew(self)._data
            return data
        block = self._left[0]
        if block not in memo:
            memo[block] = twin_computed_anew(block)._data
        number: float = memo[block][self._context]
        return number


def twin_computed_anew(node: Any) -> Any:
    """A node or block like this one, with the data that its operands give now."""
    twin = new(type(node))
    twin._left, twin._right = node._left, node._right
    twin._operation, context = node._operation, node._context
    twin._context = context.copy() if isinstance(context, list) else context
    twin._operation.recompute(twin)
    return twin


def all_of(values: Any, what: str) -> tuple[Any, ...]:
    """values as a tuple, or a TypeError that says what they were given for."""
    if type(values) is tuple:
        return values
    if not isinstance(values, Iterable):
        raise TypeError(f"{what} must be a sequence, got {describe(values)}")
    return tuple(values)


def restore(kind: type[Value], data: float, grad: float, label: str) -> Value:
    """A copy without history; what pickle calls."""
    value = kind(data, label=label)
    set_gradient(value, grad)
    return value


# A sum that begins with 0.0 is never -0.0, the only number that adding 0.0 would change. So a gradient
# is -0.0 only where somebody sets it; until then nobody need add zeros to gradients.
minus_zero_was_set = False


def set_gradient(value: Value, number: float) -> None:
    global minus_zero_was_set
    if number == 0.0 and math.copysign(1.0, number) == -1.0:
        minus_zero_was_set = True
    value._grad = number


def zeros_change_nothing() -> bool:
    """Whether adding zeros leaves every gradient as it is."""
    return not minus_zero_was_set


# ---------------------------------------------------------------------------------------------
# The record
# ---------------------------------------------------------------------------------------------

numbering = count(1)
new = object.__new__


def record(data: float, operation: Any, left: Any, context: Any = None, right: Any = None) -> Value:
    """The node that an operation made: its result, and what backward will need.

    left: the tuple of operands; of a Binary the left one, beside the right one.
    """
    if no_grad_blocks and innermost():
        return Value(data)
    node = new(Value)  # without __init__, which checks what here is known to be right
    node._data = data
    node._grad = 0.0
    node._label = ""
    node._left = left
    node._right = right
    node._operation = operation
    node._context = context
    node._order = next(numbering)
    node._visit = 0
    return node


class Block:
    """One step of computation with several outputs, such as a softmax or a layer.

    Its gradient with respect to the operands is computed once, from the gradients of all outputs
    together. Each output is a Value that holds its block; the block does not know its outputs,
    else neither could be freed.
    """

    __slots__ = (
        "_context",
        "_data",  # of the outputs, a list
        "_left",  # the operands, a tuple
        "_operation",
        "_order",
        "_right",  # None, as of all that is no Binary
        "_visit",
        "gradients",  # of the outputs, a list
    )

    def __init__(
        self, data: list[float], operation: Any, operands: tuple[Value, ...], context: Any
    ) -> None:
        self._data = data
        self._operation = operation
        self._left = operands
        self._right = None
        self._context = context
        self._order = next(numbering)
        self._visit = 0
        self.gradients: list[float] = []

    def _start_from(self, zero: float) -> None:
        self.gradients = [zero] * len(self._data)

    _grad = property(None, _start_from)  # set to 0.0 by backward, as on any other node


class Output:
    """The operation of a Value that is one output of a block, the one at node._context.

    run_backward gathers its gradient with those of the other outputs.
    """

    __slots__ = ()

    def operation_name(self, node: Value) -> str:
        name: str = node._left[0]._operation.name
        return name

    def recompute(self, node: Value) -> None:
        node._data = node._left[0]._data[node._context]

    def local_gradients(self, node: Value) -> tuple[float, ...]:
        block = node._left[0]
        slopes: tuple[float, ...] = block._operation.local_gradients(block, node._context)
        return slopes

    def compose(self, node: Value) -> tuple[Any, ...] | None:
        block = node._left[0]
        compose = getattr(block._operation, "compose_output", None)
        parts: tuple[Any, ...] | None = compose(block, node) if compose else None
        return parts


OUTPUT = Output()


def record_block(
    data: list[float], operation: Any, operands: tuple[Value, ...], context: Any
) -> list[Value]:
    """The outputs of a block as Values."""
    block = (Block(data, operation, operands, context),)
    return [record(y, OUTPUT, block, index) for index, y in enumerate(data)]


# ---------------------------------------------------------------------------------------------
# Backward
# ---------------------------------------------------------------------------------------------

by_order = attrgetter("_order")


def operations_below(roots: Iterable[Value], from_zero: bool = False) -> list[Any]:
    """Every node below the roots that an operation made, the last made first.

    Operands are always older than their results, so this order visits a node only after all that
    use it: by then its gradient is complete. An explicit stack, since a graph may be deeper than
    Python's recursion goes. from_zero: their gradients are set to zero.
    """
    visit = next(numbering)
    found: list[Any] = []
    stack: list[Any] = list(roots)
    while stack:
        node = stack.pop()
        # Go on with the left operand; others wait.
        while node._visit != visit and node._operation is not None:
            node._visit = visit
            found.append(node)
            if from_zero:
                node._grad = 0.0
            if node._right is None:
                stack += node._left
                break
            if node._right._operation is not None:
                stack.append(node._right)
            node = node._left
    found.sort(key=by_order, reverse=True)
    return found


# Held while gradients are handed down: the passes of several threads run one after another, each as
# a whole. Reentrant, since freeing something on the way can run a __del__ that calls backward.
walking = threading.RLock()


def after_fork() -> None:
    """In the child only the thread that forked goes on: what another one held, nobody lets go."""
    global walking
    walking = threading.RLock()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows alone has no forks
    os.register_at_fork(after_in_child=after_fork)


def backpropagate(roots: Sequence[Value], grads: Sequence[float]) -> None:
    """The backward pass from several roots at once."""
    with walking:
        run_backward(operations_below(roots, from_zero=True), roots, grads)


def run_backward(nodes: Sequence[Any], roots: Sequence[Value], grads: Sequence[float]) -> None:
    """Hand the gradient of each node down to its operands; nodes in the order to visit them."""
    for root, grad in zip(roots, grads, strict=True):
        root._grad += grad
    for node in nodes:
        operation = node._operation
        if operation is ADD:  # the two most common are written out, to the same effect
            above = node._grad
            node._left._grad += above
            node._right._grad += above
        elif operation is MULTIPLY:
            a, b, above = node._left, node._right, node._grad
            a._grad += b._data * above
            b._grad += a._data * above
        elif operation is OUTPUT:
            node._left[0].gradients[node._context] += node._grad
        else:
            operation.backward(node)


# ---------------------------------------------------------------------------------------------
# no_grad
# ---------------------------------------------------------------------------------------------

# The innermost block that was entered here, open or not: tasks and threads that are started inside a
# block begin with it, and may outlive it.
paused: ContextVar[Entered | None] = ContextVar("trigrad_no_grad", default=None)
no_grad_blocks: set[Entered] = set()  # open anywhere: while none is, nobody asks the ContextVar


class Entered:
    """A block of no_grad: each time that one is entered it is another."""

    __slots__ = ("before",)

    def __init__(self, before: Entered | None) -> None:
        self.before = before


Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class no_grad(ContextDecorator):
    """A context manager, or decorator, inside which operations record no graph.

    It holds for the thread and the asynchronous task that entered it, and for tasks started inside.
    """

    _entered: Entered | None = None

    def __enter__(self) -> no_grad:
        if self._entered in no_grad_blocks:
            raise RuntimeError("this no_grad() is entered already: make one for each block")
        self._entered = Entered(innermost())
        no_grad_blocks.add(self._entered)
        paused.set(self._entered)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._entered is None:
            return
        no_grad_blocks.discard(self._entered)
        if paused.get() is self._entered:
            paused.set(self._entered.before)

    def __call__(self, func: Decorated) -> Decorated:
        from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

        suspends = (isasyncgenfunction, iscoroutinefunction, isgeneratorfunction)
        if any(kind(func) for kind in suspends):
            raise TypeError(
                "no_grad cannot decorate a coroutine or generator function: the block would end "
                "before its first line runs. Write `with no_grad():` inside the function"
            )
        return super().__call__(func)

    def _recreate_cm(self) -> no_grad:
        return no_grad()  # each call of a decorated function is a block of its own


def innermost() -> Entered | None:
    """The innermost open block that holds here."""
    block = paused.get()
    while block is not None and block not in no_grad_blocks:
        block = block.before
    return block


def recording() -> bool:
    """Whether operations record a graph here."""
    return innermost() is None


# ---------------------------------------------------------------------------------------------
# Operations on many operands
# ---------------------------------------------------------------------------------------------
#
# Their arguments may be Values and plain numbers in any mixture. The context of such a node is the
# list of arguments and whatever constants the operation needs besides (targets, an eps).


def arguments_of(values: Any, what: str | Callable[[], str]) -> list[Any]:
    """values as a list in which every element is a Value or a float.

    what: who needs them, for a TypeError; or what makes that name, should it come to one.
    """
    if isinstance(values, Vector) and not values._is_nested():
        return list(values._values)
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        name = what if isinstance(what, str) else what()
        raise TypeError(f"{name} needs a sequence of Values and numbers, got {describe(values)}")
    return [v if isinstance(v, Value) else as_float(v) for v in values]


def values_among(arguments: Iterable[Any]) -> tuple[Value, ...]:
    return tuple([v for v in arguments if isinstance(v, Value)])


def data_of(arguments: Iterable[Any]) -> list[float]:
    return [v._data if isinstance(v, Value) else v for v in arguments]


def describe(x: object) -> str:
    return f"{reprlib.repr(x)} ({type(x).__name__})"


def of_operands(arguments: Iterable[Any], slopes: Iterable[float]) -> tuple[float, ...]:
    """The local gradients with respect to the Values among the arguments."""
    pairs = zip(arguments, slopes, strict=True)
    return tuple([local for v, local in pairs if isinstance(v, Value)])


def give_from_last(arguments: Sequence[Any], contributions: Sequence[float]) -> None:
    """Add to each operand's gradient; the last first, as if it had been made last."""
    for v, contribution in zip(reversed(arguments), reversed(contributions), strict=True):
        if isinstance(v, Value):
            v._grad += contribution


class Reduction:
    """One output from many operands: y = f(xs). The row: name, f, all local gradients."""

    __slots__ = ("name", "slopes", "value")

    def __init__(
        self,
        name: str,
        value: Callable[..., float],
        slopes: Callable[..., list[float]],
    ) -> None:
        self.name = name
        self.value = value
        self.slopes = slopes

    def __call__(self, arguments: list[Any], *constants: Any) -> Value:
        data = self.value(data_of(arguments), *constants)
        return record(data, self, values_among(arguments), (arguments, constants))

    def operation_name(self, node: Value) -> str:
        return self.name

    def recompute(self, node: Value) -> None:
        arguments, constants = node._context
        node._data = self.value(data_of(arguments), *constants)

    def backward(self, node: Value) -> None:
        arguments, constants = node._context
        above = node._grad
        slopes = self.slopes(data_of(arguments), node._data, *constants)
        give_from_last(arguments, [local * above for local in slopes])

    def local_gradients(self, node: Value) -> tuple[float, ...]:
        arguments, constants = node._context
        return of_operands(arguments, self.slopes(data_of(arguments), node._data, *constants))


class Joint:
    """Many outputs from many operands: ys = f(xs). The row: name, f, and the gradients of all
    operands as a function of xs, ys and the gradients of all outputs."""

    __slots__ = ("contributions", "name", "value")

    def __init__(
        self,
        name: str,
        value: Callable[..., list[float]],
        contributions: Callable[..., list[float]],
    ) -> None:
        self.name = name
        self.value = value
        self.contributions = contributions

    def __call__(self, arguments: list[Any], *constants: Any) -> Vector:
        data = self.compute(data_of(arguments), constants)
        operands = values_among(arguments)
        return vector(record_block(data, self, operands, (arguments, constants)))

    def compute(self, xs: list[float], constants: tuple[Any, ...]) -> list[float]:
        try:
            return self.value(xs, *constants)
        except ArithmeticError as error:
            fail(error, f"{self.name}({reprlib.repr(xs)})")

    def operands(self, block: Block, index: int) -> tuple[Any, ...]:
        operands: tuple[Value, ...] = block._left
        return operands

    def recompute(self, block: Block) -> None:
        arguments, constants = block._context
        block._data = self.compute(data_of(arguments), constants)

    def backward(self, block: Block) -> None:
        arguments, constants = block._context
        xs = data_of(arguments)
        give_from_last(arguments, self.contributions(xs, block._data, block.gradients, *constants))

    def local_gradients(self, block: Block, index: int) -> tuple[float, ...]:
        """Those of one output: what the operands are given where it alone has a gradient, 1."""
        arguments, constants = block._context
        above = [0.0] * len(block._data)
        above[index] = 1.0
        xs = data_of(arguments)
        return of_operands(arguments, self.contributions(xs, block._data, above, *constants))


def total(xs: Iterable[float]) -> float:
    """The sum from left to right. The built-in sum compensates from CPython 3.12 on: other bits."""
    result = 0.0
    for x in xs:
        result += x
    return result


def largest(xs: Iterable[float]) -> float:
    result = -math.inf
    for x in xs:
        if x != x:
            return x
        if x > result:
            result = x
    return result


def smallest(xs: Iterable[float]) -> float:
    return -largest([-x for x in xs])


def shares_of(xs: list[float], y: float) -> list[float]:
    """1 to the one that was chosen, equal shares where several tie; nan where it is nan."""
    if y != y:
        return [y] * len(xs)
    share = 1.0 / max(1, xs.count(y))
    return [share if x == y else 0.0 for x in xs]


SUM = Reduction("sum", total, lambda xs, y: [1.0] * len(xs))
MEAN = Reduction("mean", lambda xs: total(xs) / len(xs), lambda xs, y: [1.0 / len(xs)] * len(xs))
MAX = Reduction("max", largest, shares_of)
MIN = Reduction("min", smallest, shares_of)


class Dot:
    """b + w·x as one node, whose gradients are those of its multiplies and adds, bit for bit."""

    __slots__ = ()

    def __call__(self, weights: list[Any], inputs: list[Any], bias: Any) -> Value:
        data = self.compute(weights, inputs, bias)
        operands = values_among((*weights, *inputs, bias))
        return record(data, self, operands, (weights, inputs, bias))

    def compute(self, weights: list[Any], inputs: list[Any], bias: Any) -> float:
        (result,) = data_of((bias,))
        for w, x in zip(data_of(weights), data_of(inputs), strict=True):
            result += w * x
        return result

    def operation_name(self, node: Value) -> str:
        return "dot"

    def recompute(self, node: Value) -> None:
        node._data = self.compute(*node._context)

    def backward(self, node: Value) -> None:
        weights, inputs, bias = node._context
        above = node._grad
        for i in reversed(range(len(weights))):
            w, x = weights[i], inputs[i]
            if isinstance(w, Value):
                w._grad += (x._data if isinstance(x, Value) else x) * above
            if isinstance(x, Value):
                x._grad += (w._data if isinstance(w, Value) else w) * above
        if isinstance(bias, Value):
            bias._grad += above

    def local_gradients(self, node: Value) -> tuple[float, ...]:
        weights, inputs, bias = node._context
        slopes = (*data_of(inputs), *data_of(weights), 1.0)
        return of_operands((*weights, *inputs, bias), slopes)

    def compose(self, node: Value) -> tuple[Any, ...]:
        weights, inputs, bias = node._context
        return weights, inputs, bias, "", node._grad


DOT = Dot()

# ---------------------------------------------------------------------------------------------
# Vector
# ---------------------------------------------------------------------------------------------


def elementwise(row: Unary) -> Callable[[Vector], Vector]:
    """The method of Vector that applies a row of the table to every scalar."""

    def method(self: Vector) -> Vector:
        return self._each(row)

    method.__name__ = row.name
    method.__qualname__ = f"Vector.{row.name}"
    method.__doc__ = f"Value.{row.name} of each element."
    return method


class Vector:
    """A sequence of Values, or of Vectors of one length, with elementwise arithmetic.

    values: Values, numbers (they become leaves), or sequences of them (they become Vectors).
    TypeError for anything else, ValueError for rows of different lengths.
    """

    __slots__ = ("_values",)

    __array_ufunc__ = None

    def __init__(self, values: Iterable[Any]) -> None:
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise TypeError(f"Vector needs a sequence of Values, got {describe(values)}")
        self._values: tuple[Any, ...] = tuple([as_element(v) for v in values])
        rows = {len(v._values) if isinstance(v, Vector) else None for v in self._values}
        if len(rows) > 1:
            raise ValueError(
                f"a Vector needs rows of one length, got {', '.join(map(row_length, self._values))}"
            )

    # A sequence ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return vector(self._values[index])
        try:
            return self._values[index]
        except IndexError:
            raise IndexError(f"a Vector of {len(self)} has no element {index}") from None
        except TypeError:
            raise TypeError(
                f"a Vector is indexed by integers and slices, got {describe(index)}"
            ) from None

    def __contains__(self, value: object) -> bool:
        return any(value is v for v in self._values)

    def __repr__(self) -> str:
        return repr(list(self._values))

    def __reduce__(self) -> tuple[Any, ...]:
        return Vector, (self._values,)

    @property
    def data(self) -> list[Any]:
        """The data of its Values, a list of floats; settable from a number or a sequence."""
        return [v.data for v in self._values]

    @data.setter
    def data(self, numbers: Any) -> None:
        for v, number in self._assign(numbers):
            v._data = number

    @property
    def grad(self) -> list[Any]:
        """The gradients of its Values, a list of floats; settable like data."""
        return [v.grad for v in self._values]

    @grad.setter
    def grad(self, numbers: Any) -> None:
        for v, number in self._assign(numbers):
            set_gradient(v, number)

    def _assign(self, numbers: Any) -> list[tuple[Value, float]]:
        """Each scalar with its number; all are checked before the first is set."""
        if is_number(numbers):
            number = as_float(numbers)
            return [(v, number) for v in scalars_of(self)]
        if not is_sequence(numbers):
            raise TypeError(
                f"a Vector needs a sequence of Values and numbers, got {describe(numbers)}"
            )
        numbers = list(numbers)
        if len(numbers) != len(self):
            raise ValueError(f"a Vector of {len(self)} cannot be set from {len(numbers)} numbers")
        pairs: list[tuple[Value, float]] = []
        for v, number in zip(self._values, numbers, strict=True):
            pairs += v._assign(number) if isinstance(v, Vector) else [(v, as_float(number))]
        return pairs

    # Arithmetic ------------------------------------------------------------------------------

    def _each(self, operation: Callable[..., Any], *arguments: Any) -> Vector:
        """The operation on every scalar."""
        return vector(
            [
                v._each(operation, *arguments)
                if isinstance(v, Vector)
                else operation(v, *arguments)
                for v in self._values
            ]
        )

    def _with(self, other: Any, operation: Callable[[Any, Any], Any]) -> Vector:
        """The operation on every scalar and its partner in other."""
        if isinstance(other, Value) or is_number(other):
            return self._each(operation, other)
        if isinstance(other, str | bytes) or not isinstance(other, Iterable):
            return cast("Vector", NotImplemented)
        partners = list(other)
        # A flat sequence beside a Vector of Vectors goes with every row, as NumPy has it.
        if self._is_nested() and not any(map(is_sequence, partners)):
            return vector([row._with(partners, operation) for row in self._values])
        if not self._is_nested() and any(map(is_sequence, partners)):
            return Vector([self._with(row, operation) for row in partners])
        if len(partners) != len(self):
            raise ValueError(
                f"a Vector of {len(self)} and one of {len(partners)} cannot be combined"
            )
        return vector(
            [
                v._with(partner, operation) if isinstance(v, Vector) else operation(v, partner)
                for v, partner in zip(self._values, map(number_or_value, partners), strict=True)
            ]
        )

    def _is_nested(self) -> bool:
        return bool(self._values) and isinstance(self._values[0], Vector)

    def __add__(self, other: Any) -> Vector:
        return self._with(other, lambda v, w: v + w)

    def __radd__(self, other: Any) -> Vector:
        return self._with(other, lambda v, w: w + v)

    def __sub__(self, other: Any) -> Vector:
        return self._with(other, lambda v, w: v - w)

    def __rsub__(self, other: Any) -> Vector:
        return self._with(other, lambda v, w: w - v)

    def __mul__(self, other: Any) -> Vector:
        return self._with(other, lambda v, w: v * w)

    def __rmul__(self, other: Any) -> Vector:
        return self._with(other, lambda v, w: w * v)

    def __truediv__(self, other: Any) -> Vector:
        return self._with(other, lambda v, w: v / w)

    def __rtruediv__(self, other: Any) -> Vector:
        return self._with(other, lambda v, w: w / v)

    def __pow__(self, other: Any) -> Vector:
        return self._with(other, lambda v, w: v**w)

    def __rpow__(self, other: Any) -> Vector:
        return self._with(other, lambda v, w: w**v)

    def __neg__(self) -> Vector:
        return self._each(NEGATE)

    def __pos__(self) -> Vector:
        return self

    def __abs__(self) -> Vector:
        return self._each(ABSOLUTE)

    def __matmul__(self, other: Any) -> Value:
        if not is_sequence(other):
            return NotImplemented
        return self.dot(other)

    def __rmatmul__(self, other: Any) -> Value:
        if not is_sequence(other):
            return NotImplemented
        return dot_product(other, self, 0.0)

    def maximum(self, other: Any) -> Vector:
        """Elementwise the larger; other a Value, a number or a sequence as long as self."""
        return checked(self._with(other, Value.maximum), other)

    def minimum(self, other: Any) -> Vector:
        """Elementwise the smaller; other a Value, a number or a sequence as long as self."""
        return checked(self._with(other, Value.minimum), other)

    # Functions: each that of Value, elementwise ----------------------------------------------

    exp = elementwise(EXP)
    expm1 = elementwise(EXPM1)
    log = elementwise(LOG)
    log1p = elementwise(LOG1P)
    sqrt = elementwise(SQRT)
    sin = elementwise(SIN)
    cos = elementwise(COS)
    tan = elementwise(TAN)
    asin = elementwise(ASIN)
    acos = elementwise(ACOS)
    atan = elementwise(ATAN)
    sinh = elementwise(SINH)
    cosh = elementwise(COSH)
    tanh = elementwise(TANH)
    asinh = elementwise(ASINH)
    acosh = elementwise(ACOSH)
    atanh = elementwise(ATANH)
    erf = elementwise(ERF)
    sigmoid = elementwise(SIGMOID)
    relu = elementwise(RELU)
    softplus = elementwise(SOFTPLUS)
    gelu = elementwise(GELU)
    silu = elementwise(SILU)

    def leaky_relu(self, negative_slope: SupportsFloat = 0.01) -> Vector:
        """Value.leaky_relu of each element."""
        return self._each(leaky_relu(as_float(negative_slope)))

    # Reductions: one operation each, over all scalars ----------------------------------------

    def dot(self, other: Any) -> Value:
        """The sum of the products, from left to right. ValueError where the lengths differ."""
        return dot_product(self, other, 0.0)

    def sum(self) -> Value:
        """The sum from left to right."""
        return SUM(scalars_of(self))

    def mean(self) -> Value:
        """The sum divided by the count. ValueError if there is nothing to average."""
        return MEAN(some(scalars_of(self), "mean"))

    def max(self) -> Value:
        """The largest; ties share the gradient. ValueError if there is nothing to choose from."""
        return MAX(some(scalars_of(self), "max"))

    def min(self) -> Value:
        """The smallest; ties share the gradient. ValueError if there is nothing to choose from."""
        return MIN(some(scalars_of(self), "min"))

    # Gradients -------------------------------------------------------------------------------

    def backward(self, grad: Any = None) -> None:
        """Value.backward of all elements at once; grad a number or one for each, by default 1."""
        pairs = self._assign(1.0 if grad is None else grad)
        backpropagate([v for v, _ in pairs], [g for _, g in pairs])

    def zero_grad(self) -> None:
        """Set grad to 0.0 on every scalar."""
        self.grad = 0.0

    def detach(self) -> Vector:
        """A Vector of leaves with the same data."""
        return vector([v.detach() for v in self._values])


def vector(values: Iterable[Any]) -> Vector:
    """A Vector of what is known to be Values, or Vectors of one length, without another check."""
    result: Vector = new(Vector)
    result._values = tuple(values)
    return result


def as_element(v: Any) -> Any:
    if isinstance(v, Value | Vector):
        return v
    return Vector(v) if is_sequence(v) else Value(v)


def number_or_value(v: Any) -> Any:
    """An element of a sequence beside a Vector: a number is a constant, so it stays one."""
    return v if isinstance(v, Value) or is_sequence(v) else as_float(v)


def is_sequence(x: object) -> bool:
    if isinstance(x, (float, Value)):
        return False
    return isinstance(x, (list, tuple, Vector)) or (
        isinstance(x, Iterable) and not isinstance(x, (str, bytes, dict)) and not is_number(x)
    )


def row_length(v: Any) -> str:
    return str(len(v._values)) if isinstance(v, Vector) else "a single Value"


def checked(result: Vector, other: object) -> Vector:
    """The result, or the TypeError that an operator would have raised for NotImplemented."""
    if result is NotImplemented:
        raise TypeError(f"a Vector cannot be combined with {describe(other)}")
    return result


def scalars_of(values: Any) -> list[Any]:
    """All Values of a Vector, row by row."""
    if values._is_nested():
        return [v for row in values._values for v in scalars_of(row)]
    return list(values._values)


def some(arguments: list[Any], what: str) -> list[Any]:
    if not arguments:
        raise ValueError(f"{what} needs at least one Value, got none")
    return arguments


def dot_product(weights: Any, inputs: Any, bias: Any) -> Value:
    """What functional.dot and Vector.dot share."""
    weights, inputs = arguments_of(weights, "dot"), arguments_of(inputs, "dot")
    if len(weights) != len(inputs):
        raise ValueError(f"dot of {len(weights)} weights and {len(inputs)} inputs")
    return DOT(weights, inputs, bias if isinstance(bias, Value) else as_float(bias))


# ---------------------------------------------------------------------------------------------
# Tape
# ---------------------------------------------------------------------------------------------


class Tape:
    """The graph of one Value, recorded once and run again for other data of its leaves.

    Control flow is frozen as it was recorded. ValueError for a graph with a custom operation, whose
    formula is not known. len(tape) is the number of operations.
    """

    __slots__ = ("_idle", "_nodes", "_root")

    def __init__(self, root: Value) -> None:
        if not isinstance(root, Value):
            raise TypeError(f"Tape needs a Value as its root, got {describe(root)}")
        self._idle = threading.Lock()  # taken while it is at work
        self._root = root
        with walking:
            self._nodes = operations_below([root])
        for node in self._nodes:
            if node._operation is CUSTOM:
                CUSTOM.recompute(node)

    def __len__(self) -> int:
        count = 0
        for node in self._nodes:
            if isinstance(node, Block):
                count += len(node._data)
            elif node._operation is not OUTPUT:
                count += 1
        return count

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Tape cannot be copied or pickled: it belongs to the graph it recorded")

    def _refuse_another(self) -> None:
        if not self._idle.acquire(blocking=False):
            raise RuntimeError("this Tape is at work in another thread: record one for each")

    def set(self, leaves: Any, values: Any) -> None:
        """Give leaves new data: a Value and a number, or a sequence of leaves and one of numbers.

        ValueError where the lengths differ; then nothing is set.
        """
        if isinstance(leaves, Value):
            leaves, values = [leaves], [values]
        targets = scalars_of(leaves if isinstance(leaves, Vector) else Vector(leaves))
        for leaf in targets:
            check_leaf(leaf)
        numbers = [as_float(number) for number in flattened(values)]
        if len(targets) != len(numbers):
            raise ValueError(f"{len(targets)} leaves cannot be set from {len(numbers)} numbers")
        for leaf, number in zip(targets, numbers, strict=True):
            leaf._data = number

    def forward(self) -> float:
        """Recompute every node from the leaves' present data; the root's data."""
        self._refuse_another()
        try:
            for node in reversed(self._nodes):
                node._operation.recompute(node)
            return self._root._data
        finally:
            self._idle.release()

    def backward(self, grad: SupportsFloat = 1.0) -> None:
        """Value.backward on the recorded graph."""
        seed = as_float(grad)
        self._refuse_another()
        try:
            with walking:
                for node in self._nodes:
                    node._grad = 0.0
                run_backward(self._nodes, [self._root], [seed])
        finally:
            self._idle.release()


def check_leaf(value: Value) -> None:
    if value.op:
        raise ValueError(
            f"a Tape sets leaves, whose data nothing computes; got the result of {value.op!r}"
        )


def flattened(numbers: Any) -> list[Any]:
    if not is_sequence(numbers):
        raise TypeError(f"leaves are set from a sequence of numbers, got {describe(numbers)}")
    return [number for row in numbers for number in (row if is_sequence(row) else [row])]
