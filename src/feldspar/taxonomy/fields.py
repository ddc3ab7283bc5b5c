"""Mappings, lists and strings out of YAML nodes, with exact types and every problem noted."""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import yaml

from feldspar.taxonomy.comments import comment_after
from feldspar.taxonomy.letters import ODD, named
from feldspar.taxonomy.problems import Findings, Severity

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
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_LONGEST_KEY = 60
_SHORTEST_STEM = 4
_SCALARS = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "timestamp", "binary"))
_LONGEST_SCALAR = 200
"""Characters of a number, a date or a truth value: `1:1:1…` is one to YAML, and takes squared time."""
_LARGE = 2**53
_UNREADABLE = object()
_BRACES = "quote a text that starts with [ or {, or write `key: value`"


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
    """Whether a document says nothing: no node, an empty list or mapping, null, "", 0 or false."""
    if node is None:
        return True
    if isinstance(node, yaml.CollectionNode):
        return not node.value
    return plain(node) in (None, "", b"", 0, ("a truth value", False))


def mapping(node: yaml.Node, name: str, shape: Shape, found: Findings) -> dict[str, Entry] | None:
    """The entries of a mapping, by key; None where it is none.

    Notes duplicate, unknown, missing and non-string keys. `name` is the value's place in words.
    """
    entries = keys(node, name, found, shape.open)
    if entries is None:
        return None
    known = shape.required + shape.optional
    meant = set()
    for key, entry in entries.items():
        if key in known:
            continue
        if shape.open:
            _loadable(entry.value, f"{name}.{_short(key)}", found)
        else:
            told = f"unknown key `{_short(key)}` in {name}"
            mend, near = _mend_unknown(key, shape, entries)
            meant.add(near)
            found.error(entry.key, "unknown-key", told, mend)
    for key in shape.required:
        # A slip of the pen is one mistake, not two.
        if key not in entries and key not in meant:
            found.error(node, "missing-key", f"{name} has no `{key}`", f"add `{key}:`")
    return entries


def keys(node: yaml.Node, name: str, found: Findings, any_key: bool = False) -> dict[str, Entry] | None:
    """The entries of a mapping with whatever keys; None, with a problem noted, where it is none.

    Args:
        node: The mapping.
        name: Its place in words.
        found: Where the problems go.
        any_key: Whether a key may be a number or the like; such keys are passed over.
    """
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
            if any_key and isinstance(key, yaml.ScalarNode) and plain(key) is not _UNREADABLE:
                _loadable(value, f"{name}.{_short(key.value)}", found)
            else:
                told = f"a key of {name} is {kind(key)} where a string belongs"
                found.error(
                    key, "key-type", told, "quote it" if isinstance(key, yaml.ScalarNode) else _BRACES
                )
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


def _mend_unknown(key: str, shape: Shape, entries: dict[str, Entry]) -> tuple[str, str]:
    """The mend of an unknown key, and the key that was meant; "" where that is nobody's guess."""
    hint = dict(shape.hints).get(key)
    if hint:
        return hint, ""
    known = shape.required + shape.optional
    odd = ODD.search(key)
    if len(key) <= _LONGEST_KEY:
        free = [name for name in known if name not in entries]
        seen = re.sub(r"[\s-]+", "_", ODD.sub("", key).strip().casefold())
        for names in (free, known):
            near = _nearest(seen, names)
            if near:
                but = f" This one holds {named(odd.group())}" if odd else ""
                return f"did you mean `{near}`?{but}", near
    return f"remove {named(odd.group()) if odd else 'it'}; the keys here are " + ", ".join(known), ""


def _nearest(key: str, names: Sequence[str]) -> str:
    """The name that a person most likely meant, "" where that is nobody's guess."""
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    if near:
        return near[0]
    stem = key.removesuffix("s")
    return next((name for name in names if len(stem) >= _SHORTEST_STEM and stem in name), "")


def string(
    entry: yaml.Node,
    name: str,
    found: Findings,
    blank: Severity | None = "error",
    needed: bool = True,
) -> str | None:
    """A string as it is written; None, with a problem noted, for anything else.

    Args:
        entry: The value.
        name: Its place in words.
        found: Where the problems go.
        blank: What a string of nothing but blanks is; "" is an error all the same. None: both are fine.
        needed: Whether its key has to be there.
    """
    if not isinstance(entry, yaml.ScalarNode) or entry.tag != _TAG + "str":
        # A bare `key:` is null in YAML; to the person who left it, it is an empty string.
        if isinstance(entry, yaml.ScalarNode) and entry.tag == _TAG + "null" and not entry.value:
            mend = "write a text" if needed else "write a text, or take the key out"
            if comment_after(entry)[0]:
                mend = "what follows # is a comment: quote the text"
            found.error(entry, "type", f"{name} is empty", mend)
        else:
            shows = f" ({_short(entry.value)})" if isinstance(entry, yaml.ScalarNode) else ""
            mend = "put it in quotes" if isinstance(entry, yaml.ScalarNode) else "write one text"
            found.error(entry, "type", f"{name} is {kind(entry)}{shows} where a string belongs", mend)
        return None
    value = str(entry.value)
    bad = _UNPRINTABLE.search(value)
    if bad and not _printable(entry, name, bad.group(), found):
        return None
    if blank is not None and not value.strip():
        found.note(blank if value else "error", entry, "blank", f"{name} is blank", "write a text")
        return value if value and blank == "warning" else None
    return value


def _printable(entry: yaml.Node, name: str, letter: str, found: Findings) -> bool:
    """Whether a string can be written to a file at all; a control character in it is only told."""
    code = f"{name} holds U+{ord(letter):04X}"
    if letter >= "\ud800":
        found.error(entry, "control-character", f"{code}, half of a letter", "write the letter itself")
        return False
    told = f"{code}, which a backslash in double quotes makes"
    found.warn(entry, "control-character", told, "double the backslash, or quote with ' in place of \"")
    return True


def items(node: yaml.Node, name: str, found: Findings) -> list[yaml.Node] | None:
    """The nodes of a list; None, with a problem noted, where it is none."""
    if not isinstance(node, yaml.SequenceNode) or node.tag != _TAG + "seq":
        found.error(node, "type", f"{name} is {kind(node)} where a list belongs", "start each item with `- `")
        return None
    return list(node.value)


def plain(node: yaml.Node) -> Hashable:
    """A value that is equal for values that YAML and JSON Schema take for equal."""
    if isinstance(node, yaml.SequenceNode):
        return ("a list", *(plain(item) for item in node.value))
    if isinstance(node, yaml.MappingNode):
        return ("a mapping", frozenset((plain(key), plain(value)) for key, value in _merged(node)))
    if node.tag == _TAG + "str":
        return str(node.value)
    if node.tag not in _SCALARS or len(node.value) > _LONGEST_SCALAR:
        return _UNREADABLE
    try:
        value: Hashable = yaml.constructor.SafeConstructor().construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError, IndexError, KeyError, AttributeError):
        return _UNREADABLE
    if isinstance(value, bool):
        return ("a truth value", value)
    # Of large integers a stranger can choose thousands with one hash; of texts nobody can.
    return ("a number", str(value)) if isinstance(value, int) and abs(value) > _LARGE else value


def _merged(node: yaml.MappingNode) -> Sequence[tuple[yaml.Node, yaml.Node]]:
    """The keys and values of a mapping with what is merged into it."""
    if not any(key.tag == _MERGE for key, _ in node.value):
        return list(node.value)
    own = [(key, value) for key, value in node.value if key.tag != _MERGE]
    there = {key.value for key, _ in own if isinstance(key, yaml.ScalarNode)}
    sources = [value for key, value in node.value if key.tag == _MERGE]
    for source in sources:
        for part in source.value if isinstance(source, yaml.SequenceNode) else [source]:
            for key, value in _merged(part) if isinstance(part, yaml.MappingNode) else ():
                if isinstance(key, yaml.ScalarNode) and key.value not in there:
                    there.add(key.value)
                    own.append((key, value))
    return own


def _loadable(node: yaml.Node, name: str, found: Findings) -> None:
    """Note what YAML itself refuses in a value that no rule is about."""
    if isinstance(node, yaml.ScalarNode):
        if plain(node) is _UNREADABLE:
            told = f"{name} is {kind(node)} that cannot be read ({_short(node.value)})"
            found.error(node, "type", told, "put it in quotes")
    elif isinstance(node, yaml.SequenceNode):
        for item in items(node, name, found) or ():
            _loadable(item, name, found)
    else:
        for entry in (keys(node, name, found, any_key=True) or {}).values():
            _loadable(entry.value, name, found)


def number(node: yaml.Node) -> int | float | None:
    """A number, None for anything else: no truth value, no "3"."""
    value = plain(node) if node.tag in (_TAG + "int", _TAG + "float") else None
    if isinstance(value, tuple):
        return int(value[1])
    return value if isinstance(value, int | float) else None


def _short(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else "?" for letter in text[:40])
    return printable + ("…" if len(text) > 40 else "")
