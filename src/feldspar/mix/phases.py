"""§3.3, Table 1: samples dealt into phases by branch and length, with replay buffers."""

from __future__ import annotations

import difflib
import re
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from feldspar.errors import RecipeError
from feldspar.mix.datasets import read_dataset
from feldspar.mix.sampling import chosen
from feldspar.types import Phase, PhaseData, Row, Sample, Take

_NUMBER = re.compile(r"#(\d{1,15})$")


@dataclass(frozen=True, slots=True)
class Mix:
    """What each phase trains on, and what became of the rest."""

    phases: tuple[PhaseData, ...]
    short_tokens: int
    """The longest short response, in the student's tokens."""
    dropped: tuple[tuple[str, str], ...]
    """Sample id and reason, of every sample that a phase left out, or that no phase took."""


def mix(
    samples: Iterable[Sample],
    datasets: Iterable[Iterable[Sample]],
    phases: Sequence[Phase],
    count_tokens: Callable[[str], int],
    *,
    short_tokens: int | Literal["auto"] = "auto",
    seed: int = 0,
    twins: Mapping[str, str] | None = None,
) -> Mix:
    """Deal samples into phases (Table 1).

    Exact duplicates keep their first by (leaf, draw), and of twins across leaves the earlier stays. A
    phase's rows are its own, by (leaf, draw), then those replayed from earlier phases; the order they
    are trained in is the trainer's. Nothing depends on the order of the arguments.

    Args:
        samples: The generated ones.
        datasets: The foundational ones, dataset by dataset.
        phases: In training order.
        count_tokens: Tokens of a text, as the student counts them.
        short_tokens: Responses of up to so many tokens are short; `auto`: up to the median response
            of the branches that some phase takes by length.
        seed: The run's: it draws replayed rows and caps.
        twins: Near-duplicates by id, each with the id of the earlier sample that it is like; one whose
            twin is not there, or of a branch that no phase takes, is kept.

    Raises:
        RecipeError: A phase replays one that is not an earlier phase, two share a name, or a number
            makes no sense.
        DatasetError: A phase's file cannot be read.
    """
    _check(phases)
    pool, dropped = _distinct([*samples, *(sample for dataset in datasets for sample in dataset)])
    pool = _twinless(pool, twins or {}, {take.branch for phase in phases for take in phase.take}, dropped)
    lengths = {sample.id: count_tokens(sample.messages[-1].content) for sample in pool}
    short = _median(pool, phases, lengths) if short_tokens == "auto" else short_tokens
    if short < 0:
        raise RecipeError(f"short_tokens: {short} is below 0", "Give a number of tokens, or auto.")
    own: dict[str, tuple[Row, ...]] = {}
    data: list[PhaseData] = []
    for phase in phases:
        mine = [sample for sample in pool if _taken(sample, phase.take, lengths[sample.id] <= short)]
        mine += _joined(phase, mine, dropped)
        data.append(_phase_data(phase, [Row(sample) for sample in mine], own, seed, dropped))
        # What a cap left out was never trained on: there is nothing of it to replay.
        own[phase.name] = tuple(row for row in data[-1].rows if not row.replayed_from)
    for sample in pool:
        if not any(_taken(sample, phase.take, lengths[sample.id] <= short) for phase in phases):
            length = "short" if lengths[sample.id] <= short else "long"
            dropped.append((sample.id, f"no phase takes {sample.branch} ({length})"))
    return Mix(tuple(data), short, tuple(dropped))


def _check(phases: Sequence[Phase]) -> None:
    if not phases:
        raise RecipeError("phases: there is none", "Name a preset, or list at least one phase.")
    names: list[str] = []
    for phase in phases:
        where = f"phases.{phase.name}"
        if phase.name in names:
            raise RecipeError(f"{where}: two phases have this name", "Rename one of them.")
        for replayed in phase.replay:
            if replayed not in names:
                near = difflib.get_close_matches(replayed, names, 1)
                mend = (
                    f"Did you mean `{near[0]}`?" if near else "Only phases that come before can be replayed."
                )
                raise RecipeError(f"{where}.replay: `{replayed}` is not an earlier phase", mend)
        if len(set(phase.replay)) < len(phase.replay):
            raise RecipeError(f"{where}.replay names a phase twice", "Name each once.")
        if not 0 <= phase.replay_fraction <= 1:
            raise RecipeError(
                f"{where}.replay_fraction: {phase.replay_fraction}", "Give a share from 0 to 1."
            )
        if phase.samples is not None and phase.samples < 1:
            raise RecipeError(f"{where}.samples: {phase.samples}", "Give a number above 0, or none.")
        names.append(phase.name)


def _distinct(samples: list[Sample]) -> tuple[list[Sample], list[tuple[str, str]]]:
    """The samples by (leaf, draw), each conversation once, and the later copies with their twin."""
    first: dict[tuple[tuple[str, str], ...], str] = {}
    kept: list[Sample] = []
    dropped: list[tuple[str, str]] = []
    ids: set[str] = set()
    for sample in sorted(samples, key=_place):
        if sample.id in ids:
            raise RecipeError(
                f"{sample.id}: two samples have this id", "Give each dataset another file name."
            )
        ids.add(sample.id)
        said = tuple((message.role, " ".join(message.content.split())) for message in sample.messages)
        twin = first.setdefault(said, sample.id)
        if twin == sample.id:
            kept.append(sample)
        else:
            dropped.append((sample.id, f"a duplicate of {twin}"))
    return kept, dropped


def _twinless(
    pool: Sequence[Sample], twins: Mapping[str, str], taken: Collection[str], dropped: list[tuple[str, str]]
) -> list[Sample]:
    """The samples without those whose twin of another leaf stays."""
    there = {sample.id for sample in pool if sample.branch in taken}
    late = {sample.id: twins[sample.id] for sample in pool if twins.get(sample.id) in there}
    dropped += [
        (name, f"a near-duplicate of {twin}, which is of another leaf") for name, twin in late.items()
    ]
    return [sample for sample in pool if sample.id not in late]


def _place(sample: Sample) -> tuple[str, int, str]:
    number = _NUMBER.search(sample.id)
    return sample.leaf, int(number.group(1)) if number else 0, sample.id


def _median(pool: Sequence[Sample], phases: Sequence[Phase], lengths: Mapping[str, int]) -> int:
    """The median response of the branches that are split by length; of all where none is."""
    split = {take.branch for phase in phases for take in phase.take if take.length != "all"}
    counts = [lengths[sample.id] for sample in pool if not split or sample.branch in split]
    return int(statistics.median(counts)) if counts else 0


def _taken(sample: Sample, takes: Iterable[Take], short: bool) -> bool:
    return any(
        take.branch == sample.branch and (take.length == "all" or (take.length == "short") == short)
        for take in takes
    )


def _joined(phase: Phase, mine: Sequence[Sample], dropped: list[tuple[str, str]]) -> list[Sample]:
    """The rows of the phase's files, whatever their length, without those that it has already."""
    branch = phase.take[0].branch if phase.take else "foundational_skills"
    rows: list[Sample] = []
    for number, file in enumerate(phase.files, 1):
        name = f"{phase.name}/{number}-{Path(file).stem}"
        read = read_dataset(Path(file), branch=branch, name=name)
        rows += read
        dropped += [(f"{branch}/{name}", f"{count} rows: {why}") for why, count in read.skipped.items()]
    kept, copies = _distinct([*mine, *rows])
    dropped += copies
    already = {sample.id for sample in mine}
    return [sample for sample in kept if sample.id not in already]


def _phase_data(
    phase: Phase,
    mine: Sequence[Row],
    own: Mapping[str, tuple[Row, ...]],
    seed: int,
    dropped: list[tuple[str, str]],
) -> PhaseData:
    """The phase's own rows and, out of `own`, those replayed from earlier phases, up to its cap."""
    if not mine:
        # Replay alone would only train on what was trained on before.
        return PhaseData(phase, (), "no data")
    there = {row.sample.id for row in mine}
    replayed: list[Row] = []
    for name in phase.replay:
        rows = own[name]
        count = round(len(rows) * phase.replay_fraction)
        for place in chosen(len(rows), count, seed, f"replay {name} in {phase.name}"):
            if rows[place].sample.id not in there:
                there.add(rows[place].sample.id)
                replayed.append(Row(rows[place].sample, replayed_from=name))
    rows = (*mine, *replayed)
    if phase.samples is None or len(rows) <= phase.samples:
        return PhaseData(phase, rows)
    kept = chosen(len(rows), phase.samples, seed, f"samples of {phase.name}")
    over = sorted(set(range(len(rows))) - set(kept))
    dropped += [
        (rows[n].sample.id, f"beyond the {phase.samples} samples of phase {phase.name}") for n in over
    ]
    return PhaseData(phase, tuple(rows[place] for place in kept))
