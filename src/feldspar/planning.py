"""What a recipe will ask of its teacher, from its prompts alone: nothing is asked, and tokens are bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from feldspar import events, generate, models, stages
from feldspar.generate.rehearse import Asked, rehearsed, rehearsed_calibration
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
class PlannedCalibration:
    """What measuring the judges will ask, before anything is drawn; all zero where none are asked."""

    calls: int = 0
    most_calls: int = 0
    """If every reply has to be asked for again."""
    prompt_tokens: int = 0
    reply_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe will ask of its teacher and its judges, before anything is asked."""

    leaves: tuple[PlannedLeaf, ...]
    calibration: PlannedCalibration
    teacher: str
    judges: tuple[str, ...]
    """Models that judge in the teacher's place."""
    pack: str
    cost: float | None
    """At most, if every draw is kept, at the recipe's prices, calibration included; None: there are none."""
    notes: tuple[str, ...] = ()
    """What a person should know before: a document that stays out, a warning."""

    def __str__(self) -> str:
        rows: list[Sequence[str]] = [
            ("leaf", "pipeline", "samples", "calls", "at most", "prompt tokens", "reply tokens")
        ]
        for one in self.leaves:
            rows.append((one.leaf, one.pipeline, *(f"{number:,}" for number in _numbers(one))))
        once = self.calibration
        beside = (0, once.calls, once.most_calls, once.prompt_tokens, once.reply_tokens)
        if once.calls:
            rows.append(("calibration of the judges", "", "", *(f"{number:,}" for number in beside[1:])))
        totals = [sum(column) for column in zip(beside, *map(_numbers, self.leaves), strict=True)]
        rows.append(("all", "", *(f"{number:,}" for number in totals)))
        judges = f"judges: {' and '.join(self.judges)}, " if self.judges else ""
        and_judges = " and the calibration" if once.calls else ""
        told = [
            f"teacher: {self.teacher}, {judges}prompts: {self.pack}",
            "Calls and tokens are those of kept draws: prompts about, replies at most. What is rejected "
            "comes on top:\n`feldspar plan RECIPE --pilot 5 --out RUN` tells how much, and the run keeps it.",
        ]
        if self.cost is not None:
            told.append(f"cost: at most {self.cost:,.2f} for kept draws{and_judges}")
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
    rows, drawable, cost = [], [], 0.0
    bill = _Bill(recipe, teacher, judges)
    for one in stages.leaf_plans(leaves, recipe, teacher, ()):
        nothing = generate.why_nothing(one, pack)
        if one.leaf.branch == "knowledge" and not one.passages:
            nothing = f"{one.leaf.path}: no document is left to teach"
        if nothing:
            notes.append(nothing)
            rows.append(PlannedLeaf(one.leaf.path, generate.section_name(one), 0, 0, 0, 0, 0))
            continue
        drawable.append(one)
        asked = rehearsed(one, pack, seed=recipe.generate.seed, judges=len(judges))
        prompt, reply, price = bill.of(asked)
        cost += one.target * price
        calls, most = one.target * len(asked), one.max_draws * len(asked) * pack.attempts
        tokens = (one.target * prompt, one.target * reply)
        rows.append(PlannedLeaf(one.leaf.path, generate.section_name(one), one.target, calls, most, *tokens))
    asked = rehearsed_calibration(drawable, pack, seed=recipe.generate.seed, judges=len(judges))
    prompt, reply, price = bill.of(asked)
    return Plan(
        tuple(rows),
        PlannedCalibration(len(asked), len(asked) * pack.attempts, prompt, reply),
        teacher.model,
        tuple(judge.model for judge in judges),
        pack.name,
        cost + price if bill.priced else None,
        tuple(notes),
    )


class _Bill:
    """Tokens and prices of requests that nobody has asked."""

    def __init__(
        self, recipe: Recipe, teacher: models.TeacherPlan, judges: Sequence[models.JudgePlan]
    ) -> None:
        self._count: CountTokens = teacher.count_tokens
        usual, own = models.prices(recipe, judges)
        # -1, the teacher, stands last.
        self._prices = [*(own.get(models.identity_of(judge), usual) for judge in judges), usual]
        self.priced = any(one.prompt or one.completion for one in self._prices)

    def of(self, asked: Sequence[Asked]) -> tuple[int, int, float]:
        """Prompt tokens, about; reply tokens, at most; and what they cost."""
        prompt = reply = 0
        cost = 0.0
        for one in asked:
            said = sum(self._count(message.content) + _A_TURN for message in one.request.messages)
            prompt += said
            reply += one.request.max_tokens
            cost += self._prices[one.judge].of(said, one.request.max_tokens)
        return prompt, reply, cost
