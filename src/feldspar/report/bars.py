"""The funnel: what was drawn for each leaf, and what became of it."""

from __future__ import annotations

from collections import Counter

from feldspar.report.data import ReportData
from feldspar.report.markup import element, escape, paragraph, section

_COLOURS = 6
"""Reasons with a colour of their own; rarer ones share the last."""


def funnel(data: ReportData) -> str:
    """A stacked bar a leaf: accepted, then rejected by reason; the numbers stand beside it."""
    kept = Counter(draft.leaf for draft in data.accepted)
    lost: dict[str, Counter[str]] = {}
    for draft in data.rejected:
        lost.setdefault(draft.leaf, Counter())[draft.rejected or "no reason given"] += 1
    paths = list(dict.fromkeys([leaf.path for leaf in data.leaves] + sorted(kept.keys() | lost.keys())))
    if not paths:
        return section("funnel", "What was generated", paragraph("Nothing has been drawn yet.", "empty"))
    totals: Counter[str] = Counter()
    for counts in lost.values():
        totals.update(counts)
    reasons = [reason for reason, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))]
    colours = {reason: f"r{min(place, _COLOURS - 1)}" for place, reason in enumerate(reasons)}
    most = max(kept[path] + lost.get(path, Counter()).total() for path in paths)
    rows = [_row(path, kept[path], lost.get(path, Counter()), colours, most) for path in paths]
    drawn = sum(kept.values()) + totals.total()
    about = (
        f"{drawn:,} drawn, {sum(kept.values()):,} accepted, {totals.total():,} rejected, each with a reason."
    )
    return section(
        "funnel",
        "What was generated",
        paragraph(about),
        _legend(["accepted", *reasons], {"accepted": "ok", **colours}),
        element("ul", *rows, class_="funnel"),
    )


def _row(path: str, kept: int, lost: Counter[str], colours: dict[str, str], most: int) -> str:
    parts = [("accepted", kept, "ok")]
    parts += [(reason, lost[reason], colour) for reason, colour in colours.items() if lost[reason]]
    drawn = kept + lost.total()
    told = ", ".join(f"{count:,} {name}" for name, count, _ in parts)
    pieces, at = [], 0.0
    for name, count, colour in parts:
        width = 1000 * count / most if most else 0
        if width:
            hint = element("title", escape(f"{count:,} {name}"))
            # Two units of ground between neighbours keep them apart without their colours.
            shown = f"{max(width - 2, 1):.1f}"
            pieces.append(element("rect", hint, x=f"{at:.1f}", y=0, width=shown, height=14, class_=colour))
        at += width
    label = f"{path}: {drawn:,} drawn; {told}"
    bar = element(
        "svg", *pieces, viewBox="0 0 1000 14", preserveAspectRatio="none", role="img", aria_label=label
    )
    warn = paragraph("Nothing was accepted: this leaf teaches nothing.", "warning") if not kept else ""
    return element(
        "li",
        element("span", escape(path), class_="path"),
        bar,
        element("span", escape(f"{drawn:,} drawn: {told}"), class_="told"),
        warn,
    )


def _legend(names: list[str], colours: dict[str, str]) -> str:
    entries = []
    for name in names:
        mark = element("rect", width=12, height=12, rx=2, class_=colours[name])
        swatch = element("svg", mark, viewBox="0 0 12 12", class_="swatch", aria_hidden="true")
        entries.append(element("li", swatch, escape(name)))
    return element("ul", *entries, class_="legend")
