"""Which language a leaf is in: its seeds' (§3.1), told by script and by the commonest small words.

No model and no chance: the same text gives the same language everywhere. A text that is too short, or in
two languages, gives none, and then nothing is said of a language and nothing is rejected for it.
`languages.yaml` holds the words.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

import yaml

from feldspar.facts import ENGLISH, Lexicon, spelled
from feldspar.generate.same import Same
from feldspar.types import Leaf, Seed

_MOST_CHARACTERS = 20_000
_CJK = "CJK"
_SCRIPT_SHARE = 0.6
"""Least share of the letters: German with Greek formulas is German."""

_KANA_SHARE = 0.05
_DISTINCT = 3
"""Small words of a language that a text must hold, each counted once."""

_CJK_WEIGHT = 2
"""A character of Chinese says what two or three letters do: Chinese about Python code stays Chinese."""

# Ranges of characters; a script that stands for one language has its name.
_SCRIPTS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "Latin": ((0x41, 0x24F), (0x1E00, 0x1EFF)),
    _CJK: ((0x3005, 0x3007), (0x3041, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x20000, 0x3FFFD)),
    "Cyrillic": ((0x400, 0x52F),),
    "Arabic": ((0x600, 0x6FF), (0x750, 0x77F)),
    "Korean": ((0x1100, 0x11FF), (0xAC00, 0xD7A3)),
    "Greek": ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "Hebrew": ((0x590, 0x5FF),),
    "Armenian": ((0x530, 0x58F),),
    "Georgian": ((0x10A0, 0x10FF), (0x1C90, 0x1CBF)),
    "Devanagari": ((0x900, 0x97F),),
    "Bengali": ((0x980, 0x9FF),),
    "Punjabi": ((0xA00, 0xA7F),),
    "Gujarati": ((0xA80, 0xAFF),),
    "Tamil": ((0xB80, 0xBFF),),
    "Telugu": ((0xC00, 0xC7F),),
    "Kannada": ((0xC80, 0xCFF),),
    "Malayalam": ((0xD00, 0xD7F),),
    "Sinhala": ((0xD80, 0xDFF),),
    "Thai": ((0xE00, 0xE7F),),
    "Lao": ((0xE80, 0xEFF),),
    "Burmese": ((0x1000, 0x109F),),
    "Amharic": ((0x1200, 0x137F),),
    "Khmer": ((0x1780, 0x17FF),),
}


@dataclass(frozen=True, slots=True)
class _Tongue:
    """What `languages.yaml` says of a language."""

    script: str
    words: tuple[str, ...]
    """In a fixed order: what they are worth is added up."""
    keeps_names: bool
    numbers: tuple[str, ...]
    pointing: re.Pattern[str] | None


def language_of(leaf: Leaf) -> str:
    """The language that a leaf's drafts are to be in, by its English name; empty where nothing tells it.

    `Leaf.language` where a recipe gives one. Otherwise the one that questions and answers of the seeds
    have in common: where they differ, as in a translation, the leaf has none.
    """
    return leaf.language or _of_seeds(Same(leaf.seeds))


def foreign(language: str) -> str:
    """The language as a prompt should name it; empty for English, which prompts are written in, and none."""
    return "" if language.casefold() in ("", "english") else language


@functools.lru_cache(maxsize=4096)
def _of_seeds(same: Same[tuple[Seed, ...]]) -> str:
    seeds = same.value
    asked = detect("\n".join(seed.question for seed in seeds))
    answered = detect("\n".join(seed.answer for seed in seeds))
    if asked and answered:
        return asked if asked == answered else ""
    # Answers of code or of numbers alone are in no language; one question may be too short to tell.
    return asked or answered or detect("\n".join(f"{seed.question}\n{seed.answer}" for seed in seeds))


def detect(text: str, *, sure: bool = False) -> str:
    """The language of a text, by its English name; empty where that cannot be told.

    Args:
        text: The first 20,000 characters count.
        sure: Only where hardly a doubt is left: eight words or more, and twice as much evidence as for
            any other language. For the question whether one draft is in the wrong language.
    """
    text = unicodedata.normalize("NFKC", text[:_MOST_CHARACTERS])
    letters = _letters(text)
    total = sum(letters.values())
    if not total:
        return ""
    script, count = max(letters.items(), key=lambda item: item[1])
    if count < _SCRIPT_SHARE * total or (sure and count < 8):
        return ""
    if script == _CJK:
        kana = sum("\u3041" <= mark <= "\u30ff" for mark in text)
        return "Japanese" if kana * _CJK_WEIGHT >= _KANA_SHARE * count else "Chinese"
    rivals = [name for name, tongue in _tongues().items() if tongue.script == script and tongue.words]
    return _by_words(text, rivals, sure) if rivals else script


def another(text: str, language: str) -> str:
    """The language that a text is surely in where that is not `language`; empty otherwise.

    Always empty for English and for none: an English leaf may ask for words of any language.
    """
    if not foreign(language):
        return ""
    found = detect(text, sure=True)
    return found if found.casefold() != language.casefold() else ""


@functools.cache
def lexicon(language: str) -> Lexicon:
    """What `facts` has to know of a language: of one that is not known, only to look for numbers alone."""
    tongue = _tongues().get(language.title())
    if not foreign(language):
        return ENGLISH
    if tongue is None:
        return Lexicon(frozenset(), names=False, english=False)
    return Lexicon(frozenset(tongue.words), tongue.keeps_names, tongue.numbers, english=False)


def points_away(text: str, language: str, asked: str = "") -> str:
    """The words by which a text speaks of a passage that its reader does not see; empty where it does not.

    "According to the text" and "this passage" do; "the text of the treaty of Ghent" and "the passage of
    time" speak of something in the world. English is looked for where the language is not known.

    Args:
        text: The text.
        language: Its language, by its English name.
        asked: For an answer, the question: what that speaks of by the same noun, the answer may take up.
    """
    tongue = _tongues().get(language.title())
    pattern = (tongue and tongue.pointing) or _tongues()["English"].pointing
    folded, asked = " ".join(unicodedata.normalize("NFKC", text).split()), asked.casefold()
    found = (said.group() for said in pattern.finditer(folded)) if pattern else iter(())
    return next((said for said in found if said.split()[-1].casefold() not in asked), "")


@functools.cache
def _tongues() -> Mapping[str, _Tongue]:
    text = resources.files("feldspar.generate").joinpath("languages.yaml").read_text("utf-8")
    found: dict[str, _Tongue] = {}
    for name, said in yaml.safe_load(text).items():
        pointing = "|".join(said.get("points", ()))
        pointing = pointing.replace("{not_of}", f"(?! (?:{said.get('of')})\\b)")
        pointing = pointing.replace("{nouns}", str(said.get("nouns")))
        found[name] = _Tongue(
            script=said["script"],
            words=tuple(dict.fromkeys(said.get("words", "").split())),
            keeps_names=said.get("keeps_names", False),
            numbers=tuple(word.strip("-") for word in said.get("numbers", "").split()),
            pointing=re.compile(pointing, re.IGNORECASE) if pointing else None,
        )
    return found


def _letters(text: str) -> Counter[str]:
    """Letters by script; a Chinese or Japanese character counts for more."""
    found: Counter[str] = Counter()
    for mark, count in Counter(text).items():
        if not mark.isalpha():
            continue
        code = ord(mark)
        for script, ranges in _SCRIPTS.items():
            if any(low <= code <= high for low, high in ranges):
                found[script] += count * (_CJK_WEIGHT if script == _CJK else 1)
                break
        else:
            found["another script"] += count
    del found["another script"]
    return found


def _by_words(text: str, languages: Iterable[str], sure: bool) -> str:
    # "l'île", "c'est": what is written with its noun is a word by itself.
    found = Counter(part for word in spelled(text) for part in word.split("'"))
    total = sum(found.values())
    scores: dict[str, float] = {}
    hits: dict[str, int] = {}
    weights = _weights()
    for name in languages:
        own = [(word, found[word]) for word in _tongues()[name].words if word in found]
        scores[name] = sum(count * weights[word] for word, count in own)
        hits[name] = sum(count for _, count in own)
    first, second = [*sorted(scores, key=lambda name: -scores[name]), ""][:2]
    runner_up = scores.get(second, 0.0)
    enough = hits[first] >= (3 if sure else 2) and hits[first] >= 0.15 * total
    # Seeds of one form ("Compose a verse on …") say the same two words over and over: no evidence.
    enough = enough and len(set(_tongues()[first].words) & set(found)) >= _DISTINCT
    if sure:
        enough = enough and total >= 8
    return first if enough and scores[first] >= (2.0 if sure else 1.2) * runner_up else ""


@functools.cache
def _weights() -> Mapping[str, float]:
    """What a small word is worth: less, the more languages have it."""
    shared = Counter(word for tongue in _tongues().values() for word in tongue.words)
    return {word: 1 / count for word, count in shared.items()}
