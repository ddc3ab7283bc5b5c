"""Names of licences as people write them, each to its SPDX identifier (§3.1).

Where a name says no version, the identifier says none either: `LicenseRef-CC-BY-SA`, `LicenseRef-BSD`.
The GNU licences alone have a rule for it: any version may be chosen.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

Known = Callable[[str], str]
"""From a possible identifier to the SPDX identifier as it is spelt there; "" if it is none."""

Name = Callable[[re.Match[str], Known], str]

PUBLIC_DOMAIN = "LicenseRef-Public-Domain"
US_GOVERNMENT = "LicenseRef-US-Government"
PROPRIETARY = "LicenseRef-Proprietary"

ANY_VERSION = {
    "GPL-1.0-or-later": "GPL-",
    "LGPL-2.0-or-later": "LGPL-",
    "AGPL-3.0-or-later": "AGPL-",
    "GFDL-1.1-or-later": "GFDL-",
}
"""What a name without a version stands for, and what one with a version starts with."""

_GNU = {
    "gpl": ("GPL", "1.0", ("1.0", "2.0", "3.0")),
    "lgpl": ("LGPL", "2.0", ("2.0", "2.1", "3.0")),
    "agpl": ("AGPL", "3.0", ("1.0", "3.0")),
    "fdl": ("GFDL", "1.1", ("1.1", "1.2", "1.3")),
}
_KINDS = {"lesser": "lgpl", "library": "lgpl", "affero": "agpl"}
_COUNTRIES = {
    "united states": "US",
    "germany": "DE",
    "austria": "AT",
    "australia": "AU",
    "netherlands": "NL",
    "japan": "JP",
    "france": "FR",
}

# What a licence of Creative Commons before 4.0 was ported to; in capitals alone: "3.0 in" is no Indian one.
_PORTS = (
    "AR AT AU BE BG BR CA CH CL CN CO CR CZ DE DK EC EE EG ES FI FR GR GT HK HR HU IE IGO IL IN IT JP KR LU "
    "MK MT MX MY NL NO NZ PE PH PL PR PT RO RS SE SG SI TH TW UG UK US VE VN ZA".split()
)

_GAP = r"[ \-/,.:_]*"
_LICENCE = rf"(?:{_GAP}licen[cs]e)?"
_VERSION = rf"(?:{_GAP}\(?v(?:er(?:sion)?)?\.? ?|{_GAP})"
_ELEMENT = (
    r"(?:attribution|by|share[ -]?alike|sa|non[ -]?commercial|nc|no[ -]?deriv(?:ative)?s?(?: works)?|nd)"
)
CC = (
    rf"(?P<cc>creative[ -]?commons|cc)?(?:{_GAP}public)?{_LICENCE}{_GAP}"
    rf"(?P<elements>{_ELEMENT}(?:{_GAP}{_ELEMENT})*)(?:{_GAP}public)?{_LICENCE}"
    rf"(?:{_VERSION}(?P<version>[1-4]\.\d|[1-4](?![\d.])))?"
    rf"(?:[ -]\(?(?P<port>(?-i:(?:{'|'.join(_PORTS)})\b)|{'|'.join(_COUNTRIES)})\)?)?"
)
GNU = (
    r"(?:gnu[ -]*)?(?:(?P<kind>lesser |library |affero )?general public licen[cs]e"
    rf"|(?P<short>[al]?gpl|g?fdl)|(?P<doc>free documentation licen[cs]e)){_LICENCE}"
    r"(?: \((?:[al]?gpl|g?fdl)\))?"
    rf"(?:{_VERSION}(?P<version>\d(?:\.\d)?(?![\d.]\d)))?"
    r"(?:(?P<later>\+|[ ,-]*\(?or[ -](?:\(?at your option\)? )?(?:any )?(?:later|newer)(?: versions?)?\)?)"
    r"|[ -]only)?"
)


def creative_commons(match: re.Match[str], known: Known) -> str:
    """A licence of Creative Commons, out of its elements and its version."""
    named = [_element(text) for text in re.findall(_ELEMENT, match["elements"], re.IGNORECASE)]
    version, port = match["version"] or "", match["port"] or ""
    told = match["cc"] or len(named) > 1 or (version and match["elements"].casefold() == "attribution")
    if not told or named[0] != "BY" or len({*named}) != len(named) or {"SA", "ND"} <= {*named}:
        return ""
    order = [name for name in ("BY", "NC", "SA", "ND") if name in named]
    base = "-".join(("CC", *order))
    if not version:
        return "" if port else f"LicenseRef-{base}"
    whole = f"{base}-{version if '.' in version else version + '.0'}"
    if port:
        ported = f"{whole}-{_COUNTRIES.get(port.casefold(), port)}"
        return known(ported) or f"LicenseRef-{ported}"
    return whole if whole[-3:] in ("1.0", "2.0", "2.5", "3.0", "4.0") else ""


def _element(text: str) -> str:
    text = text.casefold()
    if text in ("by", "attribution"):
        return "BY"
    if text.startswith("s"):
        return "SA"
    return "NC" if text == "nc" or text.startswith("non") else "ND"


def gnu(match: re.Match[str], known: Known) -> str:
    """A licence of the GNU project: without a version any of them, as its own text says."""
    kind = (match["kind"] or "").strip().casefold()
    short = (match["short"] or "").casefold().removeprefix("gf") if match["short"] else ""
    short = "fdl" if match["doc"] or short == "dl" else short or _KINDS.get(kind, "gpl")
    name, first, versions = _GNU[short]
    version = match["version"] or ""
    if not version:
        return f"{name}-{first}-or-later"
    version = version if "." in version else version + ".0"
    if version not in versions:
        return ""
    return f"{name}-{version}-or-later" if match["later"] else f"{name}-{version}-only"


def _apache(match: re.Match[str], known: Known) -> str:
    version = match["version"]
    if not version:
        return "LicenseRef-Apache"
    return f"Apache-{version if '.' in version else version + '.0'}"


def _bsd(match: re.Match[str], known: Known) -> str:
    count = match["before"] or match["after"] or ""
    word = (match["word"] or match["word2"] or "").casefold()
    count = {"two": "2", "three": "3", "four": "4", "one": "1", "zero": "0"}.get(count.casefold(), count)
    meant = {
        "new": "3",
        "new or revised": "3",
        "modified": "3",
        "revised": "3",
        "simplified": "2",
        "freebsd": "2",
        "original": "4",
    }
    if word and count and meant[word] != count:
        return ""
    count = count or meant.get(word, "")
    if not count:
        return "LicenseRef-BSD"
    return "0BSD" if count == "0" else f"BSD-{count}-Clause"


def _versioned(name: str, versions: str, alone: str = "") -> Name:
    """`name` with one of the versions, as `2.0` or `2`; `alone` where none stands."""

    def read(match: re.Match[str], known: Known) -> str:
        version = match["version"] or ""
        if not version:
            return alone
        whole = version if "." in version else version + ".0"
        return name.format(whole) if whole in versions.split() else ""

    return read


def _always(name: str) -> Name:
    return lambda match, known: name


_V = rf"{_LICENCE}(?:{_VERSION}(?P<version>\d(?:\.\d)?(?![\d.]\d)))?"
_COUNT = r"zero|one|two|three|four|[0-4]"
_WORD = r"new or revised|new|modified|revised|simplified|freebsd|original"
_UK = r"open government licen[cs]e|ogl(?:[ -]uk)?"
_US = r"(?:u\. ?s\.(?: ?a\.)?|usa?|united states(?: of america)?)"

_NAMES: tuple[tuple[str, Name], ...] = (
    (r"(?:cc|creative commons)[ -]?(?:0|zero)(?:[ -]*(?:v(?:ersion)? ?)?1(?:\.0)?)?", _always("CC0-1.0")),
    (r"(?:cc|creative commons)[ -]?(?:pdm|public domain mark)(?:[ -]*1(?:\.0)?)?", _always("CC-PDM-1.0")),
    (r"public domain mark(?:[ -]*1(?:\.0)?)?", _always("CC-PDM-1.0")),
    (CC, creative_commons),
    (rf"public[ -]domain(?: dedication)?(?: in(?: the)? {_US}(?![a-z]))?", _always(PUBLIC_DOMAIN)),
    (rf"(?:work of the )?{_US}(?: federal)? gov(?:ernment|'?t)?(?: works?)?", _always(US_GOVERNMENT)),
    (r"pd[ -]us-?gov", _always(US_GOVERNMENT)),
    (r"(?-i:PD)", _always(PUBLIC_DOMAIN)),
    (r"all rights reserved|proprietary|copyrighted", _always(PROPRIETARY)),
    (GNU, gnu),
    (
        rf"(?:apache|asl|al)(?: software)?{_LICENCE}"
        rf"(?:{_VERSION}(?P<version>2(?:\.0)?|1\.[01])(?![\d.]))?",
        _apache,
    ),
    (r"mit(?:[ -]x11)?|expat|mit[ /-]expat", _always("MIT")),
    (
        rf"(?:(?P<before>{_COUNT})[ -]clause )?(?:(?P<word>{_WORD}) )?bsd{_LICENCE}"
        rf"(?:[ -](?P<after>{_COUNT})(?:[ -]clause)?)?(?: \(?(?P<word2>{_WORD})\)?)?",
        _bsd,
    ),
    (r"isc", _always("ISC")),
    (r"(?:the )?unlicense", _always("Unlicense")),
    (r"boost(?: software)?(?: licen[cs]e)?(?:,? (?:v(?:ersion)? ?)?1\.0)?", _always("BSL-1.0")),
    (rf"(?:mozilla public licen[cs]e|mpl){_V}", _versioned("MPL-{}", "1.0 1.1 2.0")),
    (rf"(?:eclipse public licen[cs]e|epl){_V}", _versioned("EPL-{}", "1.0 2.0")),
    (rf"(?:european union public licen[cs]e|eupl){_V}", _versioned("EUPL-{}", "1.0 1.1 1.2")),
    (
        rf"(?:open data(?:base| ?base)|odb)(?: ?licen[cs]e|l)?(?: \(odbl\))?{_V}",
        _versioned("ODbL-{}", "1.0", "ODbL-1.0"),
    ),
    (rf"(?:open data commons attribution|odc-?by){_V}", _versioned("ODC-By-{}", "1.0", "ODC-By-1.0")),
    (rf"(?:{_UK}){_V}", _versioned("OGL-UK-{}", "1.0 2.0 3.0", "LicenseRef-OGL-UK")),
    (rf"(?:etalab|licence ouverte){_V}", _versioned("etalab-{}", "2.0")),
    (
        rf"(?:community data license agreement|cdla)[ -]*permissive{_V}",
        _versioned("CDLA-Permissive-{}", "1.0 2.0"),
    ),
    (
        rf"(?:community data license agreement|cdla)[ -]*sharing{_V}",
        _versioned("CDLA-Sharing-{}", "1.0"),
    ),
    (rf"(?:sil )?(?:open font licen[cs]e|ofl){_V}", _versioned("OFL-{}", "1.0 1.1")),
    (rf"(?:free art licen[cs]e){_V}", _versioned("LAL-{}", "1.2 1.3")),
    (rf"artistic{_V}", _versioned("Artistic-{}", "1.0 2.0")),
)


@cache
def names() -> tuple[tuple[re.Pattern[str], Name], ...]:
    """Patterns of names, and what gives the identifier of a match; "" where it is no licence's after all."""
    return tuple((re.compile(rf"(?:{text})(?![a-z0-9])", re.IGNORECASE), name) for text, name in _NAMES)
