"""Who goes next: those that wait for a slot, lowest rank first, then in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

from feldspar.teacher.api import Claim

Slot = TypeVar("Slot")

_FEW = 64
"""Cancelled waiters that may stay in the heap, whatever its size."""


class Turns(Generic[Slot]):
    """A heap of waiters and whatever hands out slots.

    Args:
        take: a free slot, taken; None where there is none now.
        give_back: told of a slot that was taken for one who no longer waits.
    """

    def __init__(self, take: Callable[[], Slot | None], give_back: Callable[[Slot], None]) -> None:
        self._take = take
        self._give_back = give_back
        self._heap: list[tuple[tuple[float, ...], int, asyncio.Future[Slot], Claim]] = []
        self._waiting = 0
        self._arrived = 0

    def __len__(self) -> int:
        """How many wait."""
        return self._waiting

    def arrive(self) -> int:
        """A place in the order of arrival, which a request keeps for all its tries."""
        self._arrived += 1
        return self._arrived

    async def wait(self, rank: tuple[float, ...], arrival: int, claim: Claim | None = None) -> Slot:
        """A slot, once it is this one's turn.

        Args:
            rank: the lowest goes first.
            arrival: from `arrive`; among equals the earlier goes first.
            claim: marked the moment that the slot is taken: who gives up what only waits must not meet
                one that is on its way.

        Raises:
            Exception: what `fail` was given.
        """
        claim = claim or Claim()
        if not self._heap and (slot := self._take()) is not None:
            claim.sent = True
            return slot
        future: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        heappush(self._heap, (rank, arrival, future, claim))
        self._waiting += 1
        self.serve()
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                self._waiting -= 1
                self._sweep()
            elif not future.exception():
                self._give_back(future.result())
            raise

    def serve(self) -> None:
        """Gives free slots to those whose turn it is; to be called whenever there may be one."""
        heap = self._heap
        while heap:
            if heap[0][2].done():
                heappop(heap)
                continue
            slot = self._take()
            if slot is None:
                return
            self._waiting -= 1
            _, _, future, claim = heappop(heap)
            claim.sent = True
            future.set_result(slot)

    def fail(self, make: Callable[[], Exception]) -> None:
        """Ends the wait of all that wait, each with an exception of its own."""
        heap, self._heap = self._heap, []
        for _, _, future, _ in heap:
            if not future.done():
                self._waiting -= 1
                future.set_exception(make())

    def _sweep(self) -> None:
        """Keeps the cancelled to about half of the heap: O(1) for each, spread over them."""
        if len(self._heap) > 2 * self._waiting + _FEW:
            # In place: `serve` may be under way in a caller.
            self._heap[:] = [entry for entry in self._heap if not entry[2].done()]
            heapify(self._heap)
