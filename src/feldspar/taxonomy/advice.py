"""What is likely to be a mistake in a leaf, though no rule forbids it: warnings, whatever `--strict` says.

Each is worth reading or it is not told: a line that cries wolf teaches people to pass over the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from feldspar.taxonomy.problems import Findings, Place
from feldspar.taxonomy.seeds import SeedAt
from feldspar.text import printable, sentences, words
from feldspar.types import Seed

FEWEST_WORDS = 8
"""Words of a seed, below which a word of difference is a difference."""
MOST_SEEDS = 100
"""Seeds before it that a seed is compared with."""

_PLACEHOLDERS = frozenset(
    (
        "todo|to do|tbd|fixme|fix me|xxx|n a|none|test|example|string|placeholder|change me|fill this in|"
        "task|a task|the task|task description|a task description|the task description|"
        "your task description|task description here|your task description here|"
        "insert task description here|describe the task|describe your task|describe the task here|"
        "skill|skill description|describe the skill|describe your skill|a description of the skill|"
        "description|a description|description here|outline|document outline|a document outline|"
        "outline of the document|an outline of the document|a brief summary of the document|"
        "summary of the document"
    ).split("|")
)
_BRACKETED = re.compile(r"<[^<>]*>|\[[^\[\]]*\]|\{[^{}]*\}|\.\.\.|…")
_LINK = re.compile(r"\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\)")
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>")
_LEFT_OUT = re.compile(r"…|\.\.\.")
_MOST_SHOWN = 60
_END = 80


def judge_task(task: str, at: Place, folder: str, key: str, found: Findings) -> None:
    """Warn where a task description says nothing.

    Args:
        task: The description, or a knowledge leaf's outline.
        at: Its place.
        folder: The name of the leaf's folder.
        key: What it is called in the file.
        found: Where the problem goes.
    """
    said = words(task.replace("_", " "))
    if not said:
        told = "says nothing"
    elif len(said) == 1:
        told = f"is one word, {said[0][:40]!r}"
    elif " ".join(said) in _PLACEHOLDERS or said[:2] == ["lorem", "ipsum"] or _BRACKETED.fullmatch(task):
        told = "stands in for one that was not written"
    elif said == words(folder.replace("_", " ")):
        told = "says no more than the folder's name"
    else:
        return
    mend = "say in a sentence what is to be done, or known: the teacher reads it in every prompt"
    found.warn(at, "vague-task", f"`{key}` {told}", mend)


def judge_repeats(seeds: Sequence[Seed], places: Sequence[SeedAt], knowledge: bool, found: Findings) -> None:
    """Warn of seeds that repeat another of their leaf but for a word, the case or the punctuation.

    Args:
        seeds: Of one leaf.
        places: Of each seed.
        knowledge: Whether contexts are passages of its documents, which a question can be asked of twice.
        found: Where the problems go.
    """
    # Of seeds that differ in a word, the questions or the answers are the same: most leaves end here.
    starts = {tuple(words(seed.question[:_END])[:3]) for seed in seeds}
    ends = {tuple(words(seed.answer[-_END:])[-3:]) for seed in seeds}
    if len(starts) == len(ends) == len(seeds):
        return
    told = [
        (words(seed.question), words(seed.answer), "" if knowledge else fold(seed.context)) for seed in seeds
    ]
    for number, (question, answer, context) in enumerate(told):
        for other in range(max(0, number - MOST_SEEDS), number):
            before = told[other]
            if context != before[2] or not _alike(question + answer, before[0] + before[1]):
                continue
            same = (question == before[0]) + (answer == before[1])
            if same:
                but = _but(seeds[number], seeds[other], same == 2)
                message = f"this seed repeats the one in line {places[other].question[0]}{but}"
                found.warn(
                    places[number].question, "near-seed", message, "write one that shows something else"
                )
                break


def _but(seed: Seed, other: Seed, same_words: bool) -> str:
    if (seed.question, seed.answer) == (other.question, other.answer):
        return ""
    return " but for its punctuation, case or layout" if same_words else " but for a word"


def _alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two lists of words differ in one word at most, changed, added or taken out.

    Few words, and two numbers, make a difference: `3 + 4` and `3 + 5` are two tasks.
    """
    if len(one) > len(other):
        one, other = other, one
    longer = len(other) - len(one)
    if longer > 1:
        return False
    if one == other:
        return True
    if len(one) < FEWEST_WORDS or (one[0] != other[0] and one[-1] != other[-1]):
        return False
    at = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))
    if longer:
        return one[at:] == other[at + 1 :]
    digits = any(letter.isdigit() for letter in one[at] + other[at])
    return one[at + 1 :] == other[at + 1 :] and not digits


def judge_contexts(
    seeds: Sequence[Seed], places: Sequence[SeedAt], texts: Sequence[str], found: Findings
) -> None:
    """Warn of contexts that none of a knowledge leaf's documents holds.

    Words are compared, whatever their case, layout and markup, sentence by sentence: a context may leave
    something out between two sentences, or where it says so with an ellipsis.

    Args:
        seeds: Of the leaf.
        places: Of each seed.
        texts: The leaf's documents, all of them; none: nothing is said.
        found: Where the problems go.
    """
    if not texts:
        return
    held = [_words_of(text) for text in texts]
    seen = set()
    for seed, place in zip(seeds, places, strict=True):
        if not seed.context or place.context in seen:
            continue
        seen.add(place.context)
        parts = [(part, _words_of(part)) for part in _parts(seed.context)]
        strays = [[part for part, said in parts if said not in text] for text in held]
        if all(strays):
            which = "the document does not hold" if len(texts) == 1 else "none of the documents holds"
            part = " ".join(min(strays, key=len)[0].split())
            shows = part if len(part) <= _MOST_SHOWN else part[: _MOST_SHOWN - 1] + "…"
            mend = "copy the passage from the document as it stands there"
            found.warn(place.context, "stray-context", f"{which} {printable(shows)!r} of this context", mend)


def _parts(context: str) -> Iterator[str]:
    """The stretches of a context that have to stand in a document as they are."""
    for start, end in sentences(context):
        yield from (part for part in _LEFT_OUT.split(context[start:end]) if words(part))


def _words_of(text: str) -> str:
    """The words of a text in one line, with a blank on either side of each; links and tags left out."""
    text = _LINK.sub("]", text) if "](" in text else text
    text = _MARKUP.sub(" ", text) if "<" in text else text
    return f" {' '.join(words(text.replace('_', ' ')))} "


def fold(text: str) -> str:
    """A text without its case and layout."""
    return " ".join(text.casefold().split())
