"""The sdists and wheels as a user gets them: the same bytes twice, whole, and installable alone.

    python -m reliability.packages [--quick] [--record] [--require REQUIREMENT ...]

Everything is built from the commit that is checked out, in two clones at paths of different length,
with SOURCE_DATE_EPOCH at the time of the commit. What is compared and looked up is said in
docs/reliability.md. For each CPython that reliability.interpreters finds, a wheel of cython_core is then
built from the sdist with no git on the PATH, given the platform tag that it is good for (auditwheel),
installed beside the wheels of the others in an empty environment, and tested there. `--quick`: with this
interpreter only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from .interpreters import found, version_of
from .record import ROOT, record

BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")
VENDORED = ("graphviz.js.NOTICE", "graphviz.js.LICENSE-Apache-2.0", "graphviz.js.LICENSE-EPL-1.0")
SUITE = ("shared_tests/conformance", "--without-pytorch", "-q", "-p", "no:cacheprovider")


def run(*command: str | Path, check: bool = True, **variables: str) -> str:
    """What a command prints, errors with it."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1", **variables}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if check and done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-4000:]}")
    return done.stdout


def build(clone: Path, out: Path) -> None:
    """The sdist and the wheel of each, from a clone of the commit."""
    run("git", "clone", "--quiet", ROOT, clone)
    epoch = run("git", "-C", clone, "log", "-1", "--format=%ct").strip()
    os.umask(0o022)  # as in `nox -s build`: a wheel keeps the modes of what was compiled
    for backend in BACKENDS:
        builder = (sys.executable, "-m", "build", f"--outdir={out}")
        run(*builder, clone / backend, SOURCE_DATE_EPOCH=epoch)


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a wheel or an sdist."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for name in wheel.namelist():
                yield name, wheel.read(name)
    else:
        with tarfile.open(archive) as sdist:
            for member in sdist.getmembers():
                if (file := sdist.extractfile(member)) is not None:
                    yield member.name, file.read()


def faults_in(archive: Path, folder: Path) -> list[str]:
    """What is missing in an archive, and where it names the folder that it was built in."""
    files = dict(members(archive))
    names = {Path(name).name for name in files}
    wanted = {"LICENSE", "py.typed"}
    if archive.suffix == ".whl":
        wanted.add("entry_points.txt")  # the program that pip makes
    if "pure_python" in archive.name:
        wanted |= {"graphviz.js", *VENDORED}
    faults = [f"{archive.name} has no {name}" for name in sorted(wanted - names)]
    faults += [
        f"{archive.name}: {name} names {folder}, where it was built"
        for name, content in files.items()
        if os.fsencode(folder) in content
    ]
    for name, content in files.items():
        if Path(name).name in ("METADATA", "PKG-INFO"):
            texts = ("Requires-Python: >=3.11", "License-Expression: ", "License-File: ")
            faults += [f"{name} has no {text}" for text in texts if text not in content.decode()]
    return faults


def without_git(folder: Path) -> str:
    """A PATH with all programs of this one save git."""
    folder.mkdir()
    for part in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(part).iterdir() if Path(part).is_dir() else ():
            if program.name != "git":
                (folder / program.name).unlink(missing_ok=True)
                (folder / program.name).symlink_to(program.resolve())
    return str(folder)


def tagged(wheel: Path, out: Path) -> Path:
    """The wheel, with the tag of the oldest systems that it runs on, where there is such a tag."""
    if sys.platform != "linux":
        return shutil.copy(wheel, out / wheel.name)
    run(sys.executable, "-m", "auditwheel", "repair", "--only-plat", f"--wheel-dir={out}", wheel)
    (repaired,) = out.glob("trigrad_cython_core-*.whl")
    return repaired


def in_empty_environment(
    python: str, dist: Path, requirements: list[str], folder: Path
) -> tuple[str, str]:
    """The tag of the wheel built with an interpreter, and what the suite says about the wheels."""
    (sdist,) = dist.glob("trigrad_cython_core-*.tar.gz")
    made, wheels = folder / "made", folder / "wheels"
    wheels.mkdir(parents=True)
    path = without_git(folder / "programs")
    run(python, "-m", "pip", "wheel", "-q", "--no-deps", f"--wheel-dir={made}", sdist, PATH=path)
    (wheel,) = made.iterdir()
    compiled = tagged(wheel, wheels)
    run(python, "-m", "venv", folder / "environment")
    own = folder / "environment" / ("Scripts" if os.name == "nt" else "bin") / "python"
    plain = sorted(dist.glob("*-py3-none-any.whl"))
    ours = [f"{wheel}[drawing,saving]" for wheel in plain] + [str(compiled)]
    # Two of the distributions depend on the third, which no index has yet.
    run(own, "-m", "pip", "install", "-q", f"--find-links={dist}", *ours, *requirements)
    said = run(own, "-m", "pytest", *SUITE)
    passed = re.findall(r"(\d+) passed", said)[-1]
    return compiled.stem.rpartition("-")[2], passed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m reliability.packages")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--require", action="extend", nargs="+", default=[])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, second = folder / "first", folder / "a second one, elsewhere"
        for clone in (first, second):
            build(clone, folder / f"dist of {clone.name}")
        dist, again = (folder / f"dist of {clone.name}" for clone in (first, second))
        faults, lines = [], ["| archive | KiB | sha256, twice the same |", "|---|---|---|"]
        for archive in sorted(dist.iterdir()):
            digests = [
                hashlib.sha256((d / archive.name).read_bytes()).hexdigest() for d in (dist, again)
            ]
            if digests[0] != digests[1]:
                faults.append(f"{archive.name} has other bytes when it is built again")
            faults += faults_in(archive, folder)
            size = archive.stat().st_size / 1024
            lines.append(f"| `{archive.name}` | {size:.0f} | `{digests[0][:16]}` |")
        lines += [
            "",
            "| CPython | platform tag of the wheel | tests passed from the wheels |",
            "|---|---|---|",
        ]
        for python in found()[: 1 if arguments.quick else None]:
            version = version_of(python)
            place = folder / f"with {version}"
            tag, passed = in_empty_environment(python, dist, arguments.require, place)
            lines.append(f"| {version} | `{tag}` | {int(passed):,} |")
    print("\n".join(lines))
    for fault in faults:
        print(fault)
    if arguments.record and not faults:
        record("packages", "\n".join(lines))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
