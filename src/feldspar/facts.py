"""Key facts of a text: its numbers, its names and its content words.

Generation grounds answers with them (a fact that the passage does not hold is an invention), and
evaluation counts how many of a reference's facts a free answer recalls. Neither needs a judge.
The word lists are English; in other languages the numbers and most names are still found.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;\n]|[\"“(*•-])\s*$")

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBER_WORDS = {word: value for value, word in enumerate(_UNITS)} | {
    word: 20 + 10 * place for place, word in enumerate(_TENS)
}

STOP_WORDS = frozenset(
    (
        "a about above after again all also am an and any are as at be because been before being "
        "below between both but by called can could did do does doing down during each few for from "
        "further had has have having he her here hers him his how i if in into is it its just made "
        "make many me more most much my no nor not now of off on once only or other our out over own "
        "same she should so some such than that the their them then there these they this those "
        "through to too under until up used very was we were what when where which while who whom "
        "whose why will with would you your yes"
    ).split()
)


def tokens(text: str) -> list[str]:
    """Words and numbers of `text` in a form that compares: folded case, digits for number words.

    `"Forty-two boats, 1,200 nets"` gives `["42", "boat", "1200", "net"]`.
    """
    return [token for token, _ in _read(text)]


def _read(text: str) -> Iterator[tuple[str, str]]:
    """Each token, and the word as it stands in the text; "forty-two" is one token of one word."""
    text = unicodedata.normalize("NFKC", text)
    tens: re.Match[str] | None = None
    for match in _TOKEN.finditer(text):
        value = _NUMBER_WORDS.get(_fold(match.group()))
        if tens is not None:
            ten = _NUMBER_WORDS[_fold(tens.group())]
            # Side by side alone: "of the twenty. Five left" and "the 20 five-year plans" hold two numbers.
            if value is not None and 0 < value < 10 and _JOINT.fullmatch(text, tens.end(), match.start()):
                yield str(ten + value), text[tens.start() : match.end()]
                tens = None
                continue
            yield str(ten), tens.group()
            tens = None
        if value is None:
            yield _stem(_fold(match.group())), match.group()
        elif value >= 20:
            tens = match
        else:
            yield str(value), match.group()
    if tens is not None:
        yield str(_NUMBER_WORDS[_fold(tens.group())]), tens.group()


_JOINT = re.compile(r"\s*[-\u2010-\u2012]?\s*")


def _fold(word: str) -> str:
    word = word.casefold().replace("’", "'").removesuffix("'s")
    return word.replace(",", "") if word[0].isdigit() else word


def _stem(word: str) -> str:
    """Cut the commonest English endings, so that "boats" meets "boat" and "lit" stays itself."""
    for ending, least in (("ies", 5), ("ing", 6), ("ed", 5), ("es", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            stem = word.removesuffix(ending)
            return stem + "y" if ending == "ies" else stem.removesuffix("e")
    return word.removesuffix("e") if len(word) > 3 else word


def numbers(text: str) -> tuple[str, ...]:
    """The numbers of `text`, number words included, each once, in order."""
    return tuple(dict.fromkeys(word for word in tokens(text) if word[0].isdigit()))


def names(text: str) -> tuple[str, ...]:
    """Capitalised words of `text` that no sentence start explains, each once, in order.

    A capitalised word that opens a sentence counts only where a capitalised word follows it.
    """
    matches = [match for match in _TOKEN.finditer(text) if not match.group()[0].isdigit()]
    found: dict[str, None] = {}
    for place, match in enumerate(matches):
        word = match.group()
        if not word[0].isupper() or word.casefold() in STOP_WORDS:
            continue
        if _SENTENCE_START.search(text[max(0, match.start() - 3) : match.start()]):
            follower = matches[place + 1] if place + 1 < len(matches) else None
            adjacent = follower is not None and text[match.end() : follower.start()] == " "
            if not (adjacent and follower is not None and follower.group()[0].isupper()):
                continue
        found[re.sub(r"['’]s$", "", word)] = None
    return tuple(found)


def key_facts(text: str) -> tuple[str, ...]:
    """The numbers and names of `text`: what an answer must get right."""
    return names(text) + numbers(text)


def holds(text: str, fact: str) -> bool:
    """Whether `fact` occurs in `text` as whole words, whatever the case, plural or way to write a number."""
    wanted, there = tokens(fact), tokens(text)
    if not wanted:
        return False
    return any(there[at : at + len(wanted)] == wanted for at in range(len(there) - len(wanted) + 1))


def content_words(text: str) -> frozenset[str]:
    """The stems of the words of `text` that carry meaning; numbers included."""
    return frozenset(token for token, word in _read(text) if word.casefold() not in STOP_WORDS)


def coverage(answer: str, passage: str) -> float:
    """Share of the content words of `answer` that occur in `passage`, 0 to 1; 1 where it has none."""
    wanted = content_words(answer)
    return len(wanted & content_words(passage)) / len(wanted) if wanted else 1.0


def invented(answer: str, passage: str) -> tuple[str, ...]:
    """The key facts of `answer` that `passage` does not hold."""
    return tuple(fact for fact in key_facts(answer) if not holds(passage, fact))
