"""Every function and its derivative against mpmath: by how many units in the last place they are off.

    python -m reliability.accuracy [POINTS] [--only FUNCTION] [--record]

One such unit, an ulp, is the distance from the right result to the next float. A correctly rounded
result is off by half of one at most.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from mpmath import mp, mpf

from cases.exact import FUNCTIONS, LARGEST, MANY, OPERATIONS, Exact, ExactMany, derivatives, points
from reference import torch

from .record import record

LIMIT = 4.0  # of a function of many numbers, for each ulp that its arguments are worth
SLACK = 8.0  # how much larger than PyTorch's an error may be: where terms cancel, luck decides
GROUP = 64  # points next to each other, over which the errors of derivatives are compared

# What is right -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rounded:
    """A real number: the float next to it, and what remains, in ulps."""

    nearest: float
    rest: float
    ulp: float

    def error(self, got: float) -> float:
        """How far off a float is, in ulps."""
        if math.isinf(self.nearest):
            return 0.0 if got == self.nearest else 1.0 if abs(got) == LARGEST else math.inf
        if not math.isfinite(got):
            return math.inf
        return abs((got - self.nearest) / self.ulp - self.rest)


def rounded(x: Any) -> Rounded:
    nearest = float(x)
    if math.isinf(nearest):
        return Rounded(nearest, 0.0, 1.0)
    ulp = math.ulp(nearest)
    return Rounded(nearest, float((x - nearest) / ulp), ulp)


@dataclass(frozen=True)
class Point:
    """Arguments, one of the results there, its derivatives (None: there is none)."""

    x: Sequence[float]
    output: int
    value: Rounded
    slopes: list[Rounded | None]
    worth: float  # by how many ulps the result moves where the arguments do by one, or one


@functools.cache
def reference(function: Exact | ExactMany, count: int) -> list[Point]:
    """What is right, at so many points."""
    if isinstance(function, Exact):
        return [at(function, x) for x in points(function, count)]
    return [of_many(function, x, i) for i, x in enumerate(function.points(count))]


def at(function: Exact, x: Sequence[float]) -> Point:
    exact = [mpf(number) for number in x]
    slopes: list[Rounded | None] = []
    for slope in function.slopes:
        try:
            y = slope(*exact)
        except ZeroDivisionError:  # at a pole
            y = mp.nan
        slopes.append(None if mp.isnan(y) else rounded(y))
    return Point(x, 0, rounded(function.value(*exact)), slopes, 1.0)


def of_many(function: ExactMany, x: list[float], i: int) -> Point:
    results = [mp.re(y) for y in function.exact([mpf(number) for number in x])]
    output = i % len(results)
    y = results[output]
    slopes = derivatives(lambda moved: function.exact(moved)[output], x)
    # Sums cancel: half an ulp in an argument may be a thousand in the result, however it is computed.
    moved = mp.fsum(abs(number * slope) for number, slope in zip(x, slopes, strict=True))
    worth = 1.0 + float(moved / abs(y)) if y else math.inf
    return Point(x, output, rounded(y), [rounded(slope) for slope in slopes], worth)


# What is computed ----------------------------------------------------------------------------

Result = tuple[float, list[float]] | None  # a value and its derivatives; None: it overflowed


def scalars(m: ModuleType, function: Exact | ExactMany, where: Iterable[Point]) -> list[Result]:
    """A backend's results, one point at a time."""
    return [one(m, function, point) for point in where]


def one(m: ModuleType, function: Exact | ExactMany, point: Point) -> Result:
    try:
        if not isinstance(function, Exact):
            return function.ours(m, list(point.x), point.output)
        arguments = [m.Value(number) for number in point.x]
        y = function.ours(*arguments)
    except OverflowError:
        return None
    y.backward()
    return y.data, [a.grad for a in arguments]


def arrays(m: ModuleType, function: Exact, where: list[Point]) -> list[Result]:
    """The same by an engine that computes all points at once."""
    arguments = [m.Vector(column) for column in zip(*(point.x for point in where), strict=True)]
    y = function.ours(*arguments)
    y.backward()
    columns = zip(*(a.grad.tolist() for a in arguments), strict=True)
    return [(value, list(slopes)) for value, slopes in zip(y.data.tolist(), columns, strict=True)]


@functools.cache
def errors_of_pytorch(function: Exact | ExactMany, count: int) -> Errors:
    where, threads = reference(function, count), torch.get_num_threads()
    torch.set_num_threads(1)  # which on a few numbers would wait for each other
    try:
        return errors(where, pytorch(function, where))
    finally:
        torch.set_num_threads(threads)


def pytorch(function: Exact | ExactMany, where: list[Point]) -> list[Result]:
    if isinstance(function, Exact):
        columns = zip(*(point.x for point in where), strict=True)
        arguments = [torch.tensor(c, dtype=torch.float64, requires_grad=True) for c in columns]
        y = function.torch(*arguments)
        y.backward(torch.ones_like(y))
        slopes = zip(*(a.grad.tolist() for a in arguments), strict=True)
        return [(value, list(s)) for value, s in zip(y.tolist(), slopes, strict=True)]
    found: list[Result] = []
    for point in where:
        t = torch.tensor(point.x, dtype=torch.float64, requires_grad=True)
        result = function.torch(t).reshape(-1)[point.output]
        result.backward()
        found.append((result.item(), t.grad.tolist()))
    return found


# How far off ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Errors:
    """In ulps, at each point: of the value, each counted in what it is worth, and of a derivative."""

    value: list[float]
    slope: list[float]

    def worst_value(self) -> int:
        return max(range(len(self.value)), key=self.value.__getitem__)

    def worst_slope(self) -> int:
        return max(range(len(self.slope)), key=self.slope.__getitem__)


def errors(where: list[Point], results: list[Result]) -> Errors:
    values, slopes = [], []
    for point, result in zip(where, results, strict=True):
        if result is None:
            values.append(0.0 if math.isinf(point.value.nearest) else math.inf)
            slopes.append(0.0)
            continue
        value, gradient = result
        values.append(point.value.error(value) / point.worth)
        known = [(right, got) for right, got in zip(point.slopes, gradient, strict=True) if right]
        # A slope at an infinite value is of no number.
        finite = math.isfinite(value)
        slopes.append(max((r.error(got) for r, got in known), default=0.0) if finite else 0.0)
    return Errors(values, slopes)


def complaints(
    function: Exact | ExactMany, where: list[Point], ours: Errors, theirs: Errors
) -> list[str]:
    """What misses its limit."""
    found = []
    for point, error in zip(where, ours.value, strict=True):
        limit = function.ulps(*point.x) if isinstance(function, Exact) else LIMIT
        if not error <= limit:
            found.append(
                f"{function} at {shown(point.x)} is {error:.3g} ulp off, {limit:.3g} may be"
            )
            break
    for point, error in zip(where, ours.slope, strict=True):
        limit = function.slope_ulps(*point.x) if isinstance(function, Exact) else math.inf
        if not error <= limit:
            found.append(
                f"the derivative of {function} at {shown(point.x)} is {error:.3g} ulp off, "
                f"{limit:.3g} may be"
            )
            break
    # A point where PyTorch's error happens to be none says little, so neighbours are compared.
    order = range(len(where))
    if len(where[0].x) == 1:
        order = sorted(order, key=lambda i: where[i].x[0])
    size = GROUP if len(where[0].x) == 1 else len(where)
    for begin in range(0, len(where), size):
        group = order[begin : begin + size]
        if len(group) < 16:
            continue
        for share in (0.5, 0.9) if len(group) >= GROUP else (0.5,):
            mine, other = (quantile([e.slope[i] for i in group], share) for e in (ours, theirs))
            if not mine <= max(2.0, SLACK * other):
                found.append(
                    f"the derivative of {function} from {shown(where[group[0]].x)} to "
                    f"{shown(where[group[-1]].x)} is {mine:.3g} ulp off and PyTorch's {other:.3g} "
                    f"at {share:.0%} of the points or fewer"
                )
    return found


def quantile(numbers: Iterable[float], share: float) -> float:
    ordered = sorted(numbers)
    return ordered[int(share * (len(ordered) - 1))]


def shown(x: Sequence[float]) -> str:
    text = ", ".join(f"{number!r}" if len(x) < 3 else f"{number:.3g}" for number in x[:3])
    return f"({text}, …)" if len(x) > 3 else text if len(x) == 1 else f"({text})"


# The run -------------------------------------------------------------------------------------


def main(args: list[str] | None = None) -> int:
    """The exit code: 1 where a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m reliability.accuracy")
    parser.add_argument(
        "points", type=int, nargs="?", default=20_000, help="of each function [default: 20000]"
    )
    parser.add_argument("--only", action="append", help="a function; repeatable [default: all]")
    parser.add_argument("--record", action="store_true", help="write into docs/reliability.md")
    options = parser.parse_args(args)
    start = time.perf_counter()
    wrong: list[str] = []
    rows: list[Row] = []
    functions: tuple[Exact | ExactMany, ...] = (*OPERATIONS, *FUNCTIONS, *MANY)
    for function in functions:
        if options.only and str(function) not in options.only:
            continue
        # Of many numbers fewer points: each takes a derivative by each argument.
        count = options.points if isinstance(function, Exact) else max(options.points // 20, 20)
        row = measure(function, count)
        rows.append(row)
        wrong += row.wrong
        print(row, flush=True)
    points_ = sum(row.count for row in rows)
    summary = (
        f"{points_:,} points, {len(rows)} functions, {time.perf_counter() - start:.0f} seconds; "
        + (f"{len(wrong)} limits missed." if wrong else "no limit missed.")
    )
    print("\n".join([*wrong, summary]))
    if options.record:
        details = "<details>\n<summary>Function by function</summary>\n\n{}\n\n</details>"
        record("accuracy", summary + "\n\n" + details.format(tables(rows)))
    return 1 if wrong else 0


@dataclass(frozen=True)
class Row:
    """A function, and where each engine is furthest off."""

    function: Exact | ExactMany
    count: int
    where: list[Point]
    errors: dict[str, Errors]
    wrong: list[str]

    def value(self, engine: str) -> str:
        if engine not in self.errors:
            return ""
        found = self.errors[engine]
        i = found.worst_value()
        return cell(found.value[i], self.where[i].x)

    def slope(self, engine: str) -> str:
        if engine not in self.errors:
            return ""
        found = self.errors[engine]
        i = found.worst_slope()
        return cell(found.slope[i], self.where[i].x)

    def nearer(self, engine: str) -> str:
        """How often whose derivative is nearer, of the points where one is more than 2 ulp off."""
        if engine not in self.errors:
            return ""
        pairs = list(zip(self.errors[engine].slope, self.errors[PYTORCH].slope, strict=True))
        pairs = [(ours, theirs) for ours, theirs in pairs if max(ours, theirs) > 2.0]
        ours, theirs = (sum(a < b for a, b in pairs), sum(a > b for a, b in pairs))
        return f"{ours / len(pairs):.0%}, {theirs / len(pairs):.0%}" if pairs else ""

    def __str__(self) -> str:
        parts = [f"{engine} {self.value(engine)}, {self.slope(engine)}" for engine in self.errors]
        return f"{self.function}: " + " | ".join(parts)


def cell(error: float, x: Sequence[float]) -> str:
    if error == 0.0:
        return "0"
    if error >= 2.0**52:
        return f"all at {shown(x)}"
    return f"{error:.2f} at {shown(x)}" if error < 1000 else f"{error:.1e} at {shown(x)}"


SCALAR, NUMPY, ARRAYS, PYTORCH = "scalar backends", "numpy_vectorized", "its arrays", "PyTorch"


def measure(function: Exact | ExactMany, count: int) -> Row:
    pure, numpy, cython = map(
        importlib.import_module, ("pure_python", "numpy_vectorized", "cython_core")
    )
    where = reference(function, count)
    theirs = errors_of_pytorch(function, count)
    results = {SCALAR: scalars(pure, function, where), NUMPY: scalars(numpy, function, where)}
    wrong = []
    if repr(results[SCALAR]) != repr(scalars(cython, function, where)):
        wrong.append(f"{function}: pure_python and cython_core differ in their bits")
    if isinstance(function, Exact):
        results[ARRAYS] = arrays(numpy, function, where)
    found = {engine: errors(where, given) for engine, given in results.items()}
    for engine, ours in found.items():
        wrong += [f"{engine}: {text}" for text in complaints(function, where, ours, theirs)]
    reference.cache_clear()
    errors_of_pytorch.cache_clear()
    return Row(function, count, where, {**found, PYTORCH: theirs}, wrong)


def tables(rows: list[Row]) -> str:
    engines = (SCALAR, NUMPY, ARRAYS, PYTORCH)
    lines = ["The largest error of the values, in ulps:", "", *table(rows, engines, Row.value), ""]
    lines += ["The largest error of the derivatives:", "", *table(rows, engines, Row.slope), ""]
    lines += [
        "Where one of two derivatives is more than 2 ulps off: at how many points ours is nearer, and",
        "PyTorch's (elsewhere they are the same):",
        "",
        *table([row for row in rows if row.nearer(SCALAR)], engines[:3], Row.nearer),
    ]
    return "\n".join(lines)


def table(
    rows: list[Row], engines: Sequence[str], what: Callable[[Row, str], str]
) -> Iterable[str]:
    yield "| | " + " | ".join(engines) + " |"
    yield "|---|" + "---|" * len(engines)
    for row in rows:
        name = str(row.function).replace("*", "\\*")
        yield f"| {name} | " + " | ".join(what(row, engine) for engine in engines) + " |"


if __name__ == "__main__":
    raise SystemExit(main())
