"""Do nine in ten of the pilot's 90 % intervals hold what generating then needs?

The real scheduler and the real steps, over and over: leaves whose judges keep a share of drafts that
nobody knows, a pilot of a few draws of each, a forecast, then the whole run. No wire, no disk but the
index of near-duplicates. Prints how many intervals held, for the whole run and leaf by leaf.

    python benchmarks/plan_intervals.py [--runs 200] [--leaves 8] [--target 20] [--pilot 5]

Closes with {"share": of the whole run's intervals that held, over draws, calls and tokens}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
from collections import Counter
from dataclasses import replace

from feldspar.generate import LeafPlan, generate, load_pack
from feldspar.generate.forecast import forecast
from feldspar.generate.outlay import Trial, Tried
from feldspar.teacher import Reply, Request
from feldspar.types import Draft, Leaf, Seed

MEASURES = ("draws", "calls", "tokens")
PACK = load_pack("default")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Judged:
    """A teacher that keeps, of each leaf, a share of what it writes."""

    identity = "judged"

    def __init__(self, rates: dict[str, float], sizes: dict[str, float]) -> None:
        self.tokens: dict[str, int] = {}
        self._rates = rates
        self._sizes = sizes

    async def ask(self, request: Request) -> Reply:
        await asyncio.sleep(0)
        roll = random.Random(request.seed)
        told = " ".join(message.content for message in request.messages)
        leaf = next(leaf for leaf in self._rates if leaf.partition("/")[2] in told)
        key = f"{leaf} {request.seed}"
        self.tokens[key] = len(told) // 4 + round(self._sizes[leaf] * roll.lognormvariate(0, 0.6))
        # Two judges in a row: each keeps the root of what both keep.
        keep = roll.random() < self._rates[leaf] ** 0.5
        return Reply(_said(request, leaf.partition("/")[2], roll, keep), key=key)

    async def close(self) -> None:
        pass


def _said(request: Request, name: str, roll: random.Random, keep: bool) -> str:
    words = " ".join("".join(roll.choices(LETTERS, k=7)) for _ in range(8))
    if not request.schema:
        return f"The {words} of {name} are so."
    said: dict[str, object] = {}
    for key, kind in json.loads(request.schema)["properties"].items():
        choices = kind.get("enum")
        said[key] = (
            f"What of {words} in {name}?"
            if choices is None
            else choices[-1 if keep != ("yes" in choices) else 0]
        )
    return json.dumps(said)


def plans(count: int, target: int) -> list[LeafPlan]:
    made = []
    for number in range(count):
        name = f"leaf{number:03d}"
        seeds = tuple(
            Seed(f"What is {LETTERS[n] * 5} like in {name}?", f"It is {LETTERS[n] * 6}.") for n in range(5)
        )
        path = f"compositional_skills/{name}"
        leaf = Leaf(path, "compositional_skills", f"The task of {path}", seeds)
        made.append(LeafPlan(leaf, seeds, (), target, 4 * target))
    return made


async def drawn(which: list[LeafPlan], teacher: Judged, seed: int) -> dict[str, list[Tried]]:
    found: dict[str, list[Tried]] = {plan.leaf.path: [] for plan in which}
    async for one in generate(which, teacher, PACK, seed=seed):
        if isinstance(one, Draft):
            tokens = sum(teacher.tokens[key] for key in one.requests)
            found[one.leaf].append(Tried(not one.rejected, 0, (len(one.requests), tokens)))
    return found


def once(number: int, options: argparse.Namespace) -> tuple[list[bool], list[bool]]:
    """A run: whether its intervals held, and its leaves'."""
    roll = random.Random(number)
    which = plans(options.leaves, options.target)
    rates = {plan.leaf.path: roll.betavariate(5, 2.5) for plan in which}
    sizes = {plan.leaf.path: roll.lognormvariate(5, 0.4) for plan in which}
    teacher = Judged(rates, sizes)
    pilot = asyncio.run(drawn([replace(plan, last=options.pilot) for plan in which], teacher, number))
    whole = asyncio.run(drawn(which, teacher, number))
    for path, draws in pilot.items():
        assert whole[path][: len(draws)] == draws, "a pilot's draws are the run's first"
    trials = [
        Trial(plan.leaf.path, "freeform", plan.target, plan.max_draws, 1, tuple(pilot[plan.leaf.path]))
        for plan in which
    ]
    by_leaf, all_ = forecast(trials, 2, seed=number, replicates=400)
    needed = {path: _sums(draws) for path, draws in whole.items()}
    totals = [sum(column) for column in zip(*needed.values(), strict=True)]
    held = [
        told.low <= need <= told.high for told, need in zip((all_.draws, *all_.spent), totals, strict=True)
    ]
    leaves = [
        told.low <= need <= told.high
        for path, one in by_leaf.items()
        for told, need in zip((one.draws, *one.spent), needed[path], strict=True)
    ]
    return held, leaves


def _sums(draws: list[Tried]) -> list[float]:
    return [len(draws), sum(one.spent[0] for one in draws), sum(one.spent[1] for one in draws)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in (("runs", 200), ("leaves", 8), ("target", 20), ("pilot", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    held, of_leaves = Counter[str](), Counter[str]()
    leaves = 0
    for number in range(options.runs):
        whole, each = once(number, options)
        held.update(name for name, good in zip(MEASURES, whole, strict=True) if good)
        of_leaves.update(name for name, good in zip(MEASURES * options.leaves, each, strict=True) if good)
        leaves += options.leaves
    for name in MEASURES:
        whole_share, leaf_share = held[name] / options.runs, of_leaves[name] / leaves
        print(f"{name}: {whole_share:.1%} of {options.runs} runs, {leaf_share:.1%} of {leaves} leaves")
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{used.ru_utime + used.ru_stime:.0f} s of CPU")
    print(json.dumps({"share": round(held.total() / (len(MEASURES) * options.runs), 4)}))


if __name__ == "__main__":
    main()
