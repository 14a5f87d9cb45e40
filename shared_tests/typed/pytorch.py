"""Networks to PyTorch and back. `nox -s types` checks it with each backend's import lines."""

from typing import assert_type

import torch
from torch import nn

from pure_python import MLP, Layer, Neuron
from pure_python.pytorch import from_torch, to_torch


def there(model: MLP) -> torch.Tensor:
    module = to_torch(model)
    assert_type(module, nn.Sequential)
    assert_type(to_torch(Layer(2, 3)), nn.Sequential)
    assert_type(to_torch(Neuron(2, "tanh")), nn.Sequential)
    print(len(module), module.state_dict()["0.weight"].shape)
    outputs: torch.Tensor = module(torch.zeros(5, 2, dtype=torch.float64))
    return outputs.sum()


def back(module: nn.Module) -> MLP:
    assert_type(from_torch(nn.Linear(2, 3)), MLP)
    model = from_torch(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), module))
    model.load_state_dict(from_torch(module).state_dict())
    return model
