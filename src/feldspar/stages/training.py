"""4-checkpoints and model: the phases in order, and the tuned model (§3.3, Table 2)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feldspar import evaluate, events, jsonl, models
from feldspar.errors import RunError
from feldspar.recipe import Recipe
from feldspar.run import Run
from feldspar.stages.cards import model_card
from feldspar.stages.phases import read_phases
from feldspar.stages.work import Work, files, write_json
from feldspar.types import Checkpoint, Leaf, PhaseData, Question

if TYPE_CHECKING:
    from feldspar import train


def load_student(recipe: Recipe) -> train.Student:
    """The student as it was before."""
    from feldspar import train

    return train.load_student(models.student_source(recipe), recipe.student.chat_template)


def checkpoint_inputs(work: Work) -> dict[str, str]:
    """The phases' data, and who is trained."""
    template = work.recipe.student.chat_template
    return {
        "1-leaves": work.run.output_digest("1-leaves"),
        "3-phases": work.run.output_digest("3-phases"),
        "the student": models.student_digest(work.recipe),
        **files("chat template", [] if template in {"auto", "keep"} else [Path(template)]),
    }


def write_checkpoints(work: Work, folder: Path) -> None:
    """Train the phases in order, each from the best checkpoint of the one before."""
    from feldspar import train

    run, recipe, watch = work.run, work.recipe, work.watch
    student = load_student(recipe)
    branches = {leaf.path: leaf.branch for leaf in jsonl.read(run.path("1-leaves") / "leaves.jsonl", Leaf)}
    branches |= {entry.name: entry.branch for entry in recipe.foundational}
    held = tuple(jsonl.read(run.path("1-leaves") / "questions.jsonl", Question))
    found: list[Checkpoint] = []
    seen: set[str] = set()
    for data in read_phases(run):
        seen |= {take.branch for take in data.phase.take}
        if data.skipped:
            continue
        # A phase is chosen by all that was taught so far: it must not lose the phase before.
        asked = tuple(question for question in held if branches[question.group] in seen) or held
        found += train.train_phase(
            student,
            data,
            folder / data.phase.name,
            score=_scorer(student, asked) if asked else None,
            settings=_settings(recipe, data),
            watch=_training(watch),
        )
        chosen = [one for one in found if one.selected][-1]
        watch(events.Note(f"phase {data.phase.name}: the checkpoint of step {chosen.step} is chosen"))
        train.load_weights(student, folder / data.phase.name / f"step-{chosen.step}")
        train.prune(folder / data.phase.name, chosen)
    if not found:
        raise RunError("no phase has data: there is nothing to train on", "See 3-phases/dropped.json.")
    write_json(folder / "checkpoints.json", [jsonl.to_json(_inside(one)) for one in found])


def _inside(checkpoint: Checkpoint) -> Checkpoint:
    """With its folder relative to the stage's, which is renamed when it is complete."""
    return replace(checkpoint, folder=f"{checkpoint.phase}/step-{checkpoint.step}")


def _scorer(student: train.Student, questions: Sequence[Question]) -> Any:
    return lambda: evaluate.recalled(student.model, student.tokenizer, questions)


def _settings(recipe: Recipe, data: PhaseData) -> train.TrainSettings:
    from feldspar import train

    every = recipe.train.checkpoints_every
    return train.TrainSettings(
        seed=recipe.train.seed,
        precision=recipe.train.precision,
        checkpoints=-(-data.phase.epochs // every),
        threads=0 if recipe.train.threads == "auto" else recipe.train.threads,
    )


def _training(watch: events.Watch) -> Any:
    def told(event: train.TrainEvent) -> None:
        if event.note and event.kind == "start":
            watch(events.Note(f"phase {event.phase}: {event.note}"))
        if event.kind == "step" and event.loss is not None:
            rate = event.tokens / event.seconds if event.seconds else 0.0
            watch(
                events.TrainProgress(
                    event.phase,
                    event.epoch,
                    event.epochs,
                    event.step,
                    event.steps,
                    event.loss,
                    event.learning_rate,
                    rate,
                )
            )

    return told


def read_checkpoints(run: Run) -> tuple[Checkpoint, ...]:
    """All checkpoints of all phases, in order."""
    path = run.path("4-checkpoints") / "checkpoints.json"
    return tuple(
        jsonl.from_json(Checkpoint, entry, path.name)
        for entry in json.loads(path.read_text(encoding="utf-8"))
    )


def model_inputs(work: Work) -> dict[str, str]:
    """The checkpoints."""
    return {"4-checkpoints": work.run.output_digest("4-checkpoints")}


def write_model(work: Work, folder: Path) -> None:
    """Save the last phase's best checkpoint as a model that plain transformers loads."""
    from feldspar import train

    student = load_student(work.recipe)
    last = [one for one in read_checkpoints(work.run) if one.selected][-1]
    train.load_weights(student, work.path("4-checkpoints", last.folder))
    # `save_model` wants a folder of its own; the stage's exists already.
    train.save_model(student, folder / "hf", model_card(work))
    for path in (folder / "hf").iterdir():
        path.rename(folder / path.name)
    (folder / "hf").rmdir()
