"""Functions of many Values: dot products, softmax and its kin, attention, losses."""

import itertools
import math

import pytest

from cases.bad_inputs import of_chapter
from cases.numbers import all_close, close, floats, nested, worst
from cases.refusals import check_refusal
from reference import torch

F = torch.nn.functional

W, X = (0.5, -1.5, 2.0), (3.0, 0.25, -0.75)
ROWS = ((1.0, -2.0, 0.5), (0.1, 0.2, 0.3))
LARGE = (1000.0, 1001.0, 1002.0)


def expect(what, got, expected, rtol=1e-12, atol=1e-16):
    assert all_close(got, expected, rtol, atol), f"{what}: {worst(got, expected)}"


def values(backend, numbers):
    """Numbers, however nested, as Values in lists."""
    if isinstance(numbers, float | int):
        return backend.Value(numbers)
    return [values(backend, part) for part in numbers]


def grads(of):
    return [grads(part) for part in of] if isinstance(of, list) else of.grad


def tensor(numbers, grad=True):
    return torch.tensor(numbers, dtype=torch.float64, requires_grad=grad)


def seeds(shape):
    """Different gradients for the outputs, so that one mistaken for another is seen."""
    if not shape:
        return 0.7
    return [seeds(shape[1:]) if len(shape) > 1 else 0.7 - 0.3 * i for i in range(shape[0])]


def agrees_with_pytorch(backend, ours, theirs, *inputs, as_vectors=False):
    """Value and all gradients of ours(*inputs) and theirs(*inputs), from lists of Values or
    Vectors.
    """
    make = (lambda x: backend.Vector(x)) if as_vectors else (lambda x: values(backend, x))
    leaves = [make(x) for x in inputs]
    tensors = [tensor(x) for x in inputs]
    y, u = ours(*leaves), theirs(*tensors)
    expect("the value", y.data, u.tolist())
    seed = seeds(u.shape)
    y.backward(seed)
    u.backward(torch.tensor(seed, dtype=torch.float64))
    for place, (leaf, t) in enumerate(zip(leaves, tensors, strict=True)):
        got = leaf.grad if as_vectors else grads(leaf)
        expect(f"the gradient to argument {place + 1}", got, t.grad.tolist(), atol=1e-15)


def are_operands(backend, y, expected):
    """Whether the Values that y was computed from are those, in this order."""
    if not backend.arrays:
        return y.operands == tuple(expected)
    # With the tensor extension the operands may be arrays; traced, their elements are the Values.
    nodes, _ = backend.trace(y, fused=True)
    return [n for n in nodes if isinstance(n, backend.Value) and not n.operands] == list(expected)


either = pytest.mark.parametrize("as_vectors", [False, True], ids=["lists of Values", "Vectors"])


def test_dot(backend):
    """Rule 2.1: b + w·x in one node."""
    w, x, b = values(backend, W), values(backend, X), backend.Value(0.5)
    y = backend.dot(w, x, b)
    expect("dot", y.data, 0.5 + 1.5 - 0.375 - 1.5)
    assert y.op == "dot" and are_operands(backend, y, (*w, *x, b)), (
        "operands are the weights, the inputs, the bias"
    )
    y.backward(2.0)
    expect("gradient to the weights", grads(w), [2 * v for v in X])
    expect("gradient to the inputs", grads(x), [2 * v for v in W])
    expect("gradient to the bias", b.grad, 2.0)


def test_dot_of_values_and_numbers(backend):
    """Rule 2.1: operands are the Values among the arguments."""
    w = [backend.Value(2.0), 3, backend.Value(4.0)]
    y = backend.dot(w, [10.0, 100.0, 1000.0])
    assert y.data == 4320.0 and are_operands(backend, y, (w[0], w[2]))
    y.backward()
    assert (w[0].grad, w[2].grad) == (10.0, 1000.0)
    assert backend.dot([1.0, 2.0], [3.0, 4.0]).data == 11.0
    assert backend.dot([], []).data == 0.0
    b = backend.Value(3.0)
    assert backend.dot([], [], b).data == 3.0


def test_dot_of_a_value_with_itself(backend):
    """Rule 2.2: x·x gives to x twice an element."""
    x = values(backend, X)
    backend.dot(x, x).backward()
    expect("gradient", grads(x), [2 * v for v in X])


def test_dot_of_a_value_with_several_numbers(backend):
    """Rules 1.17 and 2.2: it is given the last product's gradient first."""
    a = backend.Value(2.0)
    backend.dot([a, a, a], [1.0, 1e16, -1e16]).backward()
    assert backend.arrays or a.grad == 1.0, f"a.grad is {a.grad!r}: (-1e16 + 1e16) + 1.0 is 1.0"


def test_dot_is_the_sum_of_its_products(backend):
    """Rules 2.1 and 2.2: value and gradients are those of ((b + w0·x0) + w1·x1) + …"""
    numbers = (0.1, -7.3, 1e-3, 2.5) if backend.arrays else (1e16, 1.0, -1e16, 0.1)
    w, x, b = values(backend, numbers), values(backend, (1.0, 1.0, 1.0, 0.3)), backend.Value(0.7)
    u, z, c = values(backend, numbers), values(backend, (1.0, 1.0, 1.0, 0.3)), backend.Value(0.7)
    total = c
    for ui, zi in zip(u, z, strict=True):
        total = total + ui * zi
    y = backend.dot(w, x, b)
    y.backward(0.1)
    total.backward(0.1)
    got, expected = [y.data, *grads([*w, *x, b])], [total.data, *grads([*u, *z, c])]
    if backend.arrays:
        expect("dot", got, expected)
    else:
        assert got == expected, (
            f"dot is {y.data!r}, one by one it is {total.data!r}: add from left to right, bias first"
        )


def test_concatenate(backend):
    """Rule 2.9: one Vector of the elements of several sequences; no operation of its own."""
    a, b = backend.Vector([1.0, 2.0]) * 2.0, backend.Vector([3.0])
    c = backend.concatenate([a, b, b])
    assert isinstance(c, backend.Vector) and floats(c) == [2.0, 4.0, 3.0, 3.0]
    (c * [1.0, 2.0, 3.0, 4.0]).sum().backward()
    assert floats(a.grad) == [1.0, 2.0] and floats(b.grad) == [7.0]
    nodes, _ = backend.trace(c[1])
    assert [n.op for n in nodes] == ["", "* 2.0"], "it makes no node of its own"


def test_concatenate_rows(backend):
    """Rule 3.2: the elements of Vectors of rows are the rows."""
    a = backend.Vector([[1.0, 2.0], [3.0, 4.0]])
    c = backend.concatenate([a, [[5.0, 6.0]]])
    (c * c).sum().backward()
    assert [list(map(float, row)) for row in c.data] == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert [list(map(float, row)) for row in a.grad] == [[2.0, 4.0], [6.0, 8.0]]


@pytest.mark.pytorch
@either
def test_linear(backend, as_vectors):
    """Rule 2.4: one dot a row of weight."""
    agrees_with_pytorch(
        backend, backend.linear, F.linear, X, ROWS, (0.5, -0.5), as_vectors=as_vectors
    )
    agrees_with_pytorch(backend, backend.linear, F.linear, X, ROWS, as_vectors=as_vectors)


@pytest.mark.pytorch
@either
def test_linear_of_a_batch(backend, as_vectors):
    """Rule 2.4: x may be a batch."""
    batch = (X, W, (1.0, 2.0, 3.0), (0.0, 0.0, 0.0))
    agrees_with_pytorch(
        backend, backend.linear, F.linear, batch, ROWS, (0.5, -0.5), as_vectors=as_vectors
    )


def test_linear_without_weights(backend):
    """Rule 2.4: no row of weight, no output."""
    assert len(backend.linear([1.0, 2.0], [])) == 0
    assert [len(y) for y in backend.linear([[1.0, 2.0]], [], [])] == [0]


def rms(x):
    return F.rms_norm(x, (x.shape[-1],))


OVER_A_SEQUENCE = {
    "softmax": lambda x: F.softmax(x, dim=-1),
    "log_softmax": lambda x: F.log_softmax(x, dim=-1),
    "logsumexp": lambda x: torch.logsumexp(x, dim=-1),
    "rms_norm": rms,
    "mean": torch.mean,
}


@pytest.mark.pytorch
@either
@pytest.mark.parametrize("name", OVER_A_SEQUENCE)
@pytest.mark.parametrize(
    "numbers", [X, (0.3,), (2.0, 2.0, 2.0), LARGE, (-1000.0, 0.0, 1.0), (1e-3, -1e-3)], ids=str
)
def test_over_a_sequence(backend, name, numbers, as_vectors):
    """Rule 2.5: softmax, log_softmax, logsumexp, rms_norm, mean; stable at any finite input."""
    agrees_with_pytorch(
        backend, getattr(backend, name), OVER_A_SEQUENCE[name], numbers, as_vectors=as_vectors
    )


@pytest.mark.pytorch
@either
@pytest.mark.parametrize("name", OVER_A_SEQUENCE)
def test_over_rows(backend, name, as_vectors):
    """Rule 2.5: a Vector of Vectors row by row; mean averages all scalars."""
    agrees_with_pytorch(
        backend, getattr(backend, name), OVER_A_SEQUENCE[name], ROWS, as_vectors=as_vectors
    )


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "rms_norm", "logsumexp", "mean"])
def test_one_operation_each(backend, name):
    """Rule 2.5: each element is one operation of that name, with all Values as its operands."""
    x = [backend.Value(1.0), 2.0, backend.Value(3.0)]
    y = getattr(backend, name)(x)
    for element in [y] if name in ("logsumexp", "mean") else list(y):
        assert isinstance(element, backend.Value)
        nodes, _ = backend.trace(element)
        assert [n.op for n in nodes] == ["", "", name], (
            f"the operations are {[n.op for n in nodes]}"
        )
        assert element.op == name and are_operands(backend, element, (x[0], x[2]))


def test_known_values(backend):
    """Known values of logsumexp and cross_entropy."""
    expect("logsumexp([1000, 1001, 1002])", backend.logsumexp(LARGE).data, 1002.4076059644444)
    x = values(backend, (1.0, 2.0, 3.0))
    loss = backend.cross_entropy(x, 0)
    expect("cross_entropy([1, 2, 3], class 0)", loss.data, 2.40760596444438)
    loss.backward()
    expect("its gradient", grads(x), [-0.9099694268296196, 0.24472847105479764, 0.6652409557748219])


AT_THE_EDGES = {
    "softmax": (lambda m, v: m.softmax(v), lambda t: F.softmax(t, 0)),
    "log_softmax": (lambda m, v: m.log_softmax(v), lambda t: F.log_softmax(t, 0)),
    "logsumexp": (lambda m, v: m.logsumexp(v), lambda t: torch.logsumexp(t, 0)),
    "rms_norm": (lambda m, v: m.rms_norm(v), lambda t: F.rms_norm(t, t.shape)),
    "mean": (lambda m, v: m.mean(v), lambda t: t.mean()),
    "sum": (lambda m, v: v.sum(), lambda t: t.sum()),
    "max": (lambda m, v: v.max(), lambda t: t.amax()),
    "min": (lambda m, v: v.min(), lambda t: t.amin()),
    "dot": (lambda m, v: m.dot(v, (2.0, 0.0)), lambda t: t @ tensor((2.0, 0.0), False)),
    "mse_loss": (
        lambda m, v: m.mse_loss(v, (0.5, 2.0)),
        lambda t: F.mse_loss(t, tensor((0.5, 2.0))),
    ),
    "hinge_loss": (
        lambda m, v: m.hinge_loss(v, (1, -1)),
        lambda t: torch.relu(1 - tensor((1.0, -1.0), False) * t).mean(),
    ),
    "binary_cross_entropy_with_logits": (
        lambda m, v: m.binary_cross_entropy_with_logits(v, (1, 0)),
        lambda t: F.binary_cross_entropy_with_logits(t, tensor((1.0, 0.0), False)),
    ),
    "cross_entropy": (
        lambda m, v: m.cross_entropy(v, 1),
        lambda t: F.cross_entropy(t, torch.tensor(1)),
    ),
}


@pytest.mark.pytorch
@pytest.mark.parametrize("name", AT_THE_EDGES)
def test_agrees_with_pytorch_at_the_edges(backend, name):
    """Sections 1b and 2: infinities, nan, zeros of both signs, denormal and huge numbers, ties."""
    ours, theirs = AT_THE_EDGES[name]
    edges = (0.0, -0.0, 1.0, math.inf, -math.inf, math.nan, 5e-324, 1e-310, 1e150, -1e150)
    for numbers in itertools.product(edges, repeat=2):
        v, t = backend.Vector(numbers), tensor(numbers)
        y, u = ours(backend, v), theirs(t)
        y.backward()
        u.backward(torch.ones_like(u))
        expect(f"{name}{numbers}", y.data, u.tolist())
        expect(f"the gradient of {name}{numbers}", v.grad, t.grad.tolist(), atol=1e-15)


@either
def test_digits_beside_a_logit_far_above_all_others(backend, as_vectors):
    """Rule 1.16: what is left of a loss beside a 1 is not rounded away, as PyTorch's is."""
    x = (backend.Vector if as_vectors else list)([-60.0, 0.0, -40.0])
    small = 4.2483542640481e-18  # log(1 + e^-40 + e^-60), computed with mpmath
    assert close(backend.logsumexp(x).data, small, 1e-15)
    assert close(floats(backend.log_softmax(x))[1], -small, 1e-15)
    assert close(backend.cross_entropy(x, 1).data, small, 1e-15)
    assert close(floats(backend.logsumexp([x, [3.0, 3.0, 3.0]]))[0], small, 1e-15)
    assert close(backend.cross_entropy([x, x], [1, 1]).data, small, 1e-15)


def test_a_slope_too_large_for_a_float_is_inf(backend):
    """Rules 1.10 and 1.16: slopes are taken at the data of now, and never raise."""
    x = backend.Value(0.0)
    y = backend.logsumexp([x, 1.0])
    x.data = 1000.0
    y.backward()
    if not backend.arrays:  # which gather the scalars of a list when they are given
        assert x.grad == math.inf


def test_softmax_sums_to_one(backend):
    """Rule 2.5, also where every term would overflow."""
    for numbers in (X, LARGE, (-1e5, -1e5)):
        assert close(sum(floats(backend.softmax(numbers))), 1.0)


@pytest.mark.pytorch
def test_rms_norm_with_eps(backend):
    """Rule 2.5: eps is added to the mean square."""
    agrees_with_pytorch(
        backend, lambda x: backend.rms_norm(x, 0.1), lambda x: F.rms_norm(x, (3,), eps=0.1), X
    )
    agrees_with_pytorch(backend, backend.rms_norm, rms, (0.0, 0.0))


def attention(q, k, v):
    return F.softmax(k @ q / math.sqrt(len(q)), dim=0) @ v


@pytest.mark.pytorch
@either
def test_attention(backend, as_vectors):
    """Rule 2.6: one query over keys and values."""
    keys, vectors = ((1.0, 0.5, -1.0), (0.0, 2.0, 1.0)), ((1.0, 2.0), (-3.0, 0.5))
    agrees_with_pytorch(
        backend,
        backend.scaled_dot_product_attention,
        attention,
        X,
        keys,
        vectors,
        as_vectors=as_vectors,
    )
    q, k, v = tensor([X], False), tensor(keys, False), tensor(vectors, False)
    expect(
        "PyTorch's own",
        backend.scaled_dot_product_attention(X, keys, vectors),
        F.scaled_dot_product_attention(q, k, v),
    )


def test_attention_is_one_operation(backend):
    """Rule 2.6: each element is one operation; its operands are the query, the keys, the values."""
    q, k, v = (
        values(backend, (1.0, 2.0)),
        values(backend, ((1.0, 0.0), (0.0, 1.0))),
        values(backend, ((5.0,), (6.0,))),
    )
    y = backend.scaled_dot_product_attention(q, k, v)
    assert len(y) == 1 and y[0].op == "scaled_dot_product_attention"
    assert y[0].operands == (*q, *k[0], *k[1], *v[0], *v[1])


def bce(x, t):
    return F.binary_cross_entropy_with_logits(x, t)


LOGITS, TARGETS = (0.3, -2.0, 5.0, 700.0), (1.0, 0.0, 0.25, 0.0)


@pytest.mark.pytorch
@either
def test_mse_loss(backend, as_vectors):
    """Rule 2.7: the mean of the squared differences; targets may be Values."""
    agrees_with_pytorch(backend, backend.mse_loss, F.mse_loss, X, W, as_vectors=as_vectors)
    agrees_with_pytorch(
        backend,
        backend.mse_loss,
        F.mse_loss,
        ROWS,
        ((0.0, 1.0, 2.0), (3.0, 4.0, 5.0)),
        as_vectors=as_vectors,
    )


@pytest.mark.pytorch
@either
def test_binary_cross_entropy(backend, as_vectors):
    """Rule 2.7: stable at any finite logit, targets between 0 and 1."""
    agrees_with_pytorch(
        backend,
        lambda x: backend.binary_cross_entropy_with_logits(x, TARGETS),
        lambda x: bce(x, tensor(TARGETS, False)),
        LOGITS,
        as_vectors=as_vectors,
    )
    loss = backend.binary_cross_entropy_with_logits([-1e300, 1e300], [0, 1])
    assert loss.data == 0.0


@pytest.mark.pytorch
@either
def test_hinge_loss(backend, as_vectors):
    """Rule 2.7: mean of max(0, 1 - y·s); exactly at the kink the slope is 0, as relu's."""
    labels = (1.0, -1.0, 1.0, 1, -1)
    agrees_with_pytorch(
        backend,
        lambda s: backend.hinge_loss(s, labels),
        lambda s: torch.relu(1 - tensor(labels, False) * s).mean(),
        (0.5, 3.0, -0.25, 1.0, -1.0),
        as_vectors=as_vectors,
    )


@pytest.mark.pytorch
@either
def test_cross_entropy(backend, as_vectors):
    """Rule 2.7: a batch of logits and class indices, or one sample and one index."""
    agrees_with_pytorch(
        backend,
        lambda x: backend.cross_entropy(x, [2, 0, 1]),
        lambda x: F.cross_entropy(x, torch.tensor([2, 0, 1])),
        (X, LARGE, (-1000.0, 0.0, 1.0)),
        as_vectors=as_vectors,
    )
    agrees_with_pytorch(
        backend,
        lambda x: backend.cross_entropy(x, 1),
        lambda x: F.cross_entropy(x, torch.tensor(1)),
        X,
        as_vectors=as_vectors,
    )


def test_losses_are_one_operation_each(backend):
    """Rule 2.7: named so, with the Values among the arguments as operands, in order."""
    a, b, t = backend.Value(0.5), backend.Value(0.25), backend.Value(1.0)
    for name, loss, operands in (
        ("mse_loss", backend.mse_loss([a, 2.0, b], [1.0, t, 0.0]), (a, b, t)),
        ("hinge_loss", backend.hinge_loss([a, b], [1, -1]), (a, b)),
        (
            "binary_cross_entropy_with_logits",
            backend.binary_cross_entropy_with_logits([a, b], [1, 0]),
            (a, b),
        ),
        ("cross_entropy", backend.cross_entropy([[a, b, 1.0]], [2]), (a, b)),
    ):
        assert loss.op == name, f"op is {loss.op!r}, expected {name!r}"
        assert are_operands(backend, loss, operands), f"operands of {name} are {loss.operands!r}"


def test_a_single_value_is_a_sequence_of_one(backend):
    """Rule 2.7: the output of a model with one output, and its one label."""
    for name, target in (
        ("mse_loss", 1.0),
        ("hinge_loss", 1),
        ("binary_cross_entropy_with_logits", 1),
    ):
        one, many = backend.Value(0.3), backend.Value(0.3)
        y, z = getattr(backend, name)(one, target), getattr(backend, name)([many], [target])
        y.backward()
        z.backward()
        assert (y.data, one.grad) == (z.data, many.grad), f"{name} of a single Value"


def test_numbers_alone(backend):
    """Section 2: sequences of numbers are taken too; the results are Values."""
    assert isinstance(backend.dot([1.0], [2.0]), backend.Value)
    assert isinstance(backend.softmax([1.0, 2.0])[0], backend.Value)
    assert backend.mse_loss([1, 2], [0, 0]).data == 2.5
    assert nested(backend.linear([1, 2], [[1, 0], [0, 1]]).data) == [1.0, 2.0]


@pytest.mark.pytorch
def test_gradients_of_outputs_add_up(backend):
    """Rule 2.8: the gradients of the operands come from all outputs together."""
    x = values(backend, X)
    p = backend.softmax(x)
    (p[0] * 3.0 + p[2] + p[0] * p[1]).backward()
    t = tensor(X)
    q = F.softmax(t, dim=0)
    (q[0] * 3.0 + q[2] + q[0] * q[1]).backward()
    expect("gradient", grads(x), t.grad.tolist())
    x = values(backend, X)
    backend.softmax(x)[1].backward()
    t = tensor(X)
    F.softmax(t, dim=0)[1].backward()
    expect("gradient of one output", grads(x), t.grad.tolist())


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "rms_norm", "mean"])
def test_what_comes_from_a_generator(backend, name):
    """Rule 2.5: the numbers may come one by one."""
    function = getattr(backend, name)
    got, expected = function(x / 2.0 for x in range(4)), function([0.0, 0.5, 1.0, 1.5])
    assert floats(got) == floats(expected)


def test_losses_and_linear_of_a_generator(backend):
    """Rules 2.4 and 2.7: the same of these."""
    numbers = [0.0, 0.5]
    assert floats(backend.linear((x for x in numbers), [[1.0, 2.0]])) == [1.0]
    for name in ("mse_loss", "binary_cross_entropy_with_logits"):
        loss = getattr(backend, name)
        assert loss((x for x in numbers), (x for x in numbers)).data == loss(numbers, numbers).data
    rows = [[0.5, 1.5], [2.5, 1.0]]
    loss = backend.cross_entropy((row for row in rows), [1, 0])
    assert loss.data == backend.cross_entropy(rows, [1, 0]).data


def test_rms_norm_without_eps(backend):
    """Rule 2.5: an eps of 0 is allowed."""
    assert floats(backend.rms_norm([3.0, 3.0], 0.0)) == [1.0, 1.0]


@pytest.mark.pytorch
def test_logsumexp_of_infinities(backend):
    """Rule 2.5: as in PyTorch."""
    for xs in ([-math.inf, -math.inf], [math.inf, 1.0], [math.inf, math.inf], [-math.inf, 2.0]):
        expected = torch.logsumexp(torch.tensor(xs, dtype=torch.float64), 0).item()
        assert backend.logsumexp(xs).data == expected


def test_no_grad(backend):
    """Rule 1.13."""
    x = values(backend, X)
    with backend.no_grad():
        results = [
            backend.dot(x, x),
            backend.softmax(x)[0],
            backend.mse_loss(x, W),
            backend.linear(x, [x])[0],
        ]
    assert all(y.operands == () for y in results)


@pytest.mark.parametrize("case", of_chapter("functional"), ids=str)
def test_refuses(backend, case):
    """Bad input is answered with the error that the interface names, and says what came."""
    check_refusal(backend, case)
