"""The site that `nox -s docs` builds from this folder, by Sphinx.

The pages stay plain Markdown, which a forge shows too; what only the site can do stands here. It
loads nothing from the network, and its search works when it is opened as files.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx import addnodes
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
nb_render_image_options = {"alt": "what the code above draws"}
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

smartquotes = False  # messages are quoted as they are

# API pages -----------------------------------------------------------------------------------

add_module_names = False  # the heading says it
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
html_domain_indices = False
html_show_search_summary = False  # it would fetch the pages, which a browser refuses to files
html_math_renderer = "mathml"


def as_read_in_an_editor(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Docstrings are plain text: lines of `name: meaning` are a list, what is indented stays as it is,
    and no sign but the backtick means anything."""
    paragraphs = "\n".join(lines).strip().split("\n\n")
    for i, paragraph in enumerate(paragraphs):
        rows = paragraph.split("\n")
        if all(row.startswith("    ") for row in rows):
            paragraphs[i] = f"::\n\n{paragraph}"
            continue
        words = re.split(r"(`[^`]*`)", paragraph)
        words[::2] = [re.sub(r"[*|_\\]", r"\\\g<0>", word) for word in words[::2]]
        paragraphs[i] = "".join(words)
        if all(re.match(r"[a-z_]+(, [a-z_]+)*: |    ", row) for row in rows):
            rows = re.sub("\n +", "\n  ", paragraphs[i]).split("\n")
            paragraphs[i] = "\n".join(re.sub(r"^(\w.*?): ", r"- **\1**: ", row) for row in rows)
    lines[:] = "\n\n".join(paragraphs).split("\n") + [""]


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


# Rules of the interface can be linked to: interface.html#rule-1-15 -----------------------------

RULE = re.compile(r"\b(?<!\.)(\d\.\d{1,2})\b(?!\.\d)")
rules: set[str] = set()


def name_rules(app: Sphinx, document: nodes.document) -> None:
    """A paragraph of the interface that begins with a bold number is the rule of that number."""
    if app.env.docname != "interface":
        return
    for paragraph in document.findall(nodes.paragraph):
        begin = paragraph.next_node(nodes.strong)
        rule = RULE.match(paragraph.astext())
        if rule and begin is not None and begin.astext().startswith(rule[1]):
            rules.add(rule[1])
            paragraph["ids"].append(anchor_of(rule[1]))


def anchor_of(rule: str) -> str:
    return "rule-" + rule.replace(".", "-")


def link_rules(app: Sphinx, document: nodes.document, page: str) -> None:
    """In the interface a number of a rule leads there, on other pages one after the word."""
    if app.builder.format != "html":
        return
    interface = app.builder.get_relative_uri(page, "interface")
    for text in list(document.findall(nodes.Text)):
        if isinstance(
            text.parent, nodes.literal | nodes.literal_block | nodes.reference | nodes.title
        ):
            continue
        parts: list[nodes.Node] = []
        done = 0
        for found in RULE.finditer(text):
            named = re.search(r"\brules? $", text[: found.start()], re.IGNORECASE)
            if found[1] in rules and (named or page == "interface"):
                parts.append(nodes.Text(text[done : found.start()]))
                uri = f"{interface}#{anchor_of(found[1])}"
                parts.append(nodes.reference("", found[1], refuri=uri, internal=True))
                done = found.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text[done:])])


def show_sources(app: Sphinx, document: nodes.document, page: str) -> None:
    """A link to a module leads to its source as a page, not to a file to be kept."""
    if app.builder.format != "html":
        return
    for link in list(document.findall(addnodes.download_reference)):
        module = re.search(r"/src/(\w+/.+)\.py$", link["reftarget"])
        if module and module[1].replace("/", ".") in app.env._viewcode_modules:
            uri = app.builder.get_relative_uri(page, f"_modules/{module[1]}")
            link.replace_self(nodes.reference("", "", *link.children, refuri=uri, internal=True))


def tidy_sources(app: Sphinx) -> list[Any]:
    """The list of sources would name those that Sphinx cannot read. What several backends show leads
    back to the page of the one that was read first: viewcode takes its name, and the page of the last.
    """
    sources = app.env._viewcode_modules
    for name, source in list(sources.items()):
        if not source:
            del sources[name]
            continue
        code, tags, used, module = source
        page = f"reference/{module.partition('.')[0]}"
        sources[name] = code, tags, dict.fromkeys(used, page), module
    return []


def setup(app: Sphinx) -> None:
    app.connect("html-collect-pages", tidy_sources, priority=400)  # viewcode is 500
    app.connect("doctree-read", name_rules)
    app.connect("doctree-resolved", link_rules)
    app.connect("doctree-resolved", show_sources)
    app.connect("autodoc-process-docstring", as_read_in_an_editor)
    app.connect("autodoc-process-signature", without_self)
    app.add_html_math_renderer("mathml", (open_formula, None), (open_formula, None))
