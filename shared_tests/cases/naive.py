"""The smallest engine that is obviously right: a list of rows, one for each number.

Every slope is taken from the tables of cases.operations and from the formulas below, at the data that
the rows hold when backward is called, and handed down row by row, the newest first (rule 1.17).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cases.operations import BINARY, UNARY

FUNCTIONS = {f.name: f for f in UNARY}
OPERATIONS = {b.name: b for b in BINARY}


def same(x: float) -> float:
    return x


@dataclass
class Row:
    """A leaf has no name. An operand is the index of a row, or a number."""

    name: str
    operands: tuple[int | float, ...]
    output: int  # which one, of a function with several
    data: float
    grad: float = 0.0


@dataclass
class Graph:
    """moved: applied to every result and slope; with noise it tells how many digits mean something."""

    moved: Callable[[float], float] = same
    rows: list[Row] = field(default_factory=list)

    def leaf(self, number: float) -> int:
        return self.add("", (), 0, number)

    def add(self, name: str, operands: Sequence[int | float], output: int, data: float) -> int:
        self.rows.append(Row(name, tuple(operands), output, data))
        return len(self.rows) - 1

    def apply(self, name: str, operands: Sequence[int | float]) -> list[int]:
        """The rows of the results. Raises what Python's arithmetic raises."""
        results = values(name, self.numbers(operands))
        return [self.add(name, operands, i, self.moved(y)) for i, y in enumerate(results)]

    def numbers(self, operands: Sequence[int | float]) -> list[float]:
        return [self.rows[x].data if isinstance(x, int) else x for x in operands]

    def below(self, *roots: int) -> list[int]:
        """The rows that the roots depend on, and the roots, the newest first."""
        found, waiting = set(roots), list(roots)
        while waiting:
            operands = self.rows[waiting.pop()].operands
            new = {x for x in operands if isinstance(x, int)} - found
            found |= new
            waiting += new
        return sorted(found, reverse=True)

    def recompute(self, root: int) -> None:
        for i in reversed(self.below(root)):
            row = self.rows[i]
            if row.name:
                row.data = values(row.name, self.numbers(row.operands))[row.output]

    def backward(self, root: int, above: float = 1.0) -> None:
        self.backward_from({root: above})

    def backward_from(self, roots: dict[int, float]) -> None:
        """Where the data have been set to what a formula divides by 0, it raises, and changes nothing."""
        below = [self.rows[i] for i in self.below(*roots) if self.rows[i].name]
        slopes = [self.slopes(row) for row in below]
        for row in below:
            row.grad = 0.0
        for root, above in roots.items():
            self.rows[root].grad += above
        for row, local in zip(below, slopes, strict=True):
            # From the last operand to the first where there are many (rules 2.2 and 2.8).
            given = list(zip(row.operands, local, strict=True))
            for x, slope in reversed(given) if row.name in MANY else given:
                if isinstance(x, int):
                    self.rows[x].grad += self.moved(slope) * row.grad

    def slopes(self, row: Row) -> Sequence[float]:
        xs, y = self.numbers(row.operands), row.data
        if row.name in FUNCTIONS:
            # Where 1 - y·y cancels, the last digit of y decides.
            return (FUNCTIONS[row.name].slope(xs[0], self.moved(y)),)
        if row.name in OPERATIONS:
            return OPERATIONS[row.name].slopes(*xs, y)
        return MANY[row.name].slopes(xs, y, row.output, self.moved)


def values(name: str, xs: list[float]) -> list[float]:
    if name in FUNCTIONS:
        return [FUNCTIONS[name].value(*xs)]
    if name in OPERATIONS:
        return [OPERATIONS[name].value(*xs)]
    return MANY[name].values(xs)


# Functions of many numbers -------------------------------------------------------------------


@dataclass(frozen=True)
class Many:
    """values: of all results. slopes: of one of them, from the operands, it, its index and `moved`,
    which is applied to terms that may cancel."""

    values: Callable[[list[float]], list[float]]
    slopes: Callable[[list[float], float, int, Callable[[float], float]], list[float]]


def total(xs) -> float:
    result = 0.0
    for x in xs:
        result += x
    return result


def dot(xs: list[float]) -> list[float]:
    """Of w0, x0, w1, x1, … and the bias, which is given its gradient last, so it stands first."""
    y = xs[0]
    for w, x in zip(xs[2::2], xs[1::2], strict=True):
        y += w * x
    return [y]


def dot_slopes(xs, y, output, moved):
    pairs = zip(xs[2::2], xs[1::2], strict=True)
    return [1.0, *(slope for w, x in pairs for slope in (w, x))]


def log_of_sum(xs: list[float]) -> float:
    return max(xs) + log_of_total([math.exp(x - max(xs)) for x in xs])


def log_of_total(exps: list[float]) -> float:
    if total(exps) < 2.0:
        return math.log1p(total(e for e in exps if e != 1.0))
    return math.log(total(exps))


def log_softmax(xs: list[float]) -> list[float]:
    top = log_of_total([math.exp(x - max(xs)) for x in xs])
    return [(x - max(xs)) - top for x in xs]


def softmax(xs: list[float]) -> list[float]:
    exps = [math.exp(x - max(xs)) for x in xs]
    return [e / total(exps) for e in exps]


def rms_norm(xs: list[float]) -> list[float]:
    return [x / math.sqrt(total(x * x for x in xs) / len(xs) + 2.0**-52) for x in xs]


def rms_norm_slopes(xs, y, output, moved):
    r = 1.0 / math.sqrt(total(x * x for x in xs) / len(xs) + 2.0**-52)
    common = xs[output] * r**3 / len(xs)
    return [moved(r * (i == output)) - common * x for i, x in enumerate(xs)]


def extreme(choose):
    def slopes(xs, y, output, moved):
        if y != y:
            return [y] * len(xs)
        count = max(1, sum(x == y for x in xs))
        return [1.0 / count if x == y else 0.0 for x in xs]

    return Many(lambda xs: [choose(xs)], slopes)


def mse(xs: list[float]) -> list[float]:
    pairs = zip(xs[: len(xs) // 2], xs[len(xs) // 2 :], strict=True)
    return [total((p - t) * (p - t) for p, t in pairs) / (len(xs) // 2)]


def mse_slopes(xs, y, output, moved):
    n = len(xs) // 2
    slopes = [2.0 * (p - t) / n for p, t in zip(xs[:n], xs[n:], strict=True)]
    return slopes + [-slope for slope in slopes]


def signs(xs: list[float]) -> list[float]:
    """The labels of a hinge loss, the targets of the cross entropies: from first to last in turn."""
    return [-1.0 if i % 2 else 1.0 for i in range(len(xs))]


def hinge(xs: list[float]) -> list[float]:
    margins = [1.0 - y * s for s, y in zip(xs, signs(xs), strict=True)]
    return [total(max(m, 0.0) for m in margins) / len(xs)]


def hinge_slopes(xs, y, output, moved):
    pairs = zip(xs, signs(xs), strict=True)
    return [0.0 if 1.0 - y * s <= 0.0 else -y / len(xs) for s, y in pairs]


def targets(xs: list[float]) -> list[float]:
    return [i / max(1, len(xs) - 1) for i in range(len(xs))]


def binary_cross_entropy(xs: list[float]) -> list[float]:
    terms = [
        (1.0 - t) * x + max(-x, 0.0) + math.log1p(math.exp(-abs(x)))
        for x, t in zip(xs, targets(xs), strict=True)
    ]
    return [total(terms) / len(xs)]


def binary_cross_entropy_slopes(xs, y, output, moved):
    sigmoid = FUNCTIONS["sigmoid"].value
    return [(moved(sigmoid(x)) - t) / len(xs) for x, t in zip(xs, targets(xs), strict=True)]


MANY = {
    "dot": Many(dot, dot_slopes),
    "sum": Many(lambda xs: [total(xs)], lambda xs, y, i, moved: [1.0] * len(xs)),
    "mean": Many(lambda xs: [total(xs) / len(xs)], lambda xs, y, i, moved: [1.0 / len(xs)] * len(xs)),
    "max": extreme(max),
    "min": extreme(min),
    "logsumexp": Many(
        lambda xs: [log_of_sum(xs)], lambda xs, y, i, moved: [math.exp(x - y) for x in xs],
    ),
    "softmax": Many(
        softmax,
        lambda xs, y, i, moved: [y * ((i == j) - moved(p)) for j, p in enumerate(softmax(xs))],
    ),
    "log_softmax": Many(
        log_softmax,
        lambda xs, y, i, moved: [(i == j) - moved(p) for j, p in enumerate(softmax(xs))],
    ),
    "rms_norm": Many(rms_norm, rms_norm_slopes),
    "mse_loss": Many(mse, mse_slopes),
    "hinge_loss": Many(hinge, hinge_slopes),
    "binary_cross_entropy_with_logits": Many(binary_cross_entropy, binary_cross_entropy_slopes),
    "cross_entropy": Many(  # of one sample, of the first class
        lambda xs: [-log_softmax(xs)[0]],
        lambda xs, y, i, moved: [moved(p) - (j == 0) for j, p in enumerate(softmax(xs))],
    ),
}


def call(m, name: str, xs: list) -> list:
    """The same function of a backend, of Values and numbers; a list of its results."""
    if name in FUNCTIONS:
        return [FUNCTIONS[name].apply(*xs)]
    if name in OPERATIONS:
        return [OPERATIONS[name].apply(*xs)]
    if name == "dot":
        return [m.dot(xs[2::2], xs[1::2], xs[0])]
    if name in ("sum", "max", "min"):
        return [getattr(m.Vector(xs), name)()]
    if name == "mse_loss":
        return [m.mse_loss(xs[: len(xs) // 2], xs[len(xs) // 2 :])]
    if name == "hinge_loss":
        return [m.hinge_loss(xs, signs(xs))]
    if name == "binary_cross_entropy_with_logits":
        return [m.binary_cross_entropy_with_logits(xs, targets(xs))]
    if name == "cross_entropy":
        return [m.cross_entropy(xs, 0)]
    results = getattr(m, name)(xs)
    return list(results) if hasattr(results, "__len__") and name not in ("logsumexp", "mean") else [results]
