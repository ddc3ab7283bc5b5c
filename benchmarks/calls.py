"""CPU that a call costs this process, from request to stored reply, beside bare aiohttp's for its bytes.

A server in another process answers at once, or after a while; 1,024 requests are in flight. Four clients
take turns in rounds: a bare aiohttp session that posts the bodies and reads the answers (the floor),
`HttpTeacher`, `Journaled` with a real file in front of it, and the whole generator over skill leaves with
the default pack. CPU is user and system time of this process, all threads; opening the connections
is not counted. The bodies are the generator's own.

    .venv/bin/python benchmarks/calls.py
    .venv/bin/python benchmarks/calls.py --profile journaled
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import hashlib
import json
import os
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import aiohttp

from feldspar.generate import LeafPlan, generate, load_pack
from feldspar.teacher import HttpTeacher, Journal, Journaled, Request, ScriptedTeacher, request_of
from feldspar.types import Draft, Leaf, Seed

MODEL = "counted"
WORDS = (
    "harbour lighthouse keeper storm lantern island ferry tide net boat captain chart compass reef gull salt "
    "rope anchor wave shore cliff village market bread wool sheep hill path stone bridge river mill wheel "
    "winter summer morning evening letter story song answer question teacher pupil book map name number year"
).split()
LEAVES = 20
KINDS = ("floor", "http", "journaled", "all-in")


def words_of(text: str, count: int) -> str:
    """Words that a text decides, and that no other text has in common with it beyond chance."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return " ".join(f"{WORDS[n % len(WORDS)]}{digest[n % 60 :][:4]}" for n in range(count))


def answer(request: Request) -> str:
    """A reply that the default pack can read and accepts, new for every request."""
    mark = f"{request.seed} {request.messages[-1].content}"
    if not request.schema:
        return f"{words_of(mark, 60).capitalize()}."
    reply: dict[str, object] = {}
    for name, kind in json.loads(request.schema)["properties"].items():
        options = kind.get("enum")
        if options is None:
            reply[name] = f"Write about {words_of(mark + name, 12)}."
        else:
            reply[name] = options[-1] if isinstance(options[-1], int) else options[0]
    return json.dumps(reply)


class Served(asyncio.Protocol):
    """One connection of a chat completion server, as bare as HTTP allows."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._read = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head = self._read.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._read[:head].lower().find(b"content-length:")
        size = int(self._read[at + 15 : head].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._read) < head + 4 + size:
            return
        sent = bytes(self._read[head + 4 :])
        self._read.clear()
        if not sent:  # a look at /metrics or /models, which it has not
            self._send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        body = json.loads(sent)
        text = answer(request_of(body))
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 600, "completion_tokens": 150, "total_tokens": 750}
        value = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL}
        said = json.dumps(value | {"choices": [choice], "usage": usage}).encode()
        line = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(said)}\r\n\r\n"
        asyncio.get_running_loop().call_later(self._latency, self._send, line.encode() + said)

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


async def serve(latency: float) -> None:
    """Serves until standard input ends."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Served(latency), "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


def leaves(count: int) -> list[Leaf]:
    """Skill leaves with five seeds each."""
    made = []
    for number in range(count):
        seeds = tuple(
            Seed(f"Write about {words_of(f'{number} {n}', 14)}.", f"{words_of(f'a{number} {n}', 50)}.")
            for n in range(5)
        )
        path = f"compositional_skills/writing/leaf{number}"
        made.append(
            Leaf(path, "compositional_skills", f"short texts of kind {number}", seeds, style="creative")
        )
    return made


async def generated(teacher: HttpTeacher | Journaled | ScriptedTeacher, samples: int, flight: int) -> int:
    """Draws so many samples; how many were accepted."""
    shares = [len(range(n, samples, LEAVES)) for n in range(LEAVES)]
    plans = [
        LeafPlan(leaf, leaf.seeds, (), share, 4 * share)
        for leaf, share in zip(leaves(LEAVES), shares, strict=True)
    ]
    accepted = 0
    async for given in generate(plans, teacher, load_pack("default"), seed=7, slots=lambda: flight):
        accepted += isinstance(given, Draft) and not given.rejected
    return accepted


async def asked(
    ask: Callable[[Request], Awaitable[object]], requests: Sequence[Request], flight: int
) -> None:
    """Asks all of them, so many at a time."""
    left: Iterator[Request] = iter(requests)

    async def some() -> None:
        for request in left:
            await ask(request)

    await asyncio.gather(*(some() for _ in range(flight)))


def cpu() -> float:
    """Seconds of CPU of this process."""
    times = os.times()
    return times.user + times.system


async def measured(kind: str, url: str, requests: Sequence[Request], flight: int, folder: Path) -> float:
    """Seconds of CPU a call, once the connections are open."""
    warm, rest = requests[:flight], requests[flight:]
    if kind == "floor":
        bodies = {id(request): request.body(MODEL) for request in requests}
        headers = {"Content-Type": "application/json"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def post(request: Request) -> None:
                data = bodies[id(request)]
                async with session.post(f"{url}/chat/completions", data=data, headers=headers) as response:
                    await response.read()

            await asked(post, warm, flight)
            began = cpu()
            await asked(post, rest, flight)
            return (cpu() - began) / len(rest)
    http = HttpTeacher(MODEL, [url], max_in_flight=flight)
    file = folder / "journal.sqlite"
    try:
        await asked(http.ask, warm, flight)
        if kind == "http":
            began = cpu()
            await asked(http.ask, rest, flight)
            return (cpu() - began) / len(rest)
        with Journal(file) as journal:
            teacher = Journaled(http, journal)
            began = cpu()
            if kind == "journaled":
                await asked(teacher.ask, rest, flight)
            else:
                samples = len(rest) // 4
                if await generated(teacher, samples, flight) < samples:
                    raise SystemExit("the generator has not accepted what it was to")
            spent = cpu() - began
            return spent / teacher.costs.sent
    finally:
        await http.close()
        for name in folder.glob("journal.sqlite*"):
            name.unlink()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--calls", type=int, default=4000, help="calls a round, of each client")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--flight", type=int, default=1024, help="requests in flight")
    options.add_argument("--latency", type=float, default=0.5, help="seconds before each answer")
    options.add_argument("--profile", choices=KINDS, help="where one client's time goes, in place of figures")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))
    if given.serve:
        asyncio.run(serve(given.latency))
        return 0
    scripted = ScriptedTeacher(answer)
    asyncio.run(generated(scripted, (given.calls + given.flight) // 4 + 50, 64))
    requests = scripted.requests[: given.calls + given.flight]
    size = statistics.mean(len(request.body(MODEL)) for request in requests)
    print(f"{len(requests)} requests, {size:,.0f} bytes each on average; {given.flight} in flight")
    command = [sys.executable, __file__, "--serve", "--latency", str(given.latency)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    try:
        with tempfile.TemporaryDirectory() as temporary:
            compared(given, url, requests, Path(temporary))
    finally:
        server.stdin.close()
        server.wait()
    return 0


def compared(given: argparse.Namespace, url: str, requests: list[Request], folder: Path) -> None:
    """Prints what each client costs, or where one's time goes."""
    spent: dict[str, list[float]] = {kind: [] for kind in KINDS}
    gc.collect()
    gc.freeze()
    if given.profile:
        profile = cProfile.Profile()
        profile.runcall(asyncio.run, measured(given.profile, url, requests, given.flight, folder))
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return
    for _ in range(given.rounds):
        for kind in KINDS:
            # Each round makes its requests anew: one that was asked before keeps its JSON.
            fresh = [request_again(request) for request in requests]
            spent[kind].append(1000 * asyncio.run(measured(kind, url, fresh, given.flight, folder)))
            gc.collect()
    best = {kind: statistics.median(figures) for kind, figures in spent.items()}
    for kind, figures in spent.items():
        rounds = ", ".join(f"{figure:.3f}" for figure in figures)
        ratio = best[kind] / best["floor"]
        print(f"{kind:10} {best[kind]:.3f} ms a call, {ratio:.2f} of the floor ({rounds})")
    ratio = best["all-in"] / best["floor"]
    print(json.dumps({"ratio": round(ratio, 3), "ms_per_call": round(best["all-in"], 4)}))


def request_again(request: Request) -> Request:
    """An equal request that has not been asked."""
    return Request(
        request.messages,
        request.max_tokens,
        request.temperature,
        request.top_p,
        request.seed,
        request.schema,
        request.stop,
    )


if __name__ == "__main__":
    sys.exit(main())
