"""What the backends are meant to reach, and which measured figures show it.

A target with several figures is judged by the worst of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .contest import Outcome, Ratio
from .plan import NETWORKS, SIZES, SMALL, size_name


@dataclass(frozen=True)
class Figure:
    """One contestant's phase over another's in the same rounds, or over a constant."""

    label: str
    workload: str
    case: str
    phase: str
    name: str
    other: str | None = None
    over: float = 1.0

    def of(self, outcomes: Iterable[Outcome]) -> Ratio | None:
        """The ratio, if both were measured."""
        for outcome in outcomes:
            contest = outcome.contest
            if (contest.workload, contest.case) == (self.workload, self.case):
                return ratio(outcome, self.phase, self.name, self.other, self.over)
        return None


def ratio(
    outcome: Outcome, phase: str, name: str, other: str | None = None, over: float = 1.0
) -> Ratio | None:
    """Round by round the time of one over the time of the other; None if one is not there."""
    mine = outcome.times.get(name, {}).get(phase)
    theirs = outcome.times.get(other, {}).get(phase) if other else mine and [over] * len(mine)
    if not mine or not theirs:
        return None
    return Ratio.of(a / b for a, b in zip(mine, theirs, strict=True))


@dataclass(frozen=True)
class Target:
    what: str
    against: str
    limit: float
    figures: list[Figure]
    unit: str = ""


def targets() -> list[Target]:
    """The target table of the project, row by row."""
    kinds = ("chain", "dag")
    large = [size_name(nodes) for nodes in SIZES[1:]]

    def graph(kind: str, phase: str) -> list[Figure]:
        return [Figure(size, kind, size, phase, "cython_core", "float") for size in large]

    def moons(mine: str, *others: str) -> list[Figure]:
        return [Figure(f"over {o}", "moons", "a step", "step", mine, o) for o in others]

    def networks(mine: str, other: str, cases: list[tuple[list[int], int, str]]) -> list[Figure]:
        made = []
        for sizes, batch, dtype in cases:
            case = f"({','.join(map(str, sizes))}) x {batch}, {dtype}"
            for end in (", 1 thread", ", 2 threads"):
                label = f"{case}{end}"
                made.append(Figure(label, "networks", case, "step", mine + end, other + end))
        return made

    numpy = "numpy_vectorized"
    wide = [(s, n, dtype) for s, n in NETWORKS for dtype in ("float32", "float64")]
    small = [(SMALL, 100, "float64")]
    hand = "NumPy by hand"
    return [
        *(
            Target(
                f"cython_core, {what}, 10⁴ to 10⁷ nodes, {title}",
                "float operation in the same loop",
                limit,
                graph(kind, phase),
            )
            for kind, title in (("chain", "chain"), ("dag", "random graph"))
            for what, limit, phase in (
                ("forward of one operation", 1.6, "forward"),
                ("forward + backward + free", 2.8, "all"),
            )
        ),
        Target(
            "cost per node at 10⁷ against 10⁴",
            "itself",
            1.5,
            [
                Figure(f"{kind}, {size} over 10⁴", kind, "growth", "all", size, "10⁴")
                for kind in kinds
                for size in large[1:]
            ],
        ),
        Target(
            "memory a scalar node",
            "",
            72.0,
            [
                Figure(f"{kind} of {size}", "memory", kind, "bytes a node", f"cython_core, {size}")
                for kind in kinds
                for size in large[2:]
            ],
            " bytes",
        ),
        Target(
            "resident memory after a 10⁷ graph is freed",
            "before",
            64.0,
            [
                Figure(
                    f"{kind} of {size}",
                    "memory",
                    kind,
                    "bytes left",
                    f"cython_core, {size}",
                    over=1e6,
                )
                for kind in kinds
                for size in large[2:]
            ],
            " MB",
        ),
        Target(
            "moons, micrograd user's script, cython_core",
            "torch",
            0.40,
            moons("cython_core, script", "torch, L2 in the loss"),
        ),
        Target(
            "moons, batched and fused, cython_core",
            "torch",
            0.06,
            moons("cython_core, batched", "torch"),
        ),
        Target(
            "moons, Tape, cython_core",
            "casadi",
            0.30,
            [
                Figure(style, "moons", "a step", "step", f"cython_core, {style}", "casadi")
                for style in ("Tape of the script", "Tape of atoms", "Tape of the batch")
            ],
        ),
        Target(
            "a scalar-style GPT step, cython_core",
            "the same script with a plain slots Value",
            0.03,
            [gpt("cython_core, scalar style", "slots Value, scalar style")],
        ),
        Target(
            "the GPT example in vector style, cython_core",
            "pure_python's scalar style",
            0.001,
            [gpt("cython_core, vector style", "pure_python, scalar style")],
        ),
        Target(
            "pure_python, chain forward + backward, collector off",
            "micrograd, collector off",
            0.35,
            [
                Figure(
                    f"chain of {size}",
                    "chain",
                    size,
                    "forward + backward",
                    "pure_python, collector off",
                    "micrograd, collector off",
                )
                for size in map(size_name, SIZES[:3])
            ],
        ),
        Target(
            "pure_python, moons step, collector off",
            "micrograd, collector off",
            0.06,
            moons("pure_python, script, collector off", "micrograd, script, collector off"),
        ),
        Target(
            "numpy_vectorized training step, 64 wide and more",
            "hand-written NumPy in one function",
            1.05,
            networks(numpy, hand, wide),
        ),
        Target(
            "the same at (2,16,16,1) x 100",
            "hand-written NumPy",
            1.15,
            networks(numpy, hand, small),
        ),
        Target(
            "the same at (2,16,16,1) x 100, by Tape",
            "hand-written NumPy",
            0.85,
            networks(f"{numpy}, Tape", hand, small),
        ),
        Target(
            "numpy_vectorized training step, every size and dtype",
            "torch, same threads",
            1.0,
            networks(numpy, "torch", small + wide),
        ),
        Target(
            "importing numpy_vectorized",
            "`import numpy`",
            1.3,
            [
                Figure(
                    "",
                    "imports",
                    "first import",
                    "import",
                    f"import {numpy}",
                    "import numpy",
                )
            ],
        ),
        Target(
            "importing pure_python, cython_core",
            "30 ms",
            1.3,
            [
                Figure(b, "imports", "first import", "import", f"import {b}", over=0.030)
                for b in ("pure_python", "cython_core")
            ],
        ),
    ]


def gpt(mine: str, other: str) -> Figure:
    return Figure("", "gpt", "a step", "step", mine, other)


@dataclass(frozen=True)
class Verdict:
    """The worst figure of a target, the best, and whether it is met."""

    target: Target
    worst: Ratio
    where: str
    best: Ratio
    count: int

    @property
    def met(self) -> bool:
        return self.worst.median <= self.target.limit

    def __str__(self) -> str:
        if self.met:
            return "met"
        over = self.worst.median / self.target.limit
        if over < 1.01:
            return "missed by less than 1%"
        return f"missed by {over - 1:.0%}" if over < 2 else f"missed, {over:.1f} times as much"


def judge(outcomes: list[Outcome]) -> list[Verdict | Target]:
    """A verdict for every target, or the target itself where nothing was measured."""
    verdicts: list[Verdict | Target] = []
    for target in targets():
        measured = [(f.of(outcomes), f.label) for f in target.figures]
        there = [(r, label) for r, label in measured if r is not None]
        if not there:
            verdicts.append(target)
            continue
        worst, where = max(there, key=lambda pair: pair[0].median)
        best, _ = min(there, key=lambda pair: pair[0].median)
        verdicts.append(Verdict(target, worst, where, best, len(there)))
    return verdicts
