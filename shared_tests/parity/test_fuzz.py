"""The short form of fuzzing the compiled core: programs that follow from fixed seeds."""

import os
import subprocess
import sys
from pathlib import Path

SUITE = Path(__file__).parents[1]


def test_random_programs_do_no_harm(backends, tmp_path):
    command = [sys.executable, "-m", "reliability.fuzz", "--programs", "500", "--seed", "1"]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SUITE)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
