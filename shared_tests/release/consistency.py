"""Whether what a release is made of says the same everywhere: versions, changes, archives, documents.

    python shared_tests/release/consistency.py [--tag v1.2.3] [DIST]

The three have one version. DIST holds the sdists and wheels that are to be released; without it, only the
files of the checkout are compared. With --tag the release has to be ready: the tag names the version, and
the newest entry of CHANGELOG.md has a date.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from packaging.utils import parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[2]
BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")
ENTRY = re.compile(r"^## (\S+), (?:(\d{4}-\d\d-\d\d)|not released yet)$")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dist", nargs="?", type=Path, metavar="DIST", help="a folder of archives")
    parser.add_argument("--tag", help="the tag that the release is made from, such as v1.2.3")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args()
    version, problems = one_version(options.root)
    problems += changes(options.root, version, options.tag is not None)
    problems += documents(options.root, version)
    if options.tag is not None and options.tag != f"v{version}":
        problems.append(f"the tag is {options.tag}, and the version {version}: tag it v{version}")
    if options.dist is not None:
        problems += archives(options.root, options.dist, version)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if not problems:
        print(f"trigrad {version}: everything says so")
    return 1 if problems else 0


# The checkout --------------------------------------------------------------------------------


def one_version(root: Path) -> tuple[str, list[str]]:
    """The version, and each place that says another one."""
    said: dict[str, str] = {}
    for backend in BACKENDS:
        file = root / backend / "pyproject.toml"
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        said[f"{backend}/pyproject.toml"] = project["version"]
        for needed in project["dependencies"]:
            if needed.startswith("trigrad-"):
                said[f"{backend}/pyproject.toml, on {needed}"] = needed.partition("==")[2]
        module = root / backend / "src" / backend / "__init__.py"
        said[str(module.relative_to(root))] = first(r'^__version__ = "(.*)"$', module)
    meson = root / "cython_core" / "meson.build"
    said["cython_core/meson.build"] = first(r"^  version: '(.*)',$", meson)
    version = said["pure_python/pyproject.toml"]
    problems = [
        f"{place} says version {other or 'nothing'}, pure_python/pyproject.toml {version}: "
        "the three have one version"
        for place, other in said.items()
        if other != version
    ]
    try:
        Version(version)
    except InvalidVersion:
        problems.append(f"{version} is no version as PEP 440 has them, such as 1.2.3")
    return version, problems


def first(pattern: str, file: Path) -> str:
    found = re.search(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def changes(root: Path, version: str, released: bool) -> list[str]:
    """What is wrong with CHANGELOG.md: the newest entry first, and that is of this version."""
    lines = (root / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    headings = [(n, line) for n, line in enumerate(lines, 1) if line.startswith("## ")]
    problems, earlier = [], None
    for at, line in headings:
        where, match = f"CHANGELOG.md, line {at}", ENTRY.match(line)
        if not match:
            expected = "## 1.2.3, 2026-01-31 or ## 1.2.3, not released yet"
            problems.append(f"{where}: expected {expected}, not {line!r}")
            continue
        try:
            entry = Version(match[1]), datetime.date.fromisoformat(match[2] or "9999-12-31")
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue
        if earlier is None and match[1] != version:
            problems.append(f"{where}: the newest entry is {match[1]}, the version {version}")
        if earlier is None and released and not match[2]:
            problems.append(f"{where}: the release has no date yet")
        if earlier is not None and (entry >= earlier or not match[2]):
            problems.append(f"{where}: each entry is older than the one above it, and has a date")
        if not any(text.startswith("- ") for text in lines[at : at + 2]):
            problems.append(f"{where}: it lists no change")
        earlier = entry
    return problems if headings else [*problems, "CHANGELOG.md has no entry"]


def documents(root: Path, version: str) -> list[str]:
    """Documents that name an archive of another version: such figures are to be measured anew."""
    problems = []
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        for n, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            for other in re.findall(r"trigrad[-_]\w+-(\d[\w.]*?)(?:-|\.tar)", line):
                if other != version:
                    problems.append(
                        f"{page.relative_to(root)}, line {n} names version {other}, not {version}"
                    )
    return problems


# What is released ----------------------------------------------------------------------------


def archives(root: Path, dist: Path, version: str) -> list[str]:
    """What is wrong with the sdists and wheels in a folder."""
    problems: list[str] = []
    kinds: dict[str, set[str]] = {f"trigrad-{b.replace('_', '-')}": set() for b in BACKENDS}
    for path in sorted(dist.iterdir()):
        try:
            if path.suffix == ".whl":
                name, of, _, _ = parse_wheel_filename(path.name)
            else:
                name, of = parse_sdist_filename(path.name)
        except ValueError as error:  # InvalidWheelFilename and InvalidSdistFilename are such
            problems.append(f"{path}: {error}")
            continue
        if name not in kinds:
            problems.append(f"{path}: {name} is none of {', '.join(kinds)}")
            continue
        kinds[name].add("wheel" if path.suffix == ".whl" else "sdist")
        if str(of) != version:
            problems.append(f"{path} is of version {of}, and the checkout of {version}")
        backend = name.removeprefix("trigrad-").replace("-", "_")
        names, metadata, readme = contents(path)
        problems += [
            f"{path}: {p}" for p in inside(root, backend, version, names, metadata, readme)
        ]
    for name, found in kinds.items():
        for kind in sorted({"sdist", "wheel"} - found):
            problems.append(f"{dist} has no {kind} of {name}")
    return problems


def contents(path: Path) -> tuple[list[str], Message, str]:
    """Of an archive: the files in it, its metadata, and the description that comes with these."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            names = wheel.namelist()
            data = wheel.read(next(n for n in names if n.endswith(".dist-info/METADATA")))
    else:
        with tarfile.open(path) as sdist:
            # Without the folder that all lies in.
            names = [n.partition("/")[2] for n in sdist.getnames()]
            top = path.name.removesuffix(".tar.gz")
            member = sdist.extractfile(f"{top}/PKG-INFO")
            data = member.read() if member else b""
    metadata = BytesParser().parsebytes(data)
    return names, metadata, str(metadata.get_payload())


def inside(
    root: Path, backend: str, version: str, names: list[str], metadata: Message, readme: str
) -> list[str]:
    """What the metadata of an archive and its files say otherwise than the checkout."""
    file = root / backend / "pyproject.toml"
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    problems = []
    if metadata["Version"] != version:
        problems.append(f"its metadata say version {metadata['Version']}, not {version}")
    if metadata["Requires-Python"] != project["requires-python"]:
        problems.append(
            f"it requires Python {metadata['Requires-Python']}, not {project['requires-python']}"
        )
    required = set(metadata.get_all("Requires-Dist") or ())
    problems += [f"it does not require {n}" for n in project["dependencies"] if n not in required]
    missing = set(project.get("optional-dependencies", {})) - {
        *(metadata.get_all("Provides-Extra") or ())
    }
    problems += [f"it has no extra {extra!r}" for extra in sorted(missing)]
    if readme.strip() != (root / backend / "README.md").read_text(encoding="utf-8").strip():
        problems.append("its description is not the README.md of the checkout")
    for needed in ("LICENSE", f"{backend}/py.typed", f"{backend}/__init__.py"):
        if not any(n == needed or n.endswith(f"/{needed}") for n in names):
            problems.append(f"it has no {needed}")
    strangers = [n for n in names if "test" in Path(n).name or n.endswith((".pyc", ".c", ".o"))]
    problems += [f"it holds {n}, which is not to be released" for n in strangers]
    return problems


if __name__ == "__main__":
    sys.exit(main())
