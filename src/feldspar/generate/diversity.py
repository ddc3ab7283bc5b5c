"""How varied the samples are, by leaf and over all leaves: figures, no verdicts.

All of it is counted on prompts (a sample's first user turn, its first 400 words), for a teacher that
falls back on what it writes most easily (§3.2, Figure 2) shows it there. ROUGE-L is the measure that
near-duplicates are told by. Equal samples give equal figures, whatever machine they were drawn on.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rapidfuzz.distance import Indel

from feldspar.text import counted, words
from feldspar.types import Leaf, Sample

MEASURED = 200
"""Samples of a leaf that are measured, at most: those whose ids have the lowest hashes."""
COMPARED = 2000
"""Samples that are compared over the leaves, at most, as many of each leaf as of any other."""
NGRAMS = 100
"""N-grams that distinct ones are counted in: a longer text repeats more, so shares of all do not compare."""
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class LeafDiversity:
    """How varied one leaf's samples are; None where they are too few to tell."""

    leaf: str
    """Its path; empty where the figures are over all leaves."""
    samples: int
    measured: int
    """Of these, how many the figures below are of."""
    self_similarity: float | None
    """Mean over samples of the highest ROUGE-L to another of the leaf: 0 to 1, lower is more varied; near
    the threshold of near-duplicates the leaf is worn out. It rises with the number of samples, up to 200:
    compare runs of like size."""
    pairwise: float | None
    """Mean ROUGE-L of all pairs: 0 to 1, lower is more varied. A leaf of one form ("Write a postcard from
    …") has a high one by its nature: compare runs of one leaf, not leaves."""
    distinct: tuple[float | None, ...]
    """Of 100 words, pairs and triples of words drawn from all without putting back, the expected share of
    different ones: 0 to 1, higher is more varied. The expectation is exact (rarefaction), so leaves and
    runs of any size compare."""
    from_seeds: float | None
    """Mean over samples of 1 - the highest ROUGE-L to one of the leaf's seeds: 0 to 1. Near 0 the teacher
    copies; high is new, and near 1 perhaps no longer the task."""
    leakage: float | None
    """Share of samples that are more like one of another leaf than like any of their own: 0 to 1, lower is
    better; leaves that overlap show it."""
    twins: int = 0
    """Samples that are near-duplicates of an earlier one of another leaf, which the mix drops."""


@dataclass(frozen=True, slots=True)
class Diversity:
    """How varied the samples of a run are."""

    overall: LeafDiversity
    """Over the leaves: each has as many samples in it as any other, where it has so many."""
    leaves: tuple[LeafDiversity, ...]


def diversity(
    samples: Iterable[Sample], leaves: Sequence[Leaf], twins: Mapping[str, int] | None = None
) -> Diversity:
    """Measure how varied the samples are, in one pass and bounded memory.

    Args:
        samples: Leaf by leaf, as `accepted.jsonl` has them.
        leaves: For their seeds; leaves without samples are left out.
        twins: How many twins each leaf has, by its path; None: not looked for.

    Raises:
        ValueError: A leaf's samples do not stand together: a defect of the caller.
    """
    by_path = {leaf.path: leaf for leaf in leaves}
    share = max(2, min(MEASURED, COMPARED // max(1, len(by_path))))
    found: list[LeafDiversity] = []
    kept: list[_Kept] = []
    seen: set[str] = set()
    for path, group in groupby(samples, key=lambda sample: sample.leaf):
        if path in seen:
            raise ValueError(f"{path}: its samples do not stand together")
        seen.add(path)
        one, nearest = _leaf(path, group, by_path.get(path), (twins or {}).get(path, 0))
        found.append(one)
        # One that is alone in its leaf is nearer to another by its nature.
        if len(nearest) > 1:
            kept += [_Kept(len(found) - 1, text, own) for text, own in nearest[:share]]
    kept = _fewer(kept, COMPARED)
    leaked = _between(kept)
    for at, shares in leaked.items():
        found[at] = replace(found[at], leakage=_mean(shares) if len(leaked) > 1 else None)
    return Diversity(_overall(found, kept), tuple(found))


@dataclass(slots=True)
class _Kept:
    """A sample that is compared over the leaves."""

    leaf: int
    text: tuple[str, ...]
    own: float
    """The highest likeness to another of its leaf."""
    other: float = 0.0
    """To one of another leaf."""
    sum: float = 0.0
    """Over all that were kept before it."""


def _leaf(
    path: str, group: Iterable[Sample], leaf: Leaf | None, twins: int
) -> tuple[LeafDiversity, list[tuple[tuple[str, ...], float]]]:
    """A leaf's figures, and its measured texts with their highest likeness, the lowest hash first."""
    count = Counter[str]()
    chosen = heapq.nsmallest(MEASURED, _tallied(group, count), key=lambda sample: _rank(sample.id))
    texts = [prompt_words(sample) for sample in chosen]
    coded = _coded([*texts, *(seed_words(leaf) if leaf else ())])
    mine, seeds = coded[: len(texts)], coded[len(texts) :]
    best, total = [0.0] * len(mine), 0.0
    for at, one in enumerate(mine):
        for place in range(at):
            like = _rouge(one, mine[place])
            total += like
            best[at], best[place] = max(best[at], like), max(best[place], like)
    several = len(mine) > 1
    figures = LeafDiversity(
        leaf=path,
        samples=count["samples"],
        measured=len(mine),
        self_similarity=_mean(best) if several else None,
        pairwise=round(total / math.comb(len(mine), 2), 4) if several else None,
        distinct=tuple(distinct(texts, size) for size in (1, 2, 3)),
        from_seeds=_mean([1 - max(_rouge(one, seed) for seed in seeds) for one in mine]) if seeds else None,
        leakage=None,
        twins=twins,
    )
    return figures, list(zip(texts, best, strict=True))


def _tallied(group: Iterable[Sample], count: Counter[str]) -> Iterator[Sample]:
    for sample in group:
        count["samples"] += 1
        yield sample


def _between(kept: Sequence[_Kept]) -> dict[int, list[float]]:
    """By leaf, for each of its compared samples 1 where another leaf has the nearest, else 0."""
    coded = _coded([one.text for one in kept])
    for at, one in enumerate(kept):
        for place in range(at):
            two = kept[place]
            like = _rouge(coded[at], coded[place])
            one.sum += like
            if one.leaf != two.leaf:
                one.other, two.other = max(one.other, like), max(two.other, like)
    found: dict[int, list[float]] = {}
    for one in kept:
        found.setdefault(one.leaf, []).append(float(one.other > one.own))
    return found


def _fewer(kept: list[_Kept], most: int) -> list[_Kept]:
    """At most so many: whole leaves go, where there are more leaves than can be compared."""
    if len(kept) <= most:
        return kept
    order = sorted({one.leaf for one in kept}, key=lambda leaf: _rank(str(leaf)))
    left: set[int] = set()
    sizes = Counter(one.leaf for one in kept)
    for leaf in order:
        if most < sizes[leaf]:
            break
        most -= sizes[leaf]
        left.add(leaf)
    return [one for one in kept if one.leaf in left]


def _overall(leaves: Sequence[LeafDiversity], kept: Sequence[_Kept]) -> LeafDiversity:
    texts = [one.text for one in kept]
    leaks = [float(one.other > one.own) for one in kept]
    several = len(kept) > 1
    far = [(leaf.from_seeds, leaf.samples) for leaf in leaves if leaf.from_seeds is not None]
    weight = sum(count for _, count in far)
    return LeafDiversity(
        leaf="",
        samples=sum(leaf.samples for leaf in leaves),
        measured=len(kept),
        self_similarity=_mean([max(one.own, one.other) for one in kept]) if several else None,
        pairwise=round(math.fsum(one.sum for one in kept) / math.comb(len(kept), 2), 4) if several else None,
        distinct=tuple(distinct(texts, size) for size in (1, 2, 3)),
        from_seeds=round(sum(value * count for value, count in far) / weight, 4) if weight else None,
        leakage=_mean(leaks) if len({one.leaf for one in kept}) > 1 else None,
        twins=sum(leaf.twins for leaf in leaves),
    )


def lines(found: Diversity) -> list[str]:
    """The figures for people: a line a leaf, and one over all where there are several."""
    rows = [*found.leaves, found.overall] if len(found.leaves) > 1 else found.leaves
    return [_line(row) for row in rows]


def _line(row: LeafDiversity) -> str:
    told = [f"{row.leaf or 'all leaves'}: {counted(row.samples, 'sample')}"]
    if row.self_similarity is not None:
        told.append(f"self-similarity {row.self_similarity:.2f}")
    shares = " ".join("-" if share is None else f"{share:.2f}" for share in row.distinct)
    if shares != "- - -":
        told.append(f"distinct words, pairs, triples {shares}")
    if row.from_seeds is not None:
        told.append(f"{row.from_seeds:.2f} from the seeds")
    if row.leakage is not None:
        told.append(f"{row.leakage:.0%} nearer to another leaf")
    if row.twins:
        told.append(counted(row.twins, "twin"))
    return ", ".join(told)


def prompt_words(sample: Sample) -> tuple[str, ...]:
    """What of a sample is measured: the words of its first user turn, up to 400."""
    said = next((message.content for message in sample.messages if message.role == "user"), "")
    return tuple(words(said)[:_LONGEST])


def seed_words(leaf: Leaf) -> list[tuple[str, ...]]:
    """What of a leaf's seeds is compared with samples: a knowledge sample carries no context."""
    contexts = leaf.branch != "knowledge"
    asked = (f"{seed.context if contexts else ''}\n{seed.question}" for seed in leaf.seeds)
    return [tuple(words(text)[:_LONGEST]) for text in asked]


def _coded(texts: Sequence[Sequence[str]]) -> list[str]:
    """The texts with a character for each word: rapidfuzz compares strings several times as fast."""
    code: dict[str, str] = {}
    return ["".join(code.setdefault(word, chr(len(code) + 1)) for word in text) for text in texts]


def _rouge(one: str, other: str) -> float:
    return Indel.normalized_similarity(one, other) if one and other else 0.0


def _rank(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _mean(values: Sequence[float]) -> float:
    return round(math.fsum(values) / len(values), 4)


def distinct(texts: Iterable[Sequence[str]], size: int, drawn: int = NGRAMS) -> float | None:
    """The expected share of different n-grams among `drawn`, drawn from all without putting back.

    Args:
        texts: As words; no n-gram runs over from one to the next.
        size: Words of an n-gram.
        drawn: How many; None is returned where there are not so many.
    """
    counts = Counter(gram for text in texts for gram in zip(*(text[at:] for at in range(size)), strict=False))
    total = sum(counts.values())
    if total < drawn:
        return None
    # C(total - times, drawn) / C(total, drawn) is the chance that none of an n-gram's places is drawn.
    every = math.lgamma(total + 1) - math.lgamma(total - drawn + 1)
    expected = 0.0
    for times, kinds in sorted(Counter(counts.values()).items()):
        left = total - times
        missed = math.lgamma(left + 1) - math.lgamma(left - drawn + 1) - every if left >= drawn else -math.inf
        expected += kinds * (1 - math.exp(missed))
    return round(expected / drawn, 4)
