"""What is loaded: the compiled module itself, nothing more than is needed, no arrow that must not
be.
"""

import ast
import json
import re
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import pure_python

MODULES = ("engine", "functional", "nn", "optim")
PURE = Path(pure_python.__file__).parent
SHARED = sorted(folder.name for folder in PURE.iterdir() if (folder / "__init__.py").exists())
BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")
ENGINES = {f"{backend}.{module}" for backend in BACKENDS for module in MODULES}


def fresh(script: str):
    """What a script prints in an isolated interpreter: no environment variables, no current folder."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def loaded_by(backend: str) -> set[str]:
    """The top-level modules that importing a backend adds."""
    return set(
        fresh(
            "import json, sys\nbefore = set(sys.modules)\n"
            f"import {backend}\n"
            "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
        )
    )


@pytest.mark.parametrize("module", MODULES)
def test_the_compiled_module_is_what_is_loaded(module):
    found = fresh(
        f"import json, cython_core.{module} as m\n"
        "print(json.dumps([m.__file__, type(m.__spec__.loader).__name__]))"
    )
    assert found[0].endswith(tuple(EXTENSION_SUFFIXES)), f"cython_core.{module} is {found[0]}"
    assert found[1] == "ExtensionFileLoader"


def test_value_is_a_compiled_class():
    """Not a Python class under a compiled name: its methods have no Python code."""
    assert fresh(
        "import json, types\nfrom cython_core import Value, Vector\n"
        "print(json.dumps([isinstance(f, types.FunctionType) for f in (Value.__add__, Value.backward, Vector.sum)]))"
    ) == [False, False, False]


def test_pure_python_needs_the_standard_library_alone():
    others = loaded_by("pure_python") - set(sys.stdlib_module_names) - {"pure_python"}
    assert not others, f"import pure_python loads {', '.join(sorted(others))}"


def test_numpy_vectorized_needs_numpy():
    others = (
        loaded_by("numpy_vectorized")
        - set(sys.stdlib_module_names)
        - {"pure_python", "numpy_vectorized", "numpy"}
    )
    assert not others, f"import numpy_vectorized loads {', '.join(sorted(others))}"


def test_cython_core_needs_no_numpy():
    others = (
        loaded_by("cython_core") - set(sys.stdlib_module_names) - {"pure_python", "cython_core"}
    )
    # What Cython registers for all modules that it compiled: its shared types, and a place for
    # tracebacks.
    others = {
        name for name in others if not name.startswith("_cython_") and name != "cython_runtime"
    }
    assert not others, f"import cython_core loads {', '.join(sorted(others))}"


def test_what_shows_a_graph_is_loaded_on_demand(backend):
    """Half of the time of an import would be its."""
    here, later = fresh(
        f"import json, sys, {backend.name} as m\n"
        "here = [name for name in sys.modules if name.startswith('pure_python.')]\n"
        "names = [name for name in m.__all__ if name in dir(m) and getattr(m, name)]\n"
        f"from {backend.name} import *\n"
        "print(json.dumps([here, names]))"
    )
    assert set(here) & {f"pure_python.{name}" for name in SHARED} <= {"pure_python.state"}
    assert "pure_python.state.weights" not in here
    assert later == backend.module.__all__
    message = f"module '{backend.name}' has no attribute 'sketch'"
    with pytest.raises(AttributeError, match=f"^{message}$"):
        backend.module.sketch  # noqa: B018


def imports_of(file: Path) -> set[str]:
    """Every module that a file imports, anywhere in it, as full names."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".pyx":
        return set(re.findall(r"^\s*(?:from|import|cimport)\s+([\w.]+)", text, re.M))
    package = list(
        file.relative_to(
            file.parents[next(i for i, p in enumerate(file.parents) if p.name in BACKENDS) + 1]
        ).parts[:-1]
    )
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("folder", SHARED)
def test_shared_code_imports_no_engine(folder):
    """graph, state, training and what comes beside them work on anything that has the interface."""
    forbidden = ENGINES | {f"pure_python.{name}" for name in pure_python.__all__} | {*BACKENDS[1:]}
    for file in sorted((PURE / folder).rglob("*.py")):
        wrong = imports_of(file) & forbidden
        assert not wrong, f"{file.relative_to(PURE)} imports {', '.join(sorted(wrong))}"


ALLOWED = {
    "engine": set(),
    "functional": {"engine"},
    "nn": {"engine", "functional"},
    "optim": {"engine"},
}


@pytest.mark.parametrize("module", MODULES)
def test_arrows_within_a_backend(backend, module):
    """engine imports none of the others, optim and functional the engine, nn these; no backend
    another's.
    """
    folders = [
        Path(backend.module.__file__).parent,
        PURE.parents[2] / backend.name / "src" / backend.name,
    ]
    files = [folder / f"{module}{suffix}" for folder in folders for suffix in (".py", ".pyx")]
    allowed = {f"{backend.name}.{name}" for name in (module, *ALLOWED[module])}
    for file in filter(
        Path.exists, files
    ):  # of a compiled module installed from a wheel there is none
        inner = {name for name in imports_of(file) if name in ENGINES}
        assert inner <= allowed, (
            f"{backend.name}.{module} imports {', '.join(sorted(inner - allowed))}"
        )


def test_no_fallback(backend):
    """A backend that cannot be loaded says so; it does not quietly become another."""
    tree = ast.parse(Path(backend.module.__file__).read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Try)], (
        "no try around the imports"
    )
    for name in ("Value", "Vector", "MLP", "Adam", "softmax"):
        owner = getattr(backend, name).__module__
        assert owner.startswith(backend.name), f"{backend.name}.{name} comes from {owner}"


def test_each_backend_exports_the_same_names(backends):
    """Section 7, from `__all__`; numpy_vectorized besides the tensor functions."""
    names = {backend.name: set(backend.module.__all__) for backend in backends}
    assert names["pure_python"] == names["cython_core"]
    assert names["numpy_vectorized"] - names["pure_python"] == {"stack", "where"}
    assert names["pure_python"] <= names["numpy_vectorized"]
