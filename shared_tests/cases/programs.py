"""Random programs: drawn by Hypothesis, run by an engine, by PyTorch and by a naive reference."""

import math
import random
from contextlib import suppress
from dataclasses import dataclass

from hypothesis import strategies as st

from cases.operations import BINARY, UNARY
from reference import torch

FUNCTIONS = {f.name: f for f in UNARY}
OPERATIONS = {b.name: b for b in BINARY}


@dataclass(frozen=True)
class Step:
    """One operation on earlier nodes, or on an earlier node and a number."""

    name: str
    left: int | float  # an int is the index of a node, a float a number
    right: int | float | None = None

    def __repr__(self) -> str:
        def shown(x):
            return f"n{x}" if isinstance(x, int) else repr(x)

        if self.right is None:
            return f"{self.name}({shown(self.left)})"
        return f"{shown(self.left)} {self.name} {shown(self.right)}"


@dataclass(frozen=True)
class Program:
    leaves: tuple[float, ...]
    steps: tuple[Step, ...]


tame = st.floats(-3.0, 3.0)
wild = st.one_of(
    tame,
    st.sampled_from(
        [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            2.0,
            math.inf,
            -math.inf,
            math.nan,
            1e300,
            -1e-300,
            5e-324,
            800.0,
        ]
    ),
    st.floats(),
)


def listing(program: Program) -> str:
    """A line for each node, as one would write the program."""
    count = len(program.leaves)
    lines = [f"n{i} = Value({x!r})" for i, x in enumerate(program.leaves)]
    return "\n".join(lines + [f"n{i} = {step!r}" for i, step in enumerate(program.steps, count)])


@st.composite
def programs(draw, numbers=wild, max_steps=12):
    leaves = tuple(draw(st.lists(numbers, min_size=1, max_size=4)))
    steps = []
    for count in range(len(leaves), len(leaves) + draw(st.integers(1, max_steps))):
        node = st.integers(0, count - 1)
        name = draw(st.sampled_from([*FUNCTIONS, *OPERATIONS, *OPERATIONS, *OPERATIONS]))
        if name in FUNCTIONS:
            steps.append(Step(name, draw(node)))
        elif not OPERATIONS[name].operator:
            steps.append(Step(name, draw(node), draw(st.one_of(node, numbers))))
        else:
            left, right = draw(
                st.one_of(st.tuples(node, node), st.tuples(node, numbers), st.tuples(numbers, node))
            )
            steps.append(Step(name, left, right))
    return Program(leaves, tuple(steps))


def apply(step: Step, nodes: list):
    if step.right is None:
        return FUNCTIONS[step.name].apply(nodes[step.left])
    left, right = (nodes[x] if isinstance(x, int) else x for x in (step.left, step.right))
    return OPERATIONS[step.name].apply(left, right)


def every_operation(backend) -> None:
    """Apply all that a program may hold, and call backward: raises what Python does where one is missing."""
    a, b = backend.Value(0.5), backend.Value(0.25)
    for operation in BINARY:
        operation.apply(a, b)
        operation.apply(a, 2.0)
        if operation.operator:
            operation.apply(2.0, b)
    for function in UNARY:
        with suppress(ArithmeticError, ValueError):
            function.apply(a)
    (a + b).backward()


def run(backend, program: Program):
    """(data, grads, errors): of all nodes after backward from the last; (type, message) of what raised.

    A step that raises counts as its first operand, so that the program goes on.
    """
    nodes, errors = [backend.Value(x) for x in program.leaves], []
    for step in program.steps:
        try:
            nodes.append(apply(step, nodes))
        except (ArithmeticError, ValueError) as error:
            errors.append((repr(step), type(error).__name__, str(error)))
            nodes.append(nodes[step.left if isinstance(step.left, int) else step.right])
    nodes[-1].backward(0.75)
    middle = nodes[len(nodes) // 2]
    middle.backward()  # a second call: leaves accumulate, all else starts from zero
    return [n.data for n in nodes], [n.grad for n in nodes], errors


# The naive reference -------------------------------------------------------------------------


def evaluate(program: Program, noise: random.Random | None = None):
    """Data and slopes of all nodes by the tables of cases.operations; None where something raises.

    With noise, every result is moved by about 1e-14 of itself: how much that moves the outcome says
    how many digits of it mean anything.
    """

    def moved(x: float) -> float:
        return x * (1.0 + noise.uniform(-1e-14, 1e-14)) if noise else x

    data = list(program.leaves)
    slopes: list[list[tuple[int, float]]] = [[] for _ in data]  # (operand, slope)
    for step in program.steps:
        try:
            if step.right is None:
                x = data[step.left]
                function = FUNCTIONS[step.name]
                y = function.value(x)
                local = [(step.left, moved(function.slope(x, y)))]
            else:
                a, b = (data[x] if isinstance(x, int) else x for x in (step.left, step.right))
                y = OPERATIONS[step.name].value(a, b)
                both = OPERATIONS[step.name].slopes(a, b, y)
                pairs = zip((step.left, step.right), both, strict=True)
                local = [
                    (operand, moved(slope)) for operand, slope in pairs if isinstance(operand, int)
                ]
        except (ArithmeticError, ValueError):
            return None
        data.append(moved(y))
        slopes.append(local)
    return data, slopes


def derivative(slopes, node: int, leaf: int) -> float:
    """d node / d leaf by the chain rule as it is written in a textbook: recursive, path by path."""
    if node == leaf:
        return 1.0
    return math.fsum(slope * derivative(slopes, operand, leaf) for operand, slope in slopes[node])


def reference(program: Program, noise: random.Random | None = None):
    """Data of all nodes, and the leaves' gradients after the two backward calls of `run`; or None.
    """
    evaluated = evaluate(program, noise)
    if evaluated is None:
        return None
    data, slopes = evaluated
    if not all(map(math.isfinite, data)):
        return None
    last, middle = len(data) - 1, len(data) // 2
    grads = []
    for leaf in range(len(program.leaves)):
        try:
            total = 0.75 * derivative(slopes, last, leaf) + derivative(slopes, middle, leaf)
        except (OverflowError, ValueError):
            return None
        grads.append(total)
    return (data, grads) if all(map(math.isfinite, grads)) else None


def tolerances(program: Program):
    """The reference's numbers, and how far off each may be: 1e-12 and what the noise moves.

    Of a gradient 1e-15 too: where the terms of a slope cancel, as silu's at -1.278…, no noise shows.
    """
    clean = reference(program)
    if clean is None:
        return None
    data, grads = clean
    clean = data + grads
    allowed = [1e-12 * abs(x) + 1e-300 for x in data] + [1e-12 * abs(x) + 1e-15 for x in grads]
    for seed in range(3):
        noisy = reference(program, random.Random(seed))
        if noisy is None:
            return None
        for i, (x, y) in enumerate(zip(clean, noisy[0] + noisy[1], strict=True)):
            allowed[i] = max(allowed[i], 30.0 * abs(x - y))
    return clean, allowed


# PyTorch -------------------------------------------------------------------------------------

TORCH_FUNCTIONS = {
    "leaky_relu(0.3)": lambda t: torch.nn.functional.leaky_relu(t, 0.3),
    "softplus": lambda t: torch.logaddexp(t, torch.zeros((), dtype=t.dtype)),  # its own stops at 20
    "gelu": lambda t: 0.5 * t * torch.erfc(-t / math.sqrt(2)),  # its own loses the left tail
    # Near their poles its own slopes lose digits, which 1 - x·x does and (1 - x)·(1 + x) does not.
    "asin": lambda t: torch.atan2(t, torch.sqrt((1 - t) * (1 + t))),
    "acos": lambda t: torch.atan2(torch.sqrt((1 - t) * (1 + t)), t),
    "acosh": lambda t: torch.log1p((t - 1) + torch.sqrt((t - 1) * (t + 1))),
    "atanh": lambda t: (torch.log1p(t) - torch.log1p(-t)) / 2,
}
TORCH_OPERATIONS = {
    "+": torch.add, "-": torch.sub, "*": torch.mul, "/": torch.div, "**": torch.pow,
    "maximum": torch.maximum, "minimum": torch.minimum,
}  # fmt: skip


def run_torch(program: Program):
    """(data, grads of the leaves) of the same program in PyTorch, float64."""
    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in program.leaves]
    nodes = list(leaves)
    for step in program.steps:
        if step.right is None:
            t = nodes[step.left]
            function = TORCH_FUNCTIONS.get(step.name) or getattr(torch, step.name, None)
            nodes.append((function or getattr(torch.nn.functional, step.name))(t))
        else:
            pair = [
                nodes[x] if isinstance(x, int) else torch.tensor(x, dtype=torch.float64)
                for x in (step.left, step.right)
            ]
            nodes.append(TORCH_OPERATIONS[step.name](*pair))
    nodes[-1].backward(torch.tensor(0.75, dtype=torch.float64), retain_graph=True)
    if nodes[len(nodes) // 2].requires_grad:
        nodes[len(nodes) // 2].backward()
    return [n.item() for n in nodes], [0.0 if t.grad is None else t.grad.item() for t in leaves]
