"""What a run shows on the terminal: a bar while it goes, a table when it is done.

The bar goes to standard error and only where a person is watching; the summary goes to standard
output, as a table for a person and as plain lines for a pipe, and for a terminal that can do no more
(TERM=dumb). Where NO_COLOR is set nothing has a colour.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text


def draws(stream: TextIO) -> bool:
    """Whether a stream goes to a terminal that can move its cursor."""
    # Not Console.is_terminal, which FORCE_COLOR makes true of a pipe.
    return stream.isatty() and os.environ.get("TERM", "other") not in ("", "dumb", "unknown")


class Measures(ProgressColumn):
    """Loss and accuracy, as the run last said them."""

    def render(self, task: Task) -> Text:
        return Text(task.fields.get("measures", ""))


class Watch:
    """A progress bar over the steps of a run; on anything but a terminal nothing at all."""

    def __init__(self, steps: int, epochs: int, first_epoch: int, quiet: bool = False) -> None:
        self._held = ""
        self._first, self._epochs = first_epoch, epochs
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None),
            Measures(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not draws(sys.stderr),
            transient=True,
        )
        self._task = self._bar.add_task(self._epoch(first_epoch), total=steps)

    def __enter__(self) -> Watch:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def step(self, loss: float, accuracy: float) -> None:
        """One more step; loss and accuracy of the epoch so far."""
        measures = f"loss {loss:.4f}  accuracy {100 * accuracy:5.1f} %{self._held}"
        self._bar.update(self._task, advance=1, measures=measures)

    def epoch(self, row: dict[str, float]) -> None:
        """An epoch is done, with these measures."""
        if "held_accuracy" in row:
            self._held = f"  held out {100 * row['held_accuracy']:.1f} %"
        following = int(row["epoch"]) + 1
        if following < self._first + self._epochs:
            self._bar.update(self._task, description=self._epoch(following))

    def say(self, text: str) -> None:
        """Print a text, above the bar where there is one."""
        if self._bar.disable:
            print(text, file=sys.stderr)
        else:
            self._bar.console.print(Text(text))

    def _epoch(self, epoch: int) -> str:
        return f"epoch {epoch}/{self._first + self._epochs - 1}"


def show_summary(title: str, rows: list[tuple[str, str]]) -> None:
    """Print names and what they are: a table on a terminal, else a line each."""
    if not draws(sys.stdout):
        # Not through the console, which would wrap long paths.
        width = max(len(name) for name, _ in rows)
        print(title, *(f"{name:<{width}}  {text}" for name, text in rows), sep="\n")
        sys.stdout.flush()
        return
    console = Console()
    table = Table(title=title, show_header=False, title_justify="left", title_style="bold")
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, Text(text))
    console.print(table)


def show_table(
    title: str, header: list[str], rows: list[list[str]], spare: Sequence[str] = ()
) -> None:
    """Print a table with a header; columns but the first are aligned to the right.

    spare: columns that are left out, the first of them first, where a terminal has no room.
    """
    console = Console()
    widths = [max(len(row[j]) for row in [header, *rows]) for j in range(len(header))]
    left_out: list[str] = []
    for name in spare:
        if not draws(sys.stdout) or sum(widths) + 3 * len(widths) + 1 <= console.width:
            break
        j = header.index(name)
        header, *rows = ([*row[:j], *row[j + 1 :]] for row in [header, *rows])
        del widths[j]
        left_out.append(name)
    if left_out:
        title += f" (no room for {', '.join(left_out)})"
    # Squeezed, a table would leave out digits: then its lines go on at the edge of the terminal.
    if not draws(sys.stdout) or sum(widths) + 3 * len(widths) + 1 > console.width:
        print(title)
        for row in [header, *rows]:
            first, *others = zip(row, widths, strict=True)
            print("  ".join([f"{first[0]:<{first[1]}}", *(f"{t:>{w}}" for t, w in others)]))
        sys.stdout.flush()
        return
    table = Table(title=title, title_justify="left", title_style="bold")
    for j, name in enumerate(header):
        table.add_column(name, justify="right" if j else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
