"""What each draw of a knowledge leaf asks about: a passage, or one sentence of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from feldspar.facts import content_words
from feldspar.generate.pack import Section
from feldspar.generate.plan import LeafPlan, section_name
from feldspar.generate.quota import Rota
from feldspar.text import sentences
from feldspar.types import Passage

_BLOCK = 4
"""Draws in a row about one passage, at most."""

_LEAST_WORDS = 2
"""Content words of a sentence that says something worth asking."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A passage, and what of it is asked about."""

    passage: Passage
    focus: str
    """The passage's text, or a sentence of it with those it leans on."""


def units_of(passages: Sequence[Passage], section: Section) -> tuple[tuple[Unit, ...], ...]:
    """What the draws of a leaf ask about, passage by passage, in the order in which they take turns.

    With `focus: sentence` these are the sentences that say something; headings, rules and scraps of
    fewer than two content words are left out, and a sentence that opens with one of the pack's
    `focus_joins` ("It", "They") takes the one before it along, for alone it would name nothing. A
    passage without such a sentence is asked about as a whole, so that no passage is lost.
    """
    if section.focus == "passage":
        return tuple((Unit(passage, passage.text),) for passage in passages)
    units: list[tuple[Unit, ...]] = []
    for passage in passages:
        spans = sentences(passage.text)
        found: list[Unit] = []
        for place, (start, end) in enumerate(spans):
            if _scrap(passage.text[start:end]):
                continue
            first = place
            while first > 0 and _leans(passage.text[spans[first][0] : end], section.focus_joins):
                if _is_heading(passage.text[slice(*spans[first - 1])]):
                    break
                first -= 1
            found.append(Unit(passage, " ".join(passage.text[spans[first][0] : end].split())))
        units.append(tuple(found or [Unit(passage, passage.text)]))
    return tuple(units)


def rota_of(plan: LeafPlan, section: Section) -> Rota:
    """How a leaf's draws take turns: those about one whole passage in blocks, for they share its text."""
    if section_name(plan) != "knowledge" or section.focus != "passage":
        return Rota(plan.quotas)
    each = plan.target // (plan.quotas if plan.quotas > 1 else max(1, len(plan.passages)))
    return Rota(plan.quotas, max(1, min(_BLOCK, each)))


def unit_for(draw: int, units: Sequence[Sequence[Unit]], rota: Rota) -> Unit:
    """What a draw asks about.

    Args:
        draw: Its number.
        units: Of each passage.
        rota: How draws take turns; with a quota a passage, a draw keeps to the passage that it serves.
    """
    if rota.quotas > 1:
        mine = units[rota.quota(draw)]
        return mine[(rota.turn(draw) - 1) % len(mine)]
    place = (draw - 1) // rota.block % sum(map(len, units))
    for mine in units:
        if place < len(mine):
            return mine[place]
        place -= len(mine)
    raise ValueError("a leaf without passages has nothing to ask about")


def focus_of(context: str, fit: Callable[[str], float]) -> str:
    """The sentence of a seed's context with the best `fit`, the first of equals; empty for none."""
    found = [" ".join(context[start:end].split()) for start, end in sentences(context)]
    return max(found, key=fit, default=context.strip())


def _is_heading(sentence: str) -> bool:
    return sentence.lstrip().startswith("#")


def _scrap(sentence: str) -> bool:
    return _is_heading(sentence) or len(content_words(sentence)) < _LEAST_WORDS


def _leans(sentence: str, joins: Sequence[str]) -> bool:
    opening = sentence.split(maxsplit=1)[0].strip(",").casefold() if sentence.strip() else ""
    return any(opening == join.casefold() for join in joins)
