"""Reading a table of numbers from a CSV file, with errors that name the line and the column."""

from __future__ import annotations

import codecs
import csv
import io
import math
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pure_python.state.files import kind_of

from . import limits
from .errors import InputError

if TYPE_CHECKING:
    from _csv import Reader

SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
MARKS_OF_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
ROWS_TO_SNIFF = 50
BYTES_TO_SNIFF = 1 << 16
BYTES_AT_ONCE = 1 << 20
# A list of cells, one of numbers and the line; the text of a cell, its number twice, their places.
BYTES_PER_LINE, BYTES_PER_CELL = 250, 115
# What gigabytes of text become as cells and numbers, no machine holds; and a pipe may never end.
MOST_BYTES = 1_000_000_000
# 100,000 columns need a tenth of it; what has no line ends is no table.
LONGEST_LINE = 1 << 25
# A text longer than this in one cell is a forgotten quote, not a number or a class.
LONGEST_SHOWN = 30
LONGEST_LIST = 100


@dataclass(frozen=True)
class Table:
    """The cells of a CSV file as text: `rows[i][j]`, and the line that each row begins on."""

    path: str
    columns: tuple[str, ...]
    # Tuples of texts, which the garbage collector leaves alone: lists it walks again and again.
    rows: list[tuple[str, ...]]
    lines: list[int]
    separator: str

    @cached_property
    def positions(self) -> dict[str, int]:
        """Where each column stands."""
        return {column: j for j, column in enumerate(self.columns)}

    def position(self, column: str) -> int:
        """Where `column` stands. InputError that lists the columns there are."""
        if column not in self.positions:
            known = ", ".join(self.columns[:12]) + (", …" if len(self.columns) > 12 else "")
            raise InputError(f"{self.path}: no column {shown(column)}; there are: {known}")
        return self.positions[column]

    def texts(self, column: str) -> list[str]:
        """The cells of one column. InputError at the first empty one."""
        j = self.position(column)
        for row, line in zip(self.rows, self.lines, strict=True):
            if not row[j]:
                raise self._refused(line, column, "empty cell; fill it, or remove the row")
        return [row[j] for row in self.rows]

    def numbers(self, columns: list[str], advice: str = "") -> list[tuple[float, ...]]:
        """The rows of these columns as finite floats. InputError at the first that is not.

        advice: what can be done about a column that does not hold numbers.
        """
        positions = [self.position(column) for column in columns]
        rows: list[tuple[float, ...]] = []
        for row, line in zip(self.rows, self.lines, strict=True):
            cells = [row[j] for j in positions]
            numbers = tuple([number for cell in cells if (number := number_in(cell)) is not None])
            # A sum is finite only if all its terms are.
            if len(numbers) < len(cells) or not math.isfinite(sum(numbers)):
                self._check(cells, columns, line, advice)
            rows.append(numbers)
        return rows

    def _check(self, cells: Sequence[str], columns: list[str], line: int, advice: str) -> None:
        """InputError at the first cell that is no finite number."""
        for cell, column in zip(cells, columns, strict=True):
            number = number_in(cell)
            if not cell:
                fault = "empty cell; fill it, or remove the row" + advice
            elif number is None:
                fault = f"{shown(cell)} is not a number{_hint(cell) or advice}"
            elif not math.isfinite(number):
                fault = f"{shown(cell)} is not a finite number; give one, or remove the row"
            else:
                continue
            raise self._refused(line, column, fault)

    def _refused(self, line: int, column: str, fault: str) -> InputError:
        return InputError(f"{self.path}, line {line}, column {shown(column)}: {fault}")


def number_in(cell: str) -> float | None:
    """The number that a cell holds, in digits of any script; None if it holds none."""
    try:
        # float() reads 1_000 as Python source does; a CSV file is none.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _hint(cell: str) -> str:
    """How a number that is written in another way has to be written."""
    point = cell.replace(",", ".")
    if cell.count(",") == 1 and number_in(point) is not None:
        return f" (write the decimal comma as a point: {point})"
    bare = cell.replace(",", "").replace(" ", "").replace("\xa0", "").replace("_", "")
    if bare != cell and number_in(bare) is not None:
        return f" (write it without separators: {bare})"
    return ""


def shown(text: str) -> str:
    """`text` quoted for an error message, on one line and not too long."""
    return repr(text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…")


def printable(path: str) -> str:
    """A path as text that can be printed: what is no text in it becomes a question mark."""
    return path.encode(errors="replace").decode()


def read_table(path: str) -> Table:
    """The CSV file at `path`: a header of column names, then rows of as many cells.

    UTF-8 (with or without a byte order mark), UTF-16 with one, or else Windows-1252; separated by
    comma, semicolon, tab or bar, whichever fits the file; cells may be quoted. Blank lines are
    skipped and spaces around cells dropped. Whatever else is an InputError that names the line.
    A pipe is read to its end.
    """
    return table_of(path, _content(path))


def table_of(path: str, content: bytes) -> Table:
    """The same of the content of a file, whose name `path` is for the messages alone."""
    kind = kind_of(content)
    if kind is not None:
        raise InputError(f"{path}: this is {kind}; a CSV file, which is plain text, is expected")
    # Windows-1252 last: it is what spreadsheets wrote before UTF-8, and reads nearly anything.
    for encoding in ("utf-16",) if content.startswith(MARKS_OF_UTF16) else ("utf-8-sig", "cp1252"):
        try:
            return _table(path, content, encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(f"{path}: this is not a text file; a CSV file in UTF-8 is expected")


def _content(path: str) -> bytes:
    """What a file holds, up to where it can be seen that it is no table."""
    content, line, memory = io.BytesIO(), 0, 0
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):  # of others it is not known
                _check_size(path, status.st_size, status.st_size)
            marked = False
            while piece := file.read(BYTES_AT_ONCE):
                marked = marked or (not content.tell() and piece.startswith(MARKS_OF_UTF16))
                content.write(piece)
                memory += _memory(piece)
                _check_size(path, content.tell(), memory)
                ends = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
                line = len(piece) - ends - 1 if ends >= 0 else line + len(piece)
                if line > LONGEST_LINE or (b"\0" in piece and not marked):
                    break
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: this is a directory, a CSV file is expected") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except InputError:
        raise
    except ValueError as error:  # a null byte in the name
        raise InputError(f"{path!r}: {error}") from None
    return content.getvalue()


def _check_size(path: str, size: int, memory: int) -> None:
    """InputError for a file that is too large for anything, or for what memory there is."""
    if size > MOST_BYTES:
        raise InputError(
            f"{path}: more than {MOST_BYTES // 10**6} MB; give a part of this table, such as its "
            "first million rows"
        )
    limits.check_table(path, memory)


def _memory(piece: bytes) -> int:
    """What a part of a file takes as bytes, cells and numbers; measured to be a little less."""
    lines = max(piece.count(b"\n"), piece.count(b"\r"))
    cells = lines + max(piece.count(separator.encode()) for separator in SEPARATORS)
    return len(piece) + BYTES_PER_LINE * lines + BYTES_PER_CELL * cells


def _table(path: str, content: bytes, encoding: str) -> Table:
    separator = _separator(content, encoding)
    header: tuple[str, ...] = ()
    rows, lines = [], []
    for line, row in _records(path, content, encoding, separator):
        if not header:
            _check_header(path, line, row)
            header = row
            continue
        if len(row) != len(header):
            fault = f"{_cells(len(row))}, but the header has {len(header)}"
            if len(row) > len(header):
                fault += f"; a cell with {SEPARATORS[separator]} in it has to stand in quotes"
            raise InputError(f"{path}, line {line}: {fault}")
        rows.append(row)
        lines.append(line)
    if not header:
        raise InputError(f"{path}: the file is empty; a header and rows of data are expected")
    if not rows:
        raise InputError(f"{path}: there is a header but no row of data")
    return Table(path, header, rows, lines, separator)


def _separator(content: bytes, encoding: str) -> str:
    """The separator that gives the header most cells and the rows as many.

    csv.Sniffer guesses from the frequency of letters, and finds separators inside words.
    """
    # Up to a bound, so that sniffing does not read a large file four times.
    beginning = content[:BYTES_TO_SNIFF].decode(encoding, errors="replace")
    lines = io.StringIO(beginning, newline="").readlines()[: ROWS_TO_SNIFF + 1]
    best, best_score = ",", (0.0, 0)
    for separator in SEPARATORS:
        rows = [row for row in _reader(lines, separator, strict=False) if any(row)]
        if not rows or len(rows[0]) < 2:
            continue
        width = len(rows[0])
        score = (sum(len(row) == width for row in rows) / len(rows), width)
        if score > best_score:
            best, best_score = separator, score
    return best


def _reader(lines: Iterable[str], separator: str, strict: bool) -> Reader:
    return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=strict)


def _records(
    path: str, content: bytes, encoding: str, separator: str
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Each record that is not blank, with the line that it begins on."""
    reader = _reader(_lines(path, content, encoding), separator, strict=True)
    begins = 1
    try:
        for row in reader:
            cells = tuple([cell.strip() for cell in row])
            if any(cells) or len(cells) > 1:
                yield begins, cells
            begins = reader.line_num + 1  # a quoted cell may span lines
    except csv.Error as error:
        raise InputError(f"{path}, line {begins}: {_of_quotes(str(error))}") from None


def _lines(path: str, content: bytes, encoding: str) -> Iterator[str]:
    """The lines of a text with their ends."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding, newline="")
    for number, line in enumerate(text, 1):
        if "\0" in line:
            raise InputError(
                f"{path}, line {number}: a null byte, so this is not a text file; "
                "a CSV file in UTF-8 is expected"
            )
        if len(line) > LONGEST_LINE:
            raise InputError(
                f"{path}, line {number}: more than {LONGEST_LINE} characters without a line end; "
                "a CSV file has a line for each row"
            )
        yield line


def _of_quotes(fault: str) -> str:
    """What the csv module finds, in other words; as it says it where these are not known."""
    twice = "a quote within a cell is written twice"
    limit = csv.field_size_limit()
    known = {
        "unexpected end": f"a quoted cell is not closed; {twice}",
        "expected after": f"text follows a closing quote; {twice}",
        "field limit": f"a cell has more than {limit} characters; is a quote not closed?",
    }
    return next((words for sign, words in known.items() if sign in fault), fault)


def _check_header(path: str, line: int, header: Sequence[str]) -> None:
    where = f"{path}, line {line}"
    if all(number_in(name) is not None for name in header):
        first = ", ".join(header[:4])[:LONGEST_LIST]
        raise InputError(f"{where}: a header of column names is expected, got {first}")
    places: dict[str, int] = {}
    for j, name in enumerate(header, 1):
        if not name:
            raise InputError(f"{where}: column {j} has no name")
        if name in places:
            raise InputError(
                f"{where}: two columns are named {shown(name)}, {places[name]} and {j}; rename one"
            )
        places[name] = j


def _cells(n: int) -> str:
    return f"{n} cell" if n == 1 else f"{n} cells"
