"""Draws that depend on a seed and a name alone, on every machine and Python.

`chosen` draws where all is at hand; `Lowest` from a stream of unknown length, in bounded memory.
"""

from __future__ import annotations

import hashlib
import heapq
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_SHARDS = 4096


def rank(seed: int, name: str, place: int) -> int:
    """Where a place stands in the order of a draw, which takes the lowest."""
    text = f"{seed}\n{name}\n{place}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def chosen(count: int, wanted: int, seed: int, name: str) -> tuple[int, ...]:
    """`wanted` of the numbers 0 to `count - 1`, in rising order, all of them as likely.

    Args:
        count: How many there are.
        wanted: How many to choose; more than `count` gives all.
        seed: The run's seed.
        name: What is chosen from; another name gives another choice.
    """
    order = sorted(range(count), key=lambda place: (rank(seed, name, place), place))
    return tuple(sorted(order[: max(0, wanted)]))


class Lowest(Generic[T]):
    """The items of lowest rank among all that were offered.

    Args:
        most: How many are kept; None: all.
    """

    def __init__(self, most: int | None) -> None:
        self.most = most
        self.size = 0
        """The sum of the kept items' sizes."""
        # Places are unique: the items themselves are never compared.
        self._kept: list[tuple[int, int, int, T]] = []

    def wants(self, rank: int, place: int) -> bool:
        """Whether an item of this rank would be kept."""
        if self.most is None or len(self._kept) < self.most:
            return True
        return bool(self._kept) and (-rank, -place) > self._kept[0][:2]

    def offer(self, rank: int, place: int, size: int, item: T) -> None:
        """Keep an item that is wanted; the highest makes room for it."""
        entry = (-rank, -place, size, item)
        if self.most is None:
            self._kept.append(entry)
        elif len(self._kept) < self.most:
            heapq.heappush(self._kept, entry)
        else:
            self.size -= heapq.heapreplace(self._kept, entry)[2]
        self.size += size

    def items(self) -> Iterator[tuple[int, int, T]]:
        """Rank, place and item of all that are kept, the lowest rank first."""
        for rank, place, _, item in sorted(self._kept, key=lambda entry: (-entry[0], -entry[1])):
            yield -rank, -place, item


class Seen:
    """A set of 64-bit digests, in about nine bytes each: all rows of a file of gigabytes fit."""

    def __init__(self) -> None:
        self._shards = tuple(array("Q") for _ in range(_SHARDS))

    def add(self, digest: int) -> bool:
        """Whether the digest is new."""
        shard = self._shards[digest % _SHARDS]
        at = bisect_left(shard, digest)
        if at < len(shard) and shard[at] == digest:
            return False
        shard.insert(at, digest)
        return True
