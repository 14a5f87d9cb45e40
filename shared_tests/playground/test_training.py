"""The network of the playground: it goes on through changes, and a script repeats it to the bit."""

import _thread
import itertools
import signal
import subprocess
import sys

import numpy as np
import pytest

from pure_python.playground.points import generated, nothing
from pure_python.playground.script import script_of
from pure_python.playground.settings import Settings
from pure_python.playground.trainer import BrokenOff
from pure_python.playground.training import Curve, Training
from pure_python.training.objective import LOSSES
from pure_python.training.trainer import OPTIMIZERS


def training(backend, dataset="moons", classes=2, **settings):
    s = Settings(dataset=dataset, samples=50, classes=classes, backend=backend.name, **settings)
    return Training(s, generated(dataset, 50, 0.1, classes, s.seed))


def learn(network, steps):
    for _ in range(steps):
        network.update(network.gradients())


def printed_by(script):
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [2, 3])
def test_the_script_repeats_the_run(backend, loss, classes):
    """To the bit: the loss over all points, and every weight."""
    network = training(backend, "spiral", classes, loss=loss, weight_decay=0.001, batch_size=16)
    learn(network, 9)
    script = script_of(network)
    assert printed_by(script) == network.judge()[0]
    names = {}
    exec(script, names)
    assert np.array_equal(
        np.concatenate([np.ravel(part) for part in names["model"].state_dict().values()]).astype(
            "<f4"
        ),
        network.parameters(),
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_script_repeats_a_run_that_was_changed(backend, optimizer):
    network = training(backend, optimizer=optimizer)
    learn(network, 5)
    network.change(network.settings.changed({"lr": 0.05, "activation": "relu"}), network.points)
    learn(network, 4)
    network.change(network.settings, network.points.moved(3, 0.1, 0.2).deleted(7))
    learn(network, 4)
    network.change(network.settings.changed({"batch_size": 1000}), network.points)
    learn(network, 3)
    assert network.step == 16
    assert printed_by(script_of(network)) == network.judge()[0]


def test_a_script_without_points_or_steps(backend):
    network = training(backend)
    assert printed_by(script_of(network)) == network.judge()[0]
    network.change(network.settings, nothing())
    exec(script_of(network), {})
    assert np.isnan(network.judge()).all(), "there is nothing that could be right"


def test_another_backend_goes_on_where_one_was(backend):
    """Weights and moments move along, so the losses are those of a run that never moved."""
    stayed, moved = training(backend), training(backend)
    learn(stayed, 8)
    learn(moved, 3)
    for name, steps in (("numpy_vectorized", 2), ("cython_core", 2), ("pure_python", 1)):
        moved.change(moved.settings.changed({"backend": name}), moved.points)
        assert moved.model.__class__.__module__.startswith(name)
        # Another time through the points begins, so the run that stayed begins one as well.
        learn(moved, steps)
    again = training(backend)
    for steps in (3, 2, 2, 1):
        learn(again, steps)
        again.change(again.settings, again.points)
    assert np.allclose(moved.parameters(), again.parameters(), rtol=1e-6)
    assert np.allclose(moved.judge()[0], again.judge()[0], rtol=1e-9)
    assert stayed.step == moved.step == again.step


@pytest.mark.parametrize(
    "changes", [{"hidden": (4,)}, {"init": "he"}, {"seed": 5}], ids=lambda c: next(iter(c))
)
def test_another_network_begins_anew(backend, changes):
    network = training(backend)
    learn(network, 3)
    network.change(network.settings.changed(changes), network.points)
    assert network.step == 0 and network.curve.means == []


def test_another_optimizer_begins_its_moments_anew(backend):
    """Those of the optimiser before mean nothing to it; the weights go on."""
    network = training(backend, optimizer="adam", batch_size=50)
    learn(network, 3)
    weights = network.parameters()
    network.change(network.settings.changed({"optimizer": "sgd"}), network.points)
    assert (network.parameters() == weights).all() and network.step == 3
    network.change(network.settings.changed({"optimizer": "adam"}), network.points)
    fresh = network.optimizer.state_dict()
    assert fresh["step"] == 0 and not any(fresh["first_moment"] or [])


def test_another_class_begins_anew(backend):
    network = training(backend)
    learn(network, 3)
    network.change(network.settings, network.points.recoloured(0, 2))
    assert network.step == 0
    assert len(network.picture(4)[-1]) == 3, "an output for each of three classes"


def test_a_step_that_is_broken_off_leaves_nothing(backend):
    """At any moment of it: the step that is begun again is the one it would have been."""
    expected, network = training(backend, batch_size=50), training(backend, batch_size=50)
    learn(expected, 6)

    def break_off(number, frame):
        raise BrokenOff

    def trace(frame, event, argument):
        nonlocal countdown
        countdown -= 1
        if countdown == 0:
            _thread.interrupt_main()
        return trace

    tracing, before, broken = sys.gettrace(), signal.signal(signal.SIGINT, break_off), 0
    try:
        for moment in itertools.chain([1, 5, 20, 60], range(150, 6000, 450)):
            countdown = moment
            sys.settrace(trace)
            try:
                network.gradients()
            except BrokenOff:
                broken += 1
            finally:
                sys.settrace(tracing)
    finally:
        signal.signal(signal.SIGINT, before)
    assert broken >= 2
    learn(network, 6)
    assert (network.parameters() == expected.parameters()).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [2, 3])
def test_the_graph_of_a_point(backend, loss, classes):
    """Its loss is that of the point alone, and explore shows the inputs by name."""
    network = training(backend, "spiral", classes, loss=loss, hidden=(3,))
    learn(network, 2)
    root = network.graph_of(7)
    outputs = network.model(network.points.inputs[[7]])
    alone = network.objective(outputs, network.points.targets[[7]])
    assert np.isclose(root.data, alone.data, rtol=1e-12) and root.label == "loss"
    leaves = {node.label: node.data for node in backend.trace(root)[0] if not node.operands}
    assert [leaves["x"], leaves["y"]] == network.points.inputs[7].tolist()
    assert "<svg" in backend.explore(root).html or "<script" in backend.explore(root).html


@pytest.mark.parametrize("hidden", [(), (1,), (3, 2), (1, 3), (2, 1, 1)], ids=str)
def test_what_every_neuron_answers(backend, hidden):
    network = training(backend, hidden=hidden)
    layers = network.picture(5)
    assert [layer.shape for layer in layers] == [(n, 25) for n in (*hidden, 1)]
    with backend.no_grad():
        corner = network.model([-1.5, 1.5]).data  # the first place is the top left one
    assert np.isclose(layers[-1][0, 0], corner, rtol=1e-6)
    assert network.picture(5, lambda: True) is None


def test_the_curve_keeps_its_bits_while_it_is_condensed():
    """Two runs that have the same losses have the same means, however far each has come."""
    losses = [1 / (k + 3) for k in range(3001)]
    long, short = Curve(), Curve()
    for loss in losses:
        long.add(loss)
    for loss in losses[:700]:
        short.add(loss)
    assert long.width == 8 and short.width == 2 and len(long.means) == 375
    condensed = short.means
    for _ in range(2):
        condensed = [(a + b) / 2 for a, b in zip(condensed[::2], condensed[1::2], strict=False)]
    assert condensed == long.means[: len(condensed)]
    assert np.isclose(long.means[0], np.mean(losses[:8]))
