"""The same picture in all three: the DOT text of networks, losses and Vectors (rule 1.18)."""

import random

import pytest

PICTURES = {
    "the first example": lambda m: (
        m.Value(2.0, label="a") * m.Value(3.0, label="b") + m.Value(5.0)
    ).tanh(),
    "a neuron": lambda m: m.Neuron(2)([m.Value(1.0), m.Value(-2.0)]),
    "a neuron of numbers": lambda m: m.Neuron(3, activation="gelu")([1.0, -2.0, 0.5]),
    "a layer": lambda m: m.Layer(2, 4, activation="tanh")([2, 0]),
    "a network": lambda m: m.MLP([3, 4, 2, 1])([2.0, 3.0, -1.0]),
    "a batch": lambda m: m.MLP(2, [3, 2])([[1.0, 2.0], [3.0, 4.0]]),
    "dot": lambda m: m.dot([m.Value(2.0), 3.0], [m.Value(0.5), m.Value(1.5)], m.Value(1.0)),
    "dot with a number as bias": lambda m: m.dot([m.Value(2.0)], [m.Value(0.5)], 0.25),
    "linear": lambda m: m.linear(
        [m.Value(1.0), 2.0], [[0.5, m.Value(1.0)], [1.0, 2.0]], [0.5, m.Value(1.0)]
    ),
    "softmax": lambda m: m.softmax([m.Value(1.0), m.Value(2.0), 3.0]),
    "attention": lambda m: m.scaled_dot_product_attention(
        [m.Value(1.0), 2.0], [[m.Value(1.0), 0.5], [0.0, 1.0]], [[m.Value(3.0)], [4.0]]
    ),
    "a loss": lambda m: m.hinge_loss(m.MLP(2, [2, 1])([[1.0, 2.0], [3.0, 4.0]]), [1, -1]),
    "cross entropy": lambda m: m.cross_entropy(m.Layer(2, 3)([[1.0, 2.0], [0.5, -1.0]]), [0, 2]),
    "vector style": lambda m: (
        (1 - [1.0, -1.0] * m.MLP(2, [2, 1])([[1.0, 2.0], [3.0, 4.0]])).relu().mean()
    ),
    "Vectors": lambda m: m.Vector([1.0, 2.0, 3.0])[1:] * m.Value(2.0) + 1.0,
    "a product of Vectors": lambda m: m.Vector([1.0, 2.0]) @ m.Vector([3.0, 4.0]),
    "several roots": lambda m: [m.Value(1.0) * 2.0, m.Value(3.0)],
    "numbers of every size": lambda m: (m.Value(1e300) * 1e-7 + 1234567.0) ** 0.5 / 3.0 - 1e-5,
    "a custom operation": lambda m: (
        m.Value(6.0, (m.Value(2.0), m.Value(3.0)), "x·y", "product", (3.0, 2.0)) * 2.0
    ),
}


@pytest.mark.parametrize("fused", [False, True], ids=["", "fused"])
@pytest.mark.parametrize("picture", PICTURES)
def test_the_same_text(backends, picture, fused):
    texts = {}
    for backend in backends:
        random.seed(1337)
        root = PICTURES[picture](backend)
        before = backend.draw_dot(root, fused=fused).source
        for part in root if isinstance(root, list) else [root]:
            part.backward()
        texts[backend.name] = before + backend.draw_dot(root, fused=fused, rankdir="TB").source
    for name, text in texts.items():
        assert text == texts["pure_python"], (
            f"{name} draws\n{text}\npure_python draws\n{texts['pure_python']}"
        )


MODELS = {
    "a neuron": (lambda m: m.Neuron(3, activation="leaky_relu", seed=1), {}),
    "a layer": (lambda m: m.Layer(3, 4, activation="gelu", seed=2), {"rankdir": "BT"}),
    "a network": (lambda m: m.MLP(2, [16, 16, 1], seed=3), {"input_names": ["left", "right"]}),
    "a wide network": (lambda m: m.MLP(64, [32, 10], seed=4), {"max_neurons": 5}),
}


@pytest.mark.parametrize("model", MODELS)
def test_the_same_picture_of_a_model(backends, model):
    """After a step of training too, when engines agree to 12 digits."""
    make, options = MODELS[model]
    texts = {}
    for backend in backends:
        drawn = make(backend)
        before = backend.draw_model(drawn, **options).source
        (backend.mse_loss(drawn([0.1] * drawn.n_in), [0.3] * getattr(drawn, "n_out", 1))).backward()
        for p in drawn.parameters():
            p.data -= 0.1 * p.grad
        texts[backend.name] = before + backend.draw_model(drawn, **options).source
    for name, text in texts.items():
        assert text == texts["pure_python"], f"{name} draws\n{text}"
