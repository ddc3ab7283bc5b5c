"""2-samples: leaves and a teacher to accepted and rejected drafts (§3.2)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from feldspar import events, generate, jsonl, models, taxonomy
from feldspar import recipe as recipes
from feldspar.errors import TaxonomyError
from feldspar.recipe import Recipe
from feldspar.run import Run
from feldspar.stages.cards import dataset_card, teacher_name
from feldspar.stages.work import SHOWN_PROBLEMS, Work, files, graded_questions, write_json
from feldspar.teacher import Journal, Reply, Request, Teacher
from feldspar.types import Draft, Leaf, Passage, Question

_AHEAD = 1.5
"""Draws under way for each request in flight: between two requests a draw does a little work."""


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
        target = recipes.samples_for(settings, leaf.path, len(passages))
        plans.append(
            generate.LeafPlan(
                leaf=leaf,
                seeds=shown,
                passages=tuple(passages),
                target=target,
                max_draws=target * settings.max_draws_per_sample,
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
    run, recipe, watch, plan = work.run, work.recipe, work.watch, work.teacher
    leaves = tuple(jsonl.read(work.path("1-leaves", "leaves.jsonl"), Leaf))
    plans = leaf_plans(leaves, recipe, plan, graded_questions(recipe))
    pack = generate.load_pack(plan.pack)
    started = time.monotonic()

    async def drawn() -> tuple[list[generate.LeafOutcome], generate.Calibration | None]:
        async with models.open_teacher(recipe, plan, run.folder / "journal.sqlite") as journaled:
            teacher = _Told(journaled, watch)
            calibration = await generate.calibrate(plans, teacher, pack, seed=recipe.generate.seed)
            _say_calibration(calibration, watch)
            outcomes = []
            told = _LeafCounts(watch)
            ahead = round(plan.in_flight * _AHEAD)
            async for outcome in generate.generate(
                plans, teacher, pack, seed=recipe.generate.seed, watch=told, lookahead=ahead
            ):
                told.done(outcome)
                outcomes.append(outcome)
            return outcomes, calibration

    outcomes, calibration = asyncio.run(drawn())
    outcomes.sort(key=lambda outcome: outcome.leaf)
    by_path = {leaf.path: leaf for leaf in leaves}
    drafts = [draft for outcome in outcomes for draft in outcome.drafts]
    accepted = [draft for draft in drafts if not draft.rejected]
    _write_costs(run, sum(outcome.surplus for outcome in outcomes), time.monotonic() - started)
    if not accepted:
        reasons = "\n".join(outcome.error for outcome in outcomes[:SHOWN_PROBLEMS])
        raise TaxonomyError(
            f"no leaf yielded a sample:\n{reasons}", "Every reply is in journal.sqlite; mend the leaves."
        )
    samples = [generate.to_sample(draft, by_path[draft.leaf]) for draft in accepted]
    jsonl.write(folder / "accepted.jsonl", samples)
    card = dataset_card(leaves, samples, teacher_name(recipe))
    (folder / "README.md").write_text(card, encoding="utf-8", newline="\n")
    jsonl.write(folder / "drafts.jsonl", accepted)
    jsonl.write(folder / "rejected.jsonl", (draft for draft in drafts if draft.rejected))
    write_json(folder / "funnel.json", generate.funnel(outcomes))
    if calibration is not None:
        write_json(folder / "calibration.json", jsonl.to_json(calibration))


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

    def __init__(self, watch: events.Watch) -> None:
        self._watch = watch
        self._rejected: dict[str, Counter[str]] = {}

    def __call__(self, event: generate.GenerateEvent) -> None:
        reasons = self._rejected.setdefault(event.leaf, Counter())
        if event.rejected:
            reasons[event.rejected] += 1
        self._watch(events.LeafProgress(event.leaf, event.draw, event.accepted, event.target, dict(reasons)))

    def done(self, outcome: generate.LeafOutcome) -> None:
        accepted = len(outcome.accepted)
        reasons = dict(self._rejected.get(outcome.leaf, {}))
        self._watch(
            events.LeafProgress(outcome.leaf, len(outcome.drafts), accepted, outcome.target, reasons, True)
        )
        if outcome.error:
            self._watch(events.Note(outcome.error))
        elif accepted < outcome.target:
            self._watch(events.Note(too_few(outcome.leaf, accepted, outcome.target, len(outcome.drafts))))


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


def _write_costs(run: Run, surplus: int, seconds: float) -> None:
    """What the run's teacher has cost so far, killed processes included; no stage depends on it."""
    with Journal(run.folder / "journal.sqlite", readonly=True) as journal:
        costs = jsonl.to_json(journal.costs())
    del costs["stored"]
    costs |= {"surplus_draws": surplus, "last_generation_seconds": round(seconds, 1)}
    write_json(run.folder / "costs.json", costs)


def read_drafts(run: Run, name: str) -> tuple[Draft, ...]:
    """`drafts` (the accepted ones) or `rejected`."""
    return tuple(jsonl.read(run.path("2-samples") / f"{name}.jsonl", Draft))
