"""Random programs: what an engine does with combinations that nobody thought of."""

import functools
import math
import traceback

import pytest
from hypothesis import assume, given, settings
from hypothesis.errors import HypothesisException

from cases.numbers import all_close, same
from cases.programs import apply, every_operation, listing, programs, run, tame, tolerances
from cases.unfinished import not_there_yet


@pytest.fixture(autouse=True)
def all_operations_are_there(backend):
    """A program may hold any of them: its tests wait for the last."""
    try:
        every_operation(backend)
    except Exception as error:
        missing = not_there_yet(backend, error)
        if missing is not None:
            raise missing from None  # any other error is told by the program that meets it


def shown(test):
    """Tell of a failure by its program, and not by the way that Hypothesis came to it."""

    @functools.wraps(test)
    def on_a_program(backend, program):
        try:
            test(backend, program)
        except (HypothesisException, RecursionError):
            raise
        except Exception as error:
            missing = not_there_yet(backend, error)
            raise missing or pytest.fail.Exception(
                f"{said(error)}\nin this program:\n{listing(program)}", pytrace=False
            ) from None

    return on_a_program


def said(error: Exception) -> str:
    if isinstance(error, AssertionError):
        return str(error).partition("\nassert ")[0]
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({at.filename}, line {at.lineno}, in {at.name})"


@settings(max_examples=400)
@given(program=programs(tame, max_steps=8))
@shown
def test_values_and_gradients(backend, program):
    """Rule 1.18: against a naive recursive reference, which is held to PyTorch elsewhere.

    It sums over all paths from the root to a leaf, as a textbook writes the chain rule.
    """
    expected = tolerances(program)
    assume(expected is not None)
    numbers, allowed = expected
    data, grads, errors = run(backend, program)
    assert not errors, f"raised {errors[0]}"
    ours = data + grads[: len(program.leaves)]
    for i, (got, x, tolerance) in enumerate(zip(ours, numbers, allowed, strict=True)):
        what = f"data of n{i}" if i < len(data) else f"gradient of n{i - len(data)}"
        assert abs(got - x) <= tolerance, (
            f"{what} is {got!r}, the reference says {x!r} give or take {tolerance:.2g}"
        )


@settings(max_examples=200)
@given(program=programs())
@shown
def test_wild_numbers_break_nothing(backend, program):
    """Rules 1.15 and 1.16: infinities, nan, huge and tiny numbers raise Python's errors or pass on."""
    _, _, errors = run(backend, program)
    for step, kind, message in errors:
        assert kind in ("ZeroDivisionError", "ValueError", "OverflowError")
        assert message.startswith("cannot compute "), f"{step} says {message!r}"


@settings(max_examples=150)
@given(program=programs(tame, max_steps=8))
@shown
def test_a_second_run_has_the_same_bits(backend, program):
    """Rule 1.17: one fixed order of sums. Operands in a set give other bits from run to run."""
    first, second = run(backend, program), run(backend, program)
    for name, once, again in zip(("data", "gradients"), first, second, strict=False):
        assert all(map(same, once, again)), f"{name} are {again}, in the run before {once}"


@settings(max_examples=200)
@given(program=programs())
@shown
def test_the_steps_of_backward(backend, program):
    """Rule 5.5: taken one by one they give the bits that backward gives, whatever the numbers."""
    nodes = [backend.Value(x) for x in program.leaves]
    for step in program.steps:
        try:
            nodes.append(apply(step, nodes))
        except (ArithmeticError, ValueError):
            nodes.append(nodes[0])
    totals = {node: 0.0 for node in nodes} | {nodes[-1]: 0.75}
    for step in backend.backward_steps(nodes[-1], grad=0.75):
        assert same(step.contribution, step.local * step.above), (
            f"the contribution is {step.contribution!r}, expected {step.local!r} * {step.above!r}"
        )
        assert same(step.above, totals[step.node]), "a node gives what it has been given"
        totals[step.operand] = step.total
    assert all(node.grad == 0.0 for node in nodes), "steps change no gradient"
    nodes[-1].backward(0.75)
    for i, node in enumerate(nodes):
        assert same(node.grad, totals[node]), (
            f"gradient of n{i} is {node.grad!r}, its steps add up to {totals[node]!r}"
        )


@settings(max_examples=150)
@given(program=programs(tame, max_steps=8))
@shown
def test_the_paths_of_a_gradient(backend, program):
    """Rule 5.6: all paths, as the naive reference walks them, and their sum."""
    nodes = [backend.Value(x) for x in program.leaves]
    for step in program.steps:
        try:
            nodes.append(apply(step, nodes))
        except (ArithmeticError, ValueError):
            return
    root, leaf = nodes[-1], nodes[0]

    def products(node):
        if node is leaf:
            return [1.0]
        pairs = zip(node.operands, node._local_gradients(), strict=True)
        return [local * rest for operand, local in pairs for rest in products(operand)]

    expected = sorted(map(abs, products(root)), reverse=True)
    found = backend.explain(root, leaf, most=5)
    assert found.count == len(expected), f"{found.count} paths, expected {len(expected)}"
    sizes = [abs(path.product) for path in found.paths]
    assert all_close(sizes, expected[:5], 1e-12, 1e-300), (
        f"the products of the paths are {sizes}, expected {expected[:5]}"
    )
    scale = sum(expected) + 1e-300
    together = sum(path.product for path in found.paths) + found.rest
    assert abs(together - found.grad) <= 1e-12 * scale or not math.isfinite(scale), (
        f"the paths add up to {together!r}, grad is {found.grad!r}"
    )
    root.backward()
    assert same(leaf.grad, found.grad) or root is leaf, (
        f"grad is {found.grad!r}, backward gives {leaf.grad!r}"
    )


@settings(max_examples=150)
@given(program=programs(tame, max_steps=6))
@shown
def test_replayed(backend, program):
    """Rule 5.3: Tape gives the bits of a fresh graph."""
    chains = []
    for shift in (0.0, 0.25):
        nodes = [backend.Value(x + shift) for x in program.leaves]
        try:
            for step in program.steps:
                nodes.append(apply(step, nodes))
        except (ArithmeticError, ValueError):
            return
        chains.append(nodes)
    (recorded, fresh), count = chains, len(program.leaves)
    tape = backend.Tape(recorded[-1])
    for leaf, other in zip(recorded[:count], fresh, strict=False):
        leaf.data = other.data
    result = tape.forward()
    assert same(result, fresh[-1].data), f"forward is {result!r}, expected {fresh[-1].data!r}"
    tape.backward()
    fresh[-1].backward()
    for leaf, other in zip(recorded[:count], fresh, strict=False):
        assert same(leaf.grad, other.grad) or math.isnan(leaf.grad), (
            f"a gradient is {leaf.grad!r}, expected {other.grad!r}"
        )
