"""What a conversion ends in: a text, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """A document as text: Markdown, or what stands in a text file."""

    text: str
    """With `\\n` as line end, and without control characters but for tabs."""
    notes: tuple[str, ...] = ()
    """What a person should know about it, as ends of sentences whose subject is the document."""


class Unreadable(Exception):
    """A document that gives no text: `what` is wrong, as the end of a sentence, and the `mend`."""

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(f"{what}\n{mend}" if mend else what)
        self.what = what
        self.mend = mend
