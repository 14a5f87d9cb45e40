"""What is on the screen as a Python program: the same points, the same steps, the same numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .training import Training

OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}
WIDTH = 100


def script_of(training: Training) -> str:
    """A program that trains from where the run began, or was changed last, and prints its loss."""
    s, points, origin = training.settings, training.points, training.origin
    n_classes = points.n_classes
    kind, loss = OPTIMIZERS[s.optimizer], _loss(s.loss, n_classes)
    sizes = [*s.hidden, training.objective.n_outputs]
    # All points at once need no order.
    ordered = s.batch_size < len(points)
    shuffle = f'        random.Random(f"{s.seed} step {{step}}").shuffle(order)'
    decay = f", weight_decay={s.weight_decay!r}"
    lines = [
        f'"""{_title(s.dataset)} on {s.backend}, as in the playground after '
        f'{training.step} steps. Prints the loss over all points."""',
        "",
        *(["import random", ""] if ordered else []),
        f"from {s.backend} import {', '.join(sorted(['MLP', kind]))}, {loss}, no_grad",
        "",
        *_numbers("X", [tuple(row) for row in points.inputs.tolist()]),
        *_numbers("classes", points.targets.tolist()),
        *_targets(s.loss, n_classes),
        "",
        f"model = MLP(2, {sizes}, activation={s.activation!r}, init={s.init!r}, seed={s.seed})",
        f"optimizer = {kind}(model.parameters(), lr={s.lr!r}{decay})",
    ]
    if origin.weights is not None and origin.optimizer is not None:
        lines += [
            "",
            f"# At step {origin.step} settings or points were changed: from there it goes on.",
            *_state("weights", origin.weights),
            *_state("state", origin.optimizer),
            "model.load_state_dict(weights)",
            "optimizer.load_state_dict(state)",
        ]
    lines += [
        "",
        "batches = []",
        f"for step in range({origin.step}, {training.step}):",
        "    if not batches:  # once more through the points",
        "        order = list(range(len(X)))",
        *([shuffle] if ordered else []),
        f"        batches = [order[i : i + {s.batch_size}] "
        f"for i in range(0, len(order), {s.batch_size})]",
        "    batch = batches.pop(0)",
        f"    loss = {loss}(model([X[i] for i in batch]), [targets[i] for i in batch])",
        "    optimizer.zero_grad()",
        "    loss.backward()",
        "    optimizer.step()",
        "",
    ]
    if len(points):
        lines += ["with no_grad():", f"    print({loss}(model(X), targets).data)", ""]
    return "\n".join(lines)


def _title(dataset: str) -> str:
    return "Points of one's own" if dataset == "own" else dataset.capitalize()


def _loss(name: str, n_classes: int) -> str:
    if name == "cross-entropy":
        return "binary_cross_entropy_with_logits" if n_classes == 2 else "cross_entropy"
    return {"max-margin": "hinge_loss", "mse": "mse_loss"}[name]


def _targets(loss: str, n_classes: int) -> list[str]:
    if loss == "cross-entropy":
        return ["targets = classes"]
    if n_classes == 2:
        return ["targets = [2.0 * c - 1.0 for c in classes]"]
    row = f"[1.0 if k == c else -1.0 for k in range({n_classes})]"
    return ["# One against the rest.", f"targets = [{row} for c in classes]"]


def _state(name: str, entries: dict[str, Any]) -> Iterable[str]:
    yield f"{name} = {{}}"
    for key, entry in entries.items():
        if isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) > 2:
            yield from _numbers(f"{name}[{key!r}]", entry)
        else:
            yield f"{name}[{key!r}] = {entry!r}"


def _numbers(name: str, entries: Sequence[Any]) -> Iterable[str]:
    """`name = [...]` in lines of a readable width."""
    yield f"{name} = ["
    line = "   "
    for entry in entries:
        text = f" {entry!r},"
        if len(line) + len(text) > WIDTH and line.strip():
            yield line
            line = "   "
        line += text
    if line.strip():
        yield line
    yield "]"
