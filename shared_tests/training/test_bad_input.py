"""Bad input to the command line: one line on standard error, exit code 2, nothing written."""

import importlib.util
import subprocess
import sys

import pytest

from pure_python.training import cli

FILES = {
    "good.csv": "a,b,kind\n1,2,x\n1,3,y\n2,2,x\n3,3,y\n",
    "empty.csv": "",
    "ragged.csv": "a,b,kind\n1,2,x\n1,2\n3,4,y\n",
    "text.csv": "a,b,kind\n1,2,x\n1,two,y\n3,4,y\n",
    "nan.csv": "a,b,kind\n1,2,x\n1,nan,y\n3,4,y\n",
    "single.csv": "a,b,kind\n1,2,x\n1,3,x\n3,4,x\n",
    "huge.csv": "a,b,kind\n1,1e300,x\n1,3,y\n3,-1e300,x\n3,4,y\n",
}
HUGE = "1000000000"

# As a person meets them, each in a process of its own.
NAMED = {
    "a missing file": (["--csv", "none.csv", "--target", "kind"], "none.csv: no such file"),
    "an empty file": (["--csv", "empty.csv", "--target", "kind"], "empty.csv: the file is empty"),
    "a ragged row": (["--csv", "ragged.csv", "--target", "kind"], "ragged.csv, line 3: 2 cells"),
    "no such column": (["--csv", "good.csv", "--target", "sort"], "good.csv: no column 'sort'"),
    "a text cell": (
        ["--csv", "text.csv", "--target", "kind"],
        "text.csv, line 3, column 'b': 'two'",
    ),
    "nan": (["--csv", "nan.csv", "--target", "kind"], "nan.csv, line 3, column 'b': 'nan'"),
    "a single class": (["--csv", "single.csv", "--target", "kind"], "has a single class, 'x'"),
    "too large a network": (["moons", "--hidden", f"{HUGE},{HUGE}"], "units needs a million TB"),
}

OTHERS = {
    "no data set": ([], "give a data set"),
    "an unknown data set": (["suns"], "'suns' is none of moons, "),
    "a file as a data set": (["good.csv"], "; a file is --csv FILE --target COLUMN"),
    # As of a variable that a script has not set.
    "an empty file name": (["--csv", "", "--target", "kind"], "--csv '': a name is expected"),
    "an empty name to save": (["moons", "--save", ""], "--save '': a name is expected"),
    "an empty name of a folder": (["moons", "--out="], "--out '': a name is expected"),
    "an empty configuration": (["moons", "--config", ""], "--config '': a name is expected"),
    "nothing to go on from": (["moons", "--resume", ""], "--resume '': a name is expected"),
    "two sources": (["moons", "--csv", "good.csv", "--target", "kind"], "not both"),
    "no target": (["--csv", "good.csv"], "--csv needs --target"),
    "a target without a file": (["moons", "--target", "kind"], "go with --csv"),
    "an unknown option": (["moons", "--speed", "3"], "No such option '--speed'"),
    "an option without value": (["moons", "--epochs"], "requires an argument"),
    "one argument more": (["moons", "iris"], "unexpected extra argument"),
    "numbers too large": (["--csv", "huge.csv", "--target", "kind"], "cannot be standardised"),
    "ignored and not there": (
        ["--csv", "good.csv", "--target", "kind", "--ignore", "c"],
        "no column 'c'",
    ),
    "nothing left": (
        ["--csv", "good.csv", "--target", "kind", "--ignore", "a", "--ignore", "b"],
        "no column is left",
    ),
    "layers that are no numbers": (["moons", "--hidden", "16,x"], "--hidden '16,x': sizes"),
    "a layer of zero": (["moons", "--hidden", "16,0"], "--hidden '16,0': sizes"),
    "a negative layer": (["moons", "--hidden=-3"], "--hidden '-3': sizes"),
    "an empty layer": (["moons", "--hidden", "16,,16"], "--hidden '16,,16': sizes"),
    "a layer with too many digits": (["moons", "--hidden", "9" * 5000], "--hidden '999"),
    "one huge layer": (["moons", "--hidden", "9" * 400], "over 1e300"),
    "many layers": (["moons", "--hidden", ",".join(["100000"] * 50)], "of memory"),
    "a huge batch of data": (["moons", "--samples", "1" + "0" * 12], "a data set of 1e+12 samples"),
    "more samples than there are": (["iris", "--samples", "500"], "iris has 150 samples"),
    "no samples": (["moons", "--samples", "0"], "'--samples'"),
    "one sample": (["moons", "--samples", "1"], "single class"),
    "one class left": (["iris", "--samples", "2"], "single class"),
    "validation of one": (["moons", "--validation", "1"], "--validation 1.0: a fraction"),
    "negative validation": (["moons", "--validation", "-0.1"], "--validation -0.1: a fraction"),
    "validation of nan": (["moons", "--validation", "nan"], "--validation nan: a fraction"),
    "a rate of zero": (["moons", "--lr", "0"], "--lr 0.0: a finite number above 0"),
    "an infinite rate": (["moons", "--lr", "inf"], "--lr inf: a finite number above 0"),
    "a rate in words": (["moons", "--lr", "fast"], "'fast' is not a valid float"),
    "no epochs": (["moons", "--epochs", "0"], "--epochs 0: 1 or more"),
    "half an epoch": (["moons", "--epochs", "0.5"], "'0.5' is not a valid integer"),
    "no batch": (["moons", "--batch-size", "0"], "--batch-size 0: 1 or more"),
    "a negative seed": (["moons", "--seed", "-1"], "--seed -1: a number from 0"),
    "a huge seed": (["moons", "--seed", "4294967296"], "--seed 4294967296: a number from 0"),
    "negative decay": (["moons", "--weight-decay", "-1"], "--weight-decay -1.0: a finite number"),
    "momentum for adam": (["moons", "--momentum", "0.9"], "--momentum goes with --optimizer sgd"),
    "too much momentum": (
        ["moons", "--optimizer", "sgd", "--momentum", "1"],
        "--momentum 1.0: a number from 0",
    ),
    "an unknown activation": (["moons", "--activation", "step"], "'step' is not one of 'relu'"),
    "an unknown loss": (["moons", "--loss", "love"], "'love' is not one of 'max-margin'"),
    "an unknown optimiser": (["moons", "--optimizer", "newton"], "'newton' is not one of 'sgd'"),
    "an unknown init": (["moons", "--init", "zero"], "'zero' is not one of 'uniform'"),
    "an unknown schedule": (["moons", "--schedule", "steps"], "is not one of 'constant'"),
    "out is a file": (["moons", "--out", "good.csv"], "good.csv is no folder"),
    "out is below a file": (["moons", "--out", "good.csv/a/b"], "good.csv is no folder"),
    "out and no out": (["moons", "--out", "a", "--no-out"], "exclude each other"),
    "save is a folder": (["moons", "--save", "."], "this is a folder"),
    "save into no folder": (["moons", "--save", "a/b"], "there is no folder a"),
    "save over the data": (
        ["--csv", "good.csv", "--target", "kind", "--save", "good.csv"],
        "would overwrite the data",
    ),
    "resume from nothing": (["moons", "--resume", "none"], "none: no such file"),
    "resume from a folder": (["moons", "--resume", "."], "weights.safetensors: no such file"),
    "resume from below a file": (["moons", "--resume", "good.csv/a"], "good.csv/a: "),
    "resume from a table": (["moons", "--resume", "good.csv"], "good.csv"),
}


@pytest.fixture
def files(folder, write):
    """The files of FILES in the working directory; afterwards exactly these are there."""
    for name, content in FILES.items():
        write(name, content)
    yield
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES), "something was written"
    for name, content in FILES.items():
        assert (folder / name).read_text() == content


@pytest.mark.parametrize("kind", NAMED)
def test_named_bad_input_in_a_process(kind, files, shell):
    args, message = NAMED[kind]
    assert message in shell("train", *args, "--save", "weights").failed()


@pytest.mark.parametrize("kind", NAMED | OTHERS)
def test_bad_input(kind, files, run):
    args, message = (NAMED | OTHERS)[kind]
    assert message in run("train", *args).failed()


PREDICT = {
    "no weights": ([], "Missing option '--weights'"),
    "no file of weights": (["--weights", "none", "--csv", "good.csv"], "none: no such file"),
    "no weights in the file": (["--weights", "good.csv", "--csv", "good.csv"], "good.csv"),
}


@pytest.mark.parametrize("kind", PREDICT)
def test_bad_input_to_predict(kind, files, run):
    args, message = PREDICT[kind]
    assert message in run("predict", *args).failed()


def test_an_unknown_command(files, run):
    assert "No such command 'trian'" in run("trian").failed()


@pytest.mark.skipif(sys.platform == "win32", reason="names as long as POSIX has them")
@pytest.mark.parametrize("name", ["9" * 300, f"a/{'9' * 300}"], ids=["long", "below no folder"])
def test_names_that_are_too_long(name, run, folder):
    """Seen before the training, whose outcome would be lost."""
    for option, path in (("--out", name), ("--save", name.rpartition("/")[2])):
        message = run("train", "moons", "--epochs", 1, option, path).failed()
        assert message.startswith(f"{option} '") and message.endswith("name too long")
    assert not list(folder.iterdir())


def test_an_unwritable_folder(run, folder):
    """Read-only as the system has it, since permissions do not bind whoever is root."""
    message = run("train", "moons", "--out", "/proc/runs").failed()
    assert "/proc cannot be written to" in message
    assert not list(folder.iterdir())


def test_memory_that_runs_out(run, folder, monkeypatch):
    """Where the estimate was too low, the error of the allocation is one line too."""
    from pure_python.training import trainer

    def exhausted(*args):
        raise MemoryError

    monkeypatch.setattr(trainer.Trainer, "_step", exhausted)
    assert "not enough memory" in run("train", "moons").failed()
    assert not list(folder.iterdir())


@pytest.mark.parametrize("data", ["moons", "iris"])
def test_a_run_that_diverges_says_so_and_keeps_nothing(data, run, folder):
    message = run("train", data, "--lr", "1e200", "--save", "weights").failed(code=1)
    assert "training diverged at step" in message and "smaller --lr" in message
    assert not list(folder.iterdir())


@pytest.mark.parametrize("validation", [0.2, 0])
def test_a_run_that_diverges_in_its_last_step(validation, run, folder):
    """Its own loss does not show it: that was computed before."""
    args = ("--lr", "1e300", "--epochs", 1, "--batch-size", 200, "--validation", validation)
    message = run("train", "moons", *args, "--save", "weights").failed(code=1)
    assert message == "training diverged (the loss is nan); try a smaller --lr"
    assert not list(folder.iterdir())


def test_missing_libraries_are_named_in_one_line(backend, run, folder, monkeypatch):
    find_spec, absent = importlib.util.find_spec, {"rich"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in absent else find_spec(name)
    )
    distribution = "trigrad-" + backend.name.replace("_", "-")
    told = run("train", "moons").failed()
    assert told == (
        f'this needs more libraries: python -m pip install "{distribution}[training]", '
        'or in a checkout "./pure_python[training]"'  # no index may have it
    )
    absent.add("uvicorn")
    assert run("playground").failed() == told.replace("training", "playground")
    for args in ((), ("--help",), ("train", "-h"), ("runs", "--help"), ("playground", "--help")):
        assert run(*args).succeeded().startswith(f"Usage: python -m {backend.name}")
    assert run("train", "--version").succeeded().startswith(distribution)
    absent.add("click")
    assert run("train", "--help").failed() == told


def test_the_entry_imports_no_library():
    """So that what is missing can be said in a line."""
    code = "import sys, pure_python.__main__, pure_python.training.demo; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "click", "rich", "sklearn", "matplotlib"} & set(done.stdout.split())
    code = "import sys, pure_python.training.commands; print(*sys.modules)"  # which has the help
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    needless = set(cli.LIBRARIES["training"]) - set(cli.HELP)
    assert not needless & set(done.stdout.split())


def test_an_engine_that_lacks_a_library(folder, write, run, monkeypatch):
    """Its own author has to see where."""
    write("an_engine.py", "import no_such_library\n")
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_library'"):
        run("train", "moons", name="an_engine")


def test_a_module_that_is_no_engine(run):
    assert "no backend 'no_such_engine'" in run("train", "moons", name="no_such_engine").failed()
    assert "backend json has no MLP" in run("train", "moons", name="json").failed()
