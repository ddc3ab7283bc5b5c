"""One step's request: its words, its seed, its reply read, and drawn again when it cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

from feldspar import teacher as teachers
from feldspar.errors import TeacherError, TeacherRefused
from feldspar.facts import coverage
from feldspar.generate.checks import Flaw, Known
from feldspar.generate.held import Held
from feldspar.generate.language import foreign, language_of
from feldspar.generate.pack import JsonField, Pack, Prompt, Scored, Section, YesNo
from feldspar.generate.parse import Unreadable, as_field, as_line, as_score, as_text, as_verdicts
from feldspar.generate.plan import LeafPlan, section_name
from feldspar.generate.quota import ONE_BY_ONE, Rota
from feldspar.generate.seeds import fitting, held_out, numbered, ready
from feldspar.generate.template import derive, fill, shuffled
from feldspar.generate.units import Unit, focus_of
from feldspar.teacher.api import Alternatives
from feldspar.types import Draft, Message, Seed, Verdict

Agree = Literal["all", "majority", "mean"]

Turn = tuple[tuple[float, ...], teachers.Claim | None]
"""A request's rank among all that wait for the teacher, and what tells when it is sent."""


def _unranked(draft: Draft, step: str) -> Turn:
    return (), None


@dataclass(frozen=True, slots=True)
class Panel:
    """Who is asked for verdicts, and what it takes to keep a draft."""

    judges: tuple[teachers.Teacher, ...] = ()
    """Empty: the teacher judges."""
    agree: Agree = "all"


ALONE = Panel()
"""The teacher judges what it writes."""


@dataclass(frozen=True)
class Context:
    """What every step of a leaf's pipeline is given; none of it changes."""

    plan: LeafPlan
    teacher: teachers.Teacher
    pack: Pack
    section: Section
    seed: int
    """The run's."""
    units: tuple[tuple[Unit, ...], ...] = ()
    """What a knowledge leaf's draws ask about, passage by passage."""
    rota: Rota = ONE_BY_ONE
    """How its draws take turns."""
    judges: tuple[teachers.Teacher, ...] = ()
    """Who is asked for verdicts; empty: the teacher."""
    turn: Callable[[Draft, str], Turn] = _unranked
    """The place in the queue of a draft's next request; called once for each."""
    agree: Agree = "all"
    """Which of several judges decide: every one, most of them, or the mean of their scores."""

    @cached_property
    def shown(self) -> tuple[Known, ...]:
        """The shown seeds, ready to be compared with drafts; empty where the pack compares nothing."""
        near = self.section.checks.near_duplicate
        if near is None:
            return ()
        # A knowledge draft has no context of its own: its seeds' contexts are other passages.
        contexts = section_name(self.plan) == "grounded"
        return ready(self.plan, contexts, near)

    @cached_property
    def held_out(self) -> Held:
        """What the leaf's drafts must not ask, beside what none must."""
        return held_out(self.plan)

    @cached_property
    def seeds(self) -> Mapping[int, Seed]:
        """The shown seeds by their numbers in the leaf."""
        return numbered(self.plan)

    def seeds_of(self, draft: Draft) -> list[Seed]:
        """Those that stand in a draft's prompts."""
        return [self.seeds[number] for number in draft.seeds]

    @cached_property
    def fit(self) -> tuple[int, ...]:
        """Their numbers; a seed without a context cannot show how a context is used."""
        return fitting(self.plan, section_name(self.plan) == "grounded")

    @cached_property
    def turns(self) -> tuple[int, ...]:
        """Which of `fit` the draws take in turn, for as many as the budget has."""
        wanted = max(1, self.plan.max_draws)
        return shuffled(len(self.fit), self.seed, self.plan.leaf.path, "turns", first=wanted)

    @cached_property
    def schemas(self) -> dict[str, str]:
        """The JSON Schema of each step's reply; empty for a free one."""
        return {step: schema(prompt) for step, prompt in self.section.steps.items()}


Read = str | tuple[Verdict, ...]


async def ask(
    draft: Draft, step: str, context: Context, values: Mapping[str, str]
) -> tuple[Draft, Read | None]:
    """Put one step's prompt to the teacher and read its reply.

    A reply that cannot be read is drawn again with the next attempt's seed, up to the pack's
    `attempts`; then the draft is rejected as unparsable, which is no verdict on what it says. A request
    that the teacher refuses, as a content filter does, rejects this draft alone.

    Args:
        draft: The draft so far.
        step: The step's name in the pack's section.
        context: The leaf's.
        values: What the prompt's placeholders stand for, beside the leaf's own.

    Returns:
        The draft with the requests made for it, and what was read: a text or verdicts; None where
        the draft is rejected.

    Raises:
        TeacherError: The teacher refuses whatever it is asked; the draft and the step are named.
    """
    prompt = context.section.steps[step]
    said = messages(prompt, context.plan, context.seeds_of(draft), values)
    failed = Unreadable("")
    for attempt in range(context.pack.attempts):
        rank, claim = context.turn(draft, step)
        request = teachers.Request(
            messages=said,
            max_tokens=prompt.max_tokens,
            # At temperature 0 the same words would come again whatever the seed.
            temperature=prompt.temperature if attempt == 0 else max(prompt.temperature, 0.5),
            top_p=prompt.top_p,
            seed=derive(context.seed, draft.leaf, step, draft.draw, attempt),
            schema=context.schemas[step],
            stop=prompt.stop,
            top_logprobs=wanted_alternatives(prompt),
            rank=rank,
            claim=claim,
        )
        try:
            reply = await _answered(context.teacher, request, f"{draft.id}, {step}")
        except TeacherRefused as refusal:
            return reject(draft, step, Flaw("refused", refusal.what)), None
        if reply.key:
            draft = replace(draft, requests=(*draft.requests, reply.key))
        read = read_reply(prompt, step, reply.text, reply.finish, reply.alternatives)
        if not isinstance(read, Unreadable):
            return draft, read
        failed = read
    return reject(draft, step, Flaw("unparsable", f"{failed.reason}, {context.pack.attempts} times")), None


def reject(draft: Draft, judge: str, flaw: Flaw) -> Draft:
    """The draft, rejected, with the verdict that says why as its last."""
    verdict = Verdict(judge, False, flaw.score, flaw.words)
    return replace(draft, rejected=flaw.reason, verdicts=(*draft.verdicts, verdict))


def messages(
    prompt: Prompt, plan: LeafPlan, seeds: Sequence[Seed], values: Mapping[str, str]
) -> tuple[Message, ...]:
    """The conversation that a prompt makes: system, fixed shots, a turn for each seed, the user's turn.

    What is said of the leaf's language ends the system message: all calls of a leaf share it.
    """
    leaf = {"task": plan.leaf.task, "domain": plan.leaf.domain}
    told = [leaf | dict(of_seed(seed, number)) for number, seed in enumerate(seeds, 1)]
    listed = "\n\n".join(fill(prompt.seeds, one) for one in told) if prompt.seeds else ""
    mine = leaf | {"seeds": listed} | dict(values)
    turns: list[tuple[str, str]] = [(shot.user, _spoken(shot.assistant)) for shot in prompt.shots]
    if prompt.examples is not None:
        example = prompt.examples
        turns += [(fill(example.user, one), _filled(example.assistant, one)) for one in told]
    language = foreign(language_of(plan.leaf))
    about = fill(prompt.about_language, {"language": language}) if language else ""
    system = "\n\n".join(text for text in (fill(prompt.system, mine), about) if text)
    said = [Message("system", system)] if system else []
    for user, assistant in turns:
        said += [Message("user", user), Message("assistant", assistant)]
    return (*said, Message("user", fill(prompt.user, mine)))


@lru_cache(maxsize=4096)
def of_seed(seed: Seed, number: int = 1) -> Mapping[str, str]:
    """What the placeholders of a seed's templates stand for."""
    return {
        "number": str(number),
        "question": seed.question.strip(),
        "answer": seed.answer.strip(),
        "context": seed.context.strip(),
        "passage": seed.context.strip(),
        "focus": focus_of(seed.context, lambda sentence: coverage(seed.answer, sentence)),
    }


def _spoken(reply: str | Mapping[str, Any]) -> str:
    return reply if isinstance(reply, str) else json.dumps(dict(reply), ensure_ascii=False)


def _filled(template: str | Mapping[str, str], values: Mapping[str, str]) -> str:
    if isinstance(template, str):
        return fill(template, values)
    # Filled before it becomes JSON, so that a quotation mark in a seed cannot break the object.
    return _spoken({key: fill(text, values) for key, text in template.items()})


def schema(prompt: Prompt) -> str:
    """The JSON Schema of a prompt's reply, as text; empty where the reply is free.

    Properties keep their order, and their names sort into the same order: a judge's reason comes
    before its score even where a server or a proxy sorts keys.
    """
    if isinstance(prompt.json_schema, dict):
        return json.dumps(prompt.json_schema)
    if prompt.json_schema == "none" or isinstance(prompt.parse, str):
        return ""
    properties: dict[str, object] = {}
    if isinstance(prompt.parse, JsonField):
        properties[prompt.parse.json_field] = {"type": "string"}
    elif isinstance(prompt.parse, YesNo):
        for judge in prompt.parse.yes_no:
            properties[f"{judge}_because"] = {"type": "string"}
            properties[f"{judge}_verdict"] = {"type": "string", "enum": ["yes", "no"]}
    else:
        scale = prompt.parse.score
        properties["explanation"] = {"type": "string"}
        properties["score"] = {"type": "integer", "enum": list(range(scale.low, scale.high + 1))}
    return json.dumps(
        {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )


def wanted_alternatives(prompt: Prompt) -> int:
    """How many tokens' log-probabilities a request asks for at each place; 0 for all but expected scores.

    Every score, and no more than five where that will do: some hosts refuse a request for more.
    """
    if not isinstance(prompt.parse, Scored) or not prompt.parse.score.expected:
        return 0
    return max(5, prompt.parse.score.high - prompt.parse.score.low + 1)


def read_reply(
    prompt: Prompt, step: str, text: str, finish: str, alternatives: Alternatives = ()
) -> Read | Unreadable:
    """What a reply says, in the way its prompt reads it."""
    parse, cut_off = prompt.parse, finish == "length"
    if isinstance(parse, JsonField):
        return as_field(text, parse.json_field)
    if isinstance(parse, YesNo):
        return as_verdicts(text, parse.yes_no, cut_off)
    if isinstance(parse, Scored):
        verdict = as_score(text, step.removesuffix("_judge"), parse.score, alternatives, cut_off)
        return verdict if isinstance(verdict, Unreadable) else (verdict,)
    return (as_line if parse == "line" else as_text)(text, prompt.strip, cut_off)


async def _answered(teacher: teachers.Teacher, request: teachers.Request, what: str) -> teachers.Reply:
    try:
        return await teacher.ask(request)
    except TeacherError as error:
        # Only a plain refusal is about this request; a fault of the line or the journal is about all.
        if type(error) is TeacherError:
            raise TeacherError(f"{error.what} (asked for {what})", error.mend) from error
        raise
