"""What curators ask of a taxonomy (§3.1): its problems, its tree, its schema. No recipe, no run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from feldspar import taxonomy
from feldspar.taxonomy import formats
from feldspar.taxonomy.changed import changed_leaves
from feldspar.taxonomy.schema import json_schema
from feldspar.taxonomy.tree import Tree, read_tree
from feldspar.text import escaped

__all__ = ["Tree", "check", "formatted", "schema", "tree"]


def check(
    paths: Sequence[Path], strict: bool = False, base: str | None = None, fetch: bool = False
) -> tuple[taxonomy.Problem, ...]:
    """Every problem of the taxonomies, folders or files given (§3.1).

    Args:
        paths: `qna.yaml` files, and folders that hold some.
        strict: Whether problems of style are errors.
        base: A git revision: only leaves that differ from it in the work tree are checked; None: all.
        fetch: Whether documents in git are fetched where the cache lacks them.

    Raises:
        TaxonomyError: `base` is no revision here, or git cannot be asked.
    """
    only = None if base is None else changed_leaves(paths, base)
    return taxonomy.check(paths, strict, only, _library(fetch))


def formatted(
    problems: Sequence[taxonomy.Problem], form: formats.Format, *, version: str, count: bool
) -> str:
    """Problems as text, JSON, GitHub's annotations or SARIF.

    The last two name files as seen from the git repository that this is called in, as GitHub does.

    Args:
        problems: With files as seen from here.
        form: The format.
        version: Feldspar's, for SARIF.
        count: Whether the text ends with the number of problems.
    """
    here = os.getcwd()
    if form in ("github", "sarif"):
        problems = [replace(one, file=os.path.join(escaped(here), one.file)) for one in problems]
        above = (Path(here), *Path(here).parents)
        here = str(next((folder for folder in above if (folder / ".git").exists()), here))
    return formats.formatted(problems, form, here=here, version=version, count=count)


def tree(root: Path) -> Tree:
    """A taxonomy at a glance: branches, leaves, and what each is made of (§3.1).

    Raises:
        TaxonomyError: The folder is missing, is no folder, or holds no leaf's file.
    """
    return read_tree(root, _library())


def schema() -> dict[str, Any]:
    """The JSON Schema of `qna.yaml`, versions 1 to 4."""
    return json_schema()


def _library(fetch: bool = False) -> taxonomy.Library:
    """Documents that were fetched before: only to look at a taxonomy uses no network."""
    return taxonomy.Library(taxonomy.cache_folder(), fetch)
