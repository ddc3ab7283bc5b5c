"""Measuring the judge: does it tell a seed's answer from another seed's?

The seeds were written by a person, so a judge should keep them; with their answers swapped it should
not. A judge at chance is a warning, never a stop (rule 5): its verdicts then filter nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from feldspar.facts import coverage
from feldspar.generate.ask import Context, ask
from feldspar.generate.pack import Pack
from feldspar.generate.plan import LeafPlan, section_name
from feldspar.generate.template import shuffled
from feldspar.generate.units import focus_of
from feldspar.teacher import Teacher
from feldspar.types import Draft, Seed

_JUDGES = {"freeform": "pair_judge", "grounded": "pair_judge", "knowledge": "faithfulness_judge"}


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well the judge tells right from wrong on pairs of which that is known."""

    count: int
    """Pairs whose judgement could be read; half of those asked about were swapped."""
    unreadable: int
    agreement: float
    """Share of the readable judgements that were right, 0 to 1; 0.5 is a coin."""
    bias: float
    """Share kept less the share that should have been: above 0 it is lenient, below 0 harsh."""

    @property
    def at_chance(self) -> bool:
        """Whether a coin would often do as well: agreement below one half and two standard errors."""
        return self.count == 0 or self.agreement < 0.5 + 2 * math.sqrt(0.25 / self.count)


async def calibrate(
    plans: Sequence[LeafPlan], teacher: Teacher, pack: Pack, *, seed: int, pairs: int = 24
) -> Calibration | None:
    """Let the judges of the pack rate shown seeds as they are, and with another seed's answer.

    Args:
        plans: The leaves; only their shown seeds are used.
        teacher: Who judges.
        pack: The prompts.
        seed: The run's seed.
        pairs: Seeds to rate, at most, spread over the leaves; each is rated twice.

    Returns:
        None where the pack has no judge, or no leaf has two seeds that differ.
    """
    judged = [list(_pairs(plan, teacher, pack, seed)) for plan in plans]
    longest = max((len(entries) for entries in judged), default=0)
    turns = [entries[turn] for turn in range(longest) for entries in judged if turn < len(entries)]
    if not turns:
        return None
    asked = [
        (context, one, answer, good)
        for context, one, other in turns[:pairs]
        for answer, good in ((one.answer, True), (other.answer, False))
    ]
    # One at a time would leave a served teacher idle; the teacher itself limits what is in flight.
    ratings = await asyncio.gather(
        *(_rated(context, one, answer, number) for number, (context, one, answer, _) in enumerate(asked, 1))
    )
    read = [(kept, good) for kept, (*_, good) in zip(ratings, asked, strict=True) if kept is not None]
    share = 1 / len(read) if read else 0.0
    right = sum(kept == good for kept, good in read)
    lenient = sum(kept for kept, _ in read) - sum(good for _, good in read)
    return Calibration(len(read), len(asked) - len(read), right * share, lenient * share)


def _pairs(plan: LeafPlan, teacher: Teacher, pack: Pack, seed: int) -> Iterator[tuple[Context, Seed, Seed]]:
    """Shown seeds of a leaf, each with another whose answer differs."""
    name = section_name(plan)
    section = pack.sections.get(name)
    if section is None or _JUDGES[name] not in section.steps:
        return
    context = Context(plan, teacher, pack, section, seed)
    for place in shuffled(len(plan.seeds), seed, plan.leaf.path, "calibrate"):
        one = plan.seeds[place]
        other = next(
            (
                plan.seeds[(place + step) % len(plan.seeds)]
                for step in range(1, len(plan.seeds))
                if plan.seeds[(place + step) % len(plan.seeds)].answer.strip() != one.answer.strip()
            ),
            None,
        )
        if other is not None:
            yield context, one, other


async def _rated(context: Context, seed: Seed, answer: str, number: int) -> bool | None:
    path = context.plan.leaf.path
    draft = Draft(id=f"{path}, a seed as it is rated", leaf=f"{path}, calibration", draw=number)
    values = {
        "question": seed.question,
        "answer": answer,
        "context": seed.context,
        "passage": seed.context,
        "focus": focus_of(seed.context, lambda sentence: coverage(seed.answer, sentence)),
        "heading": "",
        "document": "",
    }
    _, verdicts = await ask(draft, _JUDGES[section_name(context.plan)], context, values)
    return all(verdict.keep for verdict in verdicts) if isinstance(verdicts, tuple) else None
