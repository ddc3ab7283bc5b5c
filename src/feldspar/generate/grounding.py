"""What an answer stands on, without a judge (§3.2.2): its numbers, names and words, and where they are."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from feldspar.facts import ENGLISH, Lexicon, content_words, invented, key_facts, read, tokens
from feldspar.generate.checks import Flaw
from feldspar.generate.pack import Grounding
from feldspar.text import sentences
from feldspar.types import Passage, Span, Verdict

_FACT = 2
"""What a number or a name of the answer weighs, against one for any other content word."""

_ADDS = 2
"""The least that another sentence adds: one common word more is chance, a number or two words are not."""

_ADDS_SHARE = 0.1
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Support:
    """Which sentences of a passage an answer stands on."""

    spans: tuple[Span, ...]
    """In the document's text, in order; sentences of a paragraph that follow one another are one span."""
    lacking: tuple[str, ...]
    """Words of the answer that nothing in the passage has, as they are spelled, in order."""


def support(answer: str, passage: Passage, lexicon: Lexicon = ENGLISH) -> Support:
    """The fewest sentences of a passage that hold the answer's words, as far as it holds them.

    Chosen one by one, each the one that adds most; the earliest of equals. Whether they say what the
    answer says is for a judge: this tells where to look, and what is surely not there.

    Args:
        answer: The answer.
        passage: What it was taken from.
        lexicon: Of the answer's language.
    """
    facts = {token for fact in key_facts(answer, lexicon) for token in tokens(fact, lexicon)}
    wanted = content_words(answer, lexicon)
    weights = {token: _FACT if token in facts else 1 for token in wanted}
    told = _told(passage.text, lexicon)
    left, total = set(wanted), sum(weights.values())
    chosen: list[tuple[int, int]] = []
    least = min(_ADDS, total)
    while left:
        added = [sum(weights[token] for token in left & words) for _, _, words in told]
        most = max(added, default=0)
        if most < max(1, least):
            break
        start, end, words = told[added.index(most)]
        chosen.append((start, end))
        left -= words
        least = max(_ADDS, round(_ADDS_SHARE * total))
    there = frozenset[str]().union(*(words for _, _, words in told))
    return Support(_joined(sorted(chosen), passage), _spelled(answer, wanted - there, lexicon))


def grounded(
    question: str, answer: str, source: str, around: str, bounds: Grounding, lexicon: Lexicon = ENGLISH
) -> Flaw | Verdict:
    """Whether an answer stays with its source (§3.2.2), by its numbers, names and content words.

    Args:
        question: The question asked; it may not invent a number or a name either.
        answer: The answer given.
        source: The passage, or the sentence of it, that the answer may draw on.
        around: What is known beside it: headings, the leaf's subject. Names may come from there.
        bounds: The pack's: which shares gate; the others are recorded in the verdict.
        lexicon: Of the draft's language.
    """
    there, asked_words = content_words(source, lexicon), content_words(question, lexicon)
    said = content_words(answer, lexicon)
    share = _share(said, there)
    told = f"{source}\n{around}"
    for what, text in (("answer", answer), ("question", question)):
        lacking = invented(text, told, lexicon) if bounds.facts else ()
        if lacking:
            named = ", ".join(lacking[:_NAMED])
            return Flaw("ungrounded", f"the {what} has what the passage lacks: {named}", share)
    both = _share(said, there | asked_words)
    if bounds.answer_coverage is not None and both < bounds.answer_coverage:
        return Flaw("ungrounded", f"only {both:.0%} of the answer's content words are in the passage", both)
    asked = _share(asked_words, there)
    if bounds.question_coverage is not None and asked < bounds.question_coverage:
        return Flaw(
            "ungrounded", f"only {asked:.0%} of the question's content words are in the passage", asked
        )
    if len(said - asked_words) < bounds.adds:
        return Flaw("echo", "the answer says no more than the question", share)
    missing = _spelled(answer, said - there, lexicon)
    named = f", not: {', '.join(missing[:_NAMED])}" if missing else ""
    shares = f"{share:.0%} of the answer's content words and {asked:.0%} of the question's"
    return Verdict("grounding", True, share, f"{shares} are in the passage{named}")


def _share(wanted: frozenset[str], there: frozenset[str]) -> float:
    return round(len(wanted & there) / len(wanted), 3) if wanted else 1.0


# The draws of a passage stand near each other, and each answer is held against the same sentences.
@functools.lru_cache(maxsize=32)
def _told(text: str, lexicon: Lexicon) -> tuple[tuple[int, int, frozenset[str]], ...]:
    """The sentences of a passage with their content words."""
    return tuple((start, end, content_words(text[start:end], lexicon)) for start, end in sentences(text))


def _joined(chosen: Sequence[tuple[int, int]], passage: Passage) -> tuple[Span, ...]:
    """Sentences as spans of the document, neighbours as one."""
    spans: list[Span] = []
    for start, end in chosen:
        between = passage.text[spans[-1].end - passage.start : start] if spans else ""
        if spans and not between.strip() and between.count("\n") < 2:
            spans[-1] = Span(spans[-1].start, passage.start + end)
        else:
            spans.append(Span(passage.start + start, passage.start + end))
    return tuple(spans)


def _spelled(text: str, wanted: frozenset[str], lexicon: Lexicon) -> tuple[str, ...]:
    """The words of `text` whose tokens are `wanted`, each once; pairs of characters that overlap as one."""
    found: list[str] = []
    before = ""
    for token, word in read(text, lexicon):
        if token in wanted and before and _pair(word) and before[-1] == word[0]:
            found[-1] += word[1]
        elif token in wanted:
            found.append(word)
        before = word if token in wanted and _pair(word) else ""
    return tuple(dict.fromkeys(found))


def _pair(word: str) -> bool:
    """Whether a word is a pair of characters of a script without blanks."""
    return len(word) == 2 and word[0] >= "\u0e01" and not "\uac00" <= word[0] <= "\ud7a3"
