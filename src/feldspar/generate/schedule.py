"""Drawing: numbered draws of all leaves at once, decided in the order of their numbers.

A draw's requests depend on the run's seed, its leaf and its number alone, and whether it is accepted
depends on these and on the draws before it. So it does not matter which reply comes first: the same
replies give the same drafts, whatever the concurrency, the delays or the draws asked for ahead.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from feldspar.errors import FeldsparError, TaxonomyError
from feldspar.generate.ask import Context
from feldspar.generate.checks import Known, compared, known
from feldspar.generate.knowledge import KNOWLEDGE
from feldspar.generate.pack import Pack
from feldspar.generate.plan import LeafOutcome, LeafPlan, section_name
from feldspar.generate.skills import FREEFORM, GROUNDED, Step, unlike
from feldspar.generate.units import units_of
from feldspar.teacher import Teacher
from feldspar.types import Draft

PIPELINES: dict[str, tuple[Step, ...]] = {"freeform": FREEFORM, "grounded": GROUNDED, "knowledge": KNOWLEDGE}


@dataclass(frozen=True, slots=True)
class GenerateEvent:
    """A draw was decided."""

    leaf: str
    draw: int
    rejected: str
    """The reason; empty if it was accepted."""
    accepted: int
    """Accepted drafts of the leaf so far."""
    target: int


Watch = Callable[[GenerateEvent], None]


async def generate(
    plans: Sequence[LeafPlan],
    teacher: Teacher,
    pack: Pack,
    *,
    seed: int,
    watch: Watch | None = None,
    lookahead: int = 64,
) -> AsyncGenerator[LeafOutcome, None]:
    """Draw drafts of every leaf until each has its target, or its budget is spent (§3.2).

    All leaves are drawn at once and none waits for another. Outcomes come in the order in which the
    leaves are done, which depends on timing; what is in them does not.

    Args:
        plans: What to draw, one plan a leaf.
        teacher: Who answers; it limits what is in flight.
        pack: The prompts.
        seed: The run's seed.
        watch: Called after each decided draw, in draw order within a leaf.
        lookahead: Draws under way at once, over all leaves. Each has one request in flight at a
            time, so a little more than what the teacher takes at once keeps it busy.

    Yields:
        One outcome for each plan.

    Raises:
        TaxonomyError: Two plans are of one leaf path.
        TeacherError: The teacher cannot go on; all that was under way is ended first.
    """
    twice = [path for path, count in Counter(plan.leaf.path for plan in plans).items() if count > 1]
    if twice:
        raise TaxonomyError(f"{twice[0]}: two leaves of this path", "Rename one of them.")
    slots, leaves = asyncio.Semaphore(max(1, lookahead)), asyncio.Semaphore(max(1, lookahead))

    async def drawn(plan: LeafPlan) -> LeafOutcome:
        # A leaf that draws has two draws under way or more: beyond `lookahead` leaves, more would
        # only cost memory.
        async with leaves:
            return await _draw_leaf(plan, teacher, pack, seed, _Room(slots, max(2, lookahead), watch))

    running = {asyncio.ensure_future(drawn(plan)) for plan in plans}
    try:
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            # Results are taken before anything is yielded: one leaf's failure must not hide in a set.
            outcomes = [task.result() for task in done]
            for outcome in outcomes:
                yield outcome
    finally:
        await _ended(running)


@dataclass(frozen=True, slots=True)
class _Room:
    """What all leaves share."""

    slots: asyncio.Semaphore
    most: int
    """Draws that a leaf may have under way."""
    watch: Watch | None


@dataclass(slots=True)
class _Progress:
    """How far a leaf is; only its own coroutine writes it."""

    drafts: list[Draft] = field(default_factory=list)
    accepted: int = 0
    accepted_texts: list[Known] = field(default_factory=list)
    ready: dict[int, Draft] = field(default_factory=dict)
    begun: set[int] = field(default_factory=set)
    over: bool = False


async def _draw_leaf(plan: LeafPlan, teacher: Teacher, pack: Pack, seed: int, room: _Room) -> LeafOutcome:
    path = plan.leaf.path
    nothing = why_nothing(plan, pack)
    if nothing or plan.target <= 0:
        return LeafOutcome(path, (), 0, nothing, plan.target)
    name = section_name(plan)
    section = pack.sections[name]
    units = units_of(plan.passages, section) if name == "knowledge" else ()
    context = Context(plan, teacher, pack, section, seed, units)
    at = _Progress()
    tasks: dict[asyncio.Task[Draft | None], int] = {}
    started = 0
    try:
        while not at.over:
            ahead = min(plan.max_draws, len(at.drafts) + _ahead(plan.target, at, room.most))
            while started < ahead:
                started += 1
                task = asyncio.ensure_future(_draw(started, PIPELINES[name], context, at, room.slots))
                tasks[task] = started
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                draft = task.result()
                del tasks[task]
                if draft is not None:
                    at.ready[draft.draw] = draft
            _decide(at, context, room.watch)
        await _surplus(tasks, at)
    finally:
        await _ended(tasks)
    drafts = tuple(at.drafts)
    surplus = sum(draw > len(drafts) for draw in at.begun)
    return LeafOutcome(path, drafts, surplus, _yielded_nothing(path, drafts), plan.target)


async def _draw(
    number: int, steps: Sequence[Step], context: Context, at: _Progress, slots: asyncio.Semaphore
) -> Draft | None:
    """One draw, step by step, until it is rejected, complete or no longer needed (None)."""
    path = context.plan.leaf.path
    draft = Draft(id=f"{path}#{number}", leaf=path, draw=number)
    async with slots:
        at.begun.add(number)
        for step in steps:
            if at.over:
                return None
            draft = await step(draft, context)
            if draft.rejected:
                break
    return draft


def _decide(at: _Progress, context: Context, watch: Watch | None) -> None:
    """Decide the draws whose turn has come, in the order of their numbers."""
    plan, near = context.plan, context.section.checks.near_duplicate
    # Where instructions are compared, `check_instruction` has compared them with the seeds already.
    seeds = context.shown if near and near.compare == "pair" else ()
    while not at.over and (draft := at.ready.pop(len(at.drafts) + 1, None)) is not None:
        if not draft.rejected and near:
            parts = compared(draft.context, draft.instruction, draft.response, near)
            draft = unlike(draft, parts, (*seeds, *at.accepted_texts), near)
            if not draft.rejected:
                at.accepted_texts.append(known(draft.id, parts))
        at.drafts.append(draft)
        at.accepted += not draft.rejected
        at.over = at.accepted >= plan.target or len(at.drafts) >= plan.max_draws
        if watch:
            watch(GenerateEvent(plan.leaf.path, draft.draw, draft.rejected, at.accepted, plan.target))


def _ahead(target: int, at: _Progress, most: int) -> int:
    """How many undecided draws to have: what is still needed, at the leaf's rate of acceptance."""
    need = target - at.accepted
    rate = (at.accepted + 1) / (len(at.drafts) + 1)
    return min(most, max(2, math.ceil(need / rate)))


async def _surplus(tasks: dict[asyncio.Task[Draft | None], int], at: _Progress) -> None:
    """Let draws that are no longer needed come to rest.

    One that waits for its turn never begins; one that has a request in flight lets it finish, so
    that its reply is in the journal, and asks nothing further. What goes wrong with it now cannot
    change the leaf's outcome, and if it concerns others they meet it themselves.
    """
    for task, number in tasks.items():
        if number not in at.begun:
            task.cancel()
    for task in tasks:
        with suppress(FeldsparError):
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()
    tasks.clear()


async def _ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def why_nothing(plan: LeafPlan, pack: Pack) -> str:
    """Why a leaf cannot be drawn at all, in words; empty if it can."""
    path, name = plan.leaf.path, section_name(plan)
    if not plan.seeds:
        return f"{path}: there is no seed to show the teacher"
    if name == "knowledge" and not any(passage.text.strip() for passage in plan.passages):
        return f"{path}: there is no document text to teach"
    if name not in pack.sections:
        return f"{path}: the prompt pack `{pack.name}` has no section `{name}`"
    if plan.target > 0 and plan.max_draws < 1:
        return f"{path}: its budget is no draw at all"
    return ""


def _yielded_nothing(path: str, drafts: Sequence[Draft]) -> str:
    if any(not draft.rejected for draft in drafts):
        return ""
    reasons = Counter(draft.rejected for draft in drafts)
    told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return f"{path}: none of {len(drafts)} draws was accepted ({told})"
