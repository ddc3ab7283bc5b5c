"""3-phases: samples and datasets to the data of each phase (§3.3, Table 1)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from feldspar import evaluate, events, jsonl, mix, models
from feldspar.errors import RunError
from feldspar.generate.twins import Twin
from feldspar.run import Run
from feldspar.stages.datasets import read_rows
from feldspar.stages.work import Work, all_questions, files, write_json
from feldspar.types import PhaseData, Sample


def phase_inputs(work: Work) -> dict[str, str]:
    """The samples, and the files that join them."""
    return {
        "2-samples": work.run.output_digest("2-samples"),
        "the student's tokenizer": models.student_digest(work.recipe),
        **{
            f"dataset {entry.name}": mix.dataset_digest(work.source(entry))
            for entry in work.recipe.foundational
        },
        **files("rows", [path for phase in work.recipe.phases for path in phase.files]),
        **files("question file", work.recipe.evaluate.questions + work.recipe.evaluate.retention),
    }


def write_phases(work: Work, folder: Path) -> None:
    """Deal samples and datasets into phases; what is graded on never gets into them (rule 6)."""
    run, recipe, watch = work.run, work.recipe, work.watch
    questions = all_questions(run, recipe)
    dropped: list[dict[str, str]] = []

    def clean(samples: Iterable[Sample]) -> list[Sample]:
        kept = []
        for sample in samples:
            found = evaluate.contamination(questions, [sample])
            if found:
                dropped.append({"id": sample.id, "reason": f"too like what is graded on: {found[0]}"})
            else:
                kept.append(sample)
        return kept

    foundational = []
    told = []
    for entry in recipe.foundational:
        source = work.source(entry)
        dataset = read_rows(entry, source, recipe.generate.seed, cap=entry.cap)
        foundational.append(clean(dataset))
        told.append(
            {
                "name": dataset.name,
                "licence": dataset.licence,
                "revision": source.revision,
                "rows": dataset.rows,
                "taken": len(dataset),
                "held": len(dataset.held),
                "skipped": dict(dataset.skipped),
            }
        )
        for reason, count in dataset.skipped.items():
            watch(events.Note(f"dataset {dataset.name}: {count} of {dataset.rows} rows left out: {reason}"))
    mixed = mix.mix(
        clean(jsonl.read(run.path("2-samples") / "accepted.jsonl", Sample)),
        foundational,
        [phase.phase() for phase in recipe.phases],
        models.student_counter(recipe),
        short_tokens=recipe.mix.short_tokens,
        seed=recipe.generate.seed,
        twins=read_twins(run),
    )
    dropped += [{"id": name, "reason": reason} for name, reason in mixed.dropped]
    for data in mixed.phases:
        if data.skipped:
            watch(events.Note(f"phase {data.phase.name} is skipped: {data.skipped}"))
        leaks = evaluate.contamination(questions, (row.sample for row in data.rows))
        if leaks:
            raise RunError(
                f"phase {data.phase.name} holds what is graded on: {leaks[0]}",
                "Take that row out of the phase's files.",
            )
        with (folder / f"{data.phase.name}.jsonl").open("w", encoding="utf-8", newline="\n") as file:
            for row in data.rows:
                file.write(json.dumps(mix.row_to_json(row), ensure_ascii=False) + "\n")
    if dropped:
        watch(events.Note(f"{len(dropped)} samples join no phase: 3-phases/dropped.json says why"))
    write_json(folder / "dropped.json", dropped)
    write_json(
        folder / "phases.json",
        {
            "short_tokens": mixed.short_tokens,
            "datasets": told,
            "phases": [
                {"phase": jsonl.to_json(data.phase), "skipped": data.skipped} for data in mixed.phases
            ],
        },
    )


def read_twins(run: Run) -> dict[str, str]:
    """The near-duplicates across leaves, each with what it is like; none in a run of an earlier version."""
    path = run.path("2-samples") / "twins.jsonl"
    return {twin.id: twin.like for twin in jsonl.read(path, Twin)} if path.exists() else {}


def read_phases(run: Run) -> tuple[PhaseData, ...]:
    """The phases' data, as `write_phases` left it."""
    folder = run.path("3-phases")
    listed = json.loads((folder / "phases.json").read_text(encoding="utf-8"))["phases"]
    found = []
    for entry in listed:
        data = jsonl.from_json(PhaseData, entry | {"rows": []}, "3-phases/phases.json")
        path = folder / f"{data.phase.name}.jsonl"
        with path.open(encoding="utf-8") as lines:
            rows = tuple(mix.row_from_json(json.loads(line)) for line in lines)
        found.append(PhaseData(data.phase, rows, data.skipped))
    return tuple(found)
