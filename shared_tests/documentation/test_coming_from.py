"""The tables of docs/from_*.md: what stands in them as code runs, theirs in theirs and ours in ours."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def cells(page, column):
    """The code in a column of the table of a page."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \| ", (DOCS / page).read_text("utf-8"), re.MULTILINE)
    rows = [row for row in rows if row[1] not in ("here", "---") and "---|" not in row[0]]
    found = [code for row in rows for code in re.findall(r"`(.+?)`", row[column])]
    assert len(found) > 10
    return [code for code in found if "…" not in code]


def run_each(codes, names):
    """Each as it stands, in a copy of the names; those that set something may."""
    for code in codes:
        try:
            exec(code, dict(names()))
        except Exception as error:
            raise AssertionError(f"`{code}`: {type(error).__name__}: {error}") from error


def our_names(backend, folder):
    """What the tables call things, as this backend has them."""
    import numpy_vectorized

    module = backend.module
    a, b = module.Value(2.0, label="a"), module.Value(3.0, label="b")
    model = module.MLP(2, [16, 1], seed=1)
    rows, logits = [[1.0, 2.0], [3.0, 4.0]], module.Vector([0.5, -1.0])
    model.save(folder / "weights.safetensors")
    return {name: getattr(module, name) for name in module.__all__} | {
        "numpy_vectorized": numpy_vectorized, "array": [[1.0, 2.0], [3.0, 4.0]],
        "a": a, "b": b, "v": a * b, "y": a * b + a, "data": 6.0, "operands": (a, b), "op": "mine",
        "local_grads": (3.0, 2.0), "model": model, "layer": model.layers[0], "neuron": module.Neuron(2), "X": rows, "rows": rows,
        "lr": 0.1,
        "params": model.parameters(), "scores": [0.5, -0.5], "labels": [1, -1],
        "x": logits, "weight": rows, "w": rows, "bias": [0.0, 1.0], "target": [1.0, 0.0],
        "logits": logits, "classes": 1, "index": 1, "query": rows, "keys": rows, "values": rows,
        "state": model.state_dict(), "path": folder / "weights.safetensors",
        "optimizer": module.SGD(model.parameters(), lr=0.1),
        "f": lambda a, b: a * b, "inputs": [a, b],
    }  # fmt: skip


@pytest.mark.parametrize("page", ["from_micrograd.md", "from_microgpt.md", "from_pytorch.md"])
def test_ours(page, backend, tmp_path):
    codes = [code.replace("pure_python", backend.name) for code in cells(page, 1)]
    run_each(codes, lambda: our_names(backend, tmp_path))


def test_micrograds():
    from micrograd.engine import Value
    from micrograd.nn import MLP, Neuron

    def names():
        a, b = Value(2.0), Value(3.0)
        model, X = MLP(2, [16, 16, 1]), [[1.0, 2.0]]
        return {"Value": Value, "MLP": MLP, "Neuron": Neuron, "a": a, "b": b, "v": a * b, "y": a * b,
                "model": model, "layer": model.layers[0], "neuron": Neuron(2), "X": X,
                "lr": 0.1}  # fmt: skip

    run_each(cells("from_micrograd.md", 0), names)


@pytest.mark.pytorch
def test_pytorchs(tmp_path):
    import torch

    def names():
        t = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
        rows = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
        model = torch.nn.Linear(2, 1)
        params = list(model.parameters())
        return {
            "torch": torch, "nn": torch.nn, "F": torch.nn.functional, "t": t,
            "a": t, "b": 2 * t, "y": (t * t).sum(), "above": torch.tensor(2.0, dtype=torch.float64),
            "x": rows, "weight": rows, "bias": None, "n": 2, "target": rows, "logits": rows,
            "classes": torch.tensor([0, 1]), "query": rows, "keys": rows, "values": rows,
            "array": [[1.0, 2.0]], "model": model, "params": params, "state": model.state_dict(),
            "group": {}, "path": tmp_path / "weights.pt", "f": lambda t: t * t, "inputs": [t],
        }  # fmt: skip

    run_each(cells("from_pytorch.md", 0), names)
