"""What curators ask of a taxonomy (§3.1): its problems, its tree, its schema. No recipe, no run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from feldspar import taxonomy
from feldspar.taxonomy.changed import changed_leaves
from feldspar.taxonomy.formats import formatted
from feldspar.taxonomy.schema import json_schema
from feldspar.taxonomy.tree import Tree, read_tree

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
