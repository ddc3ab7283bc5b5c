"""What a person is told while samples are drawn: replies, where each leaf stands, the judges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from feldspar import events, generate
from feldspar.teacher import Reply, Request, Teacher
from feldspar.types import Draft

_SHOWN = 20
"""Leaves that a pause tells of."""


class Told:
    """A teacher that tells of each reply."""

    def __init__(self, teacher: Teacher, watch: events.Watch) -> None:
        self.identity = teacher.identity
        self.sent = 0
        """Replies that were not stored."""
        self._teacher = teacher
        self._watch = watch

    async def ask(self, request: Request) -> Reply:
        """As the teacher does."""
        reply = await self._teacher.ask(request)
        self.sent += not reply.stored
        self._watch(events.Tokens(reply.prompt_tokens, reply.completion_tokens, reply.seconds, reply.stored))
        return reply

    async def close(self) -> None:
        """Close the teacher."""
        await self._teacher.close()


class LeafCounts:
    """Adds decided draws up to where each leaf stands."""

    def __init__(self, plans: Sequence[generate.LeafPlan], watch: events.Watch, notes: bool) -> None:
        self._watch = watch
        self._notes = notes
        self._targets = {plan.leaf.path: min(plan.target, plan.last or plan.target) for plan in plans}
        self._accepted: Counter[str] = Counter()
        self._rejected: dict[str, Counter[str]] = {}

    def decided(self, draft: Draft) -> None:
        """Take a draw in."""
        reasons = self._rejected.setdefault(draft.leaf, Counter())
        if draft.rejected:
            reasons[draft.rejected] += 1
        else:
            self._accepted[draft.leaf] += 1
        self._tell(draft.leaf, self._accepted[draft.leaf], reasons)

    def done(self, outcome: generate.LeafOutcome) -> None:
        """Take in that a leaf is over."""
        self._tell(outcome.leaf, outcome.accepted, outcome.rejected, done=True)
        self._rejected.pop(outcome.leaf, None)
        if not self._notes:
            return
        if outcome.error:
            self._watch(events.Note(outcome.error))
        elif outcome.accepted < outcome.target:
            self._watch(events.Note(too_few(outcome.leaf, outcome.accepted, outcome.target, outcome.draws)))

    def so_far(self) -> str:
        """What is done, by leaf: those that lack most first."""
        rows = sorted(
            (self._accepted[leaf] - target, leaf) for leaf, target in self._targets.items() if target
        )
        lines = [f"  {leaf}: {self._accepted[leaf]} of {self._targets[leaf]}" for _, leaf in rows[:_SHOWN]]
        more = [f"  … and {len(rows) - _SHOWN} more leaves"] if len(rows) > _SHOWN else []
        every = f"{sum(self._accepted.values())} of {sum(self._targets.values())} samples are there:"
        return "\n".join([every, *lines, *more])

    def _tell(self, leaf: str, accepted: int, rejected: Mapping[str, int], done: bool = False) -> None:
        drawn = accepted + sum(rejected.values())
        self._watch(events.LeafProgress(leaf, drawn, accepted, self._targets[leaf], dict(rejected), done))


def say_calibration(calibration: generate.Calibration | None, watch: events.Watch) -> None:
    """A note for each judge."""
    for line in calibration.lines if calibration is not None else ():
        watch(events.Note(line))


def too_few(leaf: str, accepted: int, target: int, draws: int) -> str:
    """What to tell of a leaf whose budget ran out."""
    return (
        f"{leaf}: {accepted} of {target} samples after {draws} draws, which is its budget "
        "(generate.max_draws_per_sample)"
    )
