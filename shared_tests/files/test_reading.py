"""Files that are damaged, lie, or are none: refused with a sentence, and nothing is changed.

A short form of `nox -s files`, whose code this runs; what that found has tests of its own below.
"""

import errno
import json
import math
import os
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cases import hostile_files
from pure_python.state import weights
from pure_python.state.weights import (
    MOST_HEADER_BYTES,
    MOST_PARTS,
    read_safetensors,
    write_safetensors,
)
from pure_python.training import checkpoint, limits
from pure_python.training.errors import InputError
from pure_python.training.run import Run, Source

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed as POSIX does")
def test_a_short_run_of_files(backends):
    """Damaged files, killed saves and a full disk, in a process of its own."""
    command = [sys.executable, "-m", "reliability.files", "--files=150", "--kills=5", "--seed=2"]
    ours = {"pure_python", "numpy_vectorized", "cython_core"}
    names = [f"--backend={backend.name}" for backend in backends if backend.name in ours]
    done = subprocess.run(
        [*command, *names, "--without-large"],
        env=os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "file.safetensors")


def refusal(backend, path):
    """What loading says; that the model stays as it was."""
    model = backend.MLP(2, [3, 1], seed=1)
    before = str(model.state_dict())
    with pytest.raises(ValueError) as caught:
        model.load(path)
    assert str(model.state_dict()) == before and str(caught.value).startswith(path)
    return str(caught.value)


FOREIGN = {
    "pickle": (b"\x80\x04\x95\x10", "it is a pickle, which is never opened"),
    "zip": (b"PK\x03\x04" + b"x" * 9, "it is a ZIP archive, such as a spreadsheet or what torch"),
    "gzip": (b"\x1f\x8b\x08" + b"x" * 9, "it is compressed with gzip: unpack it first"),
    "picture": (b"\x89PNG\r\n\x1a\n" + b"x" * 9, "it is a PNG image"),
    "empty": (b"", "it is empty"),
    "short": (b"\x10", "it ends within the 8 bytes that tell the length of its header"),
    "length": (b"\xff" * 8 + b"{}", "its header is said to have 18446744073709551615 bytes, and 2"),
    "zeros": (bytes(100), "its header cannot be read (Expecting value"),
    "nested": (hostile_files.joined(b"[" * 99_999, b""), "its header is nested too deeply"),
    "list": (hostile_files.joined(b"[]", b""), "its header is no JSON object"),
    "metadata": (
        hostile_files.joined(b'{"__metadata__":{"a":1}}', b""),
        "its metadata are not texts by name",
    ),
    "half a character": (
        hostile_files.joined(b'{"\\ud800":{}}', b""),
        "the name '\\ud800' is no text",
    ),
    "double": (
        hostile_files.joined(b'{"a":{"dtype":"F64","dtype":"F32"}}', b""),
        "its header cannot be read (dtype stands there twice)",
    ),
    "parts": (
        hostile_files.joined(b'{"a":[' + b"1," * MOST_PARTS + b"1]}", b""),
        f"its header has more than {MOST_PARTS} names, lists and numbers",
    ),
}


def test_a_header_that_is_too_long(path):
    """In a file with a hole in it, which takes no place on the disk."""
    with open(path, "wb") as file:
        file.write((MOST_HEADER_BYTES + 1).to_bytes(8, "little"))
        file.truncate(MOST_HEADER_BYTES + 9)
    with pytest.raises(ValueError, match="its header has 100000001 bytes, 100000000 are allowed"):
        read_safetensors(path)


def test_a_file_that_is_cut_short_while_it_is_read(path):
    write_safetensors(path, {"a": [0.5] * 50_000})
    with pytest.raises(ValueError, match="it was cut short while it was read"):
        read_safetensors(path, lambda *described: os.truncate(path, 100_000))


def test_a_disk_that_cannot_be_read(backend, path, monkeypatch):
    """Rule 3.9: the error of the file system comes without a name there, and gets it."""
    model = backend.MLP(2, [3, 1], seed=1)
    model.save(path)

    def failing(entry, file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(weights, "numbers_of", failing)
    with pytest.raises(OSError) as caught:
        model.load(path)
    assert caught.value.filename == path


def test_a_machine_that_has_the_other_byte_order(path, monkeypatch):
    """There numbers are turned as they are written, and turned back as they are read."""
    other = {"little": "big", "big": "little"}[sys.byteorder]
    monkeypatch.setattr(weights, "sys", SimpleNamespace(byteorder=other))
    write_safetensors(path, {"a": [1.0, -2.5]})
    assert Path(path).read_bytes().endswith(struct.pack(">2d", 1.0, -2.5))
    assert read_safetensors(path)[0] == {"a": [1.0, -2.5]}


def test_a_name_that_cannot_be(backend):
    with pytest.raises(ValueError, match=r"'a\\x00b': embedded null byte"):
        backend.MLP(2, [1]).load("a\0b")


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_another_kind(kind, backend, path):
    content, message = FOREIGN[kind]
    Path(path).write_bytes(content)
    assert f": this is no whole safetensors file: {message}" in refusal(backend, path)


WEIGHT, BIAS = {"shape": [3, 2], "data_offsets": [0, 48]}, {"shape": [3], "data_offsets": [48, 72]}
LIES = {
    "a gap": ({}, {"data_offsets": [56, 80]}, "there is a gap before the numbers of b"),
    "an overlap": ({}, {"data_offsets": [40, 64]}, "there is an overlap with the numbers of b"),
    "the end": (
        {},
        {"shape": [2], "data_offsets": [48, 64]},
        "64 bytes of numbers are announced, 72",
    ),
    "beyond": (
        {},
        {"shape": [2**40], "data_offsets": [48, 48 + 2**43]},
        "are announced, 72 follow",
    ),
    "size": ({"shape": [3, 3]}, {}, "w, 3 × 3 in F64, takes 72 bytes and has 48"),
    "huge": ({"shape": [2**62, 2**62]}, {}, "bytes and has 48"),
    "negative": ({"shape": [-3, -2]}, {}, "the shape of w is no list of sizes"),
    "true": ({"shape": [True, 6]}, {}, "the shape of w is no list of sizes"),
    "backwards": ({"data_offsets": [48, 0]}, {}, "the data_offsets of w are not two places"),
    "type": ({"dtype": "BF16"}, {}, "w is of type BF16, expected F64 or F32"),
    "no type": ({"dtype": 64}, {}, "the dtype of w is no name"),
    "unknown": ({"scale": 2}, {}, "w is not described by dtype, shape and data_offsets"),
}


@pytest.mark.parametrize("kind", LIES)
def test_a_header_that_lies(kind, backend, path):
    weight, bias, message = LIES[kind]
    header = {"w": {"dtype": "F64"} | WEIGHT | weight, "b": {"dtype": "F64"} | BIAS | bias}
    Path(path).write_bytes(hostile_files.joined(header, bytes(72)))
    assert message in refusal(backend, path)


def test_a_model_of_a_million_names(backend, path):
    """Of very many faults the first are named."""
    write_safetensors(path, {f"layer {k}": [0.0] for k in range(1000)})
    told = refusal(backend, path)
    assert "layers.0.weight is missing" in told and told.endswith("; and 984 more")


def test_names_that_cannot_be_printed(backend, path):
    write_safetensors(path, {"a\nb": [0.0], "x" * 10_000: [0.0]})
    told = refusal(backend, path)
    assert r"'a\nb' is not in this model" in told and "x…" in told and len(told) < 1000


@pytest.mark.skipif(sys.platform == "win32", reason="devices and pipes of POSIX")
def test_what_is_no_file(backend, path, tmp_path):
    os.mkfifo(path)
    assert "is a pipe or a device, a file is expected" in refusal(backend, path)
    assert "is a pipe or a device" in refusal(backend, "/dev/zero")
    with pytest.raises(IsADirectoryError):
        backend.MLP(2, [1]).load(tmp_path)


def test_numbers_that_are_none_come_back_with_their_bits(backend, path):
    """A model holds NaN and infinities, so its file does: save and load change no bit."""
    model, other = backend.MLP(2, [3, 1], seed=1), backend.MLP(2, [3, 1], seed=2)
    special = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
    state = {name: tensor.tolist() for name, tensor in numbers_of(model).items()}
    state["layers.0.weight"] = [special[0:2], special[2:4], special[4:6]]
    model.load_state_dict(state)
    model.save(path)
    other.load(path)
    assert str(other.state_dict()) == str(model.state_dict())
    assert "nan" in str(model.state_dict()) and "-0." in str(model.state_dict())


def numbers_of(model):
    import numpy as np

    return {name: np.array(tensor) for name, tensor in model.state_dict().items()}


def test_a_number_that_is_too_large_changes_nothing(backend):
    """Of a state, that is not from a file: all is converted before anything is taken over."""
    model = backend.MLP(2, [3, 1], seed=1)
    before, state = str(model.state_dict()), {n: t.tolist() for n, t in numbers_of(model).items()}
    state["layers.0.weight"][0][0] = 7.0
    state["layers.1.bias"][0] = 10**400
    with pytest.raises(ValueError, match="layers.1.bias holds an int that is too large"):
        model.load_state_dict(state)
    assert str(model.state_dict()) == before


WRONG_STATES = {
    "a moment too large": (
        {"lr": 0.5, "first_moment": [10**400, 0.0]},
        "first_moment holds an int",
    ),
    "a negative square": ({"lr": 0.5, "second_moment": [-1.0, 0.0]}, "second_moment must be"),
    "a number as moment": ({"first_moment": 1.0}, "first_moment must be 2 numbers"),
    "half a step": ({"step": 0.5}, "step must be an int"),
    "no count of steps": ({"step": 10**400}, "step must be an int"),
    "a rate too large": ({"lr": 10**400}, "lr must be a finite number"),
    "another kind": ({"kind": "AdamW"}, "this is the state of 'AdamW', and the optimiser is Adam"),
}


@pytest.mark.parametrize("kind", WRONG_STATES)
def test_a_state_of_an_optimiser_that_does_not_fit(kind, backend):
    change, message = WRONG_STATES[kind]
    values = [backend.Value(1.0), backend.Value(2.0)]
    optimizer = backend.Adam(values)
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(before | change)
    assert optimizer.state_dict() == before


# Going on with training ------------------------------------------------------------------------


@pytest.fixture
def run(backend, path):
    run = Run.prepare(
        backend.module,
        Source("moons", samples=20),
        {"hidden": (3,), "epochs": 1},
        save=path,
        files=False,
    )
    assert run.carry_out(quiet=True)
    return run


SETTINGS = {
    "activation": "relu",
    "epochs": 1.5,
    "seed": True,
    "lr": 10**400,
    "momentum": "0.1",
    "batch_size": 10**100,
    "hidden": [3.0],
    "init": "\ud800",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_another_type(name, run, path):
    """They would fail in the middle of a run."""
    state, metadata = read_safetensors(path)
    settings = json.loads(metadata["settings"])
    del settings["activation"]
    if name != "activation":  # which is missing
        settings |= {"activation": "relu", name: SETTINGS[name]}
    write_safetensors(path, state, metadata | {"settings": json.dumps(settings)})
    with pytest.raises(
        InputError, match="description of the network in this file is damaged"
    ) as caught:
        checkpoint.read(path)
    assert str(caught.value).isprintable()


CHANGES = {
    "epochs": ("Infinity", "damaged: a list of sizes is expected"),
    "scale": ("[1e999, 1.0]", "damaged: finite numbers are expected"),
    "classes": ('["a", "\\ud800"]', "damaged: a list of names is expected"),
    "sizes": ("[" * 100_000, "damaged: "),
    "mean": ("[" + "9" * 400 + ", 0.0]", "damaged: "),
    "target": (None, "damaged: it has no 'target'"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_description_that_is_damaged(name, run, path):
    text, message = CHANGES[name]
    state, metadata = read_safetensors(path)
    if text is None:
        del metadata[name]
    else:
        metadata[name] = text
    write_safetensors(path, state, metadata)
    with pytest.raises(InputError) as caught:
        checkpoint.read(path)
    assert str(caught.value).startswith(path) and message in str(caught.value)


def test_a_network_that_had_diverged_is_not_gone_on_with(run, path):
    state, metadata = read_safetensors(path)
    state["layers.0.bias"][1] = math.nan
    write_safetensors(path, state, metadata)
    with pytest.raises(InputError, match="layers.0.bias holds numbers that are not finite"):
        checkpoint.read(path)


def test_a_file_larger_than_the_memory(run, path, monkeypatch):
    """Known from its header, before its numbers are read."""
    monkeypatch.setattr(limits, "free_memory", lambda: 500)
    with pytest.raises(InputError, match="a weights file of 13 numbers needs 624 bytes of memory"):
        checkpoint.read(path)


def test_a_file_that_holds_more_than_the_network(run, path):
    state, metadata = read_safetensors(path)
    write_safetensors(path, state | {"layers.2.bias": [1.0]}, metadata)
    with pytest.raises(InputError, match="the weights are not those of the network"):
        checkpoint.read(path)


@pytest.mark.parametrize(
    "optimizer, message",
    [
        ('{"kind": "Adam"}', "the optimiser's state has no 'step'"),
        (
            '{"kind": "Adam", "step": 1, "first_moment": [1.0]}',
            "13 numbers are expected, there are 1",
        ),
        ('{"kind": "Adam", "step": 1, "first_moment": {}}', "a list of numbers is expected"),
        (
            '{"kind": "Adam", "step": 1, "first_moment": [1' + "0" * 400 + "]}",
            "finite numbers are expected",
        ),
    ],
)
def test_a_state_that_does_not_fit_leaves_the_weights_too(optimizer, message, run, path):
    state, metadata = read_safetensors(path)
    state["layers.0.bias"][1] = 7.0
    write_safetensors(path, state, metadata | {"optimizer": optimizer})
    before = str(run.trainer.model.state_dict()), run.trainer.optimizer.state_dict()
    with pytest.raises(InputError, match=message):
        checkpoint.read(path).restore(run.trainer)
    assert (str(run.trainer.model.state_dict()), run.trainer.optimizer.state_dict()) == before
