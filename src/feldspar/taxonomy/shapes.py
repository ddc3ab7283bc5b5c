"""The tables of what versions 1 to 4 of a `qna.yaml` hold, for the checks and for editors alike.

Versions 1 to 3 are InstructLab's. Version 4 is version 3 from one seed on, where `document` may be
`{paths: [...]}` beside the leaf, with `license` and `style`.
"""

from __future__ import annotations

from typing import Literal

from feldspar.taxonomy.fields import Shape

Schema = Literal["knowledge", "compositional_skills"]

LATEST = 4
FIRST_KNOWLEDGE = 3
"""Knowledge of earlier versions is deprecated."""
FIRST_OURS = 4
"""From this version on `license`, `style` and documents beside the leaf are known."""

FEWEST_SEEDS = {1: 1, 2: 5, 3: 5, 4: 1}
FEWEST_PAIRS = {3: 3, 4: 1}
"""Questions for each context of a knowledge leaf."""

STYLES = ("precise", "creative")
SPDX = r"\(*[A-Za-z0-9][A-Za-z0-9.:-]*\+?\)*(?:\s+(?:AND|OR|WITH)\s+\(*[A-Za-z0-9][A-Za-z0-9.:-]*\+?\)*)*"
"""What an SPDX expression looks like."""

SKILL_SEED = Shape(("question", "answer"), ("context",))
KNOWLEDGE_SEED = Shape(
    ("context", "questions_and_answers"),
    hints=tuple((key, "it stands in a list below `questions_and_answers`") for key in ("question", "answer")),
)
# InstructLab lets further keys be in a pair, and only there.
PAIR = Shape(("question", "answer"), open=True)
IN_GIT = Shape(
    ("repo", "commit", "patterns"),
    hints=(("paths", "documents beside the leaf are of version 4: write `version: 4`"),),
)
BESIDE = Shape(
    ("paths",), hints=tuple((key, "name either paths or a repo") for key in ("repo", "commit", "patterns"))
)

_OURS = ("license", "style")
PROSE = ("task_description", "document_outline", "domain")

TEXTS = ("created_by", *PROSE, *_OURS)
"""The keys at the top whose value is one text."""


def shape(schema: Schema, version: int) -> Shape:
    """The keys at the top of a file."""
    hints: tuple[tuple[str, str], ...] = ()
    extra = _OURS if version >= FIRST_OURS else ()
    if version < FIRST_OURS:
        later = "it is of version 4: write `version: 4`, or remove it"
        hints = tuple((key, later) for key in _OURS)
    if schema == "knowledge":
        hints += (("task_description", "a knowledge leaf says this in `document_outline`"),)
        asked = ("version", "created_by", "domain", "document_outline", "document", "seed_examples")
        return Shape(asked, extra, hints=hints)
    elsewhere = "only a knowledge leaf has it: move the leaf below knowledge/, or remove the key"
    hints += tuple((key, elsewhere) for key in ("document", "document_outline", "domain"))
    required = ("created_by", "task_description", "seed_examples")
    if version == 1:
        return Shape(required, ("version",), hints=hints)
    return Shape(("version", *required), extra, hints=hints)
