"""Functions of many Values: dot products, softmax and its kin, attention, losses.

What each computes, and the gradients it gives, stands in engine.pyx under its name; here arguments
are checked. They are sequences of Values and plain numbers in any mixture, and a batch is a sequence
of such sequences.
"""

from operator import index as as_index

from cython_core.engine cimport (
    ATTENTION, BINARY_CROSS_ENTROPY, CROSS_ENTROPY, HINGE_LOSS, LOG_SOFTMAX, LOGSUMEXP, MEAN,
    MSE_LOSS, RMS_NORM, SOFTMAX, Arguments, Code, Numbers, Value, Vector, all_scalars, arguments_of,
    as_float, describe, dot_product, is_sequence, numbers_among, record_block, record_fused, vector,
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

cdef double EPSILON = 2.220446049250313e-16  # the distance from 1.0 to the next float

# Linear --------------------------------------------------------------------------------------


def dot(weights, inputs, bias=0.0):
    """b + w·x, from left to right, as one node. ValueError where the lengths differ."""
    return dot_product(weights, inputs, bias)


def linear(x, weight, bias=None):
    """One dot for each row of weight (n_out × n_in): a Vector of n_out, or a batch of them.

    x has n_in elements, or is a batch of such; bias has n_out elements, or is None.
    ValueError where the sizes do not fit.
    """
    rows = [scalars(row) for row in weight]
    biases = [0.0] * len(rows) if bias is None else scalars(bias)
    if len(biases) != len(rows):
        raise ValueError(f"linear with {len(rows)} rows of weight and {len(biases)} biases")
    return linear_of(list(x), rows, biases)


cdef list scalars(object values):
    arguments = arguments_of(values, "linear")
    return arguments.items()


cdef Vector linear_of(list x, list rows, list biases):
    if x and is_sequence(x[0]):
        return vector(tuple([linear_of(list(sample), rows, biases) for sample in x]))
    inputs = scalars(x)
    return vector(tuple([dot_product(row, inputs, b) for row, b in zip(rows, biases)]))


# Moving elements -----------------------------------------------------------------------------


def concatenate(vectors):
    """One Vector of the elements of several sequences, in order. No operation of its own."""
    parts = [part if isinstance(part, Vector) else Vector(part) for part in vectors]
    return Vector([v for part in parts for v in part])


# Over a sequence -----------------------------------------------------------------------------


def mean(values):
    """The sum of all scalars divided by their count. ValueError if there are none."""
    return record_fused(MEAN, some(all_scalars(values, "mean"), "mean"))


def logsumexp(values):
    """log Σ exp(x), stable: the largest is taken out first. Of a batch, a Vector of one a row."""
    values = sequence_of(values)
    if values and is_sequence(values[0]):
        return vector(tuple([logsumexp(row) for row in values]))
    return record_fused(LOGSUMEXP, some(arguments_of(values, "logsumexp"), "logsumexp"))


def softmax(values):
    """exp(x) / Σ exp(x), a Vector that sums to one. Of a batch, row by row."""
    return by_row(SOFTMAX, values, "softmax", None)


def log_softmax(values):
    """The logarithm of softmax, stable. Of a batch, row by row."""
    return by_row(LOG_SOFTMAX, values, "log_softmax", None)


def rms_norm(values, eps=None):
    """x / √(mean(x²) + eps) (Zhang and Sennrich 2019). Of a batch, row by row.

    eps None is the distance from 1.0 to the next float, as in PyTorch. ValueError if negative.
    """
    cdef double number = EPSILON if eps is None else as_float(eps)
    if not number >= 0.0:
        raise ValueError(f"rms_norm needs an eps of 0 or more, got {number!r}")
    constants = Numbers()
    constants.add(number)
    return by_row(RMS_NORM, values, "rms_norm", constants)


cdef Vector by_row(Code code, object values, str what, Numbers constants):
    values = sequence_of(values)
    if values and is_sequence(values[0]):
        return vector(tuple([by_row(code, row, what, constants) for row in values]))
    arguments = some(arguments_of(values, what), what)
    return record_block(code, arguments, arguments.count, 0, 0, constants)


# Attention -----------------------------------------------------------------------------------


def scaled_dot_product_attention(query, keys, values):
    """Σ softmax(q·k / √d)_j · v_j for one query (Vaswani and others 2017): a Vector of m.

    query has d elements, keys are n of d, values n of m. ValueError where the sizes do not fit.
    """
    cdef str what = "scaled_dot_product_attention"
    arguments = some(arguments_of(query, what), what)
    cdef Py_ssize_t d = arguments.count
    cdef list k = [arguments_of(key, what) for key in keys]
    cdef list v = [arguments_of(value, what) for value in values]
    cdef Arguments row
    if not k or len(k) != len(v):
        raise ValueError(f"{what} needs as many keys as values, got {len(k)} and {len(v)}")
    for row in k:
        if row.count != d:
            raise ValueError(f"{what}: a query of {d} and a key of {row.count}")
        arguments.append(row)
    cdef Py_ssize_t width = (<Arguments>v[0]).count
    for row in v:
        if row.count != width:
            raise ValueError(f"{what}: values of {width} and of {row.count}")
        arguments.append(row)
    return record_block(ATTENTION, arguments, width, d, len(k))


# Losses --------------------------------------------------------------------------------------


def mse_loss(predictions, targets):
    """The mean of (p - t)². Targets may be Values. ValueError where the sizes differ."""
    p = all_scalars(predictions, "mse_loss")
    numbers = Numbers()
    if numbers.take(targets):
        same_count("mse_loss", p.count, numbers.count)
        p.push(NULL, 0.0, 0, numbers.count)
        return record_fused(MSE_LOSS, p, 0, 0, numbers)
    t = all_scalars(targets, "mse_loss")
    same_count("mse_loss", p.count, t.count)
    p.append(t)
    return record_fused(MSE_LOSS, p)


def hinge_loss(scores, labels):
    """The mean of max(0, 1 - y·s), labels -1 or 1 (else ValueError): the max-margin loss."""
    cdef Py_ssize_t i
    s = all_scalars(scores, "hinge_loss")
    y = numbers_among(labels, "hinge_loss labels")
    same_count("hinge_loss", s.count, y.count)
    for i in range(y.count):
        if y.data[i] != -1.0 and y.data[i] != 1.0:
            raise ValueError(f"hinge_loss needs labels -1 and 1, got {y.data[i]!r}")
    return record_fused(HINGE_LOSS, s, 0, 0, y)


def binary_cross_entropy_with_logits(logits, targets):
    """The mean of -t·log σ(x) - (1-t)·log(1 - σ(x)), stable; targets from 0 to 1."""
    cdef str what = "binary_cross_entropy_with_logits"
    cdef Py_ssize_t i
    x = all_scalars(logits, what)
    t = numbers_among(targets, f"{what} targets")
    same_count(what, x.count, t.count)
    for i in range(t.count):
        if not 0.0 <= t.data[i] <= 1.0:
            raise ValueError(f"{what} needs targets from 0 to 1, got {t.data[i]!r}")
    return record_fused(BINARY_CROSS_ENTROPY, x, 0, 0, t)


def cross_entropy(logits, classes):
    """The mean of -log softmax(x)[class]: a batch of logits and as many class indices, or one
    sample and its class. TypeError if a class is no integer, ValueError if it is out of range."""
    cdef str what = "cross_entropy"
    cdef Arguments row, arguments = Arguments()
    cdef Py_ssize_t width, samples
    cdef list rows = None
    if arguments.take(logits):
        samples = (<Vector>logits).length if (<Vector>logits).nested else 1
        width = arguments.count // samples
    else:
        logits = sequence_of(logits)
        batch = bool(logits) and is_sequence(logits[0])
        rows = [arguments_of(sample, what) for sample in (logits if batch else [logits])]
        samples = len(rows)
        width = (<Arguments>rows[0]).count
    indices = list(classes) if is_sequence(classes) else [classes]
    same_count(what, samples, len(indices))
    if width == 0:
        raise ValueError("cross_entropy needs at least one logit a sample, got none")
    chosen = Numbers()
    for c in indices:
        chosen.add(<double>class_index(c, width))
    if rows is not None:
        for row in rows:
            if row.count != width:
                raise ValueError(f"cross_entropy with rows of {width} and {row.count} logits")
            arguments.append(row)
    return record_fused(CROSS_ENTROPY, arguments, samples, width, chosen)


cdef Py_ssize_t class_index(object c, Py_ssize_t width) except -1:
    try:
        i = c if type(c) is int else as_index(c)
    except TypeError:
        raise TypeError(f"a class is an integer index, got {describe(c)}") from None
    if not 0 <= i < width:
        raise ValueError(f"a class is an index from 0 to {width - 1}, got {i}")
    return i


cdef object sequence_of(object values):
    """values as a list, a single one as a list of one."""
    if isinstance(values, Value) or not is_sequence(values):
        return [values]
    return list(values)


cdef Arguments some(Arguments arguments, str what):
    if arguments.count == 0:
        raise ValueError(f"{what} needs at least one Value, got none")
    return arguments


cdef int same_count(str what, Py_ssize_t a, Py_ssize_t b) except -1:
    if a != b:
        raise ValueError(f"{what} of {a} predictions and {b} targets")
    if a == 0:
        raise ValueError(f"{what} needs at least one prediction, got none")
    return 0
