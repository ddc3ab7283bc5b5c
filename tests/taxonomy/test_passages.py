"""Passages: within one heading, within the tokens, exact spans, and nothing of the text lost."""

from __future__ import annotations

import time

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


BLOCKS = """\
Words before the list:
- one two
- three four
  1. inner five
  2. inner six


- seven

Words before the table
| a | b |
|:--|--:|
| 1 | 2 |
and | a | third

boat | year
--- | ---
Vell | 1907

> quoted words
>
> ```
> # in a quotation
> ```

A title of
two lines
---------

    indented code


    # after blank lines

<table>
<tr>

<td>a cell</td>
<td><table><tr><td>inner</td></tr></table></td>

</tr>
</table>
After the table.

<table>
never closed

The end.
"""


def test_every_kind_of_block_stays_whole() -> None:
    title = ("A title of two lines",)
    assert cut(BLOCKS, 16) == [
        ((), "Words before the list:"),
        ((), "- one two\n- three four\n  1. inner five\n  2. inner six\n\n\n- seven"),
        ((), "Words before the table"),
        ((), "| a | b |\n|:--|--:|\n| 1 | 2 |\nand | a | third"),
        ((), "boat | year\n--- | ---\nVell | 1907"),
        ((), "> quoted words\n>\n> ```\n> # in a quotation\n> ```"),
        (title, BLOCKS[BLOCKS.index("    indented") : BLOCKS.index("\n\n<table>\nnever")]),
        (title, "<table>\nnever closed\n\nThe end."),
    ]
    smaller = [text for _, text in cut(BLOCKS, 9)]
    assert "    indented code\n\n\n    # after blank lines" in smaller
    assert BLOCKS[BLOCKS.index("<table>") : BLOCKS.index("\nAfter the")] in smaller


RST = """\
Orrin
=====

.. note::

   The first words.

   - and a list

.. csv-table:: Boats
   :header: a, b

   Vell, 1907

A paragraph::

    code, and

    # more code

=====  =====
boat   built
=====  =====
Vell   1907

Mora   1911
=====  =====

+------+------+
| boat | 1907 |
+------+------+

Weather
~~~~~~~

It rains.
"""


def test_blocks_of_restructuredtext_stay_whole() -> None:
    assert cut(RST, 14, "a.rst") == [
        (("Orrin",), ".. note::\n\n   The first words.\n\n   - and a list"),
        (("Orrin",), ".. csv-table:: Boats\n   :header: a, b\n\n   Vell, 1907\n\nA paragraph::"),
        (("Orrin",), "    code, and\n\n    # more code"),
        (("Orrin",), RST[RST.index("=====  =====") : RST.index("\n\n+---")]),
        (("Orrin",), "+------+------+\n| boat | 1907 |\n+------+------+"),
        (("Orrin", "Weather"), "It rains."),
    ]


def test_chinese_and_japanese_are_cut_at_their_full_stops() -> None:
    text = "# 島\n\n" + "渡し船は毎日出ます。" * 5 + "\n\n" + "船底塗料" * 10
    found = passages(Document("a.md", text), len, 25)
    assert [passage.text for passage in found] == [
        "渡し船は毎日出ます。" * 2,
        "渡し船は毎日出ます。" * 2,
        "渡し船は毎日出ます。",
        ("船底塗料" * 10)[:25],
        ("船底塗料" * 10)[25:],
    ]
    assert {passage.heading for passage in found} == {("島",)}


@pytest.mark.parametrize(
    "text",
    [
        "word " * 200_000,
        "x" * 1_000_000,
        "<table>\n" * 100_000,
        "<table>\n\n" * 50_000 + "</table>",
        "- a\n\n\n" * 50_000,
        "=== ===\n" * 100_000,
        "a | b\n" * 100_000,
        "```\n\n~~~\n" * 50_000,
        "\n" * 1_000_000,
        "# h\n" * 100_000,
        "title\n" * 100_000 + "---",
    ],
    ids="words letters tables blank-tables items borders pipes fences blanks headings lines".split(),
)
@pytest.mark.parametrize("path", ["a.md", "a.rst"])
def test_a_large_document_is_cut_in_little_time(text: str, path: str) -> None:
    start = time.process_time()
    found = passages(Document(path, text), len, 2000)
    assert time.process_time() - start < 5
    assert all(len(passage.text) <= 2000 for passage in found)


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
        named = any(line.strip() in title for title in titles)
        assert not lost or heading(line) or front or named or _underlined(text, at + len(line))
        at += len(line) + 1


def _underlined(text: str, end: int) -> bool:
    """Whether an underline stands in the three lines after the one that ends there: it may be of a title."""
    below = [line.strip() for line in text[end + 1 :].split("\n", 3)[:3]]
    return any(
        (bool(line) and set(line) <= {"="}) or (len(line) > 1 and set(line) == {"-"}) for line in below
    )
