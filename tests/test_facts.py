"""Numbers, names and content words: what grounds an answer, and what recall counts."""

from __future__ import annotations

import pytest

from feldspar.facts import content_words, holds, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Forty-two boats, 1,200 nets", ["42", "boat", "1200", "net"]),
        ("seventy\nthree", ["73"]),
        ("thirty forty five", ["30", "45"]),
        ("twenty", ["20"]),
        ("The crew was 20. Five drowned.", ["the", "crew", "was", "20", "5", "drown"]),
        ("Of the twenty, one stayed", ["of", "the", "20", "1", "stay"]),
    ],
)
def test_number_words_join_only_side_by_side(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_neighbouring_numbers_are_both_held() -> None:
    assert holds("The crew was 20. Five drowned.", "20")
    assert holds("The crew was 20. Five drowned.", "five")
    assert not holds("The crew was 20. Five drowned.", "25")


def test_content_words_leave_stop_words_out_and_join_nothing_over_them() -> None:
    assert content_words("Twenty of the five boats") == {"20", "5", "boat"}
