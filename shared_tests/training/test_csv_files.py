"""Reading CSV files: what people's spreadsheets write, and what cannot be read."""

import contextlib
import itertools
import os
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest

from pure_python.training import limits
from pure_python.training.csv_files import LONGEST_LINE, MOST_BYTES, read_table
from pure_python.training.datasets import from_csv, rows_to_predict
from pure_python.training.errors import InputError

GOOD = {
    "commas": b"a,b,kind\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n",
    "semicolons": b"a;b;kind\n1;2;x\n3;4;y\n5;6;x\n7;8;y\n",
    "tabs": b"a\tb\tkind\n1\t2\tx\n3\t4\ty\n5\t6\tx\n7\t8\ty\n",
    "bars": b"a|b|kind\n1|2|x\n3|4|y\n5|6|x\n7|8|y\n",
    "byte order mark": b"\xef\xbb\xbfa,b,kind\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n",
    "UTF-16": "a,b,kind\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n".encode("utf-16"),
    "line ends of Windows": b"a,b,kind\r\n1,2,x\r\n3,4,y\r\n5,6,x\r\n7,8,y\r\n",
    "line ends of old Macs": b"a,b,kind\r1,2,x\r3,4,y\r5,6,x\r7,8,y\r",
    "no newline at the end": b"a,b,kind\n1,2,x\n3,4,y\n5,6,x\n7,8,y",
    "blank lines": b"\na,b,kind\n\n1,2,x\n3,4,y\n\n5,6,x\n7,8,y\n\n\n",
    "spaces": b" a , b , kind \n 1, 2 , x\n3 ,4,y \n5,6,x\n7,8,y\n",
    "quotes": b'"a","b","kind"\n"1","2","x"\n3,4,y\n5,6,x\n7,"8",y\n',
    "ways to write a number": b"a,b,kind\n1.0,2e0,x\n+3,4.,y\n5,.6e1,x\n7,8,y\n",
    "digits of other scripts": "a,b,kind\n١,２,x\n३,4,y\n5,6,x\n7,8,y\n".encode(),
    "line ends of all kinds": b"a,b,kind\r\n1,2,x\n3,4,y\r5,6,x\r\n\r\n7,8,y",
    "UTF-16 of the other order": b"\xfe\xff"
    + "a,b,kind\n1,2,x\n3,4,y\n5,6,x\n7,8,y\n".encode("utf-16-be"),
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_table_is_read(kind, write):
    """The same table, as different programs write it."""
    data = from_csv(write("table.csv", GOOD[kind]), "kind")
    assert data.features == ("a", "b") and data.classes == ("x", "y")
    np.testing.assert_array_equal(data.inputs, [[1, 2], [3, 4], [5, 6], [7, 8]])
    np.testing.assert_array_equal(data.targets, [0, 1, 0, 1])


def test_a_quoted_cell_may_hold_separators_quotes_and_lines(write):
    path = write("a.csv", 'size, "a, b";kind\n'.replace(";", ",") + '1,2,"x ""y""\nz"\n3,4,w\n')
    table = read_table(path)
    assert table.columns == ("size", "a, b", "kind")
    assert table.rows[0] == ("1", "2", 'x "y"\nz')
    assert table.lines == [2, 4], "a row's line is the one that it begins on"


def test_a_separator_within_names_is_not_taken_for_the_separator(write):
    path = write("a.csv", "length, mm;width, mm, outside;kind\n1;2;x\n3;4;y\n")
    assert read_table(path).columns == ("length, mm", "width, mm, outside", "kind")


def test_another_separator_within_a_name(write):
    """It splits the header alone, and each row is one cell then."""
    path = write("a.csv", "size; mm,width,kind\n1,2,x\n3,4,y\n")
    assert read_table(path).columns == ("size; mm", "width", "kind")


def test_numbers_whose_sum_is_too_large_are_numbers(write):
    """Each is finite, and that alone counts."""
    table = read_table(write("a.csv", "a,b\n1,2\n1e308,1e308\n"))
    assert table.numbers(["a", "b"]) == [(1.0, 2.0), (1e308, 1e308)]


def test_names_that_begin_as_other_files_do_are_names(write):
    path = write("a.csv", "PAR1,BZh,GIF8,PK,kind\n1,2,3,4,x\n5,6,7,8,y\n")
    assert read_table(path).columns == ("PAR1", "BZh", "GIF8", "PK", "kind")


def test_names_that_are_not_utf8_are_read_as_windows_wrote_them(write):
    path = write("a.csv", "größe,kind\n1,x\n2,y\n".encode("cp1252"))
    assert read_table(path).columns == ("größe", "kind")


def test_classes_are_ordered_as_numbers_where_they_are_numbers(write):
    path = write("a.csv", "a,kind\n" + "".join(f"1,{k}\n" for k in (10, 9, 10.0, "9.0", 2, 2)))
    data = from_csv(path, "kind")
    assert data.classes == ("2", "9", "10"), "10 and 10.0 are one class"
    assert data.targets.tolist() == [2, 1, 2, 1, 0, 0]


def test_columns_can_be_left_out(write):
    path = write("a.csv", "name,a,kind,b\nann,1,x,2\nbob,3,y,4\ncid,5,x,6\ndan,7,y,8\n")
    assert from_csv(path, "kind", ignore=("name",)).features == ("a", "b")


BAD = {
    "empty": (b"", "the file is empty"),
    "blank": (b"\n\n  \n", "the file is empty"),
    "only a byte order mark": (b"\xef\xbb\xbf", "the file is empty"),
    "only a header": (b"a,kind\n", "a header but no row"),
    "no header": (b"1,2\n3,4\n", "line 1: a header of column names is expected, got 1, 2"),
    "a short row": (b"a,b,kind\n1,2,x\n3,y\n", "line 3: 2 cells, but the header has 3"),
    "a long row": (b"a,kind\n1,x\n\n3,4,y\n", "line 4: 3 cells, but the header has 2"),
    "a text cell": (b"a,b,kind\n1,2,x\n3,big,y\n", "line 3, column 'b': 'big' is not a number"),
    "a text cell after lines in quotes": (
        b'a,kind\n1,"x\n\ny"\nbig,z\n',
        "line 5, column 'a': 'big' is not a number",
    ),
    "an empty cell": (b"a,b,kind\n1,2,x\n3,,y\n", "line 3, column 'b': empty cell"),
    "nan": (b"a,b,kind\n1,2,x\n3,nan,y\n", "line 3, column 'b': 'nan' is not a finite number"),
    "inf": (b"a,b,kind\n-inf,2,x\n3,4,y\n", "line 2, column 'a': '-inf' is not a finite number"),
    "too large": (b"a,kind\n1e999,x\n3,y\n", "line 2, column 'a': '1e999' is not a finite number"),
    "a decimal comma": (b"a;kind\n1,5;x\n3;y\n", "write the decimal comma as a point: 1.5"),
    "an underscore": (b"a,kind\n1_000,x\n3,y\n", "line 2, column 'a': '1_000' is not a number"),
    "an open quote": (b'a,kind\n"1,x\n3,y\n', "line 2: a quoted cell is not closed"),
    "two columns of a name": (
        b"a,a,kind\n1,2,x\n",
        "two columns are named 'a', 1 and 2; rename one",
    ),
    "a column without name": (b",a,kind\n0,1,x\n", "line 1: column 1 has no name"),
    "no such target": (b"a,b\n1,x\n2,y\n", "no column 'kind'; there are: a, b"),
    "an empty target": (b"a,kind\n1,x\n2,\n", "line 3, column 'kind': empty cell"),
    "nan as target": (b"a,kind\n1,1\n2,nan\n3,1\n", "column 'kind' holds nan"),
    "a single class": (b"a,kind\n1,x\n2,x\n", "column 'kind' has a single class, 'x'"),
    "a quantity as target": (b"a,kind\n1,1.5\n2,2.5\n3,3.5\n", "3 different values in 3 rows"),
    "no feature": (b"kind\nx\ny\n", "no column is left to learn from besides 'kind'"),
    "no text": (bytes(range(256)), "not a text file"),
    "a null byte": (b"a,kind\n1,x\n2\0,y\n", "line 3: a null byte"),
    "UTF-16 without a mark": ("a,kind\n1,x\n".encode("utf-16-le"), "line 1: a null byte"),
    "UTF-32": ("a,kind\n1,x\n".encode("utf-32"), "line 1: a null byte"),
    "half a character of UTF-16": (b"\xff\xfea\0,\0b\0\n\0\x31", "not a text file"),
    "bytes of no character": (b"a,kind\n\x81,x\n", "not a text file"),
    "gzip": (b"\x1f\x8b\x08\0\0\0", "this is compressed with gzip: unpack it first"),
    "a spreadsheet": (b"PK\x03\x04\x14\0", "this is a ZIP archive, such as a spreadsheet"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "this is a PNG image"),
    "a pickle": (b"\x80\x04\x95\0", "this is a pickle, which is never opened"),
    "hexadecimal": (b"a,kind\n0x10,x\n3,y\n", "line 2, column 'a': '0x10' is not a number"),
    "thousands": (
        b"a;kind\n1,000,000;x\n3;y\n",
        "'1,000,000' is not a number (write it without separators: 1000000)",
    ),
    "thousands and a point": (b'a,kind\n"1,000.5",x\n', "(write it without separators: 1000.5)"),
    "text after a quote": (b'a,kind\n"1"2,x\n3,y\n', "line 2: text follows a closing quote"),
    "a cell without end": (
        b'a,kind\n"' + b"1\n" * 100_000 + b'",x\n',
        "line 2: a cell has more than 131072 characters; is a quote not closed?",
    ),
    "a line without end": (
        b"a,kind\n1,x\n" + b"1" * (LONGEST_LINE + 1),
        f"line 3: more than {LONGEST_LINE} characters without a line end",
    ),
    "a header after blank lines": (b"\n\na,,kind\n1,2,x\n", "line 3: column 2 has no name"),
    "a cell too many": (
        b"a,kind\n1,2,x\n",
        "line 2: 3 cells, but the header has 2; a cell with a comma in it has to stand in quotes",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_table_is_one_line(kind, write):
    """InputError names the file, and the line and the column where there is one."""
    content, message = BAD[kind]
    with pytest.raises(InputError) as caught:
        from_csv(write("table.csv", content), "kind")
    text = str(caught.value)
    assert message in text and text.startswith("table.csv") and "\n" not in text


def test_a_file_that_cannot_be_opened(write):
    write("a.csv", "a,kind\n")
    for path, message in (
        ("none.csv", "none.csv: no such file"),
        (".", "directory"),
        ("a\0b", "null"),
        ("a.csv/b.csv", "a.csv/b.csv: "),
    ):
        with pytest.raises(InputError, match=message):
            read_table(path)


def test_a_file_that_is_too_large_is_not_read(folder):
    """One with a hole in it, which takes no place on the disk."""
    with open(folder / "a.csv", "wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(InputError, match="a.csv: more than 1000 MB; give a part of this table"):
        read_table("a.csv")


def test_a_hundred_thousand_columns(write):
    """Names are looked up and not searched for, so that many take no longer each than few."""
    names = [f"column {k}" for k in range(100_000)]
    rows = "".join(",".join(["0.5"] * len(names)) + f",{kind}\n" for kind in "xyxy")
    path = write("wide.csv", ",".join(names) + ",kind\n" + rows)
    began = time.perf_counter()
    assert from_csv(path, "kind").inputs.shape == (4, 100_000)
    table, inputs = rows_to_predict(path, tuple(names))
    assert inputs.shape == (4, 100_000) and len(table.columns) == 100_001
    assert time.perf_counter() - began < 20, "searched for, they take minutes"


def test_a_class_with_an_underscore_is_no_number(write):
    """1_000 is a number to Python alone."""
    path = write("a.csv", "a,kind\n1,1_000\n2,1000\n3,1_000\n4,1000\n")
    assert from_csv(path, "kind").classes == ("1000", "1_000")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes as POSIX has them")
class TestPipes:
    def piped(self, folder, pieces):
        """A pipe that somebody writes these into for as long as it is read; its name."""

        def feed():
            with contextlib.suppress(BrokenPipeError), open(folder / "pipe", "wb") as pipe:
                for piece in pieces:
                    pipe.write(piece)

        os.mkfifo(folder / "pipe")
        threading.Thread(target=feed, daemon=True).start()
        return "pipe"

    def test_a_table_in_a_pipe_is_read(self, folder):
        pieces = [b"a,kind\n", *[b"1,x\n2,y\n"] * 50_000]
        assert len(read_table(self.piped(folder, pieces)).rows) == 100_000

    @pytest.mark.parametrize(
        "piece, message",
        [(b"1," * 50_000, "without a line end"), (b"a,kind\n" + b"\0" * 50_000, "a null byte")],
        ids=["one line", "null bytes"],
    )
    def test_an_endless_pipe_is_not_read_to_its_end(self, piece, message, folder):
        path = self.piped(folder, itertools.repeat(piece))
        with pytest.raises(InputError, match=message):
            read_table(path)

    def test_an_endless_table_ends_with_the_memory(self, folder, monkeypatch):
        monkeypatch.setattr(limits, "free_memory", lambda: 50_000_000)
        path = self.piped(folder, itertools.repeat(b"1,2\n" * 10_000))
        with pytest.raises(InputError, match="pipe: a table as large as this needs about"):
            read_table(path)


@pytest.mark.parametrize(
    "cells",
    [["1"], ["12"], ["1.25"] * 4, ["0.123456789012"] * 50, ["12", "some words"]],
    ids=["digit", "number", "row", "long row", "words"],
)
def test_a_table_takes_no_more_memory_than_was_estimated(cells, write, monkeypatch):
    """Measured with tracemalloc, for cells that are short and long, few and many in a row."""
    names = [f"c{k}" for k in range(len(cells))]
    path = write("a.csv", f"{','.join(names)},kind\n" + f"{','.join(cells)},x\n" * 5_000)
    estimated = []
    monkeypatch.setattr(limits, "check_table", lambda path, needed: estimated.append(needed))
    tracemalloc.start()
    try:
        table = read_table(path)
        numbers = table.numbers([name for name in names if table.rows[0][names.index(name)] < "a"])
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(numbers) == 5_000
    assert taken < estimated[-1] < 4 * taken, f"{taken} bytes, {estimated[-1]} were expected"


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_are_read_or_refused(seed, write):
    """Nothing but InputError comes out, whatever the bytes are."""
    generator = np.random.RandomState(seed)
    content = bytearray(
        b'a,b,"kind"\n' + b"".join(b"%d,%d,%d\n" % (k, 2 * k, k % 2) for k in range(20))
    )
    for _ in range(1 + seed % 8):
        place = generator.randint(len(content))
        if seed % 3:
            content[place] = generator.randint(256)
        else:
            del content[place : place + generator.randint(1, 9)]
    try:
        data = from_csv(write("table.csv", bytes(content)), "kind")
    except InputError as error:
        assert "\n" not in " ".join(str(error).split())
    else:
        assert np.isfinite(data.inputs).all() and len(data.classes) >= 2
