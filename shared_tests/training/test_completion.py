"""Shells complete what is typed for `trigrad-BACKEND`: commands, options, files, columns, runs."""

import importlib
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from pure_python.training.commands import command_line

ROOT = Path(__file__).parents[2]


def completed(line):
    """What a shell is offered for the last word of a line."""
    *words, last = line.split(" ")
    complete = ShellComplete(command_line, {"obj": "pure_python"}, "trigrad", "_TRIGRAD_COMPLETE")
    return [(item.type, item.value) for item in complete.get_completions(words, last)]


def plain(*values):
    return [("plain", value) for value in values]


@pytest.mark.parametrize(
    "line, expected",
    [
        ("", plain("completion", "playground", "predict", "runs", "train")),
        ("tr", plain("train")),
        ("completion ", plain("bash", "zsh", "fish")),
        ("train m", plain("moons")),
        ("train --sche", plain("--schedule")),
        ("train --schedule c", plain("constant", "cosine")),
        ("train --hidden x --loss m", plain("max-margin", "mse")),  # what is wrong may be put right
        ("train --csv a", [("file", "a")]),
        ("train --config ", [("file", "")]),
        ("train --out ", [("dir", "")]),
        ("playground --", plain("--port", "--no-open", "--version", "--help")),
        ("predict --weights w", [("file", "w")]),
        ("train --csv a.csv --target ", plain("width", "weight", "kind")),
        ("train --csv a.csv --ignore w", plain("width", "weight")),
        ("train --csv gone.csv --target ", []),
        ("train --target ", []),
        ("runs ", plain("compare", "list")),
        ("runs list --in r", [("dir", "r")]),
        ("runs compare ", plain("newer", "older")),
        ("runs compare newer o", plain("older")),
        ("runs compare --in gone ", []),
    ],
)
def test_what_is_offered(line, expected, write, ran):
    write("a.csv", "width,weight,kind\n1,2,x\n")
    for name, day in (("newer", 2), ("older", 1)):
        ran(name, began=f"2026-01-0{day}T00:00:00")
    assert completed(line) == expected


def program(backend, folder):
    """The program of a backend, as pip makes it of the backend's pyproject.toml."""
    declared = tomllib.loads((ROOT / backend / "pyproject.toml").read_text(encoding="utf-8"))
    ((name, where),) = declared["project"]["scripts"].items()
    module, function = where.split(":")
    assert callable(getattr(importlib.import_module(module), function))
    path = folder / name
    code = f"from {module} import {function}\nraise SystemExit({function}())\n"
    path.write_text(f"#!{sys.executable}\n{code}")
    path.chmod(0o755)
    return path


def test_the_program_does_what_the_module_does(backend, folder, monkeypatch, capsys):
    path = program(backend.name, folder)
    assert path.name == "trigrad-" + backend.name.replace("_", "-")
    module = importlib.import_module(f"{backend.name}.__main__")
    for name, shown in ((path, path.name), ("__main__.py", f"python -m {backend.name}")):
        monkeypatch.setattr(sys, "argv", [str(name), "train", "--help"])
        assert module.main() == 0
        assert capsys.readouterr().out.startswith(f"Usage: {shown} train [OPTIONS]")


@pytest.mark.skipif(sys.platform == "win32", reason="bash as POSIX has it")
@pytest.mark.parametrize(
    "words, expected",
    [
        (["--schedule", "c"], ["constant", "cosine"]),
        (["--csv", "a.csv", "--target", "wi"], ["width"]),
        (["--csv", "a.csv", "--target", "petal"], ["'petal length (cm)'", "'petal width'"]),
        (["--csv", "a.csv", "--target", "'petal l"], ["petal length (cm)"]),  # in quotes already
        (["--csv", "a.csv", "--target", "g"], ["größe"]),
    ],
)
def test_bash_completes(words, expected, folder, write):
    """What bash calls for a line: the function that `complete` names, with the words so far."""
    write("a.csv", "width,petal length (cm),petal width,größe\n1,2,3,4\n")
    name, function = program("pure_python", folder).name, "_trigrad_pure_python_completion"
    script = f"""
        eval "$({name} completion bash)"
        complete -p {name}
        COMP_WORDS=({name} train "$@") COMP_CWORD=$(($# + 1))
        {function} {name}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", *words],
        env=os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    named, *offered = done.stdout.splitlines()
    assert shlex.split(named)[-3:] == ["-F", function, name] and offered == expected
    assert done.stderr == ""


@pytest.mark.parametrize(
    "shell, mark", [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --")]
)
def test_each_shell_has_a_script(shell, mark, run, backend):
    printed = run("completion", shell).succeeded()
    name = "trigrad-" + backend.name.replace("_", "-")
    assert mark in printed and name in printed
    assert f"_{name.replace('-', '_').upper()}_COMPLETE={shell}_complete" in printed


def test_a_shell_that_is_not_known(run):
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in run("completion", "tcsh").failed()
    assert "~/.bashrc" in run("completion", "--help").succeeded()


def test_completing_draws_nothing_and_waits_for_no_library():
    """What is pressed for at every word has to come at once."""
    code = "import sys, pure_python.training.commands; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "rich", "sklearn"} & set(done.stdout.split())
