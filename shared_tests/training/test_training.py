"""The main job, with each backend: data in, a trained network, figures and weights out."""

import contextlib
import csv
import json
import logging
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from matplotlib.contour import ContourSet

import pure_python
from pure_python.state.weights import read_safetensors, write_safetensors
from pure_python.training import checkpoint, cli, figures
from pure_python.training.datasets import NAMES, Split, load, split
from pure_python.training.objective import LOSSES
from pure_python.training.run import Run, Source
from pure_python.training.terminal import show_table
from pure_python.training.trainer import ACTIVATIONS, OPTIMIZERS, SCHEDULES

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def flowers(folder):
    """Iris as a CSV file with text classes, its rows in order."""
    data = load("iris")
    with open(folder / "flowers.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*data.features, "species"])
        for row, target in zip(data.inputs, data.targets, strict=True):
            writer.writerow([*row.tolist(), data.classes[target]])
    return "flowers.csv"


def metrics(folder) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def tensors(path) -> dict:
    return read_safetensors(path)[0]


# A run ----------------------------------------------------------------------------------------


def test_moons_as_it_comes(run, folder):
    """No option at all: every sample is learnt, and the results are in a new folder."""
    printed = run("train", "moons").succeeded()
    assert "held-out accuracy  100.0 %" in printed and "steps per second" in printed
    (out,) = (folder / "runs").iterdir()
    names = ["decision_boundary.png", "loss.png", "metrics.json", "run.toml", "weights.safetensors"]
    assert sorted(path.name for path in out.iterdir()) == names
    for path in out.glob("*.png"):
        assert path.read_bytes().startswith(PNG)
    told = metrics(out)
    assert told["held_out_accuracy"] == told["training_accuracy"] == 1.0
    assert "e+" not in printed, "numbers are written out"
    assert len(told["losses"]) == told["steps"] == 10 * len(told["epochs"])


def test_digits_reach_95_percent(backend, run, folder):
    """The measure: 64-32-10, at least 95 % of what was held out."""
    epochs = 6 if backend.name == "pure_python" else 15
    run("train", "digits", "--epochs", epochs, "--out", "out").succeeded()
    assert metrics(folder / "out")["layers"] == "64-32-10"
    assert metrics(folder / "out")["held_out_accuracy"] >= 0.95
    assert (folder / "out" / "confusion_matrix.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set(name, run, folder):
    run("train", name, "--samples", 40, "--epochs", 2, "--out", "a/b").succeeded()
    told = metrics(folder / "a" / "b")
    assert told["data"]["samples"] == 40 and told["data"]["held_out"] == 8
    figure = (
        "decision_boundary.png" if len(told["data"]["features"]) == 2 else "confusion_matrix.png"
    )
    assert (folder / "a" / "b" / figure).exists()


@pytest.mark.parametrize("name, least", [("circles", 0.95), ("iris", 0.9), ("breast-cancer", 0.95)])
def test_the_defaults_suit_the_data(name, least, backend, folder):
    run = Run.prepare(backend.module, Source(name), files=False)
    assert run.carry_out(quiet=True)
    assert run.trainer.history.epochs[-1]["held_accuracy"] >= least


@pytest.mark.parametrize("data", ["moons", "spiral"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_falls_with_two_classes_and_with_three(loss, data, backend):
    options = {"loss": loss, "epochs": 8}
    run = Run.prepare(backend.module, Source(data, samples=60), options, files=False)
    assert run.carry_out(quiet=True)
    rows = run.trainer.history.epochs
    assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]
    assert rows[-1]["held_loss"] > 0


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimiser_learns(optimizer, backend):
    options = {"optimizer": optimizer, "lr": 0.1 if optimizer == "sgd" else 0.01, "epochs": 10}
    run = Run.prepare(backend.module, Source("moons", samples=60), options, files=False)
    run.carry_out(quiet=True)
    losses = run.trainer.history.losses
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_runs(activation, run, folder):
    args = ("--activation", activation, "--samples", 20, "--epochs", 1, "--no-out", "--save", "w")
    run("train", "moons", *args).succeeded()
    assert checkpoint.read("w").settings.activation == activation


@pytest.mark.parametrize(
    "schedule, last",
    [("constant", 0.5), ("linear", 0.05), ("cosine", 0.05), ("step", 0.05)],
    ids=SCHEDULES,
)
def test_schedules_end_where_they_should(schedule, last, backend):
    options = {"schedule": schedule, "optimizer": "sgd", "lr": 0.5, "epochs": 3}
    run = Run.prepare(backend.module, Source("moons", samples=20), options, files=False)
    run.carry_out(quiet=True)
    rates = [row["lr"] for row in run.trainer.history.epochs]
    assert rates[-1] == pytest.approx(last) and rates == sorted(rates, reverse=True)


def test_a_loss_that_ended_above_where_it_began_is_pointed_out(run):
    base = ("train", "moons", "--samples", 60, "--epochs", 5, "--no-out", "--json")
    assert json.loads(run(*base).succeeded())["notes"] == []
    note = "the loss ended above where it began: try a smaller --lr"
    args = (*base, "--lr", 1000)
    assert json.loads(run(*args).succeeded())["notes"] == [f"{note}, or --diagnose"]
    assert json.loads(run(*args, "--diagnose").succeeded())["notes"] == [note]


def test_no_hidden_layer_and_no_held_out_samples(run, folder):
    args = ("--hidden", "none", "--validation", 0, "--epochs", 2, "--out", "out")
    printed = run("train", "iris", *args).succeeded()
    assert "4-3" in printed and "held-out" not in printed
    assert metrics(folder / "out")["held_out_accuracy"] is None


def test_where_nothing_is_drawn_no_library_is_waited_for():
    """It takes a third of the time that a short run takes."""
    code = "import sys, pure_python.training.run; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "sklearn"} & set(done.stdout.split())


def test_no_word_of_the_library_that_draws(run):
    """Such as that it lists the fonts: standard error has one line, or an object."""
    logging.getLogger("matplotlib").setLevel(logging.NOTSET)
    run("--help").succeeded()
    assert not logging.getLogger("matplotlib.font_manager").isEnabledFor(logging.WARNING)


def test_no_out_writes_nothing(run, folder):
    run("train", "moons", "--samples", 20, "--epochs", 1, "--no-out").succeeded()
    assert not list(folder.iterdir())


def test_help_shows_examples(run):
    assert "train moons" in run().succeeded()
    assert run().out == run("--help").out
    assert "--csv flowers.csv --target species" in run("train", "--help").succeeded()
    assert "predict --weights" in run("predict", "--help").succeeded()
    for before in ((), ("--",)):
        assert "playground" in run(*before, "playground", "--help").succeeded()


@pytest.mark.parametrize("command", ["", "train", "predict", "playground", "runs", "runs compare"])
def test_each_command_says_the_version(command, run, backend):
    expected = f"trigrad-{backend.name.replace('_', '-')} {backend.module.__version__}\n"
    assert run(*command.split(), "--version").succeeded() == expected


def test_the_version_needs_no_library(run, monkeypatch):
    monkeypatch.setattr(cli, "HELP", ("no_such_library",))
    assert run("--version").succeeded().startswith("trigrad-")
    assert "needs more libraries" in run("train", "--version").failed()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes as POSIX has them")
@pytest.mark.parametrize("args", [[], ["--help"], ["train", "--help"]])
def test_output_that_nobody_reads_is_no_error(args, folder, monkeypatch, capsys):
    """As of `python -m pure_python | head -1`."""
    ours, theirs = os.pipe()
    os.close(ours)
    stream = open(theirs, "w", buffering=1)
    with monkeypatch.context() as patched, pytest.raises(SystemExit) as caught:
        patched.setattr(sys, "stdout", stream)
        cli.main("pure_python", args)
    with contextlib.suppress(BrokenPipeError):
        stream.close()
    assert caught.value.code == 1 and capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="terminals as POSIX has them")
def test_a_terminal_shows_how_far_it_is_and_a_table(folder, terminal):
    """What is found stands above the bar; the bar is gone in the end, and the table stays."""
    deep = ("--hidden", ",".join(["8"] * 12), "--activation=sigmoid", "--init=xavier")
    args = ("train", "moons", "--no-out", "--samples=60", "--epochs=2", "--diagnose", *deep)
    with terminal() as shown:
        assert cli.main("pure_python", args) == 0
    bar, _, table = shown[0].rpartition("moons · pure_python")
    assert "epoch 1/2" in bar and "epoch 2/2" in bar
    assert "loss 0." in bar and "accuracy  " in bar and "held out " in bar
    assert "epoch 1: vanishing gradients: " in bar
    rows = [line.split("│") for line in table.splitlines() if line.count("│") == 3]
    assert ["network", "2-8-8-8-8-8-8-8-8-8-8-8-8-1, sigmoid, 825 parameters"] in [
        [cell.replace("\x1b[2m", "").replace("\x1b[0m", "").strip() for cell in row[1:3]]
        for row in rows
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="terminals as POSIX has them")
def test_a_table_with_a_header_on_a_terminal(terminal):
    with terminal() as shown:
        show_table("runs", ["backend", "loss"], [["pure_python", "0.5"], ["other", "[red]"]])
    assert all(text in shown[0] for text in ("runs", "backend", "┃", "│ pure_python │   0.5 │"))
    assert "│ other       │ [red] │" in shown[0], "what looks like markup is text"


def test_runs_of_the_same_second_have_folders_of_their_own(folder, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda form: "20260102-030405")
    names = []
    for _ in range(3):
        names.append(Run.prepare(pure_python, Source("moons", samples=20)).out)
        (folder / names[-1]).mkdir(parents=True)
    first = os.path.join("runs", "moons-pure_python-20260102-030405")
    assert names == [first, f"{first}-2", f"{first}-3"]


def test_as_many_samples_as_there_are_is_all_of_them():
    whole, chosen = load("iris"), load("iris", samples=150)
    np.testing.assert_array_equal(chosen.inputs, whole.inputs)


# Figures --------------------------------------------------------------------------------------


def borders(figure) -> int:
    """How many lines between classes are drawn."""
    sets = [drawn for drawn in figure.axes[0].collections if isinstance(drawn, ContourSet)]
    return sum(not drawn.filled for drawn in sets)


@pytest.mark.parametrize("name, n_borders", [("moons", 1), ("spiral", 3)])
def test_a_border_is_drawn_where_the_decision_changes(name, n_borders):
    """And none where it does not, as of a network that has learnt nothing."""
    data = load(name, samples=30)
    parts = split(data, 0.2, seed=1)
    n = len(data.classes)

    def decide(plane):
        return plane[:, 0] if n == 2 else plane @ np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])

    def undecided(plane):
        return np.ones(len(plane) if n == 2 else (len(plane), n))

    assert borders(figures.decision_boundary(data, parts, decide, "")) == n_borders
    assert borders(figures.decision_boundary(data, parts, undecided, "")) == 0


def test_only_what_is_there_is_in_the_legend():
    data = load("spiral", samples=30)
    held = np.flatnonzero(data.targets == 1)[:2]
    kept = np.setdiff1d(np.arange(30), held)
    parts = Split(data.inputs[kept], data.targets[kept], data.inputs[held], data.targets[held])
    figure = figures.decision_boundary(data, parts, lambda plane: np.ones((len(plane), 3)), "")
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts == ["class 0", "class 1", "class 1, held out", "class 2"]


@pytest.mark.parametrize("n, numbers, names", [(25, 25, 25), (26, 0, 26), (61, 0, 0)])
def test_a_confusion_matrix_says_as_much_as_can_be_read(n, numbers, names):
    classes = [f"class number {k}" for k in range(n)]
    figure = figures.confusion_matrix(np.arange(n), np.arange(n), classes, "")
    assert len(figure.axes[0].texts) == numbers
    shown = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert shown[:names] == classes[:names] and (names or not set(shown) & set(classes))


# Seeds and parity -----------------------------------------------------------------------------


def losses_of(backend, **options) -> list[float]:
    settings = {"seed": 7, **options}
    run = Run.prepare(backend.module, Source("digits", samples=200), settings, files=False)
    run.carry_out(quiet=True)
    return run.trainer.history.losses


def test_the_same_seed_gives_the_same_losses(backend):
    assert losses_of(backend, epochs=2) == losses_of(backend, epochs=2)
    assert losses_of(backend, epochs=2) != losses_of(backend, epochs=2, seed=8)


@pytest.mark.parametrize("loss", LOSSES)
def test_all_backends_give_the_same_losses(loss, backends):
    """Bit for bit where the backend computes scalar by scalar, to 1e-9 with arrays."""
    losses = {backend.name: losses_of(backend, epochs=3, loss=loss) for backend in backends}
    if len(losses) == 1:
        return
    reference = losses.get("pure_python") or next(iter(losses.values()))
    for name, others in losses.items():
        if name == "cython_core" and "pure_python" in losses:
            assert others == reference
        np.testing.assert_allclose(others, reference, rtol=1e-9, atol=1e-12)


def test_held_out_samples_are_never_learnt_from():
    data = load("iris")
    parts = split(data, 0.2, seed=3)
    assert len(parts.inputs) == 120 and len(parts.held_inputs) == 30
    assert np.bincount(parts.held_targets).tolist() == [10, 10, 10], "each class in its proportion"
    together = np.vstack([parts.inputs, parts.held_inputs])
    assert sorted(map(tuple, together)) == sorted(map(tuple, data.inputs))


# Weights --------------------------------------------------------------------------------------


def test_save_and_predict(run, folder, flowers):
    """Weights trained on a CSV file name the classes of another one."""
    run("train", "--csv", flowers, "--target", "species", "--no-out", "--save", "w").succeeded()
    done = run("predict", "--weights", "w", "--csv", flowers, "--out", "predicted.csv")
    assert done.succeeded() == "" and "agree with column 'species'" in done.err
    assert done.err.splitlines()[0] == "written predicted.csv"
    with open("predicted.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 150
    right = sum(row["prediction"] == row["species"] for row in rows)
    assert right >= 140
    printed = run("predict", "--weights", "w", "--csv", flowers)
    assert printed.succeeded() == (folder / "predicted.csv").read_text()


def test_the_folder_of_a_run_stands_for_its_weights(run, write, folder, undrawn):
    args = ("train", "moons", "--samples", 20, "--epochs", 1, "--out")
    run(*args, "first").succeeded()
    run(*args, "second", "--resume", "first").succeeded()
    assert checkpoint.read(os.path.join("second", "weights.safetensors")).epochs == 2
    table = write("a.csv", "x,y\n0.5,-1\n")
    predicted = [
        run("predict", "--csv", table, "--weights", path).succeeded()
        for path in ("second", os.path.join("second", "weights.safetensors"))
    ]
    assert predicted[0] == predicted[1]
    missing = os.path.join(".", "weights.safetensors")
    assert run("train", "moons", "--resume", ".").failed() == f"{missing}: no such file"


def test_the_results_of_another_run_are_not_written_over(run, folder, undrawn):
    args = ("train", "moons", "--samples", 20, "--epochs", 1)
    run(*args, "--out", "a").succeeded()
    before = {path.name: path.read_bytes() for path in (folder / "a").iterdir()}
    why = "holds the results of another run; give another name, or remove it"
    for more in ((), ("--resume", "b"), ("--config", "b")):
        run(*args, "--out", "b").succeeded()
        assert run(*args, *more, "--out", "a").failed() == f"--out a: this folder {why}"
        shutil.rmtree("b")
    assert {path.name: path.read_bytes() for path in (folder / "a").iterdir()} == before
    run(*args, "--resume", "a", "--out", "a").succeeded()
    run("train", "--config", os.path.join("a", "run.toml"), "--out", folder / "a").succeeded()


def test_no_figure_of_other_data_is_left_where_a_run_is_made_again(run, folder):
    run("train", "moons", "--samples", 20, "--epochs", 1, "--out", "a").succeeded()
    run("train", "iris", "--config", "a", "--samples", 20, "--out", "a").succeeded()
    names = {path.name for path in (folder / "a").glob("*.png")}
    assert names == {"confusion_matrix.png", "loss.png"}


def test_predict_finds_columns_by_name(run, write, folder, flowers):
    run("train", "--csv", flowers, "--target", "species", "--no-out", "--save", "w").succeeded()
    with open(flowers, newline="") as file:
        rows = list(csv.DictReader(file))
    names = [*reversed(rows[0])]
    text = ";".join(["note", *names, "prediction"]) + "\n"
    text += "".join(
        ";".join(["dry", *(row[name] for name in names), "?"]) + "\n" for row in rows[::9]
    )
    write("other.csv", text)
    done = run("predict", "--weights", "w", "--csv", "other.csv")
    printed = done.succeeded()
    predicted = list(csv.DictReader(printed.splitlines(), delimiter=";"))
    assert predicted[0]["note"] == "dry" and predicted[0]["prediction"] == "?"
    assert sum(row["prediction_"] == row["species"] for row in predicted) >= len(predicted) - 2
    assert "agree with column 'species'" in done.err
    for name in set(row["species"] for row in rows):
        text = text.replace(name, "?")
    write("to fill in.csv", text)
    done = run("predict", "--weights", "w", "--csv", "to fill in.csv")
    assert done.succeeded() and done.err == "", "where no class is known, there is none to agree"


def test_predict_of_rows_without_the_class(run, write):
    run("train", "moons", "--samples", 20, "--epochs", 1, "--no-out", "--save", "w").succeeded()
    done = run("predict", "--weights", "w", "--csv", write("a.csv", "y,x\n0.5,-1\n0.5,2\n"))
    assert done.succeeded().splitlines()[0] == "y,x,prediction" and done.err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="names as long as POSIX has them")
def test_predict_into_a_file_that_cannot_be(run, write):
    run("train", "moons", "--samples", 20, "--epochs", 1, "--no-out", "--save", "w").succeeded()
    args = ("--csv", write("a.csv", "x,y\n1,2\n"), "--out", "9" * 300)
    assert run("predict", "--weights", "w", *args).failed(code=1).endswith("name too long")


def test_predict_says_what_does_not_fit(run, write, folder, flowers):
    run("train", "moons", "--epochs", 1, "--no-out", "--save", "w").succeeded()
    message = run("predict", "--weights", "w", "--csv", flowers).failed()
    assert "columns that are not there: 'x', 'y'" in message
    write("huge.csv", "x,y\n1,2\n1e308,-1e308\n")
    assert "huge.csv, line 3: " in run("predict", "--weights", "w", "--csv", "huge.csv").failed()
    write("text.csv", "x,y\n1,2\n1,?\n")
    message = run("predict", "--weights", "w", "--csv", "text.csv").failed()
    assert message == "text.csv, line 3, column 'y': '?' is not a number"
    write("moons.csv", "x,y\n1,2\n")
    for out, why in (
        ("w", "overwrite"),
        ("moons.csv", "overwrite"),
        (".", "folder"),
        ("a/b", "no folder"),
    ):
        args = ("--weights", "w", "--csv", "moons.csv", "--out", out)
        assert why in run("predict", *args).failed()


def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(run, folder):
    """Weights, moments and the order of the samples: 3 and 2 epochs are 5, bit for bit."""
    base = ("train", "moons", "--samples", 60, "--no-out")
    run(*base, "--epochs", 5, "--save", "five").succeeded()
    run(*base, "--epochs", 3, "--save", "some").succeeded()
    run(*base, "--epochs", 2, "--resume", "some", "--save", "some").succeeded()
    assert tensors("some") == tensors("five")
    assert checkpoint.read("some").optimizer == checkpoint.read("five").optimizer
    assert checkpoint.read("some").epochs == 5


def test_one_backend_goes_on_where_another_stopped(backends, folder):
    """The file is the same for all, the optimiser's moments in the order of the tensors."""
    ends = {}
    for first in backends:
        for second in backends:
            options = {"epochs": 2}
            source = Source("spiral", samples=60)
            assert Run.prepare(first.module, source, options, save="w", files=False).carry_out(True)
            run = Run.prepare(second.module, source, options, resume="w", save="v", files=False)
            assert run.carry_out(quiet=True) and not run.notes
            ends[first.name, second.name] = tensors("v")
    reference = next(iter(ends.values()))
    for state in ends.values():
        for name, tensor in reference.items():
            np.testing.assert_allclose(state[name], tensor, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("option, other", [("--seed", 7), ("--validation", 0.3)])
def test_what_was_learnt_is_not_held_out_by_a_resume(option, other, run, folder):
    base = ("train", "iris", "--hidden", 4, "--epochs", 1, "--no-out", "--save", "w")
    run(*base).succeeded()
    before = (folder / "w").read_bytes()
    message = run(*base, "--resume", "w", option, other).failed()
    assert message.startswith(f"{option} {other}: w was trained with {option} ")
    assert (folder / "w").read_bytes() == before
    run(*base, "--resume", "w", "--validation", 0, "--seed", 7).succeeded()  # nothing is held out
    assert "with --validation 0.0" in run(*base, "--resume", "w", "--validation", 0.2).failed()


def test_a_resume_on_other_data_says_what_its_judgement_is_worth(run, folder):
    """Until the end: the data of before may be among those of any later run."""
    base = ("train", "moons", "--epochs", 1, "--no-out", "--save", "w", "--json")
    told = json.loads(run(*base, "--samples", 40).succeeded())
    assert told["notes"] == []
    told = json.loads(run(*base, "--samples", 40, "--resume", "w").succeeded())
    assert told["notes"] == []
    for _ in range(2):
        told = json.loads(run(*base, "--samples", 60, "--resume", "w").succeeded())
        note = "w has learnt from other data too, which may hold samples that are held out now"
        assert told["notes"] == [note]
    args = ("--samples", 60, "--resume", "w", "--validation", 0)
    assert json.loads(run(*base, *args).succeeded())["notes"] == []


def test_another_optimiser_starts_anew(run, folder):
    base = ("train", "moons", "--samples", 20, "--epochs", 1, "--no-out", "--save", "w")
    run(*base).succeeded()
    printed = run(*base, "--resume", "w", "--optimizer", "sgd").succeeded()
    assert "the optimiser starts anew" in printed


def test_moments_too_many_for_a_file_are_left_out(run, folder, monkeypatch):
    """The weights are what counts."""
    monkeypatch.setattr(checkpoint, "MOST_MOMENTS", 600)
    base = ("train", "moons", "--samples", 20, "--epochs", 1, "--no-out", "--save", "w")
    run(*base, "--hidden", "16").succeeded()
    assert checkpoint.read("w").optimizer["step"] == 1
    run(*base).succeeded()
    assert checkpoint.read("w").optimizer is None
    assert "the optimiser starts anew" in run(*base, "--resume", "w").succeeded()


@pytest.mark.parametrize(
    "args, message",
    [
        (("iris",), "was trained on 2 features, iris has 4"),
        (("spiral",), "was trained on 2 classes, spiral has 3"),
        (("moons", "--hidden", "8"), "has hidden layers 16,16, --hidden asks for 8"),
        (("moons", "--activation", "tanh"), "was trained with --activation relu, not tanh"),
        (("--csv", "other.csv", "--target", "c"), "was trained on features such as 'x'"),
    ],
)
def test_a_resume_that_does_not_fit(args, message, run, write, folder):
    write("other.csv", "u,v,c\n1,2,0\n2,3,1\n3,4,0\n4,5,1\n")
    run("train", "moons", "--epochs", 1, "--no-out", "--save", "w").succeeded()
    before = (folder / "w").read_bytes()
    assert message in run("train", *args, "--resume", "w", "--save", "w").failed()
    assert (folder / "w").read_bytes() == before


def test_the_weights_file_loads_into_a_plain_model(backend, run, folder):
    run("train", "moons", "--epochs", 1, "--no-out", "--save", "w.safetensors").succeeded()
    model = backend.MLP(2, [16, 16, 1])
    model.load("w.safetensors")
    state = tensors("w.safetensors")
    assert {name: np.asarray(x).tolist() for name, x in model.state_dict().items()} == state


def test_damaged_weights_are_refused(run, folder, write):
    """Any byte of the file may be wrong, and the description in it too."""
    run("train", "moons", "--samples", 20, "--epochs", 1, "--no-out", "--save", "w").succeeded()
    whole = (folder / "w").read_bytes()
    write("rows.csv", "x,y\n1,2\n")
    for end in (0, 7, 100, len(whole) - 1):
        write("cut", whole[:end])
        assert "cut" in run("predict", "--weights", "cut", "--csv", "rows.csv").failed()
    state, metadata = read_safetensors("w")
    changes = {
        "sizes": "[2, 1000000000, 1]",
        "settings": '{"hidden": "none"}',
        "mean": "[0.0]",
        "scale": "[0.0, 1.0]",
        "classes": '["one"]',
        "features": "7",
        "epochs": "{}",
        "format": "other",
    }
    for name, text in changes.items():
        write_safetensors("changed", state, metadata | {name: text})
        assert "changed: " in run("predict", "--weights", "changed", "--csv", "rows.csv").failed()
    write_safetensors("changed", state, metadata | {"optimizer": '{"kind": "Adam", "step": -3}'})
    assert "optimiser" in run("train", "moons", "--resume", "changed").failed()
    write_safetensors("bare", state)
    assert (
        "not written by `train`"
        in run("predict", "--weights", "bare", "--csv", "rows.csv").failed()
    )
