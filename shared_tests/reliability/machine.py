"""All engines at once, taken through any sequence of what a user may do, beside a naive reference.

    python -m reliability.machine [STEPS] [--record]

A state machine of Hypothesis builds graphs, differentiates them from one root or several, edits data and
gradients, replays tapes, detaches, copies, works in no_grad and lets Values go. After each step the data
and gradients of all that is alive are compared: pure_python, cython_core and the reference bit for bit,
numpy_vectorized to nine digits. The scalar backends go on their own too, with functions of many numbers.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import math
import pickle
import time
import traceback
from collections import Counter
from types import ModuleType
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cases.naive import FUNCTIONS, OPERATIONS, Graph, call
from cases.numbers import same

from .programs import RAISED
from .record import record

BACKENDS = ("pure_python", "cython_core", "numpy_vectorized")
LARGE = 1e4  # beyond it nothing is built, so that no difference in the last digit can grow
# Those whose formulas are written in the reference as in the engines, so that bits are compared.
NAMES = sorted(FUNCTIONS.keys() - {"gelu"})
SUMS = ("dot", "sum", "mean", "max", "min", "logsumexp", "mse_loss", "hinge_loss")

numbers = st.floats(-2.0, 2.0).map(lambda x: round(x, 3))
nodes = Bundle("nodes")
tapes = Bundle("tapes")


class Engines(RuleBasedStateMachine):
    """A node is its row in the reference; each engine has a Value for each that is alive."""

    modules: tuple[ModuleType, ...] = ()
    done: Counter[str] = Counter()  # of all machines: how often which rule

    def __init__(self) -> None:
        super().__init__()
        self.graph = Graph()
        self.values: list[dict[int, Any]] = [{} for _ in self.modules]
        self.tapes: list[list[Any]] = []  # of each engine; in the reference a tape is its root

    # Building --------------------------------------------------------------------------------

    @rule(target=nodes, x=numbers)
    def leaf(self, x: float) -> int:
        return self.as_leaf("leaf", [m.Value(x) for m in self.modules], x)

    @rule(target=nodes, x=nodes, names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=5))
    def functions(self, x: int, names: list[str]) -> Any:
        """One of the other."""
        built: list[int] = []
        for name in names:
            built += self.build(name, [built[-1] if built else x])
        return multiple(*built)

    @rule(
        target=nodes,
        a=nodes,
        b=nodes,
        names=st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=5),
    )
    def operations(self, a: int, b: int, names: list[str]) -> Any:
        """One of the other and the same b, which is used several times."""
        built: list[int] = []
        for name in names:
            built += self.build(name, [built[-1] if built else a, b])
        return multiple(*built)

    @rule(
        target=nodes,
        name=st.sampled_from(sorted(OPERATIONS)),
        x=nodes,
        number=numbers,
        left=st.booleans(),
    )
    def with_number(self, name: str, x: int, number: float, left: bool) -> Any:
        left = left and OPERATIONS[name].operator
        return multiple(*self.build(name, [number, x] if left else [x, number]))

    # An engine of arrays gathers the scalars of a list, at the data that they have when it is given.
    @precondition(lambda self: not any(m.__name__ == "numpy_vectorized" for m in self.modules))
    @rule(
        target=nodes,
        name=st.sampled_from(SUMS),
        operands=st.lists(st.one_of(nodes, nodes, numbers), min_size=1, max_size=5),
    )
    def of_many(self, name: str, operands: list[int | float]) -> Any:
        if name == "dot":
            operands = operands[: len(operands) - 1 + len(operands) % 2]
        elif name == "mse_loss":
            operands = operands * 2
        return multiple(*self.build(name, operands))

    @rule(target=nodes, name=st.sampled_from(NAMES), x=nodes)
    def in_no_grad(self, name: str, x: int) -> Any:
        """What is built there is a leaf."""
        self.done["no_grad"] += 1
        count = len(self.graph.rows)
        results = self.take(name, [x], no_grad=True)
        if results is None:
            return multiple()
        (i,) = self.graph.apply(name, [x])
        data = self.graph.rows.pop().data
        assert i == count
        return self.as_leaf("", results, data) if abs(data) < LARGE else multiple()

    def build(self, name: str, operands: list[int | float]) -> list[int]:
        self.done[name] += 1
        results = self.take(name, operands)
        if results is None:
            return []
        (i,) = self.graph.apply(name, operands)
        if not abs(self.graph.rows[i].data) < LARGE:
            self.graph.rows.pop()
            return []
        for values, result in zip(self.values, results, strict=True):
            values[i] = result
        return [i]

    def take(self, name: str, operands: list[int | float], no_grad: bool = False) -> Any:
        """The result of each engine, or None where all of them and the reference raise alike."""
        expected = None
        graph = Graph(rows=list(self.graph.rows))
        try:
            graph.apply(name, operands)
        except RAISED as error:
            expected = type(error)
        results = []
        for m, values in zip(self.modules, self.values, strict=True):
            xs = [values[x] if isinstance(x, int) else x for x in operands]
            raised = None
            try:
                if no_grad:
                    with m.no_grad():
                        results += call(m, name, xs)
                else:
                    results += call(m, name, xs)
            except RAISED as error:
                raised = type(error)
            assert raised is expected, f"{m.__name__}: {name} raised {raised}, not {expected}"
        return None if expected else results

    def as_leaf(self, what: str, results: list[Any], data: float) -> int:
        if what:
            self.done[what] += 1
        i = self.graph.leaf(data)
        for values, result in zip(self.values, results, strict=True):
            values[i] = result
        return i

    # Differentiating -------------------------------------------------------------------------

    @rule(root=nodes, above=numbers)
    def backward(self, root: int, above: float) -> None:
        if self.reference_backward("backward", {root: above}):
            for values in self.values:
                values[root].backward(above)

    @rule(roots=st.lists(nodes, min_size=1, max_size=3, unique=True))
    def backward_from_several(self, roots: list[int]) -> None:
        if self.reference_backward("backward from several", {root: 1.0 for root in roots}):
            for m, values in zip(self.modules, self.values, strict=True):
                m.Vector([values[root] for root in roots]).backward()

    def reference_backward(self, what: str, roots: dict[int, float]) -> bool:
        """False where data were set to what the tables of the reference do not hold for."""
        try:
            self.graph.backward_from(roots)
        except RAISED:
            return False
        self.done[what] += 1
        return True

    @rule(x=nodes)
    def zero_grad(self, x: int) -> None:
        self.done["zero_grad"] += 1
        self.graph.rows[x].grad = 0.0
        for values in self.values:
            values[x].zero_grad()

    # Editing ---------------------------------------------------------------------------------

    @rule(x=nodes, number=numbers)
    def set_data(self, x: int, number: float) -> None:
        self.done["set data"] += 1
        self.graph.rows[x].data = number
        for values in self.values:
            values[x].data = number

    @rule(x=nodes, number=numbers)
    def set_grad(self, x: int, number: float) -> None:
        self.done["set grad"] += 1
        self.graph.rows[x].grad = number
        for values in self.values:
            values[x].grad = number

    # Tapes -----------------------------------------------------------------------------------

    @rule(target=tapes, root=nodes)
    def record(self, root: int) -> tuple[int, int]:
        self.done["Tape"] += 1
        engines = zip(self.modules, self.values, strict=True)
        self.tapes.append([m.Tape(values[root]) for m, values in engines])
        return len(self.tapes) - 1, root

    @rule(tape=tapes)
    def replay(self, tape: tuple[int, int]) -> None:
        self.done["Tape.forward"] += 1
        which, root = tape
        expected: Any
        try:
            self.graph.recompute(root)
            expected = self.graph.rows[root].data
        except RAISED as error:
            expected = type(error)
        for m, engine in zip(self.modules, self.tapes[which], strict=True):
            got: Any
            try:
                got = engine.forward()
            except RAISED as error:
                got = type(error)
            agree = got is expected if isinstance(expected, type) else near(got, expected, 1e-7)
            assert agree, f"{m.__name__}: the tape gives {got}, not {expected}"

    @rule(tape=tapes, above=numbers)
    def backward_of_tape(self, tape: tuple[int, int], above: float) -> None:
        which, root = tape
        if self.reference_backward("Tape.backward", {root: above}):
            for engine in self.tapes[which]:
                engine.backward(above)

    # Copies ----------------------------------------------------------------------------------

    @rule(target=nodes, x=nodes)
    def detach(self, x: int) -> int:
        results = [values[x].detach() for values in self.values]
        return self.as_leaf("detach", results, self.graph.rows[x].data)

    @rule(target=nodes, x=nodes, how=st.sampled_from(("copy", "deepcopy", "pickle")))
    def copied(self, x: int, how: str) -> int:
        make = {
            "copy": copy.copy,
            "deepcopy": copy.deepcopy,
            "pickle": lambda v: pickle.loads(pickle.dumps(v)),
        }[how]
        i = self.as_leaf(how, [make(values[x]) for values in self.values], self.graph.rows[x].data)
        self.graph.rows[i].grad = self.graph.rows[x].grad
        return i

    @rule(x=consumes(nodes))
    def let_go(self, x: int) -> None:
        """A graph is freed when its last root goes; what others depend on stays."""
        self.done["let go"] += 1
        for values in self.values:
            values.pop(x, None)

    @rule(tape=consumes(tapes))
    def let_tape_go(self, tape: tuple[int, int]) -> None:
        self.done["let a Tape go"] += 1
        self.tapes[tape[0]] = []

    # -----------------------------------------------------------------------------------------

    @invariant()
    def all_agree(self) -> None:
        self.done["steps"] += 1
        rows = self.graph.rows
        sizes = [abs(n) for i in self.values[0] for n in (rows[i].data, rows[i].grad)]
        scale = max([1.0, *(size for size in sizes if math.isfinite(size))])
        for m, values in zip(self.modules, self.values, strict=True):
            for i, value in values.items():
                for what, got, expected in (
                    ("data", value.data, rows[i].data),
                    ("grad", value.grad, rows[i].grad),
                ):
                    exactly = m.__name__ != "numpy_vectorized"
                    agree = same(got, expected) if exactly else near(got, expected, 1e-9 * scale)
                    assert agree, f"{m.__name__}: {what} of n{i} is {got!r}, expected {expected!r}"


def near(a: float, b: float, most: float) -> bool:
    return same(a, b) or abs(a - b) <= most


def engines(*modules: ModuleType) -> type[Engines]:
    """The machine for these modules."""
    return type("Engines", (Engines,), {"modules": modules, "done": Counter()})


def run(
    machine: type[Engines], examples: int, steps: int, seeded: bool = True, shrink: bool = True
) -> None:
    """So many machines of so many steps. AssertionError, with a short way there, if one fails."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=seeded,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
            report_multiple_bugs=False,
        ),
    )


def main(args: list[str] | None = None) -> int:
    """The exit code: 1 where two disagree."""
    parser = argparse.ArgumentParser(prog="python -m reliability.machine")
    parser.add_argument("steps", type=int, nargs="?", default=200_000, help="[default: 200000]")
    parser.add_argument("--record", action="store_true", help="write into docs/reliability.md")
    options = parser.parse_args(args)
    modules = [importlib.import_module(name) for name in BACKENDS]
    start, failed = time.perf_counter(), ""
    machines = engines(*modules), engines(*modules[:2])
    for machine in machines:
        while machine.done["steps"] < options.steps / 2 and not failed:
            try:
                run(machine, max(options.steps // 400, 1), 50, seeded=False)
            except Exception as error:
                failed = "".join(traceback.format_exception(error))
    done = machines[0].done + machines[1].done
    rules = ", ".join(f"{name} {n:,}" for name, n in sorted(done.items()) if name != "steps")
    figures = (
        f"{done['steps']:,} steps of random use in {time.perf_counter() - start:.0f} seconds, "
        f"{'a disagreement' if failed else 'no disagreement'}.\n\nSteps: {rules.replace('*', '×')}."
    )
    print(figures, failed, sep="\n")
    if options.record:
        record("machine", figures)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
