"""What a recipe will ask of its teacher, from its prompts alone: nothing is asked, and tokens are bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from feldspar import events, generate, models, stages
from feldspar.generate.rehearse import rehearse
from feldspar.recipe import Recipe
from feldspar.stages import pack_of
from feldspar.story import columns
from feldspar.teacher import CountTokens

_A_TURN = 4
"""Tokens that a chat template puts around a message, about."""


@dataclass(frozen=True, slots=True)
class PlannedLeaf:
    """What a leaf will ask of the teacher, before anything is asked."""

    leaf: str
    pipeline: str
    samples: int
    """Accepted samples wanted."""
    calls: int
    """If every draw is kept."""
    most_calls: int
    """If none is before the budget's end, and every reply has to be asked for again."""
    prompt_tokens: int
    """About, of these calls, if every draw is kept; a draw's as draw 1 would have them."""
    reply_tokens: int
    """At most, of these calls, if every draw is kept: what the prompts allow."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe will ask of its teacher, before anything is asked."""

    leaves: tuple[PlannedLeaf, ...]
    teacher: str
    pack: str
    cost: float | None
    """At most, if every draw is kept, at the recipe's prices; None: there are none."""
    notes: tuple[str, ...] = ()
    """What a person should know before: a document that stays out, a warning."""

    def __str__(self) -> str:
        rows: list[Sequence[str]] = [
            ("leaf", "pipeline", "samples", "calls", "at most", "prompt tokens", "reply tokens")
        ]
        for one in self.leaves:
            rows.append((one.leaf, one.pipeline, *(f"{number:,}" for number in _numbers(one))))
        totals = [sum(column) for column in zip(*map(_numbers, self.leaves), strict=True)] or [0] * 5
        rows.append(("all", "", *(f"{number:,}" for number in totals)))
        told = [
            f"teacher: {self.teacher}, prompts: {self.pack}",
            "Calls and tokens are those of kept draws: prompts about, replies at most. What is rejected "
            "comes on top:\n`feldspar plan RECIPE --pilot 5 --out RUN` tells how much, and the run keeps it.",
        ]
        if self.cost is not None:
            told.append(f"cost: at most {self.cost:,.2f} for kept draws")
        return "\n".join([*columns(rows), *told, *(f"note: {note}" for note in self.notes)])


def _numbers(leaf: PlannedLeaf) -> tuple[int, ...]:
    return (leaf.samples, leaf.calls, leaf.most_calls, leaf.prompt_tokens, leaf.reply_tokens)


def plan(recipe: Recipe) -> Plan:
    """Leaves, samples, calls and tokens, before the teacher is asked; documents in git are fetched.

    Raises:
        FeldsparError: what `run` would raise for the same recipe before it asks anything.
    """
    notes: list[str] = []

    def noted(event: events.Event) -> None:
        if isinstance(event, events.Note):
            notes.append(event.text)

    leaves = stages.read_leaves(recipe, noted)
    for entry in recipe.foundational:
        stages.find_source(entry, recipe.licences)
    teacher = models.plan_teacher(recipe)
    judges = models.plan_judges(recipe, teacher)
    pack = pack_of(recipe, teacher)
    rows = []
    for one in stages.leaf_plans(leaves, recipe, teacher, ()):
        nothing = generate.why_nothing(one, pack)
        if one.leaf.branch == "knowledge" and not one.passages:
            nothing = f"{one.leaf.path}: no document is left to teach"
        if nothing:
            notes.append(nothing)
            rows.append(PlannedLeaf(one.leaf.path, generate.section_name(one), 0, 0, 0, 0, 0))
            continue
        asked = rehearse(one, pack, seed=recipe.generate.seed, judges=len(judges))
        words = [message.content for request in asked for message in request.messages]
        rows.append(
            PlannedLeaf(
                one.leaf.path,
                generate.section_name(one),
                one.target,
                one.target * len(asked),
                one.max_draws * len(asked) * pack.attempts,
                one.target * _tokens(words, teacher.count_tokens),
                one.target * sum(request.max_tokens for request in asked),
            )
        )
    price, _ = models.prices(recipe, judges)
    cost = None
    if price.prompt or price.completion:
        cost = price.of(sum(row.prompt_tokens for row in rows), sum(row.reply_tokens for row in rows))
    return Plan(tuple(rows), teacher.model, pack.name, cost, tuple(notes))


def _tokens(texts: Sequence[str], count: CountTokens) -> int:
    return sum(count(text) + _A_TURN for text in texts)
