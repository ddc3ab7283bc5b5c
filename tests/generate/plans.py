"""Leaves, and a teacher that a die plays: every kind of reply that a real one gives, and no delays."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterable
from dataclasses import dataclass

from feldspar.generate import LeafOutcome, LeafPlan, split_seeds
from feldspar.teacher import Request
from feldspar.types import Document, Draft, Leaf, Passage, Seed, Style


@dataclass(frozen=True)
class Drawn:
    """A leaf's outcome with the drafts that made it."""

    outcome: LeafOutcome
    drafts: tuple[Draft, ...]

    @property
    def accepted(self) -> tuple[Draft, ...]:
        return tuple(draft for draft in self.drafts if not draft.rejected)


async def collected(stream: AsyncIterable[Draft | LeafOutcome]) -> list[Drawn]:
    """The leaves of a drawing, by their paths."""
    drafts: dict[str, list[Draft]] = {}
    outcomes: dict[str, LeafOutcome] = {}
    async for found in stream:
        if isinstance(found, Draft):
            assert found.leaf not in outcomes, "a draft after its leaf's outcome"
            drafts.setdefault(found.leaf, []).append(found)
        else:
            outcomes[found.leaf] = found
    return [Drawn(outcomes[leaf], tuple(drafts.get(leaf, ()))) for leaf in sorted(outcomes)]


TEXT = (
    "Quarl is a lake in the north of Vesmar. It is 41 metres deep. The ferry Sandpiper crosses the lake "
    "in two hours. Fishermen of Quarl catch silver perch from April on. The village of Dunn lies on its "
    "shore."
)
HELD = "HELDOUTMARK"


def skill(name: str = "verse", seeds: int = 5, style: Style = "creative", context: bool = False) -> Leaf:
    """A leaf of a skill, whose seeds differ in all their words."""
    made = tuple(
        Seed(
            f"Compose verse{n} about subject{n} thing{n}",
            f"Poem{n} of {n}",
            f"Notice{n} text{n}" if context else "",
        )
        for n in range(seeds)
    )
    path = f"compositional_skills/{name}"
    return Leaf(path, "compositional_skills", "Short verses", made, style=style, licence="CC0-1.0")


def knowledge(name: str = "quarl") -> Leaf:
    """A leaf that teaches `TEXT`."""
    seeds = (
        Seed(
            "Which fish do they catch in Quarl?",
            "They catch silver perch in Quarl.",
            "Fishermen catch silver perch.",
        ),
        Seed(
            "Where is the lake Quarl?",
            "The lake lies in Vesmar.",
            "Quarl is deep. The lake Quarl lies in Vesmar.",
        ),
        Seed("How is the ferry on Quarl called?", "The ferry is the Sandpiper.", "The Sandpiper is a ferry."),
    )
    document = Document("quarl.md", TEXT, "CC-BY-4.0")
    return Leaf(f"knowledge/{name}", "knowledge", "The lake Quarl", seeds, (document,), licence="MIT")


def plan(leaf: Leaf, target: int = 4, max_draws: int = 16, holdout: int = 0) -> LeafPlan:
    """A plan that shows all seeds but `holdout`."""
    shown, _ = split_seeds(leaf, holdout, 0)
    cut = TEXT.index("Fishermen")
    passages = (
        Passage("quarl.md", ("Lakes", "Quarl"), TEXT[:cut], 0, cut),
        Passage("quarl.md", ("Lakes", "Quarl"), TEXT[cut:], cut, len(TEXT)),
    )
    return LeafPlan(leaf, shown, passages if leaf.branch == "knowledge" else (), target, max_draws)


def dice(request: Request) -> str:
    """A reply of some kind, as the request's seed has it: sound, unreadable, looping, ungrounded, harsh."""
    roll = random.Random(request.seed)
    if roll.random() < 0.2:
        return roll.choice(
            ["", "{", "I would rather not.", '{"score": 9}', "[]", '{"relevant_verdict": "maybe"}']
        )
    if not request.schema:
        return roll.choice(
            [
                "The ferry Sandpiper crosses in two hours.",
                f"It is {roll.choice([41, 99])} metres deep.",
                "so it goes " * 12,
                f"Words{roll.randrange(9)} and more words.",
            ]
        )
    reply: dict[str, object] = {}
    for key, kind in json.loads(request.schema)["properties"].items():
        if "enum" in kind:
            reply[key] = roll.choice([*kind["enum"], kind["enum"][-1 if key == "score" else 0]])
        else:
            reply[key] = (
                f"What of word{roll.randrange(6)} and thing{roll.randrange(6)} at Quarl {roll.randrange(4)}?"
            )
    return json.dumps(reply)


def letters(number: int) -> str:
    """A word that is another for every number."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def perfect(request: Request) -> str:
    """A reply that is always good, and new for every request."""
    mark = letters(request.seed)
    if not request.schema:
        return f"The lake is 41 metres deep, as {mark} knows."
    keys = json.loads(request.schema)["properties"]
    one = f"What about x{mark} y{mark} z{mark} w{mark}?"
    kinds = {"verdict": "yes", "because": "It is fine.", "score": 3, "explanation": "Good."}
    return json.dumps({key: kinds.get(key.rsplit("_", 1)[-1], one) for key in keys})
