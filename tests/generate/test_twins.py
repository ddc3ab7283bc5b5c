from __future__ import annotations

import random
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feldspar.errors import RunError
from feldspar.generate.checks import likeness
from feldspar.generate.twins import Twin, bands, shingles, twins
from feldspar.text import words
from feldspar.types import Branch, Message, Origin, Sample

WORDS = tuple(f"word{n}" for n in range(400))
POSTCARD = "Write a friendly postcard of three sentences from a small harbour town in the north of Portugal"


def sample(leaf: str, draw: int, asked: str, answer: str = "", system: str = "") -> Sample:
    branch: Branch = leaf.split("/")[0]  # type: ignore[assignment]
    said = [Message("system", system)] if system else []
    said += [Message("user", asked), Message("assistant", answer or f"{leaf}_{draw}")]
    name = f"{leaf}#{draw}"
    return Sample(name, leaf, branch, tuple(said), Origin("generated", name))


def skill(leaf: str, draw: int, asked: str, answer: str = "") -> Sample:
    return sample(f"compositional_skills/{leaf}", draw, asked, answer)


def found(folder: Path, *samples: Sample, threshold: float = 0.7) -> list[tuple[str, str]]:
    pairs = [(twin.id, twin.like) for twin in twins(samples, folder, threshold=threshold)]
    return [(one.removeprefix("compositional_skills/"), two.split("/", 1)[1]) for one, two in pairs]


def test_the_later_is_marked_with_the_first_that_it_is_like(tmp_path: Path) -> None:
    made = (
        skill("a", 1, "Name three rivers of Spain that flow into the Atlantic"),
        skill("a", 2, POSTCARD),
        skill("b", 1, POSTCARD.replace("small", "little")),
        skill("c", 1, "Explain to a child why the sea is salt and rivers are not"),
        skill("c", 2, f"  {POSTCARD.upper()}!"),
    )
    assert list(twins(made, tmp_path)) == [
        Twin("compositional_skills/b#1", "compositional_skills/a#2", round(16 / 17, 3)),
        Twin("compositional_skills/c#2", "compositional_skills/a#2", 1.0),
    ]
    assert list(tmp_path.iterdir()) == [], "the index is gone"


def test_of_several_that_it_is_like_the_first_is_named(tmp_path: Path) -> None:
    nearer = skill("a", 2, POSTCARD), skill("a", 3, POSTCARD)
    first = skill("a", 1, POSTCARD.replace("small", "large"))
    assert found(tmp_path, first, *nearer, skill("b", 1, POSTCARD)) == [("b#1", "a#1")]


def test_within_a_leaf_nothing_is_marked(tmp_path: Path) -> None:
    # There every draft was compared with every other as it was drawn.
    assert found(tmp_path, skill("a", 1, POSTCARD), skill("a", 2, POSTCARD)) == []


def test_a_twin_is_not_compared_with_further(tmp_path: Path) -> None:
    one = [*POSTCARD.split()]
    two = ["Compose", "two", *one[2:]]
    three = ["Compose", "two", *one[2:-6], "village", "far", "off", "in", "the", "hills"]
    assert likeness(one, two) > 0.7 < likeness(two, three)
    assert likeness(one, three) < 0.7
    texts = (" ".join(text) for text in (one, two, three))
    made = [skill(leaf, 1, text, "It is a fine day here.") for leaf, text in zip("abc", texts, strict=True)]
    # The second goes, so the third is the last of its kind.
    assert found(tmp_path, *made) == [("b#1", "a#1")]


def test_short_instructions_that_differ_in_their_task_are_two(tmp_path: Path) -> None:
    limerick, haiku = skill("a", 1, "Write a limerick about cats"), skill("b", 1, "Write a haiku about cats")
    assert likeness(words("Write a limerick about cats"), words("Write a haiku about cats")) >= 0.7
    assert found(tmp_path, limerick, haiku) == []
    # Where the answers are alike, too, it is one task.
    alike = [skill(leaf, 1, f"Write a {what} about cats", "Cats sleep.") for leaf, what in ("ax", "by")]
    assert found(tmp_path, *alike) == [("b#1", "a#1")]


def test_a_question_about_a_document_has_its_own_answer(tmp_path: Path) -> None:
    asked = "In what year was the town hall of the municipality built and by whom?"
    one = sample("knowledge/orrin", 1, asked, "It was built in 1887 by Ada Brook.")
    two = sample("knowledge/vesmar", 1, asked, "The masons of Vesmar finished it after a fire, in 1702.")
    three = sample("knowledge/vesmar", 2, asked, "It was built in 1887 by Ada Brook!")
    assert found(tmp_path, one, two) == []
    assert [(twin.id, twin.like) for twin in twins([one, two, three], tmp_path)] == [
        ("knowledge/vesmar#2", "knowledge/orrin#1")
    ]


def test_turns_count_and_system_messages_do_not(tmp_path: Path) -> None:
    one = sample("compositional_skills/a", 1, POSTCARD, system="Be brief.")
    two = sample("compositional_skills/b", 1, POSTCARD, system="You are a poet of few but weighty words.")
    assert found(tmp_path, one, two) == [("b#1", "a#1")]
    more = (Message("user", "Now make it sad, in the voice of a sailor who has lost his ship and crew"),)
    longer = Sample("compositional_skills/b#1", two.leaf, two.branch, (*two.messages, *more), two.origin)
    assert found(tmp_path, one, longer) == []


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("用简单的话解释为什么海水是咸的而河水不是", "用简单的话解释为什么海水是咸的但河水不是", True),
        ("写一首关于秋天的短诗", "为什么面包要发酵两次才能烤", False),
        (
            "Schreibe drei Sätze über den Hafen von Örebro \udc80",
            "Schreibe drei Sätze über den Hafen von Örebro",
            True,
        ),
    ],
)
def test_other_scripts_and_half_characters(tmp_path: Path, one: str, two: str, same: bool) -> None:
    answers = "好的。"
    made = skill("a", 1, one, answers), skill("b", 1, two, answers)
    assert bool(found(tmp_path, *made)) is same


def test_texts_without_words_are_passed_over(tmp_path: Path) -> None:
    assert found(tmp_path, skill("a", 1, "?!"), skill("b", 1, "?!")) == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_nothing_is_marked_by_chance_and_equal_prompts_always_are(
    tmp_path_factory: pytest.TempPathFactory, at: int
) -> None:
    dice = random.Random(at)
    texts = [
        " ".join(dice.choices(WORDS[: dice.choice([12, 400])], k=dice.randrange(1, 25))) for _ in range(12)
    ]
    made = [skill(f"l{n // 4}", n, dice.choice(texts)) for n in range(12)]
    marked = list(twins(made, tmp_path_factory.mktemp("t")))
    by_id = {one.id: one for one in made}
    for twin in marked:
        one, two = by_id[twin.id], by_id[twin.like]
        like = likeness(words(one.messages[0].content), words(two.messages[0].content))
        assert one.leaf != two.leaf
        assert made.index(two) < made.index(one)
        assert like >= 0.7
        assert twin.similarity == round(like, 3)
        assert twin.like not in {other.id for other in marked}
    first: dict[str, str] = {}
    late = {twin.id for twin in marked}
    for one in made:
        asked = one.messages[0].content
        if first.setdefault(asked, one.leaf) != one.leaf:
            assert one.id in late, asked


def test_equal_samples_give_equal_twins_in_another_process(tmp_path: Path) -> None:
    dice = random.Random(7)
    made = []
    for n in range(300):
        text = dice.choices(WORDS, k=12) if n < 100 else made[dice.randrange(100)][1].split()
        text[dice.randrange(12)] = "changed"
        made.append((f"l{n // 50}", " ".join(text)))
    here = found(tmp_path, *(skill(leaf, n, text) for n, (leaf, text) in enumerate(made)))
    assert len(here) > 100
    program = f"""
import sys
sys.path[:0] = {sys.path!r}
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_twins import found, skill
made = {made!r}
print(found(Path({str(tmp_path)!r}), *(skill(leaf, n, text) for n, (leaf, text) in enumerate(made))))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == str(here), done.stderr


def test_most_of_what_is_alike_is_found() -> None:
    dice = random.Random(11)
    alike = []
    while len(alike) < 400:
        one = dice.choices(WORDS, k=dice.randrange(8, 30))
        two = list(one)
        for _ in range(dice.randrange(1, 1 + len(one) // 4)):
            two[dice.randrange(len(two))] = dice.choice(WORDS)
        if 0.8 <= likeness(one, two) < 1:
            alike.append(bool(set(bands(shingles(one))) & set(bands(shingles(two)))))
    assert sum(alike) / len(alike) > 0.95


def test_a_common_turn_of_phrase_costs_no_more_with_more_samples(tmp_path: Path) -> None:
    form = "Write a short and friendly letter of thanks to the people who brought {} {} {} to our fair"

    def many(count: int) -> float:
        dice = random.Random(3)
        made = (skill("a", n, form.format(*dice.choices(WORDS, k=3))) for n in range(count))
        begun = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        assert list(twins(made, tmp_path)) == []
        return (resource.getrusage(resource.RUSAGE_SELF).ru_utime - begun) / count

    few, lots = many(500), many(4000)
    assert lots < 2 * few + 0.0002


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"gone.*cannot be compared"):
        list(twins([skill("a", 1, POSTCARD)], tmp_path / "gone"))
