"""Networks to and from PyTorch's modules. PyTorch is imported when a network is converted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from pure_python.state.module import Module

__all__ = ["mlp_of", "to_torch"]

# The class of torch.nn, and what it has to be made with to compute what the activation does here.
ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("ReLU", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}),
    "gelu": ("GELU", {"approximate": "none"}),
    "silu": ("SiLU", {}),
    "softplus": ("Softplus", {"beta": 1.0, "threshold": 20.0}),
}

# What to do with modules that many networks have and an MLP has not.
INSTEAD = {
    "BatchNorm1d": "fuse_linear_bn_eval of torch.nn.utils makes one Linear of it and that before it",
    "DataParallel": "give its .module",
    "Dropout": "leave it out: only training has it",
    "LazyLinear": "its first call makes a Linear of it",
    "LogSoftmax": "leave it out and take log_softmax of the outputs",
    "ModuleList": "give nn.Sequential(*modules), if they run in this order",
    "OptimizedModule": "give its ._orig_mod",
    "OrderedDict": "give a module that the state was loaded into: load_state_dict",
    "ParametrizedLinear": "torch.nn.utils.parametrize.remove_parametrizations makes it a Linear",
    "Softmax": "leave it out and take softmax of the outputs",
}


def to_torch(model: Module) -> nn.Sequential:
    """A torch.nn.Sequential of float64 that computes what a model does, with a copy of its weights.

    Its Linear and activation modules are those of a network written in PyTorch by hand; where an
    activation is linear there is none. TypeError for what is no MLP, Layer or Neuron.
    """
    torch = require_torch()
    layers: tuple[Any, ...] = getattr(model, "layers", (model,))
    if not all(hasattr(layer, "activation") and hasattr(layer, "state_dict") for layer in layers):
        raise TypeError(f"to_torch takes an MLP, a Layer or a Neuron, got {type(model).__name__}")
    modules = []
    for layer in layers:
        state = {
            name: torch.tensor(entry, dtype=torch.float64)
            for name, entry in layer.state_dict().items()
        }
        linear = torch.nn.Linear(layer.n_in, len(state["bias"]), dtype=torch.float64)
        linear.load_state_dict(state)
        modules.append(linear)
        if layer.activation != "linear":
            name, options = ACTIVATIONS[layer.activation]
            modules.append(getattr(torch.nn, name)(**options))
    module: nn.Sequential = torch.nn.Sequential(*modules)
    return module


def mlp_of(module: Any, MLP: Callable[..., Any]) -> Any:  # noqa: N803  it is a class
    """A torch.nn.Sequential of Linear and activation modules, or a Linear, as an MLP of an engine.

    TypeError for what is neither, ValueError for what has no MLP that computes the same; both say which
    module it is.
    """
    torch = require_torch()
    layers = layers_of(module)
    names = [activation for _, activation in layers]
    hidden = set(names[:-1])
    if len(hidden) > 1:
        raise ValueError(
            "an MLP has one activation for all hidden layers, these have "
            f"{', '.join(names[:-1])}: build it of Layers, one after the other"
        )
    model = MLP(
        [layers[0][0].in_features, *(linear.out_features for linear, _ in layers)],
        activation=hidden.pop() if hidden else "relu",
        output_activation=names[-1],
        seed=0,  # so that the random module of the program is not asked
    )
    model.load_state_dict(
        {
            f"layers.{i}.{name}": entry.to("cpu", torch.float64)
            for i, (linear, _) in enumerate(layers)
            for name, entry in linear.state_dict().items()
        }
    )
    return model


def require_torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError:
        raise ImportError(
            "to_torch and from_torch need PyTorch: python -m pip install torch"
        ) from None
    return torch


def layers_of(module: Any) -> list[tuple[Any, str]]:
    """Each Linear with the name of the activation after it."""
    from torch import nn

    layers: list[tuple[Any, str]] = []
    whose: dict[int, str] = {}
    for name, part in parts_of(module, "module"):
        if type(part) is nn.Linear:
            if part.bias is None:
                raise ValueError(f"{name} is {part}: a neuron has a bias, this has none")
            if layers and part.in_features != layers[-1][0].out_features:
                raise ValueError(
                    f"{name} is {part}, which does not fit the {layers[-1][0].out_features} outputs "
                    "before it"
                )
            check_weights(name, part, whose)
            layers.append((part, "linear"))
        elif type(part) is not nn.Identity:
            activation = activation_of(name, part)
            if not layers or layers[-1][1] != "linear":
                raise ValueError(f"{name} is {part}: an activation comes after a Linear, once")
            layers[-1] = (layers[-1][0], activation)
        check_forward(name, part)
    if not layers:
        raise ValueError("there is no Linear in this module: nothing to make layers of")
    return layers


def parts_of(module: Any, name: str) -> list[tuple[str, Any]]:
    """What a Sequential runs, and the Sequentials in it, by their names."""
    from torch import nn

    parts, waiting = [], [(name, module)]
    while waiting:
        name, part = waiting.pop()
        if type(part) is nn.Sequential:
            check_forward(name, part)
            inner = [(f"{name}[{i}]", p) for i, p in enumerate(part)]
            waiting += reversed(inner)
        else:
            parts.append((name, part))
    return parts


def check_weights(name: str, linear: Any, whose: dict[int, str]) -> None:
    """ValueError for weights that are no numbers of their own. whose: the modules of those before."""
    import torch

    for tensor in (linear.weight, linear.bias):
        if tensor.is_meta:
            raise ValueError(
                f"{name} is {linear} on the device meta, where it has no weights: make it on another, "
                "device='cpu', or load them, load_state_dict(..., assign=True)"
            )
        if tensor.layout is not torch.strided:
            raise ValueError(f"{name} is {linear} with weights of {tensor.layout}: call to_dense")
        if tensor.is_complex():
            raise ValueError(f"{name} is {linear} of {tensor.dtype}, and here all numbers are real")
        owner = whose.setdefault(id(tensor), name)
        if owner != name:
            raise ValueError(
                f"{name} is {linear} and has the weights of {owner}, which two layers of an MLP cannot "
                "share: copy.deepcopy makes them two, which learn apart"
            )


def check_forward(name: str, part: Any) -> None:
    """ValueError for a module that may compute something else than its class does."""
    hooks = part._forward_hooks or part._forward_pre_hooks  # PyTorch has no public name for them
    if hooks or "forward" in vars(part):
        changed = "hooks" if hooks else "a forward of its own"
        raise ValueError(
            f"{name} is {type(part).__name__} with {changed}, which may change what it computes: remove "
            "them (prune.remove and remove_weight_norm of torch.nn.utils remove theirs)"
        )


def activation_of(name: str, part: Any) -> str:
    """What the activation module is called here, and ValueError or TypeError for another."""
    from torch import nn

    for activation, (kind, options) in ACTIVATIONS.items():
        if type(part) is getattr(nn, kind):
            if any(getattr(part, k) != x for k, x in options.items()):
                ours = ", ".join(f"{k}={x!r}" for k, x in options.items())
                raise ValueError(
                    f"{name} is {part}: {activation} of an MLP has {ours}; apply another yourself to "
                    "the outputs of a Layer"
                )
            return activation
    known = ["Linear", "Identity", *(kind for kind, _ in ACTIVATIONS.values())]
    instead = INSTEAD.get(type(part).__name__)
    raise TypeError(
        f"{name} is {kind_of(part, known)}{f' ({instead})' if instead else ''}; from_torch takes a "
        f"Sequential of {', '.join(known)}"
    )


def kind_of(part: Any, known: list[str]) -> str:
    """Its class, with the module that has it where the name alone is that of another."""
    kind = type(part)
    if kind is type:
        return f"the class {part.__name__}"
    return f"{kind.__module__}.{kind.__name__}" if kind.__name__ in known else kind.__name__
