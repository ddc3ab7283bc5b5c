"""1-leaves: the taxonomy as it was read, and the seeds that are held out (§3.1)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from feldspar import generate, jsonl, mix
from feldspar.recipe import DatasetSettings, Recipe, holdout_for
from feldspar.stages.datasets import read_rows
from feldspar.stages.work import Work
from feldspar.text import escaped
from feldspar.types import Leaf, Question


def leaf_inputs(work: Work) -> dict[str, str]:
    """Every leaf by its path, so that a changed one is named; and the datasets with rows to grade with."""
    held = {f"dataset {one.name}": mix.dataset_digest(work.source(one)) for one in _graded_with(work.recipe)}
    return {f"leaf {leaf.path}": leaf.digest for leaf in work.leaves} | held


def _graded_with(recipe: Recipe) -> list[DatasetSettings]:
    return [entry for entry in recipe.foundational if entry.holdout]


def write_leaves(work: Work, folder: Path) -> None:
    """Write the leaves, and what is held out: seed questions, and rows of datasets (rule 6)."""
    # A run holds no path of its machine: a taxonomy that was moved gives the same bytes.
    root = escaped(str(work.recipe.taxonomy))
    placed = (replace(leaf, file=Path(os.path.relpath(leaf.file, root)).as_posix()) for leaf in work.leaves)
    jsonl.write(folder / "leaves.jsonl", placed)
    questions = held_out(work.leaves, work.recipe)
    for entry in _graded_with(work.recipe):
        # The rows held out are the same at any cap.
        questions += mix.questions_of(read_rows(entry, work.source(entry), work.recipe.generate.seed, cap=1))
    jsonl.write(folder / "questions.jsonl", questions)


def held_out(leaves: Iterable[Leaf], recipe: Recipe) -> list[Question]:
    """The leaves' held-out seeds, as questions to grade with."""
    found = []
    for leaf in leaves:
        _, held = generate.split_seeds(leaf, holdout_for(recipe.generate, leaf.path), recipe.generate.seed)
        for number, seed in enumerate(held, 1):
            # A knowledge question is asked without its passage: it is to be known.
            context = "" if leaf.branch == "knowledge" else seed.context
            found.append(
                Question(f"{leaf.path}?{number}", leaf.path, seed.question, seed.answer, (), context)
            )
    return found
