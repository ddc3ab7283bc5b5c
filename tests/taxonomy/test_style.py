"""Style: yamllint's relaxed rules, each with the lines and columns that yamllint gives."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.taxonomy.leaves import skill, write

from feldspar.taxonomy import check
from feldspar.taxonomy.problems import STYLE, Findings
from feldspar.taxonomy.style import MOST, judge_style

Place = tuple[int, int, str]


def style(text: str, windows: bool = False) -> list[Place]:
    found = Findings("qna.yaml")
    judge_style(text, windows, found)
    assert all(problem.severity == "warning" and problem.mend for problem in found.problems)
    return sorted((problem.line, problem.column, problem.rule) for problem in found.problems)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: [x, y]\nc: {d: e}\n", []),
        ("a:  1\n", [(1, 4, "colons")]),
        ("a : 1\n", [(1, 2, "colons")]),
        ("a:\n  b\n", []),
        ("? a\n: b\n", []),
        ("?  a\n:  b\n", [(1, 3, "colons"), (2, 3, "colons")]),
        ("a: &x b\n*x : c\n", []),
        ("a: &x b\n*x  : c\n", [(2, 4, "colons")]),
        ("- a\n-  b\n", [(2, 3, "hyphens")]),
        ("-   - a\n    - b\n", [(1, 4, "hyphens")]),
        ("a: [x,y]\n", [(1, 7, "commas")]),
        ("a: [x , y]\n", [(1, 6, "commas")]),
        ("a: [x,  y]\n", [(1, 8, "commas")]),
        ("a: [x\n    , y]\n", [(2, 4, "commas")]),
        ("a: [x,\n    y]\n", []),
        ("a: [ x, y ]\n", []),
        ("a: [  x, y  ]\n", [(1, 6, "brackets"), (1, 12, "brackets")]),
        ("a: {  x: y  }\n", [(1, 6, "braces"), (1, 12, "braces")]),
        ("a: [  ]\nb: {  }\n", [(1, 6, "brackets"), (2, 6, "braces")]),
        ("a: [ ]\nb: { }\n", []),
        (
            "a: 1  \nb: |\n  x \n  y\t\n",
            [(1, 5, "trailing-spaces"), (3, 4, "trailing-spaces"), (4, 4, "trailing-spaces")],
        ),
        ("a: 1\n\n\nb: 2\n", []),
        ("a: 1\n\n\n\nb: 2\n", [(4, 1, "empty-lines")]),
        ("\n\na: 1\n", [(2, 1, "empty-lines")]),
        ("a: 1\n\n", [(2, 1, "empty-lines")]),
        ("a: |\n  x\n\n\n\n\n  y\n", [(6, 1, "empty-lines")]),
        (
            "a: 1\n \n \n \nb: 2\n",
            [(2, 1, "trailing-spaces"), (3, 1, "trailing-spaces"), (4, 1, "trailing-spaces")],
        ),
        ("a: 1", [(1, 5, "new-line-at-end-of-file")]),
        ("a: 1\n  ", [(2, 1, "trailing-spaces"), (2, 3, "new-line-at-end-of-file")]),
    ],
)
def test_blanks_and_lines(text: str, expected: list[Place]) -> None:
    assert style(text) == expected


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a:\n  b: 1\nc:\n  d: 1\n", []),
        ("a:\n    b: 1\nc:\n    d:\n        e: 1\n", []),
        ("a:\n  b: 1\nc:\n    d: 1\n", [4]),
        ("a:\n   b:\n     c: 1\n", [3]),
        ("a:\n- b\n- c\nd:\n- e\n", []),
        ("a:\n  - b\nd:\n  - e\n", []),
        ("a:\n  - b\nd:\n- e\n", [4]),
        ("a:\n- b\nd:\n  - e\n", [4]),
        ("a:\n- b\nd:\n  e: 1\n", []),
        ("a:\n  - b: 1\n    c:\n      - d\n", []),
        ("a:\n  - b: 1\n    c:\n    - d\n", [4]),
        ("a:\n  - b: 1\n    c:\n        - d\n", [4]),
        ("a:\n  -\n    b: 1\n", []),
        ("a:\n  -\n     b: 1\n", [3]),
        ("a:\n  - - b\n    - c\n", []),
        ("  a: 1\n  b: 2\n", [1]),
        ("a:\n  b\n", []),
        ("a:\n  b: 1\nc:\n    d\n", [4]),
        ("a: b\n     c\n   d\n", []),
        ("a: 'b\n c'\nd: \"e\n       f\"\n", []),
        ("a:\n  b: |\n       c\nd: >\n e\n", []),
        ("a: [b,\n    c]\n", []),
        ("a: [b,\n  c]\n", [2]),
        ("a: [\n  b,\n  c\n]\n", []),
        ("a:\n  x: 1\nb: [\n    c\n  ]\n", [4, 5]),
        ("a: {b: 1,\n    c: 2}\n", []),
        ("a: {\n  b: 1,\n   c: 2\n}\n", [3]),
        ("a: &x\n  b: 1\nc: *x\n", []),
        ("a: &x\n  b: 1\nc: !!map\n    d: 1\n", [4]),
        ("a: &x\nb:\n  c: 1\n", []),
        ("? a\n: b: 1\n  c: 2\n", []),
        ("?\n  a\n:\n  b\n", []),
        ("a:\n  - &x\n    b: 1\n", []),
        ("# comment\na:\n      # any\n  b: 1\n # any\n", []),
        ("a:\n  b: ''\n  c: 1\n", []),
        ("- a\n- b:\n    c\n", []),
        ("a: &x b\nc: d\n", []),
        ("? a\n: b\nc:\n    d: 1\n", [4]),
        ("- a:\n     b: 1\n", []),
        ("a: &x 'b\n  c'\nd:\n    e: 1\nf:\n    g: 1\n", []),
        ("a: !!str\n  b\nc:\n    d: 1\n", [4]),
        ("a: &x !!map\n  b: 1\n", [2]),
        ("? - a\n  - b\n: c\n", []),
        ("?\n    a\n:\n  b\n", [4]),
        ("? a\n:\n  - b\n  - c\n", []),
        ("a:\n  ? b\n  : - c\n    - d\n", []),
        ("a: [\n  b, [\n    c\n  ]\n]\n", []),
        ("a: {b: [c,\n        d]}\n", []),
        ("a:\n  - [b,\n     c]\n  - {d: e,\n     f: g}\n", []),
        ("a:\n-\n  b: 1\nc: 1\n", []),
        ("- - a\n-\n  - b\n", []),
        ("--- # c\na:\n  b: 1\n...\n", []),
    ],
)
def test_indentation(text: str, lines: list[int]) -> None:
    assert style(text) == [(line, column, "indentation") for line, column in _columns(text, lines)]


def test_messages_say_how_many_and_where() -> None:
    found = Findings("qna.yaml")
    judge_style("a:\n  b: 1\nc:\n d:  1\n\n\n\ne: [x,y]\n", False, found)
    assert [(problem.message, problem.mend) for problem in found.problems] == [
        ("3 empty lines", "keep at most 2"),
        ("too many blanks after the colon", "write one at most"),
        ("no blank after the comma", "write one"),
        ("one blank before this, where 2 belong", "indent it by 2"),
    ]


def _columns(text: str, lines: list[int]) -> list[tuple[int, int]]:
    said = text.split("\n")
    return [(line, len(said[line - 1]) - len(said[line - 1].lstrip()) + 1) for line in lines]


LOUD = "a:  1\nb:  2  \n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# yamllint disable-file\n" + LOUD, []),
        ("#yamllint disable-file \n" + LOUD, []),
        (
            "\n# yamllint disable-file\n" + LOUD,
            [(1, "empty-lines"), (3, "colons"), (4, "colons"), (4, "trailing-spaces")],
        ),
        ("# yamllint disable\n" + LOUD, []),
        ("#  yamllint disable\n" + LOUD, [(2, "colons"), (3, "colons"), (3, "trailing-spaces")]),
        ("# yamllint disable now\n" + LOUD, [(2, "colons"), (3, "colons"), (3, "trailing-spaces")]),
        ("# yamllint disable rule:colons\n" + LOUD, [(3, "trailing-spaces")]),
        ("# yamllint disable rule:colons rule:trailing-spaces\n" + LOUD, []),
        ("# yamllint disable rule:no-such\n" + LOUD, [(2, "colons"), (3, "colons"), (3, "trailing-spaces")]),
        ("a:  1\n# yamllint disable\nb:  1\n# yamllint enable\nc:  1\n", [(1, "colons"), (5, "colons")]),
        ("# yamllint disable\na:  1\n# yamllint enable rule:colons\nb:  1  \n", [(4, "colons")]),
        ("# yamllint disable-line\n" + LOUD, [(3, "colons"), (3, "trailing-spaces")]),
        ("a:  1 # yamllint disable-line rule:colons\nb:  1\n", [(2, "colons")]),
        ("a:  1\nb:  1 # yamllint disable-line\n", [(1, "colons")]),
        (
            "a:  1\nb:  1 # yamllint disable-line",
            [(1, "colons"), (2, "colons"), (2, "new-line-at-end-of-file")],
        ),
        ("a:  1\n# yamllint disable", [(1, "colons")]),
        ("a: |\n  # yamllint disable\nb:  1\n", [(3, "colons")]),
        ("a: '# yamllint disable'\nb:  1\n", [(2, "colons")]),
    ],
)
def test_comments_switch_rules_off(text: str, expected: list[tuple[int, str]]) -> None:
    assert [(line, rule) for line, _, rule in style(text)] == expected


def test_windows_line_ends_warn_once_and_strict_lets_them_be(tmp_path: Path) -> None:
    write(tmp_path, "s/a", skill(3).replace("\n", "\r\n"))
    (problem,) = check([tmp_path])
    assert (problem.rule, problem.line, problem.column) == ("new-lines", 1, 11)
    # As InstructLab's validator does: git makes such files of sound ones.
    assert [found.severity for found in check([tmp_path], strict=True)] == ["warning"]
    spaced = skill(3).replace("someone", "someone ").replace("\n", "\r\n")
    write(tmp_path, "s/a", spaced)
    assert [found.rule for found in check([tmp_path])] == ["new-lines", "trailing-spaces"]
    write(tmp_path, "s/a", skill(3).replace("\n", "\r"))
    assert check([tmp_path]) == ()


def test_strict_makes_errors_of_style_alone(tmp_path: Path) -> None:
    write(tmp_path, "s/a", skill(3).replace("created_by: someone", "created_by:  someone"), "")
    loose, strict = check([tmp_path]), check([tmp_path], strict=True)
    assert [(p.rule, p.severity) for p in loose] == [("attribution", "warning"), ("colons", "warning")]
    assert [(p.rule, p.severity) for p in strict] == [("attribution", "warning"), ("colons", "error")]


def test_long_stretches_take_no_time_and_fill_no_memory() -> None:
    started = time.monotonic()
    for text in (
        "a: x" + " " * 500_000 + "y\n",
        "a: x\n" + "\n" * 500_000 + "b: y",
        "a: |\n" + "  x  \n" * 100_000,
        "a: |\n  x\n" + "\n\n\n\n  x\n" * 100_000,
        "# yamllint disable rule:x" * 20_000 + "\na:  1\n",
        "# yamllint disable rule:a\n# yamllint enable\n" * 10_000 + "a:  1\n" * 2,
    ):
        assert len(style(text)) <= MOST + 1
    assert time.monotonic() - started < 5


SNIPPETS = "a: |b: |  |- |-  |[|]|{|}|, |,|\n|\n  |\n    |x|'|\"|# |&a |*a|!!str |? |\t|é|\n\n\n".split("|")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(SNIPPETS), max_size=30).map("".join))
def test_whatever_can_be_parsed_can_be_judged(text: str) -> None:
    import yaml

    try:
        if yaml.compose(text, Loader=yaml.SafeLoader) is None:
            return
    except yaml.YAMLError:
        return
    lines = text.count("\n") + 1
    for line, column, rule in style(text):
        assert 1 <= line <= lines
        assert column >= 1
        assert rule in STYLE
