"""What every text of a draft is held to, whichever turn it is: its form, its language, what is graded."""

from __future__ import annotations

from feldspar.generate.ask import Context
from feldspar.generate.checks import Flaw, loops, within
from feldspar.generate.contamination import meets
from feldspar.generate.language import another, language_of
from feldspar.generate.pack import Bounds
from feldspar.types import Draft


def misshapen(text: str, what: str, bounds: Bounds, context: Context, asked: str = "") -> Flaw | None:
    """Whether a text is out of bounds, loops, speaks of a passage, or is not in its leaf's language.

    Args:
        text: What the teacher wrote.
        what: What it is, for the reason's words: "instruction", "response", "context", "follow-up".
        bounds: The pack's for it.
        context: The leaf's.
        asked: For a response, what it answers.
    """
    language, checks = language_of(context.plan.leaf), context.section.checks
    flaw = within(text, what, bounds, language, asked)
    if flaw is None and checks.repetition:
        flaw = loops(text, what)
    if flaw is None and checks.language and (found := another(text, language)):
        flaw = Flaw("wrong language", f"the {what} is in {found}, and its leaf in {language}")
    return flaw


def graded(asked: str, draft: Draft, context: Context) -> Flaw | None:
    """Whether `asked`, with the draft's context before it, is what a model will be graded on (rule 6)."""
    return meets(f"{draft.context}\n{asked}", asked, context.held_out, context.plan.graded)


def values_of(draft: Draft) -> dict[str, str]:
    """What a draft's placeholders stand for."""
    return {"question": draft.instruction, "answer": draft.response, "context": draft.context}
