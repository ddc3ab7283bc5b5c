"""A leaf's attribution.txt: the works it is taken from, their licences and creators (§3.1).

InstructLab's form is `Title of work:`, `Link to work:`, `Revision:`, `License of the work:` and
`Creator names:`, once for each work. People write it in many ways: other cases and keys, Markdown
around them, values on the next line, blank lines anywhere. A key that comes again begins the next work.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from feldspar.spdx import all_of, spdx
from feldspar.taxonomy.licences import NOT_SAID, quoted
from feldspar.taxonomy.problems import START, Findings
from feldspar.taxonomy.source import read_bytes, why
from feldspar.text import printable
from feldspar.types import Work

NAME = "attribution.txt"
MAX_BYTES = 200_000
MAX_WORKS = 200
MAX_VALUE = 1_000
"""Characters of a title, a link, …; a longer one is cut."""
_MAX_LINE = 5_000

_MEND = "say there where the text is from: title, link, licence and creators of the work"
_OF = r"(?: of(?: the)? works?| of(?: the)? documents?| of(?: the)? sources?)?"
_KEYS = {
    "title": rf"(?:title|name){_OF}|titles|titel|titre|t[ií]tulo",
    "licence": rf"(?:spdx[- ])?licen[cs]e(?:s|\(s\))?(?:[- ]identifier| (?:url|link|type|name))?{_OF}"
    r"|lizenz|licencia|licen[cç]a",
    "link": r"(?:links?|urls?|link/url)(?: to(?: the)? (?:works?|source|document))?|web ?site|webpage"
    r"|sources?(?: (?:url|link))?",
    "revision": r"revision(?: (?:url|link))?|permanent link|permalink|version",
    "creators": rf"(?:creator|author|contributor)(?:s|\(s\)|['’]s)?(?: names?)?{_OF}|created by|written by"
    r"|autor(?:in|en|es)?|urheber|auteurs?",
}
_KEY = re.compile(
    r"(?:[-*•>#\s]|\d{1,3}[.)]\s)*+[\"'_`]*+(?:"
    + "|".join(f"(?P<{name}>{pattern})" for name, pattern in _KEYS.items())
    + r")[\"'*_`]*+\s{0,9}(?:[:：=]|\s[-–—]\s)[*_`]*+(?P<value>.*)",
    re.IGNORECASE | re.DOTALL,
)
# A key that is none of ours ends the value before it, and is passed over.
_OTHER_KEY = re.compile(r"[-*•\s_\"]*+[A-Za-z][A-Za-z ()/’'-]{0,40}[*_\"]{0,3}[:：](?!//)(?=\s|$|\*)")
_RULE = re.compile(r"\s*+[-=*_#~]{3,}+\s*+")


def attribution(folder: str, root: Path, found: Findings) -> tuple[Work, ...]:
    """The works that the attribution.txt of a leaf's folder names.

    Args:
        folder: The leaf's, which no link leads to. A text: for each `Path`, Python keeps its names.
        root: The folder that the file may not lead out of.
        found: Where a warning goes if the file is missing, cannot be read, or names no work.
    """
    path = os.path.join(folder, NAME)
    if not os.path.lexists(path):
        found.warn(START, "attribution", f"no {NAME} beside it", _mend_missing(folder))
        return ()
    try:
        data = read_bytes(path, root, MAX_BYTES, walked=True)
    except (OSError, ValueError, RuntimeError) as error:
        found.warn(START, "attribution", f"{NAME} {why(error)}", _MEND)
        return ()
    text, encoding = _decoded(data)
    if encoding:
        found.warn(START, "attribution", f"{NAME} is not UTF-8: read as {encoding}", "save it as UTF-8")
    works = read_attribution(text)
    if len(works) > MAX_WORKS:
        told = f"{NAME} names more than {MAX_WORKS} works: none of them is read"
        found.warn(START, "attribution", told, "part the leaf, or name the collection that they are from")
        return ()
    odd = next((work.licence for work in works if work.licence and not spdx(work.licence)), "")
    if odd:
        told = f"{NAME} names a licence that cannot be told: {quoted(odd)}"
        found.warn(START, "licence", told, "write its SPDX identifier, like CC-BY-SA-4.0 or LicenseRef-Own")
    return works


def _mend_missing(folder: str) -> str:
    like = ("attribution", "attributions", "attribute", "license", "licence")
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return _MEND
    for name in names:
        stem = name.casefold().partition(".")[0]
        if stem in like and name.casefold().endswith((".txt", ".md", ".text", *like)):
            return f"rename {printable(name)} to {NAME}, if it says where the text is from"
    return _MEND


def _decoded(data: bytes) -> tuple[str, str]:
    """The text, and what it was read as where it is not UTF-8."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace"), "UTF-16"
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "Windows-1252"


def read_attribution(text: str) -> tuple[Work, ...]:
    """The works that the text of an attribution.txt names, in its order.

    A text that has no key, but is a licence as a whole, is a work of which only that is said.
    """
    works: list[dict[str, list[str]]] = []
    last = ""
    for key, value in _entries(text):
        if key and (not works or (key in works[-1] and key != last)):
            works.append({})
        if key:
            works[-1].setdefault(key, []).append(value)
        last = key
    found = tuple(_work(work) for work in works if any(any(values) for values in work.values()))
    whole = "" if found else spdx(text)
    return (Work(licence=whole),) if whole else found


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Keys with their values, each with the lines that go on; an empty key where a work surely ends."""
    key, lines = "", [""]
    for line in text.splitlines():
        line = line[:_MAX_LINE]
        match = _KEY.fullmatch(line)
        # A value may stand some lines below its key, and goes on up to a blank line, or what may be a key.
        begun = any(part.strip() for part in lines)
        if key and not match and not _RULE.fullmatch(line) and not (begun and _ends(line)):
            lines.append(line)
            continue
        if key:
            yield key, _value(key, lines)
        key, lines = "", [""]
        if match:
            key = next(name for name in _KEYS if match[name])
            lines = [match["value"]]
        elif _RULE.fullmatch(line):
            yield "", ""
    if key:
        yield key, _value(key, lines)


def _ends(line: str) -> bool:
    return not line.strip() or _OTHER_KEY.match(line) is not None


def _value(key: str, lines: Sequence[str]) -> str:
    """A value in one line, without the marks around it."""
    parts = [re.sub(r"^\s*(?:[-*•]|\d{1,3}[.)])\s+", "", line) for line in lines]
    parts = [printable(" ".join(part.expandtabs(1).split())) for part in parts]
    value = (" " if key == "title" else "; ").join(part for part in parts if part).strip()
    for mark in ("**", "__", "`", '"', "'"):
        inner = value.rstrip(",")
        if len(inner) > 2 * len(mark) and inner.startswith(mark) and inner.endswith(mark):
            value = inner[len(mark) : -len(mark)]
    return "" if value in ("-", "--", "–", "—") else value


def _work(values: dict[str, list[str]]) -> Work:
    texts = {key: "; ".join(filter(None, dict.fromkeys(value))) for key, value in values.items()}
    licence = texts.pop("licence", "")
    cut = {
        key: text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…" for key, text in texts.items()
    }
    return Work(**cut, licence=spdx(licence) or licence[:MAX_VALUE])


def licence_of(works: Sequence[Work]) -> str:
    """The licence of what is taken from several works: theirs, all of them.

    Returns:
        An SPDX expression; where a work's licence cannot be told, what was written, joined by "; ",
        which cannot be told either; "" where no work says its licence.
    """
    written = [work.licence for work in works]
    if not any(written):
        return ""
    if all(spdx(licence) for licence in written) and (joined := all_of(written)):
        return joined
    return "; ".join(dict.fromkeys(licence or NOT_SAID for licence in written))
