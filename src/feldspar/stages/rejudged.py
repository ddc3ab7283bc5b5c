"""Judging again: new thresholds, judges or judges' prompts over what is stored; nothing is generated.

What the teacher wrote comes from the journal alone; who judges may be asked. A draw whose next step was
never generated, since it was rejected before, is `not stored`; a leaf ends where no draw was begun.
`generate --redo` then makes what is missing.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from feldspar import events, generate, jsonl, models
from feldspar.errors import RunError, TaxonomyError
from feldspar.generate.rehearse import rehearse, replay
from feldspar.recipe import STAGES, Recipe, difference, part, part_digest
from feldspar.run import REJUDGED, Run
from feldspar.stages.samples import leaf_plans, make_samples, sample_inputs
from feldspar.stages.work import Work, graded_questions, write_json
from feldspar.teacher import Journal, Journaled, ScriptedTeacher, asked, key_of
from feldspar.types import Draft, Leaf

_STAGE = "2-samples"
BEFORE = "2-samples.before"
"""What `generate` made, beside what it became."""


@dataclass(frozen=True, slots=True)
class RejudgedLeaf:
    """What judging again changed of a leaf."""

    leaf: str
    before: int
    """Drafts kept."""
    now: int
    newly_in: int
    newly_out: int
    not_stored: int
    """Draws that are kept so far now, and were never carried on."""
    agreement: float | None
    """Share of the draws that are in both, not counting those `not stored`, that had the same fate."""


@dataclass(frozen=True, slots=True)
class RejudgedVerdicts:
    """How the verdicts of one judge compare, where there are two on one draw."""

    judge: str
    count: int
    agreement: float
    score_before: float | None
    """Mean; None: it gives no scores."""
    score_now: float | None


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


def rejudge(run: Run, recipe: Recipe, watch: events.Watch) -> Rejudgement:
    """Judge a run's samples again, as another recipe has it.

    Args:
        run: It must have samples. What `generate` made of them is moved to `2-samples.before`; what an
            earlier rejudgement made is replaced, since it can be made again for nothing.
        recipe: The run's, with new thresholds, prompts or judges.
        watch: Told of everything as it happens.

    Raises:
        RunError: There are no samples, or the recipe differs in what other stages are made of, or in
            what is asked of the teacher, so that nothing is stored.
    """
    if not run.complete(_STAGE):
        raise RunError(f"{run.folder} has no {_STAGE} yet", "`feldspar generate` makes it.")
    _only_judged(run, recipe)
    work = Work(run, recipe, watch)
    _something_stored(work)
    before = _calls(run)
    part_made = run.folder / f"{_STAGE}.rejudged.partial"
    with jsonl.writing(part_made):
        shutil.rmtree(part_made, ignore_errors=True)
        part_made.mkdir()
    try:
        outcomes = make_samples(work, part_made, stored="writing" if _judges_anew(work) else "all")
    except TaxonomyError:
        shutil.rmtree(part_made, ignore_errors=True)
        raise RunError(
            "under these settings no draw of those that are stored is kept",
            f"Nothing was changed: {_STAGE} is as it was. Choose others.",
        ) from None
    lacking = any(_lacks(outcome, recipe) for outcome in outcomes)
    leaves, judges = _compared(run.path(_STAGE), part_made)
    changed = _swap(work, part_made, lacking)
    run.freeze(recipe)
    return Rejudgement(
        leaves=leaves,
        judges=judges,
        asked=_calls(run) - before,
        changed=changed,
        lacking=lacking,
        folder=str(run.path(_STAGE)),
        before=str(run.folder / BEFORE) if (run.folder / BEFORE).exists() else "",
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


def _something_stored(work: Work) -> None:
    """See that draws were begun under these settings, before a judge is asked anything."""
    leaves = tuple(jsonl.read(work.path("1-leaves", "leaves.jsonl"), Leaf))
    identity = models.identity_of(work.teacher)
    with Journal(work.run.folder / "journal.sqlite", readonly=True) as journal:
        for plan in leaf_plans(leaves, work.recipe, work.teacher, graded_questions(work.recipe)):
            if plan.target <= 0 or generate.why_nothing(plan, work.pack):
                continue
            first = rehearse(plan, work.pack, seed=work.recipe.generate.seed)[0]
            if journal.reply(key_of(asked(first, identity))) is not None:
                return
    words = difference(part(work.run.recipe, _STAGE), part(work.recipe, _STAGE)) if work.run.recipe else []
    raise RunError(
        f"no draw is stored under these settings: {'; '.join(words[:6]) or 'they are the same'}",
        "They change what is asked of the teacher: `feldspar generate --redo` asks it anew.",
    )


def _judges_anew(work: Work) -> bool:
    """Whether verdicts are wanted that nobody was asked for: not where a threshold alone has changed.

    Told by the first sample of each leaf: its draw again, out of what is stored.
    """
    leaves = {leaf.path: leaf for leaf in jsonl.read(work.path("1-leaves", "leaves.jsonl"), Leaf)}
    seen: set[str] = set()
    with Journal(work.run.folder / "journal.sqlite", readonly=True) as journal:
        for old in jsonl.read(work.path(_STAGE, "drafts.jsonl"), Draft):
            if old.leaf in seen or old.leaf not in leaves:
                continue
            seen.add(old.leaf)
            draft = replayed(work, leaves[old.leaf], old.draw, journal)
            if draft is None or (not draft.rejected and len(draft.requests) < len(old.requests)):
                return True
    return False


def replayed(work: Work, leaf: Leaf, draw: int, journal: Journal) -> Draft | None:
    """A draw as far as the journal has it; None where the leaf cannot be drawn."""
    (plan,) = leaf_plans([leaf], work.recipe, work.teacher, ())
    if generate.why_nothing(plan, work.pack):
        return None
    plans: list[models.TeacherPlan | models.JudgePlan] = [work.teacher, *work.judges]
    writer, *judges = [
        Journaled(ScriptedTeacher(str, identity=models.identity_of(one)), journal, stored_only=True)
        for one in plans
    ]
    panel = generate.Panel(tuple(judges), work.recipe.generate.judges_agree)
    return asyncio.run(replay(plan, draw, writer, work.pack, panel, seed=work.recipe.generate.seed))


def _calls(run: Run) -> int:
    with Journal(run.folder / "journal.sqlite", readonly=True) as journal:
        return journal.count()


def _lacks(outcome: generate.LeafOutcome, recipe: Recipe) -> bool:
    if outcome.error and not outcome.draws and "none of 0 draws" not in outcome.error:
        return False  # it can have no draw at all
    budget = outcome.target * recipe.generate.max_draws_per_sample
    short = outcome.accepted < outcome.target and outcome.draws < budget
    return short or "not stored" in outcome.rejected


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


def _drafts(folder: Path) -> Iterator[Draft]:
    """All drafts of a run, in the order of leaves and draws."""
    both = (jsonl.read(folder / f"{name}.jsonl", Draft) for name in ("drafts", "rejected"))
    return heapq.merge(*both, key=_place)


def _place(draft: Draft) -> tuple[str, int]:
    return draft.leaf, draft.draw


def _paired(one: Iterator[Draft], other: Iterator[Draft]) -> Iterator[tuple[Draft | None, Draft | None]]:
    left, right = next(one, None), next(other, None)
    while left is not None or right is not None:
        if right is None or (left is not None and _place(left) < _place(right)):
            yield left, None
            left = next(one, None)
        elif left is None or _place(right) < _place(left):
            yield None, right
            right = next(other, None)
        else:
            yield left, right
            left, right = next(one, None), next(other, None)


@dataclass(slots=True)
class _Verdicts:
    count: int = 0
    same: int = 0
    scored: int = 0
    sums: tuple[float, float] = (0.0, 0.0)


def _compared(old: Path, new: Path) -> tuple[tuple[RejudgedLeaf, ...], tuple[RejudgedVerdicts, ...]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    judges: dict[str, _Verdicts] = defaultdict(_Verdicts)
    for before, now in _paired(_drafts(old), _drafts(new)):
        one = before or now
        assert one is not None
        count = counts[one.leaf]
        kept = before is not None and not before.rejected
        keeps = now is not None and not now.rejected
        count["before"] += kept
        count["now"] += keeps
        count["in"] += keeps and not kept
        count["out"] += kept and not keeps
        if now is not None and now.rejected == "not stored":
            count["not stored"] += 1
        elif before is not None and now is not None:
            count["both"] += 1
            count["same"] += kept == keeps
        if before is not None and now is not None:
            _verdicts(before, now, judges)
    leaves = tuple(
        RejudgedLeaf(
            leaf,
            count["before"],
            count["now"],
            count["in"],
            count["out"],
            count["not stored"],
            count["same"] / count["both"] if count["both"] else None,
        )
        for leaf, count in sorted(counts.items())
    )
    return leaves, tuple(_told(name, found) for name, found in sorted(judges.items()))


def _verdicts(before: Draft, now: Draft, judges: dict[str, _Verdicts]) -> None:
    earlier = {verdict.judge: verdict for verdict in before.verdicts}
    for verdict in now.verdicts:
        other = earlier.get(verdict.judge)
        if other is None:
            continue
        found = judges[verdict.judge]
        found.count += 1
        found.same += verdict.keep == other.keep
        if verdict.score is not None and other.score is not None:
            found.scored += 1
            found.sums = (found.sums[0] + other.score, found.sums[1] + verdict.score)


def _told(name: str, found: _Verdicts) -> RejudgedVerdicts:
    before, now = (value / found.scored if found.scored else None for value in found.sums)
    return RejudgedVerdicts(name, found.count, found.same / found.count, before, now)
