"""Networks to and from PyTorch's modules. PyTorch is imported when a network is converted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["mlp_of", "sequential_of"]

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


def sequential_of(model: Any) -> Any:
    """An MLP, Layer or Neuron as a torch.nn.Sequential of float64. TypeError for what is none."""
    from torch import float64, nn, tensor

    layers = getattr(model, "layers", (model,))
    if not all(hasattr(layer, "activation") and hasattr(layer, "state_dict") for layer in layers):
        raise TypeError(f"to_torch takes an MLP, a Layer or a Neuron, got {type(model).__name__}")
    modules = []
    for layer in layers:
        state = {name: tensor(entry, dtype=float64) for name, entry in layer.state_dict().items()}
        linear = nn.Linear(layer.n_in, len(state["bias"]), dtype=float64)
        linear.load_state_dict(state)
        modules.append(linear)
        if layer.activation != "linear":
            name, options = ACTIVATIONS[layer.activation]
            modules.append(getattr(nn, name)(**options))
    return nn.Sequential(*modules)


def mlp_of(module: Any, MLP: Callable[..., Any]) -> Any:  # noqa: N803  it is a class
    """A torch.nn.Sequential of Linear and activation modules, or a Linear, as an MLP of an engine.

    TypeError for what is neither, ValueError for what has no MLP that computes the same; both say which
    module it is.
    """
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
            f"layers.{i}.{name}": entry
            for i, (linear, _) in enumerate(layers)
            for name, entry in linear.state_dict().items()
        }
    )
    return model


def layers_of(module: Any) -> list[tuple[Any, str]]:
    """Each Linear with the name of the activation after it."""
    from torch import nn

    layers: list[tuple[Any, str]] = []
    for name, part in parts_of(module, "module"):
        if type(part) is nn.Linear:
            if part.bias is None:
                raise ValueError(f"{name} is {part}: a neuron has a bias, this has none")
            if layers and part.in_features != layers[-1][0].out_features:
                raise ValueError(
                    f"{name} is {part}, which does not fit the {layers[-1][0].out_features} outputs "
                    "before it"
                )
            layers.append((part, "linear"))
        elif type(part) is not nn.Identity:
            activation = activation_of(name, part)
            if not layers or layers[-1][1] != "linear":
                raise ValueError(f"{name} is {part}: an activation comes after a Linear, once")
            layers[-1] = (layers[-1][0], activation)
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
            inner = [(f"{name}[{i}]", p) for i, p in enumerate(part)]
            waiting += reversed(inner)
        else:
            parts.append((name, part))
    return parts


def activation_of(name: str, part: Any) -> str:
    from torch import nn

    for activation, (kind, options) in ACTIVATIONS.items():
        if type(part) is getattr(nn, kind):
            others = {k: getattr(part, k) for k, x in options.items() if getattr(part, k) != x}
            if others:
                raise ValueError(f"{name} is {part}: here {activation} is that of {options}")
            return activation
    known = ", ".join(kind for kind, _ in ACTIVATIONS.values())
    raise TypeError(
        f"{name} is {type(part).__name__}; from_torch takes a Sequential of Linear, Identity, {known}"
    )
