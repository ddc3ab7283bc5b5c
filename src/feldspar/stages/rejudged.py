"""Judging again: new thresholds, judges or judges' prompts over what is stored; nothing is generated.

What the teacher wrote comes from the journal alone; who judges may be asked. A draw whose next step was
never generated, since it was rejected before, is `not stored`; a leaf ends where no draw was begun.
`generate --redo` then makes what is missing.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from feldspar import events, generate, jsonl, models
from feldspar.errors import NotStored, RunError, TaxonomyError
from feldspar.generate.rehearse import rehearse, replay
from feldspar.recipe import STAGES, Recipe, difference, part, part_digest
from feldspar.run import REJUDGED, Run
from feldspar.stages.comparing import RejudgedLeaf, RejudgedVerdicts, compared, read_both
from feldspar.stages.samples import as_drawn, leaf_plans, make_samples, sample_inputs
from feldspar.stages.work import Work, graded_questions, write_json
from feldspar.teacher import Journal, Journaled, Reply, Request, ScriptedTeacher, Teacher, asked, key_of
from feldspar.types import Draft, Leaf

_STAGE = "2-samples"
BEFORE = "2-samples.before"
"""What `generate` made, beside what it became."""

_NAMED = 3
"""Leaves that an error names."""


@dataclass(frozen=True, slots=True)
class Rejudgement:
    """What judging again changed."""

    leaves: tuple[RejudgedLeaf, ...]
    judges: tuple[RejudgedVerdicts, ...]
    asked: int
    """Requests that were sent."""
    changed: bool
    lacking: bool
    """Whether draws are missing that `generate --redo` would make."""
    folder: str
    before: str
    """Where what `generate` made is kept; empty where nothing was ever replaced."""
    settings: tuple[str, ...]
    """What is in force now, and was not: "generate.seed was 0 and is 1"; empty where nothing has changed."""


def rejudge(run: Run, recipe: Recipe, watch: events.Watch) -> Rejudgement:
    """Judge a run's samples again, as another recipe has it.

    Args:
        run: It must have samples. What `generate` made of them is moved to `2-samples.before`; what an
            earlier rejudgement made is replaced, since it can be made again for nothing.
        recipe: The run's, with new thresholds, prompts or judges.
        watch: Told of everything as it happens.

    Raises:
        RunError: There are no samples, or no journal, or the recipe differs in what other stages are made
            of, or in what is asked of the teacher, so that nothing of a leaf is stored.
    """
    if not run.complete(_STAGE):
        raise RunError(f"{run.folder} has no {_STAGE} yet", "`feldspar generate` makes it.")
    if not (run.folder / "journal.sqlite").is_file():
        raise RunError(
            f"{run.folder / 'journal.sqlite'} is gone: nothing is stored that could be judged",
            "`feldspar generate --redo` asks the teacher for all of it again.",
        )
    _only_judged(run, recipe)
    settings = tuple(difference(run.recipe, recipe)) if run.recipe is not None else ()
    work = Work(run, recipe, watch)
    plans = _plans(work)
    _something_stored(work, plans)
    before = _calls(run)
    part_made = run.folder / f"{_STAGE}.rejudged.partial"
    with jsonl.writing(part_made):
        shutil.rmtree(part_made, ignore_errors=True)
        part_made.mkdir()
    try:
        outcomes = make_samples(work, part_made, stored="writing" if _judges_anew(work, plans) else "all")
    except TaxonomyError:
        shutil.rmtree(part_made, ignore_errors=True)
        raise RunError(
            "under these settings no draw of those that are stored is kept",
            f"Nothing was changed: {_STAGE} is as it was. Choose others.",
        ) from None
    lacking = any(_short(outcome) or "not stored" in outcome.rejected for outcome in outcomes)
    ended = {outcome.leaf: _short(outcome) for outcome in outcomes}
    leaves, judges, lost = compared(run.path(_STAGE), part_made, ended)
    if lost:
        shutil.rmtree(part_made, ignore_errors=True)
        raise _nothing_stored(work, lost)
    changed = _swap(work, part_made, lacking)
    if changed:
        run.freeze(recipe)
    return Rejudgement(
        leaves=leaves,
        judges=judges,
        asked=_calls(run) - before,
        changed=changed,
        lacking=lacking,
        folder=str(run.path(_STAGE)),
        before=str(run.folder / BEFORE) if (run.folder / BEFORE).exists() else "",
        settings=settings if changed else (),
    )


def _only_judged(run: Run, recipe: Recipe) -> None:
    if run.recipe is None:
        return
    for stage in STAGES:
        old, new = part(run.recipe, stage), part(recipe, stage)
        if stage != _STAGE and old != new:
            words = "; ".join(difference(old, new)[:6])
            raise RunError(
                f"rejudge changes what is kept, and {words}",
                f"{stage} is made of that: `feldspar run --redo` makes it and what follows again.",
            )
    groups = [name for name in type(recipe).model_fields if name not in ("teacher", "judges", "generate")]
    olds, news = ({name: getattr(one, name) for name in groups} for one in (run.recipe, recipe))
    if olds != news:
        changed = ", ".join(name for name in groups if olds[name] != news[name])
        raise RunError(
            f"rejudge changes what is kept, and no verdict depends on {changed}",
            "Change settings of generate, judges or teacher; others go to the verb that uses them.",
        )


def _something_stored(work: Work, plans: Sequence[generate.LeafPlan]) -> None:
    """See that draws of each leaf were begun under these settings, before a judge is asked anything."""
    drawn = {draft.leaf for draft in read_both(work.run.path(_STAGE))}
    identity = models.identity_of(work.teacher)
    lost = []
    with Journal(work.run.folder / "journal.sqlite", readonly=True) as journal:
        for plan in plans:
            if plan.target <= 0 or plan.leaf.path not in drawn or generate.why_nothing(plan, work.pack):
                continue
            first = rehearse(plan, work.pack, seed=work.recipe.generate.seed)[0]
            if journal.reply(key_of(asked(first, identity))) is None:
                lost.append(plan.leaf.path)
    if lost:
        raise _nothing_stored(work, lost)


def _plans(work: Work, *some: Leaf) -> list[generate.LeafPlan]:
    """Of some leaves, or of all."""
    leaves = some or tuple(jsonl.read(work.path("1-leaves", "leaves.jsonl"), Leaf))
    plans = leaf_plans(leaves, work.recipe, work.teacher, graded_questions(work.recipe))
    return as_drawn(plans, work.recipe)


def _nothing_stored(work: Work, leaves: Sequence[str]) -> RunError:
    words = difference(part(work.run.recipe, _STAGE), part(work.recipe, _STAGE)) if work.run.recipe else []
    named = ", ".join(leaves[:_NAMED]) + (f" and {len(leaves) - _NAMED} more" if len(leaves) > _NAMED else "")
    return RunError(
        f"no draw of {named} is stored under these settings: {'; '.join(words[:6]) or 'they are the same'}",
        "Nothing was changed. They change what is asked of the teacher: `feldspar generate --redo` asks it "
        "anew.",
    )


def _judges_anew(work: Work, plans: Sequence[generate.LeafPlan]) -> bool:
    """Whether verdicts are wanted that nobody was asked for: not where a threshold alone has changed.

    Told by the first sample of each leaf: its draw again, out of what is stored.
    """
    waiting = {plan.leaf.path: plan for plan in plans}
    with Journal(work.run.folder / "journal.sqlite", readonly=True) as journal:
        for old in jsonl.read(work.path(_STAGE, "drafts.jsonl"), Draft):
            plan = waiting.pop(old.leaf, None)
            if plan is None:
                continue
            draft, _ = replayed(work, plan, old.draw, journal)
            if draft is None or (not draft.rejected and len(draft.requests) < len(old.requests)):
                return True
    return False


def plan_of(work: Work, leaf: Leaf) -> generate.LeafPlan:
    """How a leaf is drawn, with the seeds that its draws show: its own, or the pool's."""
    plans = _plans(work) if work.recipe.generate.sampling == "pool" else _plans(work, leaf)
    return next(plan for plan in plans if plan.leaf.path == leaf.path)


def replayed(work: Work, plan: generate.LeafPlan, draw: int, journal: Journal) -> tuple[Draft | None, bool]:
    """A draw as far as the journal has it, and whether it has all of it; None: the leaf cannot be drawn."""
    if generate.why_nothing(plan, work.pack):
        return None, False
    models_of: list[models.TeacherPlan | models.JudgePlan] = [work.teacher, *work.judges]
    writer, *judges = [
        _Stored(Journaled(ScriptedTeacher(str, identity=models.identity_of(one)), journal, stored_only=True))
        for one in models_of
    ]
    panel = generate.Panel(tuple(judges), work.recipe.generate.judges_agree)
    draft = asyncio.run(replay(plan, draw, writer, work.pack, panel, seed=work.recipe.generate.seed))
    return draft, not any(one.lacking for one in (writer, *judges))


class _Stored:
    """A teacher that answers what is stored, and knows whether it was asked for more."""

    def __init__(self, teacher: Teacher) -> None:
        self.identity = teacher.identity
        self.lacking = False
        self._teacher = teacher

    async def ask(self, request: Request) -> Reply:
        try:
            return await self._teacher.ask(request)
        except NotStored:
            self.lacking = True
            raise

    async def close(self) -> None:
        await self._teacher.close()


def _calls(run: Run) -> int:
    with Journal(run.folder / "journal.sqlite", readonly=True) as journal:
        return journal.count()


def _short(outcome: generate.LeafOutcome) -> bool:
    """Whether a leaf ended where no draw was begun."""
    if outcome.error and not outcome.draws and "none of 0 draws" not in outcome.error:
        return False  # it can have no draw at all
    return outcome.accepted < outcome.target and not outcome.spent


def _swap(work: Work, made: Path, lacking: bool) -> bool:
    """Put the new samples in the old ones' place, unless they are the same."""
    run = work.run
    target, aside = run.path(_STAGE), run.folder / BEFORE
    old = json.loads((target / "stage.json").read_text(encoding="utf-8"))
    inputs = sample_inputs(work)
    if lacking:
        inputs[REJUDGED] = part_digest(work.recipe, _STAGE)
    digest = part_digest(work.recipe, _STAGE)
    manifest = {"digest": digest, "inputs": inputs, "settings": part(work.recipe, _STAGE), "rejudged": True}
    if (old.get("digest"), old.get("inputs")) == (digest, inputs) and _same(target, made):
        shutil.rmtree(made)
        return False
    write_json(made / "stage.json", manifest)
    with jsonl.writing(aside):
        # Killed between the two renames, all is still there, and `generate` goes on for nothing.
        if old.get("rejudged"):
            gone = run.folder / ".aside"
            shutil.rmtree(gone, ignore_errors=True)
            os.rename(target, gone)
            os.rename(made, target)
            shutil.rmtree(gone, ignore_errors=True)
        else:
            shutil.rmtree(aside, ignore_errors=True)
            os.rename(target, aside)
            os.rename(made, target)
    return True


def _same(one: Path, other: Path) -> bool:
    names = sorted(path.name for path in one.iterdir() if path.name != "stage.json")
    if names != sorted(path.name for path in other.iterdir()):
        return False
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)
