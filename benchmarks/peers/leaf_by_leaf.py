"""InstructLab's order of work, over bare aiohttp: one leaf at a time, and a barrier after each step."""

from __future__ import annotations

import asyncio

import aiohttp
import four_steps as steps

LEAF = 70
"""Samples of a leaf."""


async def work(url: str, count: int) -> int:
    """Leaf after leaf, step after step; all samples of a leaf's step at once."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(prompt: str, row: dict[str, object]) -> str:
            for name, value in row.items():
                prompt = prompt.replace(f"{{{{ {name} }}}}", str(value))
            said = [{"role": "user", "content": prompt}]
            body = {"model": steps.MODEL, "messages": said, "max_tokens": steps.MAX_TOKENS}
            async with session.post(f"{url}/chat/completions", json=body) as answer:
                text: str = (await answer.json())["choices"][0]["message"]["content"]
                return text

        rows = steps.rows(count)
        for first in range(0, count, LEAF):
            leaf = rows[first : first + LEAF]
            for name, prompt in zip(steps.NAMES, steps.PROMPTS, strict=True):
                replies = await asyncio.gather(*(ask(prompt, row) for row in leaf))
                for row, reply in zip(leaf, replies, strict=True):
                    row[name] = reply
    return sum(all(row[name] for name in steps.NAMES) for row in rows)


if __name__ == "__main__":
    steps.timed(lambda url, count, _: asyncio.run(work(url, count)))
