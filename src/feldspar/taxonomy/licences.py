"""The licence gate (§3.1): only documents that may be used, changed and sold reach generation.

What is made of a document is a changed version of it, and a model that learnt it may be sold. So a
licence is let in if it allows both, whatever it asks in return: to name the source (permissive), or
that what is made of it keeps the licence (share-alike). `FAMILIES` is the list, in five groups:

- public domain: CC0, the Public Domain Mark, PDDL, the Unlicense, works of the US government;
- attribution: CC BY, Open Data Commons BY, CDLA Permissive, the open licences of governments;
- share-alike: CC BY-SA, GFDL (without invariant sections), ODbL, CDLA Sharing, Free Art;
- permissive software: MIT, BSD, ISC, Apache, and their like;
- share-alike software: MPL, EPL, EUPL, LGPL, GPL, AGPL.

Kept out: NonCommercial (a model is sold, or helps to sell) and NoDerivatives (a sample is a changed
version); proprietary ones; those outside SPDX's list, for nobody but their author knows their terms;
those of SPDX's list that are not named here; and documents whose licence is not said or cannot be told.
A person who knows better says so in the recipe: `licences.also`, `licences.of`.
"""

from __future__ import annotations

import fnmatch
import glob
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from feldspar.spdx import missing, spdx
from feldspar.spdx.names import PROPRIETARY
from feldspar.taxonomy.problems import Findings, Place
from feldspar.text import printable
from feldspar.types import Document, Leaf

NOT_SAID = "not said"
_SHOWN = 60
"""Characters of what a person wrote, in a line about it."""


@dataclass(frozen=True, slots=True)
class Family:
    """Licences that ask the same in return."""

    name: str
    asks: str
    licences: Sequence[str]
    """Identifiers; `*` stands for any ending, `[1-4]` for a digit."""


FAMILIES = (
    Family(
        "public domain",
        "nothing",
        "CC0-1.0 CC-PDDC CC-PDM-1.0 PDDL-1.0 Unlicense 0BSD MIT-0 WTFPL NIST-PD NIST-PD-fallback NCBI-PD "
        "NTIA-PD SAX-PD blessing DL-DE-ZERO-2.0 LicenseRef-Public-Domain LicenseRef-US-Government "
        "LicenseRef-scancode-public-domain LicenseRef-scancode-us-govt-public-domain".split(),
    ),
    Family(
        "attribution",
        "to name the source",
        "CC-BY-[1-4].* LicenseRef-CC-BY LicenseRef-CC-BY-[1-4].?-[A-Z][A-Z] ODC-By-1.0 CDLA-Permissive-1.0 "
        "CDLA-Permissive-2.0 OGL-UK-* LicenseRef-OGL-UK OGL-Canada-2.0 DL-DE-BY-2.0 NLOD-1.0 NLOD-2.0 "
        "etalab-2.0 FreeBSD-DOC".split(),
    ),
    Family(
        "share-alike",
        "to name the source, and that what is made of it keeps the licence",
        "CC-BY-SA-* LicenseRef-CC-BY-SA LicenseRef-CC-BY-SA-[1-4].?-[A-Z][A-Z] CC-SA-1.0 GFDL-1.[1-3]-only "
        "GFDL-1.[1-3]-or-later GFDL-1.[1-3]-no-invariants-* ODbL-1.0 CDLA-Sharing-1.0 LAL-1.2 "
        "LAL-1.3".split(),
    ),
    Family(
        "permissive software",
        "to keep its notice",
        "MIT MIT-CMU MIT-Modern-Variant X11 ISC NCSA Zlib BSL-1.0 BSD-1-Clause BSD-2-Clause "
        "BSD-2-Clause-Patent BSD-2-Clause-Views BSD-3-Clause BSD-3-Clause-LBNL BSD-3-Clause-Clear "
        "BSD-4-Clause LicenseRef-BSD Apache-1.0 Apache-1.1 Apache-2.0 LicenseRef-Apache AFL-3.0 "
        "BlueOak-1.0.0 ECL-2.0 HPND MulanPSL-2.0 PHP-3.01 PostgreSQL PSF-2.0 Python-2.0 UPL-1.0 "
        "Unicode-3.0 W3C curl".split(),
    ),
    Family(
        "share-alike software",
        "that what is made of it keeps the licence",
        "MPL-1.1 MPL-2.0 EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 CDDL-1.0 CDDL-1.1 LGPL-[23].* GPL-[1-3].* "
        "AGPL-3.0-* CECILL-2.1 OSL-3.0 MS-PL MS-RL Artistic-2.0 OFL-1.1 OFL-1.1-*".split(),
    ),
)
"""What is let in by default."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Which licences let a document in."""

    allow: tuple[str, ...] = tuple(name for family in FAMILIES for name in family.licences)
    """Identifiers, or patterns of them."""
    also: tuple[str, ...] = ()
    """Identifiers that a person lets in beside them: `licences.also`."""

    def lets_in(self, name: str) -> bool:
        """Whether it lets in a single licence, by its identifier."""
        return name in self.also or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.allow)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a gate says of a licence."""

    verdict: Literal["allowed", "refused", "unknown"]
    licence: str
    """The SPDX expression; where there is none, what a person wrote."""
    reason: str = ""
    """Of a refusal: the end of a sentence whose subject is the licence. Empty for an allowed one."""
    also: tuple[str, ...] = ()
    """The identifiers that `licences.also` would have to name; empty for an unknown licence, whose
    documents only `licences.of` lets in."""


def rule(licence: str, gate: Gate) -> Ruling:
    """Whether a gate lets in what a person wrote of a licence.

    An OR passes if either side does, an AND if all do, a WITH by its licence.
    """
    expression = spdx(licence)
    if not expression:
        return Ruling("unknown", licence.strip(), f"cannot be told from {quoted(licence)}" if licence else "")
    lacking = missing(expression, gate.lets_in)
    if not lacking:
        return Ruling("allowed", expression)
    return Ruling("refused", expression, _why(lacking[0]), lacking)


def _why(name: str) -> str:
    """Why a licence is kept out, as the end of a sentence that begins with it."""
    parts = name.split("-")
    if "CC" in parts and {"NC", "ND"} & {*parts}:
        if {"NC", "ND"} <= {*parts}:
            return "allows neither commercial use nor changed versions"
        return "does not allow " + ("commercial use" if "NC" in parts else "changed versions")
    if "invariants" in parts:
        return "has sections that may not be changed"
    if name == PROPRIETARY:
        return "keeps all rights"
    if "LicenseRef" in name:
        return "stands for terms that nobody but its author knows"
    return "is not among those that are let in"


def admit(leaf: Leaf, gate: Gate, stated: Mapping[str, str] | None = None) -> tuple[Leaf, tuple[str, ...]]:
    """Keep out of a leaf the documents that a gate does not let in.

    Args:
        leaf: As it was read.
        gate: The gate.
        stated: The recipe's `licences.of`: by patterns of leaf paths, the licence of the documents of
            leaves that do not say it, or say it so that it cannot be told. The first that fits counts.

    Returns:
        The leaf with the documents that pass, their licences and its own as SPDX expressions where
        they can be told; and for each document that stays out a line that says why, and what in the
        recipe would let it in. A leaf of which nothing is left is still a leaf.
    """
    vouched = next(
        (
            licence
            for pattern, licence in (stated or {}).items()
            if fnmatch.fnmatchcase(leaf.path, pattern) and spdx(licence)
        ),
        "",
    )

    def told(licence: str) -> str:
        return spdx(licence) or spdx(vouched) or licence

    kept: list[Document] = []
    lines: list[str] = []
    for document in leaf.documents:
        ruling = rule(told(document.licence or leaf.licence), gate)
        if ruling.verdict == "allowed":
            kept.append(replace(document, licence=ruling.licence))
        else:
            note = "; licences.of counts only where a leaf does not say it" if vouched else ""
            lines.append(_line(leaf, document, ruling) + note)
    return replace(leaf, documents=tuple(kept), licence=told(leaf.licence)), tuple(lines)


def _line(leaf: Leaf, document: Document, ruling: Ruling) -> str:
    names = f"{printable(leaf.path)}: {printable(document.path)}"
    who = re.sub(r"[\n\t]", "\N{REPLACEMENT CHARACTER}", names) + " stays out: its licence"
    if ruling.verdict == "refused":
        also = ", ".join(ruling.also)
        # Of two licences that both hold, one can be the only hindrance.
        culprit = "which" if ruling.also == (ruling.licence,) else f"and {ruling.also[0]}"
        return f"{who} is {ruling.licence}, {culprit} {ruling.reason}; to let it in: licences.also: [{also}]"
    # As a key of the recipe, a path is a pattern, and YAML takes JSON's strings.
    key = json.dumps(glob.escape(leaf.path), ensure_ascii=not leaf.path.isprintable())
    said = ruling.reason or f"is {NOT_SAID}"
    return f"{who} {said}; if you know it, say so: licences.of: {{{key}: CC-BY-4.0}}"


def judge_licence(licence: str, at: Place, found: Findings) -> None:
    """Warn where the default gate keeps a leaf's documents out.

    Args:
        licence: Of the documents, as an expression or as written; "" where nobody says it.
        at: Where it stands.
        found: Where the warning goes.
    """
    ruling = rule(licence, Gate())
    if ruling.verdict == "allowed":
        return
    if ruling.verdict == "refused":
        told = f"{ruling.licence} {ruling.reason}"
        mend = f"`licences.also: [{', '.join(ruling.also)}]` in a recipe lets them in"
    else:
        told = f"their licence {ruling.reason or f'is {NOT_SAID}'}"
        mend = "write its SPDX identifier, like CC-BY-SA-4.0; or vouch for it in a recipe: `licences.of`"
    found.warn(at, "stays-out", f"the documents stay out: {told}", mend)


def licence_shown(leaf: Leaf) -> str:
    """A leaf's licence in a few words, for a line about the leaf.

    Its SPDX expression, with "(stays out)" where the default gate keeps a knowledge leaf's documents
    out; what was written, quoted, where that cannot be told; "not said".
    """
    if not leaf.licence.strip():
        return NOT_SAID
    ruling = rule(leaf.licence, Gate())
    if ruling.verdict == "unknown":
        return f"unknown: {quoted(leaf.licence)}"
    out = " (stays out)" if ruling.verdict == "refused" and leaf.branch == "knowledge" else ""
    return _cut(ruling.licence) + out


def quoted(text: str) -> str:
    """What somebody wrote, in quotation marks: one line of printable text, cut where it is long."""
    return f"“{_cut(printable(' '.join(text.split())))}”"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
