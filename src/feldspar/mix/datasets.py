"""Reading foundational datasets, and a person's own rows: conversations as JSON lines (§3.1, §3.3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast, get_args

from feldspar.errors import DatasetError, RecipeError
from feldspar.mix.chance import chosen
from feldspar.types import Branch, Message, Origin, Role, Sample

_MEND = 'A row is {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}.'
_LONGEST_LINE = 4_000_000
"""Characters; a longer line is no conversation, and reading it could fill the memory."""

Adapter = Callable[[Mapping[str, Any]], object]
"""From a row to its list of messages; what it returns is checked."""

ADAPTERS: Mapping[str, Adapter] = {"messages": lambda row: row.get("messages")}


def read_dataset(
    path: Path,
    *,
    adapter: str = "messages",
    licence: str = "",
    cap: int | None = None,
    seed: int = 0,
    branch: Branch = "foundational_skills",
    name: str = "",
) -> tuple[Sample, ...]:
    """Read conversations from a JSONL file, one a line; blank lines are passed over.

    Every row is checked, those too that the cap leaves out: an optional system message first, then
    user and assistant in turn, the last an assistant's, none of them empty.

    Args:
        path: The file.
        adapter: How a row holds its conversation: `messages`.
        licence: The rows' licence, an SPDX identifier.
        cap: At most so many rows, chosen by `seed`; None: all. Their order stays the file's.
        seed: The run's seed.
        branch: The branch of the taxonomy that the rows belong to.
        name: What the rows are called in ids; empty: the file's name without its ending.

    Returns:
        A sample for each row: id `<branch>/<name>#<line>`.

    Raises:
        DatasetError: The file or a row cannot be read; says file, line and mend.
        RecipeError: There is no such adapter, or the cap is negative.
    """
    if adapter not in ADAPTERS:
        raise RecipeError(f"`{adapter}` is not an adapter", f"Adapters: {', '.join(ADAPTERS)}.")
    if cap is not None and cap < 0:
        raise RecipeError(f"{path}: a cap of {cap} rows", "Give a cap of 0 or more, or none.")
    called = name or path.stem
    leaf = f"{branch}/{called}"
    samples: list[Sample] = []
    for line, row in _rows(path):
        messages = messages_from(ADAPTERS[adapter](row), f"{path}:{line}")
        origin = Origin("dataset", f"{path.name}:{line}", licence)
        samples.append(Sample(f"{leaf}#{line}", leaf, branch, messages, origin))
    if not samples:
        raise DatasetError(f"{path}: it holds no rows", _MEND)
    if cap is None or cap >= len(samples):
        return tuple(samples)
    return tuple(samples[place] for place in chosen(len(samples), cap, seed, leaf))


def messages_from(value: object, where: str) -> tuple[Message, ...]:
    """A conversation that can be trained on, out of JSON.

    Args:
        value: What should be a list of messages.
        where: File and line, for errors.

    Raises:
        DatasetError: It is not one.
    """
    if not isinstance(value, list) or not value:
        raise DatasetError(f"{where}: there is no list of messages", _MEND)
    found = [_message(entry, number, where) for number, entry in enumerate(value, 1)]
    turns = found[1:] if found[0].role == "system" else found
    for number, message in enumerate(turns, len(found) - len(turns) + 1):
        wanted = "user" if (number - (len(found) - len(turns))) % 2 else "assistant"
        if message.role != wanted:
            raise DatasetError(
                f"{where}: message {number} is of the {message.role}, the {wanted} should speak",
                "After an optional system message, user and assistant take turns.",
            )
    if not turns or turns[-1].role != "assistant":
        raise DatasetError(f"{where}: the last message is not the assistant's", "Give every row its answer.")
    return tuple(found)


def _message(entry: object, number: int, where: str) -> Message:
    if not isinstance(entry, dict):
        raise DatasetError(f"{where}: message {number} is not an object", _MEND)
    # Exports fill in absent keys with null; anything else would be trained on wrongly if passed over.
    extra = sorted(str(key) for key, value in entry.items() if key not in {"role", "content"} and value)
    if extra:
        raise DatasetError(
            f"{where}: message {number} has `{extra[0]}`", "Leave role and content alone in it."
        )
    role, content = entry.get("role"), entry.get("content")
    if role not in get_args(Role):
        raise DatasetError(
            f"{where}: message {number} has the role {role!r:.40}", "Use system, user, assistant."
        )
    if not isinstance(content, str):
        raise DatasetError(f"{where}: the content of message {number} is not a string", _MEND)
    if not content.strip():
        raise DatasetError(
            f"{where}: the content of message {number} is empty", "Fill it in, or leave the row out."
        )
    try:
        content.encode()
    except UnicodeEncodeError as error:
        raise DatasetError(
            f"{where}: message {number} holds half a character", "Repair its \\ud800 escape."
        ) from error
    return Message(cast(Role, role), content)


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The lines that are not blank, from 1, as JSON objects."""
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as lines:
            number = 0
            while text := lines.readline(_LONGEST_LINE + 1):
                number += 1
                if len(text) > _LONGEST_LINE:
                    raise DatasetError(f"{path}:{number}: the line is longer than 4 MB", _MEND)
                if text.strip():
                    yield number, _object(text, f"{path}:{number}")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: it is not UTF-8 text", "Save it as UTF-8.") from error
    except OSError as error:
        raise DatasetError(
            f"{path}: it cannot be read: {error.strerror}", "Check the path in the recipe."
        ) from error


def _object(text: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: the line is not JSON", "Put one JSON object on each line.") from error
    if not isinstance(row, dict):
        raise DatasetError(f"{where}: the line is not a JSON object", _MEND)
    return row
