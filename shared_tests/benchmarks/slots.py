"""The reference Value of scalar scripts: what a tinkerer's script carries, and no more.

Slots, the operands and the local gradients in tuples, a backward that sorts the graph and walks it. The
sort calls itself, as in most such scripts; a loop is no faster. It is no closure, which would
leave every graph as a cycle to the garbage collector: this is the stronger opponent.
"""

from __future__ import annotations

import math


class Value:
    __slots__ = ("data", "grad", "operands", "local_grads")

    def __init__(self, data, operands=(), local_grads=()):
        self.data = data
        self.grad = 0.0
        self.operands = operands
        self.local_grads = local_grads

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, exponent):
        local = exponent * self.data ** (exponent - 1)
        return Value(self.data**exponent, (self,), (local,))

    def exp(self):
        y = math.exp(self.data)
        return Value(y, (self,), (y,))

    def log(self):
        return Value(math.log(self.data), (self,), (1.0 / self.data,))

    def relu(self):
        return Value(max(0.0, self.data), (self,), (float(self.data > 0.0),))

    def __neg__(self):
        return self * -1.0

    def __radd__(self, other):
        return self + other

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return other + -self

    def __rmul__(self, other):
        return self * other

    def __truediv__(self, other):
        return self * other**-1.0

    def backward(self):
        order = []
        sort(self, order, set())
        self.grad = 1.0
        for node in reversed(order):
            above = node.grad
            for operand, local in zip(node.operands, node.local_grads, strict=True):
                operand.grad += local * above


def sort(node, order, seen):
    """Append the graph below a node to `order`, operands first."""
    if node not in seen:
        seen.add(node)
        for operand in node.operands:
            sort(operand, order, seen)
        order.append(node)
