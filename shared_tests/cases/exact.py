"""The functions of the interface and their derivatives to sixty digits, with mpmath.

Written from their definitions in mathematics, not from the formulas of the engines, and with
PyTorch's function of the same name beside them. Where a function has a corner, its derivative is
that of rule 1.16.
"""

import math
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mpmath import mp, mpc, mpf

from cases.contract import ACTIVATIONS
from cases.numbers import floats
from cases.operations import BINARY, UNARY
from reference import torch

F = torch.nn.functional

DIGITS = 60
mp.dps = DIGITS
TINIEST, LARGEST = 5e-324, 1.7976931348623157e308
APPLY = {f.name: f.apply for f in (*UNARY, *BINARY)}


@dataclass(frozen=True)
class Exact:
    """A function of a few numbers, and where to look at it.

    places: where its formulas, its library or its slope change; the numbers next to them are tried.
    ulps: how far off a value may be, of an argument; slope_ulps: a derivative, besides what PyTorch's is.
    """

    name: str
    value: Callable[..., Any]
    slopes: tuple[Callable[..., Any], ...]  # with respect to each argument
    torch: Callable[..., Any]
    places: tuple[float, ...] = ()
    domain: Callable[..., bool] = lambda *x: True
    ulps: Callable[..., float] = lambda *x: 2.0
    slope_ulps: Callable[..., float] = lambda *x: math.inf

    def __str__(self) -> str:
        return self.name

    def ours(self, *x):
        return APPLY[self.name](*x)


def root(x):
    return mp.sqrt(x)


def sign(x):
    return mpf((x > 0) - (x < 0))


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def gelu(x):
    return x * half_erfc(x)


def half_erfc(x):
    """The normal distribution function. Left of -60 it is below 1e-780, which is 0 to a float."""
    return mp.mpf(0) if mp.re(x) < -60 else mp.erfc(-x / root(mpf(2))) / 2


def gelu_slope(x):
    return half_erfc(x) + x * mp.exp(-x * x / 2) / root(2 * mp.pi)


def softplus(x):
    return mp.log1p(mp.exp(x)) if x <= 0 else x + mp.log1p(mp.exp(-x))


def asinh(x):
    size = abs(x)
    return sign(x) * mp.log1p(size + size * size / (1 + root(1 + size * size)))


def leaky(slope):
    return (lambda x: x if x > 0 else x * mpf(slope)), (lambda x: mpf(1) if x > 0 else mpf(slope),)


def squared_secant(x):
    return 1 / mp.cosh(x) ** 2


PI = math.pi
KINK, ENDS, STEEP = (0.0,), (-1.0, 1.0), (709.782712893384, -745.1332191019411, -708.3964185322641)
ERF_SWITCHES = tuple(s * x for x in (0.84375, 1.25, 1 / 0.35, 5.921587195794507, 6.0, 26.5, 28.0) for s in (1, -1))



def composed(x):
    return 4.0


FUNCTIONS = (
    Exact("neg", lambda x: -x, (lambda x: mpf(-1),), torch.neg, KINK),
    Exact("abs", abs, (sign,), torch.abs, KINK),
    Exact("exp", mp.exp, (mp.exp,), torch.exp, (0.0, *STEEP, 0.34657, -0.34657)),
    Exact("expm1", mp.expm1, (mp.exp,), torch.expm1, (0.0, 709.782712893384, -38.1, 0.34657, 1.0397)),
    Exact("log", mp.log, (lambda x: 1 / x,), torch.log, (1.0, 0.9375, 1.064697), lambda x: x > 0),
    Exact(
        "log1p", mp.log1p, (lambda x: 1 / (1 + x),), torch.log1p,
        (0.0, -1.0, 1.0, -0.29289, 0.41422, -0.99999999), lambda x: x > -1,
    ),
    Exact("sqrt", root, (lambda x: 1 / (2 * root(x)),), torch.sqrt, (1.0, 2.0, 4.0), lambda x: x > 0),
    Exact(
        "sin", mp.sin, (mp.cos,), torch.sin,
        (0.0, PI / 4, PI / 2, PI, 2 * PI, 22.0, 355.0, 105414350.0, 1e22),
    ),
    Exact(
        "cos", mp.cos, (lambda x: -mp.sin(x),), torch.cos,
        (0.0, PI / 4, PI / 2, 3 * PI / 2, 11.0, 105414350.0, 1e22),
    ),
    Exact(
        "tan", mp.tan, (lambda x: 1 / mp.cos(x) ** 2,), torch.tan,
        (0.0, PI / 4, PI / 2, PI, 355.0, 105414350.0, 1e22),
    ),
    Exact(
        "asin", mp.asin, (lambda x: 1 / root((1 - x) * (1 + x)),), torch.asin,
        (0.0, 0.5, -0.5, *ENDS), lambda x: abs(x) <= 1,
    ),
    Exact(
        "acos", mp.acos, (lambda x: -1 / root((1 - x) * (1 + x)),), torch.acos,
        (0.0, 0.5, -0.5, *ENDS), lambda x: abs(x) <= 1,
    ),
    Exact("atan", mp.atan, (lambda x: 1 / (1 + x * x),), torch.atan, (0.0, 0.4375, 0.6875, 1.0, 1.1875, 2.4375)),
    Exact("sinh", mp.sinh, (mp.cosh,), torch.sinh, (0.0, 1.0, 22.0, 709.78, 710.4758600739439)),
    Exact("cosh", mp.cosh, (mp.sinh,), torch.cosh, (0.0, 0.34657, 22.0, 709.78, 710.4758600739439)),
    Exact("tanh", mp.tanh, (squared_secant,), torch.tanh, (0.0, 1.0, 0.5493, 22.0, 19.06)),
    Exact("asinh", asinh, (lambda x: 1 / root(x * x + 1),), torch.asinh, (0.0, 2.0, 2.0**28)),
    Exact(
        "acosh", lambda x: 2 * asinh(root((x - 1) / 2)), (lambda x: 1 / root((x - 1) * (x + 1)),),
        torch.acosh, (1.0, 2.0, 2.0**28), lambda x: x >= 1,
    ),
    Exact(
        "atanh", lambda x: (mp.log1p(x) - mp.log1p(-x)) / 2, (lambda x: 1 / ((1 - x) * (1 + x)),),
        torch.atanh, (0.0, 0.5, *ENDS), lambda x: abs(x) < 1,
    ),
    Exact(
        "erf", mp.erf, (lambda x: 2 / root(mp.pi) * mp.exp(-x * x),), torch.erf, (0.0, *ERF_SWITCHES),
    ),
    Exact(
        "sigmoid", sigmoid, (lambda x: 1 / ((1 + mp.exp(-x)) * (1 + mp.exp(x))),), torch.sigmoid,
        (0.0, *STEEP, 36.7), ulps=composed,
    ),
    Exact("relu", lambda x: max(x, mpf(0)), (lambda x: mpf(x > 0),), torch.relu, KINK),
    Exact("leaky_relu", *leaky(0.01), F.leaky_relu, KINK),
    Exact("leaky_relu(0.3)", *leaky(0.3), lambda t: F.leaky_relu(t, 0.3), KINK),
    Exact("softplus", softplus, (sigmoid,), F.softplus, (0.0, 20.0, 36.7, *STEEP), ulps=composed),
    Exact(
        "gelu", gelu, (gelu_slope,), F.gelu,
        (
            0.0, -0.751791524693564457, -1.0, -1.308302971383865, -1.83921, -37.6, -37.9, -38.5, -39.0,
            *(math.sqrt(2) * x for x in ERF_SWITCHES),
        ),
        ulps=composed, slope_ulps=lambda x: 4.0 if x < -2.0 else math.inf,  # where PyTorch has no digit right
    ),
    Exact(
        "silu", lambda x: x * sigmoid(x), (lambda x: sigmoid(x) * (1 + x * sigmoid(-x)),), F.silu,
        (0.0, -1.278464542761074, *STEEP), ulps=composed,
    ),
)


def larger_slope(a, b):
    return mpf((a > b) + 0.5 * (a == b))


OPERATIONS = (
    Exact("+", lambda a, b: a + b, (lambda a, b: mpf(1), lambda a, b: mpf(1)), torch.add),
    Exact("-", lambda a, b: a - b, (lambda a, b: mpf(1), lambda a, b: mpf(-1)), torch.sub),
    Exact("*", lambda a, b: a * b, (lambda a, b: b, lambda a, b: a), torch.mul),
    Exact(
        "/", lambda a, b: a / b, (lambda a, b: 1 / b, lambda a, b: -a / b**2), torch.div,
        domain=lambda a, b: b != 0,
    ),
    Exact(
        "**", lambda a, b: a**b,
        (lambda a, b: b * a ** (b - 1) if b else mpf(0), lambda a, b: a**b * mp.log(a) if a > 0 else mpf("nan")),
        torch.pow, domain=lambda a, b: a > 0 or (a < 0 and b == int(b)),
    ),
    Exact("maximum", max, (larger_slope, lambda a, b: larger_slope(b, a)), torch.maximum),
    Exact("minimum", min, (lambda a, b: larger_slope(b, a), larger_slope), torch.minimum),
)


# Where to look at them -----------------------------------------------------------------------


def numbers(r: random.Random, places: Sequence[float]) -> Iterator[float]:
    """Without end: dense, of any size, next to the places, and any 64 bits."""
    while True:
        yield r.uniform(-10.0, 10.0)
        yield r.uniform(-1.0, 1.0)
        yield r.uniform(-50.0, 50.0)
        yield r.choice((-1, 1)) * math.exp(r.uniform(-745.0, 709.7))
        yield r.choice((-1, 1)) * 10.0 ** r.uniform(-20.0, 4.0)
        yield r.uniform(-800.0, 800.0)
        if places:
            place = r.choice((-1, 1)) * r.choice(places)
            yield place + r.choice((-1, 1)) * r.randrange(50) * math.ulp(place)
            yield place + r.choice((-1, 1)) * 2.0 ** r.uniform(-60.0, -1.0)
        (any_bits,) = struct.unpack("d", r.randbytes(8))
        if math.isfinite(any_bits):
            yield any_bits


CORNERS = (
    0.0, -0.0, 1.0, -1.0, TINIEST, -TINIEST, 1e-310, -1e-310, 2.2250738585072014e-308, 1e-300,
    LARGEST, -LARGEST, 1e300, 0.5, -0.5, 1.0 - 2.0**-53, 1.0 + 2.0**-52, -1.0 + 2.0**-53,
)  # fmt: skip


def points(function: Exact, count: int, seed: int = 1) -> list[tuple[float, ...]]:
    """Arguments at which the function is defined: the corners, then random ones."""
    r = random.Random(f"{function} {seed}")
    if function in FUNCTIONS:
        drawn: Iterator[tuple[float, ...]] = ((x,) for x in numbers(r, function.places))
        corners = [(x,) for x in (*CORNERS, *function.places)]
    else:
        drawn = pairs(r)
        corners = [(a, b) for a in CORNERS for b in CORNERS]
    found = [x for x in corners if function.domain(*x)][: max(count // 2, 30)]
    while len(found) < count:
        x = next(drawn)
        if function.domain(*x):
            found.append(x)
    return found


def pairs(r: random.Random) -> Iterator[tuple[float, float]]:
    stream = numbers(r, (1.0, 2.0))
    while True:
        a, b = next(stream), next(stream)
        yield a, b
        yield abs(a), b
        yield math.exp(r.uniform(-5.0, 5.0)), r.uniform(-60.0, 60.0)
        yield a, float(r.randrange(-40, 41))
        yield a, r.choice((a, -a, a * (1.0 + r.randrange(-5, 6) * 2.0**-52)))
        # Powers that come out ordinary from a base next to one.
        near = 1.0 + r.uniform(-1.0, 1.0) * 2.0 ** -r.randrange(1, 50)
        yield near, r.uniform(-300.0, 300.0) / math.log(near) if near != 1.0 else 1.0


# Functions of many numbers -------------------------------------------------------------------


@dataclass(frozen=True)
class ExactMany:
    """A function of a list of numbers with one or more results."""

    name: str
    draw: Callable[[random.Random], list[float]]
    apply: Callable[[Any, Any], Any]  # of a backend and the arguments as its Vector
    exact: Callable[[list[Any]], list[Any]]
    torch: Callable[[Any], Any]

    def ours(self, m, x: list[float], output: int) -> tuple[float, list[float]]:
        """One of the results, and its gradient."""
        v = m.Vector(x)
        return value_and_gradient(self.apply(m, v), output, [v])

    def __str__(self) -> str:
        return self.name

    def points(self, count: int, seed: int = 1) -> list[list[float]]:
        r = random.Random(f"{self.name} {seed}")
        return [self.draw(r) for _ in range(count)]


STEP = mpf(10) ** -45


def derivatives(f: Callable[[list[Any]], Any], x: Sequence[float]) -> list[Any]:
    """df/dx by complex steps, Im f(x + ih) / h: no difference is taken, so no digit is lost."""
    found = []
    with mp.workdps(2 * DIGITS):  # mpmath gives as many digits to both parts together
        for i, at in enumerate(x):
            moved: list[Any] = [mpf(v) for v in x]
            h = STEP * min(1, abs(mpf(at)) or 1)
            moved[i] = mpc(at, h)
            found.append(mp.im(f(moved)) / h)
    return found


def real(x):
    return mp.re(x)


def log1p(z):
    """Of a positive number, or of a complex step from it: the square of a step is nothing."""
    a, b = mp.re(z), mp.im(z)
    with mp.workdps(2 * DIGITS):
        y = a - a * a / 2 + a**3 / 3 if a < 1e-20 else mp.log(1 + a)
    return mpc(y, b / (1 + a)) if b else y


def log_of_sum(x):
    top = max(range(len(x)), key=lambda i: real(x[i]))
    return x[top] + log1p(mp.fsum(mp.exp(v - x[top]) for i, v in enumerate(x) if i != top))


def log_of_softmax(x):
    """Each less the logarithm of the sum; of the largest nothing but that of the rest remains."""
    return [-log_of_sum([other - v for other in x]) for v in x]


def softmax(x):
    return [mp.exp(v) for v in log_of_softmax(x)]


def rms_norm(x):
    factor = 1 / mp.sqrt(mp.fsum(v * v for v in x) / len(x) + mpf(2.220446049250313e-16))
    return [v * factor for v in x]


def attention(x):
    """A query of two, three keys of two, three values of one."""
    q, keys, values = x[:2], (x[2:4], x[4:6], x[6:8]), x[8:]
    weights = softmax([(q[0] * k[0] + q[1] * k[1]) / mp.sqrt(2) for k in keys])
    return [mp.fsum(w * v for w, v in zip(weights, values, strict=True))]


def halves(x):
    return x[: len(x) // 2], x[len(x) // 2 :]


def mse(x):
    p, t = halves(x)
    return [mp.fsum((a - b) ** 2 for a, b in zip(p, t, strict=True)) / len(p)]


LABELS, TARGETS = (1.0, -1.0, -1.0, 1.0), (1.0, 0.0, 0.25, 0.7)


def hinge(x):
    margins = [1 - y * s for s, y in zip(x, LABELS, strict=True)]
    return [mp.fsum(m for m in margins if real(m) > 0) / len(x)]


def bce(x):
    terms = []
    for v, t in zip(x, TARGETS, strict=True):
        size = v if real(v) > 0 else -v
        terms.append((1 - mpf(t)) * v + (0 if real(v) > 0 else -v) + log1p(mp.exp(-size)))
    return [mp.fsum(terms) / len(x)]


CLASSES = (2, 0)


def cross_entropy(x):
    rows = halves(x)
    return [-mp.fsum(log_of_softmax(row)[c] for row, c in zip(rows, CLASSES, strict=True)) / 2]


def ordinary(count):
    return lambda r: [r.gauss(0.0, 1.0) * r.choice((1.0, 1.0, 3.0)) for _ in range(count)]


def logits(count):
    """Close, far apart, large, equal, and one far above all others."""

    def draw(r):
        spread = r.choice((1e-3, 1.0, 1.0, 5.0, 40.0, 300.0))
        shift = r.choice((0.0, 0.0, 1.0, -1.0, 1000.0))
        x = [r.gauss(shift, spread) for _ in range(count)]
        if r.random() < 0.3:
            x[r.randrange(count)] = shift + r.choice((0.0, 10.0, 40.0, 100.0))
        if r.random() < 0.1:
            x[0] = x[-1]
        return x

    return draw


def sizes(count):
    """From denormal to huge, without one whose square is none."""

    def draw(r):
        scale = 10.0 ** r.choice((0.0, 0.0, 0.0, r.uniform(-150.0, 150.0)))
        return [r.gauss(0.0, 1.0) * scale for _ in range(count)]

    return draw


def value_and_gradient(results, output, leaves):
    y = results[output] if getattr(results, "ndim", 1) and hasattr(results, "__len__") else results
    y.backward()
    return y.data, floats([leaf.grad for leaf in leaves])


@dataclass(frozen=True)
class ExactModel(ExactMany):
    """A network; its arguments are the parameters, neuron by neuron, then the inputs."""

    def ours(self, m, x: list[float], output: int) -> tuple[float, list[float]]:
        model = self.apply(m, None)
        layers = getattr(model, "layers", (model,))
        parameters = [
            p
            for layer in layers
            for row in range(layer.n_out)
            for p in (*(layer.weight[row][i] for i in range(layer.n_in)), layer.bias[row])
        ]
        for p, number in zip(parameters, x, strict=False):
            p.data = number
        inputs = m.Vector(x[len(parameters) :])
        return value_and_gradient(model(inputs), output, [*parameters, inputs])


def step_through(activation: str):
    """The activation of a complex step: its value, and its slope times the imaginary part."""
    if activation == "linear":
        return lambda z: z
    rule = next(f for f in FUNCTIONS if f.name == activation)
    return lambda z: mpc(rule.value(mp.re(z)), mp.im(z) * rule.slopes[0](mp.re(z)))


def perceptrons(parameters, inputs, activation):
    """One layer, whatever numbers compute it."""
    width = len(inputs) + 1
    rows = [parameters[i : i + width] for i in range(0, len(parameters), width)]
    return [
        activation(sum((w * x for w, x in zip(row, inputs, strict=False)), row[-1])) for row in rows
    ]


def layer(activation: str) -> ExactModel:
    """Three inputs, two outputs."""
    theirs = torch.clone if activation == "linear" else next(
        f.torch for f in FUNCTIONS if f.name == activation
    )
    return ExactModel(
        f"Layer, {activation}", ordinary(11), lambda m, _: m.Layer(3, 2, activation=activation),
        lambda x: perceptrons(x[:8], x[8:], step_through(activation)),
        lambda t: theirs(F.linear(t[8:], t[:8].reshape(2, 4)[:, :3], t[:8].reshape(2, 4)[:, 3])),
    )


# The module of PyTorch that computes each.
TORCH_ACTIVATIONS = {
    "relu": torch.nn.ReLU,
    "tanh": torch.nn.Tanh,
    "sigmoid": torch.nn.Sigmoid,
    "linear": torch.nn.Identity,
    "leaky_relu": torch.nn.LeakyReLU,
    "gelu": torch.nn.GELU,
    "silu": torch.nn.SiLU,
    "softplus": torch.nn.Softplus,
}


def network(x, tanh, sigmoid):
    hidden = perceptrons(x[:6], x[9:], tanh)
    return perceptrons(x[6:9], hidden, sigmoid)


MANY = (
    ExactMany("sum", sizes(6), lambda m, v: v.sum(), lambda x: [mp.fsum(x)], torch.sum),
    ExactMany("mean", sizes(6), lambda m, v: m.mean(v), lambda x: [mp.fsum(x) / len(x)], torch.mean),
    ExactMany(
        "dot", sizes(8), lambda m, v: m.dot(v[:4], v[4:]),
        lambda x: [mp.fsum(a * b for a, b in zip(*halves(x), strict=True))], lambda t: t[:4] @ t[4:],
    ),
    ExactMany(
        "linear", sizes(11), lambda m, v: m.linear(v[:3], [v[3:6], v[6:9]], v[9:]),
        lambda x: [
            mp.fsum([x[9 + j], *(x[i] * x[3 + 3 * j + i] for i in range(3))]) for j in range(2)
        ],
        lambda t: F.linear(t[:3], t[3:9].reshape(2, 3), t[9:]),
    ),
    ExactMany("max", sizes(5), lambda m, v: v.max(), lambda x: [max(x, key=real)], torch.max),
    ExactMany("min", sizes(5), lambda m, v: v.min(), lambda x: [min(x, key=real)], torch.min),
    ExactMany(
        "logsumexp", logits(5), lambda m, v: m.logsumexp(v), lambda x: [log_of_sum(x)],
        lambda t: torch.logsumexp(t, 0),
    ),
    ExactMany("softmax", logits(5), lambda m, v: m.softmax(v), softmax, lambda t: F.softmax(t, 0)),
    ExactMany(
        "log_softmax", logits(5), lambda m, v: m.log_softmax(v),
        log_of_softmax, lambda t: F.log_softmax(t, 0),
    ),
    ExactMany("rms_norm", sizes(5), lambda m, v: m.rms_norm(v), rms_norm, lambda t: F.rms_norm(t, (5,))),
    ExactMany(
        "scaled_dot_product_attention", ordinary(11),
        lambda m, v: m.scaled_dot_product_attention(
            v[:2], [v[2:4], v[4:6], v[6:8]], [v[8:9], v[9:10], v[10:]]
        ),
        attention,
        lambda t: F.scaled_dot_product_attention(
            t[None, :2], t[2:8].reshape(3, 2), t[8:].reshape(3, 1)
        )[0],
    ),
    ExactMany("mse_loss", sizes(6), lambda m, v: m.mse_loss(v[:3], v[3:]), mse, lambda t: F.mse_loss(t[:3], t[3:])),
    ExactMany(
        "hinge_loss", ordinary(4), lambda m, v: m.hinge_loss(v, LABELS), hinge,
        lambda t: torch.relu(1 - torch.tensor(LABELS, dtype=torch.float64) * t).mean(),
    ),
    ExactMany(
        "binary_cross_entropy_with_logits", logits(4),
        lambda m, v: m.binary_cross_entropy_with_logits(v, TARGETS), bce,
        lambda t: F.binary_cross_entropy_with_logits(t, torch.tensor(TARGETS, dtype=torch.float64)),
    ),
    ExactMany(
        "cross_entropy", logits(6), lambda m, v: m.cross_entropy([v[:3], v[3:]], CLASSES), cross_entropy,
        lambda t: F.cross_entropy(t.reshape(2, 3), torch.tensor(CLASSES)),
    ),
    *(layer(activation) for activation in ACTIVATIONS),
    ExactModel(
        "MLP, tanh and sigmoid", ordinary(11), lambda m, _: m.MLP(2, [2, 1], "tanh", "sigmoid"),
        lambda x: network(x, step_through("tanh"), step_through("sigmoid")),
        lambda t: network(t, torch.tanh, torch.sigmoid)[0],
    ),
)
