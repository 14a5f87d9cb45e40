"""Optimisers: how a parameter follows its gradient downhill. The rules are PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from numpy_vectorized.engine import STACK, Value, divide, sqrt
from pure_python.state import OptimizerState

__all__ = ["SGD", "Adam", "AdamW"]

# A parameter's data, gradient and moments are arrays, or floats where it is a single number. The
# rules below are written for both: `+=` changes an array where it lies, and replaces a float.


class Optimizer(OptimizerState):
    """What the optimisers of this backend share: one array a parameter, not one number a scalar."""

    def _values_of(self, entry: Any) -> Iterable[Any]:
        # A Vector made of Values holds copies of their data: the Values are what can be moved.
        return entry.operands if getattr(entry, "_operation", None) is STACK else (entry,)

    def _zeros(self) -> list[Any]:
        return [np.zeros_like(p._data) if p.ndim else 0.0 for p in self.params]

    def _flat(self, moment: list[Any]) -> list[float]:
        return [number for part in moment for number in np.ravel(part).tolist()]

    def _from_flat(self, numbers: list[float]) -> list[Any]:
        moment, start = self._zeros(), 0
        for i, p in enumerate(self.params):
            part = numbers[start : start + p.size]
            moment[i] = np.array(part, dtype=p.dtype).reshape(p.shape) if p.ndim else part[0]
            start += p.size
        return moment


class SGD(Optimizer):
    """Stochastic gradient descent: p -= lr · grad, with momentum if asked for.

    momentum: how much of the last step is kept; dampening: how much of the gradient is left out of
    it; weight_decay: adds weight_decay · p to the gradient; nesterov: looks one step ahead
    (Sutskever and others 2013). ValueError for a negative number, or nesterov without momentum.
    """

    hyperparameters = ("lr", "momentum", "dampening", "weight_decay", "nesterov")
    moments = ("momentum_buffer",)
    momentum_buffer: list[Any]

    def __init__(
        self,
        params: Iterable[Value],
        lr: float,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
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
        lr, momentum, weight_decay = self.lr, self.momentum, self.weight_decay
        kept = 1.0 - self.dampening
        buffer: list[Any] = self.momentum_buffer
        with np.errstate(all="ignore"):
            for i, p in enumerate(self.params):
                g = p.grad
                if weight_decay:
                    g = g + weight_decay * p._data
                if momentum:
                    buffer[i] *= momentum if self.steps else 0.0
                    buffer[i] += kept * g if self.steps else g
                    g = g + momentum * buffer[i] if self.nesterov else buffer[i]
                p._data -= lr * g
        self.steps += 1


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015): steps scaled by running means of the gradient and its square.

    betas: how much of each mean is kept; eps: keeps the division from zero; weight_decay: adds
    weight_decay · p to the gradient. ValueError for a negative number or a beta of 1 or more.
    """

    hyperparameters = ("lr", "betas", "eps", "weight_decay")
    moments = ("first_moment", "second_moment")
    first_moment: list[Any]
    second_moment: list[Any]

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, Value)
        self.lr = lr
        self.betas = self._fractions("betas", betas)
        self.eps = self._at_least_zero("eps", eps)
        self.weight_decay = self._at_least_zero("weight_decay", weight_decay)

    def step(self) -> None:
        """Move every parameter one step."""
        self.steps += 1
        lr, eps = self.lr, self.eps
        beta1, beta2 = self.betas
        step_size = lr / (1.0 - beta1**self.steps)
        correction = math.sqrt(1.0 - beta2**self.steps)
        first, second = self.first_moment, self.second_moment
        with np.errstate(all="ignore"):
            for i, p in enumerate(self.params):
                g = self._decayed(p)
                first[i] += (g - first[i]) * (1.0 - beta1)
                second[i] *= beta2
                second[i] += (1.0 - beta2) * g * g
                p._data -= step_size * divide(first[i], sqrt(second[i]) / correction + eps)

    def _decayed(self, p: Value) -> Any:
        return p.grad + self.weight_decay * p._data if self.weight_decay else p.grad


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself (Loshchilov and Hutter 2019)."""

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _decayed(self, p: Value) -> Any:
        p._data *= 1.0 - self.lr * self.weight_decay
        return p.grad
