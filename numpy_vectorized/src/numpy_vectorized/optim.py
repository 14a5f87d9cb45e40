"""Optimisers: how a parameter follows its gradient downhill. The rules are PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from itertools import pairwise
from operator import attrgetter, is_
from typing import Any

import numpy as np

from numpy_vectorized.engine import (
    STACK,
    Value,
    empty,
    follows,
    joined,
    parts_of,
    quiet,
    runs_of,
)
from pure_python.state import OptimizerState

__all__ = ["SGD", "Adam", "AdamW"]

# What is moved at once -----------------------------------------------------------------------
#
# A step takes a handful of calls of NumPy, and not a handful for every tensor: what lies together in
# memory, as the parameters of a model do, it moves as one array. A long array it moves in pieces,
# which stay in the cache from one call to the next.

PIECE = 2**17  # bytes

gradient_of = attrgetter("_grad")
room_of = attrgetter("_room")


class Arrays:
    """Vectors whose data follow each other in memory, and their gradients, which do as well."""

    def __init__(self, params: list[Any]) -> None:
        self.params = params
        self.data = joined([p._data for p in params])
        self.make_room()

    def make_room(self) -> None:
        """New memory for the gradients, where backward will write them."""
        gradient = empty(self.data.shape, self.data.dtype)
        self.take(gradient, parts_of(gradient.reshape(-1), self.params))
        for p, room in zip(self.params, self.gradients, strict=True):
            p._room = room

    def take(self, gradient: Any, gradients: list[Any]) -> None:
        self.gradients = gradients
        self.pieces = in_pieces(self.data, gradient)

    def gather(self) -> None:
        """Have all gradients in one array."""
        if all(map(is_, map(gradient_of, self.params), self.gradients)):
            return
        gradients = list(map(gradient_of, self.params))
        if self._joins(gradients):  # a Tape writes them so
            self.take(joined(gradients).reshape(self.data.shape), gradients)
            return
        if not all(map(is_, map(room_of, self.params), self.gradients)):
            self.make_room()  # somebody has read a gradient, and may have kept it
        for gradient, room in zip(gradients, self.gradients, strict=True):
            if gradient is None:
                room.fill(0.0)
            elif gradient is not room:
                np.copyto(room, gradient)

    def _joins(self, gradients: list[Any]) -> bool:
        """Whether gradients that were written elsewhere are one array as they lie."""
        first = gradients[0]
        return (
            not any(gradient is None for gradient in gradients)
            and first.dtype == self.data.dtype
            and first.flags.c_contiguous
            and all(follows(gradient, before) for before, gradient in pairwise(gradients))
        )

    def scatter(self) -> None:
        pass  # the data were moved where they lie


class Numbers:
    """Values that are single numbers, gathered in arrays for a step and set after it."""

    def __init__(self, params: list[Any]) -> None:
        self.params = params
        self.data, self.gradient = np.empty(len(params)), np.empty(len(params))
        self.pieces = in_pieces(self.data, self.gradient)

    def gather(self) -> None:
        self.data[:] = [p._data for p in self.params]
        self.gradient[:] = [p._grad for p in self.params]

    def scatter(self) -> None:
        for p, number in zip(self.params, self.data.tolist(), strict=True):
            p._data = number


def joined_data(run: list[Any]) -> Any:
    """The data of a run as one array."""
    data = [p._data for p in run]
    return np.array(data) if type(data[0]) is float else joined(data)


def split(array: Any) -> list[Any]:
    if array.ndim > 1:
        return [array]
    n = PIECE // array.itemsize
    return [array[i : i + n] for i in range(0, len(array), n)]


def in_pieces(data: Any, gradient: Any) -> list[tuple[Any, Any, Any]]:
    """(data, gradient, scratch) of each piece; the scratch is one for all."""
    pieces = list(zip(split(data), split(gradient), strict=True))
    scratch = [empty(d.shape, d.dtype) for d, _ in pieces[:1]]
    return [(d, g, scratch[0][: len(d)]) for d, g in pieces]


# Optimisers ----------------------------------------------------------------------------------


class Optimizer(OptimizerState):
    """What the optimisers of this backend share. A moment is a list of arrays, one a piece."""

    def __init__(self, params: Iterable[Value]) -> None:
        super().__init__(params, Value)

    def _values_of(self, entry: Any) -> Iterable[Any]:
        # A Vector made of Values holds copies of their data: the Values are what can be moved.
        return entry.operands if getattr(entry, "_operation", None) is STACK else (entry,)

    @cached_property
    def _runs(self) -> list[Any]:
        return [
            (Numbers if type(run[0]._data) is float else Arrays)(run)
            for run in runs_of(self.params)
        ]

    @quiet
    def step(self) -> None:
        """Move every parameter one step against its gradient."""
        self.steps += 1
        i = 0
        for run in self._runs:
            run.gather()
            for data, gradient, scratch in run.pieces:
                self._move(i, data, gradient, scratch)
                i += 1
            run.scatter()

    def _move(self, i: int, data: Any, grad: Any, scratch: Any) -> None:
        raise NotImplementedError

    def _zeros(self) -> list[Any]:
        moment = []
        for run in runs_of(self.params):
            data = joined_data(run)
            zeros = empty(data.shape, data.dtype)
            zeros.fill(0.0)
            moment += split(zeros)
        return moment

    def _flat(self, moment: list[Any]) -> list[float]:
        return [number for part in moment for number in part.ravel().tolist()]

    def _from_flat(self, numbers: list[float]) -> list[Any]:
        moment, start = self._zeros(), 0
        for part in moment:
            part[...] = np.reshape(numbers[start : start + part.size], part.shape)
            start += part.size
        return moment

    # The parameters of a copy lie elsewhere, and not together.

    def __getstate__(self) -> dict[str, Any]:
        state = {name: entry for name, entry in self.__dict__.items() if name != "_runs"}
        return state | {name: self._flat(state[name]) for name in self.moments}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in self.moments:
            setattr(self, name, self._from_flat(state[name]))


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
        np.multiply(grad, self._lr, scratch)
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
