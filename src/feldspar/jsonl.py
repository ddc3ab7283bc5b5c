"""Frozen dataclasses as JSON lines, and back, strictly.

Equal records give equal bytes: fields in their order, UTF-8, one "\\n" a line. Reading refuses
what it does not know, and names file and line: a record that was altered by hand, or written by
another version, is never half understood.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from feldspar.errors import FeldsparError, RunError

T = TypeVar("T")

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers that mean that nothing more can be written there."""


def to_json(record: object) -> dict[str, Any]:
    """A record as a JSON object, its keys in the order of the record's fields.

    Raises:
        RunError: A number that JSON cannot hold (not finite).
        TypeError: Something that is no dataclass, or holds what JSON has no form for.
    """
    if not is_dataclass(record) or isinstance(record, type):
        raise TypeError(f"{type(record).__name__} is not a record")
    return {item.name: _plain(getattr(record, item.name), item.name) for item in fields(record)}


def from_json(cls: type[T], data: object, where: str = "a record") -> T:
    """The record that `to_json` made `data` of.

    Args:
        cls: The dataclass to make.
        data: What `json.loads` gave: untrusted.
        where: What an error calls the place, for instance `accepted.jsonl:3`.

    Raises:
        RunError: A missing or an unknown key, or a value of another type; named.
    """
    value: T = _value(cls, data, where, "")
    return value


def line(record: object) -> bytes:
    """A record as one line, "\\n" included."""
    data = to_json(record)
    try:
        return (json.dumps(data, ensure_ascii=False, separators=(", ", ": ")) + "\n").encode()
    except UnicodeEncodeError:
        # A teacher can send half of a surrogate pair; escaped, it comes back as it was.
        return (json.dumps(data, separators=(", ", ": ")) + "\n").encode()


def write(path: Path, records: Iterable[object]) -> int:
    """Write records, one a line; the file appears when it is whole.

    Returns:
        How many were written.

    Raises:
        RunError: The disk is full, or the place cannot be written to.
    """
    part = path.with_name(path.name + ".partial")
    count = 0
    with writing(path):
        with part.open("wb") as file:
            for record in records:
                file.write(line(record))
                count += 1
        os.replace(part, path)
    return count


def read(path: Path, cls: type[T]) -> Iterator[T]:
    """The records of a file, in order.

    Raises:
        RunError: The file is missing, or a line is no such record: file and line are named.
    """
    name = f"{path.parent.name}/{path.name}"
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                where = f"{name}:{number}"
                try:
                    data = json.loads(raw, parse_constant=_refuse)
                except (ValueError, RecursionError) as error:
                    raise RunError(f"{where}: not a line of JSON ({error})", _REBUILD) from None
                yield from_json(cls, data, where)
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such file", _REBUILD) from None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what a full or forbidden disk does to a write into an error for a person.

    Raises:
        RunError: In place of the OSError; any other OSError passes.
    """
    try:
        yield
    except OSError as error:
        told = explain(error, path)
        if told is None:
            raise
        raise told from error


def explain(error: OSError, path: Path | None = None) -> FeldsparError | None:
    """What to tell a person of an OSError, or None where it is not of their making."""
    # The file that the system names is nearer to the truth than the one that was being made.
    place = error.filename or path or "a file"
    if error.errno in FULL:
        return RunError(
            f"the disk is full: {place} could not be written",
            "Free some space and give the same command again: what is complete is kept.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR):
        return RunError(f"{place}: {os.strerror(error.errno).lower()}", "Choose a place that you may use.")
    return None


_REBUILD = "It was altered since it was made: `--redo` makes it again, or put the file back."


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a number in JSON")


def _plain(value: object, name: str) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RunError(f"{name} is {value}, which is not a finite number and cannot be kept")
        return value
    if isinstance(value, tuple | list):
        return [_plain(item, name) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{name}.{key}") for key, item in value.items()}
    return to_json(value)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _value(kind: Any, data: object, where: str, name: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _literal(arguments, data, where, name)
    if origin in (Union, UnionType):
        if data is None and NoneType in arguments:
            return None
        kinds = [item for item in arguments if item is not NoneType]
        if len(kinds) != 1:
            raise TypeError(f"{name}: a union of several types has no one form in JSON")
        return _value(kinds[0], data, where, name)
    if origin is tuple:
        return _tuple(arguments, data, where, name)
    if origin in (dict, Mapping):
        if not isinstance(data, dict):
            raise _wrong(where, name, "a mapping", data)
        return {key: _value(arguments[1], item, where, f"{name}.{key}") for key, item in data.items()}
    if is_dataclass(kind):
        return _record(kind, data, where, name)
    return _scalar(kind, data, where, name)


def _scalar(kind: Any, data: object, where: str, name: str) -> Any:
    if kind is float and type(data) is int:
        return float(data)
    # `type`, not `isinstance`: True is an int to Python, and is none to a reader.
    if type(data) is not kind:
        words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
        raise _wrong(where, name, words.get(kind, str(kind)), data)
    return data


def _literal(choices: tuple[Any, ...], data: object, where: str, name: str) -> Any:
    for choice in choices:
        if type(data) is type(choice) and data == choice:
            return choice
    raise _wrong(where, name, "one of " + ", ".join(str(choice) for choice in choices), data)


def _tuple(kinds: tuple[Any, ...], data: object, where: str, name: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise _wrong(where, name, "a list", data)
    if kinds[-1] is Ellipsis:
        return tuple(_value(kinds[0], item, where, f"{name}[{index}]") for index, item in enumerate(data))
    if len(kinds) != len(data):
        raise _wrong(where, name, f"a list of {len(kinds)}", data)
    pairs = enumerate(zip(kinds, data, strict=True))
    return tuple(_value(kind, item, where, f"{name}[{index}]") for index, (kind, item) in pairs)


def _record(cls: Any, data: object, where: str, name: str) -> Any:
    if not isinstance(data, dict):
        raise _wrong(where, name, f"a {cls.__name__}", data)
    prefix = f"{name}." if name else ""
    known = {item.name: item for item in fields(cls)}
    unknown = [key for key in data if key not in known]
    if unknown:
        raise RunError(f"{where}: `{prefix}{unknown[0]}` is not a key of a {cls.__name__}", _REBUILD)
    missing = [
        item.name
        for item in known.values()
        if item.name not in data and item.default is MISSING and item.default_factory is MISSING
    ]
    if missing:
        raise RunError(f"{where}: a {cls.__name__} lacks its `{prefix}{missing[0]}`", _REBUILD)
    hints = _hints(cls)
    return cls(**{key: _value(hints[key], item, where, prefix + key) for key, item in data.items()})


def _wrong(where: str, name: str, wanted: str, data: object) -> RunError:
    shown = json.dumps(data, ensure_ascii=True)
    shown = shown if len(shown) <= 60 else shown[:59] + "…"
    subject = f"`{name}`" if name else "the line"
    return RunError(f"{where}: {subject} should be {wanted}, not {shown}", _REBUILD)
