"""The seeds of a leaf: questions and answers that a person wrote (§3.1), and how many a version asks for."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import yaml

from feldspar.taxonomy.fields import Entry, Shape, items, mapping, string
from feldspar.taxonomy.problems import Findings
from feldspar.types import Seed

FEWEST_SEEDS = {1: 1, 2: 5, 3: 5, 4: 1}
FEWEST_PAIRS = {3: 3, 4: 1}
"""Questions for each context of a knowledge leaf."""


def read_seeds(entry: Entry, knowledge: bool, version: int, found: Findings) -> tuple[Seed, ...]:
    """All seeds below `seed_examples`, flattened: a knowledge leaf gives one for each question."""
    nodes = items(entry.value, "`seed_examples`", found)
    if nodes is None:
        return ()
    groups: list[tuple[Seed, ...]] = []
    seen: dict[Hashable, int] = {}
    for number, node in enumerate(nodes):
        name = f"seed_examples[{number}]"
        group = _knowledge_seed(node, name, version, found) if knowledge else _skill_seed(node, name, found)
        if version == 1 or not _repeats(group, seen, node, name, found):
            groups.append(group)
    fewest = FEWEST_SEEDS[version]
    unique = len(groups)
    if unique < fewest:
        told = f"{_count(unique, 'seed example')}; version {version} asks for {fewest}"
        found.error(entry.key, "too-few-seeds", told, _mend_few(version, unique, fewest))
    return tuple(seed for group in groups for seed in group)


def _mend_few(version: int, unique: int, fewest: int) -> str:
    more = f"add {fewest - unique} more"
    return f"{more}, or write `version: 4`, which asks for one" if version in (2, 3) and unique else more


def _repeats(
    group: tuple[Seed, ...], seen: dict[Hashable, int], node: yaml.Node, name: str, found: Findings
) -> bool:
    """Whether a seed stood in the file before, word for word; an unreadable one never did."""
    if not group:
        return False
    key = tuple((seed.question, seed.answer, seed.context) for seed in group)
    if key in seen:
        told = f"{name} says the same as the one in line {seen[key]}"
        found.error(node, "repeated-seed", told, "write another one")
        return True
    seen[key] = int(node.start_mark.line) + 1
    return False


def _skill_seed(node: yaml.Node, name: str, found: Findings) -> tuple[Seed, ...]:
    entries = mapping(node, name, Shape(("question", "answer"), ("context",)), found)
    if entries is None:
        return ()
    context = string(entries["context"].value, f"{name}.context", found) if "context" in entries else ""
    return _pair(entries, name, context or "", found)


def _knowledge_seed(node: yaml.Node, name: str, version: int, found: Findings) -> tuple[Seed, ...]:
    belongs = "it stands in a list below `questions_and_answers`"
    hints = tuple((key, belongs) for key in ("question", "answer"))
    entries = mapping(node, name, Shape(("context", "questions_and_answers"), hints=hints), found)
    if entries is None:
        return ()
    context = string(entries["context"].value, f"{name}.context", found) if "context" in entries else ""
    if "questions_and_answers" not in entries:
        return ()
    entry = entries["questions_and_answers"]
    name = f"{name}.questions_and_answers"
    nodes = items(entry.value, name, found)
    if nodes is None:
        return ()
    pairs: list[Seed] = []
    seen: dict[Hashable, int] = {}
    repeated = 0
    for number, item in enumerate(nodes):
        place = f"{name}[{number}]"
        # InstructLab lets further keys be in a pair, and only there; they take part in telling pairs apart.
        asked = mapping(item, place, Shape(("question", "answer"), open=True), found)
        pair = _pair(asked, place, context or "", found) if asked is not None else ()
        plain = asked is not None and set(asked) <= {"question", "answer"}
        if plain and _repeats(pair, seen, item, place, found):
            repeated += 1
        else:
            pairs.extend(pair)
    fewest = FEWEST_PAIRS[version]
    unique = len(nodes) - repeated
    if unique < fewest:
        told = f"{_count(unique, 'question')} for this context; version {version} asks for {fewest}"
        found.error(entry.key, "too-few-questions", told, f"add {fewest - unique} more")
    return tuple(pairs)


def _pair(entries: Mapping[str, Entry], name: str, context: str, found: Findings) -> tuple[Seed, ...]:
    there = [key for key in ("question", "answer") if key in entries]
    texts = {key: string(entries[key].value, f"{name}.{key}", found) for key in there}
    question, answer = texts.get("question"), texts.get("answer")
    if question is None or answer is None:
        return ()
    # Block scalars end in a line break that nobody means; a context's indentation can be meant.
    context = context.rstrip().lstrip("\r\n")
    return (Seed(question.strip(), answer.strip(), context, entries["question"].line),)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
