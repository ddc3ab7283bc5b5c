"""Verdicts: a step of the pack that judges, put to all who judge (§3.2.1, stages 2 and 4).

The draft is data. In a judge's prompt it stands between tags, and what looks like one of these tags
in the draft is spelled otherwise there, so that no draft can end its own quotation and go on as if
it were the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from feldspar.generate.ask import Agree, Context, ask
from feldspar.generate.pack import Prompt, Scored
from feldspar.types import Draft, Verdict

_TAG = re.compile(r"</?([a-z_]+)>")


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one judge said of a draft."""

    verdicts: tuple[Verdict, ...]
    """One for each of its questions; empty where there is none."""
    lacking: str = ""
    """Why there is none: `unparsable`, `refused`; then `flaw` says more."""
    flaw: Verdict | None = None

    @property
    def keep(self) -> bool:
        """Whether it keeps the draft: every one of its verdicts does."""
        return bool(self.verdicts) and all(verdict.keep for verdict in self.verdicts)


async def judge(draft: Draft, step: str, context: Context, values: Mapping[str, str]) -> Draft:
    """Put the draft to the judges, if the pack has this step, and let them decide.

    Every judge is asked, and all verdicts are kept: those that decided stand last. An unreadable
    reply is no verdict; where the others leave it open without it, the draft is unparsable.

    Args:
        draft: The draft so far.
        step: The judge's name in the pack's section.
        context: The leaf's, with those who judge.
        values: What the prompt's placeholders stand for.
    """
    if step not in context.section.steps:
        return draft
    opinions = []
    for name, voice in voices(context):
        keys, opinion = await opinion_of(draft, step, voice, values, name)
        draft = replace(draft, requests=keys)
        opinions.append(opinion)
    return decided(draft, opinions, context.agree, context.section.steps[step])


async def opinion_of(
    draft: Draft, step: str, context: Context, values: Mapping[str, str], name: str = ""
) -> tuple[tuple[str, ...], Opinion]:
    """What the context's teacher says of a draft as a judge, and the draft's requests with those made.

    Args:
        draft: The draft.
        step: The judge's name in the pack's section.
        context: The leaf's; its teacher is asked.
        values: What the prompt's placeholders stand for.
        name: Who is asked, for the verdicts' names; empty where there is only the teacher.
    """
    tags = _tags(context.section.steps[step].user)
    quoted = {key: fenced(value, tags) for key, value in values.items()}
    asked, read = await ask(draft, step, context, quoted)
    if isinstance(read, tuple):
        return asked.requests, Opinion(tuple(_named(verdict, name) for verdict in read))
    return asked.requests, Opinion((), asked.rejected, _named(asked.verdicts[-1], name))


def voices(context: Context) -> tuple[tuple[str, Context], ...]:
    """Who judges, each with the context to ask in; a nameless one where it is the teacher itself."""
    if not context.judges:
        return (("", context),)
    if [judge.identity for judge in context.judges] == [context.teacher.identity]:
        return (("", replace(context, teacher=context.judges[0])),)
    names = names_of([teacher.identity for teacher in context.judges])
    return tuple(
        (name, replace(context, teacher=teacher)) for name, teacher in zip(names, context.judges, strict=True)
    )


def names_of(identities: Sequence[str]) -> tuple[str, ...]:
    """Short names for judges: the models'; with more of their identity where two would be called alike."""
    for digits in (0, 8):
        parts = [identity.rpartition("/")[2].partition("@") for identity in identities]
        names = [name + at * bool(digits) + rest[:digits] for name, at, rest in parts]
        if all(names) and len(set(names)) == len(names):
            return tuple(names)
    return tuple(identities)


def decided(draft: Draft, opinions: Sequence[Opinion], agree: Agree, prompt: Prompt) -> Draft:
    """The draft with the judges' verdicts, rejected unless they keep it.

    Args:
        draft: The draft.
        opinions: Each judge's, in order.
        agree: `all`: one that rejects is enough. `majority`: more than half must keep. `mean`: of each
            question the mean score must reach the scale's `least_mean`, and yes or no, which have no
            mean, a majority. One judge alone decides by itself.
        prompt: The judge's.
    """
    lacking = next((opinion for opinion in opinions if not opinion.verdicts), None)
    flaws = [opinion.flaw for opinion in opinions if opinion.flaw is not None]
    said = [verdict for opinion in opinions for verdict in opinion.verdicts]
    keep: bool | None
    if agree == "mean" and len(opinions) > 1:
        means = _means(opinions, prompt) if lacking is None else ()
        keep = all(mean.keep for mean in means) if means else None
        last = sorted(means, key=lambda verdict: not verdict.keep)
    else:
        keep, last = _counted(opinions, agree), []
    if keep is None and lacking is not None:
        return replace(draft, verdicts=(*draft.verdicts, *said, *flaws), rejected=lacking.lacking)
    # The verdict that decided stands last, as for every rejected draft.
    said.sort(key=lambda verdict: verdict.keep is keep)
    draft = replace(draft, verdicts=(*draft.verdicts, *flaws, *said, *last))
    return draft if keep else replace(draft, rejected="judged out")


def _counted(opinions: Sequence[Opinion], agree: Agree) -> bool | None:
    """Whether those who can be read keep the draft; None where it hangs on one who cannot."""
    count, keeps = len(opinions), sum(opinion.keep for opinion in opinions)
    silent = sum(not opinion.verdicts for opinion in opinions)
    wanted = count // 2 + 1 if agree == "majority" else count
    if keeps >= wanted:
        return True
    return None if keeps + silent >= wanted else False


def _means(opinions: Sequence[Opinion], prompt: Prompt) -> tuple[Verdict, ...]:
    """A verdict for each question, out of all judges' together."""
    count = len(opinions)
    made = []
    for place, first in enumerate(opinions[0].verdicts):
        said = [opinion.verdicts[place] for opinion in opinions]
        scores = [verdict.score for verdict in said if verdict.score is not None]
        name = f"{first.judge.partition(' (')[0]} (mean of {count})"
        if isinstance(prompt.parse, Scored) and len(scores) == count:
            mean = round(sum(scores) / count, 4)
            made.append(Verdict(name, mean >= prompt.parse.score.least_mean, mean, ""))
        else:
            yes = sum(verdict.keep for verdict in said)
            made.append(Verdict(name, 2 * yes > count, None, f"{yes} of {count} say yes"))
    return tuple(made)


def fenced(text: str, tags: frozenset[str]) -> str:
    """`text` in which no `<tag>` and no `</tag>` of these names is left: its first sign becomes ‹."""
    if "<" not in text or not tags:
        return text
    pattern = rf"<(?=[\s/\\]*(?:{'|'.join(map(re.escape, sorted(tags)))})\b)"
    return re.sub(pattern, "‹", text, flags=re.IGNORECASE)


@cache
def _tags(template: str) -> frozenset[str]:
    """The names of the tags that a prompt fences its texts with."""
    return frozenset(_TAG.findall(template))


def _named(verdict: Verdict, name: str) -> Verdict:
    return replace(verdict, judge=f"{verdict.judge} ({name})") if name else verdict
