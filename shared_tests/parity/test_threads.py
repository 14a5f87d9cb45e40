"""Threads: the long kernels of cython_core let others run, and disturb nobody's numbers."""

import os
import random
import subprocess
import sys
import threading
import time

import pytest

import cython_core

WIDTH = 700


def data(seed, rows=WIDTH):
    generator = random.Random(seed)
    return [[generator.uniform(-1.0, 1.0) for _ in range(WIDTH)] for _ in range(rows)]


def step(layer, inputs):
    """A training step of one layer: the loss, and where the parameters then are."""
    loss = (layer(inputs) ** 2).mean()
    layer.zero_grad()
    loss.backward()
    cython_core.SGD(layer.parameters(), lr=0.1).step()
    return loss.data, [p.data for p in layer.parameters()[:50]]


@pytest.mark.parametrize("part", ["forward", "backward"])
def test_others_run_meanwhile(part):
    layer = cython_core.Layer(WIDTH, WIDTH, seed=1)
    inputs = cython_core.Vector(data(1, 2000))
    outputs = layer(inputs).sum()
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    began = time.perf_counter()
    # A single call from Python: with the lock of the interpreter held, nobody would tick inside.
    layer(inputs) if part == "forward" else outputs.backward()
    ended = time.perf_counter()
    done.set()
    ticker.join()
    inside = [t for t in ticks if began + 0.1 * (ended - began) < t < ended - 0.1 * (ended - began)]
    assert len(inside) >= 3, f"{len(inside)} ticks within {ended - began:.3f} s"


def test_each_thread_has_its_own_numbers():
    """Layers of several sizes at once: the losses and parameters of a single thread."""
    sizes = [WIDTH, 40, WIDTH, 300]

    def train(k, results):
        layer = cython_core.Layer(WIDTH, sizes[k], seed=k)
        inputs = data(k)
        results[k] = [step(layer, inputs) for _ in range(3)]

    alone, together = {}, {}
    for k in range(len(sizes)):
        train(k, alone)
    threads = [threading.Thread(target=train, args=(k, together)) for k in range(len(sizes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_a_tape_is_for_one_thread():
    layer = cython_core.Layer(WIDTH, WIDTH, seed=1)
    tape = cython_core.Tape(layer(data(1, 2000)).sum())
    started, outcomes = threading.Event(), []

    def replay():
        started.set()
        try:
            outcomes.append(tape.forward())
        except RuntimeError as error:
            outcomes.append(str(error))

    expected = tape.forward()
    for _ in range(20):  # until the two have met
        threads = [threading.Thread(target=replay) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if any(isinstance(outcome, str) for outcome in outcomes):
            break
    assert {o for o in outcomes if not isinstance(o, str)} == {expected}
    assert any("another thread" in o for o in outcomes if isinstance(o, str))


def test_without_the_interpreter_lock_the_import_is_refused():
    """What a free-threaded CPython says of itself is put on here: there is none to try."""
    script = "import sys; sys._is_gil_enabled = lambda: False; import cython_core"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "ImportError: cython_core counts on the global interpreter lock" in done.stderr


FORK_IN_A_HANDLER = """
import os, signal, time
import cython_core as m
x = m.Value(1.0)
terms = [x * 1.0 for _ in range(1_000_000)]
v = x
for term in terms:
    v = v + term
children = []
signal.signal(signal.SIGALRM, lambda *_: children.append(os.fork()))
began = time.perf_counter()
v.backward()
took, walks = time.perf_counter() - began, 1
while not children:  # a walk may be done before the signal comes
    took /= 2
    signal.setitimer(signal.ITIMER_REAL, took)
    v.backward()
    signal.setitimer(signal.ITIMER_REAL, 0)
    walks += 1
right = x.grad == walks * 1_000_001.0
if children == [0]:
    raise SystemExit(not right)
if not right or not children or os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]):
    raise SystemExit(f"{x.grad!r} in the parent, {children} forked")
"""


def test_a_handler_that_forks_in_the_middle_of_backward():
    """Parent and child go on with the walk where it was interrupted."""
    if hasattr(os, "fork"):
        run = [sys.executable, "-c", FORK_IN_A_HANDLER]
        done = subprocess.run(run, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr


ANOTHER_INTERPRETER = """
try:
    import _interpreters
except ImportError:
    import _xxsubinterpreters as _interpreters  # before CPython 3.13
import sys
import cython_core as m
code = f"import sys; sys.path[:] = {sys.path!r}\\n" \\
    "try:\\n    import cython_core\\nexcept ImportError as error:\\n    print(error, flush=True)"
_interpreters.run_string(_interpreters.create(), code)
x = m.Value(3.0)
(x * x).backward()
print(x.grad)
"""


def test_one_interpreter_of_a_process():
    """Its memory is one for the process: another interpreter is refused, and the first goes on."""
    run = [sys.executable, "-c", ANOTHER_INTERPRETER]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60)
    refusal, answer = done.stdout.splitlines()
    assert "one interpreter per process" in refusal or "subinterpreters" in refusal
    assert answer == "6.0" and done.returncode == 0
