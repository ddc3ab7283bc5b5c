"""The problems of a taxonomy as text: for a person, a program, GitHub's annotations, code scanning.

Pure functions. What they print was written by strangers: no letter of it moves a terminal's cursor, ends
a line, breaks JSON, or is taken by GitHub's runner for a command, which it reads out of any line of any
output (`::name …::` at a line's start, `##[name …]` anywhere).
"""

from __future__ import annotations

import json
import os.path
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePath
from typing import Any, Literal
from urllib.parse import quote

from feldspar.taxonomy.problems import Problem
from feldspar.taxonomy.rules import RULES
from feldspar.text import counted, escaped

Format = Literal["text", "json", "github", "sarif"]

_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"
"""What SARIF's readers take for the folder that they know the sources in."""


def formatted(
    problems: Sequence[Problem], form: Format, *, here: str, version: str = "", count: bool = True
) -> str:
    """Problems as one text, without a line break at its end.

    Args:
        problems: In the order in which they are to be read.
        form: `text` for a person, `json` for a program, `github` for the annotations of GitHub's
            actions, `sarif` for code scanning (SARIF 2.1.0).
        here: The working directory, which `github` and `sarif` make the files relative to.
        version: Feldspar's, for `sarif`.
        count: Whether `text` and `github` end with the number of problems.
    """
    if form == "json":
        return _json({"problems": [asdict(problem) for problem in problems]})
    if form == "sarif":
        return _json(sarif(problems, here, version), indent=2)
    lines = [as_text(problem) if form == "text" else as_command(problem, here) for problem in problems]
    if count:
        errors = sum(problem.severity == "error" for problem in problems)
        lines.append(f"{counted(errors, 'error')}, {counted(len(problems) - errors, 'warning')}")
    return "\n".join(lines)


def as_text(problem: Problem) -> str:
    """`file:line:column: severity: message [rule]`, and the mend in a line of its own."""
    place = f"{problem.file}:{problem.line}:{problem.column}"
    line = harmless(f"{place}: {problem.severity}: {problem.message} [{problem.rule}]")
    return line + (f"\n    {harmless(problem.mend)}" if problem.mend else "")


def as_command(problem: Problem, here: str) -> str:
    """GitHub's workflow command that puts the problem beside its line."""
    named = {
        "file": relative(problem.file, here),
        "line": str(problem.line),
        "col": str(problem.column),
        "title": problem.rule,
    }
    properties = ",".join(
        f"{key}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}" for key, value in named.items()
    )
    message = "\n".join(filter(None, (problem.message, problem.mend)))
    return f"::{problem.severity} {properties}::{_escaped(message)}"


def _escaped(text: str) -> str:
    # A carriage return is no printable letter: of what GitHub escapes, the line break alone is left.
    plain = "\n".join(harmless(line) for line in text.split("\n"))
    return plain.replace("%", "%25").replace("\n", "%0A")


def sarif(problems: Sequence[Problem], here: str, version: str) -> dict[str, Any]:
    """Problems as a SARIF 2.1.0 log of one run."""
    rules = sorted({problem.rule for problem in problems})
    driver: dict[str, Any] = {"name": "feldspar", "rules": [_sarif_rule(rule) for rule in rules]}
    if version:
        driver["version"] = version
    index = {rule: place for place, rule in enumerate(rules)}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(problem, index[problem.rule], here) for problem in problems],
    }
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _sarif_rule(rule: str) -> dict[str, Any]:
    short, mend = RULES.get(rule, (rule.replace("-", " "), "The message of each result says how."))
    return {"id": rule, "shortDescription": {"text": short}, "help": {"text": mend}}


def _sarif_result(problem: Problem, index: int, here: str) -> dict[str, Any]:
    path = relative(problem.file, here)
    if os.path.isabs(path):
        artifact = {"uri": "file://" + _quoted(path)}
    else:
        artifact = {"uri": _quoted(path), "uriBaseId": _ROOT}
    region = {"startLine": problem.line, "startColumn": problem.column}
    return {
        "ruleId": problem.rule,
        "ruleIndex": index,
        "level": problem.severity,
        "message": {"text": "\n".join(filter(None, (problem.message, problem.mend)))},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
    }


def _quoted(path: str) -> str:
    return quote(PurePath(path).as_posix(), errors="backslashreplace")


def relative(file: str, here: str) -> str:
    """A file as seen from a folder; the whole path where it does not lie below that."""
    # The file's name is one that was shown: the folder's has to be, to be found in it.
    here = escaped(here)
    whole = os.path.normpath(os.path.join(here, file))
    inner = os.path.relpath(whole, here)
    return whole if inner == ".." or inner.startswith(".." + os.sep) else inner


def harmless(line: str) -> str:
    """A printable line in which GitHub's runner finds no command."""
    line = escaped(line).replace("##[", r"##\x5b")
    inner = line.lstrip()
    return line[: len(line) - len(inner)] + r"\x3a" + inner[1:] if inner.startswith("::") else line


def _json(data: dict[str, Any], indent: int | None = None) -> str:
    text = json.dumps(data, ensure_ascii=False, indent=indent).encode("utf-8", "backslashreplace").decode()
    # After ## the bracket stands in a string, where its escape says the same.
    return text.replace("##[", r"##\u005b")
