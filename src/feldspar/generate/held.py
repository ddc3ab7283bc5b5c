"""The index of questions to avoid: which of many a text can be near, and which it can share words with.

Every question that `contamination` asks for is found, though few are looked at:

- Of two bags of words that have `a` words in common, the rarest m - a + c and n - a + c words have c in
  common (c <= a), whatever order says what is rare; words that come again in a text count as others.
- Texts that share words in a row share each five of them, and so the rarest five in any row of
  thirteen, or in a whole question: the places of these are known.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from feldspar.text import words

ALIKE = 0.9
LONG_ENOUGH = 5
"""Words; a shorter question must be the whole prompt or instruction."""
RUN = 13
FORM = 10
"""A run of words in more questions than these is no one's."""

UNKNOWN = -1
"""A word that no question has."""

_TOGETHER = 3
"""Rare words that two texts must have in common to be compared, where they have so many."""

_COUNTERS = 1 << 22
"""Fives are counted in so many counters; what shares one with others is taken for less rare."""

_LOW = (1 << 32) - 1

Numbers: TypeAlias = "array[int]"

Asked: TypeAlias = tuple[str, str, int]
"""A question, and where it is from: the file, with the mark after it, and the line or number there; or 0."""

_TOLD = 20
"""Words of a question that are told of it."""


@dataclass(frozen=True, slots=True)
class Lists:
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
    """The ranks of words that come again in a text."""
    said: Numbers
    """The words of all questions, one after another."""
    starts: Numbers
    """Where each question begins; the end, last."""
    longest: int
    """Words of the longest question."""
    benchmarks: int
    """The first question of a benchmark."""
    rare: Lists
    """The questions by their rarest words."""
    fives: Lists
    """The places of the rarest five words of each question and of each of its runs, by `slot`."""
    forms: frozenset[tuple[int, ...]]
    """Runs that are no one question's."""
    files: tuple[str, ...]
    """Where questions are from; the first is no file."""
    origins: Numbers
    """For each question, `file << 32 | line`."""

    @staticmethod
    def build(questions: Iterable[str | Asked], benchmarks: Iterable[str | Asked] = ()) -> Held:
        """Index questions; each is kept once.

        Args:
            questions: Held-out seeds and question files, each as a student is asked it.
            benchmarks: Those of benchmark files (`asked_in`).
        """
        numbers: dict[str, int] = {}
        files = {"": 0}
        graded, others = _numbered(benchmarks, numbers, files), _numbered(questions, numbers, files)
        first = {question: place for question, place in others.items() if question not in graded}
        return _built(first | graded, len(first), numbers, tuple(files))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def question(self, number: int) -> Numbers:
        """The words of a question."""
        return self.said[self.starts[number] : self.starts[number + 1]]

    def told(self, number: int) -> str:
        """A question for people: its first words as they are compared, and where it is from."""
        ranks = list(self.question(number)[:_TOLD])
        wanted = set(ranks)
        spelled = {rank: word for word, rank in self.numbers.items() if rank in wanted}
        more = " …" if self.starts[number + 1] - self.starts[number] > _TOLD else ""
        said = " ".join(spelled[rank] for rank in ranks)
        file, line = self.files[self.origins[number] >> 32], self.origins[number] & _LOW
        place = f"{file}{line or ''}" if file else "a held-out seed"
        return f'"{said}{more}" ({place})'

    def at(self, place: int) -> int:
        """The question that a place is in."""
        return bisect_right(self.starts, place) - 1

    def slot(self, five: int) -> int:
        """Where in `fives` the places of five words are, given their hash as a tuple."""
        return five & (len(self.fives.starts) - 2)


def shared_at_least(count: int) -> int:
    """How many words a text shares with any that is as like as `ALIKE`.

    2 lcs/(m + n) >= t and n >= lcs, so lcs >= t m/(2 - t).
    """
    return math.ceil(ALIKE * count / (2 - ALIKE) - 1e-6)


def together(count: int) -> int:
    """How many rare words a text has in common with any that is as like, if each is looked at as far as
    `prefix` says."""
    shortest = max(1, shared_at_least(count))
    return min(_TOGETHER, shared_at_least(shortest))


def prefix(count: int) -> int:
    """How many of a text's rarest words are looked at."""
    shared = shared_at_least(count)
    return count - shared + min(_TOGETHER, shared)


def units(text: Iterable[int], repeats: Mapping[int, int]) -> Iterator[int]:
    """A text's words by rank, one that comes again as another; without those that no question has."""
    for word, count in Counter(text).items():
        if word != UNKNOWN:
            yield word
            for turn in range(1, count):
                unit = repeats.get(turn << 32 | word)
                if unit is not None:
                    yield unit


def fives(text: Sequence[int]) -> Iterator[int]:
    """The hash of each five words in a row."""
    return map(hash, zip(text, text[1:], text[2:], text[3:], text[4:], strict=False))


def _numbered(
    texts: Iterable[str | Asked], numbers: dict[str, int], files: dict[str, int]
) -> dict[bytes, int]:
    """Texts as numbers of words, each once; a word that is new gets the next number."""
    found: dict[bytes, int] = {}
    for one in texts:
        text, file, line = (one, "", 0) if isinstance(one, str) else one
        ids = array("I", (numbers.setdefault(word, len(numbers)) for word in words(text)))
        if ids:
            found.setdefault(ids.tobytes(), files.setdefault(file, len(files)) << 32 | line)
    return found


def _built(
    questions: Mapping[bytes, int], benchmarks: int, words_met: Mapping[str, int], files: tuple[str, ...]
) -> Held:
    origins = array("Q", questions.values())
    said, starts = array("I"), array("I", [0])
    for question in questions:
        said.frombytes(question)
        starts.append(len(said))
    counts = Counter(said)
    ranked = sorted(words_met, key=lambda word: (counts[words_met[word]], word))
    numbers = {word: rank for rank, word in enumerate(ranked)}
    ranks = {words_met[word]: rank for word, rank in numbers.items()}
    said = array("I", map(ranks.__getitem__, said))
    repeats: dict[int, int] = {}
    pairs = array("Q")
    for number in range(len(questions)):
        text = said[starts[number] : starts[number + 1]]
        for word, count in Counter(text).items():
            for turn in range(1, count):
                repeats.setdefault(turn << 32 | word, len(numbers) + len(repeats))
        rarest = sorted(units(text, repeats))[: prefix(len(text))]
        pairs.extend(unit << 32 | number for unit in rarest)
    rare = _lists(pairs, len(numbers) + len(repeats))
    hashes = array("q", fives(said))
    rarity = _rarity(hashes)
    whole = {
        min(range(starts[number], starts[number + 1] - 4), key=rarity)
        for number in range(len(questions))
        if starts[number + 1] - starts[number] >= LONG_ENOUGH
    }
    graded = starts[benchmarks:]
    runs = {rarest for _, rarest in _anchors(rarity, graded)}
    forms = _forms(said, starts, hashes, runs)
    if forms:
        runs = {at for run, at in _anchors(rarity, graded) if tuple(said[run : run + RUN]) not in forms}
    kept = whole | runs
    slots = 1 << max(4, (4 * len(kept)).bit_length())
    places = _lists(array("Q", ((hashes[p] & (slots - 1)) << 32 | p for p in kept)), slots)
    longest = max((end - start for start, end in pairwise(starts)), default=0)
    return Held(numbers, repeats, said, starts, longest, benchmarks, rare, places, forms, files, origins)


def _lists(pairs: Numbers, keys: int) -> Lists:
    """Lists out of `key << 32 | item`."""
    sizes = Counter(pair >> 32 for pair in pairs)
    starts = array("I", [0])
    for key in range(keys):
        starts.append(starts[-1] + sizes[key])
    return Lists(starts, array("I", (pair & _LOW for pair in sorted(pairs))))


def _rarity(hashes: Numbers) -> Callable[[int], tuple[int, int]]:
    """How often the five words at a place stand in all questions, at most; then their hash, for equals."""
    # As many counters as there is need of: a leaf's few held-out seeds are no benchmark.
    size = min(_COUNTERS, 1 << max(4, (4 * len(hashes)).bit_length()))
    counters = array("I", bytes(4 * size))
    for five in hashes:
        counters[five % size] += 1
    return lambda place: (counters[hashes[place] % size], hashes[place])


def _anchors(rarity: Callable[[int], tuple[int, int]], starts: Numbers) -> Iterator[tuple[int, int]]:
    """The place of each run, and of its rarest five words; the first of equals."""
    for start, end in pairwise(starts):
        rarest = -1
        for run in range(start, end - RUN + 1):
            last = run + RUN - 5
            if rarest < run:
                rarest = min(range(run, last + 1), key=rarity)
            elif rarity(last) < rarity(rarest):
                rarest = last
            yield run, rarest


def _runs_at(said: Numbers, starts: Numbers, place: int) -> Iterator[tuple[int, ...]]:
    """The runs of a question that the five words at a place are in."""
    number = bisect_right(starts, place) - 1
    first, last = max(starts[number], place + 5 - RUN), min(place, starts[number + 1] - RUN)
    return (tuple(said[run : run + RUN]) for run in range(first, last + 1))


def _forms(said: Numbers, starts: Numbers, hashes: Numbers, places: Set[int]) -> frozenset[tuple[int, ...]]:
    """The runs that stand in more than `FORM` questions: wherever they do, their rarest five are the same."""
    often = {five for five, count in Counter(hashes[place] for place in places).items() if count > FORM}
    same: dict[int, list[int]] = {}
    for place in places:
        if hashes[place] in often:
            same.setdefault(hashes[place], []).append(place)
    found: set[tuple[int, ...]] = set()
    for group in same.values():
        questions: dict[int, set[tuple[int, ...]]] = {}
        for place in group:
            number = bisect_right(starts, place) - 1
            questions.setdefault(number, set()).update(_runs_at(said, starts, place))
        counts = Counter(run for runs in questions.values() for run in runs)
        found.update(run for run, count in counts.items() if count > FORM)
    return frozenset(found)


NOTHING = Held.build(())
"""No question at all."""
