"""From drafts to samples, and the funnel that accounts for every draw."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from feldspar.generate.plan import LeafOutcome
from feldspar.types import Draft, Leaf, Message, Origin, Sample


def to_sample(draft: Draft, leaf: Leaf) -> Sample:
    """The training conversation of an accepted draft.

    A skill's context stands before its instruction, a blank line between. A knowledge sample does
    not carry its passage: the student is to know it, not to read it (§3.2.2).

    Raises:
        ValueError: The draft was rejected: a defect of the caller.
    """
    if draft.rejected:
        raise ValueError(f"{draft.id} was rejected: {draft.rejected}")
    asked = f"{draft.context}\n\n{draft.instruction}" if draft.context else draft.instruction
    passage = draft.passage
    licence, document, start, end = leaf.licence, "", 0, 0
    if passage is not None:
        of_document = next((d.licence for d in leaf.documents if d.path == passage.document), "")
        licence, document, start, end = of_document or licence, passage.document, passage.start, passage.end
    return Sample(
        id=draft.id,
        leaf=draft.leaf,
        branch=leaf.branch,
        messages=(Message("user", asked), Message("assistant", draft.response), *draft.turns),
        origin=Origin("generated", draft.id, licence, document, start, end),
    )


def funnel(outcomes: Iterable[LeafOutcome]) -> dict[str, dict[str, Any]]:
    """What became of each leaf's draws; `draws` is `accepted` and all of `rejected` together.

    Returns:
        By leaf, in the order of their paths: `target`, `draws`, `accepted`, `rejected` (a count by
        reason), `judges` (of the rejected, a count by the check or judge that decided), `error`
        and `spent` (whether each quota that is not met has spent its budget).
        Surplus draws are no part of it: they depend on timing.
    """
    return {
        outcome.leaf: {
            "target": outcome.target,
            "draws": outcome.draws,
            "accepted": outcome.accepted,
            "rejected": dict(outcome.rejected),
            "judges": dict(outcome.judges),
            "error": outcome.error,
            "spent": outcome.spent,
        }
        for outcome in sorted(outcomes, key=lambda outcome: outcome.leaf)
    }
