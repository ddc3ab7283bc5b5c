"""What is wrong with a prompt pack, in words: the key as it was written, and what it should be."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from feldspar.generate.pack import AVAILABLE, Pack
from feldspar.generate.pack_checks import JUDGED, READ, Place, Slip

Name = Callable[[Place], str]
"""How a place is written, by who wrote it."""

MOST = 3
"""Mistakes that one error tells."""

_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "dict_type": "a group of keys",
    "model_type": "a group of keys",
}
_UNIONS = {"parse": f"{READ}, or in a judge {JUDGED}", "schema": "auto, none or a JSON Schema"}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_DEEP = 3


def slips(error: ValidationError, data: object, named: Name) -> list[Slip]:
    """One slip for each place of `data` that pydantic found something wrong with.

    Args:
        error: What pydantic found.
        data: What it was given.
        named: How a place is written, for what would be right.
    """
    found: dict[Place, list[Any]] = {}
    for item in error.errors(include_url=False):
        found.setdefault(_written(item, data), []).append(item)
    # Of a union's members, the one whose shape the value has found its faults further down.
    faults = [place for place in found if not any(_below(other, place) for other in found)]
    return [(place, _text(place, found[place], named)) for place in faults]


def lines(wrong: Sequence[Slip], names: Sequence[str]) -> str:
    """The first `MOST` slips, a line each, by how their places are written."""
    told = [
        f"{name}{'' if text.startswith(':') else ' '}{text}"
        for name, (_, text) in zip(names, wrong, strict=True)
    ]
    more = [f"… and {len(told) - MOST} more"] if len(told) > MOST else []
    return "\n".join(told[:MOST] + more)


def nearest(word: str, known: Mapping[str, str], cutoff: float = 0.6) -> str:
    """A question that names what the nearest known word stands for, or nothing where none is near."""
    close = difflib.get_close_matches(word, list(known), 1, cutoff)
    return f"did you mean `{known[close[0]]}`?" if close else ""


def _below(place: Place, above: Place) -> bool:
    return len(place) > len(above) and place[: len(above)] == above


def _written(item: Any, data: object) -> Place:
    """Where a value stands in `data`: pydantic's own path names the members of unions, too."""
    place: Place = ()
    current = data
    for part in item["loc"]:
        among = current if isinstance(current, Mapping) else dict(enumerate(_items(current)))
        if part in among:
            place, current = (*place, part), among[part]
    return (*place, item["loc"][-1]) if item["type"] == "missing" else place


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(place: Place, items: Sequence[Any], named: Name) -> str:
    item = items[0]
    kind, context = item["type"], item.get("ctx") or {}
    given = f"not {_shown(item['input'])}"
    if kind == "extra_forbidden":
        return f"is not a key: {_suggestion(place, named)}"
    if kind == "missing":
        return "is missing"
    if kind == "union_tag_not_found":
        return f"should be {_UNIONS[str(place[-1])]}, {given}"
    if kind in _KINDS:
        kinds = list(dict.fromkeys(_KINDS[one["type"]] for one in items if one["type"] in _KINDS))
        wanted = " or ".join([", ".join(kinds[:-1]), kinds[-1]]) if len(kinds) > 1 else kinds[0]
        return f"should be {wanted}, {given}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"should be {words} {context[bound]}, {given}"
    if kind == "literal_error":
        return f"should be {str(context['expected']).replace(chr(39), '')}, {given}"
    if kind in ("string_too_short", "too_short"):
        return "is empty"
    if kind in ("string_too_long", "too_long"):
        unit = "characters" if kind == "string_too_long" else "items"
        return f"has more than {context['max_length']:,} {unit}"
    message = str(context.get("error") or item["msg"])
    return f": {message[:1].lower()}{message[1:]}"


def _suggestion(place: Place, named: Name) -> str:
    """The nearest key of the same group, else the nearest of those below it, else all of the group's."""
    kinds: list[Any] = [Pack]
    for part in place[:-1]:
        kinds = list(_inside(kinds, str(part)))
    *above, word = place
    known = {key: named((*above, key)) for key in _keys(kinds)}
    below = {path[-1]: named((*above, *path)) for path in _deeper(kinds, place[:-1])}
    near = nearest(str(word), known) or nearest(str(word), below, 0.8)
    return near or f"the keys here are {', '.join(known)}"


def _deeper(kinds: Sequence[Any], place: Place) -> Iterator[tuple[str, ...]]:
    """The keys below those of a group, the nearest last."""
    steps = AVAILABLE.get(str(place[-1]), {}) if place[:1] == ("sections",) and len(place) == 2 else {}
    waiting: list[tuple[tuple[str, ...], list[Any]]] = [((), list(kinds))]
    found: list[tuple[str, ...]] = []
    while waiting:
        path, here = waiting.pop(0)
        found.append(path)
        if len(path) < _DEEP:
            waiting += [((*path, key), list(_inside(here, key))) for key in _keys(here)]
    yield from (path for path in reversed(found) if path)
    yield from (("steps", step) for step in steps)


def _keys(kinds: Iterable[Any]) -> Iterator[str]:
    for model in _models(kinds):
        for name, field in model.model_fields.items():
            if name != "digest":
                yield field.alias or name


def _inside(kinds: Iterable[Any], key: str) -> Iterator[Any]:
    """What may stand under a key of a group, or at an item of a list."""
    for kind in kinds:
        for one in _members(kind):
            if get_origin(one) is dict:
                yield get_args(one)[1]
            elif get_origin(one) is tuple:
                yield get_args(one)[0]
    for model in _models(kinds):
        yield from (
            field.annotation for name, field in model.model_fields.items() if key in (name, field.alias)
        )


def _models(kinds: Iterable[Any]) -> Iterator[type[BaseModel]]:
    for kind in kinds:
        for one in _members(kind):
            if isinstance(one, type) and get_origin(one) is None and issubclass(one, BaseModel):
                yield one


def _members(kind: Any) -> Iterator[Any]:
    """A type as it is, or those that a union or an annotation holds."""
    if get_origin(kind) is Annotated:
        yield from _members(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for one in get_args(kind):
            yield from _members(one)
    else:
        yield kind


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
