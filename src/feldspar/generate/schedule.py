"""Drawing: numbered draws of all leaves at once, decided in the order of their numbers.

A draw's requests depend on the run's seed, its leaf and its number alone, and whether it is accepted
depends on these and on the draws before it. So it does not matter which reply comes first: the same
replies give the same drafts, whatever the concurrency, the delays or the draws begun ahead of need.
What is decided here by the clock is only what is asked next: docs/generation.md says by which rules.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from feldspar.errors import FeldsparError, NotStored, TaxonomyError, TeacherError
from feldspar.generate.ask import ALONE, Panel
from feldspar.generate.drawing import Begun, Drawing, Shared, pipeline
from feldspar.generate.near import Nearest
from feldspar.generate.pack import Pack
from feldspar.generate.plan import LeafOutcome, LeafPlan, section_name, why_nothing
from feldspar.generate.quota import Survival
from feldspar.teacher import Teacher
from feldspar.types import Draft

_DRAWS_A_SLOT = 4
"""Draws under way for each request that is worked on at once."""

_MORE_DRAWS = 3072
"""Draws under way beyond one a slot, at most: each is some 15 kB of prompts."""

_FEWEST_DRAWS = 8
_EARLY = 3
"""Draws of a leaf that go before all others: a person sees samples, and the judges' rates are known."""

_NEIGHBOURS = 8
"""Draws of a quota that are sent one after the other, before another leaf's turn: they share a prefix."""

_UNDECIDED = 4
"""Draws of a leaf that may be undecided, as a multiple of all that may be under way: one slow reply holds up
what comes after it."""

_ALL_PARKED = 32
"""Ended draws after which every quota that wanted no further draw is asked again."""

_LOOK = 0.1
"""Seconds between two looks at how many requests the teacher takes."""

_SPARE_SHARE = 0.12
"""Calls of spare draws, at most, as a share of all."""


async def generate(
    plans: Sequence[LeafPlan],
    teacher: Teacher,
    pack: Pack,
    *,
    seed: int,
    slots: Callable[[], int] = lambda: 16,
    panel: Panel = ALONE,
    scratch: Path | None = None,
) -> AsyncGenerator[Draft | LeafOutcome, None]:
    """Draw drafts of every leaf until its quotas are met, or their budgets are spent (§3.2).

    All leaves are drawn at once and none waits for another.

    Args:
        plans: What to draw, one plan a leaf.
        teacher: Who answers; it limits what is in flight, and sends the lowest rank first.
        pack: The prompts.
        seed: The run's seed.
        slots: How many requests the teacher works on at once, just now.
        panel: Who is asked for verdicts.
        scratch: A file for the index of near-duplicates, not there yet; None: a temporary one.

    Yields:
        Each decided draft, in the order of its leaf's draws, and an outcome when a leaf is done. How
        the leaves' drafts interleave depends on timing; what is in them does not.

    Raises:
        TaxonomyError: Two plans are of one leaf path.
        TeacherError: The teacher cannot go on; all that was under way is ended first.
    """
    twice = [path for path, count in Counter(plan.leaf.path for plan in plans).items() if count > 1]
    if twice:
        raise TaxonomyError(f"{twice[0]}: two leaves of this path", "Rename one of them.")
    index = Nearest(scratch)
    schedule = _Schedule(plans, Shared(teacher, pack, seed, panel, index), slots)
    try:
        schedule.begin()
        while True:
            while schedule.out:
                yield schedule.out.popleft()
            if schedule.failure is not None:
                raise schedule.failure
            if not schedule.open:
                return
            await schedule.news.wait()
            schedule.news.clear()
    finally:
        await schedule.close()
        index.close()


class _Schedule:
    """All leaves of a run, and which draw begins next."""

    def __init__(self, plans: Sequence[LeafPlan], shared: Shared, slots: Callable[[], int]) -> None:
        self.out: deque[Draft | LeafOutcome] = deque()
        self.news = asyncio.Event()
        self.failure: BaseException | None = None
        self.open: dict[int, Drawing] = {}
        """Leaves that are not done."""
        self._slots = slots
        self._look: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._calls = self._spare_calls = self._ended = 0
        self._closing = False
        # What may begin, the leaf that is furthest behind first: early draws, share of the quota, leaf.
        self._next: list[tuple[bool, float, int, int]] = []
        survivals = {name: Survival(len(pipeline(name))) for name in shared.pack.sections}
        for number, plan in enumerate(plans):
            nothing = why_nothing(plan, shared.pack)
            if nothing or plan.target <= 0:
                self.out.append(LeafOutcome(plan.leaf.path, target=plan.target, error=nothing))
                continue
            survival = survivals[section_name(plan)].leaf()
            leaf = Drawing(plan, shared, survival, self._ranker(number))
            self.open[number] = leaf
            for place in range(len(leaf.quotas)):
                heapq.heappush(self._next, (False, 0.0, number, place))

    def begin(self) -> None:
        """Fill what room there is, now and every tenth of a second: slots can grow between replies."""
        try:
            self.fill()
        except Exception as error:
            self._fail(error)
            return
        self._look = asyncio.get_running_loop().call_later(_LOOK, self.begin)

    def fill(self) -> None:
        """Begin the draws that are wanted, as far as there is room; then spare ones in idle slots."""
        slots = max(1, self._slots())
        room = max(_FEWEST_DRAWS, min(_DRAWS_A_SLOT * slots, slots + _MORE_DRAWS))
        while self._under_way < room and self._next:
            _, _, number, place = heapq.heappop(self._next)
            leaf = self.open.get(number)
            if leaf is None or place not in leaf.live:
                continue
            if leaf.undecided >= _UNDECIDED * room:
                leaf.crowded = True
            if leaf.crowded or not leaf.quotas[place].wants(leaf.chances()):
                leaf.parked.add(place)
                continue
            self._begin(number, leaf, place)
            self._queue(number, leaf, place)
        if self._under_way < slots and not self._next:
            self._begin_spares(slots)

    def _begin_spares(self, slots: int) -> None:
        for number, leaf in list(self.open.items()):
            if leaf.crowded:
                continue
            chances = leaf.chances()
            for place in sorted(leaf.live):
                while leaf.quotas[place].wants(chances, spare=True):
                    if self._under_way >= slots or self._spare_calls >= _SPARE_SHARE * self._calls:
                        return
                    self._begin(number, leaf, place)
                    # What it will cost counts at once, or all idle slots would be filled in one go.
                    self._spare_calls += leaf.calls

    def _queue(self, number: int, leaf: Drawing, place: int) -> None:
        quota = leaf.quotas[place]
        share = quota.begun // _NEIGHBOURS * _NEIGHBOURS / quota.target
        heapq.heappush(self._next, (leaf.begun >= _EARLY, share, number, place))

    def _begin(self, number: int, leaf: Drawing, place: int) -> None:
        begun = leaf.begin(place)
        self._under_way += 1
        begun.task = task = asyncio.ensure_future(self._draw(number, leaf, begun))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _draw(self, number: int, leaf: Drawing, begun: Begun) -> None:
        """Carry one draw through its steps, and decide what can be decided then."""
        try:
            await leaf.run(begun)
        except NotStored:
            leaf.ends_at(begun)
        except asyncio.CancelledError:
            if not begun.surplus and not self._closing:
                told = f"{begun.draft.id}: the teacher gave a request up by itself."
                self._fail(TeacherError(told, "A teacher that cannot answer raises TeacherError."))
            raise
        except FeldsparError as error:
            # What goes wrong with a draw that is no longer needed concerns nobody: whoever it does
            # concern meets it too.
            if not begun.surplus:
                self._fail(error)
            return
        except Exception as error:
            self._fail(error)
            return
        if begun.surplus:
            return
        self._under_way -= 1
        try:
            self._decide(number, leaf, begun.quota)
        except Exception as error:
            self._fail(error)

    def _decide(self, number: int, leaf: Drawing, place: int) -> None:
        """Decide the draws whose turn has come, end what is over, begin what is wanted."""
        concerned = {place}
        while (draft := leaf.decide()) is not None:
            concerned.add(leaf.rota.quota(draft.draw))
            self.out.append(draft)
            self.news.set()
        for surplus in leaf.surplus():
            self._under_way -= not surplus.done
        if leaf.over:
            del self.open[number]
            self.out.append(leaf.outcome())
            self.news.set()
        else:
            self._ended += 1
            # What the others are to expect moves slowly, and a leaf may have a thousand quotas.
            if leaf.crowded or self._ended % _ALL_PARKED == 0:
                concerned = leaf.parked | concerned
                leaf.crowded = False
            chances = leaf.chances()
            for place in sorted(concerned & leaf.parked):
                if leaf.quotas[place].wants(chances):
                    leaf.parked.discard(place)
                    self._queue(number, leaf, place)
        self.fill()

    def _ranker(self, number: int) -> Callable[[Begun, Drawing, int], tuple[float, ...]]:
        def rank(begun: Begun, leaf: Drawing, left: int) -> tuple[float, ...]:
            self._calls += 1
            if begun.draw <= _EARLY:
                return (0, left, begun.draw, number)
            quota = leaf.quotas[begun.quota]
            run = (leaf.rota.turn(begun.draw) - 1) // _NEIGHBOURS * _NEIGHBOURS
            return (1, -left, run / quota.target, number, begun.draw)

        return rank

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
        self.news.set()

    async def close(self) -> None:
        """End whatever is under way."""
        self._closing = True
        if self._look is not None:
            self._look.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
