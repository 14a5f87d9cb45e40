"""The short form of the runs with several threads and several interpreters."""

import os
import random
import re
import subprocess
import sys

import pytest

from cases.programs import run
from reliability import interpreters, threads


def test_the_same_fingerprint(backends):
    """Rule 1.18: of random programs and trainings, and it tells one from another."""
    scalar = [backend for backend in backends if backend.name in interpreters.SCALAR]
    prints = {interpreters.fingerprint(backend, 300) for backend in scalar}
    assert len(prints) == 1
    assert prints != {interpreters.fingerprint(scalar[0], 299)}
    numbers = [run(scalar[0], interpreters.drawn(random.Random(seed))) for seed in range(300)]
    raised = sum(bool(errors) for _, _, errors in numbers)
    assert 30 < raised < 270, "some of the programs raise, some do not"


def test_the_suite_can_be_collected_without_pytorch():
    """All that the conformance suite imports takes it from `reference`."""
    files = [*interpreters.ROOT.glob("shared_tests/c[ao]*/*.py")]
    files.append(interpreters.ROOT / "shared_tests" / "reliability" / "accuracy.py")
    assert len(files) > 20
    direct = [f for f in files if re.search(r"^(import|from) torch", f.read_text("utf-8"), re.M)]
    assert not direct, f"{direct}: write `from reference import torch`, and mark tests with pytorch"


def test_what_needs_pytorch_is_marked():
    """The chapters that compare with it, run where it cannot be imported."""
    chapters = [f"shared_tests/conformance/test_{n:02}_{name}.py" for n, name in CHAPTERS.items()]
    options = ["--without-pytorch", "--backend=pure_python", "-q", "-p", "no:cacheprovider"]
    script = "import sys; sys.modules['torch'] = None; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    run = [sys.executable, "-c", script, *chapters, *options]
    done = subprocess.run(run, cwd=interpreters.ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:]


CHAPTERS = {4: "functions", 5: "vector", 6: "functional", 7: "nn", 8: "optim"}


def test_interpreters_are_found(tmp_path, monkeypatch):
    """What does not run is none, and one that is named twice is one."""
    named = [str(tmp_path / "python"), sys.executable, sys.executable]
    monkeypatch.setenv("TRIGRAD_PYTHONS", os.pathsep.join(named))
    assert interpreters.found() == [sys.executable]


@pytest.mark.parametrize("backend_name", threads.BACKENDS)
def test_a_round_of_threads(backend_name):
    """Rule 1.19, in a process of its own, which forks while its threads run."""
    script = (
        "import importlib, sys, warnings; sys.path[:] = eval(sys.argv[1]); "
        "warnings.simplefilter('ignore', DeprecationWarning); from reliability import threads; "
        "print(threads.round_of(importlib.import_module(sys.argv[2]), 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, repr(sys.path), backend_name],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "'shared passes': 400" in done.stdout
