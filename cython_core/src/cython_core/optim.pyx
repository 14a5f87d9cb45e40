"""Optimisers: how a parameter follows its gradient downhill. The rules are PyTorch's."""

import math
from array import array

from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from cython_core.engine cimport (
    Cell, Value, Vector, check_calls, checked_cell, data_place, grad_place, moves_of_leaves,
    scalars_of,
)

from pure_python.state import OptimizerState

__all__ = ["SGD", "Adam", "AdamW"]

cdef extern from "kernels.h":
    void plain_step(
        double *p, double *grad, Py_ssize_t n, double lr, double weight_decay
    ) noexcept nogil
    void momentum_step(
        double *p, double *grad, double *buffer, Py_ssize_t n, double lr, double momentum,
        double kept, double weight_decay, bint nesterov, bint first
    ) noexcept nogil
    void adam_step(
        double *p, double *grad, double *first, double *second, Py_ssize_t n, double step_size,
        double correction, double beta1, double beta2, double eps, double shrink,
        double weight_decay
    ) noexcept nogil


# Neighbours among the parameters.
cdef struct Stretch:
    Py_ssize_t start, count
    double *data            # theirs in a row; NULL where each is somewhere else
    double *grad


cdef enum:
    WORTH = 8               # a row of fewer is copied together with its neighbours
    MOST = 1 << 20          # in a stretch: between two of them signals are looked for


cdef class Stretches:
    """Where the numbers of parameters are: mostly a block for each Vector."""

    cdef tuple params
    cdef Py_ssize_t moves
    cdef double **data              # of each
    cdef double **grad
    cdef double *copied             # data and gradients of a stretch of single ones
    cdef Stretch *stretches
    cdef Py_ssize_t count

    def __cinit__(self, tuple params):
        cdef Cell *c
        cdef Py_ssize_t i, j, n = len(params)
        self.params = params
        self.moves = moves_of_leaves()
        self.data = <double **>malloc(n * sizeof(double *))
        self.grad = <double **>malloc(n * sizeof(double *))
        self.copied = <double *>malloc(2 * n * sizeof(double))
        self.stretches = <Stretch *>malloc(n * sizeof(Stretch))
        if not (self.data and self.grad and self.copied and self.stretches):
            raise MemoryError("no memory for an optimiser's step")
        for i in range(n):
            c = checked_cell(params[i])
            self.data[i] = data_place(c)
            self.grad[i] = grad_place(c)
            if i % MOST == MOST - 1:
                PyErr_CheckSignals()
        i = 0
        while i < n:
            j = i + 1
            while j < n and j - i < MOST and self.data[j] == self.data[i] + (j - i) and (
                self.grad[j] == self.grad[i] + (j - i)
            ):
                j += 1
            self.add(i, j - i)
            i = j

    cdef void add(self, Py_ssize_t start, Py_ssize_t count) noexcept:
        cdef Stretch *s
        if count < WORTH and self.count:
            s = &self.stretches[self.count - 1]
            if s.data == NULL and s.count < MOST:
                s.count += count
                return
        s = &self.stretches[self.count]
        self.count += 1
        s.start = start
        s.count = count
        s.data = NULL if count < WORTH else self.data[start]
        s.grad = self.grad[start]

    def __dealloc__(self):
        free(self.data)
        free(self.grad)
        free(self.copied)
        free(self.stretches)

    cdef int take(self, Py_ssize_t which, Stretch *s) except -1:
        """A stretch in a row: where it is, or copied."""
        cdef Py_ssize_t i
        if which:
            PyErr_CheckSignals()
        s[0] = self.stretches[which]
        if s.data == NULL:
            s.data = self.copied
            s.grad = self.copied + s.count
            for i in range(s.count):
                s.data[i] = self.data[s.start + i][0]
                s.grad[i] = self.grad[s.start + i][0]
        return 0

    cdef void put_back(self, Stretch *s) noexcept:
        cdef Py_ssize_t i
        if s.data == self.copied:
            for i in range(s.count):
                self.data[s.start + i][0] = s.data[i]


cdef Stretches stretches_of(object optimizer):
    cdef Stretches stretches = optimizer._stretches
    cdef tuple params = optimizer.params
    if stretches is None or stretches.params is not params or stretches.moves != moves_of_leaves():
        stretches = optimizer._stretches = Stretches(params)
    return stretches


cdef double *numbers_of(double[::1] moment, Stretches stretches) except NULL:
    """Where the numbers of a moment are, as long as the caller has it."""
    cdef Py_ssize_t count = len(stretches.params)
    if moment.shape[0] != count:
        raise ValueError(f"{count} parameters and moments of {moment.shape[0]}: was params changed?")
    return &moment[0]


class Optimizer(OptimizerState):
    """What the optimisers of this backend share: their moments are arrays of C doubles."""

    _stretches = None

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to zero."""
        cdef Stretches stretches = stretches_of(self)
        cdef Stretch *s
        cdef Py_ssize_t i, j
        for i in range(stretches.count):
            s = &stretches.stretches[i]
            if s.data != NULL:
                memset(s.grad, 0, s.count * sizeof(double))
            else:
                for j in range(s.start, s.start + s.count):
                    stretches.grad[j][0] = 0.0

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k != "_stretches"}

    def _values_of(self, entry):
        return scalars_of(entry) if isinstance(entry, Vector) else (entry,)

    def _zeros(self):
        return array("d", bytes(8 * len(self.params)))

    def _from_flat(self, numbers):
        return array("d", numbers)


class SGD(Optimizer):
    """Stochastic gradient descent: p -= lr · grad, with momentum if asked for.

    momentum: how much of the last step is kept; dampening: how much of the gradient is left out of
    it; weight_decay: adds weight_decay · p to the gradient; nesterov: looks one step ahead
    (Sutskever and others 2013). ValueError for a negative number, or nesterov without momentum.
    """

    hyperparameters = ("lr", "momentum", "dampening", "weight_decay", "nesterov")
    moments = ("momentum_buffer",)

    def __init__(
        self,
        params,
        lr,
        momentum=0.0,
        dampening=0.0,
        weight_decay=0.0,
        nesterov=False,
    ):
        super().__init__(params, Value)
        self.lr = lr
        self.momentum = self._at_least_zero("momentum", momentum)
        self.dampening = self._at_least_zero("dampening", dampening)
        self.weight_decay = self._at_least_zero("weight_decay", weight_decay)
        self.nesterov = bool(nesterov)
        if nesterov and (self.momentum == 0.0 or self.dampening != 0.0):
            raise ValueError("nesterov needs a momentum above 0 and no dampening")

    def step(self) -> None:
        """Move every parameter one step against its gradient."""
        cdef double lr = self.lr, momentum = self.momentum, weight_decay = self.weight_decay
        cdef double kept = 1.0 - self.dampening
        cdef bint nesterov = self.nesterov, first = self.steps == 0
        cdef double[::1] moment = self.momentum_buffer
        cdef Stretches stretches = stretches_of(self)
        cdef double *buffer = numbers_of(moment, stretches)
        cdef Stretch s
        cdef Py_ssize_t i
        for i in range(stretches.count):
            stretches.take(i, &s)
            if momentum == 0.0:
                plain_step(s.data, s.grad, s.count, lr, weight_decay)
            else:
                momentum_step(
                    s.data, s.grad, buffer + s.start, s.count, lr, momentum, kept, weight_decay,
                    nesterov, first,
                )
            stretches.put_back(&s)
        self.steps += 1


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015): steps scaled by running means of the gradient and its square.

    betas: how much of each mean is kept; eps: keeps the division from zero; weight_decay: adds
    weight_decay · p to the gradient. ValueError for a negative number or a beta of 1 or more.
    """

    hyperparameters = ("lr", "betas", "eps", "weight_decay")
    moments = ("first_moment", "second_moment")

    _decoupled = False  # whether weight decay shrinks the parameter itself

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, Value)
        self.lr = lr
        self.betas = self._fractions("betas", betas)
        self.eps = self._at_least_zero("eps", eps)
        self.weight_decay = self._at_least_zero("weight_decay", weight_decay)

    def step(self) -> None:
        """Move every parameter one step."""
        self.steps += 1
        beta1_, beta2_ = self.betas
        cdef double lr = self.lr, eps = self.eps, weight_decay = self.weight_decay
        cdef double beta1 = beta1_, beta2 = beta2_
        cdef double step_size = lr / (1.0 - beta1_**self.steps)
        cdef double correction = math.sqrt(1.0 - beta2_**self.steps)
        cdef double shrink = 1.0
        if self._decoupled:
            shrink = 1.0 - lr * weight_decay
            weight_decay = 0.0
        cdef double[::1] first = self.first_moment, second = self.second_moment
        cdef Stretches stretches = stretches_of(self)
        cdef double *first_moment = numbers_of(first, stretches)
        cdef double *second_moment = numbers_of(second, stretches)
        cdef Stretch s
        cdef Py_ssize_t i
        for i in range(stretches.count):
            stretches.take(i, &s)
            adam_step(
                s.data, s.grad, first_moment + s.start, second_moment + s.start, s.count,
                step_size, correction, beta1, beta2, eps, shrink, weight_decay,
            )
            stretches.put_back(&s)


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself (Loshchilov and Hutter 2019)."""

    _decoupled = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, betas, eps, weight_decay)


check_calls([f for kind in (Optimizer, SGD, Adam, AdamW) for f in vars(kind).values()])
