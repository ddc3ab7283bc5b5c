"""What a model will be graded on is in no sample (rule 6): whether a draft asks such a question.

It does where one of these holds; the first two are the bar that `evaluate` proves later:

1. Its prompt, or its instruction alone, has a ROUGE-L of 0.9 or more with the question.
2. Its prompt holds the question, of five words or more, word by word.
3. It shares 13 words in a row with a benchmark's question. Benchmarks have long texts, and half of a
   problem is enough to know it again; 13 is what GPT-3's authors took, and others since. As with them,
   a run that stands in more than ten questions is their form ("Read the passage and choose …") and no
   question. A leaf's held-out seeds are of one form by design: for them this rule does not hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from feldspar.generate.checks import Flaw, likeness
from feldspar.generate.held import (
    ALIKE,
    LONG_ENOUGH,
    RUN,
    UNKNOWN,
    Held,
    fives,
    prefix,
    shared_at_least,
    together,
    units,
)
from feldspar.text import words

_WORDS = "a model will be graded on this question"
_RUNS = f"shares {RUN} words in a row with a question that a model will be graded on"


def meets(prompt: str, instruction: str, *held: Held) -> Flaw | None:
    """Whether a draft asks what a model will be graded on.

    Args:
        prompt: What a student would be asked, context included.
        instruction: The instruction alone.
        held: The questions: the leaf's, those of the whole run, and so on.

    Returns:
        The flaw by the first question that is met, in the order of `held` and of its questions, which is
        named; its score is the likeness, None where a run of words is shared.
    """
    whole, alone = words(prompt), words(instruction)
    texts = [whole] if whole == alone else [whole, alone]
    for index in held:
        found = _met(texts, index)
        if found is not None:
            number, like = found
            told = f"{_WORDS if like else _RUNS}: {index.told(number)}"
            return Flaw("held out", told, round(like, 3) if like else None)
    return None


def _met(texts: Sequence[Sequence[str]], held: Held) -> tuple[int, float] | None:
    """The first question that a draft meets, and how like it is; 0 where they share a run alone."""
    ranked = [[held.numbers.get(word, UNKNOWN) for word in text] for text in texts]
    contained: dict[int, bool] = {}
    for number, whole in _shared(ranked[0], held):
        contained[number] = whole or contained.get(number, False)
    first = min(contained, default=len(held))
    # One that is held whole is as like as can be, and need not be compared.
    last = first - contained.get(first, False)
    near = {number for text in ranked for number in _near(text, held) if number <= last}
    for number in sorted(near):
        like = max(likeness(text, held.question(number), ALIKE) for text in ranked)
        if like:
            return number, like
    return None if first == len(held) else (first, float(contained[first]))


def _near(text: Sequence[int], held: Held) -> Iterator[int]:
    """The questions that may be alike: those that have as many rare words in common as they must."""
    if shared_at_least(len(text)) > held.longest:
        return
    known = list(units(text, held.repeats))
    # Words that no question has are the rarest of all, and in common with none.
    left = prefix(len(text)) - (len(text) - len(known))
    least = together(len(text))
    if left < least:
        return
    known.sort()
    met: Counter[int] = Counter()
    for unit in known[:left]:
        met.update(held.rare[unit])
    shortest, longest = len(text) * ALIKE / (2 - ALIKE) - 1, len(text) * (2 - ALIKE) / ALIKE + 1
    for number, count in met.items():
        if count >= least and shortest <= held.starts[number + 1] - held.starts[number] <= longest:
            yield number


def _shared(text: Sequence[int], held: Held) -> Iterator[tuple[int, bool]]:
    """The questions that a text holds, or shares a run with; and whether it holds them."""
    starts, items = held.fives.starts, held.fives.items
    for at, five in enumerate(fives(text)):
        slot = held.slot(five)
        for place in items[starts[slot] : starts[slot + 1]]:
            if held.said[place] != text[at]:
                continue
            number = held.at(place)
            start, end = held.starts[number], held.starts[number + 1]
            first, last = _extent(text, at, held.said, place, start, end)
            if (first, last) == (start, end) and end - start >= LONG_ENOUGH:
                yield number, True
            elif number >= held.benchmarks and any(
                tuple(held.said[run : run + RUN]) not in held.forms for run in range(first, last - RUN + 1)
            ):
                yield number, False


def _extent(
    text: Sequence[int], at: int, said: Sequence[int], place: int, start: int, end: int
) -> tuple[int, int]:
    """How far a question, `start` to `end`, and a text say the same around a word that both have."""
    first, last = place, place + 1
    while first > start and place - first < at and text[at - (place - first) - 1] == said[first - 1]:
        first -= 1
    while last < end and at + last - place < len(text) and text[at + last - place] == said[last]:
        last += 1
    return first, last
