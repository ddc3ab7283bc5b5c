from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from plans import HELD, knowledge, perfect, plan, skill

from feldspar.generate import LeafPlan, load_pack
from feldspar.generate.ask import Context
from feldspar.generate.language import language_of
from feldspar.generate.plan import section_name
from feldspar.generate.pool import ANY_TASK, by_task, pooled
from feldspar.generate.skills import FREEFORM, GROUNDED
from feldspar.generate.template import derive
from feldspar.recipe import GenerateSettings, Recipe, part, part_digest
from feldspar.teacher import Reply, Request
from feldspar.types import Draft, Leaf, Message, Origin, Sample, Seed


def task(name: str, *questions: str, context: str = "") -> Leaf:
    seeds = tuple(Seed(question, f"Answer to {question}", context) for question in questions)
    return Leaf(f"compositional_skills/{name}", "compositional_skills", f"The task of {name}", seeds)


VERSE = task(
    "verse", *(f"Compose a verse on the {word} that falls in the night" for word in ("rain", "snow", "hail"))
)
MATHS = task("maths", "Add seven and nine", "Take four from ten", "Halve the number fifty")
NOTES = task("notes", "Shorten this", "List the dates", context="The fair is on 3 May.")


class Told:
    """A teacher that keeps what it was asked."""

    identity = "told"

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def ask(self, request: Request) -> Reply:
        self.requests.append(request)
        return Reply(perfect(request))

    async def close(self) -> None:
        return None


def drawn(of: LeafPlan, draws: int, seed: int = 0) -> tuple[list[Draft], list[Request]]:
    teacher, pack = Told(), load_pack("default")
    section = section_name(of)
    context = Context(of, teacher, pack, pack.sections[section], seed)

    async def all_of() -> list[Draft]:
        found = []
        for number in range(1, draws + 1):
            draft = Draft(f"{of.leaf.path}#{number}", of.leaf.path, number)
            for step in GROUNDED if section == "grounded" else FREEFORM:
                draft = draft if draft.rejected else await step(draft, context)
            found.append(draft)
        return found

    return asyncio.run(all_of()), teacher.requests


def test_seeds_come_from_all_leaves_of_the_pipeline_and_no_task_is_named() -> None:
    plans = pooled([plan(leaf) for leaf in (VERSE, MATHS, NOTES)])
    assert [section_name(one) for one in plans] == ["freeform", "freeform", "grounded"]
    assert set(plans[0].seeds) == {*VERSE.seeds, *MATHS.seeds} == set(plans[1].seeds)
    assert plans[2].seeds == NOTES.seeds
    drafts, requests = drawn(plans[0], 30)
    shown = {plans[0].seeds[number - 1] for draft in drafts for number in draft.seeds}
    assert shown == {*VERSE.seeds, *MATHS.seeds}
    mixed = [len({plans[0].seeds[n - 1] in VERSE.seeds for n in draft.seeds}) for draft in drafts]
    assert mixed.count(2) > 15, "most prompts show both tasks"
    said = json.dumps([[message.content for message in request.messages] for request in requests])
    assert "The task of" not in said
    assert ANY_TASK in said


def test_as_many_draws_and_calls_under_the_same_ids() -> None:
    before = [plan(leaf, target=5, max_draws=9) for leaf in (VERSE, MATHS)]
    after = pooled(before)
    assert [(one.leaf.path, one.target, one.max_draws, one.leaf.style) for one in after] == [
        (one.leaf.path, 5, 9, one.leaf.style) for one in before
    ]
    (drafts, requests), (taxonomy, asked) = drawn(after[0], 6), drawn(before[0], 6)
    assert [draft.id for draft in drafts] == [draft.id for draft in taxonomy]
    assert len(requests) == len(asked)
    assert [request.seed for request in requests] == [request.seed for request in asked]


def test_the_same_again_and_another_for_another_seed() -> None:
    one = pooled([plan(leaf) for leaf in (VERSE, MATHS)])[1]
    again = pooled([plan(leaf) for leaf in (VERSE, MATHS)])[1]
    assert drawn(one, 5) == drawn(again, 5)
    assert [draft.seeds for draft in drawn(one, 9)[0]] != [draft.seeds for draft in drawn(one, 9, seed=1)[0]]


MANY = [task(f"t{n}", *(f"Tell what word{n}x{k} is" for k in range(5))) for n in range(20)]


def as_ever(of: LeafPlan, draw: int, shown: int, seed: int) -> tuple[Seed, ...]:
    """The seeds of a draw, said as plainly as can be: each place's derived number, sorted."""
    fit = [n for n, one in enumerate(of.seeds) if one.context or section_name(of) != "grounded"]

    def order(count: int, *parts: str | int) -> list[int]:
        return sorted(range(count), key=lambda place: (derive(seed, *parts, place), place))

    turns = order(len(fit), of.leaf.path, "turns")
    first = turns[(draw - 1) % len(turns)]
    others = [n for n in order(len(fit), of.leaf.path, "seeds", draw) if n != first]
    chosen = [first, *others][:shown]
    return tuple(of.seeds[fit[chosen[n]]] for n in order(len(chosen), of.leaf.path, "order", draw))


def test_prompts_show_the_seeds_that_they_always_did_of_pools_too() -> None:
    leaves = [VERSE, MATHS, *MANY[:6], NOTES]
    plans = [plan(leaf, max_draws=7, holdout=n % 2) for n, leaf in enumerate(leaves)]
    for one in (*plans, *pooled(plans)):
        shown = load_pack("default").sections[section_name(one)].shown_seeds
        # More draws than the budget has: a draw that is shown may have been begun under a larger one.
        for draft in drawn(one, 12, seed=3)[0]:
            said = tuple(one.leaf.seeds[number - 1] for number in draft.seeds)
            assert said == as_ever(one, draft.draw, shown, 3)


def test_what_is_made_of_a_pool_s_seeds_is_made_once() -> None:
    pack = load_pack("default")
    plans = pooled([plan(leaf, holdout=1) for leaf in MANY])
    first, *others = (Context(one, Told(), pack, pack.sections["freeform"], 0) for one in plans)
    assert len(first.shown) == len(first.seeds) == 80
    for one in others:
        assert one.shown is first.shown
        assert one.held_out is first.held_out
        assert one.seeds is first.seeds


def test_a_seed_has_the_number_that_it_has_in_the_leaf_s_file() -> None:
    leaf = skill()
    one = plan(leaf, holdout=2)
    numbers = [leaf.seeds.index(seed) + 1 for seed in one.seeds]
    assert numbers != [1, 2, 3]
    pack = load_pack("default")
    context = Context(one, Told(), pack, pack.sections["freeform"], 0)
    assert dict(context.seeds) == dict(zip(numbers, one.seeds, strict=True))
    assert [known.name for known in context.shown] == [f"seed {number}" for number in numbers]


def test_the_recipe_s_key_changes_samples_and_no_older_digest() -> None:
    usual, pool = Recipe(), Recipe(generate=GenerateSettings(sampling="pool"))
    assert "sampling" not in part(usual, "2-samples")["generate"]
    assert part_digest(usual, "2-samples") != part_digest(pool, "2-samples")
    assert part_digest(usual, "1-leaves") == part_digest(pool, "1-leaves")


def test_knowledge_stays_by_leaf() -> None:
    plans = [plan(knowledge()), plan(VERSE), plan(knowledge("other"))]
    after = pooled(plans)
    assert (after[0], after[2]) == (plans[0], plans[2])
    assert after[1].seeds == VERSE.seeds


def test_what_one_leaf_holds_out_no_leaf_shows_or_asks() -> None:
    held = replace(VERSE, seeds=(*VERSE.seeds, Seed(f"Compose a verse on {HELD}", "No.")))
    # The other leaf shows the very question, in other letters.
    shows = replace(MATHS, seeds=(*MATHS.seeds, Seed(f"compose  a verse on {HELD}", "Yes.")))
    plans = [replace(plan(held), seeds=VERSE.seeds), replace(plan(shows), avoid=("Name a lake",))]
    after = pooled(plans)
    for one in after:
        assert not any(HELD in seed.question for seed in one.seeds)
        assert any(HELD.casefold() in asked for asked in one.held_out)
        assert "Name a lake" in one.held_out
    _, requests = drawn(after[1], 12)
    assert HELD.casefold() not in json.dumps([[m.content for m in r.messages] for r in requests]).casefold()


def test_a_pool_of_several_languages_asks_for_none() -> None:
    german = task(
        "verse_de", "Schreibe einen Vers über den Regen", "Schreibe einen kurzen Vers über den Hund"
    )
    assert language_of(german) == "German"
    assert language_of(pooled([plan(german)])[0].leaf) == "German"
    plans = pooled([plan(german), plan(VERSE), plan(MATHS)])
    assert len({language_of(one.leaf) for one in plans}) == 1
    assert language_of(plans[0].leaf) != "German"
    told = [plan(replace(leaf, language="Latin")) for leaf in (VERSE, MATHS)]
    assert {one.leaf.language for one in pooled(told)} == {"Latin"}
    assert {one.leaf.language for one in pooled([*told, plan(german)])} == {""}


def test_a_leaf_without_seeds_or_alone_is_no_trouble() -> None:
    bare = replace(VERSE, seeds=())
    assert pooled([]) == []
    assert pooled([plan(bare)])[0].seeds == ()
    assert pooled([plan(skill())])[0].seeds == skill().seeds


@pytest.mark.parametrize(
    ("asked", "leaf"),
    [
        ("Compose a verse on the frost of the morning", "compositional_skills/verse"),
        ("Take three from eleven", "compositional_skills/maths"),
        ("Wholly unlike", ""),
    ],
)
def test_a_sample_s_task_is_that_of_the_nearest_seed(asked: str, leaf: str) -> None:
    mine = Sample(
        "compositional_skills/notes#1",
        "compositional_skills/notes",
        "compositional_skills",
        (Message("user", asked), Message("assistant", "Yes.")),
        Origin("generated", ""),
    )
    known = replace(mine, leaf="knowledge/quarl", branch="knowledge")
    found = list(by_task([mine, known], [VERSE, MATHS, knowledge()], least=0.2))
    assert found == [replace(mine, leaf=leaf), known]
