"""Our MLPClassifiers beside scikit-learn's own: `python -m nox -s compare -- --estimators`.

Each learns the same samples of a data set, with the same parameters and for as many epochs, and is
judged by those held out, in ten to fifty splits. They take turns in every split, and the time of a split is
compared with scikit-learn's in that split. The table goes to the terminal, and with `--record` into
docs/estimators.md.

Exits with 1 if an accuracy is further from scikit-learn's than MARGIN.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
import warnings
from typing import Any

from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from reliability.record import ROOT, record, where

THEIRS = "scikit-learn"
KINDS = {
    THEIRS: "sklearn.neural_network",
    "cython_core": "cython_core.estimators",
    "numpy_vectorized": "numpy_vectorized.estimators",
    "pure_python": "pure_python.estimators",
}
SPLITS = 5
MARGIN = 0.01  # of the mean accuracy
COMMON = {"batch_size": 32, "learning_rate_init": 0.01, "tol": 0.0, "n_iter_no_change": 1000}
# Name, what loads it, what it is learnt with, how often it is split in five: the smaller the oftener.
TASKS = (
    ("iris", datasets.load_iris, {"hidden_layer_sizes": (16,), "max_iter": 100}, 10),
    (
        "breast-cancer",
        datasets.load_breast_cancer,
        {"hidden_layer_sizes": (16,), "max_iter": 20},
        4,
    ),
    ("digits", datasets.load_digits, {"hidden_layer_sizes": (32,), "max_iter": 15}, 2),
)
SPEED = "times as fast as scikit-learn"
HEADER = ("data set", "estimator", "accuracy", "difference", "a fit", SPEED)


def compare(load: Any, parameters: dict[str, Any], repeats: int) -> dict[str, dict[str, list]]:
    """The accuracy and the seconds of each kind of estimator, a number a split."""
    X, y = load(return_X_y=True)
    measured: dict[str, dict[str, list]] = {kind: {"accuracy": [], "seconds": []} for kind in KINDS}
    splits = RepeatedStratifiedKFold(n_splits=SPLITS, n_repeats=repeats, random_state=0)
    for seed, (learnt, held) in enumerate(splits.split(X, y)):
        for kind, module in KINDS.items():
            network = importlib.import_module(module).MLPClassifier(
                random_state=seed, **COMMON, **parameters
            )
            pipeline = make_pipeline(StandardScaler(), network)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # all learn as many epochs
                began = time.perf_counter()
                pipeline.fit(X[learnt], y[learnt])
                measured[kind]["seconds"].append(time.perf_counter() - began)
            measured[kind]["accuracy"].append(pipeline.score(X[held], y[held]))
    return measured


def difference(measured: dict[str, dict[str, list]], kind: str) -> float:
    """Of the mean accuracies, ours less theirs."""
    ours, theirs = (statistics.mean(measured[name]["accuracy"]) for name in (kind, THEIRS))
    return ours - theirs


def rows(name: str, measured: dict[str, dict[str, list]]) -> list[list[str]]:
    """A row of the table for each kind of estimator."""
    table = []
    for kind, of_kind in measured.items():
        accuracy = 100 * statistics.mean(of_kind["accuracy"])
        pairs = zip(measured[THEIRS]["seconds"], of_kind["seconds"], strict=True)
        ratio = statistics.median(theirs / ours for theirs, ours in pairs)
        ours = kind != THEIRS
        table.append(
            [
                name,
                f"`{kind}`" if ours else kind,
                f"{accuracy:.1f} % ± {100 * statistics.stdev(of_kind['accuracy']):.1f}",
                f"{100 * difference(measured, kind):+.1f}" if ours else "",
                f"{statistics.median(of_kind['seconds']):.3g} s",
                f"{ratio:.2g}" if ours else "1",
            ]
        )
    return table


def main(args: list[str] | None = None) -> int:
    """Compare; the exit code."""
    parser = argparse.ArgumentParser(description="Our MLPClassifiers beside scikit-learn's.")
    parser.add_argument("--estimators", action="store_true", help="what `nox -s compare` asks by")
    parser.add_argument("--record", action="store_true", help="write into docs/estimators.md")
    options = parser.parse_args(args)
    lines = [f"| {' | '.join(HEADER)} |", "|---|---|---:|---:|---:|---:|"]
    largest = 0.0
    for name, load, parameters, repeats in TASKS:
        measured = compare(load, parameters, repeats)
        largest = max(largest, *(abs(difference(measured, kind)) for kind in KINDS))
        lines += [f"| {' | '.join(row)} |" for row in rows(name, measured)]
    table = "\n".join(lines)
    if options.record:
        record("estimators", table, ROOT / "docs" / "estimators.md")
    print(table, where(), sep="\n\n")
    if largest > MARGIN:
        print(f"\nan accuracy differs by {largest:.3f}; {MARGIN} is allowed")
    return int(largest > MARGIN)


if __name__ == "__main__":
    raise SystemExit(main())
