"""A PDF's pages as Markdown: headings by size, paragraphs and lists put together again, tables, code.

What repeats at the edge of the pages (running titles, page numbers) is left out. Everything here is a
pure function of pieces with their places; no file is read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median

from feldspar.taxonomy.convert.edges import without_edges
from feldspar.taxonomy.convert.grid import arranged
from feldspar.taxonomy.convert.page import HYPHEN, Page, Piece, Table, Words, clean, joined, words_of

_BULLET = re.compile(r"([•‣◦▪▫●○■□◆◇➢➤✓∙·\uf0a7\uf0b7\uf0d8]|[-–—*](?=\s))\s*(?=\S)")
_NUMBER = re.compile(r"\d{1,3}[.)]\s+(?=\S)")
_LETTER = re.compile(r"\(?(?:[a-zA-Z]|[ivx]{1,4})\)\s+(?=\S)")
_LONE_MARK = re.compile(r"[•‣◦▪▫●○■□◆◇➢➤✓∙·\uf0a7\uf0b7\uf0d8*–-]|\d{1,3}[.)]|\(?[a-z]\)")
_ENDS = (".", "!", "?", ":", ";", "”", '"', ")", "。", "！", "？")
_CONTENTS = re.compile(r"(?:\s?[.·…]){5,}")  # the leaders of a table of contents
_MARKUP = re.compile(r"(#{1,6}(?:\s|$)|```|~~~|\||>|(?:=+|-{2,})$)")
_MOST_LEVELS = 6


@dataclass(slots=True)
class _Block:
    """Lines that belong together."""

    kind: str
    """paragraph, item or code"""
    lines: list[Piece]
    mark: str = ""
    """Of an item: `-`, or its number."""


@dataclass(frozen=True, slots=True)
class _Norms:
    """What is usual in the document."""

    size: float
    """Of its running text."""
    leading: float
    """From line to line, in sizes."""
    words: Words
    sizes: list[float] = field(default_factory=list)
    """Of headings, the largest first."""


def to_markdown(pages: Sequence[Page]) -> str:
    """Markdown of all pages."""
    body = _body_size(piece for page in pages for piece in page.pieces)
    pages = [replace(page, pieces=tuple(_with_marks(page.pieces))) for page in pages]
    kept = without_edges(pages, body)
    words = words_of(piece for page in kept for piece in page)
    items: list[Piece | Table] = []
    for page in kept:
        found = arranged(page)
        if items and found and (whole := _continued(items[-1], found[0])):
            items[-1:] = [whole]
            found = found[1:]
        items += found
    norms = _Norms(body, _leading(items), words)
    blocks = list(_blocks(items, norms))
    sizes = {_size(block) for block in blocks if isinstance(block, _Block) and _larger(block, norms)}
    norms.sizes.extend(sorted(sizes, reverse=True))
    return "\n\n".join(filter(None, _written(blocks, norms)))


def _continued(above: Piece | Table, below: Piece | Table) -> Table | None:
    """A table that goes on at the top of the next page, as one; a header that is repeated stands once."""
    if not isinstance(above, Table) or not isinstance(below, Table):
        return None
    if len(above.rows[0]) != len(below.rows[0]):
        return None
    header, first = ([[piece.text for piece in cell] for cell in table.rows[0]] for table in (above, below))
    return Table(above.rows + (below.rows[1:] if header == first else below.rows))


def _body_size(pieces: Iterable[Piece]) -> float:
    letters: Counter[float] = Counter()
    for piece in pieces:
        letters[piece.size] += len(piece.text) * (1 if not piece.mono else 0)
    return letters.most_common(1)[0][0] if letters else 10.0


def _leading(items: Sequence[Piece | Table]) -> float:
    steps = [
        (above.bottom - below.bottom) / above.size
        for above, below in pairwise(items)
        if isinstance(above, Piece) and isinstance(below, Piece) and above.size == below.size > 0
    ]
    usual = [step for step in steps if 0.8 < step < 3]
    return median(usual) if usual else 1.2


def _with_marks(pieces: Sequence[Piece]) -> list[Piece]:
    """Bullets and numbers that stand by themselves, joined to the text beside them."""
    found: list[Piece] = []
    for piece in pieces:
        mark = found[-1] if found else None
        if (
            mark is not None
            and _LONE_MARK.fullmatch(mark.text)
            and abs(mark.bottom - piece.bottom) < piece.size
            and mark.x1 <= piece.x0 < mark.x1 + 5 * piece.size
        ):
            found[-1] = Piece(
                f"{mark.text} {piece.text}",
                mark.x0,
                piece.x1,
                piece.bottom,
                piece.top,
                piece.size,
                piece.bold,
                piece.mono,
            )
        else:
            found.append(piece)
    return found


def _blocks(items: Sequence[Piece | Table], norms: _Norms) -> Iterator[_Block | Table]:
    block: _Block | None = None
    for item in items:
        if isinstance(item, Table):
            if block:
                yield block
            yield item
            block = None
            continue
        mark = None if item.mono else _mark(item.text)
        if block and not mark and _goes_on(block, item, norms):
            block.lines.append(item)
            continue
        if block:
            yield block
        block = _Block("code" if item.mono else "item" if mark else "paragraph", [item], mark or "")
    if block:
        yield block


def _mark(text: str) -> str | None:
    if _BULLET.match(text) or _LETTER.match(text):
        return "-"
    found = _NUMBER.match(text)
    return found.group().strip() if found else None


def _goes_on(block: _Block, piece: Piece, norms: _Norms) -> bool:
    """Whether a line belongs to the block before it."""
    last = block.lines[-1]
    if block.kind == "code" or piece.mono:
        return block.kind == "code" and piece.mono
    if abs(last.size - piece.size) > 0.75 or (last.bold != piece.bold and piece.x0 <= last.x0 + piece.size):
        return False
    gap = last.bottom - piece.bottom
    if abs(gap) < 0.3 * piece.size and piece.x0 > last.x0:
        return True
    begins_low = piece.text[:1].islower()
    if gap <= 0:  # the next column, or the next page
        parted = last.text.endswith((HYPHEN, "-"))
        return parted or (begins_low and not last.text.endswith(_ENDS))
    if gap > 1.25 * max(norms.leading, 1.0) * piece.size + 0.5:
        return False
    first = block.lines[0]
    if block.kind == "item":
        return piece.x0 > first.x0 + 0.5 * piece.size or begins_low
    if piece.size > norms.size + 0.9:  # a heading of several lines, centred or not
        return True
    if piece.x0 > last.x0 + 0.8 * piece.size and (len(block.lines) > 1 or not begins_low):
        return False
    # A line that had room for the next one's first word ends its paragraph.
    widest = max(line.x1 - line.x0 for line in (*block.lines, piece))
    word = len(piece.text.split()[0]) + 2
    room = widest - (last.x1 - last.x0) > word * (piece.x1 - piece.x0) / len(piece.text)
    return not (room and last.text.endswith(_ENDS) and not begins_low)


def _larger(block: _Block, norms: _Norms) -> bool:
    """Whether a block is a heading by its size."""
    letters = sum(len(line.text) for line in block.lines)
    big = _size(block) >= max(norms.size + 0.9, 1.05 * norms.size)
    worded = any(letter.isalpha() for line in block.lines for letter in line.text)
    worded = worded and not any(_CONTENTS.search(line.text) for line in block.lines)
    return block.kind != "code" and big and letters <= 200 and worded


def _bold_heading(block: _Block, norms: _Norms) -> bool:
    """Whether a block of the text's own size is a heading, for it is bold, short and no sentence."""
    text = " ".join(line.text for line in block.lines)
    return (
        block.kind != "code"
        and all(line.bold for line in block.lines)
        and len(block.lines) <= 2
        and len(text.split()) <= 12
        and _size(block) >= norms.size - 0.5
        and not text.endswith((".", ",", ";", ":", HYPHEN))
        and any(letter.isalpha() for letter in text)
        and not _CONTENTS.search(text)
    )


def _size(block: _Block) -> float:
    return max(line.size for line in block.lines)


def _written(blocks: Sequence[_Block | Table], norms: _Norms) -> Iterator[str]:
    """Each block as Markdown, neighbouring items as one list."""
    items: list[_Block] = []
    levels = min(len(norms.sizes), _MOST_LEVELS)
    for number, block in enumerate(blocks):
        level = 0
        if isinstance(block, _Block):
            if _larger(block, norms):
                level = min(_MOST_LEVELS, norms.sizes.index(_size(block)) + 1)
            elif number + 1 < len(blocks) and _bold_heading(block, norms):
                level = min(_MOST_LEVELS, levels + 1)
            if block.kind == "item" and not level:
                items.append(block)
                continue
        if items:
            yield _list(items, norms.words)
            items = []
        if isinstance(block, Table):
            yield _table(block, norms.words)
        elif level:
            yield "#" * level + " " + joined([line.text for line in block.lines], norms.words)
        elif block.kind == "code":
            yield _code(block.lines)
        else:
            text = joined([line.text for line in block.lines], norms.words)
            yield "\\" + text if _MARKUP.match(text) else text
    if items:
        yield _list(items, norms.words)


def _list(items: Sequence[_Block], words: Words) -> str:
    lines: list[str] = []
    edges: list[float] = []
    last: Piece | None = None
    before = ""
    for item in items:
        first = item.lines[0]
        if last and first.bottom >= last.bottom:  # in the next column, or on the next page
            edges.clear()
        last = item.lines[-1]
        while edges and first.x0 < edges[-1] - 0.5 * first.size:
            edges.pop()
        if not edges or first.x0 > edges[-1] + 0.5 * first.size:
            edges.append(first.x0)
        text = joined([line.text for line in item.lines], words)
        if lines and len(edges) == 1 and (item.mark == "-") != (before == "-"):
            lines.append("")
        before = item.mark
        bare = _BULLET.sub("", text, count=1) if item.mark == "-" and not _LETTER.match(text) else text
        bare = _NUMBER.sub("", bare, count=1) if item.mark != "-" else bare
        lines.append(f"{'  ' * (len(edges) - 1)}{item.mark} {bare}")
    return "\n".join(lines)


def _table(table: Table, words: Words) -> str:
    lines = []
    for row in table.rows:
        cells = [joined([piece.text for piece in cell], words).replace("|", "\\|") for cell in row]
        lines.append("| " + " | ".join(cells) + " |")
    lines.insert(1, "| " + " | ".join("---" for _ in table.rows[0]) + " |")
    return "\n".join(lines)


def _code(lines: Sequence[Piece]) -> str:
    """Lines of code with their indentation and empty lines, by the width of a character."""
    wide = median((line.x1 - line.x0) / max(1, len(line.text)) for line in lines) or 1.0
    steps = [above.bottom - below.bottom for above, below in pairwise(lines)]
    usual = min([step for step in steps if step > 0.5 * lines[0].size], default=1.0)
    starts = [0, *(number + 1 for number, step in enumerate(steps) if step <= 0), len(lines)]
    written = []
    for start, end in pairwise(starts):  # a stretch in each column, or on each page
        left = min(line.x0 for line in lines[start:end])
        for number in range(start, end):
            if number > start and steps[number - 1] > 1.6 * usual:
                written.append("")
            indent = min(80, round((lines[number].x0 - left) / wide))
            written.append(" " * indent + clean(lines[number].text))
    fence = "`" * max(3, *(len(run) + 1 for text in written for run in re.findall("`+", text)), 0)
    return "\n".join([fence, *written, fence])
