"""Optimisers: how a parameter follows its gradient downhill. The rules are PyTorch's."""

import math
from array import array

from libc.math cimport sqrt

from cython_core.engine cimport Cell, Value, Vector, cell_of, data_of, grad_of, scalars_of, set_data

from pure_python.state import OptimizerState

__all__ = ["SGD", "Adam", "AdamW"]


cdef double *numbers_of(double[::1] moment, Py_ssize_t count) except NULL:
    """Where the numbers of a moment are; the array stays with the optimiser, and so alive."""
    if moment.shape[0] != count:
        raise ValueError(f"{count} parameters and moments of {moment.shape[0]}: was params changed?")
    return &moment[0]


class Optimizer(OptimizerState):
    """What the optimisers of this backend share: their moments are arrays of C doubles."""

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

    def step(self):
        """Move every parameter one step against its gradient."""
        cdef double lr = self.lr, momentum = self.momentum, weight_decay = self.weight_decay
        cdef double kept = 1.0 - self.dampening, g
        cdef bint nesterov = self.nesterov, first = self.steps == 0
        cdef double *buffer = numbers_of(self.momentum_buffer, len(self.params))
        cdef list params = self.params
        cdef Py_ssize_t i
        cdef Cell *p
        for i in range(len(params)):
            p = cell_of(params[i])
            g = grad_of(p)
            if weight_decay != 0.0:
                g += weight_decay * data_of(p)
            if momentum != 0.0:
                buffer[i] = g if first else momentum * buffer[i] + kept * g
                g = g + momentum * buffer[i] if nesterov else buffer[i]
            set_data(p, data_of(p) - lr * g)
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

    def step(self):
        """Move every parameter one step."""
        self.steps += 1
        beta1_, beta2_ = self.betas
        cdef double lr = self.lr, eps = self.eps, weight_decay = self.weight_decay
        cdef double beta1 = beta1_, beta2 = beta2_
        cdef double step_size = lr / (1.0 - beta1_**self.steps)
        cdef double correction = math.sqrt(1.0 - beta2_**self.steps)
        cdef double g, m, v
        cdef bint decoupled = self._decoupled
        cdef double *first_moment = numbers_of(self.first_moment, len(self.params))
        cdef double *second_moment = numbers_of(self.second_moment, len(self.params))
        cdef list params = self.params
        cdef Py_ssize_t i
        cdef Cell *p
        for i in range(len(params)):
            p = cell_of(params[i])
            g = grad_of(p)
            if decoupled:
                set_data(p, data_of(p) * (1.0 - lr * weight_decay))
            elif weight_decay != 0.0:
                g += weight_decay * data_of(p)
            m = first_moment[i] = first_moment[i] + (g - first_moment[i]) * (1.0 - beta1)
            v = second_moment[i] = second_moment[i] * beta2 + (1.0 - beta2) * g * g
            set_data(p, data_of(p) - step_size * (m / (sqrt(v) / correction + eps)))


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself (Loshchilov and Hutter 2019)."""

    _decoupled = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, betas, eps, weight_decay)
