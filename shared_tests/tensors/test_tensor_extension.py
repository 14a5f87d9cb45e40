"""The tensor extension, rules 6.1 to 6.3: arrays and their gradients against PyTorch."""

import copy
import itertools
import math
import pickle
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cases.contract import ACTIVATIONS
from cases.exact import FUNCTIONS, TORCH_ACTIVATIONS
from numpy_vectorized import (
    MLP,
    SGD,
    Adam,
    AdamW,
    Layer,
    Neuron,
    Tape,
    Value,
    Vector,
    backward_steps,
    binary_cross_entropy_with_logits,
    concatenate,
    cross_entropy,
    diagnose,
    dot,
    gradcheck,
    hinge_loss,
    linear,
    log_softmax,
    logsumexp,
    mse_loss,
    no_grad,
    rms_norm,
    scaled_dot_product_attention,
    softmax,
    stack,
    trace,
    where,
)

RELATIVE = 1e-12

each_function = pytest.mark.parametrize("function", FUNCTIONS, ids=str)


def numbers(shape, low=-2.0, high=2.0, seed=0):
    """Distinct numbers between low and high, none of them at a kink."""
    rng = np.random.default_rng(seed + 7 * len(shape))
    return rng.uniform(low, high, size=shape)


def expect(got, wanted, what="", rtol=RELATIVE):
    wanted = np.asarray(wanted)
    assert np.shape(got) == wanted.shape, (
        f"{what}: shape {np.shape(got)}, PyTorch has {wanted.shape}"
    )
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=1e-14, err_msg=what)


def agrees(ours, theirs, *inputs):
    """Value and gradients of ours(*inputs) and theirs(*inputs), from a gradient that is not all ones."""
    leaves = [Value(x) for x in inputs]
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    y, u = ours(*leaves), theirs(*tensors)
    expect(y.data, u.detach().numpy(), "value")
    seed = numbers(u.shape, seed=99)
    y.backward(seed if u.ndim else float(seed))
    u.backward(torch.tensor(seed, dtype=torch.float64).reshape(u.shape))
    for i, (leaf, t) in enumerate(zip(leaves, tensors, strict=True)):
        grad = np.zeros(t.shape) if t.grad is None else t.grad.numpy()
        expect(leaf.grad, grad, f"gradient to argument {i + 1}")


# Elementwise ---------------------------------------------------------------------------------

SHAPES = [(3,), (1,), (0,), (2, 3), (1, 3), (2, 1), (0, 3), (2, 0), (2, 3, 4), (1, 1, 1), (3, 1, 2)]
PAIRS = [
    ((3,), (3,)),
    ((3,), (1,)),
    ((1,), (1,)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((2, 3), (1, 3)),
    ((2, 3), (2, 1)),
    ((2, 1), (1, 3)),
    ((2, 3), (1, 1)),
    ((2, 3), ()),
    ((), (2, 3)),
    ((4, 1, 3), (2, 1)),
    ((3, 1, 4), (5, 3, 2, 1)),
    ((0,), (1,)),
    ((0,), ()),
    ((2, 0), (2, 1)),
    ((0, 3), (3,)),
    ((1, 3), (0, 1)),
]
# Where the numbers of a function come from, if not from the interval of -2 to 2.
INTERVALS = {
    "log": (0.1, 3),
    "log1p": (-0.9, 3),
    "sqrt": (0.1, 3),
    "tan": (-1, 1),
    "asin": (-0.9, 0.9),
    "acos": (-0.9, 0.9),
    "acosh": (1.1, 3),
    "atanh": (-0.9, 0.9),
    "erf": (-3, 3),
    "sigmoid": (-9, 9),
    "softplus": (-5, 5),
    "gelu": (-2, 5),
    "silu": (-5, 5),
}
BINARY = {
    "+": (lambda a, b: a + b, None),
    "-": (lambda a, b: a - b, None),
    "*": (lambda a, b: a * b, None),
    "/": (lambda a, b: a / b, None),
    "**": (lambda a, b: a**b, None),
    "maximum": (lambda a, b: a.maximum(b), torch.maximum),
    "minimum": (lambda a, b: a.minimum(b), torch.minimum),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@each_function
def test_functions(function, shape):
    agrees(function.ours, function.torch, numbers(shape, *INTERVALS.get(function.name, (-2, 2))))


@pytest.mark.parametrize("shapes", PAIRS, ids=lambda pair: f"{pair[0]} with {pair[1]}")
@pytest.mark.parametrize("name", BINARY)
def test_operators_broadcast(name, shapes):
    """Both gradients are summed over what was broadcast, also over axes of size 1 and 0."""
    ours, theirs = BINARY[name]
    a, b = (numbers(shape, 0.5, 2.0, seed=i) for i, shape in enumerate(shapes))
    agrees(ours, theirs or ours, a, b)


@pytest.mark.parametrize("name", ["+", "-", "*", "/", "**"])
@pytest.mark.parametrize("make", [np.asarray, lambda x: x.tolist()], ids=["ndarray", "list"])
@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 3))], ids=str)
def test_constants_on_either_side(name, make, shapes):
    """An array or a list beside a Value is a constant, wherever it stands."""
    operator, _ = BINARY[name]
    x, c = numbers(shapes[0], 0.5, 2.0), numbers(shapes[1], 0.5, 2.0, seed=1)
    t = torch.tensor(c)
    agrees(lambda v: operator(v, make(c)), lambda v: operator(v, t), x)
    agrees(lambda v: operator(make(c), v), lambda v: operator(t, v), x)


def test_constant_beside_a_scalar():
    """A scalar Value broadcasts against an ndarray."""
    c = numbers((2, 3))
    agrees(lambda v: c * v + v, lambda v: torch.tensor(c) * v + v, np.array(1.5))


@each_function
def test_functions_at_the_edges(function):
    """An array follows NumPy where a scalar raises: inf and nan, and no warning."""
    name, ours = function.name, function.ours
    x = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 5e-324])
    v = Value(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = ours(v)
        y.backward()
    for i, number in enumerate(x.tolist()):
        scalar = Value(number)
        try:
            single = ours(scalar)
        except (ArithmeticError, ValueError):
            assert not math.isfinite(y.data[i]), f"{name}({number}) of an array is {y.data[i]}"
            continue
        single.backward()
        for what, got, wanted in (
            ("value", y.data[i], single.data),
            ("slope", v.grad[i], scalar.grad),
        ):
            expect(got, wanted, f"{what} of {name} at {number}")


def test_operators_at_the_edges():
    """Every pair of special numbers gives in an array what it gives as scalars, where those do."""
    special = [0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -2.5, math.inf, -math.inf, math.nan]
    a, b = (x.ravel() for x in np.meshgrid(special, special))
    for name, (operator, _) in BINARY.items():
        v, w = Value(a), Value(b)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            y = operator(v, w)
            y.backward()
        for i, pair in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
            p, q = map(Value, pair)
            try:
                single = operator(p, q)
            except (ArithmeticError, ValueError):
                assert not math.isfinite(y.data[i]), f"{pair[0]} {name} {pair[1]}"
                continue
            single.backward()
            got = y.data[i], v.grad[i], w.grad[i]
            expect(got, (single.data, p.grad, q.grad), f"{pair[0]} {name} {pair[1]}")


def test_gelu_in_the_tail():
    """The far tail keeps its digits: gelu(-20) is no zero."""
    x = np.linspace(-37.0, -5.0, 200)
    wanted = [0.5 * t * math.erfc(-t / math.sqrt(2)) for t in x.tolist()]
    expect(Value(x).gelu().data / wanted, np.ones(200), rtol=1e-11)


@pytest.mark.parametrize(("name", "left", "right"), [("gelu", -13.0, -0.1), ("silu", -91.5, -80.0)])
def test_tails_in_single_precision(name, left, right):
    """Rounded once from what float64 gives, or nearly so."""
    x = np.linspace(left, right, 300, dtype=np.float32)
    exact = getattr(Value(x.astype(np.float64)), name)().data
    got = getattr(Value(x, dtype="float32"), name)().data
    expect(got / exact, np.ones(300), rtol=5e-7)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"a Vector of 3 and one of 2 cannot be combined"):
        Value([1.0, 2.0, 3.0]) + Value([1.0, 2.0])
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(2,\) cannot be combined"):
        Value(np.ones((2, 3))) * np.ones(2)


def test_one_operand_twice():
    x = numbers((2, 3))
    agrees(lambda v: v * v + v + v, lambda v: v * v + v + v, x)
    agrees(lambda v: v * v.T, lambda v: v * v.T, numbers((3, 3)))


# Reductions ----------------------------------------------------------------------------------

AXES = [None, 0, 1, -1, (0, 1), (0, 2), (0, 1, 2)]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 3, 1), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
def test_reductions(name, shape, axis, keepdims):
    theirs = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin}[name]
    dims = tuple(range(3)) if axis is None else axis
    agrees(
        lambda v: getattr(v, name)(axis=axis, keepdims=keepdims),
        lambda v: theirs(v, dim=dims, keepdim=keepdims),
        numbers(shape),
    )


@pytest.mark.parametrize(
    "shape,axis", [((0,), None), ((2, 0), 1), ((2, 0), 0), ((0, 3), 1)], ids=str
)
def test_sum_over_empty_axes(shape, axis):
    agrees(
        lambda v: v.sum(axis),
        lambda v: v.sum() if axis is None else v.sum(axis),
        numbers(shape),
    )


def test_mean_of_nothing():
    """Of nothing at all an error, along an empty axis nan, as in PyTorch."""
    for name in ("mean", "max", "min"):
        with pytest.raises(ValueError, match=name):
            getattr(Value(np.zeros((2, 0))), name)()
    assert Value(np.zeros((0, 3))).sum(1).shape == (0,)


def test_ties_share():
    x = np.array([[3.0, 1.0, 3.0], [2.0, 2.0, 2.0]])
    agrees(lambda v: v.max(1), lambda v: torch.amax(v, 1), x)
    agrees(lambda v: v.min(), lambda v: torch.amin(v, (0, 1)), x)


def test_nan_in_max():
    assert math.isnan(Value([1.0, math.nan, 2.0]).max().data)


def test_wrong_axis():
    with pytest.raises(ValueError, match="axis 2"):
        Value(np.ones((2, 3))).sum(2)


# Matrices ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shapes",
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((2, 3), (3, 4)),
        ((1, 3), (3, 1)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((5, 1, 2, 3), (6, 3, 4)),
        ((3,), (5, 3, 4)),
        ((5, 2, 3), (3,)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((0,), (0,)),
    ],
    ids=str,
)
def test_matmul(shapes):
    a, b = (numbers(shape, seed=i) for i, shape in enumerate(shapes))
    agrees(lambda v, w: v @ w, lambda v, w: v @ w, a, b)
    agrees(lambda v: v @ b, lambda v: v @ torch.tensor(b), a)
    agrees(lambda w: a @ w, lambda w: torch.tensor(a) @ w, b)


def test_matmul_of_wrong_sizes():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 3\)"):
        Value(np.ones((2, 3))) @ Value(np.ones((2, 3)))


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)], ids=str)
def test_linear(shape):
    x, w, b = numbers(shape), numbers((4, 3), seed=1), numbers((4,), seed=2)
    agrees(linear, F.linear, x, w, b)
    agrees(linear, F.linear, x, w)


# Shape ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ours",
    [
        lambda v: v.reshape(6) * 2.0,
        lambda v: v.reshape((3, -1)).tanh(),
        lambda v: v.T.reshape(6).tanh(),
        lambda v: (v * 1.0).T.reshape(2, 3).tanh(),
        lambda v: v.T * 3.0,
        lambda v: v.T,
        lambda v: v[1],
        lambda v: v[1] * v[0],
        lambda v: v[-1, 2] * v[0, 0],
        lambda v: v[1, 2],
        lambda v: v[:, 1] * v[:, 0],
        lambda v: v[:, ::-1].tanh(),
        lambda v: v[::-1][0] * v,
        lambda v: v[0:1] + v,
        lambda v: v[None, :, 1],
        lambda v: v[..., 2],
        lambda v: v[2:] * 1.0,
        lambda v: v[[0, 1, 1, 0]] * 2.0,
        lambda v: v[:, [2, 2]].exp(),
        lambda v: v[[0, 1], [2, 2]].exp(),
        lambda v: v[np.array([[0, 1], [1, 1]])].sum(0),
        lambda v: v[np.array([True, False])] * v[1],
        lambda v: (v * 2.0)[0] * (v * 2.0)[1],
        lambda v: (v.exp()[1:] * 2.0)[0, 1:],
    ],
)
def test_moving_elements(ours):
    """Reshaped, transposed, indexed: the gradient finds its way back, from a leaf or a result."""

    def theirs(v):
        return ours(Shim(v)).tensor

    agrees(ours, theirs, numbers((2, 3)))
    agrees(lambda v: ours(v * 1.5 + v), lambda v: theirs(v * 1.5 + v), numbers((2, 3)))


class Shim:
    """A tensor that can be indexed with negative steps, as PyTorch's own cannot."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __getitem__(self, key):
        parts = key if isinstance(key, tuple) else (key,)
        axis = 0
        for part in parts:
            if isinstance(part, slice) and part.step == -1:
                return Shim(self.tensor.flip(axis))
            axis += part is not None
        return Shim(self.tensor[key])

    def __getattr__(self, name):
        return lambda *args: Shim(getattr(self.tensor, name)(*args))

    @property
    def T(self):
        return Shim(self.tensor.T)

    def __mul__(self, other):
        return Shim(self.tensor * (other.tensor if isinstance(other, Shim) else other))

    def __add__(self, other):
        return Shim(self.tensor + (other.tensor if isinstance(other, Shim) else other))


def test_transpose_of_three_axes():
    x = numbers((2, 3, 4))
    agrees(lambda v: v.transpose(1, 0, 2) * 2.0, lambda v: v.permute(1, 0, 2) * 2.0, x)
    agrees(lambda v: v.transpose((2, 0, 1)).exp(), lambda v: v.permute(2, 0, 1).exp(), x)
    agrees(lambda v: v.T, lambda v: v.permute(2, 1, 0), x)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concatenate_and_stack(axis):
    a, b = numbers((2, 3)), numbers((2, 3), seed=1)
    agrees(
        lambda v, w: concatenate([v, w, v], axis=axis) * 2.0,
        lambda v, w: torch.cat([v, w, v], axis) * 2.0,
        a,
        b,
    )
    agrees(
        lambda v, w: stack([v, w, v], axis=axis).exp(),
        lambda v, w: torch.stack([v, w, v], axis).exp(),
        a,
        b,
    )


def test_concatenate_what_is_empty():
    agrees(
        lambda v, w: concatenate([v, w]),
        lambda v, w: torch.cat([v, w]),
        numbers((0, 2)),
        numbers((3, 2)),
    )


def test_concatenate_what_does_not_fit():
    with pytest.raises(ValueError, match="axes"):
        concatenate([Value(np.ones((2, 3))), Value(np.ones((2, 4)))])
    with pytest.raises(ValueError, match="shape"):
        stack([Value([1.0, 2.0]), Value([1.0])])
    with pytest.raises(ValueError, match="as many axes"):
        concatenate([Value(np.ones((2, 3))), Value(np.ones(3))])
    with pytest.raises(ValueError, match="axis 2 of a result with 2 axes"):
        stack([Value([1.0]), Value([2.0])], axis=2)


def test_where():
    c = np.array([[True, False, True], [False, False, True]])
    t = torch.tensor(c)
    agrees(
        lambda a, b: where(c, a, b),
        lambda a, b: torch.where(t, a, b),
        numbers((2, 3)),
        numbers((2, 3), seed=1),
    )
    agrees(
        lambda a, b: where(c, a, b),
        lambda a, b: torch.where(t, a, b),
        numbers((3,)),
        numbers((2, 1), seed=1),
    )
    agrees(lambda a: where(c, a, 0.0), lambda a: torch.where(t, a, 0.0), numbers((2, 3)))
    agrees(lambda b: where(c, 0.0, b), lambda b: torch.where(t, 0.0, b), numbers((2, 3)))
    with pytest.raises(ValueError, match="cannot be combined"):
        where(c, Value(np.ones((2, 3))), Value(np.ones(4)))
    x = Value([1.0, -2.0])
    where(x > 0, x * 2.0, 5.0).sum().backward()
    expect(x.grad, [2.0, 0.0])


def test_an_index_out_of_range():
    with pytest.raises(IndexError):
        Value(np.ones((2, 3)))[2]
    with pytest.raises(IndexError):
        Value(np.ones((2, 3)))[0, 3]


# An element or a slice is a view -------------------------------------------------------------


def test_an_element_is_the_vectors():
    """Data and gradient of v[i] are those of v, read and written, however it was reached."""
    v = Value(np.arange(6.0).reshape(2, 3))
    e = v[1][2]
    e.data = 50.0
    assert v.data[1, 2] == 50.0 == v[1, 2].data == v.T[2, 1].data == v.reshape(6)[5].data
    v.data[1, 2] = 7.0
    assert e.data == 7.0
    e.grad = 3.0
    assert v.grad[1, 2] == 3.0 == v[-1].grad[-1]
    v.grad = np.ones((2, 3))
    assert e.grad == 1.0
    e.data -= 0.5 * e.grad
    assert v.data[1, 2] == 6.5
    v.zero_grad()
    assert e.grad == 0.0


def test_a_slice_is_the_vectors():
    v = Value(np.arange(6.0))
    part = v[1:5:2]
    part.data = [10.0, 30.0]
    assert v.data.tolist() == [0.0, 10.0, 2.0, 30.0, 4.0, 5.0]
    part.grad = 2.0
    assert v.grad.tolist() == [0.0, 2.0, 0.0, 2.0, 0.0, 0.0]
    part.zero_grad()
    assert not v.grad.any()


def test_gradients_of_leaves_accumulate_through_views():
    """Views of a leaf and of a result: the leaf accumulates over calls, the result starts anew."""
    v = Value([1.0, 2.0, 3.0])
    doubled = v * 2.0
    loss = (doubled[0] * doubled[1:]).sum() + v[0] * v[0]
    loss.backward()
    first = v.grad.copy()
    assert doubled.grad.tolist() == [10.0, 2.0, 2.0]
    loss.backward()
    assert doubled.grad.tolist() == [10.0, 2.0, 2.0]
    expect(v.grad, 2.0 * first)


def test_backward_on_a_view():
    v = Value([1.0, 2.0, 3.0])
    v[1].backward(4.0)
    v[1].backward(4.0)
    assert v.grad.tolist() == [0.0, 8.0, 0.0]
    w = v * v
    w[1:].backward()
    assert w.grad.tolist() == [0.0, 1.0, 1.0]


def test_a_view_taken_after_backward():
    v = Value([1.0, 2.0])
    w = v * 3.0
    w.backward()
    assert w[0].grad == 1.0 and v[1].grad == 3.0
    w.backward()
    assert v[1].grad == 6.0 and w[0].grad == 1.0


def test_a_view_under_no_grad():
    """Looking at an element is no operation: it is the same element inside no_grad."""
    v = Value([1.0, 2.0])
    with no_grad():
        e = v[0]
    (e * 5.0).backward()
    assert v.grad.tolist() == [5.0, 0.0]


def test_labels_of_elements():
    v = Value([1.0, 2.0], label="w")
    v[1].label = "second"
    assert (v[0].label, v[1].label) == ("w[0]", "second")
    with pytest.raises(TypeError, match="label must be a str"):
        v[0].label = 3


def test_membership():
    v = Value(np.ones((2, 3)))
    assert v[0, 1] in v[0] and v[1] in v
    assert v[1, 1] not in v[0] and Value(1.0) not in v[0] and v[1] not in v.T
    assert 1.0 not in v[0] and v[0, 0] not in v


# data and grad -------------------------------------------------------------------------------


def test_making_values():
    assert isinstance(Value(np.ones(3)), Vector) and isinstance(Value([1, 2]), Vector)
    assert not isinstance(Value(1.0), Vector) and not isinstance(Value(np.array(2.0)), Vector)
    v = Value(np.arange(6).reshape(2, 3))
    assert (v.shape, v.ndim, v.size, len(v), v.dtype) == ((2, 3), 2, 6, 2, np.float64)
    s = Value(2)
    assert (s.shape, s.ndim, s.size, type(s.data), type(s.grad)) == ((), 0, 1, float, float)
    assert s.dtype == np.float64
    fractions = Value(np.array([Fraction(1, 4), 2], dtype=object))
    assert fractions.data.tolist() == [0.25, 2.0] and fractions.dtype == np.float64
    with pytest.raises(TypeError, match="have a dtype"):
        Vector([Value(1.0), Value(2.0)], dtype="float32")
    assert type(v.sum().data) is float and type(v[0, 0].data) is float
    assert [row.data.tolist() for row in v] == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def test_the_callers_array_stays_the_callers():
    x = np.ones(3)
    v = Value(x)
    v.data -= 1.0
    assert x.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "bad", [["a"], np.array(["a"]), np.array([1j]), [[1.0, None]], [[1.0], "b"]], ids=str
)
def test_what_is_no_number(bad):
    with pytest.raises(TypeError):
        Value(bad)


def test_ragged_rows():
    with pytest.raises(ValueError, match="2, 1"):
        Value([[1.0, 2.0], [3.0]])


def test_setting_data_and_grad():
    v = Value(np.ones((2, 3)))
    v.data = 4
    v.grad = 0.5
    assert (v.data == 4.0).all() and (v.grad == 0.5).all()
    v.data = [[1, 2, 3], [4, 5, 6]]
    assert v.data[1].tolist() == [4.0, 5.0, 6.0]
    for wrong in (np.ones(3), np.ones((3, 2)), [1.0, 2.0]):
        with pytest.raises(ValueError, match="shape"):
            v.data = wrong
        with pytest.raises(ValueError, match="shape"):
            v.grad = wrong
    with pytest.raises(TypeError):
        v.data = "abc"
    assert v.data[1].tolist() == [4.0, 5.0, 6.0]


def test_backward_seeds_ones():
    v = Value(np.ones((2, 3)))
    (v * 3.0).backward()
    assert (v.grad == 3.0).all()
    (v * 1.0).backward(2.0)
    assert (v.grad == 5.0).all()
    with pytest.raises(ValueError, match="shape"):
        (v * 1.0).backward(np.ones(3))


def test_gradients_are_not_shared():
    """Changing one gradient must not change another."""
    a, b = Value([1.0, 2.0]), Value([3.0, 4.0])
    y = a + b
    y.backward()
    a.grad[0] = 9.0
    assert b.grad.tolist() == [1.0, 1.0] == y.grad.tolist()


def test_printing():
    assert repr(Value([1.0, 2.0])) == "[Value(1.0, grad=0.0), Value(2.0, grad=0.0)]"
    assert repr(Value([[1.0], [2.0]])) == "[[Value(1.0, grad=0.0)], [Value(2.0, grad=0.0)]]"
    assert len(repr(Value(np.zeros((100, 100))))) < 1000


def test_an_array_is_no_single_number():
    v = Value([1.0, 2.0])
    with pytest.raises(TypeError, match="shape"):
        float(v)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(v)
    assert (v > 1.5).tolist() == [False, True] and (v <= Value([1.0, 1.0])).tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
def test_copies(twin):
    """Data, gradient, label and dtype; no history, no shared memory."""
    v = Value(np.ones((2, 3)), dtype="float32", label="w") * 2.0
    v.backward()
    v.label = "w"
    other = twin(v)
    assert (other.data == 2.0).all() and (other.grad == 1.0).all() and other.label == "w"
    assert (other.op, other.operands, other.dtype) == ("", (), np.float32)
    other.data -= 1.0
    other.grad -= 1.0
    assert (v.data == 2.0).all() and (v.grad == 1.0).all()
    assert isinstance(twin(v[0, 0]), Value) and twin(v[0]).shape == (3,)


def test_detach():
    v = Value([1.0, 2.0]) * 2.0
    d = v.detach()
    d.data -= 1.0
    assert v.data.tolist() == [2.0, 4.0] and d.operands == ()


def test_custom_operations():
    a, b = Value([1.0, 2.0]), Value(3.0)
    y = Value([7.0, 8.0], (a, b), "f", local_grads=([10.0, 20.0], 5.0))
    (y * [1.0, 2.0]).backward()
    assert a.grad.tolist() == [10.0, 40.0] and b.grad == 15.0 and y.op == "f"
    norm = Value(5.0, (a,), "g", local_grads=(np.array([0.6, 0.8]),))
    a.zero_grad()
    norm.backward(2.0)
    assert a.grad.tolist() == [1.2, 1.6]
    # A local gradient may be one number for a whole array, or one row for all of them.
    m = Value(np.ones((2, 3)))
    Value(6.0, (m,), "sum", local_grads=(1.0,)).backward(2.0)
    assert (m.grad == 2.0).all()
    Value(9.0, (m,), "weighted", local_grads=(np.array([1.0, 2.0, 3.0]),)).backward()
    assert m.grad.tolist() == [[3.0, 4.0, 5.0]] * 2
    made = Vector([a[0], b], (a,), "h", local_grads=([1.0, 2.0],))  # of Values their data
    assert made.op == "h" and made.operands == (a,) and made.data.tolist() == [1.0, 3.0]
    sums = Value([2.0, 2.0, 2.0], (m,), "sums", local_grads=(np.ones((2, 3)),))
    assert len(trace(sums)[1]) == 3 * 6, "what one element was made of is not known"


def test_the_scalar_graph_of_a_custom_operation():
    """Of an array out of an array, element by element; of a number out of an array, of all."""
    a, b = Value([1.0, 2.0]), Value(3.0)
    y = Value([7.0, 8.0], (a, b), "f", local_grads=([10.0, 20.0], 5.0))
    norm = Value(5.0, (y,), "g", local_grads=(np.array([0.6, 0.8]),))
    norm.backward()
    _, edges = trace(norm)
    assert [(operand.data, node.op) for operand, node in edges] == [
        (1.0, "f"), (3.0, "f"), (2.0, "f"), (3.0, "f"), (7.0, "g"), (8.0, "g"),
    ]  # fmt: skip
    steps = [(step.node.op, step.operand.data, step.local) for step in backward_steps(norm)]
    assert sorted(steps) == [
        ("f", 1.0, 10.0), ("f", 2.0, 20.0), ("f", 3.0, 5.0), ("f", 3.0, 5.0),
        ("g", 7.0, 0.6), ("g", 8.0, 0.8),
    ]  # fmt: skip


def test_arrays_on_the_left():
    """NumPy steps back, so the result is a Value and not an array of objects."""
    v = Value([1.0, 2.0])
    for y in (np.ones(2) + v, np.float64(2.0) * v, np.ones((2, 1)) - v, 2.0**v, np.ones(2) / v):
        assert isinstance(y, Vector)
    assert isinstance(np.float64(2.0) * Value(3.0), Value)


# Functions of many Values --------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (1, 1), (0, 4)], ids=str)
@pytest.mark.parametrize(
    "ours,theirs",
    [
        (softmax, lambda x: torch.softmax(x, -1)),
        (log_softmax, lambda x: torch.log_softmax(x, -1)),
        (logsumexp, lambda x: torch.logsumexp(x, -1)),
        (rms_norm, lambda x: F.rms_norm(x, x.shape[-1:])),
        (lambda x: rms_norm(x, 0.1), lambda x: F.rms_norm(x, x.shape[-1:], eps=0.1)),
    ],
    ids=["softmax", "log_softmax", "logsumexp", "rms_norm", "rms_norm(0.1)"],
)
def test_row_by_row(ours, theirs, shape):
    agrees(ours, theirs, numbers(shape))


def test_functions_of_numbers_alone():
    """A node like any other, which gives to nobody."""
    for y in (logsumexp([1.0, 2.0]), mse_loss([1.0, 2.0], [0.0, 3.0]), dot([1.0], [2.0])):
        y.backward(3.0)
        assert y.grad == 3.0 and y.operands == ()
    with pytest.raises(ValueError, match="two sequences of scalars"):
        dot(np.ones((2, 2)), [1.0, 2.0])


@pytest.mark.parametrize("shape", [(3,), (5, 3)], ids=str)
def test_attention(shape):
    agrees(
        scaled_dot_product_attention,
        lambda q, k, v: F.scaled_dot_product_attention(
            q.reshape(1, -1, 3), k[None], v[None]
        ).reshape(*q.shape[:-1], 2),
        numbers(shape),
        numbers((4, 3), seed=1),
        numbers((4, 2), seed=2),
    )


@pytest.mark.parametrize("kind", [np.array, Value], ids=["arrays", "Values"])
def test_attention_of_wrong_sizes(kind):
    query = kind(np.ones(2))
    for keys, values, says in (
        (np.ones((2, 3)), np.ones((2, 3)), "a query of 2 and a key of 3"),
        (np.ones((2, 2, 2)), np.ones((2, 2, 2)), "a row for each key and value"),
        (np.ones((3, 2)), np.ones((2, 2)), "as many keys as values"),
    ):
        with pytest.raises(ValueError, match=says):
            scaled_dot_product_attention(query, kind(keys), kind(values))


def test_losses():
    p, t = numbers((3, 4)), numbers((3, 4), seed=1)
    labels = np.sign(t)
    agrees(mse_loss, F.mse_loss, p, t)
    agrees(
        lambda s: hinge_loss(s, labels), lambda s: (1 - torch.tensor(labels) * s).relu().mean(), p
    )
    agrees(
        lambda s: binary_cross_entropy_with_logits(s, (labels + 1) / 2),
        lambda s: F.binary_cross_entropy_with_logits(s, torch.tensor((labels + 1) / 2)),
        p,
    )
    classes = np.array([3, 0, 2])
    agrees(
        lambda s: cross_entropy(s, classes), lambda s: F.cross_entropy(s, torch.tensor(classes)), p
    )
    agrees(lambda s: cross_entropy(s, 2), lambda s: F.cross_entropy(s, torch.tensor(2)), p[0])
    agrees(lambda u: mse_loss(p, u), lambda u: F.mse_loss(torch.tensor(p), u), t)
    with pytest.raises(TypeError, match="targets are plain numbers"):
        binary_cross_entropy_with_logits(Value(p), Value(t))


def test_predictions_of_one_column():
    """A column of predictions and a flat list of targets count as the same."""
    p, t = numbers((4, 1)), numbers((4,), seed=1)
    agrees(mse_loss, lambda a, b: F.mse_loss(a[:, 0], b), p, t)
    agrees(
        lambda s: hinge_loss(s, np.sign(t)),
        lambda s: (1 - torch.tensor(np.sign(t)) * s[:, 0]).relu().mean(),
        p,
    )


# nn and optim --------------------------------------------------------------------------------


def torch_twin(model, activation):
    parts = []
    for i, layer in enumerate(model.layers):
        part = torch.nn.Linear(layer.n_in, layer.n_out, dtype=torch.float64)
        part.load_state_dict(
            {"weight": torch.tensor(layer.weight.data), "bias": torch.tensor(layer.bias.data)}
        )
        parts += [part] + ([activation] if i < len(model.layers) - 1 else [])
    return torch.nn.Sequential(*parts)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_network_over_a_batch(name):
    """Outputs, gradients of parameters and of inputs; one node a layer."""
    model = MLP(3, [5, 4, 2], activation=name, seed=3)
    for layer in model.layers:
        layer.bias.data = numbers(layer.bias.shape)
    twin = torch_twin(model, TORCH_ACTIVATIONS[name]())
    x = numbers((7, 3))
    v, t = Value(x), torch.tensor(x, requires_grad=True)
    y, u = model(v), twin(t)
    expect(y.data, u.detach().numpy())
    seed = numbers((7, 2), seed=5)
    y.backward(seed)
    u.backward(torch.tensor(seed))
    expect(v.grad, t.grad.numpy())
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        expect(p.grad, q.grad.numpy(), rtol=1e-11)
    assert len(Tape(y)) == 3


def test_shapes_of_outputs():
    layer, neuron, model = Layer(3, 4), Neuron(3), MLP(3, [4, 1])
    x = np.ones((5, 3))
    assert layer(x).shape == (5, 4) and layer(x[0]).shape == (4,)
    assert neuron(x).shape == (5,) and neuron(x[0]).shape == ()
    assert model(x).shape == (5,) and model(x[0]).shape == () and model(x[:0]).shape == (0,)
    assert neuron.weight.shape == (3,) and neuron.bias.shape == () and neuron.nparams() == 4
    assert [p.shape for p in model.parameters()] == [(4, 3), (4,), (1, 4), (1,)]
    assert [name for name, _ in model.named_parameters()][:2] == [
        "layers.0.weight",
        "layers.0.bias",
    ]


def test_a_neuron_takes_the_state_of_another():
    """Whose bias is a single number, and an array of one in the state."""
    one, other = Neuron(2, seed=1), Neuron(2, seed=2)
    other.bias.data = 7.0
    one.load_state_dict(other.state_dict())
    assert one.bias.data == 7.0 and (one.weight.data == other.weight.data).all()
    assert one([1.0, 2.0]).data == other([1.0, 2.0]).data


def test_a_step_of_ones_own():
    """`p.data -= lr * p.grad` changes the array where it lies, so views of it follow."""
    layer = Layer(2, 3, seed=1)
    corner, array = layer.weight[0][0], layer.weight.data
    layer(np.ones((4, 2))).sum().backward()
    before = corner.data
    for p in layer.parameters():
        p.data -= 0.5 * p.grad
    assert layer.weight.data is array and corner.data == before - 0.5 * corner.grad


@pytest.mark.parametrize("optimiser", [SGD, Adam])
def test_optimisers_move_arrays_in_place(optimiser):
    v = Value(np.ones((2, 3)))
    array = v.data
    step = optimiser([v], lr=0.1)
    (v * v).backward()
    step.step()
    assert v.data is array and (array < 1.0).all()


def test_optimiser_of_a_stacked_vector():
    """A Vector put together from Values counts as these Values."""
    a, b = Value(1.0), Value(2.0)
    step = SGD([Vector([a, b])], lr=1.0)
    (a * b).backward()
    step.step()
    assert (a.data, b.data) == (-1.0, 1.0)


def train(model, optimiser):
    """Steps on random samples."""
    for i in range(3):
        x = numbers((5, model.n_in), seed=i)
        optimiser.zero_grad()
        (model(x) * numbers(model(x).shape, seed=9)).tanh().sum().backward()
        optimiser.step()


def weights_of(model):
    return [p.data.copy() for p in model.parameters()]


def same_arrays(ours, theirs):
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


OPTIMISERS = {
    "SGD": lambda params: SGD(params, lr=0.1),
    "momentum": lambda params: SGD(params, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "Adam": lambda params: Adam(params, lr=0.1, weight_decay=0.01),
    "AdamW": lambda params: AdamW(params, lr=0.1),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("sizes", [[3, 4, 2], [3, 150, 150, 1]], ids=str)
@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_a_model_moves_as_its_tensors_alone_do(make, sizes, dtype):
    """Parameters that lie together, as a model's do, in whatever order or part they are given."""
    start = MLP(sizes, seed=1, dtype=dtype)
    alone, whole, part, turned = (MLP(sizes, seed=1, dtype=dtype) for _ in range(4))
    train(alone, Each(make, alone.parameters()))
    train(whole, make(whole.parameters()))
    train(turned, make(turned.parameters()[::-1]))
    assert same_arrays(weights_of(alone), weights_of(whole))
    assert same_arrays(weights_of(alone), weights_of(turned))
    kept = [p for i, p in enumerate(part.parameters()) if i != 1]
    train(part, make(kept))
    assert same_arrays(weights_of(part)[1:2], weights_of(start)[1:2])
    assert not any(np.array_equal(p.data, q) for p, q in zip(kept, weights_of(start), strict=False))


class Each:
    """An optimiser for each tensor."""

    def __init__(self, make, params):
        self.optimisers = [make([p]) for p in params]

    def zero_grad(self):
        for optimiser in self.optimisers:
            optimiser.zero_grad()

    def step(self):
        for optimiser in self.optimisers:
            optimiser.step()


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_parameters_of_every_kind_together(make):
    """Numbers, elements, slices that touch and that leave gaps, a transpose, a single neuron."""

    def parameters():
        v, m = Value(numbers((8,))), Value(numbers((4, 6), seed=1))
        neuron = Neuron(3, seed=1)
        return [
            Value(0.5), Value(-1.5), v[0:2], v[2:4], v[4], Value(2.0), v[5::2],
            m[:2].T, m[2:, ::2], *neuron.parameters(), Value(np.zeros((0, 3))),
        ]  # fmt: skip

    together, alone = parameters(), parameters()
    for params, optimiser in (together, make(together)), (alone, Each(make, alone)):
        for _ in range(3):
            optimiser.zero_grad()
            for p in params:
                (p * p + p).sin().sum().backward()
            optimiser.step()
    for i, (p, q) in enumerate(zip(together, alone, strict=True)):
        assert np.array_equal(p.data, q.data), f"parameter {i}"
    assert not np.array_equal(together[7].data, parameters()[7].data)


@pytest.mark.parametrize("zero", ["the optimiser's", "the model's"])
def test_a_gradient_that_was_read_stays(zero):
    """Later passes and steps leave alone what somebody may have kept, all of it or a part."""
    model = MLP(3, [4, 2], seed=1)
    other = MLP(3, [4, 2], seed=1)
    optimiser = SGD(model.parameters(), lr=0.1)
    kept = []
    for i in range(6):
        (model if zero == "the model's" else optimiser).zero_grad()
        model(numbers((5, 3), seed=i)).tanh().sum().backward()
        read = model.parameters()[i % 3 :: 2]
        before = [p.grad for p in read] if i % 2 else []
        optimiser.step()
        after = [] if i % 2 else [p.grad for p in read]
        kept += [(array, array.copy()) for array in before + after]
    assert len({id(array) for array, _ in kept}) == len(kept)
    assert same_arrays(*zip(*kept, strict=True))
    optimiser = SGD(other.parameters(), lr=0.1)
    for i in range(6):
        optimiser.zero_grad()
        other(numbers((5, 3), seed=i)).tanh().sum().backward()
        optimiser.step()
    assert same_arrays(weights_of(model), weights_of(other))


def test_a_parameter_that_took_no_part_stays():
    """Its gradient is zero, whatever it was before."""
    model = MLP(3, [4, 2], seed=1)
    optimiser = SGD(model.parameters(), lr=0.1)
    train(model, optimiser)
    before = weights_of(model)
    optimiser.zero_grad()
    model.layers[0](numbers((5, 3))).sum().backward()
    optimiser.step()
    moved = [not np.array_equal(a, b) for a, b in zip(before, weights_of(model), strict=True)]
    assert moved == [True, True, False, False]


def test_a_bias_of_another_dtype():
    """Rule 6.1: its gradient is of its own, also where an optimiser keeps a place for it."""
    x = numbers((5, 3)).astype(np.float32)
    weight, bias = Vector(numbers((2, 3), seed=1), dtype="float32"), Vector([0.5, -0.25])
    optimiser = SGD([weight, bias], lr=0.1)
    expected = bias.data.copy()
    for _ in range(3):
        expected -= 0.1 * (x @ weight.data.T + expected).mean(axis=0)
        (linear(x, weight, bias) ** 2.0).mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    assert bias.dtype == np.float64 and np.allclose(bias.data, expected, rtol=1e-6)


def test_gradients_add_up_between_steps():
    """Over passes, over two optimisers of the same parameters, over views of them."""
    model = MLP(3, [4, 2], seed=1)
    first, second = SGD(model.parameters(), lr=0.1), SGD(model.parameters(), lr=0.5)
    for optimiser in (first, second, first):
        before = weights_of(model)
        optimiser.zero_grad()
        for i in range(2):
            model(numbers((5, 3), seed=i)).sum().backward()
        model.layers[1].weight[0].sum().backward()
        optimiser.step()
        for p, w in zip(model.parameters(), before, strict=True):
            assert np.array_equal(p.data, w - p.grad * optimiser.lr)


@pytest.mark.parametrize(
    "twin",
    [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))],
    ids=["deepcopy", "pickle"],
)
@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_copies_of_an_optimiser(make, twin):
    """A copied model and its optimiser go on as the originals do, and apart from them."""
    model = MLP([3, 150, 150, 1], seed=1)
    optimiser = make(model.parameters())
    train(model, optimiser)
    copied, other = twin((model, optimiser))
    assert other.params[0] is copied.parameters()[0]
    before = weights_of(model)
    train(copied, other)
    assert same_arrays(weights_of(model), before)
    train(model, optimiser)
    assert same_arrays(weights_of(model), weights_of(copied))
    assert other.state_dict() == optimiser.state_dict()


# float32 -------------------------------------------------------------------------------------


def test_float32_stays_float32():
    """Neither Python numbers nor arrays and lists of float64 make a float32 graph wider."""
    x = Value([[1.0, 2.0, 3.0]], dtype="float32")
    w = Value(1.5)
    results = [
        x + 1, 2.5 * x, x**2, x**0.5, 1 / x, x - np.ones(3), np.ones(3) * x, x * [1.0, 2.0, 3.0], x * w,
        x.exp(), x.gelu(), x.softplus(), x.silu(), x.sigmoid(), x.erf(), x.leaky_relu(), abs(x), x.relu(),
        x.maximum(1.0), x.sum(0), x.mean(1), x.max(0), x.T, x[0], x[:, [0, 0]], x.reshape(3), x @ np.ones((3, 2)),
        softmax(x), log_softmax(x), logsumexp(x), rms_norm(x), concatenate([x, x]), stack([x, x]),
        where(np.ones(3), x, 0.0), linear(x, np.ones((2, 3)), np.ones(2)),
        scaled_dot_product_attention(x[0], np.ones((2, 3)), np.ones((2, 2))),
    ]  # fmt: skip
    for i, y in enumerate(results):
        assert y.dtype == np.float32, f"result {i}, {y.op}"
        y.backward()
        assert x.grad.dtype == np.float32 and x.data.dtype == np.float32, y.op
    assert type(w.grad) is float


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_float32_network(activation):
    model = MLP(3, [4, 2], activation=activation, dtype="float32", seed=1)
    y = model(numbers((5, 3)))
    loss = cross_entropy(y, np.array([0, 1, 0, 1, 1]))
    loss.backward()
    assert y.dtype == np.float32 and y.grad.dtype == np.float32 and type(loss.data) is float
    optimisers = [
        SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1),
        Adam(model.parameters(), lr=0.1),
    ]
    for optimiser in optimisers:
        optimiser.step()
    for p in model.parameters():
        assert p.dtype == p.grad.dtype == p.data.dtype == np.float32
    wide = MLP(3, [4, 2], activation=activation, seed=1)
    expect(model.state_dict()["layers.0.weight"].dtype.itemsize, 4)
    expect(MLP(3, [4, 2], activation=activation, dtype="float32", seed=1)(numbers((5, 3))).data,
           wide(numbers((5, 3))).data, rtol=1e-4)  # fmt: skip


def test_a_loss_of_float32_beside_targets_of_float64():
    x = Value(numbers((2, 3)), dtype="float32")
    loss = mse_loss(x * 1.0, numbers((2, 3), seed=1))
    loss.backward()
    assert x.grad.dtype == np.float32
    expect(loss.data, np.mean((numbers((2, 3)) - numbers((2, 3), seed=1)) ** 2), rtol=1e-6)


def test_dtypes():
    assert Value(np.ones(3, dtype=np.float32)).dtype == np.float64
    assert Value(0.1, dtype="float32").data == float(np.float32(0.1))
    assert Layer(2, 3, dtype=np.float32).bias.dtype == np.float32
    with pytest.raises(TypeError, match="float16"):
        Value([1.0], dtype="float16")
    with pytest.raises(TypeError, match="dtype"):
        Vector([Value(1.0)], dtype="float32")


# The graph -----------------------------------------------------------------------------------


def test_a_million_views_and_operations():
    """No recursion and nothing quadratic in deep graphs of arrays."""
    v = x = Value([1.0, 2.0])
    for _ in range(100_000):
        v = v[::-1] if v.op else v * 1.0
    v = v[0]
    for _ in range(10_000):
        v = v + v.detach()
    v.backward()
    assert x.grad.sum() == 1.0


def test_the_scalar_graph_of_arrays():
    """Traced, arrays are their scalars: what only moves elements is not seen."""
    a, b = Value(2.0), Value(3.0)
    y = (Vector([a, b])[::-1].reshape(1, 2).T * 2.0).sum()
    y.backward()
    nodes, edges = trace(y)
    assert [(n.op, n.data, n.grad) for n in nodes] == [
        ("", 3.0, 2.0),
        ("* 2.0", 6.0, 1.0),
        ("", 2.0, 2.0),
        ("* 2.0", 4.0, 1.0),
        ("sum", 10.0, 1.0),
    ]
    assert nodes[0] is b and nodes[-1] is y and len(edges) == 4


def test_scalars_of_an_array_read_like_values():
    """Also by micrograd's names, which drawings that were written for it ask for."""
    y = 1.0 - Value([[2.0, 3.0]]) @ Value([[4.0], [5.0]])
    y.backward()
    nodes, _ = trace(y)
    assert (nodes[-1].op, repr(nodes[-1])) == ("1.0 -", "Value(-22.0, grad=1.0)")
    for node in nodes:
        assert (node._op, list(node._prev)) == (node.op, list(node.operands))
    assert (y.op, y[0, 0].op, y[0, 0].operands[0].data) == ("1.0 -", "1.0 -", 23.0)
    assert y.detach().op == "" and (Value([[2.0]]) @ Value([[4.0]])).op == "dot"


def test_local_gradients_of_elements():
    """An element has those of the scalar that it is: of a product, of a joint array, of a choice."""
    a, b, c = Value([[2.0, 3.0]]), Value([[4.0], [5.0]]), Value([[1.0]])
    product = a @ b
    both = concatenate([c * 2.0, product])
    assert product[0, 0]._local_gradients() == (4.0, 5.0, 2.0, 3.0)
    assert product._composition() is None
    weights, inputs, *_ = product[0, 0]._composition()
    assert [w.data for w in weights] == [2.0, 3.0] and [x.data for x in inputs] == [4.0, 5.0]
    assert [both[i, 0].op for i in range(2)] == ["* 2.0", "dot"]
    assert both[1, 0]._local_gradients() == (4.0, 5.0, 2.0, 3.0)
    x, y = Value(2.0), Value(3.0)
    assert where(True, x, y)._local_gradients() == (1.0, 0.0)
    assert where(False, 1.0, y)._local_gradients() == (1.0,)


def test_leaves_and_views_give_to_nobody():
    x, gradients = Value([1.0, 2.0]), {}
    for node in (x, x[0], x[::-1], Value(1.0)):
        node._give(1.0, gradients)
    assert gradients == {}


@pytest.mark.parametrize(
    "loss", [mse_loss, lambda p, t: cross_entropy(p, [0, 1])], ids=["mse", "ce"]
)
def test_the_scalar_graph_of_a_loss(loss):
    p, t = Value([[1.0, 2.0], [3.0, 5.0]]), [[0.0, 1.0], [2.0, 3.0]]
    root = loss(p, t)
    root.backward()
    steps = list(backward_steps(root))
    assert [step.operand.data for step in steps] == [5.0, 3.0, 2.0, 1.0]
    expect([step.contribution for step in steps], p.grad.ravel()[::-1])


def test_the_scalar_graph_of_broadcasting():
    x = Value([[1.0, 2.0], [3.0, 4.0]])
    b = Value([10.0, 20.0])
    nodes, edges = trace((x + b).max(0))
    assert len(nodes) == 4 + 2 + 4 + 2 and len(edges) == 2 * 4 + 2 * 2
    assert [n.op for n in nodes].count("max") == 2


def test_a_matrix_product_is_its_multiplies_and_adds():
    y = Value([[1.0, 2.0]]) @ Value([[3.0], [4.0]])
    y.backward()
    nodes, _ = trace(y)
    assert [n.data for n in nodes if n.op == "*"] == [3.0, 8.0]
    assert [(n.data, n.grad) for n in nodes if n.op == "+"] == [(11.0, 1.0)]


def test_tape_of_arrays():
    """Replays with new data in the same arrays, batches included."""
    model = MLP(3, [4, 1], activation="tanh", seed=2)
    x = Value(numbers((5, 3)))
    loss = (model(x)[1:] * 2.0).softplus().mean()
    tape = Tape(loss)
    tape.backward()
    batch = numbers((5, 3), seed=4)
    tape.set(x, batch)
    assert tape.forward() == loss.data
    model.zero_grad()
    tape.backward()
    got = [p.grad.copy() for p in model.parameters()]
    model.zero_grad()
    fresh = (model(batch)[1:] * 2.0).softplus().mean()
    fresh.backward()
    assert fresh.data == loss.data
    for g, p in zip(got, model.parameters(), strict=True):
        expect(g, p.grad)
    with pytest.raises(ValueError, match="shape"):
        tape.set(x, numbers((4, 3)))


def test_a_tape_whose_root_is_an_array():
    x = Value([1.0, 2.0])
    tape = Tape(x * x)
    tape.backward([1.0, 10.0])
    assert x.grad.tolist() == [2.0, 40.0]
    with pytest.raises(ValueError, match="a Vector of 2 cannot be set from 3"):
        tape.backward([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    "loss",
    [
        lambda y: mse_loss(y, [[1.0, 0.0], [2.0, 1.0]]),
        lambda y: hinge_loss(y, [[1.0, -1.0], [-1.0, 1.0]]),
        lambda y: binary_cross_entropy_with_logits(y, [[1.0, 0.0], [0.0, 1.0]]),
        lambda y: cross_entropy(y, [0, 1]),
    ],
    ids=["mse", "hinge", "bce", "ce"],
)
def test_a_tape_of_a_loss(loss):
    x, w = Value(numbers((2, 3))), Value(numbers((2, 3), seed=1))
    tape = Tape(loss(linear(x, w)))
    tape.set(x, numbers((2, 3), seed=2))
    fresh = loss(linear(x, w))
    assert tape.forward() == fresh.data
    fresh.backward()
    wanted = w.grad.copy()
    w.zero_grad()
    tape.backward()
    expect(w.grad, wanted)


def test_a_tape_sets_leaves_from_each_other():
    """All new data are taken before any is set."""
    x, y = Value([1.0, 2.0]), Value([3.0, 4.0])
    tape = Tape(x - y)
    tape.set([x, y], [y.data, x.data])
    assert tape.forward().tolist() == [2.0, 2.0] and x.data.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("values", [*itertools.product([True, False], repeat=3)], ids=str)
def test_a_tape_of_a_layer_some_of_whose_parts_are_constants(values):
    """Inputs, weights and biases may each be Values or plain numbers; there may be no bias."""
    parts = [numbers((4, 3)), numbers((2, 3), seed=1), numbers((2,), seed=2)]
    parts = [Value(x) if learnt else x for x, learnt in zip(parts, values, strict=True)]
    for given in (parts, parts[:2]):
        leaves = [x for x in given if isinstance(x, Value)]
        if leaves:
            tape = Tape(linear(*given))
            gradients = []
            for backward in (tape.backward, linear(*given).backward):
                for x in leaves:
                    x.zero_grad()
                backward()
                gradients.append([x.grad.copy() for x in leaves])
            for got, wanted in zip(*gradients, strict=True):
                expect(got, wanted)


def test_gradcheck_of_arrays():
    x = Value(numbers((2, 3)))
    assert gradcheck(lambda v: (v @ v.T).tanh().sum(1), [x])
    assert gradcheck(
        lambda v: (v * v[0]).exp().mean(),
        [Value(numbers((2, 3)), dtype="float32")],
        eps=1e-2,
        rtol=1e-2,
    )


ARRAYS = {
    "broadcasting": lambda x: ((x * x[0] + x.sum(1, keepdims=True)) / 3.0 - 1.0).tanh().sum(),
    "a view of a view": lambda x: (x.T[1:, ::-1].T * x[:, :2].reshape(-1)[1]).exp().mean(),
    "one element several times": lambda x: x[0, 1] * x[0, 1] + x[[0, 0, 2], 1].sum() * x[2, 2],
    "a matrix product": lambda x: ((x @ x.T) @ x[:, 0]).sum(),
    "put together": lambda x: (
        where(numbers((3, 3), seed=3) > 0.0, stack([x[0], x[1], x[0]]), concatenate([x[1:], x[:1]]))
        .reshape(9)
        .max()
    ),
    "rows": lambda x: (softmax(x) * log_softmax(x) + rms_norm(x)).sum() + logsumexp(x).mean(),
    "attention": lambda x: scaled_dot_product_attention(x[:2], x, x).sum(),
    "layers": lambda x: cross_entropy(MLP(3, [4, 3], activation="gelu", seed=1)(x), [0, 1, 2]),
    "one output": lambda x: hinge_loss(MLP(3, [4, 1], seed=1)(x), [1.0, -1.0, 1.0]),
    "single values": lambda x: x[0, 0] * x.mean() + (x[1, 1] ** 2.0).sqrt(),
    "an array": lambda x: x * 2.0 + x.T,
    "a custom operation": lambda x: Value(x.data * 3.0, (x,), "f", local_grads=(3.0,)).sum(),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ARRAYS)
def test_diagnose_takes_arrays_whole(name, dtype):
    """Rules 5.10 and 8.6: the gradients that backward gave are found right, and doubled ones not."""
    x = Value(numbers((3, 3)), label="x", dtype=dtype)
    y = ARRAYS[name](x)
    assert not diagnose(y)
    y.backward()
    data, grad = x.data.copy(), x.grad.copy()
    assert not diagnose(y) and not diagnose(y, [x])
    x.grad *= 2.0
    (finding,) = diagnose(y, [x])
    assert finding.kind == "backward again" and finding.nodes == ("x",)
    assert "x[" in finding.seen and "2 times" in finding.seen
    x.zero_grad()
    assert not diagnose(y, [x])
    assert (x.data == data).all() and (x.grad == 0.0).all()
    y.backward()
    assert (x.grad == grad).all(), "diagnose changes nothing"


@pytest.mark.parametrize("name", sorted({*ARRAYS} - {"a custom operation"}))
def test_arrays_are_computed_anew(name):
    """Rules 5.10, 8.5 and 8.6: into memory of their own."""
    x = Value(numbers((3, 3)), label="x")
    y = ARRAYS[name](x)
    before = copy.deepcopy(y.data)
    x.data = x.data * 1.5
    (finding,) = diagnose(y)
    assert finding.kind == "data changed" and "x" in finding.seen.partition("among")[2]
    assert np.array_equal(y.data, before)


def test_a_large_layer_is_diagnosed():
    """Rules 5.10 and 8.6: as arrays, not weight by weight; a unit by its name."""
    model = MLP(500, [400, 400, 10], init="he", seed=1)
    x = numbers((64, 500))
    model.layers[1].bias[7].data = -1e4
    loss = cross_entropy(model(x), [i % 10 for i in range(64)])
    loss.backward()
    (finding,) = diagnose(loss, model)
    assert finding.kind == "dead relu" and finding.nodes == ("layers.1, unit 7",)


def test_the_first_element_that_is_not_finite():
    """Rules 5.10 and 8.6: arrays follow NumPy where numbers raise; the element is named."""
    x = Value([[1.0, 2.0], [-3.0, 4.0]], label="x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (finding,) = diagnose(x.log().mean())
        assert finding.kind == "not finite" and finding.nodes == ("log[1, 0]",)
        assert "log(-3) = nan" in finding.seen and "through mean" in finding.seen
        y = Value([0.0, 4.0], label="y")
        (finding,) = diagnose(y.sqrt().sum())
        assert finding.kind == "gradient not finite" and finding.nodes == ("y[0]",)
        assert "the slope of sqrt(0) there is inf" in finding.seen


def test_no_grad():
    v = Value(np.ones((2, 2)))
    with no_grad():
        results = [
            v * 2.0,
            v @ v,
            v.sum(),
            softmax(v),
            concatenate([v, v]),
            v[[0, 0]],
            Layer(2, 2)(v),
        ]
    for y in results:
        assert y.op == "" and y.operands == ()


def test_an_array_of_a_vector_is_a_copy():
    """Rule 1.27; who wants the memory itself has `data`."""
    v = Value(np.arange(6.0).reshape(2, 3))
    with pytest.raises(ValueError, match="is a copy"):
        np.asarray(v, dtype=float, copy=False)
    assert not np.shares_memory(np.asarray(v, dtype=float), v.data)
    assert np.asarray(v).shape == (2, 3) and np.asarray(v)[1, 2].data == 5.0
