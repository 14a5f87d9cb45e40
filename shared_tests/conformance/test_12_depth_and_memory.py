"""Very deep graphs, and memory that comes back (rule 1.11)."""

import gc
import sys

import pytest

from cases.processes import run_script

# Each script runs in a process of its own: recursion there may crash, and memory is measured.

CHAIN = """
import copy, pickle
from time import process_time  # others on this machine change nothing
m.draw_dot(m.Value(1.0))  # loads libraries
x = m.Value(1.0)
start = process_time()
acc = m.Value(0.0)
middle = None
tag = "".join(["a label ", "that is counted"])
bare = sys.getrefcount(tag)
for i in range(n):
    acc = acc + x
    if i == n // 2:
        acc.label = tag
result["data"] = acc.data
acc.backward()
result["grad"] = x.grad
built = process_time() - start
start = process_time()
try:
    m.draw_dot(acc)
except ValueError as error:
    result["refusal"] = str(error)
result["refused in"] = (process_time() - start) / built
result["copies"] = [copy.copy(acc).data, copy.deepcopy(acc).data, pickle.loads(pickle.dumps(acc)).data]
if traced:
    nodes, edges = m.trace(acc)
    result["traced"] = [len(nodes), len(edges)]
    del nodes, edges
result["held"] = sys.getrefcount(tag) - bare
del acc
result["left"] = sys.getrefcount(tag) - bare
"""


def check_chain(backend, n, traced):
    got = run_script(backend, "import gc\ngc.disable()\n" + CHAIN, n=n, traced=traced)
    assert got["data"] == n and got["grad"] == n, (
        f"data {got['data']}, grad {got['grad']}, expected {n}"
    )
    assert "max_nodes" in got.get("refusal", ""), (
        "drawing it should be refused with a ValueError that names max_nodes"
    )
    assert got["refused in"] < 0.2, (
        f"refusing took {got['refused in']:.2f} of the time that the graph and its gradients took: "
        "do not walk all of it"
    )
    assert got["copies"] == [n, n, n]
    assert not traced or got["traced"] == [2 + n, 2 * n]
    assert got["held"] > 0 and got["left"] == 0, "the graph is not freed when its root goes"


def test_a_chain_of_a_million(backend):
    """Built, differentiated, refused to be drawn, copied, traced and freed."""
    check_chain(backend, 1_000_000, traced=True)
    if backend.name == "cython_core":  # the compiled engine goes ten times as deep
        check_chain(backend, 10_000_000, traced=False)


def test_a_deep_graph_of_vectors(backend):
    """Rule 1.11: Vectors, fused nodes and a Tape go as deep as Values."""
    got = run_script(
        backend,
        """
import gc
gc.disable()
v = w = m.Vector([1.0, 2.0])
for i in range(20_000):
    w = w + v
    if i % 10 == 0:
        w = m.softmax(w)
loss = w.sum()
tape = m.Tape(loss)
tape.forward()
loss.backward()
result["nodes"] = len(tape)
del tape, loss, w
""",
    )
    assert got["nodes"] > 20_000


def test_wide_graphs_take_no_more_time_a_node(backend):
    """Nothing is quadratic: one Value with 200,000 uses, one sum of 200,000 terms, one dot of as
    many.
    """
    got = run_script(
        backend,
        """
import time
x = m.Value(1.0)
start = time.perf_counter()
terms = [x * 1.0 for _ in range(200_000)]
m.Vector(terms).sum().backward()
result["grad"] = x.grad
m.dot(terms, [2.0] * len(terms)).backward()
result["again"] = x.grad
result["seconds"] = time.perf_counter() - start
""",
    )
    assert (got["grad"], got["again"]) == (200_000.0, 600_000.0)
    assert got["seconds"] < 20.0, f"it took {got['seconds']:.0f} s: something is quadratic"


MEASURE = """
import gc, resource
gc.disable()
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
X = [[0.1 * i, 1.0 - 0.2 * i] for i in range(12)]
y = [1.0 if i % 3 else -1.0 for i in range(12)]
model = m.MLP(2, [8, 1], activation="tanh", seed=1)
"""

ACTIVITIES = {
    "training as a micrograd user writes it": """
def step():
    losses = [(1 - t * model(x)).relu() for x, t in zip(X, y)]
    loss = sum(losses) * (1.0 / len(losses))
    model.zero_grad()
    loss.backward()
    for p in model.parameters():
        p.data -= 0.01 * p.grad
""",
    "training in batches": """
optimiser = m.Adam(model.parameters())
def step():
    loss = m.hinge_loss(model(X), y)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    optimiser.state_dict()
    model.state_dict()
""",
    "graphs that never go backward": """
def step():
    m.mse_loss(model(X), y)
    m.softmax([model(x) for x in X])
""",
    "recording and replaying": """
def step():
    tape = m.Tape(m.hinge_loss([model(x) for x in X], y))
    tape.forward()
    tape.backward()
""",
    "vectors": """
def step():
    v = m.Vector(y)
    w = (v * 2.0 + v[0]).tanh() / ([2.0] * len(y))
    (w @ v + w.max() + w[1:3].mean()).backward()
    v.zero_grad()
""",
    "errors": """
v = m.Value(-1.0)
def step():
    for bad in (lambda: (v * 2.0).log(), lambda: v / 0, lambda: v + "a", lambda: model([1.0]),
                lambda: m.Vector([v, "a"]), lambda: m.dot([v], [v, v]), lambda: m.Value("a")):
        try:
            bad()
        except (ValueError, TypeError, ZeroDivisionError):
            pass
""",
    "custom operations, no_grad, copies": """
import copy, pickle
def step():
    v = m.Value(2.0, label="v")
    w = m.Value(4.0, (v, v), "twice", local_grads=(1.0, 1.0))
    w.backward()
    with m.no_grad():
        model(X)
    copy.deepcopy(w)
    pickle.loads(pickle.dumps(w))
    w.detach()
""",
    "tracing and drawing": """
def step():
    f = (m.Value(2.0) * m.Value(3.0) + 1.0).tanh()
    m.trace(f)
    repr(f), f.operands
    m.trace(m.Neuron(2, seed=1)(X[0]))
""",
}


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_memory_stays_what_it_was(backend, activity):
    """After 1,000 steps with the garbage collector off, memory is what it was after 10."""
    got = run_script(
        backend,
        MEASURE
        + ACTIVITIES[activity]
        + """
for _ in range(10):
    step()
result["before"] = peak()
for _ in range(990):
    step()
result["after"] = peak()
""",
    )
    growth = got["after"] - got["before"]
    assert growth < 3.0, (
        f"{activity}: memory grew by {growth:.1f} MB in 990 steps without the garbage collector: "
        "something keeps the old graphs alive (a reference cycle, a global tape)"
    )


USES = {
    "arithmetic": lambda m, x: (x * 2.0 + x).tanh(),
    "a Vector": lambda m, x: (m.Vector([x, x * 2.0]) * 3.0).sum(),
    "dot": lambda m, x: m.dot([x, 1.0], [2.0, x]),
    "softmax": lambda m, x: m.softmax([x, 1.0, x])[2],
    "attention": lambda m, x: m.scaled_dot_product_attention([x], [[x], [1.0]], [[x], [2.0]])[0],
    "a loss": lambda m, x: m.mse_loss([x, x * x], [1.0, 2.0]),
    "a neuron": lambda m, x: m.Neuron(2, seed=1)([x, 1.0]),
    "a network": lambda m, x: m.MLP(2, [3, 1], seed=1)([x, 1.0]),
    "a batch": lambda m, x: m.MLP(2, [3, 1], seed=1)([[x, 1.0], [2.0, x]])[1],
    "a custom operation": lambda m, x: m.Value(1.0, (x,), "f", local_grads=(2.0,)),
}


@pytest.mark.parametrize("use", USES)
def test_freed_the_moment_the_root_goes(backend, use):
    """No reference cycles: the leaf and its label go with the root, without the garbage collector."""
    tag = "".join(["a label ", "that is counted"])
    bare = sys.getrefcount(tag)
    gc.collect()
    gc.disable()
    try:
        # Not the leaf itself: with the tensor extension it may have been copied into an array.
        leaf = backend.Value(0.5)
        x = leaf * 1.0
        x.label = tag
        root = USES[use](backend, x)
        root.backward()
        backend.trace(root)
        backend.Tape(leaf * 1.0).forward()
        del x, root
        left = sys.getrefcount(tag) - bare
    finally:
        gc.enable()
    assert left == 0, f"{use}: something still refers to the graph after its root has gone"
