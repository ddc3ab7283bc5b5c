"""The recipe's foundational datasets, as several stages use them (§3.1)."""

from __future__ import annotations

from feldspar import mix
from feldspar.errors import DatasetError
from feldspar.recipe import DatasetSettings, LicenceSettings
from feldspar.taxonomy import Gate, rule


def find_source(entry: DatasetSettings, licences: LicenceSettings) -> mix.Source:
    """The dataset that an entry names, fetched where it is on Hugging Face.

    What the recipe says of its licence is a person's word; what a card says has to pass the gate.

    Raises:
        DatasetError: there is none, its form is unknown, nobody said its licence, or it stays out.
    """
    source = mix.find_dataset(
        entry.path,
        adapter=entry.adapter,
        columns=entry.columns,
        config=entry.config,
        split=entry.split,
        revision=entry.revision,
    )
    said = mix.licence_said(source, entry.licence, str(entry.path))
    ruling = rule(said, Gate(also=licences.also))
    if not entry.licence and ruling.verdict != "allowed":
        raise DatasetError(
            f"{entry.path}: its card says the licence {said}, which {ruling.reason or 'is unknown'}",
            "If you may use it all the same, say its licence in the recipe: foundational.licence.",
        )
    return source


def read_rows(entry: DatasetSettings, source: mix.Source, seed: int, cap: int | None) -> mix.Dataset:
    """A dataset's rows: at most `cap` to train on, and those to grade with.

    Raises:
        DatasetError: a row cannot be read, or nothing is left to train on.
    """
    return mix.read_dataset(
        source,
        licence=entry.licence,
        cap=cap,
        holdout=entry.holdout,
        seed=seed,
        branch=entry.branch,
        name=entry.name,
    )
