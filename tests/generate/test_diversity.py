from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator

import pytest

from feldspar import jsonl
from feldspar.generate.checks import likeness
from feldspar.generate.diversity import COMPARED, MEASURED, Diversity, LeafDiversity, diversity, lines
from feldspar.text import words
from feldspar.types import Branch, Leaf, Message, Origin, Sample, Seed

WORDS = tuple(f"word{n}" for n in range(600))


def leaf(name: str, *questions: str, branch: Branch = "compositional_skills", context: str = "") -> Leaf:
    seeds = tuple(Seed(question, "An answer.", context) for question in questions)
    return Leaf(f"{branch}/{name}", branch, "A task", seeds)


def samples(of: Leaf, *prompts: str) -> list[Sample]:
    return [
        Sample(
            f"{of.path}#{draw}",
            of.path,
            of.branch,
            (Message("user", prompt), Message("assistant", "Yes.")),
            Origin("generated", ""),
        )
        for draw, prompt in enumerate(prompts, 1)
    ]


def one(found: Diversity, name: str) -> LeafDiversity:
    return next(row for row in found.leaves if row.leaf.endswith(f"/{name}"))


def test_self_similarity_and_distance_from_seeds_by_hand() -> None:
    verse = leaf("verse", "a b c d", "e f g h")
    # Highest to another: 0.75, 0.75, 0.5; pairs 0.75, 0.5, 0.25.
    found = one(diversity(samples(verse, "a b c x", "a b c y", "a b z y"), [verse]), "verse")
    assert (found.samples, found.measured) == (3, 3)
    assert found.self_similarity == pytest.approx((0.75 + 0.75 + 0.75) / 3, abs=1e-4)
    assert found.pairwise == pytest.approx((0.75 + 0.5 + 0.75) / 3, abs=1e-4)
    assert found.from_seeds == pytest.approx((0.25 + 0.25 + 0.5) / 3, abs=1e-4)
    assert found.distinct == (None, None, None)
    assert found.leakage is None, "there is no other leaf"


def test_leakage_is_what_is_nearer_to_another_leaf() -> None:
    verse, maths = leaf("verse", "a b"), leaf("maths", "m n")
    made = [
        *samples(maths, "m n o p", "m n o q", "a b c d"),
        *samples(verse, "a b c e", "a b c f"),
    ]
    found = diversity(made, [verse, maths], {maths.path: 1})
    assert one(found, "maths").leakage == pytest.approx(1 / 3, abs=1e-4)
    assert one(found, "verse").leakage == 0, "a tie is no leak"
    assert found.overall.leakage == pytest.approx(1 / 5, abs=1e-4)
    assert (one(found, "maths").twins, found.overall.twins, found.overall.samples) == (1, 1, 5)


def test_a_sample_alone_in_its_leaf_leaks_nowhere() -> None:
    verse, maths = leaf("verse", "a b"), leaf("maths", "m n")
    found = diversity([*samples(maths, "a b c"), *samples(verse, "a b c e", "a b c f")], [verse, maths])
    assert [row.leakage for row in found.leaves] == [None, None]
    assert (found.overall.samples, found.overall.measured, found.overall.leakage) == (3, 2, None)


def test_distinct_shares_do_not_depend_on_how_many_samples_there_are() -> None:
    """Of all n-grams, a larger leaf has a lower share by its size alone."""
    dice = random.Random(1)
    many = leaf("many", "q")
    texts = [" ".join(dice.choices(WORDS[:200], k=10)) for _ in range(180)]
    small = one(diversity(samples(many, *texts[:30]), [many]), "many").distinct[0]
    large = one(diversity(samples(many, *texts), [many]), "many").distinct[0]
    assert small is not None
    assert large is not None
    assert abs(small - large) < 0.02
    raw = [len({w for t in some for w in t.split()}) / (10 * len(some)) for some in (texts[:30], texts)]
    assert raw[0] - raw[1] > 0.3


def test_distinct_is_the_expectation_of_drawing_without_putting_back() -> None:
    dice = random.Random(2)
    task = leaf("task", "q")
    texts = [" ".join(dice.choices(WORDS[:90], k=12)) for _ in range(20)]
    pairs = [pair for text in texts for pair in zip(text.split(), text.split()[1:], strict=False)]
    drawn = [len(set(dice.sample(pairs, 100))) / 100 for _ in range(400)]
    found = one(diversity(samples(task, *texts), [task]), "task").distinct[1]
    assert found == pytest.approx(math.fsum(drawn) / 400, abs=0.004)
    same = one(diversity(samples(task, *["a b"] * 200), [task]), "task").distinct
    assert same == (0.02, 0.01, None)


def test_a_worn_out_leaf_shows_in_every_figure() -> None:
    dice = random.Random(3)
    fresh, worn = leaf("fresh", "q r s"), leaf("worn", "q r s")
    form = "write a postcard from {} to {} about the weather and the food there"
    made = samples(fresh, *(" ".join(dice.choices(WORDS, k=13)) for _ in range(40)))
    made += samples(worn, *(form.format(*dice.choices(WORDS, k=2)) for _ in range(40)))
    found = diversity(made, [fresh, worn])
    new, old = one(found, "fresh"), one(found, "worn")
    assert (new.self_similarity or 0) + 0.5 < (old.self_similarity or 0)
    assert (new.pairwise or 0) + 0.5 < (old.pairwise or 0)
    for place in range(3):
        assert (new.distinct[place] or 0) > (old.distinct[place] or 0) + 0.3


def test_a_knowledge_sample_is_compared_with_questions_and_a_skill_s_with_its_context_too() -> None:
    known = leaf("k", "where is the lake", branch="knowledge", context="The lake is in the north.")
    skill = leaf("s", "shorten it", context="The lake is in the north.")
    found = diversity(
        [*samples(known, "where is the lake"), *samples(skill, "The lake is in the north.\n\nshorten it")],
        [known, skill],
    )
    assert [row.from_seeds for row in found.leaves] == [0, 0]


def test_large_leaves_are_sampled_by_their_ids_alone() -> None:
    dice = random.Random(4)
    big = leaf("big", "q r")
    made = samples(big, *(" ".join(dice.choices(WORDS, k=8)) for _ in range(3 * MEASURED)))
    found = diversity(made, [big])
    assert (one(found, "big").samples, one(found, "big").measured) == (3 * MEASURED, MEASURED)
    turned = diversity(reversed(made), [big])
    assert turned == found
    whole = [words(sample.messages[0].content) for sample in made]
    best = [max(likeness(a, b) for b in whole if b is not a) for a in whole[:60]]
    assert one(found, "big").self_similarity == pytest.approx(sum(best) / 60, abs=0.1)


def test_thousands_of_leaves_are_compared_in_bounded_numbers() -> None:
    leaves = [leaf(f"l{n}", "q r") for n in range(COMPARED)]

    def made() -> Iterator[Sample]:
        for task in leaves:
            yield from samples(task, f"alpha {task.path}", f"beta {task.path}", "gamma")

    found = diversity(made(), leaves)
    assert len(found.leaves) == COMPARED
    assert found.overall.measured == COMPARED
    known = [row for row in found.leaves if row.leakage is not None]
    assert len(known) == COMPARED // 2, "of the others it is not known"


def test_scattered_leaves_are_a_defect_and_empty_ones_no_trouble() -> None:
    a, b = leaf("a", "q"), leaf("b")
    with pytest.raises(ValueError, match="do not stand together"):
        diversity([*samples(a, "x"), *samples(b, "y"), *samples(a, "z")], [a, b])
    found = diversity(samples(b, "?!"), [a, b])
    assert [(row.leaf, row.self_similarity, row.from_seeds) for row in found.leaves] == [(b.path, None, None)]
    assert diversity([], [a]).leaves == ()
    assert len(lines(diversity([], []))) == 0


def test_it_is_told_in_a_line_a_leaf_and_kept_as_json() -> None:
    verse, maths = leaf("verse", "a b c d"), leaf("maths", "m n o p")
    made = [*samples(maths, *["m n o q"] * 30), *samples(verse, "a b c x", "a b y z")]
    found = diversity(made, [verse, maths], {verse.path: 1})
    told = lines(found)
    assert told[0] == (
        "compositional_skills/maths: 30 samples, self-similarity 1.00, distinct words, pairs, triples "
        "0.04 - -, 0.25 from the seeds, 0% nearer to another leaf"
    )
    assert told[1].endswith("self-similarity 0.50, 0.38 from the seeds, 0% nearer to another leaf, 1 twin")
    assert told[2].startswith("all leaves: 32 samples")
    kept = json.loads(json.dumps(jsonl.to_json(found)))
    assert jsonl.from_json(Diversity, kept) == found
