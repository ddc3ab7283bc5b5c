"""§3.1: adapters, which turn a published row into the conversation that is trained on.

An adapter is a plain function. It returns the conversation, or a `Skip` where the row carries nothing
to train on; a row that is not of its form is an error. What each reads:

=============  ====================================================================================
`messages`     `messages`: a list of role and content
`flan`         `inputs` and `targets`; `source` and `target`: the FLAN collection's two forms
`mathinstruct` `instruction`, `output`; and `input`, where there is one
`conala`       `rewritten_intent`, else `intent`; `snippet`: curated and mined
`musique`      `question`, `answer`, `paragraphs`, `answerable`
`ilab`         all that `ilab data generate` leaves behind
`columns`      what the recipe maps: see `by_columns`
=============  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feldspar.errors import DatasetError, RecipeError
from feldspar.mix.rows import messages_from
from feldspar.text import printable
from feldspar.types import Message


@dataclass(frozen=True, slots=True)
class Skip:
    """A row that carries nothing to train on."""

    reason: str


Adapter = Callable[[Mapping[str, Any], str], tuple[Message, ...] | Skip]
"""From a row, and its file and line for errors, to its conversation. It raises DatasetError alone."""

COLUMN_ROLES = ("user", "assistant", "system", "context")
"""What `by_columns` can fill; the first two it must."""

_SPEAKERS = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "system": "system",
}
_MISSING = object()
_LARGEST = 1e300
_SHOWN_COLUMNS = 12
_MAP = "Map its columns in the recipe: adapter: columns, columns: {user: …, assistant: …}."


def messages(row: Mapping[str, Any], where: str) -> tuple[Message, ...]:
    """Rows in the form that this project writes itself, multi-turn or not."""
    return messages_from(row.get("messages"), where)


def sharegpt(row: Mapping[str, Any], where: str) -> tuple[Message, ...] | Skip:
    """ShareGPT's form: `conversations` of turns with `from` and `value`, a system turn first or none.

    A last turn without a reply is left out; a conversation whose turns do not alternate is passed over.
    """
    turns = []
    for turn in _list(row.get("conversations")):
        said = turn if isinstance(turn, dict) else {}
        role = _SPEAKERS.get(str(said.get("from")).casefold())
        if role is None:
            raise _wrong(where, "from", said.get("from"), f"one of {', '.join(_SPEAKERS)}")
        turns.append({"role": role, "content": _trimmed(_as_text(said.get("value"), "value", where))})
    if turns and turns[-1]["role"] == "user":
        turns.pop()
    wanted = ["user", "assistant"] * (len(turns) // 2)
    spoken = [turn["role"] for turn in turns]
    if not wanted or spoken not in (wanted, ["system", *wanted]):
        return Skip("turns that do not alternate")
    if not all(turn["content"] for turn in turns):
        return Skip("an empty turn")
    return messages_from(turns, where)


def flan(row: Mapping[str, Any], where: str) -> tuple[Message, ...] | Skip:
    """The FLAN collection: `inputs`, `targets` as published, `source`, `target` in its flat copies."""
    asked, said = ("source", "target") if "inputs" not in row and "source" in row else ("inputs", "targets")
    return _conversation(where, _text(row, asked, where), _text(row, said, where))


def mathinstruct(row: Mapping[str, Any], where: str) -> tuple[Message, ...] | Skip:
    """MathInstruct, and others with an instruction, an output and sometimes an input."""
    asked, given = _text(row, "instruction", where), _optional(row, "input", where)
    said = _text(row, "output", where)
    return _conversation(where, _after(asked, given, "\n\n"), said)


def conala(row: Mapping[str, Any], where: str) -> tuple[Message, ...] | Skip:
    """CoNaLa: the intent as annotators rewrote it, where they did, and the code."""
    asked = _optional(row, "rewritten_intent", where)
    return _conversation(where, asked or _text(row, "intent", where), _text(row, "snippet", where))


def musique(row: Mapping[str, Any], where: str) -> tuple[Message, ...] | Skip:
    """MuSiQue: the supporting paragraphs, the question after them, and its answer.

    The other paragraphs stay out: with all twenty, most rows are longer than a phase's context.
    """
    answerable = row.get("answerable")
    if answerable is not None and not isinstance(answerable, bool):
        raise _wrong(where, "answerable", answerable, "true or false")
    if answerable is False:
        return Skip("unanswerable")
    paragraphs = row.get("paragraphs")
    if not isinstance(paragraphs, list) or not all(isinstance(part, dict) for part in paragraphs):
        raise _wrong(where, "paragraphs", paragraphs, "a list of objects")
    needed = [part for part in paragraphs if part.get("is_supporting") is True] or paragraphs
    context = "\n\n".join(
        _after(_optional(part, "title", where), _text(part, "paragraph_text", where), "\n") for part in needed
    )
    question, answer = _text(row, "question", where), _text(row, "answer", where)
    return _conversation(where, question, answer, context=context)


def ilab(row: Mapping[str, Any], where: str) -> tuple[Message, ...] | Skip:
    """What `ilab data generate` leaves behind, of all its versions.

    Messages with `metadata`, `id`, `unmask` (`skills_train_msgs_*`, `knowledge_train_msgs_*`,
    `messages_*`); `system`, `user`, `assistant` (`train_*`, `test_*`); `question` and `response`
    with `context` or `document` (`node_datasets_*`); `instruction`, `input`, `output`
    (`generated_*`). Pretraining text has no turns and is skipped.
    """
    if "messages" in row:
        return _ilab_messages(row, where)
    if "user" in row and "assistant" in row:
        user, assistant = _text(row, "user", where), _text(row, "assistant", where)
        return _conversation(where, user, assistant, system=_optional(row, "system", where))
    if "question" in row and "response" in row:
        asked, said = _text(row, "question", where), _text(row, "response", where)
        context = _optional(row, "document", where) or _optional(row, "context", where)
        return _conversation(where, asked, said, context="" if context.strip() in asked else context)
    if "instruction" in row and "output" in row:
        asked = _after(_text(row, "instruction", where), _optional(row, "input", where), "\n")
        return _conversation(where, asked, _text(row, "output", where))
    if isinstance(row.get("text"), str):
        return Skip("pretraining text, which has no turns")
    raise unknown_columns([row], where, "nothing that `ilab data generate` writes")


def _ilab_messages(row: Mapping[str, Any], where: str) -> tuple[Message, ...] | Skip:
    entries = [entry for entry in _list(row.get("messages")) if isinstance(entry, dict)]
    if any(entry.get("role") == "pretraining" for entry in entries):
        return Skip("pretraining text, which has no turns")
    if entries and isinstance(entries[-1].get("content"), str) and not entries[-1]["content"].strip():
        return Skip("no answer")
    # A system prompt can be set to nothing.
    empty = [entry for entry in entries if entry.get("role") == "system" and entry.get("content") == ""]
    kept = [entry for entry in _list(row.get("messages")) if entry not in empty]
    found = messages_from(kept, where)
    context = _optional(row, "context", where).strip()
    at = 1 if found[0].role == "system" else 0
    if not context or context in found[at].content:
        return found
    # Some versions keep a grounded skill's context beside the messages alone.
    return (*found[:at], Message("user", f"{context}\n\n{found[at].content}"), *found[at + 1 :])


def by_columns(columns: Mapping[str, str]) -> Adapter:
    """An adapter out of a mapping of `user`, `assistant`, `system`, `context` to columns.

    A column is a name, or a dotted path into objects and lists (`answers.0.text`); nothing in it is
    ever evaluated. Numbers are taken for their text.

    Raises:
        RecipeError: `user` or `assistant` is not mapped, or something else is.
    """
    odd = [role for role in columns if role not in COLUMN_ROLES]
    if odd or not all(columns.get(role) for role in ("user", "assistant")):
        told = f"`{odd[0]}` is none of them" if odd else "`user` and `assistant` are needed"
        raise RecipeError(f"columns: {told}", f"Map {', '.join(COLUMN_ROLES)} to the rows' columns.")

    def adapter(row: Mapping[str, Any], where: str) -> tuple[Message, ...] | Skip:
        found = {role: _mapped(row, role, column, where) for role, column in columns.items()}
        return _conversation(where, found.pop("user"), found.pop("assistant"), **found)

    return adapter


def missing_columns(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]], where: str) -> None:
    """Make sure that each mapped column stands in one of the first rows.

    Raises:
        DatasetError: One does not; it names the columns that there are.
    """
    for role, column in columns.items():
        if rows and all(_at(row, column) is _MISSING for row in rows):
            raise unknown_columns(rows, where, f"no `{column}`, which columns.{role} names")


def _mapped(row: Mapping[str, Any], role: str, column: str, where: str) -> str:
    value = _at(row, column)
    if value is _MISSING:
        if role in ("user", "assistant"):
            raise unknown_columns([row], where, f"no `{column}`, which columns.{role} names")
        return ""
    if isinstance(value, int | float) and type(value) is not bool and -_LARGEST < value < _LARGEST:
        return str(value)
    return _as_text(value, column, where)


def _at(row: Mapping[str, Any], path: str) -> object:
    if path in row:
        return row[path]
    value: object = row
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and len(part) < 7 and int(part) < len(value):
            value = value[int(part)]
        else:
            return None if value is None else _MISSING
    return value


def _conversation(
    where: str, user: str, assistant: str, *, system: str = "", context: str = ""
) -> tuple[Message, ...] | Skip:
    """One exchange; blank lines around a text, and blanks at its end, are nothing that was meant."""
    if not user.strip():
        return Skip("no question")
    if not assistant.strip():
        return Skip("no answer")
    turns = [("user", _after(context, _trimmed(user), "\n\n")), ("assistant", _trimmed(assistant))]
    if system.strip():
        turns.insert(0, ("system", system.strip()))
    return messages_from([{"role": role, "content": content} for role, content in turns], where)


def _trimmed(text: str) -> str:
    # A first line's indentation can be code's.
    return text.rstrip().lstrip("\r\n") if text.strip() else ""


def _after(first: str, second: str, between: str) -> str:
    return between.join(part for part in (_trimmed(first), _trimmed(second)) if part)


def _text(row: Mapping[str, Any], key: str, where: str) -> str:
    """A column's text; empty where it is null."""
    if key not in row:
        raise unknown_columns([row], where, f"no `{key}`")
    return _as_text(row[key], key, where)


def _optional(row: Mapping[str, Any], key: str, where: str) -> str:
    return _as_text(row.get(key), key, where)


def _as_text(value: object, key: str, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(where, key, value, "a text")
    return value


def _wrong(where: str, key: str, value: object, wanted: str) -> DatasetError:
    kinds = {type(None): "null", bool: "true or false", dict: "an object", list: "a list", str: "a text"}
    kind = kinds.get(type(value), "a number")
    return DatasetError(f"{where}: `{printable(key[:60])}` is {kind}, and should be {wanted}", _MAP)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


ADAPTERS: Mapping[str, Adapter] = {
    "messages": messages,
    "sharegpt": sharegpt,
    "flan": flan,
    "mathinstruct": mathinstruct,
    "conala": conala,
    "musique": musique,
    "ilab": ilab,
}

_SHAPES: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (name, frozenset(keys.split()))
    for name, keys in (
        ("ilab", "messages metadata id"),
        ("ilab", "messages question response"),
        ("ilab", "messages unmask"),
        ("messages", "messages"),
        ("sharegpt", "conversations"),
        ("ilab", "user assistant"),
        ("ilab", "question response"),
        ("musique", "question answer paragraphs"),
        ("conala", "intent snippet"),
        ("flan", "inputs targets"),
        ("flan", "source target task_name"),
        ("ilab", "instruction output taxonomy_path"),
        ("mathinstruct", "instruction output"),
    )
)
"""The keys that tell a form, the more telling ones first."""

_ASKED = "question prompt instruction problem query input user text".split()
_SAID = "answer response completion output solution target assistant label".split()


def recognised(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The adapter that fits the first row that any fits; None: no row is of a known form."""
    for row in rows:
        there = {key for key, value in row.items() if value is not None}
        turns = (one for one in _list(row.get("messages")) if isinstance(one, dict))
        if any(one.get("role") == "pretraining" for one in turns):
            return "ilab"
        for name, keys in _SHAPES:
            if keys <= there:
                return name
    return None


def unknown_columns(rows: Sequence[Mapping[str, Any]], where: str, lacking: str) -> DatasetError:
    """Says which columns there are, and the recipe's line that would map them."""
    names = list(dict.fromkeys(str(key) for row in rows for key in row))
    shown = ", ".join(f"`{printable(name[:40])}`" for name in names[:_SHOWN_COLUMNS]) or "none at all"
    more = f" and {len(names) - _SHOWN_COLUMNS} more" if len(names) > _SHOWN_COLUMNS else ""
    guess = {
        role: next((name for name in likely if name in names), "…")
        for role, likely in (("user", _ASKED), ("assistant", _SAID))
    }
    return DatasetError(
        f"{where}: there is {lacking}; its columns: {shown}{more}",
        "Map them in the recipe: adapter: columns, columns: "
        f"{{user: {guess['user']}, assistant: {guess['assistant']}}}.",
    )
