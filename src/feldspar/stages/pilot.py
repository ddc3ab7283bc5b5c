"""A pilot: a few draws of each leaf, in the run's own journal, and what they took.

They are draws 1 to N as `generate` makes them: it will ask for none of them again.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from feldspar import events, generate, jsonl, models
from feldspar.generate.outlay import Trial, Tried
from feldspar.generate.units import rota_of
from feldspar.stages.samples import drawn, leaf_plans
from feldspar.stages.work import Work, graded_questions
from feldspar.teacher import Journal, Price
from feldspar.types import Draft, Leaf

MEASURES = ("calls", "prompt_tokens", "completion_tokens", "seconds", "cost")
"""What a draw takes; `seconds` of requests, added up, `cost` at the recipe's prices."""


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a pilot showed."""

    trials: tuple[Trial, ...]
    reasons: Mapping[str, Mapping[str, int]]
    """Rejected draws by leaf and reason."""
    nothing: tuple[str, ...]
    """Why leaves cannot be drawn at all."""
    calibration: generate.Calibration | None
    beside: Mapping[str, float]
    """What calibrating the judges took, by measure."""
    at_once: float
    """Requests that were worked on at once, on average; 0: every reply was there already."""
    filled: bool
    """Whether there were draws enough for the teacher to show how many it takes."""


def fly(work: Work, draws: int) -> Pilot:
    """Make draws 1 to `draws` of each leaf, or as many as it needs.

    Raises:
        FeldsparError: What `generate` would raise.
    """
    leaves = tuple(jsonl.read(work.path("1-leaves", "leaves.jsonl"), Leaf))
    whole = leaf_plans(leaves, work.recipe, work.teacher, graded_questions(work.recipe))
    plans = [replace(plan, last=draws) for plan in whole]
    drafts: dict[str, list[Draft]] = {plan.leaf.path: [] for plan in plans}
    pace = _Pace(work.watch, draws)
    outcomes, calibration = asyncio.run(
        drawn(replace(work, watch=pace), plans, lambda draft: drafts[draft.leaf].append(draft), None)
    )
    nothing = {outcome.leaf: outcome.error for outcome in outcomes if outcome.error and not outcome.draws}
    wanted = [plan for plan in plans if plan.target > 0 and plan.leaf.path not in nothing]
    return Pilot(
        _trials(work, wanted, drafts),
        {
            leaf: Counter(draft.rejected for draft in found if draft.rejected)
            for leaf, found in drafts.items()
        },
        tuple(nothing.values()),
        calibration,
        _beside(work, calibration.asked if calibration is not None else ()),
        pace.at_once,
        sum(map(len, drafts.values())) >= 2 * pace.at_once,
    )


class _Pace:
    """A `Watch` that measures how many requests are under way, and says that leaves end by their draws."""

    def __init__(self, watch: events.Watch, draws: int) -> None:
        self._watch = watch
        self._draws = draws
        self._seconds = 0.0
        self._first = self._last = 0.0

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.Tokens) and not event.stored:
            self._last = time.monotonic()
            began = self._last - event.seconds
            self._first = min(self._first, began) if self._seconds else began
            self._seconds += event.seconds
        self._watch(replace(event, draws=self._draws) if isinstance(event, events.LeafProgress) else event)

    @property
    def at_once(self) -> float:
        span = self._last - self._first
        return max(1.0, self._seconds / span) if span > 0 else 0.0


def _trials(
    work: Work, plans: Sequence[generate.LeafPlan], drafts: Mapping[str, Sequence[Draft]]
) -> tuple[Trial, ...]:
    price, own = models.prices(work.recipe, work.judges)
    trials = []
    with Journal(work.run.folder / "journal.sqlite", readonly=True) as journal:
        for plan in plans:
            name = generate.section_name(plan)
            rota = rota_of(plan, work.pack.sections[name])
            tried = tuple(
                Tried(not draft.rejected, rota.quota(draft.draw), _spent(journal, draft.requests, price, own))
                for draft in drafts[plan.leaf.path]
            )
            trials.append(Trial(plan.leaf.path, name, plan.target, plan.max_draws, plan.quotas, tried))
    return tuple(trials)


def _beside(work: Work, keys: Sequence[str]) -> Mapping[str, float]:
    price, own = models.prices(work.recipe, work.judges)
    with Journal(work.run.folder / "journal.sqlite", readonly=True) as journal:
        return dict(zip(MEASURES, _spent(journal, keys, price, own), strict=True))


def _spent(
    journal: Journal, keys: Sequence[str], price: Price, own: Mapping[str, Price]
) -> tuple[float, ...]:
    calls = prompt = completion = 0
    seconds = cost = 0.0
    for key in keys:
        found = journal.get(key)
        if found is None:
            continue
        asked, reply = found
        calls += 1
        prompt += reply.prompt_tokens
        completion += reply.completion_tokens
        seconds += reply.seconds
        one = own.get(str(asked.get("model")), price)
        cost += one.of(reply.prompt_tokens, reply.completion_tokens)
    return (calls, prompt, completion, seconds, cost)
