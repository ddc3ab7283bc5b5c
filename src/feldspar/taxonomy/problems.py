"""A problem in a taxonomy, with its place and its mend, and the list that collects them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import yaml

from feldspar.text import escaped

Severity = Literal["error", "warning"]

Place = yaml.Node | tuple[int, int]
"""Where in a file: a YAML node, or a line and a column, both from 1."""

START: Place = (1, 1)

STYLE = frozenset(
    "braces brackets colons commas empty-lines hyphens indentation new-line-at-end-of-file "
    "trailing-spaces".split()
)
"""The rules of style that `--strict` makes errors, by yamllint's names.

`new-lines` is not among them: InstructLab's validator reads lines whatever their ends, and git makes
CRLF of sound files on Windows. The rest of the warnings is advice, which fails nobody's CI.
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a taxonomy's file that keeps it from being read as meant."""

    file: str
    """The file as it was given."""
    line: int
    """From 1."""
    column: int
    """From 1, in characters."""
    severity: Severity
    rule: str
    """The rule's short name: `unknown-key`, `too-few-seeds`, …"""
    message: str
    mend: str

    def __str__(self) -> str:
        mend = f"; {self.mend}" if self.mend else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.rule}: {self.message}{mend}"


@dataclass(slots=True)
class Findings:
    """The problems of one file, in the order found."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def error(self, at: Place, rule: str, message: str, mend: str = "") -> None:
        """Note what makes the leaf unusable."""
        line, column = line_and_column(at)
        self.problems.append(Problem(self.file, line, column, "error", rule, message, mend))

    def note(self, severity: Severity, at: Place, rule: str, message: str, mend: str) -> None:
        """Note what is an error in one version and a warning in another."""
        (self.error if severity == "error" else self.warn)(at, rule, message, mend)

    def warn(self, at: Place, rule: str, message: str, mend: str = "") -> None:
        """Note what a person should mend, but which keeps no leaf from being used."""
        line, column = line_and_column(at)
        self.problems.append(Problem(self.file, line, column, "warning", rule, message, mend))

    @property
    def errors(self) -> int:
        """How many of the problems are errors."""
        return sum(problem.severity == "error" for problem in self.problems)


def line_and_column(at: Place) -> tuple[int, int]:
    """Line and column of a place, from 1; (1, 1) for a node without marks."""
    if isinstance(at, tuple):
        return at
    mark = at.start_mark
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems by file, line and column; errors first where the place is the same."""
    return tuple(sorted(problems, key=lambda p: (p.file, p.line, p.column, p.severity, p.rule, p.message)))


def as_errors(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The same problems, with those of style made errors (`--strict`); advice stays advice."""
    return tuple(
        replace(problem, severity="error") if problem.rule in STYLE else problem for problem in problems
    )


def shown(path: Path | str) -> str:
    """A path as printable text: what is not UTF-8, or would move a terminal's cursor, is escaped."""
    return escaped(str(path))
