"""The checkout says one version everywhere, and what says another one is found."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECK = Path(__file__).with_name("consistency.py")
ROOT = Path(__file__).parents[2]
BACKENDS = ("pure_python", "numpy_vectorized", "cython_core")


def check(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(CHECK), f"--root={root}", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path):
    """The files that are compared, to be changed."""
    files = [Path("CHANGELOG.md"), Path("README.md"), Path("cython_core/meson.build")]
    for backend in BACKENDS:
        files += [Path(backend, name) for name in ("pyproject.toml", "README.md")]
        files.append(Path(backend, "src", backend, "__init__.py"))
    files += [path.relative_to(ROOT) for path in (ROOT / "docs").glob("*.md")]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def test_the_checkout_is_consistent():
    done = check(ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("cython_core/meson.build", "version: '", "version: '9", "cython_core/meson.build says version 9"),
        ("numpy_vectorized/pyproject.toml", '\nversion = "', '\nversion = "9', "pyproject.toml says version 9"),
        ("cython_core/pyproject.toml", "pure-python==", "pure-python==9", "on trigrad-pure-python==9"),
        ("pure_python/src/pure_python/__init__.py", '__version__ = "', '__version__ = "9', "__init__.py says version 9"),
        ("pure_python/pyproject.toml", '\nversion = "', '\nversion = "the ', "is no version"),
        ("CHANGELOG.md", "\n## ", "\n## 9", "the newest entry is 9"),
        ("CHANGELOG.md", ", not released yet", "", "expected ## 1.2.3, 2026-01-31"),
        ("CHANGELOG.md", "not released yet", "2026-02-30", "day is out of range"),
        ("CHANGELOG.md", "\n## ", "\n## 0.0.1, 2020-01-01\n\n- A change.\n\n## ", "each entry is older"),
        ("docs/reliability.md", "trigrad_pure_python-", "trigrad_pure_python-9.", "names version 9."),
    ],
)  # fmt: skip
def test_a_difference_is_told(copy, file, old, new, words):
    text = (copy / file).read_text(encoding="utf-8")
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    done = check(copy)
    assert done.returncode == 1 and words in done.stderr, done.stderr
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())


def test_a_release_has_a_date_and_its_own_tag(copy):
    done = check(copy, "--tag=v9.9.9")
    assert "the release has no date yet" in done.stderr and "the tag is v9.9.9" in done.stderr
    changes = copy / "CHANGELOG.md"
    dated = changes.read_text(encoding="utf-8").replace("not released yet", "2026-01-31", 1)
    changes.write_text(dated, encoding="utf-8")
    version = re.search(r"^## (\S+),", dated, re.MULTILINE)[1]
    done = check(copy, f"--tag=v{version}")
    assert done.returncode == 0, done.stderr


def test_archives_that_are_not_those_of_the_checkout_are_told(copy, tmp_path):
    dist = tmp_path / "dist"
    dist.mkdir()
    with zipfile.ZipFile(dist / "trigrad_pure_python-9.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("pure_python/test_engine.py", "")
        metadata = (
            "Metadata-Version: 2.4\nName: trigrad-pure-python\nVersion: 9.0\n\nAnother text\n"
        )
        wheel.writestr("trigrad_pure_python-9.0.dist-info/METADATA", metadata)
    (dist / "notes.txt").write_text("")
    done = check(copy, str(dist))
    assert done.returncode == 1
    for words in (
        "is of version 9.0",
        "its metadata say version 9.0",
        "it has no extra 'drawing'",
        "its description is not the README.md",
        "it has no pure_python/py.typed",
        "it holds pure_python/test_engine.py",
        "has no sdist of trigrad-pure-python",
        "has no wheel of trigrad-cython-core",
        "notes.txt",
    ):
        assert words in done.stderr, f"{words!r} is not said: {done.stderr}"
