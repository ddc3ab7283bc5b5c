"""The public teacher that a function plays, and what its server's extras do."""

from __future__ import annotations

import asyncio

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
