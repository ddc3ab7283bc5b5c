"""What a person is told of a run: its summary, the report, a talk.

Everything here reads what the stages left and changes nothing of it.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feldspar import evaluate, jsonl, report, stages
from feldspar.errors import RunError
from feldspar.recipe import dump
from feldspar.run import Run
from feldspar.stages import Work
from feldspar.types import Answer, Leaf, Message, Question, Score

METRICS = {
    "choice": "choice accuracy",
    "loglik": "log-likelihood a token",
    "recall": "key-fact recall",
    "retention": "retention, NLL a token",
}
"""How a person reads a `Score.metric`."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run holds."""

    folder: str
    stages: tuple[str, ...]
    """Those that are complete."""
    funnel: tuple[tuple[str, int, int, int], ...] = ()
    """Leaf, draws, accepted, wanted."""
    scores: tuple[Score, ...] = ()
    retention: Score | None = None
    problems: tuple[str, ...] = ()
    """Leaves that yielded nothing: the run's exit code is 1."""
    notes: tuple[str, ...] = ()
    """Leaves that yielded less than was wanted."""

    def __str__(self) -> str:
        lines = []
        if self.funnel and not self.scores:
            for leaf, draws, kept, wanted in self.funnel:
                lines.append(f"{leaf}: {kept} of {wanted} samples, {draws} draws")
        if self.scores:
            lines.append(score_table((*self.scores, *((self.retention,) if self.retention else ()))))
        if self.retention is not None and self.retention.base:
            rise = self.retention.difference / self.retention.base
            lines.append(f"\nWhat it could do before: negative log-likelihood {rise:+.1%}.")
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"problem: {problem}" for problem in self.problems]
        lines.append(f"{self.folder}: {', '.join(self.stages) or 'nothing'}")
        if "5-scores" in self.stages:
            lines.append(f"Open {self.folder}/report.html, or: feldspar chat {self.folder}")
        return "\n".join(lines)


def score_table(scores: Sequence[Score]) -> str:
    """The scores as lines: group, metric, base, tuned, difference with its standard error, questions."""
    head = ("questions of", "metric", "base", "tuned", "difference", "n")
    rows = [head]
    for score in scores:
        if score.metric in {"choice", "recall"}:
            base, tuned = f"{score.base:.0%}", f"{score.tuned:.0%}"
            difference = f"{100 * score.difference:+.0f} ± {100 * score.error:.0f} points"
        else:
            base, tuned = f"{score.base:.2f}", f"{score.tuned:.2f}"
            difference = f"{score.difference:+.2f} ± {score.error:.2f}"
        metric = METRICS.get(score.metric, score.metric)
        rows.append((score.group, metric, base, tuned, difference, str(score.count)))
    lines = columns(rows)
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def summary(work: Work) -> Summary:
    """What the run holds now."""
    run = work.run
    funnel: list[tuple[str, int, int, int]] = []
    problems: list[str] = []
    notes: list[str] = []
    if run.complete("2-samples"):
        counts = json.loads(work.path("2-samples", "funnel.json").read_text(encoding="utf-8"))
        for leaf, entry in counts.items():
            funnel.append((leaf, entry["draws"], entry["accepted"], entry["target"]))
            if entry["error"]:
                problems.append(entry["error"])
            elif "not stored" in entry["rejected"] or not _ended(entry, work):
                notes.append(f"{leaf}: draws are missing, `--redo` makes them: {entry['accepted']} samples")
            elif entry["accepted"] < entry["target"]:
                notes.append(stages.too_few(leaf, entry["accepted"], entry["target"], entry["draws"]))
    scores, retention = stages.read_scores(run) if run.complete("5-scores") else ((), None)
    shown = str(run.folder)
    with contextlib.suppress(ValueError):
        shown = str(run.folder.relative_to(Path.cwd()))
    return Summary(shown, run.completed(), tuple(funnel), scores, retention, tuple(problems), tuple(notes))


def _ended(entry: Mapping[str, Any], work: Work) -> bool:
    """Whether a leaf was drawn to its end: its target, or its budget's."""
    budget = entry["target"] * work.recipe.generate.max_draws_per_sample
    # Runs of earlier versions do not say it.
    spent = entry.get("spent", entry["draws"] >= budget)
    return bool(spent or entry["accepted"] >= entry["target"])


def rejudged(found: stages.Rejudgement) -> str:
    """What judging again changed, as text: the leaves that it changed, and how the verdicts compare."""
    rows: list[Sequence[str]] = [
        ("leaf", "kept before", "now", "newly in", "newly out", "not stored", "same")
    ]
    for one in found.leaves:
        counts = (one.before, one.now, one.newly_in, one.newly_out, one.not_stored)
        same = "" if one.agreement is None else f"{one.agreement:.0%}"
        rows.append((one.leaf, *map(str, counts), same))
    lines = columns(rows)
    for judge in found.judges:
        told = f"{judge.judge}: agreement {judge.agreement:.0%} over {judge.count}"
        if judge.score_before is not None and judge.score_now is not None:
            told += f", mean score {judge.score_before:.2f} -> {judge.score_now:.2f}"
        lines.append(told)
    lines.append(f"{found.asked} requests were sent")
    if not found.changed:
        return "\n".join([*lines, "nothing has changed"])
    lines.append(f"{found.folder} is judged again; what `generate` made is in {found.before}")
    run = Path(found.folder).parent
    lines += [f"in force now, by {run / 'recipe.yaml'}: {words}" for words in found.settings]
    if found.lacking:
        again = shlex.join(["feldspar", "generate", str(run / "recipe.yaml"), "--out", str(run), "--redo"])
        lines.append(f"Draws are missing that were never generated: `{again}` makes them.")
    return "\n".join(lines)


def write_report(work: Work) -> None:
    """Write `report.html` from what the stages left."""
    run = work.run
    scores, retention = stages.read_scores(run)
    path = run.folder / "costs.json"
    costs = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    told = summary(work)
    data = report.ReportData(
        title=run.folder.name,
        leaves=tuple(jsonl.read(work.path("1-leaves", "leaves.jsonl"), Leaf)),
        accepted=stages.read_drafts(run, "drafts"),
        rejected=stages.read_drafts(run, "rejected"),
        phases=stages.read_phases(run),
        checkpoints=stages.read_checkpoints(run),
        scores=scores,
        retention=retention,
        questions=tuple(jsonl.read(work.path("5-scores", "questions.jsonl"), Question)),
        base=tuple(jsonl.read(work.path("5-scores", "base.jsonl"), Answer)),
        tuned=tuple(jsonl.read(work.path("5-scores", "tuned.jsonl"), Answer)),
        costs=costs,
        recipe=dump(work.recipe, run.folder),
        notes=(*told.problems, *told.notes),
    )
    target = run.folder / "report.html"
    with jsonl.writing(target):
        partial = target.with_name(".report.html.partial")
        partial.write_text(report.render(data), encoding="utf-8")
        partial.replace(target)


def chat(folder: Path) -> None:
    """Talk to the tuned model, beside the base model, until the input ends.

    Raises:
        RunError: the run has no model yet.
    """
    run = opened(folder, "model", "train")
    from feldspar import train

    recipe = run.recipe
    if recipe is None:
        raise RunError(f"{folder} has no recipe.yaml", "`feldspar run RECIPE --out RUN` makes a run.")
    print("Loading the base and the tuned model …", file=sys.stderr, flush=True)
    base, tuned = stages.load_student(recipe), train.load_student(str(run.path("model")), "keep")

    def speaker(student: train.Student) -> evaluate.Speak:
        def speak(messages: Sequence[Message]) -> str:
            return evaluate.reply(student.model, student.tokenizer, messages)

        return speak

    def ask() -> str:
        return input("you> ") if sys.stdin.isatty() else input()

    evaluate.chat(speaker(base), speaker(tuned), ask, lambda who, text: print(f"{who}> {text}", flush=True))


def opened(folder: Path, stage: str, verb: str) -> Run:
    """A run that is read alone.

    Raises:
        RunError: It is none, or it lacks the stage, which the verb makes.
    """
    run = Run(folder, create=False, lock=False)
    if not run.complete(stage):
        raise RunError(f"{folder} has no {stage} yet", f"`feldspar {verb}` makes it.")
    return run
