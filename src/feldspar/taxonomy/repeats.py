"""Seeds that stand in more than one leaf, found without holding the leaves.

Of each seed a hash is kept, 8 bytes with the number of its leaf. Only leaves whose hashes meet are read
again, to compare what the seeds say and to name their places.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import pairwise

from feldspar.taxonomy.advice import fold
from feldspar.taxonomy.problems import Findings, Problem
from feldspar.text import counted
from feldspar.types import Seed

_NUMBER_BITS = 24
_MOST_LEAVES = 1 << _NUMBER_BITS
_HASH_BITS = 64 - _NUMBER_BITS
_CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Standing:
    """A seed where it stands."""

    number: int
    """Of its leaf."""
    file: str
    place: tuple[int, int]
    told: bool
    """Whether problems of its leaf are asked for."""


def add(hashes: array[int], number: int, seeds: Iterable[Seed], knowledge: bool) -> None:
    """Add the seeds of a leaf to an `array("Q")`; of a leaf beyond the 16 millionth, nothing."""
    if number < _MOST_LEAVES:
        for seed in seeds:
            # Of a digest, not Python's own hash: that is salted, so what meets by chance would change.
            short = int.from_bytes(_digest(said(seed, knowledge))[: _HASH_BITS // 8])
            hashes.append(short << _NUMBER_BITS | number)


def met(hashes: array[int]) -> set[int]:
    """The numbers of the leaves with a seed whose hash stands in another leaf, too.

    The array is left in another order.
    """
    # In parts, so that there are never many of the numbers at once.
    starts = range(0, len(hashes), _CHUNK)
    for start in starts:
        hashes[start : start + _CHUNK] = array("Q", sorted(hashes[start : start + _CHUNK]))
    numbers: set[int] = set()
    for one, other in pairwise(merge(*(_part(hashes, start) for start in starts))):
        if one >> _NUMBER_BITS == other >> _NUMBER_BITS and one != other:
            numbers.update((one % _MOST_LEAVES, other % _MOST_LEAVES))
    return numbers


def _part(hashes: array[int], start: int) -> Iterator[int]:
    return (hashes[at] for at in range(start, min(start + _CHUNK, len(hashes))))


def said(seed: Seed, knowledge: bool) -> tuple[str, ...]:
    """What makes a seed the same as another: a skill's seed is made of its context, too."""
    context = "" if knowledge else fold(seed.context)
    return fold(seed.question), fold(seed.answer), context


def _digest(key: tuple[str, ...]) -> bytes:
    return hashlib.sha256(repr(key).encode()).digest()


def judge_across(standing: Iterable[tuple[tuple[str, ...], Standing]]) -> Iterator[Problem]:
    """Warn of the seeds that stand in several leaves: in each but the first, naming the first.

    Args:
        standing: What each seed says, with its place, in the order of reading.
    """
    groups: dict[bytes, list[Standing]] = {}
    seeds = Counter[int]()
    for key, place in standing:
        seeds[place.number] += 1
        # A digest: the leaves that meet can be all of them, and large.
        groups.setdefault(_digest(key), []).append(place)
    shared: dict[tuple[int, int, int], list[tuple[Standing, Standing]]] = {}
    for places in groups.values():
        leaves = len({place.number for place in places})
        if leaves > 1:
            for place, other in _met_again(places):
                shared.setdefault((place.number, other.number, leaves), []).append((place, other))
    for (number, _, leaves), pairs in shared.items():
        yield _told(pairs, seeds[number], leaves)


def _met_again(places: Sequence[Standing]) -> Iterator[tuple[Standing, Standing]]:
    """The places of one seed at which to tell it, with where else it stands."""
    first = places[0]
    # Where the first alone is asked about, it is the place to tell it.
    asked: Collection[Standing] = [p for p in places if p.told and p.number != first.number] or [
        p for p in places if p.told
    ]
    for place in asked:
        yield (
            place,
            first if place.number != first.number else next(p for p in places if p.number != first.number),
        )


def _told(pairs: Sequence[tuple[Standing, Standing]], seeds: int, leaves: int) -> Problem:
    """One line for all that a leaf shares with another one."""
    place, other = pairs[0]
    more = f", and in {leaves - 2} more" if leaves > 2 else ""
    if len(pairs) == 1:
        told = f"this seed stands in {other.file}:{other.place[0]} too{more}"
    else:
        told = f"{len(pairs)} of its {counted(seeds, 'seed')} stand in {other.file} too{more}"
    found = Findings(place.file)
    found.warn(
        place.place, "same-seed", told, "keep it in the leaf where it belongs, and write another one here"
    )
    return found.problems[0]
