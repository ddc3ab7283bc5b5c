"""Whether a `qna.yaml` keeps the rules of its version, and what it says (§3.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import yaml

from feldspar.spdx import nearest, spdx
from feldspar.taxonomy.comments import judge_comment
from feldspar.taxonomy.fields import Entry, items, keys, mapping, number, plain, string
from feldspar.taxonomy.problems import START, Findings, Place, Severity, line_and_column
from feldspar.taxonomy.seeds import SeedAt, blank_is, read_seeds
from feldspar.taxonomy.shapes import (
    BESIDE,
    FIRST_KNOWLEDGE,
    FIRST_OURS,
    IN_GIT,
    LATEST,
    PROSE,
    SPDX,
    STYLES,
    TEXTS,
    Schema,
    shape,
)
from feldspar.types import Seed, Style

_SPDX = re.compile(SPDX)
_ONE_NAME = re.compile(r"[ -~]{1,80}")
_PLAIN = re.compile(r"[A-Za-z][\w./ -]*")


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A document named relative to its leaf, and the place where it is named."""

    path: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a knowledge leaf's documents are: in a git repository, or beside the leaf."""

    repo: str = ""
    commit: str = ""
    patterns: tuple[str, ...] = ()
    files: tuple[LocalFile, ...] = ()
    places: tuple[tuple[str, Place], ...] = ()
    """Where `repo`, `commit` and `patterns` stand, by key."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a `qna.yaml` says, after its types and rules were checked."""

    knowledge: bool
    """Whether it was read by the knowledge schema."""
    version: int
    created_by: str
    task: str
    seeds: tuple[Seed, ...]
    places: tuple[SeedAt, ...]
    """Of each seed."""
    task_at: Place | None
    """Where the task description, or a knowledge leaf's outline, stands; None where it is missing."""
    domain: str = ""
    licence: str = ""
    licence_at: Place = START
    style: Style = "precise"
    sources: Sources = Sources()


def judge(node: yaml.Node, schema: Schema | None, found: Findings) -> Content | None:
    """Check a file's root node against the rules of its version and branch.

    Args:
        node: The root of the file.
        schema: The schema that the folders name; None: a `document` key makes it knowledge.
        found: Where the problems go. The content is to be used only if none of them is an error.

    Returns:
        The content, in parts empty where there were errors; None where nothing can be read of it.
    """
    silent = Findings(found.file)
    top = keys(node, "the file", silent)
    if top is None:
        found.problems.extend(silent.problems)
        return None
    if schema is not None and _looks_like(top) not in (None, schema):
        schema = _misplaced(node, schema, found)
    schema = schema or ("knowledge" if "document" in top else "compositional_skills")
    version = _version(top, found)
    if schema == "knowledge" and version < FIRST_KNOWLEDGE:
        at = top["version"].value if "version" in top else node
        which = f"version {version}" if "version" in top else "version 1, which no `version` means,"
        told = f"knowledge leaves of {which} are deprecated"
        found.problems.extend(silent.problems)
        found.error(at, "deprecated-version", told, "bring it to `version: 3`, or to 4 with local documents")
        return None
    entries = mapping(node, "the file", shape(schema, version), found) or {}
    values = _texts(entries, version, found)
    task = "document_outline" if schema == "knowledge" else "task_description"
    examples = entries.get("seed_examples")
    seeds = read_seeds(examples, schema == "knowledge", version, found) if examples else ()
    return Content(
        knowledge=schema == "knowledge",
        version=version,
        created_by=values.get("created_by", "").strip(),
        task=values.get(task, "").strip(),
        seeds=tuple(seed for seed, _ in seeds),
        places=tuple(place for _, place in seeds),
        task_at=entries[task].key if task in values else None,
        domain=values.get("domain", "").strip(),
        licence=_licence(entries, values, found),
        licence_at=line_and_column(entries["license"].value) if "license" in entries else START,
        style=_style(entries, values, found),
        sources=_sources(entries["document"], version, found) if "document" in entries else Sources(),
    )


def _looks_like(top: Mapping[str, Entry]) -> Schema | None:
    """What a file can only be meant for, by its keys; never what its own schema lets through."""
    examples = top["seed_examples"].value if "seed_examples" in top else None
    first = examples.value[0] if isinstance(examples, yaml.SequenceNode) and examples.value else None
    seed = keys(first, "", Findings("")) if isinstance(first, yaml.MappingNode) else None
    outline = "document" in top or "document_outline" in top
    if "task_description" in top:
        return "compositional_skills" if not outline and "question" in (seed or {}) else None
    return "knowledge" if outline and "questions_and_answers" in (seed or {}) else None


def _misplaced(node: yaml.Node, schema: Schema, found: Findings) -> Schema:
    """Note a leaf in the branch of the other kind, in place of each of its keys; gives its own schema."""
    own: Schema = "compositional_skills" if schema == "knowledge" else "knowledge"
    what, where = ("a skill", "knowledge/") if schema == "knowledge" else ("knowledge", f"{schema}/")
    found.error(node, "wrong-branch", f"this is {what}, below {where}", f"move its folder below {own}/")
    return own


def lint_version(node: yaml.Node) -> int:
    """The version that style is judged by: what InstructLab's validator makes of whatever stands there."""
    entries = keys(node, "the file", Findings("")) if isinstance(node, yaml.MappingNode) else None
    return _meant(entries["version"].value) if entries and "version" in entries else 1


def _meant(node: yaml.Node) -> int:
    """The version that a value of whatever type most likely means, 1 where it means none."""
    said = plain(node) if isinstance(node, yaml.ScalarNode) else None
    value = said if isinstance(said, str) else number(node)
    try:
        return int(value) if value is not None else 1
    except (ValueError, OverflowError):
        return 1


def _version(top: Mapping[str, Entry], found: Findings) -> int:
    if "version" not in top:
        return 1
    node = top["version"].value
    value = number(node)
    if value is None or (isinstance(value, float) and not value.is_integer()):
        found.error(node, "version", "`version` is not an integer", "write it like `version: 3`")
        return min(max(_meant(node), FIRST_KNOWLEDGE), LATEST)
    if not 1 <= value <= LATEST:
        told = f" {value}" if abs(value) < 1_000_000 else " of that number"
        found.error(node, "version", f"there is no version{told}", f"versions 1 to {LATEST} are known")
        return LATEST
    if isinstance(value, float):
        found.warn(node, "version", "`version` is written with a point", f"write `version: {int(value)}`")
    return int(value)


def _texts(entries: Mapping[str, Entry], version: int, found: Findings) -> dict[str, str]:
    """The plain strings at the top of the file."""
    values = {}
    for key in TEXTS:
        if key in entries:
            blank = None if version == 1 and key == "task_description" else blank_is(version)
            needed = key not in ("license", "style")
            value = string(entries[key].value, f"`{key}`", found, blank, needed)
            if key in PROSE:
                judge_comment(entries[key].value, f"`{key}`", found)
            if value is not None:
                values[key] = value
    return values


def _licence(entries: Mapping[str, Entry], values: Mapping[str, str], found: Findings) -> str:
    licence = values.get("license", "").strip()
    if licence and not _SPDX.fullmatch(licence):
        found.error(
            entries["license"].value,
            "license",
            "`license` is not an SPDX identifier",
            "write it like `CC-BY-4.0`, `Apache-2.0` or `LicenseRef-Own`",
        )
    elif licence and not spdx(licence):
        near = nearest(licence)
        mend = f"did you mean `{near}`?" if near else "write it like `CC-BY-4.0`, or `LicenseRef-Own`"
        found.warn(entries["license"].value, "licence", "`license` is not on SPDX's list", mend)
    return licence


def _style(entries: Mapping[str, Entry], values: Mapping[str, str], found: Findings) -> Style:
    style = values.get("style", "precise")
    if style not in STYLES:
        found.error(
            entries["style"].value,
            "style",
            "`style` is neither precise nor creative",
            "write `style: precise` or `style: creative`",
        )
    return cast(Style, style)


def _sources(entry: Entry, version: int, found: Findings) -> Sources:
    """`document:` as `{repo, commit, patterns}`, or from version 4 on as `{paths}`."""
    named = keys(entry.value, "`document`", Findings(found.file))
    blank = blank_is(version)
    if named is not None and version >= FIRST_OURS and "paths" in named:
        entries = mapping(entry.value, "`document`", BESIDE, found) or {}
        paths = _strings(entries["paths"], "document.paths", found, blank) if "paths" in entries else ()
        marks = [(text, node.start_mark) for text, node in paths]
        return Sources(files=tuple(LocalFile(text, mark.line + 1, mark.column + 1) for text, mark in marks))
    entries = mapping(entry.value, "`document`", IN_GIT, found) or {}
    there = [key for key in ("repo", "commit") if key in entries]
    texts = {key: string(entries[key].value, f"document.{key}", found, blank) or "" for key in there}
    patterns = (
        _strings(entries["patterns"], "document.patterns", found, blank) if "patterns" in entries else ()
    )
    return Sources(
        repo=texts.get("repo", ""),
        commit=texts.get("commit", ""),
        patterns=tuple(text for text, _ in patterns),
        places=tuple((key, line_and_column(entry.value)) for key, entry in entries.items()),
    )


def _strings(entry: Entry, name: str, found: Findings, blank: Severity) -> tuple[tuple[str, yaml.Node], ...]:
    """At least one string, none of them twice."""
    if isinstance(entry.value, yaml.ScalarNode) and _ONE_NAME.fullmatch(entry.value.value):
        alone = entry.value.value
        mend = f"write it as a list: `[{alone if _PLAIN.fullmatch(alone) else json.dumps(alone)}]`"
        found.error(entry.value, "type", f"`{name}` is one text where a list belongs", mend)
        return ()
    nodes = items(entry.value, name, found)
    if nodes is not None and not nodes:
        found.error(entry.value or START, "too-few", f"`{name}` is empty", "name at least one")
    values: dict[str, yaml.Node] = {}
    for place, node in enumerate(nodes or ()):
        value = string(node, f"{name}[{place}]", found, blank)
        if value is None:
            continue
        if value in values:
            found.error(node, "repeated", f"{name}[{place}] stands there before", "keep one of them")
        values.setdefault(value, node)
    return tuple(values.items())
