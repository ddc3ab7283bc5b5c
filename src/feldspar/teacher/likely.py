"""What else a reply could have said, by the log-probabilities that came with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from feldspar.teacher.api import Alternatives, readable

_MOST_POSITIONS, _MOST_ALTERNATIVES, _LONGEST_TOKEN = 16, 20, 32
_NUMBER = re.compile("[0-9]+")
_IMPOSSIBLE, _CERTAIN = -9999.0, 0.01
"""Servers write -9999, or the least float, for minus infinity; rounding lifts 0 a little."""


def alternatives_in(choice: Mapping[str, Any]) -> Alternatives:
    """What stood for choice at each number of the reply, of `logprobs` in OpenAI's form.

    vLLM and llama.cpp answer in that form, too; a grammar may force a token that is not among the
    likeliest, so the one that was said joins them. Whatever is nonsense is left out.
    """
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        return ()
    numbers: list[Mapping[str, Any]] = []
    for at in reversed(content):
        token = at.get("token") if isinstance(at, dict) else None
        if isinstance(token, str) and len(token) <= _LONGEST_TOKEN and _NUMBER.fullmatch(token.strip()):
            numbers.append(at)
            if len(numbers) == _MOST_POSITIONS:
                break
    return tuple(found for at in reversed(numbers) if (found := _alternatives(at)))


def _alternatives(position: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    listed = position.get("top_logprobs")
    found: dict[str, float] = {}
    for one in [*(listed[:_MOST_ALTERNATIVES] if isinstance(listed, list) else ()), position]:
        token, value = (one.get("token"), one.get("logprob")) if isinstance(one, dict) else (None, None)
        if not isinstance(token, str) or len(token) > _LONGEST_TOKEN or isinstance(value, bool):
            continue
        if isinstance(value, int | float) and _IMPOSSIBLE < value <= _CERTAIN:
            found.setdefault(readable(token), float(value))
    return tuple(found.items())
