"""A training step of the small GPT of docs/examples/gpt.py: forward, backward and Adam on one document.

In vector style it is that example itself. In scalar style it is the script below, in which every multiply
is an operation of a Value, whichever is passed in; it draws its weights in the same order, so that the
parameters after a step have to agree.
"""

from __future__ import annotations

import importlib.util
import math
import random
from pathlib import Path
from types import ModuleType
from typing import Any

from .chain import value_of
from .networks import CHECKED_STEPS, flat
from .worker import Steps, load

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "gpt.py"
SEED, LETTERS, LR, BETAS, EPS = 42, 8, 1e-3, (0.9, 0.95), 1e-8
BLOCK, WIDTH, HEADS = 16, 16, 4


def example() -> ModuleType:
    specification = importlib.util.spec_from_file_location("gpt_example", EXAMPLE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def document() -> tuple[list[int], int]:
    """The tokens of one town of eight letters, and the size of the vocabulary."""
    towns = EXAMPLE.with_name("towns.txt").read_text(encoding="utf-8").split()
    characters = sorted(set("".join(towns)))
    edge = len(characters)
    town = next(town for town in towns if len(town) == LETTERS)
    return [edge, *map(characters.index, town), edge], edge + 1


def vector_style(engine: str) -> Steps:
    """The example, with any of our backends."""
    script, backend = example(), load(engine)
    tokens, vocabulary = document()
    random.seed(SEED)
    model = script.GPT(backend, vocabulary, BLOCK, WIDTH, HEADS)
    optimizer = backend.Adam(model.parameters(), lr=LR, betas=BETAS, eps=EPS)

    def step() -> None:
        loss = script.loss_of(model, tokens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return checked(step, lambda: [matrix.data for matrix in model.parameters()])


def checked(step: Any, parameters: Any) -> Steps:
    def check() -> list[float]:
        for _ in range(CHECKED_STEPS):
            step()
        return flat(parameters())

    return Steps(step, check)


# The scalar script ----------------------------------------------------------------------------


def linear(x, weight):
    return [sum(w * xi for w, xi in zip(row, x, strict=True)) for row in weight]


def rms_norm(x):
    scale = (sum(xi * xi for xi in x) / len(x) + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def softmax(logits):
    largest = max(logit.data for logit in logits)
    powers = [(logit - largest).exp() for logit in logits]
    total = sum(powers)
    return [power / total for power in powers]


def attend(query, keys, values):
    scores = [
        sum(q * k for q, k in zip(query, key, strict=True)) / len(query) ** 0.5 for key in keys
    ]
    weights = softmax(scores)
    return [
        sum(weight * value[c] for weight, value in zip(weights, values, strict=True))
        for c in range(len(values[0]))
    ]


def logits_of(w, token, position, keys, values):
    x = [t + p for t, p in zip(w["token"][token], w["position"][position], strict=True)]
    x = rms_norm(x)
    normed = rms_norm(x)
    query = linear(normed, w["query"])
    keys.append(linear(normed, w["key"]))
    values.append(linear(normed, w["value"]))
    heads = []
    for start in range(0, WIDTH, WIDTH // HEADS):
        part = slice(start, start + WIDTH // HEADS)
        heads += attend(query[part], [k[part] for k in keys], [v[part] for v in values])
    x = [xi + yi for xi, yi in zip(x, linear(heads, w["mix"]), strict=True)]
    hidden = [h.relu() for h in linear(rms_norm(x), w["up"])]
    x = [xi + yi for xi, yi in zip(x, linear(hidden, w["down"]), strict=True)]
    return linear(x, w["logits"])


def scalar_style(engine: str) -> Steps:
    """The script, with the Value of an engine."""
    Value = value_of(engine)
    tokens, vocabulary = document()
    random.seed(SEED)
    shapes = {
        "token": (vocabulary, WIDTH),
        "position": (BLOCK, WIDTH),
        "logits": (vocabulary, WIDTH),
        **dict.fromkeys(("query", "key", "value", "mix"), (WIDTH, WIDTH)),
        "up": (4 * WIDTH, WIDTH),
        "down": (WIDTH, 4 * WIDTH),
    }
    w = {
        name: [[Value(random.gauss(0.0, 0.08)) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in shapes.items()
    }
    parameters = [p for matrix in w.values() for row in matrix for p in row]
    first, second = [0.0] * len(parameters), [0.0] * len(parameters)
    steps = 0

    def step() -> None:
        nonlocal steps
        keys, values, losses = [], [], []
        for position, token in enumerate(tokens[:-1]):
            probabilities = softmax(logits_of(w, token, position, keys, values))
            losses.append(-probabilities[tokens[position + 1]].log())
        loss = sum(losses) / len(losses)
        loss.backward()
        steps += 1
        scale1, scale2 = (1.0 - beta**steps for beta in BETAS)
        for i, p in enumerate(parameters):
            m = first[i] = BETAS[0] * first[i] + (1.0 - BETAS[0]) * p.grad
            v = second[i] = BETAS[1] * second[i] + (1.0 - BETAS[1]) * p.grad**2
            p.data -= LR * (m / scale1) / (math.sqrt(v / scale2) + EPS)
            p.grad = 0.0

    return checked(step, lambda: [p.data for p in parameters])
