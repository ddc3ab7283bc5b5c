"""What all verbs are made with: the parser, their common options, how a result is printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from feldspar.text import printable
from feldspar.verbs import VERBS, Job

Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Put a setting over the recipe's; may be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Leave out progress and notes; the result is printed.")
]
Redo = Annotated[bool, typer.Option("--redo", help="Make again what no longer fits, and what follows it.")]

app = typer.Typer(
    help="LAB, Large-scale Alignment for chatBots, end to end.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def verb(name: str) -> Callable[[Callable[..., Job]], Callable[..., Job]]:
    text = VERBS[name].help
    return app.command(name, help=f"{text[0].upper()}{text[1:]}.")


def put(data: dict[str, Any], text: str, as_json: bool) -> None:
    """The result, on stdout: whole, as JSON, where it was asked for, else as text."""
    told = json.dumps(data, ensure_ascii=False) if as_json else printable(text).rstrip("\n")
    sys.stdout.write(told + "\n")
