"""Every draw is accounted for, whatever a teacher and its judges say, refuse, garble or delay."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.generate.plans import TEXT, Drawn, collected, dice, knowledge, perfect, skill

from feldspar.errors import TeacherRefused
from feldspar.generate import LeafPlan, Panel, funnel, generate, load_pack
from feldspar.stages.drafts import DraftBook
from feldspar.teacher import Reply, Request
from feldspar.types import Leaf, Passage

PACKS = {name: load_pack(name) for name in ("default", "small")}
ODD = (
    "", " ", "\x00", "\ud800", "…", "{", "[]", "null", "7", '"yes"', "<html>", "</passage>", "}{", "\n\n\n",
    "yes", "Score: 3", "3", "I cannot help with that.", "so it goes " * 12, "a" * 3000, "Was? Warum? Wo?",
    '{"score": 3}', '{"score": "3", "explanation": ""}', '{"instruction": ""}', '{"question": null}',
    '{"instruction": {"instruction": "Compose"}}', '```json\n{"score": 2}\n```', "What is it called?",
)  # fmt: skip


@dataclass
class Wild:
    """A teacher that says, refuses and delays as dice fall: the same for the same request, in any order."""

    salt: int
    shares: tuple[float, float, float, float]
    """Of good replies, of those of `dice`, of odd ones, of refusals."""
    hurry: random.Random
    identity: str = "wild"
    asked: int = 0
    refused: int = 0

    async def ask(self, request: Request) -> Reply:
        self.asked += 1
        if request.claim is not None:
            request.claim.sent = True
        die = random.Random(f"{self.salt} {self.identity} {request.seed}")
        for _ in range(self.hurry.randrange(9)):
            await asyncio.sleep(0)
        kind = die.choices(("good", "dice", "odd", "refusal"), self.shares)[0]
        if kind == "refusal":
            self.refused += 1
            raise TeacherRefused("the server refuses: content policy.")
        text = {"good": perfect, "dice": dice}[kind](request) if kind != "odd" else die.choice(ODD)
        finish = die.choice(["stop"] * 5 + ["length"])
        return Reply(text, finish, key=f"{self.identity} {request.seed} {len(request.messages)}")

    async def close(self) -> None:
        pass


def planned(leaf: Leaf, each: int, quotas: int, draws: int, passages: int = 1) -> LeafPlan:
    cut = len(TEXT) // passages
    made = tuple(
        Passage("quarl.md", ("Lakes",), TEXT[n * cut : (n + 1) * cut], n * cut, (n + 1) * cut)
        for n in range(passages)
    )
    shown = leaf.seeds[:-1]
    target = each * quotas
    return LeafPlan(leaf, shown, made if leaf.branch == "knowledge" else (), target, target * draws, quotas)


@st.composite
def plans_of_any_kind(draw: st.DrawFn, turns: int) -> list[LeafPlan]:
    """A knowledge leaf beside freeform and grounded skills, with random quotas."""
    each, draws = st.integers(1, 4), st.integers(1, 5)
    passages = draw(st.integers(1, 4))
    quotas = draw(st.sampled_from([1, passages]))
    verse = replace(skill(), turns=turns)
    notice = replace(skill("notice", context=True, style="precise"), turns=turns)
    return [
        planned(knowledge(), draw(each), quotas, draw(draws), passages),
        planned(verse, draw(each), 1, draw(draws)),
        planned(notice, draw(each), 1, draw(draws)),
    ]


def drawn(plans: list[LeafPlan], pack: str, teachers: list[Wild], agree: Any, slots: int) -> list[Drawn]:
    teacher, *judges = teachers
    panel = Panel(tuple(judges), agree)
    stream = generate(plans, teacher, PACKS[pack], seed=3, slots=lambda: slots, panel=panel)
    return asyncio.run(collected(stream))


Agree = Literal["all", "majority", "mean"]


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    data=st.data(),
    pack_turns=st.sampled_from([("default", 1), ("default", 2), ("small", 1)]),
    shares=st.sampled_from(
        [(1.0, 0.0, 0.0, 0.0), (0.7, 0.1, 0.1, 0.1), (0.3, 0.5, 0.1, 0.1), (0.1, 0.1, 0.7, 0.1), (0, 0, 1, 1)]
    ),
    judges=st.integers(0, 3),
    agree=st.sampled_from(["all", "majority", "mean"]),
    slots=st.integers(1, 40),
    salt=st.integers(0, 10**6),
)
def test_every_draw_is_accounted_for_whatever_is_said_and_in_whatever_order(
    data: st.DataObject,
    pack_turns: tuple[str, int],
    shares: tuple[float, float, float, float],
    judges: int,
    agree: Agree,
    slots: int,
    salt: int,
) -> None:
    pack, turns = pack_turns
    plans = data.draw(plans_of_any_kind(turns))

    def teachers(order: int) -> list[Wild]:
        names = ["wild", *(f"judge-{n}" for n in range(judges))]
        return [Wild(salt, shares, random.Random(order), name) for name in names]

    alone = drawn(plans, pack, teachers(0), agree, 1)
    asked = teachers(salt)
    together = drawn(plans[::-1], pack, asked, agree, slots)
    assert [found.drafts for found in together] == [found.drafts for found in alone]
    by_path = {plan.leaf.path: plan for plan in plans}
    for found in together:
        adds_up(found, by_path[found.outcome.leaf])
    files_hold(together, plans)
    # Each call is some draft's, or a surplus one; a refused request has no key.
    mine = sum(len(draft.requests) for found in together for draft in found.drafts)
    surplus = sum(found.outcome.surplus_calls for found in together)
    made, refused = sum(one.asked for one in asked), sum(one.refused for one in asked)
    assert made - refused <= mine + surplus <= made


def adds_up(found: Drawn, plan: LeafPlan) -> None:
    """The funnel's row against the drafts, quota by quota."""
    outcome, drafts = found.outcome, found.drafts
    row = funnel([outcome])[plan.leaf.path]
    assert row["draws"] == len(drafts) == row["accepted"] + sum(row["rejected"].values())
    assert row["rejected"] == dict(Counter(d.rejected for d in drafts if d.rejected))
    assert sum(row["judges"].values()) == sum(row["rejected"].values())
    assert (row["accepted"] == 0) == bool(outcome.error)
    assert outcome.surplus >= 0
    assert outcome.surplus_calls >= 0
    assert [draft.draw for draft in drafts] == sorted({draft.draw for draft in drafts})
    for quota in range(plan.quotas):
        mine = [d for d in drafts if plan.quotas == 1 or d.passage == plan.passages[quota]]
        kept = sum(not draft.rejected for draft in mine)
        each, budget = plan.target // plan.quotas, plan.max_draws // plan.quotas
        assert kept == each or len(mine) == budget
        assert kept <= each
        assert kept < each or not mine[-1].rejected, "nothing is drawn past the last that was wanted"
    for draft in drafts:
        assert not draft.rejected or not draft.verdicts[-1].keep


def files_hold(leaves: list[Drawn], plans: list[LeafPlan]) -> None:
    """What 2-samples will hold, against the funnel."""
    rows = funnel(found.outcome for found in leaves)
    with tempfile.TemporaryDirectory() as folder:
        book = DraftBook(Path(folder) / "drafts.sqlite", {plan.leaf.path: plan.leaf for plan in plans})
        for found in leaves:
            for draft in found.drafts:
                book.add(draft)
        book.write(Path(folder))
        book.close()
        lines = {
            name: [json.loads(line) for line in (Path(folder) / f"{name}.jsonl").read_bytes().splitlines()]
            for name in ("accepted", "drafts", "rejected")
        }
        assert sorted(path.name for path in Path(folder).iterdir()) == sorted(f"{n}.jsonl" for n in lines)
    for leaf, row in rows.items():
        mine = {name: [line for line in found if line["leaf"] == leaf] for name, found in lines.items()}
        accepted, drafts, rejected = mine["accepted"], mine["drafts"], mine["rejected"]
        assert len(accepted) == len(drafts) == row["accepted"]
        assert [one["id"] for one in accepted] == [one["id"] for one in drafts]
        assert Counter(one["rejected"] for one in rejected) == row["rejected"]


@pytest.mark.parametrize("pack", list(PACKS))
def test_wild_teachers_reach_every_fate(pack: str) -> None:
    """Or the property above would hold of nothing."""
    leaves = [planned(knowledge(), 8, 2, 5, 2), planned(skill(), 12, 1, 5)]
    leaves += [planned(skill("notice", context=True, style="precise"), 12, 1, 5)]
    found = drawn(leaves, pack, [Wild(5, (0.5, 0.3, 0.1, 0.1), random.Random(0))], "all", 16)
    fates = {draft.rejected for one in found for draft in one.drafts}
    assert fates >= {"", "unparsable", "refused", "near-duplicate", "repetitive"}
    assert "judged out" in fates or pack == "small"
    assert any(one.outcome.surplus_calls for one in found)
