"""What of a graph folds into one box: a neuron, a layer, a sample, a part of a long expression."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pure_python.graph.tracing import Graph, Node, Scalar

# How far a page is folded: at level 2 every layer, and what else is of no higher level, is one box.
NEURON, LAYER, SAMPLE, PART = 1, 2, 3, 4
READABLE = 120  # boxes that can be taken in at once
DRAWN = 300  # and how many a page starts with at most
PARTS = 100

Operands = dict[Node, list[Node]]
Neuron = list[Node]  # the numbers that it is made of
Layer = list[Neuron]


@dataclass
class Group:
    name: str
    level: int
    parent: int = -1  # the place of the group that it lies in


class Groups:
    """The groups of a graph, and for each node in one the place of the innermost."""

    def __init__(self) -> None:
        self.all: list[Group] = []
        self.of: dict[Node, int] = {}

    def add(self, name: str, level: int, parent: int = -1) -> int:
        self.all.append(Group(name, level, parent))
        return len(self.all) - 1

    def around(self, node: Node) -> list[int]:
        """The groups that a node lies in, from the innermost."""
        found, place = [], self.of.get(node, -1)
        while place >= 0:
            found.append(place)
            place = self.all[place].parent
        return found

    def box(self, node: Node, level: int) -> int | Node:
        """The group that shows a node when the page is folded to a level, or the node itself."""
        folded = [place for place in self.around(node) if self.all[place].level <= level]
        return folded[-1] if folded else node

    def starting_level(self, nodes: list[Node]) -> int:
        """The finest level that can be taken in."""
        levels = [0, *sorted({group.level for group in self.all})]
        counts = [(level, len({self.box(node, level) for node in nodes})) for level in levels]
        # `groups_of` sees to it that the coarsest is not above DRAWN.
        return next(lv for limit in (READABLE, DRAWN) for lv, count in counts if count <= limit)


def groups_of(graph: Graph, operands: Operands, forward: list[Node]) -> Groups:
    groups = Groups()
    neurons = neurons_of(forward)
    layers = layers_of(neurons, operands, graph.parameters)
    add_layers(groups, layers, operands, forward, graph.parameters)
    add_leaves(groups, graph, operands, forward)
    if len({groups.box(node, SAMPLE) for node in graph.nodes}) > DRAWN:
        add_parts(groups, graph, operands, forward)
    return groups


def neurons_of(forward: list[Node]) -> list[Neuron]:
    """The insides of fused nodes: all numbers of one were made in one moment."""
    neurons: dict[object, Neuron] = {}
    for node in forward:
        if isinstance(node, Scalar):
            neurons.setdefault((node.value, node.moment[:-1]), []).append(node)
    return list(neurons.values())


def layers_of(neurons: list[Neuron], operands: Operands, parameters: set[Node]) -> list[Layer]:
    """Neurons that have the same inputs, and weights of their own each."""
    layers: list[Layer] = []
    weights_in: list[set[Node]] = []
    latest: dict[object, int] = {}
    for neuron in neurons:
        products = [node for node in neuron if node.op.startswith("*")]
        # An input is the last operand of its product, or a number in the name of the product.
        inputs = tuple(operands[node][-1] if node.op == "*" else node.op for node in products)
        weights = {leaf for node in neuron for leaf in operands[node] if leaf in parameters}
        place = latest.get(inputs)
        if place is None or weights_in[place] & weights:
            # The same weights on the same inputs once more: another sample that looks alike.
            latest[inputs] = place = len(layers)
            layers.append([])
            weights_in.append(set())
        layers[place].append(neuron)
        weights_in[place] |= weights
    return layers


def chains_of(
    layers: list[Layer], operands: Operands, forward: list[Node]
) -> tuple[list[int], dict[Node, set[int]]]:
    """The chain of each layer, known by its first, and the chains that each node depends on.

    A layer that takes in, however much was computed between, what another gives is of its chain.
    """
    layer_of = {
        node: place for place, layer in enumerate(layers) for neuron in layer for node in neuron
    }
    before = list(range(len(layers)))  # each layer's way to the first of its chain

    def first(place: int) -> int:
        while before[place] != place:
            before[place] = place = before[before[place]]
        return place

    behind: dict[Node, frozenset[int]] = {}  # the last layers on the ways to a node
    nothing: frozenset[int] = frozenset()
    for node in forward:
        reached = nothing.union(*(behind.get(operand, nothing) for operand in operands[node]))
        if node in layer_of:
            for place in reached:
                low, high = sorted((first(place), first(layer_of[node])))
                before[high] = low
            reached = frozenset((layer_of[node],))
        behind[node] = reached
    return [first(place) for place in range(len(layers))], {
        node: set(map(first, places)) for node, places in behind.items()
    }


def add_layers(
    groups: Groups, layers: list[Layer], operands: Operands, forward: list[Node], params: set[Node]
) -> None:
    """Neurons in layers, and these in samples where several chains go through the same weights."""
    chain_of, chains = chains_of(layers, operands, forward)
    users: dict[Node, set[int]] = {}  # the chains that go through a parameter
    for chain, layer in zip(chain_of, layers, strict=True):
        for leaf in (leaf for neuron in layer for node in neuron for leaf in operands[node]):
            if leaf in params:
                users.setdefault(leaf, set()).add(chain)
    samples: dict[int, int] = {}
    if any(len(through) > 1 for through in users.values()):
        for i, chain in enumerate(dict.fromkeys(chain_of), 1):
            samples[chain] = groups.add(f"sample {i}", SAMPLE)

    counts: dict[int, int] = {}
    alone = len(layers) == len(layers[0]) == 1 if layers else False
    for chain, layer in zip(chain_of, layers, strict=True):
        sample = samples.get(chain, -1)
        number = counts[sample] = counts.get(sample, 0) + 1
        # A layer of one neuron is not two boxes, one in the other.
        several = len(layer) > 1
        parent = groups.add(f"layer {number}", LAYER, sample) if several else sample
        for i, neuron in enumerate(layer, 1):
            name = f"neuron {number}.{i}" if several else f"neuron {number}"
            within = groups.add("neuron" if alone else name, NEURON, parent)
            groups.of.update(dict.fromkeys(neuron, within))
    # What is computed from one sample alone, between or after its layers, is part of it.
    for node in forward if samples else ():
        if node not in groups.of and len(chains[node]) == 1:
            (chain,) = chains[node]
            groups.of[node] = samples[chain]


def add_leaves(groups: Groups, graph: Graph, operands: Operands, forward: list[Node]) -> None:
    """A parameter lies with what uses it, an input beside it; shared weights have their own groups."""
    users: dict[Node, list[Node]] = {}
    for node in forward:
        for operand in operands[node]:
            users.setdefault(operand, []).append(node)
    weights: dict[tuple[int, ...], int] = {}

    def weights_of(owners: Iterable[int]) -> int:
        """The group of the weights of one neuron, or layer, in several samples."""
        key = tuple(dict.fromkeys(owners))
        if key not in weights:
            _, _, number = groups.all[key[0]].name.partition(" ")
            above = [groups.all[owner].parent for owner in key]
            in_layers = all(p >= 0 and groups.all[p].level == LAYER for p in above)
            parent = weights_of(above) if in_layers else -1
            weights[key] = groups.add(f"weights {number}".strip(), groups.all[key[0]].level, parent)
        return weights[key]

    for leaf, used_by in users.items():
        if leaf.operands:
            continue
        chains = [groups.around(user) for user in used_by]
        common = [place for place in chains[0] if all(place in chain for chain in chains)]
        if leaf not in graph.parameters:
            common = [place for place in common if groups.all[place].level == SAMPLE]
        if common:
            groups.of[leaf] = common[0]
        elif leaf in graph.parameters and all(isinstance(user, Scalar) for user in used_by):
            groups.of[leaf] = weights_of(chain[0] for chain in chains)


def add_parts(groups: Groups, graph: Graph, operands: Operands, forward: list[Node]) -> None:
    """What is still too much is cut into parts by the order in which it is computed."""
    in_order = [node for made in forward for node in (*operands[made], made)]
    items = list(dict.fromkeys(groups.box(node, SAMPLE) for node in (*in_order, *graph.nodes)))
    size = math.ceil(len(items) / PARTS)
    for place, item in enumerate(items):
        if place % size == 0:
            part = groups.add(f"part {place // size + 1}", PART)
        if isinstance(item, int):
            groups.all[item].parent = part
        else:
            groups.of[item] = part
