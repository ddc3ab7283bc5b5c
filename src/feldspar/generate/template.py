"""Templates of prompt packs: `{name}` is replaced by a value, once, and nothing else happens.

Seeds, documents and replies are data. They are put in by a single pass that never looks at what it
has put in, so that a document which holds `{answer}` stays a document which holds `{answer}`.
"""

from __future__ import annotations

import hashlib
import heapq
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
    digest = hashlib.blake2b(_written(seed, parts).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") & 0x7FFFFFFF


def shuffled(count: int, seed: int, *parts: str | int, first: int | None = None) -> tuple[int, ...]:
    """The numbers 0 to `count - 1`, or the `first` of them, in an order of `seed` and `parts` alone."""
    # As `derive(seed, *parts, place)` for each place, without writing and hashing the same again.
    start = hashlib.blake2b(_written(seed, parts)[:-1].encode(), digest_size=4)
    ranked = []
    for place in range(count):
        hashed = start.copy()
        hashed.update(b",%d]" % place)
        ranked.append((int.from_bytes(hashed.digest(), "big") & 0x7FFFFFFF) << 32 | place)
    chosen = sorted(ranked) if first is None else heapq.nsmallest(first, ranked)
    return tuple(rank & 0xFFFFFFFF for rank in chosen)


def _written(seed: int, parts: tuple[str | int, ...]) -> str:
    return json.dumps([seed, *parts], ensure_ascii=True, separators=(",", ":"))
