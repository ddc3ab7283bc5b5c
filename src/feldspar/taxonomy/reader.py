"""From a folder to leaves: the one reader, for checking and for generation alike (§3.1).

`walk` finds the files of leaves, `read_leaf` reads one, and there is no other way to a leaf. `read` keeps
the leaves; `check` keeps problems and hashes of seeds alone, so that it needs no more memory for ten
thousand leaves than for one.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from feldspar.errors import TaxonomyError
from feldspar.taxonomy import repeats
from feldspar.taxonomy.advice import judge_contexts, judge_repeats, judge_task
from feldspar.taxonomy.attribution import attribution, licence_of
from feldspar.taxonomy.checks import Content, Sources, judge, lint_version
from feldspar.taxonomy.compose import compose
from feldspar.taxonomy.documents import Library, read_documents
from feldspar.taxonomy.fields import is_empty
from feldspar.taxonomy.licences import judge_licence
from feldspar.taxonomy.problems import START, Findings, Problem, as_errors, in_order, shown
from feldspar.taxonomy.shapes import Schema
from feldspar.taxonomy.source import MAX_BYTES, decode, read_bytes, why
from feldspar.taxonomy.style import judge_style
from feldspar.taxonomy.walk import BRANCHES, NAME, Met, walk, walk_all
from feldspar.types import Branch, Document, Leaf, Work

__all__ = ["NAME", "Reading", "check", "read", "read_leaf", "walk"]

_NOTHING_ELSE = Library()
_FILES_TO_COLLECT = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """What a taxonomy holds: the usable leaves, and every problem of all its files."""

    leaves: tuple[Leaf, ...]
    """In the order of their paths; a leaf with an error is not among them."""
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A leaf's file that was read, with what it says unless it is of no use."""

    met: Met
    problems: tuple[Problem, ...]
    content: Content | None = None
    documents: tuple[Document, ...] = ()
    works: tuple[Work, ...] = ()
    licence: str = ""


def read(root: Path, library: Library = _NOTHING_ELSE) -> Reading:
    """Read every `qna.yaml` below a folder, versions 1 to 4.

    Never raises for what a file says.

    Args:
        root: The taxonomy's folder; the leaves' paths are relative to it.
        library: Where documents come from that do not lie beside their leaf.

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

    def keep(judged: _Judged) -> None:
        if judged.content is not None:
            leaves.append(_leaf(judged, judged.content))

    problems = _judge_all((root,), None, library, keep)
    if any(problem.rule == "empty-taxonomy" for problem in problems):
        raise TaxonomyError(
            f"The taxonomy {shown(root)} is empty: no {NAME} in it or below it.",
            "Write a leaf, or start from the one that `feldspar init DIR` writes.",
        )
    return Reading(tuple(sorted(leaves, key=lambda leaf: leaf.path.split("/"))), problems)


def check(
    paths: Sequence[Path],
    strict: bool = False,
    only: Callable[[Path], bool] | None = None,
    library: Library = _NOTHING_ELSE,
) -> tuple[Problem, ...]:
    """Check files and folders; the same reader as `read`, which keeps no leaf.

    Args:
        paths: `qna.yaml` files, and folders that hold some. A missing one is a problem like any other.
        strict: Whether problems of style are errors.
        only: Whether a file is asked about; None: all are. The seeds of the others are read, too, to
            find those that stand in several leaves.
        library: Where documents come from that do not lie beside their leaf.

    Returns:
        Every problem of every file once, by file, line and column.
    """
    problems = _judge_all(paths, only, library)
    return as_errors(problems) if strict else problems


def read_leaf(
    path: Path, root: Path, library: Library = _NOTHING_ELSE
) -> tuple[Leaf | None, tuple[Problem, ...]]:
    """Read one leaf's file.

    Args:
        path: The file, below `root`, in a folder that no link leads to.
        root: The taxonomy's folder.
        library: Where documents come from that do not lie beside the leaf.

    Returns:
        The leaf, None where there is an error, or nothing, in its file; and all problems of the file.
    """
    inner = path.parent.relative_to(root).as_posix()
    met = Met(os.path.dirname(path), path.name, root, "" if inner == "." else inner, leaf=True)
    judged = _judge_file(met, library)
    leaf = _leaf(judged, judged.content) if judged.content is not None else None
    return leaf, in_order(judged.problems)


def _judge_all(
    paths: Sequence[Path],
    only: Callable[[Path], bool] | None,
    library: Library,
    keep: Callable[[_Judged], None] | None = None,
) -> tuple[Problem, ...]:
    """Judge all files, one after the other, and then the seeds that several leaves share."""
    problems: list[Problem] = []
    hashes = array("Q")
    for number, met in enumerate(walk_all(paths)):
        if keep is None and number % _FILES_TO_COLLECT == _FILES_TO_COLLECT - 1:
            # There is no garbage; but freed tuples are kept in lists until a whole collection.
            gc.collect()
        asked = only is None or only(met.path)
        if asked:
            problems.extend(met.problems)
        if not met.leaf:
            continue
        judged = _judge_file(met, library) if asked else _skim_file(met)
        if asked:
            problems.extend(dict.fromkeys(judged.problems))
        if judged.content is not None:
            repeats.add(hashes, number, judged.content.seeds, judged.content.knowledge)
            if keep is not None:
                keep(judged)
    again = repeats.met(hashes)
    if again:
        problems.extend(repeats.judge_across(_standing(paths, again, only)))
    return in_order(problems)


def _standing(
    paths: Sequence[Path], numbers: Iterable[int], only: Callable[[Path], bool] | None
) -> Iterator[tuple[tuple[str, ...], repeats.Standing]]:
    """What the seeds of some leaves say, and where."""
    for number, met in enumerate(walk_all(paths)):
        if met.leaf and number in numbers:
            content = _skim_file(met).content
            if content is not None:
                asked = only is None or only(met.path)
                for seed, place in zip(content.seeds, content.places, strict=True):
                    standing = repeats.Standing(number, shown(met.file), place.question, asked)
                    yield repeats.said(seed, content.knowledge), standing


def _judge_file(met: Met, library: Library) -> _Judged:
    """One file, with all problems of it; no content where one is an error."""
    found = Findings(shown(met.file))
    content = _content(met, found, styled=True)
    if content is None:
        return _Judged(met, tuple(found.problems))
    works = attribution(met.folder, met.root, found)
    licence = content.licence or licence_of(works)
    documents: tuple[Document, ...] = ()
    if content.sources != Sources():
        documents = read_documents(Path(met.folder), content.sources, licence, library, found)
        judge_licence(licence, content.licence_at, found)
    if content.task_at is not None:
        key = "document_outline" if content.knowledge else "task_description"
        judge_task(content.task, content.task_at, os.path.basename(met.folder), key, found)
    judge_repeats(content.seeds, content.places, content.knowledge, found)
    if content.knowledge:
        texts = [document.text for document in documents]
        judge_contexts(content.seeds, content.places, texts, found)
    if found.errors or not content.seeds:
        return _Judged(met, tuple(found.problems))
    return _Judged(met, tuple(found.problems), content, documents, works, licence)


def _skim_file(met: Met) -> _Judged:
    """One file for the sake of its seeds."""
    found = Findings(shown(met.file))
    content = _content(met, found, styled=False)
    return _Judged(met, (), None if found.errors else content)


def _content(met: Met, found: Findings, styled: bool) -> Content | None:
    """What a file says; None where nothing can be read of it."""
    if met.name != NAME:
        _misnamed(met, found)
        return None
    try:
        data = read_bytes(met.file, met.root, MAX_BYTES, walked=True)
    except (OSError, ValueError, RuntimeError) as error:
        found.error(START, "unreadable", f"{NAME} {why(error)}", "name or write a plain file of its own")
        return None
    text = decode(data, found)
    if text is None:
        return None
    if text.startswith("\ufeff"):
        found.error(START, "yaml", "not YAML: two byte order marks", "remove one of them")
        return None
    windows = False
    if "\r" in text:
        first, end, _ = text.partition("\n")
        windows = bool(end) and first.endswith("\r")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    node = compose(text, found)
    if found.errors:
        return None
    if node is None or is_empty(node):
        told, mend = "the file is empty: no leaf comes of it", "write the leaf, or remove it"
        found.warn(START, "empty-file", told, mend)
        return None
    if styled and lint_version(node) > 1:
        judge_style(text, windows, found)
    content = judge(node, schema_of(met), found)
    try:
        met.inner.encode("utf-8")
    except UnicodeEncodeError:
        found.error(START, "file-name", "a folder above it has a name that is not UTF-8", "rename the folder")
    return content


def _misnamed(met: Met, found: Findings) -> None:
    if not os.path.lexists(met.file):
        found.error(START, "unreadable", "there is no such file or folder", "mind the spelling")
    else:
        told = f"a leaf's file is named {NAME}, not {shown(met.name)}"
        found.error(START, "file-name", told, f"rename it to {NAME}")


def _leaf(judged: _Judged, content: Content) -> Leaf:
    met = judged.met
    leaf = Leaf(
        # The root's own name where the leaf lies in the root itself.
        path=met.inner or met.root.resolve().name or "taxonomy",
        branch=branch_of(met, content.knowledge),
        task=content.task,
        seeds=content.seeds,
        documents=judged.documents,
        domain=content.domain,
        style=content.style,
        licence=judged.licence,
        works=judged.works,
        repo=content.sources.repo,
        created_by=content.created_by,
        version=content.version,
        file=shown(met.file),
    )
    return replace(leaf, digest=digest(leaf, content))


def schema_of(met: Met) -> Schema | None:
    """The schema that the folders above a leaf's file name; None where they name none.

    Within the taxonomy it is the nearest of the two that are schemas. The folders around the taxonomy
    count only for a leaf that lies below none of its branches.
    """
    inner = met.inner.split("/")
    named = next((name for name in reversed(inner) if name in ("knowledge", "compositional_skills")), None)
    branch = named or _nearest(inner) or _nearest(met.root.resolve().parts)
    if branch == "knowledge":
        return "knowledge"
    return "compositional_skills" if branch == "compositional_skills" else None


def branch_of(met: Met, knowledge: bool) -> Branch:
    """The branch (§3.1): the nearest folder above that is named like one; else by `knowledge`."""
    named = _nearest(met.inner.split("/")) or _nearest(met.root.resolve().parts)
    return named or ("knowledge" if knowledge else "compositional_skills")


def _nearest(parts: Sequence[str]) -> Branch | None:
    return next((branch for name in reversed(parts) for branch in BRANCHES if name == branch), None)


def digest(leaf: Leaf, content: Content) -> str:
    """SHA-256 over all that a leaf says and its documents hold: not its layout, nor where it was found."""
    fields = asdict(replace(leaf, file="", digest="", seeds=()))
    fields["seeds"] = [[seed.question, seed.answer, seed.context] for seed in leaf.seeds]
    sources = content.sources
    local = [file.path for file in sources.files]
    fields["sources"] = [sources.repo, sources.commit, list(sources.patterns), local]
    text = json.dumps(fields, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
