"""Knowledge generation (§3.2.2): a question about a passage, and the answer out of it alone.

The teacher need not know the subject: all that an answer says must stand in the passage, which is
checked by a judge, where the pack has one, and by numbers, names and content words in any case.
"""

from __future__ import annotations

from dataclasses import replace

from feldspar.generate.ask import Context, ask
from feldspar.generate.grounding import support
from feldspar.generate.judges import fenced, judge
from feldspar.generate.language import language_of, lexicon
from feldspar.generate.skills import Step, check_instruction, check_response, choose_seeds, held_to
from feldspar.generate.units import Unit, unit_for
from feldspar.types import Draft

_TAGS = frozenset({"passage"})


def unit_of(draft: Draft, context: Context) -> Unit:
    """The passage, and the focus in it, whose turn it is in this draw."""
    return unit_for(draft.draw, context.units, context.rota)


async def choose_passage(draft: Draft, context: Context) -> Draft:
    """Take the passage whose turn it is."""
    return replace(draft, passage=unit_of(draft, context).passage)


async def write_question(draft: Draft, context: Context) -> Draft:
    """Ask about the passage, or the focus in it."""
    draft, text = await ask(draft, "question", context, _values(draft, context))
    return replace(draft, instruction=text) if isinstance(text, str) else draft


async def write_answer(draft: Draft, context: Context) -> Draft:
    """Answer out of the passage alone, or quote the focus where the pack says so."""
    if context.section.quotes:
        return replace(draft, response=unit_of(draft, context).focus.strip())
    draft, text = await ask(draft, "answer", context, _values(draft, context))
    return replace(draft, response=text) if isinstance(text, str) else draft


async def check_grounding(draft: Draft, context: Context) -> Draft:
    """Reject an answer with a number or a name that the passage lacks; record where it stands in it."""
    bounds, leaf, unit = context.section.checks.grounding, context.plan.leaf, unit_of(draft, context)
    found = support(draft.response, unit.passage, lexicon(language_of(leaf)))
    draft = replace(draft, support=found.spans)
    if bounds is None:
        return draft
    source = unit.focus if bounds.source == "focus" else unit.passage.text
    return held_to(draft, source, leaf, bounds)


async def judge_faithfulness(draft: Draft, context: Context) -> Draft:
    """Let the teacher judge whether the answer is faithful to the passage."""
    return await judge(draft, "faithfulness_judge", context, _values(draft, context))


def _values(draft: Draft, context: Context) -> dict[str, str]:
    unit = unit_of(draft, context)
    return {
        # A document may say anything, the end of its own quotation too.
        "passage": fenced(unit.passage.text.strip(), _TAGS),
        "focus": unit.focus.strip(),
        "heading": " > ".join(unit.passage.heading),
        "document": unit.passage.document,
        "question": draft.instruction,
        "answer": draft.response,
    }


KNOWLEDGE: tuple[Step, ...] = (
    choose_seeds,
    choose_passage,
    write_question,
    check_instruction,
    write_answer,
    check_response,
    check_grounding,
    judge_faithfulness,
)
"""A leaf that teaches a document."""
