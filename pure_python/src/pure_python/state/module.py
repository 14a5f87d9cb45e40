"""Module: parameters by name, in and out of dictionaries and files. It computes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import index
from typing import Any

from pure_python.state.files import read_safetensors, write_safetensors


class Module:
    """The base of Neuron, Layer and MLP.

    A subclass gives `named_parameters()`, the Values that an optimiser moves, and `_tensors()`, the
    same parameters as objects with a settable `data` under the names of torch.nn.Linear.
    """

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """(name, Value) of every parameter."""
        raise NotImplementedError

    def _tensors(self) -> dict[str, Any]:
        raise NotImplementedError

    def parameters(self) -> list[Any]:
        """The Values of every parameter, in the order of named_parameters."""
        return [p for _, p in self.named_parameters()]

    def params(self) -> list[Any]:
        """The same as parameters()."""
        return self.parameters()

    def nparams(self) -> int:
        """The number of scalars among the parameters."""
        return sum(getattr(p, "size", 1) for p in self.parameters())

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to zero."""
        for p in self.parameters():
            p.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """A copy of the parameters' data under the names and in the shapes of torch.nn.Linear."""
        state = {name: tensor.data for name, tensor in self._tensors().items()}
        return {name: data.copy() for name, data in state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the data of a state_dict: nested sequences, ndarrays or tensors.

        ValueError names every entry that is missing, extra, misshapen or no number; then nothing
        is changed. TypeError: a state that is no dictionary.
        """
        check_state(state)
        tensors = self._tensors()
        entries = {name: nested(entry) for name, entry in state.items()}
        faults = [f"{name} is missing" for name in tensors if name not in entries]
        faults += [f"{name} is not in this model" for name in entries if name not in tensors]
        for name, tensor in tensors.items():
            if name in entries:
                faults += faults_of(name, entries[name], shape_of(nested(tensor.data)))
        if faults:
            raise ValueError(f"the state does not fit {self!r}: {'; '.join(faults)}")
        for name, tensor in tensors.items():
            tensor.data = entries[name]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters as safetensors. An interrupted save leaves the old file whole."""
        write_safetensors(path, self.state_dict(), {"model": repr(self)})

    def load(self, path: str | os.PathLike[str]) -> None:
        """Take the parameters from a safetensors file.

        ValueError if the file is damaged or does not fit; then nothing is changed.
        """
        state, _ = read_safetensors(path)
        try:
            self.load_state_dict(state)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from None


def check_state(state: Any) -> None:
    """TypeError for what is no dictionary, such as the name of a file."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"a state is a dictionary as state_dict() gives it, got {state!r} "
            f"({type(state).__name__})"
        )


def nested(entry: Any) -> Any:
    """An entry of a state as nested lists, whatever library made it."""
    if hasattr(entry, "detach"):
        entry = entry.detach()
    if hasattr(entry, "tolist"):
        return entry.tolist()
    if isinstance(entry, Sequence) and not isinstance(entry, str | bytes):
        return [nested(row) for row in entry]
    return entry


def shape_of(entry: Any) -> tuple[int, ...] | None:
    """The shape of nested lists, None where the rows differ."""
    if not isinstance(entry, list):
        return ()
    shapes = {shape_of(row) for row in entry}
    if not entry:
        return (0,)
    inner = shapes.pop()
    return None if shapes or inner is None else (len(entry), *inner)


def faults_of(name: str, entry: Any, expected: tuple[int, ...] | None) -> list[str]:
    shape = shape_of(entry)
    if shape != expected:
        got = "rows of different lengths" if shape is None else f"shape {written(shape)}"
        return [f"{name} has {got}, expected {written(expected or ())}"]
    for number in scalars_of(entry):
        if isinstance(number, str | bytes) or not hasattr(type(number), "__float__"):
            if not hasattr(type(number), "__index__"):
                return [f"{name} holds {number!r}, which is no number"]
    return []


def scalars_of(entry: Any) -> Iterator[Any]:
    if isinstance(entry, list):
        for row in entry:
            yield from scalars_of(row)
    else:
        yield entry


def written(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "a single number"


# Checks of what a module is built from -------------------------------------------------------


def chosen(what: str, name: str, known: Iterable[str]) -> str:
    """name, if it is known, else a ValueError that lists the known ones."""
    names = list(known)
    if name not in names:
        raise ValueError(f"unknown {what} {name!r}: choose one of {', '.join(names)}")
    return name


def whole(what: str, size: Any) -> int:
    """size as an int of 1 or more; TypeError if it is no integer, ValueError if less."""
    try:
        number = index(size)
    except TypeError:
        raise TypeError(f"{what} must be an int, got {size!r} ({type(size).__name__})") from None
    if isinstance(size, bool) or number < 1:
        raise ValueError(f"{what} must be 1 or more, got {size!r}")
    return number


def sizes_of(n_in: Any, n_outs: Any) -> list[int]:
    """[n_in, n1, ..., nk] from either way to write it."""
    if n_outs is None:
        if not isinstance(n_in, Sequence) or isinstance(n_in, str) or len(n_in) < 2:
            raise ValueError(
                f"MLP needs MLP(n_in, [n1, ..., nk]) or MLP([n_in, n1, ..., nk]), got {n_in!r}"
            )
        sizes = list(n_in)
    else:
        if not isinstance(n_outs, Sequence) or isinstance(n_outs, str) or not len(n_outs):
            raise ValueError(f"MLP needs a list of layer sizes, such as [16, 1], got {n_outs!r}")
        sizes = [n_in, *n_outs]
    return [whole("n_in" if i == 0 else "a layer size", size) for i, size in enumerate(sizes)]
