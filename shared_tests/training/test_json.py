"""--json: one object on standard output and nothing else, and an error as one on standard error."""

import json
import os
import sys

import pytest

from pure_python.training import cli, commands
from pure_python.training.trainer import Trainer

SMALL = ("moons", "--samples", 20, "--epochs", 2, "--hidden", 4)


def test_a_run_as_one_object(run, backend, folder, undrawn):
    done = run("train", *SMALL, "--out", "out", "--save", "w", "--json")
    told = json.loads(done.succeeded())
    assert done.err == "" and done.out.count("\n") == 1
    assert told["backend"] == backend.name and told["settings"]["hidden"] == [4]
    assert told["weights"] == os.path.join("out", "weights.safetensors")
    assert told["out"] == "out" and told["notes"] == [] and told["diagnosis"] is None
    written = json.loads((folder / "out" / "metrics.json").read_text())
    del written["losses"]
    assert {name: told[name] for name in written} == written


@pytest.mark.parametrize("args, weights", [((), None), (("--save", "w"), "w")])
def test_where_the_weights_are(args, weights, run):
    told = json.loads(run("train", *SMALL, "--no-out", "--json", *args).succeeded())
    assert told["weights"] == weights and told["out"] is None


def test_what_is_noted_and_found_is_in_the_object(run):
    """Said nowhere else: a script reads one thing."""
    deep = ("--hidden", ",".join(["8"] * 12), "--activation=sigmoid", "--init=xavier")
    args = ("train", *SMALL[:-2], *deep, "--no-out", "--save", "w", "--json")
    done = run(*args, "--diagnose")
    (finding,) = json.loads(done.succeeded())["diagnosis"]
    assert finding.startswith("epoch 1: vanishing gradients: ") and done.err == ""
    told = json.loads(run(*args, "--resume", "w", "--optimizer", "sgd").succeeded())
    assert told["notes"] == ["weights resumed; the optimiser starts anew"]


def test_predictions_as_one_object(run, write):
    table = "x,y,class\n0,1,class 0\n2,0,?\n-1,0.5,class 0\n"
    run("train", *SMALL, "--no-out", "--save", "w").succeeded()
    args = ("predict", "--weights", "w", "--csv", write("a.csv", table), "--json")
    done = run(*args)
    told = json.loads(done.succeeded())
    assert done.err == "" and told["rows"] == len(told["predictions"]) == 3 and told["out"] is None
    right = sum(told["predictions"][k] == "class 0" for k in (0, 2))
    assert told["agreement"] == right / 3
    assert json.loads(run(*args, "--out", "b.csv").succeeded()) == told | {"out": "b.csv"}
    args = ("predict", "--weights", "w", "--csv", write("a.csv", "x,y\n0,1\n"), "--json")
    assert json.loads(run(*args).succeeded())["agreement"] is None


def error_of(done, code):
    assert done.code == code and done.err.count("\n") == 1
    told = json.loads(done.err)
    assert told.keys() == {"error", "code"} and told["code"] == code
    return told["error"]


@pytest.mark.parametrize(
    "args, message",
    [
        (("train", "moons", "--loss", "love", "--json"), "'love' is not one of"),  # Click says this
        (("train", "--json", "moons", "--lr", 0), "--lr 0.0: a finite number above 0"),
        (("predict", "--weights", "w", "--csv", "ü.csv", "--json"), "w: no such file"),
    ],
)
def test_bad_input_is_an_object_on_standard_error(args, message, run):
    done = run(*args)
    assert done.out == "" and message in error_of(done, 2)


def test_a_run_that_fails_is_an_object_on_standard_error(run, monkeypatch):
    done = run("train", *SMALL, "--optimizer", "sgd", "--lr", 1e200, "--json")
    assert done.out == "" and "training diverged" in error_of(done, 1)

    def exhausted(*args):
        raise MemoryError

    monkeypatch.setattr(Trainer, "_step", exhausted)
    assert "not enough memory" in error_of(run("train", *SMALL, "--json"), 2)
    monkeypatch.setattr(commands, "backend_named", lambda name: open("gone"))
    assert error_of(run("train", *SMALL, "--json"), 1) == "gone: No such file or directory"


def test_ctrl_c_leaves_both_objects(run, monkeypatch, folder):
    """What was learnt, and that it was stopped."""
    batches = Trainer._batches

    def interrupted(trainer, n, epoch):
        order = batches(trainer, n, epoch)
        yield order[0]
        interruption.requested = True
        yield from order[1:]

    def train(trainer, split, request, *rest):
        nonlocal interruption
        interruption = request
        return whole(trainer, split, request, *rest)

    interruption, whole = None, Trainer.train
    monkeypatch.setattr(Trainer, "_batches", interrupted)
    monkeypatch.setattr(Trainer, "train", train)
    done = run("train", *SMALL, "--batch-size", 4, "--no-out", "--save", "w", "--json")
    assert json.loads(done.out)["interrupted"] is True
    assert error_of(done, 130) == "stopped by Ctrl-C in epoch 1; what was learnt is kept"


def test_libraries_that_are_missing_and_an_early_ctrl_c(monkeypatch, capsys):
    def stopped():
        raise KeyboardInterrupt

    assert cli.with_libraries("trigrad", stopped, as_json=True) == 130
    assert json.loads(capsys.readouterr().err)["code"] == 130
    monkeypatch.setitem(cli.LIBRARIES, "training", ("no_such_library",))
    assert cli.main("pure_python", ["train", "--json"]) == 2
    printed = capsys.readouterr()
    assert 'pip install "trigrad-pure-python[training]"' in json.loads(printed.err)["error"]
    assert printed.out == "" and "no_such_library" not in sys.modules
