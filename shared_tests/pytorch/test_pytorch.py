"""Networks to PyTorch and back: the same outputs, the same gradients, the same weights."""

import importlib
import random
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm

from cases.contract import ACTIVATIONS
from cases.exact import TORCH_ACTIVATIONS
from cases.numbers import floats, nested

pytestmark = pytest.mark.pytorch

X = [[0.5, -1.25, 2.0], [-0.75, 0.25, 1.5], [3.0, -0.5, -2.0]]


@pytest.fixture
def bridge(backend):
    return importlib.import_module(f"{backend.name}.pytorch")


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-300)


def gradients(model):
    """Of our parameters, flat, in the order of a state_dict."""
    return [x for tensor in model._tensors().values() for x in floats(tensor.grad)]


def compare(model, module):
    """Outputs and gradients, of the inputs too, of the sum of squares of what both compute of X."""
    X_ours, X_theirs = model_inputs(model), torch.tensor(X, dtype=torch.float64, requires_grad=True)
    ours, theirs = model(X_ours), module(X_theirs)
    close(np.array(nested(ours.data)).reshape(theirs.shape), theirs.detach().numpy())
    model.zero_grad()
    (ours * ours).sum().backward()
    (theirs * theirs).sum().backward()
    close(np.array(nested(X_ours.grad)), X_theirs.grad.numpy())
    for layer, linear in zip(
        model.layers, [m for m in module if isinstance(m, nn.Linear)], strict=True
    ):
        close(np.array(nested(layer.weight.grad)), linear.weight.grad.numpy())
        close(np.array(nested(layer.bias.grad)), linear.bias.grad.numpy())


def model_inputs(model):
    return importlib.import_module(type(model).__module__.partition(".")[0]).Vector(X)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("n_out", [1, 2])
def test_an_mlp_in_pytorch_computes_the_same(backend, bridge, activation, n_out):
    last = ACTIVATIONS[(ACTIVATIONS.index(activation) + 1) % len(ACTIVATIONS)]
    model = backend.MLP(3, [4, 5, n_out], activation=activation, output_activation=last, seed=1)
    compare(model, bridge.to_torch(model))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_module_of_pytorch_computes_the_same_here(bridge, activation):
    torch.manual_seed(0)
    kind = TORCH_ACTIVATIONS[activation]
    module = nn.Sequential(nn.Linear(3, 4), kind(), nn.Linear(4, 5), kind(), nn.Linear(5, 2))
    model = bridge.from_torch(module.double())
    assert (model.activation, model.output_activation) == (activation, "linear")
    compare(model, module)


def test_there_and_back_are_the_same_bits(backend, bridge):
    model = backend.MLP(3, [4, 2], activation="tanh", output_activation="sigmoid", seed=3)
    module = bridge.to_torch(model)
    assert list(module.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    again = bridge.from_torch(module)
    assert repr(again) == repr(model)
    for name, entry in model.state_dict().items():
        assert floats(entry) == floats(again.state_dict()[name])


def test_states_go_both_ways_between_networks_that_are_there(backend, bridge):
    """Of a model that an optimiser holds, and of a module that one of PyTorch's does."""
    model, module = backend.MLP(3, [4, 2], seed=3), bridge.to_torch(backend.MLP(3, [4, 2], seed=4))
    module.load_state_dict(bridge.to_torch(model).state_dict())
    compare(model, module)
    with torch.no_grad():
        for p in module.parameters():
            p *= 0.5
    model.load_state_dict(bridge.from_torch(module).state_dict())
    module.zero_grad()
    compare(model, module)


def test_layers_and_neurons(backend, bridge):
    for model in (backend.Layer(3, 2, "tanh", seed=1), backend.Neuron(3, "gelu", seed=1)):
        module = bridge.to_torch(model)
        close(floats(model(X[0]).data), module(torch.tensor(X[0]).double()).detach().numpy())


def test_weights_are_copied(backend, bridge):
    model = backend.MLP(3, [2], seed=1)
    module = bridge.to_torch(model)
    before = floats(model.state_dict()["layers.0.weight"])
    with torch.no_grad():
        module[0].weight *= 2.0
    assert floats(model.state_dict()["layers.0.weight"]) == before


def test_nested_sequentials_a_linear_alone_and_other_floats(bridge):
    assert bridge.from_torch(nn.Linear(3, 2)).n_in == 3
    inner = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
    module = nn.Sequential(inner, nn.Sequential(nn.Linear(4, 1), nn.Identity()))
    model = bridge.from_torch(module)
    assert [layer.activation for layer in model.layers] == ["tanh", "linear"]
    exact = module[0][0].weight.double().detach().numpy()
    assert np.array_equal(np.array(nested(model.state_dict()["layers.0.weight"])), exact)


def test_the_random_module_is_not_asked(bridge):
    random.seed(5)
    first = random.random()
    random.seed(5)
    bridge.from_torch(nn.Linear(3, 2))
    assert random.random() == first


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float32]
)
def test_every_float_of_pytorch_is_one_here(bridge, dtype):
    module = nn.Linear(3, 2).to(dtype)
    weights = bridge.from_torch(module).state_dict()["layers.0.weight"]
    assert np.array_equal(np.array(nested(weights)), module.weight.detach().double().numpy())


def test_modules_in_one_another_and_activations_that_are_shared_or_lazy(bridge):
    """An activation has no weights, so one may stand in several places; lazy ones once they are made."""
    torch.manual_seed(0)
    shared, inner = nn.Tanh(), nn.Sequential(nn.LazyLinear(4), nn.Identity())
    module = nn.Sequential(nn.Sequential(nn.Linear(3, 4), shared), inner, shared, nn.LazyLinear(2))
    module(torch.tensor(X))
    model = bridge.from_torch(module.double())
    flat = nn.Sequential(
        *(part for part in module.modules() if not isinstance(part, nn.Sequential))
    )
    assert repr(model) == "MLP(3, [4, 4, 2], activation='tanh', output_activation='linear')"
    # modules() names the shared activation once.
    flat = nn.Sequential(flat[0], flat[1], flat[2], flat[1], flat[4])
    compare(model, flat)


class Own(nn.Module):
    def forward(self, x):
        return x


class OwnLinear(nn.Linear):
    pass


class OptimizedModule(nn.Module):
    """What torch.compile makes is called so, which takes its time to be imported."""


def sequential(*modules):
    """After a Linear of 2 inputs and 3 outputs."""
    return nn.Sequential(nn.Linear(2, 3), *modules)


def hooked(register):
    module = sequential(nn.ReLU())
    getattr(module[1], register)(lambda *arguments: None)
    return module


def patched():
    module = sequential()
    module.forward = lambda x: 2.0 * x
    return module


def tied():
    one, two = nn.Linear(3, 3), nn.Linear(3, 3)
    two.weight = one.weight
    return sequential(one, two)


def shared():
    linear = nn.Linear(3, 3)
    return sequential(linear, nn.Sequential(linear))


def sparse():
    linear = nn.Linear(2, 3)
    linear.weight = nn.Parameter(linear.weight.detach().to_sparse())
    return linear


def quantised():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it moves to another package
        return torch.ao.quantization.quantize_dynamic(sequential(), {nn.Linear})


# What PyTorch has and an MLP has not, with what is said of it, and what to do instead.
FOREIGN = [
    (lambda: nn.Linear(2, 3, device="meta"), ValueError, "module is Linear.* meta, where it has no weights: .*'cpu'"),
    (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1, device="meta")),
        ValueError,
        r"module\[1\] is .* has no weights",
    ),
    (lambda: nn.Linear(2, 3, dtype=torch.complex64), ValueError, "of torch.complex64, and here all numbers"),
    (sparse, ValueError, "module is Linear.* of torch.sparse_coo: .*to_dense"),
    (quantised, TypeError, r"module\[0\] is torch\..*quantized.*\.Linear; from_torch takes"),
    (lambda: OwnLinear(2, 3), TypeError, "module is OwnLinear; from_torch takes"),
    (lambda: hooked("register_forward_hook"), ValueError, r"module\[1\] is ReLU with hooks, .* remove"),
    (lambda: hooked("register_forward_pre_hook"), ValueError, r"module\[1\] is ReLU with hooks, .* remove"),
    (patched, ValueError, "module is Sequential with a forward of its own, .* remove"),
    (lambda: prune.l1_unstructured(nn.Linear(2, 3), "weight", 0.5), ValueError, r"with hooks, .*\(prune\.remove"),
    (lambda: weight_norm(nn.Linear(2, 3)), TypeError, "Parametrized.*remove_parametrizations"),
    (shared, ValueError, r"module\[2\]\[0\] .* weights of module\[1\].* copy.deepcopy"),
    (tied, ValueError, r"module\[2\] .* weights of module\[1\].* copy.deepcopy"),
    (lambda: sequential(nn.BatchNorm1d(3)), TypeError, r"BatchNorm1d \(.*fuse_linear_bn_eval"),
    (lambda: nn.LSTM(2, 3), TypeError, "module is LSTM; from_torch takes"),
    (lambda: nn.Sequential(nn.Conv2d(1, 2, 3)), TypeError, r"module\[0\] is Conv2d; from_torch takes"),
    (lambda: sequential(nn.Softmax(dim=1)), TypeError, r"Softmax \(.*leave it out.* softmax of the outputs"),
    (lambda: sequential(nn.LogSoftmax(dim=1)), TypeError, "leave it out.* log_softmax of the outputs"),
    (lambda: sequential(nn.Dropout()), TypeError, r"Dropout \(.*leave it out: only training has it"),
    (lambda: sequential(nn.PReLU()), TypeError, r"module\[1\] is PReLU; from_torch takes"),
    (lambda: nn.Sequential(nn.LazyLinear(3)), TypeError, r"LazyLinear \(.*first call makes a Linear"),
    (lambda: nn.ModuleList([nn.Linear(2, 3)]), TypeError, r"ModuleList \(.*Sequential\(\*modules\)"),
    (lambda: nn.Linear(2, 3).state_dict(), TypeError, r"OrderedDict \(.*load_state_dict"),
    (lambda: nn.DataParallel(nn.Linear(2, 3)), TypeError, r"DataParallel \(.*\.module"),
    (lambda: OptimizedModule(), TypeError, r"OptimizedModule \(.*\._orig_mod"),
    (lambda: nn.Linear, TypeError, "module is the class Linear; from_torch takes"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's own parts
@pytest.mark.parametrize(("module", "kind", "message"), FOREIGN)
def test_what_pytorch_has_and_a_network_has_not(bridge, module, kind, message):
    with pytest.raises(kind, match=message):
        bridge.from_torch(module())


@pytest.mark.parametrize(
    ("module", "kind", "message"),
    [
        (lambda: Own(), TypeError, "module is Own; from_torch takes a Sequential of Linear"),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.Dropout()), TypeError, r"module\[1\] is Dropout"),
        (lambda: nn.Sequential(nn.Sequential(nn.Conv1d(1, 1, 1))), TypeError, r"\[0\]\[0\] is Conv1d"),
        (lambda: 3, TypeError, "module is int"),
        (lambda: nn.Sequential(), ValueError, "no Linear"),
        (lambda: nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), ValueError, "comes after a Linear"),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Tanh()), ValueError, "Linear, once"),
        (lambda: nn.Linear(2, 2, bias=False), ValueError, "this has none"),
        (lambda: nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 3)), ValueError, "does not fit the 3"),
        (
            lambda: nn.Sequential(nn.Linear(2, 2), nn.LeakyReLU(0.2)),
            ValueError,
            r"LeakyReLU\(negative_slope=0.2\): leaky_relu of an MLP has negative_slope=0.01; .* a Layer",
        ),
        (
            lambda: nn.Sequential(nn.Linear(2, 2), nn.GELU(approximate="tanh")),
            ValueError,
            "gelu of an MLP has approximate='none'",
        ),
        (
            lambda: nn.Sequential(
                nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)
            ),
            ValueError,
            "one activation for all hidden layers, these have relu, tanh",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_converted(bridge, module, kind, message):
    with pytest.raises(kind, match=message):
        bridge.from_torch(module())


def test_what_is_no_model(backend, bridge):
    for other in (3, backend.Value(1.0), "model", [backend.Neuron(2)]):
        with pytest.raises(TypeError, match="to_torch takes an MLP, a Layer or a Neuron, got"):
            bridge.to_torch(other)


def test_pytorch_is_imported_when_it_is_needed(backend):
    script = f"import sys, {backend.name}.pytorch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_without_pytorch_it_says_what_to_install(bridge, backend, monkeypatch):
    module = nn.Linear(2, 1)
    monkeypatch.setitem(sys.modules, "torch", None)
    for call in (lambda: bridge.to_torch(backend.MLP(2, [1])), lambda: bridge.from_torch(module)):
        with pytest.raises(ImportError, match="need PyTorch: python -m pip install torch"):
            call()
