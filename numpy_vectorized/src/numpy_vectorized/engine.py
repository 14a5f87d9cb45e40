"""An autograd engine whose Values hold arrays as well as numbers.

Read it beside the engine of pure_python: the same table of operations, the same record, the same
backward pass. What is more: a row of the table works on a float and on a whole array, gradients are
summed over what was broadcast, and an element or a slice is a view of its array.
"""

from __future__ import annotations

import math
import os
import reprlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ContextDecorator
from contextvars import ContextVar
from functools import lru_cache, partial
from itertools import accumulate, count, product
from numbers import Complex, Real
from operator import attrgetter
from typing import Any, Literal, NoReturn, Self, SupportsFloat, TypeAlias, TypeVar, cast, overload

import numpy as np

from numpy_vectorized import erf as error_function
from numpy_vectorized.gelu import gelu, gelu_slope

__all__ = ["Tape", "Value", "Vector", "concatenate", "no_grad", "stack", "where"]

# ---------------------------------------------------------------------------------------------
# Numbers and arrays
# ---------------------------------------------------------------------------------------------
#
# Inside the engine data is a Python float or an array of one dimension or more, never anything
# between. A float computes with `math` and raises Python's errors; an array follows NumPy.


# What operators take beside Values, which have a float too, as arrays have. A str is a sequence as
# well, so the sequences are named.
Numbers: TypeAlias = SupportsFloat | list[Any] | tuple[Any, ...]

FLOAT64 = np.dtype(np.float64)
DTYPES = frozenset((FLOAT64, np.dtype(np.float32)))

# Arrays give inf and nan without a warning. To say so takes NumPy as long as a small operation
# does, so it is said once around many: as a decorator, which is cheaper than `with`.
quiet = np.errstate(all="ignore")

# The C library of Linux hands arrays of 128 KB and more back to the system when they die, and each
# new one costs a page fault for every 4 KB: a third of a training step. Having seen an array of
# this size die, it keeps what is smaller for the next. Nothing is written to it, so it is free.
np.empty(2**25 - 2**16, np.uint8)


LINE = 64  # bytes of a cache line, and of the widest registers

FEW = 2**15  # elements of what is kept for reuse and looked at all at once

# dot begins sooner than matmul, but clears the memory that it is about to write: from so many
# elements on that takes longer.
MANY = 2**13

# To compute with: a Python float would be made an array each time.
ZERO = {dtype: np.zeros((), dtype) for dtype in DTYPES}
ONE = {dtype: np.ones((), dtype) for dtype in DTYPES}


@lru_cache(maxsize=16)
def ones(n: int, dtype: Any) -> np.ndarray:
    """Ones to multiply with, shared and so read only: the quickest sum along an axis."""
    return read_only(np.ones(n, dtype))


@lru_cache(maxsize=16)
def counting(n: int) -> np.ndarray:
    """0 to n - 1, shared and so read only."""
    return read_only(np.arange(n))


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def is_number(x: object) -> bool:
    """Whether x stands for one real number: it has __float__ or __index__ and is no array."""
    if isinstance(x, float | int):
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


def is_sequence(x: object) -> bool:
    if isinstance(x, np.ndarray):  # what it is asked of most
        return x.ndim > 0
    return isinstance(x, Iterable) and not isinstance(x, str | bytes | dict) and not is_number(x)


def as_array(x: np.ndarray, dtype: Any = None) -> np.ndarray:
    """An array of real numbers as one of floats, in its own dtype if none is given and it has one
    of ours. TypeError if it holds anything else."""
    given = x.dtype
    if given is dtype or (dtype is None and given in DTYPES):
        return x
    if dtype is None:
        dtype = FLOAT64
    if given.kind not in "fiub":
        if given.kind != "O":
            raise TypeError(f"Value needs real numbers, got an array of {given}")
        x = np.array([as_float(number) for number in x.flat], dtype=dtype).reshape(x.shape)
    return x.astype(dtype, copy=False)


def holds_values(x: np.ndarray) -> bool:
    """Whether an array has Values among its objects: their numbers alone would have no gradients."""
    return x.dtype.kind == "O" and any(isinstance(v, Value) for v in x.flat)


def as_dtype(dtype: Any) -> np.dtype:
    """float64 (also for None) or float32; else TypeError."""
    found = np.dtype(np.float64 if dtype is None else dtype)
    if found not in DTYPES:
        raise TypeError(f"dtype must be float64 or float32, got {dtype!r}")
    return found


def tensor_of(values: Any, what: str, leaves: bool = False) -> Any:
    """A sequence of Values and numbers as one Vector, or as one array if it holds numbers alone.

    leaves: numbers beside Values become leaves, else they are constants of what is computed.
    """
    if isinstance(values, Vector):
        return values
    if isinstance(values, np.ndarray) and values.ndim:
        if values.dtype in DTYPES:
            return values
        if not holds_values(values):
            return as_array(values)
        values = values.tolist()
    if not is_sequence(values):
        raise TypeError(f"{what} needs a sequence of Values and numbers, got {describe(values)}")
    if not isinstance(values, list | tuple):
        # A tensor of another library hands over its numbers at once.
        values = np.asarray(values) if hasattr(values, "__array__") else list(values)
        return tensor_of(values, what, leaves)
    children: list[Any] = []
    plain = True
    for v in values:
        if type(v) is not float:
            if isinstance(v, Value):
                plain = False
            elif is_sequence(v):
                v = tensor_of(v, what, leaves)
                plain = plain and not isinstance(v, Value)
            else:
                v = as_float(v)
        children.append(v)
    shapes = [() if type(v) is float else v.shape for v in children]
    if len(set(shapes)) > 1:
        if () in shapes and not leaves:
            raise mixed(values, shapes, what)
        lengths = ", ".join(row_length(data_of(v)) for v in children[:9])
        raise ValueError(f"{what} needs rows of one length, got {lengths}")
    if plain:
        return np.array(children, dtype=np.float64)
    if leaves:
        children = [v if isinstance(v, Value) else Value(v) for v in children]
    return STACK(children, 0)


def mixed(values: Any, shapes: list[Any], what: str) -> TypeError:
    """The error for rows among numbers, or numbers among rows: it names the first that differs."""
    odd = next(v for v, shape in zip(values, shapes, strict=True) if bool(shape) != bool(shapes[0]))
    if shapes[0]:
        return TypeError(f"{what} needs a sequence of Values and numbers, got {describe(odd)}")
    return TypeError(f"Value needs a real number, got {describe(odd)}")


def row_length(row: Any) -> str:
    return str(len(row)) if np.ndim(row) else "a single Value"


def describe(x: object) -> str:
    return f"{reprlib.repr(x)} ({type(x).__name__})"


def data_of(x: Any) -> Any:
    return x._data if isinstance(x, Value) else x


def values_among(arguments: Iterable[Any]) -> tuple[Value, ...]:
    return tuple([v for v in arguments if isinstance(v, Value)])


def either(scalar: Callable[..., Any], array: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one number that is `scalar` on a float and `array` on all else."""
    return lambda x: scalar(x) if type(x) is float else array(x)


def pick(condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, b elsewhere."""
    if condition is True:
        return a
    return b if condition is False else np.where(condition, a, b)


V = TypeVar("V", bound="Value")  # Value or Vector: an operation on a Vector gives a Vector

# ---------------------------------------------------------------------------------------------
# Operations: what each computes, and its derivative
# ---------------------------------------------------------------------------------------------
#
# An operation knows five things about a node that it made: its name, how to compute the data again
# (for Tape), how to hand the node's gradient down to its operands, and of a single element (for
# drawings) of which scalars it was made and what its derivatives with respect to them are. The chain
# rule is `slope * above`, and `give` adds it.


class Unary:
    """y = f(x). The row of the table: name, f, and dy/dx as a function of x and y."""

    __slots__ = ("name", "slope", "value")

    def __init__(
        self, name: str, value: Callable[[Any], Any], slope: Callable[[Any, Any], Any]
    ) -> None:
        self.name = name
        self.value = value
        self.slope = slope

    def __call__(self, x: V) -> V:
        return cast(V, record(self.compute(x._data), self, (x,)))

    def compute(self, x: Any) -> Any:
        if type(x) is not float:
            with np.errstate(all="ignore"):
                return self.value(x)
        try:
            return self.value(x)
        except (ArithmeticError, ValueError) as error:
            fail(error, f"{self.name}({x!r})")

    def operation_name(self, node: Value) -> str:
        return self.name

    def recompute(self, node: Value) -> None:
        refill(node, self.compute(node._operands[0]._data))

    def backward(self, node: Value) -> None:
        (x,) = node._operands
        above = node._grad
        if type(above) is float:
            x._grad += at_float(self.slope, x._data, node._data) * above
        else:
            give(x, self.slope(x._data, node._data) * above)

    def element(self, node: Value, index: tuple[int, ...]) -> tuple[str, list[Any]]:
        return self.name, [scalar_at(node._operands[0], index)]

    def local_gradients(self, node: Value, index: tuple[int, ...]) -> tuple[float, ...]:
        x = scalar_at(node._operands[0], index)
        return of_operands([x], [at_float(self.slope, number_of(x), number_at(node, index))])


class Binary:
    """y = f(a, b). The row: name, f, dy/da and dy/db as functions of a, b and y.

    A plain number, or an array of them, on either side is a constant: no node, but part of the
    operation. `right` and `left` are the same row for a constant on that side.
    """

    __slots__ = ("commutes", "left", "name", "right", "slope_a", "slope_b", "value")

    def __init__(
        self,
        name: str,
        value: Callable[[Any, Any], Any],
        slope_a: Callable[[Any, Any, Any], Any],
        slope_b: Callable[[Any, Any, Any], Any],
        commutes: bool = False,
    ) -> None:
        self.name = name
        self.value = value
        self.slope_a = slope_a
        self.slope_b = slope_b
        self.commutes = commutes
        self.right = WithNumberRight(self)
        self.left = WithNumberLeft(self)

    def __call__(self, a: V, b: Any) -> V:
        """a and b, where b may be a constant; NotImplemented where it is neither."""
        b = b if isinstance(b, Value) else partner(b, a)
        if b is None:
            return cast(V, NotImplemented)
        if isinstance(b, Value):
            return cast(V, record(self.compute(a._data, b._data), self, (a, b)))
        return cast(V, record(self.compute(a._data, b), self.right, (a,), b))

    def reflected(self, b: V, a: Any) -> V:
        """The same where Python found the constant on the left."""
        a = partner(a, b)
        if a is None:
            return cast(V, NotImplemented)
        if isinstance(a, Value):
            return cast(V, record(self.compute(a._data, b._data, True), self, (a, b)))
        return cast(V, record(self.compute(a, b._data, True), self.left, (b,), a))

    def compute(self, a: Any, b: Any, reflected: bool = False) -> Any:
        if type(a) is float and type(b) is float:
            try:
                return self.value(a, b)
            except (ArithmeticError, ValueError) as error:
                fail(error, f"{a!r} {self.name} {b!r}")
        try:
            with np.errstate(all="ignore"):
                return self.value(a, b)
        except ValueError:
            raise (misfit(b, a) if reflected else misfit(a, b)) from None

    def operation_name(self, node: Value) -> str:
        return self.name

    def recompute(self, node: Value) -> None:
        a, b = node._operands
        refill(node, self.compute(a._data, b._data))

    def backward(self, node: Value) -> None:
        a, b = node._operands
        x, z, y, above = a._data, b._data, node._data, node._grad
        if type(above) is float:
            a._grad += at_float(self.slope_a, x, z, y) * above
            b._grad += at_float(self.slope_b, x, z, y) * above
        else:
            give(a, self.slope_a(x, z, y) * above)
            give(b, self.slope_b(x, z, y) * above)

    def element(self, node: Value, index: tuple[int, ...]) -> tuple[str, list[Any]]:
        a, b = node._operands
        return self.named(broadcast_at(a, index), broadcast_at(b, index))

    def local_gradients(self, node: Value, index: tuple[int, ...]) -> tuple[float, ...]:
        a, b = node._operands
        return self.slopes(a, b, node, index)

    def slopes(self, a: Any, b: Any, node: Value, index: tuple[int, ...]) -> tuple[float, ...]:
        """Those of an element, where a or b may be a constant."""
        pair = broadcast_at(a, index), broadcast_at(b, index)
        numbers = *map(number_of, pair), number_at(node, index)
        return of_operands(pair, [at_float(f, *numbers) for f in (self.slope_a, self.slope_b)])

    def named(self, a: Any, b: Any) -> tuple[str, list[Any]]:
        """The name of the operation on two scalars, one of which may be a plain number."""
        if type(b) is float:
            return f"{self.name} {b!r}", [a]
        if type(a) is float:
            return (f"{self.name} {a!r}" if self.commutes else f"{a!r} {self.name}"), [b]
        return self.name, [a, b]


class WithNumberRight:
    """A Binary row applied to a Value and a constant: `x - 1.0`."""

    __slots__ = ("row",)

    def __init__(self, row: Binary) -> None:
        self.row = row

    def operation_name(self, node: Value) -> str:
        return f"{self.row.name} {brief(node._context)}"

    def recompute(self, node: Value) -> None:
        refill(node, self.row.compute(node._operands[0]._data, node._context))

    def backward(self, node: Value) -> None:
        (x,) = node._operands
        above = node._grad
        if type(above) is float:
            x._grad += at_float(self.row.slope_a, x._data, node._context, node._data) * above
        else:
            give(x, self.row.slope_a(x._data, node._context, node._data) * above)

    def element(self, node: Value, index: tuple[int, ...]) -> tuple[str, list[Any]]:
        return self.row.named(
            broadcast_at(node._operands[0], index), broadcast_at(node._context, index)
        )

    def local_gradients(self, node: Value, index: tuple[int, ...]) -> tuple[float, ...]:
        return self.row.slopes(node._operands[0], node._context, node, index)


class WithNumberLeft:
    """A Binary row applied to a constant and a Value: `1.0 - x`."""

    __slots__ = ("row",)

    def __init__(self, row: Binary) -> None:
        self.row = row

    def operation_name(self, node: Value) -> str:
        return f"{brief(node._context)} {self.row.name}"

    def recompute(self, node: Value) -> None:
        refill(node, self.row.compute(node._context, node._operands[0]._data))

    def backward(self, node: Value) -> None:
        (x,) = node._operands
        above = node._grad
        if type(above) is float:
            x._grad += at_float(self.row.slope_b, node._context, x._data, node._data) * above
        else:
            give(x, self.row.slope_b(node._context, x._data, node._data) * above)

    def element(self, node: Value, index: tuple[int, ...]) -> tuple[str, list[Any]]:
        return self.row.named(
            broadcast_at(node._context, index), broadcast_at(node._operands[0], index)
        )

    def local_gradients(self, node: Value, index: tuple[int, ...]) -> tuple[float, ...]:
        return self.row.slopes(node._context, node._operands[0], node, index)


def fail(error: Exception, expression: str) -> NoReturn:
    """Raise the error that Python's arithmetic raised, with the expression in its message."""
    if isinstance(error, ZeroDivisionError):
        why = "division by zero"
    elif isinstance(error, OverflowError):
        why = "the result is too large for a float"
    else:
        why = "outside the function's domain"
    raise type(error)(f"cannot compute {expression}: {why}") from None


def misfit(a: Any, b: Any) -> ValueError:
    """The error for two shapes that cannot be broadcast together."""
    shapes = np.shape(a), np.shape(b)
    if [len(shape) for shape in shapes] == [1, 1]:
        (n,), (m,) = shapes
        return ValueError(f"a Vector of {n} and one of {m} cannot be combined")
    return ValueError(f"shapes {shapes[0]} and {shapes[1]} cannot be combined")


def at_float(slope: Callable[..., Any], *numbers: float) -> float:
    """A local gradient at plain floats. It never raises: NumPy has inf or nan where Python would."""
    try:
        return cast(float, slope(*numbers))
    except (ArithmeticError, ValueError):
        return float(slope(*map(np.float64, numbers)))


def partner(x: Any, beside: Value) -> Any:
    """What stands beside a Value in an operation: a Value, a float or an array, else None."""
    kind = type(x)
    if kind is float:
        return x
    if kind is int:
        return float(x)
    if isinstance(x, np.ndarray) and x.ndim and not holds_values(x):
        return as_array(x, beside.dtype if isinstance(beside, Vector) else np.float64)
    if is_number(x):
        return float(x)
    if is_sequence(x) and (isinstance(beside, Vector) or isinstance(x, np.ndarray)):
        x = tensor_of(x, "a Vector's partner")
        return x if isinstance(x, Value) else x.astype(beside._data.dtype, copy=False)
    return None


def brief(constant: Any) -> str:
    if type(constant) is float:
        return repr(constant)
    return f"array of {' × '.join(map(str, constant.shape))}"


def give(operand: Value, contribution: Any) -> None:
    """Add to the gradient of an operand; the contribution becomes its property.

    What was broadcast in the operation was used several times, so its gradient is the sum.
    """
    data = operand._data
    if type(data) is float:
        if type(contribution) is not float:
            contribution = float(np.sum(contribution))
        operand._grad += contribution
        return
    if type(contribution) is float:
        contribution = np.full_like(data, contribution)
    elif contribution.shape != data.shape:
        contribution = summed_to(contribution, data.shape)
    grad = operand._grad
    if grad is not None:
        grad += contribution
    elif contribution.dtype is data.dtype:
        operand._grad = contribution
    else:
        operand._grad = contribution.astype(data.dtype)


def give_product(operand: Value, a: Any, b: Any) -> None:
    """give(operand, a·b), computed where the gradient is to lie if there is such a place."""
    room = operand._room
    if room is not None and operand._grad is None:
        try:
            operand._grad = a.dot(b, room) if room.size < MANY else np.matmul(a, b, room)
            return
        except ValueError:
            pass  # of another dtype, which dot writes nowhere
    give(operand, a.dot(b))


def summed_to(contribution: Any, shape: tuple[int, ...]) -> Any:
    """The sum over the axes along which an array of the shape was broadcast."""
    new_axes = contribution.ndim - len(shape)
    if new_axes < 0:
        return np.broadcast_to(contribution, shape).copy()
    lengths = contribution.shape[new_axes:]
    stretched = [new_axes + i for i, n in enumerate(shape) if n == 1 and lengths[i] != 1]
    summed = contribution.sum(axis=(*range(new_axes), *stretched), keepdims=True)
    return summed.reshape(summed.shape[new_axes:])


def refill(node: Value, data: Any) -> None:
    """Put recomputed data into a node; into the same memory, since views look at it."""
    if type(data) is float:
        node._data = data
    else:
        np.copyto(node._data, data)


# The functions, each for a float and for an array ----------------------------------------------

exp = either(math.exp, np.exp)
log = either(math.log, np.log)
sqrt = either(math.sqrt, np.sqrt)
sin = either(math.sin, np.sin)
cos = either(math.cos, np.cos)
sinh = either(math.sinh, np.sinh)
cosh = either(math.cosh, np.cosh)
log1p = either(math.log1p, np.log1p)
erf = either(math.erf, lambda x: error_function.erf(np.asarray(x)))
sign = either(lambda x: 1.0 if x > 0.0 else -1.0 if x < 0.0 else x * 0.0, np.sign)


def raise_to(a: Any, b: Any) -> Any:
    if type(b) is float:
        if type(a) is float:
            if a == 0.0 and -math.inf < b < 0.0:  # a domain error to math.pow; ** says what it is
                raise ZeroDivisionError
            return math.pow(a, b)  # a ** b would turn complex for (-8) ** (1/3)
        if b == 2.0:
            return np.square(a)
        if b == 1.0:
            return a * 1.0
    return np.power(a, b)


def sigmoid(x: Any) -> Any:
    e = exp(-abs(x))  # never e^|x|, which would overflow
    return pick(x >= 0.0, 1.0, e) / (1.0 + e)


def softplus(x: Any) -> Any:
    return pick(x > 0.0, x, 0.0) + log1p(exp(-abs(x)))


def silu(x: Any) -> Any:
    y = x * sigmoid(x)
    # Further left sigmoid(x) is too small for all its digits.
    tiny = x < (-708.0 if type(x) is float or x.dtype == np.float64 else -87.0)
    if not (tiny if type(x) is float else tiny.any()):
        return y
    root = exp(-0.5 * abs(x))
    return pick(tiny, x * root * root, y)


def silu_slope(x: Any, y: Any) -> Any:
    s = sigmoid(x)
    return s * (1.0 + x * (1.0 - s))


def relu(x: Any) -> Any:
    if type(x) is float:
        return 0.0 if x <= 0.0 else x
    return np.maximum(x, ZERO[x.dtype])


def relu_slope(x: Any, y: Any) -> Any:
    if type(x) is float:
        return 0.0 if x <= 0.0 else 1.0
    return ~(x <= 0.0)  # as it stands, a factor: true is 1 in any dtype


def larger(a: Any, b: Any) -> Any:
    if type(a) is float and type(b) is float:
        return a if a >= b or a != a else b
    return np.maximum(a, b)


def smaller(a: Any, b: Any) -> Any:
    if type(a) is float and type(b) is float:
        return a if a <= b or a != a else b
    return np.minimum(a, b)


def power_slope_base(a: Any, b: Any, y: Any) -> Any:
    return pick(b == 0.0, 0.0, b * raise_to(a, b - 1.0))


def power_slope_exponent(a: Any, b: Any, y: Any) -> Any:
    # Of a plain base beside an array np.log: math.log raises at 0.0, and here nobody catches that.
    log_a = log(a) if type(b) is float else np.log(a)
    return pick((a == 0.0) & (b >= 0.0), 0.0, y * log_a)


TWO_OVER_SQRT_PI = 1.1283791670955126

# The table: name, value, derivative. Compare it with any table of derivatives ----------------

ADD = Binary("+", lambda a, b: a + b, lambda a, b, y: 1.0, lambda a, b, y: 1.0, commutes=True)
SUBTRACT = Binary("-", lambda a, b: a - b, lambda a, b, y: 1.0, lambda a, b, y: -1.0)
MULTIPLY = Binary("*", lambda a, b: a * b, lambda a, b, y: b, lambda a, b, y: a, commutes=True)
DIVIDE = Binary("/", lambda a, b: a / b, lambda a, b, y: 1.0 / b, lambda a, b, y: -(y / b))
POWER = Binary("**", raise_to, power_slope_base, power_slope_exponent)

MAXIMUM = Binary(
    "maximum",
    larger,
    lambda a, b, y: pick(a == b, 0.5, pick(a < b, 0.0, 1.0)),
    lambda a, b, y: pick(a == b, 0.5, pick(b < a, 0.0, 1.0)),
    commutes=True,
)
MINIMUM = Binary(
    "minimum",
    smaller,
    lambda a, b, y: pick(a == b, 0.5, pick(a > b, 0.0, 1.0)),
    lambda a, b, y: pick(a == b, 0.5, pick(b > a, 0.0, 1.0)),
    commutes=True,
)

NEGATE = Unary("neg", lambda x: -x, lambda x, y: -1.0)
ABSOLUTE = Unary("abs", abs, lambda x, y: sign(x))

EXP = Unary("exp", exp, lambda x, y: y)
EXPM1 = Unary("expm1", either(math.expm1, np.expm1), lambda x, y: y + 1.0)
LOG = Unary("log", log, lambda x, y: 1.0 / x)
LOG1P = Unary("log1p", log1p, lambda x, y: 1.0 / (1.0 + x))
SQRT = Unary("sqrt", sqrt, lambda x, y: 0.5 / y)

SIN = Unary("sin", sin, lambda x, y: cos(x))
COS = Unary("cos", cos, lambda x, y: -sin(x))
TAN = Unary("tan", either(math.tan, np.tan), lambda x, y: 1.0 + y * y)
ASIN = Unary("asin", either(math.asin, np.arcsin), lambda x, y: 1.0 / sqrt((1.0 - x) * (1.0 + x)))
ACOS = Unary("acos", either(math.acos, np.arccos), lambda x, y: -1.0 / sqrt((1.0 - x) * (1.0 + x)))
ATAN = Unary("atan", either(math.atan, np.arctan), lambda x, y: 1.0 / (1.0 + x * x))

SINH = Unary("sinh", sinh, lambda x, y: cosh(x))
COSH = Unary("cosh", cosh, lambda x, y: sinh(x))
TANH = Unary("tanh", either(math.tanh, np.tanh), lambda x, y: 1.0 - y * y)
ASINH = Unary("asinh", either(math.asinh, np.arcsinh), lambda x, y: 1.0 / sqrt(x * x + 1.0))
ACOSH = Unary(
    "acosh", either(math.acosh, np.arccosh), lambda x, y: 1.0 / sqrt((x - 1.0) * (x + 1.0))
)
ATANH = Unary("atanh", either(math.atanh, np.arctanh), lambda x, y: 1.0 / ((1.0 - x) * (1.0 + x)))

ERF = Unary("erf", erf, lambda x, y: TWO_OVER_SQRT_PI * exp(-x * x))
SIGMOID = Unary("sigmoid", sigmoid, lambda x, y: y * (1.0 - y))
RELU = Unary("relu", relu, relu_slope)
SOFTPLUS = Unary("softplus", softplus, lambda x, y: sigmoid(x))
GELU = Unary("gelu", gelu, gelu_slope)
SILU = Unary("silu", silu, silu_slope)


def leaky_relu(negative_slope: float) -> Unary:
    """The row for one slope; the slope is part of the operation's name."""
    if negative_slope == 0.01:
        return LEAKY_RELU
    return Unary(
        f"leaky_relu({negative_slope!r})",
        lambda x: pick(x > 0.0, x, negative_slope * x),
        lambda x, y: pick(x > 0.0, 1.0, negative_slope),
    )


LEAKY_RELU = Unary(
    "leaky_relu(0.01)",
    lambda x: pick(x > 0.0, x, 0.01 * x),
    lambda x, y: pick(x > 0.0, 1.0, 0.01),
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
        for operand, local in zip(node._operands, node._context[1], strict=True):
            give(operand, local * above)

    def element(self, node: Value, index: tuple[int, ...]) -> tuple[str, list[Any]]:
        if any(len(operand.shape) > len(index) for operand in node._operands):
            return node._context[0], all_scalars(node._operands)
        return node._context[0], [broadcast_at(operand, index) for operand in node._operands]

    def local_gradients(self, node: Value, index: tuple[int, ...]) -> tuple[float, ...]:
        above = unit_at(node, index)
        slopes = [
            summed_to(np.asarray(local * above), operand.shape)
            for operand, local in zip(node._operands, node._context[1], strict=True)
        ]
        if any(len(operand.shape) > len(index) for operand in node._operands):
            return of_operands(*all_numbers(node._operands, slopes))
        return tuple([float(s[broadcast_index(s.shape, index)]) for s in slopes])


CUSTOM = Custom()

# ---------------------------------------------------------------------------------------------
# Value
# ---------------------------------------------------------------------------------------------


class Value:
    """A number, or an array of them, that remembers which operation made it, from which operands.

    data: int, float, NumPy scalar or anything else with __float__ or __index__ (else TypeError).
        An array or a nested sequence makes a Vector, which is a Value of one dimension or more.
    operands, op, local_grads: for a custom operation, the Values that it was computed from, its
        name, and the derivative with respect to each. They come together (else ValueError).
    label: a name to show in drawings.
    dtype: of an array, "float64" (the default) or "float32"; a single number is a Python float,
        which takes part in either.
    """

    __slots__ = (
        "__weakref__",
        "_context",  # what the operation needs besides its operands: the number in `x * 2.0`
        "_data",  # a float; of a Vector an ndarray that stays the same object
        "_grad",  # a float; of a Vector an ndarray, or None while it is zero
        "_label",
        "_operands",
        "_operation",  # None on a leaf
        "_order",  # the how-manieth node this is: backward goes from high to low
        "_visit",  # the backward pass that last came by
    )

    _data: Any
    _grad: Any
    _room: Any = None  # a single number needs none

    # NumPy arrays on the left of an operator step back and let the reflected method answer.
    __array_ufunc__ = None

    def __new__(
        cls,
        data: Numbers,
        operands: Iterable[Value] = (),
        op: str = "",
        label: str = "",
        local_grads: Iterable[Any] | None = None,
        *,
        dtype: Any = None,
    ) -> Value:
        if isinstance(data, list | tuple) or getattr(data, "ndim", False):
            return object.__new__(Vector)
        return object.__new__(cls)

    def __init__(
        self,
        data: Numbers,
        operands: Iterable[Value] = (),
        op: str = "",
        label: str = "",
        local_grads: Iterable[Any] | None = None,
        *,
        dtype: Any = None,
    ) -> None:
        self._data = as_float(data)
        if dtype is not None:
            self._data = float(as_dtype(dtype).type(self._data))
        self._grad = 0.0
        self._become_leaf(label)
        operands = all_of(operands, "operands")
        if operands or local_grads is not None or op:
            self._make_custom(operands, op, local_grads)

    def _become_leaf(self, label: str) -> None:
        self.label = label
        self._operands: tuple[Any, ...] = ()
        self._operation: Any = None
        self._context: Any = None
        self._order = next(numbering)
        self._visit = 0

    def _make_custom(
        self, operands: tuple[Value, ...], op: str, local_grads: Iterable[Any] | None
    ) -> None:
        given = () if local_grads is None else all_of(local_grads, "local_grads")
        locals_ = [
            tensor_of(local, "local_grads") if is_sequence(local) else as_float(local)
            for local in given
        ]
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
            self._operands = operands
            self._operation = CUSTOM
            self._context = (op, locals_)

    # What a user sees ------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        """The number itself."""
        return self._data

    @data.setter
    def data(self, number: SupportsFloat) -> None:
        self._data = as_float(number)

    @property
    def grad(self) -> Any:
        """The gradient: the derivative of what backward was called on with respect to this."""
        return self._grad

    @grad.setter
    def grad(self, number: SupportsFloat) -> None:
        self._grad = as_float(number)

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
        return unstacked(self._operands)

    @property
    def _op(self) -> str:  # the names that scripts written for micrograd read
        return self.op

    @property
    def _prev(self) -> tuple[Value, ...]:
        return self.operands

    @property
    def shape(self) -> tuple[int, ...]:
        """The length along each axis, () of a single number."""
        return ()

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return 0

    @property
    def size(self) -> int:
        """The number of scalars."""
        return 1

    @property
    def dtype(self) -> np.dtype:
        """float64 or float32. A single number is a Python float, which is a float64."""
        return np.dtype(np.float64)

    def __repr__(self) -> str:
        return f"Value({self._data!r}, grad={self._grad!r})"

    def __format__(self, spec: str) -> str:
        return format(self._data, spec) if spec else repr(self)

    def __float__(self) -> float:
        return cast(float, self._data)

    def __bool__(self) -> bool:
        return bool(self._data != 0.0)

    # Arithmetic: every operation is a row of the table, applied -------------------------------

    def __add__(self, other: Numbers) -> Self:
        return ADD(self, other)

    def __radd__(self, other: Numbers) -> Self:
        if type(other) is int and other == 0:  # the built-in sum begins with 0 + first
            return self
        return ADD.reflected(self, other) if is_sequence(other) else ADD(self, other)

    def __sub__(self, other: Numbers) -> Self:
        return SUBTRACT(self, other)

    def __rsub__(self, other: Numbers) -> Self:
        return SUBTRACT.reflected(self, other)

    def __mul__(self, other: Numbers) -> Self:
        return MULTIPLY(self, other)

    def __rmul__(self, other: Numbers) -> Self:
        return MULTIPLY.reflected(self, other) if is_sequence(other) else MULTIPLY(self, other)

    def __truediv__(self, other: Numbers) -> Self:
        return DIVIDE(self, other)

    def __rtruediv__(self, other: Numbers) -> Self:
        return DIVIDE.reflected(self, other)

    def __pow__(self, other: Numbers) -> Self:
        return POWER(self, other)

    def __rpow__(self, other: Numbers) -> Self:
        return POWER.reflected(self, other)

    def __neg__(self) -> Self:
        return NEGATE(self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return ABSOLUTE(self)

    def maximum(self, other: Numbers) -> Self:
        """The larger of two, elementwise; a tie shares the gradient. TypeError if no number."""
        return checked(MAXIMUM(self, other), self, other)

    def minimum(self, other: Numbers) -> Self:
        """The smaller of two, elementwise; a tie shares the gradient. TypeError if no number."""
        return checked(MINIMUM(self, other), self, other)

    # Comparison: of data. == and hash stay those of object, which mean identity --------------

    def __lt__(self, other: Numbers) -> Any:
        other = comparable(other, self)
        return NotImplemented if other is None else self._data < other

    def __le__(self, other: Numbers) -> Any:
        other = comparable(other, self)
        return NotImplemented if other is None else self._data <= other

    def __gt__(self, other: Numbers) -> Any:
        other = comparable(other, self)
        return NotImplemented if other is None else self._data > other

    def __ge__(self, other: Numbers) -> Any:
        other = comparable(other, self)
        return NotImplemented if other is None else self._data >= other

    # Functions, elementwise ------------------------------------------------------------------

    def exp(self) -> Self:
        """e to the power of self. OverflowError of a scalar above 709.78."""
        return EXP(self)

    def expm1(self) -> Self:
        """exp(self) - 1, exact near 0. OverflowError of a scalar above 709.78."""
        return EXPM1(self)

    def log(self) -> Self:
        """The natural logarithm. ValueError of a scalar at 0 and below."""
        return LOG(self)

    def log1p(self) -> Self:
        """log(1 + self), exact near 0. ValueError of a scalar at -1 and below."""
        return LOG1P(self)

    def sqrt(self) -> Self:
        """The square root. ValueError of a scalar below 0."""
        return SQRT(self)

    def sin(self) -> Self:
        """The sine of an angle in radians. ValueError of a scalar at infinity."""
        return SIN(self)

    def cos(self) -> Self:
        """The cosine of an angle in radians. ValueError of a scalar at infinity."""
        return COS(self)

    def tan(self) -> Self:
        """The tangent of an angle in radians. ValueError of a scalar at infinity."""
        return TAN(self)

    def asin(self) -> Self:
        """The angle in radians whose sine this is. ValueError of a scalar outside [-1, 1]."""
        return ASIN(self)

    def acos(self) -> Self:
        """The angle in radians whose cosine this is. ValueError of a scalar outside [-1, 1]."""
        return ACOS(self)

    def atan(self) -> Self:
        """The angle in radians whose tangent this is."""
        return ATAN(self)

    def sinh(self) -> Self:
        """The hyperbolic sine. OverflowError of a scalar beyond ±710.47."""
        return SINH(self)

    def cosh(self) -> Self:
        """The hyperbolic cosine. OverflowError of a scalar beyond ±710.47."""
        return COSH(self)

    def tanh(self) -> Self:
        """The hyperbolic tangent, between -1 and 1."""
        return TANH(self)

    def asinh(self) -> Self:
        """The inverse of sinh."""
        return ASINH(self)

    def acosh(self) -> Self:
        """The inverse of cosh. ValueError of a scalar below 1."""
        return ACOSH(self)

    def atanh(self) -> Self:
        """The inverse of tanh. ValueError of a scalar outside (-1, 1)."""
        return ATANH(self)

    def erf(self) -> Self:
        """The error function, 2/√π times the integral of exp(-t²) from 0 to self."""
        return ERF(self)

    def sigmoid(self) -> Self:
        """1 / (1 + exp(-self)), between 0 and 1."""
        return SIGMOID(self)

    def relu(self) -> Self:
        """self where positive, else 0."""
        return RELU(self)

    def leaky_relu(self, negative_slope: SupportsFloat = 0.01) -> Self:
        """self where positive, else negative_slope times self."""
        return leaky_relu(as_float(negative_slope))(self)

    def softplus(self) -> Self:
        """log(1 + exp(self)), a smooth relu."""
        return SOFTPLUS(self)

    def gelu(self) -> Self:
        """self times the normal distribution function (Hendrycks and Gimpel 2016, exact form)."""
        return GELU(self)

    def silu(self) -> Self:
        """self times sigmoid(self), also called swish."""
        return SILU(self)

    # Reductions: over all scalars, or along an axis or several --------------------------------

    @overload
    def sum(self, axis: None = None, keepdims: Literal[False] = False) -> Value: ...
    @overload
    def sum(self, axis: Any = None, keepdims: bool = False) -> Vector: ...
    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The sum."""
        return SUM(self, axis, keepdims)

    @overload
    def mean(self, axis: None = None, keepdims: Literal[False] = False) -> Value: ...
    @overload
    def mean(self, axis: Any = None, keepdims: bool = False) -> Vector: ...
    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The sum divided by the count. ValueError if there is nothing at all to average."""
        return MEAN(some(self, "mean"), axis, keepdims)

    @overload
    def max(self, axis: None = None, keepdims: Literal[False] = False) -> Value: ...
    @overload
    def max(self, axis: Any = None, keepdims: bool = False) -> Vector: ...
    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The largest; ties share the gradient. ValueError if there is nothing to choose from."""
        return MAX(some(self, "max"), axis, keepdims)

    @overload
    def min(self, axis: None = None, keepdims: Literal[False] = False) -> Value: ...
    @overload
    def min(self, axis: Any = None, keepdims: bool = False) -> Vector: ...
    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The smallest; ties share the gradient. ValueError if there is nothing to choose from."""
        return MIN(some(self, "min"), axis, keepdims)

    # Gradients -------------------------------------------------------------------------------

    def backward(self, grad: Numbers = 1.0) -> None:
        """Add to the grad of every leaf below: grad times d self / d leaf.

        The gradients of leaves accumulate over calls; those of all other nodes start from zero.
        """
        backpropagate(self, as_float(grad))

    def zero_grad(self) -> None:
        """Set grad to 0.0 on this Value."""
        self._grad = 0.0

    def detach(self) -> Self:
        """A leaf with the same data and no history."""
        return cast(Self, leaf(self._data))

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (self._data, self._grad, self._label)

    def _composition(self) -> tuple[Any, ...] | None:
        """Of a fused dot product: weights, inputs, bias, activation, gradient at the sum."""
        return composition(self, ())

    def _moment(self) -> tuple[int, ...]:
        """When the operation that made this was recorded, as what compares; () on a leaf."""
        return moment(self, ())

    def _local_gradients(self) -> tuple[float, ...]:
        """The derivative with respect to each of the operands, at the data that they hold now."""
        return local_gradients(self, ())

    def _scalars(self) -> list[Any]:
        """The scalar nodes of its elements, row by row; a single number is its own."""
        return [self]

    # The same for an array as a whole, which no list of scalars could stand for.

    def _numbers(self) -> tuple[Any, Any]:
        """Data and grad to look at; a float 0.0 stands for a gradient that is zero throughout."""
        return self._data, 0.0 if self._grad is None else self._grad

    def _scalar(self, index: tuple[int, ...]) -> Any:
        return scalar_at(self, index)

    def _owner(self) -> Value:
        """Whose memory this looks at: of a view the Vector that it was taken from, else itself."""
        owner: Value = self._operands[0] if self._operation is VIEW else self
        return owner

    def _sources(self) -> list[Value]:
        """The Values that this was computed from, none of them a view."""
        return [operand._owner() for operand in self._operands]

    @quiet
    def _recomputed(self, memo: dict[Any, Any]) -> Any:
        """What data would be, computed anew from what the operands hold now."""
        if self._operation in (None, CUSTOM, VIEW):
            return self._data
        twin = alike(self, self._operands)
        if type(self._data) is not float:
            twin._data = np.empty_like(self._data)
        twin._operation.recompute(twin)
        return twin._data

    @quiet
    def _sums(self) -> Any:
        """Of a layer the sums before its activation, None of anything else."""
        sums = getattr(self._operation, "sums", None)
        return sums(self) if sums else None

    @quiet
    def _give(self, above: Any, gradients: dict[Any, Any]) -> None:
        """Add to `gradients`, by owner, what this gives to its operands where its own is `above`."""
        if self._operation in (None, VIEW):
            return
        stands = {operand: stand_in(operand) for operand in self._operands}
        twin = alike(self, tuple([stands[operand] for operand in self._operands]))
        twin._data = self._data
        twin._grad = above if type(self._data) is float else np.zeros_like(self._data) + above
        twin._operation.backward(twin)
        for operand, stand in stands.items():
            operand._receive(stand._numbers()[1], gradients)

    def _receive(self, amount: Any, gradients: dict[Any, Any]) -> None:
        """Add to the gradient of this Value among `gradients`, of a view in its place there."""
        owner = self._owner()
        if type(owner._data) is float:
            gradients[owner] = gradients.get(owner, 0.0) + amount
            return
        if owner not in gradients:
            gradients[owner] = np.zeros_like(owner._data)
        total = gradients[owner]
        if owner is not self and owner._data.size:
            array = self._number if isinstance(self, Element) else self._data
            first = place_in(owner._data, address_of(array))
            start = total[tuple(slice(i, None) for i in first)]
            total = np.lib.stride_tricks.as_strided(start, array.shape, array.strides)
        total += amount


def alike(node: Any, operands: tuple[Any, ...]) -> Any:
    """A node of the same operation on these operands; its data and gradient are still to come."""
    twin = new(Value if type(node._data) is float else Vector)
    instead = dict(zip(map(id, node._operands), operands, strict=True))
    twin._operands, twin._operation = operands, node._operation
    twin._context = exchanged(node._context, instead)
    return twin


def exchanged(part: Any, instead: dict[int, Any]) -> Any:
    """A context with other Values in it; its lists are copied, as recompute writes into them."""
    if type(part) in (list, tuple):
        return type(part)([exchanged(x, instead) for x in part])
    return instead.get(id(part), part)


def stand_in(operand: Any) -> Any:
    """A leaf that looks at the same data and has a gradient of its own, which is zero."""
    node: Any = new(Value if type(operand._data) is float else Vector)
    node._data, node._operation, node._operands = operand._data, None, ()
    node._grad = 0.0 if type(operand._data) is float else None
    if node._grad is None:
        node._pinned, node._lent, node._room = False, True, None
    return node


def checked(result: V, a: Value, b: object) -> V:
    """The result, or the TypeError that an operator would have raised for NotImplemented."""
    if result is not NotImplemented:
        return result
    if not isinstance(a, Vector):
        as_float(b)  # says what a number is
    raise TypeError(f"a {type(a).__name__} cannot be combined with {describe(b)}")


def comparable(other: Any, beside: Value) -> Any:
    return other._data if isinstance(other, Value) else data_of(partner(other, beside))


def some(values: Any, what: str) -> Any:
    if values.size == 0:
        raise ValueError(f"{what} needs at least one Value, got none")
    return values


def leaf(data: Any, label: str = "") -> Any:
    """A leaf that holds a float, or a copy of an array in its own dtype."""
    node: Any = new(Value if type(data) is float else Vector)
    if type(data) is float:
        node._data, node._grad = data, 0.0
    else:
        node._data, node._grad = data.copy(), None
        node._pinned, node._labels, node._lent, node._room = False, None, False, None
    node._become_leaf(label)
    return node


def all_of(values: Any, what: str) -> tuple[Any, ...]:
    """values as a tuple, or a TypeError that says what they were given for."""
    if type(values) is tuple:
        return values
    if not isinstance(values, Iterable):
        raise TypeError(f"{what} must be a sequence, got {describe(values)}")
    return tuple(values)


def restore(data: Any, grad: Any, label: str) -> Any:
    """A copy without history; what copy and pickle call."""
    node = leaf(data, label)
    if grad is not None:
        node.grad = grad
    return node


# ---------------------------------------------------------------------------------------------
# The record
# ---------------------------------------------------------------------------------------------

numbering = count(1)
new = object.__new__


def record(data: Any, operation: Any, operands: tuple[Any, ...], context: Any = None) -> Any:
    """The node that an operation made: its result, and what backward will need."""
    node: Any
    if type(data) is float:
        node = new(Value)
        node._grad = 0.0
    else:
        node = new(Vector)
        node._grad = node._labels = node._room = None
        node._pinned = node._lent = False
    node._data = data
    node._label = ""
    if no_grad_blocks and innermost():
        node._operands, node._operation, node._context = (), None, None
    else:
        node._operands, node._operation, node._context = operands, operation, context
    node._order = next(numbering)
    node._visit = 0
    return node


# ---------------------------------------------------------------------------------------------
# Backward
# ---------------------------------------------------------------------------------------------

by_order = attrgetter("_order")


def operations_below(roots: Iterable[Value]) -> list[Any]:
    """Every node below the roots that an operation made, the last made first.

    Operands are always older than their results, so this order visits a node only after all that
    use it: by then its gradient is complete. An explicit stack, since a graph may be deeper than
    Python's recursion goes.
    """
    visit = next(numbering)
    found: list[Any] = []
    stack: list[Any] = []
    for root in roots:
        if root._operation is not None and root._visit != visit:
            root._visit = visit
            stack.append(root)
    while stack:
        node = stack.pop()
        found.append(node)
        for operand in node._operands:
            if operand._operation is not None and operand._visit != visit:
                operand._visit = visit
                stack.append(operand)
    found.sort(key=by_order, reverse=True)
    return found


# Held while gradients are handed down: the passes of several threads run one after another, each as
# a whole. Reentrant, since freeing something on the way can run a __del__ that calls backward.
walking = threading.RLock()


def after_fork() -> None:
    """In the child only the thread that forked goes on: what another one held, nobody lets go."""
    global walking
    walking = threading.RLock()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(after_in_child=after_fork)


def backpropagate(root: Value, grad: Any) -> None:
    """The backward pass from one root."""
    with walking:
        run_backward(operations_below([root]), root, grad)


@quiet
def run_backward(nodes: Sequence[Any], root: Value, grad: Any) -> None:
    """Hand the gradient of each node down to its operands; nodes in the order to visit them."""
    for node in nodes:
        # A view's gradient is a part of its source's, and starts from zero with it.
        if node._grad is not None and node._operation is not VIEW:
            node.zero_grad()
    give(root, grad)
    for node in nodes:
        node._operation.backward(node)


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


def unchanged(x: Any) -> bool:
    """Whether x still holds what its operation computed: what was computed from it holds too."""
    return isinstance(x, Vector) and x._operation is not None and not (x._lent or x._pinned)


# ---------------------------------------------------------------------------------------------
# Operations on many operands
# ---------------------------------------------------------------------------------------------
#
# Their arguments are Values and arrays of plain numbers. The context of such a node is the list of
# arguments and whatever constants the operation needs besides (an axis, targets, an eps).


class Reduction:
    """One output from the elements along some axes. The row: name, f, the local gradients.

    Both functions get the array and the axes; slope also the result, with the axes kept.
    """

    __slots__ = ("name", "slope", "value")

    def __init__(
        self, name: str, value: Callable[[Any, Any], Any], slope: Callable[[Any, Any, Any], Any]
    ) -> None:
        self.name = name
        self.value = value
        self.slope = slope

    def __call__(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        axes = axes_of(data_of(x), axis)
        return record(self.compute(data_of(x), axes, keepdims), self, values_among((x,)), (x, axes))

    def compute(self, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        x = np.asarray(x)
        with np.errstate(all="ignore"):
            y = self.value(x, axes)
        kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        y = y.reshape(kept if keepdims else [n for i, n in enumerate(x.shape) if i not in axes])
        return y if y.ndim else y.item()

    def operation_name(self, node: Value) -> str:
        return self.name

    def recompute(self, node: Value) -> None:
        x, axes = node._context
        refill(node, self.compute(data_of(x), axes, node.ndim == np.ndim(data_of(x))))

    def backward(self, node: Value) -> None:
        x, axes = node._context
        if not isinstance(x, Value):
            return
        data = np.asarray(x._data)
        kept = tuple(1 if i in axes else n for i, n in enumerate(data.shape))
        y, above = (np.reshape(numbers, kept) for numbers in (node._data, node._grad))
        contribution = np.empty_like(data)
        np.multiply(self.slope(data, y, axes), above, out=contribution, casting="same_kind")
        give(x, contribution)

    def element(self, node: Value, index: tuple[int, ...]) -> tuple[str, list[Any]]:
        x, _ = node._context
        return self.name, [scalar_at(x, place) for place in self.places(node, index)]

    def local_gradients(self, node: Value, index: tuple[int, ...]) -> tuple[float, ...]:
        x, axes = node._context
        data = np.asarray(data_of(x))
        kept = tuple(1 if i in axes else n for i, n in enumerate(data.shape))
        y = np.reshape(node._data, kept)
        slopes = np.broadcast_to(self.slope(data, y, axes), data.shape)
        places = list(self.places(node, index))
        return of_operands([scalar_at(x, p) for p in places], [float(slopes[p]) for p in places])

    def places(self, node: Value, index: tuple[int, ...]) -> Iterable[tuple[int, ...]]:
        """Where the elements are of which the one at the index was made."""
        x, axes = node._context
        shape = np.shape(data_of(x))
        if len(index) < len(shape):
            kept = iter(index)
            index = tuple(0 if i in axes else next(kept) for i in range(len(shape)))
        return product(*[range(n) if i in axes else (index[i],) for i, n in enumerate(shape)])


def axes_of(x: Any, axis: Any) -> tuple[int, ...]:
    """The axes as a tuple of numbers from 0; None means all."""
    ndim = np.ndim(x)
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    for a in axes:
        if not -ndim <= a < ndim:
            raise ValueError(f"axis {a} of a Value with {ndim} axes")
    return tuple(sorted({a % ndim for a in axes}))


def count_along(x: np.ndarray, axes: tuple[int, ...]) -> int:
    return math.prod(x.shape[i] for i in axes)


def mean_of(x: np.ndarray, axes: tuple[int, ...]) -> Any:
    return np.true_divide(x.sum(axis=axes, keepdims=True), count_along(x, axes))


def shares_of(x: np.ndarray, y: np.ndarray, axes: tuple[int, ...]) -> Any:
    """1 to the one that was chosen, equal shares where several tie; nan where it is nan."""
    chosen = x == y
    count = np.maximum(1, np.count_nonzero(chosen, axis=axes, keepdims=True))
    return np.where(y == y, chosen / count, y)


SUM = Reduction("sum", lambda x, axes: x.sum(axis=axes), lambda x, y, axes: 1.0)
MEAN = Reduction("mean", mean_of, lambda x, y, axes: 1.0 / max(1, count_along(x, axes)))
MAX = Reduction("max", lambda x, axes: x.max(axis=axes), shares_of)
MIN = Reduction("min", lambda x, axes: x.min(axis=axes), shares_of)


class Joint:
    """Outputs that depend on all operands together. The row: name, f, and the gradients of all
    arguments as a function of the arguments, the outputs and the gradients of the outputs.

    by_row: whether an output depends on its own row of the first argument alone.
    """

    __slots__ = ("by_row", "contributions", "name", "value")

    def __init__(
        self,
        name: str,
        value: Callable[..., Any],
        contributions: Callable[..., Sequence[Any]],
        by_row: bool = False,
    ) -> None:
        self.name = name
        self.value = value
        self.contributions = contributions
        self.by_row = by_row

    def __call__(self, arguments: Sequence[Any], *constants: Any) -> Any:
        data = self.compute(arguments, constants)
        return record(data, self, values_among(arguments), (arguments, constants))

    def compute(self, arguments: Sequence[Any], constants: tuple[Any, ...]) -> Any:
        with np.errstate(all="ignore"):
            data = self.value(*map(data_of, arguments), *constants)
        return data if np.ndim(data) else float(data)

    def operation_name(self, node: Value) -> str:
        return self.name

    def recompute(self, node: Value) -> None:
        refill(node, self.compute(*node._context))

    def backward(self, node: Value) -> None:
        arguments, constants = node._context
        contributions = self.contributions(
            [data_of(x) for x in arguments], node._data, node._grad, *constants
        )
        for x, contribution in zip(reversed(arguments), reversed(contributions), strict=True):
            if isinstance(x, Value):
                give(x, contribution)

    def element(self, node: Value, index: tuple[int, ...]) -> tuple[str, list[Any]]:
        if not self.by_row:
            return self.name, all_scalars(node._operands)
        x = node._context[0][0]
        return self.name, [scalar_at(x, (*index[:-1], i)) for i in range(x.shape[-1])]

    def local_gradients(self, node: Value, index: tuple[int, ...]) -> tuple[float, ...]:
        """What the operands are given where this element alone has a gradient, 1."""
        arguments, constants = node._context
        above, xs = unit_at(node, index), [data_of(x) for x in arguments]
        if not self.by_row:
            contributions = self.contributions(xs, node._data, above, *constants)
            return of_operands(*all_numbers(arguments, contributions))
        row = index[:-1]
        (slopes,) = self.contributions([xs[0][row]], node._data[row], above[row], *constants)
        return of_operands(self.element(node, index)[1], slopes.tolist())


class Dot:
    """b + w·x as one node, summed from left to right, so without BLAS: layers are what is large."""

    __slots__ = ()

    def __call__(self, weights: Any, inputs: Any, bias: Any) -> Any:
        context = weights, inputs, bias
        return record(self.compute(*context), self, values_among(context), context)

    def compute(self, weights: Any, inputs: Any, bias: Any) -> float:
        w, x = data_of(weights), data_of(inputs)
        with np.errstate(all="ignore"):
            terms = np.concatenate(([data_of(bias)], w * x))
            return cast(float, np.add.accumulate(terms)[-1].item())

    def operation_name(self, node: Value) -> str:
        return "dot"

    def recompute(self, node: Value) -> None:
        node._data = self.compute(*node._context)

    def backward(self, node: Value) -> None:
        weights, inputs, bias = node._context
        above = node._grad
        if isinstance(weights, Value):
            give(weights, data_of(inputs) * above)
        if isinstance(inputs, Value):
            give(inputs, data_of(weights) * above)
        if isinstance(bias, Value):
            bias._grad += above

    def compose(self, node: Value, index: tuple[int, ...]) -> tuple[Any, ...]:
        weights, inputs, bias = node._context
        return row_of(weights), row_of(inputs), scalar_at(bias, ()), "", node._grad

    def local_gradients(self, node: Value, index: tuple[int, ...]) -> tuple[float, ...]:
        return dot_gradients(self.compose(node, index), 1.0)


class Matmul:
    """The matrix product, over leading axes as NumPy has it. Each element is a dot."""

    __slots__ = ()

    def __call__(self, a: Any, b: Any) -> Any:
        return record(self.compute(a, b), self, values_among((a, b)), (a, b))

    def compute(self, a: Any, b: Any) -> Any:
        a, b = data_of(a), data_of(b)
        try:
            with np.errstate(all="ignore"):
                return a @ b
        except ValueError:
            raise ValueError(f"shapes {a.shape} and {b.shape} cannot be multiplied by @") from None

    def operation_name(self, node: Value) -> str:
        return "dot"

    def recompute(self, node: Value) -> None:
        refill(node, self.compute(*node._context))

    def backward(self, node: Value) -> None:
        a, b = node._context
        x, z, above = data_of(a), data_of(b), node._grad
        # A vector is a matrix of one row on the left, of one column on the right.
        if x.ndim == 1:
            x, above = x[None, :], above[..., None, :]
        if z.ndim == 1:
            z, above = z[:, None], above[..., None]
        if isinstance(a, Value):
            contribution = above @ z.swapaxes(-1, -2)
            give(a, contribution if a.ndim > 1 else contribution[..., 0, :])
        if isinstance(b, Value):
            contribution = x.swapaxes(-1, -2) @ above
            give(b, contribution if b.ndim > 1 else contribution[..., 0])

    def element(self, node: Value, index: tuple[int, ...]) -> tuple[str, list[Any]]:
        weights, inputs, *_ = self.compose(node, index)
        return "dot", [*weights, *inputs]

    def compose(self, node: Value, index: tuple[int, ...]) -> tuple[Any, ...]:
        a, b = node._context
        x, z = np.shape(data_of(a)), np.shape(data_of(b))
        # The index of an element is that of the matrices, then its row, then its column.
        rest = list(index)
        column = [rest.pop()] if len(z) > 1 else []
        row = [rest.pop()] if len(x) > 1 else []
        left, right = (broadcast_index(shape[:-2], tuple(rest)) for shape in (x, z))
        return (
            [scalar_at(a, (*left, *row, k)) for k in range(x[-1])],
            [scalar_at(b, (*right, k, *column)) for k in range(x[-1])],
            0.0,
            "",
            float(node.grad[index]),
        )

    def local_gradients(self, node: Value, index: tuple[int, ...]) -> tuple[float, ...]:
        return dot_gradients(self.compose(node, index), 1.0)


def dot_gradients(parts: tuple[Any, ...], slope: float) -> tuple[float, ...]:
    """Those of a dot product whose sum has the slope: of its weights, its inputs, its bias."""
    weights, inputs, bias, *_ = parts
    factors = [number_of(x) * slope for x in (*inputs, *weights)]
    return of_operands((*weights, *inputs, bias), (*factors, slope))


DOT = Dot()
MATMUL = Matmul()


def dot_product(weights: Any, inputs: Any, bias: Any) -> Any:
    """What functional.dot and Vector.dot share."""
    weights, inputs = tensor_of(weights, "dot"), tensor_of(inputs, "dot")
    if weights.ndim != 1 or inputs.ndim != 1:
        raise ValueError(
            f"dot needs two sequences of scalars, got shapes {weights.shape} and {inputs.shape}"
        )
    if len(weights) != len(inputs):
        raise ValueError(f"dot of {len(weights)} weights and {len(inputs)} inputs")
    weights, inputs = of_one_dtype(weights, inputs)
    return DOT(weights, inputs, bias if isinstance(bias, Value) else as_float(bias))


def product_of(a: Any, b: Any) -> Any:
    """a @ b, where one may be a sequence or an array of numbers."""
    a, b = tensor_of(a, "dot"), tensor_of(b, "dot")
    return dot_product(a, b, 0.0) if a.ndim == b.ndim == 1 else MATMUL(*of_one_dtype(a, b))


def of_one_dtype(*arguments: Any) -> list[Any]:
    """Values and arrays; the arrays, which are constants, in the dtype of the Values."""
    dtypes = {x._data.dtype for x in arguments if isinstance(x, Vector)}
    if not dtypes:
        return list(arguments)
    dtype = np.result_type(*dtypes) if len(dtypes) > 1 else dtypes.pop()
    return [as_array(x, dtype) if isinstance(x, np.ndarray) else x for x in arguments]


# ---------------------------------------------------------------------------------------------
# Operations that move elements
# ---------------------------------------------------------------------------------------------
#
# They compute nothing, so drawings leave them out: `source` says where an element came from.


class View:
    """An element or a part of a Vector: both look at the same memory, of data and of gradient.

    So there is nothing to recompute and nothing to hand down. Its one operand is the Vector that
    owns the memory, also where the view was taken from another view.
    """

    __slots__ = ()

    def recompute(self, node: Value) -> None:
        pass

    def backward(self, node: Value) -> None:
        pass

    def source(self, node: Value, index: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
        array = node._number if isinstance(node, Element) else node._data
        offset = sum(i * step for i, step in zip(index, array.strides, strict=True))
        owner = node._operands[0]
        return owner, place_in(owner._data, address_of(array) + offset)


VIEW = View()


def view(source: Any, take: Callable[[np.ndarray], np.ndarray]) -> Any:
    """The part of a Vector that `take` takes from its arrays without a copy."""
    owner = source._operands[0] if source._operation is VIEW else source
    if not owner._pinned:
        # From now on the gradient must stay where it is, and lie in memory as the data do.
        grad, owner._grad = owner._grad, np.zeros_like(owner._data)
        if grad is not None:
            np.copyto(owner._grad, grad)
        owner._pinned = True
    data = take(source._data)
    node: Any = new(Vector if data.ndim else Element)
    if data.ndim:
        node._data, node._grad = data, take(source._grad)
        node._pinned, node._labels, node._lent, node._room = True, None, True, None
    else:
        node._number, node._slope = data, take(source._grad)
    node._label = ""
    node._operands, node._operation, node._context = (owner,), VIEW, None
    node._order = next(numbering)
    node._visit = 0
    return node


def address_of(array: np.ndarray) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """np.empty, but beginning with a line of the cache. Where they do not, lines are shared between
    numbers, and cores: an update of parameters by two threads' gradients takes half as long again."""
    itemsize = np.dtype(dtype).itemsize
    n = math.prod(shape)
    memory = np.empty(n + LINE // itemsize, dtype)
    start = -address_of(memory) % LINE // itemsize
    return memory[start : start + n].reshape(shape)


def parts_of(memory: np.ndarray, vectors: list[Any]) -> list[np.ndarray]:
    """A flat array as one array for each Vector, of its shape, in their order."""
    ends = list(accumulate(v.size for v in vectors))
    return [
        memory[end - v.size : end].reshape(v.shape) for v, end in zip(vectors, ends, strict=True)
    ]


def follows(array: Any, before: Any) -> bool:
    """Whether an array begins where another ends, so that both can be taken for one."""
    return (
        array.base is not None
        and array.base is before.base
        and array.dtype == before.dtype
        and array.flags.c_contiguous
        and before.flags.c_contiguous
        and address_of(array) == address_of(before) + before.nbytes
    )


def runs_of(values: Iterable[Any]) -> list[list[Any]]:
    """The Values in their order, together those whose data follow each other in memory; and single
    numbers among themselves, which can be gathered."""
    runs: list[list[Any]] = []
    for value in values:
        if runs and go_together(value._data, runs[-1][-1]._data):
            runs[-1].append(value)
        else:
            runs.append([value])
    return runs


def go_together(data: Any, before: Any) -> bool:
    if type(data) is float or type(before) is float:
        return type(data) is type(before)
    return follows(data, before)


def joined(arrays: list[Any]) -> Any:
    """Arrays that follow each other as one: flat, save for a single one that has gaps."""
    first = arrays[0]
    if len(arrays) == 1:
        return first.reshape(-1) if first.flags.c_contiguous else first
    start = (address_of(first) - address_of(first.base)) // first.itemsize
    return first.base.reshape(-1)[start : start + sum(a.size for a in arrays)]


def place_in(array: np.ndarray, address: int) -> tuple[int, ...]:
    """The index of the element at an address inside the array."""
    rest = address - address_of(array)
    steps = array.strides
    rest -= sum(step * (n - 1) for n, step in zip(array.shape, steps, strict=True) if step < 0)
    index = [0] * array.ndim
    for axis in sorted(range(array.ndim), key=lambda axis: -abs(steps[axis])):
        n = array.shape[axis]
        if n > 1:
            i, rest = divmod(rest, abs(steps[axis]))
            index[axis] = i if steps[axis] > 0 else n - 1 - i
    return tuple(index)


def same_memory(a: Any, b: Any) -> bool:
    interfaces = (x._data.__array_interface__ for x in (a, b))
    first, second = ((i["data"], i["shape"], i["strides"]) for i in interfaces)
    return first == second


class Element(Value):
    """One element of a Vector, as a Value: what is read and written is the Vector's."""

    __slots__ = ("_number", "_slope")

    _number: np.ndarray
    _slope: np.ndarray

    @property
    def _data(self) -> float:
        return cast(float, self._number.item())

    @_data.setter
    def _data(self, number: float) -> None:
        self._number.fill(number)

    @property
    def _grad(self) -> float:
        return cast(float, self._slope.item())

    @_grad.setter
    def _grad(self, number: float) -> None:
        self._slope.fill(number)

    @property
    def label(self) -> str:
        """A name to show in drawings. The Vector remembers it."""
        label: str = scalar_at(self, ()).label
        return label

    @label.setter
    def label(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"label must be a str, got {reprlib.repr(text)}")
        owner, index = VIEW.source(self, ())
        owner._labels = {**(owner._labels or {}), index: text}

    _label = property(lambda self: self.label, lambda self, text: None)

    @property
    def op(self) -> str:
        """The name of the operation that made this element, "" of a leaf's."""
        name: str = getattr(scalar_at(self, ()), "op", "")
        return name

    @property
    def operands(self) -> tuple[Value, ...]:
        """The Values that this element was computed from, () of a leaf's."""
        scalars = getattr(scalar_at(self, ()), "operands", ())
        return tuple([s.as_value() if isinstance(s, Scalar) else s for s in scalars])

    def _composition(self) -> tuple[Any, ...] | None:
        parts: tuple[Any, ...] | None = scalar_at(self, ())._composition()
        return parts

    def _moment(self) -> tuple[int, ...]:
        when: tuple[int, ...] = scalar_at(self, ())._moment()
        return when

    def _local_gradients(self) -> tuple[float, ...]:
        slopes: tuple[float, ...] = scalar_at(self, ())._local_gradients()
        return slopes

    def _scalars(self) -> list[Any]:
        return [scalar_at(self, ())]


class Stack:
    """Values of one shape side by side along a new axis."""

    __slots__ = ()

    def __call__(self, children: list[Any], axis: int) -> Any:
        children = of_one_dtype(*children)
        return record(self.compute(children, axis), self, values_among(children), (children, axis))

    def compute(self, children: list[Any], axis: int) -> Any:
        return np.stack([data_of(child) for child in children], axis)

    def operation_name(self, node: Value) -> str:
        return "stack"

    def recompute(self, node: Value) -> None:
        refill(node, self.compute(*node._context))

    def backward(self, node: Value) -> None:
        children, axis = node._context
        if node.ndim == 1:
            above = node._grad.tolist()
        else:
            above = np.moveaxis(node._grad, axis, 0)
        for i in reversed(range(len(children))):
            if isinstance(children[i], Value):
                give(children[i], above[i] if node.ndim == 1 else above[i].copy())

    def source(self, node: Value, index: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
        children, axis = node._context
        return children[index[axis]], (*index[:axis], *index[axis + 1 :])


class Concatenate:
    """Values one after the other along an axis that they have."""

    __slots__ = ()

    def __call__(self, children: list[Any], axis: int) -> Any:
        children = of_one_dtype(*children)
        return record(self.compute(children, axis), self, values_among(children), (children, axis))

    def compute(self, children: list[Any], axis: int) -> Any:
        return np.concatenate([data_of(child) for child in children], axis)

    def operation_name(self, node: Value) -> str:
        return "concatenate"

    def recompute(self, node: Value) -> None:
        refill(node, self.compute(*node._context))

    def backward(self, node: Value) -> None:
        children, axis = node._context
        ends = np.cumsum([child.shape[axis] for child in children])
        for child, above in reversed(
            list(zip(children, np.split(node._grad, ends[:-1], axis), strict=True))
        ):
            give(child, above.copy())

    def source(self, node: Value, index: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
        children, axis = node._context
        place, k = index[axis], 0
        while place >= children[k].shape[axis]:
            place -= children[k].shape[axis]
            k += 1
        return children[k], (*index[:axis], place, *index[axis + 1 :])


class Gather:
    """Elements picked by lists or arrays of indices, or by a mask: a copy, not a view."""

    __slots__ = ()

    def __call__(self, x: Value, key: Any) -> Any:
        key = tuple([frozen(part) for part in key]) if isinstance(key, tuple) else frozen(key)
        return record(x._data[key], self, (x,), [key, None])

    def operation_name(self, node: Value) -> str:
        return "index"

    def recompute(self, node: Value) -> None:
        refill(node, node._operands[0]._data[node._context[0]])

    def backward(self, node: Value) -> None:
        (x,) = node._operands
        contribution = np.zeros_like(x._data)
        np.add.at(contribution, node._context[0], node._grad)  # an index may occur twice
        give(x, contribution)

    def source(self, node: Value, index: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
        (x,) = node._operands
        if node._context[1] is None:
            node._context[1] = np.arange(x.size).reshape(x.shape)[node._context[0]]
        flat = node._context[1][index]
        return x, tuple(map(int, np.unravel_index(flat, x.shape)))


def frozen(part: Any) -> Any:
    """A part of an index as it is now: the caller's list or array may change."""
    return np.array(part) if isinstance(part, list | np.ndarray) else part


class Reshape:
    """The elements in another shape, where they lie in memory so that only a copy can have it."""

    __slots__ = ()

    def __call__(self, x: Value, shape: Any) -> Any:
        return record(x._data.reshape(shape), self, (x,))

    def operation_name(self, node: Value) -> str:
        return "reshape"

    def recompute(self, node: Value) -> None:
        refill(node, node._operands[0]._data.reshape(node.shape))

    def backward(self, node: Value) -> None:
        (x,) = node._operands
        give(x, node._grad.reshape(x.shape).copy())

    def source(self, node: Value, index: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
        (x,) = node._operands
        flat = np.ravel_multi_index(index, node.shape)
        return x, tuple(map(int, np.unravel_index(flat, x.shape)))


class Where:
    """a where a condition holds, b elsewhere."""

    __slots__ = ()

    def __call__(self, condition: Any, a: Any, b: Any) -> Any:
        a, b = of_one_dtype(a, b)
        context = condition, a, b
        return record(self.compute(*context), self, values_among((a, b)), context)

    def compute(self, condition: Any, a: Any, b: Any) -> Any:
        try:
            data = np.where(condition, data_of(a), data_of(b))
        except ValueError:
            raise misfit(data_of(a), data_of(b)) from None
        return data if data.ndim else data.item()

    def operation_name(self, node: Value) -> str:
        return "where"

    def recompute(self, node: Value) -> None:
        refill(node, self.compute(*node._context))

    def backward(self, node: Value) -> None:
        condition, a, b = node._context
        above = node._grad
        if isinstance(a, Value):
            give(a, np.where(condition, above, 0.0))
        if isinstance(b, Value):
            give(b, np.where(condition, 0.0, above))

    def local_gradients(self, node: Value, index: tuple[int, ...]) -> tuple[float, ...]:
        condition, a, b = node._context  # of a single Value, which is no element of anything
        return of_operands((a, b), (1.0, 0.0) if condition else (0.0, 1.0))

    def source(self, node: Value, index: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
        condition, a, b = node._context
        chosen = a if condition[broadcast_index(condition.shape, index)] else b
        return chosen, broadcast_index(np.shape(data_of(chosen)), index)


def unstacked(operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """The operands, with the Values themselves in place of those that only put them together."""
    if all(operand._operation is not STACK for operand in operands):
        return operands
    found, waiting = [], list(reversed(operands))
    while waiting:
        operand = waiting.pop()
        if operand._operation is STACK:
            waiting.extend(reversed(operand._operands))
        else:
            found.append(operand)
    return tuple(found)


STACK = Stack()
CONCATENATE = Concatenate()
GATHER = Gather()
RESHAPE = Reshape()
WHERE = Where()


def stack(values: Any, axis: int = 0) -> Any:
    """Values of one shape side by side along a new axis. ValueError where the shapes differ."""
    children = [v if isinstance(v, Value) else as_operand(v, "stack") for v in values]
    shapes = [np.shape(data_of(child)) for child in children]
    if not shapes or len(set(shapes)) > 1:
        raise ValueError(f"stack needs Values of one shape, got {reprlib.repr(shapes)}")
    ndim = len(shapes[0]) + 1
    if not -ndim <= axis < ndim:
        raise ValueError(f"axis {axis} of a result with {ndim} axes")
    return STACK(children, axis % ndim)


def concatenate(vectors: Any, axis: int = 0) -> Any:
    """Vectors and sequences one after the other along an axis. ValueError where others differ."""
    children = [v if isinstance(v, Vector) else Vector(v) for v in vectors] or [Vector([])]
    shapes = [child.shape for child in children]
    if len({len(shape) for shape in shapes}) > 1:
        raise ValueError(
            f"concatenate needs Values with as many axes each, got {reprlib.repr(shapes)}"
        )
    (axis,) = axes_of(children[0]._data, axis)
    if len({(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}) > 1:
        raise ValueError(
            f"concatenate along axis {axis} needs all other axes equal, got {reprlib.repr(shapes)}"
        )
    return CONCATENATE(children, axis)


def where(condition: Any, a: Any, b: Any) -> Any:
    """a where the condition (an array of bools) holds, b elsewhere; all three are broadcast."""
    condition = np.asarray(data_of(condition), dtype=bool)
    return WHERE(condition, as_operand(a, "where"), as_operand(b, "where"))


def as_operand(x: Any, what: str) -> Any:
    """A Value, float or array."""
    if isinstance(x, Value):
        return x
    return as_float(x) if is_number(x) else tensor_of(x, what)


# ---------------------------------------------------------------------------------------------
# Vector
# ---------------------------------------------------------------------------------------------


class Vector(Value):
    """A Value of one dimension or more: an array, and a sequence of the Values along its first
    axis.

    values: an array, or a sequence of Values, numbers (they become leaves), or such sequences.
    TypeError for anything else, ValueError for rows of different lengths.
    The other arguments are those of Value.
    """

    __slots__ = (
        "_labels",  # of single elements, by index; None while there are none
        "_lent",  # whether someone outside may hold _data, and change it behind our back
        "_pinned",  # whether views look at _grad, so that it must stay the same object
        "_room",  # of a parameter, the part of its optimiser's array to write the gradient to
    )

    def __new__(
        cls,
        values: Iterable[Any],
        operands: Iterable[Value] = (),
        op: str = "",
        label: str = "",
        local_grads: Iterable[Any] | None = None,
        *,
        dtype: Any = None,
    ) -> Vector:
        return object.__new__(cls)

    def __init__(
        self,
        values: Iterable[Any],
        operands: Iterable[Value] = (),
        op: str = "",
        label: str = "",
        local_grads: Iterable[Any] | None = None,
        *,
        dtype: Any = None,
    ) -> None:
        if not is_sequence(values):
            raise TypeError(f"Vector needs a sequence of Values, got {describe(values)}")
        source = tensor_of(values, "a Vector", leaves=True)
        if dtype is not None and isinstance(source, Value):
            raise TypeError(f"the Values of a Vector have a dtype: {dtype!r} cannot be given")
        if isinstance(source, Value) and (operands or local_grads is not None or op):
            source = source._data  # the data of a custom operation are numbers
        self._grad, self._pinned, self._labels, self._lent = None, False, None, False
        self._room = None
        if isinstance(source, Value):
            self._data = source._data
            self._become_leaf(label)
            if source is cast(Any, values):  # the same Values again
                source = view(source, lambda array: array[...])
                self._grad, self._pinned = source._grad, True
            self._operands, self._operation = source._operands, source._operation
            self._context = source._context
            return
        # The caller's array stays the caller's.
        self._data = np.array(source, dtype=as_dtype(dtype), order="C")
        self._become_leaf(label)
        operands = all_of(operands, "operands")
        if operands or local_grads is not None or op:
            self._make_custom(operands, op, local_grads)

    # What a user sees ------------------------------------------------------------------------

    @property
    def data(self) -> np.ndarray:
        """The array itself. Settable from a number, which fills it, or from what has its shape."""
        self._lent = True
        return cast(np.ndarray, self._data)

    @data.setter
    def data(self, numbers: Any) -> None:
        self._lent = True
        assign(self._data, numbers)

    @property
    def grad(self) -> np.ndarray:
        """The gradient of each element, an array of the same shape; settable like data."""
        if self._grad is None:
            self._grad = np.zeros_like(self._data)
        elif self._grad is self._room:
            self._room = None  # whoever reads it may keep it
        return cast(np.ndarray, self._grad)

    @grad.setter
    def grad(self, numbers: Any) -> None:
        assign(self.grad, numbers)

    @property
    def op(self) -> str:
        """The name of the operation that made this Value, "" on a leaf; of a view, its source's."""
        if self._operation is VIEW:
            name: str = self._operands[0].op
            return name
        return super().op

    @property
    def operands(self) -> tuple[Value, ...]:
        """The Values that this one was computed from, () on a leaf; of a view, its source's."""
        return unstacked((self._operands[0] if self._operation is VIEW else self)._operands)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length along each axis."""
        shape: tuple[int, ...] = self._data.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._data.shape)

    @property
    def size(self) -> int:
        """The number of scalars."""
        size: int = self._data.size
        return size

    @property
    def dtype(self) -> np.dtype:
        """float64 or float32."""
        dtype: np.dtype = self._data.dtype
        return dtype

    def __repr__(self) -> str:
        if self._data.ndim > 1 and self._data.size > 1000:  # as NumPy does, where nobody would read
            return f"Value({self._data!r}, grad={self.grad!r})"
        return shown(self._data.tolist(), self.grad.tolist())

    def __float__(self) -> float:
        raise TypeError(f"a Vector of shape {self.shape} is not one number: index or reduce it")

    def __bool__(self) -> bool:
        raise ValueError(
            f"the truth of a Vector of shape {self.shape} is ambiguous: test len(v), or its data"
        )

    # A sequence ------------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """A copy of the numbers where numbers are asked for, else the Values, which have a graph."""
        if copy is False:
            raise ValueError("an array of a Vector is a copy: its data is an array that it shares")
        if dtype is not None and np.dtype(dtype) != object:
            return np.array(self._data, dtype=dtype)
        values = np.empty(self.shape, dtype=object)
        for index in np.ndindex(self.shape):
            values[index] = self[index]
        return values

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self._data)))

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        for part in parts:
            if isinstance(part, list | np.ndarray | bool | np.bool_):
                return GATHER(self, key)
        if not any(part is Ellipsis for part in parts):
            parts = (*parts, Ellipsis)  # without it NumPy copies a single element out
        return view(self, lambda array: array[parts])

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, Value):
            return False
        if value.ndim != self.ndim - 1:
            return False
        if value.ndim:
            return any(same_memory(value, row) for row in self)
        wanted = scalar_at(value, ())
        return any(wanted == scalar_at(self, (i,)) for i in range(len(self)))

    # Linear algebra --------------------------------------------------------------------------

    def __matmul__(self, other: Any) -> Any:
        return product_of(self, other) if is_sequence(other) else NotImplemented

    def __rmatmul__(self, other: Any) -> Any:
        return product_of(other, self) if is_sequence(other) else NotImplemented

    def dot(self, other: Any) -> Any:
        """The sum of the products; of matrices the matrix product. ValueError if sizes differ."""
        return product_of(self, other)

    # Shape -----------------------------------------------------------------------------------

    def reshape(self, *shape: Any) -> Any:
        """The same elements in another shape; -1 stands for the length that fits."""
        shape = as_tuple(shape)
        # Zero-size arrays share nothing, and nothing needs to be shared.
        if np.shares_memory(self._data.reshape(shape), self._data) or not self._data.size:
            return view(self, lambda array: array.reshape(shape))
        return RESHAPE(self, shape)

    def transpose(self, *axes: Any) -> Vector:
        """The axes in another order, by default reversed."""
        order = as_tuple(axes) or None
        return cast(Vector, view(self, lambda array: array.transpose(order)))

    @property
    def T(self) -> Vector:
        """The axes in reverse order: of a matrix, its transpose."""
        return self.transpose()

    # Gradients -------------------------------------------------------------------------------

    def backward(self, grad: Any = None) -> None:
        """Value.backward of all elements at once; grad a number or one for each, by default 1."""
        seed = np.ones_like(self._data)
        if grad is not None:
            assign(seed, grad)
        backpropagate(self, seed)

    def zero_grad(self) -> None:
        """Set grad to 0.0 on every element."""
        if self._pinned:
            self._grad.fill(0.0)
        else:
            self._grad = None

    def _composition(self) -> None:
        return None  # its scalars have one each

    def _scalars(self) -> list[Any]:
        scalars = (scalar_at(self, index) for index in np.ndindex(self._data.shape))
        return [scalar for scalar in scalars if type(scalar) is not float]


def as_tuple(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """What stands behind `*arguments`: the numbers themselves, or one tuple or list of them."""
    if len(arguments) == 1 and isinstance(arguments[0], tuple | list):
        return tuple(arguments[0])
    return arguments


def shown(data: Any, grad: Any) -> str:
    """The repr of nested lists of Values."""
    if not isinstance(data, list):
        return f"Value({data!r}, grad={grad!r})"
    return f"[{', '.join(map(shown, data, grad))}]"


def assign(target: np.ndarray, numbers: Any) -> None:
    """Fill the array from a number, or from as many as it holds. ValueError for another shape."""
    if numbers is not target:  # as after `p.data -= step`, which changed the array itself
        target[...] = numbers_for(target, numbers)


def numbers_for(target: np.ndarray, numbers: Any) -> Any:
    """A number, or an array of the target's shape. ValueError for another shape."""
    if is_number(numbers):
        return as_float(numbers)
    source = data_of(tensor_of(numbers, "a Vector"))
    if source.shape != target.shape:
        if source.ndim == target.ndim == 1:
            raise ValueError(f"a Vector of {target.size} cannot be set from {source.size} numbers")
        raise ValueError(f"an array of shape {target.shape} cannot be set from {source.shape}")
    return source


# ---------------------------------------------------------------------------------------------
# Scalars: a graph of arrays as the scalar backends have it
# ---------------------------------------------------------------------------------------------


class Scalar:
    """One element of a Vector as a node of the scalar graph. It reads like a Value.

    value: the Vector that it belongs to; index: where. Two of the same place are equal.
    """

    __slots__ = ("index", "value")

    def __init__(self, value: Any, index: tuple[int, ...]) -> None:
        self.value = value
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scalar) and self.value is other.value and self.index == other.index

    def __hash__(self) -> int:
        return hash((id(self.value), self.index))

    @property
    def data(self) -> float:
        return float(self.value._data[self.index])

    @property
    def grad(self) -> float:
        return float(self.value.grad[self.index])

    @property
    def label(self) -> str:
        label: str = (self.value._labels or {}).get(self.index, "")
        if not label and self.value._label:
            return f"{self.value._label}[{', '.join(map(str, self.index))}]"
        return label

    @property
    def op(self) -> str:
        return self._made()[0]

    @property
    def operands(self) -> tuple[Any, ...]:
        return self._made()[1]

    def _made(self) -> tuple[str, tuple[Any, ...]]:
        operation = self.value._operation
        if operation is None:
            return "", ()
        name, arguments = operation.element(self.value, self.index)
        return name, tuple([x for x in arguments if type(x) is not float])

    @property
    def _op(self) -> str:
        return self.op

    @property
    def _prev(self) -> tuple[Any, ...]:
        return self.operands

    def _composition(self) -> tuple[Any, ...] | None:
        return composition(self.value, self.index)

    def _moment(self) -> tuple[int, ...]:
        return moment(self.value, self.index)

    def _local_gradients(self) -> tuple[float, ...]:
        return local_gradients(self.value, self.index)

    def as_value(self) -> Value:
        """The element as a Value."""
        return cast(Value, self.value[self.index])

    def __repr__(self) -> str:
        return f"Value({self.data!r}, grad={self.grad!r})"


def scalar_at(x: Any, index: tuple[int, ...]) -> Any:
    """The scalar node of an element, a float if it is a constant.

    A single Value is its own node. What only moved elements about is passed through.
    """
    while isinstance(x, Value) and type(x) is not Value:
        source = getattr(x._operation, "source", None)
        if source is None:
            return Scalar(x, index)
        x, index = source(x, index)
    return float(x[index]) if isinstance(x, np.ndarray) else x


def broadcast_index(shape: tuple[int, ...], index: tuple[int, ...]) -> tuple[int, ...]:
    """Where in an array of the shape the element lies that was broadcast to the index."""
    last = index[len(index) - len(shape) :]
    return tuple([0 if n == 1 else i for n, i in zip(shape, last, strict=True)])


def broadcast_at(x: Any, index: tuple[int, ...]) -> Any:
    return scalar_at(x, broadcast_index(np.shape(data_of(x)), index))


def row_of(x: Any) -> list[Any]:
    return [scalar_at(x, (i,)) for i in range(len(x))]


def all_scalars(operands: Iterable[Value]) -> list[Any]:
    return [scalar for operand in operands for scalar in operand._scalars()]


def composition(value: Value, index: tuple[int, ...]) -> tuple[Any, ...] | None:
    compose = getattr(value._operation, "compose", None)
    parts: tuple[Any, ...] | None = compose(value, index) if compose else None
    return parts


def moment(value: Value, index: tuple[int, ...]) -> tuple[int, ...]:
    """The place of an element in the order of creation."""
    return () if value._operation is None else (value._order, *index)


@quiet
def local_gradients(value: Value, index: tuple[int, ...]) -> tuple[float, ...]:
    """The derivative of an element with respect to each of the scalars that it was made of."""
    if value._operation is None:
        return ()
    slopes: tuple[float, ...] = value._operation.local_gradients(value, index)
    return slopes


def of_operands(arguments: Iterable[Any], slopes: Iterable[float]) -> tuple[float, ...]:
    """The local gradients with respect to the nodes among the arguments."""
    pairs = zip(arguments, slopes, strict=True)
    return tuple([local for x, local in pairs if type(x) is not float])


def all_numbers(arguments: Iterable[Any], arrays: Iterable[Any]) -> tuple[list[Any], list[float]]:
    """The scalar nodes and constants of all arguments, and the numbers that belong to them."""
    pairs = [
        (scalar_at(x, index), float(numbers[index]))
        for x, numbers in zip(arguments, arrays, strict=True)
        for index in np.ndindex(np.shape(data_of(x)))
    ]
    return [x for x, _ in pairs], [number for _, number in pairs]


def number_of(x: Any) -> float:
    """The number of a scalar node, or a constant."""
    return x if type(x) is float else float(x.data)


def number_at(node: Value, index: tuple[int, ...]) -> float:
    return node._data if type(node._data) is float else float(node._data[index])


def unit_at(node: Value, index: tuple[int, ...]) -> np.ndarray:
    """A gradient that is 1 for one element and 0 for all others."""
    gradient: np.ndarray = np.zeros_like(node._data)
    gradient[index] = 1.0
    return gradient


# ---------------------------------------------------------------------------------------------
# Tape
# ---------------------------------------------------------------------------------------------


def copy_gradient(node: Vector, memory: np.ndarray) -> None:
    np.copyto(memory, node.grad)


class Tape:
    """The graph of one Value, recorded once and run again for other data of its leaves.

    Control flow is frozen as it was recorded, and so is what is no Value: the numbers beside Values,
    the labels and classes of a loss. What is to change is a leaf: the inputs of a model, the targets
    of mse_loss. ValueError for a graph with a custom operation, whose formula is not known.
    len(tape) is the number of operations.

    Memory is allocated once. The gradient that backward leaves in a leaf is the tape's own array
    and is written again by the backward after the next zero_grad: copy what you want to keep.
    """

    __slots__ = (
        "_backward",
        "_forward",
        "_handed",
        "_idle",
        "_nodes",
        "_places",
        "_root",
        "_uses",
        "_zeroed",
    )

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
        self._forward: list[Callable[[], Any]] = []
        self._backward: list[Callable[[], Any]] = []
        self._handed: list[tuple[Vector, np.ndarray]] = []  # leaves and their gradients
        self._places: dict[int, np.ndarray] = {}  # of a leaf, where its gradient is written
        self._zeroed: list[Any] = []  # nodes whose gradients are added up, not written
        self._plan()

    # An operation that has a `plan` gives the calls of NumPy that compute it, with the arrays that
    # they read and write; for any other its recompute and backward are called.

    def _plan(self) -> None:
        planned = [
            getattr(node._operation, "plan", None) is not None and node._operation.plannable(node)
            for node in self._nodes
        ]
        # How often a gradient is written in a pass; an unplanned operation only knows how to add.
        self._uses: dict[int, int] = {id(self._root): 2}
        for node, known in zip(self._nodes, planned, strict=True):
            for operand in node._operands:
                self._uses[id(operand)] = self._uses.get(id(operand), 0) + (1 if known else 2)
        self._place_gradients()
        forward: list[list[Callable[[], Any]]] = []
        for node in self._nodes:
            if isinstance(node, Vector):
                node._lent = True  # from now on forward may change it
            if self._writes(node):
                node._grad, node._pinned = node.grad, True
            elif node._operation is not VIEW:
                self._zeroed.append(node)
        for node, known in zip(self._nodes, planned, strict=True):
            if known:
                above = node._grad
                if node.ndim and not self._writes(node):
                    above = empty(node.shape, node.dtype)
                    self._backward.append(partial(copy_gradient, node, above))
                there, back = node._operation.plan(node, above, self)
            else:
                there = [partial(node._operation.recompute, node)]
                back = [partial(node._operation.backward, node)]
            forward.append(there)
            self._backward += back
        self._forward = [call for calls in reversed(forward) for call in calls]

    def gradient_of(self, operand: Any) -> tuple[np.ndarray, list[Callable[[], Any]]]:
        """Where a planned operation writes what it gives to an operand, and the calls to follow.

        What is written once in a pass is written in place; all else is added.
        """
        if self._writes(operand):
            return operand._grad, []
        if id(operand) in self._places:
            memory = self._places[id(operand)]
            self._handed.append((operand, memory))
            return memory, []
        memory = empty(operand.shape, operand.dtype)
        return memory, [lambda: give(operand, memory.copy())]

    def _place_gradients(self) -> None:
        """Memory for the gradients that are handed to leaves; as the data of a model's parameters
        follow each other, so do these, and an optimiser need not gather them."""
        leaves = [
            operand
            for node in self._nodes
            for operand in node._operands
            if isinstance(operand, Vector)
            and operand._operation is None
            and self._uses[id(operand)] == 1
            and not operand._pinned
        ]
        leaves.sort(key=lambda leaf: address_of(leaf._data))
        for run in runs_of(leaves):
            memory = empty((sum(leaf.size for leaf in run),), run[0].dtype)
            self._places |= zip(map(id, run), parts_of(memory, run), strict=True)

    def _writes(self, node: Any) -> bool:
        """Whether one planned operation alone writes the gradient of a node that is no leaf."""
        return (
            self._uses[id(node)] == 1
            and isinstance(node, Vector)
            and node._operation not in (None, VIEW)
            and bool(node._data.flags.c_contiguous)
        )

    def __len__(self) -> int:
        return sum(1 for node in self._nodes if not hasattr(node._operation, "source"))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Tape cannot be copied or pickled: it belongs to the graph it recorded")

    def _refuse_another(self) -> None:
        if not self._idle.acquire(blocking=False):
            raise RuntimeError("this Tape is at work in another thread: record one for each")

    def set(self, leaves: Any, values: Any) -> None:
        """Give leaves new data: a Value and what its data can be set from, or a sequence of each.

        ValueError where the sizes differ; then nothing is set.
        """
        if isinstance(leaves, Value):
            leaves, values = [leaves], [values]
        if not is_sequence(values):
            raise TypeError(f"leaves are set from a sequence of numbers, got {describe(values)}")
        leaves, values = list(leaves), list(values)
        if len(leaves) != len(values):
            raise ValueError(f"{len(leaves)} leaves cannot be set from {len(values)} numbers")
        # What does not fit is refused before any is set, and one leaf's data may go to another.
        fitting = []
        for leaf, value in zip(leaves, values, strict=True):
            check_leaf(leaf)
            numbers: Any = numbers_for(leaf._data, value) if leaf.ndim else as_float(value)
            if any(np.may_share_memory(numbers, other._data) for other in leaves if other.ndim):
                numbers = numbers.copy()
            fitting.append(numbers)
        for leaf, numbers in zip(leaves, fitting, strict=True):
            leaf.data = numbers

    @quiet
    def forward(self) -> Any:
        """Recompute every node from the leaves' present data; the root's data."""
        self._refuse_another()
        try:
            for call in self._forward:
                call()
            return self._root.data
        finally:
            self._idle.release()

    @quiet
    def backward(self, grad: Any = 1.0) -> None:
        """Value.backward on the recorded graph."""
        seed: Any = np.ones_like(self._root._data) if self._root.ndim else as_float(grad)
        if self._root.ndim:
            assign(seed, grad)
        self._refuse_another()
        try:
            with walking:
                self._hand_down(seed)
        finally:
            self._idle.release()

    def _hand_down(self, seed: Any) -> None:
        for leaf, gradient in self._handed:
            if leaf._grad is gradient:  # not zeroed since the last pass: this one is added to it
                leaf._grad = gradient.copy()
        for node in self._zeroed:
            node.zero_grad()
        give(self._root, seed)
        for call in self._backward:
            call()
        for leaf, gradient in self._handed:
            if leaf._grad is None:
                leaf._grad = gradient
            else:
                leaf._grad += gradient


def check_leaf(value: Value) -> None:
    if value.op:
        raise ValueError(
            f"a Tape sets leaves, whose data nothing computes; got the result of {value.op!r}"
        )
