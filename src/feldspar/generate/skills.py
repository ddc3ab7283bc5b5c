"""Skills generation (§3.2.1): instruction, its judge, response, the judge of both.

A step takes a draft that is still good and gives it back, further on or rejected. `FREEFORM` and
`GROUNDED` are the pipelines: the steps in order, and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from feldspar.generate.ask import Context, ask, reject
from feldspar.generate.checks import Flaw, Known, compared, grounded, loops, meets, twin, within
from feldspar.generate.pack import Grounding, NearDuplicate
from feldspar.generate.plan import response_step, section_name
from feldspar.generate.template import shuffled
from feldspar.types import Draft

Step = Callable[[Draft, Context], Awaitable[Draft]]


async def choose_seeds(draft: Draft, context: Context) -> Draft:
    """Choose the seeds that stand in the draw's prompts: this leaf's alone, every one as often.

    One takes its turn by the draw's number, the others come by chance out of (seed, leaf, draw), so
    that few seeds still give many different prompts.
    """
    grounded = section_name(context.plan) == "grounded"
    # A seed without a context cannot show how a context is used.
    fit = [n for n, seed in enumerate(context.plan.seeds) if seed.context or not grounded]
    turns = shuffled(len(fit), context.seed, draft.leaf, "turns")
    first = turns[(draft.draw - 1) % len(turns)]
    others = [n for n in shuffled(len(fit), context.seed, draft.leaf, "seeds", draft.draw) if n != first]
    chosen = [first, *others][: context.section.shown_seeds]
    order = shuffled(len(chosen), context.seed, draft.leaf, "order", draft.draw)
    return replace(draft, seeds=tuple(fit[chosen[place]] for place in order))


async def write_context(draft: Draft, context: Context) -> Draft:
    """Write the text that a grounded skill's instruction is about."""
    draft, text = await ask(draft, "context", context, {})
    if not isinstance(text, str):
        return draft
    draft = replace(draft, context=text)
    bounds = context.section.checks.context
    flaw = within(text, "context", bounds) or _stuck(text, "context", context)
    return reject(draft, "form", flaw) if flaw else draft


async def write_instruction(draft: Draft, context: Context) -> Draft:
    """Write the instruction (stage 1), out of the leaf's own seeds."""
    draft, text = await ask(draft, "instruction", context, values_of(draft))
    return replace(draft, instruction=text) if isinstance(text, str) else draft


async def check_instruction(draft: Draft, context: Context) -> Draft:
    """Reject an instruction that is malformed, loops, repeats a seed or meets a held-out question.

    All of this is known before any other draw is: a later request would be wasted on it.
    """
    text, checks = draft.instruction, context.section.checks
    flaw = within(text, "instruction", checks.instruction) or _stuck(text, "instruction", context)
    if flaw:
        return reject(draft, "form", flaw)
    held = meets(f"{draft.context}\n{text}", text, context.held_out)
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
    """Reject a response that is out of bounds, or loops."""
    bounds = context.section.checks.response
    flaw = within(draft.response, "response", bounds) or _stuck(draft.response, "response", context)
    return reject(draft, "form", flaw) if flaw else draft


async def check_grounding(draft: Draft, context: Context) -> Draft:
    """Reject a response that invents what its context lacks, where the pack checks this."""
    bounds = context.section.checks.grounding
    return held_to(draft, draft.context, context.plan.leaf.task, bounds) if bounds else draft


def held_to(draft: Draft, source: str, around: str, bounds: Grounding) -> Draft:
    """The draft, rejected if it is not grounded in `source`; otherwise with what it covers recorded."""
    found = grounded(draft.instruction, draft.response, source, around, bounds)
    if isinstance(found, Flaw):
        return reject(draft, "grounding", found)
    return replace(draft, verdicts=(*draft.verdicts, found))


async def judge_pair(draft: Draft, context: Context) -> Draft:
    """Judge instruction and response together (stage 4) on the 3-point scale of Figure 4."""
    return await judge(draft, "pair_judge", context, values_of(draft))


async def judge(draft: Draft, step: str, context: Context, values: Mapping[str, str]) -> Draft:
    """Put the draft to a judge of the pack, if the pack has it; one "no" rejects."""
    if step not in context.section.steps:
        return draft
    draft, verdicts = await ask(draft, step, context, values)
    if not isinstance(verdicts, tuple):
        return draft
    # The verdict that decided stands last, as for every rejected draft.
    ordered = sorted(verdicts, key=lambda verdict: not verdict.keep)
    draft = replace(draft, verdicts=(*draft.verdicts, *ordered))
    return draft if ordered[-1].keep else replace(draft, rejected="judged out")


def values_of(draft: Draft) -> dict[str, str]:
    """What a draft's placeholders stand for."""
    return {"question": draft.instruction, "answer": draft.response, "context": draft.context}


def _stuck(text: str, what: str, context: Context) -> Flaw | None:
    return loops(text, what) if context.section.checks.repetition else None


FREEFORM: tuple[Step, ...] = (
    choose_seeds,
    write_instruction,
    check_instruction,
    judge_instruction,
    respond,
    check_response,
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
    judge_pair,
)
"""A skill whose seeds have contexts: one is written first."""
