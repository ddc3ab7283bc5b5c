"""The phases and their curves: training loss by step, checkpoints by held-out score (§3.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from feldspar.report.data import ReportData
from feldspar.report.markup import (
    ABSENT,
    PLUS_MINUS,
    compact,
    element,
    escape,
    number,
    paragraph,
    section,
    table,
)
from feldspar.types import Checkpoint, PhaseData

_WIDTH, _LEFT, _RIGHT = 720.0, 56.0, 16.0
Point = tuple[float, float]
Place = Callable[[Point], Point]
"""From a step and a value to a place in the drawing."""


def phases(data: ReportData) -> str:
    """A row a phase, then the curves of each phase that ran."""
    if not data.phases and not data.checkpoints:
        return section("phases", "Training", paragraph("Nothing has been trained yet.", "empty"))
    by_phase: dict[str, list[Checkpoint]] = {one.phase.name: [] for one in data.phases}
    for checkpoint in data.checkpoints:
        by_phase.setdefault(checkpoint.phase, []).append(checkpoint)
    rows = [_row(one, by_phase[one.phase.name]) for one in data.phases]
    heads = ("Phase", "Own rows", "Replayed", "Steps", "Learning rate", "Selected checkpoint")
    drawn = [_figure(name, found) for name, found in by_phase.items() if found]
    return section("phases", "Training", table("Phases of training", heads, rows) if rows else "", *drawn)


def _row(data: PhaseData, checkpoints: Sequence[Checkpoint]) -> list[str]:
    phase = data.phase
    replayed = sum(bool(row.replayed_from) for row in data.rows)
    name = element("span", escape(phase.name), class_="path")
    if data.skipped:
        return [f"{name}<br>{escape(f'skipped: {data.skipped}')}", *([ABSENT] * 5)]
    return [
        name,
        f"{len(data.rows) - replayed:,}",
        f"{replayed:,}",
        f"{max((one.step for one in checkpoints), default=0):,}",
        escape(compact(phase.learning_rate)),
        escape(next((_told(one) for one in checkpoints if one.selected), ABSENT)),
    ]


def _told(checkpoint: Checkpoint) -> str:
    text = f"step {checkpoint.step:,}"
    if checkpoint.score is not None:
        text += f": {number(checkpoint.score, 3)}"
    if checkpoint.score is not None and checkpoint.error is not None:
        text += f" {PLUS_MINUS} {number(checkpoint.error, 3)}"
    return text


def _figure(name: str, checkpoints: Sequence[Checkpoint]) -> str:
    losses: list[Point] = []
    for one in checkpoints:
        first = one.step - len(one.losses) + 1
        losses += [(float(first + place), loss) for place, loss in enumerate(one.losses)]
    last = max([one.step for one in checkpoints] + [1])
    scored = [one for one in checkpoints if one.score is not None and math.isfinite(one.score)]
    panels = []
    if finite := [point for point in losses if math.isfinite(point[1])]:
        label = f"Training loss of {name}: {number(finite[0][1])} at first, {number(finite[-1][1])} at last"
        panels.append(_panel(label, last, [finite], [], 190))
    if scored:
        best = next((one for one in scored if one.selected), scored[-1])
        label = f"Held-out recall of {name} by checkpoint: selected {_told(best)}"
        curve = [(float(one.step), one.score or 0.0) for one in scored]
        panels.append(_panel(label, last, [curve], scored, 170))
    if not panels:
        return ""
    return element("figure", *panels, element("figcaption", escape(f"{name}, by optimizer step")))


def _panel(
    label: str, last: int, curves: Sequence[Sequence[Point]], marks: Sequence[Checkpoint], height: float
) -> str:
    values = [value for curve in curves for _, value in curve]
    values += [
        one.score + sign * (one.error or 0.0) for one in marks for sign in (-1, 1) if one.score is not None
    ]
    ticks = _ticks(min(values), max(values))
    low, high = min(ticks[0], *values), max(ticks[-1], *values)
    top, foot = 32.0, height - 22.0

    def at(point: Point) -> Point:
        across = _LEFT + (point[0] - min(1, last)) / max(last - 1, 1) * (_WIDTH - _LEFT - _RIGHT)
        return across, foot - (point[1] - low) / ((high - low) or 1.0) * (foot - top)

    title = element("text", escape(label.partition(":")[0]), x=0, y=12, class_="label")
    parts = [title, *_grid(ticks, at, last, foot)]
    for curve in curves:
        line = " ".join("{:.1f},{:.1f}".format(*at(point)) for point in curve)
        parts.append(element("polyline", points=line, class_="curve held" if marks else "curve"))
    parts += [_mark(one, at((float(one.step), one.score or 0.0)), at, foot) for one in marks]
    return element("svg", *parts, viewBox=f"0 0 {_WIDTH:.0f} {height:.0f}", role="img", aria_label=label)


def _grid(ticks: Sequence[float], at: Place, last: int, foot: float) -> list[str]:
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]))) if len(ticks) > 1 else 2
    parts = []
    for tick in ticks:
        _, y = at((1.0, tick))
        parts.append(
            element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid")
        )
        text = escape(number(tick, digits))
        parts.append(element("text", text, x=_LEFT - 8, y=f"{y + 4:.1f}", text_anchor="end"))
    for step, anchor in ((1, "start"), (last, "end")):
        x, _ = at((float(step), 0.0))
        parts.append(element("text", f"{step:,}", x=f"{x:.1f}", y=f"{foot + 16:.1f}", text_anchor=anchor))
    return parts


def _mark(one: Checkpoint, spot: Point, at: Place, foot: float) -> str:
    x, y = spot
    parts = [element("title", escape(_told(one)))]
    if one.error:
        score = one.score or 0.0
        up, down = at((float(one.step), score + one.error))[1], at((float(one.step), score - one.error))[1]
        parts.append(
            element("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=f"{up:.1f}", y2=f"{down:.1f}", class_="error")
        )
    kind = "point selected" if one.selected else "point"
    parts.append(element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=6 if one.selected else 4, class_=kind))
    if one.selected:
        anchor = "end" if x > _WIDTH / 2 else "start"
        text = escape(f"selected: step {one.step:,}")
        parts.append(element("text", text, x=f"{x:.1f}", y=f"{foot + 16:.1f}", text_anchor=anchor))
    return element("g", *parts)


def _ticks(low: float, high: float) -> list[float]:
    """Two to six round values that cover the range."""
    span = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span))
    step = next(step * part for part in (0.2, 0.5, 1.0, 2.0, 5.0) if span / (step * part) <= 4)
    first, final = math.floor(low / step), math.ceil(high / step)
    return [place * step for place in range(first, max(final, first + 1) + 1)]
