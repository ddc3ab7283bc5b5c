"""Accepted drafts on disk, and which of them a draft is most like by exact ROUGE-L.

To compare each draft with every accepted one of its leaf grows with the square of the leaf, and at the
paper's scale their texts do not fit into memory. So sketches are compared first (`sketch.py`), which
miss none, and ROUGE-L is asked only where they leave it open.

A leaf's texts stand in chunks of a scratch file. A chunk has the places of its texts and, for each part
of a text (context, instruction, …), a matrix of sketches: a draft of m words reads some m rows of it,
whatever else is there. Texts are as like as their least like parts, so every part's bound is kept. In
memory there is a small record for each chunk, and nothing else.
"""

from __future__ import annotations

import struct
import tempfile
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from feldspar.errors import FeldsparError, RunError
from feldspar.generate.checks import likeness
from feldspar.generate.sketch import (
    ROWS,
    Tokens,
    columns,
    length_row,
    needs,
    reaching,
    sketch,
    sums,
    tokens,
)
from feldspar.jsonl import explain

_FEWEST, _MOST = 32, 8192
"""Texts that a chunk has room for, at first and at the most; it doubles in between."""

_STRETCH = 4 << 10
"""Bytes that are read in the time that it takes to begin another read."""

_FEW = 4
"""Texts that are compared in the time that it takes to add up a long part's sketches."""

_PLACE = struct.Struct("<QI")
"""Where a text is in the file, and how many bytes it has there."""


@dataclass(slots=True)
class _Chunk:
    """Where a chunk is in the file: the places of its texts, then a matrix for each indexed part."""

    offset: int
    room: int
    indexed: tuple[bool, ...]
    """Whether a part has a matrix; where the chunk's first text has no two words, it has none."""
    count: int = 0

    @property
    def width(self) -> int:
        """Bytes of a matrix's row."""
        return self.room // 8

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        return self.matrix(len(self.indexed)) - self.offset

    def matrix(self, part: int) -> int:
        """Where the matrix of a part begins."""
        return self.offset + self.room * _PLACE.size + sum(self.indexed[:part]) * ROWS * self.width


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a draft, ready to be compared with sketches."""

    tokens: Tokens
    rows: list[int]
    first: int
    """The row of the shortest texts that may be alike."""
    needs: list[int]
    """How many rows must be shared, from that class of lengths on."""


class Nearest:
    """An index of accepted drafts by leaf, for exact ROUGE-L.

    Args:
        path: Its scratch file, made anew and removed in the end; None: a temporary one.

    Raises:
        RunError: The file cannot be made; from any method: it cannot be read or written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._place = path or Path(tempfile.gettempdir())
        try:
            self._file: IO[bytes] = (
                path.open("w+b", buffering=0) if path else tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            )
        except OSError as error:
            raise self._told(error) from error
        self._end = 0
        self._free: dict[int, list[int]] = {}
        self._leaves: dict[str, list[_Chunk]] = {}

    def closest(self, leaf: str, parts: tuple[str, ...], threshold: float) -> tuple[str, float] | None:
        """The text of a leaf that `parts` are most like, from `threshold` on; the earliest of equals.

        Args:
            leaf: Whose texts are compared.
            parts: As many as each of the leaf's texts has.
            threshold: ROUGE-L F-measure, above 0 and up to 1.

        Returns:
            Its name, and how like it is: as its least like part. None where no text is so like.
        """
        if leaf not in self._leaves:
            return None
        mine = [_part(text, threshold) for text in parts]
        best: tuple[str, float] | None = None
        for chunk in self._leaves[leaf]:
            for number in columns(self._possible(chunk, mine)):
                name, theirs = self._text(chunk, number)
                like = _least(mine, theirs, threshold)
                if like >= threshold and (best is None or like > best[1]):
                    best = (name, like)
        return best

    def add(self, leaf: str, name: str, parts: tuple[str, ...]) -> None:
        """Put a text into a leaf.

        Args:
            leaf: Its leaf.
            name: What it is called when another is like it.
            parts: Its context, instruction and so on; as many for every text of a leaf.
        """
        texts = [tokens(part) for part in parts]
        chunk = self._chunk(leaf, texts)
        record = _packed(name, texts)
        column, chunk.count = chunk.count, chunk.count + 1
        self._write(self._end, record)
        self._write(chunk.offset + column * _PLACE.size, _PLACE.pack(self._end, len(record)))
        self._end += len(record)
        for part, text in enumerate(texts):
            if chunk.indexed[part]:
                self._set(chunk, part, [*sketch(text), length_row(len(text))], column)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _possible(self, chunk: _Chunk, mine: Sequence[_Part]) -> int:
        """The columns of a chunk that may be alike in every part; the shortest part sorts out first."""
        found = (1 << chunk.count) - 1
        for place in sorted(range(len(mine)), key=lambda at: len(mine[at].tokens)):
            if not found or (len(mine[place].tokens) > 100 and found.bit_count() <= _FEW):
                break
            if chunk.indexed[place]:
                found &= self._alike(chunk, place, mine[place])
        return found

    def _alike(self, chunk: _Chunk, place: int, part: _Part) -> int:
        """The columns that share as many words with a draft's part as the threshold asks."""
        start, width = chunk.matrix(place), chunk.width
        lengths_at, count = part.first * width, len(part.needs) * width
        if ROWS * width <= _STRETCH * len(part.rows):
            matrix = self._read(start, ROWS * width)
            rows = [matrix[row * width : (row + 1) * width] for row in part.rows]
            lengths = matrix[lengths_at : lengths_at + count]
        else:
            rows = [self._read(start + row * width, width) for row in part.rows]
            lengths = self._read(start + lengths_at, count)
        of_need: dict[int, int] = {}
        for at, need in enumerate(part.needs):
            of_length = int.from_bytes(lengths[at * width : (at + 1) * width], "little")
            if of_length:
                of_need[need] = of_need.get(need, 0) | of_length
        digits = sums([int.from_bytes(row, "little") for row in rows]) if of_need else []
        found = 0
        for need, among in of_need.items():
            found |= reaching(digits, need, among)
        return found

    def _text(self, chunk: _Chunk, number: int) -> tuple[str, list[Tokens]]:
        offset, size = _PLACE.unpack(self._read(chunk.offset + number * _PLACE.size, _PLACE.size))
        if offset + size > self._end:
            raise self._damaged()
        try:
            return _unpacked(self._read(offset, size), len(chunk.indexed))
        except (struct.error, ValueError):
            raise self._damaged() from None

    def _chunk(self, leaf: str, texts: Sequence[Tokens]) -> _Chunk:
        """The leaf's last chunk, with room for another text."""
        chunks = self._leaves.setdefault(leaf, [])
        if not chunks or chunks[-1].count == _MOST:
            chunk = _Chunk(0, _FEWEST, tuple(len(text) > 1 for text in texts))
            chunk.offset = self._allocated(chunk.size)
            self._write(chunk.offset, bytes(chunk.size))
            chunks.append(chunk)
        elif chunks[-1].count == chunks[-1].room:
            chunks[-1] = self._doubled(chunks[-1])
        return chunks[-1]

    def _doubled(self, old: _Chunk) -> _Chunk:
        new = _Chunk(0, 2 * old.room, old.indexed, old.count)
        whole = self._read(old.offset, old.size)
        places, blank = old.room * _PLACE.size, bytes(old.width)
        rows = (whole[at : at + old.width] for at in range(places, old.size, old.width))
        new.offset = self._allocated(new.size)
        self._write(new.offset, b"".join((whole[:places], bytes(places), *(row + blank for row in rows))))
        self._free.setdefault(old.size, []).append(old.offset)
        return new

    def _allocated(self, size: int) -> int:
        """Where `size` bytes are free: a chunk that was doubled leaves some."""
        if self._free.get(size):
            return self._free[size].pop()
        offset, self._end = self._end, self._end + size
        return offset

    def _set(self, chunk: _Chunk, place: int, rows: Sequence[int], column: int) -> None:
        """Set the bits of a text's column."""
        start, width = chunk.matrix(place), chunk.width
        byte, bit = column // 8, 1 << column % 8
        if ROWS * width <= _STRETCH * len(rows):
            matrix = bytearray(self._read(start, ROWS * width))
            for row in rows:
                matrix[row * width + byte] |= bit
            self._write(start, matrix)
            return
        for row in rows:
            at = start + row * width + byte
            self._write(at, bytes((self._read(at, 1)[0] | bit,)))

    def _read(self, offset: int, size: int) -> bytes:
        try:
            self._file.seek(offset)
            found = self._file.read(size)
        except OSError as error:
            raise self._told(error) from error
        if len(found) != size:
            raise self._damaged()
        return found

    def _write(self, offset: int, data: bytes | bytearray) -> None:
        try:
            self._file.seek(offset)
            left = memoryview(data)
            # A disk that becomes full takes a part of it first.
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise self._told(error) from error

    def _told(self, error: OSError) -> FeldsparError:
        what = f"{self._place}: the index of near-duplicates: {error.strerror}"
        return explain(error, self._place) or RunError(what, "See that the disk works, and run again.")

    def _damaged(self) -> RunError:
        return RunError(
            f"{self._place}: the index of near-duplicates is not as it was written",
            "Run again: it is made anew, and every reply is kept.",
        )


def _part(text: str, threshold: float) -> _Part:
    mine = tokens(text)
    return _Part(mine, sketch(mine), *needs(len(mine), threshold))


def _least(mine: Sequence[_Part], theirs: Sequence[Tokens], threshold: float) -> float:
    """How like texts are, which is as their least like parts; 0 below the threshold."""
    least = 1.0
    for part, other in sorted(zip(mine, theirs, strict=True), key=lambda pair: len(pair[1])):
        least = min(least, likeness(part.tokens, other, threshold))
        if least < threshold:
            return 0.0
    return least


def _packed(name: str, texts: Sequence[Tokens]) -> bytes:
    called = name.encode("utf-8", "surrogatepass")
    head = struct.pack(f"<{1 + len(texts)}I", len(called), *map(len, texts))
    return b"".join((head, called, *(text.tobytes() for text in texts)))


def _unpacked(record: bytes, parts: int) -> tuple[str, list[Tokens]]:
    """What `_packed` was given.

    Raises:
        ValueError, struct.error: It is no such record.
    """
    size, *counts = struct.unpack_from(f"<{1 + parts}I", record)
    at = 4 * (1 + parts)
    if at + size + 8 * sum(counts) != len(record):
        raise ValueError("its lengths do not add up")
    name, at = record[at : at + size].decode("utf-8", "surrogatepass"), at + size
    texts = []
    for count in counts:
        texts.append(array("Q", record[at : at + 8 * count]))
        at += 8 * count
    return name, texts
