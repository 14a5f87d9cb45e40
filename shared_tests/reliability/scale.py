"""Graphs of ten million nodes, a hundred thousand graphs dropped in every order, Ctrl-C, little memory.

    python -m reliability.scale [PERCENT] [--record]

PERCENT of the full sizes (100). Each measurement runs in a process of its own and prints what it found.
The suite calls the same functions for less of everything.
"""

from __future__ import annotations

import argparse
import collections
import gc
import importlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from .memory import peak, resident
from .record import record

BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")
NODES = 10_000_000
# What takes less than LATENCY as a whole is answered within it, whether it is interrupted or not.
WORK = {"pure_python": 1_000_000, "numpy_vectorized": 1_000_000, "cython_core": 10_000_000}
GRAPHS = 100_000
LEFT = 2.0  # MB that a process may hold more of after graphs have come and gone
LATENCY = 0.1  # seconds from a signal to KeyboardInterrupt

# Large graphs ---------------------------------------------------------------------------------


def chain(m: Any, n: int) -> tuple[Any, list[Any], list[float]]:
    x = m.Value(2.0)
    root = m.Value(1.0)
    for _ in range(n):
        root = root + x
    return root, [x], [float(n)]


def tree(m: Any, n: int) -> tuple[Any, list[Any], list[float]]:
    """A balanced one: n / 2 leaves."""
    leaves = level = [m.Value(1.0) for _ in range(n // 2)]
    while len(level) > 1:
        odd = level[len(level) & ~1 :]
        level = [a + b for a, b in zip(level[::2], level[1::2], strict=False)] + odd
    return level[0], leaves, [1.0] * len(leaves)


def fan(m: Any, n: int) -> tuple[Any, list[Any], list[float]]:
    """One Value that is used by n nodes, which are the operands of one sum."""
    x = m.Value(1.0)
    return m.Vector([x * 3.0 for _ in range(n)]).sum(), [x], [3.0 * n]


def large(m: Any, shape: str, n: int) -> dict[str, float]:
    """Build, walk back and free; nanoseconds and bytes a node, and megabytes that are left."""
    gc.disable()
    build = globals()[shape]
    build(m, 1000)[0].backward()
    before = resident()
    start = time.perf_counter()
    root, leaves, gradients = build(m, n)
    built = time.perf_counter()
    root.backward()
    walked = time.perf_counter()
    if [leaf.grad for leaf in leaves] != gradients:
        raise AssertionError(f"a {shape} of {n} has wrong gradients")
    most = peak()
    del gradients
    start_of_end = time.perf_counter()
    del root, leaves
    freed = time.perf_counter()
    return {
        "build": 1e9 * (built - start) / n,
        "backward": 1e9 * (walked - built) / n,
        "free": 1e9 * (freed - start_of_end) / n,
        "bytes": (most - before) * (1 << 20) / n,
        "left": resident() - before,
        "seconds to free": freed - start_of_end,
    }


# Many graphs ----------------------------------------------------------------------------------


def nodes_of(m: Any, x: Any) -> list[Any]:
    """The nodes of a small graph of all kinds, from the leaves up."""
    a, b = m.Value(0.5), m.Value(-1.5)
    c = a * b + x
    s = m.softmax([c, a, 1.0])
    v = m.Vector([a, b]) * 2.0
    d = m.dot([a, b], [c, 2.0]) + s[0]
    root = (d.tanh() + v.sum()) * 0.5
    root.backward()
    return [a, b, c, s, v, d, root]


def root_first(m: Any, count: int, x: Any) -> None:
    for _ in range(count):
        nodes = nodes_of(m, x)
        while nodes:
            nodes.pop()


def leaf_first(m: Any, count: int, x: Any) -> None:
    for _ in range(count):
        nodes = collections.deque(nodes_of(m, x))
        while nodes:
            nodes.popleft()


def at_random(m: Any, count: int, x: Any) -> None:
    generator = random.Random(count)
    for _ in range(0, count, 500):
        nodes = [node for _ in range(500) for node in nodes_of(m, x)]
        generator.shuffle(nodes)
        while nodes:
            nodes.pop()


def with_shared_parts(m: Any, count: int, x: Any) -> None:
    """Each graph is built on a part of the one before, and the chain is cut now and then."""
    shared = x
    for i in range(count):
        _, _, c, *_ = nodes_of(m, shared)
        shared = x if i % 100 == 0 else c


def in_generations(m: Any, count: int, x: Any) -> None:
    """The last thousand live on."""
    living: collections.deque[Any] = collections.deque(maxlen=1000)
    for _ in range(count):
        living.append(nodes_of(m, x)[-1])


def partly_kept(m: Any, count: int, x: Any) -> None:
    """Of each graph an inner node outlives the root."""
    for i in range(0, count, 1000):
        kept = [nodes_of(m, x)[(i + j) % 6] for j in range(1000)]
        del kept


ORDERS: dict[str, Callable[[Any, int, Any], None]] = {
    "root first": root_first,
    "leaf first": leaf_first,
    "at random": at_random,
    "with shared parts": with_shared_parts,
    "in generations": in_generations,
    "partly kept": partly_kept,
}


def dropped(m: Any, order: str, count: int) -> dict[str, float]:
    """Build and drop so many graphs, after a tenth of them to warm up; megabytes that are left."""
    gc.disable()
    x = m.Value(2.0)
    ORDERS[order](m, max(count // 10, 1000), x)
    gc.collect()
    before = resident()
    start = time.perf_counter()
    ORDERS[order](m, count, x)
    took = time.perf_counter() - start
    return {"left": resident() - before, "seconds": took}


# A small stack --------------------------------------------------------------------------------


def on_a_small_stack(m: Any, n: int) -> dict[str, Any]:
    """All that walks over a graph, for one n deep."""
    import copy
    import pickle

    root, (x,), (expected,) = chain(m, n)
    root.backward()
    found = {"grad": x.grad == expected}
    for name in ("draw_dot", "tree", "explore"):
        try:
            getattr(m, name)(root)
            found[name] = False
        except ValueError as error:
            found[name] = "max_nodes" in str(error)
    nodes, edges = m.trace(root)
    found["trace"] = len(nodes) == n + 2 and len(edges) == 2 * n
    found["explain"] = m.explain(root, x).grad == expected
    found["backward_steps"] = sum(1 for _ in m.backward_steps(root)) == 2 * n
    tape = m.Tape(root)
    found["Tape"] = tape.forward() == root.data and len(tape) == n
    x.grad = 0.0
    tape.backward()
    found["Tape.backward"] = x.grad == expected
    copies = [copy.copy(root), copy.deepcopy(root), pickle.loads(pickle.dumps(root))]
    found["copies"] = all(c.data == root.data and c.op == "" for c in copies)
    del nodes, edges, tape, root
    return found


# Ctrl-C ---------------------------------------------------------------------------------------


def interrupted(work: Callable[[], object], after: float) -> float | None:
    """The seconds from a signal to KeyboardInterrupt; None where the work was done before."""

    def raise_interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, raise_interrupt)
    sent = time.perf_counter() + after
    try:
        signal.setitimer(signal.ITIMER_REAL, after)
        work()
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        return None
    except KeyboardInterrupt:
        return time.perf_counter() - sent
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def works(m: Any, n: int) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """What takes long, and what it has come to when it was not interrupted."""
    root, (x,), _ = chain(m, n)
    tape = m.Tape(root)
    side = max(50, int(n ** (1 / 3) * (2 if m.__name__ == "pure_python" else 5)))
    layer = m.Layer(side, side, activation="tanh", seed=1)
    weights = layer.parameters()
    batch = m.Vector([[0.01 * (i % 7)] * side for i in range(side)])
    params = [m.Value(0.5) for _ in range(n // 4)]
    optimiser = m.Adam(params)
    vector = m.Vector([0.5] * n)

    def zeroed(root: Any, *leaves: Any) -> Callable[[], object]:
        def work() -> None:
            for leaf in leaves:
                leaf.zero_grad()
            root.backward()

        return work

    return {
        "building": (lambda: chain(m, n), lambda: chain(m, 1000)[0].data),
        "backward": (zeroed(root, x), lambda: x.grad),
        "recording a Tape": (lambda: m.Tape(root), lambda: len(m.Tape(root))),
        "Tape.forward": (tape.forward, lambda: root.data),
        "Tape.backward": (lambda: (x.zero_grad(), tape.backward()), lambda: x.grad),
        "a layer": (lambda: layer(batch), lambda: layer(batch).data[1][1]),
        "backward of a layer": (
            zeroed(layer(batch), *weights),
            lambda: weights[0].grad if len(weights) > 2 else weights[0].grad[0][0],
        ),
        "an operation on a Vector": (vector.gelu, lambda: vector.gelu().data[1]),
        "backward of a sum": (vector.sum().backward, lambda: 0),
        "an optimiser's step": (optimiser.step, lambda: 0),
    }


def best_wait(work: Callable[[], object], after: float) -> float | None:
    """Of up to three tries, for a machine may be busy with other things."""
    best = interrupted(work, after)
    for _ in range(2):
        if best is not None and best > LATENCY / 2:
            again = interrupted(work, after)
            best = best if again is None else min(best, again)
    return best


def latencies(m: Any, n: int, names: list[str] | None = None) -> dict[str, dict[str, Any]]:
    """Of each work: its seconds, the longest wait for an answer, whether it then comes out right."""
    gc.disable()  # a collection is not interrupted
    found = {}
    for name, (work, outcome) in works(m, n).items():
        if names is not None and name not in names:
            continue
        work()  # warm
        start = time.perf_counter()
        work()
        took = time.perf_counter() - start
        expected = outcome()
        waits = [best_wait(work, part * took) for part in (0.2, 0.5, 0.8)]
        work()
        found[name] = {
            "seconds": took,
            "waits": waits,
            "wait": max([wait for wait in waits if wait is not None], default=0.0),
            "right": bool(outcome() == expected),
        }
    return found


# Little memory --------------------------------------------------------------------------------


def too_large(m: Any) -> dict[str, Callable[[], object]]:
    """What no process of a limited size has room for."""
    million = 1_000_000
    layer = m.Layer(100, 100, activation="tanh", seed=1)

    def chain_without_end() -> None:
        root, kept = m.Value(1.0), []
        while True:
            root = root + 1.0
            kept.append(root)

    def vector_without_end() -> None:
        kept = [m.Vector([0.5] * million)]
        while True:
            kept.append(kept[-1] * 2.0)

    def layers_without_end() -> None:
        kept = [layer([[0.5] * 100] * 1000)]
        while True:
            kept.append(layer(kept[-1]))

    def values_without_end() -> None:
        kept = []
        while True:
            kept.append(m.Value(1.0))

    def tapes_without_end() -> None:
        root = chain(m, 20_000)[0]
        kept = []
        while True:
            kept.append(m.Tape(root))

    def sums_without_end() -> None:
        terms = [m.Value(1.0) for _ in range(1000)]
        kept = []
        while True:
            kept.append(m.Vector(terms).sum())
            kept[-1].backward()
            terms += terms

    return {
        "nodes": chain_without_end,
        "Vectors": vector_without_end,
        "layers": layers_without_end,
        "Values": values_without_end,
        "Tapes": tapes_without_end,
        "longer and longer sums": sums_without_end,
    }


def out_of_memory(m: Any, what: str, megabytes: int) -> dict[str, Any]:
    """Run out of memory, three times over; whether a small program comes out right after each."""
    small_program(m)
    work = too_large(m)[what]
    m.Layer(100, 100, seed=1)([[0.5] * 100] * 1000)  # what BLAS keeps for products, it has then
    with open("/proc/self/statm") as statm:
        now = int(statm.read().split()[0]) * resource.getpagesize()
    limit = now + megabytes * (1 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    errors, right = [], []
    for _ in range(3):
        errors.append(raised(work))
        right.append(small_program(m) == small_program(m) == SMALL)
    return {"errors": errors, "right": right}


def raised(work: Callable[[], object]) -> str | None:
    """A short function: in a long one CPython needs memory to note the place, and tries for ever."""
    try:
        work()
    except MemoryError:
        return "MemoryError"
    return None


def small_program(m: Any) -> list[float]:
    """Data and gradients of a little of everything, rounded."""
    a, b = m.Value(0.5), m.Value(-1.5)
    model = m.MLP(2, [3, 1], activation="tanh", seed=3)
    loss = m.mse_loss(model([[0.1, 0.2], [a, b]]), [1.0, 0.5]) + m.softmax([a, b])[0]
    tape = m.Tape((a * b).tanh() + 0.0 * loss)
    loss.backward()
    tape.forward()
    tape.backward()
    return [round(x, 12) for x in (loss.data, a.grad, b.grad)]


PURE = importlib.import_module("pure_python")
SMALL = small_program(PURE)

# All of it ------------------------------------------------------------------------------------


def run(name: str, backend: str, *arguments: Any, stack: int = 0) -> Any:
    """One of the functions above in a process of its own; a string says why there is no result."""
    script = (
        "import importlib, json, sys\n"
        f"sys.path[:] = {sys.path!r}\n"
        "from reliability import scale\n"
        f"m = importlib.import_module({backend!r})\n"
        f"print(json.dumps(scale.{name}(m, *{arguments!r})))"
    )
    limit = (lambda: resource.setrlimit(resource.RLIMIT_STACK, (stack, stack))) if stack else None
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, preexec_fn=limit
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"ended by signal {-done.returncode}"])[-1]
    return json.loads(done.stdout.splitlines()[-1])


class Report:
    """Markdown, printed as it comes, and what was missed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.missed: list[str] = []

    def line(self, text: str) -> None:
        print(text, flush=True)
        self.lines.append(text)

    def check(self, what: str, holds: bool) -> None:
        if not holds:
            self.missed.append(what)
            print(f"MISSED: {what}", flush=True)


def sizes(report: Report, share: float) -> None:
    report.line("| graph | backend | nodes | build | backward | free | bytes | MB left |")
    report.line("|---|---|---|---|---|---|---|---|")
    for shape in ("chain", "tree", "fan"):
        n = max(1000, int(NODES * share))
        for backend in BACKENDS:
            found = run("large", backend, shape, n)
            report.check(f"a {shape} of {n} in {backend}: {found}", isinstance(found, dict))
            if isinstance(found, dict):
                times = " | ".join(
                    f"{found[part]:.0f} ns" for part in ("build", "backward", "free")
                )
                report.line(
                    f"| {shape} | {backend} | {n:,} | {times} | {found['bytes']:.0f} "
                    f"| {found['left']:.1f} |"
                )


def orders(report: Report, share: float) -> None:
    report.line("\n| MB left | " + " | ".join(ORDERS) + " |")
    report.line("|---|" + "---|" * len(ORDERS))
    for backend in BACKENDS:
        cells = []
        for order in ORDERS:
            found = run("dropped", backend, order, max(1000, int(GRAPHS * share)))
            holds = isinstance(found, dict) and found["left"] < LEFT
            report.check(f"{backend}, graphs dropped {order}: {found}", holds)
            cells.append(f"{found['left']:.1f}" if holds else "missed")
        report.line(f"| {backend} | " + " | ".join(cells) + " |")


def stacks(report: Report, share: float) -> None:
    report.line("")
    n = max(20_000, int(NODES / 50 * share))
    for backend in BACKENDS:
        found = run("on_a_small_stack", backend, n, stack=256 * 1024)
        holds = isinstance(found, dict) and all(found.values())
        report.check(f"{backend} on a stack of 256 KiB: {found}", holds)
        if holds:
            report.line(f"- {backend}, a stack of 256 KiB, {n:,} deep: " + ", ".join(found))


def interrupts(report: Report, share: float) -> None:
    report.line("\n| Ctrl-C: ms until answered, of a work of so many | " + " | ".join(WORK) + " |")
    report.line("|---|" + "---|" * len(WORK))
    columns = {b: run("latencies", b, max(1000, int(n * share))) for b, n in WORK.items()}
    for backend, found in columns.items():
        report.check(f"{backend} interrupted: {found}", isinstance(found, dict))
        for name, work in found.items() if isinstance(found, dict) else ():
            report.check(f"{backend}, {name}: wrong afterwards", work["right"])
            report.check(f"{backend}, {name}: {work['wait']:.3f} s", work["wait"] < LATENCY)
    if all(isinstance(found, dict) for found in columns.values()):
        for name in columns["pure_python"]:
            cells = [
                f"{1e3 * f[name]['wait']:.0f} of {1e3 * f[name]['seconds']:.0f}"
                for f in columns.values()
            ]
            report.line(f"| {name} | " + " | ".join(cells) + " |")


def shortages(report: Report, share: float) -> None:
    report.line("")
    # With several threads OpenBLAS itself ends a process in which it finds no memory for a product.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for backend in BACKENDS:
        for what in too_large(importlib.import_module(backend)):
            found = run("out_of_memory", backend, what, int(100 + 300 * share))
            holds = isinstance(found, dict) and all(found["right"])
            holds = holds and found["errors"] == 3 * ["MemoryError"]
            report.check(f"{backend} out of memory for {what}: {found}", holds)
    report.line(
        "- Out of memory with " + ", ".join(too_large(importlib.import_module(backend))) + ": "
        "MemoryError in all three, and small programs go on."
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.scale")
    parser.add_argument("percent", nargs="?", type=float, default=100.0)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    report = Report()
    for part in (sizes, orders, stacks, interrupts, shortages):
        part(report, arguments.percent / 100)
    if report.missed:
        print(f"{len(report.missed)} missed")
    elif arguments.record:
        record("scale", "\n".join(report.lines))
    return bool(report.missed)


if __name__ == "__main__":
    sys.exit(main())
