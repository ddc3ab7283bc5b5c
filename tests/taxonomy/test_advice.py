"""What is only likely to be a mistake: told where it is one, and not where it is none."""

from __future__ import annotations

import time
from array import array
from pathlib import Path

import pytest
from tests.taxonomy.leaves import knowledge, skill, write

from feldspar.taxonomy import Problem, advice, check, read, repeats
from feldspar.taxonomy.problems import Findings
from feldspar.taxonomy.seeds import SeedAt
from feldspar.types import Seed

AT = SeedAt((5, 1), (4, 1))


def seeds_of(*pairs: tuple[str, str, str]) -> tuple[list[Seed], list[SeedAt]]:
    seeds = [Seed(question, answer, context) for question, answer, context in pairs]
    return seeds, [SeedAt((number, 1), (number, 1)) for number in range(1, len(seeds) + 1)]


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("", "says nothing"),
        ("...", "says nothing"),
        ("Riddles", "one word"),
        ("Riddles.", "one word"),
        ("TODO", "one word"),
        ("task description", "stands in for"),
        ("Task_description.", "stands in for"),
        ("<describe your skill>", "stands in for"),
        ("Lorem ipsum dolor sit amet", "stands in for"),
        ("Odd one out", "folder's name"),
        ("odd-one-out", "folder's name"),
    ],
)
def test_task_descriptions_that_say_nothing(task: str, words: str) -> None:
    found = Findings("qna.yaml")
    advice.judge_task(task, (3, 1), "odd_one_out", "task_description", found)
    (problem,) = found.problems
    assert (problem.rule, problem.severity, problem.line) == ("vague-task", "warning", 3)
    assert words in problem.message
    assert problem.mend


@pytest.mark.parametrize(
    "task",
    [
        "Write riddles.",
        "To teach a language model about logical odd-one-out.",
        "Turn a todo list into a plan",
        "写一首诗",
        "Rewrite <b>bold</b> text",
    ],
)
def test_task_descriptions_that_say_something(task: str) -> None:
    found = Findings("qna.yaml")
    advice.judge_task(task, (3, 1), "odd_one_out", "task_description", found)
    assert found.problems == []


LAMP = "He carried a lamp."
LONG = "What did the keeper of the lighthouse carry up the stairs?"


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ((LONG, "A lamp.", ""), (LONG, "A lamp.", ""), True),
        ((LONG, "A lamp.", ""), (LONG.upper(), "a  lamp", ""), True),
        ((LONG, LAMP, ""), (LONG.replace("carry", "bring"), LAMP, ""), True),
        ((LONG, LAMP, ""), (LONG.replace("What", "Which"), LAMP, ""), True),
        ((LONG, LAMP, ""), (LONG.replace("stairs", "steps"), LAMP, ""), True),
        ((LONG, LAMP, ""), (LONG.replace("the stairs", "all the stairs"), LAMP, ""), True),
        ((LONG, LAMP, ""), (LONG.replace("the keeper", "keeper"), LAMP, ""), True),
        ((LONG, LAMP, ""), (LONG.replace("up the", "down all"), LAMP, ""), False),
        # Classes are few, and each is the answer of many.
        ((LONG, "A lamp.", ""), (LONG.replace("carry", "bring"), "A lamp.", ""), False),
        (
            ("Is an apple a fruit that grows on trees?", "Yes", ""),
            ("Is an pear a fruit that grows on trees?", "Yes", ""),
            False,
        ),
        ((LONG, "A lamp.", ""), (LONG, "A lantern.", ""), True),
        ((LONG, "A lamp.", ""), (LONG.replace("carry", "bring"), "A lantern.", ""), False),
        ((LONG, "A lamp.", ""), (LONG, "Two heavy lanterns.", ""), False),
        ((LONG, "A lamp.", "One text."), (LONG, "A lamp.", "Another text."), False),
        (
            ("Is 17 a prime number at all, or is it not?", "Yes", ""),
            ("Is 19 a prime number at all, or is it not?", "Yes", ""),
            False,
        ),
        (("Is a dog big?", "Yes", ""), ("Is a cat big?", "Yes", ""), False),
        (("Riddle 1?", "Answer 1.", ""), ("Riddle 2?", "Answer 2.", ""), False),
    ],
)
def test_seeds_that_repeat_one_of_their_leaf(
    one: tuple[str, str, str], other: tuple[str, str, str], told: bool
) -> None:
    seeds, places = seeds_of(one, ("Something else?", "Indeed.", ""), other)
    found = Findings("qna.yaml")
    advice.judge_repeats(seeds, places, False, found)
    assert [(p.rule, p.line) for p in found.problems] == ([("near-seed", 3)] if told else [])
    assert all("line 1" in problem.message for problem in found.problems)


def test_a_repeated_seed_is_told_how_it_repeats() -> None:
    exact, word, layout = (LONG, "A lamp.", ""), (LONG, "A lantern.", ""), (LONG.lower(), "A lamp", "")
    seeds, places = seeds_of(exact, exact, word, layout)
    found = Findings("qna.yaml")
    advice.judge_repeats(seeds, places, False, found)
    assert [
        problem.message.removeprefix("this seed repeats the one in line ") for problem in found.problems
    ] == [
        "1",
        "1 but for a word",
        "1 but for its punctuation, case or layout",
    ]


def test_a_knowledge_question_asked_of_two_contexts_repeats() -> None:
    seeds, places = seeds_of((LONG, "A lamp.", "One."), (LONG, "A lamp.", "Two."))
    for is_knowledge, count in ((True, 1), (False, 0)):
        found = Findings("qna.yaml")
        advice.judge_repeats(seeds, places, is_knowledge, found)
        assert len(found.problems) == count


DOCUMENT = """# The Lighthouse

The *keeper* carried a [lamp](https://example.org/lamp_(light) "A lamp") up the
stairs, <b>each</b> evening.

| Year | Ships |
| ---- | ----- |
| 1990 | 12    |

He slept by day.
"""


@pytest.mark.parametrize(
    ("context", "held"),
    [
        ("The keeper carried a lamp up the stairs, each evening.", True),
        ("the KEEPER carried\n  a lamp up the stairs", True),
        ("The keeper carried a lamp ... each evening.", True),
        ("Year Ships\n1990 12", True),
        ("The keeper carried a lamp up the stairs.\n\nHe slept by day.", True),
        ("He slept by day. The keeper carried a lamp up the stairs, each evening.", True),
        ("The keeper carried two lamps up the stairs.", False),
        ("The keeper carried a lamp up the stairs, each evening. He sang.", False),
        ("He slept by night.", False),
        ("keeper carried a lamp up the stair", False),
    ],
)
def test_contexts_that_no_document_holds(context: str, held: bool) -> None:
    found = Findings("qna.yaml")
    # Two questions of one context are one context.
    seeds = [Seed("Q1", "A1", context), Seed("Q2", "A2", context)]
    advice.judge_contexts(seeds, [AT, AT], ["Another one.", DOCUMENT], found)
    assert [(p.rule, p.severity, p.line) for p in found.problems] == (
        [] if held else [("stray-context", "warning", 4)]
    )
    advice.judge_contexts(seeds, [AT, AT], [], found)
    assert len(found.problems) == (not held)


@pytest.mark.parametrize(
    "written",
    [
        "The old forest[12] is green.",
        "The old forest\\[12\\] is green.",
        "The old forest[^1] is green.",
        "The old forest<sup>1</sup> is green.",
        'The old forest<sup id="a"><a href="#n">[1]</a></sup> is green.',
        "The old [forest][1] is green.",
        "The old [forest][the-forest] is green.",
        "The old forest\u00b9 is green.",
        "The old forest[[12]](#cite_note-12) is green.",
        "The old for\u00adest is green.",
        "The old for&shy;est is green.",
        "The&nbsp;old forest&#32;is green.",
        "The old for-\nest is green.",
    ],
)
def test_a_copy_of_the_rendered_page_is_held(written: str) -> None:
    text = f"# Woods\n\n{written} It is a well-known R&amp;D site of 3 m<sup>2</sup>.\n"
    for copied, held in (
        ("The old forest is green.", True),
        ("The old forest[12] is green.", True),
        ("The old forest is green. It is a well-known R&D site of 3 m2.", True),
        ("It is a well-known R&D site of 3 m².", True),
        ("The old forests is green.", False),
        ("The old forest is green 12.", False),
    ):
        found = Findings("qna.yaml")
        advice.judge_contexts([Seed("Q", "A", copied)], [AT], ["Another.", text], found)
        assert bool(found.problems) != held, copied


def test_entities_of_any_size_are_harmless() -> None:
    found = Findings("qna.yaml")
    text = f"A &#{'9' * 5_000}; b &#9999999; c"
    advice.judge_contexts([Seed("Q", "A", text)], [AT], [text], found)
    assert found.problems == []


@pytest.mark.parametrize("same", ["question", "answer"])
def test_long_seeds_that_share_a_part_are_compared_in_bounded_time(same: str) -> None:
    long = [f"{'word ' * 1_000}x{n} y{n} {'word ' * 10}" for n in range(380)]
    one = "What did the keeper say?"
    seeds, places = seeds_of(*((one, text, "") if same == "question" else (text, one, "") for text in long))
    found = Findings("qna.yaml")
    started = time.process_time()
    advice.judge_repeats(seeds, places, False, found)
    # 0.2 s; word by word, against each of the hundred before it, 1.7 s.
    assert time.process_time() - started < 1
    assert found.problems == []


def test_a_stray_context_is_told_by_its_first_stray_sentence() -> None:
    seeds = [Seed("Q", "A", f"He slept by day. {'He sang and ' * 9}slept. He danced.")]
    for texts, words in (
        ([DOCUMENT], "the document does"),
        (["Or.", DOCUMENT, "Not."], "none of the documents"),
    ):
        found = Findings("qna.yaml")
        advice.judge_contexts(seeds, [AT], texts, found)
        (message,) = (problem.message for problem in found.problems)
        assert message.startswith(words)
        assert "“He sang and He sang and He sang and He sang and He sang and…”" in message


def test_a_context_is_looked_for_where_the_documents_were_read(tmp_path: Path) -> None:
    text = knowledge(4, 2, 1, "document:\n  paths: [a.md]\n")
    file = write(tmp_path, "knowledge/a", text)
    (file.parent / "a.md").write_text("# A\n\nContext 0.\n")
    (problem,) = check([tmp_path])
    line = text.split("\n").index("  - context: Context 1.") + 1
    assert (problem.rule, problem.line, problem.column) == ("stray-context", line, 5)
    write(tmp_path, "knowledge/a", knowledge())
    assert check([tmp_path]) == ()


def same(root: Path, *paths: str) -> list[Problem]:
    asked = [root / path for path in paths]
    return [problem for problem in check(asked or [root]) if problem.rule == "same-seed"]


def test_seeds_that_stand_in_two_leaves(tmp_path: Path) -> None:
    first = write(tmp_path, "a/x", skill(3))
    second = write(
        tmp_path, "b/y", skill(3, 9).replace("Riddle 0?", "'RIDDLE  0?'").replace("Answer 1.", "Other.")
    )
    told = same(tmp_path)
    # Of the five of the first leaf the second repeats all but the one whose answer differs.
    assert [(p.file, p.line, p.column, p.severity) for p in told] == [(str(second), 5, 5, "warning")]
    assert told[0].message == f"4 of its 9 seeds stand in {first} too"
    assert read(tmp_path).problems == check([tmp_path])
    assert check([tmp_path], strict=True) == check([tmp_path])
    # Two roots are one taxonomy here, the same file named twice is one file.
    assert same(tmp_path, "a", "b") == told
    assert same(tmp_path, "a", "a", "a/x/qna.yaml") == []
    third = write(tmp_path, "c", skill(2))
    told = same(tmp_path)
    assert [(p.file, p.line) for p in told] == [(str(second), 5), (str(third), 5), (str(third), 7)]
    assert told[1].message == f"4 of its 5 seeds stand in {first} too, and in 1 more"
    assert told[2].message == f"this seed stands in {first}:7 too"


def test_what_is_not_asked_about_still_counts(tmp_path: Path) -> None:
    first, second = write(tmp_path, "a", skill(3) + "\n\n"), write(tmp_path, "b", skill(3) + "\n\n")
    for asked, other in ((first, second), (second, first)):
        told = check([tmp_path], only=lambda path, asked=asked: path == asked)
        assert {p.rule for p in told} == {"empty-lines", "same-seed"}
        assert {p.file for p in told} == {str(asked)}
        assert all(str(other) in p.message for p in told if p.rule == "same-seed")
    assert check([tmp_path], only=lambda path: False) == ()


def test_contexts_tell_the_seeds_of_skills_apart_and_not_those_of_knowledge(tmp_path: Path) -> None:
    seed = "  - question: Is it sad?\n    answer: Yes, it is.\n    context: Text {}.\n"
    for name in "ab":
        write(tmp_path, name, skill(4, 1).replace("Riddle 0?", f"Riddle {name}?") + seed.format(name))
    assert same(tmp_path) == []
    for name in "cd":
        write(tmp_path, f"knowledge/{name}", knowledge(4, 1, 1).replace("Context 0.", f"Context {name}."))
    assert len(same(tmp_path)) == 1


def test_an_unusable_leaf_lends_no_seed(tmp_path: Path) -> None:
    write(tmp_path, "a", skill(3))
    write(tmp_path, "b", skill(3).replace("someone", "1"))
    assert same(tmp_path) == []


def test_seeds_are_found_however_far_apart() -> None:
    hashes = array("Q")
    for number in range(3_000):
        repeats.add(hashes, number, [Seed(f"Q {number % 1_700}?", "A"), Seed(f"P {number}?", "A")], False)
    assert repeats.met(hashes) == {*range(1_300), *range(1_700, 3_000)}


def test_hashes_that_meet_by_chance_are_told_apart() -> None:
    hashes = array("Q")
    one, other = Seed("One?", "1."), Seed("Two?", "2.")
    for number in range(10_000):
        repeats.add(hashes, number, [Seed(f"Q {number}?", "A")], False)
    assert repeats.met(hashes) == set()
    repeats.add(hashes, 77, [one, one], False)
    assert repeats.met(hashes) == set()
    repeats.add(hashes, 4, [one], True)
    assert repeats.met(hashes) == {4, 77}
    standing = [
        (repeats.said(seed, False), repeats.Standing(number, f"f{number}", (1, 1), True))
        for number, seed in ((4, one), (77, other))
    ]
    assert list(repeats.judge_across(standing)) == []
