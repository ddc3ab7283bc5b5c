"""Foundational skills from datasets that exist already, and a person's own rows (§3.1, §3.3)."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from feldspar.errors import DatasetError, RecipeError
from feldspar.mix.adapters import Skip
from feldspar.mix.rows import ROW_MEND
from feldspar.mix.sampling import Lowest, Seen, rank
from feldspar.mix.sources import DataFile, Source, find_dataset
from feldspar.mix.tables import TableRow, rows_of
from feldspar.types import Branch, Message, Origin, Question, Sample

MOST_TEXT = 1_000_000_000
"""Characters of conversations that are kept in memory."""

REPEATED = "the same as an earlier row"


@dataclass(frozen=True, slots=True)
class Dataset:
    """The rows that were taken of a dataset, and what became of the others; iterates over its samples."""

    name: str
    samples: tuple[Sample, ...]
    """In the order of the files."""
    held: tuple[Sample, ...] = ()
    """Rows that are graded on, and never trained on."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Rows that are neither, by the reason."""
    licence: str = ""
    """The recipe's word, else the card's; empty: nobody said it."""
    rows: int = 0
    """All rows of the files: samples, held and skipped add up to them."""

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)


def read_dataset(
    source: Source | Path,
    *,
    licence: str = "",
    cap: int | None = None,
    holdout: int = 0,
    seed: int = 0,
    branch: Branch = "foundational_skills",
    name: str = "",
) -> Dataset:
    """Read a dataset, and draw from it; its files are read once, and only what is drawn is kept.

    Every row is checked, those too that the cap leaves out. A conversation that stands there twice is
    taken once. What is drawn depends on the seed, the name and the rows alone; the rows held out do
    not depend on the cap.

    Args:
        source: What `find_dataset` found; or a file of rows in `messages` form.
        licence: The rows' licence, an SPDX identifier; empty: what the card says.
        cap: At most so many samples; None: all.
        holdout: Rows to hold out.
        seed: The run's seed.
        branch: The branch of the taxonomy that the rows belong to.
        name: What the rows are called in ids; empty: the source's name.

    Returns:
        The samples, in the files' order; ids are `<branch>/<name>#<row>`, rows counted over all files.

    Raises:
        DatasetError: A file or a row cannot be read, or nothing is left to train on.
        RecipeError: The cap or the hold-out is negative.
    """
    if isinstance(source, Path):
        source = find_dataset(source, adapter="messages")
    called = name or source.name
    if (cap is not None and cap < 0) or holdout < 0:
        raise RecipeError(f"{called}: a cap of {cap}, and {holdout} held out", "Give 0 or more, or no cap.")
    draw = _Draw(f"{branch}/{called}", seed, cap, holdout)
    skipped: Counter[str] = Counter()
    seen = Seen()
    rows = place = 0
    with closing(_all_rows(source)) as every:
        for file, number, row in every:
            rows += 1
            said = source.adapter(row.data, row.where)
            if isinstance(said, Skip):
                skipped[said.reason] += 1
                continue
            place += 1
            if not seen.add(_digest(said)):
                skipped[REPEATED] += 1
                continue
            origin = Origin("dataset", f"{file.name}:{row.number}", licence or source.licence)
            draw.offer(place - 1, Sample(f"{draw.leaf}#{number}", draw.leaf, branch, said, origin))
    samples, held = draw.result()
    _check_left(source, rows, skipped, held=len(held), left=place - skipped[REPEATED] - len(held))
    over = rows - len(samples) - len(held) - sum(skipped.values())
    if over:
        skipped[f"beyond the cap of {cap}"] = over
    reasons = {reason: count for reason, count in sorted(skipped.items()) if count}
    return Dataset(called, samples, held, reasons, licence or source.licence, rows)


def questions_of(dataset: Dataset) -> tuple[Question, ...]:
    """The rows that were held out, as questions to grade with; the group is the dataset's name.

    Of several turns the first is asked: the others hang on it. A system prompt is left out, as it is
    where the models are asked.
    """
    found = []
    for sample in dataset.held:
        turns = [message for message in sample.messages if message.role != "system"]
        found.append(Question(sample.id, dataset.name, turns[0].content, turns[1].content))
    return tuple(found)


def licence_said(source: Source, licence: str, path: str) -> str:
    """The licence of a dataset, which somebody has to say: what is unknown stays out (§3.1).

    Args:
        source: The dataset.
        licence: The recipe's word.
        path: The dataset as the recipe names it, for the error.

    Raises:
        DatasetError: Neither the recipe nor the dataset's card says it.
    """
    if found := licence.strip() or source.licence:
        return found
    raise DatasetError(
        f"{path}: its licence is said neither in the recipe nor on a card",
        f"Say it in the recipe: {{path: {path}, licence: …}}; of your own rows, licence: LicenseRef-own.",
    )


def _all_rows(source: Source) -> Generator[tuple[DataFile, int, TableRow], None, None]:
    """Every row with its file, and its number over all files."""
    before = 0
    for file in source.files:
        last = 0
        for row in rows_of(file.path):
            last = row.number
            yield file, before + last, row
        before += last


def _digest(said: tuple[Message, ...]) -> int:
    whole = hashlib.blake2b(digest_size=8)
    for message in said:
        content = message.content.encode()
        whole.update(f"{message.role} {len(content)} ".encode() + content)
    return int.from_bytes(whole.digest(), "big")


def _check_left(source: Source, rows: int, skipped: Mapping[str, int], *, held: int, left: int) -> None:
    where = str(source.files[0].path) if len(source.files) == 1 and not source.revision else source.name
    if not rows:
        raise DatasetError(f"{where}: it holds no rows", ROW_MEND)
    if left:
        return
    if held:
        raise DatasetError(f"{where}: all its {held} rows are held out", "Lower `holdout`, or leave it out.")
    reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
    raise DatasetError(f"{where}: none of its {rows} rows can be trained on: {reasons}", "Leave it out.")


class _Draw:
    """The samples and the held-out ones, drawn apart from one stream."""

    def __init__(self, leaf: str, seed: int, cap: int | None, holdout: int) -> None:
        self.leaf = leaf
        self._seed = seed
        self._cap = cap
        # Room for those that turn out to be held: they are in both draws until the end.
        self._taken = Lowest[Sample](None if cap is None else cap + holdout)
        self._held = Lowest[Sample](holdout)

    def offer(self, place: int, sample: Sample) -> None:
        size = sum(len(message.content) for message in sample.messages)
        for drawn, name in ((self._held, f"held out of {self.leaf}"), (self._taken, self.leaf)):
            at = rank(self._seed, name, place) if drawn.most else place
            if drawn.wants(at, place):
                drawn.offer(at, place, size, sample)
        if self._taken.size > MOST_TEXT:
            raise DatasetError(
                f"{self.leaf}: more than {MOST_TEXT:,} characters would be kept in memory",
                "Give the dataset a lower `cap`.",
            )

    def result(self) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
        """The samples and the held-out ones, each in the order of the rows."""
        held = {place: sample for _, place, sample in self._held.items()}
        taken = [(place, sample) for _, place, sample in self._taken.items() if place not in held]
        kept = sorted(taken[: self._cap], key=lambda entry: entry[0])
        return tuple(sample for _, sample in kept), tuple(held[place] for place in sorted(held))
