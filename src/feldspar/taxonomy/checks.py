"""What versions 1 to 4 of a `qna.yaml` ask for (§3.1; InstructLab's schemas, and Feldspar's version 4).

Versions 1 to 3 are InstructLab's. Version 4 is version 3 from one seed on, where `document` may be
`{paths: [...]}` beside the leaf, with `license` and `style`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import yaml

from feldspar.taxonomy.fields import Entry, Shape, integer, items, keys, mapping, string
from feldspar.taxonomy.problems import START, Findings
from feldspar.taxonomy.seeds import read_seeds
from feldspar.types import Seed, Style

Schema = Literal["knowledge", "compositional_skills"]

LATEST = 4

_SPDX = re.compile(
    r"\(*[A-Za-z0-9][A-Za-z0-9.:-]*\+?\)*(?:\s+(?:AND|OR|WITH)\s+\(*[A-Za-z0-9][A-Za-z0-9.:-]*\+?\)*)*"
)
_VERSION_4_KEYS = ("license", "style")


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


@dataclass(frozen=True, slots=True)
class Content:
    """What a `qna.yaml` says, after its types and rules were checked."""

    knowledge: bool
    """Whether it was read by the knowledge schema."""
    version: int
    created_by: str
    task: str
    seeds: tuple[Seed, ...]
    domain: str = ""
    licence: str = ""
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
    schema = schema or ("knowledge" if "document" in top else "compositional_skills")
    version = _version(top, found)
    if schema == "knowledge" and version < 3:
        at = top["version"].value if "version" in top else node
        which = f"version {version}" if "version" in top else "version 1, which no `version` means,"
        told = f"knowledge leaves of {which} are deprecated"
        found.error(at, "deprecated-version", told, "bring it to `version: 3`, or to 4 with local documents")
        return None
    entries = mapping(node, "the file", _shape(schema, version), found) or {}
    values = _texts(entries, version, found)
    outline = "document_outline" if schema == "knowledge" else "task_description"
    seeds = entries.get("seed_examples")
    return Content(
        knowledge=schema == "knowledge",
        version=version,
        created_by=values.get("created_by", "").strip(),
        task=values.get(outline, "").strip(),
        seeds=read_seeds(seeds, schema == "knowledge", version, found) if seeds else (),
        domain=values.get("domain", "").strip(),
        licence=_licence(entries, values, found),
        style=_style(entries, values, found),
        sources=_sources(entries["document"], version, found) if "document" in entries else Sources(),
    )


def version_of(node: yaml.Node | None) -> int:
    """The version a file claims, as far as it can be told; 1 where it names none."""
    entries = keys(node, "the file", Findings("")) if isinstance(node, yaml.MappingNode) else None
    value = integer(entries["version"].value) if entries and "version" in entries else None
    return value if value is not None and 1 <= value <= LATEST else 1


def _version(top: Mapping[str, Entry], found: Findings) -> int:
    if "version" not in top:
        return 1
    node = top["version"].value
    value = integer(node)
    if value is None:
        found.error(node, "version", "`version` is not an integer", "write it like `version: 3`")
        return LATEST
    if not 1 <= value <= LATEST:
        number = f" {value}" if abs(value) < 1_000_000 else " of that number"
        found.error(node, "version", f"there is no version{number}", f"versions 1 to {LATEST} are known")
        return LATEST
    return value


def _shape(schema: Schema, version: int) -> Shape:
    hints: tuple[tuple[str, str], ...] = ()
    extra = _VERSION_4_KEYS if version >= 4 else ()
    if version < 4:
        later = "it is of version 4: write `version: 4`, or remove it"
        hints = tuple((key, later) for key in _VERSION_4_KEYS)
    if schema == "knowledge":
        hints += (("task_description", "a knowledge leaf says this in `document_outline`"),)
        asked = ("version", "created_by", "domain", "document_outline", "document", "seed_examples")
        return Shape(asked, extra, hints=hints)
    elsewhere = "only a knowledge leaf has it: move the leaf below knowledge/, or remove the key"
    hints += tuple((key, elsewhere) for key in ("document", "document_outline", "domain"))
    required = ("created_by", "task_description", "seed_examples")
    if version == 1:
        return Shape(required, ("version",), hints=hints)
    return Shape(("version", *required), extra, hints=hints)


def _texts(entries: Mapping[str, Entry], version: int, found: Findings) -> dict[str, str]:
    """The plain strings at the top of the file."""
    values = {}
    for key in ("created_by", "task_description", "domain", "document_outline", "license", "style"):
        if key in entries:
            blank = version == 1 and key == "task_description"
            value = string(entries[key].value, f"`{key}`", found, blank)
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
    return licence


def _style(entries: Mapping[str, Entry], values: Mapping[str, str], found: Findings) -> Style:
    style = values.get("style", "precise")
    if style not in ("precise", "creative"):
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
    if named is not None and version >= 4 and "paths" in named:
        return _local(entry, found)
    hint = "documents beside the leaf are of version 4: write `version: 4`"
    shape = Shape(("repo", "commit", "patterns"), hints=(("paths", hint),))
    entries = mapping(entry.value, "`document`", shape, found) or {}
    there = [key for key in ("repo", "commit") if key in entries]
    texts = {key: string(entries[key].value, f"document.{key}", found) or "" for key in there}
    patterns = _strings(entries["patterns"], "document.patterns", found) if "patterns" in entries else ()
    return Sources(texts.get("repo", ""), texts.get("commit", ""), tuple(text for text, _ in patterns))


def _local(entry: Entry, found: Findings) -> Sources:
    hints = tuple((key, "name either paths or a repo") for key in ("repo", "commit", "patterns"))
    entries = mapping(entry.value, "`document`", Shape(("paths",), hints=hints), found) or {}
    named = _strings(entries["paths"], "document.paths", found) if "paths" in entries else ()
    places = [(text, node.start_mark) for text, node in named]
    return Sources(files=tuple(LocalFile(text, mark.line + 1, mark.column + 1) for text, mark in places))


def _strings(entry: Entry, name: str, found: Findings) -> tuple[tuple[str, yaml.Node], ...]:
    """At least one string, none of them twice."""
    nodes = items(entry.value, name, found)
    if nodes is not None and not nodes:
        found.error(entry.value or START, "too-few", f"`{name}` is empty", "name at least one")
    values: dict[str, yaml.Node] = {}
    for number, node in enumerate(nodes or ()):
        value = string(node, f"{name}[{number}]", found)
        if value is None:
            continue
        if value in values:
            found.error(node, "repeated", f"{name}[{number}] stands there before", "keep one of them")
        values.setdefault(value, node)
    return tuple(values.items())
