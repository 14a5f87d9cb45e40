"""Random scalar programs: the backends against each other, PyTorch and a naive reference (rule
1.18).
"""

import pytest
from hypothesis import assume, example, given, settings

from cases.numbers import same
from cases.programs import Program, Step, apply, programs, run, run_torch, tame, tolerances


def differences(ours, theirs):
    return [i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if not same(a, b)]


@pytest.fixture(scope="module")
def three(backends):
    return {backend.name: backend for backend in backends}


@settings(max_examples=1500)
@given(programs())
@example(Program((-0.0, 1.0), (Step("*", 0, -1.0), Step("+", 2, 0), Step("sqrt", 3))))
@example(Program((0.0,), (Step("**", 0, 0.0), Step("**", 0.0, 0), Step("**", 0, 0))))
def test_the_same_bits(three, program):
    """pure_python and cython_core: every data, every grad, every error."""
    data, grads, errors = run(three["pure_python"], program)
    other_data, other_grads, other_errors = run(three["cython_core"], program)
    assert errors == other_errors
    assert not differences(data, other_data), f"{data}\n{other_data}"
    assert not differences(grads, other_grads), f"{grads}\n{other_grads}"


@settings(max_examples=700)
@given(programs())
def test_the_same_errors(three, program):
    """numpy_vectorized raises where the others raise, with the same words."""
    assert run(three["numpy_vectorized"], program)[2] == run(three["pure_python"], program)[2]


@pytest.mark.pytorch
@settings(max_examples=700)
@given(programs(tame, max_steps=8))
@example(Program((0.999999,), (Step("asin", 0), Step("acos", 0), Step("atanh", 0))))
@example(Program((1.000001,), (Step("acosh", 0),)))
def test_the_naive_reference_and_pytorch(three, program):
    """All three against a recursive reference and PyTorch in float64."""
    expected = tolerances(program)
    assume(expected is not None)
    numbers, allowed = expected
    data, grads = run_torch(program)
    answers = {"PyTorch": data + grads}
    for name, backend in three.items():
        data, grads, errors = run(backend, program)
        assert not errors
        answers[name] = data + grads[: len(program.leaves)]
    for name, answer in answers.items():
        for i, (got, x, tolerance) in enumerate(zip(answer, numbers, allowed, strict=True)):
            assert abs(got - x) <= tolerance, (
                f"{name}, number {i}: {got!r}, the reference says {x!r} ± {tolerance:.2g}"
            )


@settings(max_examples=300)
@given(programs())
def test_the_same_graph(three, program):
    """Traced and drawn, the graph is the same in all three: nodes, edges, operations, DOT text."""
    shapes, texts = [], []
    for backend in three.values():
        nodes = [backend.Value(x) for x in program.leaves]
        for step in program.steps:
            try:
                nodes.append(apply(step, nodes))
            except (ArithmeticError, ValueError):
                nodes.append(nodes[0])
        nodes[-1].backward()
        found, edges = backend.trace(nodes[-1])
        place = {node: i for i, node in enumerate(found)}
        shapes.append(([n.op for n in found], [(place[a], place[b]) for a, b in edges]))
        texts.append(backend.draw_dot(nodes[-1]).source)
    assert shapes[0] == shapes[1] == shapes[2]
    assert texts[0] == texts[2], "pure_python and cython_core draw different pictures"
    assert texts[0] == texts[1], "pure_python and numpy_vectorized draw different pictures"
