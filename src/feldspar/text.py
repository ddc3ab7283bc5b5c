"""Sentences of a text, as character spans, and its words.

A list item, a table row, a heading and a line of code are each a sentence or more; a paragraph's line
breaks are blanks. The lists of abbreviations are English; elsewhere the punctuation alone decides, the
full stops of Chinese, Japanese, Hindi, Urdu and Arabic included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

FENCE = re.compile(r"[ \t]*(?:>[ \t]*)*(?:[-*+][ \t]+|\d{1,9}[.)][ \t]+)?(`{3,}|~{3,})")
"""The line that opens a fenced code block; group 1 is the fence."""
LIST_ITEM = re.compile(r"[ \t]*(?:>[ \t]*)*(?:[-*+•][ \t]+|\d{1,9}[.)][ \t]+)(?=\S)")
"""The start of a line that opens a list item."""
_HEADING = re.compile(r" {0,3}(#{1,6})(?=[ \t]|$)")
_BULLET = re.compile(r"[ \t]*(?:>[ \t]*)*(?:[-*+•]|1[.)])[ \t]")
_TABLE_ROW = re.compile(r"[ \t]*\|")
# A full stop, with the quotes and brackets that close after it; the last alternative needs no blank. The
# look-behind keeps the time linear where thousands of points stand in a row.
_STOP = re.compile(r"(?<![.!?…؟۔।])[.!?…؟۔।]++[\"'”’»)\]*_]*+(?=\s)|[。！？]++[”’」』）]*+")
_BEFORE = re.compile(r"[^\s(\[\"'“‘*_]+$")
_OPENING = "\"'“‘«([*_`"

# Scripts without spaces between words count by character, all others by word: Thai, Lao, Tibetan, Burmese,
# Khmer, Chinese and Japanese.
_SPACELESS = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0edc-\u0edf\u0f40-\u0fbc\u1000-\u103f\u1050-\u108f\u1780-\u17d3"
    "\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u312f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
# To `re` a combining mark is no part of a word, and the vowels of Hindi are such marks.
_MARKS = (
    "\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
    "\u0900-\u0963\u0966-\u096f\u0971-\u0df3"
)
_WORD = re.compile(rf"[^\W{_SPACELESS}]+(?:[{_MARKS}]+[^\W{_SPACELESS}]*)*|[{_SPACELESS}]")

# Words that a full stop follows and a sentence hardly ever ends with.
_NEVER_LAST = frozenset(
    "mr mrs ms dr prof st mt rev fr hon gen col lt capt sgt cmdr maj gov sen rep messrs mme mlle "
    "e.g i.e eg ie cf vs viz ca approx esp incl resp al".split()
)
# Those that stand before a number.
_BEFORE_NUMBER = frozenset(
    "no nos nr fig figs eq eqs sec ch chap vol p pp art ed vers v c "
    "jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
# What opens a sentence after an initial or a dotted abbreviation: "of vitamin C. It helps".
_OPENERS = frozenset(
    "a an the it its this that these those he she they we i you his her their our my in on at by for from "
    "with as if when while where after before during since although because however but and so then there "
    "no not all each every some most many both one two what who how why which to yes".split()
)


def words(text: str) -> list[str]:
    """The words of `text`, case folded; each character where the script has no spaces."""
    return _WORD.findall(text.casefold())


def counted(count: int, noun: str, nouns: str = "") -> str:
    """`1 leaf`, `2,000 leaves`; without `nouns` the plural is the noun with an s."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def escaped(text: str) -> str:
    """`text` on one line: what is no letter of a text, or a terminal would act on, as an escape."""
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in text)


def printable(text: str) -> str:
    """`text` without what a terminal would act on: each such character becomes a visible one."""
    return "".join(
        mark if mark.isprintable() or mark in "\n\t" else "\N{REPLACEMENT CHARACTER}" for mark in text
    )


def sentences(text: str) -> tuple[tuple[int, int], ...]:
    """The sentences of a text, in order.

    Returns:
        Spans (start, end) in characters: not empty, not overlapping, without blanks at either end.
        Everything but white space lies in one of them.
    """
    spans: list[tuple[int, int]] = []
    for start, end, prose in _segments(text):
        cuts = [start, *(_cuts(text, start, end) if prose else ()), end]
        for left, right in pairwise(cuts):
            piece = text[left:right]
            if piece.strip():
                at = left + len(piece) - len(piece.lstrip())
                spans.append((at, at + len(piece.strip())))
    return tuple(spans)


def _segments(text: str) -> Iterator[tuple[int, int, bool]]:
    """Stretches that no sentence crosses (paragraphs, items, rows, code), and whether they are prose."""
    start = end = -1
    in_item = False
    fence = ""
    for line in lines(text):
        content = text[line[0] : line[1]]
        opened = FENCE.match(content)
        if fence or opened or _alone(content):
            if start >= 0:
                yield start, end, True
            start = -1
            if content.strip():
                yield (*line, False)
            if fence:
                fence = "" if closes(content, fence) else fence
            elif opened:
                fence = opened.group(1)
            continue
        # A wrapped line can start with "1990. The"; as in Markdown, only 1 opens a list within a paragraph.
        item = bool(LIST_ITEM.match(content)) and (in_item or start < 0 or bool(_BULLET.match(content)))
        if start >= 0 and item:
            yield start, end, True
            start = -1
        in_item = item if start < 0 else in_item
        start, end = (line[0] if start < 0 else start), line[1]
    if start >= 0:
        yield start, end, True


def lines(text: str) -> Iterator[tuple[int, int]]:
    """The spans of all lines, empty ones included, without their line breaks; only `\\n` breaks a line."""
    start = 0
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield start, end
        start = end + 1


def closes(line: str, fence: str) -> bool:
    """Whether a line ends the code block that `fence` opened."""
    inner = line.strip(" \t>")
    return len(inner) >= len(fence) and set(inner) == {fence[0]}


def heading(line: str) -> tuple[int, str] | None:
    """Level and title of an ATX heading (`## Title ##`), None for any other line."""
    opened = _HEADING.match(line)
    if opened is None:
        return None
    title = line[opened.end() :].strip()
    bare = title.rstrip("#")
    closed = not bare or bare[-1] in " \t"
    return len(opened.group(1)), bare.rstrip() if closed else title


def _alone(line: str) -> bool:
    """Whether a line is a sentence by itself, or none at all."""
    if heading(line) is not None or _TABLE_ROW.match(line):
        return True
    return not any(letter.isalnum() for letter in line)


def _cuts(text: str, start: int, end: int) -> Iterator[int]:
    """Where sentences end within a stretch of prose."""
    item = LIST_ITEM.match(text, start, end)
    for stop in _STOP.finditer(text, item.end() if item else start, end):
        if stop.group()[0] in "。！？" or _ends(text, start, stop, end):
            yield stop.end()


def _ends(text: str, start: int, stop: re.Match[str], end: int) -> bool:
    """Whether a full stop followed by a blank ends its sentence."""
    after = text[stop.end() : min(end, stop.end() + 80)].lstrip().lstrip(_OPENING)
    if not after:
        return True
    if after[0].islower():
        return False
    if not stop.group().startswith(".") or stop.group().startswith(".."):
        return True
    before = _BEFORE.search(text[max(start, stop.start() - 40) : stop.start()])
    if before is None:
        return True
    word = before.group()
    opener = re.match(r"\w+", after)
    if len(stop.group()) > 1:  # a bracket or a quotation closes: "(and so on, etc.)"
        return True
    if word.casefold() in _NEVER_LAST:
        return False
    if word.casefold() in _BEFORE_NUMBER:
        return not after[0].isdigit() and not (len(word) == 1 and word.isupper() and not _opens(opener))
    if re.fullmatch(r"[^\W\d_]", word) or re.fullmatch(r"(?:[^\W\d_]\.)+[^\W\d_]", word):
        # An initial ("J. Marsh"), or dotted letters ("U.S. Navy", "at 5 p.m. She left").
        return _opens(opener) and not (len(word) > 1 and after[0].isdigit())
    return True


def _opens(word: re.Match[str] | None) -> bool:
    return word is not None and word.group().casefold() in _OPENERS
