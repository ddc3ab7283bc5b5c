"""Reading a prompt pack, with errors that a person can act on."""

from __future__ import annotations

import difflib
import hashlib
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from feldspar.errors import RecipeError
from feldspar.generate.pack import Pack

BUILT_IN = ("default", "small")
"""Packs that come with Feldspar: for a teacher that can judge, and for one that cannot."""

_MAX_BYTES = 512 * 1024


def load_pack(name: str | Path) -> Pack:
    """Read a pack that comes with Feldspar, by name, or a person's own, by path.

    Args:
        name: One of `BUILT_IN`, or the path of a YAML file.

    Raises:
        RecipeError: There is no such pack, or it says something that it may not; every problem of
            it is named, with the nearest known key for an unknown one.
    """
    if str(name) in BUILT_IN:
        text = resources.files("feldspar.generate").joinpath("prompts", f"{name}.yaml").read_text("utf-8")
        return parse_pack(text, f"{name}.yaml")
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
    return parse_pack(text, str(path))


def parse_pack(text: str, file: str) -> Pack:
    """Read a pack from YAML.

    Args:
        text: The YAML.
        file: What errors call it.

    Raises:
        RecipeError: As `load_pack`.
    """
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
    try:
        pack = Pack.model_validate(data)
    except ValidationError as error:
        told = "\n".join(_words(problem) for problem in error.errors(include_url=False))
        lines = dict.fromkeys(told.split("\n"))
        mend = "The packs in feldspar/generate/prompts/ show every key."
        raise RecipeError("\n".join(f"{file}: {line}" for line in lines), mend) from error
    return pack.model_copy(update={"digest": hashlib.sha256(text.encode()).hexdigest()})


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
