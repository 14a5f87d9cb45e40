"""Value: a number, and what can be done with it without gradients."""

import math
import numbers

import pytest

from cases.bad_inputs import NUMBERS, of_chapter
from cases.numbers import same
from cases.refusals import check_refusal


@pytest.mark.parametrize(
    "number", [2.0, -0.5, 0.0, -0.0, 1e300, 5e-324, math.inf, -math.inf, math.nan]
)
def test_holds_a_float(backend, number):
    """Rule 1.1: the first step. `Value(2.0).data` is 2.0, nan and inf are allowed."""
    v = backend.Value(number)
    assert type(v.data) is float, f"data is a {type(v.data).__name__}, expected a float"
    assert same(v.data, number), f"Value({number!r}).data is {v.data!r}"


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: f"{type(n).__name__} {n}")
def test_takes_any_real_number(backend, number):
    """Rule 1.1: int, bool and whatever has __float__ become floats, else ints leak into the
    gradients.
    """
    v = backend.Value(number)
    assert type(v.data) is float, (
        f"data is a {type(v.data).__name__}: call float() on what is given"
    )
    assert v.data == float(number)


def test_takes_an_index(backend):
    """Rule 1.1: what has `__index__` alone is a number too."""

    class Three:
        def __index__(self):
            return 3

    assert backend.Value(Three()).data == 3.0, "float() takes what has __index__, so Value should"


def test_starts_with_no_gradient_and_no_history(backend):
    """Rule 1.3: a leaf has grad 0.0, no operation, no operands and no label."""
    v = backend.Value(2)
    assert v.grad == 0.0 and type(v.grad) is float, f"grad starts as {v.grad!r}, expected 0.0"
    assert v.op == "", f"op of a leaf is {v.op!r}, expected ''"
    assert v.operands == (), f"operands of a leaf are {v.operands!r}, expected ()"
    assert v.label == "", f"label is {v.label!r}, expected ''"


def test_label(backend):
    """Rule 1.3: a name to show in drawings, given when it is made or later."""
    v = backend.Value(2.0, label="x")
    assert v.label == "x"
    v.label = "y"
    assert v.label == "y"


def test_data_and_grad_can_be_set(backend):
    """Rule 1.3: an optimiser writes `p.data`, a learner writes `p.grad`; both stay floats."""
    v = backend.Value(2.0)
    v.data, v.grad = 3, True
    assert (v.data, v.grad) == (3.0, 1.0)
    assert type(v.data) is float and type(v.grad) is float, (
        "set from an int, data and grad stay floats"
    )
    v.data -= 0.5
    v.grad += 1.5
    assert (v.data, v.grad) == (2.5, 2.5)


def test_operands_and_op(backend):
    """Rules 1.3 and 1.5: a result knows its operation and its operands, in order, as a tuple."""
    a, b = backend.Value(2.0), backend.Value(3.0)
    c = a - b
    assert c.op == "-", f"op of a - b is {c.op!r}, expected '-'"
    assert isinstance(c.operands, tuple), (
        f"operands are a {type(c.operands).__name__}: a tuple keeps their order"
    )
    assert len(c.operands) == 2 and c.operands[0] is a and c.operands[1] is b, (
        "operands of a - b are (a, b)"
    )


def test_an_operand_used_twice_counts_twice(backend):
    """Rule 1.3: `a + a` has two operands. A set would lose one, and the order of the sums with it."""
    a = backend.Value(2.0)
    c = a + a
    assert len(c.operands) == 2, (
        f"operands of a + a are {c.operands!r}, expected (a, a): keep them in a tuple"
    )
    many = [backend.Value(float(i)) for i in range(20)]
    for x, y in zip(many, reversed(many), strict=True):
        first, second = (x * y).operands
        assert first is x and second is y, (
            "operands of x * y are (x, y), in this order: keep them in a tuple"
        )


def test_micrograd_names(backend):
    """Rule 1.3: scripts that draw with micrograd's `_op` and `_prev` run unchanged."""
    a = backend.Value(2.0)
    b = a * 3.0
    assert b._op == b.op and b._prev == b.operands


def test_prints(backend):
    """Rule 1.4."""
    v = backend.Value(2) / backend.Value(2.3)
    assert repr(v) == "Value(0.8695652173913044, grad=0.0)", "repr shows data and grad"
    v.grad = -1.5
    assert repr(v) == f"{v}" == "Value(0.8695652173913044, grad=-1.5)"
    assert f"{v:.4f}" == "0.8696", "formatting a Value formats its data"
    assert f"{v:8.2e}" == "8.70e-01"
    assert repr(backend.Value(math.nan)) == "Value(nan, grad=0.0)"


def test_arithmetic(backend):
    """Rule 1.5: the documented example x = 2, y = 2.3."""
    x, y = backend.Value(2), backend.Value(2.3)
    assert (x / y).data == 0.8695652173913044
    assert (2 + x).data == 4.0, "a number on the left needs __radd__"
    assert (x**3).data == 8.0
    assert (x - y).data == 2 - 2.3 and (x * y).data == 2 * 2.3 and (x + y).data == 4.3
    assert (-x).data == -2.0 and abs(-x).data == 2.0
    assert +x is x, "+x is x itself"


ON_EITHER_SIDE = {
    name: (apply, expected)
    for name, apply, expected in (
        ("2 + v", lambda v: 2 + v, 5.0),
        ("2 - v", lambda v: 2 - v, -1.0),
        ("2 * v", lambda v: 2 * v, 6.0),
        ("2 / v", lambda v: 2 / v, 2 / 3),
        ("2 ** v", lambda v: 2**v, 8.0),
        ("v + 2", lambda v: v + 2, 5.0),
        ("v - 2", lambda v: v - 2, 1.0),
        ("v * 2", lambda v: v * 2, 6.0),
        ("v / 2", lambda v: v / 2, 1.5),
        ("v ** 2", lambda v: v**2, 9.0),
        ("v ** v", lambda v: v**v, 27.0),
    )
}


@pytest.mark.parametrize("name", ON_EITHER_SIDE)
def test_numbers_on_either_side(backend, name):
    """Rule 1.5: Python calls the reflected method (`__rsub__`, `__rtruediv__`…) for a number on the
    left.
    """
    apply, expected = ON_EITHER_SIDE[name]
    got = apply(backend.Value(3.0))
    assert isinstance(got, backend.Value), f"{name} is a {type(got).__name__}, expected a Value"
    assert got.data == expected, (
        f"{name} with v = 3 is {got.data!r}, expected {expected!r}: mind which side is which"
    )
    assert type(got.data) is float


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: f"{type(n).__name__} {n}")
def test_any_real_number_is_an_operand(backend, number):
    """Rules 1.5 and 1.9: an operand may be whatever `Value(number)` takes."""
    v = backend.Value(3.0)
    assert (v + number).data == 3.0 + float(number)
    assert (number * v).data == float(number) * 3.0
    assert (number - v).data == float(number) - 3.0


@pytest.mark.parametrize(
    ("apply", "op"),
    [
        (lambda v: v + 1, "+ 1.0"),
        (lambda v: 1 + v, "+ 1.0"),
        (lambda v: v - 1, "- 1.0"),
        (lambda v: 1 - v, "1.0 -"),
        (lambda v: v * 2, "* 2.0"),
        (lambda v: 2 * v, "* 2.0"),
        (lambda v: v / 2, "/ 2.0"),
        (lambda v: 10.0 / v, "10.0 /"),
        (lambda v: v**3, "** 3.0"),
        (lambda v: 2**v, "2.0 **"),
        (lambda v: v.maximum(2), "maximum 2.0"),
        (lambda v: v.minimum(2), "minimum 2.0"),
        (lambda v: v + True, "+ 1.0"),
        (lambda v: v * -0.5, "* -0.5"),
        (lambda v: v + math.inf, "+ inf"),
        (lambda v: v * 1e-20, "* 1e-20"),
        (lambda v: v**0.5, "** 0.5"),
        (lambda v: 0.0 + v, "+ 0.0"),
        (lambda v: v + 0, "+ 0.0"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_number_is_part_of_the_operation(backend, apply, op):
    """Rule 1.6: a plain number makes no node of its own; the operation carries it in its name."""
    v = backend.Value(3.0)
    got = apply(v)
    assert got.op == op, f"op is {got.op!r}, expected {op!r}"
    assert got.operands == (v,), (
        f"operands are {got.operands!r}, expected the one Value: the number is no node"
    )


def test_names_of_operations(backend):
    """Rule 1.5: the names of the operations between Values."""
    a, b = backend.Value(2.0), backend.Value(3.0)
    names = {
        "+": a + b, "-": a - b, "*": a * b, "/": a / b, "**": a**b, "neg": -a, "abs": abs(a),
        "maximum": a.maximum(b), "minimum": a.minimum(b),
    }  # fmt: skip
    for name, value in names.items():
        assert value.op == name, f"op is {value.op!r}, expected {name!r}"


def test_the_builtin_sum(backend):
    """Rule 1.6: `sum` begins with the int 0, and 0 + v is v: no node is made for it."""
    v = backend.Value(3.0)
    assert sum([v]) is v, "0 + v with the int 0 is v itself: let __radd__ return self for it"
    assert sum([v, v]).operands == (v, v)


def test_compares_data(backend):
    """Rule 1.8: < <= > >= compare data, with a Value or a number on either side."""
    a, b = backend.Value(2.0), backend.Value(3.0)
    assert a < b and a <= b and b > a and b >= a and not a > b and not a >= b
    assert a < 3 and a <= 2.0 and a > 1 and a >= 2 and not a > 2.0
    assert 1 < a and 2 <= a and 3 > a and not 2 > a
    nan = backend.Value(math.nan)
    assert not nan < a and not nan >= a and not a <= nan


def test_equality_is_identity(backend):
    """Rule 1.8: two nodes are never equal, so Values can be keys of a dict and members of a set."""
    a, b = backend.Value(2.0), backend.Value(2.0)
    assert a == a and a != b and not a == b, "== means the same node, not the same data"
    assert a != 2.0, "a Value is not equal to a number"
    assert len({a, b, a}) == 2, "hash is identity"


def test_float_and_bool(backend):
    """Rule 1.8: both read data."""
    v = backend.Value(2.5)
    assert (
        float(v) == 2.5
        and bool(v)
        and not bool(backend.Value(0.0))
        and not bool(backend.Value(-0.0))
    )
    assert bool(backend.Value(math.nan)), "bool(nan) is True in Python"
    assert math.sqrt(backend.Value(9.0)) == 3.0


def test_detach(backend):
    """Rule 1.13: a new leaf with the same data."""
    v = backend.Value(2.0) * 3.0
    d = v.detach()
    assert d is not v and d.data == 6.0 and d.operands == () and d.op == "" and d.grad == 0.0


def test_compares_with_an_index(backend):
    """Rules 1.1 and 1.8: what has `__index__` alone is a number here too."""

    class Three:
        def __index__(self):
            return 3

    v = backend.Value(3.0)
    assert v <= Three() and v >= Three() and not v < Three() and not v > Three()


def test_what_is_no_real_number(backend):
    """Rules 1.1 and 1.9: neither a complex number nor an array, though float() may take them."""

    class OneComplex(numbers.Complex):
        """As NumPy's complex numbers: `float` drops the imaginary part."""

        def __float__(self):
            return 1.0

    OneComplex.__abstractmethods__ = frozenset()

    class OneElement:
        """As an array of one element."""

        ndim = 1

        def __float__(self):
            return 1.0

    for thing in (OneComplex(), *(() if backend.arrays else (OneElement(),))):
        with pytest.raises(TypeError, match="^Value needs a real number, got .*One"):
            backend.Value(thing)
        with pytest.raises(TypeError, match="not supported between instances"):
            assert backend.Value(2.0) < thing


@pytest.mark.parametrize("case", of_chapter("value"), ids=str)
def test_refuses(backend, case):
    """Bad input is answered with the error that the interface names, and says what came."""
    check_refusal(backend, case)
