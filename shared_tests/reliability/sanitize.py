"""The compiled core under sanitizers: every access to memory checked, and every reference counted.

    python -m reliability.sanitize [PART ...] [--record]

address     what `nox -s sanitize` has built with -fsanitize=address,undefined runs the conformance
            suite, what compares threads, tapes, layers and slices with the other backends, the hostile
            objects and five hundred programs of reliability.fuzz. A small training may leak nothing.
memcheck    the ordinary build runs a set of programs under valgrind, which sees what is read before it
            was written.
development the ordinary build runs the conformance suite in Python's development mode.
references  the ordinary build runs chapters of the suite again and again: neither the Values that live
            may grow nor, in a debug build of Python, all references, in another its blocks of memory.

What is installed is the sanitized build. PLAIN in the environment is the folder of the ordinary one,
DEBUG a debug build of Python, `=` and the folder of what was built for that.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from .record import ROOT, record

SUITE = ROOT / "shared_tests"
CONFORMANCE = ("conformance", "--backend=cython_core")
COMPARED = (
    *("parity/test_threads.py", "parity/test_tapes.py", "parity/test_layers.py"),
    *("parity/test_slices_and_rows.py", "parity/test_vector_programs.py"),
    "reliability/test_hostile_objects.py",
)
PROGRAMS = 500
REPEATED = ("value", "backward", "vector", "functional", "nn", "optim")  # chapters
FEW = 60  # for valgrind, which is fifty times as slow

# Leaks that are not ours: the frames that they are known by, and why.
SUPPRESSED: dict[str, str] = {}


class Checked:
    """Runs programs and counts what the sanitizers wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.findings: list[str] = []

    def run(self, what: str, command: list[str], **environment: str) -> str:
        """The output. A report of a sanitizer is a finding, and so is a command that fails."""
        print(f"{what} ...", flush=True)
        environ = {**os.environ, "PYTHONPATH": str(SUITE), "PYTHONSAFEPATH": "1"} | environment
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
        for report in sorted(self.folder.glob("report*")):
            self.findings.append(f"{what}: {gist(report.read_text(errors='replace'))}")
            report.rename(self.folder / f"seen.{report.name}")
        if done.returncode:
            output = (done.stdout + done.stderr)[-4000:]
            self.findings.append(f"{what} ended with {done.returncode}:\n{output}")
        return done.stdout + done.stderr

    def pytest(self, what: str, *arguments: str, **environment: str) -> str:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        paths = [str(SUITE / a) if not a.startswith("-") else a for a in arguments]
        return self.run(what, [*command, *paths], **environment)


def gist(report: str) -> str:
    """The line that says what it is, and the frames that are ours."""
    lines = report.splitlines()
    head = [line for line in lines if "ERROR:" in line or "runtime error" in line][:1] or lines[:3]
    frames = [line.strip() for line in lines if "cython_core" in line or "__pyx" in line][:8]
    return "\n    ".join([*head, *frames])


def address(checked: Checked) -> str:
    # Not imported: that works only in a process that began with the sanitizers' libraries.
    package = importlib.util.find_spec("cython_core")
    folder = Path(str(package.origin)).parent if package else Path()
    engines = [*folder.glob("engine.*.so")]
    if not engines or b"__asan_report" not in engines[0].read_bytes():
        raise SystemExit(
            "cython_core is not built with -fsanitize=address: `nox -s sanitize` does it"
        )
    environment = sanitized(checked.folder)
    must_see(checked, environment)
    # Leaks are looked for where nobody else's libraries are: PyTorch and others leave some behind.
    learn = "import cython_core, reliability.fuzz as f; f.learned(cython_core)"
    checked.run("leaks", [sys.executable, "-c", learn], **environment)
    options = environment["ASAN_OPTIONS"]
    environment["ASAN_OPTIONS"] = options.replace("detect_leaks=1", "detect_leaks=0")
    suite = checked.pytest("conformance", *CONFORMANCE, **environment)
    compared = checked.pytest("comparisons", *COMPARED, **environment)
    fuzz = [sys.executable, "-m", "reliability.fuzz", "--memory", "0"]
    checked.run("fuzz", [*fuzz, "--programs", str(PROGRAMS)], **environment)
    return (
        f"AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer (gcc): {passed(suite)} tests "
        f"of the conformance suite, {passed(compared)} that compare backends, {PROGRAMS:,} programs of "
        "the fuzzer"
    )


def sanitized(folder: Path) -> dict[str, str]:
    """The environment in which an ordinary Python runs sanitized modules."""
    libraries = [library(name) for name in ("libasan.so", "libubsan.so")]
    suppressions = folder / "leaks"
    suppressions.write_text("".join(f"leak:{frame}\n" for frame in SUPPRESSED))
    log = f"log_path={folder}/report"
    address = (
        *("detect_leaks=1", "allocator_may_return_null=1", log),
        "detect_odr_violation=0",  # torch has the same globals in several of its libraries
    )
    return {
        "LD_PRELOAD": " ".join(
            libraries
        ),  # before Python's own libraries, which know nothing of it
        "PYTHONMALLOC": "malloc",  # or Python's arenas would hide each object in a large block
        "ASAN_OPTIONS": ":".join(address),
        # Its reports go where a test's output goes, which pytest keeps to itself: so the first one ends
        # the process.
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "LSAN_OPTIONS": f"suppressions={suppressions}:print_suppressions=0",
    }


def library(name: str) -> str:
    compiler = os.environ.get("CC", "gcc").split()[0]
    found = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True)
    path = found.stdout.strip()
    if "/" not in path:
        raise SystemExit(f"{compiler} has no {name}: install gcc with its sanitizers")
    return path


def must_see(checked: Checked, environment: dict[str, str]) -> None:
    """That the sanitizers are awake: a leak, a read of what was freed and a shift too far are seen."""
    shift = checked.folder / "shift.c"
    shift.write_text("int shifted(int by) { return 1 << by; }")
    compiler = os.environ.get("CC", "gcc").split()
    options = ("-fsanitize=undefined", "-shared", "-fPIC", "-o", f"{shift}.so", str(shift))
    subprocess.run([*compiler, *options], check=True)
    for fault in (
        f"import ctypes; ctypes.CDLL('{shift}.so').shifted(99)",
        "import ctypes; c = ctypes.CDLL(None); c.malloc(99)",
        "import ctypes; c = ctypes.CDLL(None); c.malloc.restype = ctypes.c_void_p; p = c.malloc(9); "
        "c.free(ctypes.c_void_p(p)); ctypes.string_at(p, 9)",
    ):
        before = len(checked.findings)
        checked.run("a fault that has to be seen", [sys.executable, "-c", fault], **environment)
        if len(checked.findings) == before:
            raise SystemExit(f"no sanitizer reported {fault!r}")
        del checked.findings[before:]


def memcheck(checked: Checked) -> str:
    """Reports without a frame of ours are CPython's: int.from_bytes of nothing looks at a digit that is
    not there, and what follows from it goes through all of the interpreter."""
    log = checked.folder / "memcheck"
    checked.run(
        "memcheck",
        [
            *("valgrind", f"--log-file={log}", "--num-callers=8"),
            *(sys.executable, "-c", "import reliability.sanitize as s; s.programs()"),
        ],
        **plain(),
        PYTHONMALLOC="malloc",
    )
    reports = re.split(r"\n==\d+== \n", log.read_text(errors="replace"))
    ours = [text for text in reports if re.search(r"(engine|functional|nn|optim)\.cpython", text)]
    checked.findings += [f"memcheck: {text}" for text in ours if "ERROR SUMMARY" not in text]
    return (
        f"valgrind's memcheck: networks, losses, Tapes, optimisers and {FEW} programs of the fuzzer"
    )


def programs() -> None:
    """What memcheck runs: little, but it goes everywhere."""
    import cython_core as m

    from . import fuzz

    there, runner = fuzz.Written(), fuzz.Runner()
    # Some save what they make.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for seed in range(FEW):
            runner.run(fuzz.Writer(there, seed).program())
    for activation in ("relu", "tanh", "gelu", "leaky_relu"):
        for width in (1, 3, 9, 20):
            model = m.MLP(width, [width, 2], activation=activation, seed=1)
            batch = [[0.1 * i + j for i in range(width)] for j in range(5)]
            loss = m.cross_entropy(model(batch), [0, 1, 0, 1, 0]) + m.mean(model(batch[0]))
            loss.backward()
            for optimiser in (m.SGD, m.AdamW):
                optimiser(model.parameters(), lr=0.1).step()
            x = m.Vector(batch)
            y = m.rms_norm(m.log_softmax(m.linear(x, batch, [0.1] * 5)) * x.sum() + x.mean())
            m.Tape(y.max() + y.min()).forward()
            y.backward()
    runner.check_numbers()


def plain() -> dict[str, str]:
    folder = os.environ.get("PLAIN", "")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [folder, str(SUITE)]))}


def development(checked: Checked) -> str:
    output = checked.pytest("development mode", *CONFORMANCE, **plain(), PYTHONDEVMODE="1")
    return f"Python's development mode: {passed(output)} tests of the conformance suite"


def references(checked: Checked) -> str:
    python, environment = sys.executable, plain()
    if os.environ.get("DEBUG"):
        python, folder = os.environ["DEBUG"].split("=", 1)
        installed = [path for path in sys.path if path and not path.startswith(sys.base_prefix)]
        environment["PYTHONPATH"] = os.pathsep.join([folder, str(SUITE), *installed])
    tests = [str(next(SUITE.glob(f"conformance/test_*_{name}.py"))) for name in REPEATED]
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "reliability.repeated"]
    # A debug build does not see what the modules of PyTorch count.
    command += [*tests, CONFORMANCE[1], "--without-pytorch"]
    output = checked.run("references", command, **environment)
    counted = "Values and " + ("blocks" if python == sys.executable else "references")
    return f"{passed(output)} tests run again and again: {counted}"


def passed(output: str) -> str:
    found = re.search(r"(\d+) passed", output)
    return f"{int(found[1]):,}" if found else "no"


PARTS: dict[str, Callable[[Checked], str]] = {
    "address": address,
    "memcheck": memcheck,
    "development": development,
    "references": references,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.sanitize")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    rows = []
    failed = False
    for name in arguments.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            checked = Checked(Path(folder))
            what = PARTS[name](checked)
        failed = failed or bool(checked.findings)
        rows.append(f"- {what}: **{len(checked.findings)} findings**")
        print("\n".join([rows[-1], *checked.findings]), flush=True)
    if arguments.record:
        record("sanitize", "\n".join(rows))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
