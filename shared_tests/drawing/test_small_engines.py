"""Nodes of an engine that has just begun: what looks at graphs asks for no more than it needs."""

import itertools

from pure_python import backward_steps, diagnose, draw_dot, explain, explore, trace, tree

moments = itertools.count()


class Node:
    """Without fused operations, and without a way to compute a node anew."""

    def __init__(self, data, operands=(), op="", slopes=(), label=""):
        self.data, self.grad, self.label = data, 0.0, label
        self.operands, self.op, self.slopes = operands, op, slopes
        self.moment = (next(moments),) if op else ()

    def _moment(self):
        return self.moment

    def _local_gradients(self):
        return self.slopes


def test_its_graphs_are_shown_and_explained():
    a, b = Node(2.0, label="a"), Node(-3.0, label="b")
    product = Node(-6.0, (a, b), "*", (-3.0, 2.0))
    f = Node(-4.0, (product, a), "+", (1.0, 1.0), label="f")
    assert trace(f)[0] == [a, b, product, f]
    assert [(s.operand, s.total) for s in backward_steps(f)] == [
        (product, 1.0), (a, 1.0), (a, -2.0), (b, 2.0),
    ]  # fmt: skip
    assert explain(f, a).grad == -2.0
    assert "f = +  data -4.0000" in str(tree(f)) and "data -6.0000" in draw_dot(f).source
    assert explore(f).nodes == 4
    assert str(diagnose(f)) == "nothing found in 4 nodes with 2 parameters"
    f.grad, product.grad, a.grad, b.grad = 1.0, 1.0, -4.0, 4.0
    assert [finding.kind for finding in diagnose(f)] == ["backward again"]
