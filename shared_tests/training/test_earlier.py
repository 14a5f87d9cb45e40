"""`runs`: what was made before, listed and compared; damaged folders are named and do no harm."""

import json
import os
import re

import pytest

from pure_python.training import cli, earlier


def test_a_run_is_listed_and_compared_with_another(run, backend, undrawn):
    base = ("train", "moons", "--samples", 20, "--hidden", 4, "--epochs", 2)
    run(*base, "--out", "runs/one").succeeded()
    run(*base, "--out", "runs/two", "--lr", 0.5).succeeded()
    told = json.loads(run("runs", "--json").succeeded())
    names = [os.path.join("runs", "two"), os.path.join("runs", "one")]
    assert [row["run"] for row in told["runs"]] == names and told["damaged"] == []
    assert {row["backend"] for row in told["runs"]} == {backend.name}
    compared = json.loads(run("runs", "compare", "one", "two", "--json").succeeded())
    assert compared["differences"] == {"lr": [0.01, 0.5]}
    hashes = compared["results"]["weights_sha256"]
    assert len(set(hashes)) == 2 and compared["results"]["epochs"] == [2, 2]


@pytest.mark.parametrize("command", [["runs"], ["runs", "list"], ["runs", "--in", "runs"]])
def test_the_newest_first(command, ran, run):
    ran("older", began="2026-01-02T03:04:05+02:00", held_out_accuracy=None)
    ran("newer", loss=1.0, seconds=1234.5, interrupted=True)
    ran(os.path.join("demo", "oldest"), began="2025-01-02T03:04:05+00:00")
    title, header, *rows = run(*command).succeeded().splitlines()
    assert title == "3 in runs, the newest first"
    assert header.split() == "run began data backend loss training held out time".split()
    cells = [row.split("  ") for row in rows]
    cells = [[cell.strip() for cell in row if cell] for row in cells]
    assert [row[0] for row in cells] == ["newer (stopped)", "older", os.path.join("demo", "oldest")]
    shown = ["moons", "pure_python", "1.000000", "90.0 %", "87.5 %", "1234 s"]
    assert cells[0][2:] == shown
    assert cells[1][-3:] == ["90.0 %", "-", "0.1235 s"]


def test_on_a_terminal_the_list_is_a_table(ran, terminal):
    ran("one")
    with terminal() as shown:
        assert cli.main("pure_python", ["runs"]) == 0
    assert "1 in runs, the newest first" in shown[0] and "│ pure_python │ 0.250000 │" in shown[0]


def test_none_yet(run, folder):
    assert run("runs").failed() == "there is no folder runs; train writes its results into runs"
    (folder / "runs" / "empty").mkdir(parents=True)
    assert run("runs").succeeded() == "no runs in runs\n"
    assert json.loads(run("runs", "--json").succeeded()) == {"runs": [], "damaged": []}


def test_when_it_was_is_told_by_the_file_where_the_run_does_not(ran, run):
    for name, began in (("gone", None), ("wrong", "yesterday"), ("far", "0001-01-01T00:00:00")):
        path = ran(name, began=began) / "metrics.json"
        os.utime(path, (1_700_000_000, 1_700_000_000))
    rows = json.loads(run("runs", "--json").succeeded())["runs"]
    assert {row["began"][:4] for row in rows} <= {"2023", "0001"} and len(rows) == 3


DAMAGED = {
    "nothing": ("", "is damaged: Expecting value"),
    "half": ('{"loss": 1', "is damaged: Expecting"),
    "no text": ("\udcff", "is damaged: "),
    "deep": ("[" * 100_000, "is damaged: "),
    "a list": ("[]", "is damaged: an object is expected"),
    "infinite": ('{"loss": 1e999}', "is damaged: 1e999 is no number of a run"),
    "not a number": ('{"loss": NaN}', "is damaged: NaN is no number of a run"),
    "bare": ("{}", "is damaged: backend is missing, or not what it should be"),
}
CHANGES = {
    "loss": "low",
    "interrupted": None,
    "settings": [],
    "steps": 1 << 70,
    "seconds": 10**400,
    "held_out_accuracy": "90 %",
    "data": {"samples": 3},
}


def test_damaged_runs_are_named(ran, run, folder):
    ran("good")
    for name, (text, _) in DAMAGED.items():
        (ran(name) / "metrics.json").write_bytes(text.encode(errors="surrogateescape"))
    for name, change in CHANGES.items():
        ran(f"with other {name}", **{name: change})
    (ran("killed") / "metrics.json").rename(folder / "runs" / "killed" / "run.toml")
    os.makedirs(ran("folder") / "sub" / "metrics.json")  # no file at all, and no run
    told = json.loads(run("runs", "--json").succeeded())
    assert {os.path.basename(row["run"]) for row in told["runs"]} == {"good", "folder"}
    faults = {os.path.basename(row["run"]): row["fault"] for row in told["damaged"]}
    expected = {name: f"metrics.json {fault}" for name, (_, fault) in DAMAGED.items()}
    for name in CHANGES:
        what = f"{name} is missing, or not what it should be"
        expected[f"with other {name}"] = f"metrics.json is damaged: {what}"
    expected["with other data"] = "metrics.json is damaged: the data have no name"
    expected["killed"] = "metrics.json: No such file or directory"
    assert faults.keys() == expected.keys()
    for name, fault in expected.items():
        assert faults[name].startswith(fault), name
    done = run("runs")
    assert "2 in runs" in done.succeeded() and len(done.err.splitlines()) == len(faults)
    path = os.path.join("runs", "killed")
    assert f"damaged: {path}: metrics.json: No such file or directory" in done.err
    assert run("runs", "compare", "good", "killed").failed().startswith(f"{path}: metrics.json: ")


def test_runs_side_by_side(ran, run):
    ran("one")
    settings = {"lr": 0.5, "hidden": [], "warmup": 3}
    data = ran.told["data"] | {"features": [f"column {k}" for k in range(30)]}
    other = ran("two", settings=settings, data=data, weights_sha256=None, versions={"numpy": "2.0"})
    ran("three")
    lines = run("runs", "compare", "one", other, "three").succeeded().splitlines()
    rows = [re.split(" {2,}", line) for line in lines]
    shown = {name: cells for name, *cells in rows if cells}
    assert lines[0] == "What differs" and lines[1].split() == ["one", "two", "three"]
    assert shown["lr"] == ["0.01", "0.5", "0.01"]
    assert shown["hidden"] == ["16,16", "none", "16,16"]
    assert shown["schedule"] == ["constant", "-", "constant"]
    assert shown["warmup"] == ["-", "3", "-"]
    assert shown["data features"] == ["-", "column 0,column 1,column 2,col… (30)", "-"]
    assert shown["version of python"] == ["3.11.2", "-", "3.11.2"]
    assert "version of numpy" not in shown and "data sha256" not in shown
    assert shown["weights sha256"] == ["b" * 12, "-", "b" * 12]
    assert shown["interrupted"] == ["no", "no", "no"] and shown["epochs"] == ["2", "2", "2"]
    assert shown["held out accuracy"] == ["87.5 %"] * 3


def test_runs_of_which_nothing_differs(ran, run):
    ran("one")
    ran("two", interrupted=True)
    printed = run("runs", "compare", "one", "two").succeeded()
    assert printed.startswith("Nothing differs: neither data nor settings nor versions.\nWhat came")
    assert printed.splitlines()[-2].split() == ["interrupted", "no", "yes"]


def test_what_cannot_be_compared(ran, run):
    ran("one")
    assert run("runs", "compare", "one").failed() == "runs compare: two runs or more are expected"
    message = run("runs", "compare", "one", "other", "--in", "runs").failed()
    assert message == "no run other, neither in runs nor a folder of its own"


def test_help_of_runs(run):
    for args in (["runs", "--help"], ["runs", "-h"]):
        assert "runs compare first second" in run(*args).succeeded()
    assert "--json" in run("runs", "list", "--help").succeeded()
    assert "RUN RUN..." in run("runs", "compare", "--help").succeeded()


def test_what_is_shown_is_short():
    assert earlier.shown("seconds", 0.000012345) == "1.234e-05 s"
    assert earlier.shown("hidden", list(range(100, 109))) == "100,101,102,103,104,105,106,107,108"
