"""Conversations of more than one turn: what the user says next, and the answer to it (MT-Bench has two).

The teacher plays the user with the conversation so far before it, then answers as it did the first
time, after the whole conversation. Each turn is held to what the first is held to; the conversation is
judged as a whole, at the end.
"""

from __future__ import annotations

from dataclasses import replace

from feldspar.generate.ask import Context, ask, messages, reject
from feldspar.generate.checks import Flaw, likeness
from feldspar.generate.form import graded, misshapen, values_of
from feldspar.generate.grounding import grounded
from feldspar.generate.judges import fenced
from feldspar.generate.language import language_of, lexicon
from feldspar.generate.pack import Shot
from feldspar.generate.plan import response_step
from feldspar.text import words
from feldspar.types import Draft, Message

_TAGS = frozenset({"text", "conversation"})
"""What prompts of follow-ups quote a draft between."""

_SAME = 0.8
"""Likeness (ROUGE-L) from which a follow-up asks what was asked before."""


async def converse(draft: Draft, context: Context) -> Draft:
    """Carry a draft on to as many turns as its leaf's samples have."""
    while not draft.rejected and 1 + len(draft.turns) // 2 < context.plan.leaf.turns:
        draft = await _turn(draft, context)
    return draft


async def _turn(draft: Draft, context: Context) -> Draft:
    """One more question and its answer."""
    values = values_of(draft)
    told = {
        key: fenced(text, _TAGS) for key, text in (values | {"conversation": conversation(draft)}).items()
    }
    draft, asked = await ask(draft, "followup", context, told)
    if not isinstance(asked, str):
        return draft
    flaw = _flaw_of(asked, draft, context)
    earlier = replace(draft, turns=(*draft.turns, Message("user", asked)))
    if flaw:
        return reject(earlier, "form", flaw)
    step = response_step(context.plan, context.section)
    answered, answer = await ask(earlier, step, _after(draft, step, context), {**values, "question": asked})
    if not isinstance(answer, str):
        return answered
    flaw = misshapen(answer, "response", context.section.checks.response, context)
    draft = replace(answered, turns=(*answered.turns, Message("assistant", answer)))
    return reject(draft, "form", flaw) if flaw else _grounded(draft, asked, answer, context)


def _flaw_of(asked: str, draft: Draft, context: Context) -> Flaw | None:
    flaw = misshapen(asked, "follow-up", context.section.checks.instruction, context)
    before = [draft.instruction, *(turn.content for turn in draft.turns if turn.role == "user")]
    if flaw is None and any(likeness(words(asked), words(said)) >= _SAME for said in before):
        flaw = Flaw("echo", "the follow-up asks what was asked before")
    return flaw or graded(asked, draft, context)


def _grounded(draft: Draft, asked: str, answer: str, context: Context) -> Draft:
    """A grounded skill's later answers stay with the context, too, where the pack checks it."""
    bounds, leaf = context.section.checks.grounding, context.plan.leaf
    if bounds is None or not draft.context:
        return draft
    found = grounded(asked, answer, draft.context, leaf.task, bounds, lexicon(language_of(leaf)))
    if isinstance(found, Flaw):
        return reject(draft, "grounding", found)
    return replace(draft, verdicts=(*draft.verdicts, found))


def _after(draft: Draft, step: str, context: Context) -> Context:
    """The context in which a step's prompt is asked after the conversation so far.

    What was said stands as turns that are filled in already, so nothing of it is taken for a template.
    """
    prompt = context.section.steps[step]
    told = messages(prompt, context.plan, context.seeds_of(draft), values_of(draft))
    said = [turn for turn in told if turn.role != "system"]
    said += [Message("assistant", draft.response), *draft.turns]
    pairs = zip(said[::2], said[1::2], strict=True)
    shots = tuple(Shot.model_construct(user=user.content, assistant=reply.content) for user, reply in pairs)
    later = prompt.model_copy(update={"shots": shots, "examples": None, "user": "{question}"})
    section = context.section.model_copy(update={"steps": {**context.section.steps, step: later}})
    return replace(context, section=section)


def conversation(draft: Draft) -> str:
    """What was said so far, as a prompt shows it."""
    first = (Message("user", draft.instruction), Message("assistant", draft.response))
    names = {"user": "User", "assistant": "Assistant"}
    return "\n\n".join(f"{names[turn.role]}: {turn.content}" for turn in (*first, *draft.turns))
