"""NumPy's scalars and arrays as operands and inputs of every backend (rules 1.1, 1.9, 1.21, 3.5,
3.8).
"""

import numpy as np
import pytest

from cases.numbers import floats, nested

SCALARS = [
    np.float64(2.5), np.float32(2.5), np.float16(2.5), np.int64(3), np.int8(3), np.uint8(3), np.bool_(True),
    np.array(2.5), np.array(3), np.longdouble(2.5),
]  # fmt: skip
OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}


def kind(x):
    return f"{type(x).__name__} {getattr(x, 'dtype', '')}"


@pytest.mark.parametrize("number", SCALARS, ids=kind)
def test_a_value_of_a_numpy_scalar(backend, number):
    v = backend.Value(number)
    assert type(v.data) is float and v.data == float(number)
    v.data, v.grad = number, number
    assert type(v.data) is float and type(v.grad) is float


@pytest.mark.parametrize("number", SCALARS, ids=kind)
@pytest.mark.parametrize("operator", OPERATORS)
def test_numpy_scalars_on_both_sides(backend, operator, number):
    """Rule 1.9: the reflected method answers, and the number is a constant."""
    apply = OPERATORS[operator]
    v = backend.Value(1.5)
    for got, expected in (
        (apply(number, v), apply(float(number), backend.Value(1.5))),
        (apply(v, number), apply(backend.Value(1.5), float(number))),
    ):
        assert isinstance(got, backend.Value), f"the result is a {type(got).__name__}"
        assert (got.data, got.op, len(got.operands)) == (expected.data, expected.op, 1)
        assert type(got.data) is float


def test_comparison_with_numpy_scalars(backend):
    v = backend.Value(2.0)
    assert (
        np.float64(1.0) < v
        and v > np.float64(1.0)
        and not np.float64(3.0) <= v
        and v <= np.int64(2)
    )
    assert v.maximum(np.float32(3.0)).data == 3.0


def test_a_larger_array_is_no_number(backend):
    """Rule 1.9."""
    if backend.arrays:
        return
    for apply in OPERATORS.values():
        for pair in ((np.ones(2), backend.Value(1.0)), (backend.Value(1.0), np.ones(2))):
            with pytest.raises(TypeError):  # worded by NumPy where the array is on the left of a +
                apply(*pair)
    with pytest.raises(TypeError, match="real number"):
        backend.Value(np.ones(1))
    with pytest.raises(TypeError, match="real number"):
        backend.Value(np.ones(2))


def test_complex_numpy_numbers_are_refused(backend):
    """Rule 1.1."""
    for bad in (np.complex128(1.0), np.complex64(1j)):
        with pytest.raises(TypeError, match="real number"):
            backend.Value(bad)
        with pytest.raises(TypeError):
            backend.Value(1.0) + bad
        with pytest.raises(TypeError):
            bad * backend.Value(1.0)


@pytest.mark.parametrize("operator", OPERATORS)
def test_arrays_and_vectors(backend, operator):
    """Rule 1.21: an ndarray on either side of a Vector."""
    apply, array = OPERATORS[operator], np.array([0.5, 2.0, 3.0])
    for got, expected in (
        (apply(array, backend.Vector([1.0, 2.0, 3.0])), apply(array, np.array([1.0, 2.0, 3.0]))),
        (apply(backend.Vector([1.0, 2.0, 3.0]), array), apply(np.array([1.0, 2.0, 3.0]), array)),
        (
            apply(np.float64(2.0), backend.Vector([1.0, 2.0, 3.0])),
            apply(2.0, np.array([1.0, 2.0, 3.0])),
        ),
    ):
        assert isinstance(got, backend.Vector), f"the result is a {type(got).__name__}"
        np.testing.assert_allclose(floats(got), expected, rtol=1e-12)


def test_vectors_of_arrays(backend):
    """Rule 1.20."""
    assert floats(backend.Vector(np.arange(3))) == [0.0, 1.0, 2.0]
    assert nested(backend.Vector(np.eye(2))) == [[1.0, 0.0], [0.0, 1.0]]
    v = backend.Vector(np.array([1.0, 2.0], dtype=np.float32))
    v.data = np.array([3.0, 4.0])
    v.grad = np.float64(1.0)
    assert floats(v.data) == [3.0, 4.0] and floats(v.grad) == [1.0, 1.0]
    assert (np.array([1.0, 2.0]) @ backend.Vector([3.0, 4.0])).data == 11.0
    v.backward(np.array([1.0, 2.0]))
    m = backend.Vector(np.ones((2, 3)))
    assert nested((np.ones((2, 3)) + m).data) == [[2.0] * 3] * 2


def test_functional_takes_arrays(backend):
    x, w = np.array([1.0, 2.0, 3.0]), np.array([[0.5, 0.25, -1.0], [1.0, 0.0, 0.0]])
    assert backend.dot(x, w[0]).data == -2.0
    assert floats(backend.linear(x, w, np.array([1.0, 0.0]))) == [-1.0, 1.0]
    assert floats(backend.linear(np.stack([x, x]), w)) == [-2.0, 1.0] * 2
    assert abs(sum(floats(backend.softmax(x))) - 1.0) < 1e-15
    scores = backend.Vector([0.5, -0.5, 2.0])
    assert backend.hinge_loss(scores, np.array([1, -1, 1])).data == (0.5 + 0.5 + 0.0) / 3
    assert backend.mse_loss(scores, x).data == ((0.5 - 1) ** 2 + (-0.5 - 2) ** 2 + 1) / 3
    a = backend.cross_entropy([[1.0, 2.0], [3.0, 0.0]], np.array([0, 1]))
    assert a.data == backend.cross_entropy([[1.0, 2.0], [3.0, 0.0]], [0, 1]).data
    assert (
        backend.cross_entropy([1.0, 2.0], np.int32(1)).data
        == backend.cross_entropy([1.0, 2.0], 1).data
    )
    with pytest.raises(TypeError):
        backend.cross_entropy([[1.0, 2.0]], np.array([1.0]))


def test_models_take_arrays(backend):
    """Rules 3.4, 3.5 and 3.8."""
    model = backend.MLP(2, [3, 2], seed=1)
    X = np.array([[1.0, 2.0], [3.0, -4.0]])
    assert floats(model(X[0])) == floats(model([1.0, 2.0]))
    assert floats(model(X)) == floats(model(X.tolist()))
    assert floats(model(X.astype(np.float32))) == floats(model(X.tolist()))
    assert floats(model(X.astype(int))) == floats(model(X.tolist()))
    with pytest.raises(ValueError, match="expects 2 inputs, got 3"):
        model(np.ones((4, 3)))
    state = {name: np.array(data) for name, data in model.state_dict().items()}
    other = backend.MLP(2, [3, 2], seed=2)
    other.load_state_dict(state)
    assert floats(other(X)) == floats(model(X))


def test_the_interface_s_line(backend):
    """The loss in vector style, labels an ndarray."""
    y = np.array([1.0, -1.0])
    model = backend.MLP(2, [3, 1], seed=1)
    loss = (1 - y * model(np.array([[1.0, 2.0], [3.0, -4.0]]))).relu().mean()
    assert isinstance(loss, backend.Value) and type(loss.data) is float
    loss.backward()
