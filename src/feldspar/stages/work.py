"""A run under way, and what all stages use."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from feldspar import evaluate, events, generate, jsonl, mix, models, taxonomy
from feldspar.errors import DatasetError, TaxonomyError
from feldspar.recipe import DatasetSettings, Recipe
from feldspar.run import Run
from feldspar.stages.datasets import find_source
from feldspar.text import counted, escaped
from feldspar.types import Leaf, Question

SHOWN_PROBLEMS = 5
"""Of many problems, how many an error shows."""


@dataclass(frozen=True)
class Work:
    """A run under way."""

    run: Run
    recipe: Recipe
    watch: events.Watch = events.silent

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """The taxonomy as it is now."""
        return read_leaves(self.recipe, self.watch)

    @cached_property
    def teacher(self) -> models.TeacherPlan:
        """The teacher that the recipe means; nothing is started."""
        return models.plan_teacher(self.recipe)

    @cached_property
    def judges(self) -> tuple[models.JudgePlan, ...]:
        """The judges beside the teacher that the recipe means; nothing is started."""
        return models.plan_judges(self.recipe, self.teacher)

    @cached_property
    def pack(self) -> generate.Pack:
        """The teacher's prompts, with what the recipe puts over them."""
        return pack_of(self.recipe, self.teacher)

    def source(self, entry: DatasetSettings) -> mix.Source:
        """Where one of the recipe's datasets is; looked for once, and no row of it is read."""
        if entry.name not in self._sources:
            self._sources[entry.name] = find_source(entry, self.recipe.licences)
        return self._sources[entry.name]

    @cached_property
    def _sources(self) -> dict[str, mix.Source]:
        return {}

    def path(self, stage: str, name: str) -> Path:
        """A file of a stage."""
        return self.run.path(stage) / name


def pack_of(recipe: Recipe, teacher: models.TeacherPlan) -> generate.Pack:
    """The teacher's prompts, with what the recipe puts over them.

    Raises:
        RecipeError: there is no such pack, or it says what it may not.
    """
    return generate.load_pack(teacher.pack, recipe.generate.prompts)


def read_leaves(recipe: Recipe, watch: events.Watch) -> tuple[Leaf, ...]:
    """The taxonomy's leaves, with the documents that the licence gate lets in (§3.1).

    Documents in git are fetched where the cache lacks them.

    Raises:
        TaxonomyError: it has errors, or no leaf, or a document cannot be had.
    """
    library = taxonomy.Library(taxonomy.cache_folder(), fetch=True)
    reading = taxonomy.read(recipe.taxonomy, library)
    errors = [problem for problem in reading.problems if problem.severity == "error"]
    if errors:
        shown = "\n".join(str(problem) for problem in errors[:SHOWN_PROBLEMS])
        more = f"\n… and {len(errors) - SHOWN_PROBLEMS} more" if len(errors) > SHOWN_PROBLEMS else ""
        raise TaxonomyError(
            f"the taxonomy has {len(errors)} errors:\n{shown}{more}"
            if len(errors) > 1
            else f"the taxonomy has an error: {shown}",
            f"`feldspar check --fetch {recipe.taxonomy}` names them all.",
        )
    if not reading.leaves:
        raise TaxonomyError(f"{recipe.taxonomy} has no leaf to learn from", "`feldspar init` writes one.")
    warnings = len(reading.problems)
    if warnings:
        told = f"the taxonomy has {counted(warnings, 'warning')}: `feldspar check --fetch {recipe.taxonomy}`"
        watch(events.Note(told))
    for key, pattern in _idle(recipe, [leaf.path for leaf in reading.leaves]):
        watch(events.Note(f"{key}: no leaf fits `{escaped(pattern)}`"))
    gate = taxonomy.Gate(also=recipe.licences.also)
    leaves = []
    for leaf in reading.leaves:
        admitted, kept_out = taxonomy.admit(leaf, gate, recipe.licences.of)
        leaves.append(admitted)
        for line in kept_out:
            watch(events.Note(line))
    return tuple(leaves)


def _idle(recipe: Recipe, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The recipe's patterns of leaf paths that fit none: slips, most of them."""
    settings = recipe.generate
    for key, value in (
        ("generate.samples_per_leaf", settings.samples_per_leaf),
        ("generate.holdout", settings.holdout),
        ("generate.turns", settings.turns),
        ("generate.style", settings.style),
        ("generate.language", settings.language),
        ("licences.of", recipe.licences.of),
    ):
        for pattern in value if isinstance(value, dict) else ():
            if not any(fnmatch.fnmatchcase(path, pattern) for path in paths):
                yield key, pattern


def look_ahead(work: Work) -> None:
    """Find now what would be missing once the samples are made, which can take hours.

    Raises:
        FeldsparError: the student cannot be counted with, or a dataset is not there.
    """
    if work.run.complete("3-phases"):
        return
    models.student_counter(work.recipe)
    for entry in work.recipe.foundational:
        work.source(entry)
    for path in (path for phase in work.recipe.phases for path in phase.files):
        if not path.is_file():
            raise DatasetError(f"{path}: there is no such file", "Check the path in the recipe.")


def graded_questions(recipe: Recipe) -> tuple[Question, ...]:
    """The questions of the recipe's own files."""
    return tuple(
        question
        for path in (*recipe.evaluate.questions, *recipe.evaluate.retention)
        for question in evaluate.read_questions(path)
    )


def all_questions(run: Run, recipe: Recipe) -> tuple[Question, ...]:
    """Everything that a model is graded on: held-out seeds, question files, retention."""
    return (*jsonl.read(run.path("1-leaves") / "questions.jsonl", Question), *graded_questions(recipe))


def files(what: str, paths: Iterable[Path]) -> dict[str, str]:
    """Digests of files, by name; empty where one cannot be read: the stage that reads it says so."""
    found: dict[str, str] = {}
    for path in paths:
        name = f"{what} {path.name}"
        while name in found:  # another folder's file of this name
            name += "'"
        try:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            found[name] = ""
    return found


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON, the same bytes for the same value; renamed last."""
    text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    partial = path.with_name(f".{path.name}.partial")
    with jsonl.writing(path):
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
