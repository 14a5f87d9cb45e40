"""Scripts in a process of their own: what they do to memory, or a crash, touches nothing else."""

import json
import re
import signal
import subprocess
import sys

import pytest


def run_script(backend, script: str, **variables) -> dict:
    """Run a script that has `m`, the backend, and fills a dict `result`. A crash fails the test."""
    prologue = "\n".join(
        [
            "import importlib, sys",
            f"sys.path[:] = {sys.path!r}",
            f"m = importlib.import_module({backend.name!r})",
            *(f"{name} = {value!r}" for name, value in variables.items()),
            "result = {}",
        ]
    )
    epilogue = "\nimport json\nprint('\\n' + json.dumps(result))"
    done = subprocess.run(
        [sys.executable, "-c", prologue + "\n" + script + epilogue],
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        pytest.fail(
            f"Python crashed ({name}): most often the C stack overflowed, where one node frees the next "
            "by recursion (rule 1.11)",
            pytrace=False,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        missing = re.search(r"module '[\w.]+' has no attribute '(\w+)'", last)
        if missing:
            getattr(backend, missing[1])  # fails as any other test that needs this name
        pytest.fail(f"the script failed: {last}", pytrace=False)
    return json.loads(done.stdout.splitlines()[-1])
