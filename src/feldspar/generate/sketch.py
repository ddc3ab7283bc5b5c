"""Sketches of texts: what rules out, for thousands of texts at once, that ROUGE-L reaches a threshold.

Why none is missed. ROUGE-L of texts of m and n words is F = 2 lcs/(m + n), and a common subsequence is
no longer than what the two bags of words share. So F >= t needs that t(m + n)/2 words are shared: as
many pairs (word, how often it has come so far) stand in both bags. A sketch is the set of the rows that
a text's pairs are hashed to. Of a draft's pairs, each that is in the other bag has its row in the other
sketch; so at least t(m + n)/2 of them have. And lcs <= min(m, n) bounds n to t m/(2 - t) .. m (2 - t)/t.

Sketches of many texts are a matrix of bits: a column for each text, a row for each hash of a pair and
each class of lengths. The rows of a draft's pairs, as integers, are added up column by column with the
gates of a binary adder; then each class of lengths has the columns that reach its bound.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from feldspar.text import words

_FIRST, _AGAIN = 512, 512
"""Rows of the words that come for the first time in a text, and of those that come again."""

_SLACK = 1e-6
"""What a product of floats may be off, as a share: far more than it can be."""


def _classes() -> list[int]:
    bounds = [0]
    while bounds[-1] < 4000:
        bounds.append(max(bounds[-1] + 1, int(bounds[-1] * 1.08)))
    return bounds


_LENGTHS = _classes()
"""Words from which on a text is of the next class of lengths; up to 25 words each is a class."""

_CLASSES = _FIRST + _AGAIN
"""The row of the first class of lengths."""

ROWS = _CLASSES + len(_LENGTHS)

Tokens: TypeAlias = "array[int]"
"""A text's words, each as 64 bits that are this process's alone: rapidfuzz compares the same hashes."""


def tokens(text: str) -> Tokens:
    """The words of a text; of one without words a single token, which only its equal has."""
    found = words(text) or [f" {' '.join(text.split())}"]
    return array("Q", array("q", map(hash, found)).tobytes())


def sketch(text: Tokens) -> list[int]:
    """The row of each of a text's words; two words can be of one row, and stand there twice."""
    rows = []
    for word, count in Counter(text).items():
        rows.append(word % _FIRST)
        rows += [_FIRST + (word + turn * 131) % _AGAIN for turn in range(1, count)]
    return rows


def length_row(count: int) -> int:
    """The row of the class that a length, in words, is of."""
    return _CLASSES + bisect_right(_LENGTHS, count) - 1


def needs(count: int, threshold: float) -> tuple[int, list[int]]:
    """How many of a draft's rows a text must have, by the classes of lengths that are possible at all.

    Args:
        count: The draft's words.
        threshold: ROUGE-L F-measure, above 0 and up to 1.

    Returns:
        The row of the first possible class, and the least number of shared rows from it on.
    """
    shortest = threshold * count / (2 - threshold) * (1 - _SLACK)
    longest = count * (2 - threshold) / threshold * (1 + _SLACK)
    first, last = length_row(math.ceil(shortest)), length_row(int(longest))
    found = []
    for bound in _LENGTHS[first - _CLASSES : last - _CLASSES + 1]:
        found.append(math.ceil(threshold * (count + max(bound, shortest)) / 2 * (1 - _SLACK)))
    return first, found


def sums(rows: Sequence[int]) -> list[int]:
    """The sum of each column over rows of bits: its binary digits, the lowest first, as rows again."""
    digits = []
    level = list(rows)
    while level:
        carries = []
        while len(level) > 2:
            one, other, third = level.pop(), level.pop(), level.pop()
            half = one ^ other
            carries.append((one & other) | (half & third))
            level.append(half ^ third)
        if len(level) == 2:
            carries.append(level[0] & level[1])
            level = [level[0] ^ level[1]]
        digits.append(level[0])
        level = carries
    return digits


def reaching(digits: Sequence[int], least: int, among: int) -> int:
    """Those of some columns whose sum is `least` or more."""
    if least >> len(digits):
        return 0
    above, equal = 0, among
    for place in reversed(range(len(digits))):
        both = equal & digits[place]
        if least >> place & 1:
            equal = both
        else:
            above |= both
            equal ^= both
        if not equal:
            break
    return above | equal


def columns(row: int) -> Iterator[int]:
    """The places of a row's bits, the lowest first."""
    while row:
        lowest = row & -row
        yield lowest.bit_length() - 1
        row ^= lowest
