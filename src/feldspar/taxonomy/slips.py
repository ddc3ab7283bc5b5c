"""What a person most likely did where a file is not YAML, and how to mend it.

A parser tells where it came to a halt. The slips that people make often are looked for in the lines around.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from feldspar.taxonomy.letters import ODD_BLANKS, UNSEEN, named
from feldspar.taxonomy.problems import START, Findings
from feldspar.taxonomy.shapes import IN_GIT, KNOWLEDGE_SEED, LATEST, PAIR, SKILL_SEED, TEXTS, shape

_TOLD: tuple[tuple[str, str, str], ...] = (
    # What PyYAML says, what a curator is told ("" for the same), and the mend.
    (
        r"'\t' that cannot start",
        "a tab stands where only blanks may",
        "indent and part with blanks, not tabs",
    ),
    ("but found '\\t'", "a tab stands where only blanks may", "write blanks in its place"),
    (
        "mapping values are not allowed",
        "a second `: ` in the value of a key",
        "quote a value that holds a colon and a blank, or write it as a block below `|`",
    ),
    (
        "could not find expected ':'",
        "the lines before this one make no key and value",
        "indent a text that goes on more than its key, and write a key as `key: value`",
    ),
    (
        "expected <block end>",
        "this fits none of the lines above it",
        "align keys with the keys, and dashes with the dashes, that they belong to",
    ),
    ("cannot start any token", "", "quote a value that starts with a sign"),
    ("sequence entries are not allowed", "a list starts in the middle of a line", "start it on a new line"),
    ("mapping keys are not allowed", "", "quote a value that starts with ?"),
    ("unexpected end of stream", "a quote or a bracket is never closed", "close it"),
    ("but got '<stream end>'", "a bracket is never closed", "close it"),
    ("unknown escape character", "", "double the backslash, or quote with ' in place of \""),
    ("escape sequence", "", "double the backslash, or quote with ' in place of \""),
    ("undefined alias", "", "quote a value that starts with *"),
    (
        "duplicate anchor",
        "an anchor of this name stands before",
        "name one of them otherwise; quote a value that starts with &",
    ),
    ("expected alphabetic or numeric", "", "quote a value that starts with * or &"),
    ("another document", "a second document starts here", "keep one document a file: remove the `---`"),
    ("chomping or indentation", "", "write a block's text below its `|` or `>`, not beside it"),
    ("comment or a line break", "", "write a block's text below its `|` or `>`, not beside it"),
    ("document start", "the text above has come to its end", "indent this to where it belongs, or remove it"),
    ("but got '?'", "a question mark within brackets", "quote the text that it stands in"),
    ("',' or", "", "part the items by commas, and quote one that holds , : [ ] { or }"),
    ("directive", "", "quote a value that starts with %"),
    ("tag", "", "quote a value that starts with !"),
)

_TEXT_KEYS = frozenset((*TEXTS, "question", "answer", "context"))
_KEYS = _TEXT_KEYS.union(
    *(part.required for part in (IN_GIT, KNOWLEDGE_SEED, PAIR, SKILL_SEED, shape("knowledge", LATEST)))
)
_MERGE = re.compile(r"^(?:<{7}(?: .*)?|>{7}(?: .*)?|={7})$", re.MULTILINE)
_OTHER_END = re.compile("[\x85\u2028\u2029]")
_FENCE = re.compile(r"[ \t]*(?:- +)?(?:\w+:[ \t]+)?(```|~~~)")
_ODD_BLANK = re.compile(rf"[ \t]*(?:-[ \t]*)?(?:\w+:)?([{ODD_BLANKS}{UNSEEN}])")
_BRACKET = re.compile(r"[ \t]*(?:-[ \t]+)*(?:\w+:[ \t]+)?[\[{]")
_KEY = re.compile(r"[ \t]*(?:- +)?(\w+)[ \t]*$")
_TEXT_BEFORE = re.compile(r"[ \t]*(?:- +)?(\w+):[ \t]+$")
_COMMENT = re.compile(r"[ \t]*(?:- +)?(?:\w+:[ \t]+)?[^\s#'\"|>][^#]*[ \t]#\S")
_LINES_BEFORE = 2
_LONGEST_LINE = 10_000
_BRACKET_MEND = "quote a value that starts with [ or {"

Slip = tuple[tuple[int, int], str, str]
"""Place, words and mend."""


def place_of(mark: Any, text: str) -> tuple[int, int]:
    """Line and column of a parser's mark, as editors count them; the start where there is no mark."""
    if mark is None:
        return 1, 1
    return text.count("\n", 0, mark.index) + 1, mark.index - text.rfind("\n", 0, mark.index)


def not_yaml(error: yaml.MarkedYAMLError, text: str, found: Findings) -> None:
    """Note why a text is not YAML, by the parser's words or the slip behind them."""
    told = ", ".join(part for part in (error.context, error.problem) if part)
    mark, start = error.problem_mark or error.context_mark, error.context_mark
    slip = _slip(told, mark, start, text) if mark is not None else None
    if slip is not None:
        place, words, mend = slip
        found.error(place, "yaml", f"not YAML: {words}", mend)
        return
    words, mend = "", "mind the indentation and the quotes around this line"
    for sign, *better in _TOLD:
        if sign in told or sign in (error.note or ""):
            words, mend = better
            break
    place, begun = place_of(mark, text), place_of(start, text)[0]
    since = f", begun in line {begun}" if start and begun < place[0] else ""
    at = place if mark else START
    found.error(at, "yaml", f"not YAML: {words or told or 'it cannot be parsed'}{since}", mend)


def _slip(told: str, mark: yaml.Mark, start: yaml.Mark | None, text: str) -> Slip | None:
    """A slip that explains an error."""
    merge = _MERGE.search(text)
    if merge:
        place = (text.count("\n", 0, merge.start()) + 1, 1)
        return place, f"a merge conflict, `{merge.group()[:7]}`", "keep one side, and remove git's lines"
    place = place_of(mark, text)
    above = text.rfind("\n", 0, max(0, mark.index - place[1])) + 1
    ends = list(_OTHER_END.finditer(text, max(above, mark.index - _LONGEST_LINE), mark.index))
    if ends:
        at, letter = ends[-1].start(), ends[-1].group()
        where = (text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        return where, f"U+{ord(letter):04X} ends a line here, unseen", "write a blank in its place"
    for number, line in _lines_back(place[0], mark.index, text):
        slip = _fence(number, line) or _odd_blank(number, line)
        if slip:
            return slip
    before = text[mark.index - min(place[1] - 1, _LONGEST_LINE) : mark.index]
    return _bracket(told, place, before, start, text) or _layout(told, place, before, mark, text)


def _lines_back(number: int, index: int, text: str) -> Iterator[tuple[int, str]]:
    """The line of an error, and those that hold something right before it, from the last on."""
    end = text.find("\n", index)
    end = len(text) if end < 0 else end
    left = _LINES_BEFORE + 1
    while left and number:
        begin = text.rfind("\n", 0, end) + 1
        line = text[begin : min(end, begin + _LONGEST_LINE)]
        if line.strip():
            left -= 1
            yield number, line
        number, end = number - 1, begin - 1


def _fence(number: int, line: str) -> Slip | None:
    fence = _FENCE.match(line)
    if fence is None:
        return None
    mend = "remove it; where it belongs to a text, write that below `|`, all lines of it indented alike"
    return (number, fence.start(1) + 1), f"a Markdown fence, {fence.group(1)}", mend


def _odd_blank(number: int, line: str) -> Slip | None:
    odd = _ODD_BLANK.match(line)
    if odd is None:
        return None
    told = f"{named(odd.group(1))} stands where only blanks may"
    return (number, odd.start(1) + 1), told, "write plain blanks in its place"


def _bracket(
    told: str, place: tuple[int, int], before: str, start: yaml.Mark | None, text: str
) -> Slip | None:
    """A text that starts with a bracket, which YAML takes for a list or a mapping."""
    closed = before.rstrip(" ").endswith(("]", "}"))
    if "expected <block end>" in told and closed and _BRACKET.match(before):
        return place, "text after a bracket that ends", _BRACKET_MEND
    if start is not None and "while parsing a flow" in told:
        line, column = place_of(start, text)
        key = _TEXT_BEFORE.match(text[start.index - min(column - 1, _LONGEST_LINE) : start.index])
        if key and key.group(1) in _TEXT_KEYS:
            told = f"the bracket that `{key.group(1)}` starts with in line {line} is open"
            return place, told, _BRACKET_MEND
    return None


def _layout(told: str, place: tuple[int, int], before: str, mark: yaml.Mark, text: str) -> Slip | None:
    """A key that is indented amiss, a quote that ends early, a comment within a text of several lines."""
    key = _KEY.match(before)
    if "mapping values are not allowed" in told and key and key.group(1) in _KEYS:
        told = f"`{key.group(1)}:` here, or the key above it, is indented amiss"
        return place, told, "align keys with the keys, and dashes with the dashes, that they belong to"
    if "found '<scalar>'" not in told:
        return None
    if before.rstrip(" ").endswith(("'", '"')):
        mend = "double a quote that stands within quotes of its kind, as in 'it''s', or use the other kind"
        return place, "text after a quote that ends", mend
    above = [line for number, line in _lines_back(place[0], mark.index, text) if number < place[0]]
    if above and _COMMENT.match(above[0]):
        mend = "quote the text, or write it below `|`"
        return place, "a text goes on after a comment: what follows a blank and # is one", mend
    return None
