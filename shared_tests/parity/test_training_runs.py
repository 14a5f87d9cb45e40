"""Whole training runs, bit for bit, and the known losses against micrograd and PyTorch (rule 1.18)."""

import gc
import random

import pytest

from cases.contract import ACTIVATIONS
from cases.moons import LOSSES, learning_rate, moons
from cases.numbers import all_close, close, floats, same, worst

OPTIMISERS = {
    "plain": None,
    "SGD": lambda m, p: m.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3, nesterov=True),
    "SGD damped": lambda m, p: m.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
    "Adam": lambda m, p: m.Adam(p, lr=0.02, weight_decay=1e-3),
    "AdamW": lambda m, p: m.AdamW(p, lr=0.02),
}
POINTS, LABELS = (part[:24] for part in moons())
CLASSES = [int(label > 0) for label in LABELS]


def single(m, model):
    return [model(x) for x in POINTS]


def batch(m, model):
    return model(POINTS)


def vector_style(m, model):
    return (1 - LABELS * model(POINTS)).relu().mean()


def micrograd_style(m, model):
    losses = [(1 + -t * model(x)).relu() for x, t in zip(POINTS, LABELS, strict=True)]
    return sum(losses) * (1.0 / len(losses))


TARGETS = [0.5 * (label + 1) for label in LABELS]
ONE_OUTPUT = {
    "hinge_loss, single calls": lambda m, model: m.hinge_loss(single(m, model), LABELS),
    "hinge_loss, batch": lambda m, model: m.hinge_loss(batch(m, model), LABELS),
    "mse_loss": lambda m, model: m.mse_loss(batch(m, model), LABELS),
    "binary_cross_entropy": lambda m, model: m.binary_cross_entropy_with_logits(
        batch(m, model), TARGETS
    ),
    "vector style": vector_style,
    "micrograd style": micrograd_style,
}
TWO_OUTPUTS = {
    "cross_entropy, batch": lambda m, model: m.cross_entropy(batch(m, model), CLASSES),
    "cross_entropy, single calls": lambda m, model: m.cross_entropy(single(m, model), CLASSES),
    "log_softmax by hand": lambda m, model: (
        -sum(m.log_softmax(o)[c] for o, c in zip(single(m, model), CLASSES, strict=True))
        / len(CLASSES)
    ),
}


def run(
    m, activation, optimiser, loss_of, outputs=1, steps=8, output_activation="linear", replay=False
):
    """Everything that a training run computes: losses, and data and gradient of every parameter."""
    model = m.MLP(
        2, [5, 4, outputs], activation=activation, output_activation=output_activation, seed=11
    )
    make = OPTIMISERS[optimiser]
    optimiser = make(m, model.parameters()) if make else None
    tape, told = None, []
    for _ in range(steps):
        if tape is None:
            loss = loss_of(m, model)
            tape = m.Tape(loss) if replay else None
        else:
            tape.forward()
        model.zero_grad()
        (tape or loss).backward()
        told.append([loss.data])
        told.append(by_name(model, "grad"))
        if optimiser:
            optimiser.step()
        else:
            for p in model.parameters():
                p.data -= 0.1 * p.grad
        told.append(by_name(model, "data"))
    if optimiser:
        state = optimiser.state_dict()
        told.append(
            [x for key in sorted(state) if isinstance(state[key], list) for x in state[key]]
        )
    return told


def by_name(model, attribute):
    """Numbers in the order of state_dict, whatever a parameter is."""
    flat = {key: [] for key in model.state_dict()}
    for name, p in model.named_parameters():
        (key,) = [key for key in flat if f"{name}.".startswith(f"{key}.")]
        flat[key] += floats(getattr(p, attribute))
    return [x for row in flat.values() for x in row]


def compare(backends, **options):
    runs = {backend.name: run(backend, **options) for backend in backends}
    pure, cython, array = runs["pure_python"], runs["cython_core"], runs["numpy_vectorized"]
    for step, (a, b) in enumerate(zip(pure, cython, strict=True)):
        assert len(a) == len(b) and all(map(same, a, b)), (
            f"record {step}, cython_core: {worst(b, a)}"
        )
    # Rounding grows with the steps, and the moments' order differs with the parameters'.
    for step, (a, b) in enumerate(zip(pure[:24], array, strict=False)):
        rtol = 1e-12 if step < 3 else 1e-9
        assert all_close(a, b, rtol, 1e-3 * rtol), f"record {step}, numpy_vectorized: {worst(b, a)}"


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_every_activation_and_optimiser(backends, activation, optimiser):
    compare(
        backends,
        activation=activation,
        optimiser=optimiser,
        loss_of=ONE_OUTPUT["hinge_loss, batch"],
    )


@pytest.mark.parametrize("optimiser", [*OPTIMISERS][1:])
def test_parameters_of_every_kind(backends, optimiser):
    """Vectors, parts of them, single Values, and a neuron whose weights a first call rearranges."""
    runs = {}
    for m in (backend.module for backend in backends if not backend.arrays):
        random.seed(5)
        v = m.Vector([random.uniform(-1, 1) for _ in range(30)])
        w = m.Vector([[random.uniform(-1, 1) for _ in range(4)] for _ in range(5)])
        values, neuron = [m.Value(0.1 * i) for i in range(12)], m.Neuron(4, seed=3)
        parameters = [values[3], *v[10:25], w, *values[5:], v[2], *neuron.parameters(), v[:2]]
        optimizer, seen = OPTIMISERS[optimiser](m, parameters), []
        for step in range(4):
            outputs = m.linear(v[:4], w) * v[10:15] + values[6]
            loss = (outputs * outputs).sum() + v[20:].sum().exp() * values[7]
            if step > 1:
                loss = loss * neuron(w[0])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += [loss.data, *v.data, *floats(w.data), *[p.data for p in parameters[-6:-1]]]
        seen += [*v.grad, *floats(w.grad), *[p.grad for p in values]]
        runs[m.__name__] = seen + floats(list(optimizer.state_dict().values())[-1])
    expected, got = runs.values()
    assert all(map(same, expected, got)), worst(got, expected)


@pytest.mark.parametrize("loss", ONE_OUTPUT)
@pytest.mark.parametrize("replay", [False, True], ids=["", "Tape"])
def test_every_way_to_write_it(backends, loss, replay):
    compare(backends, activation="tanh", optimiser="plain", loss_of=ONE_OUTPUT[loss], replay=replay)


@pytest.mark.parametrize("loss", TWO_OUTPUTS)
@pytest.mark.parametrize("replay", [False, True], ids=["", "Tape"])
def test_two_outputs(backends, loss, replay):
    compare(
        backends,
        activation="gelu",
        optimiser="Adam",
        loss_of=TWO_OUTPUTS[loss],
        outputs=2,
        replay=replay,
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_output_activation(backends, activation):
    compare(
        backends,
        activation="silu",
        optimiser="SGD",
        loss_of=ONE_OUTPUT["mse_loss"],
        output_activation=activation,
    )


SIZES = [[1, 1], [2, 16, 16, 1], [7, 17, 33, 5], [3, 64, 8, 2], [16, 4], [1, 31, 1], [65, 3, 3]]
SIZES += [[40, 150, 40, 2]]  # wide enough to be taken in parts
ODD_NUMBERS = (0.0, -0.0, 1e308, -1e308, float("inf"), float("nan"), 5e-324)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("samples", [1, 5, 33])
@pytest.mark.parametrize("wild", [False, True], ids=["", "inf and nan"])
def test_every_size(backends, sizes, samples, wild):
    """Widths and batches that do not fill a vector register, and numbers that overflow in it."""
    generator = random.Random(str((sizes, samples, wild)))
    X = [[generator.uniform(-2, 2) for _ in range(sizes[0])] for _ in range(samples)]
    if wild:
        for row in X:
            row[generator.randrange(len(row))] = generator.choice(ODD_NUMBERS)
    runs = {}
    for backend in backends:
        model = backend.MLP(sizes, activation="leaky_relu", seed=3)
        inputs = [[backend.Value(x) for x in row] for row in X]
        told = []
        for batch in (X, inputs, [inputs[0]] * samples):
            model.zero_grad()
            outputs = model(batch)
            (outputs * outputs).mean().backward()
            (outputs * 0.5).sum().backward()  # a second root over the same layers
            told += [floats(outputs.data), by_name(model, "grad")]
            told.append([v.grad for row in inputs for v in row])
        runs[backend.name] = told
    pure, cython, array = runs["pure_python"], runs["cython_core"], runs["numpy_vectorized"]
    for part, (a, b) in enumerate(zip(pure, cython, strict=True)):
        assert all(map(same, a, b)), f"part {part}, cython_core: {worst(b, a)}"
    if not wild:
        for part, (a, b) in enumerate(zip(pure, array, strict=True)):
            # Sums of many terms that cancel: what counts is the size of the terms.
            scale = max(map(abs, a), default=0.0)
            assert all_close(a, b, 1e-12, 1e-14 * scale), f"part {part}, numpy: {worst(b, a)}"


def test_a_batch_has_the_bits_of_single_calls(backends):
    """Rule 3.5: to the last bit in the scalar backends, through a whole run."""
    for backend in backends:
        if not backend.arrays:
            one = run(backend, "tanh", "Adam", ONE_OUTPUT["hinge_loss, single calls"])
            many = run(backend, "tanh", "Adam", ONE_OUTPUT["hinge_loss, batch"])
            assert all(map(same, (x for row in one for x in row), (x for row in many for x in row)))


def moons_run(m, steps):
    """Two moons as a micrograd user writes it: losses and scores."""
    X, y = moons()
    random.seed(1337)
    model = m.MLP(2, [16, 16, 1])
    losses = []
    for k in range(steps):
        scores = [model(x) for x in X]
        margins = [(1 + -t * s).relu() for s, t in zip(scores, y, strict=True)]
        squares = [p * p for p in model.parameters()]
        squares = [q.sum() if hasattr(q, "sum") else q for q in squares]
        loss = sum(margins) * (1.0 / len(margins)) + 1e-4 * sum(squares)
        model.zero_grad()
        loss.backward()
        losses.append(loss.data)
        for p in model.parameters():
            p.data -= learning_rate(k) * p.grad
    right = sum((float(model(x).data) > 0) == (t > 0) for x, t in zip(X, y, strict=True))
    return losses, [w for p in model.parameters() for w in floats(p.data)], right


def test_two_moons_to_the_end(backends):
    """100 steps: known losses, the same bits in the scalar backends, 100 % accuracy in all."""
    runs = {backend.name: moons_run(backend, 100) for backend in backends}
    for name, (losses, _, right) in runs.items():
        for step, known in LOSSES.items():
            assert close(losses[step], known, 1e-9), (
                f"{name}: the loss before step {step} is {losses[step]!r}"
            )
        assert right == 100, f"{name}: {right} of 100 training points are classified right"
    pure, cython = runs["pure_python"], runs["cython_core"]
    assert pure[0] == cython[0], "the losses differ"
    assert pure[1] == cython[1], "the weights differ"
    array = runs["numpy_vectorized"]
    assert all_close(array[0][:5], pure[0][:5], 1e-9)


def test_the_first_five_losses_are_those_of_micrograd(backends):
    """Against micrograd itself, from the same seed."""
    import micrograd.nn

    class Micrograd:
        MLP = micrograd.nn.MLP

    gc.disable()  # its graphs are cycles, and collecting them takes nine tenths of the time
    try:
        theirs, _, _ = moons_run(Micrograd, 5)
    finally:
        gc.enable()
        gc.collect()
    for step, known in LOSSES.items():
        assert close(theirs[step], known, 1e-12)
    for backend in backends:
        ours, _, _ = moons_run(backend, 5)
        assert all_close(ours, theirs, 1e-9), f"{backend.name}: {worst(ours, theirs)}"
