"""The verbs that come before a run: a project, and what is said of its taxonomy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from feldspar import jsonl
from feldspar.commands.parts import Json, Quiet, put, verb
from feldspar.errors import RunError
from feldspar.verbs import OK, PROBLEMS, Job

Format = Literal["text", "json", "github", "sarif"]


@verb("init")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New, or empty.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> Job:
    def act() -> int:
        from feldspar import project

        names = project.create(folder)
        told = [f"{folder} holds", *(f"  {name}" for name in names)]
        if not quiet:
            told.append(f"Next: feldspar run {folder / 'recipe.yaml'} --out {folder / 'runs' / 'first'}")
        put({"folder": str(folder), "files": list(names)}, "\n".join(told), as_json)
        return OK

    return Job(act, out=folder)


@verb("check")
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
    quiet: Quiet = False,
) -> Job:
    if as_json and form not in (None, "json"):
        raise typer.BadParameter(f"--json and --format {form} exclude each other.")

    def act() -> int:
        from feldspar import __version__, curate

        problems = curate.check(paths, strict, base, fetch)
        chosen = "json" if as_json else form or "text"
        # What is wrong is the result; how much of it there is, a note.
        text = curate.formatted(problems, chosen, version=__version__, count=not quiet)
        if text:
            sys.stdout.write(text + "\n")
        return PROBLEMS if any(problem.severity == "error" for problem in problems) else OK

    return Job(act)


@verb("tree")
def tree(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The taxonomy's folder.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> Job:
    def act() -> int:
        from feldspar import curate

        result = curate.tree(path)
        put(jsonl.to_json(result), str(result), as_json)
        return PROBLEMS if result.totals[-1].errors else OK

    return Job(act)


@verb("schema")
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
        put({"path": str(out)}, f"{out}: the JSON Schema of qna.yaml", as_json)
        return OK

    return Job(act, out=out)


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
