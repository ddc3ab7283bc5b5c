"""Two rounds of judging, draw by draw: what is newly kept, newly rejected, or not stored."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from feldspar import jsonl
from feldspar.types import Draft, Verdict


@dataclass(frozen=True, slots=True)
class RejudgedLeaf:
    """What judging again changed of a leaf."""

    leaf: str
    before: int
    """Drafts kept."""
    now: int
    newly_in: int
    newly_out: int
    not_stored: int
    """Draws whose writing is not stored: kept so far now and never carried on, or never begun."""
    agreement: float | None
    """Share of the draws that are in both, not counting those `not stored`, that had the same fate."""


@dataclass(frozen=True, slots=True)
class RejudgedVerdicts:
    """How the verdicts of one judge compare, where there are two on one draw; or of two, on one question."""

    judge: str
    """Its name; "pair (a) -> pair (b)" where another judges now."""
    count: int
    agreement: float
    score_before: float | None
    """Mean; None: it gives no scores."""
    score_now: float | None


def read_both(folder: Path) -> Iterator[Draft]:
    """All drafts of a run, in the order of leaves and draws."""
    both = (jsonl.read(folder / f"{name}.jsonl", Draft) for name in ("drafts", "rejected"))
    return heapq.merge(*both, key=_place)


def _place(draft: Draft) -> tuple[str, int]:
    return draft.leaf, draft.draw


def _paired(one: Iterator[Draft], other: Iterator[Draft]) -> Iterator[tuple[Draft | None, Draft | None]]:
    left, right = next(one, None), next(other, None)
    while left is not None or right is not None:
        if right is None or (left is not None and _place(left) < _place(right)):
            yield left, None
            left = next(one, None)
        elif left is None or _place(right) < _place(left):
            yield None, right
            right = next(other, None)
        else:
            yield left, right
            left, right = next(one, None), next(other, None)


@dataclass(slots=True)
class _Verdicts:
    count: int = 0
    same: int = 0
    scored: int = 0
    sums: tuple[float, float] = (0.0, 0.0)


def compared(
    old: Path, new: Path, ended: Mapping[str, bool]
) -> tuple[tuple[RejudgedLeaf, ...], tuple[RejudgedVerdicts, ...], list[str]]:
    """What judging again changed.

    Args:
        old: The samples' folder as it was.
        new: As it is now.
        ended: By leaf, whether it ended where no draw was begun.

    Returns:
        What changed by leaf and by judge, and the leaves of whose samples nothing is stored any more.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    judges: dict[tuple[str, str], _Verdicts] = defaultdict(_Verdicts)
    for before, now in _paired(read_both(old), read_both(new)):
        one = before or now
        assert one is not None
        _count(counts[one.leaf], before, now, ended.get(one.leaf, False))
        if before is not None and now is not None:
            _verdicts(before, now, judges)
    leaves = tuple(
        RejudgedLeaf(
            leaf,
            count["before"],
            count["now"],
            count["in"],
            count["out"],
            count["not stored"],
            count["same"] / count["both"] if count["both"] else None,
        )
        for leaf, count in sorted(counts.items())
    )
    lost = [leaf for leaf, count in sorted(counts.items()) if 0 < count["before"] == count["lost"]]
    return leaves, tuple(_told(*names, found) for names, found in sorted(judges.items())), lost


def _count(count: Counter[str], before: Draft | None, now: Draft | None, ended: bool) -> None:
    """Add one draw to its leaf's counts; `ended`: the leaf ended where no draw was begun."""
    kept = before is not None and not before.rejected
    keeps = now is not None and not now.rejected
    # A draw that is gone is not needed any more, where the leaf did not end for want of it.
    missing = ended if now is None else now.rejected == "not stored"
    count["before"] += kept
    count["now"] += keeps
    count["in"] += keeps and not kept
    count["out"] += kept and not keeps and not missing
    count["lost"] += kept and missing
    count["not stored"] += missing
    if not missing and before is not None and now is not None:
        count["both"] += 1
        count["same"] += kept == keeps


def _verdicts(before: Draft, now: Draft, judges: dict[tuple[str, str], _Verdicts]) -> None:
    for other, verdict in _matched(before.verdicts, now.verdicts):
        found = judges[other.judge, verdict.judge]
        found.count += 1
        found.same += verdict.keep == other.keep
        if verdict.score is not None and other.score is not None:
            found.scored += 1
            found.sums = (found.sums[0] + other.score, found.sums[1] + verdict.score)


def _matched(before: Sequence[Verdict], now: Sequence[Verdict]) -> Iterator[tuple[Verdict, Verdict]]:
    """The verdicts that answer one question: of one judge, then of those that came and went, in turn.

    A judge's verdicts are told apart by what stands before the model's name: "pair (a)" and "pair (b)"
    answer one question. Where as many judges went as came, the first stands for the first and so on;
    where not, none is matched, for nothing says which is which.
    """
    earlier = {verdict.judge: verdict for verdict in before}
    later = {verdict.judge: verdict for verdict in now}
    gone: dict[str, list[Verdict]] = defaultdict(list)
    came: dict[str, list[Verdict]] = defaultdict(list)
    for name, verdict in earlier.items():
        if name not in later:
            gone[_question(name)].append(verdict)
    for name, verdict in later.items():
        if name in earlier:
            yield earlier[name], verdict
        else:
            came[_question(name)].append(verdict)
    for question, others in came.items():
        if len(gone[question]) == len(others):
            yield from zip(gone[question], others, strict=True)


def _question(judge: str) -> str:
    return judge.partition(" (")[0]


def _told(before: str, now: str, found: _Verdicts) -> RejudgedVerdicts:
    means = (value / found.scored if found.scored else None for value in found.sums)
    name = now if before == now else f"{before} -> {now}"
    return RejudgedVerdicts(name, found.count, found.same / found.count, *means)
