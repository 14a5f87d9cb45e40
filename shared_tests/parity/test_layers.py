"""Random networks, fed in every way: the scalar backends agree bit for bit (rule 1.18)."""

import math
import random

import pytest

from cases.contract import ACTIVATIONS
from cases.numbers import same
from pure_python import engine

SIZES = (1, 2, 3, 5, 7, 8, 9, 16, 17, 24)
ODD_NUMBERS = (0.0, -0.0, 1e300, -1e-310, float("inf"), float("-inf"), float("nan"))


def number(generator):
    return generator.choice(ODD_NUMBERS) if generator.random() < 0.02 else generator.gauss(0.0, 1.0)


class Run:
    """One backend's part. All draw the same, so that everything can be compared in the end."""

    def __init__(self, m, seed):
        self.m, self.draw = m, random.Random(seed)
        self.seen = []  # Values to compare at the end
        draw = self.draw
        depth = draw.randrange(1, 4)
        sizes = [draw.choice(SIZES) for _ in range(depth + 1)]
        self.model = m.MLP(
            sizes,
            activation=draw.choice(("relu", *ACTIVATIONS)),
            output_activation=draw.choice(("relu", *ACTIVATIONS)),
            seed=seed,
        )
        self.other = m.MLP([draw.choice(SIZES), sizes[0]], activation="relu", seed=seed + 1)
        if draw.random() < 0.1:  # the same weights twice
            n = sizes[0]
            layer = m.Layer(n, n, seed=seed)
            self.model = m.MLP([n, n, n])
            self.model.layers = (layer, layer)
        self.n_in = sizes[0]
        self.pool = [m.Value(number(draw)) for _ in range(4)]
        self.pool.append(self.special())
        self.pool += [self.pool[0] * 2.0, self.pool[1] * self.pool[2], self.pool[3].tanh()]
        self.pool += [m.Value(0.5, operands=(self.pool[0],), op="half", local_grads=(0.5,))]
        self.seen.extend(self.pool)

    def special(self):
        class Special(self.m.Value):
            pass

        return Special(0.25)

    def sample(self):
        """n_in inputs: numbers, Values that may come twice, parameters, outputs of other layers."""
        draw, m, n = self.draw, self.m, self.n_in
        kind = draw.randrange(8)
        if kind == 0:
            return [number(draw) for _ in range(n)]
        if kind == 1:
            fresh = [m.Value(number(draw)) for _ in range(n)]
            self.seen.extend(fresh)
            return fresh
        if kind == 2:
            return draw.sample(self.pool * n, n)
        if kind == 3:
            return draw.sample([*self.model.parameters()[:3], *self.pool] * n, n)
        if kind == 4 or kind == 5:
            below = [number(draw) for _ in range(self.other.n_in)]
            outputs = self.other(below)
            outputs = [outputs] if n == 1 else outputs
            self.seen.extend(outputs)
            if kind == 4:
                return outputs
            return draw.sample([*outputs, *outputs, *self.pool, 0.5] * n, n)
        if kind == 6:
            row = m.softmax([m.Value(number(draw)) for _ in range(n)])
            self.seen.extend(row)
            return row
        mixed = [
            m.Value(number(draw)) if draw.random() < 0.5 else draw.choice((1, 0.5))
            for _ in range(n)
        ]
        self.seen.extend([v for v in mixed if not isinstance(v, int | float)])
        return tuple(mixed)

    def outputs(self):
        """Of a call for one sample, for a batch, or of the last of several calls that share a loss."""
        draw = self.draw
        if draw.random() < 0.5:
            found = []
            for _ in range(draw.randrange(1, 5)):
                found += scalars(self.model(self.sample()))
        elif draw.random() < 0.5:
            batch = [[number(draw) for _ in range(self.n_in)] for _ in range(draw.randrange(1, 12))]
            found = scalars(self.model(batch))
        else:
            found = scalars(self.model([list(self.sample()) for _ in range(draw.randrange(1, 6))]))
        self.seen.extend(found)
        return found

    def loss(self, outputs):
        draw, m = self.draw, self.m
        chosen = [v for v in outputs if draw.random() < draw.choice((0.3, 0.8, 2.0))]
        chosen = chosen or outputs
        kind = draw.randrange(5)
        if kind == 0:
            return m.hinge_loss(chosen, [draw.choice((-1, 1.0)) for _ in chosen])
        if kind == 1:
            return m.mse_loss(chosen, [number(draw) for _ in chosen])
        if kind == 2:
            losses = [(1 + -draw.choice((-1.0, 1)) * score).relu() for score in chosen]
            return sum(losses) * (1.0 / len(losses)) + sum(p * p for p in self.model.parameters())
        if kind == 3:
            return m.Vector(chosen).sum() * self.pool[0]
        return m.cross_entropy([chosen], [0])

    def all(self):
        draw = self.draw
        for p in self.model.parameters():
            if draw.random() < 0.1:
                p.grad = number(draw)
        for _ in range(3):
            outputs = self.outputs()
            loss = self.loss(outputs)
            if draw.random() < 0.2:
                outputs[0].data = number(draw)
            if draw.random() < 0.2:
                outputs[-1].grad = number(draw)
            loss.backward(draw.choice((1.0, 0.3)))
            if draw.random() < 0.3:
                draw.choice(outputs).backward()
            for p in self.model.parameters():
                if draw.random() < 0.5:
                    p.data -= 0.01 * p.grad
            self.seen.append(loss)
        values = [*self.model.parameters(), *self.other.parameters(), *self.seen]
        return [x for v in values for x in (v.data, v.grad)]


def scalars(outputs):
    if not hasattr(outputs, "__len__"):
        return [outputs]
    return [v for row in outputs for v in scalars(row)]


@pytest.mark.parametrize("start", range(0, 600, 30))
def test_the_same_bits(backends, start, monkeypatch):
    pure, cython = (b for b in backends if not b.arrays)
    for seed in range(start, start + 30):
        monkeypatch.setattr(engine, "minus_zero_was_set", False)  # as in a new process
        expected, got = Run(pure, seed).all(), Run(cython, seed).all()
        assert len(expected) == len(got)
        for i, (a, b) in enumerate(zip(expected, got, strict=True)):
            assert same(a, b), f"seed {seed}, number {i}: {b!r}, {pure.name} has {a!r}"


# Of two neurons the first is dead. What makes the zeros that it hands down more than zeros:
ODD = {
    "nothing": lambda x, first: None,
    "a gradient of -0.0": lambda x, first: setattr(first.weight[0], "grad", -0.0),
    "a bias's gradient of -0.0": lambda x, first: setattr(first.bias, "grad", -0.0),
    "an input's gradient of -0.0": lambda x, first: setattr(x[0], "grad", -0.0),
    "an infinite weight": lambda x, first: setattr(first.weight[1], "data", math.inf),
    "an infinite input": lambda x, first: setattr(x[1], "data", -math.inf),
    "a weight that is no number": lambda x, first: setattr(first.weight[0], "data", math.nan),
    "huge weights": lambda x, first: [setattr(w, "data", 1.7e308) for w in first.weight],
}


@pytest.mark.parametrize("odd", ODD)
def test_a_dead_neuron(backends, odd, monkeypatch):
    monkeypatch.setattr(engine, "minus_zero_was_set", False)
    found = []
    for m in (b for b in backends if not b.arrays):
        model = m.MLP(2, [2, 1], seed=3)
        x = [m.Value(0.5), m.Value(-0.25)]
        first = model.layers[0].neurons[0]
        first.bias.data = -9.0
        y = model(x)
        ODD[odd](x, first)  # after the forward pass
        y.backward()
        y.backward()
        found.append([n for v in (*x, *model.parameters()) for n in (v.data, v.grad)])
    assert all(map(same, *found)), found
