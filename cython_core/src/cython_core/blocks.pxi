# Blocks of numbers in a row, the operations on them, and the layers of neurons.

cdef extern from "kernels.h":
    void multiply_add(
        double *out, Py_ssize_t out_row, double *s, Py_ssize_t s_row, Py_ssize_t s_step, double *m,
        Py_ssize_t m_row, Py_ssize_t rows, Py_ssize_t terms, Py_ssize_t columns
    ) noexcept nogil
    void relu_of(double *z, double *y, Py_ssize_t n) noexcept nogil
    void relu_gradient(double *z, double *grad, double *above, Py_ssize_t n) noexcept nogil
    void add_to(double *y, double *x, Py_ssize_t n) noexcept nogil
    void transpose(double *m, double *t, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil


# Blocks --------------------------------------------------------------------------------------

cdef inline bint is_anchor(Cell *c) noexcept nogil:
    return c.code >= FIRST_ANCHOR or c.code == BLOCK


cdef Fused *new_fused(Py_ssize_t constants, Py_ssize_t outputs, Py_ssize_t sums) except NULL:
    cdef Fused *f = <Fused *>malloc(
        sizeof(Fused) + (constants + 4 * outputs + sums) * sizeof(double) + outputs
    )
    if f == NULL:
        raise MemoryError("no memory for another node")
    memset(f, 0, sizeof(Fused))
    f.constants = <double *>(f + 1)
    f.data = f.computed = f.constants + constants
    f.grad = f.data + outputs
    f.sums = f.grad + outputs
    f.before = f.sums + sums        # and after it room for a copy of data
    f.reached = <unsigned char *>(f.before + 2 * outputs)
    f.outputs = outputs
    memset(f.grad, 0, outputs * sizeof(double))
    return f


cdef void free_fused(Fused *f) noexcept:
    cdef Py_ssize_t i
    for i in range(f.count):
        if f.operands[i].value != NULL:
            drop(f.operands[i].value)
    if f.owner != NULL:
        let_go(f.owner)
    if f.labels != NULL:
        for i in range(f.outputs):
            if f.labels[i] != NULL:
                let_go(f.labels[i])
        free(f.labels)
    free(f.made)
    free(f.operands)
    free(f)


cdef Value leaf_block(Py_ssize_t count):
    """The anchor of a block of leaves, whose data are not yet set. Not for Python's eyes."""
    cdef Cell *c = leaf_cell()
    c.code = UNSET
    c.label = NULL
    anchor = <Value>new_reference(c)
    c.right.fused = new_fused(0, count, 0)
    c.code = BLOCK
    return anchor


cdef Value element(Cell *anchor, Py_ssize_t i):
    """An element of a block as a Value: the same one as long as anybody has it."""
    cdef Fused *f = anchor.right.fused
    cdef Cell *c
    if f.made == NULL:
        f.made = <Cell **>calloc(f.outputs, sizeof(Cell *))
        if f.made == NULL:
            raise MemoryError("no memory for another Value")
    c = f.made[i]
    if c != NULL:
        return <Value><PyObject *>c
    c = leaf_cell()
    hold(anchor)
    c.code = ELEMENT
    c.left = anchor
    c.index = <uint32_t>i
    c.data.place = &f.data[i]
    c.grad.place = &f.grad[i]
    c.label = NULL
    if f.labels != NULL:
        c.label = f.labels[i]
        f.labels[i] = NULL
    f.made[i] = c
    return <Value>new_reference(c)


cdef void leave_block(Cell *c) noexcept:
    """An element dies as a Value. Its label, if it has one, stays with the block."""
    cdef Fused *f = c.left.right.fused
    f.made[c.index] = NULL
    if c.label != NULL:
        if f.labels == NULL:
            f.labels = <PyObject **>calloc(f.outputs, sizeof(PyObject *))
        if f.labels != NULL:
            f.labels[c.index] = c.label
            c.label = NULL
    drop(c.left)


cdef void set_data(Cell *c, double number) noexcept nogil:
    cdef Fused *f
    if c.code >= LEAF:
        c.data.number = number
        return
    if c.code == ELEMENT:
        f = c.left.right.fused
        if f.computed == f.data and c.left.code != BLOCK:
            # Softmax and its like go on from what they computed.
            f.computed = f.before + f.outputs
            memcpy(f.computed, f.data, f.outputs * sizeof(double))
    c.data.place[0] = number


cdef void set_grad(Cell *c, double number) noexcept nogil:
    if c.code >= LEAF:
        c.grad.number = number
        return
    if c.code == ELEMENT:
        c.left.right.fused.touched = True
    c.grad.place[0] = number


cdef inline bint note(Cell *anchor, Py_ssize_t offset, Py_ssize_t count) noexcept nogil:
    """Mark elements of a block as reached; whether it is the first time for any of them."""
    cdef Fused *f = anchor.right.fused
    cdef bint first = mark(anchor)
    if first:
        f.entire = False
        if count != f.outputs:
            memset(f.reached, 0, f.outputs)
    if count == f.outputs:
        f.entire = True
    elif not f.entire:
        memset(f.reached + offset, 1, count)
    return first


cdef inline double *receivers(Cell *anchor, Py_ssize_t offset, Py_ssize_t count) noexcept nogil:
    """The gradients of elements that are about to be given to. Of a node they begin at zero."""
    cdef Fused *f = anchor.right.fused
    if anchor.code != BLOCK and note(anchor, offset, count):
        if f.touched:
            memcpy(f.before, f.grad, f.outputs * sizeof(double))
        else:
            memset(f.before, 0, f.outputs * sizeof(double))
        memset(f.grad, 0, f.outputs * sizeof(double))
    f.touched = True
    return f.grad + offset


cdef void keep_unreached(Fused *f) noexcept nogil:
    """Elements that backward did not reach keep the gradients that they had."""
    cdef Py_ssize_t i
    if not f.entire:
        for i in range(f.outputs):
            if not f.reached[i]:
                f.grad[i] = f.before[i]


# Operands, which may be runs of elements -----------------------------------------------------

cdef void gather(Fused *f, double *xs) noexcept nogil:
    """The data of all operands."""
    cdef Py_ssize_t i
    cdef Operand *o = f.operands
    for i in range(f.count):
        if o.value == NULL:
            if o.offset < 0:
                xs[0] = o.number
            else:
                memcpy(xs, f.constants + o.offset, o.count * sizeof(double))
        elif is_anchor(o.value):
            memcpy(xs, o.value.right.fused.data + o.offset, o.count * sizeof(double))
        else:
            xs[0] = data_of(o.value)
        xs += o.count
        o += 1


cdef void give_all(Operand *operands, Py_ssize_t count, double *xs) noexcept:
    """Give to operands, from the last to the first; xs points behind what the last one is given.

    Elements of one run are different ones, so among them the order does not show."""
    cdef Py_ssize_t i
    cdef Operand *o
    for i in range(count - 1, -1, -1):
        o = &operands[i]
        xs -= o.count
        if o.value == NULL:
            continue
        if is_anchor(o.value):
            add_to(receivers(o.value, o.offset, o.count), xs, o.count)
        else:
            give(o.value, xs[0])


# A place among the scalars of the operands, that moves from the last to the first.
cdef struct Cursor:
    Operand *operand
    Py_ssize_t i


cdef Cursor cursor_at(Fused *f, Py_ssize_t position) noexcept nogil:
    cdef Cursor at
    at.operand = f.operands
    while position >= at.operand.count:
        position -= at.operand.count
        at.operand += 1
    at.i = position
    return at


cdef void give_at(Cursor *at, Fused *f, double x) noexcept:
    cdef Operand *o = at.operand
    if o.value != NULL:
        if is_anchor(o.value):
            receivers(o.value, o.offset + at.i, 1)[0] += x
        else:
            give(o.value, x)
    at.i -= 1
    if at.i < 0 and o != f.operands:
        at.operand -= 1
        at.i = at.operand.count - 1


cdef list items_of(Operand *operands, double *constants, Py_ssize_t start, Py_ssize_t stop):
    """The scalars of operands as Python objects: Values and floats."""
    cdef Py_ssize_t i, position = 0
    cdef Operand *o = operands
    items = []
    while position < stop:
        for i in range(max(start - position, 0), min(stop - position, o.count)):
            if o.value == NULL:
                items.append(o.number if o.offset < 0 else constants[o.offset + i])
            elif is_anchor(o.value):
                items.append(element(o.value, o.offset + i))
            else:
                items.append(<Value><PyObject *>o.value)
        position += o.count
        o += 1
    return items


cdef list items(Fused *f, Py_ssize_t start, Py_ssize_t stop):
    return items_of(f.operands, f.constants, start, stop)


cdef bint overlap(Operand *a, Operand *b) noexcept nogil:
    if a.value == NULL or a.value != b.value:
        return False
    return a.offset < b.offset + b.count and b.offset < a.offset + a.count


# Layers of neurons ---------------------------------------------------------------------------

cdef Py_ssize_t moves = 0  # how often a leaf's numbers went elsewhere, so that nobody looks there


cdef Py_ssize_t moves_of_leaves() noexcept:
    return moves


cdef class Parameters:
    """The numbers of a layer's parameters; the Values are views of them."""

    def __dealloc__(self):
        free(self.data)
        free(self.grad)

    cdef int reserve(self, Py_ssize_t count) except -1:
        self.count = count
        self.data = <double *>malloc(count * sizeof(double))
        self.grad = <double *>malloc(count * sizeof(double))
        if self.data == NULL or self.grad == NULL:
            raise MemoryError("no memory for another layer")
        return 0

    cdef void adopt(self, Cell *c, Py_ssize_t i) noexcept:
        global moves
        moves += 1
        self.data[i] = c.data.number
        self.grad[i] = c.grad.number
        c.data.place = &self.data[i]
        c.grad.place = &self.grad[i]
        c.left = <Cell *><PyObject *>self
        hold(c.left)
        c.code = VIEW


cdef class Perceptrons:
    """y_j = activation(b_j + w_j·x) for every neuron of a layer, as one node.

    The bits are those of the single multiplies and adds: each sum runs from left to right, and
    backward goes from the last sample to the first, in each from the last neuron to the first, in
    each from the last weight to the first.
    """

    def __init__(self, tuple rows, tuple biases, str activation):
        cdef Py_ssize_t i, j
        cdef bint free_leaves = True
        if self.weights != NULL:
            raise TypeError("Perceptrons cannot be made anew")
        self.code = ACTIVATION_CODES[activation]
        self.activation = activation
        self.rows = rows
        self.biases = biases
        self.n_out = len(rows)
        self.n_in = len(rows[0])
        self.weights = <Cell **>malloc((self.n_out * self.n_in) * sizeof(Cell *))
        self.offsets = <Cell **>malloc(self.n_out * sizeof(Cell *))
        if self.weights == NULL or self.offsets == NULL:
            raise MemoryError("no memory for another layer")
        for j in range(self.n_out):
            self.offsets[j] = borrowed(biases[j], &free_leaves)
            for i in range(self.n_in):
                self.weights[j * self.n_in + i] = borrowed((<tuple>rows[j])[i], &free_leaves)
        values = {*biases, *[w for row in rows for w in row]}
        if not free_leaves or len(values) != self.n_out * (self.n_in + 1):
            return
        self.numbers = Parameters()
        self.numbers.reserve(self.n_out * (self.n_in + 1))
        for j in range(self.n_out):
            for i in range(self.n_in):
                self.numbers.adopt(self.weights[j * self.n_in + i], i * self.n_out + j)
            self.numbers.adopt(self.offsets[j], self.n_in * self.n_out + j)

    def __dealloc__(self):
        free(self.weights)
        free(self.offsets)

    def __reduce__(self):
        return Perceptrons, (self.rows, self.biases, self.activation)

    cdef str activation_name(self):
        """As the operation is called: "" for a linear layer."""
        if self.code == UNSET:
            return ""
        return "leaky_relu(0.01)" if self.code == LEAKY_RELU else self.activation

    cdef Value block(self, Arguments inputs, Numbers constants, Py_ssize_t samples):
        """The anchor of the outputs of the samples, one after the other."""
        cdef Py_ssize_t outputs = samples * self.n_out
        reserve(3 * inputs.count + 3 * outputs + 2 * self.n_in * self.n_out + 64)
        return anchor_of(
            PERCEPTRONS, inputs, outputs, self.n_in, samples, constants, outputs, self, 0
        )

    cdef void compute(self, double *xs, Fused *f) noexcept:
        cdef Py_ssize_t i, j, n_in = self.n_in, n_out = self.n_out, samples = f.m
        cdef Cell **weights
        cdef double *z = f.sums
        cdef double *offsets
        cdef double sum
        if self.numbers is not None:
            offsets = self.numbers.data + n_in * n_out
            for i in range(samples):
                memcpy(z + i * n_out, offsets, n_out * sizeof(double))
            multiply_add(z, n_out, xs, n_in, 1, self.numbers.data, n_out, samples, n_in, n_out)
        else:
            for k in range(samples):
                weights = self.weights
                for j in range(n_out):
                    sum = data_of(self.offsets[j])
                    for i in range(n_in):
                        sum += data_of(weights[i]) * xs[i]
                    weights += n_in
                    z[j] = sum
                z += n_out
                xs += n_in
        if self.code == UNSET:
            memcpy(f.data, f.sums, f.outputs * sizeof(double))
        elif self.code == RELU:
            relu_of(f.sums, f.data, f.outputs)
        else:
            for i in range(f.outputs):
                f.data[i] = unary(self.code, f.sums[i], 0.01)

    cdef double gradient_at_sum(self, Fused *f, Py_ssize_t j, double above) noexcept:
        if self.code == UNSET:
            return above
        return slope(self.code, f.sums[j], f.computed[j], 0.01) * above

    cdef void spread(self, double *xs, Fused *f) noexcept:
        cdef Py_ssize_t n_in = self.n_in, n_out = self.n_out, i, first, last, samples = f.m
        cdef double *above = xs + f.size
        cdef double *room = above + f.outputs
        cdef bint contiguous = self.numbers is not None
        for i in range(f.count):
            if f.operands[i].value != NULL and f.operands[i].value.code == VIEW:
                contiguous = False  # it may be one of the weights
        if self.code == UNSET:
            memcpy(above, f.grad, f.outputs * sizeof(double))
        elif self.code == RELU:
            relu_gradient(f.sums, f.grad, above, f.outputs)
        else:
            for i in range(f.outputs):
                above[i] = self.gradient_at_sum(f, i, f.grad[i])
        # Samples without a reached output take no part.
        last = samples
        while last > 0:
            if not f.entire and samples > 1:
                if not any_reached(f, (last - 1) * n_out, n_out):
                    last -= 1
                    continue
                first = last - 1
                while first > 0 and any_reached(f, (first - 1) * n_out, n_out):
                    first -= 1
            else:
                first = 0
            if contiguous:
                self.spread_samples(xs, above, room, f, first, last)
            else:
                self.spread_singly(xs, above, f, first, last)
            last = first

    cdef void spread_samples(
        self, double *xs, double *above, double *room, Fused *f, Py_ssize_t first, Py_ssize_t last
    ) noexcept:
        cdef Py_ssize_t n_in = self.n_in, n_out = self.n_out, count = last - first, r, i, j
        cdef double *to_weights = self.numbers.grad
        cdef double *to_offsets = to_weights + n_in * n_out
        cdef double *weights = self.numbers.data
        cdef double *end = above + (last - 1) * n_out   # the last sample
        cdef double *x = xs + (last - 1) * n_in
        cdef double *to_inputs
        cdef Operand *o = f.operands
        cdef Cursor at
        for r in range(count):
            add_to(to_offsets, end - r * n_out, n_out)
        if n_out == 1:
            multiply_add(to_weights, n_in, end, 1, -1, x, -n_in, 1, count, n_in)
        else:
            multiply_add(to_weights, n_out, x, 1, -n_in, end, -n_out, n_in, count, n_out)
        if f.count == 1:
            if o.value == NULL:
                return
            if is_anchor(o.value):
                to_inputs = receivers(o.value, o.offset + first * n_in, count * n_in)
                if count < 4:
                    for r in range(count):
                        multiply_add(
                            to_inputs + r * n_in, 1, weights + n_out - 1, n_out, -1,
                            above + (first + r + 1) * n_out - 1, -1, n_in, n_out, 1,
                        )
                else:
                    transpose(weights, room, n_in, n_out)
                    multiply_add(
                        to_inputs, n_in, above + (first + 1) * n_out - 1, n_out, -1,
                        room + (n_out - 1) * n_in, -n_in, count, n_out, n_in,
                    )
                return
        for r in range(last - 1, first - 1, -1):
            for j in range(n_out - 1, -1, -1):
                at = cursor_at(f, r * n_in + n_in - 1)
                for i in range(n_in - 1, -1, -1):
                    give_at(&at, f, weights[i * n_out + j] * above[r * n_out + j])

    cdef void spread_singly(
        self, double *xs, double *above, Fused *f, Py_ssize_t first, Py_ssize_t last
    ) noexcept:
        cdef Py_ssize_t n_in = self.n_in, n_out = self.n_out, r, i, j
        cdef double g
        cdef Cell *w
        cdef Cursor at
        for r in range(last - 1, first - 1, -1):
            for j in range(n_out - 1, -1, -1):
                g = above[r * n_out + j]
                at = cursor_at(f, r * n_in + n_in - 1)
                for i in range(n_in - 1, -1, -1):
                    w = self.weights[j * n_in + i]
                    give(w, xs[r * n_in + i] * g)
                    give_at(&at, f, data_of(w) * g)
                give(self.offsets[j], g)


cdef bint are_free(Arguments inputs) noexcept:
    """Whether none of them can be a layer's parameter."""
    cdef Py_ssize_t i
    for i in range(inputs.runs):
        if inputs.operands[i].value != NULL and inputs.operands[i].value.code == VIEW:
            return False
    return True


cdef object through_layers(
    tuple layers, Arguments inputs, Numbers constants, Py_ssize_t samples, bint batch
):
    """What the last of the layers, Perceptrons, makes of the inputs."""
    cdef Perceptrons layer = None
    cdef Value anchor = None
    for item in layers:
        layer = <Perceptrons>item
        if anchor is not None:
            inputs = Arguments()
            inputs.push(cell_of(anchor), 0.0, 0, samples * layer.n_in)
        anchor = layer.block(inputs, constants, samples)
        constants = None
    if not batch:
        if layer.n_out == 1:
            return element(cell_of(anchor), 0)
        return block_vector(cell_of(anchor), 0, layer.n_out, 0)
    return block_vector(
        cell_of(anchor), 0, samples * layer.n_out, layer.n_out if layer.n_out > 1 else 0
    )


cdef inline bint any_reached(Fused *f, Py_ssize_t offset, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(offset, offset + count):
        if f.reached[i]:
            return True
    return False


cdef Cell *borrowed(Value value, bint *free_leaves) except NULL:
    cdef Cell *c = cell_of(value)
    initialised(c)
    if c.code != LEAF or not is_value_exactly(c, value_type):
        free_leaves[0] = False
    return c


cdef dict ACTIVATION_CODES = {
    "relu": RELU,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "linear": UNSET,
    "leaky_relu": LEAKY_RELU,
    "gelu": GELU,
    "silu": SILU,
    "softplus": SOFTPLUS,
}
