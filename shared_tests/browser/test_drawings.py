"""Drawings in a notebook where no `dot` program is, as a saved page and as a kernel sends them."""

import re

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from pure_python import MLP, Value, draw_dot, draw_model

# JupyterLab and VS Code put an output on the page as text, and make its scripts anew to run them.
INSERT = """
(html) => {
  const output = document.createElement("div");
  output.innerHTML = html;
  document.body.append(output);
  for (const silent of output.querySelectorAll("script")) {
    const script = document.createElement("script");
    script.text = silent.textContent;
    output.append(script);
    script.remove();
  }
}
"""
# Every text of a drawing that sticks out of the box, oval or circle that it belongs to.
OVERFLOWING = """
[...document.querySelectorAll("svg g.node")].flatMap((node) => {
  const shape = node.querySelector("polygon, ellipse, path");
  if (!shape || shape.getAttribute("stroke") === "none") return [];
  const box = shape.getBBox();
  return [...node.querySelectorAll("text")].filter((text) => {
    const t = text.getBBox();
    return t.x < box.x - 1 || t.x + t.width > box.x + box.width + 1;
  }).map((text) => text.textContent);
})
"""


@pytest.fixture
def no_dot(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def expression():
    x, w = Value(2.0, label="x"), Value(-0.5, label="weight & <bias>")
    y = (w * x + 1.5).tanh() - w
    y.backward()
    return y


def saved(folder, *outputs):
    """A page with some outputs, as notebooks are saved."""
    path = folder / "notebook.html"
    body = "\n<hr>\n".join(outputs)
    path.write_text(f"<!DOCTYPE html><meta charset=utf-8><body>{body}</body>", encoding="utf-8")
    return path.as_uri()


def html(drawing):
    return drawing._repr_mimebundle_()["text/html"]


def test_drawings_show_themselves(chromium, page, no_dot, tmp_path):
    """What the DOT text says is there: each label, box, oval and arrow; nothing sticks out."""
    graph, model = draw_dot(expression()), draw_model(MLP(3, [20, 2], seed=1))
    page.goto(saved(tmp_path, html(graph), html(model)))
    page.wait_for_function("document.querySelectorAll('svg').length === 2")
    for svg, drawing in zip(page.locator("svg").all(), (graph, model), strict=True):
        assert svg.locator("g.edge").count() == drawing.source.count(" -> ")
        assert svg.locator("g.node").count() == len(
            re.findall(r"^\t\w+ \[label|pos=", drawing.source, re.M)
        )
    texts = page.locator("svg").first.locator("text").all_text_contents()
    assert {"weight & <bias>", "data -0.5000", "+ 1.5", "tanh"} <= {t.strip() for t in texts}
    assert page.evaluate(OVERFLOWING) == []


def test_a_notebook_without_dot(page, no_dot, tmp_path):
    """One library for the drawings of a cell; a cell that is kept alone shows its own."""
    cells = [
        "from pure_python import Value, draw_dot\ny = Value(2.0, label='a') * 3.0\n"
        "display(draw_dot(y))\ndraw_dot(y + 1.0)",
        "draw_dot(y * y)",
    ]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60).execute()
    first, second = [[o["data"]["text/html"] for o in cell.outputs] for cell in notebook.cells]
    assert [len(page) > 500_000 for page in [*first, *second]] == [True, False, True]
    # Drawings do not depend on the order in which their scripts run.
    page.goto(saved(tmp_path, *reversed(first)))
    page.wait_for_function("document.querySelectorAll('svg').length === 2")
    page.goto(saved(tmp_path, *second))
    page.wait_for_function("document.querySelectorAll('svg').length === 1")


def test_a_front_end_that_runs_the_scripts_itself(page, no_dot, tmp_path):
    """One drawing shown twice is drawn twice."""
    drawing = draw_dot(expression())
    page.goto(saved(tmp_path))
    page.evaluate(INSERT, html(drawing))
    page.evaluate(INSERT, html(drawing))
    page.wait_for_function("document.querySelectorAll('svg').length === 2")
    assert page.locator("div > svg").count() == 2


def test_a_drawing_that_graphviz_refuses_says_so(page, no_dot, tmp_path):
    """A line that is no DOT, say; the drawing after it is drawn all the same."""
    broken, whole = draw_dot(expression()), draw_dot(expression())
    broken.body.append("\t->\n")
    page.goto(saved(tmp_path, html(broken), html(whole)))
    page.wait_for_function("document.querySelectorAll('svg').length === 1")
    assert "Graphviz cannot draw this here: Error" in page.locator("body").inner_text()
