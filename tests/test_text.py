"""Sentences: where they end, where they do not, and that none is lost."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feldspar.text import heading, sentences


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rained. We left.", ["It rained.", "We left."]),
        ("Dr. Orrin met Mrs. Vale. They spoke.", ["Dr. Orrin met Mrs. Vale.", "They spoke."]),
        ("It costs 3.5 crowns. Pay.", ["It costs 3.5 crowns.", "Pay."]),
        ("J. R. Marsh wrote it. It sold.", ["J. R. Marsh wrote it.", "It sold."]),
        ("See Fig. 3 and No. 7. No. I will not.", ["See Fig. 3 and No. 7.", "No.", "I will not."]),
        ("Open at 5 p.m. on Jan. 5. Closed later.", ["Open at 5 p.m. on Jan. 5.", "Closed later."]),
        ("They eat vitamin C. It helps.", ["They eat vitamin C.", "It helps."]),
        ("The U.S. Navy sailed. It sank.", ["The U.S. Navy sailed.", "It sank."]),
        ('"Really?" she said. "Yes." He left.', ['"Really?" she said.', '"Yes."', "He left."]),
        ("Fruit, e.g. Figs, is sweet (as said.) Good.", ["Fruit, e.g. Figs, is sweet (as said.)", "Good."]),
        ("Wait... what? Now!", ["Wait... what?", "Now!"]),
        ("今日は。元気です！はい", ["今日は。", "元気です！", "はい"]),
        ("Visit a.b.c/d.html today", ["Visit a.b.c/d.html today"]),
    ],
)
def test_sentence_ends(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_layout_ends_sentences_and_a_wrapped_line_does_not() -> None:
    text = (
        "# Title\nFirst line\ngoes on. Then\n1990. The end\n- one\n  more\n- two\n\n| a | b |\n| c. D | e |\n"
    )
    assert split(text) == [
        "# Title",
        "First line\ngoes on.",
        "Then\n1990.",
        "The end",
        "- one\n  more",
        "- two",
        "| a | b |",
        "| c. D | e |",
    ]


def test_code_is_taken_line_by_line() -> None:
    assert split("```py\nx = 1. Y\n# no title\n```\nText.") == [
        "```py",
        "x = 1. Y",
        "# no title",
        "```",
        "Text.",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [("## Two ##", (2, "Two")), ("# C#", (1, "C#")), ("#", (1, "")), ("#no", None), ("    # code", None)],
)
def test_headings(line: str, expected: tuple[int, str] | None) -> None:
    assert heading(line) == expected


@given(st.text(alphabet=st.sampled_from("aB1 .!?\n#-*|`>\t\"')。é"), max_size=200) | st.text(max_size=80))
def test_spans_are_ordered_tight_and_lose_nothing(text: str) -> None:
    spans = sentences(text)
    behind = 0
    for start, end in spans:
        assert behind <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        assert not text[behind:start].strip()
        behind = end
    assert not text[behind:].strip()


@pytest.mark.parametrize("unit", [".", "# ", " ", "> ", "(((. ", "``` ", "a.\n", '.")'])
def test_time_grows_linearly(unit: str) -> None:
    started = time.perf_counter()
    sentences("x" + unit * (200_000 // len(unit)) + "x")
    assert time.perf_counter() - started < 5
