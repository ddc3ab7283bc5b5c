"""Checks that need no judge: length, loops, near-duplicates.

Each takes text and bounds and returns what is wrong: a `Flaw`, or None. They are exact and the same
on every machine, and where a teacher is too small to judge they are the whole filter.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Indel

from feldspar.generate.language import points_away
from feldspar.generate.pack import Bounds, NearDuplicate
from feldspar.text import words

_LONGEST_LOOP = 24
"""Words of the longest phrase whose looping is looked for."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a draft is rejected: the reason's short name, and in words."""

    reason: str
    words: str
    score: float | None = None


def within(text: str, what: str, bounds: Bounds, language: str = "", asked: str = "") -> Flaw | None:
    """Whether `text` keeps its bounds.

    Args:
        text: What the teacher wrote.
        what: What it is, for the reason's words: "instruction", "response", "context".
        bounds: The pack's.
        language: The leaf's, by its English name; empty where it is not known.
        asked: For a response, what it answers.
    """
    count = len(words(text))
    if not text.strip():
        return Flaw("empty", f"the {what} is empty")
    if count < bounds.min_words:
        return Flaw("too short", f"the {what} has {count} words, at least {bounds.min_words} are wanted")
    if count > bounds.max_words:
        return Flaw("too long", f"the {what} has {count} words, at most {bounds.max_words} are wanted")
    if bounds.ends_with and not text.rstrip().endswith(bounds.ends_with):
        return Flaw("ill-formed", f"the {what} does not end with {' or '.join(bounds.ends_with)}")
    if bounds.stands_alone and (said := points_away(text, language, asked)):
        return Flaw("does not stand alone", f'the {what} says "{said}"')
    return forbidden(text, what, bounds.forbid)


def forbidden(text: str, what: str, phrases: Sequence[str]) -> Flaw | None:
    """Whether one of `phrases` occurs in `text` as whole words; "the passage" in a question, say."""
    there = f" {' '.join(words(text))} "
    for phrase in phrases:
        wanted = " ".join(words(phrase))
        if wanted and f" {wanted} " in there:
            return Flaw("does not stand alone", f'the {what} says "{phrase}"')
    return None


def loops(text: str, what: str) -> Flaw | None:
    """Whether a phrase, a line or most four-word runs of `text` repeat: a teacher that has got stuck."""
    found = words(text)
    for period in range(1, min(_LONGEST_LOOP, len(found) // 3) + 1):
        run = 0
        # Four times in a row for a phrase, eight for a single word: "ha ha ha ha" is still speech.
        least = max(3 * period, 7)
        for place in range(period, len(found)):
            run = run + 1 if found[place] == found[place - period] else 0
            if run >= least:
                phrase = " ".join(found[place - period + 1 : place + 1])
                return Flaw("repetitive", f'the {what} loops on "{phrase}"')
    if len(found) >= 40:
        runs = [tuple(found[at : at + 4]) for at in range(len(found) - 3)]
        share = 1 - len(set(runs)) / len(runs)
        if share > 0.5:
            return Flaw("repetitive", f"{share:.0%} of the {what} repeats itself", round(share, 3))
    return None


_ROUNDING = 1e-9


def likeness(one: Sequence[Hashable], other: Sequence[Hashable], cutoff: float = 0.0) -> float:
    """ROUGE-L of two texts given as words: the F-measure of their longest common subsequence, 0 to 1.

    Returns 0 where it is below `cutoff`. With precision lcs/m and recall lcs/n, F1 is 2 lcs/(m + n),
    which is the normalised similarity that allows insertions and deletions alone.
    """
    if not one or not other:
        return 0.0
    # 60/75 is 0.8, and yet not found with a cutoff of 0.8: the library rounds on its way.
    like = Indel.normalized_similarity(one, other, score_cutoff=max(0.0, cutoff - 1e-6))
    return max(like, cutoff) if like >= cutoff - _ROUNDING else 0.0


@dataclass(frozen=True, slots=True)
class Known:
    """A text that drafts are compared with, and what it is called."""

    name: str
    parts: tuple[tuple[str, ...], ...]
    texts: tuple[str, ...]


def known(name: str, parts: tuple[str, ...]) -> Known:
    """A text's parts (context, instruction, …) made ready to be compared."""
    return Known(name, tuple(tuple(words(part)) for part in parts), tuple(" ".join(p.split()) for p in parts))


def twin(parts: tuple[str, ...], others: Iterable[Known], threshold: float) -> tuple[Known, float] | None:
    """The one among `others` that `parts` are most like, from `threshold` on; the earliest of equals.

    Texts are as like as their least like parts: one instruction asked of two contexts is two tasks.
    """
    mine = known("", parts)
    best: tuple[Known, float] | None = None
    for other in others:
        like = 1.0
        for at, text in enumerate(mine.texts):
            # A text without a single word ("?!") has no ROUGE-L: it is like its equal alone.
            if text != other.texts[at]:
                like = min(like, likeness(mine.parts[at], other.parts[at], threshold))
            if like < threshold:
                break
        if like >= threshold and (best is None or like > best[1]):
            best = (other, like)
    return best


def compared(context: str, instruction: str, response: str, bounds: NearDuplicate) -> tuple[str, ...]:
    """The parts by which a draft, or a seed, is told from its leaf's others."""
    return (context, instruction, response) if bounds.compare == "pair" else (context, instruction)
