"""Tokens a second through `HttpTeacher`, which finds its own concurrency, against a bare load generator.

A real llama.cpp server of four slots with the embedded model; replies of up to 60 tokens. The load
generator is bare aiohttp with five requests in flight: one more than there are slots, so that none
waits for the next. Both ask the same requests, in turn, round after round; the teacher is new at the
start, so its search is in the figure.

    .venv/bin/python benchmarks/llama_server.py
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence

import aiohttp

from feldspar.teacher import HttpTeacher, Request, embedded_model, serve
from feldspar.types import Message

SLOTS, IN_FLIGHT, TOKENS = 4, 5, 60
TOPICS = "a harbour, bread, winter, a bicycle, glass, the moon, a market, sheep, tea, a bridge".split(", ")


def requests(count: int, first: int) -> list[Request]:
    """So many, no two alike."""
    return [
        Request(
            (Message("user", f"Tell a long story, number {n}, about {TOPICS[n % len(TOPICS)]}."),),
            max_tokens=TOKENS,
            temperature=0.8,
            seed=n,
        )
        for n in range(first, first + count)
    ]


async def bare(url: str, model: str, asks: Sequence[Request]) -> tuple[int, float]:
    """Tokens and seconds of the plain load generator."""
    turns, tokens, began = asyncio.Semaphore(IN_FLIGHT), 0, time.monotonic()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(request: Request) -> None:
            nonlocal tokens
            body = request.body(model)
            headers = {"Content-Type": "application/json"}
            async with turns, session.post(url + "/chat/completions", data=body, headers=headers) as answer:
                tokens += json.loads(await answer.read())["usage"]["completion_tokens"]

        await asyncio.gather(*(one(request) for request in asks))
    return tokens, time.monotonic() - began


async def ours(teacher: HttpTeacher, asks: Sequence[Request]) -> tuple[int, float]:
    """Tokens and seconds of the teacher."""
    began = time.monotonic()
    replies = await asyncio.gather(*(teacher.ask(request) for request in asks))
    return sum(reply.completion_tokens for reply in replies), time.monotonic() - began


async def compared(url: str, model: str, rounds: int, count: int) -> float:
    """The teacher's share of the load generator's tokens a second."""
    teacher = HttpTeacher(model, [url])
    sums = {"bare": [0, 0.0], "feldspar": [0, 0.0]}
    try:
        await bare(url, model, requests(SLOTS, 10**6))  # The first requests of a process are slower.
        for turn in range(rounds):
            asks = requests(count, turn * count)
            for name in sorted(sums, reverse=turn % 2 == 1):
                done = await (bare(url, model, asks) if name == "bare" else ours(teacher, asks))
                sums[name] = [old + new for old, new in zip(sums[name], done, strict=True)]
                print(f"{name}: {done[0] / done[1]:.1f} tokens/s; limit {teacher.limit}", flush=True)
    finally:
        await teacher.close()
    rates = {name: tokens / seconds for name, (tokens, seconds) in sums.items()}
    print(", ".join(f"{name} {rate:.1f} tokens/s" for name, rate in rates.items()))
    return rates["feldspar"] / rates["bare"]


def main() -> int:
    """Serves, compares, and says the share."""
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=6)
    options.add_argument("--count", type=int, default=40, help="requests a round")
    given = options.parse_args()
    server = serve(embedded_model(), slots=SLOTS, context=512)
    try:
        share = asyncio.run(compared(server.url, server.model, given.rounds, given.count))
    finally:
        server.close()
    print(json.dumps({"share": round(share, 3)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
