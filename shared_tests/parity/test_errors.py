"""Every bad input raises the same type with the same words in all three backends."""

import inspect
import traceback
from collections.abc import Iterator

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
    """At the user's line, or in Python code that was called there; not in a .pyx file, which is not
    there where cython_core is installed, nor in what checks the arguments of compiled code.
    """
    (compiled,) = [backend for backend in backends if backend.name == "cython_core"]
    if bad.applies_to(compiled):
        frames = traceback.extract_tb(refusal(compiled, bad).__traceback__)
        assert frames and all(frame.filename.endswith(".py") for frame in frames), frames
        below = [frame.name for frame in frames if "/pure_python/" in frame.filename]
        assert not below or below[0] in CALLABLES, frames


# Calls that do not fit -----------------------------------------------------------------------

# Of every function and method, but those that Python itself calls: (class or "", name).
CALLS = [("", name) for name, thing in vars(interface_stub).items() if inspect.isfunction(thing)]
CALLS += [
    (owner, name)
    for owner, stub in vars(interface_stub).items()
    if inspect.isclass(stub)
    for name, thing in vars(stub).items()
    if inspect.isfunction(thing) and (name[:2] != "__" or name in ("__init__", "__call__"))
]
CALLABLES = {name for _, name in CALLS if name[:2] != "__"}

OBJECTS = {
    "Value": lambda m: m.Value(1.0),
    "Vector": lambda m: m.Vector([1.0]),
    "Neuron": lambda m: m.Neuron(2),
    "Layer": lambda m: m.Layer(2, 1),
    "MLP": lambda m: m.MLP(2, [1]),
    "Net": lambda m: m.Net(2, [1]),
    "SGD": lambda m: m.SGD([m.Value(1.0)], 0.1),
    "Adam": lambda m: m.Adam([m.Value(1.0)]),
    "AdamW": lambda m: m.AdamW([m.Value(1.0)]),
    "Tape": lambda m: m.Tape(m.Value(1.0) + 1.0),
}


def misfits(signature: inspect.Signature) -> Iterator[tuple[tuple, dict]]:
    """Arguments that a function does not take: too few, too many, unknown, given twice."""
    names = list(signature.parameters)
    for by_place, by_name in (
        ((), {}),
        ((1,), {}),
        ((1,) * (len(names) + 1), {}),
        ((1,) * (len(names) + 3), {}),
        ((), {"nonsense": 1}),
        ((1,) * len(names), {"nonsense": 1}),
        ((1,), {name: 1 for name in names}),
        ((), {f"{name}_": 1 for name in names[-1:]}),
    ):
        try:
            signature.bind(*by_place, **by_name)
        except TypeError:
            yield by_place, by_name


def by_place(called) -> list[str]:
    parameters = inspect.signature(called).parameters.values()
    return [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]


@pytest.mark.parametrize(("owner", "name"), CALLS, ids=lambda part: part or "function")
def test_the_same_words_for_calls_that_do_not_fit(backends, owner, name):
    """They are Python's, and name the function, its class and the argument."""
    said = {}
    for backend in backends:
        m = backend.module
        if not owner or name == "__init__":
            called, wanted = getattr(m, owner or name), getattr(interface_stub, owner or name)
        else:
            called = getattr(OBJECTS[owner](m), name)
            wanted = getattr(OBJECTS[owner](interface_stub), name)
        if by_place(called) != by_place(wanted):
            assert backend.arrays, f"{backend.name}: {inspect.signature(called)}"
            continue  # the tensor extension takes more
        for arguments, keywords in misfits(inspect.signature(wanted)):
            with pytest.raises(TypeError) as caught:
                called(*arguments, **keywords)
            where, _, words = str(caught.value).partition("() ")
            defined_in, _, function = where.rpartition(".")
            made_by = "__new__" if name == "__init__" else called.__name__
            assert function in (name, made_by), caught.value
            bases = [base.__name__ for base in getattr(m, owner).__mro__] if owner else [""]
            assert defined_in in bases, caught.value
            said.setdefault((arguments, *keywords), {})[backend.name] = words
    assert said
    for call, words in said.items():
        assert len(set(words.values())) == 1, f"{call}: {words}"


HEAP_TYPE = 1 << 9  # of PyTypeObject.tp_flags: a class of Python's own kind, no compiled one
COMPILED = {
    f"{module.__name__}.{name}": cls
    for module in (cython_core.engine, cython_core.functional, cython_core.nn, cython_core.optim)
    for name, cls in vars(module).items()
    if inspect.isclass(cls) and cls.__module__ == module.__name__
    if not cls.__flags__ & HEAP_TYPE
}


@pytest.mark.parametrize("where", COMPILED)
def test_methods_of_compiled_classes_look_at_what_they_are_called_on(where):
    """They read its memory."""
    others = (None, 3, object(), cython_core.no_grad(), pure_python.Value(1.0))
    for name, method in vars(COMPILED[where]).items():
        if callable(method) and name != "__new__":
            for other in others:
                with pytest.raises(TypeError):
                    method(other)


def test_a_method_called_on_something_else_says_what_it_is_of():
    with pytest.raises(TypeError, match=r"^Value\.exp\(\) is a method of Value, got 3 \(int\)$"):
        cython_core.Value.exp(3)
    with pytest.raises(TypeError, match=r"^Vector\.exp\(\) is a method of Vector, got None"):
        cython_core.Vector.exp(None)


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
