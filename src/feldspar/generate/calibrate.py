"""Measuring the judges before anything is spent: do they tell good seeds from corrupted ones?

The seeds were written by a person, so a judge should keep them. Corrupted (another's answer, the
answer broken off, the answer contradicted; for a judge of instructions, a question of another task)
it should not. A judge of conversations is given two seeds as two turns, one of them corrupted. A judge
at chance is a warning, never a stop (rule 5): its verdicts then filter nothing. `cases.py` makes what
is rated.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from feldspar.generate.ask import Context
from feldspar.generate.cases import Group, known_drafts, unmeasured
from feldspar.generate.judges import Opinion, opinion_of, voices
from feldspar.generate.pack import Pack
from feldspar.generate.plan import LeafPlan, section_name
from feldspar.generate.rated import JudgeCalibration, Rated, measured, told
from feldspar.teacher import Teacher
from feldspar.types import Draft

Tell = Callable[[int, int], None]
"""Told how many verdicts are there, and of how many."""


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
    not_measured: Mapping[str, str] = field(default_factory=dict)
    """Judges that draws ask and that could not be measured, with the reason."""
    asked: tuple[str, ...] = ()
    """The journal's keys of all that was asked, again included."""

    @property
    def lines(self) -> tuple[str, ...]:
        """A short line for people on each judge."""
        lacking = (f"judge {name}: not measured, {why}" for name, why in self.not_measured.items())
        return (*map(told, self.judges), *lacking)


async def calibrate(
    plans: Sequence[LeafPlan],
    teacher: Teacher,
    pack: Pack,
    *,
    seed: int,
    judges: tuple[Teacher, ...] = (),
    requests: int = 100,
    tell: Tell = lambda done, total: None,
) -> Calibration | None:
    """Let the judges rate shown seeds as they are, and corrupted.

    Args:
        plans: The leaves; only their shown seeds are used.
        teacher: Who judges where `judges` is empty.
        pack: The prompts.
        seed: The run's seed; which seeds are rated depends on it and on the leaves alone.
        judges: Who judges in the teacher's place.
        requests: How many are asked of each of them, at most, spread over the leaves.
        tell: Called before the first verdict, and after each.

    Returns:
        None where no draw asks a judge.
    """
    groups = known_drafts(plans, pack, seed=seed, requests=requests)
    lacking = unmeasured(plans, pack, groups)
    if not groups and not lacking:
        return None
    total = sum(len(group.cases) for group in groups)
    count = _Count(total * max(1, len(judges)), tell)
    contexts = [
        Context(group.plan, teacher, pack, pack.sections[section_name(group.plan)], seed, judges=judges)
        for group in groups
    ]
    # One at a time would leave a served teacher idle; the teacher itself limits what is in flight.
    rated = await asyncio.gather(
        *(
            _rated(group, context, place, count)
            for place, (group, context) in enumerate(zip(groups, contexts, strict=True))
        )
    )
    cases = [case for group in groups for case in group.cases]
    return Calibration(
        measured([one for ratings, _ in rated for one in ratings]),
        total,
        _counts(", ".join(filter(None, (case.kind, case.way))) for case in cases),
        _counts(kind for group in groups for kind in group.lacking),
        lacking,
        tuple(key for _, keys in rated for key in keys),
    )


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


class _Count:
    """Tells how far the rating is."""

    def __init__(self, total: int, tell: Tell) -> None:
        self._done = 0
        self._total = total
        self._tell = tell
        if total:
            tell(0, total)

    def more(self) -> None:
        self._done += 1
        self._tell(self._done, self._total)


async def _rated(group: Group, context: Context, place: int, count: _Count) -> tuple[list[Rated], list[str]]:
    """What each judge says of a group's cases, and the requests made."""
    path = group.plan.leaf.path
    numbers = tuple(context.seeds)
    shown = tuple(numbers[at] for at in group.shown)
    found, asked = [], list[str]()
    for name, voice in voices(context):
        for number, case in enumerate(group.cases, 1):
            draft = Draft(
                id=f"{path}, a seed as it is rated",
                leaf=f"{path}, calibration",
                draw=10 * place + number,
                seeds=shown,
            )
            keys, opinion = await opinion_of(draft, group.step, voice, case.values)
            found.append(_rating(group, name, place, case.kind, opinion))
            asked += keys
            count.more()
    return found, asked


def _rating(group: Group, name: str, place: int, kind: str, opinion: Opinion) -> Rated:
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
