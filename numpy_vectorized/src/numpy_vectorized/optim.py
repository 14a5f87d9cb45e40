"""Optimisers: how a parameter follows its gradient downhill. The rules are PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from numpy_vectorized.engine import STACK, Value, quiet
from pure_python.state import OptimizerState

__all__ = ["SGD", "Adam", "AdamW"]

# A step changes data and moments where they lie, and computes in a scratch array a parameter that
# is allocated once. A parameter that is a single number is moved as an array of no dimensions.


class Optimizer(OptimizerState):
    """What the optimisers of this backend share: one array a parameter, not one number a scalar."""

    def _values_of(self, entry: Any) -> Iterable[Any]:
        # A Vector made of Values holds copies of their data: the Values are what can be moved.
        return entry.operands if getattr(entry, "_operation", None) is STACK else (entry,)

    def __init__(self, params: Iterable[Value]) -> None:
        super().__init__(params, Value)
        self._scratch = [np.empty_like(p._data) for p in self.params]

    @quiet
    def step(self) -> None:
        """Move every parameter one step against its gradient."""
        self.steps += 1
        for i, p in enumerate(self.params):
            data, grad = p._data, p.grad
            if type(data) is not float:
                self._move(i, data, grad, self._scratch[i])
            else:
                number = np.array(data)
                self._move(i, number, np.array(grad), self._scratch[i])
                p._data = number.item()

    def _move(self, i: int, data: Any, grad: Any, scratch: Any) -> None:
        raise NotImplementedError

    def _zeros(self) -> list[Any]:
        return [np.zeros_like(p._data) for p in self.params]

    def _flat(self, moment: list[Any]) -> list[float]:
        return [number for part in moment for number in np.ravel(part).tolist()]

    def _from_flat(self, numbers: list[float]) -> list[Any]:
        moment, start = self._zeros(), 0
        for i, p in enumerate(self.params):
            part = numbers[start : start + p.size]
            moment[i][...] = np.reshape(part, p.shape)
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
        super().__init__(params)
        self.lr = lr
        self.momentum = self._at_least_zero("momentum", momentum)
        self.dampening = self._at_least_zero("dampening", dampening)
        self.weight_decay = self._at_least_zero("weight_decay", weight_decay)
        self.nesterov = bool(nesterov)
        if nesterov and (self.momentum == 0.0 or self.dampening != 0.0):
            raise ValueError("nesterov needs a momentum above 0 and no dampening")

    def _move(self, i: int, data: Any, grad: Any, scratch: Any) -> None:
        if self.weight_decay:
            np.multiply(data, self.weight_decay, out=scratch)
            scratch += grad
            grad = scratch
        if self.momentum:
            velocity = self.momentum_buffer[i]
            if self.steps == 1:
                velocity[...] = grad
            else:
                velocity *= self.momentum
                velocity += grad if self.dampening == 0.0 else grad * (1.0 - self.dampening)
            grad = grad + self.momentum * velocity if self.nesterov else velocity
        np.multiply(grad, self.lr, out=scratch)
        data -= scratch


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
        super().__init__(params)
        self.lr = lr
        self.betas = self._fractions("betas", betas)
        self.eps = self._at_least_zero("eps", eps)
        self.weight_decay = self._at_least_zero("weight_decay", weight_decay)

    def _move(self, i: int, data: Any, grad: Any, scratch: Any) -> None:
        beta1, beta2 = self.betas
        first, second = self.first_moment[i], self.second_moment[i]
        grad = self._decayed(data, grad)
        np.subtract(grad, first, out=scratch)
        scratch *= 1.0 - beta1
        first += scratch
        second *= beta2
        np.multiply(grad, 1.0 - beta2, out=scratch)
        scratch *= grad
        second += scratch
        np.sqrt(second, out=scratch)
        scratch /= math.sqrt(1.0 - beta2**self.steps)
        scratch += self.eps
        np.divide(first, scratch, out=scratch)
        scratch *= self.lr / (1.0 - beta1**self.steps)
        data -= scratch

    def _decayed(self, data: Any, grad: Any) -> Any:
        return grad + self.weight_decay * data if self.weight_decay else grad


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

    def _decayed(self, data: Any, grad: Any) -> Any:
        data *= 1.0 - self.lr * self.weight_decay
        return grad
