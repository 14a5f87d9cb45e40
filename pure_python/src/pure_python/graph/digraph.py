"""A drawing that shows itself, by the `dot` program where it is installed, else by the browser."""

import json
import sys
import uuid
from collections.abc import Iterable
from string import Template
from typing import Any

import graphviz

from pure_python.explorer.graphviz_script import graphviz_script

NO_DOT = (
    "writing a picture to a file needs the `dot` program of Graphviz: install it by "
    "`apt install graphviz`, `brew install graphviz` or `winget install graphviz` "
    "(notebooks show a drawing without it)"
)

# The place, the library (once a cell) and the call that fills the place. A notebook may run scripts
# before it has put the output on the page, and need not run them in order: so each waits for what it
# needs. A place that never comes belongs to an output that was cleared.
HTML = Template("""\
<div id="$place" style="overflow-x: auto">\
A drawing. To see it, trust this notebook, or run the cell again.</div>
$library<script>
(async () => {
  const appears = async (find) => {
    for (let wait = 0; wait < 10_000 && !find(); wait += 50) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return find();
  };
  const place = await appears(() => document.getElementById("$place"));
  if (!place || !(await appears(() => globalThis.trigradGraphviz))) return;
  try {
    const graphviz = await globalThis.trigradGraphviz;
    const svg = graphviz.layout($dot, "svg", $engine);
    place.innerHTML = svg.slice(svg.indexOf("<svg"));
  } catch (error) {
    place.textContent = `Graphviz cannot draw this here: $${error}`;
  }
})();
</script>
""")


class Digraph(graphviz.Digraph):  # type: ignore[misc]  # graphviz comes without types
    """graphviz.Digraph, which a notebook shows without the `dot` program too.

    `.source` is the DOT text, `.save("name.gv")` writes it, `.render("name")` writes a picture.
    Without `dot`, `render` and `pipe` raise graphviz.ExecutableNotFound, which says how to install it.
    """

    def render(self, *args: Any, **options: Any) -> Any:
        try:
            return super().render(*args, **options)
        except graphviz.ExecutableNotFound as error:
            raise _saying_how_to_install(error) from None

    def pipe(self, *args: Any, **options: Any) -> Any:
        try:
            return super().pipe(*args, **options)
        except graphviz.ExecutableNotFound as error:
            raise _saying_how_to_install(error) from None

    def _repr_mimebundle_(
        self,
        include: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """What IPython shows: an SVG by `dot`, or HTML that has the browser lay the graph out."""
        try:
            shown: dict[str, Any] = super()._repr_mimebundle_(include, exclude, **options)
            return shown
        except graphviz.ExecutableNotFound:
            wanted = {"text/html"} if include is None else set(include)
            if "text/html" not in wanted - set(exclude or ()):
                return {}
            return {"text/html": self._html()}

    def _html(self) -> str:
        return HTML.substitute(
            place=f"drawing-{uuid.uuid4().hex}",  # a page may show one drawing several times
            library=_library_once_a_cell(),
            dot=_javascript(self.source),
            engine=_javascript(self.engine),
        )


_last_message: str | None = None


def _library_once_a_cell() -> str:
    """A script that defines the promise `trigradGraphviz`, for the first drawing of a cell's run.

    It weighs 815 kB, so the other drawings of the cell do without. Those of other cells do not: cells
    are run again, cleared, deleted and copied one by one, and some notebooks show each in a frame.
    """
    global _last_message
    message = _message()
    if message is not None and message == _last_message:
        return ""
    _last_message = message
    return (
        f"<script>globalThis.trigradGraphviz ??= (() => {{{graphviz_script()}"
        "return Graphviz.load();})();</script>\n"
    )


def _message() -> str | None:
    """The message that a notebook's kernel is answering: one run of a cell, one move of a slider."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython and ipython.get_ipython()
    if not hasattr(shell, "get_parent"):
        return None
    identity: str | None = shell.get_parent().get("header", {}).get("msg_id")
    return identity


def _javascript(text: str) -> str:
    """A string literal that can stand inside of a `<script>`."""
    return json.dumps(text).replace("<", "\\u003c")


def _saying_how_to_install(error: Exception) -> Exception:
    error.args = (NO_DOT,)
    return error.with_traceback(None)
