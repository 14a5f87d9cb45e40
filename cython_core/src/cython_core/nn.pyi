from collections.abc import Iterator, Sequence
from typing import Any

from cython_core.engine import Value, Vector
from pure_python.state import Module

__all__ = ["MLP", "Layer", "Net", "Neuron"]

class Neuron(Module):
    n_in: int
    activation: str
    def __init__(
        self,
        n_in: int,
        activation: str = "relu",
        init: str = "uniform",
        seed: int | None = None,
    ) -> None: ...
    @property
    def weight(self) -> tuple[Value, ...]: ...
    @property
    def bias(self) -> Value: ...
    def __call__(self, x: Any) -> Any: ...
    def named_parameters(self) -> Iterator[tuple[str, Value]]: ...

class Layer(Module):
    n_in: int
    n_out: int
    activation: str
    neurons: tuple[Neuron, ...]
    def __init__(
        self,
        n_in: int,
        n_out: int,
        activation: str = "relu",
        init: str = "uniform",
        seed: int | None = None,
    ) -> None: ...
    @property
    def weight(self) -> Vector: ...
    @property
    def bias(self) -> Vector: ...
    def __call__(self, x: Any) -> Any: ...
    def named_parameters(self) -> Iterator[tuple[str, Value]]: ...

class MLP(Module):
    n_in: int
    n_out: int
    activation: str
    output_activation: str
    layers: tuple[Layer, ...]
    def __init__(
        self,
        n_in: int | Sequence[int],
        n_outs: Sequence[int] | None = None,
        activation: str = "relu",
        output_activation: str = "linear",
        init: str = "uniform",
        seed: int | None = None,
    ) -> None: ...
    def __call__(self, x: Any) -> Any: ...
    def named_parameters(self) -> Iterator[tuple[str, Value]]: ...

Net = MLP
