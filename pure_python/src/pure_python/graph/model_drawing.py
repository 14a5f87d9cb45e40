"""A network as a picture, a neuron a node: its weights are lines, thick where they are large."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pure_python.graph.drawing import FONT, LINE, PORTS, ROLES, escaped, new_digraph

if TYPE_CHECKING:
    import graphviz

BLUE, ORANGE = "#1f6fb4", "#c2410c"
LEGEND = (
    "in a neuron its bias; lines are weights: blue positive, dashed orange negative, "
    "the thickest of size {largest}"
)
# Inches from neuron to neuron.
ROW = {"LR": 0.54, "RL": 0.54, "TB": 0.66, "BT": 0.66}
TEXT = "shape=plaintext style=solid fontsize=10"
PLACE = {
    "LR": lambda along, across: (along, -across),
    "RL": lambda along, across: (-along, -across),
    "TB": lambda along, across: (across, -along),
    "BT": lambda along, across: (across, along),
}


class Dense(NamedTuple):
    """A layer in plain numbers, weight[neuron][input]."""

    name: str
    weight: list[list[float]]
    bias: list[float]
    activation: str


# The neurons of a column that are shown, by number; None stands for those that are not.
Column = list[int | None]


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
    columns = [_shown(len(names), max_neurons)]
    columns += [_shown(len(layer.bias), max_neurons) for layer in layers]
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
        dot.body += _edges(k, layer, columns[k], columns[k + 1], largest)
    dot.body += _nodes(layers, columns, names, rankdir)
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


def _names(input_names: Sequence[str] | None, n_in: int) -> Sequence[str]:
    if input_names is None:
        return [f"x{i}" for i in range(n_in)]
    if isinstance(input_names, str) or not all(isinstance(name, str) for name in input_names):
        raise TypeError(f"input_names must be a sequence of str, got {input_names!r}")
    if len(input_names) != n_in:
        raise ValueError(f"a model of {n_in} inputs cannot have {len(input_names)} input_names")
    return input_names


def _shown(size: int, limit: int) -> Column:
    if size <= limit:
        return list(range(size))
    first = (limit + 1) // 2
    return [*range(first), None, *range(size - limit + first, size)]


def _edges(k: int, layer: Dense, inputs: Column, neurons: Column, largest: float) -> list[str]:
    edges = []
    for j in neurons:
        for i in inputs:
            if j is None or i is None:
                continue
            w = layer.weight[j][i]
            # Of three digits, so that engines which agree to twelve draw the same.
            size = round(abs(w) / largest, 3) if math.isfinite(w) and largest else 1.0
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


def _nodes(
    layers: list[Dense], columns: list[Column], names: Sequence[str], rankdir: str
) -> list[str]:
    lines = []
    gap = ROW[rankdir]
    if rankdir in ("TB", "BT"):  # names stand side by side
        gap = max(gap, 0.2 + 0.07 * max(map(len, names)))
    tallest = max(map(len, columns))
    between = min(max(1.8, 0.4 * gap * tallest), 3.2)  # layers, so that lines are not too steep

    def node(name: str, k: int, across: float, attributes: str) -> None:
        x, y = PLACE[rankdir](k * between, across * gap)
        lines.append(f'\t{name} [pos="{x:.3f},{y:.3f}!" {attributes}]\n')

    for k, column in enumerate(columns):
        if k:
            layer = layers[k - 1]
            size, title = len(layer.bias), layer.activation
            role = ROLES["root" if k == len(layers) else "result"]
        else:
            size, title = len(names), "input" if len(names) == 1 else "inputs"
            role = ROLES["input"]
        node(f"title{k}", k, -(tallest + 1) / 2, f'label="{size} {title}" {TEXT}')
        spread = math.sqrt(tallest / len(column))  # a few neurons opposite many stand apart
        for row, neuron in enumerate(column):
            place = (row - (len(column) - 1) / 2) * spread
            if neuron is None:
                more = size - len(column) + 1
                node(f"more{k}", k, place, f'label="… {more} more" {TEXT}')
            elif k:
                bias = _short(layer.bias[neuron])
                node(
                    f"n{k}_{neuron}",
                    k,
                    place,
                    f'label="{bias}" fixedsize=true tooltip="{layer.name}bias[{neuron}] = {bias}" {role}',
                )
            else:
                label = escaped(names[neuron])
                node(
                    f"n0_{neuron}",
                    k,
                    place,
                    f'label="{label}" shape=box style="filled,rounded" {role}',
                )
    return lines


def _short(x: float) -> str:
    """Two digits."""
    # Engines agree to about 15 digits: rounded to 12 first, none tips the last one that is shown.
    return f"{float(f'{x:.12g}') + 0.0:.2g}"
