"""A training step of the small GPT of docs/examples/gpt.py: forward, backward and Adam on one document.

In vector style it is that example itself. In scalar style it is the script below, in which every multiply
is an operation of a Value, whichever is passed in; it draws its weights in the same order, so that the
losses and the parameters have to agree.
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
SIZE = WIDTH // HEADS


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

    def step() -> float:
        loss = script.loss_of(model, tokens)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss)

    return checked(step, lambda: [matrix.data for matrix in model.parameters()])


def shapes(vocabulary: int) -> dict[str, tuple[int, int]]:
    """The matrices in the order in which the example draws them."""
    shapes = {
        "token": (vocabulary, WIDTH),
        "position": (BLOCK, WIDTH),
        "logits": (vocabulary, WIDTH),
    }
    for head in range(HEADS):
        for name in ("query", "key", "value"):
            shapes[f"{name}.{head}"] = (SIZE, WIDTH)
        shapes[f"mix.{head}"] = (WIDTH, SIZE)
    return shapes | {"up": (4 * WIDTH, WIDTH), "down": (WIDTH, 4 * WIDTH)}


def checked(step: Any, parameters: Any) -> Steps:
    """The losses are checked besides: Adam's steps are the same for gradients of any scale."""

    def check() -> list[float]:
        losses = [step() for _ in range(CHECKED_STEPS)]
        return losses + flat(parameters())

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


def add(x, y):
    return [xi + yi for xi, yi in zip(x, y, strict=True)]


def logits_of(w, token, position, memory):
    x = rms_norm(add(w["token"][token], w["position"][position]))
    normed = rms_norm(x)
    for head, (keys, values) in enumerate(memory):
        query = linear(normed, w[f"query.{head}"])
        keys.append(linear(normed, w[f"key.{head}"]))
        values.append(linear(normed, w[f"value.{head}"]))
        x = add(x, linear(attend(query, keys, values), w[f"mix.{head}"]))
    hidden = [h.relu() for h in linear(rms_norm(x), w["up"])]
    x = add(x, linear(hidden, w["down"]))
    return linear(x, w["logits"])


def scalar_style(engine: str) -> Steps:
    """The script, with the Value of an engine."""
    Value = value_of(engine)
    tokens, vocabulary = document()
    random.seed(SEED)
    w = {
        name: [[Value(random.gauss(0.0, 0.08)) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in shapes(vocabulary).items()
    }
    parameters = [p for matrix in w.values() for row in matrix for p in row]
    first, second = [0.0] * len(parameters), [0.0] * len(parameters)
    steps = 0

    def step() -> float:
        nonlocal steps
        memory, losses = [([], []) for _ in range(HEADS)], []
        for position, token in enumerate(tokens[:-1]):
            probabilities = softmax(logits_of(w, token, position, memory))
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
        return loss.data

    return checked(step, lambda: [p.data for p in parameters])


# Peers: the whole document in one pass --------------------------------------------------------


def drawn(vocabulary: int) -> dict[str, Any]:
    """The same weights as arrays, those of the heads in one."""
    import numpy as np

    random.seed(SEED)
    w = {
        name: np.array([[random.gauss(0.0, 0.08) for _ in range(columns)] for _ in range(rows)])
        for name, (rows, columns) in shapes(vocabulary).items()
    }
    for name in ("query", "key", "value", "mix"):
        parts = [w.pop(f"{name}.{head}") for head in range(HEADS)]
        w[name] = np.concatenate(parts, axis=1 if name == "mix" else 0)
    return w


def as_drawn(w: dict[str, Any]) -> list[Any]:
    """Arrays of all weights, those of the heads apart again."""
    arrays = [w["token"], w["position"], w["logits"]]
    for head in range(HEADS):
        part = slice(head * SIZE, (head + 1) * SIZE)
        arrays += [w[name][part] for name in ("query", "key", "value")] + [w["mix"][:, part]]
    return [*arrays, w["up"], w["down"]]


def of_torch() -> Steps:
    """PyTorch with its own attention, loss and Adam (whose loop over tensors is its fused one)."""
    import torch
    from torch.nn import functional as F

    tokens, vocabulary = document()
    w = {k: torch.tensor(v, requires_grad=True) for k, v in drawn(vocabulary).items()}
    inputs, targets = torch.tensor(tokens[:-1]), torch.tensor(tokens[1:])
    optimizer = torch.optim.Adam(w.values(), lr=LR, betas=BETAS, eps=EPS, fused=True)
    n = len(inputs)

    def norm(x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, (WIDTH,), eps=1e-5)

    def step() -> float:
        x = norm(w["token"][inputs] + w["position"][:n])
        normed = norm(x)
        query, key, value = (
            F.linear(normed, w[name]).view(n, HEADS, -1).transpose(0, 1)
            for name in ("query", "key", "value")
        )
        heads = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + F.linear(heads.transpose(0, 1).reshape(n, WIDTH), w["mix"])
        x = x + F.linear(F.linear(norm(x), w["up"]).relu(), w["down"])
        loss = F.cross_entropy(F.linear(x, w["logits"]), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return checked(step, lambda: as_drawn({k: v.detach().numpy() for k, v in w.items()}))


def of_jax() -> Steps:
    """JAX, the whole step compiled, Adam included."""
    import jax
    from jax import numpy as jnp

    jax.config.update("jax_enable_x64", True)
    tokens, vocabulary = document()
    inputs, targets = jnp.array(tokens[:-1]), jnp.array(tokens[1:])
    n = len(inputs)
    causal = jnp.tril(jnp.ones((n, n), bool))

    def norm(x: Any) -> Any:
        return x / jnp.sqrt(jnp.mean(x * x, axis=1, keepdims=True) + 1e-5)

    def loss_of(w: dict[str, Any]) -> Any:
        x = norm(w["token"][inputs] + w["position"][:n])
        normed = norm(x)
        query, key, value = (
            (normed @ w[name].T).reshape(n, HEADS, -1).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / SIZE**0.5
        heads = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf)) @ value
        x = x + heads.transpose(1, 0, 2).reshape(n, WIDTH) @ w["mix"].T
        x = x + jax.nn.relu(norm(x) @ w["up"].T) @ w["down"].T
        logits = jax.nn.log_softmax(x @ w["logits"].T)
        return -jnp.mean(logits[jnp.arange(n), targets])

    def update(state: Any) -> Any:
        w, first, second, steps = state
        loss, gradients = jax.value_and_grad(loss_of)(w)
        steps = steps + 1
        m = {k: BETAS[0] * first[k] + (1.0 - BETAS[0]) * g for k, g in gradients.items()}
        v = {k: BETAS[1] * second[k] + (1.0 - BETAS[1]) * g * g for k, g in gradients.items()}
        scale1, scale2 = (1.0 - beta**steps for beta in BETAS)
        w = {k: w[k] - LR * (m[k] / scale1) / (jnp.sqrt(v[k] / scale2) + EPS) for k in gradients}
        return loss, (w, m, v, steps)

    compiled = jax.jit(update, donate_argnums=0)
    weights = {k: jnp.asarray(v) for k, v in drawn(vocabulary).items()}
    zeros = [{k: jnp.zeros_like(v) for k, v in weights.items()} for _ in range(2)]
    state = (weights, *zeros, jnp.asarray(0.0))

    def step() -> float:
        nonlocal state
        loss, state = compiled(state)
        return float(loss)  # which waits for it

    return checked(step, lambda: as_drawn({k: v.__array__() for k, v in state[0].items()}))
