"""What a prompt pack may not say beyond its keys' values: steps that lack, placeholders without a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from feldspar.generate.pack import AVAILABLE, OF_SEED, Pack, Prompt, Section
from feldspar.generate.template import PLACEHOLDER, placeholders

Place = tuple[str | int, ...]
"""The keys and indexes from a pack's top to a value."""

Slip = tuple[Place, str]
"""Where something is wrong, and what: words that follow the key."""

READ = "text, line or {json: KEY}"
JUDGED = "{yes_no: [NAME, …]} or {score: {…}}"
"""How a reply is read: that of a step which writes, and that of one which judges."""

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "freeform": ("instruction", "precise"),
    "grounded": ("context", "instruction", "precise"),
    "knowledge": ("question",),
}


def mistakes(pack: Pack) -> Iterator[Slip]:
    """What no single value of a pack is to blame for."""
    for name, section in pack.sections.items():
        if name not in AVAILABLE:
            yield ("sections", name), f"is not a section: {', '.join(AVAILABLE)} are"
            continue
        for place, text in (*_lacking(name, section), *_steps(name, section)):
            yield ("sections", name, *place), text


def _steps(name: str, section: Section) -> Iterator[Slip]:
    for step, prompt in section.steps.items():
        where = ("steps", step)
        if step not in AVAILABLE[name]:
            yield where, f"is not a step: {', '.join(AVAILABLE[name])} are"
            continue
        if prompt.judges != step.endswith("_judge"):
            wanted = READ if prompt.judges else JUDGED
            yield (*where, "parse"), f"should be {wanted}: only a judge gives verdicts, and nothing else"
        allowed = AVAILABLE[name][step]
        for key, template in (("system", prompt.system), ("user", prompt.user)):
            yield from _unknown((*where, key), template, allowed)
            if "seeds" in placeholders(template) and not prompt.seeds:
                yield (*where, key), "uses {seeds}, but the step has no `seeds` template"
        for keys, template in _seed_templates(prompt):
            yield from _unknown((*where, *keys), template, OF_SEED)
        yield from _unknown((*where, "in_language"), prompt.about_language, ("language",))
        for place, shot in enumerate(prompt.shots):
            for text in (shot.user, *_texts(shot.assistant)):
                if PLACEHOLDER.search(text):
                    told = f"`{text[:40]}` must not hold a {{name}}: nothing is filled in here"
                    yield (*where, "shots", place), f": {told}"


def _lacking(name: str, section: Section) -> Iterator[Slip]:
    steps = section.steps
    for step in REQUIRED[name]:
        if step not in steps:
            yield ("steps",), f"lacks `{step}`, which its pipeline needs"
    if section.quotes and (name != "knowledge" or "answer" in steps):
        yield ("quotes",), "is for knowledge, in place of the step `answer`"
    if "followup" in steps and "pair_judge" in steps and "conversation_judge" not in steps:
        yield ("steps",), "lacks `conversation_judge`, which judges what `followup` leads to"
    if name == "knowledge" and not section.quotes and "answer" not in steps:
        yield ("steps",), "lacks `answer`, which its pipeline needs where nothing is quoted"


def _seed_templates(prompt: Prompt) -> Iterator[tuple[tuple[str, ...], str]]:
    yield ("seeds",), prompt.seeds
    if prompt.examples is not None:
        yield ("examples", "user"), prompt.examples.user
        for text in _texts(prompt.examples.assistant):
            yield ("examples", "assistant"), text


def _texts(value: str | Mapping[str, object]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(text) for text in value.values())


def _unknown(where: tuple[str, ...], template: str, allowed: tuple[str, ...]) -> Iterator[Slip]:
    for name in placeholders(template):
        if name not in allowed:
            yield (
                where,
                f"uses {{{name}}}, which has no value there: {', '.join(f'{{{n}}}' for n in allowed)} have",
            )
