"""Neuron, Layer and MLP: values, gradients and weights, against torch.nn and by hand."""

import copy
import math
import pickle
import random

import pytest

from cases.bad_inputs import of_chapter
from cases.contract import ACTIVATIONS
from cases.numbers import all_close, close, floats, nested, same, worst
from cases.refusals import check_refusal
from reference import torch

BATCH = [[0.5, -1.0], [2.0, 0.25], [-3.0, 1.0], [0.0, 0.0], [1.0, 1.0]]


def expect(what, got, expected, rtol=1e-12, atol=1e-15):
    assert all_close(got, expected, rtol, atol), f"{what}: {worst(got, expected)}"


def gradients(model):
    """Gradients in the order and shapes of state_dict, whatever a parameter is: a weight, a matrix."""
    flat = {key: [] for key in model.state_dict()}
    for name, p in model.named_parameters():
        (key,) = [key for key in flat if f"{name}.".startswith(f"{key}.")]
        flat[key] += floats(p.grad)
    return flat


def shape(data):
    rows = nested(data)
    return (len(rows), len(rows[0])) if isinstance(rows[0], list) else (len(rows),)


def torch_activation(name):
    return {
        "linear": lambda x: x,
        "relu": torch.relu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
    }.get(name) or getattr(torch.nn.functional, name)


def torch_forward(state, x, activations):
    """The same network in PyTorch, from a state_dict of tensors."""
    for i, activation in enumerate(activations):
        x = x @ state[f"layers.{i}.weight"].T + state[f"layers.{i}.bias"]
        x = torch_activation(activation)(x)
    return x


def torch_state(model):
    return {
        name: torch.tensor(nested(data), dtype=torch.float64, requires_grad=True)
        for name, data in model.state_dict().items()
    }


def test_weights_come_from_pythons_random(backend):
    """Rule 3.3: `random.seed(1337)` gives the weights that micrograd gives, biases 0.0."""
    random.seed(1337)
    model = backend.MLP(2, [3, 1])
    random.seed(1337)
    expected = {
        "layers.0.weight": [[random.uniform(-1, 1) for _ in range(2)] for _ in range(3)],
        "layers.0.bias": [0.0, 0.0, 0.0],
        "layers.1.weight": [[random.uniform(-1, 1) for _ in range(3)]],
        "layers.1.bias": [0.0],
    }
    got = {name: nested(data) for name, data in model.state_dict().items()}
    assert got == expected, (
        "draw each weight by random.uniform(-1, 1), neuron by neuron; biases draw nothing"
    )


def test_seed(backend):
    """Rule 3.3: one random.Random(seed) for the whole module; the global state stays as it was."""
    before = random.getstate()
    model = backend.MLP(2, [3, 1], seed=7)
    assert random.getstate() == before, "with a seed, the random module must not be touched"
    generator = random.Random(7)
    expected = [generator.uniform(-1, 1) for _ in range(9)]
    assert (
        floats([model.state_dict()["layers.0.weight"], model.state_dict()["layers.1.weight"]])
        == expected
    )
    again = backend.MLP([2, 3, 1], seed=7)
    assert str(again.state_dict()) == str(model.state_dict())
    assert floats(backend.Neuron(2, seed=7).weight) == expected[:2]
    assert floats(backend.Layer(2, 3, seed=7).state_dict()["weight"]) == expected[:6]


@pytest.mark.parametrize(
    ("init", "scale"),
    [("xavier", lambda i, o: math.sqrt(6 / (i + o))), ("he", lambda i, o: math.sqrt(6 / i))],
)
def test_inits(backend, init, scale):
    """Rule 3.3: the same draws, multiplied."""
    for make, n_in, n_out in (
        (lambda **k: backend.Layer(3, 5, **k), 3, 5),
        (lambda **k: backend.Neuron(3, **k), 3, 1),
        (lambda **k: backend.MLP(3, [5], **k), 3, 5),
    ):
        name = next(iter(make().state_dict()))
        plain = floats(make(seed=1).state_dict()[name])
        scaled = floats(make(seed=1, init=init).state_dict()[name])
        expect(f"weights of {init}", scaled, [scale(n_in, n_out) * w for w in plain])


def test_counts(backend):
    """Rule 3.7, the documented sizes."""
    assert backend.Neuron(10).nparams() == 11
    assert backend.Layer(3, 10).nparams() == 40
    net = backend.Net(3, [100, 200, 2])
    assert net.nparams() == 21002
    assert len(net([1.0, 2.0, 3.0])) == 2
    assert backend.Net is backend.MLP


def test_prints(backend):
    """Rule 3.10."""
    assert (
        repr(backend.MLP(2, [16, 16, 1]))
        == "MLP(2, [16, 16, 1], activation='relu', output_activation='linear')"
    )
    assert repr(backend.MLP([3, 4], activation="tanh", output_activation="sigmoid")) == (
        "MLP(3, [4], activation='tanh', output_activation='sigmoid')"
    )
    assert repr(backend.Layer(2, 16)) == "Layer(2, 16, activation='relu')"
    assert repr(backend.Neuron(2, activation="gelu")) == "Neuron(2, activation='gelu')"


def test_attributes(backend):
    """Rule 3.7."""
    model = backend.MLP(2, [3, 1], activation="tanh")
    assert isinstance(model.layers, tuple) and all(
        isinstance(layer, backend.Layer) for layer in model.layers
    )
    assert [(layer.n_in, layer.n_out, layer.activation) for layer in model.layers] == [
        (2, 3, "tanh"),
        (3, 1, "linear"),
    ]
    neuron = backend.Neuron(4, activation="gelu")
    assert (neuron.n_in, neuron.activation) == (4, "gelu")


def test_weight_and_bias_are_indexed_alike(backend):
    """Rule 3.7: layer.weight[row][column], layer.bias[row], neuron.weight[column], neuron.bias."""
    layer = backend.Layer(2, 3, seed=1)
    state = nested(layer.state_dict()["weight"])
    for row in range(3):
        assert layer.bias[row].data == 0.0
        for column in range(2):
            assert layer.weight[row][column].data == state[row][column]
    neuron = backend.Neuron(2, seed=1)
    assert [neuron.weight[i].data for i in range(2)] == state[0]
    assert floats(neuron.bias) == [0.0]
    layer.weight[1][0].data = 5.0
    assert nested(layer.state_dict()["weight"])[1][0] == 5.0, (
        "what is written through weight[row][column] stays"
    )


def test_parameters(backend):
    """Rule 3.7: names and order."""
    model = backend.MLP(2, [2, 1], seed=1)
    names = [name for name, _ in model.named_parameters()]
    if backend.arrays:
        assert names == ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]
    else:
        assert names == [
            "layers.0.weight.0.0", "layers.0.weight.0.1", "layers.0.bias.0",
            "layers.0.weight.1.0", "layers.0.weight.1.1", "layers.0.bias.1",
            "layers.1.weight.0.0", "layers.1.weight.0.1", "layers.1.bias.0",
        ]  # fmt: skip
    parameters = list(model.parameters())
    assert all(p is q for p, q in zip(parameters, model.params(), strict=True))
    assert all(p is q for p, (_, q) in zip(parameters, model.named_parameters(), strict=True))
    assert all(isinstance(p, backend.Value) for p in parameters)


def test_the_plain_update_works(backend):
    """Rule 3.7: `for p in model.parameters(): p.data -= lr * p.grad`."""
    model = backend.MLP(2, [2, 1], activation="tanh", seed=1)
    before = {name: floats(data) for name, data in model.state_dict().items()}
    model([1.0, 2.0]).backward()
    grads = gradients(model)
    assert any(g for row in grads.values() for g in row)
    for p in model.parameters():
        p.data -= 0.1 * p.grad
    for name, data in model.state_dict().items():
        expect(name, data, [w - 0.1 * g for w, g in zip(before[name], grads[name], strict=True)])
    model.zero_grad()
    assert all(g == 0.0 for row in gradients(model).values() for g in row)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_neuron_is_its_multiplies_and_adds(backend, activation):
    """Rules 3.4 and 2.2: data and gradients of a neuron are those of the expression written out."""
    neuron = backend.Neuron(3, activation=activation, seed=3)
    neuron.bias.data = neuron.bias.data * 0 + 0.1
    x = [backend.Value(v) for v in (0.5, -1.5, 2.0)]
    y = neuron(x)
    assert isinstance(y, backend.Value) and type(y.data) is float
    w = [backend.Value(float(neuron.weight[i].data)) for i in range(3)]
    z = [backend.Value(v) for v in (0.5, -1.5, 2.0)]
    b = backend.Value(0.1)
    total = ((b + w[0] * z[0]) + w[1] * z[1]) + w[2] * z[2]
    u = total if activation == "linear" else getattr(total, activation)()
    assert close(y.data, u.data)
    y.backward()
    u.backward()
    expect("gradient to the inputs", [v.grad for v in x], [v.grad for v in z])
    expect(
        "gradient to the weights and the bias",
        floats(list(gradients(neuron).values())),
        [v.grad for v in [*w, b]],
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_neurons_output_is_one_node(backend, activation):
    """Rule 3.4: operation "dot", or "relu(dot)" and so on."""
    y = backend.Neuron(2, activation=activation)([1.0, 2.0])
    name = {"leaky_relu": "leaky_relu(0.01)"}.get(activation, activation)
    assert y.op == ("dot" if activation == "linear" else f"{name}(dot)")


@pytest.mark.pytorch
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch", [False, True], ids=["one sample", "batch"])
def test_agrees_with_pytorch(backend, activation, batch):
    """Rules 3.2 to 3.5: outputs and gradients of a network of three layers."""
    model = backend.MLP(2, [4, 3, 2], activation=activation, output_activation="tanh", seed=5)
    for p in model.parameters():
        p.data += 0.05  # biases that are not zero
    x = BATCH if batch else BATCH[0]
    state = torch_state(model)
    u = torch_forward(state, torch.tensor(x, dtype=torch.float64), [activation, activation, "tanh"])
    y = model(x)
    assert isinstance(y, backend.Vector)
    expect("outputs", y.data, u.tolist())
    seed = torch.linspace(-1, 1, u.numel(), dtype=torch.float64).reshape(u.shape)
    y.backward(seed.tolist())
    u.backward(seed)
    for name, grad in gradients(model).items():
        expect(f"gradient of {name}", grad, state[name].grad.tolist(), 1e-11)


@pytest.mark.parametrize("weight, number", [(-math.inf, 0.25), (-2.0, math.inf), (-2.0, 0.25)])
def test_a_dead_neuron_hands_down_zeros(backend, weight, number):
    """Rule 1.16: 0 times its weights and inputs, which is nan of an infinite one."""
    layer = backend.Layer(2, 2, seed=1)
    layer.load_state_dict({"weight": [[1.0, weight], [0.5, -1.0]], "bias": [-9.0, -9.0]})
    x = backend.Vector([0.5, number])
    for p in layer.parameters() if math.isfinite(weight * number) else ():
        p.grad = -0.0  # to which 0.0 is added
    layer(x)[0].backward()
    found = gradients(layer)
    assert all(map(same, found["weight"], [0.0, 0.0 * number] * 2)), found
    assert all(map(same, found["bias"], [0.0, 0.0])), found
    assert all_close(floats(x.grad), [0.0, 0.0 * weight]), x.grad


@pytest.mark.pytorch
def test_gradient_reaches_the_inputs(backend):
    """Rule 3.4: x of Values."""
    model = backend.MLP(2, [4, 1], activation="gelu", seed=5)
    x = [backend.Value(0.5), backend.Value(-1.0)]
    model(x).backward()
    t = torch.tensor([0.5, -1.0], dtype=torch.float64, requires_grad=True)
    torch_forward(torch_state(model), t, ["gelu", "linear"]).sum().backward()
    expect("gradient to the inputs", [v.grad for v in x], t.grad.tolist(), 1e-11)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_batch_is_the_single_calls(backend, activation):
    """Rule 3.5: values and gradients of N single calls made in order."""
    single = backend.MLP(2, [4, 2, 1], activation=activation, seed=9)
    batched = backend.MLP(2, [4, 2, 1], activation=activation, seed=9)
    ys = [single(x) for x in BATCH]
    zs = batched(BATCH)
    assert isinstance(zs, backend.Vector) and len(zs) == len(BATCH)
    weights = [1.0, -0.3, 0.7, 2.0, -1.1]
    total = backend.Vector(ys) * weights
    total.sum().backward()
    (zs * weights).sum().backward()
    equal = all_close if backend.arrays else lambda a, b: all(map(same, floats(a), floats(b)))
    assert equal(zs.data, [y.data for y in ys])
    for name, grad in gradients(single).items():
        assert equal(gradients(batched)[name], grad), (
            f"gradient of {name}: {worst(gradients(batched)[name], grad)}"
        )


def test_shapes_of_outputs(backend):
    """Rules 3.4 and 3.5: a Value where n_out is 1, else a Vector; a batch gives N of them."""
    assert isinstance(backend.Layer(2, 1)([1.0, 2.0]), backend.Value)
    assert type(backend.MLP(2, [3, 1])([1.0, 2.0]).data) is float
    y = backend.Layer(2, 3)([1.0, 2.0])
    assert isinstance(y, backend.Vector) and len(y) == 3
    batch = backend.Layer(2, 3)(BATCH)
    assert len(batch) == 5 and len(batch[0]) == 3
    assert len(backend.Neuron(2)(BATCH)) == 5
    assert backend.Neuron(2)([BATCH[0]])[0].data >= 0.0
    assert len(backend.Layer(1, 2)([[1.0], [2.0]])) == 2, "one column of rows is a batch"


def test_inputs_of_every_kind(backend):
    """Rules 3.4 and 3.5: lists, tuples, ints, Values, Vectors, a batch of any of them."""
    model = backend.MLP(2, [3, 2], seed=1)
    expected = floats(model([1.0, 2.0]))
    for x in (
        (1, 2),
        [backend.Value(1.0), 2.0],
        backend.Vector([1.0, 2.0]),
        [1.0, 2],
    ):
        expect(f"output for {x!r}", floats(model(x)), expected)
    for batch in (
        [(1, 2), (1, 2)],
        backend.Vector([[1.0, 2.0], [1.0, 2.0]]),
        ([1.0, 2.0], [backend.Value(1), 2]),
    ):
        expect(f"output for {batch!r}", floats(model(batch)), expected * 2)


def test_layer_outputs_go_backward(backend):
    """The documented examples: a Layer's outputs have `.backward()`."""
    layer = backend.Layer(n_in=2, n_out=4, seed=1, activation="tanh")
    for y in layer([2, 0]):
        y.backward()
    assert any(floats(list(gradients(layer).values())))
    layer.zero_grad()
    layer([2, 0]).backward()
    assert floats(gradients(layer)["bias"]) != [0.0] * 4


@pytest.mark.parametrize("make", ["Neuron(3)", "Layer(3, 2)", "MLP(3, [2])"])
def test_without_a_seed_pythons_random_draws(backend, make):
    """Rule 3.3: so random.seed makes any module repeatable."""

    def weights():
        random.seed(7)
        return floats([p.data for p in eval(make, vars(backend.module)).parameters()])

    assert weights() == weights()


def test_sizes(backend):
    """Rule 3.7: n_in and n_out."""
    model = backend.MLP(2, [3, 4, 1])
    assert (model.n_in, model.n_out) == (2, 1)
    assert [(layer.n_in, layer.n_out) for layer in model.layers] == [(2, 3), (3, 4), (4, 1)]


def test_a_sample_from_a_generator(backend):
    """Rule 3.4: the numbers may come one by one, and the samples of a batch too."""
    model = backend.MLP(2, [3, 1], seed=1)
    assert model(x for x in (0.5, -1.0)).data == model([0.5, -1.0]).data
    rows = [[0.5, -1.0], [2.0, 0.0]]
    assert floats(model(row for row in rows)) == floats(model(rows))


def test_no_grad(backend):
    """Rule 1.13: predicting builds no graph."""
    model = backend.MLP(2, [3, 1], seed=1)
    with backend.no_grad():
        one, many = model([1.0, 2.0]), model(BATCH)
    assert one.operands == () and many[0].operands == ()


# State ---------------------------------------------------------------------------------------


def test_state_dict(backend):
    """Rule 3.8: names and shapes of torch.nn.Linear."""
    state = backend.MLP(2, [3, 1]).state_dict()
    assert list(state) == ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]
    assert [shape(data) for data in state.values()] == [(3, 2), (3,), (1, 3), (1,)]
    layer, neuron = backend.Layer(2, 3).state_dict(), backend.Neuron(2).state_dict()
    assert {name: shape(data) for name, data in layer.items()} == {"weight": (3, 2), "bias": (3,)}
    assert {name: shape(data) for name, data in neuron.items()} == {"weight": (1, 2), "bias": (1,)}


def test_a_state_is_a_copy(backend):
    """Rule 3.8: training on does not change it."""
    model = backend.MLP(2, [3, 1], seed=1)
    state = model.state_dict()
    before = str(state)
    for p in model.parameters():
        p.data += 1.0
    assert str(state) == before
    model.load_state_dict(state)
    assert str(model.state_dict()) == before


@pytest.mark.pytorch
def test_into_pytorch_and_back(backend):
    """Rule 3.8: a state moves between the backends and PyTorch."""
    model = backend.MLP(2, [3, 1], activation="relu", seed=1)
    theirs = torch.nn.Module()
    theirs.layers = torch.nn.ModuleList([torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)]).double()
    theirs.load_state_dict(
        {
            name: torch.tensor(nested(data), dtype=torch.float64)
            for name, data in model.state_dict().items()
        }
    )
    x = torch.tensor(BATCH, dtype=torch.float64)
    expect(
        "PyTorch with our weights",
        model(BATCH),
        theirs.layers[1](torch.relu(theirs.layers[0](x))).flatten().tolist(),
    )
    torch.manual_seed(0)
    theirs.layers = torch.nn.ModuleList([torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)]).double()
    model.load_state_dict(theirs.state_dict())
    expect(
        "our model with PyTorch's weights",
        model(BATCH),
        theirs.layers[1](torch.relu(theirs.layers[0](x))).flatten().tolist(),
    )


def test_loading_keeps_the_parameters_themselves(backend):
    """Rule 3.8: an optimiser that holds them goes on working."""
    model = backend.MLP(2, [3, 1], seed=1)
    before = list(model.parameters())
    model.load_state_dict(backend.MLP(2, [3, 1], seed=2).state_dict())
    assert all(p is q for p, q in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize(
    "how", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"]
)
def test_copies_of_a_model(backend, how):
    """Rule 1.14: a copy has the weights and is a model of its own."""
    model = backend.MLP(2, [3, 1], activation="tanh", seed=1)
    twin = how(model)
    assert repr(twin) == repr(model)
    assert twin([1.0, 2.0]).data == model([1.0, 2.0]).data
    for p in twin.parameters():
        p.data += 1.0
    assert twin([1.0, 2.0]).data != model([1.0, 2.0]).data
    twin([1.0, 2.0]).backward()
    assert all(g == 0.0 for row in gradients(model).values() for g in row)


def test_save_and_load(backend, tmp_path):
    """Rule 3.9: safetensors, bit for bit, and PyTorch's reader agrees on the content."""
    import safetensors

    model = backend.MLP(2, [3, 1], seed=1)
    path = tmp_path / "model.safetensors"
    model.save(path)
    other = backend.MLP(2, [3, 1], seed=2)
    other.load(str(path))
    assert str(other.state_dict()) == str(model.state_dict())
    entries = dict(safetensors.deserialize(path.read_bytes()))
    assert (
        entries["layers.0.weight"]["shape"] == [3, 2]
        and entries["layers.0.weight"]["dtype"] == "F64"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors"], (
        "no draft is left behind"
    )


def test_a_save_that_cannot_be(backend, tmp_path):
    """Rule 3.9: the error names the file that was asked for, and nothing is left behind."""
    model = backend.MLP(2, [1])
    (tmp_path / "folder").mkdir(exist_ok=True)
    for path in (tmp_path / "nowhere" / "model.safetensors", tmp_path / "folder"):
        with pytest.raises(OSError) as caught:
            model.save(path)
        assert str(caught.value).endswith(f": '{path}'"), f"the error says {caught.value}"
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_an_interrupted_save_leaves_the_old_file_whole(backend, tmp_path, monkeypatch):
    """Rule 3.9."""
    import os

    model = backend.MLP(2, [3, 1], seed=1)
    path = tmp_path / "model.safetensors"
    model.save(path)
    before = path.read_bytes()

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    for step in ("fsync", "replace", "rename"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, interrupted)
            try:
                backend.MLP(2, [3, 1], seed=2).save(path)
            except KeyboardInterrupt:
                assert path.read_bytes() == before, (
                    f"interrupted in os.{step}, the old file has changed"
                )
        model.save(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors"], (
        "a draft is left behind"
    )


@pytest.mark.parametrize("damage", ["cut short", "empty", "text", "header", "flipped length"])
def test_a_damaged_file(backend, tmp_path, damage):
    """Rule 3.9: a ValueError that names the file; the model stays as it was."""
    model = backend.MLP(2, [3, 1], seed=1)
    path = tmp_path / "model.safetensors"
    model.save(path)
    content = path.read_bytes()
    path.write_bytes({
        "cut short": content[:-9],
        "empty": b"",
        "text": b"these are no weights at all",
        "header": content[:8] + b"?" * (len(content) - 8),
        "flipped length": b"\xff" * 8 + content[8:],
    }[damage])  # fmt: skip
    before = str(model.state_dict())
    with pytest.raises(ValueError) as caught:
        model.load(path)
    assert "model.safetensors" in str(caught.value)
    assert str(model.state_dict()) == before


def test_a_file_of_another_model(backend, tmp_path):
    """Rules 3.8 and 3.9: it names the file and what does not fit."""
    path = tmp_path / "model.safetensors"
    backend.MLP(2, [4, 1]).save(path)
    with pytest.raises(ValueError) as caught:
        backend.MLP(2, [3, 1]).load(path)
    assert "layers.0.weight" in str(caught.value) and "layers.1.weight" in str(caught.value)
    with pytest.raises(FileNotFoundError):
        backend.MLP(2, [3, 1]).load(tmp_path / "nothing.safetensors")


def test_a_neuron_of_a_layer_by_itself(backend):
    """Rule 3.7: its weights are those of the layer."""
    layer = backend.Layer(3, 2, activation="tanh", seed=2)
    if not hasattr(layer, "neurons"):
        return
    x = [backend.Value(0.5), backend.Value(-1.0), 2.0]
    for neuron, expected in zip(layer.neurons, layer(x), strict=True):
        assert close(neuron(x).data, expected.data)
    layer(x)[1].backward()
    expected = [p.grad for p in layer.parameters()]
    layer.zero_grad()
    layer.neurons[1](x).backward()
    assert all_close([p.grad for p in layer.parameters()], expected)


def test_layers_that_do_not_fit(backend):
    """Rule 3.7: layers that somebody put together."""
    model = backend.MLP(2, [3, 1], seed=1)
    model.layers = (backend.Layer(2, 3, seed=1), backend.Layer(4, 1, seed=2))
    with pytest.raises(ValueError) as refusal:
        model([0.5, 1.0])
    says = "3 (dim 0) != 4" if backend.arrays else f"{model!r} has a layer of 4 inputs after 3"
    assert says in str(refusal.value)


@pytest.mark.parametrize("case", of_chapter("nn"), ids=str)
def test_refuses(backend, case):
    """Bad input is answered with the error that the interface names, and says what came."""
    check_refusal(backend, case)
