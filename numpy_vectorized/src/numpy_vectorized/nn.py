"""Neurons, layers and multilayer perceptrons: one weight tensor and one bias a layer."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numpy_vectorized.engine import (
    DTYPES,
    Value,
    Vector,
    empty,
    is_sequence,
    parts_of,
    quiet,
    tensor_of,
)
from numpy_vectorized.functional import PERCEPTRONS
from pure_python.state import Module, chosen, sizes_of, whole

__all__ = ["MLP", "Layer", "Net", "Neuron"]

INITS = {
    "uniform": lambda n_in, n_out: 1.0,
    "xavier": lambda n_in, n_out: math.sqrt(6.0 / (n_in + n_out)),  # Glorot and Bengio 2010
    "he": lambda n_in, n_out: math.sqrt(6.0 / n_in),  # He and others 2015
}

# Modules -------------------------------------------------------------------------------------


class Neuron(Module):
    """activation(b + w·x). weight has n_in elements, drawn from Python's random; bias is 0.0.

    seed: draw from random.Random(seed) instead of the random module itself.
    dtype: of the weight, "float64" (the default) or "float32".
    ValueError for an unknown activation or init, or a size below 1.
    """

    def __init__(
        self,
        n_in: int,
        activation: str = "relu",
        init: str = "uniform",
        seed: int | None = None,
        *,
        dtype: Any = None,
    ) -> None:
        self.n_in = whole("n_in", n_in)
        self.activation = chosen("activation", activation, PERCEPTRONS)
        generator = random if seed is None else random.Random(seed)
        self.weight = Vector(drawn((self.n_in,), init, self.n_in, 1, generator), dtype=dtype)
        self.bias = Value(0.0)

    @quiet
    def __call__(self, x: Any) -> Any:
        """The output for one sample of n_in numbers or Values; for a batch, a Vector of them."""
        return self._outputs(inputs_of(self, x))

    def _outputs(self, inputs: Any) -> Any:
        return PERCEPTRONS[self.activation](inputs, self.weight, self.bias, single=True)

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """(name, Value) of the weights and of the bias."""
        yield "weight", self.weight
        yield "bias", self.bias

    def _tensors(self) -> dict[str, Any]:
        return {"weight": self.weight.reshape(1, -1), "bias": AsVector(self.bias)}

    def _short(self) -> str:
        return f"Neuron({self.n_in})"

    def __repr__(self) -> str:
        return f"Neuron({self.n_in}, activation={self.activation!r})"


class AsVector:
    """A scalar Value whose data read and are set as an array of one, for a state_dict."""

    def __init__(self, value: Value) -> None:
        self.value = value

    @property
    def data(self) -> np.ndarray:
        return np.array([self.value.data])

    @data.setter
    def data(self, numbers: Any) -> None:
        (self.value.data,) = numbers


class Layer(Module):
    """n_out neurons over the same n_in inputs. The arguments are those of Neuron."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        activation: str = "relu",
        init: str = "uniform",
        seed: int | None = None,
        *,
        dtype: Any = None,
    ) -> None:
        generator = random if seed is None else random.Random(seed)
        self._build(n_in, n_out, activation, init, generator, dtype)
        side_by_side(self.parameters())

    def _build(
        self, n_in: int, n_out: int, activation: str, init: str, generator: Any, dtype: Any
    ) -> None:
        self.n_in = whole("n_in", n_in)
        self.n_out = whole("n_out", n_out)
        self.activation = chosen("activation", activation, PERCEPTRONS)
        shape = (self.n_out, self.n_in)
        self.weight = Vector(drawn(shape, init, self.n_in, self.n_out, generator), dtype=dtype)
        self.bias = Vector(np.zeros(self.n_out), dtype=dtype)

    @quiet
    def __call__(self, x: Any) -> Any:
        """The outputs for one sample: a Vector, a Value where n_out is 1; for a batch, a Vector."""
        return self._outputs(inputs_of(self, x))

    def _outputs(self, inputs: Any) -> Any:
        operation = PERCEPTRONS[self.activation]
        return operation(inputs, self.weight, self.bias, single=self.n_out == 1)

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """(name, Value) of the weights and of the biases."""
        yield "weight", self.weight
        yield "bias", self.bias

    def _tensors(self) -> dict[str, Any]:
        return dict(self.named_parameters())

    def _short(self) -> str:
        return f"Layer({self.n_in}, {self.n_out})"

    def __repr__(self) -> str:
        return f"Layer({self.n_in}, {self.n_out}, activation={self.activation!r})"


class MLP(Module):
    """A multilayer perceptron: layers of n1, ..., nk neurons over n_in inputs.

    MLP(n_in, [n1, ..., nk]) or MLP([n_in, n1, ..., nk]). output_activation is that of the last
    layer. The other arguments are those of Neuron.
    """

    def __init__(
        self,
        n_in: int | Sequence[int],
        n_outs: Sequence[int] | None = None,
        activation: str = "relu",
        output_activation: str = "linear",
        init: str = "uniform",
        seed: int | None = None,
        *,
        dtype: Any = None,
    ) -> None:
        sizes = sizes_of(n_in, n_outs)
        generator = random if seed is None else random.Random(seed)
        self.n_in, self.n_out = sizes[0], sizes[-1]
        self.activation = chosen("activation", activation, PERCEPTRONS)
        self.output_activation = chosen("output_activation", output_activation, PERCEPTRONS)
        self.layers = tuple([Layer.__new__(Layer) for _ in sizes[1:]])
        for i, layer in enumerate(self.layers):
            last = i == len(self.layers) - 1
            name = output_activation if last else activation
            layer._build(sizes[i], sizes[i + 1], name, init, generator, dtype)
        side_by_side(self.parameters())

    @quiet
    def __call__(self, x: Any) -> Any:
        """The outputs for one sample: a Vector, a Value where n_out is 1; for a batch, a Vector."""
        return self._outputs(inputs_of(self, x))

    def _outputs(self, inputs: Any) -> Any:
        last = self.layers[-1]
        for layer in self.layers:
            single = layer is last and layer.n_out == 1
            inputs = PERCEPTRONS[layer.activation](inputs, layer.weight, layer.bias, single)
        return inputs

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """(name, Value), layer by layer."""
        for i, layer in enumerate(self.layers):
            for name, p in layer.named_parameters():
                yield f"layers.{i}.{name}", p

    def _tensors(self) -> dict[str, Any]:
        return dict(self.named_parameters())

    def _short(self) -> str:
        return f"MLP({self.n_in}, {[layer.n_out for layer in self.layers]})"

    def __repr__(self) -> str:
        return (
            f"MLP({self.n_in}, {[layer.n_out for layer in self.layers]}, "
            f"activation={self.activation!r}, output_activation={self.output_activation!r})"
        )


Net = MLP


def drawn(shape: tuple[int, ...], init: str, n_in: int, n_out: int, generator: Any) -> np.ndarray:
    """First weights, neuron by neuron, in the order in which the scalar backends draw them."""
    scale = INITS[chosen("init", init, INITS)](n_in, n_out)
    return scale * np.array([generator.uniform(-1, 1) for _ in range(math.prod(shape))]).reshape(
        shape
    )


def side_by_side(vectors: list[Any]) -> None:
    """Let the data of new Vectors follow each other in memory: an optimiser moves them as one."""
    memory = empty((sum(v.size for v in vectors),), vectors[0].dtype)
    np.concatenate([v._data.ravel() for v in vectors], out=memory)
    for v, part in zip(vectors, parts_of(memory, vectors), strict=True):
        v._data = part


def inputs_of(module: Any, x: Any) -> Any:
    """One sample or a batch as a Vector or an array, with its size checked."""
    if type(x) is np.ndarray and x.dtype in DTYPES and x.ndim and x.shape[-1] == module.n_in:
        return x
    if not is_sequence(x):
        raise TypeError(f"{module._short()} expects a sequence of {module.n_in} inputs, got {x!r}")
    if isinstance(x, list | tuple) and x and is_sequence(x[0]):
        for i, row in enumerate(x):
            if is_sequence(row) and len(row) != module.n_in:
                raise wrong_size(module, len(row), f" in row {i}")
    x = tensor_of(x, module._short())
    if x.shape[-1] != module.n_in:
        raise wrong_size(module, x.shape[-1], " in row 0" if x.ndim > 1 and len(x) else "")
    return x


def wrong_size(module: Any, got: int, where: str) -> ValueError:
    return ValueError(f"{module._short()} expects {module.n_in} inputs, got {got}{where}")
