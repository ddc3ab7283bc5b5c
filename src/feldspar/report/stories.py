"""What was written, to be read: samples, answers side by side, rejected drafts, costs, recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from feldspar.report.data import ReportData
from feldspar.report.markup import element, escape, fold, number, paragraph, plural, section, table
from feldspar.types import Answer, Draft, Question, Verdict

SAMPLES, REJECTED, ANSWERS = 20, 10, 12


def samples(data: ReportData) -> str:
    """Twenty samples, spread over the leaves, with where they come from and what judged them."""
    shown = spread(data.accepted, SAMPLES)
    if not shown:
        return section("samples", "Samples", paragraph("There are no samples.", "empty"))
    about = f"{len(shown)} of {plural(len(data.accepted), 'generated sample')}, spread over the leaves."
    return section("samples", "Samples", paragraph(about), *(_story(draft) for draft in shown))


def answers(data: ReportData) -> str:
    """Held-out questions with what both models say to them."""
    base = {answer.question: answer for answer in data.base}
    tuned = {answer.question: answer for answer in data.tuned}
    both = [question for question in data.questions if question.id in base and question.id in tuned]
    if not both:
        return section("answers", "Answers, side by side", paragraph("Nothing was answered.", "empty"))
    shown = _evenly(both, ANSWERS)
    cards = [_side_by_side(question, base[question.id], tuned[question.id]) for question in shown]
    about = f"{len(shown)} of {plural(len(both), 'held-out question')}, evenly spaced; free, greedy answers."
    return section("answers", "Answers, side by side", paragraph(about), *cards)


def rejected(data: ReportData) -> str:
    """Ten rejected drafts, spread over leaves and reasons."""
    shown = spread(data.rejected, REJECTED)
    if not shown:
        return section("rejected", "Rejected drafts", paragraph("Nothing was rejected.", "empty"))
    about = (
        f"{len(shown)} of {plural(len(data.rejected), 'rejected draft')}; the others are in the run's folder."
    )
    return section("rejected", "Rejected drafts", paragraph(about), *(_story(draft) for draft in shown))


def costs(data: ReportData) -> str:
    """What the run cost."""
    if not data.costs:
        return section("costs", "Costs", paragraph("No costs were recorded.", "empty"))
    rows = [[escape(name), escape(value)] for name, value in _flat(data.costs)]
    return section("costs", "Costs", table("Costs", ("What", "How much"), rows))


def recipe(data: ReportData) -> str:
    """The resolved recipe."""
    if not data.recipe.strip():
        return section("recipe", "Recipe", paragraph("No recipe was recorded.", "empty"))
    return section("recipe", "Recipe", element("pre", escape(data.recipe.strip()), tabindex=0))


def spread(drafts: Sequence[Draft], count: int) -> tuple[Draft, ...]:
    """At most `count` drafts: leaves and reasons take turns, each in draw order; always the same ones."""
    queues: dict[tuple[str, str], list[Draft]] = {}
    for draft in sorted(drafts, key=lambda draft: (draft.leaf, draft.draw, draft.id)):
        queues.setdefault((draft.leaf, draft.rejected), []).append(draft)
    chosen: list[Draft] = []
    turn = 0
    while len(chosen) < min(count, len(drafts)):
        chosen += [queue[turn] for queue in queues.values() if turn < len(queue)]
        turn += 1
    return tuple(sorted(chosen[:count], key=lambda draft: (draft.leaf, draft.draw, draft.id)))


def _evenly(questions: Sequence[Question], count: int) -> list[Question]:
    if len(questions) <= count:
        return list(questions)
    return [questions[place * len(questions) // count] for place in range(count)]


def _story(draft: Draft) -> str:
    fate = element("span", escape(draft.rejected), class_="fate") if draft.rejected else ""
    parts = [
        element("h3", escape(draft.instruction or "(nothing could be read)")),
        element("p", escape(draft.id), fate, class_="path"),
    ]
    if draft.context:
        parts.append(fold("Context", _quote(draft.context)))
    parts.append(_quote(draft.response or "(no response)"))
    for turn in draft.turns:
        parts.append(element("h3", escape(turn.content)) if turn.role == "user" else _quote(turn.content))
    inner = []
    if draft.passage is not None:
        place = f"{draft.passage.document}, characters {draft.passage.start:,} to {draft.passage.end:,}"
        heading = " › ".join(draft.passage.heading)
        inner += [paragraph(f"{place}, under {heading}" if heading else place, "path")]
        inner += [_quote(draft.passage.text)]
    what = "Passage and verdicts" if draft.passage is not None else "Verdicts"
    parts.append(fold(what, *inner, _verdicts(draft.verdicts)))
    return element("article", *parts)


def _verdicts(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return paragraph("No verdicts.", "path")
    told = []
    for verdict in verdicts:
        score = "" if verdict.score is None else f", {number(verdict.score, 2).rstrip('0').rstrip('.')}"
        kept = "kept" if verdict.keep else "rejected"
        name = element("strong", escape(verdict.judge))
        told.append(element("li", name, escape(f": {kept}{score}. {verdict.reason}")))
    return element("ul", *told, class_="verdicts")


def _side_by_side(question: Question, base: Answer, tuned: Answer) -> str:
    parts = [element("h3", escape(question.question))]
    if question.context:
        parts.append(fold("Context", _quote(question.context)))
    parts.append(
        element(
            "dl",
            _said("Reference", question.answer, ""),
            _said("Base", base.text, _mark(base)),
            _said("Tuned", tuned.text, _mark(tuned)),
            class_="sides",
        )
    )
    return element("article", *parts)


def _said(who: str, text: str, mark: str) -> str:
    said = escape(text or "(no free answer)")
    note = element("span", escape(mark), class_="mark") if mark else ""
    return element("div", element("dt", escape(who)), element("dd", element("p", said), note))


def _mark(answer: Answer) -> str:
    parts = []
    if answer.chosen is not None:
        parts.append("chose right" if answer.chosen == 0 else "chose wrong")
    if answer.recall is not None:
        parts.append(f"{number(100 * answer.recall, 0)} % of the key facts")
    return ", ".join(parts)


def _quote(text: str) -> str:
    return element("blockquote", escape(text))


def _flat(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as one list, the names joined; numbers as people read them."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            rows += _flat({str(inner): each for inner, each in value.items()}, f"{name}, ")
        elif isinstance(value, bool) or value is None:
            rows.append((name, {True: "yes", False: "no", None: "none"}[value]))
        elif isinstance(value, str):
            rows.append((name, value))
        elif isinstance(value, (int, float)):
            rows.append((name, number(value, 0 if isinstance(value, int) else 2)))
        else:
            rows.append((name, json.dumps(value, default=str)))
    return rows
