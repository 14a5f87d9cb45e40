"""Every bad input that the interface names: what it raises and, where it is fixed, the message."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from cases.contract import ACTIVATIONS

inf, nan = math.inf, math.nan


@dataclass(frozen=True)
class BadInput:
    chapter: str
    rule: str
    name: str
    call: Callable[[Any], Any]  # of a backend
    error: type[Exception]
    says: tuple[str, ...] = ()  # each is part of the message
    exactly: str = ""  # the whole message
    arrays: bool = True  # whether it is bad for a backend with the tensor extension too

    def __str__(self) -> str:
        return self.name

    def applies_to(self, backend) -> bool:
        return self.arrays or not backend.arrays


BAD_INPUTS: list[BadInput] = []


def bad(chapter, rule, name, error, call, *says, exactly="", arrays=True):
    BAD_INPUTS.append(BadInput(chapter, rule, name, call, error, says, exactly, arrays))


def of_chapter(chapter: str) -> list[BadInput]:
    return [case for case in BAD_INPUTS if case.chapter == chapter]


# Value ---------------------------------------------------------------------------------------

for thing in ("abc", b"ab", None, 1j, object, {}, "1.0"):
    kind = type(thing).__name__
    bad(
        "value",
        "1.1",
        f"Value({thing!r})",
        TypeError,
        lambda m, x=thing: m.Value(x),
        exactly=f"Value needs a real number, got {thing!r} ({kind})" if thing is not object else "",
    )
bad(
    "value",
    "1.1",
    "Value([1.0])",
    TypeError,
    lambda m: m.Value([1.0]),
    exactly="Value needs a real number, got [1.0] (list)",
    arrays=False,
)
bad(
    "value",
    "1.3",
    "data = 'abc'",
    TypeError,
    lambda m: setattr(m.Value(1.0), "data", "abc"),
    exactly="Value needs a real number, got 'abc' (str)",
)
bad(
    "value",
    "1.3",
    "data = None",
    TypeError,
    lambda m: setattr(m.Value(1.0), "data", None),
    exactly="Value needs a real number, got None (NoneType)",
)
bad(
    "value",
    "1.3",
    "grad = 'abc'",
    TypeError,
    lambda m: setattr(m.Value(1.0), "grad", "abc"),
    exactly="Value needs a real number, got 'abc' (str)",
)
bad(
    "value",
    "1.3",
    "label = 3",
    TypeError,
    lambda m: setattr(m.Value(1.0), "label", 3),
    exactly="label must be a str, got 3",
)
bad(
    "value",
    "1.3",
    "Value(1.0, label=3)",
    TypeError,
    lambda m: m.Value(1.0, label=3),
    exactly="label must be a str, got 3",
)
for given, what in (
    ((2,), "operands must be a sequence, got 2 (int)"),
    ((2, "f"), "operands must be a sequence, got 2 (int)"),
    (((), "f", "", 3), "local_grads must be a sequence, got 3 (int)"),
):
    bad(
        "value",
        "1.2",
        f"Value(1.0, {', '.join(map(repr, given))})",
        TypeError,
        lambda m, given=given: m.Value(1.0, *given),
        exactly=what,
    )
bad("value", "1.3", "op = '+'", AttributeError, lambda m: setattr(m.Value(1.0), "op", "+"))
bad(
    "value", "1.3", "operands = ()", AttributeError, lambda m: setattr(m.Value(1.0), "operands", ())
)
bad("value", "1.3", "_op = '+'", AttributeError, lambda m: setattr(m.Value(1.0), "_op", "+"))
bad("value", "1.3", "_prev = ()", AttributeError, lambda m: setattr(m.Value(1.0), "_prev", ()))

OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}
for sign, apply in OPERATORS.items():
    for thing in ("abc", None, 1j, {}):
        if sign == "*" and thing == "abc":
            continue  # a str repeats itself: Python says "can't multiply sequence by non-int"
        bad(
            "value",
            "1.9",
            f"Value {sign} {thing!r}",
            TypeError,
            lambda m, f=apply, x=thing: f(m.Value(2.0), x),
            "unsupported operand type(s)",
        )
        if sign == "-" and thing is None or thing == {}:
            bad(
                "value",
                "1.9",
                f"{thing!r} {sign} Value",
                TypeError,
                lambda m, f=apply, x=thing: f(x, m.Value(2.0)),
                "unsupported operand type(s)",
            )
bad("value", "1.9", "Value * 'abc'", TypeError, lambda m: m.Value(2.0) * "abc")
bad("value", "1.9", "'abc' + Value", TypeError, lambda m: "abc" + m.Value(2.0))
bad("value", "1.9", "Value + [1.0]", TypeError, lambda m: m.Value(2.0) + [1.0], arrays=False)
bad(
    "value",
    "1.9",
    "maximum('abc')",
    TypeError,
    lambda m: m.Value(2.0).maximum("abc"),
    exactly="Value needs a real number, got 'abc' (str)",
)
bad(
    "value",
    "1.9",
    "minimum(None)",
    TypeError,
    lambda m: m.Value(2.0).minimum(None),
    exactly="Value needs a real number, got None (NoneType)",
)
for sign, compare in {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}.items():
    for thing in ("abc", None, "2.5"):
        bad(
            "value",
            "1.8",
            f"Value {sign} {thing!r}",
            TypeError,
            lambda m, f=compare, x=thing: f(m.Value(2.0), x),
            f"'{sign}' not supported between instances",
        )

ZERO, DOMAIN, LARGE = (
    "division by zero",
    "outside the function's domain",
    "the result is too large for a float",
)
for name, error, call, expression, why in (
    ("Value(2) / 0", ZeroDivisionError, lambda m: m.Value(2) / 0, "2.0 / 0.0", ZERO),
    (
        "Value(2) / Value(0)",
        ZeroDivisionError,
        lambda m: m.Value(2) / m.Value(0),
        "2.0 / 0.0",
        ZERO,
    ),
    ("1 / Value(0)", ZeroDivisionError, lambda m: 1 / m.Value(0), "1.0 / 0.0", ZERO),
    ("Value(0) / 0", ZeroDivisionError, lambda m: m.Value(0) / 0, "0.0 / 0.0", ZERO),
    ("Value(inf) / -0.0", ZeroDivisionError, lambda m: m.Value(inf) / -0.0, "inf / -0.0", ZERO),
    ("Value(0) ** -1", ZeroDivisionError, lambda m: m.Value(0) ** -1, "0.0 ** -1.0", ZERO),
    ("0 ** Value(-0.5)", ZeroDivisionError, lambda m: 0 ** m.Value(-0.5), "0.0 ** -0.5", ZERO),
    ("Value(-1) ** 0.5", ValueError, lambda m: m.Value(-1) ** 0.5, "-1.0 ** 0.5", DOMAIN),
    (
        "(-8) ** Value(1/3)",
        ValueError,
        lambda m: (-8) ** m.Value(1 / 3),
        f"-8.0 ** {1 / 3!r}",
        DOMAIN,
    ),
    ("Value(1e200) ** 2", OverflowError, lambda m: m.Value(1e200) ** 2, "1e+200 ** 2.0", LARGE),
    ("10.0 ** Value(400)", OverflowError, lambda m: 10.0 ** m.Value(400), "10.0 ** 400.0", LARGE),
    ("Value(-1).log()", ValueError, lambda m: m.Value(-1).log(), "log(-1.0)", DOMAIN),
    ("Value(0).log()", ValueError, lambda m: m.Value(0).log(), "log(0.0)", DOMAIN),
    ("Value(-1).log1p()", ValueError, lambda m: m.Value(-1).log1p(), "log1p(-1.0)", DOMAIN),
    ("Value(-1).sqrt()", ValueError, lambda m: m.Value(-1).sqrt(), "sqrt(-1.0)", DOMAIN),
    ("Value(2).asin()", ValueError, lambda m: m.Value(2).asin(), "asin(2.0)", DOMAIN),
    ("Value(-2).acos()", ValueError, lambda m: m.Value(-2).acos(), "acos(-2.0)", DOMAIN),
    ("Value(inf).sin()", ValueError, lambda m: m.Value(inf).sin(), "sin(inf)", DOMAIN),
    ("Value(-inf).cos()", ValueError, lambda m: m.Value(-inf).cos(), "cos(-inf)", DOMAIN),
    ("Value(inf).tan()", ValueError, lambda m: m.Value(inf).tan(), "tan(inf)", DOMAIN),
    ("Value(1).atanh()", ValueError, lambda m: m.Value(1).atanh(), "atanh(1.0)", DOMAIN),
    ("Value(0.5).acosh()", ValueError, lambda m: m.Value(0.5).acosh(), "acosh(0.5)", DOMAIN),
    ("Value(1000).exp()", OverflowError, lambda m: m.Value(1000).exp(), "exp(1000.0)", LARGE),
    ("Value(1000).expm1()", OverflowError, lambda m: m.Value(1000).expm1(), "expm1(1000.0)", LARGE),
    ("Value(1000).sinh()", OverflowError, lambda m: m.Value(1000).sinh(), "sinh(1000.0)", LARGE),
    ("Value(-1000).cosh()", OverflowError, lambda m: m.Value(-1000).cosh(), "cosh(-1000.0)", LARGE),
):
    bad("functions", "1.15", name, error, call, exactly=f"cannot compute {expression}: {why}")
bad(
    "functions",
    "1.7",
    "leaky_relu('a')",
    TypeError,
    lambda m: m.Value(1.0).leaky_relu("a"),
    exactly="Value needs a real number, got 'a' (str)",
)

# Backward ------------------------------------------------------------------------------------

bad(
    "backward",
    "1.2",
    "operands without local_grads",
    ValueError,
    lambda m: m.Value(1.0, (m.Value(2.0),), "f"),
    exactly="a custom operation needs one local gradient for each operand, got 1 operands and 0 local gradients",
)
bad(
    "backward",
    "1.2",
    "local_grads without operands",
    ValueError,
    lambda m: m.Value(1.0, (), "f", local_grads=(1.0,)),
    exactly="a custom operation needs one local gradient for each operand, got 0 operands and 1 local gradients",
)
for name, arguments, got in (
    ("operands alone", lambda v: {"operands": (v,)}, "1 operands and 0"),
    ("an op alone", lambda v: {"op": "f"}, "0 operands and 0"),
    ("local_grads alone", lambda v: {"local_grads": (1.0,)}, "0 operands and 1"),
    ("empty local_grads alone", lambda v: {"local_grads": ()}, "0 operands and 0"),
):
    bad(
        "backward",
        "1.2",
        name,
        ValueError,
        lambda m, a=arguments: m.Value(1.0, **a(m.Value(2.0))),
        exactly="a custom operation needs one local gradient for each operand, "
        f"got {got} local gradients",
    )
bad(
    "backward",
    "1.2",
    "an op that is no str",
    TypeError,
    lambda m: m.Value(1.0, (m.Value(2.0),), 3, local_grads=(1.0,)),
    exactly="op must be a str, got 3",
)
bad(
    "backward",
    "1.2",
    "two operands, one local gradient",
    ValueError,
    lambda m: m.Value(1.0, (m.Value(2.0), m.Value(3.0)), "f", local_grads=(1.0,)),
    exactly="a custom operation needs one local gradient for each operand, got 2 operands and 1 local gradients",
)
bad(
    "backward",
    "1.2",
    "an operand that is a float",
    TypeError,
    lambda m: m.Value(1.0, (2.0,), "f", local_grads=(1.0,)),
    exactly="an operand must be a Value, got 2.0",
)
bad(
    "backward",
    "1.2",
    "a local gradient that is a str",
    TypeError,
    lambda m: m.Value(1.0, (m.Value(2.0),), "f", local_grads=("1",)),
    exactly="Value needs a real number, got '1' (str)",
)
bad(
    "backward",
    "1.10",
    "backward('one')",
    TypeError,
    lambda m: m.Value(1.0).backward("one"),
    exactly="Value needs a real number, got 'one' (str)",
)

# Vector --------------------------------------------------------------------------------------


def rows(m):
    return m.Vector([[1.0, 2.0], [3.0, 4.0]])


bad(
    "vector",
    "1.20",
    "Vector of rows of 2 and 1",
    ValueError,
    lambda m: m.Vector([[1.0, 2.0], [3.0]]),
    exactly="a Vector needs rows of one length, got 2, 1",
)
bad(
    "vector",
    "1.20",
    "Vector('abc')",
    TypeError,
    lambda m: m.Vector("abc"),
    exactly="Vector needs a sequence of Values, got 'abc' (str)",
)
bad(
    "vector",
    "1.20",
    "Vector(['a'])",
    TypeError,
    lambda m: m.Vector(["a"]),
    exactly="Value needs a real number, got 'a' (str)",
)
bad(
    "vector",
    "1.20",
    "Vector([None])",
    TypeError,
    lambda m: m.Vector([None]),
    exactly="Value needs a real number, got None (NoneType)",
)
for sign, apply in OPERATORS.items():
    bad(
        "vector",
        "1.21",
        f"Vector of 3 {sign} Vector of 2",
        ValueError,
        lambda m, f=apply: f(m.Vector([1.0, 2.0, 3.0]), m.Vector([1.0, 2.0])),
        exactly="a Vector of 3 and one of 2 cannot be combined",
    )
bad(
    "vector",
    "1.21",
    "Vector of 3 + list of 2",
    ValueError,
    lambda m: m.Vector([1.0, 2.0, 3.0]) + [1.0, 2.0],
    exactly="a Vector of 3 and one of 2 cannot be combined",
)
bad(
    "vector",
    "1.21",
    "list of 2 - Vector of 3",
    ValueError,
    lambda m: [1.0, 2.0] - m.Vector([1.0, 2.0, 3.0]),
    exactly="a Vector of 3 and one of 2 cannot be combined",
)
bad(
    "vector",
    "1.21",
    "Vector of 3 maximum list of 2",
    ValueError,
    lambda m: m.Vector([1.0, 2.0, 3.0]).maximum([1.0, 2.0]),
    exactly="a Vector of 3 and one of 2 cannot be combined",
)
bad("vector", "1.21", "Vector + 'abc'", TypeError, lambda m: m.Vector([1.0, 2.0, 3.0]) + "abc")
bad("vector", "1.21", "Vector + b'abc'", TypeError, lambda m: m.Vector([1.0, 2.0, 3.0]) + b"abc")
bad("vector", "1.21", "Vector * None", TypeError, lambda m: m.Vector([1.0, 2.0]) * None)
bad(
    "vector",
    "1.21",
    "Vector + ['a', 'b']",
    TypeError,
    lambda m: m.Vector([1.0, 2.0]) + ["a", "b"],
    exactly="Value needs a real number, got 'a' (str)",
)
bad(
    "vector",
    "1.22",
    "Vector of 3 @ Vector of 2",
    ValueError,
    lambda m: m.Vector([1.0, 2.0, 3.0]) @ m.Vector([1.0, 2.0]),
    exactly="dot of 3 weights and 2 inputs",
)
bad(
    "vector",
    "1.22",
    "Vector of 3 dot list of 2",
    ValueError,
    lambda m: m.Vector([1.0, 2.0, 3.0]).dot([1.0, 2.0]),
    exactly="dot of 3 weights and 2 inputs",
)
for name in ("mean", "max", "min"):
    bad(
        "vector",
        "1.22",
        f"{name}() of nothing",
        ValueError,
        lambda m, f=name: getattr(m.Vector([]), f)(),
        exactly=f"{name} needs at least one Value, got none",
    )
bad(
    "vector",
    "1.23",
    "data = list of another length",
    ValueError,
    lambda m: setattr(m.Vector([1.0, 2.0, 3.0]), "data", [1.0, 2.0]),
    exactly="a Vector of 3 cannot be set from 2 numbers",
)
bad(
    "vector",
    "1.23",
    "grad = list of another length",
    ValueError,
    lambda m: setattr(m.Vector([1.0, 2.0, 3.0]), "grad", [1.0, 2.0]),
    exactly="a Vector of 3 cannot be set from 2 numbers",
)
bad(
    "vector",
    "1.23",
    "data = ['a', 'b']",
    TypeError,
    lambda m: setattr(m.Vector([1.0, 2.0]), "data", ["a", "b"]),
    exactly="Value needs a real number, got 'a' (str)",
)
for thing in ("x", "ab", b"ab", None, {0: 1.0, 1: 2.0}):
    for attribute in ("data", "grad"):
        bad(
            "vector",
            "1.23",
            f"{attribute} = {thing!r}",
            TypeError,
            lambda m, a=attribute, x=thing: setattr(m.Vector([1.0, 2.0]), a, x),
            exactly="a Vector needs a sequence of Values and numbers, "
            f"got {thing!r} ({type(thing).__name__})",
        )
bad("vector", "1.23", "Vector[3]", IndexError, lambda m: m.Vector([1.0, 2.0, 3.0])[3])
bad(
    "vector",
    "1.23",
    "Vector of scalars[-4]",
    IndexError,
    lambda m: m.Vector([1.0, 2.0, 3.0])[-4],
    exactly="a Vector of 3 has no element -4",
    arrays=False,
)
bad(
    "vector",
    "1.23",
    "Vector of scalars['a']",
    TypeError,
    lambda m: m.Vector([1.0, 2.0, 3.0])["a"],
    exactly="a Vector is indexed by integers and slices, got 'a' (str)",
    arrays=False,
)
bad(
    "vector",
    "1.24",
    "backward of another length",
    ValueError,
    lambda m: m.Vector([1.0, 2.0, 3.0]).backward([1.0, 2.0]),
    exactly="a Vector of 3 cannot be set from 2 numbers",
)
bad(
    "vector",
    "1.25",
    "log of a Vector with -1",
    ValueError,
    lambda m: m.Vector([1.0, -1.0]).log(),
    "log(-1.0)",
    arrays=False,
)
bad(
    "vector",
    "1.25",
    "Vector / 0",
    ZeroDivisionError,
    lambda m: m.Vector([1.0, 2.0]) / 0,
    "1.0 / 0.0",
    arrays=False,
)

# functional ----------------------------------------------------------------------------------

bad(
    "functional",
    "2.1",
    "dot of 3 and 2",
    ValueError,
    lambda m: m.dot([1.0, 2.0, 3.0], [1.0, 2.0]),
    exactly="dot of 3 weights and 2 inputs",
)
bad(
    "functional",
    "2.1",
    "dot('ab', [1, 2])",
    TypeError,
    lambda m: m.dot("ab", [1.0, 2.0]),
    exactly="dot needs a sequence of Values and numbers, got 'ab' (str)",
)
bad(
    "functional",
    "2.1",
    "dot(b'ab', [1, 2])",
    TypeError,
    lambda m: m.dot(b"ab", [1.0, 2.0]),
    exactly="dot needs a sequence of Values and numbers, got b'ab' (bytes)",
)
bad(
    "functional",
    "2.1",
    "dot of a Vector of Vectors",
    TypeError,
    lambda m: m.dot(m.Vector([[1.0, 2.0], [3.0, 4.0]]), [1.0, 2.0]),
    "Value needs a real number, got [Value(1.0, ",
    "(Vector)",
    arrays=False,
)
bad(
    "functional",
    "2.1",
    "dot with a bias that is a str",
    TypeError,
    lambda m: m.dot([1.0], [1.0], "b"),
    exactly="Value needs a real number, got 'b' (str)",
)
bad(
    "functional",
    "2.1",
    "dot([None], [1])",
    TypeError,
    lambda m: m.dot([None], [1.0]),
    exactly="Value needs a real number, got None (NoneType)",
)
bad(
    "functional",
    "2.4",
    "linear with 3 inputs for 2",
    ValueError,
    lambda m: m.linear([1.0, 2.0, 3.0], [[1.0, 2.0]]),
    exactly="dot of 2 weights and 3 inputs",
)
bad(
    "functional",
    "2.4",
    "linear with two biases for one row",
    ValueError,
    lambda m: m.linear([1.0], [[1.0]], [1.0, 2.0]),
    exactly="linear with 1 rows of weight and 2 biases",
)
NO_SEQUENCE = "linear needs a sequence of Values and numbers, got "
NO_NUMBER = "Value needs a real number, got "
for name, parts, says in (
    ("weights that are numbers", ([1.0, 2.0], [1.0, 2.0]), NO_SEQUENCE + "1.0 (float)"),
    ("inputs that are one number", (1.0, [[1.0]]), NO_SEQUENCE + "1.0 (float)"),
    ("a number among rows of weights", ([1.0, 2.0], [[1.0, 2.0], 3.0]), NO_SEQUENCE + "3.0 (float)"),
    ("rows within rows of weights", ([1.0, 2.0], [[[1.0, 2.0]]]), NO_NUMBER + "[1.0, 2.0] (list)"),
    ("a bias that is a number", ([1.0], [[1.0]], 5.0), NO_SEQUENCE + "5.0 (float)"),
    ("a row of biases", ([1.0], [[1.0]], [[5.0]]), NO_NUMBER + "[5.0] (list)"),
    ("a row among inputs", ([1.0, [2.0]], [[1.0, 2.0]]), NO_NUMBER + "[2.0] (list)"),
    ("an input among rows", ([[1.0, 2.0], 3.0], [[1.0, 2.0]]), NO_SEQUENCE + "3.0 (float)"),
):
    bad(
        "functional",
        "2.4",
        f"linear with {name}",
        TypeError,
        lambda m, p=parts: m.linear(*p),
        exactly=says,
    )
bad(
    "functional",
    "2.1",
    "dot with a row among inputs",
    TypeError,
    lambda m: m.dot([1.0, 2.0], [1.0, [2.0]]),
    exactly="Value needs a real number, got [2.0] (list)",
)
bad(
    "functional",
    "2.7",
    "mse_loss with a number among rows",
    TypeError,
    lambda m: m.mse_loss([[1.0], 2.0], [1.0, 2.0]),
    exactly="mse_loss needs a sequence of Values and numbers, got 2.0 (float)",
)
bad(
    "functional",
    "2.9",
    "concatenate of a number",
    TypeError,
    lambda m: m.concatenate([m.Vector([1.0]), 2.0]),
    exactly="Vector needs a sequence of Values, got 2.0 (float)",
)
bad(
    "functional",
    "2.4",
    "linear without inputs",
    ValueError,
    lambda m: m.linear([], [[1.0]]),
    exactly="dot of 1 weights and 0 inputs",
)
for name, call in {
    "mean": lambda m: m.mean([[1.0], 2.0]),
    "mse_loss": lambda m: m.mse_loss([1.0, 2.0], [[1.0], 2.0]),
    "hinge_loss": lambda m: m.hinge_loss([[1.0], 2.0], [1.0, 1.0]),
    "hinge_loss labels": lambda m: m.hinge_loss([1.0, 2.0], [[1.0], 2.0]),
    "binary_cross_entropy_with_logits targets": lambda m: m.binary_cross_entropy_with_logits(
        [1.0, 2.0], [[1.0], 2.0]
    ),
    "cross_entropy": lambda m: m.cross_entropy([[1.0], 2.0], [0, 0]),
}.items():
    bad(
        "functional",
        "2.7",
        f"{name}: a number among rows",
        TypeError,
        call,
        exactly=f"{name} needs a sequence of Values and numbers, got 2.0 (float)",
    )
for name in ("hinge_loss labels", "binary_cross_entropy_with_logits targets"):
    bad(
        "functional",
        "2.7",
        f"{name} that are Values",
        TypeError,
        lambda m, what=name: getattr(m, what.split()[0])([2.0], [m.Value(1.0)]),
        exactly=f"{name} are plain numbers, got Value(1.0, grad=0.0)",
        arrays=False,
    )
bad(
    "functional",
    "2.1",
    "dot([1, 2], 'ab')",
    TypeError,
    lambda m: m.dot([1.0, 2.0], "ab"),
    exactly="dot needs a sequence of Values and numbers, got 'ab' (str)",
)
for eps in (-1.0, nan):
    bad(
        "functional",
        "2.5",
        f"rms_norm with an eps of {eps}",
        ValueError,
        lambda m, x=eps: m.rms_norm([1.0, 2.0], x),
        exactly=f"rms_norm needs an eps of 0 or more, got {eps!r}",
    )
for name in ("softmax", "log_softmax", "logsumexp", "mean", "rms_norm"):
    bad(
        "functional",
        "2",
        f"{name}([])",
        ValueError,
        lambda m, f=name: getattr(m, f)([]),
        exactly=f"{name} needs at least one Value, got none",
    )
    bad(
        "functional",
        "2",
        f"{name}(['a'])",
        TypeError,
        lambda m, f=name: getattr(m, f)(["a"]),
        "'a'",
    )
for name, parts, says in (
    (
        "keys and values differ",
        ([1.0], [[1.0], [2.0]], [[1.0]]),
        " needs as many keys as values, got 2 and 1",
    ),
    ("query and key differ", ([1.0], [[1.0, 2.0]], [[1.0]]), ": a query of 1 and a key of 2"),
    ("values differ", ([1.0], [[1.0], [2.0]], [[1.0], [1.0, 2.0]]), ": values of 1 and of 2"),
    ("no keys", ([1.0], [], []), " needs as many keys as values, got 0 and 0"),
    ("empty query", ([], [[]], [[1.0]]), " needs at least one Value, got none"),
):
    bad(
        "functional",
        "2.6",
        f"attention: {name}",
        ValueError,
        lambda m, p=parts: m.scaled_dot_product_attention(*p),
        exactly=f"scaled_dot_product_attention{says}",
    )
for part in range(3):
    bad(
        "functional",
        "2.6",
        f"attention: a str for part {part}",
        TypeError,
        lambda m, i=part: m.scaled_dot_product_attention(
            *("ab" if i == 0 else [1.0], ["ab"] if i == 1 else [[1.0]], ["ab"] if i == 2 else [[1.0]])
        ),
        exactly="scaled_dot_product_attention needs a sequence of Values and numbers, got 'ab' (str)",
        arrays=False,
    )
for name in ("mse_loss", "hinge_loss", "binary_cross_entropy_with_logits"):
    bad(
        "functional",
        "2.7",
        f"{name} of 2 and 1",
        ValueError,
        lambda m, f=name: getattr(m, f)([0.5, 0.5], [1.0]),
        exactly=f"{name} of 2 predictions and 1 targets",
    )
    bad(
        "functional",
        "2.7",
        f"{name} of nothing",
        ValueError,
        lambda m, f=name: getattr(m, f)([], []),
        exactly=f"{name} needs at least one prediction, got none",
    )
    bad(
        "functional",
        "2.7",
        f"{name} of a str",
        TypeError,
        lambda m, f=name: getattr(m, f)(["a"], [1.0]),
        "'a'",
    )
bad(
    "functional",
    "2.7",
    "hinge_loss label 0",
    ValueError,
    lambda m: m.hinge_loss([1.0, 2.0], [1.0, 0.0]),
    exactly="hinge_loss needs labels -1 and 1, got 0.0",
)
bad(
    "functional",
    "2.7",
    "hinge_loss label nan",
    ValueError,
    lambda m: m.hinge_loss([1.0], [nan]),
    exactly="hinge_loss needs labels -1 and 1, got nan",
)
bad(
    "functional",
    "2.7",
    "binary_cross_entropy target 1.5",
    ValueError,
    lambda m: m.binary_cross_entropy_with_logits([1.0], [1.5]),
    exactly="binary_cross_entropy_with_logits needs targets from 0 to 1, got 1.5",
)
bad(
    "functional",
    "2.7",
    "binary_cross_entropy target nan",
    ValueError,
    lambda m: m.binary_cross_entropy_with_logits([1.0], [nan]),
    exactly="binary_cross_entropy_with_logits needs targets from 0 to 1, got nan",
)
bad(
    "functional",
    "2.7",
    "cross_entropy class 1.5",
    TypeError,
    lambda m: m.cross_entropy([1.0, 2.0], 1.5),
    exactly="a class is an integer index, got 1.5 (float)",
)
bad(
    "functional",
    "2.7",
    "cross_entropy class 1.0",
    TypeError,
    lambda m: m.cross_entropy([[1.0, 2.0]], [1.0]),
    exactly="a class is an integer index, got 1.0 (float)",
)
bad(
    "functional",
    "2.7",
    "cross_entropy class 2 of 2",
    ValueError,
    lambda m: m.cross_entropy([1.0, 2.0], 2),
    exactly="a class is an index from 0 to 1, got 2",
)
bad(
    "functional",
    "2.7",
    "cross_entropy class -1",
    ValueError,
    lambda m: m.cross_entropy([1.0, 2.0], -1),
    exactly="a class is an index from 0 to 1, got -1",
)
bad(
    "functional",
    "2.7",
    "cross_entropy of 1 row, 2 classes",
    ValueError,
    lambda m: m.cross_entropy([[1.0, 2.0]], [0, 1]),
    exactly="cross_entropy of 1 predictions and 2 targets",
)
bad(
    "functional",
    "2.7",
    "cross_entropy of nothing",
    ValueError,
    lambda m: m.cross_entropy([], []),
    exactly="cross_entropy of 1 predictions and 0 targets",
)
bad(
    "functional",
    "2.7",
    "cross_entropy of no logits",
    ValueError,
    lambda m: m.cross_entropy([], 0),
    exactly="cross_entropy needs at least one logit a sample, got none",
)
bad(
    "functional",
    "2.7",
    "cross_entropy of ragged rows",
    ValueError,
    lambda m: m.cross_entropy([[1.0, 2.0], [1.0]], [0, 0]),
    exactly="cross_entropy with rows of 2 and 1 logits",
)

# nn ------------------------------------------------------------------------------------------

INITS = ("uniform", "xavier", "he")
for name, make in {
    "Neuron": lambda m, **k: m.Neuron(2, **k),
    "Layer": lambda m, **k: m.Layer(2, 3, **k),
    "MLP": lambda m, **k: m.MLP(2, [3, 1], **k),
}.items():
    bad(
        "nn",
        "3.2",
        f"{name} activation swish",
        ValueError,
        lambda m, f=make: f(m, activation="swish"),
        exactly=f"unknown activation 'swish': choose one of {', '.join(ACTIVATIONS)}",
    )
    bad(
        "nn",
        "3.2",
        f"{name} init normal",
        ValueError,
        lambda m, f=make: f(m, init="normal"),
        exactly=f"unknown init 'normal': choose one of {', '.join(INITS)}",
    )
bad(
    "nn",
    "3.2",
    "MLP output_activation swish",
    ValueError,
    lambda m: m.MLP(2, [1], output_activation="swish"),
    exactly=f"unknown output_activation 'swish': choose one of {', '.join(ACTIVATIONS)}",
)
for name, call, says in (
    ("Neuron(0)", lambda m: m.Neuron(0), "n_in must be 1 or more, got 0"),
    ("Neuron(-1)", lambda m: m.Neuron(-1), "n_in must be 1 or more, got -1"),
    ("Layer(0, 2)", lambda m: m.Layer(0, 2), "n_in must be 1 or more, got 0"),
    ("Layer(2, 0)", lambda m: m.Layer(2, 0), "n_out must be 1 or more, got 0"),
    ("Layer(2, 2**63)", lambda m: m.Layer(2, 2**63), "n_out is more than there is memory for"),
):
    bad("nn", "3.1", name, ValueError, call, exactly=says)
for name, call, says in (
    ("Neuron(2.0)", lambda m: m.Neuron(2.0), "n_in must be an int, got 2.0 (float)"),
    ("Neuron('2')", lambda m: m.Neuron("2"), "n_in must be an int, got '2' (str)"),
    ("Layer(2.5, 1)", lambda m: m.Layer(2.5, 1), "n_in must be an int, got 2.5 (float)"),
    ("Layer(2, 1.5)", lambda m: m.Layer(2, 1.5), "n_out must be an int, got 1.5 (float)"),
):
    bad("nn", "3.1", name, TypeError, call, exactly=says)
for name, error, call in (
    ("MLP(2, [])", ValueError, lambda m: m.MLP(2, [])),
    ("MLP(2)", ValueError, lambda m: m.MLP(2)),
    ("MLP([2])", ValueError, lambda m: m.MLP([2])),
    ("MLP(2, [4, 0])", ValueError, lambda m: m.MLP(2, [4, 0])),
    ("MLP(2, ['4'])", TypeError, lambda m: m.MLP(2, ["4"])),
):
    bad("nn", "3.1", name, error, call)
bad(
    "nn",
    "3.6",
    "Neuron(2) of 3",
    ValueError,
    lambda m: m.Neuron(2)([1.0, 2.0, 3.0]),
    exactly="Neuron(2) expects 2 inputs, got 3",
)
bad(
    "nn",
    "3.6",
    "Layer(2, 4) of 3",
    ValueError,
    lambda m: m.Layer(2, 4)([1.0, 2.0, 3.0]),
    exactly="Layer(2, 4) expects 2 inputs, got 3",
)
bad(
    "nn",
    "3.6",
    "Layer(2, 4) of 1",
    ValueError,
    lambda m: m.Layer(2, 4)([1.0]),
    exactly="Layer(2, 4) expects 2 inputs, got 1",
)
bad(
    "nn",
    "3.6",
    "Layer(2, 4) of 0",
    ValueError,
    lambda m: m.Layer(2, 4)([]),
    exactly="Layer(2, 4) expects 2 inputs, got 0",
)
bad(
    "nn",
    "3.6",
    "MLP(2, [4, 1]) of 3",
    ValueError,
    lambda m: m.MLP(2, [4, 1])([1.0, 2.0, 3.0]),
    exactly="MLP(2, [4, 1]) expects 2 inputs, got 3",
)
bad(
    "nn",
    "3.6",
    "one short row of a batch",
    ValueError,
    lambda m: m.Layer(2, 4)([[1.0, 2.0]] * 5 + [[1.0]]),
    exactly="Layer(2, 4) expects 2 inputs, got 1 in row 5",
)
bad(
    "nn",
    "3.6",
    "a batch of long rows",
    ValueError,
    lambda m: m.Layer(2, 4)([[1.0, 2.0, 3.0]] * 4),
    exactly="Layer(2, 4) expects 2 inputs, got 3 in row 0",
)
for name, thing, shown in (
    ("a number", 3, "3 (int)"),
    ("a Value", None, "Value(3.0, grad=0.0) (Value)"),
):
    bad(
        "nn",
        "3.5",
        f"{name} among rows",
        TypeError,
        lambda m, x=thing: m.MLP(2, [3, 1])([[1, 2], m.Value(3) if x is None else x]),
        exactly=f"MLP(2, [3, 1]) needs a sequence of Values and numbers, got {shown}",
    )
bad(
    "nn",
    "3.5",
    "a row among numbers",
    TypeError,
    lambda m: m.MLP(2, [3, 1])([1, [2, 3]]),
    exactly="Value needs a real number, got [2, 3] (list)",
)
bad(
    "nn",
    "3.4",
    "a str as input",
    TypeError,
    lambda m: m.Layer(2, 4)(["a", "b"]),
    exactly="Value needs a real number, got 'a' (str)",
)


def misfit(change):
    """Load a state with one thing wrong into a model."""

    def call(m):
        model = m.MLP(2, [3, 1], seed=1)
        state = {name: [*map(plain, block)] for name, block in model.state_dict().items()}
        change(state)
        load_unchanged(model, state)

    return call


def load_unchanged(owner, state):
    """owner.load_state_dict(state), which may refuse, but then must leave its owner as it was."""
    before = repr(owner.state_dict())
    try:
        owner.load_state_dict(state)
    except Exception:
        assert repr(owner.state_dict()) == before, (
            "load_state_dict refused the state after changing something"
        )
        raise


def plain(x):
    return x.tolist() if hasattr(x, "tolist") else x


for name, says, change in (
    ("missing", ("layers.1.bias",), lambda s: s.pop("layers.1.bias")),
    ("extra", ("layers.2.weight",), lambda s: s.update({"layers.2.weight": [[1.0]]})),
    (
        "missing, extra and misshapen",
        ("layers.0.bias", "more", "layers.1.weight"),
        lambda s: (s.pop("layers.0.bias"), s.update({"more": [1.0], "layers.1.weight": [[1.0]]})),
    ),
    (
        "misshapen weight",
        ("layers.0.weight",),
        lambda s: s.update({"layers.0.weight": [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]}),
    ),
    (
        "ragged weight",
        ("layers.0.weight",),
        lambda s: s.update({"layers.0.weight": [[1.0, 2.0], [1.0], [1.0, 2.0]]}),
    ),
    (
        "bias of another length",
        ("layers.0.bias",),
        lambda s: s.update({"layers.0.bias": [0.0, 0.0]}),
    ),
    ("a str", ("layers.0.bias",), lambda s: s.update({"layers.0.bias": [0.0, 0.0, "x"]})),
    ("None", ("holds None",), lambda s: s.update({"layers.0.bias": [0.0, 0.0, None]})),
):
    bad("nn", "3.8", f"load_state_dict: {name}", ValueError, misfit(change), *says)
for thing in (None, [1.0], "weights.safetensors"):
    bad(
        "nn",
        "3.8",
        f"load_state_dict({thing!r})",
        TypeError,
        lambda m, x=thing: m.MLP(2, [1]).load_state_dict(x),
        "state_dict()",
        repr(thing),
    )

# optim ---------------------------------------------------------------------------------------


def weights(m):
    return [m.Value(1.0), m.Value(2.0)]


def twice(m):
    p = m.Value(1.0)
    return [p, m.Value(2.0), p]


for name, make in {
    "SGD": lambda m, params, **k: m.SGD(params, **{"lr": 0.1, **k}),
    "Adam": lambda m, params, **k: m.Adam(params, **k),
    "AdamW": lambda m, params, **k: m.AdamW(params, **k),
}.items():
    bad("optim", "4.2", f"{name} without parameters", ValueError, lambda m, f=make: f(m, []))
    bad(
        "optim",
        "4.2",
        f"{name} with one parameter twice",
        ValueError,
        lambda m, f=make: f(m, twice(m)),
    )
    bad(
        "optim",
        "4.3",
        f"{name} with a parameter that is no leaf",
        ValueError,
        lambda m, f=make: f(m, [m.Value(1.0) * 2.0]),
    )
    bad(
        "optim",
        "4.2",
        f"{name} with a float as parameter",
        TypeError,
        lambda m, f=make: f(m, [1.0]),
        "1.0",
    )
    for thing in (3, None, "ab"):
        bad(
            "optim",
            "4.2",
            f"{name} of {thing!r}",
            TypeError,
            lambda m, f=make, x=thing: f(m, x),
            "sequence of Values",
            repr(thing),
        )
    bad(
        "optim",
        "4.2",
        f"{name} of a model",
        TypeError,
        lambda m, f=make: f(m, m.MLP(2, [1])),
        "model.parameters()",
    )
    for option in ("lr", "weight_decay"):
        for value in ("0.1", None, [0.1]):
            bad(
                "optim",
                "4.2",
                f"{name} {option}={value!r}",
                TypeError,
                lambda m, f=make, o=option, v=value: f(m, weights(m), **{o: v}),
                exactly=f"{option} must be a finite number of 0 or more, got {value!r}",
            )
        for value in (-0.1, nan, inf):
            bad(
                "optim",
                "4.2",
                f"{name} {option}={value}",
                ValueError,
                lambda m, f=make, o=option, v=value: f(m, weights(m), **{o: v}),
                exactly=f"{option} must be a finite number of 0 or more, got {value!r}",
            )
for option, value in (("momentum", -0.1), ("momentum", nan), ("dampening", inf)):
    bad(
        "optim",
        "4.2",
        f"SGD {option}={value}",
        ValueError,
        lambda m, o=option, v=value: m.SGD(weights(m), lr=0.1, **{o: v}),
        exactly=f"{option} must be a finite number of 0 or more, got {value!r}",
    )
bad(
    "optim",
    "4.2",
    "nesterov without momentum",
    ValueError,
    lambda m: m.SGD(weights(m), lr=0.1, nesterov=True),
    exactly="nesterov needs a momentum above 0 and no dampening",
)
bad(
    "optim",
    "4.2",
    "nesterov with dampening",
    ValueError,
    lambda m: m.SGD(weights(m), lr=0.1, momentum=0.9, dampening=0.1, nesterov=True),
    exactly="nesterov needs a momentum above 0 and no dampening",
)
for value in (0.9, None, "ab"):
    bad(
        "optim",
        "4.2",
        f"Adam betas={value!r}",
        TypeError,
        lambda m, v=value: m.Adam(weights(m), betas=v),
        exactly=f"betas must be two numbers from 0 to below 1, got {value!r}",
    )
for value in ((-0.1, 0.9), (0.9, 1.0), (0.9, nan), (0.9,), (0.9, 0.9, 0.9)):
    bad(
        "optim",
        "4.2",
        f"Adam betas={value}",
        ValueError,
        lambda m, v=value: m.Adam(weights(m), betas=v),
        "beta",
    )
bad(
    "optim",
    "4.2",
    "Adam eps=-1",
    ValueError,
    lambda m: m.Adam(weights(m), eps=-1.0),
    exactly="eps must be a finite number of 0 or more, got -1.0",
)


def other_state(change):
    def call(m):
        optimiser = m.Adam(weights(m))
        optimiser.step()
        state = optimiser.state_dict()
        change(state)
        load_unchanged(optimiser, state)

    return call


for name, change in (
    ("of SGD", lambda s: s.update(kind="SGD")),
    ("moments of another length", lambda s: s.update(first_moment=[0.0])),
    ("without second_moment", lambda s: s.pop("second_moment")),
    ("negative lr", lambda s: s.update(lr=-1.0)),
    ("a str as lr", lambda s: s.update(lr="0.1")),
    ("negative step", lambda s: s.update(step=-1)),
):
    bad("optim", "4.3", f"Adam.load_state_dict: {name}", ValueError, other_state(change))
for thing in (None, [1.0], "Adam"):
    bad(
        "optim",
        "4.3",
        f"Adam.load_state_dict({thing!r})",
        TypeError,
        lambda m, x=thing: m.Adam(weights(m)).load_state_dict(x),
        "state_dict()",
        repr(thing),
    )

# graph ---------------------------------------------------------------------------------------


def chain(m, n=20):
    v = m.Value(1.0)
    for _ in range(n):
        v = v + 1.0
    return v


bad("graph", "5.1", "trace(3.0)", TypeError, lambda m: m.trace(3.0), "3.0")
bad(
    "graph",
    "5.1",
    "trace with max_nodes",
    ValueError,
    lambda m: m.trace(chain(m), max_nodes=10),
    "10",
)
bad("graph", "5.2", "draw_dot('abc')", TypeError, lambda m: m.draw_dot("abc"), "'abc'")
bad(
    "graph",
    "5.2",
    "draw_dot with max_nodes",
    ValueError,
    lambda m: m.draw_dot(chain(m), max_nodes=10),
    "10",
    "max_nodes",
)
for thing in ("many", 10.5, -1):
    bad(
        "graph",
        "5.2",
        f"draw_dot max_nodes={thing!r}",
        ValueError if thing == -1 else TypeError,
        lambda m, x=thing: m.draw_dot(chain(m), max_nodes=x),
        "max_nodes",
        repr(thing),
    )
bad(
    "graph",
    "5.2",
    "draw_dot rankdir",
    ValueError,
    lambda m: m.draw_dot(chain(m), rankdir="XX"),
    "XX",
)
bad(
    "graph",
    "5.3",
    "Tape of a custom operation",
    ValueError,
    lambda m: m.Tape(m.Value(1.0, (m.Value(2.0),), "f", local_grads=(1.0,)) + 1.0),
    exactly="the custom operation 'f' cannot be recomputed: it is known by its result and local gradients, not by its formula. Build its part of the graph anew instead",
)
bad(
    "graph",
    "5.4",
    "gradcheck of a float",
    TypeError,
    lambda m: m.gradcheck(lambda x: x * x, [2.0]),
    "2.0",
)
for value in (nan, inf, -inf):
    bad(
        "graph",
        "5.4",
        f"gradcheck at {value}",
        ValueError,
        lambda m, v=value: m.gradcheck(lambda x: x.relu(), [m.Value(v)]),
        "finite",
        repr(value),
    )
for option in ("eps", "rtol", "atol"):
    bad(
        "graph",
        "5.4",
        f"gradcheck {option}='x'",
        TypeError,
        lambda m, o=option: m.gradcheck(lambda x: x * x, [m.Value(2.0)], **{o: "x"}),
        option,
        "'x'",
    )
for thing in ("MLP", 3, [1.0, 2.0]):
    bad(
        "graph",
        "5.8",
        f"draw_model({thing!r})",
        TypeError,
        lambda m, x=thing: m.draw_model(x),
        "an MLP, a Layer or a Neuron",
        repr(thing),
    )
bad("graph", "5.8", "draw_model of a class", TypeError, lambda m: m.draw_model(m.MLP), "MLP")
bad(
    "graph",
    "5.8",
    "draw_model of a Value",
    TypeError,
    lambda m: m.draw_model(m.Value(2.0)),
    "Value(2.0",
)
bad(
    "graph",
    "5.8",
    "draw_model with a name too few",
    ValueError,
    lambda m: m.draw_model(m.MLP(2, [3, 1]), input_names=["x"]),
    "2 inputs",
    "1 input_names",
)
for names in ("xy", ["x", 1], 2):
    bad(
        "graph",
        "5.8",
        f"draw_model input_names={names!r}",
        TypeError,
        lambda m, n=names: m.draw_model(m.Neuron(2), input_names=n),
        "input_names",
        repr(names),
    )
for limit in ("many", 2.5, 0):
    bad(
        "graph",
        "5.8",
        f"draw_model max_neurons={limit!r}",
        TypeError if limit else ValueError,
        lambda m, x=limit: m.draw_model(m.Neuron(2), max_neurons=x),
        "max_neurons",
        repr(limit),
    )
bad(
    "graph",
    "5.8",
    "draw_model rankdir",
    ValueError,
    lambda m: m.draw_model(m.Neuron(2), rankdir="XX"),
    "XX",
)

bad("graph", "5.5", "backward_steps(3.0)", TypeError, lambda m: m.backward_steps(3.0), "3.0")
bad(
    "graph",
    "5.5",
    "backward_steps with max_nodes",
    ValueError,
    lambda m: m.backward_steps(chain(m), max_nodes=10),
    "10",
    "max_nodes",
)
bad(
    "graph",
    "5.5",
    "backward_steps grad='1'",
    TypeError,
    lambda m: m.backward_steps(chain(m), grad="1"),
    "grad",
    "'1'",
)
bad("graph", "5.9", "explore(3.0)", TypeError, lambda m: m.explore(3.0), "3.0")
bad("graph", "5.9", "explore([])", ValueError, lambda m: m.explore([]), "explore")
bad(
    "graph",
    "5.9",
    "explore with max_nodes",
    ValueError,
    lambda m: m.explore(chain(m), max_nodes=10),
    "10",
    "max_nodes",
)
bad(
    "graph",
    "5.9",
    "explore(y, 3)",
    TypeError,
    lambda m: m.explore(chain(m), 3),
    "path",
    "got 3",
)
bad(
    "graph",
    "5.9",
    "explore into a folder that is not there",
    OSError,
    lambda m: m.explore(m.Value(1.0), "no such folder/backprop.html"),
    "no such folder/backprop.html",
)
bad("graph", "5.6", "explain(y, 3.0)", TypeError, lambda m: m.explain(chain(m), 3.0), "3.0")
bad(
    "graph",
    "5.6",
    "explain a Vector",
    ValueError,
    lambda m: m.explain(m.Vector([1.0, 2.0]) * 2.0, m.Value(1.0)),
    "root",
    "2",
)
for most in ("all", -1):
    bad(
        "graph",
        "5.6",
        f"explain most={most!r}",
        ValueError if most == -1 else TypeError,
        lambda m, x=most: m.explain(chain(m), m.Value(1.0), most=x),
        "most",
        repr(most),
    )
bad("graph", "5.10", "diagnose('abc')", TypeError, lambda m: m.diagnose("abc"), "'abc'")
bad("graph", "5.10", "diagnose(3.0)", TypeError, lambda m: m.diagnose(3.0), "3.0")
bad(
    "graph",
    "5.10",
    "diagnose with parameters of numbers",
    TypeError,
    lambda m: m.diagnose(chain(m), [2.5]),
    "2.5",
)
bad(
    "graph",
    "5.10",
    "diagnose with a number for parameters",
    TypeError,
    lambda m: m.diagnose(chain(m), 7),
    "7",
)
bad("graph", "5.7", "tree('abc')", TypeError, lambda m: m.tree("abc"), "'abc'")
bad(
    "graph",
    "5.7",
    "tree with max_nodes",
    ValueError,
    lambda m: m.tree(chain(m), max_nodes=10),
    "10",
    "max_nodes",
)

# The whole words of others ------------------------------------------------------------------------


def a_result_set_by_a_tape(m):
    y = m.Value(1.0) * 2.0
    m.Tape(y + 1.0).set(y, 1.0)


def a_leaf_set_from_two_numbers(m):
    x = m.Value(1.0)
    m.Tape(x * 2.0).set([x], [1.0, 2.0])


def loaded(**entries):
    return lambda m: m.Neuron(1).load_state_dict({"weight": [[1.0]], "bias": [0.0], **entries})


def checked(inputs=None, f=lambda x: x * x, **options):
    return lambda m: m.gradcheck(f, [m.Value(1.0)] if inputs is None else inputs(m), **options)


for chapter, rule, name, error, call, says in (
    (
        "vector",
        "1.20",
        "Vector(b'abc')",
        TypeError,
        lambda m: m.Vector(b"abc"),
        "Vector needs a sequence of Values, got b'abc' (bytes)",
    ),
    (
        "vector",
        "1.21",
        "Vector maximum 'a'",
        TypeError,
        lambda m: m.Vector([1.0]).maximum("a"),
        "a Vector cannot be combined with 'a' (str)",
    ),
    (
        "vector",
        "1.21",
        "Vector minimum None",
        TypeError,
        lambda m: m.Vector([1.0]).minimum(None),
        "a Vector cannot be combined with None (NoneType)",
    ),
    (
        "vector",
        "1.20",
        "Vector of a row and a number",
        ValueError,
        lambda m: m.Vector([[1.0], 2.0]),
        "a Vector needs rows of one length, got 1, a single Value",
    ),
    (
        "nn",
        "3.4",
        "MLP of one number",
        TypeError,
        lambda m: m.MLP(2, [1])(3.0),
        "MLP(2, [1]) expects a sequence of 2 inputs, got 3.0",
    ),
    (
        "nn",
        "3.8",
        "load_state_dict: an int too large for a float",
        ValueError,
        loaded(weight=[[10**400]]),
        "the state does not fit Neuron(1, activation='relu'): "
        "weight holds an int that is too large for a float",
    ),
    (
        "nn",
        "3.8",
        "load_state_dict: no rows",
        ValueError,
        loaded(weight=[]),
        "the state does not fit Neuron(1, activation='relu'): "
        "weight has shape 0, expected shape 1 × 1",
    ),
    (
        "optim",
        "4.2",
        "SGD of a single Value",
        TypeError,
        lambda m: m.SGD(m.Value(1.0), lr=0.1),
        "params must be a sequence of Values, got the single Value(1.0, grad=0.0)",
    ),
    (
        "optim",
        "4.2",
        "SGD lr=10**400",
        ValueError,
        lambda m: m.SGD([m.Value(1.0)], lr=10**400),
        "lr must be a finite number, got one too large for a float",
    ),
    (
        "graph",
        "5.3",
        "Tape(3.0)",
        TypeError,
        lambda m: m.Tape(3.0),
        "Tape needs a Value as its root, got 3.0 (float)",
    ),
    (
        "graph",
        "5.3",
        "Tape.set of a result",
        ValueError,
        a_result_set_by_a_tape,
        "a Tape sets leaves, whose data nothing computes; got the result of '* 2.0'",
    ),
    (
        "graph",
        "5.3",
        "Tape.set of 1 leaf from 2 numbers",
        ValueError,
        a_leaf_set_from_two_numbers,
        "1 leaves cannot be set from 2 numbers",
    ),
    (
        "graph",
        "5.4",
        "gradcheck eps=0",
        ValueError,
        checked(eps=0.0),
        "eps must be a positive number, got 0.0",
    ),
    (
        "graph",
        "5.4",
        "gradcheck eps=1e-20",
        ValueError,
        checked(eps=1e-20),
        "eps=1e-20 is too small to move input 0 from 1.0",
    ),
    (
        "graph",
        "5.4",
        "gradcheck rtol=-1",
        ValueError,
        checked(rtol=-1.0),
        "tolerances cannot be negative, got rtol=-1.0 and atol=1e-08",
    ),
    (
        "graph",
        "5.4",
        "gradcheck of a single Value",
        TypeError,
        checked(lambda m: m.Value(1.0)),
        "inputs must be a sequence of Values, such as [x], got Value(1.0, grad=0.0)",
    ),
    (
        "graph",
        "5.4",
        "gradcheck of nothing",
        ValueError,
        checked(lambda m: []),
        "there is nothing to check: inputs is empty",
    ),
    (
        "graph",
        "5.4",
        "gradcheck of a function that gives a float",
        TypeError,
        checked(f=lambda x: 1.0),
        "f must return a Value or a Vector, got 1.0 (float)",
    ),
):
    bad(chapter, rule, name, error, call, exactly=says)
for name, call in (
    ("Vector @ 3", lambda m: m.Vector([1.0]) @ 3),
    ("3 @ Vector", lambda m: 3 @ m.Vector([1.0])),
):
    bad("vector", "1.22", name, TypeError, call, "unsupported operand type(s) for @")
bad(
    "functional",
    "2.5",
    "rms_norm of zeros without eps",
    ZeroDivisionError,
    lambda m: m.rms_norm([0.0], 0.0),
    exactly="cannot compute rms_norm([0.0]): division by zero",
    arrays=False,
)

# What is unusual, and good -------------------------------------------------------------------

NUMBERS = (True, False, 3, -7, 2**60, 2.5, Fraction(1, 4), Decimal("0.5"))
