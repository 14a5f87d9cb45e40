"""The page that shows forward and backward step by step: its data, its text, its file."""

import html
import json
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pure_python.explorer.graphviz_script import graphviz_script
from pure_python.explorer.groups import groups_of
from pure_python.graph.steps import steps_of
from pure_python.graph.tracing import Graph, Node, operands_in, walk
from pure_python.state.files import write_whole


@dataclass(frozen=True)
class Page:
    """A page of explore. In a notebook it shows itself; `html` is its text."""

    title: str
    nodes: int
    steps: int
    html: str = field(repr=False)
    path: str | None = None  # where it was written

    def _repr_html_(self) -> str:
        # A document of its own: its style and its keys meet nothing of the notebook's.
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" title="{html.escape(self.title)}" '
            'style="width: 100%; height: 720px; border: 1px solid #8888; border-radius: 8px">'
            "</iframe>"
        )


def explore(
    root: Node | Sequence[Node],
    path: str | os.PathLike[str] | None = None,
    fused: bool = False,
    max_nodes: int | None = 10_000,
) -> Page:
    """Show the graph of a Value, its forward and its backward pass, step by step in a page.

    With a path the page is written there, whole or not at all: one file that opens in any browser
    and needs no network. In a notebook the result shows itself. The gradients are those of a
    backward pass that begins with 0.0 on every leaf; explore itself changes no data and no grad.

    root: a Value, a Vector or a sequence of them (else TypeError), at least one (else ValueError).
    fused: a neuron is one node, not its multiplies, adds and activation.
    max_nodes: more nodes than these are a ValueError.
    A path that cannot be written: OSError that names it.
    """
    if path is not None and not isinstance(path, str | os.PathLike):
        raise TypeError(
            f'path must name a file, such as "backprop.html", got {path!r} ({type(path).__name__})'
        )
    graph = walk(root, fused, max_nodes)
    if not graph.nodes:
        raise ValueError("there is nothing to explore: root is an empty sequence")
    content = content_of(graph)
    title = f"Backpropagation: {content['nodes'][content['roots'][0]]['name']}"
    if len(graph.roots) > 1:
        title += f" and {len(graph.roots) - 1} more"
    written = None if path is None else os.fspath(path)
    page = Page(title, len(graph.nodes), len(content["steps"]), page_text(title, content), written)
    if path is not None:
        write_whole(Path(path), lambda file: file.write(page.html.encode()))
    return page


def content_of(graph: Graph) -> dict[str, Any]:
    """All that the page shows, as JSON has it; a node is its place in the trace."""
    place = {node: i for i, node in enumerate(graph.nodes)}
    operands = operands_in(graph)
    steps = list(steps_of(graph))
    # Nodes are computed in the order of their creation, and give in the reverse of it.
    giving = dict.fromkeys(step.node for step in steps)
    forward = list(reversed(giving))
    groups = groups_of(graph, operands, forward)
    names = names_of(graph, operands, forward)
    uses = Counter(graph.roots)  # in the order of their first use
    return {
        "nodes": [
            {
                "name": names[node],
                "named": bool(node.label),
                "op": node.op,
                "data": number(node.data),
                "role": "root" if node in uses else role(node, graph),
                "operands": [place[operand] for operand in operands.get(node, ())],
                "group": groups.of.get(node, -1),
            }
            for node in graph.nodes
        ],
        "roots": [place[node] for node in uses],
        "seeds": [float(count) for count in uses.values()],
        "forward": [place[node] for node in forward],
        "steps": [
            [
                place[step.node],
                step.position,
                *map(number, (step.local, step.above, step.contribution, step.total)),
            ]
            for step in steps
        ],
        "groups": [
            {"name": group.name, "level": group.level, "parent": group.parent}
            for group in groups.all
        ],
        "level": groups.starting_level(graph.nodes),
    }


def number(x: float) -> float | str:
    """JSON has no nan and no inf."""
    return x if math.isfinite(x) else str(x)


def role(node: Node, graph: Graph) -> str:
    if node.operands:
        return "result"
    return "parameter" if node in graph.parameters else "input"


def names_of(
    graph: Graph, operands: dict[Node, list[Node]], forward: list[Node]
) -> dict[Node, str]:
    """What the page calls each node: its label, or a letter for its role and a number."""
    taken = {node.label for node in graph.nodes}
    # A parameter that is multiplied is a weight, one that is only added a bias.
    multiplied = {
        operand for node in forward if node.op.startswith("*") for operand in operands[node]
    }
    counts: dict[str, int] = {}

    def named(node: Node, letter: str) -> str:
        if node.label:
            return str(node.label)
        while True:
            counts[letter] = counts.get(letter, 0) + 1
            name = f"{letter}{counts[letter]}"
            if name not in taken:
                return name

    names: dict[Node, str] = {}
    leaves = [node for node in graph.nodes if not node.operands]
    for node in leaves:
        weight = "w" if node in multiplied else "b"
        names[node] = named(node, weight if node in graph.parameters else "x")
    for node in forward:
        names[node] = named(node, "v")
    if len(graph.roots) == 1 and not graph.roots[0].label and "out" not in taken:
        names[graph.roots[0]] = "out"
    return names


def page_text(title: str, content: dict[str, Any]) -> str:
    """The template with everything filled in, in one pass: what is filled in is not read again."""
    # A label may hold `</script>`: within JSON every `<` can be written so that HTML sees none.
    data = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    parts = {
        "title": html.escape(title),
        "css": resource("page.css"),
        "graph": data,
        "script": graphviz_script() + resource("page.js"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], resource("page.html"))


def resource(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
