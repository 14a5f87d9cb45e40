"""The notebooks of docs/ as they are committed. `nox -s notebooks` runs them."""

import copy
import json
import re
from pathlib import Path

import pytest

from notebooks import execute

NOTEBOOKS = sorted(execute.DOCS.glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.name)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_it_shows_one_run_from_scratch(notebook):
    """Every cell was run once, from top to bottom, and none failed or warned."""
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert not list(execute.faults(notebook))


def test_it_has_figures_and_is_small(path, notebook):
    outputs = [output for cell in code_cells(notebook) for output in cell["outputs"]]
    kinds = {kind for output in outputs for kind in output.get("data", ())}
    assert kinds & {"image/png", "image/svg+xml"}
    assert path.stat().st_size <= execute.LARGEST_NOTEBOOK


def test_it_says_nothing_of_who_ran_it(notebook):
    assert notebook["metadata"] == execute.METADATA
    assert not re.search(r"/(home|Users|root|tmp)/| at 0x[0-9a-f]", json.dumps(notebook))


def test_links_lead_somewhere(path, notebook):
    words = "".join(
        execute.as_text(cell["source"])
        for cell in notebook["cells"]
        if cell["cell_type"] == "markdown"
    )
    files = re.findall(r"\]\(([^)#\s]+)", words) + re.findall(r'src="([^"]+)"', words)
    missing = [file for file in files if "://" not in file and not (path.parent / file).exists()]
    assert not missing


# What is compared ----------------------------------------------------------------------------


def cell(*outputs):
    return {"cells": [{"cell_type": "code", "source": "f()", "outputs": list(outputs)}]}


def printed(text):
    return {"output_type": "stream", "name": "stdout", "text": text}


def drawn(*words):
    texts = "".join(f'<text x="1">{word}</text>' for word in words)
    return {"output_type": "display_data", "data": {"image/svg+xml": f"<svg>{texts}</svg>"}}


def test_the_same_run_shows_no_difference(notebook):
    assert not list(execute.differences(notebook, copy.deepcopy(notebook)))


@pytest.mark.parametrize(
    "shown, run",
    [
        (printed("loss 0.25\n"), printed("loss 0.26\n")),
        (printed("loss 0.25\n"), None),
        (None, printed("loss 0.25\n")),
        (drawn("grad 1.0000"), drawn("grad 2.0000")),
        (drawn("grad 1.0000"), {"output_type": "display_data", "data": {"text/plain": "Digraph"}}),
    ],
)
def test_another_output_is_a_difference(shown, run):
    cells = [cell(*([output] if output else [])) for output in (shown, run)]
    assert len(list(execute.differences(*cells))) > 1


@pytest.mark.parametrize(
    "shown, run",
    [
        (printed("0.1234567890123"), printed("0.1234567890124")),
        (drawn("a", "b"), drawn("b", "a")),
        (
            {"output_type": "display_data", "data": {"image/png": "one"}},
            {"output_type": "display_data", "data": {"image/png": "other"}},
        ),
    ],
)
def test_what_the_machine_decides_is_none(shown, run):
    assert not list(execute.differences(cell(shown), cell(run)))


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []},
        {"output_type": "stream", "name": "stderr", "text": "DeprecationWarning"},
        printed(f"written to {Path.home()}/figure.png"),
    ],
)
def test_faults_are_found(output):
    assert list(execute.faults(cell(output)))
