"""A graph as a picture: a box a number, an oval an operation, drawn by Graphviz."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pure_python.graph.tracing import Node, walk

if TYPE_CHECKING:
    import graphviz

# Each next fill is clearly darker than the one before, so that a grey print tells them apart too.
ROLES = {
    "result": 'fillcolor="#ffffff"',
    "input": 'fillcolor="#dcebfa"',
    "parameter": 'fillcolor="#f7cf7c"',
    "root": 'fillcolor="#7cc49a" penwidth=2',
}
OPERATION = 'fillcolor="#ececec" shape=oval width=0.4 margin="0.06,0.03"'
# The operands of a pair come in from the first to the last, so a - b is not b - a. In larger
# operations an order would only make edges cross.
PAIR = f"{OPERATION} ordering=in"
# Soft lines around black numbers.
LINE = {"color": "#57606a", "penwidth": "0.8"}
# Graphviz knows how wide the letters of a few fonts are; of any other, text overflows its box.
FONT = "Helvetica"
# Where edges leave a box and where they arrive: at its ends, so that they do not cross its text.
PORTS = {"LR": ("e", "w"), "TB": ("s", "n"), "RL": ("w", "e"), "BT": ("n", "s")}
# What means something else in the label of a record, and how to show it.
ESCAPES = str.maketrans(
    {c: "\\" + c for c in '\\"{}|'} | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\n": "\\n"}
)


def draw_dot(
    root: Node | Sequence[Node],
    format: str = "svg",
    rankdir: str = "LR",
    fused: bool = False,
    max_nodes: int | None = 1000,
) -> "graphviz.Digraph":
    """Draw the graph of a Value, a Vector or a sequence of them.

    Every number is a box `label | data | grad`, every operation an oval. Roots are green, leaves
    blue, the weights and biases of a neuron amber, all else white. A neuron is drawn as its
    multiplies, adds and activation, or as one operation with `fused=True`.

    The result shows itself in a notebook; `.source` is its DOT text, `.render("name")` writes a
    file, which needs the `dot` program.
    More nodes than max_nodes: ValueError. The Python package graphviz is missing: ImportError.
    """
    if rankdir not in PORTS:
        raise ValueError(f"rankdir is one of {', '.join(PORTS)}, got {rankdir!r}")
    tail, head = PORTS[rankdir]
    dot = new_digraph(
        format=format,
        graph_attr={"rankdir": rankdir, "nodesep": "0.15", "ranksep": "0.35"},
        node_attr={
            "shape": "record",
            "style": "filled,rounded",
            "fontname": FONT,
            "fontsize": "11",
            "height": "0.3",
            **LINE,
        },
        edge_attr={"arrowsize": "0.6", "tailport": tail, **LINE},
    )
    nodes, edges, roots, parameters = walk(root, fused, max_nodes)
    ends = set(roots)
    operands = Counter(node for _, node in edges)

    def role(node: Node) -> str:
        if node.operands:
            return "root" if node in ends else "result"
        return "parameter" if node in parameters else "input"

    # Lines of DOT, several times as fast as dot.node and dot.edge, which quote what needs no quotes.
    lines = dot.body
    # Numbered in the order of the trace: the same expression gives the same text in every backend.
    names = {node: f"n{i}" for i, node in enumerate(nodes)}
    for node, name in names.items():
        label = f"{escaped(node.label)} | " if node.label else ""
        box = f"{label}data {number(node.data)} | grad {number(node.grad)}"
        lines.append(f'\t{name} [label="{{{box}}}" {ROLES[role(node)]}]\n')
        if node.operands:
            operation = PAIR if operands[node] == 2 else OPERATION
            lines.append(f'\t{name}op [label="{escaped(node.op)}" {operation}]\n')
            lines.append(f"\t{name}op -> {name} [headport={head}]\n")
    lines.extend(f"\t{names[operand]} -> {names[node]}op\n" for operand, node in edges)
    return dot


draw = draw_dot


def new_digraph(**attributes: Any) -> "graphviz.Digraph":
    try:
        from pure_python.graph.digraph import Digraph
    except ImportError as error:
        raise ImportError(
            "drawing needs the Python package graphviz: python -m pip install graphviz"
        ) from error
    return Digraph(**attributes)


def number(x: float) -> str:
    """Four decimals, or scientific notation where they would hide or swamp the number."""
    # Engines agree to about 15 digits. Rounding to 12 first keeps a difference in the last digits
    # from showing where it would otherwise tip the fourth decimal.
    x = float(f"{x:.12g}")
    if x == 0:
        return "0.0000"  # -0.0 too
    if not math.isfinite(x) or 1e-3 <= abs(x) < 1e6:
        return f"{x:.4f}"
    return f"{x:.3e}"


def escaped(text: str) -> str:
    """DOT that shows a text as it is: no escapes, no entities, no HTML, nothing unprintable."""
    if not text.isprintable():
        shown = (c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
        text = "".join(shown)
    return text.translate(ESCAPES)
