"""Figures of a run: how the loss fell, what the network decides, and where it errs.

Drawn without pyplot, so that no window system is asked for and nothing global is left behind.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, to_rgb
from matplotlib.figure import Figure

from pure_python.state.files import write_whole

from .datasets import Dataset, Split
from .trainer import History

# Okabe and Ito's palette, which people with any colour vision can tell apart.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#555555")
INK, PALE_INK, GRID = "#222222", "#666666", "#E3E3E3"
TWO_CLASSES = LinearSegmentedColormap.from_list("two classes", [PALETTE[0], "#FFFFFF", PALETTE[1]])
MARKERS = "o^sDvPX*"
# Points on each side of the grid on which a decision is drawn.
GRID_POINTS = 140
# With more classes than these, a confusion matrix is drawn without its numbers, or its names.
MOST_NUMBERS, MOST_NAMES = 25, 60


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, whole or not at all."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=150, facecolor="white")
    write_whole(path, lambda file: file.write(content.getvalue()))


def loss_curve(history: History, title: str) -> Figure:
    """Loss and accuracy over the epochs, of training and of what was held out."""
    figure = Figure(figsize=(8, 5.6), layout="constrained")
    figure.suptitle(title, color=INK, fontsize=12)
    above, below = figure.subplots(2, 1, sharex=True)
    rows = history.epochs
    epochs = [row["epoch"] for row in rows]
    # The steps of an epoch lie evenly before it; its means stand at its end.
    first = epochs[0] - 1
    steps = first + np.arange(1, len(history.losses) + 1) * len(rows) / len(history.losses)
    above.plot(
        steps, history.losses, color=PALETTE[0], alpha=0.35, linewidth=0.8, label="each step"
    )
    style = {"linewidth": 2, "marker": "o" if len(rows) < 20 else "", "markersize": 4}
    for name, key, colour in (("training", "", PALETTE[0]), ("held out", "held_", PALETTE[4])):
        if f"{key}loss" in rows[0]:
            above.plot(epochs, [r[f"{key}loss"] for r in rows], color=colour, label=name, **style)
            accuracies = [100 * r[f"{key}accuracy"] for r in rows]
            below.plot(epochs, accuracies, color=colour, label=name, **style)
    if history.result is not rows[-1]:
        for axes in (above, below):
            line = axes.axvline(history.result["epoch"], color=PALE_INK, linewidth=1, linestyle=":")
        line.set_label("weights kept")
        below.legend(handles=[line], frameon=False, loc="lower right")
    losses = [x for row in rows for x in (row["loss"], row.get("held_loss", row["loss"]))]
    if min(losses) > 0 and max(losses) > 20 * min(losses):
        above.set_yscale("log")
        # A step of nearly no loss would take the room of all others.
        above.set_ylim(bottom=max(min(losses + history.losses), min(losses) / 100) / 1.5)
    else:
        above.set_ylim(
            bottom=0, top=1.1 * max(max(losses), float(np.quantile(history.losses, 0.98)))
        )
    above.set_ylabel("loss")
    below.set_ylabel("accuracy (%)")
    below.set_xlabel("epoch")
    below.xaxis.get_major_locator().set_params(integer=True)
    lowest = min(min(line.get_ydata()) for line in below.lines)
    below.set_ylim(max(0, lowest - 5), 101)
    for axes in (above, below):
        _tidy(axes)
        axes.grid(color=GRID, linewidth=0.8)
    above.legend(frameon=False, loc="upper right")
    return figure


def decision_boundary(
    dataset: Dataset, split: Split, decide: Callable[[np.ndarray], np.ndarray], title: str
) -> Figure:
    """What the network decides over the plane of two features, with the samples.

    decide: the outputs for samples (n, 2) as numbers, (n,) with two classes, else (n, classes).
    """
    figure = Figure(figsize=(7.6, 5.6), layout="constrained")
    axes = figure.subplots()
    draw_decision(axes, dataset, split, decide)
    axes.set_title(title, color=INK, fontsize=12)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.3)
    return figure


def draw_decision(
    axes: Axes, dataset: Dataset, split: Split, decide: Callable[[np.ndarray], np.ndarray]
) -> None:
    """The regions of the classes as filled contours, and the samples over them."""
    low, high = dataset.inputs.min(axis=0), dataset.inputs.max(axis=0)
    margin = 0.12 * np.where(high > low, high - low, 1.0)
    xs = np.linspace(low[0] - margin[0], high[0] + margin[0], GRID_POINTS)
    ys = np.linspace(low[1] - margin[1], high[1] + margin[1], GRID_POINTS)
    plane = np.column_stack([part.ravel() for part in np.meshgrid(xs, ys)])
    scores = decide(plane)
    if len(dataset.classes) == 2:
        scores = scores.reshape(GRID_POINTS, GRID_POINTS)
        # Squashed, so that far scores do not take all the colour from those near the boundary.
        axes.contourf(
            xs, ys, np.tanh(scores / 1.5), np.linspace(-1, 1, 15), cmap=TWO_CLASSES, alpha=0.55
        )
        if scores.min() < 0 < scores.max():
            axes.contour(xs, ys, scores, [0.0], colors=INK, linewidths=1.6)
    else:
        chosen = scores.argmax(axis=1).reshape(GRID_POINTS, GRID_POINTS)
        paler = ListedColormap([_paler(_colour(k)) for k in range(len(dataset.classes))])
        # The larger of a class's score over all others: its zero is the border, and it is smooth.
        levels = np.arange(len(dataset.classes) + 1) - 0.5
        axes.pcolormesh(
            xs, ys, chosen, cmap=paler, vmin=levels[0], vmax=levels[-1], shading="nearest"
        )
        for k in range(len(dataset.classes)):
            lead = scores[:, k] - np.delete(scores, k, axis=1).max(axis=1)
            if lead.min() < 0 < lead.max():
                lead = lead.reshape(GRID_POINTS, GRID_POINTS)
                axes.contour(xs, ys, lead, [0.0], colors=INK, linewidths=0.9)
    _draw_samples(axes, dataset, split)
    axes.set_xlim(xs[0], xs[-1])
    axes.set_ylim(ys[0], ys[-1])
    axes.set_xlabel(dataset.features[0])
    axes.set_ylabel(dataset.features[1])
    _tidy(axes)


def _draw_samples(axes: Axes, dataset: Dataset, split: Split) -> None:
    for k, name in enumerate(dataset.classes):
        for inputs, targets, held in (
            (split.inputs, split.targets, False),
            (split.held_inputs, split.held_targets, True),
        ):
            points = inputs[targets == k]
            if len(points):
                axes.scatter(
                    points[:, 0],
                    points[:, 1],
                    s=36 if held else 28,
                    color=_colour(k),
                    marker=MARKERS[k % len(MARKERS)],
                    edgecolors="black" if held else "white",
                    linewidths=1.3 if held else 0.6,
                    label=f"{name}, held out" if held else name,
                    zorder=4 if held else 3,
                )


def confusion_matrix(
    actual: np.ndarray, chosen: np.ndarray, classes: Sequence[str], title: str
) -> Figure:
    """How often each class was taken for each. actual, chosen: indices into `classes`."""
    from sklearn.metrics import confusion_matrix as count

    n = len(classes)
    counts = count(actual, chosen, labels=range(n))
    side = min(12.0, max(4.6, 2.4 + 0.52 * n))
    figure = Figure(figsize=(side + 1.0, side), layout="constrained")
    axes = figure.subplots()
    # Colour by the share of the row, so that rare classes are seen as well as frequent ones.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if n <= MOST_NUMBERS:
        for i, j in np.ndindex(n, n):
            if counts[i, j]:
                colour = "white" if shares[i, j] > 0.55 else INK
                axes.text(j, i, counts[i, j], ha="center", va="center", color=colour, fontsize=10)
    if n <= MOST_NAMES:
        names = [name if len(name) <= 18 else name[:17] + "…" for name in classes]
        slanted = max(map(len, names)) > 4
        axes.set_xticks(
            range(n), names, rotation=35 if slanted else 0, ha="right" if slanted else "center"
        )
        axes.set_yticks(range(n), names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("actual class")
    axes.set_title(title, color=INK, fontsize=12)
    bar = figure.colorbar(image, ax=axes, shrink=0.85, ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.ax.set_yticklabels(["0", "25", "50", "75", "100"])
    bar.set_label("share of the actual class (%)")
    bar.outline.set_visible(False)
    _tidy(axes)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def _colour(k: int) -> str:
    return PALETTE[k % len(PALETTE)]


def _paler(colour: str) -> tuple[float, float, float]:
    red, green, blue = (0.35 * part + 0.65 for part in to_rgb(colour))
    return red, green, blue


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=PALE_INK)
