"""Benchmark files: the questions in them, which generation avoids (rule 6).

Each line, or entry, is a question in one of the shapes that benchmarks are published in: `turns`
(MT-Bench), `question` with or without `choices` (MMLU, ARC, GSM8K), `messages`, a `prompt`, an
`instruction` with its `input`, or one of these under `doc` (lm-eval's logs). Feldspar's own question
files are of these shapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from feldspar.errors import DatasetError
from feldspar.generate.held import Asked

_MOST_QUESTIONS = 200_000
_LONGEST_LINE = 4 << 20  # bytes
_LARGEST = {".json": 256 << 20, ".yaml": 16 << 20, ".yml": 16 << 20}  # bytes, read whole

_ASKED = ("question", "query", "problem", "prompt", "instruction", "goal", "ctx", "sentence", "input", "text")
"""Keys that hold what is asked; the first that a record has is taken."""

_BEFORE = ("context", "passage", "article", "story", "support")
_CHOICES = ("choices", "options", "endings")
_LISTS = ("questions", "texts", "data", "examples", "rows", "train", "validation", "test")
"""Keys of a file that is no list itself, under which its lists can be."""

_BLANKS = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()

_Entry = tuple[int, object]
"""The line on which it begins, and what it says."""


def asked_in(path: Path) -> list[Asked]:
    """The questions of a benchmark file, each with its name and line.

    A question with a context or choices is one text with them: "Which of these is true?" alone is no
    one's. Without its choices it stands in the list too, if no other question of the file says the same.

    Args:
        path: JSON lines (`.jsonl`, `.ndjson`), JSON or YAML.

    Returns:
        What each asks, in the file's order; each turn of a conversation is a text.

    Raises:
        DatasetError: The file cannot be read, is too large or holds what is no question: file, line, mend.
    """
    found: list[Asked] = []
    stems: dict[str, tuple[int, int]] = {}
    file = f"{path.name}:"
    try:
        for number, (line, entry) in enumerate(_entries(path)):
            if number == _MOST_QUESTIONS:
                raise DatasetError(f"{path}: has more than {_MOST_QUESTIONS:,} questions", "Divide it.")
            texts, stem = _texts(entry, f"{path}:{line}")
            found += ((text, file, line) for text in texts)
            if stem:
                stems[stem] = (stems.get(stem, (0, 0))[0] + 1, line)
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}", "Name a file in generate.avoid.") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is not UTF-8 text", "Save it as UTF-8.") from error
    if not found:
        raise DatasetError(f"{path}: has no questions", "Add some, or take it out of generate.avoid.")
    return found + [(stem, file, line) for stem, (count, line) in stems.items() if count == 1]


def _entries(path: Path) -> Iterator[_Entry]:
    kind = path.suffix.lower()
    if kind in {".jsonl", ".ndjson"}:
        yield from _json_lines(path)
        return
    if kind not in _LARGEST:
        what = f"{path}: `{kind or path.name}` is no kind of benchmark file that is known"
        raise DatasetError(what, "Convert it to .jsonl, .json or .yaml.")
    if path.stat().st_size > _LARGEST[kind]:
        what = f"{path}: has more than {_LARGEST[kind] >> 20} MB, which is the most for {kind}"
        raise DatasetError(what, "Convert it to .jsonl: that is read line by line.")
    text = path.read_text(encoding="utf-8-sig")
    yield from (_json if kind == ".json" else _yaml)(path, text)


def _json_lines(path: Path) -> Iterator[_Entry]:
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(_LONGEST_LINE + 1):
            number += 1
            if len(raw) > _LONGEST_LINE:
                what = f"{path}:{number}: the line has more than {_LONGEST_LINE >> 20} MB"
                raise DatasetError(what, "Is it JSON lines? A JSON file's name ends in .json.")
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                if text.strip():
                    yield number, json.loads(text)
            except UnicodeDecodeError:
                raise DatasetError(f"{path}:{number}: is not UTF-8 text", "Save the file as UTF-8.") from None
            except (ValueError, RecursionError) as error:
                raise _no_json(path, number, _why(error)) from None


@dataclass(slots=True)
class _Json:
    """A JSON text, and how far its lines are counted."""

    path: Path
    text: str
    at: int = 0
    line: int = 1
    counted: int = 0

    def next(self, wanted: str = "") -> str:
        """Go to the next mark, past it if it is one of `wanted`; which it is."""
        self.at = _BLANKS.match(self.text, self.at).end()  # type: ignore[union-attr]
        mark = self.text[self.at : self.at + 1]
        self.at += bool(mark) and mark in wanted
        return mark

    def here(self) -> int:
        """The line."""
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        return self.line

    def value(self) -> Any:
        """The value that begins here."""
        try:
            found, self.at = _DECODER.raw_decode(self.text, self.at)
        except json.JSONDecodeError as error:
            raise _no_json(self.path, error.lineno, error.msg) from None
        except (ValueError, RecursionError) as error:
            raise _no_json(self.path, self.here(), _why(error)) from None
        return found

    def wants(self, marks: str) -> str:
        """Go past the next mark, which is to be one of `marks`; which it is."""
        found = self.next(marks)
        if not found or found not in marks:
            raise _no_json(self.path, self.here(), f"`{marks[-1]}` is expected, not `{found or 'the end'}`")
        return found


def _json(path: Path, text: str) -> Iterator[_Entry]:
    """The entries of a JSON list, of the lists in a mapping, or of lines, each with its line."""
    source = _Json(path, text)
    if source.wants("[{") == "[":
        yield from _json_list(source)
        return
    listed = False
    while source.next("}") != "}":
        key = source.value()
        source.wants(":")
        if key in _LISTS and source.next("[") == "[":
            listed = True
            yield from _json_list(source)
        else:
            source.next()
            source.value()
        if source.wants(",}") == "}":
            break
    if not listed:
        source = _Json(path, text)
        while source.next():
            line = source.here()
            yield line, source.value()


def _json_list(source: _Json) -> Iterator[_Entry]:
    while source.next("]") != "]":
        line = source.here()
        yield line, source.value()
        if source.wants(",]") == "]":
            return


def _yaml(path: Path, text: str) -> Iterator[_Entry]:
    """The entries of a YAML list, or of the lists in a mapping, each with its line."""
    kind = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader = kind(text)
    try:
        # An alias can stand for a thousand others; a list of questions has no need of any.
        for event in yaml.parse(text, kind):
            if isinstance(event, yaml.AliasEvent):
                mark: Any = event.start_mark
                place = f"{path}:{mark.line + 1}"
                raise DatasetError(f"{place}: a YAML alias (*name)", "Write the text out where it is used.")
        root = loader.get_single_node()
        lists = [root]
        if isinstance(root, yaml.MappingNode):
            named = {key.value: value for key, value in root.value if isinstance(key, yaml.ScalarNode)}
            lists = [value for key, value in named.items() if key in _LISTS]
            if not lists:
                raise _no_lists(path, list(named))
        for entries in lists:
            if not isinstance(entries, yaml.SequenceNode):
                line = entries.start_mark.line + 1 if entries else 1
                raise DatasetError(f"{path}:{line}: is no list", "Start each of its entries with `- `.")
            for entry in entries.value:
                yield entry.start_mark.line + 1, loader.construct_object(entry, deep=True)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "a character that YAML does not allow"
        raise DatasetError(f"{path}{line}: is not YAML: {problem}", "Quote the text there.") from error
    except (RecursionError, ValueError) as error:
        # Not a YAMLError: 2001-99-99 is read as a date, and is none.
        raise DatasetError(f"{path}: is not YAML that can be read: {error}", "Quote its values.") from error
    finally:
        loader.dispose()


def _texts(entry: object, where: str) -> tuple[list[str], str]:
    """What an entry asks, as texts, and what it asks without its choices."""
    if isinstance(entry, str):
        return [_text(entry, "the line", where)], ""
    if not isinstance(entry, Mapping):
        raise _odd(where, "is no question, but " + type(entry).__name__)
    if isinstance(entry.get("doc"), Mapping):
        return _texts(entry["doc"], where)
    for key in ("turns", "messages", "conversations"):
        if entry.get(key):
            return _turns(entry[key], key, where), ""
    key = next((key for key in _ASKED if entry.get(key)), "")
    if not key:
        keys = ", ".join(f"`{key}`" for key in list(entry)[:8]) or "none"
        raise _odd(where, f"no question is in it; its keys are {keys}")
    if isinstance(entry[key], list):
        return _turns(entry[key], key, where), ""
    asked = _text(entry[key], key, where)
    before = [_text(entry[name], name, where) for name in _BEFORE if entry.get(name)]
    after = [_text(entry["input"], "input", where)] if key == "instruction" and entry.get("input") else []
    choices = [text for name in _CHOICES if entry.get(name) for text in _choices(entry[name], name, where)]
    whole = "\n".join((*before, asked, *after, *choices))
    return [whole], asked if choices and not before else ""


def _turns(turns: object, key: str, where: str) -> list[str]:
    """The user's turns of a conversation."""
    found = []
    for turn in turns if isinstance(turns, list) else [turns]:
        if not isinstance(turn, Mapping):
            found.append(_text(turn, key, where))
        elif turn.get("role", turn.get("from")) in {"user", "human"}:
            content = turn.get("content", turn.get("value"))
            parts = content if isinstance(content, list) else [content]
            said = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
            # A picture has no text.
            found.append("\n".join(_text(part, key, where) for part in said if part is not None))
    if not any(text.strip() for text in found):
        raise _odd(where, f"`{key}` has no turn of a user's")
    return found


def _choices(choices: object, key: str, where: str) -> list[str]:
    """`[…]`, `{text: […]}` or `{A: …, B: …}`; Feldspar's own question files have only wrong ones."""
    if isinstance(choices, Mapping):
        choices = choices.get("text", list(choices.values()))
    if not isinstance(choices, list):
        raise _odd(where, f"`{key}` is no list")
    return [str(choice) for choice in choices if isinstance(choice, str | int | float)]


def _text(value: object, key: str, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _odd(where, f"`{key}` is no text" if not isinstance(value, str) else f"`{key}` is empty")
    return value


def _odd(where: str, what: str) -> DatasetError:
    known = ", ".join(f"`{key}`" for key in ("turns", "messages", *_ASKED))
    return DatasetError(f"{where}: {what}", f"What is asked should be a text under one of {known}.")


def _why(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else getattr(error, "msg", str(error))


def _no_json(path: Path, line: int, why: str) -> DatasetError:
    return DatasetError(f"{path}:{line}: is not JSON: {why}", "Mend the line, or take the file out.")


def _no_lists(path: Path, keys: Sequence[str]) -> DatasetError:
    named = ", ".join(f"`{key}`" for key in keys[:8]) or "none"
    known = ", ".join(f"`{key}`" for key in _LISTS)
    return DatasetError(
        f"{path}:1: is no list; its keys are {named}", f"Put the questions under one of {known}."
    )
