"""LAB, end to end: the paper's Figure 1 as one function.

`run` carries a run from its taxonomy to its report; the same call again goes on where it stopped.
This is the only file that knows the stages' order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from feldspar import events, piloting, planning, stages, story
from feldspar.errors import RunError, TaxonomyError
from feldspar.piloting import PilotPlan
from feldspar.planning import Plan
from feldspar.recipe import Recipe, load, part_digest
from feldspar.run import Run
from feldspar.showing import show
from feldspar.stages import Work
from feldspar.stages.work import SHOWN_PROBLEMS
from feldspar.story import Summary, chat, rejudged

__all__ = [
    "FLOW",
    "VERBS",
    "PilotPlan",
    "Plan",
    "Summary",
    "chat",
    "pilot",
    "plan",
    "rejudge",
    "rejudged",
    "run",
    "show",
]

Inputs = Callable[[Work], Mapping[str, str]]
"""What a stage is made of beside its settings: names for a person, and digests."""

Write = Callable[[Work, Path], None]
"""Makes a stage in the folder given."""

FLOW: tuple[tuple[str, Inputs, Write], ...] = (
    ("1-leaves", stages.leaf_inputs, stages.write_leaves),  # §3.1
    ("2-samples", stages.sample_inputs, stages.write_samples),  # §3.2
    ("3-phases", stages.phase_inputs, stages.write_phases),  # §3.3, Table 1
    ("4-checkpoints", stages.checkpoint_inputs, stages.write_checkpoints),  # §3.3, Table 2
    ("model", stages.model_inputs, stages.write_model),
    ("5-scores", stages.score_inputs, stages.write_scores),  # §4, Table 3
)

VERBS = {
    "run": ("1-leaves", "5-scores"),
    "generate": ("1-leaves", "2-samples"),
    "mix": ("3-phases", "3-phases"),
    "train": ("4-checkpoints", "model"),
    "evaluate": ("5-scores", "5-scores"),
    "report": ("5-scores", "5-scores"),
}
"""The verbs that carry a run forward: the first and the last stage that each makes."""


def run(
    recipe: Recipe,
    folder: Path,
    *,
    verb: str = "run",
    redo: bool = False,
    watch: events.Watch = events.silent,
) -> Summary:
    """Carry a run forward: taxonomy, samples, phases, checkpoints, model, scores, report.

    Args:
        recipe: the settings.
        folder: the run's; made if it is not there.
        verb: a key of `VERBS`; stages before its first must be made, and are taken as they are.
        redo: rebuild what other settings or inputs made, in place of refusing.
        watch: told of everything as it happens.

    Returns:
        What the run holds now.

    Raises:
        FeldsparError: what is wrong, where, and the mend; all that was done stays.
    """
    first, last = VERBS[verb]
    names = [name for name, _, _ in FLOW]
    with Run(folder, redo=redo) as run:
        work = Work(run, recipe, watch)
        if first == "1-leaves":
            _ = work.pack  # read now: what is wrong with its keys must not become the run's recipe
        run.freeze(recipe)
        if verb == "run":
            stages.look_ahead(work)
        for name, inputs, write in FLOW[: names.index(last) + 1]:
            if names.index(name) >= names.index(first):
                _carry(work, name, inputs, write)
            elif not run.complete(name):
                mend = "`feldspar run` makes every stage."
                raise RunError(f"{run.folder.name}/{name} is not made yet", mend)
        if verb in {"run", "evaluate", "report"}:
            story.write_report(work)
        return story.summary(work)


def plan(recipe: Recipe) -> Plan:
    """Leaves, samples, calls and tokens, before the teacher is asked; documents in git are fetched.

    Raises:
        FeldsparError: What `run` would raise for the same recipe, that no leaf can be drawn included.
    """
    made = planning.plan(recipe)
    if not any(leaf.calls for leaf in made.leaves):
        paths = {leaf.leaf for leaf in made.leaves}
        raise _nothing([note for note in made.notes if note.partition(": ")[0] in paths])
    return made


def _nothing(reasons: Sequence[str]) -> TaxonomyError:
    """No leaf can be drawn: what a run would find out too."""
    shown = [*reasons[:SHOWN_PROBLEMS]] or ["every leaf is to have 0 (generate.samples_per_leaf)"]
    if len(reasons) > len(shown):
        shown.append(f"… and {len(reasons) - len(shown)} more leaves")
    what = "no leaf can yield a sample:\n" + "\n".join(shown)
    return TaxonomyError(what, "Nothing was asked. Change the recipe or the leaves as told.")


def pilot(recipe: Recipe, folder: Path, draws: int, *, watch: events.Watch = events.silent) -> PilotPlan:
    """Make the first draws of each leaf, and tell from them what the run will need.

    Args:
        recipe: The settings.
        folder: The run's; what is drawn stays in its journal, and `run` asks for none of it again.
        draws: Of each leaf, at most; a leaf that has its samples before makes no more.
        watch: Told of everything as it happens.

    Raises:
        FeldsparError: What `run` would raise.
    """
    name, inputs, write = FLOW[0]
    with Run(folder) as run:
        work = Work(run, recipe, watch)
        _ = work.pack
        run.freeze(recipe)
        _carry(work, name, inputs, write)
        watch(events.StageStarted("pilot"))
        started = time.monotonic()
        flown = stages.fly(work, draws)
        if not flown.trials:
            raise _nothing(flown.nothing)
        made = piloting.piloted(work, flown, draws)
        watch(events.StageDone("pilot", time.monotonic() - started))
        return made


def rejudge(
    folder: Path, sets: Sequence[str] = (), *, watch: events.Watch = events.silent
) -> stages.Rejudgement:
    """Judge a run's samples again over what is stored; the teacher writes nothing new.

    Args:
        folder: The run's.
        sets: `key=value`, as `--set` takes them, over the run's recipe: thresholds, prompts, judges.
        watch: Told of everything as it happens.

    Raises:
        FeldsparError: There is nothing to judge, or the settings change more than what is kept.
    """
    with Run(folder, create=False) as run:
        watch(events.StageStarted("rejudge"))
        started = time.monotonic()
        found = stages.rejudge(run, load(folder / "recipe.yaml", sets), watch)
        watch(events.StageDone("rejudge", time.monotonic() - started))
        return found


def _carry(work: Work, name: str, inputs: Inputs, write: Write) -> None:
    """Make one stage, or find that it is made."""
    started = time.monotonic()
    work.watch(events.StageStarted(name))
    with work.run.stage(name, part_digest(work.recipe, name), inputs(work)) as folder:
        if folder is not None:
            write(work, folder)
    work.watch(events.StageDone(name, time.monotonic() - started, folder is None))
