"""A state moves between the backends and PyTorch (rules 3.8, 3.9 and 4.3)."""

import itertools

import pytest

from cases.numbers import floats, nested, same, worst
from reference import torch

X = [[0.5, -1.0], [2.0, 0.25]]


@pytest.fixture(scope="module")
def three(backends):
    return {backend.name: backend for backend in backends}


PAIRS = list(itertools.permutations(("pure_python", "numpy_vectorized", "cython_core"), 2))


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_state_dict(three, source, target):
    ours = three[source].MLP(2, [4, 3, 1], activation="tanh", seed=1)
    theirs = three[target].MLP(2, [4, 3, 1], activation="tanh", seed=2)
    theirs.load_state_dict(ours.state_dict())
    for name, data in ours.state_dict().items():
        assert all(map(same, floats(data), floats(theirs.state_dict()[name])))


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_files(three, source, target, tmp_path):
    ours = three[source].MLP(2, [4, 3, 1], seed=1)
    theirs = three[target].MLP(2, [4, 3, 1], seed=2)
    ours.save(tmp_path / "a.safetensors")
    theirs.load(tmp_path / "a.safetensors")
    theirs.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.pytorch
def test_through_pytorch(backends, tmp_path):
    """Out of one backend, through safetensors' own reader for PyTorch, into the others."""
    from safetensors.torch import load_file, save_file

    first = backends[0].MLP(2, [4, 1], seed=1)
    first.save(tmp_path / "ours.safetensors")
    tensors = load_file(tmp_path / "ours.safetensors")
    assert all(t.dtype == torch.float64 for t in tensors.values())
    save_file(tensors, tmp_path / "theirs.safetensors")
    for backend in backends:
        model = backend.MLP(2, [4, 1], seed=2)
        model.load(tmp_path / "theirs.safetensors")
        assert {n: nested(d) for n, d in model.state_dict().items()} == {
            n: t.tolist() for n, t in tensors.items()
        }
        save_file({n: t.float() for n, t in tensors.items()}, tmp_path / "single.safetensors")
        model.load(tmp_path / "single.safetensors")
        assert (
            floats(model.state_dict()["layers.0.weight"])
            == tensors["layers.0.weight"].float().flatten().tolist()
        )


def test_an_optimiser_goes_on_in_the_other_scalar_backend(three):
    """Rule 4.3: its state has the same form, so training goes on with the same bits."""

    def steps(m, values, optimiser, first, last):
        for step in range(first, last):
            for i, p in enumerate(values):
                p.grad = ((step * 7 + i * 3) % 11 - 5) / 3
            optimiser.step()

    for name, options in (("SGD", {"lr": 0.1, "momentum": 0.9}), ("Adam", {}), ("AdamW", {})):
        told = []
        for source, target in itertools.product(three.values(), three.values()):
            values = [source.Value(x) for x in (1.0, -2.0, 3.0)]
            optimiser = getattr(source, name)(values, **options)
            steps(source, values, optimiser, 0, 5)
            moved = [target.Value(p.data) for p in values]
            other = getattr(target, name)(moved, **options)
            other.load_state_dict(optimiser.state_dict())
            steps(target, moved, other, 5, 10)
            told.append([p.data for p in moved])
        for row in told:
            assert row == pytest.approx(told[0], rel=1e-12), worst(row, told[0])


def test_printed_alike(backends):
    """Rules 1.4, 1.24 and 3.10."""

    def printed(m):
        v = m.Value(2) / 3
        return [
            repr(v), f"{v:.3f}", f"{v}", str(v), repr(m.Vector([1, 2.5])), repr(m.Vector([[1.0], [2.0]])),
            repr(m.Neuron(3)), repr(m.Layer(2, 3, activation="gelu")), repr(m.MLP(2, [3, 1]))
        ]  # fmt: skip

    first, *others = (printed(backend) for backend in backends)
    assert all(other == first for other in others), f"{first} {others}"


def test_versions_agree(backends):
    """Each says which version of the interface it implements, and it is the same."""
    assert len({backend.module.__interface_version__ for backend in backends}) == 1
