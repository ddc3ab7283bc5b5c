from __future__ import annotations

import asyncio
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generate.plans import TEXT, Drawn, collected, dice, knowledge, perfect, plan, skill

from feldspar.errors import NotStored, TeacherError
from feldspar.generate import LeafPlan, generate, load_pack
from feldspar.generate.quota import Quota, Rota, Survival
from feldspar.generate.units import unit_for, units_of
from feldspar.teacher import Reply, Request, ScriptedTeacher
from feldspar.types import Passage

PACK = load_pack("default")


@given(quotas=st.integers(1, 40), block=st.integers(1, 6), draw=st.integers(1, 5000))
def test_a_draw_s_number_says_which_quota_it_serves(quotas: int, block: int, draw: int) -> None:
    rota = Rota(quotas, block)
    assert 0 <= rota.quota(draw) < quotas
    assert rota.draw(rota.quota(draw), rota.turn(draw)) == draw


@given(quotas=st.integers(1, 9), block=st.integers(1, 4))
def test_neighbours_serve_one_quota_and_all_come_around(quotas: int, block: int) -> None:
    rota = Rota(quotas, block)
    served = [rota.quota(draw) for draw in range(1, quotas * block + 1)]
    assert served == [quota for quota in range(quotas) for _ in range(block)]


@pytest.mark.parametrize("quotas", [1, 3])
def test_every_passage_and_every_sentence_gets_its_turn(quotas: int) -> None:
    section = load_pack("small").sections["knowledge"]
    texts = (
        "Ferries sail north. Nets dry in May.",
        "Bells ring at noon.",
        "Peat burns slowly. Salt is raked.",
    )
    passages = tuple(Passage("a", (), text, 0, len(text)) for text in texts)
    units = units_of(passages, section)
    asked = [unit_for(draw, units, Rota(quotas)) for draw in range(1, 3 * 2 * 5 + 1)]
    assert {unit.focus for unit in asked} == {unit.focus for mine in units for unit in mine}
    if quotas == 1:
        assert [unit.passage for unit in asked[:5]] == [passages[n] for n in (0, 0, 1, 2, 2)]
    else:
        assert [unit.passage for unit in asked] == [*passages] * 10


def test_another_draw_is_wanted_as_long_as_too_few_acceptances_are_to_be_expected() -> None:
    quota = Quota(target=20, budget=90, steps=1)
    sure, doubtful = [1.0, 1.0], [0.5, 1.0]
    assert quota.wants(sure)
    quota.begun = quota.at[0] = 20
    assert not quota.wants(sure), "twenty sure ones are under way"
    assert quota.wants(doubtful), "ten are to be expected of twenty"
    quota.begun = quota.at[0] = 40
    assert not quota.wants(doubtful)
    assert quota.wants(doubtful, spare=True), "twenty of forty, give or take five"
    quota.begun = 90
    assert not quota.wants(doubtful, spare=True), "the budget"
    quota.accepted = 20
    assert quota.over


def test_a_small_quota_begins_no_draw_beyond_those_that_may_be_kept() -> None:
    quota = Quota(target=3, budget=12, steps=1, begun=3, sound=1)
    doubtful = [0.3, 1.0]
    quota.at[0] = 2
    assert not quota.wants(doubtful)
    assert quota.wants(doubtful, spare=True), "but in slots that stand idle"
    quota.at[0] = 1
    assert quota.wants(doubtful)


def test_chances_are_the_leaf_s_own_once_it_has_many() -> None:
    everywhere = Survival(2)
    good, bad = everywhere.leaf(), everywhere.leaf()
    assert good.chances() == [1.0, 1.0, 1.0]
    for _ in range(400):
        good.note(0, True)
        bad.note(0, False)
    fresh = everywhere.leaf().chances()
    assert bad.chances()[0] < 0.1 < 0.4 < fresh[0] < 0.6 < 0.9 < good.chances()[0]
    assert fresh[1:] == [1.0, 1.0]


def per_passage(each: int, passages: int, draws: int = 4) -> LeafPlan:
    leaf = knowledge()
    cut = len(TEXT) // passages
    made = tuple(
        Passage("quarl.md", ("Lakes",), TEXT[n * cut : (n + 1) * cut], n * cut, (n + 1) * cut)
        for n in range(passages)
    )
    return LeafPlan(leaf, leaf.seeds, made, each * passages, each * passages * draws, quotas=passages)


def drawn(plans: list[LeafPlan], teacher: object, seed: int = 0, slots: int = 16) -> list[Drawn]:
    return asyncio.run(collected(generate(plans, teacher, PACK, seed=seed, slots=lambda: slots)))  # type: ignore[arg-type]


class Jittery:
    identity = "jittery"

    def __init__(self, seed: int) -> None:
        self.random, self.scripted = random.Random(seed), ScriptedTeacher(lenient)

    async def ask(self, request: Request) -> Reply:
        await asyncio.sleep(self.random.random() * 0.001)
        return await self.scripted.ask(request)

    async def close(self) -> None:
        pass


def lenient(request: Request) -> str:
    """Judges that say no one time in three, and sound texts."""
    if "verdict" in request.schema or "score" in request.schema:
        no = random.Random(request.seed).random() < 0.3
        keys = json.loads(request.schema)["properties"]
        kinds = {
            "verdict": "no" if no else "yes",
            "because": "So.",
            "score": 1 if no else 3,
            "explanation": "So.",
        }
        return json.dumps({key: kinds[key.rsplit("_", 1)[-1]] for key in keys})
    return perfect(request)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6), each=st.integers(1, 4), passages=st.integers(1, 5), slots=st.integers(1, 30)
)
def test_each_passage_gets_its_samples_exactly_whatever_the_timing(
    seed: int, each: int, passages: int, slots: int
) -> None:
    plans = [per_passage(each, passages), plan(skill(), 3, 12)]
    alone = drawn(plans, ScriptedTeacher(lenient), seed, slots=1)
    together = drawn(plans[::-1], Jittery(seed), seed, slots)
    assert [found.drafts for found in together] == [found.drafts for found in alone]
    leaf = next(found for found in alone if found.outcome.leaf == "knowledge/quarl")
    for passage in plans[0].passages:
        mine = [draft for draft in leaf.drafts if draft.passage == passage]
        kept = [draft for draft in mine if not draft.rejected]
        assert len(kept) == each or len(mine) == 4 * each
        assert len(kept) < each or not mine[-1].rejected, "nothing is drawn past the last that was wanted"
    assert leaf.outcome.draws == len(leaf.drafts)
    assert [draft.draw for draft in leaf.drafts] == sorted({draft.draw for draft in leaf.drafts})


def test_a_passage_that_yields_nothing_spends_its_own_budget_alone() -> None:
    made = per_passage(2, 3)
    barren = made.passages[1].text.strip()

    def teach(request: Request) -> str:
        if barren in request.messages[-1].content:
            return "{" if request.schema else ""
        return perfect(request) if request.schema else "It is as everybody says it is."

    leaf = drawn([made], ScriptedTeacher(teach))[0]
    counts = [sum(d.passage == p for d in leaf.drafts) for p in made.passages]
    assert counts == [2, 8, 2]
    assert (leaf.outcome.accepted, leaf.outcome.target) == (4, 6)


def test_what_is_not_stored_ends_the_leaf_before_it() -> None:
    stored = ScriptedTeacher(perfect)
    whole = drawn([plan(skill(), 6)], stored)[0]
    fifth = {request.seed for request in stored.requests if request.rank and request.rank[-1] == 5}

    class Stored:
        identity = "stored"

        async def ask(self, request: Request) -> Reply:
            await asyncio.sleep(0)
            if request.seed in fifth:
                raise NotStored("not stored")
            return Reply(perfect(request))

        async def close(self) -> None:
            pass

    leaf = drawn([plan(skill(), 6)], Stored())[0]
    assert leaf.drafts == whole.drafts[:4]
    assert leaf.outcome.accepted == 4


def test_a_first_sample_of_every_leaf_comes_before_the_second_half_of_any() -> None:
    order: list[str] = []

    async def watched() -> None:
        plans = [plan(skill(f"verse{n}"), 40, 80) for n in range(6)]
        async for found in generate(plans, OneAtATime(), PACK, seed=0, slots=lambda: 4):
            order.append(found.leaf)

    asyncio.run(watched())
    firsts = [order.index(f"compositional_skills/verse{n}") for n in range(6)]
    assert max(firsts) < 18, "three early draws of six leaves"


class OneAtATime:
    """A teacher with four slots that takes the lowest rank first."""

    identity = "ranked"

    def __init__(self) -> None:
        self.waiting: list[tuple[tuple[float, ...], int, asyncio.Future[None]]] = []
        self.free, self.count = 4, 0

    async def ask(self, request: Request) -> Reply:
        self.count += 1
        if not self.free:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting.append((request.rank, self.count, turn))
            await turn
        else:
            self.free -= 1
        if request.claim:
            request.claim.sent = True
        await asyncio.sleep(0)
        self.waiting = [entry for entry in self.waiting if not entry[2].done()]
        if self.waiting:
            first = min(self.waiting, key=lambda entry: entry[:2])
            self.waiting.remove(first)
            first[2].set_result(None)
        else:
            self.free += 1
        return Reply(perfect(request))

    async def close(self) -> None:
        pass


def test_what_one_quota_lacks_ends_that_quota_alone() -> None:
    """Whether a draw of another quota was begun before it hangs on time, and must not count."""
    made = per_passage(2, 3)
    lacking = made.passages[1].text.strip()

    class Stored:
        identity = "stored"

        async def ask(self, request: Request) -> Reply:
            await asyncio.sleep(0)
            if lacking in request.messages[-1].content:
                raise NotStored("not stored")
            return Reply(perfect(request) if request.schema else "It is as everybody says it is.")

        async def close(self) -> None:
            pass

    counts = {
        slots: [
            sum(d.passage == p for d in drawn([made], Stored(), slots=slots)[0].drafts) for p in made.passages
        ]
        for slots in (1, 30)
    }
    assert counts == {1: [2, 0, 2], 30: [2, 0, 2]}


def test_one_slow_reply_does_not_pile_up_what_comes_after_it() -> None:
    class Slow:
        identity = "slow"

        def __init__(self) -> None:
            self.asked = 0
            self.gate = asyncio.Event()

        async def ask(self, request: Request) -> Reply:
            self.asked += 1
            if self.asked == 1:
                await self.gate.wait()
            await asyncio.sleep(0)
            return Reply(perfect(request))

        async def close(self) -> None:
            pass

    async def asked_meanwhile() -> tuple[int, int]:
        slow = Slow()
        drawing = asyncio.ensure_future(
            collected(generate([plan(skill(), 400, 800)], slow, PACK, seed=0, slots=lambda: 4))
        )
        for _ in range(3000):
            await asyncio.sleep(0)
        meanwhile = slow.asked
        slow.gate.set()
        return meanwhile, (await drawing)[0].outcome.accepted

    meanwhile, accepted = asyncio.run(asked_meanwhile())
    assert meanwhile <= 4 * 4 * 4 * 4, "four times the sixteen draws that may be under way"
    assert accepted == 400


def test_a_teacher_that_gives_up_by_itself_ends_the_run_and_does_not_hang() -> None:
    class Quitter:
        identity = "quitter"

        async def ask(self, request: Request) -> Reply:
            raise asyncio.CancelledError

        async def close(self) -> None:
            pass

    async def bounded() -> None:
        async with asyncio.timeout(5):
            await collected(generate([plan(skill(), 2)], Quitter(), PACK, seed=0))

    with pytest.raises(TeacherError, match="gave a request up by itself"):
        asyncio.run(bounded())


@pytest.mark.parametrize("slots", [1, 8])
def test_a_surplus_draw_finishes_what_a_server_works_on_and_gives_up_what_waits(slots: int) -> None:
    leaf = plan(skill(), 6, 24)
    found = drawn([leaf, plan(skill("other"), 6, 24)], Jittery(3), 1, slots)
    for one in found:
        assert one.outcome.accepted == 6
        assert one.outcome.surplus_calls <= 4 * one.outcome.surplus


def test_the_dice_reach_every_fate() -> None:
    found = drawn([plan(skill(), 6), per_passage(2, 2)], ScriptedTeacher(dice))
    assert {draft.rejected for one in found for draft in one.drafts} >= {"", "unparsable", "judged out"}
