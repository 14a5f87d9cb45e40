"""Random programs: the backends, PyTorch and a naive reference, with every operation in every place.

    python -m reliability.programs [COUNT] [--seed SEED] [--record]

A program has a few leaves and up to a dozen steps, each a function of earlier results and of numbers.
Its data and its gradients, after backward from two roots, have to be the same: bit for bit in the
scalar backends, to 1e-12 and what the rounding of the program itself makes of it in all others.
"""

from __future__ import annotations

import argparse
import importlib
import math
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from cases.naive import FUNCTIONS, MANY, OPERATIONS, Graph, call, signs, targets
from cases.numbers import same
from cases.programs import TORCH_FUNCTIONS, TORCH_OPERATIONS
from reference import torch

from .record import record

F = torch.nn.functional

BACKENDS = ("pure_python", "cython_core", "numpy_vectorized")
RAISED = (ArithmeticError, ValueError)
WILD = (0.0, -0.0, 1.0, -1.0, 0.5, math.inf, -math.inf, math.nan, 1e300, -1e-300, 5e-324, 800.0)
NAMES = [*FUNCTIONS, *OPERATIONS, *OPERATIONS, *OPERATIONS, *MANY]

# A program -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """A function of earlier nodes (ints) and numbers."""

    name: str
    operands: tuple[int | float, ...]

    def __str__(self) -> str:
        return f"{self.name}{tuple(f'n{x}' if isinstance(x, int) else x for x in self.operands)}"


@dataclass
class Program:
    leaves: list[float]
    wild: bool
    steps: list[Step] = field(default_factory=list)
    results: list[int] = field(default_factory=list)  # how many each step has; 0: it raises

    def __str__(self) -> str:
        return f"{self.leaves}; " + "; ".join(map(str, self.steps))


@dataclass
class Outcome:
    data: list[float]
    grads: list[float]
    errors: list[str]


def number(r: random.Random, wild: bool) -> float:
    if wild and r.random() < 0.4:
        return r.choice(WILD)
    return r.uniform(-3.0, 3.0)


def draw(r: random.Random, count: int, wild: bool) -> Step:
    """A step on so many nodes. Every operation of two takes a number on either side too."""
    name = r.choice(NAMES)
    if name in FUNCTIONS:
        return Step(name, (r.randrange(count),))
    if name in OPERATIONS:
        a, b = r.randrange(count), r.randrange(count)
        form = r.randrange(3 if OPERATIONS[name].operator else 2)
        return Step(name, [(a, b), (a, number(r, wild)), (number(r, wild), b)][form])
    n = r.randrange(1, 6)
    n = 2 * n + 1 if name == "dot" else 2 * n if name == "mse_loss" else n
    operands = [r.randrange(count) if r.random() < 0.7 else number(r, wild) for _ in range(n)]
    return Step(name, tuple(operands))


def grow(r: random.Random, m: ModuleType, wild: bool) -> tuple[Program, Outcome]:
    """A program, drawn step by step while it runs, so that few steps raise."""
    program = Program([number(r, wild) for _ in range(r.randrange(1, 6))], wild)
    nodes, errors = [m.Value(x) for x in program.leaves], []
    for _ in range(r.randrange(1, 15)):
        step = draw(r, len(nodes), wild)
        results = take(m, step, nodes, errors)
        program.steps.append(step)
        program.results.append(len(results))
        nodes += results
    return program, finish(nodes, errors)


def take(m: ModuleType, step: Step, nodes: list[Any], errors: list[str]) -> list[Any]:
    try:
        return call(m, step.name, [nodes[x] if isinstance(x, int) else x for x in step.operands])
    except RAISED as error:
        errors.append(f"{type(error).__name__}: {error}")
        return []


def finish(nodes: list[Any], errors: list[str]) -> Outcome:
    """Backward from the last node, and from one in the middle: leaves accumulate."""
    nodes[-1].backward(0.75)
    nodes[len(nodes) // 2].backward()
    return Outcome([v.data for v in nodes], [v.grad for v in nodes], errors)


def run(m: ModuleType, program: Program) -> Outcome:
    nodes, errors = [m.Value(x) for x in program.leaves], []
    for step in program.steps:
        nodes += take(m, step, nodes, errors)
    return finish(nodes, errors)


# The references ------------------------------------------------------------------------------


def reference(
    program: Program, noise: random.Random | None = None, unsigned: bool = False
) -> list[float] | None:
    """All data and the gradients of the leaves by the naive engine; None where it raises.

    unsigned: the gradients as they would be if no path took away what another gives.
    """
    graph = Graph(lambda x: x * (1.0 + noise.uniform(-1e-14, 1e-14))) if noise else Graph()
    for x in program.leaves:
        graph.leaf(x)
    try:
        for step, results in zip(program.steps, program.results, strict=True):
            if results:
                graph.apply(step.name, step.operands)
        if unsigned:
            graph.moved = abs
        graph.backward(len(graph.rows) - 1, 0.75)
        graph.backward(len(graph.rows) // 2)
    except RAISED:
        return None
    return [row.data for row in graph.rows] + [row.grad for row in graph.rows if not row.name]


def tolerances(program: Program, clean: list[float]) -> list[float] | None:
    """How far off each number may be: 1e-12 of it, thirty times what noise in its digits moves it,
    and 1e-14: of a gradient, of what its paths add up to without their signs.
    """
    unsigned = reference(program, unsigned=True)
    if unsigned is None:
        return None
    n = len(clean) - len(program.leaves)
    allowed = [1e-12 * abs(x) + 1e-14 for x in clean]
    allowed[n:] = [most + 1e-14 * x for most, x in zip(allowed[n:], unsigned[n:], strict=True)]
    for seed in range(3):
        noisy = reference(program, random.Random(seed))
        if noisy is None:
            return None
        for i, (x, y) in enumerate(zip(clean, noisy, strict=True)):
            allowed[i] = max(allowed[i], 30.0 * abs(x - y))
    return allowed if all(map(math.isfinite, allowed)) else None


def log_of_softmax(x: torch.Tensor) -> torch.Tensor:
    """PyTorch's own rounds what is small beside 1 away."""
    top = int(x.detach().argmax())
    shifted = x - x[top]
    rest = torch.exp(torch.cat([shifted[:top], shifted[top + 1 :]])).sum()
    return shifted - torch.log1p(rest)


def logsumexp(x: torch.Tensor) -> torch.Tensor:
    top = int(x.detach().argmax())
    return x[top] - log_of_softmax(x)[top]


TORCH_MANY = {
    "dot": lambda x: x[0] + x[2::2] @ x[1::2],
    "sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin,
    "logsumexp": logsumexp, "softmax": lambda x: F.softmax(x, 0), "log_softmax": log_of_softmax,
    "rms_norm": lambda x: F.rms_norm(x, x.shape),
    "mse_loss": lambda x: F.mse_loss(x[: len(x) // 2], x[len(x) // 2 :]),
    "hinge_loss": lambda x: torch.relu(1 - float64(signs(x)) * x).mean(),
    "binary_cross_entropy_with_logits": lambda x: F.binary_cross_entropy_with_logits(
        x, float64(targets(x))
    ),
    "cross_entropy": lambda x: -log_of_softmax(x)[0],
}  # fmt: skip


def float64(numbers: Any) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def run_torch(program: Program) -> list[float]:
    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in program.leaves]
    nodes = list(leaves)
    for step, results in zip(program.steps, program.results, strict=True):
        if not results:
            continue
        xs = [nodes[x] if isinstance(x, int) else float64(x) for x in step.operands]
        if step.name in MANY:
            y = TORCH_MANY[step.name](torch.stack(xs))
            nodes += list(y) if y.dim() else [y]
        elif step.name in FUNCTIONS:
            f = TORCH_FUNCTIONS.get(step.name) or getattr(torch, step.name, None)
            nodes.append((f or getattr(F, step.name))(xs[0]))
        else:
            nodes.append(TORCH_OPERATIONS[step.name](*xs))
    grads = [0.0] * len(leaves)
    for root, above in ((nodes[-1], 0.75), (nodes[len(nodes) // 2], 1.0)):
        if root.requires_grad:  # save of numbers alone
            # Added up here: where two leaves get elements of one expanded gradient, as from a sum of
            # stacked scalars, a second backward of PyTorch's would add to both at once.
            found = torch.autograd.grad(root, leaves, retain_graph=True, allow_unused=True)
            for i, slope in enumerate(found):
                grads[i] += 0.0 if slope is None else above * slope.item()
    return [v.item() for v in nodes] + grads


# The comparison ------------------------------------------------------------------------------


@dataclass
class Tally:
    programs: int = 0
    compared: int = 0  # with PyTorch: those whose numbers are all finite
    raised: int = 0  # steps
    undecided: int = 0  # whether a step raises is a matter of the last digit
    operations: Counter[str] = field(default_factory=Counter)
    worst: float = 0.0  # of a disagreement, in what is allowed
    where: str = ""
    wrong: list[str] = field(default_factory=list)


def check(r: random.Random, modules: Sequence[ModuleType], tally: Tally) -> None:
    """One program, by all."""
    pure, cython, numpy = modules
    program, expected = grow(r, pure, wild=r.random() < 0.25)
    tally.programs += 1
    tally.raised += len(expected.errors)
    tally.operations.update(
        step.name for step, n in zip(program.steps, program.results, strict=True) if n
    )
    compiled = run(cython, program)
    if compiled.errors != expected.errors:
        tally.wrong.append(
            f"cython_core raises {compiled.errors}, not {expected.errors}: {program}"
        )
        return
    bits = zip(expected.data + expected.grads, compiled.data + compiled.grads, strict=True)
    if not all(same(a, b) for a, b in bits):
        tally.wrong.append(f"pure_python and cython_core differ in their bits: {program}")
    arrays = run(numpy, program)
    n = len(program.leaves)
    ours = expected.data + expected.grads[:n]
    clean = reference(program)
    allowed = clean and tolerances(program, clean)
    if without_numbers(arrays.errors) != without_numbers(expected.errors):
        if (
            allowed is None
        ):  # noise in the last digit makes another step raise: so may a sum of another order
            tally.undecided += 1
        else:
            message = f"numpy_vectorized raises {arrays.errors}, not {expected.errors}"
            tally.wrong.append(f"{message}: {program}")
        return
    # Next to 0 the last digit decides on which side of a kink a number lies.
    if allowed is None or not all(x == 0.0 or 1e-290 < abs(x) < 1e100 for x in ours):
        return
    tally.compared += 1
    answers = {"PyTorch": run_torch(program), "the naive reference": clean}
    if len(arrays.data) == len(expected.data):
        answers["numpy_vectorized"] = arrays.data + arrays.grads[:n]
    for name, answer in answers.items():
        for i, (a, b, most) in enumerate(zip(ours, answer, allowed, strict=True)):
            off = abs(a - b) / most
            if not off <= tally.worst:
                tally.worst = off
                what = (
                    f"data of n{i}"
                    if i < len(expected.data)
                    else f"gradient of n{i - len(expected.data)}"
                )
                tally.where = f"{what}: {a!r}, {name} {b!r}, {most:.2g} apart is allowed"
                if not off <= 1.0:
                    tally.wrong.append(f"{tally.where}: {program}")


def without_numbers(errors: list[str]) -> list[str]:
    """Two engines may say with other last digits what they cannot compute."""
    return [re.sub(r"-?[\d.]+(e[+-]?\d+)?|inf|nan", "#", text) for text in errors]


def main(args: list[str] | None = None) -> int:
    """The exit code: 1 where anything disagrees."""
    parser = argparse.ArgumentParser(prog="python -m reliability.programs")
    # Five of six are finite throughout, and compared with PyTorch: more than 100,000 of these.
    parser.add_argument("count", type=int, nargs="?", default=125_000, help="[default: 125000]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="write into docs/reliability.md")
    options = parser.parse_args(args)
    torch.set_num_threads(1)  # which on single numbers would only wait for each other
    start = time.perf_counter()
    tally = compare(
        [importlib.import_module(name) for name in BACKENDS], options.count, options.seed
    )
    figures = report(tally, time.perf_counter() - start)
    print(figures)
    for text in tally.wrong[:20]:
        print(text)
    if options.record:
        record("programs", figures)
    return 1 if tally.wrong else 0


def compare(modules: Sequence[ModuleType], count: int, seed: int = 1) -> Tally:
    """So many programs by pure_python, cython_core and numpy_vectorized, in this order."""
    r, tally = random.Random(seed), Tally()
    while tally.programs < count and len(tally.wrong) < 20:
        check(r, modules, tally)
    return tally


def report(tally: Tally, seconds: float) -> str:
    operations = ", ".join(f"{name} {n:,}" for name, n in sorted(tally.operations.items()))
    return (
        f"{tally.programs:,} programs in {seconds:.0f} seconds, {len(tally.wrong)} disagreements; "
        f"{tally.compared:,} of them finite throughout and compared with PyTorch; "
        f"{tally.raised:,} steps raised, in all three backends the same.\n\n"
        f"The largest disagreement was {tally.worst:.2g} of what is allowed ({tally.where}).\n\n"
        f"Operations: {operations.replace('*', '×')}."
    )


if __name__ == "__main__":
    raise SystemExit(main())
