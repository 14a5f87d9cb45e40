"""What the steps of the course ask for beyond the conformance suite, in the words of their pages.

They are run by `python -m pytest shared_tests --step N`; steps.py says which belongs to which step.
"""

import math
import random

import pytest

from cases.numbers import close
from course.line import Line


def grad_after(root, leaf):
    root.backward()
    return leaf.grad


# Step 1 --------------------------------------------------------------------------------------


def test_prints_data_and_gradient(backend):
    """A Value shows what it holds: `Value(2.0, grad=0.0)`."""
    shown = repr(backend.Value(2))
    assert shown == "Value(2.0, grad=0.0)", (
        f"repr(Value(2)) is {shown!r}, expected 'Value(2.0, grad=0.0)': write __repr__"
    )


def test_sum_and_product_remember_their_operands(backend):
    """The graph is nothing but these notes: what was computed, and from which Values."""
    a, b = backend.Value(2.0), backend.Value(3.0)
    for op, result, data in (("+", a + b, 5.0), ("*", a * b, 6.0)):
        assert isinstance(result, backend.Value), (
            f"a {op} b is a {type(result).__name__}, expected a Value: return Value(…)"
        )
        assert result.data == data, f"2 {op} 3 is {result.data!r}, expected {data!r}"
        assert result.op == op, f"op of a {op} b is {result.op!r}, expected {op!r}"
        left_and_right = tuple(result.operands)
        assert len(left_and_right) == 2 and left_and_right[0] is a and left_and_right[1] is b, (
            f"operands of a {op} b are {left_and_right!r}, expected (a, b) themselves: "
            "a copy would get the gradient in their place"
        )


@pytest.mark.parametrize("op", ["+", "*"])
def test_a_number_is_an_operand_too(backend, op):
    """`a * 3` is a Value that remembers `a`; whether the 3 becomes a Value as well is up to you."""
    a = backend.Value(2.0)
    result = a + 3 if op == "+" else a * 3
    assert isinstance(result, backend.Value), f"a {op} 3 is a {type(result).__name__}"
    assert result.data == (5.0 if op == "+" else 6.0), f"2 {op} 3 is {result.data!r}"
    assert any(operand is a for operand in result.operands), (
        f"a {op} 3 does not remember a: its operands are {result.operands!r}"
    )


# Step 2 --------------------------------------------------------------------------------------


def test_backward_with_a_number(backend):
    """A number in an expression has no gradient, but it takes none from the Value beside it either."""
    a = backend.Value(2.0)
    got = grad_after(a * 3, a)
    assert got == 3.0, f"a.grad of a * 3 is {got!r}, expected 3.0, the other factor"
    a = backend.Value(2.0)
    got = grad_after(a + 3, a)
    assert got == 1.0, f"a.grad of a + 3 is {got!r}, expected 1.0"


# Step 3 --------------------------------------------------------------------------------------


def test_used_twice_in_one_operation(backend):
    """Two ways lead from `a` to `a + a`, and each carries its part."""
    a = backend.Value(3.0)
    got = grad_after(a + a, a)
    assert got == 2.0, f"a.grad of a + a is {got!r}, expected 2.0: both uses count, 1 and 1"
    a = backend.Value(3.0)
    got = grad_after(a * a, a)
    assert got == 6.0, f"a.grad of a * a is {got!r}, expected 6.0: both uses count, 3 and 3"


# Step 4 --------------------------------------------------------------------------------------


def test_a_node_waits_for_all_that_use_it(backend):
    """The graph of the page: p is used by q and by y, and gives only when it has from both."""
    a = backend.Value(3.0)
    p = a * 2.0
    q = p + a
    y = p * q
    y.backward()
    for name, node, expected in (("q", q, 6.0), ("p", p, 15.0), ("a", a, 36.0)):
        assert node.grad == expected, (
            f"{name}.grad is {node.grad!r}, expected {expected!r} (p = a·2, q = p + a, y = p·q, a = 3)"
        )
    a = backend.Value(3.0)
    p = a * 2.0
    y = (p + a) * p  # the same with p on the right
    y.backward()
    assert a.grad == 36.0, f"a.grad of (p + a)·p is {a.grad!r}, expected 36.0, as for p·(p + a)"


# Step 6 --------------------------------------------------------------------------------------


def test_negation(backend):
    """By an operation of its own, or by what there is."""
    got = (-backend.Value(3.0)).data
    assert got == -3.0, f"-v with v = 3 is {got!r}, expected -3.0"


@pytest.mark.parametrize("exponent", [2, 3, 0.5, -1, 1, 0])
def test_slopes_of_powers(backend, exponent):
    """d(x^n)/dx = n · x^(n-1)."""
    x = backend.Value(4.0)
    y = x**exponent
    assert close(y.data, 4.0**exponent), f"4 ** {exponent} is {y.data!r}"
    got, expected = grad_after(y, x), exponent * 4.0 ** (exponent - 1)
    assert close(got, expected), (
        f"x.grad of x ** {exponent} at 4 is {got!r}, expected {expected!r}: n · x^(n-1)"
    )


SIDES = {
    "a - b": (lambda a, b: a - b, 1.0, -1.0),
    "a / b": (lambda a, b: a / b, 0.5, -0.75),
    "5 - b": (lambda a, b: 5 - b, 0.0, -1.0),
    "12 / b": (lambda a, b: 12 / b, 0.0, -3.0),
    "5 + b": (lambda a, b: 5 + b, 0.0, 1.0),
    "5 * b": (lambda a, b: 5 * b, 0.0, 5.0),
}


@pytest.mark.parametrize("name", SIDES)
def test_slopes_on_both_sides(backend, name):
    """What stands on the right of `-` and `/` has a slope of its own, with a minus."""
    apply, to_a, to_b = SIDES[name]
    a, b = backend.Value(3.0), backend.Value(2.0)
    apply(a, b).backward()
    assert close(a.grad, to_a), f"a.grad of {name} is {a.grad!r}, expected {to_a!r} (a = 3, b = 2)"
    assert close(b.grad, to_b), f"b.grad of {name} is {b.grad!r}, expected {to_b!r} (a = 3, b = 2)"


# Step 8 --------------------------------------------------------------------------------------


def set_weights(neuron, weights, bias):
    assert len(list(neuron.weight)) == len(weights), (
        f"a Neuron({len(weights)}) has {len(list(neuron.weight))} weights, expected one for each input"
    )
    for w, number in zip(neuron.weight, weights, strict=True):
        w.data = number
    neuron.bias.data = bias


@pytest.mark.parametrize(
    ("activation", "bias", "expected"),
    [
        ("relu", 0.5, 4.5),
        ("relu", -5.0, 0.0),
        ("linear", -5.0, -1.0),
        ("tanh", -3.5, math.tanh(0.5)),
    ],
)
def test_a_neuron(backend, activation, bias, expected):
    """w·x + b, and a function that bends it. The bias starts at 0."""
    neuron = backend.Neuron(2, activation=activation)
    assert neuron.bias.data == 0.0, f"the bias starts at {neuron.bias.data!r}, expected 0.0"
    set_weights(neuron, [2.0, -1.0], bias)
    y = neuron([3.0, 2.0])
    assert isinstance(y, backend.Value), f"neuron(x) is a {type(y).__name__}, expected a Value"
    assert close(y.data, expected), (
        f"{activation}(2·3 - 1·2 + {bias}) is {y.data!r}, expected {expected!r}: w·x + b, then the "
        "activation"
    )


def test_weights_are_drawn(backend):
    """Neurons that start alike stay alike: every weight is drawn at random, from -1 to 1."""
    random.seed(1)
    weights = [w.data for _ in range(50) for w in backend.Neuron(4).weight]
    assert len(set(weights)) == len(weights), "weights are the same: draw each with random.uniform"
    assert min(weights) < -0.5 and max(weights) > 0.5 and max(map(abs, weights)) <= 1.0, (
        f"weights are between {min(weights):.2f} and {max(weights):.2f}, expected -1 to 1"
    )


def test_a_layer(backend):
    """Several neurons that look at the same inputs."""
    outputs = backend.Layer(2, 3, activation="linear")([1.0, -2.0])
    assert len(outputs) == 3, f"Layer(2, 3) gives {len(outputs)} outputs, expected 3"
    assert len({y.data for y in outputs}) == 3, "the neurons of a layer are one and the same"


def test_a_network(backend):
    """Layers in a row. One output is a Value, which may be negative: the last layer is linear."""
    random.seed(3)
    outputs = [backend.MLP(2, [4, 4, 1])([1.0, -2.0]) for _ in range(20)]
    for y in outputs:
        assert isinstance(y, backend.Value), (
            f"MLP(2, [4, 4, 1]) gives a {type(y).__name__}, expected a Value: "
            "take the one output out of its list"
        )
    assert min(y.data for y in outputs) < 0, (
        "no network of twenty has a negative output: the last layer is linear, with no relu"
    )
    several = backend.MLP(2, [4, 3])([1.0, -2.0])
    assert len(several) == 3, f"MLP(2, [4, 3]) gives {len(several)} outputs, expected 3"


def test_parameters(backend):
    """All that may be learnt: every weight and every bias, once."""
    for what, module, count in (
        ("Neuron(10)", backend.Neuron(10), 11),
        ("Layer(3, 10)", backend.Layer(3, 10), 40),
        ("MLP(2, [16, 16, 1])", backend.MLP(2, [16, 16, 1]), 337),
    ):
        parameters = list(module.parameters())
        assert all(isinstance(p, backend.Value) for p in parameters), (
            f"the parameters of {what} are {[type(p).__name__ for p in parameters][:3]}…, "
            "expected Values"
        )
        assert len(parameters) == len({id(p) for p in parameters}) == count, (
            f"{what} has {len(parameters)} parameters, expected {count}: weights and biases"
        )


def test_gradients_reach_every_parameter(backend):
    """What learns is what the gradient reaches."""
    random.seed(5)
    model = backend.MLP(2, [3, 1], activation="tanh")
    model([1.0, -2.0]).backward()
    still = [i for i, p in enumerate(model.parameters()) if p.grad == 0.0]
    assert not still, f"the gradient of parameters {still} is 0 after backward()"


# Step 9 --------------------------------------------------------------------------------------


def test_the_mean_squared_error(backend):
    """The mean of (prediction - target)²."""
    a, b = backend.Value(3.0), backend.Value(-1.0)
    loss = backend.mse_loss([a, b], [1.0, 1.0])
    assert close(loss.data, 4.0), (
        f"mse_loss([3, -1], [1, 1]) is {loss.data!r}, expected 4.0: the mean of 2² and (-2)²"
    )
    loss.backward()
    assert close(a.grad, 2.0) and close(b.grad, -2.0), (
        f"its gradients are {a.grad!r} and {b.grad!r}, expected 2.0 and -2.0"
    )


def test_a_step_goes_downhill(backend):
    """The gradient points up, so a step is lr times the gradient against it."""
    p = backend.Value(1.0)
    p.grad = 3.0
    backend.SGD([p], lr=0.5).step()
    assert p.data == -0.5, (
        f"1.0 with the gradient 3.0 becomes {p.data!r} by a step of lr 0.5, expected -0.5: "
        "p.data -= lr * p.grad"
    )


def test_a_line_is_learnt(backend):
    """2x + 1 through three points, by its gradients alone."""
    w, b = backend.Value(0.0), backend.Value(0.0)
    optimizer = backend.SGD([w, b], lr=0.1)
    for _ in range(300):
        predictions = [w * x + b for x in (0.0, 1.0, 2.0)]
        loss = backend.mse_loss(predictions, [1.0, 3.0, 5.0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert abs(w.data - 2) < 0.01 and abs(b.data - 1) < 0.01, (
        f"the line is {w.data:.3f}·x + {b.data:.3f} after 300 steps, expected 2·x + 1"
    )


# Step 10 -------------------------------------------------------------------------------------


def train(backend, *arguments, **options):
    assert backend.has("train"), (
        f"{backend.name} has no `train` yet: def train(model, rows, targets, steps, lr)"
    )
    return backend.module.train(*arguments, **options)


def test_train_gives_the_losses(backend):
    """`train(model, rows, targets, steps, lr)`: the loss before each step, as a list of floats."""
    losses = train(backend, Line(backend), [[1.0]], [1.0], steps=3, lr=0.25)
    assert losses is not None and len(losses) == 3, f"train gave {losses!r}, expected three losses"
    assert all(close(float(a), b) for a, b in zip(losses, (1.0, 0.25, 0.0625), strict=True)), (
        f"w·x that should be 1 at x = 1, from w = 0 with lr 0.25: the losses are {losses!r}, "
        "expected 1, 0.25, 0.0625"
    )


def test_each_step_starts_from_zero(backend):
    """The second step must not take the gradient of the first once more."""
    model = Line(backend)
    train(backend, model, [[1.0]], [1.0], steps=2, lr=0.25)
    assert close(model.w.data, 0.75), (
        f"w is {model.w.data!r} after two steps, expected 0.75: call zero_grad() before backward()"
    )


def moons(n):
    """Two half circles of n points each, one into the other, with no noise; labels -1 and 1."""
    turns = [math.pi * i / (n - 1) for i in range(n)]
    upper = [[math.cos(t), math.sin(t)] for t in turns]
    lower = [[1 - math.cos(t), 0.5 - math.sin(t)] for t in turns]
    return upper + lower, [-1.0] * n + [1.0] * n


def test_two_moons_are_learnt(backend):
    """A network of 8 hidden neurons tells the moons apart. No line gets more than 18 of 20 right."""
    rows, targets = moons(10)
    scores = []
    for seed in (1, 2, 3, 4):  # now and then the first weights are so unlucky that it takes longer
        random.seed(seed)
        model = backend.MLP(2, [8, 1], activation="tanh")
        losses = train(backend, model, rows, targets, steps=120, lr=0.2)
        right = sum((model(x).data > 0) == (t > 0) for x, t in zip(rows, targets, strict=True))
        if right >= 19:
            return
        scores.append(f"{right} (the loss went from {losses[0]:.3f} to {losses[-1]:.3f})")
    pytest.fail(
        f"points on the right side after 120 steps, from four starts: {', '.join(scores)}; expected "
        "19 of 20 from one of them",
        pytrace=False,
    )
