"""A graph as layers and units: whose weights a node uses, and what a text calls it.

A node is looked at as a whole: on the scalar backends a Value, else a Value that may hold an array.
Nothing is walked by recursion.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pure_python.graph.explanation import abridged
from pure_python.graph.steps import moment_of, visible
from pure_python.graph.tracing import Node, is_node, values_in

# How far apart two numbers may be that are computed in different orders, relative to the larger.
ROUNDING = {8: 1e-10, 4: 1e-5}  # by the bytes of a number: float32 has nine digits less
# From where on data count as changed. Coarser than ROUNDING, so that a step of the optimiser that is
# seen in the data is seen in the gradients too, and is told from a change before backward.
CHANGED = {8: 1e-6, 4: 1e-3}
MOST_NAMES = 4
RAILS: dict[str, Callable[[float], float]] = {
    "tanh": lambda y: 1.0 - y * y,
    "sigmoid": lambda y: y * (1.0 - y),
}

# ---------------------------------------------------------------------------------------------
# Nodes, as scalars and as arrays
# ---------------------------------------------------------------------------------------------


class Scalars:
    """How a node is looked at whose data is one number."""

    @staticmethod
    def owner(node: Node) -> Node:
        return node

    @staticmethod
    def sources(node: Node) -> Sequence[Node]:
        operands: Sequence[Node] = node.operands
        return operands

    @staticmethod
    def data(node: Node) -> Any:
        return node.data

    @staticmethod
    def grad(node: Node) -> Any:
        return node.grad

    @staticmethod
    def composition(node: Node) -> Any:
        return node._composition() if hasattr(node, "_composition") else None

    @staticmethod
    def give(node: Node, above: float, gradients: dict[Node, Any]) -> None:
        for operand, local in zip(node.operands, node._local_gradients(), strict=True):
            gradients[operand] = gradients.get(operand, 0.0) + local * above

    @staticmethod
    def receive(node: Node, amount: float, gradients: dict[Node, Any]) -> None:
        gradients[node] = gradients.get(node, 0.0) + amount


class Arrays:
    """The same where it may be an array."""

    @staticmethod
    def owner(node: Node) -> Node:
        return node._owner()

    @staticmethod
    def sources(node: Node) -> Sequence[Node]:
        sources: Sequence[Node] = node._sources()
        return sources

    @staticmethod
    def data(node: Node) -> Any:
        return node._numbers()[0]

    @staticmethod
    def grad(node: Node) -> Any:
        return node._numbers()[1]

    @staticmethod
    def composition(node: Node) -> Any:
        """That of the first element."""
        data = node._numbers()[0]
        if not getattr(data, "size", 1):
            return None
        first = node._scalar((0,) * getattr(data, "ndim", 0))
        return first._composition() if is_node(first) else None

    @staticmethod
    def give(node: Node, above: Any, gradients: dict[Node, Any]) -> None:
        node._give(above, gradients)

    @staticmethod
    def receive(node: Node, amount: Any, gradients: dict[Node, Any]) -> None:
        node._receive(amount, gradients)


def largest(x: Any) -> float:
    """The largest of the absolute values."""
    if hasattr(x, "max"):
        return float(abs(x).max()) if x.size else 0.0
    size: float = abs(x)
    return size


def finite(x: Any) -> bool:
    if hasattr(x, "max"):
        return bool((abs(x) < math.inf).all())
    return math.isfinite(x)


def flat(x: Any, like: Any = 0.0) -> list[float]:
    """All numbers of x; one number stands for as many as `like` has."""
    if hasattr(x, "ravel"):
        numbers: list[float] = x.ravel().tolist()
        return numbers
    return [x] * int(getattr(like, "size", 1))


def differ(a: Any, b: Any, relative: float, absolute: float) -> bool:
    """Whether two numbers, or any two of two arrays, are further apart than rounding."""
    if hasattr(a, "max") or hasattr(b, "max"):
        return largest(a - b) > relative * max(largest(a), largest(b)) + absolute
    return bool(abs(a - b) > relative * max(abs(a), abs(b)) + absolute)


def index_of(numbers: Any, wrong: Callable[[float], bool]) -> tuple[int, ...]:
    """Where the first number is of which this is true."""
    if not hasattr(numbers, "shape"):
        return ()
    place = next((i for i, x in enumerate(numbers.ravel().tolist()) if wrong(x)), 0)
    index: list[int] = []
    for length in reversed(numbers.shape):
        place, i = divmod(place, length)
        index.append(i)
    return tuple(reversed(index))


# ---------------------------------------------------------------------------------------------
# The graph, and the layers and units in it
# ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Unit:
    """A neuron, or what is like one: the same weights applied to every sample."""

    layer: "Layer"
    place: int
    activation: str
    outputs: list[float] = field(default_factory=list)
    where: list[tuple[Node, tuple[int, ...]]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.layer.name}, unit {self.place}" if self.layer.name else f"unit {self.place}"


@dataclass(slots=True)
class Layer:
    """Units that read the same inputs."""

    name: str
    size: int = 0
    weights: set[Node] = field(default_factory=set)
    nodes: list[Node] = field(default_factory=list)


class Graph:
    """All that a root was computed from."""

    def __init__(self, root: Any, parameters: dict[str, list[Node]] | None) -> None:
        found = list(nodes_in(root))
        self.of: type[Scalars] | type[Arrays] = Scalars
        if any(hasattr(node, "_sources") for node in found):
            self.of = Arrays
        self.given_roots = found
        self.roots = [self.of.owner(node) for node in found]
        # Each node with one that was computed from it, None for a root.
        self.user: dict[Node, Node | None] = dict.fromkeys(self.roots)
        operations: list[Node] = []
        self.leaves: list[Node] = []
        waiting = list(self.user)
        while waiting:
            node = waiting.pop()
            sources = self.of.sources(node)
            (operations if sources else self.leaves).append(node)
            for source in reversed(sources):  # so that the first is the next
                if source not in self.user:
                    self.user[source] = node
                    waiting.append(source)
        self.nodes = sorted(operations, key=moment_of)  # the oldest first
        sizes = (getattr(self.of.data(node), "itemsize", 8) for node in self.user)
        size = min(sizes, default=8) if self.of is Arrays else 8
        self.rounding, self.changed = ROUNDING[size], CHANGED[size]
        self.asked = parameters is not None
        self.parameters = {
            self.of.owner(p): name if len(group) == 1 else f"{name}, element {i}"
            for name, group in (parameters or {}).items()
            for i, p in enumerate(group)
        }
        self.layers: list[Layer] = []
        self.units: dict[Any, Unit] = {}
        self.place: dict[Node, tuple[Unit, int]] = {}
        self.weights: dict[Node, None] = {}
        self.named: dict[Any, str] = {}
        self._find_units()

    def looked_at(self) -> str:
        sizes = (getattr(self.of.data(p), "size", 1) for p in self.trained())
        return f"{counted(len(self.user), 'node')} with {counted(sum(sizes), 'parameter')}"

    def trained(self) -> list[Node]:
        """The parameters below the root: those that were given, else what serves as weights and
        biases, else all leaves."""
        if self.asked:
            return [p for p in self.parameters if p in self.user]
        return list(self.weights) or self.leaves

    # Units -----------------------------------------------------------------------------------

    def _find_units(self) -> None:
        calls: tuple[Any, ...] = ()
        layer: Layer | None = None
        layers: dict[Any, Layer] = {}
        for node in self.nodes:
            composition = self.of.composition(node)
            if composition is None:
                self._activation_alone(node)
                continue
            weights, inputs, bias, activation, _ = composition
            of_unit = [w for w in (*weights, bias) if is_node(w) and not w.operands]
            if not of_unit or not any(map(is_node, weights)):
                continue
            leaves = dict.fromkeys(self.of.owner(getattr(w, "value", w)) for w in of_unit)
            self.weights.update(leaves)
            if self.of is Arrays:
                key = next(iter(leaves))
                if key not in layers:
                    layers[key] = self._new_layer(key)
                    for leaf, what in zip(leaves, ("weight", "bias"), strict=False):
                        self.named[leaf] = f"{layers[key].name}, {what}"
                layers[key].weights.update(leaves)
                layers[key].nodes.append(node)
                self._columns(node, layers[key], key, activation)
                continue
            key = of_unit[-1]
            if key not in self.units:
                if layer is None or calls != (len(weights), inputs):
                    layer, calls = None, (len(weights), inputs)
                name = self._layer_name(of_unit[0])
                if layer is None or (name and name != layer.name):
                    layer = self._new_layer(of_unit[0])
                unit = self.units[key] = Unit(layer, layer.size, activation)
                layer.size += 1
                layer.weights.update(leaves)
                for i, w in enumerate(weights):
                    self.named[w] = f"{unit}, weight {i}"
                self.named[bias] = f"{unit}, bias"
            unit = self.units[key]
            unit.layer.nodes.append(node)
            self._sample(unit, node, (), node.data)

    def _new_layer(self, weight: Node) -> Layer:
        self.layers.append(Layer(self._layer_name(weight) or f"layer {len(self.layers)}"))
        return self.layers[-1]

    def _layer_name(self, weight: Node) -> str:
        """layers.0 of layers.0.weight.3.1; where names are others, what the label says."""
        name = self.parameters.get(weight, "")
        head, found, _ = name.partition("weight")
        return head.rstrip(".") or "the layer" if found else name

    def _columns(self, node: Node, layer: Layer, key: Any, activation: str) -> None:
        """The units of a layer that is one node: along the last axis, if it has one for them."""
        data, weight = self.of.data(node), self.of.data(key)
        several = getattr(weight, "ndim", 0) > 1 and weight.shape[0] > 1
        layer.size = weight.shape[0] if several else 1
        self._spread(node, data, layer, key, activation)

    def _spread(self, node: Node, data: Any, layer: Layer, key: Any, activation: str) -> None:
        if activation not in ("relu", *RAILS):
            return
        numbers, size, shape = flat(data), layer.size, getattr(data, "shape", ())
        for j in range(size):
            unit = self.units.setdefault((key, j, activation), Unit(layer, j, activation))
            unit.outputs += numbers[j::size]
            unit.where.append((node, (j, size, len(shape))))

    def _sample(self, unit: Unit, node: Node, index: tuple[int, ...], output: float) -> None:
        self.place[node] = unit, len(unit.outputs)
        unit.outputs.append(output)
        unit.where.append((node, index))

    def _activation_alone(self, node: Node) -> None:
        """A relu, tanh or sigmoid that is an operation of its own."""
        if node.op not in ("relu", *RAILS):
            return
        (source,) = self.of.sources(node)
        data = self.of.data(node)
        if self.of is Arrays and getattr(data, "ndim", False):
            if data.ndim == 1:
                return  # of one sample, or of one unit: nothing tells
            size = data.shape[-1]
            layer = Layer(self.name(node), size)
            weights = [s for s in self.of.sources(source) if not self.of.sources(s)]
            known = next((x for x in self.layers for w in weights if w in x.weights), None)
            if known is not None and known.size == size:
                layer = known
            self._spread(node, data, layer, node, node.op)
            return
        key = self.place[source][0] if source in self.place else leaf_below(self.of, source)
        if key is None:
            return
        if (node.op, id(key)) not in self.units:
            layer = key.layer if isinstance(key, Unit) else Layer(node.op)
            place = key.place if isinstance(key, Unit) else len(self.units)
            self.units[node.op, id(key)] = Unit(layer, place, node.op)
        unit = self.units[node.op, id(key)]
        self._sample(unit, node, (), data)

    # Names -----------------------------------------------------------------------------------

    def name(self, node: Node, index: tuple[int, ...] = ()) -> str:
        """What a text calls a node: its label, its place in a layer, or the way to it."""
        label = self.parameters.get(node) or visible(node.label) or self.named.get(node)
        if label:
            return f"{label}[{', '.join(map(str, index))}]" if index else label
        if node in self.place:
            unit, sample = self.place[node]
            return f"{unit}, sample {sample}"
        for layer in self.layers:
            if self.of is Arrays and any(s in layer.weights for s in self.of.sources(node)):
                if layer.size > 1 and index:
                    sample = index[0] if len(index) > 1 else 0
                    return f"{layer.name}, unit {index[-1]}, sample {sample}"
                return f"{layer.name}, unit 0, sample {index[0] if index else 0}"
        if not self.of.sources(node):
            return f"a leaf[{', '.join(map(str, index))}]" if index else "a leaf"
        return f"{node.op}[{', '.join(map(str, index))}]" if index else node.op

    def way(self, node: Node) -> list[str]:
        """What was computed from a node, up to the root."""
        way: list[str] = []
        at = self.user[node]
        while at is not None:
            way.append(visible(at.label) or at.op)
            at = self.user[at]
        return abridged(way)


def nodes_in(root: Any) -> Iterator[Node]:
    """The Values of a root, arrays as they are."""
    return values_in(root, is_node)


def leaf_below(of: Any, node: Node) -> Node | None:
    """What an expression such as w·x + b is told by: the leaf nearest to its end."""
    for _ in range(256):
        operands = of.sources(node)
        if not operands:
            return node
        leaves = [operand for operand in operands if not of.sources(operand)]
        if leaves:
            return leaves[-1]
        node = operands[0]
    return None


def counted(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def several(names: Iterable[str]) -> str:
    names = list(dict.fromkeys(names))
    more = len(names) - MOST_NAMES
    if more <= 1:
        return ", ".join(names)
    return ", ".join(names[:MOST_NAMES]) + f" and {more:,} more"
