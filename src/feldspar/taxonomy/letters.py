"""Letters that look like a blank, or like nothing at all."""

from __future__ import annotations

import re
import unicodedata

ODD_BLANKS = r"\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
UNSEEN = r"\u00ad\u180e\u200b-\u200f\u2060-\u2064\ufeff"
ODD = re.compile(f"[{ODD_BLANKS}{UNSEEN}]")


def named(letter: str) -> str:
    """A letter that cannot be told by its looks: "U+00A0 (no-break space)"."""
    return f"U+{ord(letter):04X} ({unicodedata.name(letter, 'a letter').lower()})"
