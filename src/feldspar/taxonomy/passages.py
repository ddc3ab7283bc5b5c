"""Passages of a document: pieces that fit a prompt and stay within one heading (§3.2.2).

A document is cut at its headings, then at its blocks (paragraphs, lists, tables, code); a block that
is too large, at its sentences, and only then at its words. Neighbours are merged as far as they fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from feldspar.errors import RecipeError
from feldspar.text import FENCE, LIST_ITEM, closes, heading, lines, sentences
from feldspar.types import Document, Passage

Span = tuple[int, int]

_MOST_PARTS = 10_000
"""Blocks, sentences, words or characters that one passage is made of at most."""

_SETEXT = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_ADORNMENT = re.compile(r"([=\-`:'\"~^_*+#<>.])\1{2,}[ \t]*$")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(?:.*\n)*?(?:---|\.\.\.)[ \t]*(?:\n|$)")
_WORD = re.compile(r"\S+")
_CODE = ("    ", "\t")
_ITEM_WITHIN = re.compile(r" {0,3}(?:[-*+•]|1[.)])[ \t]+\S")
_HTML = re.compile(r" {0,3}<(table|pre|ul|ol|dl|figure|details)\b", re.IGNORECASE)
_TABLE_RULE = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-*:?[ \t]*)+$")
_BORDER = re.compile(r"=+(?:[ \t]+=+)+[ \t]*$")
_MOST_TITLE_LINES = 3
_MOST_NESTED = 20


@dataclass(slots=True)
class _Section:
    """What stands below one heading, as blocks."""

    heading: tuple[str, ...]
    blocks: list[Span] = field(default_factory=list)


def passages(document: Document, count_tokens: Callable[[str], int], max_tokens: int) -> tuple[Passage, ...]:
    """Cut a document into passages.

    Headings stand in `Passage.heading` instead of the text. A YAML front matter, and a stretch without
    a single letter or digit, is no passage.

    Args:
        document: Markdown, plain text or reStructuredText, told apart by the end of its path.
        count_tokens: Tokens of a text; called on candidate passages.
        max_tokens: The most that a passage may have. Only a single character may have more.

    Returns:
        Passages in the document's order, none overlapping another.

    Raises:
        RecipeError: `max_tokens` is below 1.
    """
    if max_tokens < 1:
        raise RecipeError(f"Passages of {max_tokens} tokens hold nothing.", "Ask for at least 1.")
    text = document.text

    def fits(start: int, end: int) -> bool:
        return count_tokens(text[start:end]) <= max_tokens

    found: list[Passage] = []
    for section in _sections(text, rst=document.path.casefold().endswith(".rst")):
        for start, end in _merge(section.blocks, text, fits):
            if any(letter.isalnum() for letter in text[start:end]):
                found.append(Passage(document.path, section.heading, text[start:end], start, end))
    return tuple(found)


def _merge(parts: Sequence[Span], text: str, fits: Callable[[int, int], bool]) -> Iterator[Span]:
    """Neighbouring parts as long as they fit together; a larger one in pieces of its own."""
    at = 0
    while at < len(parts):
        ends = [end for _, end in parts[at : at + _MOST_PARTS]]
        count = _most(len(ends), partial(_fits_up_to, fits, parts[at][0], ends))
        if count:
            yield parts[at][0], ends[count - 1]
        else:
            yield from _pieces(parts[at], text, fits)
        at += max(1, count)


def _pieces(part: Span, text: str, fits: Callable[[int, int], bool]) -> Iterator[Span]:
    """A block that does not fit, as runs of sentences; such a sentence, of words; a word, of characters."""
    start, end = part
    for cut in (_sentence_spans, _word_spans):
        smaller = cut(text, start, end)
        if len(smaller) > 1:
            yield from _merge(smaller, text, fits)
            return
    while start < end:
        ends = range(start + 1, min(end, start + _MOST_PARTS) + 1)
        count = max(1, _most(len(ends), partial(_fits_up_to, fits, start, ends)))
        yield start, start + count
        start += count


def _fits_up_to(fits: Callable[[int, int], bool], start: int, ends: Sequence[int], count: int) -> bool:
    return fits(start, ends[count - 1])


def _most(available: int, fit: Callable[[int], bool]) -> int:
    """How many of the available parts fit together, by doubling and halving: few calls for many parts.

    `fit` is true up to some number and false beyond it; where a tokenizer is not quite so regular, the
    number returned was still tried and fits.
    """
    if not fit(1):
        return 0
    low, high = 1, 2
    while high <= available and fit(high):
        low, high = high, high * 2
    high = min(high, available + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fit(middle) else (low, middle)
    return low


def _sentence_spans(text: str, start: int, end: int) -> list[Span]:
    return [(start + left, start + right) for left, right in sentences(text[start:end])]


def _word_spans(text: str, start: int, end: int) -> list[Span]:
    return [(match.start(), match.end()) for match in _WORD.finditer(text, start, end)]


def _sections(text: str, rst: bool) -> Iterator[_Section]:
    """The document's sections in order, blocks without blanks at either end."""
    front = None if rst else _FRONT_MATTER.match(text)
    rows = [line for line in lines(text) if not front or line[0] >= front.end()]
    trail: list[tuple[int, str]] = []
    section = _Section(())
    levels: list[str] = []
    at = 0
    while at < len(rows):
        title = _rst_title(text, rows, at, levels) if rst else _title(text, rows, at)
        if title:
            level, name, used = title
            yield section
            trail = [*(upper for upper in trail if upper[0] < level), (level, name)]
            section = _Section(tuple(upper for _, upper in trail if upper))
            at += used
            continue
        used = _block(text, rows, at, rst)
        start, end = rows[at][0], rows[at + used - 1][1]
        # A first line's indentation belongs to code and nested lists: only whole blank lines go.
        if text[start:end].strip():
            section.blocks.append((start, start + len(text[start:end].rstrip())))
        at += used
    yield section


def _title(text: str, rows: Sequence[Span], at: int) -> tuple[int, str, int] | None:
    """A Markdown heading at the first line of a block: its level, its title and how many lines it takes."""
    line = text[slice(*rows[at])]
    atx = heading(line)
    if atx:
        return *atx, 1
    used = 0
    while used < _MOST_TITLE_LINES and at + used + 1 < len(rows):
        line = text[slice(*rows[at + used])]
        if not line.strip() or line.startswith(("    ", "\t", ">")) or "|" in line or heading(line):
            return None
        if LIST_ITEM.match(line) or FENCE.match(line) or not any(letter.isalnum() for letter in line):
            return None
        used += 1
        under = _SETEXT.match(text[slice(*rows[at + used])])
        if under:
            title = " ".join(text[slice(*row)].strip() for row in rows[at : at + used])
            return 1 if under.group(1)[0] == "=" else 2, title, used + 1
    return None


def _rst_title(text: str, rows: Sequence[Span], at: int, levels: list[str]) -> tuple[int, str, int] | None:
    """A reStructuredText title; its level is the order in which its adornment first occurred."""
    row = [text[slice(*span)].rstrip() for span in rows[at : at + 3]]
    over = _ADORNMENT.match(row[0])
    if over and len(row) == 3 and row[1].strip() and row[2] == row[0] and len(row[0]) >= len(row[1].strip()):
        style, title, used = over.group(1) * 2, row[1].strip(), 3
    elif len(row) > 1 and row[0].strip() and not row[0][0].isspace() and not over:
        under = _ADORNMENT.match(row[1])
        if not under or len(row[1]) < len(row[0]):
            return None
        style, title, used = under.group(1), row[0].strip(), 2
    else:
        return None
    if style not in levels:
        levels.append(style)
    return levels.index(style) + 1, title, used


def _block(text: str, rows: Sequence[Span], at: int, rst: bool) -> int:
    """How many lines the block at a line takes.

    Fenced code and HTML tables go up to their end, all else up to a blank line; a list, indented code and a
    directive go on over blank lines as long as what follows belongs to them.
    """
    first = text[slice(*rows[at])]
    if not first.strip():
        return 1
    closed = _simple_table(text, rows, at) if rst else _enclosed(text, rows, at)
    if closed:
        return closed
    in_list = bool(LIST_ITEM.match(first))
    number = at + 1
    while number < len(rows):
        line = text[slice(*rows[number])]
        if not line.strip():
            ahead = number
            while ahead < len(rows) and not text[slice(*rows[ahead])].strip():
                ahead += 1
            if ahead == len(rows) or not _belongs(first, text[slice(*rows[ahead])], rst):
                break
            number = ahead
            continue
        if not rst and FENCE.match(line):
            if not in_list and not (first.startswith(">") and line.startswith(">")):
                break
            number += _fenced(text, rows, number)
            continue
        if not rst and (heading(line) or (not in_list and _begins(text, rows, number, first))):
            break
        number += 1
    return number - at


def _belongs(first: str, follower: str, rst: bool) -> bool:
    """Whether a line after a blank one goes on with the block that a first line began."""
    indented = follower[0] in " \t"
    if LIST_ITEM.match(first):
        return indented or bool(LIST_ITEM.match(follower))
    if rst:
        return indented and (first.startswith("..") or first[0] in " \t")
    return follower.startswith(_CODE) and first.startswith(_CODE)


def _begins(text: str, rows: Sequence[Span], number: int, first: str) -> bool:
    """Whether a list, a table or HTML begins at a line within a paragraph."""
    line = text[slice(*rows[number])]
    if _ITEM_WITHIN.match(line) or _HTML.match(line):
        return True
    # A table's header is told by the line below it, and stands above all of the table.
    below = text[slice(*rows[number + 1])] if number + 1 < len(rows) else ""
    return "|" in line and "|" not in first and bool(_TABLE_RULE.match(below))


def _enclosed(text: str, rows: Sequence[Span], at: int) -> int:
    """How many lines fenced code, or an HTML element with all in it, takes; 0 where none begins."""
    first = text[slice(*rows[at])]
    if FENCE.match(first):
        return _fenced(text, rows, at)
    opened = _HTML.match(first)
    if not opened:
        return 0
    tag = re.compile(rf"<(/?){opened.group(1)}\b", re.IGNORECASE)
    depth = 0
    for number in range(at, len(rows)):
        for found in tag.finditer(text, *rows[number]):
            depth += -1 if found.group(1) else 1
        if depth <= 0:
            return number - at + 1
        if depth > _MOST_NESTED:
            break
    return 0


def _simple_table(text: str, rows: Sequence[Span], at: int) -> int:
    """How many lines a reStructuredText simple table takes, up to the border below which it ends."""
    if not _BORDER.match(text[slice(*rows[at])]):
        return 0
    borders = 1
    for number in range(at + 1, len(rows)):
        if _BORDER.match(text[slice(*rows[number])]):
            borders += 1
            last = number + 1 == len(rows) or not text[slice(*rows[number + 1])].strip()
            if borders == 3 or (borders == 2 and last):
                return number - at + 1
    return 0


def _fenced(text: str, rows: Sequence[Span], at: int) -> int:
    """How many lines a fenced code block takes, its fences included; to the end where nothing closes it."""
    fence = FENCE.match(text[slice(*rows[at])])
    for number in range(at + 1, len(rows)):
        if fence and closes(text[slice(*rows[number])], fence.group(1)):
            return number - at + 1
    return len(rows) - at
