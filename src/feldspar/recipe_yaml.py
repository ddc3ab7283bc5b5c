"""A recipe's YAML as plain values that remember their lines, and `--set` on top of them.

YAML is composed into nodes and turned into values here, rather than loaded, for three reasons:
every value keeps its place for the errors, `2e-5` is a number (to YAML 1.1 it is a text), and a
date stays the text that was written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from feldspar.errors import RecipeError

Place = tuple[str | int, ...]
"""The keys and indexes from the recipe's top to a value."""

MAX_BYTES = 1_000_000
MAX_NODES = 50_000
"""Values after aliases are followed: what a few lines of nested aliases can blow up to."""

_FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_INT = re.compile(r"[-+]?\d[\d_]*")


@dataclass(frozen=True)
class Source:
    """Plain values (dict, list, str, int, float, bool), and where each stands."""

    data: dict[str, Any]
    places: dict[Place, str] = field(default_factory=dict)
    """`recipe.yaml:3`, or the `--set` that gave the value."""
    problems: list[str] = field(default_factory=list)

    def where(self, place: Place) -> str:
        """The place of a value, or of the nearest thing around it; and each `--set` that is below it."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.places:
                found = self.places[place[:length]]
                break
        else:
            found = "the recipe"
        below = [
            setting
            for known, setting in self.places.items()
            if known[: len(place)] == place and setting.startswith("--set ") and setting != found
        ]
        return ", ".join(dict.fromkeys([found, *below])) if place else found


def read(path: Path) -> Source:
    """Read a recipe's file.

    Raises:
        RecipeError: It is missing, too large, no UTF-8, no YAML, or no mapping.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        mend = "`feldspar init DIR` writes a project with one." if path.suffix else "Name its file."
        raise RecipeError(f"{path}: there is no such recipe", mend) from None
    except IsADirectoryError:
        raise RecipeError(f"{path} is a folder", f"Name the recipe in it: {path / 'recipe.yaml'}") from None
    except OSError as error:
        raise RecipeError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    if len(raw) > MAX_BYTES:
        raise RecipeError(f"{path}: larger than {MAX_BYTES:,} bytes, which no recipe is")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise RecipeError(f"{path}:{line}: not UTF-8", "Save the file as UTF-8.") from None
    return parse(text, str(path))


def parse(text: str, name: str) -> Source:
    """The values of a recipe's text; `name` is the file's name in errors.

    Raises:
        RecipeError: It is no YAML, or no mapping.
    """
    source = Source({}, {(): name})
    node = _compose(text, name)
    if node is None:
        return source
    if not isinstance(node, yaml.MappingNode):
        raise RecipeError(f"{name}:1: a recipe is a mapping of keys", "Begin with `taxonomy: taxonomy/`.")
    _Walk(source, name).values(node, (), source.data)
    return source


def assign(source: Source, setting: str) -> None:
    """Put one `--set key=value` over the recipe; what is wrong with it joins the problems.

    A part of the key that meets a list is an index from 0, or the `name` of an item:
    `phases.kt1.epochs=3`.
    """
    key, equals, value = setting.partition("=")
    parts = [part.strip() for part in key.split(".")]
    where = "--set " + ".".join(parts)
    if not equals or not all(parts):
        source.problems.append(f"--set {_shown(setting)}: wants `key=value`, as in `generate.seed=1`")
        return
    try:
        node = _compose(value, where) if value.strip() else None
    except RecipeError as error:
        source.problems.append(error.what)
        return
    current: Any = source.data
    place: Place = ()
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        step = _step(current, part)
        if step is None:
            around = ".".join(str(item) for item in place)
            source.problems.append(f"{where}: `{around}` has no `{part}`: {_steps(current)}")
            return
        place = (*place, step)
        if last:
            for known in [known for known in source.places if known[: len(place)] == place]:
                del source.places[known]
            source.places[place] = where
            current[step] = "" if node is None else _Walk(source, where).value(node, place)
        elif isinstance(current, dict) and current.get(part) is None:
            # The group is there for this setting alone: what is wrong with its name is, too.
            source.places[place] = where
            current[part] = current = {}
        else:
            current = current[step]


def frozen(value: Any) -> Any:
    """Lists as tuples, and keys without a value left out: they have their default."""
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return tuple(frozen(item) for item in value)
    return value


def _step(current: Any, part: str) -> str | int | None:
    if isinstance(current, dict):
        return part
    if isinstance(current, list):
        if part.isdecimal() and int(part) < len(current):
            return int(part)
        for index, item in enumerate(current):
            if isinstance(item, dict) and item.get("name") == part:
                return index
    return None


def _steps(current: Any) -> str:
    """What may follow a key, where something else does."""
    if not isinstance(current, list):
        return "it is a value, and no group of keys"
    if not current:
        return "it is empty"
    names = [item["name"] for item in current if isinstance(item, dict) and isinstance(item.get("name"), str)]
    return f"it has {', '.join(map(_shown, names[:9]))}" if names else f"it has 0 to {len(current) - 1}"


def _compose(text: str, name: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise RecipeError(f"{place}: not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else "nested too deeply"
        raise RecipeError(f"{name}: not YAML: {reason}") from None


class _Walk:
    """One pass over composed nodes; bounded, because aliases can make a small text huge."""

    def __init__(self, source: Source, name: str) -> None:
        self.source = source
        self.name = name
        self.left = MAX_NODES
        self.open: set[int] = set()

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.left -= 1
        if self.left < 0:
            raise RecipeError(f"{self.name}: more than {MAX_NODES:,} values, which no recipe has")
        self.source.places.setdefault(place, self.place(node))
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if id(node) in self.open:
            raise RecipeError(f"{self.place(node)}: an alias that holds itself")
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self.values(node, place, {})
            items = enumerate(node.value)
            return [self.value(item, (*place, index)) for index, item in items]
        finally:
            self.open.discard(id(node))

    def values(self, node: yaml.MappingNode, place: Place, into: dict[str, Any]) -> dict[str, Any]:
        for key_node, value_node in node.value:
            where = self.place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.source.problems.append(f"{where}: a key must be a plain text")
                continue
            key = str(key_node.value)
            if key in into:
                self.source.problems.append(f"{where}: `{key}` stands here twice")
                continue
            # A value's place is its key's line: that is where a person looks.
            self.source.places[(*place, key)] = where
            into[key] = self.value(value_node, (*place, key))
        return into

    def place(self, node: yaml.Node) -> str:
        if self.name.startswith("--set"):
            return self.name
        return f"{self.name}:{node.start_mark.line + 1}"


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("yes", "true", "on")
    if node.style is None and _INT.fullmatch(text):
        return int(text.replace("_", ""))
    if node.style is None and _FLOAT.fullmatch(text):
        return float(text)
    return text


def _shown(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def dump(data: Any, opening: Sequence[str] = ()) -> str:
    """Plain values as YAML that `parse` reads back to the same; `opening` lines are comments."""
    body = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    return "".join(f"# {text}\n" for text in opening) + body
