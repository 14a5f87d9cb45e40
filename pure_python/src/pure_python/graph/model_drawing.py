"""A network as a picture, a neuron a node: its weights are lines, thick where they are large."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pure_python.graph.drawing import FONT, LINE, PORTS, ROLES, escaped, new_digraph

if TYPE_CHECKING:
    import graphviz

BLUE, ORANGE = "#1f6fb4", "#c2410c"
LEGEND = (
    "in a neuron its bias; lines are weights: blue positive, dashed orange negative, "
    "the thickest of size {largest}"
)
TEXT = "shape=plaintext style=solid fontsize=10"
# Inches from neuron to neuron: words are wider than high.
GAP = {"LR": 0.54, "RL": 0.54, "TB": 0.66, "BT": 0.66}
# Where a node is, by how far along the network and how far across it.
PLACE = {
    "LR": lambda along, across: (along, -across),
    "RL": lambda along, across: (-along, -across),
    "TB": lambda along, across: (across, -along),
    "BT": lambda along, across: (across, along),
}


# Neurons by number; None stands for those that are not shown.
Shown = list[int | None]


class Dense(NamedTuple):
    """A layer in plain numbers, weight[neuron][input]."""

    name: str
    weight: list[list[float]]
    bias: list[float]
    activation: str


class Column(NamedTuple):
    """Neurons above each other: the DOT attributes of each, and which of them are shown."""

    title: str
    nodes: list[str]
    shown: Shown


def draw_model(
    model: Any,
    input_names: Sequence[str] | None = None,
    format: str = "svg",
    rankdir: str = "LR",
    max_neurons: int = 16,
) -> "graphviz.Digraph":
    """Draw an MLP, a Layer or a Neuron: a column of inputs, then a column a layer.

    A neuron shows its bias. A line is a weight: its thickness the size, its colour and dashes the
    sign; pointed at in an SVG, it says the number. A layer of more than max_neurons shows the first
    and the last of them, and how many there are between.

    input_names: one for each input; None for x0, x1 and so on.
    TypeError: what is no model, names that are no str. ValueError: more or fewer names than inputs.
    The Python package graphviz is missing: ImportError.
    """
    if rankdir not in PORTS:
        raise ValueError(f"rankdir is one of {', '.join(PORTS)}, got {rankdir!r}")
    if not hasattr(type(max_neurons), "__index__"):
        raise TypeError(f"max_neurons must be an int, got {max_neurons!r}")
    if max_neurons < 1:
        raise ValueError(f"max_neurons must be 1 or more, got {max_neurons!r}")
    layers = _layers(model)
    names = _names(input_names, len(layers[0].weight[0]))
    columns = [_column("input" if len(names) == 1 else "inputs", _inputs(names), max_neurons)]
    for layer in layers:
        nodes = _neurons(layer, ROLES["root" if layer is layers[-1] else "result"])
        columns.append(_column(layer.activation, nodes, max_neurons))
    sizes = [abs(w) for layer in layers for row in layer.weight for w in row if math.isfinite(w)]
    largest = max(sizes, default=0.0)
    dot = new_digraph(
        format=format,
        engine="neato",  # leaves the nodes where they are put
        graph_attr={
            "layout": "neato",  # also for who lays out the saved text
            "outputorder": "edgesfirst",
            "fontname": FONT,
            "fontsize": "9",
            "fontcolor": LINE["color"],
            "label": LEGEND.format(largest=_short(largest)),
        },
        node_attr={
            "shape": "circle",
            "style": "filled",
            "fontname": FONT,
            "fontsize": "8",
            "width": "0.48",
            "height": "0.48",
            "margin": "0.05,0.02",
            **LINE,
        },
        edge_attr={"arrowhead": "none"},
    )
    for k, layer in enumerate(layers):
        dot.body += _edges(k, layer, columns[k].shown, columns[k + 1].shown, largest)
    gap = GAP[rankdir]
    if rankdir in ("TB", "BT"):  # the names stand side by side
        gap = max(gap, 0.2 + 0.07 * max(map(len, names)))
    tallest = max(len(column.shown) for column in columns)
    between = min(max(1.8, 0.4 * gap * tallest), 3.2)  # layers, so that no line is too steep
    for k, column in enumerate(columns):
        for name, across, attributes in _placed(k, column, tallest):
            x, y = PLACE[rankdir](k * between, across * gap)
            dot.body.append(f'\t{name} [pos="{x:.3f},{y:.3f}!" {attributes}]\n')
    return dot


def _layers(model: Any) -> list[Dense]:
    if isinstance(model, type):
        raise TypeError(f"draw_model takes a model, got the class {model.__name__}")
    layers = []
    for i, part in enumerate(getattr(model, "layers", (model,))):
        if not (hasattr(part, "activation") and hasattr(part, "state_dict")):
            raise TypeError(
                "draw_model takes an MLP, a Layer or a Neuron, "
                f"got {model!r} ({type(model).__name__})"
            )
        state = part.state_dict()
        weight = [[float(w) for w in row] for row in state["weight"]]
        bias = [float(b) for b in state["bias"]]
        layers.append(
            Dense("" if part is model else f"layers[{i}].", weight, bias, part.activation)
        )
    return layers


def _names(input_names: Sequence[str] | None, n_in: int) -> list[str]:
    if input_names is None:
        return [f"x{i}" for i in range(n_in)]
    names = list(input_names) if isinstance(input_names, Iterable) else [input_names]
    if isinstance(input_names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"input_names must be a sequence of str, got {input_names!r}")
    if len(names) != n_in:
        raise ValueError(f"a model of {n_in} inputs cannot have {len(names)} input_names")
    return names


def _inputs(names: list[str]) -> list[str]:
    look = f'shape=box style="filled,rounded" {ROLES["input"]}'
    return [f'label="{escaped(name)}" {look}' for name in names]


def _neurons(layer: Dense, look: str) -> list[str]:
    return [
        f'label="{_short(b)}" fixedsize=true tooltip="{layer.name}bias[{j}] = {_short(b)}" {look}'
        for j, b in enumerate(layer.bias)
    ]


def _column(title: str, nodes: list[str], limit: int) -> Column:
    size, first = len(nodes), (limit + 1) // 2
    shown: Shown = list(range(size))
    if size > limit:
        shown[first : size - limit + first] = [None]
    return Column(f"{size} {title}", nodes, shown)


def _placed(k: int, column: Column, tallest: int) -> Iterator[tuple[str, float, str]]:
    """(name, place across, attributes) of the nodes of column k and of its title."""
    yield f"title{k}", -(tallest + 1) / 2, f'label="{column.title}" {TEXT}'
    middle = (len(column.shown) - 1) / 2
    spread = math.sqrt(tallest / len(column.shown))  # a few neurons opposite many stand apart
    for row, j in enumerate(column.shown):
        across = (row - middle) * spread
        if j is None:
            more = len(column.nodes) - len(column.shown) + 1
            yield f"more{k}", across, f'label="… {more} more" {TEXT}'
        else:
            yield f"n{k}_{j}", across, column.nodes[j]


def _edges(k: int, layer: Dense, inputs: Shown, neurons: Shown, largest: float) -> list[str]:
    edges = []
    for j in neurons:
        for i in inputs:
            if j is None or i is None:
                continue
            w = layer.weight[j][i]
            # Of three digits, so that engines which agree to twelve draw the same.
            size = round(abs(w) / (largest or 1.0), 3) if math.isfinite(w) else 1.0
            color, style = (ORANGE, " style=dashed") if w < 0 else (BLUE, "")
            edges.append(
                (
                    size,
                    f"\tn{k}_{i} -> n{k + 1}_{j} "
                    f'[penwidth={0.4 + 2.2 * size:.2f} color="{color}{50 + int(200 * size):02x}"'
                    f'{style} tooltip="{layer.name}weight[{j}][{i}] = {_short(w)}"]\n',
                )
            )
    edges.sort(key=lambda edge: edge[0])  # the thick ones are drawn over the thin ones
    return [line for _, line in edges]


def _short(x: float) -> str:
    """Two digits."""
    # Engines agree to about 15 digits: rounded to 12 first, none tips the last one that is shown.
    return f"{float(f'{x:.12g}') + 0.0:.2g}"
