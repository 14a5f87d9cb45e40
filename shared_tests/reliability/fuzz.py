"""Random programs that treat the compiled core as badly as Python allows.

    python -m reliability.fuzz [--minutes 60 | --programs 2000] [--seed 1] [--record]
    python -m reliability.fuzz --show 1234          # the program of a seed

A program is some lines of Python that call what cython_core has: every class, function, method and
attribute, found by looking, with objects of every kind (reliability.hostile). It follows from its seed
alone. Each line may raise what Python documents for bad input, and nothing else may happen: no crash,
no SystemError, no hang, no exception that is only printed, no Value and no memory left behind; and
afterwards a small network still learns to the bits of pure_python. Programs run by the hundred in
a process of their own. If it dies, the program that ran is made as short as it can be and printed.

Why not an existing fuzzer: one that follows coverage (atheris) needs clang and the interpreter's
help; one that shrinks in its own process (Hypothesis) ends where the process does. Here the input is
not bytes but calls, and a seed and a list of lines are all that is needed to name and shorten one.
"""

from __future__ import annotations

import argparse
import contextvars
import copy
import faulthandler
import gc
import inspect
import json
import os
import pickle
import random
import subprocess
import sys
import tempfile
import time
import types
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cases.contract import ACTIVATIONS

from .record import record

SECONDS = 30  # that a program may take before it counts as hanging
AT_ONCE = 1000  # programs in one process
CHECKED = 50  # programs between two looks at whether the numbers are right
REPEATED = 100  # programs between two that are run again and again, to see their memory grow

# What bad input raises. RuntimeError has RecursionError and NotImplementedError below it, ValueError
# what is wrong with text, ArithmeticError what Decimal and Fraction add.
DOCUMENTED = (
    *(TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError, IndexError, KeyError),
    *(MemoryError, BufferError, OSError, ImportError, StopIteration, NameError),
    *(pickle.PickleError, copy.Error),
)
FAULTS = (SystemError, UnboundLocalError)

MODULES = ("engine", "functional", "nn", "optim")
UNTOUCHED = {"__class__", "__subclasshook__", "__init_subclass__", "__dir__", "__getattribute__"}
UNTOUCHED |= {"__annotations__"}  # a dict of the class, which keeps what is put into it


class Written:
    """What there is to call, found by looking into the package."""

    def __init__(self) -> None:
        import cython_core as m

        found: dict[str, Any] = {name: getattr(m, name) for name in m.__all__}
        self.homes = {name: "m" for name in found}
        for name in MODULES:
            module = getattr(m, name)
            for key, thing in vars(module).items():
                public = not key.startswith("_") and key not in found
                if public and callable(thing) and home_of(thing).startswith("cython_core"):
                    found[key] = thing
                    self.homes[key] = f"m.{name}"
        self.classes = {k: v for k, v in found.items() if isinstance(v, type)}
        self.functions = {k: v for k, v in found.items() if callable(v) and not isinstance(v, type)}
        self.attributes = {k: attributes_of(k, v, m) for k, v in self.classes.items()}
        self.names = [*self.functions, *self.classes]
        self.names += [f"{k}.{a}" for k, names in self.attributes.items() for a in names]

    def arguments(self, thing: Any) -> list[str]:
        try:
            return [p.name for p in inspect.signature(thing).parameters.values()]
        except (TypeError, ValueError):
            return ["other"]


def home_of(thing: Any) -> str:
    return str(getattr(thing, "__module__", None) or "")


def attributes_of(name: str, kind: type, m: Any) -> list[str]:
    """The names of a class, and those that an instance of it has besides."""
    names = set(dir(kind))
    example = EXAMPLES.get(name)
    if example:
        names |= set(dir(eval(example, {"m": m})))
    return sorted(name for name in names - UNTOUCHED if not name.startswith("__pyx"))


EXAMPLES = {
    "Value": "m.Value(1.0)",
    "Vector": "m.Vector([1.0, 2.0])",
    "Tape": "m.Tape(m.Value(1.0) * 2.0)",
    "no_grad": "m.no_grad()",
    "Neuron": "m.Neuron(2)",
    "Layer": "m.Layer(2, 2)",
    "MLP": "m.MLP(2, [2, 1])",
    "SGD": "m.SGD([m.Value(1.0)], 0.1, momentum=0.5)",
    "Adam": "m.Adam([m.Value(1.0)])",
    "AdamW": "m.AdamW([m.Value(1.0)])",
    "Perceptrons": "m.Layer(2, 2)._perceptrons",
    "Stack": "stack()",
    "Stretches": "stretches()",
}
del EXAMPLES["Stack"], EXAMPLES["Stretches"]

NUMBERS = (
    *("0", "1", "-1", "2.5", "0.5", "-0.0", "nan", "inf", "-inf", "10**400", "-2**63", "2**64"),
    *("True", "1e308", "5e-324", "Fraction(1, 3)", "Decimal('1.5')", "Whole(2)", "Double(2.5)"),
    *("np.float64(1.5)", "np.float32(2)", "np.int64(3)", "np.array(1.0)", "1j", "3"),
)
OTHERS = (
    *("None", "'abc'", "b'ab'", "''", "object()", "...", "slice(None, None, 2)", "slice(1, 9**9)"),
    *(
        "range(3)",
        "{}",
        "{1.0: 2.0}",
        "set()",
        "()",
        "[]",
        "iter([1.0, 2.0])",
        "(x for x in [1.0])",
    ),
    *("int", "len", "NotImplemented", "m.Value", "m", "Value.__new__(Value)", "Vector.__new__(W)"),
    *(
        "pure.Value(2.0)",
        "pure.Vector([1.0, 2.0])",
        "tensor.Value(3.0)",
        "tensor.Value([1.0, 2.0])",
    ),
    *(
        "Lazy()",
        "Lazy.__new__(V)",
        "Tape.__new__(Tape)",
        "bytearray(16)",
        "memoryview(b'abcdefgh')",
    ),
    *("endless", "deep(400)", "deep(3)", "m.no_grad()", "MLP.__new__(MLP)", "Adam.__new__(Adam)"),
)
SMALL = ("1", "2", "3", "1", "2", "0", "-1", "True", "None", "1.5", "'2'", "Whole(2)")
WORDS = tuple(map(repr, (*ACTIVATIONS, "he", "xavier", "?")))
INTEGERS = ("__hash__", "__sizeof__")  # what they give Python would raise to powers for ever
OPERATORS = ("+", "-", "*", "/", "**", "@", "<", "<=", ">", ">=", "==", "//", "%", "in", "is")


class Writer:
    """Writes a program. The same seed, the same program."""

    def __init__(self, there: Written, seed: int) -> None:
        self.there, self.random = there, random.Random(seed)
        self.count, self.depth = 0, 0
        self.width = self.random.choice((1, 2, 2, 3, 4, 9))
        self.named: dict[str, list[str]] = {}
        self.used: list[str] = []

    def program(self) -> list[str]:
        lines = []
        if self.random.random() < 0.1:
            lines.append(f"gc.set_threshold({self.random.choice((1, 2, 7))})")
        for _ in range(self.random.choice((2, 4, 6, 8, 12, 20))):
            lines.append(self.line())
        return lines

    def line(self) -> str:
        r = self.random.random()
        names = [name for kind in self.named.values() for name in kind]
        if r < 0.04 and names:
            return f"del {self.random.choice(names)}"
        if r < 0.07:
            return f"garbage({self.action()})"
        if r < 0.09:
            return f"in_thread({self.action()})"
        if r < 0.13 and names:
            return f"gc.collect(); {self.random.choice(names)}"
        if r < 0.2:
            name = self.name("list")
            return f"{name} = {self.sequence()}"
        kind, expression = self.call()
        if kind == "set":
            return expression
        return f"{self.name(kind)} = {expression}"

    def name(self, kind: str) -> str:
        self.count += 1
        name = f"v{self.count}"
        self.named.setdefault(kind, []).append(name)
        return name

    def call(self) -> tuple[str, str]:
        """Something that cython_core has, and the kind of what it should give."""
        r = self.random.random()
        there = self.there
        if r < 0.2:
            name = self.random.choice(("Value", "Vector", "Tape", "MLP", "Layer", "Neuron", "Adam"))
            if self.random.random() < 0.3:
                name = self.random.choice(list(there.classes))
            return name, self.called(name, f"{there.homes[name]}.{name}", there.classes[name])
        if r < 0.4:
            name = self.random.choice(list(there.functions))
            kind = "Vector" if "softmax" in name or name in VECTORS else "Value"
            return kind, self.called(name, f"{there.homes[name]}.{name}", there.functions[name])
        kind = self.random.choice(("Value", "Vector", "Value", "Vector", *there.classes))
        owner = self.of(kind)
        if r < 0.5:
            operator = self.random.choice(OPERATORS)
            left, right = owner, self.anything()
            if self.random.random() < 0.3:
                left, right = right, left
            return kind, f"{left} {operator} {right}"
        if r < 0.56:
            return self.random.choice(
                (
                    (kind, f"{owner}[{self.anything()}]"),
                    ("Value", f"{owner}({self.sample()})"),
                    ("other", f"len({owner}), bool({owner}), repr({owner}), hash({owner})"),
                    ("other", f"float({owner}), format({owner}, {self.random.choice(FORMATS)})"),
                    (kind, f"copy.{self.random.choice(('copy', 'deepcopy'))}({owner})"),
                    (kind, f"pickle.loads(pickle.dumps({owner}))"),
                    (kind, f"-{owner}"),
                    ("list", f"list({owner})"),
                    ("set", f"with {owner}: {self.name('Value')} = {self.of('Value')} * 2.0"),
                )
            )
        attribute = self.random.choice(there.attributes[kind])
        self.used.append(f"{kind}.{attribute}")
        if r < 0.64:
            return "set", f"{owner}.{attribute} = {self.argument(attribute)}"
        if r < 0.68:
            return "other", f"{owner}.{attribute}"
        if r < 0.69:
            return "set", f"del {owner}.{attribute}"
        thing = getattr(there.classes[kind], attribute, None)
        arguments = there.arguments(thing)[1:] if callable(thing) else []
        if not callable(thing) and self.random.random() < 0.8:
            return "other", f"{owner}.{attribute}"
        gives = kind if kind in ("Value", "Vector") and attribute not in INTEGERS else "other"
        if r < 0.75 and callable(thing):  # of the class, so that anything can be its self
            path = f"{there.homes[kind]}.{kind}.{attribute}"
            return gives, f"{path}({self.arguments(['self', *arguments])})"
        return gives, f"{owner}.{attribute}({self.arguments(arguments)})"

    def called(self, name: str, path: str, thing: Any) -> str:
        self.used.append(name)
        return f"{path}({self.arguments(self.there.arguments(thing))})"

    def arguments(self, names: list[str]) -> str:
        given = []
        for i, name in enumerate(names):
            if i and self.random.random() < 0.4:
                break
            given.append(self.argument(name))
        if self.random.random() < 0.03:
            given.append(self.anything())
        if self.random.random() < 0.05:
            name = self.random.choice([*names, "unknown"])
            given.append(f"{name}={self.argument(name)}")
        return ", ".join(given)

    def argument(self, name: str) -> str:
        """One that suits the parameter's name, mostly."""
        if name in SIZES:
            if self.random.random() < 0.2:
                return f"[{', '.join(self.random.choice(SMALL) for _ in range(3))}]"
            return self.random.choice((str(self.width), *SMALL))
        if self.random.random() < 0.2:
            return self.anything()
        if name in ("x", "inputs", "logits", "predictions", "scores", "query"):
            return self.sample()
        if name in ("weight", "keys", "rows"):
            return self.rows()
        if name in ("activation", "init", "output_activation"):
            return self.random.choice(WORDS)
        if name in ("params", "leaves"):
            return f"{self.of(self.random.choice(('MLP', 'Layer')))}.parameters()"
        if name in ("root", "leaf"):
            return self.of(self.random.choice(("Value", "Vector")))
        if name in ("state", "path", "f", "model", "operands", "local_grads", "classes"):
            return {
                "state": f"{self.of('MLP')}.state_dict()",
                "path": "'written'",
                "f": "lambda *xs: sum(xs) * xs[0]",
                "model": self.of("MLP"),
                "operands": f"({self.of('Value')}, {self.of('Value')})",
                "local_grads": f"({self.number()}, {self.number()})",
                "classes": self.random.choice(("0", "1", "[0, 1]", f"[{self.number()}]")),
            }[name]
        if name in ("module", "n"):
            return self.of("MLP")
        if name in ("values", "vectors", "other", "index", "data", "grad", "targets", "labels"):
            return self.random.choice((self.sequence, self.number, self.value, self.rows))()
        return self.anything()

    def of(self, kind: str) -> str:
        """An instance: one there is, or a new one."""
        there = self.named.get(kind)
        if there and self.random.random() < 0.9:
            return self.random.choice(there)
        if kind == "Value":
            return f"m.Value({self.random.choice(('1.5', '-2.0', '0.5'))})"
        if kind == "MLP":
            name = self.random.choice(("MLP", "Layer"))
            return f"m.{name}({self.width}, {'[2, 1]' if name == 'MLP' else '2'})"
        if kind in ("SGD", "Adam", "AdamW"):
            return f"m.{kind}({self.of('MLP')}.parameters(), 0.1)"
        return EXAMPLES.get(kind, "m.Vector([1.0, 2.0])")

    def number(self) -> str:
        if self.random.random() < 0.5:
            return self.random.choice(("1.0", "2.0", "-0.5", "3.0"))
        if self.random.random() < 0.8:
            return self.random.choice(NUMBERS)
        return f"{self.random.choice(('Floating', 'Indexing'))}({self.action()}, {self.random.choice(NUMBERS)})"

    def value(self) -> str:
        r = self.random.random()
        if r < 0.7:
            return self.of("Value")
        if r < 0.8:
            return f"V({self.random.choice(NUMBERS)})"
        if r < 0.85:
            return f"acting(V(1.0), {self.action()})"
        if r < 0.9:
            return f"{self.of('Vector')}[0]"
        return f"Slotted({self.random.choice(NUMBERS)})"

    def sequence(self, length: int = -1) -> str:
        if length < 0:
            length = self.width if self.random.random() < 0.8 else self.random.choice((0, 1, 5, 70))
        r = self.random.random()
        if r < 0.25 and self.named.get("Vector"):
            return self.random.choice(self.named["Vector"])
        if r < 0.35 and self.named.get("list"):
            return self.random.choice(self.named["list"])
        if r < 0.4:
            return f"array('d', [0.5] * {length})"
        if r < 0.43:
            return f"np.ones({length})"
        if r < 0.46:
            return f"table([0.5] * {length}, ({self.random.choice(SMALL)}, {self.random.choice(SMALL)}))"
        if r < 0.5:
            return f"row([0.5] * {length}, {self.random.choice(('0', '2', '1000000'))})"
        if r < 0.54:
            return f"{self.random.choice(('Iterating', 'Sequencing', 'Pretending'))}({self.action()}, [0.5] * {length})"
        if r < 0.58:
            return f"W([1.0] * {length})"
        if length > 9:
            return f"[{self.element()}] * {length}"
        items = [self.element() for _ in range(length)]
        if r < 0.65:
            return f"({''.join(f'{item}, ' for item in items)})"
        return f"[{', '.join(items)}]"

    def element(self) -> str:
        return self.random.choice((self.number, self.value, self.value))()

    def rows(self) -> str:
        r = self.random.random()
        if r < 0.1:
            return f"np.ones((2, {self.width}))"
        if r < 0.2:
            return f"m.Vector([[0.5] * {self.width}] * 3)"
        length = self.width if self.random.random() < 0.9 else -1
        rows = [self.sequence(length) for _ in range(self.random.choice((1, 2, 3, 5)))]
        return f"[{', '.join(rows)}]"

    def sample(self) -> str:
        return self.random.choice((self.sequence, self.sequence, self.rows, self.anything))()

    def anything(self) -> str:
        r = self.random.random()
        if r < 0.25:
            return self.number()
        if r < 0.4:
            return self.value()
        if r < 0.6:
            return self.sequence()
        if r < 0.7:
            return self.rows()
        if r < 0.75:
            kind = self.random.choice(HOSTILE)
            return f"{kind}({self.action()}, {self.random.choice(NUMBERS)})"
        if r < 0.78:
            return f"word({self.action()})"
        if r < 0.8:
            return f"network(({self.anything() if self.depth < 3 else '1.0'}, ))"
        if r < 0.82:
            return f"acting(Odd({self.of('MLP')}.parameters()), {self.action()})"
        if r < 0.9:
            names = [name for kind in self.named.values() for name in kind]
            return self.random.choice(names or ["None"])
        return self.random.choice(OTHERS)

    def action(self) -> str:
        """What a hostile object does, as a function."""
        self.depth += 1
        try:
            r = self.random.random()
            names = [name for kind in self.named.values() for name in kind]
            lists = self.named.get("list")
            if r < 0.2 or self.depth > 2:
                return self.random.choice(("boom", "gc.collect", "lambda: None"))
            if r < 0.35 and names:
                return f"lambda: forget({self.random.choice(names)!r})"
            if r < 0.5 and lists:
                what = self.random.choice(
                    ("clear()", "append(1.0)", "pop()", "extend([2.0] * 99)", "reverse()")
                )
                return f"lambda: {self.random.choice(lists)}.{what}"
            if r < 0.55 and lists:
                name = self.random.choice(lists)
                return f"lambda: {name}.__setitem__(-1, {self.of('Value')} * 2.0)"
            if r < 0.65 and names:
                kind = self.random.choice([k for k, there in self.named.items() if there])
                return f"lambda: {self.random.choice(self.named[kind])}.__init__({self.anything()})"
            if r < 0.75:
                return f"lambda: {self.of(self.random.choice(('Value', 'Vector')))}.backward()"
            kind, expression = self.call()
            return "gc.collect" if kind == "set" else f"lambda: {expression}"
        finally:
            self.depth -= 1


VECTORS = {"linear", "concatenate", "rms_norm", "scaled_dot_product_attention", "logsumexp"}
SIZES = {"n_in", "n_out", "n_outs", "most", "max_nodes", "max_neurons", "seed", "generator"}
FORMATS = ("''", "'.3f'", "'x'", "'>9'", "'s'")
HOSTILE = (
    *("Floating", "Indexing", "Iterating", "Sequencing", "Comparing", "Pretending", "Dying"),
)


# Running programs, in a process that may die -----------------------------------------------------


def names() -> dict[str, Any]:
    """What a program may name."""
    from array import array
    from decimal import Decimal
    from fractions import Fraction

    import cython_core as m
    import pure_python as pure

    from . import hostile

    found: dict[str, Any] = {k: v for k, v in vars(hostile).items() if not k.startswith("_")}
    found |= {name: getattr(m, name) for name in ("Value", "Vector", "Tape", "MLP", "Adam")}
    found |= {"m": m, "pure": pure, "tensor": m, "array": array, "gc": gc, "copy": copy}
    found |= {"pickle": pickle, "nan": float("nan"), "inf": float("inf")}
    found |= {"Fraction": Fraction, "Decimal": Decimal, "deep": deep, "acting": acting}
    try:
        import numpy as np

        import numpy_vectorized as tensor

        found |= {"np": np, "tensor": tensor}
    except ImportError:
        found |= {"np": types.SimpleNamespace()}
    endless: list[Any] = []
    endless.append(endless)
    found["endless"] = endless
    return found


def deep(levels: int) -> Any:
    nested: Any = [1.0]
    for _ in range(levels):
        nested = [nested]
    return nested


def acting(thing: Any, action: Any) -> Any:
    thing.action = action
    return thing


class Fault(Exception):
    """What a program must not do."""


class Runner:
    def __init__(self) -> None:
        import cython_core as m
        import pure_python as pure

        from . import hostile

        self.hostile, self.names = hostile, names()
        self.cells = getattr(m.engine, "_cells_in_use", lambda: 0)
        self.unraisable: list[str] = []
        sys.unraisablehook = self.note
        self.expected = learned(pure)
        if learned(m) != self.expected:
            raise Fault("the network does not learn to the bits of pure_python from the start")
        self.m = m
        self.returned: Counter[str] = Counter()
        self.raised: Counter[str] = Counter()
        gc.collect()
        gc.freeze()

    def note(self, what: Any) -> None:
        """An exception that had nowhere to go. Those of a hostile __del__ have a reason."""
        if "hostile" not in getattr(getattr(what.object, "__code__", None), "co_filename", ""):
            self.unraisable.append(f"{what.exc_value!r} in {what.object!r}")

    def run(self, lines: list[str]) -> None:
        """Fault where something happens that must not."""
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        before = self.cells()
        self.unraisable.clear()
        contextvars.copy_context().run(self.run_lines, lines)
        gc.set_threshold(700)
        left = self.cells() - before
        if left:
            gc.collect()
            left = self.cells() - before
        if left:
            raise Fault(f"{left} Values or hidden nodes are left behind")
        if self.unraisable:
            raise Fault(f"printed only: {self.unraisable[0]}")
        faulthandler.cancel_dump_traceback_later()

    def run_lines(self, lines: list[str]) -> None:
        space = dict(self.names)
        space["forget"] = lambda name: space.pop(name, None)
        self.hostile.begin()
        for line in lines:
            try:
                exec(line, space)
                self.returned["lines"] += 1
            except FAULTS as error:
                raise Fault(f"{type(error).__name__} from {line}: {error}") from None
            except DOCUMENTED as error:
                self.raised[type(error).__name__] += 1
            except self.hostile.Boom:
                self.raised["Boom"] += 1
            except Exception as error:
                raise Fault(f"{type(error).__name__} from {line}: {error}") from None
        space["forget"] = None
        space.clear()

    def check_numbers(self) -> None:
        if learned(self.m) != self.expected:
            raise Fault("afterwards a network no longer learns to the bits of pure_python")

    def check_memory(self, lines: list[str]) -> None:
        """Whether memory grows with each run: the later looks leave caches time to fill.

        CPython itself keeps up to a few hundred blocks of instances that were asked for __reduce__.
        """
        for times in (8, 100, 1000):
            counts = []
            for _ in range(4):
                for _ in range(times):
                    self.run(lines)
                gc.collect()
                counts.append(sys.getallocatedblocks())
            growth = min(after - before for before, after in zip(counts, counts[1:], strict=False))
            if growth < 0.9 * times:
                return
        raise Fault(f"{growth / times:.1f} blocks of memory more with each run")


def learned(m: Any) -> list[float]:
    """What a small network has learnt, in all ways that there are to compute it."""
    model = m.MLP(2, [4, 1], activation="tanh", seed=7)
    optimiser = m.Adam(model.parameters(), lr=0.05)
    X, y = [[0.5, -1.0], [1.5, 2.0], [-0.25, 0.75]], [1.0, -1.0, 1.0]
    for _ in range(3):
        optimiser.zero_grad()
        loss = m.hinge_loss(model(X), y) + model(X[0]) * 0.5 + m.mean(m.softmax([*X[1]]))
        loss.backward()
        optimiser.step()
    a, b = m.Value(1.5), m.Value(-0.5)
    tape = m.Tape((a * b + a.sin() / (b * b + 1.0)).tanh())
    tape.set([a, b], [0.25, 3.0])
    replayed = tape.forward()
    tape.backward()
    v = m.Vector([a, b, 2.0])
    (v * v + v.exp()).sum().backward()
    return [p.data for p in model.parameters()] + [loss.data, replayed, a.grad, b.grad]


def work(first: int, count: int, until: float, progress: Path, limit: int) -> None:
    """The child: programs from the first seed on. It tells where it is, for it may not come back."""
    limit_memory(limit)
    there, runner = Written(), Runner()
    used: Counter[str] = Counter()
    done, seed = 0, first
    with open(progress, "r+b", buffering=0) as told:
        while done < count and time.time() < until:
            os.pwrite(told.fileno(), b"%020d" % seed, 0)
            writer = Writer(there, seed)
            lines = writer.program()
            used.update(writer.used)
            runner.run(lines)
            if seed % REPEATED == 0:
                runner.check_memory(lines)
            if seed % CHECKED == 0:
                runner.check_numbers()
            seed, done = seed + 1, done + 1
    runner.check_numbers()
    found = {"programs": done, "returned": runner.returned, "raised": runner.raised}
    print(json.dumps(found | {"used": used, "names": there.names}))


def limit_memory(more: int) -> None:
    """So that a size which is too large is a MemoryError and no matter for the whole machine."""
    if not more:
        return
    import resource

    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, resource.RLIM_INFINITY))


def run_file(path: str) -> None:
    """The child that runs one program of lines: again and again, to see its memory, too."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    limit_memory(int(os.environ.get("FUZZ_MEMORY", "0")))
    runner = Runner()
    runner.run(lines)
    runner.check_memory(lines)
    runner.check_numbers()


# The parent ------------------------------------------------------------------------------------


class Parent:
    def __init__(self, folder: Path, memory: int) -> None:
        self.folder, self.memory = folder, memory
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[1]),  # the child is at home in the folder
            "PYTHONHASHSEED": "0",
            "FUZZ_MEMORY": str(memory),
        }

    def child(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-X", "faulthandler", "-m", "reliability.fuzz", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )

    def fails(self, lines: list[str]) -> str:
        """How a program fails in a process of its own; "" where it does not."""
        path = self.folder / "program.py"
        path.write_text("\n".join(lines), encoding="utf-8")
        return ending_of(self.child("--file", str(path)))

    def shortened(self, lines: list[str]) -> tuple[list[str], str]:
        """The same failure with as few lines as may be."""
        how = self.fails(lines)
        if not how:
            return lines, ""
        size = max(1, len(lines) // 2)
        while True:
            i = 0
            while i < len(lines):
                fewer = lines[:i] + lines[i + size :]
                if fewer and kind_of(self.fails(fewer)) == kind_of(how):
                    lines = fewer
                else:
                    i += size
            if size == 1:
                return lines, self.fails(lines) or how
            size //= 2

    def finding(self, seed: int, run: subprocess.CompletedProcess[str]) -> str:
        lines = Writer(Written(), seed).program()
        short, alone = self.shortened(lines)
        how = alone or f"{ending_of(run)} (only after other programs)"
        return f"seed {seed}: {how}\n" + "\n".join(f"    {line}" for line in short)


def ending_of(run: subprocess.CompletedProcess[str]) -> str:
    """Why a child did not end well; "" where it did."""
    if run.returncode == 0:
        return ""
    lines = run.stderr.strip().splitlines()
    for mark in ("ERROR: AddressSanitizer", "runtime error:", "Timeout (", "Fatal Python error"):
        for line in lines:
            if mark in line:
                return line.strip()
    return lines[-1] if lines else f"ended with {run.returncode}"


def kind_of(how: str) -> str:
    return how[:40] if "Fault" in how else how[:20]


def seeds(parent: Parent, first: int, programs: int, until: float) -> Iterator[dict[str, Any]]:
    """What each process found. A fault ends its process; the next goes on behind it."""
    seed, last = first, first + programs
    progress = parent.folder / "progress"
    while seed < last and time.time() < until:
        progress.write_bytes(b"%020d" % seed)
        count = min(AT_ONCE, last - seed)
        run = parent.child("--work", str(seed), str(count), repr(until), str(progress))
        if run.returncode == 0:
            found = json.loads(run.stdout.splitlines()[-1])
            seed += found["programs"]
            yield found
        else:
            seed = int(progress.read_bytes())
            yield {"finding": parent.finding(seed, run), "stderr": run.stderr}
            seed += 1


def fuzz(first: int, programs: int, minutes: float, memory: int, tell: Callable[..., None]) -> Any:
    """What was found: the totals, and the findings as text."""
    total: Counter[str] = Counter()
    used: Counter[str] = Counter()
    raised: Counter[str] = Counter()
    findings, there = [], []
    until = time.time() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        for found in seeds(Parent(Path(folder), memory), first, programs, until):
            if "finding" in found:
                findings.append(found["finding"])
                tell(found["finding"])
                continue
            total["programs"] += found["programs"]
            total["returned"] += found["returned"].get("lines", 0)
            used.update(found["used"])
            raised.update(found["raised"])
            there = found["names"]
            if total["programs"] % 10_000 < AT_ONCE:
                tell(f"{total['programs']} programs, {len(findings)} findings")
    missed = [name for name in there if not used[name]]
    return total, raised, used, missed, findings


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.fuzz")
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--programs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--memory", type=int, default=2048, help="MB that a program may take")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--show", type=int)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    memory = arguments.memory << 20
    if arguments.show is not None:
        print("\n".join(Writer(Written(), arguments.show).program()))
        return 0
    if arguments.work:
        first, count, until, progress = arguments.work
        limit = int(os.environ["FUZZ_MEMORY"])
        work(int(first), int(count), float(until), Path(progress), limit)
        return 0
    if arguments.file:
        run_file(arguments.file)
        return 0
    minutes = arguments.minutes or (60.0 if not arguments.programs else 1e6)
    start = time.time()
    total, raised, used, missed, findings = fuzz(
        arguments.seed, arguments.programs or 10**12, minutes, memory, print_now
    )
    took = (time.time() - start) / 60
    calls = total["returned"] + sum(raised.values())
    figures = (
        f"{took:.0f} minutes: {total['programs']:,} programs from seed {arguments.seed}, "
        f"{calls:,} lines, of which {sum(raised.values()):,} raised. All {len(used):,} names of the "
        f"core were used, each at least {min(used.values(), default=0)} times. "
        f"**Findings: {len(findings)}.**"
    )
    print(figures)
    for name in missed:
        print(f"never used: {name}")
    if arguments.record:
        record("fuzz", figures)
    return 1 if findings or (missed and total["programs"] > 20_000) else 0


def print_now(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
