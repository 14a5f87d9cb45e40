"""What a network is to learn: the loss of its outputs, and how much each class counts in it."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .csv_files import number_in, shown
from .datasets import class_name
from .errors import InputError

LOSSES = ("max-margin", "cross-entropy", "mse")
EQUAL, BALANCED = "equal", "balanced"


class Objective:
    """What the outputs of a network mean: how they are judged, and which class they name.

    With two classes there is one output, whose sign is the class; with more, one output a class.
    class_weights: how much a sample of each class counts; None: all alike.
    """

    def __init__(
        self,
        backend: ModuleType,
        loss: str,
        n_classes: int,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        self.backend, self.loss, self.n_classes = backend, loss, n_classes
        self._weights = None if class_weights is None else np.array(class_weights, dtype=float)

    @property
    def n_outputs(self) -> int:
        return 1 if self.n_classes == 2 else self.n_classes

    def __call__(self, outputs: Any, targets: np.ndarray) -> Any:
        """The mean loss of a batch of outputs, a Value; with class weights the weighted mean."""
        if self._weights is None:
            return self._mean(outputs, targets)
        # Samples of one class count alike, so theirs is an ordinary mean.
        ends = [*(np.flatnonzero(np.diff(targets)) + 1).tolist(), len(targets)]
        whole, total, begin = self.weight(targets), None, 0
        for end in ends:
            share = self.weight(targets[begin:end]) / whole
            part = self._mean(outputs[begin:end], targets[begin:end]) * share
            total = part if total is None else total + part
            begin = end
        return total

    def weight(self, targets: np.ndarray) -> float:
        """How much these samples count together: their number, if all count alike."""
        return len(targets) if self._weights is None else float(self._weights[targets].sum())

    def arranged(self, inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """These samples with those of a class side by side, where classes differ in weight.

        The loss is the same in any order, and computed in as many parts as classes change.
        """
        if self._weights is None:
            return inputs, targets
        order = np.argsort(targets, kind="stable")
        return inputs[order], targets[order]

    def _mean(self, outputs: Any, targets: np.ndarray) -> Any:
        if self.loss == "cross-entropy":
            if self.n_classes == 2:
                return self.backend.binary_cross_entropy_with_logits(outputs, targets.tolist())
            return self.backend.cross_entropy(outputs, targets.tolist())
        # One against the rest: 1 for the class, -1 for all others.
        labels = (2.0 * targets - 1.0) if self.n_classes == 2 else self._signs(targets)
        loss = self.backend.hinge_loss if self.loss == "max-margin" else self.backend.mse_loss
        return loss(outputs, labels.tolist())

    def _signs(self, targets: np.ndarray) -> np.ndarray:
        signs: np.ndarray = 2.0 * np.eye(self.n_classes)[targets] - 1.0
        return signs

    def chosen(self, scores: np.ndarray) -> np.ndarray:
        """The class of each row of outputs' data, as an index."""
        return (scores > 0).astype(np.int64) if self.n_classes == 2 else scores.argmax(axis=1)

    def right(self, scores: np.ndarray, targets: np.ndarray) -> float:
        """How many rows of outputs' data are right."""
        return int((self.chosen(scores) == targets).sum())


def class_weights(
    text: str, classes: Sequence[str], targets: np.ndarray
) -> tuple[float, ...] | None:
    """What `--class-weight` asks for, a number for each class; None if all are to count alike.

    text: `equal`; `balanced`, by which all classes count alike however many samples (`targets`) each
    has; or weights by name, such as `a=2,b=0.5`, where 1 is that of a class left out. A name with a
    comma in it stands in quotes with its weight: `"a,b=2"`.
    """
    if text == EQUAL:
        return None
    if text == BALANCED:
        counts = np.bincount(targets, minlength=len(classes))
        # A class that there is nothing to learn of counts as any other where it is judged.
        present = int((counts > 0).sum())
        return tuple(len(targets) / (present * int(n)) if n else 1.0 for n in counts)
    weights: dict[str, float] = {}
    try:
        parts = next(csv.reader([text], skipinitialspace=True)) or [""]
    except csv.Error:  # such as an end of line
        parts = [text]
    for part in parts:
        name, equals, number = part.rpartition("=")
        weight = number_in(number)
        name = class_name(name.strip())
        if not equals or weight is None or not 0.0 < weight < math.inf:
            raise InputError(
                f"--class-weight {shown(part)}: {BALANCED}, {EQUAL}, or classes with their weights are "
                "expected, finite numbers above 0, such as yes=2,no=0.5"
            )
        if name in weights or name not in classes:
            there = ", ".join(map(shown, classes[:12])) + (", …" if len(classes) > 12 else "")
            fault = "is given twice" if name in weights else "is no class"
            raise InputError(f"--class-weight: {shown(name)} {fault}; there are {there}")
        weights[name] = weight
    return tuple(weights.get(name, 1.0) for name in classes)
