"""The kinds of value that a recipe's keys take, each with its check.

A check raises ValueError with the words that follow the key: "should be …".
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator
from pydantic import ValidationInfo as Info

from feldspar.types import Branch, Length, Style, Take

T = TypeVar("T")

CONFIG = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)
"""What all settings have in common: unknown keys and wrong types are errors, nothing is coerced."""

_MAX_SAMPLES = 10_000_000
_BRANCHES: tuple[Branch, ...] = ("knowledge", "foundational_skills", "compositional_skills")
_LENGTHS: tuple[Length, ...] = ("all", "short", "long")


class PerPassage(BaseModel):
    """So many samples for each passage of a knowledge leaf's documents."""

    model_config = CONFIG
    per_passage: int = Field(ge=1, le=10_000)


Amounts = int | PerPassage | dict[str, int | PerPassage]


def _base(info: Info) -> Path:
    return Path((info.context or {}).get("base") or ".").resolve()


def absolute(value: object, info: Info) -> Path:
    """A path, made absolute from the recipe's folder."""
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("should be a path")
    return Path(os.path.normpath(_base(info) / Path(value).expanduser()))


def _file_or(
    value: object, info: Info, *, names: Sequence[str], suffixes: Sequence[str], folders: bool
) -> str:
    """A value that is a fixed name, a path (made absolute), or else a name of somebody else's.

    With `folders`, what a folder of the recipe's is called is a path.
    """
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("should be a text")
    if value in names:
        return value
    looks = value.startswith((".", "/", "~")) or value.lower().endswith(tuple(suffixes))
    if looks or (folders and (_base(info) / value).is_dir()):
        return str(absolute(value, info))
    return value


def _model(value: object, info: Info) -> str:
    return _file_or(value, info, names=("embedded",), suffixes=(".gguf",), folders=True)


def _served(value: object, info: Info) -> str:
    # No folder is served: one of the same name is there by chance.
    return _file_or(value, info, names=("embedded",), suffixes=(".gguf",), folders=False)


def _pack(value: object, info: Info) -> str:
    if value in ("auto", "default", "small"):
        return str(value)
    if isinstance(value, str) and value.lower().endswith((".yaml", ".yml")):
        return str(absolute(value, info))
    raise ValueError("should be auto, default, small, or the path of a pack's YAML file")


def _template(value: object, info: Info) -> str:
    if value in ("auto", "keep"):
        return str(value)
    if isinstance(value, str) and value.lower().endswith((".jinja", ".jinja2", ".txt")):
        return str(absolute(value, info))
    raise ValueError("should be auto, keep, or the path of a .jinja file")


def _auto_or_count(value: object) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    if type(value) is not int or not 1 <= value <= 1_000_000:
        raise ValueError("should be auto, or a whole number from 1")
    return value


def _endpoint(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("should be a URL")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ValueError("should be a URL such as http://localhost:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        # The recipe is kept in the run's folder: no secret may stand in it.
        raise ValueError("should hold no user, password or query: the key goes into teacher.api_key_env")
    return value.rstrip("/")


def label(value: object) -> str:
    """A short text, or a number's."""
    # `revision: 2` is what people write; to YAML that is a number.
    if type(value) in (int, float):
        value = str(value)
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError("should be a text of at most 200 characters")
    return value


def _variable(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}|", value):
        raise ValueError("should be the name of an environment variable, never the key itself")
    return value


def _amount(value: object) -> int | PerPassage:
    if isinstance(value, PerPassage):
        return value
    if isinstance(value, Mapping) and set(value) == {"per_passage"}:
        number = value["per_passage"]
        if type(number) is int and 1 <= number <= 10_000:
            return PerPassage(per_passage=number)
    if type(value) is int and 0 <= value <= _MAX_SAMPLES:
        return value
    raise ValueError("should be a whole number, {per_passage: n}, or a map of leaf patterns to either")


def _samples(value: object) -> Amounts:
    if isinstance(value, Mapping) and set(value) != {"per_passage"}:
        if not value:
            raise ValueError("is an empty map: give a whole number, or a pattern such as `knowledge/*: 30`")
        return {str(pattern): _amount(amount) for pattern, amount in value.items()}
    if type(value) is int and value == 0:
        raise ValueError("should be 1 or more, not 0: no leaf would have a sample (a pattern's may be 0)")
    return _amount(value)


def _take(value: object) -> Take:
    if isinstance(value, Take):
        return value
    branch: object = ""
    length: object = "all"
    if isinstance(value, str):
        branch, _, rest = value.partition("/")
        length = rest or "all"
    elif isinstance(value, Mapping) and set(value) <= {"branch", "length"}:
        branch, length = value.get("branch"), value.get("length", "all")
    for known in _BRANCHES:
        for size in _LENGTHS:
            if branch == known and length == size:
                return Take(known, size)
    raise ValueError(f"should be a branch ({', '.join(_BRANCHES)}), alone or with /short or /long")


def _counts(value: object) -> int | dict[str, int]:
    if isinstance(value, dict):
        if not value:
            raise ValueError("is empty: give a number, or at least one pattern")
        return {str(pattern): _count(count) for pattern, count in value.items()}
    return _count(value)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"should be a whole number, not {value!r}")
    if not 0 <= value <= 10_000:
        raise ValueError(f"should be 0 to 10000, not {value}")
    return value


def _by_leaf(value: object, one: Callable[[object], T]) -> T | dict[str, T]:
    """One value for all leaves, or a map of leaf patterns to such values."""
    if isinstance(value, Mapping):
        return {str(pattern): one(item) for pattern, item in value.items()}
    return one(value)


def fitting(given: T | dict[str, T], path: str, otherwise: T) -> T:
    """The value for a leaf: the first pattern that fits its path counts (`*` matches `/` too)."""
    if not isinstance(given, dict):
        return given
    return next((value for pattern, value in given.items() if fnmatchcase(path, pattern)), otherwise)


def _turns(value: object) -> int:
    if type(value) is not int or not 1 <= value <= 8:
        raise ValueError("should be a whole number from 1 to 8, or a map of leaf patterns to such numbers")
    return value


def _style(value: object) -> Style:
    for style in ("precise", "creative"):
        if value == style:
            return style
    raise ValueError("should be precise or creative, or a map of leaf patterns to these")


def _language(value: object) -> str:
    # It is put into prompts: a name, and nothing that goes on.
    if not isinstance(value, str) or not re.fullmatch(r"[^\W\d_]{4,}(?:[ -][^\W\d_]+){0,3}", value):
        raise ValueError("should be a language's English name, such as German, or a map of patterns to names")
    return value


def _prompts(value: object) -> dict[str, Any]:
    """Groups of keys; a key may stand for the groups on its way: `freeform.steps.pair_judge.temperature`."""
    if not isinstance(value, Mapping):
        raise ValueError(
            "should be keys of a prompt pack, such as `freeform.steps.pair_judge.temperature: 0.2`"
        )
    made: dict[str, Any] = {}
    # The longest first: what stands in groups, as `--set` puts it, counts before a dotted key's value.
    for dotted, item in sorted(value.items(), key=lambda one: (-str(one[0]).count("."), str(one[0]))):
        *above, last = str(dotted).split(".")
        group = made
        for part in above:
            group = group.setdefault(part, {})
            if not isinstance(group, dict):
                raise ValueError(f"gives `{dotted}` twice")
        _merge(group, last, item, str(dotted))
    return made


def _merge(group: dict[str, Any], key: str, item: object, name: str) -> None:
    """Put a value under a key; groups are put together, key by key."""
    if key in group and isinstance(group[key], dict) != isinstance(item, Mapping):
        raise ValueError(f"gives `{name}` twice")
    if not isinstance(item, Mapping):
        group[key] = item
        return
    below = group.setdefault(key, {})
    for part, value in item.items():
        _merge(below, str(part), value, f"{name}.{part}")


def _samples_out(value: Amounts) -> Any:
    if isinstance(value, PerPassage):
        return value.model_dump()
    if isinstance(value, dict):
        return {pattern: _samples_out(amount) for pattern, amount in value.items()}
    return value


def _take_out(take: Take) -> str:
    return take.branch if take.length == "all" else f"{take.branch}/{take.length}"


SamplesPerLeaf = Annotated[Amounts, PlainValidator(_samples), PlainSerializer(_samples_out)]
"""A number, `{per_passage: n}`, or a map of leaf patterns to either."""

Counts = Annotated[int | dict[str, int], PlainValidator(_counts)]
"""A whole number of 0 or more, or a map of leaf patterns to such numbers."""

Turns = Annotated[int | dict[str, int], PlainValidator(lambda value: _by_leaf(value, _turns))]
Styles = Annotated[Style | dict[str, Style], PlainValidator(lambda value: _by_leaf(value, _style))]
Languages = Annotated[str | dict[str, str], PlainValidator(lambda value: _by_leaf(value, _language))]
"""A value for all leaves, or a map of leaf patterns to values."""

Prompts = Annotated[dict[str, Any], PlainValidator(_prompts)]
"""Keys of a prompt pack with their values, as groups; what they may be, the pack says."""

RecipePath = Annotated[Path, PlainValidator(absolute)]
"""Made absolute, from the recipe's folder."""

ModelName = Annotated[str, PlainValidator(_model)]
"""`embedded`, a path made absolute (a folder that is there, too), or a name of somebody else's."""

ServedName = Annotated[str, PlainValidator(_served)]
"""`embedded`, a GGUF's path made absolute, or the name that endpoints serve."""

PackName = Annotated[str, PlainValidator(_pack)]
TemplateName = Annotated[str, PlainValidator(_template)]
Endpoint = Annotated[str, PlainValidator(_endpoint)]
Label = Annotated[str, PlainValidator(label)]
"""A text that tells one thing from another; a number is taken for its text."""

VariableName = Annotated[str, PlainValidator(_variable)]
AutoOrCount = Annotated[int | Literal["auto"], PlainValidator(_auto_or_count)]
TakeText = Annotated[Take, PlainValidator(_take), PlainSerializer(_take_out)]
