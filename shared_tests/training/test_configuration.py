"""run.toml beside a run's results: from it the same weights come out, or it is said why they do not."""

import json
import os
import sys
import tomllib

import pytest

from pure_python.training import configuration
from pure_python.training.configuration import Configuration, Source, as_toml
from pure_python.training.errors import InputError
from pure_python.training.run import Run

SMALL = {"epochs": 2, "hidden": (4,)}


def trained(backend, source=None, **options) -> Run:
    source = source or Source("moons", samples=20)
    run = Run.prepare(backend.module, source, SMALL | options, files=False)
    assert run.carry_out(quiet=True)
    return run


@pytest.fixture
def again(backend, run, write):
    """again(record, …): its notes when it is trained again, from a file, with more options."""

    def again(record, *args, **changes):
        for name, entry in changes.items():
            record = record | {name: record.get(name, {}) | entry}
        write("run.toml", as_toml(record))
        done = run("train", "--config", "run.toml", "--no-out", *args)
        lines = done.succeeded().splitlines()
        return [line.removeprefix("note").strip() for line in lines if line.startswith("note")]

    return again


SAME = ["the weights are those of run.toml, bit for bit"]


def test_a_run_is_reproduced_from_the_file_beside_its_results(run, backend, folder):
    args = ("spiral", "--samples", 30, "--epochs", 2, "--activation", "silu", "--out", "out")
    run("train", *args, "--seed", 11, "--class-weight", "balanced").succeeded()
    record = tomllib.loads((folder / "out" / "run.toml").read_text())
    assert record["backend"] == backend.name and record["settings"]["seed"] == 11
    told = json.loads((folder / "out" / "metrics.json").read_text())
    assert record["settings"] == told["settings"] and record["versions"] == told["versions"]
    assert record["data"]["sha256"] == told["data"]["sha256"]
    for path in ("out", os.path.join("out", "run.toml")):  # the folder will do
        printed = run("train", "--config", path, "--no-out").succeeded()
        assert f"note               {SAME[0]}" in printed


def test_the_other_scalar_backend_makes_the_same_bits(backends, run, folder, write):
    names = [b.name for b in backends if b.name in ("pure_python", "cython_core")]
    if len(names) < 2:
        return
    write("run.toml", as_toml(trained(backends[names.index("pure_python")]).record()))
    printed = run("train", "--config", "run.toml", "--no-out", name="cython_core").succeeded()
    assert "backend cython_core, pure_python in run.toml" in printed and SAME[0] in printed


def test_what_differs_is_said(backend, again):
    record = trained(backend).record()
    assert again(record) == SAME
    other = ["the weights are not those of run.toml"]
    notes = again(record, "--epochs", 3, "--hidden", "none")
    assert notes == ["hidden none, 4 in run.toml", "epochs 3, 2 in run.toml", *other]
    notes = again(record, versions={"numpy": "1.0", "gone": "2"}, data={"sha256": "0"})
    numpy = record["versions"]["numpy"]
    data = "the data are not those of run.toml: their SHA-256 is another"
    assert notes == [f"numpy {numpy}, 1.0 in run.toml", data, *SAME]
    notes = again(record, "--samples", 24)
    assert notes == ["samples 24, 20 in run.toml", data, *other]


def test_a_run_that_was_stopped_says_so(backend, again):
    record = trained(backend).record()
    notes = again(record, result={"interrupted": True})
    assert notes == ["the run of run.toml was stopped by Ctrl-C; this one was not"]


def test_a_file_that_one_has_written_by_hand_promises_nothing(run, write):
    write("by hand.toml", '[data]\nname = "moons"\nsamples = 20\n[settings]\nepochs = 1\nlr = 1\n')
    printed = run("train", "--config", "by hand.toml", "--no-out", "--save", "w").succeeded()
    assert "note" not in printed and "1 epoch, 1 step" in printed
    printed = run("train", "--config", "by hand.toml", "--no-out", "--hidden", 4).succeeded()
    assert "note               hidden" not in printed, "it says nothing of hidden layers"


def test_what_was_gone_on_from_is_gone_on_from_again(run, again, folder, undrawn):
    base = ("train", "moons", "--samples", 20, "--hidden", 4, "--epochs", 2)
    run(*base, "--no-out", "--save", "w").succeeded()
    run(*base, "--resume", "w", "--out", "out").succeeded()
    record = tomllib.loads((folder / "out" / "run.toml").read_text())
    assert record["resumed"].pop("weights") == "../w"
    record["resumed"]["weights"] = "w"  # as seen from where it is written again
    assert again(record) == SAME
    run(*base, "--no-out", "--save", "w", "--lr", 0.5).succeeded()
    gone = "the weights gone on from are not those of run.toml: their SHA-256 is another"
    assert again(record) == [gone, "the weights are not those of run.toml"]


@pytest.fixture
def table(write):
    rows = [f"{x / 7},{x % 3},{'ab'[x % 2]},{'uv'[x > 9]}" for x in range(20)]
    return write("a.csv", "\n".join(["x,y,note,c", *rows]) + "\n")


def test_a_csv_file_and_another_in_its_place(backend, again, write, table):
    record = trained(backend, Source(None, table, "c", ("note",))).record()
    assert record["data"] | {"sha256": ""} == {
        "csv": "a.csv", "target": "c", "ignore": ["note"], "sha256": ""
    }  # fmt: skip
    assert again(record) == SAME
    write("b.csv", "x,y,note,c\n" + "1,2,a,u\n2,1,b,v\n" * 5)
    notes = again(record, "--csv", "b.csv")
    assert notes[0] == "csv b.csv, a.csv in run.toml" and "the data are not" in notes[1]
    notes = again(record, "--target", "note", "--ignore", "c")
    assert notes[:2] == ["target note, c in run.toml", "ignore c, note in run.toml"]
    assert "the data are not" in again(record, "circles", "--samples", 20)[0]


def test_paths_are_relative_to_the_file(run, table, folder, undrawn, monkeypatch):
    """So that it is found from any folder, and where both have moved together."""
    base = ("--target", "c", "--ignore", "note", "--epochs", 1)
    run("train", "--csv", table, *base, "--no-out", "--save", "w").succeeded()
    run("train", "--csv", table, *base, "--resume", "w", "--out", "runs/first").succeeded()
    record = tomllib.loads((folder / "runs" / "first" / "run.toml").read_text())
    assert record["data"]["csv"] == "../../a.csv" and record["resumed"]["weights"] == "../../w"
    run("train", "--config", "runs/first", "--out", "second").succeeded()
    record = tomllib.loads((folder / "second" / "run.toml").read_text())
    assert record["data"]["csv"] == "../a.csv" and record["resumed"]["weights"] == "../w"
    (folder / "project").mkdir()
    for name in ("a.csv", "w", "runs", "second"):
        (folder / name).rename(folder / "project" / name)
    monkeypatch.chdir(folder / "project" / "runs")
    for path in ("first", "../second/run.toml", folder / "project" / "second"):
        notes = run("train", "--config", path, "--no-out").succeeded().splitlines()
        assert [line[19:] for line in notes if line.startswith("note")] == SAME


def test_a_path_that_is_absolute_stays_so(run, table, folder, undrawn):
    path = str(folder / table)
    run("train", "--csv", path, "--target", "c", "--ignore", "note", "--out", "out").succeeded()
    assert tomllib.loads((folder / "out" / "run.toml").read_text())["data"]["csv"] == path


@pytest.mark.skipif(sys.platform == "win32", reason="links as POSIX has them")
def test_results_in_a_folder_that_is_a_link(run, table, folder, undrawn):
    """From what it leads to, `..` does not come back."""
    (folder / "disk" / "large").mkdir(parents=True)
    (folder / "runs").symlink_to(folder / "disk" / "large")
    run("train", "--csv", table, "--target", "c", "--ignore", "note", "--epochs", 1).succeeded()
    (made,) = (folder / "runs").iterdir()
    (folder / "latest.toml").symlink_to(made / "run.toml")
    for path in (made, "latest.toml"):
        assert SAME[0][:20] in run("train", "--config", path, "--no-out").succeeded()


def test_files_that_are_not_where_the_configuration_says(run, table, write, folder):
    (folder / "runs").mkdir()
    lines = ["[data]", "csv = '../data/a.csv'", "target = 'c'", "ignore = ['note']"]
    write("runs/run.toml", "\n".join(lines))
    gone = os.path.join(os.path.realpath(folder), "data", "a.csv")
    assert run("train", "--config", "runs").failed() == (
        f"{os.path.join('runs', 'run.toml')}: [data] csv: there is no file {gone}; "
        "give it by --csv FILE"
    )
    args = ("--config", "runs", "--csv", table, "--epochs", 1, "--no-out")
    run("train", *args).succeeded()
    write("runs/run.toml", "\n".join([*lines, "[resumed]", "weights = 'w'"]))
    assert (
        run("train", *args)
        .failed()
        .endswith(
            f"[resumed] weights: there is no file {os.path.join(os.path.realpath(folder), 'runs', 'w')}; "
            "give it by --resume FILE"
        )
    )


@pytest.mark.skipif(sys.platform != "linux", reason="names of files as Linux has them")
def test_a_file_with_a_name_that_is_no_text(backend, run, table, folder):
    """Its results are written and shown; what is no text in it is replaced, and --csv names it."""
    name, out = os.fsdecode(b"caf\xe9.csv"), os.fsdecode(b"out\xe9")
    os.rename(table, name)
    args = ("--target", "c", "--ignore", "note", "--epochs", 1, "--out", out)
    printed = run("train", "--csv", name, *args).succeeded()
    assert "caf?.csv · " in printed and f"out?{os.sep}" in printed
    assert tomllib.loads((folder / out / "run.toml").read_text())["data"]["csv"] == "../caf?.csv"
    assert json.loads((folder / out / "metrics.json").read_text())["data"]["name"] == "caf?.csv"


# Reading and writing ------------------------------------------------------------------------------


def test_what_is_written_is_read():
    texts = ["", 'a "b" \\ c', "\x7f\x00\n\t", "ümläut 🙂", "[x] # y = 'z'"]
    record = {
        "a": 1, "b": -1.5e-300, "c": True, "d": False, "e": texts, "f": [], "g": [1, 2],
        "table": {"a.b c": "x", "ü": 0.1, "": 1e22},
        "empty": {},
    }  # fmt: skip
    for text in texts:
        assert tomllib.loads(as_toml({"text": text})) == {"text": text}
    assert tomllib.loads(as_toml(record)) == record


@pytest.mark.parametrize(
    "text, message",
    [
        ("a = ", "not a configuration in TOML: "),
        ("\udcff", "not a configuration in TOML: "),
        ("a = " + "[" * 5000, "not a configuration in TOML: "),
        ("#" * 1_000_001, "not a configuration in TOML: too large for a configuration"),
        ("", 'it names no data; [data] with name = "moons", or csv and target'),
        ("[data]", "[data]: give a data set (moons, "),
        ("[data]\nsamples = 9", "[data]: give a data set (moons, "),
        ("data = 1", "data: a table is expected, [data]"),
        ("[date]", "'date' is not known; there are backend, began, data, "),
        ("[data]\nfile = 1", "[data] has no 'file'; there are name, csv, target, "),
        ("[data]\nname = 'mars'", "[data] name: 'mars' is none of moons, "),
        ("[data]\nname = 1", "[data] name: a text is expected, got '1'"),
        ("[data]\nname = 'moons'\nsamples = 0", "[data] samples: 1 or more is expected, got '0'"),
        (
            "[data]\nname = 'moons'\nsamples = true",
            "samples: a whole number is expected, got 'True'",
        ),
        ("[data]\ncsv = ''\ntarget = 'c'", "[data] csv: the name of a file is expected, got ''"),
        (
            "[data]\nname = 'iris'\n[resumed]\nweights = ''",
            "weights: the name of a file is expected",
        ),
        ("[data]\nname = moons", "Invalid value (at line 2, column 8): 'name = moons'"),
        (
            "[data]\ncsv = 'a'\nignore = [1]",
            "[data] ignore: a list of texts is expected, got '[1]'",
        ),
        ("[data]\ncsv = 'a'\nignore = 'a'", "[data] ignore: a list of texts is expected, got 'a'"),
        ("[data]\ncsv = 'a'", "[data]: --csv needs --target COLUMN"),
        ("[data]\nname = 'moons'\ntarget = 'c'", "[data]: --target and --ignore go with --csv"),
        ("[data]\nname = 'moons'\ncsv = 'c'", "[data]: give a data set"),
        ("[settings]\nspeed = 1", "[settings] has no 'speed'; there are hidden, activation, "),
        ("[settings]\nlr = 'fast'", "[settings] lr: a number is expected, got 'fast'"),
        ("[settings]\nepochs = 1.5", "[settings] epochs: a whole number is expected, got '1.5'"),
        ("[settings]\nepochs = true", "[settings] epochs: a whole number is expected, got 'True'"),
        (
            "[settings]\nseed = 9999999999999999999999",
            "[settings] seed: a whole number is expected",
        ),
        ("[settings]\nhidden = ['a']", "hidden: a list of whole numbers is expected, got "),
        ("[settings]\nactivation = 2", "[settings] activation: a text is expected, got '2'"),
        ("[data]\nname = 'iris'\n[resumed]\nweights = 1", "[resumed] weights: the name of a file"),
        ("lr = 3\n[data]\nname = 'iris'", "'lr' belongs under [settings], not at the top"),
        ("batch-size = 3", "'batch-size' belongs under [settings], not at the top"),
        ("name = 'iris'", "'name' belongs under [data], not at the top"),
        ("weights = 'w'", "'weights' belongs under [resumed], not at the top"),
        ("[data]\nseed = 1", "'seed' belongs under [settings], not under [data]"),
        ("[settings]\nsamples = 1", "'samples' belongs under [data], not under [settings]"),
        ("[settings]\nbatch-size = 1", "[settings] has no 'batch-size'; it is spelt batch_size"),
        # At the end of a file that a run has written, one may forget what stands above.
        ("[data]\n[result]\nepochs = 3", "'epochs' belongs under [settings], not under [result]"),
        ("[data]\n[versions]\nlr = 3", "'lr' belongs under [settings], not under [versions]"),
    ],
)
def test_a_file_that_is_no_configuration(text, message, folder):
    (folder / "a.toml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError) as caught:
        if "[settings]" in text:
            with open("a.toml", "a") as file:
                file.write('\n[data]\nname = "moons"\n')
        configuration.read("a.toml")
    assert str(caught.value).startswith("a.toml: ") and message in str(caught.value)


def test_a_file_with_a_byte_order_mark(folder):
    """As editors on Windows write it."""
    (folder / "a.toml").write_bytes(b'\xef\xbb\xbf[data]\r\nname = "iris"\r\n')
    assert configuration.read("a.toml").source == Source("iris")


def test_a_path_that_can_be_none(run, write):
    write("a.toml", '[data]\ncsv = "a\\u0000b"\ntarget = "c"\n')
    assert "null" in run("train", "--config", "a.toml").failed()


def test_a_file_that_cannot_be_read(run, folder):
    assert run("train", "--config", "gone").failed() == "gone: no such file"
    missing = os.path.join(".", "run.toml")
    assert run("train", "--config", ".").failed() == f"{missing}: no such file"
    assert "too long" in run("train", "--config", "9" * 300).failed()


def test_settings_are_checked_together(run, write):
    """Each may be right, and both together wrong; and an option can put it right."""
    write("a.toml", '[data]\nname = "moons"\nsamples = 20\n[settings]\nwarmup = 60\nepochs = 30\n')
    message = run("train", "--config", "a.toml").failed()
    assert message == "--warmup 60: fewer epochs than --epochs 30 are expected"
    run("train", "--config", "a.toml", "--warmup", 1, "--epochs", 2, "--no-out").succeeded()


def test_what_is_no_setting_is_not_compared():
    record = {"data": {}, "versions": {"python": 3}}
    then = Configuration("run.toml", Source("moons"), {}, None, record)
    now = {"backend": "x", "data": {"sha256": "a"}, "versions": {}, "result": {}}
    assert list(then.differences(now)) == []
