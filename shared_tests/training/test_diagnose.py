"""`train --diagnose`: it says what is wrong, once, and nothing of a run that is well."""

import pytest

from pure_python.training.datasets import Scaling, split
from pure_python.training.examination import Examination
from pure_python.training.interruption import Interruption
from pure_python.training.run import Source
from pure_python.training.trainer import DEFAULTS, Diverged, Trainer


@pytest.mark.parametrize("data", ["moons", "circles", "spiral", "iris", "breast-cancer", "digits"])
def test_a_run_without_mistakes(data, backend, run, folder):
    """Nothing is said but how often was looked, and the run is the same."""
    args = ["train", data, "--no-out", "--epochs=2", "--samples=120"]
    plain, looked = run(*args), run(*args, "--diagnose")
    assert looked.succeeded() and looked.err == ""
    assert "diagnosis          nothing found in " in looked.out
    times = ("steps per second", "time", "diagnosis")
    lines = [
        [line for line in outcome.out.splitlines() if not line.startswith(times)]
        for outcome in (plain, looked)
    ]
    assert lines[0] == lines[1] and "diagnosis" not in plain.out


def every_look(backend, data, seed, epochs):
    """What is found in a whole training, at its start, in the middle and at the end."""
    source = Source(data, samples=120)
    settings = source.defaults().with_options(seed=seed, epochs=epochs)
    dataset = source.load(seed)
    parts = split(dataset, settings.validation, seed)
    scaled = type(parts)(
        Scaling.of(parts.inputs, dataset.features)(parts.inputs),
        parts.targets,
        parts.held_inputs[:0],
        parts.held_targets[:0],
    )
    trainer = Trainer(backend.module, settings, scaled.inputs.shape[1], len(dataset.classes))
    said = []
    steps = -(-len(scaled.inputs) // settings.batch_size) * epochs
    examination = Examination(trainer.model, steps, said.append)
    examination._due = lambda step: step < 3 or step % (steps // 10) == 0
    trainer.train(scaled, Interruption(), examination=examination)
    assert examination.looks >= 10
    return said


@pytest.mark.parametrize("data", ["moons", "circles", "iris"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_whole_training_without_mistakes(data, seed, backend):
    said = every_look(backend, data, seed, epochs=min(12, DEFAULTS[data].epochs))
    assert said == [], f"{data}, seed {seed}: {said[0]}"


def test_a_loss_that_becomes_nan_is_explained(backend, run, folder):
    """How it came about, in place of a bare refusal; in one line."""
    args = "train", "moons", "--no-out", "--lr", "1e200"
    assert run(*args).failed(1) == (
        "training diverged at step 2 (the loss is nan); try a smaller --lr"
    )
    message = run(*args, "--diagnose").failed(1)
    assert "at step 2 (the loss is nan: layers.1, unit 0, sample 0 is " in message
    assert "the largest is weight 0 * input 0 = 1e+200 * 2.316e+199 = inf" in message


def test_findings_are_said_once_with_their_epoch(backend, run, folder):
    """A network far too deep for sigmoid."""
    deep = ",".join(["8"] * 12)
    outcome = run(
        "train", "moons", "--no-out", "--diagnose", "--epochs=3", "--samples=60",
        "--hidden", deep, "--activation=sigmoid", "--init=xavier",
    )  # fmt: skip
    assert "1 finding in" in outcome.succeeded()
    lines = outcome.err.splitlines()
    assert lines[0].startswith("epoch 1: vanishing gradients: on the way down from layers.12")
    assert outcome.err.count("vanishing gradients") == 1 and "What to do: " in outcome.err


def test_in_a_long_run_it_looks_now_and_then(backend, run, folder):
    args = ["train", "iris", "--no-out", "--samples=60", "--epochs=20", "--batch-size=4"]
    printed = run(*args, "--diagnose").succeeded()
    assert "240 steps" in printed
    looks = int(printed.partition("nothing found in ")[2].partition(" looks")[0])
    assert 7 <= looks <= 7 + 20


def test_a_diverged_trainer_says_why(backend):
    """Without an examination it does not look."""
    trainer = Trainer(backend.module, DEFAULTS["moons"], 2, 2)
    trainer.model.layers[0].weight[0][0].data = float("nan")
    examination = Examination(trainer.model, 1, print)
    dataset = Source("moons", samples=40).load(1)
    parts = split(dataset, 0.0, 1)
    with pytest.raises(Diverged, match="layers.0.weight.*is nan"):
        trainer.train(parts, Interruption(), examination=examination)
    with pytest.raises(Diverged, match=r"\(the loss is nan\)"):
        trainer.train(parts, Interruption())
