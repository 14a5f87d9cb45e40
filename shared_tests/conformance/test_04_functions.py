"""Every operation: value, derivative, PyTorch's opinion, and what happens at the edges."""

import itertools
import math

import pytest

from cases.bad_inputs import of_chapter
from cases.exact import FUNCTIONS as EXACT
from cases.numbers import close, same
from cases.operations import BINARY, EDGE_PAIRS, ORDINARY, UNARY, expected_binary
from cases.refusals import check_refusal
from reference import torch

each_function = pytest.mark.parametrize("function", UNARY, ids=str)
each_operation = pytest.mark.parametrize("operation", BINARY, ids=str)

# Known values and derivatives, computed with mpmath to 40 digits and rounded to double.
KNOWN = [
    ("exp", 2.0, 7.38905609893065, 7.38905609893065),
    ("log", 0.1, -2.3025850929940455, 10.0),
    ("tanh", 0.5, 0.46211715726000974, 0.7864477329659274),
    ("tanh", 3.0, 0.9950547536867305, 0.00986603716544019),
    ("sigmoid", -3.0, 0.04742587317756678, 0.04517665973091213),
    ("sigmoid", 3.0, 0.9525741268224333, 0.04517665973091213),
    ("sigmoid", -710.0, 4.47628622567513e-309, None),
    ("softplus", 3.0, 3.048587351573742, 0.9525741268224333),
    ("softplus", 800.0, 800.0, 1.0),
    ("gelu", 1.0, 0.8413447460685429, 1.0833154705876864),
    ("atanh", 0.5, 0.5493061443340549, 4 / 3),
    ("asinh", 0.5, 0.48121182505960347, 0.8944271909999159),
    ("log1p", 1e-10, 9.999999999500001e-11, None),
]


def slope_at(backend, function, x):
    v = backend.Value(x)
    y = function(v)
    y.backward()
    return y.data, v.grad


@pytest.mark.parametrize(("name", "x", "value", "slope"), KNOWN)
def test_known_values(backend, name, x, value, slope):
    """Values and derivatives that were computed to forty digits."""
    # The last digit of a library's function may be off; 4e-16 is less than two units of it.
    y, dy = slope_at(backend, lambda v: getattr(v, name)(), x)
    assert close(y, value, 4e-16), f"{name}({x}) is {y!r}, expected {value!r}"
    assert slope is None or close(dy, slope, 1e-13), (
        f"the slope of {name} at {x} is {dy!r}, expected {slope!r}"
    )


@each_function
def test_values(backend, function):
    """Rule 1.7."""
    for x in function.points:
        v = backend.Value(x)
        y = function.apply(v)
        assert close(y.data, function.value(x)), (
            f"{function}({x}) is {y.data!r}, expected {function.value(x)!r}"
        )
        assert type(y.data) is float
        assert y.op == function.op, f"op is {y.op!r}, expected {function.op!r}"
        assert y.operands == (v,), (
            f"operands of {function} are {y.operands!r}, expected the one Value: one node a function"
        )


@each_function
def test_derivatives(backend, function):
    """Rule 1.16: the table of local gradients."""
    for x in function.points:
        y, dy = slope_at(backend, function.apply, x)
        expected = function.slope(x, function.value(x))
        assert close(dy, expected), (
            f"the derivative of {function} at {x} is {dy!r}, expected {expected!r} "
            f"({abs(dy - expected) / max(abs(expected), 1e-300):.2g} off)"
        )


@pytest.mark.pytorch
@pytest.mark.parametrize("function", [f for f in UNARY if f.torch], ids=str)
def test_agrees_with_pytorch(backend, function):
    """Values and gradients of PyTorch in float64."""
    theirs = getattr(torch, function.torch, None) or getattr(torch.nn.functional, function.torch)
    for x in function.points:
        if x in (0.999999, 1.000001):
            continue  # so near to a pole PyTorch's formula loses digits that (1 - x)(1 + x) keeps
        t = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        u = theirs(t)
        u.backward()
        y, dy = slope_at(backend, function.apply, x)
        assert close(y, u.item()), f"{function}({x}) is {y!r}, PyTorch says {u.item()!r}"
        # 1 - y·y and its kin lose digits where y is close to 1; so do PyTorch's, but others.
        assert close(dy, t.grad.item(), 1e-12, 1e-16), (
            f"the slope of {function} at {x} is {dy!r}, PyTorch says {t.grad.item()!r}"
        )


# PyTorch's abs stops a nan, and its sigmoid underflows where e^-x is infinite (rule 1.16).
UNLIKE_PYTORCH = (("abs", math.nan), ("sigmoid", -710.0))


@pytest.mark.pytorch
@each_function
def test_special_values_agree_with_pytorch(backend, function):
    """Rule 1.16: at the edges too values and slopes are PyTorch's."""
    theirs = {f.name: f.torch for f in EXACT}[function.name]
    for x, *expected in function.special:
        if len(expected) < 2 or any(function.name == f and same(x, at) for f, at in UNLIKE_PYTORCH):
            continue
        t = torch.tensor(float(x), dtype=torch.float64, requires_grad=True)
        u = theirs(t)
        u.backward()
        y, dy = slope_at(backend, function.apply, x)
        assert close(y, u.item()), f"{function}({x}) is {y!r}, PyTorch says {u.item()!r}"
        assert close(dy, t.grad.item()), (
            f"the slope of {function} at {x} is {dy!r}, PyTorch says {t.grad.item()!r}"
        )


def test_where_engines_differ(backend):
    """Rules 1.10, 1.15 and 1.16: what others decide otherwise."""
    with pytest.raises(ZeroDivisionError):
        1 / backend.Value(0.0)
    with pytest.raises(ValueError):
        backend.Value(-8.0) ** (1 / 3)
    with pytest.raises(OverflowError):
        backend.Value(1e200) ** 2
    huge = backend.Value(1e200)
    assert (huge * huge).data == math.inf
    for y, x in ((lambda v: v**0.0, 0.0), (lambda v: 0.0**v, 0.0)):
        assert slope_at(backend, y, x) == (1.0, 0.0), "0 to the power of 0 is 1, its slope 0"
    assert slope_at(backend, lambda v: v + v, 3.0) == (6.0, 2.0), "both edges count"
    assert slope_at(backend, lambda v: v * v, 3.0) == (9.0, 6.0)
    assert slope_at(backend, lambda v: v.relu(), 0.0) == (0.0, 0.0)
    x = backend.Value(3.0)
    y = x * x * x
    y.backward()
    assert x.grad == 27.0
    y.backward()
    assert x.grad == 54.0, "leaves accumulate, the nodes between start from zero"


def special(kind):
    return [
        pytest.param(function, *case, id=f"{function} at {case[0]!r}")
        for function in UNARY
        for case in function.special
        if (len(case) == 2) is (kind == "error")
    ]


@pytest.mark.parametrize(("function", "x", "value", "slope"), special("value"))
def test_special_values(backend, function, x, value, slope):
    """Zeros of both signs, infinities, nan, huge, tiny, and exactly at a kink (rules 1.15 and
    1.16).
    """
    y, dy = slope_at(backend, function.apply, x)
    fixed_sign = isinstance(value, float)  # an int in the table leaves the sign of a zero open
    assert same(y, value) if fixed_sign and value == 0 else close(y, value), (
        f"{function}({x!r}) is {y!r}, expected {value!r}"
    )
    if slope is not None:
        assert close(dy, slope), (
            f"the slope of {function} at {x!r} is {dy!r}, expected {float(slope)!r}"
        )


@pytest.mark.parametrize(("function", "x", "error"), special("error"))
def test_errors_follow_python(backend, function, x, error):
    """Rule 1.15: what Python's `math` raises, with the operation and the data in the message."""
    kind, why = error
    with pytest.raises(kind) as caught:
        got = function.apply(backend.Value(x))
        pytest.fail(f"{function}({x!r}) gave {got!r}, expected {kind.__name__}", pytrace=False)
    assert str(caught.value) == f"cannot compute {function}({x!r}): {why}"


FORMS = ("Value, Value", "Value, number", "number, Value")


def run_binary(backend, operation, form, a, b):
    """(y, dy/da, dy/db), None for the slope to a number, or the exception."""
    x = a if form == "number, Value" else backend.Value(a)
    z = b if form == "Value, number" else backend.Value(b)
    try:
        y = operation.apply(x, z)
    except ArithmeticError as error:
        return error
    except ValueError as error:
        return error
    y.backward()
    return y.data, getattr(x, "grad", None), getattr(z, "grad", None)


def check_binary(backend, operation, form, a, b):
    """What is wrong with one operation on one pair of numbers, or None."""
    expected = expected_binary(operation, a, b)
    got = run_binary(backend, operation, form, a, b)
    what = f"{operation.expression(a, b)} ({form})"
    if isinstance(expected, tuple):
        kind, why = expected
        message = f"cannot compute {operation.expression(a, b)}: {why}"
        if type(got) is not kind:
            return f"{what} gave {got!r}, expected {kind.__name__}"
        return None if str(got) == message else f"{what} says {str(got)!r}, expected {message!r}"
    if isinstance(got, Exception):
        return f"{what} raised {got!r}, expected {expected!r}"
    if not close(got[0], expected):
        return f"{what} is {got[0]!r}, expected {expected!r}"
    for side, slope, right in zip("left", got[1:], operation.slopes(a, b, expected), strict=False):
        if slope is not None and not close(slope, right):
            return f"{what}: the slope to the {'left' if side == 'l' else 'right'} operand is {slope!r}, expected {right!r}"
    return None


@each_operation
@pytest.mark.parametrize("form", FORMS)
def test_operators(backend, operation, form):
    """Rules 1.5 and 1.16: value and slopes of the operators and maximum and minimum."""
    if form == "number, Value" and not operation.operator:
        form = "Value, number"  # maximum is a method: a number cannot stand on its left
    for a, b in ORDINARY:
        try:
            expected_binary(operation, a, b)
        except ValueError:
            continue
        complaint = check_binary(backend, operation, form, a, b)
        assert complaint is None, complaint


@each_operation
@pytest.mark.parametrize("form", FORMS)
def test_operators_at_the_edges(backend, operation, form):
    """Rules 1.15 and 1.16: every pair of 0.0, -0.0, ±1, ±inf, nan, huge and tiny numbers."""
    if form == "number, Value" and not operation.operator:
        form = "Value, number"
    complaints = [check_binary(backend, operation, form, a, b) for a, b in EDGE_PAIRS]
    complaints = [c for c in complaints if c]
    assert not complaints, f"{len(complaints)} pairs, first of all: " + "; ".join(complaints[:3])


# What was given, the data that was set since, and the slopes there: C's, where Python's would raise.
inf, nan = math.inf, math.nan
MOVED = [
    ("sin", 0.5, inf, nan),
    ("cos", 0.5, -inf, nan),
    ("sinh", 0.5, 1000.0, inf),
    ("sinh", 0.5, -1000.0, inf),
    ("cosh", 0.5, 1000.0, inf),
    ("cosh", 0.5, -1000.0, -inf),
    ("log", 2.0, 0.0, inf),
    ("log", 2.0, -0.0, -inf),
    ("log", 2.0, -4.0, -0.25),
    ("log1p", 0.5, -1.0, inf),
    ("asin", 0.5, 2.0, nan),
    ("acos", 0.5, -1.0, -inf),
    ("acosh", 2.0, 0.5, nan),
    ("atanh", 0.5, 1.0, inf),
    ("atanh", 0.5, 3.0, -0.125),
    ("silu", 0.5, -1000.0, 0.0),
]
MOVED_PAIRS = [
    ("/", (1.0, 2.0), (1.0, 0.0), (inf, -inf)),
    ("/", (1.0, 2.0), (1.0, -0.0), (-inf, inf)),
    ("/", (-1.0, 2.0), (1.0, 0.0), (inf, inf)),
    ("/", (0.0, 2.0), (1.0, 0.0), (inf, nan)),
    ("/", (nan, 2.0), (1.0, 0.0), (inf, nan)),
    ("**", (2.0, 3.0), (0.0, -1.0), (-inf, -inf)),
    ("**", (2.0, 3.0), (-0.0, -1.0), (-inf, -inf)),
    ("**", (2.0, 3.0), (0.0, -2.0), (-inf, -inf)),
    ("**", (2.0, 3.0), (-0.0, -2.0), (inf, -inf)),
    ("**", (2.0, 3.0), (-2.0, 0.5), (nan, nan)),
    ("**", (2.0, 3.0), (1e200, 4.0), (inf, 8.0 * math.log(1e200))),
    ("**", (2.0, 3.0), (-1e200, 3.0), (inf, nan)),
    ("**", (2.0, 3.0), (-1e200, 4.0), (-inf, nan)),
    ("**", (2.0, 3.0), (1e-200, -2.0), (-inf, 8.0 * math.log(1e-200))),
]


@pytest.mark.parametrize(("name", "given", "moved", "slope"), MOVED)
def test_slopes_where_data_has_moved(backend, name, given, moved, slope):
    """Rule 1.16: a slope is taken at the data of now, and it never raises."""
    v = backend.Value(given)
    y = getattr(v, name)()
    v.data = moved
    y.backward()
    assert close(v.grad, slope), (
        f"the slope of {name} is {v.grad!r} where x moved from {given} to {moved}, expected {slope!r}"
    )


@pytest.mark.parametrize(("name", "given", "moved", "slopes"), MOVED_PAIRS)
def test_slopes_where_both_operands_have_moved(backend, name, given, moved, slopes):
    """Rule 1.16: the same of the operators; what they gave stays what it was."""
    operation = next(op for op in BINARY if op.name == name)
    a, b = map(backend.Value, given)
    y = operation.apply(a, b)
    a.data, b.data = moved
    y.backward()
    assert close(a.grad, slopes[0]) and close(b.grad, slopes[1]), (
        f"the slopes of {operation.expression(*given)} at {moved} are {a.grad!r} and {b.grad!r}, "
        f"expected {slopes}"
    )


TORCH_OPERATIONS = {
    "+": torch.add, "-": torch.sub, "*": torch.mul, "/": torch.div, "**": torch.pow,
    "maximum": torch.maximum, "minimum": torch.minimum,
}  # fmt: skip


@pytest.mark.pytorch
@each_operation
def test_operators_agree_with_pytorch(backend, operation):
    """Values and gradients of PyTorch in float64, at ordinary numbers and at the edges."""
    for a, b in itertools.chain(ORDINARY, EDGE_PAIRS):
        got = run_binary(backend, operation, FORMS[0], a, b)
        if isinstance(got, Exception):
            continue  # on scalars Python's errors come first
        x, z = (torch.tensor(n, dtype=torch.float64, requires_grad=True) for n in (a, b))
        y = TORCH_OPERATIONS[operation.name](x, z)
        y.backward()
        theirs = (y.item(), x.grad.item(), z.grad.item())
        for what, ours, other in zip(
            ("", "slope to the left", "slope to the right"), got, theirs, strict=True
        ):
            assert close(ours, other), (
                f"{operation.expression(a, b)} {what}: {ours!r}, PyTorch says {other!r}"
            )


@each_operation
def test_same_operand_twice(backend, operation):
    """x op x: both slopes add up."""
    x = backend.Value(1.7)
    operation.apply(x, x).backward()
    left, right = operation.slopes(1.7, 1.7, operation.value(1.7, 1.7))
    assert close(x.grad, left + right), (
        f"the slope of x {operation} x is {x.grad!r}, expected {left + right!r}"
    )


@each_operation
def test_no_grad_of_operators(backend, operation):
    """Rule 1.13: every operator, and with a number on either side."""
    a, b = backend.Value(1.7), backend.Value(2.5)
    with backend.no_grad():
        results = [operation.apply(a, b), operation.apply(a, 2.5)]
        results += [operation.apply(1.7, b)] if operation.operator else []
    for y in results:
        assert y.operands == () and y.op == "", f"{y!r} remembers its operands"
        assert y.data == operation.value(1.7, 2.5)


@each_function
def test_no_grad_of_functions(backend, function):
    """Rule 1.13: every function."""
    with backend.no_grad():
        y = function.apply(backend.Value(function.points[0]))
    assert y.operands == () and y.op == ""


def test_overflow_is_silent_in_sums_and_products(backend):
    """Rule 1.15: float + - * and / overflow to inf, as in Python; ** does not."""
    v = backend.Value(1e308)
    assert (v * 10).data == math.inf and (v + v).data == math.inf and (-v - v).data == -math.inf
    assert (v / 1e-10).data == math.inf
    x = backend.Value(1e200)
    assert (x * x).data == math.inf


def test_relu_of_nan(backend):
    """Rule 1.16: nan stays nan, so that a broken loss is seen."""
    assert math.isnan(backend.Value(math.nan).relu().data), (
        "relu(nan) is nan; `max(0, nan)` would hide it"
    )


@pytest.mark.pytorch
def test_numpy_like_numbers_as_operands(backend):
    """Rule 1.9: a 0-dimensional tensor is a number: what has __float__ takes part."""
    v = backend.Value(3.0)
    assert backend.Value(torch.tensor(2.5)).data == 2.5
    assert (v * torch.tensor(2.0)).data == 6.0


@pytest.mark.parametrize("case", of_chapter("functions"), ids=str)
def test_refuses(backend, case):
    """Bad input is answered with the error that the interface names, and says what came."""
    check_refusal(backend, case)
