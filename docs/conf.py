"""The site that `nox -s docs` builds from this folder, by Sphinx.

The pages stay plain Markdown, which a forge shows too; what only the site can do stands here. It
loads nothing from the network, and its search works when it is opened as files.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx

import cython_core  # noqa: F401  imported here, or autodoc takes its stubs, which explain nothing
import pure_python

project = "trigrad"
release = version = pure_python.__version__
copyright = "the authors of trigrad, MIT licence"  # noqa: A001

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "examples", "images"]
html_copy_source = False

# Markdown and notebooks ----------------------------------------------------------------------

nb_execution_mode = "off"  # `nox -s notebooks` proves that they show what they compute
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

smartquotes = False  # messages are quoted as they are

# API pages -----------------------------------------------------------------------------------

default_role = "code"  # docstrings are read in an editor: one backtick is enough there
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the names of arguments and their defaults say enough in a headline
# Names of ours have to lead somewhere. Those of Python and NumPy would lead into the network.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!(pure_python|numpy_vectorized|cython_core)\.).*")]

# The pages -----------------------------------------------------------------------------------

html_theme = "furo"
html_title = "trigrad"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_use_index = False  # the reference and the search do that
html_domain_indices = False
html_show_search_summary = False  # it would fetch the pages, which a browser refuses to files
html_math_renderer = "mathml"


def as_lists(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Docstrings as they are read in an editor: lines of `name: meaning` become a list."""
    paragraphs = "\n".join(lines).split("\n\n")
    for i, paragraph in enumerate(paragraphs):
        rows = paragraph.split("\n")
        if all(re.match(r"[a-z_]+(, [a-z_]+)*: |    ", row) for row in rows if row):
            paragraphs[i] = "\n".join(re.sub(r"^(\w.*?):", r"- **\1**:", row) for row in rows)
            paragraphs[i] = re.sub("\n +", "\n  ", paragraphs[i])
    lines[:] = "\n\n".join(paragraphs).split("\n")


def without_self(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """Methods of compiled classes as those of Python ones: autodoc takes them for functions."""
    return (re.sub(r"^\(self(, )?", "(", signature), returns) if signature else None


def open_formula(translator: Any, node: nodes.math | nodes.math_block) -> None:
    """A formula as MathML, which browsers draw by themselves."""
    block = isinstance(node, nodes.math_block)
    translator.body.append(str(latex2mathml.tex2mathml(node.astext(), as_block=block)))
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", as_lists)
    app.connect("autodoc-process-signature", without_self)
    app.add_html_math_renderer("mathml", (open_formula, None), (open_formula, None))
