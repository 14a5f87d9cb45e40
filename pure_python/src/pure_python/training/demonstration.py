"""What the demo does: the main job with every backend from one seed, side by side."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from pure_python.state.files import write_whole

from . import figures
from .commands import backend_named
from .configuration import Source
from .errors import Stopped
from .run import Run
from .terminal import show_table

BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")
DATASETS = ("moons", "digits")
COLOURS = dict(zip(BACKENDS, figures.PALETTE, strict=False))
DASHES = ("-", "--", ":", "-.")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--out", default="runs/demo", show_default=True, help="Where results go.")
@click.option("--backend", "names", multiple=True, help="Only this backend; repeatable.")
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of what suits each data set.")
@click.option("--seed", type=int, default=1337, show_default=True)
def demo(out: str, names: tuple[str, ...], epochs: int | None, seed: int) -> int:
    """Train each backend on two moons and on the digits, from one seed, and compare."""
    backends = [backend_named(name) for name in names or BACKENDS]
    runs: dict[str, list[Run]] = {}
    try:
        for dataset, backend in product(DATASETS, backends):
            options = {"seed": seed, "epochs": epochs}
            folder = str(Path(out, f"{dataset}-{backend.__name__}"))
            run = Run.prepare(backend, Source(dataset), options, out=folder)
            if not run.carry_out():
                raise KeyboardInterrupt
            runs.setdefault(dataset, []).append(run)
            if run.interrupted:
                raise KeyboardInterrupt
        compare(runs, out)
    except KeyboardInterrupt:
        if not runs:
            raise Stopped from None
        raise Stopped(f"stopped by Ctrl-C; what was learnt is kept in {Path(out)}") from None
    print(f"figures and weights are in {Path(out)}")
    return 0


def compare(runs: dict[str, list[Run]], out: str) -> None:
    """Print a table for each data set, and write figures and `demo.json`."""
    for dataset, done in runs.items():
        show_table(*table(dataset, done))
        print()
    figures.save(moons_figure(runs["moons"]), Path(out, "moons.png"))
    figures.save(digits_figure(runs["digits"]), Path(out, "digits.png"))
    summary = {dataset: [row(run, done[0]) for run in done] for dataset, done in runs.items()}
    text = json.dumps(summary, indent=1)
    write_whole(Path(out, "demo.json"), lambda file: file.write(text.encode()))


def row(run: Run, first: Run) -> dict[str, str | int | float]:
    """What a run came to, and how far its losses are from those of the first run's steps."""
    history = run.trainer.history
    last = history.epochs[-1]
    return {
        "backend": run.trainer.backend.__name__,
        "epochs": len(history.epochs),
        "steps": len(history.losses),
        "loss": last["loss"],
        "held_out_accuracy": last["held_accuracy"],
        "steps_per_second": history.steps_per_second,
        "seconds": run.seconds,
        "largest_difference": largest_difference(history.losses, first.trainer.history.losses),
    }


def largest_difference(ours: list[float], theirs: list[float]) -> float:
    """Between the losses of the steps that both have taken."""
    n = min(len(ours), len(theirs))
    return float(np.abs(np.subtract(ours[:n], theirs[:n])).max())


def table(dataset: str, runs: list[Run]) -> tuple[str, list[str], list[list[str]]]:
    """Title, header and rows of what the runs on one data set came to."""
    first = runs[0]
    header = ["backend", "epochs", "loss", "held out", "steps/s", "time", "largest difference"]
    rows = [
        [
            str(r["backend"]),
            str(r["epochs"]),
            f"{r['loss']:.6f}",
            f"{100 * float(r['held_out_accuracy']):.1f} %",
            f"{r['steps_per_second']:.0f}",
            f"{r['seconds']:.2f} s",
            f"{r['largest_difference']:.1e}" if run is not first else "",
        ]
        for run in runs
        for r in [row(run, first)]
    ]
    settings = first.trainer.settings
    title = f"{dataset}: {first.sizes}, {settings.loss}, {settings.optimizer}, seed {settings.seed}"
    return title, header, rows


def moons_figure(runs: list[Run]) -> Figure:
    """The decision of each backend side by side."""
    figure = Figure(figsize=(4.6 * len(runs), 4.4), layout="constrained")
    figure.suptitle("Two moons: the same decision from the same seed", color=figures.INK)
    panels = figure.subplots(1, len(runs), squeeze=False, sharex=True, sharey=True)[0]
    for axes, run in zip(panels, runs, strict=True):
        figures.draw_decision(axes, run.dataset, run.split, run.decide)
        last = run.trainer.history.epochs[-1]
        accuracy = 100 * last["held_accuracy"]
        axes.set_title(
            f"{run.trainer.backend.__name__}: {accuracy:.1f} % held out, {run.seconds:.2f} s",
            fontsize=10,
            color=figures.INK,
        )
        axes.label_outer()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def digits_figure(runs: list[Run]) -> Figure:
    """Losses over the steps, where the backends lie on one another, and held-out accuracies."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    figure.suptitle("Digits: the same losses from the same seed", color=figures.INK)
    left, right = figure.subplots(1, 2)
    for k, run in enumerate(runs):
        history, name = run.trainer.history, run.trainer.backend.__name__
        style = {
            "color": COLOURS.get(name, figures.PALETTE[k % len(figures.PALETTE)]),
            "linestyle": DASHES[k % len(DASHES)],
            # The first lies below and is the widest, so that all can be seen.
            "linewidth": 5.5 - 2 * k if k < 2 else 1.6,
            "alpha": 0.45 if k == 0 else 1.0,
        }
        epochs = [row["epoch"] for row in history.epochs]
        left.plot(epochs, [row["loss"] for row in history.epochs], label=name, **style)
        accuracies = [100 * row["held_accuracy"] for row in history.epochs]
        right.plot(epochs, accuracies, label=f"{name}, {run.seconds:.2f} s", **style)
    left.set_yscale("log")
    left.yaxis.set_minor_formatter(NullFormatter())
    left.set_ylabel("training loss")
    right.set_ylabel("held-out accuracy (%)")
    right.axhline(95, color=figures.PALE_INK, linewidth=1, linestyle=(0, (1, 3)))
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(color=figures.GRID, linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return figure
