"""How long a network learns, and how fast: early stopping, schedules, warming up."""

import json
import math

import numpy as np
import pytest

from pure_python.training import checkpoint, figures
from pure_python.training.run import Run, Source
from pure_python.training.stopping import EarlyStopping
from pure_python.training.trainer import History


class Weights:
    """What has a state, as a model or an optimiser."""

    def __init__(self):
        self.state = 0

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state


def stopping(measures, patience, tolerance=0.0):
    """After how many of these measures training ends, and whose weights are kept."""
    model, optimizer = Weights(), Weights()
    early = EarlyStopping(model, optimizer, patience, tolerance)
    for epoch, measure in enumerate(measures):
        model.state, optimizer.state = epoch, -epoch
        if early.ends(measure):
            break
    early.restore()
    assert optimizer.state == -model.state
    return epoch + 1, model.state


@pytest.mark.parametrize(
    "measures, patience, tolerance, expected",
    [
        ([3, 2, 1, 2, 2, 0], 2, 0.0, (5, 2)),
        ([3, 2, 1, 2, 2, 0], 3, 0.0, (6, 5)),
        ([3, 2, 2, 2], 2, 0.0, (4, 1)),  # as low is not better
        ([3, 2.5, 2.6, 1.0], 2, 0.5, (3, 0)),
        ([3, 2.4, 2.2, 1.8], 2, 0.5, (4, 3)),  # against the best, not the last
        ([math.inf], 1, 0.0, (1, 0)),  # nothing to go back to
    ],
)
def test_when_training_ends_and_what_is_kept(measures, patience, tolerance, expected):
    assert stopping(measures, patience, tolerance) == expected


def learnt(backend, **options):
    source = Source("breast-cancer", samples=100)
    options = {"lr": 0.03, "seed": 3, **options}
    run = Run.prepare(backend.module, source, options, save="w", files=False)
    assert run.carry_out(quiet=True)
    return run


def test_the_best_weights_are_those_of_a_run_that_ended_there(backend, folder):
    """Bit for bit, the optimiser's state too: going on from there is going on from the best."""
    early = learnt(backend, epochs=30, early_stopping=2)
    rows, kept = early.trainer.history.epochs, early.trainer.history.result
    assert len(rows) < 30 and len(rows) == kept["epoch"] + 2
    assert kept["held_loss"] == min(row["held_loss"] for row in rows)
    saved = checkpoint.read("w")
    assert saved.epochs == kept["epoch"] == early.metrics()["epoch"]
    held = early.trainer.judge(early.scaling(early.split.held_inputs), early.split.held_targets)
    assert held == (kept["held_loss"], kept["held_accuracy"])
    learnt(backend, epochs=kept["epoch"])
    assert checkpoint.read("w").state == saved.state
    assert checkpoint.read("w").optimizer == saved.optimizer


def test_the_best_weights_are_kept_when_all_epochs_were_run(backend, folder):
    run = learnt(backend, epochs=8, early_stopping=8)
    rows = run.trainer.history.epochs
    assert len(rows) == 8
    assert run.trainer.history.result == min(rows, key=lambda row: row["held_loss"])


def test_a_run_that_ended_early_says_so(run, folder, undrawn):
    args = ("--samples", 100, "--lr", 0.03, "--seed", 3, "--early-stopping", 2, "--out", "out")
    printed = run("train", "breast-cancer", *args).succeeded()
    told = json.loads((folder / "out" / "metrics.json").read_text())
    assert f"{len(told['epochs'])} epochs (kept: {told['epoch']})" in printed
    assert told["epoch"] == len(told["epochs"]) - 2
    kept = told["epochs"][told["epoch"] - 1]
    assert (told["loss"], told["held_out_accuracy"]) == (kept["loss"], kept["held_accuracy"])


def test_the_figure_shows_whose_weights_were_kept():
    rows = [{"epoch": 3.0 + k, "loss": 1.0, "accuracy": 0.5} for k in range(4)]
    history = History([1.0] * 4, rows)
    assert not figures.loss_curve(history, "").axes[1].get_legend()
    history.kept = 1
    figure = figures.loss_curve(history, "")
    (label,) = figure.axes[1].get_legend().get_texts()
    assert label.get_text() == "weights kept"
    for axes in figure.axes:
        assert any(list(line.get_xdata()) == [4.0, 4.0] for line in axes.lines)


def test_the_figure_shows_the_lowest_steps_unless_they_are_nearly_zero():
    rows = [{"epoch": 1.0 + k, "loss": loss, "accuracy": 0.5} for k, loss in enumerate([1.0, 0.01])]
    for lowest, shown in ((0.001, 0.001), (1e-15, 1e-4), (0.0, 1e-4)):
        bottom, _ = figures.loss_curve(History([1.0, lowest], rows), "").axes[0].get_ylim()
        assert shown / 2 <= bottom < shown


@pytest.mark.parametrize(
    "args, message",
    [
        (("--early-stopping", -1), "--early-stopping -1: 0 or more is expected"),
        (("--early-stopping", 3, "--validation", 0), "--validation 0 holds none out"),
        (("--warmup", -1), "--warmup -1: 0 or more is expected"),
        (("--warmup", 5, "--epochs", 5), "--warmup 5: fewer epochs than --epochs 5 are expected"),
    ],
)
def test_what_cannot_be(args, message, run, folder):
    assert message in run("train", "moons", *args).failed()
    assert not list(folder.iterdir())


# Learning rates ---------------------------------------------------------------------------------


def rates(backend, monkeypatch, **options):
    """The learning rate of each step; ten an epoch."""
    options = {"optimizer": "sgd", "lr": 0.5, "batch_size": 4, "validation": 0.0, **options}
    run = Run.prepare(backend.module, Source("moons", samples=40), options, files=False)
    seen, step = [], run.trainer._step
    monkeypatch.setattr(
        run.trainer, "_step", lambda *a: (seen.append(run.trainer.optimizer.lr), step(*a))[1]
    )
    run.carry_out(quiet=True)
    return seen


def test_the_steps_of_a_schedule_are_of_one_factor(backend, monkeypatch):
    seen = rates(backend, monkeypatch, schedule="step", epochs=3)
    expected = [0.5] * 10 + [0.5 * 0.1**0.5] * 10 + [0.05] * 10
    assert seen == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "step"])
def test_the_rate_rises_while_warming_up_and_follows_the_schedule_then(
    schedule, backend, monkeypatch
):
    seen = rates(backend, monkeypatch, schedule=schedule, epochs=3, warmup=1)
    assert seen[:10] == pytest.approx([0.05 * k for k in range(1, 11)])
    assert seen[10:] == rates(backend, monkeypatch, schedule=schedule, epochs=2)


def test_a_single_step_has_the_full_rate(backend, monkeypatch):
    for schedule in ("linear", "cosine", "step"):
        options = {"schedule": schedule, "epochs": 1, "batch_size": 40}
        assert rates(backend, monkeypatch, **options) == [0.5]


def test_what_is_resumed_is_not_warmed_up_again(backend, run, folder):
    base = ("train", "moons", "--samples", 20, "--no-out", "--save", "w")
    run(*base, "--epochs", 3, "--warmup", 2).succeeded()
    assert checkpoint.read("w").settings.warmup == 2
    run(*base, "--epochs", 1, "--resume", "w").succeeded()
    assert checkpoint.read("w").settings.warmup == 0
    run(*base, "--epochs", 2, "--warmup", 1, "--resume", "w").succeeded()
    assert checkpoint.read("w").settings.warmup == 1


def test_all_backends_end_at_the_same_epoch(backends, folder):
    ends = {b.name: learnt(b, epochs=30, early_stopping=2, warmup=1) for b in backends}
    kept = [run.trainer.history.result for run in ends.values()]
    assert len({row["epoch"] for row in kept}) == 1
    np.testing.assert_allclose([row["held_loss"] for row in kept], kept[0]["held_loss"], rtol=1e-9)
    scalar = [run for name, run in ends.items() if name in ("pure_python", "cython_core")]
    states = [run.trainer.model.state_dict() for run in scalar]
    assert all(state == states[0] for state in states), "bit for bit"
