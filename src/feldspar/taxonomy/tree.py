"""A taxonomy at a glance: its branches and leaves, and what each is made of (`feldspar tree`).

"The taxonomy … makes it easy to see which tasks are missing" (§3.1): folders in which no leaf is are shown
as well. What is counted is what the one reader gives, so that a leaf that is shown as usable is one.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from feldspar.taxonomy.documents import Library
from feldspar.taxonomy.formats import harmless
from feldspar.taxonomy.licences import NOT_SAID, licence_shown
from feldspar.taxonomy.problems import Problem, shown
from feldspar.taxonomy.reader import NAME, read
from feldspar.taxonomy.walk import BRANCHES
from feldspar.text import counted
from feldspar.types import Leaf

_NOTHING_ELSE = Library()
_WIDEST_NAME = 40
_WIDEST_CELL = 32
_DEEPEST = 12
"""Levels that are indented; what lies deeper stands below one another."""
_MOST_DEEP = 100
"""Levels down to which folders without a leaf are looked for."""


@dataclass(frozen=True, slots=True)
class Row:
    """A leaf, or a file that none comes of, as it stands in the tree."""

    path: str
    """The leaf's folder, or the file, relative to the root, with `/`; printable."""
    kind: Literal["leaf", "unusable", "stray"]
    """A leaf; a leaf's file with errors, or empty; something else that there are problems with."""
    branch: str = ""
    version: int = 0
    seeds: int = 0
    documents: int = 0
    """Those at hand."""
    repo: str = ""
    """Where its documents are, if in git."""
    licence: str = ""
    terms: str = ""
    """The licence in a few words, with what the default gate makes of it."""
    errors: int = 0
    warnings: int = 0


@dataclass(frozen=True, slots=True)
class Total:
    """Sums over rows."""

    name: str
    """A branch, `all`, or a folder's path."""
    leaves: int = 0
    unusable: int = 0
    seeds: int = 0
    documents: int = 0
    errors: int = 0
    warnings: int = 0


@dataclass(frozen=True, slots=True)
class Tree:
    """What lies below a taxonomy's folder; `str` shows it as lines."""

    taxonomy: str
    leaves: tuple[Row, ...]
    """Usable and unusable ones, in the order of their paths."""
    strays: tuple[Row, ...]
    empty: tuple[str, ...]
    """Folders in which, and below which, no leaf is; outside of a branch only the uppermost."""
    totals: tuple[Total, ...]
    """Of each branch, in the paper's order, and of `all`; problems of strays are in `all` alone."""
    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return _text(self)


def read_tree(root: Path, library: Library = _NOTHING_ELSE) -> Tree:
    """Read a taxonomy for an overview.

    Args:
        root: The taxonomy's folder.
        library: Where documents come from that do not lie beside their leaf.

    Raises:
        TaxonomyError: The folder is missing, is no folder, or holds no leaf's file.
    """
    reading = read(root, library)
    noted: dict[str, list[Problem]] = {}
    for problem in reading.problems:
        noted.setdefault(problem.file, []).append(problem)
    rows = [_row_of(leaf, noted.pop(leaf.file, ()), root) for leaf in reading.leaves]
    rows += [_row_without(file, problems, root) for file, problems in noted.items()]
    rows.sort(key=lambda row: row.path.split("/"))
    leaves = tuple(row for row in rows if row.kind != "stray")
    sums = [_total(branch, (row for row in leaves if row.branch == branch)) for branch in BRANCHES]
    return Tree(
        taxonomy=shown(root),
        leaves=leaves,
        strays=tuple(row for row in rows if row.kind == "stray"),
        empty=_empty(root, {row.path for row in leaves}),
        totals=(*sums, _total("all", rows)),
        problems=reading.problems,
    )


def _total(name: str, rows: Iterable[Row]) -> Total:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[{"leaf": "leaves"}.get(row.kind, row.kind)] += 1
        for field in ("seeds", "documents", "errors", "warnings"):
            counts[field] += getattr(row, field)
    counts.pop("stray", None)
    return Total(name, **counts)


def _row_of(leaf: Leaf, problems: Sequence[Problem], root: Path) -> Row:
    return Row(
        path=_inner(os.path.dirname(leaf.file), root),
        kind="leaf",
        branch=leaf.branch,
        version=leaf.version,
        seeds=len(leaf.seeds),
        documents=len(leaf.documents),
        repo=leaf.repo,
        licence=leaf.licence,
        terms=licence_shown(leaf),
        **_counts(problems),
    )


def _row_without(file: str, problems: Sequence[Problem], root: Path) -> Row:
    """The row of a file that no leaf came of."""
    unusable = os.path.basename(file) == NAME
    path = _inner(os.path.dirname(file) if unusable else file, root)
    branch = next((part for part in reversed(path.split("/")) if part in BRANCHES), "") if unusable else ""
    return Row(path, "unusable" if unusable else "stray", branch, **_counts(problems))


def _counts(problems: Sequence[Problem]) -> dict[str, Any]:
    errors = sum(problem.severity == "error" for problem in problems)
    return {"errors": errors, "warnings": len(problems) - errors}


def _inner(path: str, root: Path) -> str:
    return os.path.relpath(path or ".", shown(root)).replace(os.sep, "/")


def _empty(root: Path, leaves: set[str]) -> tuple[str, ...]:
    """The folders that hold no leaf and lie within none."""
    above = {parent for leaf in leaves for parent in _parents(leaf)}
    empty: list[str] = []
    for folder, folders, _ in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        path = _inner(shown(Path(folder)), root)
        parts = path.split("/")
        if path not in above and path not in leaves and path != ".":
            empty.append(path)
            if not any(part in BRANCHES for part in parts):
                folders.clear()
        # Folders within a leaf's are its documents'.
        if path in leaves or len(parts) >= _MOST_DEEP:
            folders.clear()
    return tuple(empty)


def _parents(path: str) -> Iterable[str]:
    """The paths above a path, the nearest first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _text(tree: Tree) -> str:
    """A line for each folder and each leaf, with sums for each folder, each branch and all."""
    rows = {row.path: row for row in (*tree.leaves, *tree.strays)}
    below: dict[str, list[Row]] = {}
    for row in rows.values():
        for folder in _parents(row.path):
            below.setdefault(folder, []).append(row)
    lines: list[tuple[int, str, Sequence[str]]] = []
    for path in sorted({*rows, *below, *tree.empty}, key=lambda path: path.split("/")):
        depth, name = path.count("/") + 1, path.rpartition("/")[2]
        if path in rows:
            lines.append((depth, name, _leaf_cells(rows[path])))
        else:
            lines.append((depth, f"{name}/", _total_cells(_total(path, below.get(path, ())))))
    lines.append((0, "", [""] * 5))
    lines += [(0, total.name, _total_cells(total)) for total in tree.totals]
    return "\n".join([harmless(_short(tree.taxonomy, 2 * _WIDEST_NAME)), *_columns(lines)])


def _leaf_cells(row: Row) -> Sequence[str]:
    problems = _problems(row.errors, row.warnings)
    if row.kind != "leaf":
        return ("unusable" if row.kind == "unusable" else "no leaf", "", "", "", problems)
    documents = counted(row.documents, "document") if row.documents else ""
    if row.branch == "knowledge" and not documents:
        documents = "not fetched" if row.repo else "no document"
    return (
        f"v{row.version}",
        counted(row.seeds, "seed"),
        documents,
        f"licence {row.terms}" if row.terms == NOT_SAID else row.terms,
        problems,
    )


def _total_cells(total: Total) -> Sequence[str]:
    leaves = f"{total.leaves:,} {'leaf' if total.leaves == 1 else 'leaves'}" if total.leaves else "no leaf"
    if total.unusable:
        leaves += f", {total.unusable:,} unusable"
    seeds = counted(total.seeds, "seed") if total.seeds else ""
    documents = counted(total.documents, "document") if total.documents else ""
    return leaves, seeds, documents, "", _problems(total.errors, total.warnings)


def _problems(errors: int, warnings: int) -> str:
    parts = (counted(count, noun) for count, noun in ((errors, "error"), (warnings, "warning")) if count)
    return ", ".join(parts)


def _columns(lines: Sequence[tuple[int, str, Sequence[str]]]) -> Iterator[str]:
    """Lines of a depth, a name and cells, the cells below one another."""
    rows = [
        [
            "  " * min(depth, _DEEPEST) + _short(name, _WIDEST_NAME),
            *(_short(cell, _WIDEST_CELL) for cell in cells),
        ]
        for depth, name, cells in lines
    ]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        yield harmless("  ".join(padded).rstrip())


def _width(text: str) -> int:
    """How many columns of a terminal a printable text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def _short(text: str, widest: int) -> str:
    if _width(text) <= widest:
        return text
    while _width(text) > widest - 1:
        text = text[: -max(1, (_width(text) - widest) // 2)]
    return text + "…"
