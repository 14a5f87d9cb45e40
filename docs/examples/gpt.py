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
from typing import Any, NamedTuple

try:
    import click  # command lines with checked options and help
    from rich.progress import Progress, TextColumn, TimeElapsedColumn  # a bar, the loss beside it
except ModuleNotFoundError as error:
    raise SystemExit(f"gpt.py needs {error.name}: python -m pip install click rich") from None

TOWNS = Path(__file__).with_name("towns.txt")


class Head(NamedTuple):
    """The weights of a head of attention: three look at the stream, one writes into it."""

    query: Any
    key: Any
    value: Any
    mix: Any


class Layer(NamedTuple):
    heads: list[Head]
    up: Any
    down: Any


class GPT:
    """A transformer. It takes all tokens of a document at once, or goes on from what it remembers.

    A stream of rows, one a token, runs through the layers. `linear(a, b)` is a·bᵀ: of every row of
    the one with every row of the other.
    """

    def __init__(self, backend, vocabulary, block=16, width=16, heads=4, layers=1):
        self.backend, self.block = backend, block
        size = width // heads
        self.scale = size**-0.5
        self.token = self.matrix(vocabulary, width)
        self.position = self.matrix(block, width)
        self.logits = self.matrix(vocabulary, width)
        self.layers = [
            Layer(
                [
                    Head(*[self.matrix(size, width) for _ in range(3)], self.matrix(width, size))
                    for _ in range(heads)
                ],
                self.matrix(4 * width, width),
                self.matrix(width, 4 * width),
            )
            for _ in range(layers)
        ]
        self.masks = {}

    def matrix(self, rows, columns):
        return self.backend.Vector(
            [[random.gauss(0.0, 0.08) for _ in range(columns)] for _ in range(rows)]
        )

    def parameters(self):
        matrices = [self.token, self.position, self.logits]
        for heads, up, down in self.layers:
            matrices += [matrix for head in heads for matrix in head] + [up, down]
        return matrices

    def nparams(self):
        return sum(len(matrix) * len(matrix[0]) for matrix in self.parameters())

    def start(self):
        """The memory of an empty document: for each layer, the rows that its heads looked at."""
        return [[] for _ in self.layers]

    def __call__(self, tokens, memory=None):
        """The logits of what comes after each of the tokens, a row each."""
        f = self.backend
        start = len(memory[0]) if memory else 0
        positions = self.position[start : start + len(tokens)]
        x = norm(f, f.Vector([self.token[token] for token in tokens]) + positions)
        mask = self.mask(start, len(tokens))
        for i, (heads, up, down) in enumerate(self.layers):
            normed = context = norm(f, x)
            if memory:
                memory[i].extend(normed)
                context = f.Vector(memory[i])
            for head in heads:
                x = x + self.attend(head, normed, context, mask)
            x = x + f.linear(f.linear(norm(f, x), up).relu(), down)
        return f.linear(x, self.logits)

    def attend(self, head, x, context, mask):
        """softmax(q·kᵀ / √d + mask)·v, and what the head makes of it."""
        f = self.backend
        query, key, value, mix = head
        scores = f.linear(f.linear(x, query), f.linear(context, key))
        weights = f.softmax(scores * self.scale + mask)
        values = f.linear(value, context)  # transposed, as linear wants them
        return f.linear(f.linear(weights, values), mix)

    def mask(self, start, count):
        """0 at a token and those before it, -infinity at those that come later."""
        if (start, count) not in self.masks:
            self.masks[start, count] = self.backend.Vector(
                [[0.0] * (start + i + 1) + [-math.inf] * (count - i - 1) for i in range(count)]
            )
        return self.masks[start, count]


def norm(f, x):
    return f.rms_norm(x, eps=1e-5)


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
    return model.backend.cross_entropy(model(tokens[:count]), tokens[1 : count + 1])


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
        for _ in range(model.block):
            (logits,) = model([token], memory)
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
    try:
        engine = importlib.import_module(backend)
    except ModuleNotFoundError as error:
        if error.name != backend:
            raise
        raise click.UsageError(f"{backend} is not installed: name another with --backend") from None
    model = GPT(engine, documents.vocabulary)
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
