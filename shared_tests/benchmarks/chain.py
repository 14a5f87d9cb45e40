"""Graphs of single operations: a chain `acc = acc*y + x`, and a random graph.

Seconds are those of one operation: the time of a whole graph divided by its number of operations.
All data and gradients stay of the order of one, however long the graph: no denormal numbers.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable
from itertools import cycle, islice, repeat
from time import perf_counter
from typing import Any

from .worker import BACKENDS, Steps, load

# The graphs -----------------------------------------------------------------------------------
#
# Each runs the same for floats as for the Values of any engine.

LEAVES = {"chain": [1.0, 0.99999999, 1e-8], "dag": [0.25, 0.75, 0.5]}


def chain(leaves: list[Any], nodes: int) -> Any:
    acc, y, x = leaves
    for _ in repeat(None, nodes // 2):
        acc = acc * y + x
    return acc


def dag_plan(nodes: int) -> tuple[int, list[tuple[int, int, int]], int, int]:
    """How many places, which two meet in which form at each step, how many steps, how many nodes."""
    places = max(4, min(1000, nodes // 20))
    generator = random.Random(nodes)
    period = min(10_007, nodes)  # then the steps repeat: a list of millions would be in the way
    plan = [
        (*generator.sample(range(places), 2), generator.choice((0, 1, 2))) for _ in range(period)
    ]
    steps, made = 0, places - 1
    for _, _, form in cycle(plan):
        if made >= nodes:
            return places, plan, steps, made
        made += 3 if form else 2
        steps += 1
    raise AssertionError("unreachable")


def dag(leaves: list[Any], pool: list[Any], plan: list[tuple[int, int, int]], steps: int) -> Any:
    """Each step replaces one of a pool of values by a mean of itself and another one, so that
    every node is used, some often, and old ones as well as new."""
    t, s, half = leaves
    pool = list(pool)
    for i, j, form in islice(cycle(plan), steps):
        a, b = pool[i], pool[j]
        if form == 0:
            pool[i] = (a + b) * half
        elif form == 1:
            pool[i] = a * t + b * s
        else:
            pool[i] = a - (a - b) * t
    total = pool[0]
    for value in pool[1:]:
        total = total + value
    return total


def graph(kind: str, nodes: int, leaf: Callable[[float], Any]) -> tuple[Any, list[Any], int]:
    """A function that builds the graph, its leaves, and the number of its operations."""
    if kind == "chain":
        leaves = [leaf(x) for x in LEAVES[kind]]
        return lambda: chain(leaves, nodes), leaves, nodes
    places, plan, steps, made = dag_plan(nodes)
    constants = [leaf(x) for x in LEAVES[kind]]
    pool = [leaf(1.0 + i / places) for i in range(places)]
    return lambda: dag(constants, pool, plan, steps), constants + pool, made


# The contestants ------------------------------------------------------------------------------


class Graphs:
    """Build, walk back and free, timed one after the other."""

    def __init__(self, kind: str, nodes: int, leaf: Any, data: Any, grad: Any) -> None:
        self.build, self.leaves, self.nodes = graph(kind, nodes, leaf)
        self.data, self.grad = data, grad

    def check(self) -> list[float]:
        root = self.build()
        root.backward()
        return [self.data(root), *map(self.grad, self.leaves)]

    def turn(self, loops: int) -> dict[str, float]:
        build = self.build
        forward = backward = free = 0.0
        for _ in repeat(None, loops):
            a = perf_counter()
            root = build()
            b = perf_counter()
            root.backward()
            c = perf_counter()
            del root
            d = perf_counter()
            forward += b - a
            backward += c - b
            free += d - c
        per = 1.0 / (loops * self.nodes)
        return {
            "forward": forward * per,
            "backward": backward * per,
            "free": free * per,
            "forward + backward": (forward + backward) * per,
            "all": (forward + backward + free) * per,
        }


def of_values(kind: str, nodes: int, engine: str) -> Graphs:
    """One of our backends, micrograd, or the reference Value."""
    Value = value_of(engine)
    return Graphs(kind, nodes, Value, lambda v: v.data, lambda v: v.grad)


def value_of(engine: str) -> Any:
    """The class Value of an engine."""
    if engine in BACKENDS:
        return load(engine).Value
    names = {"slots": f"{__package__}.slots", "micrograd": "micrograd.engine"}
    return importlib.import_module(names[engine]).Value


def of_torch(kind: str, nodes: int) -> Graphs:
    import torch

    def leaf(x: float) -> torch.Tensor:
        return torch.tensor(x, dtype=torch.float64, requires_grad=True)

    return Graphs(kind, nodes, leaf, lambda v: v.item(), lambda v: v.grad.item())


def of_mygrad(kind: str, nodes: int) -> Graphs:
    import mygrad

    return Graphs(kind, nodes, mygrad.tensor, lambda v: v.item(), lambda v: v.grad.item())


class OneCall:
    """A library that gives value and gradients from one call: there is nothing to time apart."""

    def __init__(self, call: Callable[[], Any], numbers: Callable[[], list[float]], nodes: int):
        self.call, self.check, self.nodes = call, numbers, nodes

    def turn(self, loops: int) -> dict[str, float]:
        return {"all": Steps(self.call, self.check).turn(loops)["step"] / self.nodes}


def of_autograd(kind: str, nodes: int) -> OneCall:
    from autograd import value_and_grad

    build, leaves, made = graph(kind, nodes, float)

    def run(xs: list[Any]) -> Any:
        return rebuilt(kind, nodes, list(xs))

    both = value_and_grad(run)

    def numbers() -> list[float]:
        value, gradients = both(leaves)
        return [value, *gradients]

    return OneCall(lambda: both(leaves), numbers, made)


def rebuilt(kind: str, nodes: int, leaves: list[Any]) -> Any:
    """The graph over given leaves."""
    if kind == "chain":
        return chain(leaves, nodes)
    _, plan, steps, _ = dag_plan(nodes)
    return dag(leaves[:3], leaves[3:], plan, steps)


class Floats(OneCall):
    """The same loop over plain floats: no graph, only what Python itself takes."""

    def turn(self, loops: int) -> dict[str, float]:
        seconds = super().turn(loops)["all"]
        return {"forward": seconds, "forward + backward": seconds, "all": seconds}


def of_floats(kind: str, nodes: int) -> Floats:
    build, _, made = graph(kind, nodes, float)
    return Floats(build, lambda: [build()], made)


# Recorded once and replayed -------------------------------------------------------------------


def of_tape(kind: str, nodes: int, engine: str) -> OneCall:
    """A Tape of ours: forward and backward from the leaves' data."""
    backend = load(engine)
    build, leaves, made = graph(kind, nodes, backend.Value)
    tape = backend.Tape(build())

    def replay() -> float:
        value = tape.forward()
        for v in leaves:
            v.grad = 0.0
        tape.backward()
        return value

    return OneCall(replay, lambda: [replay(), *(v.grad for v in leaves)], made)


def of_casadi(kind: str, nodes: int) -> OneCall:
    """Every operation one of CasADi's SX expression graph, run by its virtual machine."""
    import casadi
    import numpy as np

    _, numbers, made = graph(kind, nodes, float)
    leaves = casadi.SX.sym("x", len(numbers))
    root = rebuilt(kind, nodes, casadi.vertsplit(leaves))
    function = casadi.Function("f", [leaves], [root, casadi.gradient(root, leaves)])
    call, (value, gradient) = in_place(function, np.array(numbers))

    def check() -> list[float]:
        call()
        return [*value, *gradient]

    return OneCall(call, check, made)


def in_place(function: Any, given: Any) -> tuple[Callable[[], None], list[Any]]:
    """CasADi's own quickest way to call: from an array into arrays, nothing converted. The call,
    and the arrays that it fills."""
    import numpy as np

    buffer, evaluate = function.buffer()
    results = [np.zeros(function.nnz_out(i)) for i in range(function.n_out())]
    buffer.set_arg(0, memoryview(given))
    for i, result in enumerate(results):
        buffer.set_res(i, memoryview(result))

    def call(held: Any = (buffer, given, results)) -> None:  # CasADi itself holds none of them
        evaluate()

    return call, results


def of_jax(kind: str, nodes: int) -> OneCall:
    """Compiled by XLA, the loop unrolled into single operations as the others have them."""
    import jax

    jax.config.update("jax_enable_x64", True)
    _, leaves, made = graph(kind, nodes, float)
    both = jax.jit(jax.value_and_grad(lambda xs: rebuilt(kind, nodes, list(xs))))

    def check() -> list[float]:
        value, gradients = both(leaves)
        return [value, *gradients]

    return OneCall(lambda: jax.block_until_ready(both(leaves)), check, made)
