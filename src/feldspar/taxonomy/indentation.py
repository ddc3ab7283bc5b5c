"""yamllint's rule `indentation` as its `relaxed` settings have it, written anew.

What opens a block below a key or a dash is indented by a step; the first step of the file is the step of
all. Lists below a key are all indented, or none is. Lines within a scalar are free. What stands beside
its key, dash or bracket sets the column of what follows below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from feldspar.taxonomy.problems import Findings
from feldspar.taxonomy.tokens import Token

_PROPERTIES = (yaml.AnchorToken, yaml.TagToken)
_CLOSING = (yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_NOTHING = (yaml.BlockEndToken, *_CLOSING, yaml.KeyToken)


@dataclass(slots=True)
class _Course:
    """How far a file is read, and what it was found to keep to."""

    tokens: Sequence[Token]
    found: Findings
    now: Token
    """The token to come; after the last one, the last."""
    at: int = 0
    step: int | None = None
    lists: bool | None = None
    """Whether lists below a key are indented."""
    line: int = -1
    """The last line that a token lies in."""
    margin: int = 0
    """The column of the first token in that line."""


def judge_indentation(tokens: Sequence[Token], found: Findings) -> None:
    """Note each line that starts at another column than it should.

    Args:
        tokens: Of a text that can be parsed, nested not too deep for recursion.
        found: Where the problems go.
    """
    if not tokens:
        return
    course = _Course(tokens, found, tokens[0])
    while course.at < len(tokens):
        before = course.at
        _value(course, 0)
        if course.at == before:
            _pass(course, 0)


def _pass(course: _Course, expected: int) -> Token:
    """Go past a token; where it is the first of its line, it has to stand at the expected column."""
    token = course.now
    _step(course)
    if token.sign == "empty" or token.kind in (
        yaml.StreamStartToken,
        yaml.StreamEndToken,
        yaml.BlockEndToken,
    ):
        return token
    if token.line > course.line:
        course.margin = token.column
        if token.column != expected:
            told = f"{_blanks(token.column)} before this, where {max(expected, 0)} belong"
            mend = f"indent it by {max(expected, 0)}"
            course.found.warn((token.line + 1, token.column + 1), "indentation", told, mend)
    course.line = token.end_line
    return token


def _blanks(number: int) -> str:
    return "one blank" if number == 1 else f"{number or 'no'} blanks"


def _step(course: _Course) -> None:
    course.at += 1
    if course.at < len(course.tokens):
        course.now = course.tokens[course.at]


def _deeper(course: _Course, base: int, token: Token) -> int:
    """The column one step in from `base`; the first one to ask says how wide a step is."""
    if course.step is None:
        course.step = token.column - base
    return base + course.step


def _value(course: _Course, expected: int, of_key: bool = False) -> None:
    """Go past a whole value, if there is one.

    Args:
        course: Where we are.
        expected: The column of a line that starts with the value.
        of_key: Whether it is a key, or the value of one: there a list may stand that is not indented.
    """
    _properties(course, expected)
    kind = course.now.kind
    if kind is yaml.BlockMappingStartToken:
        _block_mapping(course, expected)
    elif kind is yaml.BlockSequenceStartToken:
        column = _pass(course, expected).column
        while course.now.kind is yaml.BlockEntryToken:
            _item(course, column, column)
        if course.now.kind is yaml.BlockEndToken:
            _pass(course, column)
    elif kind is yaml.BlockEntryToken and of_key:
        # Such a list has no tokens for its start and end.
        column = course.now.column
        _item(course, column, expected)
        while course.now.kind is yaml.BlockEntryToken:
            _item(course, column, column)
    elif kind in (yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken):
        _flow(course, expected)
    elif kind in (yaml.ScalarToken, yaml.AliasToken):
        _pass(course, expected)


def _properties(course: _Course, expected: int) -> None:
    while course.now.kind in _PROPERTIES:
        _pass(course, expected)


def _block_mapping(course: _Course, expected: int) -> None:
    column = _pass(course, expected).column
    while course.now.kind is yaml.KeyToken:
        _key(course, column)
    if course.now.kind is yaml.BlockEndToken:
        _pass(course, column)


def _key(course: _Course, column: int) -> None:
    """A key with its value, in a block or between brackets."""
    key = _pass(course, column)
    explicit = key.sign == "?"
    apart = explicit and course.now.line > key.line
    _value(course, _deeper(course, column, course.now) if apart else column, of_key=True)
    kind = course.now.kind
    if kind is not yaml.ValueToken:
        return
    # Where the key is nothing but `?`, it is what the value stands beside.
    beside = course.tokens[course.at - 1]
    _pass(course, column)
    first = course.now
    if first.kind in _PROPERTIES:
        after = course.tokens[course.at + 1]
        if first.line == beside.line and first.line < after.line:
            first = after
    if first.kind in _NOTHING:
        _properties(course, column)
        return
    if explicit:
        expected = _deeper(course, column, first)
    elif first.line == beside.line:
        expected = first.column
    elif first.kind in (yaml.BlockSequenceStartToken, yaml.BlockEntryToken):
        expected = _list_column(course, column, first)
    else:
        expected = _deeper(course, column, first)
    _value(course, expected, of_key=True)


def _list_column(course: _Course, column: int, first: Token) -> int:
    """Where a list below a key is to start; the first list of the file says whether it is indented."""
    if course.lists is None:
        course.lists = first.column != column
    return _deeper(course, column, first) if course.lists else column


def _item(course: _Course, column: int, expected: int) -> None:
    """A dash of a list at a column, and what follows it."""
    dash = _pass(course, expected)
    first = course.now
    if first.kind in (yaml.BlockEntryToken, yaml.BlockEndToken):
        return
    if first.line == dash.end_line or first.column == column:
        expected = first.column
    else:
        expected = _deeper(course, column, first)
    _value(course, expected)


def _flow(course: _Course, expected: int) -> None:
    """A mapping in braces, or a list in brackets."""
    opening = _pass(course, expected)
    margin, first = course.margin, course.now
    column = first.column if first.line == opening.line else _deeper(course, margin, first)
    while (kind := course.now.kind) not in _CLOSING and kind is not yaml.StreamEndToken:
        before = course.at
        if kind is yaml.KeyToken:
            _key(course, column)
        else:
            _value(course, column)
        if course.at == before:
            _pass(course, column)
    _pass(course, margin)
