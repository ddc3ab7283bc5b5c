"""Passages: within one heading, within the tokens, exact spans, and nothing of the text lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feldspar.errors import RecipeError
from feldspar.taxonomy import passages
from feldspar.text import heading
from feldspar.types import Document

ISLAND = """---
title: left out
---
# Orrin

Orrin is an island. It has two harbours.

## Boats

The boats are blue.

- nets
- oars

  of ash

| boat | year |
|------|------|
| Vell | 1907 |

```sh
# not a heading

row --fast
```

Weather
=======

It rains.
"""


def words(text: str) -> int:
    return len(text.split())


def cut(text: str, limit: int, path: str = "a.md") -> list[tuple[tuple[str, ...], str]]:
    return [(passage.heading, passage.text) for passage in passages(Document(path, text), words, limit)]


def test_sections_are_merged_up_to_the_limit_and_never_across_headings() -> None:
    found = cut(ISLAND, 100)
    assert [heading for heading, _ in found] == [("Orrin",), ("Orrin", "Boats"), ("Weather",)]
    assert found[0][1] == "Orrin is an island. It has two harbours."
    assert found[1][1].startswith("The boats are blue.")
    assert found[1][1].endswith("row --fast\n```")


def test_blocks_stay_whole_where_they_fit() -> None:
    texts = [text for heading, text in cut(ISLAND, 12) if heading == ("Orrin", "Boats")]
    assert texts == [
        "The boats are blue.\n\n- nets\n- oars\n\n  of ash",
        "| boat | year |\n|------|------|\n| Vell | 1907 |",
        "```sh\n# not a heading\n\nrow --fast\n```",
    ]


def test_a_large_block_is_cut_at_sentences_then_words_then_characters() -> None:
    text = "One two three. Four five. " + " ".join("Abcdefgh")
    assert [text for _, text in cut(text, 5)] == ["One two three. Four five.", "A b c d e", "f g h"]
    found = passages(Document("a.txt", "x" * 25), len, 10)
    assert [passage.text for passage in found] == ["x" * 10, "x" * 10, "x" * 5]


def test_a_code_block_in_a_list_holds_no_heading() -> None:
    assert cut("- item\n  ```\n  # comment\n\n  more\n  ```\n- next\n", 50) == [
        ((), "- item\n  ```\n  # comment\n\n  more\n  ```\n- next")
    ]


def test_restructuredtext_titles() -> None:
    text = "=====\nOrrin\n=====\n\nAn island.\n\nBoats\n-----\n\nBlue.\n\n# no title\n\nRain\n-----\n\nWet.\n"
    assert cut(text, 50, "a.rst") == [
        (("Orrin",), "An island."),
        (("Orrin", "Boats"), "Blue.\n\n# no title"),
        (("Orrin", "Rain"), "Wet."),
    ]


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(RecipeError, match="0 tokens"):
        passages(Document("a.md", "text"), words, 0)


LINE = st.sampled_from(
    [
        "# One",
        "## Two ##",
        "Title\n===",
        "- item",
        "  more",
        "1. first",
        "```",
        "~~~",
        "| a | b |",
        "",
        "",
        "---",
    ]
) | st.text(alphabet="ab C.!? \t*>#`é。", max_size=30)


@given(st.lists(LINE, max_size=25).map("\n".join), st.integers(1, 12))
def test_spans_are_exact_and_nothing_is_lost(text: str, limit: int) -> None:
    document = Document("a.md", text)
    found = passages(document, len, limit)
    covered = set()
    behind = 0
    for passage in found:
        assert passage.text == text[passage.start : passage.end]
        assert behind <= passage.start < passage.end
        assert len(passage.text) <= limit
        behind = passage.end
        covered.update(range(passage.start, passage.end))
    titles = {name for passage in found for name in passage.heading} | {"One", "Two", "Title"}
    at = 0
    for line in text.split("\n"):
        lost = any(line[i].isalnum() and at + i not in covered for i in range(len(line)))
        front = text.startswith("---")
        assert (
            not lost or heading(line) or front or line.strip() in titles or _underlined(text, at + len(line))
        )
        at += len(line) + 1


def _underlined(text: str, end: int) -> bool:
    """Whether the line after the one that ends there is an underline: then that one is a title."""
    below = text[end + 1 :].split("\n", 1)[0].strip()
    return (bool(below) and set(below) <= {"="}) or (len(below) > 1 and set(below) == {"-"})
