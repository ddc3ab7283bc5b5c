"""How often judges were right on drafts of which it is known: agreement, bias, and whether it is chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from feldspar.text import counted

AS_WRITTEN = "as written"
"""The kind of a seed that nothing was done to: the one that a judge should keep."""

_WIDTH = 110
"""Characters of a line for people."""

_NAME = 28
"""Characters that a judge's name may have at least."""

_TWO_SIDED = 1.96
"""Standard errors of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Rated:
    """What one judge said of one known draft."""

    judge: str
    seed: int
    """Which seed it was made of, so that it is compared with that one as it is written."""
    kind: str
    keep: bool | None
    """None: the reply could not be read, or the request was refused."""
    score: float | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Rating:
    """What a judge made of one kind of draft."""

    kind: str
    count: int
    """Judgements that could be read."""
    unreadable: int
    refused: int
    kept: float
    """Share kept, 0 to 1: high is good for seeds as they are written, low for all others."""
    mean_score: float | None
    agreement: float
    """Of seeds as they are written, the share kept. Of others, the mean of the share rejected and of
    the share kept of their seeds as they are written: 0.5 is a coin, or a judge that says the same to all."""
    low: float
    high: float
    """The agreement's 95 % interval (Wilson's)."""
    at_chance: bool
    """Whether 0.5 or less lies in that interval."""


@dataclass(frozen=True, slots=True)
class JudgeCalibration:
    """What one judge made of all kinds."""

    judge: str
    """As verdicts name it: `pair`, or `pair (model)`."""
    ratings: tuple[Rating, ...]
    count: int
    unreadable: int
    refused: int
    agreement: float
    """The mean of the share of seeds kept and of the share of corrupted ones rejected, 0 to 1."""
    low: float
    high: float
    bias: float
    """Share kept less the share that should have been, with as many good as bad, -0.5 to 0.5: above 0
    it is lenient, below 0 harsh."""
    mean_good: float | None
    mean_corrupted: float | None
    at_chance: bool


def measured(rated: Iterable[Rated]) -> tuple[JudgeCalibration, ...]:
    """What the judges made of known drafts, in the order in which they first occur."""
    by_judge: dict[str, list[Rated]] = {}
    for one in rated:
        by_judge.setdefault(one.judge, []).append(one)
    return tuple(_judge(name, found) for name, found in by_judge.items())


def _judge(name: str, rated: Sequence[Rated]) -> JudgeCalibration:
    good = [one for one in rated if one.kind == AS_WRITTEN]
    bad = [one for one in rated if one.kind != AS_WRITTEN]
    agreement, low, high = _balanced(good, bad)
    kept_good, kept_bad = _kept(good), _kept(bad)
    kinds = dict.fromkeys(one.kind for one in rated if one.kind != AS_WRITTEN)
    return JudgeCalibration(
        judge=name,
        ratings=(_rating(AS_WRITTEN, good, good), *(_rating(kind, bad, good) for kind in kinds)),
        count=len(_read(rated)),
        unreadable=sum(one.keep is None and not one.refused for one in rated),
        refused=sum(one.refused for one in rated),
        agreement=agreement,
        low=low,
        high=high,
        bias=round((kept_good + kept_bad) / 2 - 0.5, 4) if _read(good) and _read(bad) else 0.0,
        mean_good=_mean(good),
        mean_corrupted=_mean(bad),
        at_chance=low <= 0.5,
    )


def _rating(kind: str, among: Sequence[Rated], good: Sequence[Rated]) -> Rating:
    mine = [one for one in among if one.kind == kind]
    read = _read(mine)
    if kind == AS_WRITTEN:
        agreement, (low, high) = _kept(mine), wilson(sum(bool(one.keep) for one in read), len(read))
    else:
        seeds = {one.seed for one in mine}
        agreement, low, high = _balanced([one for one in good if one.seed in seeds], mine)
    return Rating(
        kind=kind,
        count=len(read),
        unreadable=sum(one.keep is None and not one.refused for one in mine),
        refused=sum(one.refused for one in mine),
        kept=round(_kept(mine), 4),
        mean_score=_mean(mine),
        agreement=round(agreement, 4),
        low=low,
        high=high,
        at_chance=low <= 0.5,
    )


def _balanced(good: Sequence[Rated], bad: Sequence[Rated]) -> tuple[float, float, float]:
    """Agreement with as much weight on good as on bad, and its interval.

    The interval counts twice the smaller of the two, which is never too narrow: several corruptions
    of a seed are not several seeds.
    """
    least = min(len(_read(good)), len(_read(bad)))
    if not least:
        return 0.0, 0.0, 1.0
    agreement = (_kept(good) + 1 - _kept(bad)) / 2
    low, high = wilson(agreement * 2 * least, 2 * least)
    return round(agreement, 4), low, high


def wilson(right: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share: `right` of `count`; (0, 1) where nothing was counted."""
    if not count:
        return 0.0, 1.0
    share, square = right / count, _TWO_SIDED**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = (
        _TWO_SIDED * math.sqrt(share * (1 - share) / count + square / (4 * count**2)) / (1 + square / count)
    )
    return round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


def told(judge: JudgeCalibration) -> str:
    """A short line for people: who, how often right, what it keeps; `calibration.json` has the rest."""
    good, bad = judge.ratings[0], judge.ratings[1:]
    weak = [rating.kind for rating in bad if rating.at_chance]
    count = sum(rating.count for rating in bad)
    if not good.count or not count:
        text, more = "too little could be read of its verdicts on known drafts", []
    else:
        kept = sum(rating.kept * rating.count for rating in bad) / count
        more = [f"keeps {good.kept:.0%} of seeds, {kept:.0%} of corrupted"]
        text = f"{judge.agreement:.0%} right"
        if judge.at_chance:
            text = f"at chance ({text}), ignore it"
        elif weak:
            more.append(f"at chance on: {', '.join(weak)}")
    lost = judge.unreadable + judge.refused
    more += [f"{counted(lost, 'verdict')} of {judge.count + lost} missing"] if lost else []
    name = _shortened(judge.judge, _WIDTH - len("judge : ") - len("; ".join((text, *more[:1]))))
    line = f"judge {name}: {text}"
    for part in more:
        if len(line) + len(part) + 2 <= _WIDTH:
            line += f"; {part}"
    return line


def _shortened(name: str, room: int) -> str:
    """A name without its middle, where that is more than there is room for."""
    room = max(_NAME, room)
    half = room // 2
    return name if len(name) <= room else f"{name[: half - 1]}…{name[-half:]}"


def _read(rated: Sequence[Rated]) -> list[Rated]:
    return [one for one in rated if one.keep is not None]


def _kept(rated: Sequence[Rated]) -> float:
    read = _read(rated)
    return sum(bool(one.keep) for one in read) / len(read) if read else 0.0


def _mean(rated: Sequence[Rated]) -> float | None:
    scores = [one.score for one in rated if one.score is not None]
    return round(sum(scores) / len(scores), 4) if scores else None
