"""A graph as a page that opens offline, laid out by Graphviz in the browser.

Nothing here imports an engine. `graphviz.js` is not ours: graphviz.js.NOTICE says whose it is.
"""

from pure_python.explorer.page import Page, explore

__all__ = ["Page", "explore"]
