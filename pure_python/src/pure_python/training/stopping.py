"""Early stopping: training ends where it gets no better, and the best weights are kept."""

from __future__ import annotations

import math
from typing import Any


class EarlyStopping:
    """Remembers the best weights, and says when nothing better has come for `patience` epochs.

    Better is a measure lower than the lowest by more than `tolerance`: a held-out loss, or an accuracy
    with its sign changed. best_epoch: the one it was lowest in, counted from 0.
    """

    def __init__(self, model: Any, optimizer: Any, patience: int, tolerance: float = 0.0) -> None:
        self.model, self.optimizer = model, optimizer
        self.patience, self.tolerance = patience, tolerance
        self.best, self.best_epoch = math.inf, -1
        self._epoch = -1
        self._states: tuple[Any, Any] | None = None

    def ends(self, measure: float) -> bool:
        """Whether training should end after an epoch with this measure."""
        self._epoch += 1
        if measure < self.best - self.tolerance:
            self.best, self.best_epoch = measure, self._epoch
            self._states = self.model.state_dict(), self.optimizer.state_dict()
        return self._epoch - self.best_epoch >= self.patience

    def restore(self) -> None:
        """Give the model its best weights, and the optimiser its state of then."""
        if self._states is not None:
            model, optimizer = self._states
            self.model.load_state_dict(model)
            self.optimizer.load_state_dict(optimizer)
