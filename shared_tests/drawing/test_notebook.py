"""What a notebook gets of a drawing: the dot program's SVG, or a page's worth of script a cell."""

import sys
from types import SimpleNamespace

import pytest

import pure_python.graph.digraph  # noqa: F401  # which drawing imports when it is asked for one
from pure_python import Value, draw_dot

LIBRARY = "globalThis.trigradGraphviz ??="


@pytest.fixture
def no_dot(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def html(caption="x"):
    drawing = draw_dot(Value(2.0) * 3.0)
    drawing.attr(label=caption)
    return drawing._repr_mimebundle_()["text/html"]


def test_the_dot_program_draws_where_it_is(monkeypatch, tmp_path):
    dot = tmp_path / "dot"
    dot.write_text(f"#!{sys.executable}\nimport sys\nprint('<svg>', sys.argv[1:], '</svg>')\n")
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    shown = draw_dot(Value(2.0) * 3.0)._repr_mimebundle_()
    assert list(shown) == ["image/svg+xml"] and "-Tsvg" in shown["image/svg+xml"]


def test_without_the_python_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    monkeypatch.delitem(sys.modules, "pure_python.graph.digraph")
    with pytest.raises(ImportError, match="python -m pip install graphviz"):
        draw_dot(Value(2.0))


def test_no_text_ends_the_script(no_dot):
    page = html("</script> <!-- \u2028")
    assert page.count("</script>") == page.count("<script>") == 2
    assert "<!--" not in page and "\u2028" not in page


def test_the_library_comes_once_a_cell(no_dot, monkeypatch):
    """Cells are run, copied and deleted one by one, so each has to do without the others."""
    parent = {"header": {"msg_id": "the first cell"}}
    shell = SimpleNamespace(get_parent=lambda: parent)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert [LIBRARY in html() for _ in range(3)] == [True, False, False]
    parent["header"]["msg_id"] = "the second"
    assert [LIBRARY in html() for _ in range(2)] == [True, False]


@pytest.mark.parametrize("shell", [None, SimpleNamespace()], ids=["no shell", "a terminal"])
def test_elsewhere_every_drawing_brings_it(no_dot, monkeypatch, shell):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert [LIBRARY in html() for _ in range(2)] == [True, True]
