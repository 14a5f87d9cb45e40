"""Is the gradient right? Backward against central differences."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

ROUNDING = (
    2.0**-50
)  # how far off f itself may be, relative to its size: four units in the last place


@dataclass(frozen=True, slots=True)
class GradientCheck:
    """The outcome of `gradcheck`: true where all gradients agree. Printed, it names the worst."""

    checked: int  # how many scalars
    wrong: int  # how many of them disagree
    worst: str  # which scalar is furthest off, measured in its tolerance
    analytic: float  # its gradient by backward
    numeric: float  # and by central differences
    tolerance: float  # by how much the two may differ

    def __bool__(self) -> bool:
        return self.wrong == 0

    def __str__(self) -> str:
        if not self.checked:
            return "no gradients to check: the inputs are empty"
        numbers = (
            f"{self.worst}: backward {self.analytic!r}, central differences {self.numeric!r}, "
            f"off by {abs(self.analytic - self.numeric):.3g} where {self.tolerance:.3g} is allowed"
        )
        if self.wrong:
            return f"{self.wrong} of {self.checked} gradients are wrong, worst of all {numbers}"
        return f"all {self.checked} gradients agree, the least close {numbers}"

    __repr__ = __str__


def gradcheck(
    f: Callable[..., Any],
    inputs: Sequence[Any],
    eps: float = 1e-6,
    rtol: float = 1e-5,
    atol: float = 1e-8,
) -> GradientCheck:
    """Compare backward of `f(*inputs)` with (f(x + h) - f(x - h)) / 2h, h = eps·max(1, |x|).

    Every scalar of every input is moved in turn. `f` returns a Value, or a Vector, of which the sum
    is differentiated. Two gradients agree within atol + rtol·|numeric| and the rounding of f.
    inputs: a sequence of Values, Vectors or arrays; their data and grad are restored.

    TypeError: inputs that are no Values, a result that is none, an option that is no number.
    ValueError: no inputs, inputs that are not finite, tolerances that are negative, eps that is not
    positive.
    """
    options: dict[str, Any] = {"eps": eps, "rtol": rtol, "atol": atol}
    for option, number in options.items():
        if isinstance(number, str) or not hasattr(type(number), "__float__"):
            raise TypeError(f"{option} must be a number, got {number!r}")
    if not (eps > 0 and math.isfinite(eps)):
        raise ValueError(f"eps must be a positive number, got {eps!r}")
    if not (rtol >= 0 and atol >= 0):
        raise ValueError(f"tolerances cannot be negative, got rtol={rtol!r} and atol={atol!r}")
    if not isinstance(inputs, Iterable) or isinstance(getattr(inputs, "data", None), float):
        raise TypeError(f"inputs must be a sequence of Values, such as [x], got {inputs!r}")
    inputs = list(inputs)
    if not inputs:
        raise ValueError("there is nothing to check: inputs is empty")
    for i, x in enumerate(inputs):
        if not _is_value(x):
            raise TypeError(f"inputs must be Values, but input {i} is {x!r} ({type(x).__name__})")

    before = [(copy.deepcopy(x.data), copy.deepcopy(x.grad)) for x in inputs]
    try:
        return _compare(f, inputs, [data for data, _ in before], eps, rtol, atol)
    finally:
        for x, (data, grad) in zip(inputs, before, strict=True):
            x.data = data
            x.grad = grad


def _compare(
    f: Callable[..., Any],
    inputs: list[Any],
    before: list[Any],
    eps: float,
    rtol: float,
    atol: float,
) -> GradientCheck:
    for x in inputs:
        x.grad = 0.0
    result = f(*inputs)
    if not _is_value(result):
        raise TypeError(
            f"f must return a Value or a Vector, got {result!r} ({type(result).__name__})"
        )
    result.backward()
    gradients = [copy.deepcopy(x.grad) for x in inputs]

    checks = (
        _check(f, inputs, i, place, before[i], gradients[i], eps, rtol, atol)
        for i in range(len(inputs))
        for place in _places(before[i])
    )
    checked = wrong = 0
    worst, worst_excess = ("", 0.0, 0.0, 0.0), -1.0
    for name, analytic, numeric, tolerance in checks:
        excess = _excess(analytic, numeric, tolerance)
        checked += 1
        wrong += excess > 1
        if excess > worst_excess:
            worst, worst_excess = (name, analytic, numeric, tolerance), excess
    return GradientCheck(checked, wrong, *worst)


def _check(
    f: Callable[..., Any],
    inputs: list[Any],
    i: int,
    place: tuple[int, ...],
    data: Any,
    gradient: Any,
    eps: float,
    rtol: float,
    atol: float,
) -> tuple[str, float, float, float]:
    """Name, gradient by backward, gradient by differences, and tolerance of one scalar."""
    name = _name(i, inputs[i], place)
    center = float(_at(data, place))
    if not math.isfinite(center):
        raise ValueError(f"gradcheck needs finite inputs, but {name} is {center!r}")
    step = eps * max(1.0, abs(center))

    def outputs_at(number: float) -> tuple[float, list[float]]:
        inputs[i].data = _with(data, place, number)
        try:
            moved = f(*inputs).data
        except (ArithmeticError, ValueError) as error:
            error.add_note(f"raised while gradcheck moved {name} from {center!r} to {number!r}")
            raise
        # Read back, because float32 stores another number than it was given.
        return float(_at(inputs[i].data, place)), [float(_at(moved, k)) for k in _places(moved)]

    low_x, low = outputs_at(center - step)
    high_x, high = outputs_at(center + step)
    inputs[i].data = data
    width = high_x - low_x
    if not width > 0:
        raise ValueError(f"eps={eps!r} is too small to move {name} from {center!r}")
    numeric = _sum(b - a for a, b in zip(low, high, strict=True)) / width
    rounding = ROUNDING * _sum(map(abs, low + high)) / width
    return name, float(_at(gradient, place)), numeric, atol + rtol * abs(numeric) + rounding


def _sum(numbers: Iterable[float]) -> float:
    total = 0.0
    for number in numbers:
        total += number
    return total


def _excess(analytic: float, numeric: float, tolerance: float) -> float:
    """How far apart two gradients are, in tolerances: above 1 they disagree, nan always does."""
    if analytic == numeric:
        return 0.0
    off = abs(analytic - numeric)
    if not (math.isfinite(off) and math.isfinite(tolerance)):
        return math.inf
    return off / tolerance if tolerance else math.inf


def _is_value(thing: object) -> bool:
    return all(hasattr(thing, name) for name in ("data", "grad", "backward"))


def _name(i: int, x: Any, place: tuple[int, ...]) -> str:
    label = getattr(x, "label", "")
    name = f"input {i} ({label})" if label else f"input {i}"
    return name + (f"[{', '.join(map(str, place))}]" if place else "")


# data is a float, an ndarray, or the nested list of a Vector


def _places(data: Any) -> Iterator[tuple[int, ...]]:
    if hasattr(data, "shape"):
        yield from product(*map(range, data.shape))
    elif isinstance(data, list):
        yield from ((i, *rest) for i, part in enumerate(data) for rest in _places(part))
    else:
        yield ()


def _at(data: Any, place: tuple[int, ...]) -> Any:
    for i in place:
        data = data[i]
    return data


def _with(data: Any, place: tuple[int, ...], number: float) -> Any:
    """A copy of data that has `number` at `place`."""
    if not place:
        return number
    changed = copy.deepcopy(data)
    *path, last = place
    _at(changed, tuple(path))[last] = number
    return changed
