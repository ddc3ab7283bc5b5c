"""What each version asks of a leaf, and the place, rule and mend of each problem."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.taxonomy.leaves import LOCAL, REPO, knowledge, skill, write

from feldspar.taxonomy import Problem, check, read


def problems(tmp_path: Path, text: str | bytes, leaf: str = "compositional_skills/a") -> list[Problem]:
    write(tmp_path, leaf, text)
    (tmp_path / leaf / "island.md").write_text("# Orrin\n\n" + "".join(f"Context {n}.\n" for n in range(6)))
    return list(check([tmp_path]))


def rules(tmp_path: Path, text: str | bytes, leaf: str = "compositional_skills/a") -> list[str]:
    return [problem.rule for problem in problems(tmp_path, text, leaf)]


@pytest.mark.parametrize(
    "text",
    [
        skill(None, 1),
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
        knowledge() + "        note: further keys are free in a pair\n        1: [a, {b: 2024-01-01}]\n",
    ],
)
def test_sound_knowledge(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text, "knowledge/a") == []


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        # What InstructLab's schemas let be, though it is hardly meant.
        (skill(1, 1).replace("Write riddles.", "''"), "vague-task", 3),
        (skill(1, 3) + "  - question: Riddle 0?\n    answer: Answer 0.\n", "near-seed", 11),
        (skill(3).replace("version: 3", "version: 3.0"), "version", 1),
        (skill(3).replace("someone", "' '"), "blank", 2),
        (skill(3, 6).replace("Answer 1.", "' '"), "blank", 8),
        (skill(3).replace("Answer 1.", '"a\\0b"'), "control-character", 8),
        (skill(3).replace("Riddle 1?", '"Is \\babc\\b a word?"'), "control-character", 7),
        (skill(3) + "  - question: 'Riddle 0? '\n    answer: Answer 0.\n", "near-seed", 15),
        ("0\n", "empty-file", 1),
        ("''\n", "empty-file", 1),
        ("false\n", "empty-file", 1),
    ],
)
def test_what_the_reference_takes_is_a_warning(tmp_path: Path, text: str, rule: str, line: int) -> None:
    (problem,) = problems(tmp_path, text)
    assert (problem.rule, problem.line, problem.severity) == (rule, line, "warning")
    assert [found.severity for found in check([tmp_path], strict=True)] == ["warning"]


def test_seeds_that_are_all_blank_make_no_leaf_and_no_error(tmp_path: Path) -> None:
    found = problems(tmp_path, skill(1, 2).replace("Riddle 0?", "' '").replace("Riddle 1?", "' '"))
    assert [(problem.rule, problem.severity) for problem in found] == [("blank", "warning")] * 3
    assert read(tmp_path).leaves == ()


def test_a_pair_with_another_note_is_another_pair(tmp_path: Path) -> None:
    again = "      - question: What 4 2?\n        answer: That 4 2.\n"
    (other,) = problems(tmp_path, knowledge() + again + "        note: other\n", "knowledge/a")
    assert (other.rule, other.severity) == ("near-seed", "warning")
    (same,) = problems(tmp_path, knowledge() + again, "knowledge/a")
    assert (same.rule, same.severity) == ("repeated-seed", "error")


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
        (skill(3).replace("version: 3", "version: 3.5"), ["version"]),
        (skill(3).replace("version: 3", "version: .inf"), ["version"]),
        (skill(3).replace("version: 3", "version: 0x"), ["version"]),
        (skill(3).replace("version: 3", "version:"), ["version"]),
        (skill(4, 1).replace("Write riddles.", "' '"), ["blank"]),
        (skill(3).replace("Answer 1.", '"\\ud800"'), ["control-character"]),
        (skill(3).replace("Answer 1.", "="), ["type"]),
        (skill(3).replace("Answer 1.", "2024-13-45"), ["type"]),
        (skill(3) + "  - &a\n    question: Q\n    answer: A\n  - <<: *a\n", ["repeated-seed"]),
        (skill(3) + "  - answer: Answer 0.\n    question: 'Riddle 0?'\n", ["repeated-seed"]),
        ("\ufeff\ufeff" + skill(3), ["yaml"]),
        ("a: \x9f\n".encode(), ["control-character"]),
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
        (knowledge(1, extra="version: 3\n"), ["deprecated-version", "duplicate-key"]),
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
        (knowledge() + "        note: {a: 1, a: 2}\n", ["duplicate-key"]),
        (knowledge() + "        note: [!own x]\n", ["type"]),
        (knowledge() + "        note: 2024-13-45\n", ["type"]),
        (knowledge() + "        ? [a]\n        : b\n", ["key-type"]),
    ],
)
def test_broken_knowledge(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert sorted(rules(tmp_path, text, "knowledge/a")) == expected


def test_a_problem_says_where_and_how_to_mend_it(tmp_path: Path) -> None:
    text = skill(3).replace("task_description", "task_descriptoin")
    (unknown,) = problems(tmp_path, text)
    assert (unknown.rule, unknown.line, unknown.column) == ("unknown-key", 3, 1)
    assert unknown.mend == "did you mean `task_description`?"
    assert unknown.file == str(tmp_path / "compositional_skills/a/qna.yaml")
    number = problems(tmp_path, skill(3).replace("Answer 2.", "42"))[0]
    assert (number.line, number.column) == (10, 13)
    assert number.message == "seed_examples[2].answer is a number (42) where a string belongs"


PLACES = """# A comment
version: 3
created_by:
  - someone
task_description: |
  Write
  riddles.
colour: red
seed_examples:
  - question: One?
    answer: 1
  - question: Two?
  - answer: >
      Three.
    question: ''
    contxt: |
      Much.
  - five
"""


def test_every_problem_stands_at_the_node_that_it_is_about(tmp_path: Path) -> None:
    found = problems(tmp_path, PLACES)
    assert [(problem.rule, problem.line, problem.column) for problem in found] == [
        ("type", 4, 3),
        ("unknown-key", 8, 1),
        ("too-few-seeds", 10, 3),
        ("type", 11, 13),
        ("missing-key", 12, 5),
        ("blank", 15, 15),
        ("unknown-key", 16, 5),
        ("type", 18, 5),
    ]
    assert all(problem.mend for problem in found)
    assert next(p for p in found if p.line == 16).mend == "did you mean `context`?"


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a: b: c\n", 1, 5, "quote a value that holds a colon"),
        ("a: 1\n\tb: 2\n", 2, 1, "not tabs"),
        ("a: 'it's'\n", 1, 8, "double a quote"),
        ("a: 1\n  b: 2\n", 2, 4, "quote a value that holds a colon"),
        ("a: 1\nb\nc: 2\n", 3, 1, "write a key as `key: value`"),
        ("a: 1\n b: 2\nc: 3\n", 2, 3, "quote a value that holds a colon"),
        ("a:\n  - b\n c: 1\n", 3, 2, "align keys"),
        ("a: 'b\n", 2, 1, "close it"),
        ("a: [b, c\n", 2, 1, "close it"),
        ("a: [b c: d: e]\n", 1, 11, "part the items by commas"),
        ("a: @b\n", 1, 4, "starts with a sign"),
        ("a: `b`\n", 1, 4, "starts with a sign"),
        ("a: *b\n", 1, 4, "starts with *"),
        ("a: &b c\nd: &b e\n", 2, 4, "name one of them otherwise"),
        ('a: "\\d"\n', 1, 6, "double the backslash"),
        ("a: b\n---\nc: d\n", 2, 1, "one document a file"),
        ("a: {b: why?, c?}\n", 1, 11, "quote the text"),
        ("a: %b\n", 1, 4, "starts with a sign"),
        ("a: | text\n", 1, 6, "below its `|`"),
        ("a: !<b\n", 1, 7, "starts with !"),
    ],
)
def test_what_is_not_yaml_is_placed_and_mended(
    tmp_path: Path, text: str, line: int, column: int, words: str
) -> None:
    (problem,) = problems(tmp_path, text)
    assert (problem.rule, problem.line, problem.column) == ("yaml", line, column)
    assert words in problem.mend


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab_-. ", min_size=1, max_size=12))
def test_any_other_key_is_told(key: str) -> None:
    from feldspar.taxonomy.checks import judge
    from feldspar.taxonomy.compose import compose
    from feldspar.taxonomy.problems import Findings

    found = Findings("qna.yaml")
    node = compose(skill(3, extra=f"{key!r}: x\n"), found)
    assert node is not None
    judge(node, "compositional_skills", found)
    (problem,) = found.problems
    assert (problem.rule, problem.line) == ("unknown-key", 4)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("task_desciption", "task_description"),
        ("Task-Description", "task_description"),
        ("task description", "task_description"),
        ("description", "task_description"),
        ("seeds", "seed_examples"),
        ("examples", "seed_examples"),
        ("createdby", "created_by"),
        ("author", ""),
        ("x" * 5_000, ""),
    ],
)
def test_a_misspelt_key_is_told_the_nearest_one(tmp_path: Path, key: str, meant: str) -> None:
    text = skill(3, extra=f"? {key}\n: x\n")
    text = text.replace(f"{meant}:", "other:") if meant else text
    mend = next(p.mend for p in problems(tmp_path, text) if p.line == 4)
    assert mend == (f"did you mean `{meant}`?" if meant else mend)
    assert meant or mend.startswith("remove it")


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
    # Of what is no version at all, what InstructLab's validator makes of it.
    for version, judged in (("'3'", True), ("3.5", True), ("9" * 30, True), ("yes", False), ("x", False)):
        told = rules(
            tmp_path, skill(3).replace("version: 3", f"version: {version}").replace("someone", "someone ")
        )
        assert ("trailing-spaces" in told) == judged
    assert rules(tmp_path, skill(3).replace("\n", "\r\n")) == ["new-lines"]
    assert rules(tmp_path, skill(3) + "\n") == ["empty-lines"]


def test_the_folder_above_names_the_schema(tmp_path: Path) -> None:
    assert rules(tmp_path / "1", skill(3), "knowledge/a") == ["wrong-branch"]
    assert rules(tmp_path / "2", knowledge(), "knowledge/x/compositional_skills/a") != []
    assert rules(tmp_path / "3", knowledge(), "foundational_skills/a") == []
    assert rules(tmp_path / "4", knowledge(), "elsewhere/a") == []
    assert rules(tmp_path / "5", skill(3), "elsewhere/a") == []


ODD = {
    "\xa0": "U+00A0 (no-break space)",
    "\u2003": "U+2003 (em space)",
    "\u200b": "U+200B (zero width space)",
}


def slip(old: str, new: str) -> str:
    """A sound skill but for one slip; its third answer stands in line 10."""
    text = skill(3).replace(old, new)
    assert text != skill(3)
    return text


BRACKET = "quote a value that starts with [ or {"
ANSWER = "    answer: Answer 2.\n"
CONFLICT = f"<<<<<<< HEAD\n{ANSWER}=======\n    answer: Other.\n>>>>>>> branch\n"


@pytest.mark.parametrize(
    ("text", "line", "words", "mend"),
    [
        (slip("Answer 2.", "[link](http://x) text"), 10, "a bracket that ends", BRACKET),
        (slip("Answer 2.", "{x} text"), 10, "a bracket that ends", BRACKET),
        (slip("Write riddles.", "[x] do things"), 3, "a bracket that ends", BRACKET),
        (slip("Answer 2.", "[see below"), 11, "`answer` starts with in line 10", BRACKET),
        (slip("    answer: Answer 2", "     answer: Answer 2"), 10, "`answer:`", "align keys"),
        (slip("    answer: Answer 2", "   answer: Answer 2"), 10, "fits none", "align keys"),
        *(
            (slip("    answer: Answer 2", f"{odd}   answer: Answer 2"), 10, name, "plain blanks")
            for odd, name in ODD.items()
        ),
        (slip("    answer: Answer 2", "   \xa0answer: Answer 2"), 10, ODD["\xa0"], "plain blanks"),
        (slip("answer: Answer 2", "answer:\xa0Answer 2"), 10, ODD["\xa0"], "plain blanks"),
        (f"```yaml\n{skill(3)}```\n", 1, "a Markdown fence", "remove it"),
        (f"~~~\n{skill(3)}~~~\n", 1, "a Markdown fence", "remove it"),
        (f"{skill(3)}```\n", 15, "a Markdown fence", "remove it"),
        (slip("Answer 2.", "```python\n      x\n      ```"), 10, "a Markdown fence", "below `|`"),
        (slip(ANSWER, CONFLICT), 10, "a merge conflict", "one side"),
        (slip("task_desc", "=======\ntask_desc"), 3, "a merge conflict", "one side"),
        (skill(3) + ">>>>>>> branch\n", 15, "a merge conflict", "one side"),
        (slip("Answer 2.", "|\n      One\u2028two"), 11, "U+2028 ends a line", "a blank"),
        (slip("Answer 2.", "See #5 for\n      more"), 11, "after a comment", "quote the text"),
    ],
)
def test_the_commonest_slips_are_told_by_what_they_are(
    tmp_path: Path, text: str, line: int, words: str, mend: str
) -> None:
    (problem,) = problems(tmp_path, text)
    assert (problem.rule, problem.line, problem.severity) == ("yaml", line, "error")
    assert words in problem.message
    assert mend in problem.mend


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_lines_are_those_of_editors(tmp_path: Path, end: str) -> None:
    text = slip("Answer 1.", f'"One{end}two{end}\U0001f98a"').replace("Riddle 3?", "12")
    (problem,) = problems(tmp_path, text)
    assert (problem.rule, problem.line, problem.column) == ("type", 11, 15)
    (tmp_path / "sound").mkdir()
    write(tmp_path / "sound", "a", slip("Answer 1.", f'"One{end}two"'))
    (leaf,) = read(tmp_path / "sound").leaves
    assert [seed.line for seed in leaf.seeds] == [5, 7, 9, 11, 13]
    # NEL is folded to a blank, as the reference does; the others stay.
    assert leaf.seeds[1].answer == ("One two" if end == "\x85" else f"One{end}two")


@pytest.mark.parametrize("odd", ["\u200b", "\ufeff", "\u00ad"])
def test_an_unseen_letter_in_a_key_is_named(tmp_path: Path, odd: str) -> None:
    (problem,) = problems(tmp_path, slip("answer: Answer 2", f"ans{odd}wer: Answer 2"))
    assert (problem.rule, problem.line, problem.column) == ("unknown-key", 10, 5)
    assert problem.mend.startswith(f"did you mean `answer`? This one holds U+{ord(odd):04X} (")


def test_what_an_empty_value_needs(tmp_path: Path) -> None:
    def mend(text: str) -> str:
        return next(p.mend for p in problems(tmp_path, text) if p.rule == "type")

    assert mend(slip(" Answer 2.", "")) == "write a text"
    assert mend(slip("Answer 2.", "# heading")) == "what follows # is a comment: quote the text"
    assert mend(slip("Answer 2.", "Answer 2.\n    context:")) == "write a text, or take the key out"
    assert mend(skill(4, 1, "license:\n")) == "write a text, or take the key out"


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("Answer 2.", "See issue #5 Answer 222", 23),
        ("Answer 2.", "See  #hashtag", 18),
        ("Answer 2.", "Goes\n      on  #2nd", 11),
        ("Answer 2.", "Fox \U0001f98a #5", 19),
        ("Write riddles.", "Write #riddles.", 25),
        ("Answer 2.", "A value  # a comment", 0),
        ("Answer 2.", "A value #", 0),
        ("Answer 2.", "A value#5", 0),
        ("Answer 2.", "'See issue #5'", 0),
        ("Answer 2.", "'See issue' #5", 0),
        ("Answer 2.", "'See\tissue' #5", 0),
        ("Answer 2.", "|\n      See issue #5", 0),
        ("someone", "someone #5", 0),
    ],
)
def test_a_comment_that_takes_a_text_s_end(tmp_path: Path, old: str, new: str, column: int) -> None:
    text = slip(old, new)
    told = [(p.rule, p.severity, p.column) for p in problems(tmp_path, text) if "comment" in p.rule]
    assert told == ([("comment-in-text", "warning", column)] if column else [])
    for problem in problems(tmp_path, text):
        if problem.rule == "comment-in-text":
            assert text.split("\n")[problem.line - 1][problem.column - 1 :].startswith("#")


def test_a_slip_in_a_required_key_is_one_mistake(tmp_path: Path) -> None:
    for key in ("task_description", "created_by", "seed_examples"):
        (problem,) = problems(tmp_path, slip(f"{key}:", f"{key}x:"))
        assert (problem.rule, problem.mend) == ("unknown-key", f"did you mean `{key}`?")
    assert rules(tmp_path, slip("task_description", "colour")) == ["missing-key", "unknown-key"]


def test_a_leaf_in_the_other_branch_is_one_mistake(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, skill(3), "knowledge/a")
    assert (problem.rule, problem.severity, problem.line) == ("wrong-branch", "error", 1)
    assert "a skill" in problem.message
    assert "below compositional_skills/" in problem.mend
    (problem,) = problems(tmp_path / "k", knowledge(), "compositional_skills/a")
    assert (problem.rule, problem.severity) == ("wrong-branch", "error")
    assert "below knowledge/" in problem.mend
    # What is wrong by its own rules is told, too.
    text = skill(3).replace("someone", "12")
    assert rules(tmp_path / "s", text, "knowledge/a") == ["wrong-branch", "type"]
    # With keys of both, it cannot be told.
    assert "wrong-branch" not in rules(tmp_path / "b", skill(3, extra=REPO), "knowledge/a")


@pytest.mark.parametrize(
    ("document", "mend"),
    [
        ("document:\n  paths: island.md\n", "write it as a list: `[island.md]`"),
        ("document:\n  paths: '*.md'\n", 'write it as a list: `["*.md"]`'),
        ("document:\n  repo: r\n  commit: c\n  patterns: a.md\n", "write it as a list: `[a.md]`"),
        ("document:\n  paths: {a: b}\n", "start each item with `- `"),
    ],
)
def test_a_name_alone_is_written_as_a_list(tmp_path: Path, document: str, mend: str) -> None:
    (problem,) = problems(tmp_path, knowledge(4, 1, 1, document), "knowledge/a")
    assert (problem.rule, problem.mend) == ("type", mend)


@pytest.mark.parametrize(
    ("folder", "meant"),
    [
        ("Knowledge", "knowledge"),
        ("knowledge_in", "knowledge"),
        ("knowlege", "knowledge"),
        ("compositional-skills", "compositional_skills"),
        ("composition_skills", "compositional_skills"),
        ("compositional_skills", ""),
        ("other", ""),
        ("skills", ""),
    ],
)
def test_a_folder_named_nearly_like_a_branch(tmp_path: Path, folder: str, meant: str) -> None:
    for name in "ab":
        write(tmp_path, f"{folder}/x/{name}", skill(3).replace("Riddle", f"Riddle {name}"))
        write(tmp_path, f"compositional_skills/knowledge_in/{name}", skill(3).replace("Riddle", f"Is {name}"))
    (tmp_path / "knowledgeable").mkdir()
    told = [(p.file, p.rule, p.severity, p.mend) for p in check([tmp_path])]
    expected = (str(tmp_path / folder), "branch-name", "warning", f"did you mean {meant}/?")
    assert told == ([expected] if meant else [])
    assert check([tmp_path / "compositional_skills"]) == ()
    assert len(read(tmp_path).leaves) == 4
