"""Conversations and a phase's rows, in the `messages` form that TRL, axolotl and LLaMA-Factory load."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, cast, get_args

from feldspar.errors import DatasetError
from feldspar.types import Branch, Message, Origin, Role, Row, Sample

ROW_MEND = 'A row is {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}.'

_KEYS = ("id", "leaf", "branch", "replayed_from", "origin", "messages")


def row_to_json(row: Row) -> dict[str, Any]:
    """The row as JSON: id, leaf, branch, replayed_from, origin, messages; always in this order."""
    sample = row.sample
    return {
        "id": sample.id,
        "leaf": sample.leaf,
        "branch": sample.branch,
        "replayed_from": row.replayed_from,
        "origin": asdict(sample.origin),
        "messages": [{"role": message.role, "content": message.content} for message in sample.messages],
    }


def row_from_json(data: object, where: str = "row") -> Row:
    """The row that `row_to_json` wrote.

    Args:
        data: What was read.
        where: File and line, for errors.

    Raises:
        DatasetError: It is no such row.
    """
    mend = "Delete 3-phases from the run and give the same command again: it is made anew."
    if not isinstance(data, dict) or set(data) != set(_KEYS):
        raise DatasetError(f"{where}: the row should have the keys {', '.join(_KEYS)}", mend)
    for key in _KEYS[:4]:
        if not isinstance(data[key], str):
            raise DatasetError(f"{where}: `{key}` is not a string", mend)
    if data["branch"] not in get_args(Branch):
        raise DatasetError(f"{where}: `{data['branch']}` is not a branch", mend)
    messages = messages_from(data["messages"], where)
    origin = _origin(data["origin"], where, mend)
    return Row(Sample(data["id"], data["leaf"], data["branch"], messages, origin), data["replayed_from"])


def _origin(data: object, where: str, mend: str) -> Origin:
    wanted = {entry.name for entry in fields(Origin)}
    if not isinstance(data, dict) or set(data) != wanted or data["kind"] not in ("generated", "dataset"):
        raise DatasetError(f"{where}: `origin` should have the keys {', '.join(sorted(wanted))}", mend)
    for key in ("name", "licence", "document"):
        if not isinstance(data[key], str):
            raise DatasetError(f"{where}: `origin.{key}` is not a string", mend)
    for key in ("start", "end"):
        if not isinstance(data[key], int) or isinstance(data[key], bool):
            raise DatasetError(f"{where}: `origin.{key}` is not a whole number", mend)
    return Origin(**data)


def messages_from(value: object, where: str) -> tuple[Message, ...]:
    """A conversation that can be trained on, out of JSON.

    Args:
        value: What should be a list of messages.
        where: File and line, for errors.

    Raises:
        DatasetError: It is not one.
    """
    if not isinstance(value, list) or not value:
        raise DatasetError(f"{where}: there is no list of messages", ROW_MEND)
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
        raise DatasetError(f"{where}: message {number} is not an object", ROW_MEND)
    # Exports fill in absent keys with null; anything else would be trained on wrongly if passed over.
    extra = sorted(str(key) for key, value in entry.items() if key not in {"role", "content"} and value)
    if extra:
        raise DatasetError(
            f"{where}: message {number} has `{extra[0]:.40}`", "Leave role and content alone in it."
        )
    role, content = entry.get("role"), entry.get("content")
    if role not in get_args(Role):
        raise DatasetError(
            f"{where}: message {number} has the role {role!r:.40}", "Use system, user, assistant."
        )
    if not isinstance(content, str):
        raise DatasetError(f"{where}: the content of message {number} is not a string", ROW_MEND)
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
