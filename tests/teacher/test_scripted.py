"""The public teacher that a function plays, and what its server's extras do."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from feldspar.teacher import Request, ScriptedTeacher, scripted_server
from feldspar.types import Message


def test_a_function_answers_and_every_request_is_kept() -> None:
    one = ScriptedTeacher(lambda request: f"seed {request.seed}")
    asks = [Request((Message("user", "abcde"),), seed=n) for n in range(3)]

    async def run() -> list[str]:
        return [(await one.ask(request)).text for request in asks]

    assert asyncio.run(run()) == ["seed 0", "seed 1", "seed 2"]
    assert one.requests == asks


def test_what_the_function_raises_is_raised() -> None:
    def broken(_: Request) -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(ScriptedTeacher(broken).ask(Request(())))


def test_the_server_lists_its_models() -> None:
    async def run() -> list[str]:
        async with (
            scripted_server(lambda _: "x", models=("a", "b")) as server,
            aiohttp.ClientSession() as session,
            session.get(server.url + "/models") as response,
        ):
            return [model["id"] for model in (await response.json())["data"]]

    assert asyncio.run(run()) == ["a", "b"]


def posted(count: int, **options: object) -> tuple[list[float], float, str]:
    """When each of so many answers came, slot-seconds, and the metrics while they were worked on."""

    async def run() -> tuple[list[float], float, str]:
        async with (
            scripted_server(lambda _: "x", **options) as server,  # type: ignore[arg-type]
            aiohttp.ClientSession() as session,
        ):
            began = time.monotonic()

            async def one(words: str) -> float:
                body = Request((Message("user", words),)).payload("scripted")
                async with session.post(server.url + "/chat/completions", json=body) as response:
                    await response.read()
                return time.monotonic() - began

            tasks = [asyncio.ensure_future(one("x" * (n + 1))) for n in range(count)]
            await asyncio.sleep(0.05)
            async with session.get(server.url.removesuffix("/v1") + "/metrics") as response:
                told = await response.text()
            return sorted(await asyncio.gather(*tasks)), server.slot_seconds, told

    return asyncio.run(run())


def test_slots_work_at_once_and_the_rest_waits() -> None:
    ends, worked, told = posted(6, slots=2, delay=0.1, metrics=True)
    assert ends[1] < 0.2 <= ends[3] < ends[5]
    assert ends[5] >= 0.3
    assert 0.6 <= worked < 1.2
    assert 'vllm:num_requests_running{engine="0",model_name="scripted"} 2.0' in told
    assert 'vllm:num_requests_waiting{engine="0",model_name="scripted"} 4.0' in told


def test_a_request_takes_its_own_time() -> None:
    ends, _, told = posted(2, duration=lambda request: 0.2 * len(request.messages[0].content))
    assert 0.2 <= ends[0] < 0.4 <= ends[1]
    assert "404" in told


def test_a_slot_of_a_request_that_was_given_up_is_free_again() -> None:
    async def run() -> int:
        async with (
            scripted_server(lambda _: "x", slots=1, delay=30.0) as server,
            aiohttp.ClientSession() as session,
        ):
            body = Request((Message("user", "x"),)).payload("scripted")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2), session.post(server.url + "/chat/completions", json=body):
                    pass
            await asyncio.sleep(0.1)
            return server.in_flight

    assert asyncio.run(run()) == 0
