"""JSON Schema of a `qna.yaml`, versions 1 to 4, for editors that complete and check as one types.

It is made of the tables that the checks read, and says what they say: which keys there are, their types,
how many seeds. What it cannot know are the folders: a `document` key makes a leaf knowledge, as it does
below a folder that names no branch.
"""

from __future__ import annotations

from typing import Any

from feldspar.taxonomy.fields import Shape
from feldspar.taxonomy.shapes import (
    BESIDE,
    FEWEST_PAIRS,
    FEWEST_SEEDS,
    FIRST_KNOWLEDGE,
    FIRST_OURS,
    IN_GIT,
    KNOWLEDGE_SEED,
    LATEST,
    PAIR,
    SKILL_SEED,
    SPDX,
    STYLES,
    Schema,
    shape,
)

_Json = dict[str, Any]

_TOLD: dict[str, tuple[str, tuple[str, ...]]] = {
    "version": (
        "The version of this file's form. 3 is InstructLab's latest. 4 is Feldspar's: from one seed on, "
        "with documents beside the leaf, `license` and `style`.",
        (),
    ),
    "created_by": ("Who wrote this leaf: a name on GitHub, for example.", ()),
    "task_description": (
        "What the skill is, in a sentence. The teacher reads it in every prompt: the more exactly it says "
        "what is to be done, the better the samples are.",
        ("Read a short notice and list when it is, where it is and what to bring",),
    ),
    "domain": ("The field of knowledge, like the title of a chapter.", ("Ornithology", "Harbour law")),
    "document_outline": (
        "What the documents are about, in a sentence. The teacher reads it in every prompt.",
        ("The island of Ondry: its harbour, its people and its history",),
    ),
    "license": (
        "The documents' licence, as an SPDX expression.",
        ("CC-BY-4.0", "Apache-2.0", "CC-BY-SA-4.0"),
    ),
    "style": ("How responses are written: `precise` keeps to the facts, `creative` is free.", ()),
    "seed_examples": ("Examples that show the teacher what to write, each of them unlike the others.", ()),
    "question": ("A question or an instruction, as a person would put it.", ()),
    "answer": ("The answer that you would want, and nothing else.", ()),
    "context": (
        "In a skill, the text that the answer is to use. In knowledge, a passage copied from a document, "
        "that the questions below are asked of.",
        (),
    ),
    "questions_and_answers": ("Questions that this context answers.", ()),
    "document": ("Where the documents are that this leaf teaches.", ()),
    "repo": ("The git repository that holds them.", ("https://github.com/someone/documents.git",)),
    "commit": ("The commit to read, best as its full id.", ("951999afdc59c46d325493568193b40bd5439c9e",)),
    "patterns": ("Which files of the commit are meant.", ("*.md", "folder/*.md")),
    "paths": ("Files beside this one, relative to its folder.", ("island.md",)),
}
"""What an editor shows of each key, and examples of its value."""


def json_schema() -> _Json:
    """The schema of all versions, as one document of draft 2020-12.

    Returns:
        Plain values, to be printed as JSON; new ones each time.
    """
    kinds: tuple[Schema, Schema] = ("compositional_skills", "knowledge")
    first = {"compositional_skills": 1, "knowledge": FIRST_KNOWLEDGE}
    definitions = {
        f"{_NAMES[kind]}-{version}": _leaf(kind, version)
        for kind in kinds
        for version in range(first[kind], LATEST + 1)
    }
    deprecated = {
        "description": f"Knowledge is of version {FIRST_KNOWLEDGE} or later.",
        "required": ["version"],
        "properties": {"version": {"enum": list(range(FIRST_KNOWLEDGE, LATEST + 1))}},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A leaf of a taxonomy",
        "description": "A qna.yaml of InstructLab's versions 1 to 3, or of Feldspar's version 4.",
        "type": "object",
        "properties": {"version": _version(range(1, LATEST + 1))},
        "if": {"required": ["document"]},
        "then": _by_version("knowledge", FIRST_KNOWLEDGE, deprecated),
        "else": _by_version("compositional_skills", 2, {"$ref": "#/$defs/skill-1"}),
        "$defs": definitions,
    }


_NAMES = {"compositional_skills": "skill", "knowledge": "knowledge"}


def _by_version(kind: Schema, first: int, otherwise: _Json) -> _Json:
    """The definition that the version names, the latest one asked about first."""
    chain = otherwise
    for version in range(first, LATEST + 1):
        named = {"required": ["version"], "properties": {"version": {"const": version}}}
        chain = {"if": named, "then": {"$ref": f"#/$defs/{_NAMES[kind]}-{version}"}, "else": chain}
    return chain


def _leaf(kind: Schema, version: int) -> _Json:
    """A whole file of a version."""
    values: dict[str, _Json] = {"seed_examples": _seeds(kind, version), "document": _document(version)}
    # A file of no version that is known is held against version 1; it should not be told to be that.
    values["version"] = _version(range(1, LATEST + 1) if version == 1 else [version])
    values["license"] = {**_text("license", version), "pattern": rf"^\s*(?:{SPDX})\s*$"}
    values["style"] = {"type": "string", "enum": list(STYLES)}
    if version == 1:
        values["task_description"] = {"type": "string"}
    name = "A skill" if kind == "compositional_skills" else "Knowledge"
    return {"title": f"{name}, version {version}", **_mapping(shape(kind, version), version, values)}


def _version(known: Any) -> _Json:
    return _told("version", {"type": "integer", "enum": list(known)})


def _seeds(kind: Schema, version: int) -> _Json:
    if kind == "compositional_skills":
        item = _mapping(SKILL_SEED, version, {})
    else:
        pair = {**_mapping(PAIR, version, {}), "title": "A question and its answer"}
        pairs = _list(pair, FEWEST_PAIRS[version], unique=True)
        item = _mapping(KNOWLEDGE_SEED, version, {"questions_and_answers": pairs})
    return _list({**item, "title": "A seed example"}, FEWEST_SEEDS[version], unique=version > 1)


def _document(version: int) -> _Json:
    git = _mapping(IN_GIT, version, {"patterns": _list(_text("", version), 1, unique=True)})
    if version < FIRST_OURS:
        return git
    beside = _mapping(BESIDE, version, {"paths": _list(_text("", version), 1, unique=True)})
    return {"type": "object", "if": {"required": ["paths"]}, "then": beside, "else": git}


def _mapping(keys: Shape, version: int, values: dict[str, _Json]) -> _Json:
    """A mapping of a shape; keys without a value of their own are texts."""
    known = (*keys.required, *keys.optional)
    made: _Json = {
        "type": "object",
        "required": list(keys.required),
        "properties": {key: _told(key, values.get(key) or _text(key, version)) for key in known},
    }
    if not keys.open:
        made["additionalProperties"] = False
    return made


def _list(item: _Json, fewest: int, unique: bool) -> _Json:
    made: _Json = {"type": "array", "minItems": fewest, "items": item}
    return {**made, "uniqueItems": True} if unique else made


def _text(key: str, version: int) -> _Json:
    """A text that says something; before version 4, blanks are let be."""
    return {"type": "string", "minLength": 1, **({"pattern": r"\S"} if version >= FIRST_OURS else {})}


def _told(key: str, made: _Json) -> _Json:
    told, examples = _TOLD[key]
    shown = {"examples": list(examples)} if examples and made.get("type") == "string" else {}
    return {"description": told, **made, **shown}
