"""An activation of rule 3.2 stands in every list of them. The backends' own: tests of chapter 7."""

from pathlib import Path

import pytest

from cases import exact
from cases.contract import ACTIVATIONS
from pure_python import state
from pure_python.state import torch_modules

PAGE = Path(__file__).parents[2] / "docs/numpy_and_pytorch.md"
MODULES = {name: kind for name, (kind, _) in torch_modules.ACTIVATIONS.items()}
TAKEN = PAGE.read_text("utf-8").partition("`from_torch` takes")[2].partition("Weights may")[0]
PLACES = {
    "ACTIVATIONS in pure_python/src/pure_python/state/module.py": state.ACTIVATIONS,
    "ACTIVATIONS in pure_python/src/pure_python/state/torch_modules.py": {"linear", *MODULES},
    "TORCH_ACTIVATIONS in shared_tests/cases/exact.py": exact.TORCH_ACTIVATIONS,
    "the sentence on from_torch in docs/numpy_and_pytorch.md": {
        "linear", *(name for name, kind in MODULES.items() if f"`{kind}" in TAKEN)
    },
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_every_activation_of_rule_3_2_is_there(place):
    assert len(ACTIVATIONS) > 7
    missing = [name for name in ACTIVATIONS if name not in PLACES[place]]
    assert not missing, f"{place} lacks {', '.join(missing)}"
    unknown = [name for name in PLACES[place] if name not in ACTIVATIONS]
    assert not unknown, f"rule 3.2 of docs/interface.md lacks {', '.join(unknown)} of {place}"
