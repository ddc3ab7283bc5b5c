"""A leaf's documents, as text: from its own folder, or from git (§3.1)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from feldspar.taxonomy.checks import LocalFile, Sources
from feldspar.taxonomy.convert import SUFFIXES, Unreadable, to_text
from feldspar.taxonomy.git import Fetched, GitTrouble, fetch
from feldspar.taxonomy.problems import START, Findings, Place
from feldspar.taxonomy.source import read_bytes, why
from feldspar.types import Document

MAX_DOCUMENT_BYTES = 20_000_000
_OWN = ("file:", "ssh:", "git@")
"""Repositories that a stranger's leaf can name, and only this person can read."""

CACHE_VARIABLE = "FELDSPAR_CACHE"
"""The environment variable that names the cache, where it is not the user's usual one."""


@dataclass(frozen=True, slots=True)
class Library:
    """Where documents come from beyond a leaf's folder."""

    cache: Path | None = None
    """A folder of the user's own, for what was fetched and converted; None: nothing is kept, and
    documents in git are left alone."""
    fetch: bool = False
    """Whether documents may be fetched; otherwise those that the cache lacks are left alone."""
    troubles: dict[str, GitTrouble] = field(default_factory=dict, repr=False)
    """By repository: one that cannot be had is asked once, however many leaves name it."""
    meanings: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict, repr=False)
    """By repository and name: the commit, and what there is to say of it. A branch that moves meanwhile
    means the same for all leaves. The files themselves are not kept: the cache has them."""


def cache_folder() -> Path:
    """The user's cache: `FELDSPAR_CACHE`, or `feldspar` where the system keeps such things."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    usual = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(usual) if usual else Path.home() / ".cache") / "feldspar"


def read_documents(
    folder: Path, sources: Sources, licence: str, library: Library, found: Findings
) -> tuple[Document, ...]:
    """Read the documents that a leaf names.

    Args:
        folder: The leaf's, which no document beside it may lie outside of.
        sources: What the leaf says of its documents.
        licence: Of every one of them.
        library: Where else documents come from.
        found: Where the problems go, each at the place that names the document.

    Returns:
        Those that could be read, in the order in which they are named.
    """
    documents: dict[str, Document] = {}
    for path, data, at in (*_beside(folder, sources, found), *_in_git(sources, library, found)):
        if path in documents:
            found.error(at, "repeated", f"{path} is named twice", "keep one of them")
            continue
        text = _text(path, data, library, at, found)
        if text is not None:
            documents[path] = Document(path, text, licence)
    return tuple(documents.values())


def _beside(folder: Path, sources: Sources, found: Findings) -> Iterator[tuple[str, bytes, Place]]:
    for file in sources.files:
        at = (file.line, file.column)
        path = _inside(file, found)
        if path is None:
            continue
        try:
            yield path, read_bytes(folder / path, folder, MAX_DOCUMENT_BYTES), at
        except (OSError, ValueError, RuntimeError) as error:
            mend = "name a readable file in the leaf's folder"
            found.error(at, "document", f"{path} {why(error)}", mend)


def _inside(file: LocalFile, found: Findings) -> str | None:
    """The path in one spelling, or None, with a problem noted, where it is no file name below the leaf."""
    path = PurePosixPath(file.path)
    if path.is_absolute() or PureWindowsPath(file.path).drive or file.path.startswith(("~", "\\")):
        told, mend = "is not relative to the leaf", "put the file beside qna.yaml and name it from there"
    elif ".." in path.parts or ".." in PureWindowsPath(file.path).parts:
        told, mend = "leads out of the leaf's folder", "put the file beside qna.yaml"
    elif "\\" in file.path or "\n" in file.path:
        told, mend = "holds a character that no document's name has", "separate folders with /"
    elif any(sign in file.path for sign in "*?["):
        told, mend = "is a pattern, which only documents in git have", "name each file"
    elif path.suffix.casefold() not in SUFFIXES:
        told, mend = f"is none of {', '.join(SUFFIXES)}", "convert it to Markdown or plain text"
    else:
        return os.path.normpath(path.as_posix())
    found.error((file.line, file.column), "document", f"{file.path[:200]!r} {told}", mend)
    return None


def _in_git(sources: Sources, library: Library, found: Findings) -> Iterator[tuple[str, bytes, Place]]:
    """The files of a commit that its patterns mean; none where they would have to be fetched, and may not."""
    if not (sources.repo and sources.commit and sources.patterns) or library.cache is None:
        return
    places = dict(sources.places)
    if sources.repo.startswith(_OWN):
        told = "its documents are taken from this machine, or with your own ssh key"
        mend = "go on only if you mean it: their text goes to the teacher, and into the samples"
        found.warn(places.get("repo", START), "own-repository", told, mend)
    try:
        fetched = _fetch(sources, library, library.cache)
    except GitTrouble as trouble:
        at = places.get(trouble.part, START)
        found.error(at, "document", trouble.what.rstrip("."), trouble.mend.rstrip("."))
        return
    if fetched is None:
        return
    if fetched.moved:
        mend = f"write `commit: {fetched.commit}`, which always means the same"
        found.warn(places.get("commit", START), "moving-commit", fetched.moved, mend)
    at = places.get("patterns", START)
    odd = [file.path for file in fetched.files if PurePosixPath(file.path).suffix.casefold() not in SUFFIXES]
    note = found.warn if len(odd) < len(fetched.files) else found.error
    for path in odd:
        told = f"{path[:200]!r} is matched, and stays out: it is none of {', '.join(SUFFIXES)}"
        note(at, "document", told, "write patterns for the documents alone")
    for file in fetched.files:
        if file.path not in odd:
            yield file.path, file.data, at


def _fetch(sources: Sources, library: Library, cache: Path) -> Fetched | None:
    """A commit's files, with what git has said to leaves before.

    Raises:
        GitTrouble: As `fetch`.
    """
    if sources.repo in library.troubles:
        raise library.troubles[sources.repo]
    named = (sources.repo, sources.commit)
    commit, moved = library.meanings.get(named, (sources.commit, ""))
    try:
        fetched = fetch(sources.repo, commit, sources.patterns, cache=cache, offline=not library.fetch)
    except GitTrouble as trouble:
        if trouble.part == "repo":
            library.troubles[sources.repo] = trouble
        raise
    if fetched is None:
        return None
    fetched = replace(fetched, moved=fetched.moved or moved)
    library.meanings[named] = (fetched.commit, fetched.moved)
    return fetched


def _text(path: str, data: bytes, library: Library, at: Place, found: Findings) -> str | None:
    try:
        read = to_text(path, data, library.cache)
    except Unreadable as trouble:
        found.error(at, "document", f"{path} {trouble.what}", trouble.mend)
        return None
    for note in read.notes:
        told, _, mend = note.partition(": ")
        found.warn(at, "document", f"{path} {told}", mend)
    if not read.text.strip():
        found.error(at, "document", f"{path} is empty", "fill it, or take it out of the leaf")
        return None
    return read.text
