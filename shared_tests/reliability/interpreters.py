"""Every CPython that is here: the suite, the bits of the first one, threads and forks.

    python -m reliability.interpreters [SECONDS] [--record] [--require REQUIREMENT ...] [--torch TORCH]

The interpreters are this one and those that TRIGRAD_PYTHONS names, paths like those of PATH; where it is
not set, what is called python3.11 to python3.14 on the PATH. Each gets an environment of its own, with
the three backends installed from this checkout, in which run: the conformance and the parity tests,
without those that compare with PyTorch where PyTorch cannot be installed for it; a fingerprint of the
bits of pure_python and cython_core, which has to be the same everywhere; and reliability.threads for
so many seconds (60). Ends with 1 where anything fails.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .record import ROOT, record

SCALAR = ("pure_python", "cython_core")
NAMES = [f"python3.{minor}" for minor in range(11, 15)]
# It plants faults and runs the suite on them in processes of its own: one interpreter is enough.
ELSEWHERE = "shared_tests/parity/test_planted_differences.py"


# The bits ------------------------------------------------------------------------------------


def drawn(generator: random.Random) -> Any:
    """A random program, drawn without Hypothesis, whose choices may change from release to release."""
    from cases.programs import FUNCTIONS, OPERATIONS, Program, Step

    leaves = tuple(generator.uniform(-3.0, 3.0) for _ in range(generator.randint(1, 4)))
    steps: list[Step] = []
    for count in range(len(leaves), len(leaves) + generator.randint(1, 12)):
        node, other = generator.randrange(count), generator.randrange(count)
        name = generator.choice([*FUNCTIONS, *(list(OPERATIONS) * 3)])
        if name in FUNCTIONS:
            steps.append(Step(name, node))
        else:
            steps.append(Step(name, node, generator.choice([other, generator.uniform(-3.0, 3.0)])))
    return Program(leaves, tuple(steps))


def fingerprint(m: Any, count: int = 2000) -> str:
    """Of every data, gradient and error of random programs, and of the numbers of trainings."""
    from cases.programs import run
    from cases.threads import train

    digest = hashlib.sha256()
    for seed in range(count):
        digest.update(repr(run(m, drawn(random.Random(seed)))).encode())
    for seed in range(5):
        digest.update(repr(train(m, seed, 100)).encode())
    return digest.hexdigest()


# One interpreter -----------------------------------------------------------------------------


def found() -> list[str]:
    """This interpreter, and the others, each once."""
    named = os.environ.get("TRIGRAD_PYTHONS")
    others = named.split(os.pathsep) if named else [shutil.which(name) or "" for name in NAMES]
    unique = {version_of(sys.executable): sys.executable}
    for python in filter(None, others):
        if (version := version_of(python)) is not None:
            unique.setdefault(version, python)
    return list(unique.values())


def version_of(python: str) -> str | None:
    """ "3.12.1"; None where it does not run, as the shim of a version that is not switched on."""
    code = "import platform; print(platform.python_version())"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def run(
    python: str | Path, *arguments: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": "shared_tests"}
    environment["PYTHONWARNINGS"] = "ignore::DeprecationWarning"  # of fork in a process of threads
    done = subprocess.run(
        [python, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if check and done.returncode:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n", file=sys.stderr)
        raise SystemExit(f"{' '.join(map(str, arguments[:4]))} failed with {python}")
    return done


def examine(python: str, requirements: list[str], torch: str, seconds: float) -> dict[str, Any]:
    result: dict[str, Any] = {"version": version_of(python)}
    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", folder)
        own = Path(folder, "Scripts" if os.name == "nt" else "bin", "python")
        index = os.environ.get("TRIGRAD_TORCH_INDEX_URL")
        pip = ("-m", "pip", "install", "-q")
        with_index = ("--extra-index-url", index) if index else ()
        result["torch"] = run(own, *pip, torch, *with_index, check=False).returncode == 0
        backends = ("./pure_python[drawing,saving]", "./numpy_vectorized", "./cython_core")
        run(own, *pip, *requirements, *backends)
        without = () if result["torch"] else ("--without-pytorch",)
        tests = ("shared_tests/conformance", "shared_tests/parity", f"--ignore={ELSEWHERE}")
        counted = run(own, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, *without)
        last = counted.stdout.splitlines()[-1]
        result |= {what: int(n) for n, what in re.findall(r"(\d+) (passed|deselected)", last)}
        bits = run(own, "-m", "reliability.interpreters", "--bits").stdout
        result["bits"] = json.loads(bits)
        result["threads"] = json.loads(run(own, "-m", "reliability.threads", str(seconds)).stdout)
    return result


def as_markdown(results: list[dict[str, Any]]) -> str:
    lines = [
        "| CPython | tests passed | left out for want of PyTorch | bits | trainings in threads | passes over shared graphs | forks |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in results:
        counts = [
            sum(of_backend.get(what, 0) for of_backend in each["threads"].values())
            for what in ("trainings", "shared passes", "forks")
        ]
        cells = [each["version"], f"{each['passed']:,}", f"{each.get('deselected', 0):,}"]
        cells += [f"`{each['bits']['pure_python'][:12]}`", *(f"{count:,}" for count in counts)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.interpreters")
    parser.add_argument("seconds", nargs="?", type=float, default=60.0)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--require", action="extend", nargs="+", default=[])
    parser.add_argument("--torch", default="torch")
    parser.add_argument("--bits", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bits:
        print(json.dumps({name: fingerprint(importlib.import_module(name)) for name in SCALAR}))
        return 0
    results = []
    for python in found():
        results.append(examine(python, arguments.require, arguments.torch, arguments.seconds))
        print(json.dumps(results[-1]), flush=True)
    print(as_markdown(results))
    if len(results) == 1:
        print("no other interpreter is here: TRIGRAD_PYTHONS names them, separated as in PATH")
    if len({bits for each in results for bits in each["bits"].values()}) != 1:
        print("the bits differ")
        return 1
    if arguments.record:
        record("interpreters", as_markdown(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
