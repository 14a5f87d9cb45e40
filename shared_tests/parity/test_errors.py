"""Every bad input raises the same type with the same words in all three backends."""

import pytest

from cases.bad_inputs import BAD_INPUTS
from cases.refusals import refusal


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda case: f"{case.rule} {case.name}")
def test_the_same_words(backends, bad):
    said = {
        backend.name: (type(error).__name__, words_of(error))
        for backend in backends
        if bad.applies_to(backend)
        for error in [refusal(backend, bad)]
    }
    if bad.error in (AttributeError, IndexError):
        # CPython words these itself, for a slot, a property, a tuple and a compiled class
        # differently.
        said = {name: kind for name, (kind, _) in said.items()}
    assert len(set(said.values())) == 1, "\n".join(
        f"{name}: {words}" for name, words in said.items()
    )


def words_of(error: Exception) -> str:
    # "unsupported operand type(s)" is Python's own; it names a compiled class with its module.
    return str(error).replace("cython_core.engine.", "")
