"""Tables and columns of a PDF's page, found by where its pieces stand beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from feldspar.taxonomy.convert.page import Piece, Table

_MOST = 2_000
"""Pieces of one table."""
_PROSE = 5
"""Words of a piece, on the average, from which two of them side by side are columns of text."""


@dataclass(slots=True)
class _Row:
    """A row while it is put together: its pieces by column."""

    cells: dict[int, list[Piece]] = field(default_factory=dict)

    def bottom(self) -> float:
        return min(piece.bottom for cell in self.cells.values() for piece in cell)


def arranged(pieces: Sequence[Piece]) -> list[Piece | Table]:
    """A page's pieces in reading order, those of tables as tables, those of one line as one piece."""
    found: list[Piece | Table] = []
    at = 0
    while at < len(pieces):
        end = _region(pieces, at) if at + 1 < len(pieces) and _beside(pieces[at], pieces[at + 1]) else at
        if end > at:
            start = _start(found, pieces[at], pieces[at + 1])
            region = [*(piece for piece in found[start:] if isinstance(piece, Piece)), *pieces[at:end]]
            made = _made(region)
            if made is not None:
                found[start:] = made
                at = end
                continue
        if at + 1 < len(pieces) and _same_line(pieces[at], pieces[at + 1]):
            line = pieces[at]
            while at + 1 < len(pieces) and _same_line(line, pieces[at + 1]):
                line = _merged(line, pieces[at + 1])
                at += 1
            found.append(line)
        else:
            found.append(pieces[at])
        at += 1
    return found


def _beside(left: Piece, right: Piece) -> bool:
    """Whether the second stands to the right of the first, not below it, as the next cell of a row does."""
    if left.mono or right.mono:
        return False
    return right.x0 > left.x1 + 0.3 * left.size and right.top > left.bottom + 0.1 * left.size


def _same_line(left: Piece, right: Piece) -> bool:
    return abs(left.bottom - right.bottom) < 0.4 * left.size and right.x0 >= left.x1 - 0.2 * left.size


def _merged(left: Piece, right: Piece) -> Piece:
    gap = "  " if left.mono and right.mono else " "
    return Piece(
        left.text + gap + right.text,
        left.x0,
        right.x1,
        min(left.bottom, right.bottom),
        max(left.top, right.top),
        max(left.size, right.size),
        left.bold and right.bold,
        left.mono and right.mono,
    )


def _start(found: Sequence[Piece | Table], first: Piece, second: Piece) -> int:
    """Where in what was found a row begins whose first cell has several lines."""
    start = len(found)
    while start:
        above = found[start - 1]
        if not isinstance(above, Piece) or above.mono or abs(above.x0 - first.x0) > first.size:
            break
        if above.x1 > second.x0 or above.bottom < first.bottom or above.top > second.top + 0.6 * first.size:
            break
        start -= 1
    return start


def _region(pieces: Sequence[Piece], start: int) -> int:
    """Where a table that may begin at a place ends: after the last piece that stands beside another."""
    columns: list[list[float]] = [[pieces[start].x0, pieces[start].x1]]
    end = start
    lowest = pieces[start].bottom
    for at in range(start + 1, min(len(pieces), start + _MOST)):
        before, piece = pieces[at - 1], pieces[at]
        over = [column for column in columns if piece.x0 < column[1] and piece.x1 > column[0]]
        if piece.mono or len(over) > 1 or abs(piece.size - before.size) > 0.3 * before.size:
            break
        beside = _beside(before, piece) and piece.top - before.top < 12 * piece.size
        if not beside and (lowest - piece.top > 2.5 * piece.size or not over):
            break
        lowest = min(lowest, piece.bottom)
        if over:
            over[0][:] = [min(over[0][0], piece.x0), max(over[0][1], piece.x1)]
            if sum(piece.x0 < column[1] and piece.x1 > column[0] for column in columns) > 1:
                break
        else:
            columns.append([piece.x0, piece.x1])
        left = columns[0]
        if beside or not (piece.x0 < left[1] and piece.x1 > left[0]):
            end = at + 1
    return end if end > start else start


def _made(region: Sequence[Piece]) -> list[Piece | Table] | None:
    """A region as a table, or as columns of text one after the other; None where it is neither."""
    columns = _columns(region)
    if len(columns) < 2:
        return None
    rows = _rows(region, columns)
    full = [row for row in rows if len(row.cells) > 1]
    if len(full) < 2 or len(full) * 3 < len(rows):
        return None
    pieces = [piece for row in rows for cell in row.cells.values() for piece in cell]
    words = sum(any(map(str.isalpha, word)) for piece in pieces for word in piece.text.split()) / len(pieces)
    if len(columns) == 2 and words >= _PROSE and len(full) >= 4:
        return [piece for column in range(2) for row in rows for piece in row.cells.get(column, ())]
    if words > 3 * _PROSE:
        return None
    cells = tuple(tuple(tuple(row.cells.get(column, ())) for column in range(len(columns))) for row in rows)
    return [Table(cells)]


def _columns(region: Sequence[Piece]) -> list[tuple[float, float]]:
    """Stretches of the line that pieces cover, apart from each other."""
    columns: list[tuple[float, float]] = []
    for piece in sorted(region, key=lambda piece: piece.x0):
        if columns and piece.x0 < columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], piece.x1))
        else:
            columns.append((piece.x0, piece.x1))
    return columns


def _rows(region: Sequence[Piece], columns: Sequence[tuple[float, float]]) -> list[_Row]:
    """The rows, read cell by cell: a row ends where the next piece is further left, or below all of it."""
    rows: list[_Row] = []
    last = -1
    for piece in region:
        column = next(n for n, (left, right) in enumerate(columns) if left <= piece.x0 <= right)
        row = rows[-1] if rows else None
        if row is None or column < last or (column > last and piece.top <= row.bottom() + 0.1 * piece.size):
            rows.append(_Row({column: [piece]}))
        elif column == last:
            apart = row.cells[column][-1].bottom - piece.top > 0.8 * piece.size
            if apart and len(row.cells) > 1:
                rows.append(_Row({column: [piece]}))
            else:
                row.cells[column].append(piece)
        else:
            _part(rows, piece)
            rows[-1].cells.setdefault(column, []).append(piece)
        last = column
    return rows


def _part(rows: list[_Row], piece: Piece) -> None:
    """Where a row so far has only its first cell, lines of it that stand above the next cell are its own."""
    row = rows[-1]
    if len(row.cells) > 1:
        return
    (column, lines) = next(iter(row.cells.items()))
    above = [line for line in lines if line.bottom > piece.top]
    if above and len(above) < len(lines):
        rows[-1:] = [*(_Row({column: [line]}) for line in above), _Row({column: lines[len(above) :]})]
