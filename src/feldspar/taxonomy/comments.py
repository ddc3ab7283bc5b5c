"""Comments that take away from a text what its author took for a part of it."""

from __future__ import annotations

import re

import yaml

from feldspar.taxonomy.problems import Findings

_HASHTAG = re.compile(r"#[^\W_][\w-]*")
_MOST_SHOWN = 40


def comment_after(node: yaml.Node) -> tuple[str, int]:
    """The comment that follows a plain value on its line, and its column from 1; "" where there is none."""
    mark = node.end_mark
    if not isinstance(node, yaml.ScalarNode) or node.style or mark is None or mark.buffer is None:
        return "", 0
    end = mark.buffer.find("\n", mark.pointer)
    rest = mark.buffer[mark.pointer : None if end < 0 else end]
    comment = rest.lstrip(" \t")
    return (comment, mark.column + len(rest) - len(comment) + 1) if comment.startswith("#") else ("", 0)


def judge_comment(node: yaml.Node, name: str, found: Findings) -> None:
    """Warn where a text seems to go on in a comment: with a number or a word that touches its `#`."""
    comment, column = comment_after(node)
    hashtag = _HASHTAG.match(comment)
    if hashtag and node.value:
        told = f"all from `{hashtag.group()[:_MOST_SHOWN]}` on is a comment, and no part of {name}"
        found.warn((node.end_mark.line + 1, column), "comment-in-text", told, "quote the text")
