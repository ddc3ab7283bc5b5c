"""The seeds of a leaf: questions and answers that a person wrote (§3.1), and how many a version asks for."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import yaml

from feldspar.taxonomy.comments import judge_comment
from feldspar.taxonomy.fields import Entry, items, mapping, plain, string
from feldspar.taxonomy.problems import Findings, Severity, line_and_column
from feldspar.taxonomy.shapes import FEWEST_PAIRS, FEWEST_SEEDS, FIRST_OURS, KNOWLEDGE_SEED, PAIR, SKILL_SEED
from feldspar.text import counted
from feldspar.types import Seed


@dataclass(frozen=True, slots=True)
class SeedAt:
    """Where a seed stands in its file."""

    question: tuple[int, int]
    """Line and column of its `question:`, from 1."""
    context: tuple[int, int]
    """Of its `context:`; of the question where it has none."""


Seeds = tuple[tuple[Seed, SeedAt], ...]


def blank_is(version: int) -> Severity:
    """What a text of nothing but blanks is: InstructLab's schemas let it be."""
    return "error" if version >= FIRST_OURS else "warning"


def read_seeds(entry: Entry, knowledge: bool, version: int, found: Findings) -> Seeds:
    """All seeds below `seed_examples`, flattened: a knowledge leaf gives one for each question."""
    nodes = items(entry.value, "`seed_examples`", found)
    if nodes is None:
        return ()
    groups: list[Seeds] = []
    seen: dict[Hashable, int] = {}
    repeated = 0
    for number, node in enumerate(nodes):
        name = f"seed_examples[{number}]"
        group = (_knowledge_seed if knowledge else _skill_seed)(node, name, version, found)
        if version > 1 and _repeats(node, seen, name, found):
            repeated += 1
        else:
            groups.append(group)
    fewest = FEWEST_SEEDS[version]
    unique = len(nodes) - repeated
    if unique < fewest:
        told = f"{counted(unique, 'seed example')}; version {version} asks for {fewest}"
        found.error(entry.value, "too-few-seeds", told, _mend_few(version, unique, fewest))
    seeds = tuple(seed for group in groups for seed in group)
    if not seeds and not found.errors:
        told = "every seed example is blank: no leaf comes of it"
        found.warn(entry.value, "blank", told, "write one, or remove the file")
    return seeds


def _mend_few(version: int, unique: int, fewest: int) -> str:
    more = f"add {fewest - unique} more"
    return f"{more}, or write `version: 4`, which asks for one" if version in (2, 3) and unique else more


def _repeats(node: yaml.Node, seen: dict[Hashable, int], name: str, found: Findings) -> bool:
    """Whether an item stood in its list before, letter for letter."""
    if not isinstance(node, yaml.MappingNode):
        return False
    key = plain(node)
    if key in seen:
        told = f"{name} says the same as the one in line {seen[key]}"
        found.error(node, "repeated-seed", told, "write another one")
        return True
    seen[key] = int(node.start_mark.line) + 1
    return False


def _skill_seed(node: yaml.Node, name: str, version: int, found: Findings) -> Seeds:
    entries = mapping(node, name, SKILL_SEED, found)
    if entries is None:
        return ()
    context = _context(entries, name, version, found, needed=False)
    return _pair(entries, context, name, version, found)


def _knowledge_seed(node: yaml.Node, name: str, version: int, found: Findings) -> Seeds:
    entries = mapping(node, name, KNOWLEDGE_SEED, found)
    if entries is None:
        return ()
    context = _context(entries, name, version, found, needed=True)
    if "questions_and_answers" not in entries:
        return ()
    entry = entries["questions_and_answers"]
    name = f"{name}.questions_and_answers"
    nodes = items(entry.value, name, found)
    if nodes is None:
        return ()
    pairs: list[tuple[Seed, SeedAt]] = []
    seen: dict[Hashable, int] = {}
    repeated = 0
    for number, item in enumerate(nodes):
        place = f"{name}[{number}]"
        asked = mapping(item, place, PAIR, found)
        pair = _pair(asked, context, place, version, found) if asked is not None else ()
        if _repeats(item, seen, place, found):
            repeated += 1
        else:
            pairs.extend(pair)
    fewest = FEWEST_PAIRS[version]
    unique = len(nodes) - repeated
    if unique < fewest:
        told = f"{counted(unique, 'question')} for this context; version {version} asks for {fewest}"
        found.error(entry.value, "too-few-questions", told, f"add {fewest - unique} more")
    return tuple(pairs)


def _context(
    entries: Mapping[str, Entry], name: str, version: int, found: Findings, needed: bool
) -> tuple[str, tuple[int, int] | None]:
    """A seed's context, "" where it has none, and the place of its key."""
    if "context" not in entries:
        return "", None
    entry = entries["context"]
    text = string(entry.value, f"{name}.context", found, blank_is(version), needed) or ""
    judge_comment(entry.value, f"{name}.context", found)
    # Block scalars end in a line break that nobody means; a context's indentation can be meant.
    return text.rstrip().lstrip("\r\n"), line_and_column(entry.key)


def _pair(
    entries: Mapping[str, Entry],
    context: tuple[str, tuple[int, int] | None],
    name: str,
    version: int,
    found: Findings,
) -> Seeds:
    """A question with its answer; nothing where one of them is missing, wrong or blank."""
    blank = blank_is(version)
    there = [key for key in ("question", "answer") if key in entries]
    texts = {key: string(entries[key].value, f"{name}.{key}", found, blank) for key in there}
    for key in there:
        judge_comment(entries[key].value, f"{name}.{key}", found)
    question, answer = (texts.get("question") or "").strip(), (texts.get("answer") or "").strip()
    if not question or not answer:
        return ()
    at = line_and_column(entries["question"].key)
    return ((Seed(question, answer, context[0], at[0]), SeedAt(at, context[1] or at)),)
