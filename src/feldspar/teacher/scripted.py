"""A teacher that a function plays, and a local server that speaks the OpenAI API for it.

Both are public: for tests, for trying out a recipe, and for seeing how an endpoint's faults are met.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from aiohttp import web

from feldspar.teacher.api import Reply, Request, schema_text
from feldspar.teacher.tokens import approximate_counter
from feldspar.types import Message, Role

Script = Callable[[Request], str]


class ScriptedTeacher:
    """A `Teacher` whose replies a function writes.

    Args:
        function: request to text. What it raises, `ask` raises.
        delay: seconds to wait before each reply.
        identity: what the journal knows it by.
    """

    def __init__(self, function: Script, delay: float = 0.0, identity: str = "scripted") -> None:
        self.identity = identity
        self.requests: list[Request] = []
        """Every request, in the order asked."""
        self._function = function
        self._delay = delay

    async def ask(self, request: Request) -> Reply:
        """The function's text; tokens are counted at four characters each."""
        self.requests.append(request)
        # Gives way even without a delay, as a teacher on a wire does.
        await asyncio.sleep(self._delay)
        text = self._function(request)
        count = approximate_counter()
        return Reply(text, "stop", sum(count(m.content) for m in request.messages), count(text))

    async def close(self) -> None:
        """Has nothing to let go of."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a scripted server does in place of an answer."""

    kind: Literal["status", "hang", "reset", "garbage", "html"]
    status: int = 500
    """For `status`: the code; 200 or more."""
    body: str = ""
    """For `status`: what comes with it."""
    headers: tuple[tuple[str, str], ...] = ()


Faults = Callable[[int, dict[str, Any]], Fault | None]
"""Number of the request, from 1, and its body, to a fault; None for an answer."""


@dataclass(slots=True)
class ScriptedServer:
    """A running scripted server."""

    url: str = ""
    """The base URL, as `HttpTeacher` takes it: it ends in /v1."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """Every body that was posted, faults included."""
    answered: int = 0
    in_flight: int = 0
    most_in_flight: int = 0


@asynccontextmanager
async def scripted_server(
    function: Script,
    faults: Faults | None = None,
    models: Sequence[str] | None = ("scripted",),
    api_key: str = "",
    delay: float = 0.0,
) -> AsyncIterator[ScriptedServer]:
    """An OpenAI-compatible server on a free port of 127.0.0.1.

    Args:
        function: request to text.
        faults: which requests go wrong, and how.
        models: what `GET /models` lists, and all that is answered for; None: that verb is missing
            and any model is answered for.
        api_key: if given, a request without it gets 401.
        delay: seconds before each answer.
    """
    server = ScriptedServer()

    async def listing(http: web.Request) -> web.StreamResponse:
        if models is None:
            raise web.HTTPNotFound
        if not _has_key(http, api_key):
            return _error(401, "no such key")
        return web.json_response({"object": "list", "data": [{"id": m, "object": "model"} for m in models]})

    async def completion(http: web.Request) -> web.StreamResponse:
        body = await http.json()
        server.bodies.append(body)
        server.in_flight += 1
        server.most_in_flight = max(server.most_in_flight, server.in_flight)
        try:
            fault = faults(len(server.bodies), body) if faults else None
            if fault is not None:
                return await _play(fault, http)
            await asyncio.sleep(delay)
            if not _has_key(http, api_key):
                return _error(401, "no such key")
            if models is not None and body.get("model") not in models:
                return _error(404, f"model {body.get('model')!r} not found")
            server.answered += 1
            return web.json_response(_answer(body, function(request_of(body))))
        finally:
            server.in_flight -= 1

    app = web.Application()
    app.router.add_get("/v1/models", listing)
    app.router.add_post("/v1/chat/completions", completion)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield server
    finally:
        await runner.cleanup()


def request_of(body: dict[str, Any]) -> Request:
    """The `Request` that a body came from; the seed as it was on the wire."""
    turns = tuple(Message(_role(turn["role"]), turn["content"]) for turn in body["messages"])
    described = body.get("response_format", {}).get("json_schema", {}).get("schema")
    return Request(
        turns,
        body["max_tokens"],
        body["temperature"],
        body["top_p"],
        body["seed"],
        schema_text(described) if described is not None else "",
        tuple(body.get("stop", ())),
    )


def _role(name: str) -> Role:
    for role in get_args(Role):
        if role == name:
            return role  # type: ignore[no-any-return]
    raise web.HTTPBadRequest(text=f"unknown role {name!r}")


def _has_key(http: web.Request, api_key: str) -> bool:
    return not api_key or http.headers.get("Authorization") == f"Bearer {api_key}"


def _answer(body: dict[str, Any], text: str) -> dict[str, Any]:
    count = approximate_counter()
    asked, said = sum(count(turn["content"]) for turn in body["messages"]), count(text)
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
    return {"object": "chat.completion", "model": body.get("model"), "choices": [choice], "usage": usage}


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "code": status}}, status=status)


async def _play(fault: Fault, http: web.Request) -> web.StreamResponse:
    if fault.kind == "hang":
        await asyncio.sleep(3600)
    if fault.kind in {"hang", "reset"}:
        if http.transport is not None:
            http.transport.abort()
        return web.Response()
    if fault.kind == "garbage":
        return web.Response(text='{"choices": [{"mess', content_type="application/json")
    if fault.kind == "html":
        return web.Response(text="<!doctype html><title>hello</title>", content_type="text/html")
    try:
        json.loads(fault.body)
        kind = "application/json"
    except ValueError:
        kind = "text/plain"
    return web.Response(status=fault.status, text=fault.body, content_type=kind, headers=dict(fault.headers))
