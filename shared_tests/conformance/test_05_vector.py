"""Vector: many Values with elementwise arithmetic."""

import copy
import math
import pickle

import pytest

from cases.bad_inputs import of_chapter
from cases.numbers import all_close, close, floats, nested, same, worst
from cases.operations import BINARY, UNARY
from cases.refusals import check_refusal

A, B = (1.5, -2.0, 0.25), (0.5, 3.0, 2.0)


def expect(what, got, expected):
    assert all_close(got, expected), f"{what}: {worst(got, expected)}"


def test_is_a_sequence_of_values(backend):
    """Rules 1.20 and 1.23: numbers become leaves; len, iteration, an index, a slice, `in`."""
    v = backend.Vector([1, 2.5, True])
    assert len(v) == 3
    assert [x.data for x in v] == [1.0, 2.5, 1.0]
    for element in (v[0], v[-1], next(iter(v))):
        assert isinstance(element, backend.Value), (
            f"an element is a {type(element).__name__}, expected a Value"
        )
        assert type(element.data) is float
    assert isinstance(v[1:], backend.Vector) and floats(v[1:].data) == [2.5, 1.0]
    assert floats(v[::-1].data) == [1.0, 2.5, 1.0]
    assert v[-1].data == 1.0
    with pytest.raises(IndexError):
        v[3]


def test_keeps_the_values_it_is_given(backend):
    """Rule 1.20: a Vector of results is part of their graph."""
    a, b = backend.Value(2.0), backend.Value(3.0)
    v = backend.Vector([a * b, a, 4.0])
    (v * v).sum().backward()
    expect("a.grad", a.grad, 2 * 6 * 3 + 2 * 2)
    expect("b.grad", b.grad, 2 * 6 * 2)


def test_membership_is_identity(backend):
    """Rule 1.23."""
    if not backend.arrays:
        a = backend.Value(1.0)
        v = backend.Vector([a, 2.0])
        assert a in v and backend.Value(1.0) not in v
    assert backend.Value(7.0) not in backend.Vector([7.0])


def test_from_any_iterable(backend):
    """Rule 1.20."""
    assert floats(backend.Vector((1.0, 2.0)).data) == [1.0, 2.0]
    assert floats(backend.Vector(range(3)).data) == [0.0, 1.0, 2.0]
    assert floats(backend.Vector(backend.Vector([1.0, 2.0])).data) == [1.0, 2.0]
    assert len(backend.Vector([])) == 0


def test_data_and_grad(backend):
    """Rule 1.23: read as a list, set from a number (all) or a sequence of the same length."""
    v = backend.Vector([1.0, 2.0])
    assert nested(v.data) == [1.0, 2.0] and nested(v.grad) == [0.0, 0.0]
    v.data = [3, 4.0]
    v.grad = 0.5
    assert nested(v.data) == [3.0, 4.0] and nested(v.grad) == [0.5, 0.5]
    v.data = 7
    assert nested(v.data) == [7.0, 7.0]
    assert v[1].data == 7.0 and v[1].grad == 0.5, "v[i].data is v.data[i]"
    v[0].data, v[1].grad = 1.0, 2.0
    assert nested(v.data) == [1.0, 7.0] and nested(v.grad) == [0.5, 2.0], (
        "written through v[i] as well"
    )


def test_a_bad_assignment_changes_nothing(backend):
    """Rule 1.23: all is checked before the first is set."""
    v = backend.Vector([1.0, 2.0])
    for bad in ([3.0, "x"], [3.0], None):
        with pytest.raises((TypeError, ValueError)):
            v.data = bad
    assert nested(v.data) == [1.0, 2.0]


def test_prints_as_a_list_of_values(backend):
    """Rule 1.24."""
    v = backend.Vector([1.0, 2.5])
    assert repr(v) == "[Value(1.0, grad=0.0), Value(2.5, grad=0.0)]"


@pytest.mark.parametrize("function", UNARY, ids=str)
def test_functions(backend, function):
    """Rule 1.21: each function of a Value over each element."""
    points = [x for x in function.points if abs(x) < 1e4]
    v = backend.Vector(points)
    y = function.apply(v)
    assert isinstance(y, backend.Vector) and len(y) == len(points)
    expect(f"{function} of a Vector", y.data, [function.value(x) for x in points])
    y.backward()
    expect(
        f"gradients of {function}", v.grad, [function.slope(x, function.value(x)) for x in points]
    )


OPERANDS = {
    "a Vector": lambda m: m.Vector(B),
    "a Value": lambda m: m.Value(0.5),
    "a number": lambda m: 0.5,
    "an int": lambda m: 2,
    "a list": lambda m: list(B),
    "a tuple": lambda m: B,
    "a list with a Value": lambda m: [m.Value(0.5), 3, 2.0],
}


@pytest.mark.parametrize("operation", BINARY, ids=str)
@pytest.mark.parametrize("other", OPERANDS)
def test_arithmetic(backend, operation, other):
    """Rule 1.21: with a Vector, a Value, a number or a sequence, on either side, elementwise."""
    for swap in (False, True) if operation.operator else (False,):
        v, w = backend.Vector([abs(x) for x in A]), OPERANDS[other](backend)
        y = operation.apply(w, v) if swap else operation.apply(v, w)
        what = f"{other} {operation} Vector" if swap else f"Vector {operation} {other}"
        assert isinstance(y, backend.Vector), f"{what} is a {type(y).__name__}"
        a = floats(v)
        b = floats(w) if not isinstance(w, list) else [float(x) for x in w]
        b = b * 3 if len(b) == 1 else b
        pairs = list(zip(b, a, strict=True)) if swap else list(zip(a, b, strict=True))
        values = [operation.value(*pair) for pair in pairs]
        expect(what, y.data, values)
        y.backward()
        slopes = [operation.slopes(*pair, value) for pair, value in zip(pairs, values, strict=True)]
        expect(f"gradient of {what}", v.grad, [slope[int(swap)] for slope in slopes])
        if other == "a Value":
            expect(
                f"the Value's gradient of {what}",
                w.grad,
                sum(slope[1 - int(swap)] for slope in slopes),
            )
        if other == "a Vector":
            expect(
                f"the other Vector's gradient of {what}",
                w.grad,
                [slope[1 - int(swap)] for slope in slopes],
            )


def test_signs(backend):
    """Rule 1.21."""
    v = backend.Vector(A)
    assert floats((-v).data) == [-1.5, 2.0, -0.25] and floats(abs(v).data) == [1.5, 2.0, 0.25]
    assert floats((+v).data) == list(A)


def test_reductions(backend):
    """Rule 1.22: sum, mean, max and min are one operation each."""
    for name, value, grad in (
        ("sum", -0.25, [1.0, 1.0, 1.0]),
        ("mean", -0.25 / 3, [1 / 3] * 3),
        ("max", 1.5, [1.0, 0.0, 0.0]),
        ("min", -2.0, [0.0, 1.0, 0.0]),
    ):
        v = backend.Vector(A)
        y = getattr(v, name)()
        assert isinstance(y, backend.Value) and type(y.data) is float
        expect(name, y.data, value)
        assert y.op == name, f"op is {y.op!r}, expected {name!r}"
        y.backward(2.0)
        expect(f"gradient of {name}", v.grad, [2 * g for g in grad])


def test_ties_share(backend):
    """Rule 1.22: where several are largest they share the gradient equally."""
    v = backend.Vector([3.0, 1.0, 3.0])
    v.max().backward()
    expect("gradient of max", v.grad, [0.5, 0.0, 0.5])
    v = backend.Vector([3.0, 1.0, 1.0, 1.0])
    v.min().backward()
    expect("gradient of min", v.grad, [0.0, 1 / 3, 1 / 3, 1 / 3])


def test_nan_in_max_and_min(backend):
    """Rule 1.22."""
    for place in range(3):
        numbers = [1.0, 2.0, 3.0]
        numbers[place] = math.nan
        for name in ("max", "min"):
            v = backend.Vector(numbers)
            y = getattr(v, name)()
            y.backward()
            assert math.isnan(y.data)
            assert all(map(math.isnan, floats(v.grad))), f"{name} of nan gives {v.grad}"


def test_sum_of_nothing(backend):
    """Rule 1.22: the sum runs from 0.0."""
    assert same(backend.Vector([]).sum().data, 0.0)


def test_sum_runs_from_left_to_right(backend):
    """Rules 1.17 and 1.22: 1e16 + 1 - 1e16 is 0.0, and the built-in sum would say otherwise from
    Python 3.12.
    """
    v = backend.Vector([1e16, 1.0, -1e16])
    if not backend.arrays:
        assert v.sum().data == 0.0, "add from left to right, with += in a loop"
        assert v.mean().data == 0.0


def test_dot(backend):
    """Rule 1.22: `u @ v` and `u.dot(v)`."""
    for form in (lambda u, v: u @ v, lambda u, v: u.dot(v)):
        u, v = backend.Vector(A), backend.Vector(B)
        y = form(u, v)
        expect("u·v", y.data, 1.5 * 0.5 - 6.0 + 0.5)
        y.backward()
        expect("gradient to u", u.grad, B)
        expect("gradient to v", v.grad, A)
    expect("Vector @ list", (backend.Vector(A) @ list(B)).data, -4.75)
    expect("list @ Vector", (list(A) @ backend.Vector(B)).data, -4.75)


def test_backward(backend):
    """Rule 1.24: one on each element, or what is given."""
    v = backend.Vector(A)
    y = v * 2.0
    y.backward()
    expect("gradient", v.grad, [2.0] * 3)
    y.backward([1.0, 0.0, -1.0])
    expect("gradient after a second call", v.grad, [4.0, 2.0, 0.0])
    expect("y.grad", y.grad, [1.0, 0.0, -1.0])
    y.backward(grad=backend.Vector([1.0, 1.0, 1.0]).data)
    expect("gradient after a third call", v.grad, [6.0, 4.0, 2.0])
    v.zero_grad()
    assert floats(v.grad) == [0.0, 0.0, 0.0]


def test_a_shared_value_gets_from_every_element(backend):
    """Rule 1.24: elements may share their graph."""
    x = backend.Value(3.0)
    v = backend.Vector([x * 1.0, x * 2.0])
    v.backward()
    expect("x.grad", x.grad, 3.0)


def test_backward_of_elements_that_are_made_of_one_another(backend):
    """Rule 1.24: each node hands its gradient down once, with what it got from all that use it."""
    a = backend.Value(3.0)
    y = a * 2.0
    backend.Vector([y, y + 1.0]).backward()
    assert a.grad == 4.0, f"a.grad is {a.grad!r}, expected 4.0: 2 of the one and 2 of the other"
    a.zero_grad()
    backend.Vector([y, y]).backward()
    assert a.grad == 4.0, "an element that is there twice counts twice"


def test_numbers_beside_rows(backend):
    """Rule 1.21: a flat sequence goes with every row, on either side."""
    flat, rows = [1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]]
    assert floats(backend.Vector(flat) + rows) == [2.0, 4.0, 4.0, 6.0]
    assert floats(backend.Vector(rows) - flat) == [0.0, 0.0, 2.0, 2.0]
    assert (flat @ backend.Vector([3.0, 4.0])).data == 11.0
    if not backend.arrays:  # where a number among rows goes with all of its own
        assert floats(backend.Vector(rows) + [flat, 5.0]) == [2.0, 4.0, 8.0, 9.0]
        assert floats(backend.Vector(flat) + [flat, 5.0]) == [2.0, 4.0, 6.0, 7.0]


def test_what_can_be_read_once(backend):
    """Rules 1.20, 1.21 and 1.23."""
    v = backend.Vector(iter(A))
    assert floats(v + iter(B)) == [2.0, 1.0, 2.25]
    v.data = iter(B)
    assert floats(v.data) == list(B)


def test_a_number_that_has_a_method_iter(backend):
    """Rules 1.9 and 1.20: as arrays and tensors of no dimension have."""

    class NoDimension:
        ndim = 0

        def __float__(self):
            return 2.0

        def __iter__(self):
            raise TypeError("iteration over an array of no dimension")

    v = backend.Vector([NoDimension(), 3.0])
    assert floats(v.data) == [2.0, 3.0]
    assert floats((v * NoDimension()).data) == [4.0, 6.0]
    assert floats((v * [NoDimension(), 1.0]).data) == [4.0, 3.0]


def test_detach_and_no_grad(backend):
    """Rules 1.13 and 1.24."""
    v = backend.Vector(A)
    d = (v * 2.0).detach()
    assert isinstance(d, backend.Vector) and floats(d.data) == [3.0, -4.0, 0.5]
    (d * d).sum().backward()
    assert floats(v.grad) == [0.0] * 3, "detach cuts the graph"
    with backend.no_grad():
        y = v * 2.0
    y.sum().backward()
    assert floats(v.grad) == [0.0] * 3, "no_grad holds for Vectors too"


def test_vector_of_vectors(backend):
    """Rules 1.20 to 1.23: a batch of several outputs, row by row."""
    m = backend.Vector([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert len(m) == 3 and isinstance(m[1], backend.Vector) and m[1][0].data == 3.0
    assert nested(m.data) == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    y = (m * m + [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).relu()
    assert nested(y.data) == [[2.0, 4.0], [9.0, 17.0], [26.0, 37.0]]
    expect("sum", y.sum().data, 95.0)
    expect("mean", y.mean().data, 95.0 / 6)
    assert y.max().data == 37.0 and y.min().data == 2.0
    y.sum().backward()
    assert nested(m.grad) == [[2.0, 4.0], [6.0, 8.0], [10.0, 12.0]]
    m.zero_grad()
    y.backward([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]])
    assert nested(m.grad) == [[2.0, 0.0], [0.0, 0.0], [0.0, 24.0]]
    m.data = 1.0
    assert nested(m.data) == [[1.0, 1.0]] * 3


def test_vector_of_vectors_with_other_things(backend):
    """Rule 1.21: a number, a Value, and a Vector of Vectors."""
    m = backend.Vector([[1.0, 2.0], [3.0, 4.0]])
    assert nested((m + 1.0).data) == [[2.0, 3.0], [4.0, 5.0]]
    assert nested((1.0 - m).data) == [[0.0, -1.0], [-2.0, -3.0]]
    x = backend.Value(2.0)
    y = m * x
    assert nested(y.data) == [[2.0, 4.0], [6.0, 8.0]]
    y.backward()
    expect("x.grad", x.grad, 10.0)
    z = m / backend.Vector([[1.0, 2.0], [3.0, 4.0]])
    assert nested(z.data) == [[1.0, 1.0], [1.0, 1.0]]


def test_the_max_margin_loss(backend):
    """The line that the interface shows: (1 - y * scores).relu().mean()."""
    scores, y = backend.Vector([0.5, -2.0, 3.0]), [1.0, -1.0, -1.0]
    loss = (1 - y * scores).relu().mean()
    expect("loss", loss.data, (0.5 + 0.0 + 4.0) / 3)
    loss.backward()
    expect("gradient", scores.grad, [-1 / 3, 0.0, 1 / 3])


def test_a_number_of_a_sequence_is_a_constant(backend):
    """Rule 1.21: traced, `v * [2.0]` is the same graph as `v[0] * 2.0`."""
    v = backend.Vector([1.0, 2.0])
    nodes, _ = backend.trace((v * [2.0, 3.0])[1])
    assert [n.op for n in nodes] == ["", "* 3.0"], f"the operations are {[n.op for n in nodes]}"


def test_elements_behave_as_values(backend):
    """Rule 1.23: an element takes part in scalar arithmetic."""
    v = backend.Vector(A)
    y = v[0] * v[1] + v[2]
    y.backward()
    expect("gradient", v.grad, [-2.0, 1.5, 1.0])
    assert close(float(v[0]), 1.5) and v[0] > v[1]


@pytest.mark.parametrize(
    "how", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))], ids=["deepcopy", "pickle"]
)
def test_copies(backend, how):
    """Rule 1.14: data and grad are kept, the history goes."""
    v = backend.Vector(A) * 2.0
    v.grad = [1.0, 2.0, 3.0]
    c = how(v)
    assert isinstance(c, backend.Vector)
    assert floats(c.data) == floats(v.data) and floats(c.grad) == [1.0, 2.0, 3.0]
    c.data = 0.0
    assert floats(v.data) == [3.0, -4.0, 0.5]


def test_vectors_of_rows_of_rows(backend):
    """Rules 2.1 and 2.3: an operation goes to every scalar, however deep it stands."""
    data = [[[1.0, 2.0]], [[3.0, 4.0]]]
    v, x = backend.Vector(data), backend.Value(2.0)
    y = (v + x) * v - (3.0 - v).tanh()
    y.sum().backward()
    expected = [(a + 2.0) * a - math.tanh(3.0 - a) for a in (1.0, 2.0, 3.0, 4.0)]
    expect("data", [n for block in y.data for row in block for n in row], expected)
    slopes = [2 * a + 3.0 - math.tanh(3.0 - a) ** 2 for a in (1.0, 2.0, 3.0, 4.0)]
    expect("gradient", [n for block in v.grad for row in block for n in row], slopes)
    assert close(x.grad, 10.0)


def test_nothing_at_all(backend):
    """Rule 2.1: of no elements there are none."""
    empty = backend.Vector([])
    for y in (empty * 2.0, empty + [], empty + empty, empty.exp(), backend.concatenate([[], []])):
        assert isinstance(y, backend.Vector) and len(y) == 0


@pytest.mark.parametrize("partner", [2, 2.0])
def test_power_has_no_modulus(backend, partner):
    """As for floats."""
    for base in (backend.Value(2.0), backend.Vector([1.0, 2.0])):
        with pytest.raises(TypeError):
            pow(base, partner, 3)
        with pytest.raises(TypeError):
            pow(partner, base, 3)


def test_special_values_of_arrays_or_errors(backend):
    """Rule 1.25: scalar engines raise as their Values do, arrays follow NumPy without a warning."""
    v = backend.Vector([1.0, 0.0, -1.0])
    if backend.arrays:
        y = v.log()
        assert floats(y.data)[:2] == [0.0, -math.inf] and math.isnan(floats(y.data)[2])
        assert floats((1.0 / v).data) == [1.0, math.inf, -1.0]
        assert floats((v * 1000.0).exp().data) == [math.inf, 1.0, 0.0]
    else:
        with pytest.raises(ValueError, match="outside the function's domain"):
            v.log()
        with pytest.raises(ZeroDivisionError, match="division by zero"):
            1.0 / v
        with pytest.raises(OverflowError, match="too large"):
            (v * 1000.0).exp()


@pytest.mark.parametrize("case", of_chapter("vector"), ids=str)
def test_refuses(backend, case):
    """Bad input is answered with the error that the interface names, and says what came."""
    check_refusal(backend, case)
