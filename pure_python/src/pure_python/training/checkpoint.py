"""A trained network in one safetensors file, with all that is needed to apply it or go on.

The tensors are the model's `state_dict`, so `MLP.load` reads the file too. The metadata holds, as
JSON: the architecture, the standardisation, the classes and features by name, the settings, the
epochs and the data behind it and the optimiser's state. Nothing in such a file can be executed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from pure_python.state.weights import (
    are_sizes,
    first_line,
    is_text,
    read_safetensors,
    write_safetensors,
)

from . import limits
from .csv_files import shown
from .datasets import Dataset, Scaling
from .errors import InputError
from .trainer import Settings, Trainer, as_json, from_json

FORMAT = "trigrad 1"
DAMAGED = "the description of the network in this file is damaged"
# safetensors allows 100 MB of metadata, and a moment takes about 20 characters.
MOST_MOMENTS = 4_000_000


@dataclass(frozen=True)
class Checkpoint:
    """What a weights file holds.

    sizes: units of each layer, the inputs first; data: a fingerprint of each data set learnt from.
    """

    path: str
    state: dict[str, Any]
    sizes: tuple[int, ...]
    settings: Settings
    scaling: Scaling
    features: tuple[str, ...]
    classes: tuple[str, ...]
    target_name: str
    epochs: int
    optimizer: dict[str, Any] | None
    data: tuple[str, ...]

    def model(self, backend: ModuleType) -> Any:
        """A backend's MLP with these weights, of which `read` has seen that they fit."""
        model = backend.MLP(list(self.sizes), activation=self.settings.activation, seed=0)
        model.load_state_dict(self.state)
        return model

    def check_fits(self, dataset: Dataset, settings: Settings) -> None:
        """InputError if training cannot go on from here with this data and these settings."""
        for what, ours, theirs in (
            ("features", self.features, dataset.features),
            ("classes", self.classes, dataset.classes),
        ):
            if len(ours) != len(theirs):
                raise InputError(
                    f"{self.path} was trained on {len(ours)} {what}, "
                    f"{dataset.name} has {len(theirs)}"
                )
            for a, b in zip(ours, theirs, strict=True):
                if a != b:
                    raise InputError(
                        f"{self.path} was trained on {what} such as {shown(a)}, where "
                        f"{dataset.name} has {shown(b)}"
                    )
        hidden = self.sizes[1:-1]
        if hidden != settings.hidden:
            raise InputError(
                f"{self.path} has hidden layers {_written(hidden)}, --hidden asks for "
                f"{_written(settings.hidden)}"
            )
        if self.settings.activation != settings.activation:
            raise InputError(
                f"{self.path} was trained with --activation {self.settings.activation}, "
                f"not {settings.activation}"
            )
        for option, before, now in (
            ("--seed", self.settings.seed, settings.seed),
            ("--validation", self.settings.validation, settings.validation),
        ):
            if before != now and settings.validation:
                raise InputError(
                    f"{option} {now}: {self.path} was trained with {option} {before}, and of the "
                    "samples held out now it would know some; leave it out"
                )

    def restore(self, trainer: Trainer) -> bool:
        """Give a trainer these weights, and the optimiser's state if it is of the same kind.

        The trainer's settings are those that `check_fits` has seen. Whether the optimiser goes on:
        else it starts anew. InputError if its state does not fit; then the trainer is as it was.
        """
        fresh, goes_on = trainer.optimizer.state_dict(), False
        try:
            # Step count and moments go on; what a person sets (rate, decay) is as asked for now.
            if self.optimizer is not None and self.optimizer.get("kind") == fresh["kind"]:
                order = places(trainer.model)
                kept = {"step": self.optimizer["step"]}
                for name in moments(fresh):
                    kept[name] = _in_order(self.optimizer[name], order)
                trainer.optimizer.load_state_dict(fresh | kept)
                goes_on = True
        except KeyError as error:
            raise InputError(f"{self.path}: the optimiser's state has no {error}") from None
        except (ValueError, TypeError) as error:
            raise InputError(f"{self.path}: the optimiser's state does not fit: {error}") from None
        trainer.model.load_state_dict(self.state)
        trainer.epochs_before = self.epochs
        return goes_on


def write(
    path: str, trainer: Trainer, dataset: Dataset, scaling: Scaling, data: Sequence[str]
) -> None:
    """Write the weights file, whole or not at all. OSError if it cannot be written.

    data: a fingerprint of each data set learnt from.
    """
    model = trainer.model
    optimizer = trainer.optimizer.state_dict()
    order = places(model)
    for name in moments(optimizer):
        ordered = np.empty(len(order))
        ordered[order] = optimizer[name]
        optimizer[name] = ordered.tolist()
    if len(moments(optimizer)) * len(order) > MOST_MOMENTS:
        optimizer = None
    metadata = {
        "sizes": [model.n_in, *(layer.n_out for layer in model.layers)],
        "settings": as_json(trainer.settings),
        "mean": scaling.mean.tolist(),
        "scale": scaling.scale.tolist(),
        "features": dataset.features,
        "classes": dataset.classes,
        "target": dataset.target_name,
        "epochs": trainer.epochs,
        "optimizer": optimizer,
        "data": data,
    }
    entries = {name: json.dumps(entry) for name, entry in metadata.items()}
    write_safetensors(path, model.state_dict(), {"format": FORMAT, **entries})


def moments(state: dict[str, Any]) -> list[str]:
    """The names of what an optimiser keeps a number of for each scalar among the parameters."""
    return [name for name, entry in state.items() if isinstance(entry, list) and "moment" in name]


def places(model: Any) -> np.ndarray:
    """For each scalar in the order of the parameters, its place in that of the state_dict.

    The two differ: backends of scalars go neuron by neuron, one of arrays tensor by tensor. Files
    have the order of the state_dict, so that any backend can go on from them.
    """
    starts, next_start = {}, 0
    for k, layer in enumerate(model.layers):
        for name, size in (("weight", layer.n_in * layer.n_out), ("bias", layer.n_out)):
            starts[f"layers.{k}.{name}"] = (next_start, size, layer.n_in)
            next_start += size
    order: list[int] = []
    for name, _ in model.named_parameters():
        layer_and_kind, indices = name.split(".")[:3], [int(i) for i in name.split(".")[3:]]
        start, size, n_in = starts[".".join(layer_and_kind)]
        if not indices:
            order += range(start, start + size)
        else:
            order.append(start + (indices[0] * n_in + indices[1] if indices[1:] else indices[0]))
    return np.array(order)


def read(path: str) -> Checkpoint:
    """The weights file at `path`. InputError if there is none, or it does not fit."""
    described: list[Checkpoint] = []

    def check(shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, str]) -> None:
        # The file itself must be as large as the network that it asks for, which must fit.
        described.append(_described(path, metadata))
        sizes = described[0].sizes
        expected: dict[str, tuple[int, ...]] = {}
        for k, (n_in, n_out) in enumerate(zip(sizes, sizes[1:], strict=False)):
            expected |= {f"layers.{k}.weight": (n_out, n_in), f"layers.{k}.bias": (n_out,)}
        if shapes != expected:
            raise InputError("the weights are not those of the network that the file describes")
        limits.check_weights(sum(map(math.prod, shapes.values())))

    try:
        state, _ = read_safetensors(path, check)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(str(error)) from None
    for name, tensor in state.items():
        if not np.isfinite(tensor).all():
            raise InputError(
                f"{path}: {name} holds numbers that are not finite: the training that it comes from "
                "had diverged; train anew, with a smaller --lr"
            )
    return replace(described[0], state=state)


def _described(path: str, metadata: Mapping[str, str]) -> Checkpoint:
    """A checkpoint without its weights. InputError if the metadata do not describe a network."""
    if metadata.get("format") != FORMAT:
        raise InputError("not written by `train`: the network is not described")
    try:
        entries = {name: json.loads(text) for name, text in metadata.items() if name != "format"}
        checkpoint = Checkpoint(
            path=path,
            state={},
            sizes=_sizes(entries["sizes"]),
            settings=from_json(entries["settings"]),
            scaling=Scaling(_numbers(entries["mean"]), _numbers(entries["scale"])),
            features=_names(entries["features"]),
            classes=_names(entries["classes"]),
            target_name=_names([entries["target"]])[0],
            epochs=_sizes([entries["epochs"]])[0],
            optimizer=entries["optimizer"],
            data=_names(entries.get("data", [])),
        )
    except KeyError as error:
        raise InputError(f"{DAMAGED}: it has no {error}") from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{DAMAGED}: {first_line(error)}") from None
    if not _consistent(checkpoint):
        raise InputError(f"{DAMAGED}: its parts contradict each other")
    return checkpoint


def _sizes(entry: Any) -> tuple[int, ...]:
    if not are_sizes(entry):
        raise TypeError("a list of sizes is expected")
    return tuple(entry)


def _names(entry: Any) -> tuple[str, ...]:
    if not isinstance(entry, list) or not all(map(is_text, entry)):
        raise TypeError("a list of names is expected")
    return tuple(entry)


def _numbers(entry: Any) -> np.ndarray:
    """A list of finite numbers as an array. TypeError or OverflowError for anything else."""
    if not isinstance(entry, list) or not all(type(x) is int or type(x) is float for x in entry):
        raise TypeError("a list of numbers is expected")
    numbers = np.array([float(x) for x in entry])
    if not np.isfinite(numbers).all():
        raise ValueError("finite numbers are expected")
    return numbers


def _in_order(entry: Any, order: np.ndarray) -> list[float]:
    """A moment of a file, in the order of the parameters."""
    try:
        numbers = _numbers(entry)
    except OverflowError:
        raise ValueError("finite numbers are expected") from None
    if len(numbers) != len(order):
        raise ValueError(f"{len(order)} numbers are expected, there are {len(numbers)}")
    in_order: list[float] = numbers[order].tolist()
    return in_order


def _consistent(c: Checkpoint) -> bool:
    n_features, n_classes = len(c.features), len(c.classes)
    return (
        len(c.sizes) >= 2
        and min(c.sizes) >= 1
        and c.sizes[0] == n_features
        and c.sizes[-1] == (1 if n_classes == 2 else n_classes)
        and n_classes >= 2
        and c.sizes[1:-1] == c.settings.hidden
        and len(c.scaling.mean) == len(c.scaling.scale) == n_features
        and bool((c.scaling.scale > 0).all())
        and (c.optimizer is None or isinstance(c.optimizer, dict))
    )


def _written(sizes: tuple[int, ...]) -> str:
    return ",".join(map(str, sizes)) or "none"
