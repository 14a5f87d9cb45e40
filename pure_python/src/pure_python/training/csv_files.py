"""Reading a table of numbers from a CSV file, with errors that name the line and the column."""

from __future__ import annotations

import codecs
import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InputError

if TYPE_CHECKING:
    from _csv import Reader

SEPARATORS = ",;\t|"
ROWS_TO_SNIFF = 50
# A text longer than this in one cell is a forgotten quote, not a number or a class.
LONGEST_SHOWN = 30


@dataclass(frozen=True)
class Table:
    """The cells of a CSV file as text: `rows[i][j]`, and the line that each row begins on."""

    path: str
    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    separator: str

    def position(self, column: str) -> int:
        """Where `column` stands. InputError that lists the columns there are."""
        if column not in self.columns:
            known = ", ".join(self.columns[:12]) + (", …" if len(self.columns) > 12 else "")
            raise InputError(f"{self.path}: no column {shown(column)}; there are: {known}")
        return self.columns.index(column)

    def texts(self, column: str) -> list[str]:
        """The cells of one column. InputError at the first empty one."""
        j = self.position(column)
        for row, line in zip(self.rows, self.lines, strict=True):
            if not row[j]:
                raise InputError(f"{self.path}, line {line}, column {shown(column)}: empty cell")
        return [row[j] for row in self.rows]

    def numbers(self, columns: list[str]) -> list[list[float]]:
        """The rows of these columns as finite floats. InputError at the first that is not."""
        positions = [(column, self.position(column)) for column in columns]
        return [
            [self._number(row[j], line, column) for column, j in positions]
            for row, line in zip(self.rows, self.lines, strict=True)
        ]

    def _number(self, cell: str, line: int, column: str) -> float:
        try:
            if "_" in cell:  # float() reads 1_000 as Python source does; a CSV file is none
                raise ValueError
            number = float(cell)
        except ValueError:
            what = f"{shown(cell)} is not a number" if cell else "empty cell"
            if cell.count(",") == 1 and cell.replace(",", "", 1).lstrip("+-").isdigit():
                what += f" (write the decimal comma as a point: {cell.replace(',', '.')})"
            raise InputError(f"{self.path}, line {line}, column {shown(column)}: {what}") from None
        if not math.isfinite(number):
            what = f"{shown(cell)} is not a finite number"
            raise InputError(f"{self.path}, line {line}, column {shown(column)}: {what}")
        return number


def shown(text: str) -> str:
    """`text` quoted for an error message, on one line and not too long."""
    return repr(text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…")


def read_table(path: str) -> Table:
    """The CSV file at `path`: a header of column names, then rows of as many cells.

    UTF-8 (with or without a byte order mark), UTF-16 with one, or else Windows-1252; separated by
    comma, semicolon, tab or bar, whichever fits the file; cells may be quoted. Blank lines are
    skipped and spaces around cells dropped. Whatever else is an InputError that names the line.
    """
    return table_of(path, _content(path))


def table_of(path: str, content: bytes) -> Table:
    """The same of the content of a file, whose name `path` is for the messages alone."""
    text = _decoded(path, content)
    separator = _separator(text)
    records = _records(path, text, separator)
    if not records:
        raise InputError(f"{path}: the file is empty")
    (_, header), body = records[0], records[1:]
    _check_header(path, header)
    if not body:
        raise InputError(f"{path}: there is a header but no row of data")
    for line, row in body:
        if len(row) != len(header):
            raise InputError(
                f"{path}, line {line}: {_cells(len(row))}, but the header has {len(header)}"
            )
    rows = [row for _, row in body]
    return Table(path, tuple(header), rows, [line for line, _ in body], separator)


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:  # a null byte in the name
        raise InputError(f"{path!r}: {error}") from None


def _decoded(path: str, raw: bytes) -> str:
    marked_utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    # Windows-1252 last: it is what spreadsheets wrote before UTF-8, and reads nearly anything.
    for encoding in ("utf-16",) if marked_utf16 else ("utf-8-sig", "cp1252"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise InputError(f"{path}: this is not a text file; a CSV file in UTF-8 is expected")


def _separator(text: str) -> str:
    """The separator that gives the header most cells and the rows as many.

    csv.Sniffer guesses from the frequency of letters, and finds separators inside words.
    """
    # Lines up to a bound, so that sniffing does not read a large file four times.
    sample = "".join(io.StringIO(text, newline="").readlines(1 << 16)[: ROWS_TO_SNIFF + 1])
    best, best_score = ",", (0.0, 0)
    for separator in SEPARATORS:
        try:
            rows = [row for row in _reader(sample, separator, strict=False) if any(row)]
        except csv.Error:
            continue
        if not rows or len(rows[0]) < 2:
            continue
        width = len(rows[0])
        score = (sum(len(row) == width for row in rows) / len(rows), width)
        if score > best_score:
            best, best_score = separator, score
    return best


def _reader(text: str, separator: str, strict: bool) -> Reader:
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=strict)


def _records(path: str, text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Each record that is not blank, with the line that it begins on."""
    reader = _reader(text, separator, strict=True)
    records, begins = [], 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells) or len(cells) > 1:
                records.append((begins, cells))
            begins = reader.line_num + 1  # a quoted cell may span lines
    except csv.Error as error:
        what = str(error).replace("unexpected end of data", "a quoted cell is not closed")
        raise InputError(f"{path}, line {begins}: {what}") from None
    return records


def _check_header(path: str, header: list[str]) -> None:
    if all(_is_number(name) for name in header):
        first = ", ".join(header[:4])
        raise InputError(f"{path}, line 1: a header of column names is expected, got {first}")
    for j, name in enumerate(header):
        if not name:
            raise InputError(f"{path}, line 1: column {j + 1} has no name")
        if name in header[:j]:
            raise InputError(f"{path}, line 1: two columns are named {shown(name)}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _cells(n: int) -> str:
    return f"{n} cell" if n == 1 else f"{n} cells"
