"""Tapes of a batch: one random program, for many samples, replayed."""

import random

import pytest

from cases.numbers import same
from cases.operations import UNARY

# Those that are defined everywhere.
FUNCTIONS = {f.name: f.apply for f in UNARY if -3.0 in f.points}
BINARY = {
    "+": lambda a, b, c: a + b,
    "-": lambda a, b, c: a - b,
    "*": lambda a, b, c: a * b,
    "/": lambda a, b, c: a / (b * b + 1.5),
    "maximum": lambda a, b, c: a.maximum(b),
    "minimum": lambda a, b, c: a.minimum(c),
    "numbers": lambda a, b, c: (c - a) * 2.0 + c / (a * a + 1.0) - 0.5,
    "powers": lambda a, b, c: abs(a) ** c,
    "-x": lambda a, b, c: -a,
}


def number(r):
    if r.random() < 0.02:
        return r.choice([0.0, -0.0, float("inf"), float("nan"), 1e200])
    return r.uniform(-2.0, 2.0)


def graph(backend, r):
    """Shared weights, the leaves and nodes of each sample, and one root above them all."""
    weights = [backend.Value(r.uniform(-1, 1)) for _ in range(r.randint(1, 6))]
    width, samples = r.randint(1, 4), r.choice([1, 2, 9, 30])
    steps = [
        (r.choice([*BINARY, *"+-***", *FUNCTIONS]), r.random(), r.random(), r.uniform(-2, 2))
        for _ in range(r.randint(1, 25))
    ]
    leaves, nodes, root = list(weights), [], weights[0] * weights[0]
    for _ in range(samples):
        inputs = [backend.Value(r.uniform(-1, 1)) for _ in range(width)]
        pool = weights + inputs
        for name, i, j, c in steps:
            a, b = pool[int(i * len(pool))], pool[int(j * len(pool))]
            pool.append(BINARY[name](a, b, c) if name in BINARY else FUNCTIONS[name](a))
        leaves += inputs
        nodes += pool[len(weights) + width :]
        root = root + pool[-1] if len(steps) % 3 else pool[-1] - root
    return leaves, nodes, root


def play(backend, seed):
    """Replays, and in between what may come in between; all numbers that anybody saw."""
    r = random.Random(seed)
    seen = []
    try:
        leaves, nodes, root = graph(backend, r)
    except (ArithmeticError, ValueError) as error:
        return [str(error)]
    values = leaves + nodes
    tape = backend.Tape(root)
    for _ in range(4):
        tape.set(leaves, [number(r) for _ in leaves])
        try:
            seen.append(tape.forward())
        except (ArithmeticError, ValueError) as error:
            seen.append(str(error))
        chances, one = [r.random() for _ in range(7)], r.choice(values)
        if chances[0] < 0.2:
            one.data = 0.25
        if chances[1] < 0.2:
            seen.append(one.data)
        if chances[2] < 0.2:
            one.grad = 3.0
        if chances[3] < 0.2:
            one.backward(2.0)
        if chances[4] < 0.8:
            tape.backward(chances[5])
        if chances[6] < 0.3:
            seen += [v.grad for v in values]
    del tape
    seen += [x for v in (*values, root) for x in (v.data, v.grad)]
    root.backward()
    return seen + [v.grad for v in values]


@pytest.mark.parametrize("start", range(0, 200, 20))
def test_replays_of_a_batch(backends, start):
    """Rules 1.18 and 5.3: the bits of pure_python, whoever looks at which Value when."""
    ours = {backend.name: backend for backend in backends}
    for seed in range(start, start + 20):
        expected, got = (play(ours[name], seed) for name in ("pure_python", "cython_core"))
        assert len(expected) == len(got)
        for i, (x, y) in enumerate(zip(expected, got, strict=True)):
            equal = x == y if isinstance(x, str) or isinstance(y, str) else same(x, y)
            assert equal, f"seed {seed}, number {i}: pure_python {x!r}, cython_core {y!r}"


@pytest.mark.parametrize("weights", [7, 8, 19])
def test_sums_of_many_weights(backends, weights):
    """Their gradients are sums as long as the batch, some of them computed side by side."""
    found = {}
    for backend in backends:
        r = random.Random(weights)
        w = [backend.Value(r.uniform(-1, 1)) for _ in range(weights)]
        x = [[backend.Value(r.uniform(-1, 1)) for _ in w] for _ in range(30)]
        hidden = [[a.tanh() for a in row] for row in x]
        outputs = [sum(a * b for a, b in zip(w, row, strict=True)).tanh() for row in hidden]
        tape = backend.Tape(sum(outputs))
        seen = [tape.forward()]
        for _ in range(2):
            tape.backward(0.7)
            seen += [v.grad for v in [*w, *x[0], *x[-1]]]
        found[backend.name] = seen
    assert all(map(same, found["cython_core"], found["pure_python"]))


def test_more_than_one_loop_goes_at_once(backends):
    """Loops are cut: for signals, and at a length."""
    (core,) = [backend for backend in backends if backend.name == "cython_core"]
    x, n = core.Value(0.5), (1 << 20) + 100
    root = core.Value(0.0)
    for _ in range(n):
        root = root + x
    root = root / (x * 2.0)
    tape = core.Tape(root)
    x.data = 0.25
    assert tape.forward() == n / 2
    tape.backward()
    assert x.grad == 0.0
    x.data = 0.0
    with pytest.raises(ZeroDivisionError):
        tape.forward()
    x.data = 2.0
    assert tape.forward() == n / 2
