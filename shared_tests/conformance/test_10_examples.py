"""The documented examples, with their numbers, and the known training runs."""

import math
import random

import pytest

from cases.moons import LOSSES, learning_rate, moons
from cases.numbers import close, floats

SAMPLES = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
TARGETS = [1.0, -1.0, -1.0, 1.0]


def test_two_numbers(backend):
    """x = 2, y = 2.3 and z = -3."""
    x, y, z = backend.Value(2), backend.Value(2.3), backend.Value(-3)
    assert (x / y).data == 0.8695652173913044
    assert (2 + x).data == 4.0
    with pytest.raises(ZeroDivisionError):
        x / 0
    assert (x**3).data == 8.0
    assert close(x.exp().data, 7.38905609893065, 4e-16)
    assert z.relu().data == 0.0
    assert close(z.sigmoid().data, 0.04742587317756678, 4e-16)


def test_the_first_picture(backend):
    """f = tanh(a·b + c), drawn before and after backward."""
    a = backend.Value(2.0)
    b = backend.Value(3.0)
    c = backend.Value(5.0)
    f = (a * b + c).tanh()
    assert "data 11.0000" in backend.draw_dot(f).source
    f.backward()
    assert "grad 1.0000" in backend.draw_dot(f).source


def test_modules_of_every_kind(backend):
    """Parameters, backward and draw_dot on the outputs of a Neuron, a Layer and an MLP."""
    for model, x in (
        (backend.Neuron(n_in=2), [2, 0]),
        (backend.Layer(n_in=2, n_out=4), [2, 0]),
        (backend.MLP([3, 4, 2, 1]), [2.0, 3.0, -1.0]),
    ):
        assert list(model.parameters())
        y = model(x)
        y.backward()
        backend.draw_dot(y)
    n = backend.Neuron(2)
    x = [backend.Value(1.0), backend.Value(-2.0)]
    assert backend.draw_dot(n(x)).source.count("oval") == 5


def test_minimising_a_function_of_two_variables(backend):
    """f = ((x-y)³ + e^y).relu() + y from 7, 3, 20001 steps with lr 0.001."""
    x, y = backend.Value(7), backend.Value(3)
    curve = []
    for step in range(20001):
        x.zero_grad()
        y.zero_grad()
        f = ((x - y) ** 3 + y.exp()).relu() + y
        f.backward()
        if step == 0:
            assert close(f.data, 87.08553692318766)
            assert close(x.grad, 48.0) and close(y.grad, -26.914463076812336)
        curve.append(f.data)
        x.data -= 0.001 * x.grad
        y.data -= 0.001 * y.grad
    assert close(curve[-1], -9.75681199323536, 1e-9), f"f after 20001 steps is {curve[-1]!r}"
    assert curve[-1] < curve[1000] < curve[0], "f falls"


@pytest.mark.parametrize(
    ("make", "lr", "steps"),
    [
        (lambda m: m.MLP(3, [4, 4, 1], activation="tanh", seed=1), 0.01, 1000),
        (lambda m: m.MLP([3, 4, 2, 1], activation="tanh", seed=1), 1e-3, 3000),
    ],
    ids=["3-4-4-1", "3-4-2-1"],
)
def test_four_samples(backend, make, lr, steps):
    """The loss falls, and the predictions come near the targets."""
    model = make(backend)
    before = [model(x).data for x in SAMPLES]
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = sum((model(x) - t) ** 2 for x, t in zip(SAMPLES, TARGETS, strict=True))
        loss.backward()
        losses.append(loss.data)
        for p in model.parameters():
            p.data -= lr * p.grad
    after = [model(x).data for x in SAMPLES]
    assert losses[-1] < losses[0] / 10, f"the loss went from {losses[0]} to {losses[-1]}"
    assert all(math.copysign(1, p) == t for p, t in zip(after, TARGETS, strict=True)), (
        f"{before} became {after}"
    )


def train(model, loss_of, update, steps=100):
    """The losses before each step."""
    losses = []
    for k in range(steps):
        loss = loss_of(model)
        model.zero_grad()
        loss.backward()
        losses.append(loss.data)
        update(model, learning_rate(k))
    return losses


def plain_update(model, lr):
    for p in model.parameters():
        p.data -= lr * p.grad


def check_moons(model, losses, X, y):
    for step, known in LOSSES.items():
        assert close(losses[step], known, 1e-9), (
            f"the loss before step {step} is {losses[step]!r}, known is {known!r}"
        )
    scores = [float(s) for s in floats(model(X))]
    right = sum((s > 0) == (t > 0) for s, t in zip(scores, y, strict=True))
    assert right == 100, f"{right} of 100 training points are classified right"


def test_two_moons_as_a_micrograd_user_writes_it(backend):
    """337 parameters; the known losses before the first five steps, every sample and every
    operation by itself.
    """
    X, y = moons()
    random.seed(1337)
    model = backend.MLP(2, [16, 16, 1])
    assert model.nparams() == 337

    def max_margin(model):
        scores = [model(x) for x in X]
        losses = [(1 + -t * s).relu() for s, t in zip(scores, y, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        # With the tensor extension a parameter is a matrix, and the sum over it is one step more.
        squares = [(p * p).sum() if backend.arrays else p * p for p in model.parameters()]
        return data_loss + 1e-4 * sum(squares)

    losses = train(model, max_margin, plain_update, steps=5)
    for step, known in LOSSES.items():
        assert close(losses[step], known, 1e-9), (
            f"the loss before step {step} is {losses[step]!r}, known is {known!r}"
        )


def test_two_moons_in_batches(backend):
    """The same with model(X), hinge_loss and SGD whose weight decay is the gradient of the L2 term."""
    X, y = moons()
    random.seed(1337)
    model = backend.MLP(2, [16, 16, 1])
    optimiser = backend.SGD(model.parameters(), lr=1.0, weight_decay=2e-4)

    def loss_of(model):
        return backend.hinge_loss(model(X), y)

    def update(model, lr):
        optimiser.lr = lr
        optimiser.step()

    penalties = []

    def with_penalty(model):
        penalties.append(1e-4 * sum(w * w for p in model.parameters() for w in floats(p.data)))
        return loss_of(model)

    losses = train(model, with_penalty, update)
    check_moons(model, [a + b for a, b in zip(losses, penalties, strict=True)], X, y)


def test_two_moons_in_vector_style(backend):
    """The loss as the interface writes it: (1 - y * model(X)).relu().mean()."""
    X, y = moons()
    random.seed(1337)
    model = backend.MLP(2, [16, 16, 1])

    def loss_of(model):
        return (1 - y * model(X)).relu().mean()

    loss = loss_of(model)
    penalty = 1e-4 * sum(w * w for p in model.parameters() for w in floats(p.data))
    assert close(loss.data + penalty, LOSSES[0], 1e-9)
    loss.backward()
    assert any(g for p in model.parameters() for g in floats(p.grad))
