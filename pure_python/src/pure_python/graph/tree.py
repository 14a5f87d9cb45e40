"""A small graph as text, for the terminal."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pure_python.graph.drawing import number
from pure_python.graph.steps import visible
from pure_python.graph.tracing import Node, operands_in, walk

BRANCH, LAST, ON, NOTHING = "├── ", "└── ", "│   ", "    "
PLAIN = str.maketrans("├└│─", "|`|-")


@dataclass(frozen=True, slots=True, repr=False)
class Tree:
    """What `tree` returns. It prints itself."""

    lines: tuple[tuple[str, str], ...]  # the branches before a node, and its text

    def __str__(self) -> str:
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        text = "\n".join(branches + node for branches, node in self.lines)
        try:
            text.encode(encoding)
        except UnicodeEncodeError:
            text = "\n".join(branches.translate(PLAIN) + node for branches, node in self.lines)
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        return text

    __repr__ = __str__


def tree(root: Node | Sequence[Node], fused: bool = False, max_nodes: int | None = 1000) -> Tree:
    """The graph of a Value, a Vector or a sequence of them as text: `print(tree(f))`.

    A line a node, `label = operation  data  grad`, with its operands below it, from the first to the
    last. A node that is used several times has a number in brackets; its operands are shown where
    it comes first. A neuron is its multiplies, adds and activation, or one node with `fused=True`.
    Where the terminal has no characters to draw with, plain ones stand in.

    More nodes than max_nodes: ValueError.
    """
    graph = walk(root, fused, max_nodes)
    operands = operands_in(graph)
    uses = Counter(operand for operand, _ in graph.edges)
    uses.update(graph.roots)
    marks: dict[Node, str] = {}
    lines: list[tuple[str, str]] = []
    # In place of recursion: a node, what stands before it, and before what is below it.
    waiting = [(node, "", "") for node in reversed(graph.roots)]
    while waiting:
        node, before, below = waiting.pop()
        name = visible(" = ".join(part for part in (node.label, node.op) if part))
        if node in marks:
            lines.append((before, f"{marks[node]} {name or number(node.data)}, as above"))
            continue
        parts = [name, f"data {number(node.data)}", f"grad {number(node.grad)}"]
        if uses[node] > 1:
            marks[node] = f"[{len(marks) + 1}]"
            parts[0] = f"{marks[node]} {name}".strip()
        lines.append((before, "  ".join(filter(None, parts))))
        branches = [(below + BRANCH, below + ON)] * len(operands.get(node, ()))
        if branches:
            branches[-1] = (below + LAST, below + NOTHING)
        children = zip(operands.get(node, ()), branches, strict=True)
        waiting += [(operand, *branch) for operand, branch in reversed(list(children))]
    return Tree(tuple(lines))
