"""Tensors by name in safetensors files. Nothing in such a file can be executed.

A file is the length of its header as eight bytes, the header as JSON, and the numbers. The header is
checked, and compared with what is expected, before any number is read: so a file takes no more
memory than the model that it is read for.
"""

from __future__ import annotations

import json
import math
import os
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from pure_python.state.files import kind_of, open_regular, write_whole
from pure_python.state.module import quoted

TYPE_CODES = {"F64": "d", "F32": "f"}
# What the safetensors package allows too.
MOST_HEADER_BYTES = 100_000_000
# Strings, lists and numbers in a header, which as objects take many times their text. A file with the
# state of an optimiser for two million parameters has four million.
MOST_PARTS = 5_000_000
MOST_DIMENSIONS = 32

Shape = tuple[int, ...]
Check = Callable[[Mapping[str, Shape], Mapping[str, str]], object]


@dataclass(frozen=True)
class Entry:
    """Where the numbers of a tensor stand, counted from the end of the header."""

    name: str
    dtype: str
    shape: Shape
    begin: int
    end: int


def write_safetensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Any],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write named nested lists or arrays, float32 arrays as such and all else as float64."""
    safetensors = require_safetensors()
    # The serialiser reads the numbers where they lie, so `buffers` must outlive the call.
    buffers, entries = [], {}
    for name, tensor in tensors.items():
        single = str(getattr(tensor, "dtype", "")) == "float32"
        shape, numbers = flat(tensor.tolist() if hasattr(tensor, "tolist") else tensor)
        buffer = little_endian(array("f" if single else "d", numbers))
        buffers.append(buffer)
        address, count = buffer.buffer_info()
        entries[name] = safetensors.TensorSpec(
            dtype="float32" if single else "float64",
            shape=shape,
            data_ptr=address,
            data_len=count * buffer.itemsize,
        )
    content = safetensors.serialize(entries, dict(metadata) if metadata else None)
    write_whole(path, lambda file: file.write(content))


def read_safetensors(
    path: str | os.PathLike[str], check: Check = lambda shapes, metadata: None
) -> tuple[dict[str, Any], dict[str, str]]:
    """The named tensors of a file as nested lists of floats, and its metadata.

    check: called with the shapes by name and the metadata before the numbers are read.
    A ValueError of its own, or one for a file that is damaged or holds something else than floats,
    names the file, as does an OSError.
    """
    name = os.fspath(path)
    with open_regular(path) as file:
        try:
            entries, metadata = read_header(file)
            check({entry.name: entry.shape for entry in entries}, metadata)
            tensors = {entry.name: numbers_of(entry, file) for entry in entries}
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        except OSError as error:  # of a disk that cannot be read, which knows no name
            raise OSError(error.errno, error.strerror or str(error), name) from None
    return tensors, metadata


def read_header(file: BinaryIO) -> tuple[list[Entry], dict[str, str]]:
    """The tensors of a file in the order of their numbers, and its metadata.

    ValueError for whatever is wrong: afterwards the entries cover the file without gap or overlap.
    """
    size = os.fstat(file.fileno()).st_size
    beginning = file.read(8)
    length = int.from_bytes(beginning, "little")
    if len(beginning) < 8 or length > size - 8:
        kind = kind_of(beginning)
        raise no_whole_file(
            f"it is {kind}"
            if kind
            else "it is empty"
            if not size
            else "it ends within the 8 bytes that tell the length of its header"
            if size < 8
            else f"its header is said to have {length} bytes, and {size - 8} follow"
        )
    if length > MOST_HEADER_BYTES:
        raise no_whole_file(f"its header has {length} bytes, {MOST_HEADER_BYTES} are allowed")
    text = file.read(length)
    if sum(text.count(mark) for mark in (b"[", b"{", b'"', b",")) > MOST_PARTS:
        raise no_whole_file(f"its header has more than {MOST_PARTS} names, lists and numbers")
    try:
        header = json.loads(text.decode(), object_pairs_hook=without_doubles)
    except RecursionError:
        raise no_whole_file("its header is nested too deeply") from None
    except ValueError as error:
        # Of numbers with too many digits, Python goes on to say how it could be made to read them.
        why = first_line(error).partition(";")[0]
        raise no_whole_file(f"its header cannot be read ({why})") from None
    if not isinstance(header, dict):
        raise no_whole_file("its header is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(map(is_text, [*metadata, *metadata.values()])):
        raise no_whole_file("its metadata are not texts by name")
    entries = [entry_of(name, described) for name, described in header.items()]
    entries.sort(key=lambda entry: (entry.begin, entry.end))
    place = 0
    for entry in entries:
        if entry.begin != place:
            what = "a gap before" if entry.begin > place else "an overlap with"
            raise no_whole_file(f"there is {what} the numbers of {quoted(entry.name)}")
        place = entry.end
    if place != size - 8 - length:
        raise no_whole_file(f"{place} bytes of numbers are announced, {size - 8 - length} follow")
    return entries, metadata


def entry_of(name: str, described: Any) -> Entry:
    """A tensor as the header describes it. ValueError if it contradicts itself."""
    what = quoted(name)
    if not is_text(name):
        raise no_whole_file(f"the name {what} is no text")
    if not isinstance(described, dict) or described.keys() != {"dtype", "shape", "data_offsets"}:
        raise no_whole_file(f"{what} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = (described[key] for key in ("dtype", "shape", "data_offsets"))
    if not are_sizes(shape) or len(shape) > MOST_DIMENSIONS:
        raise no_whole_file(f"the shape of {what} is no list of sizes")
    if not are_sizes(offsets) or len(offsets) != 2 or offsets != sorted(offsets):
        raise no_whole_file(f"the data_offsets of {what} are not two places in the file")
    if not isinstance(dtype, str):
        raise no_whole_file(f"the dtype of {what} is no name")
    if dtype not in TYPE_CODES:
        raise ValueError(f"{what} is of type {quoted(dtype)}, expected F64 or F32")
    needed, there = math.prod(shape) * array(TYPE_CODES[dtype]).itemsize, offsets[1] - offsets[0]
    if needed != there:
        numbers = " × ".join(map(str, shape)) or "a single number"
        raise no_whole_file(f"{what}, {numbers} in {dtype}, takes {needed} bytes and has {there}")
    return Entry(name, dtype, tuple(shape), *offsets)


def numbers_of(entry: Entry, file: BinaryIO) -> Any:
    """The numbers of the tensor that comes next in the file."""
    content = file.read(entry.end - entry.begin)
    if len(content) != entry.end - entry.begin:
        raise no_whole_file("it was cut short while it was read")
    numbers = array(TYPE_CODES[entry.dtype], content)
    return in_shape(little_endian(numbers).tolist(), entry.shape)


def no_whole_file(fault: str) -> ValueError:
    return ValueError(f"this is no whole safetensors file: {fault}")


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        [(double, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{quoted(double)} stands there twice")
    return entries


def are_sizes(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(n) is int and 0 <= n < 1 << 63 for n in numbers)


def is_text(text: Any) -> bool:
    """Whether this is a str that can be printed and stored: JSON can name half a character."""
    try:
        text.encode()
    except (AttributeError, UnicodeEncodeError):
        return False
    return True


def require_safetensors() -> Any:
    try:
        import safetensors
    except ImportError:
        raise ImportError(
            "saving needs the safetensors package: "
            'python -m pip install "trigrad-pure-python[saving]", '
            'or in a checkout "./pure_python[saving]"'
        ) from None
    return safetensors


def flat(rows: Any) -> tuple[list[int], list[float]]:
    """The shape and the numbers of nested lists of at most two levels."""
    if rows and isinstance(rows[0], list):
        return [len(rows), len(rows[0])], [float(x) for row in rows for x in row]
    return [len(rows)], [float(x) for x in rows]


def in_shape(numbers: list[float], shape: Shape) -> Any:
    """Nested lists of the shape; the inverse of flat, for any number of levels."""
    nested: list[Any] = numbers
    for size in reversed(shape[1:]):
        nested = [nested[i : i + size] for i in range(0, len(nested), size)] if size else []
    return nested if shape else numbers[0]


def little_endian(numbers: Any) -> Any:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
