"""Choices that depend on a seed and a name alone, on every machine and Python."""

from __future__ import annotations

import hashlib


def chosen(count: int, wanted: int, seed: int, name: str) -> tuple[int, ...]:
    """`wanted` of the numbers 0 to `count - 1`, in rising order, all of them as likely.

    Args:
        count: How many there are.
        wanted: How many to choose; more than `count` gives all.
        seed: The run's seed.
        name: What is chosen from; another name gives another choice.
    """
    order = sorted(range(count), key=lambda place: (_rank(f"{seed}\n{name}\n{place}"), place))
    return tuple(sorted(order[: max(0, wanted)]))


def _rank(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
