"""A teacher that a function plays, and a local server that speaks the OpenAI API for it.

Both are public: for tests, for trying out a recipe, and for seeing how an endpoint's faults are met.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict, Unpack, get_args

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

    kind: Literal["status", "hang", "reset", "garbage", "truncated", "html"]
    status: int = 500
    """For `status`: the code; 200 or more."""
    body: str = ""
    """For `status`: what comes with it."""
    headers: tuple[tuple[str, str], ...] = ()


def busy(status: int = 429, retry_after: float | None = None) -> Fault:
    """A refusal for overload: 429, 503 or 529, with Retry-After in seconds if given."""
    headers = () if retry_after is None else (("Retry-After", f"{retry_after:g}"),)
    words = json.dumps({"error": {"message": "too many requests", "code": status}})
    return Fault("status", status, words, headers)


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
    """Requests that are here, those that wait for a slot included."""
    most_in_flight: int = 0
    running: int = 0
    """Requests in a slot."""
    slot_seconds: float = 0.0
    """Time that slots were worked in."""


class Options(TypedDict, total=False):
    """How a scripted server works on requests."""

    duration: Callable[[Request], float]
    """Seconds before the answer to a request, in place of `delay`."""
    slots: int
    """Requests that are worked on at a time; the rest wait, first come, first served. Left out: all."""
    metrics: bool
    """Whether `/metrics` tells how many run and how many wait, as vLLM does."""
    port: int
    """Left out, or 0: a free one."""


@dataclass(frozen=True, slots=True)
class _Play:
    """What a server was told to be."""

    function: Script
    faults: Faults | None
    models: Sequence[str] | None
    api_key: str
    duration: Callable[[Request], float]
    slots: asyncio.Semaphore | None
    server: ScriptedServer

    async def listing(self, http: web.Request) -> web.StreamResponse:
        if self.models is None:
            raise web.HTTPNotFound
        if not _has_key(http, self.api_key):
            return _error(401, "no such key")
        listed = [{"id": m, "object": "model"} for m in self.models]
        return web.json_response({"object": "list", "data": listed})

    async def completion(self, http: web.Request) -> web.StreamResponse:
        body = await http.json()
        server = self.server
        server.bodies.append(body)
        server.in_flight += 1
        server.most_in_flight = max(server.most_in_flight, server.in_flight)
        try:
            fault = self.faults(len(server.bodies), body) if self.faults else None
            if fault is not None:
                return await _play(fault, http)
            if not _has_key(http, self.api_key):
                return _error(401, "no such key")
            if self.models is not None and body.get("model") not in self.models:
                return _error(404, f"model {body.get('model')!r} not found")
            request = request_of(body)
            async with self.slots or nullcontext():
                await self._work(self.duration(request))
            server.answered += 1
            return web.json_response(_answer(body, self.function(request)))
        finally:
            server.in_flight -= 1

    async def _work(self, seconds: float) -> None:
        began = time.monotonic()
        self.server.running += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.server.running -= 1
            self.server.slot_seconds += time.monotonic() - began

    async def metrics(self, _: web.Request) -> web.StreamResponse:
        """vLLM's two gauges, in Prometheus' form."""
        counts = {"running": self.server.running, "waiting": self.server.in_flight - self.server.running}
        lines = []
        for name, count in counts.items():
            lines.append(f"# TYPE vllm:num_requests_{name} gauge")
            lines.append(f'vllm:num_requests_{name}{{engine="0",model_name="scripted"}} {float(count)}')
        return web.Response(text="\n".join([*lines, ""]), content_type="text/plain")


@asynccontextmanager
async def scripted_server(
    function: Script,
    faults: Faults | None = None,
    models: Sequence[str] | None = ("scripted",),
    api_key: str = "",
    delay: float = 0.0,
    **options: Unpack[Options],
) -> AsyncIterator[ScriptedServer]:
    """An OpenAI-compatible server on a port of 127.0.0.1.

    Args:
        function: request to text.
        faults: which requests go wrong, and how.
        models: what `GET /models` lists, and all that is answered for; None: that verb is missing
            and any model is answered for.
        api_key: if given, a request without it gets 401.
        delay: seconds before each answer.
        options: how it works: `duration`, `slots`, `metrics` and `port` of `Options`.
    """
    server = ScriptedServer()
    slots = asyncio.Semaphore(options["slots"]) if "slots" in options else None
    duration = options.get("duration", lambda _: delay)
    play = _Play(function, faults, models, api_key, duration, slots, server)
    app = web.Application()
    app.router.add_get("/v1/models", play.listing)
    app.router.add_post("/v1/chat/completions", play.completion)
    if options.get("metrics"):
        app.router.add_get("/metrics", play.metrics)
    # A request that its sender gave up gives its slot to the next.
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", options.get("port", 0))
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
        body.get("max_tokens", body.get("max_completion_tokens", 0)),
        body.get("temperature", 1.0),
        body.get("top_p", 1.0),
        body.get("seed", 0),
        schema_text(described) if described is not None else "",
        tuple(body.get("stop", ())),
        body.get("top_logprobs", 0),
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
    if fault.kind == "truncated":
        cut = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
        await cut.prepare(http)
        await cut.write(b'{"choices": [{"mess')
        if http.transport is not None:
            http.transport.close()
        return cut
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
