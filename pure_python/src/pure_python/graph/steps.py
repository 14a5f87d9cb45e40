"""Backward, one step at a time."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pure_python.graph.tracing import Graph, Node, is_node, operands_in, walk

# The operations that give to their last operand first: all but those of one or two operands, the
# dot product, which takes turns, and operations of the user's own.
FROM_LAST = {
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "hinge_loss",
    "log_softmax",
    "logsumexp",
    "max",
    "mean",
    "min",
    "mse_loss",
    "rms_norm",
    "scaled_dot_product_attention",
    "softmax",
    "sum",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A node gives to one of its operands: `operand.grad += local * above`."""

    node: Node
    operand: Node
    position: int  # of the operand among those of the node: `a + a` gives to a twice
    local: float  # the derivative of node with respect to the operand at this position alone
    above: float  # the gradient of node, complete by now
    contribution: float  # local * above
    total: float  # the gradient of operand so far

    def __str__(self) -> str:
        return (
            f"{name_of(self.operand)}.grad += local * above = "
            f"{self.local!r} * {self.above!r} = {self.contribution!r}, so far {self.total!r}"
        )


def backward_steps(
    root: Node | Sequence[Node],
    fused: bool = False,
    max_nodes: int | None = None,
    grad: float = 1.0,
) -> Iterator[Step]:
    """The steps of `root.backward(grad)` in their order, without taking them: no grad changes.

    The node that was made last gives first, to its operands in the engine's order; by then its own
    gradient is complete. Every gradient starts from 0.0, that of the root from `grad`; of several
    roots each has it. Nodes are those of `trace`: a neuron is its multiplies, adds and activation,
    or one node with `fused=True`.

    The last total of a leaf is what backward adds to its grad, bit for bit on the scalar backends,
    save that an engine computes an operation of several outputs (softmax, log_softmax, rms_norm,
    attention) from all of them together, and so what `fused=True` joins: there a few units in the
    last place may differ.

    root: a Value, a Vector, or a sequence of them (else TypeError).
    max_nodes: more nodes than these are a ValueError.
    """
    if not hasattr(type(grad), "__float__"):
        raise TypeError(f"grad must be a number, got {grad!r}")
    return steps_of(walk(root, fused, max_nodes), float(grad))


def steps_of(graph: Graph, grad: float = 1.0) -> Iterator[Step]:
    """The steps of a graph that has been walked already."""
    operands = operands_in(graph)
    totals = dict.fromkeys(graph.nodes, 0.0)
    for root in graph.roots:
        totals[root] += grad
    for node in sorted(operands, key=moment_of, reverse=True):
        local_gradients, above = node._local_gradients(), totals[node]
        for position in giving_order(node, len(local_gradients)):
            operand, local = operands[node][position], local_gradients[position]
            contribution = local * above
            totals[operand] += contribution
            yield Step(node, operand, position, local, above, contribution, totals[operand])


def moment_of(node: Node) -> tuple[int, ...]:
    moment: tuple[int, ...] = node._moment()
    return moment


def giving_order(node: Node, count: int) -> Iterable[int]:
    """The positions of a node's operands in the order in which it gives to them."""
    composition = node._composition() if hasattr(node, "_composition") else None
    if composition is None:
        return reversed(range(count)) if node.op in FROM_LAST else range(count)
    weights, inputs, bias, *_ = composition
    numbering = itertools.count()

    def position_of(part: object) -> int | None:
        return next(numbering) if is_node(part) else None  # a plain number is no operand

    to_weights = [position_of(weight) for weight in weights]
    to_inputs = [position_of(x) for x in inputs]
    terms = list(zip(to_weights, to_inputs, strict=True))
    # As its multiplies and adds: the last term first, in each the weight first; then the bias.
    turns = [position for term in reversed(terms) for position in term] + [position_of(bias)]
    return [position for position in turns if position is not None]


def name_of(node: Node) -> str:
    """What a text calls a node: its label, or else the operation that made it, or its number."""
    return visible(node.label) or node.op or repr(node.data)


def visible(text: str) -> str:
    """The text on one line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
