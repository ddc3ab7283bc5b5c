"""2-samples: leaves and a teacher to accepted and rejected drafts (§3.2)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from feldspar import events, generate, jsonl, models, taxonomy
from feldspar import recipe as recipes
from feldspar.errors import TaxonomyError
from feldspar.recipe import Recipe
from feldspar.run import Run
from feldspar.stages.cards import dataset_card, teacher_name
from feldspar.stages.drafts import DraftBook
from feldspar.stages.work import SHOWN_PROBLEMS, Work, files, graded_questions, write_json
from feldspar.teacher import Journal, Reply, Request, Teacher
from feldspar.types import Draft, Leaf, Passage, Question, Sample


def leaf_plans(
    leaves: Sequence[Leaf], recipe: Recipe, teacher: models.TeacherPlan, graded: Sequence[Question]
) -> list[generate.LeafPlan]:
    """How much is drawn of each leaf; a foundational leaf has its samples generated like a skill's."""
    plans = []
    settings = recipe.generate
    for leaf in leaves:
        shown, _ = generate.split_seeds(leaf, recipes.holdout_for(settings, leaf.path), settings.seed)
        passages: list[Passage] = []
        for document in leaf.documents:
            passages += taxonomy.passages(document, teacher.count_tokens, teacher.passage_tokens)
        target, quotas = recipes.quotas_for(settings, leaf.path, len(passages))
        plans.append(
            generate.LeafPlan(
                leaf=leaf,
                seeds=shown,
                passages=tuple(passages),
                target=target,
                max_draws=target * settings.max_draws_per_sample,
                quotas=quotas,
                avoid=tuple(question.question for question in graded if not question.context),
            )
        )
    return plans


def sample_inputs(work: Work) -> dict[str, str]:
    """The leaves, the teacher and its words; no address, no speed."""
    return {
        "1-leaves": work.run.output_digest("1-leaves"),
        "the teacher": work.teacher.identity,
        "the prompt pack": generate.load_pack(work.teacher.pack).digest,
        **files("question file", work.recipe.evaluate.questions + work.recipe.evaluate.retention),
    }


def write_samples(work: Work, folder: Path) -> None:
    """Generate: every draw ends in `accepted.jsonl` or, with its reason, in `rejected.jsonl`."""
    run, recipe = work.run, work.recipe
    leaves = tuple(jsonl.read(work.path("1-leaves", "leaves.jsonl"), Leaf))
    started = time.monotonic()
    book = DraftBook(folder / "drafts.sqlite", {leaf.path: leaf for leaf in leaves})
    try:
        outcomes, calibration = asyncio.run(_drawn(work, leaves, book, folder / "near.sqlite"))
        _write_costs(run, outcomes, time.monotonic() - started)
        if not book.accepted:
            reasons = "\n".join(outcome.error for outcome in outcomes[:SHOWN_PROBLEMS])
            raise TaxonomyError(
                f"no leaf yielded a sample:\n{reasons}", "Every reply is in journal.sqlite; mend the leaves."
            )
        book.write(folder)
    finally:
        book.close()
    samples = jsonl.read(folder / "accepted.jsonl", Sample)
    card = dataset_card(leaves, samples, teacher_name(recipe))
    (folder / "README.md").write_text(card, encoding="utf-8", newline="\n")
    write_json(folder / "funnel.json", generate.funnel(outcomes))
    if calibration is not None:
        write_json(folder / "calibration.json", jsonl.to_json(calibration))


async def _drawn(
    work: Work, leaves: Sequence[Leaf], book: DraftBook, scratch: Path
) -> tuple[list[generate.LeafOutcome], generate.Calibration | None]:
    """Draw every leaf; decided drafts go to the book."""
    recipe, watch, plan = work.recipe, work.watch, work.teacher
    plans = leaf_plans(leaves, recipe, plan, graded_questions(recipe))
    pack = generate.load_pack(plan.pack)
    seed = recipe.generate.seed
    async with models.open_teacher(recipe, plan, work.run.folder / "journal.sqlite") as journaled:
        teacher = _Told(journaled, watch)
        calibration = await generate.calibrate(plans, teacher, pack, seed=seed)
        _say_calibration(calibration, watch)
        outcomes = []
        told = _LeafCounts(plans, watch)
        drawing = generate.generate(
            plans,
            teacher,
            pack,
            seed=seed,
            slots=lambda: 1 if plan.weights else plan.in_flight,
            scratch=scratch,
        )
        async with contextlib.aclosing(drawing):
            async for found in drawing:
                if isinstance(found, Draft):
                    book.add(found)
                    told.decided(found)
                else:
                    outcomes.append(found)
                    told.done(found)
    return sorted(outcomes, key=lambda outcome: outcome.leaf), calibration


class _Told:
    """A teacher that tells of each reply."""

    def __init__(self, teacher: Teacher, watch: events.Watch) -> None:
        self.identity = teacher.identity
        self._teacher = teacher
        self._watch = watch

    async def ask(self, request: Request) -> Reply:
        reply = await self._teacher.ask(request)
        self._watch(events.Tokens(reply.prompt_tokens, reply.completion_tokens, reply.seconds, reply.stored))
        return reply

    async def close(self) -> None:
        await self._teacher.close()


class _LeafCounts:
    """Adds decided draws up to where each leaf stands."""

    def __init__(self, plans: Sequence[generate.LeafPlan], watch: events.Watch) -> None:
        self._watch = watch
        self._targets = {plan.leaf.path: plan.target for plan in plans}
        self._accepted: Counter[str] = Counter()
        self._rejected: dict[str, Counter[str]] = {}

    def decided(self, draft: Draft) -> None:
        reasons = self._rejected.setdefault(draft.leaf, Counter())
        if draft.rejected:
            reasons[draft.rejected] += 1
        else:
            self._accepted[draft.leaf] += 1
        self._tell(draft.leaf, self._accepted[draft.leaf], reasons)

    def done(self, outcome: generate.LeafOutcome) -> None:
        self._tell(outcome.leaf, outcome.accepted, outcome.rejected, done=True)
        self._rejected.pop(outcome.leaf, None)
        if outcome.error:
            self._watch(events.Note(outcome.error))
        elif outcome.accepted < outcome.target:
            self._watch(events.Note(too_few(outcome.leaf, outcome.accepted, outcome.target, outcome.draws)))

    def _tell(self, leaf: str, accepted: int, rejected: Mapping[str, int], done: bool = False) -> None:
        drawn = accepted + sum(rejected.values())
        self._watch(events.LeafProgress(leaf, drawn, accepted, self._targets[leaf], dict(rejected), done))


def _say_calibration(calibration: generate.Calibration | None, watch: events.Watch) -> None:
    if calibration is None:
        return
    told = f"the judge is right on {calibration.agreement:.0%} of {calibration.count} known pairs"
    if calibration.at_chance:
        told += ": that is chance, its verdicts filter nothing"
    watch(events.Note(told))


def too_few(leaf: str, accepted: int, target: int, draws: int) -> str:
    """What to tell of a leaf whose budget ran out."""
    return (
        f"{leaf}: {accepted} of {target} samples after {draws} draws, which is its budget "
        "(generate.max_draws_per_sample)"
    )


def _write_costs(run: Run, outcomes: Sequence[generate.LeafOutcome], seconds: float) -> None:
    """What the run's teacher has cost so far, killed processes included; no stage depends on it."""
    with Journal(run.folder / "journal.sqlite", readonly=True) as journal:
        costs = jsonl.to_json(journal.costs())
    del costs["stored"]
    costs |= {
        "surplus_draws": sum(outcome.surplus for outcome in outcomes),
        "surplus_calls": sum(outcome.surplus_calls for outcome in outcomes),
        "last_generation_seconds": round(seconds, 1),
    }
    write_json(run.folder / "costs.json", costs)


def read_drafts(run: Run, name: str) -> tuple[Draft, ...]:
    """`drafts` (the accepted ones) or `rejected`."""
    return tuple(jsonl.read(run.path("2-samples") / f"{name}.jsonl", Draft))
