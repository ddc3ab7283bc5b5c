"""Key facts of a text: its numbers, its names and its content words.

Generation grounds answers with them (a fact that the passage does not hold is an invention), and
evaluation counts how many of a reference's facts a free answer recalls. Neither needs a judge.
What is known of a language's words is a `Lexicon`; without one it is English. A script without blanks
between words is read in pairs of characters, in any language.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# Thai, Lao, Burmese, Khmer, kana and Chinese characters.
_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e80-\u0ecf\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u1780-\u17d3"
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003fffd"
)
# A vowel sign of Hindi or Tamil is no letter to Python, and no end of a word to a reader.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8"
    "\u0900-\u0963\u0971-\u09e3\u09f0-\u0a65\u0a70-\u0ae5\u0b00-\u0b65\u0b70-\u0be5\u0c00-\u0c65\u0c70-\u0ce5"
    "\u0cf0-\u0d65\u0d70-\u0de5\u0df0-\u0dff\u135d-\u135f\u1dc0-\u1dff"
)
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*")
_BEYOND_LATIN = re.compile("[\u0300-\u1fff\u2e80-\U0010ffff]")
_VOWEL_MARKS = re.compile("[\u0591-\u05c7\u0640\u064b-\u065f\u0670]")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;\n]|[\"“„«(¿¡*•-])\s*$")

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBER_WORDS = {word: value for value, word in enumerate(_UNITS)} | {
    word: 20 + 10 * place for place, word in enumerate(_TENS)
}
_STEM_LETTERS = 5
"""Of a word in another language than English: what its endings leave alone, as a rule."""

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


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What is known of the words of a language; the default is English."""

    stop_words: frozenset[str] = STOP_WORDS
    """Words that carry no meaning, case folded."""
    names: bool = True
    """Whether a capital tells a name, and a name keeps its form: not so in German, nor in Polish."""
    number_words: tuple[str, ...] = ()
    """From nought up; empty where a word is something else, too. English has its own, up to 99."""
    english: bool = True


ENGLISH = Lexicon()


def tokens(text: str, lexicon: Lexicon = ENGLISH) -> list[str]:
    """Words and numbers of `text` in a form that compares: folded case, digits for number words.

    `"Forty-two boats, 1,200 nets"` gives `["42", "boat", "1200", "net"]`.
    """
    return [token for token, _ in read(text, lexicon)]


def spelled(text: str) -> Iterator[str]:
    """The words of `text` as they are spelled, case folded, without its numbers."""
    for match in _found(_VOWEL_MARKS.sub("", unicodedata.normalize("NFKC", text))):
        if not match.group()[0].isdigit():
            yield match.group().casefold().replace("’", "'")


# A passage is read for each number and name of each answer that it is held against.
@functools.lru_cache(maxsize=16)
def read(text: str, lexicon: Lexicon) -> tuple[tuple[str, str], ...]:
    """Each token, and the word as it is spelled; "forty-two" is one token of one word."""
    text = _VOWEL_MARKS.sub("", unicodedata.normalize("NFKC", text))
    return tuple(_english(text) if lexicon.english else _other(text, lexicon))


def _found(text: str) -> Iterator[re.Match[str]]:
    return (_beyond_latin() if _BEYOND_LATIN.search(text) else _TOKEN).finditer(text)


@functools.cache
def _beyond_latin() -> re.Pattern[str]:
    """`_TOKEN` for all scripts; made where it is needed, for that takes ten milliseconds."""
    word = rf"[^\W\d_{_UNSPACED}](?:[^\W\d_{_UNSPACED}]|[{_MARKS}])*"
    return re.compile(rf"\d+(?:[.,]\d+)*|(?P<unspaced>[{_UNSPACED}]+)|{word}(?:['’]{word})*")


def _english(text: str) -> Iterator[tuple[str, str]]:
    tens: re.Match[str] | None = None
    for match in _found(text):
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
            yield from _parts(match, _stem(_fold(match.group())), match.group())
        elif value >= 20:
            tens = match
        else:
            yield str(value), match.group()
    if tens is not None:
        yield str(_NUMBER_WORDS[_fold(tens.group())]), tens.group()


def _other(text: str, lexicon: Lexicon) -> Iterator[tuple[str, str]]:
    values = _values(lexicon.number_words)
    for match in _found(text):
        # Articles that are written with their noun: "l'île", "dell'isola", "الكتاب".
        word = _ELIDED.sub("", match.group().replace("’", "'"))
        folded = word.casefold()
        if word[0].isdigit():
            yield _number(word), word
        elif folded in values:
            yield values[folded], word
        else:
            yield from _parts(match, _cut(folded), word)


def _cut(word: str) -> str:
    """A word of another language than English without what endings change of it."""
    if "\uac00" <= word[0] <= "\ud7a3":
        return _PARTICLE.sub("", word)[:2]
    # Plurals from Portuguese to Dutch, and the genitives of names in the North.
    return (word.removesuffix("s") if len(word) > 3 else word)[:_STEM_LETTERS]


@functools.cache
def _values(number_words: tuple[str, ...]) -> Mapping[str, str]:
    return {word: str(value) for value, word in enumerate(number_words) if word}


def _parts(match: re.Match[str], stem: str, word: str) -> Iterator[tuple[str, str]]:
    """The word under its stem; of a script without blanks, its pairs of characters."""
    if match.lastgroup == "unspaced":
        yield from ((word[at : at + 2], word[at : at + 2]) for at in range(max(1, len(word) - 1)))
    else:
        yield stem, word


_ELIDED = re.compile(r"^(?:[^\W\d_]{1,5}'(?=\w\w)|ال(?=\w\w\w))")
_PARTICLE = re.compile("(?<=.)(?:에서|으로|[은는이가을를의에로와과도])$")
_JOINT = re.compile(r"\s*[-\u2010-\u2012]?\s*")
_THOUSANDS = re.compile(r"\d{1,3}(?:[.,]\d{3})+")


def _fold(word: str) -> str:
    if word[0].isdigit():
        return _digits(word).replace(",", "")
    return word.casefold().replace("’", "'").removesuffix("'s")


def _number(word: str) -> str:
    """A number in one spelling, whichever mark is for decimals: "1.200" is 1200, "4,5" is 4.5."""
    word = _digits(word)
    return re.sub("[.,]", "", word) if _THOUSANDS.fullmatch(word) else word.replace(",", ".")


def _digits(word: str) -> str:
    """The digits of any script as those of ASCII."""
    return word if word.isascii() else "".join(str(unicodedata.digit(mark, mark)) for mark in word)


def _stem(word: str) -> str:
    """Cut the commonest English endings, so that "boats" meets "boat" and "lit" stays itself."""
    for ending, least in (("ies", 5), ("ing", 6), ("ed", 5), ("es", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            stem = word.removesuffix(ending)
            return stem + "y" if ending == "ies" else stem.removesuffix("e")
    return word.removesuffix("e") if len(word) > 3 else word


def numbers(text: str, lexicon: Lexicon = ENGLISH) -> tuple[str, ...]:
    """The numbers of `text`, number words included, each once, in order."""
    return tuple(dict.fromkeys(word for word, _ in read(text, lexicon) if word[0].isdigit()))


def names(text: str, lexicon: Lexicon = ENGLISH) -> tuple[str, ...]:
    """Capitalised words of `text` that no sentence start explains, each once, in order.

    A capitalised word that opens a sentence counts only where a capitalised word follows it. Empty for a
    language whose names cannot be told by capitals.
    """
    if not lexicon.names:
        return ()
    text = unicodedata.normalize("NFKC", text)
    matches = [match for match in _found(text) if not match.group()[0].isdigit()]
    found: dict[str, None] = {}
    for place, match in enumerate(matches):
        word = match.group()
        bare = word if lexicon.english else _ELIDED.sub("", word.replace("’", "'"))
        if not word[0].isupper() or bare.casefold() in lexicon.stop_words:
            continue
        if _SENTENCE_START.search(text[max(0, match.start() - 3) : match.start()]):
            follower = matches[place + 1] if place + 1 < len(matches) else None
            adjacent = follower is not None and text[match.end() : follower.start()] == " "
            if not (adjacent and follower is not None and follower.group()[0].isupper()):
                continue
        found[re.sub(r"['’]s$", "", word)] = None
    return tuple(found)


def key_facts(text: str, lexicon: Lexicon = ENGLISH) -> tuple[str, ...]:
    """The numbers and names of `text`: what an answer must get right."""
    return names(text, lexicon) + numbers(text, lexicon)


def holds(text: str, fact: str, lexicon: Lexicon = ENGLISH) -> bool:
    """Whether `fact` occurs in `text` as whole words, whatever the case, plural or way to write a number."""
    wanted = tokens(fact, lexicon)
    if not wanted or not _there(text, lexicon).issuperset(wanted):
        return False
    there = tokens(text, lexicon) if len(wanted) > 1 else wanted
    return any(there[at : at + len(wanted)] == wanted for at in range(len(there) - len(wanted) + 1))


@functools.lru_cache(maxsize=16)
def _there(text: str, lexicon: Lexicon) -> frozenset[str]:
    return frozenset(token for token, _ in read(text, lexicon))


@functools.lru_cache(maxsize=16)
def content_words(text: str, lexicon: Lexicon = ENGLISH) -> frozenset[str]:
    """The stems of the words of `text` that carry meaning; numbers included."""
    stop = lexicon.stop_words
    return frozenset(token for token, word in read(text, lexicon) if word.casefold() not in stop)


def coverage(answer: str, passage: str, lexicon: Lexicon = ENGLISH) -> float:
    """Share of the content words of `answer` that occur in `passage`, 0 to 1; 1 where it has none."""
    wanted = content_words(answer, lexicon)
    return len(wanted & content_words(passage, lexicon)) / len(wanted) if wanted else 1.0


def invented(answer: str, passage: str, lexicon: Lexicon = ENGLISH) -> tuple[str, ...]:
    """The key facts of `answer` that `passage` does not hold."""
    return tuple(fact for fact in key_facts(answer, lexicon) if not holds(passage, fact, lexicon))
