"""2-samples: leaves and a teacher to accepted and rejected drafts (§3.2)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from feldspar import events, generate, jsonl, models, taxonomy
from feldspar import recipe as recipes
from feldspar.errors import BudgetSpent, NotStored, TaxonomyError
from feldspar.generate.avoid import asked_in
from feldspar.generate.diversity import diversity
from feldspar.generate.held import Asked, Held
from feldspar.generate.pool import pooled
from feldspar.generate.twins import Twin, twins
from feldspar.recipe import Recipe
from feldspar.run import Run
from feldspar.stages.cards import dataset_card, teacher_name
from feldspar.stages.drafts import DraftBook
from feldspar.stages.telling import LeafCounts, Told, say_calibration
from feldspar.stages.work import SHOWN_PROBLEMS, Work, files, graded_questions, write_json
from feldspar.teacher import Journal
from feldspar.types import Draft, Leaf, Passage, Question, Sample

Stored = Literal["", "writing", "all"]
"""What comes out of the journal alone: nothing, what the teacher wrote, or the verdicts, too."""


def leaf_plans(
    leaves: Sequence[Leaf], recipe: Recipe, teacher: models.TeacherPlan, graded: Sequence[Question]
) -> list[generate.LeafPlan]:
    """How much is drawn of each leaf; a foundational leaf has its samples generated like a skill's."""
    plans = []
    settings = recipe.generate
    held = Held.build(
        (_asked(question) for question in graded if not question.context),
        (asked for path in settings.avoid for asked in asked_in(path)),
    )
    for leaf in (recipes.manner_for(settings, leaf) for leaf in leaves):
        shown, _ = generate.split_seeds(leaf, recipes.holdout_for(settings, leaf.path), settings.seed)
        passages: list[Passage] = []
        for document in leaf.documents:
            passages += taxonomy.passages(document, teacher.count_tokens, teacher.passage_tokens)
        target, quotas = recipes.quotas_for(settings, leaf, len(passages))
        plans.append(
            generate.LeafPlan(
                leaf=leaf,
                seeds=shown,
                passages=tuple(passages),
                target=target,
                max_draws=target * settings.max_draws_per_sample,
                quotas=quotas,
                graded=held,
            )
        )
    return plans


def _asked(question: Question) -> Asked:
    """What is asked, and where: a question file's questions are numbered."""
    file, mark, number = question.id.rpartition("#")
    if number.isascii() and number.isdecimal() and len(number) < 10:
        return question.question, f"{file}{mark}", int(number)
    return question.question, question.id, 0


def as_drawn(plans: Sequence[generate.LeafPlan], recipe: Recipe) -> list[generate.LeafPlan]:
    """The leaves' plans with the seeds that their draws show: their own, or the pool's."""
    return pooled(plans) if recipe.generate.sampling == "pool" else list(plans)


def sample_inputs(work: Work) -> dict[str, str]:
    """The leaves, the teacher and its words; no address, no speed."""
    return {
        "1-leaves": work.run.output_digest("1-leaves"),
        "the teacher": work.teacher.identity,
        "the prompt pack": work.pack.digest,
        **models.judge_inputs(work.judges),
        **files("question file", work.recipe.evaluate.questions + work.recipe.evaluate.retention),
        **files("benchmark file", work.recipe.generate.avoid),
    }


def write_samples(work: Work, folder: Path) -> None:
    """Generate: every draw ends in `accepted.jsonl` or, with its reason, in `rejected.jsonl`."""
    make_samples(work, folder)


def make_samples(work: Work, folder: Path, *, stored: Stored = "") -> list[generate.LeafOutcome]:
    """`write_samples`; with `stored`, out of what the journal holds: only who judges may be asked.

    Raises:
        BudgetSpent: The budget is reached; what was done is told.
    """
    run, recipe = work.run, work.recipe
    leaves = tuple(jsonl.read(work.path("1-leaves", "leaves.jsonl"), Leaf))
    started = time.monotonic()
    book = DraftBook(folder / "drafts.sqlite", {leaf.path: leaf for leaf in leaves})
    used = 0

    def add(draft: Draft) -> None:
        nonlocal used
        used += len(draft.requests)
        book.add(draft)

    try:
        plans = leaf_plans(leaves, recipe, work.teacher, graded_questions(recipe))
        scratch = folder / "near.index"
        try:
            outcomes, calibration = asyncio.run(drawn(work, plans, add, scratch, stored=stored))
        except BudgetSpent:
            _write_costs(run, time.monotonic() - started)
            raise
        used += len(calibration.asked) if calibration is not None else 0
        _write_costs(run, time.monotonic() - started, outcomes, used)
        if not book.accepted:
            reasons = "\n".join(outcome.error for outcome in outcomes[:SHOWN_PROBLEMS])
            raise TaxonomyError(
                f"no leaf yielded a sample:\n{reasons}", "Every reply is in journal.sqlite; mend the leaves."
            )
        book.write(folder)
    finally:
        book.close()
    card = dataset_card(leaves, _samples(folder), teacher_name(recipe))
    (folder / "README.md").write_text(card, encoding="utf-8", newline="\n")
    write_json(folder / "funnel.json", generate.funnel(outcomes))
    jsonl.write(folder / "twins.jsonl", twins(_samples(folder), folder))
    alike = Counter(twin.id.rpartition("#")[0] for twin in jsonl.read(folder / "twins.jsonl", Twin))
    write_json(folder / "diversity.json", jsonl.to_json(diversity(_samples(folder), leaves, alike)))
    if calibration is not None:
        write_json(folder / "calibration.json", jsonl.to_json(calibration))
    return outcomes


def _samples(folder: Path) -> Iterator[Sample]:
    return jsonl.read(folder / "accepted.jsonl", Sample)


async def drawn(
    work: Work,
    plans: Sequence[generate.LeafPlan],
    add: Callable[[Draft], None],
    scratch: Path | None,
    *,
    stored: Stored = "",
) -> tuple[list[generate.LeafOutcome], generate.Calibration | None]:
    """Draw every leaf; `add` takes the decided drafts.

    Raises:
        BudgetSpent: The budget is reached; what was done is told.
    """
    told = LeafCounts(plans, work.watch, notes=not stored and not any(plan.last for plan in plans))
    try:
        return await _drawn(work, plans, add, told, scratch, stored)
    except BudgetSpent as spent:
        raise BudgetSpent(f"{spent.what}\n{told.so_far()}", spent.mend) from spent


async def _drawn(
    work: Work,
    plans: Sequence[generate.LeafPlan],
    add: Callable[[Draft], None],
    told: LeafCounts,
    scratch: Path | None,
    stored: Stored,
) -> tuple[list[generate.LeafOutcome], generate.Calibration | None]:
    recipe, watch = work.recipe, work.watch
    seed, pack = recipe.generate.seed, work.pack
    journal = work.run.folder / "journal.sqlite"
    if stored:
        may_judge = stored == "writing"
        opening = models.open_stored(recipe, work.teacher, work.judges, journal, may_judge=may_judge)
    else:
        opening = models.open_teachers(recipe, work.teacher, work.judges, journal)
    async with opening as opened:
        teacher = Told(opened.teacher, watch)
        judges = tuple(Told(judge, watch) for judge in opened.judges)
        drawable = [plan for plan in plans if not generate.why_nothing(plan, pack)]
        calibration = None
        # A run of an earlier version has no calibration in its journal.
        with contextlib.suppress(NotStored):
            calibration = await generate.calibrate(
                drawable,
                teacher,
                pack,
                seed=seed,
                judges=judges,
                tell=lambda done, total: watch(events.Calibrating(done, total)),
            )
        # Told once: not where all of it was there already, nor by a pilot, whose plan has it.
        if any(one.sent for one in (teacher, *judges)) and not any(plan.last for plan in plans):
            say_calibration(calibration, watch)
        outcomes = []
        panel = generate.Panel(judges, recipe.generate.judges_agree)
        # The judges are measured on each leaf's own seeds; only what is drawn is pooled.
        chosen = as_drawn(plans, recipe)
        drawing = generate.generate(
            chosen, teacher, pack, seed=seed, slots=opened.slots, panel=panel, scratch=scratch
        )
        async with contextlib.aclosing(drawing):
            async for found in drawing:
                if isinstance(found, Draft):
                    add(found)
                    told.decided(found)
                else:
                    outcomes.append(found)
                    told.done(found)
    return sorted(outcomes, key=lambda outcome: outcome.leaf), calibration


def _write_costs(
    run: Run, seconds: float, outcomes: Sequence[generate.LeafOutcome] = (), used: int | None = None
) -> None:
    """What the run's teacher has cost so far, killed processes included; no stage depends on it.

    Args:
        run: Its journal counts.
        seconds: What this process took.
        outcomes: The leaves, where they are done.
        used: Calls that the drafts in the files and the calibration are made of; None: it is not known
            yet. All others in the journal are surplus, whichever process made them.
    """
    with Journal(run.folder / "journal.sqlite", readonly=True) as journal:
        costs = jsonl.to_json(journal.costs())
        count = journal.count()
    del costs["stored"]
    if used is not None:
        costs["surplus_calls"] = max(0, count - used)
        costs["last_generation_surplus_draws"] = sum(outcome.surplus for outcome in outcomes)
    write_json(run.folder / "costs.json", costs | {"last_generation_seconds": round(seconds, 1)})


def read_drafts(run: Run, name: str) -> tuple[Draft, ...]:
    """`drafts` (the accepted ones) or `rejected`."""
    return tuple(jsonl.read(run.path("2-samples") / f"{name}.jsonl", Draft))
