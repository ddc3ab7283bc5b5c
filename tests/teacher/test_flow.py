"""The limit that an endpoint's flow finds, against servers in virtual time and real ones."""

from __future__ import annotations

import asyncio
import heapq
import math
import random
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feldspar.teacher import HttpTeacher, Patience, Request, busy, scripted_server
from feldspar.teacher.flow import Flow
from feldspar.teacher.load import Load, load_in, metrics_url
from feldspar.types import Message

Draw = Callable[[random.Random], tuple[float, int]]
"""Seconds and tokens of a reply."""


def even(_: random.Random) -> tuple[float, int]:
    return 1.0, 100


def by_tokens(choose: random.Random) -> tuple[float, int]:
    """The four steps of a pipeline: each its mean length, lognormal, a fixed time for each token."""
    seconds = choose.choice((0.5, 0.75, 2.1, 0.66)) * math.exp(choose.gauss(-0.18, 0.6))
    return seconds, max(1, round(200 * seconds))


def by_chance(choose: random.Random) -> tuple[float, int]:
    return math.exp(choose.gauss(-0.18, 0.6)), 100


@dataclass
class Simulated:
    """A server that queues in silence, or tells its load, and a client that never lacks requests."""

    slots: int
    draw: Draw
    flow: Flow = field(default_factory=Flow)
    tells: bool = False
    trip: float = 0.002
    clock: float = 0.0
    others: int = 0
    """Requests of somebody else, always in flight."""
    seed: int = 3
    levels: list[int] = field(default_factory=list)
    served: list[tuple[float, float]] = field(default_factory=list)
    """When, and how many slot-seconds it took."""
    most: int = 0

    def run(self, replies: int) -> Simulated:
        choose, now, sent = random.Random(self.seed), self.clock, 0
        events: list[tuple[float, int, str, tuple[float, float, int]]] = []
        queue: deque[tuple[float, float, int]] = deque()
        running = 0

        def post(at: float, kind: str, item: tuple[float, float, int]) -> None:
            nonlocal sent
            sent += 1
            heapq.heappush(events, (at, sent, kind, item))

        def fill() -> None:
            while self.flow.in_flight < self.flow.limit:
                self.flow.sent(now)
                post(now + self.trip / 2, "came", (now, *self.draw(choose)))

        for _ in range(self.others):
            post(0.0, "came", (-1.0, *self.draw(choose)))
        if self.tells:
            post(0.1, "poll", (0.0, 0.0, 0))
        fill()
        while len(self.served) < replies:
            now, _, kind, item = heapq.heappop(events)
            if kind == "came":
                queue.append(item)
            elif kind == "done":
                running -= 1
                if item[0] < 0:
                    queue.append((-1.0, *self.draw(choose)))
                else:
                    post(now + self.trip / 2, "reply", item)
            elif kind == "poll":
                self.flow.told(Load(running, len(queue)), now)
                post(now + (1.0 if self.flow.settled else 0.25), "poll", item)
            else:
                self.flow.replied(now - item[0], item[2], now)
                self.flow.ended(now)
                self.served.append((now, item[1]))
                self.levels.append(self.flow.limit)
            while queue and running < self.slots:
                running += 1
                item = queue.popleft()
                post(now + item[1], "done", item)
            fill()
            self.most = max(self.most, self.flow.in_flight)
        return self

    def share(self, since: float = 0.5) -> float:
        """Slot-seconds over slots times time, from that part of the replies on."""
        part = self.served[int(since * len(self.served)) :]
        return sum(work for _, work in part) / self.slots / (part[-1][0] - part[0][0])

    def level(self) -> float:
        return statistics.median(self.levels[len(self.levels) // 2 :])


@pytest.mark.parametrize("slots", [16, 256])
@pytest.mark.parametrize("draw", [even, by_tokens])
def test_it_settles_a_little_above_a_server_that_queues_in_silence(slots: int, draw: Draw) -> None:
    run = Simulated(slots, draw).run(max(6000, 120 * slots))
    assert 1.05 * slots <= run.level() <= 1.25 * slots
    assert run.share() >= 0.97
    assert run.most <= 4 * slots


def test_lengths_that_nothing_tells_of_cost_exactness_and_little_throughput() -> None:
    runs = [Simulated(64, by_chance, seed=seed).run(9000) for seed in range(3)]
    assert min(run.share() for run in runs) >= 0.94
    assert max(run.level() for run in runs) <= 3 * 64


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("draw", [even, by_tokens])
def test_a_laptops_server_gets_two_or_three(slots: int, draw: Draw) -> None:
    run = Simulated(slots, draw).run(1500)
    assert run.level() in (2, 3, 4)[: slots + 1]
    assert run.most <= 16
    assert run.share() >= 0.93


def test_the_start_reaches_256_slots_in_the_time_of_a_few_replies() -> None:
    run = Simulated(256, even).run(2560)
    assert run.served[-1][0] <= 10 + 6.5


def test_a_server_that_becomes_faster_or_slower_is_followed() -> None:
    run = Simulated(16, by_tokens).run(4000)
    run.flow.in_flight = 0
    more = Simulated(40, by_tokens, flow=run.flow, clock=run.served[-1][0]).run(8000)
    assert more.level() >= 40
    run.flow.in_flight = 0
    less = Simulated(16, by_tokens, flow=run.flow, clock=more.served[-1][0])
    assert less.run(8000).level() <= 1.4 * 16


def test_a_server_that_tells_its_load_is_filled_in_a_few_polls_and_has_a_few_waiting() -> None:
    run = Simulated(256, by_tokens, tells=True).run(8000)
    full = next(when for (when, _), level in zip(run.served, run.levels, strict=True) if level >= 256)
    assert full <= 1.6
    assert 256 < run.level() <= 1.15 * 256
    assert run.share() >= 0.985
    assert run.most <= 2 * 256
    small = Simulated(1, even, tells=True).run(200)
    assert small.level() in (2, 3)
    assert small.most <= 4


def test_a_crowded_server_is_shared() -> None:
    """Another keeps 128 waiting on 128 slots: we neither crowd it more nor vanish."""
    run = Simulated(128, by_tokens, tells=True, others=256).run(3000)
    assert 128 / 5 <= run.level() <= 128 / 2


def test_a_burst_of_refusals_is_one_cut_and_what_was_refused_is_not_tried_soon() -> None:
    flow = Flow(first=40)
    for _ in range(40):
        flow.sent(1.0)
    assert flow.overloaded(1.0, 2.0)
    assert 20 <= flow.limit <= 30
    limit = flow.limit
    for _ in range(39):
        assert not flow.overloaded(1.0, 2.1)
    assert flow.limit == limit
    assert flow.overloaded(2.2, 2.3)
    assert flow.limit < limit


def test_one_that_was_cut_to_a_single_request_grows_again() -> None:
    flow = Flow()
    for at in (1.0, 2.0, 3.0, 4.0):
        flow.sent(at)
        flow.overloaded(at, at)
        flow.ended(at)
    assert flow.limit == 1
    assert Simulated(16, by_tokens, flow=flow, clock=5.0).run(4000).level() >= 16


def test_a_number_caps_and_one_or_two_are_kept() -> None:
    assert Simulated(64, even, flow=Flow(most=20, first=20)).run(2000).most == 20
    two = Simulated(1, even, flow=Flow(most=2, first=2)).run(500)
    assert set(two.levels) == {2}


def test_it_does_not_queue_so_much_that_requests_time_out() -> None:
    run = Simulated(1, lambda _: (100.0, 100), flow=Flow(longest=300.0)).run(60)
    assert run.most <= 4


PAGE = b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 12.0
vllm:num_requests_running{engine="1",model_name="m"} 1.1e1
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 99.0
vllm:num_requests_waiting{engine="1",model_name="m"} 0.0
"""


def test_metrics_of_the_servers_we_know_are_read() -> None:
    assert load_in(PAGE) == Load(23, 3)
    assert load_in(PAGE.replace(b"\n", b"\r\n")) == Load(23, 3)
    assert load_in(b"llamacpp:requests_processing 4\nllamacpp:requests_deferred 7") == Load(4, 7)
    named = b'sglang:num_running_reqs{model_name="a"} 5\nsglang:num_queue_reqs{model_name="a"} 6.0\n'
    assert load_in(named) == Load(5, 6)
    assert load_in(named.splitlines()[0]) is None
    assert metrics_url("http://h:8000/v1") == "http://h:8000/metrics"
    assert metrics_url("http://h:8000/a/v1") == "http://h:8000/a/metrics"


@given(
    st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([*PAGE.splitlines(), b"nan", b"1e999", b"{"])))
)
def test_whatever_else_a_page_of_metrics_holds_is_ignored(lines: list[bytes]) -> None:
    load = load_in(b"\n".join(lines))
    assert load is None or (load.running >= 0 and load.waiting >= 0)


@given(st.binary(max_size=40))
def test_garbage_beside_metrics_changes_nothing(garbage: bytes) -> None:
    if not any(name in garbage for name in (b"vllm", b"sglang", b"llamacpp")):
        assert load_in(garbage + b"\n" + PAGE + garbage) == Load(23, 3)


HASTY = Patience(request=20.0, first_pause=0.01, longest_pause=0.05)


def echo(request: Request) -> str:
    return request.messages[-1].content


def asks(count: int) -> list[Request]:
    return [Request((Message("user", str(n)),), 20, rank=(float(n),)) for n in range(count)]


@pytest.mark.parametrize("metrics", [True, False])
def test_a_real_server_of_sixteen_slots(metrics: bool) -> None:
    async def run() -> tuple[int, float]:
        async with scripted_server(echo, delay=0.04, slots=16, metrics=metrics) as server:
            teacher = HttpTeacher("scripted", [server.url], patience=HASTY)
            try:
                await asyncio.gather(*(teacher.ask(one) for one in asks(1600)))
                limits, worked, began = list[int](), server.slot_seconds, time.monotonic()

                async def watched(one: Request) -> None:
                    await teacher.ask(one)
                    limits.append(teacher.limit)

                await asyncio.gather(*map(watched, asks(400)))
                # Not the last one: a comparison looks at a lower level for a while.
                return max(limits), (server.slot_seconds - worked) / 16 / (time.monotonic() - began)
            finally:
                await teacher.close()

    limit, share = asyncio.run(run())
    assert 16 <= limit <= 28
    assert share > 0.75  # The end of it runs dry, and the machine may be busy.


def test_refusals_bring_the_limit_down_to_what_is_taken() -> None:
    async def run() -> tuple[int, int, int]:
        async with scripted_server(echo, delay=0.01) as server:

            def faults(_: int, __: object) -> object:
                return busy(529) if server.in_flight > 10 else None

            async with scripted_server(echo, faults, delay=0.01) as strict:  # type: ignore[arg-type]
                server = strict
                teacher = HttpTeacher("scripted", [strict.url], patience=HASTY)
                try:
                    replies = await asyncio.gather(*(teacher.ask(one) for one in asks(800)))
                finally:
                    await teacher.close()
                assert [reply.text for reply in replies] == [str(n) for n in range(800)]
                return len(strict.bodies) - 800, teacher.limit, teacher.state()[0].failures

    refused, limit, failures = asyncio.run(run())
    assert 0 < refused == failures < 200
    assert 3 <= limit <= 16
