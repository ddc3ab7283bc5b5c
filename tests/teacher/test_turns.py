"""Who goes next, with slots that come and go."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import pytest

from feldspar.errors import TeacherUnavailable
from feldspar.teacher.turns import Turns


class Slots:
    """So many slots, and a queue in front of them."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.turns: Turns[str] = Turns(self.take, self.give)

    def take(self) -> str | None:
        if self.free <= 0:
            return None
        self.free -= 1
        return "slot"

    def give(self, _: str) -> None:
        self.free += 1
        self.turns.serve()


def played(work: Callable[[], Awaitable[object]]) -> None:
    async def run() -> None:
        await work()

    asyncio.run(run())


def test_the_lowest_rank_goes_first_and_among_equals_who_came_first() -> None:
    async def work() -> None:
        slots, went = Slots(0), []

        async def one(rank: tuple[float, ...], name: str) -> None:
            arrival = slots.turns.arrive()
            slot = await slots.turns.wait(rank, arrival)
            went.append(name)
            await asyncio.sleep(0)
            slots.give(slot)

        ranks = [((2.0,), "c"), ((1.0, 5.0), "b"), ((1.0,), "a"), ((2.0,), "d"), ((), "first")]
        tasks = [asyncio.ensure_future(one(*each)) for each in ranks]
        await asyncio.sleep(0)
        assert len(slots.turns) == 5
        slots.give("slot")
        await asyncio.gather(*tasks)
        assert went == ["first", "a", "b", "c", "d"]
        assert slots.free == 1
        assert len(slots.turns) == 0

    played(work)


def test_one_that_goes_back_keeps_its_place() -> None:
    async def work() -> None:
        slots = Slots(0)
        early, late = slots.turns.arrive(), slots.turns.arrive()
        second = asyncio.ensure_future(slots.turns.wait((), late))
        await asyncio.sleep(0)
        first = asyncio.ensure_future(slots.turns.wait((), early))
        await asyncio.sleep(0)
        slots.give("slot")
        await asyncio.sleep(0)
        assert first.done()
        assert not second.done()
        slots.give("slot")
        assert await second == "slot"

    played(work)


def test_slots_that_appear_while_others_wait_are_given_out() -> None:
    async def work() -> None:
        slots = Slots(1)
        tasks = [asyncio.ensure_future(slots.turns.wait((), slots.turns.arrive())) for _ in range(10)]
        await asyncio.sleep(0)
        assert sum(task.done() for task in tasks) == 1
        slots.free += 6
        slots.turns.serve()
        await asyncio.sleep(0)
        assert [task.done() for task in tasks] == [True] * 7 + [False] * 3
        for task in tasks[7:]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    played(work)


def test_one_who_is_cancelled_with_a_slot_just_granted_gives_it_to_the_next() -> None:
    async def work() -> None:
        slots = Slots(0)
        tasks = [asyncio.ensure_future(slots.turns.wait((), slots.turns.arrive())) for _ in range(2)]
        await asyncio.sleep(0)
        slots.give("slot")
        tasks[0].cancel()
        assert await tasks[1] == "slot"
        assert tasks[0].cancelled()
        assert (slots.free, len(slots.turns)) == (0, 0)

    played(work)


def test_the_cancelled_are_forgotten() -> None:
    async def work() -> None:
        slots = Slots(0)
        for _ in range(20):
            tasks = [asyncio.ensure_future(slots.turns.wait((), slots.turns.arrive())) for _ in range(500)]
            await asyncio.sleep(0)
            for task in tasks[1:]:
                task.cancel()
            await asyncio.sleep(0)
        assert len(slots.turns) == 20
        assert len(slots.turns._heap) <= 2 * 20 + 64
        slots.turns.fail(lambda: TeacherUnavailable("gone"))
        with pytest.raises(TeacherUnavailable):
            await tasks[0]
        assert len(slots.turns) == 0
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            with pytest.raises(TeacherUnavailable):
                await task

    played(work)


def test_any_mixture_of_waiting_cancelling_and_serving_loses_no_slot() -> None:
    async def work() -> None:
        choose = random.Random(7)
        slots, held, tasks = Slots(5), 0, set()

        async def one() -> None:
            slot = await slots.turns.wait((choose.random(),), slots.turns.arrive())
            try:
                await asyncio.sleep(choose.random() * 0.002)
            finally:
                slots.give(slot)

        for _ in range(3000):
            tasks.add(asyncio.ensure_future(one()))
            if choose.random() < 0.4:
                choose.choice(sorted(tasks, key=id)[-20:]).cancel()
            if choose.random() < 0.3:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (slots.free, len(slots.turns), held) == (5, 0, 0)

    played(work)


def test_a_hundred_thousand_waiters_cost_little_each() -> None:
    async def work() -> float:
        slots = Slots(0)
        choose = random.Random(1)
        began = time.process_time()
        tasks = [
            asyncio.ensure_future(slots.turns.wait((choose.random(),), slots.turns.arrive()))
            for _ in range(50_000)
        ]
        await asyncio.sleep(0)
        slots.free = 50_000
        slots.turns.serve()
        await asyncio.gather(*tasks)
        return time.process_time() - began

    took = asyncio.run(work())
    assert took < 10.0, f"{took / 50_000 * 1e6:.0f} microseconds each"
