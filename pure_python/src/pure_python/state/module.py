"""Module: parameters by name, in and out of dictionaries and files. It computes nothing."""

from __future__ import annotations

import os
import reprlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import index
from typing import Any

# More than these are not named one by one: a file may hold a million.
MOST_FAULTS = 20

LONGEST_NAME = 60


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
        entries = {name: nested(entry) for name, entry in state.items()}
        misfits = self._misfits({name: shape_of(entry) for name, entry in entries.items()})
        numbers = {}
        for name, entry in entries.items():
            try:
                if name not in misfits:
                    numbers[name] = floats_of(entry)
            except ValueError as error:
                misfits[name] = f"{name} holds {error}"
        self._refuse(misfits)
        for name, tensor in self._tensors().items():
            tensor.data = numbers[name]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters as safetensors. An interrupted save leaves the old file whole."""
        from pure_python.state.weights import write_safetensors  # not needed to train

        write_safetensors(path, self.state_dict(), {"model": repr(self)})

    def load(self, path: str | os.PathLike[str]) -> None:
        """Take the parameters from a safetensors file.

        ValueError if the file is damaged or does not fit; then nothing is changed.
        """
        from pure_python.state.weights import read_safetensors

        # What does not fit is refused before its numbers, which may be many, are read.
        state, _ = read_safetensors(path, lambda shapes, _: self._refuse(self._misfits(shapes)))
        self.load_state_dict(state)

    def _misfits(self, shapes: Mapping[Any, tuple[int, ...] | None]) -> dict[Any, str]:
        """What is missing, extra or misshapen, by name, if a state has entries of these shapes."""
        expected = {name: shape_of(nested(t.data)) for name, t in self._tensors().items()}
        misfits = {name: f"{name} is missing" for name in expected if name not in shapes}
        misfits |= {
            name: f"{quoted(str(name))} is not in this model"
            for name in shapes
            if name not in expected
        }
        for name, shape in expected.items():
            if name in shapes and shapes[name] != shape:
                misfits[name] = f"{name} has {written(shapes[name])}, expected {written(shape)}"
        return misfits

    def _refuse(self, misfits: Mapping[Any, str]) -> None:
        """ValueError, if there are any."""
        if misfits:
            faults = [*misfits.values()][:MOST_FAULTS]
            if len(misfits) > len(faults):
                faults.append(f"and {len(misfits) - len(faults)} more")
            raise ValueError(f"the state does not fit {self!r}: {'; '.join(faults)}")


def quoted(name: str) -> str:
    """A name of a file as a message can show it: as it is, unless it is long or not printable."""
    if len(name) > LONGEST_NAME:
        name = name[: LONGEST_NAME - 1] + "…"
    return name if name.isprintable() and name.strip() == name != "" else repr(name)


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


def floats_of(entry: Any) -> Any:
    """Nested lists with each number as a float. ValueError that says what is none."""
    if isinstance(entry, list):
        return [floats_of(row) for row in entry]
    if isinstance(entry, str | bytes):  # float() would read it
        raise ValueError(f"{reprlib.repr(entry)}, which is no number")
    try:
        return float(entry)
    except OverflowError:
        raise ValueError("an int that is too large for a float") from None
    except (TypeError, ValueError):
        raise ValueError(f"{reprlib.repr(entry)}, which is no number") from None


def scalars_of(entry: Any) -> Iterator[Any]:
    if isinstance(entry, list):
        for row in entry:
            yield from scalars_of(row)
    else:
        yield entry


def written(shape: tuple[int, ...] | None) -> str:
    if shape is None:
        return "rows of different lengths"
    return f"shape {' × '.join(map(str, shape))}" if shape else "a single number"


# Checks of what a module is built from -------------------------------------------------------


# Of the layers of each backend, as messages and the playground list them (rule 3.2).
ACTIVATIONS = ("relu", "tanh", "sigmoid", "linear", "leaky_relu", "gelu", "silu", "softplus")


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
    if number > sys.maxsize:  # or a list would grow until all memory is taken
        raise ValueError(f"{what} is more than there is memory for")
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
