"""How a network learns: batches, loss, backward, a step of the optimiser; nothing else.

The engine is the module `backend`: its MLP, its losses, its optimisers. Order of the samples and
initial weights come from `seed` alone, so every backend sees the same batches from the same start.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np

from pure_python.state import ACTIVATIONS

from .csv_files import shown
from .datasets import Split
from .errors import InputError
from .examination import Examination
from .interruption import Interruption
from .objective import EQUAL, LOSSES, Objective
from .stopping import EarlyStopping

INITS = ("uniform", "xavier", "he")
OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("constant", "linear", "cosine", "step")
# The share of the learning rate that a falling schedule ends with.
FINAL_SHARE = 0.1
# Evaluation goes through the samples in parts, so that its memory does not grow with them.
ROWS_AT_ONCE = 2048


@dataclass(frozen=True)
class Settings:
    """All that decides a run besides the data: the same settings give the same losses."""

    hidden: tuple[int, ...] = (16, 16)
    activation: str = "relu"
    init: str = "he"
    loss: str = "cross-entropy"
    optimizer: str = "adam"
    lr: float = 0.01
    schedule: str = "constant"
    warmup: int = 0
    momentum: float = 0.0
    weight_decay: float = 0.0
    epochs: int = 50
    batch_size: int = 16
    early_stopping: int = 0
    class_weight: str = EQUAL
    validation: float = 0.2
    seed: int = 1337

    def with_options(self, **options: Any) -> Settings:
        """These settings with every option that is not None in its place."""
        return replace(self, **{name: x for name, x in options.items() if x is not None})


DEFAULTS = {
    "moons": Settings(loss="max-margin", weight_decay=2e-4, epochs=40),
    "circles": Settings(loss="max-margin", weight_decay=2e-4, epochs=40),
    "spiral": Settings(hidden=(32, 32), activation="tanh", init="xavier", epochs=150),
    "iris": Settings(hidden=(16,), weight_decay=1e-3, epochs=60),
    "breast-cancer": Settings(hidden=(16,), lr=0.003, weight_decay=1e-2, epochs=30, batch_size=32),
    "digits": Settings(hidden=(32,), weight_decay=1e-3, epochs=15, batch_size=32),
}
CSV_DEFAULTS = Settings(hidden=(16, 16), weight_decay=1e-3, epochs=50, batch_size=32)


class Diverged(ArithmeticError):
    """The loss stopped being a number, or an operation left the range of floats."""


@dataclass
class History:
    """What training measured: the loss of every step, and a row of numbers for every epoch.

    losses: of every step; epochs: dicts of epoch, loss, accuracy, held_loss, held_accuracy, lr;
    seconds: of the steps alone, without evaluation; kept: which of the epochs left the weights that
    the model has, the last unless training went on past the best.
    """

    losses: list[float] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    kept: int = -1

    @property
    def result(self) -> dict[str, float]:
        """The row of the epoch whose weights the model has."""
        return self.epochs[self.kept]

    @property
    def steps_per_second(self) -> float:
        return len(self.losses) / self.seconds if self.seconds > 0 else 0.0


class Trainer:
    """A model, its optimiser and the data that they see.

    inputs are standardised already; class_weights: how much a sample of each class counts, all
    alike if None; objective: what to learn instead of classes. ValueError and InputError for what
    does not fit.
    """

    def __init__(
        self,
        backend: ModuleType,
        settings: Settings,
        n_features: int,
        n_classes: int = 2,
        class_weights: Sequence[float] | None = None,
        objective: Objective | None = None,
    ) -> None:
        self.backend, self.settings = backend, settings
        self.objective = objective or Objective(backend, settings.loss, n_classes, class_weights)
        self.model = backend.MLP(
            n_features,
            [*settings.hidden, self.objective.n_outputs],
            activation=settings.activation,
            init=settings.init,
            seed=settings.seed,
        )
        self.optimizer = self._optimizer()
        self.epochs_before = 0
        self.history = History()
        self._examination: Examination | None = None

    def _optimizer(self) -> Any:
        s, parameters = self.settings, self.model.parameters()
        if s.optimizer == "sgd":
            return self.backend.SGD(
                parameters, lr=s.lr, momentum=s.momentum, weight_decay=s.weight_decay
            )
        kind = self.backend.Adam if s.optimizer == "adam" else self.backend.AdamW
        return kind(parameters, lr=s.lr, weight_decay=s.weight_decay)

    def train(
        self,
        split: Split,
        interruption: Interruption,
        on_step: Callable[[float, float], None] = lambda loss, accuracy: None,
        on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
        examination: Examination | None = None,
    ) -> None:
        """Run the epochs of the settings, or fewer if `interruption` is requested.

        `on_step` is given the loss and the accuracy of the epoch so far. Diverged if the loss is
        no finite number or the engine's arithmetic fails; the weights are worth nothing then.
        examination: looks at the graphs for mistakes. With early stopping the model ends with the
        weights of the epoch whose held-out loss was lowest, and its optimiser as it was then.
        """
        self._examination = examination
        stopping = None
        if self.settings.early_stopping:
            stopping = EarlyStopping(self.model, self.optimizer, self.settings.early_stopping)
        n_batches = math.ceil(len(split.inputs) / self.settings.batch_size)
        n_steps, step = n_batches * self.settings.epochs, 0
        for epoch in range(self.epochs_before + 1, self.epochs_before + self.settings.epochs + 1):
            total, weight, right, seen = 0.0, 0.0, 0.0, 0
            for batch in self._batches(len(split.inputs), epoch):
                if interruption.requested:
                    break
                self.optimizer.lr = self._lr(step, self.settings.warmup * n_batches, n_steps)
                targets = split.targets[batch]
                loss, hits = self._step(split.inputs[batch], targets, interruption, epoch)
                step += 1
                seen += len(batch)
                count = self.objective.weight(targets)
                weight += count
                total += loss * count
                right += hits
                on_step(total / weight, right / seen)
            if not seen:
                break
            row = {"epoch": epoch, "loss": total / weight, "accuracy": right / seen}
            if len(split.held_inputs):
                row["held_loss"], row["held_accuracy"] = self.judge(
                    split.held_inputs, split.held_targets
                )
            self.history.epochs.append(row | {"lr": self.optimizer.lr})
            on_epoch(row)
            if stopping and stopping.ends(row["held_loss"]):
                break
            if interruption.requested:
                break
        if stopping and self.history.epochs:
            stopping.restore()
            self.history.kept = stopping.best_epoch
        if self.history.epochs and not len(split.held_inputs):
            # After the last step no other shows whether it went too far.
            self.judge(split.inputs[:ROWS_AT_ONCE], split.targets[:ROWS_AT_ONCE])

    def _batches(self, n: int, epoch: int) -> list[list[int]]:
        order, size = self._order(n, epoch), self.settings.batch_size
        return [order[i : i + size] for i in range(0, n, size)]

    def _order(self, n: int, epoch: int) -> list[int]:
        """The samples in an order that depends on the seed and the epoch alone.

        So a resumed run goes through the epochs as one that was never stopped.
        """
        order = list(range(n))
        random.Random(f"{self.settings.seed} epoch {epoch}").shuffle(order)
        return order

    def _lr(self, step: int, n_warmup: int, n_steps: int) -> float:
        """The learning rate of a step: it rises in a line while warming up, then the schedule goes
        from the full rate to the last step."""
        if step < n_warmup:
            return self.settings.lr * (step + 1) / n_warmup
        progress = (step - n_warmup) / max(1, n_steps - n_warmup - 1)
        shares = {
            "constant": 1.0,
            "linear": 1.0 - (1.0 - FINAL_SHARE) * progress,
            "cosine": FINAL_SHARE + (1.0 - FINAL_SHARE) * (1.0 + math.cos(math.pi * progress)) / 2,
            # Down after each third, by the same factor.
            "step": math.pow(FINAL_SHARE, min(int(3 * progress), 2) / 2),
        }
        return self.settings.lr * shares[self.settings.schedule]

    def _step(
        self, inputs: np.ndarray, targets: np.ndarray, interruption: Interruption, epoch: int
    ) -> tuple[float, float]:
        examination = self._examination
        inputs, targets = self.objective.arranged(inputs, targets)
        began = time.perf_counter()
        try:
            outputs = self.model(inputs)
            loss = self.objective(outputs, targets)
            if not math.isfinite(loss.data):
                why = f": {examination.why(loss)}" if examination else ""
                raise ArithmeticError(f"the loss is {loss.data}{why}")
            self.optimizer.zero_grad()
            loss.backward()
            if examination:
                paused = time.perf_counter()
                examination.look(loss, len(self.history.losses), epoch)
                began += time.perf_counter() - paused
            interruption.unbreakable = True
            self.optimizer.step()
        except (ArithmeticError, ValueError) as error:
            where = f"step {len(self.history.losses) + 1}"
            raise Diverged(f"training diverged at {where} ({error}); try a smaller --lr") from error
        finally:
            interruption.unbreakable = False
        self.history.seconds += time.perf_counter() - began
        self.history.losses.append(float(loss.data))
        return float(loss.data), self.objective.right(np.asarray(outputs.data), targets)

    def judge(self, inputs: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
        """The loss and the accuracy on these samples, without learning from them.

        Diverged if the loss is no finite number.
        """
        total, weight, right = 0.0, 0.0, 0.0
        with self.backend.no_grad():
            for i in range(0, len(inputs), ROWS_AT_ONCE):
                rows = slice(i, i + ROWS_AT_ONCE)
                some, classes = self.objective.arranged(inputs[rows], targets[rows])
                try:
                    outputs = self.model(some)
                    loss = float(self.objective(outputs, classes).data)
                    count = self.objective.weight(classes)
                    total += loss * count
                    if not math.isfinite(total):
                        raise ArithmeticError(f"the loss is {total}")
                except (ArithmeticError, ValueError) as error:
                    raise Diverged(f"training diverged ({error}); try a smaller --lr") from error
                weight += count
                right += self.objective.right(np.asarray(outputs.data), classes)
        return total / weight, right / len(inputs)

    def scores(self, inputs: np.ndarray) -> np.ndarray:
        """The outputs for these samples as numbers: (samples,) or (samples, classes)."""
        return scores(self.backend, self.model, inputs)

    @property
    def epochs(self) -> int:
        """Epochs behind this model's weights, those before a resume included."""
        return int(self.history.result["epoch"]) if self.history.epochs else self.epochs_before


def scores(backend: ModuleType, model: Any, inputs: np.ndarray) -> np.ndarray:
    """The outputs of `model` for these samples as numbers, without a graph."""
    with backend.no_grad():
        parts = [
            np.asarray(model(inputs[i : i + ROWS_AT_ONCE]).data)
            for i in range(0, len(inputs), ROWS_AT_ONCE)
        ]
    return np.concatenate(parts)


def check(settings: Settings) -> Settings:
    """These settings, or an InputError that says which of them cannot be."""
    s = settings
    for option, names, name in (
        ("--activation", ACTIVATIONS, s.activation),
        ("--init", INITS, s.init),
        ("--loss", LOSSES, s.loss),
        ("--optimizer", OPTIMIZERS, s.optimizer),
        ("--schedule", SCHEDULES, s.schedule),
    ):
        if name not in names:
            raise InputError(f"{option} {shown(name)}: choose one of {', '.join(names)}")
    if not 0.0 < s.lr < math.inf:
        raise InputError(f"--lr {s.lr}: a finite number above 0 is expected")
    if not 0.0 <= s.weight_decay < math.inf:
        raise InputError(
            f"--weight-decay {s.weight_decay}: a finite number of 0 or more is expected"
        )
    if not 0.0 <= s.momentum < 1.0:
        raise InputError(f"--momentum {s.momentum}: a number from 0 to below 1 is expected")
    if s.momentum and s.optimizer != "sgd":
        raise InputError(f"--momentum goes with --optimizer sgd, not {s.optimizer}")
    if not 0.0 <= s.validation < 1.0:
        raise InputError(f"--validation {s.validation}: a fraction from 0 to below 1 is expected")
    for option, number, least in (
        ("--epochs", s.epochs, 1),
        ("--batch-size", s.batch_size, 1),
        ("--warmup", s.warmup, 0),
        ("--early-stopping", s.early_stopping, 0),
    ):
        if number < least:
            raise InputError(f"{option} {number}: {least} or more is expected")
    if s.warmup >= s.epochs:
        raise InputError(f"--warmup {s.warmup}: fewer epochs than --epochs {s.epochs} are expected")
    if s.early_stopping and not s.validation:
        raise InputError(
            "--early-stopping judges by held-out samples; --validation 0 holds none out"
        )
    if not 0 <= s.seed < 2**32:
        raise InputError(f"--seed {s.seed}: a number from 0 to {2**32 - 1} is expected")
    return settings


def as_json(settings: Settings) -> dict[str, Any]:
    """The settings as what JSON can hold; `from_json` is the inverse."""
    return asdict(settings) | {"hidden": list(settings.hidden)}


def from_json(entries: Any) -> Settings:
    """Settings from what as_json gave. TypeError, OverflowError or InputError for anything else."""
    if not isinstance(entries, dict) or entries.keys() != as_json(Settings()).keys():
        raise TypeError("settings have other names")
    return check(Settings(**{name: typed(name, entry) for name, entry in entries.items()}))


def typed(name: str, entry: Any) -> Any:
    """A setting from what JSON or TOML holds. TypeError or OverflowError for what it cannot be."""
    default = as_json(Settings())[name]
    if type(default) is float and type(entry) is int:  # 1.0 may be written as 1
        entry = float(entry)
    if type(entry) is not type(default):
        raise TypeError(f"{name} is of another type")
    for n in entry if isinstance(entry, list) else [entry]:
        if isinstance(entry, list) and type(n) is not int:
            raise TypeError(f"{name} is of another type")
        if type(n) is int and abs(n) >= 1 << 63:
            raise OverflowError("an int of the settings is too large")
    return tuple(entry) if isinstance(entry, list) else entry
