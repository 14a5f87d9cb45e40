"""Work for several threads at once, which Python makes take turns as often as it can."""

import random
import sys
import threading
from contextlib import contextmanager

from cases.numbers import floats


@contextmanager
def switching_often():
    """Between threads: every few instructions, where Python else lets one run for 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(*workers):
    """What functions return that run in threads of their own, started together."""
    results, start = [None] * len(workers), threading.Barrier(len(workers))

    def run(i):
        start.wait()
        try:
            results[i] = workers[i]()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(workers))]
    with switching_often():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def chain(backend, leaf, length):
    """A graph of `length` operations whose derivative with respect to the leaf is 1."""
    v = leaf
    for i in range(length // 2):
        v = v * 2.0 if i % 2 else v + leaf * 0.0
        v = v / 2.0 if i % 2 else v - 1.0
    return v


def train(backend, seed, steps):
    """Every number of a training: single operations, Vectors, a network, an optimiser, a Tape."""
    generator = random.Random(seed)
    model = backend.MLP(3, [4, 1], activation="tanh", seed=seed)
    optimiser = backend.Adam(model.parameters(), lr=0.05)
    x = backend.Value(0.5)
    tape = backend.Tape((x * x + 1.0).log() * x)
    numbers = []
    for _ in range(steps):
        rows = [[generator.uniform(-1.0, 1.0) for _ in range(3)] for _ in range(4)]
        a, b = (backend.Value(generator.uniform(0.5, 2.0)) for _ in range(2))
        y = a
        for _ in range(20):
            y = (y * b + a).tanh() - y / (a + 2.0)
        v = backend.Vector(rows[0]) * a
        loss = backend.mse_loss(model(rows), [1.0, -1.0, 0.5, 0.0]) + y * y + v.exp().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        x.data = generator.random()
        x.zero_grad()
        numbers += [loss.data, a.grad, b.grad, tape.forward()]
        tape.backward()
        numbers += [x.grad]
    return numbers + floats(list(model.state_dict().values()))
