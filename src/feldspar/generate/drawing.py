"""One leaf while it is drawn: its quotas, the draws under way, and what is decided of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field

from feldspar.errors import FeldsparError, NotStored
from feldspar.generate.ask import Context, Panel, Turn, reject
from feldspar.generate.checks import Flaw, compared, twin
from feldspar.generate.knowledge import KNOWLEDGE, write_answer
from feldspar.generate.near import Nearest
from feldspar.generate.pack import Pack
from feldspar.generate.plan import LeafOutcome, LeafPlan, asks, section_name
from feldspar.generate.quota import LeafSurvival, Quota
from feldspar.generate.skills import FREEFORM, GROUNDED, Step, check_instruction, respond
from feldspar.generate.units import rota_of, units_of
from feldspar.teacher import Claim, Teacher
from feldspar.types import Draft

_PIPELINES: dict[str, tuple[Step, ...]] = {"freeform": FREEFORM, "grounded": GROUNDED, "knowledge": KNOWLEDGE}


def pipeline(name: str) -> tuple[Step, ...]:
    """The steps of a section's drafts, in order."""
    return _PIPELINES[name]


@dataclass(slots=True)
class Begun:
    """A draw that has begun and is not decided."""

    draw: int
    quota: int
    draft: Draft
    settled: Draft | None = None
    """The draft as it was when its instruction had been checked, before anything was built on it."""
    step: int = 0
    sent: int = 0
    """Requests made for it."""
    claim: Claim = field(default_factory=Claim)
    done: bool = False
    surplus: bool = False
    """Its quota is over: nothing of it counts."""
    task: asyncio.Task[None] | None = None


class _NoLongerNeeded(FeldsparError):
    """Ends a surplus draw in front of its next request."""


Ranker = Callable[[Begun, "Drawing", int], tuple[float, ...]]
"""The rank of a draw's next request, of which so many are left; called once for each request."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all leaves are drawn with."""

    teacher: Teacher
    pack: Pack
    seed: int
    """The run's."""
    panel: Panel
    """Who is asked for verdicts."""
    index: Nearest
    """Of accepted drafts."""


class Drawing:
    """A leaf while it is drawn.

    Args:
        plan: What is wanted of it.
        shared: What it has in common with all leaves.
        survival: How often its drafts survive each step.
        ranker: The order among all requests.
    """

    def __init__(self, plan: LeafPlan, shared: Shared, survival: LeafSurvival, ranker: Ranker) -> None:
        name = section_name(plan)
        section = shared.pack.sections[name]
        left = asks(plan, section, max(1, len(shared.panel.judges)))
        self.plan = plan
        self.steps = pipeline(name)
        self.calls = max(left.values(), default=0)
        """Requests of a draw that is kept at every step."""
        self.rota = rota_of(plan, section)
        self.quotas = [
            Quota(plan.target // plan.quotas, plan.max_draws // plan.quotas, len(self.steps))
            for _ in range(plan.quotas)
        ]
        self.begun = 0
        self.parked: set[int] = set()
        """Quotas that wanted no further draw when they were last asked."""
        self.crowded = False
        """Whether so many draws were undecided that none was begun."""
        self._near = section.checks.near_duplicate
        self._index = shared.index
        self._survival = survival
        self._draws: dict[int, Begun] = {}
        self._live = set(range(plan.quotas))
        self._ended: list[int] = []
        self._next = 1
        self._accepted = 0
        self._rejected: Counter[str] = Counter()
        self._judges: Counter[str] = Counter()
        self._surplus = self._surplus_calls = 0

        def turn(draft: Draft, step: str) -> Turn:
            begun = self._draws.get(draft.draw)
            if begun is None:
                raise _NoLongerNeeded(draft.id)
            begun.sent += 1
            begun.claim = Claim()
            return ranker(begun, self, left.get(step, 1)), begun.claim

        units = units_of(plan.passages, section) if name == "knowledge" else ()
        self._context = Context(
            plan,
            shared.teacher,
            shared.pack,
            section,
            shared.seed,
            units,
            self.rota,
            shared.panel.judges,
            turn,
            shared.panel.agree,
        )
        if plan.last:
            self.ends_before(plan.last + 1)

    def chances(self) -> list[float]:
        """For a draw at each step, the chance of being accepted in the end."""
        return self._survival.chances()

    @property
    def undecided(self) -> int:
        """Draws begun that wait for their turn to be decided, or are under way."""
        return len(self._draws)

    def begin(self, place: int) -> Begun:
        """The next draw of a quota."""
        quota = self.quotas[place]
        quota.begun += 1
        quota.at[0] += 1
        self.begun += 1
        draw = self.rota.draw(place, quota.begun)
        begun = Begun(draw, place, Draft(f"{self.plan.leaf.path}#{draw}", self.plan.leaf.path, draw))
        self._draws[draw] = begun
        return begun

    async def run(self, begun: Begun) -> None:
        """Carry a draw through its steps, until it is rejected, complete or no longer needed."""
        quota = self.quotas[begun.quota]
        for place, step in enumerate(self.steps):
            if begun.surplus:
                return
            if place:
                quota.at[place - 1] -= 1
                quota.at[place] += 1
            begun.step = place
            # Asked before the costly step: what is like an accepted draft now will be when it is decided.
            if step in (respond, write_answer) and self._twin(begun.settled) is not None:
                self._survival.note(len(self.steps), False)
                break
            try:
                begun.draft = await step(begun.draft, self._context)
            except NotStored as lacking:
                # Of a draw that was never begun nothing follows, and its quota ends before it.
                if not begun.draft.requests:
                    raise
                begun.draft = reject(begun.draft, "journal", Flaw("not stored", lacking.what))
            if begun.draft.rejected:
                break
            self._survival.note(place, True)
            if step is check_instruction and self._near and self._near.compare == "instruction":
                begun.settled = begun.draft
        else:
            quota.sound += 1
        if begun.draft.rejected:
            self._survival.note(begun.step, False)
        quota.at[begun.step] -= 1
        begun.done = True

    def ends_at(self, begun: Begun) -> None:
        """A draw cannot be had: its quota ends before it."""
        begun.done = True
        quota = self.quotas[begun.quota]
        quota.budget = min(quota.budget, self.rota.turn(begun.draw) - 1)
        self._close_if_over(begun.quota)

    def ends_before(self, draw: int) -> None:
        """No draw from this one on is wanted: the quotas end there."""
        for place, quota in enumerate(self.quotas):
            turn = 1
            while turn <= quota.budget and self.rota.draw(place, turn) < draw:
                turn += 1
            quota.budget = min(quota.budget, turn - 1)
            self._close_if_over(place)

    def decide(self) -> Draft | None:
        """The next draft in the order of draws, decided; None while that is open."""
        while not self.over:
            if self.rota.quota(self._next) not in self._live:
                self._next += 1
                continue
            begun = self._draws.get(self._next)
            if begun is None or not begun.done:
                return None
            del self._draws[self._next]
            self._next += 1
            draft = self._decided(begun, self.quotas[begun.quota])
            self._close_if_over(begun.quota)
            return draft
        return None

    def _close_if_over(self, place: int) -> None:
        if self.quotas[place].over and place in self._live:
            self._live.discard(place)
            self._ended.append(place)

    @property
    def over(self) -> bool:
        """Whether every quota is met, or has spent its budget."""
        return not self._live

    @property
    def live(self) -> Set[int]:
        """The quotas that are not over."""
        return self._live

    def surplus(self) -> Iterator[Begun]:
        """Draws that are no longer needed, each told once: those that only wait for their turn end here,
        those that a server works on end with its reply."""
        if not self._ended:
            return
        self._ended.clear()
        for draw in [draw for draw, begun in self._draws.items() if begun.quota not in self._live]:
            begun = self._draws.pop(draw)
            begun.surplus = True
            self._surplus += 1
            waits = begun.sent > 0 and not begun.done and not begun.claim.sent
            self._surplus_calls += begun.sent - waits
            if begun.task is not None and not begun.claim.sent:
                begun.task.cancel()
            yield begun

    def outcome(self) -> LeafOutcome:
        """What came of the leaf."""
        path, drawn = self.plan.leaf.path, self._accepted + sum(self._rejected.values())
        told = ", ".join(f"{count} {reason}" for reason, count in self._rejected.most_common())
        nothing = f"{path}: none of {drawn} draws was accepted ({told})" if not self._accepted else ""
        return LeafOutcome(
            leaf=path,
            target=self.plan.target,
            accepted=self._accepted,
            rejected=dict(sorted(self._rejected.items())),
            judges=dict(sorted(self._judges.items())),
            surplus=self._surplus,
            surplus_calls=self._surplus_calls,
            error=nothing,
            spent=self._spent(),
        )

    def _spent(self) -> bool:
        budget = self.plan.max_draws // self.plan.quotas
        short = [quota.decided for quota in self.quotas if quota.accepted < quota.target]
        return bool(short) and all(decided >= budget for decided in short)

    def _decided(self, begun: Begun, quota: Quota) -> Draft:
        """Accepted, or rejected as what it is; a near-duplicate is one whatever else came of it.

        For whether a later step was taken at all depends on when its twin was known: so of a draft
        whose instruction has a twin, what came after the instruction is left out.
        """
        draft = begun.draft
        whole = begun.step == len(self.steps) - 1 and not draft.rejected
        like = self._twin(begun.settled)
        if like is not None and begun.settled is not None:
            draft = self._like(begun.settled, like)
            self._surplus_calls += len(begun.draft.requests) - len(draft.requests)
        elif not draft.rejected and self._near and self._near.compare == "pair":
            like = self._twin(draft)
            draft = self._like(draft, like) if like else draft
        if whole:
            quota.sound -= 1
            self._survival.note(len(self.steps), not draft.rejected)
        if draft.rejected:
            self._rejected[draft.rejected] += 1
            self._judges[draft.verdicts[-1].judge] += 1
        else:
            self._accepted += 1
            quota.accepted += 1
            if self._near:
                self._index.add(self.plan.leaf.path, draft.id, self._parts(draft))
        quota.decided += 1
        return draft

    def _parts(self, draft: Draft) -> tuple[str, ...]:
        assert self._near is not None
        return compared(draft.context, draft.instruction, draft.response, self._near)

    def _twin(self, draft: Draft | None) -> tuple[str, float] | None:
        """The seed or accepted draft that a draft is too like, and how like."""
        if draft is None or self._near is None:
            return None
        parts = self._parts(draft)
        # Where instructions are compared, `check_instruction` has compared them with the seeds already.
        seeds = self._context.shown if self._near.compare == "pair" else ()
        like = twin(parts, seeds, self._near.threshold)
        best = (like[0].name, like[1]) if like else None
        found = self._index.closest(self.plan.leaf.path, parts, self._near.threshold)
        return found if found and (best is None or found[1] > best[1]) else best

    @staticmethod
    def _like(draft: Draft, like: tuple[str, float]) -> Draft:
        return reject(draft, "near-duplicate", Flaw("near-duplicate", f"like {like[0]}", round(like[1], 3)))
