"""Mappings, lists and strings out of YAML nodes, with exact types and every problem noted."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

import yaml

from feldspar.taxonomy.problems import Findings

_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_KINDS = {
    "null": "empty",
    "bool": "a truth value",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
    "binary": "binary data",
    "seq": "a list",
    "map": "a mapping",
    "str": "a string",
}
# Escapes in double quotes can write what the file itself may not hold.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Shape:
    """Which keys a mapping has."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    open: bool = False
    """Whether unknown keys are let be."""
    hints: tuple[tuple[str, str], ...] = ()
    """Mends for keys that belong elsewhere, as (key, mend)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping and its value."""

    key: yaml.ScalarNode
    value: yaml.Node

    @property
    def line(self) -> int:
        """The key's line, from 1."""
        return int(self.key.start_mark.line) + 1


def kind(node: yaml.Node) -> str:
    """What a value is, in words a person uses: "a number", "a list"."""
    name = node.tag.removeprefix(_TAG)
    if isinstance(node, yaml.MappingNode):
        return "a mapping" if name == "map" else f"a mapping tagged {_tag(node)}"
    if isinstance(node, yaml.SequenceNode):
        return "a list" if name == "seq" else f"a list tagged {_tag(node)}"
    return _KINDS.get(name, f"tagged {_tag(node)}")


def _tag(node: yaml.Node) -> str:
    tag = node.tag[:60]
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag


def is_empty(node: yaml.Node | None) -> bool:
    """Whether a document says nothing: no node, null, `{}` or `[]`."""
    if node is None:
        return True
    return node.tag == _TAG + "null" or (isinstance(node, yaml.CollectionNode) and not node.value)


def mapping(node: yaml.Node, name: str, shape: Shape, found: Findings) -> dict[str, Entry] | None:
    """The entries of a mapping, by key; None where it is none.

    Notes duplicate, unknown, missing and non-string keys. `name` is the value's place in words.
    """
    entries = keys(node, name, found)
    if entries is None:
        return None
    known = shape.required + shape.optional
    for key, entry in entries.items():
        if key not in known and not shape.open:
            found.error(
                entry.key,
                "unknown-key",
                f"unknown key `{_short(key)}` in {name}",
                _mend_unknown(key, shape, entries),
            )
    for key in shape.required:
        if key not in entries:
            found.error(node, "missing-key", f"{name} has no `{key}`", f"add `{key}:`")
    return entries


def keys(node: yaml.Node, name: str, found: Findings) -> dict[str, Entry] | None:
    """The entries of a mapping with whatever keys; None, with a problem noted, where it is none."""
    if not isinstance(node, yaml.MappingNode) or node.tag != _TAG + "map":
        found.error(
            node, "type", f"{name} is {kind(node)} where a mapping belongs", "write `key: value` lines"
        )
        return None
    entries: dict[str, Entry] = {}
    for key, value in node.value:
        if key.tag == _MERGE:
            continue
        if not isinstance(key, yaml.ScalarNode) or key.tag != _TAG + "str":
            found.error(key, "key-type", f"a key of {name} is {kind(key)} where a string belongs", "quote it")
        elif key.value in entries:
            first = entries[key.value].line
            found.error(
                key,
                "duplicate-key",
                f"`{_short(key.value)}` stands twice in {name}; first in line {first}",
                "keep one of them",
            )
        else:
            entries[key.value] = Entry(key, value)
    for key, value in node.value:
        if key.tag == _MERGE:
            _merge(value, name, entries, found)
    return entries


def _merge(value: yaml.Node, name: str, entries: dict[str, Entry], found: Findings) -> None:
    """Add what `<<: *alias` brings; keys written out win, and earlier ones over later ones."""
    for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
        for key, entry in (keys(source, f"what is merged into {name}", found) or {}).items():
            entries.setdefault(key, entry)


def _mend_unknown(key: str, shape: Shape, entries: dict[str, Entry]) -> str:
    hint = dict(shape.hints).get(key)
    if hint:
        return hint
    known = shape.required + shape.optional
    free = [name for name in known if name not in entries]
    for names in (free, known):
        near = difflib.get_close_matches(key.casefold().replace("-", "_"), names, n=1, cutoff=0.6)
        if near:
            return f"did you mean `{near[0]}`?"
    return "remove it; the keys here are " + ", ".join(known)


def string(entry: yaml.Node, name: str, found: Findings, blank: bool = False) -> str | None:
    """A string as it is written; None, with a problem noted, for anything else.

    A string of nothing but blanks is taken only with `blank`.
    """
    if not isinstance(entry, yaml.ScalarNode) or entry.tag != _TAG + "str":
        # A bare `key:` is null in YAML; to the person who left it, it is an empty string.
        if is_empty(entry) and isinstance(entry, yaml.ScalarNode):
            found.error(entry, "type", f"{name} is empty", "write a text, or take the key out")
        else:
            shows = f" ({_short(entry.value)})" if isinstance(entry, yaml.ScalarNode) else ""
            mend = "put it in quotes" if isinstance(entry, yaml.ScalarNode) else "write one text"
            found.error(entry, "type", f"{name} is {kind(entry)}{shows} where a string belongs", mend)
        return None
    value = str(entry.value)
    bad = _UNPRINTABLE.search(value)
    if bad:
        found.error(entry, "control-character", f"{name} holds U+{ord(bad.group()):04X}", "remove it")
        return None
    if not blank and not value.strip():
        found.error(entry, "blank", f"{name} is blank", "write a text")
        return None
    return value


def items(node: yaml.Node, name: str, found: Findings) -> list[yaml.Node] | None:
    """The nodes of a list; None, with a problem noted, where it is none."""
    if not isinstance(node, yaml.SequenceNode) or node.tag != _TAG + "seq":
        found.error(node, "type", f"{name} is {kind(node)} where a list belongs", "start each item with `- `")
        return None
    return list(node.value)


def integer(node: yaml.Node) -> int | None:
    """An exact integer, None for anything else: no truth value, no 3.0, no "3"."""
    if not isinstance(node, yaml.ScalarNode) or node.tag != _TAG + "int":
        return None
    try:
        value = yaml.constructor.SafeConstructor().construct_yaml_int(node)
    except (ValueError, OverflowError, IndexError):  # `!!int` before what is none
        return None
    return int(value)


def _short(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else "?" for letter in text[:40])
    return printable + ("…" if len(text) > 40 else "")
