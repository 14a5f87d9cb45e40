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
#         pins no slab of nodes.
# marks   one bit a cell. Backward sets the bit of every node that it gives to, clearing its gradient
#         the first time, and always goes on with the highest bit of the newest slab: nothing is
#         visited that is not reached, nothing is allocated, nothing recurs.
# Fused   what a node with many operands (dot, mean, a loss) or many outputs (softmax, a layer) needs
#         besides its cell. Several outputs hang on one hidden node, the anchor: an ordinary cell that
#         Python never sees. Each output holds the anchor; the anchor holds the operands.

from cpython.object cimport PyObject
from libc.stdint cimport uint16_t, uint32_t, uint64_t


cdef union Number:
    double number
    double *place       # VIEW: where the number is kept
    Cell *next          # of a cell that is being freed: the next one

cdef union Right:
    Cell *value         # the second operand, strong
    double constant
    Fused *fused

cdef struct Cell:
    PyObject head
    Number data
    Number grad
    Cell *left          # the first operand, or the anchor of an output; strong
    Right right
    PyObject *label     # strong; NULL is ""
    uint16_t code       # the operation
    uint32_t index      # of an output among those of its anchor

cdef class Value:
    cdef uint64_t cell[6]       # what a Cell has after its head; read and written as a Cell only


# An argument that may be a Value or a plain number.
cdef struct Operand:
    Cell *value         # strong; NULL where it is a number
    double number

cdef struct Fused:
    Py_ssize_t n, m         # sizes whose meaning is the operation's
    Py_ssize_t count        # of operands
    Operand *operands
    double *constants       # targets, labels, local gradients, an eps
    PyObject *owner         # strong: a custom operation's name, a layer's parameters
    Cell *output            # weak: the Value that a CUSTOM_ANCHOR works for
    Py_ssize_t outputs
    double *data            # of the outputs, as computed
    double *grad            # of the outputs, while backward runs
    double *sums            # of a layer: what its activation was applied to


# Operations. The order matters: below FIRST_NODE are leaves and what has its place elsewhere; then
# those of one operand, of two, of many.
cdef enum Code:
    UNSET           # __init__ has not run
    VIEW            # a leaf whose numbers are kept elsewhere: in a layer's contiguous parameters
    LEAF
    CUSTOM          # made by a custom operation; lies anywhere, its anchor has the place in the order
    NEG             # FIRST_NODE
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
    OUTPUT              # one of several outputs; left is the anchor
    ADD
    SUBTRACT
    MULTIPLY
    DIVIDE
    POWER
    MAXIMUM
    MINIMUM
    DOT                 # FIRST_FUSED: right is a Fused
    SUM
    MEAN
    MAX
    MIN
    LOGSUMEXP
    MSE_LOSS
    HINGE_LOSS
    BINARY_CROSS_ENTROPY
    CROSS_ENTROPY
    CUSTOM_ANCHOR       # FIRST_ANCHOR: a cell that Python never sees
    SOFTMAX
    LOG_SOFTMAX
    RMS_NORM
    ATTENTION
    PERCEPTRONS

cdef enum:
    FIRST_NODE = 4
    FIRST_BINARY = 41
    FIRST_FUSED = 48
    FIRST_ANCHOR = 58


cdef class Vector:
    cdef readonly tuple _values     # of Values, or of Vectors of one length
    cdef bint nested


# A growing list of arguments, which owns the references in it.
cdef class Arguments:
    cdef Operand *operands
    cdef Py_ssize_t count, capacity
    cdef int add(self, object x) except -1
    cdef int extend(self, object values, str what) except -1
    cdef list items(self)
    cdef object item(self, Py_ssize_t i)


# The parameters of a layer, as its operation reads them.
cdef class Perceptrons:
    cdef readonly tuple rows        # the weights of each neuron, a tuple of tuples
    cdef readonly tuple biases
    cdef readonly str activation
    cdef Cell **weights             # n_out × n_in, borrowed from rows
    cdef Cell **offsets             # n_out, borrowed from biases
    cdef Py_ssize_t n_in, n_out
    cdef Code code                  # of the activation, UNSET where there is none
    cdef str activation_name(self)
    cdef tuple outputs(self, Arguments inputs)
    cdef void compute(self, double *xs, Fused *f) noexcept
    cdef double gradient_at_sum(self, Fused *f, Py_ssize_t j, double above) noexcept
    cdef void spread(self, double *xs, Fused *f) noexcept


cdef inline Cell *cell_of(object value) noexcept:
    return <Cell *><PyObject *>value

cdef inline double data_of(Cell *c) noexcept nogil:
    return c.data.place[0] if c.code == VIEW else c.data.number

cdef inline double grad_of(Cell *c) noexcept nogil:
    return c.grad.place[0] if c.code == VIEW else c.grad.number

cdef inline void set_data(Cell *c, double number) noexcept nogil:
    if c.code == VIEW:
        c.data.place[0] = number
    else:
        c.data.number = number

cdef inline void set_grad(Cell *c, double number) noexcept nogil:
    if c.code == VIEW:
        c.grad.place[0] = number
    else:
        c.grad.number = number

cdef bint is_number(object x) except -1
cdef bint is_sequence(object x) except -1
cdef double as_float(object x) except? -1.0
cdef object describe(object x)
cdef Vector vector(tuple values)
cdef object scalars_of(Vector values)
cdef Arguments arguments_of(object values, str what)
cdef Arguments all_scalars(object values, str what)
cdef Value dot_product(object weights, object inputs, object bias)
cdef Value record_fused(Code code, Arguments arguments, Py_ssize_t n=*, Py_ssize_t m=*,
                        Arguments constants=*)
cdef tuple record_outputs(Code code, Arguments arguments, Py_ssize_t outputs, Py_ssize_t n=*,
                          Py_ssize_t m=*, Arguments constants=*, Py_ssize_t sums=*,
                          object owner=*)
