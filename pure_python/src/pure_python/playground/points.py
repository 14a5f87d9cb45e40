"""The samples in the plane of the page: generated, from a CSV file, or changed by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pure_python.training.csv_files import Table, shown, table_of
from pure_python.training.datasets import class_name
from pure_python.training.errors import InputError

from .settings import MOST_CLASSES, MOST_POINTS

# The plane goes from -EXTENT to EXTENT on both axes.
EXTENT = 1.5
# A CSV file fills this share of it.
FILLED = 0.9 * EXTENT
# Columns of a CSV file, among which the page lets one choose.
MOST_COLUMNS = 1000


@dataclass(frozen=True)
class Points:
    """inputs: float64 (samples, 2); targets: int (samples,), from 0; a name for each class."""

    inputs: np.ndarray
    targets: np.ndarray
    classes: tuple[str, ...]
    axes: tuple[str, str] = ("x", "y")
    # What the ends of the plane are in the units of a CSV file: (low, high) of each axis.
    ranges: tuple[tuple[float, float], tuple[float, float]] = ((-EXTENT, EXTENT),) * 2

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def n_classes(self) -> int:
        """How many classes a network has to tell apart: two at least."""
        return max(2, int(self.targets.max(initial=1)) + 1)

    def added(self, x: float, y: float, target: int) -> Points:
        """With one more. InputError where there are as many as can be."""
        if len(self) >= MOST_POINTS:
            raise InputError(f"there are {MOST_POINTS} points, and no room for more")
        names = self.classes
        names += tuple(f"class {k}" for k in range(len(names), target + 1))
        inputs = np.concatenate([self.inputs, [[x, y]]])
        return replace(self, inputs=inputs, targets=np.append(self.targets, target), classes=names)

    def moved(self, index: int, x: float, y: float) -> Points:
        inputs = self.inputs.copy()
        inputs[self._checked(index)] = x, y
        return replace(self, inputs=inputs)

    def recoloured(self, index: int, target: int) -> Points:
        targets = self.targets.copy()
        targets[self._checked(index)] = target
        names = self.classes
        names += tuple(f"class {k}" for k in range(len(names), target + 1))
        return replace(self, targets=targets, classes=names)

    def deleted(self, index: int) -> Points:
        index = self._checked(index)
        return replace(
            self,
            inputs=np.delete(self.inputs, index, axis=0),
            targets=np.delete(self.targets, index),
        )

    def _checked(self, index: int) -> int:
        if index >= len(self):
            raise InputError(f"there is no point {index}: there are {len(self)}")
        return index


def nothing() -> Points:
    """A plane without points, to be filled by hand."""
    return Points(np.zeros((0, 2)), np.zeros(0, np.int64), ("class 0", "class 1"))


def generated(name: str, samples: int, noise: float, classes: int, seed: int) -> Points:
    """moons, circles, xor or spiral. moons and xor have two classes whatever `classes` is."""
    stream = np.random.RandomState(seed)  # which NumPy promises never to change
    n_classes = classes if name in ("circles", "spiral") else 2
    targets = np.arange(samples) % n_classes
    inputs = {"moons": _moons, "circles": _circles, "xor": _xor, "spiral": _spiral}[name](
        targets, n_classes, noise, stream
    )
    inputs = np.clip(inputs, -EXTENT, EXTENT)
    return Points(inputs, targets, tuple(f"class {k}" for k in range(n_classes)))


def _moons(
    targets: np.ndarray, n_classes: int, noise: float, stream: np.random.RandomState
) -> np.ndarray:
    """Two half circles that reach into each other."""
    angle = stream.uniform(0, np.pi, len(targets))
    x = np.where(targets == 0, np.cos(angle), 1 - np.cos(angle)) - 0.5
    y = np.where(targets == 0, np.sin(angle), 0.5 - np.sin(angle)) - 0.25
    inputs: np.ndarray = np.column_stack([x, y]) + noise * stream.normal(size=(len(targets), 2))
    inputs *= 0.8
    return inputs


def _circles(
    targets: np.ndarray, n_classes: int, noise: float, stream: np.random.RandomState
) -> np.ndarray:
    """Rings around the origin, a class each."""
    angle = stream.uniform(0, 2 * np.pi, len(targets))
    radius = 1.2 * (targets + 0.7) / (n_classes - 0.3)
    inputs: np.ndarray = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    inputs += 0.7 * noise * stream.normal(size=(len(targets), 2))
    return inputs


def _xor(
    targets: np.ndarray, n_classes: int, noise: float, stream: np.random.RandomState
) -> np.ndarray:
    """Four squares; those that face each other over the origin are one class."""
    x = stream.uniform(0.1, 1.2, len(targets)) * stream.choice([-1, 1], len(targets))
    y = stream.uniform(0.1, 1.2, len(targets)) * np.where(targets == 0, 1, -1) * np.sign(x)
    return np.column_stack([x, y]) + 0.7 * noise * stream.normal(size=(len(targets), 2))


def _spiral(
    targets: np.ndarray, n_classes: int, noise: float, stream: np.random.RandomState
) -> np.ndarray:
    """Arms that wind about the origin, a class each: no line parts them."""
    along = np.sqrt(stream.uniform(0.02, 1, len(targets)))  # even along the arm, not in radius
    angle = 2 * np.pi * (targets / n_classes + 0.75 * along)
    angle += noise * stream.normal(size=len(targets))
    inputs: np.ndarray = along[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    inputs *= 1.3
    return inputs


@dataclass(frozen=True)
class Upload:
    """A CSV file that the user has given, and the columns that can be an axis."""

    table: Table
    numeric: tuple[str, ...]

    @classmethod
    def read(cls, name: str, content: bytes) -> Upload:
        """InputError for what is no table, or has fewer than two columns of numbers."""
        table = table_of(name, content)
        if len(table.columns) > MOST_COLUMNS:
            raise InputError(
                f"{name}: {len(table.columns)} columns are more than the {MOST_COLUMNS} that can be "
                "chosen from; leave some out"
            )
        numeric = []
        for column in table.columns:
            try:
                table.numbers([column])
            except InputError:
                continue
            numeric.append(column)
        if len(numeric) < 2:
            raise InputError(f"{name}: two columns of numbers are needed, there are {len(numeric)}")
        if len(table.columns) < 3:
            raise InputError(f"{name}: a third column is needed, which holds the class")
        return cls(table, tuple(numeric))

    def likely_columns(self) -> tuple[str, str, str]:
        """x, y and the class: a column of words if there is one, else the last."""
        words = [column for column in self.table.columns if column not in self.numeric]
        target = words[-1] if words else self.table.columns[-1]
        x, y = [column for column in self.numeric if column != target][:2]
        return x, y, target

    def points(self, x: str, y: str, target: str) -> Points:
        """These columns, scaled to the plane. InputError for what cannot be shown."""
        table = self.table
        if len({x, y, target}) < 3:
            raise InputError("x, y and the class are three different columns")
        numbers = np.array(table.numbers([x, y]))
        labels = [class_name(label) for label in table.texts(target)]
        names = sorted(set(labels))
        if not 2 <= len(names) <= MOST_CLASSES:
            raise InputError(
                f"{table.path}: column {shown(target)} has {len(names)} different values; "
                f"2 to {MOST_CLASSES} classes can be shown"
            )
        if len(numbers) > MOST_POINTS:
            # Spread over the file, which may be sorted.
            kept = np.linspace(0, len(numbers) - 1, MOST_POINTS).astype(int)
            numbers, labels = numbers[kept], [labels[k] for k in kept]
        low, high = numbers.min(axis=0), numbers.max(axis=0)
        with np.errstate(over="ignore"):
            half = np.where(high > low, (high - low) / 2, 1.0)
            middle = low + (high - low) / 2
        if not (np.isfinite(half).all() and np.isfinite(middle).all()):
            raise InputError(f"{table.path}: the numbers are too large to be shown")
        ends = middle + np.array([[-1], [1]]) * half * (EXTENT / FILLED)
        return Points(
            FILLED * (numbers - middle) / half,
            np.array([names.index(label) for label in labels]),
            tuple(names),
            (x, y),
            ((float(ends[0, 0]), float(ends[1, 0])), (float(ends[0, 1]), float(ends[1, 1]))),
        )
