"""Five engines side by side on two moons: `python shared_tests/comparison/compare.py`.

The three backends, PyTorch and micrograd take the same 100 points and the same first weights through
the same steps. Each runs in a process of its own, which sends back its losses, its steps per second,
its peak memory and the nodes of its graph. The table goes to the terminal and, with the figure, to
`--out`. The process that compares imports no engine, and that of an engine imports no other.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")
ENGINES = (*BACKENDS, "torch", "micrograd")
SEED = 1337
SIZES = (2, 16, 16, 1)
ALPHA = 1e-4  # of the L2 term

# The engines -----------------------------------------------------------------------------------
#
# Each gives: step(lr), which takes one step and returns the loss before it and the loss's node;
# and the function that lists what a node was computed from.

Step = Callable[[float], tuple[float, Any]]


def of_backend(name: str, X: list[list[float]], y: list[float]) -> tuple[Step, Any]:
    """The whole batch at once, in the vector style that all three backends run."""
    backend = importlib.import_module(name)
    random.seed(SEED)
    model = backend.MLP(SIZES[0], list(SIZES[1:]))
    parameters = model.parameters()

    def step(lr: float) -> tuple[float, Any]:
        data_loss = (1 - y * model(X)).relu().mean()
        squares = [p * p for p in parameters]
        # A parameter is a scalar, or with arrays a tensor.
        penalty = sum(s.sum() if getattr(s, "ndim", 0) else s for s in squares)
        loss = data_loss + ALPHA * penalty
        model.zero_grad()
        loss.backward()
        for p in parameters:
            p.data -= lr * p.grad
        return loss.data, loss

    return step, lambda node: node.operands


def of_micrograd(name: str, X: list[list[float]], y: list[float]) -> tuple[Step, Any]:
    """One scalar at a time, as its own demo has it."""
    engine, nn = (importlib.import_module(f"micrograd.{part}") for part in ("engine", "nn"))
    sys.setrecursionlimit(10_000)  # its backward is a recursion as deep as the graph
    random.seed(SEED)
    model = nn.MLP(SIZES[0], list(SIZES[1:]))
    inputs = [[engine.Value(x) for x in row] for row in X]

    def step(lr: float) -> tuple[float, Any]:
        losses = [(1 + -yi * model(row)).relu() for row, yi in zip(inputs, y, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        loss = data_loss + ALPHA * sum(p * p for p in model.parameters())
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= lr * p.grad
        return loss.data, loss

    return step, lambda node: node._prev


def of_torch(name: str, X: list[list[float]], y: list[float]) -> tuple[Step, Any]:
    """The whole batch at once, in float64 on one thread, as the others compute."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    random.seed(SEED)
    layers: list[Any] = []
    for n_in, n_out in zip(SIZES, SIZES[1:], strict=False):
        layer = torch.nn.Linear(n_in, n_out, dtype=torch.float64)
        weight = [[random.uniform(-1, 1) for _ in range(n_in)] for _ in range(n_out)]
        layer.load_state_dict(
            {"weight": torch.tensor(weight, dtype=torch.float64), "bias": torch.zeros(n_out)}
        )
        layers += [layer, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    inputs, labels = (torch.tensor(part, dtype=torch.float64) for part in (X, y))

    def step(lr: float) -> tuple[float, Any]:
        data_loss = (1 - labels * model(inputs).squeeze(1)).relu().mean()
        loss = data_loss + ALPHA * sum((p * p).sum() for p in model.parameters())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= lr * p.grad
        return loss.item(), loss.grad_fn

    return step, lambda node: [above for above, _ in node.next_functions if above is not None]


# In an engine's own process ----------------------------------------------------------------------


def measure(name: str, steps: int, seconds: float, X: list[list[float]], y: list[float]) -> dict:
    """Train with one engine for so many steps, or fewer if they take longer than `seconds`."""
    make = {"torch": of_torch, "micrograd": of_micrograd}.get(name, of_backend)
    before = time.perf_counter()
    importlib.import_module({"micrograd": "micrograd.nn"}.get(name, name))
    loading, imported = time.perf_counter() - before, peak_memory()
    step, operands = make(name, X, y)
    losses, durations = [], []
    while len(losses) < steps and (sum(durations) < seconds or len(losses) < 5):
        began = time.perf_counter()
        loss, node = step(max(0.1, 1.0 - 0.009 * len(losses)))
        durations.append(time.perf_counter() - began)
        losses.append(loss)
    peak = peak_memory()  # before the graph is counted, which takes memory too
    return {
        "engine": name,
        "losses": losses,
        "steps_per_second": len(durations) / sum(durations),
        "import_seconds": loading,
        "peak_bytes": peak,
        "imported_bytes": imported,
        "nodes": count_nodes(node, operands),
    }


def peak_memory() -> int:
    """The most memory that this process has had, in bytes.

    On Linux not ru_maxrss, which a process inherits from the one that started it.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def count_nodes(root: Any, operands: Callable[[Any], Iterable[Any]]) -> int:
    """The nodes that can be reached from `root`, itself included."""
    # By equality: an engine may make the node of a hidden neuron anew each time that it is asked.
    seen, waiting = {root}, [root]
    while waiting:
        for node in operands(waiting.pop()):
            if node not in seen:
                seen.add(node)
                waiting.append(node)
    return len(seen)


# In the process that compares --------------------------------------------------------------------


def two_moons() -> tuple[list[list[float]], list[float]]:
    """100 points, and their classes as -1 and 1."""
    from sklearn.datasets import make_moons

    X, y = make_moons(n_samples=100, noise=0.1, random_state=SEED)
    return X.tolist(), (2.0 * y - 1.0).tolist()


def run_each(names: list[str], steps: int, seconds: float) -> list[dict]:
    """What each engine sent back. RuntimeError with its last words if one of them failed."""
    X, y = two_moons()
    results = []
    for name in names:
        job = json.dumps({"name": name, "steps": steps, "seconds": seconds, "X": X, "y": y})
        done = subprocess.run(
            [sys.executable, __file__, "--measure"], input=job, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{name} failed: {(done.stderr.splitlines() or ['?'])[-1]}")
        results.append(json.loads(done.stdout.splitlines()[-1]))
    return results


def differences(result: dict, reference: dict) -> list[float]:
    """Between the losses of the steps that both have taken, relative to them where above one."""
    pairs = zip(result["losses"], reference["losses"], strict=False)
    return [abs(a - b) / max(1.0, abs(b)) for a, b in pairs]


HEADER = ["engine", "loss 0", "loss 1", "loss 4", "last loss", "steps", "largest difference"]
COSTS = ["steps/s", "relative speed", "peak memory", "of it imports", "graph nodes"]


def table(results: list[dict]) -> list[list[str]]:
    """A row of text for each engine, in the order of HEADER and COSTS."""
    reference = results[0]
    rows = []
    for result in results:
        losses = result["losses"]
        speed = result["steps_per_second"] / reference["steps_per_second"]
        largest = max(differences(result, reference))
        rows.append(
            [
                result["engine"],
                *(f"{losses[k]:.12f}" if k < len(losses) else "" for k in (0, 1, 4)),
                f"{losses[-1]:.12f}",
                str(len(losses)),
                "" if result is reference else f"{largest:.1e}",
                f"{result['steps_per_second']:,.1f}",
                f"{speed:.3g} ×",
                f"{result['peak_bytes'] / 2**20:.1f} MiB",
                f"{result['imported_bytes'] / 2**20:.1f} MiB",
                f"{result['nodes']:,}",
            ]
        )
    return rows


def markdown(results: list[dict]) -> str:
    """The table and what it means, as a page."""
    rows = table(results)
    n = len(HEADER)

    def lines(header: list[str], rows: list[list[str]]) -> list[str]:
        rule = ["---", *["---:"] * (len(header) - 1)]
        return [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]

    return "\n".join(
        [
            "# Engines side by side on two moons",
            "",
            f"100 points, a network of {'-'.join(map(str, SIZES))} units with relu, max-margin loss and L2",
            f"{ALPHA:g}, full batch, learning rate from 1.0 to 0.1 in 100 steps, seed {SEED}.",
            "Each engine ran in a process of its own.",
            "",
            "## Losses",
            "",
            *lines(HEADER, [row[:n] for row in rows]),
            "",
            f"The difference is the largest over all steps from the loss of {results[0]['engine']}.",
            "",
            "## What a step costs",
            "",
            *lines([HEADER[0], *COSTS], [[row[0], *row[n:]] for row in rows]),
            "",
            "A graph node is what the engine itself keeps: a fused layer counts once for each of its",
            "outputs, an array once. Imports are the memory once the engine is loaded, before training.",
            "",
        ]
    )


def figure(results: list[dict]) -> Any:
    """Losses, their differences, speed and memory, a panel each."""
    from matplotlib.figure import Figure

    from pure_python.training.figures import GRID, INK, PALETTE

    canvas = Figure(figsize=(12, 8), layout="constrained")
    canvas.suptitle("Two moons from the same weights: engines side by side", color=INK)
    (loss, difference), (speed, memory) = canvas.subplots(2, 2)
    names = [result["engine"] for result in results]
    colours = [PALETTE[k % len(PALETTE)] for k in range(len(results))]
    dashes = ("-", (0, (5, 3)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), "-")
    for k, (result, colour) in enumerate(zip(results, colours, strict=True)):
        # The first lies lowest and widest, so that those that coincide can all be seen.
        style = {"color": colour, "linestyle": dashes[k % 5], "linewidth": max(1.4, 5.5 - 1.2 * k)}
        loss.plot(result["losses"], label=result["engine"], **style)
        if k:
            gaps = [max(gap, 1e-17) for gap in differences(result, results[0])]
            equal = max(gaps) <= 1e-17
            name = f"{result['engine']}, equal bits" if equal else result["engine"]
            difference.plot(gaps, ".", label=name, color=colour, markersize=7)
    loss.set(title="loss of each step", xlabel="step", ylabel="loss")
    loss.set_yscale("log")
    difference.set(
        title=f"difference from {names[0]}",
        xlabel="step",
        ylabel="relative difference (0 at 1e-17)",
    )
    difference.set_yscale("log")
    difference.set_ylim(5e-18, 30 * difference.get_ylim()[1])  # room for the legend
    speeds = [result["steps_per_second"] for result in results]
    bars = speed.barh(names, speeds, color=colours, height=0.62)
    speed.bar_label(
        bars, [f"{x:,.0f}" if x >= 10 else f"{x:.2g}" for x in speeds], padding=4, color=INK
    )
    speed.set(title="steps per second (more is better)", xscale="log")
    speed.set_xlim(min(speeds) / 2, max(speeds) * 3)
    peaks = [result["peak_bytes"] / 2**20 for result in results]
    imports = [result["imported_bytes"] / 2**20 for result in results]
    bars = memory.barh(names, peaks, color=colours, height=0.62)
    memory.bar_label(bars, [f"{x:.0f}" for x in peaks], padding=4, color=INK)
    memory.barh(names, imports, color="white", alpha=0.6, height=0.62)
    memory.set(title="peak memory, MiB (less is better; pale: imports)")
    memory.set_xlim(0, max(peaks) * 1.12)
    for axes in (speed, memory):
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
    loss.legend(frameon=False)
    difference.legend(frameon=False, loc="upper left", ncols=2)
    for axes in (loss, difference, speed, memory):
        axes.title.set_fontsize(11)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x" if axes in (speed, memory) else "both", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
    return canvas


def main(args: list[str] | None = None) -> int:
    """Compare; the exit code."""
    parser = argparse.ArgumentParser(description="Engines side by side on two moons.")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="only this; repeatable")
    parser.add_argument("--steps", type=int, default=100, help="[default: 100]")
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="at most, an engine [default: 15]"
    )
    parser.add_argument("--out", default="runs/compare", help="folder [default: runs/compare]")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(args)
    if options.measure:
        print(json.dumps(measure(**json.load(sys.stdin))))
        return 0
    if options.steps < 5:
        parser.error("--steps: 5 or more are compared")
    names = list(dict.fromkeys(options.engine or ENGINES))
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        parser.error(f"not installed: {', '.join(missing)}; pick others with --engine")
    from pure_python.training.figures import save
    from pure_python.training.terminal import show_table

    try:
        results = run_each(names, options.steps, options.seconds)
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows = table(results)
    n = len(HEADER)
    show_table("Two moons: the same losses step by step", HEADER, [row[:n] for row in rows])
    print()
    costs = [[row[0], *row[n:]] for row in rows]
    show_table("What a step costs", [HEADER[0], *COSTS], costs)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "comparison.md").write_text(markdown(results), encoding="utf-8")
    (out / "comparison.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    save(figure(results), out / "comparison.png")
    print(f"\nwritten to {out}: comparison.md, comparison.png, comparison.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
