"""The plot: what an operation costs by size, steps of networks, and the targets."""

from __future__ import annotations

import statistics
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from pure_python.training.figures import GRID, INK, PALETTE

from .contest import Outcome
from .plan import SIZES, size_name
from .targets import Verdict, judge, ratio

# One colour for an engine, wherever it appears.
COLOURS = {
    "cython_core": PALETTE[0],
    "pure_python": PALETTE[2],
    "numpy_vectorized": PALETTE[1],
    "micrograd": PALETTE[3],
    "slots Value": PALETTE[6],
    "torch": PALETTE[4],
    "jax": PALETTE[5],
}
OTHERS = PALETTE[7]


def colour(name: str) -> str:
    return next((c for engine, c in COLOURS.items() if name.startswith(engine)), OTHERS)


def figure(outcomes: list[Outcome]) -> Figure:
    canvas = Figure(figsize=(13, 18), layout="constrained")
    # Parts of their own, so that the long names of one do not narrow the others.
    above, middle, below = canvas.subfigures(3, 1, height_ratios=[0.75, 1.35, 0.9])
    kinds = dict(zip(("chain", "dag"), above.subplots(1, 2, sharey=True), strict=True))
    left, right = middle.subfigures(1, 2)
    moons = left.subplots()
    gpt, steps = right.subplots(2, 1, height_ratios=[0.8, 1.0])
    goals = below.subplots()
    names: dict[str, Any] = {}
    for kind, ax in kinds.items():
        by_size(ax, kind, outcomes)
        names |= dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    if names:
        above.legend(
            names.values(), names, loc="outside lower center", ncols=6, frameon=False, fontsize=9
        )
    bars(moons, "moons", "two moons: µs a step", 1e6, outcomes)
    bars(gpt, "gpt", "small GPT: ms a step", 1e3, outcomes)
    networks(steps, outcomes)
    against_targets(goals, outcomes)
    for ax in (*kinds.values(), moons, gpt, steps, goals):
        ax.title.set_fontsize(11)
        ax.title.set_color(INK)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color=GRID, linewidth=0.8)
        ax.set_axisbelow(True)
    return canvas


def by_size(ax: Axes, kind: str, outcomes: list[Outcome]) -> None:
    lines: dict[str, list[tuple[int, float]]] = {}
    for o in outcomes:
        for nodes in SIZES:
            if (o.contest.workload, o.contest.case) == (kind, size_name(nodes)):
                for name, phases in o.times.items():
                    time = 1e9 * statistics.median(phases["all"])
                    lines.setdefault(name, []).append((nodes, time))
    for name, points in lines.items():
        line = "--" if "collector off" in name else ":" if name == "float" else "-"
        marker = {"autograd": "^", "mygrad": "v"}.get(name, "o")
        style = {"linestyle": line, "marker": marker, "markersize": 4, "color": colour(name)}
        ax.plot(*zip(*points, strict=True), label=name, **style)
    ax.set(xscale="log", yscale="log", xlabel="operations", ylabel="ns an operation")
    ax.set_title(f"{kind}: forward + backward + free")


def bars(ax: Axes, workload: str, title: str, factor: float, outcomes: list[Outcome]) -> None:
    for o in outcomes:
        if o.contest.workload != workload:
            continue
        times = {n: factor * statistics.median(p["step"]) for n, p in o.times.items()}
        names = sorted(times, key=times.__getitem__)
        drawn = ax.barh(names, [times[n] for n in names], color=list(map(colour, names)))
        ax.bar_label(
            drawn,
            [f"{times[n]:,.3g}" if times[n] < 1000 else f"{times[n]:,.0f}" for n in names],
            padding=3,
            fontsize=8,
        )
        if names:
            ax.set_xscale("log")
            ax.set_xlim(times[names[0]] / 2, times[names[-1]] * 4)
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0, labelsize=8)
    ax.set_title(title)


def networks(ax: Axes, outcomes: list[Outcome]) -> None:
    """Ratios to NumPy by hand, the same number of threads."""
    played = [o for o in outcomes if o.contest.workload == "networks"]
    labels = []
    for o in played:
        for end in (", 1 thread", ", 2 threads"):
            hand = f"NumPy by hand{end}"
            if hand not in o.times:
                continue
            for name, marker in (
                ("numpy_vectorized", "o"),
                ("numpy_vectorized, Tape", "D"),
                ("torch", "s"),
                ("jax", "^"),
            ):
                r = ratio(o, "step", name + end, hand)
                if r:
                    ax.errorbar(
                        r.median,
                        len(labels),
                        xerr=[[r.median - r.low], [r.high - r.median]],
                        fmt=marker,
                        ms=5,
                        color=colour(name),
                        label=name if not labels else None,
                    )
            labels.append(f"{o.contest.case}{end}")
    ax.axvline(1.0, color=INK, linewidth=1)
    ax.set_yticks(range(len(labels)), labels, fontsize=7)
    ax.invert_yaxis()
    ax.set_title("training step over NumPy by hand")
    if labels:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(FixedLocator([0.5, 0.7, 1, 1.5, 2, 3, 4, 6]))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(NullLocator())
        place = {"loc": "upper center", "bbox_to_anchor": (0.3, -0.07)}
        ax.legend(frameon=False, fontsize=8, ncols=4, **place)


def against_targets(ax: Axes, outcomes: list[Outcome]) -> None:
    """Every figure of a target, divided by the target: left of the line it is met."""
    verdicts = [v for v in judge(outcomes) if isinstance(v, Verdict)]
    for row, v in enumerate(verdicts):
        limit = v.target.limit
        for f in v.target.figures:
            r = f.of(outcomes)
            if r:
                shown = max(r.median / limit, 1e-3)
                met = r.median <= limit
                ax.plot(shown, row, "o", ms=5, color=PALETTE[2] if met else PALETTE[4], alpha=0.7)
    ax.axvline(1.0, color=INK, linewidth=1)
    ax.set_yticks(range(len(verdicts)), [v.target.what for v in verdicts], fontsize=8)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_title("measured over target: left of the line is met")
