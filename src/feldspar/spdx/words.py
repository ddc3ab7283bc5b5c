"""Licences as people write them, in a line of text or as a web address, as an SPDX expression (§3.1).

A text is read from left to right and has to be used up: names of licences, words that say nothing
("licensed under the"), and what joins them. One word too many ("except", "not") and nothing is said:
a licence is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from feldspar.spdx.names import (
    ANY_VERSION,
    CC,
    GNU,
    PUBLIC_DOMAIN,
    US_GOVERNMENT,
    Known,
    creative_commons,
    gnu,
    names,
)

_FILLER = re.compile(
    r"(?:[\s()\[\]{}<>\"'`*.:#_-]|(?:the|an?|this|these|works?|texts?|contents?|documents?|data|dataset|code"
    r"|articles?|pages?|is|are|was|been|it|its|licen[cs]e[ds]?|licensing|lizenz|licencia|dual|released|published|available"
    r"|distributed|provided|shared|under|in|terms|of|for|both|either|spdx|international|unported|generic"
    r"|universal|deed|legal ?code|creative commons|public licen[cs]e|additional terms may apply"
    r"|version)(?![a-z0-9]))+",
    re.IGNORECASE,
)
_JOIN = re.compile(r"(?:(?:and/or|and|or|plus|as well as)(?![a-z0-9])|[&,;/|+])", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?:https?://|www\.|(?=(?:creativecommons|gnu|apache|opensource|spdx)\.org/))[^\s<>()\[\]\"']+",
    re.IGNORECASE,
)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


def read_words(text: str, known: Known) -> str:
    """The licence that a text names, as an SPDX expression; "" where it cannot be told.

    Several licences are joined by OR where the text says "or", or parts names of software licences by
    a slash, and nothing else; otherwise by AND, the stricter reading.

    Args:
        text: One line of at most a few hundred characters.
        known: Looks an identifier up in SPDX's list.
    """
    found: list[str] = []
    joins: list[str] = []
    join = ""
    at = 0
    for at, end, name in _parts(text, known):
        if name is None:
            return ""
        if name == "":
            # Of "and / or" the stricter word counts.
            if found and join not in ("and", "and/or", "&"):
                join = text[at:end].casefold()
            continue
        if found and not join and (finer := _finer(found[-1], name)):
            found[-1] = finer
            continue
        if found:
            joins.append(join)
        found.append(name)
        join = ""
    # "MIT and" leaves the other half unsaid.
    return "" if join.isalpha() else _joined(found, joins)


def _parts(text: str, known: Known) -> Iterator[tuple[int, int, str | None]]:
    """Names, with "" for what joins them and None, at last, for what is neither."""
    at = 0
    while at < len(text):
        end, name = _name(text, at, known)
        if name:
            yield at, end, name
        elif filler := _FILLER.match(text, at):
            end = filler.end()
        elif joint := _JOIN.match(text, at):
            end = joint.end()
            yield at, end, ""
        else:
            yield at, len(text), None
            return
        at = end


def _name(text: str, at: int, known: Known) -> tuple[int, str]:
    """The longest name that starts here, and its end."""
    address = _ADDRESS.match(text, at)
    if address:
        return address.end(), read_address(address.group().rstrip(".,;"), known)
    best = (at, "")
    for pattern, name in names():
        match = pattern.match(text, at)
        if match and match.end() > best[0] and (told := name(match, known)):
            best = (match.end(), told)
    token = _ID.match(text, at)
    # A bare word such as "Fair" is an identifier too, but in a sentence it is likelier a word.
    if token and token.end() > best[0] and re.search(r"[0-9-]", token.group()):
        told = known(token.group().rstrip(".+-"))
        if told:
            best = (token.end(), told)
    return best


def _finer(first: str, second: str) -> str:
    """One of two names that stand side by side, if both mean the same licence; else ""."""
    if first == second:
        return first
    for coarse, fine in ((first, second), (second, first)):
        start = ANY_VERSION.get(coarse, coarse.removeprefix("LicenseRef-") + "-")
        if (coarse in ANY_VERSION or coarse.startswith("LicenseRef-")) and fine.startswith(start):
            return fine
        if coarse == PUBLIC_DOMAIN and fine in ("CC0-1.0", "CC-PDM-1.0", US_GOVERNMENT, "PDDL-1.0"):
            return fine
    return ""


def _joined(found: list[str], joins: list[str]) -> str:
    unique = list(dict.fromkeys(found))
    # For software "MIT/Apache-2.0" is a choice; what a text's two licences mean by a slash, nobody knows.
    software = not any("CC-BY" in name or name.startswith("GFDL") for name in found)
    either = all(join == "or" or (join == "/" and software) for join in joins)
    return (" OR " if either else " AND ").join(unique)


def read_address(address: str, known: Known) -> str:
    """The licence whose text stands at a web address; "" where it is no licence's."""
    try:
        parts = urlsplit(address if "://" in address else f"https://{address}")
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return ""
    path = unquote(parts.path).strip("/").casefold()
    path = re.sub(r"\.(?:html?|txt|json|md|php|en|en\.html)$", "", path)
    if host == "creativecommons.org":
        return _at_creative_commons(path.split("/"), known)
    if host == "gnu.org":
        return _at_gnu(path, known)
    if host == "apache.org":
        match = re.fullmatch(r"licenses/license-(1\.[01]|2\.0)", path)
        return f"Apache-{match[1]}" if match else ""
    if host in ("opensource.org", "spdx.org", "choosealicense.com"):
        match = re.fullmatch(r"licenses?/([a-z0-9.+-]+)", path)
        name = re.sub(r"-licen[cs]e$", "", match[1]) if match else ""
        dotted = re.sub(r"-(\d)-(\d)(?=$|-)", r"-\1.\2", name)
        return known(name) or known(dotted)
    if host == "opendatacommons.org":
        match = re.match(r"licenses/(odbl|by|pddl)(?:$|/)", path)
        return {"odbl": "ODbL-1.0", "by": "ODC-By-1.0", "pddl": "PDDL-1.0"}[match[1]] if match else ""
    if host == "nationalarchives.gov.uk":
        match = re.fullmatch(r"doc/open-government-licence/version/([123])", path)
        return f"OGL-UK-{match[1]}.0" if match else ""
    if host == "mozilla.org":
        match = re.fullmatch(r"(?:[a-z-]+/)?mpl/([12]\.[01])(?:/.*)?", path)
        return known(f"MPL-{match[1]}") if match else ""
    if host.endswith(".wikipedia.org") and (match := re.match(r"wiki/wikipedia:text_of_(?:the_)?(.+)", path)):
        return read_words(match[1].replace("_", " ")[:200], known)
    return ""


def _at_creative_commons(path: list[str], known: Known) -> str:
    if path[:2] == ["publicdomain", "zero"]:
        return "CC0-1.0"
    if path[:2] == ["publicdomain", "mark"]:
        return "CC-PDM-1.0"
    if path[:2] == ["licenses", "publicdomain"]:
        return "CC-PDDC"
    if path[0] != "licenses" or len(path) < 2:
        return ""
    rest = [part for part in path[2:] if not part.startswith(("deed", "legalcode"))]
    port = rest[1].upper() if len(rest) > 1 else ""
    text = " ".join(("CC", path[1], *rest[:1], port)).strip()
    match = re.fullmatch(CC, text, re.IGNORECASE)
    return creative_commons(match, known) if match else ""


def _at_gnu(path: str, known: Known) -> str:
    match = re.fullmatch(r"(?:licenses|copyleft)/(?:old-licenses/)?((?:[al]?gpl|fdl)(?:-\d\.\d)?)", path)
    name = re.fullmatch(GNU, match[1], re.IGNORECASE) if match else None
    return gnu(name, known) if name else ""
