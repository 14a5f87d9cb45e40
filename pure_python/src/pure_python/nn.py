"""Neurons, layers and multilayer perceptrons, built from the engine's Values."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

from pure_python.engine import (
    GELU,
    LEAKY_RELU,
    OUTPUT,
    RELU,
    SIGMOID,
    SILU,
    SOFTPLUS,
    TANH,
    Block,
    Unary,
    Value,
    Vector,
    arguments_of,
    data_of,
    is_sequence,
    of_operands,
    record_block,
    recording,
    values_among,
    vector,
    zeros_change_nothing,
)
from pure_python.state import Module, chosen, sizes_of, whole

__all__ = ["MLP", "Layer", "Net", "Neuron"]

ACTIVATIONS: dict[str, Unary | None] = {
    "relu": RELU,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "linear": None,
    "leaky_relu": LEAKY_RELU,
    "gelu": GELU,
    "silu": SILU,
    "softplus": SOFTPLUS,
}

INITS = {
    "uniform": lambda n_in, n_out: 1.0,
    "xavier": lambda n_in, n_out: math.sqrt(6.0 / (n_in + n_out)),  # Glorot and Bengio 2010
    "he": lambda n_in, n_out: math.sqrt(6.0 / n_in),  # He and others 2015
}

# The operation -------------------------------------------------------------------------------


class Perceptrons:
    """y_j = activation(b_j + w_j·x) for every neuron of a layer, as one block.

    The bits are those of the single multiplies and adds: each sum runs from left to right, and
    backward goes from the last neuron to the first, in each from the last weight to the first.

    The inputs are Values and numbers, or the block of the layer below. Between two layers of an MLP
    no Values are made: whoever asks for one, a drawing for instance, gets it then (Hidden).
    """

    __slots__ = ("activation", "name")

    def __init__(self, activation: Unary | None) -> None:
        self.activation = activation
        self.name = f"{activation.name}(dot)" if activation else "dot"

    def __call__(self, neurons: Sequence[Neuron], inputs: Any) -> list[Value]:
        sums, outputs = self.compute(neurons, inputs)
        return record_block(outputs, self, nodes_among(inputs), [neurons, inputs, sums])

    def hidden(self, neurons: Sequence[Neuron], inputs: Any) -> Any:
        """The block itself, for the layer above; where nothing is recorded, its numbers."""
        sums, outputs = self.compute(neurons, inputs)
        if not recording():
            return outputs
        return Block(outputs, self, nodes_among(inputs), [neurons, inputs, sums])

    def compute(self, neurons: Sequence[Neuron], inputs: Any) -> tuple[list[float], list[float]]:
        xs = numbers_of(inputs)
        columns = range(len(xs))
        sums = []
        for neuron in neurons:
            z = neuron.bias._data
            weights = neuron.weight
            for i in columns:
                z += weights[i]._data * xs[i]
            sums.append(z)
        return sums, list(map(self.activation.value, sums)) if self.activation else sums

    def operands(self, block: Block, index: int) -> tuple[Value, ...]:
        neurons, inputs, _ = block._context
        return (*neurons[index].weight, *values_among(inputs_of(inputs)), neurons[index].bias)

    def recompute(self, block: Block) -> None:
        neurons, inputs, _ = block._context
        block._context[2], block._data = self.compute(neurons, inputs)

    def backward(self, block: Block) -> None:
        neurons, inputs, sums = block._context
        xs = numbers_of(inputs)
        columns = range(len(xs) - 1, -1, -1)
        slope = self.activation.slope if self.activation else None
        gradients, outputs = block.gradients, block._data
        hidden = isinstance(inputs, Block)
        # Zeros times anything finite are zeros, and what is infinite makes a sum infinite or nan.
        idle = zeros_change_nothing() and math.isfinite(sum(xs))
        for j in range(len(neurons) - 1, -1, -1):
            above = slope(sums[j], outputs[j]) * gradients[j] if slope else gradients[j]
            weights = neurons[j].weight
            if above == 0.0 and idle and math.isfinite(sum([w._data for w in weights])):
                continue  # as half of all neurons with a relu: it has only zeros to hand down
            if hidden:
                below = inputs.gradients
                for i in columns:
                    w = weights[i]
                    w._grad += xs[i] * above
                    below[i] += w._data * above
            else:
                for i in columns:
                    w, x = weights[i], inputs[i]
                    w._grad += xs[i] * above
                    if isinstance(x, Value):
                        x._grad += w._data * above
            neurons[j].bias._grad += above

    def local_gradients(self, block: Block, index: int) -> tuple[float, ...]:
        neurons, inputs, sums = block._context
        weights, bias = neurons[index].weight, neurons[index].bias
        slope = self.activation.slope(sums[index], block._data[index]) if self.activation else 1.0
        slopes = [x * slope for x in (*numbers_of(inputs), *data_of(weights), 1.0)]
        return of_operands((*weights, *inputs_of(inputs), bias), slopes)

    def compose_output(self, block: Block, node: Value) -> tuple[Any, ...]:
        neurons, inputs, sums = block._context
        j, above, name = node._context, node._grad, ""
        if self.activation:
            name = self.activation.name
            above = self.activation.slope(sums[j], block._data[j]) * above
        return neurons[j].weight, inputs_of(inputs), neurons[j].bias, name, above


class Hidden(Value):
    """An output of a layer that only the layer above has used, made when somebody asks for it.

    Two of the same neuron are equal, whichever was made first.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and self._place() == other._place()

    def __hash__(self) -> int:
        return hash(self._place())

    def _place(self) -> tuple[int, int]:
        return id(self._left[0]), self._context


def hidden_values(block: Block) -> list[Value]:
    gradients = block.gradients or [0.0] * len(block._data)
    values: list[Value] = []
    for i, (y, gradient) in enumerate(zip(block._data, gradients, strict=True)):
        value = Hidden(y)
        value._operation, value._left, value._context = OUTPUT, (block,), i
        value._grad = gradient
        values.append(value)
    return values


def inputs_of(inputs: Any) -> list[Any]:
    return hidden_values(inputs) if isinstance(inputs, Block) else inputs


def numbers_of(inputs: Any) -> list[float]:
    return inputs._data if isinstance(inputs, Block) else data_of(inputs)


def nodes_among(inputs: Any) -> tuple[Any, ...]:
    return (inputs,) if isinstance(inputs, Block) else values_among(inputs)


PERCEPTRONS = {name: Perceptrons(row) for name, row in ACTIVATIONS.items()}

# Modules -------------------------------------------------------------------------------------


class Neuron(Module):
    """activation(b + w·x). One weight an input, drawn from Python's random; the bias 0.0.

    seed: draw from random.Random(seed) instead of the random module itself.
    ValueError for an unknown activation or init, or a size below 1.
    """

    def __init__(
        self,
        n_in: int,
        activation: str = "relu",
        init: str = "uniform",
        seed: int | None = None,
    ) -> None:
        generator = random if seed is None else random.Random(seed)
        self._build(n_in, 1, activation, init, generator)

    def _build(self, n_in: int, n_out: int, activation: str, init: str, generator: Any) -> None:
        self.n_in = whole("n_in", n_in)
        self.activation = chosen("activation", activation, ACTIVATIONS)
        scale = INITS[chosen("init", init, INITS)](n_in, n_out)
        self.weight = tuple([Value(scale * generator.uniform(-1, 1)) for _ in range(n_in)])
        self.bias = Value(0.0)

    def __call__(self, x: Any) -> Any:
        """The output for one sample of n_in numbers or Values; for a batch, a Vector of them."""
        return per_sample(self, x)

    def _outputs(self, inputs: Any) -> list[Value]:
        return PERCEPTRONS[self.activation]((self,), inputs)

    def parameters(self) -> list[Value]:
        """The Values of every parameter, in the order of named_parameters."""
        return [*self.weight, self.bias]

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """(name, Value) of each weight, then of the bias."""
        for column, w in enumerate(self.weight):
            yield f"weight.{column}", w
        yield "bias", self.bias

    def _tensors(self) -> dict[str, Any]:
        return {"weight": vector([vector(self.weight)]), "bias": vector([self.bias])}

    def _short(self) -> str:
        return f"Neuron({self.n_in})"

    def __repr__(self) -> str:
        return f"Neuron({self.n_in}, activation={self.activation!r})"


class Layer(Module):
    """n_out neurons over the same n_in inputs. The arguments are those of Neuron."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        activation: str = "relu",
        init: str = "uniform",
        seed: int | None = None,
    ) -> None:
        generator = random if seed is None else random.Random(seed)
        self._build(n_in, n_out, activation, init, generator)

    def _build(self, n_in: int, n_out: int, activation: str, init: str, generator: Any) -> None:
        self.n_in = whole("n_in", n_in)
        self.n_out = whole("n_out", n_out)
        self.activation = chosen("activation", activation, ACTIVATIONS)
        self.neurons = tuple([Neuron.__new__(Neuron) for _ in range(n_out)])
        for neuron in self.neurons:
            neuron._build(n_in, n_out, activation, init, generator)

    def __call__(self, x: Any) -> Any:
        """The outputs for one sample: a Vector, a Value where n_out is 1; for a batch, a Vector."""
        return per_sample(self, x)

    def _outputs(self, inputs: Any) -> list[Value]:
        return PERCEPTRONS[self.activation](self.neurons, inputs)

    @property
    def weight(self) -> Vector:
        """The weights, n_out × n_in: weight[row][column]."""
        return vector([vector(neuron.weight) for neuron in self.neurons])

    @property
    def bias(self) -> Vector:
        """The n_out biases."""
        return vector([neuron.bias for neuron in self.neurons])

    def parameters(self) -> list[Value]:
        """The Values of every parameter, in the order of named_parameters."""
        return [p for neuron in self.neurons for p in neuron.parameters()]

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """(name, Value), neuron by neuron, a neuron's weights before its bias."""
        for row, neuron in enumerate(self.neurons):
            for column, w in enumerate(neuron.weight):
                yield f"weight.{row}.{column}", w
            yield f"bias.{row}", neuron.bias

    def _tensors(self) -> dict[str, Any]:
        return {"weight": self.weight, "bias": self.bias}

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
    ) -> None:
        sizes = sizes_of(n_in, n_outs)
        generator = random if seed is None else random.Random(seed)
        self.n_in, self.n_out = sizes[0], sizes[-1]
        self.activation = chosen("activation", activation, ACTIVATIONS)
        self.output_activation = chosen("output_activation", output_activation, ACTIVATIONS)
        self.layers = tuple([Layer.__new__(Layer) for _ in sizes[1:]])
        for i, layer in enumerate(self.layers):
            last = i == len(self.layers) - 1
            name = output_activation if last else activation
            layer._build(sizes[i], sizes[i + 1], name, init, generator)

    def __call__(self, x: Any) -> Any:
        """The outputs for one sample: a Vector, a Value where n_out is 1; for a batch, a Vector."""
        return per_sample(self, x)

    def _outputs(self, inputs: list[Any]) -> list[Value]:
        width = self.n_in
        for layer in self.layers:
            if layer.n_in != width:
                raise ValueError(f"{self!r} has a layer of {layer.n_in} inputs after {width}")
            width = layer.n_out
        *hidden, last = self.layers
        for layer in hidden:
            inputs = PERCEPTRONS[layer.activation].hidden(layer.neurons, inputs)
        return last._outputs(inputs)

    def parameters(self) -> list[Value]:
        """The Values of every parameter, in the order of named_parameters."""
        return [p for layer in self.layers for p in layer.parameters()]

    def named_parameters(self) -> Iterator[tuple[str, Value]]:
        """(name, Value), layer by layer."""
        for i, layer in enumerate(self.layers):
            for name, p in layer.named_parameters():
                yield f"layers.{i}.{name}", p

    def _tensors(self) -> dict[str, Any]:
        return {
            f"layers.{i}.{name}": tensor
            for i, layer in enumerate(self.layers)
            for name, tensor in layer._tensors().items()
        }

    def _short(self) -> str:
        return f"MLP({self.n_in}, {[layer.n_out for layer in self.layers]})"

    def __repr__(self) -> str:
        return (
            f"MLP({self.n_in}, {[layer.n_out for layer in self.layers]}, "
            f"activation={self.activation!r}, output_activation={self.output_activation!r})"
        )


Net = MLP


def per_sample(module: Any, x: Any) -> Any:
    """Call the module on one sample, or on each sample of a batch in turn."""
    x = x.tolist() if hasattr(x, "tolist") else x
    if not is_sequence(x):
        raise TypeError(f"{module._short()} expects a sequence of {module.n_in} inputs, got {x!r}")
    x = x if isinstance(x, Vector) else list(x)
    if len(x) and is_sequence(x[0]):
        return vector([one_sample(module, row, f" in row {i}") for i, row in enumerate(x)])
    return one_sample(module, x)


def one_sample(module: Any, x: Any, where: str = "") -> Any:
    inputs = arguments_of(x, module._short)
    if len(inputs) != module.n_in:
        raise ValueError(
            f"{module._short()} expects {module.n_in} inputs, got {len(inputs)}{where}"
        )
    outputs = module._outputs(inputs)
    return outputs[0] if len(outputs) == 1 else vector(outputs)
