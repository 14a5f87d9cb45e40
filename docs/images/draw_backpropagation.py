"""Draws the pictures of docs/backpropagation.md from the page's own program: `nox -s images`."""

import io
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cython_core import MLP, Adam, draw_dot, mse_loss
from pure_python.training.figures import GRID, INK, PALE_INK, PALETTE

IMAGES = Path(__file__).parent
PAGE = IMAGES.parent / "backpropagation.md"
BLUE, AMBER, GREEN, PINK, RED = PALETTE[:5]


def main() -> None:
    # Neither a date nor random names: the same picture is the same file.
    with rc_context({"svg.hashsalt": "backpropagation", "font.size": 11}):
        draw_line()
        draw_order()
        draw_paths()
        draw_zero_grad()
        draw_activations()
        draw_learning_rate()


def names_after(heading: str) -> dict[str, Any]:
    """What the examples of the page have made at the end of the section of this heading."""
    text = PAGE.read_text(encoding="utf-8")
    end = text.find("\n## ", text.index(f"\n## {heading}\n") + 1)
    names: dict[str, Any] = {"__name__": "__main__"}
    with redirect_stdout(io.StringIO()):
        for example in re.findall(r"```python\n(.*?)```", text[:end], re.DOTALL):
            exec(example, names)
    return names


def panels(count: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False, sharex=True, sharey=True)[0])


def tidy(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.label_outer()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=PALE_INK)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def save(figure: Figure, name: str) -> None:
    figure.savefig(IMAGES / name, metadata={"Date": None}, facecolor="white")


def draw_line() -> None:
    names = names_after("Why a graph?")
    names["prediction"].label, names["loss"].label = "prediction", "loss"
    draw_dot(names["loss"]).render(outfile=IMAGES / "line.svg", cleanup=True)


def draw_order() -> None:
    names = names_after("Why in the reverse order of creation?")
    for name, turn in (("p", "first"), ("q", "second"), ("y", "last")):
        names[name].label = f"{name}, made {turn}"
    draw_dot(names["y"]).render(outfile=IMAGES / "order.svg", cleanup=True)


def draw_paths() -> None:
    """The graph of y with a local gradient on each edge, once for each path from a to y."""
    names = names_after("Why in the reverse order of creation?")
    places = {"a": (0.0, 0.0), "p": (1.0, 1.0), "q": (2.0, 0.0), "y": (3.0, 1.0)}
    p, q = names["p"].data, names["q"].data
    local = {"ap": 2.0, "aq": 1.0, "pq": 1.0, "py": q, "qy": p}
    figure, three = panels(3, 10, 2.5)
    total = 0.0
    for axes, path in zip(three, ("apy", "apqy", "aqy"), strict=True):
        steps = [path[i : i + 2] for i in range(len(path) - 1)]
        for edge, gradient in local.items():
            (x0, y0), (x1, y1) = places[edge[0]], places[edge[1]]
            taken = edge in steps
            style = {
                "arrowstyle": "-|>",
                "mutation_scale": 16,
                "color": RED if taken else "#BBBBBB",
                "linewidth": 3 if taken else 1.2,
                "shrinkA": 14,
                "shrinkB": 14,
            }
            axes.annotate("", (x1, y1), (x0, y0), arrowprops=style)
            axes.text(
                (x0 + x1) / 2,
                (y0 + y1) / 2,
                f"{gradient:g}",
                color=INK if taken else PALE_INK,
                fontweight="bold" if taken else "normal",
                ha="center",
                va="center",
                bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none"},
            )
        for name, (x, y) in places.items():
            axes.text(
                x,
                y,
                name,
                color=INK,
                ha="center",
                va="center",
                bbox={"boxstyle": "circle,pad=0.35", "facecolor": "#F4F4F4", "edgecolor": INK},
            )
        share = float(np.prod([local[edge] for edge in steps]))
        total += share
        factors = " · ".join(f"{local[edge]:g}" for edge in reversed(steps))
        axes.set_title(f"{factors} = {share:g}", color=INK)
        axes.set_xlim(-0.4, 3.4)
        axes.set_ylim(-0.4, 1.4)
        axes.set_axis_off()
    figure.supxlabel(
        " + ".join(axes.get_title().rpartition(" ")[2] for axes in three) + f" = {total:g}",
        color=INK,
        fontweight="bold",
    )
    save(figure, "paths.svg")


def draw_zero_grad() -> None:
    descend = names_after("Why zero_grad?")["descend"]
    figure, (axes,) = panels(1, 7, 2.9)
    axes.axhline(1.5, color=PALE_INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot(descend(0.02, 40), "o-", color=BLUE, markersize=4, label="with zero_grad")
    axes.plot(
        descend(0.02, 40, zero=False), "s-", color=RED, markersize=4, label="without zero_grad"
    )
    tidy(axes, "step", "w")
    axes.set_ylim(top=3.7)
    axes.legend(frameon=False, ncols=2, loc="upper right")
    save(figure, "zero_grad.svg")


def draw_activations() -> None:
    """The same points learnt by the same network with three activations."""
    inputs = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]
    targets = [float(np.sin(1.6 * x)) for x in inputs]
    grid = np.linspace(-3.4, 3.4, 400)
    figure, three = panels(3, 10, 2.9)
    for axes, activation in zip(three, ("linear", "relu", "tanh"), strict=True):
        model = MLP(1, [16, 16, 1], activation=activation, init="xavier", seed=3)
        optimizer = Adam(model.parameters(), lr=0.01)
        for _ in range(1500):
            loss = mse_loss(model([[x] for x in inputs]), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        axes.plot(grid, [model([x]).data for x in grid], color=BLUE, linewidth=2)
        axes.plot(inputs, targets, "o", color=AMBER, markeredgecolor=INK, markersize=8)
        axes.set_title(activation, color=INK)
        tidy(axes, "input", "output")
    save(figure, "activations.svg")


def draw_learning_rate() -> None:
    names = names_after("Why is the step the learning rate times the gradient?")
    descend = names["descend"]

    def loss(w: Any) -> Any:
        return (2 * w - 3) ** 2  # the loss of the page, x, b and the target put in

    line = np.linspace(-1.1, 4.1, 200)
    figure, three = panels(3, 10, 3.1)
    for axes, lr in zip(three, (0.01, 0.1, 0.26), strict=True):
        path = np.array(descend(lr, 5))
        axes.plot(line, loss(line), color=PALE_INK, linewidth=1.5)
        for start, end in zip(path[:-1], path[1:], strict=True):
            style = {
                "arrowstyle": "-|>",
                "color": RED,
                "linewidth": 1.4,
                "shrinkA": 0,
                "shrinkB": 3,
            }
            axes.annotate("", (end, loss(end)), (start, loss(start)), arrowprops=style)
        axes.plot(path, loss(path), "o", color=BLUE, markersize=6, zorder=3)
        axes.set_title(f"learning rate {lr}", color=INK)
        tidy(axes, "w", "loss")
    save(figure, "learning_rate.svg")


if __name__ == "__main__":
    main()
