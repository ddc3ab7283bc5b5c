"""SPDX: what people write of a licence, as an expression of identifiers that everybody knows (§3.1).

The list of identifiers and the grammar are the `license-expression` package's, imported when a text is
none of the few that nearly every leaf has; what people write instead is read by `words`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any

from feldspar.spdx.words import read_words

MAX_WORDS = 300
"""Characters; a longer text that is no expression is prose, and prose is not read."""
MAX_EXPRESSION = 4_000
_MAX_DEPTH = 20
"""Brackets within brackets."""

_COMMON = re.compile(r"CC0-1\.0|CC-BY-(?:NC-|)(?:SA-|ND-|)[1-4]\.0|Apache-2\.0|MIT")
_REFERENCE = re.compile(r"((?:DocumentRef-[a-z0-9.-]+:)?)LicenseRef-([a-z0-9.-]+)", re.IGNORECASE)
_TOKEN = re.compile(r"[()]|[^\s()]+")
_OPERATORS = ("and", "or", "with")


def spdx(text: str) -> str:
    """What a person wrote of a licence, as an SPDX expression.

    Identifiers count whatever their case, and deprecated ones give their successors (`GPL-2.0+` gives
    `GPL-2.0-or-later`). A name without a version gives an identifier without one: `CC BY` is
    `LicenseRef-CC-BY`, which tells its terms and guesses no text; only the GNU licences say themselves
    what that means (`GFDL` is `GFDL-1.1-or-later`). The public domain has no identifier with SPDX:
    it is `LicenseRef-Public-Domain`. Several licences side by side, or joined by a comma, all hold
    (AND); "or", and a slash between software licences, leave the choice (OR).

    Args:
        text: An expression, a name, a web address, or a short sentence around either.

    Returns:
        The expression; "" where it cannot be told, in part or as a whole: nothing is guessed.
    """
    # What is kept is bounded, too: a whole file can be handed over as somebody's licence.
    return _spdx(text) if len(text) <= 2 * MAX_EXPRESSION else ""


@lru_cache(maxsize=4096)
def _spdx(text: str) -> str:
    text = " ".join(_plain(text).split())
    if _COMMON.fullmatch(text):
        return text
    if not re.search(r"[A-Za-z0-9]", text) or len(text) > MAX_EXPRESSION:
        return ""
    return _expression(text) or (read_words(text, known) if len(text) <= MAX_WORDS else "")


def known(text: str) -> str:
    """The SPDX identifier that a text is, in SPDX's spelling; "" if it is none.

    References to licences outside SPDX's list (`LicenseRef-Own`) count, and a trailing `+` too.
    """
    reference = _REFERENCE.fullmatch(text)
    if reference:
        # ScanCode's references are on the package's list.
        return identifiers().get(text.casefold()) or f"{reference[1]}LicenseRef-{reference[2]}"
    found = identifiers().get(text.casefold(), "")
    if not found and text.endswith("+") and (base := identifiers().get(text[:-1].casefold())):
        return f"{base}+"
    return found


def nearest(text: str) -> str:
    """The identifier that a misspelt one is likeliest to mean; "" where none is near."""
    told = spdx(text)
    if told and " " not in told:
        return told
    near = difflib.get_close_matches(text.casefold()[:100], identifiers(), n=1, cutoff=0.6)
    return identifiers()[near[0]] if near else ""


def all_of(licences: Iterable[str]) -> str:
    """The expression that says that all of several expressions hold; each of them once."""
    unique = list(dict.fromkeys(licences))
    if len(unique) > 1:
        unique = [f"({licence})" if " OR " in licence else licence for licence in unique]
    return spdx(" AND ".join(unique)) if len(unique) > 1 else "".join(unique)


def missing(expression: str, passes: Callable[[str], bool]) -> tuple[str, ...]:
    """The identifiers for want of which an expression does not pass.

    An OR passes if either side does, an AND if all sides do, a WITH if its licence does: an exception
    only ever allows more.

    Args:
        expression: What `spdx` gave.
        passes: Whether a licence does, by its identifier, without a trailing `+`.

    Returns:
        Nothing where the expression passes; of an OR, those of the side with the fewest.
    """
    if " " not in expression:
        name = expression.removesuffix("+")
        return () if passes(name) else (name,)
    licensing = _licensing()

    def lacks(node: Any) -> tuple[str, ...]:
        if isinstance(node, licensing.AND):
            return tuple(dict.fromkeys(name for part in node.args for name in lacks(part)))
        if isinstance(node, licensing.OR):
            return min((lacks(part) for part in node.args), key=len)
        name = getattr(node, "license_symbol", node).key.removesuffix("+")
        return () if passes(name) else (name,)

    return lacks(_parsed(expression))


def _plain(text: str) -> str:
    """Without what Unicode and markup add: dashes of all kinds are hyphens, quotes around it are gone."""
    text = re.sub("[\u2010-\u2015\u2212]", "-", text)
    text = re.sub('[\u2018\u2019\u201c\u201d\u00ab\u00bb\u00ae\u2122`*"]', "", text)
    return text.strip(" \t\r\n\u00a0'.,;")


def _expression(text: str) -> str:
    """A text that is an SPDX expression but for its case, as SPDX writes it; else ""."""
    words = _TOKEN.findall(text)
    # Operators are sought first: most of what people write has none, and needs no list.
    if len(words) > 1 and not any(word.casefold() in (*_OPERATORS, "(") for word in words):
        return ""
    names = []
    for word in words:
        plain = word in ("(", ")") or word.casefold() in _OPERATORS
        name = word.upper() if plain else known(word) or _lists()[1].get(word.casefold(), "")
        if not name:
            return ""
        names.append(name)
    if _depth(names) > _MAX_DEPTH:
        return ""
    parsed = _parsed(" ".join(names))
    return "" if parsed is None else str(parsed.render())


def _depth(names: list[str]) -> int:
    depth = most = 0
    for name in names:
        depth += (name == "(") - (name == ")")
        most = max(most, depth)
    return most


def _parsed(expression: str) -> Any:
    """The tree of an expression whose identifiers are SPDX's; None where it is none."""
    from boolean import ParseError
    from license_expression import ExpressionError

    try:
        return _licensing().parse(expression, validate=False, strict=True, simple=True)
    except (ParseError, ExpressionError):
        return None


@cache
def _licensing() -> Any:
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


def identifiers() -> dict[str, str]:
    """SPDX's licences by their case-folded identifiers; a replaced one gives what took its place."""
    return _lists()[0]


@cache
def _lists() -> tuple[dict[str, str], dict[str, str]]:
    """SPDX's licences, and its exceptions, by their case-folded identifiers."""
    from license_expression import get_license_index

    licences: dict[str, str] = {}
    exceptions: dict[str, str] = {}
    for entry in get_license_index():
        name = entry["spdx_license_key"]
        # What was once the identifier of a licence with its exception is deprecated, and no exception.
        exception = entry["is_exception"] and not entry["is_deprecated"]
        if name:
            (exceptions if exception else licences)[name.casefold()] = name
        for other in () if exception else entry["other_spdx_license_keys"]:
            # "GPL 2.0", "GPL" and `LicenseRef-Apache` stand there too, and are nobody's identifiers.
            own = other.startswith("LicenseRef-") and not other.startswith("LicenseRef-scancode-")
            if name and " " not in other and other != "GPL" and not own:
                licences.setdefault(other.casefold(), name)
    return licences, exceptions
