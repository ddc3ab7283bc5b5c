"""Templates of prompt packs: `{name}` is replaced by a value, once, and nothing else happens.

Seeds, documents and replies are data. They are put in by a single pass that never looks at what it
has put in, so that a document which holds `{answer}` stays a document which holds `{answer}`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def placeholders(template: str) -> tuple[str, ...]:
    """The names that stand in braces in `template`, each once, in order."""
    return tuple(dict.fromkeys(PLACEHOLDER.findall(template)))


def fill(template: str, values: Mapping[str, str]) -> str:
    """`template` with each `{name}` replaced by its value.

    Args:
        template: A pack's text, whose names were checked when the pack was read.
        values: Texts by name; they are never scanned for placeholders themselves.

    Raises:
        KeyError: A name has no value: a defect, for packs are checked when read.
    """
    return PLACEHOLDER.sub(lambda match: values[match.group(1)], template)


def derive(seed: int, *parts: str | int) -> int:
    """A number from 0 to 2**31 - 1 that depends on `seed` and `parts` alone, on every machine.

    31 bits, because that is what every OpenAI-compatible server takes as `seed`.
    """
    text = json.dumps([seed, *parts], ensure_ascii=True, separators=(",", ":"))
    digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") & 0x7FFFFFFF


def shuffled(count: int, seed: int, *parts: str | int) -> tuple[int, ...]:
    """The numbers 0 to `count - 1` in an order that depends on `seed` and `parts` alone."""
    return tuple(sorted(range(count), key=lambda place: (derive(seed, *parts, place), place)))
