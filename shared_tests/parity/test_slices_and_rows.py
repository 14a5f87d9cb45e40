"""Random programs of slices, rows, overlapping and repeated parts of Vectors: bit for bit (rule 1.18).

Parts of one Vector meet in an operation, backward reaches some of its elements and not others, data are
set in between, and a Tape of one element replays. All that anybody can see is compared.
"""

import random

import pytest

from cases.numbers import same
from cases.operations import UNARY

FUNCTIONS = [f.apply for f in UNARY]
OPERATORS = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: a**b,
]


class Program:
    """Vectors and matrices (Vectors of rows), each made from those before it."""

    def __init__(self, backend, seed):
        self.m, self.r = backend, random.Random(seed)
        self.vectors, self.matrices, self.seen = [], [], []
        self.wild = self.r.random() < 0.2

    def number(self):
        if self.wild and self.r.random() < 0.1:
            return self.r.choice([0.0, -0.0, float("inf"), float("nan"), 1e200])
        return self.r.choice([0.0, 1.0, -1.0, *(self.r.uniform(-2, 2) for _ in range(6))])

    def numbers(self, n):
        return [self.number() for _ in range(n)]

    def vector(self, n=None):
        """One that is there, of that length if there is one."""
        fitting = [v for v in self.vectors if n in (None, len(v))]
        return self.r.choice(fitting) if fitting else self.m.Vector(self.numbers(n or 3))

    def matrix(self, width=None):
        fitting = [w for w in self.matrices if width in (None, len(w[0]))]
        if fitting:
            return self.r.choice(fitting)
        return self.m.Vector([self.numbers(width or 2) for _ in range(self.r.randint(1, 5))])

    def partner(self, v):
        """What goes with a Vector or matrix in an operation."""
        r, nested = self.r, isinstance(v[0], self.m.Vector)
        kind = r.randrange(7)
        if kind == 0:
            return self.number() if r.random() < 0.7 else 0
        if kind == 1:
            return self.vector()[0]
        if nested:
            width = len(v[0])
            if kind == 2:
                return self.vector(width)
            if kind == 3:
                return [self.mixture(width) for _ in v]
            fitting = [w for w in self.matrices if (len(w), len(w[0])) == (len(v), width)]
            return r.choice([v, *fitting])
        if kind == 2:
            return self.matrix(len(v))
        return self.mixture(len(v)) if kind == 3 else self.vector(len(v))

    def mixture(self, n):
        """Values and numbers, or a tuple of numbers only."""
        if self.r.random() < 0.5:
            return tuple(self.numbers(n))
        return [self.r.choice([self.number(), self.vector()[-1]]) for _ in range(n)]

    def operate(self, v):
        r = self.r
        if len(v) > 1 and r.random() < 0.3:
            v, other = v[1:], v[:-1]  # most elements meet their neighbours
        else:
            other = self.partner(v)
        which, swap = r.randrange(7), r.random() < 0.4
        if which < len(OPERATORS):
            return OPERATORS[which](other, v) if swap else OPERATORS[which](v, other)
        return v.maximum(other) if which == 5 else v.minimum(other)

    def part(self):
        """Some elements of what is there, without an operation."""
        r, m = self.r, self.m
        v, w = self.vector(), self.matrix()
        kind = r.randrange(7)
        if kind == 0:
            start = r.randrange(len(v))
            return v[start : start + r.randint(1, 3)]
        if kind == 1:
            return v[:: r.choice([-1, 2])]
        if kind == 2:
            start = r.randrange(len(w))
            return w[start : start + r.randint(1, 3)]
        if kind == 3:
            return m.concatenate([v, r.choice([v, *w]), v[1:]])
        if kind == 4:
            return m.Vector([r.choice(list(w)) for _ in range(r.randint(1, 4))])
        if kind == 5:
            return m.Vector([v[0], self.number(), self.vector()[-1], v[0]])
        return r.choice(list(w))

    def fused(self):
        r, m = self.r, self.m
        w = self.matrix()
        width = len(w[0])
        v = self.vector(width)
        x = r.choice([v, w, [*w, v], [v, self.numbers(width)], self.numbers(width)])
        kind = r.randrange(8)
        if kind < 3:
            bias = r.choice([None, None, self.mixture(len(w)), self.vector(len(w))])
            if bias is not None and len(bias) != len(w):
                bias = None
            return m.linear(x, r.choice([w, w, list(w)]), bias)
        if kind == 3:
            return r.choice([m.softmax, m.log_softmax, m.rms_norm])(r.choice([v, w, [*w, v]]))
        if kind == 4:
            values = self.matrix()
            count = min(len(w), len(values))
            return m.scaled_dot_product_attention(v, w[:count], values[:count])
        if kind == 5:
            return v * m.cross_entropy(w, [r.randrange(width) for _ in w])
        if kind == 6:
            return v + m.Vector([w.sum(), w.mean(), w.max(), v @ v, v.min()])[r.randrange(5)]
        if r.random() < 0.5:
            return m.logsumexp(w)
        return m.Vector([m.logsumexp(w)[0], m.dot(v, self.mixture(width), self.vector()[0])])

    def step(self):
        kind = self.r.random()
        if kind < 0.35:
            return self.operate(self.vector() if self.r.random() < 0.6 else self.matrix())
        if kind < 0.45:
            function = self.r.choice(FUNCTIONS)
            return function(self.vector() if self.r.random() < 0.6 else self.matrix())
        return self.part() if kind < 0.7 else self.fused()

    def keep(self, result):
        if len(result) and isinstance(result[0], self.m.Vector):
            if len(result[0]) and len({len(row) for row in result}) == 1:
                self.matrices.append(result)
        elif len(result):
            self.vectors.append(result)

    def attempt(self, what):
        """Errors are part of what is compared."""
        try:
            return what()
        except (ArithmeticError, ValueError) as error:
            self.seen.append(f"{type(error).__name__}: {error}")
            return None

    def look(self):
        for v in self.vectors:
            self.seen += [*v.data, *v.grad, repr(v), *(element.label for element in v)]
        for w in self.matrices:
            self.seen += [x for row in (*w.data, *w.grad) for x in row]

    def disturb(self):
        """What a user does between two passes."""
        r = self.r
        v, w = self.vector(), self.matrix()
        kind = r.randrange(9)
        if kind == 8:
            v[r.randrange(len(v))].label = self.r.choice("abc")
        elif kind == 0:
            r.choice(list(v)).data = self.number()
        elif kind == 1:
            r.choice(list(v)).grad = self.number()
        elif kind == 2:
            w.grad = [self.numbers(len(w[0])) for _ in w]
        elif kind == 3:
            w.data = [self.numbers(len(w[0])) for _ in w] if r.random() < 0.5 else 0.5
        elif kind == 4:
            v.data = self.numbers(len(v))
        elif kind == 5:
            (v if r.random() < 0.5 else w).zero_grad()
        elif kind == 6:
            with self.m.no_grad():
                self.keep(v * 2.0)
        else:
            self.keep(v.detach() if r.random() < 0.5 else w.detach())

    def passes(self):
        r = self.r
        v, w = self.vector(), self.matrix()
        kind = r.randrange(5)
        if kind == 0:
            r.choice(list(v)).backward(self.number())
        elif kind == 1:
            r.choice(list(r.choice(list(w)))).backward()
        elif kind == 2:
            v.backward(self.numbers(len(v)))
        elif kind == 3:
            r.choice([w, r.choice(list(w))]).backward()
        else:
            (r.choice(list(v)) * r.choice(list(w[0])) + v.sum()).backward(0.75)

    def replay(self):
        r = self.r
        v = r.choice([self.vector(), *self.matrix()])
        root = r.choice([*v, v.sum(), self.matrix().sum()])
        tape = self.m.Tape(root)
        self.seen.append(len(tape))
        for _ in range(2):
            v = self.vectors[0]
            tape.set(v, self.numbers(len(v)))
            if r.random() < 0.5:
                self.passes()
            self.attempt(lambda: self.seen.append(tape.forward()))
            if r.random() < 0.5:
                self.disturb()
            tape.backward(self.number())
            self.look()

    def shape(self):
        """Operations and edges of the graph of one element, as traced."""
        root = self.r.choice(list(self.vectors[-1]))
        nodes, edges = self.m.trace(root, fused=self.r.random() < 0.5)
        place = {node: i for i, node in enumerate(nodes)}
        self.seen += [node.op for node in nodes] + [f"{place[a]} {place[b]}" for a, b in edges]
        self.seen += [x for node in nodes for x in (node.data, node.grad)]

    def run(self):
        r = self.r
        self.vectors = [self.m.Vector(self.numbers(r.randint(1, 5))) for _ in range(2)]
        width = r.randint(1, 3)
        self.matrices = [
            self.m.Vector([self.numbers(width) for _ in range(r.randint(1, 5))]) for _ in range(2)
        ]
        for _ in range(r.randint(1, 12)):
            result = self.attempt(self.step)
            if result is not None:
                self.keep(result)
            if r.random() < 0.1:
                self.disturb()
        for _ in range(r.randint(1, 4)):
            self.passes()
            if r.random() < 0.5:
                self.look()
            if r.random() < 0.4:
                self.disturb()
            if r.random() < 0.3:
                self.replay()
        self.shape()
        self.look()
        return self.seen


@pytest.mark.parametrize("start", range(0, 3000, 250))
def test_the_same_bits(backends, start):
    ours = {backend.name: backend for backend in backends}
    for seed in range(start, start + 250):
        expected, got = (Program(ours[name], seed).run() for name in ("pure_python", "cython_core"))
        assert len(expected) == len(got), f"seed {seed}"
        for i, (x, y) in enumerate(zip(expected, got, strict=True)):
            equal = x == y if isinstance(x, str) or isinstance(y, str) else same(x, y)
            assert equal, f"seed {seed}, number {i}: pure_python {x!r}, cython_core {y!r}"
