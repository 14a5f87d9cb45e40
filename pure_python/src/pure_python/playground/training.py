"""A network that goes on training while its settings and its points change."""

from __future__ import annotations

import importlib
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from pure_python.training.objective import Objective

from .points import EXTENT, Points
from .settings import OF_THE_WEIGHTS, Settings

MOMENTS = ("momentum_buffer", "first_moment", "second_moment")
# Samples or places that go through the network between two looks at what the page wants.
ROWS_AT_ONCE = 256
LONGEST_CURVE = 512


@dataclass
class Curve:
    """The losses of all steps in at most LONGEST_CURVE means, each over `width` steps.

    The means are made pair by pair, so that two runs have the same bits where their losses have.
    """

    width: int = 1
    means: list[float] = field(default_factory=list)
    # The sums that are not whole yet: of 1, 2, 4, ... steps, like the digits of a binary number.
    carried: list[float | None] = field(default_factory=list)

    def add(self, loss: float) -> None:
        level, mean = 0, loss
        while 1 << level < self.width:
            if level == len(self.carried):
                self.carried.append(None)
            earlier = self.carried[level]
            if earlier is None:
                self.carried[level] = mean
                return
            self.carried[level] = None
            mean = (earlier + mean) / 2
            level += 1
        self.means.append(mean)
        if len(self.means) >= LONGEST_CURVE:
            pairs = zip(self.means[::2], self.means[1::2], strict=True)
            self.means = [(a + b) / 2 for a, b in pairs]
            self.width *= 2


@dataclass(frozen=True)
class Origin:
    """What a run can be repeated from: seed alone, or the weights after a change of its settings."""

    step: int
    weights: dict[str, Any] | None = None
    optimizer: dict[str, Any] | None = None


class Training:
    """The network, its optimiser and its points. After `step` steps they hold what a script can
    repeat from `origin`."""

    def __init__(self, settings: Settings, points: Points) -> None:
        self.settings, self.points = settings, points
        self.restart()

    def restart(self) -> None:
        """Begin anew from the seed."""
        s = self.settings
        self.backend: ModuleType = importlib.import_module(s.backend)
        self.objective = Objective(self.backend, s.loss, self.points.n_classes)
        self.model = self._new_model(s.seed)
        self.optimizer = self._new_optimizer()
        self.step = 0
        self.curve = Curve()
        self.batches: list[list[int]] = []
        self.origin = Origin(0)

    def change(self, settings: Settings, points: Points) -> None:
        """Take other settings and points, and go on from the present weights if they still fit."""
        before, outputs = self.settings, self.objective.n_outputs
        self.settings, self.points = settings, points
        anew = any(getattr(before, name) != getattr(settings, name) for name in OF_THE_WEIGHTS)
        objective = Objective(
            importlib.import_module(settings.backend), settings.loss, points.n_classes
        )
        if anew or self.step == 0 or outputs != objective.n_outputs:
            self.restart()
            return
        weights = self._weights()
        state = state_by_tensors(self.optimizer.state_dict(), self.model)
        self.backend, self.objective = objective.backend, objective
        self.model = self._new_model(settings.seed)
        self.model.load_state_dict(weights)
        self.optimizer = self._new_optimizer()
        fresh = self.optimizer.state_dict()
        if state["kind"] == fresh["kind"]:
            # The moments go on, under the hyperparameters of now.
            kept = {name: x for name, x in state.items() if name in ("step", *MOMENTS)}
            self.optimizer.load_state_dict(state_by_scalars(fresh | kept, self.model))
        self.batches = []
        self.origin = Origin(self.step, weights, self.optimizer.state_dict())

    def _weights(self) -> dict[str, Any]:
        state = self.model.state_dict()
        return {name: x.tolist() if hasattr(x, "tolist") else x for name, x in state.items()}

    def _new_model(self, seed: int) -> Any:
        s = self.settings
        return self.backend.MLP(
            2,
            [*s.hidden, self.objective.n_outputs],
            activation=s.activation,
            init=s.init,
            seed=seed,
        )

    def _new_optimizer(self) -> Any:
        s = self.settings
        kind = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}[s.optimizer]
        return getattr(self.backend, kind)(
            self.model.parameters(), lr=s.lr, weight_decay=s.weight_decay
        )

    # Learning

    def gradients(self) -> float:
        """The loss of the next batch, its gradients in the parameters. May be broken off and begun
        again: nothing that lasts is changed."""
        if not self.batches:
            self.batches = list(batches(len(self.points), self.settings, self.step))
        batch = self.batches[0]
        loss = self.objective(self.model(self.points.inputs[batch]), self.points.targets[batch])
        if not math.isfinite(loss.data):
            raise ArithmeticError(f"the loss is {loss.data}")
        self.optimizer.zero_grad()
        loss.backward()
        return float(loss.data)

    def update(self, loss: float) -> None:
        """The step that these gradients lead to."""
        self.optimizer.step()
        self.batches.pop(0)
        self.step += 1
        self.curve.add(loss)

    def judge(self) -> tuple[float, float]:
        """Loss and share of right answers over all points."""
        if not len(self.points):
            return math.nan, math.nan
        with self.backend.no_grad():
            outputs = self.model(self.points.inputs)
            loss = float(self.objective(outputs, self.points.targets).data)
        chosen = self.objective.chosen(np.asarray(outputs.data))
        return loss, float((chosen == self.points.targets).mean())

    # What there is to see

    def picture(
        self, side: int, abandon: Callable[[], bool] = lambda: False
    ) -> list[np.ndarray] | None:
        """What every neuron answers at side × side places of the plane: an array (neurons, side²) a
        layer, the outputs of the network last. None if it was abandoned."""
        axis = np.linspace(-EXTENT, EXTENT, side)
        # Rows from the top of the picture to its bottom.
        plane = np.column_stack([part.ravel() for part in np.meshgrid(axis, -axis)])
        parts: list[list[np.ndarray]] = []
        for i in range(0, len(plane), ROWS_AT_ONCE):
            if abandon():
                return None
            rows = plane[i : i + ROWS_AT_ONCE]
            layers = []
            with self.backend.no_grad():
                for layer in self.model.layers:
                    # A layer of one neuron answers with a number a row, the next takes rows.
                    rows = np.asarray(layer(rows).data).reshape(len(rows), -1)
                    layers.append(rows.astype(np.float32))
            parts.append(layers)
        return [np.concatenate(layer).T for layer in zip(*parts, strict=True)]

    def parameters(self) -> np.ndarray:
        """All weights and biases: layer by layer the weights row by row, then the biases."""
        state = self.model.state_dict().values()
        return np.concatenate([np.asarray(part, dtype=np.float32).ravel() for part in state])

    def graph_of(self, index: int) -> Any:
        """The loss of one point, a Value with its graph, after a backward pass."""
        place = self.points.inputs[index].tolist()
        inputs = [self.backend.Value(x, label=name) for x, name in zip(place, "xy", strict=True)]
        loss = self.objective([self.model(inputs)], self.points.targets[[index]])
        loss.label = "loss"
        self.optimizer.zero_grad()
        loss.backward()
        return loss


def batches(n: int, settings: Settings, step: int) -> Iterator[list[int]]:
    """The points of one time through the data, in an order that depends on seed and step alone."""
    order, size = list(range(n)), settings.batch_size
    if size < n:
        random.Random(f"{settings.seed} step {step}").shuffle(order)
    return (order[i : i + size] for i in range(0, n, size))


# The moments of an optimiser are flat lists in the order of its parameters: on scalar engines neuron
# by neuron, a neuron's weights before its bias; on arrays all weights of a layer before its biases.


def state_by_tensors(state: dict[str, Any], model: Any) -> dict[str, Any]:
    """A state of an optimiser with the moments in the order of arrays."""
    return _reordered(state, tensor_order(model))


def state_by_scalars(state: dict[str, Any], model: Any) -> dict[str, Any]:
    """The inverse, where the parameters of `model` are scalars."""
    order = tensor_order(model)
    return _reordered(state, np.argsort(order).tolist())


def tensor_order(model: Any) -> list[int]:
    """Where each scalar of the layers' weights and biases stands among the model's parameters."""
    if len(model.parameters()) < model.nparams():
        return list(range(model.nparams()))
    order, start = [], 0
    for layer in model.layers:
        place = start + np.arange(layer.n_out * (layer.n_in + 1)).reshape(layer.n_out, -1)
        order += [*place[:, :-1].ravel().tolist(), *place[:, -1].tolist()]
        start += place.size
    return order


def _reordered(state: dict[str, Any], order: list[int]) -> dict[str, Any]:
    moments = {name: state[name] for name in MOMENTS if state.get(name)}
    return state | {name: [numbers[k] for k in order] for name, numbers in moments.items()}
