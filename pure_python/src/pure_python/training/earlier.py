"""Runs that were made before: found by their results, listed, and compared."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pure_python.state.files import open_regular
from pure_python.state.weights import first_line

from .configuration import FILE
from .errors import InputError

RUNS, METRICS, WEIGHTS = "runs", "metrics.json", "weights.safetensors"
# By any of these a folder is known as that of a run.
FILES = (METRICS, WEIGHTS, FILE)
# What cannot be missing from the metrics of a run, and what it is.
NUMBER, OPTIONAL = (int, float), (int, float, type(None))
NEEDED: dict[str, Any] = {
    "backend": str,
    "data": dict,
    "settings": dict,
    "versions": dict,
    "layers": str,
    "epochs": list,
    "steps": int,
    "loss": NUMBER,
    "training_accuracy": NUMBER,
    "held_out_accuracy": OPTIONAL,
    "seconds": NUMBER,
    "interrupted": bool,
}


class Damaged(ValueError):
    """The folder of a run from which its results cannot be read."""


@dataclass(frozen=True)
class Earlier:
    """A run of before, and what it has written of itself."""

    path: str
    metrics: dict[str, Any]
    began: datetime

    def row(self) -> dict[str, Any]:
        """The run in short."""
        told = self.metrics
        return {
            "run": self.path,
            "began": self.began.isoformat(timespec="seconds"),
            "data": told["data"]["name"],
            "backend": told["backend"],
            "layers": told["layers"],
            **self.results(),
        }

    def results(self) -> dict[str, Any]:
        """What the run came to."""
        told = self.metrics
        return {
            "epochs": len(told["epochs"]),
            "steps": told["steps"],
            "loss": told["loss"],
            "training_accuracy": told["training_accuracy"],
            "held_out_accuracy": told["held_out_accuracy"],
            "seconds": told["seconds"],
            "interrupted": told["interrupted"],
            "weights_sha256": told.get("weights_sha256"),
        }

    def conditions(self) -> Iterator[tuple[str, Any]]:
        """What the run was made of, each by its name."""
        told = self.metrics
        yield "backend", told["backend"]
        for what, prefix in (("data", "data "), ("settings", ""), ("versions", "version of ")):
            for name, entry in told[what].items():
                yield prefix + name, entry


def read(path: str) -> Earlier:
    """The run whose results lie in the folder `path`. Damaged if they cannot be read."""
    metrics = os.path.join(path, METRICS)
    try:
        with open_regular(metrics) as file:
            told = json.loads(file.read(), parse_constant=_finite, parse_float=_finite)
            began = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime).astimezone()
    except OSError as error:
        raise Damaged(f"{METRICS}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{METRICS} is damaged: {first_line(error)}") from None
    if not isinstance(told, dict):
        raise Damaged(f"{METRICS} is damaged: an object is expected")
    for name, kind in NEEDED.items():
        entry = told.get(name, ...)
        # An int may be too large for what is printed as a float.
        if not isinstance(entry, kind) or _too_large(entry):
            raise Damaged(f"{METRICS} is damaged: {name} is missing, or not what it should be")
    if not isinstance(told["data"].get("name"), str):
        raise Damaged(f"{METRICS} is damaged: the data have no name")
    # Else it is of before that was written down.
    with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
        began = datetime.fromisoformat(told["began"]).astimezone()
    return Earlier(path, told, began)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of a run")
    return number


def _too_large(entry: Any) -> bool:
    return isinstance(entry, int) and abs(entry) > 1 << 63


def find(folder: str) -> tuple[list[Earlier], list[tuple[str, str]]]:
    """The runs below a folder, the newest first; and the damaged ones, each with what is wrong."""
    if not os.path.isdir(folder):
        raise InputError(f"there is no folder {folder}; train writes its results into {RUNS}")
    runs, damaged = [], []
    for path, folders, files in os.walk(folder):
        folders.sort()
        if set(FILES).isdisjoint(files):
            continue
        try:
            runs.append(read(path))
        except Damaged as error:
            damaged.append((path, str(error)))
    return sorted(runs, key=lambda run: run.began, reverse=True), damaged


def named(names: Sequence[str], folder: str) -> list[Earlier]:
    """The runs of these names, or in these folders. InputError for one that cannot be read."""
    runs = []
    for name in names:
        paths = [path for path in (os.path.join(folder, name), name) if os.path.isdir(path)]
        if not paths:
            raise InputError(f"no run {name}, neither in {folder} nor a folder of its own")
        try:
            runs.append(read(paths[0]))
        except Damaged as error:
            raise InputError(f"{paths[0]}: {error}") from None
    return runs


def differences(runs: Sequence[Earlier]) -> dict[str, list[Any]]:
    """The conditions that are not the same in all runs; None where a run does not know them."""
    conditions = [dict(run.conditions()) for run in runs]
    names = dict.fromkeys(name for each in conditions for name in each)
    rows = {name: [each.get(name) for each in conditions] for name in names}
    return {name: row for name, row in rows.items() if any(entry != row[0] for entry in row)}


def results(runs: Sequence[Earlier]) -> dict[str, list[Any]]:
    """What each run came to."""
    each = [run.results() for run in runs]
    return {name: [one[name] for one in each] for name in each[0]}


# As text -------------------------------------------------------------------------------------------

HEADER = ["run", "began", "data", "backend", "loss", "training", "held out", "time"]
# What goes first where a terminal has no room: the names that runs are given tell most of it.
SPARE = ("began", "backend", "time", "data")


def listed(run: Earlier, folder: str) -> list[str]:
    """The run as a row below HEADER."""
    row = run.row()
    name = os.path.relpath(run.path, folder) + (" (stopped)" if row["interrupted"] else "")
    began = f"{run.began:%Y-%m-%d %H:%M}"
    loss, seconds = shown("loss", row["loss"]), shown("seconds", row["seconds"])
    accuracies = [shown(key, row[key]) for key in ("training_accuracy", "held_out_accuracy")]
    return [name, began, row["data"], row["backend"], loss, *accuracies, seconds]


def shown(name: str, entry: Any) -> str:
    """A condition or a result as a person reads it."""
    if entry is None:
        return "-"
    if name.endswith("accuracy"):
        return f"{100 * entry:.1f} %"
    if name == "loss":
        return f"{entry:.6f}"
    if name == "seconds":
        return f"{entry:.4g} s" if entry < 1000 else f"{entry:.0f} s"
    if name.endswith("sha256"):
        return str(entry)[:12]
    if isinstance(entry, bool):
        return "yes" if entry else "no"
    if isinstance(entry, list):
        text = ",".join(map(str, entry)) or "none"
        return text if len(text) <= 40 else f"{text[:30]}… ({len(entry)})"
    return str(entry)
