"""Where a dataset is: a file, a folder laid out as Hugging Face lays it out, or an id there (§3.1)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from feldspar.errors import DatasetError, RecipeError
from feldspar.mix import hub
from feldspar.mix.adapters import (
    ADAPTERS,
    Adapter,
    by_columns,
    messages,
    missing_columns,
    recognised,
    unknown_columns,
)
from feldspar.mix.cards import LARGEST_CARD, Card, choose, read_card
from feldspar.mix.tables import rows_of
from feldspar.text import printable

ADAPTER_NAMES = ("auto", *ADAPTERS, "columns")
"""What a recipe's `adapter` can be."""

_PEEKED = 20
"""Rows at the start of a dataset whose keys tell its form."""
_MOST_FILES = 100_000
_NO_CARD = Card()


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of rows."""

    path: Path
    name: str
    """What its rows are said to be from: never a path of this machine."""


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset that was found, and how its rows are read; no row of it is in memory."""

    name: str
    """The file's or folder's name without its ending, or the id."""
    files: tuple[DataFile, ...]
    adapter: Adapter
    licence: str = ""
    """What its card says; empty: nothing."""
    revision: str = ""
    """The commit on Hugging Face; empty for local files."""


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    files: tuple[DataFile, ...]
    card: Card = _NO_CARD
    revision: str = ""


def find_dataset(
    path: str | Path,
    *,
    adapter: str | Adapter = "auto",
    columns: Mapping[str, str] | None = None,
    config: str = "",
    split: str = "train",
    revision: str = "",
) -> Source:
    """Find a dataset, fetch it where it is on Hugging Face, and see how its rows are read.

    Args:
        path: A path that exists, else an id (`owner/name`) on Hugging Face.
        adapter: One of `ADAPTER_NAMES`, or a function; `auto` looks at the keys of the first rows.
        columns: For the adapter `columns`: see `adapters.by_columns`.
        config: A configuration of the dataset, or the folder that is one.
        split: Which rows of a folder or an id.
        revision: A branch, tag or commit on Hugging Face.

    Raises:
        DatasetError: There is no such dataset, split or configuration, its first rows cannot be read,
            or their form is unknown; it says which columns there are.
        RecipeError: There is no such adapter, or keys that do not fit each other.
    """
    read = _adapter(adapter, columns)
    place = _place(path, config, split or "train", revision)
    if read is None or columns:
        first, where = _first_rows(place.files)
        if read is None:
            name = recognised(first)
            if name is None and first:
                raise unknown_columns(first, where, "no form that is known")
            read = ADAPTERS[name] if name else messages
        missing_columns(columns or {}, first, where)
    return Source(place.name, place.files, read, place.card.licence, place.revision)


def _adapter(adapter: str | Adapter, columns: Mapping[str, str] | None) -> Adapter | None:
    """The function; None: the first rows tell it."""
    if not isinstance(adapter, str):
        return adapter
    if adapter not in ADAPTER_NAMES:
        raise RecipeError(f"`{adapter}` is not an adapter", f"Adapters: {', '.join(ADAPTER_NAMES)}.")
    if adapter == "columns":
        return by_columns(columns or {})
    if columns:
        raise RecipeError(f"columns: adapter `{adapter}` does not read them", "Give adapter: columns.")
    return None if adapter == "auto" else ADAPTERS[adapter]


def _place(path: str | Path, config: str, split: str, revision: str) -> _Place:
    local = Path(path)
    shown = printable(str(path))
    try:
        is_folder, there = local.is_dir(), local.exists()
    except (OSError, ValueError):
        is_folder = there = False
    if not there and hub.is_id(str(path)):
        return _on_hub(str(path), config, split, revision)
    if revision:
        raise RecipeError(f"{shown}: a local path has no revision", "Leave `revision` out.")
    if is_folder:
        return _in_folder(local, config, split)
    if not there:
        raise DatasetError(
            f"{shown}: there is no such file",
            "Check the path in the recipe; an id on Hugging Face is `owner/name`.",
        )
    if config:
        raise RecipeError(f"{shown}: a single file has no configurations", "Leave `config` out.")
    stem = local.stem.partition(".")[0] if local.suffix.lower() == ".gz" else local.stem
    return _Place(stem or local.name, (DataFile(local, local.name),))


def _in_folder(folder: Path, config: str, split: str) -> _Place:
    names = tuple(_files_below(folder))
    card = _card(folder, str(folder))
    chosen = choose(names, card, config, split, str(folder))
    called = folder.resolve().name
    files = tuple(DataFile(_safe(folder, name, str(folder)), f"{called}/{name}") for name in chosen)
    return _Place(called, files, card)


def _on_hub(repo: str, config: str, split: str, revision: str) -> _Place:
    cards: list[Card] = []

    def chosen(folder: Path, names: tuple[str, ...]) -> tuple[str, ...]:
        cards.append(_card(folder, repo))
        return choose(names, cards[0], config, split, repo)

    found = hub.fetch(repo, revision, chosen)
    files = tuple(DataFile(_safe(found.folder, name, repo), f"{repo}/{name}") for name in found.names)
    return _Place(repo, files, cards[0], found.commit)


def _files_below(folder: Path) -> Iterator[str]:
    count = 0
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(names):
            count += 1
            if count > _MOST_FILES:
                told = f"{folder}: it holds more than {_MOST_FILES:,} files"
                raise DatasetError(told, "Name a folder of the dataset alone.")
            yield Path(top, name).relative_to(folder).as_posix()


def _card(folder: Path, where: str) -> Card:
    if not (folder / "README.md").is_file():
        return _NO_CARD
    path = _safe(folder, "README.md", where)
    try:
        with path.open("rb") as file:
            return read_card(file.read(LARGEST_CARD).decode("utf-8", "replace"), f"{where}/README.md")
    except OSError as error:
        raise DatasetError(f"{path}: it cannot be read: {error.strerror}", "Check its rights.") from error


def _safe(folder: Path, name: str, where: str) -> Path:
    """The file, which lies in the folder; or, for a snapshot in the hub's cache, among its blobs."""
    try:
        root, real = folder.resolve(), (folder / name).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        told = f"{where}/{printable(name)}: a link that leads nowhere"
        raise DatasetError(told, "Fetch it again.") from error
    blobs = root.parent.parent / "blobs" if root.parent.name == "snapshots" else root
    if not (real.is_relative_to(root) or real.is_relative_to(blobs)) or not real.is_file():
        raise DatasetError(
            f"{where}/{printable(name)}: it leads out of the dataset, or is no regular file",
            "Such a link is never followed: put the file in its place.",
        )
    return folder / name


def _first_rows(files: Sequence[DataFile]) -> tuple[list[Mapping[str, Any]], str]:
    """The first rows of the first file that has any."""
    for file in files:
        with closing(rows_of(file.path)) as rows:
            first = list(islice(rows, _PEEKED))
        if first:
            return [row.data for row in first], first[0].where
    return [], ""


def dataset_digest(source: Source) -> str:
    """SHA-256 of a dataset: of a single file its bytes', else of all its files' names and digests.

    A commit on Hugging Face cannot change: its files are not read for this.

    Raises:
        DatasetError: A file cannot be read.
    """
    whole = hashlib.sha256()
    for file in source.files:
        if source.revision:
            digest = f"{source.revision} {file.path.stat().st_size}"
        else:
            try:
                with file.path.open("rb") as content:
                    digest = hashlib.file_digest(content, "sha256").hexdigest()
            except OSError as error:
                raise DatasetError(
                    f"{file.path}: it cannot be read: {error.strerror}", "Check the path in the recipe."
                ) from error
            if len(source.files) == 1:
                return digest
        whole.update(f"{file.name}\0{digest}\n".encode("utf-8", "surrogatepass"))
    return whole.hexdigest()
