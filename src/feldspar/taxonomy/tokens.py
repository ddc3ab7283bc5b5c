"""The tokens of a YAML text, with their places, for the rules of style."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml


class Token(NamedTuple):
    """A token, or the whole of a scalar."""

    kind: type[yaml.Token]
    line: int
    """From 0, as all here."""
    column: int
    start: int
    """In characters from the start of the text."""
    end_line: int
    """Of a scalar that is a block, the line of its last letter."""
    end: int
    sign: str = ""
    """`?` for a key that is written with one; "empty" for a scalar without a letter."""


def tokens_of(text: str, loader: type[Any]) -> list[Token]:
    """Scan a text.

    Args:
        text: With `\\n` for every line end, and without a byte order mark.
        loader: PyYAML's own, or libyaml's.

    Raises:
        yaml.YAMLError: It cannot be scanned.
    """
    tokens: list[Token] = []
    scanner = loader(text)
    try:
        while (token := scanner.get_token()) is not None:
            kind, start, end = type(token), token.start_mark, token.end_mark
            end_line, sign = end.line, ""
            if kind is yaml.ScalarToken:
                if end_line > start.line:
                    end_line -= _blank_lines(text, start.index, end.index)
                sign = "" if token.value else "empty"
            elif kind is yaml.KeyToken and end.index > start.index:
                sign = "?"
            tokens.append(Token(kind, start.line, start.column, start.index, end_line, end.index, sign))
    finally:
        scanner.dispose()
    return tokens


def _blank_lines(text: str, start: int, end: int) -> int:
    """The line breaks among the blanks that a stretch ends in."""
    body = text[start:end]
    return body.count("\n", len(body.rstrip()))
