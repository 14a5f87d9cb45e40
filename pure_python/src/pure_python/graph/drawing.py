"""A graph as a picture: a box a number, an oval an operation, drawn by Graphviz."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pure_python.graph.tracing import Node, walk

if TYPE_CHECKING:
    import graphviz

# Each next fill is clearly darker than the one before, so that a grey print tells them apart too.
FILLS = {
    "result": "#ffffff",
    "input": "#dcebfa",
    "parameter": "#f7cf7c",
    "root": "#7cc49a",
    "operation": "#ececec",
}
# Where edges leave a box and where they arrive: at its ends, so that they do not cross its text.
PORTS = {"LR": ("e", "w"), "TB": ("s", "n"), "RL": ("w", "e"), "BT": ("n", "s")}


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
    file (which needs the `dot` program).
    More nodes than max_nodes: ValueError. The Python package graphviz is missing: ImportError.
    """
    if rankdir not in PORTS:
        raise ValueError(f"rankdir is one of {', '.join(PORTS)}, got {rankdir!r}")
    tail, head = PORTS[rankdir]
    graphviz = _import_graphviz()
    nodes, edges, roots, parameters = walk(root, fused, max_nodes)
    ends = set(roots)

    def role(node: Node) -> str:
        if node.operands:
            return "root" if node in ends else "result"
        return "parameter" if node in parameters else "input"

    dot = graphviz.Digraph(
        format=format,
        graph_attr={"rankdir": rankdir, "nodesep": "0.15", "ranksep": "0.35"},
        node_attr={
            "shape": "record",
            "style": "filled",
            "fontname": "Helvetica",
            "fontsize": "11",
            "height": "0.3",
            "color": "#404040",
        },
        edge_attr={"color": "#606060", "arrowsize": "0.6", "tailport": tail},
    )
    # Numbered in the order of the trace: the same expression gives the same text in every backend.
    names = {node: f"n{i}" for i, node in enumerate(nodes)}
    for node, name in names.items():
        part = role(node)
        dot.node(
            name,
            _record(node.label, f"data {_number(node.data)}", f"grad {_number(node.grad)}"),
            fillcolor=FILLS[part],
            penwidth="2" if part == "root" else None,
        )
        if node.operands:
            # ordering: operands come in from the first to the last, so a - b is not b - a.
            dot.node(
                name + "op",
                _text(node.op),
                shape="oval",
                fillcolor=FILLS["operation"],
                ordering="in",
                width="0.4",
                margin="0.06,0.03",
            )
            dot.edge(name + "op", name, headport=head)
    for operand, node in edges:
        dot.edge(names[operand], names[node] + "op")
    return dot


draw = draw_dot


def _import_graphviz() -> Any:
    try:
        import graphviz
    except ImportError as error:
        raise ImportError(
            "drawing needs the Python package graphviz: python -m pip install graphviz"
        ) from error
    return graphviz


def _number(x: float) -> str:
    """Four decimals, or scientific notation where they would hide or swamp the number."""
    # Engines agree to about 15 digits. Rounding to 12 first keeps a difference in the last digits
    # from showing where it would otherwise tip the fourth decimal.
    x = float(f"{x:.12g}")
    if x == 0:
        return "0.0000"  # -0.0 too
    if not math.isfinite(x) or 1e-3 <= abs(x) < 1e6:
        return f"{x:.4f}"
    return f"{x:.3e}"


def _text(text: str) -> str:
    """DOT that shows a text as it is: no escapes, no entities, no HTML, nothing unprintable."""
    lines = text.split("\n")
    lines = [
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in s) for s in lines
    ]
    for special, escape in (("\\", "\\\\"), ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        lines = [line.replace(special, escape) for line in lines]
    return "\\n".join(lines)


def _record(*fields: str) -> str:
    def field(text: str) -> str:
        text = _text(text)
        for special in "{}|":
            text = text.replace(special, "\\" + special)
        return text

    return "{" + " | ".join(field(text) for text in fields if text) + "}"
