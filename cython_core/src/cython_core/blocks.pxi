# Blocks of numbers in a row, the operations on them, and the layers of neurons.

cdef extern from "kernels.h":
    void multiply_add(
        double *out, Py_ssize_t out_row, double *start, Py_ssize_t start_row, double *s,
        Py_ssize_t s_row, Py_ssize_t s_step, double *m, Py_ssize_t m_row, Py_ssize_t rows,
        Py_ssize_t terms, Py_ssize_t columns
    ) noexcept nogil
    void add_sample(
        double *to, double *x, double *above, Py_ssize_t n_in, Py_ssize_t n_out
    ) noexcept nogil
    void relu_in_place(double *y, Py_ssize_t n) noexcept nogil
    void relu_gradient(double *y, double *grad, double *above, Py_ssize_t n) noexcept nogil
    void add_to(double *y, double *x, Py_ssize_t n) noexcept nogil
    void slopes_times(
        double (*slope)(int, double, double, double) noexcept nogil, int code, double *x, double *y,
        double *constant, double *above, double *to, Py_ssize_t n
    ) noexcept nogil
    void transpose(double *m, double *t, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil


# The memory of blocks ------------------------------------------------------------------------
#
# A training loop makes blocks of the same sizes over and over, so what dies waits for the next one.

cdef enum:
    LINE = 64                   # bytes of the cache that come together; sizes are multiples of it
    STEPS = 64                  # sizes a line apart; from there on there are four to a doubling
    WAITING = 1 << 23           # bytes that may wait
    SIZES = STEPS + 4 * 12      # up to twice as much

cdef void *waiting[SIZES]
cdef size_t waiting_bytes = 0


cdef inline size_t size_for(size_t bytes, int *which) noexcept nogil:
    """The size that has room for so many bytes, and its number among the sizes."""
    cdef size_t lines = (bytes - 1) // LINE if bytes else 0
    cdef int shift = 0
    which[0] = <int>lines
    if lines >= STEPS:
        shift = highest_bit(lines) - 2
        lines >>= shift
        which[0] = STEPS + 4 * (shift - 4) + <int>(lines & 3)
    return ((lines + 1) * LINE) << shift


cdef inline void *room_for(size_t bytes) except NULL:
    global waiting_bytes
    cdef int which
    cdef size_t size = size_for(bytes, &which)
    cdef void *room
    if size <= WAITING and waiting[which] != NULL:
        room = waiting[which]
        waiting[which] = (<void **>room)[0]
        waiting_bytes -= size
        return room
    room = malloc(size)
    if room == NULL:
        raise MemoryError("no memory for another node")
    return room


cdef inline void leave_room(void *room, size_t bytes) noexcept nogil:
    """The memory is free for the next of its size."""
    global waiting_bytes
    cdef int which
    cdef size_t size = size_for(bytes, &which)
    if size > WAITING or SANITIZED:
        free(room)
        return
    if waiting_bytes + size > WAITING:
        empty_rooms()
    (<void **>room)[0] = waiting[which]
    waiting[which] = room
    waiting_bytes += size


cdef void empty_rooms() noexcept nogil:
    """All goes back to the system: these sizes may never be asked for again."""
    global waiting_bytes
    cdef int i
    cdef void *room
    for i in range(SIZES):
        while waiting[i] != NULL:
            room = waiting[i]
            waiting[i] = (<void **>room)[0]
            free(room)
    waiting_bytes = 0


# Blocks --------------------------------------------------------------------------------------

cdef inline bint is_anchor(Cell *c) noexcept nogil:
    return c.code >= FIRST_ANCHOR or c.code == BLOCK


cdef Fused *new_fused(
    Py_ssize_t operands, Py_ssize_t constants, Py_ssize_t outputs, Py_ssize_t sums
) except NULL:
    """operands: how many it has room for; none where their array comes from elsewhere."""
    cdef size_t head = sizeof(Fused) + operands * sizeof(Operand)
    cdef size_t bytes = (
        head + LINE + (constants + 4 * outputs + sums) * sizeof(double) + outputs
    )
    cdef Fused *f = <Fused *>room_for(bytes)
    memset(f, 0, head)
    f.bytes = bytes
    f.operands = <Operand *>(f + 1)
    f.constants = <double *>(f.operands + operands)
    # Where a line of the cache begins, so that the kernels do not read every second one twice.
    f.data = <double *>((<size_t>(f.constants + constants) + LINE - 1) & ~<size_t>(LINE - 1))
    f.computed = f.data
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
    if f.made != NULL:
        leave_room(f.made, f.outputs * sizeof(Cell *))
    if unlikely(f.large):
        one_large_less()
    if f.operands != <Operand *>(f + 1):
        free(f.operands)
    leave_room(f, f.bytes)


cdef Value leaf_block(Py_ssize_t count):
    """The anchor of a block of leaves, whose data are not yet set. Not for Python's eyes."""
    cdef Cell *c = leaf_cell()
    c.code = UNSET
    c.label = NULL
    anchor = <Value>new_reference(c)
    c.right.fused = new_fused(0, 0, count, 0)
    c.code = BLOCK
    return anchor


cdef Value element(Cell *anchor, Py_ssize_t i):
    """An element of a block as a Value: the same one as long as anybody has it."""
    cdef Fused *f = anchor.right.fused
    cdef Cell *c
    if f.made == NULL:
        f.made = <Cell **>room_for(f.outputs * sizeof(Cell *))
        memset(f.made, 0, f.outputs * sizeof(Cell *))
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


cdef inline void keep_computed(Cell *anchor) noexcept nogil:
    """Before data are set: softmax and its like go on from what they computed."""
    cdef Fused *f = anchor.right.fused
    if f.computed == f.data and anchor.code != BLOCK:
        f.computed = f.before + f.outputs
        memcpy(f.computed, f.data, f.outputs * sizeof(double))


cdef void set_data(Cell *c, double number) noexcept nogil:
    if c.code >= LEAF:
        c.data.number = number
        return
    if c.code == ELEMENT:
        keep_computed(c.left)
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


cdef double *receivers(Cell *anchor, Py_ssize_t offset, Py_ssize_t count) noexcept nogil:
    """The gradients of elements that are about to be given to. Of a node they begin at zero."""
    cdef Fused *f = anchor.right.fused
    if anchor.code != BLOCK and note(anchor, offset, count):
        if not f.entire:
            memcpy(f.before, f.grad, f.outputs * sizeof(double))
        if f.touched:
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

cdef inline void gather(Fused *f, double *xs) noexcept nogil:
    """The data of all operands."""
    gather_some(f, f.operands, f.size, xs)


cdef void gather_some(Fused *f, Operand *o, Py_ssize_t count, double *xs) noexcept nogil:
    """The data of so many scalars from the operand o on."""
    while count > 0:
        count -= o.count
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


cdef double *data_in_a_row(Fused *f) noexcept nogil:
    """The data of all operands where they stand in a row already, else NULL."""
    cdef Operand *o = f.operands
    if f.count != 1:
        return NULL
    if o.value == NULL:
        return f.constants + o.offset if o.offset >= 0 else &o.number
    return o.value.right.fused.data + o.offset if is_anchor(o.value) else NULL


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
        free(self.turned)

    cdef int reserve(self, Py_ssize_t count) except -1:
        self.count = count
        self.data = <double *>malloc(count * sizeof(double))
        self.grad = <double *>malloc(count * sizeof(double))
        self.turned = <double *>malloc(count * sizeof(double))
        if self.data == NULL or self.grad == NULL or self.turned == NULL:
            raise MemoryError("no memory for another layer")
        return 0

    cdef double *weights_by_neuron(self, Py_ssize_t n_in, Py_ssize_t n_out) noexcept:
        """The weights as n_out × n_in. No backward sees them change, so once in each is enough."""
        if self.turned_in != backwards:
            self.turned_in = backwards
            transpose(self.data, self.turned, n_in, n_out)
        return self.turned

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

    def __cinit__(self, tuple rows, tuple biases, str activation):
        cdef Py_ssize_t i, j
        cdef bint free_leaves = True
        self.code = ACTIVATIONS[activation]
        self.activation = activation
        self.rows = rows
        self.biases = biases
        self.n_out = len(rows)
        self.n_in = len(rows[0])
        if len(biases) != self.n_out or {len(<tuple?>row) for row in rows} != {self.n_in or -1}:
            raise ValueError("a layer needs weights, as many for each neuron, and its bias")
        values = {*biases, *[w for row in rows for w in row]}
        self.weights = <Cell **>malloc((self.n_out * self.n_in) * sizeof(Cell *))
        self.offsets = <Cell **>malloc(self.n_out * sizeof(Cell *))
        if self.weights == NULL or self.offsets == NULL:
            raise MemoryError("no memory for another layer")
        for j in range(self.n_out):
            self.offsets[j] = borrowed(biases[j], &free_leaves)
            for i in range(self.n_in):
                self.weights[j * self.n_in + i] = borrowed((<tuple>rows[j])[i], &free_leaves)
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

    cdef str activation_name(self):
        """As the operation is called: "" for a linear layer."""
        if self.code == UNSET:
            return ""
        return "leaky_relu(0.01)" if self.code == LEAKY_RELU else self.activation

    cdef Py_ssize_t sums(self, Py_ssize_t samples):
        """How many sums to keep: relu's sign shows in what it gave, and the others need none."""
        return 0 if self.code == UNSET or self.code == RELU else samples * self.n_out

    cdef Value block(self, Arguments inputs, Numbers constants, Py_ssize_t samples):
        """The anchor of the outputs of the samples, one after the other."""
        cdef Py_ssize_t outputs = samples * self.n_out
        return anchor_of(
            PERCEPTRONS, inputs, outputs, self.n_in, samples, constants, self.sums(samples), self, 0
        )

    cdef Py_ssize_t room(self, Py_ssize_t samples) noexcept:
        """How many numbers it computes with, which is no more than a node asks for by itself."""
        return 2 * samples * self.n_in + 2 * samples * self.n_out + 2 * self.n_in + 16

    cdef Value anchor(self, Py_ssize_t operands, Py_ssize_t samples):
        """Theirs, with room for operands, which are to be filled in."""
        cdef Cell *c
        cdef Fused *f
        reserve(self.room(samples))
        c = node_cell()
        c.code = UNSET
        c.label = NULL
        c.data.number = 0.0
        c.grad.number = 0.0
        c.left = NULL
        anchor = <Value>new_reference(c)  # from here on freed like any other Value
        f = new_fused(operands, 0, samples * self.n_out, self.sums(samples))
        count_large(f, self.room(samples))
        f.n = self.n_in
        f.m = samples
        f.size = samples * self.n_in
        f.owner = <PyObject *>self
        hold(f.owner)
        c.right.fused = f
        c.code = PERCEPTRONS
        return anchor

    cdef Value computed(self, Value anchor):
        cdef Fused *f = cell_of(anchor).right.fused
        if unlikely(needed > scratch_room):  # the inputs ran code that dropped a large graph
            reserve(needed)
        self.compute(scratch, f)
        if unlikely(no_grad_blocks) and not recording():
            return leaves_of(f)
        return anchor

    cdef Value block_above(self, Cell *below, Py_ssize_t samples):
        """The same where the inputs are the outputs of the layer below."""
        anchor = self.anchor(1, samples)
        cdef Fused *f = cell_of(anchor).right.fused
        hold(below)
        f.operands.value = below
        f.operands.offset = 0
        f.operands.count = f.size
        f.count = 1
        return self.computed(anchor)

    cdef Value block_on(self, list inputs):
        """The same of one sample, n_in Values and numbers; None where a number runs code of its own
        to become one: that could make operands which are newer than the node."""
        anchor = self.anchor(self.n_in, 1)
        cdef Fused *f = cell_of(anchor).right.fused
        cdef Operand *o = f.operands
        cdef Py_ssize_t i
        cdef Cell *c
        for i in range(self.n_in):
            x = inputs[i]
            o.value = NULL
            o.offset = -1
            o.count = 1
            if is_value(x):
                c = cell_of(x)
                initialised(c)
                if c.code == ELEMENT:
                    if f.count and o[-1].value == c.left and o[-1].offset + o[-1].count == c.index:
                        o[-1].count += 1
                        continue
                    o.offset = c.index
                    c = c.left
                hold(c)
                o.value = c
            elif PyFloat_CheckExact(x) or type(x) is int:
                o.number = as_float(x)
            else:
                return None
            f.count += 1
            o += 1
        return self.computed(anchor)

    cdef int compute(self, double *room, Fused *f) except -1:
        """room: for all inputs."""
        cdef Py_ssize_t i, j, n_in = self.n_in, n_out = self.n_out, samples = f.m
        cdef Cell **weights
        cdef Py_ssize_t done = 0
        cdef double *xs = data_in_a_row(f)
        cdef double *z = f.data if self.code == UNSET or self.code == RELU else f.sums
        cdef double sum
        f.computed = f.data
        if xs == NULL:
            xs = room
            gather(f, xs)
        if self.numbers is not None:
            product(
                z, n_out, self.numbers.data + n_in * n_out, 0, xs, n_in, 1, self.numbers.data, n_out,
                samples, n_in, n_out,
            )
        else:
            for k in range(samples):
                weights = self.weights
                for j in range(n_out):
                    sum = data_of(self.offsets[j])
                    for i in range(n_in):
                        sum += data_of(weights[i]) * xs[i]
                    weights += n_in
                    z[k * n_out + j] = sum
                    after_work(&done, n_in)
                xs += n_in
        if self.code == RELU:
            relu_in_place(z, f.outputs)
        elif self.code != UNSET:
            for i in range(f.outputs):
                f.data[i] = unary(self.code, z[i], 0.01)
                now_and_then(i)
        return 0

    cdef double gradient_at_sum(self, Fused *f, Py_ssize_t j, double above) noexcept:
        if self.code == UNSET:
            return above
        if self.code == RELU:
            return slope(RELU, f.computed[j], f.computed[j], 0.0) * above
        return slope(self.code, f.sums[j], f.computed[j], 0.01) * above

    cdef int spread(self, double *room, Fused *f) except -1:
        """room: for all inputs, all outputs, and twice the inputs of one sample."""
        cdef Py_ssize_t n_in = self.n_in, n_out = self.n_out, i, first, last, samples = f.m
        cdef double *xs = data_in_a_row(f)
        cdef double *above = f.grad
        cdef bint contiguous = self.numbers is not None
        for i in range(f.count):
            if f.operands[i].value != NULL and f.operands[i].value.code == VIEW:
                contiguous = False  # it may be one of the weights
        if xs == NULL:
            xs = room
            gather(f, xs)
            room += f.size
        if self.code == RELU:
            above = room
            relu_gradient(f.computed, f.grad, above, f.outputs)
            room += f.outputs
        elif self.code != UNSET:
            above = room
            for i in range(f.outputs):
                above[i] = self.gradient_at_sum(f, i, f.grad[i])
                now_and_then(i)
            room += f.outputs
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
        return 0

    cdef int spread_samples(
        self, double *xs, double *above, double *room, Fused *f, Py_ssize_t first, Py_ssize_t last
    ) except -1:
        cdef Py_ssize_t n_in = self.n_in, n_out = self.n_out, count = last - first, r, i, j
        cdef double *to_weights = self.numbers.grad
        cdef double *to_offsets = to_weights + n_in * n_out
        cdef double *weights = self.numbers.data
        cdef double *end = above + (last - 1) * n_out   # the last sample
        cdef double *x = xs + (last - 1) * n_in
        cdef double *to_inputs
        cdef Operand *o = f.operands
        cdef Cursor at, within
        cdef double one = 1.0
        cdef Py_ssize_t done = 0
        if count == 1:
            add_sample(to_weights, x, end, n_in, n_out)
        else:
            product(
                to_offsets, n_out, to_offsets, n_out, &one, 0, 0, end, -n_out, 1, count, n_out
            )
            if n_out == 1:
                product(
                    to_weights, n_in, to_weights, n_in, end, 1, -1, x, -n_in, 1, count, n_in
                )
            else:
                product(
                    to_weights, n_out, to_weights, n_out, x, 1, -n_in, end, -n_out, n_in, count,
                    n_out,
                )
        if f.count == 1:
            if o.value == NULL:
                return 0
            if is_anchor(o.value):
                to_inputs = receivers(o.value, o.offset + first * n_in, count * n_in)
                return self.to_inputs(to_inputs, above + first * n_out, count)
        at = cursor_at(f, last * n_in - 1)
        for r in range(last - 1, first - 1, -1):
            after_work(&done, n_in * n_out)
            if self.to_different_inputs(&at, f, above + r * n_out, room):
                continue
            for j in range(n_out - 1, -1, -1):
                within = at
                for i in range(n_in - 1, -1, -1):
                    give_at(&within, f, weights[i * n_out + j] * above[r * n_out + j])
            at = within
        return 0

    cdef int to_inputs(self, double *to, double *above, Py_ssize_t samples) except -1:
        """Add to the gradients of the inputs of samples, which stand in a row."""
        cdef Py_ssize_t n_in = self.n_in, n_out = self.n_out, r
        cdef double *weights = self.numbers.data
        if n_out == 1:
            return product(to, n_in, to, n_in, above, 1, 0, weights, 0, samples, 1, n_in)
        if n_in < 8 or (samples < 4 and self.numbers.asked_in != backwards):
            self.numbers.asked_in = backwards  # again in this backward: then turning them pays
            for r in range(samples):
                product(
                    to + r * n_in, 1, to + r * n_in, 1, weights + n_out - 1, n_out, -1,
                    above + (r + 1) * n_out - 1, -1, n_in, n_out, 1,
                )
            return 0
        weights = self.numbers.weights_by_neuron(n_in, n_out)
        return product(
            to, n_in, to, n_in, above + n_out - 1, n_out, -1, weights + (n_out - 1) * n_in, -n_in,
            samples, n_out, n_in,
        )

    cdef int to_different_inputs(
        self, Cursor *at, Fused *f, double *above, double *room
    ) except -1:
        """The same for one sample, whose inputs end at the cursor, wherever they are; it moves to the
        sample before. False where one comes twice, or does not belong to this sample alone.
        """
        cdef Operand *o = at.operand
        cdef double *to = room
        cdef double **places = <double **>(room + self.n_in)
        cdef Py_ssize_t i = self.n_in, k
        cdef bint different = True
        if at.i != o.count - 1:
            return False
        while True:
            if o.count > i or (o.value != NULL and o.value.code == CUSTOM):
                return False
            i -= o.count
            if o.value == NULL:
                for k in range(o.count):
                    places[i + k] = to + i + k
            elif is_anchor(o.value):
                places[i] = receivers(o.value, o.offset, o.count)
                for k in range(1, o.count):
                    places[i + k] = places[i] + k
            else:
                if o.value.code >= FIRST_NODE and mark(o.value):
                    o.value.grad.number = 0.0
                places[i] = &o.value.grad.number
            if i == 0:
                break
            o -= 1
        for i in range(self.n_in):
            to[i] = places[i][0]
        for i in range(self.n_in):
            places[i][0] = <double>i
        for i in range(self.n_in):
            different = different and places[i][0] == <double>i
        if not different:
            for i in range(self.n_in):
                places[i][0] = to[i]
            return False
        try:
            self.to_inputs(to, above, 1)
        finally:
            for i in range(self.n_in):
                places[i][0] = to[i]
        if o != f.operands:
            at.operand = o - 1
            at.i = at.operand.count - 1
        return True

    cdef int spread_singly(
        self, double *xs, double *above, Fused *f, Py_ssize_t first, Py_ssize_t last
    ) except -1:
        cdef Py_ssize_t n_in = self.n_in, n_out = self.n_out, r, i, j, done = 0
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
                after_work(&done, n_in)
        return 0


# Not as a method __reduce__, which Python would call on anything.
def made_from(Perceptrons layer not None):
    return Perceptrons, (layer.rows, layer.biases, layer.activation)


copyreg.pickle(Perceptrons, made_from)


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
    anchor = (<Perceptrons>layers[0]).block(inputs, constants, samples)
    return outputs_of(layers, anchor, samples, batch)


cdef object one_through_layers(tuple layers, list inputs):
    """The same for one sample of n_in Values and numbers; None where they are none as they stand."""
    anchor = (<Perceptrons>layers[0]).block_on(inputs)
    return None if anchor is None else outputs_of(layers, anchor, 1, False)


cdef object outputs_of(tuple layers, Value anchor, Py_ssize_t samples, bint batch):
    cdef Perceptrons layer = <Perceptrons>layers[0]
    cdef Py_ssize_t i
    for i in range(1, len(layers)):
        layer = <Perceptrons>layers[i]
        anchor = layer.block_above(cell_of(anchor), samples)
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


cdef Cell *borrowed(object value, bint *free_leaves) except NULL:
    cdef Cell *c = checked_cell(value)
    if c.code != LEAF or not is_value_exactly(c, value_type):
        free_leaves[0] = False
    return c


ACTIVATIONS = {
    "relu": RELU,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "linear": UNSET,
    "leaky_relu": LEAKY_RELU,
    "gelu": GELU,
    "silu": SILU,
    "softplus": SOFTPLUS,
}
