"""What stands on a page of a PDF: pieces of lines, tables, and how lines become one text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HYPHEN = "\ufffe"
"""What PDFium gives for a hyphen at which a word goes on in the next line."""

_LIGATURES = dict(zip(range(0xFB00, 0xFB07), ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True))
_DROPPED = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127, 0x200B, 0xFEFF, 0xFFFF))
_CLEAN: dict[int, str | None] = {**_LIGATURES, **_DROPPED, 0xA0: " ", 0x0D: "\n"}
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef\u3000-\u303f]")
_LAST_WORD = re.compile(r"([^\W\d_]+)$")
_WHOLE_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_FIRST_WORD = re.compile(r"([^\W\d_]+)")
_LEADERS = re.compile(r"(?:\s?[.·…]){5,}\s*")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words on one line; measures in points, upwards and to the right."""

    text: str
    x0: float
    x1: float
    bottom: float
    top: float
    size: float
    bold: bool = False
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Cells by row; every row is as long as the others."""

    rows: tuple[tuple[tuple[Piece, ...], ...], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A page's pieces in the order of its content."""

    base: float
    """Where the page's lower edge is."""
    height: float
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a document: they tell whether a hyphen at a line's end belongs to the word."""

    plain: frozenset[str]
    hyphened: frozenset[str]


def words_of(pieces: Iterable[Piece]) -> Words:
    """The words that stand within the lines of a document, folded."""
    plain: set[str] = set()
    hyphened: set[str] = set()
    parted = False
    for piece in pieces:
        found = _WHOLE_WORD.findall(piece.text.casefold())
        # Of a word that a line's end parts neither half is one.
        found = found[1:] if parted else found
        parted = piece.text.endswith((HYPHEN, "-", "\xad", "‐"))
        for word in found[:-1] if parted else found:
            (hyphened if "-" in word else plain).add(word)
    return Words(frozenset(plain), frozenset(hyphened))


def joined(lines: Sequence[str], words: Words) -> str:
    """Lines of one paragraph as one line: words that a line's end parts are whole again."""
    text = ""
    for line in lines:
        line = line.strip()
        if not text:
            text = line
        elif text.endswith((HYPHEN, "-", "\xad", "‐")) and line[:1].isalpha():
            text = text[:-1] + ("-" if _keeps_hyphen(text, line, words) else "") + line
        elif _CJK.match(text[-1]) and _CJK.match(line[:1] or " "):
            text += line
        else:
            text += " " + line
    return clean(text)


def clean(text: str) -> str:
    """A text without ligatures, control characters and leaders, composed (NFC)."""
    text = unicodedata.normalize("NFC", text.replace(HYPHEN, "-").translate(_CLEAN))
    return _LEADERS.sub(" … ", text).strip()


def _keeps_hyphen(before: str, after: str, words: Words) -> bool:
    left = _LAST_WORD.search(before[:-1].casefold())
    right = _FIRST_WORD.match(after.casefold())
    if before[-1] == "\xad":
        return False
    if left is None or right is None or not after[0].islower():
        return True
    if f"{left.group(1)}-{right.group(1)}" in words.hyphened:
        return True
    whole = left.group(1) + right.group(1)
    if whole in words.plain:
        return False
    # Two words that both stand alone elsewhere are a compound more often than a chance.
    both = left.group(1) in words.plain and right.group(1) in words.plain
    return both and min(len(left.group(1)), len(right.group(1))) > 3
