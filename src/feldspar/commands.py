"""The verbs. Each parses, and hands back one call into `lab` and what to print of its result.

typer reads these signatures; they return a `Job` in place of working, because `cli` is where
errors and interruptions end.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from feldspar import jsonl
from feldspar.errors import RunError
from feldspar.progress import Live
from feldspar.text import printable
from feldspar.verbs import OK, PROBLEMS, VERBS, Job

Format = Literal["text", "json", "github", "sarif"]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Put a setting over the recipe's; may be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Redo = Annotated[bool, typer.Option("--redo", help="Make again what no longer fits, and what follows it.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="RUN", help="The run's folder.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")]
RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe's YAML file.")]

app = typer.Typer(
    help="LAB, Large-scale Alignment for chatBots, end to end.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _verb(name: str) -> Callable[[Callable[..., Job]], Callable[..., Job]]:
    text = VERBS[name].help
    return app.command(name, help=f"{text[0].upper()}{text[1:]}.")


@_verb("init")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New, or empty.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> Job:
    def act() -> int:
        from feldspar import project

        names = project.create(folder)
        told = "\n".join(f"  {name}" for name in names)
        again = f"Next: feldspar run {folder / 'recipe.yaml'} --out {folder / 'runs' / 'first'}"
        _print(
            {"folder": str(folder), "files": list(names)}, f"{folder} holds\n{told}\n{again}", as_json, quiet
        )
        return OK

    return Job(act)


@_verb("check")
def check(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Taxonomies, folders, qna.yaml files.")
    ],
    strict: Annotated[bool, typer.Option("--strict", help="Take problems of style for errors.")] = False,
    base: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Only leaves that differ from this git revision, committed or not."),
    ] = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="For people, programs, GitHub's annotations or code scanning."),
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Fetch documents in git, and check contexts against them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Leave out the count.")] = False,
) -> Job:
    if as_json and form not in (None, "json"):
        raise typer.BadParameter(f"--json and --format {form} exclude each other.")

    def act() -> int:
        from feldspar import __version__, curate

        problems = curate.check(paths, strict, base, fetch)
        chosen = "json" if as_json else form or "text"
        # What is wrong is the result, not progress: --quiet leaves out the count alone.
        text = curate.formatted(problems, chosen, version=__version__, count=not quiet)
        if text:
            sys.stdout.write(text + "\n")
        return PROBLEMS if any(problem.severity == "error" for problem in problems) else OK

    return Job(act)


@_verb("tree")
def tree(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The taxonomy's folder.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> Job:
    def act() -> int:
        from feldspar import curate

        result = curate.tree(path)
        _print(jsonl.to_json(result), str(result), as_json, False)
        return PROBLEMS if result.totals[-1].errors else OK

    return Job(act)


@_verb("schema")
def schema(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to; else it is printed.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> Job:
    def act() -> int:
        from feldspar import curate

        text = json.dumps(curate.schema(), ensure_ascii=False, indent=2) + "\n"
        if out is None:
            sys.stdout.write(text)
            return OK
        _write_schema(out, text)
        _print({"path": str(out)}, f"{out}: the JSON Schema of qna.yaml", as_json, quiet)
        return OK

    return Job(act)


def _write_schema(out: Path, text: str) -> None:
    """Put a JSON file where none is, or in another's place."""
    with jsonl.writing(out):
        if out.exists() and not _is_json(out):
            raise RunError(f"{out} exists and is no JSON: nothing was written", "Name a new file with --out.")
        part = out.with_name(out.name + ".partial")
        out.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(out)


def _is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except (ValueError, RecursionError):
        return False


@_verb("plan")
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
            _print(jsonl.to_json(result), str(result), as_json, False)
            return OK
        with Live(quiet=quiet) as live:
            told = lab.pilot(settings, out, pilot, watch=live)
        _print(jsonl.to_json(told), str(told), as_json, False)
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
        _print(jsonl.to_json(summary), str(summary), as_json, quiet)
        return PROBLEMS if summary.problems else OK

    return Job(act, folder)


def _from_recipe(name: str) -> Callable[..., Job]:
    """A verb that starts from a recipe."""

    def verb(
        recipe: RecipeFile,
        out: Out,
        sets: Sets = None,
        redo: Redo = False,
        as_json: Json = False,
        quiet: Quiet = False,
    ) -> Job:
        return _work(name, recipe, out, sets, redo, as_json, quiet)

    return verb


def _from_run(name: str) -> Callable[..., Job]:
    """A verb that goes on with a run."""

    def verb(
        run: RunFolder, sets: Sets = None, redo: Redo = False, as_json: Json = False, quiet: Quiet = False
    ) -> Job:
        return _work(name, run / "recipe.yaml", run, sets, redo, as_json, quiet)

    return verb


for _name in ("generate", "mix", "train", "evaluate", "report", "run"):
    _verb(_name)((_from_recipe if _name in {"generate", "run"} else _from_run)(_name))


@_verb("rejudge")
def rejudge(run: RunFolder, sets: Sets = None, as_json: Json = False, quiet: Quiet = False) -> Job:
    def act() -> int:
        from feldspar import lab

        with Live(quiet=quiet) as live:
            found = lab.rejudge(run, sets or (), watch=live)
        _print(jsonl.to_json(found), lab.rejudged(found), as_json, quiet)
        return OK

    return Job(act, run)


@_verb("show")
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
        _print({"id": sample, "story": story}, story, as_json, False)
        return OK

    return Job(act)


@_verb("chat")
def chat(run: RunFolder, quiet: Quiet = False) -> Job:
    def act() -> int:
        from feldspar import lab

        lab.chat(run)
        return OK

    return Job(act)


@_verb("export")
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
        _print({"path": str(out), noun: count}, f"{out}: {count} {noun}", as_json, quiet)
        return OK

    return Job(act)


def _print(data: dict[str, Any], text: str, as_json: bool, quiet: bool) -> None:
    """The result, on stdout: as JSON where it was asked for, else as text unless all is quiet."""
    if as_json:
        sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
    elif not quiet:
        sys.stdout.write(printable(text).rstrip("\n") + "\n")
