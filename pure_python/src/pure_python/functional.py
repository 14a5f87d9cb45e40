"""Functions of many Values: dot products, softmax and its kin, attention, losses.

Each is a formula for the data and one for the gradients. They take sequences of Values and plain
numbers in any mixture, and a batch as a sequence of such sequences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index as as_index
from typing import Any, SupportsFloat, cast

from pure_python.engine import (
    MEAN,
    Joint,
    Reduction,
    Value,
    Vector,
    arguments_of,
    as_float,
    describe,
    dot_product,
    exp_of,
    is_sequence,
    largest,
    sigmoid,
    some,
    total,
    vector,
)

__all__ = [
    "binary_cross_entropy_with_logits",
    "concatenate",
    "cross_entropy",
    "dot",
    "hinge_loss",
    "linear",
    "log_softmax",
    "logsumexp",
    "mean",
    "mse_loss",
    "rms_norm",
    "scaled_dot_product_attention",
    "softmax",
]

EPSILON = 2.220446049250313e-16  # the distance from 1.0 to the next float

# Linear --------------------------------------------------------------------------------------


def dot(weights: Any, inputs: Any, bias: Value | SupportsFloat = 0.0) -> Value:
    """b + w·x, from left to right, as one node. ValueError where the lengths differ."""
    return dot_product(weights, inputs, bias)


def linear(x: Any, weight: Any, bias: Any = None) -> Vector:
    """One dot for each row of weight (n_out × n_in): a Vector of n_out, or a batch of them.

    x has n_in elements, or is a batch of such; bias has n_out elements, or is None.
    ValueError where the sizes do not fit.
    """
    rows = [arguments_of(row, "linear") for row in weight]
    biases = [0.0] * len(rows) if bias is None else arguments_of(bias, "linear")
    if len(biases) != len(rows):
        raise ValueError(f"linear with {len(rows)} rows of weight and {len(biases)} biases")
    if not is_sequence(x):
        raise TypeError(f"linear needs a sequence of Values and numbers, got {describe(x)}")
    x = list(x)
    if x and is_sequence(x[0]):
        return Vector([linear(sample, rows, biases) for sample in x])
    inputs = arguments_of(x, "linear")
    return vector([dot_product(row, inputs, b) for row, b in zip(rows, biases, strict=True)])


# Moving elements -----------------------------------------------------------------------------


def concatenate(vectors: Any) -> Vector:
    """One Vector of the elements of several sequences, in order. No operation of its own."""
    parts = [part if isinstance(part, Vector) else Vector(part) for part in vectors]
    return Vector([v for part in parts for v in part])


# Over a sequence -----------------------------------------------------------------------------


def mean(values: Any) -> Value:
    """The sum of all scalars divided by their count. ValueError if there are none."""
    return MEAN(some(all_scalars(values, "mean"), "mean"))


def logsumexp(values: Any) -> Any:
    """log Σ exp(x), stable: the largest is taken out first. Of a batch, a Vector of one a row."""
    return by_row(LOGSUMEXP, values, "logsumexp")


def softmax(values: Any) -> Vector:
    """exp(x) / Σ exp(x), a Vector that sums to one. Of a batch, row by row."""
    return cast(Vector, by_row(SOFTMAX, values, "softmax"))


def log_softmax(values: Any) -> Vector:
    """The logarithm of softmax, stable. Of a batch, row by row."""
    return cast(Vector, by_row(LOG_SOFTMAX, values, "log_softmax"))


def rms_norm(values: Any, eps: SupportsFloat | None = None) -> Vector:
    """x / √(mean(x²) + eps) (Zhang and Sennrich 2019). Of a batch, row by row.

    eps None is the distance from 1.0 to the next float, as in PyTorch. ValueError if negative.
    """
    number = EPSILON if eps is None else as_float(eps)
    if not number >= 0.0:
        raise ValueError(f"rms_norm needs an eps of 0 or more, got {number!r}")
    return cast(Vector, by_row(RMS_NORM, values, "rms_norm", number))


def by_row(operation: Any, values: Any, what: str, *constants: Any) -> Any:
    values = list(as_sequence(values))
    if values and is_sequence(values[0]):
        return Vector([by_row(operation, row, what, *constants) for row in values])
    return operation(some(arguments_of(values, what), what), *constants)


def log_of_sum(xs: list[float]) -> float:
    m = largest(xs)
    if math.isinf(m):
        return m
    return m + log_of_total([math.exp(x - m) for x in xs])


def log_of_total(exps: list[float]) -> float:
    """log Σ exps, the largest of which is 1.0. The digits of a small rest beside it are kept."""
    s = total(exps)
    return math.log1p(total([e for e in exps if e != 1.0])) if s < 2.0 else math.log(s)


def softmax_of(xs: list[float]) -> list[float]:
    m = largest(xs)
    exps = [math.exp(x - m) for x in xs]
    s = total(exps)
    return [e / s for e in exps]


def softmax_contributions(xs: list[float], ys: list[float], above: Sequence[float]) -> list[float]:
    s = total([g * y for g, y in zip(above, ys, strict=True)])
    return [y * (g - s) for g, y in zip(above, ys, strict=True)]


def log_softmax_of(xs: list[float]) -> list[float]:
    m = largest(xs)
    log_total = log_of_total([math.exp(x - m) for x in xs])
    return [(x - m) - log_total for x in xs]


def log_softmax_contributions(
    xs: list[float], ys: list[float], above: Sequence[float]
) -> list[float]:
    s = total(above)
    return [g - math.exp(y) * s for g, y in zip(above, ys, strict=True)]


def rms_norm_of(xs: list[float], eps: float) -> list[float]:
    r = 1.0 / math.sqrt(total([x * x for x in xs]) / len(xs) + eps)
    return [x * r for x in xs]


def rms_norm_contributions(
    xs: list[float], ys: list[float], above: Sequence[float], eps: float
) -> list[float]:
    n = len(xs)
    r = 1.0 / math.sqrt(total([x * x for x in xs]) / n + eps)
    s = r * r * r * total([g * x for g, x in zip(above, xs, strict=True)]) / n
    return [r * g - x * s for g, x in zip(above, xs, strict=True)]


LOGSUMEXP = Reduction("logsumexp", log_of_sum, lambda xs, y: [exp_of(x - y) for x in xs])
SOFTMAX = Joint("softmax", softmax_of, softmax_contributions)
LOG_SOFTMAX = Joint("log_softmax", log_softmax_of, log_softmax_contributions)
RMS_NORM = Joint("rms_norm", rms_norm_of, rms_norm_contributions)

# Attention -----------------------------------------------------------------------------------


def scaled_dot_product_attention(query: Any, keys: Any, values: Any) -> Vector:
    """Σ softmax(q·k / √d)_j · v_j for one query (Vaswani and others 2017): a Vector of m.

    query has d elements, keys are n of d, values n of m. ValueError where the sizes do not fit.
    """
    what = "scaled_dot_product_attention"
    q = some(arguments_of(query, what), what)
    k = [arguments_of(key, what) for key in keys]
    v = [arguments_of(value, what) for value in values]
    if not k or len(k) != len(v):
        raise ValueError(f"{what} needs as many keys as values, got {len(k)} and {len(v)}")
    for key in k:
        if len(key) != len(q):
            raise ValueError(f"{what}: a query of {len(q)} and a key of {len(key)}")
    for value in v:
        if len(value) != len(v[0]):
            raise ValueError(f"{what}: values of {len(v[0])} and of {len(value)}")
    arguments = q + [x for key in k for x in key] + [x for value in v for x in value]
    return ATTENTION(arguments, len(q), len(k))


def attention_parts(
    xs: list[float], d: int, n: int
) -> tuple[list[float], list[list[float]], list[list[float]], list[float]]:
    """The query, the keys, the values and the weights that the query gives to the values."""
    m = (len(xs) - d - n * d) // n
    q = xs[:d]
    keys = [xs[d + j * d : d + (j + 1) * d] for j in range(n)]
    start = d + n * d
    values = [xs[start + j * m : start + (j + 1) * m] for j in range(n)]
    root = math.sqrt(d)
    scores = [total([a * b for a, b in zip(q, key, strict=True)]) / root for key in keys]
    return q, keys, values, softmax_of(scores)


def attention_of(xs: list[float], d: int, n: int) -> list[float]:
    _, _, values, weights = attention_parts(xs, d, n)
    return [
        total([w * value[c] for w, value in zip(weights, values, strict=True)])
        for c in range(len(values[0]))
    ]


def attention_contributions(
    xs: list[float], ys: list[float], above: Sequence[float], d: int, n: int
) -> list[float]:
    q, keys, values, weights = attention_parts(xs, d, n)
    root = math.sqrt(d)
    to_weights = [total([g * x for g, x in zip(above, value, strict=True)]) for value in values]
    to_scores = [g / root for g in softmax_contributions([], weights, to_weights)]
    to_query = [
        total([g * key[i] for g, key in zip(to_scores, keys, strict=True)]) for i in range(d)
    ]
    to_keys = [g * x for g in to_scores for x in q]
    to_values = [w * g for w in weights for g in above]
    return to_query + to_keys + to_values


ATTENTION = Joint("scaled_dot_product_attention", attention_of, attention_contributions)

# Losses --------------------------------------------------------------------------------------


def mse_loss(predictions: Any, targets: Any) -> Value:
    """The mean of (p - t)². Targets may be Values. ValueError where the sizes differ."""
    p, t = all_scalars(predictions, "mse_loss"), all_scalars(targets, "mse_loss")
    same_count("mse_loss", p, t)
    return MSE_LOSS(p + t)


def hinge_loss(scores: Any, labels: Any) -> Value:
    """The mean of max(0, 1 - y·s), labels -1 or 1 (else ValueError): the max-margin loss."""
    s, y = all_scalars(scores, "hinge_loss"), numbers(labels, "hinge_loss labels")
    same_count("hinge_loss", s, y)
    for label in y:
        if label not in (-1.0, 1.0):
            raise ValueError(f"hinge_loss needs labels -1 and 1, got {label!r}")
    return HINGE_LOSS(s, y)


def binary_cross_entropy_with_logits(logits: Any, targets: Any) -> Value:
    """The mean of -t·log σ(x) - (1-t)·log(1 - σ(x)), stable; targets from 0 to 1."""
    what = "binary_cross_entropy_with_logits"
    x, t = all_scalars(logits, what), numbers(targets, f"{what} targets")
    same_count(what, x, t)
    for target in t:
        if not 0.0 <= target <= 1.0:
            raise ValueError(f"{what} needs targets from 0 to 1, got {target!r}")
    return BINARY_CROSS_ENTROPY(x, t)


def cross_entropy(logits: Any, classes: Any) -> Value:
    """The mean of -log softmax(x)[class]: a batch of logits and as many class indices, or one
    sample and its class. TypeError if a class is no integer, ValueError if it is out of range."""
    logits = list(as_sequence(logits))
    batch = bool(logits) and is_sequence(logits[0])
    rows = [arguments_of(row, "cross_entropy") for row in (logits if batch else [logits])]
    indices = list(classes) if is_sequence(classes) else [classes]
    same_count("cross_entropy", rows, indices)
    width = len(rows[0])
    if width == 0:
        raise ValueError("cross_entropy needs at least one logit a sample, got none")
    chosen = [class_index(c, width) for c in indices]
    for row in rows:
        if len(row) != width:
            raise ValueError(f"cross_entropy with rows of {width} and {len(row)} logits")
    return CROSS_ENTROPY([x for row in rows for x in row], chosen, width)


def class_index(c: Any, width: int) -> int:
    try:
        i = as_index(c)
    except TypeError:
        raise TypeError(f"a class is an integer index, got {describe(c)}") from None
    if not 0 <= i < width:
        raise ValueError(f"a class is an index from 0 to {width - 1}, got {i}")
    return i


def as_sequence(values: Any) -> Any:
    return values if is_sequence(values) else [values]


def all_scalars(values: Any, what: str) -> list[Any]:
    """Values and numbers of a sequence, or of a batch row by row; a single one counts as one."""
    values = list(as_sequence(values))
    if any(map(is_sequence, values)):
        return [v for row in values for v in arguments_of(row, what)]
    return arguments_of(values, what)


def numbers(values: Any, what: str) -> list[float]:
    scalars = all_scalars(values, what)
    for v in scalars:
        if isinstance(v, Value):
            raise TypeError(f"{what} are plain numbers, got {v!r}")
    return scalars


def same_count(what: str, a: Sequence[Any], b: Sequence[Any]) -> None:
    if len(a) != len(b):
        raise ValueError(f"{what} of {len(a)} predictions and {len(b)} targets")
    if not a:
        raise ValueError(f"{what} needs at least one prediction, got none")


def mse_of(xs: list[float]) -> float:
    n = len(xs) // 2
    return total([(p - t) * (p - t) for p, t in zip(xs[:n], xs[n:], strict=True)]) / n


def mse_slopes(xs: list[float], y: float) -> list[float]:
    n = len(xs) // 2
    slopes = [2.0 * (p - t) / n for p, t in zip(xs[:n], xs[n:], strict=True)]
    return slopes + [-slope for slope in slopes]


def hinge_of(xs: list[float], labels: list[float]) -> float:
    margins = [1.0 - label * s for s, label in zip(xs, labels, strict=True)]
    return total([0.0 if margin <= 0.0 else margin for margin in margins]) / len(xs)


def hinge_slopes(xs: list[float], y: float, labels: list[float]) -> list[float]:
    n = len(xs)
    return [
        0.0 if 1.0 - label * s <= 0.0 else -label / n for s, label in zip(xs, labels, strict=True)
    ]


def bce_of(xs: list[float], targets: list[float]) -> float:
    terms = [
        ((1.0 - t) * x + (0.0 if x >= 0.0 else -x)) + math.log1p(math.exp(-abs(x)))
        for x, t in zip(xs, targets, strict=True)
    ]
    return total(terms) / len(xs)


def bce_slopes(xs: list[float], y: float, targets: list[float]) -> list[float]:
    n = len(xs)
    return [(sigmoid(x) - t) / n for x, t in zip(xs, targets, strict=True)]


def cross_entropy_of(xs: list[float], classes: list[int], width: int) -> float:
    terms = []
    for i, c in enumerate(classes):
        row = xs[i * width : (i + 1) * width]
        m = largest(row)
        terms.append(log_of_total([math.exp(x - m) for x in row]) - (row[c] - m))
    return total(terms) / len(classes)


def cross_entropy_slopes(xs: list[float], y: float, classes: list[int], width: int) -> list[float]:
    n = len(classes)
    slopes = []
    for i, c in enumerate(classes):
        probabilities = softmax_of(xs[i * width : (i + 1) * width])
        probabilities[c] -= 1.0
        slopes += [p / n for p in probabilities]
    return slopes


MSE_LOSS = Reduction("mse_loss", mse_of, mse_slopes)
HINGE_LOSS = Reduction("hinge_loss", hinge_of, hinge_slopes)
BINARY_CROSS_ENTROPY = Reduction("binary_cross_entropy_with_logits", bce_of, bce_slopes)
CROSS_ENTROPY = Reduction("cross_entropy", cross_entropy_of, cross_entropy_slopes)
