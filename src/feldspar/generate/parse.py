"""Reading a teacher's reply: the text, the JSON field, the verdicts or the score that was asked for.

An unreadable reply is its own outcome: every function here returns `Unreadable` with the reason
rather than a made-up value. A server that ignores the JSON Schema is still understood when the
object stands somewhere in its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from feldspar.types import Verdict

_THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
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


def as_verdicts(reply: str, judges: Sequence[str]) -> tuple[Verdict, ...] | Unreadable:
    """One verdict for each of `judges`, from `<judge>_because` and `<judge>_verdict` (yes or no)."""
    missing = judges[0]
    for found in _objects(clean(reply)):
        verdicts: list[Verdict] = []
        for judge in judges:
            said = found.get(f"{judge}_verdict")
            keep = said if isinstance(said, bool) else _YES_NO.get(str(said).strip(" .").casefold())
            if keep is None:
                missing = judge
                break
            verdicts.append(Verdict(judge, keep, None, _reason(found.get(f"{judge}_because"))))
        else:
            return tuple(verdicts)
    return Unreadable(f"no yes or no for `{missing}`")


def as_score(reply: str, judge: str, low: int, high: int, keep: int) -> Verdict | Unreadable:
    """The verdict of a judge that gives `explanation`, then a whole `score` from `low` to `high`.

    The draft is kept at `keep` or above (§3.2.1, stage 4: 2 on the 3-point scale).
    """
    for found in _objects(clean(reply)):
        score = found.get("score")
        if isinstance(score, str) and score.strip().isascii() and score.strip().isdigit():
            score = int(score) if len(score) < 4 else None
        if isinstance(score, float) and score.is_integer():
            score = int(score)
        if isinstance(score, int) and not isinstance(score, bool) and low <= score <= high:
            return Verdict(judge, score >= keep, float(score), _reason(found.get("explanation")))
    return Unreadable(f"no `score` from {low} to {high}")


def _reason(value: object) -> str:
    return clean(value) if isinstance(value, str) else ""


def _unlabelled(text: str, labels: Sequence[str]) -> str:
    for label in labels:
        if text.casefold().startswith(label.casefold()):
            return text[len(label) :].strip()
    return text


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in `text`, from the outermost and leftmost on; broken ones are passed over."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    at, tries = text.find("{"), 0
    # A reply of nothing but braces would cost quadratic time: a few tries find any real object.
    while at >= 0 and tries < 16:
        end, tries = at + 1, tries + 1
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            yield value
        at = text.find("{", end)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a number")
