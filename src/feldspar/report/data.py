"""What the report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from feldspar.types import Answer, Checkpoint, Draft, Leaf, PhaseData, Question, Score


@dataclass(frozen=True, slots=True)
class ReportData:
    """A run, as far as it has come; whatever is empty is said to be missing, not left out."""

    title: str
    """The run's name."""
    leaves: tuple[Leaf, ...] = ()
    accepted: tuple[Draft, ...] = ()
    """Every accepted draft: with the rejected ones, the funnel."""
    rejected: tuple[Draft, ...] = ()
    phases: tuple[PhaseData, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    """Of all phases, in order."""
    scores: tuple[Score, ...] = ()
    """What `evaluate.compare` gave; its group `all` makes the headline."""
    retention: Score | None = None
    """Negative log-likelihoods, in nats per token."""
    questions: tuple[Question, ...] = ()
    base: tuple[Answer, ...] = ()
    tuned: tuple[Answer, ...] = ()
    costs: Mapping[str, object] = field(default_factory=dict)
    recipe: str = ""
    """The resolved recipe, as YAML text."""
    notes: tuple[str, ...] = ()
    """What a person should know: skipped phases, a judge at chance, a leaf that yielded nothing."""
