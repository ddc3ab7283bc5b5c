"""A server of chat completions with continuous batching, simulated: all of its timing, none of its model.

`slots` requests run at once and the others wait in the order of their arrival. A request holds its slot
for a lognormal number of tokens, which its step and the number of its draw decide; draws are numbered as
they come, so that every client meets the same draws, and an equal request always takes the same time.
Replies suit the four steps of a skills pipeline (instruction, its judge, response, the judge of both). A
step is told by `[step 0]` to `[step 3]` in the last message, else by the JSON Schema asked for; a draw by
the case that its instruction names, the hash of the request that asked for it.

The clock of the slots is exact though this process is not: a slot that falls free while requests wait is
taken at that very moment, even where the timer rings late. HTTP is spoken by hand, since with 1,024
connections a web framework would need the core that the client under test is to have.

    python benchmarks/simulated_server.py --port 8000      (GET /metrics, /v1/models, POST /control)
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import hashlib
import json
import math
import re
import resource
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import NormalDist
from typing import Any

from simulated.words import Words

MEANS = (60.0, 90.0, 250.0, 80.0)
"""Tokens of a reply to each step (instruction, its judge, response, pair judge), before `longest` cuts."""
SIGMAS = (0.4, 0.3, 0.6, 0.3)
"""Of the logarithms of these lengths: a judge fills in a form, a response is as long as it takes."""
MODEL = "simulated"

_STEP = re.compile(r"\[step ([0-3])\]")
_CASE = re.compile(r"case ([0-9a-f]{16})")
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server does; `POST /control` changes it."""

    slots: int = 256
    token_seconds: float = 0.02
    """The clock: seconds of a slot for each token."""
    sigmas: Sequence[float] = SIGMAS
    longest: float = 512
    """Tokens after which a reply ends, whatever its request allows: every client meets the same lengths."""
    luck: int = 1
    """Another number, other lengths."""
    reject: float = 0.0
    """Share of draws that a judge rejects: half of them at their instruction, half at the pair."""
    metrics: bool = True


@dataclass(slots=True, eq=False)
class Call:
    """One request: who asked, for which draw and step, and when it had a slot."""

    connection: Connection
    draw: str
    step: int
    seconds: float
    body: bytes
    arrival: float
    start: float = 0.0
    end: float = 0.0
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class State:
    """The slots, the queue and the log."""

    settings: Settings
    words: Words
    waiting: collections.deque[Call] = field(default_factory=collections.deque)
    running: int = 0
    draws: dict[str, int] = field(default_factory=dict)
    log: list[tuple[str, int, float, float, float, bool]] = field(default_factory=list)
    """Draw, step, arrival, start, end, whether it was answered."""
    late: float = 0.0
    """Seconds by which timers rang late, added up."""


def call_of(body: bytes, state: State, connection: Connection, now: float) -> Call:
    """What a request's body asks for, and what it will be answered."""
    asked: dict[str, Any] = json.loads(body)
    last = _said(asked["messages"][-1]["content"])
    wanted = asked.get("response_format") or {}
    keys: dict[str, Any] = wanted.get("json_schema", {}).get("schema", {}).get("properties", {})
    marked = _STEP.search(last)
    step = int(marked.group(1)) if marked else _step_of(keys)
    number = int.from_bytes(hashlib.blake2b(body, digest_size=8).digest(), "big")
    cases = _CASE.findall(last)
    draw = f"{number:016x}" if step == 0 else cases[-1] if cases else ""
    tokens = _tokens(draw, step, state)
    text = _text(step, keys, number, draw, round(0.75 * tokens), state)
    read = len(body) // 4
    answer = {
        "id": f"chatcmpl-{number:016x}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": asked.get("model", MODEL),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": read, "completion_tokens": tokens, "total_tokens": read + tokens},
    }
    seconds = tokens * state.settings.token_seconds
    return Call(connection, draw, step, seconds, json.dumps(answer).encode(), now)


def _said(content: str | list[dict[str, str]]) -> str:
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def _step_of(keys: dict[str, Any]) -> int:
    if "score" in keys:
        return 3
    if any(key.endswith("_verdict") for key in keys):
        return 1
    return 0 if "instruction" in keys else 2


def _chance(*parts: object) -> float:
    """A number between 0 and 1 that depends on `parts` alone."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2.0**64


def _tokens(draw: str, step: int, state: State) -> int:
    number = state.draws.setdefault(draw, len(state.draws))
    told = state.settings
    place = _NORMAL.inv_cdf(_chance(told.luck, number, step))
    sigma = told.sigmas[step]
    return max(1, round(min(MEANS[step] * math.exp(sigma * place - sigma**2 / 2), told.longest)))


def _text(step: int, keys: dict[str, Any], number: int, draw: str, words: int, state: State) -> str:
    """The reply; with a schema it is JSON, without one plain words that say the same."""
    if step == 2:
        return state.words.response(number, words)
    if step == 0:
        said = state.words.instruction(number, words)
        return json.dumps({"instruction": said}) if keys else said
    luck, share = _chance(draw), state.settings.reject
    keep = not (luck < share / 2 if step == 1 else share / 2 <= luck < share)
    if not keys:
        return f"It {'is' if keep else 'is not'} what was asked for. Score: {3 if keep else 1}"
    reply: dict[str, object] = {}
    for key in keys:
        if key == "score":
            reply[key] = 3 if keep else 1
        else:
            reply[key] = ("yes" if keep else "no") if key.endswith("_verdict") else "It is as it should be."
    return json.dumps(reply)


def admit(state: State, call: Call) -> None:
    """Give a request a slot, or its place in the queue."""
    if state.running >= state.settings.slots:
        state.waiting.append(call)
        return
    state.running += 1
    _start(state, call, call.arrival)


def _start(state: State, call: Call, at: float) -> None:
    call.start, call.end = at, at + call.seconds
    call.timer = asyncio.get_running_loop().call_at(call.end, _finish, state, call)


def _finish(state: State, call: Call) -> None:
    state.late += asyncio.get_running_loop().time() - call.end
    call.connection.answer(call.body)
    call.connection.call = None
    _leave(state, call, True)


def _leave(state: State, call: Call, answered: bool) -> None:
    state.log.append((call.draw, call.step, call.arrival, call.start, call.end, answered))
    if state.waiting:
        following = state.waiting.popleft()
        _start(state, following, max(call.end, following.arrival))
    else:
        state.running -= 1


def give_up(state: State, call: Call, now: float) -> None:
    """A client has gone: its request leaves the queue or its slot, as servers do."""
    if call.timer is None:
        state.waiting.remove(call)
        return
    call.timer.cancel()
    call.end = min(now, call.end)
    _leave(state, call, False)


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request at a time."""

    def __init__(self, state: State) -> None:
        self.call: Call | None = None
        self._state = state
        self._got = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.call is not None:
            give_up(self._state, self.call, asyncio.get_running_loop().time())
            self.call = None

    def data_received(self, data: bytes) -> None:
        self._got += data
        head = self._got.find(b"\r\n\r\n")
        if head < 0:
            return
        told = bytes(self._got[:head])
        length = re.search(rb"\r\ncontent-length: *(\d+)", told, re.IGNORECASE)
        whole = head + 4 + (int(length.group(1)) if length else 0)
        if len(self._got) < whole:
            return
        body = bytes(self._got[head + 4 : whole])
        del self._got[:whole]
        self._asked(told.split(b" ", 2)[1], body)

    def answer(self, body: bytes, kind: bytes = b"application/json", status: bytes = b"200 OK") -> None:
        """Send a whole answer."""
        if self._transport is not None:
            head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
            self._transport.write(head % (status, kind, len(body)) + body)

    def _asked(self, path: bytes, body: bytes) -> None:
        try:
            self._serve(path, body)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            told = {"error": {"message": f"{type(error).__name__}: {error}"}}
            self.answer(json.dumps(told).encode(), status=b"400 Bad Request")

    def _serve(self, path: bytes, body: bytes) -> None:
        state = self._state
        if path == b"/v1/chat/completions":
            self.call = call_of(body, state, self, asyncio.get_running_loop().time())
            admit(state, self.call)
        elif path == b"/metrics" and state.settings.metrics:
            self.answer(_metrics(state), b"text/plain; version=0.0.4")
        elif path == b"/v1/models":
            self.answer(json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode())
        elif path == b"/control":
            self.answer(_control(state, json.loads(body or b"{}")))
        else:
            self.answer(b'{"error": {"message": "not here"}}', status=b"404 Not Found")


def _metrics(state: State) -> bytes:
    counts = {"num_requests_running": state.running, "num_requests_waiting": len(state.waiting)}
    labels = f'{{engine="0",model_name="{MODEL}"}}'
    lines = (f"# TYPE vllm:{name} gauge\nvllm:{name}{labels} {count:.1f}\n" for name, count in counts.items())
    return "".join(lines).encode()


def _control(state: State, changes: dict[str, Any]) -> bytes:
    """Hand over the log, forget it, and take on new settings."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {"log": state.log, "late": state.late, "cpu": used.ru_utime + used.ru_stime}
    state.log, state.late, state.draws = [], 0.0, {}
    state.settings = replace(state.settings, **changes)
    return json.dumps(told | {"settings": asdict(state.settings)}).encode()


async def main() -> None:
    """Serve until killed; the first line of output is the port."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--port", type=int, default=0, help="0: one that is free")
    state = State(Settings(), Words())
    loop = asyncio.get_running_loop()
    port = options.parse_args().port
    server = await loop.create_server(lambda: Connection(state), "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
