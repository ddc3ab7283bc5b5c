"""What is likely to be a mistake in a leaf, though no rule forbids it: warnings, whatever `--strict` says.

Each is worth reading or it is not told: a line that cries wolf teaches people to pass over the rest.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence

from feldspar.taxonomy.letters import UNSEEN
from feldspar.taxonomy.problems import Findings, Place
from feldspar.taxonomy.seeds import SeedAt
from feldspar.text import printable, sentences, words
from feldspar.types import Seed

FEWEST_WORDS = 8
"""Words of a seed, below which a word of difference is a difference."""
MOST_SEEDS = 100
"""Seeds before it that a seed is compared with."""
SHORT_ANSWER = 3
"""Words of an answer, up to which it is a class, and questions that differ in a word are two tasks."""

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
_RAISED = re.compile(r"</?su[bp]>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_UNSEEN = re.compile(f"[{UNSEEN}]|&shy;")
_REFERENCE = re.compile(r"(?<=\])\[[^\[\]\n]{1,80}\]")
_NOTE = re.compile(
    r"\\?\[(?:\^[^\[\]\s]{1,40}|\d{1,4}(?: ?[,–-] ?\d{1,4}){0,9}|[a-z]|note \d{1,3}|citation needed)\\?\]"
)
_AFTER_WORD = r"(?:(?<=[^\W\d_]{3})|(?<=[.,;:!?)\"”’]))"
_RAISED_NOTE = re.compile(
    _AFTER_WORD + r"<sup\b[^<>]{0,200}>(?:<a\b[^<>]{0,500}>)?\[?[\w*†‡]{1,4}\]?(?:</a>)?</sup>", re.IGNORECASE
)
_SUPERSCRIPT = re.compile(_AFTER_WORD + "[¹²³⁰⁴-⁹]{1,4}")
_HYPHEN = re.compile(r"(?<=\w)[-‐‑](?:[ \t]*\n[ \t]*)?(?=\w)")
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
    letters: dict[str, int] = {}
    told = [
        (
            _coded(seed.question, letters),
            _coded(seed.answer, letters),
            "" if knowledge else fold(seed.context),
        )
        for seed in seeds
    ]
    digits = {chr(code) for word, code in letters.items() if any(letter.isdigit() for letter in word)}
    for number, (question, answer, context) in enumerate(told):
        for other in range(max(0, number - MOST_SEEDS), number):
            asked, answered, around = told[other]
            same = (question == asked) + (answer == answered)
            if not same or context != around:
                continue
            if same == 1:
                one, two, both = (
                    (answer, answered, len(question)) if question == asked else (question, asked, len(answer))
                )
                if question != asked and len(answer) <= SHORT_ANSWER:
                    continue
                if not _alike(one, two, both, digits):
                    continue
            but = _but(seeds[number], seeds[other], same == 2)
            message = f"this seed repeats the one in line {places[other].question[0]}{but}"
            found.warn(places[number].question, "near-seed", message, "write one that shows something else")
            break


def _coded(text: str, letters: dict[str, int]) -> str:
    """A text with a letter for each word: two of them are compared at the speed of strings."""
    return "".join(chr(letters.setdefault(word, len(letters) + 1)) for word in words(text))


def _but(seed: Seed, other: Seed, same_words: bool) -> str:
    if (seed.question, seed.answer) == (other.question, other.answer):
        return ""
    return " but for its punctuation, case or layout" if same_words else " but for a word"


def _alike(one: str, other: str, both: int, digits: Collection[str]) -> bool:
    """Whether two coded texts differ in one word alone, changed, added or taken out.

    Few words, those that `both` seeds have besides included, and two numbers make a difference: `3 + 4`
    and `3 + 5` are two tasks.
    """
    if len(one) > len(other):
        one, other = other, one
    longer = len(other) - len(one)
    if longer > 1 or len(one) + both < FEWEST_WORDS:
        return False
    at = _first_difference(one, other)
    if longer:
        return one[at:] == other[at + 1 :]
    return one[at + 1 :] == other[at + 1 :] and one[at] not in digits and other[at] not in digits


def _first_difference(one: str, other: str) -> int:
    """How many letters two texts start with alike; `one` is not the longer one."""
    least, most = 0, len(one)
    while least < most:
        middle = (least + most + 1) // 2
        if other.startswith(one[:middle]):
            least = middle
        else:
            most = middle - 1
    return least


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
    loose: list[str] = []
    seen = set()
    for seed, place in zip(seeds, places, strict=True):
        if not seed.context or place.context in seen:
            continue
        seen.add(place.context)
        parts = list(_parts(seed.context))
        strays = [[part for part in parts if _words_of(part) not in text] for text in held]
        if all(strays):
            loose = loose or [_words_of(_bare(text)) for text in texts]
            strays = [
                [part for part in stray if _words_of(_bare(part)) not in text]
                for stray, text in zip(strays, loose, strict=True)
            ]
        if all(strays):
            which = "the document does not hold" if len(texts) == 1 else "none of the documents holds"
            part = " ".join(min(strays, key=len)[0].split())
            shows = part if len(part) <= _MOST_SHOWN else part[: _MOST_SHOWN - 1] + "…"
            mend = "copy the passage from the document as it stands there"
            found.warn(place.context, "stray-context", f"{which} “{printable(shows)}” of this context", mend)


def _parts(context: str) -> Iterator[str]:
    """The stretches of a context that have to stand in a document as they are."""
    for start, end in sentences(context):
        yield from (part for part in _LEFT_OUT.split(context[start:end]) if words(part))


def _words_of(text: str) -> str:
    """The words of a text in one line, with a blank on either side of each; links and tags left out."""
    text = _UNSEEN.sub("", text)
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity.group()), text)
    text = _LINK.sub("]", text) if "](" in text else text
    if "<" in text:
        text = _MARKUP.sub(" ", _RAISED.sub("", text))
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    return f" {' '.join(words(text.replace('_', ' ')))} "


def _bare(text: str) -> str:
    """A text without its footnote marks and the hyphens within words, which a copy of it may lack."""
    text = _LINK.sub("]", text) if "](" in text else text
    for mark in (_REFERENCE, _NOTE, _RAISED_NOTE, _SUPERSCRIPT):
        text = mark.sub("", text)
    return _HYPHEN.sub("", _UNSEEN.sub("", text))


def fold(text: str) -> str:
    """A text without its case and layout."""
    return " ".join(text.casefold().split())
