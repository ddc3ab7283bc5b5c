"""A leaf's documents and its attribution, read from the leaf's own folder (§3.1)."""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from feldspar.taxonomy.checks import LocalFile
from feldspar.taxonomy.problems import START, Findings
from feldspar.taxonomy.source import MAX_BYTES, decode, read_bytes, why
from feldspar.types import Document

MAX_DOCUMENT_BYTES = 20_000_000
SUFFIXES = (".md", ".markdown", ".txt", ".rst")

_LICENCE = re.compile(r"^[ \t]*licen[sc]e of the work[ \t]*:(.*)$", re.IGNORECASE | re.MULTILINE)


def read_documents(
    folder: Path, files: Sequence[LocalFile], licence: str, found: Findings
) -> tuple[Document, ...]:
    """Read the documents that a leaf names.

    Args:
        folder: The leaf's folder, which no document may lie outside of.
        files: Paths relative to it, with their places in the leaf's file.
        licence: Of every one of them.
        found: Where the problems go, each at the place that names the file.

    Returns:
        Those that could be read, with `\\n` as line end whatever stood in the file.
    """
    documents: dict[str, Document] = {}
    for file in files:
        at = (file.line, file.column)
        path = _inside(file, found)
        if path is None:
            continue
        if path in documents:
            found.error(at, "repeated", f"{file.path} is named twice", "keep one of them")
            continue
        text = _read(folder, path, at, found)
        if text is not None:
            documents[path] = Document(path, text, licence)
    return tuple(documents.values())


def _inside(file: LocalFile, found: Findings) -> str | None:
    """The path in one spelling, or None, with a problem noted, where it is no file name below the leaf."""
    path = PurePosixPath(file.path)
    at = (file.line, file.column)
    if path.is_absolute() or PureWindowsPath(file.path).drive or file.path.startswith(("~", "\\")):
        told, mend = "is not relative to the leaf", "put the file beside qna.yaml and name it from there"
    elif ".." in path.parts or ".." in PureWindowsPath(file.path).parts:
        told, mend = "leads out of the leaf's folder", "put the file beside qna.yaml"
    elif "\\" in file.path or "\n" in file.path:
        told, mend = "holds a character that no document's name has", "separate folders with /"
    elif path.suffix.casefold() not in SUFFIXES:
        told, mend = f"is none of {', '.join(SUFFIXES)}", "convert it to Markdown or plain text"
    else:
        return os.path.normpath(path.as_posix())
    found.error(at, "document", f"{file.path[:200]!r} {told}", mend)
    return None


def _read(folder: Path, path: str, at: tuple[int, int], found: Findings) -> str | None:
    try:
        data = read_bytes(folder / path, folder, MAX_DOCUMENT_BYTES)
    except (OSError, ValueError, RuntimeError) as error:
        found.error(at, "document", f"{path} {why(error)}", "name a readable text file in the leaf's folder")
        return None
    trouble = Findings(found.file)
    text = decode(data, trouble, path)
    if text is None:
        # The place that can be clicked is where the leaf names the file; the place within it is told.
        for problem in trouble.problems:
            told = f"{problem.message}, at {problem.line}:{problem.column}"
            found.error(at, "document", told, problem.mend)
        return None
    if not text.strip():
        found.error(at, "document", f"{path} is empty", "fill it, or take it out of the leaf")
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def attribution(folder: Path, root: Path, found: Findings) -> str:
    """The licences that a leaf's `attribution.txt` names, as written, joined by "; ".

    Warns where it is missing or cannot be read.
    """
    path = folder / "attribution.txt"
    mend = "say there where the text is from: title, link, licence and creators of the work"
    if not os.path.lexists(path):
        found.warn(START, "attribution", "no attribution.txt beside it", mend)
        return ""
    try:
        text = read_bytes(path, root, MAX_BYTES).decode("utf-8-sig", "replace")
    except (OSError, ValueError, RuntimeError) as error:
        found.warn(START, "attribution", f"attribution.txt {why(error)}", mend)
        return ""
    return "; ".join(filter(None, dict.fromkeys(line.strip() for line in _LICENCE.findall(text))))
