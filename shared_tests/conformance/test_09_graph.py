"""The graph: traced, drawn, replayed by Tape, and checked by differences."""

import array
import io
import json
import math
import random
import re

import graphviz
import pytest

from cases.bad_inputs import of_chapter
from cases.numbers import all_close, close, worst
from cases.operations import BINARY, UNARY
from cases.refusals import check_refusal


def expression(backend):
    """f = tanh(a·b + c), the first documented example."""
    a, b, c = (
        backend.Value(2.0, label="a"),
        backend.Value(3.0, label="b"),
        backend.Value(5.0, label="c"),
    )
    return (a * b + c).tanh(), (a, b, c)


def ops(nodes):
    return [n.op for n in nodes]


# trace ---------------------------------------------------------------------------------------


def test_trace(backend):
    """Rule 5.1: nodes in topological order, depth first, operands from left to right; edges in
    pairs.
    """
    f, (a, b, c) = expression(backend)
    nodes, edges = backend.trace(f)
    product, total = f.operands[0].operands[0], f.operands[0]
    assert nodes == [a, b, product, c, total, f], f"the nodes are {nodes}"
    assert edges == [(a, product), (b, product), (product, total), (c, total), (total, f)]


def test_trace_shows_both_edges(backend):
    """Rule 5.1: an operand that is used twice has two edges, and is one node."""
    a = backend.Value(2.0)
    y = a + a
    assert backend.trace(y) == ([a, y], [(a, y), (a, y)])


def test_trace_of_several_roots(backend):
    """Rule 5.1: a Vector or a sequence; what they share comes once."""
    a = backend.Value(2.0)
    b, c = a * 2.0, a * 3.0
    assert backend.trace([b, c]) == ([a, b, c], [(a, b), (a, c)])
    nodes, _ = backend.trace(backend.Vector([1.0, 2.0]) * 2.0)
    assert ops(nodes) == ["", "* 2.0", "", "* 2.0"]
    assert backend.trace(a) == ([a], [])
    assert backend.trace([]) == ([], [])


def test_trace_goes_deep(backend):
    """Rule 1.11."""
    v = backend.Value(1.0)
    for _ in range(20_000):
        v = v + 1.0
    nodes, edges = backend.trace(v)
    assert len(nodes) == 20_001 and len(edges) == 20_000 and nodes[-1] is v


def test_dot_is_traced_as_multiplies_and_adds(backend):
    """Rule 2.3: each with the right data and grad."""
    w, x, b = (
        [backend.Value(2.0), backend.Value(-1.0)],
        [backend.Value(3.0), backend.Value(5.0)],
        backend.Value(0.5),
    )
    y = backend.dot(w, x, b)
    (y * 10.0).backward()
    nodes, _ = backend.trace(y)
    assert [(n.op, n.data, n.grad) for n in nodes] == [
        ("", 0.5, 10.0),
        ("", 2.0, 30.0),
        ("", 3.0, 20.0),
        ("*", 6.0, 10.0),
        ("+", 6.5, 10.0),
        ("", -1.0, 50.0),
        ("", 5.0, -10.0),
        ("*", -5.0, 10.0),
        ("+", 1.5, 10.0),
    ]
    inside = [n for n in nodes if n.op]
    assert all(n.value is y for n in inside), (
        "the inside of a fused node knows the Value that it belongs to"
    )
    for name in ("data", "grad", "op", "operands"):
        with pytest.raises(AttributeError):
            setattr(inside[0], name, 0.0)
    assert repr(inside[0]) == "Scalar(6.0, grad=10.0, op='*')"
    assert (inside[0]._op, inside[0]._prev) == (inside[0].op, inside[0].operands), "as micrograd"
    nodes, edges = backend.trace(y, fused=True)
    assert ops(nodes) == [""] * 5 + ["dot"] and nodes[-1] is y and len(edges) == 5


def test_dot_of_numbers_and_values_is_traced(backend):
    """Rules 1.6 and 2.3: the numbers are constants of their operations."""
    w = [backend.Value(2.0), backend.Value(4.0)]
    nodes, _ = backend.trace(backend.dot(w, [3.0, 5.0]))
    assert [(n.op, n.data) for n in nodes] == [
        ("", 2.0),
        ("* 3.0", 6.0),
        ("", 4.0),
        ("* 5.0", 20.0),
        ("+", 26.0),
    ]
    # What is made of numbers alone is one number, and added where the next operation is.
    nodes, _ = backend.trace(backend.dot([2.0, 4.0, w[0]], [3.0, 5.0, 7.0]))
    assert [(n.op, n.data) for n in nodes] == [("", 2.0), ("* 7.0", 14.0), ("+ 26.0", 40.0)]
    nodes, _ = backend.trace(backend.dot([w[0], 2.0], [7.0, 3.0]))
    assert [(n.op, n.data) for n in nodes] == [("", 2.0), ("* 7.0", 14.0), ("+ 6.0", 20.0)]


def test_a_bias_alone_is_traced(backend):
    """Rules 2.1 and 5.1: a dot of no terms, whose sum is its bias."""
    b = backend.Value(2.0)
    y = backend.dot([], [], b)
    assert backend.trace(y * 3.0)[0][:2] == [b, y]


def test_a_neuron_is_traced_as_multiplies_adds_and_activation(backend):
    """Rule 3.4, the documented example: every number has the data and grad that it would have
    written out.
    """
    n = backend.Neuron(2, activation="tanh", seed=1)
    x = [backend.Value(1.0), backend.Value(-2.0)]
    y = n(x)
    y.backward()
    w0, w1 = (float(n.weight[i].data) for i in range(2))
    a, b, c, d, e = (
        backend.Value(0.0),
        backend.Value(w0),
        backend.Value(1.0),
        backend.Value(w1),
        backend.Value(-2.0),
    )
    first, second = b * c, d * e
    p = a + first
    q = p + second
    out = q.tanh()
    out.backward()
    written = [a, b, c, first, p, d, e, second, q, out]
    nodes, edges = backend.trace(y)
    assert ops(nodes) == ["", "", "", "*", "+", "", "", "*", "+", "tanh"], (
        f"the operations are {ops(nodes)}"
    )
    assert all_close([v.data for v in nodes], [v.data for v in written])
    assert all_close([v.grad for v in nodes], [v.grad for v in written])
    assert len(edges) == 9


def test_hidden_neurons_show_their_gradients(backend):
    """Rule 5.1: traced fused or not, the outputs of a hidden layer have the gradients of backward."""
    y = backend.MLP(2, [3, 1], activation="tanh", seed=4)([0.5, -0.25])

    def shown(op, fused):
        return sorted(n.grad for n in backend.trace(y, fused=fused)[0] if n.op == op)

    assert shown("tanh(dot)", True) == shown("tanh", False) == [0.0] * 3
    y.backward()
    assert all(shown("tanh", False)) and all_close(shown("tanh(dot)", True), shown("tanh", False))
    hidden = [n for n in backend.trace(y, fused=True)[0] if n.op == "tanh(dot)"]
    assert all((a == b) == (a is b) for a in hidden for b in hidden), "each is a node of its own"


def test_what_shared_code_asks_of_a_fused_node(backend):
    """Rules 8.1 and 8.2: the parts of a dot, and the scalar nodes that a Value consists of."""
    w, x, b = (
        [backend.Value(2.0), backend.Value(-1.0)],
        [backend.Value(3.0), 5.0],
        backend.Value(0.5),
    )
    y = backend.dot(w, x, b)
    y.backward(10.0)
    weights, inputs, bias, activation, gradient = scalar_of(y)._composition()
    assert [float(v.data) for v in weights] == [2.0, -1.0] and float(bias.data) == 0.5
    assert [float(getattr(v, "data", v)) for v in inputs] == [3.0, 5.0]
    assert activation == "" and gradient == 10.0
    assert (backend.Value(1.0) * 2.0)._composition() is None
    n = backend.Neuron(2, activation="tanh", seed=1)
    z = n([1.0, -2.0])
    z.backward()
    weights, inputs, bias, activation, gradient = scalar_of(z)._composition()
    assert activation == "tanh" and close(gradient, 1.0 - z.data**2)


def scalar_of(value):
    """The scalar node of a Value: itself, unless it says otherwise."""
    return value._scalars()[0] if hasattr(value, "_scalars") else value


# What steps and explanations ask of an engine ------------------------------------------------


def test_when_a_node_was_made(backend):
    """Rule 8.3: what gives first in backward has the larger moment; leaves have none."""
    f, (a, b, _) = expression(backend)
    g = f * a
    assert a._moment() == () == b._moment()
    nodes, _ = backend.trace(g)
    moments = [n._moment() for n in nodes if n.op]
    assert moments == sorted(moments) and len(set(moments)) == 4
    assert all(type(part) is int for moment in moments for part in moment)
    outputs = backend.softmax([a, b, f])
    later = backend.Value(1.0, (g,), "f", local_grads=(2.0,))
    assert moments[-1] < outputs[0]._moment() < outputs[2]._moment() < later._moment()


@pytest.mark.parametrize("row", UNARY, ids=lambda row: row.name)
def test_the_local_gradient_of_a_function(backend, row):
    """Rules 1.16 and 8.4."""
    for x in row.points:
        v = backend.Value(x)
        y = row.apply(v)
        (local,) = y._local_gradients()
        assert close(local, row.slope(x, y.data)), f"of {row.name} at {x!r}: {local!r}"
        assert (y.grad, v.grad) == (0.0, 0.0) and v._local_gradients() == ()


@pytest.mark.parametrize("row", BINARY, ids=lambda row: row.name)
def test_the_local_gradients_of_two_operands(backend, row):
    """Rules 1.16 and 8.4: of a pair of Values, and of one beside a number."""
    for a, b in [(2.0, 3.0), (0.7, -1.5), (3.0, 3.0), (1e-3, 0.7)]:
        x, z = backend.Value(a), backend.Value(b)
        y = row.apply(x, z)
        slopes = row.slopes(a, b, y.data)
        assert all_close(y._local_gradients(), slopes), f"{row.name} at {a!r}, {b!r}"
        assert all_close(row.apply(x, b)._local_gradients(), slopes[:1])
        if row.operator:
            assert all_close(row.apply(a, z)._local_gradients(), slopes[1:])


def test_a_leaf_is_what_it_is(backend):
    """Rules 8.4 and 8.5: nothing computed it."""
    leaf = backend.Value(3.0)
    assert leaf._local_gradients() == () and leaf._recomputed({}) == 3.0


def test_local_gradients_are_of_the_present_data(backend):
    """Rule 8.4: as in backward (1.10)."""
    a, b = backend.Value(2.0), backend.Value(3.0)
    y, v = a * b, backend.Vector([a, b, a])
    total = (v * v).sum()
    a.data, b.data = 5.0, 7.0
    assert y._local_gradients() == (7.0, 5.0)
    assert len(scalar_of(total)._local_gradients()) == 3
    assert backend.Value(1.0, (a, b, a), "f", local_grads=(1, 2, 3))._local_gradients() == (1, 2, 3)


# Backward, step by step ----------------------------------------------------------------------


def test_the_steps_of_an_expression(backend):
    """Rule 5.5: each with the chain rule in numbers; both edges of an operand that is used twice."""
    a, b = backend.Value(2.0, label="a"), backend.Value(-3.0, label="b")
    product = a * b
    f = product + a
    g = f * f
    before = [(v.data, v.grad) for v in (a, b, product, f, g)]
    steps = list(backend.backward_steps(g))
    assert [
        (s.node, s.operand, s.position, s.local, s.above, s.contribution, s.total) for s in steps
    ] == [
        (g, f, 0, -4.0, 1.0, -4.0, -4.0),
        (g, f, 1, -4.0, 1.0, -4.0, -8.0),
        (f, product, 0, 1.0, -8.0, -8.0, -8.0),
        (f, a, 1, 1.0, -8.0, -8.0, -8.0),
        (product, a, 0, -3.0, -8.0, 24.0, 16.0),
        (product, b, 1, 2.0, -8.0, -16.0, -16.0),
    ]
    assert before == [(v.data, v.grad) for v in (a, b, product, f, g)], "steps change nothing"
    assert str(steps[4]) == "a.grad += local * above = -3.0 * -8.0 = 24.0, so far 16.0"
    a.grad = 100.0
    g.backward()
    assert [s.total for s in backend.backward_steps(g)] == [s.total for s in steps]
    with pytest.raises(AttributeError):
        steps[0].total = 0.0


def test_the_steps_of_a_neuron(backend):
    """Rules 2.2 and 5.5: as its multiplies and adds, from the last to the first."""
    w = [backend.Value(2.0, label="w0"), backend.Value(-1.0, label="w1")]
    x = [backend.Value(3.0, label="x0"), backend.Value(5.0, label="x1")]
    y = backend.dot(w, x, backend.Value(0.5, label="b"))
    steps = list(backend.backward_steps(y, grad=10.0))
    assert [(s.node.op, s.operand.label or s.operand.op) for s in steps] == [
        ("+", "+"),
        ("+", "*"),
        ("*", "w1"),
        ("*", "x1"),
        ("+", "b"),
        ("+", "*"),
        ("*", "w0"),
        ("*", "x0"),
    ]
    fused = list(backend.backward_steps(y, fused=True, grad=10.0))
    assert [(s.operand.label, s.position, s.contribution) for s in fused] == [
        ("w1", 1, 50.0),
        ("x1", 3, -10.0),
        ("w0", 0, 30.0),
        ("x0", 2, 20.0),
        ("b", 4, 10.0),
    ]
    assert {s.operand.label: s.total for s in steps if s.operand.label} == {
        s.operand.label: s.total for s in fused
    }


def test_the_steps_of_a_sum_begin_with_its_last_operand(backend):
    """Rules 2.8 and 5.5."""
    a, b = backend.Value(2.0), backend.Value(-3.0)
    steps = list(backend.backward_steps(backend.mean([a, b, a, 1.0])))
    assert [s.position for s in steps] == [2, 1, 0]
    assert [s.total for s in steps] == [0.25, 0.25, 0.5]
    steps = list(backend.backward_steps(backend.mse_loss([a, b], [a, 1.0])))
    assert [s.position for s in steps] == [2, 1, 0]


def test_the_steps_of_several_roots(backend):
    """Rule 5.5: a Vector or a sequence, each root from grad."""
    a = backend.Value(2.0)
    steps = list(backend.backward_steps([a * 3.0, a, a * 5.0], grad=2.0))
    assert [(s.node.op, s.total) for s in steps] == [("* 5.0", 12.0), ("* 3.0", 18.0)]
    v = backend.Vector([1.0, 2.0]) * 3.0
    assert [s.total for s in backend.backward_steps(v)] == [3.0, 3.0]
    assert list(backend.backward_steps(a)) == list(backend.backward_steps([])) == []


def test_steps_go_deep(backend):
    """Rule 1.11."""
    a = v = backend.Value(1.0)
    for _ in range(20_000):
        v = v + a
    *_, last = backend.backward_steps(v)
    assert last.total == 20_001.0


ROOTS = {
    "a network": lambda m, x, y: m.MLP(3, [4, 3, 1], activation="tanh", seed=1)(x),
    "a batch": lambda m, x, y: m.cross_entropy(
        m.MLP(3, [4, 2], activation="gelu", seed=2)([x, y, [1.0, 2.0, 3.0]]), [0, 1, 0]
    ),
    "a loss": lambda m, x, y: (
        m.hinge_loss(x, [1, -1, 1])
        + m.binary_cross_entropy_with_logits(y, [1, 0, 0.5])
        + m.mse_loss(x, y)
        + m.logsumexp([x[0], y[0], x[0]])
    ),
    "Vectors": lambda m, x, y: (
        (m.Vector(x) * y / 2.0 - m.Vector(y)).relu().sum() * m.Vector(x).max() + m.Vector(y).mean()
    ),
    "linear": lambda m, x, y: m.linear([x, y], [x, y], [0.5, x[1]])[1],
    "softmax": lambda m, x, y: m.softmax(x)[0] * m.log_softmax(y)[2] + m.rms_norm(x)[1],
    "softmax of a batch": lambda m, x, y: (
        m.softmax([x, y])[1][0] * m.log_softmax([y, x])[0][1] + m.logsumexp([x, y])[1]
    ),
    "attention": lambda m, x, y: m.scaled_dot_product_attention(x, [x, y], [y, x])[1],
}


@pytest.mark.parametrize("fused", [False, True], ids=["", "fused"])
@pytest.mark.parametrize("name", ROOTS)
def test_the_steps_end_in_the_gradients(backend, name, fused):
    """Rules 5.5 and 8.4: of every operation, and nothing gives before its gradient is complete."""
    x, y = ([backend.Value(v) for v in row] for row in ([0.5, -1.0, 2.0], [1.5, 0.25, -0.75]))
    root = ROOTS[name](backend, x, y)
    steps = list(backend.backward_steps(root, fused=fused))
    total = {step.operand: step.total for step in steps}
    given = {}
    for step in steps:
        assert step.above == given.get(step.node, step.above)
        given[step.node] = step.above
        assert step.operand not in given, "it has given already"
    assert all(v.grad == 0.0 for v in x + y)
    root.backward()
    leaves = [node for node in backend.trace(root, fused=fused)[0] if not node.operands]
    assert leaves
    for leaf in leaves:
        assert close(total[leaf], leaf.grad, 1e-12, 1e-15), f"{total[leaf]!r}, not {leaf.grad!r}"


# explain -------------------------------------------------------------------------------------


def test_why_a_gradient_is_what_it_is(backend):
    """Rule 5.6: the paths, each the product of its local gradients, add up to the gradient."""
    a, b = backend.Value(2.0, label="a"), backend.Value(-3.0, label="b")
    product = a * b
    f = product + a * 10.0 + a
    f.label = "f"
    why = backend.explain(f, a)
    assert str(why).splitlines() == [
        "d f / d a = 8.0000, the sum over 3 paths, the largest first",
        "  10.0000 = 1 * 1 * 10",
        "            f -> + -> * 10.0 -> a",
        "  -3.0000 = 1 * 1 * -3",
        "            f -> + -> * -> a",
        "   1.0000 = 1",
        "            f -> a",
    ]
    assert (why.grad, why.count, why.rest) == (8.0, 3, 0.0)
    assert [path.local for path in why.paths] == [(1.0, 1.0, 10.0), (1.0, 1.0, -3.0), (1.0,)]
    assert why.paths[1].nodes[0] is f and why.paths[1].nodes[2:] == (product, a)
    f.backward()
    assert a.grad == why.grad
    one = backend.explain(f, a, most=1)
    assert (one.count, len(one.paths), one.rest) == (3, 1, -2.0)
    assert str(one).splitlines()[-1] == "  -2.0000 from the other 2 paths"
    inside = backend.explain(f, product)
    assert (inside.grad, inside.count) == (1.0, 1)
    assert backend.explain(f, f).grad == 1.0


def test_a_node_that_does_not_matter(backend):
    """Rule 5.6."""
    a, b = backend.Value(2.0, label="a"), backend.Value(-3.0, label="b")
    f = a * 2.0
    why = backend.explain(f, b)
    assert (why.grad, why.count, why.paths) == (0.0, 0, ())
    assert str(why) == "d * 2.0 / d b = 0.0000: * 2.0 does not depend on b"


def test_more_paths_than_can_be_walked(backend):
    """Rule 5.6: they are counted exactly, and the largest are found."""
    x = backend.Value(1.0, label="x")
    y = x
    for i in range(300):
        y = y * 0.5 + y * (0.25 if i else 0.75)
    why = backend.explain(y, x, most=3)
    assert why.count == 2**300
    assert [len(path.local) for path in why.paths] == [600] * 3
    best = 0.5**299 * 0.75
    assert all_close([path.product for path in why.paths], [best, best * 2 / 3, best / 2], 1e-9)
    y.backward()
    assert close(why.grad, x.grad, 1e-9) and "at least 2**300 paths" in str(why)
    assert "(590 more)" in str(why)


def test_why_the_gradient_of_a_weight(backend):
    """Rules 2.3 and 5.6: through the multiplies and adds of neurons, or through neurons."""
    model = backend.MLP(2, [3, 1], activation="tanh", seed=1)
    y = model([1.0, -2.0])
    weight = scalar_of(model.layers[0].weight[1][0])
    y.backward()
    for fused, length in ((False, 7), (True, 2)):
        why = backend.explain(y, weight, fused=fused)
        assert why.count == 1 and close(why.grad, weight.grad)
        assert close(why.paths[0].product, why.grad)
        assert len(why.paths[0].local) == length
    (hidden, *_) = [n for n in backend.trace(y, fused=True)[0] if n.op == "tanh(dot)"]
    assert close(backend.explain(y, hidden).grad, model.layers[1].weight[0][0].data)


def test_a_gradient_that_is_not_finite(backend):
    """Rule 5.6: the path that is to blame comes first."""
    a = backend.Value(0.0, label="a")
    why = backend.explain(a * 1e9 + a.sqrt() * 0.0, a, most=1)
    assert why.grad != why.grad and why.paths[0].local[1:] == (0.0, float("inf"))


# tree ----------------------------------------------------------------------------------------


def test_a_tree(backend):
    """Rule 5.7: what is used twice is drawn once and referred to."""
    a, b, c = (
        backend.Value(number, label=name) for number, name in ((2.0, "a"), (3.0, "b"), (-6.0, "c"))
    )
    f = (a * b + c).tanh() * a - 1.0
    f.label = "f"
    f.backward()
    assert str(backend.tree(f)).splitlines() == [
        "f = - 1.0  data -1.0000  grad 1.0000",
        "└── *  data 0.0000  grad 1.0000",
        "    ├── tanh  data 0.0000  grad 2.0000",
        "    │   └── +  data 0.0000  grad 2.0000",
        "    │       ├── *  data 6.0000  grad 2.0000",
        "    │       │   ├── [1] a  data 2.0000  grad 6.0000",
        "    │       │   └── b  data 3.0000  grad 4.0000",
        "    │       └── c  data -6.0000  grad 2.0000",
        "    └── [1] a, as above",
    ]
    x = backend.Value(2.0)
    assert str(backend.tree([x + x, x])).splitlines() == [
        "+  data 4.0000  grad 0.0000",
        "├── [1]  data 2.0000  grad 0.0000",
        "└── [1] 2.0000, as above",
        "[1] 2.0000, as above",
    ]
    assert repr(backend.tree(x)) == str(backend.tree(x)) == "data 2.0000  grad 0.0000"


def test_a_tree_of_a_neuron(backend):
    """Rules 2.3 and 5.7."""
    y = backend.Neuron(2)([1.0, -2.0])
    assert len(str(backend.tree(y)).splitlines()) == 8
    assert len(str(backend.tree(y, fused=True)).splitlines()) == 4


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_tree_where_characters_are_missing(backend, encoding, monkeypatch):
    """Rule 5.7: it can be printed whatever standard output is, labels too."""
    a = backend.Value(2.0, label="β\n")
    printed = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", printed)
    print(backend.tree(a * 2.0 + 1.0))
    printed.flush()
    text = printed.buffer.getvalue().decode(encoding)
    assert ("└── " in text and "β\N{REPLACEMENT CHARACTER}" in text) == (encoding == "utf-8")
    assert ("`-- " in text and "\\u03b2" in text) == (encoding != "utf-8")


def test_a_deep_tree(backend):
    """Rules 1.11 and 5.7."""
    v = backend.Value(1.0)
    for _ in range(1500):
        v = v + 1.0
    with pytest.raises(ValueError, match="1000.*max_nodes"):
        backend.tree(v)
    assert len(str(backend.tree(v, max_nodes=None)).splitlines()) == 1501


# Drawing -------------------------------------------------------------------------------------


def boxes(source):
    """(label, data, grad) of each record of a DOT text."""
    found = re.findall(r'label="\{([^"]*?)data ([^ |"]+) \| grad ([^ |"}]+)\}"', source)
    return [(label.strip(" |"), float(data), float(grad)) for label, data, grad in found]


def ovals(source):
    """The operations of a DOT text."""
    return [
        re.search(r'label="?([^"\]]*?)"?(?: \w+=|\])', line)[1]
        for line in source.splitlines()
        if "oval" in line
    ]


def test_draw_dot(backend):
    """Rule 5.2, the first documented example: before and after backward the drawing shows data and
    grad.
    """
    f, _ = expression(backend)
    dot = backend.draw_dot(f)
    assert isinstance(dot, graphviz.Digraph)
    assert sorted(boxes(dot.source)) == sorted(
        [
            ("a", 2.0, 0.0),
            ("b", 3.0, 0.0),
            ("", 6.0, 0.0),
            ("c", 5.0, 0.0),
            ("", 11.0, 0.0),
            ("", 1.0, 0.0),
        ]
    )
    assert sorted(ovals(dot.source)) == ["*", "+", "tanh"]
    f = f.operands[0]
    f.backward()
    assert sorted(boxes(backend.draw_dot(f).source)) == sorted(
        [("a", 2.0, 3.0), ("b", 3.0, 2.0), ("", 6.0, 1.0), ("c", 5.0, 1.0), ("", 11.0, 1.0)]
    )


def test_draw_is_draw_dot(backend):
    """Rule 5.2."""
    f, _ = expression(backend)
    assert backend.draw(f).source == backend.draw_dot(f).source


def test_drawing_draws_both_edges(backend):
    """Rule 5.2: `a + a` has two arrows into its oval."""
    a = backend.Value(2.0)
    source = backend.draw_dot(a + a).source
    arrows = [line for line in source.splitlines() if "->" in line]
    assert len(arrows) == 3 and len(set(arrows)) == 2, f"the arrows are {arrows}"


def test_drawing_options(backend):
    """Rule 5.2: format, rankdir and fused."""
    f, _ = expression(backend)
    assert backend.draw_dot(f, format="png").format == "png" and backend.draw_dot(f).format == "svg"
    assert (
        "rankdir=TB" in backend.draw_dot(f, rankdir="TB").source
        and "rankdir=LR" in backend.draw_dot(f).source
    )
    y = backend.Neuron(2)([1.0, -2.0])
    assert len(boxes(backend.draw_dot(y).source)) == 8
    assert len(boxes(backend.draw_dot(y, fused=True).source)) == 4
    assert ovals(backend.draw_dot(y, fused=True).source) == ["relu(dot)"]


def test_drawing_the_same_graph_twice_gives_the_same_text(backend):
    """Rule 5.2: nodes are numbered in the order of the trace, not by their addresses."""
    assert (
        backend.draw_dot(expression(backend)[0]).source
        == backend.draw_dot(expression(backend)[0]).source
    )


@pytest.mark.parametrize(
    "label",
    [
        "x|y",
        "{x}",
        "a < b > c",
        'say "x"',
        "back\\slash",
        "two\nlines",
        "β",
        "<b>x</b>",
        "&amp;",
        "",
    ],
)
def test_any_label_can_be_drawn(backend, label):
    """Rule 5.2: a label is shown as it is; it cannot break the drawing."""
    v = backend.Value(1.0, label=label) * 2.0
    source = backend.draw_dot(v).source
    assert "data 1.0000" in source and "data 2.0000" in source


def test_too_large_to_draw(backend):
    """Rule 5.2: a ValueError that says so and how to go on; it does not walk the rest of the graph."""
    v = backend.Value(1.0)
    for _ in range(2000):
        v = v + 1.0
    with pytest.raises(ValueError, match="1000.*max_nodes"):
        backend.draw_dot(v)
    assert len(boxes(backend.draw_dot(v, max_nodes=3000).source)) == 2001


def test_the_outputs_of_a_network_can_be_drawn(backend):
    """The documented examples: a Neuron's, a Layer's and a network's output; a sequence is drawn in
    one picture.
    """
    for y in (
        backend.Neuron(n_in=2)([2, 0]),
        backend.Layer(n_in=2, n_out=4)([2, 0]),
        backend.MLP([3, 4, 2, 1])([2.0, 3.0, -1.0]),
        list(backend.Layer(n_in=2, n_out=4)([2, 0])),
    ):
        assert "digraph" in backend.draw_dot(y).source


def test_a_notebook_shows_a_drawing_without_dot(backend, monkeypatch, tmp_path):
    """Rule 5.2: as HTML that lays it out, with everything in it; nothing is loaded from anywhere."""
    monkeypatch.setenv("PATH", str(tmp_path))  # where there is no dot
    f, _ = expression(backend)
    for drawing in (backend.draw_dot(f), backend.draw_model(backend.Neuron(2))):
        shown = drawing._repr_mimebundle_()
        assert list(shown) == ["text/html"], f"a notebook gets {list(shown)}"
        assert "Graphviz.load()" in shown["text/html"] and "digraph {" in shown["text/html"]
        assert not re.search(r"<script[^>]* src=|<link", shown["text/html"])
        assert drawing._repr_mimebundle_(include=["image/svg+xml"]) == {}
        assert drawing._repr_mimebundle_(exclude=["text/html"]) == {}


def test_writing_a_picture_without_dot_says_how_to_install_it(backend, monkeypatch, tmp_path):
    """Rule 5.2: one sentence; the DOT text can be saved all the same."""
    monkeypatch.setenv("PATH", str(tmp_path))
    f, _ = expression(backend)
    drawing = backend.draw_dot(f, format="png")
    for write in (drawing.pipe, lambda: drawing.render(tmp_path / "drawing")):
        with pytest.raises(graphviz.ExecutableNotFound, match="apt install graphviz") as raised:
            write()
        error = raised.value
        assert error.__cause__ is None and error.__suppress_context__, "no chain of tracebacks"
    drawing.save(tmp_path / "saved.gv")
    assert (tmp_path / "saved.gv").read_text(encoding="utf-8") == drawing.source


# draw_model ----------------------------------------------------------------------------------


def attributes(line):
    return dict(re.findall(r'(\w+)="?((?<=")[^"]*|[^" \]]*)', line.partition("[")[2]))


def nodes_and_edges(drawing):
    """{name: attributes} of the nodes of a DOT text, {(tail, head): attributes} of its edges."""
    lines = [line.strip() for line in drawing.body]
    edges = {
        tuple(line.partition(" [")[0].split(" -> ")): attributes(line)
        for line in lines
        if "->" in line
    }
    nodes = {line.split(" ")[0]: attributes(line) for line in lines if "->" not in line}
    return nodes, edges


def test_draw_model(backend):
    """Rule 5.8: a neuron a node with its bias, a weight an edge with its size and sign."""
    model = backend.MLP(2, [2, 1], activation="tanh", seed=1)
    model.load_state_dict(
        {
            "layers.0.weight": [[0.5, -1.0], [2.0, 0.0]],
            "layers.0.bias": [0.25, -3.0],
            "layers.1.weight": [[-2.0, 1.5]],
            "layers.1.bias": [1e-3],
        }
    )
    drawing = backend.draw_model(model)
    assert isinstance(drawing, graphviz.Digraph) and drawing.format == "svg"
    nodes, edges = nodes_and_edges(drawing)
    labels = [nodes[name]["label"] for name in ("n0_0", "n0_1", "n1_0", "n1_1", "n2_0")]
    assert labels == ["x0", "x1", "0.25", "-3", "0.001"]
    titles = [nodes[f"title{k}"]["label"] for k in range(3)]
    assert titles == ["2 inputs", "2 tanh", "1 linear"]
    weights = {
        ("n0_0", "n1_0"): 0.5,
        ("n0_1", "n1_0"): -1.0,
        ("n0_0", "n1_1"): 2.0,
        ("n0_1", "n1_1"): 0.0,
        ("n1_0", "n2_0"): -2.0,
        ("n1_1", "n2_0"): 1.5,
    }
    assert edges.keys() == weights.keys()
    for edge, w in weights.items():
        dashed = edges[edge].get("style") == "dashed"
        assert dashed == (w < 0), f"the weight {w} is {'dashed' if dashed else 'solid'}"
    thickness = sorted((abs(w), float(edges[edge]["penwidth"])) for edge, w in weights.items())
    assert [t for _, t in thickness] == sorted(t for _, t in thickness), "thicker is larger"
    assert thickness[-1][1] == thickness[-2][1] > thickness[0][1]
    assert edges["n0_1", "n1_0"]["color"][:7] != edges["n0_0", "n1_0"]["color"][:7]
    assert edges["n0_1", "n1_0"]["tooltip"] == "layers[0].weight[0][1] = -1"


def test_draw_model_of_parts(backend):
    """Rule 5.8: a Layer and a Neuron alone."""
    nodes, edges = nodes_and_edges(backend.draw_model(backend.Layer(3, 2, "gelu")))
    assert nodes["title1"]["label"] == "2 gelu" and len(edges) == 6
    nodes, edges = nodes_and_edges(backend.draw_model(backend.Neuron(3)))
    assert nodes["title1"]["label"] == "1 relu" and len(edges) == 3


def test_draw_model_shows_a_part_of_large_layers(backend):
    """Rule 5.8: the first and the last neurons, and how many there are between."""
    model = backend.MLP(64, [32, 10])
    nodes, edges = nodes_and_edges(backend.draw_model(model))
    assert nodes["more0"]["label"] == "… 48 more" and nodes["more1"]["label"] == "… 16 more"
    assert "more2" not in nodes and len(edges) == 16 * 16 + 16 * 10
    assert {"n0_7", "n0_56", "n1_7", "n1_24"} <= nodes.keys() and "n0_8" not in nodes
    nodes, edges = nodes_and_edges(backend.draw_model(model, max_neurons=1))
    assert nodes["more2"]["label"] == "… 9 more" and len(edges) == 2
    assert len(nodes_and_edges(backend.draw_model(model, max_neurons=64))[1]) == 64 * 32 + 320


def test_draw_model_options(backend):
    """Rule 5.8: names as they are, every direction, any format."""
    names = ['petal "length"', "<b>|{}"]
    drawing = backend.draw_model(backend.Neuron(2), input_names=names, format="pdf")
    assert r'label="petal \"length\""' in drawing.source and "&lt;b&gt;" in drawing.source
    assert drawing.format == "pdf"

    def first_to_second(rankdir, a, b):
        nodes, _ = nodes_and_edges(backend.draw_model(backend.Layer(2, 2), rankdir=rankdir))
        places = [[float(x) for x in nodes[n]["pos"].strip("!").split(",")] for n in (a, b)]
        return [b > a for a, b in zip(*places, strict=True) if abs(b - a) > 1e-6]

    assert first_to_second("LR", "n0_0", "n1_0") == [True], "to the right"
    assert first_to_second("RL", "n0_0", "n1_0") == [False], "to the left"
    assert first_to_second("TB", "n0_0", "n1_0") == [False], "down"
    assert first_to_second("BT", "n0_0", "n1_0") == [True], "up"
    assert first_to_second("LR", "n1_0", "n1_1") == [False], "the second neuron below the first"
    assert first_to_second("TB", "n1_0", "n1_1") == [True], "or on its right"


def test_draw_model_of_what_is_not_finite(backend):
    """Rule 5.8: a network whose training went astray is drawn too, and one of nothing but zeros."""
    model = backend.Layer(2, 2)
    model.load_state_dict(
        {"weight": [[math.nan, math.inf], [-math.inf, 0.0]], "bias": [math.nan, 0]}
    )
    nodes, edges = nodes_and_edges(backend.draw_model(model))
    assert nodes["n1_0"]["label"] == "nan" and len(edges) == 4
    model.load_state_dict({"weight": [[0.0, -0.0], [0.0, 0.0]], "bias": [-0.0, 0.0]})
    nodes, edges = nodes_and_edges(backend.draw_model(model))
    assert nodes["n1_0"]["label"] == "0"
    assert {(edge["penwidth"], "style" in edge) for edge in edges.values()} == {("0.40", False)}


# explore -------------------------------------------------------------------------------------


def content(page):
    """The data of a page of explore."""
    found = re.search(r'<script type="application/json" id="graph">(.*?)</script>', page.html)
    return json.loads(found[1])


def test_explore_holds_the_steps(backend):
    """Rule 5.9: the nodes of the trace, computed in the order of creation, and the steps of 5.5."""
    f, (a, b, c) = expression(backend)
    g = f * a
    a.grad = 5.0
    held = content(backend.explore(g))
    nodes, _ = backend.trace(g)
    place = {node: i for i, node in enumerate(nodes)}
    assert [n["data"] for n in held["nodes"]] == [n.data for n in nodes]
    assert [n["name"] for n in held["nodes"]] == ["a", "b", "v1", "c", "v2", "v3", "out"]
    assert held["forward"] == [place[n] for n in nodes if n.op]
    assert held["steps"] == [
        [place[s.node], s.position, s.local, s.above, s.contribution, s.total]
        for s in backend.backward_steps(g)
    ]
    assert held["roots"] == [place[g]] and a.grad == 5.0 and g.grad == 0.0


def test_explore_writes_a_page(backend, tmp_path):
    """Rule 5.9: with a path the page is written; the result shows it in a notebook too."""
    f, _ = expression(backend)
    page = backend.explore(f, tmp_path / "backprop.html")
    assert (tmp_path / "backprop.html").read_text(encoding="utf-8") == page.html
    assert page.html == backend.explore(f).html
    assert page._repr_html_().startswith("<iframe srcdoc=") and len(repr(page)) < 300
    with pytest.raises(OSError, match="nowhere"):
        backend.explore(f, tmp_path / "nowhere" / "backprop.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backprop.html"]


def test_explore_shows_any_label_and_any_number(backend):
    """Rule 5.9: no label ends the page's script, and nan and inf are no JSON."""
    hostile = "</script><img src=x onerror=alert(1)>"
    y = backend.Value(float("inf"), label=hostile) * backend.Value(float("nan"))
    page = backend.explore(y)
    assert hostile not in page.html and "<img" not in page.html
    nodes = content(page)["nodes"]
    assert nodes[0]["name"] == hostile
    assert [n["data"] for n in nodes] == ["inf", "nan", "nan"]


def test_explore_folds(backend):
    """Rule 5.9: neurons lie in layers, layers in samples, where the weights are shared."""

    def groups(root):
        held = content(backend.explore(root))
        return [(g["name"], g["level"]) for g in held["groups"]], held

    model = backend.MLP(2, [3, 1], activation="tanh", seed=1)
    of_one, held = groups(model([1.0, -2.0]))
    neurons = [("neuron 1.1", 1), ("neuron 1.2", 1), ("neuron 1.3", 1), ("neuron 2", 1)]
    assert of_one == [("layer 1", 2), *neurons] and held["level"] == 0
    parents = [group["parent"] for group in held["groups"]]
    assert parents == [-1, 0, 0, 0, -1]
    # Each number is in its neuron, and so are the weights, which nothing else uses.
    assert all(node["group"] > 0 for node in held["nodes"])
    of_batch, held = groups(backend.mse_loss(model([[1.0, -2.0], [0.5, 1.0]]), [1.0, 0.0]))
    assert of_batch[:2] == [("sample 1", 3), ("sample 2", 3)]
    weights = [name for name, _ in of_batch if name.startswith("weights")]
    assert sorted(weights) == [
        "weights 1",
        "weights 1.1",
        "weights 1.2",
        "weights 1.3",
        "weights 2",
    ]
    assert groups(backend.mse_loss(model([[1.0, 1.0]] * 2), [1.0, 0.0]))[0][:2] == of_batch[:2]


def test_explore_starts_with_boxes_that_can_be_drawn(backend):
    """Rule 5.9: a wide network starts as neurons, a long expression as parts."""
    held = content(backend.explore(backend.MLP(2, [16, 16, 1], seed=1)([1.0, 2.0])))
    assert held["level"] == 1 and len(held["nodes"]) > 900
    v = backend.Value(1.0)
    for _ in range(1000):
        v = v * 1.001
    held = content(backend.explore(v))
    assert held["level"] == 4 and 50 < len(held["groups"]) <= 100
    assert all(node["group"] >= 0 for node in held["nodes"])
    held = content(backend.explore(backend.Vector([0.5] * 150).sum()))
    assert held["level"] == 0 and len(held["nodes"]) == 151, "many, and nothing that folds"


def test_explore_cuts_many_samples_into_parts(backend):
    """Rule 5.9: a sample is not taken apart for it."""
    neuron = backend.Neuron(1, seed=1)
    held = content(backend.explore(backend.mean([neuron([k / 10]) for k in range(320)])))
    groups = held["groups"]
    samples = [group for group in groups if group["level"] == 3]
    assert held["level"] == 4 and len(samples) == 320
    assert all(groups[sample["parent"]]["name"].startswith("part ") for sample in samples)


def test_explore_gives_no_name_twice(backend):
    """Rule 5.9: what a person calls a node, it calls no other."""
    x, y = backend.Value(2.0, label="x1"), backend.Value(3.0)
    held = content(backend.explore([x * y, x + y]))
    assert [node["name"] for node in held["nodes"]] == ["x1", "x2", "v1", "v2"]


# Tape ----------------------------------------------------------------------------------------


def test_length_of_a_tape(backend):
    """Rule 5.3: the number of operations; a softmax of three is three, but one on an array."""
    x = backend.Value(1.0)
    length = len(backend.Tape(backend.softmax([x, 2.0, 3.0]).sum()))
    assert length < 4 if backend.arrays else length == 4


def test_a_tape_is_made_after_a_backward_pass(backend):
    """Rule 5.3: to record a graph changes nothing in it."""
    x = backend.Value(3.0)
    y = x * x
    z = y * 2.0
    z.backward()
    backend.Tape(z)
    assert (z.grad, y.grad, x.grad) == (1.0, 2.0, 12.0)


def test_tape_replays(backend):
    """Rule 5.3: forward recomputes from the leaves' present data; backward is Value.backward."""
    f, (a, b, c) = expression(backend)
    f = f * 2.0 + a
    tape = backend.Tape(f)
    assert len(tape) == 5
    for x in (0.1, -0.3, 2.0):
        a.data, b.data = x, 2 * x
        a.grad = b.grad = c.grad = 0.0
        got = tape.forward()
        tape.backward()
        again, leaves = expression(backend)
        for leaf, data in zip(leaves, (x, 2 * x, 5.0), strict=True):
            leaf.data = data
        fresh = (leaves[0] * leaves[1] + leaves[2]).tanh() * 2.0 + leaves[0]
        fresh.backward()
        assert type(got) is float and close(got, fresh.data), (
            f"forward gives {got!r}, a fresh graph {fresh.data!r}"
        )
        assert f.data == got, "after forward the Values hold their new data"
        expected = [leaf.grad for leaf in leaves]
        assert all_close([a.grad, b.grad, c.grad], expected), worst(
            [a.grad, b.grad, c.grad], expected
        )


def test_tape_sets_leaves_only(backend):
    """Rule 5.3: what a graph computes cannot be set; a mixed-up call changes nothing."""
    a, b = backend.Value(2.0), backend.Value(3.0)
    product = a * b
    tape = backend.Tape(product + 1.0)
    with pytest.raises(ValueError, match=r"leaves.*result of '\*'"):
        tape.set([a, product], [5.0, 5.0])
    assert (a.data, product.data) == (2.0, 6.0)
    tape.set([a, b], [5.0, 7.0])
    assert tape.forward() == 36.0


def test_tape_accumulates_as_backward_does(backend):
    """Rules 1.10 and 5.3."""
    x = backend.Value(3.0)
    y = x * x
    tape = backend.Tape(y)
    tape.backward()
    tape.backward(0.5)
    assert close(x.grad, 9.0) and close(y.grad, 0.5)


def test_tape_set(backend):
    """Rule 5.3: set(leaves, values) feeds a sample."""
    x = [backend.Value(0.0), backend.Value(0.0)]
    w = [backend.Value(2.0), backend.Value(-1.0)]
    tape = backend.Tape(backend.dot(w, x).relu())
    tape.set(x, [3.0, 1])
    assert [v.data for v in x] == [3.0, 1.0]
    assert tape.forward() == 5.0
    with pytest.raises(ValueError):
        tape.set(x, [1.0, 2.0, 3.0])
    with pytest.raises(TypeError):
        tape.set(x, [7.0, "a"])
    for few in (x, x[:1]):
        with pytest.raises(
            TypeError, match=r"^leaves are set from a sequence of numbers, got 7.0 \(float\)$"
        ):
            tape.set(few, 7.0)
    assert [v.data for v in x] == [3.0, 1.0], "a bad set changes nothing"


@pytest.mark.parametrize(
    "numbers",
    [
        array.array("d", [3.0, 4.0]),
        array.array("f", [3.0, 4.0]),
        array.array("i", [3, 4]),
        memoryview(array.array("d", [3.0, 0.0, 4.0, 0.0]))[::2],
    ],
    ids=["doubles", "floats", "ints", "every second double"],
)
def test_tape_set_from_memory(backend, numbers):
    """Rule 5.3: of whatever numbers it is."""
    a, b = backend.Value(0.0), backend.Value(0.0)
    tape = backend.Tape(a * b - a)
    tape.set([a, b], numbers)
    assert (a.data, b.data, tape.forward()) == (3.0, 4.0, 9.0)
    with pytest.raises(ValueError, match="1 leaves|2 numbers"):
        tape.set([a], numbers)
    assert (a.data, b.data) == (3.0, 4.0), "a bad set changes nothing"


def test_tape_that_divides_by_zero(backend):
    """Rules 1.15 and 5.3: as a fresh graph would; afterwards it goes on."""
    a, b = backend.Value(3.0), backend.Value(2.0)
    tape = backend.Tape((a + 1.0) / b * a)
    assert tape.forward() == 6.0
    b.data = 0.0
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        tape.forward()
    b.data = 4.0
    assert tape.forward() == 3.0


def test_tape_raises_as_the_operation_does(backend):
    """Rules 1.15 and 5.3."""
    x = backend.Value(1.0)
    tape = backend.Tape(x.log())
    x.data = -1.0
    with pytest.raises(ValueError, match="outside the function's domain"):
        tape.forward()


def test_tape_of_everything(backend):
    """Rule 5.3: fused nodes, Vectors, losses and a model are replayed; a training step by Tape is
    the step.
    """
    X, y = [[0.5, -1.0], [2.0, 0.25], [-3.0, 1.0]], [1.0, -1.0, 1.0]

    def build():
        model = backend.MLP(2, [4, 2], activation="tanh", output_activation="silu", seed=4)
        outputs = [model(x) for x in X]
        scores = backend.Vector([o[0] * o[1] + backend.softmax(o)[0] for o in outputs])
        loss = (
            backend.hinge_loss(scores, y)
            + backend.mse_loss(scores, y)
            + backend.logsumexp(scores) * 0.1
        )
        return model, loss + (scores * scores).mean() + backend.rms_norm(list(scores))[
            1
        ] + scores.max()

    model, loss = build()
    reference, _ = build()
    tape = backend.Tape(loss)
    for _ in range(3):
        model.zero_grad()
        got = tape.forward()
        tape.backward()
        reference.zero_grad()
        other, fresh = build()
        other.load_state_dict(reference.state_dict())
        outputs = [other(x) for x in X]
        scores = backend.Vector([o[0] * o[1] + backend.softmax(o)[0] for o in outputs])
        fresh = (
            backend.hinge_loss(scores, y)
            + backend.mse_loss(scores, y)
            + backend.logsumexp(scores) * 0.1
        )
        fresh = fresh + (scores * scores).mean() + backend.rms_norm(list(scores))[1] + scores.max()
        fresh.backward()
        assert close(got, fresh.data), f"forward gives {got!r}, a fresh graph {fresh.data!r}"
        for p, q in zip(model.parameters(), other.parameters(), strict=True):
            assert all_close(p.grad, q.grad, 1e-11, 1e-14), worst(p.grad, q.grad)
        for p, q in zip(model.parameters(), other.parameters(), strict=True):
            p.data -= 0.1 * p.grad
            q.data -= 0.1 * q.grad
        reference.load_state_dict(other.state_dict())


def test_tape_of_a_leaf(backend):
    """Rule 5.3."""
    x = backend.Value(2.0)
    tape = backend.Tape(x)
    assert len(tape) == 0 and tape.forward() == 2.0
    tape.backward()
    assert x.grad == 1.0


# gradcheck -----------------------------------------------------------------------------------


def test_gradcheck_finds_nothing_where_all_is_right(backend):
    """Rule 5.4."""
    a, b = backend.Value(0.7), backend.Value(-1.3)
    a.grad = 5.0
    report = backend.gradcheck(lambda a, b: (a * b + a.exp()).tanh() / b, [a, b])
    assert report, f"gradcheck says {report}"
    assert (a.data, b.data, a.grad, b.grad) == (0.7, -1.3, 5.0, 0.0), (
        "data and grad are afterwards what they were"
    )


def test_gradcheck_says_what_it_has_checked(backend):
    """Rule 5.4: where all is right too, and where there is nothing."""
    x = [backend.Value(0.5, label="x"), backend.Value(2.0)]
    text = str(backend.gradcheck(lambda x, y: x * y, x))
    assert re.match(r"all 2 gradients agree, the least close input \d", text)
    report = backend.gradcheck(lambda v: v.sum() + x[0], [backend.Vector([])])
    assert report and str(report) == "no gradients to check: the inputs are empty"


def test_gradcheck_finds_a_gradient_that_is_slightly_wrong(backend):
    """Rule 5.4: 0.05 % off; the report names the input and both gradients."""

    def square(x):
        return backend.Value(x.data**2, (x,), "square", local_grads=(2 * x.data * 1.0005,))

    a, b = backend.Value(3.0), backend.Value(2.0, label="wrong one")
    report = backend.gradcheck(lambda a, b: a * a + square(b), [a, b])
    assert not report, "a gradient that is 0.05 % off must not pass"
    text = str(report)
    assert "wrong one" in text or "1" in text, (
        f"the report is {text!r}: it should name the worst input"
    )
    assert "4.002" in text and re.search(r"4\.0|3\.99", text.replace("4.002", "")), (
        f"the report shows both gradients: {text!r}"
    )


def test_gradcheck_of_a_vector(backend):
    """Rule 5.4: of a function with several outputs."""
    x = [backend.Value(v) for v in (0.5, -1.0, 2.0)]
    assert backend.gradcheck(lambda *x: backend.softmax(x)[0] + backend.rms_norm(x)[1], x)
    assert backend.gradcheck(
        lambda *x: backend.scaled_dot_product_attention(x, [x, [1.0, 2.0, 0.5]], [[x[0]], [x[1]]]),
        x,
    )


# A function with a derivative by hand, the fault in it, and where it is: the place of the wrong input.
FAULTS = {
    "another derivative": (lambda x, y: (x.data**3, (x,), (2.0 * x.data,)), 0),
    "twice as much": (lambda x, y: (x.data**2, (x,), (4.0 * x.data,)), 0),
    "the sign": (lambda x, y: (math.cos(x.data), (x,), (math.sin(x.data),)), 0),
    "an operand counted once": (lambda x, y: (x.data**2, (x,), (x.data,)), 0),
    "one operand of two": (lambda x, y: (x.data * y.data, (x, y), (y.data, 1.001 * x.data)), 1),
    "the operands exchanged": (lambda x, y: (x.data - y.data, (x, y), (-1.0, 1.0)), 0),
    "an operand left out": (lambda x, y: (x.data * y.data, (x,), (y.data,)), 1),
    "nothing at all": (lambda x, y: (x.data + y.data, (x, y), (0.0, 0.0)), 0),
    "nan": (lambda x, y: (x.data + y.data, (x, y), (1.0, math.nan)), 1),
    "only above one": (lambda x, y: (x.data**2, (x,), (min(2.0 * x.data, 2.0),)), 0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_gradcheck_finds(backend, fault):
    """Rule 5.4: deep in an expression that is right; the report names the input."""
    by_hand, wrong = FAULTS[fault]

    def f(x, y):
        data, operands, slopes = by_hand(x, y)
        return (backend.Value(data, operands, "by hand", local_grads=slopes) * 0.5).tanh() + x * y

    inputs = [backend.Value(1.25, label="left"), backend.Value(0.75, label="right")]
    report = backend.gradcheck(f, inputs)
    assert not report and report.wrong >= 1, f"gradcheck says {report}"
    if fault not in ("the operands exchanged", "nothing at all"):  # there both are wrong
        assert report.wrong == 1 and ("left", "right")[wrong] in report.worst, f"{report}"


def test_gradcheck_sees_what_happens_where_it_looks(backend):
    """Rule 5.4: a slope that is wrong above one is right below."""
    by_hand, _ = FAULTS["only above one"]

    def f(x):
        data, operands, slopes = by_hand(x, x)
        return backend.Value(data, operands, "by hand", local_grads=slopes)

    assert backend.gradcheck(f, [backend.Value(0.75)])
    assert not backend.gradcheck(f, [backend.Value(1.25)])


def test_gradcheck_finds_one_wrong_element_of_a_vector(backend):
    """Rule 5.4: of many inputs the one that is left out of the graph."""
    x = [backend.Value(v) for v in (0.5, -1.0, 2.0, 0.25)]
    report = backend.gradcheck(lambda *x: backend.softmax([*x[:3], x[3].detach()])[1], x)
    assert not report and report.wrong == 1 and "input 3" in report.worst, f"{report}"
    vector = backend.Vector([0.5, -1.0, 2.0])
    right = backend.gradcheck(lambda v: (v * v).sum(), [vector])
    assert right and right.checked == 3
    report = backend.gradcheck(lambda v: v[0] * v[1] + v[2].detach() * 3.0, [vector])
    assert not report and report.wrong == 1 and "[2]" in report.worst, f"{report}"


def test_gradcheck_of_every_function(backend):
    """Rules 1.16 and 5.4: the table of derivatives against differences of the values."""
    for function in UNARY:
        for x in (0.3, 0.7) if function.name != "acosh" else (1.3, 2.5):
            report = backend.gradcheck(lambda v: function.apply(v), [backend.Value(x)])  # noqa: B023
            assert report, f"{function} at {x}: {report}"
    for operation in BINARY:
        report = backend.gradcheck(operation.apply, [backend.Value(0.7), backend.Value(1.9)])
        assert report, f"{operation}: {report}"


def test_gradcheck_restores_after_an_error(backend):
    """Rule 5.4."""
    x = backend.Value(1e-8)
    with pytest.raises(ValueError):
        backend.gradcheck(lambda x: x.log(), [x])
    assert x.data == 1e-8 and x.grad == 0.0


# diagnose ------------------------------------------------------------------------------------


def points(seed=1, count=16):
    """Rows of two features, and labels that a line tells apart."""
    draw = random.Random(seed)
    rows = [[draw.gauss(0.0, 1.0), draw.gauss(0.0, 1.0)] for _ in range(count)]
    return rows, [1.0 if row[0] + row[1] > 0.0 else -1.0 for row in rows]


class Training:
    """A network and its steps, in which mistakes are planted."""

    def __init__(self, backend, seed=1, **options):
        self.backend = backend
        self.rows, self.labels = points(seed)
        self.model = backend.MLP(2, [8, 8, 1], seed=seed, **options)
        self.optimizer = backend.Adam(self.model.parameters(), lr=0.01)

    def loss(self):
        return self.backend.hinge_loss(self.model(self.rows), self.labels)

    def backward(self):
        loss = self.loss()
        self.optimizer.zero_grad()
        loss.backward()
        return loss


def kinds(diagnosis):
    return [finding.kind for finding in diagnosis]


def only(diagnosis, kind, *words):
    """The one finding, of this kind, with these words in it."""
    assert kinds(diagnosis) == [kind], f"expected {kind!r} alone, got: {diagnosis}"
    text = " ".join(str(diagnosis[0]).split())
    for word in words:
        assert word in text, f"{word!r} is not in {text!r}"
    return diagnosis[0]


def test_a_diagnosis_is_a_sequence(backend):
    """Rule 5.10: false where nothing is found; of text alone, so that it holds no graph."""
    a, b = backend.Value(2.0, label="a"), backend.Value(0.5, label="b")
    f = (a * b).tanh()
    f.backward()
    fine = backend.diagnose(f)
    assert not fine and len(fine) == 0 and list(fine) == []
    assert str(fine) == repr(fine) == "nothing found in 4 nodes with 2 parameters"
    f.backward()
    diagnosis = backend.diagnose(f)
    finding = only(diagnosis, "backward again", "b.grad is 1.68, one pass gives 0.8399", "2 times")
    assert diagnosis and len(diagnosis) == 1 and diagnosis[:1] == (finding,)
    assert finding.nodes == ("a", "b") and finding.kind == "backward again"
    assert type(finding.seen) is type(finding.advice) is str
    lines = str(diagnosis).splitlines()
    assert max(map(len, lines)) <= 88 and lines[0].startswith("backward again: the gradients are")


@pytest.mark.parametrize("named", [False, True], ids=["", "named"])
@pytest.mark.parametrize("stepped", [False, True], ids=["before the step", "after the step"])
def test_gradients_that_were_not_zeroed(backend, stepped, named):
    """Rule 5.10: what is left from earlier passes, by the name of a parameter, with numbers."""
    training = Training(backend)
    for _ in range(3):
        loss = training.loss()
        loss.backward()
        if stepped:
            training.optimizer.step()
    diagnosis = backend.diagnose(loss, training.model if named else None)
    place = "layers.2.weight" if named else "layer 2"
    finding = only(diagnosis, "not zeroed" if stepped else "backward again", place, "zero_grad")
    assert "parameters" in finding.seen


def test_a_script_that_forgets_zero_grad(backend):
    """Rule 5.10, on single Values: after a step too."""
    w = backend.Value(3.0, label="w")
    for _ in range(3):
        loss = (w * 2.0 + 1.0 - 4.0) ** 2
        loss.backward()
        w.data -= 0.02 * w.grad
    only(backend.diagnose(loss), "not zeroed", "w.grad is 28.63, of which 6.547 is from this pass")


def test_backward_called_twice(backend):
    """Rule 5.10."""
    training = Training(backend)
    loss = training.backward()
    loss.backward()
    finding = only(backend.diagnose(loss, training.model), "backward again", "2 times")
    assert any("layers.0.weight" in name for name in finding.nodes)


def test_gradients_that_are_added_up_on_purpose(backend):
    """Rule 5.10: of several losses, where all are given; gradients clipped, or set to zero."""
    training = Training(backend)
    training.optimizer.zero_grad()
    first, second = training.loss(), training.loss() * 0.3
    first.backward()
    second.backward()
    assert kinds(backend.diagnose(second)) == ["not zeroed"]
    assert kinds(backend.diagnose([first, second])) == []
    trunk = training.model([1.0, -1.0]) * 2.0
    heads = [trunk * 3.0 + 1.0, trunk * trunk]
    training.optimizer.zero_grad()
    for head in heads:
        head.backward()
    assert kinds(backend.diagnose(heads)) == []
    loss = training.backward()
    for p in training.model.parameters():
        p.grad = p.grad * 0.1
    assert kinds(backend.diagnose(loss)) == []
    training.optimizer.zero_grad()
    assert kinds(backend.diagnose(loss, training.model)) == []


def test_inputs_that_nobody_zeroes(backend):
    """Rule 5.10: leaves that are no parameters may hold what they like."""
    x = [backend.Value(1.0), backend.Value(-2.0)]
    model = backend.Layer(2, 1, activation="tanh", seed=3)
    for _ in range(3):
        loss = (model(x) - 1.0) ** 2
        model.zero_grad()
        loss.backward()
    assert kinds(backend.diagnose(loss)) == kinds(backend.diagnose(loss, model)) == []
    w, constant = backend.Value(0.5), backend.Value(2.0)
    for _ in range(3):
        loss = (w * constant - 1.0) ** 2
        w.zero_grad()
        loss.backward()
    assert kinds(backend.diagnose(loss)) == kinds(backend.diagnose(loss, [w])) == []


def test_data_changed_before_backward(backend):
    """Rule 5.10: a step between forward and backward, by the gradients; and before any backward."""
    training = Training(backend)
    training.backward()
    loss = training.loss()
    training.optimizer.step()
    only(backend.diagnose(loss, training.model), "data changed", "layers.0, unit", "since the")
    training.optimizer.zero_grad()
    loss.backward()
    finding = only(
        backend.diagnose(loss, training.model), "data changed", "between forward and backward"
    )
    assert finding.nodes[0].startswith("layers.0, unit") and "sample" in finding.nodes[0]
    assert "among layers.0.weight" in finding.seen


@pytest.mark.parametrize("named", [True, False])
def test_data_changed_of_a_product_of_leaves(backend, named):
    """Rule 5.10: the gradient of the one shows what the other was; after a step it does not."""

    def product(x, y):
        a, b = backend.Value(x, label="a"), backend.Value(y, label="b")
        return a, b, (a * b).tanh() * 0.5

    a, b, root = product(0.25, 0.5)
    a.data = 0.75
    root.backward()
    only(backend.diagnose(root, [a, b] if named else None), "data changed", "among a, b")
    for x, y, moved in ((0.25, 0.5, "ab"), (0.25, 0.0, "ab"), (0.25, 0.5, "a"), (0.0, 0.5, "b")):
        a, b, root = product(x, y)
        root.backward()
        for leaf in (a, b):
            if leaf.label in moved:
                leaf.data -= 0.1 * leaf.grad
        assert not backend.diagnose(root, [a, b] if named else None)
    # Where nothing goes down by a product, it tells nothing, whatever goes down beside it.
    x, y = backend.Value(-1.0), backend.Value(1.0)
    inner = (x * x).tanh()
    product = inner * x
    for root in ((1.0 - x) ** 2 + 100.0 * (y - x * x) ** 2, inner + (product - product) + y):
        x.data, x.grad, y.grad = -1.0, 0.0, 0.0
        root.backward()
        x.data -= 0.001 * x.grad
        assert not backend.diagnose(root, [x, y] if named else None)


def test_data_changed_by_hand(backend):
    """Rule 5.10: of what an operation had computed."""
    a, b = backend.Value(2.0, label="a"), backend.Value(3.0, label="b")
    product = a * b
    product.label = "product"
    f = (product + 1.0) * 2.0
    assert not backend.diagnose(f)
    product.data = 7.0
    f.backward()
    words = "product holds 7, but its operands as they are now give 6"
    assert only(backend.diagnose(f), "data changed", words).nodes[0] == "product"
    product.data = 6.0
    a.data = -2.0
    words = "product holds 6, but its operands as they are now give -6"
    f = f.detach() + product  # of which backward was not called
    only(backend.diagnose(f), "data changed", words, "among a, b")


def test_changed_data_that_nothing_can_be_computed_of(backend):
    """Rules 1.15 and 5.10."""
    x = backend.Value(2.0, label="x")
    y = x.log()
    x.data = -2.0
    only(backend.diagnose(y), "data changed", "log holds 0.6931", "cannot compute log(-2.0)")
    x.data = 1.0
    y = x * 1e200
    x.data = 1e200
    only(backend.diagnose(y), "data changed", "holds 1e+200", "as they are now give inf")


@pytest.mark.parametrize("row", [*UNARY, *BINARY], ids=lambda row: row.name)
def test_an_operation_is_computed_anew(backend, row):
    """Rules 5.10 and 8.5: by its own formula, beside a number on either side too."""
    roots, leaf = [], backend.Value(0.6, label="leaf")
    if row in UNARY:
        leaf.data = row.points[0]
        roots.append(row.apply(leaf))
    else:
        other = backend.Value(0.8)
        roots += [row.apply(leaf, other), row.apply(leaf, 0.8)]
        if row.operator:
            roots.append(row.apply(0.8, leaf))
    before = [(root.data, root.grad) for root in roots]
    was = leaf.data
    for root in roots:
        assert not backend.diagnose(root)
        leaf.data = was * 1.25 if row.name != "relu" else was + 1.0
        if row.name in ("maximum", "minimum"):
            leaf.data = 0.9 if row.name == "maximum" else 0.3
            root = row.apply(backend.Value(0.9), leaf) if row.name == "minimum" else root
            leaf.data = 1.5 if row.name == "maximum" else 0.2
        assert kinds(backend.diagnose(root)) == ["data changed"], f"{row.name} of {leaf.data}"
        leaf.data = was
    assert before == [(root.data, root.grad) for root in roots]


@pytest.mark.parametrize("name", ROOTS)
def test_a_fused_operation_is_computed_anew(backend, name):
    """Rules 5.10 and 8.5: its numbers hold while the leaves do, and no longer when these move."""
    x = [backend.Value(v) for v in (0.5, -1.25, 2.0)]
    y = [backend.Value(v) for v in (1.5, 0.25, -0.5)]
    root = ROOTS[name](backend, x, y)
    assert not backend.diagnose(root)
    for v in (*x, *y):
        v.data = v.data + 0.125
    assert kinds(backend.diagnose(root)) == ["data changed"]
    for v in (*x, *y):
        v.data = v.data - 0.125
    assert not backend.diagnose(root)
    root.backward()
    assert not backend.diagnose(root)
    root.backward()
    assert kinds(backend.diagnose(root)) == ["backward again"]


def test_dead_relus(backend):
    """Rule 5.10: by layer and unit, of a layer, of a function of a Vector, of a whole layer."""
    training = Training(backend)
    training.model.layers[0].bias[3].data = -100.0
    loss = training.backward()
    finding = only(backend.diagnose(loss, training.model), "dead relu", "0 for every sample")
    assert finding.nodes == ("layers.0, unit 3",)
    assert "in 16 samples" in finding.seen and "between -1" in finding.seen
    assert only(backend.diagnose(loss), "dead relu").nodes == ("layer 0, unit 3",)

    weight = backend.Vector([[0.5, -0.5], [1.0, 1.0]])
    bias = backend.Vector([0.0, -500.0])
    loss = backend.linear(points()[0], weight, bias).relu().sum()
    assert only(backend.diagnose(loss), "dead relu").nodes == ("layer 0, unit 1",)

    model = backend.MLP(2, [6, 1], seed=1)
    for row in range(6):
        model.layers[0].bias[row].data = -4.0
    loss = backend.mean(model(points()[0]))
    assert len(only(backend.diagnose(loss, model), "dead relu").nodes) == 6
    with_few_samples = backend.mean(model(points()[0][:4]))
    assert not backend.diagnose(with_few_samples), "four samples say nothing about a unit"


def test_units_that_cannot_be_told(backend):
    """Rule 5.10: single Values that share no weight near enough to the relu; of an array it is the
    last axis.
    """
    outputs = []
    for k in range(9):
        v = backend.Value(-1.0 - 0.001 * k)
        for _ in range(300):
            v = v + v
        outputs.append(v.relu())
    assert not backend.diagnose(outputs)
    rows = backend.Vector([[-5.0 + 0.001 * k, 2.0 * k] for k in range(9)])
    assert kinds(backend.diagnose(rows.relu())) == (["dead relu"] if backend.arrays else [])
    assert not backend.diagnose(backend.Vector([]) * 2.0)


def test_a_dead_relu_of_single_values(backend):
    """Rule 5.10: what the samples share tells the unit."""
    w, b = backend.Value(1.0, label="w"), backend.Value(-300.0, label="b")
    outputs = [(w * x + b).relu() for x, _ in points()[0]]
    only(backend.diagnose(sum(outputs)), "dead relu", "lies between -30")
    u = backend.Value(-300.0, label="u")
    outputs = [(b * (1.0 + x / 1000) + u * (1.0 + x / 500)).relu() for x, _ in points()[0]]
    only(backend.diagnose(sum(outputs)), "dead relu", "lies between -60")


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_saturated_units(backend, activation):
    """Rule 5.10: inputs that are far too large."""
    model = backend.MLP(2, [8, 1], activation=activation, seed=1)
    rows = [[1e5 * x for x in row] for row in points()[0]]
    finding = only(
        backend.diagnose(backend.mean(model(rows)), model),
        "saturated",
        "the slope is below 1e-06 for every sample",
        "in 16 samples",
    )
    assert set(finding.nodes) <= {f"layers.0, unit {i}" for i in range(8)} and finding.nodes
    outputs = backend.Vector([getattr(backend.Value(50.0 + i), activation)() for i in range(9)])
    assert not backend.diagnose(outputs), "nine inputs are no unit"


def test_the_first_number_that_is_not_finite(backend):
    """Rule 5.10: with its formula and numbers, its way to the root, and the operands by name."""
    a, b = backend.Value(1e200, label="a"), backend.Value(-1e200, label="b")
    large = a * b
    root = (large - large) * 2.0 + 1.0
    root.label = "loss"
    assert math.isnan(root.data)
    only(
        backend.diagnose(root),
        "not finite",
        "a * b = 1e+200 * -1e+200 = -inf. From there it went on through -, * 2.0, loss.",
        "too large for a float",
    )
    a.data = float("nan")
    x = backend.Value(float("inf"), label="x")
    assert only(backend.diagnose((x * 2.0).tanh() + x), "not finite", "x is inf").nodes == ("x",)


# How it is written, and what to do.
FORMULAS = {
    "a number after": (lambda a: a(1e200) * 1e200, "a * 1e+200 = 1e+200 * 1e+200 = inf", "smaller"),
    "a quotient": (lambda a: a(1e200) / 1e-200, "a / 1e-200 = 1e+200 / 1e-200 = inf", "smaller"),
    "a number before": (lambda a: 1e200 / a(1e-200), "1e+200 / a = 1e+200 / 1e-200 = inf", "small"),
    "a function": (lambda a: a(1.0).maximum(math.inf), "maximum(a, inf) = maximum(1, inf)", ""),
    "log": (lambda a: spoiled(a(2.0).log()), "log(a) = log(2) = nan", "inside its domain"),
    "exp": (lambda a: spoiled(a(2.0).exp()), "exp(a) = exp(2) = nan", "keep what exp is taken of"),
}


def spoiled(value):
    value.data = math.nan
    return value


@pytest.mark.parametrize("kind", FORMULAS)
def test_how_a_number_came_about_that_is_not_finite(kind, backend):
    """Rule 5.10: as one would write it."""
    f, formula, advice = FORMULAS[kind]
    found = backend.diagnose(f(lambda x: backend.Value(x, label="a")) * 2.0)
    only(found, "not finite", f": {formula}", advice)


def test_a_loss_that_is_not_finite(backend):
    """Rule 5.10: of one number, made from many."""
    rows, labels = points(count=2)
    model = backend.MLP(2, [1], seed=1)
    model.layers[0].bias[0].data = 1e200
    loss = backend.mse_loss(model(rows), labels)
    only(backend.diagnose(loss, model), "not finite", "mse_loss(1e+200, 1e+200", "= inf", "smaller")
    halves = backend.Vector([1e308, 1e308])
    only(backend.diagnose(halves.sum() * 0.5), "not finite", "sum(1e+308, 1e+308) = inf")


def test_a_network_whose_numbers_are_not_finite(backend):
    """Rule 5.10: a weight too large, an input that is nan, a parameter that became nan."""
    rows, labels = points()
    model = backend.MLP(2, [8, 1], seed=1)
    model.layers[0].bias[2].data = 1e10
    model.layers[1].weight[0][2].data = 1e308
    words = "the largest is weight 2 * input 2 = 1e+308 * 1e+10 = inf"
    loss = backend.mse_loss(model(rows), labels)
    found = only(backend.diagnose(loss, model), "not finite", "layers.1, unit 0, sample 0", words)
    assert found.nodes == ("layers.1, unit 0, sample 0",)
    rows[3][1] = float("nan")
    loss = backend.mse_loss(backend.MLP(2, [8, 1], seed=1)(rows), labels)
    only(
        backend.diagnose(loss), "not finite", "layer 0, unit 0, sample 3 is nan: its input 1 is nan"
    )
    model.layers[0].bias[2].data = float("nan")
    loss = backend.mse_loss(model(points()[0]), labels)
    only(backend.diagnose(loss, model), "not finite", "layers.0.bias", "a step of the optimiser")


def test_an_infinity_that_ends_before_the_root(backend):
    """Rule 5.10: such as that of a mask is meant to be there."""
    mask = backend.Vector([0.0, 0.0, -math.inf])
    x = backend.Vector([0.5, -1.0, 2.0])
    y = (backend.softmax(x * 2.0 + mask) * [1.0, 2.0, 3.0]).sum()
    assert not backend.diagnose(y)
    y.backward()
    assert not backend.diagnose(y)


def test_a_gradient_that_is_infinite_where_data_are_not(backend):
    """Rules 1.16 and 5.10: the slope that made it so; and what is left from an earlier pass."""
    x = backend.Value(0.0, label="x")
    y = x.sqrt() * 2.0
    words = "the gradient of x is inf", "the slope of sqrt(0) there is inf", "above it, 2"
    assert only(backend.diagnose(y), "gradient not finite", *words).nodes == ("x",)
    y.backward()
    only(backend.diagnose(y), "gradient not finite", *words)
    x.data = 4.0
    later = x * 3.0
    later.backward()
    only(backend.diagnose(later, [x]), "gradient not finite", "left from an earlier pass")
    x = backend.Value(1e-200, label="x")
    y = (backend.Vector([1.0, 2.0]) / x).sum()
    only(backend.diagnose(y), "gradient not finite", "of x is -inf, though the root is finite")
    y = backend.Vector([4.0, 0.0]).sqrt().sum()
    only(
        backend.diagnose(y), "gradient not finite", " is inf, though the root is finite: the slope"
    )
    y = (x * 2.0).tanh()
    y.backward(math.inf)
    assert not backend.diagnose(y), "who gives inf gets it"


def test_parameters_that_the_root_does_not_depend_on(backend):
    """Rule 5.10: by name, of a model, a list, a dictionary, named pairs; a Vector counts as one."""
    model = backend.MLP(2, [4, 1], seed=1)
    hidden = model.layers[0]([1.0, 2.0])
    loss = hidden.sum()
    finding = only(backend.diagnose(loss, model), "not reached", "layers.1.weight")
    assert all(name.startswith("layers.1.") for name in finding.nodes)
    detached = model.layers[1]([v.data for v in hidden])
    finding = only(backend.diagnose(detached, dict(model.named_parameters())), "not reached")
    assert all(name.startswith("layers.0.") for name in finding.nodes)
    a, b = backend.Value(1.0, label="a"), backend.Value(2.0)
    assert only(backend.diagnose(a * 2.0, [a, b]), "not reached").nodes == ("parameter 1",)
    assert only(backend.diagnose(b * 2.0, [a, b]), "not reached").nodes == ("a",)
    table = backend.Vector([[1.0, 2.0], [3.0, 4.0]])
    assert not backend.diagnose(table[1][0] * 2.0, [table]), "of a table a row may be unused"


def test_gradients_that_vanish_or_explode(backend):
    """Rule 5.10: by layer, with the numbers of each."""
    rows, labels = points()
    deep = backend.MLP(2, [8] * 12 + [1], activation="sigmoid", seed=1)
    loss = backend.mse_loss(deep(rows), labels)
    finding = only(backend.diagnose(loss, deep), "vanishing gradients", "layers.0 ", "layers.12 ")
    assert finding.nodes[0] == "layers.0"
    wide = backend.MLP(2, [24] * 10 + [1], activation="linear", seed=1)
    loss = backend.mse_loss(wide(rows), labels)
    loss.backward()
    finding = only(backend.diagnose(loss, wide), "exploding gradients", "layers.0 ", "init=")
    assert finding.nodes[0] == "layers.0"


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_found_while_a_network_learns(backend, seed, activation):
    """Rule 5.10: before and after backward and the step, at the start, in the middle, at the end."""
    training = Training(backend, seed, activation=activation, init="xavier")
    for step in range(31):
        loss = training.loss()
        looks = [backend.diagnose(loss, training.model)] if step % 10 == 0 else []
        training.optimizer.zero_grad()
        loss.backward()
        if step % 10 == 0:
            looks += [backend.diagnose(loss, training.model), backend.diagnose(loss)]
        training.optimizer.step()
        if step % 10 == 0:
            looks += [backend.diagnose(loss, training.model), backend.diagnose(loss)]
        assert not any(looks), f"step {step}: {next(filter(None, looks))}"


@pytest.mark.parametrize("n_outs", [[1], [8, 1]], ids=["linear", "a hidden layer"])
def test_nothing_is_found_in_a_run_of_a_tape(backend, n_outs):
    """Rules 5.3 and 5.10: leaves that are set, data that are computed again."""
    rows, labels = points()
    model = backend.MLP(2, n_outs, activation="tanh", seed=1)
    x = backend.Vector(rows)
    loss = backend.mse_loss(model(x), labels)
    tape = backend.Tape(loss)
    optimizer = backend.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for step in range(4):
        fresh, _ = points(step)
        tape.set(x, fresh)
        tape.forward()
        optimizer.zero_grad()
        tape.backward()
        before = backend.diagnose(loss, model)
        optimizer.step()
        assert not before and not backend.diagnose(loss, model) and not backend.diagnose(loss)
        tape.forward()
        assert not backend.diagnose(loss, model)


def test_a_small_step_is_no_mistake(backend):
    """Rule 5.10: neither is one that is only just seen in the data."""
    for lr in (1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-3):
        for n_outs in ([1], [8, 1], [8, 8, 1]):
            rows, labels = points()
            model = backend.MLP(2, n_outs, activation="tanh", seed=5)
            optimizer = backend.Adam(model.parameters(), lr=lr)
            loss = backend.mse_loss(model(rows), labels)
            loss.backward()
            optimizer.step()
            found = backend.diagnose(loss), backend.diagnose(loss, model)
            assert not any(found), f"lr {lr}, {n_outs}: {found}"


@pytest.mark.parametrize("strength", [1e-4, 0.1])
def test_weights_that_are_kept_small(backend, strength):
    """Rule 5.10: their squares in the loss, whose gradient after the step is another."""
    training = Training(backend)
    parameters = training.model.parameters()
    for _ in range(12):
        squares = sum((p * p).sum() if backend.arrays and p.ndim else p * p for p in parameters)
        loss = training.loss() + strength * squares
        training.optimizer.zero_grad()
        loss.backward()
        assert not backend.diagnose(loss) and not backend.diagnose(loss, training.model)
        for p in parameters:
            p.data -= 0.5 * p.grad
        assert not backend.diagnose(loss) and not backend.diagnose(loss, training.model)


def test_a_small_step_of_a_single_weight(backend):
    """Rule 5.10: seen in its product, and not in its gradient."""
    w = backend.Value(0.5, label="w")
    f = (w * backend.Value(0.3).tanh() + 1.0) ** 2
    f.backward()
    w.data -= 1e-9
    assert not backend.diagnose(f, [w])


def test_one_sample_at_a_time(backend):
    """Rule 5.10: of a single sample a unit may be flat, and no gradient reach the layers below."""
    training = Training(backend, 3, activation="tanh")
    optimizer = backend.SGD(training.model.parameters(), lr=0.05, momentum=0.9)
    for row, label in zip(training.rows, training.labels, strict=True):
        loss = (training.model(row) - label) ** 2
        training.model.zero_grad()
        loss.backward()
        assert not backend.diagnose(loss, training.model)
        optimizer.step()
        assert not backend.diagnose(loss, training.model) and not backend.diagnose(loss)


def test_biases_alone_are_trained(backend):
    """Rule 5.10: after the step only they have changed, and the gradients do not show it."""
    training = Training(backend)
    biases = [p for name, p in training.model.named_parameters() if "bias" in name]
    optimizer = backend.SGD(biases, lr=0.1)
    for _ in range(3):
        loss = training.loss()
        training.model.zero_grad()
        loss.backward()
        optimizer.step()
        assert not backend.diagnose(loss, biases)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_step_above_a_silent_layer(backend, activation):
    """Rule 5.10: its units give 0, so only the bias above them moves, and no gradient shows it."""
    rows, labels = points()
    model = backend.MLP(2, [4, 1], activation=activation, seed=1)
    for row in range(4):
        model.layers[0].bias[row].data = -30.0
    optimizer = backend.SGD(model.parameters(), lr=0.1)
    loss = backend.mse_loss(model(rows), labels)
    loss.backward()
    optimizer.step()
    kinds = {f.kind for f in (*backend.diagnose(loss, model), *backend.diagnose(loss))}
    assert kinds == ({"dead relu"} if activation == "relu" else set())


def test_diagnose_changes_nothing(backend):
    """Rule 5.10: data, gradients and what backward does next are what they would have been."""

    def course(looking):
        training = Training(backend, activation="gelu")
        numbers = []
        for _ in range(3):
            loss = training.loss() + backend.softmax(training.model.layers[1].bias)[0]
            if looking:
                backend.diagnose(loss, training.model)
            training.optimizer.zero_grad()
            if looking:
                backend.diagnose(loss)
            loss.backward(0.5)
            if looking:
                backend.diagnose([loss, loss], training.model)
            for p in training.model.parameters():
                numbers.append(repr((p.data, p.grad)))
            training.optimizer.step()
            if looking:
                backend.diagnose(loss)
            numbers.append((loss.data, loss.grad))
        return numbers

    assert course(True) == course(False)


def test_a_deep_graph_is_diagnosed(backend):
    """Rules 1.11 and 5.10."""
    a = v = backend.Value(1.0)
    for _ in range(20_000):
        v = v + a
    v.backward()
    assert not backend.diagnose(v)
    v.backward()
    only(backend.diagnose(v), "backward again", "the only parameter")


def test_any_root_can_be_diagnosed(backend):
    """Rule 5.10: a leaf, nothing, a Vector, numbers alone, a custom operation, any label."""
    a = backend.Value(2.0, label="a\n\u03b2")
    assert not backend.diagnose(a) and not backend.diagnose([])
    a.backward()
    assert not backend.diagnose(a)
    a.zero_grad()
    v = backend.Vector([a, 1.0]) * 2.0
    v.backward()
    assert not backend.diagnose(v)
    custom = backend.Value(6.0, (a, a), "f", local_grads=(3.0, 2.0))
    (custom * 2.0).backward()
    assert kinds(backend.diagnose(custom * 2.0)) == []
    assert not backend.diagnose(backend.dot([1.0], [2.0]))
    assert not backend.diagnose(backend.dot([1.0], [backend.Value(2.0)])), "no weight, no unit"
    f = a * 3.0
    a.grad = 0.0
    f.backward()
    f.backward()
    (finding,) = backend.diagnose(f)
    assert finding.nodes == ("a\N{REPLACEMENT CHARACTER}\u03b2",)


@pytest.mark.parametrize("case", of_chapter("graph"), ids=str)
def test_refuses(backend, case):
    """Bad input is answered with the error that the interface names, and says what came."""
    check_refusal(backend, case)
