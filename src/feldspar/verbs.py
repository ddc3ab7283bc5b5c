"""The verbs' names and help, and what is known of a parsed one; imports nothing that is slow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

OK, PROBLEMS, USAGE, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True, slots=True)
class Job:
    """What a verb is about to do."""

    act: Callable[[], int]
    """Does it, prints the result, returns the exit code."""
    folder: Path | None = None
    """The run that it works in, which an interruption leaves to be gone on with."""
    out: Path | None = None
    """Where else it was told to write."""


@dataclass(frozen=True, slots=True)
class Verb:
    """A line of `--help`."""

    usage: str
    help: str


VERBS = {
    "init": Verb("init DIR", "write a project to edit: a recipe, and a taxonomy with a leaf of each kind"),
    "check": Verb(
        "check PATH... [--strict] [--base REV]",
        "name every problem, with its line and mend, for people, editors and CI",
    ),
    "tree": Verb("tree PATH", "the branches with their leaves, seeds, documents, licences and problems"),
    "schema": Verb("schema [--out FILE]", "the JSON Schema of qna.yaml, for editors"),
    "plan": Verb(
        "plan RECIPE [--pilot N --out RUN]",
        "calls and tokens, before anything is asked; a pilot tells time and cost, too",
    ),
    "generate": Verb("generate RECIPE --out RUN", "taxonomy to samples"),
    "mix": Verb("mix RUN", "samples to the phases' data, with their replay buffers"),
    "train": Verb("train RUN", "phases to checkpoints, the best of each chosen"),
    "evaluate": Verb("evaluate RUN", "base and tuned, side by side"),
    "report": Verb("report RUN", "all of it on one page: report.html"),
    "run": Verb("run RECIPE --out RUN", "all of it; the same command again goes on where it stopped"),
    "rejudge": Verb(
        "rejudge RUN [--set KEY=VALUE]",
        "new thresholds, prompts or judges over what is stored; nothing is generated",
    ),
    "show": Verb("show RUN ID", "one sample's whole story: leaf, seeds, passage, prompts, verdicts"),
    "chat": Verb("chat RUN", "talk to the tuned model, beside the base model"),
    "export": Verb(
        "export RUN --to hf|messages --out PATH", "the tuned model, or the samples, for other tools"
    ),
}

_FOOT = """
Every verb takes --quiet, which leaves out progress and notes (the result and errors are always
printed), and every verb but chat --json. Those that read a recipe, a run's too, take
--set KEY=VALUE, as in --set phases.kt1.epochs=3; those that make stages take --redo, which makes
again what no longer fits. `feldspar VERB --help` says it all; --version, --install-completion.

Exit codes: 0 done, 1 the input or the run has problems (named), 2 wrong usage, 130 interrupted.
"""


def help_text() -> str:
    """What `feldspar --help` prints."""
    width = max(len(verb.usage) for verb in VERBS.values()) + 2
    lines = [f"  {verb.usage:<{width}}{verb.help}" for verb in VERBS.values()]
    opening = "feldspar: LAB, Large-scale Alignment for chatBots, end to end\n\nusage: feldspar VERB ...\n\n"
    return opening + "\n".join(lines) + "\n" + _FOOT
