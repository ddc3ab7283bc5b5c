"""What each version asks of a leaf, and the place, rule and mend of each problem."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.taxonomy.leaves import LOCAL, REPO, knowledge, skill, write

from feldspar.taxonomy import Problem, check


def problems(tmp_path: Path, text: str | bytes, leaf: str = "compositional_skills/a") -> list[Problem]:
    write(tmp_path, leaf, text)
    (tmp_path / leaf / "island.md").write_text("# Orrin\n\nAn island.\n")
    return list(check([tmp_path]))


def rules(tmp_path: Path, text: str | bytes, leaf: str = "compositional_skills/a") -> list[str]:
    return [problem.rule for problem in problems(tmp_path, text, leaf)]


@pytest.mark.parametrize(
    "text",
    [
        skill(None, 1),
        skill(1, 1).replace("Write riddles.", "''"),
        skill(1, 3) + "  - question: Riddle 0?\n    answer: Answer 0.\n",
        skill(2),
        skill(3),
        skill(4, 1, "license: CC-BY-4.0\nstyle: creative\n"),
        skill(3) + "  - question: Q\n    answer: A\n    context: C\n",
        skill(3) + "  - &a\n    question: Q\n    answer: A\n  - <<: *a\n    answer: B\n",
    ],
)
def test_sound_skills(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == []


@pytest.mark.parametrize(
    "text",
    [
        knowledge(),
        knowledge(4, 1, 1, LOCAL),
        knowledge(4, 1, 1, REPO, "license: Apache-2.0 OR MIT\n"),
        knowledge() + "        note: further keys are free in a pair\n",
    ],
)
def test_sound_knowledge(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text, "knowledge/a") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (skill(2, 4), ["too-few-seeds"]),
        (skill(3, 0).replace("seed_examples:", "seed_examples: []"), ["too-few-seeds"]),
        (skill(1, 0).replace("seed_examples:", "seed_examples: []"), ["too-few-seeds"]),
        (skill(3) + "  - question: Riddle 0?\n    answer: Answer 0.\n", ["repeated-seed"]),
        (skill(3).replace("Write riddles.", "''"), ["blank"]),
        (skill(3).replace("someone", "12"), ["type"]),
        (skill(3).replace("someone", "2024-05-01"), ["type"]),
        (skill(3).replace("someone", "yes"), ["type"]),
        (skill(3).replace("someone", ""), ["type", "trailing-spaces"]),
        (skill(3).replace("Answer 1.", "!!python/object:os.system x"), ["type"]),
        (skill(3).replace("created_by: someone\n", ""), ["missing-key"]),
        (skill(None).replace("created_by", "version: '3'\ncreated_by"), ["version"]),
        (skill(9), ["version"]),
        (skill(3).replace("version: 3", "version: true"), ["version"]),
        (skill(3).replace("version: 3", "version: 3.0"), ["version"]),
        (skill(3, extra="created_by: again\n"), ["duplicate-key"]),
        (skill(3, extra="license: MIT\n"), ["unknown-key"]),
        (skill(3, extra=REPO), ["unknown-key"]),
        (skill(3, extra="1: x\n"), ["key-type"]),
        (skill(4, 1, "license: free for all\n"), ["license"]),
        (skill(4, 1, "style: funny\n"), ["style"]),
        ("- a\n- b\n", ["type"]),
        ("just text\n", ["type"]),
        ("a: [b\n", ["yaml"]),
        ("a: b\n---\nc: d\n", ["yaml"]),
        ("a: *b\n", ["yaml"]),
        ("", ["empty-file"]),
        ("# nothing\n", ["empty-file"]),
        ("{}\n", ["empty-file"]),
        (b"a: \xff\n", ["encoding"]),
        (b"a: \x00\n", ["control-character"]),
        (skill(3).replace("Answer 1.", '"a\\0b"'), ["control-character"]),
        (b"\xff\xfe" + skill(3).encode("utf-16-le"), ["encoding"]),
        ("[" * 5000, ["too-deep"]),
        ("- " * 5000, ["too-deep"]),
        ("- a\n" * 100_001, ["too-many-values"]),
        ("a: &a [" + "x, " * 999 + "x]\nb: &b [" + "*a, " * 99 + "*a]\nc: [*b, *b]\n", ["too-many-values"]),
        ("a: &a\n  b: *a\n", ["too-many-values"]),
        (b"a: " + b"x" * 2_000_001, ["unreadable"]),
    ],
)
def test_broken_skills(tmp_path: Path, text: str | bytes, expected: list[str]) -> None:
    assert rules(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (knowledge(1), ["deprecated-version"]),
        (knowledge(2), ["deprecated-version"]),
        (knowledge().replace("version: 3\n", ""), ["deprecated-version"]),
        (knowledge(seeds=4), ["too-few-seeds"]),
        (knowledge(pairs=2), ["too-few-questions"] * 5),
        (knowledge(document=LOCAL), ["missing-key", "missing-key", "missing-key", "unknown-key"]),
        (knowledge(document=""), ["missing-key"]),
        (knowledge(document=REPO + "    - '*.md'\n"), ["repeated"]),
        (knowledge(document="document:\n  repo: r\n  commit: c\n  patterns: []\n"), ["too-few"]),
        (knowledge(4, document=LOCAL + "  repo: r\n"), ["unknown-key"]),
        (knowledge() + "      - question: What 4 2?\n        answer: That 4 2.\n", ["repeated-seed"]),
        (knowledge(extra="task_description: x\n"), ["unknown-key"]),
    ],
)
def test_broken_knowledge(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert sorted(rules(tmp_path, text, "knowledge/a")) == expected


def test_a_problem_says_where_and_how_to_mend_it(tmp_path: Path) -> None:
    text = skill(3).replace("task_description", "task_descriptoin")
    unknown, missing = sorted(problems(tmp_path, text), key=lambda p: p.rule, reverse=True)
    assert (unknown.rule, unknown.line, unknown.column) == ("unknown-key", 3, 1)
    assert unknown.mend == "did you mean `task_description`?"
    assert unknown.file == str(tmp_path / "compositional_skills/a/qna.yaml")
    assert missing.rule == "missing-key"
    number = problems(tmp_path, skill(3).replace("Answer 2.", "42"))[0]
    assert (number.line, number.column) == (10, 13)
    assert number.message == "seed_examples[2].answer is a number (42) where a string belongs"


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = skill(3, 4).replace("someone", "12").replace("Answer 1.", "1.5").replace("version", "versoin")
    # Without a version it is version 1, of which one seed is enough.
    assert rules(tmp_path, text) == ["unknown-key", "type", "type"]
    text = skill(3, 4, "colour: red\n").replace("someone", "12").replace("Answer 1.", "1.5")
    assert rules(tmp_path, text) == ["type", "unknown-key", "too-few-seeds", "type"]


def test_style_is_judged_from_version_2_on(tmp_path: Path) -> None:
    def spoil(text: str) -> str:
        return "\n" + text.replace("someone", "someone  ") + "\n\n\n# end"

    found = problems(tmp_path, spoil(skill(2)))
    assert {problem.severity for problem in found} == {"warning"}
    assert [(problem.rule, problem.line, problem.column) for problem in found] == [
        ("empty-lines", 1, 1),
        ("trailing-spaces", 3, 20),
        ("empty-lines", 18, 1),
        ("new-line-at-end-of-file", 19, 6),
    ]
    assert problems(tmp_path, spoil(skill(1))) == []
    assert rules(tmp_path, skill(3).replace("\n", "\r\n")) == ["new-lines"]
    assert rules(tmp_path, skill(3) + "\n") == ["empty-lines"]


def test_the_folder_above_names_the_schema(tmp_path: Path) -> None:
    assert rules(tmp_path / "1", skill(3), "knowledge/a")[0] == "missing-key"
    assert rules(tmp_path / "2", knowledge(), "knowledge/x/compositional_skills/a") != []
    assert rules(tmp_path / "3", knowledge(), "foundational_skills/a") == []
    assert rules(tmp_path / "4", knowledge(), "elsewhere/a") == []
    assert rules(tmp_path / "5", skill(3), "elsewhere/a") == []
