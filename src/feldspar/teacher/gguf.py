"""The header of a GGUF file: its metadata, and whether all of its tensors are there.

llama.cpp ends without a word where a file is damaged, so a file is looked through here first, to say
what is wrong with it. The format is llama.cpp's, versions 2 and 3.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from feldspar.errors import TeacherError

_MAGIC = b"GGUF"
_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
_DEEPEST_ARRAY = 4
_MOST_DIMENSIONS = 4
_LARGEST_ALIGNMENT = 1 << 20

# Number in the file: (elements in a block, bytes of a block). A type that is not here, newer than
# this table, is only checked to begin inside the file.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110),
    9: (32, 40), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8),
    29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36),
}  # fmt: skip


class _Bad(Exception):
    """The file is no good; the reason, without the file's name."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the weights."""

    version: int
    fields: dict[str, Any]
    """The metadata: numbers, strings, booleans, and lists of those."""
    tensors: int


class _Cursor:
    """Reads forward through bytes, and never past their end."""

    def __init__(self, data: mmap.mmap, size: int) -> None:
        self._data = data
        self._size = size
        self.at = 0

    def take(self, count: int) -> bytes:
        if count > self._size - self.at:
            raise _Bad("cut short inside its header")
        self.at += count
        return self._data[self.at - count : self.at]

    def numbers(self, code: str, count: int = 1) -> tuple[Any, ...]:
        raw = self.take(struct.calcsize(f"<{code}") * count)
        return struct.unpack(f"<{count}{code}", raw)

    def string(self) -> str:
        (length,) = self.numbers("Q")
        return self.take(length).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self._array(depth)
        if kind not in _SCALARS:
            raise _Bad(f"a metadata value of the unknown type {kind}")
        (number,) = self.numbers(_SCALARS[kind])
        return bool(number) if kind == _BOOL else number

    def _array(self, depth: int) -> list[Any]:
        if depth >= _DEEPEST_ARRAY:
            raise _Bad("metadata arrays nested too deep")
        kind, count = self.numbers("I")[0], self.numbers("Q")[0]
        if kind in _SCALARS:
            return list(self.numbers(_SCALARS[kind], count))
        # The shortest element takes 8 bytes: a larger count is a lie, and not worth a loop.
        if count > (self._size - self.at) // 8:
            raise _Bad("cut short inside its header")
        return [self.value(kind, depth + 1) for _ in range(count)]


def read_header(path: Path) -> Header:
    """The metadata of a GGUF file whose tensors all lie within it.

    Raises:
        TeacherError: no such file, not GGUF, damaged, or cut short.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size == 0:
                raise _Bad("empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _read(_Cursor(data, size), size)
    except _Bad as bad:
        raise TeacherError(
            f"{path} cannot be used as a GGUF model: {bad}.", "Fetch the file again, or name another one."
        ) from None
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise TeacherError(f"{path}: {reason}.", "Give the path of a GGUF file.") from None


def _read(cursor: _Cursor, size: int) -> Header:
    if (magic := cursor.take(min(4, size))) != _MAGIC:
        raise _Bad(f"it begins with {magic!r}, a GGUF file with {_MAGIC!r}")
    (version,) = cursor.numbers("I")
    if version not in {2, 3}:
        raise _Bad(f"version {version} of the format; 2 and 3 are known")
    tensors, count = cursor.numbers("Q", 2)
    fields: dict[str, Any] = {}
    for _ in range(count):
        name = cursor.string()
        fields[name] = cursor.value(cursor.numbers("I")[0])
    ends = [_tensor(cursor) for _ in range(tensors)]
    alignment = fields.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= _LARGEST_ALIGNMENT:
        raise _Bad(f"an alignment of {alignment!r}")
    start = -(-cursor.at // alignment) * alignment
    for name, end in ends:
        if start + end > size:
            raise _Bad(f"cut short: tensor {name!r} ends at byte {start + end}, the file at {size}")
    return Header(version, fields, tensors)


def _tensor(cursor: _Cursor) -> tuple[str, int]:
    """A tensor's name, and where it ends after the start of the weights."""
    name = cursor.string()
    (dimensions,) = cursor.numbers("I")
    if dimensions > _MOST_DIMENSIONS:
        raise _Bad(f"tensor {name!r} has {dimensions} dimensions")
    elements = prod(cursor.numbers("Q", dimensions))
    (kind,) = cursor.numbers("I")
    (offset,) = cursor.numbers("Q")
    block, size = _BLOCKS.get(kind, (1, 0))
    return name, offset + -(-elements // block) * size
