"""Random programs of Vectors and fused functions: bit for bit, and with arrays to 1e-12 (rule
1.18).
"""

import math
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cases.numbers import floats, same
from cases.operations import UNARY


@pytest.fixture(scope="module")
def three(backends):
    return {backend.name: backend for backend in backends}


FUNCTIONS = {f.name: f.apply for f in UNARY}
OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "maximum": lambda a, b: a.maximum(b),
    "minimum": lambda a, b: a.minimum(b),
}
REDUCTIONS = ("sum", "mean", "max", "min")
OVER = ("softmax", "log_softmax", "rms_norm")
LOSSES = {
    "mse_loss": lambda m, v, w: m.mse_loss(v, w),
    "hinge_loss": lambda m, v, w: m.hinge_loss(v, [1.0 if i % 2 else -1.0 for i in range(len(v))]),
    "binary_cross_entropy_with_logits": lambda m, v, w: m.binary_cross_entropy_with_logits(
        v, [i / 5 for i in range(len(v))]
    ),
    "cross_entropy": lambda m, v, w: m.cross_entropy([v, w], [0, len(v) - 1]),
    "dot": lambda m, v, w: m.dot(v, w, 0.5),
    "dot with numbers": lambda m, v, w: m.dot(v, [0.1 * i for i in range(len(v))], w[0]),
    "@": lambda m, v, w: v @ w,
    "logsumexp": lambda m, v, w: m.logsumexp(v),
    "mean of both": lambda m, v, w: m.mean([*v, *w]),
}
MATRICES = {
    "linear": lambda m, v, w: m.linear(v, [w] * len(v), w),
    "linear of a batch": lambda m, v, w: (
        (m.linear([v, w], [w, v], [0.5, -0.5]) * [[1.0, 2.0], [3.0, 4.0]]).sum() + v
    ),
    "attention": lambda m, v, w: m.scaled_dot_product_attention(v, [w, v], [v, w]),
    "softmax of rows": lambda m, v, w: m.softmax(m.Vector([v, w]))[1],
    "rows": lambda m, v, w: (m.Vector([v, w]) * m.Vector([w, v])).mean() + w,
}


@dataclass(frozen=True)
class Program:
    """Vectors of n, then steps: (kind, name, first, second). The indices count modulo what is
    there.
    """

    leaves: tuple[tuple[float, ...], ...]
    steps: tuple[tuple, ...]


numbers = st.one_of(st.floats(-3.0, 3.0), st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.0]))
wild = st.one_of(numbers, st.sampled_from([math.inf, -math.inf, math.nan, 1e300, 1e-300]))


@st.composite
def programs(draw, of=numbers):
    n = draw(st.integers(1, 5))
    leaves = draw(st.lists(st.tuples(*[of] * n), min_size=1, max_size=3))
    index = st.integers(0, 7)
    step = st.one_of(
        st.tuples(st.just("function"), st.sampled_from(list(FUNCTIONS)), index, index),
        st.tuples(st.just("operator"), st.sampled_from(list(OPERATORS)), index, index),
        st.tuples(st.just("with a number"), st.sampled_from(list(OPERATORS)), index, of),
        st.tuples(
            st.just("with a list"), st.sampled_from(list(OPERATORS)), index, st.tuples(*[of] * n)
        ),
        st.tuples(st.just("reduction"), st.sampled_from(REDUCTIONS), index, index),
        st.tuples(st.just("over"), st.sampled_from(OVER), index, index),
        st.tuples(st.just("loss"), st.sampled_from(list(LOSSES)), index, index),
        st.tuples(st.just("matrix"), st.sampled_from(list(MATRICES)), index, index),
        st.tuples(st.just("elements"), st.just("reversed"), index, index),
    )
    return Program(tuple(leaves), tuple(draw(st.lists(step, min_size=1, max_size=7))))


def take(m, kind, name, v, w, number):
    """The result of one step: always a Vector of as many elements as v."""
    if kind == "function":
        return FUNCTIONS[name](v)
    if kind == "operator":
        return OPERATORS[name](v, w)
    if kind in ("with a number", "with a list"):
        number = list(number) if isinstance(number, tuple) else number
        left = name in ("-", "/", "**")
        return OPERATORS[name](number, v) if left else OPERATORS[name](v, number)
    if kind == "reduction":
        return w * getattr(v, name)()
    if kind == "over":
        return getattr(m, name)(v)
    if kind == "loss":
        return w + LOSSES[name](m, v, w)
    if kind == "matrix":
        return MATRICES[name](m, v, w)
    return m.Vector([*v[1:], v[0] * w[-1]])


def run(backend, program):
    """All data and gradients after a backward pass, and what raised."""
    vectors, errors = [backend.Vector(leaf) for leaf in program.leaves], []
    for kind, name, first, second in program.steps:
        v = vectors[first % len(vectors)]
        w = vectors[second % len(vectors)] if isinstance(second, int) else v
        try:
            vectors.append(take(backend, kind, name, v, w, second))
        except (ArithmeticError, ValueError) as error:
            errors.append((kind, name, type(error).__name__, str(error)))
    (vectors[-1] * 0.75).sum().backward()
    vectors[len(vectors) // 2].backward()
    return (
        [x for v in vectors for x in floats(v.data)],
        [x for v in vectors for x in floats(v.grad)],
        errors,
    )


@settings(max_examples=1500)
@given(programs(wild))
@example(Program(((-0.0,),), (("function", "sqrt", 0, 0),)))
def test_the_same_bits(three, program):
    """pure_python and cython_core, with infinities and nan among the numbers."""
    data, grads, errors = run(three["pure_python"], program)
    other_data, other_grads, other_errors = run(three["cython_core"], program)
    assert errors == other_errors
    assert all(map(same, data, other_data)), f"{data}\n{other_data}"
    assert all(map(same, grads, other_grads)), f"{grads}\n{other_grads}"


@settings(max_examples=700)
@given(programs())
def test_arrays_agree(three, program):
    """numpy_vectorized, to 1e-12 of the largest number that took part."""
    data, grads, errors = run(three["pure_python"], program)
    if errors or not all(map(math.isfinite, data + grads)):
        return  # arrays follow NumPy there (rule 1.25)
    # Where an intermediate result is rounded otherwise, what it is subtracted from sets the scale.
    moved = [tuple(x * (1 + 1e-14) for x in leaf) for leaf in program.leaves]
    near_data, near_grads, errors = run(three["pure_python"], Program(tuple(moved), program.steps))
    if errors:
        return
    other_data, other_grads, _ = run(three["numpy_vectorized"], program)
    scale = max(map(abs, data), default=0.0)
    # Only the leaves' gradients: where a Vector is an array, taking elements out of it makes
    # another node.
    count = sum(map(len, program.leaves))
    grads, near_grads, other_grads = grads[:count], near_grads[:count], other_grads[:count]
    for what, ours, near, theirs in (
        ("data", data, near_data, other_data),
        ("grad", grads, near_grads, other_grads),
    ):
        for i, (x, y, z) in enumerate(zip(ours, near, theirs, strict=True)):
            allowed = 1e-12 * max(abs(x), 1e-3 * scale) + 100 * abs(x - y) + 1e-15
            assert abs(x - z) <= allowed, f"{what} {i}: {z!r}, pure_python has {x!r}"


@settings(max_examples=300)
@given(programs())
def test_the_same_graph(three, program):
    """Traced, every scalar is shown with its operation, data and grad, in the same order."""
    traces = {}
    for name, backend in three.items():
        vectors = [backend.Vector(leaf) for leaf in program.leaves]
        for kind, operation, first, second in program.steps:
            v = vectors[first % len(vectors)]
            w = vectors[second % len(vectors)] if isinstance(second, int) else v
            try:
                vectors.append(take(backend, kind, operation, v, w, second))
            except (ArithmeticError, ValueError):
                return
        vectors[-1].backward()
        nodes, edges = backend.trace(vectors[-1])
        place = {node: i for i, node in enumerate(nodes)}
        traces[name] = (
            [n.op for n in nodes],
            [(place[a], place[b]) for a, b in edges],
            [x for n in nodes for x in (n.data, n.grad)],
            backend.draw_dot(vectors[-1], max_nodes=None).source,
        )
    pure, cython, array = traces["pure_python"], traces["cython_core"], traces["numpy_vectorized"]
    assert pure[:2] == cython[:2] and pure[3] == cython[3]
    assert all(map(same, pure[2], cython[2]))
    assert pure[0] == array[0], f"the operations are {array[0]}, pure_python has {pure[0]}"
    assert pure[1] == array[1]


@settings(max_examples=200)
@given(programs())
def test_tape(three, program):
    """Replayed with other data, Tape gives the bits of a fresh graph, in all three."""
    for backend in three.values():
        vectors = [backend.Vector(leaf) for leaf in program.leaves]
        fresh = [backend.Vector([0.5 * x + 0.1 for x in leaf]) for leaf in program.leaves]
        try:
            for chain in (vectors, fresh):
                for kind, operation, first, second in program.steps:
                    v = chain[first % len(chain)]
                    w = chain[second % len(chain)] if isinstance(second, int) else v
                    chain.append(take(backend, kind, operation, v, w, second))
        except (ArithmeticError, ValueError):
            return
        root, other = vectors[-1].sum(), fresh[-1].sum()
        tape = backend.Tape(root)
        for leaf, again in zip(vectors, fresh[: len(program.leaves)], strict=False):
            leaf.data = again.data
        assert same(tape.forward(), other.data)
        tape.backward()
        other.backward()
        for leaf, again in zip(vectors, fresh[: len(program.leaves)], strict=False):
            assert all(map(same, floats(leaf.grad), floats(again.grad))), (
                f"{backend.name}: {leaf.grad}, {again.grad}"
            )
