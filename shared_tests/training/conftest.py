"""A folder to run the command line in, and the command line itself, in this process."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pure_python.training import cli, figures

# What the run of a fixture has written of itself.
TOLD = {
    "backend": "pure_python",
    "began": "2026-01-02T03:04:05+00:00",
    "data": {"name": "moons", "samples": 200, "sha256": "a" * 64},
    "settings": {"lr": 0.01, "hidden": [16, 16], "schedule": "constant"},
    "versions": {"python": "3.11.2", "numpy": "2.0"},
    "layers": "2-16-16-1",
    "epochs": [{"epoch": 1}, {"epoch": 2}],
    "steps": 20,
    "loss": 0.25,
    "training_accuracy": 0.9,
    "held_out_accuracy": 0.875,
    "seconds": 0.123456,
    "interrupted": False,
    "weights_sha256": "b" * 64,
}


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    def failed(self, code: int = 2) -> str:
        """The one line that says why; that it is one line, and nothing else was printed."""
        assert self.code == code, f"exit code {self.code}, expected {code}: {self.err or self.out}"
        assert self.out == "", f"bad input printed to standard output: {self.out}"
        lines = self.err.splitlines()
        assert len(lines) == 1, f"one line on standard error is expected, got {lines}"
        assert lines[0].startswith("error: ")
        return lines[0].removeprefix("error: ")

    def succeeded(self) -> str:
        assert self.code == 0, f"exit code {self.code}: {self.err}"
        return self.out


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty folder, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(backend, folder, capsys):
    """run("train", "moons", …): the command line of the backend, in this process."""

    def run(*args: object, name: str = backend.name) -> Outcome:
        capsys.readouterr()
        code = cli.main(name, [str(arg) for arg in args])
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return run


def in_process(folder: Path, *args: object, name: str = "pure_python") -> Outcome:
    """The same as `python -m BACKEND …`, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", name, *map(str, args)],
        cwd=folder,
        env=os.environ | {"PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def shell(folder):
    """shell("train", …, name=BACKEND): the command line as a person starts it."""
    return lambda *args, name="pure_python": in_process(folder, *args, name=name)


@pytest.fixture
def undrawn(monkeypatch):
    """Results without figures, for tests that look at others: drawing takes longest."""
    monkeypatch.setattr(figures, "save", lambda figure, path: None)


@pytest.fixture
def write(folder):
    """write("a.csv", text or bytes): a file in the working directory; its name."""

    def write(name: str, content: str | bytes) -> str:
        raw = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(raw)
        return name

    return write


@pytest.fixture
def terminal(monkeypatch):
    """A terminal for standard output and standard error; after `with` holds its text."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)

    @contextlib.contextmanager
    def terminal() -> Iterator[list[str]]:
        ours, theirs = os.openpty()
        shown, pieces = [], []

        def read():
            with contextlib.suppress(OSError):  # at its end
                while piece := os.read(ours, 1 << 16):
                    pieces.append(piece)

        reader = threading.Thread(target=read)
        reader.start()
        with monkeypatch.context() as patched, open(theirs, "w") as screen:
            patched.setattr(sys, "stdout", screen)
            patched.setattr(sys, "stderr", screen)
            yield shown
        reader.join(60)
        os.close(ours)
        shown.append(b"".join(pieces).decode())

    return terminal


@pytest.fixture
def ran(folder):
    """ran("name", loss=0.1, …): the folder of a run in runs/, with other metrics than TOLD's."""

    def ran(name, **changes):
        path = folder / "runs" / name
        path.mkdir(parents=True)
        text = json.dumps(TOLD | changes)
        (path / "metrics.json").write_text(text)
        return path

    ran.told = TOLD
    return ran
