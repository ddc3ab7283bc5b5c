"""Near-duplicates across leaves, by MinHash: marked here, dropped by the mix.

Within a leaf every draft is compared with every accepted one. Across leaves that would be all with all,
so only samples that share a band of their MinHash signatures are compared, and those exactly: nothing is
marked by chance, and a few of the least like twins are missed (docs/experiments.md has the shares).

The library for this (datasketch) needs numpy and scipy, which the core does not have: 216 MB, half a
second and 86 MiB to import; and it keeps its bands in memory or in another server. One permutation of
hashes, split into bins (one-permutation hashing, densified), needs neither and keeps them on disk.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

from feldspar.errors import RunError
from feldspar.generate.checks import likeness
from feldspar.text import words
from feldspar.types import Sample

_BANDS = 32
_ROWS = 4
"""Of two texts that share J of their shingles, a band agrees with probability J**4, one of 32 with
1 - (1 - J**4)**32: 0.95 at J = 0.55, 0.999 at 0.67, 0.02 at 0.15."""
_BINS = _BANDS * _ROWS
_EMPTY = 1 << 64

_CROWDED = 8
"""Samples under one band's value; more would be a turn of phrase that tells nothing."""
_COMPARED = 6
"""Candidates that a sample is compared with, those that share most bands."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A sample that is too like an earlier one of another leaf."""

    id: str
    like: str
    """The earlier sample, which is no twin itself."""
    similarity: float
    """ROUGE-L of their prompts, from the threshold to 1."""


@dataclass(frozen=True, slots=True)
class _Text:
    """What of a sample is compared, as words."""

    prompt: tuple[str, ...]
    response: tuple[str, ...]
    knowledge: bool


def twins(samples: Iterable[Sample], folder: Path, *, threshold: float = 0.7) -> Iterator[Twin]:
    """Mark the samples that are too like an earlier sample of another leaf.

    Two samples are twins where the ROUGE-L of what their users say reaches the threshold, as within a
    leaf, and what they are answered is as like, too. A skill's sample is one as well where the prompts
    agree in so large a share of their words and pairs of words, whatever the answers: "Write a limerick
    about cats" is no twin of "Write a haiku about cats", but of itself. A question about a document
    can have another answer in another document: there both must be alike.

    A twin is not compared with further: what is dropped for its sake is never the last of its kind.

    Args:
        samples: By (leaf, draw); the earlier is kept.
        folder: Where the index stands meanwhile, about 1.2 kB a sample.
        threshold: Above 0, up to 1.

    Yields:
        A twin for each sample to be dropped, in the samples' order, with the earliest of those that it
        is like.

    Raises:
        RunError: The folder cannot be written to, or the disk is full.
    """
    path = folder / ".twins.sqlite"
    leaves: dict[str, int] = {}
    try:
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path, isolation_level=None)) as index:
            _prepare(index)
            for at, sample in enumerate(samples):
                leaf = leaves.setdefault(sample.leaf, len(leaves))
                text = _text(sample)
                if not text.prompt:
                    continue
                keys = bands(shingles(text.prompt))
                candidates, crowded = _candidates(index, keys, leaf)
                found = _earliest(index, candidates, text, threshold)
                if found is not None:
                    yield Twin(sample.id, found[0], round(found[1], 3))
                else:
                    _add(index, at, leaf, sample.id, text)
                    fresh = [(key, at, leaf) for key in keys if key not in crowded]
                    index.executemany("INSERT OR IGNORE INTO bands VALUES (?, ?, ?)", fresh)
    except (sqlite3.Error, OSError) as error:
        mend = "Free some space there and give the same command again."
        raise RunError(f"{path}: samples of different leaves cannot be compared: {error}", mend) from error
    finally:
        path.unlink(missing_ok=True)


def shingles(found: Sequence[str]) -> set[int]:
    """The words of a text and its pairs of neighbouring words, each as a 64-bit number."""
    singles = [_hashed(word) for word in found]
    pairs = {(one * 0x9E3779B97F4A7C15 + two) & 0xFFFFFFFFFFFFFFFF for one, two in pairwise(singles)}
    return pairs.union(singles)


def bands(numbers: Iterable[int]) -> list[int]:
    """The bands of a set's MinHash signature, as 64-bit numbers: like sets have some of them in common.

    Each number falls into one of 128 bins, whose least is the signature's; an empty bin takes that of
    the next filled one on a way of its own.
    """
    least = [_EMPTY] * _BINS
    for number in numbers:
        place = number % _BINS
        if number < least[place]:
            least[place] = number
    # `filter` looks without a step of Python each, which is most of what a signature costs.
    filled = [number < _EMPTY for number in least].__getitem__
    signature = [
        number if number < _EMPTY else least[next(filter(filled, way))]
        for number, way in zip(least, _ways(), strict=True)
    ]
    # Hashes of numbers are the same in every process, unlike those of texts.
    return [hash((band, *signature[band * _ROWS : (band + 1) * _ROWS])) for band in range(_BANDS)]


@lru_cache(1 << 14)
def _hashed(word: str) -> int:
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


@cache
def _ways() -> tuple[tuple[int, ...], ...]:
    """For each bin all bins in an order of its own; odd steps go round a power of two, missing none."""
    return tuple(
        tuple((place + turn * (2 * (place * 37 % 61) + 1)) % _BINS for turn in range(1, _BINS + 1))
        for place in range(_BINS)
    )


def _text(sample: Sample) -> _Text:
    said: dict[str, list[str]] = {"user": [], "assistant": [], "system": []}
    for message in sample.messages:
        said[message.role] += words(message.content)
    return _Text(tuple(said["user"]), tuple(said["assistant"]), sample.branch == "knowledge")


def _like(one: _Text, other: _Text, threshold: float) -> float:
    """The likeness of two prompts if their samples are twins, else 0."""
    like = likeness(one.prompt, other.prompt, threshold)
    if like < threshold or likeness(one.response, other.response, threshold) >= threshold:
        return like if like >= threshold else 0.0
    if one.knowledge or other.knowledge:
        return 0.0
    mine, theirs = shingles(one.prompt), shingles(other.prompt)
    return like if len(mine & theirs) >= threshold * len(mine | theirs) else 0.0


def _prepare(index: sqlite3.Connection) -> None:
    # It is made anew by every run and never read by another: nothing of it must outlive a crash.
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "cache_size=-8192"):
        index.execute(f"PRAGMA {pragma}")
    index.execute("CREATE TABLE samples (at INTEGER PRIMARY KEY, id, prompt, response, knowledge)")
    index.execute("CREATE TABLE bands (key, at, leaf, PRIMARY KEY (key, at)) WITHOUT ROWID")
    index.execute("BEGIN")


_LOOK_UP = f"SELECT key, at, leaf FROM bands WHERE key IN ({', '.join('?' * _BANDS)})"  # noqa: S608


def _candidates(index: sqlite3.Connection, keys: Sequence[int], leaf: int) -> tuple[list[int], set[int]]:
    """Earlier samples of other leaves that share bands, in order, and the bands that take no more."""
    shared: Counter[int] = Counter()
    crowds: Counter[int] = Counter()
    for key, at, other in index.execute(_LOOK_UP, keys):
        crowds[key] += 1
        if other != leaf:
            shared[at] += 1
    best = sorted(shared, key=lambda at: (-shared[at], at))[:_COMPARED]
    return sorted(best), {key for key, count in crowds.items() if count >= _CROWDED}


def _earliest(
    index: sqlite3.Connection, candidates: Iterable[int], text: _Text, threshold: float
) -> tuple[str, float] | None:
    for at in candidates:
        row = index.execute("SELECT id, prompt, response, knowledge FROM samples WHERE at = ?", (at,))
        name, prompt, response, knowledge = row.fetchone()
        like = _like(text, _Text(_unpacked(prompt), _unpacked(response), bool(knowledge)), threshold)
        if like:
            return name.decode("utf-8", "surrogatepass"), like
    return None


def _add(index: sqlite3.Connection, at: int, leaf: int, name: str, text: _Text) -> None:
    row = (at, name.encode("utf-8", "surrogatepass"), _packed(text.prompt), _packed(text.response))
    index.execute("INSERT INTO samples VALUES (?, ?, ?, ?, ?)", (*row, text.knowledge))


def _packed(found: Sequence[str]) -> bytes:
    # A teacher can send half a character, which SQLite takes as bytes alone.
    return " ".join(found).encode("utf-8", "surrogatepass")


def _unpacked(data: bytes) -> tuple[str, ...]:
    return tuple(data.decode("utf-8", "surrogatepass").split(" "))
