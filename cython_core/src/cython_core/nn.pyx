"""Neurons, layers and multilayer perceptrons, built from the engine's Values."""

import math
import random

from cython_core.engine cimport Arguments, Perceptrons, Value, Vector, arguments_of, is_sequence, vector

from pure_python.state import Module, chosen, sizes_of, whole

__all__ = ["MLP", "Layer", "Net", "Neuron"]

ACTIVATIONS = ("relu", "tanh", "sigmoid", "linear", "leaky_relu", "gelu", "silu", "softplus")

INITS = {
    "uniform": lambda n_in, n_out: 1.0,
    "xavier": lambda n_in, n_out: math.sqrt(6.0 / (n_in + n_out)),  # Glorot and Bengio 2010
    "he": lambda n_in, n_out: math.sqrt(6.0 / n_in),  # He and others 2015
}


class Neuron(Module):
    """activation(b + w·x). One weight an input, drawn from Python's random; the bias 0.0.

    seed: draw from random.Random(seed) instead of the random module itself.
    ValueError for an unknown activation or init, or a size below 1.
    """

    def __init__(self, n_in, activation="relu", init="uniform", seed=None):
        generator = random if seed is None else random.Random(seed)
        self._build(n_in, 1, activation, init, generator)

    def _build(self, n_in, n_out, activation, init, generator):
        self.n_in = whole("n_in", n_in)
        self.activation = chosen("activation", activation, ACTIVATIONS)
        scale = INITS[chosen("init", init, INITS)](n_in, n_out)
        self._weight = tuple([Value(scale * generator.uniform(-1, 1)) for _ in range(n_in)])
        self._bias = Value(0.0)
        self._perceptrons = None

    @property
    def weight(self):
        """The n_in weights, a tuple of Values."""
        return self._weight

    @property
    def bias(self):
        """The bias, a Value."""
        return self._bias

    def __call__(self, x):
        """The output for one sample of n_in numbers or Values; for a batch, a Vector of them."""
        return per_sample(self, x)

    def _outputs(self, inputs):
        if self._perceptrons is None:  # of a neuron that is called by itself, not in its layer
            self._perceptrons = Perceptrons((self._weight,), (self._bias,), self.activation)
        return (<Perceptrons>self._perceptrons).block(inputs, None, 1)

    def named_parameters(self):
        """(name, Value) of each weight, then of the bias."""
        for column, w in enumerate(self._weight):
            yield f"weight.{column}", w
        yield "bias", self._bias

    def _tensors(self):
        return {"weight": vector((vector(self._weight),)), "bias": vector((self._bias,))}

    def _short(self):
        return f"Neuron({self.n_in})"

    def __repr__(self):
        return f"Neuron({self.n_in}, activation={self.activation!r})"


class Layer(Module):
    """n_out neurons over the same n_in inputs. The arguments are those of Neuron."""

    def __init__(self, n_in, n_out, activation="relu", init="uniform", seed=None):
        generator = random if seed is None else random.Random(seed)
        self._build(n_in, n_out, activation, init, generator)

    def _build(self, n_in, n_out, activation, init, generator):
        self.n_in = whole("n_in", n_in)
        self.n_out = whole("n_out", n_out)
        self.activation = chosen("activation", activation, ACTIVATIONS)
        self.neurons = tuple([Neuron.__new__(Neuron) for _ in range(n_out)])
        for neuron in self.neurons:
            neuron._build(n_in, n_out, activation, init, generator)
        self._perceptrons = Perceptrons(
            tuple([neuron.weight for neuron in self.neurons]),
            tuple([neuron.bias for neuron in self.neurons]),
            activation,
        )

    def __call__(self, x):
        """The outputs for one sample: a Vector, a Value where n_out is 1; for a batch, a Vector."""
        return per_sample(self, x)

    def _outputs(self, inputs):
        return (<Perceptrons>self._perceptrons).block(inputs, None, 1)

    @property
    def weight(self):
        """The weights, n_out × n_in: weight[row][column]."""
        return vector(tuple([vector(neuron.weight) for neuron in self.neurons]))

    @property
    def bias(self):
        """The n_out biases."""
        return vector(tuple([neuron.bias for neuron in self.neurons]))

    def named_parameters(self):
        """(name, Value), neuron by neuron, a neuron's weights before its bias."""
        for row, neuron in enumerate(self.neurons):
            for column, w in enumerate(neuron.weight):
                yield f"weight.{row}.{column}", w
            yield f"bias.{row}", neuron.bias

    def _tensors(self):
        return {"weight": self.weight, "bias": self.bias}

    def _short(self):
        return f"Layer({self.n_in}, {self.n_out})"

    def __repr__(self):
        return f"Layer({self.n_in}, {self.n_out}, activation={self.activation!r})"


class MLP(Module):
    """A multilayer perceptron: layers of n1, ..., nk neurons over n_in inputs.

    MLP(n_in, [n1, ..., nk]) or MLP([n_in, n1, ..., nk]). output_activation is that of the last
    layer. The other arguments are those of Neuron.
    """

    def __init__(
        self,
        n_in,
        n_outs=None,
        activation="relu",
        output_activation="linear",
        init="uniform",
        seed=None,
    ):
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

    def __call__(self, x):
        """The outputs for one sample: a Vector, a Value where n_out is 1; for a batch, a Vector."""
        return per_sample(self, x)

    def _outputs(self, inputs):
        outputs = None
        for layer in self.layers:
            if outputs is not None:
                inputs = arguments_of(outputs, "MLP")
            outputs = layer._outputs(inputs)
        return outputs

    def named_parameters(self):
        """(name, Value), layer by layer."""
        for i, layer in enumerate(self.layers):
            for name, p in layer.named_parameters():
                yield f"layers.{i}.{name}", p

    def _tensors(self):
        return {
            f"layers.{i}.{name}": tensor
            for i, layer in enumerate(self.layers)
            for name, tensor in layer._tensors().items()
        }

    def _short(self):
        return f"MLP({self.n_in}, {[layer.n_out for layer in self.layers]})"

    def __repr__(self):
        return (
            f"MLP({self.n_in}, {[layer.n_out for layer in self.layers]}, "
            f"activation={self.activation!r}, output_activation={self.output_activation!r})"
        )


Net = MLP


cdef object per_sample(object module, object x):
    """Call the module on one sample, or on each sample of a batch in turn."""
    if hasattr(x, "tolist"):
        x = x.tolist()
    if not is_sequence(x):
        raise TypeError(f"{module._short()} expects a sequence of {module.n_in} inputs, got {x!r}")
    if not isinstance(x, (list, tuple, Vector)):
        x = list(x)
    if len(x) and is_sequence(x[0]):
        return vector(tuple([
            one_sample(module, row, f" in row {i}") for i, row in enumerate(x)
        ]))
    return one_sample(module, x, "")


cdef object one_sample(object module, object x, str where):
    inputs = arguments_of(x, module._short())
    if inputs.count != module.n_in:
        raise ValueError(
            f"{module._short()} expects {module.n_in} inputs, got {inputs.count}{where}"
        )
    outputs = module._outputs(inputs)
    return outputs[0] if len(outputs) == 1 else outputs
