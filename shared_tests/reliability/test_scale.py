"""The short forms of scale.py, and what an interrupted backward leaves (rule 1.26)."""

import math
import sys

import pytest

from cases.processes import run_script
from reliability import scale

NODES = {"pure_python": 30_000, "numpy_vectorized": 20_000, "cython_core": 1_000_000}

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as POSIX has them")
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does it")


def nodes(backend):
    return NODES.get(backend.name, 20_000)


@pytest.mark.parametrize("shape", ["chain", "tree", "fan"])
def test_large_graphs(backend, shape):
    """Rule 1.11: the gradients are those of the closed form, else the script fails."""
    got = run_script(
        backend,
        "from reliability import scale\nresult.update(scale.large(m, shape, n))",
        shape=shape,
        n=nodes(backend),
    )
    assert got["free"] < 20_000.0, f"freeing a {shape} takes {got['free']:.0f} ns a node"


def test_memory_is_back_in_whichever_order_graphs_go(backend):
    got = run_script(
        backend,
        """
from reliability import scale
for order in scale.ORDERS:
    result[order] = scale.dropped(m, order, 1500)["left"]
""",
    )
    assert {order: left for order, left in got.items() if left > scale.LEFT} == {}


@posix
def test_deep_graphs_on_a_small_stack(backend):
    """Rule 1.11: nothing that walks over a graph recurs."""
    found = scale.run("on_a_small_stack", backend.name, 12_000, stack=256 * 1024)
    assert isinstance(found, dict), f"{backend.name} ended on a stack of 256 KiB: {found}"
    assert [name for name, holds in found.items() if not holds] == []


WORKS = ["backward", "recording a Tape", "Tape.forward", "a layer", "backward of a layer"]


@posix
@pytest.mark.parametrize("work", WORKS)
def test_ctrl_c_is_answered_before_the_work_is_done(backend, work):
    if backend.name == "numpy_vectorized" and work.endswith("a layer"):
        n, enough = 20_000, 2.0  # a product of matrices is one call of NumPy
    else:
        n, enough = nodes(backend), 0.5
    got = run_script(
        backend,
        """
from reliability import scale
for _ in range(12):
    found = scale.latencies(m, n, [work])[work]
    result.setdefault("right", []).append(found["right"])
    if found["waits"][0] is not None:  # the first of the signals comes early
        result.setdefault("parts", [1.0]).append(found["waits"][0] / found["seconds"])
        if result["parts"][-1] < 0.5:
            break
""",
        n=n,
        work=work,
    )
    assert all(got["right"]), f"{work}: wrong numbers after it was interrupted"
    assert min(got["parts"]) < enough, f"{work}: Ctrl-C waits until it is done"


@posix
def test_an_interrupted_backward_and_the_next_one(backend):
    """Rule 1.26: leaves have got a part; elements that were not reached keep their gradients."""
    got = run_script(
        backend,
        """
from reliability import scale
x = m.Value(2.0)
v = m.softmax([x, 1.0, 2.0])
root, (leaf,), _ = scale.chain(m, n)
root = root + v[0]
result["partial"] = False
for after in (0.3, 0.7, 0.5, 0.8, 0.1, 0.6, 0.9) * 4:
    v.grad = [5.0, 6.0, 7.0]
    leaf.zero_grad()
    start = scale.time.perf_counter()
    root.backward()
    took = scale.time.perf_counter() - start
    leaf.zero_grad()
    v.grad = [5.0, 6.0, 7.0]
    scale.interrupted(root.backward, after * took)
    if 0.0 < leaf.grad < n:
        result["partial"] = True
        result["kept"] = list(v.grad)[1:]
        break
leaf.zero_grad()
x.zero_grad()
root.backward()
result["grads"] = [leaf.grad, x.grad]
""",
        n=nodes(backend),
    )
    y = math.exp(2.0) / (2 * math.exp(2.0) + math.exp(1.0))
    assert got["grads"][0] == nodes(backend)
    assert got["grads"][1] == pytest.approx(y * (1 - y), rel=1e-12)
    assert got["partial"], "Ctrl-C waits until backward is done"
    if backend.name == "cython_core":  # the others begin all gradients at zero
        assert got["kept"] == [6.0, 7.0]


@posix
def test_a_signal_handler_may_use_the_engine(backend):
    """It computes; where it cannot run backward it is told so, and the backward under way is right."""
    got = run_script(
        backend,
        """
import signal
from reliability import scale
root, (leaf,), _ = scale.chain(m, n)
heard = []
def handler(number, frame):
    try:
        heard.append(scale.small_program(m) == scale.SMALL)
    except RuntimeError as error:
        heard.append("signal handler" in str(error))
signal.signal(signal.SIGALRM, handler)
for _ in range(20):
    leaf.zero_grad()
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    root.backward()
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    result.setdefault("grads", set()).add(leaf.grad)
result["grads"] = sorted(result["grads"])
result["heard"] = len(heard)
result["right"] = all(heard) and scale.small_program(m) == scale.SMALL
""",
        n=nodes(backend),
    )
    assert got["grads"] == [nodes(backend)]
    assert got["heard"] > 0 and got["right"]


@linux
@pytest.mark.parametrize("what", list(scale.too_large(scale.PURE)))
def test_out_of_memory(backend, what):
    """Rule 1.26: MemoryError, and a small program is right when the large one is dropped."""
    if backend.name != "cython_core" and what not in ("nodes", "Values"):
        return  # Python's own allocations, which raise as they always do
    megabytes = 120 if backend.name == "cython_core" else 30
    found = scale.run("out_of_memory", backend.name, what, megabytes)
    assert isinstance(found, dict), f"out of memory for {what}: {found}"
    assert found["errors"] == 3 * ["MemoryError"] and all(found["right"])
