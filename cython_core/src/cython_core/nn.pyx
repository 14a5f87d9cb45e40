"""Neurons, layers and multilayer perceptrons, built from the engine's Values."""

import math
import random

from cython_core.engine cimport (
    ACTIVATIONS, Arguments, Numbers, Perceptrons, Value, Vector, are_free, arguments_of, check_calls,
    clear_grad, is_sequence, one_through_layers, through_layers, vector,
)

from pure_python.state import Module, chosen, sizes_of, whole

__all__ = ["MLP", "Layer", "Net", "Neuron"]

INITS = {
    "uniform": lambda n_in, n_out: 1.0,
    "xavier": lambda n_in, n_out: math.sqrt(6.0 / (n_in + n_out)),  # Glorot and Bengio 2010
    "he": lambda n_in, n_out: math.sqrt(6.0 / n_in),  # He and others 2015
}


cdef class Stack:
    """The layers, Perceptrons, that a module's inputs go through."""

    cdef str name                   # of the attribute that they were collected from; maybe none
    cdef object parts               # what it was
    cdef tuple layers
    cdef Py_ssize_t n_in
    cdef bint together              # whether all samples can go through one before any through the next

    def __cinit__(self, object module):
        cdef Py_ssize_t width
        cdef Perceptrons layer
        self.name = module._parts
        self.parts = getattr(module, self.name) if self.name else None
        self.layers = module._as_layers()
        self.n_in = width = module.n_in
        self.together = len(set(self.layers)) == len(self.layers)
        if not self.layers:
            raise ValueError(f"{module!r} has no layers")
        for part in self.layers:
            layer = <Perceptrons?>part
            if layer.n_in != width:
                raise ValueError(f"{module!r} has a layer of {layer.n_in} inputs after {width}")
            width = layer.n_out
            self.together = self.together and layer.numbers is not None


class Parametric(Module):
    """What the modules of this backend share: their parameters are always the same Values."""

    _parts = ""         # the attribute that has the parameters; they are collected anew if it changes
    _collected = None
    _stack = None

    def parameters(self) -> list[Value]:
        """The Values of every parameter, in the order of named_parameters."""
        return list(all_parameters(self))

    def nparams(self) -> int:
        """The number of scalars among the parameters."""
        return len(all_parameters(self))

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to zero."""
        for p in all_parameters(self):
            clear_grad(p)

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k not in ("_collected", "_stack")}


class Neuron(Parametric):
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

    def _as_layers(self):
        # Of a neuron that is called by itself, not in its layer.
        return (Perceptrons((self._weight,), (self._bias,), self.activation),)

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


class Layer(Parametric):
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

    def _as_layers(self):
        return (self._perceptrons,)

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

    _parts = "neurons"

    def _short(self):
        return f"Layer({self.n_in}, {self.n_out})"

    def __repr__(self):
        return f"Layer({self.n_in}, {self.n_out}, activation={self.activation!r})"


class MLP(Parametric):
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

    def _as_layers(self):
        return tuple([perceptrons for layer in self.layers for perceptrons in layer._as_layers()])

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

    _parts = "layers"

    def _short(self):
        return f"MLP({self.n_in}, {[layer.n_out for layer in self.layers]})"

    def __repr__(self):
        return (
            f"MLP({self.n_in}, {[layer.n_out for layer in self.layers]}, "
            f"activation={self.activation!r}, output_activation={self.output_activation!r})"
        )


Net = MLP


cdef tuple all_parameters(object module):
    """Collected once, so that a training loop does not walk through the module every time."""
    parts = getattr(module, module._parts) if module._parts else None
    collected = module._collected
    if collected is None or collected[0] is not parts:
        collected = module._collected = (parts, tuple([p for _, p in module.named_parameters()]))
    return collected[1]


cdef Stack stack_of(object module):
    """Collected once, too."""
    cdef Stack stack = module._stack
    if stack is not None and (not stack.name or getattr(module, stack.name) is stack.parts):
        return stack
    stack = module._stack = Stack(module)
    return stack


cdef object per_sample(object module, object x):
    """Call the module on one sample, or on all samples of a batch."""
    cdef Stack stack = stack_of(module)
    cdef Arguments inputs
    if type(x) is not list:
        if hasattr(x, "tolist"):
            numbers = numbers_of_array(stack, x)
            if numbers is not None:
                return whole_batch(stack, Arguments(), numbers, numbers.count // stack.n_in)
            x = x.tolist()
        if not is_sequence(x):
            raise TypeError(
                f"{module._short()} expects a sequence of {module.n_in} inputs, got {x!r}"
            )
        if not isinstance(x, (list, tuple, Vector)):
            x = list(x)
    if len(x) and is_sequence(x[0]):
        return per_batch(module, stack, x)
    if type(x) is list and len(<list>x) == stack.n_in:
        output = one_through_layers(stack.layers, <list>x)
        if output is not None:
            return output
    inputs = arguments_of(x, module._short())
    if inputs.count != stack.n_in:
        raise ValueError(f"{module._short()} expects {module.n_in} inputs, got {inputs.count}")
    return through_layers(stack.layers, inputs, None, 1, False)


cdef Numbers numbers_of_array(Stack stack, object x):
    """Those of a two-dimensional array of doubles of the right width; None for anything else."""
    numbers = Numbers()
    if numbers.take(x) and numbers.count and numbers.columns == stack.n_in:
        return numbers
    return None


cdef object per_batch(object module, Stack stack, object rows):
    cdef Py_ssize_t n_in = stack.n_in, before, i
    cdef Arguments row
    cdef Numbers numbers = Numbers()
    for sample in rows:
        before = numbers.count
        if not numbers.take(sample) or numbers.count != before + n_in:
            break
    else:
        return whole_batch(stack, Arguments(), numbers, numbers.count // n_in)
    arguments = []
    for i, sample in enumerate(rows):
        row = arguments_of(sample, module._short())
        if row.count != n_in:
            raise ValueError(
                f"{module._short()} expects {n_in} inputs, got {row.count} in row {i}"
            )
        arguments.append(row)
    inputs = Arguments()
    for row in arguments:
        inputs.append(row)
    if stack.together and are_free(inputs):
        return whole_batch(stack, inputs, None, len(arguments))
    # A Value with more than one part to play gets its gradients in the order of the samples.
    return vector(tuple([through_layers(stack.layers, row, None, 1, False) for row in arguments]))


cdef object whole_batch(Stack stack, Arguments inputs, Numbers numbers, Py_ssize_t samples):
    cdef Py_ssize_t i
    if samples == 0:
        return vector(())
    if numbers is not None:
        if not stack.together:
            rows = []
            for i in range(samples):
                row = [numbers.data[i * stack.n_in + k] for k in range(stack.n_in)]
                rows.append(one_through_layers(stack.layers, row))
            return vector(tuple(rows))
        inputs.push(NULL, 0.0, 0, numbers.count)
    return through_layers(stack.layers, inputs, numbers, samples, True)


check_calls([f for kind in (Parametric, Neuron, Layer, MLP) for f in vars(kind).values()])
