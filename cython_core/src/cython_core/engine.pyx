"""A scalar autograd engine, compiled: a node is 64 bytes and costs about what a float does.

It computes the same bits as pure_python.engine, operation for operation and sum for sum; read that
one for the ideas. Here, from top to bottom: numbers, the record of what was computed, operations on
many operands, the backward pass, Value, Vector and Tape. Memory is in arena.pxi, the table of
operations in operations.pxi, and how it all is laid out in engine.pxd.
"""

import copyreg
import os
import reprlib
import sys
from collections.abc import Iterable
from contextlib import ContextDecorator
from contextvars import ContextVar
from numbers import Complex, Real

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetString
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_AsDouble
from cpython.pythread cimport (
    NOWAIT_LOCK, WAIT_LOCK, PyThread_acquire_lock, PyThread_allocate_lock,
    PyThread_get_thread_ident, PyThread_release_lock, PyThread_type_lock,
)
from cpython.unicode cimport PyUnicode_GET_LENGTH
from cpython.slice cimport PySlice_AdjustIndices, PySlice_Unpack
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

cimport cython

__all__ = ["Tape", "Value", "Vector", "no_grad"]

if not getattr(sys, "_is_gil_enabled", lambda: True)():
    raise ImportError(
        "cython_core counts on the global interpreter lock, and this Python runs without it: take "
        "an ordinary build of CPython, or pure_python"
    )

# The first line of a class's docstring is its signature, in the form that inspect reads: Cython
# writes that of methods itself, but not that of classes.

include "arena.pxi"
include "gelu.pxi"
include "operations.pxi"
include "blocks.pxi"
include "vectors.pxi"
include "tape.pxi"
include "calls.pxi"

# ---------------------------------------------------------------------------------------------
# Numbers
# ---------------------------------------------------------------------------------------------


cdef bint is_number(object x) except -1:
    """Whether x stands for one real number: it has __float__ or __index__ and is no array."""
    if isinstance(x, (float, int, Value)):
        return True
    kind = type(x)
    return (
        (hasattr(kind, "__float__") or hasattr(kind, "__index__"))
        and not (isinstance(x, Complex) and not isinstance(x, Real))
        and getattr(x, "ndim", 0) == 0
    )


cdef double as_float(object x) except? -1.0:
    """x as a double, whatever kind of real number it is, or a TypeError that names it."""
    if PyFloat_CheckExact(x):
        return PyFloat_AS_DOUBLE(x)
    if not is_number(x):
        raise TypeError(f"Value needs a real number, got {describe(x)}")
    return float(x)


cdef object describe(object x):
    return f"{reprlib.repr(x)} ({type(x).__name__})"


cdef inline bint is_value(object x) noexcept:
    return is_value_exactly(<void *>x, value_type) or isinstance(x, Value)


cdef bint is_sequence(object x) except -1:
    if type(x) is float or is_value_exactly(<void *>x, value_type):
        return False
    return (
        isinstance(x, (list, tuple, Vector))
        or (isinstance(x, Iterable) and not isinstance(x, (str, bytes, dict)) and not is_number(x))
    )


# ---------------------------------------------------------------------------------------------
# no_grad
# ---------------------------------------------------------------------------------------------

# The innermost block that was entered here, open or not: tasks and threads that are started inside a
# block begin with it, and may outlive it.
paused = ContextVar("trigrad_no_grad", default=None)
cdef Py_ssize_t no_grad_blocks = 0  # open anywhere: while none is, nobody asks the ContextVar


cdef class Block:
    cdef bint open
    cdef Block before


class no_grad(ContextDecorator):
    """A context manager, or decorator, inside which operations record no graph.

    It holds for the thread and the asynchronous task that entered it, and for tasks started inside.
    """

    _block = Block()  # of one that was not entered: never open

    def __enter__(self):
        global no_grad_blocks
        cdef Block block = <Block?>self._block
        if block.open:
            raise RuntimeError("this no_grad() is entered already: make one for each block")
        block = self._block = Block()  # the last one may be below others that are still open
        block.before = innermost()
        block.open = True
        no_grad_blocks += 1
        paused.set(block)
        return self

    def __exit__(self, *exception):
        global no_grad_blocks
        cdef Block block = <Block?>self._block
        if not block.open:
            return
        block.open = False
        no_grad_blocks -= 1
        if paused.get() is block:
            paused.set(block.before)

    def __call__(self, func):
        from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

        suspends = (isasyncgenfunction, iscoroutinefunction, isgeneratorfunction)
        if any([kind(func) for kind in suspends]):
            raise TypeError(
                "no_grad cannot decorate a coroutine or generator function: the block would end "
                "before its first line runs. Write `with no_grad():` inside the function"
            )
        return super().__call__(func)

    def _recreate_cm(self):
        return no_grad()  # each call of a decorated function is a block of its own


cdef Block innermost():
    """The innermost open block that holds here."""
    cdef Block block = paused.get()
    while block is not None and not block.open:
        block = block.before
    return block


cdef inline bint recording() except -1:
    """Whether operations record a graph here."""
    return innermost() is None


# ---------------------------------------------------------------------------------------------
# The record
# ---------------------------------------------------------------------------------------------


cdef inline double value_of(Cell *c) except? -1.0:
    """The data of an operand. Its place may be elsewhere, or nobody may have called __init__."""
    if c.code >= LEAF:
        catch_up(c)
        return c.data.number
    initialised(c)
    return c.data.place[0]


cdef Cell *checked_cell(object value) except NULL:
    """What a Value is in here; TypeError for anything else, or for a Value that nobody made."""
    if not is_value(value):
        raise TypeError(f"a parameter must be a Value, got {describe(value)}")
    initialised(cell_of(value))
    return cell_of(value)


cdef int clear_grad(object value) except -1:
    cdef Cell *c = checked_cell(value)
    catch_up_to_set(c)
    set_grad(c, 0.0)
    return 0


cdef inline int initialised(Cell *c) except -1:
    if unlikely(c.code == UNSET):
        raise TypeError("this Value was never initialised: call super().__init__(data) first")
    catch_up(c)
    return 0


cdef inline Value leaf(double data):
    cdef Cell *c = leaf_cell()
    c.data.number = data
    c.grad.number = 0.0
    c.label = NULL
    c.code = LEAF
    return <Value>new_reference(c)


cdef inline Value record1(int code, double data, Cell *a, double constant):
    """The node of an operation of one operand, and maybe a number."""
    if unlikely(no_grad_blocks) and not recording():
        return leaf(data)
    cdef Cell *c = node_cell()
    hold(a)
    c.data.number = data
    c.grad.number = 0.0
    c.left = a
    c.right.constant = constant
    c.label = NULL
    c.code = <Code>code
    return <Value>new_reference(c)


cdef inline Value record2(int code, double data, Cell *a, Cell *b):
    """The node of an operation of two operands."""
    if unlikely(no_grad_blocks) and not recording():
        return leaf(data)
    cdef Cell *c = node_cell()
    hold(a)
    hold(b)
    c.data.number = data
    c.grad.number = 0.0
    c.left = a
    c.right.value = b
    c.label = NULL
    c.code = <Code>code
    return <Value>new_reference(c)


cdef inline Value apply1(int code, Cell *a, double constant):
    """An operation of one operand, and maybe a number on either side."""
    return record1(code, applied(code, value_of(a), constant), a, constant)


cdef inline Value apply2(int code, Cell *a, Cell *b):
    """An operation of two operands."""
    return record2(code, binary(code, value_of(a), value_of(b)), a, b)


cdef inline object operate(int code, int with_number, object a, object b):
    """a and b, where b may be a number; NotImplemented where it is neither."""
    if is_value(b):
        return apply2(code, cell_of(a), cell_of(b))
    if PyFloat_CheckExact(b) or is_number(b):
        return apply1(with_number, cell_of(a), as_float(b))
    return NotImplemented


cdef inline object reflect(int number_with, object b, object a):
    """The same where Python found the number, a, on the left."""
    if PyFloat_CheckExact(a) or is_number(a):
        return apply1(number_with, cell_of(b), as_float(a))
    return NotImplemented


cdef str name_of(Cell *c):
    cdef int code = c.code
    if code == ELEMENT:
        return name_of_element(c.left, c.index)
    if code < FIRST_NODE:
        return <str>c.left.right.fused.owner if code == CUSTOM else ""
    if code < FIRST_BINARY:
        return name_of_one(code, c.right.constant)
    if code < FIRST_FUSED:
        return NUMBER_RIGHT_NAMES[code - ADD]
    return FUSED_NAMES[code - FIRST_FUSED]


cdef str name_of_one(int code, object number):
    """Of an operation of one operand, and maybe a number."""
    if code < LEAKY_RELU:
        return UNARY_NAMES[code - FIRST_NODE]
    if code == LEAKY_RELU:
        return f"leaky_relu({number!r})"
    if code < NUMBER_SUBTRACT:
        return f"{NUMBER_RIGHT_NAMES[code - ADD_NUMBER]} {number!r}"
    return f"{number!r} {NUMBER_LEFT_NAMES[code - NUMBER_SUBTRACT]}"


cdef str name_of_element(Cell *anchor, Py_ssize_t i):
    cdef Fused *f = anchor.right.fused
    cdef str name
    if anchor.code == BLOCK:
        return ""
    if anchor.code == PERCEPTRONS:
        name = (<Perceptrons>f.owner).activation_name()
        return f"{name}(dot)" if name else "dot"
    if anchor.code == LINEAR:
        return "dot"
    if anchor.code == EACH:
        return name_of_one(f.operation, constant_of(f))
    if anchor.code == BOTH:
        return name_of_both(anchor, i)
    return JOINT_NAMES[anchor.code - SOFTMAX]


cdef tuple values_among(list items):
    return tuple([v for v in items if is_value(v)])


cdef tuple operands_of(Cell *c):
    cdef int code = c.code
    if code == ELEMENT:
        return operands_of_element(c.left, c.index)
    if code < FIRST_NODE:
        return values_among(items(c.left.right.fused, 0, c.left.right.fused.size)) if code == CUSTOM else ()
    if code < FIRST_BINARY:
        return (<Value><PyObject *>c.left,)
    if code < FIRST_FUSED:
        return (<Value><PyObject *>c.left, <Value><PyObject *>c.right.value)
    return values_among(items(c.right.fused, 0, c.right.fused.size))


cdef tuple local_gradients_of(Cell *c):
    cdef int code = c.code
    cdef Py_ssize_t i
    cdef double a, b, y = c.data.number
    cdef double *xs
    cdef Fused *f
    if code == ELEMENT:
        return local_gradients_of_element(c.left, c.index)
    if code == CUSTOM:
        f = c.left.right.fused
        return tuple([f.constants[i] for i in range(f.size)])
    if code < FIRST_NODE:
        return ()
    if code < FIRST_BINARY:
        return (slope(code, data_of(c.left), y, c.right.constant),)
    if code < FIRST_FUSED:
        a = data_of(c.left)
        b = data_of(c.right.value)
        return slope_left(code, a, b, y), slope_right(code, a, b, y)
    f = c.right.fused
    operands = items(f, 0, f.size)
    if code == DOT:
        return dot_gradients(operands[:f.n], operands[f.n:2 * f.n], operands[2 * f.n], 1.0)
    numbers = Numbers()
    xs = numbers.room(f.size)
    gather(f, xs)
    contributions(c, 1.0, xs)
    return among_values(operands, [xs[i] for i in range(f.size)])


cdef tuple moment_of(Cell *c):
    """The place in the order of creation: of an element, that of its block and its own in it."""
    cdef Py_ssize_t i = 0
    if c.code == ELEMENT:
        i = c.index
        c = c.left
    elif c.code == CUSTOM:
        c = c.left
    if c.code < FIRST_NODE:
        return ()
    return slab_of(c).serial, (<size_t>c & (SLAB - 1)) // CELL, i


cdef tuple operands_of_element(Cell *anchor, Py_ssize_t i):
    if anchor.code == BLOCK:
        return ()
    operands = values_among([v for part in parts_of(anchor, i) for v in part])
    if anchor.code == PERCEPTRONS:
        neurons = <Perceptrons>anchor.right.fused.owner
        i %= neurons.n_out
        return (*neurons.rows[i], *operands, neurons.biases[i])
    return operands


# ---------------------------------------------------------------------------------------------
# Operations on many operands
# ---------------------------------------------------------------------------------------------


@cython.final
@cython.freelist(32)
cdef class Arguments:
    """Values and plain numbers in any mixture."""

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.runs):
            if self.operands[i].value != NULL:
                let_go(self.operands[i].value)
        free(self.operands)

    cdef int push(self, Cell *value, double number, Py_ssize_t offset, Py_ssize_t count) except -1:
        cdef Operand *o
        cdef void *more
        if count == 0:
            return 0  # an operand has a last scalar
        if self.runs != 0 and value != NULL and is_anchor(value) and not self.closed:
            o = &self.operands[self.runs - 1]
            if o.value == value and o.offset + o.count == offset:
                o.count += count
                self.count += count
                return 0
        if self.runs == self.capacity:
            more = realloc(self.operands, (2 * self.capacity + 4) * sizeof(Operand))
            if more == NULL:
                raise MemoryError("no memory for the operands of another node")
            self.operands = <Operand *>more
            self.capacity = 2 * self.capacity + 4
        o = &self.operands[self.runs]
        o.value = value
        o.number = number
        o.offset = offset
        o.count = count
        if value != NULL:
            hold(value)
        self.runs += 1
        self.count += count
        self.closed = False
        return 0

    cdef int add(self, object x) except -1:
        cdef Cell *c
        if not is_value(x):
            return self.push(NULL, as_float(x), -1, 1)
        c = cell_of(x)
        initialised(c)
        if c.code == ELEMENT:
            return self.push(c.left, 0.0, c.index, 1)
        return self.push(c, 0.0, 0, 1)

    cdef bint take(self, object values) except -1:
        """Add the elements of a Vector, row by row, if they are runs of blocks; False if not."""
        cdef Vector v
        cdef Py_ssize_t i
        if not isinstance(values, Vector):
            return False
        v = <Vector>values
        for i in range(v.run_count):
            self.push(v.runs[i].value, 0.0, v.runs[i].offset, v.runs[i].count)
        return v.runs != NULL

    cdef int extend(self, object values, str what) except -1:
        cdef Vector v
        if type(values) is list or type(values) is tuple:
            pass
        elif isinstance(values, Vector):
            v = <Vector>values
            if not v.nested:
                return self.extend_rows(v)
            values = v.elements()
        elif isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise TypeError(f"{what} needs a sequence of Values and numbers, got {describe(values)}")
        for x in values:
            self.add(x)
        return 0

    cdef int extend_rows(self, Vector values) except -1:
        """All scalars of a Vector, row by row."""
        if self.take(values):
            return 0
        if values.nested:
            for row in values.values:
                self.extend_rows(<Vector>row)
        else:
            for v in values.values:
                self.add(v)
        return 0

    cdef bint holds_number(self) noexcept:
        cdef Py_ssize_t i
        for i in range(self.runs):
            if self.operands[i].value == NULL:
                return True
        return False

    cdef list items(self):
        """As Python objects."""
        return items_of(self.operands, NULL, 0, self.count)

    cdef int append(self, Arguments others) except -1:
        cdef Py_ssize_t i
        cdef Operand *o
        for i in range(others.runs):
            o = &others.operands[i]
            self.push(o.value, o.number, o.offset, o.count)
            self.closed = True  # what stands apart there does here
        return 0


@cython.final
@cython.freelist(16)
cdef class Numbers:
    """Plain numbers."""

    def __dealloc__(self):
        free(self.data)

    cdef double *room(self, Py_ssize_t more) except NULL:
        """Where the next ones go."""
        cdef void *place
        if self.count + more > self.capacity or self.capacity == 0:
            place = realloc(self.data, (2 * self.capacity + more + 8) * sizeof(double))
            if place == NULL:
                raise MemoryError("no memory for more numbers")
            self.data = <double *>place
            self.capacity = 2 * self.capacity + more + 8
        return self.data + self.count

    cdef int add(self, double number) except -1:
        self.room(1)[0] = number
        self.count += 1
        return 0

    cdef bint take(self, object values) except -1:
        """Add those of a list, tuple or array of plain numbers; False for anything else, with maybe
        some of them added."""
        cdef double *place
        cdef Py_buffer view
        cdef Py_ssize_t n
        self.columns = 0
        if type(values) is list or type(values) is tuple:
            place = self.room(len(values))
            for x in values:
                if PyFloat_CheckExact(x):
                    place[0] = PyFloat_AS_DOUBLE(x)
                elif type(x) is int:
                    place[0] = <double>x
                else:
                    return False
                place += 1
            self.count = place - self.data
            return True
        if not doubles_of(values, &view):
            return False
        try:
            if view.ndim != 1 and view.ndim != 2:
                return False
            if view.ndim == 2:
                self.columns = view.shape[1]
            n = view.len // <Py_ssize_t>sizeof(double)
            memcpy(self.room(n), view.buf, view.len)
            self.count += n
        finally:
            PyBuffer_Release(&view)
        return True


cdef Numbers numbers_among(object values, str what):
    """Those of a sequence, or of a batch row by row. TypeError if one is a Value or no number."""
    cdef Py_ssize_t i
    result = Numbers()
    if result.take(values):
        return result
    result.count = 0
    scalars = all_scalars(values, what)
    for i in range(scalars.runs):
        if scalars.operands[i].value != NULL:
            first = scalars.items()[i]
            raise TypeError(f"{what} are plain numbers, got {first!r}")
        result.add(scalars.operands[i].number)
    return result


cdef Arguments arguments_of(object values, str what):
    """values as Arguments. TypeError if they are no sequence, or one of them no number."""
    arguments = Arguments()
    arguments.extend(values, what)
    return arguments


cdef Arguments all_scalars(object values, str what):
    """Values and numbers of a sequence, or of a batch row by row; a single one counts as one."""
    arguments = Arguments()
    if arguments.take(values):
        return arguments
    rows = list(values) if not is_value(values) and is_sequence(values) else [values]
    if any([is_sequence(row) for row in rows]):
        for row in rows:
            arguments.extend(row, what)
    else:
        arguments.extend(rows, what)
    return arguments


# Room to compute in. It grows before a node is made: so a walk over nodes, which begins with
# reserve(needed), never has to ask for it. It goes back when the last large node dies.
cdef double *scratch = NULL
cdef Py_ssize_t scratch_room = 0
cdef Py_ssize_t needed = 0      # the most that any living node asked for, or more
cdef Py_ssize_t large_nodes = 0

cdef enum:
    ROOM = 1 << 20      # numbers: who asks for more is large


cdef int reserve(Py_ssize_t numbers) except -1:
    global scratch, scratch_room, needed
    cdef void *more
    cdef Py_ssize_t room = numbers if SANITIZED else 2 * numbers
    if numbers > scratch_room:
        more = realloc(scratch, room * sizeof(double))
        if more == NULL:
            raise MemoryError("no memory for another node")
        scratch = <double *>more
        scratch_room = room
    if numbers > needed:
        needed = numbers
    return 0


cdef inline void count_large(Fused *f, Py_ssize_t asked) noexcept:
    global large_nodes
    if unlikely(asked > ROOM):
        f.large = True
        large_nodes += 1


cdef void one_large_less() noexcept:
    global scratch, scratch_room, needed, large_nodes
    large_nodes -= 1
    if large_nodes == 0:
        needed = ROOM
        free(scratch)
        scratch = NULL
        scratch_room = 0


# Other threads run while a long product is computed. What they could disturb is taken out of their
# way: the room to compute in here, the marks of a walk over a graph in begin_walk. The operands are
# held by the node, and numbers that somebody sets meanwhile are taken as they come.

# Signals are looked for, so that Ctrl-C need not wait: in a walk over nodes between two of them, in a
# product between two pieces. Their handlers are Python code, and so are other threads.

cdef enum:
    LONG = 1 << 20      # multiplications, of which a core does some thousand million in a second
    PIECE = 1 << 26     # of them between two looks for signals
    STRIDE = 1 << 12    # nodes of a walk between two looks
    SOME = 1 << 17      # turns of another loop
    LARGE = 1 << 12     # scalars of a node after which there is one at once


cdef int answer_signals() except -1:
    """What is in the room to compute in stays there."""
    global scratch, scratch_room
    cdef double *mine = scratch
    cdef Py_ssize_t room = scratch_room
    scratch = NULL
    scratch_room = 0
    try:
        PyErr_CheckSignals()
    finally:
        free(scratch)  # a handler's
        scratch = mine
        scratch_room = room
    return 0


cdef inline int now_and_then(Py_ssize_t i) except -1:
    """In a loop over i."""
    if unlikely(i & (SOME - 1) == SOME - 1):
        answer_signals()
    return 0


cdef int product(
    double *out, Py_ssize_t out_row, double *start, Py_ssize_t start_row, double *s,
    Py_ssize_t s_row, Py_ssize_t s_step, double *m, Py_ssize_t m_row, Py_ssize_t rows,
    Py_ssize_t terms, Py_ssize_t columns
) except -1:
    """multiply_add."""
    global scratch, scratch_room
    cdef double *mine = scratch
    cdef Py_ssize_t room = scratch_room
    if rows * terms * columns < LONG:
        multiply_add(
            out, out_row, start, start_row, s, s_row, s_step, m, m_row, rows, terms, columns
        )
        return 0
    scratch = NULL
    scratch_room = 0
    try:
        product_in_pieces(
            out, out_row, start, start_row, s, s_row, s_step, m, m_row, rows, terms, columns
        )
    finally:
        free(scratch)  # another thread's, which is done with it: only in here it would not be
        scratch = mine
        scratch_room = room
    return 0


cdef int product_in_pieces(
    double *out, Py_ssize_t out_row, double *start, Py_ssize_t start_row, double *s,
    Py_ssize_t s_row, Py_ssize_t s_step, double *m, Py_ssize_t m_row, Py_ssize_t rows,
    Py_ssize_t terms, Py_ssize_t columns
) except -1:
    """Each sum goes on where the piece before left it, so its order stays what it is."""
    cdef Py_ssize_t some_rows = min(rows, 4096), some_terms = min(terms, 512), i, j, k
    cdef Py_ssize_t some_columns = min(columns, max(PIECE // (some_rows * some_terms) & ~15, 16))
    some_terms = min(terms, max(PIECE // (some_rows * some_columns) & ~127, some_terms))
    some_rows = min(rows, max(PIECE // (some_terms * some_columns) & ~7, some_rows))
    for i in range(0, rows, some_rows):
        for k in range(0, terms, some_terms):
            for j in range(0, columns, some_columns):
                with nogil:
                    multiply_add(
                        out + i * out_row + j,
                        out_row,
                        (out + i * out_row if k else start + i * start_row) + j,
                        out_row if k else start_row,
                        s + i * s_row + k * s_step,
                        s_row,
                        s_step,
                        m + k * m_row + j,
                        m_row,
                        min(some_rows, rows - i),
                        min(some_terms, terms - k),
                        min(some_columns, columns - j),
                    )
                PyErr_CheckSignals()
    return 0


cdef inline int after_work(Py_ssize_t *done, Py_ssize_t more) except -1:
    """In a loop whose turns take more or less work, in multiplications."""
    done[0] += more
    if unlikely(done[0] >= LONG):
        done[0] = 0
        answer_signals()
    return 0


cdef Value fused_node(
    Code code, Arguments arguments, Py_ssize_t n, Py_ssize_t m, Numbers constants,
    Py_ssize_t outputs, Py_ssize_t sums, object owner,
):
    """A node with these operands, which it takes over; its data are not yet computed."""
    cdef Py_ssize_t extra = 0 if constants is None else constants.count
    cdef Py_ssize_t asked = 3 * arguments.count + 4 * outputs + 4 * (n + m) + 16
    reserve(asked)
    cdef Cell *c = node_cell()
    c.code = UNSET
    c.label = NULL
    c.data.number = 0.0
    c.grad.number = 0.0
    c.left = NULL
    value = <Value>new_reference(c)  # from here on freed like any other Value
    cdef Fused *f = new_fused(0, extra, outputs, sums)
    count_large(f, asked)
    f.n = n
    f.m = m
    f.count = arguments.runs
    f.size = arguments.count
    f.operands = arguments.operands
    arguments.operands = NULL
    arguments.count = arguments.runs = arguments.capacity = 0
    if extra:
        memcpy(f.constants, constants.data, extra * sizeof(double))
    if owner is not None:
        f.owner = <PyObject *>owner
        hold(f.owner)
    c.right.fused = f
    c.code = code
    return value


cdef Value record_fused(
    Code code, Arguments arguments, Py_ssize_t n=0, Py_ssize_t m=0, Numbers constants=None
):
    """One output from many operands."""
    node = fused_node(code, arguments, n, m, constants, 0, 0, None)
    cdef Cell *c = cell_of(node)
    compute(c)
    if unlikely(no_grad_blocks) and not recording():
        return leaf(c.data.number)
    return node


cdef Value anchor_of(
    Code code, Arguments arguments, Py_ssize_t outputs, Py_ssize_t n, Py_ssize_t m,
    Numbers constants, Py_ssize_t sums, object owner, int operation,
):
    """The node on which the elements of a block hang."""
    node = fused_node(code, arguments, n, m, constants, outputs, sums, owner)
    cdef Cell *anchor = cell_of(node)
    cdef Fused *f = anchor.right.fused
    f.operation = operation
    compute(anchor)
    if unlikely(no_grad_blocks) and not recording():
        return leaves_of(f)
    return node


cdef Value leaves_of(Fused *f):
    """What stands for an anchor where no graph is recorded: its elements without a history."""
    leaves = leaf_block(f.outputs)
    memcpy(cell_of(leaves).right.fused.data, f.data, f.outputs * sizeof(double))
    return leaves


cdef Vector record_block(
    Code code, Arguments arguments, Py_ssize_t outputs, Py_ssize_t n=0, Py_ssize_t m=0,
    Numbers constants=None, int operation=0, Py_ssize_t width=0,
):
    """Many elements from many operands, in rows where width is not 0."""
    anchor = anchor_of(code, arguments, outputs, n, m, constants, 0, None, operation)
    return block_vector(cell_of(anchor), 0, outputs, width)


cdef inline double total(double *xs, Py_ssize_t count) noexcept nogil:
    cdef double result = 0.0
    cdef Py_ssize_t i
    for i in range(count):
        result += xs[i]
    return result


cdef double largest(double *xs, Py_ssize_t count) noexcept nogil:
    cdef double result = -INFINITY
    cdef Py_ssize_t i
    for i in range(count):
        if xs[i] != xs[i]:
            return xs[i]
        if xs[i] > result:
            result = xs[i]
    return result


cdef double exps_of(double *xs, double m, double *ys, Py_ssize_t count) noexcept nogil:
    """e to the power of each x - m, and their sum. xs and ys may be the same."""
    cdef double s = 0.0
    cdef Py_ssize_t i
    for i in range(count):
        ys[i] = exp(xs[i] - m)
        s += ys[i]
    return s


cdef double log_of_sum(double *xs, Py_ssize_t count) noexcept nogil:
    """log Σ exp(x), stable."""
    cdef double m = largest(xs, count), s = 0.0, rest = 0.0, e
    cdef Py_ssize_t i
    if m - m != 0.0 and m == m:
        return m
    for i in range(count):
        e = exp(xs[i] - m)
        s += e
        rest += 0.0 if e == 1.0 else e
    return m + (log1p(rest) if s < 2.0 else log(s))


cdef double log_of_total(double s, double *exps, Py_ssize_t count) noexcept nogil:
    """log s, the sum of exps, the largest of which is 1.0. The digits of a small rest are kept."""
    cdef double rest = 0.0
    cdef Py_ssize_t i
    if not s < 2.0:
        return log(s)
    for i in range(count):
        rest += 0.0 if exps[i] == 1.0 else exps[i]
    return log1p(rest)


cdef inline void divide_by(double s, double *xs, double *ys, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        ys[i] = xs[i] / s


cdef void softmax(double *xs, double *ys, Py_ssize_t count) noexcept nogil:
    """May compute in place: xs and ys may be the same."""
    divide_by(exps_of(xs, largest(xs, count), ys, count), ys, ys, count)


cdef inline double norm_factor(double *xs, Py_ssize_t count, double eps) noexcept nogil:
    cdef double s = 0.0
    cdef Py_ssize_t i
    for i in range(count):
        s += xs[i] * xs[i]
    return sqrt(s / count + eps)


cdef int compute(Cell *c) except -1:
    """The data of a node with many operands, or of the outputs of an anchor."""
    cdef Fused *f = c.right.fused
    cdef Py_ssize_t i, n, count = f.size
    cdef double y, m, s
    cdef double *xs = scratch
    cdef double *row
    cdef double *saved
    cdef double *exps
    cdef int code = c.code
    if code >= SOFTMAX:
        f.computed = f.data
        if code != PERCEPTRONS:
            return compute_block(c, NULL)
        return (<Perceptrons>f.owner).compute(xs, f)
    gather(f, xs)
    if code == DOT:
        n = f.n
        y = xs[2 * n]
        for i in range(n):
            y += xs[i] * xs[n + i]
        c.data.number = y
        return 0
    if code == SUM:
        y = total(xs, count)
    elif code == MEAN:
        y = total(xs, count) / count
    elif code == MAX:
        y = largest(xs, count)
    elif code == MIN:
        for i in range(count):
            xs[i] = -xs[i]
        y = -largest(xs, count)
    elif code == LOGSUMEXP:
        y = log_of_sum(xs, count)
    elif code == MSE_LOSS:
        n = count // 2
        y = 0.0
        for i in range(n):
            y += (xs[i] - xs[n + i]) * (xs[i] - xs[n + i])
        y /= n
    elif code == HINGE_LOSS:
        y = 0.0
        for i in range(count):
            m = 1.0 - f.constants[i] * xs[i]
            y += 0.0 if m <= 0.0 else m
        y /= count
    elif code == BINARY_CROSS_ENTROPY:
        y = 0.0
        for i in range(count):
            y += (
                (1.0 - f.constants[i]) * xs[i] + (0.0 if xs[i] >= 0.0 else -xs[i])
            ) + log1p(exp(-fabs(xs[i])))
        y /= count
    else:  # CROSS_ENTROPY: f.n samples of f.m logits; the constants are their
        # classes, then what is saved for backward: all exponentials, and what they were taken of.
        y = 0.0
        saved = f.constants + f.n
        memcpy(saved + count, xs, count * sizeof(double))
        for i in range(f.n):
            row = xs + i * f.m
            m = largest(row, f.m)
            exps = saved + i * f.m
            s = log_of_total(exps_of(row, m, exps, f.m), exps, f.m)
            y += s - (row[<Py_ssize_t>f.constants[i]] - m)
        y /= f.n
    c.data.number = y
    return 0


cdef int spread(Cell *c) except -1:
    """Give the gradient of such a node to its operands, from the last to the first."""
    cdef Fused *f = c.right.fused
    cdef Operand *o = f.operands
    cdef Py_ssize_t i, j, n
    cdef double above = c.grad.number
    cdef double *xs = scratch
    cdef Cursor weight, x
    cdef int code = c.code
    if code == CUSTOM_ANCHOR:
        above = f.output.grad.number
        j = 0
        for i in range(f.count):  # from first to last, like any operation of two operands
            for n in range(o[i].count):
                give_to(&o[i], n, f.constants[j] * above)
                j += 1
    elif code == PERCEPTRONS:
        (<Perceptrons>f.owner).spread(xs, f)
        keep_unreached(f)
    elif code >= SOFTMAX:
        spread_block(c)
    elif code == DOT:
        gather(f, xs)
        n = f.n
        weight = cursor_at(f, n - 1 if n else 0)
        x = cursor_at(f, 2 * n - 1 if n else 0)
        for i in range(n - 1, -1, -1):
            give_at(&weight, f, xs[n + i] * above)
            give_at(&x, f, xs[i] * above)
        x = cursor_at(f, 2 * n)
        give_at(&x, f, above)
    else:
        gather(f, xs)
        contributions(c, above, xs)
        give_all(o, f.count, xs + f.size)
    if f.size + f.outputs > LARGE:
        answer_signals()
    return 0


cdef void contributions(Cell *c, double above, double *xs) noexcept:
    """What a node of one output gives to its operands, in place of their data."""
    cdef Fused *f = c.right.fused
    cdef Py_ssize_t i, j, n, count = f.size
    cdef double y = c.data.number, local
    cdef double *row
    cdef double *saved
    cdef double *exps
    cdef bint again
    cdef int code = c.code
    if code == SUM:
        for i in range(count):
            xs[i] = above
    elif code == MEAN:
        local = 1.0 / count
        for i in range(count):
            xs[i] = local * above
    elif code == MAX or code == MIN:
        n = 0
        for i in range(count):
            n += xs[i] == y
        local = 1.0 / (n if n > 1 else 1)
        for i in range(count):
            xs[i] = (y if y != y else local if xs[i] == y else 0.0) * above
    elif code == LOGSUMEXP:
        for i in range(count):
            xs[i] = exp(xs[i] - y) * above
    elif code == MSE_LOSS:
        n = count // 2
        for i in range(n):
            local = 2.0 * (xs[i] - xs[n + i]) / n
            xs[i] = local * above
            xs[n + i] = -local * above
    elif code == HINGE_LOSS:
        for i in range(count):
            local = 0.0 if 1.0 - f.constants[i] * xs[i] <= 0.0 else -f.constants[i] / count
            xs[i] = local * above
    elif code == BINARY_CROSS_ENTROPY:
        for i in range(count):
            xs[i] = (sigmoid(xs[i]) - f.constants[i]) / count * above
    else:  # CROSS_ENTROPY
        saved = f.constants + f.n
        again = memcmp(saved + count, xs, count * sizeof(double)) != 0  # data were set since
        for i in range(f.n):
            row = xs + i * f.m
            if again:
                softmax(row, row, f.m)
            else:
                exps = saved + i * f.m
                divide_by(total(exps, f.m), exps, row, f.m)
            row[<Py_ssize_t>f.constants[i]] -= 1.0
            for j in range(f.m):
                row[j] = row[j] / f.n * above


cdef void softmax_contributions(
    double *ys, double *gs, double *xs, Py_ssize_t count
) noexcept nogil:
    cdef double s = 0.0
    cdef Py_ssize_t i
    for i in range(count):
        s += gs[i] * ys[i]
    for i in range(count):
        xs[i] = ys[i] * (gs[i] - s)


# ---------------------------------------------------------------------------------------------
# Backward
# ---------------------------------------------------------------------------------------------


cdef inline double *receiver(Cell *c) noexcept nogil:
    """The gradient that is about to be given to. That of a node begins at zero."""
    if c.code >= FIRST_NODE:
        if mark(c):
            c.grad.number = 0.0
    elif c.code == VIEW:
        return c.grad.place
    elif c.code == ELEMENT:
        return receivers(c.left, c.index, 1)
    elif c.code == CUSTOM:
        if mark(c.left):
            c.grad.number = 0.0
    return &c.grad.number


cdef inline void give(Cell *c, double contribution) noexcept:
    """Add to a gradient."""
    receiver(c)[0] += contribution


# Called by its address, so that the compiler keeps it out of the loop over single operations, which
# needs the registers.
cdef int (*spread_apart)(Cell *) except -1
spread_apart = spread


cdef inline int step(Cell *c) except -1:
    """Give a node's gradient to its operands."""
    cdef int code = c.code
    cdef double above = c.grad.number
    cdef double a, b, y
    if code < FIRST_BINARY:
        give(c.left, slope(code, data_of(c.left), c.data.number, c.right.constant) * above)
    elif code == ADD:
        give(c.left, above)
        give(c.right.value, above)
    elif code == MULTIPLY:
        a = data_of(c.left)
        b = data_of(c.right.value)
        give(c.left, b * above)
        give(c.right.value, a * above)
    elif code == SUBTRACT:
        give(c.left, above)
        give(c.right.value, -1.0 * above)
    elif code >= FIRST_FUSED:
        spread_apart(c)
    else:
        a = data_of(c.left)
        b = data_of(c.right.value)
        y = c.data.number
        give(c.left, slope_left(code, a, b, y) * above)
        give(c.right.value, slope_right(code, a, b, y) * above)
    return 0


cdef uint64_t backwards = 0     # how many have run

# Held by the thread that walks over a graph: marks belong to one walk. The only Python code that runs
# during one is that of signal handlers and, in a long product, of other threads: they may get here.
cdef PyThread_type_lock walking = PyThread_allocate_lock()
cdef unsigned long walker = 0   # the thread that holds it
if walking == NULL:
    raise MemoryError("no memory for a lock")


cdef inline int begin_walk() except -1:
    global walker
    cdef unsigned long me = <unsigned long>PyThread_get_thread_ident()
    if not PyThread_acquire_lock(walking, NOWAIT_LOCK):
        if walker == me:
            raise RuntimeError(
                "a signal handler cannot run backward or record a Tape while the backward that it "
                "interrupted is under way: let it note what is to be done, and do that afterwards"
            )
        with nogil:
            PyThread_acquire_lock(walking, WAIT_LOCK)
    walker = me
    if unlikely(needed > scratch_room):
        try:
            reserve(needed)
        except MemoryError:
            end_walk()
            raise
    catch_up_all()
    return 0


cdef inline void end_walk() noexcept:
    global walker
    walker = 0
    PyThread_release_lock(walking)


def _after_fork():
    """In the child only the thread that forked goes on, so a walk of another one has no end."""
    global walking
    regions_after_fork()
    if walker == <unsigned long>PyThread_get_thread_ident():
        return  # it forked in a signal handler, and walks on
    if not PyThread_acquire_lock(walking, NOWAIT_LOCK):
        walking = PyThread_allocate_lock()
        PyThread_acquire_lock(walking, WAIT_LOCK)
        while newest_marked() != NULL:
            pass
    end_walk()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


cdef int run_backward() except -1:
    """From the marked nodes down, and the end of the walk."""
    global backwards
    backwards += 1
    cdef Cell *c = newest_marked()
    cdef int i
    try:
        while c != NULL:
            for i in range(STRIDE):
                step(c)
                look_ahead(c)
                c = take_mark_after(c, REACHED)
                if c == NULL:
                    break
            else:
                answer_signals()
                catch_up_all()  # a handler may have run a Tape
    finally:
        while c != NULL:  # Ctrl-C: what was reached and has not given yet
            if c.code >= FIRST_ANCHOR:
                keep_unreached(c.right.fused)
            c = take_mark(REACHED)
        end_walk()
    return 0


# ---------------------------------------------------------------------------------------------
# Value
# ---------------------------------------------------------------------------------------------


cdef class Value:
    """Value(data, operands=(), op="", label="", local_grads=None)\n--\n
    A number that remembers which operation made it, from which operands.

    data: int, float, NumPy scalar or anything else with __float__ or __index__ (else TypeError).
    operands, op, local_grads: for a custom operation, the Values that it was computed from, its
        name, and the derivative with respect to each. They come together (else ValueError).
    label: a name to show in drawings.
    """

    # NumPy arrays on the left of an operator step back and let the reflected method answer.
    __array_ufunc__ = None

    def __init__(self, data, operands=(), op="", label="", local_grads=None):
        cdef Cell *c = cell_of(self)
        cdef double number = as_float(data)
        check_label(label)
        operands = all_of(operands, "operands")
        anchor = None
        if operands or local_grads is not None or op:
            anchor = custom_anchor(operands, op, local_grads)
        if c.code != UNSET and (anchor is not None or c.code > LEAF or name_of(c)):
            # Anything may have been computed from it already: the graph could become a circle.
            raise TypeError("this Value was made already: make a new one for another operation")
        if c.code == UNSET:
            c.code = LEAF
        set_data(c, number)
        set_grad(c, 0.0)
        set_label(c, label)
        if anchor is not None and recording() and c.code == LEAF:
            c.left = cell_of(anchor)
            hold(c.left)
            c.left.right.fused.output = c
            c.code = CUSTOM

    # What a user sees ------------------------------------------------------------------------

    @property
    def data(self):
        """The number itself."""
        cdef Cell *c = cell_of(self)
        initialised(c)
        return data_of(c)

    @data.setter
    def data(self, number):
        cdef double x = as_float(number)
        initialised(cell_of(self))
        catch_up_to_set(cell_of(self))
        set_data(cell_of(self), x)

    @property
    def grad(self):
        """The gradient: the derivative of what backward was called on with respect to this."""
        cdef Cell *c = cell_of(self)
        initialised(c)
        return grad_of(c)

    @grad.setter
    def grad(self, number):
        cdef double x = as_float(number)
        initialised(cell_of(self))
        catch_up_to_set(cell_of(self))
        set_grad(cell_of(self), x)

    @property
    def label(self):
        """A name to show in drawings. TypeError if set to anything but a str."""
        cdef Cell *c = cell_of(self)
        return "" if c.label == NULL else <str>c.label

    @label.setter
    def label(self, text):
        check_label(text)
        set_label(cell_of(self), text)

    @property
    def op(self):
        """The name of the operation that made this Value, "" on a leaf."""
        return name_of(cell_of(self))

    @property
    def operands(self):
        """The Values that this one was computed from, () on a leaf."""
        return operands_of(cell_of(self))

    @property
    def _op(self):
        """The same as op, for scripts written for micrograd."""
        return name_of(cell_of(self))

    @property
    def _prev(self):
        """The same as operands, for scripts written for micrograd."""
        return operands_of(cell_of(self))

    def __repr__(self):
        return f"Value({self.data!r}, grad={self.grad!r})"

    def __format__(self, spec):
        return (<object>self.data).__format__(spec) if spec else repr(self)

    def __float__(self):
        return value_of(cell_of(self))

    def __bool__(self):
        return value_of(cell_of(self)) != 0.0

    def __hash__(self):
        return <Py_hash_t>(<size_t><PyObject *>self // CELL)  # neighbours differ in the low bits

    # Arithmetic ------------------------------------------------------------------------------

    def __add__(self, other):
        return operate(ADD, ADD_NUMBER, self, other)

    def __radd__(self, other):
        if type(other) is int and other == 0:  # the built-in sum begins with 0 + first
            return self
        return reflect(ADD_NUMBER, self, other)

    def __sub__(self, other):
        return operate(SUBTRACT, SUBTRACT_NUMBER, self, other)

    def __rsub__(self, other):
        return reflect(NUMBER_SUBTRACT, self, other)

    def __mul__(self, other):
        return operate(MULTIPLY, MULTIPLY_NUMBER, self, other)

    def __rmul__(self, other):
        return reflect(MULTIPLY_NUMBER, self, other)

    def __truediv__(self, other):
        return operate(DIVIDE, DIVIDE_NUMBER, self, other)

    def __rtruediv__(self, other):
        return reflect(NUMBER_DIVIDE, self, other)

    def __pow__(self, other, modulus):
        if modulus is not None:
            return NotImplemented
        return operate(POWER, POWER_NUMBER, self, other)

    def __rpow__(self, other, modulus):
        if modulus is not None:
            return NotImplemented
        return reflect(NUMBER_POWER, self, other)

    def __neg__(self):
        return apply1(NEG, cell_of(self), 0.0)

    def __pos__(self):
        return self

    def __abs__(self):
        return apply1(ABS, cell_of(self), 0.0)

    def maximum(self, other) -> Value:
        """The larger of two; a tie shares the gradient. TypeError if other is no number."""
        if is_value(other):
            return apply2(MAXIMUM, cell_of(self), cell_of(other))
        return apply1(MAXIMUM_NUMBER, cell_of(self), as_float(other))

    def minimum(self, other) -> Value:
        """The smaller of two; a tie shares the gradient. TypeError if other is no number."""
        if is_value(other):
            return apply2(MINIMUM, cell_of(self), cell_of(other))
        return apply1(MINIMUM_NUMBER, cell_of(self), as_float(other))

    # Comparison: of data. == stays that of object, which means identity ------------------------

    def __lt__(self, other):
        return value_of(cell_of(self)) < as_float(other) if is_number(other) else NotImplemented

    def __le__(self, other):
        return value_of(cell_of(self)) <= as_float(other) if is_number(other) else NotImplemented

    def __gt__(self, other):
        return value_of(cell_of(self)) > as_float(other) if is_number(other) else NotImplemented

    def __ge__(self, other):
        return value_of(cell_of(self)) >= as_float(other) if is_number(other) else NotImplemented

    # Functions -------------------------------------------------------------------------------

    def exp(self) -> Value:
        """e to the power of self. OverflowError above 709.78."""
        return apply1(EXP, cell_of(self), 0.0)

    def expm1(self) -> Value:
        """exp(self) - 1, exact near 0. OverflowError above 709.78."""
        return apply1(EXPM1, cell_of(self), 0.0)

    def log(self) -> Value:
        """The natural logarithm. ValueError at 0 and below."""
        return apply1(LOG, cell_of(self), 0.0)

    def log1p(self) -> Value:
        """log(1 + self), exact near 0. ValueError at -1 and below."""
        return apply1(LOG1P, cell_of(self), 0.0)

    def sqrt(self) -> Value:
        """The square root. ValueError below 0."""
        return apply1(SQRT, cell_of(self), 0.0)

    def sin(self) -> Value:
        """The sine of an angle in radians. ValueError at infinity."""
        return apply1(SIN, cell_of(self), 0.0)

    def cos(self) -> Value:
        """The cosine of an angle in radians. ValueError at infinity."""
        return apply1(COS, cell_of(self), 0.0)

    def tan(self) -> Value:
        """The tangent of an angle in radians. ValueError at infinity."""
        return apply1(TAN, cell_of(self), 0.0)

    def asin(self) -> Value:
        """The angle in radians whose sine this is. ValueError outside [-1, 1]."""
        return apply1(ASIN, cell_of(self), 0.0)

    def acos(self) -> Value:
        """The angle in radians whose cosine this is. ValueError outside [-1, 1]."""
        return apply1(ACOS, cell_of(self), 0.0)

    def atan(self) -> Value:
        """The angle in radians whose tangent this is."""
        return apply1(ATAN, cell_of(self), 0.0)

    def sinh(self) -> Value:
        """The hyperbolic sine. OverflowError beyond ±710.47."""
        return apply1(SINH, cell_of(self), 0.0)

    def cosh(self) -> Value:
        """The hyperbolic cosine. OverflowError beyond ±710.47."""
        return apply1(COSH, cell_of(self), 0.0)

    def tanh(self) -> Value:
        """The hyperbolic tangent, between -1 and 1."""
        return apply1(TANH, cell_of(self), 0.0)

    def asinh(self) -> Value:
        """The inverse of sinh."""
        return apply1(ASINH, cell_of(self), 0.0)

    def acosh(self) -> Value:
        """The inverse of cosh. ValueError below 1."""
        return apply1(ACOSH, cell_of(self), 0.0)

    def atanh(self) -> Value:
        """The inverse of tanh. ValueError outside (-1, 1)."""
        return apply1(ATANH, cell_of(self), 0.0)

    def erf(self) -> Value:
        """The error function, 2/√π times the integral of exp(-t²) from 0 to self."""
        return apply1(ERF, cell_of(self), 0.0)

    def sigmoid(self) -> Value:
        """1 / (1 + exp(-self)), between 0 and 1."""
        return apply1(SIGMOID, cell_of(self), 0.0)

    def relu(self) -> Value:
        """self where positive, else 0."""
        return apply1(RELU, cell_of(self), 0.0)

    def leaky_relu(self, negative_slope=0.01) -> Value:
        """self where positive, else negative_slope times self."""
        return apply1(LEAKY_RELU, cell_of(self), as_float(negative_slope))

    def softplus(self) -> Value:
        """log(1 + exp(self)), a smooth relu."""
        return apply1(SOFTPLUS, cell_of(self), 0.0)

    def gelu(self) -> Value:
        """self times the normal distribution function (Hendrycks and Gimpel 2016, exact form)."""
        return apply1(GELU, cell_of(self), 0.0)

    def silu(self) -> Value:
        """self times sigmoid(self), also called swish."""
        return apply1(SILU, cell_of(self), 0.0)

    # Gradients -------------------------------------------------------------------------------

    def backward(self, grad=1.0) -> None:
        """Add to the grad of every leaf below: grad times d self / d leaf.

        The gradients of leaves accumulate over calls; those of all other nodes start from zero.
        """
        cdef double above = as_float(grad)
        initialised(cell_of(self))
        begin_walk()
        give(cell_of(self), above)
        run_backward()

    def zero_grad(self) -> None:
        """Set grad to 0.0 on this Value."""
        clear_grad(self)

    def detach(self) -> Value:
        """A leaf with the same data and no history."""
        return leaf(value_of(cell_of(self)))

    def __copy__(self):
        return restore(type(self), self.data, self.grad, self.label)

    def __deepcopy__(self, memo):
        return restore(type(self), self.data, self.grad, self.label)

    def __reduce__(self):
        return restore, (type(self), self.data, self.grad, self.label)

    def _composition(self):
        """Of a fused dot product: weights, inputs, bias, activation, gradient at the sum."""
        cdef Cell *c = cell_of(self)
        cdef Fused *f
        cdef Py_ssize_t i, sample
        if c.code == DOT:
            f = c.right.fused
            weights = items(f, 0, f.n)
            inputs = items(f, f.n, 2 * f.n)
            (bias,) = items(f, 2 * f.n, 2 * f.n + 1)
            return weights, inputs, bias, "", c.grad.number
        if c.code != ELEMENT:
            return None
        f = c.left.right.fused
        i = c.index
        if c.left.code == LINEAR:
            weights, inputs, *bias = parts_of(c.left, i)
            return weights, inputs, bias[0][0] if bias else 0.0, "", f.grad[i]
        if c.left.code == PERCEPTRONS:
            neurons = <Perceptrons>f.owner
            above = neurons.gradient_at_sum(f, i, f.grad[i])
            sample = i // neurons.n_out
            i -= sample * neurons.n_out
            inputs = items(f, sample * f.n, (sample + 1) * f.n)
            return neurons.rows[i], inputs, neurons.biases[i], neurons.activation_name(), above
        return None


    def _moment(self):
        """When the operation that made this was recorded, as what compares; () on a leaf."""
        return moment_of(cell_of(self))

    def _local_gradients(self):
        """The derivative with respect to each of the operands, at the data that they hold now."""
        catch_up_all()
        return local_gradients_of(cell_of(self))

    def _recomputed(self, dict memo):
        """What data would be, computed anew from what the operands hold now.

        memo: a dict for many calls, as the outputs of one block are computed together.
        """
        cdef Cell *c = cell_of(self)
        cdef double before, number
        initialised(c)
        catch_up_all()
        if c.code < FIRST_NODE:
            if c.code != ELEMENT or c.left.code == BLOCK:
                return data_of(c)
            numbers = memo.get(<size_t>c.left)
            if type(numbers) is not list or len(numbers) != c.left.right.fused.outputs:
                numbers = memo[<size_t>c.left] = outputs_computed_anew(c.left)
            return numbers[c.index]
        before = c.data.number
        reserve(needed)
        try:
            recompute(c, False)
            number = c.data.number
        finally:
            c.data.number = before
        return number


cdef list outputs_computed_anew(Cell *anchor):
    """What the operands of a block give now; the block keeps its numbers."""
    cdef Fused *f = anchor.right.fused
    cdef double *data = f.data
    cdef double *computed = f.computed
    cdef double *sums = f.sums
    cdef Py_ssize_t i
    cdef double *room
    numbers = Numbers()
    room = numbers.room(2 * f.outputs)
    reserve(needed)
    try:
        f.data = room
        f.sums = room + f.outputs
        compute(anchor)
        return [f.data[i] for i in range(f.outputs)]
    finally:
        f.data = data
        f.computed = computed
        f.sums = sums


cdef tuple all_of(object values, str what):
    """values as a tuple, or a TypeError that says what they were given for."""
    if type(values) is tuple:
        return values
    if not isinstance(values, Iterable):
        raise TypeError(f"{what} must be a sequence, got {describe(values)}")
    return tuple(values)


cdef int check_label(object text) except -1:
    if not isinstance(text, str):
        raise TypeError(f"label must be a str, got {reprlib.repr(text)}")
    return 0


cdef void set_label(Cell *c, object text) noexcept:
    cdef PyObject *before = c.label
    c.label = NULL
    if PyUnicode_GET_LENGTH(text):
        c.label = <PyObject *>text
        hold(c.label)
    if before != NULL:
        let_go(before)


cdef Value custom_anchor(tuple operands, object op, object local_grads):
    """The node that holds the operands and local gradients of a custom operation."""
    constants = Numbers()
    if local_grads is not None:
        for local in all_of(local_grads, "local_grads"):
            constants.add(as_float(local))
    arguments = Arguments()
    for operand in operands:
        if not is_value(operand):
            raise TypeError(f"an operand must be a Value, got {reprlib.repr(operand)}")
        arguments.add(operand)
    if not isinstance(op, str):
        raise TypeError(f"op must be a str, got {reprlib.repr(op)}")
    if arguments.count == 0 or arguments.count != constants.count:
        raise ValueError(
            f"a custom operation needs one local gradient for each operand, "
            f"got {arguments.count} operands and {constants.count} local gradients"
        )
    return fused_node(CUSTOM_ANCHOR, arguments, 0, 0, constants, 0, 0, op)


def restore(kind, data, grad, label):
    """A copy without history; what pickle calls."""
    value = kind(data, label=label)
    value.grad = grad
    return value


# What Python calls for an operator, without the detour by methods, for the operands that it mostly
# meets. All others go the way of the methods.

# Not inline: the operations of two Values that have their numbers at hand stay shorter and quicker.
cdef object at_once(
    int code, int with_number, int number_with, binaryfunc otherwise, object a, object b
):
    cdef double number
    if is_value_exactly(<void *>a, value_type):
        if is_value_exactly(<void *>b, value_type):
            return apply2(code, cell_of(a), cell_of(b))
        if PyFloat_CheckExact(b):
            return apply1(with_number, cell_of(a), PyFloat_AS_DOUBLE(b))
        if type(b) is int:
            return apply1(with_number, cell_of(a), PyLong_AsDouble(b))
    elif is_value_exactly(<void *>b, value_type):
        if PyFloat_CheckExact(a):
            return apply1(number_with, cell_of(b), PyFloat_AS_DOUBLE(a))
        if type(a) is int:
            number = PyLong_AsDouble(a)
            if code == ADD and number == 0.0:
                return b  # what the built-in sum begins with is not added
            return apply1(number_with, cell_of(b), number)
    return otherwise(a, b)


cdef inline bint at_hand(object v) noexcept:
    """Whether v is a Value whose number is in its cell."""
    return (
        is_value_exactly(<void *>v, value_type) and cell_of(v).code >= LEAF and ahead == NULL
    )


cdef binaryfunc add_methods, subtract_methods, multiply_methods, divide_methods


cdef object add(object a, object b):
    cdef Cell *x = cell_of(a)
    cdef Cell *y = cell_of(b)
    if at_hand(a) and at_hand(b):
        return record2(ADD, x.data.number + y.data.number, x, y)
    return at_once(ADD, ADD_NUMBER, ADD_NUMBER, add_methods, a, b)


cdef object subtract(object a, object b):
    cdef Cell *x = cell_of(a)
    cdef Cell *y = cell_of(b)
    if at_hand(a) and at_hand(b):
        return record2(SUBTRACT, x.data.number - y.data.number, x, y)
    return at_once(SUBTRACT, SUBTRACT_NUMBER, NUMBER_SUBTRACT, subtract_methods, a, b)


cdef object multiply(object a, object b):
    cdef Cell *x = cell_of(a)
    cdef Cell *y = cell_of(b)
    if at_hand(a) and at_hand(b):
        return record2(MULTIPLY, x.data.number * y.data.number, x, y)
    return at_once(MULTIPLY, MULTIPLY_NUMBER, MULTIPLY_NUMBER, multiply_methods, a, b)


cdef object divide(object a, object b):
    return at_once(DIVIDE, DIVIDE_NUMBER, NUMBER_DIVIDE, divide_methods, a, b)


cdef PyObject *value_call(
    PyObject *kind, PyObject *const *arguments, size_t count, PyObject *names
) except NULL:
    """Value(...): of one number without the detour by __init__. Subclasses are called otherwise."""
    if vectorcall_count(count) == 1 and names == NULL:
        value = leaf(as_float(<object>arguments[0]))
        hold(<PyObject *>value)
        return <PyObject *>value
    return make(kind, arguments, count, names)


# The slots of the type that are ours: its memory, freeing without recursion, the operators.
value_type = <TypeObject *><PyObject *>Value
value_type.tp_alloc = value_alloc
value_type.tp_dealloc = value_dealloc
value_type.tp_vectorcall = <vectorcallfunc>value_call
add_methods = value_type.tp_as_number.nb_add
subtract_methods = value_type.tp_as_number.nb_subtract
multiply_methods = value_type.tp_as_number.nb_multiply
divide_methods = value_type.tp_as_number.nb_true_divide
value_type.tp_as_number.nb_add = add
value_type.tp_as_number.nb_subtract = subtract
value_type.tp_as_number.nb_multiply = multiply
value_type.tp_as_number.nb_true_divide = divide
if sizeof(Cell) != CELL or (<PyObject *>Value == NULL) or sizeof(Slab) > HEADER:
    raise ImportError("cython_core was compiled for a machine that it is not laid out for")


# ---------------------------------------------------------------------------------------------
# Vector
# ---------------------------------------------------------------------------------------------


cdef enum:
    PLUS, MINUS, TIMES, OVER, TO_THE, MAXIMUM_OF, MINIMUM_OF

cdef enum:
    DEEPEST = 1000              # of Vectors in Vectors: they are walked through by recursion

cdef enum:
    DATA, GRAD, ABOVE           # which numbers of a Vector; ABOVE: what backward begins with


def elementwise(int code):
    """The method of Vector that applies an operation of one operand to every scalar."""

    name = UNARY_NAMES[code - FIRST_NODE]
    where = f"Vector.{name}"

    def method(self) -> Vector:
        if not isinstance(self, Vector):
            raise no_method_of(where, self)
        return each(<Vector>self, code, 0.0)

    method.__name__ = name
    method.__qualname__ = where
    method.__doc__ = f"Value.{name} of each element."
    check_calls([method])
    return method


@cython.freelist(64)
@cython.no_gc  # like a Value it holds only what is older than itself
cdef class Vector:
    """Vector(values)\n--\n
    A sequence of Values, or of Vectors of one length, with elementwise arithmetic.

    values: Values, numbers (they become leaves), or sequences of them (they become Vectors).
    TypeError for anything else, ValueError for rows of different lengths.
    """

    __array_ufunc__ = None

    def __init__(self, values):
        cdef Py_ssize_t width = 0
        numbers = Numbers()
        self.refuse_another()
        if take_rows(numbers, values, &width):
            self.refuse_another()
            anchor = leaf_block(numbers.count)
            memcpy(
                cell_of(anchor).right.fused.data, numbers.data, numbers.count * sizeof(double)
            )
            self.hold_run(cell_of(anchor), 0, numbers.count, width)
            return
        if type(values) is list and are_alike(<list>values):
            self.hold_values(tuple(<list>values))
            return
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise TypeError(f"Vector needs a sequence of Values, got {describe(values)}")
        items = tuple([as_element(v) for v in values])
        check_alike(items)
        self.refuse_another()  # what was called to make its elements may have made it
        self.hold_values(items)

    def __cinit__(self):
        self.values = ()

    cdef int refuse_another(self) except -1:
        if self.made:
            raise TypeError("this Vector was made already: make a new one of other elements")
        return 0

    def __dealloc__(self):
        self.forget()

    cdef void forget(self) noexcept:
        cdef Py_ssize_t i
        for i in range(self.run_count):
            let_go(self.runs[i].value)
        if self.runs != &self.run:
            free(self.runs)
        self.runs = NULL
        self.run_count = 0

    cdef void hold_values(self, tuple items) noexcept:
        self.forget()
        self.made = True
        self.values = items
        self.length = len(items)
        self.nested = self.length > 0 and isinstance(items[0], Vector)
        self.depth = 1 + (depth_of(items) if self.nested else 0)

    cdef void hold_run(
        self, Cell *anchor, Py_ssize_t offset, Py_ssize_t count, Py_ssize_t width
    ) noexcept:
        """Elements of a block; rows of them where width is not 0."""
        self.forget()
        self.made = True
        hold(anchor)
        self.run.value = anchor
        self.run.offset = offset
        self.run.count = count
        self.runs = &self.run
        self.run_count = 1
        self.values = None
        self.nested = width != 0
        self.depth = 2 if self.nested else 1
        self.width = width
        self.length = count // width if width else count

    cdef tuple elements(self):
        """Its Values, or Vectors."""
        cdef Py_ssize_t i
        if self.values is None:
            if self.nested:
                self.values = tuple([
                    block_vector(self.run.value, self.run.offset + i * self.width, self.width, 0)
                    for i in range(self.length)
                ])
            else:
                self.values = tuple(items_of(self.runs, NULL, 0, self.length))
        return self.values

    # A sequence ------------------------------------------------------------------------------

    def __len__(self):
        return self.length

    def __iter__(self):
        return iter(self.elements())

    def __getitem__(self, index):
        cdef Py_ssize_t i, start, stop, step
        if isinstance(index, slice):
            if self.runs != NULL:
                PySlice_Unpack(index, &start, &stop, &step)
                PySlice_AdjustIndices(self.length, &start, &stop, step)
                if step == 1 and start < stop:
                    return self.part(start, stop)
            return vector(self.elements()[index])
        if self.values is None and self.runs == &self.run and not self.nested:
            if type(index) is int:
                i = index
                if i < 0:
                    i += self.length
                if 0 <= i < self.length:
                    return element(self.run.value, self.run.offset + i)
        try:
            return self.elements()[index]
        except IndexError:
            raise IndexError(f"a Vector of {self.length} has no element {index}") from None
        except TypeError:
            raise TypeError(
                f"a Vector is indexed by integers and slices, got {describe(index)}"
            ) from None

    cdef Vector part(self, Py_ssize_t start, Py_ssize_t stop):
        """Some of its runs, or of their elements."""
        cdef Py_ssize_t count, width = self.width if self.nested else 1
        cdef Operand *run = self.runs
        cdef Arguments arguments
        if run == &self.run:
            return block_vector(
                run.value, run.offset + start * width, (stop - start) * width, self.width
            )
        arguments = Arguments()
        while stop > 0:
            if start < run.count:
                count = min(stop, run.count) - max(start, 0)
                arguments.push(run.value, 0.0, run.offset + max(start, 0), count)
            start -= run.count
            stop -= run.count
            run += 1
        return flat_vector(arguments)

    def __contains__(self, value):
        return any([value is v for v in self.elements()])

    def __repr__(self):
        if self.runs != &self.run:
            return repr(list(self.elements()))
        rows = zip(self.data, self.grad)
        if self.nested:
            return f"[{', '.join([shown(zip(*row)) for row in rows])}]"
        return shown(rows)

    def __reduce__(self):
        return Vector, (self.elements(),)

    @property
    def data(self):
        """The data of its Values, a list of floats; settable from a number or a sequence."""
        return read(self, DATA)

    @data.setter
    def data(self, numbers):
        write(self, DATA, numbers)

    @property
    def grad(self):
        """The gradients of its Values, a list of floats; settable like data."""
        return read(self, GRAD)

    @grad.setter
    def grad(self, numbers):
        write(self, GRAD, numbers)

    # Arithmetic ------------------------------------------------------------------------------

    def __add__(self, other):
        return with_other(PLUS, False, self, other)

    def __radd__(self, other):
        return with_other(PLUS, True, self, other)

    def __sub__(self, other):
        return with_other(MINUS, False, self, other)

    def __rsub__(self, other):
        return with_other(MINUS, True, self, other)

    def __mul__(self, other):
        return with_other(TIMES, False, self, other)

    def __rmul__(self, other):
        return with_other(TIMES, True, self, other)

    def __truediv__(self, other):
        return with_other(OVER, False, self, other)

    def __rtruediv__(self, other):
        return with_other(OVER, True, self, other)

    def __pow__(self, other, modulus):
        if modulus is not None:
            return NotImplemented
        return with_other(TO_THE, False, self, other)

    def __rpow__(self, other, modulus):
        if modulus is not None:
            return NotImplemented
        return with_other(TO_THE, True, self, other)

    def __neg__(self):
        return each(self, NEG, 0.0)

    def __pos__(self):
        return self

    def __abs__(self):
        return each(self, ABS, 0.0)

    def __matmul__(self, other):
        return dot_product(self, other, 0.0) if is_sequence(other) else NotImplemented

    def __rmatmul__(self, other):
        return dot_product(other, self, 0.0) if is_sequence(other) else NotImplemented

    def maximum(self, other) -> Vector:
        """Elementwise the larger; other a Value, a number or a sequence as long as self."""
        return checked(with_other(MAXIMUM_OF, False, self, other), other)

    def minimum(self, other) -> Vector:
        """Elementwise the smaller; other a Value, a number or a sequence as long as self."""
        return checked(with_other(MINIMUM_OF, False, self, other), other)

    # Functions: each that of Value, elementwise ----------------------------------------------

    exp = elementwise(EXP)
    expm1 = elementwise(EXPM1)
    log = elementwise(LOG)
    log1p = elementwise(LOG1P)
    sqrt = elementwise(SQRT)
    sin = elementwise(SIN)
    cos = elementwise(COS)
    tan = elementwise(TAN)
    asin = elementwise(ASIN)
    acos = elementwise(ACOS)
    atan = elementwise(ATAN)
    sinh = elementwise(SINH)
    cosh = elementwise(COSH)
    tanh = elementwise(TANH)
    asinh = elementwise(ASINH)
    acosh = elementwise(ACOSH)
    atanh = elementwise(ATANH)
    erf = elementwise(ERF)
    sigmoid = elementwise(SIGMOID)
    relu = elementwise(RELU)
    softplus = elementwise(SOFTPLUS)
    gelu = elementwise(GELU)
    silu = elementwise(SILU)

    def leaky_relu(self, negative_slope=0.01) -> Vector:
        """Value.leaky_relu of each element."""
        return each(self, LEAKY_RELU, as_float(negative_slope))

    # Reductions: one operation each, over all scalars ----------------------------------------

    def dot(self, other) -> Value:
        """The sum of the products, from left to right. ValueError where the lengths differ."""
        return dot_product(self, other, 0.0)

    def sum(self) -> Value:
        """The sum from left to right."""
        return reduce(SUM, self, "")

    def mean(self) -> Value:
        """The sum divided by the count. ValueError if there is nothing to average."""
        return reduce(MEAN, self, "mean")

    def max(self) -> Value:
        """The largest; ties share the gradient. ValueError if there is nothing to choose from."""
        return reduce(MAX, self, "max")

    def min(self) -> Value:
        """The smallest; ties share the gradient. ValueError if there is nothing to choose from."""
        return reduce(MIN, self, "min")

    # Gradients -------------------------------------------------------------------------------

    def backward(self, grad=None) -> None:
        """Value.backward of all elements at once; grad a number or one for each, by default 1."""
        write(self, ABOVE, 1.0 if grad is None else grad)
        run_backward()

    def zero_grad(self) -> None:
        """Set grad to 0.0 on every scalar."""
        write(self, GRAD, 0.0)

    def detach(self) -> Vector:
        """A Vector of leaves with the same data."""
        cdef Cell *anchor
        if self.runs == NULL:
            return vector(tuple([
                detached(v) if self.nested else leaf(value_of(cell_of(v))) for v in self.values
            ]))
        leaves = leaf_block(scalars_in(self))
        anchor = cell_of(leaves)
        copy_data(self, anchor.right.fused.data)
        return block_vector(anchor, 0, anchor.right.fused.outputs, self.width)


cdef Vector detached(Vector values):
    return Vector.detach(values)


cdef Vector vector(tuple values):
    """A Vector of what are Values, or Vectors, already."""
    cdef Vector result = Vector.__new__(Vector)
    for v in values:
        if not isinstance(v, Vector):
            checked_cell(v)
    check_alike(values)
    result.hold_values(values)
    return result


cdef int check_alike(tuple items) except -1:
    """ValueError where they are not all Values, or all Vectors of one length."""
    cdef Py_ssize_t first, length
    if not items:
        return 0
    first = row_length(items[0])
    for v in items:
        length = row_length(v)
        if length != first:
            lengths = [str(n) if n >= 0 else "a single Value" for n in [row_length(v) for v in items]]
            raise ValueError(f"a Vector needs rows of one length, got {', '.join(lengths)}")
        if length >= 0 and (<Vector>v).depth >= DEEPEST:
            raise RecursionError(f"Vectors in Vectors, more than {DEEPEST} deep")
    return 0


cdef Py_ssize_t depth_of(tuple rows) noexcept:
    cdef Py_ssize_t deepest = 0
    for row in rows:
        deepest = max(deepest, (<Vector>row).depth)
    return deepest


cdef Vector block_vector(Cell *anchor, Py_ssize_t offset, Py_ssize_t count, Py_ssize_t width):
    """A Vector of elements of a block; of rows of them where width is not 0."""
    cdef Vector result = Vector.__new__(Vector)
    result.hold_run(anchor, offset, count, width)
    return result


cdef Vector flat_vector(Arguments arguments):
    """A Vector of the Values among which there is no number. It takes them over."""
    cdef Vector result = Vector.__new__(Vector)
    if arguments.runs == 0:
        result.hold_values(())
        return result
    if arguments.runs == 1 and is_anchor(arguments.operands[0].value):
        result.hold_run(
            arguments.operands[0].value, arguments.operands[0].offset, arguments.count, 0
        )
        return result
    result.runs = arguments.operands
    result.run_count = arguments.runs
    result.length = arguments.count
    result.depth = 1
    result.made = True
    result.values = None
    arguments.operands = NULL
    arguments.count = arguments.runs = arguments.capacity = 0
    return result


cdef str shown(object pairs):
    """Values as a list prints them."""
    return f"[{', '.join([f'Value({data!r}, grad={grad!r})' for data, grad in pairs])}]"


cdef bint take_rows(Numbers numbers, object values, Py_ssize_t *width) except -1:
    """The numbers of a list, tuple or array, or of one of rows of one length; width is theirs.

    False for anything else."""
    cdef Py_ssize_t before
    if type(values) is not list and type(values) is not tuple:
        if not PyObject_CheckBuffer(values) or not numbers.take(values):
            return False
        width[0] = numbers.columns
        return numbers.count > 0
    if not values:
        return False
    if type(values[0]) is not list and type(values[0]) is not tuple:
        return numbers.take(values)
    width[0] = len(values[0])
    for row in values:
        before = numbers.count
        if (
            (type(row) is not list and type(row) is not tuple) or not numbers.take(row)
            or numbers.count - before != width[0]
        ):
            return False
    return width[0] > 0


cdef bint are_alike(list rows):
    """Whether they are Vectors of one length."""
    for row in rows:
        if type(row) is not Vector or (<Vector>row).length != (<Vector>rows[0]).length:
            return False
        if (<Vector>row).depth >= DEEPEST:
            return False
    return len(rows) > 0


cdef object as_element(object v):
    if is_value(v):
        initialised(cell_of(v))
        return v
    if isinstance(v, Vector):
        return v
    if not is_sequence(v):
        return leaf(as_float(v))
    go_deeper()
    try:
        return Vector(v)
    finally:
        come_back()


cdef Py_ssize_t row_length(object v) noexcept:
    """-1 of a single Value."""
    return (<Vector>v).length if isinstance(v, Vector) else -1


cdef object checked(object result, object other):
    """The result, or the TypeError that an operator would have raised for NotImplemented."""
    if result is NotImplemented:
        raise TypeError(f"a Vector cannot be combined with {describe(other)}")
    return result


cdef list read(Vector self, int which):
    cdef Py_ssize_t i
    cdef Operand *run = self.runs
    cdef double *numbers
    cdef list found
    if run == NULL:
        return [v.data if which == DATA else v.grad for v in self.values]
    found = []
    while run < self.runs + self.run_count:
        if is_anchor(run.value):
            numbers = run.value.right.fused.data if which == DATA else run.value.right.fused.grad
            found += [numbers[run.offset + i] for i in range(run.count)]
        else:
            catch_up(run.value)
            found.append(data_of(run.value) if which == DATA else grad_of(run.value))
        run += 1
    if self.nested:
        found = [found[i * self.width : (i + 1) * self.width] for i in range(self.length)]
    return found


cdef int write(Vector self, int which, object numbers) except -1:
    """Set each scalar, or begin with it; all numbers are checked before the first one moves."""
    flat = Numbers()
    flatten(self, numbers, flat)
    if which == ABOVE:
        begin_walk()
    else:
        catch_up_all()
    put(self, which, flat.data)
    return 0


cdef int flatten(Vector self, object numbers, Numbers flat) except -1:
    """One number for each scalar, row by row."""
    cdef Py_ssize_t i, count
    cdef double *place
    cdef double number
    if is_number(numbers):
        number = as_float(numbers)
        count = scalars_in(self)
        place = flat.room(count)
        for i in range(count):
            place[i] = number
        flat.count += count
        return 0
    if not is_sequence(numbers):
        raise TypeError(f"a Vector needs a sequence of Values and numbers, got {describe(numbers)}")
    numbers = list(numbers)
    if len(numbers) != self.length:
        raise ValueError(f"a Vector of {self.length} cannot be set from {len(numbers)} numbers")
    if self.nested:
        for row, number_or_row in zip(self.elements(), numbers):
            flatten(<Vector>row, number_or_row, flat)
    elif not flat.take(numbers):
        for x in numbers:
            flat.add(as_float(x))
    return 0


cdef double *put(Vector self, int which, double *numbers) noexcept:
    """What follows on the numbers that it took."""
    cdef Operand *run = self.runs
    if run == NULL:
        for v in self.values:
            if self.nested:
                numbers = put(<Vector>v, which, numbers)
            else:
                put_one(cell_of(v), which, numbers[0])
                numbers += 1
        return numbers
    while run < self.runs + self.run_count:
        if is_anchor(run.value):
            put_run(run, which, numbers)
        else:
            put_one(run.value, which, numbers[0])
        numbers += run.count
        run += 1
    return numbers


cdef inline void put_one(Cell *c, int which, double number) noexcept:
    if which == DATA:
        set_data(c, number)
    elif which == GRAD:
        set_grad(c, number)
    else:
        give(c, number)


cdef void put_run(Operand *run, int which, double *numbers) noexcept:
    cdef Fused *f = run.value.right.fused
    cdef size_t size = run.count * sizeof(double)
    if which == DATA:
        keep_computed(run.value)
        memcpy(f.data + run.offset, numbers, size)
    elif which == GRAD:
        f.touched = True
        memcpy(f.grad + run.offset, numbers, size)
    else:
        add_to(receivers(run.value, run.offset, run.count), numbers, run.count)


cdef Py_ssize_t scalars_in(Vector self) noexcept:
    cdef Py_ssize_t count = 0
    if not self.nested:
        return self.length
    if self.runs != NULL:
        return self.length * self.width
    for row in self.values:
        count += scalars_in(<Vector>row)
    return count


cdef void copy_data(Vector self, double *place) noexcept:
    """Of runs."""
    cdef Operand *run = self.runs
    while run < self.runs + self.run_count:
        if is_anchor(run.value):
            memcpy(place, run.value.right.fused.data + run.offset, run.count * sizeof(double))
        else:
            catch_up(run.value)
            place[0] = data_of(run.value)
        place += run.count
        run += 1


cdef object scalars_of(Vector values):
    """All Values of a Vector, row by row."""
    if not values.nested:
        return values.elements()
    if values.runs != NULL and values.values is None:
        return items_of(values.runs, NULL, 0, scalars_in(values))
    return [v for row in values.elements() for v in scalars_of(row)]


cdef Value reduce(Code code, Vector values, str what):
    """what: the name of a reduction that needs at least one Value."""
    arguments = Arguments()
    arguments.extend_rows(values)
    if what and arguments.count == 0:
        raise ValueError(f"{what} needs at least one Value, got none")
    return record_fused(code, arguments)


cdef Py_ssize_t width_of(Vector values) noexcept:
    """That of the rows, if they are of scalars: 0 of a flat Vector, -1 of one that is empty or
    nested further."""
    if values.length == 0:
        return -1
    if not values.nested:
        return 0
    if values.runs != NULL:
        return values.width
    for row in values.values:
        if (<Vector>row).nested:
            return -1
    return (<Vector>values.values[0]).length or -1


cdef Vector each(Vector self, int code, double constant):
    """An operation of one operand on every scalar."""
    cdef Py_ssize_t width = width_of(self)
    cdef Numbers constants = None
    if width < 0:
        return vector(tuple([each(row, code, constant) for row in self.elements()]))
    arguments = Arguments()
    arguments.extend_rows(self)
    if has_constant(code):
        constants = Numbers()
        constants.add(constant)
    return record_block(EACH, arguments, arguments.count, 0, 0, constants, code, width)


cdef Vector with_number(int operation, bint reflected, Vector self, object number):
    """The operation on every scalar and a number."""
    cdef double constant = as_float(number)
    if not reflected or operation == TIMES:
        return each(self, ADD_NUMBER + operation, constant)
    if operation == PLUS:
        return self if type(number) is int and number == 0 else each(self, ADD_NUMBER, constant)
    if operation == MINUS:
        return each(self, NUMBER_SUBTRACT, constant)
    return each(self, NUMBER_DIVIDE if operation == OVER else NUMBER_POWER, constant)


cdef object with_other(int operation, bint reflected, Vector self, object other):
    """The operation on every scalar and its partner in other; NotImplemented for no partner."""
    cdef Py_ssize_t width = width_of(self)
    cdef Vector vectors
    cdef Arguments theirs
    if isinstance(other, Vector):
        vectors = <Vector>other
        if fits(self, width, vectors):
            if reflected:
                self, vectors = vectors, self
            return both(operation, self, vectors, width or width_of(self) or width_of(vectors))
    elif is_number(other):
        if not is_value(other):
            return with_number(operation, reflected, self, other)
        if width >= 0:
            theirs = Arguments()
            theirs.add(other)
            return pairwise(operation, reflected, self, theirs, width)
        return vector(tuple([
            with_other(operation, reflected, row, other) for row in self.elements()
        ]))
    elif isinstance(other, (str, bytes)) or not isinstance(other, Iterable):
        return NotImplemented
    elif width > 0 and type(other) is list and are_rows(<list>other, self.length, width):
        theirs = Arguments()
        for row in <list>other:
            theirs.extend(row, "")
        return pairwise(operation, reflected, self, theirs, width)
    go_deeper()
    try:
        return by_partners(operation, reflected, self, list(other))
    finally:
        come_back()


cdef object by_partners(int operation, bint reflected, Vector self, list partners):
    """The same with a list, which may be one of rows."""
    cdef Arguments theirs
    rows = any([is_sequence(partner) for partner in partners])
    # A flat sequence beside a Vector of Vectors goes with every row, as NumPy has it.
    if self.nested and not rows:
        return vector(tuple([
            with_other(operation, reflected, row, partners) for row in self.elements()
        ]))
    if rows and not self.nested:
        return vector(tuple([
            checked(with_other(operation, reflected, self, row), row) for row in partners
        ]))
    if len(partners) != self.length:
        raise ValueError(f"a Vector of {self.length} and one of {len(partners)} cannot be combined")
    if self.nested:
        return vector(tuple([
            checked(with_other(operation, reflected, v, partner), partner)
            for v, partner in zip(self.elements(), partners)
        ]))
    if not partners:
        return vector(())
    # A number of a sequence is a constant, so it stays one: as a float, 0 is added like any other.
    theirs = Arguments()
    for partner in partners:
        theirs.add(partner)
    return pairwise(operation, reflected, self, theirs, 0)


cdef bint are_rows(list rows, Py_ssize_t length, Py_ssize_t width):
    """Whether they are so many lists of so many numbers and Values each."""
    if len(rows) != length:
        return False
    for row in rows:
        if type(row) is not list or len(<list>row) != width:
            return False
        for x in <list>row:
            if not PyFloat_CheckExact(x) and type(x) is not int and not is_value(x):
                return False
    return True


cdef bint fits(Vector self, Py_ssize_t width, Vector other):
    """Whether all pairs of the two can be one node."""
    cdef Py_ssize_t other_width = width_of(other)
    if width < 0 or other_width < 0:
        return False
    if width and other_width:
        return self.length == other.length and width == other_width
    if width or other_width:
        return (width or self.length) == (other_width or other.length)
    return self.length == other.length


cdef Vector both(int operation, Vector left, Vector right, Py_ssize_t width):
    """The operation on pairs of scalars; the shorter go again with every row."""
    cdef Py_ssize_t n
    arguments = Arguments()
    arguments.extend_rows(left)
    n = arguments.count
    arguments.closed = True
    arguments.extend_rows(right)
    return record_both(operation, arguments, n, width)


cdef inline Vector record_both(int operation, Arguments sides, Py_ssize_t n, Py_ssize_t width):
    """n: of the scalars, how many are on the left side."""
    cdef Py_ssize_t m = sides.count - n
    return record_block(BOTH, sides, max(n, m), n, m, None, ADD + operation, width)


cdef Vector pairwise(int operation, bint reflected, Vector self, Arguments theirs, Py_ssize_t width):
    """The same where there may be numbers among theirs."""
    cdef Arguments left = Arguments()
    cdef Arguments right = theirs
    cdef Py_ssize_t n
    left.extend_rows(self)
    if reflected:
        left, right = right, left
        if (operation == PLUS or operation == TIMES) and left.holds_number():
            # These commute: the number comes second.
            pairs = list(zip(left.items(), right.items()))
            left, right = Arguments(), Arguments()
            for a, b in pairs:
                left.add(b if type(a) is float else a)
                right.add(a if type(a) is float else b)
    n = left.count
    left.closed = True
    left.append(right)
    return record_both(operation, left, n, width)


cdef Value dot_product(object weights, object inputs, object bias):
    """b + w·x, from left to right, as one node."""
    arguments = arguments_of(weights, "dot")
    cdef Py_ssize_t n = arguments.count
    arguments.extend(inputs, "dot")
    if arguments.count != 2 * n:
        raise ValueError(f"dot of {n} weights and {arguments.count - n} inputs")
    arguments.add(bias)
    return record_fused(DOT, arguments, n)


# ---------------------------------------------------------------------------------------------
# Tape
# ---------------------------------------------------------------------------------------------


@cython.no_gc_clear  # what it computed may still have to be written to the Values
cdef class Tape:
    """Tape(root)\n--\n
    The graph of one Value, recorded once and run again for other data of its leaves.

    Control flow is frozen as it was recorded. ValueError for a graph with a custom operation, whose
    formula is not known. len(tape) is the number of operations.
    """

    cdef Value root
    cdef Cell **cells               # in the order of their creation, last to first
    cdef Py_ssize_t count, length
    cdef Plan *plan                 # NULL where there are nodes of many operands or outputs
    cdef bint partly                # some elements of a block are not below the root
    cdef bint running

    def __init__(self, root):
        if not is_value(root):
            raise TypeError(f"Tape needs a Value as its root, got {describe(root)}")
        self.refuse_another()
        initialised(cell_of(root))
        self.forget()
        self.root = root
        self.running = True  # a walk of another thread may have to be waited for
        try:
            self.record()
            self.plan = make_plan(self.cells, self.count)
        except:
            self.forget()
            raise
        finally:
            self.running = False

    cdef void forget(self) noexcept:
        cdef Value before = self.root  # until all is forgotten: freeing it may call anything
        free_plan(self.plan)
        self.plan = NULL
        self.count = self.length = 0
        self.root = None

    cdef int need_root(self) except -1:
        if self.root is None:
            raise TypeError("this Tape has recorded nothing: make it with Tape(root)")
        return 0

    cdef int refuse_another(self) except -1:
        if self.running:
            raise RuntimeError("this Tape is at work in another thread: record one for each")
        return 0

    cdef int record(self) except -1:
        cdef Cell *c
        cdef Cell *custom = NULL
        cdef Py_ssize_t room = 0
        cdef void *more
        begin_walk()
        self.count = self.length = 0
        self.partly = False
        reach(cell_of(self.root))
        c = newest_marked()
        try:
            while c != NULL:
                if self.count == room:
                    room = 2 * room + 64
                    more = realloc(self.cells, room * sizeof(Cell *))
                    if more == NULL:
                        raise MemoryError("no memory to record the graph")
                    self.cells = <Cell **>more
                self.cells[self.count] = c
                self.count += 1
                if c.code < FIRST_ANCHOR:
                    self.length += 1
                else:
                    self.length += operations_of(c)
                    self.partly = self.partly or not all_reached(c.right.fused)
                if c.code == CUSTOM_ANCHOR:
                    custom = c
                reach_operands(c)
                look_ahead(c)
                c = take_mark_after(c, REACHED)
                now_and_then(self.count)
        finally:
            if c != NULL:
                self.partly = True  # so it is recorded again before it is run
            while c != NULL:
                c = take_mark(REACHED)
            end_walk()
        if custom != NULL:
            raise ValueError(
                f"the custom operation {<str>custom.right.fused.owner!r} cannot be recomputed: it "
                "is known by its result and local gradients, not by its formula. Build its part of "
                "the graph anew instead"
            )
        return 0

    def __dealloc__(self):
        free_plan(self.plan)
        free(self.cells)

    def __len__(self):
        return self.length

    def __reduce__(self):
        raise TypeError("a Tape cannot be copied or pickled: it belongs to the graph it recorded")

    def set(self, leaves, values) -> None:
        """Give leaves new data: a Value and a number, or a sequence of leaves and one of numbers.

        ValueError where the lengths differ; then nothing is set.
        """
        if is_value(leaves):
            leaves, values = [leaves], [values]
        cdef list targets = leaves_among(leaves)
        for leaf in targets:
            check_leaf(leaf)
        cdef Py_buffer view
        cdef Py_ssize_t i, count = len(targets)
        cdef list numbers
        catch_up_all()
        if doubles_of(values, &view):
            try:
                check_lengths(count, view.len // <Py_ssize_t>sizeof(double))
                for i in range(count):
                    set_data(cell_of(targets[i]), (<double *>view.buf)[i])
            finally:
                PyBuffer_Release(&view)
            return
        numbers = [as_float(number) for number in flattened(values)]
        check_lengths(count, len(numbers))
        for i in range(count):
            set_data(cell_of(targets[i]), PyFloat_AS_DOUBLE(numbers[i]))

    def forward(self) -> float:
        """Recompute every node from the leaves' present data; the root's data."""
        self.refuse_another()
        self.need_root()
        self.running = True
        try:
            return self.recompute()
        finally:
            self.running = False

    cdef double recompute(self) except? -1.0:
        global ahead, root_ahead
        cdef Py_ssize_t i
        cdef Plan *p = self.plan
        cdef bint done = False
        if p != NULL:
            if ahead != p:
                catch_up_all()
            if p.newer_data:
                memcpy(p.last, p.data, p.leaves * sizeof(double))
            for i in range(p.leaves):
                p.data[i] = data_of(p.cells[i])
            try:
                done = run_forward(p)
                if not done and p.newer_data:
                    # An operation will raise, with the Values below it new and all others as they
                    # were.
                    memcpy(p.data, p.last, p.leaves * sizeof(double))
                    run_forward(p)
            finally:
                # Cut short by Ctrl-C, some data are of this run and some of the one before.
                p.current = done or p.newer_data
            if done:
                if ahead != p:
                    catch_up_all()
                p.newer_data = True
                root_ahead = cell_of(self.root)
                root_ahead.data.number = p.data[p.leaves + p.nodes - 1]
                ahead = p
                return root_ahead.data.number
        catch_up_all()
        if p != NULL:
            p.current = False
        if self.partly:
            self.record()  # notes anew which elements are below the root
        reserve(needed)
        for i in range(self.count - 1, -1, -1):
            recompute(self.cells[i], self.partly)
            if unlikely(i & (STRIDE - 1) == 0):
                answer_signals()
        return data_of(cell_of(self.root))

    def backward(self, grad=1.0) -> None:
        """Value.backward on the recorded graph."""
        global ahead, root_ahead
        cdef double above = as_float(grad)
        cdef Py_ssize_t i, root
        self.refuse_another()
        self.need_root()
        cdef Plan *p = self.plan
        if p == NULL:
            self.running = True
            try:
                Value.backward(self.root, above)
            finally:
                self.running = False
            return
        if ahead != p:
            catch_up_all()
        for i in range(p.leaves if p.current else p.leaves + p.nodes):
            p.data[i] = data_of(p.cells[i])
        for i in range(p.leaves):
            p.grad[i] = grad_of(p.cells[i])
        root = p.leaves + p.nodes - 1
        p.grad[p.grad_of[root]] = 0.0 + above
        self.running = True
        try:
            run_gradients(p)
        finally:
            self.running = False
        if ahead != p:
            catch_up_all()
        for i in range(p.leaves):
            set_grad(p.cells[i], p.grad[i])
        root_ahead = cell_of(self.root)
        root_ahead.grad.number = p.grad[p.grad_of[root]]
        p.current = p.newer_grad = True
        ahead = p


cdef list leaves_among(object leaves):
    """The Values of a sequence, or of one of rows."""
    cdef list found = []
    if type(leaves) is list or type(leaves) is tuple:
        for v in leaves:
            if is_value(v):
                initialised(cell_of(v))
                found.append(v)
            else:
                break
        else:
            return found
    return list(scalars_of(leaves if isinstance(leaves, Vector) else Vector(leaves)))


cdef bint doubles_of(object values, Py_buffer *view) except -1:
    """The memory of an array of doubles, to be released; False for anything else."""
    if isinstance(values, (list, tuple)) or not PyObject_CheckBuffer(values):
        return False
    try:
        PyObject_GetBuffer(values, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    except (BufferError, ValueError):
        return False
    if view.format != NULL and view.format[0] == c"d" and view.format[1] == 0:
        return True
    PyBuffer_Release(view)
    return False


cdef int check_leaf(object value) except -1:
    cdef str op = name_of(cell_of(value))
    if op:
        raise ValueError(f"a Tape sets leaves, whose data nothing computes; got the result of {op!r}")
    return 0


cdef int check_lengths(Py_ssize_t leaves, Py_ssize_t numbers) except -1:
    if leaves != numbers:
        raise ValueError(f"{leaves} leaves cannot be set from {numbers} numbers")
    return 0


cdef inline void reach(Cell *c) noexcept:
    if c.code >= FIRST_NODE:
        mark(c)
    elif c.code == CUSTOM:
        mark(c.left)
    elif c.code == ELEMENT and c.left.code != BLOCK:
        note(c.left, c.index, 1)


cdef Py_ssize_t operations_of(Cell *anchor) noexcept:
    """How many operations a block is: its elements, of a layer those of the samples reached."""
    cdef Fused *f = anchor.right.fused
    cdef Py_ssize_t i, result = 0, together = 1
    if anchor.code == PERCEPTRONS:
        together = f.outputs // f.m
    elif anchor.code == ATTENTION:
        together = f.outputs
    elif anchor.code < ATTENTION:
        together = f.m
    if f.entire or together == f.outputs:
        return f.outputs
    for i in range(0, f.outputs, together):
        if any_reached(f, i, together):
            result += together
    return result


cdef void reach_operands(Cell *c) noexcept:
    cdef Py_ssize_t i
    cdef Operand *o
    if c.code < FIRST_BINARY:
        reach(c.left)
    elif c.code < FIRST_FUSED:
        reach(c.left)
        reach(c.right.value)
    elif c.code >= SOFTMAX and not all_reached(c.right.fused):
        reach_part(c)
    else:
        o = c.right.fused.operands
        for i in range(c.right.fused.count):
            reach_operand(o, 0, o.count)
            o += 1


cdef inline void reach_operand(Operand *o, Py_ssize_t start, Py_ssize_t count) noexcept:
    if o.value == NULL or o.value.code == BLOCK:
        return
    if is_anchor(o.value):
        note(o.value, o.offset + start, count)
    else:
        reach(o.value)


cdef int recompute_block(Cell *anchor, bint partly) except -1:
    """The data of the elements that are below the root; the others keep theirs.

    partly: the marks say which these are, else they are all."""
    cdef Fused *f = anchor.right.fused
    cdef Py_ssize_t i, size = f.outputs * sizeof(double)
    if f.entire or not partly:
        return compute(anchor)
    if anchor.code >= EACH:
        return compute_block(anchor, f.reached)
    memcpy(f.before, f.data, size)
    if f.computed != f.data:
        memcpy(f.data, f.computed, size)
    try:
        if anchor.code == PERCEPTRONS:
            compute(anchor)
        else:
            compute_block(anchor, f.reached)
    finally:
        f.computed = f.before + f.outputs
        memcpy(f.computed, f.data, size)
        for i in range(f.outputs):
            if not f.reached[i]:
                f.data[i] = f.before[i]
    return 0


cdef int recompute(Cell *c, bint partly) except -1:
    cdef int code = c.code
    cdef double x
    if code >= FIRST_ANCHOR:
        return recompute_block(c, partly)
    if code >= FIRST_FUSED:
        compute(c)
        return 0
    x = data_of(c.left)
    if code < FIRST_BINARY:
        c.data.number = applied(code, x, c.right.constant)
    else:
        c.data.number = binary(code, x, data_of(c.right.value))
    return 0


cdef list flattened(object numbers):
    cdef list flat = []
    if not is_sequence(numbers):
        raise TypeError(f"leaves are set from a sequence of numbers, got {describe(numbers)}")
    if PyObject_CheckBuffer(numbers) and hasattr(numbers, "tolist"):
        numbers = numbers.tolist()  # far quicker than one by one
    for row in numbers:
        if not PyFloat_CheckExact(row) and is_sequence(row):
            flat += row
        else:
            flat.append(row)
    return flat


# How all of this is called: calls.pxi says why.
check_calls(vars(no_grad).values())
enter_by(vars(Value).values(), <vectorcallfunc>call_on_value)
enter_by(vars(Vector).values(), <vectorcallfunc>call_on_vector)
enter_by(vars(Tape).values(), <vectorcallfunc>call_on_tape)
make_vector = (<TypeObject *><PyObject *>Vector).tp_vectorcall
(<TypeObject *><PyObject *>Vector).tp_vectorcall = <vectorcallfunc>make
(<TypeObject *><PyObject *>Tape).tp_vectorcall = <vectorcallfunc>make
