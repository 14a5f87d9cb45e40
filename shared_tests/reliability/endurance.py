"""An hour of training, in memory that stays flat and with numbers that stay the same.

    python -m reliability.endurance [MINUTES] [--record]

cython_core trains for so many minutes (60), the others for a tenth of that each, one after the other,
each in a process of its own. A generation is a network from the same seed that is trained in
batches, sample by sample and by replaying a Tape, saved, loaded into another one and evaluated; each
has to end with the same weights, bit for bit. What the process holds after each is compared with what
it held when it had warmed up, after a tenth of the time and at least three generations.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cases.moons import moons

from .memory import resident
from .record import record

SHARES = {"pure_python": 0.1, "numpy_vectorized": 0.1, "cython_core": 1.0}  # of the minutes
EPOCHS = {
    "pure_python": 60,
    "numpy_vectorized": 80,
    "cython_core": 250,
}  # of a generation: 1 or 2 s
GROWTH = 1.0  # MB that the memory may grow by once a process is warm


def generation(m: Any, folder: Path, epochs: int) -> str:
    """Train a network in all ways there are; a fingerprint of the weights that it ends with."""
    X, y = moons()
    model = m.MLP(2, [16, 16, 1], activation="tanh", seed=1)
    optimiser = m.Adam(model.parameters(), lr=1e-2)
    for epoch in range(epochs):
        in_batches(m, model, optimiser, X, y)
        by_sample(m, model, X[epoch % 90 :][:10], y[epoch % 90 :][:10])
        by_tape(m, model, X[:10], y[:10])
        model, optimiser = saved_and_loaded(m, model, optimiser, folder / "weights.safetensors")
    with m.no_grad():
        right = sum(
            (score.data > 0.0) == (label > 0.0) for score, label in zip(model(X), y, strict=True)
        )
    if right < 0.8 * len(y) and epochs > 1:
        raise AssertionError(f"only {right} of {len(y)} right after {epochs} epochs")
    return hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()


def in_batches(m: Any, model: Any, optimiser: Any, X: list[Any], y: list[float]) -> None:
    for i in range(0, len(X), 20):
        loss = m.hinge_loss(model(X[i : i + 20]), y[i : i + 20])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def by_sample(m: Any, model: Any, X: list[Any], y: list[float]) -> None:
    """As a micrograd user writes it: a graph of single operations, and one that no one asks for."""
    losses = [(1.0 - label * model(x)).relu() for x, label in zip(X, y, strict=True)]
    loss = sum(losses) * (1.0 / len(losses))
    model.zero_grad()
    loss.backward()
    for p in model.parameters():
        p.data -= 0.001 * p.grad
    m.trace(losses[0])
    try:
        (losses[0] * 0.0).log()
    except ValueError:
        pass


def by_tape(m: Any, model: Any, X: list[Any], y: list[float]) -> None:
    """A Tape of a layer's graph and one of single operations, replayed for other data."""
    inputs = [[m.Value(0.0) for _ in row] for row in X]
    tapes = [m.Tape(m.hinge_loss([model(row) for row in inputs], y))]
    a, b = inputs[0]
    tapes.append(m.Tape((a * b + a.sin() / (b * b + 1.0)).tanh()))
    for tape in tapes:
        for shift in range(5):
            for row, numbers in zip(inputs, X, strict=True):
                for leaf, number in zip(row, numbers, strict=True):
                    leaf.data = number + 0.1 * shift
            tape.forward()
            tape.backward()
    model.zero_grad()


def saved_and_loaded(m: Any, model: Any, optimiser: Any, path: Path) -> tuple[Any, Any]:
    model.save(path)
    other = m.MLP(2, [16, 16, 1], activation="tanh")
    other.load(path)
    following = m.Adam(other.parameters(), lr=1e-2)
    following.load_state_dict(optimiser.state_dict())
    return other, following


def train(backend: str, seconds: float) -> dict[str, float]:
    """Generation after generation; what was found, in megabytes and numbers of generations."""
    m = importlib.import_module(backend)
    start = time.monotonic()
    first, warm, highest, last, generations = "", 0.0, 0.0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() - start < seconds or generations < 6:
            weights = generation(m, Path(folder), EPOCHS[backend])
            first = first or weights
            if weights != first:
                raise AssertionError(f"generation {generations} ended with other weights")
            generations += 1
            last = resident()
            if generations <= 3 or time.monotonic() - start < seconds / 10:
                warm = max(warm, last)
            highest = max(highest, last)
    took = time.monotonic() - start
    return {
        "minutes": took / 60,
        "generations": generations,
        "warm": warm,
        "highest": highest,
        "last": last,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.endurance")
    parser.add_argument("minutes", nargs="?", type=float, default=60.0)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--only", choices=SHARES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(train(arguments.only, 60 * arguments.minutes)))
        return 0
    rows = [
        "| backend | minutes | networks trained | MB once warm | highest MB after | growth, MB |",
        "|---|---|---|---|---|---|",
    ]
    failed = []
    for backend, share in SHARES.items():
        command = [sys.executable, "-m", "reliability.endurance", "--only", backend]
        run = subprocess.run(
            [*command, str(share * arguments.minutes)], stdout=subprocess.PIPE, text=True
        )
        if run.returncode:
            failed.append(backend)
            continue
        found = json.loads(run.stdout.splitlines()[-1])
        growth = found["highest"] - found["warm"]
        rows.append(
            f"| {backend} | {found['minutes']:.1f} | {found['generations']} | {found['warm']:.1f} "
            f"| {found['highest']:.1f} | {growth:.2f} |"
        )
        print(rows[-1], flush=True)
        if growth > GROWTH:
            failed.append(backend)
    if failed:
        print(f"missed by {', '.join(failed)}: memory may grow by {GROWTH} MB, weights by no bit")
    elif arguments.record:
        record("endurance", "\n".join(rows))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
