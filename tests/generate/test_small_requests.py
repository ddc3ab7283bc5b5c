"""The first lab's figures hang on what the small pack asks: its requests stay as they are, to the byte."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from feldspar import taxonomy
from feldspar.generate import LeafPlan, load_pack, section_name, split_seeds
from feldspar.generate.ask import Context
from feldspar.generate.knowledge import KNOWLEDGE
from feldspar.generate.skills import FREEFORM, GROUNDED
from feldspar.generate.units import units_of
from feldspar.teacher import Request, ScriptedTeacher
from feldspar.types import Draft

TAXONOMY = Path(__file__).resolve().parents[2] / "examples" / "first-lab" / "taxonomy"
PIPELINES = {"freeform": FREEFORM, "grounded": GROUNDED, "knowledge": KNOWLEDGE}


def said(request: Request) -> str:
    """A reply that every check of the small pack lets through."""
    asked = request.messages[-1].content
    if asked.startswith("Text: "):
        words = asked.removeprefix("Text: ").rstrip(".").split()
        return f"What is told of {' '.join(words[-4:])}?"
    if asked == "Write a new request.":
        return f"Write a postcard from the town of x{request.seed}."
    if asked == "Write a new text.":
        return f"The rowers meet on Friday at nine in the boathouse x{request.seed} and bring oars."
    return "When: Friday at nine" if "List" in asked else f"List when and where of x{request.seed}."


@pytest.mark.parametrize(
    ("leaf", "calls", "digest"),
    [
        ("compositional_skills/writing/postcard", 24, "396da2102cde190c"),
        ("compositional_skills/grounded/notice_to_list", 36, "478dba3b60dbabd1"),
        ("knowledge/islands/ondry", 12, "f0e9a4a38cc81141"),
    ],
)
def test_the_first_lab_s_requests_are_what_they_were(leaf: str, calls: int, digest: str) -> None:
    found = next(one for one in taxonomy.read(TAXONOMY).leaves if one.path == leaf)
    shown, _ = split_seeds(found, 3, 0)
    passages = [
        passage
        for document in found.documents
        for passage in taxonomy.passages(document, lambda text: len(text) // 4, 300)
    ]
    plan = LeafPlan(found, shown, tuple(passages), 12, 48)
    pack, name = load_pack("small"), section_name(plan)
    teacher = ScriptedTeacher(said)
    units = units_of(passages, pack.sections[name]) if name == "knowledge" else ()
    context = Context(plan, teacher, pack, pack.sections[name], 0, units)

    async def drawn(number: int) -> None:
        draft = Draft(f"{leaf}#{number}", leaf, number)
        for step in PIPELINES[name]:
            draft = await step(draft, context)
            if draft.rejected:
                return

    for number in range(1, 13):
        asyncio.run(drawn(number))
    assert len(teacher.requests) == calls
    asked = hashlib.sha256("\n".join(request.text("teacher") for request in teacher.requests).encode())
    assert asked.hexdigest()[:16] == digest
