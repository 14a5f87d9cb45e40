"""Backward step by step: the same steps in all three, and the same words (rule 1.18)."""

import random

import pytest

from cases.numbers import close, same

# An operation of several outputs (softmax) is left out where steps have to have the same bits: the
# engines compute it together, and their steps come from what each of them says of a single output.
ROOTS = {
    "an expression": lambda m, x: (
        (x[0] * x[1] + 2.0 ** x[2] - x[0]).tanh() / x[1] + x[0].maximum(1.0)
    ),
    "a neuron": lambda m, x: m.Neuron(3, activation="gelu")(x),
    "a network": lambda m, x: m.MLP(3, [4, 3, 1], activation="tanh")([x[0], 1.0, x[2]]),
    "a product": lambda m, x: m.dot([*x, 2.0], [0.5, x[0], x[0], x[1]], x[2]),
    "linear": lambda m, x: m.linear(x, [x, [1.0, x[0], 2.0]], x[:2]).sum(),
    "Vectors": lambda m, x: ((m.Vector(x) * x - 1.0) / x[0]).relu().mean() + m.Vector(x).max(),
    "a loss": lambda m, x: (
        m.mse_loss(x, [x[1], 1.0, 2.0]) + m.hinge_loss(x, [1, -1, 1]) * m.logsumexp(x)
    ),
    "softmax": lambda m, x: m.softmax(x)[1] * m.log_softmax(x)[0] + m.rms_norm(x)[2],
    "attention": lambda m, x: m.scaled_dot_product_attention(
        x, [x, [0.5, 1.0, x[0]]], [x[1:], x[:2]]
    )[0],
    "a custom operation": lambda m, x: (
        m.Value(6.0, (x[0], x[1], x[0]), "f", local_grads=(3.0, 2.0, 0.1)) * x[2]
    ),
}


def built(backend, name):
    random.seed(1337)
    x = [backend.Value(number, label=f"x{i}") for i, number in enumerate((0.5, -1.25, 2.0))]
    return ROOTS[name](backend, x), x


def steps_of(backend, name, fused):
    root, _ = built(backend, name)
    place = {node: i for i, node in enumerate(backend.trace(root, fused=fused)[0])}
    return [
        (
            (place[step.node], place[step.operand], step.position),
            (step.local, step.above, step.contribution, step.total),
        )
        for step in backend.backward_steps(root, fused=fused, grad=0.75)
    ]


@pytest.mark.parametrize("fused", [False, True], ids=["", "fused"])
@pytest.mark.parametrize("name", ROOTS)
def test_the_same_steps(backends, name, fused):
    """The same edges in the same order; the scalar backends have the same bits."""
    answers = {backend.name: steps_of(backend, name, fused) for backend in backends}
    expected = answers["pure_python"]
    for backend, steps in answers.items():
        assert [edge for edge, _ in steps] == [edge for edge, _ in expected]
        agree = same if backend == "cython_core" else close
        for (edge, numbers), (_, others) in zip(steps, expected, strict=True):
            assert all(map(agree, numbers, others)), f"{backend}, {edge}: {numbers}, not {others}"


@pytest.mark.parametrize("name", ROOTS)
def test_the_same_diagnosis(backends, name):
    """The same kinds of findings; from the scalar backends in the same words."""
    said, found = {}, {}
    for backend in backends:
        root, x = built(backend, name)
        looks = [backend.diagnose(root)]
        root.backward()
        looks.append(backend.diagnose(root))
        root.backward()
        looks.append(backend.diagnose(root, x))
        x[0].data += 0.5
        looks.append(backend.diagnose(root * 2.0))
        said[backend.name] = [str(look) for look in looks]
        found[backend.name] = [[finding.kind for finding in look] for look in looks]
    assert found["pure_python"][:2] == [[], []] and "backward again" in found["pure_python"][2]
    if name != "a custom operation":  # which cannot be computed anew
        assert found["pure_python"][3] == ["data changed"]
    for backend, kinds in found.items():
        assert kinds == found["pure_python"], f"{backend} finds {kinds}"
    assert said["cython_core"] == said["pure_python"]


@pytest.mark.parametrize("name", ROOTS)
def test_the_same_words(backends, name):
    """Explanations and trees read alike."""
    texts = {}
    for backend in backends:
        root, x = built(backend, name)
        root.backward()
        texts[backend.name] = [str(backend.tree(root)), str(backend.tree(root, fused=True))] + [
            str(backend.explain(root, leaf)) for leaf in x
        ]
    for backend, lines in texts.items():
        assert lines == texts["pure_python"], f"{backend} says\n" + "\n".join(lines)
