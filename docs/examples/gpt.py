"""A small GPT, written once in vector style for all three backends.

Characters in, the next character out: token and position embeddings, causal attention with several
heads, RMSNorm, a two-layer perceptron, cross entropy, Adam. It trains on any text file with one
document a line, on a document a step, and then makes up new ones:

    python docs/examples/gpt.py --backend cython_core --steps 1000
    python docs/examples/gpt.py names.txt --backend pure_python

The same seed gives the same losses on every backend.
"""

from __future__ import annotations

import importlib
import math
import random
from pathlib import Path

import click  # command lines with checked options and help
from rich.progress import Progress, TextColumn, TimeElapsedColumn  # a bar with the loss beside it

TOWNS = Path(__file__).with_name("towns.txt")


class GPT:
    """A transformer that reads one token at a time and remembers the keys and values before it."""

    def __init__(self, backend, vocabulary, block=16, width=16, heads=4, layers=1):
        self.backend = backend
        self.block, self.width, self.heads, self.layers = block, width, heads, layers
        size = width // heads
        self.parts = [slice(h * size, (h + 1) * size) for h in range(heads)]
        self.weights = {
            "token": self.matrix(vocabulary, width),
            "position": self.matrix(block, width),
            "logits": self.matrix(vocabulary, width),
        }
        for i in range(layers):
            for name in ("query", "key", "value", "mix"):
                self.weights[f"{i}.{name}"] = self.matrix(width, width)
            self.weights[f"{i}.up"] = self.matrix(4 * width, width)
            self.weights[f"{i}.down"] = self.matrix(width, 4 * width)

    def matrix(self, rows, columns):
        return self.backend.Vector(
            [[random.gauss(0.0, 0.08) for _ in range(columns)] for _ in range(rows)]
        )

    def parameters(self):
        return list(self.weights.values())

    def nparams(self):
        return sum(len(matrix) * len(matrix[0]) for matrix in self.weights.values())

    def start(self):
        """The memory of an empty document: keys and values of each head of each layer."""
        return [[([], []) for _ in range(self.heads)] for _ in range(self.layers)]

    def __call__(self, token, position, memory):
        """The logits of the next token."""
        f, w = self.backend, self.weights
        x = f.rms_norm(w["token"][token] + w["position"][position], eps=1e-5)
        for i in range(self.layers):
            normed = f.rms_norm(x, eps=1e-5)
            x = x + f.linear(self.attend(i, normed, memory[i]), w[f"{i}.mix"])
            normed = f.rms_norm(x, eps=1e-5)
            x = x + f.linear(f.linear(normed, w[f"{i}.up"]).relu(), w[f"{i}.down"])
        return f.linear(x, w["logits"])

    def attend(self, i, x, memory):
        """Each head looks back with its part of the query over its part of all keys so far."""
        f, w = self.backend, self.weights
        query = f.linear(x, w[f"{i}.query"])
        key = f.linear(x, w[f"{i}.key"])
        value = f.linear(x, w[f"{i}.value"])
        heads = []
        for part, (keys, values) in zip(self.parts, memory, strict=True):
            keys.append(key[part])
            values.append(value[part])
            heads.append(f.scaled_dot_product_attention(query[part], keys, values))
        return f.concatenate(heads)


class Documents:
    """The lines of a text as tokens: its characters, and one more that begins and ends a line."""

    def __init__(self, text):
        self.lines = [line.strip() for line in text.splitlines() if line.strip()]
        if not self.lines:
            raise click.ClickException("the text has no line to learn from")
        random.shuffle(self.lines)
        self.characters = sorted(set("".join(self.lines)))
        self.number = {character: i for i, character in enumerate(self.characters)}
        self.edge = len(self.characters)
        self.vocabulary = self.edge + 1

    def tokens(self, step):
        line = self.lines[step % len(self.lines)]
        return [self.edge, *(self.number[character] for character in line), self.edge]


def loss_of(model, tokens):
    """The mean cross entropy of every next token of a document."""
    count = min(model.block, len(tokens) - 1)
    memory = model.start()
    logits = [model(tokens[i], i, memory) for i in range(count)]
    return model.backend.cross_entropy(logits, tokens[1 : count + 1])


def train(model, documents, steps, lr):
    """Adam with a learning rate that falls to zero; yields the loss of each step."""
    optimizer = model.backend.Adam(model.parameters(), lr=lr, betas=(0.9, 0.95))
    for step in range(steps):
        loss = loss_of(model, documents.tokens(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.lr = lr * (1.0 - step / steps)
        optimizer.step()
        yield float(loss)


def sample(model, documents, temperature=0.6):
    """A new document, drawn character by character."""
    token, memory, text = documents.edge, model.start(), ""
    with model.backend.no_grad():
        for position in range(model.block):
            logits = model(token, position, memory)
            probabilities = model.backend.softmax(logits / temperature)
            (token,) = random.choices(
                range(documents.vocabulary), [float(p) for p in probabilities]
            )
            if token == documents.edge:
                break
            text += documents.characters[token]
    return text


@click.command(context_settings={"show_default": True})
@click.argument("file", type=click.Path(exists=True, dir_okay=False), default=str(TOWNS))
@click.option(
    "--backend",
    default="cython_core",
    type=click.Choice(["pure_python", "numpy_vectorized", "cython_core"]),
)
@click.option("--steps", default=1000, type=click.IntRange(1), help="One document each.")
@click.option("--lr", default=1e-2, type=click.FloatRange(0.0, min_open=True))
@click.option("--samples", default=20, type=click.IntRange(0))
@click.option("--seed", default=42)
def main(file, backend, steps, lr, samples, seed):
    """Train a small GPT on FILE, one document a line, and make up new lines."""
    random.seed(seed)
    try:
        documents = Documents(Path(file).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file} is not text in UTF-8: {error}") from None
    model = GPT(importlib.import_module(backend), documents.vocabulary)
    click.echo(
        f"{len(documents.lines)} documents, {documents.vocabulary} tokens, "
        f"{model.nparams()} parameters, {backend}"
    )
    mean = math.log(documents.vocabulary)
    columns = (
        *Progress.get_default_columns(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("training", total=steps, loss="")
        for step, loss in enumerate(train(model, documents, steps, lr), 1):
            mean += (loss - mean) / min(step, 50)
            progress.update(task, advance=1, loss=f"loss {mean:.3f}")
    click.echo(f"loss {mean:.6f}, averaged over the last {min(steps, 50)} steps")
    for _ in range(samples):
        click.echo(sample(model, documents))


if __name__ == "__main__":
    main()
