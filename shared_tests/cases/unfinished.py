"""Engines that are not finished: which name, operator or parameter an error says is not there yet."""

import inspect
import math
import re
from dataclasses import dataclass

import pytest

import interface_stub

NAMES = {*vars(interface_stub), *interface_stub.__annotations__}


class NotThereYet(pytest.fail.Exception):
    """A name that the engine does not have. Tests that need it wait for it."""

    def __init__(self, name: str, sentence: str, more: str = ""):
        super().__init__(sentence + more, pytrace=False)
        self.name = name
        self.sentence = sentence  # as the summary says it, once for all tests that wait


@dataclass
class Wait:
    """The tests that wait for one name."""

    sentence: str
    count: int = 0
    first: float = math.inf  # when it was first asked for, but by the tests of names, which ask for all


# What Python says where a method with double underscores is missing, and the method.
OPERATORS = {
    "+": "add", "-": "sub", "*": "mul", "/": "truediv", "** or pow()": "pow", "@": "matmul",
    "unary -": "neg", "unary +": "pos", "abs()": "abs",
    "<": "lt", "<=": "le", ">": "gt", ">=": "ge", "float()": "float",
}  # fmt: skip
REFLECTED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
COMPLAINTS = (
    re.compile(
        r"unsupported operand type\(s\) for (?P<sign>.+): '(?P<left>.+)' and '(?P<right>.+)'"
    ),
    re.compile(
        r"'(?P<sign>\S+)' not supported between instances of '(?P<left>.+)' and '(?P<right>.+)'"
    ),
    re.compile(r"bad operand type for (?P<sign>.+): '(?P<left>.+)'"),
    re.compile(r"(?P<sign>float\(\)) argument must be .*, not '(?P<left>.+)'"),
)


def of_type_error(backend, complaint: str) -> NotThereYet | None:
    """The operator or parameter that a TypeError says the engine does not have."""
    unexpected = re.match(r"(\w+)\.(\w+)\(\) got an unexpected keyword argument '(\w+)'", complaint)
    if unexpected:
        owner, method, parameter = unexpected.groups()
        if owner in NAMES and parameter in stub_parameters(owner, method):
            name = f"the parameter `{parameter}` of {owner}{'' if method == '__init__' else '.' + method}"
            return NotThereYet(name, f"{backend.name}: {name} is not there yet", f" ({complaint})")
    for pattern in COMPLAINTS:
        match = pattern.fullmatch(complaint)
        if match is None or match["sign"] not in OPERATORS:
            continue
        operator = OPERATORS[match["sign"]]
        sides = [(match["left"], f"__{operator}__")]
        if "right" in match.groupdict():
            sides.append((match["right"], f"__{REFLECTED.get(operator, 'r' + operator)}__"))
        for owner, method in sides:
            owner = owner.rpartition(".")[2]
            documented = hasattr(getattr(interface_stub, owner, None), method)
            kind = getattr(backend.module, owner, None)
            if documented and isinstance(kind, type) and not defines(kind, method):
                return of_class(backend, owner, method, f" ({complaint})")
    return None


def defines(kind: type, method: str) -> bool:
    """Whether a class has a method of its own; every class inherits comparisons from object."""
    return any(method in vars(base) for base in kind.__mro__[:-1])


def stub_parameters(owner: str, method: str) -> list[str]:
    function = getattr(getattr(interface_stub, owner), method, None)
    return list(inspect.signature(function).parameters) if function is not None else []


def not_there_yet(backend, error: BaseException) -> NotThereYet | None:
    """What an error says is missing, or None where it is a mistake."""
    if isinstance(error, NotThereYet):
        return error
    if backend is None:
        return None
    if isinstance(error, AssertionError):
        return of_process(backend, str(error).partition("\nassert ")[0])
    if isinstance(error, NameError):
        return of_module(backend, error.name)
    if isinstance(error, AttributeError):
        if error.obj is backend.module:
            return of_module(backend, error.name)
        owner = error.obj if isinstance(error.obj, type) else type(error.obj)
        if owner.__module__.partition(".")[0] == backend.name.partition(".")[0]:
            return of_class(backend, owner.__name__, error.name)
    if isinstance(error, TypeError):
        return of_type_error(backend, str(error))
    return None


def of_module(backend, name: str | None) -> NotThereYet | None:
    if name not in NAMES or backend.has(name):
        return None
    return NotThereYet(name, f"{backend.name} has no `{name}` yet")


def of_class(backend, owner: str, name: str, more: str = "") -> NotThereYet:
    return NotThereYet(f"{owner}.{name}", f"{backend.name}: {owner} has no `{name}` yet", more)


def of_process(backend, message: str) -> NotThereYet | None:
    """What the last line of another process's traceback says is missing."""
    last = message.rstrip().rpartition("\n")[2].strip()  # pytest indents it
    kind, _, complaint = last.partition(": ")
    if kind == "TypeError":
        return of_type_error(backend, complaint)
    if kind == "AttributeError":
        module = re.match(r"module '(.+)' has no attribute '(\w+)'", complaint)
        if module and module[1] == backend.name:
            return of_module(backend, module[2])
        instance = re.match(r"'(\w+)' object has no attribute '(\w+)'", complaint)
        if instance and instance[1] in NAMES and instance[1] in vars(backend.module):
            return of_class(backend, *instance.groups())
    return None
