"""Functions of many Values: dot products, softmax and its kin, attention, losses.

What each computes, and the gradients it gives, stands in engine.pyx under its name; here arguments
are checked. They are sequences of Values and plain numbers in any mixture, and a batch is a sequence
of such sequences.
"""

from operator import index as as_index

from cython_core.engine cimport (
    ATTENTION, BINARY_CROSS_ENTROPY, CROSS_ENTROPY, HINGE_LOSS, LINEAR, LOG_SOFTMAX, LOGSUMEXP,
    LOGSUMEXP_OF_ROWS, MEAN, MSE_LOSS, RMS_NORM, SOFTMAX, Arguments, Code, Numbers,
    Value, Vector, all_scalars, arguments_of, as_float, check_calls, come_back, describe,
    dot_product, flat_vector, go_deeper, is_sequence, numbers_among, record_block, record_fused,
    take_rows, vector, width_of,
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


def dot(weights, inputs, bias=0.0) -> Value:
    """b + w·x, from left to right, as one node. ValueError where the lengths differ."""
    return dot_product(weights, inputs, bias)


def linear(x, weight, bias=None) -> Vector:
    """One dot for each row of weight (n_out × n_in): a Vector of n_out, or a batch of them.

    x has n_in elements, or is a batch of such; bias has n_out elements, or is None.
    ValueError where the sizes do not fit.
    """
    parameters = Arguments()
    cdef Rows rows = add_rows(parameters, weight, "linear")
    cdef Py_ssize_t weights = parameters.count
    parameters.closed = True
    if bias is not None:
        parameters.extend(bias, "linear")
        if parameters.count - weights != rows.count:
            raise ValueError(
                f"linear with {rows.count} rows of weight and "
                f"{parameters.count - weights} biases"
            )
        parameters.closed = True
    return linear_of(x, parameters, rows)


cdef Vector linear_of(object x, Arguments arguments, Rows rows):
    """arguments: the weights and biases. It takes them over."""
    cdef Py_ssize_t width = 0, before, samples = 1
    cdef bint batch
    cdef Arguments parameters
    cdef Numbers numbers = None
    if isinstance(x, Vector):
        batch = (<Vector>x).nested
        width = width_of(<Vector>x)
    else:
        if not is_sequence(x):
            raise TypeError(f"linear needs a sequence of Values and numbers, got {describe(x)}")
        numbers = Numbers()
        if take_rows(numbers, x, &width):
            batch = width > 0
            samples = numbers.count // width if batch else 1
        else:
            numbers = None
            x = list(x)
            batch = len(x) > 0 and is_sequence(x[0])
            width = -1
    if numbers is not None:
        check_inputs(rows, numbers.count // samples)
        arguments.push(NULL, 0.0, 0, numbers.count)
    elif not batch:
        before = arguments.count
        arguments.extend(x, "linear")
        check_inputs(rows, arguments.count - before)
    elif width > 0:
        check_inputs(rows, width)
        arguments.extend_rows(<Vector>x)
        samples = (<Vector>x).length
    elif are_flat(x):
        samples = 0
        for sample in x:
            before = arguments.count
            arguments.extend(sample, "linear")
            check_inputs(rows, arguments.count - before)
            samples += 1
    else:
        outputs = []
        go_deeper()
        try:
            for sample in x:
                parameters = Arguments()
                parameters.append(arguments)
                parameters.closed = True
                outputs.append(linear_of(sample, parameters, rows))
        finally:
            come_back()
        return vector(tuple(outputs))
    if rows.count == 0:
        return vector(tuple([vector(())] * samples) if batch else ())
    return record_block(
        LINEAR, arguments, samples * rows.count, rows.width, rows.count, numbers, 0,
        rows.count if batch else 0,
    )


cdef int check_inputs(Rows rows, Py_ssize_t count) except -1:
    if rows.count and rows.width != count:
        raise ValueError(f"dot of {rows.width} weights and {count} inputs")
    if rows.other >= 0:
        raise ValueError(f"dot of {rows.other} weights and {count} inputs")
    return 0


# Of several rows: how many they are, how long the first is, and the first that is otherwise, or -1.
cdef struct Rows:
    Py_ssize_t count, width, other


cdef Rows add_rows(Arguments arguments, object rows, str what) except *:
    """Add the scalars of each row."""
    cdef Rows found = Rows(0, 0, -1)
    cdef Py_ssize_t before, width
    if isinstance(rows, Vector):
        width = width_of(<Vector>rows)
        if width > 0:
            arguments.extend_rows(<Vector>rows)
            return Rows((<Vector>rows).length, width, -1)
    for row in rows:
        before = arguments.count
        arguments.extend(row, what)
        width = arguments.count - before
        if found.count == 0:
            found.width = width
        elif width != found.width and found.other < 0:
            found.other = width
        found.count += 1
    return found


cdef bint are_flat(object rows):
    """Whether each row is surely a sequence of scalars, and none a batch itself."""
    for row in rows:
        if isinstance(row, Vector):
            if (<Vector>row).nested:
                return False
        elif type(row) is not list and type(row) is not tuple:
            return False
        elif row and is_sequence(row[0]):
            return False
    return True


# Moving elements -----------------------------------------------------------------------------


def concatenate(vectors) -> Vector:
    """One Vector of the elements of several sequences, in order. No operation of its own."""
    cdef Arguments arguments = Arguments()
    parts = [part if isinstance(part, Vector) else Vector(part) for part in vectors]
    for part in parts:
        if (<Vector>part).nested:
            return Vector([v for part in parts for v in part])
        arguments.extend_rows(<Vector>part)
    return flat_vector(arguments)


# Over a sequence -----------------------------------------------------------------------------


def mean(values) -> Value:
    """The sum of all scalars divided by their count. ValueError if there are none."""
    return record_fused(MEAN, some(all_scalars(values, "mean"), "mean"))


def logsumexp(values):
    """log Σ exp(x), stable: the largest is taken out first. Of a batch, a Vector of one a row."""
    cdef Py_ssize_t width = -1
    if isinstance(values, Vector):
        width = width_of(<Vector>values)
    else:
        values = sequence_of(values)
        if not (values and is_sequence(values[0])):
            width = 0
    if width > 0:
        arguments = Arguments()
        arguments.extend_rows(<Vector>values)
        return record_block(LOGSUMEXP_OF_ROWS, arguments, (<Vector>values).length, width, 1)
    if width < 0 and values:
        go_deeper()
        try:
            return vector(tuple([logsumexp(row) for row in values]))
        finally:
            come_back()
    return record_fused(LOGSUMEXP, some(arguments_of(values, "logsumexp"), "logsumexp"))


def softmax(values) -> Vector:
    """exp(x) / Σ exp(x), a Vector that sums to one. Of a batch, row by row."""
    return by_row(SOFTMAX, values, "softmax", None)


def log_softmax(values) -> Vector:
    """The logarithm of softmax, stable. Of a batch, row by row."""
    return by_row(LOG_SOFTMAX, values, "log_softmax", None)


def rms_norm(values, eps=None) -> Vector:
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
    cdef Py_ssize_t width = 0
    arguments = Arguments()
    if isinstance(values, Vector):
        width = width_of(<Vector>values)
    else:
        values = sequence_of(values)
        if values and is_sequence(values[0]):
            width = -1
    if width > 0:
        arguments.extend_rows(<Vector>values)
    elif width < 0 and values:
        go_deeper()
        try:
            return vector(tuple([by_row(code, row, what, constants) for row in values]))
        finally:
            come_back()
    else:
        arguments.extend(values, what)
        some(arguments, what)
    return record_block(
        code, arguments, arguments.count, width or arguments.count, width or arguments.count,
        constants, 0, width,
    )


# Attention -----------------------------------------------------------------------------------


def scaled_dot_product_attention(query, keys, values) -> Vector:
    """Σ softmax(q·k / √d)_j · v_j for one query (Vaswani and others 2017): a Vector of m.

    query has d elements, keys are n of d, values n of m. ValueError where the sizes do not fit.
    """
    cdef str what = "scaled_dot_product_attention"
    cdef Rows k, v
    arguments = some(arguments_of(query, what), what)
    cdef Py_ssize_t d = arguments.count
    arguments.closed = True
    k = add_rows(arguments, keys, what)
    arguments.closed = True
    v = add_rows(arguments, values, what)
    if not k.count or k.count != v.count:
        raise ValueError(f"{what} needs as many keys as values, got {k.count} and {v.count}")
    if k.width != d or k.other >= 0:
        raise ValueError(f"{what}: a query of {d} and a key of {k.width if k.width != d else k.other}")
    if v.other >= 0:
        raise ValueError(f"{what}: values of {v.width} and of {v.other}")
    return record_block(ATTENTION, arguments, v.width, d, k.count)


# Losses --------------------------------------------------------------------------------------


def mse_loss(predictions, targets) -> Value:
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


def hinge_loss(scores, labels) -> Value:
    """The mean of max(0, 1 - y·s), labels -1 or 1 (else ValueError): the max-margin loss."""
    cdef Py_ssize_t i
    s = all_scalars(scores, "hinge_loss")
    y = numbers_among(labels, "hinge_loss labels")
    same_count("hinge_loss", s.count, y.count)
    for i in range(y.count):
        if y.data[i] != -1.0 and y.data[i] != 1.0:
            raise ValueError(f"hinge_loss needs labels -1 and 1, got {y.data[i]!r}")
    return record_fused(HINGE_LOSS, s, 0, 0, y)


def binary_cross_entropy_with_logits(logits, targets) -> Value:
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


def cross_entropy(logits, classes) -> Value:
    """The mean of -log softmax(x)[class]: a batch of logits and as many class indices, or one
    sample and its class. TypeError if a class is no integer, ValueError if it is out of range."""
    cdef str what = "cross_entropy"
    cdef Rows rows
    cdef bint batch
    arguments = Arguments()
    if isinstance(logits, Vector):
        batch = (<Vector>logits).nested
    else:
        logits = sequence_of(logits)
        batch = len(logits) > 0 and is_sequence(logits[0])
    rows = add_rows(arguments, logits if batch else (logits,), what)
    indices = list(classes) if is_sequence(classes) else [classes]
    same_count(what, rows.count, len(indices))
    if rows.width == 0:
        raise ValueError("cross_entropy needs at least one logit a sample, got none")
    chosen = Numbers()
    for c in indices:
        chosen.add(<double>class_index(c, rows.width))
    if rows.other >= 0:
        raise ValueError(f"cross_entropy with rows of {rows.width} and {rows.other} logits")
    chosen.room(2 * arguments.count)
    chosen.count += 2 * arguments.count
    return record_fused(CROSS_ENTROPY, arguments, rows.count, rows.width, chosen)


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


check_calls(list(globals().values()))
