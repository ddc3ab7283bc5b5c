"""Reading a prompt pack, with errors that a person can act on."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from feldspar.errors import RecipeError
from feldspar.generate.pack import AVAILABLE, Pack

BUILT_IN = ("default", "small")
"""Packs that come with Feldspar: for a teacher that can judge, and for one that cannot."""

_MAX_BYTES = 512 * 1024
_SEE = "The packs in feldspar/generate/prompts/ show every key."


def load_pack(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Pack:
    """Read a pack that comes with Feldspar, by name, or a person's own, by path.

    Args:
        name: One of `BUILT_IN`, or the path of a YAML file.
        overrides: The recipe's `generate.prompts`: single keys put over the pack's.

    Raises:
        RecipeError: There is no such pack, or it says something that it may not; every problem of
            it is named, with the nearest known key for an unknown one.
    """
    pack, data = _read(name)
    return overridden(pack, data, overrides) if overrides else pack


def _read(name: str | Path) -> tuple[Pack, dict[str, Any]]:
    if str(name) in BUILT_IN:
        text = resources.files("feldspar.generate").joinpath("prompts", f"{name}.yaml").read_text("utf-8")
        return _parsed(text, f"{name}.yaml")
    path = Path(name)
    try:
        if path.is_file() and path.stat().st_size > _MAX_BYTES:
            raise RecipeError(
                f"{path}: larger than {_MAX_BYTES // 1024} KiB", "A pack holds prompts, not data."
            )
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        mend = f"Name a pack of Feldspar's ({', '.join(BUILT_IN)}) or the path of a YAML file."
        raise RecipeError(f"{path}: the prompt pack cannot be read: {why}", mend) from error
    return _parsed(text, str(path))


def parse_pack(text: str, file: str) -> Pack:
    """Read a pack from YAML.

    Args:
        text: The YAML.
        file: What errors call it.

    Raises:
        RecipeError: As `load_pack`.
    """
    return _parsed(text, file)[0]


def _parsed(text: str, file: str) -> tuple[Pack, dict[str, Any]]:
    try:
        # An alias can stand for a thousand others; a pack has no need of any.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise RecipeError(f"{file}: a YAML alias (*name)", "Write the text out where it is used.")
        data = yaml.load(text, _UniqueKeys)  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        problem = getattr(error, "problem", None) or str(error)
        raise RecipeError(
            f"{place}: not a YAML file that can be read: {problem}", "Mend the YAML."
        ) from error
    if not isinstance(data, dict):
        raise RecipeError(
            f"{file}: a prompt pack is a mapping with `name` and `sections`", "See prompts/default.yaml."
        )
    data.pop("digest", None)
    return _validated(data, file, hashlib.sha256(text.encode()).hexdigest()), data


def _validated(data: dict[str, Any], where: str, digest: str) -> Pack:
    try:
        pack = Pack.model_validate(data)
    except ValidationError as error:
        told = "\n".join(_words(problem) for problem in error.errors(include_url=False))
        lines = dict.fromkeys(told.split("\n"))
        raise RecipeError("\n".join(f"{where}: {line}" for line in lines), _SEE) from error
    return pack.model_copy(update={"digest": digest})


def overridden(pack: Pack, data: Mapping[str, Any], overrides: Mapping[str, Any]) -> Pack:
    """A pack with single keys of it replaced.

    Args:
        pack: As it was read.
        data: What it was read from.
        overrides: Groups of keys as they stand in a pack, below `sections` (a section's name comes
            first) or beside it (`attempts`). A group joins the pack's; any other value takes its
            place, and `none` in place of a group takes it away: a step that is not taken, a check
            that is not made.

    Raises:
        RecipeError: Something that no pack may say, named with its key.
    """
    where = f"generate.prompts over the pack `{pack.name}`"
    sections = {name: value for name, value in overrides.items() if name not in Pack.model_fields}
    beside = {name: value for name, value in overrides.items() if name in Pack.model_fields}
    spelled_out = beside.pop("sections", {})
    wrong = ["`digest` is not a key of a pack"] if "digest" in beside else []
    if not isinstance(spelled_out, Mapping):
        raise RecipeError(f"{where}: `sections` is a group of keys", _SEE)
    over = beside | {"sections": {**spelled_out, **sections}}
    wrong += _strangers(pack, over["sections"])
    if wrong:
        raise RecipeError("\n".join(f"{where}: {problem}" for problem in wrong), _SEE)
    spelled = json.dumps(over, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(f"{pack.digest} {spelled}".encode()).hexdigest()
    return _validated(_joined(data, over), where, digest)


def _joined(old: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(old)
    for key, value in over.items():
        before = joined.get(key)
        if value == "none" and isinstance(before, Mapping) and key not in ("schema", "json_schema"):
            del joined[key]
            if key in ("near_duplicate", "grounding"):
                joined[key] = None
        # Two ways to read a reply cannot be joined: the new one takes the old one's place.
        elif (
            isinstance(before, Mapping)
            and isinstance(value, Mapping)
            and not _other_parse(key, before, value)
        ):
            joined[key] = _joined(before, value)
        else:
            joined[key] = value
    return joined


def _other_parse(key: str, before: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return key in ("parse", "schema", "assistant") and not before.keys() & value.keys()


def _strangers(pack: Pack, sections: Mapping[str, Any]) -> Iterator[str]:
    """Sections and steps that no pack has, and parts of steps that this pack lacks, in words."""
    for name, section in sections.items():
        if name not in AVAILABLE:
            yield f"`{name}` is not a section{_nearest(name, [*AVAILABLE, *Pack.model_fields])}"
            continue
        steps = section.get("steps") if isinstance(section, Mapping) else None
        there = pack.sections[name].steps if name in pack.sections else {}
        for step, value in steps.items() if isinstance(steps, Mapping) else ():
            if step not in AVAILABLE[name]:
                yield f"{name}.steps.{step} is not a step{_nearest(step, AVAILABLE[name])}"
            elif step not in there and not (isinstance(value, Mapping) and "user" in value):
                yield f"{name}.steps.{step}: the pack has no such step, so its `user` must be given, too"


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return f": did you mean `{near[0]}`?" if near else f": there are {', '.join(known)}"


class _UniqueKeys(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys; that would drop the first without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"`{key.value}` is given twice", problem_mark=key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _words(problem: Any) -> str:
    # A union reports each of its members: their names in the path mean nothing to a person.
    path = [str(part) for part in problem["loc"]]
    where = ".".join(
        part for part in path if not (part[:1].isupper() or part.startswith(("literal[", "dict[")))
    )
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], _keys(), 1)
        return f"{where} is not a key" + (f": did you mean `{near[0]}`?" if near else "")
    if problem["type"] == "missing":
        return f"{where} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return (
            message
            if message.startswith(("freeform.", "grounded.", "knowledge.", "`"))
            else f"{where}: {message}"
        )
    return f"{where}: {message[0].lower()}{message[1:]}"


def _keys() -> list[str]:
    """Every key that some part of a pack may have."""
    found: dict[str, None] = {}
    waiting: list[Any] = [Pack]
    seen: set[Any] = set()
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel) and get_origin(kind) is None:
            if kind in seen:
                continue
            seen.add(kind)
            for name, entry in kind.model_fields.items():
                found[entry.alias or name] = None
                waiting.append(entry.annotation)
        elif get_origin(kind) is not None or isinstance(kind, UnionType) or kind is Union:
            waiting.extend(get_args(kind))
    return list(found)
