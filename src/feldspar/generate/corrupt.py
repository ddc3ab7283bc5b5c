"""Wrong answers made of right ones, to see whether a judge tells them apart.

Nothing is drawn by chance and no model is asked. Cutting and swapping need no language; changed
numbers and exchanged names hardly any; where an answer has neither, it is negated, which is done by
the commonest verbs of a few languages.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from feldspar.facts import coverage, names
from feldspar.types import Seed

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ENUMERATOR = re.compile(r"(?:^|\n)[ \t]*\Z")
_LEAST_LENGTH = 12
"""Characters of an answer of which a part is no answer."""

_CANDIDATES = 8
_NEGATIONS: tuple[tuple[str, str], ...] = (
    (r"\b(is|are|was|were|can|could|will|would|should|must|may|has|had|does|do|did)\b", r"\1 not"),
    (r"\b(ist|sind|war|waren|kann|können|wird|werden|hat|haben|muss|müssen|darf)\b", r"\1 nicht"),
    (r"\b(sont|peut|peuvent|doit|fait|font|sera|va)\b", r"ne \1 pas"),
    (r"\b(est|était|a|ont)\b", r"n'\1 pas"),
    (r"\b(es|está|son|están|fue|era|puede|pueden|tiene|tienen|hay)\b", r"no \1"),
    (r"\b(é|está|são|foi|pode|podem|tem|têm|há)\b", r"não \1"),
    (r"\b(è|sono|era|può|possono|ha|hanno)\b", r"non \1"),
    (r"(ではありません|ません)", ""),
    (r"(ます)(?![か-ん])", "ません"),
    (r"(です)(?![か-ん])", "ではありません"),
    (r"(是)", "不是"),
)
_NEGATED = re.compile(
    r"(?:\b(?:is|are|was|were|can|could|will|would|should|must|may|has|had|does|do|did)(n['’]t| not)\b"
    r"|\b\w+( nicht)\b|(不)(?=是))"
)


def swapped(seeds: Sequence[Seed], place: int) -> str:
    """The answer of another seed, the one most unlike in words; empty where there is no other."""
    mine = seeds[place].answer
    order = [(place + step) % len(seeds) for step in range(1, len(seeds))]
    others = [seeds[at].answer for at in order if _folded(seeds[at].answer) != _folded(mine)]
    return min(others[:_CANDIDATES], key=lambda answer: coverage(answer, mine), default="")


def truncated(answer: str) -> str:
    """The first two fifths of an answer, broken off between two words; empty for one too short.

    Where words have no blanks between them, it breaks off between two characters.
    """
    text = answer.strip()
    if len(text) < _LEAST_LENGTH:
        return ""
    cut = len(text) * 2 // 5
    blank = max(text.rfind(mark, 0, cut + 1) for mark in " \n\t")
    if blank > 0:
        cut = blank
    while cut and unicodedata.combining(text[cut]):
        cut -= 1
    kept = text[:cut].rstrip()
    while kept and unicodedata.category(kept[-1])[0] == "P":
        kept = kept[:-1].rstrip()
    return kept


def contradicted(seed: Seed, others: Sequence[Seed]) -> tuple[str, str]:
    """The answer, saying something else: its numbers changed, a name exchanged, or negated.

    Args:
        seed: The seed whose answer it is.
        others: The leaf's other seeds, for names to take in place of the answer's.

    Returns:
        The answer and how it was made: `numbers`, `names` or `negation`; both empty where it could
        not be.
    """
    for way, made in (
        ("numbers", _renumbered(seed)),
        ("names", _renamed(seed, others)),
        ("negation", _negated(seed.answer)),
    ):
        if made and _folded(made) != _folded(seed.answer):
            return made, way
    return "", ""


def _renumbered(seed: Seed) -> str:
    known = set(_NUMBER.findall(f"{seed.question} {seed.context} {seed.answer}"))

    def changed(match: re.Match[str]) -> str:
        old = match.group()
        after = seed.answer[match.end() : match.end() + 2]
        if (
            _ENUMERATOR.search(seed.answer[: match.start()])
            and after[:1] in (".", ")")
            and after[1:2].isspace()
        ):
            return old
        return next((new for by in range(1, 10) if (new := _shifted(old, by)) not in known), old)

    return _NUMBER.sub(changed, seed.answer)


def _shifted(number: str, by: int) -> str:
    """Every digit moved on by `by`, in its own script; a number keeps its length and gets no leading 0."""
    made = []
    for at, mark in enumerate(number):
        if not mark.isdigit():
            made.append(mark)
            continue
        digit = unicodedata.digit(mark)
        moved = (digit + by) % 10 or (1 if at == 0 and len(number) > 1 else 0)
        made.append(chr(ord(mark) - digit + moved))
    return "".join(made)


def _renamed(seed: Seed, others: Sequence[Seed]) -> str:
    mine = f"{seed.question} {seed.context} {seed.answer}".casefold()
    strange = next(
        (
            name
            for other in others
            for name in _full_names(f"{other.answer}\n{other.question}\n{other.context}")
            if name.casefold() not in mine
        ),
        "",
    )
    asked = seed.question.casefold()
    # What the question names already is not what the answer tells.
    old = next((name for name in _full_names(seed.answer) if name.casefold() not in asked), "")
    if not old or not strange:
        return ""
    return re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _: strange, seed.answer)


def _full_names(text: str) -> tuple[str, ...]:
    """Names, those that stand side by side as one: "Ane Tol"."""
    single = "|".join(re.escape(name) for name in sorted(names(text), key=len, reverse=True))
    if not single:
        return ()
    return tuple(dict.fromkeys(re.findall(rf"(?<!\w)(?:{single})(?: (?:{single}))*(?!\w)", text)))


def _negated(answer: str) -> str:
    without = _NEGATED.search(answer)
    if without:
        group = without.lastindex or 0
        return answer[: without.start(group)] + answer[without.end(group) :]
    counts = [len(re.findall(pattern, answer)) for pattern, _ in _NEGATIONS]
    # Of the languages that share a word, the one with most of the answer's verbs.
    if not max(counts):
        return ""
    pattern, negated = _NEGATIONS[counts.index(max(counts))]
    return re.sub(pattern, negated, answer, count=1)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
