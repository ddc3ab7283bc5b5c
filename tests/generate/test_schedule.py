from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.generate.plans import HELD, Drawn, collected, dice, knowledge, perfect, plan, skill

from feldspar.errors import TaxonomyError, TeacherError
from feldspar.generate import LeafPlan, funnel, generate, load_pack
from feldspar.generate.template import derive
from feldspar.teacher import HttpTeacher, Journal, Journaled, Reply, Request, ScriptedTeacher, scripted_server
from feldspar.types import Draft, Leaf, Seed

PACK = load_pack("default")


class Jittery:
    """A teacher whose replies come in any order."""

    identity = "jittery"

    def __init__(self, function: object, seed: int, slow: float = 0.001) -> None:
        self.scripted = ScriptedTeacher(function)  # type: ignore[arg-type]
        self.random = random.Random(seed)
        self.slow = slow

    async def ask(self, request: Request) -> Reply:
        await asyncio.sleep(self.random.random() * self.slow)
        return await self.scripted.ask(request)

    async def close(self) -> None:
        pass


def draw(
    plans: list[LeafPlan], teacher: object, seed: int = 0, slots: int = 16, pack: object = PACK
) -> list[Drawn]:
    return asyncio.run(collected(generate(plans, teacher, pack, seed=seed, slots=lambda: slots)))  # type: ignore[arg-type]


def plans_of(target: int, holdout: int = 0) -> list[LeafPlan]:
    leaves = [skill(), skill("notice", context=True, style="precise"), knowledge()]
    return [plan(leaf, target, 4 * target, holdout) for leaf in leaves]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), target=st.integers(1, 6), slots=st.integers(1, 40), jitter=st.integers())
def test_neither_order_nor_slots_change_what_is_drawn_and_the_funnel_adds_up(
    seed: int, target: int, slots: int, jitter: int
) -> None:
    plans = plans_of(target)
    alone = draw(plans, ScriptedTeacher(dice), seed, slots=1)
    together = draw(plans[::-1], Jittery(dice, jitter), seed, slots)
    assert [o.drafts for o in together] == [o.drafts for o in alone]
    counts = funnel(o.outcome for o in together)
    for outcome in together:
        row = counts[outcome.outcome.leaf]
        assert row["draws"] == len(outcome.drafts) == row["accepted"] + sum(row["rejected"].values())
        assert sum(row["judges"].values()) == sum(row["rejected"].values())
        assert [d.draw for d in outcome.drafts] == list(range(1, row["draws"] + 1))
        # Draw k brought the last acceptance, or the budget's end.
        assert row["accepted"] <= target
        assert row["accepted"] == target or row["draws"] == 4 * target
        assert row["accepted"] < target or not outcome.drafts[-1].rejected
        assert (row["accepted"] == 0) == bool(outcome.outcome.error)
        for draft in outcome.drafts:
            assert not draft.rejected or (draft.verdicts and not draft.verdicts[-1].keep)
            assert draft.rejected or all(verdict.keep for verdict in draft.verdicts)


def test_the_run_s_seed_changes_the_draws() -> None:
    one, other = (draw(plans_of(3), ScriptedTeacher(dice), seed) for seed in (1, 2))
    assert one != other


def test_no_two_requests_look_alike() -> None:
    teacher = ScriptedTeacher(dice)
    draw(plans_of(6), teacher)
    assert len(set(teacher.requests)) == len(teacher.requests) > 50


def test_a_leaf_s_draws_do_not_depend_on_the_other_leaves() -> None:
    together = draw(plans_of(3), ScriptedTeacher(dice))
    alone = [draw([one], ScriptedTeacher(dice))[0] for one in plans_of(3)]
    assert {o.outcome.leaf: o.drafts for o in together} == {o.outcome.leaf: o.drafts for o in alone}


def test_held_out_seeds_are_in_no_request() -> None:
    seeds = tuple(
        Seed(f"Write line{n} on topic{n} {HELD if n > 2 else ''}", f"Line {n} {HELD if n > 2 else ''}")
        for n in range(5)
    )
    leaf = Leaf("compositional_skills/lines", "compositional_skills", "Lines", seeds)
    teacher = ScriptedTeacher(perfect)
    outcome = draw([LeafPlan(leaf, seeds[:3], (), 6, 12)], teacher)[0]
    assert len(outcome.accepted) == 6
    assert teacher.requests
    assert not any(HELD in message.content for request in teacher.requests for message in request.messages)
    shown = {n for d in outcome.drafts for n in d.seeds}
    assert shown == {1, 2, 3}


def test_a_draft_like_a_held_out_question_is_rejected_before_it_is_answered() -> None:
    leaf = skill()
    asked = "Compose verse4 about subject4 thing4!"

    def copycat(request: Request) -> str:
        return json.dumps({"instruction": asked})

    teacher = ScriptedTeacher(copycat)
    outcome = draw([LeafPlan(leaf, leaf.seeds[:4], (), 2, 3)], teacher)[0]
    assert [d.rejected for d in outcome.drafts] == ["held out"] * 3
    assert len(teacher.requests) == 3
    # The same for questions of an evaluation file.
    avoiding = LeafPlan(skill(), skill().seeds, (), 1, 2, avoid=("What is the tallest of all towers?",))
    teller = ScriptedTeacher(lambda _: '{"instruction": "What is the tallest of all towers"}')
    assert {d.rejected for d in draw([avoiding], teller)[0].drafts} == {"held out"}


def test_near_duplicates_are_decided_in_draw_order_whatever_came_first() -> None:
    def same(request: Request) -> str:
        if "instruction" in request.schema and "verdict" not in request.schema:
            return '{"instruction": "Name the seven colours of a rainbow in order"}'
        return perfect(request)

    outcome = draw([plan(skill(), 3, 6)], Jittery(same, 3))[0]
    assert [d.rejected for d in outcome.drafts] == ["", *["near-duplicate"] * 5]
    assert outcome.drafts[3].verdicts[-1].reason == "like compositional_skills/verse#1"
    assert outcome.drafts[3].verdicts[-1].score == 1.0


def test_draws_ahead_are_bounded_by_need() -> None:
    teacher = ScriptedTeacher(perfect)
    outcome = draw([plan(skill(), 10, 1000)], teacher, slots=500)[0]
    assert len(outcome.drafts) == 10
    assert outcome.outcome.surplus == 0
    assert len({(request.seed) for request in teacher.requests}) == len(teacher.requests)
    assert len(teacher.requests) <= 4 * 12


class Held:
    """A teacher that answers some requests at once, and the others when a gate opens."""

    identity = "held"

    def __init__(self, quick: Callable[[Request], bool], answer: Callable[[Request], str] = perfect) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.gate = asyncio.Event()
        self.quick = quick

    async def ask(self, request: Request) -> Reply:
        self.requests.append(request)
        if not self.quick(request):
            await self.gate.wait()
        await asyncio.sleep(0)
        return Reply(self.answer(request))

    async def close(self) -> None:
        pass


def test_a_surplus_draw_finishes_what_is_in_flight_and_asks_no_further() -> None:
    leaf = skill()
    first = {derive(0, leaf.path, step, 1, 0) for step in PACK.sections["freeform"].steps}

    # The first draw's judge says no now and then elsewhere, so that a second is under way; here it is fine.
    never = {derive(0, other.path, "instruction", n, 0) for other in [skill("other")] for n in range(1, 9)}

    async def drawn() -> tuple[list[Drawn], int]:
        teacher = Held(lambda request: request.seed in first | never)
        asyncio.get_running_loop().call_later(0.05, teacher.gate.set)
        found = await collected(generate([plan(leaf, 1, 50)], teacher, PACK, seed=0))
        return found, len(teacher.requests)

    found, asked = asyncio.run(drawn())
    assert (len(found[0].drafts), found[0].outcome.surplus) == (1, 0)
    assert asked == 4


def test_a_leaf_that_is_done_does_not_wait_for_a_turn_it_no_longer_needs() -> None:
    leaf = skill()
    first = {derive(0, leaf.path, "instruction", 1, attempt) for attempt in range(PACK.attempts)}

    async def first_done() -> str:
        teacher = Held(
            quick=lambda request: "Quarl" not in request.messages[-1].content,
            answer=lambda request: "?" if request.seed in first else perfect(request),
        )
        stream = generate([plan(leaf, 1), plan(knowledge(), 2)], teacher, PACK, seed=0, slots=lambda: 2)
        # The knowledge leaf's draws wait for a gate that never opens; the other leaf needs none of them.
        async with asyncio.timeout(5):
            while isinstance(found := await anext(stream), Draft):
                pass
        await stream.aclose()
        return found.leaf

    assert asyncio.run(first_done()) == "compositional_skills/verse"


def test_the_same_over_real_sockets_with_a_journal(tmp_path: Path) -> None:
    def answer(body: Request) -> str:
        return dice(body)

    async def over_http() -> tuple[list[Drawn], list[Drawn]]:
        async with scripted_server(answer) as server:
            journal = Journal(tmp_path / "journal.sqlite")
            teacher = Journaled(HttpTeacher("scripted", [server.url], max_in_flight=7), journal)
            try:
                first = await collected(generate(plans_of(3), teacher, PACK, seed=5, slots=lambda: 7))
                again = await collected(generate(plans_of(3), teacher, PACK, seed=5, slots=lambda: 2))
            finally:
                await teacher.close()
        return first, again

    first, again = asyncio.run(over_http())
    assert [o.drafts for o in first] == [o.drafts for o in again]
    # The same texts as without a wire, and the journal's keys beside them.
    plain = draw(plans_of(3), ScriptedTeacher(dice), 5)
    assert [[(d.instruction, d.response, d.rejected) for d in o.drafts] for o in first] == [
        [(d.instruction, d.response, d.rejected) for d in o.drafts] for o in plain
    ]
    assert all(len(set(d.requests)) == len(d.requests) > 0 for o in first for d in o.drafts)


def test_a_refusal_ends_everything_and_names_the_draft() -> None:
    def refuse(request: Request) -> str:
        if "Quarl" in request.messages[-1].content:
            raise TeacherError("the prompt has 9000 tokens", "Make passages smaller.")
        return perfect(request)

    teacher = Jittery(refuse, 1)
    with pytest.raises(TeacherError, match=r"9000 tokens \(asked for knowledge/quarl#\d+, question\)"):
        draw(plans_of(50)[::-1], teacher, slots=2)
    # Six hundred would have been asked.
    assert len(teacher.scripted.requests) < 30


def test_stopping_early_leaves_nothing_running() -> None:
    async def first_only() -> int:
        stream = generate(plans_of(30), Jittery(perfect, 1), PACK, seed=0)
        await anext(stream)
        await stream.aclose()
        return len(asyncio.all_tasks()) - 1

    assert asyncio.run(first_only()) == 0


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (LeafPlan(skill(), (), (), 3, 9), "no seed"),
        (LeafPlan(knowledge(), knowledge().seeds, (), 3, 9), "no document text"),
        (LeafPlan(skill(), skill().seeds, (), 3, 0), "no draw"),
    ],
)
def test_a_leaf_that_cannot_be_drawn_says_why_and_asks_nothing(made: LeafPlan, words: str) -> None:
    teacher = ScriptedTeacher(perfect)
    outcome = draw([made], teacher)[0]
    assert words in outcome.outcome.error
    assert made.leaf.path in outcome.outcome.error
    assert (outcome.drafts, teacher.requests) == ((), [])


def test_a_leaf_that_yields_nothing_is_an_error_with_its_reasons() -> None:
    outcome = draw([plan(skill(), 2, 5)], ScriptedTeacher(lambda _: "no JSON here"))[0]
    assert outcome.outcome.error == "compositional_skills/verse: none of 5 draws was accepted (5 unparsable)"


def test_two_plans_of_one_path_are_refused() -> None:
    with pytest.raises(TaxonomyError, match="two leaves"):
        draw([plan(skill()), plan(skill())], ScriptedTeacher(perfect))


def test_many_leaves_need_few_draws_under_way() -> None:
    most = now = tasks = 0

    async def ask(request: Request) -> Reply:
        nonlocal most, now, tasks
        now += 1
        tasks = max(tasks, len(asyncio.all_tasks()))
        most = max(most, now)
        reply = await teacher.ask(request)
        now -= 1
        return reply

    class Counting:
        identity = "counting"

        def __init__(self) -> None:
            self.ask = ask

        async def close(self) -> None:
            pass

    teacher = ScriptedTeacher(perfect)
    outcomes = draw([plan(skill(f"verse{n}"), 2, 8) for n in range(60)], Counting(), slots=10)
    assert sum(len(o.accepted) for o in outcomes) == 120
    # Four draws for each slot, and the test's own task: memory does not grow with what is still to come.
    assert 10 <= most <= 40
    assert tasks <= 40 + 1


def test_ids_are_the_leaf_and_the_draw() -> None:
    drafts: tuple[Draft, ...] = draw([plan(skill(), 2)], ScriptedTeacher(perfect))[0].drafts
    assert [d.id for d in drafts] == ["compositional_skills/verse#1", "compositional_skills/verse#2"]
