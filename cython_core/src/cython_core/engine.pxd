# Types of the engine. The code is in engine.pyx; arena.pxi has its memory, operations.pxi the table.
#
# How it is laid out
# ------------------
# Cell    64 bytes, one cache line: a Value as the C code sees it. What an operation needs besides its
#         operands stands in the cell itself: a constant in place of the second operand, an int for
#         the operation, whose name is written only when somebody asks. No vtable, no __dict__, not
#         tracked by the garbage collector: operands are older than what is made of them, so there
#         are no cycles.
# Slab    256 KB of cells. Nodes that an operation made lie in the order of their creation: (serial
#         of the slab, address) is that order, so no cell holds a number for it and backward needs no
#         sort. Leaves lie in slabs of their own with a free list, so that a parameter that lives on
#         pins no slab of nodes. The system gives memory in regions of 2 MB, and gets all back that
#         is empty, save 52 MB for the next graph.
# marks   one byte a cell. Backward marks every node that it gives to, clearing its gradient the first
#         time, and always goes on with the last mark of the newest slab: nothing is visited that is
#         not reached, nothing is allocated, nothing recurs. Freeing goes the same way with marks of
#         its own.
# Fused   what a node with many operands (dot, mean, a loss) or many elements (softmax, a layer, a
#         Vector) needs besides its cell. The elements of a block are numbers in a row; they hang on
#         one hidden node, the anchor: an ordinary cell that Python never sees, with their place in
#         the order of creation. The anchor of a block of leaves has no operands. An element becomes
#         a Value only when somebody asks for it: a cell that points to its numbers and holds the
#         anchor; the anchor knows it, but does not hold it, so there is no cycle.
# Operand a Value, a number, or a run of neighbouring elements of a block.

from cpython.object cimport PyObject
from libc.stdint cimport uint16_t, uint32_t, uint64_t


cdef union Number:
    double number
    double *place       # VIEW, ELEMENT: where the number is kept
    Cell *next          # of a cell that is being freed: the next one

cdef union Right:
    Cell *value         # the second operand, strong
    double constant
    Fused *fused

cdef struct Cell:
    PyObject head
    Number data
    Number grad
    Cell *left          # the first operand, or the anchor of an element; strong
    Right right
    PyObject *label     # strong; NULL is ""
    uint16_t code       # the operation
    uint32_t index      # of an element in its block

cdef class Value:
    cdef uint64_t cell[6]       # what a Cell has after its head; read and written as a Cell only


cdef struct Operand:
    Cell *value         # strong; an anchor where it is a run of elements, NULL where it is numbers
    double number       # where it is one number
    Py_ssize_t offset   # of a run in its block, of several numbers in the constants
    Py_ssize_t count

cdef struct Fused:
    Py_ssize_t n, m         # sizes whose meaning is the operation's
    Py_ssize_t count        # of operands
    Py_ssize_t size         # of the scalars among them
    size_t bytes            # of all of this
    Operand *operands
    double *constants       # targets, labels, local gradients, an eps
    PyObject *owner         # strong: a custom operation's name, a layer's parameters
    Cell *output            # weak: the Value that a CUSTOM_ANCHOR works for
    int operation           # of an elementwise block
    Py_ssize_t outputs      # elements of the block
    double *data            # theirs, as consumers and users see them
    double *computed        # the same, until a user sets data: then as computed
    double *grad
    double *before          # room for the gradients before this backward
    double *sums            # of a layer: what its activation was applied to
    unsigned char *reached  # by this backward, for each element; all of them where entire is set
    bint entire
    bint large              # it asked for much room to compute in
    bint touched            # gradients may be other than zero
    uint64_t search         # which one for a scalar that comes twice last came by
    Py_ssize_t found        # how far it got
    Cell **made             # weak: the elements that are Values now; NULL while there are none
    PyObject **labels       # strong: of elements that were


# A place among the scalars of the operands, that moves from the last to the first.
cdef struct Cursor:
    Operand *operand
    Py_ssize_t i


# Operations. The order matters: below FIRST_NODE are leaves and what has its place elsewhere; then
# those of one operand, of two, of many.
cdef enum Code:
    UNSET           # __init__ has not run
    VIEW            # a leaf whose numbers are kept elsewhere: in a layer's contiguous parameters
    ELEMENT         # of a block; left is the anchor
    BLOCK           # the anchor of a block of leaves, a cell that Python never sees
    LEAF            # from here on the numbers are in the cell
    CUSTOM          # made by a custom operation; lies anywhere, its anchor has the place in the order
    NEG
    ABS
    EXP
    EXPM1
    LOG
    LOG1P
    SQRT
    SIN
    COS
    TAN
    ASIN
    ACOS
    ATAN
    SINH
    COSH
    TANH
    ASINH
    ACOSH
    ATANH
    ERF
    SIGMOID
    RELU
    SOFTPLUS
    GELU
    SILU
    LEAKY_RELU          # its slope is the constant
    ADD_NUMBER          # value + number; the number is the constant
    SUBTRACT_NUMBER
    MULTIPLY_NUMBER
    DIVIDE_NUMBER
    POWER_NUMBER
    MAXIMUM_NUMBER
    MINIMUM_NUMBER
    NUMBER_SUBTRACT     # number - value
    NUMBER_DIVIDE
    NUMBER_POWER
    ADD
    SUBTRACT
    MULTIPLY
    DIVIDE
    POWER
    MAXIMUM
    MINIMUM
    DOT                 # from here on right is a Fused
    SUM
    MEAN
    MAX
    MIN
    LOGSUMEXP
    MSE_LOSS
    HINGE_LOSS
    BINARY_CROSS_ENTROPY
    CROSS_ENTROPY
    CUSTOM_ANCHOR       # from here on a cell that Python never sees
    SOFTMAX
    LOG_SOFTMAX
    RMS_NORM
    LOGSUMEXP_OF_ROWS
    ATTENTION
    PERCEPTRONS
    LINEAR              # dots of the rows of a matrix
    EACH                # the same operation on each element
    BOTH                # the same operation on pairs of elements

cdef enum:
    FIRST_NODE = NEG
    FIRST_BINARY = ADD
    FIRST_FUSED = DOT
    FIRST_ANCHOR = CUSTOM_ANCHOR


cdef class Vector:
    cdef tuple values           # Values, or Vectors of one length; None where nobody asked for them
    cdef Operand *runs          # the same as runs of blocks; NULL where only values has them
    cdef Operand run            # room for a single one
    cdef Py_ssize_t run_count
    cdef Py_ssize_t length
    cdef Py_ssize_t width       # of the rows, where the run is one of several rows
    cdef Py_ssize_t depth       # of Vectors in Vectors
    cdef bint nested
    cdef bint made
    cdef int refuse_another(self) except -1
    cdef tuple elements(self)
    cdef Vector part(self, Py_ssize_t start, Py_ssize_t stop)
    cdef void forget(self) noexcept
    cdef void hold_values(self, tuple items) noexcept
    cdef void hold_run(self, Cell *anchor, Py_ssize_t offset, Py_ssize_t count, Py_ssize_t width) noexcept


# A growing list of arguments, which owns the references in it.
cdef class Arguments:
    cdef Operand *operands
    cdef Py_ssize_t count           # scalars
    cdef Py_ssize_t runs, capacity  # operands
    cdef bint closed                # the next operand does not continue the last one
    cdef int push(self, Cell *value, double number, Py_ssize_t offset, Py_ssize_t count) except -1
    cdef int add(self, object x) except -1
    cdef bint take(self, object values) except -1
    cdef int extend(self, object values, str what) except -1
    cdef int extend_rows(self, Vector values) except -1
    cdef bint holds_number(self) noexcept
    cdef int append(self, Arguments others) except -1
    cdef list items(self)


# A growing list of plain numbers.
cdef class Numbers:
    cdef double *data
    cdef Py_ssize_t count, capacity
    cdef Py_ssize_t columns         # of the array of two dimensions that was taken last, else 0
    cdef double *room(self, Py_ssize_t more) except NULL
    cdef int add(self, double number) except -1
    cdef bint take(self, object values) except -1


# The parameters of a layer, as its operation reads them.
cdef class Perceptrons:
    cdef readonly tuple rows        # the weights of each neuron, a tuple of tuples
    cdef readonly tuple biases
    cdef readonly str activation
    cdef Parameters numbers         # None where the Values keep their numbers themselves
    cdef Cell **weights             # n_out × n_in, borrowed from rows
    cdef Cell **offsets             # n_out, borrowed from biases
    cdef Py_ssize_t n_in, n_out
    cdef Code code                  # of the activation, UNSET where there is none
    cdef str activation_name(self)
    cdef Py_ssize_t sums(self, Py_ssize_t samples)
    cdef Py_ssize_t room(self, Py_ssize_t samples) noexcept
    cdef Value block(self, Arguments inputs, Numbers constants, Py_ssize_t samples)
    cdef Value anchor(self, Py_ssize_t operands, Py_ssize_t samples)
    cdef Value computed(self, Value anchor)
    cdef Value block_above(self, Cell *below, Py_ssize_t samples)
    cdef Value block_on(self, list inputs)
    cdef int compute(self, double *room, Fused *f) except -1
    cdef double gradient_at_sum(self, Fused *f, Py_ssize_t j, double above) noexcept
    cdef int spread(self, double *room, Fused *f) except -1
    cdef int spread_samples(self, double *xs, double *above, double *room, Fused *f,
                            Py_ssize_t first, Py_ssize_t last) except -1
    cdef int to_inputs(self, double *to, double *above, Py_ssize_t samples) except -1
    cdef int to_different_inputs(self, Cursor *at, Fused *f, double *above,
                                 double *room) except -1
    cdef int spread_singly(self, double *xs, double *above, Fused *f, Py_ssize_t first,
                           Py_ssize_t last) except -1


# The numbers of a layer's parameters: n_in × n_out weights, then n_out biases.
cdef class Parameters:
    cdef double *data
    cdef double *grad
    cdef double *turned             # n_out × n_in weights, while backward runs
    cdef uint64_t turned_in         # which backward
    cdef uint64_t asked_in          # in which backward a single sample did without
    cdef Py_ssize_t count
    cdef double *weights_by_neuron(self, Py_ssize_t n_in, Py_ssize_t n_out) noexcept
    cdef int reserve(self, Py_ssize_t count) except -1
    cdef void adopt(self, Cell *c, Py_ssize_t i) noexcept


cdef inline Cell *cell_of(object value) noexcept:
    return <Cell *><PyObject *>value

cdef inline double data_of(Cell *c) noexcept nogil:
    return c.data.number if c.code >= LEAF else c.data.place[0]

cdef inline double grad_of(Cell *c) noexcept nogil:
    return c.grad.number if c.code >= LEAF else c.grad.place[0]

cdef void set_data(Cell *c, double number) noexcept nogil
cdef void set_grad(Cell *c, double number) noexcept nogil

# Where the number of a leaf is.
cdef inline double *data_place(Cell *c) noexcept nogil:
    return &c.data.number if c.code >= LEAF else c.data.place

cdef inline double *grad_place(Cell *c) noexcept nogil:
    return &c.grad.number if c.code >= LEAF else c.grad.place

cdef extern from *:
    """
    /* A traceback ends at the caller's line, and the message says the rest: the lines below it are of
       files that a user has not. */
    #ifndef TRIGRAD_FRAMES
    #define PyTraceBack_Here(frame) ((void)(frame))
    #endif

    /* RecursionError where calls are too deep already; Python gives any number but 0 for that. */
    #define go_deeper() (Py_EnterRecursiveCall(" over rows of rows") ? -1 : 0)
    #define come_back() Py_LeaveRecursiveCall()
    """
    int go_deeper() except -1
    void come_back() noexcept

cdef int check_calls(object functions) except -1
cdef Py_ssize_t moves_of_leaves() noexcept
cdef Cell *checked_cell(object value) except NULL
cdef int clear_grad(object value) except -1
cdef bint is_number(object x) except -1
cdef bint is_sequence(object x) except -1
cdef double as_float(object x) except? -1.0
cdef object describe(object x)
cdef Vector vector(tuple values)
cdef Vector flat_vector(Arguments arguments)
cdef bint take_rows(Numbers numbers, object values, Py_ssize_t *width) except -1
cdef Py_ssize_t width_of(Vector values) noexcept
cdef Numbers numbers_among(object values, str what)
cdef object scalars_of(Vector values)
cdef Arguments arguments_of(object values, str what)
cdef Arguments all_scalars(object values, str what)
cdef Value dot_product(object weights, object inputs, object bias)
cdef Value record_fused(Code code, Arguments arguments, Py_ssize_t n=*, Py_ssize_t m=*,
                        Numbers constants=*)
cdef Vector block_vector(Cell *anchor, Py_ssize_t offset, Py_ssize_t count, Py_ssize_t width)
cdef object through_layers(tuple layers, Arguments inputs, Numbers constants, Py_ssize_t samples,
                           bint batch)
cdef object one_through_layers(tuple layers, list inputs)
cdef dict ACTIVATIONS           # the code of each by its name
cdef bint are_free(Arguments inputs) noexcept
cdef Vector record_block(Code code, Arguments arguments, Py_ssize_t outputs, Py_ssize_t n=*,
                         Py_ssize_t m=*, Numbers constants=*, int operation=*,
                         Py_ssize_t width=*)
