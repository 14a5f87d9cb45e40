"""Graphviz as WebAssembly, as script text to put into a page: no file beside it, no network."""

import re


def graphviz_script() -> str:
    """JavaScript that defines `Graphviz`, for a `<script>` or a `<script type="module">`.

    `const graphviz = await Graphviz.load(); graphviz.dot("digraph { a -> b }")` is then an SVG.
    """
    from importlib import resources  # a sixth of what importing a backend takes, so only when asked

    module = resources.files(__package__).joinpath("graphviz.js").read_text(encoding="ascii")
    # A module's exports are the last statement. Its names are minified, and the class that the page
    # needs is found by the name under which it is exported.
    body, export, names = module.rpartition("export{")
    found = re.search(r"(\w+) as Graphviz\b", names)
    if not export or not found:
        raise RuntimeError("graphviz.js does not end in `export{... as Graphviz ...}`")
    # In a function of its own, so that no minified name meets one of the page.
    return f'const Graphviz = (() => {{"use strict";{body}return {found[1]}}})();\n'
