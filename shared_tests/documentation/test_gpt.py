"""The GPT of docs/examples: the same losses from the same seed on every backend, and it learns."""

import importlib.util
import random
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cases.numbers import all_close, floats, worst

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "gpt.py"


@pytest.fixture(scope="module")
def gpt():
    spec = importlib.util.spec_from_file_location("gpt_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def losses(gpt, backend, steps):
    random.seed(42)
    documents = gpt.Documents(gpt.TOWNS.read_text(encoding="utf-8"))
    model = gpt.GPT(backend, documents.vocabulary)
    return list(gpt.train(model, documents, steps, lr=1e-2))


def test_the_losses_are_those_of_pure_python(backend, gpt):
    import pure_python

    expected = losses(gpt, pure_python, 8)
    actual = losses(gpt, backend.module, 8)
    assert actual == pytest.approx(expected, rel=1e-9), f"{backend.name} trains another GPT"


def test_it_learns(backend, gpt):
    course = losses(gpt, backend.module, 60)
    first, last = sum(course[:10]) / 10, sum(course[-10:]) / 10
    assert last < first - 0.3, f"the loss went from {first:.3f} to {last:.3f} in 60 steps"


def test_nothing_is_found_while_it_learns(backend, gpt):
    """Rule 5.10: on rows, softmax, masks of -inf, norms, at the start and later, before and after
    the step; a table of embeddings of which a document uses few rows."""
    random.seed(42)
    documents = gpt.Documents(gpt.TOWNS.read_text(encoding="utf-8"))
    model = gpt.GPT(backend.module, documents.vocabulary)
    optimizer = backend.Adam(model.parameters(), lr=1e-2, betas=(0.9, 0.95))
    for step in range(21):
        loss = gpt.loss_of(model, documents.tokens(step))
        optimizer.zero_grad()
        loss.backward()
        looks = [backend.diagnose(loss)] if step % 10 == 0 else []
        optimizer.step()
        if step % 10 == 0:
            looks.append(backend.diagnose(loss, model.parameters()))
        assert not any(looks), f"step {step}: {looks}"
    loss.backward()  # of data that the step has changed
    assert [finding.kind for finding in backend.diagnose(loss)] == ["data changed"]
    loss = gpt.loss_of(model, documents.tokens(0))
    loss.backward()
    assert [finding.kind for finding in backend.diagnose(loss)] == ["not zeroed"]


def test_token_by_token_it_computes_what_it_does_in_one_pass(backend, gpt):
    random.seed(42)
    model = gpt.GPT(backend.module, vocabulary=5, layers=2)
    tokens, memory = [0, 3, 1, 4, 4, 2], model.start()
    one_by_one = [x for token in tokens for x in floats(model([token], memory)[0])]
    at_once = [x for row in model(tokens) for x in floats(row)]
    assert all_close(one_by_one, at_once, 1e-12, 1e-14), worst(one_by_one, at_once)


def test_from_the_command_line(backend, tmp_path):
    text = tmp_path / "lines.txt"
    text.write_text("anna\nhannah\nanna\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, EXAMPLE, text, "--backend", backend.name, "--steps=3", "--samples=2"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "3 documents, 4 tokens" in done.stdout
    assert "averaged over the last 3 steps" in done.stdout


def test_a_file_without_lines_is_refused(tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, EXAMPLE, empty, "--backend=pure_python"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "Error: the text has no line to learn from"


def test_without_its_libraries_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(SystemExit, match="needs rich.*: python -m pip install click rich"):
        runpy.run_path(str(EXAMPLE))


def test_a_backend_that_is_not_installed_is_told(gpt, monkeypatch):
    monkeypatch.setitem(sys.modules, "cython_core", None)
    done = CliRunner().invoke(gpt.main, [])
    assert done.exit_code == 2
    assert done.output.endswith("cython_core is not installed: name another with --backend\n")
