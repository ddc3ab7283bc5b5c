"""From a folder to leaves: the one reader, for checking and for generation alike (§3.1)."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from feldspar.errors import TaxonomyError
from feldspar.taxonomy.checks import Content, Schema, judge, version_of
from feldspar.taxonomy.documents import attribution, read_documents
from feldspar.taxonomy.fields import is_empty
from feldspar.taxonomy.problems import START, Findings, Problem, as_errors, in_order, shown
from feldspar.taxonomy.source import MAX_BYTES, compose, decode, read_bytes, why
from feldspar.taxonomy.style import judge_style
from feldspar.types import Branch, Leaf

NAME = "qna.yaml"
_BRANCHES: tuple[Branch, ...] = ("knowledge", "foundational_skills", "compositional_skills")
_LIKE_NAME = re.compile(r"qna[^/]*\.ya?ml", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a taxonomy holds: the usable leaves, and every problem of all its files."""

    leaves: tuple[Leaf, ...]
    """In the order of their paths; a leaf with an error is not among them."""
    problems: tuple[Problem, ...]


def read(root: Path) -> Reading:
    """Read every `qna.yaml` below a folder, versions 1 to 4.

    Folders whose name starts with a dot are no part of a taxonomy. Never raises for what a file says.

    Args:
        root: The taxonomy's folder; the leaves' paths are relative to it.

    Raises:
        TaxonomyError: The folder is missing, is no folder, or holds no `qna.yaml`.
    """
    if not os.path.isdir(root):
        what = "is a file, not a folder" if os.path.exists(root) else "does not exist"
        raise TaxonomyError(
            f"The taxonomy {shown(root)} {what}.",
            "Name the folder that holds knowledge/ or compositional_skills/; `feldspar init DIR` writes one.",
        )
    leaves: list[Leaf] = []
    problems: list[Problem] = []
    files = 0
    for found in _walk(root):
        problems.extend(found.problems)
        if not isinstance(found, _File):
            continue
        files += 1
        leaf, noted = _read_leaf(found.path, root)
        problems.extend(noted)
        if leaf is not None:
            leaves.append(leaf)
    if not files and not any(problem.severity == "error" for problem in problems):
        raise TaxonomyError(
            f"The taxonomy {shown(root)} is empty: no {NAME} in it or below it.",
            "Write a leaf, or start from the one that `feldspar init DIR` writes.",
        )
    return Reading(tuple(sorted(leaves, key=lambda leaf: leaf.path.split("/"))), in_order(problems))


def check(paths: Sequence[Path], strict: bool = False) -> tuple[Problem, ...]:
    """Check files and folders; the same reader as `read`.

    Args:
        paths: `qna.yaml` files, and folders that hold some. A missing one is a problem like any other.
        strict: Whether warnings count as errors.

    Returns:
        Every problem of every file once, by file, line and column.
    """
    problems: list[Problem] = []
    seen: set[str] = set()
    for path in paths:
        folder = os.path.isdir(path)
        walked = list(_walk(path)) if folder else [_File(shown(path), [], path)]
        for found in walked:
            problems.extend(found.problems)
            if isinstance(found, _File) and (whole := os.path.abspath(found.path)) not in seen:
                seen.add(whole)
                # A file named by itself has no taxonomy around it: its own folder bounds what it may name.
                problems.extend(_read_leaf(found.path, path if folder else path.parent)[1])
        if not any(isinstance(found, _File) or found.errors for found in walked):
            empty = Findings(shown(path))
            empty.error(START, "empty-taxonomy", f"no {NAME} in this folder or below it", "name another one")
            problems.extend(empty.problems)
    ordered = in_order(dict.fromkeys(problems))
    return as_errors(ordered) if strict else ordered


@dataclass(slots=True)
class _File(Findings):
    """A file to read as a leaf."""

    path: Path = Path()


def _walk(root: Path) -> Iterator[Findings]:
    """The leaf files below a folder in order, and what is wrong with how files are named and linked."""
    failed: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=failed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(folder)
        for name in folders:
            yield from _odd_folder(here / name, root)
        for name in sorted(files):
            path = here / name
            if name == NAME:
                yield _File(shown(path), [], path)
            elif _LIKE_NAME.fullmatch(name):
                yield _misnamed(path)
    for error in failed:
        found = Findings(shown(Path(os.fsdecode(error.filename or root))))
        found.error(START, "unreadable", f"this folder {why(error)}", "make it readable, or move it away")
        yield found


def _misnamed(path: Path) -> Findings:
    found = Findings(shown(path))
    if path.name.casefold() in (NAME, "qna.yml"):
        found.error(
            START, "file-name", f"a leaf's file is named {NAME}, not {path.name}", f"rename it to {NAME}"
        )
    else:
        found.warn(
            START,
            "file-name",
            f"{shown(Path(path.name))} is not read: a leaf's file is named {NAME}",
            f"give it a folder of its own, as {NAME}, or move it away",
        )
    return found


def _odd_folder(path: Path, root: Path) -> Iterator[Findings]:
    """A folder that is not gone into, though a person could think so."""
    found = Findings(shown(path))
    if path.is_symlink():
        try:
            inside = path.resolve(strict=True).is_relative_to(root.resolve())
        except (OSError, RuntimeError):
            inside = False
        told = "this link to a folder is not followed"
        if inside:
            found.warn(START, "link", told, "remove it: what it leads to is read where it lies")
        else:
            found.error(START, "link", f"{told}: it leads out of the taxonomy", "copy what it leads to here")
        yield found
    elif path.name == NAME:
        found.error(START, "file-name", f"{NAME} is a folder here", f"a leaf is a folder with a file {NAME}")
        yield found


def _read_leaf(path: Path, root: Path) -> tuple[Leaf | None, list[Problem]]:
    """One file: its leaf, unless an error stands against it, and its problems."""
    found = Findings(shown(path))
    if path.name != NAME:
        return None, _misnamed_error(path, found)
    try:
        data = read_bytes(path, root, MAX_BYTES)
    except (OSError, ValueError, RuntimeError) as error:
        found.error(START, "unreadable", f"{NAME} {why(error)}", "name or write a plain file of its own")
        return None, found.problems
    text = decode(data, found)
    if text is None:
        return None, found.problems
    node = compose(text, found)
    if found.errors:
        return None, found.problems
    if node is None or is_empty(node):
        found.warn(
            START, "empty-file", "the file is empty: no leaf comes of it", "write the leaf, or remove it"
        )
        return None, found.problems
    if version_of(node) >= 2:
        judge_style(text, found)
    content = judge(node, schema_of(path, root), found)
    licence = attribution(path.parent, root, found)
    if content is None:
        return None, found.problems
    leaf = _leaf(path, root, content, licence, found)
    return (None if found.errors else leaf), found.problems


def _misnamed_error(path: Path, found: Findings) -> list[Problem]:
    if not os.path.lexists(path):
        found.error(START, "unreadable", "there is no such file or folder", "mind the spelling")
    else:
        told = f"a leaf's file is named {NAME}, not {shown(Path(path.name))}"
        found.error(START, "file-name", told, f"rename it to {NAME}")
    return found.problems


def _leaf(path: Path, root: Path, content: Content, licence: str, found: Findings) -> Leaf | None:
    licence = content.licence or licence
    documents = read_documents(path.parent, content.sources.files, licence, found)
    place = _relative(path, root)
    try:
        place.encode("utf-8")
    except UnicodeEncodeError:
        found.error(START, "file-name", "a folder above it has a name that is not UTF-8", "rename the folder")
        return None
    leaf = Leaf(
        path=place,
        branch=branch_of(path, root, content.knowledge),
        task=content.task,
        seeds=content.seeds,
        documents=documents,
        domain=content.domain,
        style=content.style,
        licence=licence,
        created_by=content.created_by,
        version=content.version,
        file=found.file,
    )
    return replace(leaf, digest=digest(leaf, content))


def _relative(path: Path, root: Path) -> str:
    """The leaf's folder as seen from the root; the root's own name where they are the same."""
    inner = path.parent.relative_to(root).as_posix()
    return (root.resolve().name or "taxonomy") if inner == "." else inner


def schema_of(path: Path, root: Path) -> Schema | None:
    """The schema that the folders above a leaf's file name: the nearest wins, None if none does."""
    inner = path.parent.relative_to(root).parts
    for name in reversed(inner):
        if name in ("knowledge", "compositional_skills"):
            return "knowledge" if name == "knowledge" else "compositional_skills"
    branch = _above(path, root)
    return None if branch == "foundational_skills" else branch


def branch_of(path: Path, root: Path, knowledge: bool) -> Branch:
    """The branch (§3.1): the nearest folder above that is named like one; else by `knowledge`."""
    return _above(path, root) or ("knowledge" if knowledge else "compositional_skills")


def _above(path: Path, root: Path) -> Branch | None:
    """The nearest branch folder above a file, the folders above the root included."""
    parts = (*Path(os.path.abspath(root)).parts, *path.parent.relative_to(root).parts)
    return next((branch for name in reversed(parts) for branch in _BRANCHES if name == branch), None)


def digest(leaf: Leaf, content: Content) -> str:
    """SHA-256 over all that a leaf says and its documents hold: not its layout, nor where it was found."""
    fields = asdict(replace(leaf, file="", digest="", seeds=()))
    fields["seeds"] = [[seed.question, seed.answer, seed.context] for seed in leaf.seeds]
    sources = content.sources
    local = [file.path for file in sources.files]
    fields["sources"] = [sources.repo, sources.commit, list(sources.patterns), local]
    text = json.dumps(fields, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
