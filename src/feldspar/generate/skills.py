"""Skills generation (§3.2.1): instruction, its judge, response, the judge of both.

A step takes a draft that is still good and gives it back, further on or rejected. `FREEFORM` and
`GROUNDED` are the pipelines: the steps in order, and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from feldspar.generate.ask import Context, ask, reject
from feldspar.generate.checks import Flaw, Known, compared, twin
from feldspar.generate.followup import conversation, converse
from feldspar.generate.form import graded, misshapen, values_of
from feldspar.generate.grounding import grounded
from feldspar.generate.judges import judge
from feldspar.generate.language import language_of, lexicon
from feldspar.generate.pack import Grounding, NearDuplicate
from feldspar.generate.plan import response_step
from feldspar.generate.template import shuffled
from feldspar.types import Draft, Leaf

Step = Callable[[Draft, Context], Awaitable[Draft]]


async def choose_seeds(draft: Draft, context: Context) -> Draft:
    """Choose the seeds that stand in the draw's prompts: this leaf's alone, every one as often.

    One takes its turn by the draw's number, the others come by chance out of (seed, leaf, draw), so
    that few seeds still give many different prompts.
    """
    fit, turns, wanted = context.fit, context.turns, context.section.shown_seeds
    turn = (draft.draw - 1) % len(fit)
    if turn >= len(turns):  # a draw beyond the budget
        turns = shuffled(len(fit), context.seed, draft.leaf, "turns")
    first = turns[turn]
    some = shuffled(len(fit), context.seed, draft.leaf, "seeds", draft.draw, first=wanted)
    chosen = [first, *(n for n in some if n != first)][:wanted]
    order = shuffled(len(chosen), context.seed, draft.leaf, "order", draft.draw)
    return replace(draft, seeds=tuple(fit[chosen[place]] for place in order))


async def write_context(draft: Draft, context: Context) -> Draft:
    """Write the text that a grounded skill's instruction is about."""
    draft, text = await ask(draft, "context", context, {})
    if not isinstance(text, str):
        return draft
    draft = replace(draft, context=text)
    flaw = misshapen(text, "context", context.section.checks.context, context)
    return reject(draft, "form", flaw) if flaw else draft


async def write_instruction(draft: Draft, context: Context) -> Draft:
    """Write the instruction (stage 1), out of the leaf's own seeds."""
    draft, text = await ask(draft, "instruction", context, values_of(draft))
    return replace(draft, instruction=text) if isinstance(text, str) else draft


async def check_instruction(draft: Draft, context: Context) -> Draft:
    """Reject an instruction that is malformed, repeats a seed or meets a held-out question.

    All of this is known before any other draw is: a later request would be wasted on it.
    """
    text, checks = draft.instruction, context.section.checks
    flaw = misshapen(text, "instruction", checks.instruction, context)
    if flaw:
        return reject(draft, "form", flaw)
    held = graded(text, draft, context)
    if held:
        return reject(draft, "held-out", held)
    near = checks.near_duplicate
    if near is None or near.compare == "pair":
        return draft
    return unlike(draft, compared(draft.context, text, "", near), context.shown, near)


def unlike(draft: Draft, parts: tuple[str, ...], others: Sequence[Known], bounds: NearDuplicate) -> Draft:
    """The draft, rejected as a near-duplicate if its `parts` are too like one of `others`, which is named."""
    like = twin(parts, others, bounds.threshold)
    if like is None:
        return draft
    return reject(draft, "near-duplicate", Flaw("near-duplicate", f"like {like[0].name}", round(like[1], 3)))


async def judge_instruction(draft: Draft, context: Context) -> Draft:
    """Judge the instruction (stage 2): relevant, harmless, within a language model's reach."""
    return await judge(draft, "instruction_judge", context, values_of(draft))


async def respond(draft: Draft, context: Context) -> Draft:
    """Write the response (stage 3) under the leaf's persona, precise or creative."""
    step = response_step(context.plan, context.section)
    draft, text = await ask(draft, step, context, values_of(draft))
    return replace(draft, response=text) if isinstance(text, str) else draft


async def check_response(draft: Draft, context: Context) -> Draft:
    """Reject a response that is out of bounds, loops, or is in another language than its leaf."""
    bounds = context.section.checks.response
    flaw = misshapen(draft.response, "response", bounds, context, draft.instruction)
    return reject(draft, "form", flaw) if flaw else draft


async def check_grounding(draft: Draft, context: Context) -> Draft:
    """Reject a response that invents what its context lacks, where the pack checks this."""
    bounds = context.section.checks.grounding
    return held_to(draft, draft.context, context.plan.leaf, bounds) if bounds else draft


def held_to(draft: Draft, source: str, leaf: Leaf, bounds: Grounding) -> Draft:
    """The draft, rejected if it is not grounded in `source`; otherwise with what it covers recorded."""
    heading = draft.passage.heading if draft.passage else ()
    around = "\n".join((*heading, leaf.task, leaf.domain)) if draft.passage else leaf.task
    words = lexicon(language_of(leaf))
    found = grounded(draft.instruction, draft.response, source, around, bounds, words)
    if isinstance(found, Flaw):
        return reject(draft, "grounding", found)
    return replace(draft, verdicts=(*draft.verdicts, found))


async def judge_pair(draft: Draft, context: Context) -> Draft:
    """Judge instruction and response together (stage 4) on the 3-point scale of Figure 4.

    A conversation of more turns is judged as a whole.
    """
    if draft.turns:
        values = values_of(draft) | {"conversation": conversation(draft)}
        return await judge(draft, "conversation_judge", context, values)
    return await judge(draft, "pair_judge", context, values_of(draft))


FREEFORM: tuple[Step, ...] = (
    choose_seeds,
    write_instruction,
    check_instruction,
    judge_instruction,
    respond,
    check_response,
    converse,
    judge_pair,
)
"""A skill whose seeds are questions and answers alone."""

GROUNDED: tuple[Step, ...] = (
    choose_seeds,
    write_context,
    write_instruction,
    check_instruction,
    judge_instruction,
    respond,
    check_response,
    check_grounding,
    converse,
    judge_pair,
)
"""A skill whose seeds have contexts: one is written first."""
