"""Why a gradient is what it is: the paths on which it comes about."""

import heapq
import math
from dataclasses import dataclass

from pure_python.graph.drawing import number
from pure_python.graph.steps import name_of, steps_of
from pure_python.graph.tracing import Node, operands_in, walk


@dataclass(frozen=True, slots=True)
class Path:
    """One way from a root down to a leaf. Its product is what it contributes to the gradient."""

    nodes: tuple[Node, ...]  # from the root to the leaf
    local: tuple[float, ...]  # the derivative of each of them with respect to the next
    product: float


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """The outcome of `explain`: a gradient as a sum over paths. Printed, it shows them."""

    root: Node
    leaf: Node
    grad: float  # the derivative of root with respect to leaf
    count: int  # of all paths
    paths: tuple[Path, ...]  # the largest of them
    rest: float  # what all others contribute together

    def __str__(self) -> str:
        root, leaf = name_of(self.root), name_of(self.leaf)
        if not self.count:
            return f"d {root} / d {leaf} = 0.0000: {root} does not depend on {leaf}"
        lines = [f"d {root} / d {leaf} = {number(self.grad)}, the sum over {counted(self.count)}"]
        if self.count > 1:
            lines[0] += ", the largest first"
        width = max(
            len(number(product)) for product in (self.rest, *(p.product for p in self.paths))
        )
        for path in self.paths:
            factors = abridged([short(local) for local in path.local] or ["1"])
            lines += [
                f"  {number(path.product):>{width}} = {' * '.join(factors)}",
                f"  {'':{width}}   {' -> '.join(abridged([name_of(node) for node in path.nodes]))}",
            ]
        others = self.count - len(self.paths)
        if others:
            lines.append(f"  {number(self.rest):>{width}} from the other {counted(others)}")
        return "\n".join(lines)

    __repr__ = __str__


def explain(
    root: Node, leaf: Node, most: int = 10, fused: bool = False, max_nodes: int | None = None
) -> Explanation:
    """Why the gradient of `leaf` is what it is after `root.backward()`: print what this returns.

    The gradient is a sum over all paths from root down to leaf, and a path contributes the product
    of the local gradients along it (the chain rule, written out). The largest are shown, at the
    `most`; how many there are is counted without walking them all, for they can be more than atoms.
    leaf may be any node below root. Nothing changes, and backward need not have been called.

    root, leaf: a Value each (else TypeError, of more than one ValueError).
    max_nodes: more nodes than these are a ValueError.
    """
    if not hasattr(type(most), "__index__"):
        raise TypeError(f"most must be an int, got {most!r}")
    if most < 0:
        raise ValueError(f"most must be 0 or more, got {most!r}")
    graph = walk(root, fused, max_nodes)
    start = only(graph.roots, "root")
    end = only(walk(leaf, fused, max_nodes).roots, "leaf")
    operands = operands_in(graph)
    local: dict[Node, dict[int, float]] = {node: {} for node in operands}
    grad = 1.0 if start == end else 0.0
    for step in steps_of(graph):
        local[step.node][step.position] = step.local
        if step.operand == end:
            grad = step.total

    # From the leaf up: how many paths lead to each node, and the largest of them, each as its
    # product, its last edge, and which of the operand's own paths it goes on from. A longer path's
    # best beginning is among the best of what it begins with, so no node needs more than `most`.
    counts = {end: 1}
    largest: dict[Node, list[tuple[float, int, int]]] = {end: [(1.0, -1, 0)]}
    for node in graph.nodes:
        if node == end or node not in operands:
            continue
        count = sum(counts.get(operand, 0) for operand in operands[node])
        if count:
            counts[node] = count
            largest[node] = heapq.nlargest(
                most,
                (
                    (local[node][position] * product, position, rank)
                    for position, operand in enumerate(operands[node])
                    if operand in counts
                    for rank, (product, _, _) in enumerate(largest[operand])
                ),
                key=size_of,
            )
    if start not in counts:
        return Explanation(start, end, 0.0, 0, (), 0.0)
    paths = []
    for _, position, rank in largest[start][:most]:
        nodes, factors, product = [start], [], 1.0
        while nodes[-1] != end:
            node = nodes[-1]
            factors.append(local[node][position])
            product *= factors[-1]  # in the order of backward
            nodes.append(operands[node][position])
            _, position, rank = largest[nodes[-1]][rank]
        paths.append(Path(tuple(nodes), tuple(factors), product))
    rest = 0.0
    if counts[start] > len(paths):
        rest = grad
        for path in paths:
            rest -= path.product
    return Explanation(start, end, grad, counts[start], tuple(paths), rest)


def only(nodes: list[Node], what: str) -> Node:
    if len(nodes) != 1:
        raise ValueError(
            f"explain takes one Value as its {what}, got {len(nodes)}: take them singly"
        )
    return nodes[0]


def size_of(path: tuple[float, int, int]) -> float:
    product = path[0]
    return abs(product) if product == product else math.inf  # nan swamps everything


def counted(paths: int) -> str:
    if paths == 1:
        return "1 path"
    return f"{paths:,} paths" if paths < 10**15 else f"at least 2**{paths.bit_length() - 1} paths"


def short(x: float) -> str:
    """Four digits. Engines agree to about 15: rounded to 12 first, they agree here too."""
    return f"{float(f'{x:.12g}') + 0.0:.4g}"  # + 0.0: minus zero shows as zero


def abridged(parts: list[str]) -> list[str]:
    """The ends of a list that is long."""
    return parts if len(parts) <= 12 else [*parts[:6], f"({len(parts) - 11} more)", *parts[-5:]]
