"""What `diagnose` looks for, and how it says what it has found.

Every pass is one loop over the nodes with their operands.
"""

import math
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from pure_python.graph.explanation import abridged, short
from pure_python.graph.layers import (
    RAILS,
    Arrays,
    Graph,
    Unit,
    counted,
    differ,
    finite,
    flat,
    index_of,
    largest,
    nodes_in,
    several,
)
from pure_python.graph.steps import moment_of, visible
from pure_python.graph.tracing import Node, is_node, scalars_of

# Batches smaller than this say nothing about a unit.
SAMPLES = 8
# A relu is dead where the largest of its sums is below zero by this many times what the sums differ
# among each other. Of relus silent in one batch that woke up later, or might have, none had 4.
MARGIN = 10.0
# Or where all of its layer are silent, of so many units.
LAYER = 4
# A tanh or sigmoid is saturated where its slope is below this for every sample. In healthy runs the
# largest slope of a unit in a batch was never below 2e-4.
FLAT = 1e-6
# Of the gradients of a layer's outputs (root mean square) to those of the last layer's.
# In healthy runs they lay between 5e-4 and 26.
VANISHING = 1e-5
EXPLODING = 1e3
# An input that moves its weight in a step by less than this, where the bias is moved by 1.
SILENT = 1e-3
GROWN = (
    "these numbers are too large for a float: use a smaller learning rate, smaller first weights, "
    "or inputs scaled to about 1"
)
WIDTH = 88

# Local gradients that are the same whatever the operands are.
CONSTANT_SLOPES = {"+", "-", "neg", "sum", "mean", "stack", "concatenate", "index", "reshape"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake: its kind, the names of what it concerns, what is seen, and what to do."""

    kind: str
    nodes: tuple[str, ...]
    seen: str
    advice: str

    def __str__(self) -> str:
        return "\n".join(
            textwrap.fill(
                text,
                WIDTH,
                initial_indent=first,
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
            for first, text in (
                ("", f"{self.kind}: {self.seen}."),
                ("  ", f"What to do: {self.advice}."),
            )
        )


@dataclass(frozen=True, slots=True, repr=False)
class Diagnosis(Sequence[Finding]):
    """What `diagnose` returns: a sequence of findings. Printed, it says them."""

    findings: tuple[Finding, ...]
    looked_at: str

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, index: Any) -> Any:
        return self.findings[index]

    def __str__(self) -> str:
        if not self.findings:
            return f"nothing found in {self.looked_at}"
        return "\n".join(map(str, self.findings))

    __repr__ = __str__


def look_for_mistakes(root: Node | Sequence[Node], parameters: Any) -> Diagnosis:
    with without_warnings():
        groups = named(parameters)
        graph = Graph(root, groups)
        found = list(not_finite(graph))
        if not found:  # else all others follow from it
            found = [*wrong_gradients(graph), *idle_units(graph)]
        return Diagnosis((*found, *not_reached(graph, groups or {})), graph.looked_at())


def without_warnings() -> AbstractContextManager[Any]:
    """Arrays that hold inf are compared in silence; who has made arrays has loaded NumPy."""
    numpy = sys.modules.get("numpy")
    return numpy.errstate(all="ignore") if numpy else nullcontext()


def named(parameters: Any) -> dict[str, list[Node]] | None:
    """Names, each with its Value or all those of a Vector; None where nobody gave any."""
    if parameters is None:
        return None
    if hasattr(parameters, "named_parameters"):
        parameters = parameters.named_parameters()
    elif isinstance(parameters, dict):
        parameters = parameters.items()
    elif is_node(parameters) or not isinstance(parameters, Iterable):
        raise TypeError(f"parameters are a model or a sequence of Values, got {parameters!r}")
    groups: dict[str, list[Node]] = {}
    for i, entry in enumerate(parameters):
        is_pair = isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str)
        name, value = entry if is_pair else ("", entry)
        name = name or visible(getattr(value, "label", "")) or f"parameter {i}"
        groups.setdefault(name, []).extend(nodes_in(value))
    return groups


# ---------------------------------------------------------------------------------------------
# Numbers that are none
# ---------------------------------------------------------------------------------------------


def not_finite(graph: Graph) -> Iterator[Finding]:
    of = graph.of
    wrong = {root for root in graph.roots if not finite(of.data(root))}
    waiting = list(wrong)
    # Down from the root: an infinity that ends before it, such as that of a mask, is meant to be.
    while waiting:
        for source in of.sources(waiting.pop()):
            if source not in wrong and not finite(of.data(source)):
                wrong.add(source)
                waiting.append(source)
    if not wrong:
        return
    first = min(wrong, key=moment_of)  # a leaf's is the smallest
    index = index_of(of.data(first), lambda x: not math.isfinite(x))
    name = graph.name(first, index)
    scalar = first._scalar(index) if of is Arrays else first
    way = graph.way(first)
    after = f". From there it went on through {', '.join(way)}" if way else ""
    if not of.sources(first):
        advice = "look at the data it was made from: nan or inf was there before any operation"
        if first in graph.weights or first in graph.parameters:
            advice = (
                "a step of the optimiser made it so: the gradient was already nan or inf, or the "
                "learning rate is too large. Diagnose the steps before this one"
            )
        yield Finding("not finite", (name,), f"{name} is {short(number_of(scalar))}{after}", advice)
        return
    text, advice = written_out(name, scalar)
    yield Finding("not finite", (name,), text + after, advice)


def written_out(name: str, node: Node) -> tuple[str, str]:
    """The formula by which a node got its data, with its numbers; and what to do."""
    composition = node._composition() if hasattr(node, "_composition") else None
    result = short(node.data)
    if composition is None:
        operands = list(scalars_of(node.operands, None))
        numbers = formula(node.op, [short(operand.data) for operand in operands])
        labels = [visible(operand.label) for operand in operands]
        symbols = f"{formula(node.op, labels)} = " if labels and all(labels) else ""
        head = "" if name.partition("[")[0] == node.op else f"{name} is {result}: "
        return f"{head}{symbols}{numbers} = {result}", cure(node)
    weights, inputs, bias, activation, _ = composition
    terms = [
        (number_of(w) * number_of(x), i, number_of(w), number_of(x))
        for i, (w, x) in enumerate(zip(weights, inputs, strict=True))
    ]
    bad = [i for _, i, _, x in terms if not math.isfinite(x)]
    if bad:
        number = short(terms[bad[0]][3])
        return (
            f"{name} is {result}: its input {bad[0]} is {number}",
            "look at the data: this number was there before any operation",
        )
    term, i, w, x = max(terms, key=lambda term: abs(term[0]), default=(0.0, 0, 0.0, 0.0))
    return (
        f"{name} is {result}: of the products that it adds up the largest is "
        f"weight {i} * input {i} = {short(w)} * {short(x)} = {short(term)}",
        GROWN,
    )


def number_of(x: Any) -> float:
    return x.data if is_node(x) else float(x)


def formula(op: str, operands: list[str]) -> str:
    """An operation on operands as one writes it."""
    parts = op.split(" ")
    if len(operands) == 2 and op in ("+", "-", "*", "/", "**"):
        return f"{operands[0]} {op} {operands[1]}"
    if len(operands) == 1 and len(parts) == 2:
        if parts[0] in ("+", "-", "*", "/", "**"):
            return f"{operands[0]} {op}"
        if parts[1] in ("-", "/", "**"):
            return f"{op} {operands[0]}"
        return f"{parts[0]}({operands[0]}, {parts[1]})"
    return f"{op}({', '.join(abridged(operands))})"


def cure(node: Node) -> str:
    op = node.op.split("(")[0].split(" ")[0]
    if op in ("log", "log1p", "sqrt", "asin", "acos", "atanh", "acosh"):
        return (
            f"keep what {op} is taken of inside its domain, for instance by adding a small number"
        )
    if op in ("softmax", "exp", "expm1", "sinh", "cosh", "**"):
        return f"keep what {op} is taken of small, for instance by scaling the inputs"
    return GROWN


# ---------------------------------------------------------------------------------------------
# Gradients
# ---------------------------------------------------------------------------------------------


def wrong_gradients(graph: Graph) -> list[Finding]:
    of = graph.of
    ran = any(largest(of.grad(root)) for root in graph.roots)
    stale, moved = changed_nodes(graph)
    given = gradients(graph, stored=ran)
    found = list(gradient_not_finite(graph, given, ran))
    if found:
        return found
    # After backward a change shows by its gradients: where they do not follow from the data as they
    # are now, the data changed later, as by a step.
    if stale and (not ran or by_hand(graph, stale) or seen(graph, stale, given)):
        found.append(data_changed(graph, stale, ran))
    elif ran:
        found += not_zeroed(graph, given, moved)
        if found and not stale and not follow(graph, given):
            # Of roots whose backward ran one by one; or of data that a Tape has computed anew since,
            # of which nothing can be said.
            anew = gradients(graph, stored=False)
            found = list(not_zeroed(graph, anew, moved)) if len(graph.roots) > 1 else []
    return [*found, *by_layer(graph, given)]


def gradients(graph: Graph, stored: bool) -> dict[Node, Any]:
    """What every node is given by those above it.

    stored: by their gradients as they are; else by a backward pass that begins anew.
    """
    of = graph.of
    given: dict[Node, Any] = {}
    if not stored:
        seeds = [of.grad(root) for root in graph.roots]
        for root, seed in zip(graph.given_roots, seeds, strict=True):
            of.receive(root, of.grad(root) if largest(seed) else 1.0, given)
    for node in reversed(graph.nodes):
        of.give(node, of.grad(node) if stored else given.get(node, 0.0), given)
    return given


def gradient_not_finite(graph: Graph, given: dict[Node, Any], ran: bool) -> Iterator[Finding]:
    of = graph.of
    if ran and all(finite(of.grad(node)) for node in graph.user):
        return  # though with data that a step has changed they might not be
    if all(finite(x) for x in given.values()):
        bad = [p for p in graph.trained() if not finite(of.grad(p))]
        if bad:
            name = several(graph.name(p) for p in bad)
            yield Finding(
                "gradient not finite",
                tuple(graph.name(p) for p in bad),
                f"the gradient of {name} is nan or inf, and this backward pass did not make it so",
                "it is left from an earlier pass: call zero_grad() before backward()",
            )
        return
    for node in reversed(graph.nodes):
        above = of.grad(node) if ran else given.get(node, 0.0)
        if not finite(above):
            continue
        own: dict[Node, Any] = {}
        of.give(node, above, own)
        bad = [operand for operand, amount in own.items() if not finite(amount)]
        if not bad:
            continue
        operand = bad[0]
        index = index_of(own[operand], lambda x: not math.isfinite(x))
        name = graph.name(operand, index)
        scalar, factor = node, above
        if of is Arrays and index and getattr(above, "shape", ()) == own[operand].shape:
            scalar, factor = node._scalar(index), float(above[index])
        elif of is Arrays and not hasattr(above, "shape"):
            scalar = node._scalar(())
        how = ""
        if not hasattr(factor, "shape"):
            slopes = scalar._local_gradients()
            local = next((x for x in slopes if not math.isfinite(x * factor)), math.nan)
            numbers = [short(x.data) for x in scalars_of(scalar.operands, None)]
            how = (
                f": the slope of {formula(scalar.op, numbers)} there is {short(local)}, "
                f"times the gradient above it, {short(factor)}"
            )
        value = own[operand][index] if index else own[operand]
        value = "nan or inf" if getattr(value, "ndim", 0) else short(float(value))
        yield Finding(
            "gradient not finite",
            (name,),
            f"the gradient of {name} is {value}, though the root is finite{how} "
            f"(below {', '.join(graph.way(operand))})",
            f"keep away from where {scalar.op.split(' ')[0]} is infinitely steep, "
            "for instance by adding a small number",
        )
        return


def follow(graph: Graph, given: dict[Node, Any]) -> bool:
    """Whether the gradients of all between leaves and roots follow from those above them."""
    of = graph.of
    scale = max((largest(of.grad(node)) for node in graph.nodes), default=0.0)
    tolerance = graph.rounding
    roots = set(graph.roots)
    return not any(
        differ(of.grad(node), given.get(node, 0.0), tolerance, tolerance * scale)
        for node in graph.nodes
        if node not in roots
    )


def changed_nodes(graph: Graph) -> tuple[dict[Node, Any], list[Node]]:
    """The nodes whose data do not follow from their operands, with what would, the oldest first;
    and all that are off by more than rounding, be it ever so little."""
    of = graph.of
    memo: dict[Any, Any] = {}
    stale: dict[Node, Any] = {}
    moved: list[Node] = []
    tolerance = graph.changed
    for node in graph.nodes:
        if not hasattr(node, "_recomputed"):
            continue
        try:
            now = node._recomputed(memo)
        except (ArithmeticError, ValueError) as error:
            stale[node] = error
            continue
        if finite(now) != finite(of.data(node)):
            stale[node] = now
        elif differ(of.data(node), now, 0.01 * graph.rounding, 0.0):
            moved.append(node)
            # Where large numbers cancel, the little that is left changes with their last digits.
            among = max(largest(of.data(source)) for source in of.sources(node))
            if differ(of.data(node), now, tolerance, 0.1 * tolerance * among):
                stale[node] = now
    return stale, [*stale, *moved]


def by_hand(graph: Graph, stale: dict[Node, Any]) -> bool:
    """Whether what an operation had computed was set: no step does that."""
    of = graph.of
    return any(all(of.sources(source) for source in of.sources(node)) for node in stale)


def factors(graph: Graph, node: Node) -> tuple[list[Node], list[Node]] | None:
    """What a product multiplies with what, such as weights with inputs; None of all else."""
    of = graph.of
    composition = of.composition(node)
    if composition is None:
        return (list(of.sources(node)), list(of.sources(node))) if node.op == "*" else None
    weights, inputs = (
        [of.owner(getattr(x, "value", x)) for x in part if is_node(x)] for part in composition[:2]
    )
    return list(dict.fromkeys(weights)), list(dict.fromkeys(inputs))


def seen(graph: Graph, stale: dict[Node, Any], given: dict[Node, Any]) -> bool:
    """Whether backward used the data as they are now: a gradient shows them that depends on them.

    That of an input of a changed product is the weight times the gradient above. It was found to
    follow from the data as they are now, so if it is not zero, these data were there in backward.
    """
    of = graph.of
    if not follow(graph, given):
        return False
    scale = max(largest(of.grad(node)) for node in graph.nodes)
    roots = set(graph.roots)
    trained = set(graph.trained())
    for node in stale:
        weights, inputs = factors(graph, node) or ((), ())
        if not any(w in trained for w in weights):
            continue
        own: dict[Node, Any] = {}
        of.give(node, of.grad(node), own)
        # Those whose gradient comes in a considerable part from this product.
        telling = [
            x
            for x in inputs
            if largest(own.get(x, 0.0)) > SILENT * largest(given.get(x, 0.0)) and x not in roots
        ]
        for x in telling:
            # A step moves the weight of an input that is next to nothing, such as what a dead relu
            # gives, no more than that: of such a product the bias alone has changed.
            moving = largest(of.data(x)) > SILENT
            if of.sources(x) and moving and largest(own[x]) > graph.changed * scale:
                return True
        # Of two single leaves a step moves at least one, and the gradient of the other would have to
        # be another, unless somebody zeroed, clipped or added to it.
        if node.op == "*" and len(telling) == len(inputs):
            if all(is_of_this_pass(graph, x, given) for x in telling):
                return True
    return False


def is_of_this_pass(graph: Graph, leaf: Node, given: dict[Node, Any]) -> bool:
    """Whether a leaf of one number has the gradient that the graph gives, to the last digits."""
    of = graph.of
    single = not of.sources(leaf) and not getattr(of.data(leaf), "ndim", 0)
    return single and not differ(of.grad(leaf), given.get(leaf, 0.0), graph.rounding, 0.0)


def data_changed(graph: Graph, stale: dict[Node, Any], ran: bool) -> Finding:
    of = graph.of
    first, now = next(iter(stale.items()))
    index: tuple[int, ...] = ()
    before: Any = of.data(first)
    if hasattr(before, "shape") and hasattr(now, "shape"):
        off = abs(before - now)
        most = off.max()
        index = index_of(off, lambda x: x == most)
        before, now = float(before[index]), float(now[index])
    names = [graph.name(first, index), *(graph.name(node) for node in stale if node is not first)]
    leaves = [s for node in stale for s in of.sources(node) if not of.sources(s)]
    culprits = dict.fromkeys(graph.name(leaf) for leaf in leaves)
    if isinstance(now, Exception):
        text = f"{names[0]} holds {short(before)}, but from its operands as they are now: {now}"
    else:
        text = (
            f"{names[0]} holds {short(before)}, but its operands as they are now give {short(now)}"
        )
    when = "between forward and backward" if ran else "since the forward pass"
    others = f", as do {len(stale) - 1:,} more nodes" if len(stale) > 1 else ""
    among = f" (among {several(culprits)})" if culprits else ""
    return Finding(
        "data changed",
        tuple(dict.fromkeys(names)),
        f"{text}{others}: data were changed {when}{among}",
        "gradients of such a mixture are wrong. Change data after backward(), then compute the loss "
        "anew",
    )


def not_zeroed(graph: Graph, given: dict[Node, Any], moved: list[Node]) -> Iterator[Finding]:
    of = graph.of
    unknown = unreliable(graph, moved) | set(graph.roots)
    trained = [p for p in graph.trained() if p not in unknown]
    scale = max((largest(given.get(p, 0.0)) for p in trained), default=0.0)
    relative, absolute = graph.changed, 0.01 * graph.changed * scale
    off: dict[Node, list[tuple[float, float]]] = {}
    checked = right = wrong = 0
    for p in trained:
        data = of.data(p)
        pairs = list(zip(flat(of.grad(p), data), flat(given.get(p, 0.0), data), strict=True))
        checked += len(pairs)
        for pair in pairs:
            stored, own = pair
            near = relative * abs(own) + absolute
            # What is smaller, or zero, has been clipped or zeroed.
            if not min(0.0, own) - near <= stored <= max(0.0, own) + near:
                off.setdefault(p, []).append(pair)
                wrong += 1
            elif own and abs(stored - own) <= near:
                right += 1
    # Where nobody says which leaves are trained, the others may be inputs, which nobody zeroes.
    if not off or (right and not graph.asked and not graph.weights):
        return
    pairs = [pair for of_one in off.values() for pair in of_one]
    times = round(pairs[0][0] / pairs[0][1]) if abs(pairs[0][1]) > absolute else 0
    names = tuple(graph.name(p) for p in off)
    first, (stored, own) = next(iter(off.items()))[0], max(pairs, key=lambda pair: abs(pair[0]))
    first = next(p for p, of_one in off.items() if (stored, own) in of_one)
    whole = of.data(first)
    index = index_of(of.grad(first), lambda x: x == stored) if hasattr(whole, "shape") else ()
    name = graph.name(first, index)
    count = f"{wrong:,} of {checked:,} parameters" if checked > 1 else "the only parameter"
    if times > 1 and all(abs(s - times * g) <= relative * abs(s) + absolute for s, g in pairs):
        yield Finding(
            "backward again",
            names,
            f"the gradients are {times} times what one backward pass of this graph gives "
            f"({name}.grad is {short(stored)}, one pass gives {short(own)}; {count})",
            "call backward() once for each forward pass, and zero_grad() before it",
        )
        return
    yield Finding(
        "not zeroed",
        names,
        f"the gradients hold more than this backward pass gave: {name}.grad is {short(stored)}, "
        f"of which {short(own)} is from this pass ({count})",
        "call zero_grad() before every backward(): gradients add up. If you add up those of several "
        "losses on purpose, give all of them: diagnose([loss1, loss2])",
    )


def unreliable(graph: Graph, moved: list[Node]) -> set[Node]:
    """The leaves whose gradient cannot be computed again, as it depends on data that have changed."""
    of = graph.of
    unknown: set[Node] = set()
    for node in moved:
        operation, _, number = node.op.partition(" ")
        if operation in CONSTANT_SLOPES or (operation in ("*", "/") and number):
            continue
        sources = [s for s in of.sources(node) if not of.sources(s)]
        product = factors(graph, node)
        if product is None:
            unknown.update(sources)
        elif node.op == "*":
            if len(sources) > 1:
                unknown.update(sources)
        elif any(not of.sources(x) for x in product[1]):
            unknown.update(sources)
    return unknown


def by_layer(graph: Graph, given: dict[Node, Any]) -> Iterator[Finding]:
    """Gradients of a layer's outputs that are out of all proportion to those of the last."""
    sizes: list[tuple[str, float]] = []
    for layer in graph.layers:
        numbers = [g for node in layer.nodes for g in flat(given.get(node, 0.0))]
        if len(numbers) >= SAMPLES * layer.size:
            # The largest is taken out, so that no square overflows.
            most = max(map(abs, numbers))
            mean = sum((g / most) ** 2 for g in numbers) / len(numbers) if most else 0.0
            sizes.append((layer.name, most * math.sqrt(mean)))
    if len(sizes) < 2 or not sizes[-1][1]:
        return
    last_name, last = sizes[-1]
    table = ", ".join(abridged([f"{name} {size:.1e}" for name, size in sizes]))
    small = [name for name, size in sizes if 0.0 < size < VANISHING * last]
    large = [name for name, size in sizes if size > EXPLODING * last]
    if small:
        yield Finding(
            "vanishing gradients",
            tuple(small),
            f"on the way down from {last_name} the gradients fade, so that {several(small)} hardly "
            f"learn (root mean square by layer: {table})",
            "fewer layers, relu in place of sigmoid or tanh, or larger first weights "
            '(init="xavier" or "he")',
        )
    if large:
        yield Finding(
            "exploding gradients",
            tuple(large),
            f"on the way down from {last_name} the gradients grow out of hand, most of all at "
            f"{several(large)} (root mean square by layer: {table})",
            'smaller first weights (init="xavier" or "he"), inputs scaled to about 1, or fewer '
            "layers",
        )


# ---------------------------------------------------------------------------------------------
# Units and parameters
# ---------------------------------------------------------------------------------------------


def idle_units(graph: Graph) -> Iterator[Finding]:
    dead: dict[str, str] = {}
    flattened: dict[str, str] = {}
    relus: dict[int, list[bool]] = {}
    for unit in graph.units.values():
        if unit.activation == "relu":
            relus.setdefault(id(unit.layer), []).append(any(unit.outputs))
    for unit in graph.units.values():
        samples = len(unit.outputs)
        if samples < SAMPLES:
            continue
        if unit.activation == "relu" and not any(unit.outputs):
            sums = sums_of(graph, unit)
            top, bottom = max(sums), min(sums)
            layer = relus[id(unit.layer)]
            if 0.0 < MARGIN * (top - bottom) < -top or (len(layer) >= LAYER and not any(layer)):
                dead[str(unit)] = f"between {short(bottom)} and {short(top)} in {samples} samples"
        slope = RAILS.get(unit.activation)
        if slope and all(slope(y) < FLAT for y in unit.outputs):
            low, high = min(unit.outputs), max(unit.outputs)
            range_ = f"at {low:.6f}" if low == high else f"between {low:.6f} and {high:.6f}"
            flattened[str(unit)] = f"{unit.activation} is {range_} in {samples} samples"
    if dead:
        name, sums_text = next(iter(dead.items()))
        yield Finding(
            "dead relu",
            tuple(dead),
            f"{several(dead)} gave 0 for every sample, so no gradient reaches the weights "
            f"(the sum before the relu of {name} lies {sums_text})",
            "a smaller learning rate, first weights or biases nearer to 0, or leaky_relu",
        )
    if flattened:
        name, outputs = next(iter(flattened.items()))
        yield Finding(
            "saturated",
            tuple(flattened),
            f"{several(flattened)} no longer answer to their inputs: the slope is below {FLAT:.0e} "
            f"for every sample ({name}: {outputs})",
            "scale the inputs to about 1, or begin with smaller weights",
        )


def sums_of(graph: Graph, unit: Unit) -> list[float]:
    """What the activation of a unit was applied to, sample by sample."""
    sums: list[float] = []
    for node, index in unit.where:
        if index:
            j, size, _ = index
            before = node._sums()
            if before is None:
                (source,) = graph.of.sources(node)
                before = graph.of.data(source)
            sums += flat(before)[j::size]
            continue
        composition = graph.of.composition(node)
        if composition is None:
            sums.append(graph.of.sources(node)[0].data)
            continue
        weights, inputs, bias, *_ = composition
        total = number_of(bias)
        for w, x in zip(weights, inputs, strict=True):
            total += number_of(w) * number_of(x)
        sums.append(total)
    return sums


def not_reached(graph: Graph, groups: dict[str, list[Node]]) -> Iterator[Finding]:
    owners = {name: [graph.of.owner(p) for p in group] for name, group in groups.items()}
    lost = [name for name, group in owners.items() if not any(p in graph.user for p in group)]
    if lost:
        yield Finding(
            "not reached",
            tuple(lost),
            f"the root does not depend on {several(lost)}, so these get no gradient "
            f"({len(lost):,} of {counted(len(groups), 'parameter')})",
            "see whether a layer is left out, or a Value was made anew from its data (detach, float, "
            "no_grad) on the way to the root",
        )
