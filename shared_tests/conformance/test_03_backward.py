"""Backward: gradients of small expressions, worked out by hand."""

import asyncio
import copy
import gc
import math
import pickle
import sys
import threading

import pytest

from cases.bad_inputs import of_chapter
from cases.numbers import close
from cases.refusals import check_refusal


def gradients(root, *leaves):
    root.backward()
    return [leaf.grad for leaf in leaves]


def expect(name, got, expected, why=""):
    assert close(got, expected), f"{name} is {got!r}, expected {expected!r}" + (
        f": {why}" if why else ""
    )


def test_a_leaf(backend):
    """Rule 1.10: the derivative of a thing with respect to itself is one."""
    a = backend.Value(2.0)
    a.backward()
    expect("a.grad after a.backward()", a.grad, 1.0)


def test_a_sum(backend):
    """The simplest graph: c = a + b, and both slopes are one."""
    a, b = backend.Value(2.0), backend.Value(3.0)
    c = a + b
    c.backward()
    expect("c.grad", c.grad, 1.0, "the root's own gradient is one")
    expect("a.grad", a.grad, 1.0)
    expect("b.grad", b.grad, 1.0)


def test_a_product(backend):
    """c = a·b: the slope to each is the other."""
    a, b = backend.Value(2.0), backend.Value(3.0)
    c = a * b
    c.backward()
    expect("a.grad", a.grad, 3.0, "d(a·b)/da is b")
    expect("b.grad", b.grad, 2.0, "d(a·b)/db is a")


def test_the_chain_rule(backend):
    """L = (a·b + c)·f: each node hands down local slope times the gradient from above."""
    a, b, c, f = (backend.Value(x) for x in (2.0, -3.0, 10.0, -2.0))
    e = a * b
    d = e + c
    root = d * f
    root.backward()
    expect("L", root.data, -8.0)
    for name, value, grad in (
        ("f", f, 4.0),
        ("d", d, -2.0),
        ("c", c, -2.0),
        ("e", e, -2.0),
        ("b", b, -4.0),
        ("a", a, 6.0),
    ):
        expect(f"{name}.grad", value.grad, grad)


def test_gradients_add_up(backend):
    """Rule 1.10: a Value that is used twice gets a contribution from each use."""
    a = backend.Value(3.0)
    (a + a).backward()
    expect("a.grad of a + a", a.grad, 2.0, "`a + a` uses a twice; add with +=, do not overwrite")
    x = backend.Value(3.0)
    (x * x).backward()
    expect("x.grad of x·x", x.grad, 6.0, "`x * x` uses x twice; add with +=, do not overwrite")
    a, b = backend.Value(2.0), backend.Value(1.0)
    d = b + 1
    e = (a + b) * d
    e.backward()
    expect("e", e.data, 6.0)
    expect("a.grad", a.grad, 2.0)
    expect("b.grad", b.grad, 5.0, "b reaches e on two ways; their gradients add up")
    a = backend.Value(-2.0)
    b = a + 4
    c = b * 3 + b * 5
    c.backward()
    expect("a.grad", a.grad, 8.0)


def test_a_node_waits_for_all_that_use_it(backend):
    """Rule 1.17: a node passes its gradient on only when every node that uses it has given to it."""
    a = backend.Value(2.0)
    b = a * 3.0
    c = b + 1.0
    d = b * c  # b is used here and, earlier, by c
    d.backward()
    expect(
        "a.grad", a.grad, 39.0, "visit nodes in the reverse of the order in which they were made"
    )
    a = backend.Value(1.0)
    v = a
    for _ in range(40):
        v = v + v  # 2^40 paths: each node must be visited once
    v.backward()
    expect("a.grad through forty doublings", a.grad, 2.0**40)


def test_both_sides_of_subtraction_and_division(backend):
    """Rule 1.16: -, / and ** have different slopes to the left and to the right."""
    a, b = backend.Value(3.0), backend.Value(2.0)
    (a - b).backward()
    expect("a.grad of a - b", a.grad, 1.0)
    expect("b.grad of a - b", b.grad, -1.0)
    a, b = backend.Value(3.0), backend.Value(2.0)
    (a / b).backward()
    expect("a.grad of a / b", a.grad, 0.5, "1/b")
    expect("b.grad of a / b", b.grad, -0.75, "-a/b²")
    a, b = backend.Value(3.0), backend.Value(2.0)
    (a**b).backward()
    expect("a.grad of a ** b", a.grad, 6.0, "b·a^(b-1)")
    expect("b.grad of a ** b", b.grad, 9.0 * math.log(3.0), "a^b·log(a)")


def test_numbers_on_the_left(backend):
    """Rule 1.16: with a number on the left the slope is that of the right operand."""
    for name, apply, grad in (
        ("5 - v", lambda v: 5 - v, -1.0),
        ("5 + v", lambda v: 5 + v, 1.0),
        ("5 * v", lambda v: 5 * v, 5.0),
        ("12 / v", lambda v: 12 / v, -12.0 / 9.0),
        ("2 ** v", lambda v: 2**v, 5.545177444479562),
    ):
        v = backend.Value(3.0)
        apply(v).backward()
        expect(f"v.grad of {name}", v.grad, grad)


def test_backward_with_a_gradient(backend):
    """Rule 1.10: backward(grad) is grad times as much, on a node and on a leaf."""
    x = backend.Value(3.0)
    (x * x).backward(0.5)
    expect("x.grad", x.grad, 3.0)
    x.backward(grad=2)
    expect("x.grad", x.grad, 5.0, "on a leaf, backward adds grad to its own gradient")
    y = x * 1.0
    y.backward(-1.0)
    expect("y.grad", y.grad, -1.0)


def test_leaves_accumulate_over_calls(backend):
    """Rule 1.10: two losses backward, one after the other, add up in the leaves, as in PyTorch."""
    x = backend.Value(3.0)
    (x * 2.0).backward()
    (x * 5.0).backward()
    expect(
        "x.grad after two graphs",
        x.grad,
        7.0,
        "backward must not set leaves to zero; zero_grad does",
    )


def test_a_second_backward_on_the_same_graph(backend):
    """Rule 1.10: the gradients of all but the leaves start from zero in every call."""
    x = backend.Value(3.0)
    y = x * x
    z = y * x
    z.backward()
    expect("z", z.data, 27.0)
    expect("x.grad of x·x·x", x.grad, 27.0)
    z.backward()
    expect(
        "x.grad after a second call", x.grad, 54.0,
        "the gradients of intermediate nodes must start from zero in each call, those of leaves pile up",
    )  # fmt: skip
    expect("y.grad after a second call", y.grad, 3.0)
    w = z + y
    w.backward()
    expect("z.grad of z + y", z.grad, 1.0, "what an earlier root left in z must not count")


def test_zero_grad(backend):
    """Rule 1.12."""
    x = backend.Value(3.0)
    (x * x).backward()
    x.zero_grad()
    assert x.grad == 0.0
    (x * x).backward()
    expect("x.grad", x.grad, 6.0)


def test_a_gradient_of_exactly_zero_still_flows(backend):
    """Rule 1.17: nothing is skipped because it is zero: 0·inf is nan, as in PyTorch."""
    x = backend.Value(0.0)
    (x.sqrt() * 0.0).backward()
    assert math.isnan(x.grad), f"x.grad of sqrt(x)·0 at 0 is {x.grad!r}, expected nan (0 times inf)"


def test_local_gradients_are_taken_when_backward_is_called(backend):
    """Rule 1.10: data may be changed between forward and backward."""
    a, b = backend.Value(2.0), backend.Value(3.0)
    c = a * b
    b.data = 10.0
    c.backward()
    expect("a.grad", a.grad, 10.0, "the slope to a is b's present data")


def test_order_of_contributions(backend):
    """Rule 1.17: the node made last gives first. Floats do not add up the same in another order."""
    a = backend.Value(1.0)
    small = a * 1.0
    large = a * 1e16
    back = a * -1e16
    (back + small + large).backward()
    # back gives -1e16, then large 1e16, then small 1.0; in another order the 1.0 would be rounded
    # away.
    expect(
        "a.grad", a.grad, 1.0, "nodes give their gradients in the reverse order of their creation"
    )
    a = backend.Value(1.0)
    large = a * 1e16
    small = a * 1.0
    back = a * -1e16
    (small + (large + back)).backward()
    expect("a.grad", a.grad, 0.0, "-1e16 + 1.0 rounds to -1e16, and 1e16 more is 0.0")


def test_the_two_variable_example(backend):
    """The example of micrograd's README, with its numbers."""
    a, b = backend.Value(-4.0), backend.Value(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()
    expect("g", g.data, 24.70408163265306)
    expect("a.grad", a.grad, 138.83381924198252)
    expect("b.grad", b.grad, 645.5772594752187)


def test_another_known_expression(backend):
    """x = -4: y -20, x.grad 46."""
    x = backend.Value(-4.0)
    z = 2 * x + 2 + x
    q = z.relu() + z * x
    h = (z * z).relu()
    y = h + q + q * x
    y.backward()
    expect("y", y.data, -20.0)
    expect("x.grad", x.grad, 46.0)


def test_a_neuron_by_hand(backend):
    """tanh(x1·w1 + x2·w2 + b) with known numbers."""
    x1, x2, w1, w2 = (backend.Value(x) for x in (2.0, 0.0, -3.0, 1.0))
    b = backend.Value(6.8813735870195432)
    o = (x1 * w1 + x2 * w2 + b).tanh()
    o.backward()
    expect("o", o.data, 0.7071067811865476)
    for name, value, grad in (("x1", x1, -1.5), ("w1", w1, 1.0), ("x2", x2, 0.5), ("w2", w2, 0.0)):
        assert close(value.grad, grad, 1e-12, 1e-15), (
            f"{name}.grad is {value.grad!r}, expected {grad}"
        )


def test_a_custom_operation(backend):
    """Rule 1.2: a node with known local gradients."""
    a, b = backend.Value(2.0), backend.Value(3.0)
    y = backend.Value(12.0, (a, b), "a·a·b", label="y", local_grads=(12, 4.0))
    assert y.op == "a·a·b" and y.operands == (a, b) and y.label == "y" and y.data == 12.0
    (y * 2.0).backward()
    expect("a.grad", a.grad, 24.0)
    expect("b.grad", b.grad, 8.0)
    twice = backend.Value(4.0, [a, a], "a + a", local_grads=[1.0, 1.0])
    a.zero_grad()
    twice.backward()
    expect("a.grad", a.grad, 2.0, "an operand given twice gets both contributions")


def test_no_grad(backend):
    """Rule 1.13: inside, results are leaves; outside again, they are not."""
    a = backend.Value(2.0)
    with backend.no_grad():
        inside = (a * 3.0).exp()
        with backend.no_grad():
            pass
        still = a * a
        custom = backend.Value(1.0, (a,), "f", local_grads=(1.0,))
    assert inside.operands == () and inside.op == "" and inside.data == math.exp(6.0), (
        "no_grad records nothing"
    )
    assert still.operands == (), "the end of an inner no_grad does not end the outer one"
    assert custom.operands == (), "a custom operation inside no_grad is a leaf too"
    assert (a * 3.0).operands == (a,), "after the block, operations are recorded again"
    with pytest.raises(KeyError), backend.no_grad():
        raise KeyError
    assert (a * 3.0).operands == (a,), "an exception that leaves the block ends no_grad as well"


def test_leaving_a_no_grad_that_was_never_entered(backend):
    """It ends nothing: neither recording nor the block around it."""
    a = backend.Value(2.0)
    backend.no_grad().__exit__(None, None, None)
    assert (a * 3.0).operands == (a,)
    with backend.no_grad():
        backend.no_grad().__exit__(None, None, None)
        assert (a * 3.0).operands == ()


def test_no_grad_as_a_decorator(backend):
    """Rule 1.13."""

    @backend.no_grad()
    def predict(x, depth=2):
        return predict(x, depth - 1) if depth else x * 3.0

    a = backend.Value(2.0)
    for _ in range(2):
        assert predict(a).operands == ()
        assert (a * 3.0).operands == (a,), (
            "after a decorated function, operations are recorded again"
        )


def test_no_grad_holds_for_its_thread(backend):
    """Rule 1.13: another thread records its graph meanwhile, custom operations too."""
    a, seen = backend.Value(2.0), []

    def compute():
        seen.extend([a * 3.0, backend.Value(1.0, (a,), "f", local_grads=(1.0,))])

    with backend.no_grad():
        thread = threading.Thread(target=compute)
        thread.start()
        thread.join()
    assert [v.operands for v in seen] == [(a,), (a,)], (
        "no_grad is the thread's that entered it: keep its state in a ContextVar"
    )


def test_no_grad_holds_for_its_task(backend):
    """Rule 1.13: another asynchronous task records its graph meanwhile."""
    a = backend.Value(2.0)

    async def without(entered, done):
        with backend.no_grad():
            entered.set()
            await done.wait()
            return a * 3.0

    async def recording(entered, done):
        await entered.wait()
        result = a * 3.0
        done.set()
        return result

    async def both():
        entered, done = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(without(entered, done), recording(entered, done))

    without_graph, with_graph = asyncio.run(both())
    assert without_graph.operands == ()
    assert with_graph.operands == (a,), (
        "no_grad is the task's that entered it: keep its state in a ContextVar"
    )


@pytest.mark.parametrize(
    "how",
    [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_drop_the_history(backend, how):
    """Rule 1.14: data, grad and label are kept."""
    v = backend.Value(2.0) * 3.0
    v.label, v.grad = "v", 0.5
    c = how(v)
    assert type(c) is type(v) and c is not v
    assert (c.data, c.grad, c.label) == (6.0, 0.5, "v"), (
        f"the copy has data {c.data}, grad {c.grad}, label {c.label!r}"
    )
    assert c.operands == () and c.op == "", "a copy is a leaf"
    c.data = 1.0
    assert v.data == 6.0, "the copy is a node of its own"


def test_a_graph_is_freed_when_its_root_goes(backend):
    """Rule 1.11: no reference cycles, so nothing waits for the garbage collector."""
    tag = "".join(["a label", " that is ", "counted"])
    bare = sys.getrefcount(tag)
    was_on = gc.isenabled()
    gc.disable()
    try:
        a = backend.Value(2.0)
        inner = a * 3.0
        inner.label = tag
        root = (inner + a).tanh()
        root.backward()
        assert sys.getrefcount(tag) > bare
        del inner, root
        left = sys.getrefcount(tag) - bare
    finally:
        if was_on:
            gc.enable()
    assert left == 0, (
        "the graph outlives its root: something refers back to it (a closure per node that names its own "
        "node, or a tape that holds every node)"
    )


def test_deeper_than_recursion_goes(backend):
    """Rule 1.11: a chain of 50,000 nodes."""
    a = backend.Value(1.0)
    v = a
    for _ in range(50_000):
        v = v + 1.0
    v.backward()
    expect("a.grad", a.grad, 1.0)
    del v


@pytest.mark.parametrize("case", of_chapter("backward"), ids=str)
def test_refuses(backend, case):
    """Bad input is answered with the error that the interface names, and says what came."""
    check_refusal(backend, case)
