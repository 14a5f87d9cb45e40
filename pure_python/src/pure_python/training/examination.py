"""Looking for mistakes while a network learns: `train --diagnose`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pure_python.graph import diagnose

FIRST = 3
QUARTERS = 4
# How many more looks there are in between, while all of them take no more than this of the time.
IN_BETWEEN = 20
SHARE = 0.1
OF_UNITS = ("dead relu", "saturated")


class Examination:
    """Diagnoses some of the graphs of a run, and says each finding once, of units each unit once.

    It looks at the first three steps, after each quarter of the run and at the last step, some
    seven times; and up to twenty times more, while looking takes less than a tenth of the time. A
    look takes as long as 10 to 40 steps of pure_python or numpy_vectorized, and as 300 to 1500 of
    cython_core: on moons and digits 1 to 300 milliseconds.
    """

    def __init__(self, model: Any, n_steps: int, say: Callable[[str], None]) -> None:
        self.model, self.n_steps, self._say = model, n_steps, say
        self.looks = self.found = 0
        self._told: dict[str, set[str]] = {}
        self._began = time.perf_counter()
        self._seconds = 0.0

    def look(self, loss: Any, step: int, epoch: int) -> None:
        """Diagnose the graph of a step, numbered from 0, after backward; if it is time to."""
        if not self._due(step):
            return
        began = time.perf_counter()
        self.looks += 1
        for finding in diagnose(loss, self.model):
            told = self._told.setdefault(finding.kind, set())
            if not told or (finding.kind in OF_UNITS and not told.issuperset(finding.nodes)):
                told.update(finding.nodes)
                self.found += 1
                self._say(f"epoch {epoch}: {finding}")
        self._seconds += time.perf_counter() - began

    def _due(self, step: int) -> bool:
        if step < FIRST or step == self.n_steps - 1:
            return True
        if step % max(1, self.n_steps // QUARTERS) == 0:
            return True
        if step % max(1, self.n_steps // IN_BETWEEN):
            return False
        return self._seconds < SHARE * (time.perf_counter() - self._began)

    def why(self, loss: Any) -> str:
        """How a loss came about that is no finite number."""
        return " ".join(f"{finding.seen}" for finding in diagnose(loss, self.model)[:1])

    def summary(self) -> str:
        looks = "1 look" if self.looks == 1 else f"{self.looks} looks"
        if not self.found:
            return f"nothing found in {looks}"
        found = "1 finding" if self.found == 1 else f"{self.found} findings"
        return f"{found} in {looks}, said while training"
