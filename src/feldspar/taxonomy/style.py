"""Style of a `qna.yaml`: yamllint's `relaxed` rules without line length, written anew, by their names.

Judged from version 2 on, as warnings: no blank at the end of a line has yet spoiled a model. Comments
that yamllint obeys (`# yamllint disable-line rule:colons`) are obeyed. Duplicate keys and wrong aliases,
which are among its rules, are errors of ours in every version.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise

import yaml

from feldspar.taxonomy.compose import LOADER, MAX_SLOW
from feldspar.taxonomy.indentation import judge_indentation
from feldspar.taxonomy.problems import STYLE, Findings, Problem
from feldspar.taxonomy.tokens import Token, tokens_of

MAX_EMPTY_LINES = 2

MOST = 1_000
"""Problems of style that are told of one file."""

# Each run of blanks is looked at once, however long it is.
_TRAILING = re.compile(r"(?<![ \t])[ \t]+$", re.MULTILINE)
_EMPTY_LINES = re.compile(rf"(?<!\n)(?:\A\n+|\n\n{{{MAX_EMPTY_LINES + 1},}})(?=[^\n])")
_EMPTY_END = re.compile(r"(?<!\n)\n\n+\Z")
_OFF_FILE = re.compile(r"#\s*yamllint disable-file\s*$")
_SWITCH = re.compile(r"# yamllint (disable-line|disable|enable)((?: rule:\S+)*)[ \t]*(?:\n|\Z)")
_RULES = STYLE | {"new-lines"}


def judge_style(text: str, windows: bool, found: Findings) -> None:
    """Note the style problems of a file that could be parsed.

    Args:
        text: With `\n` for every line end.
        windows: Whether its first line ended in CRLF.
        found: Where the problems go.
    """
    if not text or _OFF_FILE.match(text.partition("\n")[0]):
        return
    noted = Findings(found.file)
    _judge_lines(text, windows, noted)
    try:
        tokens = tokens_of(text, LOADER)
    except yaml.YAMLError:
        # A text that only PyYAML's own parser takes.
        tokens = tokens_of(text, yaml.SafeLoader) if len(text) <= MAX_SLOW else []
    _judge_spaces(tokens, noted)
    judge_indentation(tokens, noted)
    problems = noted.problems
    if problems and "# yamllint " in text:
        problems = list(_not_switched_off(text, tokens, problems))
    if len(problems) > MOST:
        problems.sort(key=lambda problem: (problem.line, problem.column))
        first = problems[MOST]
        more = f"here, and problems of style in at least {len(problems) - MOST - 1:,} places after it"
        problems = [*problems[:MOST], replace(first, message=more, mend="mend those before it first")]
    found.problems.extend(problems)


def _judge_lines(text: str, windows: bool, found: Findings) -> None:
    """What the lines show by themselves."""
    # Most files are sound, and plain searches are the fastest.
    ends = text[-1] != "\n"
    trailing = " \n" in text or "\t\n" in text or text[-1] in " \t"
    empty = text[0] == "\n" or "\n" * (MAX_EMPTY_LINES + 2) in text
    ended = text.endswith("\n\n")
    at = _line_starts(text) if ends or trailing or empty or ended else []
    blanks = [match.start() for match in islice(_TRAILING.finditer(text), MOST + 1)] if trailing else ()
    gaps = list(islice(_EMPTY_LINES.finditer(text), MOST + 1)) if empty else ()
    last = _EMPTY_END.search(text) if ended else None
    for start in blanks:
        told, mend = "blanks at the end of the line", "remove them"
        found.warn(_place(at, start), "trailing-spaces", told, mend)
    if ends:
        end = _place(at, len(text))
        found.warn(end, "new-line-at-end-of-file", "no line break at the end of the file", "add one")
    if windows:
        end = (1, text.index("\n") + 1)
        found.warn(end, "new-lines", "lines end as on Windows (CRLF)", "save it with Unix line ends")
    for gap in gaps:
        lines = gap.group().count("\n") - (gap.start() > 0)
        told = f"{lines} empty lines" if gap.start() else f"{lines} empty at the start"
        mend = f"keep at most {MAX_EMPTY_LINES}" if gap.start() else "remove them"
        found.warn((_place(at, gap.end())[0] - 1, 1), "empty-lines", told, mend)
    if last:
        told = f"{len(last.group()) - 1} empty at the end"
        found.warn((len(at) - 1, 1), "empty-lines", told, "remove them")


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


def _place(starts: Sequence[int], at: int) -> tuple[int, int]:
    line = bisect_right(starts, at)
    return line, at - starts[line - 1] + 1


def _judge_spaces(tokens: Sequence[Token], found: Findings) -> None:
    """The blanks around colons, commas, dashes, braces and brackets."""
    for before, token in pairwise(tokens):
        # Between two tokens one blank is free; what stands before a colon and around a comma is looked at
        # more closely.
        gap = token.start - before.end if token.line == before.end_line else 0
        if before.kind is yaml.ValueToken or before.sign == "?":
            if gap > 1:
                which = "colon" if before.kind is yaml.ValueToken else "question mark"
                _many(token, "colons", f"after the {which}", found)
        elif before.kind is yaml.BlockEntryToken:
            if gap > 1:
                _many(token, "hyphens", "after the dash", found)
        elif before.kind is yaml.FlowEntryToken:
            if gap > 1:
                _many(token, "commas", "after the comma", found)
            elif gap == 0 and token.line == before.line:
                at = (token.line + 1, token.column + 1)
                found.warn(at, "commas", "no blank after the comma", "write one")
        elif gap > 1 and before.kind in _OPENING:
            _many(token, _OPENING[before.kind], "after the opening one", found)
        _judge_before(before, token, gap, found)


_OPENING = {yaml.FlowMappingStartToken: "braces", yaml.FlowSequenceStartToken: "brackets"}
_CLOSING = {yaml.FlowMappingEndToken: "braces", yaml.FlowSequenceEndToken: "brackets"}


def _judge_before(before: Token, token: Token, gap: int, found: Findings) -> None:
    if token.kind is yaml.ValueToken:
        if gap > (before.kind is yaml.AliasToken):
            _many(token, "colons", "before the colon", found)
    elif token.kind is yaml.FlowEntryToken:
        if before.end_line < token.line:
            at = (token.line + 1, max(1, token.column))
            told = "a comma at the start of a line"
            found.warn(at, "commas", told, "write it at the end of the line before")
        elif gap:
            _many(token, "commas", "before the comma", found)
    elif gap > 1 and token.kind in _CLOSING and before.kind not in _OPENING:
        _many(token, _CLOSING[token.kind], "before the closing one", found)


def _many(token: Token, rule: str, where: str, found: Findings) -> None:
    """Note too many blanks before a token."""
    wanted = "none" if where.startswith("before the c") and rule in ("colons", "commas") else "one at most"
    found.warn((token.line + 1, token.column), rule, f"too many blanks {where}", f"write {wanted}")


def _not_switched_off(text: str, tokens: Sequence[Token], problems: Sequence[Problem]) -> Iterator[Problem]:
    """The problems that no comment of the file switches off."""
    starts = _line_starts(text)
    off: frozenset[str] = frozenset()
    lines, states = [0], [off]
    once: dict[int, set[str]] = {}
    for switch in _switches(text, tokens):
        line, _ = _place(starts, switch.start())
        named = switch.group(2).replace(" rule:", " ").split()
        rules = _RULES.intersection(named) if named else _RULES
        if switch.group(1) == "disable-line":
            alone = not text[starts[line - 1] : switch.start()].strip()
            once.setdefault(line + alone, set()).update(rules)
            continue
        off = off | rules if switch.group(1) == "disable" else off - rules
        lines.append(line)
        states.append(off)
    for problem in problems:
        here = states[bisect_right(lines, problem.line) - 1]
        if problem.rule not in here and problem.rule not in once.get(problem.line, ()):
            yield problem


def _switches(text: str, tokens: Sequence[Token]) -> Iterator[re.Match[str]]:
    """The comments that switch rules; within a scalar the same letters are text."""
    scalars = [(token.start, token.end) for token in tokens if token.kind is yaml.ScalarToken]
    at = 0
    for switch in _SWITCH.finditer(text):
        while at < len(scalars) and scalars[at][1] <= switch.start():
            at += 1
        within = at < len(scalars) and scalars[at][0] <= switch.start()
        before = text[text.rfind("\n", 0, switch.start()) + 1 : switch.start()]
        # Beside a value in the last line, yamllint sees it only if the line ends.
        last = switch.end() == len(text) and text[-1] != "\n"
        if not within and (not before.strip() or (before[-1] in " \t" and not last)):
            yield switch
