"""The vendored Graphviz: it can be inlined into a page, and it is where its licences are."""

import re
from importlib import resources

import pytest

from pure_python.explorer.graphviz_script import graphviz_script

FOLDER = resources.files("pure_python.explorer")


def test_the_script_can_be_inlined():
    """A class found by its exported name, in a function of its own, that no page can misread."""
    script = graphviz_script()
    assert script.isascii() and not re.search(r"</script|<!--", script, re.I)
    assert "export{" not in script and "sourceMappingURL" not in script
    assert "import(" not in script and "import.meta" not in script
    name = re.fullmatch(r"const Graphviz = \(\(\) => \{.*return (\w+)\}\)\(\);\n", script, re.S)
    assert name, f"the script is {script[:60]} ... {script[-60:]}"
    assert re.search(rf"\b{name[1]}=class \w+{{[^}}]*}}static load\(", script), (
        "Graphviz is the class that has load()"
    )


def test_another_file_is_not_taken_for_it(tmp_path, monkeypatch):
    (tmp_path / "graphviz.js").write_text("const a = 1; export{a as Other};")
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    with pytest.raises(RuntimeError, match=r"does not end in `export\{... as Graphviz"):
        graphviz_script()


def test_whose_it_is_stands_beside_it():
    notice = FOLDER.joinpath("graphviz.js.NOTICE").read_text(encoding="utf-8")
    assert "@hpcc-js/wasm-graphviz 1.29.2" in notice and "Graphviz 16.1.0" in notice
    for licence in re.findall(r"in (graphviz\.js\.LICENSE\S+)", notice):
        assert len(FOLDER.joinpath(licence).read_text(encoding="utf-8")) > 10_000, licence
