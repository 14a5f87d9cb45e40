"""Weights files as damage, accident and malice make them, from a seed."""

from __future__ import annotations

import copy
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from random import Random
from typing import Any

from pure_python.state.weights import MOST_HEADER_BYTES, MOST_PARTS

SPECIAL = (0.0, -0.0, float("nan"), float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308)
LENGTHS = (0, 1, 7, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
# What may stand in JSON where something else is expected.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 16, 2**31, 2**63, 2**64, 10**400, 0.5, -1.5, 1e308,
    float("nan"), float("inf"), "", "x", "F32", "F64", "BF16", "I64", "layers.0.weight", "Adam",
    "\ud800", "a\nb", "é" * 300, [], [0], [-1], [2, 3], [True, False], [2**63, 2**63], [[1, 2], [3]],
    [0, 2**64], [0.0, 8.0], [None], ["0", "8"], {}, {"a": 1}, {"dtype": "F64"}, [1] * 100,
)  # fmt: skip


class Planted:
    """What a pickle would run if anybody opened it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (eval, ("__import__('os').environ.__setitem__('TRIGRAD_UNPICKLED', 'yes')",))


def hostile_files(whole: list[bytes], seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """`count` files made from these whole ones, each with the kind of its damage."""
    random = Random(f"hostile files {seed}")
    for _ in range(count):
        kind = random.choice([*DAMAGES])
        content = DAMAGES[kind](random.choice(whole), random)
        if random.random() < 0.1 and kind != "foreign":  # and some more
            other = random.choice(["bits", "cut", "chunk"])
            kind, content = f"{kind}, {other}", DAMAGES[other](content, random)
        yield kind, content


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a whole file, and its numbers."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: Any, numbers: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def bits(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        if changed:
            # The header is small beside the numbers, and more can go wrong in it.
            end = len(changed) if random.random() < 0.3 else min(len(changed), 400)
            changed[random.randrange(end)] ^= 1 << random.randrange(8)
    return bytes(changed)


def cut(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def chunk(content: bytes, random: Random) -> bytes:
    """A part doubled, left out, overwritten or moved."""
    a, b = sorted(random.randrange(len(content) + 1) for _ in range(2))
    place = random.randrange(len(content) + 1)
    piece = content[a:b]
    return random.choice(
        [
            content[:b] + piece + content[b:],
            content[:a] + content[b:],
            content[:a] + b"\0" * len(piece) + content[b:],
            content[:a] + random.randbytes(len(piece)) + content[b:],
            content[:place] + piece + content[place:],
            content + piece,
        ]
    )


def length(content: bytes, random: Random) -> bytes:
    true = int.from_bytes(content[:8], "little")
    told = random.choice([*LENGTHS, true + 1, true - 1, true * 2, len(content) - 8, random.getrandbits(64)])
    return struct.pack("<Q", told % 2**64) + content[8:]


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in JSON."""
    found, open_ = [], [node]
    while open_:
        inner = open_.pop()
        keys = inner if isinstance(inner, dict) else range(len(inner))
        for key in keys:
            found.append((inner, key))
            if isinstance(inner[key], dict | list):
                open_.append(inner[key])
    return found


def mutated(tree: Any, random: Random) -> Any:
    """JSON with a value or a name changed, left out or given anew."""
    tree = copy.deepcopy(tree)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        found = places(tree) if isinstance(tree, dict | list) else []
        if not found:
            return random.choice(VALUES)
        container, key = random.choice(found)
        old = container[key]
        how = random.randrange(5)
        if how == 0:
            del container[key]
        elif how == 1 and isinstance(container, dict):
            container[str(random.choice(VALUES))] = container.pop(key)
        elif how == 2 and type(old) is int:
            container[key] = old + random.choice((-8, -1, 1, 8, 2**32, -(2**63)))
        elif how == 3 and isinstance(old, list):
            container[key] = random.choice([old + old, old[::-1], old[:-1], [old]])
        else:
            container[key] = copy.deepcopy(random.choice(VALUES))
    return tree


def header(content: bytes, random: Random) -> bytes:
    """A header that lies: other types, shapes, offsets, names."""
    described, numbers = parts(content)
    text = json.dumps(mutated(described, random)).encode()
    if random.random() < 0.3:  # the file is as long as before, so the length does not tell
        text = text.ljust(int.from_bytes(content[:8], "little"))
    return joined(text, numbers)


def description(content: bytes, random: Random) -> bytes:
    """Metadata that lie: of a file of `train`, what describes the network and its optimiser."""
    described, numbers = parts(content)
    metadata = described.get("__metadata__", {})
    if not metadata:
        return header(content, random)
    name = random.choice([*metadata])
    try:
        metadata[name] = json.dumps(mutated(json.loads(metadata[name]), random))
    except ValueError:
        metadata[name] = random.choice(("", "{", "null", "trigrad 2", "[" * 5000, "9" * 5000))
    return joined(described, numbers)


def swapped(content: bytes, random: Random) -> bytes:
    """Tensors that overlap, or share their numbers, or leave a gap."""
    described, numbers = parts(content)
    names = [name for name in described if name != "__metadata__"]
    a, b = random.choice(names), random.choice(names)
    offsets = described[a]["data_offsets"]
    described[a]["data_offsets"] = random.choice(
        [described[b]["data_offsets"], [0, offsets[1]], [x + 8 for x in offsets], offsets[::-1]]
    )
    return joined(described, numbers + bytes(random.choice((0, 0, 8))))


def names(content: bytes, random: Random) -> bytes:
    """Twice the same name, or those of another model."""
    described, numbers = parts(content)
    text = json.dumps(described).encode()
    name = random.choice([*described])
    other = random.choice(["layers.0.weight", "layers.9.bias", "weight", "model.layers.0.w", "", "a" * 5000])
    return joined(text.replace(json.dumps(name).encode(), json.dumps(other).encode(), 1), numbers)


def deep(content: bytes, random: Random) -> bytes:
    _, numbers = parts(content)
    depth = random.choice((100, 2000, 100_000))
    opening, closing = random.choice([(b"[", b"]"), (b'{"a":', b"}")])
    inner = opening * depth + b"1" + closing * depth * random.randrange(2)
    return joined(b'{"layers.0.weight":' + inner + b"}", numbers)


def other_text(content: bytes, random: Random) -> bytes:
    described, numbers = parts(content)
    text = json.dumps(described)
    return joined(
        random.choice(
            [
                text.encode("utf-16"),
                b"\xef\xbb\xbf" + text.encode(),
                b" " + text.encode(),
                text.encode() + b"\0",
                text.encode() + b"}",
                text.replace("layers", "l\\u0000yers").encode(),
                text.replace("layers", "\xff").encode("latin-1"),
                json.dumps([described]).encode(),
                b"null",
                b"{}",
                b"",
            ]
        ),
        numbers,
    )


def special(content: bytes, random: Random) -> bytes:
    """Numbers that are none, or at the end of their range. The file is whole."""
    described, numbers = parts(content)
    changed = bytearray(numbers)
    size = 4 if "F32" in {entry.get("dtype") for entry in described.values()} else 8
    for _ in range(random.choice((1, 2, 20))):
        place = random.randrange(len(changed) // size) * size
        number = random.choice(SPECIAL)
        if size == 4 and abs(number) > 1e38:
            number = float("inf")
        changed[place : place + size] = struct.pack("<f" if size == 4 else "<d", number)
    return content[: len(content) - len(numbers)] + bytes(changed)


def foreign(content: bytes, random: Random) -> bytes:
    """Files of another kind."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("model/data.pkl", pickle.dumps(Planted()))
        opened.writestr("model/data/0", content)
    return random.choice(
        [
            b"",
            b"\0" * random.choice((1, 8, 4096)),
            archive.getvalue(),
            *(pickle.dumps(Planted(), protocol) for protocol in range(6)),
            pickle.dumps({"layers.0.weight": [[1.0, 2.0]]}),
            b"\x89PNG\r\n\x1a\n" + random.randbytes(200),
            b"\xff\xd8\xff\xe0" + random.randbytes(200),
            b"\x1f\x8b\x08\0" + random.randbytes(200),
            b"\x93NUMPY\x01\0v\0{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }",
            b"a,b,kind\n1,2,x\n3,4,y\n",
            json.dumps({"layers.0.weight": [[1.0]]}).encode(),
            random.randbytes(random.choice((3, 8, 9, 300, 5000))),
            "Gewichte: keine\n".encode("utf-16"),
        ]
    )


def untouched(content: bytes, random: Random) -> bytes:
    return content


DAMAGES: dict[str, Callable[[bytes, Random], bytes]] = {
    "bits": bits,
    "cut": cut,
    "chunk": chunk,
    "length": length,
    "header": header,
    "description": description,
    "swapped": swapped,
    "names": names,
    "deep": deep,
    "other text": other_text,
    "special": special,
    "foreign": foreign,
    "untouched": untouched,
}


# Files too large to make ten thousand of: what they take in memory and time is measured.


def sparse(path: str, beginning: bytes, size: int) -> None:
    """A file of `size` bytes, of which the disk holds the beginning alone."""
    with open(path, "wb") as file:
        file.write(beginning)
        os.truncate(path, size)


def heavy_headers() -> Iterator[tuple[str, bytes]]:
    """Headers as long, or of as many parts, as can be: much more as objects than as text."""
    most, most_parts = MOST_HEADER_BYTES - 1000, MOST_PARTS - 100
    for name, item in (
        ("empty lists", b"[],"),
        ("empty objects", b"{},"),
        ("floats", b"1e9,"),
        ("ints", b"12345,"),
        ("strings", b'"ab",'),
    ):
        marks = sum(item.count(mark) for mark in (b"[", b"{", b'"', b","))
        for count in (most_parts // marks, most // len(item)):
            yield f"{count} {name}", joined(b'{"a":[' + item * count + b"0]}", b"")
    for count in (most_parts // 3, 7_000_000):
        names = [b'"%x":' % k for k in range(count)]
        yield f"{count} names", joined(b"{" + b"0,".join(names) + b"0}", b"")
    names = [b'"%x":"",' % k for k in range(most_parts // 5)]
    yield "metadata", joined(b'{"__metadata__":{' + b"".join(names)[:-1] + b"}}", b"")
    empty = b'{"dtype":"F64","shape":[0],"data_offsets":[0,0]},'
    names = [b'"%x":' % k + empty for k in range(most_parts // 17)]
    yield "tensors of nothing", joined(b"{" + b"".join(names)[:-1] + b"}", b"")
    yield "a long text", joined(b'{"__metadata__":{"a":"' + b"x" * most + b'"}}', b"")
    wide = "\U0001f600".encode() * (most // 4)
    yield "a long text of wide characters", joined(b'{"__metadata__":{"a":"' + wide + b'"}}', b"")
    yield "a long number", joined(b'{"a":' + b"9" * most + b"}", b"")
    yield "open lists", joined(b'{"a":' + b"[" * most_parts + b"}", b"")
