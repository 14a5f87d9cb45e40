"""Runs the notebooks of docs/ from scratch and compares what comes out with what they show.

`python shared_tests/notebooks/execute.py [--renew] [NAME ...]`

They are kept as plain .ipynb with their outputs, because a reader on the web or in Jupyter then sees the
figures without running anything, and no tool stands between the file and its editor. What a notebook
says is compared: printed text, the text of results, the words of a drawing. Pixels are not: another
version of matplotlib or Graphviz may set a line elsewhere.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
SECONDS = 300  # for one cell; the slowest takes about ten
# A page of more bytes than these runs in Jupyter but stays out of the file: what shows the notebook on
# the web runs no script, and would show an empty frame.
LARGEST_PAGE = 100_000
LARGEST_NOTEBOOK = 300_000
# What a notebook says of the machine that ran it is left out of the file.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

Notebook = Any  # a dictionary that is read as its attributes too, as nbformat has it


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="docs/NAME.ipynb; by default all")
    parser.add_argument("--renew", action="store_true", help="write the new outputs into the files")
    options = parser.parse_args()
    if shutil.which("dot") is None:
        raise SystemExit(
            "the drawings that the notebooks show are made by the `dot` program of Graphviz, which is "
            "not installed: see https://graphviz.org/download"
        )
    paths = [DOCS / f"{name}.ipynb" for name in options.names] or sorted(DOCS.glob("*.ipynb"))
    changed = 0
    for path in paths:
        shown, fresh = read(path), read(path)
        execute(fresh)
        for fault in faults(fresh):
            raise SystemExit(f"{path.name}: {fault}")
        if options.renew:
            write(fresh, path)
            print(f"{path.name}: renewed, {path.stat().st_size / 1000:.0f} kB")
            continue
        difference = list(differences(shown, fresh))
        changed += bool(difference)
        print(f"{path.name}: {'shows something else' if difference else 'runs as it shows'}")
        print("\n".join(difference), end="\n" if difference else "")
    if changed:
        print("If the new outputs are right: python -m nox -s notebooks -- --renew")
    return min(changed, 1)


def read(path: Path) -> Notebook:
    import nbformat

    return nbformat.read(path, as_version=4)


def write(notebook: Notebook, path: Path) -> None:
    import nbformat

    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")


def execute(notebook: Notebook) -> None:
    """Run all cells in a new kernel, and leave in their outputs what does not vary from run to run."""
    from nbclient import NotebookClient

    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        # Without this a kernel warns that what it says on the loopback is not encrypted.
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        record_timing=False,
        resources={"metadata": {"path": str(DOCS)}},
    )
    with tempfile.TemporaryDirectory() as profile:
        # The settings of whoever runs it are not those of the notebook.
        environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
        client.execute(env=environment | {"IPYTHONDIR": profile})
    notebook.metadata = METADATA
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [kept(output) for output in joined(cell.outputs)]


def joined(outputs: list[Any]) -> Iterator[Any]:
    """The same outputs, with what was printed in several pieces as one."""
    last = None
    for output in outputs:
        if last and last.output_type == output.output_type == "stream" and last.name == output.name:
            last.text += output.text
        else:
            last = output
            yield output


def kept(output: Any) -> Any:
    """The output without addresses of objects and without pages that are too large for the file."""
    if "data" in output:
        for kind, content in list(output.data.items()):
            if isinstance(content, str) and kind.startswith("text/"):
                output.data[kind] = without_address(content)
            if kind == "text/html" and len(content) > LARGEST_PAGE:
                del output.data[kind]
    elif "text" in output:
        output.text = without_address(output.text)
    return output


def without_address(text: str) -> str:
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def faults(notebook: Notebook) -> Iterator[str]:
    """What no notebook of ours may hold."""
    for i, cell in enumerate(notebook["cells"]):
        for output in cell.get("outputs", ()):
            if output["output_type"] == "error" or output.get("name") == "stderr":
                yield f"cell {i + 1} has an error or a warning: {output}"
    for folder in (str(DOCS.parent), str(Path.home()), tempfile.gettempdir()):
        if f"{folder}/" in repr(notebook):
            yield f"it names a folder of the machine that ran it, {folder}"


def differences(shown: Notebook, fresh: Notebook) -> Iterator[str]:
    """Lines that tell what the second says and the first does not, or the other way round."""
    for i, (before, after) in enumerate(zip(shown["cells"], fresh["cells"], strict=True)):
        lines = list(difflib.unified_diff(list(said(before)), list(said(after)), lineterm="", n=2))
        if lines:
            yield f"  cell {i + 1}, shown (-) and run (+):"
            yield from (f"    {line}" for line in lines[3:])


def said(cell: Any) -> Iterator[str]:
    """The lines that the outputs of a cell say."""
    for output in cell.get("outputs", ()):
        if output["output_type"] == "stream":
            yield from rounded(as_text(output["text"])).splitlines()
        for kind, content in sorted(output.get("data", {}).items()):
            yield f"[{kind}]"
            if kind == "image/svg+xml":
                # Sorted, because the program that lays a drawing out chooses the order.
                yield from sorted(re.findall(r">([^<>]*)</text>", as_text(content)))
            elif kind.startswith("text/"):
                yield from rounded(as_text(content)).splitlines()


def as_text(content: str | list[str]) -> str:
    return content if isinstance(content, str) else "".join(content)


def rounded(text: str) -> str:
    """The same text, its numbers to 9 digits: the last ones are the processor's."""
    return re.sub(r"-?\d+\.\d+(e[-+]\d+)?", lambda m: f"{float(m[0]):.9g}", text)


if __name__ == "__main__":
    raise SystemExit(main())
