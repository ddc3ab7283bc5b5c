"""Measuring the judges before anything is spent: do they tell good seeds from corrupted ones?

The seeds were written by a person, so a judge should keep them. Corrupted (another's answer, the
answer broken off, the answer contradicted; for a judge of instructions, a question of another task)
it should not. A judge at chance is a warning, never a stop (rule 5): its verdicts then filter
nothing. `corrupt.py` makes the corrupted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from feldspar.facts import content_words, coverage
from feldspar.generate.ask import Context
from feldspar.generate.corrupt import contradicted, swapped, truncated
from feldspar.generate.judges import Opinion, opinion_of, voices
from feldspar.generate.pack import Pack
from feldspar.generate.plan import LeafPlan, section_name
from feldspar.generate.rated import AS_WRITTEN, JudgeCalibration, Rated, measured, told
from feldspar.generate.template import shuffled
from feldspar.generate.units import focus_of
from feldspar.teacher import Teacher
from feldspar.types import Draft

_OF_ANSWERS = {"freeform": "pair_judge", "grounded": "pair_judge", "knowledge": "faithfulness_judge"}
_OF_INSTRUCTIONS = "instruction_judge"
_CANDIDATES = 16
"""Other leaves looked at, to find one that is unlike."""

_LEAST_UNLIKE = 0.34
"""Most of a question's content words that may occur in another task for it to be off that task."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well each judge tells right from wrong, on drafts of which that is known."""

    judges: tuple[JudgeCalibration, ...]
    requests: int
    """Asked of each model that judges, without those asked again."""
    made: Mapping[str, int] = field(default_factory=dict)
    """How many drafts of each kind there were; the contradicted by how: `contradicted, numbers`."""
    not_made: Mapping[str, int] = field(default_factory=dict)
    """Kinds that could not be made of a seed, and of how many: an answer too short to be broken off,
    one without a number, a name or a known verb."""

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for people on each judge."""
        return tuple(told(judge) for judge in self.judges)


@dataclass(frozen=True, slots=True)
class _Case:
    """One thing to be judged."""

    kind: str
    values: Mapping[str, str]
    way: str = ""


@dataclass(frozen=True, slots=True)
class _Group:
    """A seed as it is written, and what was made of it, all for one judge of the pack."""

    context: Context
    step: str
    shown: tuple[int, ...]
    cases: tuple[_Case, ...]
    lacking: tuple[str, ...]


async def calibrate(
    plans: Sequence[LeafPlan],
    teacher: Teacher,
    pack: Pack,
    *,
    seed: int,
    judges: tuple[Teacher, ...] = (),
    requests: int = 100,
) -> Calibration | None:
    """Let the judges rate shown seeds as they are, and corrupted.

    Args:
        plans: The leaves; only their shown seeds are used.
        teacher: Who judges where `judges` is empty.
        pack: The prompts.
        seed: The run's seed; which seeds are rated depends on it and on the leaves alone.
        judges: Who judges in the teacher's place.
        requests: How many are asked of each of them, at most, spread over the leaves.

    Returns:
        None where the pack has no judge, or nothing could be made to compare with.
    """
    groups, left = [], requests
    for group in _in_turn(plans, teacher, pack, seed, judges):
        left -= len(group.cases)
        if left < 0:
            break
        groups.append(group)
    if not groups:
        return None
    # One at a time would leave a served teacher idle; the teacher itself limits what is in flight.
    rated = await asyncio.gather(*(_rated(group, place) for place, group in enumerate(groups)))
    cases = [(group, case) for group in groups for case in group.cases]
    return Calibration(
        measured([found for ratings in rated for found in ratings]),
        len(cases),
        _counts(", ".join(filter(None, (case.kind, case.way))) for _, case in cases),
        _counts(kind for group in groups for kind in group.lacking),
    )


def _counts(names: Iterator[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _in_turn(
    plans: Sequence[LeafPlan], teacher: Teacher, pack: Pack, seed: int, judges: tuple[Teacher, ...]
) -> Iterator[_Group]:
    """The leaves' groups: of each section one after the other, leaf after leaf, seed after seed."""
    by_section: dict[str, list[Iterator[_Group]]] = {}
    order = shuffled(len(plans), seed, "calibrate")
    for plan in (plans[place] for place in order):
        name = section_name(plan)
        if name not in pack.sections:
            continue
        queue = by_section.setdefault(name, [])
        context = Context(plan, teacher, pack, pack.sections[name], seed, judges=judges)
        # Leaves begin with the one or the other judge in turn: of many leaves, few come twice.
        queue.append(_groups(context, plans, len(queue) % 2))
    queues = [queue for _, queue in sorted(by_section.items())]
    while queues:
        for queue in list(queues):
            found = None
            while queue and found is None:
                groups = queue.pop(0)
                found = next(groups, None)
                if found is not None:
                    queue.append(groups)
            if found is None:
                queues.remove(queue)
            else:
                yield found


def _groups(context: Context, plans: Sequence[LeafPlan], first: int) -> Iterator[_Group]:
    plan, name = context.plan, section_name(context.plan)
    kinds = [kind for kind in (_answers, _instructions) if _step_of(kind, name) in context.section.steps]
    if not kinds:
        return
    if name != "knowledge" and first:
        kinds.reverse()
    for place in shuffled(len(plan.seeds), context.seed, plan.leaf.path, "calibrate"):
        if name == "grounded" and not plan.seeds[place].context:
            continue
        for kind in kinds:
            group = kind(context, place, plans)
            if len(group.cases) > 1:
                yield group


def _step_of(kind: object, name: str) -> str:
    return _OF_ANSWERS[name] if kind is _answers else _OF_INSTRUCTIONS


def _answers(context: Context, place: int, plans: Sequence[LeafPlan]) -> _Group:
    """A seed's answer, as it is and corrupted in every way that can be."""
    seeds = context.plan.seeds
    others = (*seeds[place + 1 :], *seeds[:place])
    contrary, way = contradicted(seeds[place], others)
    # Numbers can be changed into those of a seed that no prompt may show (rule 6).
    held = {seed.answer.strip() for seed in context.plan.leaf.seeds if seed not in seeds}
    if contrary.strip() in held:
        contrary = way = ""
    made = {
        "swapped": swapped(seeds, place),
        "truncated": truncated(seeds[place].answer),
        "contradicted": contrary,
    }
    values = _values(context, place)
    cases = [_Case(AS_WRITTEN, values)]
    cases += [
        _Case(kind, {**values, "answer": text}, way if kind == "contradicted" else "")
        for kind, text in made.items()
        if text
    ]
    lacking = tuple(kind for kind, text in made.items() if not text)
    return _Group(context, _step_of(_answers, section_name(context.plan)), (), tuple(cases), lacking)


def _instructions(context: Context, place: int, plans: Sequence[LeafPlan]) -> _Group:
    """A seed's question under its own task, and a question of an unlike leaf in its place."""
    values = _values(context, place)
    cases = [_Case(AS_WRITTEN, values)]
    strange = _strange_question(context.plan, plans, context.seed, place)
    if strange:
        cases.append(_Case("off task", {**values, "question": strange}))
    # Were the question itself among the examples, it would be no question whether it fits them.
    count = len(context.plan.seeds)
    shown = tuple((place + step) % count for step in range(1, min(count, context.section.shown_seeds + 1)))
    return _Group(context, _OF_INSTRUCTIONS, shown, tuple(cases), () if strange else ("off task",))


def _strange_question(plan: LeafPlan, plans: Sequence[LeafPlan], seed: int, place: int) -> str:
    """A shown question of the most unlike of some other leaves; empty where none is unlike."""
    mine = content_words("\n".join((plan.leaf.task, *(entry.question for entry in plan.seeds))))
    order = shuffled(min(len(plans), 4 * _CANDIDATES), seed, plan.leaf.path, "off task", place)
    others = (plans[at] for at in order if plans[at].leaf.path != plan.leaf.path and plans[at].seeds)
    best, least = "", _LEAST_UNLIKE
    for other in islice(others, _CANDIDATES):
        question = other.seeds[place % len(other.seeds)].question
        asked = content_words(question)
        shared = len(asked & mine) / len(asked) if asked else 1.0
        if shared < least:
            best, least = question, shared
    return best


def _values(context: Context, place: int) -> dict[str, str]:
    """What a judge's placeholders stand for when a seed is judged; its context is the passage."""
    seed = context.plan.seeds[place]
    return {
        "question": seed.question,
        "answer": seed.answer,
        "context": seed.context,
        "passage": seed.context,
        "focus": focus_of(seed.context, lambda sentence: coverage(seed.answer, sentence)),
        "heading": "",
        "document": "",
    }


async def _rated(group: _Group, place: int) -> list[Rated]:
    path = group.context.plan.leaf.path
    found = []
    for name, voice in voices(group.context):
        for number, case in enumerate(group.cases, 1):
            draft = Draft(
                id=f"{path}, a seed as it is rated",
                leaf=f"{path}, calibration",
                draw=10 * place + number,
                seeds=group.shown,
            )
            _, opinion = await opinion_of(draft, group.step, voice, case.values)
            found.append(_rating(group, name, place, case.kind, opinion))
    return found


def _rating(group: _Group, name: str, place: int, kind: str, opinion: Opinion) -> Rated:
    judge = group.step.removesuffix("_judge") + (f" ({name})" if name else "")
    scores = [verdict.score for verdict in opinion.verdicts if verdict.score is not None]
    return Rated(
        judge=judge,
        seed=place,
        kind=kind,
        keep=opinion.keep if opinion.verdicts else None,
        score=scores[0] if scores else None,
        refused=opinion.lacking == "refused",
    )
