"""Questions: read from a file, and what each offers and expects.

A question file is YAML, either a list of questions or a mapping of two lists::

    questions:
      - question: How tall is the hill?
        answer: It is 412 metres tall.        # the reference
        options: [It is 700 metres tall.]     # wrong answers; none: the group's other references
        context: ""                           # stands before the question in the prompt
        facts: ["412"]                        # what a free answer must hold; none: found in the answer
    texts:                                    # plain text, for retention only
      - The sun warms the sea.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from feldspar.errors import DatasetError
from feldspar.facts import holds, key_facts
from feldspar.types import Question

_KEYS = ("question", "answer", "options", "context", "facts")
_TOP_KEYS = ("questions", "texts")
_STRING = "tag:yaml.org,2002:str"
MOST_OPTIONS = 10
"""A large group offers this many of its references, so that the work grows with the questions alone."""


def prompt_text(question: Question) -> str:
    """The user's turn: the context, if there is one, before the question."""
    context = question.context.strip()
    return f"{context}\n\n{question.question}" if context else question.question


def normalised(text: str) -> str:
    """`text` without case and with single spaces: what decides whether two texts are the same."""
    return " ".join(text.casefold().split())


def choices(questions: Sequence[Question]) -> tuple[tuple[str, ...], ...]:
    """The answers that each question offers, its reference first, without repeats (§4).

    Args:
        questions: All that are asked together; a question without options takes the other
            references of its group, those after it first, ten in all.

    Returns:
        One tuple a question; of length 1 where there is nothing to choose among.
    """
    groups: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        groups.setdefault(question.group, []).append(place)
    offered = []
    for place, question in enumerate(questions):
        others: Sequence[str] = question.options
        if not others:
            members = groups[question.group]
            at = members.index(place)
            others = [questions[other].answer for other in members[at + 1 :] + members[:at]]
        unique = {normalised(text): text for text in reversed((question.answer, *others))}
        unique.pop(normalised(question.answer))
        rest = list(reversed(unique.values()))
        offered.append((question.answer, *(rest if question.options else rest[: MOST_OPTIONS - 1])))
    return tuple(offered)


def expected_facts(question: Question) -> tuple[str, ...]:
    """The key facts that a free answer must hold; empty where there is nothing to look for.

    The question's own list, or the numbers and names of its reference, less those that the
    question itself gives away: repeating the question recalls nothing.
    """
    if question.facts:
        return question.facts
    return tuple(fact for fact in key_facts(question.answer) if not holds(question.question, fact))


def read_questions(path: Path) -> tuple[Question, ...]:
    """Read a question file.

    Args:
        path: The YAML file; its stem is the questions' group and the first part of their ids.

    Returns:
        The questions in the file's order, each with its reference first among its options.

    Raises:
        DatasetError: The file cannot be read, or holds what it should not: file, line, mend.
    """
    entries, _ = _parts(path)
    return tuple(_question(path, node, number) for number, node in enumerate(entries, start=1))


def read_texts(path: Path) -> tuple[str, ...]:
    """The plain texts of a question file, for retention; raises what `read_questions` raises."""
    _, entries = _parts(path)
    return tuple(_string(path, node, "a text") for node in entries)


def _question(path: Path, node: yaml.Node, number: int) -> Question:
    values = _mapping(path, node, _KEYS)
    for key in ("question", "answer"):
        if key not in values:
            raise _error(path, node, f"question {number} has no `{key}`", f"Add `{key}:` to it.")
    question = _string(path, values["question"], "`question`")
    answer = _string(path, values["answer"], "`answer`")
    options: tuple[str, ...] = ()
    if "options" in values:
        wrong = _strings(path, values["options"], "`options`")
        seen = {normalised(answer)}
        for text in wrong:
            if normalised(text) in seen:
                what = f"the option {text!r} is there twice, or is the answer"
                raise _error(path, values["options"], what, "Drop it.")
            seen.add(normalised(text))
        options = (answer, *wrong)
    return Question(
        id=f"{path.stem}#{number}",
        group=path.stem,
        question=question,
        answer=answer,
        options=options,
        context=_string(path, values["context"], "`context`", empty=True) if "context" in values else "",
        facts=_strings(path, values["facts"], "`facts`") if "facts" in values else (),
    )


def _parts(path: Path) -> tuple[list[yaml.Node], list[yaml.Node]]:
    root = _compose(path)
    if isinstance(root, yaml.SequenceNode):
        return root.value, []
    values = _mapping(path, root, _TOP_KEYS)
    lists = []
    for key in _TOP_KEYS:
        node = values.get(key)
        if node is not None and not isinstance(node, yaml.SequenceNode):
            raise _error(path, node, f"`{key}` is not a list", "Start each of its entries with `- `.")
        lists.append(node.value if node is not None else [])
    if not any(lists):
        raise _error(path, root, "there are no questions and no texts", "Add one, or leave the file out.")
    return lists[0], lists[1]


def _compose(path: Path) -> yaml.Node:
    mend = "It should be a list of questions, or `questions:` and `texts:`."
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}", "Name a YAML file.") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is not UTF-8 text", "Save it as UTF-8.") from error
    except RecursionError as error:
        raise DatasetError(f"{path}: is nested too deep", mend) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "a character that YAML does not allow"
        raise DatasetError(f"{path}{line}: is not YAML: {problem}", "Quote the text there.") from error
    if root is None or (isinstance(root, yaml.SequenceNode) and not root.value):
        raise DatasetError(f"{path}: is empty", mend)
    return root


def _mapping(path: Path, node: yaml.Node, allowed: tuple[str, ...]) -> dict[str, yaml.Node]:
    known = ", ".join(f"`{key}`" for key in allowed)
    if not isinstance(node, yaml.MappingNode):
        raise _error(path, node, "a mapping is expected here", f"Its keys are {known}.")
    values: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        if name not in allowed:
            raise _error(path, key, f"`{name}` is not a known key", f"The keys are {known}.")
        if name in values:
            raise _error(path, key, f"`{name}` is there twice", "Keep one of them.")
        values[name] = value
    return values


def _strings(path: Path, node: yaml.Node, name: str) -> tuple[str, ...]:
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise _error(path, node, f"{name} is not a list, or is empty", f"Write a list, or drop {name}.")
    return tuple(_string(path, entry, f"an entry of {name}") for entry in node.value)


def _string(path: Path, node: yaml.Node, name: str, *, empty: bool = False) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag != _STRING:
        raise _error(path, node, f"{name} is not text", "Put it in quotes.")
    if not node.value.strip() and not empty:
        raise _error(path, node, f"{name} is empty", "Write it, or drop the entry.")
    return str(node.value).strip()


def _error(path: Path, node: yaml.Node, what: str, mend: str) -> DatasetError:
    return DatasetError(f"{path}:{node.start_mark.line + 1}: {what}", mend)
