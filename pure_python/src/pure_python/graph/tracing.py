"""The nodes and edges of a graph, in topological order, with fused nodes taken apart."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, NamedTuple

# Engines differ and none is imported, so a node is whatever has the attributes of a Value.
Node = Any


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scalar:
    """One number inside a fused node: a product, a partial sum or the activation of a `dot`.

    It reads like a Value and cannot be changed; `value` is the Value that it belongs to. Two are
    equal where they stand for the same number, as the graph is traced anew each time.
    """

    data: float
    grad: float
    label: str
    op: str
    operands: tuple[Node, ...]
    value: Node
    local_gradients: tuple[float, ...]
    moment: tuple[int, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scalar) and self._place() == other._place()

    def __hash__(self) -> int:
        return hash(self._place())

    def _place(self) -> tuple[Node, tuple[int, ...]]:
        return self.value, self.moment

    def _moment(self) -> tuple[int, ...]:
        return self.moment

    def _local_gradients(self) -> tuple[float, ...]:
        return self.local_gradients

    @property
    def _op(self) -> str:
        return self.op

    @property
    def _prev(self) -> tuple[Node, ...]:
        return self.operands

    def __repr__(self) -> str:
        return f"Scalar({self.data!r}, grad={self.grad!r}, op={self.op!r})"


def trace(
    root: Node | Sequence[Node], fused: bool = False, max_nodes: int | None = None
) -> tuple[list[Node], list[tuple[Node, Node]]]:
    """The nodes and edges of everything that `root` was computed from.

    Nodes come in topological order: depth first, operands from left to right, each once. Edges are
    pairs (operand, node), one for every use: `a + a` has two. A fused node is shown as its single
    multiplies and adds (`Scalar`), or as it is with `fused=True`.

    root: a Value, a Vector, or a sequence of them (else TypeError).
    max_nodes: more nodes than these are a ValueError, raised without walking any further.
    """
    graph = walk(root, fused, max_nodes)
    return graph.nodes, graph.edges


class Graph(NamedTuple):
    nodes: list[Node]
    edges: list[tuple[Node, Node]]
    roots: list[Node]
    parameters: set[Node]  # the leaves that serve as weights and biases


def walk(root: Node | Sequence[Node], fused: bool, max_nodes: int | None) -> Graph:
    """`trace`, and besides it what a drawing tells apart."""
    if max_nodes is not None:
        if not hasattr(type(max_nodes), "__index__"):
            raise TypeError(f"max_nodes must be an int or None, got {max_nodes!r}")
        if max_nodes < 0:
            raise ValueError(f"max_nodes must be 0 or more, got {max_nodes!r}")
    nodes: list[Node] = []
    edges: list[tuple[Node, Node]] = []
    roots: list[Node] = []
    parameters: set[Node] = set()
    shown: dict[Node, Node] = {}  # a fused Value is shown by the last Scalar of its inside
    path: list[tuple[Node, Iterator[Node]]] = []  # in place of recursion: graphs may be deep

    def enter(node: Node) -> None:
        face = node
        composition = getattr(node, "_composition", _no_composition)()
        if composition is not None:
            weights, _, bias, *_ = composition
            parameters.update(p for p in (*weights, bias) if is_node(p) and not p.operands)
            if not fused:
                _check_size(2 * len(weights), max_nodes)
                face = _expand(node, composition)
        shown[node] = face
        _check_size(len(shown), max_nodes)
        path.append((face, scalars_of(face.operands, max_nodes)))

    for start in _roots(root, max_nodes):
        if start not in shown:
            enter(start)
        while path:
            node, rest = path[-1]
            for operand in rest:
                if operand not in shown:
                    enter(operand)
                    break
            else:
                path.pop()
                nodes.append(node)
                edges.extend((shown[o], node) for o in scalars_of(node.operands, max_nodes))
        roots.append(shown[start])
    return Graph(nodes, edges, roots, parameters)


def operands_in(graph: Graph) -> dict[Node, list[Node]]:
    """The operands of every node that has some, as the graph shows them."""
    operands: dict[Node, list[Node]] = {}
    for operand, node in graph.edges:
        operands.setdefault(node, []).append(operand)
    return operands


def _no_composition() -> None:
    return None


def _asked(node: Node, hook: str) -> tuple[Any, ...]:
    """What a hook of the engine says, () where the engine does not have it."""
    answer: tuple[Any, ...] = getattr(node, hook, tuple)()
    return answer


def is_node(thing: object) -> bool:
    return hasattr(thing, "operands") and hasattr(thing, "op")


def _check_size(count: int, max_nodes: int | None) -> None:
    if max_nodes is not None and count > max_nodes:
        raise ValueError(
            f"the graph has more than {max_nodes} nodes: start from a node further inside, "
            f"leave fused nodes whole with fused=True, or allow more with max_nodes=..."
        )


def scalars_of(values: Iterable[Node], max_nodes: int | None) -> Iterator[Node]:
    """The scalar nodes of Values, which may hold arrays."""
    for value in values:
        elements = getattr(value, "_scalars", None)
        if elements is None:
            yield value
        else:
            # Asked before the list is made: an array can be far larger than any drawing.
            _check_size(getattr(value, "size", 0), max_nodes)
            yield from elements()


def _roots(root: Node | Sequence[Node], max_nodes: int | None) -> Iterator[Node]:
    def is_root(value: object) -> bool:
        return hasattr(value, "_scalars") or is_node(value)

    for value in values_in(root, is_root):
        yield from scalars_of((value,), max_nodes)


def values_in(root: Any, is_value: Callable[[object], bool]) -> Iterator[Node]:
    """The Values of a root, which may be a Vector or a sequence of them, one in another."""
    open_sequences: list[Iterator[Any]] = [iter((root,))]
    while open_sequences:
        for value in open_sequences[-1]:
            if is_value(value):
                yield value
            elif isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
                if len(open_sequences) > 1000:
                    raise RecursionError("the root is a sequence in a sequence, and so on")
                open_sequences.append(iter(value))
                break
            else:
                raise TypeError(
                    f"expected a Value, a Vector or a sequence of them, "
                    f"got {value!r} ({type(value).__name__})"
                )
        else:
            open_sequences.pop()


def _expand(node: Node, composition: tuple[Any, ...]) -> Node:
    """The last Scalar of the multiplies, adds and activation that the fused `node` stands for."""
    weights, inputs, bias, activation, gradient = composition
    value = getattr(node, "value", node)
    moment, place = _asked(node, "_moment"), count()

    # A weight, an input, a term or the total so far is a node or a plain number.
    def scalar(
        data: float, op: str, operands: tuple[Node, ...], local_gradients: tuple[float, ...]
    ) -> Scalar:
        # The gradient of a sum reaches its terms unchanged, so one number serves them all.
        return Scalar(
            data, gradient, "", op, operands, value, local_gradients, (*moment, next(place))
        )

    def multiply(weight: Node, x: Node) -> Node:
        if not is_node(weight) and not is_node(x):
            return weight * x
        if not is_node(x):
            return scalar(weight.data * x, f"* {float(x)!r}", (weight,), (float(x),))
        if not is_node(weight):
            return scalar(weight * x.data, f"* {float(weight)!r}", (x,), (float(weight),))
        return scalar(weight.data * x.data, "*", (weight, x), (x.data, weight.data))

    def add(total: Node, term: Node) -> Node:
        if not is_node(total) and not is_node(term):
            return total + term
        if not is_node(total):
            # 0 + v is v, as in an expression: the first product begins the sum.
            return (
                scalar(total + term.data, f"+ {float(total)!r}", (term,), (1.0,)) if total else term
            )
        if not is_node(term):
            return scalar(total.data + term, f"+ {float(term)!r}", (total,), (1.0,))
        return scalar(total.data + term.data, "+", (total, term), (1.0, 1.0))

    total = bias
    for weight, x in zip(weights, inputs, strict=True):
        total = add(total, multiply(weight, x))
    if not is_node(total) or (total is bias and not activation):
        return node  # made of numbers alone, or of a bias and nothing else
    if activation:
        # The sum passes its gradient on to the bias as it is: to both leads the same slope.
        slope = _asked(node, "_local_gradients")[-1:]
        total = scalar(node.data, activation, (total,), slope)
    return replace(total, data=node.data, grad=node.grad, label=node.label)
