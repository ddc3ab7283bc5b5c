"""What stands at the edge of a PDF's pages and repeats: running titles and page numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from feldspar.taxonomy.convert.page import Page, Piece

_EDGE = 0.12
"""The share of a page's height, above and below, where running titles and page numbers stand."""


def without_edges(pages: Sequence[Page], body: float) -> list[list[Piece]]:
    """The pages' pieces without running titles and page numbers.

    That is what repeats, up to its digits, at one height of many pages' edges, and whatever else stands at
    a height where most of it repeats: a chapter's running title stands on few pages.
    """
    texts: Counter[tuple[str, int]] = Counter()
    heights: Counter[int] = Counter()
    for page in pages:
        keys = {key for piece in page.pieces if (key := _key(page, piece, body))}
        texts.update(keys)
        heights.update({height for _, height in keys})
    many = max(2, -(-3 * len(pages) // 10))
    repeated: Counter[int] = Counter()
    for (_, height), count in texts.items():
        repeated[height] += count if count > 1 else 0
    every: Counter[int] = Counter()
    for (_, height), count in texts.items():
        every[height] += count
    running = {
        height
        for height, count in heights.items()
        if count >= max(3, many) and 2 * repeated[height] >= every[height]
    }

    def stays(page: Page, piece: Piece) -> bool:
        key = _key(page, piece, body)
        if key is None:
            return True
        text, height = key
        if len(pages) == 1:
            return re.fullmatch(r"(page )?#( (of|/) #)?", text) is None
        return texts[key] < many and (height not in running or piece.size > 1.2 * body)

    kept = [[piece for piece in page.pieces if stays(page, piece)] for page in pages]
    return kept if any(kept) else [list(page.pieces) for page in pages]


def _key(page: Page, piece: Piece, body: float) -> tuple[str, int] | None:
    """What a piece at a page's edge is known by on other pages; a large one, a heading, by every letter."""
    height = (piece.bottom - page.base) / (page.height or 1)
    if _EDGE < height < 1 - _EDGE:
        return None
    large = piece.size > 1.2 * body
    text = piece.text if large else re.sub(r"\d+|\b[ivxlc]+\b", "#", piece.text.casefold())
    return " ".join(text.split()), round(height * 100)
