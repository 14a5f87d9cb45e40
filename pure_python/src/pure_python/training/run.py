"""One run from what was asked for to what is written: data, training, figures, weights."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import tempfile
import time
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pure_python.state.files import write_whole

from . import checkpoint, limits
from .configuration import FILE, Configuration, Source, as_toml, seen_from
from .csv_files import printable, shown
from .datasets import Dataset, Scaling, Split, split
from .earlier import METRICS, RUNS, WEIGHTS
from .errors import InputError
from .examination import Examination
from .interruption import Interruption
from .objective import Objective, class_weights
from .terminal import Watch, show_summary
from .trainer import (
    ROWS_AT_ONCE,
    Trainer,
    as_json,
    check,
)

# A loss that ends at so many times the first is no chance of which samples came first.
RISEN = 1.5


class Run:
    """A training run. `prepare` checks all that can be checked, `carry_out` writes."""

    def __init__(
        self,
        trainer: Trainer,
        dataset: Dataset,
        parts: Split,
        scaling: Scaling,
        source: Source,
        resumed: dict[str, str],
        save: str | None = None,
        out: str | None = None,
        diagnose: bool = False,
    ) -> None:
        self.trainer, self.dataset, self.split, self.scaling = trainer, dataset, parts, scaling
        self.source, self.resumed = source, resumed
        self.save, self.out, self.diagnose = save, out, diagnose
        self.began = datetime.now().astimezone()
        self.configuration: Configuration | None = None
        self.data = [fingerprint(dataset)]
        self.interruption = Interruption()
        self.interrupted = False
        self.examined = ""
        self.findings: list[str] = []
        self.notes: list[str] = []
        self.written: list[str] = []
        self.seconds = 0.0

    @classmethod
    def prepare(
        cls,
        backend: ModuleType,
        source: Source,
        options: dict[str, Any] | None = None,
        resume: str | None = None,
        save: str | None = None,
        out: str | None = None,
        files: bool = True,
        diagnose: bool = False,
        configuration: Configuration | None = None,
    ) -> Run:
        """A run that is ready to train.

        options: settings that are not to be the default; resume: a weights file to go on from;
        save, out: where weights and results go; without `files`, only to `save`.
        diagnose: whether to look for mistakes while training; configuration: what is run again, to
        say what has changed since.
        InputError, before anything is written, for whatever cannot be.
        """
        saved = checkpoint.read(resume) if resume else None
        # What is resumed has been warmed up, unless that is asked for anew.
        settings = replace(saved.settings, warmup=0) if saved else source.defaults()
        settings = check(settings.with_options(**options or {}))
        if save:
            _check_file(save, source.csv_path)
        if out:
            _check_folder(out)
        dataset = source.load(settings.seed)
        if saved:
            saved.check_fits(dataset, settings)
        n_features, n_classes = dataset.inputs.shape[1], len(dataset.classes)
        n_outputs = Objective(backend, settings.loss, n_classes).n_outputs
        limits.check_network(
            [n_features, *settings.hidden, n_outputs],
            batch=max(min(settings.batch_size, len(dataset)), min(len(dataset), ROWS_AT_ONCE)),
            arrays=_stores_arrays(backend),
        )
        parts = split(dataset, settings.validation, settings.seed)
        scaling = saved.scaling if saved else Scaling.of(parts.inputs, dataset.features)
        weights = class_weights(settings.class_weight, dataset.classes, parts.targets)
        trainer = Trainer(backend, settings, n_features, n_classes, weights)
        resumed = {"weights": printable(resume), "sha256": _digest(resume)} if resume else {}
        run = cls(trainer, dataset, parts, scaling, source, resumed, save, out, diagnose)
        run.configuration = configuration
        if saved:
            if not saved.restore(trainer):
                run.notes.append("weights resumed; the optimiser starts anew")
            if len(parts.held_inputs) and set(saved.data) - set(run.data):
                run.notes.append(
                    f"{printable(saved.path)} has learnt from other data too, which may hold "
                    "samples that are held out now"
                )
            run.data = list(dict.fromkeys([*saved.data, *run.data]))
        if files and out is None:
            _check_folder(RUNS)
            run.out = _new_folder(RUNS, f"{Path(dataset.name).stem}-{backend.__name__}")
        return run

    def carry_out(self, quiet: bool = False) -> bool:
        """Train, then write; `quiet`: without a word. False if Ctrl-C came before the first step: then nothing is written.

        From here on a first Ctrl-C ends the training, and does not break off the writing.
        """
        with self.interruption:
            self._train(quiet)
            if not self.trainer.history.epochs:
                return False
            self._look_back()
            if self.configuration:
                self.notes += self.configuration.differences(self.record())
            self.interruption.unbreakable = True
            self._write()
        return True

    def _train(self, quiet: bool) -> None:
        settings, parts = self.trainer.settings, self.split
        scaled = Split(
            self.scaling(parts.inputs),
            parts.targets,
            self.scaling(parts.held_inputs),
            parts.held_targets,
        )
        n_batches = math.ceil(len(parts.inputs) / settings.batch_size)
        first = self.trainer.epochs_before + 1
        began = time.perf_counter()
        with Watch(n_batches * settings.epochs, settings.epochs, first, quiet) as watch:
            examination = None
            if self.diagnose:
                steps, say = n_batches * settings.epochs, self.findings.append
                examination = Examination(self.trainer.model, steps, say if quiet else watch.say)
            self.trainer.train(scaled, self.interruption, watch.step, watch.epoch, examination)
        self.seconds = time.perf_counter() - began
        if examination:
            self.examined = examination.summary()
        self.interrupted = self.interruption.requested

    def _look_back(self) -> None:
        """Note a loss that rose. Of weights resumed, a batch that is easy tells too little."""
        history, began = self.trainer.history, self.trainer.history.losses[0]
        if self.trainer.epochs_before:
            began = history.epochs[0]["loss"]
        if history.result["loss"] > RISEN * began:
            look = "" if self.diagnose else ", or --diagnose"
            self.notes.append(f"the loss ended above where it began: try a smaller --lr{look}")

    def decide(self, inputs: np.ndarray) -> np.ndarray:
        """The network's outputs for samples in the units of the data."""
        return self.trainer.scores(self.scaling(inputs))

    @property
    def title(self) -> str:
        return f"{self.dataset.name} · {self.trainer.backend.__name__}"

    @property
    def sizes(self) -> str:
        """The network's layers, such as 2-16-16-1."""
        model = self.trainer.model
        return "-".join(str(n) for n in [model.n_in, *(layer.n_out for layer in model.layers)])

    def judged(self) -> tuple[str, np.ndarray, np.ndarray]:
        """What the run is judged by: its name, and the samples and classes, held out if any are."""
        parts = self.split
        if len(parts.held_inputs):
            return "held-out accuracy", parts.held_inputs, parts.held_targets
        return "training accuracy", parts.inputs, parts.targets

    def metrics(self) -> dict[str, Any]:
        """All that was asked for and measured, as what JSON can hold."""
        history, name = self.trainer.history, self.trainer.backend.__name__
        result = history.result
        return {
            "backend": name,
            "began": self.began.isoformat(timespec="milliseconds"),
            "data": {
                "name": self.dataset.name,
                "samples": len(self.dataset),
                "held_out": len(self.split.held_inputs),
                "features": list(self.dataset.features),
                "classes": list(self.dataset.classes),
                "sha256": fingerprint(self.dataset),
            },
            "settings": as_json(self.trainer.settings),
            "layers": self.sizes,
            "parameters": self.trainer.model.nparams(),
            "held_out_accuracy": result.get("held_accuracy"),
            "training_accuracy": result["accuracy"],
            "loss": result["loss"],
            "epoch": result["epoch"],
            "steps": len(history.losses),
            "steps_per_second": history.steps_per_second,
            "seconds": self.seconds,
            "interrupted": self.interrupted,
            "weights_sha256": fingerprint_of_weights(self.trainer.model.state_dict()),
            "epochs": history.epochs,
            "losses": history.losses,
            "versions": self._versions(),
        }

    def record(self) -> dict[str, Any]:
        """What the run was made of, so that it can be run again, and what it came to."""
        result = self.trainer.history.result
        record = {
            "backend": self.trainer.backend.__name__,
            "began": self.began.isoformat(timespec="milliseconds"),
            "data": self.source.as_json() | {"sha256": fingerprint(self.dataset)},
            "settings": as_json(self.trainer.settings),
            "resumed": self.resumed,
            "versions": self._versions(),
            "result": {
                "interrupted": self.interrupted,
                **result,
                "weights_sha256": fingerprint_of_weights(self.trainer.model.state_dict()),
            },
        }
        return {name: entry for name, entry in record.items() if entry}

    def _versions(self) -> dict[str, str]:
        """Of what the bits may depend on."""
        backend = self.trainer.backend
        return {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scikit-learn": version("scikit-learn"),
            "machine": f"{platform.system()} {platform.machine()}",
            backend.__name__: getattr(backend, "__version__", "unknown"),
        }

    def summary(self) -> dict[str, Any]:
        """What `show` prints, and more, as what JSON can hold: all but the losses of the steps."""
        told = self.metrics()
        del told["losses"]
        weights = Path(self.out, WEIGHTS) if self.out else self.save
        return told | {
            "diagnosis": self.findings if self.diagnose else None,
            "notes": self.notes,
            "out": self.out,
            "weights": weights and str(weights),
        }

    def _write(self) -> None:
        # What was learnt comes first: a disk that fills up may yet cost the figures.
        if self.save:
            checkpoint.write(self.save, self.trainer, self.dataset, self.scaling, self.data)
            self.written.append(self.save)
        if self.out is None:
            return
        folder = Path(self.out)
        folder.mkdir(parents=True, exist_ok=True)
        weights = str(folder / WEIGHTS)
        checkpoint.write(weights, self.trainer, self.dataset, self.scaling, self.data)
        metrics = json.dumps(self.metrics(), indent=1, ensure_ascii=False)
        write_whole(
            folder / METRICS,
            lambda file: file.write(metrics.encode()),
        )
        again = f"`python -m {self.trainer.backend.__name__} train --config` with this file"
        record = as_toml(seen_from(str(folder), self.record()))
        text = (
            f"# {again} trains the same network again.\n"
            f"# Paths are relative to its folder.\n{record}"
        )
        write_whole(folder / FILE, lambda file: file.write(text.encode()))
        self._draw(folder)
        self.written.append(f"{folder}{os.sep}")

    def _draw(self, folder: Path) -> None:
        from . import figures  # takes a while to load: not needed where nothing is drawn

        figures.save(
            figures.loss_curve(self.trainer.history, f"{self.title}: loss and accuracy"),
            folder / "loss.png",
        )
        name, inputs, targets = self.judged()
        outputs = self.decide(inputs)
        chosen = self.trainer.objective.chosen(outputs)
        title = f"{self.title}: {100 * float((chosen == targets).mean()):.1f} % {name}"
        drawn, other = folder / "decision_boundary.png", folder / "confusion_matrix.png"
        if len(self.dataset.features) == 2:
            figure = figures.decision_boundary(self.dataset, self.split, self.decide, title)
        else:
            drawn, other = other, drawn
            figure = figures.confusion_matrix(targets, chosen, self.dataset.classes, title)
        figures.save(figure, drawn)
        other.unlink(missing_ok=True)  # of a run that was made here before, on other data

    def show(self) -> None:
        """Print the summary."""
        history, settings = self.trainer.history, self.trainer.settings
        result = history.result
        kept = f" (kept: {result['epoch']})" if result is not history.epochs[-1] else ""
        rows = [
            (
                "data",
                f"{len(self.dataset)} samples, {len(self.dataset.features)} features, "
                f"{len(self.dataset.classes)} classes; {len(self.split.held_inputs)} held out",
            ),
            (
                "network",
                f"{self.sizes}, {settings.activation}, {self.trainer.model.nparams()} parameters",
            ),
            (
                "training",
                f"{settings.loss}, {settings.optimizer}, "
                f"{_counted(len(history.epochs), 'epoch')}{kept}, "
                f"{_counted(len(history.losses), 'step')}",
            ),
            ("loss", f"{result['loss']:.6f}"),
            ("training accuracy", f"{100 * result['accuracy']:.1f} %"),
        ]
        if "held_accuracy" in result:
            rows.append(("held-out accuracy", f"{100 * result['held_accuracy']:.1f} %"))
        rows += [
            ("steps per second", _four_digits(history.steps_per_second)),
            ("time", f"{_four_digits(self.seconds)} s"),
            *([("diagnosis", self.examined)] if self.examined else []),
            *(("note", note) for note in self.notes),
            *(("written", printable(path)) for path in self.written),
        ]
        show_summary(self.title, rows)


def _four_digits(number: float) -> str:
    """Four significant digits, written out: 21010 and not 2.101e+04."""
    return f"{number:.0f}" if number >= 1000 else f"{number:.4g}"


def fingerprint(dataset: Dataset) -> str:
    """A SHA-256 of the samples and their classes: two runs with the same one saw the same data."""
    digest = hashlib.sha256(repr((dataset.features, dataset.classes)).encode())
    digest.update(np.ascontiguousarray(dataset.inputs, "<f8").tobytes())
    digest.update(np.ascontiguousarray(dataset.targets, "<i8").tobytes())
    return digest.hexdigest()


def fingerprint_of_weights(state: dict[str, Any]) -> str:
    """A SHA-256 of all weights: two networks with the same one are the same to the last bit."""
    digest = hashlib.sha256()
    for name, tensor in state.items():
        digest.update(name.encode() + np.ascontiguousarray(tensor, "<f8").tobytes())
    return digest.hexdigest()


def _digest(path: str) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stores_arrays(backend: ModuleType) -> bool:
    """Whether a parameter of this engine holds more than a scalar."""
    probe = backend.MLP(2, [2], seed=0)
    return bool(len(probe.parameters()) < probe.nparams())


def _check_file(path: str, read: str | None) -> None:
    target = Path(path)
    _check_name(target, f"--save {shown(path)}")
    if target.is_dir():
        raise InputError(f"--save {path}: this is a folder, a file is expected")
    if not target.parent.is_dir():
        raise InputError(f"--save {path}: there is no folder {target.parent}")
    if read is not None and target.exists() and Path(read).exists() and target.samefile(read):
        raise InputError(f"--save {path}: this would overwrite the data")
    _check_writable(target.parent, f"--save {path}")


def _check_folder(path: str) -> None:
    folder = Path(path)
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"--out {path}: {folder} is no folder")
    for name in Path(path).parts[len(folder.parts) :]:
        _check_name(folder / name, f"--out {shown(path)}")
    _check_writable(folder, f"--out {path}")


def _check_name(path: Path, what: str) -> None:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:  # such as a name that is too long
        raise InputError(f"{what}: {error.strerror}") from None


def _check_writable(folder: Path, what: str) -> None:
    try:
        # Tried out, since permissions alone do not tell: a mount may be read only.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{what}: {folder} cannot be written to ({error.strerror})") from None


def _new_folder(parent: str, name: str) -> str:
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, n = Path(parent, stem), 2
    while path.exists():
        path, n = Path(parent, f"{stem}-{n}"), n + 1
    return str(path)


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
