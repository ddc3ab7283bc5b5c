"""What is wrong with a recipe, in words: file and line, the key, what it should be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from feldspar.recipe_yaml import Place, Source

_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "dict_type": "a group of keys",
    "model_type": "a group of keys",
    "model_attributes_type": "a group of keys",
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def problems(error: ValidationError, source: Source, model: type[BaseModel]) -> list[str]:
    """One line for each thing that pydantic found, in the order of the file's keys."""
    return [_line(item, source, model) for item in error.errors(include_url=False)]


def nearest(word: str, known: Iterable[str]) -> str:
    """A question that names the nearest known word, or nothing where none is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else ""


def _line(item: Any, source: Source, model: type[BaseModel]) -> str:
    place: Place = item["loc"]
    where = source.where(place)
    written = _written(place, where)
    key = ".".join(written)
    kind = item["type"]
    context = item.get("ctx") or {}
    if kind == "extra_forbidden":
        return f"{where}: `{key}` is not a key: {_suggestion(place, written, model)}"
    if kind == "missing":
        return f"{where}: `{key}` is missing"
    if kind in _KINDS:
        return f"{where}: `{key}` should be {_KINDS[kind]}, not {_shown(item['input'])}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"{where}: `{key}` should be {words} {context[bound]}, not {_shown(item['input'])}"
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        return f"{where}: `{key}` should be {expected}, not {_shown(item['input'])}"
    if kind == "string_pattern_mismatch":
        return f"{where}: `{key}` should be small letters, digits, - and _, not {_shown(item['input'])}"
    if kind == "value_error":
        # The value is not shown: where a key stands by mistake, it must not reach a screen or a log.
        secret = place[-1] == "api_key_env" or (len(place) > 1 and place[-2] == "endpoints")
        shown = "" if secret else f", not {_shown(item['input'])}"
        text = str(context["error"])
        return f"{where}: `{key}` {text}{shown if text.startswith('should') else ''}"
    return f"{where}: `{key}`: {item['msg'][:1].lower()}{item['msg'][1:]}"


def _written(place: Place, where: str) -> list[str]:
    """A key's parts; by `--set` an item of a list may go by its name: `phases.kt1.epochs`."""
    first = where.partition(", --set ")[0]
    given = first.removeprefix("--set ").split(".") if first.startswith("--set ") else []
    return [*given[: len(place)], *(str(part) for part in place[len(given) :])]


def _suggestion(place: Place, written: list[str], model: type[BaseModel]) -> str:
    """The nearest key of the same group, else the nearest of all."""
    word = str(place[-1])
    keys = list(_keys(model, ()))
    group = tuple(part for part in place[:-1] if isinstance(part, str))
    prefix = ".".join(written[:-1])
    siblings = [path[-1] for path in keys if path[:-1] == group]
    close = difflib.get_close_matches(word, siblings, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{prefix}.{close[0]}`?" if prefix else f"did you mean `{close[0]}`?"
    by_name = {path[-1]: ".".join(path) for path in keys}
    elsewhere = difflib.get_close_matches(word, list(by_name), n=1, cutoff=0.8)
    if elsewhere:
        return f"did you mean `{by_name[elsewhere[0]]}`?"
    return "the keys here are " + ", ".join(siblings)


def _keys(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        yield (*above, name)
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from _keys(inner, (*above, name))


def _shown(value: object) -> str:
    text = str(list(value)) if isinstance(value, tuple) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
