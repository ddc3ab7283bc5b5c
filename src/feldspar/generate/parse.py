"""Reading a teacher's reply: the text, the JSON field, the verdicts or the score that was asked for.

An unreadable reply is its own outcome: every function here returns `Unreadable` with the reason
rather than a made-up value. A server that ignores the JSON Schema is still understood when the
object stands somewhere in its text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from feldspar.generate.pack import Scale
from feldspar.teacher.api import Alternatives
from feldspar.types import Verdict

_THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NUMBER = re.compile(r"[0-9]+")
_OPENED = re.compile(r"(?:```[a-z]*\s*)?(?=\{)")
_YES_NO = {"yes": True, "no": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a reply could not be read."""

    reason: str


def clean(reply: str) -> str:
    """`reply` without a reasoning model's thoughts, control characters and lone surrogates."""
    text = reply.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n")
    return _CONTROL.sub("", _THINKING.sub("", text)).strip()


def as_text(reply: str, labels: Sequence[str], cut_off: bool) -> str | Unreadable:
    """The whole reply, without a leading label such as "Answer:".

    Args:
        reply: The teacher's text.
        labels: What may stand before the text and does not belong to it.
        cut_off: The reply ended because `max_tokens` were used up.
    """
    text = _unlabelled(clean(reply), labels)
    if cut_off:
        return Unreadable("cut off at the token limit")
    return text or Unreadable("an empty reply")


def as_line(reply: str, labels: Sequence[str], cut_off: bool) -> str | Unreadable:
    """The first line that is not blank; complete if another line follows, even in a cut-off reply."""
    lines = [line.strip() for line in clean(reply).split("\n") if line.strip()]
    if not lines:
        return Unreadable("an empty reply")
    if _unlabelled(lines[0], labels) == "" and len(lines) > 1:
        lines = lines[1:]
    if cut_off and len(lines) == 1:
        return Unreadable("cut off at the token limit")
    return _unlabelled(lines[0], labels) or Unreadable("an empty reply")


def as_field(reply: str, field: str) -> str | Unreadable:
    """The text under `field` of the first JSON object in the reply that has it."""
    for found in _objects(clean(reply)):
        value = found.get(field)
        if isinstance(value, str):
            return clean(value) or Unreadable(f"`{field}` is empty")
    return Unreadable(f"no JSON object with the text `{field}`")


def as_verdicts(reply: str, judges: Sequence[str], cut_off: bool = False) -> tuple[Verdict, ...] | Unreadable:
    """One verdict for each of `judges`, from `<judge>_because` and `<judge>_verdict` (yes or no).

    A reply that gives two answers is none: one of them may be a quotation out of the draft.
    """
    missing, read = judges[0], list[tuple[Verdict, ...]]()
    for found in _verdict_objects(reply, cut_off):
        verdicts: list[Verdict] = []
        for judge in judges:
            said = found.get(f"{judge}_verdict")
            keep = said if isinstance(said, bool) else _YES_NO.get(str(said).strip(" .").casefold())
            if keep is None:
                missing = judge
                break
            verdicts.append(Verdict(judge, keep, None, _reason(found.get(f"{judge}_because"))))
        else:
            read.append(tuple(verdicts))
    if len({tuple(verdict.keep for verdict in verdicts) for verdicts in read}) > 1:
        return Unreadable("two answers that differ")
    return read[0] if read else Unreadable(f"no yes or no for `{missing}`")


def as_score(
    reply: str, judge: str, scale: Scale, alternatives: Alternatives = (), cut_off: bool = False
) -> Verdict | Unreadable:
    """The verdict of a judge that gives `explanation`, then a whole `score` on the scale.

    The draft is kept at `scale.keep` or above (§3.2.1, stage 4: 2 on the 3-point scale). With
    `scale.expected` the score is the expectation over the scale by the log-probabilities at the
    score's token, and decides against `scale.least_mean`; without log-probabilities the written
    score decides, and the reason says so.

    Args:
        reply: The judge's text.
        judge: Its name.
        scale: The scale.
        alternatives: What could have stood in place of each number of the reply.
        cut_off: The reply ended because `max_tokens` were used up.
    """
    read = [
        (score, _reason(found.get("explanation")))
        for found in _verdict_objects(reply, cut_off)
        if (score := _whole(found.get("score"))) is not None and scale.low <= score <= scale.high
    ]
    if not read:
        return Unreadable(f"no `score` from {scale.low} to {scale.high}")
    score, reason = read[0]
    if any(other != score for other, _ in read):
        # One of them may be a quotation out of the draft, put there to be read.
        return Unreadable("two scores that differ")
    if not scale.expected:
        return Verdict(judge, score >= scale.keep, float(score), reason)
    mean = expected_score(clean(reply), score, scale, alternatives)
    if mean is None:
        note = "no log-probabilities of it: the score as it is written"
        return Verdict(judge, score >= scale.keep, float(score), f"{reason} ({note})".strip())
    return Verdict(judge, mean >= scale.least_mean, mean, reason)


def expected_score(text: str, written: int, scale: Scale, alternatives: Alternatives) -> float | None:
    """The mean of the scale's scores, each weighted by its probability at the score's token.

    Only where the score is the last number of the text is its token known for certain: numbers of the
    explanation have tokens, too. Probability that lies on anything but a score is left out, and the
    rest made to add up to 1.

    Returns:
        `scale.low` to `scale.high`, rounded to 4 places, so that no last bit of a machine's
        exponential decides; None where the token or its log-probabilities are not there.
    """
    numbers = _NUMBER.findall(text)
    if not alternatives or not numbers or numbers[-1] != str(written):
        return None
    weights = dict.fromkeys(range(scale.low, scale.high + 1), 0.0)
    for token, logprob in alternatives[-1]:
        said = token.strip()
        if said.isascii() and said.isdigit() and len(said) == 1 and int(said) in weights:
            weights[int(said)] += math.exp(min(logprob, 0.0))
    total = sum(weights.values())
    if not weights[written] or not total:
        return None
    return round(sum(score * weight for score, weight in weights.items()) / total, 4)


def _whole(score: object) -> int | None:
    if isinstance(score, str) and score.strip().isascii() and score.strip().isdigit():
        return int(score) if len(score) < 4 else None
    if isinstance(score, float) and score.is_integer():
        return int(score)
    return score if isinstance(score, int) and not isinstance(score, bool) else None


def _verdict_objects(reply: str, cut_off: bool) -> list[dict[str, Any]]:
    """The JSON objects of a judge's reply; of one that was cut off, only what it opens with.

    What stands elsewhere in half a reply may be a quotation: the verdict would have come after it.
    """
    text = clean(reply)
    if not cut_off:
        return list(_objects(text))
    opened = _OPENED.match(text)
    try:
        value = _DECODER.raw_decode(text, opened.end())[0] if opened else None
    except (ValueError, RecursionError):
        value = None
    return [value] if isinstance(value, dict) else []


def _reason(value: object) -> str:
    return clean(value) if isinstance(value, str) else ""


def _unlabelled(text: str, labels: Sequence[str]) -> str:
    for label in labels:
        if text.casefold().startswith(label.casefold()):
            return text[len(label) :].strip()
    return text


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in `text`, from the outermost and leftmost on; broken ones are passed over."""
    at, tries = text.find("{"), 0
    # A reply of nothing but braces would cost quadratic time: a few tries find any real object.
    while at >= 0 and tries < 16:
        end, tries = at + 1, tries + 1
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            yield value
        at = text.find("{", end)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON takes the last of two equal keys; of two verdicts that would be a guess."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


_DECODER = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_unique)
