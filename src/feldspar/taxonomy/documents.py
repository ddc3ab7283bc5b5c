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
    asked: dict[tuple[str, ...], Fetched | GitTrouble] = field(default_factory=dict, repr=False)
    """What git has said so far: it is asked once for what several leaves name, and a branch that moves
    meanwhile means the same for all of them."""


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
    fetched = _fetch(sources, library)
    if isinstance(fetched, GitTrouble):
        at = places.get(fetched.part, START)
        found.error(at, "document", fetched.what.rstrip("."), fetched.mend.rstrip("."))
        return
    if fetched is None:
        return
    if fetched.moved:
        mend = f"write `commit: {fetched.commit}`, which always means the same"
        found.warn(places.get("commit", START), "moving-commit", fetched.moved, mend)
    at = places.get("patterns", START)
    known = [file for file in fetched.files if PurePosixPath(file.path).suffix.casefold() in SUFFIXES]
    for file in fetched.files:
        if file not in known:
            told = f"{file.path[:200]!r} is matched, and stays out: it is none of {', '.join(SUFFIXES)}"
            mend = "write patterns for the documents alone"
            (found.warn if known else found.error)(at, "document", told, mend)
    for file in known:
        yield file.path, file.data, at


def _fetch(sources: Sources, library: Library) -> Fetched | GitTrouble | None:
    """What git says of some sources; of a repository that cannot be had, it is asked once."""
    repo, named = (sources.repo,), (sources.repo, sources.commit)
    whole = (*named, *sources.patterns)
    for known in (repo, whole):
        if known in library.asked:
            return library.asked[known]
    meant = library.asked.get(named)
    commit = meant.commit if isinstance(meant, Fetched) else sources.commit
    assert library.cache is not None
    answer: Fetched | GitTrouble | None
    try:
        answer = fetch(sources.repo, commit, sources.patterns, cache=library.cache, offline=not library.fetch)
    except GitTrouble as trouble:
        answer = trouble
    if isinstance(answer, GitTrouble):
        library.asked[repo if answer.part == "repo" else whole] = answer
        return answer
    if answer is not None:
        answer = replace(answer, moved=meant.moved) if isinstance(meant, Fetched) else answer
        library.asked[whole] = library.asked[named] = answer
    return answer


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
