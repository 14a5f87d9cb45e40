"""SGD, Adam and AdamW against torch.optim, step by step."""

import math

import pytest

from cases.bad_inputs import of_chapter
from cases.numbers import all_close, close, floats, nested, worst
from cases.refusals import check_refusal
from reference import torch

OPTIONS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.0}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.5, "weight_decay": 0.1, "nesterov": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-6}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "betas": (0.0, 0.0)}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.2}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.0}),
]
START = (1.5, -2.0, 0.25, 100.0, -1e-3)

each_option = pytest.mark.parametrize(
    ("name", "options"),
    OPTIONS,
    ids=[f"{n} {' '.join(f'{k}={v}' for k, v in o.items())}".strip() for n, o in OPTIONS],
)


def gradient(step, i):
    """Some gradient that changes its sign and size, sometimes exactly zero."""
    return 0.0 if (step + i) % 7 == 0 else math.sin(0.7 * step + i) * 10.0 ** (i - 2)


@pytest.mark.pytorch
@each_option
def test_agrees_with_pytorch(backend, name, options):
    """Rule 4.1: PyTorch's update rules, to 1e-12 over 100 steps."""
    ours = [backend.Value(x) for x in START]
    theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in START]
    optimiser = getattr(backend, name)(ours, **options)
    reference = getattr(torch.optim, name)(theirs, **{"lr": 1e-3, **options})
    for step in range(100):
        for i, (p, t) in enumerate(zip(ours, theirs, strict=True)):
            p.grad = gradient(step, i)
            t.grad = torch.tensor(gradient(step, i), dtype=torch.float64)
        optimiser.step()
        reference.step()
        got, expected = [p.data for p in ours], [t.item() for t in theirs]
        assert all_close(got, expected), f"{name} after step {step + 1}: {worst(got, expected)}"
    assert all(type(p.data) is float for p in ours)


@pytest.mark.pytorch
@each_option
def test_training_agrees_with_pytorch(backend, name, options):
    """Rule 4.1: a small network trained for 100 steps."""
    X = [[0.1 * i, math.cos(i)] for i in range(8)]
    y = [math.sin(0.5 * i) for i in range(8)]
    model = backend.MLP(2, [4, 1], activation="tanh", seed=3)
    state = {
        n: torch.tensor(nested(d), dtype=torch.float64, requires_grad=True)
        for n, d in model.state_dict().items()
    }
    optimiser = getattr(backend, name)(model.parameters(), **options)
    reference = getattr(torch.optim, name)(list(state.values()), **{"lr": 1e-3, **options})
    x, t = torch.tensor(X, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
    for step in range(100):
        optimiser.zero_grad()
        loss = backend.mse_loss(model(X), y)
        loss.backward()
        optimiser.step()
        reference.zero_grad()
        hidden = torch.tanh(x @ state["layers.0.weight"].T + state["layers.0.bias"])
        theirs = torch.nn.functional.mse_loss(
            (hidden @ state["layers.1.weight"].T + state["layers.1.bias"])[:, 0], t
        )
        theirs.backward()
        reference.step()
        # Adam divides by the size of the gradient, so a last digit grows where that is small.
        assert close(loss.data, theirs.item(), 1e-10), (
            f"loss {loss.data!r} before step {step}, PyTorch has {theirs.item()!r}"
        )


def test_zero_grad(backend):
    """Rule 4.1."""
    p = backend.Value(1.0)
    p.grad = 3.0
    optimiser = backend.SGD([p], lr=0.5)
    optimiser.step()
    assert p.data == -0.5
    optimiser.zero_grad()
    assert p.grad == 0.0


def test_without_momentum_there_is_none_to_keep(backend):
    """Rule 4.3: the state of an SGD without momentum has a momentum_buffer of zeros."""
    p = backend.Value(1.0)
    optimiser = backend.SGD([p], lr=0.5)
    p.grad = 3.0
    optimiser.step()
    assert optimiser.state_dict()["momentum_buffer"] == [0.0]


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_without_weight_decay_data_is_no_part_of_the_gradient(backend, name):
    """Rule 4.1: as in PyTorch, where 0 times inf would be nan."""
    p = backend.Value(math.inf)
    optimiser = getattr(backend, name)([p], lr=0.5)
    p.grad = 3.0
    optimiser.step()
    assert p.data == math.inf


def test_learning_rate_can_be_changed(backend):
    """Rule 4.1: settable lr, for schedules."""
    for name in ("SGD", "Adam", "AdamW"):
        p = backend.Value(1.0)
        optimiser = getattr(backend, name)([p], lr=0.5)
        assert optimiser.lr == 0.5
        optimiser.lr = 0.0
        p.grad = 3.0
        optimiser.step()
        assert p.data == 1.0, f"{name}: with lr 0 nothing moves"


def test_a_generator_of_parameters(backend):
    """Rule 4.1: parameters may come from any iterable, and are kept."""
    values = [backend.Value(1.0), backend.Value(2.0)]
    optimiser = backend.SGD((p for p in values), lr=1.0)
    for _ in range(2):
        for p in values:
            p.grad = 0.5
        optimiser.step()
    assert [p.data for p in values] == [0.0, 1.0]


def test_parameters_may_be_vectors(backend):
    """Rule 4.1: a Vector counts as its scalars."""
    v, x = backend.Vector([1.0, 2.0]), backend.Value(3.0)
    optimiser = backend.Adam([v, x], lr=0.5)
    v.grad, x.grad = [1.0, -1.0], 2.0
    optimiser.step()
    assert all_close([v, x], [0.5, 2.5, 2.5], 1e-7)
    assert all_close(optimiser.state_dict()["first_moment"], [0.1, -0.1, 0.2])
    optimiser.zero_grad()
    assert floats([v.grad, x.grad]) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("name", "options"), [("SGD", {"lr": 0.05, "momentum": 0.9}), ("Adam", {}), ("AdamW", {})]
)
def test_state(backend, name, options):
    """Rule 4.3: from a state, training goes on as if it had not stopped."""

    def steps(optimiser, values, first, last):
        for step in range(first, last):
            for i, p in enumerate(values):
                p.grad = gradient(step, i)
            optimiser.step()

    values = [backend.Value(x) for x in START]
    optimiser = getattr(backend, name)(values, **options)
    steps(optimiser, values, 0, 10)
    state = optimiser.state_dict()
    assert state["kind"] == name and state["step"] == 10 and state["lr"] == optimiser.lr
    lists = [entry for entry in state.values() if isinstance(entry, list)]
    assert len(lists) == (1 if name == "SGD" else 2) and all(len(entry) == 5 for entry in lists)
    assert all(type(x) is float for entry in lists for x in entry)
    if name == "SGD":
        assert isinstance(state["momentum_buffer"], list)
    else:
        assert isinstance(state["first_moment"], list) and isinstance(state["second_moment"], list)

    twins = [backend.Value(p.data) for p in values]
    other = getattr(backend, name)(twins, lr=0.7)
    other.load_state_dict(state)
    kept = repr(state)
    steps(optimiser, values, 10, 20)
    steps(other, twins, 10, 20)
    assert floats(values) == floats(twins)
    assert repr(state) == kept, "a state is a copy"


def test_moments_lie_in_the_order_of_the_parameters(backend):
    """Rule 4.3: flat, the scalars of each parameter in their order."""
    model = backend.MLP(2, [2, 1], seed=1)
    count = 0
    for p in model.parameters():
        n = len(floats(p.data))
        numbers = [float(count + i + 1) for i in range(n)]
        # The gradient of a matrix is set from rows of its shape.
        p.grad = numbers[0] if n == 1 and not backend.arrays else in_shape(numbers, nested(p.data))
        count += n
    optimiser = backend.Adam(model.parameters())
    optimiser.step()
    got, expected = optimiser.state_dict()["first_moment"], [0.1 * (i + 1) for i in range(count)]
    assert all_close(got, expected), f"first_moment is {got}, expected {expected}"


def in_shape(numbers, like):
    numbers = iter(numbers)
    return [
        [next(numbers) for _ in row] if isinstance(row, list) else next(numbers) for row in like
    ]


@pytest.mark.parametrize("case", of_chapter("optim"), ids=str)
def test_refuses(backend, case):
    """Bad input is answered with the error that the interface names, and says what came."""
    check_refusal(backend, case)
