"""Each allocation of small programs fails once (rule 1.26)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "allocations.c"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None,
    reason="replaces malloc as glibc lets one",
)


def arithmetic(m):
    a, b = m.Value(0.5), m.Value(-1.5)
    c = (a * b + a.sin() / (b * b + 1.0)).tanh()
    c.backward()
    return [c.data, a.grad, b.grad]


def vectors(m):
    v = m.Vector([0.5, 1.5, -2.0])
    w = (v * 2.0 + v[0]).tanh() / [2.0, 3.0, 4.0]
    (w @ v + w.max() + w[1:3].mean()).backward()
    return [w.data, v.grad]


def many_operands(m):
    x = [m.Value(0.1 * i) for i in range(6)]
    y = m.softmax(x)[1] * m.logsumexp(x) + m.rms_norm(x)[0] + m.log_softmax(x)[2]
    y = y + m.scaled_dot_product_attention(x[:2], [x[:2], x[2:4]], [x[2:4], x[:2]])[0]
    y = y + m.linear([x[:2], x[2:4]], [x[1:3], [1.0, 2.0]], [x[0], 0.5]).sum() + m.dot(x, x, 1.0)
    y = y + m.cross_entropy([x[:3], x[3:]], [0, 1]) + m.hinge_loss(x[:2], [1, -1])
    y.backward()
    return [v.grad for v in x]


def layers(m):
    model, a = m.MLP(2, [3, 1], activation="tanh", seed=3), m.Value(0.5)
    m.mse_loss(model([[0.1, 0.2], [a, 0.3]]), [1.0, 0.5]).backward()
    state = model.state_dict()
    model.load_state_dict(state)
    return [p.grad for p in model.parameters()] + [a.grad]


def tapes(m):
    a, b = m.Value(0.5), m.Value(-1.5)
    tape = m.Tape((a * b).tanh() + a.exp() * b)
    tape.forward()
    tape.backward()
    tape.set([a, b], [0.3, 0.2])
    other = m.Tape(m.softmax([a, b, a * b])[1])
    return [tape.forward(), other.forward(), a.grad, b.grad]


def optimisers(m):
    params, vector = [m.Value(0.1 * i) for i in range(10)], m.Vector([0.5] * 20)
    first, second = m.Adam([*params, vector]), m.SGD(params, 0.1, momentum=0.9)
    (sum(p * p for p in params) + vector.sum()).backward()
    first.step()
    second.step()
    first.load_state_dict(first.state_dict())
    return [p.data for p in params] + vector.data


def custom_and_shown(m):
    a = m.Value(2.0, label="a")
    c = m.Value(4.0, (a, a), "twice", local_grads=(1.0, 2.0))
    c.backward()
    return [a.grad, repr(c), len(m.trace(c)[0]), len(c.operands), m.explain(c, a).count]


PROGRAMS = [arithmetic, vectors, many_operands, layers, tapes, optimisers, custom_and_shown]


def every_allocation_fails(program, m):
    """How many times a program ran with one; the program has to be right after each."""
    import ctypes

    library = ctypes.CDLL(None)
    library.fail_after.argtypes = [ctypes.c_long]
    program(m)
    expected, count, failed = program(m), 0, True
    while failed:
        got = None
        try:
            library.fail_after(count)
            got = program(m)
        except MemoryError:
            pass
        failed = library.has_failed()
        if got not in (None, expected):
            raise AssertionError(f"{got} where allocation {count} failed, not {expected}")
        if (got := program(m)) != expected:
            raise AssertionError(f"{got} after allocation {count} failed, not {expected}")
        count += 1
    return count - 1


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("allocations") / "allocations.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", path, SOURCE], check=True)
    return path


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_allocation_may_fail(backend, program, library):
    if backend.name != "cython_core":
        return  # it alone allocates by itself
    script = f"""
import importlib, sys
sys.path[:] = {sys.path!r}
from reliability import test_failing_allocations as tests
m = importlib.import_module({backend.name!r})
print(tests.every_allocation_fails(tests.{program.__name__}, m))
"""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", script],
        env=os.environ | {"LD_PRELOAD": str(library), "PYTHONMALLOC": "malloc"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 0
