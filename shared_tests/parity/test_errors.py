"""Every bad input raises the same type with the same words in all three backends."""

import inspect
import traceback

import pytest

import cython_core
import interface_stub
import pure_python
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


@pytest.mark.parametrize("bad", BAD_INPUTS, ids=lambda case: f"{case.rule} {case.name}")
def test_a_traceback_ends_where_a_user_can_look(backends, bad):
    """Not in a .pyx file, which is not there where cython_core is installed."""
    (compiled,) = [backend for backend in backends if backend.name == "cython_core"]
    if bad.applies_to(compiled):
        frames = traceback.extract_tb(refusal(compiled, bad).__traceback__)
        assert frames and all(frame.filename.endswith(".py") for frame in frames), frames


def test_help_of_the_compiled_classes_is_that_of_python():
    """What an editor or IPython shows: a sentence, and a signature that stands in none."""
    looked_at = 0
    for name in interface_stub.__annotations__.keys() | vars(interface_stub).keys():
        stub, thing = getattr(interface_stub, name, None), getattr(cython_core, name, None)
        members = [(name, thing)]
        if inspect.isclass(stub):
            public = [member for member in vars(stub) if not member.startswith("_")]
            members += [(f"{name}.{member}", getattr(thing, member)) for member in public]
        for where, member in members:
            if callable(member):
                text = inspect.getdoc(member)
                assert text and text[0] != "\n", f"{where} has no docstring"
                assert not text.startswith(f"{where.rpartition('.')[2]}("), f"{where}: {text}"
                inspect.signature(member)
                looked_at += 1
    assert looked_at > 80


# By which an editor knows what to offer after a call.
RETURNED = ("Value", "Vector", "float", "int", "None", "list[Value]")


def test_docstrings_and_what_is_returned_are_those_of_pure_python():
    looked_at = 0
    for name in pure_python.__all__:
        ours, theirs = getattr(cython_core, name), getattr(pure_python, name)
        pairs = [(name, ours, theirs)]
        if inspect.isclass(theirs):
            public = [member for member in dir(theirs) if not member.startswith("_")]
            pairs += [(f"{name}.{m}", getattr(ours, m), getattr(theirs, m)) for m in public]
        for where, our, their in pairs:
            assert inspect.getdoc(our) == inspect.getdoc(their), where
            if inspect.isfunction(their):
                returned = inspect.signature(their).return_annotation
                if returned in RETURNED:
                    assert inspect.signature(our).return_annotation == returned, where
                    looked_at += 1
    assert looked_at > 70
