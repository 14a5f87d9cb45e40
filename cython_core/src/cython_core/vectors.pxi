# The operations on Vectors: one node for all of their elements.
#
# Each element (of a softmax and its like, each row) is an operation of its own, as if it had been made
# by itself, from the first to the last. So backward takes them from the last to the first, and one
# that it did not reach gives nothing. Where no operand has a part in two of them the order does not
# show, and whole runs are added at once.


# Groups of operands --------------------------------------------------------------------------
#
# The operands of a node come in groups: two sides; weights, biases, inputs. No run reaches over the
# end of its group.

cdef inline Operand *after(Operand *o, Py_ssize_t count) noexcept nogil:
    """The operand that follows on so many scalars."""
    while count > 0:
        count -= o.count
        o += 1
    return o


cdef double *numbers_at(Fused *f, Operand *o, Py_ssize_t count, double *room) noexcept nogil:
    """The data of a group: where they are, if they are in one place, else copied to room."""
    if count and o.count == count:
        if o.value == NULL:
            if o.offset >= 0:
                return f.constants + o.offset
        elif is_anchor(o.value):
            return o.value.right.fused.data + o.offset
    gather_some(f, o, count, room)
    return room


cdef inline Cursor last_of(Operand *end) noexcept nogil:
    cdef Cursor at
    at.operand = end - 1
    at.i = at.operand.count - 1
    return at


cdef inline void go_back(
    Cursor *at, Operand *first, Operand *end, Py_ssize_t steps
) noexcept nogil:
    """In a group; before its first scalar comes its last."""
    while steps > at.i:
        steps -= at.i + 1
        at.operand = (end if at.operand == first else at.operand) - 1
        at.i = at.operand.count - 1
    at.i -= steps


cdef inline void give_to(Operand *o, Py_ssize_t i, double contribution) noexcept:
    if o.value == NULL:
        return
    if is_anchor(o.value):
        receivers(o.value, o.offset + i, 1)[0] += contribution
    else:
        give(o.value, contribution)


cdef void give_some(
    Operand *first, Operand *end, double *xs, unsigned char *chosen
) noexcept:
    """Give to the chosen of a group, from the last to the first; to all where chosen is NULL.

    xs and chosen point behind those of the last."""
    cdef Py_ssize_t i
    if chosen == NULL:
        give_all(first, end - first, xs)
        return
    while end != first:
        end -= 1
        xs -= end.count
        chosen -= end.count
        for i in range(end.count - 1, -1, -1):
            if chosen[i]:
                give_to(end, i, xs[i])


cdef uint64_t searches = 0     # for a scalar that comes twice


cdef bint are_distinct(Operand *first, Operand *end) noexcept nogil:
    """Whether a group has no scalar twice; False also where that would take long to find out."""
    global searches
    cdef Operand *o = first
    cdef Operand *single = NULL
    cdef Fused *f
    searches += 1
    while o < end:
        # Mostly the elements of each block come in their order, and so do single Values.
        if o.value == NULL:
            pass
        elif is_anchor(o.value):
            f = o.value.right.fused
            if f.search == searches and o.offset < f.found:
                return no_two_overlap(first, end)
            f.search = searches
            f.found = o.offset + o.count
        elif single != NULL and o.value <= single.value:
            return no_two_overlap(first, end)
        else:
            single = o
        o += 1
    return True


cdef bint no_two_overlap(Operand *first, Operand *end) noexcept nogil:
    cdef Operand *other
    if end - first > 32:
        return False
    while first < end:
        other = first + 1
        while other < end:
            if overlap(first, other):
                return False
            other += 1
        first += 1
    return True


cdef bint are_apart(Operand *a, Operand *a_end, Operand *b, Operand *b_end) noexcept nogil:
    """Whether two groups share no scalar; False also where that would take long to find out."""
    cdef Operand *o
    if (a_end - a) * (b_end - b) > 4096:
        return False
    while a < a_end:
        o = b
        while o < b_end:
            if overlap(a, o):
                return False
            o += 1
        a += 1
    return True


cdef inline bint all_reached(Fused *f) noexcept nogil:
    if not f.entire:
        f.entire = memchr(f.reached, 0, f.outputs) == NULL
    return f.entire


# What an element is made of ------------------------------------------------------------------

# A part of the operands, counted in scalars.
cdef struct Span:
    Py_ssize_t start, count


cdef int spans_of(Cell *anchor, Py_ssize_t i, Span *spans) noexcept nogil:
    """Which operands the element i has, in their order; how many spans they are."""
    cdef Fused *f = anchor.right.fused
    cdef Py_ssize_t inputs
    if anchor.code == EACH:
        spans[0] = Span(i, 1)
        return 1
    if anchor.code == BOTH:
        spans[0] = Span(i % f.n, 1)
        spans[1] = Span(f.n + i % f.m, 1)
        return 2
    if anchor.code == LINEAR:
        inputs = f.size - f.outputs // f.m * f.n
        spans[0] = Span(i % f.m * f.n, f.n)
        spans[1] = Span(inputs + i // f.m * f.n, f.n)
        spans[2] = Span(f.m * f.n + i % f.m, 1)
        return 3 if spans[2].start < inputs else 2
    if anchor.code == PERCEPTRONS:
        spans[0] = Span(i // (f.outputs // f.m) * f.n, f.n)
    elif anchor.code == ATTENTION:
        spans[0] = Span(0, f.size)
    else:
        spans[0] = Span(i // f.m * f.n, f.n)
    return 1


cdef list parts_of(Cell *anchor, Py_ssize_t i):
    """The same as Python objects, span by span."""
    cdef Span spans[3]
    cdef int k, count = spans_of(anchor, i, spans)
    return [
        items(anchor.right.fused, spans[k].start, spans[k].start + spans[k].count)
        for k in range(count)
    ]


cdef str name_of_both(Cell *anchor, Py_ssize_t i):
    """A number on either side is a part of the name."""
    (a,), (b,) = parts_of(anchor, i)
    name = NUMBER_RIGHT_NAMES[anchor.right.fused.operation - ADD]
    if not is_value(b):
        return f"{name} {b!r}"
    return name if is_value(a) else f"{a!r} {name}"


# Forward -------------------------------------------------------------------------------------

cdef int compute_block(Cell *anchor, unsigned char *reached) except -1:
    """The data of the outputs, or of those reached and what is computed together with them."""
    cdef Fused *f = anchor.right.fused
    f.computed = f.data
    if anchor.code == EACH:
        return compute_each(f, reached)
    elif anchor.code == BOTH:
        return compute_both(f, reached)
    elif anchor.code == LINEAR:
        return compute_linear(f)
    elif anchor.code == ATTENTION:
        compute_attention(f)
    else:
        return compute_rows(anchor.code, f, reached)
    return 0


cdef double no_constant = 0.0


cdef inline double *place_of_constant(Fused *f) noexcept nogil:
    return f.constants if has_constant(f.operation) else &no_constant


cdef inline double constant_of(Fused *f) noexcept nogil:
    return place_of_constant(f)[0]


cdef int compute_each(Fused *f, unsigned char *reached) except -1:
    cdef double *x = numbers_at(f, f.operands, f.outputs, scratch)
    cdef double constant = constant_of(f)
    cdef Py_ssize_t i
    if reached == NULL and compute_unfailing(f.operation, x, constant, f.data, f.outputs):
        return 0
    for i in range(f.outputs):
        if reached == NULL or reached[i]:
            f.data[i] = applied(f.operation, x[i], constant)
        now_and_then(i)
    return 0


cdef bint compute_unfailing(
    int code, double *x, double constant, double *y, Py_ssize_t count
) noexcept nogil:
    """The operations that raise for no number, a loop each; False for all others."""
    cdef Py_ssize_t i
    if code == ADD_NUMBER:
        for i in range(count):
            y[i] = x[i] + constant
    elif code == SUBTRACT_NUMBER:
        for i in range(count):
            y[i] = x[i] - constant
    elif code == NUMBER_SUBTRACT:
        for i in range(count):
            y[i] = constant - x[i]
    elif code == MULTIPLY_NUMBER:
        for i in range(count):
            y[i] = x[i] * constant
    elif code == DIVIDE_NUMBER and constant != 0.0:
        for i in range(count):
            y[i] = x[i] / constant
    elif code == NEG:
        for i in range(count):
            y[i] = -x[i]
    elif code == RELU:
        memcpy(y, x, count * sizeof(double))
        relu_in_place(y, count)
    else:
        return False
    return True


cdef inline double *repeated(
    double *xs, Py_ssize_t count, Py_ssize_t times, double *room
) noexcept nogil:
    """A side that is shorter than the other goes with it again and again."""
    cdef Py_ssize_t i
    if times == 1:
        return xs
    for i in range(times * count - 1, -1, -1):  # from behind: xs may be the beginning of room
        room[i] = xs[i % count]
    return room


cdef void two_sides(Fused *f, double **a, double **b) noexcept nogil:
    """Their numbers, in pairs. It takes two outputs' worth of scratch."""
    cdef double *room = scratch + f.outputs
    a[0] = repeated(
        numbers_at(f, f.operands, f.n, scratch), f.n, f.outputs // f.n, scratch
    )
    b[0] = repeated(
        numbers_at(f, after(f.operands, f.n), f.m, room), f.m, f.outputs // f.m, room
    )


cdef int compute_both(Fused *f, unsigned char *reached) except -1:
    cdef double *a
    cdef double *b
    cdef double *y = f.data
    cdef Py_ssize_t i, count = f.outputs
    two_sides(f, &a, &b)
    if reached != NULL or f.operation > MULTIPLY:
        for i in range(count):
            if reached == NULL or reached[i]:
                y[i] = binary(f.operation, a[i], b[i])
            now_and_then(i)
    elif f.operation == ADD:
        for i in range(count):
            y[i] = a[i] + b[i]
    elif f.operation == SUBTRACT:
        for i in range(count):
            y[i] = a[i] - b[i]
    else:
        for i in range(count):
            y[i] = a[i] * b[i]
    return 0


# The parts of a linear node. No biases are a group without operands.
cdef struct Linear:
    Py_ssize_t n_in, n_out, samples
    Operand *weights
    Operand *biases
    Operand *inputs
    Operand *end
    double *w
    double *x
    double *room            # scratch for a copy of either, and n_out more


cdef Linear linear_of(Fused *f) noexcept nogil:
    cdef Linear l
    l.n_in = f.n
    l.n_out = f.m
    l.samples = f.outputs // f.m
    l.weights = f.operands
    l.biases = after(l.weights, l.n_out * l.n_in)
    l.inputs = after(l.biases, f.size - (l.n_out + l.samples) * l.n_in)
    l.end = f.operands + f.count
    l.w = numbers_at(f, l.weights, l.n_out * l.n_in, scratch)
    l.x = numbers_at(f, l.inputs, l.samples * l.n_in, scratch + l.n_out * l.n_in)
    l.room = scratch + (l.n_out + l.samples) * l.n_in
    return l


cdef int compute_linear(Fused *f) except -1:
    """y_j = b_j + w_j·x of each sample, summed from left to right."""
    cdef Linear l = linear_of(f)
    cdef Py_ssize_t s
    cdef double *b = l.room
    cdef double *turned = l.room + l.n_out
    if l.biases < l.inputs:
        b = numbers_at(f, l.biases, l.n_out, b)
    else:
        memset(b, 0, l.n_out * sizeof(double))
    if l.samples < 4:
        for s in range(l.samples):
            product(
                f.data + s * l.n_out, 1, b, 1, l.w, l.n_in, 1, l.x + s * l.n_in, 1,
                l.n_out, l.n_in, 1,
            )
    else:
        transpose(l.w, turned, l.n_out, l.n_in)
        product(
            f.data, l.n_out, b, 0, l.x, l.n_in, 1, turned, l.n_out, l.samples, l.n_in, l.n_out
        )
    return 0


cdef int compute_rows(int code, Fused *f, unsigned char *reached) except -1:
    """Of rows of n operands, each of which has m outputs."""
    cdef Py_ssize_t i, row, n = f.n
    cdef double *all_xs = numbers_at(f, f.operands, f.size, scratch)
    cdef double *xs
    cdef double *ys
    cdef double m, s
    for row in range(f.size // n):
        now_and_then(row)
        if reached != NULL and not any_reached(f, row * f.m, f.m):
            continue
        xs = all_xs + row * n
        ys = f.data + row * f.m
        if code == SOFTMAX:
            softmax(xs, ys, n)
        elif code == LOG_SOFTMAX:
            m = largest(xs, n)
            s = log_of_total(exps_of(xs, m, ys, n), ys, n)
            for i in range(n):
                ys[i] = (xs[i] - m) - s
        elif code == LOGSUMEXP_OF_ROWS:
            ys[0] = log_of_sum(xs, n)
        else:  # RMS_NORM
            s = norm_factor(xs, n, f.constants[0])
            if s == 0.0:
                # Not from xs, for this may run a finaliser, which may compute.
                numbers = [float(x) for x in items(f, row * n, (row + 1) * n)]
                fail(ZeroDivisionError, f"rms_norm({reprlib.repr(numbers)})")
            s = 1.0 / s
            for i in range(n):
                ys[i] = xs[i] * s
    return 0


# Backward ------------------------------------------------------------------------------------

cdef int spread_block(Cell *anchor) except -1:
    """Give the gradients of the outputs to the operands."""
    cdef Fused *f = anchor.right.fused
    all_reached(f)
    if anchor.code == EACH:
        spread_each(f)
    elif anchor.code == BOTH:
        spread_both(f)
    elif anchor.code == LINEAR:
        spread_linear(f)
    elif anchor.code == ATTENTION:
        spread_attention(f)
    else:
        spread_rows(anchor.code, f)
    keep_unreached(f)
    return 0


cdef int spread_each(Fused *f) except -1:
    cdef int code = f.operation
    cdef Py_ssize_t i, count = f.outputs
    cdef double *x = numbers_at(f, f.operands, count, scratch)
    cdef double *y = f.data
    cdef double *above = f.grad
    cdef double *to = scratch + count
    cdef double *constant = place_of_constant(f)
    if code == ADD_NUMBER or code == SUBTRACT_NUMBER:
        to = above
    elif code == MULTIPLY_NUMBER:
        for i in range(count):
            to[i] = constant[0] * above[i]
    elif code == RELU:
        relu_gradient(x, above, to, count)
    else:
        for i in range(0, count, SOME):
            slopes_times(
                slope, code, x + i, y + i, constant, above + i, to + i, min(SOME, count - i)
            )
            now_and_then(i + SOME - 1)
    give_some(
        f.operands, f.operands + f.count, to + count, NULL if f.entire else f.reached + count
    )
    return 0


cdef void spread_both(Fused *f) noexcept:
    cdef Py_ssize_t i, count = f.outputs
    cdef Operand *middle = after(f.operands, f.n)
    cdef Operand *end = f.operands + f.count
    cdef double *a
    cdef double *b
    cdef double *y = f.data
    cdef double *above = f.grad
    cdef double *to_a = scratch + 2 * count
    cdef double *to_b = to_a + count
    cdef Cursor left, right
    cdef int code = f.operation, first
    if code == ADD:
        to_a = to_b = above
    elif code == SUBTRACT:
        to_a = above
        for i in range(count):
            to_b[i] = -1.0 * above[i]
    else:
        two_sides(f, &a, &b)
        if code == MULTIPLY:
            for i in range(count):
                to_a[i] = b[i] * above[i]
                to_b[i] = a[i] * above[i]
        else:
            for i in range(count):
                to_a[i] = slope_left(code, a[i], b[i], y[i]) * above[i]
                to_b[i] = slope_right(code, a[i], b[i], y[i]) * above[i]
    first = first_side(f, middle, end) if f.entire else 0
    if first > 0:
        give_side(f.operands, middle, f.n, to_a, count)
    if first != 0:
        give_side(middle, end, f.m, to_b, count)
    if first < 0:
        give_side(f.operands, middle, f.n, to_a, count)
    if first != 0:
        return
    left = last_of(middle)
    right = last_of(end)
    for i in range(count - 1, -1, -1):
        if f.entire or f.reached[i]:
            give_to(left.operand, left.i, to_a[i])
            give_to(right.operand, right.i, to_b[i])
        go_back(&left, f.operands, middle, 1)
        go_back(&right, middle, end, 1)


cdef void give_side(
    Operand *first, Operand *end, Py_ssize_t length, double *to, Py_ssize_t count
) noexcept:
    while count > 0:
        give_all(first, end - first, to + count)
        count -= length


cdef int first_side(Fused *f, Operand *middle, Operand *end) noexcept nogil:
    """Which side may give all it has before the other: 1 the left one, -1 the right one, 0 neither.

    What is on both sides gets from the later pair first, and within a pair from the left."""
    cdef Operand *a = f.operands
    cdef Operand *b
    cdef Py_ssize_t at_a = 0, at_b, later
    cdef bint left = False, right = False
    if (middle - a) * (end - middle) > 4 * f.outputs + 64:
        return 0
    while a < middle:
        b = middle
        at_b = 0
        while b < end:
            if overlap(a, b):
                later = (at_a - a.offset) - (at_b - b.offset)
                left = left or later >= 0
                right = right or later < 0
            at_b += b.count
            b += 1
        at_a += a.count
        a += 1
    if (left or right) and f.n != f.m:
        return 0
    return 0 if left and right else -1 if right else 1


cdef int spread_linear(Fused *f) except -1:
    cdef Linear l = linear_of(f)
    cdef Py_ssize_t s, n_in = l.n_in, n_out = l.n_out, last = l.samples - 1
    cdef double *to
    if not (
        f.entire and n_in > 0 and are_distinct(l.weights, l.biases)
        and are_distinct(l.biases, l.inputs) and are_distinct(l.inputs, l.end)
        and are_apart(l.weights, l.biases, l.biases, l.end)
        and are_apart(l.biases, l.inputs, l.inputs, l.end)
    ):
        return spread_linear_singly(f, &l)
    if l.biases < l.inputs:
        for s in range(l.samples, 0, -1):
            give_all(l.biases, l.inputs - l.biases, f.grad + s * n_out)
    if holds_values(l.weights, l.biases):
        to = borrowed_gradients(l.weights, l.biases, l.room)
        product(
            to, n_in, to, n_in, f.grad + last * n_out, 1, -n_out, l.x + last * n_in, -n_in,
            n_out, l.samples, n_in,
        )
        return_gradients(l.weights, l.biases, to, l.room)
    if holds_values(l.inputs, l.end):
        to = borrowed_gradients(l.inputs, l.end, l.room)
        product(
            to, n_in, to, n_in, f.grad + n_out - 1, n_out, -1, l.w + (n_out - 1) * n_in, -n_in,
            l.samples, n_out, n_in,
        )
        return_gradients(l.inputs, l.end, to, l.room)
    return 0


cdef int spread_linear_singly(Fused *f, Linear *l) except -1:
    """In the order of rule 2.2, dot by dot."""
    cdef Py_ssize_t s, i, j, n_in = l.n_in, done = 0
    cdef Cursor input, start, weight, bias
    cdef bint biased = l.biases < l.inputs
    cdef double above
    if n_in:
        weight = last_of(l.biases)
        start = last_of(l.end)
    if biased:
        bias = last_of(l.inputs)
    for s in range(l.samples - 1, -1, -1):
        for j in range(l.n_out - 1, -1, -1):
            after_work(&done, n_in)
            if f.entire or f.reached[s * l.n_out + j]:
                above = f.grad[s * l.n_out + j]
                input = start
                for i in range(n_in - 1, -1, -1):
                    give_to(weight.operand, weight.i, l.x[s * n_in + i] * above)
                    give_to(input.operand, input.i, l.w[j * n_in + i] * above)
                    go_back(&weight, l.weights, l.biases, 1)
                    go_back(&input, l.inputs, l.end, 1)
                if biased:
                    give_to(bias.operand, bias.i, above)
            elif n_in:
                go_back(&weight, l.weights, l.biases, n_in)
            if biased:
                go_back(&bias, l.biases, l.inputs, 1)
        if n_in:
            go_back(&start, l.inputs, l.end, n_in)
    return 0


cdef inline bint holds_values(Operand *first, Operand *end) noexcept nogil:
    while first < end:
        if first.value != NULL:
            return True
        first += 1
    return False


cdef double *borrowed_gradients(Operand *first, Operand *end, double *room) noexcept:
    """The gradients of a group in a row, to be added to: where they are, or copied to room."""
    cdef double *at = room
    cdef Operand *o = first
    if end - first == 1 and is_anchor(first.value):
        return receivers(first.value, first.offset, first.count)
    while o < end:
        if o.value == NULL:
            memset(at, 0, o.count * sizeof(double))
        elif is_anchor(o.value):
            memcpy(at, receivers(o.value, o.offset, o.count), o.count * sizeof(double))
        else:
            at[0] = receiver(o.value)[0]
        at += o.count
        o += 1
    return room


cdef void return_gradients(Operand *first, Operand *end, double *to, double *room) noexcept:
    if to != room:
        return
    while first < end:
        if first.value == NULL:
            pass
        elif is_anchor(first.value):
            memcpy(
                receivers(first.value, first.offset, first.count), to, first.count * sizeof(double)
            )
        else:
            receiver(first.value)[0] = to[0]
        to += first.count
        first += 1


cdef void row_contributions(
    int code, Fused *f, Py_ssize_t row, double *xs, double *gs, double *to
) noexcept nogil:
    """What the operands of a row, xs, are given; gs are the gradients of its outputs."""
    cdef Py_ssize_t i, n = f.n
    cdef double *ys = f.computed + row * f.m
    cdef double r, s
    if code == SOFTMAX:
        softmax_contributions(ys, gs, to, n)
    elif code == LOG_SOFTMAX:
        s = total(gs, n)
        for i in range(n):
            to[i] = gs[i] - exp(ys[i]) * s
    elif code == LOGSUMEXP_OF_ROWS:
        for i in range(n):
            to[i] = exp(xs[i] - f.data[row]) * gs[0]
    else:  # RMS_NORM
        r = 1.0 / norm_factor(xs, n, f.constants[0])
        s = 0.0
        for i in range(n):
            s += gs[i] * xs[i]
        s = r * r * r * s / n
        for i in range(n):
            to[i] = r * gs[i] - xs[i] * s


cdef void spread_rows(int code, Fused *f) noexcept:
    cdef Py_ssize_t row, n = f.n, count = f.size
    cdef double *all_xs = numbers_at(f, f.operands, count, scratch)
    cdef double *to = scratch + count
    cdef unsigned char *chosen = <unsigned char *>(to + count)
    for row in range(count // n):
        if not f.entire:
            memset(chosen + row * n, any_reached(f, row * f.m, f.m), n)
            if not chosen[row * n]:
                continue
        row_contributions(
            code, f, row, all_xs + row * n, f.grad + row * f.m, to + row * n
        )
    give_some(
        f.operands, f.operands + f.count, to + count, NULL if f.entire else chosen + count
    )


# Attention -----------------------------------------------------------------------------------

# What it works with. The weights and what follows is in scratch, behind the numbers.
cdef struct Attention:
    Py_ssize_t d, n, m          # the length of query and keys, how many keys, the length of values
    double *query
    double *keys
    double *values
    double *weights
    double *room


cdef Attention attention_of(Fused *f) noexcept nogil:
    cdef Attention a
    cdef Operand *keys = after(f.operands, f.n)
    cdef Py_ssize_t i, j
    cdef double root = sqrt(<double>f.n), s
    cdef double *key
    a.d = f.n
    a.n = f.m
    a.m = f.outputs
    a.query = numbers_at(f, f.operands, a.d, scratch)
    a.keys = numbers_at(f, keys, a.n * a.d, scratch + a.d)
    a.values = numbers_at(f, after(keys, a.n * a.d), a.n * a.m, scratch + a.d + a.n * a.d)
    a.weights = scratch + f.size
    a.room = a.weights + a.n
    for j in range(a.n):
        key = a.keys + j * a.d
        s = 0.0
        for i in range(a.d):
            s += a.query[i] * key[i]
        a.weights[j] = s / root
    softmax(a.weights, a.weights, a.n)
    return a


cdef void compute_attention(Fused *f) noexcept nogil:
    cdef Attention a = attention_of(f)
    cdef Py_ssize_t i, j
    cdef double y
    for i in range(a.m):
        y = 0.0
        for j in range(a.n):
            y += a.weights[j] * a.values[j * a.m + i]
        f.data[i] = y


cdef void spread_attention(Fused *f) noexcept:
    give_all(f.operands, f.count, attention_contributions(f, f.grad) + f.size)


cdef double *attention_contributions(Fused *f, double *gs) noexcept nogil:
    """What the operands are given, in scratch; gs are the gradients of the outputs."""
    cdef Attention a = attention_of(f)
    cdef Py_ssize_t i, j
    cdef double root = sqrt(<double>a.d), s
    cdef double *to_scores = a.room
    cdef double *to = to_scores + a.n       # query, keys and values
    cdef double *to_keys = to + a.d
    cdef double *to_values = to_keys + a.n * a.d
    for j in range(a.n):
        s = 0.0
        for i in range(a.m):
            s += gs[i] * a.values[j * a.m + i]
            to_values[j * a.m + i] = a.weights[j] * gs[i]
        to_scores[j] = s
    softmax_contributions(a.weights, to_scores, to_scores, a.n)
    for j in range(a.n):
        to_scores[j] = to_scores[j] / root
    for i in range(a.d):
        s = 0.0
        for j in range(a.n):
            s += to_scores[j] * a.keys[j * a.d + i]
        to[i] = s
    for j in range(a.n):
        for i in range(a.d):
            to_keys[j * a.d + i] = to_scores[j] * a.query[i]
    return to


# Local gradients -----------------------------------------------------------------------------

cdef tuple local_gradients_of_element(Cell *anchor, Py_ssize_t i):
    cdef Fused *f = anchor.right.fused
    cdef Py_ssize_t j, row, n = f.n
    cdef double a, b
    cdef double *to
    cdef int code = anchor.code
    if code == BLOCK:
        return ()
    parts = parts_of(anchor, i)
    if code == EACH:
        ((x,),) = parts
        return (slope(f.operation, float(x), f.data[i], constant_of(f)),)
    if code == BOTH:
        (x,), (z,) = parts
        a = float(x)
        b = float(z)
        left = slope_left(f.operation, a, b, f.data[i])
        right = slope_right(f.operation, a, b, f.data[i])
        return among_values([x, z], [left, right])
    if code == LINEAR:
        weights, inputs, *rest = parts
        ((bias,),) = rest or [[0.0]]
        return dot_gradients(weights, inputs, bias, 1.0)
    if code == PERCEPTRONS:
        neurons = <Perceptrons>f.owner
        j = i % neurons.n_out
        return dot_gradients(
            neurons.rows[j], parts[0], neurons.biases[j], neurons.gradient_at_sum(f, i, 1.0)
        )
    # The others give their operands what all outputs together ask for: here one alone, for 1.
    (operands,) = parts
    numbers = Numbers()
    to = numbers.room(f.size + f.outputs)
    gs = to + f.size
    memset(gs, 0, f.outputs * sizeof(double))
    gs[i] = 1.0
    if needed > scratch_room:
        reserve(needed)
    if code == ATTENTION:
        memcpy(to, attention_contributions(f, gs), f.size * sizeof(double))
        return among_values(operands, [to[j] for j in range(f.size)])
    row = i // f.m
    xs = numbers_at(f, f.operands, f.size, scratch)
    row_contributions(code, f, row, xs + row * n, gs + row * f.m, to)
    return among_values(operands, [to[j] for j in range(n)])


cdef tuple dot_gradients(object weights, object inputs, object bias, double slope_of_sum):
    factors = [float(v) * slope_of_sum for v in (*inputs, *weights)]
    return among_values([*weights, *inputs, bias], [*factors, slope_of_sum])


cdef tuple among_values(list arguments, list slopes):
    """The local gradients with respect to the Values among the arguments."""
    return tuple([local for v, local in zip(arguments, slopes, strict=True) if is_value(v)])


# Tape ----------------------------------------------------------------------------------------

cdef void reach_part(Cell *anchor) noexcept:
    """The operands of those elements that are below the root."""
    cdef Fused *f = anchor.right.fused
    cdef unsigned char *wanted = <unsigned char *>scratch
    cdef Operand *o = f.operands
    cdef Span spans[3]
    cdef Py_ssize_t i
    cdef int k
    memset(wanted, 0, f.size)
    for i in range(f.outputs):
        if f.reached[i]:
            for k in range(spans_of(anchor, i, spans)):
                memset(wanted + spans[k].start, 1, spans[k].count)
    while o < f.operands + f.count:
        for i in range(o.count):
            if wanted[i]:
                reach_operand(o, i, 1)
        wanted += o.count
        o += 1
