from collections.abc import Iterable

from cython_core.engine import Value, Vector
from pure_python.state import OptimizerState

__all__ = ["SGD", "Adam", "AdamW"]

class Optimizer(OptimizerState): ...

class SGD(Optimizer):
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool
    def __init__(
        self,
        params: Iterable[Value | Vector],
        lr: float,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None: ...
    def step(self) -> None: ...

class Adam(Optimizer):
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    def __init__(
        self,
        params: Iterable[Value | Vector],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None: ...
    def step(self) -> None: ...

class AdamW(Adam):
    def __init__(
        self,
        params: Iterable[Value | Vector],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None: ...
