"""Feldspar as a run's second stage drives it: `generate` over a journalled HTTP teacher.

All that depends on Feldspar's own signatures stands in `drawn`.

    python benchmarks/peers/with_feldspar.py URL LEAVES PER_LEAF FOLDER [IN_FLIGHT]
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from pathlib import Path

from feldspar.generate import LeafPlan, generate, load_pack
from feldspar.teacher import HttpTeacher, Journal, Journaled
from feldspar.types import Draft, Leaf, Seed

SEED = 1
_CASE = re.compile(r"case ([0-9a-f]{16})")
_SEEDS = (
    ("Name three birds that nest on island{n}.", "Gulls, terns and puffins nest on island{n}."),
    ("How does a keeper trim lamp{n} before a storm?", "The wick is cut level, then the glass is wiped."),
    (
        "Write a note that asks market{n} for bread.",
        "Dear baker, please keep two loaves until Friday.",
    ),
    ("Why did bridge{n} need a new stone arch?", "Because the flood had washed the old pillar away."),
    ("Sum up the winter of village{n} in a line.", "Snow until March, and wool enough for everyone."),
)


def plan(number: int, target: int) -> LeafPlan:
    """A skill whose seeds are unlike each other and unlike what the server replies."""
    seeds = tuple(Seed(*(text.replace("{n}", str(number)) for text in seed)) for seed in _SEEDS)
    path = f"compositional_skills/island{number}"
    leaf = Leaf(path, "compositional_skills", f"Keeping island {number}", seeds, licence="CC0-1.0")
    return LeafPlan(leaf, seeds, (), target, 4 * target)


async def drawn(url: str, plans: list[LeafPlan], folder: Path, in_flight: int | None) -> list[Draft]:
    """The decided drafts of all the leaves."""
    http = HttpTeacher("simulated", [url], max_in_flight=in_flight)
    with Journal(folder / "journal.sqlite") as journal:
        teacher = Journaled(http, journal)
        drawing = generate(
            plans, teacher, load_pack("default"), seed=SEED, slots=lambda: in_flight or http.limit
        )
        try:
            return [found async for found in drawing if isinstance(found, Draft)]
        finally:
            await drawing.aclose()
            await teacher.close()


def main() -> None:
    """Print, as one line of JSON, what was accepted, which draws are on file, and what it took."""
    url, leaves, each, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    in_flight = int(sys.argv[5]) if len(sys.argv) > 5 else None
    before, started = os.times(), time.monotonic()
    drafts = asyncio.run(drawn(url, [plan(number, each) for number in range(leaves)], folder, in_flight))
    after = os.times()
    told = {
        "cpu": sum(after[:4]) - sum(before[:4]),
        "seconds": time.monotonic() - started,
        "whole": sum(not draft.rejected for draft in drafts),
        "draws": [case for draft in drafts for case in _CASE.findall(draft.instruction)],
        "reasons": sorted({draft.rejected for draft in drafts if draft.rejected}),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
