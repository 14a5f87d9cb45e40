"""The kernels of cython_core give the same bits whichever instruction set a machine has."""

import ctypes
import os
import platform
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .record import ROOT

SOURCE = Path(__file__).with_name("kernels.c")
CORE = ROOT / "cython_core"

# What gcc and clang call the sets that kernels.h and tape.h name; the first is every machine's.
SETS = {"default": [], "avx2": ["-mavx2"], "avx512f": ["-mavx512f"]}

pytestmark = pytest.mark.skipif(
    os.name != "posix" or platform.machine() != "x86_64" or shutil.which("cc") is None,
    reason="only there are they compiled several times",
)

NUMBERS = 130 * 33 + 100  # of the longest product
ROOM = 100_000


@pytest.fixture(scope="module")
def numbers():
    generator = random.Random(1)
    some = [0.0, -0.0, 1.0, -1.0, 5e-324, 1e-300, 1e100]
    return (ctypes.c_double * NUMBERS)(
        *[
            generator.choice(some) if generator.random() < 0.1 else generator.gauss(0.0, 1.0)
            for _ in range(NUMBERS)
        ]
    )


@pytest.fixture(scope="module")
def outcomes(numbers, tmp_path_factory):
    """Of the loops of one instruction set or the products of one width, compiled as the build does."""
    build = (CORE / "meson.build").read_text(encoding="utf-8")
    same_bits = re.findall(r"'(-f[^']+)'", build)
    assert len(same_bits) == 2
    folder = tmp_path_factory.mktemp("kernels")

    def outcome(function, instructions, *arguments):
        path = folder / instructions
        if not path.exists():
            command = ["cc", "-shared", "-fPIC", "-O3", *same_bits, *SETS[instructions]]
            include = f"-I{CORE / 'src' / 'cython_core'}"
            subprocess.run([*command, include, "-o", path, SOURCE, "-lm"], check=True)
        run = getattr(ctypes.CDLL(str(path)), function)
        run.restype = ctypes.c_ssize_t
        room = (ctypes.c_double * ROOM)()
        count = run(*arguments, numbers, room)
        assert count <= ROOM
        return None if count < 0 else bytes(room)[: 8 * count]

    return outcome


@pytest.mark.parametrize("width", [1, 2])
def test_products_of_every_width(outcomes, width):
    expected = outcomes("all_products", "default", 0)
    assert expected
    assert outcomes("all_products", "default", width) in (None, expected)


@pytest.mark.parametrize("instructions", list(SETS)[1:])
def test_loops_of_every_instruction_set(outcomes, instructions):
    if outcomes("all_products", "default", list(SETS).index(instructions)) is None:
        return  # this machine has it not
    expected = outcomes("all_loops", "default")
    assert expected
    assert outcomes("all_loops", instructions) == expected
