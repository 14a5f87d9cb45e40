"""safetensors files, written whole or not at all. Nothing in such a file can be executed."""

from __future__ import annotations

import json
import os
import sys
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

TYPE_CODES = {"F64": "d", "F32": "f"}


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


def read_safetensors(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The named tensors of a file as nested lists of floats, and its metadata.

    ValueError names the file if it is damaged or holds something else than floats.
    """
    safetensors = require_safetensors()
    content = Path(path).read_bytes()
    try:
        entries = safetensors.deserialize(content)
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{os.fspath(path)} is no whole safetensors file: {first_line(error)}"
        ) from None
    tensors = {}
    for name, entry in entries:
        if entry["dtype"] not in TYPE_CODES:
            raise ValueError(
                f"{os.fspath(path)}: {name} is of type {entry['dtype']}, expected F64 or F32"
            )
        numbers = array(TYPE_CODES[entry["dtype"]], bytes(entry["data"]))
        tensors[name] = in_shape(little_endian(numbers).tolist(), entry["shape"])
    return tensors, metadata


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Give `write` a file beside the path and, once it is on the disk, put it in its place."""
    target = Path(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with open(draft, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except OSError as error:
        # The draft is no business of whoever asked for the file.
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from None
    finally:
        draft.unlink(missing_ok=True)


def require_safetensors() -> Any:
    try:
        import safetensors
    except ImportError:
        raise ImportError(
            "saving and loading need the safetensors package: "
            'python -m pip install "trigrad-pure-python[saving]"'
        ) from None
    return safetensors


def flat(rows: Any) -> tuple[list[int], list[float]]:
    """The shape and the numbers of nested lists of at most two levels."""
    if rows and isinstance(rows[0], list):
        return [len(rows), len(rows[0])], [float(x) for row in rows for x in row]
    return [len(rows)], [float(x) for x in rows]


def in_shape(numbers: list[float], shape: list[int]) -> Any:
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
