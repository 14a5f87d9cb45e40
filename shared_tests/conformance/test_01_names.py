"""The names of the interface, their signatures and defaults (interface_stub.py says what they are)."""

import inspect

import pytest

import interface_stub as stub
from cases.unfinished import NotThereYet, of_class, of_module

CLASSES = [name for name, thing in vars(stub).items() if inspect.isclass(thing)]
FUNCTIONS = [name for name, thing in vars(stub).items() if inspect.isfunction(thing)]
NAMES = [*CLASSES, *FUNCTIONS, *stub.__annotations__]
METHODS = [
    (owner, name)
    for owner in CLASSES
    for name, thing in vars(getattr(stub, owner)).items()
    if inspect.isfunction(thing) and owner != "Net"
]


def test_every_name_is_there(backend):
    """Section 7: every backend exports these names."""
    missing = [name for name in NAMES if not backend.has(name)]
    if missing:
        first, every = of_module(backend, missing[0]), ", ".join(missing)
        raise NotThereYet(first.name, first.sentence, f": it does not have yet: {every}")


@pytest.mark.parametrize("owner", CLASSES)
def test_every_method_is_there(backend, owner):
    """The methods and operators of each class."""
    cls = getattr(backend, owner)
    missing = [name for name in vars(getattr(stub, owner)) if name[:1] != "_" or name[:2] == "__"]
    missing = [name for name in missing if name[:2] != "__" or (owner, name) in METHODS]
    missing = [name for name in missing if not hasattr(cls, name)]
    if missing:
        first, every = of_class(backend, owner, missing[0]), ", ".join(missing)
        raise NotThereYet(first.name, first.sentence, f": it does not have yet: {every}")


def parameters(signature: inspect.Signature, method: bool) -> list[inspect.Parameter]:
    found = [p for p in signature.parameters.values() if p.kind not in (p.VAR_KEYWORD,)]
    return found[1:] if method and found and found[0].name == "self" else found


def compare_signatures(what, theirs, ours, check_defaults=True):
    """Where two signatures differ, in a sentence, or None."""
    for place, expected in enumerate(ours):
        if place >= len(theirs) or theirs[place].kind is inspect.Parameter.VAR_POSITIONAL:
            return f"{what} lacks its parameter `{expected.name}`"
        got = theirs[place]
        if got.name != expected.name and got.kind is not inspect.Parameter.POSITIONAL_ONLY:
            return f"{what}: parameter {place + 1} is called `{got.name}`, the interface calls it `{expected.name}`"
        if check_defaults and got.default != expected.default:

            def written(d):
                return "none" if d is inspect.Parameter.empty else repr(d)

            return (
                f"{what}: the default of `{expected.name}` is {written(got.default)}, "
                f"the interface says {written(expected.default)}"
            )
    for extra in theirs[len(ours) :]:
        if extra.default is extra.empty and extra.kind is not extra.VAR_POSITIONAL:
            return f"{what} asks for `{extra.name}`, which the interface does not have: give it a default"
    return None


def is_dunder(name: str) -> bool:
    return name.startswith("__") and name not in ("__init__", "__call__")


@pytest.mark.parametrize(
    ("owner", "name"),
    [(o, n) for o, n in METHODS if not is_dunder(n)] + [("", n) for n in FUNCTIONS],
    ids=lambda part: part or "function",
)
def test_signature(backend, owner, name):
    """Parameters have the interface's names, order and defaults, so a call means the same
    everywhere.
    """
    if owner:
        cls = getattr(backend, owner)
        thing = cls if name == "__init__" else getattr(cls, name)
        what = owner if name == "__init__" else f"{owner}.{name}"
        ours = parameters(inspect.signature(getattr(getattr(stub, owner), name)), True)
    else:
        thing, what = getattr(backend, name), name
        ours = parameters(inspect.signature(getattr(stub, name)), False)
    try:
        signature = inspect.signature(thing)
    except ValueError:
        return  # compiled, and Python cannot tell: the next test calls it with every keyword
    theirs = parameters(signature, bool(owner) and name != "__init__")
    # With the tensor extension a Vector is a Value, whose methods have more to offer.
    own = not (owner == "Vector" and issubclass(backend.Vector, backend.Value))
    complaint = compare_signatures(what, theirs, ours, check_defaults=own)
    assert complaint is None, complaint


KEYWORD_CALLS = {
    "Value": lambda m: m.Value(
        data=1.0, operands=(m.Value(2.0),), op="f", label="y", local_grads=(1.0,)
    ),
    "Value.leaky_relu": lambda m: m.Value(1.0).leaky_relu(negative_slope=0.1),
    "Value.maximum": lambda m: m.Value(1.0).maximum(other=2.0),
    "Value.minimum": lambda m: m.Value(1.0).minimum(other=2.0),
    "Value.backward": lambda m: m.Value(1.0).backward(grad=2.0),
    "no_grad": lambda m: m.no_grad(),
    "Vector": lambda m: m.Vector(values=[1.0]),
    "Vector.leaky_relu": lambda m: m.Vector([1.0]).leaky_relu(negative_slope=0.1),
    "Vector.maximum": lambda m: m.Vector([1.0]).maximum(other=2.0),
    "Vector.minimum": lambda m: m.Vector([1.0]).minimum(other=2.0),
    "Vector.dot": lambda m: m.Vector([1.0]).dot(other=[2.0]),
    "Vector.backward": lambda m: m.Vector([1.0]).backward(grad=[2.0]),
    "dot": lambda m: m.dot(weights=[1.0], inputs=[1.0], bias=1.0),
    "linear": lambda m: m.linear(x=[1.0], weight=[[1.0]], bias=[1.0]),
    "softmax": lambda m: m.softmax(values=[1.0]),
    "log_softmax": lambda m: m.log_softmax(values=[1.0]),
    "logsumexp": lambda m: m.logsumexp(values=[1.0]),
    "mean": lambda m: m.mean(values=[1.0]),
    "rms_norm": lambda m: m.rms_norm(values=[1.0], eps=1e-5),
    "attention": lambda m: m.scaled_dot_product_attention(
        query=[1.0], keys=[[1.0]], values=[[1.0]]
    ),
    "mse_loss": lambda m: m.mse_loss(predictions=[1.0], targets=[1.0]),
    "hinge_loss": lambda m: m.hinge_loss(scores=[1.0], labels=[1.0]),
    "binary_cross_entropy_with_logits": lambda m: m.binary_cross_entropy_with_logits(
        logits=[1.0], targets=[1.0]
    ),
    "cross_entropy": lambda m: m.cross_entropy(logits=[1.0, 2.0], classes=0),
    "concatenate": lambda m: m.concatenate(vectors=[m.Vector([1.0]), m.Vector([2.0])]),
    "Neuron": lambda m: m.Neuron(n_in=2, activation="tanh", init="he", seed=1),
    "Layer": lambda m: m.Layer(n_in=2, n_out=3, activation="tanh", init="he", seed=1),
    "MLP": lambda m: m.MLP(
        n_in=2, n_outs=[3, 1], activation="tanh", output_activation="tanh", init="he", seed=1
    ),
    "SGD": lambda m: m.SGD(
        params=[m.Value(1.0)], lr=0.1, momentum=0.9, dampening=0.0, weight_decay=0.1, nesterov=True
    ),
    "Adam": lambda m: m.Adam(
        params=[m.Value(1.0)], lr=0.1, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1
    ),
    "AdamW": lambda m: m.AdamW(
        params=[m.Value(1.0)], lr=0.1, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1
    ),
    "trace": lambda m: m.trace(root=m.Value(1.0), fused=True, max_nodes=10),
    "draw_dot": lambda m: m.draw_dot(
        root=m.Value(1.0), format="png", rankdir="TB", fused=True, max_nodes=10
    ),
    "draw": lambda m: m.draw(
        root=m.Value(1.0), format="png", rankdir="TB", fused=True, max_nodes=10
    ),
    "draw_model": lambda m: m.draw_model(
        model=m.Neuron(2), input_names=["a", "b"], format="png", rankdir="TB", max_neurons=4
    ),
    "Tape": lambda m: m.Tape(root=m.Value(1.0) + 1.0),
    "Tape.set": lambda m: m.Tape(m.Value(1.0) + 1.0).set(leaves=[], values=[]),
    "Tape.backward": lambda m: m.Tape(m.Value(1.0) + 1.0).backward(grad=2.0),
    "gradcheck": lambda m: m.gradcheck(
        f=lambda x: x * x, inputs=[m.Value(2.0)], eps=1e-6, rtol=1e-5, atol=1e-8
    ),
    "backward_steps": lambda m: m.backward_steps(
        root=m.Value(1.0), fused=True, max_nodes=10, grad=2.0
    ),
    "explain": lambda m: m.explain(
        root=m.Value(1.0), leaf=m.Value(2.0), most=3, fused=True, max_nodes=10
    ),
    "diagnose": lambda m: m.diagnose(root=m.Value(1.0), parameters=None),
    "tree": lambda m: m.tree(root=m.Value(1.0), fused=True, max_nodes=10),
    "explore": lambda m: m.explore(root=m.Value(1.0), path=None, fused=True, max_nodes=10),
}


@pytest.mark.parametrize("name", KEYWORD_CALLS)
def test_keywords(backend, name):
    """Every documented parameter can be given by its name."""
    complaint = None
    try:
        KEYWORD_CALLS[name](backend)
    except TypeError as error:
        complaint = f"{name} does not take its documented keywords: {error}"
    assert complaint is None, complaint


def test_no_keyword_call_is_forgotten():
    """A name that the interface gains has to be called above."""
    called = {name.partition(".")[0] for name in KEYWORD_CALLS} | {
        "scaled_dot_product_attention",
        "Net",
    }
    assert set(CLASSES) | set(FUNCTIONS) <= called


def test_versions(backend):
    """`__version__` is the distribution's, `__interface_version__` that of the interface it
    implements.
    """
    for name in ("__version__", "__interface_version__"):
        assert isinstance(getattr(backend, name), str), f"{backend.name}.{name} should be a str"
