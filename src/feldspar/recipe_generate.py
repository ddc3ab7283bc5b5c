"""How samples are drawn (§3.2): these settings, and what they mean for a leaf."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, Field

from feldspar.recipe_data import BudgetSettings
from feldspar.recipe_fields import (
    CONFIG,
    AutoOrCount,
    Counts,
    Languages,
    PerPassage,
    Prompts,
    RecipePath,
    SamplesPerLeaf,
    Styles,
    Turns,
    fitting,
)
from feldspar.types import Leaf

DEFAULT_HOLDOUT = 2
"""Seed questions held out of a leaf that `generate.holdout` says nothing of."""

DEFAULT_SAMPLES = 30
"""Accepted samples wanted of a leaf that `generate.samples_per_leaf` says nothing of."""
_AMOUNT: int | PerPassage = DEFAULT_SAMPLES


class GenerateSettings(BaseModel):
    """How many samples, out of how many draws (§3.2)."""

    model_config = CONFIG
    samples_per_leaf: SamplesPerLeaf = DEFAULT_SAMPLES
    max_draws_per_sample: int = Field(4, ge=1, le=1000)
    holdout: Counts = DEFAULT_HOLDOUT
    """Seed questions of a leaf that are kept from the prompts: a number, or numbers by path."""
    turns: Turns = 1
    """Questions and answers of a sample of a skill: a number, or numbers by path."""
    style: Styles = Field(default_factory=dict)
    """Who answers a skill's instructions, by path: `precise` or `creative`; otherwise the leaf says it."""
    language: Languages = Field(default_factory=dict)
    """What a leaf's samples are in, by path; otherwise what its seeds are in."""
    sampling: Literal["taxonomy", "pool"] = "taxonomy"
    """Seeds of a skill's prompts: its leaf's, or of all leaves at random (Self-Instruct), to compare with."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    passage_tokens: AutoOrCount = "auto"
    """A document's passages, in the teacher's tokens; auto: what its context has room for."""
    avoid: tuple[RecipePath, ...] = ()
    """Benchmark files (JSON lines, JSON or YAML): no sample asks what is in them."""
    prompts: Prompts = Field(default_factory=dict)
    """Single keys put over the prompt pack's."""
    judges_agree: Literal["all", "majority", "mean"] = "all"
    """Which of several judges decide."""
    budget: BudgetSettings = BudgetSettings()


def holdout_for(settings: GenerateSettings, leaf: str) -> int:
    """How many seed questions of a leaf are held out; the first pattern that fits its path counts."""
    return fitting(settings.holdout, leaf, DEFAULT_HOLDOUT)


def manner_for(settings: GenerateSettings, leaf: Leaf) -> Leaf:
    """A leaf with the style, the language and the turns that a recipe gives it.

    The first pattern that fits its path counts; what none fits stays as the leaf has it. Knowledge has
    one turn: it is about a passage.
    """
    return replace(
        leaf,
        style=fitting(settings.style, leaf.path, leaf.style),
        language=fitting(settings.language, leaf.path, leaf.language),
        turns=fitting(settings.turns, leaf.path, 1) if leaf.branch != "knowledge" else 1,
    )


def quotas_for(settings: GenerateSettings, leaf: Leaf, passages: int) -> tuple[int, int]:
    """How many accepted samples are wanted of a leaf, and over how many equal quotas.

    Args:
        settings: The recipe's.
        leaf: The leaf; the first pattern that fits its path counts (`*` matches `/` too).
        passages: How many its documents have; to a skill `per_passage` means nothing.
    """
    amount = fitting(settings.samples_per_leaf, leaf.path, _AMOUNT)
    if isinstance(amount, PerPassage):
        amount = amount.per_passage * passages if leaf.branch == "knowledge" else DEFAULT_SAMPLES
        return amount, max(1, passages)
    return amount, 1
