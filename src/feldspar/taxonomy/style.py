"""Style of a `qna.yaml`: the part of yamllint's `relaxed` rules that people trip over, written anew.

Judged from version 2 on, as warnings: no blank at the end of a line has yet spoiled a model. Line
length is free, and indentation and blanks around colons, commas and brackets are not judged.
"""

from __future__ import annotations

from feldspar.taxonomy.problems import Findings

MAX_BLANK_LINES = 2


def judge_style(text: str, found: Findings) -> None:
    """Note the style problems of a file's text: each rule at every line that breaks it."""
    if not text:
        return
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        line = line.removesuffix("\r")
        kept = len(line.rstrip(" \t"))
        if kept < len(line):
            found.warn((number, kept + 1), "trailing-spaces", "blanks at the end of the line", "remove them")
    if text[-1] != "\n":
        at = (len(lines), len(lines[-1]) + 1)
        found.warn(at, "new-line-at-end-of-file", "no line break at the end of the file", "add one")
    if "\r\n" in text:
        at = (1, max(1, len(lines[0])))
        found.warn(at, "new-lines", "lines end as on Windows (CRLF)", "save it with Unix line ends")
    _empty_lines([line.rstrip("\r") for line in lines], found)


def _empty_lines(lines: list[str], found: Findings) -> None:
    run = 0
    seen_text = False
    for number, line in enumerate(lines, 1):
        if line == "":
            run += 1
            continue
        if run > (MAX_BLANK_LINES if seen_text else 0):
            told = f"{run} empty lines" if seen_text else f"{run} empty at the start"
            mend = f"keep at most {MAX_BLANK_LINES}" if seen_text else "remove them"
            found.warn((number - 1, 1), "empty-lines", told, mend)
        run, seen_text = 0, True
    # The text after the last line break is no line of its own.
    if run > 1 and seen_text:
        found.warn((len(lines) - 1, 1), "empty-lines", f"{run - 1} empty at the end", "remove them")
