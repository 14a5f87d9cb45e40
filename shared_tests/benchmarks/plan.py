"""Which contests there are, who takes part in each, and at which sizes.

In every contest the first contestant's numbers are the reference.
"""

from __future__ import annotations

import math
from typing import Any

from .contest import Contest, Contestant
from .worker import BACKENDS

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
MOONS = {"name": "moons"}
NETWORKS = [([64, 128, 128, 10], 256), ([784, 256, 128, 10], 128), ([784, 512, 512, 10], 1024)]
SMALL = [2, 16, 16, 1]


def size_name(nodes: int) -> str:
    return "10" + "⁰¹²³⁴⁵⁶⁷⁸⁹"[round(math.log10(nodes))]


def contests(quick: bool) -> list[list[Contest]]:
    """By workload: the contests whose contestants can keep their processes."""
    return [
        graphs("chain", quick),
        graphs("dag", quick),
        growth("chain", quick),
        growth("dag", quick),
        memory(quick),
        moons(quick),
        networks(quick),
        gpt(quick),
        imports(quick),
    ]


def who(name: str, make: str, *, ours: bool = False, **settings: Any) -> Contestant:
    """A contestant; what is no setting of its process is an argument of its workload."""
    own = {k: settings.pop(k) for k in ("threads", "collector") if k in settings}
    return Contestant(name, make, settings, peer=not ours, **own)


# Graphs of single operations ------------------------------------------------------------------


def graphs(kind: str, quick: bool) -> list[Contest]:
    """Build, backward and free; and the graph recorded once and replayed."""
    if quick:
        sizes = SIZES[:4] if kind == "chain" else (10_000, 1_000_000)
    else:
        sizes = SIZES
    made = []
    for nodes in sizes:
        of = {"kind": kind, "nodes": nodes}

        def values(name: str, engine: str, of: dict[str, Any] = of, **more: Any) -> Contestant:
            ours = engine in BACKENDS
            return who(name, "chain:of_values", ours=ours, engine=engine, **of, **more)

        entered = [  # each up to which size, in a full run
            (10_000_000, values("cython_core", "cython_core")),
            (10_000_000, who("float", "chain:of_floats", **of)),
            (1_000_000, values("pure_python", "pure_python")),
            (100_000, values("pure_python, collector off", "pure_python", collector=False)),
            (100_000, values("numpy_vectorized", "numpy_vectorized")),
            (100_000, values("slots Value", "slots")),
            (100_000, values("micrograd", "micrograd")),
            (100_000, values("micrograd, collector off", "micrograd", collector=False)),
            (10_000, who("torch", "chain:of_torch", **of)),
            (1_000, who("autograd", "chain:of_autograd", **of)),
            (1_000, who("mygrad", "chain:of_mygrad", **of)),
        ]
        if kind == "dag":  # the slowest take ten times as long on it
            entered = entered[:2] + [(most // 10, c) for most, c in entered[2:]]
        if quick:
            entered = entered[:2] + [(min(most, 10_000), c) for most, c in entered[2:]]
        playing = [c for most, c in entered if nodes <= most]
        rounds = 7 if 100_000 <= nodes <= 1_000_000 else None  # a round takes seconds
        made.append(Contest(kind, size_name(nodes), playing, rounds=None if quick else rounds))
    for nodes in (10_000,) if quick else (1_000, 100_000):
        of = {"kind": kind, "nodes": nodes}
        playing = [
            who(f"{b}, Tape", "chain:of_tape", ours=True, engine=b, **of)
            for b in reversed(BACKENDS)
        ]
        playing.append(who("casadi", "chain:of_casadi", **of))
        if nodes == 1_000:  # its compiler takes minutes for more
            playing.append(who("jax", "chain:of_jax", **of))
        made.append(Contest(kind, f"{size_name(nodes)}, replayed", playing))
    return made


def growth(kind: str, quick: bool) -> list[Contest]:
    """One operation of cython_core in graphs of all sizes: each its own process, all in turn."""
    of = {"kind": kind, "engine": "cython_core"}
    playing = [
        who(size_name(nodes), "chain:of_values", ours=True, nodes=nodes, **of)
        for nodes in (SIZES[1:4] if quick else SIZES[1:])
    ]
    return [Contest(kind, "growth", playing, tolerance=math.inf)]


def memory(quick: bool) -> list[Contest]:
    """Bytes a node, and what is left: in a fresh process each time."""
    entered = [("cython_core", 1_000_000)]
    if not quick:
        entered += [("cython_core", 10_000_000), ("numpy_vectorized", 100_000)]
        entered += [("slots", 100_000), ("micrograd", 100_000)]
    entered.append(("pure_python", 100_000))
    made = []
    for kind in ("chain",) if quick else ("chain", "dag"):
        playing = [
            who(
                f"{engine}, {size_name(nodes)}",
                "resources:Memory",
                ours=engine in BACKENDS,
                kind=kind,
                nodes=nodes,
                engine=engine,
            )
            for engine, nodes in entered
        ]
        rounds = 1 if quick else 3
        made.append(Contest("memory", kind, playing, math.inf, rounds=rounds, fresh=True))
    return made


# Networks -------------------------------------------------------------------------------------


def moons(quick: bool) -> list[Contest]:
    """The full-batch step on two moons, in every style and by every peer."""
    playing = []
    for b in reversed(BACKENDS):
        of = {"ours": True, "engine": b}
        taped = {"problem": MOONS, **of}
        playing += [
            who(f"{b}, script", "networks:script", **of),
            who(f"{b}, vector style", "networks:vector_style", **of),
            who(f"{b}, batched", "networks:batched", **taped),
            who(f"{b}, Tape of the batch", "networks:tape", style="batched", **taped),
            who(f"{b}, Tape of the script", "networks:tape", style="script", **taped),
        ]
        if b != "numpy_vectorized":
            playing += [
                who(f"{b}, atomic", "networks:atomic", **of),
                who(f"{b}, Tape of atoms", "networks:tape", style="atomic", **taped),
            ]
    if quick:  # without what is slow and has no target
        slow = ("numpy_vectorized, script", "pure_python, atomic")
        playing = [c for c in playing if c.name not in slow and "python, Tape" not in c.name]
    else:
        playing.append(who("slots Value, atomic", "networks:atomic", engine="slots"))
    pure = {"ours": True, "engine": "pure_python"}
    micrograd, off = {"engine": "micrograd"}, {"collector": False}
    playing += [
        who("pure_python, script, collector off", "networks:script", **pure, **off),
        who("micrograd, script", "networks:script", **micrograd),
        who("micrograd, script, collector off", "networks:script", **micrograd, **off),
        who("NumPy by hand", "networks:by_hand", problem=MOONS),
        who("torch, L2 in the loss", "networks:of_torch", problem=MOONS, decay=False),
        who("torch", "networks:of_torch", problem=MOONS),
        who("torch, 2 threads", "networks:of_torch", problem=MOONS, threads=2),
        who("jax", "networks:of_jax", problem=MOONS),
        who("casadi", "networks:of_casadi"),
        who("autograd", "networks:of_autograd", problem=MOONS),
        who("mygrad", "networks:of_mygrad", problem=MOONS),
    ]
    return [Contest("moons", "a step", playing, rounds=3 if quick else None)]


def networks(quick: bool) -> list[Contest]:
    """Training steps of numpy_vectorized beside NumPy by hand, torch and jax, by threads."""
    cases = [(SMALL, 100, "float64")]
    for sizes, batch in NETWORKS[: 1 if quick else None]:
        cases += [(sizes, batch, dtype) for dtype in ("float32", "float64")]
    made = []
    for sizes, batch, dtype in cases:
        of = {"problem": {"name": "drawn", "sizes": sizes, "batch": batch, "dtype": dtype}}
        playing = []
        for threads in (1,) if quick else (1, 2):
            end = f", {threads} thread" + "s" * (threads > 1)
            of["threads"] = threads
            mine = {"ours": True, "engine": "numpy_vectorized", **of}
            playing += [
                who("NumPy by hand" + end, "networks:by_hand", **of),
                who("numpy_vectorized" + end, "networks:batched", **mine),
                who(
                    "numpy_vectorized, Tape" + end,
                    "networks:tape",
                    style="batched",
                    **mine,
                ),
                who("torch" + end, "networks:of_torch", **of),
                who("jax" + end, "networks:of_jax", **of),
            ]
        tolerance = 1e-9 if dtype == "float64" else 1e-6
        case = f"({','.join(map(str, sizes))}) x {batch}, {dtype}"
        made.append(Contest("networks", case, playing, tolerance))
    return made


def gpt(quick: bool) -> list[Contest]:
    """A step of the small GPT on one document."""
    playing = [who("slots Value, scalar style", "gpt:scalar_style", engine="slots")]
    for style, make in (("scalar style", "gpt:scalar_style"), ("vector style", "gpt:vector_style")):
        playing += [
            who(f"{b}, {style}", make, ours=True, engine=b)
            for b in reversed(BACKENDS)
            if not (quick and (b, style) == ("numpy_vectorized", "scalar style"))
        ]
    playing += [who("torch", "gpt:of_torch"), who("jax", "gpt:of_jax")]
    if not quick:
        playing.append(who("torch, 2 threads", "gpt:of_torch", threads=2))
    return [Contest("gpt", "a step", playing, rounds=3 if quick else None)]


def imports(quick: bool) -> list[Contest]:
    """A first import, in a fresh interpreter."""
    playing = [
        who(f"import {name}", "resources:Import", ours=name in BACKENDS, module=name)
        for name in (*reversed(BACKENDS), "numpy", "torch")
        if not (quick and name == "torch")
    ]
    return [Contest("imports", "first import", playing)]
