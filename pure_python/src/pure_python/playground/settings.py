"""What can be set in the page, and within which limits."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from pure_python.state import ACTIVATIONS
from pure_python.training.objective import LOSSES
from pure_python.training.trainer import INITS, OPTIMIZERS

BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")
GENERATED = ("moons", "circles", "xor", "spiral")
DATASETS = (*GENERATED, "own")
MOST_LAYERS, MOST_NEURONS = 5, 16
MOST_POINTS, MOST_CLASSES = 1000, 6
# Steps a second at most; 0 is as fast as it goes.
SPEEDS = (1, 10, 100, 1000, 0)


@dataclass(frozen=True)
class Settings:
    """All that decides a run besides points that were changed by hand."""

    dataset: str = "moons"
    samples: int = 200
    noise: float = 0.1
    classes: int = 2
    hidden: tuple[int, ...] = (8, 8)
    activation: str = "tanh"
    init: str = "xavier"
    loss: str = "cross-entropy"
    optimizer: str = "adam"
    lr: float = 0.01
    weight_decay: float = 0.0
    batch_size: int = 32
    seed: int = 1337
    backend: str = "pure_python"
    speed: int = 100

    def changed(self, changes: dict[str, Any]) -> Settings:
        return replace(self, **changes)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"hidden": list(self.hidden)}


# The settings that decide the points, and those that decide the first weights.
OF_THE_POINTS = ("dataset", "samples", "noise", "classes", "seed")
OF_THE_WEIGHTS = ("hidden", "init", "seed")

CHOICES: dict[str, tuple[Any, ...]] = {
    "dataset": DATASETS,
    "activation": ACTIVATIONS,
    "init": INITS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "backend": BACKENDS,
    "speed": SPEEDS,
}
# The smallest and the largest; where these are ints, the number has to be one.
RANGES: dict[str, tuple[float, float]] = {
    "samples": (10, MOST_POINTS),
    "noise": (0.0, 0.5),
    "classes": (2, MOST_CLASSES),
    "lr": (1e-6, 10.0),
    "weight_decay": (0.0, 1.0),
    "batch_size": (1, MOST_POINTS),
    "seed": (0, 2**32 - 1),
}
