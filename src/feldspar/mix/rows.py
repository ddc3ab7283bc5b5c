"""A phase's rows as JSON, in the `messages` form that TRL, axolotl and LLaMA-Factory load."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, get_args

from feldspar.errors import DatasetError
from feldspar.mix.datasets import messages_from
from feldspar.types import Branch, Origin, Row, Sample

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
