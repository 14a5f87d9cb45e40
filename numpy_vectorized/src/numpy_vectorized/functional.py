"""Functions of many Values: dot products, softmax and its kin, attention, losses.

Each is a formula for the data and one for the gradients, over whole arrays. They take Vectors, arrays
and sequences of Values and plain numbers in any mixture; rows are along the last axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from operator import index as as_index
from typing import Any, SupportsFloat, cast

import numpy as np

from numpy_vectorized.engine import (
    FEW,
    GELU,
    LEAKY_RELU,
    MANY,
    MEAN,
    ONE,
    RELU,
    SIGMOID,
    SILU,
    SOFTPLUS,
    TANH,
    VIEW,
    ZERO,
    Joint,
    Reduction,
    Tape,
    Unary,
    Value,
    Vector,
    all_numbers,
    as_float,
    counting,
    data_of,
    describe,
    dot_gradients,
    dot_product,
    empty,
    give,
    give_product,
    is_sequence,
    number_at,
    of_one_dtype,
    of_operands,
    ones,
    quiet,
    record,
    refill,
    scalar_at,
    sigmoid,
    some,
    tensor_of,
    unchanged,
    values_among,
)

__all__ = [
    "binary_cross_entropy_with_logits",
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

Call = Callable[[], Any]

# Linear --------------------------------------------------------------------------------------


def dot(weights: Any, inputs: Any, bias: Value | SupportsFloat = 0.0) -> Value:
    """b + w·x as one node. ValueError where the lengths differ."""
    return cast(Value, dot_product(weights, inputs, bias))


@quiet
def linear(x: Any, weight: Any, bias: Any = None) -> Vector:
    """One dot for each row of weight (n_out × n_in): a Vector of n_out, or a batch of them.

    x has n_in elements along its last axis; bias has n_out elements, or is None.
    ValueError where the sizes do not fit, TypeError for weights that are no rows.
    """
    rows, biases = weight, bias
    x, weight = tensor_of(x, "linear"), tensor_of(rows, "linear")
    if weight.shape == (0,):  # a list of no rows
        weight = weight.reshape(0, x.shape[-1])
    if weight.ndim < 2:
        wrong = describe(next(iter(rows), weight[0]))
        raise TypeError(f"linear needs a sequence of Values and numbers, got {wrong}")
    if weight.ndim > 2:
        row = next(iter(rows), weight[0])
        raise TypeError(f"Value needs a real number, got {describe(next(iter(row)))}")
    if x.shape[-1] != weight.shape[1]:
        raise ValueError(f"dot of {weight.shape[1]} weights and {x.shape[-1]} inputs")
    if bias is not None:
        bias = tensor_of(biases, "linear")
        if bias.ndim > 1:
            wrong = describe(next(iter(biases), bias[0]))
            raise TypeError(f"Value needs a real number, got {wrong}")
        if len(bias) != len(weight):
            raise ValueError(f"linear with {len(weight)} rows of weight and {len(bias)} biases")
    return cast(Vector, PERCEPTRONS["linear"](x, weight, bias))


# A layer: linear and an activation as one operation ------------------------------------------

ACTIVATIONS: dict[str, Unary | None] = {
    "relu": RELU,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "linear": None,
    "leaky_relu": LEAKY_RELU,
    "gelu": GELU,
    "silu": SILU,
    "softplus": SOFTPLUS,
}
FROM_OUTPUT = (None, RELU, LEAKY_RELU, TANH, SIGMOID)  # whose slope follows from the output alone


class Perceptrons:
    """activation(x·Wᵀ + b) as one node: a whole layer, over a whole batch.

    weight is (n_out × n_in) with a bias of n_out, or the (n_in) of a single neuron with a scalar
    bias or a bias of one; then the output has no axis for the neurons.
    """

    __slots__ = ("activation", "name", "needs_sums")

    def __init__(self, activation: Unary | None) -> None:
        self.activation = activation
        self.name = f"{activation.name}(dot)" if activation else "dot"
        self.needs_sums = activation not in FROM_OUTPUT

    def __call__(self, x: Any, weight: Any, bias: Any, single: bool = False) -> Any:
        inputs = x._data if isinstance(x, Value) else x
        w = weight._data if isinstance(weight, Value) else weight
        b = bias._data if isinstance(bias, Value) else bias
        if inputs.dtype is not w.dtype:
            x, weight = of_one_dtype(x, weight)
            inputs, w = data_of(x), data_of(weight)
        y, sums = self.compute(inputs, w, b, single)
        operands: Any = (weight, x, bias) if isinstance(x, Value) else (weight, bias)
        if not (isinstance(weight, Value) and isinstance(bias, Value)):
            operands = values_among(operands)  # as `linear` may be given plain numbers
        return record(y, self, operands, (x, weight, bias, single, sums))

    def compute(self, x: Any, w: Any, b: Any, single: bool) -> tuple[Any, Any]:
        """The outputs, and where the slope of the activation needs them the sums."""
        columns = w[0] if single and w.ndim == 2 else w.T
        y = x.dot(columns) if x.ndim <= 2 and x.size < MANY else x @ columns
        if y.ndim == 0:
            y = float(y) + (0.0 if b is None else b if type(b) is float else b.item())
        elif b is not None:
            y += b
        if self.activation is None:
            return y, None
        if self.activation is RELU and type(y) is not float:
            return np.maximum(y, ZERO[y.dtype], out=y), None
        return self.activation.compute(y), y if self.needs_sums else None

    def operation_name(self, node: Value) -> str:
        return self.name

    def recompute(self, node: Value) -> None:
        x, weight, bias, single, _ = node._context
        y, sums = self.compute(data_of(x), data_of(weight), data_of(bias), single)
        node._context = x, weight, bias, single, sums
        refill(node, y)

    def sums(self, node: Value) -> Any:
        x, weight, bias, single, _ = node._context
        return PERCEPTRONS["linear"].compute(data_of(x), data_of(weight), data_of(bias), single)[0]

    def gradient_at_sum(self, y: Any, above: Any, sums: Any) -> Any:
        """What reaches the sums from above, before the activation."""
        if self.activation is None:
            return above
        if self.activation is not RELU:
            return self.activation.slope(y if sums is None else sums, y) * above
        if type(y) is float:
            return above * (y != 0.0)  # as y is never below
        slope = (y != ZERO[y.dtype]).astype(y.dtype)
        slope *= above
        return slope

    def backward(self, node: Value) -> None:
        x, weight, bias, single, sums = node._context
        inputs = rows = x._data if isinstance(x, Value) else x
        w = weight._data if isinstance(weight, Value) else weight
        gradients = self.gradient_at_sum(node._data, node._grad, sums)
        if single or inputs.ndim != 2:
            # A single sample is a batch of one.
            rows = as_rows(inputs)
            if type(gradients) is float:
                gradients = np.array(gradients)
            gradients = gradients.reshape(len(rows), *w.shape[:-1])
        if isinstance(weight, Value):
            give_product(weight, gradients.T, rows)
        if isinstance(x, Value):
            if w.ndim == 2:
                contribution = gradients.dot(w) if inputs.size < MANY else gradients @ w
            else:
                contribution = np.outer(gradients, w)
            if rows is not inputs:
                contribution = contribution.reshape(inputs.shape)
            if x._grad is None and contribution.dtype is inputs.dtype:
                x._grad = contribution  # what `give` comes to as a rule, without asking for more
            else:
                give(x, contribution)
        if isinstance(bias, Value):
            give_product(bias, ones(len(rows), gradients.dtype), gradients)

    def plannable(self, node: Value) -> bool:
        x, weight, bias, single, _ = node._context
        arrays = [data_of(v) for v in (node, x, weight, bias) if v is not None]
        return (
            self.activation in (None, RELU)
            and data_of(x).ndim == 2
            and all(isinstance(a, np.ndarray) and a.dtype is arrays[0].dtype for a in arrays)
        )

    def plan(self, node: Value, above: Any, tape: Tape) -> tuple[list[Call], list[Call]]:
        x, weight, bias, single, _ = node._context
        y, rows, w = node._data, data_of(x), data_of(weight)
        matrix = as_rows(w)
        forward: list[Call] = [product_into(y, rows, w.reshape(-1) if single else w.T)]
        backward: list[Call] = []
        if bias is not None:
            forward.append(partial(np.add, y, data_of(bias), y))
        if self.activation is RELU:
            forward.append(partial(np.maximum, y, ZERO[y.dtype], out=y))
            alive, gradients = np.empty(y.shape, bool), empty(y.shape, y.dtype)
            backward.append(partial(np.not_equal, y, ZERO[y.dtype], alive))
            backward.append(partial(np.copyto, gradients, alive))
            backward.append(partial(np.multiply, gradients, above, gradients))
            above = gradients
        above = above.reshape(len(rows), len(matrix))
        if isinstance(weight, Value):
            out, after = tape.gradient_of(weight)
            backward += [product_into(out.reshape(matrix.shape), above.T, rows), *after]
        if isinstance(x, Value):
            out, after = tape.gradient_of(x)
            backward += [product_into(out, above, matrix), *after]
        if isinstance(bias, Value):
            out, after = tape.gradient_of(bias)
            backward += [product_into(out, ones(len(rows), y.dtype), above), *after]
        return forward, backward

    def element(self, node: Value, index: tuple[int, ...]) -> tuple[str, list[Any]]:
        weights, inputs, bias, *_ = self.compose(node, index)
        return self.name, [*weights, *inputs, bias]

    def compose(self, node: Value, index: tuple[int, ...]) -> tuple[Any, ...]:
        x, weight, bias, single, sums = node._context
        y, above = node._data, node._grad
        if type(y) is not float:
            y, above = float(y[index]), float(node.grad[index])
            sums = None if sums is None else float(sums[index])
        row = 0 if single else index[-1]
        sample = index if single else index[:-1]
        columns = range(data_of(x).shape[-1])
        of_neuron = () if data_of(weight).ndim == 1 else (row,)
        return (
            [scalar_at(weight, (*of_neuron, k)) for k in columns],
            [scalar_at(x, (*sample, k)) for k in columns],
            0.0 if bias is None else scalar_at(bias, (row,) if np.ndim(data_of(bias)) else ()),
            self.activation.name if self.activation else "",
            self.gradient_at_sum(y, above, sums),
        )

    def local_gradients(self, node: Value, index: tuple[int, ...]) -> tuple[float, ...]:
        sums = node._context[-1]
        sums = sums[index] if isinstance(sums, np.ndarray) else sums
        slope = self.gradient_at_sum(number_at(node, index), 1.0, sums)
        return dot_gradients(self.compose(node, index), float(slope))


def product_into(out: Any, a: Any, b: Any) -> Call:
    """The call that writes a·b to `out`."""
    return partial(a.dot, b, out) if out.size < MANY else partial(np.matmul, a, b, out)


PERCEPTRONS = {name: Perceptrons(row) for name, row in ACTIVATIONS.items()}


# Over a sequence -----------------------------------------------------------------------------


def mean(values: Any) -> Value:
    """The sum of all scalars divided by their count. ValueError if there are none."""
    return cast(Value, MEAN(some(as_sequence(values, "mean"), "mean")))


def logsumexp(values: Any) -> Any:
    """log Σ exp(x), stable: the largest is taken out first. Of a batch, one a row."""
    return LOGSUMEXP(rows_of(values, "logsumexp"), -1)


def softmax(values: Any) -> Vector:
    """exp(x) / Σ exp(x), a Vector that sums to one. Of a batch, row by row."""
    return cast(Vector, SOFTMAX([rows_of(values, "softmax")]))


def log_softmax(values: Any) -> Vector:
    """The logarithm of softmax, stable. Of a batch, row by row."""
    return cast(Vector, LOG_SOFTMAX([rows_of(values, "log_softmax")]))


def rms_norm(values: Any, eps: SupportsFloat | None = None) -> Vector:
    """x / √(mean(x²) + eps) (Zhang and Sennrich 2019). Of a batch, row by row.

    eps None is the distance from 1.0 to the next float, as in PyTorch. ValueError if negative.
    """
    number = EPSILON if eps is None else as_float(eps)
    if not number >= 0.0:
        raise ValueError(f"rms_norm needs an eps of 0 or more, got {number!r}")
    return cast(Vector, RMS_NORM([rows_of(values, "rms_norm")], number))


def as_sequence(values: Any, what: str) -> Any:
    """A Vector or an array; a single Value or number counts as a sequence of one."""
    if isinstance(values, Vector):
        return values
    return tensor_of(values if is_sequence(values) else [values], what)


def rows_of(values: Any, what: str) -> Any:
    values = as_sequence(values, what)
    if values.shape[-1] == 0:
        raise ValueError(f"{what} needs at least one Value, got none")
    return values


def lengths_of(rows: Any) -> list[int]:
    """The lengths of a list's rows; those of an array are equal, and nobody need ask."""
    return [len(row) for row in rows if is_sequence(row)] if isinstance(rows, list | tuple) else []


def log_of_sum(x: Any, axes: tuple[int, ...]) -> Any:
    m = x.max(axis=axes, keepdims=True)
    exps = np.exp(x - m)
    logs = m + np.log1p(sum_beside_one(exps, lambda part: part.sum(axis=axes, keepdims=True)))
    np.copyto(logs, m, where=~np.isfinite(m))  # inf - inf is nan
    return logs


def sum_beside_one(exps: Any, along: Callable[[Any], Any]) -> Any:
    """The sums of exps less one. The largest of a row is 1, and sums are rounded at its size: apart
    from it the digits of a small rest are kept."""
    largest = np.floor(exps)
    rest = along(exps - largest)
    rest += along(largest) - 1.0  # where several are as large
    return rest


def softmax_of(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    e /= e.sum(axis=-1, keepdims=True)
    return e


def softmax_contributions(xs: list[Any], y: Any, above: Any) -> list[Any]:
    return [y * (above - (above * y).sum(axis=-1, keepdims=True))]


def log_softmax_of(x: Any) -> Any:
    shifted = x - x.max(axis=-1, keepdims=True)
    exps = np.exp(shifted)
    shifted -= np.log1p(sum_beside_one(exps, lambda part: part.sum(axis=-1, keepdims=True)))
    return shifted


def log_softmax_contributions(xs: list[Any], y: Any, above: Any) -> list[Any]:
    return [above - np.exp(y) * above.sum(axis=-1, keepdims=True)]


def inverse_rms(x: Any, eps: float) -> Any:
    return 1.0 / np.sqrt((x * x).sum(axis=-1, keepdims=True) / x.shape[-1] + eps)


def rms_norm_of(x: Any, eps: float) -> Any:
    return x * inverse_rms(x, eps)


def rms_norm_contributions(xs: list[Any], y: Any, above: Any, eps: float) -> list[Any]:
    (x,) = xs
    r = inverse_rms(x, eps)
    s = r * r * r * (above * x).sum(axis=-1, keepdims=True) / x.shape[-1]
    return [r * above - x * s]


LOGSUMEXP = Reduction("logsumexp", log_of_sum, lambda x, y, axes: np.exp(x - y))
SOFTMAX = Joint("softmax", softmax_of, softmax_contributions, by_row=True)
LOG_SOFTMAX = Joint("log_softmax", log_softmax_of, log_softmax_contributions, by_row=True)
RMS_NORM = Joint("rms_norm", rms_norm_of, rms_norm_contributions, by_row=True)

# Attention -----------------------------------------------------------------------------------


def scaled_dot_product_attention(query: Any, keys: Any, values: Any) -> Vector:
    """Σ softmax(q·k / √d)_j · v_j for one query (Vaswani and others 2017): a Vector of m.

    query has d elements, or is a batch of such queries; keys are n of d, values n of m.
    ValueError where the sizes do not fit.
    """
    what = "scaled_dot_product_attention"
    q = rows_of(query, what)
    if len(keys) == len(values):
        for n in lengths_of(keys):
            if n != q.shape[-1]:
                raise ValueError(f"{what}: a query of {q.shape[-1]} and a key of {n}")
        for n in (lengths := lengths_of(values)):
            if n != lengths[0]:
                raise ValueError(f"{what}: values of {lengths[0]} and of {n}")
    k, v = tensor_of(keys, what), tensor_of(values, what)
    if len(k) != len(v) or not len(k):
        raise ValueError(f"{what} needs as many keys as values, got {len(k)} and {len(v)}")
    if k.ndim != 2 or v.ndim != 2:
        raise ValueError(f"{what} needs a row for each key and value, got {k.shape} and {v.shape}")
    if k.shape[1] != q.shape[-1]:
        raise ValueError(f"{what}: a query of {q.shape[-1]} and a key of {k.shape[1]}")
    return cast(Vector, ATTENTION(of_one_dtype(q, k, v)))


def attention_weights(q: Any, k: Any) -> Any:
    return softmax_of(q @ k.T / math.sqrt(q.shape[-1]))


def attention_of(q: Any, k: Any, v: Any) -> Any:
    return attention_weights(q, k) @ v


def attention_contributions(xs: list[Any], y: Any, above: Any) -> list[Any]:
    q, k, v = xs
    weights = attention_weights(q, k)
    (to_scores,) = softmax_contributions([], weights, above @ v.T)
    to_scores /= math.sqrt(q.shape[-1])
    # One query is a batch of one: then the outer products below are matrix products too.
    scores, queries, gradients, shares = map(as_rows, (to_scores, q, above, weights))
    return [to_scores @ k, scores.T @ queries, shares.T @ gradients]


def as_rows(x: Any) -> Any:
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


ATTENTION = Joint("scaled_dot_product_attention", attention_of, attention_contributions)

# Losses --------------------------------------------------------------------------------------


def mse_loss(predictions: Any, targets: Any) -> Value:
    """The mean of (p - t)². Targets may be Values. ValueError where the sizes differ."""
    p, t = as_sequence(predictions, "mse_loss"), as_sequence(targets, "mse_loss")
    same_count("mse_loss", p.size, t.size)
    loss: Value = MSE_LOSS(p, t)
    return loss


def hinge_loss(scores: Any, labels: Any) -> Value:
    """The mean of max(0, 1 - y·s), labels -1 or 1 (else ValueError): the max-margin loss."""
    s, y = as_sequence(scores, "hinge_loss"), numbers(labels, "hinge_loss labels")
    same_count("hinge_loss", s.size, y.size)
    if np.count_nonzero(np.abs(y) == ONE[y.dtype]) < y.size:
        wrong = y[np.abs(y) != 1.0]
        raise ValueError(f"hinge_loss needs labels -1 and 1, got {wrong.item(0)!r}")
    loss: Value = HINGE_LOSS(s, y)
    return loss


def binary_cross_entropy_with_logits(logits: Any, targets: Any) -> Value:
    """The mean of -t·log σ(x) - (1-t)·log(1 - σ(x)), stable; targets from 0 to 1."""
    what = "binary_cross_entropy_with_logits"
    x, t = as_sequence(logits, what), numbers(targets, f"{what} targets")
    same_count(what, x.size, t.size)
    wrong = t[~((t >= 0.0) & (t <= 1.0))]
    if wrong.size:
        raise ValueError(f"{what} needs targets from 0 to 1, got {wrong.item(0)!r}")
    loss: Value = BINARY_CROSS_ENTROPY(x, t)
    return loss


def cross_entropy(logits: Any, classes: Any) -> Value:
    """The mean of -log softmax(x)[class]: a batch of logits and as many class indices, or one
    sample and its class. TypeError if a class is no integer, ValueError if it is out of range."""
    for n in (lengths := lengths_of(logits)):
        if n != lengths[0]:
            raise ValueError(f"cross_entropy with rows of {lengths[0]} and {n} logits")
    x = as_sequence(logits, "cross_entropy")
    indices = class_indices(classes)
    width = x.shape[-1]
    rows = x.size // width if width else math.prod(x.shape[:-1])
    same_count("cross_entropy", rows, indices.size)
    if width == 0:
        raise ValueError("cross_entropy needs at least one logit a sample, got none")
    try:
        picked = np.ravel_multi_index((indices, counting(rows)), (width, rows))
    except ValueError:
        wrong = indices[(indices < 0) | (indices >= width)]
        raise ValueError(f"a class is an index from 0 to {width - 1}, got {wrong[0]}") from None
    loss: Value = CROSS_ENTROPY(x, picked)
    return loss


def class_indices(classes: Any) -> np.ndarray:
    """The classes as a flat array of integers."""
    if isinstance(classes, np.ndarray) and classes.dtype.kind in "iu":
        return classes.ravel()
    nested = np.ravel(np.array(classes, dtype=object)) if is_sequence(classes) else [classes]
    return np.array([class_index(c) for c in nested], dtype=np.intp)


def class_index(c: Any) -> int:
    try:
        return as_index(c)
    except TypeError:
        raise TypeError(f"a class is an integer index, got {describe(c)}") from None


def numbers(values: Any, what: str) -> Any:
    values = as_sequence(values, what)
    if isinstance(values, Value):
        raise TypeError(f"{what} are plain numbers, got {describe(values)}")
    return values


def same_count(what: str, predictions: int, targets: int) -> None:
    if predictions != targets:
        raise ValueError(f"{what} of {predictions} predictions and {targets} targets")
    if not predictions:
        raise ValueError(f"{what} needs at least one prediction, got none")


class Loss:
    """A mean over predictions, compared with targets (or the places of the classes). The row: name;
    the parts, arrays which the mean and its gradient share; the mean of the parts; the gradient of
    the predictions as a function of the parts and the gradient above.

    The parts are kept from the forward pass, unless somebody may have changed the data since.
    """

    __slots__ = ("name", "parts", "slopes", "value")

    def __init__(
        self,
        name: str,
        parts: Callable[..., Any],
        value: Callable[..., Any],
        slopes: Callable[..., Any],
    ) -> None:
        self.name = name
        self.parts = parts
        self.value = value
        self.slopes = slopes

    @quiet
    def __call__(self, p: Any, t: Any) -> Any:
        if p.dtype is not t.dtype and t.dtype.kind == "f":
            p, t = of_one_dtype(p, t)
        parts = self.parts(data_of(p), data_of(t))
        # As a rule predictions are Values, and targets are none.
        usual = isinstance(p, Value) and not isinstance(t, Value)
        operands = (p,) if usual else values_among((p, t))
        return record(float(self.value(*parts)), self, operands, [p, t, parts])

    def operation_name(self, node: Value) -> str:
        return self.name

    def recompute(self, node: Value) -> None:
        p, t, _ = context = node._context
        context[2] = parts = self.parts(data_of(p), data_of(t))
        node._data = float(self.value(*parts))

    def backward(self, node: Value) -> None:
        p, t, parts = node._context
        if not all(map(unchanged, node._operands)):
            parts = self.parts(data_of(p), data_of(t))
        slopes = self.slopes(node._grad, *parts)
        if isinstance(t, Value):
            give(t, -slopes.reshape(t._data.shape))  # of mse_loss, the only one with such targets
        if isinstance(p, Value):
            give(p, slopes.reshape(p._data.shape))

    def plannable(self, node: Value) -> bool:
        # Of one operation's result: then the parts that forward computed hold in backward.
        x = node._operands[0]
        return len(node._operands) == 1 and x.ndim > 0 and x._operation not in (None, VIEW)

    def plan(self, node: Value, above: Any, tape: Tape) -> tuple[list[Call], list[Call]]:
        p, t, _ = context = node._context
        fixed = data_of(p), data_of(t)
        out, after = tape.gradient_of(node._operands[0])
        flat = out.reshape(-1)

        def forward() -> None:
            context[2] = parts = self.parts(*fixed)
            node._data = float(self.value(*parts))

        def backward() -> None:
            self.slopes(node._grad, *context[2], out=flat)

        return [forward], [backward, *after]

    def local_gradients(self, node: Value, index: tuple[int, ...]) -> tuple[float, ...]:
        p, t, _ = node._context
        slopes = self.slopes(1.0, *self.parts(data_of(p), data_of(t)))
        slopes = slopes.reshape(np.shape(data_of(p)))
        if not isinstance(t, Value):  # save those of mse_loss
            return of_operands(*all_numbers([p], [slopes]))
        to_targets = -slopes.reshape(t.shape)
        return of_operands(*all_numbers([p, t], [slopes, to_targets]))


def total(terms: Any) -> Any:
    return terms.dot(ones(terms.size, terms.dtype)) if terms.size <= FEW else terms.sum()


# Predictions and targets may differ in shape, (n, 1) and (n,), so they are taken in C order.


def mse_parts(p: Any, t: Any) -> Any:
    return (p.ravel() - t.ravel(),)


def mse_of(d: Any) -> Any:
    return d @ d / d.size


def mse_slopes(above: Any, d: Any, out: Any = None) -> Any:
    return np.multiply(d, 2.0 / d.size * above, out)


def hinge_parts(s: Any, labels: Any) -> Any:
    labels = labels.ravel()
    terms = labels * s.ravel()
    np.subtract(ONE[terms.dtype], terms, terms)
    np.maximum(terms, ZERO[terms.dtype], out=terms)
    return terms, labels


def hinge_of(terms: Any, labels: Any) -> Any:
    return total(terms) / terms.size


def hinge_slopes(above: Any, terms: Any, labels: Any, out: Any = None) -> Any:
    slopes = np.multiply(labels, -above / terms.size, out)
    slopes *= terms != ZERO[terms.dtype]
    return slopes


def bce_parts(x: Any, targets: Any) -> Any:
    return x.ravel(), targets.ravel()


def bce_of(x: Any, t: Any) -> Any:
    terms = (1.0 - t) * x + np.maximum(-x, 0.0) + np.log1p(np.exp(-np.abs(x)))
    return total(terms) / x.size


def bce_slopes(above: Any, x: Any, t: Any, out: Any = None) -> Any:
    return np.multiply(sigmoid(x) - t, above / x.size, out)


def cross_entropy_parts(x: Any, picked: Any) -> Any:
    """The logits less their largest, the exponentials, their sums less one, the places of the classes.

    One row a class: classes are fewer than samples as a rule, and NumPy is quick along long rows.
    """
    shifted = as_rows(x).T.copy()
    shifted -= np.maximum.reduce(shifted)
    exps = np.exp(shifted)
    return shifted, exps, sum_beside_one(exps, ones(len(exps), exps.dtype).dot), picked


def cross_entropy_of(shifted: Any, exps: Any, rest: Any, picked: Any) -> Any:
    terms = np.log1p(rest)
    terms -= shifted.take(picked)
    return total(terms) / terms.size


def cross_entropy_slopes(
    above: Any, shifted: Any, exps: Any, rest: Any, picked: Any, out: Any = None
) -> Any:
    slopes = exps / (rest + 1.0)
    slopes.reshape(-1)[picked] -= 1.0
    slopes *= above / rest.size
    if out is not None:
        np.copyto(out.reshape(slopes.T.shape), slopes.T)
    return slopes.T


MSE_LOSS = Loss("mse_loss", mse_parts, mse_of, mse_slopes)
HINGE_LOSS = Loss("hinge_loss", hinge_parts, hinge_of, hinge_slopes)
BINARY_CROSS_ENTROPY = Loss("binary_cross_entropy_with_logits", bce_parts, bce_of, bce_slopes)
CROSS_ENTROPY = Loss("cross_entropy", cross_entropy_parts, cross_entropy_of, cross_entropy_slopes)
