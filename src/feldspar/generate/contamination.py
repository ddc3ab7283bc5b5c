"""What a model will be graded on is in no sample (rule 6): questions to avoid, and whether a draft has one.

A draft asks a question where one of these holds; the first two are the bar that `evaluate` proves later:

1. Its prompt, or its instruction alone, has a ROUGE-L of 0.9 or more with the question.
2. Its prompt holds the question, of five words or more, word by word.
3. It shares 13 words in a row with a benchmark's question. Benchmarks are long texts, and half of a
   problem is enough to know it again; 13 is what GPT-3 was decontaminated with, and others since. A run
   that stands in more than ten of the questions is their form ("Read the passage and choose …") and no
   question. The leaf's own held-out seeds are of one form by design: for them this rule does not hold.

Every question is found, though few are looked at. For 1: of two bags of words that share so many, the
rarest words must share one, as many of them as may be missing, and one more. For 2 and 3: what is shared
holds its own rarest word, and the places of these are known.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feldspar.generate.checks import Flaw, likeness
from feldspar.text import words

if TYPE_CHECKING:
    Numbers = array[int]

ALIKE = 0.9
LONG_ENOUGH = 5
"""Words; a shorter question must be the whole prompt or instruction."""
RUN = 13
FORM = 10
"""A run of words in more questions than these is no one's."""

_UNKNOWN = -1
_LOW = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class _Lists:
    """A list of numbers for each key of 0, 1, 2, …, one after another."""

    starts: Numbers
    items: Numbers

    def __getitem__(self, key: int) -> Numbers:
        return self.items[self.starts[key] : self.starts[key + 1]]


@dataclass(frozen=True, slots=True)
class Held:
    """Questions to avoid, indexed; made by `Held.build`."""

    numbers: Mapping[str, int]
    """Each of their words by its rank, the rarest first."""
    repeats: Mapping[int, int]
    """What counts as another word: a word that comes again in its text."""
    said: Numbers
    """The words of all questions, one after another."""
    starts: Numbers
    """Where each question begins; the end, last."""
    benchmarks: int
    """The first question of those that rule 3 holds for."""
    rare: _Lists
    """The questions by their rarest words."""
    places: _Lists
    """The places of the rarest word of each question and each of its runs, by that word."""
    forms: frozenset[tuple[int, ...]]
    """Runs that are no one question's."""

    @staticmethod
    def build(questions: Iterable[str], benchmarks: Iterable[str] = ()) -> Held:
        """Index questions.

        Args:
            questions: Held-out seeds and question files, each as a student is asked it.
            benchmarks: Those of benchmark files (`read_benchmark`).
        """
        graded = dict.fromkeys(tuple(words(text)) for text in benchmarks)
        others = dict.fromkeys(tuple(words(text)) for text in questions)
        first = [question for question in others if question and question not in graded]
        return _built([*first, *filter(None, graded)], len(first))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def question(self, number: int) -> Numbers:
        """The words of a question."""
        return self.said[self.starts[number] : self.starts[number + 1]]


def meets(prompt: str, instruction: str, *held: Held) -> Flaw | None:
    """Whether a draft asks what a model will be graded on.

    Args:
        prompt: What a student would be asked, context included.
        instruction: The instruction alone.
        held: The questions: the leaf's, those of the whole run, and so on.

    Returns:
        The flaw by the first question that is met, in the order of `held` and of its questions.
    """
    texts = [words(prompt), words(instruction)]
    for index in held:
        found = _met(texts, index)
        if found:
            like = found[min(found)]
            return Flaw("held out", _WORDS if like else _RUNS, round(like, 3) if like else None)
    return None


_WORDS = "a model will be graded on this question"
_RUNS = f"shares {RUN} words in a row with a question that a model will be graded on"


def _met(texts: Sequence[Sequence[str]], held: Held) -> dict[int, float]:
    """The questions that a draft meets, each with its likeness; 0 where it shares a run alone."""
    found: dict[int, float] = {}
    whole, *others = [[held.numbers.get(word, _UNKNOWN) for word in text] for text in texts]
    for text in (whole, *(other for other in others if other != whole)):
        for number in _near(text, held):
            like = likeness(text, held.question(number), ALIKE)
            if like:
                found[number] = max(like, found.get(number, 0.0))
    for number, contained in _shared(whole, held):
        found[number] = 1.0 if contained else found.get(number, 0.0)
    return found


def _near(text: Sequence[int], held: Held) -> set[int]:
    """The questions that may be alike: those that share one of the rarest words."""
    units = [unit for unit in _units(text, held.repeats) if unit >= 0]
    # Words that no question has are the rarest of all.
    left = _most_missing(len(text)) + 1 - (len(text) - len(units))
    if left < 1:
        return set()
    units.sort()
    found = {number for unit in units[:left] for number in held.rare[unit]}
    least, most = len(text) * ALIKE / (2 - ALIKE) - 1, len(text) * (2 - ALIKE) / ALIKE + 1
    return {n for n in found if least <= held.starts[n + 1] - held.starts[n] <= most}


def _most_missing(count: int) -> int:
    """How many of a text's words may be missing from another that is as like as `ALIKE`.

    2 lcs/(m + n) >= t, and n >= lcs, so lcs >= t m/(2 - t).
    """
    return count - math.ceil(ALIKE * count / (2 - ALIKE) - 1e-6)


def _shared(text: Sequence[int], held: Held) -> Iterator[tuple[int, bool]]:
    """The questions that a text holds, or shares a run with; and whether it holds them."""
    for at, word in enumerate(text):
        if word == _UNKNOWN:
            continue
        for place in held.places[word]:
            number = bisect_right(held.starts, place) - 1
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


def _units(text: Iterable[int], repeats: Mapping[int, int]) -> Iterator[int]:
    """A text's words, so that a word that comes again is another; `_UNKNOWN` is one that no question has."""
    for word, count in Counter(text).items():
        yield word
        for turn in range(1, count):
            yield _UNKNOWN if word == _UNKNOWN else repeats.get(turn << 32 | word, _UNKNOWN)


def _built(questions: Sequence[Sequence[str]], benchmarks: int) -> Held:
    counts = Counter(word for question in questions for word in question)
    ranked = sorted(counts, key=lambda word: (counts[word], word))
    numbers = {word: number for number, word in enumerate(ranked)}
    said = array("I", (numbers[word] for question in questions for word in question))
    starts = array("I", [0])
    for question in questions:
        starts.append(starts[-1] + len(question))
    repeats: dict[int, int] = {}
    pairs = []
    for number in range(len(questions)):
        text = said[starts[number] : starts[number + 1]]
        for word, count in Counter(text).items():
            for turn in range(1, count):
                repeats.setdefault(turn << 32 | word, len(numbers) + len(repeats))
        units = sorted(_units(text, repeats))
        pairs += [unit << 32 | number for unit in units[: _most_missing(len(text)) + 1]]
    rare = _lists(pairs, len(numbers) + len(repeats))
    whole, runs = _anchors(said, starts, benchmarks)
    forms = _forms(said, starts, runs)
    kept = whole | {place for place in runs if not forms or not _formal(said, starts, place, forms)}
    places = _lists([said[place] << 32 | place for place in kept], len(numbers))
    return Held(numbers, repeats, said, starts, benchmarks, rare, places, forms)


def _lists(pairs: list[int], keys: int) -> _Lists:
    """Lists out of `key << 32 | item`."""
    pairs.sort()
    sizes = Counter(pair >> 32 for pair in pairs)
    starts = array("I", [0])
    for key in range(keys):
        starts.append(starts[-1] + sizes[key])
    return _Lists(starts, array("I", (pair & _LOW for pair in pairs)))


def _anchors(said: Numbers, starts: Numbers, benchmarks: int) -> tuple[set[int], set[int]]:
    """The places of the rarest word, and the first of equals, of each question and of each run."""
    whole: set[int] = set()
    runs: set[int] = set()
    for number in range(len(starts) - 1):
        start, end = starts[number], starts[number + 1]
        if end - start >= LONG_ENOUGH:
            whole.add(min(range(start, end), key=said.__getitem__))
        if number < benchmarks:
            continue
        rarest = -1
        for run in range(start, end - RUN + 1):
            if rarest < run:
                rarest = min(range(run, run + RUN), key=said.__getitem__)
            elif said[run + RUN - 1] < said[rarest]:
                rarest = run + RUN - 1
            runs.add(rarest)
    return whole, runs


def _runs_at(said: Numbers, starts: Numbers, place: int) -> Iterator[tuple[int, ...]]:
    """The runs of a question that a place is in."""
    number = bisect_right(starts, place) - 1
    for run in range(max(starts[number], place - RUN + 1), min(place, starts[number + 1] - RUN) + 1):
        yield tuple(said[run : run + RUN])


def _forms(said: Numbers, starts: Numbers, places: Iterable[int]) -> frozenset[tuple[int, ...]]:
    """The runs that stand in more than `FORM` questions. Wherever they do, their rarest word is the same."""
    by_word: dict[int, list[int]] = {}
    for place in places:
        by_word.setdefault(said[place], []).append(place)
    found: set[tuple[int, ...]] = set()
    for same in by_word.values():
        if len(same) <= FORM:
            continue
        questions: dict[int, set[tuple[int, ...]]] = {}
        for place in same:
            number = bisect_right(starts, place) - 1
            questions.setdefault(number, set()).update(_runs_at(said, starts, place))
        counts = Counter(run for runs in questions.values() for run in runs)
        found.update(run for run, count in counts.items() if count > FORM)
    return frozenset(found)


def _formal(said: Numbers, starts: Numbers, place: int, forms: frozenset[tuple[int, ...]]) -> bool:
    """Whether every run that a place is in is a form."""
    return all(run in forms for run in _runs_at(said, starts, place))
