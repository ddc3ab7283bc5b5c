"""What a simulated teacher writes."""

from __future__ import annotations

import random

_LITTLE = (
    "the of and to in a is that for it as with on by this from or which one would all will there can so "
    "if about each how when what some into than them then only its over also after two first"
).split()


class Words:
    """Texts out of a fixed vocabulary: unlike each other, and as usual words as a tokenizer could wish."""

    def __init__(self) -> None:
        draw = random.Random(11)
        syllables = [first + vowel for first in "bdfgklmnprstvz" for vowel in "aeiou"]
        self._words = sorted({"".join(draw.choices(syllables, k=draw.randint(2, 4))) for _ in range(8000)})
        self._long = " ".join(self._mixed(draw, 40_000))

    def instruction(self, number: int, words: int) -> str:
        """A task that no other number is given."""
        said = " ".join(self._mixed(random.Random(number), max(8, words)))
        return f"Explain {said} (case {number:016x})."

    def response(self, number: int, words: int) -> str:
        """A stretch of one long text."""
        start = number % (len(self._long) - 8000)
        return self._long[start : start + 6 * max(8, words)].strip().capitalize() + "."

    def _mixed(self, draw: random.Random, count: int) -> list[str]:
        rare, little = draw.choices(self._words, k=count), draw.choices(_LITTLE, k=count)
        return [little[at] if at % 5 in {1, 3} else word for at, word in enumerate(rare)]
