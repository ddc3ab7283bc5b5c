"""The verbs. Each parses, and hands back one call into `lab` and what to print of its result.

typer reads these signatures; they return a `Job` in place of working, because `cli` is where
errors and interruptions end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from feldspar import jsonl
from feldspar.commands import before
from feldspar.commands.parts import Json, Quiet, Redo, Sets, app, put, verb
from feldspar.errors import RunError
from feldspar.progress import Live
from feldspar.verbs import OK, PROBLEMS, Job

if TYPE_CHECKING:
    from feldspar.lab import PilotPlan, Plan, Summary

__all__ = ["app", "before"]

Out = Annotated[Path, typer.Option("--out", "-o", metavar="RUN", help="The run's folder.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")]
RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe's YAML file.")]


@verb("plan")
def plan(
    recipe: RecipeFile,
    pilot: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=1000, help="Make N draws of each leaf, and tell from them."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="RUN", help="The run's folder, which keeps the pilot."),
    ] = None,
    sets: Sets = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> Job:
    if (pilot is None) != (out is None):
        raise typer.BadParameter("--pilot N and --out RUN go together: the run keeps what a pilot paid for.")

    def act() -> int:
        from feldspar.recipe import load

        settings = load(recipe, sets or ())
        from feldspar import lab

        if pilot is None or out is None:
            result = lab.plan(settings)
            put(jsonl.to_json(result), _text(result, quiet), as_json)
            return OK
        with Live(quiet=quiet) as live:
            told = lab.pilot(settings, out, pilot, watch=live)
        put(jsonl.to_json(told), _text(told, quiet), as_json)
        return OK

    return Job(act, out)


def _work(
    name: str, source: Path, folder: Path, sets: list[str] | None, redo: bool, as_json: bool, quiet: bool
) -> Job:
    """The verbs that carry a run up to one of its stages; they differ in nothing else."""

    def act() -> int:
        from feldspar.recipe import load

        if source == folder / "recipe.yaml" and not source.is_file():
            mend = f"`feldspar run RECIPE --out {folder}` makes one."
            raise RunError(f"{folder} is no run: it has no recipe.yaml", mend)
        recipe = load(source, sets or ())
        # Only now: a recipe that cannot be read is named at once.
        from feldspar import lab

        with Live(quiet=quiet) as live:
            summary = lab.run(recipe, folder, verb=name, redo=redo, watch=live)
        put(jsonl.to_json(summary), _text(summary, quiet), as_json)
        return PROBLEMS if summary.problems else OK

    return Job(act, folder)


def _from_recipe(name: str) -> Callable[..., Job]:
    """A verb that starts from a recipe."""

    def act_on(
        recipe: RecipeFile,
        out: Out,
        sets: Sets = None,
        redo: Redo = False,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> Job:
        return _work(name, recipe, out, sets, redo, as_json, quiet)

    return act_on


def _from_run(name: str) -> Callable[..., Job]:
    """A verb that goes on with a run."""

    def act_on(
        run: RunFolder, sets: Sets = None, redo: Redo = False, as_json: Json = False, quiet: Quiet = False
    ) -> Job:
        return _work(name, run / "recipe.yaml", run, sets, redo, as_json, quiet)

    return act_on


for _name in ("generate", "mix", "train", "evaluate", "report", "run"):
    verb(_name)((_from_recipe if _name in {"generate", "run"} else _from_run)(_name))


@verb("rejudge")
def rejudge(run: RunFolder, sets: Sets = None, as_json: Json = False, quiet: Quiet = False) -> Job:
    def act() -> int:
        from feldspar import lab

        with Live(quiet=quiet) as live:
            found = lab.rejudge(run, sets or (), watch=live)
        put(jsonl.to_json(found), lab.rejudged(found), as_json)
        return OK

    return Job(act, run)


@verb("show")
def show(
    run: RunFolder,
    sample: Annotated[
        str, typer.Argument(metavar="ID", help="A sample's id, as in 2-samples/accepted.jsonl.")
    ],
    as_json: Json = False,
    quiet: Quiet = False,
) -> Job:
    def act() -> int:
        from feldspar import lab

        story = lab.show(run, sample)
        put({"id": sample, "story": story}, story, as_json)
        return OK

    return Job(act)


@verb("chat")
def chat(run: RunFolder, quiet: Quiet = False) -> Job:
    def act() -> int:
        from feldspar import lab

        lab.chat(run)
        return OK

    return Job(act)


@verb("export")
def export(
    run: RunFolder,
    to: Annotated[
        Literal["hf", "messages"], typer.Option("--to", help="The model's folder, or the samples.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="PATH", help="What to write; not there yet.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> Job:
    def act() -> int:
        from feldspar.export import export as write

        count = write(run, to, out)
        noun = "files" if to == "hf" else "samples"
        put({"path": str(out), noun: count}, f"{out}: {count} {noun}", as_json)
        return OK

    return Job(act, out=out)


def _text(result: Plan | PilotPlan | Summary, quiet: bool) -> str:
    """A result as text; its notes are left out where all is quiet."""
    return str(dataclasses.replace(result, notes=()) if quiet else result)
