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


# Arrays of Values (rule 1.27) -----------------------------------------------------------------

REDUCED = {
    "np.sum": np.sum,
    "np.dot": lambda o: np.dot(o, [3.0, -1.0]),
    "@ itself": lambda o: o @ o,
    "rows @": lambda o: np.sum(np.array([[1.0, 2.0], [3.0, 4.0]]) @ o),
    "np.exp": lambda o: np.sum(np.exp(o)),
    "np.tanh": lambda o: np.sum(np.tanh(o)),
    "np.log1p": lambda o: np.sum(np.log1p(o)),
    "np.maximum": lambda o: np.sum(np.maximum(o, 2.5)),
    "np.max": np.max,
    "np.where": lambda o: np.sum(np.where([True, False], o, 0.0 * o)),
    "operators": lambda o: np.sum(2.0 * o**2 - 1.0 / o),
}


@pytest.mark.parametrize("name", REDUCED)
def test_numpy_computes_with_arrays_of_values(backend, name):
    """Rule 1.27: what comes out has a graph; its gradients are the central differences."""
    a, b = backend.Value(2.0), backend.Value(3.0)
    for array in (np.array([a, b]), np.asarray(backend.Vector([a, b]))):
        assert array.dtype == object and array.shape == (2,)
        a.zero_grad(), b.zero_grad()
        y = REDUCED[name](array)
        assert isinstance(y, backend.Value)
        y.backward()

        def at(*numbers, array=array):
            return float(REDUCED[name](np.array([backend.Value(x) for x in numbers])))

        h = 1e-6
        expected = [
            (at(2 + h, 3) - at(2 - h, 3)) / (2 * h),
            (at(2, 3 + h) - at(2, 3 - h)) / (2 * h),
        ]
        assert [a.grad, b.grad] == pytest.approx(expected, rel=1e-7, abs=1e-7)


TAKEN = {
    "Vector": lambda m, o: m.Vector(o).sum(),
    "Vector *": lambda m, o: (m.Vector([1.0, 2.0]) * o).sum(),
    "* Vector": lambda m, o: (o * m.Vector([1.0, 2.0])).sum(),
    "rows": lambda m, o: m.Vector(np.array([o, o])).sum(),
    "dot": lambda m, o: m.dot(o, [3.0, -1.0]),
    "linear": lambda m, o: m.linear([1.0, 2.0], np.array([o, o])).sum(),
    "softmax": lambda m, o: (m.softmax(o) * [1.0, 2.0]).sum(),
    "mean": lambda m, o: m.mean(o),
    "mse_loss": lambda m, o: m.mse_loss(o, [0.0, 1.0]),
    "cross_entropy": lambda m, o: m.cross_entropy(np.array([o, o]), [0, 1]),
    "a layer": lambda m, o: m.Layer(2, 1, "tanh", seed=1)(o),
    "a layer, a batch": lambda m, o: m.Layer(2, 2, "tanh", seed=1)(np.array([o, o])).sum(),
}


@pytest.mark.parametrize("name", TAKEN)
def test_arrays_of_values_are_taken_as_sequences(backend, name):
    """Rules 1.21 and 1.27: an array gives the values and the gradients that a list does."""

    def run(as_given):
        values = [backend.Value(2.0), backend.Value(3.0)]
        y = TAKEN[name](backend.module, as_given(values))
        y.backward()
        return [y.data, *(v.grad for v in values)]

    found = run(np.array)
    expected = run(lambda values: np.asarray(backend.Vector(values)))
    assert found == expected and found[1:] != [0.0, 0.0]
    if "rows" not in name and "batch" not in name and name not in ("linear", "cross_entropy"):
        if not name.startswith("*"):
            assert found == run(list)


def test_the_numbers_of_a_vector_as_an_array(backend):
    """Rule 1.27: a copy, in the dtype that is asked for."""
    v, rows = backend.Vector([1.5, -2.0]), backend.Vector([[1.0, 2.0], [3.0, 4.0]])
    for dtype in (float, np.float32):
        found = np.asarray(v, dtype=dtype)
        assert (
            found.dtype == dtype and found.tolist() == np.array([1.5, -2.0]).astype(dtype).tolist()
        )
        assert np.array(rows, dtype=dtype).tolist() == [[1, 2], [3, 4]]
    np.asarray(v, dtype=float)[0] = 9.0
    assert floats(v.data) == [1.5, -2.0]
    assert np.asarray(backend.Value(2.5), dtype=float) == 2.5
    assert np.asarray(rows).shape == (2, 2) and np.asarray(rows)[1, 0].data == 3.0


@pytest.mark.parametrize("ufunc", [np.exp, np.tanh, np.sqrt, np.isfinite])
def test_a_ufunc_of_a_value_is_refused(backend, ufunc):
    """Rule 1.27."""
    for x in (backend.Value(1.0), backend.Vector([1.0, 2.0])):
        with pytest.raises(TypeError, match="does not support ufuncs"):
            ufunc(x)
